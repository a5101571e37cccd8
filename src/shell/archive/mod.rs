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
mod header;
mod label;
mod log;
mod note;
mod obstacle;
#[cfg(test)]
mod tests;

pub use self::label::{ArchiveLabel, LabelFault, WrittenLabel};
pub use self::obstacle::ArchiveObstacle;

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, params};

use self::database::{DATABASE_FILE, Found, PAGE_BYTES, Standing, is_damage, most_pages};
use super::store::StoreError;
use super::store::files::{FilePresence, HomeLock};
use crate::engine::envelope::wire::MAX_ENVELOPE_SIZE;
use crate::engine::envelope::{EnvelopeId, Floor};
use crate::engine::price::BLOCK;
use crate::engine::secret::opaque_debug;
use crate::shell::os::data_dir;

/// An open archive. Dropping it writes out what is pending and releases the folder.
pub struct Archive {
    /// `None` while the file can neither be opened nor be made anew.
    connection: Option<Connection>,
    dir: PathBuf,
    most_pages: u64,
    /// Kept in the open transaction.
    pending: Vec<EnvelopeId>,
    /// Bytes of those.
    pending_bytes: usize,
    /// Removed in the open transaction.
    removed: Vec<i64>,
    /// Places to be removed: a few at each opportunity, so that no call takes long. Rows that the
    /// engine does not want, so never more than there are rows, and ids it named in vain.
    owed: BTreeSet<i64>,
    /// Pages that can still be used, as last counted and estimated downwards since.
    room: u64,
    lost: Vec<EnvelopeId>,
    missed: u64,
    trouble: Option<ArchiveFault>,
    /// Beats until the next attempt after trouble.
    resting: u32,
    found: Found,
    phase: Phase,
    note: MendingNote,
    label: ArchiveLabel,
    /// Whose it was before this start.
    before: Before,
    overflow: ArchiveOverflow,
    /// Whether the label has still to be written.
    is_label_due: bool,
    // Last, so that the files are closed before another process may open them.
    _lock: HomeLock,
}

impl core::fmt::Debug for Archive {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Archive").field("trouble", &self.trouble).finish_non_exhaustive()
    }
}

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
enum MendingNote {
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
enum Phase {
    /// It is not decided yet whether it goes on: nothing in the folder may change. The database that
    /// is open lies there, and a log lay beside the one in its place or did not.
    Looks(Standing, FilePresence),
    /// It goes on.
    GoesOn,
}

/// What an archive was before this start.
enum Before {
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

impl Archive {
    /// Opens the archive of the home folder `home`, or makes one, for the network and of the size
    /// that `label` says.
    ///
    /// Nothing is changed yet: call [`Self::take_over`], and [`Self::begin`] before anything is kept.
    ///
    /// # Errors
    /// When the folder, one of its files or the label cannot be used, another process uses it, or it
    /// holds envelopes of another network; never for damage of the file.
    pub fn open(
        home: &Path,
        label: ArchiveLabel,
        overflow: ArchiveOverflow,
    ) -> Result<Self, ArchiveError> {
        let dir = home.join(FOLDER);
        data_dir::prepare(home).map_err(StoreError::from)?;
        if let Some(obstacle) = ArchiveObstacle::find(&dir) {
            return Err(ArchiveError::Obstacle(obstacle));
        }
        data_dir::prepare(&dir).map_err(StoreError::from)?;
        // SQLite is told not to follow links, and applies that to every folder of a path.
        let dir = dir.canonicalize().map_err(StoreError::from)?;
        database::refuse_long_path(&dir)?;
        let lock = HomeLock::take(&dir)?;
        let written = match ArchiveLabel::read(&dir)? {
            WrittenLabel::Missing => None,
            WrittenLabel::Whole(label) => Some(label),
            WrittenLabel::Unusable(fault) => return Err(ArchiveError::Label(fault)),
        };
        // Before anything is opened or mended: whoever is refused it leaves it as it is. And whoever
        // mistyped the network of a new archive has nothing to lose.
        if let Some(of) = written.as_ref().filter(|of| !of.is_of_network(&label))
            && !database::holds_nothing(&dir)
        {
            return Err(ArchiveError::OtherNetwork { of: of.clone(), wanted: label });
        }
        let noted = note::read(&dir);
        let most_pages = most_pages(label.bytes);
        let is_new = database::presence(&dir)? == FilePresence::Missing;
        let log = database::log_presence(&dir);
        let attached = database::attach(&dir, most_pages);
        let attached = attached.inspect_err(|_| database::leave(&dir, log))?;
        let database::Attached { connection, found, standing } = attached;
        let found = if found == Found::Whole { noted.unwrap_or_default() } else { found };
        let note = if found == Found::Whole { MendingNote::Missing } else { MendingNote::Untold };
        let is_label_due = written.as_ref() != Some(&label);
        let before = match written {
            None if is_new => Before::Empty(None),
            // Also if it holds nothing: it was somebody's, and nothing in it says whose.
            None => Before::Unlabelled,
            Some(of) if database::is_empty(&connection) => Before::Empty(Some(of)),
            Some(of) => Before::Labelled(of),
        };
        let room = database::room(&connection).unwrap_or_default();
        Ok(Self {
            connection: Some(connection),
            dir,
            most_pages,
            pending: Vec::new(),
            pending_bytes: 0,
            removed: Vec::new(),
            owed: BTreeSet::new(),
            room,
            lost: Vec::new(),
            missed: 0,
            trouble: None,
            resting: 0,
            found,
            phase: Phase::Looks(standing, log),
            note,
            label,
            before,
            overflow,
            is_label_due,
            _lock: lock,
        })
    }

