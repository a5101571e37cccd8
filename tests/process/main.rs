//! The real program from outside: real processes, real sockets, real files, a real terminal.
//!
//! Nothing here calls into the library, but that [`crash`] looks into what killed nodes leave. Every
//! wait is for something that happens, with a deadline; whatever was started is killed when its test
//! ends, whichever way.
#![expect(clippy::expect_used, reason = "a test that cannot set itself up must stop")]
#![expect(clippy::panic, reason = "a deadline that is over is a failed test")]
#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "what is not where it should be is a failed test"
)]

mod archive;
mod away;
mod backup;
mod busy;
mod circumstances;
mod clocks;
mod conversation;
mod crash;
mod disk;
mod ends;
mod history;
mod hostile;
mod log;
mod memory;
mod mining;
mod passphrase;
mod people;
mod readers;
mod relay;
mod support;
mod terminal;
mod upgrade;
mod waits;
mod ways_out;
