//! What a node will hold once it is full, reckoned from what was chosen, and whether the machine has
//! as much.
//!
//! All of it is added up here and nowhere else: a room that was chosen must not be one that never
//! fills because another limit, or the machine, is reached before. So what cannot fit is refused at
//! the start, with the largest size that would; and what fits is said.

use std::path::Path;

use super::archive::{self, Archive, WrittenLabel};
use super::failure::{Failure, FailureCode, FailureText};
use super::net::NetLimits;
use super::os::{disk, memory};
use super::text::size;
use crate::engine::relay::pool::{
    BodyStorage, ENTRY_OVERHEAD, PLACE, PoolBounds, REMEMBERED_BYTES,
};
use crate::engine::settings::{DEFAULT_POOL, NodeSettings};
use crate::engine::sync::{COMPARED_CELLS, COMPARED_EACH};

/// What a node takes of its machine at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeBudget {
    places: u64,
    /// Bytes of memory for each place.
    each: u64,
    /// Bytes of memory for everything else.
    rest: u64,
    /// Bytes of a file, if envelopes are on disk.
    disk: Option<u64>,
}

/// What a machine has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineRoom {
    /// Bytes of memory; `None` if it is not known.
    pub memory: Option<u64>,
    /// Bytes of the disk of an archive, and those that its file has already; `None` if it is not
    /// known, or not asked.
    pub disk: Option<u64>,
}

impl MachineRoom {
    /// Looks at this one, and at the disk of an archive: its home folder, and its size in bytes.
    #[must_use]
    pub fn look(archive: Option<(&Path, u64)>) -> Self {
        let disk = archive.and_then(|(home, bytes)| room_to_grow(home, bytes));
        Self { memory: memory::available(), disk }
    }
}

/// The bytes that an archive may take of its disk; `None` where that is not asked. One that is there
/// in this size was let in before, and its relay starts on a full disk as it goes on on one. And
/// what lies in its place and is none is told when it is opened.
fn room_to_grow(home: &Path, bytes: u64) -> Option<u64> {
    let mut held = 0;
    if let Some(found) = Archive::on_disk(home) {
        let is_let_in = match &found.label {
            WrittenLabel::Missing => false,
            WrittenLabel::Whole(label) => label.bytes >= bytes,
            WrittenLabel::Unusable(_) => true,
        };
        if is_let_in || found.obstacle.is_some() {
            return None;
        }
        held = found.bytes.unwrap_or(0);
    }
    disk::available(home).map(|free| free.saturating_add(held))
}

impl NodeBudget {
    /// What a node with these settings takes. `archive` is the size of its archive, if it has one.
    #[must_use]
    pub fn of(node: &NodeSettings, archive: Option<u64>, net: &NetLimits) -> Self {
        let (each, cache) = match node.body_storage() {
            BodyStorage::Inline => (PLACE + COMPARED_EACH, 0),
            // An index takes some 350 bytes (tests/memory), so what is compared fits in, too.
            BodyStorage::External => (ENTRY_OVERHEAD, ARCHIVE_CACHE + ARCHIVE_WAITS),
        };
        let links = (2 * net.incoming + net.outgoing) as u64;
        let rest = PROCESS
            + (REMEMBERED_BYTES + COMPARED_CELLS) as u64
            + links * LINK
            + net.exchanges as u64 * EXCHANGE
            + cache;
        let disk = archive.map(archive::bytes_on_disk);
        Self { places: node.pool.places as u64, each: each as u64, rest, disk }
    }

    /// The bytes of memory that it takes when everything in it is full.
    #[must_use]
    pub const fn memory(&self) -> u64 {
        self.places.saturating_mul(self.each).saturating_add(self.rest)
    }

