//! The store through its own door: what is kept, what is found again, what is refused.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::engine::id::{ContactId, MessageId};
use crate::engine::node::output::MessageState;
use crate::engine::node::record::{MessageRecord, RecordSide};

use super::samples::{contact, held, message, ours, outgoing, seen, theirs};

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

    /// Changes the file and says what opening it gives.
    fn after(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> StoreError {
        let mut bytes = fs::read(self.file(name)).unwrap();
        change(&mut bytes);
        fs::write(self.file(name), bytes).unwrap();
        self.open().unwrap_err()
    }
}

fn puts(records: &[Record]) -> Vec<Change> {
    records.iter().cloned().map(Change::Put).collect()
}

fn page(store: &Store, contact: u64) -> Vec<u64> {
    ids(&store.history(ContactId(contact), None, 100).unwrap())
}

fn ids(messages: &[MessageRecord]) -> Vec<u64> {
    messages.iter().map(|message| message.id.0).collect()
}

// --- making and opening ---------------------------------------------------------------------

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let home = Home::new();
    let records = [contact(7), seen(9), ours(3, 7, MessageState::Queued), outgoing(5)];
    let mut store = home.open().unwrap();
    store.commit(&puts(&records)).unwrap();
    store.set_setting("identity", "nightjar").unwrap();
    store.remember_peer("/ip4/192.0.2.1/tcp/4001").unwrap();
    drop(store);

    let store = home.open().unwrap();
    assert_eq!(store.kept(), Kept::Sealed);
    assert_eq!(store.load().unwrap(), [contact(7), seen(9), outgoing(5), records[2].clone()]);
    assert_eq!(store.setting("identity").unwrap().as_deref(), Some("nightjar"));
    assert_eq!(store.peers().unwrap(), ["/ip4/192.0.2.1/tcp/4001"]);
}

#[test]
fn a_store_at_the_standard_cost_opens_with_its_passphrase_and_no_other() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("home");
    drop(Store::create(&dir, &passphrase("right")).unwrap());
    let wrong = Store::open(&dir, &passphrase("wrong"));
    assert!(matches!(wrong, Err(StoreError::WrongPassphrase)));
    assert!(Store::open(&dir, &passphrase("right")).is_ok());
}

#[test]
fn a_store_in_memory_says_so_and_works_the_same() {
    let mut store = Store::in_memory().unwrap();
    assert_eq!(store.kept(), Kept::MemoryOnly);
    store.commit(&puts(&[contact(7), theirs(1, 7, "hi")])).unwrap();
    assert_eq!(store.load().unwrap(), [contact(7)]);
    assert_eq!(page(&store, 7), [1]);
}

#[test]
fn a_store_prints_what_it_keeps_and_nothing_of_it() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[theirs(1, 7, "hi")])).unwrap();
    assert_eq!(format!("{store:?}"), "Store { kept: MemoryOnly, .. }");
}

#[test]
fn there_is_one_store_in_a_home_folder() {
    let home = Home::new();
    assert!(Store::exists(&home.dir()));
    assert!(matches!(home.create(), Err(StoreError::Exists)));
    let elsewhere = home.root.path().join("elsewhere");
    assert!(!Store::exists(&elsewhere));
    let none = Store::open(&elsewhere, &passphrase("right"));
    assert!(matches!(none, Err(StoreError::Missing)));
    assert!(!elsewhere.exists());
}

#[test]
fn one_process_uses_a_home_folder_at_a_time() {
    let home = Home::new();
    let store = home.open().unwrap();
    assert!(matches!(home.open(), Err(StoreError::InUse)));
    let changed = Store::change_passphrase(&home.dir(), &passphrase("right"), &passphrase("new"));
    assert!(matches!(changed, Err(StoreError::InUse)));
    drop(store);
    assert!(home.open().is_ok());
}

