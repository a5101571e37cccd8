//! The lifetime of a message and what it costs, in words, for the interface and the commands.

use crate::engine::envelope::Lifetime;
use crate::engine::envelope::wire::ENVELOPE_SIZE;
use crate::engine::price::{Charge, Floor, Step};
use crate::shell::api::words::LIFETIME_NAMES;

/// A lifetime in words.
pub(in crate::shell) const fn words(lifetime: Lifetime) -> &'static str {
    match lifetime {
        Lifetime::SixHours => "6 hours",
        Lifetime::Day => "1 day",
        Lifetime::Week => "7 days",
    }
}

/// What is said of a name that is no lifetime's: which there are.
pub(in crate::shell) fn unknown(name: &str) -> String {
    let all = LIFETIME_NAMES.join(", ");
    if MINUTES.contains(&name) {
        return format!("ten minutes are gone since version 2, six hours are the shortest: {all}");
    }
    format!("a lifetime is one of {all}")
}

/// The lifetime that version 1 had and version 2 has not, as it was named and may be written.
const MINUTES: [&str; 4] = ["10m", "10min", "600", "600s"];

/// The next one, as a key goes through them: from the usual one up, then from the shortest.
pub(in crate::shell) const fn after(lifetime: Lifetime) -> Lifetime {
    match lifetime {
        Lifetime::SixHours => Lifetime::Day,
        Lifetime::Day => Lifetime::Week,
        Lifetime::Week => Lifetime::SixHours,
    }
}

/// The work that something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell) struct WorkCost {
    tries: u64,
    /// The seconds it takes on average; nothing while the speed of this machine is not known.
    seconds: Option<u64>,
}

impl WorkCost {
    /// The work of a message of this lifetime in a network of this floor, where this step is asked,
    /// at `rate` tries a second; 0 if the rate is not known.
    pub(in crate::shell) fn of(lifetime: Lifetime, floor_bits: u8, step: Step, rate: u64) -> Self {
        let charge = Charge::new(ENVELOPE_SIZE, lifetime.share());
        Self::of_tries(charge.tries(Floor::new(floor_bits), step), rate)
    }

    /// The work of so many tries on average.
    pub(in crate::shell) const fn of_tries(tries: u64, rate: u64) -> Self {
        Self { tries, seconds: tries.checked_div(rate) }
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

    /// `costs about 4 s of work (8.4 million tries)`
    pub(in crate::shell) fn words(self) -> String {
        match self.about() {
            Some(about) => format!("costs {about} of work ({} tries)", number(self.tries)),
            None => format!("costs {} tries", number(self.tries)),
        }
    }

    /// The expectation of the search, as time and never as a share: the time that is left is the
    /// same at every moment of it. The chance that it takes more than three times the average is
    /// e^-3, one in twenty.
    pub(in crate::shell) fn expectation(self) -> String {
        let tries = number(self.tries);
        match self.seconds {
            None => format!("{tries} tries on average"),
            Some(seconds) => format!(
                "{tries} tries on average, {} here, 19 of 20 times under {}",
                self.about().unwrap_or_default(),
                span(seconds.saturating_add(1).saturating_mul(3)),
            ),
        }
    }
}

/// A large number in words, to two digits: `840`, `1.3 million`.
pub(in crate::shell) fn number(whole: u64) -> String {
    let (unit, word) = match whole {
        0..10_000 => return whole.to_string(),
        10_000..1_000_000 => (1_000, "thousand"),
        1_000_000..1_000_000_000 => (1_000_000, "million"),
        1_000_000_000..1_000_000_000_000 => (1_000_000_000, "billion"),
        _ => (1_000_000_000_000, "trillion"),
    };
    let tenths = whole / (unit / 10);
    if tenths < 100 {
        return format!("{}.{} {word}", tenths / 10, tenths % 10);
    }
    format!("{} {word}", whole / unit)
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
    fn who_asks_for_ten_minutes_is_told_that_they_are_gone() {
        let gone = unknown("10m");
        assert!(gone.contains("gone since version 2, six hours are the shortest"), "{gone}");
        for name in ["10m", "1h", ""] {
            assert!(unknown(name).contains("6h, day, week"), "{name}");
        }
    }

    #[test]
    fn a_cost_is_told_as_time_only_where_the_rate_is_known() {
        let usual = |lifetime, rate| WorkCost::of(lifetime, 21, Step::default(), rate);
        let week = usual(Lifetime::Week, 1_864_135);
        assert_eq!(week.words(), "costs about 4 s of work (8.3 million tries)");
        assert_eq!(
            week.expectation(),
            "8.3 million tries on average, about 4 s here, 19 of 20 times under 15 s"
        );
        assert_eq!(usual(Lifetime::Week, 0).words(), "costs 8.3 million tries");
        assert_eq!(usual(Lifetime::SixHours, 3_000_000).about().as_deref(), Some("less than 1 s"));
        assert_eq!(WorkCost::of_tries(u64::MAX, 1).seconds(), Some(u64::MAX));
        let busy = WorkCost::of(Lifetime::Week, 21, Step::new(3), 1_864_135);
        assert_eq!(busy.words(), "costs about 36 s of work (67 million tries)");
    }

    #[test]
    fn numbers_are_told_to_two_digits_with_a_word() {
        let numbers = [0, 9_999, 10_000, 655_360, 1_310_720, 12_345_678, 3_000_000_000, u64::MAX];
        let words = ["0", "9999", "10 thousand", "655 thousand", "1.3 million", "12 million"];
        assert_eq!(numbers.map(number)[..6], words);
        assert_eq!(number(3_000_000_000), "3.0 billion");
        assert_eq!(number(u64::MAX), "18446744 trillion");
    }

    #[test]
    fn spans_are_in_the_unit_that_says_most() {
        let seconds = [1, 119, 120, 7_199, 7_200, 604_800];
        assert_eq!(seconds.map(span), ["1 s", "119 s", "2 min", "119 min", "2 h", "7 days"]);
    }
}
