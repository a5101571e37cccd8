//! The shell does: sockets, files, clocks, entropy, terminal.

pub mod archive;
pub mod backup;
mod calendar;
pub mod cli;
pub mod desk;
pub mod host;
pub mod miner;
pub mod net;
pub mod os;
pub mod store;
pub mod ui;
