//! The gate that every envelope passes: check, queue, admit, verdict (`proto/README.md`, "What a
//! carrier does").
//!
//! Nothing on this path decrypts, stores or knows a contact. What was let through is put into the
//! `inbox`, after the verdicts, for a messenger's user agent; a relay ends here. A refused
//! envelope changes nothing but counters and the memory of ids.

mod inbox;
pub mod pool;
mod ranking;
pub mod validation_queue;

use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::envelope::{
    Acceptance, CheckedEnvelope, EnvelopeId, ValidationError, check_inspected,
};
use crate::engine::id::NeighbourId;
use crate::engine::price::{Line, SaidSteps};
use crate::engine::settings::{NodeRole, NodeSettings};
use crate::engine::turn::{Effect, Turn};

use pool::{BodyStorage, Pool};
use validation_queue::{Enqueued, ValidationQueue};

use inbox::Inbox;
pub(in crate::engine) use inbox::{Overflow, Passed};

/// Nobody learns within a minute whether the flood has brought an envelope: by then it has been
/// everywhere, and that somebody holds it says nothing of where it came from. Then it is listed as
/// known when we catch up.
pub(in crate::engine) const SETTLE_TIME: Millis = Millis::from_secs(60);

/// An envelope is advertised when it has settled: a little after it is listed as known, or whoever it
/// reached later would be sent it again. A flood takes seconds.
pub(in crate::engine) const SETTLED: Millis = Millis::from_secs(65);

/// Envelopes one turn takes from the queue: few, so that commands and timers are not kept waiting.
const QUEUE_BATCH: usize = 32;

/// The pool, the queue before it, and the counts of verdicts.
#[derive(Debug)]
pub(in crate::engine) struct Relay {
    pool: Pool,
    queue: ValidationQueue<NeighbourId>,
    line: Line,
    inbox: Inbox,
    stats: ValidationStats,
}

/// The verdicts given, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValidationStats {
    /// Passed on.
    pub accepted: u64,
    /// Dropped without blame.
    pub ignored: u64,
    /// Dropped and counted against the carrier.
    pub rejected: u64,
    /// Of those dropped without blame: expired.
    pub expired: u64,
    /// Of those dropped without blame: too far in the future.
    pub early: u64,
    /// Published by this node, junk included.
    pub published: u64,
}

/// The way an envelope came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Source {
    /// Handed over in the flood, soon after it was made.
    Gossip,
    /// Fetched, or held until it could be read: of any age.
    Sync,
}

/// The result of one fetched envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchResult {
    /// Held.
    Fetched,
    /// Held already, since the flood brought it a moment ago. For the session that is no different:
    /// whoever sent it must not see whether it had come before.
    Heard,
    /// Not held, for this reason.
    Rejected(ValidationError),
}

impl Relay {
    pub(in crate::engine) fn new(settings: &NodeSettings) -> Self {
        Self {
            pool: Pool::new(settings.pool, settings.floor, settings.body_storage()),
            queue: ValidationQueue::new(validation_queue::CAPACITY),
            line: Line::new(settings.line, Millis(0)),
            inbox: Inbox::default(),
            stats: ValidationStats::default(),
        }
    }

    /// The pool, read-only.
    pub(in crate::engine) const fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(in crate::engine) const fn stats(&self) -> ValidationStats {
        self.stats
    }

    /// The line.
    pub(in crate::engine) const fn line(&self) -> &Line {
        &self.line
    }

