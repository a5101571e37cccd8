//! Shares of the room, and the step that each asks by how full it is.
//!
//! Shares do not borrow from one another: what may be borrowed is taken by the cheapest flood
//! first, and what senders were promised would be built on it.

use super::line::percent;
use super::step::Step;

/// A share of the room: there is one for each life, so that none displaces another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// What lives 6 hours: an eighth.
    SixHours,
    /// What lives a day: three quarters.
    Day,
    /// What lives 7 days: an eighth.
    Week,
}

impl Share {
    /// All shares, shortest life first; the place of each is its [`Self::index`].
    pub const ALL: [Self; 3] = [Self::SixHours, Self::Day, Self::Week];

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its part of something that each share has one of, in the order of [`Self::ALL`].
    #[must_use]
    pub fn of<T: Copy>(self, [six_hours, day, week]: [T; 3]) -> T {
        match self {
            Self::SixHours => six_hours,
            Self::Day => day,
            Self::Week => week,
        }
    }

    /// The units that a block in it is charged: (life + 1 day) / 6 hours.
    ///
    /// A whole day is the fixed part, because a flood costs bandwidth whatever it lives; the room
    /// has a price of its own.
    #[must_use]
    pub const fn units(self) -> u32 {
        match self {
            Self::SixHours => 5,
            Self::Day => 8,
            Self::Week => 32,
        }
    }

    /// The whole hours at which something that it holds may end, by who keeps to the time: 7, 25 and
    /// 169. What is made in one hour ends in one.
    #[must_use]
    pub const fn hours(self) -> usize {
        match self {
            Self::SixHours => 6 + 1,
            Self::Day => 24 + 1,
            Self::Week => 7 * 24 + 1,
        }
    }

    /// How many of so many places are its own.
    #[must_use]
    pub const fn places(self, of: usize) -> usize {
        match self {
            Self::SixHours | Self::Week => of / 8,
            Self::Day => of - 2 * (of / 8),
        }
    }
}

/// From this much of a share on (a fraction) so many doublings are asked. Tuned with the simulator
/// (`tests/town`): a gentler curve asks less and loses more of what it held.
const STEPS: [((usize, usize), u8); 6] =
    [((3, 4), 1), ((13, 16), 2), ((7, 8), 3), ((15, 16), 4), ((31, 32), 5), ((63, 64), 6)];

/// Below this much of a share, what had no room is forgotten, so that catching up may bring it.
/// Well below the first step, so that a share at its edge does not fetch and refuse in turn.
const CALM: (usize, usize) = (5, 8);

/// How full a share is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Places that are taken.
    pub used: usize,
    /// Places there are.
    pub places: usize,
}

impl Room {
    /// Whether something of so many blocks fits.
    #[must_use]
    pub const fn fits(self, blocks: u8) -> bool {
        self.used.saturating_add(blocks as usize) <= self.places
    }

    /// The step asked of something of so many blocks: by how full the share is before it comes in.
    #[must_use]
    pub fn step(self, blocks: u8) -> Step {
        if !self.fits(blocks) {
            return Step::MAX;
        }
        let asked = STEPS.iter().rev().find(|(from, _)| self.is_from(*from));
        Step::new(asked.map_or(0, |(_, doublings)| *doublings))
    }

    /// How much of it is taken, in percent.
    #[must_use]
    pub fn percent_used(self) -> u8 {
        percent(self.used as u64, self.places as u64)
    }

    /// Whether it has so much room again that what was refused may come once more.
    #[must_use]
    pub const fn is_calm(self) -> bool {
        !self.is_from(CALM)
    }

    /// Whether at least this fraction of it is taken.
    const fn is_from(self, (part, of): (usize, usize)) -> bool {
        self.used.saturating_mul(of) >= self.places.saturating_mul(part)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_steps_begin_at_three_quarters_and_end_with_eight_when_full() {
        let step = |used| Room { used, places: 64 }.step(1).get();
        assert_eq!([0, 47].map(step), [0, 0]);
        assert_eq!([48, 51, 52, 55, 56, 59].map(step), [1, 1, 2, 2, 3, 3]);
        assert_eq!([60, 61, 62, 63, 64, 65].map(step), [4, 4, 5, 6, 8, 8]);
    }

    #[test]
    fn a_share_without_a_place_is_full() {
        assert_eq!(Room { used: 0, places: 0 }.step(1), Step::MAX);
        assert_eq!(Room { used: 0, places: 31 }.step(32), Step::MAX);
        assert_eq!(Room { used: 0, places: 32 }.step(32), Step::default());
    }

    proptest! {
        #[test]
        fn the_shares_are_all_the_places_and_no_more(places: usize) {
            let shares = Share::ALL.map(|share| share.places(places));
            prop_assert_eq!(shares.iter().sum::<usize>(), places);
            prop_assert!(shares[1] / 6 >= shares[0] && shares[0] == shares[2]);
        }

        #[test]
        fn a_fuller_share_never_asks_less(places in 1_usize..5_000, blocks in 1_u8..=32) {
            let steps = (0..=places + 1).map(|used| Room { used, places }.step(blocks));
            prop_assert!(steps.is_sorted());
            let calm = (0..=places).map(|used| Room { used, places }.is_calm());
            prop_assert!(calm.clone().is_sorted_by(|one, next| one >= next));
            let first = (0..=places).find(|used| Room { used: *used, places }.step(1) > Step::new(0));
            let asked_calm = first.is_some_and(|used| Room { used, places }.is_calm());
            prop_assert!(!asked_calm);
        }
    }
}
