//! Read marks are told, and shown, only where both want them.

use undertone::engine::command::{Command, Proof};
use undertone::engine::conversation::MAX_AWAITED_RECEIPTS;
use undertone::engine::crypto::safety_number::SafetyNumber;
use undertone::engine::env::Millis;
use undertone::engine::envelope::Lifetime;
use undertone::engine::id::{ContactId, MessageId};
use undertone::engine::record::MessageState;

use crate::harness::seeds;
use crate::mailbox::Post;

/// Two in a session, each with read marks or without.
fn pair(seed: u64, on: [bool; 2]) -> (Post, [ContactId; 2]) {
    let (mut post, contacts) = Post::introduced(seed);
    for who in [0, 1] {
        post.town.ask(who, Command::SetReadReceipts { contact: contacts[who], on: on[who] });
    }
    (post, contacts)
}

fn say_and_read(post: &mut Post, [a, b]: [ContactId; 2], text: &str) -> MessageId {
    let message = post.town.say(0, a, text);
    post.exchange(Millis::from_secs(20));
    assert_eq!(post.town.state(0, message), MessageState::Delivered);
    post.town.ask(1, Command::MarkRead { contact: b, number: u64::MAX });
    message
}

#[test]
fn a_message_is_read_only_if_both_turned_that_on() {
    for on in [[false, false], [false, true], [true, false], [true, true]] {
        let (mut post, contacts) = pair(110, on);
        let message = say_and_read(&mut post, contacts, "seen");
        let published = post.published(1);
        post.exchange(Millis::from_secs(60));
        let expected = if on == [true; 2] { MessageState::Read } else { MessageState::Delivered };
        assert_eq!(post.town.state(0, message), expected, "{on:?}");
        assert_eq!(post.published(1) > published, on[1], "told by whoever turned it on alone");
        let delivery = post.town.message(0, message).expect("kept").delivery;
        assert_eq!(delivery.read.is_some(), on == [true; 2]);
        post.town.assert_sound();
    }
}

#[test]
fn a_message_that_was_not_seen_is_not_read() {
    let (mut post, contacts) = pair(111, [true; 2]);
    let first = say_and_read(&mut post, contacts, "first");
    let second = post.town.say(0, contacts[0], "second");
    post.exchange(Millis::from_secs(60));
    assert_eq!(post.town.state(0, first), MessageState::Read);
    assert_eq!(post.town.state(0, second), MessageState::Delivered);
    post.town.ask(1, Command::MarkRead { contact: contacts[1], number: u64::MAX });
    post.exchange(Millis::from_secs(20));
    assert_eq!(post.town.state(0, second), MessageState::Read);
    // Nothing more to see, nothing more to tell.
    let published = post.published(1);
    post.town.ask(1, Command::MarkRead { contact: contacts[1], number: u64::MAX });
    post.pass(Millis::from_secs(600));
    assert_eq!(post.published(1), published);
}

#[test]
fn read_means_up_to_the_message_that_was_seen_and_not_later_ones() {
    let (mut post, [a, b]) = pair(115, [true; 2]);
    let said = ["first", "second", "third"].map(|text| post.town.say(0, a, text));
    post.exchange(Millis::from_secs(60));
    assert!(post.town.all_delivered(0));
    let states = |post: &Post| said.map(|message| post.town.state(0, message));
    let number = |post: &Post, message| {
        post.town.message(0, message).expect("kept").number.expect("delivered, so numbered")
    };
    let second = number(&post, said[1]);
    post.town.ask(1, Command::MarkRead { contact: b, number: second });
    post.exchange(Millis::from_secs(20));
    let read_to_the_second = [MessageState::Read, MessageState::Read, MessageState::Delivered];
    assert_eq!(states(&post), read_to_the_second);
    // Reading goes forward alone.
    post.town.ask(1, Command::MarkRead { contact: b, number: second - 1 });
    post.exchange(Millis::from_secs(60));
    assert_eq!(states(&post), read_to_the_second);
    post.town.ask(1, Command::MarkRead { contact: b, number: second + 1 });
    post.exchange(Millis::from_secs(20));
    assert_eq!(states(&post), [MessageState::Read; 3]);
    post.town.assert_sound();
}

