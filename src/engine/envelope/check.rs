//! The checks an envelope must pass before we carry it, and the verdict on its carrier if it does
//! not (`proto/README.md`, "What a carrier does").
//!
//! [`check`] is the only maker of a [`CheckedEnvelope`], so nothing unchecked can be held or passed
//! on. It looks at the cheap things first, decrypts nothing and touches no disk.
//! [`ValidationError::acceptance`] is the only place that turns a reason into a consequence.

use core::cmp::Ordering;
use core::ops::Range;

use super::draft::HEAD_START;
use super::lifetime::Lifetime;
use super::topic::Topic;
use super::wire::{self, Envelope, EnvelopeId, GRID, MAX_ENVELOPE_SIZE};
use super::work::WorkNonce;
use crate::engine::env::{Seconds, UnixSeconds};
use crate::engine::price::{Charge, Floor, Priority, Step};

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
    let id = inspect(&bytes, floor)?;
    check_inspected(id, bytes, now, floor)
}

/// Checks what every node sees alike in the bytes: size, encoding, life, grid and work. Returns
/// the id.
///
/// No clock is asked, so a node that refuses an envelope here may blame its carrier, and nothing
/// without work is ever answered by anything that depends on a clock or on what is held.
///
/// # Errors
/// One of the first five of [`ValidationError`], in their order.
pub fn inspect(bytes: &[u8], floor: &Floor) -> Result<EnvelopeId, ValidationError> {
    let (envelope, lifetime) = read(bytes)?;
    let id = EnvelopeId::of_decoded(bytes, envelope.nonce);
    rate(&id, bytes.len(), lifetime, floor)?;
    Ok(id)
}

/// Checks envelopes that came together, each as [`inspect`] does; they are hashed side by side.
#[must_use]
pub fn inspect_each(
    envelopes: &[&[u8]],
    floor: &Floor,
) -> Vec<Result<EnvelopeId, ValidationError>> {
    let read: Vec<_> = envelopes.iter().map(|bytes| read(bytes)).collect();
    let readable = envelopes.iter().zip(&read).filter_map(|(bytes, read)| {
        read.as_ref().ok().map(|(envelope, _)| (*bytes, envelope.nonce))
    });
    // One for each that was read, in their order.
    let mut ids = EnvelopeId::of_each_decoded(&readable.collect::<Vec<_>>()).into_iter();
    let inspected = envelopes.iter().zip(&read).map(|(bytes, read)| {
        let (_, lifetime) = read.as_ref().map_err(|error| *error)?;
        let id = ids.next().ok_or(ValidationError::Malformed)?;
        rate(&id, bytes.len(), *lifetime, floor)?;
        Ok(id)
    });
    inspected.collect()
}

/// Checks the bytes of an envelope at the moment `now`, with the id that [`inspect`] computed from
/// the very same bytes: nothing is hashed twice.
///
/// # Errors
/// The first reason not to carry it, in the order of [`ValidationError`].
pub fn check_inspected(
    id: EnvelopeId,
    bytes: Vec<u8>,
    now: UnixSeconds,
    floor: &Floor,
) -> Result<CheckedEnvelope, ValidationError> {
    let (envelope, lifetime) = read(&bytes)?;
    debug_assert!(id == EnvelopeId::of_decoded(&bytes, envelope.nonce), "another's id was lent");
    let (charge, priority) = rate(&id, bytes.len(), lifetime, floor)?;
    let Envelope { expiry, ttl: _, topic, data, nonce } = envelope;
    // After the work: an answer that depends on the clock is given only for what paid for it.
    if let Some(error) = off_time(expiry, lifetime, now) {
        return Err(error);
    }
    let data = wire::data_range(bytes.len(), data.len());
    Ok(CheckedEnvelope { id, charge, priority, expiry, lifetime, topic, nonce, data, bytes })
}

/// Why the bytes that [`inspect`] admitted come at the wrong time; none if they come in time.
#[must_use]
pub fn untimely(bytes: &[u8], now: UnixSeconds) -> Option<ValidationError> {
    let (envelope, lifetime) = read(bytes).ok()?;
    off_time(envelope.expiry, lifetime, now)
}

fn off_time(expiry: UnixSeconds, lifetime: Lifetime, now: UnixSeconds) -> Option<ValidationError> {
    if expired(expiry, now) {
        return Some(ValidationError::Expired);
    }
    // An envelope dated ahead would be held for longer than the life its work paid for.
    is_early(expiry, lifetime, now).then_some(ValidationError::TooFarInFuture)
}

