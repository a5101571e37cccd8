//! What every node does for all others: checked envelopes wait, are held while they fit, and go.
//!
//! [`validation_queue`] stands between the flood and [`pool`]; `ranking` orders what the pool holds.
//! Nothing here knows an identity, a contact or a session.

pub mod pool;
mod ranking;
pub mod validation_queue;

/// What became of the envelopes that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValidationStats {
    /// Passed on.
    pub accepted: u64,
    /// Dropped without blame.
    pub ignored: u64,
    /// Dropped and counted against the carrier.
    pub rejected: u64,
    /// Of those dropped without blame: their time was over.
    pub expired: u64,
    /// Of those dropped without blame: their time was too far off.
    pub early: u64,
    /// Published by this node, junk included.
    pub published: u64,
}
