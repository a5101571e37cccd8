//! Work: the search for a nonce whose digest is small enough (`proto/README.md`, "Id" and "Price").
//!
//! The work digest of an envelope is Keccak-256 over the 64 bytes `H || 24 zero bytes || work
//! nonce` (u64, big-endian), where `H` is Keccak-256 of the canonical encoding without its nonce;
//! it is also the envelope's id. Those 64 bytes fit one block, so an attempt costs one permutation
//! whatever the envelope's size. Nothing here reads a clock, draws a number or starts a thread: the
//! caller says where to start and when to stop.

use keccak::State1600;

use crate::engine::crypto::keccak::{Kernel, permute};
use crate::engine::id::OutgoingId;
use crate::engine::price::mean_tries;
use crate::engine::secret::opaque_debug;

/// The nonce that shows an envelope's work. Not an AEAD nonce.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WorkNonce(pub u64);

opaque_debug!(struct WorkNonce(_));

impl WorkNonce {
    /// The nonce so many attempts further on; after the last comes the first.
    #[must_use]
    pub const fn plus(self, attempts: u64) -> Self {
        Self(self.0.wrapping_add(attempts))
    }
}

/// A search for a nonce: everything a miner needs.
#[derive(Clone, PartialEq, Eq)]
pub struct MiningJob {
    /// The envelope of ours that it is for.
    pub outgoing: OutgoingId,
    /// H: Keccak-256 of the encoding without the nonce.
    pub digest: [u8; 32],
    /// A nonce is found when the first 12 bytes of its digest, big-endian, are below this.
    pub target: u128,
    /// The nonce to start with: random, so that the one found tells nothing of the machine.
    pub start: u64,
}

impl MiningJob {
    /// How many tries the search takes on average.
    #[must_use]
    pub fn tries(&self) -> u64 {
        mean_tries(self.target)
    }
}

impl core::fmt::Debug for MiningJob {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The digest and the start would show which envelope is ours.
        let Self { outgoing: _, digest: _, target: _, start: _ } = self;
        f.debug_struct("MiningJob").field("tries", &self.tries()).finish()
    }
}

/// The work digest: Keccak-256 of `H`, 24 zero bytes and the nonce, big-endian.
#[must_use]
pub fn digest(prefix: &[u8; 32], nonce: WorkNonce) -> [u8; 32] {
    let mut state = block(prefix);
    set_nonce(&mut state, nonce);
    permute(&mut state);
    let mut digest = [0; 32];
    for (bytes, lane) in digest.as_chunks_mut::<8>().0.iter_mut().zip(state) {
        *bytes = lane.to_le_bytes();
    }
    digest
}

/// The 64 bytes that the work digest is of.
pub(super) fn message(prefix: &[u8; 32], nonce: WorkNonce) -> [u8; 64] {
    let mut message = [0; 64];
    if let Some(first) = message.first_chunk_mut() {
        *first = *prefix;
    }
    if let Some(last) = message.last_chunk_mut() {
        *last = nonce.0.to_be_bytes();
    }
    message
}

/// Tries `attempts` nonces from `from` on and returns the first whose digest is below the target.
///
/// A driver that wants to be able to stop calls it for a few thousand attempts at a time, each time
/// from where the last call ended ([`WorkNonce::plus`]). The first call starts at
/// [`MiningJob::start`].
#[must_use]
pub fn search(job: &MiningJob, from: WorkNonce, attempts: u64) -> Option<WorkNonce> {
    search_with(Kernel::chosen(), job, from, attempts)
}

/// The same with a kernel of the caller's choice. Each returns the same nonce, so that none shows in
/// what it found.
#[must_use]
pub fn search_with(
    kernel: Kernel,
    job: &MiningJob,
    from: WorkNonce,
    attempts: u64,
) -> Option<WorkNonce> {
    let block = block(&job.digest);
    let mut candidates =
        kernel.candidates(&block, zeros(job.target), from.0, attempts).map(WorkNonce);
    candidates.find(|nonce| {
        let mut state = block;
        set_nonce(&mut state, *nonce);
        permute(&mut state);
        front(&state) < job.target
    })
}

/// The bits of a state's first word that are zero in every digest below `target`: as many as the
/// largest such digest begins with. All of them where none is below it.
const fn zeros(target: u128) -> u64 {
    let largest = target.saturating_sub(1) >> 32;
    // It is a number of 64 bits, unless more than 96 were asked for.
    let count = largest.leading_zeros().saturating_sub(64);
    let others = match u64::MAX.checked_shr(count) {
        Some(others) => others,
        None => 0,
    };
    (!others).swap_bytes()
}

