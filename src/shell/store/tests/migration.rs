//! Homes that former versions of this program wrote.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use rusqlite::types::Value;

use super::forensics::{Thief, parts};
use super::*;
use crate::engine::env::UnixSeconds;
use crate::engine::id::MessageId;
use crate::engine::record::{
    ContactState, MessageState, ReceiveSequence, StoredDirection, Trust, VerificationMethod,
};
use crate::engine::session::SessionId;
use crate::shell::store::tests::fixtures::{
    self, contact, doubted, held, ours, outgoing, seen, theirs,
};

/// A home with an empty database of a former version.
fn empty_home(version: usize) -> (Home, Connection) {
    let home = Home::new();
    let path = home.file("store.db");
    fs::remove_file(&path).unwrap();
    files::create(&path).unwrap();
    let connection = database::of_version(version, &path, &key_of(&home));
    (home, connection)
}

/// A home with a database of version 1 and the rows of the fixture.
fn old_home() -> Home {
    let (home, connection) = empty_home(1);
    connection.execute_batch(include_str!("version1.sql")).unwrap();
    home
}

/// A home with a database of version 2 and the rows of the fixture, sealed as that version did.
fn sealed_home() -> Home {
    let (home, connection) = empty_home(2);
    connection.execute_batch(include_str!("version2.sql")).unwrap();
    let key = RowKey::of_database(&key_of(&home));
    for (table, name) in [("record", "key"), ("message", "id")] {
        let rows = format!("SELECT {name}, value FROM {table}");
        let mut rows = connection.prepare(&rows).unwrap();
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let rows: Vec<(Value, Vec<u8>)> =
            rows.query_map([], read).unwrap().map(Result::unwrap).collect();
        for (name_of_row, value) in rows {
            let sealed_as = match &name_of_row {
                Value::Integer(id) => {
                    codec::encode_key(&RecordKey::Message(MessageId(id.cast_unsigned()))).unwrap()
                }
                Value::Blob(key) => key.clone(),
                Value::Null | Value::Real(_) | Value::Text(_) => panic!("no name of a row"),
            };
            let sealed = key.seal(&connection, &sealed_as, &value).unwrap();
            let update = format!("UPDATE {table} SET salt = ?2, value = ?3 WHERE {name} = ?1");
            connection.execute(&update, params![name_of_row, sealed.slot, sealed.value]).unwrap();
        }
    }
    home
}

fn key_of(home: &Home) -> Secret<KEY_BYTES> {
    open_key(&home.dir(), &passphrase("right")).unwrap()
}

/// The database itself, whatever version it is of.
fn keyed(home: &Home) -> Connection {
    let connection = Connection::open(home.file("store.db")).unwrap();
    let hex = HEXLOWER.encode(key_of(home).expose());
    connection.execute_batch(&format!("PRAGMA key = \"x'{hex}'\"")).unwrap();
    connection
}

/// Runs a statement on the database itself; answers its version and how many records it has.
fn tables(home: &Home, statement: &str) -> (i64, i64) {
    let connection = keyed(home);
    connection.execute_batch(statement).unwrap();
    let number = |query: &str| connection.query_row(query, [], |row| row.get(0)).unwrap();
    (number("PRAGMA user_version"), number("SELECT COUNT(*) FROM record"))
}

/// The values of the fixture's rows of one kind, by the number that their keys begin with.
fn old_values(kind: u8) -> Vec<Vec<u8>> {
    let start = format!("INSERT INTO record VALUES (x'{kind:02x}000000");
    let rows = include_str!("version1.sql").lines().filter(|line| line.starts_with(&start));
    let value =
        |line: &str| fixtures::unhex(line.split("x'").nth(2).unwrap().trim_end_matches("');"));
    rows.map(value).collect()
}

#[test]
fn an_old_home_keeps_contacts_and_messages_and_drops_the_old_protocol() {
    let home = old_home();
    let loaded = home.open().unwrap().load().unwrap();
    let Some((Record::Identity(identity), rest)) = loaded.split_first() else {
        panic!("no identity")
    };
    assert_eq!((identity.id.0, identity.name.as_str()), (1, "nightjar"));
    let Record::Contact(mut blocked) = contact(9) else { panic!("another kind") };
    blocked.petname = "zoë".to_owned();
    blocked.state = ContactState::Blocked;
    blocked.received.push(ReceiveSequence { epoch: 8, next: 9, sack: u64::MAX, read_up_to: 0 });
    let Record::Message(mut waiting) = ours(20, 7, MessageState::Queued) else {
        panic!("another kind")
    };
    waiting.number = None;
    waiting.text = "not numbered yet".to_owned();
    let expected = [
        unread(contact(7)),
        unread(contact(8)),
        unread(Record::Contact(blocked)),
        seen(9),
        Record::Message(waiting),
        ours(10, 7, MessageState::Queued),
        ours(11, 7, MessageState::Mining),
        ours(12, 7, MessageState::Sent),
        ours(14, 7, MessageState::Failed),
        ours(15, 7, MessageState::Cancelled),
        held(31, 7),
    ];
    assert_eq!(rest, expected);
}

#[test]
fn an_old_conversation_reads_as_before_and_goes_on() {
    let home = old_home();
    let mut store = home.open().unwrap();
    assert_eq!(page(&store, 7), [20, 10, 11, 12, 13, 14, 15, 30]);
    let shown = store.messages().get(MessageId(30)).unwrap().unwrap();
    assert_eq!((shown.text.as_str(), shown.direction), ("grüße", StoredDirection::Delivered));
    assert_eq!(store.messages().unread().unwrap(), []);
    store.commit(&puts(&[theirs(31, 7, "waits"), theirs(32, 7, "more")])).unwrap();
    drop(store);
    let store = home.open().unwrap();
    assert_eq!(page(&store, 7), [20, 10, 11, 12, 13, 14, 15, 30, 31, 32]);
    assert_eq!(store.messages().unread().unwrap(), [(ContactId(7), 2)]);
}

