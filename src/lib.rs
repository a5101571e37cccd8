//! Undertone: an anonymous, serverless, end-to-end-encrypted messenger for the terminal.

pub mod engine;
pub mod shell;
pub mod sim;
