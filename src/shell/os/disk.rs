//! The room on a disk.

use std::path::Path;

/// The bytes that a process of this user may still write to the disk of a folder, or of the one that
/// it would be made in; `None` where that cannot be seen.
#[must_use]
pub fn available(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    let found = rustix::fs::statvfs(there).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_some_room_also_for_a_folder_that_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        assert!(available(folder.path()).is_some_and(|free| free > 0));
        assert!(available(&folder.path().join("not/yet")).is_some());
    }
}
