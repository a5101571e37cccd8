//! The difference between this machine's clock and those of others in words, for the interface and
//! the commands.

use crate::engine::envelope::check::CLOCK_TOLERANCE;
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
    let off = minutes.unsigned_abs();
    match SkewDoubt::of(Some(clock)) {
        SkewDoubt::None if minutes == 0 => format!("agrees with {peers}"),
        SkewDoubt::None => format!("within {off} min of {peers}"),
        SkewDoubt::Some if witnesses < 2 => format!(
            "your clock is {off} min {side} that of your only peer: one of the two is wrong. Beyond \
             {REFUSED_MINUTES} min, messages are rejected: check the clock"
        ),
        SkewDoubt::Some => format!(
            "your clock may be {off} min {side} those of {peers}. Beyond {REFUSED_MINUTES} min, \
             messages are rejected: check the clock"
        ),
        SkewDoubt::Refused => format!(
            "your clock seems to be {off} min {side} those of {peers}. Beyond {REFUSED_MINUTES} \
             min, messages are rejected: set the clock"
        ),
    }
}

/// The same in a few words, for the title; nothing while there is no doubt.
pub(in crate::shell) fn brief(clock: Option<ClockSkew>) -> Option<String> {
    let minutes = clock?.minutes;
    let side = if minutes > 0 { "ahead" } else { "behind" };
    let off = minutes.unsigned_abs();
    match SkewDoubt::of(clock) {
        SkewDoubt::None => None,
        SkewDoubt::Some => Some(format!("clock may be {off} min {side}")),
        SkewDoubt::Refused => Some(format!("clock {off} min {side}")),
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
    }
}
