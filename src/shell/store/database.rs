//! The database: opened, checked for being ours, and brought to the current schema.
//!
//! On disk it is SQLCipher under a raw key, with settings under which a commit is durable when it
//! returns and erased rows are overwritten; both are set and then read back. In memory it is the
//! same tables and no file at all. The content of rows is not known here.

use std::path::Path;

use data_encoding::HEXLOWER;
use rusqlite::ffi::SQLITE_READONLY_DBMOVED;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};
use zeroize::Zeroizing;

use super::StoreError;
use super::files;
use super::key::KEY_BYTES;
use super::migrate::{self, OldLayout};
use super::sealed::RowKey;
use crate::engine::secret::Secret;

/// Makes a database with empty tables, beside the place where [`publish`] puts it.
pub(super) fn build(dir: &Path, name: &str, key: &Secret<KEY_BYTES>) -> Result<(), StoreError> {
    // An interrupted creation may have left one, under a key that is lost.
    discard(dir, name)?;
    let path = dir.join(format!("{name}{UNPUBLISHED}"));
    // Made here and not by SQLite, whose mode for a file depends on the umask.
    files::create(&path)?.sync_all()?;
    let mut connection = unlock(&path, key)?;
    migrate(&mut connection, 0, &RowKey::of_database(key))?;
    // The journal carries the database's name: it has to be gone before the name changes.
    connection.close().map_err(|(_, error)| error)?;
    files::remove_leftover(&dir.join(format!("{name}{UNPUBLISHED}{JOURNAL}")))
}

/// Refuses a folder in which SQLite cannot open the database while it is made, for the length of the
/// path: it would say no more than that a file cannot be opened.
pub(super) fn refuse_long_path(dir: &Path, name: &str) -> Result<(), StoreError> {
    files::refuse_long_path(dir, &format!("{name}{UNPUBLISHED}"))
}

/// Gives the database that [`build`] made its name, durably: from then on the store has it.
pub(super) fn publish(dir: &Path, name: &str) -> Result<(), StoreError> {
    files::rename(dir, &dir.join(format!("{name}{UNPUBLISHED}")), &dir.join(name))
}

/// Whether [`build`] made a database, at least in part, that [`publish`] gave no name.
pub(super) fn is_unpublished(dir: &Path, name: &str) -> bool {
    dir.join(format!("{name}{UNPUBLISHED}")).symlink_metadata().is_ok()
}

/// Removes what [`build`] made, or made in part.
pub(super) fn discard(dir: &Path, name: &str) -> Result<(), StoreError> {
    files::remove_leftover(&dir.join(format!("{name}{UNPUBLISHED}")))?;
    files::remove_leftover(&dir.join(format!("{name}{UNPUBLISHED}{JOURNAL}")))
}

/// Opens a database that was published, on behalf of the one process that may.
pub(super) fn open(path: &Path, key: &Secret<KEY_BYTES>) -> Result<Connection, StoreError> {
    let start = files::read_start(path, PLAIN_HEADER.len() as u64)?;
    // SQLCipher would call another program's plain database damaged, and a person would go back to
    // a backup instead of naming another folder.
    if start == PLAIN_HEADER {
        return Err(StoreError::Foreign);
    }
    // SQLite would take an empty file for a database without tables.
    if start.len() < PLAIN_HEADER.len() {
        return Err(StoreError::Damaged);
    }
    let mut connection = unlock(path, key)?;
    if number(&connection, "application_id")? != APPLICATION_ID {
        return Err(StoreError::Foreign);
    }
    let version = number(&connection, "user_version")?;
    match usize::try_from(version) {
        // At the current version there is nothing to migrate, and an older one is brought to it.
        Ok(version @ 1..) if version <= migrations().count() => {
            migrate(&mut connection, version, &RowKey::of_database(key))?;
        }
        // The version is committed with the tables, so no database of ours has none.
        Ok(0) | Err(_) => return Err(StoreError::Damaged),
        // This program would write rows that the newer one reads wrongly.
        Ok(_) => return Err(StoreError::Newer),
    }
    // SQLite opens a file without write permission silently. Found here, before the node accepts a
    // message that it could not store.
    if connection.is_readonly("main")? {
        return Err(StoreError::ReadOnly);
    }
    Ok(connection)
}

