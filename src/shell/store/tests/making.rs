//! Making, opening and locking a store.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::engine::record::MessageState;
use crate::shell::store::tests::fixtures::{contact, ours, outgoing, seen, theirs};

#[test]
fn committed_records_are_there_after_opening_again() {
    let home = Home::new();
    let records = [contact(7), seen(9), ours(3, 7, MessageState::Queued), outgoing(5)];
    let mut store = home.open().unwrap();
    store.commit(&puts(&records)).unwrap();
    store.set_setting("identity", "nightjar").unwrap();
    store.remember_peers(&["/ip4/192.0.2.1/tcp/4001".to_owned()]).unwrap();
    drop(store);

    let store = home.open().unwrap();
    assert_eq!(store.kept(), StoreMode::Sealed);
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
    assert_eq!(store.kept(), StoreMode::MemoryOnly);
    store.commit(&puts(&[contact(7), theirs(1, 7, "hi")])).unwrap();
    assert_eq!(store.load().unwrap(), [contact(7)]);
    assert_eq!(page(&store, 7), [1]);
}

#[test]
fn a_store_prints_its_mode_and_no_content() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[theirs(1, 7, "hi")])).unwrap();
    assert_eq!(format!("{store:?}"), "Store { kept: MemoryOnly, .. }");
}

#[test]
fn there_is_one_store_in_a_home_folder() {
    let home = Home::new();
    assert!(Store::exists(&home.dir()).unwrap());
    assert!(matches!(home.create(), Err(StoreError::Exists)));
    let elsewhere = home.root.path().join("elsewhere");
    assert!(!Store::exists(&elsewhere).unwrap());
    let none = Store::open(&elsewhere, &passphrase("right"));
    assert!(matches!(none, Err(StoreError::Missing)));
    assert!(!elsewhere.exists());
}

#[test]
fn one_process_uses_a_home_folder_at_a_time() {
    let home = Home::new();
    let store = home.open().unwrap();
    assert!(matches!(home.open(), Err(StoreError::InUse)));
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
        let StoreError::UnsafePermissions(found) = error else { panic!("{name}: {error}") };
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

/// Changes the passphrase of a home at the least cost.
fn change(home: &Home, old: &str, new: &str) -> Result<(), StoreError> {
    Store::change_passphrase(&home.dir(), &passphrase(old))?
        .finish_at_cost(&passphrase(new), KeyCost::LEAST)
}

#[test]
fn a_changed_passphrase_opens_the_same_store_and_the_old_one_does_not() {
    let home = Home::new();
    home.open().unwrap().commit(&puts(&[contact(7)])).unwrap();
    let before = fs::read(home.file("key")).unwrap();

    let wrong = change(&home, "new", "new");
    assert!(matches!(wrong, Err(StoreError::WrongPassphrase)));
    assert_eq!(fs::read(home.file("key")).unwrap(), before);

    change(&home, "right", "new").unwrap();
    assert!(matches!(home.open(), Err(StoreError::WrongPassphrase)));
    let changed = Store::open(&home.dir(), &passphrase("new")).unwrap();
    assert_eq!(changed.load().unwrap(), [contact(7)]);
}

#[test]
fn a_passphrase_is_changed_while_the_store_is_open_which_goes_on() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    change(&home, "right", "new").unwrap();
    store.commit(&puts(&[contact(7)])).unwrap();
    assert_eq!(store.load().unwrap(), [contact(7)]);
    drop(store);
    assert!(matches!(home.open(), Err(StoreError::WrongPassphrase)));
    let changed = Store::open(&home.dir(), &passphrase("new")).unwrap();
    assert_eq!(changed.load().unwrap(), [contact(7)]);
}

#[test]
fn of_two_changes_at_once_one_is_made_and_the_other_says_so() {
    let home = Home::new();
    let begin = || Store::change_passphrase(&home.dir(), &passphrase("right")).unwrap();
    let (first, second) = (begin(), begin());
    first.finish_at_cost(&passphrase("first"), KeyCost::LEAST).unwrap();
    let refused = second.finish_at_cost(&passphrase("second"), KeyCost::LEAST);
    assert!(matches!(refused, Err(StoreError::KeyReplaced)));
    assert!(Store::open(&home.dir(), &passphrase("first")).is_ok());
    assert!(matches!(change(&home, "right", "third"), Err(StoreError::WrongPassphrase)));
}

#[test]
fn a_change_that_began_in_a_store_that_is_gone_leaves_the_new_one_there_alone() {
    let home = Home::new();
    let begun = Store::change_passphrase(&home.dir(), &passphrase("right")).unwrap();
    fs::remove_dir_all(home.dir()).unwrap();
    drop(home.create().unwrap());
    let refused = begun.finish_at_cost(&passphrase("new"), KeyCost::LEAST);
    assert!(matches!(refused, Err(StoreError::KeyReplaced)));
    assert!(home.open().is_ok());
}

#[test]
fn what_a_change_that_was_cut_off_left_is_in_nobodys_way() {
    let home = Home::new();
    fs::write(home.file("key.new"), "half of a key file").unwrap();
    assert!(home.open().is_ok());
    change(&home, "right", "new").unwrap();
    assert!(!home.file("key.new").exists());
    assert!(Store::open(&home.dir(), &passphrase("new")).is_ok());
}

#[test]
fn a_passphrase_is_changed_in_no_folder_that_others_can_use_and_in_none_without_a_store() {
    let home = Home::new();
    fs::set_permissions(home.file("key"), Permissions::from_mode(0o640)).unwrap();
    let refused = change(&home, "right", "new");
    assert!(matches!(refused, Err(StoreError::UnsafePermissions(_))));
    fs::set_permissions(home.file("key"), Permissions::from_mode(0o600)).unwrap();
    assert!(home.open().is_ok());
    fs::remove_file(home.file("key")).unwrap();
    assert!(matches!(change(&home, "right", "new"), Err(StoreError::KeyMissing)));
    let nowhere = Store::change_passphrase(&home.root.path().join("x"), &passphrase("right"));
    assert!(matches!(nowhere, Err(StoreError::Missing)));
}

#[test]
fn two_stores_of_one_passphrase_share_nothing() {
    let (one, two) = (Home::new(), Home::new());
    let keys = [fs::read(one.file("key")).unwrap(), fs::read(two.file("key")).unwrap()];
    assert_ne!(keys[0][22..38], keys[1][22..38]);
    fs::copy(one.file("key"), two.file("key")).unwrap();
    assert!(matches!(two.open(), Err(StoreError::Damaged)));
}
