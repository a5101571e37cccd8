//! One neighbour pours envelopes in; everybody else goes on talking, and keeps what was let in.

use core::num::NonZeroU32;
use std::collections::BTreeSet;

use undertone::engine::env::{Millis, Seconds, UnixSeconds};
use undertone::engine::envelope::wire::{BODY_SIZE, ENVELOPE_SIZE};
use undertone::engine::envelope::{
    CheckedEnvelope, Envelope, EnvelopeId, Lifetime, Topic, WorkNonce,
};
use undertone::engine::node::input::Input;
use undertone::engine::price::{Share, Step};
use undertone::engine::relay::pool::PoolBounds;
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, SeededRng, Verdicts};

use crate::duplex::{Alone, roomy};
use crate::harness::{FLOOR, Town, settings};
use crate::noise::{noise, noise_of};

/// The room of the flooded relay: 338 places for a day, 56 each for six hours and a week.
const SMALL: PoolBounds = PoolBounds { places: 450 };

/// Ten times that.
const POURED: usize = 10 * SMALL.places;

/// More than the engine's queue holds.
const AT_ONCE: usize = 4_200;

/// A line that no flood here fills: what is seen is the room's doing.
const WIDE: NonZeroU32 = NonZeroU32::new(10_000).unwrap();

/// Data of an envelope of 31 bytes, the smallest.
const NO_DATA: usize = 0;

fn noises(seed: u64, count: usize, now: UnixSeconds, bits: u8) -> Vec<Vec<u8>> {
    let mut chance = SeededRng::lane(seed, u64::MAX);
    (0..count).map(|_| noise(&mut chance, now, bits)).collect()
}

/// Two people who met at a relay with a small pool, and a third who is about to flood it.
fn at_a_small_relay(seed: u64) -> (Town, NodeIndex, NodeIndex) {
    let mut town = Town::new(seed, Links::calm(), 0, 0);
    let small = NodeSettings { pool: SMALL, line: WIDE, ..settings(NodeRole::Relay) };
    let relay = town.world.add(small);
    // Whatever it costs: while a share fills within minutes, its relay asks for what it will be.
    let paying = NodeSettings { highest_step: Step::MAX, ..settings(NodeRole::Messenger) };
    for _ in 0..2 {
        town.settle(NodeSettings { line: WIDE, ..paying }, relay);
    }
    let flooder = town.world.add(settings(NodeRole::Relay));
    (town, relay, flooder)
}

fn held(town: &Town, node: NodeIndex) -> BTreeSet<EnvelopeId> {
    let pool = town.world.node(node).expect("it is up").pool();
    pool.by_rank().map(CheckedEnvelope::id).collect()
}

fn lines(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("through the flood, line {number}")).collect()
}

/// The step that a relay asks of a message in this share.
fn asked(town: &Town, relay: NodeIndex, share: Share) -> Step {
    town.world.node(relay).expect("it is up").pool().asked(share, town.world.wall())
}

/// Fills the share of a day to its last place, as people do who pay what is asked. Returns what is
/// held.
fn full_of_messages(
    town: &mut Town,
    relay: NodeIndex,
    chance: &mut SeededRng,
) -> BTreeSet<EnvelopeId> {
    let honest = town.people[0].node;
    for _ in 0..Share::Day.places(SMALL.places) {
        let step = asked(town, relay, Share::Day).get();
        let paid = noise(chance, town.world.wall(), FLOOR + step);
        town.world.inject(honest, relay, paid);
        town.world.run_for(Millis(50));
    }
    let held = held(town, relay);
    assert_eq!(held.len(), Share::Day.places(SMALL.places));
    held
}