/// The sponge's state after absorbing the padded block with a nonce of zero.
///
/// Keccak-256 absorbs 136 bytes at a time: 17 lanes of 8 bytes, little-endian. The message fills
/// lanes 0 to 7; its padding is a 1 bit after the message and a 1 bit at the end of the block.
fn block(digest: &[u8; 32]) -> State1600 {
    let mut state = [0; 25];
    let (chunks, _) = digest.as_chunks::<8>();
    for (lane, bytes) in state.iter_mut().zip(chunks) {
        *lane = u64::from_le_bytes(*bytes);
    }
    state[8] = 0x01;
    state[16] = 0x80 << 56;
    state
}

/// Writes the nonce into the block's last 8 message bytes, big-endian in a little-endian lane.
const fn set_nonce(state: &mut State1600, nonce: WorkNonce) {
    state[7] = nonce.0.swap_bytes();
}

/// The first 12 bytes of the digest at the front of the state, big-endian.
const fn front(state: &State1600) -> u128 {
    let [first, second, ..] = *state;
    (first.swap_bytes() as u128) << 32 | (second.swap_bytes() >> 32) as u128
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha3::{Digest, Keccak256};

    use super::super::wire::EnvelopeId;
    use super::*;

    /// The definition, written down as bytes and hashed by `sha3`.
    fn by_the_book(prefix: &[u8; 32], nonce: WorkNonce) -> EnvelopeId {
        let mut message = [0; 64];
        message[..32].copy_from_slice(prefix);
        message[56..].copy_from_slice(&nonce.0.to_be_bytes());
        EnvelopeId(Keccak256::digest(message).into())
    }

    #[test]
    fn the_zeros_of_a_target_are_those_of_the_digests_below_it() {
        assert_eq!(zeros(0), u64::MAX);
        // The digest of zeros alone is below it.
        assert_eq!(zeros(1), u64::MAX);
        assert_eq!(zeros(1 << 32), u64::MAX);
        // The first byte of a digest is the lowest of the word.
        assert_eq!(zeros((1 << 32) + 1), u64::MAX - (1 << 56));
        assert_eq!(zeros(1 << (96 - 8)), 0xff);
        assert_eq!(zeros((1 << (96 - 8)) + 1), 0xfe);
        assert_eq!(zeros(1 << (96 - 12)), 0xf0ff);
        assert_eq!(zeros(1 << 95), 0x80);
        for all in [(1 << 95) + 1, 1 << 96, u128::MAX] {
            assert_eq!(zeros(all), 0);
        }
    }

    fn job(digest: [u8; 32], target: u128) -> MiningJob {
        MiningJob { outgoing: OutgoingId(0), digest, target, start: 0 }
    }

    #[test]
    fn a_search_goes_on_where_the_last_one_ended_and_past_the_last_nonce() {
        let job = job([7; 32], 1 << 88);
        let from = WorkNonce(u64::MAX - 3);
        let whole = search(&job, from, 1 << 16).unwrap();
        let mut at = from;
        let chunked = loop {
            if let Some(found) = search(&job, at, 5) {
                break found;
            }
            at = at.plus(5);
        };
        assert_eq!(whole, chunked);
    }

    #[test]
    fn a_search_without_attempts_or_without_a_target_finds_nothing() {
        assert_eq!(search(&job([7; 32], 1 << 96), WorkNonce(0), 0), None);
        assert_eq!(search(&job([7; 32], 0), WorkNonce(0), 1_000), None);
        assert_eq!(search(&job([7; 32], 1 << 96), WorkNonce(5), 1), Some(WorkNonce(5)));
    }

    proptest! {
        #[test]
        fn one_permutation_is_keccak_256_of_the_64_bytes(prefix: [u8; 32], nonce: u64) {
            let nonce = WorkNonce(nonce);
            prop_assert_eq!(EnvelopeId(digest(&prefix, nonce)), by_the_book(&prefix, nonce));
        }

        #[test]
        fn a_search_returns_the_first_nonce_that_shows_enough(
            prefix: [u8; 32], from: u64, (target, shift) in (0_u128..=1 << 96, 0_u32..10),
        ) {
            let (from, target) = (WorkNonce(from), target >> shift);
            let by_hand = (0..1 << 12)
                .map(|step| from.plus(step))
                .find(|nonce| by_the_book(&prefix, *nonce).work() < target);
            prop_assert_eq!(search(&job(prefix, target), from, 1 << 12), by_hand);
            for kernel in Kernel::all_available() {
                let found = search_with(kernel, &job(prefix, target), from, 1 << 12);
                prop_assert_eq!(found, by_hand, "{:?}", kernel);
            }
        }
    }
}
