//! A node dies between any two outputs and comes back from what it stored.

use undertone::engine::env::Millis;
use undertone::engine::id::ContactId;
use undertone::sim::link::Links;

use crate::town::{Town, seeds};

#[test]
fn whatever_was_accepted_survives_a_crash_of_either_side() {
    seeds(100, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 2);
        let (a, b) = town.introduce(0, 1);
        let victim = town.people[usize::from(seed % 2 == 0)].node;
        let mut expected = (Vec::new(), Vec::new());
        for number in 0..12 {
            let (mine, theirs) = (format!("one, line {number}"), format!("two, line {number}"));
            town.say(0, a, &mine);
            town.say(1, b, &theirs);
            expected.0.push(mine);
            expected.1.push(theirs);
        }
        // Dies again and again, each time somewhere else.
        for round in 0..8 {
            let outputs = (seed * 7 + round * 13) % 29;
            town.world.crash_after(victim, u32::try_from(outputs).unwrap(), Millis(1_500));
            town.world.run_for(Millis::from_secs(9));
        }
        town.world.run_for(Millis::from_secs(3_600));
        assert_eq!(town.heard(1), expected.0);
        assert_eq!(town.heard(0), expected.1);
        town.assert_sound();
    });
}

#[test]
fn a_crash_in_the_middle_of_a_handshake_only_delays_it() {
    seeds(60, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 2);
        let victim = town.people[usize::from(seed % 2 == 0)].node;
        let (a, _) = (town.add(0, 1), town.add(1, 0));
        town.world.crash_after(victim, u32::try_from(seed % 20).unwrap(), Millis(800));
        town.world.run_for(Millis::from_secs(60));
        // A fuse that is still lit would burn down while somebody speaks; the next sweep ends it.
        town.world.crash_after(victim, 0, Millis(800));
        town.world.run_for(Millis::from_secs(900));
        town.say(0, a, "we met after all");
        town.world.run_for(Millis::from_secs(1_800));
        assert_eq!(town.heard(1), ["we met after all"]);
        town.assert_sound();
    });
}

#[test]
fn a_crash_after_any_output_of_a_handshake_loses_nothing_that_was_said_early() {
    each_output(|town| {
        let contacts = [town.add(0, 1), town.add(1, 0)];
        say_three_each(town, contacts);
    });
}

#[test]
fn a_crash_after_any_output_of_a_conversation_repeats_no_step() {
    each_output(|town| {
        let (a, b) = town.introduce(0, 1);
        say_three_each(town, [a, b]);
    });
}

fn say_three_each(town: &mut Town, contacts: [ContactId; 2]) {
    for number in 0..3 {
        for (who, contact) in contacts.into_iter().enumerate() {
            town.say(who, contact, &format!("person {who} says line {number}"));
        }
    }
}

/// Kills either side after each number of outputs from where `begin` left it, until both live
/// through it all.
fn each_output(begin: impl Fn(&mut Town)) {
    for outputs in 0.. {
        let lived = [0, 1].map(|victim| outlives(outputs, victim, &begin));
        if lived == [true; 2] {
            // As many as even a handshake alone takes.
            assert!(outputs > 40, "only {outputs}");
            return;
        }
    }
}

/// Runs until all is said and done; answers whether the victim did not come to die.
fn outlives(outputs: u32, victim: usize, begin: impl Fn(&mut Town)) -> bool {
    let mut town = Town::new(u64::from(outputs), Links::calm(), 2, 1);
    begin(&mut town);
    let node = town.people[victim].node;
    town.world.crash_after(node, outputs, Millis(1_500));
    town.world.run_for(Millis::from_secs(1_800));
    for who in [0, 1] {
        let lines: Vec<_> = (0..3).map(|n| format!("person {} says line {n}", 1 - who)).collect();
        assert_eq!(town.heard(who), lines, "person {victim} died after {outputs}");
    }
    town.assert_sound();
    town.world.outputs_left(node).is_some()
}
