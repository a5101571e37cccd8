//! The simulated swarm: many engines, one seed, every run the same.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that fails should say where")]

mod conversation;
mod crash;
mod flood;
mod junk;
mod meeting;
mod model;
#[path = "../vectors/statistics.rs"]
mod statistics;
mod town;