#[test]
fn every_file_is_for_its_owner_alone() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store.commit(&puts(&[contact(7)])).unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(home.dir()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o7777, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["key", "lock", "store.db", "store.db-journal"]);
    assert_eq!(fs::metadata(home.dir()).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn a_home_folder_or_a_file_others_can_read_is_refused() {
    let home = Home::new();
    for (name, narrow) in [("", 0o700), ("key", 0o600), ("store.db", 0o600), ("lock", 0o600)] {
        let path = home.file(name);
        fs::set_permissions(&path, Permissions::from_mode(narrow | 0o040)).unwrap();
        let error = home.open().unwrap_err();
        let StoreError::UnsafeMode(found) = error else { panic!("{name}: {error}") };
        assert_eq!((found.mode, found.needed), (narrow | 0o040, narrow));
        fs::set_permissions(&path, Permissions::from_mode(narrow)).unwrap();
    }
    assert!(home.open().is_ok());
}

#[test]
fn a_home_folder_behind_a_link_opens() {
    let home = Home::new();
    let link = home.root.path().join("link");
    std::os::unix::fs::symlink(home.dir(), &link).unwrap();
    assert!(Store::open(&link, &passphrase("right")).is_ok());
}

#[test]
fn a_link_in_place_of_the_database_is_not_followed() {
    let home = Home::new();
    fs::rename(home.file("store.db"), home.root.path().join("moved")).unwrap();
    std::os::unix::fs::symlink(home.root.path().join("moved"), home.file("store.db")).unwrap();
    assert!(matches!(home.open(), Err(StoreError::Foreign)));
}

// --- interrupted, damaged, foreign, newer ----------------------------------------------------

#[test]
fn a_making_that_ended_between_key_and_database_is_a_whole_empty_store() {
    let home = Home::new();
    fs::remove_file(home.file("store.db")).unwrap();
    fs::write(home.file("store.db.new"), "half of a database").unwrap();
    fs::write(home.file("store.db.new-journal"), "half of a journal").unwrap();
    fs::write(home.file("key.new"), "half of a key file").unwrap();
    let store = home.open().unwrap();
    assert_eq!(store.load().unwrap(), []);
    assert!(!home.file("store.db.new").exists());
}

#[test]
fn a_making_that_ended_before_the_key_was_there_left_nothing() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("home");
    home::prepare(&dir).unwrap();
    fs::write(dir.join("key.new"), "half of a key file").unwrap();
    assert!(!Store::exists(&dir));
    assert!(Store::create_at_cost(&dir, &passphrase("right"), KeyCost::LEAST).is_ok());
}

#[test]
fn a_database_without_its_key_file_is_told_and_kept() {
    let home = Home::new();
    fs::rename(home.file("key"), home.file("elsewhere")).unwrap();
    assert!(matches!(home.open(), Err(StoreError::KeyMissing)));
    assert!(matches!(home.create(), Err(StoreError::Exists)));
    fs::rename(home.file("elsewhere"), home.file("key")).unwrap();
    assert!(home.open().is_ok());
}

#[test]
fn a_key_file_that_is_damaged_foreign_or_newer_is_told_from_a_wrong_passphrase() {
    let damaged = Home::new().after("key", |bytes| bytes[50] ^= 1);
    assert!(matches!(damaged, StoreError::Damaged));
    let foreign = Home::new().after("key", |bytes| bytes[0] ^= 1);
    assert!(matches!(foreign, StoreError::Foreign));
    let newer = Home::new().after("key", |bytes| bytes[8] = 2);
    assert!(matches!(newer, StoreError::Newer));
}

#[test]
fn a_damaged_database_is_told() {
    let changed = Home::new().after("store.db", |bytes| bytes[100] ^= 1);
    assert!(matches!(changed, StoreError::Damaged), "{changed:?}");
    let cut = Home::new().after("store.db", |bytes| bytes.truncate(5000));
    assert!(matches!(cut, StoreError::Damaged), "{cut:?}");
    let empty = Home::new().after("store.db", Vec::clear);
    assert!(matches!(empty, StoreError::Damaged), "{empty:?}");
    let noise = Home::new().after("store.db", |bytes| bytes.fill(b'x'));
    assert!(matches!(noise, StoreError::Damaged), "{noise:?}");
}

