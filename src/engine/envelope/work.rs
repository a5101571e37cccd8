//! Work.
use crate::engine::id::OutgoingId;

/// The nonce that shows an envelope's work. Not an AEAD nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkNonce(pub u64);

/// A search to be done: everything a miner needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkOrder {
    /// Which envelope of ours it is for.
    pub outgoing: OutgoingId,
    /// H: Keccak-256 of the encoding without the nonce.
    pub digest: [u8; 32],
    /// Leading zero bits to find.
    pub bits: u8,
    /// Where the search starts: random, so that the nonce tells nothing of the machine.
    pub start: u64,
}

/// STUB
#[derive(Clone, Copy, Debug)]
pub struct Rating;
/// STUB
#[derive(Clone, Copy, Debug)]
pub struct Floor;
