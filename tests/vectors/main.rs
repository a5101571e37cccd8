//! What other programs must agree with, byte for byte: files of vectors, each with its source.

mod bip324;
mod crypto;
mod entropy;
mod envelope;
mod hashes;
mod hex;
mod session;
#[path = "../support/statistics.rs"]
#[expect(dead_code, reason = "times are compared by a command of its own")]
mod statistics;
mod uniform;
mod wycheproof;
