//! Offers of sessions and the answers to them.

use super::*;
use crate::engine::conversation::ContactCommand;
use crate::engine::conversation::tests::{pair, settle};
use crate::engine::event::SessionStatus;

#[test]
fn an_offer_is_sealed_afresh_each_time_and_one_envelope_of_it_is_kept() {
    let (mut one, _) = pair(53);
    one.turn(|conversation, turn| conversation.start_offer(turn));
    let first = begun(&mut one, ContactJob::Offer);
    one.publish(&first);
    let second = begun(&mut one, ContactJob::Offer);
    assert_ne!(first.body, second.body);
    assert_eq!(kept(&one, first.purpose), 1);
}

#[test]
fn an_offer_that_is_out_of_date_is_replaced_by_one_with_a_fresh_date() {
    let (mut one, mut other) = pair(55);
    one.turn(|conversation, turn| conversation.start_offer(turn));
    assert!(one.workspace.outbox.pop().is_some());
    one.mono = Millis::from_secs(20 * 86_400);
    other.mono = one.mono;
    let before = one.session();
    assert!(one.begin(ContactJob::Offer).is_none());
    assert_ne!(one.session(), before, "the newest of two offered sessions");
    assert!(waits(&one, ContactJob::Offer));
    let fresh = begun(&mut one, ContactJob::Offer);
    other.receive(&fresh);
    assert_eq!(other.conversation.view().session, SessionStatus::AwaitingConfirmation);
}

#[test]
fn each_sending_of_an_offer_is_counted_and_stored_and_doubles_the_wait_for_the_next() {
    let (mut one, _) = pair(57);
    one.turn(|conversation, turn| conversation.start_offer(turn));
    for doublings in 0..4 {
        let record = begun(&mut one, ContactJob::Offer);
        let before = one.mono;
        one.publish(&record);
        let stored = one.stored.as_ref().and_then(|stored| stored.offer.as_ref());
        assert_eq!(stored.map(|offer| offer.attempts), Some(doublings + 1));
        let wait = one.workspace.timers.next().expect("a timer").0 - before.0;
        assert!(wait >= OFFER_RETRY.0 << doublings);
        one.wait(Millis((OFFER_RETRY.0 << doublings) - 1));
        assert!(is_set(&one, ContactTimer::Offer), "not before");
    }
}

#[test]
fn an_offer_is_answered_after_doubled_waits_until_its_session_or_a_later_one_is_confirmed() {
    let (mut one, mut other) = pair(73);
    one.turn(|conversation, turn| conversation.start_offer(turn));
    one.send().iter().for_each(|record| other.receive(record));
    let session = other.session();
    for doublings in 0..3 {
        let answer = begun(&mut other, ContactJob::AnswerOffer(session));
        assert!(one.peek(&answer).expect("for it").content == Content::Answer);
        assert!(is_set(&other, ContactTimer::Answer(session)));
        let wait = other.workspace.timers.next().expect("a timer").0 - other.mono.0;
        assert!(wait >= other.settings.retransmit_after.0 << doublings);
        other.wait(Millis(wait));
    }
    settle(&mut one, &mut other);
    assert!(other.begin(ContactJob::AnswerOffer(session)).is_none(), "confirmed");
    // An offer made before the confirmed one, which comes after it.
    let (mut one, mut other) = pair(75);
    one.turn(|conversation, turn| conversation.start_offer(turn));
    let early = begun(&mut one, ContactJob::Offer);
    one.mono = Millis(60_000);
    other.mono = Millis(60_000);
    one.turn(|conversation, turn| conversation.start_offer(turn));
    settle(&mut one, &mut other);
    assert_eq!(other.conversation.view().session, SessionStatus::Established);
    other.receive(&early);
    let unanswered = other.conversation.sessions().unanswered();
    assert_eq!(unanswered.len(), 1);
    assert!(other.begin(ContactJob::AnswerOffer(unanswered[0])).is_none());
}

#[test]
fn an_offer_lives_as_long_as_the_messages_that_wait_for_it_and_never_less_than_usual() {
    for (lifetime, expected) in
        [(Lifetime::SixHours, Lifetime::Day), (Lifetime::Week, Lifetime::Week)]
    {
        let (mut one, _) = pair(81);
        let text = "waits".to_owned();
        assert!(one.command(ContactCommand::Say { text, postage: lifetime.into() }).is_ok());
        assert_eq!(begun(&mut one, ContactJob::Offer).ttl, expected.ttl());
    }
}
