//! Entropy that is known beforehand: from a seed, or from a script.

use sha2::{Digest, Sha256};

use undertone::engine::env::{Entropy, Env, Millis, UnixSeconds};

/// When these tests happen: 2026-11-21 00:00:00 UTC.
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_795_219_200);

/// SHA-256 of a seed and a counter, block by block.
pub(crate) struct SeededRng {
    seed: u64,
    counter: u64,
}

impl SeededRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }
}

impl Entropy for SeededRng {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let seed = self.seed.to_le_bytes().into_iter().chain(self.counter.to_le_bytes());
            self.counter += 1;
            for (to, from) in chunk.iter_mut().zip(Sha256::digest(seed.collect::<Vec<_>>())) {
                *to = from;
            }
        }
    }
}

/// Bytes that were written down, each drawn once.
pub(crate) struct Script(pub(crate) std::vec::IntoIter<u8>);

impl Entropy for Script {
    fn fill(&mut self, bytes: &mut [u8]) {
        assert!(bytes.len() <= self.0.len(), "the script is over");
        for (to, from) in bytes.iter_mut().zip(&mut self.0) {
            *to = from;
        }
    }
}

/// One turn at [`NOW`].
pub(crate) fn turn(entropy: &mut dyn Entropy) -> Env<'_> {
    Env::new(Millis(0), NOW, entropy)
}
