//! The archive's database file: made, opened, checked as far as a glance can, and replaced when it
//! is damaged or of an earlier version.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};
use serde::{Deserialize, Serialize};

use super::{carve, header, note};
use crate::shell::store::StoreError;
use crate::shell::store::files::{self, FilePresence};

/// What had become of a database until it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Found {
    /// Nothing, or there was none.
    #[default]
    Whole,
    /// It was damaged. So many envelopes were saved from it.
    Salvaged(u64),
    /// It was of an earlier version, and an empty one is in its place.
    Outdated,
}

impl Found {
    /// How many envelopes were saved from it, if it was damaged.
    pub(super) const fn salvaged(self) -> Option<u64> {
        match self {
            Self::Salvaged(saved) => Some(saved),
            Self::Whole | Self::Outdated => None,
        }
    }
}

/// Where the database lies that a connection has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// In its place.
    Published,
    /// Beside it, until [`publish`] puts it there: whatever is in its place is as it was found.
    Staged,
}

/// A database that was opened or made, and in what state the one before it was found.
pub(super) struct Attached {
    pub(super) connection: Connection,
    pub(super) found: Found,
    pub(super) standing: Standing,
}

/// Refuses a folder whose path is too long for the database, while it is made as well.
pub(super) fn refuse_long_path(dir: &Path) -> Result<(), StoreError> {
    files::refuse_long_path(dir, &format!("{DATABASE_FILE}{UNPUBLISHED}"))
}

/// Opens the database in `dir` without changing a byte of it. In the place of one that is missing,
/// of an earlier version or damaged it makes another one beside it, with all that can be read of a
/// damaged one.
///
/// The connection writes nothing back when it is closed, until [`keep_changes`] lets it.
pub(super) fn attach(dir: &Path, most_pages: u64) -> Result<Attached, StoreError> {
    let path = dir.join(DATABASE_FILE);
    files::refuse_beside(&path)?;
    let staged = |connection, found| Ok(Attached { connection, found, standing: Standing::Staged });
    if files::presence(&path)? == FilePresence::Missing {
        return staged(build(dir, most_pages)?, Found::Whole);
    }
    match open(&path, most_pages) {
        Ok(connection) => {
            Ok(Attached { connection, found: Found::Whole, standing: Standing::Published })
        }
        Err(error) if is_damage(&error) => {
            let (connection, saved) = salvage(dir, most_pages)?;
            // One byte that changed says so, too: then there are envelopes of this version in it.
            let found = match written_by(&path).filter(|_| saved == 0) {
                Some(Writer::Earlier) => Found::Outdated,
                // It may hold much that this program cannot read. With a table of this version it
                // is a byte that changed.
                Some(Writer::Newer) if header::has_other_table(&path, &log_of(&path)) => {
                    drop(connection);
                    remove_unpublished(dir)?;
                    return Err(StoreError::Newer);
                }
                Some(Writer::Newer) | None => Found::Salvaged(saved),
            };
            staged(connection, found)
        }
        Err(error) => Err(error),
    }
}

/// Whether there is a database in `dir`.
pub(super) fn presence(dir: &Path) -> Result<FilePresence, StoreError> {
    files::presence(&dir.join(DATABASE_FILE))
}

/// Whether a write-ahead log lies beside the database, which opening it would begin.
pub(super) fn log_presence(dir: &Path) -> FilePresence {
    let found = files::presence(&dir.join(format!("{DATABASE_FILE}{LOG}")));
    found.unwrap_or(FilePresence::Present)
}

/// Removes what looking at a database left in `dir`, once its connection is closed: a database that
/// was not published, and the log if there was none before.
pub(super) fn leave(dir: &Path, log_before: FilePresence) {
    let log = dir.join(format!("{DATABASE_FILE}{LOG}"));
    let is_new = log_before == FilePresence::Missing;
    let is_empty = log.symlink_metadata().is_ok_and(|metadata| metadata.len() == 0);
    let removed = remove_unpublished(dir)
        .and_then(|()| if is_new && is_empty { files::remove_leftover(&log) } else { Ok(()) });
    if removed.is_err() {
        tracing::debug!("what looking at the archive left could not be removed");
    }
}