/// Makes a database that is gone when it is dropped.
pub(super) fn in_memory(key: &RowKey) -> Result<Connection, StoreError> {
    let mut connection = blank()?;
    migrate(&mut connection, 0, key)?;
    Ok(connection)
}

/// Makes a database without tables that is gone when it is dropped.
pub(super) fn blank() -> Result<Connection, StoreError> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(QUIET)?;
    connection.execute_batch(EVERYWHERE)?;
    Ok(connection)
}

/// Opens the file, gives SQLCipher the key, and sets durability and erasure.
fn unlock(path: &Path, key: &Secret<KEY_BYTES>) -> Result<Connection, StoreError> {
    files::refuse_beside(path)?;
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW,
    )?;
    connection.execute_batch(QUIET)?;
    // Before any other access: SQLCipher reads the first page by this key.
    connection.execute_batch(&key_statement(key))?;
    settle(&connection)?;
    Ok(connection)
}

/// Sets durability and erasure of a database on disk, and checks that both are in effect.
fn settle(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(EVERYWHERE)?;
    connection.execute_batch(ON_DISK)?;
    // A pragma that a build of SQLite does not know is no error: it is silently without effect.
    for (pragma, value) in SETTLED {
        if number(connection, pragma)? != value {
            return Err(StoreError::Unsafe);
        }
    }
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if journal != "truncate" {
        return Err(StoreError::Unsafe);
    }
    Ok(())
}

/// A database as a former version of this program left it, without rows.
#[cfg(test)]
pub(super) fn of_version(version: usize, path: &Path, key: &Secret<KEY_BYTES>) -> Connection {
    let connection = unlock(path, key).unwrap();
    for migration in migrations().take(version) {
        connection.execute_batch(migration).unwrap();
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    connection.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
    connection
}

/// `PRAGMA key` with the key itself, from which SQLCipher derives nothing by password.
fn key_statement(key: &Secret<KEY_BYTES>) -> Zeroizing<String> {
    // With all its room from the start the text never moves, and so leaves no copy behind.
    let mut statement = Zeroizing::new(String::with_capacity(32 + 2 * KEY_BYTES));
    statement.push_str("PRAGMA key = \"x'");
    HEXLOWER.encode_append(key.expose(), &mut statement);
    statement.push_str("'\"");
    statement
}

/// Brings a database that has been through `done` migrations to the current schema, or leaves it as
/// it was.
fn migrate(connection: &mut Connection, done: usize, key: &RowKey) -> Result<(), StoreError> {
    let count = migrations().count();
    if done == count {
        return Ok(());
    }
    // Tables, rows and version in one transaction: a power cut leaves the old database whole.
    let transaction = connection.transaction()?;
    apply(&transaction, done, key)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", i64::try_from(count).unwrap_or(i64::MAX))?;
    transaction.commit()?;
    if (1..SEALING).contains(&done) {
        // Writes the whole file again, because unsealed rows left readable copies in its pages.
        connection.execute_batch("VACUUM")?;
    }
    Ok(())
}

/// The migrations after the first `done`, and then the rows in the shapes of today.
fn apply(transaction: &Transaction<'_>, done: usize, key: &RowKey) -> Result<(), StoreError> {
    for migration in migrations().skip(done) {
        transaction.execute_batch(migration)?;
    }
    match done {
        // A new database has no rows.
        0 => Ok(()),
        1..SEALING => migrate::rewrite(transaction, key, OldLayout::Plain),
        SEALING.. => migrate::rewrite(transaction, key, OldLayout::Sealed),
    }
}

/// Leaves the file and its journal as a power cut would that comes just before the commit of the
/// migration from version `done`.
#[cfg(test)]
pub(super) fn cut_short(path: &Path, key: &Secret<KEY_BYTES>, done: usize, look: impl FnOnce()) {
    let mut connection = unlock(path, key).unwrap();
    // Pages reach the file long before the commit when the memory for them is short.
    connection.pragma_update(None, "cache_size", 2).unwrap();
    let transaction = connection.transaction().unwrap();
    apply(&transaction, done, &RowKey::of_database(key)).unwrap();
    look();
    drop(transaction);
}

fn migrations() -> impl Iterator<Item = &'static str> {
    // The text before the first mark is the file's own comment.
    include_str!("schema.sql").split("\n-- migration\n").skip(1)
}

