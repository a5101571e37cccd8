//! The checks an envelope must pass before we carry it, and the verdict on its carrier if it does
//! not (`proto/README.md`, "What a carrier does").
//!
//! [`check`] is the only maker of a [`CheckedEnvelope`], so nothing unchecked can be held or passed
//! on. It looks at the cheap things first, decrypts nothing and touches no disk.
//! [`ValidationError::acceptance`] is the only place that turns a reason into a consequence.

use core::ops::Range;

use super::topic::Topic;
use super::wire::WorkNonce;
use super::wire::{self, Envelope, EnvelopeId, MAX_ENVELOPE_SIZE, MAX_TTL, expiry_quantum};
use super::work::{self, Floor, Priority};
use crate::engine::env::{Seconds, UnixSeconds};

/// How far two clocks may be apart, in seconds, before one's envelopes are refused by the other.
///
/// 5 minutes, as Kerberos allows between its parties (RFC 4120, section 8.2). A quartz clock that
/// is off by 100 parts in a million loses as much in a month without correction.
pub const CLOCK_TOLERANCE: Seconds = Seconds(300);

/// Checks the bytes of an envelope at the moment `now`.
///
/// # Errors
/// The first reason not to carry it, in the order of [`ValidationError`].
pub fn check(
    bytes: Vec<u8>,
    now: UnixSeconds,
    floor: &Floor,
) -> Result<CheckedEnvelope, ValidationError> {
    // First, because it bounds the cost of all other checks.
    if bytes.len() > MAX_ENVELOPE_SIZE {
        return Err(ValidationError::TooLarge);
    }
    let envelope = Envelope::decode(&bytes).map_err(|_| ValidationError::Malformed)?;
    let Envelope { expiry, ttl, topic, data, nonce } = envelope;
    // Before the work: it costs no hash.
    check_times(expiry, ttl, now)?;

    let (digest, id) = wire::digest_and_id(&bytes);
    let priority = Priority::new(work::measure(&digest, nonce), bytes.len(), ttl);
    if !floor.admits(priority) {
        return Err(ValidationError::InsufficientPow);
    }
    let data = wire::data_range(bytes.len(), data.len());
    Ok(CheckedEnvelope { id, priority, expiry, ttl, topic, nonce, data, bytes })
}

/// Whether an envelope's two times agree with each other and with the clock.
fn check_times(expiry: UnixSeconds, ttl: Seconds, now: UnixSeconds) -> Result<(), ValidationError> {
    if ttl == Seconds(0) || ttl > MAX_TTL {
        return Err(ValidationError::InvalidTtl);
    }
    let step = expiry_quantum(ttl);
    // Every node sees an expiry off the grid in the bytes, so it is refused before the clock, about
    // which nodes may differ.
    if !expiry.0.is_multiple_of(u64::from(step.0)) {
        return Err(ValidationError::UnalignedExpiry);
    }
    if expired(expiry, now) {
        return Err(ValidationError::Expired);
    }
    // An envelope dated ahead would be held for longer than the life its work paid for.
    if expiry > now.plus(ttl).plus(step).plus(CLOCK_TOLERANCE) {
        return Err(ValidationError::TooFarInFuture);
    }
    Ok(())
}

/// Whether an envelope with this expiry is past its time, tolerance included.
#[must_use]
pub fn expired(expiry: UnixSeconds, now: UnixSeconds) -> bool {
    expiry.plus(CLOCK_TOLERANCE) <= now
}

/// An envelope that was in time and showed enough work, at the moment it was checked.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckedEnvelope {
    id: EnvelopeId,
    priority: Priority,
    expiry: UnixSeconds,
    ttl: Seconds,
    topic: Topic,
    nonce: WorkNonce,
    /// Where in `bytes` the data lies.
    data: Range<usize>,
    bytes: Vec<u8>,
}

impl CheckedEnvelope {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> EnvelopeId {
        self.id
    }

    /// The five fields; nothing is copied.
    #[must_use]
    pub fn envelope(&self) -> Envelope<'_> {
        let Self { id: _, priority: _, expiry, ttl, topic, nonce, data, bytes } = self;
        let data = bytes.get(data.clone()).unwrap_or_default();
        Envelope { expiry: *expiry, ttl: *ttl, topic: *topic, data, nonce: *nonce }
    }

    /// The canonical encoding.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The canonical encoding, without copying it.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Its priority.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// Its place among all envelopes.
    #[must_use]
    pub const fn priority_key(&self) -> PriorityKey {
        PriorityKey { priority: self.priority, id: self.id }
    }

    /// Its topic.
    #[must_use]
    pub const fn topic(&self) -> Topic {
        self.topic
    }

    /// The time until which it is carried, give or take [`CLOCK_TOLERANCE`].
    #[must_use]
    pub const fn expiry(&self) -> UnixSeconds {
        self.expiry
    }

    /// When it was made, rounded to its quantum: its expiry less its lifetime. Up to a quantum
    /// late.
    #[must_use]
    pub const fn made(&self) -> UnixSeconds {
        self.expiry.minus(self.ttl)
    }

    /// Whether it is still carried: time passes between a check and a turn in a queue.
    #[must_use]
    pub fn in_time(&self, now: UnixSeconds) -> bool {
        !expired(self.expiry, now)
    }
}

