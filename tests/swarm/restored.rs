//! A device that took everything over from a backup, but for its sessions.

use undertone::engine::env::Millis;
use undertone::engine::event::SessionStatus;
use undertone::sim::StartingDisk;
use undertone::sim::link::Links;

use crate::harness::{Town, link, seeds};

#[test]
fn a_restored_device_meets_its_contacts_again_by_itself_and_shows_nothing_twice() {
    seeds(20, |seed| {
        let mut town = Town::new(seed, Links::calm(), 3, 2);
        let met = [town.introduce(0, 1), town.introduce(0, 2)];
        for (other, (here, there)) in met.into_iter().enumerate() {
            for line in 0..3 {
                town.say(0, here, &format!("to {other}, line {line}"));
                town.say(other + 1, there, &format!("from {other}, line {line}"));
            }
        }
        town.wait(1, "everything", |town| (0..3).all(|who| town.all_delivered(who)));
        let before = town.heard(0);
        assert_eq!(before.len(), 6);

        let node = town.people[0].node;
        town.world.start_from(node, StartingDisk::Backup);
        assert_eq!(town.world.seen(node).restored.len(), 2);
        // Nobody says anything.
        town.wait(1, "sessions", |town| {
            met.iter().all(|&(here, _)| link(&town.world, node, here) == SessionStatus::Established)
        });
        assert!(town.world.seen(node).restored.is_empty(), "they have heard each other");
        assert_eq!(town.heard(0), before);
        for (other, (here, there)) in met.into_iter().enumerate() {
            town.say(other + 1, there, &format!("are you back, {other}"));
            town.say(0, here, &format!("I am back, {other}"));
        }
        town.wait(1, "what was said since", |town| (0..3).all(|who| town.all_delivered(who)));
        assert_eq!(town.heard(0).len(), 8);
        for other in [1, 2] {
            assert_eq!(town.heard(other).len(), 4);
        }
        // Another start has nothing left to make good.
        town.world.start_over(node);
        assert!(town.world.seen(node).restored.is_empty());
        town.assert_sound();
    });
}

#[test]
fn a_message_that_the_lost_device_did_not_acknowledge_reaches_the_restored_one() {
    seeds(10, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 1);
        let (_, b) = town.introduce(0, 1);
        town.world.run_for(Millis::from_secs(600));
        let node = town.people[0].node;
        town.world.partition(&[node]);
        town.say(1, b, "said while you were gone");
        town.world.run_for(Millis::from_secs(600));
        town.world.start_from(node, StartingDisk::Backup);
        town.world.heal();
        town.wait(2, "the message", |town| town.all_delivered(1));
        assert_eq!(town.heard(0), ["said while you were gone"]);
        town.assert_sound();
    });
}
