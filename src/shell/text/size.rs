//! A number of bytes in words, for the interface and the commands: in the units that people choose
//! sizes in.

/// The units above a byte, each 1,024 of the one before.
const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];

/// `640 B`, `10.5 KiB` or `64 MiB`: to a tenth of the unit, rounded.
pub(in crate::shell) fn words(bytes: u64) -> String {
    let mut words = format!("{bytes} B");
    // The last unit in which there is at least one whole of it.
    for (unit, power) in UNITS.iter().zip(1..) {
        let one = 1024_u128.pow(power);
        // In the unit before it would be 1,024 or more, rounded.
        if u128::from(bytes) * 20 + one / 1024 < one * 20 {
            break;
        }
        let tenths = (u128::from(bytes) * 20 + one) / (one * 2);
        words = match tenths % 10 {
            0 => format!("{} {unit}", tenths / 10),
            rest => format!("{}.{rest} {unit}", tenths / 10),
        };
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::relay::pool::PoolBounds;
    use crate::engine::settings::{DEFAULT_POOL, RELAY_POOL};

    #[test]
    fn a_size_is_told_in_the_unit_that_says_most() {
        for (bytes, told) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (10_752, "10.5 KiB"),
            ((1 << 20) - 1, "1 MiB"),
            ((1 << 20) - 60, "1023.9 KiB"),
            (64 << 20, "64 MiB"),
            (10 << 30, "10 GiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(words(bytes), told);
        }
        let room = |bounds: PoolBounds| words(bounds.bytes() as u64);
        assert_eq!(room(DEFAULT_POOL), "64 MiB");
        assert_eq!(
            (room(RELAY_POOL), room(PoolBounds::LEAST)),
            ("751.1 MiB".to_owned(), "672 KiB".to_owned())
        );
    }
}
