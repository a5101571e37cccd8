//! The line: how much is passed on, and the step it asks when more comes.
//!
//! A bucket of two minutes. What it lacks is ignored and never blamed on anybody: load differs from
//! node to node, and a refusal that is not unanimous would cut honest neighbours off.

use core::num::NonZeroU32;

use super::step::Step;
use crate::engine::env::Millis;

/// The time over which the line is measured.
pub const SPAN: Millis = Millis::from_secs(120);

/// What was asked counts in what is said for so long, and up to twice as long. A minute: as late as
/// senders hear it ([`SyncPace::steps`](crate::engine::settings::SyncPace)).
const PEAK: Millis = Millis::from_secs(60);

/// Blocks a second that a node passes on unless told otherwise: 0.26 Mbit/s to each neighbour
/// (`proto/README.md`, "Line").
pub const DEFAULT: NonZeroU32 = NonZeroU32::new(16).unwrap();

/// What a block takes from the bucket, which is filled by the rate each millisecond.
const A_BLOCK: u64 = 1_000;

/// A bucket that holds what the line carries in [`SPAN`], full at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Blocks a second.
    rate: NonZeroU32,
    /// Thousandths of a block.
    left: u64,
    at: Millis,
    /// The highest step asked until `peak_until` since [`PEAK`] before, and in the time before that.
    peaks: [Step; 2],
    peak_until: Millis,
}

impl Line {
    /// A line that passes on at most so many blocks a second.
    #[must_use]
    pub fn new(rate: NonZeroU32, now: Millis) -> Self {
        let peaks = [Step::default(); 2];
        Self { rate, left: capacity(rate), at: now, peaks, peak_until: now }
    }

    /// The blocks a second it carries at most.
    #[must_use]
    pub const fn rate(&self) -> NonZeroU32 {
        self.rate
    }

    /// The step it asks: none while its bucket is at least half full, then one more for each
    /// sixteenth.
    #[must_use]
    pub fn step(&self, now: Millis) -> Step {
        let sixteenths = self.left(now).saturating_mul(16) / capacity(self.rate);
        Step::new(u8::try_from(8_u64.saturating_sub(sixteenths)).unwrap_or(u8::MAX))
    }

    /// The step to say to senders: the highest that it asked within the last minute or two.
    ///
    /// While a flood lasts, the step goes up and down within seconds around the one at which as much
    /// comes as is passed on. Who pays what it was at one moment is ignored half of the time.
    #[must_use]
    pub fn said(&self, now: Millis) -> Step {
        let [last, before] = self.peaks_at(now);
        self.step(now).max(last).max(before)
    }

    fn peaks_at(&self, now: Millis) -> [Step; 2] {
        let [last, _] = self.peaks;
        if now < self.peak_until {
            self.peaks
        } else if now < self.peak_until.plus(PEAK) {
            [Step::default(), last]
        } else {
            [Step::default(); 2]
        }
    }

    /// How much of its bucket is left, in percent.
    #[must_use]
    pub fn percent_left(&self, now: Millis) -> u8 {
        percent(self.left(now), capacity(self.rate))
    }

    /// Whether it has something left for so many blocks.
    #[must_use]
    pub fn has(&self, blocks: u8, now: Millis) -> bool {
        self.left(now) >= u64::from(blocks) * A_BLOCK
    }

    /// Takes what passing on so many blocks costs.
    pub fn spend(&mut self, blocks: u8, now: Millis) {
        self.left = self.left(now).saturating_sub(u64::from(blocks) * A_BLOCK);
        self.at = now.max(self.at);
        let [last, before] = self.peaks_at(now);
        self.peaks = [last.max(self.step(now)), before];
        if now >= self.peak_until {
            self.peak_until = now.plus(PEAK);
        }
    }

    /// Whether it has so much again that what was ignored may come once more: well above the first
    /// step.
    #[must_use]
    pub fn is_calm(&self, now: Millis) -> bool {
        self.left(now).saturating_mul(8) >= capacity(self.rate).saturating_mul(5)
    }

    fn left(&self, now: Millis) -> u64 {
        let gone = now.0.saturating_sub(self.at.0).min(SPAN.0);
        capacity(self.rate).min(self.left + gone * u64::from(self.rate.get()))
    }
}

