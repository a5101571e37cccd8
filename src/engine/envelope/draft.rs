//! An envelope in the making: everything but its work.

use sha3::{Digest, Keccak256};

use super::topic::Topic;
use super::wire::WorkNonce;
use super::wire::{self, Envelope, EnvelopeId, MAX_DATA, MAX_TTL, expiry_quantum};
use super::work::{self, Floor, MiningJob};
use crate::engine::env::{Seconds, UnixSeconds};
use crate::engine::id::OutgoingId;

/// An envelope of ours that still lacks its work.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// The canonical encoding up to the nonce.
    prefix: Vec<u8>,
    ttl: Seconds,
}

impl Draft {
    /// Drafts an envelope that lives `ttl` from `now` on, rounded up to its [`expiry_quantum`].
    ///
    /// # Errors
    /// [`DraftError`] for an envelope that no node would carry.
    pub fn new(
        now: UnixSeconds,
        ttl: Seconds,
        topic: Topic,
        data: Vec<u8>,
    ) -> Result<Self, DraftError> {
        if ttl == Seconds(0) || ttl > MAX_TTL {
            return Err(DraftError::InvalidTtl);
        }
        if data.len() > MAX_DATA {
            return Err(DraftError::TooLong);
        }
        // Rounded up: the envelope lives at least as long as was asked, and its expiry does not
        // show the second it was made.
        let step = u64::from(expiry_quantum(ttl).0);
        let expiry = UnixSeconds(now.plus(ttl).0.div_ceil(step).saturating_mul(step));
        let envelope = Envelope { expiry, ttl, topic, data: &data, nonce: WorkNonce(0) };
        Ok(Self { prefix: envelope.encode_prefix(), ttl })
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

    /// The leading zero bits a nonce must show so that this envelope is carried.
    #[must_use]
    pub fn bits(&self, floor: &Floor) -> u8 {
        floor.required(self.size(), self.ttl)
    }

    /// The search this draft needs. `start` must be random, so that the nonce tells nothing of how
    /// long the search took.
    #[must_use]
    pub fn mining_job(&self, outgoing: OutgoingId, floor: &Floor, start: u64) -> MiningJob {
        MiningJob { outgoing, digest: self.digest(), bits: self.bits(floor), start }
    }

    /// Adds the nonce; returns the id and the canonical encoding. Whether the nonce shows enough
    /// work is for [`super::check()`] to see, through which our own envelopes pass as all others
    /// do.
    #[must_use]
    pub fn finish(self, nonce: WorkNonce) -> (EnvelopeId, Vec<u8>) {
        let mut bytes = self.prefix;
        wire::append_nonce(&mut bytes, nonce);
        (EnvelopeId::of(&bytes), bytes)
    }

    /// Searches at once, however long it takes, and adds the nonce found. For tests, examples and
    /// simulations with a low floor; a node hands its searches out instead.
    #[must_use]
    pub fn mine(self, floor: &Floor, start: u64) -> Option<(EnvelopeId, Vec<u8>)> {
        let mining_job = self.mining_job(OutgoingId(0), floor, start);
        let nonce = work::search(&mining_job, WorkNonce(start), u64::MAX)?;
        Some(self.finish(nonce))
    }
}

impl core::fmt::Debug for Draft {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { prefix: _, ttl } = self;
        f.debug_struct("Draft").field("size", &self.size()).field("ttl", ttl).finish()
    }
}