#[test]
fn a_flood_at_the_floor_displaces_nothing_and_leaves_the_conversation_running() {
    let (mut town, relay, flooder) = at_a_small_relay(21);
    let (_, b) = town.introduce(0, 1);
    let before = held(&town, relay);
    assert!(before.len() >= 2, "how they met is held");
    let poured = noises(21, POURED, town.world.wall(), FLOOR);
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

    let Verdicts { accepted, ignored, rejected } = town.world.machine(relay).verdicts(flooder);
    assert_eq!((accepted + ignored, rejected), (POURED as u64, 0));
    assert!(ignored >= 100, "the queue was full: {ignored}");

    // The flood has taken what costs no more than the floor, three quarters. Above that only what
    // pays a step comes in, and nothing has left.
    let after = held(&town, relay);
    let flooded: BTreeSet<EnvelopeId> =
        poured.iter().filter_map(|bytes| EnvelopeId::of(bytes)).collect();
    let status = town.world.node(relay).expect("it is up").status();
    assert_eq!((status.pool_count, status.pool_places), (after.len(), after.len()));
    let places = Share::Day.places(SMALL.places);
    assert!(after.intersection(&flooded).count() <= places * 3 / 4 + 1);
    assert!(after.len() > places * 3 / 4 && after.len() < places, "{}", after.len());
    assert!(before.is_subset(&after));
    // These people hear no price: an eighth of what they say shows the step by chance.
    let talk = after.difference(&flooded).count();
    assert!(talk > before.len(), "what pays the step is held: {talk}");
    town.assert_sound();
}

#[test]
fn small_and_short_lived_envelopes_displace_no_message_of_a_day_whatever_work_they_show() {
    let (mut town, relay, flooder) = at_a_small_relay(24);
    let mut chance = SeededRng::lane(24, u64::MAX);
    let honest = full_of_messages(&mut town, relay, &mut chance);
    // Small ones are charged a whole block, and each life has a share of its own. At a full share
    // even 255 times the floor is too little.
    for (kind, most) in [
        ((Lifetime::SixHours, NO_DATA), FLOOR + 10),
        ((Lifetime::SixHours, BODY_SIZE), FLOOR + 10),
        ((Lifetime::Week, NO_DATA), FLOOR + 10),
        ((Lifetime::Day, NO_DATA), FLOOR + 7),
        ((Lifetime::Day, 3 * BODY_SIZE), FLOOR + 7),
    ] {
        for bits in [FLOOR, most] {
            for _ in 0..100 {
                let bytes = noise_of(&mut chance, town.world.wall(), kind, bits);
                town.world.inject(flooder, relay, bytes);
            }
            town.world.run_for(Millis::from_secs(2));
        }
        let left = honest.difference(&held(&town, relay)).count();
        assert_eq!(left, 0, "{kind:?} had {left} of {} leave", honest.len());
    }
    let Verdicts { rejected, .. } = town.world.machine(relay).verdicts(flooder);
    assert_eq!(rejected, 0, "all of it was paid");
    town.assert_sound();
}

#[test]
fn what_displaces_a_message_has_paid_256_times_the_floor_for_it() {
    let (mut town, relay, flooder) = at_a_small_relay(25);
    let mut chance = SeededRng::lane(25, u64::MAX);
    let honest = full_of_messages(&mut town, relay, &mut chance);
    let dear: Vec<Vec<u8>> =
        (0..10).map(|_| noise(&mut chance, town.world.wall(), FLOOR + 8)).collect();
    for bytes in &dear {
        town.world.inject(flooder, relay, bytes.clone());
        town.world.run_for(Millis(50));
    }
    let after = held(&town, relay);
    assert_eq!(honest.difference(&after).count(), dear.len(), "one for each");
    assert!(dear.iter().all(|bytes| after.contains(&EnvelopeId::of(bytes).expect("one"))));
    town.assert_sound();
}

#[test]
fn every_envelope_of_ten_minutes_is_rejected_and_displaces_nothing() {
    let (mut town, relay, flooder) = at_a_small_relay(26);
    let mut chance = SeededRng::lane(26, u64::MAX);
    let honest = full_of_messages(&mut town, relay, &mut chance);
    let wall = town.world.wall();
    // As version 1 dated them, and on the hour.
    let hour = UnixSeconds((wall.0 / 3_600 + 1) * 3_600);
    let ends = [wall.plus(Seconds(600)), hour];
    let poured = (0..1_000_u64).flat_map(|number| {
        ends.map(|expiry| {
            let (data, topic) = (number.to_be_bytes(), Topic([7; 4]));
            Envelope { expiry, ttl: Seconds(600), topic, data: &data, nonce: WorkNonce(number) }
                .encode()
        })
    });
    for bytes in poured {
        town.world.inject(flooder, relay, bytes);
    }
    town.world.run_for(Millis::from_secs(10));
    let expected = Verdicts { accepted: 0, ignored: 0, rejected: 2_000 };
    assert_eq!(town.world.machine(relay).verdicts(flooder), expected);
    assert_eq!(held(&town, relay), honest);
    town.assert_sound();
}

