//! The store: the engine's durable records, and the history of conversations.
//!
//! A sealed store is two files in a home folder that belongs to its owner alone: `key`, the
//! database's key sealed under the passphrase, and `store.db`, everything else, encrypted by
//! SQLCipher. A store without a passphrase is the same tables in memory, and nothing on disk.
//!
//! * One process uses a home folder at a time. Only the passphrase can be changed beside it: the
//!   key file is read when a store is opened, and not again.
//! * [`Store::commit`] writes all of its changes or none, and they are durable when it returns.
//! * Every record is sealed once more under a salt of its own. Erasing or replacing a record
//!   overwrites the salt, which makes every copy of the record in the file unreadable.
//! * A crash while a store is made leaves none, or a whole one.
//! * A message of ours never goes back to a state it has left for good: a commit that would do that
//!   is refused whole.
//! * The search index is built in memory from the stored messages, and is never written to a disk.
//! * The store decides nothing about records: it looks only at the fields that order a conversation,
//!   and it never sees an envelope of anybody else.

mod codec;
mod database;
pub(in crate::shell) mod files;
mod history;
mod import;
mod key;
mod migrate;
mod passphrase_change;
mod sealed;
mod search;
mod side_tables;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::{Change, MessageRecord, Record, RecordKey};
use crate::engine::secret::Secret;
use crate::shell::os::data_dir::{self, DataDirError, NotPrivate, OfAnother, UnsafePermissions};
use crate::shell::os::io_words::io_words;
use crate::shell::os::passphrase::Passphrase;
use crate::shell::os::user_file::PrivateFault;

use self::files::{FilePresence, HomeLock, PlacedFile};
use self::key::{FILE_BYTES, KEY_BYTES};
use self::sealed::{RowKey, SealedRow};
use self::search::{SearchIndex, SearchQuery};

pub(super) use self::codec::{
    MAX_RECORD_BYTES, RowError, decode as decode_record, encode as encode_record,
};
pub use self::history::{MAX_PAGE, MessageTable};
pub use self::import::{Import, Imported};
pub use self::key::KeyCost;
pub(super) use self::key::KeyError;
/// Key files serve backups, too.
pub(super) use self::key::{
    FILE_BYTES as KEY_FILE_BYTES, SALT_BYTES, open as open_key_file, seal as seal_key_file,
};
pub use self::passphrase_change::PassphraseChange;
#[cfg(any(test, feature = "inside"))]
pub use self::search::MAX_QUERY_CHARACTERS;
pub use self::side_tables::MAX_PEERS;
#[cfg(any(test, feature = "inside"))]
pub use self::side_tables::MAX_TEXT_BYTES;

/// An open store. Dropping it closes the files and gives the home folder back.
pub struct Store {
    // Before the lock, so that it is closed before another process may open it.
    connection: Connection,
    rows: RowKey,
    /// Made at the first search; gone with the store.
    index: Option<SearchIndex>,
    lock: Option<HomeLock>,
    /// The database, if it is a file.
    place: Option<PlacedFile>,
}

/// The medium of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// The disk, encrypted.
    Sealed,
    /// Memory: the store is gone with the process.
    MemoryOnly,
}

impl Store {
    /// Whether `dir` holds a store, or one of its files.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unseen`] if that cannot be seen: what is there must not be taken for nothing.
    pub fn exists(dir: &Path) -> Result<bool, StoreError> {
        // One of both is enough: a new store must overwrite neither a key that still opens
        // something nor a database whose key may be found again.
        for name in [KEY_FILE, DATABASE_FILE] {
            match dir.join(name).symlink_metadata() {
                Ok(_) => return Ok(true),
                Err(error) if is_nothing(&error) => {}
                Err(error) => return Err(StoreError::Unseen(error)),
            }
        }
        Ok(false)
    }

