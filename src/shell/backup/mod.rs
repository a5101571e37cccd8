//! A backup: one sealed file with identities and contacts, and if wished the messages.
//!
//! ```text
//! bytes   0..8    "UNDTBKUP"
//!         8..10   version of this file's layout and of the rows in it, little-endian: 1
//!        10..128  a key drawn for this file alone, sealed under the backup's passphrase: laid out as
//!                 the store's key file
//!       128..     chunks of 1 MiB sealed under that key, the last one shorter or equal
//! ```
//!
//! - The content of a backup, and what it becomes on another device, is the engine's to decide
//!   ([`crate::engine::node::backup`]): never a session.
//! - A file is written beside its name and renamed when it is whole. None is ever written over.
//! - A store restores all of a file or nothing: the file is read to its end before, and then again.
//! - Whatever the length of a history, a few chunks are held in memory.

mod rows;
mod seal;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::engine::env::{Entropy as _, Env, UnixSeconds};
use crate::engine::node::backup::{self, History};
use crate::engine::record::Record;
use crate::engine::secret::{Secret, opaque_debug};
use crate::shell::api::calls::BackupReport;
use crate::shell::os::clock::OsEntropy;
use crate::shell::os::data_dir::FILE_MODE;
use crate::shell::os::io_words::io_words;
use crate::shell::os::passphrase::Passphrase;
use crate::shell::os::user_file::open_file;
use crate::shell::store::{
    Imported, KEY_FILE_BYTES, KeyCost, KeyError, RowError, SALT_BYTES, Store, StoreError,
    open_key_file, seal_key_file,
};

use self::rows::{BackupReader, BackupWriter};
use self::seal::{StreamOpener, StreamSealer};

/// A summary of a backup: counts, and never a name or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// When it was made, by the clock of the machine that made it.
    pub made: UnixSeconds,
    /// Whether messages are in it.
    pub history: History,
    /// Identities.
    pub identities: usize,
    /// Contacts of all of them.
    pub contacts: usize,
    /// Offers that were seen, so that their replays are recognised.
    pub offers: usize,
    /// Messages.
    pub messages: u64,
}

impl BackupSummary {
    /// The same for clients.
    pub(in crate::shell) fn report(&self) -> BackupReport {
        BackupReport {
            made: self.made,
            history: self.history == History::With,
            identities: self.identities,
            contacts: self.contacts,
            messages: self.messages,
        }
    }
}

/// The key of a file that is to be written, and the head it begins with. For one file: another one
/// under the same key would repeat its nonces.
pub struct BackupKey {
    /// The head of the file.
    head: Vec<u8>,
    /// The key of its chunks.
    key: Secret<32>,
}

opaque_debug!(struct BackupKey { head, key });

impl BackupKey {
    /// Draws a key and seals it under the passphrase. Takes about a second on purpose.
    ///
    /// # Errors
    ///
    /// [`BackupError::OutOfMemory`].
    pub fn draw(passphrase: &Passphrase) -> Result<Self, BackupError> {
        Self::draw_at_cost(passphrase, KeyCost::STANDARD)
    }

    /// [`Self::draw`] at another cost per tried passphrase; tests use the least.
    ///
    /// # Errors
    ///
    /// As [`Self::draw`].
    pub fn draw_at_cost(passphrase: &Passphrase, cost: KeyCost) -> Result<Self, BackupError> {
        let key = Secret::make(|bytes| OsEntropy.fill(bytes));
        let mut salt = [0; SALT_BYTES];
        OsEntropy.fill(&mut salt);
        let wrapped = seal_key_file(&key, passphrase, cost, &salt)?;
        let head = [MAGIC.as_slice(), &VERSION.to_le_bytes(), &wrapped].concat();
        Ok(Self { head, key })
    }

    /// The head and the key, to hand them to the process that has the store open.
    #[must_use]
    pub fn parts(&self) -> (&[u8], &Secret<32>) {
        (&self.head, &self.key)
    }

    /// The inverse of [`Self::parts`].
    #[must_use]
    pub const fn from_parts(head: Vec<u8>, key: Secret<32>) -> Self {
        Self { head, key }
    }
}

