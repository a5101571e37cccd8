//! What an archive is for, in a small file beside its database: the network, its floor, and the size.
//!
//! An envelope does not say its network, so without this file an archive would be taken over by
//! whatever relay is started in its folder. It lies beside the database and not in it: it survives
//! every damage to that, and can be read while another process holds the archive. One that cannot
//! be read is not as good as none: it was written for a network, and nobody knows for which.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::database::MOST_BYTES;
use crate::engine::envelope::Floor;
use crate::engine::relay::pool::PoolBounds;
use crate::engine::secret::opaque_debug;
use crate::shell::net::NetworkName;
use crate::shell::store::StoreError;
use crate::shell::store::files::{self, FilePresence};

/// What an archive is for.
#[derive(Clone, PartialEq, Eq)]
pub struct ArchiveLabel {
    /// The network whose envelopes it holds.
    pub network: NetworkName,
    /// The floor of that network.
    pub floor: Floor,
    /// Its size, in bytes: [`crate::engine::relay::pool::PLACE`] for each place.
    pub bytes: u64,
}

opaque_debug!(struct ArchiveLabel { network, floor, bytes });

impl ArchiveLabel {
    /// The places of its size.
    #[must_use]
    pub fn places(&self) -> usize {
        PoolBounds::of_bytes(usize::try_from(self.bytes).unwrap_or(usize::MAX)).places
    }

    /// Whether envelopes of the other's network are also of this one's.
    #[must_use]
    pub fn is_of_network(&self, other: &Self) -> bool {
        // The floor is part of a network: nodes with different ones exchange nothing.
        (&self.network, self.floor) == (&other.network, other.floor)
    }

    /// What lies in an archive's folder in the place of its label.
    ///
    /// # Errors
    /// When others own the file, or can use it.
    pub(super) fn read(dir: &Path) -> Result<WrittenLabel, StoreError> {
        let path = dir.join(LABEL_FILE);
        let text = match files::presence(&path) {
            Ok(FilePresence::Missing) => return Ok(WrittenLabel::Missing),
            Ok(FilePresence::Present) => files::read_start(&path, LONGEST),
            Err(error @ (StoreError::UnsafePermissions(_) | StoreError::OfAnother(_))) => {
                return Err(error);
            }
            Err(StoreError::Foreign) => return Ok(WrittenLabel::Unusable(LabelFault::NotAFile)),
            Err(error) => Err(error),
        };
        Ok(match text {
            Ok(text) => Self::of_text(&text).map_or_else(
                || WrittenLabel::Unusable(LabelFault::of_text(&text)),
                WrittenLabel::Whole,
            ),
            Err(_) => WrittenLabel::Unusable(LabelFault::Unreadable),
        })
    }

    /// Puts it into an archive's folder, in place of the one before: durably and as a whole.
    pub(super) fn write(&self, dir: &Path) -> Result<(), StoreError> {
        let network = self.network.as_str().to_owned();
        let file = LabelFile { network, floor: self.floor.bits(), bytes: self.bytes };
        let text = serde_json::to_string(&file).map_err(std::io::Error::other)?;
        files::replace(dir, LABEL_FILE, format!("{text}\n").as_bytes())
    }

    fn of_text(text: &[u8]) -> Option<Self> {
        let LabelFile { network, floor, bytes } = serde_json::from_slice(text).ok()?;
        let network = network.parse().ok()?;
        let sizes = PoolBounds::LEAST.bytes() as u64..=MOST_BYTES;
        let fits = floor <= Floor::MAX_BITS && sizes.contains(&bytes);
        fits.then(|| Self { network, floor: Floor::new(floor), bytes })
    }
}

/// What lies in the place of an archive's label.
#[derive(Clone, PartialEq, Eq)]
pub enum WrittenLabel {
    /// Nothing: earlier builds of this version did not write one.
    Missing,
    /// A label.
    Whole(ArchiveLabel),
    /// Something that is none.
    Unusable(LabelFault),
}

opaque_debug!(
    enum WrittenLabel {
        Missing,
        Whole,
        Unusable,
    }
);

impl WrittenLabel {
    /// What it says, if it says something.
    #[must_use]
    pub const fn known(&self) -> Option<&ArchiveLabel> {
        match self {
            Self::Whole(label) => Some(label),
            Self::Missing | Self::Unusable(_) => None,
        }
    }
}

/// Why what lies in the place of a label is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelFault {
    /// The file is empty.
    Empty,
    /// The file has another content than it was written with.
    Garbled,
    /// It is a folder, a link or the like.
    NotAFile,
    /// The system does not give it back.
    Unreadable,
}

impl LabelFault {
    const fn of_text(text: &[u8]) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Garbled }
    }
}

