//! What an archive gives back: after restarts, damage, floods and trouble.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::PathBuf;

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::database::{DATABASE_FILE, SPARE_PAGES, is_damage};
use super::open::{FOLDER, REST, TOLD_AFTER};
use super::rows::{place, put};
use super::*;
use crate::engine::env::{Seconds, UnixSeconds};
use crate::engine::envelope::{Envelope, EnvelopeId, Floor, Topic, WorkNonce};
use crate::engine::price::BLOCK;
use crate::engine::relay::pool::PoolBounds;
use crate::engine::testing::mutate::{Reading, each_slow_case};
use crate::shell::os::data_dir;
use crate::shell::store::StoreError;

/// Far more than a test keeps.
const LARGE: u64 = 64 << 20;

/// Envelopes by their ids.
pub(super) type Kept = BTreeMap<EnvelopeId, Vec<u8>>;

/// A home folder with an archive.
pub(super) struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        Self(folder)
    }

    fn open(&self) -> Archive {
        self.open_as(sized(LARGE)).unwrap()
    }

    /// Opens it and goes on with it, whatever is in it.
    fn begun(&self) -> Archive {
        let mut archive = self.open();
        archive.begin(Unfit::default()).unwrap();
        archive
    }

    fn open_as(&self, label: ArchiveLabel) -> Result<Archive, ArchiveError> {
        Archive::open(self.0.path(), label, ArchiveOverflow::Refused)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(FOLDER).join(DATABASE_FILE)
    }

    fn log(&self) -> PathBuf {
        self.file().with_extension("db-wal")
    }

    /// Everything that is handed over at a start, and what was found.
    fn contents(&self) -> (Kept, ArchiveScan) {
        let mut archive = self.open();
        let found = everything(&mut archive);
        archive.begin(Unfit::default()).unwrap();
        found
    }

    /// What a killed process leaves, or a backup made while it runs: the files as they are.
    fn copy(&self) -> Self {
        let copy = Self::new();
        let to = copy.0.path().join(FOLDER);
        data_dir::prepare(&to).unwrap();
        for entry in fs::read_dir(self.0.path().join(FOLDER)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        copy
    }

    /// A home whose archive was closed after it had kept `envelopes`.
    fn with(envelopes: &Kept) -> Self {
        let home = Self::new();
        keep_all(&mut home.begun(), envelopes);
        home
    }
}

/// What a process leaves that was killed after it had kept so many envelopes, in some writes: the
/// home, what it kept, and the log beside its database.
pub(super) fn killed_with_a_log(count: u64) -> (Home, Kept, Vec<u8>) {
    let (home, all) = (Home::new(), alike(count));
    let mut archive = home.begun();
    for (id, bytes) in &all {
        archive.keep(*id, bytes);
        archive.beat();
    }
    let copy = home.copy();
    let log = fs::read(copy.log()).unwrap();
    (copy, all, log)
}

/// The label of a network of the tests.
fn sized(bytes: u64) -> ArchiveLabel {
    ArchiveLabel { network: "tests".parse().unwrap(), floor: Floor::new(4), bytes }
}

fn keep_all(archive: &mut Archive, envelopes: &Kept) {
    for (id, bytes) in envelopes {
        archive.keep(*id, bytes);
    }
    archive.beat();
}

/// Runs an archive as long as it takes until what was mended counts as told, and closes it.
fn let_it_be_told(mut archive: Archive) {
    for _ in 0..=TOLD_AFTER {
        archive.beat();
    }
}

/// Takes over what is there, all of it or what it decides.
struct Claims<D> {
    kept: Kept,
    decide: D,
}

impl<D: FnMut(EnvelopeId) -> Disposition> Claims<D> {
    fn new(decide: D) -> Self {
        Self { kept: Kept::new(), decide }
    }
}

impl<D: FnMut(EnvelopeId) -> Disposition> Claimant for Claims<D> {
    fn claim(&mut self, id: EnvelopeId, bytes: Vec<u8>) -> Disposition {
        assert!(self.kept.insert(id, bytes).is_none(), "it comes once");
        (self.decide)(id)
    }

    fn begin_again(&mut self) {
        self.kept.clear();
    }
}

