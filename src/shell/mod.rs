//! The shell does: sockets, files, clocks, entropy, terminal.

pub mod api;
pub mod archive;
pub mod backup;
mod calendar;
pub mod cli;
pub mod durable_node;
pub mod failure;
pub mod failures;
pub mod miner;
pub mod net;
pub mod os;
pub mod runtime;
pub mod store;
mod text;
pub mod ui;
