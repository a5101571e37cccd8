//! The pool against a model that sorts a list, and the sentences the model cannot say.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::engine::env::Seconds;
use crate::engine::envelope::check::CLOCK_TOLERANCE;
use crate::engine::envelope::wire::{ONE_DAY, SIX_HOURS, TEN_MINUTES};
use crate::engine::envelope::{Draft, Floor, WorkNonce, check};

const NOW: UnixSeconds = UnixSeconds(472_222 * 3600);
/// When everything has settled.
const SOON: Millis = Millis(60_000);
const ROOMY: usize = usize::MAX;

/// An envelope; its priority is left to the luck of its nonce.
fn envelope(now: UnixSeconds, ttl: Seconds, topic: u8, data: usize, nonce: u64) -> CheckedEnvelope {
    let draft = Draft::new(now, ttl, Topic([topic; 4]), vec![7; data]).unwrap();
    check(draft.finish(WorkNonce(nonce)).1, now, &Floor::new(0)).unwrap()
}

/// Envelopes of one size and life, so that only work and id rank them.
fn plain(nonce: u64) -> CheckedEnvelope {
    envelope(NOW, TEN_MINUTES, 0, 0, nonce)
}

/// `count` of them, lowest rank first.
fn sorted(count: u64) -> Vec<CheckedEnvelope> {
    let mut envelopes: Vec<_> = (0..count).map(plain).collect();
    envelopes.sort_by_key(CheckedEnvelope::priority_key);
    envelopes
}

fn charged(checked: &CheckedEnvelope) -> usize {
    charge(checked.bytes().len())
}

fn pool_of(count: usize) -> Pool {
    Pool::new(PoolBounds { bytes: ROOMY, count }, BodyStorage::Inline)
}

fn held(pool: &Pool) -> Vec<EnvelopeId> {
    pool.by_rank().map(CheckedEnvelope::id).collect()
}

#[test]
fn a_newcomer_that_rates_below_all_held_is_refused_when_full() {
    let envelopes = sorted(4);
    let mut pool = pool_of(3);
    for checked in &envelopes[1..] {
        assert_eq!(pool.admit(checked.clone(), NOW, SOON), Admission::Fresh);
    }
    let before = held(&pool);
    assert_eq!(pool.admit(envelopes[0].clone(), NOW, SOON), Admission::PoolFull);
    assert_eq!(held(&pool), before);
}

#[test]
fn the_best_evicts_the_worst_and_never_the_other_way_round() {
    let envelopes = sorted(4);
    let mut pool = pool_of(3);
    for checked in &envelopes {
        assert_eq!(pool.admit(checked.clone(), NOW, SOON), Admission::Fresh);
    }
    assert!(!pool.contains(&envelopes[0].id()));
    assert_eq!(pool.lowest(), Some(envelopes[1].priority()));
}

#[test]
fn an_envelope_refused_for_room_or_evicted_is_passed_on_once() {
    let envelopes = sorted(3);
    let mut pool = pool_of(1);
    assert_eq!(pool.admit(envelopes[1].clone(), NOW, SOON), Admission::Fresh);
    assert_eq!(pool.admit(envelopes[0].clone(), NOW, SOON), Admission::PoolFull);
    assert_eq!(pool.admit(envelopes[2].clone(), NOW, SOON), Admission::Fresh);
    for checked in envelopes {
        assert_eq!(pool.admit(checked, NOW, SOON), Admission::Duplicate);
    }
}

#[test]
fn a_full_memory_forgets_the_lowest_and_does_not_pass_it_on_again() {
    let envelopes = sorted(4);
    let mut pool = Pool::with_memory(PoolBounds { bytes: ROOMY, count: 1 }, BodyStorage::Inline, 1);
    assert_eq!(pool.admit(envelopes[3].clone(), NOW, SOON), Admission::Fresh);
    assert_eq!(pool.admit(envelopes[1].clone(), NOW, SOON), Admission::PoolFull);
    assert_eq!(pool.admit(envelopes[0].clone(), NOW, SOON), Admission::MemoryFull);
    assert_eq!(pool.admit(envelopes[2].clone(), NOW, SOON), Admission::PoolFull);
    assert_eq!(pool.admit(envelopes[1].clone(), NOW, SOON), Admission::MemoryFull);
    assert_eq!(pool.admit(envelopes[2].clone(), NOW, SOON), Admission::Duplicate);
}

#[test]
fn an_expired_envelope_leaves_before_any_live_one() {
    let old = envelope(NOW, TEN_MINUTES, 0, 0, 0);
    let mut pool = pool_of(1);
    assert_eq!(pool.admit(old.clone(), NOW, SOON), Admission::Fresh);
    let later = old.expiry().plus(CLOCK_TOLERANCE);
    // The heavier and longer-lived one rates lower than the expired one did.
    let worse = envelope(later, SIX_HOURS, 0, 500, 1);
    assert!(worse.priority_key() < old.priority_key());
    assert_eq!(pool.admit(worse.clone(), later, SOON), Admission::Fresh);
    assert_eq!(held(&pool), [worse.id()]);
}

