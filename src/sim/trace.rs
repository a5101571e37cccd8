//! The trace: a digest of all turns, equal for two runs of one seed.

use super::NodeIndex;
use crate::engine::env::Millis;
use crate::engine::node::input::Input;

/// A running digest of all turns, and their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Depends on every event, its time and its place.
    pub digest: u64,
    /// Turns so far, over all nodes.
    pub turns: u64,
}

impl Trace {
    /// The trace of no turns.
    pub(super) const fn new() -> Self {
        Self { digest: FNV_OFFSET, turns: 0 }
    }

    /// Mixes a turn in: FNV-1a over what identifies it.
    pub(super) fn note(&mut self, at: Millis, node: NodeIndex, input: &Input) {
        let kind: u64 = match input {
            Input::Gossip { id, .. } => u64::from_le_bytes(id.tail()),
            Input::OffTime { expired, early } => expired ^ early ^ 0x5F00,
            Input::Mined { nonce, .. } => nonce.0,
            Input::Peers(peers) => peers.len() as u64 ^ 0xA5,
            Input::Resumed => 0x6000,
            Input::SyncRequest { id, .. } => id.0 ^ 0x5C00,
            Input::SyncResponse { id, .. } => id.0 ^ 0x5D00,
            Input::ArchiveMissing(ids) => ids.len() as u64 ^ 0x5E00,
            Input::Command { id, .. } => id.0 ^ 0x5A00,
            Input::Tick => 0x7C,
        };
        for part in [at.0, node.0 as u64, kind] {
            self.digest = (self.digest ^ part).wrapping_mul(FNV_PRIME);
        }
        self.turns += 1;
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;
