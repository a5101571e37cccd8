//! The work that something shows, whatever it is charged, as a number that rows and people can keep.

use super::{Charge, Priority, mean_tries};

/// How many tries it takes on average to find what something shows, to nine binary digits. What is
/// not known counts as none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShownWork(u16);

impl ShownWork {
    /// The work of something of this priority that is charged so much.
    #[must_use]
    pub fn of(priority: Priority, charge: Charge) -> Self {
        Self::of_tries(mean_tries(priority.product() / u128::from(charge.units().max(1))))
    }

    /// So many tries, rounded down.
    #[must_use]
    pub fn of_tries(tries: u64) -> Self {
        let length = u64::BITS - tries.leading_zeros();
        // The first digit is always set, and says nothing: eight follow it.
        let digits =
            tries.checked_shl(u64::BITS - length).unwrap_or(0) << 1 >> (u64::BITS - DIGITS);
        // At most 64 << 8 | 255.
        Self(u16::try_from(u64::from(length) << DIGITS | digits).unwrap_or(MOST))
    }

    /// How many tries it takes on average.
    #[must_use]
    pub fn tries(self) -> u64 {
        let (length, digits) = (u32::from(self.0 >> DIGITS), u64::from(self.0 & 0xff));
        let Some(shift) = length.checked_sub(1) else { return 0 };
        let nine = 1 << DIGITS | digits;
        match shift.checked_sub(DIGITS) {
            Some(left) => nine.checked_shl(left).unwrap_or(u64::MAX),
            None => nine >> (DIGITS - shift),
        }
    }

    /// As a number that sorts alike.
    #[must_use]
    pub const fn to_number(self) -> u16 {
        self.0
    }

    /// What [`Self::to_number`] gave; other numbers are rounded down to one that it gives.
    #[must_use]
    pub fn from_number(number: u16) -> Self {
        Self(if number > MOST {
            MOST
        } else if number <= u16::from(u8::MAX) {
            0
        } else {
            number
        })
    }
}

/// Binary digits that are kept behind the first one.
const DIGITS: u32 = 8;

/// The greatest number.
const MOST: u16 = 64 << DIGITS | 0xff;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::price::{Floor, Share, Step};
    use crate::engine::testing::mutate::{Reading, each_case};

    #[test]
    fn work_is_what_a_search_takes_whatever_is_charged() {
        for (size, share) in [(1, Share::SixHours), (2_048, Share::Day), (65_536, Share::Week)] {
            let charge = Charge::new(size, share);
            let target = charge.target(Floor::new(21), Step::new(0));
            let shown = ShownWork::of(Priority::new(target - 1, charge), charge).tries();
            let tries = charge.tries(Floor::new(21), Step::new(0));
            assert!(shown.abs_diff(tries) <= tries / 256, "{shown} of {tries}");
        }
    }

    #[test]
    fn small_numbers_and_the_greatest_are_kept() {
        for tries in (0..=512).chain([u64::MAX << 55]) {
            assert_eq!(ShownWork::of_tries(tries).tries(), tries);
        }
        assert_eq!(ShownWork::of_tries(u64::MAX).to_number(), MOST);
    }

    #[test]
    fn changed_at_random_a_number_is_some_work() {
        each_case(&[vec![3, 7], vec![0, 0]], |bytes| {
            let number = bytes.first_chunk().copied().map(u16::from_le_bytes);
            let work = number.map(ShownWork::from_number);
            assert!(
                work.is_none_or(|work| ShownWork::of_tries(work.tries()).tries() == work.tries())
            );
            Reading::found(work)
        });
    }

    proptest! {
        #[test]
        fn work_sorts_as_tries_do(one in any::<u64>(), other in any::<u64>(), fewer in 0..64_u32) {
            let (one, other) = (one >> fewer, other);
            let works = [one, other].map(ShownWork::of_tries);
            prop_assert!(one <= other || works[0] >= works[1]);
            prop_assert!(one >= other || works[0] <= works[1]);
            let again = ShownWork::from_number(works[0].to_number());
            prop_assert_eq!(again, works[0]);
            prop_assert!(works[0].tries() <= one && one - works[0].tries() <= one / 256);
        }
    }
}
