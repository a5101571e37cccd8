//! Crashes, damage, foreign files and thieves: a store is whole or refused, and shows no content.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::*;
use crate::engine::record::{MessageState, StoredDirection};
use crate::shell::store::tests::fixtures::{contact, message, ours, outgoing, theirs};

#[test]
fn a_creation_that_ended_between_key_and_database_gives_a_whole_empty_store() {
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
fn a_creation_that_ended_before_the_key_file_left_no_store() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("home");
    data_dir::prepare(&dir).unwrap();
    fs::write(dir.join("key.new"), "half of a key file").unwrap();
    fs::write(dir.join("store.db.new"), "half of a database").unwrap();
    assert!(!Store::exists(&dir).unwrap());
    assert!(Store::create_at_cost(&dir, &passphrase("right"), KeyCost::LEAST).is_ok());
}

#[test]
fn a_database_without_its_key_file_is_reported_and_kept() {
    let home = Home::new();
    fs::rename(home.file("key"), home.file("elsewhere")).unwrap();
    assert!(matches!(home.open(), Err(StoreError::KeyMissing)));
    assert!(matches!(home.create(), Err(StoreError::Exists)));
    fs::rename(home.file("elsewhere"), home.file("key")).unwrap();
    assert!(home.open().is_ok());
}

#[test]
fn a_database_that_is_gone_is_told_and_none_is_made_in_its_place() {
    let home = Home::new();
    home.open().unwrap().commit(&puts(&[contact(7)])).unwrap();
    fs::rename(home.file("store.db"), home.file("elsewhere")).unwrap();
    assert!(matches!(home.open(), Err(StoreError::DatabaseMissing)));
    assert!(!home.file("store.db").exists() && !home.file("store.db.new").exists());
    fs::rename(home.file("elsewhere"), home.file("store.db")).unwrap();
    assert_eq!(home.open().unwrap().load().unwrap(), [contact(7)]);
}

#[test]
fn a_key_file_without_content_is_told_from_one_of_another_program() {
    assert!(matches!(Home::new().after("key", Vec::clear), StoreError::KeyEmpty));
}

#[test]
fn a_file_in_place_of_the_home_folder_is_told_from_a_folder_without_a_store() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let opened = Store::open(file.path(), &passphrase("right"));
    assert!(matches!(opened, Err(StoreError::NotAFolder)));
    let made = Store::create_at_cost(file.path(), &passphrase("right"), KeyCost::LEAST);
    assert!(matches!(made, Err(StoreError::NotAFolder)));
}

#[test]
fn a_damaged_foreign_or_newer_key_file_is_distinguished_from_a_wrong_passphrase() {
    let damaged = Home::new().after("key", |bytes| bytes[50] ^= 1);
    assert!(matches!(damaged, StoreError::Damaged));
    let foreign = Home::new().after("key", |bytes| bytes[0] ^= 1);
    assert!(matches!(foreign, StoreError::Foreign));
    let newer = Home::new().after("key", |bytes| bytes[8] = 2);
    assert!(matches!(newer, StoreError::Newer));
}

#[test]
fn a_damaged_database_is_reported() {
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
    let long = message(2, 7, StoredDirection::Outgoing(MessageState::Queued), &long);
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
fn a_row_in_the_place_of_another_is_damage() {
    for damage in [
        "UPDATE record SET value = (SELECT value FROM record ORDER BY key DESC)",
        "UPDATE record SET value = (SELECT value FROM record ORDER BY key DESC),
             salt = (SELECT salt FROM record ORDER BY key DESC)",
        "UPDATE record SET value = substr(value, 2)",
        "UPDATE record SET value = zeroblob(20)",
        "UPDATE message SET id = id + 1",
        "UPDATE salt SET bytes = zeroblob(16)",
        "DELETE FROM salt",
    ] {
        let mut store = Store::in_memory().unwrap();
        store.commit(&puts(&[contact(7), contact(8), ours(1, 7, MessageState::Sent)])).unwrap();
        assert_eq!(store.load().unwrap().len(), 3);
        store.connection.execute_batch(damage).unwrap();
        assert!(matches!(store.load(), Err(StoreError::Damaged)), "{damage}");
    }
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
fn a_database_of_another_program_or_a_newer_version_is_reported() {
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

#[test]
fn a_creation_that_fails_leaves_no_store() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("home");
    data_dir::prepare(&dir).unwrap();
    // The key file cannot be written: something that is not ours to remove is in its way.
    fs::create_dir_all(dir.join("key.new/full")).unwrap();
    assert!(Store::create_at_cost(&dir, &passphrase("right"), KeyCost::LEAST).is_err());
    assert!(!Store::exists(&dir).unwrap());
    assert!(!dir.join("store.db.new").exists());
    fs::remove_dir_all(dir.join("key.new")).unwrap();
    assert!(Store::create_at_cost(&dir, &passphrase("right"), KeyCost::LEAST).is_ok());
}

#[test]
fn no_text_of_a_record_can_be_found_on_disk() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store.commit(&puts(&[theirs(1, 7, "the quick brown fox"), contact(7)])).unwrap();
    store.set_setting("identity", "the quick brown fox").unwrap();
    // A transaction that is open leaves its journal to be looked at.
    let transaction = begin(&mut store.connection).unwrap();
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
fn a_killed_process_loses_no_commit_that_returned_and_keeps_no_part_of_another() {
    for committed in [0, 1, 2, 5, 17] {
        let home = Home::new();
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "shell::store::tests::trouble::victim"])
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