/// Writes a backup of a store to a file that does not exist yet; durable when this returns.
///
/// # Errors
///
/// Any [`BackupError`]. There is no file then.
pub fn create(
    store: &Store,
    file: &Path,
    sealing: BackupKey,
    made: UnixSeconds,
    history: History,
) -> Result<BackupSummary, BackupError> {
    create_in_chunks(store, file, sealing, (made, history), CHUNK_BYTES)
}

fn create_in_chunks(
    store: &Store,
    file: &Path,
    sealing: BackupKey,
    (made, history): (UnixSeconds, History),
    size: usize,
) -> Result<BackupSummary, BackupError> {
    // No backup is ever written over, not even through a link: the one there may be the only good
    // one.
    if file.symlink_metadata().is_ok() {
        return Err(BackupError::Exists);
    }
    let part = unfinished(file);
    let output = match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&part) {
        // Another process may be writing it, so it is not removed here.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Unfinished(part));
        }
        opened => opened?,
    };
    let written = write(store, &output, &sealing, (made, history), size).and_then(|summary| {
        // The content is durable before the name is, so a power cut leaves no file of that name
        // that is not whole.
        output.sync_all()?;
        fs::rename(&part, file)?;
        // The name is durable when the folder is.
        File::open(folder_of(file))?.sync_all()?;
        Ok(summary)
    });
    if written.is_err() && fs::remove_file(&part).is_err() {
        tracing::debug!("an unfinished backup could not be removed");
    }
    written
}

fn write(
    store: &Store,
    output: &File,
    sealing: &BackupKey,
    (made, history): (UnixSeconds, History),
    size: usize,
) -> Result<BackupSummary, BackupError> {
    let BackupKey { head, key } = sealing;
    let output = BufWriter::new(output);
    let mut writer =
        BackupWriter::begin(StreamSealer::begin(output, key, head, size)?, made, history)?;
    let mut records = store.load()?;
    // Messages come below, with those that are history alone.
    records.retain(|record| !matches!(record, Record::Message(_)));
    let mut contacts = Vec::new();
    for record in backup::portable(records, history) {
        if let Record::Contact(contact) = &record {
            contacts.push(contact.id);
        }
        writer.add(&Imported::Record(record))?;
    }
    if history == History::With {
        store.messages().each(None, |message| {
            for record in backup::portable(vec![Record::Message(message)], history) {
                writer.add(&Imported::Record(record))?;
            }
            Ok::<(), BackupError>(())
        })?;
        let unread = store.messages().unread()?;
        for contact in contacts {
            let count = unread.iter().find(|(id, _)| *id == contact).map_or(0, |(_, count)| *count);
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            writer.add(&Imported::Unread(contact, count))?;
        }
    }
    let (mut output, summary) = writer.finish()?;
    // Without an identity there is nothing that could not be made anew.
    if summary.identities == 0 {
        return Err(BackupError::Empty);
    }
    output.flush()?;
    Ok(summary)
}

/// A backup whose passphrase was right. Nothing but its head was checked.
pub struct Backup {
    file: File,
    head: Vec<u8>,
    key: Secret<32>,
    size: usize,
}

opaque_debug!(struct Backup { file, head, key, size });

impl Backup {
    /// Opens a file. Takes about a second on purpose.
    ///
    /// # Errors
    ///
    /// The fault of the file or of the passphrase.
    pub fn open(file: &Path, passphrase: &Passphrase) -> Result<Self, BackupError> {
        let mut file = open_file(file)?;
        let mut head = Vec::new();
        let length = u64::try_from(HEAD_BYTES).unwrap_or(u64::MAX);
        (&mut file).take(length).read_to_end(&mut head)?;
        let wrapped = parse_head(&head)?;
        let key = open_key_file(wrapped, passphrase)?;
        Ok(Self { file, head, key, size: CHUNK_BYTES })
    }

    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// [`BackupError::Damaged`] if one bit is not what it was.
    pub fn check(mut self) -> Result<VerifiedBackup, BackupError> {
        let mut reader = self.reader()?;
        while reader.next_row()?.is_some() {}
        let summary = reader.summary();
        Ok(VerifiedBackup { backup: self, summary })
    }

    fn reader(&mut self) -> Result<BackupReader<BufReader<&File>>, BackupError> {
        self.file.seek(SeekFrom::Start(u64::try_from(HEAD_BYTES).unwrap_or(u64::MAX)))?;
        let input = BufReader::new(&self.file);
        BackupReader::begin(StreamOpener::begin(input, &self.key, &self.head, self.size)?)
    }
}