/// Why a draft was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// Choose one of [`wire::LIFETIMES`].
    #[error("a lifetime is between 1 second and 7 days")]
    InvalidTtl,
    /// Split the data.
    #[error("the data is too long for an envelope")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wire::{BODY_SIZE, ENVELOPE_SIZE, MAX_ENVELOPE_SIZE, ONE_DAY, TEN_MINUTES};
    use super::*;

    fn draft(ttl: Seconds, data: usize) -> Draft {
        Draft::new(UnixSeconds(1_700_000_001), ttl, Topic([1, 2, 3, 4]), vec![5; data]).unwrap()
    }

    fn expiry(now: u64, ttl: Seconds) -> u64 {
        let draft = Draft::new(UnixSeconds(now), ttl, Topic([0; 4]), Vec::new()).unwrap();
        Envelope::decode(&draft.finish(WorkNonce(0)).1).unwrap().expiry.0
    }

    #[test]
    fn a_body_makes_an_envelope_of_2048_bytes() {
        let draft = draft(ONE_DAY, BODY_SIZE);
        assert_eq!(draft.size(), ENVELOPE_SIZE);
        assert_eq!(draft.finish(WorkNonce(0)).1.len(), ENVELOPE_SIZE);
    }

    #[test]
    fn the_most_data_makes_the_largest_envelope() {
        assert_eq!(draft(ONE_DAY, MAX_DATA).size(), MAX_ENVELOPE_SIZE);
        let longer = vec![0; MAX_DATA + 1];
        let refused = Draft::new(UnixSeconds(0), ONE_DAY, Topic([0; 4]), longer);
        assert_eq!(refused, Err(DraftError::TooLong));
    }

    #[test]
    fn a_life_of_nothing_or_more_than_a_week_is_no_draft() {
        for ttl in [Seconds(0), Seconds(MAX_TTL.0 + 1), Seconds(u32::MAX)] {
            let refused = Draft::new(UnixSeconds(0), ttl, Topic([0; 4]), Vec::new());
            assert_eq!(refused, Err(DraftError::InvalidTtl));
        }
    }

    #[test]
    fn two_envelopes_of_one_hour_have_one_expiry() {
        let hour = 472_222 * 3600;
        assert_eq!(expiry(hour + 1, ONE_DAY), hour + 3600 + 86_400);
        assert_eq!(expiry(hour + 3600, ONE_DAY), hour + 3600 + 86_400);
        assert_eq!(expiry(hour + 3601, ONE_DAY), hour + 7200 + 86_400);
        assert_eq!(expiry(hour + 1, TEN_MINUTES), expiry(hour + 600, TEN_MINUTES));
    }

    #[test]
    fn a_mining_job_asks_for_the_bits_the_floor_requires_and_has_the_start_it_is_given() {
        let draft = draft(ONE_DAY, BODY_SIZE);
        let mining_job = draft.mining_job(OutgoingId(3), &Floor::new(12), 99);
        let digest = draft.digest();
        assert_eq!(mining_job, MiningJob { outgoing: OutgoingId(3), digest, bits: 12, start: 99 });
    }

    #[test]
    fn debug_shows_size_and_life_alone() {
        let shown = format!("{:?}", draft(ONE_DAY, BODY_SIZE));
        assert_eq!(shown, "Draft { size: 2048, ttl: Seconds(86400) }");
    }

    proptest! {
        #[test]
        fn a_draft_and_its_envelope_have_the_same_digest(nonce: u64, size in 0_usize..400) {
            let draft = draft(TEN_MINUTES, size);
            let digest = draft.digest();
            let (id, bytes) = draft.finish(WorkNonce(nonce));
            prop_assert_eq!(wire::digest_and_id(&bytes), (digest, id));
            prop_assert_eq!(EnvelopeId::of(&bytes), id);
        }

        #[test]
        fn an_expiry_is_rounded_to_its_quantum_and_no_life_is_cut_short(
            now in 0..1_u64 << 40, ttl in 1..=MAX_TTL.0,
        ) {
            let expiry = expiry(now, Seconds(ttl));
            let step = u64::from(expiry_quantum(Seconds(ttl)).0);
            prop_assert_eq!(expiry % step, 0);
            prop_assert!(expiry >= now + u64::from(ttl));
            prop_assert!(expiry < now + u64::from(ttl) + step);
        }
    }
}
