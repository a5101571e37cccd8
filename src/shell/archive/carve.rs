//! Reads envelopes out of a damaged database file, page by page.
//!
//! SQLite finds rows by its header and the upper levels of a tree, and one damaged page up there
//! hides thousands of rows. They are still where they were, and each proves itself: its place is
//! the end of its id, which is a digest of its bytes. So this looks at every page as if it were a
//! leaf, trusts nothing that it reads, and hands on what matches. Rows that were removed and not
//! overwritten yet may come back with the rest.
//!
//! The layout is the SQLite file format, sections 1.6, 1.7, 2.1 and 4.1.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::database::{LEAF, PAGE, PAGE_BYTES};
use super::log::LogFrames;
use super::rows::named;
use crate::engine::envelope::wire::MAX_ENVELOPE_SIZE;

/// Hands every envelope that can be read of a database and of its log to `each`, until that returns
/// `false`. Some come twice.
pub(super) fn carve(database: &Path, log: &Path, mut each: impl FnMut(i64, Vec<u8>) -> bool) {
    let pages = DatabasePages::open(database, log);
    for (number, image) in pages.images() {
        let Some(page) = pages.read(image) else { continue };
        for (place, bytes) in rows(&pages, &page, number) {
            if !each(place, bytes) {
                return;
            }
        }
    }
}

/// A page.
pub(super) type DatabasePage = [u8; PAGE];

/// The place of one image of a page.
#[derive(Clone, Copy)]
enum PageImage {
    /// In the database, at this offset.
    Database(u64),
    /// In the log, at this offset.
    Log(u64),
}

/// The pages of a database and of its log.
pub(super) struct DatabasePages {
    database: Option<File>,
    /// Bytes of the database.
    length: u64,
    log: Option<File>,
    /// The offset in the log of the last image of each page, by its number.
    logged: BTreeMap<u32, u64>,
    /// The offsets of the images before those.
    earlier: Vec<u64>,
    is_log_whole: bool,
}

impl DatabasePages {
    pub(super) fn open(database: &Path, log: &Path) -> Self {
        let database = File::open(database).ok();
        let length =
            database.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |of| of.len());
        let log = File::open(log).ok();
        let frames = log.as_ref().map(LogFrames::of);
        let is_log_whole = frames.as_ref().is_none_or(|frames| frames.is_whole);
        let (mut logged, mut earlier) = (BTreeMap::new(), Vec::new());
        for (page, image) in frames.map(|frames| frames.images).unwrap_or_default() {
            earlier.extend(logged.insert(page, image));
        }
        Self { database, length, log, logged, earlier, is_log_whole }
    }

    /// The first page, as the log has it if it does.
    pub(super) fn first(&self) -> Option<DatabasePage> {
        self.numbered(1, PageSource::Log)
    }

    /// A page of the database, whatever the log has.
    pub(super) fn in_database(&self, number: u32) -> Option<DatabasePage> {
        self.numbered(number, PageSource::Database)
    }

    /// The pages that the database has as a whole.
    pub(super) const fn count(&self) -> u64 {
        self.length / PAGE_BYTES
    }

    /// Whether the log has a page.
    pub(super) fn has_log(&self) -> bool {
        !self.logged.is_empty()
    }

    /// Whether SQLite reads all that the log has.
    pub(super) const fn is_log_whole(&self) -> bool {
        self.is_log_whole
    }

    /// All images: those of the log first, which are the newer.
    fn images(&self) -> impl Iterator<Item = (PageSource, PageImage)> {
        let logged = self.logged.values().chain(&self.earlier);
        let logged = logged.map(|offset| (PageSource::Log, PageImage::Log(*offset)));
        // A file that was cut in the middle of a page ends with the page before.
        let kept = (0..self.count())
            .map(|page| (PageSource::Database, PageImage::Database(page * PAGE_BYTES)));
        logged.chain(kept)
    }

    fn read(&self, image: PageImage) -> Option<DatabasePage> {
        let (file, offset) = match image {
            PageImage::Database(offset) => (self.database.as_ref()?, offset),
            PageImage::Log(offset) => (self.log.as_ref()?, offset),
        };
        let mut page = [0; PAGE];
        // A page the disk does not give is one page less.
        file.read_exact_at(&mut page, offset).ok()?;
        Some(page)
    }

    /// The page of a number, as a reader of `origin` has to see it.
    fn numbered(&self, number: u32, origin: PageSource) -> Option<DatabasePage> {
        let logged = self.logged.get(&number).filter(|_| origin == PageSource::Log);
        let image = match logged {
            Some(offset) => PageImage::Log(*offset),
            None => PageImage::Database(u64::from(number.checked_sub(1)?) * PAGE_BYTES),
        };
        self.read(image)
    }
}

