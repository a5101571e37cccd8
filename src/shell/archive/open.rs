//! An open archive: how a start takes it over, and how it keeps, hands back and discards.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _};

use super::database::{self, DATABASE_FILE, Found, PAGE_BYTES, Standing, is_damage, most_pages};
use super::error::{ArchiveError, ArchiveFault, FileCondition};
use super::label::{ArchiveLabel, LabelFault, WrittenLabel};
use super::obstacle::ArchiveObstacle;
use super::rows::{blob, name_each, named, pass, place, put, remove};
use super::start::{
    ArchiveOnDisk, ArchiveOverflow, ArchiveScan, Before, Claimant, Disposition, MendingNote,
    Naming, Phase, Unfit,
};
use super::{note, pages_of};
use crate::engine::envelope::EnvelopeId;
use crate::engine::price::BLOCK;
use crate::shell::os::data_dir;
use crate::shell::store::StoreError;
use crate::shell::store::files::{FilePresence, HomeLock};

/// An open archive. Dropping it writes out what is pending and releases the folder.
pub struct Archive {
    /// `None` while the file can neither be opened nor be made anew.
    pub(super) connection: Option<Connection>,
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
    pub(super) fn fail(&mut self, error: &StoreError) {
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

/// Envelopes that are read before the first of them is handed over: so many are hashed side by side.
const GROUP: usize = 16;

/// The archive's folder in a home folder.
pub(super) const FOLDER: &str = "archive";

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
pub(super) const REST: u32 = 30;

/// Beats until what was mended counts as told: some two seconds after a start. A guess: far longer
/// than a line takes to be written.
pub(super) const TOLD_AFTER: u32 = 2;

/// Salvages in one start. A disk on which the file is damaged again after these cannot be used.
const MOST_SALVAGES: u32 = 3;
