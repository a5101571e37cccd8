//! Search: an index of the words of messages, held in memory while a store is open.
//!
//! An index on disk would undo the purpose of sealed rows. Its pages would hold the words of every
//! message, SQLite leaves copies of rows behind when it moves them, and no salt could make the
//! words of an erased message unreadable there. So there is none on disk: the first search of a
//! process reads all messages once and builds the index in a database of its own that has no file;
//! commits keep it current; it goes with the store.
//!
//! Words are those of Unicode (FTS5, `unicode61`): letters and digits, without regard to case and
//! to most diacritics. Scripts that put nothing between words are found by the beginning of a run.

use rusqlite::{Connection, OptionalExtension, Statement, params};

use super::StoreError;
use super::database;
use super::history::MessageTable;
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::{Change, MessageRecord, Record, RecordKey, StoredDirection};

/// The words of all messages that were shown or are ours.
pub(super) struct SearchIndex(pub(super) Connection);

/// A search as an expression of FTS5. Every word in it is a quoted string, so no typed word is an
/// operator.
pub(super) struct SearchQuery(String);

impl SearchIndex {
    /// Reads all messages and builds the index of them.
    pub(super) fn of(messages: MessageTable<'_>) -> Result<Self, StoreError> {
        let mut connection = database::blank()?;
        connection.execute_batch(TABLES)?;
        let transaction = connection.transaction()?;
        let mut writer = IndexWriter::of(&transaction)?;
        messages.each_shown(|place, message| writer.add(place, message))?;
        drop(writer);
        transaction.commit()?;
        Ok(Self(connection))
    }

    /// Applies committed changes of messages to the index.
    pub(super) fn update(
        &self,
        messages: MessageTable<'_>,
        changes: &[Change],
    ) -> Result<(), StoreError> {
        changes.iter().try_for_each(|change| self.take_in(messages, change))
    }

    /// The newest messages in which all words stand, below the place `end`: at most `limit` and
    /// never more than [`super::MAX_PAGE`].
    pub(super) fn find(
        &self,
        contact: Option<ContactId>,
        SearchQuery(query): &SearchQuery,
        end: i64,
        limit: usize,
    ) -> Result<Vec<MessageId>, StoreError> {
        let contact = contact.map(|contact| contact.0.cast_signed());
        let limit = i64::try_from(limit.min(super::MAX_PAGE)).unwrap_or(0);
        let mut statement = self.0.prepare(
            "SELECT known.id FROM words JOIN known ON known.place = words.rowid
             WHERE words MATCH ?1 AND words.rowid < ?2 AND (?3 IS NULL OR known.contact = ?3)
             ORDER BY words.rowid DESC LIMIT ?4",
        )?;
        let mut rows = statement.query(params![query, end, contact, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            found.push(MessageId(id.cast_unsigned()));
        }
        Ok(found)
    }

    fn take_in(&self, messages: MessageTable<'_>, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Put(Record::Message(message)) => match messages.place(message.id)? {
                Some(place) => self.add(place, message),
                // A later change of the same commit erased it: the index sees the database after
                // all of them.
                None => self.remove(message.id),
            },
            Change::Erase(RecordKey::Message(message)) => self.remove(*message),
            Change::EraseMessages(contact) => self.remove_all(*contact),
            // Messages alone are searched. Erasing a contact erases its messages by a change of its
            // own.
            Change::Put(
                Record::Identity(_)
                | Record::Contact(_)
                | Record::Session(_)
                | Record::Request(_)
                | Record::Replay(_)
                | Record::Outgoing(_),
            )
            | Change::Erase(
                RecordKey::Identity(_)
                | RecordKey::Contact(_)
                | RecordKey::Session(_)
                | RecordKey::Request(_)
                | RecordKey::Replay(_)
                | RecordKey::Outgoing(_),
            ) => Ok(()),
        }
    }

    /// Adds a message at this place, instead of its former entry if there is one.
    fn add(&self, place: i64, message: &MessageRecord) -> Result<(), StoreError> {
        match message.direction {
            // Not shown yet: a search must not show a text before the conversation does.
            StoredDirection::Buffered { .. } => Ok(()),
            StoredDirection::Outgoing(_)
            | StoredDirection::AskedAgain
            | StoredDirection::Delivered => {
                // Its text never changes. A message of ours is written at each change of its state,
                // and need not be indexed again each time.
                let query = "SELECT 1 FROM known WHERE id = ?1 AND place = ?2";
                let id = message.id.0.cast_signed();
                let known: Option<i64> =
                    self.0.query_row(query, [id, place], |row| row.get(0)).optional()?;
                if known.is_some() {
                    return Ok(());
                }
                self.remove(message.id)?;
                IndexWriter::of(&self.0)?.add(place, message)
            }
        }
    }

    fn remove(&self, message: MessageId) -> Result<(), StoreError> {
        let id = [message.0.cast_signed()];
        let words = "DELETE FROM words WHERE rowid IN (SELECT place FROM known WHERE id = ?1)";
        self.0.execute(words, id)?;
        self.0.execute("DELETE FROM known WHERE id = ?1", id)?;
        Ok(())
    }

    fn remove_all(&self, contact: ContactId) -> Result<(), StoreError> {
        let contact = [contact.0.cast_signed()];
        let words = "DELETE FROM words WHERE rowid IN (SELECT place FROM known WHERE contact = ?1)";
        self.0.execute(words, contact)?;
        self.0.execute("DELETE FROM known WHERE contact = ?1", contact)?;
        Ok(())
    }
}