    /// Whether a machine has that left. A room no larger than a messenger's usual one is not refused
    /// for its memory, because no smaller one is worth much: it fills slowly.
    ///
    /// # Errors
    /// When it has not; says what would fit.
    pub fn check(&self, machine: MachineRoom) -> Result<(), Failure> {
        let needed = self.memory();
        if let Some(free) = machine.memory.filter(|free| *free < needed)
            && self.places > DEFAULT_POOL.places as u64
        {
            return Err(self.lacks_memory(needed, free, machine.disk));
        }
        match (self.disk, machine.disk) {
            (Some(needed), Some(free)) if free < needed => Err(lacks_disk(needed, free)),
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }

    fn lacks_memory(&self, needed: u64, free: u64, disk: Option<u64>) -> Failure {
        let room = asked(self.places);
        let fits = free.saturating_sub(self.rest) / self.each.max(1);
        let on_disk = disk.map_or(u64::MAX, |free| (mebibytes_on_disk(free) << 20) / PLACE as u64);
        let fits = fits.min(on_disk).clamp(PoolBounds::LEAST.places as u64, self.places);
        let fits = sized(fits);
        let (why, next) = match self.disk {
            None => (
                format!("{room} of envelopes in memory take up to {}", size::words(needed)),
                format!("choose at most --pool {fits}, or hold them on disk: --archive SIZE"),
            ),
            Some(_) => (
                format!(
                    "the index of {room} on disk takes up to {} of memory",
                    size::words(needed)
                ),
                format!("choose at most --archive {fits}"),
            ),
        };
        let why = format!("{why}, and {} are free", size::words(free));
        refused(&why, &next)
    }
}

/// The size that was asked for, as it was typed: it is for that many places, and the next place does not
/// fit in. In the largest unit of which a whole number is such a size.
fn asked(places: u64) -> String {
    let bytes = places.saturating_mul(PLACE as u64);
    let typed = [(30, "GiB"), (20, "MiB"), (10, "KiB")].into_iter().find_map(|(shift, unit)| {
        let number = bytes.div_ceil(1 << shift);
        let size = number.saturating_mul(1 << shift);
        (size.saturating_sub(bytes) < PLACE as u64).then(|| format!("{number}{unit}"))
    });
    typed.unwrap_or_else(|| bytes.to_string())
}

/// As many places as the argument that asks for them: whole MiB, or bytes.
fn sized(places: u64) -> String {
    let bytes = places.saturating_mul(PLACE as u64);
    match bytes >> 20 {
        0 => bytes.to_string(),
        mebibytes => format!("{mebibytes}MiB"),
    }
}

/// The MiB of an archive for which a disk with so much room is enough.
const fn mebibytes_on_disk(free: u64) -> u64 {
    // What the file takes is in proportion to its size, nearly.
    free.saturating_sub(archive::bytes_on_disk(0)) >> 20
}

fn lacks_disk(needed: u64, free: u64) -> Failure {
    let fits = mebibytes_on_disk(free);
    let why = format!(
        "an archive of that size takes up to {}, and its disk has room for {}",
        size::words(needed),
        size::words(free)
    );
    let next = match fits {
        0 => "free some space on the disk, or hold envelopes in memory: --pool SIZE".to_owned(),
        _ => format!("free some space on the disk, or choose at most --archive {fits}MiB"),
    };
    refused(&why, &next)
}

fn refused(why: &str, next: &str) -> Failure {
    let text = FailureText {
        what: "the node was not started",
        why,
        safe: "nothing was done; an archive stays as it is",
        next,
    };
    Failure::new(FailureCode::NoRoom, text)
}

/// A relay without envelopes and neighbours: 25 MiB resident (measured), and some for what comes and
/// goes.
const PROCESS: u64 = 32 << 20;

/// An idle neighbour (0.4 MiB, measured), and the MiB that may wait for one that takes its time.
const LINK: u64 = (14 << 20) / 10;

/// A request and its response.
const EXCHANGE: u64 = (4 << 20) / 10;

/// SQLite's pages in memory, and what is pending in a transaction.
const ARCHIVE_CACHE: u64 = 16 << 20;

/// What waits for the archive's thread: 8 MiB of envelopes, and orders.
const ARCHIVE_WAITS: u64 = 9 << 20;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::engine::envelope::Floor;
    use crate::engine::settings::{NodeRole, RELAY_POOL};
    use crate::shell::archive::{ArchiveLabel, ArchiveOverflow, Unfit};
    use crate::shell::net::NetworkName;

    fn budget(role: NodeRole, bytes: u64, archive: Option<u64>) -> NodeBudget {
        let pool = PoolBounds::of_bytes(usize::try_from(bytes).unwrap());
        let bodies = if archive.is_some() { BodyStorage::External } else { BodyStorage::Inline };
        let settings = NodeSettings { pool, bodies, ..NodeSettings::new(role, Floor::new(21)) };
        NodeBudget::of(&settings, archive, &NetLimits::default())
    }

    #[test]
    fn every_link_that_may_be_there_is_counted() {
        let settings = NodeSettings::new(NodeRole::Relay, Floor::new(21));
        let memory = |net: &NetLimits| NodeBudget::of(&settings, None, net).memory();
        let usual = NetLimits::default();
        let more_in = NetLimits { incoming: usual.incoming + 3, ..usual };
        let more_out = NetLimits { outgoing: usual.outgoing + 3, ..usual };
        // By TCP and by QUIC.
        assert_eq!(memory(&more_in) - memory(&usual), 6 * LINK);
        assert_eq!(memory(&more_out) - memory(&usual), 3 * LINK);
    }

    const PLENTY: MachineRoom = MachineRoom { memory: Some(1 << 40), disk: Some(1 << 50) };

    #[test]
    fn the_sizes_that_were_refused_by_no_limit_before_are_reckoned_and_refused_where_they_do_not_fit()
     {
        for (bytes, archive, memory) in [
            (4 << 30, None, (4 << 30) / 2_688 * (2_688 + 248)),
            (10 << 30, Some(10 << 30), (10 << 30) / 2_688 * 640),
        ] {
            let budget = budget(NodeRole::Relay, bytes, archive);
            assert!(budget.memory() > memory && budget.memory() < memory + (400 << 20));
            assert_eq!(budget.check(PLENTY), Ok(()));
            let unknown = MachineRoom { memory: None, disk: None };
            assert_eq!(budget.check(unknown), Ok(()), "what is not known refuses nobody");
            let enough = MachineRoom { memory: Some(budget.memory()), ..PLENTY };
            assert_eq!(budget.check(enough), Ok(()));
            let less = MachineRoom { memory: Some(budget.memory() - 1), ..PLENTY };
            let refused = budget.check(less).unwrap_err();
            assert_eq!(refused.code(), Some(FailureCode::NoRoom));
        }
    }

