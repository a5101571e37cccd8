//! What carrying something costs, and who gets the room (`proto/README.md`, "Price", "Room",
//! "Line" and "Asking price").
//!
//! A price is paid in work: whoever sends shows 96 bits `d` of a digest, and the smaller `d` times
//! the [`Charge`] for size and life, the more was paid ([`Priority`]). Everything here is integers
//! and knows no envelope, so that storage on relays can be sold by the same rules.
//!
//! | part | says |
//! |---|---|
//! | here | what a charge is, what a network's [`Floor`] asks, and which of two paid more |
//! | [`step`] | how much more than the floor is asked: in doublings |
//! | [`room`] | which step a share of the room asks, and the one table for it |
//! | [`occupancy`] | how a share is taken by hours: what is asked of a newcomer, what is said |
//! | [`mod@line`] | which step the line asks, and how much it carries |
//! | [`asking`] | which step a sender pays, from what its neighbours say |
//! | [`shown_work`] | how much work it was, whatever was charged |

pub mod asking;
pub mod line;
pub mod occupancy;
pub mod room;
pub mod shown_work;
pub mod step;

pub use asking::AskingPrice;
pub use line::Line;
pub use occupancy::Occupancy;
pub use room::{Room, Share};
pub use shown_work::ShownWork;
pub use step::{SaidSteps, Step};

use core::cmp::{Ordering, Reverse};

use crate::engine::secret::opaque_debug;

/// The bytes that are charged as one: a message of a messenger is one block.
pub const BLOCK: usize = 2048;

/// The most blocks of one charge.
pub const MAX_BLOCKS: u8 = 32;

/// Bits of the digest that count: `d` is its first 12 bytes, big-endian.
///
/// 96, because `d` times the largest charge then fits 106 bits, and 2^96 tries are beyond
/// everybody.
pub const DIGEST_BITS: u32 = 96;

/// The logarithm of `2^96 * 8`: a network without a floor carries what is below it. Eight units are
/// the charge of a block that lives a day, the measure of all.
const WHOLE: u32 = DIGEST_BITS + 3;

/// What something is charged for its size and its life: blocks times the units of its share, 5 to
/// 1,024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    blocks: u8,
    share: Share,
}

impl Charge {
    /// The charge for `size` bytes in this share: whole blocks, 1 to [`MAX_BLOCKS`].
    #[must_use]
    pub fn new(size: usize, share: Share) -> Self {
        // Nothing is more than MAX_BLOCKS; whatever claims to be costs as much as one that is.
        let blocks = u8::try_from(size.div_ceil(BLOCK)).unwrap_or(MAX_BLOCKS);
        Self { blocks: blocks.clamp(1, MAX_BLOCKS), share }
    }

    /// How many blocks it is: the places it takes, and its share of the line.
    #[must_use]
    pub const fn blocks(self) -> u8 {
        self.blocks
    }

    /// The share of the room it is for.
    #[must_use]
    pub const fn share(self) -> Share {
        self.share
    }

    /// Blocks times units. A block that lives a day is 8.
    #[must_use]
    pub const fn units(self) -> u32 {
        self.blocks as u32 * self.share.units()
    }

    /// The highest `d` with which it is carried, and one more: a search succeeds at a `d` below
    /// it. At most 2^96.
    #[must_use]
    pub fn target(self, floor: Floor, step: Step) -> u128 {
        // d * units < limit is d < limit / units, rounded up.
        floor.limit(step).div_ceil(u128::from(self.units())).min(1 << DIGEST_BITS)
    }

    /// How many tries a search takes on average.
    #[must_use]
    pub fn tries(self, floor: Floor, step: Step) -> u64 {
        mean_tries(self.target(floor, step))
    }
}

/// How many tries it takes on average to find a `d` below `target`; 0 counts as 1.
#[must_use]
pub fn mean_tries(target: u128) -> u64 {
    let tries = (1_u128 << DIGEST_BITS).checked_div(target.max(1)).unwrap_or(1);
    u64::try_from(tries.max(1)).unwrap_or(u64::MAX)
}

/// What was paid for a charge: `d` times its units. The smaller, the more work it shows for what
/// it takes; the greater priority is the better one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Priority(u128);

// The digest is the id of an envelope.
opaque_debug!(struct Priority(_));

impl Priority {
    /// The priority of something that shows `d` for this charge. Only the lower 96 bits of `d`
    /// count.
    #[must_use]
    pub fn new(d: u128, charge: Charge) -> Self {
        // Below 2^96 * 2^10: nothing overflows.
        Self((d & ((1 << DIGEST_BITS) - 1)) * u128::from(charge.units()))
    }

    /// `d` times units: below 2^106.
    #[must_use]
    pub const fn product(self) -> u128 {
        self.0
    }

    /// Whether it shows at least twice the work of another for what it takes.
    #[must_use]
    pub const fn is_twice(self, other: Self) -> bool {
        self.0 * 2 <= other.0
    }
}

impl Ord for Priority {
    fn cmp(&self, other: &Self) -> Ordering {
        Reverse(self.0).cmp(&Reverse(other.0))
    }
}

