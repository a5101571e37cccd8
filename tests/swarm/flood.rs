//! One neighbour pours envelopes in; everybody else goes on talking.

use std::collections::BTreeSet;

use undertone::engine::env::{Millis, UnixSeconds};
use undertone::engine::envelope::wire::ENVELOPE_SIZE;
use undertone::engine::envelope::{CheckedEnvelope, EnvelopeId, Floor, check};
use undertone::engine::relay::pool::{ENTRY_OVERHEAD, PoolBounds};
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, SeededRng, Verdicts};

use crate::harness::{FLOOR, Town, settings};
use crate::noise::noise;

/// What the flooded relay holds.
const SMALL: PoolBounds = PoolBounds { bytes: 450 * (ENVELOPE_SIZE + ENTRY_OVERHEAD), count: 450 };

/// Ten times that.
const POURED: usize = 10 * SMALL.count;

/// More than the engine's queue holds.
const AT_ONCE: usize = 4_200;

fn noises(seed: u64, count: usize, now: UnixSeconds, bits: u8) -> Vec<Vec<u8>> {
    let mut chance = SeededRng::lane(seed, u64::MAX);
    (0..count).map(|_| noise(&mut chance, now, bits)).collect()
}

/// Two people who met at a relay with a small pool, and a third who is about to flood it.
fn at_a_small_relay(seed: u64) -> (Town, NodeIndex, NodeIndex) {
    let mut town = Town::new(seed, Links::calm(), 2, 0);
    let relay = town.world.add(NodeSettings { pool: SMALL, ..settings(NodeRole::Relay) });
    for person in town.people.clone() {
        town.world.join(person.node, relay);
    }
    let flooder = town.world.add(settings(NodeRole::Relay));
    (town, relay, flooder)
}

fn held(town: &Town, node: NodeIndex) -> Vec<CheckedEnvelope> {
    town.world.node(node).expect("it is up").pool().by_rank().cloned().collect()
}

fn lines(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("through the flood, line {number}")).collect()
}

#[test]
fn a_flood_at_the_floor_leaves_the_best_rated_in_the_pool_and_the_conversation_running() {
    let (mut town, relay, flooder) = at_a_small_relay(21);
    let (_, b) = town.introduce(0, 1);
    let wall = town.world.wall();
    let poured = noises(21, POURED, wall, FLOOR);
    let mut rest = poured.as_slice();
    for line in lines(40) {
        town.say(1, b, &line);
        // Most of it at once, the rest all the while the conversation goes on.
        let portion = if rest.len() == POURED { AT_ONCE } else { (POURED - AT_ONCE) / 30 };
        let (first, others) = rest.split_at(portion.min(rest.len()));
        for bytes in first {
            town.world.inject(flooder, relay, bytes.clone());
        }
        rest = others;
        town.world.run_for(Millis(1_500));
    }
    assert!(rest.is_empty(), "all of it was poured while they talked");
    town.world.run_for(Millis::from_secs(120));
    assert_eq!(town.heard(0), lines(40));

    let status = town.world.node(relay).expect("it is up").status();
    assert_eq!(status.pool_count, SMALL.count);
    assert!(status.pool_bytes <= SMALL.bytes);
    let judged = town.world.machine(relay).verdicts(flooder);
    let Verdicts { accepted, ignored, rejected } = judged;
    assert_eq!((accepted + ignored, rejected), (POURED as u64, 0));
    assert!(ignored >= 100, "the queue was full: {ignored}");

    // Whatever existed, sorted: what the relay holds is the upper end of it.
    let flood = poured.into_iter().map(|bytes| check(bytes, wall, &Floor::new(FLOOR)));
    let mut all: Vec<CheckedEnvelope> = flood.collect::<Result<_, _>>().expect("at the floor");
    let flooded: BTreeSet<EnvelopeId> = all.iter().map(CheckedEnvelope::id).collect();
    for person in &town.people {
        all.extend(held(&town, person.node));
    }
    all.sort_by_key(CheckedEnvelope::priority_key);
    all.dedup();
    assert!(all.len() > POURED, "the conversation is in it");
    let best = all.split_off(all.len() - SMALL.count);
    assert!(held(&town, relay) == best);
    let talk = best.iter().filter(|checked| !flooded.contains(&checked.id())).count();
    assert!(talk > 20, "what shows more work than the flood stays: {talk}");
    town.assert_sound();
}

#[test]
fn every_envelope_of_a_flood_below_the_floor_is_rejected_and_not_passed_on() {
    let (mut town, relay, flooder) = at_a_small_relay(22);
    let (a, _) = town.introduce(0, 1);
    let before = held(&town, relay).len();
    let poured = noises(22, POURED, town.world.wall(), FLOOR - 1);
    let ids: BTreeSet<EnvelopeId> = poured.iter().map(|bytes| EnvelopeId::of(bytes)).collect();
    for bytes in poured {
        town.world.inject(flooder, relay, bytes);
    }
    town.say(0, a, "is it raining at yours");
    town.world.run_for(Millis::from_secs(60));
    let rejected = POURED as u64;
    let expected = Verdicts { accepted: 0, ignored: 0, rejected };
    assert_eq!(town.world.machine(relay).verdicts(flooder), expected);
    assert_eq!(town.heard(1), ["is it raining at yours"]);
    let everywhere = [relay, town.people[0].node, town.people[1].node];
    for node in everywhere {
        assert!(held(&town, node).iter().all(|checked| !ids.contains(&checked.id())));
    }
    for person in &town.people {
        assert_eq!(town.world.machine(person.node).verdicts(relay).rejected, 0);
    }
    // A message and its acknowledgement at most joined what was there.
    assert!(held(&town, relay).len() <= before + 4);
    town.assert_sound();
}

#[test]
fn bytes_that_are_not_an_envelope_are_rejected_and_leave_the_node_unchanged() {
    let (mut town, relay, flooder) = at_a_small_relay(23);
    let mut chance = SeededRng::lane(23, u64::MAX);
    let envelope = noise(&mut chance, town.world.wall(), FLOOR);
    for length in [0, 1, 31, 2_047, ENVELOPE_SIZE, 65_536, 65_537, 200_000] {
        let mut bytes = vec![0; length];
        chance.fill_bytes(&mut bytes);
        town.world.inject(flooder, relay, bytes);
    }
    // A real one, cut short, made longer, and with an expiry that is not rounded.
    town.world.inject(flooder, relay, envelope[..envelope.len() - 1].to_vec());
    town.world.inject(flooder, relay, [envelope.as_slice(), &[0]].concat());
    let mut odd = envelope;
    odd[1] ^= 1;
    town.world.inject(flooder, relay, odd);
    town.world.run_for(Millis::from_secs(10));
    let expected = Verdicts { accepted: 0, ignored: 0, rejected: 11 };
    assert_eq!(town.world.machine(relay).verdicts(flooder), expected);
    assert!(held(&town, relay).is_empty());
    town.assert_sound();
}