fn everything(archive: &mut Archive) -> (Kept, ArchiveScan) {
    let mut all = Claims::new(|_| Disposition::Held);
    let taken = archive.take_over(&mut all).unwrap();
    (all.kept, taken)
}

/// Bytes that look random and follow from a number. SplitMix64.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next());
    }
    bytes.truncate(length);
    bytes
}

/// An envelope of this size, or of a byte less where there is none: with data of 128 bytes the
/// length before it becomes a byte longer.
fn envelope(number: u64, size: usize) -> (EnvelopeId, Vec<u8>) {
    let most = size.checked_sub(SMALLEST).expect("no envelope is so small");
    // The length of the data takes 1 to 3 bytes.
    let fitting = (0..3).map(|less| encoded(number, most.saturating_sub(less)));
    let bytes = fitting.into_iter().find(|bytes| bytes.len() <= size).unwrap();
    (EnvelopeId::of(&bytes).unwrap(), bytes)
}

/// Bytes of an envelope without data.
const SMALLEST: usize = 31;

fn encoded(number: u64, data: usize) -> Vec<u8> {
    let data = noise(number, data);
    let (expiry, ttl) = (UnixSeconds(490_896 * 3_600), Seconds(86_400));
    Envelope { expiry, ttl, topic: Topic([1, 2, 3, 4]), data: &data, nonce: WorkNonce(number) }
        .encode()
}

fn some(count: u64) -> Kept {
    let sizes = [2048, 2048, 2048, 40, 990, 5000, 65_536, 2048];
    (0..count)
        .map(|number| envelope(number, sizes[usize::try_from(number).unwrap() % sizes.len()]))
        .collect()
}

fn alike(count: u64) -> Kept {
    (0..count).map(|number| envelope(number, 2048)).collect()
}

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
enum Damage {
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

