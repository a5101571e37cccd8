//! Envelopes that are kept, handed over, discarded and left.

use std::collections::BTreeSet;

use super::*;
use crate::shell::archive::rows::place;
use crate::shell::store::StoreError;

#[test]
fn what_was_kept_is_handed_over_after_a_restart_and_found_by_its_id() {
    let all = some(600);
    let home = Home::with(&all);
    let mut archive = home.open();
    let (kept, taken) = everything(&mut archive);
    assert_eq!(kept, all);
    assert_eq!(taken, ArchiveScan::default());
    for (id, bytes) in &all {
        assert_eq!(archive.get(id).as_ref(), Some(bytes));
    }
    assert_eq!(archive.take_lost(), []);
    assert_eq!(archive.get(&EnvelopeId([7; 32])), None);
    assert_eq!(archive.take_lost(), [EnvelopeId([7; 32])]);
    assert_eq!(archive.take_lost(), [], "told once");
}

#[test]
fn what_was_kept_before_the_last_beat_survives_a_kill() {
    let home = Home::new();
    let mut archive = home.begun();
    let all = some(300);
    keep_all(&mut archive, &all);
    let (id, late) = envelope(1 << 40, 2048);
    archive.keep(id, &late);
    let (left, taken) = home.copy().contents();
    assert_eq!(left, all);
    assert_eq!(taken, ArchiveScan::default());
    drop(archive);
    assert_eq!(home.contents().0.len(), all.len() + 1, "whoever ends in peace loses nothing");
}

#[test]
fn what_is_discarded_or_unwanted_is_gone_and_can_be_kept_again() {
    let all = some(200);
    let home = Home::with(&all);
    let mut archive = home.open();
    let mut unwanted = BTreeSet::new();
    let mut claims = Claims::new(|id| {
        if unwanted.len() < 50 {
            unwanted.insert(id);
            return Disposition::Dropped;
        }
        Disposition::Held
    });
    archive.take_over(&mut claims).unwrap();
    archive.begin(Unfit::default()).unwrap();
    let discarded: Vec<EnvelopeId> =
        all.keys().filter(|id| !unwanted.contains(id)).take(50).copied().collect();
    archive.discard(&discarded);
    let again = discarded[0];
    archive.keep(again, &all[&again]);
    archive.beat();
    drop(archive);
    let left: BTreeSet<EnvelopeId> = home.contents().0.into_keys().collect();
    let expected =
        |id: &&EnvelopeId| **id == again || !unwanted.contains(*id) && !discarded.contains(*id);
    assert_eq!(left, all.keys().filter(expected).copied().collect());
}

#[test]
fn an_envelope_that_is_left_stays_on_disk_and_comes_again_at_the_next_start() {
    let all = alike(50);
    let home = Home::with(&all);
    let mut archive = home.open();
    archive.take_over(&mut Claims::new(|_| Disposition::Left)).unwrap();
    archive.begin(Unfit::default()).unwrap();
    let (id, late) = envelope(1 << 40, 2048);
    archive.keep(id, &late);
    archive.beat();
    // It may come from a neighbour in the meantime.
    let (again, bytes) = all.first_key_value().unwrap();
    archive.keep(*again, bytes);
    archive.discard(&[*again]);
    archive.beat();
    drop(archive);
    let mut expected = all.clone();
    expected.remove(again);
    expected.insert(id, late);
    assert_eq!(home.contents(), (expected, ArchiveScan::default()));
}

#[test]
fn an_archive_belongs_to_its_owner_and_to_one_process() {
    let home = Home::new();
    let archive = home.open();
    let again = home.open_as(sized(LARGE)).unwrap_err();
    assert!(matches!(again, ArchiveError::Store(StoreError::InUse)));
    drop(archive);
    for entry in fs::read_dir(home.0.path().join(FOLDER)).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o077, 0);
    }
    fs::set_permissions(home.0.path().join(FOLDER), Permissions::from_mode(0o755)).unwrap();
    let shared = home.open_as(sized(LARGE)).unwrap_err();
    assert!(matches!(shared, ArchiveError::Store(StoreError::UnsafePermissions(_))));
}

#[test]
fn ids_that_begin_alike_have_places_of_their_own() {
    let ids = [[0, 1], [0, 2], [0xff, 1]].map(|end| {
        let mut id = [0; 32];
        id[30..].copy_from_slice(&end);
        EnvelopeId(id)
    });
    assert_eq!(ids.map(|id| place(&id)), [1, 2, 0xff01]);
    assert_eq!(place(&EnvelopeId([0xff; 32])), -1, "all 64 bits count");
}
