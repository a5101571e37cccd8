//! `undertone relay run`: no identity, nothing decrypted, and nothing on disk without an archive.

use serde_json::json;

use crate::engine::settings::NodeRole;
use crate::shell::api::{
    ArchiveStatus, ClientInfo, ClientKind, Delivery, Event, EventFilter, EventKind, From,
    NetworkStatus, Stay,
};
use crate::shell::cli::args::{GlobalArgs, NetworkArgs, SizeArg};
use crate::shell::cli::connect::{home, online};
use crate::shell::cli::output::{self, OutputFormat};
use crate::shell::client::{Client, Connect, StoreOptions};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::signals::StopSignals;
use crate::shell::runtime::ArchiveRecovery;

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
    // A relay has nothing of its own to store.
    let mut options = online(StoreOptions::Memory, network, Stay::Long);
    options.node.role = NodeRole::Relay;
    if let Some(net) = options.net.as_mut().filter(|net| net.listen.is_empty()) {
        net.listen = DEFAULT_LISTEN.iter().filter_map(|address| address.parse().ok()).collect();
    }
    let options = match storage {
        RelayStorage::Memory(SizeArg(bytes)) => options.pool(bytes),
        RelayStorage::Archive(SizeArg(bytes)) => options.archive(home(global)?, bytes),
    };
    let who = ClientInfo::new(ClientKind::Command);
    let (client, _) = Client::connect(Connect::Start(options), who).await?;
    let format = if global.json { OutputFormat::Json } else { OutputFormat::Text };
    if let Some(recovery) = client.archive_recovery() {
        report_recovery(&recovery, format);
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
struct NetworkReporter {
    format: OutputFormat,
    addresses: Vec<String>,
    /// Neighbours and envelopes.
    figures: Option<(usize, usize)>,
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
        let figures = (line.peers, line.pool_items);
        // Programs get every change, people only changes in the number of peers.
        let same = self.figures.is_some_and(|last| match self.format {
            OutputFormat::Json => last == figures,
            OutputFormat::Text => last.0 == figures.0,
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
                "archive_bytes": line.archive.as_ref().map(|archive| archive.bytes),
            });
            return output::print_line(&output::to_ascii(&data));
        }
        let disk = line.archive.as_ref().map(|on| format!(", {} KiB on disk", on.bytes >> 10));
        output::print_message(&format!(
            "peers {peers}, pool {items} envelopes{}",
            disk.unwrap_or_default()
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