    fn apply(self, bytes: &mut Vec<u8>) {
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

/// Makes the file say that it is of a version.
fn mark(home: &Home, version: u32) {
    let file = fs::OpenOptions::new().write(true).open(home.file()).unwrap();
    file.write_all_at(&version.to_be_bytes(), 60).unwrap();
}

/// A home whose archive has `envelopes` in the places that version 1 gave them: by the front of
/// their ids.
fn with_fronts(envelopes: &Kept) -> Home {
    let home = Home::new();
    let archive = home.begun();
    for (EnvelopeId(id), bytes) in envelopes {
        let front = u64::from_be_bytes(*id.first_chunk().unwrap()) >> 1;
        put(archive.connection.as_ref().unwrap(), front.cast_signed(), bytes).unwrap();
    }
    home
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
fn what_lies_where_the_database_keeps_its_own_files_is_looked_at_before_it_is_opened() {
    let home = Home::with(&alike(3));
    for end in ["-journal", "-wal", "-shm"] {
        let mut path = home.file().into_os_string();
        path.push(end);
        // Left by a killed process, and open to others since.
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let wide = home.open_as(sized(LARGE)).err().unwrap();
        assert!(matches!(wide, ArchiveError::Store(StoreError::UnsafePermissions(_))), "{wide}");
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(home.contents().0.len(), 3);
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
fn whatever_sqlite_says_is_damage_but_for_what_the_caller_or_the_system_did() {
    let is_damage = |code: i32| is_damage(&StoreError::Sqlite(code));
    // No such table, a fault of its own, another schema, a row too large, one that breaks a rule or
    // is of another type; and the longer code of one of them.
    assert!([1, 2, 17, 18, 19, 20, 1 | 2 << 8].into_iter().all(is_damage));
    // No permission, an interruption, a lock, a call out of order, and what is not to be had here.
    assert!(![3, 4, 9, 15, 21, 22, 23, 4 | 2 << 8].into_iter().any(is_damage));
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

/// Holds so many of what is there, and has no room for the rest.
struct Room {
    most: u64,
    unfit: Unfit,
}

impl Claimant for Room {
    fn claim(&mut self, _: EnvelopeId, _: Vec<u8>) -> Disposition {
        if self.unfit.held == self.most {
            self.unfit.without_room += 1;
            return Disposition::Dropped;
        }
        self.unfit.held += 1;
        Disposition::Held
    }

    fn begin_again(&mut self) {
        self.unfit = Unfit::default();
    }
}

/// A start in which the engine holds so many of what is there and has no room for the rest.
fn start(
    home: &Home,
    label: ArchiveLabel,
    (most, overflow): (u64, ArchiveOverflow),
) -> Result<(Archive, Naming), ArchiveError> {
    let mut archive = Archive::open(home.0.path(), label, overflow)?;
    let mut room = Room { most, unfit: Unfit::default() };
    archive.take_over(&mut room)?;
    let naming = archive.begin(room.unfit)?;
    Ok((archive, naming))
}

const REFUSED: ArchiveOverflow = ArchiveOverflow::Refused;

/// What an archive says of itself.
fn on_disk(home: &Home) -> Option<ArchiveLabel> {
    Archive::on_disk(home.0.path()).unwrap().label.known().cloned()
}

/// A home whose archive was filled and given this label, and closed.
fn labelled(envelopes: &Kept, label: ArchiveLabel) -> Home {
    let home = Home::new();
    let (mut archive, naming) = start(&home, label, (u64::MAX, REFUSED)).unwrap();
    assert_eq!(naming, Naming::AsBefore, "a new one");
    keep_all(&mut archive, envelopes);
    home
}

#[test]
fn a_smaller_size_that_not_all_fits_into_is_refused_and_removes_nothing_unless_that_is_asked_for() {
    let all = alike(600);
    let (before, small) = (sized(LARGE), sized(688_128));
    let home = labelled(&all, before.clone());
    for _ in 0..2 {
        let refused = start(&home, small.clone(), (256, REFUSED)).unwrap_err();
        let ArchiveError::Overflows { over: 344, all: 600, wanted, before: Some(was), .. } =
            refused
        else {
            panic!("{refused}")
        };
        assert!(wanted == small && was == before);
        assert_eq!(home.contents(), (all.clone(), ArchiveScan::default()));
        assert!(on_disk(&home).as_ref() == Some(&before));
    }
    // A smaller size that all fits into takes nothing away; a larger one neither.
    for bytes in [LARGE / 2, LARGE * 4, LARGE] {
        drop(start(&home, sized(bytes), (600, REFUSED)).unwrap());
        assert!(on_disk(&home) == Some(sized(bytes)));
        assert_eq!(home.contents().0, all);
    }
    let on_purpose = (256, ArchiveOverflow::Removed);
    let (mut archive, _) = start(&home, small.clone(), on_purpose).unwrap();
    archive.beat();
    drop(archive);
    assert_eq!(home.contents().0.len(), 256);
    // It has this size now, and the next start needs no word.
    drop(start(&home, small, (256, REFUSED)).unwrap());
}

#[test]
fn what_was_on_its_way_out_when_a_process_was_killed_keeps_no_relay_from_starting() {
    let home = labelled(&alike(300), sized(688_128));
    let (mut archive, _) = start(&home, sized(688_128), (256, REFUSED)).unwrap();
    archive.beat();
    drop(archive);
    assert_eq!(home.contents().0.len(), 256);
}

#[test]
fn an_archive_belongs_to_its_network_and_floor_and_one_that_holds_nothing_to_nobody() {
    let all = alike(20);
    let ours = sized(LARGE);
    let home = labelled(&all, ours.clone());
    let others = [
        ArchiveLabel { network: "test".parse().unwrap(), ..ours.clone() },
        ArchiveLabel { floor: Floor::new(3), ..ours.clone() },
        ArchiveLabel { floor: Floor::new(5), ..ours.clone() },
    ];
    for other in others.clone() {
        for overflow in [REFUSED, ArchiveOverflow::Removed] {
            let refused = start(&home, other.clone(), (0, overflow)).unwrap_err();
            let ArchiveError::OtherNetwork { of, wanted } = refused else { panic!("{refused}") };
            assert!(of == ours && wanted == other);
        }
    }
    assert!(on_disk(&home) == Some(ours.clone()));
    let seen = Archive::on_disk(home.0.path()).unwrap();
    assert_eq!(seen.bytes, Some(fs::metadata(home.file()).unwrap().len()));
    assert_eq!(home.contents(), (all, ArchiveScan::default()));

    let nothing = labelled(&Kept::new(), ours.clone());
    let mut before = ours;
    for other in others {
        let (archive, naming) = start(&nothing, other.clone(), (0, REFUSED)).unwrap();
        drop(archive);
        assert!(naming == Naming::Was(std::mem::replace(&mut before, other.clone())));
        assert!(on_disk(&nothing) == Some(other));
    }
}

#[test]
fn an_archive_without_a_label_is_given_the_network_of_the_first_start_that_it_fits() {
    let all = alike(300);
    let home = labelled(&all, sized(LARGE));
    // As earlier builds left it.
    fs::remove_file(home.0.path().join(FOLDER).join(label::LABEL_FILE)).unwrap();
    assert!(on_disk(&home).is_none());
    let refused = start(&home, sized(688_128), (256, REFUSED)).unwrap_err();
    let ArchiveError::Overflows { over: 44, all: 300, before: None, .. } = refused else {
        panic!("{refused}")
    };
    let mut archive = home.open();
    let unfit = Unfit { below_floor: 1, without_room: 0, held: 299 };
    let refused = archive.begin(unfit).unwrap_err();
    drop(archive);
    let ArchiveError::BelowFloor { below: 1, all: 300, floor, .. } = refused else {
        panic!("{refused}")
    };
    assert!(floor == Floor::new(4) && on_disk(&home).is_none(), "nothing was decided");
    for (label, expected) in [
        (sized(LARGE), Naming::New),
        (sized(LARGE), Naming::AsBefore),
        (sized(LARGE * 2), Naming::Was(sized(LARGE))),
    ] {
        let (archive, naming) = start(&home, label.clone(), (300, REFUSED)).unwrap();
        assert_eq!(naming, expected);
        drop(archive);
        assert!(on_disk(&home) == Some(label));
    }
    assert_eq!(home.contents().0, all);
}

#[test]
fn a_label_that_is_there_and_says_nothing_is_an_error_and_not_that_of_an_earlier_build() {
    let home = labelled(&alike(20), sized(LARGE));
    behead(&home);
    let label = home.0.path().join(FOLDER).join(label::LABEL_FILE);
    for (text, fault) in [
        (&b""[..], LabelFault::Empty),
        (b"{\"network\":", LabelFault::Garbled),
        (&[0; 900], LabelFault::Garbled),
    ] {
        fs::write(&label, text).unwrap();
        let before = folder(&home);
        for overflow in [REFUSED, ArchiveOverflow::Removed] {
            let refused = start(&home, sized(LARGE), (20, overflow)).unwrap_err();
            assert!(matches!(refused, ArchiveError::Label(why) if why == fault), "{refused}");
        }
        assert!(folder(&home) == before, "nothing was touched");
        let seen = Archive::on_disk(home.0.path()).unwrap();
        assert!(seen.label == WrittenLabel::Unusable(fault));
    }
    fs::remove_file(&label).unwrap();
    fs::create_dir(&label).unwrap();
    let refused = start(&home, sized(LARGE), (20, REFUSED)).unwrap_err();
    assert!(matches!(refused, ArchiveError::Label(LabelFault::NotAFile)), "{refused}");
}

/// All that lies in the folder of the archive, by name.
fn folder(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(home.0.path().join(FOLDER)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Overwrites the header of the database.
fn behead(home: &Home) {
    let mut bytes = fs::read(home.file()).unwrap();
    bytes[..1024].fill(0);
    fs::write(home.file(), bytes).unwrap();
}

#[test]
fn a_start_in_another_network_changes_no_byte_of_an_archive_in_whatever_state_that_is() {
    let home = labelled(&alike(300), sized(LARGE));
    let killed = {
        let mut archive = home.begun();
        keep_all(&mut archive, &some(20));
        home.copy()
    };
    let (damaged, outdated, foreign) = (home.copy(), home.copy(), home.copy());
    behead(&damaged);
    mark(&outdated, 1);
    fs::write(foreign.file(), b"something else").unwrap();
    let noted = damaged.copy();
    drop(noted.contents());
    assert!(noted.0.path().join(FOLDER).join(note::NOTE_FILE).exists());
    for home in [home, killed, damaged, outdated, foreign, noted] {
        let before = folder(&home);
        for overflow in [REFUSED, ArchiveOverflow::Removed] {
            let other = ArchiveLabel { network: "test".parse().unwrap(), ..sized(LARGE) };
            let refused = start(&home, other, (0, overflow)).unwrap_err();
            assert!(matches!(refused, ArchiveError::OtherNetwork { .. }), "{refused}");
            assert!(folder(&home) == before);
        }
    }
}

#[test]
fn an_archive_that_holds_nothing_is_seen_to_be_empty_wherever_its_folder_lies() {
    let home = Home::new();
    let folder = home.0.path().join("100% ?mode=ro#\u{e9}");
    data_dir::prepare(&folder).unwrap();
    let open = |label| Archive::open(&folder, label, REFUSED);
    let other = ArchiveLabel { network: "test".parse().unwrap(), ..sized(LARGE) };
    open(sized(LARGE)).unwrap().begin(Unfit::default()).unwrap();
    let mut archive = open(other.clone()).unwrap();
    archive.begin(Unfit::default()).unwrap();
    keep_all(&mut archive, &alike(1));
    drop(archive);
    assert!(matches!(open(sized(LARGE)), Err(ArchiveError::OtherNetwork { .. })));
    drop(open(other).unwrap());
}

#[test]
fn a_start_that_is_refused_changes_no_byte_of_an_archive_in_whatever_state_that_is() {
    let home = labelled(&alike(600), sized(LARGE));
    let killed = {
        let mut archive = home.begun();
        keep_all(&mut archive, &some(20));
        home.copy()
    };
    let (damaged, unnamed) = (home.copy(), home.copy());
    behead(&damaged);
    let damaged_and_killed = killed.copy();
    behead(&damaged_and_killed);
    let damaged_and_unnamed = damaged.copy();
    let (whole, hurt) = (FileCondition::Whole, FileCondition::Damaged);
    for home in [&unnamed, &damaged_and_unnamed] {
        fs::remove_file(home.0.path().join(FOLDER).join(label::LABEL_FILE)).unwrap();
    }
    for (home, expected) in [
        (&home, whole),
        (&killed, whole),
        (&unnamed, whole),
        (&damaged, hurt),
        // Its first page lies in the log, too.
        (&damaged_and_killed, whole),
        (&damaged_and_unnamed, hurt),
    ] {
        let before = folder(home);
        for _ in 0..2 {
            let refused = start(home, sized(688_128), (256, REFUSED)).unwrap_err();
            assert!(matches!(refused, ArchiveError::Overflows { .. }), "{refused}");
            assert_eq!(refused.file(), expected);
            assert!(folder(home) == before);
        }
    }
    // A floor above what the envelopes show.
    for (home, expected) in [(&unnamed, whole), (&damaged_and_unnamed, hurt)] {
        let before = folder(home);
        let mut archive = home.open();
        everything(&mut archive);
        let unfit = Unfit { below_floor: 600, without_room: 0, held: 0 };
        let refused = archive.begin(unfit).unwrap_err();
        drop(archive);
        assert!(matches!(refused, ArchiveError::BelowFloor { below: 600, all: 600, .. }));
        assert_eq!(refused.file(), expected);
        assert!(folder(home) == before);
    }
    let mut all = alike(600);
    all.extend(some(20));
    let mended = ArchiveScan { salvaged: Some(all.len() as u64), ..ArchiveScan::default() };
    let (kept, found) = damaged.contents();
    assert!(kept == all && found == mended, "it goes on as soon as it may: {found:?}");
}

#[test]
fn what_is_read_twice_because_of_damage_is_counted_once() {
    let home = labelled(&alike(600), sized(LARGE));
    fs::remove_file(home.0.path().join(FOLDER).join(label::LABEL_FILE)).unwrap();
    let mut bytes = fs::read(home.file()).unwrap();
    let pages = bytes.len() / database::PAGE;
    // Of the pages in the middle some are leaves, and what lies before them is handed over first.
    for page in (pages / 2..pages).step_by(40) {
        Damage::Zero(page).apply(&mut bytes);
    }
    fs::write(home.file(), bytes).unwrap();
    let refused = start(&home, sized(688_128), (256, REFUSED)).unwrap_err();
    let ArchiveError::Overflows { over, all, .. } = refused else { panic!("{refused}") };
    let (kept, found) = home.contents();
    assert!(found.salvaged.is_some() && kept.len() < 600, "{found:?}");
    assert_eq!((over, all), (kept.len() as u64 - 256, kept.len() as u64));
}

#[test]
fn an_archive_that_was_there_without_a_label_is_said_to_name_no_network_though_it_holds_nothing() {
    let home = labelled(&Kept::new(), sized(LARGE));
    fs::remove_file(home.0.path().join(FOLDER).join(label::LABEL_FILE)).unwrap();
    let (_, naming) = start(&home, sized(LARGE), (0, REFUSED)).unwrap();
    assert_eq!(naming, Naming::New);
    let (_, naming) = start(&Home::new(), sized(LARGE), (0, REFUSED)).unwrap();
    assert_eq!(naming, Naming::AsBefore, "nobody can have named a new one");
}

#[test]
fn whatever_stands_where_the_folder_or_a_file_of_an_archive_belongs_is_named_and_left_alone() {
    let names = [
        "",
        "envelopes.db",
        "envelopes.db-wal",
        "envelopes.db-journal",
        "envelopes.db.new",
        "mended.json",
        "mended.json.new",
        "label.json.new",
        "lock",
    ];
    for name in names {
        let home = Home::new();
        let path = home.0.path().join(FOLDER).join(name);
        let folder = home.0.path().join(FOLDER);
        data_dir::prepare(&folder).unwrap();
        if name.is_empty() {
            fs::remove_dir(&folder).unwrap();
            fs::write(&folder, "a file").unwrap();
        } else {
            fs::create_dir(&path).unwrap();
        }
        let refused = home.open_as(sized(LARGE)).unwrap_err();
        let ArchiveError::Obstacle(obstacle) = refused else { panic!("{name}: {refused}") };
        let expected = if name.is_empty() {
            format!("{folder:?} is a file, and the folder of an archive belongs there")
        } else {
            format!("{path:?} is a folder, and a file of an archive belongs there")
        };
        assert_eq!(obstacle.words(), expected);
        let seen = Archive::on_disk(home.0.path()).unwrap();
        assert!(seen.obstacle == Some(obstacle) && seen.bytes.is_none(), "{name}");
        if !name.is_empty() {
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "{name}: nothing was made");
        }
    }
}

#[test]
fn a_link_in_the_place_of_an_archive_or_its_database_is_named_wherever_it_leads() {
    use std::os::unix::fs::symlink;
    let home = Home::new();
    let folder = home.0.path().join(FOLDER);
    symlink("nowhere", &folder).unwrap();
    let told = |home: &Home| {
        let refused = home.open_as(sized(LARGE)).unwrap_err();
        let ArchiveError::Obstacle(obstacle) = refused else { panic!("{refused}") };
        obstacle.words().to_owned()
    };
    assert!(
        told(&home).ends_with("/archive\" is a link, and the folder of an archive belongs there")
    );
    fs::remove_file(&folder).unwrap();
    data_dir::prepare(&folder).unwrap();
    symlink("/dev/null", home.file()).unwrap();
    assert!(
        told(&home).ends_with("envelopes.db\" is a link, and a file of an archive belongs there")
    );
    assert!(Archive::on_disk(Home::new().0.path()).is_none(), "nothing is in the way of a new one");
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
fn a_label_that_the_disk_did_not_take_is_written_once_it_does() {
    let home = labelled(&alike(5), sized(LARGE));
    let mut archive = home.open_as(sized(LARGE * 2)).unwrap();
    everything(&mut archive);
    // Whatever makes the name of the new file impossible stands for a disk that is full.
    let in_the_way = home.0.path().join(FOLDER).join(format!("{}.new", label::LABEL_FILE));
    fs::create_dir(&in_the_way).unwrap();
    archive.begin(Unfit::default()).unwrap();
    archive.beat();
    assert!(on_disk(&home) == Some(sized(LARGE)));
    fs::remove_dir(&in_the_way).unwrap();
    archive.beat();
    assert!(on_disk(&home) == Some(sized(LARGE * 2)));
}
