//! Catching up: the protocol by which a node fetches the envelopes that it missed from a neighbour.
//!
//! The *client* lacks something, the *server* has it; `proto/sync.md` is the text this keeps to.
//! Here are the bytes ([`wire`]), the compared sets ([`EnvelopeSet`], and [`Snapshot`] with its
//! sketch), one session's state on either side ([`ServerSession`], [`ClientSession`]) and the
//! server's budget ([`UploadBudget`]). None of that knows the pool, a neighbour or a schedule, and
//! nothing of ours is in a request but what the comparison asks for. `CatchUp` does it, on both
//! sides: when, with whom, how much.

mod accounts;
mod budget;
mod catch_up;
mod client;
mod client_session;
mod malformed;
mod patience;
mod peer_clocks;
mod server;
mod server_session;
mod set;
mod sketch;
mod snapshot;
#[cfg(test)]
mod test_ids;
mod turns;
pub mod wire;

use crate::engine::env::Millis;

pub use budget::{PEER_BYTES, TOTAL_BYTES, UploadBudget};
pub(in crate::engine) use catch_up::CatchUp;
pub use client_session::{ClientSession, MAX_OFF_TIME, MAX_SENT, MAX_USELESS, SessionEnd};
pub use malformed::MalformedSyncMessage;
pub use server::{COMPARED_CELLS, COMPARED_EACH};
pub use server_session::{MAX_QUEUED, ServerSession, ServerStep};
pub use set::{EnvelopeSet, MAX_COMPARISON};
pub use sketch::{CELL, MAX_CELLS, SketchSalt};
pub use snapshot::Snapshot;
pub use wire::{MAX_MESSAGE, ResponseBody, SyncQuery, SyncRequest, SyncResponse, append_envelope};

/// Queries and sketches in one session, on either side.
///
/// Sixteen-fold splitting reaches single envelopes of a million in five queries; what is scattered
/// wide fills some 20 of them. Cells that grow by a quarter each time are all there in 30.
/// Comparing reads the whole set up to three times a query, so the bound is also one on computing.
pub const MAX_ROUNDS: u32 = 64;

/// Requests in one session, on either side: every query, and twice the chunks of a full queue of
/// envelopes of the one size. With [`MAX_MESSAGE`] it bounds what a client takes in.
pub const MAX_REQUESTS: u32 = 256;

/// The difference between our clock and those of neighbours. Nothing is ever set by it: they could
/// lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSkew {
    /// The median of their reports, in whole minutes: above 0 if our clock is ahead of theirs.
    pub minutes: i64,
    /// How many neighbours reported.
    pub witnesses: usize,
}

/// The time between two sessions of one client with one server, at least.
const BEGIN_EVERY: Millis = Millis::from_secs(20);