/// Reads an envelope, and checks what costs no hash.
fn read(bytes: &[u8]) -> Result<(Envelope<'_>, Lifetime), ValidationError> {
    // First, because it bounds the cost of all other checks.
    if bytes.len() > MAX_ENVELOPE_SIZE {
        return Err(ValidationError::TooLarge);
    }
    let envelope = Envelope::decode(bytes).map_err(|_| ValidationError::Malformed)?;
    let lifetime = Lifetime::of(envelope.ttl).ok_or(ValidationError::InvalidTtl)?;
    if !envelope.expiry.0.is_multiple_of(u64::from(GRID.0)) {
        return Err(ValidationError::UnalignedExpiry);
    }
    Ok((envelope, lifetime))
}

/// What an envelope is charged, and what it paid: at least the floor.
fn rate(
    id: &EnvelopeId,
    size: usize,
    lifetime: Lifetime,
    floor: &Floor,
) -> Result<(Charge, Priority), ValidationError> {
    let charge = Charge::new(size, lifetime.share());
    let priority = Priority::new(id.work(), charge);
    if !floor.admits(priority, Step::default()) {
        return Err(ValidationError::InsufficientPow);
    }
    Ok((charge, priority))
}

/// Whether an expiry is further ahead than any honest clock within the tolerance would write.
#[must_use]
pub fn is_early(expiry: UnixSeconds, lifetime: Lifetime, now: UnixSeconds) -> bool {
    let latest = now.plus(lifetime.ttl()).plus(HEAD_START).plus(GRID).plus(CLOCK_TOLERANCE);
    expiry > latest
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
    charge: Charge,
    priority: Priority,
    expiry: UnixSeconds,
    lifetime: Lifetime,
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
        let Self { id: _, charge: _, priority: _, expiry, lifetime, topic, nonce, data, bytes } =
            self;
        let data = bytes.get(data.clone()).unwrap_or_default();
        Envelope { expiry: *expiry, ttl: lifetime.ttl(), topic: *topic, data, nonce: *nonce }
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

    /// What it is charged.
    #[must_use]
    pub const fn charge(&self) -> Charge {
        self.charge
    }

    /// Its lifetime.
    #[must_use]
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
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

    /// When it was made, on the grid: its expiry less its lifetime. Up to two minutes and an hour
    /// late.
    #[must_use]
    pub const fn made(&self) -> UnixSeconds {
        self.expiry.minus(self.lifetime.ttl())
    }

    /// Whether it is still carried: time passes between a check and a turn in a queue.
    #[must_use]
    pub fn in_time(&self, now: UnixSeconds) -> bool {
        !expired(self.expiry, now)
    }
}

impl core::fmt::Debug for CheckedEnvelope {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CheckedEnvelope")
            .field("lifetime", &self.lifetime)
            .field("size", &self.bytes.len())
            .finish()
    }
}

/// The place of an envelope among all others: by priority, and among equals the smaller id first.
///
/// The order is total and every node has the same, so which envelopes outlive a flood does not
/// depend on the order in which they arrived. Among envelopes of one life and size it is the id as
/// a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PriorityKey {
    /// The envelope's priority.
    pub priority: Priority,
    /// The envelope's id; decides between equals, and nobody can choose it without work.
    pub id: EnvelopeId,
}

impl Ord for PriorityKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.priority.cmp(&other.priority).then_with(|| other.id.cmp(&self.id))
    }
}

