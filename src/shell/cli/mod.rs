//! The command line: its arguments, what is printed, and what each command does.

pub mod args;
pub mod commands;
mod connect;
mod input;
mod line_queue;
mod log_file;
mod message_format;
pub mod output;