/// The images of other pages that belong to one page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PageSource {
    /// Those of the database: it may be from before the log.
    Database,
    /// Those of the log, where it has them.
    Log,
}

/// The envelopes in a page, if it is a leaf.
fn rows(pages: &DatabasePages, page: &DatabasePage, origin: PageSource) -> Vec<(i64, Vec<u8>)> {
    let Some((&[LEAF, _, _, high, low, ..], pointers)) = page.split_first_chunk::<8>() else {
        return Vec::new();
    };
    let count = usize::from(u16::from_be_bytes([high, low]));
    let (pointers, _) = pointers.as_chunks::<2>();
    let starts = pointers.iter().take(count).map(|start| usize::from(u16::from_be_bytes(*start)));
    starts.filter_map(|start| row(pages, page.get(start..)?, origin)).collect()
}

/// The envelope of a cell, if it matches its place.
fn row(pages: &DatabasePages, cell: &[u8], origin: PageSource) -> Option<(i64, Vec<u8>)> {
    let (length, cell) = varint(cell)?;
    let (key, cell) = varint(cell)?;
    // Bounds how many pages `whole` follows: in a damaged file links may form a circle.
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_RECORD)?;
    let record = whole(pages, cell, length, origin)?;
    // The record's header names its own length first; what follows it is the one column.
    let (header, _) = varint(&record)?;
    let bytes = record.get(usize::try_from(header).ok()?..)?.to_vec();
    let place = key.cast_signed();
    // The proof. Nothing else in the file is trusted.
    named(place, &bytes).map(|_| (place, bytes))
}

/// A cell's record, with the parts that lie in pages of their own.
fn whole(pages: &DatabasePages, cell: &[u8], length: usize, origin: PageSource) -> Option<Vec<u8>> {
    let here = local(length);
    let mut record = cell.get(..here)?.to_vec();
    let mut next = *cell.get(here..)?.first_chunk().unwrap_or(&[0; 4]);
    while record.len() < length {
        let page = pages.numbered(u32::from_be_bytes(next), origin)?;
        let (link, content) = page.split_first_chunk()?;
        record.extend_from_slice(content.get(..content.len().min(length - record.len()))?);
        next = *link;
    }
    Some(record)
}