#[test]
fn a_damaged_page_in_the_middle_is_never_read_as_something_else() {
    let home = Home::new();
    let long = "x".repeat(20_000);
    home.open().unwrap().commit(&puts(&[ours(1, 7, MessageState::Queued), contact(7)])).unwrap();
    let long = message(2, 7, RecordSide::Ours(MessageState::Queued), &long);
    home.open().unwrap().commit(&puts(&[long])).unwrap();
    let clean = fs::read(home.file("store.db")).unwrap();
    let whole = home.open().unwrap().load().unwrap();
    let mut refused = 0;
    for page in 0..clean.len() / 4096 {
        let mut bytes = clean.clone();
        bytes[page * 4096 + 2000] ^= 1;
        fs::write(home.file("store.db"), bytes).unwrap();
        match home.open().and_then(|store| store.load()) {
            Ok(records) => assert_eq!(records, whole, "page {page}"),
            Err(error) => {
                assert!(matches!(error, StoreError::Damaged), "page {page}: {error:?}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 7, "the long message alone fills five pages: {refused}");
}

#[test]
fn a_database_nobody_encrypted_is_foreign() {
    let home = Home::new();
    fs::remove_file(home.file("store.db")).unwrap();
    let plain = Connection::open(home.file("store.db")).unwrap();
    plain.execute_batch("CREATE TABLE other (x)").unwrap();
    drop(plain);
    fs::set_permissions(home.file("store.db"), Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(home.open(), Err(StoreError::Foreign)));
}

#[test]
fn a_database_of_another_program_or_a_newer_version_is_told() {
    for (pragma, value) in [("application_id", 1), ("user_version", 1000), ("user_version", 0)] {
        let home = Home::new();
        let store = home.open().unwrap();
        store.connection.pragma_update(None, pragma, value).unwrap();
        drop(store);
        let error = home.open().unwrap_err();
        match (pragma, value) {
            ("application_id", _) => assert!(matches!(error, StoreError::Foreign)),
            (_, 0) => assert!(matches!(error, StoreError::Damaged)),
            _ => assert!(matches!(error, StoreError::Newer)),
        }
    }
}

// --- what is on disk -------------------------------------------------------------------------

#[test]
fn nothing_that_was_written_can_be_found_on_disk() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store.commit(&puts(&[theirs(1, 7, "the quick brown fox"), contact(7)])).unwrap();
    store.set_setting("identity", "the quick brown fox").unwrap();
    // A transaction that is open leaves its journal to be looked at.
    let transaction = store.transaction().unwrap();
    transaction.execute("UPDATE message SET open = 1", []).unwrap();
    for name in ["key", "store.db", "store.db-journal"] {
        let bytes = fs::read(home.file(name)).unwrap();
        for needle in [&b"the quick"[..], b"mira", b"SQLite", b"CREATE TABLE", b"right"] {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{name} shows {}", String::from_utf8_lossy(needle));
        }
    }
    let bytes = fs::read(home.file("store.db")).unwrap();
    assert!(bytes.len() >= 4096);
    // Of 4,096 ciphertext bytes each value is expected 16 times; 8 bits of entropy short of noise.
    let mut counts = BTreeMap::new();
    bytes[..4096].iter().for_each(|byte| *counts.entry(byte).or_insert(0) += 1);
    assert!(counts.values().all(|count| *count < 50));
}

/// Whether a database in the clear, or its journal, still shows a text after it was erased.
fn shows_what_was_erased(prepare: impl FnOnce(&Connection), erase: &[Change]) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let connection = database::in_the_clear(&dir.path().join("db"));
    prepare(&connection);
    let mut store = Store { connection, lock: None };
    let shown = |name: &str| {
        let bytes = fs::read(dir.path().join(name)).unwrap();
        bytes.windows(9).any(|window| window == b"the quick")
    };
    let text = "the quick brown fox".repeat(1000);
    store.commit(&puts(&[theirs(1, 7, &text), theirs(2, 7, "the quick one")])).unwrap();
    assert!(shown("db"));
    store.commit(erase).unwrap();
    assert_eq!(page(&store, 7), []);
    shown("db") || shown("db-journal")
}

#[test]
fn what_was_erased_is_overwritten() {
    let one_by_one = [1, 2].map(|id| Change::Erase(Key::Message(MessageId(id))));
    let at_once = [Change::EraseMessages(ContactId(7))];
    assert!(!shows_what_was_erased(|_| {}, &one_by_one));
    assert!(!shows_what_was_erased(|_| {}, &at_once));
    // It is the setting that does it.
    let careless = |connection: &Connection| {
        connection.pragma_update(None, "secure_delete", "OFF").unwrap();
    };
    assert!(shows_what_was_erased(careless, &one_by_one));
}

// --- the passphrase --------------------------------------------------------------------------

#[test]
fn a_changed_passphrase_opens_the_same_store_and_the_old_one_does_not() {
    let home = Home::new();
    home.open().unwrap().commit(&puts(&[contact(7)])).unwrap();
    let (old, new) = (passphrase("right"), passphrase("new"));
    let before = fs::read(home.file("key")).unwrap();

    let wrong = Store::change_passphrase_at_cost(&home.dir(), &new, &new, KeyCost::LEAST);
    assert!(matches!(wrong, Err(StoreError::WrongPassphrase)));
    assert_eq!(fs::read(home.file("key")).unwrap(), before);

    Store::change_passphrase_at_cost(&home.dir(), &old, &new, KeyCost::LEAST).unwrap();
    assert!(matches!(home.open(), Err(StoreError::WrongPassphrase)));
    assert_eq!(Store::open(&home.dir(), &new).unwrap().load().unwrap(), [contact(7)]);
}

#[test]
fn two_stores_of_one_passphrase_share_nothing() {
    let (one, two) = (Home::new(), Home::new());
    let keys = [fs::read(one.file("key")).unwrap(), fs::read(two.file("key")).unwrap()];
    assert_ne!(keys[0][22..38], keys[1][22..38]);
    fs::copy(one.file("key"), two.file("key")).unwrap();
    assert!(matches!(two.open(), Err(StoreError::Damaged)));
}

// --- changes ---------------------------------------------------------------------------------

#[test]
fn a_record_replaces_the_one_with_its_key_and_erasing_it_leaves_the_others() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[contact(7), contact(8)])).unwrap();
    let Record::Contact(mut renamed) = contact(7) else { panic!("another kind") };
    renamed.petname = "mirko".to_owned();
    let renamed = Record::Contact(renamed);
    store.commit(&puts(std::slice::from_ref(&renamed))).unwrap();
    assert_eq!(store.load().unwrap(), [renamed, contact(8)]);
    store.commit(&[Change::Erase(contact(7).key()), Change::Erase(seen(1).key())]).unwrap();
    assert_eq!(store.load().unwrap(), [contact(8)]);
}

