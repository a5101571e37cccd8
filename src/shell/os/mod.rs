//! The operating system: its clock and random generator, signals, the data directory, free memory, a
//! passphrase, what it answers in words, the priority of a thread, where its power comes from, files
//! that a person names, and the exit code of the process.

pub mod clock;
pub mod data_dir;
pub mod disk;
pub mod exit_code;
pub mod io_words;
pub mod memory;
pub mod passphrase;
pub mod power;
pub(in crate::shell) mod priority;
pub(in crate::shell) mod signals;
pub(in crate::shell) mod user_file;
