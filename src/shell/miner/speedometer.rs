//! How fast this machine searches, by the clock: what a search takes in seconds follows from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::env::Millis;
use crate::shell::os::clock::Clock;

/// Tries a second of all threads of a search, as last measured; 0 before that. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct SearchRate(Arc<AtomicU64>);

impl SearchRate {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes in what was measured for so long.
    fn follow(&self, measured: u64, span: Millis) {
        // Only one search goes on at a time; two that overlap for a moment measure the same.
        self.0.store(blend(self.get(), measured, span), Ordering::Relaxed);
    }
}

/// Counts the tries of one search.
#[derive(Debug)]
pub(super) struct Speedometer {
    clock: Clock,
    /// Since when the tries were made.
    since: Millis,
    tries: u64,
    rate: SearchRate,
}

impl Speedometer {
    /// Begins at this moment.
    pub(super) fn new(rate: SearchRate) -> Self {
        Self { clock: Clock::start(), since: Millis(0), tries: 0, rate }
    }

    /// Counts tries that were made.
    pub(super) fn count(&mut self, tries: u64) {
        self.tries = self.tries.saturating_add(tries);
        let window = if self.knows_rate() { WINDOW } else { FIRST_WINDOW };
        self.measure(window);
    }

    /// Takes in what is left at the end of a search.
    pub(super) fn finish(&mut self) {
        self.measure(FIRST_WINDOW);
    }

    /// Whether the rate is known, by this search or by one before.
    pub(super) fn knows_rate(&self) -> bool {
        self.rate.get() > 0
    }

    /// Takes in the tries of a time that is no shorter than this.
    fn measure(&mut self, least: Millis) {
        let now = self.clock.mono();
        let span = Millis(now.0.saturating_sub(self.since.0));
        // A thread that got no processor for most of the time tells nothing of how fast it is.
        if span < least || (self.tries < ENOUGH && span < WHOLE) {
            return;
        }
        if let Some(measured) = self.tries.saturating_mul(1_000).checked_div(span.0) {
            self.rate.follow(measured, span);
        }
        self.since = now;
        self.tries = 0;
    }
}

/// The rate after another one was measured for so long: a second counts whole, less in proportion. So
/// it follows within seconds what else the machine does, and no single moment.
fn blend(before: u64, measured: u64, span: Millis) -> u64 {
    if before == 0 {
        return measured;
    }
    let weight = span.0.min(WHOLE.0);
    let [old, new] = [(before, WHOLE.0 - weight), (measured, weight)]
        .map(|(rate, weight)| rate.saturating_mul(weight) / WHOLE.0);
    old.saturating_add(new).max(1)
}

/// The time after which the rate is measured again. A guess: some times a second, and long beside the
/// chunk of a thread.
const WINDOW: Millis = Millis(250);

/// The time after which a rate is known. A guess: some twenty chunks of each thread, and nobody
/// notices it.
const FIRST_WINDOW: Millis = Millis(50);

/// So few tries are only believed to be what a whole second comes to. A guess: a hundredth of a second
/// of the slowest kernel on an old machine, and some chunks of one thread.
const ENOUGH: u64 = 1 << 14;

/// The time of which what was before counts nothing.
const WHOLE: Millis = Millis(1_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_what_is_measured_and_no_single_moment() {
        assert_eq!(blend(0, 7, Millis(1)), 7, "nothing was known");
        assert_eq!(blend(1_000, 2_000, WHOLE), 2_000);
        assert_eq!(blend(1_000, 2_000, Millis(60_000)), 2_000);
        assert_eq!(blend(1_000, 2_000, WINDOW), 1_250);
        assert_eq!(blend(2_000, 0, FIRST_WINDOW), 1_900);
        // Half as fast from some moment on, as by another program or on battery.
        let after = |seconds: usize| {
            (0..seconds * 4).fold(4_000_000, |rate, _| blend(rate, 2_000_000, WINDOW))
        };
        assert!((2_500_000..2_700_000).contains(&after(1)), "{}", after(1));
        assert!(after(4) < 2_030_000, "{}", after(4));
        assert_eq!(blend(1, 0, WHOLE), 1, "known stays known");
        assert!(blend(u64::MAX, u64::MAX, WINDOW) > 0);
    }

    #[test]
    fn tries_of_too_short_a_time_are_no_measure() {
        let rate = SearchRate::default();
        let mut short = Speedometer::new(rate.clone());
        short.count(1 << 40);
        short.finish();
        // Within the first window, unless this thread stood still for so long.
        let taken = short.clock.mono();
        assert!(rate.get() == 0 || taken >= FIRST_WINDOW, "{} after {taken:?}", rate.get());
    }
}
