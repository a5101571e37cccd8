//! The store through its public interface, over several files; here are the helpers they share.

mod changes;
pub(super) mod fixtures;
mod forensics;
mod history;
mod making;
mod migration;
mod search;
mod trouble;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::engine::id::ContactId;
use crate::engine::record::MessageRecord;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
}

/// A home folder with a sealed store, and the files' paths.
struct Home {
    root: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { root: tempfile::tempdir().unwrap() };
        drop(home.create().unwrap());
        home
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("home")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    fn create(&self) -> Result<Store, StoreError> {
        Store::create_at_cost(&self.dir(), &passphrase("right"), KeyCost::LEAST)
    }

    fn open(&self) -> Result<Store, StoreError> {
        Store::open(&self.dir(), &passphrase("right"))
    }

    /// Changes the file and returns the result of opening it.
    fn after(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> StoreError {
        let mut bytes = fs::read(self.file(name)).unwrap();
        change(&mut bytes);
        fs::write(self.file(name), bytes).unwrap();
        self.open().unwrap_err()
    }
}

impl Store {
    /// Refuses all that is put after so many records, as a full disk does.
    pub(in crate::shell) fn refuse_records_after(&self, room: u32) {
        let counted = format!(
            "CREATE TEMP TABLE room (records INTEGER NOT NULL);
             INSERT INTO room VALUES ({room});
             CREATE TEMP TRIGGER no_room BEFORE INSERT ON main.record BEGIN
                 SELECT RAISE(ABORT, 'full') FROM room WHERE records = 0;
                 UPDATE room SET records = records - 1;
             END;"
        );
        self.connection.execute_batch(&counted).unwrap();
    }
}

fn puts(records: &[Record]) -> Vec<Change> {
    records.iter().cloned().map(Change::Put).collect()
}

fn page(store: &Store, contact: u64) -> Vec<u64> {
    ids(&store.messages().page(ContactId(contact), None, 100).unwrap())
}

fn ids(messages: &[MessageRecord]) -> Vec<u64> {
    messages.iter().map(|message| message.id.0).collect()
}
