//! The archive of a relay: envelopes on disk, until they expire or better ones push them out.
//!
//! It keeps and hands back bytes; which ones, the engine decides. An archive is one SQLite
//! database, in the folder `archive` of a home, for one process at a time. It is not encrypted: it
//! holds what floods through every node. But the disk of an archive shows which envelopes it
//! carried and when, also after they expired everywhere else, until their places are used again.
//!
//! - An envelope's place in the table is the end of its id, and its id is a digest of its bytes:
//!   damage shows whenever a row is read, and a row that does not match is never handed out.
//! - A file of an earlier version holds what no node carries any more: it is begun anew. One of a newer
//!   version is left alone, and not opened.
//! - A label beside the file says its network, its floor and its size ([`ArchiveLabel`]). A start in
//!   another network is refused, and one with a smaller size that not all of it fits into, unless
//!   that is asked for ([`ArchiveOverflow`]): what was accepted is not lost by a mistyped option.
//! - A start that is refused leaves the folder as it was, byte for byte: the label is looked at
//!   before anything is opened, and a file that has to be mended gets its place only once it is
//!   decided that the start goes on ([`Archive::begin`]).
//! - Damage is never a reason not to start, and whatever was mended stays noted in a file until a
//!   start has told it. All that is readable is carved out of the damaged file
//!   page by page, whatever became of its indices and its header, into a fresh one; and so it is out
//!   of a log that SQLite would read only half of.
//! - Something else in the place of the folder or of one of its files is no damage, and not ours to
//!   move away: it is named ([`ArchiveObstacle`]).
//! - Trouble with the disk is never a reason to stop: an envelope that could not be kept is counted
//!   and reported ([`Archive::take_lost`]), and after a while it is tried again.
//! - A kept envelope is on its way to the disk with the next [`Archive::beat`]. A killed process
//!   loses those that came after that. A power cut may undo the last moments before, because
//!   nothing is synced at each write, but it tears nothing; a relay fetches both from its
//!   neighbours again.
//! - The file does not grow beyond its bound and 64 KiB; beside it lies a log, which is cut back to
//!   8 MiB.

mod carve;
mod database;
mod error;
mod header;
mod label;
mod log;
mod note;
mod obstacle;
mod open;
mod rows;
mod start;
#[cfg(test)]
mod tests;

pub use self::error::{ArchiveError, ArchiveFault, FileCondition};
pub use self::label::{ArchiveLabel, LabelFault, WrittenLabel};
pub use self::obstacle::ArchiveObstacle;
pub use self::open::Archive;
pub use self::start::{
    ArchiveOnDisk, ArchiveOverflow, ArchiveScan, Claimant, Disposition, Naming, Unfit,
};

use self::database::{PAGE_BYTES, most_pages};

/// The pages an envelope takes at most: its share of a leaf, and the rest in pages of its own.
const fn pages_of(bytes: usize) -> u64 {
    bytes as u64 / OVERFLOW_BYTES + 3
}

/// The most bytes for which an archive can be made.
pub const MOST_BYTES: u64 = database::MOST_BYTES;

/// The bytes that the files of an archive of this size take at most, with its log.
#[must_use]
pub const fn bytes_on_disk(bytes: u64) -> u64 {
    most_pages(bytes) * PAGE_BYTES + database::LOG_BYTES
}

/// The bytes of an envelope in a page that is not a leaf (SQLite file format, section 1.7).
const OVERFLOW_BYTES: u64 = PAGE_BYTES - 4;
