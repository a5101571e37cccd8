//! Damage: what it costs, what is saved of the rest, and that it is told.

use proptest::prelude::*;

use super::*;
use crate::engine::testing::mutate::{Reading, each_slow_case};
use crate::shell::archive::database::is_damage;
use crate::shell::archive::rows::place;
use crate::shell::store::StoreError;

#[test]
fn a_row_that_does_not_match_its_id_is_never_handed_out_and_goes() {
    let all = alike(20);
    let home = Home::with(&all);
    let mut archive = home.begun();
    let ids: Vec<EnvelopeId> = all.keys().copied().collect();
    let change = |sql: &str, id: &EnvelopeId| {
        archive.connection.as_ref().unwrap().execute(sql, [place(id)]).unwrap();
    };
    change("UPDATE envelope SET bytes = zeroblob(2048) WHERE place = ?1", &ids[3]);
    change("UPDATE envelope SET bytes = zeroblob(70000) WHERE place = ?1", &ids[4]);
    change("UPDATE envelope SET place = place - 1 WHERE place = ?1", &ids[5]);
    for id in &ids[3..6] {
        assert_eq!(archive.get(id), None);
    }
    assert_eq!(archive.take_lost(), ids[3..6]);
    assert_eq!(archive.get(&ids[6]).as_ref(), Some(&all[&ids[6]]));
    let (kept, taken) = everything(&mut archive);
    assert!(kept.iter().all(|(id, bytes)| all[id] == *bytes));
    assert_eq!((kept.len(), taken.damaged), (17, 3));
    drop(archive);
    let again = Home::contents(&home).1;
    assert_eq!(again.damaged, 3, "removed with the first beat, and there was none");
    let mut archive = home.open();
    everything(&mut archive);
    archive.begin(Unfit::default()).unwrap();
    archive.beat();
    drop(archive);
    assert_eq!(home.contents().1, ArchiveScan::default());
}

#[test]
fn one_damaged_page_costs_at_most_the_envelopes_that_lie_in_it() {
    let all = alike(400);
    let home = Home::with(&all);
    let clean = fs::read(home.file()).unwrap();
    let pages = clean.len() / database::PAGE;
    for page in (0..pages).step_by(7).chain(0..8) {
        for damage in
            [Damage::Zero(page), Damage::Noise(page), Damage::Flip(page * database::PAGE, 3)]
        {
            let mut bytes = clean.clone();
            damage.apply(&mut bytes);
            let copy = home.copy();
            fs::write(copy.file(), bytes).unwrap();
            let (kept, taken) = copy.contents();
            assert!(kept.iter().all(|(id, bytes)| all.get(id) == Some(bytes)), "{damage:?}");
            assert!(kept.len() >= all.len() - ROWS_A_LEAF, "{damage:?}: {}", kept.len());
            if kept.len() < all.len() {
                assert!(taken.salvaged.is_some() || taken.damaged > 0, "{damage:?}");
            }
        }
    }
}

/// 1,024 bytes hold no more cells of a 2 KiB envelope, whose share of a leaf is 120 bytes.
const ROWS_A_LEAF: usize = 8;

/// What happens to files.
#[derive(Clone, Copy, Debug)]
pub(super) enum Damage {
    Zero(usize),
    Noise(usize),
    Flip(usize, u32),
    Cut(usize),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            any::<usize>().prop_map(Self::Zero),
            any::<usize>().prop_map(Self::Noise),
            (any::<usize>(), 0_u32..8).prop_map(|(at, bit)| Self::Flip(at, bit)),
            any::<usize>().prop_map(Self::Cut),
        ]
    }

    pub(super) fn apply(self, bytes: &mut Vec<u8>) {
        let length = bytes.len().max(1);
        let page = |number: usize| {
            let start = number % length.div_ceil(database::PAGE) * database::PAGE;
            start..(start + database::PAGE).min(length)
        };
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Zero(number) => bytes[page(number)].fill(0),
            Self::Noise(number) => {
                let range = page(number);
                let noise = noise(number as u64, range.len());
                bytes[range].copy_from_slice(&noise);
            }
            Self::Flip(at, bit) => bytes[at % length] ^= 1 << bit,
            Self::Cut(at) => bytes.truncate(at % length),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_damage_keeps_an_archive_from_opening_or_makes_it_hand_out_what_it_never_kept(
        in_database in proptest::collection::vec(Damage::any(), 0..12),
        in_log in proptest::collection::vec(Damage::any(), 0..4),
    ) {
        let all = some(100);
        let home = Home::new();
        let mut archive = home.begun();
        keep_all(&mut archive, &all);
        // With a log beside the database.
        let copy = home.copy();
        drop(archive);
        for (end, damages) in [("", in_database), ("-wal", in_log)] {
            let path = PathBuf::from(format!("{}{end}", copy.file().display()));
            let mut bytes = fs::read(&path).unwrap();
            damages.iter().for_each(|damage| damage.apply(&mut bytes));
            fs::write(&path, bytes).unwrap();
        }
        let mut archive = copy.open();
        let (kept, _) = everything(&mut archive);
        prop_assert!(kept.iter().all(|(id, bytes)| all.get(id) == Some(bytes)));
        for (id, bytes) in &all {
            if let Some(found) = archive.get(id) {
                prop_assert_eq!(&found, bytes);
            }
        }
        archive.begin(Unfit::default()).unwrap();
        // It is as good as any from now on.
        keep_all(&mut archive, &all);
        prop_assert_eq!(archive.missed(), 0);
        drop(archive);
        prop_assert_eq!(copy.contents().0, all);
    }
}

