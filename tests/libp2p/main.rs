//! Real swarms: the network through its public door, over memory links and loopback sockets.
//!
//! Nothing sleeps and nothing is timed; every wait is for an event, with one generous deadline.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails there")]
#![expect(clippy::indexing_slicing, reason = "tests index what they made")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one event and lets the others pass"
)]

mod agreement;
#[path = "../support/attacker.rs"]
#[expect(dead_code, reason = "the attacks are those of several tests")]
mod attacker;
mod cutting;
mod door;
mod exchanges;
mod faults;
#[path = "../support/first_datagrams.rs"]
mod first_datagrams;
mod flood;
#[path = "../support/forward.rs"]
mod forward;
mod hostile;
mod hosts;
mod joining;
mod links;
#[path = "../support/noise.rs"]
mod noise;
#[path = "../support/one_node.rs"]
mod one_node;
mod quic;
mod rejoining;
mod rogue;
mod throughput;
#[path = "../support/town.rs"]
#[expect(dead_code, reason = "the script is played by commands of its own")]
mod town;
mod world;
