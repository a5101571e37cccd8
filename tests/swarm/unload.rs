//! A node drops its people and takes them back while it goes on as a relay: what a lock will need.

use undertone::engine::command::{Command, CommandError};
use undertone::engine::env::Millis;
use undertone::engine::envelope::Lifetime;
use undertone::engine::settings::NodeRole;
use undertone::sim::link::Links;

use crate::harness::{Town, seeds, settings};

#[test]
fn a_node_without_its_identities_still_relays_and_reads_everything_when_they_are_back() {
    seeds(20, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 1);
        // The third stands behind the first, which is its only way to the others.
        let first = town.people[0].node;
        town.settle(settings(NodeRole::Messenger), first);
        let third = 2;
        let (a, b) = town.introduce(0, 1);
        let (_, c) = town.introduce(1, third);
        town.say(0, a, "before the lock");
        town.say(1, b, "to the unlocked");
        town.wait(1, "what was said before", |town| (0..2).all(|who| town.all_delivered(who)));
        let node = town.people[0].node;

        // Under way when it locks: it leaves after that, and no key is used twice.
        town.say(0, a, "under way");
        town.world.unload_roster(node);
        assert!(town.world.node(node).is_some_and(|node| node.snapshot().is_empty()));
        let text = "nobody is here".to_owned();
        let say = Command::Say { contact: a, text, postage: Lifetime::Day.into() };
        assert_eq!(town.world.ask(node, say), Err(CommandError::NoContact));
        for line in 0..3 {
            town.say(1, b, &format!("while it is locked, line {line}"));
        }
        town.say(third, c, "past the locked one");
        town.world.run_for(Millis::from_secs(1_200));
        assert_eq!(town.heard(0).len(), 1, "nothing is read meanwhile");
        assert!(town.all_delivered(third), "what others say goes through it");

        town.world.load_roster(node);
        town.wait(1, "what was said while it was locked", |town| {
            (0..2).all(|who| town.all_delivered(who))
        });
        let heard = town.heard(0);
        assert_eq!(heard.len(), 4);
        assert!(
            heard
                .iter()
                .skip(1)
                .enumerate()
                .all(|(line, text)| { *text == format!("while it is locked, line {line}") })
        );
        assert_eq!(town.heard(1).iter().filter(|text| *text == "under way").count(), 1);
        town.assert_sound();
    });
}
