//! Entropy that is known beforehand: from a script, or from a seed.

use undertone::engine::env::{Entropy, Env, Millis};

pub(crate) use undertone::engine::testing::rng::{NOW, SeededRng};

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
