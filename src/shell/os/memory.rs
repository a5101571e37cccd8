//! The memory that this process may still take.

use std::fs;
use std::path::Path;

/// The bytes of memory that this process can still take: without swapping, as the kernel reckons
/// (`MemAvailable` in proc(5)), and within the limits of its control groups, such as a container's.
/// `None` on systems other than Linux, and where neither can be read.
#[must_use]
pub fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| of_meminfo(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").ok();
    let groups = groups.and_then(|text| left_in_groups(Path::new(GROUPS), &text));
    machine.into_iter().chain(groups).min()
}

fn of_meminfo(text: &str) -> Option<u64> {
    let row = text.lines().find_map(|row| row.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = row.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1 << 10)
}

/// What the limits of the control groups leave that this text names (cgroups(7), `/proc/PID/cgroup`)
/// and of those around them: the least.
fn left_in_groups(root: &Path, text: &str) -> Option<u64> {
    let left = |row: &str| {
        let (_, row) = row.split_once(':')?;
        let (controllers, path) = row.split_once(':')?;
        let (root, files) = match controllers {
            "" => (root.to_owned(), UNIFIED),
            _ if controllers.split(',').any(|one| one == "memory") => (root.join("memory"), LEGACY),
            _ => return None,
        };
        let group = root.join(path.trim_start_matches('/'));
        // In a container the path is the one outside, and the root the container's own group.
        let groups = group.ancestors().take_while(|group| group.starts_with(&root));
        groups.filter_map(|group| left_in(group, files)).min()
    };
    text.lines().filter_map(left).min()
}

/// What the limit of one group leaves; `None` if it has none. Pages of files that were not used of
/// late are given back when memory is needed.
fn left_in(group: &Path, [limit, taken, cached]: [&str; 3]) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    let (limit, taken) = (number(limit)?, number(taken)?);
    let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let cached = statistics.lines().find_map(|row| row.strip_prefix(cached)?.trim().parse().ok());
    Some(limit.saturating_sub(taken.saturating_sub(cached.unwrap_or(0))))
}

/// Where control groups are.
const GROUPS: &str = "/sys/fs/cgroup";

/// The files of a group: its limit, what is taken, and the row of the pages of files (kernel,
/// "Control Group v2" and "Memory Resource Controller").
const UNIFIED: [&str; 3] = ["memory.max", "memory.current", "inactive_file "];
const LEGACY: [&str; 3] =
    ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "];

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

    /// Makes a group with these files.
    fn group(root: &Path, path: &str, files: &[(&str, &str)]) {
        let group = root.join(path);
        fs::create_dir_all(&group).unwrap();
        files.iter().for_each(|(name, text)| fs::write(group.join(name), text).unwrap());
    }

    #[test]
    fn the_least_of_the_limits_around_a_process_counts_and_pages_of_files_do_not() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let files = |limit, taken| {
            [
                ("memory.max", limit),
                ("memory.current", taken),
                ("memory.stat", "anon 5\ninactive_file 30\n"),
            ]
        };
        group(root, "a/b", &files("1000\n", "130\n"));
        assert_eq!(left_in_groups(root, "0::/a/b\n"), Some(900));
        group(root, "a", &files("500\n", "430\n"));
        assert_eq!(left_in_groups(root, "0::/a/b\n"), Some(100));
        assert_eq!(left_in_groups(root, "0::/\n"), None);
        group(root, "c", &files("max\n", "430\n"));
        assert_eq!(left_in_groups(root, "0::/c\n"), None, "no limit");
        let old = [("memory.limit_in_bytes", "70"), ("memory.usage_in_bytes", "50")];
        group(root, "memory/d", &old);
        assert_eq!(left_in_groups(root, "5:cpu:/x\n4:memory,hugetlb:/d\n0::/a/b\n"), Some(20));
        for odd in ["", "0", "0:", "0::", "::::", "4:memory:../../..", "\u{0}"] {
            assert_eq!(left_in_groups(root, odd), None, "{odd}");
        }
    }
}
