//! The simulated swarm: many engines, one seed, every run the same.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that fails should say where")]
#![expect(clippy::indexing_slicing, reason = "tests index what they made")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one thing among many")]

mod away;
mod catchup;
mod churn;
mod clocks;
mod closing;
mod conversation;
mod crash;
mod duplex;
mod flood;
mod gaps;
mod handshake;
mod handshake_flow;
mod harness;
mod joining;
mod junk;
mod lifetimes;
mod mailbox;
mod model;
mod networks;
#[path = "../support/noise.rs"]
mod noise;
mod offers;
#[path = "../support/one_node.rs"]
mod one_node;
mod price;
mod receipts;
mod rejoining;
mod restored;
mod slow_servers;
mod states;
#[path = "../support/statistics.rs"]
#[expect(dead_code, reason = "times are compared by a command of its own")]
mod statistics;
#[path = "../support/town.rs"]
mod town;
mod trust;
mod unload;