    #[test]
    fn the_size_that_is_advised_fits_and_none_that_is_a_mebibyte_larger_does() {
        let free = 2 << 30;
        let machine = MachineRoom { memory: Some(free), ..PLENTY };
        for (archive, argument) in [(None, "--pool "), (Some(64 << 30), "--archive ")] {
            let refused = budget(NodeRole::Relay, 64 << 30, archive).check(machine).unwrap_err();
            let (_, advised) = refused.next.split_once(argument).unwrap();
            let (mebibytes, _) = advised.split_once("MiB").unwrap();
            let bytes = mebibytes.parse::<u64>().unwrap() << 20;
            let sized = |bytes| budget(NodeRole::Relay, bytes, archive.map(|_| bytes));
            assert_eq!(sized(bytes).check(machine), Ok(()), "{bytes}");
            assert!(sized(bytes + (2 << 20)).check(machine).is_err(), "{bytes}");
        }
    }

    #[test]
    fn what_is_advised_for_want_of_memory_fits_on_the_disk_as_well() {
        let machine = MachineRoom { memory: Some(2 << 30), disk: Some(1 << 30) };
        let bytes = 100 << 30;
        let refused = budget(NodeRole::Relay, bytes, Some(bytes)).check(machine).unwrap_err();
        let (_, advised) = refused.next.split_once("--archive ").unwrap();
        let bytes = advised.trim_end_matches("MiB").parse::<u64>().unwrap() << 20;
        assert_eq!(budget(NodeRole::Relay, bytes, Some(bytes)).check(machine), Ok(()));
    }

    #[test]
    fn a_size_that_is_refused_is_named_as_it_was_typed() {
        let machine = MachineRoom { memory: Some(1 << 20), ..PLENTY };
        for (bytes, typed) in [
            (40 << 30, "40GiB of envelopes in memory"),
            (1536 << 20, "1536MiB of envelopes"),
            (100_000 << 10, "100000KiB of envelopes"),
        ] {
            let refused = budget(NodeRole::Relay, bytes, None).check(machine).unwrap_err();
            assert!(refused.why.starts_with(typed), "{}", refused.why);
            let on_disk = budget(NodeRole::Relay, bytes, Some(bytes)).check(machine).unwrap_err();
            let typed = format!("the index of {} on disk", typed.split(' ').next().unwrap());
            assert!(on_disk.why.starts_with(&typed), "{}", on_disk.why);
        }
    }

    #[test]
    fn a_disk_without_room_for_an_archive_refuses_it_and_what_it_has_already_counts_as_room() {
        let bytes = 10 << 30;
        let budget = budget(NodeRole::Relay, bytes, Some(bytes));
        let of_disk = |disk| budget.check(MachineRoom { disk: Some(disk), ..PLENTY });
        assert_eq!(of_disk(bytes + (9 << 20)), Ok(()));
        let refused = of_disk(1 << 30).unwrap_err();
        assert_eq!(refused.code(), Some(FailureCode::NoRoom));
        assert!(refused.next.ends_with("--archive 1015MiB"), "{}", refused.next);
        let refused = of_disk(0).unwrap_err();
        assert!(refused.next.ends_with("--pool SIZE"), "no size fits: {}", refused.next);
    }

    #[test]
    fn an_archive_that_is_there_in_its_size_is_not_asked_for_room_again_nor_what_is_no_archive() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let bytes = 64 << 20;
        let is_asked = |bytes| MachineRoom::look(Some((home.as_path(), bytes))).disk.is_some();
        assert!(is_asked(bytes), "there is none yet");
        let (network, floor) = (NetworkName::default(), Floor::new(8));
        let label = ArchiveLabel { network, floor, bytes };
        let mut archive = Archive::open(&home, label, ArchiveOverflow::Refused).unwrap();
        archive.begin(Unfit::default()).unwrap();
        drop(archive);
        assert!(!is_asked(bytes) && !is_asked(bytes - 1));
        assert!(is_asked(bytes + 1), "it is to grow");
        let label = home.join("archive/label.json");
        fs::remove_file(&label).unwrap();
        assert!(is_asked(bytes), "nobody knows its size");
        symlink("elsewhere", &label).unwrap();
        assert!(!is_asked(bytes), "that there is a link is what its owner is to be told");
    }

    #[test]
    fn a_messengers_room_is_refused_on_no_machine_and_a_relays_takes_less_than_is_free() {
        let messenger = budget(NodeRole::Messenger, DEFAULT_POOL.bytes() as u64, None);
        assert_eq!(messenger.check(MachineRoom { memory: Some(0), disk: None }), Ok(()));
        let relay = budget(NodeRole::Relay, RELAY_POOL.bytes() as u64, None);
        assert!(relay.memory() < 5 << 28, "{} bytes", relay.memory());
    }
}