/// How much of a record of this length lies in the leaf itself.
const fn local(length: usize) -> usize {
    let usable = PAGE;
    if length <= usable - 35 {
        return length;
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let rest = least + (length - least) % (usable - 4);
    if rest <= usable - 35 { rest } else { least }
}

/// A number of SQLite's, of 1 to 9 bytes, and the bytes after it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        if index == 8 {
            return Some((value << 8 | u64::from(*byte), bytes.get(9..)?));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

/// An envelope and the header before it, which takes up to 8 bytes.
const MAX_RECORD: usize = MAX_ENVELOPE_SIZE + 8;

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::env::{Seconds, UnixSeconds};
    use crate::engine::envelope::{Envelope, EnvelopeId, Topic, WorkNonce};
    use crate::engine::testing::mutate::{Reading, each_case, each_slow_case};
    use crate::shell::archive::rows::place;
    use rusqlite::Connection;

    #[test]
    fn numbers_are_read_as_sqlite_writes_them() {
        assert_eq!(varint(&[0x7f, 1]), Some((127, &[1][..])));
        assert_eq!(varint(&[0x81, 0]), Some((128, &[][..])));
        assert_eq!(varint(&[0xff; 9]), Some((u64::MAX, &[][..])));
        assert_eq!(varint(&[0x81]), None);
        assert_eq!(varint(&[0x81; 8]), None);
    }

    proptest! {
        #[test]
        fn a_page_of_anything_is_read_without_a_panic_and_gives_nothing_that_does_not_match(
            bytes in proptest::collection::vec(any::<u8>(), PAGE),
        ) {
            let pages = nowhere();
            let mut page: DatabasePage = bytes.try_into().unwrap();
            page[0] = LEAF;
            prop_assert_eq!(rows(&pages, &page, PageSource::Database), []);
        }
    }

    /// The pages of no file.
    pub(in crate::shell::archive) fn nowhere() -> DatabasePages {
        let nowhere = Path::new("/nonexistent");
        DatabasePages::open(nowhere, nowhere)
    }

    fn envelope(number: u64, data: usize) -> Vec<u8> {
        let data = vec![7; data];
        let (expiry, ttl) = (UnixSeconds(490_896 * 3_600), Seconds(86_400));
        Envelope { expiry, ttl, topic: Topic([1; 4]), data: &data, nonce: WorkNonce(number) }
            .encode()
    }

    /// A database and its log as files, with three envelopes in the first and one in the other.
    fn files() -> [Vec<u8>; 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let connection = Connection::open(&path).unwrap();
        let put = |data: usize| {
            let bytes = envelope(data as u64, data);
            let place = place(&EnvelopeId::of(&bytes).unwrap());
            connection.execute("INSERT INTO envelope VALUES (?1, ?2)", (place, bytes)).unwrap();
        };
        let begin = "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL;
            CREATE TABLE envelope (place INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT";
        connection.execute_batch(begin).unwrap();
        for data in [3, 200, 3_000] {
            put(data);
        }
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        put(4);
        ["db", "db-wal"].map(|name| std::fs::read(folder.path().join(name)).unwrap())
    }

    /// The envelopes that are found in these bytes; none that is not what its place says.
    fn carved(folder: &Path, [database, log]: [&[u8]; 2]) -> usize {
        let paths = ["db", "db-wal"].map(|name| folder.join(name));
        for (path, bytes) in paths.iter().zip([database, log]) {
            std::fs::write(path, bytes).unwrap();
        }
        let mut found = 0;
        carve(&paths[0], &paths[1], |place, bytes| {
            assert!(named(place, &bytes).is_some());
            found += 1;
            true
        });
        found
    }

    fn some(found: usize) -> Reading {
        if found > 0 { Reading::Taken } else { Reading::Refused }
    }

    #[test]
    fn changed_at_random_files_give_back_envelopes_that_they_held_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let [database, log] = files();
        assert!(carved(folder.path(), [&database, &log]) >= 4);
        each_slow_case(&[database], |bytes| some(carved(folder.path(), [bytes, &[]])));
        each_slow_case(&[log], |bytes| some(carved(folder.path(), [&[], bytes])));
    }

    #[test]
    fn changed_at_random_a_page_gives_back_rows_that_prove_themselves_or_none() {
        let pages = nowhere();
        let [database, _] = files();
        let leaves: Vec<Vec<u8>> = database
            .chunks(PAGE)
            .filter(|page| {
                let page = <&DatabasePage>::try_from(*page).unwrap();
                !rows(&pages, page, PageSource::Database).is_empty()
            })
            .map(<[u8]>::to_vec)
            .collect();
        each_case(&leaves, |bytes| {
            let mut page = bytes.to_vec();
            page.resize(PAGE, 0);
            let page = <&DatabasePage>::try_from(page.as_slice()).unwrap();
            let rows = rows(&pages, page, PageSource::Database);
            assert!(rows.iter().all(|(place, bytes)| named(*place, bytes).is_some()));
            some(rows.len())
        });
    }
}
