//! How long the links of each range of addresses had places lately.

use core::time::Duration;
use std::collections::BTreeMap;

use tokio::time::Instant;

/// After so long what a network had counts half. A guess: long beside the lease of a place, and short
/// for a person who waits.
const HALF_LIFE: Duration = Duration::from_secs(30);

/// Seconds from which on a range of addresses is a level heavier. One that stands reaches the last after 27: what
/// it had before that is the same to all.
const LEVELS: [f64; 3] = [5.0, 10.0, 20.0];

/// Ranges that are remembered before those that had less than a second are forgotten. So short of that
/// moment there are never more than [`HALF_LIFE`] gives to all places: some two thousand.
const MOST_REMEMBERED: usize = 4_096;

/// The time that each range had places, of which what is long ago counts less.
#[derive(Default)]
pub(super) struct PlaceTimes(BTreeMap<u64, PlaceTime>);

/// That of one range.
#[derive(Clone, Copy)]
struct PlaceTime {
    seconds: f64,
    links: u32,
    at: Instant,
}

impl PlaceTime {
    const fn new(at: Instant) -> Self {
        Self { seconds: 0.0, links: 0, at }
    }

    /// The same at this later moment.
    fn at(self, now: Instant) -> Self {
        let Self { seconds, links, at } = self;
        let halves = now.duration_since(at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        let left = (-halves).exp2();
        // What a link that stands for ever comes to.
        let most = HALF_LIFE.as_secs_f64() / core::f64::consts::LN_2;
        Self { seconds: seconds * left + f64::from(links) * most * (1.0 - left), links, at: now }
    }
}

impl PlaceTimes {
    /// A link of this range has a place.
    pub(super) fn enter(&mut self, range: u64, now: Instant) {
        if self.0.len() >= MOST_REMEMBERED {
            self.0.retain(|_, time| time.links > 0 || time.at(now).seconds >= 1.0);
        }
        let time = self.0.entry(range).or_insert(PlaceTime::new(now));
        *time = time.at(now);
        time.links = time.links.saturating_add(1);
    }

    /// One has none any more.
    pub(super) fn leave(&mut self, range: u64, now: Instant) {
        if let Some(time) = self.0.get_mut(&range) {
            *time = time.at(now);
            time.links = time.links.saturating_sub(1);
        }
    }

    /// How heavy a range is by the time that its links had.
    pub(super) fn level(&self, range: u64, now: Instant) -> u32 {
        let seconds = self.0.get(&range).map_or(0.0, |time| time.at(now).seconds);
        LEVELS.into_iter().map(|least| u32::from(seconds >= least)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_network_is_heavier_the_longer_it_stands_and_lighter_some_time_after_it_left() {
        let (mut times, begun) = (PlaceTimes::default(), Instant::now());
        assert_eq!(times.level(7, begun), 0);
        times.enter(7, begun);
        let level = |times: &PlaceTimes, seconds| times.level(7, begun + SECOND * seconds);
        let stands = [0, 5, 6, 11, 12, 26, 28, 600].map(|seconds| level(&times, seconds));
        assert_eq!(stands, [0, 0, 1, 1, 2, 2, 3, 3]);
        times.leave(7, begun + SECOND * 600);
        let left = [600, 630, 634, 663, 664, 693, 694].map(|seconds| level(&times, seconds));
        assert_eq!(left, [3, 3, 2, 2, 1, 1, 0]);
        assert_eq!(times.level(8, begun), 0);
    }

    #[test]
    fn links_that_come_and_go_at_once_make_nothing_heavy_however_many() {
        let (mut times, mut now) = (PlaceTimes::default(), Instant::now());
        for _ in 0..100 {
            times.enter(7, now);
            now += SECOND / 100;
            times.leave(7, now);
            now += SECOND / 2;
        }
        assert_eq!(times.level(7, now), 0);
        // Two that stand at once count as two.
        times.enter(7, now);
        times.enter(7, now);
        assert_eq!(times.level(7, now + SECOND * 3), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_who_had_much_is_not_forgotten_for_many_who_had_little() {
        let (mut times, mut now) = (PlaceTimes::default(), Instant::now());
        times.enter(7, now);
        now += SECOND * 60;
        times.leave(7, now);
        for network in 100..100_000 {
            times.enter(network, now);
            times.leave(network, now);
            assert!(times.0.len() <= MOST_REMEMBERED);
        }
        assert_eq!(times.level(7, now), 3);
    }
}