    /// The error of a folder in which there is no store.
    #[must_use]
    pub fn absence(dir: &Path) -> StoreError {
        match data_dir::check(dir) {
            Ok(()) => StoreError::Missing,
            Err(DataDirError::Io(error)) if is_nothing(&error) => StoreError::Missing,
            Err(DataDirError::Io(error)) => StoreError::Unseen(error),
            // One that could not be used is not said to be empty.
            Err(error) => error.into(),
        }
    }

    /// Whether `dir` holds a store that opens, as far as this can be seen without the passphrase:
    /// the files are there, belong to their owner alone, and the key file is whole. Changes nothing,
    /// and takes no lock.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is none; any other error says why it does not open.
    pub fn look(dir: &Path) -> Result<(), StoreError> {
        if !Self::exists(dir)? {
            return Err(Self::absence(dir));
        }
        data_dir::check(dir)?;
        database::refuse_long_path(&dir.canonicalize()?, DATABASE_FILE)?;
        key::check(&read_key_file(dir)?)?;
        let database = files::presence(&dir.join(DATABASE_FILE))?;
        files::refuse_beside(&dir.join(DATABASE_FILE))?;
        // One that is not at its place yet is put there when the store is opened.
        if database == FilePresence::Missing && !database::is_unpublished(dir, DATABASE_FILE) {
            return Err(StoreError::DatabaseMissing);
        }
        Ok(())
    }

    /// Whether another process uses the store in `dir` at this moment. Changes nothing.
    #[must_use]
    pub fn is_in_use(dir: &Path) -> bool {
        files::is_held(dir)
    }

    /// Makes a store in `dir`, and the folder if there is none. Takes about a second on purpose.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] if there is one; any other error says why it could not be made, and
    /// leaves none.
    pub fn create(dir: &Path, passphrase: &Passphrase) -> Result<Self, StoreError> {
        Self::create_at_cost(dir, passphrase, KeyCost::STANDARD)
    }

    /// [`Self::create`] at another cost per tried passphrase; tests use the least.
    ///
    /// # Errors
    ///
    /// As [`Self::create`].
    pub fn create_at_cost(
        dir: &Path,
        passphrase: &Passphrase,
        cost: KeyCost,
    ) -> Result<Self, StoreError> {
        data_dir::prepare(dir)?;
        let dir = &dir.canonicalize()?;
        database::refuse_long_path(dir, DATABASE_FILE)?;
        let lock = HomeLock::take(dir)?;
        // Under the lock, or two processes could both find no store and make one.
        if Self::exists(dir)? {
            return Err(StoreError::Exists);
        }
        let key = Secret::take(&mut random()?);
        if let Err(error) = write_store(dir, &key, passphrase, cost) {
            // On a full disk the half-made file would take the room that is missing. If it stays,
            // it counts as no store.
            if let Err(left) = database::discard(dir, DATABASE_FILE) {
                tracing::debug!(%left, "an unfinished database could not be removed");
            }
            return Err(error);
        }
        Self::with_key(dir, lock, &key)
    }

    /// Opens the store in `dir`. Takes about a second on purpose.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but [`StoreError::Exists`]. Nothing was changed.
    pub fn open(dir: &Path, passphrase: &Passphrase) -> Result<Self, StoreError> {
        if !Self::exists(dir)? {
            return Err(Self::absence(dir));
        }
        data_dir::check(dir)?;
        // SQLite is told not to follow links, and applies that to every folder of a path.
        let dir = &dir.canonicalize()?;
        database::refuse_long_path(dir, DATABASE_FILE)?;
        let lock = HomeLock::take(dir)?;
        let key = open_key(dir, passphrase)?;
        Self::with_key(dir, lock, &key)
    }

    /// Makes a store that keeps nothing on disk.
    ///
    /// # Errors
    ///
    /// [`StoreError::OutOfMemory`].
    pub fn in_memory() -> Result<Self, StoreError> {
        let rows = RowKey::draw()?;
        let connection = database::in_memory(&rows)?;
        Ok(Self { connection, rows, index: None, lock: None, place: None })
    }

