//! Whole conversations in and out: what backups and exports read, and what they bring back.

use std::collections::BTreeSet;

use rusqlite::{Transaction, params};

use super::history::message_in;
use super::{Store, StoreError, begin, put};
use crate::engine::env::UnixSeconds;
use crate::engine::id::ContactId;
use crate::engine::record::{MessageRecord, Record};

/// What is brought to a store.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one is held at a time, and most are records")]
pub enum Imported {
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
            each(message_in(row, &self.rows)?)?;
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
        rows: impl Iterator<Item = Result<Imported, E>>,
    ) -> Result<(), E> {
        let transaction = begin(&mut self.connection)?;
        for row in rows {
            match row? {
                Imported::Record(record) => put(&transaction, &self.rows, &record)?,
                Imported::Unread(contact, count) => leave_unread(&transaction, contact, count)?,
            }
        }
        transaction.commit().map_err(StoreError::from)?;
        // What is searched by is made anew.
        self.index = None;
        Ok(())
    }

    /// Those of `messages` that are not there, each once.
    ///
    /// # Errors
    ///
    /// What kept the store from being read.
    pub fn unknown(&self, messages: Vec<MessageRecord>) -> Result<Vec<MessageRecord>, StoreError> {
        let mut seen = BTreeSet::new();
        let mut unknown = Vec::new();
        for message in messages {
            if seen.insert(message.id) && self.place(message.id)?.is_none() {
                unknown.push(message);
            }
        }
        Ok(unknown)
    }

    /// Adds messages to a conversation, by their times among each other: those from before its first
    /// message go before it and count as read, the rest behind its last. All of them or none. The
    /// engine does not hear of it: it must not be running.
    ///
    /// # Errors
    ///
    /// What kept them from being stored.
    pub fn add_history(
        &mut self,
        contact: ContactId,
        mut messages: Vec<MessageRecord>,
    ) -> Result<(), StoreError> {
        messages.sort_by_key(|message| message.at);
        let first = self.first_shown(contact)?;
        let is_earlier = |message: &&MessageRecord| first.is_none_or(|first| message.at < first);
        let earlier = messages.iter().filter(is_earlier).count();
        let transaction = begin(&mut self.connection)?;
        let least: i64 = transaction.query_row(
            "SELECT MIN(0, COALESCE(MIN(place), 0)) FROM message",
            [],
            |row| row.get(0),
        )?;
        // Below every place that was given: places need not be above zero.
        let start = i64::try_from(earlier).ok().and_then(|count| least.checked_sub(count));
        let mut place = start.ok_or(StoreError::TooLarge)?;
        for message in messages {
            let id = message.id.0.cast_signed();
            put(&transaction, &self.rows, &Record::Message(message))?;
            if place < least {
                transaction.execute("UPDATE message SET place = ?2 WHERE id = ?1", [id, place])?;
                place += 1;
            }
        }
        transaction.commit()?;
        self.index = None;
        Ok(())
    }

    /// When the first message that stands in a conversation was accepted or arrived.
    fn first_shown(&self, contact: ContactId) -> Result<Option<UnixSeconds>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT bytes, value, id FROM message LEFT JOIN salt ON slot = salt
             WHERE contact = ?1 AND NOT (author = 1 AND open = 1) ORDER BY place LIMIT 1",
        )?;
        let mut rows = statement.query([contact.0.cast_signed()])?;
        rows.next()?.map(|row| message_in(row, &self.rows).map(|message| message.at)).transpose()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::id::MessageId;
    use crate::engine::record::Change;
    use crate::shell::store::tests::fixtures::{contact, held, theirs};

    /// Theirs to contact 7, that long after 1970.
    fn at(id: u64, seconds: u64) -> MessageRecord {
        let Record::Message(message) = theirs(id, 7, "said") else { panic!("not a message") };
        MessageRecord { at: UnixSeconds(seconds), ..message }
    }

    /// A store with a contact and these messages of theirs.
    fn store(messages: &[MessageRecord]) -> Store {
        let mut store = Store::in_memory().unwrap();
        let messages = messages.iter().cloned().map(Record::Message);
        let puts: Vec<Change> = [contact(7)].into_iter().chain(messages).map(Change::Put).collect();
        store.commit(&puts).unwrap();
        store
    }

    fn page(store: &Store) -> Vec<u64> {
        let page = store.history(ContactId(7), None, 100).unwrap();
        page.iter().map(|message| message.id.0).collect()
    }

    #[test]
    fn what_is_older_than_a_conversation_goes_before_it_and_is_read() {
        let mut store = store(&[at(10, 100), at(11, 200)]);
        store.add_history(ContactId(7), vec![at(2, 20), at(3, 150), at(1, 10)]).unwrap();
        assert_eq!(page(&store), [1, 2, 10, 11, 3]);
        assert_eq!(store.unread().unwrap(), [(ContactId(7), 3)]);
        store.add_history(ContactId(7), vec![at(0, 5)]).unwrap();
        assert_eq!(page(&store), [0, 1, 2, 10, 11, 3]);
        let before = store.history(ContactId(7), Some(MessageId(2)), 100).unwrap();
        assert_eq!(before.len(), 2);
        assert!(store.history(ContactId(7), Some(MessageId(99)), 100).unwrap().is_empty());
    }

    #[test]
    fn a_conversation_that_was_empty_is_all_read() {
        let mut store = store(&[]);
        store.add_history(ContactId(7), vec![at(2, 20), at(1, 10)]).unwrap();
        assert_eq!(page(&store), [1, 2]);
        assert!(store.unread().unwrap().is_empty());
        store.commit(&[Change::Put(theirs(3, 7, "new"))]).unwrap();
        assert_eq!(page(&store), [1, 2, 3]);
        assert_eq!(store.unread().unwrap(), [(ContactId(7), 1)]);
    }

    #[test]
    fn what_is_there_is_not_taken_again_nor_twice() {
        let store = store(&[at(1, 10)]);
        let unknown = store.unknown(vec![at(1, 10), at(2, 20), at(2, 30)]).unwrap();
        assert_eq!(unknown, [at(2, 20)]);
    }

    #[test]
    fn a_row_that_is_an_error_leaves_a_store_as_it_was() {
        let mut store = store(&[]);
        let rows = [Ok(Imported::Record(held(1, 7))), Err(StoreError::Damaged)];
        assert!(matches!(store.take_over(rows.into_iter()), Err(StoreError::Damaged)));
        assert_eq!(store.load().unwrap(), [contact(7)]);
    }

    #[test]
    fn so_many_of_the_last_are_unread() {
        for count in 0..5 {
            let mut store = store(&[at(1, 10), at(2, 20), at(3, 30)]);
            let row = Imported::Unread(ContactId(7), count);
            store.take_over([Ok::<_, StoreError>(row)].into_iter()).unwrap();
            let unread = store.unread().unwrap().first().map_or(0, |(_, unread)| *unread as u64);
            assert_eq!(unread, count.min(3));
        }
    }
}
