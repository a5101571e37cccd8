//! What a node does most: check an envelope, admit it, search for work.
//!
//! `cargo bench --bench hot`. Machines differ and are noisy, so the ratios of [`ratios`] come first,
//! each measured against a baseline in the same moments; the times follow.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has failed")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod ratios;

use divan::{Bencher, black_box, counter::ItemsCount};
use sha3::{Digest, Keccak256};

use undertone::engine::env::{Millis, UnixSeconds};
use undertone::engine::envelope::wire::{BODY_SIZE, ENVELOPE_SIZE, ONE_DAY};
use undertone::engine::envelope::{
    CheckedEnvelope, Draft, Floor, Lifetime, MiningJob, Topic, WorkNonce, check as check_envelope,
    work,
};
use undertone::engine::id::OutgoingId;
use undertone::engine::price::{Share, Step};
use undertone::engine::relay::pool::{Admission, BodyStorage, Pool, PoolBounds};

mod counts;
mod kernels;
mod miner;
mod node;
mod open;
mod sync;
mod talk;

const NOW: UnixSeconds = UnixSeconds(472_222 * 3600);

fn main() {
    if counts::answered() {
        return;
    }
    ratios::print();
    kernels::print();
    node::print();
    miner::print();
    sync::print();
    divan::main();
}

/// The least floor: every message of a day pays it.
const NO_FLOOR: Floor = Floor::new(0);

fn draft() -> Draft {
    let draft = Draft::new(NOW, Lifetime::Day, Topic([0; 4]), vec![7; BODY_SIZE]);
    draft.expect("a draft every node carries")
}

/// A message of a day. Its priority is left to the luck of its nonce.
fn encoded(nonce: u64) -> Vec<u8> {
    draft().finish(WorkNonce(nonce)).1
}

fn checked(nonce: u64) -> CheckedEnvelope {
    check_envelope(encoded(nonce), NOW, &NO_FLOOR).expect("an envelope every node carries")
}

/// A pool whose share of a day is filled to its last place.
fn full(count: usize) -> Pool {
    let places = count * 4 / 3;
    let mut pool = Pool::new(PoolBounds { places }, NO_FLOOR, BodyStorage::Inline);
    for nonce in 0_u64.. {
        if pool.room(Share::Day).used == pool.room(Share::Day).places {
            break;
        }
        // As those that were held before a restart: they need room, and no higher price.
        pool.readmit(checked(nonce), NOW);
    }
    pool
}

/// What a full share takes in for one that leaves: 512 times the floor. Searched for from `nonce`
/// on.
fn newcomer(nonce: u64) -> CheckedEnvelope {
    let draft = draft();
    let job = draft.mining_job(OutgoingId(0), (Floor::new(1), Step::MAX), nonce);
    let found = work::search(&job, WorkNonce(nonce), u64::MAX).expect("some nonce will do");
    check_envelope(draft.finish(found).1, NOW, &NO_FLOOR).expect("an envelope every node carries")
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
            .with_inputs(|| encoded(0))
            .bench_values(|bytes| check_envelope(bytes, NOW, &NO_FLOOR));
    }

    #[divan::bench]
    fn one_with_too_little_work(bencher: Bencher<'_, '_>) {
        bencher
            .with_inputs(|| encoded(0))
            .bench_values(|bytes| check_envelope(bytes, NOW, &Floor::new(40)));
    }

    #[divan::bench]
    fn one_that_is_expired(bencher: Bencher<'_, '_>) {
        let late = NOW.plus(ONE_DAY).plus(ONE_DAY);
        bencher
            .with_inputs(|| encoded(0))
            .bench_values(|bytes| check_envelope(bytes, late, &NO_FLOOR));
    }
}

mod admit {
    use super::*;

    /// Every newcomer pushes out the lowest, until all that is held has paid as much.
    #[divan::bench(args = [1_000, 10_000, 50_000])]
    fn into_a_full_pool(bencher: Bencher<'_, '_>, count: usize) {
        let mut pool = full(count);
        let mut nonce = 1 << 40;
        bencher
            .with_inputs(|| {
                nonce += 1 << 20;
                newcomer(nonce)
            })
            .bench_local_values(|newcomer| pool.admit(newcomer, NOW, Millis(0)));
    }

    /// Nothing fits: each newcomer is refused, its id remembered.
    #[divan::bench]
    fn refused_for_room(bencher: Bencher<'_, '_>) {
        let mut pool = Pool::new(PoolBounds { places: 0 }, NO_FLOOR, BodyStorage::Inline);
        let mut nonce = 1 << 40;
        bencher
            .with_inputs(|| {
                nonce += 1;
                checked(nonce)
            })
            .bench_local_values(|newcomer| {
                let admission = pool.admit(newcomer, NOW, Millis(0));
                assert_ne!(admission, Admission::Fresh);
            });
    }
}

mod search {
    use super::*;

    const ATTEMPTS: u64 = 4096;

    #[divan::bench]
    fn for_work_nobody_finds(bencher: Bencher<'_, '_>) {
        let order = MiningJob { outgoing: OutgoingId(0), digest: [7; 32], target: 0, start: 0 };
        bencher
            .counter(ItemsCount::new(ATTEMPTS))
            .bench(|| work::search(black_box(&order), WorkNonce(0), ATTEMPTS));
    }
}
