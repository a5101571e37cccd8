//! The import of whole conversations from backups and exports.

use rusqlite::Transaction;

use super::history::MessageTable;
use super::sealed::RowKey;
use super::{StoreError, put};
use crate::engine::id::ContactId;
use crate::engine::record::{MessageRecord, Record};

/// One item of an import.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one is held at a time, and most are records")]
pub enum Imported {
    /// A record; messages stand in the order of their conversation.
    Record(Record),
    /// The number of a contact's last messages that are unread, after all of them were imported.
    Unread(ContactId, u64),
}

/// One import into a store: all of it or nothing. The engine must not be running, because it does
/// not learn of imported records.
pub struct Import<'a> {
    transaction: Transaction<'a>,
    key: &'a RowKey,
}

impl<'a> Import<'a> {
    pub(super) const fn of(transaction: Transaction<'a>, key: &'a RowKey) -> Self {
        Self { transaction, key }
    }

    /// Imports all `rows`, or none if one of them is an error. Durable when this returns.
    ///
    /// # Errors
    ///
    /// The first error among `rows`, or that of storing them.
    pub fn take_over<E: From<StoreError>>(
        self,
        rows: impl Iterator<Item = Result<Imported, E>>,
    ) -> Result<(), E> {
        // An error drops the transaction, which undoes all of it: a backup that is damaged in its
        // middle leaves no half of a home.
        for row in rows {
            match row? {
                Imported::Record(record) => put(&self.transaction, self.key, &record)?,
                Imported::Unread(contact, count) => self.messages().leave_unread(contact, count)?,
            }
        }
        self.transaction.commit().map_err(StoreError::from)?;
        Ok(())
    }

    /// Adds messages to a conversation, by their times among each other: those from before its
    /// first message go before it and count as read, the rest behind its last. All of them or none.
    ///
    /// # Errors
    ///
    /// The messages cannot be stored.
    pub fn add_history(
        self,
        contact: ContactId,
        mut messages: Vec<MessageRecord>,
    ) -> Result<(), StoreError> {
        messages.sort_by_key(|message| message.at);
        // An archive of an older time belongs before the conversation, and must not show up as
        // news.
        let first = self.messages().first_shown(contact)?;
        let is_earlier = |message: &&MessageRecord| first.is_none_or(|first| message.at < first);
        let earlier = messages.iter().filter(is_earlier).count();
        let least = self.messages().least_place()?;
        // Below every place that was given: places need not be above zero.
        let start = i64::try_from(earlier).ok().and_then(|count| least.checked_sub(count));
        let mut place = start.ok_or(StoreError::TooLarge)?;
        for message in messages {
            let id = message.id;
            put(&self.transaction, self.key, &Record::Message(message))?;
            // The earlier ones come first by their times, and use up the places below `least`.
            // Marks are never below zero, so a message there counts as read.
            if place < least {
                self.messages().move_to(place, id)?;
                place += 1;
            }
        }
        Ok(self.transaction.commit()?)
    }

    fn messages(&self) -> MessageTable<'_> {
        MessageTable::of(&self.transaction, self.key)
    }
}

impl core::fmt::Debug for Import<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { transaction: _, key: _ } = self;
        f.write_str("Import")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::env::UnixSeconds;
    use crate::engine::id::MessageId;
    use crate::engine::record::Change;
    use crate::shell::store::Store;
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
        let page = store.messages().page(ContactId(7), None, 100).unwrap();
        page.iter().map(|message| message.id.0).collect()
    }

    #[test]
    fn messages_older_than_a_conversation_go_before_it_and_count_as_read() {
        let mut store = store(&[at(10, 100), at(11, 200)]);
        store
            .import()
            .unwrap()
            .add_history(ContactId(7), vec![at(2, 20), at(3, 150), at(1, 10)])
            .unwrap();
        assert_eq!(page(&store), [1, 2, 10, 11, 3]);
        assert_eq!(store.messages().unread().unwrap(), [(ContactId(7), 3)]);
        store.import().unwrap().add_history(ContactId(7), vec![at(0, 5)]).unwrap();
        assert_eq!(page(&store), [0, 1, 2, 10, 11, 3]);
        let before = store.messages().page(ContactId(7), Some(MessageId(2)), 100).unwrap();
        assert_eq!(before.len(), 2);
        assert!(store.messages().page(ContactId(7), Some(MessageId(99)), 100).unwrap().is_empty());
    }

    #[test]
    fn a_conversation_that_was_empty_is_all_read() {
        let mut store = store(&[]);
        store.import().unwrap().add_history(ContactId(7), vec![at(2, 20), at(1, 10)]).unwrap();
        assert_eq!(page(&store), [1, 2]);
        assert!(store.messages().unread().unwrap().is_empty());
        store.commit(&[Change::Put(theirs(3, 7, "new"))]).unwrap();
        assert_eq!(page(&store), [1, 2, 3]);
        assert_eq!(store.messages().unread().unwrap(), [(ContactId(7), 1)]);
    }

    #[test]
    fn a_message_that_is_there_is_not_imported_again() {
        let store = store(&[at(1, 10)]);
        let unknown = store.messages().unknown(vec![at(1, 10), at(2, 20), at(2, 30)]).unwrap();
        assert_eq!(unknown, [at(2, 20)]);
    }

    #[test]
    fn a_row_that_is_an_error_leaves_a_store_as_it_was() {
        let mut store = store(&[]);
        let rows = [Ok(Imported::Record(held(1, 7))), Err(StoreError::Damaged)];
        assert!(matches!(
            store.import().unwrap().take_over(rows.into_iter()),
            Err(StoreError::Damaged)
        ));
        assert_eq!(store.load().unwrap(), [contact(7)]);
    }

    #[test]
    fn an_import_leaves_that_many_of_the_last_messages_unread() {
        for count in 0..5 {
            let mut store = store(&[at(1, 10), at(2, 20), at(3, 30)]);
            let row = Imported::Unread(ContactId(7), count);
            store.import().unwrap().take_over([Ok::<_, StoreError>(row)].into_iter()).unwrap();
            let unread =
                store.messages().unread().unwrap().first().map_or(0, |(_, unread)| *unread as u64);
            assert_eq!(unread, count.min(3));
        }
    }
}
