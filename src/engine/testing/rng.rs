//! Chance from a seed: for simulations and tests, never for keys that matter.

use sha2::Sha256;
use sha3::{Digest, Keccak256};

use crate::engine::env::{Entropy, Env, Millis, UnixSeconds};

/// When tests happen: 2026-11-21 00:00:00 UTC.
pub const NOW: UnixSeconds = UnixSeconds(1_795_219_200);

/// A generator of bytes that are determined by its seed. Anyone can predict them.
///
/// The bytes are pinned by what was made with them, vectors and bounds of one stream and traces of
/// the other; so neither stream may change, nor become the other.
#[derive(Clone, Debug)]
pub struct SeededRng {
    seed: u64,
    stream: Stream,
    counter: u64,
    block: [u8; 32],
    used: usize,
}

/// The stream of bytes that belongs to a seed.
#[derive(Clone, Copy, Debug)]
enum Stream {
    /// SHA-256 of the seed and a counter. Each draw begins a block, so that what one draw takes
    /// does not shift the next.
    Draws,
    /// Keccak-256 of the seed, this lane and a counter. A draw goes on where the last one ended.
    Lane(u64),
}

impl SeededRng {
    /// The generator of a test that needs no more than one.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self::of(seed, Stream::Draws)
    }

    /// The generator of one lane of a simulation; the streams of different lanes are unrelated.
    #[must_use]
    pub const fn lane(seed: u64, lane: u64) -> Self {
        Self::of(seed, Stream::Lane(lane))
    }

    const fn of(seed: u64, stream: Stream) -> Self {
        Self { seed, stream, counter: 0, block: [0; 32], used: 32 }
    }

    /// Fills `bytes` with the next of the stream.
    pub fn fill_bytes(&mut self, bytes: &mut [u8]) {
        match self.stream {
            Stream::Draws => self.used = self.block.len(),
            Stream::Lane(_) => {}
        }
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

    /// One turn at [`NOW`].
    pub fn turn(&mut self) -> Env<'_> {
        Env::new(Millis(0), NOW, self)
    }

    fn refill(&mut self) {
        let (seed, counter) = (self.seed.to_le_bytes(), self.counter.to_le_bytes());
        self.block = match self.stream {
            Stream::Draws => Sha256::digest([seed, counter].as_flattened()).into(),
            Stream::Lane(lane) => {
                Keccak256::digest([seed, lane.to_le_bytes(), counter].as_flattened()).into()
            }
        };
        self.counter += 1;
        self.used = 0;
    }
}

impl Entropy for SeededRng {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn drawn(rng: &mut SeededRng, lengths: [usize; 3]) -> String {
        let draw = |length| {
            let mut bytes = vec![0; length];
            rng.fill_bytes(&mut bytes);
            HEXLOWER.encode(&bytes)
        };
        lengths.map(draw).join(" ")
    }

    /// Written down before the two streams had one type.
    #[test]
    fn the_bytes_of_both_streams_are_what_they_were() {
        assert_eq!(
            drawn(&mut SeededRng::new(7), [4, 40, 4]),
            "76108f84 70bed0fe3b332b7b0468b742e709ccafb169be47b6ebdd993b030e9ad5afbc8995d1023d4e8062d2 a2dcad78"
        );
        assert_eq!(
            drawn(&mut SeededRng::lane(7, 3), [4, 40, 4]),
            "1ac39381 39f68ac016f21535222da71d67b35461e1c4a8487878629f1e0fdcdb08794946faddbe547acd3735 572b4829"
        );
        assert_eq!(SeededRng::lane(7, 3).below(1_000), 610);
    }
}
