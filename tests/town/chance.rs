//! What happens by chance in the town.

use rand_pcg::Mcg128Xsl64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use undertone::engine::env::Entropy;

/// A quick generator. A third of what a town computes was the hashes of the one that other tests use.
#[derive(Debug)]
pub(crate) struct Chance(Mcg128Xsl64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mcg128Xsl64::seed_from_u64(seed))
    }

    /// A number in `0..bound`, uniform up to a bias of `bound` / 2^64; `bound` is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }
}

impl Entropy for Chance {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}