impl PartialOrd for PriorityKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl core::fmt::Debug for PriorityKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PriorityKey")
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
    /// A life that is none of the three. *Reject:* every node sees it in the bytes.
    #[error("the lifetime is not 6 hours, 1 day or 7 days")]
    InvalidTtl,
    /// An expiry that is not on the grid. *Reject:* every node sees it in the bytes.
    #[error("the expiry is not on a whole hour")]
    UnalignedExpiry,
    /// Less work than the network's floor. *Reject:* the floor is part of the gossip topic, and
    /// every honest node checks it before it passes anything on.
    #[error("too little proof of work")]
    InsufficientPow,
    /// Its time is over. *Ignore:* it may have been in time when it was passed on, or the carrier's
    /// clock is behind ours, or ours is wrong.
    #[error("expired")]
    Expired,
    /// Its time is too far off for its lifetime. *Ignore:* the carrier's clock may be ahead of
    /// ours, or ours is wrong.
    #[error("too far in the future")]
    TooFarInFuture,
    /// Seen before. *Ignore:* in a flood everybody hands over what others have handed over.
    #[error("a duplicate")]
    Duplicate,
    /// Less work than the line asks for at the moment, or nothing is left of the line. *Ignore:*
    /// our load is not the carrier's fault, and a refusal that is not unanimous would cut it off.
    /// Remembered, and not fetched until the line is calm.
    #[error("less work than the line asks for at the moment")]
    LineBusy,
    /// Less work than its share of the room asks for, or the share is full of better ones.
    /// *Accept:* passed on but not held. A full pool must not cut the conversations of others, who
    /// may have room or be waiting for this very envelope. Its id is remembered, so that it is
    /// passed on once.
    #[error("forwarded but not stored: its share of the pool asks for more work")]
    PoolFull,
    /// The queue, or the memory of ids, is full of better ones. *Ignore:* we are busy; the carrier
    /// did nothing wrong, and another node passes it on.
    #[error("the queue is full of envelopes of higher priority")]
    QueueFull,
}

