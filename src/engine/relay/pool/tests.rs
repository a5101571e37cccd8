//! The pool against a model that sorts lists, and the sentences the model cannot say.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::engine::env::Seconds;
use crate::engine::envelope::check::CLOCK_TOLERANCE;
use crate::engine::envelope::{Draft, Lifetime, WorkNonce, check};

const NOW: UnixSeconds = UnixSeconds(472_222 * 3600);
/// When everything has settled.
const SOON: Millis = Millis(60_000);
const FLOOR: Floor = Floor::new(0);

/// An envelope of `data` bytes of data; what it shows is left to the luck of its nonce, at least
/// the floor.
fn envelope(lifetime: Lifetime, topic: u8, data: usize, nonce: u64) -> CheckedEnvelope {
    made(NOW, (lifetime, topic), data, nonce)
}

fn made(
    now: UnixSeconds,
    (lifetime, topic): (Lifetime, u8),
    data: usize,
    nonce: u64,
) -> CheckedEnvelope {
    let draft = Draft::new(now, lifetime, Topic([topic; 4]), vec![7; data]).unwrap();
    check(draft.mine(&FLOOR, nonce << 20).unwrap().1, now, &FLOOR).unwrap()
}

/// Envelopes of one block and one life, so that only their ids rank them.
fn plain(nonce: u64) -> CheckedEnvelope {
    envelope(Lifetime::Day, 0, 0, nonce)
}

/// One that shows `times` the work of the floor at least, and less than twice as much.
fn paid(times: Step, (lifetime, data): (Lifetime, usize), nonce: u64) -> CheckedEnvelope {
    let shows = |checked: &CheckedEnvelope| {
        let enough = FLOOR.admits(checked.priority(), times);
        enough && (times == Step::MAX || !FLOOR.admits(checked.priority(), times.above()))
    };
    let draft = Draft::new(NOW, lifetime, Topic([0; 4]), vec![7; data]).unwrap();
    let with = |nonce| check(draft.clone().finish(WorkNonce(nonce)).1, NOW, &FLOOR).ok();
    (nonce << 20..).filter_map(with).find(shows).unwrap()
}

/// A pool with so many places in the share of a day, and up to a third of them beside.
fn pool_of(day: usize) -> Pool {
    let places = (day..=day * 4 / 3).rev().find(|places| Share::Day.places(*places) == day);
    Pool::new(PoolBounds { places: places.unwrap() }, FLOOR, BodyStorage::Inline)
}

fn held(pool: &Pool) -> Vec<EnvelopeId> {
    pool.by_rank().map(CheckedEnvelope::id).collect()
}

fn fill(pool: &mut Pool, lifetime: Lifetime, nonces: core::ops::Range<u64>) {
    for nonce in nonces {
        let checked = paid(pool.asked(lifetime.share(), NOW), (lifetime, 0), nonce);
        assert_eq!(pool.admit(checked, NOW, SOON), Admission::Fresh);
    }
}

#[test]
fn a_share_that_fills_asks_for_more_and_holds_nothing_that_shows_less() {
    let mut pool = pool_of(48);
    fill(&mut pool, Lifetime::Day, 0..36);
    let before = held(&pool);
    let poor = paid(Step::new(0), (Lifetime::Day, 0), 100);
    assert_eq!(pool.admit(poor.clone(), NOW, SOON), Admission::PoolFull);
    assert_eq!(held(&pool), before);
    assert_eq!(pool.admit(poor, NOW, SOON), Admission::Duplicate, "it is passed on once");
    let asked = pool.asked(Share::Day, NOW);
    assert_eq!(asked, Step::new(3), "three quarters, and all of it in one hour");
    let hardly = paid(Step::new(2), (Lifetime::Day, 0), 101);
    assert_eq!(pool.admit(hardly, NOW, SOON), Admission::PoolFull);
    let enough = paid(asked, (Lifetime::Day, 0), 102);
    assert_eq!(pool.admit(enough, NOW, SOON), Admission::Fresh);
}

#[test]
fn a_full_share_lets_the_lowest_go_only_for_256_times_the_floor_and_twice_their_own() {
    let mut pool = pool_of(6);
    fill(&mut pool, Lifetime::Day, 0..6);
    let before = held(&pool);
    let lowest = pool.by_rank().next().unwrap().clone();
    let dear = paid(Step::new(7), (Lifetime::Day, 0), 100);
    assert_eq!(pool.admit(dear, NOW, SOON), Admission::PoolFull);
    assert_eq!(held(&pool), before);
    let best = paid(Step::MAX, (Lifetime::Day, 0), 101);
    assert!(best.priority().is_twice(lowest.priority()));
    assert_eq!(pool.admit(best, NOW, SOON), Admission::Fresh);
    assert!(!pool.contains(&lowest.id()));
    assert_eq!(pool.admit(lowest, NOW, SOON), Admission::Duplicate, "it was passed on");
}

