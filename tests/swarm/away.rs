//! Somebody was away, and whoever wrote has gone: a neighbour still has it.

use std::collections::BTreeSet;

use undertone::engine::env::Millis;
use undertone::engine::envelope::EnvelopeId;
use undertone::engine::id::ContactId;
use undertone::engine::relay::pool::{BodyStorage, PoolBounds};
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, SeededRng};

use crate::harness::{FLOOR, Town, seeds, settings};
use crate::noise::noise;

const HOUR: Millis = Millis::from_secs(3_600);
const MINUTES: Millis = Millis::from_secs(300);

/// Long enough that nobody who goes off comes back by itself.
const WEEK: Millis = Millis::from_secs(7 * 86_400);

/// Two people who know each other, at `relays`.
fn two_at(seed: u64, links: Links, relays: &[NodeSettings]) -> (Town, Vec<NodeIndex>, ContactId) {
    let mut town = Town::new(seed, links, 0, 0);
    let relays: Vec<NodeIndex> = relays.iter().map(|relay| town.world.add(*relay)).collect();
    for pair in relays.windows(2) {
        town.world.join(pair[0], pair[1]);
    }
    town.settle(settings(NodeRole::Messenger), relays[0]);
    town.settle(settings(NodeRole::Messenger), relays[relays.len() - 1]);
    let (contact, _) = town.introduce(0, 1);
    town.world.run_for(MINUTES);
    (town, relays, contact)
}

/// The machine goes off at this moment, for so long.
fn off(town: &mut Town, node: NodeIndex, rest: Millis) {
    town.world.machine_mut(node).crash_after(0, rest);
    // Whatever it is woken for, it does not come to do.
    town.world.run_until(WEEK, |world| world.node(node).is_none());
    assert!(town.world.node(node).is_none());
}

/// One says something while the other is off, and is off when the other comes back.
fn says_and_leaves(town: &mut Town, contact: ContactId, text: &str) {
    let (speaker, away) = (town.people[0].node, town.people[1].node);
    off(town, away, HOUR);
    town.say(0, contact, text);
    town.world.run_for(Millis::from_secs(30));
    off(town, speaker, WEEK);
}

#[test]
fn a_contact_that_was_away_reads_a_message_although_its_writer_is_off() {
    seeds(10, |seed| {
        let relay = settings(NodeRole::Relay);
        let (mut town, _, contact) = two_at(seed, Links::calm(), &[relay, relay]);
        says_and_leaves(&mut town, contact, "see you in the morning");
        assert_eq!(town.heard(1), Vec::<String>::new());
        town.world.run_for(HOUR);
        let back = |town: &Town| town.heard(1) == ["see you in the morning"];
        for _ in 0..20 {
            town.world.run_for(Millis::from_secs(30));
        }
        assert!(back(&town), "the relay had it: {:?}", town.heard(1));
        assert!(
            town.world.node(town.people[0].node).is_none(),
            "the speaker was off all the while"
        );
        let fetched = town.world.node(town.people[1].node).expect("it is up").status().caught_up;
        assert!(fetched > 0);
        town.assert_sound();
    });
}

#[test]
fn links_that_lose_a_third_only_delay_catching_up() {
    seeds(10, |seed| {
        let relay = settings(NodeRole::Relay);
        let (mut town, _, contact) = two_at(seed, Links::calm(), &[relay]);
        says_and_leaves(&mut town, contact, "it will arrive");
        town.world.set_loss(333);
        town.wait(2, "what was said", |town| town.heard(1) == ["it will arrive"]);
        town.assert_sound();
    });
}

