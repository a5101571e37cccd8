//! The lifetime of a message and what it costs, in words, for the interface and the commands.

use crate::engine::envelope::{Floor, Lifetime};

/// A lifetime in words.
pub(in crate::shell) const fn words(lifetime: Lifetime) -> &'static str {
    match lifetime {
        Lifetime::TenMinutes => "10 minutes",
        Lifetime::SixHours => "6 hours",
        Lifetime::Day => "1 day",
        Lifetime::Week => "7 days",
    }
}

/// The next one, as a key goes through them: from the usual one up, then from the shortest.
pub(in crate::shell) const fn after(lifetime: Lifetime) -> Lifetime {
    match lifetime {
        Lifetime::TenMinutes => Lifetime::SixHours,
        Lifetime::SixHours => Lifetime::Day,
        Lifetime::Day => Lifetime::Week,
        Lifetime::Week => Lifetime::TenMinutes,
    }
}

/// The work that something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell) struct WorkCost {
    bits: u8,
    /// The seconds it takes on average; nothing while the speed of this machine is not known.
    seconds: Option<u64>,
}

impl WorkCost {
    /// The work of a message of this lifetime in a network of this floor, at `rate` tries a second;
    /// 0 if the rate is not known.
    pub(in crate::shell) fn of(lifetime: Lifetime, floor_bits: u8, rate: u64) -> Self {
        Self::of_bits(lifetime.bits(&Floor::new(floor_bits)), rate)
    }

    /// The work of so many bits.
    pub(in crate::shell) fn of_bits(bits: u8, rate: u64) -> Self {
        let tries = 1_u64.checked_shl(u32::from(bits)).unwrap_or(u64::MAX);
        Self { bits, seconds: tries.checked_div(rate) }
    }

    /// The seconds it takes on average; nothing while that is not known.
    pub(in crate::shell) const fn seconds(self) -> Option<u64> {
        self.seconds
    }

    /// `about 9 s`; nothing while that is not known.
    pub(in crate::shell) fn about(self) -> Option<String> {
        Some(match self.seconds? {
            0 => "less than 1 s".to_owned(),
            seconds => format!("about {}", span(seconds)),
        })
    }

    /// `costs about 9 s of work (2^24 tries)`
    pub(in crate::shell) fn words(self) -> String {
        match self.about() {
            Some(about) => format!("costs {about} of work (2^{} tries)", self.bits),
            None => format!("costs 2^{} tries", self.bits),
        }
    }

    /// The expectation of the search, as time and never as a share: the time that is left is the
    /// same at every moment of it. The chance that it takes more than three times the average is
    /// e^-3, one in twenty.
    pub(in crate::shell) fn expectation(self) -> String {
        let bits = self.bits;
        match self.seconds {
            None => format!("2^{bits} tries on average"),
            Some(seconds) => format!(
                "2^{bits} tries on average, {} here, 19 of 20 times under {}",
                self.about().unwrap_or_default(),
                span(seconds.saturating_add(1).saturating_mul(3)),
            ),
        }
    }
}

/// A span of seconds in words.
pub(in crate::shell) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::api::words::{lifetime_name, lifetime_named};

    #[test]
    fn every_lifetime_is_reached_by_its_name_and_by_the_key() {
        let mut lifetime = Lifetime::default();
        for _ in Lifetime::ALL {
            assert_eq!(lifetime_named(lifetime_name(lifetime)), Some(lifetime));
            lifetime = after(lifetime);
        }
        assert_eq!(lifetime, Lifetime::default());
    }

    #[test]
    fn a_cost_is_told_as_time_only_where_the_rate_is_known() {
        let week = WorkCost::of(Lifetime::Week, 21, 1_864_135);
        assert_eq!(week.words(), "costs about 9 s of work (2^24 tries)");
        assert_eq!(
            week.expectation(),
            "2^24 tries on average, about 9 s here, 19 of 20 times under 30 s"
        );
        assert_eq!(WorkCost::of(Lifetime::Week, 21, 0).words(), "costs 2^24 tries");
        assert_eq!(
            WorkCost::of(Lifetime::TenMinutes, 21, 3_000_000).about().as_deref(),
            Some("less than 1 s")
        );
        assert_eq!(WorkCost::of_bits(255, 1).seconds(), Some(u64::MAX));
    }

    #[test]
    fn spans_are_in_the_unit_that_says_most() {
        let seconds = [1, 119, 120, 7_199, 7_200, 604_800];
        assert_eq!(seconds.map(span), ["1 s", "119 s", "2 min", "119 min", "2 h", "7 days"]);
    }
}