    /// What lies in a home folder in the place of an archive, whether or not a process uses it; `None`
    /// if nothing does.
    #[must_use]
    pub fn on_disk(home: &Path) -> Option<ArchiveOnDisk> {
        let dir = home.join(FOLDER);
        let file = dir.join(DATABASE_FILE).symlink_metadata().ok();
        let bytes = file.filter(Metadata::is_file).map(|file| file.len());
        let unread = WrittenLabel::Unusable(LabelFault::Unreadable);
        let label = ArchiveLabel::read(&dir).unwrap_or(unread);
        let obstacle = ArchiveObstacle::find(&dir);
        let is_there = bytes.is_some() || obstacle.is_some() || label != WrittenLabel::Missing;
        is_there.then_some(ArchiveOnDisk { bytes, label, obstacle })
    }

    /// Hands every kept envelope to whoever takes them over, who decides whether it stays. Nothing
    /// is removed yet: call [`Self::begin`].
    ///
    /// # Errors
    /// When the disk fails; what was handed over is kept.
    pub fn take_over(&mut self, to: &mut impl Claimant) -> Result<ArchiveScan, ArchiveError> {
        let mut damaged = 0;
        let mut attempts = 0;
        while let Some(connection) = &self.connection {
            let mut claim = |group: &mut Vec<(i64, Vec<u8>)>| {
                for (place, named) in name_each(group) {
                    let kept = match named {
                        Some((id, bytes)) => to.claim(id, bytes),
                        // Damage that SQLite does not see.
                        None => {
                            damaged += 1;
                            Disposition::Dropped
                        }
                    };
                    match kept {
                        Disposition::Held | Disposition::Left => {}
                        Disposition::Dropped => drop(self.owed.insert(place)),
                    }
                }
            };
            let mut group = Vec::with_capacity(GROUP);
            let passed = pass(connection, |place, bytes| {
                group.push((place, bytes));
                if group.len() == GROUP {
                    claim(&mut group);
                }
            });
            claim(&mut group);
            match passed {
                Ok(()) => break,
                Err(error) if is_damage(&error) && attempts < MOST_SALVAGES => {
                    attempts += 1;
                    self.salvage()?;
                }
                Err(error) if is_damage(&error) && attempts == MOST_SALVAGES => {
                    attempts += 1;
                    // Each fresh file was damaged at once: nothing on this disk is worth reading.
                    self.connection = None;
                    let empty = database::build(&self.dir, self.most_pages)?;
                    self.replace(empty, 0)?;
                }
                Err(error) => return Err(error.into()),
            }
            self.owed.clear();
            to.begin_again();
        }
        let outdated = self.found == Found::Outdated;
        Ok(ArchiveScan { damaged, salvaged: self.found.salvaged(), outdated })
    }

