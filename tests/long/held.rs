//! What the real program holds in memory after a flood, against what is promised for each envelope.
//!
//! ```text
//! cargo test --test held -- --nocapture
//! ```
//!
//! 67,500 envelopes are poured into a relay with `--archive 64MiB` and one with `--pool 64MiB`, some
//! 500 a second by one neighbour. It prints the resident memory before, in the flood and after it,
//! and holds it to what the relay said at its start. What is allocated for each envelope is counted
//! in `tests/memory`.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails there")]
#![expect(clippy::indexing_slicing, reason = "tests index what they made")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test takes some events and lets others pass"
)]
#![allow(dead_code, reason = "of the support for real processes a part is used")]

use std::time::Duration;

use undertone::engine::envelope::Acceptance;
use undertone::engine::node::input::Input;
use undertone::shell::net::{Multiaddr, Net, NetEvent, NetSettings, PublishOutcome};
use undertone::shell::os::clock::wall;
use undertone::sim::SeededRng;

use noise::noise;
use resident::resident;
use support::{Home, Running, unique};

#[path = "../support/noise.rs"]
mod noise;
#[path = "../support/resident.rs"]
mod resident;
#[path = "../process/support.rs"]
mod support;

const FLOOR: u8 = 1;
const POURED: usize = 67_500;
const BETWEEN: Duration = Duration::from_millis(2);

/// Starts a relay that holds envelopes there; where it listens, and the memory that it said.
fn relay(home: &Home, network: &str, place: &str) -> (Running, Multiaddr, u64) {
    let listen = ["--listen", "/ip4/127.0.0.1/tcp/0"];
    let mut command = home.bare(&["relay", "run", "--json", place, "64MiB", "--line", "2000"]);
    command.args(listen).args(["--network", network, "--floor", &FLOOR.to_string()]);
    let relay = Running::start(command, &home.path("errors"), None);
    let said = relay.wait_for_json("its room", |line| {
        (line["type"] == "room").then(|| line["memory"].as_u64()).flatten()
    });
    let address = relay.wait_for_json("its address", |line| {
        (line["type"] == "listening").then(|| line["address"].as_str().unwrap_or("").to_owned())
    });
    (relay, address.parse().expect("an address"), said)
}

async fn pour(network: &str, relay: &Multiaddr) {
    let mut settings = NetSettings::new(network.parse().expect("a name"), FLOOR);
    settings.peers = vec![relay.clone()];
    let mut net = Net::new(settings).expect("a node");
    let mut chance = SeededRng::lane(22, 0);
    let mut pace = tokio::time::interval(BETWEEN);
    let mut poured = 0;
    while poured < POURED {
        tokio::select! {
            event = net.next() => match event {
                NetEvent::Engine(Input::Gossip { from, id, .. }) => {
                    net.report_validation(from, id, Acceptance::Ignore);
                }
                NetEvent::Engine(Input::Peers(peers)) if peers.is_empty() && poured > 0 => {
                    panic!("parted with after {poured}");
                }
                _ => {}
            },
            _ = pace.tick() => {
                if net.publish(noise(&mut chance, wall(), FLOOR)) == PublishOutcome::Sent {
                    poured += 1;
                }
            }
        }
    }
}

#[test]
fn a_flood_leaves_no_more_than_was_said_at_the_start() {
    for place in ["--archive", "--pool"] {
        let (home, network) = (Home::new(), unique("held"));
        let (relay, address, said) = relay(&home, &network, place);
        let before = resident(relay.pid());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(pour(&network, &address));
        let poured = resident(relay.pid());
        let items = relay.wait_for_json("what it holds", |line| line["pool_items"].as_u64());
        println!(
            "{place} 64MiB: {} MiB before, {} MiB after {POURED}, {} MiB said; {items} were told of",
            before >> 20,
            poured >> 20,
            said >> 20
        );
        assert!(poured < said, "{place}");
        assert_eq!(relay.end("TERM"), Some(0));
    }
}
