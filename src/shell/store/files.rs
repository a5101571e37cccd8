//! The store's files: made for their owner alone, replaced whole, and used by one process at a
//! time.
//!
//! Nothing here follows a symbolic link to a file of the store, and nothing here knows the content
//! of the files.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{StoreError, is_nothing};
use crate::shell::os::data_dir::{FILE_MODE, refuse_others};
use crate::shell::os::user_file::open_private;

/// Whether a file of the store exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell) enum FilePresence {
    /// It exists, and is accessible to its owner alone.
    Present,
    /// The folder has no entry of this name.
    Missing,
}

/// Looks for a file of the store.
///
/// # Errors
///
/// [`StoreError::Foreign`] if the name belongs to a link, a folder or the like;
/// [`StoreError::UnsafePermissions`] if others can use the file, [`StoreError::OfAnother`] if one of them
/// owns it.
pub(in crate::shell) fn presence(path: &Path) -> Result<FilePresence, StoreError> {
    // Of the link and not of its target: a link could lead to a file elsewhere that is not ours.
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FilePresence::Missing),
        Err(error) => return Err(error.into()),
    };
    if !metadata.is_file() {
        return Err(StoreError::Foreign);
    }
    refuse_others(path, &metadata)?;
    Ok(FilePresence::Present)
}

/// Refuses what SQLite would open beside a database if it lies there, and is no file, or of others: a pipe
/// would keep us waiting, and what another user owns would be taken for a part of the database.
///
/// # Errors
///
/// As [`presence`].
pub(in crate::shell) fn refuse_beside(database: &Path) -> Result<(), StoreError> {
    BESIDE.iter().try_for_each(|end| {
        let mut path = database.as_os_str().to_owned();
        path.push(end);
        presence(Path::new(&path)).map(|_| ())
    })
}

/// Makes a file that was not there, for its owner alone from its first moment.
pub(in crate::shell) fn create(path: &Path) -> Result<File, StoreError> {
    // `create_new` (O_EXCL) follows no link, and a umask can only narrow the mode.
    Ok(OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?)
}

/// Removes a file that an interrupted step may have left.
pub(in crate::shell) fn remove_leftover(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Gives the file `name` in `dir` the content `bytes`. A crash at any moment leaves the old content
/// or all of the new; on return the new one is durable.
pub(in crate::shell) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let fresh = dir.join(fresh_name(name));
    remove_leftover(&fresh)?;
    let mut file = create(&fresh)?;
    let replaced = file
        .write_all(bytes)
        // Before the rename: after a power cut the name could otherwise lead to an empty file.
        .and_then(|()| file.sync_all())
        .map_err(StoreError::from)
        .and_then(|()| rename(dir, &fresh, &dir.join(name)));
    // What could not take the name is of no use, and would lie there for good.
    if replaced.is_err() && remove_leftover(&fresh).is_err() {
        tracing::debug!("an unfinished file could not be removed");
    }
    replaced
}

/// The name under which the new content of a file lies until it is whole.
pub(in crate::shell) fn fresh_name(name: &str) -> String {
    format!("{name}.new")
}

/// Refuses a folder whose path is too long for a database of this name in it.
///
/// # Errors
///
/// [`StoreError::PathTooLong`], with the length that it may have.
pub(in crate::shell) fn refuse_long_path(dir: &Path, name: &str) -> Result<(), StoreError> {
    let most = MAX_DATABASE_PATH - "/".len() - name.len();
    let bytes = dir.as_os_str().len();
    if bytes > most { Err(StoreError::PathTooLong { bytes, most }) } else { Ok(()) }
}

/// Moves a finished file to its name, durably.
pub(in crate::shell) fn rename(dir: &Path, from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to)?;
    // The name is in the folder; it is durable when the folder is.
    File::open(dir)?.sync_all()?;
    Ok(())
}

