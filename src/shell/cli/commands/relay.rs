//! `undertone relay run`: no identity, nothing decrypted, and nothing on disk without an archive.
//!
//! Without a size it goes on with the archive of its home folder. If there is none, it has the room
//! that a relay among strangers should have, in memory if enough of that is free.
//!
//! An archive of another network refuses such a start, however much memory is free: a relay that was
//! started once without its `--network` would else leave its network, and hold what it is told to
//! keep on disk in memory. Whoever wants that says `--pool`, or chooses another folder.

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::envelope::Floor;
use crate::engine::relay::pool::{BodyStorage, PoolBounds};
use crate::engine::settings::{DEFAULT_POOL, NodeRole, NodeSettings, RELAY_POOL};
use crate::shell::api::{
    ArchiveStatus, ClientInfo, ClientKind, Delivery, Event, EventFilter, EventKind, From,
    NetworkStatus, Stay, StepsStatus,
};
use crate::shell::archive::{
    Archive, ArchiveLabel, ArchiveObstacle, ArchiveOverflow, WrittenLabel,
};
use crate::shell::budget::NodeBudget;
use crate::shell::cli::args::{GlobalArgs, NetworkArgs, RoomArg};
use crate::shell::cli::connect::{close, home, online};
use crate::shell::cli::line_queue::NodeLines;
use crate::shell::cli::output::{self, OutputFormat};
use crate::shell::client::{Client, Connect, NodeOptions, StoreOptions};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::net::NetLimits;
use crate::shell::os::memory;
use crate::shell::os::signals::StopSignals;
use crate::shell::runtime::{ArchiveHistory, ArchiveRecovery};
use crate::shell::text::{network_words, price, size};

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

/// The archive that lies in the home folder.
enum HomeArchive {
    Missing,
    /// It is of the relay's network, and has this size.
    Ours(usize),
    /// It does not say of which network it is, nor its size.
    Unnamed,
    /// It is of another network: this one.
    Other(ArchiveLabel),
    /// What it says of itself cannot be used.
    Unclear,
    /// There is none, and something else is in its place: this.
    Obstacle(ArchiveObstacle),
}

impl HomeArchive {
    fn of(global: &GlobalArgs, network: &NetworkArgs) -> Self {
        let Some(found) = home(global).ok().and_then(|home| Archive::on_disk(&home)) else {
            return Self::Missing;
        };
        if let (None, Some(obstacle)) = (found.bytes, found.obstacle) {
            return Self::Obstacle(obstacle);
        }
        let label = match found.label {
            WrittenLabel::Missing => return Self::Unnamed,
            WrittenLabel::Whole(label) => label,
            WrittenLabel::Unusable(_) => return Self::Unclear,
        };
        let (name, floor) = (network.network.clone(), Floor::new(network.floor));
        if label.is_of_network(&ArchiveLabel { network: name, floor, bytes: label.bytes }) {
            Self::Ours(size_of(&label))
        } else {
            Self::Other(label)
        }
    }

    /// What is said of it by a relay that holds envelopes in memory.
    fn unused(&self) -> Option<String> {
        match self {
            Self::Missing => None,
            Self::Ours(_) | Self::Unnamed | Self::Unclear => {
                Some("the archive in the home folder is not used".to_owned())
            }
            Self::Obstacle(obstacle) => {
                Some(format!("the archive in the home folder cannot be used: {}", obstacle.words()))
            }
            Self::Other(of) => Some(format!(
                "the archive in the home folder is of the network {} with a floor of {} bits, and is \
                 not used",
                of.network,
                of.floor.bits(),
            )),
        }
    }
}

/// The size of an archive, in bytes.
fn size_of(label: &ArchiveLabel) -> usize {
    usize::try_from(label.bytes).unwrap_or(usize::MAX)
}

