//! The shell does: sockets, files, clocks, entropy, terminal.

#![cfg_attr(
    not(feature = "inside"),
    expect(
        unreachable_pub,
        reason = "public to the tests of this package, by the feature `inside`"
    )
)]

pub mod api;
pub mod archive;
pub mod backup;
pub mod budget;
mod calendar;
pub mod cli;
pub mod client;
pub mod durable_node;
mod event_log;
mod exported;
pub mod failure;
pub mod failures;
pub mod miner;
pub mod net;
pub mod os;
mod rpc;
pub mod runtime;
mod shared_carrier;
pub mod store;
mod text;
pub mod ui;