/// Reads at most `limit` bytes of a file: the whole of it if it is not longer.
pub(in crate::shell) fn read_start(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    // Looked at once it is open: what had the name before may have been another file.
    open_private(path, OpenOptions::new().read(true))?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file at its place. While it is open, what lies there may become another one, or nothing.
pub(super) struct PlacedFile {
    path: PathBuf,
    device_and_number: (u64, u64),
}

impl PlacedFile {
    /// The file that lies there now.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(super) fn at(path: PathBuf) -> io::Result<Self> {
        let device_and_number = device_and_number(&path)?;
        Ok(Self { path, device_and_number })
    }

    /// Whether it lies there no more. A place that cannot be looked at is not said to have another file.
    /// No file is opened for it.
    pub(super) fn is_moved(&self) -> bool {
        match device_and_number(&self.path) {
            Ok(found) => found != self.device_and_number,
            Err(error) => is_nothing(&error),
        }
    }
}

/// What a file is told by from another one of its name.
fn device_and_number(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Holds a home folder for this process, until it is dropped or the process ends in any way.
pub(in crate::shell) struct HomeLock {
    file: File,
}

impl HomeLock {
    /// Takes the lock of `dir`.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another process, or another store of this one, has it.
    pub(in crate::shell) fn take(dir: &Path) -> Result<Self, StoreError> {
        let mut how = OpenOptions::new();
        // Not `create_new`: it stays when it is given back.
        how.write(true).create(true).truncate(false).mode(FILE_MODE);
        let file = open_private(&dir.join(LOCK_FILE), &mut how)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

/// Whether another process holds a home folder now. Nothing is made, and a folder that cannot be looked at is not
/// said to be held.
pub(super) fn is_held(dir: &Path) -> bool {
    open_private(&dir.join(LOCK_FILE), OpenOptions::new().read(true)).is_ok_and(|file| {
        // Shared, so that two who look are not in each other's way; given back with the file.
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    })
}

impl Drop for HomeLock {
    fn drop(&mut self) {
        // Closing the file gives the lock back only when no copy of it is left, and a process that
        // is being started holds one for a moment.
        if let Err(error) = self.file.unlock() {
            tracing::debug!(kind = ?error.kind(), "the lock of the home folder is released when the process ends");
        }
    }
}

/// Holds the key file of a home folder for one change, beside the node that may run there. The lock
/// is on the folder itself, so that no file is left behind.
#[must_use]
pub(super) struct KeyFileLock {
    folder: File,
}

impl KeyFileLock {
    /// Takes the lock of `dir`; waits up to [`CHANGE_PATIENCE`] while another process has it.
    ///
    /// # Errors
    ///
    /// [`StoreError::PassphraseInUse`] if that was not enough.
    pub(super) fn take(dir: &Path) -> Result<Self, StoreError> {
        Self::take_within(dir, CHANGE_PATIENCE)
    }

    fn take_within(dir: &Path, patience: Duration) -> Result<Self, StoreError> {
        // To lock a folder (flock) it has to be open only for reading.
        let folder = File::open(dir)?;
        match folder.try_lock() {
            Ok(()) => return Ok(Self { folder }),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // The system has no lock with a time limit, so a thread waits for it. If the lock comes too
        // late, the thread finds nobody who wants it, and gives it back.
        let (sender, receiver) = mpsc::sync_channel(1);
        thread::Builder::new().spawn(move || {
            let locked = folder.lock().map(|()| Self { folder });
            if sender.send(locked).is_err() {
                tracing::debug!("a lock of the key file came too late");
            }
        })?;
        match receiver.recv_timeout(patience) {
            Ok(locked) => Ok(locked?),
            Err(_) => Err(StoreError::PassphraseInUse),
        }
    }
}

impl Drop for KeyFileLock {
    fn drop(&mut self) {
        // As for the home folder: a copy of the open folder must not keep the lock.
        if let Err(error) = self.folder.unlock() {
            tracing::debug!(kind = ?error.kind(), "the lock of the key file is released when the process ends");
        }
    }
}

/// The longest path of a database, in bytes: SQLite's bound for files on Unix (`MAX_PATHNAME`) is 512,
/// and the name of a journal ends in "-journal".
const MAX_DATABASE_PATH: usize = 512 - "-journal".len();

/// The wait for another change, which holds the lock only while it writes a small file: long enough
/// for a slow disk. A guess.
const CHANGE_PATIENCE: Duration = Duration::from_secs(10);

/// An empty file of which the lock alone counts. It is never removed: a second file of this name
/// could be locked beside it.
pub(in crate::shell) const LOCK_FILE: &str = "lock";

/// End the names of the files that SQLite makes beside a database (SQLite file format, sections 3 and 4, and the
/// index of the log), and opens if they are there.
const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn files_are_made_for_their_owner_alone_and_replace_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        drop(create(&path).unwrap());
        assert_eq!(mode(&path), 0o600);
        assert!(create(&path).is_err());
    }

    #[test]
    fn replacing_leaves_the_new_content_alone_in_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file.new"), "left by a crash, and longer").unwrap();
        replace(dir.path(), "file", b"first").unwrap();
        replace(dir.path(), "file", b"second").unwrap();
        assert_eq!(read_start(&dir.path().join("file"), 100).unwrap(), b"second");
        assert_eq!(mode(&dir.path().join("file")), 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_replaced_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("file")).unwrap();
        assert!(replace(dir.path(), "file", b"text").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the folder alone");
    }

    #[test]
    fn a_link_or_a_folder_is_not_a_file_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        drop(create(&dir.path().join("target")).unwrap());
        symlink(dir.path().join("target"), dir.path().join("link")).unwrap();
        assert!(matches!(presence(&dir.path().join("link")), Err(StoreError::Foreign)));
        assert!(matches!(presence(dir.path()), Err(StoreError::Foreign)));
        symlink(dir.path().join("elsewhere"), dir.path().join(LOCK_FILE)).unwrap();
        assert!(matches!(HomeLock::take(dir.path()), Err(StoreError::Foreign)));
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn a_file_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        drop(create(&path).unwrap());
        assert_eq!(presence(&path).unwrap(), FilePresence::Present);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(presence(&path), Err(StoreError::UnsafePermissions(_))));
    }

    #[test]
    fn a_lock_ends_when_it_is_dropped_even_if_its_file_was_duplicated() {
        let dir = tempfile::tempdir().unwrap();
        let lock = HomeLock::take(dir.path()).unwrap();
        let copy = lock.file.try_clone().unwrap();
        drop(lock);
        drop(HomeLock::take(dir.path()).unwrap());
        drop(copy);
    }

    #[test]
    fn the_key_file_is_changed_by_one_process_at_a_time_and_another_waits_for_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let home = HomeLock::take(dir.path()).unwrap();
        let first = KeyFileLock::take(dir.path()).unwrap();
        let refused = KeyFileLock::take_within(dir.path(), Duration::ZERO);
        assert!(matches!(refused, Err(StoreError::PassphraseInUse)));
        let path = dir.path().to_owned();
        let second = thread::spawn(move || KeyFileLock::take(&path).map(drop));
        drop(first);
        second.join().unwrap().unwrap();
        // The one that came too late keeps nothing, and the node's own lock is another.
        drop(KeyFileLock::take(dir.path()).unwrap());
        drop(home);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the lock of the home alone");
    }

    #[test]
    fn a_folder_that_cannot_be_written_can_be_locked_for_a_change() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o500)).unwrap();
        drop(KeyFileLock::take(dir.path()).unwrap());
    }

    #[test]
    fn a_file_is_moved_once_another_one_or_none_lies_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("file"), dir.path().join("other"));
        assert!(PlacedFile::at(path.clone()).is_err());
        for file in [&path, &other] {
            fs::write(file, "content").unwrap();
        }
        let placed = PlacedFile::at(path.clone()).unwrap();
        fs::write(&path, "more content").unwrap();
        assert!(!placed.is_moved());
        fs::rename(&other, &path).unwrap();
        assert!(placed.is_moved());
        let placed = PlacedFile::at(path.clone()).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(placed.is_moved());
    }

    #[test]
    fn whether_a_home_is_held_is_seen_without_holding_or_making_anything() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_held(dir.path()) && !is_held(&dir.path().join("nowhere")));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let lock = HomeLock::take(dir.path()).unwrap();
        assert!(is_held(dir.path()));
        drop(lock);
        assert!(!is_held(dir.path()));
        drop(HomeLock::take(dir.path()).unwrap());
    }

    #[test]
    fn a_lock_is_held_once_and_given_back_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let lock = HomeLock::take(dir.path()).unwrap();
        assert!(matches!(HomeLock::take(dir.path()), Err(StoreError::InUse)));
        drop(lock);
        drop(HomeLock::take(dir.path()).unwrap());
        assert_eq!(mode(&dir.path().join(LOCK_FILE)), 0o600);
    }
}
