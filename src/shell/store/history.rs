//! What people want to read again: conversations, read marks, and the small tables beside them.
//!
//! A message has a place in its conversation from when it was accepted from us, or shown. One that
//! waits for those before it has none yet: it is in no page and is not unread.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::sealed::{RowKey, SealedRow};
use super::{Store, StoreError, begin, record_in};
use crate::engine::id::{ContactId, IdPrefix, MessageId};
use crate::engine::record::{MessageRecord, Record, StoredDirection};

impl Store {
    /// The last messages of a conversation, or the last before `before`: at most `limit` and never
    /// more than [`MAX_PAGE`], the newest at the end.
    ///
    /// Before a message that is not there, there is nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if one of them cannot be read.
    pub fn history(
        &self,
        contact: ContactId,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<MessageRecord>, StoreError> {
        let end = match before {
            None => i64::MAX,
            Some(message) => self.place(message)?.unwrap_or(i64::MIN),
        };
        let limit = i64::try_from(limit.min(MAX_PAGE)).unwrap_or(0);
        let mut statement = self.connection.prepare(
            "SELECT bytes, value, id FROM message LEFT JOIN salt ON slot = salt
             WHERE contact = ?1 AND place < ?2 AND NOT (author = 1 AND open = 1)
             ORDER BY place DESC LIMIT ?3",
        )?;
        let mut rows = statement.query(params![contact.0.cast_signed(), end, limit])?;
        let mut page = Vec::new();
        while let Some(row) = rows.next()? {
            page.push(message_in(row, &self.rows)?);
        }
        page.reverse();
        Ok(page)
    }

    /// One message, shown or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if it cannot be read.
    pub fn message(&self, message: MessageId) -> Result<Option<MessageRecord>, StoreError> {
        stored(&self.connection, &self.rows, message)
    }

    /// The messages whose ids begin with these hexadecimal digits, at most two of them: whether there
    /// is one, and whether it is the only one. What waits for others before it is not among them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if one of them cannot be read.
    pub fn messages_like(&self, start: IdPrefix) -> Result<Vec<MessageRecord>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT bytes, value, id FROM message LEFT JOIN salt ON slot = salt
             WHERE id BETWEEN ?1 AND ?2 AND NOT (author = 1 AND open = 1) LIMIT 2",
        )?;
        let IdPrefix { first, last } = start;
        let mut rows = statement.query([first.0.cast_signed(), last.0.cast_signed()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(message_in(row, &self.rows)?);
        }
        Ok(found)
    }

    /// Takes a conversation as read up to a message of the contact's. Answers the highest number that
    /// is read for certain in the contact's latest epoch, for a receipt; nothing if none is, or if the
    /// message is not there or was read before.
    ///
    /// # Errors
    ///
    /// What kept it from being stored, and [`StoreError::Damaged`] and the like.
    pub fn mark_read(
        &mut self,
        contact: ContactId,
        message: MessageId,
    ) -> Result<Option<u64>, StoreError> {
        // Nothing is written, and no disk is waited for, when nothing was unread.
        let moved = self.connection.execute(
            "UPDATE read_mark SET place = seen.place
             FROM (SELECT place FROM message
                   WHERE id = ?2 AND contact = ?1 AND author = 1 AND open = 0) AS seen
             WHERE contact = ?1 AND read_mark.place < seen.place",
            [contact.0.cast_signed(), message.0.cast_signed()],
        )?;
        if moved == 0 { Ok(None) } else { self.last_read_number(contact) }
    }

