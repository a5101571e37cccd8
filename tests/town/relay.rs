//! A relay: its own pool and line, and the gate between them, without sockets and catching up.

use core::num::NonZeroU32;

use undertone::engine::env::{Millis, UnixSeconds};
use undertone::engine::envelope::{CheckedEnvelope, EnvelopeId, Floor};
use undertone::engine::price::{Line, SaidSteps, Share, Step};
use undertone::engine::relay::pool::{Admission, BodyStorage, Pool, PoolBounds};

/// What became of an envelope at one relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Passed on and held.
    Held,
    /// Passed on, and not held for want of room.
    NoRoom,
    /// Ignored, for want of line.
    Ignored,
    /// It has seen it before.
    Known,
}

/// A relay. Its gate is that of `engine::relay::Relay`, which wants a whole node around it.
pub(crate) struct Relay {
    pool: Pool,
    line: Line,
    floor: Floor,
}

impl Relay {
    pub(crate) fn new(places: usize, line: NonZeroU32, floor: Floor) -> Self {
        // The pool keeps the books alone: 20 of this size in memory are of no use here.
        let pool = Pool::new(PoolBounds { places }, floor, BodyStorage::External);
        Self { pool, line: Line::new(line, Millis(0)), floor }
    }

    /// What it says it asks, once it has let go of what is over.
    pub(crate) fn say(&mut self, now: Millis, wall: UnixSeconds) -> SaidSteps {
        self.pool.sweep(wall);
        SaidSteps { shares: self.pool.said(wall), line: self.line.said(now), hops: 0 }
    }

    pub(crate) fn holds(&self, id: &EnvelopeId) -> bool {
        self.pool.contains(id)
    }

    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Takes an envelope of the flood.
    pub(crate) fn take(
        &mut self,
        checked: &CheckedEnvelope,
        now: Millis,
        wall: UnixSeconds,
    ) -> Outcome {
        if self.line.is_calm(now) {
            self.pool.forget_unheard();
        }
        let (blocks, asked) = (checked.charge().blocks(), self.line.step(now));
        let has_line = self.floor.admits(checked.priority(), asked) && self.line.has(blocks, now);
        if !has_line && !self.pool.knows(checked) {
            self.pool.remember_unheard(checked, now);
            return Outcome::Ignored;
        }
        let outcome = outcome(self.pool.admit(checked.clone(), wall, now));
        if matches!(outcome, Outcome::Held | Outcome::NoRoom) {
            self.line.spend(blocks, now);
        }
        outcome
    }

    /// Takes an envelope that it ignored for its line, from a relay that holds it; `None` while its
    /// line is not calm.
    pub(crate) fn fetch(
        &mut self,
        checked: &CheckedEnvelope,
        now: Millis,
        wall: UnixSeconds,
    ) -> Option<Outcome> {
        if !self.line.is_calm(now) {
            return None;
        }
        self.pool.forget_unheard();
        Some(outcome(self.pool.admit_fetched(checked.clone(), wall, now)))
    }

    /// The envelopes that left since this was called last, expired or not.
    pub(crate) fn take_left(&mut self) -> Vec<EnvelopeId> {
        self.pool.take_evicted()
    }

    /// The step that a share and the line ask together.
    pub(crate) fn asks(&self, share: Share, (now, wall): (Millis, UnixSeconds)) -> Step {
        self.pool.asked(share, wall).max(self.line.step(now))
    }
}

const fn outcome(admission: Admission) -> Outcome {
    match admission {
        Admission::Fresh => Outcome::Held,
        Admission::PoolFull => Outcome::NoRoom,
        Admission::Duplicate => Outcome::Known,
        Admission::Expired | Admission::MemoryFull => Outcome::Ignored,
    }
}