    /// Begins to change the passphrase of the store in `dir`: opens its key with the one it has.
    /// Takes about a second on purpose. [`PassphraseChange::finish`] does the rest.
    ///
    /// A node that runs in `dir` is not disturbed and notices nothing: it read the key file when it
    /// opened the store.
    ///
    /// # Errors
    ///
    /// As [`Self::open`], but never [`StoreError::InUse`].
    pub fn change_passphrase(dir: &Path, old: &Passphrase) -> Result<PassphraseChange, StoreError> {
        if !Self::exists(dir)? {
            return Err(Self::absence(dir));
        }
        data_dir::check(dir)?;
        PassphraseChange::begin(dir.canonicalize()?, old)
    }

    /// The medium of this store.
    #[must_use]
    pub fn kept(&self) -> StoreMode {
        if self.lock.is_some() { StoreMode::Sealed } else { StoreMode::MemoryOnly }
    }

    /// Everything the engine needs when it starts: identities, contacts, sessions, requests, seen
    /// offers and outgoing envelopes, in that order between the other kinds, and then the messages
    /// with something left to do, oldest first. Messages that are history alone are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if one of them cannot be read.
    pub fn load(&self) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        for query in [
            "SELECT bytes, value, key FROM record
             LEFT JOIN salt ON slot = salt ORDER BY key",
            "SELECT bytes, value, id FROM message
             LEFT JOIN salt ON slot = salt WHERE open = 1 OR early = 1 ORDER BY place",
        ] {
            let mut statement = self.connection.prepare(query)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                records.push(record_in(row, &self.rows)?);
            }
        }
        Ok(records)
    }

    /// Makes all of these changes, or none of them. They are durable when this returns.
    ///
    /// # Errors
    ///
    /// The first change that cannot be made, [`StoreError::Backwards`] for one. None was made then.
    pub fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        // A commit waits for the disk, which most of the engine's steps need not.
        if changes.is_empty() {
            return Ok(());
        }
        self.refuse_moved()?;
        let transaction = begin(&mut self.connection)?;
        for change in changes {
            match change {
                Change::Put(record) => put(&transaction, &self.rows, record)?,
                Change::Erase(key) => erase(&transaction, &self.rows, key)?,
                Change::EraseMessages(contact) => {
                    MessageTable::of(&transaction, &self.rows).erase_all(*contact)?;
                }
            }
        }
        transaction.commit()?;
        // Only now: a refused commit must not be found by a search.
        self.update_index(changes);
        Ok(())
    }

    /// Marks a conversation as read up to a message of the contact's. Returns the highest number
    /// that is read for certain in the contact's latest epoch, for a receipt; nothing if none is,
    /// or if the message is not there or was read before.
    ///
    /// # Errors
    ///
    /// The mark cannot be stored, or [`StoreError::Damaged`] and the like.
    pub fn mark_read(
        &self,
        contact: ContactId,
        message: MessageId,
    ) -> Result<Option<u64>, StoreError> {
        self.refuse_moved()?;
        self.messages().mark_read(contact, message)
    }

    /// The messages of this store.
    #[must_use]
    pub const fn messages(&self) -> MessageTable<'_> {
        MessageTable::of(&self.connection, &self.rows)
    }

    /// The newest messages that contain all of these words, or those before `before`; the last of
    /// the words may be the beginning of one. In one conversation, or in all. At most `limit` and
    /// never more than [`MAX_PAGE`], the newest at the start.
    ///
    /// A query without words finds nothing, and so does one before a message that is not there.
    /// Characters after `MAX_QUERY_CHARACTERS` are ignored. The first call takes as long as
    /// reading all messages.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if a message cannot be read, [`StoreError::OutOfMemory`] and the
    /// like.
    pub fn search(
        &mut self,
        contact: Option<ContactId>,
        words: &str,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<MessageRecord>, StoreError> {
        let Some(query) = SearchQuery::parse(words) else { return Ok(Vec::new()) };
        let messages = MessageTable::of(&self.connection, &self.rows);
        let end = messages.end(before)?;
        let index = match self.index.take() {
            Some(index) => index,
            None => SearchIndex::of(messages)?,
        };
        let found = self.index.insert(index).find(contact, &query, end, limit)?;
        // The store has every message of the index: both change with each commit.
        found.into_iter().filter_map(|id| messages.get(id).transpose()).collect()
    }

    /// Begins an import. The next search builds its index anew.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    pub fn import(&mut self) -> Result<Import<'_>, StoreError> {
        self.refuse_moved()?;
        // An import moves messages to other places, which the index does not follow.
        self.index = None;
        Ok(Import::of(begin(&mut self.connection)?, &self.rows))
    }

    fn with_key(dir: &Path, lock: HomeLock, key: &Secret<KEY_BYTES>) -> Result<Self, StoreError> {
        let path = dir.join(DATABASE_FILE);
        if files::presence(&path)? == FilePresence::Missing {
            // The creation was interrupted just before its last step (`write_store`) only if the
            // unfinished database is there. Else an empty one would hide that a database is lost.
            if !database::is_unpublished(dir, DATABASE_FILE) {
                return Err(StoreError::DatabaseMissing);
            }
            database::build(dir, DATABASE_FILE, key)?;
            database::publish(dir, DATABASE_FILE)?;
        }
        let connection = database::open(&path, key)?;
        let (rows, place) = (RowKey::of_database(key), PlacedFile::at(path)?);
        Ok(Self { connection, rows, index: None, lock: Some(lock), place: Some(place) })
    }

    /// Refuses to store anything once the database does not lie in its place any more. SQLite sees that
    /// only when it opens a journal, which it does once (see [`database`]).
    fn refuse_moved(&self) -> Result<(), StoreError> {
        let is_moved = self.place.as_ref().is_some_and(PlacedFile::is_moved);
        if is_moved { Err(StoreError::Moved) } else { Ok(()) }
    }

    /// Applies committed changes to the index, if there is one.
    fn update_index(&mut self, changes: &[Change]) {
        // Before the first search there is none: a node that never searches pays nothing.
        let Some(index) = self.index.take() else { return };
        match index.update(self.messages(), changes) {
            Ok(()) => self.index = Some(index),
            // The changes are durable; the next search builds another index.
            Err(error) => tracing::warn!(%error, "the search index could not be updated"),
        }
    }
}