/// Writes messages into an index. Its statements are made once: under SQLCipher's care for memory
/// making them is most of the cost.
struct IndexWriter<'a> {
    words: Statement<'a>,
    known: Statement<'a>,
}

impl<'a> IndexWriter<'a> {
    fn of(connection: &'a Connection) -> Result<Self, StoreError> {
        Ok(Self {
            words: connection.prepare("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?,
            known: connection
                .prepare("INSERT INTO known (place, id, contact) VALUES (?1, ?2, ?3)")?,
        })
    }

    fn add(&mut self, place: i64, message: &MessageRecord) -> Result<(), StoreError> {
        let (id, contact) = (message.id.0.cast_signed(), message.contact.0.cast_signed());
        self.words.execute(params![place, message.text])?;
        self.known.execute([place, id, contact])?;
        Ok(())
    }
}

impl SearchQuery {
    /// The query for typed text; none if there is no word in it.
    pub(super) fn parse(typed: &str) -> Option<Self> {
        // By characters and not by bytes, so that none is cut in two.
        let typed: String = typed.chars().take(MAX_QUERY_CHARACTERS).collect();
        let quoted: Vec<String> = typed
            // SQLite would take the first NUL for the end of the query.
            .split(|character: char| character.is_whitespace() || character == '\0')
            // A string without any letter or digit has no word for FTS5 to find.
            .filter(|word| word.chars().any(char::is_alphanumeric))
            .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
            .collect();
        if quoted.is_empty() { None } else { Some(Self(quoted.join(" ") + " *")) }
    }
}

/// The longest query; characters after these are ignored. A guess: a line of a wide terminal.
pub const MAX_QUERY_CHARACTERS: usize = 256;

/// The words by the place of their message, without the texts; and the id and contact of the
/// message at each place. Beginnings of 1 to 3 letters, which many words share, have an index of
/// their own: merging the entries of all those words takes seconds.
const TABLES: &str = "
    CREATE VIRTUAL TABLE words USING fts5(
        text, content = '', contentless_delete = 1, prefix = '1 2 3',
        tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TABLE known (
        place INTEGER PRIMARY KEY,
        id INTEGER NOT NULL UNIQUE,
        contact INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX known_contact ON known (contact);
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_slow_text, each_text};
    use crate::shell::store::Store;

    fn query(typed: &str) -> Option<String> {
        SearchQuery::parse(typed).map(|SearchQuery(query)| query)
    }

    #[test]
    fn words_are_quoted_and_the_last_may_go_on() {
        assert_eq!(query("fox  dog").as_deref(), Some("\"fox\" \"dog\" *"));
        assert_eq!(query("a\"b OR\0(c*").as_deref(), Some("\"a\"\"b\" \"OR\" \"(c*\" *"));
        for nothing in ["", "  ", "\"", "- * ( ) ^ :", "\0"] {
            assert_eq!(query(nothing), None, "{nothing:?}");
        }
        let long = query(&"x".repeat(10_000)).unwrap();
        assert_eq!(long.len(), MAX_QUERY_CHARACTERS + "\"\" *".len());
    }

    #[test]
    fn changed_at_random_a_query_has_a_word_and_no_end_before_its_end() {
        each_text(&["fox  dog", "a\"b OR (c*", "\u{fc}ber*"], |typed| {
            let query = query(typed);
            assert!(query.as_ref().is_none_or(|query| query.ends_with("\" *")));
            assert!(query.as_ref().is_none_or(|query| !query.contains('\0')));
            Reading::found(query)
        });
    }

    #[test]
    fn changed_at_random_a_query_is_one_that_the_database_takes() {
        let mut store = Store::in_memory().unwrap();
        each_slow_text(&["fox  dog", "a\"b OR (c*", "NEAR(a, 3) {text}: ^x -y"], |typed| {
            assert!(store.search(None, typed, None, 10).unwrap().is_empty());
            Reading::Taken
        });
    }
}
