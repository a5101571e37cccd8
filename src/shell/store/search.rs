//! Search: the words of what was said, held in memory while a store is open.
//!
//! An index on disk would undo what sealed rows are for. Its pages hold the words of every message,
//! SQLite leaves copies of pages behind when it moves rows, and no salt could make the words of an
//! erased message unreadable there. So there is none: the first search of a process reads all
//! messages once and builds the index in a database of its own that has no file; commits keep it
//! current; it goes with the store.
//!
//! Words are those of Unicode (FTS5, `unicode61`): letters and digits, without regard to case and to
//! most diacritics. Scripts that put nothing between words are found by the beginning of a run.

use rusqlite::{Connection, OptionalExtension, Statement, params};

use super::database;
use super::history::message_in;
use super::{Store, StoreError};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::{Change, MessageRecord, Record, RecordKey, StoredDirection};

/// The words of all messages that were shown or are ours.
pub(super) struct SearchIndex(pub(super) Connection);

impl Store {
    /// The newest messages in which all of these words stand, or those before `before`; the last of
    /// the words may be the beginning of one. In one conversation, or in all. At most `limit` and
    /// never more than [`super::MAX_PAGE`], the newest at the start.
    ///
    /// Without a word nothing is found, and before a message that is not there, nothing either. What
    /// comes after [`MAX_QUERY_CHARACTERS`] is not looked at. The first call takes as long as reading
    /// all messages does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if a message cannot be read, [`StoreError::OutOfMemory`] and the like.
    pub fn search(
        &mut self,
        contact: Option<ContactId>,
        words: &str,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<MessageRecord>, StoreError> {
        let Some(query) = query(words) else { return Ok(Vec::new()) };
        let end = match before {
            None => i64::MAX,
            Some(message) => self.place(message)?.unwrap_or(i64::MIN),
        };
        let index = match self.index.take() {
            Some(index) => index,
            None => self.read_all()?,
        };
        let found = self.index.insert(index).find(contact, &query, end, limit)?;
        // Whatever stands in the index is in the store: both change with each commit.
        found.into_iter().filter_map(|id| self.message(id).transpose()).collect()
    }

    /// Takes what was committed into the index, if there is one.
    pub(super) fn note_for_search(&mut self, changes: &[Change]) {
        let Some(index) = self.index.take() else { return };
        match changes.iter().try_for_each(|change| self.note(&index, change)) {
            Ok(()) => self.index = Some(index),
            // The changes are durable; the next search builds another index.
            Err(error) => tracing::warn!(%error, "what is searched by could not be kept current"),
        }
    }

    fn note(&self, index: &SearchIndex, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Put(Record::Message(message)) => match self.place(message.id)? {
                Some(place) => index.add(place, message),
                // A later change of the same commit erased it.
                None => index.remove(message.id),
            },
            Change::Erase(RecordKey::Message(message)) => index.remove(*message),
            Change::EraseMessages(contact) => index.remove_all(*contact),
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

    fn read_all(&self) -> Result<SearchIndex, StoreError> {
        let mut index = SearchIndex::empty()?;
        let transaction = index.0.transaction()?;
        let mut writer = IndexWriter::of(&transaction)?;
        let mut statement = self.connection.prepare(
            "SELECT bytes, value, id, place FROM message LEFT JOIN salt ON slot = salt
             WHERE NOT (author = 1 AND open = 1)",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            writer.add(row.get(3)?, &message_in(row, &self.rows)?)?;
        }
        drop(writer);
        transaction.commit()?;
        Ok(index)
    }
}

impl SearchIndex {
    fn empty() -> Result<Self, StoreError> {
        let connection = database::blank()?;
        connection.execute_batch(TABLES)?;
        Ok(Self(connection))
    }

    /// Takes a message in that has this place, in place of what was known of it.
    fn add(&self, place: i64, message: &MessageRecord) -> Result<(), StoreError> {
        match message.direction {
            StoredDirection::Buffered { .. } => Ok(()),
            StoredDirection::Outgoing(_) | StoredDirection::Delivered => {
                // A message that moves on says what it said.
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

    fn find(
        &self,
        contact: Option<ContactId>,
        query: &str,
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

/// What was typed as an expression of FTS5 in which nothing is a sign of its language: every word is
/// a quoted string. `None` if there is no word.
fn query(typed: &str) -> Option<String> {
    let typed: String = typed.chars().take(MAX_QUERY_CHARACTERS).collect();
    let quoted: Vec<String> = typed
        // SQLite would take the first NUL for the end.
        .split(|character: char| character.is_whitespace() || character == '\0')
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    if quoted.is_empty() { None } else { Some(quoted.join(" ") + " *") }
}

/// The most of a query that is looked at. A guess: a line of a wide terminal.
pub const MAX_QUERY_CHARACTERS: usize = 256;

/// The words by the place of their message, without the texts; and whose message has which place.
/// Short beginnings, which many words share, are kept apart: joining what all of those words have
/// takes seconds.
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
}