/// Removes a database that never got its place.
pub(super) fn remove_unpublished(dir: &Path) -> Result<(), StoreError> {
    let name = format!("{DATABASE_FILE}{UNPUBLISHED}");
    ["", LOG, JOURNAL]
        .into_iter()
        .try_for_each(|end| files::remove_leftover(&dir.join(format!("{name}{end}"))))
}

/// The names of the database and of all that lies beside it.
pub(super) fn own_files() -> Vec<String> {
    let ends = ["", LOG, JOURNAL];
    let named = |start: String| ends.map(|end| format!("{start}{end}"));
    [named(DATABASE_FILE.to_owned()), named(format!("{DATABASE_FILE}{UNPUBLISHED}"))].concat()
}

/// Another version of this program that wrote an archive.
enum Writer {
    Earlier,
    Newer,
}

/// Which other version a file says in its first bytes that it is an archive of. What cannot be read
/// does not say so.
fn written_by(path: &Path) -> Option<Writer> {
    let start = files::read_start(path, HEADER).unwrap_or_default();
    let number = |at: usize| start.get(at..).and_then(|rest| rest.first_chunk()).copied();
    let [version, kind] = [VERSION_AT, KIND_AT].map(|at| number(at).map(u32::from_be_bytes));
    match version.filter(|_| kind == Some(APPLICATION_ID))? {
        1..VERSION => Some(Writer::Earlier),
        0 | VERSION => None,
        _ => Some(Writer::Newer),
    }
}

/// Whether the database in `dir` holds no envelope, or is none: seen without changing a byte, so
/// one that is damaged, of another version, or was not closed counts as holding some.
pub(super) fn holds_nothing(dir: &Path) -> bool {
    let path = dir.join(DATABASE_FILE);
    let length = |path: &Path| path.symlink_metadata().map_or(0, |metadata| metadata.len());
    if files::presence(&path).is_ok_and(|found| found == FilePresence::Missing) {
        return true;
    }
    if files::refuse_beside(&path).is_err() {
        return false;
    }
    // What lies in a log is not seen by a connection that may not change anything.
    length(&dir.join(format!("{DATABASE_FILE}{LOG}"))) == 0
        && look(&path).is_ok_and(|connection| is_empty(&connection))
}

/// Opens a database for reading, as a file that nobody changes: without its log, and without the
/// files that a connection makes beside it.
fn look(path: &Path) -> Result<Connection, StoreError> {
    header::examine(path, &log_of(path))?;
    let connection = Connection::open_with_flags(
        format!("file:{}?immutable=1", in_uri(path)),
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW,
    )?;
    connection.execute_batch(QUIET)?;
    examine(&connection)?;
    Ok(connection)
}

/// The write-ahead log of a database.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push(LOG);
    log.into()
}

/// A path as a URI has it (SQLite, "URI filenames"): whatever is not plain is escaped.
fn in_uri(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                text.push(char::from(*byte));
            }
            byte => text.push_str(&format!("%{byte:02x}")),
        }
    }
    text
}

