//! The shell does: sockets, files, clocks, entropy, terminal.

pub mod home;
pub mod net;
pub mod passphrase;
pub mod store;
pub mod ui;