#[test]
fn changes_take_effect_in_their_order() {
    let mut store = Store::in_memory().unwrap();
    let (put, erase) = (Change::Put(contact(7)), Change::Erase(contact(7).key()));
    store.commit(&[put.clone(), erase.clone()]).unwrap();
    assert_eq!(store.load().unwrap(), []);
    store.commit(&[erase, put]).unwrap();
    assert_eq!(store.load().unwrap(), [contact(7)]);
}

#[test]
fn messages_that_are_history_alone_are_not_loaded() {
    let mut store = Store::in_memory().unwrap();
    for (id, state) in (0..).zip(samples::STATES) {
        store.commit(&puts(&[ours(id, 7, state)])).unwrap();
    }
    store.commit(&puts(&[theirs(10, 7, "hi"), held(11, 7)])).unwrap();
    let loaded: Vec<Key> = store.load().unwrap().iter().map(Record::key).collect();
    let open = [0, 1, 2, 11].map(|id| Key::Message(MessageId(id)));
    assert_eq!(loaded, open);
}

#[test]
fn when_one_change_cannot_be_made_none_is() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[contact(7)])).unwrap();
    let too_large = theirs(2, 7, &"x".repeat(rows::MAX_RECORD_BYTES));
    let changes =
        [Change::Erase(contact(7).key()), Change::Put(theirs(1, 7, "hi")), Change::Put(too_large)];
    assert!(matches!(store.commit(&changes), Err(StoreError::TooLarge)));
    assert_eq!(store.load().unwrap(), [contact(7)]);
    assert_eq!(page(&store, 7), []);
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store.commit(&puts(&[contact(7), theirs(1, 7, "before")])).unwrap();
    let pages: i64 = store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    store.connection.pragma_update(None, "max_page_count", pages).unwrap();
    let long = theirs(2, 7, &"x".repeat(100_000));
    let changes = [Change::Erase(contact(7).key()), Change::Put(long.clone())];
    assert!(matches!(store.commit(&changes), Err(StoreError::DiskFull)));
    assert_eq!(store.load().unwrap(), [contact(7)]);
    // When there is room again, the same store goes on.
    store.connection.pragma_update(None, "max_page_count", pages + 1000).unwrap();
    store.commit(&[Change::Put(long)]).unwrap();
    drop(store);
    assert_eq!(page(&home.open().unwrap(), 7), [1, 2]);
}