#[test]
fn a_share_of_the_best_does_not_let_go_of_one_for_another_that_is_hardly_better() {
    let mut pool = pool_of(3);
    let best: Vec<_> = (0..3).map(|nonce| paid(Step::MAX, (Lifetime::Day, 0), nonce)).collect();
    for checked in &best {
        assert_eq!(pool.admit(checked.clone(), NOW, SOON), Admission::Fresh);
    }
    let lowest = pool.by_rank().next().unwrap().clone();
    let hardly = (100..)
        .map(|nonce| paid(Step::MAX, (Lifetime::Day, 0), nonce))
        .find(|checked| !checked.priority().is_twice(lowest.priority()))
        .unwrap();
    assert_eq!(pool.admit(hardly, NOW, SOON), Admission::PoolFull);
    assert!(pool.contains(&lowest.id()));
}

#[test]
fn no_life_takes_the_room_of_another() {
    let mut pool = pool_of(48);
    fill(&mut pool, Lifetime::Week, 0..8);
    fill(&mut pool, Lifetime::SixHours, 0..8);
    let [six_hours, day, week] = Share::ALL.map(|share| pool.room(share));
    assert_eq!([six_hours.used, day.used, week.used], [8, 0, 8]);
    assert_eq!(pool.said(NOW), [Step::MAX, Step::new(0), Step::MAX]);
    let more = paid(Step::new(7), (Lifetime::SixHours, 0), 100);
    assert_eq!(pool.admit(more, NOW, SOON), Admission::PoolFull);
    assert_eq!(pool.admit(plain(1), NOW, SOON), Admission::Fresh);
}

#[test]
fn an_envelope_takes_a_place_for_each_of_its_blocks_and_a_large_one_pays_for_all_it_pushes_out() {
    let mut pool = pool_of(6);
    let two = paid(Step::new(0), (Lifetime::Day, 2_048), 0);
    assert_eq!(pool.admit(two, NOW, SOON), Admission::Fresh);
    assert_eq!((pool.used(), pool.count()), (2, 1));
    fill(&mut pool, Lifetime::Day, 1..5);
    assert_eq!(pool.room(Share::Day), Room { used: 6, places: 6 });
    let large = paid(Step::MAX, (Lifetime::Day, 2 * 2_048), 9);
    assert_eq!(large.charge().blocks(), 3);
    assert_eq!(pool.admit(large.clone(), NOW, SOON), Admission::Fresh);
    assert!(pool.used() <= 6 && pool.contains(&large.id()));
    let all = Pool::new(PoolBounds { places: 31 }, FLOOR, BodyStorage::Inline).admit(
        paid(Step::MAX, (Lifetime::Day, 65_000), 9),
        NOW,
        SOON,
    );
    assert_eq!(all, Admission::PoolFull, "larger than its whole share");
}

#[test]
fn what_had_no_room_is_forgotten_when_its_share_is_below_five_eighths() {
    let mut pool = pool_of(48);
    let early = |nonce| made(NOW.minus(Seconds(3_600)), (Lifetime::Day, 0), 0, nonce);
    for nonce in 0..20 {
        assert_eq!(pool.admit(early(nonce), NOW, SOON), Admission::Fresh);
    }
    fill(&mut pool, Lifetime::Day, 100..120);
    let poor = paid(Step::new(0), (Lifetime::Day, 0), 200);
    assert_eq!(pool.admit(poor.clone(), NOW, SOON), Admission::PoolFull);
    assert!(pool.known_ids(SOON).any(|(_, id)| id == poor.id()));
    // The first twenty expire: 20 of 48 are left.
    let later = early(0).expiry().plus(CLOCK_TOLERANCE);
    assert_eq!(pool.sweep(later), 20);
    assert!(!pool.knows(&poor));
    assert_eq!(pool.admit(poor, later, SOON), Admission::Fresh);
}

#[test]
fn what_the_line_had_no_time_for_is_not_fetched_until_it_is_forgotten() {
    let mut pool = pool_of(48);
    let checked = plain(1);
    assert!(pool.remember_unheard(&checked, SOON));
    assert!(pool.known_ids(SOON).any(|(_, id)| id == checked.id()));
    assert_eq!(pool.admit(checked.clone(), NOW, SOON), Admission::Duplicate);
    pool.forget_unheard();
    assert_eq!(pool.admit(checked, NOW, SOON), Admission::Fresh);
}