impl core::fmt::Debug for CheckedEnvelope {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { id: _, priority, expiry: _, ttl: _, topic: _, nonce: _, data: _, bytes } = self;
        f.debug_struct("CheckedEnvelope")
            .field("priority", priority)
            .field("size", &bytes.len())
            .finish()
    }
}

/// The place of an envelope among all others: by priority, and among equals by id.
///
/// The order is total and every node has the same, so which envelopes outlive a flood does not
/// depend on the order in which they arrived.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PriorityKey {
    /// The envelope's priority.
    pub priority: Priority,
    /// The envelope's id; decides between equals, and nobody can choose it without work.
    pub id: EnvelopeId,
}

impl core::fmt::Debug for PriorityKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("PriorityKey").field(&self.priority).finish()
    }
}

/// Why we do not hold an envelope. The first seven come from [`check`], in this order; the others
/// from the queue and the pool an envelope passes afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum ValidationError {
    /// More than [`MAX_ENVELOPE_SIZE`] bytes. *Reject:* the limit is part of the protocol, and who
    /// passes such a thing on has not looked at it.
    #[error("too large for an envelope")]
    TooLarge,
    /// Not an envelope in its canonical encoding. *Reject:* no version of anybody's clock or memory
    /// makes these bytes right.
    #[error("not the canonical encoding of an envelope")]
    Malformed,
    /// A life of nothing or of more than 7 days. *Reject:* every node sees it in the bytes.
    #[error("the lifetime is zero or more than 7 days")]
    InvalidTtl,
    /// An expiry that is not rounded to its quantum. *Reject:* every node sees it in the bytes.
    #[error("the expiry is not rounded to its quantum")]
    UnalignedExpiry,
    /// Its time is over. *Ignore:* it may have been in time when it was passed on, or the carrier's
    /// clock is behind ours, or ours is wrong.
    #[error("expired")]
    Expired,
    /// Its time is too far off for its lifetime. *Ignore:* the carrier's clock may be ahead of
    /// ours, or ours is wrong.
    #[error("too far in the future")]
    TooFarInFuture,
    /// Less work than the network's floor. *Reject:* the floor is part of the gossip topic, and
    /// every honest node checks it before it passes anything on.
    #[error("too little proof of work")]
    InsufficientPow,
    /// Seen before. *Ignore:* in a flood everybody hands over what others have handed over.
    #[error("a duplicate")]
    Duplicate,
    /// The pool is full of better ones. *Accept:* passed on but not held. A full pool must not cut
    /// the conversations of others, who may have room or be waiting for this very envelope. Its id
    /// is remembered, so that it is passed on once.
    #[error("forwarded but not stored: the pool is full of envelopes of higher priority")]
    PoolFull,
    /// The queue, or the memory of ids, is full of better ones. *Ignore:* we are busy; the carrier
    /// did nothing wrong, and another node passes it on.
    #[error("the queue is full of envelopes of higher priority")]
    QueueFull,
}

impl ValidationError {
    /// Every reason, in order; the place of each is its [`Self::index`].
    pub const ALL: [Self; 10] = [
        Self::TooLarge,
        Self::Malformed,
        Self::InvalidTtl,
        Self::UnalignedExpiry,
        Self::Expired,
        Self::TooFarInFuture,
        Self::InsufficientPow,
        Self::Duplicate,
        Self::PoolFull,
        Self::QueueFull,
    ];

    /// A number for tables of counters: from 0, below the length of [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The verdict for the carrier's protocol.
    #[must_use]
    pub const fn acceptance(self) -> Acceptance {
        match self {
            // Every honest node refuses these alike, whatever its clock, its memory or its load:
            // the carrier has passed on what it did not check.
            Self::TooLarge
            | Self::Malformed
            | Self::InvalidTtl
            | Self::UnalignedExpiry
            | Self::InsufficientPow => Acceptance::Reject,
            // Honest carriers may differ from us in all of these.
            Self::Expired | Self::TooFarInFuture | Self::Duplicate | Self::QueueFull => {
                Acceptance::Ignore
            }
            // Ours is the only pool that is known to be full.
            Self::PoolFull => Acceptance::Accept,
        }
    }
}

