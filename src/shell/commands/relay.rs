//! A relay: no identity, nothing decrypted, nothing on disk, until a signal ends it.

use serde_json::json;
use tokio::sync::mpsc;

use super::stop::Stop;
use super::{net_settings, node_settings};
use crate::engine::node::{NodeSettings, Role};
use crate::engine::pool::Bounds;
use crate::shell::cli::{Everywhere, Network, Size};
use crate::shell::failure::{Exit, Failure};
use crate::shell::host::Host;
use crate::shell::print;
use crate::shell::store::Store;
use crate::shell::ui::port::{Event, NetworkLine, Request};

/// `undertone relay run`
pub(super) async fn run(
    everywhere: &Everywhere,
    network: &Network,
    pool: Size,
) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let mut net = net_settings(network);
    if net.listen.is_empty() {
        net.listen = DEFAULT_LISTEN.iter().filter_map(|address| address.parse().ok()).collect();
    }
    let bounds = Bounds { bytes: pool.0, count: (pool.0 / SMALL_ENVELOPE).max(1) };
    let node = NodeSettings { pool: bounds, ..node_settings(network, Role::Relay) };
    let host = Host::start(node, net, Store::in_memory()?)?;
    let (events, mut heard) = mpsc::channel(CHANNEL);
    let (requests, asked) = mpsc::channel::<Request>(1);
    host.door().enter(events).await;
    let telling = async {
        let mut told = Told { json: everywhere.json, addresses: Vec::new(), peers: None };
        loop {
            tokio::select! {
                event = heard.recv() => match event {
                    None => return Ok(()),
                    Some(Event::Network(line)) => told.tell(&line),
                    Some(Event::Fatal(why)) => {
                        let parts = ["the relay ended", &why, "nothing is kept", "start it again"];
                        return Err(Failure::new("relay", Exit::Other, parts));
                    }
                    Some(_) => {}
                },
                _ = stop.asked() => break,
            }
        }
        print::talk("stopping");
        drop(requests);
        Ok(())
    };
    let (told, ended) = tokio::join!(telling, host.run(asked));
    ended?;
    told
}

/// What was printed already.
struct Told {
    json: bool,
    addresses: Vec<String>,
    peers: Option<usize>,
}

impl Told {
    fn tell(&mut self, line: &NetworkLine) {
        for address in &line.listening {
            if self.addresses.contains(address) {
                continue;
            }
            self.addresses.push(address.clone());
            if self.json {
                let data = json!({ "v": 1, "type": "listening", "address": address });
                print::line(&print::ascii(&data));
            } else {
                print::line(&format!("listening on {address}"));
            }
        }
        if self.peers != Some(line.peers) {
            self.peers = Some(line.peers);
            if self.json {
                let data = json!({
                    "v": 1, "type": "network", "peers": line.peers,
                    "pool_items": line.pool_items, "pool_bytes": line.pool_bytes,
                });
                print::line(&print::ascii(&data));
            } else {
                print::talk(&format!("peers {}, pool {} envelopes", line.peers, line.pool_items));
            }
        }
    }
}

/// Where a relay waits unless told otherwise; 4141 is free of registered services of note.
const DEFAULT_LISTEN: [&str; 4] = [
    "/ip4/0.0.0.0/tcp/4141",
    "/ip4/0.0.0.0/udp/4141/quic-v1",
    "/ip6/::/tcp/4141",
    "/ip6/::/udp/4141/quic-v1",
];

/// The pool's bound in count follows from its bound in bytes: messengers send 2 KiB.
const SMALL_ENVELOPE: usize = 2_048;

/// A relay tells little.
const CHANNEL: usize = 64;
