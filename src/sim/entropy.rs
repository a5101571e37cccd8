//! Chance from a seed: for simulation and tests, never for keys that matter.

use sha3::{Digest, Keccak256};

/// A stream of bytes determined by a seed and a lane: Keccak-256 in counter mode.
#[derive(Clone, Debug)]
pub struct SeededRng {
    seed: u64,
    lane: u64,
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl SeededRng {
    /// The stream of `lane`; streams of different lanes are unrelated.
    #[must_use]
    pub const fn new(seed: u64, lane: u64) -> Self {
        Self { seed, lane, counter: 0, block: [0; 32], used: 32 }
    }

    /// Fills `bytes` with the next of the stream.
    pub fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.block.len() {
                self.refill();
            }
            *byte = self.block.get(self.used).copied().unwrap_or_default();
            self.used += 1;
        }
    }

    /// A number in `0..bound`, uniform up to a bias of `bound` / 2^64; 0 when `bound` is.
    pub fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes).checked_rem(bound).unwrap_or(0)
    }

    fn refill(&mut self) {
        let mut hash = Keccak256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(self.lane.to_le_bytes());
        hash.update(self.counter.to_le_bytes());
        self.block = hash.finalize().into();
        self.counter += 1;
        self.used = 0;
    }
}
