//! Entropy for tests: the same bytes for the same seed. Anyone can predict them.

use sha2::{Digest, Sha256};

use crate::engine::env::{Entropy, Env, Millis, UnixSeconds};

/// SHA-256 of a seed and a counter, block by block.
pub(crate) struct SeededRng {
    seed: u64,
    counter: u64,
}

impl SeededRng {
    /// The stream that belongs to `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }

    /// One turn at [`NOW`].
    pub(crate) fn turn(&mut self) -> Env<'_> {
        Env::new(Millis(0), NOW, self)
    }
}

impl Entropy for SeededRng {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let mut hash = Sha256::new();
            hash.update(self.seed.to_le_bytes());
            hash.update(self.counter.to_le_bytes());
            self.counter += 1;
            for (to, from) in chunk.iter_mut().zip(hash.finalize()) {
                *to = from;
            }
        }
    }
}

/// When tests happen: 2026-11-21 00:00:00 UTC.
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_795_219_200);
