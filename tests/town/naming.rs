//! Whether what envelopes show of their work tells which of two groups of senders made them.
//!
//! The groups hear different relays, and the observer knows the whole history of both. It weighs
//! each envelope by how likely either group shows just that: it knows, from senders of its own,
//! which part of each group pays which step at that moment, and that what is shown is uniform below
//! a sender's target.

use undertone::engine::price::Step;
use undertone::engine::testing::rng::SeededRng;

use crate::history::{History, NOTED, paid};
use crate::plan::Hearing;

const MINUTES: u64 = 3 * 1_440;

/// Senders of each group, and as many that the observer tries beforehand.
const SENDERS: u64 = 60;

/// Envelopes of one sender that are linked.
const LINKED: u64 = 100;

/// How often the observer guesses.
const GUESSES: u64 = 2_000;

/// What relays of the second group hold less than those of the first, as a part of the share: 220 of
/// 220,000 places. In the town they differ by 0.005 % in the mean of all hours and by 0.02 % at most,
/// as all hear the same flood; links in the world are worse, so this is five times that: a guess.
/// With twice as much the advantage is 0.25 to 0.5, with three times as much 0.4 to 0.8.
const LACKS: f64 = 0.001;

/// What a target of one's own is, in units of what was heard; and how far apart what two groups
/// heard is.
const OWN: f64 = 1.5;
const APART: f64 = 1.1;

/// How senders make their targets.
#[derive(Clone, Copy)]
enum Targets {
    /// As the node does: whole steps.
    Steps,
    /// Each 1.5 times what it heard, which is 10 % apart.
    Own,
}

impl Targets {
    /// The part of all digests that is below the target of somebody who heard this step.
    fn of(self, group: usize, step: Step) -> f64 {
        let heard = f64::from(step.times());
        match (self, group) {
            (Self::Steps, _) => 1.0 / heard,
            (Self::Own, 0) => 1.0 / (heard * OWN),
            (Self::Own, _) => 1.0 / (heard * OWN * APART),
        }
    }
}

/// A group of senders: what each pays at each moment.
struct Group(Vec<Vec<Step>>);

impl Group {
    fn new(history: &History, seed: u64) -> Self {
        let senders =
            (0..SENDERS).map(|sender| paid(history, seed * 10_000 + sender, Hearing::Seldom, None));
        Self(senders.collect())
    }

    /// How many of its senders pay each step at each moment.
    fn counts(&self) -> Vec<[f64; 9]> {
        let moments = MINUTES / NOTED;
        let counts = (0..moments as usize).map(|at| {
            // None is impossible: the observer may have seen too few.
            let mut counts = [0.1; 9];
            for sender in &self.0 {
                counts[usize::from(sender[at].get())] += 1.0;
            }
            counts
        });
        counts.collect()
    }
}

/// How many of a hundred senders of two groups pay another step than one of the other group would
/// at that moment: half of what the parts that pay each step differ by.
fn apart(histories: &[History; 2], seed: u64) -> f64 {
    let [one, other] =
        [0, 1].map(|group| Group::new(&histories[group], 2 * seed + group as u64).counts());
    let differ = |(one, other): (&[f64; 9], &[f64; 9])| {
        let parts = one.iter().zip(other).map(|(one, other)| (one - other).abs());
        parts.sum::<f64>() / 2.0 / one.iter().sum::<f64>()
    };
    100.0 * one.iter().zip(&other).map(differ).sum::<f64>() / one.len() as f64
}

/// Twice the part of right guesses above one half: 0 is a coin, 1 is certainty.
fn advantage(histories: &[History; 2], targets: Targets, seed: u64) -> f64 {
    let groups = [0, 1].map(|group| Group::new(&histories[group], 2 * seed + group as u64));
    let tried =
        [0, 1].map(|group| Group::new(&histories[group], 1_000 + 2 * seed + group as u64).counts());
    let mut chance = SeededRng::lane(seed, 4);
    let mut right = 0.0;
    for _ in 0..GUESSES {
        let group = chance.below(2) as usize;
        let sender = &groups[group].0[chance.below(SENDERS) as usize];
        let mut weight = 0.0;
        for _ in 0..LINKED {
            let at = chance.below(MINUTES / NOTED) as usize;
            let uniform = (chance.below(1 << 53) as f64 + 0.5) / (1_u64 << 53) as f64;
            let shown = uniform * targets.of(group, sender[at]);
            let likely = |group: usize| likelihood(&tried[group][at], shown, (targets, group));
            weight += (likely(0) / likely(1)).ln();
        }
        let guess = if weight > 0.0 { 0 } else { 1 };
        // Of two that are as likely it takes one by chance.
        right += if weight == 0.0 { 0.5 } else { f64::from(u8::from(guess == group)) };
    }
    2.0 * right / GUESSES as f64 - 1.0
}

/// How likely a group shows this at a moment, up to a common factor.
fn likelihood(counts: &[f64; 9], shown: f64, (targets, group): (Targets, usize)) -> f64 {
    let all: f64 = counts.iter().sum();
    let each = (0..).zip(counts).map(|(step, count)| {
        let target = targets.of(group, Step::new(step));
        if shown < target { count / all / target } else { 0.0 }
    });
    // Nobody shows less than the floor asks, but the observer may not be sure.
    each.sum::<f64>() + 1e-9
}

fn still() -> [History; 2] {
    [History::still(MINUTES), History::still(MINUTES)]
}

fn moving(seed: u64) -> [History; 2] {
    [History::moving(seed, MINUTES, 0.0), History::moving(seed, MINUTES, LACKS)]
}

#[test]
fn a_hundred_linked_envelopes_hardly_tell_which_relays_their_author_hears() {
    let on_step_0 = advantage(&still(), Targets::Steps, 1);
    assert!(on_step_0 <= 0.05, "seed 1, on step 0: {on_step_0}");
    let highest = moving(1).map(|history| (0..MINUTES).map(|minute| history.at(minute)).max());
    assert!(highest.iter().all(|step| *step == Some(Step::new(3))), "{highest:?}");
    for seed in 1..=3 {
        let histories = moving(seed);
        let apart = apart(&histories, seed);
        let moving = advantage(&histories, Targets::Steps, seed);
        println!("seed {seed}: {apart:.1} of 100 pay another step: advantage {moving:.3}");
        assert!(moving <= 0.3, "seed {seed}, while steps move: {moving}");
    }
}

#[test]
fn a_target_of_ones_own_tells_the_group() {
    let on_step_0 = advantage(&still(), Targets::Own, 1);
    let moving = advantage(&moving(1), Targets::Own, 1);
    assert!(on_step_0 > 0.3 && moving > 0.3, "seed 1: {on_step_0}, {moving}");
}
