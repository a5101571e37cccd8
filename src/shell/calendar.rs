//! Days and clocks of UTC, from plain seconds. It reads no clock and knows no time zone.

use crate::engine::env::UnixSeconds;

/// A moment as people write it, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    /// Days since 1970-01-01.
    pub(crate) days: u64,
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Civil {
    /// The moment `at`. After Howard Hinnant, "chrono-compatible low-level date algorithms",
    /// `civil_from_days`.
    pub(crate) const fn at(at: UnixSeconds) -> Self {
        let days = at.0 / 86_400;
        let of_day = at.0 % 86_400;
        // Days since 0000-03-01, so that the leap day is the last of its year.
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        Self {
            days,
            year,
            month,
            day,
            hour: of_day / 3_600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
        }
    }

    /// `Fri 20 Nov`
    pub(crate) fn short_date(self) -> String {
        let date = self.date();
        date.rsplit_once(' ').map_or_else(|| date.clone(), |(short, _)| short.to_owned())
    }

    /// `09:58`
    pub(crate) fn clock(self) -> String {
        format!("{:02}:{:02}", self.hour, self.minute)
    }

    /// `09:58:07`
    pub(crate) fn seconds_clock(self) -> String {
        format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }

    /// `2026-11-20T09:58:07Z`, as ISO 8601 writes it.
    pub(crate) fn iso(self) -> String {
        let Self { days: _, year, month, day, hour, minute, second } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// `Fri 20 Nov 2026`
    pub(crate) fn date(self) -> String {
        // 1970-01-01 was a Thursday.
        let weekday = match self.days % 7 {
            0 => "Thu",
            1 => "Fri",
            2 => "Sat",
            3 => "Sun",
            4 => "Mon",
            5 => "Tue",
            _ => "Wed",
        };
        let month = match self.month {
            1 => "Jan",
            2 => "Feb",
            3 => "Mar",
            4 => "Apr",
            5 => "May",
            6 => "Jun",
            7 => "Jul",
            8 => "Aug",
            9 => "Sep",
            10 => "Oct",
            11 => "Nov",
            _ => "Dec",
        };
        format!("{weekday} {} {month} {}", self.day, self.year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_as_calendars_have_them() {
        for (seconds, date, clock) in [
            (0, "Thu 1 Jan 1970", "00:00:00"),
            (951_782_399, "Mon 28 Feb 2000", "23:59:59"),
            (951_782_400, "Tue 29 Feb 2000", "00:00:00"),
            (1_795_171_620, "Fri 20 Nov 2026", "10:47:00"),
            (4_107_542_400, "Mon 1 Mar 2100", "00:00:00"),
        ] {
            let civil = Civil::at(UnixSeconds(seconds));
            assert_eq!(civil.date(), date);
            assert_eq!(civil.seconds_clock(), clock);
        }
    }
}
