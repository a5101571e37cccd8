//! The history: messages in their conversations, and the read mark of each conversation.
//!
//! A message of ours has its place in the conversation from when it was accepted, one of the
//! contact's from when it was shown. A buffered one, which waits for those before it, counts as
//! without a place: it is in no page and is not unread.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Params, params};

use super::sealed::{RowKey, SealedRow};
use super::{StoreError, record_in};
use crate::engine::env::UnixSeconds;
use crate::engine::id::{ContactId, IdPrefix, MessageId};
use crate::engine::record::{MessageRecord, Record, StoredDirection};

/// The messages of a store. Its public methods read; the store alone writes.
#[derive(Clone, Copy)]
pub struct MessageTable<'a> {
    connection: &'a Connection,
    key: &'a RowKey,
}

impl<'a> MessageTable<'a> {
    /// The messages of a database, inside a transaction or not.
    pub(super) const fn of(connection: &'a Connection, key: &'a RowKey) -> Self {
        Self { connection, key }
    }

    /// The last messages of a conversation, or the last before `before`: at most `limit` and never
    /// more than [`MAX_PAGE`], the newest at the end.
    ///
    /// The page before a message that is not there is empty.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if one of them cannot be read.
    pub fn page(
        self,
        contact: ContactId,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<MessageRecord>, StoreError> {
        let end = self.end(before)?;
        let limit = i64::try_from(limit.min(MAX_PAGE)).unwrap_or(0);
        let mut page = self.select(
            "SELECT bytes, value, id FROM message LEFT JOIN salt ON slot = salt
             WHERE contact = ?1 AND place < ?2 AND NOT (author = 1 AND open = 1)
             ORDER BY place DESC LIMIT ?3",
            params![contact.0.cast_signed(), end, limit],
        )?;
        page.reverse();
        Ok(page)
    }

    /// The first messages of a conversation, or the first after `after`: at most `limit` and never
    /// more than [`MAX_PAGE`], the newest at the end.
    ///
    /// The page after a message that is not there is empty.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if one of them cannot be read.
    pub fn page_after(
        self,
        contact: ContactId,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<MessageRecord>, StoreError> {
        let begin = match after {
            None => i64::MIN,
            Some(message) => match self.place(message)? {
                Some(place) => place,
                None => return Ok(Vec::new()),
            },
        };
        let limit = i64::try_from(limit.min(MAX_PAGE)).unwrap_or(0);
        self.select(
            "SELECT bytes, value, id FROM message LEFT JOIN salt ON slot = salt
             WHERE contact = ?1 AND place > ?2 AND NOT (author = 1 AND open = 1)
             ORDER BY place LIMIT ?3",
            params![contact.0.cast_signed(), begin, limit],
        )
    }

    /// One message, shown or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if it cannot be read.
    pub fn get(self, message: MessageId) -> Result<Option<MessageRecord>, StoreError> {
        let found = self.select(
            "SELECT bytes, value, id FROM message LEFT JOIN salt ON slot = salt WHERE id = ?1",
            [message.0.cast_signed()],
        )?;
        Ok(found.into_iter().next())
    }

    /// The messages with ids that begin with these hexadecimal digits, at most two of them: enough
    /// to see that there is one, and that it is the only one. Buffered messages are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if one of them cannot be read.
    pub fn with_prefix(self, prefix: IdPrefix) -> Result<Vec<MessageRecord>, StoreError> {
        let IdPrefix { first, last } = prefix;
        self.select(
            "SELECT bytes, value, id FROM message LEFT JOIN salt ON slot = salt
             WHERE id BETWEEN ?1 AND ?2 AND NOT (author = 1 AND open = 1) LIMIT 2",
            [first.0.cast_signed(), last.0.cast_signed()],
        )
    }

    /// Hands every message to `each`, shown or not: of one conversation or of all, in their order.
    ///
    /// # Errors
    ///
    /// The first error of `each`, or [`StoreError::Damaged`] if a message cannot be read.
    pub fn each<E: From<StoreError>>(
        self,
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

    /// The `messages` that the store does not have, each once.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub fn unknown(self, messages: Vec<MessageRecord>) -> Result<Vec<MessageRecord>, StoreError> {
        // An export may name a message twice, and the store may have it from an earlier import.
        let mut seen = BTreeSet::new();
        let mut unknown = Vec::new();
        for message in messages {
            if seen.insert(message.id) && self.place(message.id)?.is_none() {
                unknown.push(message);
            }
        }
        Ok(unknown)
    }

    /// The number of unread messages of one contact's.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] and the like.
    pub fn unread_of(self, contact: ContactId) -> Result<u64, StoreError> {
        let count: i64 = self.connection.query_row(
            "SELECT COUNT(*) FROM message, read_mark
             WHERE read_mark.contact = ?1 AND message.contact = read_mark.contact
                 AND message.place > read_mark.place AND author = 1 AND open = 0",
            [contact.0.cast_signed()],
            |row| row.get(0),
        )?;
        u64::try_from(count).map_err(|_| StoreError::Damaged)
    }

    /// The number of unread messages of the contact's, for each conversation that has any.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] and the like.
    pub fn unread(self) -> Result<Vec<(ContactId, usize)>, StoreError> {
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

    /// The place before which the messages before `before` stand, or all if there is none.
    pub(super) fn end(self, before: Option<MessageId>) -> Result<i64, StoreError> {
        match before {
            None => Ok(i64::MAX),
            // An erased message has no page before it: the newest page in its stead would repeat
            // messages that were read already.
            Some(message) => Ok(self.place(message)?.unwrap_or(i64::MIN)),
        }
    }

    /// The place of a message among all.
    pub(super) fn place(self, message: MessageId) -> Result<Option<i64>, StoreError> {
        let query = "SELECT place FROM message WHERE id = ?1";
        let id = message.0.cast_signed();
        Ok(self.connection.query_row(query, [id], |row| row.get(0)).optional()?)
    }

    /// The least place, or zero if none is below.
    pub(super) fn least_place(self) -> Result<i64, StoreError> {
        let query = "SELECT MIN(0, COALESCE(MIN(place), 0)) FROM message";
        Ok(self.connection.query_row(query, [], |row| row.get(0))?)
    }

    /// The time at which the first message of a conversation was accepted or arrived.
    pub(super) fn first_shown(self, contact: ContactId) -> Result<Option<UnixSeconds>, StoreError> {
        let first = self.select(
            "SELECT bytes, value, id FROM message LEFT JOIN salt ON slot = salt
             WHERE contact = ?1 AND NOT (author = 1 AND open = 1) ORDER BY place LIMIT 1",
            [contact.0.cast_signed()],
        )?;
        Ok(first.first().map(|message| message.at))
    }

    /// Hands every message that has a place in its conversation to `each`, with that place.
    pub(super) fn each_shown(
        self,
        mut each: impl FnMut(i64, &MessageRecord) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT bytes, value, id, place FROM message LEFT JOIN salt ON slot = salt
             WHERE NOT (author = 1 AND open = 1)",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(row.get(3)?, &self.message_in(row)?)?;
        }
        Ok(())
    }

    /// Refuses a message that may not take the place of the one that is stored, if one is.
    pub(super) fn refuse_backwards(self, message: &MessageRecord) -> Result<(), StoreError> {
        match self.get(message.id)? {
            // The engine has lost track of this message: a delivered one that counts as queued
            // again would be sent twice. Storing nothing stops the node instead.
            Some(stored) if !stored.direction.may_become(message.direction) => {
                Err(StoreError::Backwards)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Writes a message: at its place if it has one in its conversation, at the end if not.
    pub(super) fn put(self, message: &MessageRecord, sealed: &SealedRow) -> Result<(), StoreError> {
        let (id, contact) = (message.id.0.cast_signed(), message.contact.0.cast_signed());
        let (author, open) = columns(message.direction);
        // A buffered message gets its place when it is shown, behind those shown meanwhile. Its row
        // has a place of its arrival, and an update would keep that.
        self.connection
            .execute("DELETE FROM message WHERE id = ?1 AND author = 1 AND open = 1", [id])?;
        self.connection.execute(
            "INSERT INTO message (id, contact, author, open, early, salt, value)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET contact = excluded.contact, author = excluded.author,
                 open = excluded.open, early = excluded.early, salt = excluded.salt,
                 value = excluded.value",
            params![id, contact, author, open, message.early.is_some(), sealed.slot, sealed.value],
        )?;
        // A conversation has a mark from its first shown message on; without one, nothing in it
        // would count as unread. A mark that is there stays.
        if (author, open) == SHOWN {
            self.connection.execute(
                "INSERT OR IGNORE INTO read_mark (contact, place) VALUES (?1, 0)",
                [contact],
            )?;
        }
        Ok(())
    }

    /// Gives a message another place.
    pub(super) fn move_to(self, place: i64, message: MessageId) -> Result<(), StoreError> {
        let id = message.0.cast_signed();
        self.connection.execute("UPDATE message SET place = ?2 WHERE id = ?1", [id, place])?;
        Ok(())
    }

    /// Erases a message, if it is there.
    pub(super) fn erase(self, message: MessageId) -> Result<(), StoreError> {
        let id = message.0.cast_signed();
        self.connection.execute("DELETE FROM message WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Erases every message of a conversation, held ones too.
    pub(super) fn erase_all(self, contact: ContactId) -> Result<(), StoreError> {
        let contact = contact.0.cast_signed();
        self.connection.execute("DELETE FROM message WHERE contact = ?1", [contact])?;
        Ok(())
    }

    /// Marks a conversation as read up to a message of the contact's; returns the same as
    /// [`Store::mark_read`](super::Store::mark_read).
    pub(super) fn mark_read(
        self,
        contact: ContactId,
        message: MessageId,
    ) -> Result<Option<u64>, StoreError> {
        // The mark never goes back. If the message was read already, nothing is written and no disk
        // waited for.
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
    /// come between messages of the latest. Within an epoch messages are shown in the order of
    /// their numbers, so no number of the latest below every unread one can be unread itself. Where
    /// an earlier epoch left low numbers unread this claims less than was read, never more.
    fn last_read_number(self, contact: ContactId) -> Result<Option<u64>, StoreError> {
        let limit = i64::try_from(MAX_UNREAD_LOOKED_AT + 1).unwrap_or(0);
        let unread = self.select(
            "SELECT bytes, value, id FROM message LEFT JOIN salt ON slot = salt
             WHERE contact = ?1 AND author = 1 AND open = 0
                 AND place > (SELECT place FROM read_mark WHERE contact = ?1)
             ORDER BY place LIMIT ?2",
            params![contact.0.cast_signed(), limit],
        )?;
        // The lowest may be beyond the limit, and a receipt must never claim too much. The next
        // receipt covers these messages as well.
        if unread.len() > MAX_UNREAD_LOOKED_AT {
            return Ok(None);
        }
        // Nothing unread covers the whole epoch, and an unread number 0 covers none of it.
        let lowest = unread.iter().filter_map(|message| message.number).min();
        Ok(lowest.map_or(Some(u64::MAX), |lowest| lowest.checked_sub(1)))
    }

    /// Marks all but the last `count` of a contact's messages as read.
    pub(super) fn leave_unread(self, contact: ContactId, count: u64) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE read_mark SET place = COALESCE((
                 SELECT place FROM message WHERE contact = ?1 AND author = 1 AND open = 0
                 ORDER BY place DESC LIMIT 1 OFFSET ?2
             ), 0) WHERE contact = ?1",
            params![contact.0.cast_signed(), i64::try_from(count).unwrap_or(i64::MAX)],
        )?;
        Ok(())
    }

    /// Erases the read mark of a conversation.
    pub(super) fn forget_mark(self, contact: ContactId) -> Result<(), StoreError> {
        let contact = contact.0.cast_signed();
        self.connection.execute("DELETE FROM read_mark WHERE contact = ?1", [contact])?;
        Ok(())
    }

    /// The messages of the rows that a query finds, which have the three columns of [`record_in`].
    fn select(self, query: &str, params: impl Params) -> Result<Vec<MessageRecord>, StoreError> {
        let mut statement = self.connection.prepare(query)?;
        let mut rows = statement.query(params)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(self.message_in(row)?);
        }
        Ok(found)
    }

    /// The message of a row, as [`record_in`] reads it.
    fn message_in(self, row: &rusqlite::Row<'_>) -> Result<MessageRecord, StoreError> {
        match record_in(row, self.key)? {
            Record::Message(message) => Ok(message),
            // Only a faulty program seals another kind under the name of a message.
            Record::Identity(_)
            | Record::Contact(_)
            | Record::Session(_)
            | Record::Request(_)
            | Record::Replay(_)
            | Record::Outgoing(_) => Err(StoreError::Damaged),
        }
    }
}

impl core::fmt::Debug for MessageTable<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { connection: _, key: _ } = self;
        f.write_str("MessageTable")
    }
}

/// The columns `author` and `open` of a message.
const fn columns(direction: StoredDirection) -> (i64, i64) {
    match direction {
        // The engine's own rule of which messages are open, so that `load` gives it all of them.
        // Early ones are found by a column of their own.
        StoredDirection::Outgoing(_) | StoredDirection::AskedAgain => {
            (0, direction.is_open(false) as i64)
        }
        StoredDirection::Delivered | StoredDirection::Buffered { epoch: _ } => {
            (1, direction.is_open(false) as i64)
        }
    }
}

/// The most messages one page of history brings. A guess: several times the tallest terminal.
pub const MAX_PAGE: usize = 1000;

/// With more unread messages than this no receipt is sent for those before them: every one costs a
/// decryption. A guess: ten times what a person reads at one go.
const MAX_UNREAD_LOOKED_AT: usize = 1000;

const SHOWN: (i64, i64) = (1, 0);
