//! Work: the proof of work an envelope shows so that it is carried, in leading zero bits of a
//! digest (`proto/README.md`, "Work").
//!
//! The work digest of an envelope is Keccak-256 over the 64 bytes `H || 24 zero bytes || work
//! nonce` (u64, big-endian), where `H` is Keccak-256 of the canonical encoding without its nonce.
//! Those 64 bytes fit one block, so an attempt costs one permutation whatever the envelope's size.
//! Priorities are compared in integers, never in floats. Nothing here reads a clock, draws a number
//! or starts a thread: the caller says where to start and when to stop.

use core::cmp::Ordering;

use keccak::{Keccak, State1600};

use super::wire::{ENVELOPE_SIZE, ONE_DAY, WorkNonce};
use crate::engine::env::Seconds;
use crate::engine::id::OutgoingId;
impl WorkNonce {
    /// The nonce so many attempts further on; after the last comes the first.
    #[must_use]
    pub const fn plus(self, attempts: u64) -> Self {
        Self(self.0.wrapping_add(attempts))
    }
}

/// A search for a nonce: everything a miner needs.
#[derive(Clone, PartialEq, Eq)]
pub struct MiningJob {
    /// The envelope of ours that it is for.
    pub outgoing: OutgoingId,
    /// H: Keccak-256 of the encoding without the nonce.
    pub digest: [u8; 32],
    /// Leading zero bits to find.
    pub bits: u8,
    /// The nonce to start with: random, so that the one found tells nothing of the machine.
    pub start: u64,
}

impl core::fmt::Debug for MiningJob {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The digest and the start would show which envelope is ours.
        let Self { outgoing: _, digest: _, bits, start: _ } = self;
        f.debug_struct("MiningJob").field("bits", bits).finish()
    }
}

/// Counts the leading zero bits that `nonce` shows for the digest `H` of an envelope: 0 to 256.
#[must_use]
pub fn measure(digest: &[u8; 32], nonce: WorkNonce) -> u32 {
    let mut state = block(digest);
    set_nonce(&mut state, nonce);
    Keccak::new().with_f1600(|permute| permute(&mut state));
    leading_zeros(&state)
}

/// Tries `attempts` nonces from `from` on and returns the first that shows the bits asked for.
///
/// A driver that wants to be able to stop calls it for a few thousand attempts at a time, each time
/// from where the last call ended ([`WorkNonce::plus`]). The first call starts at
/// [`MiningJob::start`].
#[must_use]
pub fn search(job: &MiningJob, from: WorkNonce, attempts: u64) -> Option<WorkNonce> {
    let block = block(&job.digest);
    let wanted = u32::from(job.bits);
    let mut found = None;
    Keccak::new().with_f1600(|permute| {
        found = (0..attempts).map(|step| from.plus(step)).find(|nonce| {
            let mut state = block;
            set_nonce(&mut state, *nonce);
            permute(&mut state);
            leading_zeros(&state) >= wanted
        });
    });
    found
}

/// The sponge's state after absorbing the padded block with a nonce of zero.
///
/// Keccak-256 absorbs 136 bytes at a time: 17 lanes of 8 bytes, little-endian. The message fills
/// lanes 0 to 7; its padding is a 1 bit after the message and a 1 bit at the end of the block.
fn block(digest: &[u8; 32]) -> State1600 {
    let mut state = [0; 25];
    let (chunks, _) = digest.as_chunks::<8>();
    for (lane, bytes) in state.iter_mut().zip(chunks) {
        *lane = u64::from_le_bytes(*bytes);
    }
    state[8] = 0x01;
    state[16] = 0x80 << 56;
    state
}

/// Writes the nonce into the block's last 8 message bytes, big-endian in a little-endian lane.
const fn set_nonce(state: &mut State1600, nonce: WorkNonce) {
    state[7] = nonce.0.swap_bytes();
}

/// The leading zero bits of the 32 bytes at the front of the state.
fn leading_zeros(state: &State1600) -> u32 {
    let mut zeros = 0;
    for lane in state.iter().take(4) {
        let more = lane.swap_bytes().leading_zeros();
        zeros += more;
        if more < u64::BITS {
            break;
        }
    }
    zeros
}

/// The priority of an envelope for the nodes that carry it: 2^bits / (size * ttl).
///
/// Totally ordered, exactly: two priorities are equal when the two fractions are, so 10 bits for
/// one byte-second equal 11 bits for two.
#[derive(Clone, Copy, Debug)]
pub struct Priority {
    bits: u32,
    cost: u64,
}

impl Priority {
    /// More bits than these do not raise a priority: 2^64 attempts are beyond everybody, and the
    /// products compared fit 128 bits.
    pub const MAX_BITS: u32 = 64;

