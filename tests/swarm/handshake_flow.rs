//! How two people find each other.

use undertone::engine::command::{Command, CommandError};
use undertone::engine::env::Millis;
use undertone::engine::envelope::Lifetime;
use undertone::engine::event::SessionStatus;
use undertone::sim::World;
use undertone::sim::link::Links;

use crate::harness::{Town, link, seeds};

#[test]
fn two_people_meet_through_relays() {
    seeds(20, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 3);
        let (a, b) = town.introduce(0, 1);
        town.say(0, a, "good morning");
        town.say(1, b, "good evening");
        town.world.run_for(Millis::from_secs(30));
        assert_eq!(town.heard(0), ["good evening"]);
        assert_eq!(town.heard(1), ["good morning"]);
        town.assert_sound();
    });
}

#[test]
fn both_may_offer_at_once() {
    seeds(50, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 3);
        let (a, b) = (town.add(0, 1), town.add(1, 0));
        town.say(0, a, "from the first");
        town.say(1, b, "from the second");
        town.world.run_for(Millis::from_secs(120));
        assert_eq!(town.heard(0), ["from the second"]);
        assert_eq!(town.heard(1), ["from the first"]);
        for (who, contact) in [(0, a), (1, b)] {
            assert_eq!(
                link(&town.world, town.people[who].node, contact),
                SessionStatus::Established
            );
        }
        town.assert_sound();
    });
}

#[test]
fn a_stranger_who_is_not_accepted_causes_no_envelope() {
    let mut town = Town::new(7, Links::calm(), 2, 1);
    town.add(0, 1);
    let asked = town.people[1].node;
    assert!(town.world.run_until(Millis::from_secs(60), |w| !w.seen(asked).requests.is_empty()));
    let published = |town: &Town| town.world.node(asked).unwrap().status().validation.published;
    assert_eq!(published(&town), 0);
    let request = town.world.seen(asked).requests[0].id;
    town.world.ask(asked, Command::DeclineRequest { request }).unwrap();
    town.world.run_for(Millis::from_secs(3_600));
    assert_eq!(published(&town), 0, "declining is silent");
    assert!(town.world.seen(asked).requests.is_empty(), "the offer sent again is a replay");
    town.assert_sound();
}

#[test]
fn an_answer_that_was_lost_is_sent_again() {
    seeds(30, |seed| {
        let mut links = Links::calm();
        links.loss_per_mille = 400;
        let mut town = Town::new(seed, links, 2, 1);
        town.introduce(0, 1);
        town.assert_sound();
    });
}

#[test]
fn a_closed_session_erases_keys_on_both_sides_and_the_next_message_opens_another() {
    let mut town = Town::new(3, Links::calm(), 2, 2);
    let (a, b) = town.introduce(0, 1);
    let (first, second) = (town.people[0].node, town.people[1].node);
    town.world.ask(first, Command::CloseSession { contact: a }).unwrap();
    assert_eq!(link(&town.world, first, a), SessionStatus::None);
    assert!(
        town.world.run_until(Millis::from_secs(60), |w| link(w, second, b) == SessionStatus::None)
    );
    town.say(1, b, "one more thing");
    assert!(town.world.run_until(Millis::from_secs(60), |w| !w.seen(first).texts.is_empty()));
    // The text went with the offer; the answer is on its way.
    assert!(
        town.world
            .run_until(Millis::from_secs(60), |w| link(w, second, b) == SessionStatus::Established)
    );
    town.assert_sound();
}

#[test]
fn messages_of_a_blocked_contact_are_not_shown_and_none_can_be_sent_to_it() {
    let mut town = Town::new(4, Links::calm(), 2, 2);
    let (a, b) = town.introduce(0, 1);
    let first = town.people[0].node;
    town.world.ask(first, Command::Block { contact: a }).unwrap();
    town.say(1, b, "can you hear me");
    town.world.run_for(Millis::from_secs(600));
    assert!(town.heard(0).is_empty());
    let command = Command::Say { contact: a, text: "no".to_owned(), postage: Lifetime::Day.into() };
    assert_eq!(town.world.ask(first, command), Err(CommandError::Blocked));
    town.world.ask(first, Command::Unblock { contact: a }).unwrap();
    town.say(0, a, "now I can");
    town.world.run_for(Millis::from_secs(600));
    assert_eq!(town.heard(1), ["now I can"]);
    assert_eq!(town.heard(0), ["can you hear me"], "it was never given up");
    town.assert_sound();
}

#[test]
fn what_an_unblocked_contact_says_is_heard_within_seconds_though_nobody_writes_to_it() {
    seeds(8, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 2);
        let (a, b) = town.introduce(0, 1);
        town.ask(0, Command::Block { contact: a });
        town.world.run_for(Millis::from_secs(60));
        town.ask(0, Command::Unblock { contact: a });
        town.say(1, b, "after unblocking");
        let first = town.people[0].node;
        let heard = |world: &World| !world.seen(first).texts.is_empty();
        assert!(town.world.run_until(Millis::from_secs(25), heard), "seed {seed}");
        assert_eq!(town.heard(0), ["after unblocking"]);
        town.assert_sound();
    });
}

#[test]
fn a_removed_contact_learns_that_the_session_is_over_and_asks_anew_when_it_writes() {
    let mut town = Town::new(7, Links::calm(), 2, 2);
    let (a, b) = town.introduce(0, 1);
    let (first, second) = (town.people[0].node, town.people[1].node);
    town.ask(0, Command::RemoveContact { contact: a });
    let is_over = |world: &World| link(world, second, b) == SessionStatus::None;
    assert!(town.world.run_until(Millis::from_secs(60), is_over));
    town.say(1, b, "who is this");
    let asks = |world: &World| !world.seen(first).requests.is_empty();
    assert!(town.world.run_until(Millis::from_secs(60), asks));
    assert!(town.heard(0).is_empty(), "a person decides first");
    town.assert_sound();
}

#[test]
fn a_contact_that_is_blocked_and_then_removed_is_told_nothing() {
    let mut town = Town::new(8, Links::calm(), 2, 2);
    let (a, b) = town.introduce(0, 1);
    town.world.run_for(Millis::from_secs(60));
    let before = town.world.machine(town.people[0].node).sent().len();
    town.ask(0, Command::Block { contact: a });
    town.ask(0, Command::RemoveContact { contact: a });
    town.world.run_for(Millis::from_secs(600));
    assert_eq!(town.world.machine(town.people[0].node).sent().len(), before);
    assert_eq!(link(&town.world, town.people[1].node, b), SessionStatus::Established);
}

#[test]
fn a_relay_answers_no_command() {
    let mut town = Town::new(5, Links::calm(), 1, 1);
    let relay = undertone::sim::NodeIndex(0);
    let command = Command::CreateIdentity { name: "nobody".to_owned() };
    assert_eq!(town.world.ask(relay, command), Err(CommandError::Relay));
}

#[test]
fn a_name_that_a_screen_cannot_show_is_refused() {
    let mut town = Town::new(6, Links::calm(), 1, 1);
    let node = town.people[0].node;
    for name in ["", " ahead", "two\nlines", "\u{202e}kcab", "\u{1b}[2J"] {
        let command = Command::CreateIdentity { name: name.to_owned() };
        assert_eq!(town.world.ask(node, command), Err(CommandError::BadName), "{name:?}");
    }
}
