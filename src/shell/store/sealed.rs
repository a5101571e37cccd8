//! Sealed rows: an erased record stays unreadable, even with the database's key.
//!
//! Inside the encrypted database every record is encrypted once more, under a key that comes from
//! the row key and a salt drawn for this one write. Salts stand in a table of their own and are
//! overwritten where they are; a row whose salt is gone is noise. SQLite's `secure_delete` alone is
//! not enough: it overwrites a row where the row is, but when SQLite rebuilds a page around rows of
//! changing sizes, copies of them stay in the page's gap (`rebuildPage` in btree.c; the tests show
//! it), and nothing overwrites those when the row is erased.
//!
//! The content of a row is not known here. The names and columns by which the database finds rows
//! are not sealed, and copies of them may stay. Old blocks that a disk keeps, and copies of the
//! file, are out of reach.

use rusqlite::{Connection, OptionalExtension};
use zeroize::Zeroizing;

use super::codec::RowError;
use super::key::KEY_BYTES;
use super::{StoreError, random};
use crate::engine::crypto::aead::OneTimeKey;
use crate::engine::crypto::kdf::{self, KdfLabel};
use crate::engine::secret::Secret;

/// The key from which every row's own key is derived.
pub(super) struct RowKey(Secret<32>);

impl RowKey {
    /// The row key of a database.
    pub(super) fn of_database(key: &Secret<KEY_BYTES>) -> Self {
        Self(kdf::expand(key, KdfLabel::RowKey))
    }

    /// A row key for a store that is gone with the process.
    pub(super) fn draw() -> Result<Self, StoreError> {
        // Nothing would leak without one; sealing alike leaves one way to write and read rows.
        Ok(Self(Secret::take(&mut random()?)))
    }

    /// Seals a row under a fresh salt and stores the salt. `name` is the row's key in bytes, of
    /// which the kind is a part; a row under another name does not open.
    pub(super) fn seal(
        &self,
        connection: &Connection,
        name: &[u8],
        row: &[u8],
    ) -> Result<SealedRow, StoreError> {
        // Also for a record that is merely replaced: a trigger overwrites its former salt, without
        // which no copy of the former row opens.
        let salt = random()?;
        let slot = write_salt(connection, &salt)?;
        Ok(SealedRow { slot, value: self.one_time(&salt).seal(name, row) })
    }

    /// Opens a row that [`Self::seal`] made.
    ///
    /// # Errors
    ///
    /// [`RowError::NotARecord`] if salt, name and row do not belong together.
    pub(super) fn open(
        &self,
        salt: &[u8],
        name: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, RowError> {
        self.one_time(salt).open(name, sealed).ok_or(RowError::NotARecord)
    }

    fn one_time(&self, salt: &[u8]) -> OneTimeKey {
        OneTimeKey::derive(salt, &self.0, KdfLabel::StoredRow)
    }
}

impl core::fmt::Debug for RowKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(_) = self;
        f.write_str("RowKey")
    }
}

/// A sealed row, ready to be written. Its salt is written already.
pub(super) struct SealedRow {
    /// The slot of the salt.
    pub(super) slot: i64,
    /// Ciphertext and tag.
    pub(super) value: Vec<u8>,
}

/// Writes a salt into a free slot, or a slot at the end if there is none.
fn write_salt(connection: &Connection, salt: &[u8; SALT_BYTES]) -> Result<i64, StoreError> {
    // Reused and never deleted: SQLite overwrites a slot in place, and leaves no copy of a salt.
    let reused = connection
        .query_row(
            "UPDATE salt SET free = 0, bytes = ?1
             WHERE slot = (SELECT slot FROM salt WHERE free = 1 LIMIT 1) RETURNING slot",
            [salt],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(slot) = reused {
        return Ok(slot);
    }
    let query = "INSERT INTO salt (free, bytes) VALUES (0, ?1) RETURNING slot";
    Ok(connection.query_row(query, [salt], |row| row.get(0))?)
}

/// 128 bits: an overwritten salt cannot be found by trying all.
const SALT_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    fn key(byte: u8) -> RowKey {
        RowKey::of_database(&Secret::take(&mut [byte; KEY_BYTES]))
    }

    #[test]
    fn a_row_key_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", key(7)), "RowKey");
    }

    #[test]
    fn the_row_key_is_not_the_database_key() {
        assert_ne!(key(7).0, Secret::take(&mut [7; KEY_BYTES]));
    }

    #[test]
    fn a_row_opens_under_its_own_salt_name_and_key_alone() {
        let sealed = key(7).one_time(&[1; SALT_BYTES]).seal(b"name", b"row");
        assert_eq!(key(7).open(&[1; SALT_BYTES], b"name", &sealed).unwrap().as_slice(), b"row");
        let wrong = Err(RowError::NotARecord);
        assert_eq!(key(7).open(&[2; SALT_BYTES], b"name", &sealed), wrong);
        assert_eq!(key(7).open(&[1; SALT_BYTES], b"other", &sealed), wrong);
        assert_eq!(key(8).open(&[1; SALT_BYTES], b"name", &sealed), wrong);
    }

    proptest! {
        #[test]
        fn opening_anything_never_panics(salt: Vec<u8>, name: Vec<u8>, sealed: Vec<u8>) {
            prop_assert!(key(7).open(&salt, &name, &sealed).is_err());
        }
    }

    #[test]
    fn changed_at_random_a_sealed_row_opens_only_as_it_was() {
        let seal = |row: &[u8]| key(7).one_time(&[1; SALT_BYTES]).seal(b"name", row);
        each_case(&[seal(b""), seal(b"row"), seal(&[7; 100])], |sealed| {
            let row = key(7).open(&[1; SALT_BYTES], b"name", sealed).ok();
            Reading::again(row, |row| seal(&row))
        });
    }
}
