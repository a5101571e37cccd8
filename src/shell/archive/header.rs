//! The first page of an archive's database, looked at before SQLite sees it.
//!
//! SQLite believes what stands there, and a byte that changed makes it say nearly anything: that the
//! file is read-only, that it cannot be opened, that there is no memory for it, or nothing at all,
//! because a whole tree begins at another page or the pages in use count as free. Which of its
//! errors mean damage can be guessed at best. But all of the page but a few numbers is the same in
//! every archive, so here it is compared with what an archive is made with.
//!
//! The layout is the SQLite file format, sections 1.3, 1.5 and 1.6.

use std::fs::File;
use std::path::Path;

use super::carve::{DatabasePage, DatabasePages};
use super::database::{APPLICATION_ID, LEAF, PAGE, TABLE, VERSION};
use crate::shell::store::StoreError;

/// Looks at the first page of a database, as it is with what lies in its log, and at the log.
///
/// # Errors
/// [`StoreError::Damaged`] if the page is not one that this program made, or SQLite would not read all
/// of the log; or when the file cannot be opened.
pub(super) fn examine(database: &Path, log: &Path) -> Result<(), StoreError> {
    drop(File::open(database)?);
    let pages = DatabasePages::open(database, log);
    let is_whole = pages.first().is_some_and(|page| {
        is_as_made(&page)
            // A log may end with pages of a transaction that was never finished, and the free pages
            // of those are nobody's: SQLite goes by what was finished.
            && (pages.has_log() || is_list_whole(&pages, &page))
    });
    if is_whole && pages.is_log_whole() { Ok(()) } else { Err(StoreError::Damaged) }
}

/// Whether a first page says what those of all archives say.
fn is_as_made(page: &DatabasePage) -> bool {
    // What lies between the fields is the few numbers that change and mean nothing to a reader: how
    // often the file and its tables were changed, by which version of SQLite, and how long it was.
    let fields = FIELDS.iter().all(|(at, value)| page.get(*at..*at + value.len()) == Some(*value));
    fields && has_table(page)
}

/// Whether the one table is written down where it should be.
fn has_table(page: &DatabasePage) -> bool {
    let cell = number16(page, CELL_AT).and_then(|start| page.get(start..));
    cell.is_some_and(|cell| cell.starts_with(&table_row()))
}

/// Whether a database, with its log, has another table than this version's.
pub(super) fn has_other_table(database: &Path, log: &Path) -> bool {
    DatabasePages::open(database, log).first().is_some_and(|page| !has_table(&page))
}

/// Whether the list of free pages has as many as it is said to have, all of them in the file: pages
/// of rows that count as free would be overwritten.
fn is_list_whole(pages: &DatabasePages, first: &DatabasePage) -> bool {
    let (Some(mut next), Some(count)) = (number32(first, TRUNK_AT), number32(first, FREE_AT))
    else {
        return false;
    };
    let is_free = |page: u32| page > ROOT && u64::from(page) <= pages.count();
    let mut found = 0;
    while next != 0 {
        // Ends a circle, too.
        if found >= count || !is_free(next) {
            return false;
        }
        let Some(trunk) = pages.in_database(next) else { return false };
        let listed = number32(&trunk, 4).and_then(|listed| usize::try_from(listed).ok());
        let Some(listed) = listed.filter(|listed| *listed <= MOST_LISTED) else { return false };
        let (leaves, _) = trunk.as_chunks();
        let mut leaves = leaves.iter().skip(2).take(listed).map(|leaf| u32::from_be_bytes(*leaf));
        if !leaves.all(is_free) {
            return false;
        }
        found += 1 + u32::try_from(listed).unwrap_or(u32::MAX);
        next = number32(&trunk, 0).unwrap_or_default();
    }
    found == count
}

/// The row in which the one table is written down: its length and number, then five columns.
fn table_row() -> Vec<u8> {
    let text = |text: &str| 13 + 2 * text.len();
    let sql = text(TABLE);
    // The last column's kind takes two bytes, as varints do from 128 on; the length counts itself.
    let kinds =
        [7, text("table"), text(TABLE_NAME), text(TABLE_NAME), 1, 0x80 | sql >> 7, sql & 0x7f];
    let record: Vec<u8> = kinds
        .into_iter()
        .map(|kind| u8::try_from(kind).unwrap_or(u8::MAX))
        .chain(["table", TABLE_NAME, TABLE_NAME].into_iter().flat_map(str::bytes))
        .chain([u8::try_from(ROOT).unwrap_or(u8::MAX)])
        .chain(TABLE.bytes())
        .collect();
    let length = u8::try_from(record.len()).unwrap_or(u8::MAX);
    [&[length, 1][..], &record].concat()
}

fn number16(page: &DatabasePage, at: usize) -> Option<usize> {
    page.get(at..)?.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes)))
}

fn number32(page: &DatabasePage, at: usize) -> Option<u32> {
    page.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// What stands where in every first page.
const FIELDS: &[(usize, &[u8])] = &[
    (0, b"SQLite format 3\0"),
    (16, &1_024_u16.to_be_bytes()),
    // Written and read with a log; no byte of a page is kept free; and three constants.
    (18, &[2, 2, 0, 64, 32, 32]),
    // The form of its schema.
    (44, &4_u32.to_be_bytes()),
    // The cache that it asks for.
    (48, &[0; 4]),
    // The largest root, as free pages can be given back.
    (52, &ROOT.to_be_bytes()),
    // UTF-8.
    (56, &1_u32.to_be_bytes()),
    (60, &VERSION.to_be_bytes()),
    // Free pages are given back when that is asked for.
    (64, &1_u32.to_be_bytes()),
    (68, &APPLICATION_ID.to_be_bytes()),
    (72, &[0; 20]),
    // A leaf with one cell.
    (100, &[LEAF]),
    (103, &[0, 1]),
];

const _: () = assert!(PAGE == 1_024);

/// Where the cell's start stands.
const CELL_AT: usize = 108;

/// Where it stands which page lists free ones, and how many there are.
const TRUNK_AT: usize = 32;
const FREE_AT: usize = 36;

/// Free pages that one page lists at most.
const MOST_LISTED: usize = PAGE / 4 - 2;

/// The name of the one table.
const TABLE_NAME: &str = "envelope";

/// The page where its tree begins: after this one and the first map of pages.
const ROOT: u32 = 3;

#[cfg(test)]
mod tests {
    use super::super::carve::tests::nowhere;
    use super::super::database;
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    /// The first page of an archive that was just made.
    fn made() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let fresh = database::build(folder.path(), 100).unwrap();
        let fresh = database::publish(folder.path(), fresh, (database::Found::Whole, 100)).unwrap();
        drop(fresh);
        let mut file = std::fs::read(folder.path().join(database::DATABASE_FILE)).unwrap();
        file.truncate(PAGE);
        file
    }

    #[test]
    fn changed_at_random_a_first_page_is_one_that_was_made_or_damaged() {
        let made = made();
        let read = |bytes: &[u8]| {
            let page = <&DatabasePage>::try_from(bytes).ok();
            page.filter(|page| is_as_made(page)).map(|page| {
                let kept = FIELDS.iter().all(|(at, value)| page[*at..].starts_with(value));
                assert!(kept);
                _ = is_list_whole(&nowhere(), page);
            })
        };
        each_case(&[made], |bytes| Reading::found(read(bytes)));
    }
}