/// The verdict for the carrier's protocol: gossipsub's three answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Pass it on.
    Accept,
    /// Drop it; nobody is to blame.
    Ignore,
    /// Drop it; the carrier should have known.
    Reject,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Draft;
    use super::super::wire::{LIFETIMES, MAX_DATA, ONE_DAY, SIX_HOURS, TEN_MINUTES};
    use super::*;

    /// On a whole hour.
    const NOON: UnixSeconds = UnixSeconds(472_222 * 3600);
    const NO_FLOOR: Floor = Floor::new(0);

    fn mined(now: UnixSeconds, ttl: Seconds, data: usize, floor: &Floor) -> Vec<u8> {
        let draft = Draft::new(now, ttl, Topic([1, 2, 3, 4]), vec![9; data]).unwrap();
        draft.mine(floor, 0).unwrap().1
    }

    fn encoded(expiry: UnixSeconds, ttl: Seconds) -> Vec<u8> {
        let topic = Topic([0; 4]);
        Envelope { expiry, ttl, topic, data: &[], nonce: WorkNonce(0) }.encode()
    }

    fn refusal(bytes: Vec<u8>, now: UnixSeconds) -> Option<ValidationError> {
        check(bytes, now, &NO_FLOOR).err()
    }

    #[test]
    fn a_checked_envelope_is_the_envelope_that_was_checked() {
        let bytes = mined(NOON, ONE_DAY, 2016, &NO_FLOOR);
        let checked = check(bytes.clone(), NOON, &NO_FLOOR).unwrap();
        assert_eq!(checked.envelope(), Envelope::decode(&bytes).unwrap());
        assert_eq!(checked.id(), EnvelopeId::of(&bytes));
        assert_eq!(checked.bytes(), bytes);
        assert_eq!(checked.topic(), Topic([1, 2, 3, 4]));
        assert_eq!(checked.into_bytes(), bytes);
    }

    #[test]
    fn an_expired_envelope_is_ignored_not_punished() {
        let ttl = TEN_MINUTES;
        let last = NOON.plus(CLOCK_TOLERANCE).minus(Seconds(1));
        let checked = check(mined(NOON.minus(ttl), ttl, 0, &NO_FLOOR), last, &NO_FLOOR).unwrap();
        assert!(checked.in_time(last));
        assert!(!checked.in_time(NOON.plus(CLOCK_TOLERANCE)));
        let refused = refusal(checked.into_bytes(), NOON.plus(CLOCK_TOLERANCE)).unwrap();
        assert_eq!(refused, ValidationError::Expired);
        assert_eq!(refused.acceptance(), Acceptance::Ignore);
    }

    #[test]
    fn an_envelope_from_a_fast_clock_is_carried_up_to_the_tolerance() {
        for ttl in LIFETIMES {
            // The latest expiry an honest clock gives, for a draft made one second after a step.
            let expiry = NOON.plus(ttl).plus(expiry_quantum(ttl));
            let earliest = NOON.minus(CLOCK_TOLERANCE);
            assert_eq!(refusal(encoded(expiry, ttl), earliest), None, "{ttl:?}");
            let too_soon = earliest.minus(Seconds(1));
            assert_eq!(
                refusal(encoded(expiry, ttl), too_soon),
                Some(ValidationError::TooFarInFuture),
                "{ttl:?}"
            );
        }
    }

    #[test]
    fn a_life_of_nothing_or_more_than_a_week_is_rejected() {
        for ttl in [Seconds(0), Seconds(MAX_TTL.0 + 1), Seconds(u32::MAX)] {
            assert_eq!(refusal(encoded(NOON, ttl), NOON), Some(ValidationError::InvalidTtl));
        }
        let week = encoded(NOON.plus(MAX_TTL), MAX_TTL);
        assert_eq!(refusal(week, NOON), None);
    }

    #[test]
    fn an_expiry_that_is_not_rounded_is_rejected() {
        let off = |by| NOON.plus(Seconds(by));
        assert_eq!(refusal(encoded(off(600), TEN_MINUTES), NOON), None);
        assert_eq!(
            refusal(encoded(off(601), TEN_MINUTES), NOON),
            Some(ValidationError::UnalignedExpiry)
        );
        assert_eq!(refusal(encoded(off(3600), SIX_HOURS), NOON), None);
        assert_eq!(
            refusal(encoded(off(600), SIX_HOURS), NOON),
            Some(ValidationError::UnalignedExpiry)
        );
        assert_eq!(refusal(encoded(off(3000), Seconds(3599)), NOON), None);
        assert_eq!(
            refusal(encoded(off(3000), Seconds(3600)), NOON),
            Some(ValidationError::UnalignedExpiry)
        );
    }

    #[test]
    fn the_largest_envelope_is_carried_and_one_byte_more_is_not() {
        let largest = mined(NOON, TEN_MINUTES, MAX_DATA, &NO_FLOOR);
        assert_eq!(largest.len(), MAX_ENVELOPE_SIZE);
        assert_eq!(refusal(largest.clone(), NOON), None);
        let larger = [largest.as_slice(), &[0]].concat();
        assert_eq!(refusal(larger, NOON), Some(ValidationError::TooLarge));
    }

    #[test]
    fn the_floor_is_met_exactly_or_not_at_all() {
        let floor = Floor::new(8);
        let draft = Draft::new(NOON, ONE_DAY, Topic([0; 4]), vec![0; 2016]).unwrap();
        let digest = draft.digest();
        let showing = |bits: u32| {
            (0..).map(WorkNonce).find(|nonce| work::measure(&digest, *nonce) == bits).unwrap()
        };
        let enough = draft.clone().finish(showing(8)).1;
        assert_eq!(check(enough, NOON, &floor).unwrap().priority().bits(), 8);
        let little = draft.finish(showing(7)).1;
        assert_eq!(check(little, NOON, &floor), Err(ValidationError::InsufficientPow));
    }

    #[test]
    fn reasons_are_looked_at_cheapest_first() {
        // Wrong in everything that can be wrong in a well-formed envelope.
        let expiry = UnixSeconds(1);
        let high = Floor::new(40);
        assert_eq!(
            check(encoded(expiry, Seconds(0)), NOON, &high),
            Err(ValidationError::InvalidTtl)
        );
        assert_eq!(
            check(encoded(expiry, ONE_DAY), NOON, &high),
            Err(ValidationError::UnalignedExpiry)
        );
        let past = encoded(UnixSeconds(3600), ONE_DAY);
        assert_eq!(check(past, NOON, &high), Err(ValidationError::Expired));
        let ahead = encoded(UnixSeconds(NOON.0 * 2), ONE_DAY);
        assert_eq!(check(ahead, NOON, &high), Err(ValidationError::TooFarInFuture));
        let poor = encoded(NOON, ONE_DAY);
        assert_eq!(check(poor, NOON, &high), Err(ValidationError::InsufficientPow));
    }

    #[test]
    fn every_reason_has_its_own_place_and_consequence() {
        for (index, refusal) in ValidationError::ALL.into_iter().enumerate() {
            assert_eq!(refusal.index(), index);
        }
        let with = |acceptance| {
            ValidationError::ALL.into_iter().filter(move |r| r.acceptance() == acceptance)
        };
        assert_eq!(with(Acceptance::Accept).collect::<Vec<_>>(), [ValidationError::PoolFull]);
        assert_eq!(
            with(Acceptance::Ignore).collect::<Vec<_>>(),
            [
                ValidationError::Expired,
                ValidationError::TooFarInFuture,
                ValidationError::Duplicate,
                ValidationError::QueueFull
            ]
        );
    }

    #[test]
    fn debug_shows_priority_and_size_alone() {
        let checked = check(encoded(NOON, ONE_DAY), NOON, &NO_FLOOR).unwrap();
        let shown = format!("{checked:?} {:?}", checked.priority_key());
        assert!(shown.starts_with("CheckedEnvelope { priority: Priority { bits: "), "{shown}");
        assert!(!shown.contains("Topic") && !shown.contains("expiry"), "{shown}");
    }

    proptest! {
        #[test]
        fn checking_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), now: u64, bits: u8,
        ) {
            let _refused = check(bytes, UnixSeconds(now), &Floor::new(bits)).is_err();
        }

        #[test]
        fn no_clock_and_no_time_field_makes_a_check_panic(now: u64, expiry: u64, ttl: u32) {
            let expiry = expiry - expiry % 3600;
            let _refused = refusal(encoded(UnixSeconds(expiry), Seconds(ttl)), UnixSeconds(now));
        }

        #[test]
        fn a_draft_is_carried_at_once_by_every_clock_within_the_tolerance(
            now in 1_000_000..1_u64 << 40, ttl in 1..=MAX_TTL.0, ahead: bool, off in 0..CLOCK_TOLERANCE.0,
        ) {
            let now = UnixSeconds(now);
            let bytes = mined(now, Seconds(ttl), 0, &NO_FLOOR);
            let there = if ahead { now.plus(Seconds(off)) } else { now.minus(Seconds(off)) };
            prop_assert_eq!(refusal(bytes, there), None);
        }

        #[test]
        fn one_flipped_bit_changes_the_id_or_the_verdict(at in 0_usize..2048, bit in 0_u32..8) {
            let bytes = mined(NOON, ONE_DAY, 2016, &NO_FLOOR);
            let id = EnvelopeId::of(&bytes);
            let mut flipped = bytes;
            flipped[at] ^= 1 << bit;
            prop_assert!(check(flipped, NOON, &NO_FLOOR).map_or(true, |checked| checked.id() != id));
        }
    }
}
