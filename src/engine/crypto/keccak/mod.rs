//! Keccak-256 of many inputs side by side, as fast as the processor can.
//!
//! The words of a processor hold two, four or eight lanes of 64 bits, and a permutation of one state
//! costs the same instructions as one of as many states as there are lanes. A [`Kernel`] is a way to
//! do that: it goes through the nonces of a block ([`Kernel::candidates`]), and it hashes messages of
//! one length ([`Kernel::hash_each`]). Beside the crate `sha3`, which all of them are held to:
//!
//! | kernel | lanes | where |
//! |---|---|---|
//! | `avx512` | 8 | AVX-512: it turns words and has any function of three bits |
//! | `avx2` | 4 | AVX2 |
//! | `sse2` | 2 | every other 64-bit processor of Intel's and AMD's |
//! | `neon-sha3` | 2 | Arm's instructions for this permutation |
//! | `neon` | 2 | every other 64-bit processor of Arm's |
//! | `portable` | 1 | everywhere |
//! | `reference` | 1 | everywhere: the crates `keccak` and `sha3` |
//!
//! How fast each of them is on Intel's and AMD's processors `cargo bench` prints. On Arm's nobody has
//! measured it yet: an attempt takes 2,096 instructions with `neon`, 964 with `neon-sha3`, 3,426 with
//! `portable` and 3,847 with `sha3` where the processor has no instructions for SHA-3, 2,025 where it
//! has (counted one by one under QEMU). How long they take is another matter.
//!
//! All but the last leave out of a search what its blocks have in common: most of the first round,
//! and of the last everything but the word that is looked at. Which one found a nonce does not show:
//! all of them name the same nonces in the same order.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dispatch;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_sha3;
mod portable;
mod rounds;
mod self_test;
mod sponge;
#[cfg(target_arch = "x86_64")]
mod sse2;
#[cfg(test)]
mod tests;

use core::iter::repeat_n;
use std::sync::OnceLock;

use keccak::{Keccak, State1600};
use sha3::{Digest, Keccak256};

/// One way to work on many states side by side, on a processor that has what it needs.
#[derive(Clone, Copy)]
pub struct Kernel {
    name: &'static str,
    lanes: usize,
    scan: fn(&Sweep) -> Option<Sighting>,
    hash: fn(&[&[u8]], &mut Vec<[u8; 32]>),
}

impl Kernel {
    /// The fastest one here that agrees with the reference. The first call finds it, in less than a
    /// millisecond.
    #[must_use]
    pub fn chosen() -> Self {
        static CHOSEN: OnceLock<Kernel> = OnceLock::new();
        *CHOSEN.get_or_init(|| Self::choose(&Self::all_available()))
    }

    /// All that this processor can do, in the order in which they are preferred. The last is the
    /// reference.
    #[must_use]
    pub fn all_available() -> Vec<Self> {
        let mut kernels = dispatch::vectorised();
        kernels.push(Self {
            name: "portable",
            lanes: portable::LANES,
            scan: portable::scan,
            hash: portable::hash,
        });
        kernels.push(Self::REFERENCE);
        kernels
    }

    /// The first that agrees with the reference, or that itself.
    fn choose(kernels: &[Self]) -> Self {
        kernels.iter().copied().find(self_test::passes).unwrap_or(Self::REFERENCE)
    }

    const REFERENCE: Self =
        Self { name: "reference", lanes: 1, scan: scan_by_reference, hash: hash_by_reference };

    /// Its name: `avx512`, `avx2`, `sse2`, `neon-sha3`, `neon`, `portable` or `reference`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Goes through `attempts` nonces from `from` on, after the last of all comes the first, and
    /// names those with which the digest of `block` may begin as it should: its first word,
    /// little-endian, has no bit that `zeros` has.
    ///
    /// `block` is the state that has absorbed a message whose bytes 56 to 63, which are word 7, are
    /// zero; there the nonce goes, big-endian.
    #[must_use]
    pub fn candidates(self, block: &State1600, zeros: u64, from: u64, attempts: u64) -> Candidates {
        let known = portable::known_rows(block);
        let sweep = Sweep { block: *block, known, zeros, from, batches: 0 };
        Candidates { kernel: self, sweep, from, attempts, tried: 0, seen: 0, first: 0 }
    }

