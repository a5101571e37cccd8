//! Costs as multiples of a baseline, with the budget for each.
//!
//! Baseline and measured work take turns, and the fastest turn of each counts: what else the machine
//! does, and how fast it is, falls out of the ratio. Nothing fails here; whoever reads decides.

use std::time::{Duration, Instant};

use divan::black_box;
use sha3::{Digest, Keccak256};

use undertone::engine::env::{Env, Millis};
use undertone::engine::envelope::check;
use undertone::engine::envelope::wire::ENVELOPE_SIZE;
use undertone::engine::session::{Offer, ReceivedOffer, TopicIndex, WINDOW};

use super::open::Counter;
use super::talk::{Talk, foreign, is_for_us, multiplication, restored, said, stored, watching};
use super::{NO_FLOOR, NOW, encoded, full, newcomer};

/// Turns for each side: enough for a few that nothing disturbs.
const TURNS: usize = 400;

/// Prints a line for each ratio.
pub(super) fn print() {
    let hashed = vec![7; ENVELOPE_SIZE];
    let hash = || _ = black_box(Keccak256::digest(black_box(&hashed)));
    let bytes = encoded(0);

    // One hash of the envelope, one permutation for the id, which shows the work, one copy.
    let mut copies = vec![bytes; TURNS];
    line("check an envelope / hash it", 1.5, hash, || {
        drop(black_box(check(copies.pop().unwrap_or_default(), NOW, &NO_FLOOR)));
    });

    // A dozen steps down a few trees each; and the envelope that leaves is freed.
    let mut pool = full(10_000);
    let mut newcomers: Vec<_> =
        (0..TURNS as u64).map(|nonce| newcomer(1 << 40 | nonce << 20)).collect();
    line("admit into a full share of 10,000 / hash an envelope", 1.0, hash, || {
        if let Some(newcomer) = newcomers.pop() {
            _ = black_box(pool.admit(newcomer, NOW, Millis(0)));
        }
    });

    print_talk();
    print_strangers();
    print_rates();
}

/// What a conversation costs beside one multiplication, or beside one hash of an envelope.
fn print_talk() {
    let Talk { ann, ben, at_ann, at_ben, before, first, next, offer, received } = Talk::new();
    let mut counter = Counter(3);
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    let hashed = vec![7; ENVELOPE_SIZE];
    let hash = || _ = black_box(Keccak256::digest(black_box(&hashed)));

    // Four multiplications, an encapsulation key, a row of topics, and the sealing's own two.
    line("make and seal an offer / multiply", 20.0, multiplication(), || {
        drop(black_box(Offer::new(&mut env, &ann, &ben.public(), WINDOW).0.seal(&mut env)));
    });
    line("open an offer to us / multiply", 6.0, multiplication(), || {
        drop(black_box(ReceivedOffer::open(&ben, black_box(&offer.body))));
    });
    // Six multiplications, an encapsulation, two rows of topics.
    line("accept an offer / multiply", 30.0, multiplication(), || {
        drop(black_box(received.accept(&mut env, WINDOW)));
    });
    let payload = said();
    line("encrypt a message / hash an envelope", 2.0, hash, || {
        drop(black_box(at_ann.encrypt(&mut env, black_box(&payload))));
    });
    line("decrypt the next of a chain / hash an envelope", 4.0, hash, || {
        drop(black_box(at_ben.decrypt(&mut env, &ben, next.topic, black_box(&next.body))));
    });
    line("decrypt the first of a chain / multiply", 15.0, multiplication(), || {
        drop(black_box(before.decrypt(&mut env, &ben, first.topic, black_box(&first.body))));
    });
    let stored = stored(&at_ben);
    line("set two windows of 1,024 topics up / multiply", 20.0, multiplication(), || {
        drop(black_box(restored(black_box(&stored))));
    });
}

/// How often a second one core does what Whisper did so often.
fn print_rates() {
    let Talk { ben, at_ben, next, offer, .. } = Talk::new();
    let mut counter = Counter(4);
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    rate("messages opened a second (Whisper: 450,000 symmetric)", || {
        drop(black_box(at_ben.decrypt(&mut env, &ben, next.topic, black_box(&next.body))));
    });
    rate("offers to us opened a second (Whisper: 6,500 asymmetric)", || {
        drop(black_box(ReceivedOffer::open(&ben, black_box(&offer.body))));
    });
    let (index, strangers) = (watching(1_000), foreign(64));
    rate("strangers' envelopes a second, 1,000 sessions (Whisper: 6 without topics)", || {
        _ = black_box(strangers.first().map(|sealed| is_for_us(&index, &ben, sealed)));
    });
}

pub(super) fn rate(name: &str, mut work: impl FnMut()) {
    let fastest = (0..TURNS).map(|_| time(&mut work)).min().unwrap_or(Duration::MAX);
    println!("{name}: {:.0}", 1.0 / fastest.as_secs_f64());
}

/// What everybody else's envelopes cost: the ratio of many sessions to few.
fn print_strangers() {
    let (few, many) = (watching(10), watching(1_000));
    let (own, strangers) = (Talk::new().ben, foreign(64));
    let look_up = |index: &TopicIndex| {
        for sealed in &strangers {
            drop(black_box(index.candidates(black_box(sealed.topic))));
        }
    };
    let all = |index: &TopicIndex| {
        _ = black_box(strangers.first().map(|sealed| is_for_us(index, &own, black_box(sealed))));
    };
    // The sieve of a thousand windows is wider than the nearest cache.
    let name = "look a stranger's topic up, 1,000 sessions / 10 sessions";
    line(name, 4.0, || look_up(&few), || look_up(&many));
    let name = "all of an envelope not for us, 1,000 sessions / 10 sessions";
    line(name, 1.05, || all(&few), || all(&many));
    line("all of an envelope not for us / multiply", 1.6, multiplication(), || all(&many));
}

pub(super) fn line(
    name: &str,
    budget: f64,
    mut baseline: impl FnMut(),
    mut measured: impl FnMut(),
) {
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..TURNS {
        let [base, cost] = &mut fastest;
        *base = time(&mut baseline).min(*base);
        *cost = time(&mut measured).min(*cost);
    }
    let [base, cost] = fastest;
    let ratio = cost.as_secs_f64() / base.as_secs_f64();
    println!("{name}: {ratio:.2} (budget {budget:.2})");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn time(work: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
