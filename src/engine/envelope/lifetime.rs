//! Lifetimes of our envelopes: one of four, so that nobody stands out by a choice of their own.

use serde::{Deserialize, Serialize};

use super::wire::{ENVELOPE_SIZE, ONE_DAY, SEVEN_DAYS, SIX_HOURS, TEN_MINUTES};
use super::work::Floor;
use crate::engine::env::Seconds;

/// How long an envelope is kept by the nodes that carry it. The longer, the more work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lifetime {
    /// 10 minutes: for two who are both there.
    TenMinutes,
    /// 6 hours.
    SixHours,
    /// A day: the lifetime nearly everybody uses, and so the least telling.
    #[default]
    Day,
    /// 7 days: for somebody who is away. The longest the network carries.
    Week,
}

impl Lifetime {
    /// All lifetimes, shortest first.
    pub const ALL: [Self; 4] = [Self::TenMinutes, Self::SixHours, Self::Day, Self::Week];

    /// The `ttl` of an envelope.
    #[must_use]
    pub const fn ttl(self) -> Seconds {
        match self {
            Self::TenMinutes => TEN_MINUTES,
            Self::SixHours => SIX_HOURS,
            Self::Day => ONE_DAY,
            Self::Week => SEVEN_DAYS,
        }
    }

    /// The shortest lifetime that is at least `ttl`; a week if none is.
    #[must_use]
    pub fn covering(ttl: Seconds) -> Self {
        Self::ALL.into_iter().find(|lifetime| lifetime.ttl() >= ttl).unwrap_or(Self::Week)
    }

    /// The leading zero bits that a message with this lifetime must show: finding them takes 2 to
    /// the power of that many attempts on average.
    #[must_use]
    pub fn bits(self, floor: &Floor) -> u8 {
        floor.required(ENVELOPE_SIZE, self.ttl())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_life_costs_more_bits_and_covers_shorter_ones() {
        let floor = Floor::new(21);
        let bits = Lifetime::ALL.map(|lifetime| lifetime.bits(&floor));
        assert_eq!(bits, [14, 19, 21, 24]);
        for lifetime in Lifetime::ALL {
            assert_eq!(Lifetime::covering(lifetime.ttl()), lifetime);
        }
        assert_eq!(Lifetime::covering(Seconds(1)), Lifetime::TenMinutes);
        assert_eq!(Lifetime::covering(Seconds(601)), Lifetime::SixHours);
        assert_eq!(Lifetime::covering(Seconds(u32::MAX)), Lifetime::Week);
    }
}
