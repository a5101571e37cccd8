//! An envelope in the making: everything but its work.

use sha3::{Digest, Keccak256};

use super::lifetime::Lifetime;
use super::topic::Topic;
use super::wire::{self, Envelope, EnvelopeId, GRID, MAX_DATA};
use super::work::{self, MiningJob, WorkNonce};
use crate::engine::env::{Seconds, UnixSeconds};
use crate::engine::id::OutgoingId;
use crate::engine::price::{Charge, Floor, Step};

/// The time that the work and the way to the flood may take, in seconds.
///
/// Without it each envelope that crosses an hour on its way would show its delay (0.2 % of them at
/// 8 s, 1.1 % at 40 s), and so whether its author uses a short path.
pub const HEAD_START: Seconds = Seconds(120);

/// An envelope of ours that still lacks its work.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// The canonical encoding up to the nonce.
    prefix: Vec<u8>,
    lifetime: Lifetime,
}

/// The hour at which an envelope that is drafted at `now` says it was made: [`HEAD_START`] later,
/// rounded up to the [`GRID`], of which every life is a multiple.
#[must_use]
pub fn hour_made(now: UnixSeconds) -> UnixSeconds {
    let grid = u64::from(GRID.0);
    UnixSeconds(now.plus(HEAD_START).0.div_ceil(grid).saturating_mul(grid))
}

impl Draft {
    /// Drafts an envelope that is made at `now`: it expires [`HEAD_START`] and its lifetime later,
    /// rounded up to the [`GRID`].
    ///
    /// # Errors
    /// [`DraftError`] for an envelope that no node would carry.
    pub fn new(
        now: UnixSeconds,
        lifetime: Lifetime,
        topic: Topic,
        data: Vec<u8>,
    ) -> Result<Self, DraftError> {
        if data.len() > MAX_DATA {
            return Err(DraftError::TooLong);
        }
        // Rounded up: the envelope lives at least as long as was asked, and its expiry does not
        // show the second it was made.
        let ttl = lifetime.ttl();
        let expiry = hour_made(now).plus(ttl);
        let envelope = Envelope { expiry, ttl, topic, data: &data, nonce: WorkNonce(0) };
        Ok(Self { prefix: envelope.encode_prefix(), lifetime })
    }

    /// The size of the envelope it will be, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.prefix.len() + wire::NONCE_FIELD
    }

    /// H: Keccak-256 of the encoding without its nonce.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Keccak256::digest(&self.prefix).into()
    }

    /// What it will be charged.
    #[must_use]
    pub fn charge(&self) -> Charge {
        Charge::new(self.size(), self.lifetime.share())
    }

    /// The search this draft needs where `step` is asked above the floor. `start` must be random,
    /// so that the nonce tells nothing of how long the search took.
    #[must_use]
    pub fn mining_job(
        &self,
        outgoing: OutgoingId,
        (floor, step): (Floor, Step),
        start: u64,
    ) -> MiningJob {
        let target = self.charge().target(floor, step);
        MiningJob { outgoing, digest: self.digest(), target, start }
    }

    /// Adds the nonce; returns the id and the canonical encoding. Whether the nonce shows enough
    /// work is for [`super::check()`] to see, through which our own envelopes pass as all others
    /// do.
    #[must_use]
    pub fn finish(self, nonce: WorkNonce) -> (EnvelopeId, Vec<u8>) {
        let id = EnvelopeId(work::digest(&self.digest(), nonce));
        let mut bytes = self.prefix;
        wire::append_nonce(&mut bytes, nonce);
        (id, bytes)
    }

    /// Searches at once, however long it takes, and adds the nonce found. For tests, examples and
    /// simulations with a low floor; a node hands its searches out instead.
    #[must_use]
    pub fn mine(self, floor: &Floor, start: u64) -> Option<(EnvelopeId, Vec<u8>)> {
        let job = self.mining_job(OutgoingId(0), (*floor, Step::default()), start);
        let nonce = work::search(&job, WorkNonce(start), u64::MAX)?;
        Some(self.finish(nonce))
    }
}

