//! The note of what was mended in an archive, in a small file beside its database.
//!
//! A damaged file is replaced before anybody was told of it, and the start that did so may end at any
//! moment: it is refused for another reason, or killed. So what was mended is noted before the old
//! file goes, and the note stays until a start has told it.

use std::path::Path;

use super::database::Found;
use crate::shell::store::StoreError;
use crate::shell::store::files::{self, FilePresence};

/// What was mended and not told yet; `None` if nothing was, or the note cannot be read.
pub(super) fn read(dir: &Path) -> Option<Found> {
    let path = dir.join(NOTE_FILE);
    let found = files::presence(&path).ok()?;
    let text =
        (found == FilePresence::Present).then(|| files::read_start(&path, LONGEST).ok())??;
    serde_json::from_slice(&text).ok()
}

/// Notes what is about to be mended. What cannot be noted is mended all the same.
pub(super) fn write(dir: &Path, found: Found) {
    let noted = serde_json::to_string(&found)
        .map_err(|error| StoreError::from(std::io::Error::other(error)))
        .and_then(|text| files::replace(dir, NOTE_FILE, format!("{text}\n").as_bytes()));
    if noted.is_err() {
        tracing::warn!("what became of the archive could not be noted");
    }
}

/// Removes the note.
pub(super) fn remove(dir: &Path) -> Result<(), StoreError> {
    files::remove_leftover(&dir.join(NOTE_FILE))
}

/// The file's name in the folder of the archive.
pub(super) const NOTE_FILE: &str = "mended.json";

/// Bytes of the file that are looked at. A guess: more than twice the longest that is written.
const LONGEST: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_slow_case};

    #[test]
    fn changed_at_random_a_note_says_something_or_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let seeds = [Found::Whole, Found::Salvaged(u64::MAX), Found::Outdated]
            .map(|found| serde_json::to_vec(&found).unwrap());
        each_slow_case(&seeds, |text| {
            files::replace(folder.path(), NOTE_FILE, text).unwrap();
            Reading::found(read(folder.path()))
        });
    }
}