#[test]
fn a_database_that_cannot_be_written_is_told() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store.connection.pragma_update(None, "query_only", 1).unwrap();
    assert!(matches!(store.commit(&puts(&[contact(7)])), Err(StoreError::ReadOnly)));
    assert_eq!(store.load().unwrap(), []);
}

// --- history ---------------------------------------------------------------------------------

#[test]
fn history_is_told_in_pages_of_one_conversation_with_the_newest_at_the_end() {
    let mut store = Store::in_memory().unwrap();
    for id in 1..=10 {
        store.commit(&puts(&[theirs(id, 7, "hi"), ours(id + 100, 8, MessageState::Sent)])).unwrap();
    }
    let page = |before: Option<u64>, limit| {
        ids(&store.history(ContactId(7), before.map(MessageId), limit).unwrap())
    };
    assert_eq!(page(None, 3), [8, 9, 10]);
    assert_eq!(page(Some(8), 3), [5, 6, 7]);
    assert_eq!(page(Some(2), 3), [1]);
    assert_eq!(page(Some(1), 3), []);
    assert_eq!(page(Some(999), 3), []);
    assert_eq!(page(None, 0), []);
    assert_eq!(page(None, usize::MAX).len(), 10);
    assert_eq!(store.history(ContactId(9), None, 3).unwrap(), []);
}

#[test]
fn a_message_that_changes_keeps_its_place() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[ours(1, 7, MessageState::Queued), theirs(2, 7, "hi")])).unwrap();
    for state in [MessageState::Failed, MessageState::Queued, MessageState::Sent] {
        store.commit(&puts(&[ours(1, 7, state)])).unwrap();
        assert_eq!(page(&store, 7), [1, 2]);
        let stored = store.message(MessageId(1)).unwrap().unwrap();
        assert_eq!(stored.side, RecordSide::Ours(state));
    }
}

#[test]
fn a_held_message_is_in_no_page_and_comes_last_when_it_is_shown() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[held(2, 7), theirs(1, 7, "first")])).unwrap();
    assert_eq!(page(&store, 7), [1]);
    assert!(store.message(MessageId(2)).unwrap().is_some());
    store.commit(&puts(&[held(2, 7)])).unwrap();
    store.commit(&puts(&[theirs(2, 7, "waits")])).unwrap();
    assert_eq!(page(&store, 7), [1, 2]);
}

#[test]
fn erasing_a_conversation_erases_all_of_it_and_nothing_else() {
    let mut store = Store::in_memory().unwrap();
    let kept = [contact(7), theirs(4, 8, "other"), held(5, 8)];
    store.commit(&puts(&[theirs(1, 7, "a"), ours(2, 7, MessageState::Sent), held(3, 7)])).unwrap();
    store.commit(&puts(&kept)).unwrap();
    store.commit(&[Change::EraseMessages(ContactId(7))]).unwrap();
    assert_eq!(page(&store, 7), []);
    assert_eq!(store.message(MessageId(3)).unwrap(), None);
    assert_eq!(page(&store, 8), [4]);
    assert_eq!(store.load().unwrap(), [contact(7), held(5, 8)]);
    assert_eq!(store.unread().unwrap(), [(ContactId(8), 1)]);
}

