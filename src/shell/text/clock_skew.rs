//! The difference between this machine's clock and those of others in words, for the interface and
//! the commands.

use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::envelope::check::{CLOCK_TOLERANCE, expired, is_early};
use crate::engine::envelope::draft::hour_made;
use crate::engine::sync::ClockSkew;

/// From so many minutes on, others refuse what this machine sends.
const REFUSED_MINUTES: u64 = CLOCK_TOLERANCE.0 as u64 / 60;

/// From so many minutes on it is time to look. A guess: well before anything is refused.
const DOUBTED_MINUTES: u64 = 3;

/// The doubt in this machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::shell) enum SkewDoubt {
    /// It agrees, or nobody knows.
    None,
    /// Others may soon refuse what it dates.
    Some,
    /// They do.
    Refused,
}

impl SkewDoubt {
    pub(in crate::shell) fn of(clock: Option<ClockSkew>) -> Self {
        let Some(ClockSkew { minutes, witnesses }) = clock else { return Self::None };
        match minutes.unsigned_abs() {
            0..DOUBTED_MINUTES => Self::None,
            DOUBTED_MINUTES..REFUSED_MINUTES => Self::Some,
            // A single peer may be the one whose clock is wrong.
            _ if witnesses < 2 => Self::Some,
            _ => Self::Refused,
        }
    }
}

/// The difference of the clock, in a sentence or two.
pub(in crate::shell) fn words(clock: ClockSkew) -> String {
    let ClockSkew { minutes, witnesses } = clock;
    let peers = if witnesses == 1 { "1 peer".to_owned() } else { format!("{witnesses} peers") };
    let side = if minutes > 0 { "ahead of" } else { "behind" };
    let off = distance(minutes);
    match SkewDoubt::of(Some(clock)) {
        SkewDoubt::None if minutes == 0 => format!("agrees with {peers}"),
        SkewDoubt::None => format!("within {off} of {peers}"),
        SkewDoubt::Some if witnesses < 2 => format!(
            "your clock is {off} {side} that of your only peer: one of the two is wrong. Beyond \
             {REFUSED_MINUTES} min, messages are rejected: check the clock"
        ),
        SkewDoubt::Some => format!(
            "your clock may be {off} {side} those of {peers}. Beyond {REFUSED_MINUTES} min, \
             messages are rejected: check the clock"
        ),
        SkewDoubt::Refused => format!(
            "your clock seems to be {off} {side} those of {peers}. Beyond {REFUSED_MINUTES} \
             min, messages are rejected: set the clock"
        ),
    }
}

/// So many minutes in a unit that a person can grasp, rounded down.
fn distance(minutes: i64) -> String {
    const HOUR: u64 = 60;
    const DAY: u64 = 24 * HOUR;
    const YEAR: u64 = 365 * DAY;
    match minutes.unsigned_abs() {
        few @ 0..=119 => format!("{few} min"),
        more if more < 2 * DAY => format!("{} hours", more / HOUR),
        more if more < 2 * YEAR => format!("{} days", more / DAY),
        more => format!("{} years", more / YEAR),
    }
}

/// The same to a person who sends something, if others may refuse what this machine dates: by the clock
/// of a single peer, too.
pub(in crate::shell) fn warning(clock: Option<ClockSkew>) -> Option<String> {
    let clock = clock.filter(|clock| clock.minutes.unsigned_abs() >= REFUSED_MINUTES)?;
    Some(words(clock))
}

/// Whether others do not carry what left at this time of our clock for this lifetime, by what is known of
/// their clocks. Where nothing is, it is ours that says whether the date is still to come.
pub(in crate::shell) fn is_uncarried(
    (sent, lifetime): (UnixSeconds, Lifetime),
    clock: Option<ClockSkew>,
    now: UnixSeconds,
) -> bool {
    let ahead = clock.map_or(0, |clock| clock.minutes);
    let seconds = ahead.unsigned_abs().saturating_mul(60);
    let theirs =
        if ahead > 0 { now.0.saturating_sub(seconds) } else { now.0.saturating_add(seconds) };
    let theirs = UnixSeconds(theirs);
    let expiry = hour_made(sent).plus(lifetime.ttl());
    // What is past by a clock that is right was carried for its whole life.
    let is_behind = ahead < 0 && seconds >= u64::from(CLOCK_TOLERANCE.0);
    is_early(expiry, lifetime, theirs) || (is_behind && expired(expiry, theirs))
}