impl core::fmt::Debug for Draft {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { prefix: _, lifetime } = self;
        f.debug_struct("Draft").field("size", &self.size()).field("lifetime", lifetime).finish()
    }
}

/// Why a draft was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// Split the data.
    #[error("the data is too long for an envelope")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wire::{BODY_SIZE, ENVELOPE_SIZE, MAX_ENVELOPE_SIZE};
    use super::*;

    fn draft(lifetime: Lifetime, data: usize) -> Draft {
        let topic = Topic([1, 2, 3, 4]);
        Draft::new(UnixSeconds(1_700_000_001), lifetime, topic, vec![5; data]).unwrap()
    }

    fn expiry(now: u64, lifetime: Lifetime) -> u64 {
        let draft = Draft::new(UnixSeconds(now), lifetime, Topic([0; 4]), Vec::new()).unwrap();
        Envelope::decode(&draft.finish(WorkNonce(0)).1).unwrap().expiry.0
    }

    #[test]
    fn a_body_makes_an_envelope_of_2048_bytes() {
        let draft = draft(Lifetime::Day, BODY_SIZE);
        assert_eq!((draft.size(), draft.charge().units()), (ENVELOPE_SIZE, 8));
        assert_eq!(draft.finish(WorkNonce(0)).1.len(), ENVELOPE_SIZE);
    }

    #[test]
    fn the_most_data_makes_the_largest_envelope() {
        let largest = draft(Lifetime::Week, MAX_DATA);
        assert_eq!((largest.size(), largest.charge().units()), (MAX_ENVELOPE_SIZE, 1_024));
        let longer = vec![0; MAX_DATA + 1];
        let refused = Draft::new(UnixSeconds(0), Lifetime::Day, Topic([0; 4]), longer);
        assert_eq!(refused, Err(DraftError::TooLong));
    }

    #[test]
    fn two_envelopes_of_one_hour_have_one_expiry() {
        let hour = 472_222 * 3_600;
        let day = |now| expiry(now, Lifetime::Day);
        assert_eq!(day(hour), hour + 3_600 + 86_400);
        assert_eq!(day(hour + 3_600 - 120), hour + 3_600 + 86_400);
        assert_eq!(day(hour + 3_600 - 119), hour + 7_200 + 86_400);
    }

    #[test]
    fn a_mining_job_asks_for_what_the_floor_and_the_step_ask() {
        let draft = draft(Lifetime::Day, BODY_SIZE);
        let job = draft.mining_job(OutgoingId(3), (Floor::new(12), Step::new(2)), 99);
        let (digest, target) = (draft.digest(), 1 << (96 - 14));
        assert_eq!(job, MiningJob { outgoing: OutgoingId(3), digest, target, start: 99 });
    }

    #[test]
    fn debug_shows_size_and_life_alone() {
        let shown = format!("{:?}", draft(Lifetime::Day, BODY_SIZE));
        assert_eq!(shown, "Draft { size: 2048, lifetime: Day }");
    }

    proptest! {
        #[test]
        fn a_draft_and_its_envelope_have_the_same_id(nonce: u64, size in 0_usize..400) {
            let (id, bytes) = draft(Lifetime::SixHours, size).finish(WorkNonce(nonce));
            prop_assert_eq!(EnvelopeId::of(&bytes), Some(id));
        }

        #[test]
        fn an_expiry_is_on_the_grid_and_no_life_is_cut_short(
            now in 0..1_u64 << 40, lifetime in prop::sample::select(&Lifetime::ALL[..]),
        ) {
            let (expiry, ttl) = (expiry(now, lifetime), u64::from(lifetime.ttl().0));
            prop_assert_eq!(expiry % 3_600, 0);
            prop_assert!(expiry >= now + 120 + ttl);
            prop_assert!(expiry < now + 120 + ttl + 3_600);
        }
    }
}