#[test]
fn unread_counts_what_was_shown_since_the_conversation_was_read() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[theirs(1, 7, "a"), theirs(2, 8, "b"), held(3, 7)])).unwrap();
    store.commit(&puts(&[ours(4, 7, MessageState::Delivered)])).unwrap();
    assert_eq!(store.unread().unwrap(), [(ContactId(7), 1), (ContactId(8), 1)]);
    store.mark_read(ContactId(7)).unwrap();
    store.mark_read(ContactId(9)).unwrap();
    assert_eq!(store.unread().unwrap(), [(ContactId(8), 1)]);
    // What was held when the rest was read is unread from when it is shown.
    store.commit(&puts(&[theirs(3, 7, "c")])).unwrap();
    assert_eq!(store.unread().unwrap(), [(ContactId(7), 1), (ContactId(8), 1)]);
    store.commit(&[Change::EraseMessages(ContactId(7))]).unwrap();
    assert_eq!(store.unread().unwrap(), [(ContactId(8), 1)]);
    // Places are never used twice: what comes after an erasure is not taken as read.
    store.commit(&puts(&[theirs(5, 7, "d")])).unwrap();
    assert_eq!(store.unread().unwrap(), [(ContactId(7), 1), (ContactId(8), 1)]);
    store.commit(&[Change::Erase(Key::Contact(ContactId(8)))]).unwrap();
    assert_eq!(store.unread().unwrap(), [(ContactId(7), 1)]);
}

// --- neighbours and settings -----------------------------------------------------------------

#[test]
fn neighbours_are_remembered_newest_first_up_to_a_bound() {
    let mut store = Store::in_memory().unwrap();
    for port in 0..MAX_PEERS + 5 {
        store.remember_peer(&format!("/ip4/192.0.2.1/tcp/{port}")).unwrap();
    }
    let newest = format!("/ip4/192.0.2.1/tcp/{}", MAX_PEERS + 4);
    assert_eq!(store.peers().unwrap().len(), MAX_PEERS);
    assert_eq!(store.peers().unwrap()[0], newest);
    store.remember_peer("/ip4/192.0.2.1/tcp/10").unwrap();
    assert_eq!(store.peers().unwrap().len(), MAX_PEERS);
    assert_eq!(store.peers().unwrap()[..2], ["/ip4/192.0.2.1/tcp/10", newest.as_str()]);
    store.forget_peer(&newest).unwrap();
    store.forget_peer("never remembered").unwrap();
    assert_eq!(store.peers().unwrap().len(), MAX_PEERS - 1);
    assert!(!store.peers().unwrap().contains(&newest));
}

#[test]
fn a_setting_is_the_last_one_set_and_its_length_is_bounded() {
    let mut store = Store::in_memory().unwrap();
    assert_eq!(store.setting("identity").unwrap(), None);
    store.set_setting("identity", "one").unwrap();
    store.set_setting("identity", "two").unwrap();
    let too_long = "x".repeat(MAX_TEXT_BYTES + 1);
    assert!(matches!(store.set_setting("identity", &too_long), Err(StoreError::TooLarge)));
    assert!(matches!(store.remember_peer(&too_long), Err(StoreError::TooLarge)));
    assert_eq!(store.setting("identity").unwrap().as_deref(), Some("two"));
}

// --- random use against a model ----------------------------------------------------------------

#[derive(Clone, Debug)]
enum Step {
    Put(Record),
    Erase(Key),
    EraseMessages(ContactId),
}

fn any_step() -> impl Strategy<Value = Step> {
    // Few ids, so that steps meet.
    let record = prop_oneof![
        (0..3_u64).prop_map(contact),
        (0..3_u8).prop_map(seen),
        (0..3_u64).prop_map(outgoing),
        (0..6_u64, samples::any_side(), "[a-z]{0,9}").prop_map(|(id, side, text)| message(
            id,
            id % 2,
            side,
            &text
        )),
    ];
    prop_oneof![
        4 => record.clone().prop_map(Step::Put),
        2 => record.prop_map(|record| Step::Erase(record.key())),
        1 => (0..2_u64).prop_map(|contact| Step::EraseMessages(ContactId(contact))),
    ]
}

/// What the store ought to hold: records by key, and messages in the order of their places.
#[derive(Default)]
struct Model {
    records: BTreeMap<Key, Record>,
    messages: Vec<MessageRecord>,
}