    /// The shortest life an envelope is charged for: 10 minutes.
    ///
    /// Expiries are coarse, so even an envelope that asks for one second may stay for a whole
    /// quantum. It pays for all of it.
    pub const LEAST_CHARGED: Seconds = Seconds(600);

    /// The priority of an envelope of `size` bytes that lives `ttl` and shows `bits`.
    #[must_use]
    pub fn new(bits: u32, size: usize, ttl: Seconds) -> Self {
        // Envelopes are far below 4 GiB; whatever is not costs as much as one that is.
        let size = u32::try_from(size).unwrap_or(u32::MAX).max(1);
        // Otherwise a life of one second would rank 600 times higher for the same work.
        let charged = ttl.max(Self::LEAST_CHARGED);
        Self { bits: bits.min(Self::MAX_BITS), cost: u64::from(size) * u64::from(charged.0) }
    }

    /// The leading zero bits shown, at most [`Self::MAX_BITS`].
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// 2^bits * `cost`: at most 2^64 * (2^32 - 1)^2, which is below 2^128.
    fn scaled(self, cost: u64) -> u128 {
        (1_u128 << self.bits) * u128::from(cost)
    }
}

impl Ord for Priority {
    fn cmp(&self, other: &Self) -> Ordering {
        self.scaled(other.cost).cmp(&other.scaled(self.cost))
    }
}

impl PartialOrd for Priority {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Priority {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Priority {}

/// The least priority a network carries, as the bits an envelope of 2,048 bytes that lives one day
/// must show. Smaller and shorter-lived envelopes need fewer bits, larger and longer-lived ones
/// more.
///
/// It is a parameter of the network: its gossip topic names it, so that all neighbours agree on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Floor(u8);

impl Floor {
    /// About one second of one ordinary core for a message that lives a day.
    ///
    /// Measured with `cargo bench --bench hot` on one virtual core of an AMD EPYC (Zen 3): 1.85
    /// million attempts a second undisturbed, 1.4 million while others used the machine. 2^21
    /// attempts, the mean, take 1.1 to 1.5 seconds there, and one search in twenty takes three
    /// times the mean. A desktop's core is up to three times as fast.
    pub const DEFAULT: Self = Self(21);

    /// The highest floor: years of work for one envelope, so nobody needs a higher one; and below
    /// it the largest envelope with the longest life needs fewer bits than a priority counts.
    pub const MAX_BITS: u8 = 48;

    /// A floor of so many bits; more than [`Self::MAX_BITS`] are as many.
    #[must_use]
    pub const fn new(bits: u8) -> Self {
        if bits > Self::MAX_BITS {
            return Self(Self::MAX_BITS);
        }
        Self(bits)
    }

    /// The bits an envelope of 2,048 bytes that lives one day must show.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The least bits with which an envelope of `size` bytes that lives `ttl` is carried.
    #[must_use]
    pub fn required(self, size: usize, ttl: Seconds) -> u8 {
        (0..=u8::MAX)
            .find(|bits| self.admits(Priority::new(u32::from(*bits), size, ttl)))
            .unwrap_or(u8::MAX)
    }

    /// Whether an envelope so rated is carried.
    #[must_use]
    pub fn admits(self, priority: Priority) -> bool {
        priority >= Priority::new(u32::from(self.0), ENVELOPE_SIZE, ONE_DAY)
    }
}

impl Default for Floor {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha3::{Digest, Keccak256};

    use super::super::wire::{MAX_ENVELOPE_SIZE, MAX_TTL};
    use super::*;

    /// The definition, written down as bytes and hashed by `sha3`.
    fn by_the_book(digest: &[u8; 32], nonce: WorkNonce) -> u32 {
        let mut message = [0; 64];
        message[..32].copy_from_slice(digest);
        message[56..].copy_from_slice(&nonce.0.to_be_bytes());
        let mut zeros = 0;
        for byte in Keccak256::digest(message) {
            zeros += byte.leading_zeros();
            if byte != 0 {
                break;
            }
        }
        zeros
    }

    fn job(digest: [u8; 32], bits: u8) -> MiningJob {
        MiningJob { outgoing: OutgoingId(0), digest, bits, start: 0 }
    }

    #[test]
    fn leading_zeros_are_counted_over_all_four_lanes() {
        let mut state = [0; 25];
        assert_eq!(leading_zeros(&state), 256);
        state[3] = 1_u64.swap_bytes();
        assert_eq!(leading_zeros(&state), 255);
        state[0] = 0x80;
        assert_eq!(leading_zeros(&state), 0);
        state[0] = 0x0100;
        assert_eq!(leading_zeros(&state), 15);
    }