    /// The highest number that is read for certain in the contact's latest epoch: the one below the
    /// lowest that is unread.
    ///
    /// A row does not say to which epoch its number belongs, and the rest of an earlier epoch may
    /// come between messages of the latest. Within an epoch messages are shown in the order of their
    /// numbers, so no number of the latest below every unread one can be unread itself. Where an
    /// earlier epoch left low numbers unread this claims less than was read, never more.
    fn last_read_number(&self, contact: ContactId) -> Result<Option<u64>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT bytes, value, id FROM message LEFT JOIN salt ON slot = salt
             WHERE contact = ?1 AND author = 1 AND open = 0
                 AND place > (SELECT place FROM read_mark WHERE contact = ?1)
             ORDER BY place LIMIT ?2",
        )?;
        let limit = i64::try_from(MAX_UNREAD_LOOKED_AT + 1).unwrap_or(0);
        let mut rows = statement.query(params![contact.0.cast_signed(), limit])?;
        let (mut lowest, mut count) = (None, 0);
        while let Some(row) = rows.next()? {
            let number = message_in(row, &self.rows)?.number;
            lowest = lowest.into_iter().chain(number).min();
            count += 1;
        }
        // The lowest may be among those that were not looked at. The next receipt makes up for it.
        if count > MAX_UNREAD_LOOKED_AT {
            return Ok(None);
        }
        Ok(lowest.map_or(Some(u64::MAX), |lowest| lowest.checked_sub(1)))
    }

    /// How many messages of theirs are unread, for each conversation that has any.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] and the like.
    pub fn unread(&self) -> Result<Vec<(ContactId, usize)>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT contact, count FROM (
                 SELECT contact, (
                     SELECT COUNT(*) FROM message
                     WHERE message.contact = read_mark.contact AND message.place > read_mark.place
                         AND author = 1 AND open = 0
                 ) AS count FROM read_mark
             ) WHERE count > 0 ORDER BY contact",
        )?;
        let mut rows = statement.query([])?;
        let mut unread = Vec::new();
        while let Some(row) = rows.next()? {
            let contact: i64 = row.get(0)?;
            let count: i64 = row.get(1)?;
            let count = usize::try_from(count).map_err(|_| StoreError::Damaged)?;
            unread.push((ContactId(contact.cast_unsigned()), count));
        }
        Ok(unread)
    }

    /// The addresses of neighbours worth dialling first, the newest first, at most [`MAX_PEERS`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] and the like.
    pub fn peers(&self) -> Result<Vec<String>, StoreError> {
        let mut statement =
            self.connection.prepare("SELECT address FROM peer ORDER BY place DESC")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Puts an address before all others, and forgets the oldest beyond [`MAX_PEERS`].
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] beyond [`MAX_TEXT_BYTES`], or what kept it from being stored.
    pub fn remember_peer(&mut self, address: &str) -> Result<(), StoreError> {
        let address = bounded(address)?;
        let transaction = begin(&mut self.connection)?;
        transaction.execute("INSERT OR REPLACE INTO peer (address) VALUES (?1)", [address])?;
        transaction.execute(
            "DELETE FROM peer
             WHERE place NOT IN (SELECT place FROM peer ORDER BY place DESC LIMIT ?1)",
            [i64::try_from(MAX_PEERS).unwrap_or(0)],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Forgets an address, if it was remembered.
    ///
    /// # Errors
    ///
    /// What kept it from being stored.
    pub fn forget_peer(&mut self, address: &str) -> Result<(), StoreError> {
        self.connection.execute("DELETE FROM peer WHERE address = ?1", [address])?;
        Ok(())
    }

    /// What was chosen under a name. The names are the program's own, which bounds their number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] and the like.
    pub fn setting(&self, name: &'static str) -> Result<Option<String>, StoreError> {
        let query = "SELECT value FROM setting WHERE name = ?1";
        Ok(self.connection.query_row(query, [name], |row| row.get(0)).optional()?)
    }

    /// Remembers a choice, in place of the one before.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] beyond [`MAX_TEXT_BYTES`], or what kept it from being stored.
    pub fn set_setting(&mut self, name: &'static str, value: &str) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO setting (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [name, bounded(value)?],
        )?;
        Ok(())
    }

    pub(super) fn place(&self, message: MessageId) -> Result<Option<i64>, StoreError> {
        let query = "SELECT place FROM message WHERE id = ?1";
        let id = message.0.cast_signed();
        Ok(self.connection.query_row(query, [id], |row| row.get(0)).optional()?)
    }
}

/// Refuses a message that may not take the place of the one that is stored, if one is.
pub(super) fn refuse_backwards(
    transaction: &Transaction<'_>,
    key: &RowKey,
    message: &MessageRecord,
) -> Result<(), StoreError> {
    let Some(stored) = stored(transaction, key, message.id)? else { return Ok(()) };
    if stored.direction.may_become(message.direction) { Ok(()) } else { Err(StoreError::Backwards) }
}