impl PartialOrd for Priority {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The least work a network carries, as the logarithm of the tries that a block takes which lives
/// a day. Others need as many more or fewer as their charge is larger or smaller.
///
/// It is a parameter of the network: its gossip topic names it, so that all neighbours agree on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Floor(u8);

impl Floor {
    /// One to two seconds of one core with AVX2 for a message that lives a day: 16.8 million tries.
    ///
    /// `cargo bench --bench hot` makes 11.9 million tries a second with AVX2 on one virtual core of
    /// an AMD EPYC (Zen 4), 21.2 with AVX-512, 6.0 with SSE2, and 3.5 with none of them. So the mean
    /// search takes 1.4, 0.8, 2.8 and 4.8 seconds there, and one in twenty three times as long. It
    /// is what 2^21 took with one try after the other, and whoever floods has had such kernels all
    /// along: at 21 he paid an eighth of what he pays now, for the same wait of everybody else. What
    /// that means for people and for floods: `proto/README.md`, "What the floor costs".
    pub const DEFAULT: Self = Self(24);

    /// The highest floor: years of work for one message, so nobody needs a higher one, and the
    /// largest charge at the highest step still has a target.
    pub const MAX_BITS: u8 = 48;

    /// A floor of so many bits; more than [`Self::MAX_BITS`] are as many.
    #[must_use]
    pub const fn new(bits: u8) -> Self {
        if bits > Self::MAX_BITS {
            return Self(Self::MAX_BITS);
        }
        Self(bits)
    }

    /// The logarithm of the tries for a block that lives a day.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether something is carried that was paid for so, where `step` is asked.
    #[must_use]
    pub const fn admits(self, priority: Priority, step: Step) -> bool {
        priority.product() < self.limit(step)
    }

    /// The product that is just too large: 2^(99 - floor - step).
    const fn limit(self, step: Step) -> u128 {
        1 << (WHOLE - self.0 as u32 - step.get() as u32)
    }
}

impl Default for Floor {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The highest floor and step leave a limit, and every charge a target that can be met.
const _: () = assert!(
    Floor(Floor::MAX_BITS).limit(Step::MAX) > MAX_BLOCKS as u128 * Share::Week.units() as u128
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_charge() -> impl Strategy<Value = Charge> {
        (0_usize..70_000, prop::sample::select(&Share::ALL[..]))
            .prop_map(|(size, share)| Charge::new(size, share))
    }

    fn any_d() -> impl Strategy<Value = u128> {
        (any::<u128>(), 32_u32..128).prop_map(|(bits, shift)| bits >> shift)
    }

    #[test]
    fn a_message_that_lives_six_hours_a_day_or_a_week_costs_five_eight_or_thirty_two_units() {
        let units = Share::ALL.map(|share| Charge::new(BLOCK, share).units());
        assert_eq!(units, [5, 8, 32]);
        let tries = Share::ALL
            .map(|share| Charge::new(BLOCK, share).tries(Floor::new(20), Step::default()));
        assert_eq!(tries, [655_359, 1 << 20, 4 << 20]);
    }

    #[test]
    fn blocks_are_counted_whole_and_never_none_nor_more_than_thirty_two() {
        let blocks = [0, 1, 2048, 2049, 65_535, 65_536, 65_537, usize::MAX]
            .map(|size| Charge::new(size, Share::Day).blocks());
        assert_eq!(blocks, [1, 1, 1, 2, 32, 32, 32, 32]);
    }

    #[test]
    fn a_floor_of_nothing_carries_every_message_of_a_day_and_the_largest_charge_has_a_target() {
        let worst = Priority::new(u128::MAX, Charge::new(BLOCK, Share::Day));
        assert_eq!(format!("{worst:?}"), "Priority");
        assert!(Floor::new(0).admits(worst, Step::default()));
        let largest = Charge::new(usize::MAX, Share::Week);
        let target = largest.target(Floor::new(u8::MAX), Step::MAX);
        assert_eq!(target, 1 << 33);
        assert_eq!(largest.tries(Floor::new(u8::MAX), Step::MAX), 1 << 63);
    }

    proptest! {
        #[test]
        fn what_is_below_the_target_is_carried_and_what_is_not_is_not(
            charge in any_charge(), d in any_d(), floor in 0_u8..=48, step in 0_u8..=8,
        ) {
            let (floor, step) = (Floor::new(floor), Step::new(step));
            let carried = floor.admits(Priority::new(d, charge), step);
            prop_assert_eq!(carried, d < charge.target(floor, step));
        }

        #[test]
        fn a_step_is_twice_the_work(charge in any_charge(), floor in 0_u8..=40, step in 0_u8..8) {
            let tries = |step| charge.tries(Floor::new(floor), Step::new(step)) as f64;
            let least = tries(step);
            // Near the whole range of digests a target cannot be halved or doubled any more.
            prop_assume!(least > 1_000.0);
            let ratio = tries(step + 1) / least;
            prop_assert!((1.99..2.01).contains(&ratio), "{ratio}");
        }

        #[test]
        fn priorities_are_ordered_as_the_work_for_each_unit_is(
            one in (any_d(), any_charge()), other in (any_d(), any_charge()),
        ) {
            let rated = |(d, charge): (u128, Charge)| Priority::new(d, charge);
            // The better shows the smaller product; each is far below 2^128.
            let product = |(d, charge): (u128, Charge)| d * u128::from(charge.units());
            prop_assert_eq!(rated(one).cmp(&rated(other)), product(other).cmp(&product(one)));
            prop_assert_eq!(
                rated(one).is_twice(rated(other)),
                product(one) * 2 <= product(other)
            );
        }
    }
}