    /// Keccak-256 of each message. Those that stand beside each other and have one length are hashed
    /// side by side.
    #[must_use]
    pub fn hash_each(self, messages: &[&[u8]]) -> Vec<[u8; 32]> {
        let mut digests = Vec::with_capacity(messages.len().next_multiple_of(self.lanes));
        for group in messages.chunk_by(|one, next| one.len() == next.len()) {
            self.hash_group(group, &mut digests);
        }
        digests
    }

    /// Adds the digests of messages of one length.
    fn hash_group(self, messages: &[&[u8]], digests: &mut Vec<[u8; 32]>) {
        let full = messages.len() - messages.len() % self.lanes;
        let (whole, rest) = messages.split_at(full);
        (self.hash)(whole, digests);
        match rest {
            // All lanes take longer than one word of the language.
            [] | [_] => hash_by_reference(rest, digests),
            [first, ..] => {
                let idle = repeat_n(*first, self.lanes.saturating_sub(rest.len()));
                let padded: Vec<&[u8]> = rest.iter().copied().chain(idle).collect();
                (self.hash)(&padded, digests);
                digests.truncate(digests.len() - (padded.len() - rest.len()));
            }
        }
    }
}

impl core::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { name, lanes: _, scan: _, hash: _ } = self;
        f.debug_tuple("Kernel").field(name).finish()
    }
}

/// The nonces that [`Kernel::candidates`] names, in their order.
#[derive(Clone)]
pub struct Candidates {
    kernel: Kernel,
    sweep: Sweep,
    from: u64,
    attempts: u64,
    /// So many nonces were gone through.
    tried: u64,
    /// The lanes of the last batch that are still to be named.
    seen: u8,
    /// How many nonces came before that batch.
    first: u64,
}

impl Iterator for Candidates {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let lanes = lanes(self.kernel.lanes);
        while self.seen == 0 {
            let left = self.attempts.checked_sub(self.tried).filter(|left| *left > 0)?;
            self.sweep.from = self.from.wrapping_add(self.tried);
            self.sweep.batches = left.div_ceil(lanes);
            let Some(Sighting { batch, lanes: seen }) = (self.kernel.scan)(&self.sweep) else {
                self.tried = self.attempts;
                return None;
            };
            self.first = self.tried.saturating_add(batch.saturating_mul(lanes));
            self.tried = self.first.saturating_add(lanes);
            self.seen = seen;
        }
        let lane = u64::from(self.seen.trailing_zeros());
        // Takes away the lowest one.
        self.seen &= self.seen - 1;
        // The last batch may have gone further than was asked.
        let step = self.first.checked_add(lane).filter(|step| *step < self.attempts);
        step.map(|step| self.from.wrapping_add(step))
    }
}

impl core::fmt::Debug for Candidates {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Candidates").field("kernel", &self.kernel).finish_non_exhaustive()
    }
}

/// What a kernel goes through at one call.
#[derive(Clone)]
struct Sweep {
    /// The block with a nonce of zero.
    block: State1600,
    /// Its rows after theta, rho and pi of the first round.
    known: [[u64; 5]; 5],
    /// The bits that should be zero in the first word of a digest.
    zeros: u64,
    /// The nonce of the first lane of the first batch.
    from: u64,
    /// As many nonces each as there are lanes.
    batches: u64,
}

/// The batch at which a sweep ended.
struct Sighting {
    batch: u64,
    /// A bit for each of its lanes that has its zeros.
    lanes: u8,
}

/// The word of a block that is its nonce.
const NONCE_WORD: usize = 7;

/// The permutation that everything here is held to.
pub fn permute(state: &mut State1600) {
    Keccak::new().with_f1600(|permute| permute(state));
}

fn scan_by_reference(sweep: &Sweep) -> Option<Sighting> {
    let mut found = None;
    Keccak::new().with_f1600(|permute| {
        found = (0..sweep.batches).find(|batch| {
            let mut state = sweep.block;
            state[NONCE_WORD] = sweep.from.wrapping_add(*batch).swap_bytes();
            permute(&mut state);
            let [word, ..] = state;
            word & sweep.zeros == 0
        });
    });
    found.map(|batch| Sighting { batch, lanes: 1 })
}

fn hash_by_reference(messages: &[&[u8]], digests: &mut Vec<[u8; 32]>) {
    digests.extend(messages.iter().map(|message| <[u8; 32]>::from(Keccak256::digest(message))));
}

/// A number of lanes, to reckon nonces with.
const fn lanes(lanes: usize) -> u64 {
    lanes as u64
}