#[test]
fn a_sweep_takes_an_envelope_at_the_second_it_expires() {
    let checked = plain(0);
    let mut pool = pool_of(1);
    pool.admit(checked.clone(), NOW, SOON);
    let end = checked.expiry().plus(CLOCK_TOLERANCE);
    assert_eq!(pool.sweep(end.minus(Seconds(1))), 0);
    assert_eq!(pool.sweep(end), 1);
    assert_eq!((pool.count(), pool.bytes()), (0, 0));
    assert_eq!(pool.by_topic(checked.topic()).count(), 0);
    assert_eq!(pool.admit(checked, end, SOON), Admission::Expired);
}

#[test]
fn a_large_newcomer_pushes_out_small_ones_only_if_it_outranks_them_all() {
    let small = sorted(4);
    let charge = charge(small[0].bytes().len());
    let mut pool = Pool::new(PoolBounds { bytes: 4 * charge, count: ROOMY }, BodyStorage::Inline);
    for checked in &small {
        assert_eq!(pool.admit(checked.clone(), NOW, SOON), Admission::Fresh);
    }
    // Takes the room of two small ones, and shows enough bits to outrank all of them.
    let draft = Draft::new(NOW, TEN_MINUTES, Topic([0; 4]), vec![7; charge - 100]).unwrap();
    let digest = draft.digest();
    let bits = small[3].priority().bits() + 8;
    let nonce = (0..)
        .map(WorkNonce)
        .find(|nonce| crate::engine::envelope::work::measure(&digest, *nonce) >= bits);
    let (_, bytes) = draft.finish(nonce.unwrap());
    let large = check(bytes, NOW, &Floor::new(0)).unwrap();
    assert_eq!(pool.admit(large.clone(), NOW, SOON), Admission::Fresh);
    assert_eq!(held(&pool), [small[2].id(), small[3].id(), large.id()]);

    // One that outranks the lowest but not all who would have to leave changes nothing.
    let before = held(&pool);
    let heavy = (0..)
        .map(|nonce| envelope(NOW, TEN_MINUTES, 0, 3 * charge - 100, nonce))
        .find(|heavy| {
            heavy.priority_key() > small[2].priority_key()
                && heavy.priority_key() < large.priority_key()
        })
        .unwrap();
    assert_eq!(pool.admit(heavy, NOW, SOON), Admission::PoolFull);
    assert_eq!(held(&pool), before);
}

#[test]
fn a_pool_without_room_for_one_envelope_refuses_it() {
    let charge = charge(plain(0).bytes().len());
    for bounds in
        [PoolBounds { bytes: charge - 1, count: 9 }, PoolBounds { bytes: charge, count: 0 }]
    {
        assert_eq!(
            Pool::new(bounds, BodyStorage::Inline).admit(plain(0), NOW, SOON),
            Admission::PoolFull
        );
    }
    let exact = PoolBounds { bytes: charge, count: 1 };
    assert_eq!(Pool::new(exact, BodyStorage::Inline).admit(plain(0), NOW, SOON), Admission::Fresh);
}

#[test]
fn a_topic_finds_its_envelopes_and_no_others() {
    let mut pool = pool_of(9);
    let mine: Vec<_> = (0..3).map(|n| envelope(NOW, ONE_DAY, 0xff, 4, n)).collect();
    for checked in mine.iter().cloned().chain([envelope(NOW, ONE_DAY, 0xfe, 4, 9)]) {
        pool.admit(checked, NOW, SOON);
    }
    let found: BTreeSet<_> = pool.by_topic(Topic([0xff; 4])).map(CheckedEnvelope::id).collect();
    assert_eq!(found, mine.iter().map(CheckedEnvelope::id).collect());
    assert_eq!(pool.get(&mine[0].id()), Some(mine[0].bytes()));
}

/// The model of the pool: lists, sorted and cut, without a thought for time.
struct PoolModel {
    bounds: PoolBounds,
    held: Vec<CheckedEnvelope>,
    remembered: Vec<CheckedEnvelope>,
    most_remembered: usize,
}

impl PoolModel {
    fn sweep(&mut self, now: UnixSeconds) {
        self.held.retain(|checked| checked.in_time(now));
        self.remembered.retain(|checked| checked.in_time(now));
    }

    fn fits(&self, envelopes: &[CheckedEnvelope]) -> bool {
        let bytes: usize = envelopes.iter().map(charged).sum();
        bytes <= self.bounds.bytes && envelopes.len() <= self.bounds.count
    }

    fn remember(&mut self, checked: CheckedEnvelope) -> bool {
        let id = checked.id();
        self.remembered.push(checked);
        self.remembered.sort_by_key(|checked| core::cmp::Reverse(checked.priority_key()));
        self.remembered.truncate(self.most_remembered);
        self.remembered.iter().any(|checked| checked.id() == id)
    }

