//! Homes that the first version of this program wrote.

use super::thief::{Thief, parts};
use super::*;
use crate::engine::id::MessageId;
use crate::engine::node::output::MessageState;
use crate::engine::node::record::{PeerStream, RecordSide, Standing};
use crate::shell::store::samples::{contact, held, ours, seen, theirs};

/// A home with a database of version 1 and the rows of the fixture.
fn old_home() -> Home {
    let home = Home::new();
    let path = home.file("store.db");
    fs::remove_file(&path).unwrap();
    files::create(&path).unwrap();
    let key = open_key(&home.dir(), &passphrase("right")).unwrap();
    let connection = database::of_version_1(&path, &key);
    connection.execute_batch(include_str!("version1.sql")).unwrap();
    home
}

/// The values of the fixture's rows of one kind, by the number that their keys begin with.
fn old_values(kind: u8) -> Vec<Vec<u8>> {
    let start = format!("INSERT INTO record VALUES (x'{kind:02x}000000");
    let rows = include_str!("version1.sql").lines().filter(|line| line.starts_with(&start));
    let value = |line: &str| {
        let digits = line.split("x'").nth(2).unwrap().trim_end_matches("');").as_bytes();
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    };
    rows.map(value).collect()
}

#[test]
fn an_old_home_keeps_people_and_what_was_said_and_drops_the_old_protocol() {
    let home = old_home();
    let loaded = home.open().unwrap().load().unwrap();
    let Some((Record::Identity(identity), rest)) = loaded.split_first() else {
        panic!("no identity")
    };
    assert_eq!((identity.id.0, identity.name.as_str()), (1, "nightjar"));
    let Record::Contact(mut blocked) = contact(9) else { panic!("another kind") };
    blocked.petname = "zoë".to_owned();
    blocked.standing = Standing::Blocked;
    blocked.theirs.push(PeerStream { stream: 8, next: 9, beyond: u64::MAX, read: 0 });
    let Record::Message(mut waiting) = ours(20, 7, MessageState::Queued) else {
        panic!("another kind")
    };
    waiting.number = None;
    waiting.text = "not numbered yet".to_owned();
    let expected = [
        contact(7),
        contact(8),
        Record::Contact(blocked),
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
fn an_old_conversation_is_told_as_it_was_and_goes_on() {
    let home = old_home();
    let mut store = home.open().unwrap();
    assert_eq!(page(&store, 7), [20, 10, 11, 12, 13, 14, 15, 30]);
    let shown = store.message(MessageId(30)).unwrap().unwrap();
    assert_eq!((shown.text.as_str(), shown.side), ("grüße", RecordSide::Shown));
    assert_eq!(store.unread().unwrap(), []);
    store.commit(&puts(&[theirs(31, 7, "waits"), theirs(32, 7, "more")])).unwrap();
    drop(store);
    let store = home.open().unwrap();
    assert_eq!(page(&store, 7), [20, 10, 11, 12, 13, 14, 15, 30, 31, 32]);
    assert_eq!(store.unread().unwrap(), [(ContactId(7), 2)]);
}

#[test]
fn nothing_of_the_old_rows_is_left_in_the_file() {
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
    let home = old_home();
    let key = open_key(&home.dir(), &passphrase("right")).unwrap();
    let tables = |change: &str| {
        let connection = Connection::open(home.file("store.db")).unwrap();
        let hex: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
        connection.execute_batch(&format!("PRAGMA key = \"x'{hex}'\"; {change}")).unwrap();
        let count = "SELECT COUNT(*) FROM record";
        let records: i64 = connection.query_row(count, [], |row| row.get(0)).unwrap();
        let version: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        (version, records)
    };
    let before = tables("UPDATE message SET value = zeroblob(60) WHERE id = 13");
    assert!(matches!(home.open(), Err(StoreError::Damaged)));
    assert_eq!(tables(""), before);
}
