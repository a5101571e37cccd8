//! What an archive gives back: after restarts, damage, floods and trouble.

mod damage;
mod filling;
mod keeping;
mod labels;
mod refusals;
mod versions;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::PathBuf;

use tempfile::TempDir;

use super::database::DATABASE_FILE;
use super::open::{FOLDER, TOLD_AFTER};
use super::rows::put;
use super::*;
use crate::engine::env::{Seconds, UnixSeconds};
use crate::engine::envelope::{Envelope, EnvelopeId, Floor, Topic, WorkNonce};
use crate::shell::os::data_dir;

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

/// Overwrites the header of the database.
fn behead(home: &Home) {
    let mut bytes = fs::read(home.file()).unwrap();
    bytes[..1024].fill(0);
    fs::write(home.file(), bytes).unwrap();
}

/// All that lies in the folder of the archive, by name.
fn folder(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(home.0.path().join(FOLDER)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
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