#[test]
fn a_file_without_its_header_or_of_something_else_is_carved_or_replaced() {
    let all = alike(300);
    let home = Home::with(&all);
    let mut bytes = fs::read(home.file()).unwrap();
    bytes[..1024].fill(0);
    fs::write(home.file(), &bytes).unwrap();
    let (kept, taken) = home.contents();
    assert_eq!(kept, all);
    assert_eq!(taken, ArchiveScan { salvaged: Some(300), ..ArchiveScan::default() });

    for other in [&b""[..], b"x", &[0xff; 5000]] {
        fs::write(home.file(), other).unwrap();
        let (kept, taken) = home.contents();
        assert_eq!(kept, Kept::new());
        assert_eq!(taken, ArchiveScan { salvaged: Some(0), ..ArchiveScan::default() });
    }
}

/// Opens an archive whose first page was changed, and goes on with it; it must have all that it had
/// and keep more.
fn assert_keeps_all(home: &Home, (all, more): (&Kept, &Kept), changed: &[u8]) {
    fs::write(home.file(), changed).unwrap();
    let mut archive = home.open();
    let (kept, found) = everything(&mut archive);
    let is_kept = |(id, bytes): (&EnvelopeId, &Vec<u8>)| kept.get(id) == Some(bytes);
    assert!(all.iter().all(is_kept), "{} of {}: {found:?}", kept.len(), all.len());
    // What was removed before may have come back.
    assert!(kept.iter().all(|(id, bytes)| all.get(id).or(more.get(id)) == Some(bytes)));
    archive.begin(Unfit::default()).unwrap();
    keep_all(&mut archive, more);
    assert_eq!((archive.trouble(), archive.missed()), (None, 0));
    let (kept, _) = everything(&mut archive);
    assert_eq!(kept.len(), all.len() + more.len(), "nothing was written over what is there");
}

/// An archive with some free pages and no log, what it holds, and more for it to keep.
fn with_free_pages() -> (Home, Kept, Kept) {
    let (mut all, more) = (some(70), some(20));
    let home = Home::with(&all);
    let mut archive = home.begun();
    archive.discard(&more.keys().copied().collect::<Vec<_>>());
    archive.beat();
    drop(archive);
    all.retain(|id, _| !more.contains_key(id));
    assert!(fs::read(home.file()).unwrap()[36..40] != [0; 4], "it has free pages");
    (home, all, more)
}

#[test]
fn whatever_a_byte_of_the_first_page_says_no_envelope_is_lost() {
    let (home, all, more) = with_free_pages();
    let clean = fs::read(home.file()).unwrap();
    // Between the header and its one row, at the end, there is nothing.
    let (header, row) = (0..120, database::PAGE - 128..database::PAGE);
    let between = (header.end..row.start).step_by(32);
    for at in header.chain(between).chain(row) {
        let was = clean[at];
        // Of a header each byte decides something; of the rest it is where its row lies.
        let values: &[u8] = match at {
            16..24 | 28..40 | 52..64 => &[was ^ 1, was ^ 2, was ^ 0x80, 0, 1, 2, 3, 5, 0xff],
            0..120 => &[was ^ 1, was ^ 0x80, 0, 0xff],
            _ => &[was ^ 1],
        };
        for value in values.iter().filter(|value| **value != was) {
            let mut changed = clean.clone();
            changed[at] = *value;
            assert_keeps_all(&home, (&all, &more), &changed);
        }
    }
}

#[test]
fn changed_at_random_the_first_page_of_an_archive_costs_no_envelope() {
    let (home, all, more) = with_free_pages();
    let clean = fs::read(home.file()).unwrap();
    let (first, rest) = clean.split_at(database::PAGE);
    each_slow_case(&[first.to_vec()], |page| {
        let mut page = page.to_vec();
        page.resize(database::PAGE, 0);
        assert_keeps_all(&home, (&all, &more), &[&page, rest].concat());
        Reading::Taken
    });
}

