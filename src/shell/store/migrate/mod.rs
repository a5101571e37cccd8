//! Rows of former store versions, brought to the current form.
//!
//! Their shapes are written down in a chapter for each version, so that records may change without
//! taking old homes with them. Each chapter leads to the next one: a field that is added is filled
//! in at one place, in the last of them. Nothing here is used by a database that is of the current
//! version.

mod version1;
mod version2;

use rusqlite::types::Value;
use rusqlite::{Transaction, params};
use zeroize::Zeroizing;

use super::codec::{self, RowError};
use super::sealed::RowKey;
use super::{StoreError, seal};
use crate::engine::id::MessageId;
use crate::engine::record::{Record, RecordKey};

/// The form in which a former version of the store wrote its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OldLayout {
    /// Version 1: in the clear, with a checksum at their end.
    Plain,
    /// Version 2: sealed, as they are today.
    Sealed,
}

/// Writes every row that is kept in its current shape, sealed, and drops the others.
///
/// # Errors
///
/// [`StoreError::Damaged`] if a row cannot be read. The transaction must not be committed then.
pub(super) fn rewrite(
    transaction: &Transaction<'_>,
    key: &RowKey,
    former: OldLayout,
) -> Result<(), StoreError> {
    for table in [RowTable::Records, RowTable::Messages] {
        let mut names = transaction.prepare(table.names())?;
        // All names first: writing to a table while a query reads it may give rows twice.
        let names: Vec<Value> =
            names.query_map([], |row| row.get(0))?.collect::<Result<_, rusqlite::Error>>()?;
        for name in names {
            let row = OldRow { table, name: &name };
            match row.read(transaction, key, former)? {
                Some(record) => row.write(transaction, &seal(transaction, key, &record)?)?,
                None => row.drop(transaction)?,
            }
        }
    }
    Ok(())
}

/// The tables with rows that are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowTable {
    Records,
    Messages,
}

impl RowTable {
    const fn names(self) -> &'static str {
        match self {
            Self::Records => "SELECT key FROM record",
            Self::Messages => "SELECT id FROM message",
        }
    }

    const fn row(self) -> &'static str {
        match self {
            Self::Records => {
                "SELECT value, bytes FROM record LEFT JOIN salt ON slot = salt WHERE key = ?1"
            }
            Self::Messages => {
                "SELECT value, bytes FROM message LEFT JOIN salt ON slot = salt WHERE id = ?1"
            }
        }
    }

    const fn replacement(self) -> &'static str {
        match self {
            Self::Records => "UPDATE record SET salt = ?2, value = ?3 WHERE key = ?1",
            Self::Messages => "UPDATE message SET salt = ?2, value = ?3 WHERE id = ?1",
        }
    }
}

/// One row, by the column that names it.
#[derive(Clone, Copy)]
struct OldRow<'a> {
    table: RowTable,
    name: &'a Value,
}

impl OldRow<'_> {
    /// The row's record in its current shape, if it is of a kind that is kept.
    fn read(
        self,
        transaction: &Transaction<'_>,
        key: &RowKey,
        former: OldLayout,
    ) -> Result<Option<Record>, StoreError> {
        let columns = |row: &rusqlite::Row<'_>| {
            Ok((row.get(0).map(Zeroizing::new)?, row.get::<_, Option<Vec<u8>>>(1)?))
        };
        let (value, salt): (Zeroizing<Vec<u8>>, _) =
            transaction.prepare(self.table.row())?.query_row([self.name], columns)?;
        let record = match former {
            OldLayout::Plain => version1::read(&value)?,
            OldLayout::Sealed => {
                // Sealed with the row key of today, which is derived from the database's key.
                let salt = salt.ok_or(StoreError::Damaged)?;
                let row = key.open(&salt, &self.sealed_as()?, &value)?;
                Some(version2::read(&row)?)
            }
        };
        Ok(record.map(Record::from))
    }

    /// The name the row is sealed under.
    fn sealed_as(self) -> Result<Vec<u8>, StoreError> {
        match self.name {
            Value::Integer(id) => {
                Ok(codec::encode_key(&RecordKey::Message(MessageId(id.cast_unsigned())))?)
            }
            Value::Blob(key) => Ok(key.clone()),
            // The schema is strict and has no such names: the file is damaged.
            Value::Null | Value::Real(_) | Value::Text(_) => Err(RowError::NotARecord.into()),
        }
    }

    fn write(
        self,
        transaction: &Transaction<'_>,
        sealed: &super::sealed::SealedRow,
    ) -> Result<(), StoreError> {
        transaction.prepare(self.table.replacement())?.execute(params![
            self.name,
            sealed.slot,
            sealed.value
        ])?;
        Ok(())
    }

    fn drop(self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        match self.table {
            RowTable::Records => {
                transaction.execute("DELETE FROM record WHERE key = ?1", [self.name])?
            }
            // No version kept a message that a later one drops.
            RowTable::Messages => return Err(StoreError::Damaged),
        };
        Ok(())
    }
}
