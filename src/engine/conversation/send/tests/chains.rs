//! Messages that leave for the first time: the numbers and the chain they need.

use super::*;
use crate::engine::conversation::tests::{pair, settle};
use crate::engine::conversation::{HeldBackIn, add_held_back, tell_held_back};
use crate::engine::event::{SendRoom, SessionStatus, WaitsFor};
use crate::engine::record::ContactState;

/// Two with a session whose chains are short.
fn with_window(window: u32) -> (Side, Side) {
    let (mut one, mut other) = pair(101);
    (one.settings.window, other.settings.window) = (window, window);
    one.turn(|conversation, turn| conversation.start_offer(turn));
    settle(&mut one, &mut other);
    assert_eq!(one.conversation.view().session, SessionStatus::Established);
    (one, other)
}

/// Sends in the chain until it is full.
fn fill_chain(side: &mut Side, id: MessageId) {
    while let Some(record) = side.begin(ContactJob::RetransmitNow(id)) {
        side.publish(&record);
    }
}

#[test]
fn a_message_waits_for_a_session_and_gets_no_number_without_one() {
    let (mut one, _) = pair(59);
    one.conversation.state = ContactState::Inactive;
    let id = one.say("waits");
    let session = one.session();
    one.turn(|conversation, turn| conversation.handshake.end(turn, session));
    assert!(one.begin(ContactJob::SendNext).is_none());
    assert_eq!((number(&one, id), one.conversation.sent.sequence().next), (None, 0));
}

#[test]
fn a_message_that_is_encrypted_is_stored_with_its_number_and_the_next_one_is_queued() {
    let (mut one, mut other) = established(61);
    let [first, second] = ["a", "b"].map(|text| one.say(text));
    assert!(one.workspace.outbox.pop().is_some());
    let record = begun(&mut one, ContactJob::SendNext);
    let payload = other.peek(&record).expect("for it");
    assert_eq!((payload.number, payload.base), (Some(0), 0));
    assert!(payload.content == Content::Text("a".to_owned()));
    assert_eq!((number(&one, first), number(&one, second)), (Some(0), None));
    let stored = |wanted: MessageId| {
        one.messages().find(|message| message.id == wanted).and_then(|message| message.number)
    };
    assert_eq!((stored(first), stored(second)), (Some(0), None));
    assert_eq!(one.stored.as_ref().map(|stored| stored.sent.next), Some(1));
    assert_eq!(one.states.get(&first), Some(&MessageState::Mining));
    assert!(waits(&one, ContactJob::SendNext));
    begun(&mut one, ContactJob::SendNext);
    assert!(one.begin(ContactJob::SendNext).is_none(), "nothing is left");
}

#[test]
fn a_full_chain_numbers_nothing_and_offers_one_other_session() {
    let (mut one, _) = with_window(4);
    let id = lost(&mut one, "lost");
    fill_chain(&mut one, id);
    assert_eq!(number(&one, id), Some(0));
    assert!(is_set(&one, ContactTimer::Retransmit(id)), "it goes in another session");
    let offered = one.conversation.sessions().ids();
    assert_eq!(offered.len(), 2);
    let next = one.say("next");
    assert!(one.begin(ContactJob::SendNext).is_none());
    assert_eq!((number(&one, next), one.conversation.sent.sequence().next), (None, 1));
    assert_eq!(one.conversation.sessions().ids(), offered, "one offer is enough");
    assert!(one.begin(ContactJob::Acknowledge).is_none());
}

#[test]
fn a_full_chain_that_a_queued_message_meets_first_offers_another_session_too() {
    let (mut one, _) = with_window(4);
    while one.conversation.sessions().ids().len() == 1 {
        one.say("more");
        let record = one.begin(ContactJob::SendNext);
        record.iter().for_each(|record| one.publish(record));
        assert!(one.conversation.sent.sequence().next <= 4);
    }
    assert!(one.conversation.handshake.pending().is_some());
}

#[test]
fn messages_256_of_which_nobody_answered_leave_and_the_next_says_that_it_waits_for_an_answer() {
    let (mut one, _) = established(401);
    let sent: Vec<MessageId> = (0..256).map(|_| lost(&mut one, "away")).collect();
    assert!(sent.iter().all(|id| one.states[id] == MessageState::Sent));
    one.turn(tell_held_back);
    assert_eq!(one.conversation.view().room, SendRoom::Free, "none waits");
    one.workspace.outbox.take_repriced();
    let id = one.say("one more");
    assert!(one.begin(ContactJob::SendNext).is_none());
    assert_eq!(one.workspace.outbox.take_repriced().len(), 1, "front ends are to be told");
    one.turn(tell_held_back);
    let view = one.conversation.view();
    let message = one.conversation.sent.message(id).expect("queued").view();
    assert_eq!(view.waits_for(&message), Some(WaitsFor::Acknowledgement));
    let left = one.conversation.sent.message(sent[0]).expect("sent").view();
    assert_eq!(view.waits_for(&left), None);
    let mut all = HeldBackIn::default();
    add_held_back(&one.conversation, &mut all);
    assert_eq!(all, HeldBackIn { acknowledgement: 1, ..HeldBackIn::default() });
    one.turn(|conversation, turn| conversation.abandon(turn, sent[0]));
    assert_eq!(one.conversation.view().room, SendRoom::Free);
    assert!(one.begin(ContactJob::SendNext).is_some());
}

#[test]
fn what_is_queued_while_the_chain_is_full_says_that_it_waits_for_an_answer() {
    let (mut one, _) = with_window(4);
    let id = lost(&mut one, "first");
    fill_chain(&mut one, id);
    one.say("second");
    assert_eq!(one.conversation.view().room, SendRoom::Full);
}

#[test]
fn repetitions_leave_a_position_for_each_message_that_may_still_be_said() {
    let (mut one, _) = with_window(64);
    let id = lost(&mut one, "first");
    while let Some(record) = one.begin(ContactJob::Retransmit(id)) {
        one.publish(&record);
    }
    assert!(one.conversation.handshake.pending().is_some(), "another session has room");
    assert!(is_set(&one, ContactTimer::Retransmit(id)), "it goes in that one");
    for _ in 0..16 {
        let more = lost(&mut one, "more");
        assert_eq!(one.states[&more], MessageState::Sent);
    }
    one.say("waits");
    assert_eq!(one.conversation.view().room, SendRoom::Full);
    assert!(one.begin(ContactJob::SendNext).is_none());
}
