//! A device that took everything over from a backup, but for its sessions; and one that took over
//! the home of an earlier program.

use undertone::engine::env::Millis;
use undertone::engine::envelope::{Envelope, Lifetime};
use undertone::engine::event::SessionStatus;
use undertone::engine::record::Record;
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, StartingDisk};

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

#[test]
fn what_a_home_of_version_1_has_on_its_way_is_drafted_again_and_arrives_once() {
    let (mut finished, mut unfinished) = (0, 0);
    for outputs in 0..16 {
        let mut town = Town::new(97, Links::calm(), 2, 1);
        let (contact, _) = town.introduce(0, 1);
        town.world.run_for(Millis::from_secs(600));
        let node = town.people[0].node;
        let lines = ["first", "second", "third"].map(|line| {
            town.say(0, contact, line);
            line
        });
        town.world.machine_mut(node).crash_after(outputs, Millis::from_secs(86_400));
        town.world.run_for(Millis::from_secs(5));
        for record in town.world.machine(node).records() {
            let Record::Outgoing(outgoing) = record else { continue };
            *(if outgoing.envelope.is_some() { &mut finished } else { &mut unfinished }) += 1;
        }
        let before = town.world.machine(node).sent().len();
        town.world.start_from(node, StartingDisk::OfVersion1);
        town.wait(1, "everything", |town| town.all_delivered(0));
        assert_eq!(town.heard(1), lines, "{outputs}");
        let sent = &town.world.machine(node).sent()[before..];
        for sent in sent {
            let bytes = town.world.audit().envelope(sent.id).expect("it was published");
            let envelope = Envelope::decode(bytes).expect("an envelope");
            assert!(Lifetime::of(envelope.ttl).is_some(), "{:?}", envelope.ttl);
        }
        let relay = town.world.machine(NodeIndex(0));
        assert_eq!(relay.verdicts(node).rejected, 0, "{outputs}");
        town.assert_sound();
    }
    assert!(finished > 0 && unfinished > 0, "{finished} finished, {unfinished} not");
}
