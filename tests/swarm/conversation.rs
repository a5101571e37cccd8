//! Messages arrive once, in order, whatever the links do.

use undertone::engine::env::Millis;
use undertone::engine::record::MessageState;
use undertone::sim::StartingDisk;
use undertone::sim::link::Links;

use crate::harness::{Town, seeds};

fn lines(side: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{side} says line {number}")).collect()
}

fn talk(town: &mut Town, count: usize) {
    let (a, b) = town.introduce(0, 1);
    for (mine, theirs) in lines("first", count).iter().zip(lines("second", count)) {
        town.say(0, a, mine);
        town.say(1, b, &theirs);
    }
}

#[test]
fn two_hundred_messages_cross_in_order() {
    let mut town = Town::new(1, Links::calm(), 2, 3);
    talk(&mut town, 200);
    town.world.run_for(Millis::from_secs(900));
    assert_eq!(town.heard(1), lines("first", 200));
    assert_eq!(town.heard(0), lines("second", 200));
    let states = &town.world.seen(town.people[0].node).states;
    assert_eq!(states.len(), 200);
    assert!(states.values().all(|&state| state == MessageState::Delivered));
    town.assert_sound();
}

#[test]
fn a_lossy_network_only_delays() {
    seeds(20, |seed| {
        let mut links = Links::calm();
        links.loss_per_mille = 250;
        links.jitter = Millis(5_000);
        let mut town = Town::new(seed, links, 2, 2);
        talk(&mut town, 30);
        town.world.run_for(Millis::from_secs(3_600));
        // Safety under faults, then liveness without them.
        town.world.set_loss(0);
        town.world.run_for(Millis::from_secs(7_200));
        assert_eq!(town.heard(1), lines("first", 30));
        assert_eq!(town.heard(0), lines("second", 30));
        town.assert_sound();
    });
}

#[test]
fn a_message_of_a_lost_session_arrives_although_the_node_never_runs_for_long() {
    seeds(10, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 2);
        let (a, _) = town.introduce(0, 1);
        town.world.run_for(Millis::from_secs(600));
        town.world.set_loss(1000);
        town.say(0, a, "before");
        town.world.run_for(Millis::from_secs(5));
        town.world.set_loss(0);
        // Less than the time after which it would be sent again.
        let short = Millis::from_secs(7);
        let node = town.people[0].node;
        town.world.start_from(node, StartingDisk::WithoutSessions);
        town.say(0, a, "after");
        for _ in 0..4 {
            town.world.run_for(short);
            town.world.start_over(node);
        }
        town.world.run_for(short);
        assert_eq!(town.heard(1), ["before", "after"]);
        town.assert_sound();
    });
}

#[test]
fn a_partition_heals() {
    seeds(20, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 2);
        let (a, _) = town.introduce(0, 1);
        let cut = [town.people[0].node, undertone::sim::NodeIndex(0)];
        town.world.partition(&cut);
        for line in lines("first", 10) {
            town.say(0, a, &line);
        }
        town.world.run_for(Millis::from_secs(600));
        assert!(town.heard(1).is_empty());
        town.world.heal();
        town.world.run_for(Millis::from_secs(3_600));
        assert_eq!(town.heard(1), lines("first", 10));
        town.assert_sound();
    });
}

#[test]
fn messages_arrive_with_a_clock_that_is_four_minutes_off() {
    for skew in [-240, 240] {
        let mut town = Town::new(9, Links::calm(), 2, 2);
        town.world.machine_mut(town.people[0].node).set_skew(skew);
        talk(&mut town, 5);
        town.world.run_for(Millis::from_secs(600));
        assert_eq!(town.heard(1), lines("first", 5));
        assert_eq!(town.heard(0), lines("second", 5));
        town.assert_sound();
    }
}

#[test]
fn a_message_is_never_sent_without_a_neighbour_that_could_take_it() {
    let mut town = Town::new(10, Links::calm(), 2, 2);
    let (a, _) = town.introduce(0, 1);
    let node = town.people[0].node;
    town.world.partition(&[node]);
    town.say(0, a, "to nobody in particular");
    town.world.run_for(Millis::from_secs(600));
    let states = &town.world.seen(node).states;
    assert!(states.values().all(|&state| state == MessageState::Queued), "{states:?}");
    town.world.heal();
    town.world.run_for(Millis::from_secs(60));
    assert_eq!(town.heard(1), ["to nobody in particular"]);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let trace = |seed| {
        let mut links = Links::calm();
        links.loss_per_mille = 100;
        let mut town = Town::new(seed, links, 3, 3);
        talk(&mut town, 20);
        town.world.run_for(Millis::from_secs(1_200));
        town.world.trace()
    };
    assert_eq!(trace(11), trace(11));
    assert_ne!(trace(11), trace(12));
}