#[test]
fn what_was_held_before_a_restart_needs_room_and_no_higher_price() {
    let mut pool = pool_of(48);
    fill(&mut pool, Lifetime::Day, 0..47);
    let poor = paid(Step::new(0), (Lifetime::Day, 0), 200);
    assert_eq!(pool.readmit(poor, NOW), Admission::Fresh);
    assert_eq!(pool.readmit(paid(Step::new(0), (Lifetime::Day, 0), 201), NOW), Admission::PoolFull);
}

#[test]
fn a_full_memory_forgets_the_lowest_and_does_not_pass_it_on_again() {
    let mut pool = Pool::with_memory(PoolBounds { places: 1 }, (FLOOR, BodyStorage::Inline), 1);
    let best = paid(Step::MAX, (Lifetime::Day, 0), 0);
    assert_eq!(pool.admit(best, NOW, SOON), Admission::Fresh);
    let mut envelopes: Vec<_> = (1..4).map(plain).collect();
    envelopes.sort_by_key(CheckedEnvelope::priority_key);
    assert_eq!(pool.admit(envelopes[1].clone(), NOW, SOON), Admission::PoolFull);
    assert_eq!(pool.admit(envelopes[0].clone(), NOW, SOON), Admission::MemoryFull);
    assert_eq!(pool.admit(envelopes[2].clone(), NOW, SOON), Admission::PoolFull);
    assert_eq!(pool.admit(envelopes[1].clone(), NOW, SOON), Admission::MemoryFull);
    assert_eq!(pool.admit(envelopes[2].clone(), NOW, SOON), Admission::Duplicate);
}

#[test]
fn an_expired_envelope_leaves_before_any_live_one() {
    let old = envelope(Lifetime::SixHours, 0, 0, 0);
    let mut pool = Pool::new(PoolBounds { places: 8 }, FLOOR, BodyStorage::Inline);
    assert_eq!(pool.admit(old.clone(), NOW, SOON), Admission::Fresh);
    let later = old.expiry().plus(CLOCK_TOLERANCE);
    let next = made(later, (Lifetime::SixHours, 0), 500, 1);
    assert_eq!(pool.admit(next.clone(), later, SOON), Admission::Fresh);
    assert_eq!(held(&pool), [next.id()]);
}

#[test]
fn a_sweep_takes_an_envelope_at_the_second_it_expires() {
    let checked = plain(0);
    let mut pool = pool_of(3);
    pool.admit(checked.clone(), NOW, SOON);
    let end = checked.expiry().plus(CLOCK_TOLERANCE);
    assert_eq!(pool.sweep(end.minus(Seconds(1))), 0);
    assert_eq!(pool.sweep(end), 1);
    assert_eq!((pool.count(), pool.used()), (0, 0));
    assert_eq!(pool.by_topic(checked.topic()).count(), 0);
    assert_eq!(pool.admit(checked, end, SOON), Admission::Expired);
}

#[test]
fn a_pool_without_a_place_refuses_everything() {
    let mut pool = Pool::new(PoolBounds { places: 0 }, FLOOR, BodyStorage::Inline);
    assert_eq!(pool.admit(plain(0), NOW, SOON), Admission::PoolFull);
    assert_eq!(PoolBounds::of_bytes(PLACE - 1), PoolBounds { places: 0 });
    let least = Share::ALL.map(|share| share.places(PoolBounds::LEAST.places));
    assert!(least.iter().all(|places| *places >= 32));
}

#[test]
fn a_topic_finds_its_envelopes_and_no_others() {
    let mut pool = pool_of(48);
    let mine: Vec<_> = (0..3).map(|n| envelope(Lifetime::Day, 0xff, 4, n)).collect();
    for checked in mine.iter().cloned().chain([envelope(Lifetime::Day, 0xfe, 4, 9)]) {
        pool.admit(checked, NOW, SOON);
    }
    let found: BTreeSet<_> = pool.by_topic(Topic([0xff; 4])).map(CheckedEnvelope::id).collect();
    assert_eq!(found, mine.iter().map(CheckedEnvelope::id).collect());
    assert_eq!(pool.get(&mine[0].id()), Some(mine[0].bytes()));
}

/// The model of the pool: lists, sorted and cut, without a thought for time, in fractions.
struct PoolModel {
    places: usize,
    held: Vec<CheckedEnvelope>,
    remembered: Vec<CheckedEnvelope>,
    most_remembered: usize,
}

