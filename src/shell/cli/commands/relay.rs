//! `undertone relay run`: no identity, nothing decrypted, and nothing on disk without an archive.
//!
//! Without a size it has the room that a relay among strangers should have, in memory if enough of
//! that is free.

use serde_json::json;

use crate::engine::relay::pool::PoolBounds;
use crate::engine::settings::{DEFAULT_POOL, NodeRole, RELAY_POOL};
use crate::shell::api::{
    ArchiveStatus, ClientInfo, ClientKind, Delivery, Event, EventFilter, EventKind, From,
    NetworkStatus, Stay, StepsStatus,
};
use crate::shell::archive::ArchiveOverflow;
use crate::shell::cli::args::{GlobalArgs, NetworkArgs, RoomArg};
use crate::shell::cli::connect::{home, online};
use crate::shell::cli::output::{self, OutputFormat};
use crate::shell::client::{Client, Connect, StoreOptions};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::memory;
use crate::shell::os::signals::StopSignals;
use crate::shell::runtime::{ArchiveHistory, ArchiveRecovery};
use crate::shell::text::price;

/// What a person said about the place where a relay holds envelopes, and about its size.
#[derive(Clone, Copy, Debug)]
pub(super) enum RelayStorage {
    /// Nothing.
    Usual,
    /// While it runs.
    Memory(RoomArg),
    /// On disk.
    Archive(RoomArg, ArchiveOverflow),
}

/// Whether anything may be stored on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DiskUse {
    Allowed,
    Forbidden,
}

/// The room that a relay has.
struct RelayRoom {
    place: RoomPlace,
    bytes: usize,
    /// Why it has that room there.
    why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RoomPlace {
    Memory,
    Archive,
}

impl RelayRoom {
    /// The room that was asked for; else the usual one, in memory if so many bytes of it are
    /// `available` that the system does not lack them.
    fn choose(storage: RelayStorage, disk: DiskUse, available: Option<u64>) -> Self {
        let usual = RELAY_POOL.bytes();
        match storage {
            RelayStorage::Memory(RoomArg(bytes)) => {
                Self { place: RoomPlace::Memory, bytes, why: "as --pool says".to_owned() }
            }
            RelayStorage::Archive(RoomArg(bytes), _) => {
                Self { place: RoomPlace::Archive, bytes, why: "as --archive says".to_owned() }
            }
            RelayStorage::Usual => {
                let lack = match available {
                    Some(free) if free >= ENOUGH_MEMORY => {
                        let why = format!("{} of memory are free", gibibytes(free));
                        return Self { place: RoomPlace::Memory, bytes: usual, why };
                    }
                    Some(free) => {
                        format!("only {} of memory are free, 2 GiB are needed", gibibytes(free))
                    }
                    None => "how much memory is free is not known on this system".to_owned(),
                };
                match disk {
                    DiskUse::Allowed => Self { place: RoomPlace::Archive, bytes: usual, why: lack },
                    DiskUse::Forbidden => Self {
                        place: RoomPlace::Memory,
                        bytes: DEFAULT_POOL.bytes(),
                        why: format!("{lack}, and --memory stores nothing on disk"),
                    },
                }
            }
        }
    }

