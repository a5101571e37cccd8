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
mod exchanges;
mod faults;
mod flood;
mod hosts;
mod links;
mod rogue;
mod throughput;
mod world;
