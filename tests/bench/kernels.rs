//! What each kernel of this processor makes of an attempt at work and of an envelope's hash, beside the
//! crates `sha3` and `tiny-keccak`, which everybody has.

use divan::black_box;
use sha3::{Digest, Keccak256};
use tiny_keccak::{Hasher, Keccak};

use undertone::engine::crypto::keccak::Kernel;
use undertone::engine::envelope::wire::ENVELOPE_SIZE;
use undertone::engine::envelope::{MiningJob, WorkNonce, work};
use undertone::engine::id::OutgoingId;

use super::ratios::{line, rate};

/// Attempts in one turn.
const BATCH: u64 = 1_024;

/// Envelopes that come at once.
const BURST: u8 = 16;

/// The most that an attempt may take of what `sha3` needs for the same 64 bytes.
fn budget(kernel: &Kernel) -> f64 {
    match kernel.name() {
        "avx512" => 1.0 / 7.0,
        "avx2" => 1.0 / 3.5,
        "sse2" | "neon" | "neon-sha3" => 1.0 / 1.5,
        "portable" => 1.0 / 1.15,
        _ => 1.0,
    }
}

/// Prints two lines for each kernel, and how many attempts a second the chosen one makes.
pub(super) fn print() {
    // One digest alone is below it, and nobody finds that: each attempt is made.
    let job = MiningJob { outgoing: OutgoingId(0), digest: [7; 32], target: 1, start: 0 };
    let each = |hash: fn(&[u8; 64])| {
        for nonce in 0..BATCH {
            let mut message = [0; 64];
            message[..32].copy_from_slice(black_box(&job.digest));
            message[56..].copy_from_slice(&nonce.to_be_bytes());
            hash(&message);
        }
    };
    let one_by_one = || each(|message| _ = black_box(Keccak256::digest(message)));
    let by_tiny_keccak = || {
        each(|message| {
            let (mut hasher, mut digest) = (Keccak::v256(), [0; 32]);
            hasher.update(message);
            hasher.finalize(&mut digest);
            black_box(digest);
        });
    };
    line("hash 64 bytes, tiny-keccak / sha3", 1.2, one_by_one, by_tiny_keccak);
    let envelopes: Vec<Vec<u8>> = (0..BURST).map(|at| vec![at; ENVELOPE_SIZE - 9]).collect();
    let prefixes: Vec<&[u8]> = envelopes.iter().map(Vec::as_slice).collect();
    let each_alone = || {
        for prefix in &prefixes {
            black_box(Keccak256::digest(black_box(prefix)));
        }
    };
    for kernel in Kernel::all_available() {
        let name = format!("an attempt at work, {} / hash 64 bytes", kernel.name());
        line(&name, budget(&kernel), one_by_one, || {
            _ = black_box(work::search_with(kernel, black_box(&job), WorkNonce(0), BATCH));
        });
        let name = format!("hash {BURST} envelopes at once, {} / one by one", kernel.name());
        line(&name, 1.05, each_alone, || drop(black_box(kernel.hash_each(black_box(&prefixes)))));
    }
    let chosen = Kernel::chosen();
    let name = format!("searches of {BATCH} attempts a second, {} (one core)", chosen.name());
    rate(&name, || _ = black_box(work::search(black_box(&job), WorkNonce(0), BATCH)));
}