/// The file as JSON, for people and programs that want to know what an archive is.
#[derive(Serialize, Deserialize)]
struct LabelFile {
    network: String,
    floor: u8,
    bytes: u64,
}

/// The file's name in the folder of the archive.
pub(super) const LABEL_FILE: &str = "label.json";

/// Bytes of the file that are looked at. A guess: four times the longest that is written.
const LONGEST: u64 = 512;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    fn label() -> ArchiveLabel {
        let network = "x".repeat(NetworkName::LONGEST).parse().unwrap();
        ArchiveLabel { network, floor: Floor::new(48), bytes: MOST_BYTES }
    }

    #[test]
    fn a_label_is_read_as_it_was_written_and_says_nothing_in_a_log() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ArchiveLabel::read(dir.path()).unwrap() == WrittenLabel::Missing);
        let label = label();
        label.write(dir.path()).unwrap();
        let read = || ArchiveLabel::read(dir.path()).unwrap();
        assert!(read().known() == Some(&label));
        assert!(fs::metadata(dir.path().join(LABEL_FILE)).unwrap().len() < LONGEST / 4);
        let smaller = ArchiveLabel { bytes: 688_128, ..label };
        smaller.write(dir.path()).unwrap();
        assert_eq!(read().known().map(ArchiveLabel::places), Some(256));
        assert_eq!(format!("{smaller:?} {:?}", read()), "ArchiveLabel WrittenLabel::Whole");
    }

    #[test]
    fn a_label_that_makes_no_sense_is_none() {
        let good = r#"{"network":"main","floor":21,"bytes":688128}"#;
        assert!(ArchiveLabel::of_text(good.as_bytes()).is_some());
        for (from, to) in [
            ("main", "Main"),
            ("main", ""),
            ("21", "49"),
            ("21", "-1"),
            ("21", "\"21\""),
            ("688128", "688127"),
            ("688128", "99999999999999999999"),
            ("688128", "18446744073709551615"),
            ("688128", &format!("{}", MOST_BYTES + 1)),
            ("floor", "flour"),
            ("}", ""),
            ("{", "{{"),
        ] {
            let text = good.replace(from, to);
            assert!(ArchiveLabel::of_text(text.as_bytes()).is_none(), "{text}");
        }
        assert!(ArchiveLabel::of_text(&[0xff; 512]).is_none());
        assert!(ArchiveLabel::of_text(b"").is_none());
    }

    #[test]
    fn whatever_lies_in_the_place_of_a_label_is_told_from_a_label_that_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(LABEL_FILE);
        let fault = || ArchiveLabel::read(dir.path()).unwrap();
        for (text, expected) in [
            (&b""[..], LabelFault::Empty),
            (b"{", LabelFault::Garbled),
            (&[0; 900], LabelFault::Garbled),
        ] {
            files::replace(dir.path(), LABEL_FILE, text).unwrap();
            assert!(fault() == WrittenLabel::Unusable(expected), "{expected:?}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(fault() == WrittenLabel::Unusable(LabelFault::NotAFile));
        fs::remove_dir(&path).unwrap();
        assert!(fault() == WrittenLabel::Missing);
    }

    #[test]
    fn a_label_that_others_can_use_or_that_leads_elsewhere_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        label().write(dir.path()).unwrap();
        let path = dir.path().join(LABEL_FILE);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let refused = ArchiveLabel::read(dir.path());
        assert!(matches!(refused, Err(StoreError::UnsafePermissions(_))));
        fs::remove_file(&path).unwrap();
        symlink("elsewhere", &path).unwrap();
        let read = ArchiveLabel::read(dir.path()).unwrap();
        assert!(read == WrittenLabel::Unusable(LabelFault::NotAFile));
    }

    #[test]
    fn a_network_is_its_name_and_its_floor_whatever_the_size() {
        let label = label();
        assert!(label.is_of_network(&ArchiveLabel { bytes: 1, ..label.clone() }));
        let others = [
            ArchiveLabel { network: NetworkName::default(), ..label.clone() },
            ArchiveLabel { floor: Floor::new(47), ..label.clone() },
        ];
        assert!(others.iter().all(|other| !label.is_of_network(other)));
    }

    #[test]
    fn changed_at_random_a_label_names_a_network_or_is_none() {
        let seeds = [
            r#"{"network":"main","floor":21,"bytes":688128}"#.to_owned(),
            format!(r#"{{"bytes":{MOST_BYTES},"floor":0,"network":"a-1"}}"#),
        ];
        each_case(&seeds.map(String::into_bytes), |text| {
            let label = ArchiveLabel::of_text(text);
            assert!(label.as_ref().is_none_or(|label| label.places() >= 256));
            Reading::found(label)
        });
    }
}