    fn admit(&mut self, checked: CheckedEnvelope, now: UnixSeconds) -> Admission {
        self.sweep(now);
        if !checked.in_time(now) {
            return Admission::Expired;
        }
        if self.held.contains(&checked) || self.remembered.contains(&checked) {
            return Admission::Duplicate;
        }
        let mut all = self.held.clone();
        all.push(checked.clone());
        all.sort_by_key(CheckedEnvelope::priority_key);
        // The smallest cut from below after which the rest fits; it may not reach the newcomer.
        let cut = (0..=all.len()).find(|cut| self.fits(&all[*cut..])).unwrap();
        let (evicted, kept) = all.split_at(cut);
        if evicted.contains(&checked) {
            return if self.remember(checked) {
                Admission::PoolFull
            } else {
                Admission::MemoryFull
            };
        }
        self.held = kept.to_vec();
        for victim in evicted.iter().cloned() {
            self.remember(victim);
        }
        Admission::Fresh
    }
}

#[derive(Clone, Debug)]
enum PoolStep {
    Offer { ttl: Seconds, data: usize, nonce: u64 },
    Again(prop::sample::Index),
    Wait(u32),
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<PoolStep>> {
    let ttl = prop_oneof![Just(TEN_MINUTES), Just(Seconds(1200)), Just(SIX_HOURS)];
    let data = prop_oneof![Just(0_usize), Just(500), 0_usize..2016];
    let step = prop_oneof![
        8 => (ttl, data, any::<u64>())
            .prop_map(|(ttl, data, nonce)| PoolStep::Offer { ttl, data, nonce }),
        2 => any::<prop::sample::Index>().prop_map(PoolStep::Again),
        1 => (1_u32..900).prop_map(PoolStep::Wait),
        1 => Just(PoolStep::Sweep),
    ];
    proptest::collection::vec(step, 0..80)
}

/// The invariants after every step.
fn agree(pool: &Pool, model: &PoolModel) -> Result<(), TestCaseError> {
    let mut expected = model.held.clone();
    expected.sort_by_key(CheckedEnvelope::priority_key);
    let expected: Vec<_> = expected.iter().map(CheckedEnvelope::id).collect();
    prop_assert_eq!(held(pool), expected);
    prop_assert_eq!(pool.count(), model.held.len());
    prop_assert_eq!(pool.bytes(), model.held.iter().map(charged).sum::<usize>());
    prop_assert!(pool.bytes() <= pool.bounds().bytes && pool.count() <= pool.bounds().count);
    prop_assert_eq!(pool.remembered.len(), model.remembered.len());
    prop_assert_eq!(pool.topics.len(), pool.count());
    prop_assert_eq!(pool.lowest(), model.held.iter().map(CheckedEnvelope::priority).min());
    Ok(())
}

proptest! {
    #[test]
    fn the_pool_behaves_as_a_sorted_list_does(
        bytes in 0_usize..12_000, count in 0_usize..8, most_remembered in 0_usize..6, steps in steps(),
    ) {
        let bounds = PoolBounds { bytes, count };
        let mut pool = Pool::with_memory(bounds, BodyStorage::Inline, most_remembered);
        let mut model = PoolModel { bounds, held: vec![], remembered: vec![], most_remembered };
        let mut now = NOW;
        let mut offered = Vec::new();
        for step in steps {
            match step {
                PoolStep::Wait(seconds) => now = now.plus(Seconds(seconds)),
                PoolStep::Sweep => {
                    let before = model.held.len();
                    model.sweep(now);
                    prop_assert_eq!(pool.sweep(now), before - model.held.len());
                }
                PoolStep::Again(index) => {
                    let Some(checked): Option<&CheckedEnvelope> = offered.get(index.index(offered.len().max(1))) else {
                        continue;
                    };
                    prop_assert_eq!(pool.admit(checked.clone(), now, SOON), model.admit(checked.clone(), now));
                }
                PoolStep::Offer { ttl, data, nonce } => {
                    let checked = envelope(now, ttl, 0, data, nonce);
                    offered.push(checked.clone());
                    prop_assert_eq!(pool.admit(checked.clone(), now, SOON), model.admit(checked, now));
                }
            }
            if !matches!(step, PoolStep::Wait(_)) {
                agree(&pool, &model)?;
            }
        }
    }

    #[test]
    fn from_envelopes_of_one_size_the_best_are_held_in_whatever_order_they_came(
        order in Just((0..40_u64).collect::<Vec<_>>()).prop_shuffle(), count in 0_usize..50,
    ) {
        let mut pool = pool_of(count);
        for nonce in order {
            pool.admit(plain(nonce), NOW, SOON);
        }
        let all = sorted(40);
        let best: Vec<_> = all[all.len().saturating_sub(count)..].iter().map(CheckedEnvelope::id).collect();
        prop_assert_eq!(held(&pool), best);
    }
}