#[test]
fn a_message_from_the_other_side_of_a_partition_arrives_when_it_heals() {
    seeds(10, |seed| {
        let relay = settings(NodeRole::Relay);
        let (mut town, relays, contact) = two_at(seed, Links::calm(), &[relay, relay]);
        let speaker = town.people[0].node;
        town.world.partition(&[speaker, relays[0]]);
        town.say(0, contact, "can anybody hear me");
        town.world.run_for(MINUTES);
        off(&mut town, speaker, WEEK);
        assert_eq!(town.heard(1), Vec::<String>::new());
        town.world.heal();
        // From one relay to the other, where it settles, then on to the listener.
        town.world.run_for(Millis::from_secs(1_800));
        assert_eq!(town.heard(1), ["can anybody hear me"]);
        town.assert_sound();
    });
}

fn archive() -> NodeSettings {
    NodeSettings { bodies: BodyStorage::External, ..settings(NodeRole::Relay) }
}

#[test]
fn a_relay_with_an_archive_has_it_still_after_a_crash() {
    seeds(10, |seed| {
        let (mut town, relays, contact) = two_at(seed, Links::calm(), &[archive()]);
        says_and_leaves(&mut town, contact, "written in stone");
        assert!(town.world.machine(relays[0]).archived().count() > 0);
        off(&mut town, relays[0], Millis::from_secs(60));
        // Back at once, and what it kept has long settled.
        town.world.run_for(HOUR.plus(MINUTES));
        assert_eq!(town.heard(1), ["written in stone"]);
        town.assert_sound();
    });
}

#[test]
fn an_envelope_lost_by_an_archive_is_fetched_again_from_a_neighbour() {
    seeds(5, |seed| {
        let relays = [archive(), settings(NodeRole::Relay)];
        let (mut town, relays, _) = two_at(seed, Links::calm(), &relays);
        let kept: Vec<_> = town.world.machine(relays[0]).archived().collect();
        assert!(kept.len() > 1);
        kept.iter().for_each(|id| town.world.machine_mut(relays[0]).lose_archived(*id));
        // Nobody knows until somebody asks for one.
        let late = town.settle(settings(NodeRole::Messenger), relays[0]);
        town.world.run_for(Millis::from_secs(7_200));
        let has = |town: &Town, node| town.world.node(node).map_or(0, |node| node.pool().count());
        assert!(has(&town, late) >= kept.len());
        assert_eq!(
            town.world.machine(relays[0]).archived().filter(|id| kept.contains(id)).count(),
            kept.len()
        );
        town.assert_sound();
    });
}

#[test]
fn an_archive_discards_expired_envelopes_and_those_that_the_pool_lets_go() {
    // Six of its eight places are for what lives a day.
    let small = NodeSettings { pool: PoolBounds { places: 8 }, ..archive() };
    let (mut town, relays, contact) = two_at(3, Links::calm(), &[small]);
    for line in 0..20 {
        town.say(0, contact, &format!("this is line number {line}"));
    }
    town.world.run_for(MINUTES);
    let archived = |town: &Town| -> BTreeSet<EnvelopeId> {
        town.world.machine(relays[0]).archived().collect()
    };
    let before = archived(&town);
    // Twice 256 times the floor, again and again: the dearest there is.
    let mut chance = SeededRng::lane(3, u64::MAX);
    for _ in 0..40 {
        let dear = noise(&mut chance, town.world.wall(), FLOOR + 9);
        let from = town.people[0].node;
        town.world.inject(from, relays[0], dear);
        town.world.run_for(Millis(100));
    }
    let after = archived(&town);
    assert!(before.difference(&after).count() > 0, "some had to leave");
    assert_eq!(after.len(), 6);
    let pool = town.world.node(relays[0]).expect("it is up").pool();
    assert!(after.iter().all(|id| pool.contains(id)) && pool.count() == 6);
    let speakers: Vec<NodeIndex> = town.people.iter().map(|person| person.node).collect();
    speakers.into_iter().for_each(|node| off(&mut town, node, WEEK));
    town.world.run_for(Millis::from_secs(2 * 86_400));
    assert_eq!(town.world.machine(relays[0]).archived().count(), 0);
    town.assert_sound();
}