impl ValidationError {
    /// Every reason, in order; the place of each is its [`Self::index`].
    pub const ALL: [Self; 11] = [
        Self::TooLarge,
        Self::Malformed,
        Self::InvalidTtl,
        Self::UnalignedExpiry,
        Self::InsufficientPow,
        Self::Expired,
        Self::TooFarInFuture,
        Self::Duplicate,
        Self::LineBusy,
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
            Self::Expired
            | Self::TooFarInFuture
            | Self::Duplicate
            | Self::LineBusy
            | Self::QueueFull => Acceptance::Ignore,
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
    use super::super::wire::MAX_DATA;
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    /// On a whole hour.
    const NOON: UnixSeconds = UnixSeconds(472_222 * 3600);
    const NO_FLOOR: Floor = Floor::new(0);
    const DAY: Seconds = Lifetime::Day.ttl();

    fn mined(now: UnixSeconds, lifetime: Lifetime, data: usize, floor: &Floor) -> Vec<u8> {
        let draft = Draft::new(now, lifetime, Topic([1, 2, 3, 4]), vec![9; data]).unwrap();
        draft.mine(floor, 0).unwrap().1
    }

    /// An envelope with these times, and the first nonce that pays for as much as possible.
    fn encoded(expiry: UnixSeconds, ttl: Seconds) -> Vec<u8> {
        let with = |nonce| {
            let topic = Topic([0; 4]);
            Envelope { expiry, ttl, topic, data: &[], nonce: WorkNonce(nonce) }.encode()
        };
        // At a floor of nothing a quarter of all nonces pays for a week.
        let pays =
            |bytes: &Vec<u8>| inspect(bytes, &NO_FLOOR) != Err(ValidationError::InsufficientPow);
        (0..).map(with).find(pays).unwrap()
    }

    fn refusal(bytes: Vec<u8>, now: UnixSeconds) -> Option<ValidationError> {
        check(bytes, now, &NO_FLOOR).err()
    }

    fn off(by: u32) -> UnixSeconds {
        NOON.plus(Seconds(by))
    }

    #[test]
    fn a_checked_envelope_is_the_envelope_that_was_checked() {
        let bytes = mined(NOON, Lifetime::Day, 2016, &NO_FLOOR);
        let checked = check(bytes.clone(), NOON, &NO_FLOOR).unwrap();
        assert_eq!(checked.envelope(), Envelope::decode(&bytes).unwrap());
        assert_eq!(Some(checked.id()), EnvelopeId::of(&bytes));
        assert_eq!(inspect(&bytes, &NO_FLOOR), Ok(checked.id()));
        assert_eq!(checked.bytes(), bytes);
        assert_eq!(checked.topic(), Topic([1, 2, 3, 4]));
        assert_eq!((checked.charge().units(), checked.lifetime()), (8, Lifetime::Day));
        assert_eq!(checked.into_bytes(), bytes);
    }

    #[test]
    fn an_expired_envelope_is_ignored_not_punished() {
        let expiry = off(3_600);
        let last = expiry.plus(CLOCK_TOLERANCE).minus(Seconds(1));
        let checked = check(encoded(expiry, DAY), last, &NO_FLOOR).unwrap();
        assert!(checked.in_time(last));
        assert!(!checked.in_time(expiry.plus(CLOCK_TOLERANCE)));
        let refused = refusal(checked.into_bytes(), expiry.plus(CLOCK_TOLERANCE)).unwrap();
        assert_eq!(refused, ValidationError::Expired);
        assert_eq!(refused.acceptance(), Acceptance::Ignore);
    }

    #[test]
    fn an_envelope_from_a_fast_clock_is_carried_up_to_the_tolerance() {
        for lifetime in Lifetime::ALL {
            // The latest expiry an honest clock gives: for a draft made a second after the hour
            // that is two minutes away.
            let expiry = NOON.plus(lifetime.ttl()).plus(Seconds(3_600 + 120));
            let expiry = UnixSeconds(expiry.0.div_ceil(3_600) * 3_600);
            let earliest = expiry.minus(lifetime.ttl()).minus(Seconds(3_600 + 420));
            assert_eq!(refusal(encoded(expiry, lifetime.ttl()), earliest), None, "{lifetime:?}");
            let too_soon = earliest.minus(Seconds(1));
            assert_eq!(
                refusal(encoded(expiry, lifetime.ttl()), too_soon),
                Some(ValidationError::TooFarInFuture),
                "{lifetime:?}"
            );
        }
    }

    #[test]
    fn a_life_that_is_none_of_the_three_is_rejected() {
        for ttl in [0, 1, 600, 3_600, 21_599, 21_601, 86_399, 604_801, u32::MAX] {
            let refused = refusal(encoded(NOON, Seconds(ttl)), NOON);
            assert_eq!(refused, Some(ValidationError::InvalidTtl), "{ttl}");
        }
        for lifetime in Lifetime::ALL {
            assert_eq!(refusal(encoded(off(3_600), lifetime.ttl()), NOON), None);
        }
    }

    #[test]
    fn an_expiry_that_is_not_on_a_whole_hour_is_rejected() {
        for by in [1, 600, 1_800, 3_599] {
            let refused = refusal(encoded(off(by), Lifetime::SixHours.ttl()), NOON);
            assert_eq!(refused, Some(ValidationError::UnalignedExpiry), "{by}");
        }
    }

    #[test]
    fn the_largest_envelope_is_carried_and_one_byte_more_is_not() {
        let largest = mined(NOON, Lifetime::SixHours, MAX_DATA, &NO_FLOOR);
        assert_eq!(largest.len(), MAX_ENVELOPE_SIZE);
        assert_eq!(refusal(largest.clone(), NOON), None);
        let larger = [largest.as_slice(), &[0]].concat();
        assert_eq!(refusal(larger, NOON), Some(ValidationError::TooLarge));
    }

    #[test]
    fn the_floor_is_met_exactly_or_not_at_all() {
        let floor = Floor::new(8);
        let draft = Draft::new(NOON, Lifetime::Day, Topic([0; 4]), vec![0; 2016]).unwrap();
        let target = draft.charge().target(floor, Step::default());
        let with = |nonce| draft.clone().finish(WorkNonce(nonce));
        let (mut enough, mut little) = (0, 0);
        for (id, bytes) in (0..2_000).map(with) {
            match check(bytes, NOON, &floor) {
                Ok(checked) => {
                    assert!(id.work() < target && checked.id() == id);
                    enough += 1;
                }
                Err(refused) => {
                    assert!(id.work() >= target);
                    assert_eq!(refused, ValidationError::InsufficientPow);
                    little += 1;
                }
            }
        }
        assert!(enough > 0 && little > 0, "{enough} {little}");
    }

    #[test]
    fn the_floor_is_looked_at_before_the_clock_and_cheap_things_before_both() {
        // Wrong in everything that can be wrong in a well-formed envelope.
        let high = Floor::new(40);
        let refused = |expiry, ttl| check(encoded(expiry, ttl), NOON, &high).unwrap_err();
        assert_eq!(refused(UnixSeconds(1), Seconds(0)), ValidationError::InvalidTtl);
        assert_eq!(refused(UnixSeconds(1), DAY), ValidationError::UnalignedExpiry);
        assert_eq!(refused(UnixSeconds(3_600), DAY), ValidationError::InsufficientPow);
        assert_eq!(refused(UnixSeconds(NOON.0 * 2), DAY), ValidationError::InsufficientPow);
        assert_eq!(refusal(encoded(UnixSeconds(3_600), DAY), NOON), Some(ValidationError::Expired));
        let ahead = encoded(UnixSeconds(NOON.0 * 2), DAY);
        assert_eq!(refusal(ahead, NOON), Some(ValidationError::TooFarInFuture));
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
                ValidationError::LineBusy,
                ValidationError::QueueFull
            ]
        );
    }

    #[test]
    fn debug_shows_life_and_size_alone() {
        let checked = check(encoded(off(3_600), DAY), NOON, &NO_FLOOR).unwrap();
        let shown = format!("{checked:?} {:?}", checked.priority_key());
        assert_eq!(shown, "CheckedEnvelope { lifetime: Day, size: 31 } PriorityKey");
    }

    proptest! {
        #[test]
        fn checking_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), now: u64, bits: u8,
        ) {
            let _refused = check(bytes, UnixSeconds(now), &Floor::new(bits)).is_err();
        }

        #[test]
        fn no_clock_and_no_time_field_makes_a_check_panic(
            now: u64, expiry: u64, lifetime in prop::sample::select(&Lifetime::ALL[..]),
        ) {
            let expiry = expiry - expiry % 3600;
            let bytes = encoded(UnixSeconds(expiry), lifetime.ttl());
            let _refused = refusal(bytes, UnixSeconds(now));
        }

        #[test]
        fn a_draft_is_carried_at_once_by_every_clock_within_the_tolerance(
            now in 1_000_000..1_u64 << 40, lifetime in prop::sample::select(&Lifetime::ALL[..]),
            ahead: bool, off in 0..=CLOCK_TOLERANCE.0,
        ) {
            let now = UnixSeconds(now);
            let bytes = mined(now, lifetime, 0, &NO_FLOOR);
            let there = if ahead { now.plus(Seconds(off)) } else { now.minus(Seconds(off)) };
            prop_assert_eq!(refusal(bytes, there), None);
        }

        #[test]
        fn envelopes_that_come_together_are_each_inspected_as_alone(
            kinds in proptest::collection::vec((0_usize..400, 0_u32..4, any::<u64>()), 0..25),
            bits in 0_u8..5,
        ) {
            let floor = Floor::new(bits);
            let all: Vec<Vec<u8>> = kinds
                .iter()
                .map(|(data, kind, nonce)| {
                    // Of few sizes, so that some that stand beside each other have one.
                    let data = vec![7; data / 200 * 300];
                    let ttl = if *kind == 0 { Seconds(5) } else { DAY };
                    let (expiry, nonce) = (off(3_600), WorkNonce(*nonce));
                    let topic = Topic([0; 4]);
                    let bytes = Envelope { expiry, ttl, topic, data: &data, nonce }.encode();
                    if *kind == 1 { bytes[1..].to_vec() } else { bytes }
                })
                .collect();
            let together: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
            let alone: Vec<_> = together.iter().map(|bytes| inspect(bytes, &floor)).collect();
            prop_assert_eq!(inspect_each(&together, &floor), alone);
            let named: Vec<_> = together.iter().map(|bytes| EnvelopeId::of(bytes)).collect();
            prop_assert_eq!(EnvelopeId::of_each(&together), named);
        }

        #[test]
        fn one_flipped_bit_changes_the_id_or_the_verdict(at in 0_usize..2048, bit in 0_u32..8) {
            let bytes = mined(NOON, Lifetime::Day, 2016, &NO_FLOOR);
            let id = EnvelopeId::of(&bytes);
            let mut flipped = bytes;
            flipped[at] ^= 1 << bit;
            prop_assert!(
                check(flipped, NOON, &NO_FLOOR).map_or(true, |checked| Some(checked.id()) != id)
            );
        }
    }

    #[test]
    fn changed_at_random_an_envelope_is_checked_alike_at_the_door_and_behind_it() {
        let seeds = Lifetime::ALL.map(|lifetime| mined(NOON, lifetime, 100, &NO_FLOOR));
        each_case(&seeds, |bytes| {
            let seen = inspect(bytes, &NO_FLOOR);
            for now in [UnixSeconds(0), NOON, UnixSeconds(u64::MAX)] {
                match check(bytes.to_vec(), now, &NO_FLOOR) {
                    Ok(checked) => assert_eq!((Ok(checked.id()), checked.bytes()), (seen, bytes)),
                    Err(refused) if refused.acceptance() == Acceptance::Reject => {
                        assert_eq!(seen, Err(refused));
                    }
                    Err(_) => assert!(seen.is_ok()),
                }
            }
            Reading::of(seen)
        });
    }
}