    /// Decides whether this start may remove the envelopes that were dropped of those that
    /// [`Self::take_over`] handed over. If so it goes on: what was mended gets its place, and the label
    /// is written.
    ///
    /// # Errors
    /// When they are to stay, or the disk fails; drop the archive then, which leaves the folder as it
    /// was.
    pub fn begin(&mut self, unfit: Unfit) -> Result<Naming, ArchiveError> {
        let Unfit { below_floor, without_room, held } = unfit;
        let all = held + below_floor + without_room;
        let file = match self.phase {
            Phase::Looks(Standing::Staged, _) if self.found.salvaged().is_some() => {
                FileCondition::Damaged
            }
            Phase::Looks(..) | Phase::GoesOn => FileCondition::Whole,
        };
        let before = std::mem::replace(&mut self.before, Before::Empty(None));
        let (naming, before) = match before {
            Before::Empty(was) => (self.naming_after(was), Some(self.label.clone())),
            Before::Unlabelled if below_floor > 0 => {
                let floor = self.label.floor;
                return Err(ArchiveError::BelowFloor { below: below_floor, all, floor, file });
            }
            Before::Unlabelled => (Naming::New, None),
            Before::Labelled(label) => (self.naming_after(Some(label.clone())), Some(label)),
        };
        // What does not fit into the size from before was on its way out when the process was killed.
        let is_smaller = before.as_ref().is_none_or(|before| self.label.places() < before.places());
        if is_smaller && without_room > 0 && self.overflow == ArchiveOverflow::Refused {
            let wanted = self.label.clone();
            return Err(ArchiveError::Overflows { over: without_room, all, wanted, before, file });
        }
        self.go_on()?;
        if self.note == MendingNote::Untold {
            self.note = MendingNote::Told(TOLD_AFTER);
        }
        self.write_label();
        Ok(naming)
    }

    /// Lets changes be made in the folder, and gives a database that was made beside it its place.
    fn go_on(&mut self) -> Result<(), StoreError> {
        let connection = self.connection.take();
        self.connection = match (self.phase, connection) {
            (Phase::Looks(Standing::Staged, _), Some(fresh)) => Some(self.publish(fresh)?),
            (Phase::Looks(Standing::Published, _), Some(connection)) => {
                database::keep_changes(&connection)?;
                // A start that was killed while it decided may have left one.
                database::remove_unpublished(&self.dir)?;
                Some(connection)
            }
            (Phase::Looks(..), None) => return Err(StoreError::Damaged),
            (Phase::GoesOn, connection) => connection,
        };
        self.phase = Phase::GoesOn;
        Ok(())
    }

    fn publish(&self, fresh: Connection) -> Result<Connection, StoreError> {
        database::publish(&self.dir, fresh, (self.found, self.most_pages))
    }

    /// Removes now what is to go because a smaller size was asked for on purpose, which else happens
    /// little by little: who did that wants to see the new size.
    pub fn shrink(&mut self) {
        if self.overflow == ArchiveOverflow::Refused {
            return;
        }
        while !self.owed.is_empty() && self.resting == 0 {
            self.work_off(OWED_A_BEAT);
            self.write_out();
        }
    }

    fn naming_after(&self, was: Option<ArchiveLabel>) -> Naming {
        was.filter(|was| *was != self.label).map_or(Naming::AsBefore, Naming::Was)
    }

    /// Writes the label if it has to be; trouble with that is over when the disk takes it.
    fn write_label(&mut self) {
        if self.is_label_due {
            self.is_label_due = self.label.write(&self.dir).is_err();
        }
    }

    /// Keeps an envelope. If that fails, its id is among the lost.
    pub fn keep(&mut self, id: EnvelopeId, bytes: &[u8]) {
        // It may have been discarded a moment ago and come back: removing its row now would lose
        // it.
        self.owed.remove(&place(&id));
        // After trouble nothing is tried for a while: each failing write would take time from the
        // flood.
        if self.resting > 0 {
            return self.miss(id);
        }
        self.work_off(OWED_A_BLOCK * bytes.len().div_ceil(BLOCK));
        let pages = pages_of(bytes.len());
        // Estimated downwards since the last count, so count again before refusing.
        if self.room < pages {
            self.write_out();
        }
        if self.resting > 0 {
            return self.miss(id);
        }
        if self.room < pages {
            self.trouble = Some(ArchiveFault::Crowded);
            return self.miss(id);
        }
        match self.within_transaction(|connection| put(connection, place(&id), bytes)) {
            Ok(()) => {
                self.room -= pages;
                self.pending.push(id);
                self.pending_bytes += bytes.len();
            }
            Err(error) => {
                self.miss(id);
                return self.fail(&error);
            }
        }
        if self.pending.len() >= BATCH || self.pending_bytes >= BATCH_BYTES {
            self.write_out();
        }
    }

