//! What a hot path takes, in instructions: the same on every run, whatever else the machine does.
//!
//! `hot count` names the paths, and `hot count PATH TURNS` goes along one of them so many times and
//! does nothing else. `tests/long/instructions` runs that under Valgrind, and subtracts from many
//! turns few, so that what comes before the first does not count.

use divan::black_box;
use sha3::{Digest, Keccak256};

use undertone::engine::crypto::keccak::Kernel;
use undertone::engine::env::{Env, Millis};
use undertone::engine::envelope::wire::ENVELOPE_SIZE;
use undertone::engine::envelope::{MiningJob, WorkNonce, check, work};
use undertone::engine::id::OutgoingId;
use undertone::engine::session::ReceivedOffer;

use super::open::Counter;
use super::talk::{Talk, foreign, is_for_us, multiplication, said, watching};
use super::{NO_FLOOR, NOW, encoded, full, newcomer};

/// Tries in one turn of a search.
const TRIES: u64 = 4_096;

/// Goes along a path so many times.
type Path = fn(usize);

/// What is counted, by its name.
const PATHS: [(&str, Path); 13] = [
    ("4096-tries-reference", |turns| tries("reference", turns)),
    ("4096-tries-portable", |turns| tries("portable", turns)),
    ("4096-tries-sse2", |turns| tries("sse2", turns)),
    ("4096-tries-avx2", |turns| tries("avx2", turns)),
    ("hash-an-envelope", |turns| {
        let bytes = [7; ENVELOPE_SIZE];
        repeat(turns, || _ = black_box(Keccak256::digest(black_box(&bytes))));
    }),
    ("hash-16-envelopes-at-once", |turns| {
        let bytes = [7; ENVELOPE_SIZE - 9];
        let all = [bytes.as_slice(); 16];
        repeat(turns, || drop(black_box(Kernel::chosen().hash_each(black_box(&all)))));
    }),
    ("check-an-envelope", |turns| {
        let bytes = encoded(0);
        repeat(turns, || drop(black_box(check(black_box(bytes.clone()), NOW, &NO_FLOOR))));
    }),
    ("admit-into-a-full-share-of-1000", |turns| {
        let mut pool = full(1_000);
        // As many however few turns there are: their search is not counted.
        let mut newcomers: Vec<_> = (0..8).map(|nonce| newcomer(1 << 40 | nonce << 20)).collect();
        repeat(turns, || {
            _ = black_box(newcomers.pop().map(|one| pool.admit(one, NOW, Millis(0))));
        });
    }),
    ("multiply", |turns| repeat(turns, multiplication())),
    ("open-an-offer-to-us", |turns| {
        let Talk { ben, offer, .. } = Talk::new();
        repeat(turns, || drop(black_box(ReceivedOffer::open(&ben, black_box(&offer.body)))));
    }),
    ("encrypt-a-message", |turns| {
        let (Talk { at_ann, .. }, payload, mut counter) = (Talk::new(), said(), Counter(3));
        let mut env = Env::new(Millis(0), NOW, &mut counter);
        repeat(turns, || drop(black_box(at_ann.encrypt(&mut env, black_box(&payload)))));
    }),
    ("decrypt-the-next-message", |turns| {
        let (Talk { ben, at_ben, next, .. }, mut counter) = (Talk::new(), Counter(3));
        let mut env = Env::new(Millis(0), NOW, &mut counter);
        repeat(turns, || {
            drop(black_box(at_ben.decrypt(&mut env, &ben, next.topic, black_box(&next.body))));
        });
    }),
    ("see-that-an-envelope-is-not-for-us", |turns| {
        let (index, own, strangers) = (watching(10), Talk::new().ben, foreign(1));
        repeat(turns, || {
            _ = black_box(strangers.first().map(|one| is_for_us(&index, &own, black_box(one))));
        });
    }),
];

/// Does what the command line asks for; whether it asked for any of this.
pub(super) fn answered() -> bool {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["count"] => PATHS.iter().for_each(|(name, _)| println!("{name}")),
        ["count", name, turns] => {
            let path = PATHS.iter().find(|(known, _)| known == name).expect("a known path");
            path.1(turns.parse().expect("a number of turns"));
        }
        _ => return false,
    }
    true
}

/// A search by this kernel that finds nothing.
fn tries(kernel: &str, turns: usize) {
    let available = Kernel::all_available();
    // Under Valgrind, a processor may have less.
    let Some(kernel) = available.iter().find(|one| one.name() == kernel) else { return };
    let job = MiningJob { outgoing: OutgoingId(0), digest: [7; 32], target: 1, start: 0 };
    repeat(turns, || {
        _ = black_box(work::search_with(*kernel, black_box(&job), WorkNonce(0), TRIES));
    });
}

fn repeat(turns: usize, mut path: impl FnMut()) {
    (0..turns).for_each(|_| path());
}
