//! The command line: its arguments, what is printed, and what each command does.

pub mod args;
pub mod commands;
mod directory;
mod message_format;
mod open_store;
pub mod output;
