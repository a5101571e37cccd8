//! `undertone relay run`: no identity, nothing decrypted, and nothing on disk without an archive.

use serde_json::json;
use tokio::sync::mpsc;

use super::{net_settings, node_settings};
use crate::engine::relay::pool::{BodyStorage, PoolBounds};
use crate::engine::settings::{NodeRole, NodeSettings};
use crate::shell::api::{ArchiveStatus, ClientEvent, ClientRequest, NetworkStatus};
use crate::shell::archive::Archive;
use crate::shell::cli::args::{GlobalArgs, NetworkArgs, SizeArg};
use crate::shell::cli::open_store;
use crate::shell::cli::output::{self, OutputFormat};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::signals::StopSignals;
use crate::shell::runtime::{ArchiveRecovery, Runtime};
use crate::shell::store::Store;

/// The place where a relay holds envelopes, and its size.
#[derive(Clone, Copy, Debug)]
pub(super) enum RelayStorage {
    /// While it runs.
    Memory(SizeArg),
    /// On disk.
    Archive(SizeArg),
}

/// `undertone relay run`
pub(super) async fn run(
    global: &GlobalArgs,
    network: &NetworkArgs,
    storage: RelayStorage,
) -> Result<(), Failure> {
    let mut stop = StopSignals::listen()?;
    let mut net = net_settings(network);
    if net.listen.is_empty() {
        net.listen = DEFAULT_LISTEN.iter().filter_map(|address| address.parse().ok()).collect();
    }
    let (SizeArg(bytes), bodies) = match storage {
        RelayStorage::Memory(size) => (size, BodyStorage::Inline),
        RelayStorage::Archive(size) => (size, BodyStorage::External),
    };
    let pool = PoolBounds { bytes, count: (bytes / SMALL_ENVELOPE).max(1) };
    let node = NodeSettings { pool, bodies, ..node_settings(network, NodeRole::Relay) };
    // Opened before the network: a relay whose archive fails must not seem to store anything.
    let archive = match storage {
        RelayStorage::Memory(_) => None,
        RelayStorage::Archive(_) => Some(Archive::open(&open_store::home(global)?, bytes as u64)?),
    };
    // A relay has nothing of its own to store.
    let mut runtime = Runtime::start(node, net, Store::in_memory()?)?;
    if let Some(archive) = archive {
        let format = if global.json { OutputFormat::Json } else { OutputFormat::Text };
        report_recovery(&runtime.attach_archive(archive)?, format);
    }
    let (events, mut incoming) = mpsc::channel(CHANNEL);
    let (requests, asked) = mpsc::channel::<ClientRequest>(1);
    runtime.subscriptions().subscribe(events).await;
    let reporting = async {
        let mut reporter = RelayReporter { json: global.json, ..RelayReporter::default() };
        loop {
            tokio::select! {
                event = incoming.recv() => match event {
                    None => return Ok(()),
                    Some(ClientEvent::Network(line)) => reporter.report(&line),
                    Some(ClientEvent::Fatal(why)) => {
                        let safe = "an archive keeps what it stored; nothing else was stored";
                        let text = FailureText {
                            what: "the relay stopped",
                            why: &why,
                            safe,
                            next: "start it again",
                        };
                        return Err(Failure::new(FailureCode::NodeEnded, text));
                    }
                    Some(_) => {}
                },
                _ = stop.received() => break,
            }
        }
        output::print_message("stopping");
        drop(requests);
        Ok(())
    };
    let (reported, ended) = tokio::join!(reporting, runtime.run(asked));
    ended?;
    reported
}

/// Reports what was loaded from an archive.
fn report_recovery(taken: &ArchiveRecovery, format: OutputFormat) {
    let ArchiveRecovery { held, expired, refused, damaged, salvaged } = *taken;
    if format == OutputFormat::Json {
        return output::print_line(&output::to_ascii(&json!({
            "v": 1, "type": "archive", "held": held, "expired": expired, "refused": refused,
            "damaged": damaged, "salvaged": salvaged,
        })));
    }
    if let Some(saved) = salvaged {
        output::print_message(&format!(
            "the archive file was damaged: {saved} envelopes were recovered into a new file; peers \
             may still have the rest"
        ));
    }
    output::print_message(&format!(
        "archive: {held} envelopes loaded; dropped: {expired} expired, {refused} rejected, \
         {damaged} damaged"
    ));
}

/// Reports addresses, figures and trouble, each when it changes.
#[derive(Default)]
struct RelayReporter {
    json: bool,
    addresses: Vec<String>,
    /// Neighbours and envelopes.
    figures: Option<(usize, usize)>,
    trouble: Option<&'static str>,
}

impl RelayReporter {
    fn report(&mut self, line: &NetworkStatus) {
        for address in &line.listening {
            if self.addresses.contains(address) {
                continue;
            }
            self.addresses.push(address.clone());
            if self.json {
                let data = json!({ "v": 1, "type": "listening", "address": address });
                output::print_line(&output::to_ascii(&data));
            } else {
                output::print_line(&format!("listening on {address}"));
            }
        }
        let figures = (line.peers, line.pool_items);
        // Programs get every change, people only changes in the number of peers.
        let same = self
            .figures
            .is_some_and(|last| if self.json { last == figures } else { last.0 == figures.0 });
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
        if self.json {
            let data = json!({
                "v": 1, "type": "network", "peers": peers,
                "pool_items": items, "pool_bytes": line.pool_bytes,
                "archive_bytes": line.archive.map(|archive| archive.bytes),
            });
            return output::print_line(&output::to_ascii(&data));
        }
        let disk = line.archive.map(|on| format!(", {} KiB on disk", on.bytes >> 10));
        output::print_message(&format!(
            "peers {peers}, pool {items} envelopes{}",
            disk.unwrap_or_default()
        ));
    }

    /// Reports once that the archive stores nothing, and once that it does again.
    fn report_trouble(&mut self, archive: &ArchiveStatus) {
        let ArchiveStatus { bytes: _, missed, trouble } = *archive;
        if self.trouble == trouble {
            return;
        }
        self.trouble = trouble;
        if self.json {
            return output::print_line(&output::to_ascii(&json!({
                "v": 1, "type": "archive_trouble", "trouble": trouble, "missed": missed,
            })));
        }
        output::print_message(&match trouble {
            Some(why) => not_kept(why, missed).render(),
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

/// The pool's bound in count follows from its bound in bytes: messengers send 2 KiB.
const SMALL_ENVELOPE: usize = 2_048;

/// A relay emits few events.
const CHANNEL: usize = 64;
