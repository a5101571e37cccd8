//! Bytes and envelopes.

use serde::{Deserialize, Serialize};

use super::topic::Topic;
use super::work::WorkNonce;
use crate::engine::env::{Seconds, UnixSeconds};

/// Keccak-256 of an envelope's canonical encoding; also the gossipsub message id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EnvelopeId(pub [u8; 32]);

impl core::fmt::Debug for EnvelopeId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("EnvelopeId")
    }
}

/// STUB
#[derive(Clone, Debug)]
pub struct Envelope {
    /// expiry
    pub expiry: UnixSeconds,
    /// ttl
    pub ttl: Seconds,
    /// topic
    pub topic: Topic,
    /// data
    pub data: Vec<u8>,
    /// nonce
    pub nonce: WorkNonce,
}

/// STUB
#[derive(Clone, Debug)]
pub struct Draft {
    /// data
    pub data: Vec<u8>,
}