#[test]
fn messages_read_one_after_another_are_reported_in_one_receipt_after_a_random_delay() {
    let mut delays = Vec::new();
    for seed in 0..12 {
        let (mut post, [a, b]) = pair(120 + seed, [true; 2]);
        post.take(1);
        for line in 0..5 {
            post.town.say(0, a, &format!("line {line}"));
        }
        post.exchange(Millis::from_secs(60));
        let (before, at) = (post.published(1), post.town.world.now().0);
        for _ in 0..5 {
            post.town.ask(1, Command::MarkRead { contact: b, number: u64::MAX });
        }
        post.pass(Millis::from_secs(20));
        let sent = post.town.world.machine(post.node(1)).sent();
        assert_eq!(sent.len(), before + 1);
        delays.push(sent[before].at.0 - at);
    }
    delays.sort_unstable();
    delays.dedup();
    assert!(delays.len() > 10, "{delays:?}");
}

#[test]
fn a_read_mark_says_delivered_too() {
    seeds(10, |seed| {
        let (mut post, [a, b]) = pair(seed, [true; 2]);
        post.take(1);
        let message = post.town.say_for(0, a, "did you see it", Lifetime::Week);
        post.pass(Millis(1_500));
        for letter in post.take(0) {
            post.hand(1, &letter.bytes);
        }
        // The acknowledgement is lost; the mark comes alone.
        post.pass(Millis::from_secs(5));
        post.take(1);
        assert_eq!(post.town.state(0, message), MessageState::Sent);
        post.town.ask(1, Command::MarkRead { contact: b, number: u64::MAX });
        post.exchange(Millis::from_secs(10));
        assert_eq!(post.town.state(0, message), MessageState::Read);
        let delivery = post.town.message(0, message).expect("kept").delivery;
        assert!(delivery.delivered.is_some() && delivery.read.is_some());
        post.town.assert_sound();
    });
}

#[test]
fn a_contact_on_hold_or_blocked_gets_no_read_receipt() {
    let (mut post, [a, b]) = pair(112, [true; 2]);
    post.town.say(0, a, "whoever I am");
    post.exchange(Millis::from_secs(20));
    let wrong = SafetyNumber::of(&post.town.people[0].key, &post.town.people[0].key);
    post.town.ask(1, Command::Verify { contact: b, proof: Proof::SafetyNumber(wrong) });
    let published = post.published(1);
    post.town.ask(1, Command::MarkRead { contact: b, number: u64::MAX });
    post.pass(Millis::from_secs(600));
    assert_eq!(post.published(1), published, "held");
    post.town.ask(1, Command::Block { contact: b });
    post.pass(Millis::from_secs(600));
    assert_eq!(post.published(1), published, "blocked");
}

#[test]
fn after_a_restart_delivered_messages_stay_delivered_and_later_ones_become_read() {
    let (mut post, contacts) = pair(113, [true; 2]);
    let before = post.town.say(0, contacts[0], "before");
    post.exchange(Millis::from_secs(20));
    let node = post.node(0);
    post.town.world.start_over(node);
    let after = say_and_read(&mut post, contacts, "after");
    post.exchange(Millis::from_secs(20));
    assert_eq!(post.town.state(0, before), MessageState::Delivered);
    assert_eq!(post.town.state(0, after), MessageState::Read);
    post.town.assert_sound();
}

#[test]
fn only_so_many_delivered_messages_wait_for_a_mark() {
    let (mut post, [a, b]) = pair(114, [true; 2]);
    let said: Vec<MessageId> = (0..MAX_AWAITED_RECEIPTS + 3)
        .map(|line| post.town.say(0, a, &format!("line {line}")))
        .collect();
    post.exchange(Millis::from_secs(900));
    assert!(post.town.all_delivered(0));
    post.town.ask(1, Command::MarkRead { contact: b, number: u64::MAX });
    post.exchange(Millis::from_secs(20));
    let states: Vec<MessageState> = said.iter().map(|&id| post.town.state(0, id)).collect();
    assert!(states[..3].iter().all(|&state| state == MessageState::Delivered));
    assert!(states[3..].iter().all(|&state| state == MessageState::Read));
    post.town.assert_sound();
}