fn number(connection: &Connection, pragma: &str) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, pragma, |row| row.get(0))?)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let Some(sqlite) = error.sqlite_error() else {
            // A column of another type, or text that is not UTF-8: this program wrote no such row.
            return Self::Damaged;
        };
        #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is SQLite's")]
        match sqlite.code {
            ErrorCode::DiskFull => Self::DiskFull,
            // Written to all the same, its journal would lie in another folder.
            ErrorCode::ReadOnly if sqlite.extended_code == SQLITE_READONLY_DBMOVED => Self::Moved,
            ErrorCode::ReadOnly => Self::ReadOnly,
            // A quota that is used up gives this error, too: SQLite distinguishes only a full disk.
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => {
                Self::DiskFails(sqlite.extended_code)
            }
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged,
            // The lock of the home folder keeps other nodes out; another program, a backup tool
            // say, may still hold SQLite's own lock.
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::InUse,
            ErrorCode::OutOfMemory => Self::OutOfMemory,
            _ => Self::Sqlite(sqlite.extended_code),
        }
    }
}

/// The migration with which rows are sealed.
const SEALING: usize = 2;

/// Ends the name of a database that is not whole yet.
const UNPUBLISHED: &str = ".new";

/// Ends the name of a database's rollback journal (SQLite file format, section 3).
const JOURNAL: &str = "-journal";

/// "UNDT": marks a database of this program (SQLite, `PRAGMA application_id`).
const APPLICATION_ID: i64 = 0x554e_4454;

/// The start of a database that is not encrypted (SQLite file format, section 1.3.1).
const PLAIN_HEADER: &[u8] = b"SQLite format 3\0";

/// SQLCipher complains of damaged pages on the standard error stream, across the interface.
const QUIET: &str = "PRAGMA cipher_log = off;";

/// Memory is wiped when it is freed, temporary tables never touch a disk, and erased rows are
/// overwritten.
const EVERYWHERE: &str = "
    PRAGMA cipher_memory_security = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA secure_delete = ON;
    PRAGMA foreign_keys = ON;
";

/// The lock of the file is kept, and the journal with it, so that a commit opens no file: one that comes
/// while the process has no descriptor left would fail, and the node would end. Whether the file lies in its
/// place still, which SQLite looks at when it opens the journal, is looked at by the store itself.
///
/// A commit is durable when it returns. In mode DELETE a commit ends by unlinking the journal, and
/// FULL does not make that durable: after a power cut the journal could come back and undo it. In
/// mode TRUNCATE the journal's new length is synced. WAL would keep erased pages in its log.
const ON_DISK: &str = "
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = TRUNCATE;
    PRAGMA synchronous = FULL;
";

/// The values that the settings must have; FULL is 2 (SQLite, `PRAGMA synchronous`).
const SETTLED: [(&str, i64); 3] = [("synchronous", 2), ("secure_delete", 1), ("foreign_keys", 1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_given_as_it_is_in_64_digits() {
        let mut bytes = [0; KEY_BYTES];
        bytes[0] = 0xab;
        let statement = key_statement(&Secret::take(&mut bytes));
        assert_eq!(*statement, format!("PRAGMA key = \"x'ab{}'\"", "00".repeat(31)));
    }

    #[test]
    fn a_memory_database_has_the_tables_of_the_last_migration() {
        let connection = in_memory(&RowKey::draw().unwrap()).unwrap();
        let count = i64::try_from(migrations().count()).unwrap();
        assert_eq!(number(&connection, "user_version").unwrap(), count);
        assert_eq!(number(&connection, "application_id").unwrap(), APPLICATION_ID);
        assert_eq!(number(&connection, "secure_delete").unwrap(), 1);
    }

    #[test]
    fn a_migration_that_fails_leaves_everything_as_it_was() {
        let key = RowKey::draw().unwrap();
        let mut connection = in_memory(&key).unwrap();
        let before = number(&connection, "user_version").unwrap();
        // All its tables exist: going through it once more must fail.
        assert!(migrate(&mut connection, 0, &key).is_err());
        assert_eq!(number(&connection, "user_version").unwrap(), before);
        assert!(connection.is_autocommit());
    }
}
