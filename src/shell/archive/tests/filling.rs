//! Disks and files that are full, and sizes that are kept to.

use std::collections::BTreeSet;

use super::*;
use crate::engine::price::BLOCK;
use crate::engine::relay::pool::PoolBounds;
use crate::shell::archive::database::SPARE_PAGES;
use crate::shell::archive::open::REST;

#[test]
fn a_read_only_disk_is_told_counted_and_tried_again() {
    let all = alike(40);
    let home = Home::new();
    let mut archive = home.begun();
    let writable = |archive: &Archive, pragma: &str| {
        archive.connection.as_ref().unwrap().execute_batch(pragma).unwrap();
    };
    let ids: Vec<EnvelopeId> = all.keys().copied().collect();
    archive.keep(ids[0], &all[&ids[0]]);
    archive.beat();
    writable(&archive, "PRAGMA query_only = ON");
    for id in &ids[1..10] {
        archive.keep(*id, &all[id]);
    }
    assert_eq!(archive.trouble(), Some(ArchiveFault::ReadOnly));
    assert_eq!(archive.take_lost(), ids[1..10]);
    assert_eq!(archive.missed(), 9);
    assert_eq!(archive.get(&ids[0]).as_ref(), Some(&all[&ids[0]]), "what is there is served");
    writable(&archive, "PRAGMA query_only = OFF");
    for _ in 0..REST {
        archive.beat();
    }
    archive.keep(ids[10], &all[&ids[10]]);
    archive.beat();
    assert_eq!((archive.trouble(), archive.missed()), (None, 9));
    drop(archive);
    assert_eq!(home.contents().0.into_keys().collect::<Vec<_>>(), [ids[0], ids[10]]);
}

#[test]
fn a_full_disk_loses_what_was_on_its_way_and_nothing_else_and_says_so() {
    let all = alike(60);
    let home = Home::new();
    let mut archive = home.begun();
    let ids: Vec<EnvelopeId> = all.keys().copied().collect();
    for id in &ids[..20] {
        archive.keep(*id, &all[id]);
    }
    archive.beat();
    // SQLite says the same of a file that may not grow as of a disk that is full.
    let connection = archive.connection.as_ref().unwrap();
    let pages = database::used(connection).unwrap() + 10;
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    for id in &ids[20..40] {
        archive.keep(*id, &all[id]);
    }
    assert_eq!(archive.trouble(), Some(ArchiveFault::DiskFull));
    assert_eq!(
        archive.take_lost().into_iter().collect::<BTreeSet<_>>(),
        ids[20..40].iter().copied().collect()
    );
    assert_eq!(archive.missed(), 20);
    drop(archive);
    assert_eq!(home.contents().0.into_keys().collect::<Vec<_>>(), ids[..20]);
}

/// What an engine does with a pool of so many places that counts as pools do, until the archive was
/// filled `rounds` times over; the most the file ever took, in bytes.
fn flood(places: usize, rounds: usize, size: impl Fn(u64) -> usize) -> u64 {
    let home = Home::new();
    let bytes = PoolBounds { places }.bytes() as u64;
    let mut archive = home.open_as(sized(bytes)).unwrap();
    archive.begin(Unfit::default()).unwrap();
    let mut held: Kept = Kept::new();
    let (mut used, mut poured, mut number, mut most) = (0, 0, 0, 0);
    let blocks = |envelope: &Vec<u8>| envelope.len().div_ceil(BLOCK);
    while poured < places * rounds {
        let (id, envelope) = envelope(number, size(number));
        number += 1;
        used += blocks(&envelope);
        poured += blocks(&envelope);
        let mut evicted = Vec::new();
        while used > places {
            // By id, which is as good as any rank that has nothing to do with the order of arrival.
            let (victim, gone) = held.pop_first().unwrap();
            used -= blocks(&gone);
            evicted.push(victim);
        }
        archive.discard(&evicted);
        archive.keep(id, &envelope);
        held.insert(id, envelope);
        if number.is_multiple_of(100) {
            archive.beat();
            most = most.max(fs::metadata(home.file()).unwrap().len());
        }
    }
    archive.beat();
    assert_eq!((archive.missed(), archive.trouble()), (0, None));
    drop(archive);
    most = most.max(fs::metadata(home.file()).unwrap().len());
    let mut archive = home.open_as(sized(bytes)).unwrap();
    assert_eq!(everything(&mut archive).0, held);
    most
}

/// The size of an envelope by its number.
type Size = fn(u64) -> usize;

/// The most a place may take on disk, in bytes, once rows have come and gone: for 293,000 of them
/// 0.68 GB.
const A_PLACE: u64 = 2_304;

#[test]
fn an_archive_filled_many_times_over_keeps_all_it_should_and_no_place_takes_more_than_it_may() {
    let places = 1_200;
    let sizes: [(&str, Size); 9] = [
        ("a messenger's", |_| 2048),
        ("the smallest", |_| SMALLEST),
        ("the worst for a leaf", |_| 345),
        ("just too long to share a leaf", |_| 515),
        ("the last that lies in its leaf", |_| 980),
        ("a page and a leaf for itself", |_| 2000),
        ("the least of two places", |_| 2049),
        ("the largest", |_| 65_536),
        ("all sizes", |number| {
            let size = noise(number, 2).iter().fold(1, |all, byte| all * (usize::from(*byte) + 1));
            size.max(SMALLEST)
        }),
    ];
    for (name, size) in sizes {
        let most = flood(places, 6, size);
        println!("{name}: {} bytes a place", most / places as u64);
        assert!(most <= places as u64 * A_PLACE + SPARE_PAGES * PAGE_BYTES, "{name}: {most}");
    }
}

#[test]
fn a_large_envelope_that_pushes_out_many_small_ones_finds_room() {
    let places = 1_200;
    let most = flood(places, 12, |number| if number / 1_500 % 2 == 0 { 2048 } else { 65_536 });
    assert!(most <= most_pages(PoolBounds { places }.bytes() as u64) * PAGE_BYTES, "{most}");
}

#[test]
fn a_smaller_size_than_before_is_reached_when_the_rest_was_discarded() {
    let all = alike(2_000);
    let home = Home::with(&all);
    let before = fs::metadata(home.file()).unwrap().len();
    let small = 1 << 20;
    let mut archive = home.open_as(sized(small)).unwrap();
    let mut wanted = 300;
    let mut claims = Claims::new(|_| {
        wanted -= 1;
        if wanted >= 0 { Disposition::Held } else { Disposition::Dropped }
    });
    archive.take_over(&mut claims).unwrap();
    archive.begin(Unfit::default()).unwrap();
    for _ in 0..8 {
        archive.beat();
    }
    drop(archive);
    let after = fs::metadata(home.file()).unwrap().len();
    assert!(after <= most_pages(small) * PAGE_BYTES && after < before / 2, "{before} to {after}");
    assert_eq!(home.contents().0.len(), 300);
}

#[test]
fn a_smaller_size_that_was_asked_for_on_purpose_is_seen_at_once() {
    let home = labelled(&alike(600), sized(LARGE));
    let (mut archive, _) = start(&home, sized(688_128), (256, ArchiveOverflow::Removed)).unwrap();
    let before = archive.bytes();
    archive.shrink();
    let after = archive.bytes();
    assert!(after < before / 2, "{before} to {after}, of 256 of 600");
    assert_eq!(archive.trouble(), None);
}
