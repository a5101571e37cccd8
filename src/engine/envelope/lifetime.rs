//! Lifetimes: one of three, so that nobody stands out by a choice of their own.

use crate::engine::env::Seconds;
use crate::engine::price::Share;

/// How long an envelope is kept by the nodes that carry it; every node refuses all else. The
/// longer, the more work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifetime {
    /// 6 hours: for messages that are answered the same day.
    SixHours,
    /// A day: it survives a night. The lifetime nearly everybody uses, and so the least telling.
    #[default]
    Day,
    /// 7 days: for somebody who is away. The longest the network carries.
    Week,
}

impl Lifetime {
    /// All lifetimes, shortest first.
    pub const ALL: [Self; 3] = [Self::SixHours, Self::Day, Self::Week];

    /// The `ttl` of an envelope.
    #[must_use]
    pub const fn ttl(self) -> Seconds {
        match self {
            Self::SixHours => Seconds(21_600),
            Self::Day => Seconds(86_400),
            Self::Week => Seconds(604_800),
        }
    }

    /// The lifetime of an envelope with this `ttl`; `None` for one that no node carries.
    #[must_use]
    pub fn of(ttl: Seconds) -> Option<Self> {
        Self::ALL.into_iter().find(|lifetime| lifetime.ttl() == ttl)
    }

    /// The shortest lifetime that is at least `ttl`; a week if none is.
    #[must_use]
    pub fn covering(ttl: Seconds) -> Self {
        Self::ALL.into_iter().find(|lifetime| lifetime.ttl() >= ttl).unwrap_or(Self::Week)
    }

    /// The share of the room that such an envelope is held in.
    #[must_use]
    pub const fn share(self) -> Share {
        match self {
            Self::SixHours => Share::SixHours,
            Self::Day => Share::Day,
            Self::Week => Share::Week,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_its_ttl_and_covers_shorter_ones() {
        for lifetime in Lifetime::ALL {
            assert_eq!(Lifetime::of(lifetime.ttl()), Some(lifetime));
            assert_eq!(Lifetime::covering(lifetime.ttl()), lifetime);
            // The price of a life is a whole day more than the life, in units of six hours.
            assert_eq!(lifetime.share().units(), (lifetime.ttl().0 + 86_400) / 21_600);
        }
        for ttl in [0, 1, 600, 3_600, 21_599, 21_601, 86_401, 604_801, u32::MAX] {
            assert_eq!(Lifetime::of(Seconds(ttl)), None, "{ttl}");
        }
        assert_eq!(Lifetime::covering(Seconds(1)), Lifetime::SixHours);
        assert_eq!(Lifetime::covering(Seconds(21_601)), Lifetime::Day);
        assert_eq!(Lifetime::covering(Seconds(u32::MAX)), Lifetime::Week);
    }
}
