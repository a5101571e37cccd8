//! How sessions end: silence, farewell, and a disk that is older than what it did.

use std::collections::BTreeSet;

use undertone::engine::command::Command;
use undertone::engine::env::Millis;
use undertone::engine::event::SessionStatus;
use undertone::engine::id::ContactId;
use undertone::engine::record::Record;
use undertone::sim::StartingDisk;
use undertone::sim::link::Links;

use crate::harness::{Town, link, seeds};
use crate::mailbox::Post;

const DAY: u64 = 86_400;

#[test]
fn a_session_silent_for_thirty_days_is_erased_and_the_next_message_opens_another() {
    let (mut post, [a, _]) = Post::introduced(50);
    post.town.say(0, a, "until next month");
    post.exchange(Millis::from_secs(60));
    let session = post.preferred(0);
    post.pass(Millis::from_secs(29 * DAY));
    assert_eq!((post.sessions(0).len(), post.sessions(1).len()), (1, 1));
    let published = [0, 1].map(|who| post.published(who));
    post.pass(Millis::from_secs(2 * DAY));
    assert_eq!((post.sessions(0).len(), post.sessions(1).len()), (0, 0));
    assert_eq!(link(&post.town.world, post.node(0), a), SessionStatus::None);
    assert_eq!([0, 1].map(|who| post.published(who)), published, "silence is kept silently");
    post.town.say(0, a, "it is next month");
    post.exchange(Millis::from_secs(60));
    assert_eq!(post.town.heard(1), ["until next month", "it is next month"]);
    assert!(post.preferred(0).is_some() && post.preferred(0) == post.preferred(1));
    assert_ne!(post.preferred(0), session);
    post.town.assert_sound();
}

#[test]
fn a_farewell_leaves_no_session_on_either_disk() {
    let (mut post, [a, _]) = Post::introduced(51);
    post.town.say(0, a, "that was all");
    post.exchange(Millis::from_secs(60));
    post.town.world.ask(post.node(0), Command::CloseSession { contact: a }).expect("closed");
    assert_eq!(post.sessions(0), []);
    assert_eq!(post.sessions(1).len(), 1, "the farewell has not come");
    post.exchange(Millis::from_secs(60));
    assert_eq!(post.sessions(1), []);
    post.town.assert_sound();
}

fn say(town: &mut Town, contacts: [ContactId; 2], numbers: core::ops::Range<usize>) {
    for number in numbers {
        for (who, contact) in contacts.into_iter().enumerate() {
            town.say(who, contact, &line(who, number));
        }
        town.world.run_for(Millis(2_500));
    }
}

fn line(who: usize, number: usize) -> String {
    format!("person {who} says line {number}")
}

#[test]
fn a_disk_put_back_repeats_no_key_and_the_conversation_goes_on() {
    seeds(40, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 1);
        let (a, b) = town.introduce(0, 1);
        let (twin, peer) = if seed % 2 == 0 { (0, 1) } else { (1, 0) };
        say(&mut town, [a, b], 0..12);
        let node = town.people[twin].node;
        let copy = town.world.machine(node).copy_disk();
        say(&mut town, [a, b], 12..18);
        town.wait(1, "everything", |town| town.all_delivered(0) && town.all_delivered(1));
        assert_eq!(town.heard(peer).len(), 18);

        town.world.start_from(node, StartingDisk::Copy(copy));
        say(&mut town, [a, b], 18..22);
        town.wait(7, "the rest", |town| town.all_delivered(0) && town.all_delivered(1));
        // No pair of key and nonce twice, though the twin filled positions again.
        town.assert_sound();
        let heard = town.heard(peer);
        assert_eq!(heard.iter().collect::<BTreeSet<_>>().len(), heard.len(), "shown twice");
        let expected: Vec<_> = (0..22).map(|number| line(twin, number)).collect();
        assert_eq!(heard, expected);
        let expected: Vec<_> = (18..22).map(|number| line(peer, number)).collect();
        assert!(town.heard(twin).ends_with(&expected));
        for (who, contact) in [(0, a), (1, b)] {
            assert_eq!(
                link(&town.world, town.people[who].node, contact),
                SessionStatus::Established
            );
        }
    });
}

#[test]
fn an_epoch_first_received_in_its_middle_begins_with_the_oldest_message_its_sender_still_holds() {
    for said in [5, 80] {
        let mut town = Town::new(52, Links::calm(), 2, 1);
        let (a, _) = town.introduce(0, 1);
        for number in 0..said {
            town.say(0, a, &line(0, number));
        }
        town.wait(1, "everything", |town| town.all_delivered(0));
        let node = town.people[1].node;
        town.world.start_from(node, StartingDisk::Roster);
        town.say(0, a, "where were we");
        town.wait(1, "the rest", |town| town.all_delivered(0));
        assert_eq!(town.heard(1), ["where were we"]);
        let missing = town.world.machine(node).records().find_map(|record| match record {
            Record::Message(message) => Some(message.missing),
            _ => None,
        });
        assert_eq!(missing, Some(0));
        town.assert_sound();
    }
}