#[test]
fn no_byte_of_the_old_rows_is_left_in_the_file() {
    let home = old_home();
    let thief = Thief::of(&home);
    let old: Vec<Vec<u8>> = (0..=6).flat_map(old_values).collect();
    assert_eq!(old.len(), 8);
    for row in &old {
        assert!(thief.finds(&parts(row)));
    }
    drop(home.open().unwrap());
    for row in &old {
        assert!(!thief.finds(&parts(row)));
    }
}

#[test]
fn an_old_home_with_a_damaged_row_stays_as_it_was() {
    for home in [old_home(), sealed_home()] {
        let before = tables(&home, "UPDATE message SET value = zeroblob(60) WHERE id = 13");
        assert!(matches!(home.open(), Err(StoreError::Damaged)));
        assert_eq!(tables(&home, ""), before);
    }
}

#[test]
fn a_home_of_version_2_opens_with_nothing_lost() {
    let home = sealed_home();
    let mut store = home.open().unwrap();
    assert_eq!(store.load().unwrap(), kept_from_version_2());
    assert_eq!(page(&store, 7), [20, 10, 11, 12, 13, 14, 15, 30, 33]);
    let delivered = store.messages().get(MessageId(13)).unwrap().unwrap();
    assert_eq!(Record::Message(delivered), ours(13, 7, MessageState::Delivered));
    // It goes on from there.
    store.commit(&puts(&[ours(12, 7, MessageState::Unacknowledged)])).unwrap();
    store.commit(&puts(&[ours(13, 7, MessageState::Read)])).unwrap();
    drop(store);
    let store = home.open().unwrap();
    assert_eq!(page(&store, 7), [20, 10, 11, 12, 13, 14, 15, 30, 33]);
}

/// The records of the fixture in their current shapes.
fn kept_from_version_2() -> Vec<Record> {
    let [session, pending, _, request] = fixtures::handshake();
    let Record::Contact(mut blocked) = contact(9) else { panic!("another kind") };
    blocked.petname = "zoë".to_owned();
    blocked.state = ContactState::Blocked;
    blocked.received.push(ReceiveSequence { epoch: 8, next: 9, sack: u64::MAX, read_up_to: 0 });
    blocked.trust = Trust::Verified { at: UnixSeconds(128), by: VerificationMethod::SafetyNumber };
    let Record::Contact(mut closed) = contact(10) else { panic!("another kind") };
    closed.state = ContactState::Inactive;
    closed.received.clear();
    let Record::Message(mut waiting) = ours(20, 7, MessageState::Queued) else {
        panic!("another kind")
    };
    waiting.number = None;
    waiting.text = "not numbered yet".to_owned();
    let Record::Message(mut early) = theirs(33, 7, "early") else { panic!("another kind") };
    early.early = Some(SessionId([7; 32]));
    early.missing = 2;
    let contacts = [pending, doubted(8), Record::Contact(blocked), Record::Contact(closed)];
    let mut kept = vec![identity()];
    kept.extend(contacts.into_iter().map(unread));
    kept.extend([session, request, seen(9), outgoing(5), Record::Message(waiting)]);
    let open = [
        MessageState::Queued,
        MessageState::Mining,
        MessageState::Sent,
        MessageState::Failed,
        MessageState::Cancelled,
    ];
    kept.extend([10, 11, 12, 14, 15].into_iter().zip(open).map(|(id, at)| ours(id, 7, at)));
    kept.extend([Record::Message(early), held(31, 7)]);
    kept
}

/// A contact with no message recorded as seen.
fn unread(record: Record) -> Record {
    let Record::Contact(mut record) = record else { panic!("another kind") };
    for sequence in &mut record.received {
        sequence.read_up_to = 0;
    }
    Record::Contact(record)
}

fn identity() -> Record {
    codec::decode(&fixtures::unhex(fixtures::IDENTITY_ROW)).unwrap()
}

#[test]
fn a_power_cut_before_the_commit_of_a_migration_leaves_the_old_home_whole() {
    let home = sealed_home();
    let cut = Home { root: tempfile::tempdir().unwrap() };
    data_dir::prepare(&cut.dir()).unwrap();
    let before = tables(&home, "");
    let untouched = fs::read(home.file("store.db")).unwrap();
    database::cut_short(&home.file("store.db"), &key_of(&home), 2, || {
        for name in ["key", "store.db", "store.db-journal"] {
            fs::copy(home.file(name), cut.file(name)).unwrap();
        }
    });
    assert_ne!(fs::read(cut.file("store.db")).unwrap(), untouched, "nothing had reached the file");
    assert_eq!(tables(&cut, ""), before);
    assert_eq!(cut.open().unwrap().load().unwrap(), kept_from_version_2());
}

#[test]
fn the_former_seals_are_gone_from_the_file() {
    let home = sealed_home();
    let thief = Thief::of(&home);
    let salts: BTreeSet<Vec<u8>> = {
        let connection = keyed(&home);
        let mut salts = connection.prepare("SELECT bytes FROM salt WHERE free = 0").unwrap();
        salts.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert!(thief.finds(&salts));
    drop(home.open().unwrap());
    assert!(!thief.finds(&salts));
}