impl core::fmt::Debug for Store {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Store").field("kept", &self.kept()).finish_non_exhaustive()
    }
}

/// Writes the files of an empty store. The key file is the moment of creation: before it there is
/// no store, and after it nothing but an empty database can be missing.
fn write_store(
    dir: &Path,
    key: &Secret<KEY_BYTES>,
    passphrase: &Passphrase,
    cost: KeyCost,
) -> Result<(), StoreError> {
    database::build(dir, DATABASE_FILE, key)?;
    files::replace(dir, KEY_FILE, &key::seal(key, passphrase, cost, &random()?)?)?;
    database::publish(dir, DATABASE_FILE)
}

/// The record of a row with three columns: the salt, the sealed record, and the name that the row
/// goes by, which is the id of a message and a whole key otherwise.
fn record_in(row: &rusqlite::Row<'_>, key: &RowKey) -> Result<Record, StoreError> {
    // A salt that is missing is read as NULL, which is no blob either.
    let blob = |column| row.get_ref(column)?.as_blob().map_err(|_| StoreError::Damaged);
    let name = match row.get_ref(2)? {
        ValueRef::Integer(id) => {
            &codec::encode_key(&RecordKey::Message(MessageId(id.cast_unsigned())))?
        }
        ValueRef::Blob(key) => key,
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Text(_) => {
            return Err(StoreError::Damaged);
        }
    };
    Ok(codec::decode(&key.open(blob(0)?, name, blob(1)?)?)?)
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    // The write lock is taken now: in the middle of a transaction SQLite could refuse it.
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

fn put(transaction: &Transaction<'_>, key: &RowKey, record: &Record) -> Result<(), StoreError> {
    if let Record::Message(message) = record {
        let messages = MessageTable::of(transaction, key);
        // The last guard against a faulty step of the engine: it must not send a message twice.
        messages.refuse_backwards(message)?;
        return messages.put(message, &seal(transaction, key, record)?);
    }
    let sealed = seal(transaction, key, record)?;
    transaction.execute(
        "INSERT INTO record (key, salt, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET salt = excluded.salt, value = excluded.value",
        params![codec::encode_key(&record.key())?, sealed.slot, sealed.value],
    )?;
    Ok(())
}

/// The sealed row of a record; its salt is written.
fn seal(connection: &Connection, key: &RowKey, record: &Record) -> Result<SealedRow, StoreError> {
    key.seal(connection, &codec::encode_key(&record.key())?, &codec::encode(record)?)
}

fn erase(
    transaction: &Transaction<'_>,
    row_key: &RowKey,
    key: &RecordKey,
) -> Result<(), StoreError> {
    let messages = MessageTable::of(transaction, row_key);
    match key {
        RecordKey::Message(message) => return messages.erase(*message),
        // A mark that stayed would show that there was such a contact.
        RecordKey::Contact(contact) => messages.forget_mark(*contact)?,
        RecordKey::Identity(_)
        | RecordKey::Session(_)
        | RecordKey::Request(_)
        | RecordKey::Replay(_)
        | RecordKey::Outgoing(_) => {}
    }
    transaction.execute("DELETE FROM record WHERE key = ?1", [codec::encode_key(key)?])?;
    Ok(())
}

/// Whether an error says that there is no such file.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Reads the key file and opens it.
fn open_key(dir: &Path, passphrase: &Passphrase) -> Result<Secret<KEY_BYTES>, StoreError> {
    Ok(key::open(&read_key_file(dir)?, passphrase)?)
}

/// The content of the key file.
fn read_key_file(dir: &Path) -> Result<Vec<u8>, StoreError> {
    let path = dir.join(KEY_FILE);
    if files::presence(&path)? == FilePresence::Missing {
        return Err(StoreError::KeyMissing);
    }
    // One byte more than a key file has, so that a longer file is refused as damaged.
    let file = files::read_start(&path, FILE_BYTES as u64 + 1)?;
    if file.is_empty() {
        return Err(StoreError::KeyEmpty);
    }
    Ok(file)
}

fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(bytes)
}

