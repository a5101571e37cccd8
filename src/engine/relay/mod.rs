//! The gate that every envelope passes: check, queue, admit, verdict.
//!
//! A relay ends here: nothing on this path decrypts, stores or knows a contact, and the verdict comes
//! before whoever may open an envelope sees it. What was refused changed nothing but counters and the
//! memory of ids.

pub mod pool;
mod ranking;
pub mod validation_queue;

use crate::engine::env::{Env, Millis};
use crate::engine::envelope::{Acceptance, CheckedEnvelope, EnvelopeId, ValidationError, check};
use crate::engine::id::NeighbourId;
use crate::engine::settings::{NodeRole, NodeSettings};
use crate::engine::turn::{Effect, Turn};

use pool::{BodyStorage, Pool};
use validation_queue::{Enqueued, ValidationQueue};

/// An envelope is advertised only after a settle time of a minute: by then the flood has been
/// everywhere, and that somebody holds it says nothing of where it came from.
pub(in crate::engine) const SETTLE_TIME: Millis = Millis::from_secs(60);

/// What one turn takes from the queue: small, so that commands and timers are not kept waiting.
const QUEUE_BATCH: usize = 32;

/// What a node holds and passes on.
#[derive(Debug)]
pub(in crate::engine) struct Relay {
    pool: Pool,
    queue: ValidationQueue<NeighbourId>,
    stats: ValidationStats,
}

/// What became of the envelopes that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValidationStats {
    /// Passed on.
    pub accepted: u64,
    /// Dropped without blame.
    pub ignored: u64,
    /// Dropped and counted against the carrier.
    pub rejected: u64,
    /// Of those dropped without blame: their time was over.
    pub expired: u64,
    /// Of those dropped without blame: their time was too far off.
    pub early: u64,
    /// Published by this node, junk included.
    pub published: u64,
}

/// How an envelope came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Source {
    /// Handed over in the flood, soon after it was made.
    Gossip,
    /// Fetched, or held until it could be read: of any age.
    Sync,
}

/// Whoever sees what the gate let through, after the verdict.
pub(in crate::engine) trait Recipient {
    /// An envelope was let through, or was only not held for want of room.
    fn receive(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        checked: &CheckedEnvelope,
        source: Source,
    );
}

impl Relay {
    pub(in crate::engine) fn new(settings: &NodeSettings) -> Self {
        Self {
            pool: Pool::new(settings.pool, settings.body_storage()),
            queue: ValidationQueue::new(validation_queue::CAPACITY),
            stats: ValidationStats::default(),
        }
    }

    /// What is held, to look at.
    pub(in crate::engine) const fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(in crate::engine) const fn stats(&self) -> ValidationStats {
        self.stats
    }

    /// Whether no envelope waits to be looked at.
    pub(in crate::engine) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Checks what a neighbour brought and queues what holds; the rest is judged at once.
    pub(in crate::engine) fn on_gossip(
        &mut self,
        turn: &mut Turn<'_, '_>,
        from: NeighbourId,
        id: EnvelopeId,
        bytes: Vec<u8>,
    ) {
        let checked = match check(bytes, turn.env.wall, &turn.settings.floor) {
            Ok(checked) => checked,
            Err(error) => return self.reject(turn, from, id, error),
        };
        if self.pool.contains(&id) {
            return self.reject(turn, from, id, ValidationError::Duplicate);
        }
        match self.queue.push(checked, from) {
            Enqueued::Queued => {}
            Enqueued::Duplicate => self.reject(turn, from, id, ValidationError::Duplicate),
            Enqueued::QueueFull(..) => self.reject(turn, from, id, ValidationError::QueueFull),
            Enqueued::Evicted((other, carrier)) => {
                self.reject(turn, carrier, other.id(), ValidationError::QueueFull);
            }
        }
    }

