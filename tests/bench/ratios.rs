//! Costs as multiples of a baseline, with the budget for each.
//!
//! Baseline and measured work take turns, and the fastest turn of each counts: what else the machine
//! does, and how fast it is, falls out of the ratio. Nothing fails here; whoever reads decides.

use std::time::{Duration, Instant};

use divan::black_box;
use keccak::Keccak;
use sha3::{Digest, Keccak256};

use undertone::engine::envelope::wire::{ENVELOPE_SIZE, ONE_DAY};
use undertone::engine::envelope::{Floor, WorkNonce, WorkOrder, check, work};
use undertone::engine::id::OutgoingId;

use super::{NOW, encoded, full, newcomer};

/// Turns for each side: enough for a few that nothing disturbs.
const TURNS: usize = 400;

/// Permutations or attempts in one turn.
const BATCH: u64 = 256;

/// Prints a line for each ratio.
pub(super) fn print() {
    let hashed = vec![7; ENVELOPE_SIZE];
    let hash = || _ = black_box(Keccak256::digest(black_box(&hashed)));
    let bytes = encoded(0, ONE_DAY);

    // One hash of the envelope, one permutation for the id, one for the work, one copy.
    let mut copies = vec![bytes; TURNS];
    line("check an envelope / hash it", 1.5, hash, || {
        drop(black_box(check(copies.pop().unwrap_or_default(), NOW, &Floor::new(0))));
    });

    // A dozen steps down a few trees each; and the envelope that leaves is freed.
    let mut pool = full(10_000);
    let mut newcomers: Vec<_> = (0..TURNS as u64).map(|nonce| newcomer(1 << 40 | nonce)).collect();
    line("admit into a full pool of 10,000 / hash an envelope", 1.0, hash, || {
        if let Some(newcomer) = newcomers.pop() {
            _ = black_box(pool.admit(newcomer, NOW));
        }
    });

    let mut state = [7; 25];
    let permute = || {
        Keccak::new().with_f1600(|permute| (0..BATCH).for_each(|_| permute(&mut state)));
    };
    let order = WorkOrder { outgoing: OutgoingId(0), digest: [7; 32], bits: u8::MAX, start: 0 };
    line("an attempt at work / a permutation", 1.1, permute, || {
        _ = black_box(work::search(black_box(&order), WorkNonce(0), BATCH));
    });
}

fn line(name: &str, budget: f64, mut baseline: impl FnMut(), mut measured: impl FnMut()) {
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..TURNS {
        let [base, cost] = &mut fastest;
        *base = time(&mut baseline).min(*base);
        *cost = time(&mut measured).min(*cost);
    }
    let [base, cost] = fastest;
    let ratio = cost.as_secs_f64() / base.as_secs_f64();
    println!("{name}: {ratio:.2} (budget {budget})");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn time(work: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