    fn report(&self, format: OutputFormat) {
        let Self { place, bytes, why } = self;
        let places = PoolBounds::of_bytes(*bytes).places;
        let (word, words) = match place {
            RoomPlace::Memory => ("memory", "in memory, lost when the relay ends"),
            RoomPlace::Archive => ("archive", "on disk, in an archive in the home folder"),
        };
        match format {
            OutputFormat::Json => output::print_line(&output::to_ascii(&json!({
                "v": 1, "type": "room", "place": word, "places": places, "bytes": bytes, "why": why,
            }))),
            OutputFormat::Text => output::print_message(&format!(
                "room for {places} envelopes of 2 KiB {words}: {why}"
            )),
        }
    }
}

/// Bytes to a tenth of a GiB, rounded down.
fn gibibytes(bytes: u64) -> String {
    let tenths = ((bytes >> 20) * 10) >> 10;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

/// The free memory with which the usual room is held there: three times what it takes when it is
/// full, so that the machine's other programs keep some.
const ENOUGH_MEMORY: u64 = 2 << 30;

/// `undertone relay run`
pub(super) async fn run(
    global: &GlobalArgs,
    network: &NetworkArgs,
    storage: RelayStorage,
) -> Result<(), Failure> {
    let mut stop = StopSignals::listen()?;
    // A relay has nothing of its own to store.
    let mut options = online(StoreOptions::Memory, network, Stay::Long);
    options.node.role = NodeRole::Relay;
    if let Some(net) = options.net.as_mut().filter(|net| net.listen.is_empty()) {
        net.listen = DEFAULT_LISTEN.iter().filter_map(|address| address.parse().ok()).collect();
    }
    let disk = if global.memory { DiskUse::Forbidden } else { DiskUse::Allowed };
    let room = RelayRoom::choose(storage, disk, memory::available());
    let options = match room.place {
        RoomPlace::Memory => options.pool(room.bytes),
        RoomPlace::Archive => options.archive(home(global)?, room.bytes),
    };
    let options = match storage {
        RelayStorage::Archive(_, ArchiveOverflow::Removed) => options.shrink_archive(),
        RelayStorage::Archive(_, ArchiveOverflow::Refused)
        | RelayStorage::Usual
        | RelayStorage::Memory(_) => options,
    };
    let who = ClientInfo::new(ClientKind::Command);
    let (client, _) = Client::connect(Connect::Start(options), who).await?;
    let format = if global.json { OutputFormat::Json } else { OutputFormat::Text };
    room.report(format);
    if let Some(recovery) = client.archive_recovery() {
        report_recovery(&recovery, network, format);
    }
    let ended = report_network(&client, format, &mut stop).await;
    // Why the node ended goes before what followed from it.
    client.close().await?;
    match ended? {
        None => Ok(()),
        Some(why) => {
            let safe = "an archive keeps what it stored; nothing else was stored";
            let text = FailureText {
                what: "the relay stopped",
                why: &why.why,
                safe,
                next: "start it again",
            };
            Err(Failure::new(FailureCode::NodeEnded, text))
        }
    }
}

/// Prints the addresses of a node, its figures and its trouble, each when it changes, until a signal
/// comes or the node ends, which is why then.
pub(super) async fn report_network(
    client: &Client,
    format: OutputFormat,
    stop: &mut StopSignals,
) -> Result<Option<Failure>, Failure> {
    let mut events = client.events(EventFilter::of(&[EventKind::Network]), From::Now).await?;
    let mut reporter =
        NetworkReporter { format, addresses: Vec::new(), figures: None, trouble: None };
    loop {
        tokio::select! {
            delivery = events.next() => match delivery {
                Delivery::Event { event, .. } => {
                    if let Event::Network(figures) = *event {
                        reporter.report(&figures);
                    }
                }
                Delivery::Missed { .. } => {}
                Delivery::Ended(why) => return Ok(Some(*why)),
            },
            _ = stop.received() => break,
        }
    }
    output::print_message("stopping");
    Ok(None)
}

/// Reports what was loaded from an archive, for this network.
fn report_recovery(taken: &ArchiveRecovery, network: &NetworkArgs, format: OutputFormat) {
    let ArchiveRecovery { held, expired, refused, damaged, early, salvaged, history } = *taken;
    if format == OutputFormat::Json {
        return output::print_line(&output::to_ascii(&json!({
            "v": 1, "type": "archive", "held": held, "expired": expired, "refused": refused,
            "damaged": damaged, "early": early, "salvaged": salvaged,
            "outdated": history == ArchiveHistory::Outdated,
            "unnamed": history == ArchiveHistory::Unnamed,
        })));
    }
    match history {
        ArchiveHistory::Known => {}
        ArchiveHistory::Unnamed => output::print_message(&format!(
            "the archive did not say of which network it is: from now on it is of the network {} \
             with a floor of {} bits",
            network.network, network.floor,
        )),
        ArchiveHistory::Outdated => output::print_message(
            "the archive file was of an earlier version, whose envelopes no node carries any more: \
             it was removed and a new one begun",
        ),
    }
    if let Some(saved) = salvaged {
        output::print_message(&format!(
            "the archive file was damaged: {saved} envelopes were recovered into a new file; peers \
             may still have the rest"
        ));
    }
    if early > 0 {
        output::print_message(&format!(
            "{early} envelopes were made later than the clock of this computer says it is: they stay \
             on disk, and are loaded at the next start; check the clock"
        ));
    }
    output::print_message(&format!(
        "archive: {held} envelopes loaded; removed: {expired} expired, {refused} without room, \
         {damaged} damaged"
    ));
}

/// Reports addresses, figures and trouble, each when it changes.
struct NetworkReporter {
    format: OutputFormat,
    addresses: Vec<String>,
    /// Neighbours, envelopes and the steps that are asked.
    figures: Option<(usize, usize, StepsStatus)>,
    trouble: Option<String>,
}

impl NetworkReporter {
    fn report(&mut self, line: &NetworkStatus) {
        for address in &line.listening {
            if self.addresses.contains(address) {
                continue;
            }
            self.addresses.push(address.clone());
            match self.format {
                OutputFormat::Json => {
                    let data = json!({ "v": 1, "type": "listening", "address": address });
                    output::print_line(&output::to_ascii(&data));
                }
                OutputFormat::Text => output::print_line(&format!("listening on {address}")),
            }
        }
        let figures = (line.peers, line.pool_items, line.steps);
        // Programs get every change, people only those in the number of peers and in what is asked.
        let same = self.figures.is_some_and(|last| match self.format {
            OutputFormat::Json => last == figures,
            OutputFormat::Text => (last.0, last.2) == (figures.0, figures.2),
        });
        if !same {
            self.figures = Some(figures);
            self.report_figures(line);
        }
        if let Some(archive) = &line.archive {
            self.report_trouble(archive);
        }
    }

    fn report_figures(&self, line: &NetworkStatus) {
        let (peers, items) = (line.peers, line.pool_items);
        if self.format == OutputFormat::Json {
            let data = json!({
                "v": 1, "type": "network", "peers": peers,
                "pool_items": items, "pool_bytes": line.pool_bytes,
                "steps": line.steps, "fill": line.fill, "line": line.line,
                "archive_bytes": line.archive.as_ref().map(|archive| archive.bytes),
            });
            return output::print_line(&output::to_ascii(&data));
        }
        let disk = line.archive.as_ref().map(|on| format!(", {} KiB on disk", on.bytes >> 10));
        output::print_message(&format!(
            "peers {peers}, pool {items} envelopes{}; room: {}; line: {}; asks {}",
            disk.unwrap_or_default(),
            price::fill(line.fill),
            price::line(line.line),
            price::steps(line.steps),
        ));
    }

    /// Reports once that the archive stores nothing, and once that it does again.
    fn report_trouble(&mut self, archive: &ArchiveStatus) {
        let ArchiveStatus { bytes: _, missed, trouble } = archive;
        if self.trouble == *trouble {
            return;
        }
        self.trouble.clone_from(trouble);
        if self.format == OutputFormat::Json {
            return output::print_line(&output::to_ascii(&json!({
                "v": 1, "type": "archive_trouble", "trouble": trouble, "missed": missed,
            })));
        }
        output::print_message(&match trouble {
            Some(why) => not_kept(why, *missed).render(),
            None => format!("the archive stores envelopes again; {missed} were not stored"),
        });
    }
}

fn not_kept(why: &str, missed: u64) -> Failure {
    let what = "the archive stores no more envelopes at the moment";
    let safe = format!(
        "the relay still forwards, and has what it stored before; {missed} were not stored"
    );
    let next =
        "free some space or make the disk writable; it retries automatically, twice a minute";
    Failure::new(FailureCode::NotArchived, FailureText { what, why, safe: &safe, next })
}

/// The addresses on which a relay listens without `--listen`; 4141 has no registered service of
/// note.
const DEFAULT_LISTEN: [&str; 4] = [
    "/ip4/0.0.0.0/tcp/4141",
    "/ip4/0.0.0.0/udp/4141/quic-v1",
    "/ip6/::/tcp/4141",
    "/ip6/::/udp/4141/quic-v1",
];

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING_SAID: RelayStorage = RelayStorage::Usual;

    fn chosen(disk: DiskUse, available: Option<u64>) -> (RoomPlace, usize, String) {
        let RelayRoom { place, bytes, why } = RelayRoom::choose(NOTHING_SAID, disk, available);
        (place, PoolBounds::of_bytes(bytes).places, why)
    }

    #[test]
    fn a_relay_has_its_usual_room_in_memory_only_where_that_is_free() {
        let (memory, archive) = (RoomPlace::Memory, RoomPlace::Archive);
        for (available, place, why) in [
            (Some(2 << 30), memory, "2.0 GiB of memory are free"),
            (Some(u64::MAX), memory, "17179869183.9 GiB of memory are free"),
            (Some((2 << 30) - 1), archive, "only 1.9 GiB of memory are free, 2 GiB are needed"),
            (Some(0), archive, "only 0.0 GiB of memory are free, 2 GiB are needed"),
            (None, archive, "how much memory is free is not known on this system"),
        ] {
            let (chosen, places, told) = chosen(DiskUse::Allowed, available);
            assert_eq!((chosen, places, told.as_str()), (place, 293_000, why));
        }
    }

    #[test]
    fn a_relay_that_may_store_nothing_on_disk_holds_less_where_memory_is_short() {
        let (place, places, why) = chosen(DiskUse::Forbidden, Some(1 << 30));
        assert_eq!((place, places), (RoomPlace::Memory, DEFAULT_POOL.places));
        assert!(why.ends_with("and --memory stores nothing on disk"), "{why}");
        let (place, places, _) = chosen(DiskUse::Forbidden, Some(4 << 30));
        assert_eq!((place, places), (RoomPlace::Memory, RELAY_POOL.places));
    }

    #[test]
    fn what_was_said_of_the_room_counts_whatever_is_free() {
        for available in [None, Some(0), Some(u64::MAX)] {
            let choose = |storage| RelayRoom::choose(storage, DiskUse::Allowed, available);
            let memory = choose(RelayStorage::Memory(RoomArg(1 << 20)));
            assert_eq!((memory.place, memory.bytes), (RoomPlace::Memory, 1 << 20));
            let archive = choose(RelayStorage::Archive(RoomArg(1 << 30), ArchiveOverflow::Refused));
            assert_eq!((archive.place, archive.bytes), (RoomPlace::Archive, 1 << 30));
        }
    }
}