    /// Takes a batch from the queue, highest priority first.
    pub(in crate::engine) fn drain_queue(
        &mut self,
        turn: &mut Turn<'_, '_>,
        recipient: &mut impl Recipient,
    ) {
        for _ in 0..QUEUE_BATCH {
            let Some((checked, from)) = self.queue.pop() else { return };
            let settled = turn.env.mono.plus(SETTLE_TIME);
            let error = self.pool.admit(checked.clone(), turn.env.wall, settled).error();
            match error {
                Some(error) => self.reject(turn, from, checked.id(), error),
                None => self.report_validation(turn, from, checked.id(), Acceptance::Accept),
            }
            self.hand_on(turn, &checked, error, (Source::Gossip, recipient));
        }
    }

    /// Takes an envelope that we missed through the same gate.
    ///
    /// # Errors
    /// Why it is not held.
    pub(in crate::engine) fn take_fetched(
        &mut self,
        turn: &mut Turn<'_, '_>,
        bytes: &[u8],
        recipient: &mut impl Recipient,
    ) -> Result<(), ValidationError> {
        let checked = check(bytes.to_vec(), turn.env.wall, &turn.settings.floor)
            .inspect_err(|error| self.count_off_time(*error))?;
        // It had settled where it came from. If it had not here, the next session would bring it again.
        let error = self.pool.admit(checked.clone(), turn.env.wall, turn.env.mono).error();
        self.hand_on(turn, &checked, error, (Source::Sync, recipient));
        error.map_or(Ok(()), Err)
    }

    /// Holds an envelope of ours like anyone's: what comes back from the flood is a duplicate, and a
    /// full pool treats it like any other. Others may be told of it when it has settled, as of all
    /// envelopes: if they were not, it would be the one that only we lack.
    pub(in crate::engine) fn admit_own(
        &mut self,
        turn: &mut Turn<'_, '_>,
        checked: CheckedEnvelope,
    ) {
        let settled = turn.env.mono.plus(SETTLE_TIME);
        if self.pool.admit(checked.clone(), turn.env.wall, settled).error().is_none() {
            self.archive(turn, &checked);
        }
    }

    /// An envelope of ours goes into the flood.
    pub(in crate::engine) const fn count_published(&mut self) {
        self.stats.published += 1;
    }

    /// Takes back an envelope that the archive kept while the process was down. It was received long
    /// ago, so others may be told of it at once.
    ///
    /// # Errors
    /// Why it is not held: the archive should discard it.
    pub(in crate::engine) fn readmit(
        &mut self,
        turn: &Turn<'_, '_>,
        bytes: Vec<u8>,
    ) -> Result<(), ValidationError> {
        let checked = check(bytes, turn.env.wall, &turn.settings.floor)?;
        self.pool.admit(checked, turn.env.wall, Millis(0)).error().map_or(Ok(()), Err)
    }

    /// The archive does not have these. They were not refused, so they may be fetched again.
    pub(in crate::engine) fn on_archive_missing(&mut self, ids: &[EnvelopeId]) {
        self.pool.mark_missing(ids);
    }

    /// Drops what has expired.
    pub(in crate::engine) fn sweep(&mut self, env: &Env<'_>) {
        self.pool.sweep(env.wall);
    }

    /// Has the archive discard what has left the pool.
    pub(in crate::engine) fn flush_evictions(&mut self, turn: &mut Turn<'_, '_>) {
        let evicted = self.pool.take_evicted();
        if !evicted.is_empty() {
            turn.effect(Effect::Discard(evicted));
        }
    }

    /// What follows the gate, whichever way an envelope came: a relay's archive keeps it, a messenger
    /// sees whether it is for us.
    fn hand_on(
        &mut self,
        turn: &mut Turn<'_, '_>,
        checked: &CheckedEnvelope,
        error: Option<ValidationError>,
        (source, recipient): (Source, &mut impl Recipient),
    ) {
        if error.is_none() {
            self.archive(turn, checked);
        }
        let acceptance = error.map_or(Acceptance::Accept, ValidationError::acceptance);
        match turn.settings.role {
            NodeRole::Messenger if acceptance == Acceptance::Accept => {
                recipient.receive(turn, &self.pool, checked, source);
            }
            NodeRole::Messenger | NodeRole::Relay => {}
        }
    }

    /// Has the archive keep what was just admitted, after what left for it.
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

    /// Counts what came too late or too soon: many of them say that a clock is wrong.
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