/// A backup that was read to its end and is what was written.
#[derive(Debug)]
pub struct VerifiedBackup {
    backup: Backup,
    summary: BackupSummary,
}

impl VerifiedBackup {
    /// Its summary.
    #[must_use]
    pub const fn summary(&self) -> BackupSummary {
        self.summary
    }

    /// Restores all of it into an empty store.
    ///
    /// # Errors
    ///
    /// Any [`BackupError`]. The store is as it was then.
    pub fn restore(mut self, env: &mut Env<'_>, store: &mut Store) -> Result<(), BackupError> {
        // Two states of one person cannot be merged: numbers and sessions of the two would
        // contradict each other.
        if !store.load()?.is_empty() {
            return Err(StoreError::Exists.into());
        }
        let mut reader = self.backup.reader()?;
        let rows = std::iter::from_fn(|| reader.next_row().transpose());
        store.import()?.take_over(rows.filter_map(|row| match row {
            Ok(Imported::Record(record)) => {
                backup::restored(env, record).map(|record| Ok(Imported::Record(record)))
            }
            other => Some(other),
        }))
    }
}

/// The sealed key in a head.
fn parse_head(head: &[u8]) -> Result<&[u8], BackupError> {
    let rest = head.strip_prefix(MAGIC).ok_or(BackupError::Foreign)?;
    let (version, wrapped) = rest.split_first_chunk().ok_or(BackupError::Damaged)?;
    match u16::from_le_bytes(*version) {
        VERSION => Ok(wrapped),
        // The person needs another program, not another copy of the file.
        version if version > VERSION => Err(BackupError::Newer),
        _ => Err(BackupError::Damaged),
    }
}

/// The name under which a file is written until it is whole.
fn unfinished(file: &Path) -> PathBuf {
    let mut name: OsString = file.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// The reason why there is no backup, or why one was not restored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Name another file.
    #[error("a file of that name exists already")]
    Exists,
    /// Remove it, if nobody is writing it.
    #[error("there is an unfinished backup: {0:?}")]
    Unfinished(PathBuf),
    /// Make an identity first.
    #[error("there is no identity to back up")]
    Empty,
    /// Name another file.
    #[error("the file is not an undertone backup")]
    Foreign,
    /// Use a newer version of this program.
    #[error("the backup was made by a newer version of this program")]
    Newer,
    /// Use another copy.
    #[error("the backup is damaged or incomplete")]
    Damaged,
    /// Do not trust where this file comes from.
    #[error("the backup demands more memory or time than this program allows")]
    TooCostly,
    /// Free some memory.
    #[error("there is not enough memory to try the passphrase")]
    OutOfMemory,
    /// Try again.
    #[error("the backup's passphrase is wrong")]
    WrongPassphrase,
    /// A bound of the program is missing or wrong.
    #[error("it is larger than a backup allows")]
    TooLarge,
    /// See the store's own error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See the cause.
    #[error("the file cannot be used: {}", io_words(.0))]
    Io(#[from] io::Error),
}

impl From<KeyError> for BackupError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Foreign | KeyError::Damaged => Self::Damaged,
            KeyError::Newer => Self::Newer,
            KeyError::TooCostly => Self::TooCostly,
            KeyError::OutOfMemory => Self::OutOfMemory,
            KeyError::WrongPassphrase => Self::WrongPassphrase,
        }
    }
}

impl From<RowError> for BackupError {
    fn from(error: RowError) -> Self {
        match error {
            RowError::NotARecord => Self::Damaged,
            RowError::TooLarge | RowError::NotEncodable => Self::TooLarge,
        }
    }
}

const MAGIC: &[u8; 8] = b"UNDTBKUP";

/// The version of the layout of a file and of the rows in it. A change to the shape of a record
/// that a backup carries raises it, and reads the older shape as the store's migrations do.
const VERSION: u16 = 1;

const HEAD_BYTES: usize = MAGIC.len() + 2 + KEY_FILE_BYTES;

/// 1 MiB: little for any machine's memory, and large enough that tags weigh nothing.
const CHUNK_BYTES: usize = 1 << 20;