/// Half a log went without a word: SQLite takes what follows a wrong checksum for what a crash left.
#[test]
fn a_byte_of_the_log_that_changed_costs_one_page_and_is_said() {
    let (killed, all, log) = killed_with_a_log(40);
    let frame = database::PAGE + 24;
    // Not those of the first writes, which the database has, nor the last frame, which a crash tears.
    for at in (0..log.len() - 4 * frame).step_by(3 * frame + 101) {
        let home = killed.copy();
        let mut changed = log.clone();
        changed[at] ^= 1;
        fs::write(home.log(), changed).unwrap();
        let (kept, scan) = home.contents();
        assert!(kept.len() + 1 >= all.len(), "{} of {} at {at}", kept.len(), all.len());
        assert_eq!(scan.salvaged, Some(kept.len() as u64), "{at}");
    }
}

#[test]
fn whatever_sqlite_says_is_damage_but_for_what_the_caller_or_the_system_did() {
    let is_damage = |code: i32| is_damage(&StoreError::Sqlite(code));
    // No such table, a fault of its own, another schema, a row too large, one that breaks a rule or
    // is of another type; and the longer code of one of them.
    assert!([1, 2, 17, 18, 19, 20, 1 | 2 << 8].into_iter().all(is_damage));
    // No permission, an interruption, a lock, a call out of order, and what is not to be had here.
    assert!(![3, 4, 9, 15, 21, 22, 23, 4 | 2 << 8].into_iter().any(is_damage));
}

#[test]
fn damage_while_it_runs_is_mended_and_the_rest_is_served() {
    let all = alike(400);
    let home = Home::with(&all);
    let mut archive = home.begun();
    let file = fs::OpenOptions::new().write(true).open(home.file()).unwrap();
    let pages = file.metadata().unwrap().len() / 1024;
    // The upper half of the file, and nobody has read it yet.
    for page in pages / 2..pages {
        file.write_all_at(&[0; 1024], page * 1024).unwrap();
    }
    let served: Vec<&EnvelopeId> = all
        .iter()
        .filter(|(id, bytes)| archive.get(id).is_some_and(|found| found == **bytes))
        .map(|(id, _)| id)
        .collect();
    let lost = archive.take_lost();
    assert_eq!(served.len() + lost.len(), all.len());
    assert!(served.len() > all.len() / 4, "only {} left", served.len());
    assert_eq!(archive.trouble(), None);
    keep_all(&mut archive, &all);
    drop(archive);
    assert_eq!(home.contents().0, all);
}

#[test]
fn what_was_mended_is_told_until_a_start_has_run_for_a_moment_and_then_no_more() {
    let whole = labelled(&alike(300), sized(LARGE));
    let (damaged, outdated) = (whole.copy(), with_fronts(&alike(300)));
    behead(&damaged);
    mark(&outdated, 1);
    let salvaged = ArchiveScan { salvaged: Some(300), ..ArchiveScan::default() };
    let anew = ArchiveScan { outdated: true, ..ArchiveScan::default() };
    for (home, told) in [(damaged, salvaged), (outdated, anew)] {
        // Ended before it went on: it is mended by the next.
        drop(home.open());
        let mut archive = home.open();
        assert_eq!(everything(&mut archive).1, told);
        archive.begin(Unfit::default()).unwrap();
        archive.beat();
        assert_eq!(home.copy().contents().1, told, "killed too soon");
        // Nor is it told because the end came in peace.
        drop(archive);
        let mut archive = home.open();
        assert_eq!(everything(&mut archive).1, told);
        archive.begin(Unfit::default()).unwrap();
        let_it_be_told(archive);
        assert_eq!(home.contents().1, ArchiveScan::default());
    }
}

#[test]
fn what_was_mended_while_it_ran_is_told_by_the_next_start() {
    let all = alike(50);
    let home = labelled(&all, sized(LARGE));
    let mut archive = home.open();
    everything(&mut archive);
    archive.begin(Unfit::default()).unwrap();
    archive.fail(&StoreError::Damaged);
    for _ in 0..TOLD_AFTER + 2 {
        archive.beat();
    }
    drop(archive);
    let mended = ArchiveScan { salvaged: Some(50), ..ArchiveScan::default() };
    assert_eq!(home.contents(), (all, mended));
}

#[test]
fn a_note_that_makes_no_sense_is_as_good_as_none() {
    let home = labelled(&alike(5), sized(LARGE));
    let path = home.0.path().join(FOLDER).join(note::NOTE_FILE);
    for text in [&b""[..], b"{", b"\"whole\"", b"{\"salvaged\":-1}", &[0xff; 900]] {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(home.contents().1, ArchiveScan::default());
    }
}