/// Makes a database beside a damaged one, with all that can be read of that; also says how many
/// envelopes that is. The damaged one stays as it is until [`publish`] replaces it.
pub(super) fn salvage(dir: &Path, most_pages: u64) -> Result<(Connection, u64), StoreError> {
    let old = dir.join(DATABASE_FILE);
    let log = log_of(&old);
    let fresh = build(dir, most_pages.max(pages_to_save(&[&old, &log])))?;
    let mut saved = 0;
    let mut failed = None;
    fresh.execute_batch("BEGIN IMMEDIATE")?;
    carve::carve(&old, &log, |place, bytes| {
        match save(&fresh, place, &bytes, saved) {
            Ok(more) => saved += more,
            Err(error) => failed = Some(error),
        }
        failed.is_none()
    });
    match failed {
        None => fresh.execute_batch("COMMIT")?,
        // Without room for everything there is room for a part.
        Some(_) if fresh.is_autocommit() => {}
        Some(_) => fresh.execute_batch("COMMIT").or_else(|_| fresh.execute_batch("ROLLBACK"))?,
    }
    let saved: i64 = fresh.query_row("SELECT count(*) FROM envelope", [], |row| row.get(0))?;
    Ok((fresh, saved.cast_unsigned()))
}

/// Pages for all that can be saved of these files, whatever size is asked for: which envelopes have
/// to go, if any, is decided when all are there. Twice what they take, as rows that come in any
/// order fill their leaves by half.
fn pages_to_save(files: &[&Path]) -> u64 {
    let bytes = files.iter().filter_map(|file| Some(file.symlink_metadata().ok()?.len()));
    most_pages(bytes.fold(0, u64::saturating_add).saturating_mul(2))
}

/// Adds one envelope; returns 1 if it was not there.
fn save(fresh: &Connection, place: i64, bytes: &[u8], before: u64) -> rusqlite::Result<u64> {
    if before % SAVED_TOGETHER == SAVED_TOGETHER - 1 {
        fresh.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
    }
    let added = fresh
        .prepare("INSERT INTO envelope (place, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![place, bytes])?;
    Ok(added as u64)
}

/// Makes a database with an empty table, beside the place where [`publish`] puts it.
pub(super) fn build(dir: &Path, most_pages: u64) -> Result<Connection, StoreError> {
    remove_unpublished(dir)?;
    let path = dir.join(format!("{DATABASE_FILE}{UNPUBLISHED}"));
    // Made here and not by SQLite, whose mode for a file depends on the umask.
    files::create(&path)?.sync_all()?;
    let connection = connect(&path)?;
    connection.execute_batch(MADE)?;
    settle(&connection, most_pages)?;
    connection.execute_batch(TABLE)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID.cast_signed())?;
    connection.pragma_update(None, "user_version", VERSION)?;
    Ok(connection)
}

/// Gives the database that [`build`] made its name, in place of the one that has it, and opens it
/// there. What had become of that one is noted first: once it is gone, nothing else says so. A crash
/// at any moment leaves one of the two.
pub(super) fn publish(
    dir: &Path,
    fresh: Connection,
    (found, most_pages): (Found, u64),
) -> Result<Connection, StoreError> {
    keep_changes(&fresh)?;
    fresh.close().map_err(|(_, error)| error)?;
    if found != Found::Whole {
        note::write(dir, found);
    }
    // A log belongs to the file it lies beside: the old one's must be gone before the name changes.
    for end in [LOG, JOURNAL] {
        files::remove_leftover(&dir.join(format!("{DATABASE_FILE}{end}")))?;
    }
    let fresh = dir.join(format!("{DATABASE_FILE}{UNPUBLISHED}"));
    std::fs::File::open(&fresh)?.sync_all()?;
    let path = dir.join(DATABASE_FILE);
    files::rename(dir, &fresh, &path)?;
    let connection = open(&path, most_pages)?;
    keep_changes(&connection)?;
    Ok(connection)
}