    /// What was let through and waits for the user agent.
    pub(in crate::engine) const fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }

    /// What its own room and line ask of senders.
    pub(in crate::engine) fn steps(&self, (now, wall): (Millis, UnixSeconds)) -> SaidSteps {
        SaidSteps { shares: self.pool.said(wall), line: self.line.said(now), hops: 0 }
    }

    /// Whether the queue is empty.
    pub(in crate::engine) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Checks a neighbour's envelope and queues it if it passes; a refusal is reported at once. The
    /// driver computed `id` when it inspected the bytes; it is not computed again.
    pub(in crate::engine) fn on_gossip(
        &mut self,
        turn: &mut Turn<'_, '_>,
        from: NeighbourId,
        id: EnvelopeId,
        bytes: Vec<u8>,
    ) {
        let checked = match check_inspected(id, bytes, turn.env.wall, &turn.settings.floor) {
            Ok(checked) => checked,
            Err(error) => return self.reject(turn, from, id, error),
        };
        // Refused here, a duplicate takes no place in the queue from an envelope that is new.
        if self.pool.knows(&checked) {
            return self.reject(turn, from, id, ValidationError::Duplicate);
        }
        match self.queue.push(checked, from) {
            Enqueued::Queued => {}
            Enqueued::Duplicate => self.reject(turn, from, id, ValidationError::Duplicate),
            // Ignored, and not remembered: our load is not the carrier's fault, and the envelope
            // may come again when there is room.
            Enqueued::QueueFull(..) => self.reject(turn, from, id, ValidationError::QueueFull),
            // Gossipsub holds every message back until its verdict, so the evicted one gets its
            // own.
            Enqueued::Evicted((other, carrier)) => {
                self.reject(turn, carrier, other.id(), ValidationError::QueueFull);
            }
        }
    }

    /// Takes a batch from the queue, highest priority first: all verdicts, and then what else is done
    /// with the envelopes. The archive is on a disk, which would hold the verdicts up.
    pub(in crate::engine) fn drain_queue(&mut self, turn: &mut Turn<'_, '_>) {
        if self.line.is_calm(turn.env.mono) {
            self.pool.forget_unheard();
        }
        let mut judged = Vec::new();
        for _ in 0..QUEUE_BATCH {
            let Some((checked, from)) = self.queue.pop() else { break };
            let error = self.pass_on(turn, &checked);
            match error {
                Some(error) => self.reject(turn, from, checked.id(), error),
                None => self.report_validation(turn, from, checked.id(), Acceptance::Accept),
            }
            judged.push((checked, error));
        }
        for (checked, error) in judged {
            self.hand_on(turn, checked, error, Source::Gossip);
        }
    }

    /// Holds an envelope of the flood and takes its part of the line, or says why not.
    fn pass_on(
        &mut self,
        turn: &Turn<'_, '_>,
        checked: &CheckedEnvelope,
    ) -> Option<ValidationError> {
        let (now, blocks) = (turn.env.mono, checked.charge().blocks());
        let settled = now.plus(SETTLED);
        let asked = self.line.step(now);
        let pays = turn.settings.floor.admits(checked.priority(), asked);
        let has_time = pays && self.line.has(blocks, now);
        if !has_time && !self.pool.knows(checked) {
            // Remembered, or catching up would bring at once what the line had no time for. If the
            // memory is full of better ones it is ignored all the same.
            self.pool.remember_unheard(checked, settled);
            return Some(ValidationError::LineBusy);
        }
        let error = self.pool.admit(checked.clone(), turn.env.wall, settled).error();
        let acceptance = error.map_or(Acceptance::Accept, ValidationError::acceptance);
        if acceptance == Acceptance::Accept {
            self.line.spend(blocks, now);
        }
        error
    }

    /// Takes a fetched envelope through the same gate, with what `inspect` or `inspect_each` said of
    /// it. No verdict: nobody flooded it, and it is not passed on.
    ///
    /// Whoever sent it, and whoever compares with us after that, sees the same whether the flood had
    /// brought it a moment before or not: it counts as settled from here on.
    pub(in crate::engine) fn take_fetched(
        &mut self,
        turn: &mut Turn<'_, '_>,
        bytes: &[u8],
        inspected: Result<EnvelopeId, ValidationError>,
    ) -> FetchResult {
        let (now, floor) = (turn.env.wall, &turn.settings.floor);
        let checked = inspected.and_then(|id| check_inspected(id, bytes.to_vec(), now, floor));
        let checked = match checked {
            Ok(checked) => checked,
            Err(error) => {
                self.count_off_time(error);
                return FetchResult::Rejected(error);
            }
        };
        // Settled at once: it had settled where it came from, and if it counted as new here, the
        // next session would bring it again.
        let (now, wall) = (turn.env.mono, turn.env.wall);
        if self.pool.settle(&checked, now) {
            return FetchResult::Heard;
        }
        let error = self.pool.admit_fetched(checked.clone(), wall, now).error();
        self.hand_on(turn, checked, error, Source::Sync);
        error.map_or(FetchResult::Fetched, FetchResult::Rejected)
    }

    /// Holds an envelope of ours like any other: when the flood brings it back it is a duplicate,
    /// and a full pool may refuse it. It is advertised once it has settled, as all are: if it were
    /// not, it would be the one that we alone lack (`proto/sync.md`, "The sketch").
    pub(in crate::engine) fn admit_own(
        &mut self,
        turn: &mut Turn<'_, '_>,
        checked: CheckedEnvelope,
    ) {
        let settled = turn.env.mono.plus(SETTLED);
        self.line.spend(checked.charge().blocks(), turn.env.mono);
        if self.pool.admit(checked.clone(), turn.env.wall, settled).error().is_none() {
            self.archive(turn, &checked);
        }
    }

    /// Counts an envelope of ours that is published.
    pub(in crate::engine) const fn count_published(&mut self) {
        self.stats.published += 1;
    }

    /// Takes back an envelope that the archive kept while the process was down, with its id. It was
    /// received long ago, so it is advertised at once.
    ///
    /// # Errors
    /// Why it is not held: the archive should discard it.
    pub(in crate::engine) fn readmit(
        &mut self,
        turn: &Turn<'_, '_>,
        (id, bytes): (EnvelopeId, Vec<u8>),
    ) -> Result<(), ValidationError> {
        let checked = check_inspected(id, bytes, turn.env.wall, &turn.settings.floor)?;
        self.pool.readmit(checked, turn.env.wall).error().map_or(Ok(()), Err)
    }

    /// Lets go of every envelope, and of the memory of all: what an archive kept comes once more from
    /// its beginning.
    pub(in crate::engine) fn release_all(&mut self, settings: &NodeSettings) {
        self.pool = Pool::new(settings.pool, settings.floor, settings.body_storage());
    }

    /// Lets go of envelopes that the archive does not have. They were not refused, so they may be
    /// fetched again.
    pub(in crate::engine) fn on_archive_missing(&mut self, ids: &[EnvelopeId]) {
        self.pool.mark_missing(ids);
    }

    /// Drops what has expired.
    pub(in crate::engine) fn sweep(&mut self, env: &Env<'_>) {
        self.pool.sweep(env.wall);
    }

    /// Has the archive discard the envelopes that left the pool.
    pub(in crate::engine) fn flush_evictions(&mut self, turn: &mut Turn<'_, '_>) {
        let evicted = self.pool.take_evicted();
        if !evicted.is_empty() {
            turn.effect(Effect::Discard(evicted));
        }
    }

    /// The steps after the gate, whichever way an envelope came: a relay's archive keeps it, a
    /// messenger's user agent will try to open it.
    fn hand_on(
        &mut self,
        turn: &mut Turn<'_, '_>,
        checked: CheckedEnvelope,
        error: Option<ValidationError>,
        source: Source,
    ) {
        if error.is_none() {
            self.archive(turn, &checked);
        }
        let acceptance = error.map_or(Acceptance::Accept, ValidationError::acceptance);
        match turn.settings.role {
            // Accepted includes refused for room: a full pool must not cost a messenger its own
            // messages. A duplicate was looked at when it came first.
            NodeRole::Messenger if acceptance == Acceptance::Accept => {
                self.inbox.push(checked, source);
            }
            NodeRole::Messenger | NodeRole::Relay => {}
        }
    }

    /// Has the archive keep an envelope that was just admitted, after it discarded those that made
    /// room.
    fn archive(&mut self, turn: &mut Turn<'_, '_>, checked: &CheckedEnvelope) {
        self.flush_evictions(turn);
        match turn.settings.body_storage() {
            BodyStorage::Inline => {}
            BodyStorage::External => {
                let (id, bytes) = (checked.id(), checked.bytes().to_vec());
                turn.effect(Effect::Archive { id, bytes });
            }
        }
    }

    fn reject(
        &mut self,
        turn: &mut Turn<'_, '_>,
        from: NeighbourId,
        id: EnvelopeId,
        error: ValidationError,
    ) {
        self.count_off_time(error);
        self.report_validation(turn, from, id, error.acceptance());
    }

    /// Counts envelopes that the driver left out because of their times.
    pub(in crate::engine) const fn count_left_out(&mut self, expired: u64, early: u64) {
        self.stats.expired = self.stats.expired.saturating_add(expired);
        self.stats.early = self.stats.early.saturating_add(early);
        let ignored = expired.saturating_add(early);
        self.stats.ignored = self.stats.ignored.saturating_add(ignored);
    }

    /// Counts envelopes that came too late or too soon: many of them say that a clock is wrong.
    fn count_off_time(&mut self, error: ValidationError) {
        match error {
            ValidationError::Expired => self.stats.expired += 1,
            ValidationError::TooFarInFuture => self.stats.early += 1,
            ValidationError::TooLarge
            | ValidationError::Malformed
            | ValidationError::InvalidTtl
            | ValidationError::UnalignedExpiry
            | ValidationError::InsufficientPow
            | ValidationError::Duplicate
            | ValidationError::LineBusy
            | ValidationError::PoolFull
            | ValidationError::QueueFull => {}
        }
    }

    fn report_validation(
        &mut self,
        turn: &mut Turn<'_, '_>,
        from: NeighbourId,
        id: EnvelopeId,
        acceptance: Acceptance,
    ) {
        match acceptance {
            Acceptance::Accept => self.stats.accepted += 1,
            Acceptance::Ignore => self.stats.ignored += 1,
            Acceptance::Reject => self.stats.rejected += 1,
        }
        turn.effect(Effect::ReportValidation { from, id, acceptance });
    }
}
