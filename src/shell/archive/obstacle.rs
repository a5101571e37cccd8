//! Whatever stands where the folder or a file of an archive belongs, and is something else: a folder
//! in the place of a file, a file in that of the folder, a link, or what the system does not show.
//!
//! It is looked for before anything is opened or made. Found later it would be an error of SQLite
//! that names no path, or a note that is never written.

use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::Path;

use super::{database, label, note};
use crate::engine::secret::opaque_debug;
use crate::shell::os::io_words::io_words;
use crate::shell::store::files;

/// What is in the way of an archive, as a sentence that names the path.
#[derive(Clone, PartialEq, Eq)]
pub struct ArchiveObstacle(String);

opaque_debug!(struct ArchiveObstacle(_));

impl ArchiveObstacle {
    /// For a person: the path, and what is there.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.0
    }

    /// The first thing in the way of the archive in `dir`; `None` if there is nothing, or no folder.
    pub(super) fn find(dir: &Path) -> Option<Self> {
        match fs::metadata(dir) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) => return Some(Self::of(dir, FOLDER_BELONGS, metadata.file_type())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A link that leads nowhere is there all the same.
                let link = dir.symlink_metadata().ok();
                return link.map(|link| Self::of(dir, FOLDER_BELONGS, link.file_type()));
            }
            Err(error) => return Some(Self::unseen(dir, &error)),
        }
        own_files().iter().find_map(|name| {
            let path = dir.join(name);
            match path.symlink_metadata() {
                Ok(metadata) if Metadata::is_file(&metadata) => None,
                Ok(metadata) => Some(Self::of(&path, FILE_BELONGS, metadata.file_type())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => Some(Self::unseen(&path, &error)),
            }
        })
    }

    fn of(path: &Path, belongs: &str, found: FileType) -> Self {
        let is = if found.is_dir() {
            "a folder"
        } else if found.is_file() {
            "a file"
        } else if found.is_symlink() {
            "a link"
        } else {
            "neither a file nor a folder"
        };
        Self(format!("{path:?} is {is}, and {belongs} belongs there"))
    }

    fn unseen(path: &Path, error: &io::Error) -> Self {
        Self(format!("{path:?} cannot be looked at: {}", io_words(error)))
    }
}

/// The names of all files that an archive makes, but for its label: what lies in the place of that
/// is told by [`label::WrittenLabel`].
fn own_files() -> Vec<String> {
    let mut names = database::own_files();
    let fresh = files::fresh_name;
    let notes = [note::NOTE_FILE.to_owned(), fresh(note::NOTE_FILE), fresh(label::LABEL_FILE)];
    names.extend(notes);
    names.push(files::LOCK_FILE.to_owned());
    names
}

const FOLDER_BELONGS: &str = "the folder of an archive";

const FILE_BELONGS: &str = "a file of an archive";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_named_to_a_person_and_not_in_a_log() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ArchiveObstacle::find(&dir.path().join("missing")).is_none());
        let file = dir.path().join("lock");
        fs::create_dir(&file).unwrap();
        let obstacle = ArchiveObstacle::find(dir.path()).unwrap();
        let words = format!("{file:?} is a folder, and a file of an archive belongs there");
        assert_eq!(obstacle.words(), words);
        assert_eq!(format!("{obstacle:?}"), "ArchiveObstacle");
    }
}
