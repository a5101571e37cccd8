//! What is found and decided at the start of an archive.

use super::database::Standing;
use super::label::{ArchiveLabel, WrittenLabel};
use super::obstacle::ArchiveObstacle;
use crate::engine::envelope::EnvelopeId;
use crate::engine::secret::opaque_debug;
use crate::shell::store::files::FilePresence;

/// The engine's decision on an envelope that was found in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Held: it stays.
    Held,
    /// Dropped: it is to be removed.
    Dropped,
    /// Neither: it stays on disk, and no use is made of it before the next start.
    Left,
}

/// Whoever takes over the envelopes of an archive at a start.
pub trait Claimant {
    /// Decides whether an envelope stays.
    fn claim(&mut self, id: EnvelopeId, bytes: Vec<u8>) -> Disposition;

    /// Damage was found in between: all that is readable comes once more from its beginning, and
    /// what was decided and counted so far is void.
    fn begin_again(&mut self);
}

/// What becomes of envelopes that do not fit into a smaller size than the archive had before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArchiveOverflow {
    /// They stay, and the archive does not open.
    #[default]
    Refused,
    /// They are removed.
    Removed,
}

/// Envelopes that the engine did not take back from an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unfit {
    /// They show less work than the floor asks.
    pub below_floor: u64,
    /// There is no room for them.
    pub without_room: u64,
    /// Those that it took.
    pub held: u64,
}

/// Whether an archive is labelled as it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// It is, or it is new.
    AsBefore,
    /// It was there, and did not say of which network.
    New,
    /// It had this label: of another size, or of another network, of which it held nothing.
    Was(ArchiveLabel),
}

/// The note of what was mended, which lies in the folder until that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MendingNote {
    /// There is none.
    Missing,
    /// No start has told it.
    Untold,
    /// This start has, and so many beats later it goes: a start that ends sooner may not have come
    /// to it.
    Told(u32),
}

/// How far a start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is not decided yet whether it goes on: nothing in the folder may change. The database that
    /// is open lies there, and a log lay beside the one in its place or did not.
    Looks(Standing, FilePresence),
    /// It goes on.
    GoesOn,
}

/// What an archive was before this start.
pub(super) enum Before {
    /// Nothing, or it held nothing; this is what it was for, if it said so.
    Empty(Option<ArchiveLabel>),
    /// It did not say of which network it is: earlier builds of this version did not write a label,
    /// or it was lost.
    Unlabelled,
    /// This.
    Labelled(ArchiveLabel),
}

opaque_debug!(
    enum Before {
        Empty,
        Unlabelled,
        Labelled,
    }
);

/// The result of reading an archive at a start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchiveScan {
    /// Rows whose envelopes did not match their ids; they are gone.
    pub damaged: u64,
    /// The file was damaged: so many envelopes could be read out of it, some of them perhaps
    /// discarded before.
    pub salvaged: Option<u64>,
    /// The file was of an earlier version of the protocol. No node carries its envelopes any more;
    /// it was removed, and an empty one is in its place.
    pub outdated: bool,
}

/// An archive as it can be seen without opening it.
#[derive(Clone)]
pub struct ArchiveOnDisk {
    /// The bytes that its file takes; `None` without one.
    pub bytes: Option<u64>,
    /// What it is for, if it says so.
    pub label: WrittenLabel,
    /// What keeps it from being opened, or one from being made.
    pub obstacle: Option<ArchiveObstacle>,
}

opaque_debug!(struct ArchiveOnDisk { bytes, label, obstacle });