/// An envelope that left before its time, and the newcomer it left for.
type Displaced = (CheckedEnvelope, CheckedEnvelope);

fn of_share(envelopes: &[CheckedEnvelope], share: Share) -> impl Iterator<Item = &CheckedEnvelope> {
    envelopes.iter().filter(move |checked| checked.charge().share() == share)
}

impl PoolModel {
    fn places(&self, share: Share) -> f64 {
        let eighth = (self.places / 8) as f64;
        if share == Share::Day { self.places as f64 - 2.0 * eighth } else { eighth }
    }

    fn used(&self, share: Share) -> f64 {
        of_share(&self.held, share).map(|checked| f64::from(checked.charge().blocks())).sum()
    }

    fn sweep(&mut self, now: UnixSeconds) {
        self.held.retain(|checked| checked.in_time(now));
        let calm = Share::ALL.map(|share| self.used(share) < self.places(share) * 5.0 / 8.0);
        self.remembered
            .retain(|checked| checked.in_time(now) && !calm[checked.charge().share().index()]);
    }

    /// By the tables of the specification, as fractions.
    fn step(&self, share: Share, made: UnixSeconds, blocks: f64) -> f64 {
        let (used, places) = (self.used(share), self.places(share));
        if used + blocks > places {
            return 256.0;
        }
        let steps = [63.0 / 64.0, 31.0 / 32.0, 15.0 / 16.0, 7.0 / 8.0, 13.0 / 16.0, 3.0 / 4.0];
        let passed = steps.iter().filter(|from| used >= places * **from).count();
        if passed == 0 {
            return 1.0;
        }
        let of_the_hour = of_share(&self.held, share).filter(|held| held.made() == made);
        let taken: f64 = of_the_hour.map(|held| f64::from(held.charge().blocks())).sum();
        let hours = match share {
            Share::SixHours => 7.0,
            Share::Day => 25.0,
            Share::Week => 169.0,
        };
        let rush = [1.0, 1.25].iter().filter(|part| taken * hours >= places * **part).count();
        f64::from(1 << (passed + rush).min(8))
    }

    fn remember(&mut self, checked: CheckedEnvelope) -> bool {
        let (id, share) = (checked.id(), checked.charge().share());
        self.remembered.push(checked);
        self.remembered.sort_by_key(|checked| core::cmp::Reverse(checked.priority_key()));
        let mut kept = 0;
        self.remembered.retain(|checked| {
            let same = checked.charge().share() == share;
            kept += usize::from(same);
            !same || kept <= self.most_remembered
        });
        self.remembered.iter().any(|checked| checked.id() == id)
    }

    fn admit(&mut self, checked: CheckedEnvelope, now: UnixSeconds) -> (Admission, Vec<Displaced>) {
        self.sweep(now);
        if !checked.in_time(now) {
            return (Admission::Expired, Vec::new());
        }
        if self.held.contains(&checked) || self.remembered.contains(&checked) {
            return (Admission::Duplicate, Vec::new());
        }
        let (share, blocks) = (checked.charge().share(), f64::from(checked.charge().blocks()));
        // Work shown for each unit of charge, as a share of what the floor asks.
        let shown =
            |checked: &CheckedEnvelope| 2_f64.powi(99) / checked.priority().product() as f64;
        let mut leaving: Vec<CheckedEnvelope> = Vec::new();
        let mut order: Vec<_> = of_share(&self.held, share).cloned().collect();
        order.sort_by_key(CheckedEnvelope::priority_key);
        let mut order = order.into_iter();
        let mut room = self.places(share) - self.used(share);
        let mut fits = shown(&checked) > self.step(share, checked.made(), blocks)
            && blocks <= self.places(share);
        while fits && room < blocks {
            let lowest = order.next().unwrap();
            fits = shown(&checked) >= 2.0 * shown(&lowest);
            room += f64::from(lowest.charge().blocks());
            leaving.push(lowest);
        }
        if !fits {
            let kept = self.remember(checked);
            let refused = if kept { Admission::PoolFull } else { Admission::MemoryFull };
            return (refused, Vec::new());
        }
        self.held.retain(|held| !leaving.contains(held));
        self.held.push(checked.clone());
        for victim in leaving.iter().cloned() {
            self.remember(victim);
        }
        (Admission::Fresh, leaving.into_iter().map(|left| (left, checked.clone())).collect())
    }
}