    /// Discards envelopes, little by little over the next beats.
    pub fn discard(&mut self, ids: &[EnvelopeId]) {
        self.owed.extend(ids.iter().map(place));
    }

    /// The bytes of an envelope, exactly those it was kept with. If there are none, its id is among
    /// the lost.
    pub fn get(&mut self, id: &EnvelopeId) -> Option<Vec<u8>> {
        let read = match self.read(place(id)) {
            // `fail` has salvaged the file, which may have saved this row.
            Err(error) if is_damage(&error) => {
                self.fail(&error);
                self.read(place(id))
            }
            read => read,
        };
        match read {
            Ok(Some(bytes)) => match named(place(id), &bytes) {
                Some(kept) if kept == *id => return Some(bytes),
                // Two ids that end alike share a place; what is there is the other, whole.
                Some(_) => {}
                None => drop(self.owed.insert(place(id))),
            },
            Ok(None) => {}
            Err(error) => self.fail(&error),
        }
        self.lost.push(*id);
        None
    }

    /// Envelopes that are not kept although the engine counts on it. Each is named once.
    pub fn take_lost(&mut self) -> Vec<EnvelopeId> {
        std::mem::take(&mut self.lost)
    }

    /// Writes out what is pending, removes some of what is to go, and after trouble tries again in
    /// time. Call it every second.
    pub fn beat(&mut self) {
        self.note = match self.note {
            MendingNote::Told(0) => self.remove_note(),
            MendingNote::Told(beats) => MendingNote::Told(beats - 1),
            MendingNote::Missing | MendingNote::Untold => self.note,
        };
        if self.resting > 0 {
            self.resting -= 1;
            if self.resting > 0 {
                return;
            }
            if self.connection.is_none() && self.salvage().is_err() {
                self.resting = REST;
                return;
            }
        }
        self.write_label();
        self.work_off(OWED_A_BEAT);
        self.write_out();
        if self.resting > 0 {
            return;
        }
        if let Some(connection) = &self.connection
            && let Err(error) = database::shrink(connection, self.most_pages)
        {
            self.fail(&error.into());
        }
    }

    /// Removes the note of what this start has told.
    fn remove_note(&self) -> MendingNote {
        // Told once more is better than never.
        if note::remove(&self.dir).is_err() { MendingNote::Untold } else { MendingNote::Missing }
    }

    /// Its size on disk, in bytes, without the log and without free pages inside.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let used = self.connection.as_ref().and_then(|open| database::used(open).ok());
        used.unwrap_or_default() * PAGE_BYTES
    }

    /// Envelopes that could not be kept, since the start.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// The reason why nothing is kept at the moment, if so.
    #[must_use]
    pub const fn trouble(&self) -> Option<ArchiveFault> {
        self.trouble
    }

    fn miss(&mut self, id: EnvelopeId) {
        self.missed += 1;
        self.lost.push(id);
    }

    fn read(&self, place: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(connection) = &self.connection else { return Ok(None) };
        let mut statement = connection.prepare("SELECT bytes FROM envelope WHERE place = ?1")?;
        Ok(statement.query_row([place], |row| Ok(blob(row, 0))).optional()?)
    }

    fn within_transaction<T>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let connection = self.connection.as_ref().ok_or(StoreError::Damaged)?;
        if connection.is_autocommit() {
            connection.execute_batch("BEGIN IMMEDIATE")?;
        }
        Ok(change(connection)?)
    }

    /// Removes up to `most` of the places that are to go.
    fn work_off(&mut self, most: usize) {
        for _ in 0..most {
            if self.resting > 0 {
                return;
            }
            let Some(place) = self.owed.pop_first() else { return };
            self.removed.push(place);
            if let Err(error) = self.within_transaction(|connection| remove(connection, place)) {
                self.fail(&error);
            }
            if self.removed.len() >= BATCH {
                self.write_out();
            }
        }
    }

