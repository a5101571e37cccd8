//! Files of other versions.

use rusqlite::Connection;

use super::damage::Damage;
use super::*;
use crate::shell::store::StoreError;

#[test]
fn an_archive_of_a_newer_version_is_refused_and_stays_as_it_is() {
    let home = Home::new();
    drop(home.begun());
    // A byte that changed says so, too, and is no reason not to start.
    mark(&home, 3);
    assert_eq!(home.contents().1.salvaged, Some(0));
    let_it_be_told(home.begun());
    let connection = Connection::open(home.file()).unwrap();
    connection.execute_batch("DROP TABLE envelope; CREATE TABLE other (one BLOB)").unwrap();
    connection.pragma_update(None, "user_version", 3).unwrap();
    drop(connection);
    let before = fs::read(home.file()).unwrap();
    let refused = home.open_as(sized(LARGE));
    assert!(matches!(refused, Err(ArchiveError::Store(StoreError::Newer))));
    assert!(fs::read(home.file()).unwrap() == before);
    assert!(!home.file().with_extension("db.new").exists());
}

#[test]
fn an_archive_of_version_1_is_begun_anew_and_says_so_once() {
    let all = alike(200);
    let home = with_fronts(&all);
    mark(&home, 1);
    let old = fs::metadata(home.file()).unwrap().len();
    let mut archive = home.open();
    let (kept, taken) = everything(&mut archive);
    assert_eq!((kept.len(), taken.damaged, taken.salvaged, taken.outdated), (0, 0, None, true));
    archive.begin(Unfit::default()).unwrap();
    keep_all(&mut archive, &alike(20));
    assert_eq!(archive.missed(), 0);
    let_it_be_told(archive);
    let left = fs::read_dir(home.0.path().join(FOLDER)).unwrap();
    let bytes: u64 = left.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < old / 4, "the old file is gone: {bytes} of {old}");
    assert_eq!(home.contents(), (alike(20), ArchiveScan::default()));
}

#[test]
fn an_archive_of_version_1_that_is_cut_or_damaged_is_begun_anew_too() {
    let home = with_fronts(&alike(200));
    mark(&home, 1);
    let clean = fs::read(home.file()).unwrap();
    let damages = [
        Damage::Cut(100),
        Damage::Cut(5_000),
        Damage::Cut(clean.len() - 1),
        Damage::Zero(1),
        Damage::Noise(2),
        Damage::Flip(101, 3),
    ];
    for damage in damages {
        let mut bytes = clean.clone();
        damage.apply(&mut bytes);
        let copy = home.copy();
        fs::write(copy.file(), bytes).unwrap();
        // A log of the old file must not be read into the new one.
        fs::write(copy.log(), &clean[..4_096]).unwrap();
        fs::set_permissions(copy.log(), Permissions::from_mode(0o600)).unwrap();
        let (kept, taken) = copy.contents();
        let outdated = ArchiveScan { outdated: true, ..ArchiveScan::default() };
        assert_eq!((kept.len(), taken), (0, outdated), "{damage:?}");
        let_it_be_told(copy.begun());
        assert_eq!(copy.contents().1, ArchiveScan::default(), "{damage:?}");
    }
    // So damaged that it does not say its version.
    for damage in [Damage::Cut(40), Damage::Zero(0), Damage::Noise(0)] {
        let mut bytes = clean.clone();
        damage.apply(&mut bytes);
        fs::write(home.file(), bytes).unwrap();
        let (kept, taken) = home.contents();
        let salvaged = ArchiveScan { salvaged: Some(0), ..ArchiveScan::default() };
        assert_eq!((kept.len(), taken), (0, salvaged), "{damage:?}");
    }
}

#[test]
fn a_version_that_never_was_is_damage_and_costs_no_envelope() {
    let all = alike(50);
    for version in [0, 3, 6, u32::MAX] {
        let home = Home::with(&all);
        mark(&home, version);
        let (kept, taken) = home.contents();
        assert!(kept == all, "{version}: {}", kept.len());
        assert_eq!(taken, ArchiveScan { salvaged: Some(50), ..ArchiveScan::default() });
    }
}

#[test]
fn rows_at_places_from_the_front_of_their_ids_are_damaged_and_go() {
    let all = alike(30);
    let home = with_fronts(&all);
    let mut archive = home.begun();
    assert!(all.keys().all(|id| archive.get(id).is_none()));
    assert_eq!(archive.take_lost().len(), all.len());
    let (kept, taken) = everything(&mut archive);
    assert_eq!(kept, Kept::new());
    assert_eq!(taken, ArchiveScan { damaged: 30, ..ArchiveScan::default() });
    keep_all(&mut archive, &all);
    drop(archive);
    assert_eq!(home.contents(), (all, ArchiveScan::default()));
}