#[test]
fn work_is_looked_at_before_times_so_what_is_out_of_time_without_work_is_rejected() {
    let (mut town, relay, flooder) = at_a_small_relay(27);
    let mut chance = SeededRng::lane(27, u64::MAX);
    let (now, far) = (town.world.wall(), Seconds(2 * 86_400));
    let mut judged = Verdicts::default();
    for made in [now.minus(far), now.plus(far)] {
        town.world.inject(flooder, relay, noise(&mut chance, made, FLOOR - 1));
        town.world.run_for(Millis::from_secs(1));
        judged.rejected += 1;
        assert_eq!(town.world.machine(relay).verdicts(flooder), judged);
        town.world.inject(flooder, relay, noise(&mut chance, made, FLOOR));
        town.world.run_for(Millis::from_secs(1));
        judged.ignored += 1;
        assert_eq!(town.world.machine(relay).verdicts(flooder), judged);
    }
    assert!(held(&town, relay).is_empty());
    let stats = town.world.node(relay).expect("it is up").status().validation;
    assert_eq!((stats.expired, stats.early), (1, 1), "of those that paid");
}

#[test]
fn a_line_passes_on_no_more_than_it_carries_and_what_shows_more_work_for_longer() {
    const RATE: u32 = 2;
    let mut town = Town::new(28, Links::calm(), 0, 0);
    let line = NonZeroU32::new(RATE).expect("not 0");
    let relay = town.world.add(NodeSettings { line, ..settings(NodeRole::Relay) });
    let [cheap, dear] = [(); 2].map(|()| town.world.add(settings(NodeRole::Relay)));
    let mut chance = SeededRng::lane(28, u64::MAX);
    // Twenty a second that pay the floor, and one in two seconds that pays eight steps.
    let seconds = 600;
    for second in 0..seconds {
        for _ in 0..20 {
            let bytes = noise(&mut chance, town.world.wall(), FLOOR);
            town.world.inject(cheap, relay, bytes);
        }
        if second % 2 == 0 {
            let bytes = noise(&mut chance, town.world.wall(), FLOOR + 8);
            town.world.inject(dear, relay, bytes);
        }
        town.world.run_for(Millis::from_secs(1));
    }
    let [cheap, dear] = [cheap, dear].map(|carrier| town.world.machine(relay).verdicts(carrier));
    assert_eq!(dear, Verdicts { accepted: 300, ignored: 0, rejected: 0 });
    assert_eq!((cheap.accepted + cheap.ignored, cheap.rejected), (12_000, 0), "never blamed");
    // A bucket of two minutes, and what flowed in since.
    let carried = u64::from(RATE) * (120 + seconds);
    assert!(cheap.accepted + dear.accepted <= carried, "{cheap:?} {dear:?}");
    // Half the bucket is kept for what shows more; the rest of the line is not left idle.
    assert!(cheap.accepted + dear.accepted >= carried * 8 / 10, "{cheap:?} {dear:?}");
    town.assert_sound();
}

#[test]
fn every_envelope_of_a_flood_below_the_floor_is_rejected_and_not_passed_on() {
    let (mut town, relay, flooder) = at_a_small_relay(22);
    let (a, _) = town.introduce(0, 1);
    let before = held(&town, relay).len();
    let poured = noises(22, POURED, town.world.wall(), FLOOR - 1);
    let ids: BTreeSet<EnvelopeId> =
        poured.iter().filter_map(|bytes| EnvelopeId::of(bytes)).collect();
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
        assert!(held(&town, node).is_disjoint(&ids));
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

#[test]
fn envelopes_that_the_driver_left_out_for_their_times_are_counted() {
    let mut relay = Alone::new(roomy(NodeRole::Relay));
    relay.turn(Millis(0), Input::OffTime { expired: 3, early: 2 });
    let counted = relay.node.status().validation;
    assert_eq!((counted.ignored, counted.expired, counted.early), (5, 3, 2));
}
