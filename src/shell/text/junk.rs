//! How often junk is sent, in words.

/// The units of a rate with what they are called in a sentence and beside other figures, and how many
/// there are in a minute.
const UNITS: [(&str, &str, f64); 4] = [
    ("second", "s", 60.0),
    ("minute", "min", 1.0),
    ("hour", "h", 1.0 / 60.0),
    ("day", "day", 1.0 / 1_440.0),
];

/// `2 per minute`, `1 per hour`: in the shortest unit in which it is at least one.
pub(in crate::shell) fn rate(per_minute: f64) -> String {
    let (number, (long, _, _)) = in_unit(per_minute);
    format!("{number} per {long}")
}

/// `2/min`, `1/h`: the same, as it is typed.
pub(in crate::shell) fn brief_rate(per_minute: f64) -> String {
    let (number, (_, short, _)) = in_unit(per_minute);
    format!("{number}/{short}")
}

fn in_unit(per_minute: f64) -> (String, (&'static str, &'static str, f64)) {
    let [.., last] = UNITS;
    // A rate is kept as a whole number of milliseconds between two, so 7 an hour are a bit more.
    let fitting = UNITS.into_iter().find(|(_, _, units)| per_minute / units > 0.999);
    let unit = fitting.unwrap_or(last);
    let count = per_minute / unit.2;
    // Above ten a tenth says nothing that the rounding of the milliseconds does not blur.
    let number = if count < 9.95 { format!("{count:.1}") } else { format!("{count:.0}") };
    (number.strip_suffix(".0").map_or_else(|| number.clone(), str::to_owned), unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_in_the_unit_that_fits_and_never_as_nothing() {
        let mean = |milliseconds: f64| 60_000.0 / milliseconds;
        for (per_minute, told, brief) in [
            (mean(100.0), "10 per second", "10/s"),
            (mean(1_000.0), "1 per second", "1/s"),
            (mean(1_016.0), "59 per minute", "59/min"),
            (mean(24_000.0), "2.5 per minute", "2.5/min"),
            (mean(30_000.0), "2 per minute", "2/min"),
            (mean(514_285.0), "7 per hour", "7/h"),
            (mean(3_600_000.0), "1 per hour", "1/h"),
            (mean(86_400_000.0), "1 per day", "1/day"),
        ] {
            assert_eq!((rate(per_minute).as_str(), brief_rate(per_minute).as_str()), (told, brief));
        }
        assert_eq!(rate(f64::NAN), "NaN per day", "whatever a node says is told");
    }
}