    fn write_out(&mut self) {
        let Some(connection) = &self.connection else { return };
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("COMMIT")
        {
            return self.fail(&error.into());
        }
        match database::room(connection) {
            Ok(room) => self.room = room,
            Err(error) => return self.fail(&error.into()),
        }
        if !self.pending.is_empty() {
            self.trouble = None;
        }
        self.pending.clear();
        self.pending_bytes = 0;
        self.removed.clear();
    }

    /// Rolls back what was pending; then salvages the file, if it is damaged, or rests.
    fn fail(&mut self, error: &StoreError) {
        if let Some(connection) = &self.connection
            && !connection.is_autocommit()
            && connection.execute_batch("ROLLBACK").is_err()
        {
            self.connection = None;
        }
        // Rolled back with the transaction, so none of them is kept.
        self.missed += self.pending.len() as u64;
        self.lost.append(&mut self.pending);
        self.pending_bytes = 0;
        // Their removal was rolled back too.
        self.owed.extend(self.removed.drain(..));
        let mended = (self.connection.is_none() || is_damage(error)) && self.salvage().is_ok();
        if mended {
            return;
        }
        self.trouble = Some(match error {
            StoreError::DiskFull => ArchiveFault::DiskFull,
            StoreError::ReadOnly => ArchiveFault::ReadOnly,
            StoreError::Missing
            | StoreError::Exists
            | StoreError::KeyMissing
            | StoreError::DatabaseMissing
            | StoreError::KeyEmpty
            | StoreError::NotAFolder
            | StoreError::WrongPassphrase
            | StoreError::InUse
            | StoreError::PassphraseInUse
            | StoreError::KeyReplaced
            | StoreError::UnsafePermissions(_)
            | StoreError::OfAnother(_)
            | StoreError::PathTooLong { .. }
            | StoreError::Unseen(_)
            | StoreError::Moved
            | StoreError::Foreign
            | StoreError::Newer
            | StoreError::Damaged
            | StoreError::TooCostly
            | StoreError::OutOfMemory
            | StoreError::DiskFails(_)
            | StoreError::TooLarge
            | StoreError::Backwards
            | StoreError::Unsafe
            | StoreError::Sqlite(_)
            | StoreError::Io(_) => ArchiveFault::Failing,
        });
        self.resting = REST;
        tracing::warn!(trouble = ?self.trouble, "the archive stopped storing for a while");
    }

    /// Replaces a damaged file by a fresh one with all that is readable of it. Takes as long as
    /// reading the file does.
    fn salvage(&mut self) -> Result<(), StoreError> {
        self.connection = None;
        let (fresh, saved) = database::salvage(&self.dir, self.most_pages)?;
        self.replace(fresh, saved)
    }

    /// Goes on with a fresh database in place of a damaged one, of which so much was saved.
    fn replace(&mut self, fresh: Connection, saved: u64) -> Result<(), StoreError> {
        self.found = Found::Salvaged(saved);
        // After the start, the next one tells it.
        self.note = MendingNote::Untold;
        let connection = match self.phase {
            Phase::Looks(_, log) => {
                self.phase = Phase::Looks(Standing::Staged, log);
                fresh
            }
            Phase::GoesOn => self.publish(fresh)?,
        };
        self.room = database::room(&connection).unwrap_or_default();
        self.connection = Some(connection);
        tracing::warn!(saved, "the archive was damaged");
        Ok(())
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        match self.phase {
            Phase::GoesOn => self.write_out(),
            Phase::Looks(_, log) => {
                self.connection = None;
                database::leave(&self.dir, log);
            }
        }
    }
}

/// The place of an envelope: the last 8 bytes of its id. The first would not do: they show its work
/// and are alike in many.
///
/// The table is a tree ordered by place, so it needs no index, and new rows land evenly in the room
/// of removed ones. Two ids that end alike push each other out, which is noticed: among four
/// million envelopes that happens by chance in one of two million archives, and a pair made on
/// purpose, of 2^32 envelopes with their work, costs its maker one of the two.
fn place(id: &EnvelopeId) -> i64 {
    i64::from_be_bytes(id.tail())
}