/// The room that a relay has.
struct RelayRoom {
    place: RoomPlace,
    bytes: usize,
    /// Why it has that room there.
    why: String,
    /// What is said of the archive that lies in the home folder and is not used.
    unused: Option<String>,
    /// How often the size may be doubled if what the archive holds does not fit into it: never,
    /// unless nobody said a size.
    doublings: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RoomPlace {
    Memory,
    Archive,
}

impl RelayRoom {
    /// The room that was asked for; else that of the archive there is; else the usual one, in memory
    /// if so many bytes of it are `available` that the system does not lack them.
    fn choose(
        storage: RelayStorage,
        disk: DiskUse,
        found: &HomeArchive,
        available: Option<u64>,
    ) -> Self {
        let memory = |bytes, why: String| Self {
            place: RoomPlace::Memory,
            bytes,
            why,
            unused: found.unused(),
            doublings: 0,
        };
        let archive = |bytes, why: &str| Self {
            place: RoomPlace::Archive,
            bytes,
            why: why.to_owned(),
            unused: None,
            doublings: 0,
        };
        let usual = RELAY_POOL.bytes();
        match (storage, found, disk) {
            (RelayStorage::Memory(RoomArg(bytes)), ..) => {
                memory(bytes, "as --pool says".to_owned())
            }
            (RelayStorage::Archive(RoomArg(bytes), _), ..) => archive(bytes, "as --archive says"),
            (RelayStorage::Usual, HomeArchive::Ours(bytes), DiskUse::Allowed) => {
                archive(*bytes, "the home folder has an archive of this network, of this size")
            }
            (RelayStorage::Usual, HomeArchive::Unnamed, DiskUse::Allowed) => Self {
                doublings: MOST_DOUBLINGS,
                ..archive(
                    usual,
                    "the home folder has an archive that does not say its size; this is the usual \
                     one, and all that it holds fits",
                )
            },
            // Both are for the archive to refuse, unless it holds nothing.
            (RelayStorage::Usual, HomeArchive::Other(label), DiskUse::Allowed) => {
                archive(size_of(label), "the home folder has an archive, of this size")
            }
            (RelayStorage::Usual, HomeArchive::Unclear, DiskUse::Allowed) => {
                archive(usual, "the home folder has an archive")
            }
            (RelayStorage::Usual, ..) => match (lack_of_memory(available), disk) {
                (Ok(why), _) => memory(usual, why),
                (Err(lack), DiskUse::Allowed) => match lack_for_an_index(available) {
                    Ok(()) => archive(usual, &lack),
                    Err(()) => archive(
                        DEFAULT_POOL.bytes(),
                        &format!("{lack}, and the index of a larger archive does not fit either"),
                    ),
                },
                (Err(lack), DiskUse::Forbidden) => memory(
                    DEFAULT_POOL.bytes(),
                    format!("{lack}, and --memory stores nothing on disk"),
                ),
            },
        }
    }

    /// Twice the room, for an archive of an unknown size that holds more than fits into this one.
    ///
    /// # Errors
    /// `refused`, when somebody said the size or it was doubled often enough.
    fn double(&mut self, refused: Failure) -> Result<(), Failure> {
        let larger = self.bytes.checked_mul(2).zip(self.doublings.checked_sub(1));
        let (bytes, doublings) = larger.ok_or(refused)?;
        (self.bytes, self.doublings) = (bytes, doublings);
        "the home folder has an archive that does not say its size; into half of this not all that \
         it holds fits"
            .clone_into(&mut self.why);
        Ok(())
    }

    fn json(&self, held: u64, memory: u64) -> Value {
        let Self { place, bytes, why, unused, doublings: _ } = self;
        let place = match place {
            RoomPlace::Memory => "memory",
            RoomPlace::Archive => "archive",
        };
        let places = PoolBounds::of_bytes(*bytes).places;
        json!({
            "v": 1, "type": "room", "place": place, "places": places, "bytes": bytes,
            "held": held, "why": why, "unused": unused, "memory": memory,
        })
    }