fn stored(
    connection: &Connection,
    key: &RowKey,
    message: MessageId,
) -> Result<Option<MessageRecord>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT bytes, value, id FROM message LEFT JOIN salt ON slot = salt WHERE id = ?1",
    )?;
    let mut rows = statement.query([message.0.cast_signed()])?;
    rows.next()?.map(|row| message_in(row, key)).transpose()
}

/// The message of a row, as [`record_in`] reads it.
pub(super) fn message_in(
    row: &rusqlite::Row<'_>,
    key: &RowKey,
) -> Result<MessageRecord, StoreError> {
    match record_in(row, key)? {
        Record::Message(message) => Ok(message),
        Record::Identity(_)
        | Record::Contact(_)
        | Record::Session(_)
        | Record::Request(_)
        | Record::Replay(_)
        | Record::Outgoing(_) => Err(StoreError::Damaged),
    }
}

/// Writes a message: where it is if it has a place in its conversation, at the end if not.
pub(super) fn put(
    transaction: &Transaction<'_>,
    message: &MessageRecord,
    sealed: &SealedRow,
) -> Result<(), StoreError> {
    let (id, contact) = (message.id.0.cast_signed(), message.contact.0.cast_signed());
    let (author, open) = columns(message.direction);
    // What was held gets its place when it is shown, behind what was shown meanwhile.
    transaction.execute("DELETE FROM message WHERE id = ?1 AND author = 1 AND open = 1", [id])?;
    transaction.execute(
        "INSERT INTO message (id, contact, author, open, early, salt, value)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET contact = excluded.contact, author = excluded.author,
             open = excluded.open, early = excluded.early, salt = excluded.salt,
             value = excluded.value",
        params![id, contact, author, open, message.early.is_some(), sealed.slot, sealed.value],
    )?;
    if (author, open) == SHOWN {
        transaction.execute(
            "INSERT OR IGNORE INTO read_mark (contact, place) VALUES (?1, 0)",
            [contact],
        )?;
    }
    Ok(())
}

/// Erases a message, if it is there.
pub(super) fn erase(transaction: &Transaction<'_>, message: MessageId) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM message WHERE id = ?1", [message.0.cast_signed()])?;
    Ok(())
}

/// Erases every message of a conversation, held ones too.
pub(super) fn erase_all(
    transaction: &Transaction<'_>,
    contact: ContactId,
) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM message WHERE contact = ?1", [contact.0.cast_signed()])?;
    Ok(())
}

/// Forgets how far a conversation was read.
pub(super) fn forget_mark(
    transaction: &Transaction<'_>,
    contact: ContactId,
) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM read_mark WHERE contact = ?1", [contact.0.cast_signed()])?;
    Ok(())
}

/// The columns `author` and `open` of a message.
const fn columns(direction: StoredDirection) -> (i64, i64) {
    match direction {
        // The engine's rule of what is not done with. What came early is found by its own column.
        StoredDirection::Outgoing(_) => (0, direction.is_open(false) as i64),
        StoredDirection::Delivered | StoredDirection::Buffered { epoch: _ } => {
            (1, direction.is_open(false) as i64)
        }
    }
}

fn bounded(text: &str) -> Result<&str, StoreError> {
    if text.len() > MAX_TEXT_BYTES { Err(StoreError::TooLarge) } else { Ok(text) }
}

/// The most messages one page of history brings. A guess: several times the tallest terminal.
pub const MAX_PAGE: usize = 1000;

/// Where more messages than this are unread, no receipt is sent for those before them. A guess: ten
/// times what a person reads at one go.
const MAX_UNREAD_LOOKED_AT: usize = 1000;

/// The most neighbours remembered. A guess: enough to find one that is up after a long absence.
pub const MAX_PEERS: usize = 64;

/// The longest address or setting. A guess: multiaddrs in use are below 200 bytes.
pub const MAX_TEXT_BYTES: usize = 1024;

const SHOWN: (i64, i64) = (1, 0);