#[derive(Clone, Debug)]
enum PoolStep {
    /// With so many doublings of the floor's work at least.
    Offer {
        lifetime: Lifetime,
        data: usize,
        nonce: u64,
        doublings: u8,
    },
    Again(prop::sample::Index),
    Wait(u32),
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<PoolStep>> {
    let lifetime = prop::sample::select(&Lifetime::ALL[..]);
    let data = prop_oneof![4 => Just(0_usize), 1 => 0_usize..9_000];
    let step = prop_oneof![
        12 => (lifetime, data, any::<u32>(), prop_oneof![0_u8..9, Just(8)]).prop_map(
            |(lifetime, data, nonce, doublings)| {
                PoolStep::Offer { lifetime, data, nonce: nonce.into(), doublings }
            }
        ),
        2 => any::<prop::sample::Index>().prop_map(PoolStep::Again),
        1 => (1_u32..9_000).prop_map(PoolStep::Wait),
        1 => Just(PoolStep::Sweep),
    ];
    proptest::collection::vec(step, 0..80)
}

/// The invariants after every step.
fn agree(pool: &Pool, model: &PoolModel) -> Result<(), TestCaseError> {
    let expected: BTreeSet<_> = model.held.iter().map(CheckedEnvelope::id).collect();
    prop_assert_eq!(held(pool).into_iter().collect::<BTreeSet<_>>(), expected);
    prop_assert_eq!(pool.count(), model.held.len());
    for share in Share::ALL {
        let Room { used, places } = pool.room(share);
        prop_assert_eq!(used as f64, model.used(share));
        prop_assert!(used <= places);
        let ranks = pool.share(share).entries.by_rank().map(|(rank, _)| rank);
        prop_assert!(ranks.is_sorted());
    }
    let remembered: usize = pool.shares.iter().map(|share| share.remembered.len()).sum();
    prop_assert_eq!(remembered, model.remembered.len());
    prop_assert_eq!(pool.topics.len(), pool.count());
    Ok(())
}

proptest! {
    #[test]
    fn for_every_sequence_no_life_displaces_another_and_nothing_leaves_for_less_than_was_promised(
        places in 0_usize..60, most_remembered in 0_usize..6, steps in steps(),
    ) {
        let bounds = PoolBounds { places };
        let mut pool = Pool::with_memory(bounds, (FLOOR, BodyStorage::Inline), most_remembered);
        let mut model = PoolModel { places, held: vec![], remembered: vec![], most_remembered };
        let mut now = NOW;
        let mut offered: Vec<CheckedEnvelope> = Vec::new();
        for step in steps {
            let newcomer = match step {
                PoolStep::Wait(seconds) => {
                    now = now.plus(Seconds(seconds));
                    continue;
                }
                PoolStep::Sweep => {
                    let before = model.held.len();
                    model.sweep(now);
                    prop_assert_eq!(pool.sweep(now), before - model.held.len());
                    agree(&pool, &model)?;
                    continue;
                }
                PoolStep::Again(index) => {
                    let Some(checked) = offered.get(index.index(offered.len().max(1))) else {
                        continue;
                    };
                    checked.clone()
                }
                PoolStep::Offer { lifetime, data, nonce, doublings } => {
                    let draft = Draft::new(now, lifetime, Topic([0; 4]), vec![7; data]).unwrap();
                    let bytes = draft.mine(&Floor::new(doublings), nonce).unwrap().1;
                    check(bytes, now, &FLOOR).unwrap()
                }
            };
            offered.push(newcomer.clone());
            let before: Vec<CheckedEnvelope> = pool.by_rank().cloned().collect();
            let (expected, displaced) = model.admit(newcomer.clone(), now);
            prop_assert_eq!(pool.admit(newcomer, now, SOON), expected);
            agree(&pool, &model)?;
            let left = before.iter().filter(|held| held.in_time(now) && !pool.contains(&held.id()));
            prop_assert_eq!(left.count(), displaced.len());
            for (left, came) in displaced {
                prop_assert_eq!(left.lifetime(), came.lifetime());
                // d x charge, as integers: 256 times the floor, and twice what left.
                prop_assert!(came.priority().product() << 8 < 1 << 99);
                prop_assert!(came.priority().product() * 2 <= left.priority().product());
            }
        }
    }

    #[test]
    fn what_is_held_below_three_quarters_is_all_that_came_in_whatever_order(
        order in Just((0..30_u64).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut pool = pool_of(48);
        for nonce in order {
            prop_assert_eq!(pool.admit(plain(nonce), NOW, SOON), Admission::Fresh);
        }
        let mut all: Vec<_> = (0..30).map(plain).collect();
        all.sort_by_key(CheckedEnvelope::priority_key);
        prop_assert_eq!(held(&pool), all.iter().map(CheckedEnvelope::id).collect::<Vec<_>>());
    }
}