    /// Says which room it is, how many envelopes are in it at the start, and how much memory the node
    /// takes at most.
    async fn report(&self, (held, memory): (u64, u64), format: OutputFormat, lines: &NodeLines) {
        let Self { place, bytes, why, unused, doublings: _ } = self;
        let places = PoolBounds::of_bytes(*bytes).places;
        let words = match place {
            RoomPlace::Memory => "in memory, lost when the relay ends".to_owned(),
            RoomPlace::Archive => {
                format!("on disk, in the archive in the home folder, {held} held")
            }
        };
        match format {
            OutputFormat::Json => {
                lines.print(&output::to_ascii(&self.json(held, memory))).await;
            }
            OutputFormat::Text => {
                output::print_message(&format!(
                    "room for {places} envelopes of 2 KiB {words}: {why}"
                ));
                output::print_message(&format!(
                    "when it is full, the relay takes up to {} of memory",
                    size::words(memory)
                ));
                if let Some(unused) = unused {
                    output::print_message(unused);
                }
            }
        }
    }
}

/// The address of a relay, for programs.
fn listening_json(address: &str) -> Value {
    json!({ "v": 1, "type": "listening", "address": address })
}

/// What was loaded from an archive, for programs.
fn recovery_json(taken: &ArchiveRecovery) -> Value {
    let ArchiveRecovery { held, expired, refused, damaged, early, salvaged, history, ref was } =
        *taken;
    json!({
        "v": 1, "type": "archive", "held": held, "expired": expired, "refused": refused,
        "damaged": damaged, "early": early, "salvaged": salvaged,
        "outdated": history == ArchiveHistory::Outdated,
        "unnamed": history == ArchiveHistory::Unnamed,
        "was": was.as_ref().map(|was| json!({
            "network": was.network.as_str(), "floor": was.floor.bits(), "bytes": was.bytes,
        })),
    })
}

/// The figures of a relay, for programs.
fn figures_json(line: &NetworkStatus) -> Value {
    json!({
        "v": 1, "type": "network", "peers": line.peers,
        "pool_items": line.pool_items, "pool_bytes": line.pool_bytes,
        "names_trouble": line.names_trouble, "steps": line.steps, "fill": line.fill, "line": line.line,
        "archive_bytes": line.archive.as_ref().map(|archive| archive.bytes),
    })
}

/// That an archive stores nothing, or does again, for programs.
fn trouble_json(archive: &ArchiveStatus) -> Value {
    let ArchiveStatus { bytes: _, missed, trouble } = archive;
    json!({ "v": 1, "type": "archive_trouble", "trouble": trouble, "missed": missed })
}

/// Why the usual room is held in memory.
///
/// # Errors
/// Why it is not.
fn lack_of_memory(available: Option<u64>) -> Result<String, String> {
    match available {
        Some(free) if free >= ENOUGH_MEMORY => {
            Ok(format!("{} of memory are free", gibibytes(free)))
        }
        Some(free) => Err(format!("only {} of memory are free, 2 GiB are needed", gibibytes(free))),
        None => Err("how much memory is free is not known on this system".to_owned()),
    }
}

/// Whether there is memory for the index of an archive of the usual size.
///
/// # Errors
/// When there is not.
fn lack_for_an_index(available: Option<u64>) -> Result<(), ()> {
    let node = NodeSettings {
        pool: RELAY_POOL,
        bodies: BodyStorage::External,
        ..NodeSettings::new(NodeRole::Relay, Floor::new(0))
    };
    let needed =
        NodeBudget::of(&node, Some(RELAY_POOL.bytes() as u64), &NetLimits::default()).memory();
    if available.is_none_or(|free| free >= needed) { Ok(()) } else { Err(()) }
}

/// Bytes to a tenth of a GiB, rounded down.
fn gibibytes(bytes: u64) -> String {
    let tenths = ((bytes >> 20) * 10) >> 10;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

/// The free memory with which the usual room is held there: three times what it takes when it is
/// full, so that the machine's other programs keep some.
const ENOUGH_MEMORY: u64 = 2 << 30;

/// How often the usual room is doubled for an archive of an unknown size: to 200 GB. A guess at more
/// than anybody keeps.
const MOST_DOUBLINGS: u32 = 8;

/// `undertone relay run`
pub(super) async fn run(
    global: &GlobalArgs,
    network: &NetworkArgs,
    storage: RelayStorage,
) -> Result<(), Failure> {
    let disk = if global.memory { DiskUse::Forbidden } else { DiskUse::Allowed };
    if let (RelayStorage::Archive(..), DiskUse::Forbidden) = (storage, disk) {
        return Err(not_without_disk());
    }
    if global.identity.is_some() {
        output::print_message("a relay has no identity; --identity was not used");
    }
    let mut stop = StopSignals::listen()?;
    // A relay has nothing of its own to store.
    let mut options = online(StoreOptions::Memory, network, Stay::Long)?;
    options.node.role = NodeRole::Relay;
    if let Some(net) = options.net.as_mut().filter(|net| net.listen.is_empty()) {
        net.listen = DEFAULT_LISTEN.iter().filter_map(|address| address.parse().ok()).collect();
    }
    let found = HomeArchive::of(global, network);
    let mut room = RelayRoom::choose(storage, disk, &found, memory::available());
    let (client, memory) = loop {
        let options = match room.place {
            RoomPlace::Memory => options.clone().pool(room.bytes),
            RoomPlace::Archive => options.clone().archive(home(global)?, room.bytes),
        };
        let options = match storage {
            RelayStorage::Archive(_, ArchiveOverflow::Removed) => options.shrink_archive(),
            RelayStorage::Archive(_, ArchiveOverflow::Refused)
            | RelayStorage::Usual
            | RelayStorage::Memory(_) => options,
        };
        let memory = options.budget().map_or(0, |budget| budget.memory());
        match start(options).await {
            Err(failure) if failure.code() == Some(FailureCode::ArchiveSize) => {
                room.double(failure)?;
            }
            started => break (started?, memory),
        }
    };
    let format = if global.json { OutputFormat::Json } else { OutputFormat::Text };
    let recovery = client.archive_recovery();
    let held = recovery.as_ref().map_or(0, |recovery| recovery.held);
    let lines = NodeLines::start()?;
    room.report((held, memory), format, &lines).await;
    if let Some(recovery) = recovery {
        let (name, floor) = (network.network.clone(), Floor::new(network.floor));
        let label = ArchiveLabel { network: name, floor, bytes: room.bytes as u64 };
        report_recovery(&recovery, &label, format, &lines).await;
    }
    let ended = report_network(&client, format, &mut stop, &lines).await;
    // Why the node ended goes before what followed from it.
    close(client, &mut stop).await?;
    let written = lines.finish().await;
    match ended? {
        None => written,
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

/// Starts the node. An archive that another process uses is waited for, and that is said.
async fn start(options: NodeOptions) -> Result<Client, Failure> {
    let who = ClientInfo::new(ClientKind::Command);
    let to = Connect::Start(options);
    let (client, _) = match Client::connect_within(to.clone(), who.clone(), Duration::ZERO).await {
        Err(failure) if failure.code() == Some(FailureCode::InUse) => {
            output::print_message(&format!(
                "another process uses the archive in this home folder; waiting up to {} s for its end",
                ARCHIVE_WITHIN.as_secs(),
            ));
            Client::connect_within(to, who, ARCHIVE_WITHIN).await?
        }
        started => started?,
    };
    Ok(client)
}

fn not_without_disk() -> Failure {
    let text = FailureText {
        what: "the relay was not started",
        why: "--memory stores nothing on disk, and --archive stores envelopes there",
        safe: "nothing was done",
        next: "leave one of them out; --pool SIZE holds so much in memory",
    };
    Failure::new(FailureCode::Memory, text)
}

/// The time for which an archive that another process uses is waited for: longer than a relay takes
/// that was just told to stop. A guess.
const ARCHIVE_WITHIN: Duration = Duration::from_secs(5);

/// Prints the addresses of a node, its figures and its trouble, each when it changes, until a signal
/// comes or the node ends, which is why then. Lines that nobody takes hold up nothing but the next ones.
pub(super) async fn report_network(
    client: &Client,
    format: OutputFormat,
    stop: &mut StopSignals,
    lines: &NodeLines,
) -> Result<Option<Failure>, Failure> {
    let network = EventFilter::of(&[EventKind::Network]);
    let mut ends = client.events(network.clone(), From::Now).await?;
    let mut events = client.events(network, From::Now).await?;
    let mut reporter = NetworkReporter {
        format,
        lines,
        addresses: Vec::new(),
        figures: None,
        trouble: None,
        names_trouble: None,
    };
    let reported = async {
        loop {
            match events.next().await {
                Delivery::Event { event, .. } => {
                    if let Event::Network(figures) = *event {
                        reporter.report(&figures).await;
                    }
                }
                Delivery::Missed { .. } => {}
                Delivery::Ended(why) => return *why,
            }
        }
    };
    let ended = async {
        loop {
            if let Delivery::Ended(why) = ends.next().await {
                return *why;
            }
        }
    };
    tokio::select! {
        // The first: what happened before the end is reported, if its lines are taken.
        biased;
        why = reported => Ok(Some(why)),
        why = ended => Ok(Some(why)),
        _ = stop.received() => {
            output::print_message("stopping");
            Ok(None)
        }
    }
}

/// Reports what was loaded from an archive that is this from now on.
async fn report_recovery(
    taken: &ArchiveRecovery,
    label: &ArchiveLabel,
    format: OutputFormat,
    lines: &NodeLines,
) {
    let ArchiveRecovery { held, expired, refused, damaged, early, salvaged, history, ref was } =
        *taken;
    if format == OutputFormat::Json {
        return lines.print(&output::to_ascii(&recovery_json(taken))).await;
    }
    if let Some(was) = was {
        report_former(was, label);
    }
    match history {
        ArchiveHistory::Known => {}
        ArchiveHistory::Unnamed => output::print_message(&format!(
            "the archive did not say of which network it is, and {}: from now on it is of the network \
             {} with a floor of {} bits",
            if held > 0 {
                "what it holds shows enough work"
            } else {
                "holds nothing that shows it"
            },
            label.network,
            label.floor.bits(),
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

/// Says what an archive was before it got another network or size.
fn report_former(was: &ArchiveLabel, label: &ArchiveLabel) {
    if !was.is_of_network(label) {
        output::print_message(&format!(
            "the archive was of the network {} with a floor of {} bits, and held nothing: from now on \
             it is of the network {} with a floor of {} bits",
            was.network,
            was.floor.bits(),
            label.network,
            label.floor.bits(),
        ));
    }
    if was.places() != label.places() {
        output::print_message(&format!(
            "the archive had {} places before, and has {} from now on",
            was.places(),
            label.places(),
        ));
    }
}

/// Reports addresses, figures and trouble, each when it changes.
struct NetworkReporter<'a> {
    format: OutputFormat,
    lines: &'a NodeLines,
    addresses: Vec<String>,
    /// Neighbours, envelopes and the steps that are asked.
    figures: Option<(usize, usize, StepsStatus)>,
    trouble: Option<String>,
    names_trouble: Option<String>,
}

impl NetworkReporter<'_> {
    async fn report(&mut self, line: &NetworkStatus) {
        for address in &line.listening {
            if self.addresses.contains(address) {
                continue;
            }
            self.addresses.push(address.clone());
            let told = match self.format {
                OutputFormat::Json => output::to_ascii(&listening_json(address)),
                OutputFormat::Text => format!("listening on {address}"),
            };
            self.lines.print(&told).await;
        }
        let figures = (line.peers, line.pool_items, line.steps);
        // Programs get every change, people only those in the number of peers and in what is asked.
        let same = self.figures.is_some_and(|last| match self.format {
            OutputFormat::Json => last == figures,
            OutputFormat::Text => (last.0, last.2) == (figures.0, figures.2),
        });
        let same_names = self.names_trouble == line.names_trouble;
        if !same_names {
            self.names_trouble.clone_from(&line.names_trouble);
            if let (Some(trouble), OutputFormat::Text) = (&line.names_trouble, self.format) {
                output::print_message(&network_words::names(trouble));
            }
        }
        if !same || (!same_names && self.format == OutputFormat::Json) {
            self.figures = Some(figures);
            self.report_figures(line).await;
        }
        if let Some(archive) = &line.archive {
            self.report_trouble(archive).await;
        }
    }

    async fn report_figures(&self, line: &NetworkStatus) {
        let (peers, items) = (line.peers, line.pool_items);
        if self.format == OutputFormat::Json {
            return self.lines.print(&output::to_ascii(&figures_json(line))).await;
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
    async fn report_trouble(&mut self, archive: &ArchiveStatus) {
        let ArchiveStatus { bytes: _, missed, trouble } = archive;
        if self.trouble == *trouble {
            return;
        }
        self.trouble.clone_from(trouble);
        if self.format == OutputFormat::Json {
            return self.lines.print(&output::to_ascii(&trouble_json(archive))).await;
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
    let next = "free some space, make the disk writable, or give it a faster one; it retries \
                automatically, twice a minute";
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
    use crate::shell::api::status::tests::network;
    use crate::shell::api::testing::in_readme;

    const USUAL: RelayStorage = RelayStorage::Usual;

    fn chosen(
        disk: DiskUse,
        found: &HomeArchive,
        available: Option<u64>,
    ) -> (RoomPlace, usize, String) {
        let RelayRoom { place, bytes, why, .. } = RelayRoom::choose(USUAL, disk, found, available);
        (place, PoolBounds::of_bytes(bytes).places, why)
    }

    fn of_another_network() -> HomeArchive {
        let (network, floor) = ("other".parse().unwrap(), Floor::new(4));
        HomeArchive::Other(ArchiveLabel { network, floor, bytes: 1 << 20 })
    }

    #[test]
    fn a_relay_has_its_usual_room_in_memory_only_where_that_is_free() {
        let (memory, archive) = (RoomPlace::Memory, RoomPlace::Archive);
        for (available, place, why) in [
            (Some(2 << 30), memory, "2.0 GiB of memory are free"),
            (Some(u64::MAX), memory, "17179869183.9 GiB of memory are free"),
            (Some((2 << 30) - 1), archive, "only 1.9 GiB of memory are free, 2 GiB are needed"),
            (None, archive, "how much memory is free is not known on this system"),
        ] {
            let (chosen, places, told) = chosen(DiskUse::Allowed, &HomeArchive::Missing, available);
            assert_eq!((chosen, places, told.as_str()), (place, 293_000, why));
        }
    }

    #[test]
    fn a_relay_has_less_than_its_usual_room_where_not_even_its_index_fits() {
        for (free, places) in [(512 << 20, RELAY_POOL.places), (256 << 20, DEFAULT_POOL.places)] {
            let (place, chosen, why) = chosen(DiskUse::Allowed, &HomeArchive::Missing, Some(free));
            assert_eq!((place, chosen), (RoomPlace::Archive, places), "{why}");
        }
    }

    #[test]
    fn a_relay_that_may_store_nothing_on_disk_holds_less_where_memory_is_short() {
        let forbidden = |free| chosen(DiskUse::Forbidden, &HomeArchive::Missing, Some(free));
        let (place, places, why) = forbidden(1 << 30);
        assert_eq!((place, places), (RoomPlace::Memory, DEFAULT_POOL.places));
        assert!(why.ends_with("and --memory stores nothing on disk"), "{why}");
        let (place, places, _) = forbidden(4 << 30);
        assert_eq!((place, places), (RoomPlace::Memory, RELAY_POOL.places));
    }

    #[test]
    fn an_archive_that_is_there_is_gone_on_with_in_its_size_however_much_memory_is_free() {
        for available in [None, Some(0), Some(u64::MAX)] {
            let found = HomeArchive::Ours(1 << 20);
            let (place, places, why) = chosen(DiskUse::Allowed, &found, available);
            assert_eq!((place, places), (RoomPlace::Archive, 390), "{why}");
            assert!(why.contains("has an archive of this network"), "{why}");
            let (place, places, _) = chosen(DiskUse::Allowed, &HomeArchive::Unnamed, available);
            assert_eq!((place, places), (RoomPlace::Archive, RELAY_POOL.places));
        }
    }

    #[test]
    fn an_archive_of_another_network_is_gone_on_with_or_refuses_however_much_memory_is_free() {
        for available in [None, Some(0), Some(u64::MAX)] {
            let (place, places, _) = chosen(DiskUse::Allowed, &of_another_network(), available);
            assert_eq!((place, places), (RoomPlace::Archive, 390), "its own size");
            let (place, ..) = chosen(DiskUse::Allowed, &HomeArchive::Unclear, available);
            assert_eq!(place, RoomPlace::Archive);
        }
    }

    #[test]
    fn an_archive_that_is_there_and_not_used_is_named_in_a_sentence_of_its_own() {
        let room = |storage, disk, found: &HomeArchive| {
            let room = RelayRoom::choose(storage, disk, found, Some(u64::MAX));
            assert_eq!(room.place, RoomPlace::Memory);
            room.unused
        };
        let pool = RelayStorage::Memory(RoomArg(1 << 20));
        for (storage, disk) in [(USUAL, DiskUse::Forbidden), (pool, DiskUse::Allowed)] {
            for found in [HomeArchive::Ours(1 << 20), HomeArchive::Unnamed, HomeArchive::Unclear] {
                let said = room(storage, disk, &found).unwrap();
                assert_eq!(said, "the archive in the home folder is not used");
            }
            let said = room(storage, disk, &of_another_network()).unwrap();
            assert!(
                said.ends_with("is of the network other with a floor of 4 bits, and is not used")
            );
            assert_eq!(room(storage, disk, &HomeArchive::Missing), None);
        }
    }

    #[test]
    fn whatever_is_in_the_place_of_an_archive_is_named_by_a_relay_that_goes_without() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("archive"), "a file").unwrap();
        let obstacle = Archive::on_disk(dir.path()).unwrap().obstacle.unwrap();
        for (storage, disk) in [
            (USUAL, DiskUse::Allowed),
            (USUAL, DiskUse::Forbidden),
            (RelayStorage::Memory(RoomArg(1 << 20)), DiskUse::Allowed),
        ] {
            let found = HomeArchive::Obstacle(obstacle.clone());
            let room = RelayRoom::choose(storage, disk, &found, Some(u64::MAX));
            let told = room.unused.unwrap();
            assert_eq!(room.place, RoomPlace::Memory);
            assert!(
                told.starts_with("the archive in the home folder cannot be used: \"/"),
                "{told}"
            );
            assert!(
                told.ends_with("/archive\" is a file, and the folder of an archive belongs there")
            );
        }
    }

    #[test]
    fn the_readme_lists_every_field_of_a_line_of_a_relay() {
        let room = RelayRoom::choose(USUAL, DiskUse::Allowed, &HomeArchive::Missing, None);
        let was = ArchiveLabel {
            network: "other".parse().unwrap(),
            floor: Floor::new(4),
            bytes: 1 << 20,
        };
        let mut lines = serde_json::Map::new();
        for line in [
            room.json(0, 0),
            listening_json("/ip4/192.0.2.7/tcp/4141"),
            recovery_json(&ArchiveRecovery { was: Some(was), ..ArchiveRecovery::default() }),
            figures_json(&network()),
            trouble_json(&ArchiveStatus { bytes: 0, missed: 0, trouble: None }),
        ] {
            lines.extend(line.as_object().unwrap().clone());
        }
        in_readme("| field of a line of `relay run` | means |", &lines.into());
    }

    #[test]
    fn a_size_that_nobody_said_is_the_usual_one_or_doubled_until_all_fits() {
        let failure = || {
            Failure::new(
                FailureCode::ArchiveSize,
                FailureText { what: "what", why: "why", safe: "safe", next: "next" },
            )
        };
        let mut room = RelayRoom::choose(USUAL, DiskUse::Allowed, &HomeArchive::Unnamed, None);
        assert!(room.bytes == RELAY_POOL.bytes() && room.why.contains("this is the usual one"));
        for times in 1..=MOST_DOUBLINGS {
            room.double(failure()).unwrap();
            assert_eq!(room.bytes, RELAY_POOL.bytes() << times);
            assert!(room.why.ends_with("into half of this not all that it holds fits"));
        }
        assert!(room.double(failure()).is_err());
        let said = RelayStorage::Archive(RoomArg(1 << 20), ArchiveOverflow::Refused);
        for found in [HomeArchive::Unnamed, HomeArchive::Ours(1 << 20), HomeArchive::Missing] {
            let mut room = RelayRoom::choose(said, DiskUse::Allowed, &found, None);
            assert!(room.double(failure()).is_err(), "somebody said it");
        }
        let mut room =
            RelayRoom::choose(USUAL, DiskUse::Allowed, &HomeArchive::Ours(1 << 20), None);
        assert!(room.double(failure()).is_err(), "its label says it");
    }

    #[test]
    fn what_was_said_of_the_room_counts_whatever_is_free_and_whatever_is_there() {
        for available in [None, Some(0), Some(u64::MAX)] {
            for found in [HomeArchive::Missing, HomeArchive::Ours(7 << 20), of_another_network()] {
                let choose =
                    |storage| RelayRoom::choose(storage, DiskUse::Allowed, &found, available);
                let memory = choose(RelayStorage::Memory(RoomArg(1 << 20)));
                assert_eq!((memory.place, memory.bytes), (RoomPlace::Memory, 1 << 20));
                let on_disk = RelayStorage::Archive(RoomArg(1 << 30), ArchiveOverflow::Refused);
                let archive = choose(on_disk);
                assert_eq!((archive.place, archive.bytes), (RoomPlace::Archive, 1 << 30));
            }
        }
    }
}
