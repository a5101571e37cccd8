//! Whole conversations in and out: what backups and exports read, and what they bring back.

use rusqlite::{Transaction, params};

use super::{Store, StoreError, begin, put};
use crate::engine::id::ContactId;
use crate::engine::node::record::{MessageRecord, Record};

/// What is brought to a store.
#[derive(Clone, Debug, PartialEq)]
pub enum Brought {
    /// A record; messages stand in the order of their conversation.
    Record(Record),
    /// How many of a contact's last messages are unread, once all of them were brought.
    Unread(ContactId, u64),
}

impl Store {
    /// Hands every message to `each`, shown or not: of one conversation or of all, in their order.
    ///
    /// # Errors
    ///
    /// What `each` says, or [`StoreError::Damaged`] if one cannot be read.
    pub fn each_message<E: From<StoreError>>(
        &self,
        contact: Option<ContactId>,
        mut each: impl FnMut(MessageRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self
            .connection
            .prepare(
                "SELECT bytes, value, id FROM message LEFT JOIN salt ON slot = salt
                 WHERE ?1 IS NULL OR contact = ?1 ORDER BY place",
            )
            .map_err(StoreError::from)?;
        let contact = contact.map(|contact| contact.0.cast_signed());
        let mut rows = statement.query([contact]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            each(self.message_in(row)?)?;
        }
        Ok(())
    }

    /// Takes all of this over, or none of it if one is an error. Durable when this returns.
    ///
    /// # Errors
    ///
    /// The first error among `rows`, or what kept them from being stored.
    pub fn take_over<E: From<StoreError>>(
        &mut self,
        rows: impl Iterator<Item = Result<Brought, E>>,
    ) -> Result<(), E> {
        let transaction = begin(&mut self.connection)?;
        for row in rows {
            match row? {
                Brought::Record(record) => put(&transaction, &self.rows, &record)?,
                Brought::Unread(contact, count) => leave_unread(&transaction, contact, count)?,
            }
        }
        transaction.commit().map_err(StoreError::from)?;
        Ok(())
    }
}

/// Takes all but the last `count` of a contact's messages as read.
fn leave_unread(
    transaction: &Transaction<'_>,
    contact: ContactId,
    count: u64,
) -> Result<(), StoreError> {
    transaction.execute(
        "UPDATE read_mark SET place = COALESCE((
             SELECT place FROM message WHERE contact = ?1 AND author = 1 AND open = 0
             ORDER BY place DESC LIMIT 1 OFFSET ?2
         ), 0) WHERE contact = ?1",
        params![contact.0.cast_signed(), i64::try_from(count).unwrap_or(i64::MAX)],
    )?;
    Ok(())
}
