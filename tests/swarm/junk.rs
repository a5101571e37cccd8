//! Cover: what somebody sees who is subscribed to everything.

use std::collections::{BTreeMap, BTreeSet};

use undertone::engine::env::{Millis, Seconds, UnixSeconds};
use undertone::engine::envelope::draft::HEAD_START;
use undertone::engine::envelope::wire::{ENVELOPE_SIZE, ONE_DAY};
use undertone::engine::envelope::{CheckedEnvelope, EnvelopeId, Floor, Lifetime};
use undertone::engine::price::Step;
use undertone::engine::record::EnvelopePurpose;
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::sim::link::Links;
use undertone::sim::{EPOCH, NodeIndex, PublishedEnvelope};

use crate::harness::{FLOOR, Town, settings};
use crate::statistics::{
    BIT_BOUND, POSITION_BOUND, TOTAL_BOUND, at, disagreement, histogram, surprise, worst_bit,
    worst_disagreement, worst_position,
};

/// What nobody but its author knows of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Message,
    Acknowledgement,
    Junk,
}

const KINDS: [Kind; 3] = [Kind::Message, Kind::Acknowledgement, Kind::Junk];

/// What an observer collected, and the truth about it.
struct Evidence {
    seen: Vec<(Kind, CheckedEnvelope)>,
    sent: BTreeMap<EnvelopeId, PublishedEnvelope>,
}

impl Evidence {
    fn of(&self, kind: Kind) -> impl Iterator<Item = &CheckedEnvelope> {
        self.seen.iter().filter(move |(other, _)| *other == kind).map(|(_, checked)| checked)
    }

    /// Topic, data and nonce of `count` envelopes of one kind, or of any.
    fn shown(&self, kind: Option<Kind>, count: usize) -> Vec<Vec<u8>> {
        let wanted = self.seen.iter().filter(|(other, _)| kind.is_none_or(|kind| kind == *other));
        let all: Vec<Vec<u8>> = wanted.take(count).map(|(_, checked)| shown(checked)).collect();
        assert_eq!(all.len(), count, "too little was seen of {kind:?}");
        all
    }
}

/// What of an envelope is not the same in all of them.
fn shown(checked: &CheckedEnvelope) -> Vec<u8> {
    let envelope = checked.envelope();
    [&envelope.topic.0, envelope.data, envelope.nonce.0.to_le_bytes().as_slice()].concat()
}

fn kind(purpose: EnvelopePurpose) -> Option<Kind> {
    match purpose {
        EnvelopePurpose::Message(..) => Some(Kind::Message),
        EnvelopePurpose::Control(_) => Some(Kind::Acknowledgement),
        EnvelopePurpose::Junk => Some(Kind::Junk),
        // An offer begins with a key; see the module of offers.
        EnvelopePurpose::Offer(_) => None,
    }
}

/// Four people in two conversations, all with cover; the relay in the middle takes notes.
fn observe(seed: u64) -> Evidence {
    let mut town = Town::new(seed, Links::calm(), 0, 1);
    let relay = NodeIndex(0);
    for _ in 0..4 {
        let junk = Some(Millis(16_000));
        let lifetime = Lifetime::Day;
        town.settle(NodeSettings { junk, lifetime, ..settings(NodeRole::Messenger) }, relay);
    }
    let (pairs, mut said) = ([(0, 1), (2, 3)], 0);
    let met = pairs.map(|(one, other)| town.introduce(one, other).0);
    while said < 800 {
        for ((one, _), contact) in pairs.iter().zip(met) {
            // Short and long, and the same again and again.
            let text = if said % 3 == 0 { "yes".to_owned() } else { "x".repeat(said) };
            town.say(*one, contact, &text);
            said += 1;
        }
        town.world.run_for(Millis(8_000));
    }
    town.assert_sound();
    let people = town.people.iter().flat_map(|person| town.world.machine(person.node).sent());
    let sent: BTreeMap<EnvelopeId, PublishedEnvelope> =
        people.map(|sent| (sent.id, *sent)).collect();
    let pool = town.world.node(relay).expect("it is up").pool();
    let labelled = |checked: &CheckedEnvelope| {
        let sent = sent.get(&checked.id()).expect("somebody sent it");
        kind(sent.purpose).map(|kind| (kind, checked.clone()))
    };
    // In the order of their ids, which has nothing to do with what they are.
    let mut seen: Vec<(Kind, CheckedEnvelope)> = pool.by_rank().filter_map(labelled).collect();
    seen.sort_by_key(|(_, checked)| checked.id());
    Evidence { seen, sent }
}