/// The same in a few words, for the title; nothing while there is no doubt.
pub(in crate::shell) fn brief(clock: Option<ClockSkew>) -> Option<String> {
    let minutes = clock?.minutes;
    let side = if minutes > 0 { "ahead" } else { "behind" };
    let off = distance(minutes);
    match SkewDoubt::of(clock) {
        SkewDoubt::None => None,
        SkewDoubt::Some => Some(format!("clock may be {off} {side}")),
        SkewDoubt::Refused => Some(format!("clock {off} {side}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_doubted_from_three_minutes_on_and_refused_from_five() {
        let doubt = |minutes| SkewDoubt::of(Some(ClockSkew { minutes, witnesses: 4 }));
        assert_eq!(SkewDoubt::of(None), SkewDoubt::None);
        assert_eq!([0, 2, -2].map(doubt), [SkewDoubt::None; 3]);
        assert_eq!([3, -4].map(doubt), [SkewDoubt::Some; 2]);
        assert_eq!([5, -5, i64::MIN].map(doubt), [SkewDoubt::Refused; 3]);
    }

    #[test]
    fn what_a_wrong_clock_dates_is_not_carried_and_what_expired_under_a_right_one_was() {
        const HOUR: i64 = 60;
        let now = UnixSeconds(1_800_000_000);
        let uncarried = |minutes: i64| {
            let clock = ClockSkew { minutes, witnesses: 1 };
            is_uncarried((now, Lifetime::Day), Some(clock), now)
        };
        assert_eq!([0, 5, -5, -20 * HOUR].map(uncarried), [false; 4]);
        assert_eq!([66, 3 * 24 * HOUR, -27 * HOUR, -72 * HOUR].map(uncarried), [true; 4]);
        let week = ClockSkew { minutes: -72 * HOUR, witnesses: 1 };
        assert!(!is_uncarried((now, Lifetime::Week), Some(week), now));
        let at = |sent| is_uncarried((UnixSeconds(sent), Lifetime::Day), None, now);
        assert!(at(now.0 + 259_200), "its date is still to come");
        assert!(!at(now.0) && !at(now.0 - 259_200));
        let right = Some(ClockSkew { minutes: -1, witnesses: 3 });
        let before = UnixSeconds(now.0 - 259_200);
        assert!(!is_uncarried((before, Lifetime::Day), right, now), "it expired");
        // No clock makes it panic.
        for minutes in [i64::MIN, i64::MAX] {
            let clock = Some(ClockSkew { minutes, witnesses: 1 });
            assert!(is_uncarried((now, Lifetime::Day), clock, now));
        }
    }

    #[test]
    fn who_sends_is_warned_of_a_clock_by_which_others_refuse_what_it_dates() {
        let clock = |minutes| Some(ClockSkew { minutes, witnesses: 1 });
        assert!(warning(None).is_none() && warning(clock(4)).is_none());
        assert!(warning(clock(-5)).unwrap().contains("5 min behind that of your only peer"));
    }

    #[test]
    fn it_is_said_whose_clock_is_behind() {
        let clock = ClockSkew { minutes: -7, witnesses: 4 };
        assert!(words(clock).starts_with("your clock seems to be 7 min behind those of 4 peers."));
        assert_eq!(brief(Some(clock)).as_deref(), Some("clock 7 min behind"));
        let clock = ClockSkew { minutes: 0, witnesses: 1 };
        assert_eq!(words(clock), "agrees with 1 peer");
        assert_eq!(brief(Some(clock)), None);
        let clock = ClockSkew { minutes: 60, witnesses: 1 };
        assert!(words(clock).contains("60 min ahead of that of your only peer: one of the two"));
        assert_eq!(brief(Some(clock)).as_deref(), Some("clock may be 60 min ahead"));
        let years = ClockSkew { minutes: -29_933_052, witnesses: 4 };
        assert!(
            words(years).starts_with("your clock seems to be 56 years behind those of 4 peers.")
        );
        let told = [-119, 120, 2_879, -2_880, 1_051_199, 1_051_200, i64::MIN].map(distance);
        assert_eq!(told[..4], ["119 min", "2 hours", "47 hours", "2 days"]);
        assert_eq!(told[4..6], ["729 days", "2 years"]);
        assert!(told[6].ends_with(" years"));
    }
}
