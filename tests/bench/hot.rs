//! What a node does most: check an envelope, admit it, search for work.
//!
//! `cargo bench --bench hot`. Machines differ and are noisy, so the ratios of [`ratios`] come first,
//! each measured against a baseline in the same moments; the times follow.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has failed")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod ratios;

use divan::{Bencher, black_box, counter::ItemsCount};
use sha3::{Digest, Keccak256};

use undertone::engine::env::{Millis, Seconds, UnixSeconds};
use undertone::engine::envelope::wire::{BODY_SIZE, ENVELOPE_SIZE, ONE_DAY};
use undertone::engine::envelope::{
    CheckedEnvelope, Draft, Floor, MiningJob, Topic, WorkNonce, check as check_envelope,
};
use undertone::engine::id::OutgoingId;
use undertone::engine::relay::pool::{Admission, BodyStorage, ENTRY_OVERHEAD, Pool, PoolBounds};

mod node;
mod open;
mod sync;
mod talk;

const NOW: UnixSeconds = UnixSeconds(472_222 * 3600);

fn main() {
    ratios::print();
    node::print();
    sync::print();
    divan::main();
}

/// An envelope of the one size. Its priority is left to the luck of its nonce.
fn encoded(nonce: u64, ttl: Seconds) -> Vec<u8> {
    let draft = Draft::new(NOW, ttl, Topic([0; 4]), vec![7; BODY_SIZE]);
    draft.expect("a draft every node carries").finish(WorkNonce(nonce)).1
}

fn checked(nonce: u64, ttl: Seconds) -> CheckedEnvelope {
    check_envelope(encoded(nonce, ttl), NOW, &Floor::new(0))
        .expect("an envelope every node carries")
}

/// A pool filled to its bound with envelopes that live a day.
fn full(count: usize) -> Pool {
    let bytes = count * (ENVELOPE_SIZE + ENTRY_OVERHEAD);
    let mut pool = Pool::new(PoolBounds { bytes, count }, BodyStorage::Inline);
    for nonce in 0_u64.. {
        if pool.count() == count {
            break;
        }
        pool.admit(checked(nonce, ONE_DAY), NOW, Millis(0));
    }
    pool
}

/// Lives a tenth of a day, so it is worth ten times as much as most that live a day.
fn newcomer(nonce: u64) -> CheckedEnvelope {
    checked(nonce, Seconds(8_640))
}

mod baseline {
    use super::*;

    #[divan::bench]
    fn keccak_of_one_envelope(bencher: Bencher<'_, '_>) {
        let bytes = vec![7; ENVELOPE_SIZE];
        bencher.bench(|| Keccak256::digest(black_box(&bytes)));
    }

    #[divan::bench]
    fn permutation(bencher: Bencher<'_, '_>) {
        let mut state = [7; 25];
        bencher.bench_local(|| {
            keccak::Keccak::new().with_f1600(|permute| permute(black_box(&mut state)));
        });
    }
}

mod check {
    use super::*;

    #[divan::bench]
    fn a_good_envelope(bencher: Bencher<'_, '_>) {
        bencher
            .with_inputs(|| encoded(0, ONE_DAY))
            .bench_values(|bytes| check_envelope(bytes, NOW, &Floor::new(0)));
    }

    #[divan::bench]
    fn one_with_too_little_work(bencher: Bencher<'_, '_>) {
        bencher
            .with_inputs(|| encoded(0, ONE_DAY))
            .bench_values(|bytes| check_envelope(bytes, NOW, &Floor::new(40)));
    }

    #[divan::bench]
    fn one_that_is_expired(bencher: Bencher<'_, '_>) {
        let late = NOW.plus(ONE_DAY).plus(ONE_DAY);
        bencher
            .with_inputs(|| encoded(0, ONE_DAY))
            .bench_values(|bytes| check_envelope(bytes, late, &Floor::new(0)));
    }
}

mod admit {
    use super::*;

    /// Nearly every newcomer pushes out the lowest.
    #[divan::bench(args = [1_000, 10_000, 50_000])]
    fn into_a_full_pool(bencher: Bencher<'_, '_>, count: usize) {
        let mut pool = full(count);
        let mut nonce = 1 << 40;
        bencher
            .with_inputs(|| {
                nonce += 1;
                newcomer(nonce)
            })
            .bench_local_values(|newcomer| pool.admit(newcomer, NOW, Millis(0)));
    }

    /// Nothing fits: each newcomer is refused, its id remembered.
    #[divan::bench]
    fn refused_for_room(bencher: Bencher<'_, '_>) {
        let mut pool = Pool::new(PoolBounds { bytes: 0, count: 0 }, BodyStorage::Inline);
        let mut nonce = 1 << 40;
        bencher
            .with_inputs(|| {
                nonce += 1;
                checked(nonce, ONE_DAY)
            })
            .bench_local_values(|newcomer| {
                let admission = pool.admit(newcomer, NOW, Millis(0));
                assert_ne!(admission, Admission::Fresh);
            });
    }
}

mod search {
    use super::*;
    use undertone::engine::envelope::work;

    const ATTEMPTS: u64 = 4096;

    #[divan::bench]
    fn for_work_nobody_finds(bencher: Bencher<'_, '_>) {
        let order = MiningJob { outgoing: OutgoingId(0), digest: [7; 32], bits: u8::MAX, start: 0 };
        bencher
            .counter(ItemsCount::new(ATTEMPTS))
            .bench(|| work::search(black_box(&order), WorkNonce(0), ATTEMPTS));
    }
}
