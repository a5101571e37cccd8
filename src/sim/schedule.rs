//! The schedule: virtual time, chance, and the queue of planned events.

use std::collections::BTreeMap;

use super::network::SyncDelivery;
use super::{EPOCH, NodeIndex, SeededRng};
use crate::engine::env::{Millis, UnixSeconds};
use crate::engine::envelope::{EnvelopeId, MiningJob, WorkNonce, work};
use crate::engine::id::OutgoingId;

/// Something that happens to one node at one moment.
#[derive(Debug)]
pub(super) enum SimEvent {
    /// A request or response of catching up arrives.
    Sync(SyncDelivery),
    /// A node learns that its archive no longer has these.
    ArchiveMissing(NodeIndex, Vec<EnvelopeId>),
    /// An envelope arrives.
    Arrive { to: NodeIndex, from: NodeIndex, id: EnvelopeId, bytes: Vec<u8> },
    /// An envelope arrives that gossipsub has forgotten meanwhile.
    ArriveAgain { to: NodeIndex, from: NodeIndex, id: EnvelopeId, bytes: Vec<u8> },
    /// A search for work ends.
    Mined { at: NodeIndex, outgoing: OutgoingId, nonce: WorkNonce },
    /// A node's deadline.
    Wake(NodeIndex),
    /// A node that crashed starts from its disk.
    Restart(NodeIndex),
    /// A node that was switched off is switched on.
    SwitchOn(NodeIndex),
}

/// One clock, one queue, one source of chance. Events of one moment happen in the order they were
/// planned.
#[derive(Debug)]
pub(super) struct Schedule {
    now: Millis,
    queue: BTreeMap<(Millis, u64), SimEvent>,
    last_number: u64,
    chance: SeededRng,
}

impl Schedule {
    /// A schedule without events.
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            now: Millis(0),
            queue: BTreeMap::new(),
            last_number: 0,
            chance: SeededRng::lane(seed, 0),
        }
    }

    /// Virtual time.
    pub(super) const fn now(&self) -> Millis {
        self.now
    }

    /// The wall clock without skew.
    pub(super) const fn wall(&self) -> UnixSeconds {
        wall_at(self.now)
    }

    /// Chance outside of the nodes: theirs is their own, so that one node's draws shift no other's.
    pub(super) const fn chance(&mut self) -> &mut SeededRng {
        &mut self.chance
    }

    /// A number that was not given out before.
    pub(super) const fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Plans an event for a moment.
    pub(super) fn plan(&mut self, at: Millis, event: SimEvent) {
        let number = self.next_number();
        self.queue.insert((at, number), event);
    }

    /// Plans an event for the moment that comes after `span`.
    pub(super) fn plan_after(&mut self, span: Millis, event: SimEvent) {
        self.plan(self.now.plus(span), event);
    }

    /// Searches for work at once, and plans the end of the search for when it would have ended;
    /// whether there is one.
    pub(super) fn plan_mined(&mut self, at: NodeIndex, job: &MiningJob) -> bool {
        let Some(nonce) = work::search(job, WorkNonce(job.start), u64::MAX) else { return false };
        let span = Millis(self.chance.below(MINING_AT_MOST.0) + 1);
        self.plan_after(span, SimEvent::Mined { at, outgoing: job.outgoing, nonce });
        true
    }

    /// The next event up to `end`, with the clock moved on to it.
    pub(super) fn next_until(&mut self, end: Millis) -> Option<SimEvent> {
        let first = self.queue.first_entry().filter(|first| first.key().0 <= end)?;
        let ((at, _), event) = first.remove_entry();
        self.now = self.now.max(at);
        Some(event)
    }

    /// Moves the clock on to `end`, up to which nothing is planned.
    pub(super) const fn advance_to(&mut self, end: Millis) {
        self.now = end;
    }
}

/// A search takes up to a second of virtual time.
const MINING_AT_MOST: Millis = Millis(1_000);

/// The wall clock at a moment of virtual time.
pub(super) const fn wall_at(now: Millis) -> UnixSeconds {
    UnixSeconds(EPOCH.0 + now.0 / 1000)
}
