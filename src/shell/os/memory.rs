//! The memory of this machine that a process may still take.

/// The bytes of memory that can be taken without swapping, as the kernel reckons (`MemAvailable` in
/// proc(5)). `None` on systems other than Linux, and where it cannot be read.
///
/// A limit on this process alone, such as a container's, is not looked at.
#[must_use]
pub fn available() -> Option<u64> {
    of_meminfo(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn of_meminfo(text: &str) -> Option<u64> {
    let row = text.lines().find_map(|row| row.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = row.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_available_memory_is_read_and_nothing_else_is_taken_for_it() {
        let text = "MemTotal:        4028412 kB\nMemFree:          212484 kB\n\
                    MemAvailable:    2097152 kB\nBuffers:           51200 kB\n";
        assert_eq!(of_meminfo(text), Some(2 << 30));
        for odd in [
            "",
            "MemFree: 212484 kB",
            "MemAvailable: much kB",
            "MemAvailable: -1 kB",
            "MemAvailable: 2097152",
            "MemAvailable: 18446744073709551615 kB",
        ] {
            assert_eq!(of_meminfo(odd), None, "{odd}");
        }
    }
}