#[test]
fn an_observer_cannot_tell_a_message_from_an_acknowledgement_from_junk() {
    let evidence = observe(31);
    assert!(evidence.seen.len() >= 2_000, "{}", evidence.seen.len());
    for (kind, checked) in &evidence.seen {
        let envelope = checked.envelope();
        assert_eq!((checked.bytes().len(), envelope.ttl), (ENVELOPE_SIZE, ONE_DAY), "{kind:?}");
        let sent = evidence.sent.get(&checked.id()).expect("somebody sent it");
        assert!(on_the_grid(envelope.expiry, sent.at), "{kind:?}");
    }

    let all = evidence.shown(None, 2_000);
    let (bit, position) = (worst_bit(&all), worst_position(&all));
    assert!(bit < BIT_BOUND, "bit: {bit}");
    assert!(position < POSITION_BOUND, "position: {position}");
    let total = surprise(&histogram(all.concat().into_iter()));
    assert!(total.abs() < TOTAL_BOUND, "all bytes: {total}");

    for (one, other) in [(KINDS[0], KINDS[1]), (KINDS[0], KINDS[2]), (KINDS[1], KINDS[2])] {
        let count = evidence.of(one).count().min(evidence.of(other).count());
        assert!(count > 300, "{one:?}, {other:?}: {count}");
        let (ones, others) = (evidence.shown(Some(one), count), evidence.shown(Some(other), count));
        let worst = worst_disagreement(&ones, &others);
        assert!(worst < POSITION_BOUND, "{one:?}, {other:?}: {worst}");
    }
    for kind in KINDS {
        // All ids are sought below the same number, so half are in the upper half below it, whatever
        // they are for.
        let target =
            |checked: &CheckedEnvelope| checked.charge().target(Floor::new(FLOOR), Step::default());
        assert!(evidence.of(kind).all(|checked| checked.id().work() < target(checked)), "{kind:?}");
        let upper = evidence.of(kind).filter(|checked| checked.id().work() >= target(checked) / 2);
        let count = evidence.of(kind).count() as f64;
        let surplus = (upper.count() as f64 - count / 2.0) / (count / 4.0).sqrt();
        assert!(surplus.abs() < TOTAL_BOUND, "work of {kind:?}: {surplus}");
    }
}

#[test]
fn no_topic_comes_twice() {
    let evidence = observe(32);
    let topics: BTreeSet<_> = evidence.seen.iter().map(|(_, checked)| checked.topic()).collect();
    assert_eq!(topics.len(), evidence.seen.len());
}

#[test]
fn an_observer_would_notice_a_kind_of_envelope_that_stands_out() {
    let evidence = observe(33);
    let count = evidence.of(Kind::Message).count().min(evidence.of(Kind::Junk).count());
    let messages = evidence.shown(Some(Kind::Message), count);
    let mut marked = evidence.shown(Some(Kind::Junk), count);
    for bytes in &mut marked {
        bytes[100] &= 0x7f;
    }
    let difference = disagreement(&histogram(at(&messages, 100)), &histogram(at(&marked, 100)));
    assert!(difference > POSITION_BOUND, "{difference}");
}

/// Whether an expiry says no more than the hour in which the envelope was made. Work may have taken
/// a second, so the hour before counts too when it had just ended.
fn on_the_grid(expiry: UnixSeconds, published: Millis) -> bool {
    let ends = |at: u64| {
        let made = EPOCH.plus(Seconds(u32::try_from(at / 1_000).expect("a day or so")));
        let end = made.plus(HEAD_START).plus(ONE_DAY);
        end.0.div_ceil(3_600) * 3_600
    };
    [published.0, published.0.saturating_sub(1_000)].map(ends).contains(&expiry.0)
}

/// The times between one piece of junk and the next, in means.
fn intervals(seed: u64, mean: Millis, count: usize) -> Vec<f64> {
    let mut town = Town::new(seed, Links::calm(), 0, 1);
    let relay = NodeIndex(0);
    let junk = NodeSettings { junk: Some(mean), ..settings(NodeRole::Messenger) };
    let node = town.settle(junk, relay);
    let sent = |town: &Town| town.world.machine(node).sent().len();
    while sent(&town) <= count {
        town.world.run_for(mean);
    }
    let times = town.world.machine(node).sent().iter().map(|sent| sent.at.0 as f64 / mean.0 as f64);
    let times: Vec<f64> = times.collect();
    town.assert_sound();
    times.windows(2).take(count).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn junk_comes_at_the_times_of_a_poisson_process() {
    const COUNT: usize = 2_000;
    let mut waits = intervals(34, Millis::from_secs(120), COUNT);
    let count = COUNT as f64;
    let mean = waits.iter().sum::<f64>() / count;
    // One deviation of the mean is 1 / sqrt(2000), of the spread about twice that; bounds are four.
    assert!((mean - 1.0).abs() < 0.09, "mean: {mean}");
    let spread = (waits.iter().map(|wait| (wait - mean).powi(2)).sum::<f64>() / count).sqrt();
    assert!((spread - 1.0).abs() < 0.13, "spread: {spread}");
    // Kolmogorov-Smirnov: 1.63 / sqrt(n) is passed by 99 of 100; a search of up to a second shifts
    // a wait of 120 by less than 0.01.
    waits.sort_by(f64::total_cmp);
    let gaps = waits.iter().enumerate().map(|(index, wait)| {
        let expected = 1.0 - (-wait).exp();
        (expected - index as f64 / count).abs().max((expected - (index + 1) as f64 / count).abs())
    });
    let gap = gaps.fold(0.0, f64::max);
    assert!(gap < 1.63 / count.sqrt() + 0.01, "gap: {gap}");
    // Memoryless: a long wait says nothing of the next one.
    let waits = intervals(35, Millis::from_secs(120), COUNT);
    let products = waits.windows(2).map(|pair| (pair[0] - 1.0) * (pair[1] - 1.0));
    let correlation = products.sum::<f64>() / count;
    assert!(correlation.abs() < 0.1, "correlation: {correlation}");
}

#[test]
fn a_node_without_cover_sends_no_junk() {
    let mut town = Town::new(36, Links::calm(), 1, 1);
    town.world.run_for(Millis::from_secs(86_400));
    assert!(town.world.machine(town.people[0].node).sent().is_empty());
}
