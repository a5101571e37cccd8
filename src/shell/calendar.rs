//! Times as people read them, in a time zone that is handed in, and as programs read them, in UTC. No
//! clock and no zone is read here.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::engine::env::UnixSeconds;

/// A moment as the calendars and clocks of one time zone show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil(DateTime);

impl Civil {
    /// The moment `at`.
    pub(crate) fn at(at: UnixSeconds, zone: &TimeZone) -> Self {
        Self(zone.to_datetime(timestamp(at)))
    }

    /// The day, to compare it with others.
    pub(crate) fn day(self) -> Date {
        self.0.date()
    }

    /// `Fri 20 Nov`
    pub(crate) fn short_date(self) -> String {
        self.0.strftime("%a %-d %b").to_string()
    }

    /// `Fri 20 Nov 2026`
    pub(crate) fn date(self) -> String {
        self.0.strftime("%a %-d %b %Y").to_string()
    }

    /// `09:58`
    pub(crate) fn clock(self) -> String {
        self.0.strftime("%H:%M").to_string()
    }

    /// `09:58:07`
    pub(crate) fn seconds_clock(self) -> String {
        self.0.strftime("%H:%M:%S").to_string()
    }

    /// `2026-11-20 09:58:07`, for lines that people read and sort.
    pub(crate) fn sortable(self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// `2026-11-20 09:58`, for what is not known to the second.
    pub(crate) fn sortable_minute(self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M").to_string()
    }
}

/// `2026-11-20T09:58:07Z`, as ISO 8601 writes it: for programs, files and logs.
pub(crate) fn utc(at: UnixSeconds) -> String {
    timestamp(at).to_string()
}

/// The moment that [`utc`] wrote, to the second; `None` for any other text and for times before
/// 1970.
pub(crate) fn read_utc(text: &str) -> Option<UnixSeconds> {
    let at: Timestamp = text.parse().ok()?;
    u64::try_from(at.as_second()).ok().map(UnixSeconds)
}

/// The abbreviation of a zone at `at`: `CET`, `UTC`, `UTC+0530`. It is right beside one time; what
/// stands for many times takes [`zone_name`].
pub(crate) fn zone_abbreviation(at: UnixSeconds, zone: &TimeZone) -> String {
    let info = zone.to_offset_info(timestamp(at));
    abbreviation(info.abbreviation(), info.offset())
}

/// The name of a zone all year: `Europe/Berlin`. Where it has none, the abbreviations of its clocks.
pub(crate) fn zone_name(at: UnixSeconds, zone: &TimeZone) -> String {
    // `Etc/UTC` is UTC, and `Etc/GMT+5` is five hours behind it.
    match zone.iana_name().filter(|name| !name.starts_with("Etc/")) {
        Some(name) => printable(name),
        None => zone_clocks(at, zone),
    }
}

/// The abbreviations of a zone in the year after `at`: `UTC`, or `CET/CEST` where its clocks change.
pub(crate) fn zone_clocks(at: UnixSeconds, zone: &TimeZone) -> String {
    let at = timestamp(at);
    let now = zone.to_offset_info(at);
    let next = zone
        .following(at)
        .take_while(|next| next.timestamp().duration_since(at) < YEAR)
        .map(|next| (next.offset(), abbreviation(next.abbreviation(), next.offset())))
        .next();
    let now = (now.offset(), abbreviation(now.abbreviation(), now.offset()));
    match next.filter(|next| next.1 != now.1) {
        None => now.1,
        // In the same order in summer and in winter.
        Some(next) if next.0 < now.0 => format!("{}/{}", next.1, now.1),
        Some(next) => format!("{}/{}", now.1, next.1),
    }
}

/// Clocks that change every year do so within this time.
const YEAR: SignedDuration = SignedDuration::from_hours(366 * 24);

fn abbreviation(letters: &str, offset: Offset) -> String {
    let letters = match printable(letters) {
        none if none.is_empty() => offset.to_string(),
        letters => letters,
    };
    // Zones without an abbreviation of their own have their offset in its place.
    if letters.starts_with(['+', '-']) { format!("UTC{letters}") } else { letters }
}

/// Times past the year 9999 become its end.
fn timestamp(at: UnixSeconds) -> Timestamp {
    let seconds = i64::try_from(at.0).ok();
    seconds.and_then(|at| Timestamp::from_second(at).ok()).unwrap_or(LAST)
}

/// The last whole second that a calendar has in every zone.
const LAST: Timestamp = Timestamp::constant(253_402_207_200, 0);

/// The names of zones come from files and from the environment.
fn printable(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(MAX_ZONE_NAME).collect()
}

/// The longest name of the IANA's has 32 characters.
const MAX_ZONE_NAME: usize = 40;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_text};

    /// Europe/Berlin and Asia/Kolkata as rules, which need no files.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    const KOLKATA: &str = "<+0530>-5:30";

    fn zone(rule: &str) -> TimeZone {
        TimeZone::posix(rule).unwrap()
    }

    /// The day, the clock and the abbreviation.
    fn shown(at: u64, zone: &TimeZone) -> String {
        let at = UnixSeconds(at);
        let civil = Civil::at(at, zone);
        format!("{} {} {}", civil.date(), civil.seconds_clock(), zone_abbreviation(at, zone))
    }

    #[test]
    fn known_moments_are_written_as_calendars_have_them() {
        for (seconds, expected) in [
            (0, "Thu 1 Jan 1970 00:00:00 UTC"),
            (951_782_399, "Mon 28 Feb 2000 23:59:59 UTC"),
            (951_782_400, "Tue 29 Feb 2000 00:00:00 UTC"),
            (1_795_171_620, "Fri 20 Nov 2026 10:47:00 UTC"),
            (4_107_542_400, "Mon 1 Mar 2100 00:00:00 UTC"),
        ] {
            assert_eq!(shown(seconds, &TimeZone::UTC), expected);
        }
        let civil = Civil::at(UnixSeconds(1_795_168_687), &TimeZone::UTC);
        assert_eq!(civil.short_date(), "Fri 20 Nov");
        assert_eq!(civil.clock(), "09:58");
        assert_eq!(civil.sortable(), "2026-11-20 09:58:07");
        assert_eq!(utc(UnixSeconds(1_795_168_687)), "2026-11-20T09:58:07Z");
    }

    #[test]
    fn the_hour_that_a_change_of_clocks_repeats_or_skips_is_told_apart_by_its_abbreviation() {
        let berlin = zone(BERLIN);
        for (seconds, expected) in [
            (1_795_171_620, "Fri 20 Nov 2026 11:47:00 CET"),
            // Sunday, 29 March 2026, 01:00 UTC.
            (1_774_745_999, "Sun 29 Mar 2026 01:59:59 CET"),
            (1_774_746_000, "Sun 29 Mar 2026 03:00:00 CEST"),
            // Sunday, 25 October 2026, 01:00 UTC.
            (1_792_889_999, "Sun 25 Oct 2026 02:59:59 CEST"),
            (1_792_890_000, "Sun 25 Oct 2026 02:00:00 CET"),
        ] {
            assert_eq!(shown(seconds, &berlin), expected);
        }
    }

    #[test]
    fn days_are_those_of_the_zone() {
        // 2026-11-20, 18:29:59 and 18:30:00 UTC.
        let (before, after) = (UnixSeconds(1_795_199_399), UnixSeconds(1_795_199_400));
        let day = |at, zone: &TimeZone| Civil::at(at, zone).day();
        assert_eq!(day(before, &TimeZone::UTC), day(after, &TimeZone::UTC));
        let kolkata = zone(KOLKATA);
        assert_ne!(day(before, &kolkata), day(after, &kolkata));
        assert_eq!(shown(after.0, &kolkata), "Sat 21 Nov 2026 00:00:00 UTC+0530");
    }

    #[test]
    fn the_ends_of_time_are_dates_in_every_zone() {
        let far = [zone("AAA-24:59:59"), zone("BBB+24:59:59"), zone(BERLIN), TimeZone::UTC];
        for seconds in [0, 1, 253_402_207_200, 253_402_300_800, 1 << 63, u64::MAX] {
            for zone in &far {
                assert!(!shown(seconds, zone).is_empty());
            }
        }
        assert_eq!(utc(UnixSeconds(u64::MAX)), "9999-12-30T22:00:00Z");
        assert_eq!(utc(UnixSeconds(0)), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_zone_is_called_by_a_name_that_is_right_for_summer_and_winter() {
        let at = UnixSeconds(1_795_171_620);
        assert_eq!(zone_name(at, &TimeZone::UTC), "UTC");
        assert_eq!(zone_name(at, &zone(BERLIN)), "CET/CEST");
        // Half a year before, and in the last hours of time.
        assert_eq!(zone_name(UnixSeconds(at.0 - 15_000_000), &zone(BERLIN)), "CET/CEST");
        assert!(zone_name(UnixSeconds(u64::MAX), &zone(BERLIN)).starts_with("CET"));
        // Half the world is in winter then.
        assert_eq!(zone_name(at, &zone("AEST-10AEDT,M10.1.0,M4.1.0/3")), "AEST/AEDT");
        assert_eq!(zone_name(at, &zone(KOLKATA)), "UTC+0530");
        assert_eq!(zone_name(at, &zone("<-03>3<-02>,M3.5.0/-2,M10.5.0/-1")), "UTC-03/UTC-02");
        assert_eq!(zone_abbreviation(at, &TimeZone::fixed(jiff::tz::offset(-3))), "UTC-03");
    }

    proptest! {
        #[test]
        fn any_time_in_any_zone_is_shown_in_printable_ascii(at: u64, hours in -25_i8..=25) {
            let zone = TimeZone::fixed(jiff::tz::offset(hours));
            prop_assert!(shown(at, &zone).bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert!(utc(UnixSeconds(at)).is_ascii());
            prop_assert!(zone_name(UnixSeconds(at), &zone).is_ascii());
            prop_assert!(zone_clocks(UnixSeconds(at), &zone).is_ascii());
        }
    }

    #[test]
    fn changed_at_random_a_moment_is_read_as_it_is_written_or_is_none() {
        let seeds = ["2026-11-20T09:58:07Z", "1970-01-01T00:00:00Z", "2026-11-20 09:58:07.5+01:30"];
        each_text(&seeds, |text| {
            let read = read_utc(text);
            assert!(read.is_none_or(|at| read_utc(&utc(at)) == Some(at)));
            Reading::found(read)
        });
    }
}