/// The reason that the store could not be used. The operation was not done, not even in part.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Make one, or name another home folder.
    #[error("the home folder contains no store yet")]
    Missing,
    /// Open it, or name another home folder.
    #[error("the home folder already contains a store")]
    Exists,
    /// Put the key file back: without it nothing can open the database.
    #[error("the store's key file is missing")]
    KeyMissing,
    /// Put the database back, or go back to a backup.
    #[error("the store's database, the file store.db, is missing")]
    DatabaseMissing,
    /// Put the key file back: without it nothing can open the database.
    #[error("the store's key file, the file key, is empty")]
    KeyEmpty,
    /// Name another home folder.
    #[error("the home folder is not a folder")]
    NotAFolder,
    /// Try again.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// Stop the other process first.
    #[error("another process is using this home folder")]
    InUse,
    /// Try again later.
    #[error("another process is changing the passphrase")]
    PassphraseInUse,
    /// Try again, with the passphrase that the store has now.
    #[error("another process has just changed the passphrase, or replaced the key file")]
    KeyReplaced,
    /// Narrow the mode first.
    #[error(transparent)]
    UnsafePermissions(#[from] UnsafePermissions),
    /// Run the program as its owner.
    #[error(transparent)]
    OfAnother(#[from] OfAnother),
    /// Name another home folder.
    #[error(
        "the path of the folder has {bytes} bytes, and a database can be in one of at most {most}"
    )]
    PathTooLong {
        /// Its length.
        bytes: usize,
        /// The length that it may have.
        most: usize,
    },
    /// Let this user look into the folder, or name another one.
    #[error("the home folder cannot be looked at: {}", io_words(.0))]
    Unseen(#[source] io::Error),
    /// Name another home folder.
    #[error("the home folder contains a file of another program")]
    Foreign,
    /// Use a newer version of this program.
    #[error("the store was written by a newer version of this program")]
    Newer,
    /// Go back to a backup.
    #[error("the store is damaged")]
    Damaged,
    /// Do not trust where this key file comes from.
    #[error("the key file demands more memory or time than this program allows")]
    TooCostly,
    /// Free some memory.
    #[error("there is not enough memory to use the store")]
    OutOfMemory,
    /// Free some space.
    #[error("nothing was stored: the disk is full")]
    DiskFull,
    /// Make the disk or the file writable.
    #[error("nothing was stored: the disk or the file is read-only")]
    ReadOnly,
    /// Put it back, or name the place where it lies now.
    #[error("nothing was stored: the home folder was moved, renamed or removed while it was used")]
    Moved,
    /// Look after the disk, or after the quota it is used under.
    #[error("nothing was stored: the disk cannot be read or written (code {0})")]
    DiskFails(i32),
    /// A bound of the program is missing or wrong.
    #[error("it is larger than the store allows")]
    TooLarge,
    /// A rule of the engine is broken: it must not go on from where it is.
    #[error("nothing was stored: a message would go back to an earlier state")]
    Backwards,
    /// The database of this build cannot be trusted with secrets.
    #[error("the database refuses a setting that the store needs to be safe")]
    Unsafe,
    /// See the code, which is SQLite's extended result code.
    #[error("the database failed with code {0}")]
    Sqlite(i32),
    /// See the cause.
    #[error("the store cannot be used: {}", io_words(.0))]
    Io(#[source] io::Error),
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the standard library's")]
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::OutOfMemory => Self::OutOfMemory,
            _ => Self::Io(error),
        }
    }
}