/// Lets a connection write its log back into the database when it is closed.
pub(super) fn keep_changes(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// Opens a database that was published.
fn open(path: &Path, most_pages: u64) -> Result<Connection, StoreError> {
    header::examine(path, &log_of(path))?;
    let connection = connect(path)?;
    settle(&connection, most_pages)?;
    examine(&connection)?;
    if connection.is_readonly("main")? {
        return Err(StoreError::ReadOnly);
    }
    Ok(connection)
}

/// Whether a database is an archive of this version.
///
/// # Errors
/// When it is none, or damaged.
fn examine(connection: &Connection) -> Result<(), StoreError> {
    let kind = (pragma(connection, "application_id")?, pragma(connection, "user_version")?);
    let page = pragma(connection, "page_size")?;
    let tables: Vec<String> = connection
        .prepare("SELECT coalesce(sql, '') FROM sqlite_master")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    // Any other file is not of this program, or not as the program left it.
    if kind != (APPLICATION_ID.into(), VERSION.into()) || page != PAGE_BYTES || tables != [TABLE] {
        return Err(StoreError::Damaged);
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW,
    )?;
    connection.execute_batch(QUIET)?;
    // A start that is refused changes no byte, and what a killed process left in a log counts.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

fn settle(connection: &Connection, most_pages: u64) -> Result<(), StoreError> {
    connection.execute_batch(SETTINGS)?;
    limit(connection, most_pages)?;
    Ok(())
}

/// Lets the file grow to so many pages, or to what it is already.
fn limit(connection: &Connection, most_pages: u64) -> rusqlite::Result<()> {
    // The pragma answers with what it settled on.
    connection.query_row(&format!("PRAGMA max_page_count = {most_pages}"), [], |_| Ok(()))
}

/// Gives pages back while the file is larger than it may be.
pub(super) fn shrink(connection: &Connection, most_pages: u64) -> rusqlite::Result<()> {
    if pragma(connection, "page_count")? <= most_pages {
        return Ok(());
    }
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({GIVEN_BACK})"))?;
    let mut pages = statement.query([])?;
    while pages.next()?.is_some() {}
    limit(connection, most_pages)
}

/// Pages that can still be used: free inside the file, or not part of it yet.
pub(super) fn room(connection: &Connection) -> rusqlite::Result<u64> {
    let most = pragma(connection, "max_page_count")?;
    Ok(most.saturating_sub(used(connection)?))
}

/// Pages in use.
pub(super) fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let free = pragma(connection, "freelist_count")?;
    Ok(pragma(connection, "page_count")?.saturating_sub(free))
}

/// Whether it holds no envelope. What cannot be read may hold some.
pub(super) fn is_empty(connection: &Connection) -> bool {
    let any = "SELECT EXISTS (SELECT 1 FROM envelope)";
    connection.query_row(any, [], |row| row.get(0)).is_ok_and(|is_any: bool| !is_any)
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let value: i64 = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
    Ok(value.cast_unsigned())
}

/// Whether an error means that the file is not as it was written.
pub(super) fn is_damage(error: &StoreError) -> bool {
    match error {
        StoreError::Damaged => true,
        StoreError::DiskFails(code) => {
            matches!(*code, IOERR_READ | IOERR_SHORT_READ | IOERR_CORRUPTFS)
        }
        // All that is left says that something in the file is not as this program wrote it: no
        // such table, a row too large, a schema of another form.
        StoreError::Sqlite(code) => !NOT_OF_THE_FILE.contains(&(*code & 0xff)),
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
        | StoreError::Foreign
        | StoreError::Newer
        | StoreError::TooCostly
        | StoreError::OutOfMemory
        | StoreError::DiskFull
        | StoreError::ReadOnly
        | StoreError::Moved
        | StoreError::TooLarge
        | StoreError::Backwards
        | StoreError::Unsafe
        | StoreError::Io(_) => false,
    }
}

/// The pages a file may have whose envelopes, as a pool counts them, take `bytes` bytes.
///
/// A pool counts [`crate::engine::relay::pool::PLACE`] bytes, 2,688, for each block of 2,048 bytes
/// that an envelope has. In the file such a block takes 2,230 when rows have come and gone for
/// long: two pages of its own, a sixth of a leaf, and its part of the tree; nothing takes more for
/// what it is counted. So a full file stays a sixth below its bound, and a relay with 293,000
/// places takes 0.65 GB.
pub(super) const fn most_pages(bytes: u64) -> u64 {
    let all = bytes / PAGE_BYTES + SPARE_PAGES;
    if all < MOST_PAGES { all } else { MOST_PAGES }
}

/// The page. 1 KiB, because a 2 KiB envelope then lies in two pages of its own and a ninth of a
/// third: every larger page leaves more of itself unused, and damage to a page costs more of them.
pub(super) const PAGE: usize = 1024;

/// [`PAGE`], to count with.
pub(super) const PAGE_BYTES: u64 = PAGE as u64;

/// The first byte of a leaf of a table (SQLite file format, section 1.6).
pub(super) const LEAF: u8 = 0x0d;

/// Pages a file takes beyond its envelopes: the header, the map of pages, the tree's first levels.
pub(super) const SPARE_PAGES: u64 = 64;

/// The most SQLite counts (SQLite, `PRAGMA max_page_count`).
const MOST_PAGES: u64 = 4_294_967_294;

/// The most bytes that the envelopes of an archive can take: those of the most pages.
pub(super) const MOST_BYTES: u64 = (MOST_PAGES - SPARE_PAGES) * PAGE_BYTES;

/// The database.
pub(super) const DATABASE_FILE: &str = "envelopes.db";

/// Ends the name of a database that is not whole yet.
const UNPUBLISHED: &str = ".new";

/// Ends the name of a database's write-ahead log (SQLite file format, section 4).
const LOG: &str = "-wal";

/// Ends the name of a database's rollback journal (SQLite file format, section 3).
const JOURNAL: &str = "-journal";

/// "UNDA": marks an archive of this program (SQLite, `PRAGMA application_id`).
pub(super) const APPLICATION_ID: u32 = 0x554e_4441;

/// The tables as this program knows them: the version of the protocol whose envelopes they hold.
pub(super) const VERSION: u32 = 2;

/// The header of a database (SQLite file format, section 1.3), and what is where in it.
const HEADER: u64 = 100;
const VERSION_AT: usize = 60;
const KIND_AT: usize = 68;

/// The one table, as SQLite repeats it.
pub(super) const TABLE: &str =
    "CREATE TABLE envelope (place INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT";

/// SQLCipher complains of damaged pages on the standard error stream, across the interface.
const QUIET: &str = "PRAGMA cipher_log = off;";

/// Settings that must come before a database has pages. 2 is INCREMENTAL: free pages are used
/// again, and given back only when a smaller size is asked for.
const MADE: &str = "PRAGMA page_size = 1024; PRAGMA auto_vacuum = 2;";

/// Exclusive, so that no third file is needed; what is written is synced with each checkpoint, so
/// after a power cut the file is whole and lacks the last moments. 8 MiB of cache hold the tree
/// above the leaves of a million envelopes; the log is cut back to 8 MiB.
const SETTINGS: &str = "
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = 4096;
    PRAGMA journal_size_limit = 8388608;
    PRAGMA cache_size = -8192;
    PRAGMA temp_store = MEMORY;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
";

/// What the log is cut back to.
pub(super) const LOG_BYTES: u64 = 8_388_608;

/// Pages given back at once: 2 MiB.
const GIVEN_BACK: u32 = 2_048;

/// Envelopes written in one transaction while a damaged file is read.
const SAVED_TOGETHER: u64 = 1_024;

/// What SQLite says of its caller and of the system, and never of a file: PERM, ABORT, INTERRUPT,
/// PROTOCOL, MISUSE, NOLFS, AUTH (SQLite, result codes).
const NOT_OF_THE_FILE: [i32; 7] = [3, 4, 9, 15, 21, 22, 23];

/// The disk does not give a page, gives part of it, or says that it is damaged (SQLite, result
/// codes).
const IOERR_READ: i32 = 266;
const IOERR_SHORT_READ: i32 = 522;
const IOERR_CORRUPTFS: i32 = 8458;