    #[test]
    fn a_search_goes_on_where_the_last_one_ended_and_past_the_last_nonce() {
        let job = job([7; 32], 8);
        let from = WorkNonce(u64::MAX - 3);
        let whole = search(&job, from, 1 << 16).unwrap();
        let mut at = from;
        let chunked = loop {
            if let Some(found) = search(&job, at, 5) {
                break found;
            }
            at = at.plus(5);
        };
        assert_eq!(whole, chunked);
    }

    #[test]
    fn a_search_without_attempts_finds_nothing() {
        assert_eq!(search(&job([7; 32], 0), WorkNonce(0), 0), None);
    }

    #[test]
    fn equal_fractions_are_equal_priorities() {
        let one = Priority::new(10, 1000, Seconds(3600));
        let two = Priority::new(11, 2000, Seconds(3600));
        assert_eq!(one, two);
        assert!(Priority::new(11, 1999, Seconds(3600)) > one);
        assert!(Priority::new(11, 2001, Seconds(3600)) < one);
    }

    #[test]
    fn the_products_of_the_largest_priorities_do_not_overflow() {
        let heavy = Priority::new(u32::MAX, usize::MAX, Seconds(u32::MAX));
        let light = Priority::new(u32::MAX, 0, Seconds(0));
        assert!(light > heavy);
        assert_eq!(heavy, heavy);
    }

    #[test]
    fn the_shortest_life_is_charged_as_a_whole_quantum() {
        assert_eq!(
            Priority::new(9, 2048, Seconds(1)),
            Priority::new(9, 2048, Priority::LEAST_CHARGED)
        );
        assert!(Priority::new(9, 2048, Seconds(601)) < Priority::new(9, 2048, Seconds(600)));
    }

    #[test]
    fn the_floor_is_the_work_of_the_reference_envelope() {
        for bits in 0..=Floor::MAX_BITS {
            assert_eq!(Floor::new(bits).required(ENVELOPE_SIZE, ONE_DAY), bits);
        }
        assert_eq!(Floor::new(u8::MAX).bits(), Floor::MAX_BITS);
    }

    #[test]
    fn the_dearest_envelope_under_the_highest_floor_needs_fewer_bits_than_a_priority_counts() {
        let bits = Floor::new(u8::MAX).required(MAX_ENVELOPE_SIZE, MAX_TTL);
        assert!(u32::from(bits) < Priority::MAX_BITS, "{bits}");
    }

    proptest! {
        #[test]
        fn one_permutation_measures_what_keccak_256_says(digest: [u8; 32], nonce: u64) {
            let nonce = WorkNonce(nonce);
            prop_assert_eq!(measure(&digest, nonce), by_the_book(&digest, nonce));
        }

        #[test]
        fn a_search_returns_the_first_nonce_that_shows_enough(
            digest: [u8; 32], from: u64, bits in 0_u8..9,
        ) {
            let from = WorkNonce(from);
            let by_hand = (0..1 << 14)
                .map(|step| from.plus(step))
                .find(|nonce| by_the_book(&digest, *nonce) >= u32::from(bits));
            prop_assert_eq!(search(&job(digest, bits), from, 1 << 14), by_hand);
        }

        #[test]
        fn priorities_are_ordered_as_the_fractions_are(
            one in (0_u32..40, 1_usize..70_000, 600_u32..700_000),
            two in (0_u32..40, 1_usize..70_000, 600_u32..700_000),
        ) {
            // Cross multiplication of the definition; all factors stay far below 2^128.
            let cross = |a: (u32, usize, u32), b: (u32, usize, u32)| {
                2_u128.pow(a.0) * (b.1 as u128) * u128::from(b.2)
            };
            let rated = |a: (u32, usize, u32)| Priority::new(a.0, a.1, Seconds(a.2));
            prop_assert_eq!(rated(one).cmp(&rated(two)), cross(one, two).cmp(&cross(two, one)));
        }

        #[test]
        fn the_required_bits_are_admitted_and_one_fewer_is_not(
            floor in 0_u8..=Floor::MAX_BITS, size in 32_usize..=MAX_ENVELOPE_SIZE,
            ttl in 1..=MAX_TTL.0,
        ) {
            let floor = Floor::new(floor);
            let bits = u32::from(floor.required(size, Seconds(ttl)));
            prop_assert!(floor.admits(Priority::new(bits, size, Seconds(ttl))));
            if let Some(fewer) = bits.checked_sub(1) {
                prop_assert!(!floor.admits(Priority::new(fewer, size, Seconds(ttl))));
            }
        }
    }
}