/// A part of a whole, in percent, rounded down; nothing of nothing is 0.
pub(super) fn percent(part: u64, whole: u64) -> u8 {
    let percent = u128::from(part) * 100;
    let percent = percent.checked_div(u128::from(whole)).unwrap_or_default();
    u8::try_from(percent.min(100)).unwrap_or(100)
}

/// What a bucket of this rate holds, in thousandths of a block.
fn capacity(rate: NonZeroU32) -> u64 {
    SPAN.0 * u64::from(rate.get())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(rate: u32) -> Line {
        Line::new(NonZeroU32::new(rate).unwrap(), Millis(0))
    }

    #[test]
    fn the_step_grows_by_one_for_each_sixteenth_below_half() {
        let mut line = line(2);
        // 240 blocks; a sixteenth is 15.
        let mut steps = Vec::new();
        for _ in 0..240 {
            line.spend(1, Millis(0));
            steps.push(line.step(Millis(0)).get());
        }
        let first = |step: u8| steps.iter().position(|asked| *asked == step).map(|at| at + 1);
        assert_eq!(first(0), Some(1));
        assert_eq!(
            (1..=8).map(first).collect::<Vec<_>>(),
            (0..8).map(|n| Some(121 + 15 * n)).collect::<Vec<_>>()
        );
        assert!(!line.has(1, Millis(0)));
        assert!(line.has(1, Millis(500)));
        assert!(!line.is_calm(Millis(74_999)) && line.is_calm(Millis(75_000)));
    }

    #[test]
    fn what_is_said_is_the_highest_step_of_the_last_minute_or_two() {
        let mut line = line(2);
        for _ in 0..180 {
            line.spend(1, Millis(0));
        }
        let asked = line.step(Millis(0));
        assert_eq!(asked, Step::new(4));
        let quiet = |second: u64| Millis::from_secs(second);
        assert_eq!(line.step(quiet(59)), Step::new(0));
        assert_eq!([59, 60, 119].map(|second| line.said(quiet(second))), [asked; 3]);
        assert_eq!(line.said(quiet(120)), Step::new(0));
    }

    proptest! {
        #[test]
        fn what_is_said_is_never_less_than_what_is_asked_nor_more_than_was(
            offers in prop::collection::vec((0_u64..90_000, 1_u8..=32), 1..60),
        ) {
            let mut line = line(4);
            let (mut now, mut asked) = (Millis(0), vec![]);
            for (wait, blocks) in offers {
                now = now.plus(Millis(wait));
                line.spend(blocks, now);
                asked.push((now, line.step(now)));
                let said = line.said(now);
                let within = |span: u64| {
                    let recent = asked.iter().filter(|(at, _)| at.plus(Millis(span)) > now);
                    recent.map(|(_, step)| *step).max().unwrap_or_default()
                };
                prop_assert!(said >= within(PEAK.0) && said <= within(2 * PEAK.0));
            }
        }

        #[test]
        fn no_more_is_passed_on_than_a_full_bucket_and_the_rate(
            rate in 1_u32..40, offers in prop::collection::vec((0_u64..3_000, 1_u8..=32), 1..400),
        ) {
            let mut line = line(rate);
            let (mut now, mut passed) = (Millis(0), 0_u64);
            for (wait, blocks) in offers {
                now = now.plus(Millis(wait));
                if line.has(blocks, now) {
                    line.spend(blocks, now);
                    passed += u64::from(blocks);
                }
                let most = u64::from(rate) * (SPAN.0 + now.0) / 1_000;
                prop_assert!(passed <= most, "{passed} of {most}");
            }
        }

        #[test]
        fn a_clock_that_goes_back_gives_nothing(back in 0_u64..1_000_000) {
            let mut line = Line::new(DEFAULT, Millis(1_000_000));
            while line.has(32, Millis(1_000_000)) {
                line.spend(32, Millis(1_000_000));
            }
            prop_assert!(!line.has(32, Millis(1_000_000 - back)));
            line.spend(0, Millis(1_000_000 - back));
            prop_assert!(!line.has(32, Millis(1_000_000)));
        }
    }
}
