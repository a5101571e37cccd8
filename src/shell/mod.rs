//! The shell does: sockets, files, clocks, entropy, terminal.

pub mod net;
pub mod store;
pub mod ui;