impl From<DataDirError> for StoreError {
    fn from(error: DataDirError) -> Self {
        match error {
            DataDirError::Nowhere => Self::Missing,
            DataDirError::NotAFolder => Self::NotAFolder,
            DataDirError::NotPrivate(found) => found.into(),
            DataDirError::Io(error) => error.into(),
        }
    }
}

impl From<NotPrivate> for StoreError {
    fn from(found: NotPrivate) -> Self {
        match found {
            NotPrivate::Mode(found) => Self::UnsafePermissions(found),
            NotPrivate::Owner(found) => Self::OfAnother(found),
        }
    }
}

impl From<PrivateFault> for StoreError {
    fn from(fault: PrivateFault) -> Self {
        match fault {
            PrivateFault::NotAFile(_) => Self::Foreign,
            PrivateFault::NotPrivate(found) => found.into(),
            PrivateFault::Io(error) => error.into(),
        }
    }
}

impl From<KeyError> for StoreError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Foreign => Self::Foreign,
            KeyError::Newer => Self::Newer,
            KeyError::Damaged => Self::Damaged,
            KeyError::TooCostly => Self::TooCostly,
            KeyError::OutOfMemory => Self::OutOfMemory,
            KeyError::WrongPassphrase => Self::WrongPassphrase,
        }
    }
}

impl From<RowError> for StoreError {
    fn from(error: RowError) -> Self {
        match error {
            RowError::NotARecord => Self::Damaged,
            RowError::TooLarge | RowError::NotEncodable => Self::TooLarge,
        }
    }
}

/// The database's key, sealed.
const KEY_FILE: &str = "key";

/// Everything else, encrypted.
const DATABASE_FILE: &str = "store.db";
