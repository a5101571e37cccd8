//! Why nothing is kept at the moment, and why there is no archive.

use super::label::{ArchiveLabel, LabelFault};
use super::obstacle::ArchiveObstacle;
use crate::engine::envelope::Floor;
use crate::shell::store::StoreError;

/// The reason why nothing is kept at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFault {
    /// The disk has no room.
    DiskFull,
    /// The disk or the file can only be read.
    ReadOnly,
    /// The file has its greatest size, and the envelopes that are to leave it have not left yet.
    Crowded,
    /// The disk fails in another way.
    Failing,
    /// The disk takes longer than envelopes come: some found no room among those that wait for it.
    Slow,
}

impl ArchiveFault {
    /// For a person.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::DiskFull => "the disk is full",
            Self::ReadOnly => "the disk or the file is read-only",
            Self::Crowded => "the file has reached its maximum size",
            Self::Failing => "the disk is failing",
            Self::Slow => "the disk is too slow",
        }
    }
}

/// In what state a start that is refused found the file of an archive, and left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileCondition {
    /// Whole.
    Whole,
    /// Damaged.
    Damaged,
}

/// The reason why there is no archive. No byte of it was changed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The folder or the files cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something else stands where the folder or a file of it belongs.
    #[error("something else is in its place")]
    Obstacle(ArchiveObstacle),
    /// It is that of another network, and may hold envelopes of it.
    #[error("it is the archive of another network")]
    OtherNetwork {
        /// Whose it is.
        of: ArchiveLabel,
        /// Who wanted it.
        wanted: ArchiveLabel,
    },
    /// What lies in the place of its label is none.
    #[error("its label cannot be used")]
    Label(LabelFault),
    /// It names no network, and so many of its envelopes show less work than the floor asks.
    #[error("its envelopes show less work than the floor asks")]
    BelowFloor {
        /// Those.
        below: u64,
        /// All that could be read.
        all: u64,
        /// The floor.
        floor: Floor,
        /// The state of the file.
        file: FileCondition,
    },
    /// Not all of its envelopes fit into its new size.
    #[error("its envelopes do not fit into its size")]
    Overflows {
        /// Those that do not fit.
        over: u64,
        /// All that could be read.
        all: u64,
        /// The size that was wanted.
        wanted: ArchiveLabel,
        /// The size before, if the archive says it.
        before: Option<ArchiveLabel>,
        /// The state of the file.
        file: FileCondition,
    },
}

impl ArchiveError {
    /// In what state the file was found and left; whole also if nobody looked.
    #[must_use]
    pub const fn file(&self) -> FileCondition {
        match self {
            Self::BelowFloor { file, .. } | Self::Overflows { file, .. } => *file,
            Self::Store(_) | Self::Obstacle(_) | Self::OtherNetwork { .. } | Self::Label(_) => {
                FileCondition::Whole
            }
        }
    }
}