impl Model {
    fn apply(&mut self, step: &Step) {
        match step {
            Step::Put(Record::Message(message)) => {
                let known = self.messages.iter().position(|known| known.id == message.id);
                match known {
                    Some(place) if self.messages[place].side != RecordSide::Held => {
                        self.messages[place] = message.clone();
                        return;
                    }
                    Some(place) => drop(self.messages.remove(place)),
                    None => {}
                }
                self.messages.push(message.clone());
            }
            Step::Put(record) => drop(self.records.insert(record.key(), record.clone())),
            Step::Erase(Key::Message(id)) => self.messages.retain(|message| message.id != *id),
            Step::Erase(key) => drop(self.records.remove(key)),
            Step::EraseMessages(contact) => {
                self.messages.retain(|message| message.contact != *contact);
            }
        }
    }

    fn load(&self) -> Vec<Record> {
        let open = |message: &&MessageRecord| match message.side {
            RecordSide::Held => true,
            RecordSide::Shown => false,
            RecordSide::Ours(state) => {
                [MessageState::Queued, MessageState::Mining, MessageState::Sent].contains(&state)
            }
        };
        let messages = self.messages.iter().filter(open).cloned().map(Record::Message);
        self.records.values().cloned().chain(messages).collect()
    }

    fn history(&self, contact: u64) -> Vec<MessageRecord> {
        let shown = |message: &&MessageRecord| {
            message.contact == ContactId(contact) && message.side != RecordSide::Held
        };
        self.messages.iter().filter(shown).cloned().collect()
    }
}

proptest! {
    #[test]
    fn a_store_holds_what_a_plain_list_of_its_changes_holds(
        batches in prop::collection::vec(prop::collection::vec(any_step(), 0..6), 0..8),
    ) {
        let mut store = Store::in_memory().unwrap();
        let mut model = Model::default();
        for batch in batches {
            batch.iter().for_each(|step| model.apply(step));
            let changes: Vec<Change> = batch
                .into_iter()
                .map(|step| match step {
                    Step::Put(record) => Change::Put(record),
                    Step::Erase(key) => Change::Erase(key),
                    Step::EraseMessages(contact) => Change::EraseMessages(contact),
                })
                .collect();
            store.commit(&changes).unwrap();
            prop_assert_eq!(store.load().unwrap(), model.load());
            for contact in 0..2 {
                let page = store.history(ContactId(contact), None, 100).unwrap();
                prop_assert_eq!(page, model.history(contact));
            }
        }
    }
}

// --- killed ----------------------------------------------------------------------------------

/// Where the process that is to be killed finds its home folder.
const VICTIM_HOME: &str = "UNDERTONE_TEST_VICTIM";

/// Two records that belong together, so that half a commit would show.
fn pair(number: u64) -> [Record; 2] {
    [ours(number, 7, MessageState::Queued), outgoing(number)]
}

#[test]
#[ignore = "runs in a process of its own, which the test below kills"]
fn victim() {
    let Some(dir) = std::env::var_os(VICTIM_HOME) else { return };
    let mut store = Store::open(Path::new(&dir), &passphrase("right")).unwrap();
    for number in 0.. {
        store.commit(&puts(&pair(number))).unwrap();
        println!("\ncommitted {number}");
    }
}

#[test]
fn a_killed_process_loses_nothing_it_was_told_is_durable_and_keeps_no_half() {
    for committed in [0, 1, 2, 5, 17] {
        let home = Home::new();
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "shell::store::tests::victim"])
            .env(VICTIM_HOME, home.dir())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let last = format!("committed {committed}");
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == last), "the victim ended by itself");
        victim.kill().unwrap();
        victim.wait().unwrap();

        let records = home.open().unwrap().load().unwrap();
        let found = u64::try_from(records.len() / 2).unwrap();
        assert!(found > committed);
        let pairs: Vec<_> = (0..found).map(pair).collect();
        let outgoing = pairs.iter().map(|[_, outgoing]| outgoing);
        let expected: Vec<_> = pairs.iter().map(|[message, _]| message).collect();
        assert_eq!(records.iter().skip(records.len() / 2).collect::<Vec<_>>(), expected);
        assert!(outgoing.into_iter().all(|outgoing| records.contains(outgoing)));
        assert_eq!(records.len() % 2, 0);
    }
}