/// Takes the rows of a group, each with its envelope; without one for bytes that do not belong at
/// their place.
fn name_each(
    group: &mut Vec<(i64, Vec<u8>)>,
) -> impl Iterator<Item = (i64, Option<(EnvelopeId, Vec<u8>)>)> {
    let ids =
        EnvelopeId::of_each(&group.iter().map(|(_, bytes)| bytes.as_slice()).collect::<Vec<_>>());
    group.drain(..).zip(ids).map(|((place, bytes), id)| {
        let id = id.filter(|id| self::place(id) == place);
        (place, id.map(|id| (id, bytes)))
    })
}

/// The envelope whose encoding lies at a place; `None` for bytes that do not belong there.
fn named(place: i64, bytes: &[u8]) -> Option<EnvelopeId> {
    EnvelopeId::of(bytes).filter(|id| self::place(id) == place)
}

/// The pages an envelope takes at most: its share of a leaf, and the rest in pages of its own.
const fn pages_of(bytes: usize) -> u64 {
    bytes as u64 / OVERFLOW_BYTES + 3
}

fn put(connection: &Connection, place: i64, bytes: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare(
            "INSERT INTO envelope (place, bytes) VALUES (?1, ?2)
             ON CONFLICT (place) DO UPDATE SET bytes = excluded.bytes",
        )?
        .execute(params![place, bytes])
        .map(drop)
}

fn remove(connection: &Connection, place: i64) -> rusqlite::Result<()> {
    connection.prepare("DELETE FROM envelope WHERE place = ?1")?.execute([place]).map(drop)
}

/// Goes through all rows in the order of their places.
fn pass(connection: &Connection, mut each: impl FnMut(i64, Vec<u8>)) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT place, bytes FROM envelope ORDER BY place")?;
    let mut rows = statement.query([])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let place: i64 = row.get(0)?;
        // In a damaged tree a walk may come by the same rows again and again.
        if last >= Some(place) {
            return Err(StoreError::Damaged);
        }
        last = Some(place);
        each(place, blob(row, 1));
    }
    Ok(())
}

/// A column's bytes; none, which are no envelope's, if it holds anything else or too much.
fn blob(row: &rusqlite::Row<'_>, column: usize) -> Vec<u8> {
    let bytes = row.get_ref(column).ok().and_then(|value| value.as_blob().ok());
    bytes.filter(|bytes| bytes.len() <= MAX_ENVELOPE_SIZE).unwrap_or_default().to_vec()
}

/// Envelopes that are read before the first of them is handed over: so many are hashed side by side.
const GROUP: usize = 16;

/// The most bytes for which an archive can be made.
pub const MOST_BYTES: u64 = database::MOST_BYTES;

/// The bytes that the files of an archive of this size take at most, with its log.
#[must_use]
pub const fn bytes_on_disk(bytes: u64) -> u64 {
    most_pages(bytes) * PAGE_BYTES + database::LOG_BYTES
}

/// The archive's folder in a home folder.
const FOLDER: &str = "archive";

/// The bytes of an envelope in a page that is not a leaf (SQLite file format, section 1.7).
const OVERFLOW_BYTES: u64 = PAGE_BYTES - 4;

/// Envelopes in one transaction at most, and how many are removed in one. A guess: enough that
/// beginning and ending it costs little, few enough that its end takes milliseconds.
const BATCH: usize = 256;

/// Bytes of envelopes in one transaction at most: the log is some multiple of that.
const BATCH_BYTES: usize = 1 << 20;

/// Rows removed for each block of an envelope that is kept, which pushes out one row for each at
/// most: more than one, so that room is made before it is needed.
const OWED_A_BLOCK: usize = 4;

/// Rows removed in a second that has nothing else to do: some 50 ms of work.
const OWED_A_BEAT: usize = 2_000;

/// Beats to rest after trouble: half a minute. A guess: soon enough for a person who just made
/// room.
const REST: u32 = 30;

/// Beats until what was mended counts as told: some two seconds after a start. A guess: far longer
/// than a line takes to be written.
const TOLD_AFTER: u32 = 2;

/// Salvages in one start. A disk on which the file is damaged again after these cannot be used.
const MOST_SALVAGES: u32 = 3;
