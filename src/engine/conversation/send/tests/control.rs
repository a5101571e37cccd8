//! What goes without a message: acknowledgements, read marks, the base and farewells.

use super::*;
use crate::engine::command::Reply;
use crate::engine::conversation::ContactCommand;
use crate::engine::conversation::tests::{pair, settle};

#[test]
fn an_acknowledgement_goes_once_and_only_if_no_message_carried_it() {
    let (mut one, mut other) = established(77);
    for carried in [false, true] {
        one.say("to acknowledge");
        one.send().iter().for_each(|record| other.receive(record));
        assert!(is_set(&other, ContactTimer::Acknowledge));
        let job = if carried {
            other.say("a reply");
            ContactJob::SendNext
        } else {
            ContactJob::Acknowledge
        };
        let record = begun(&mut other, job);
        assert!(one.peek(&record).expect("for it").ack.is_some());
        assert!(!is_set(&other, ContactTimer::Acknowledge));
        assert!(other.begin(ContactJob::Acknowledge).is_none());
    }
}

#[test]
fn an_acknowledgement_stays_owed_by_a_message_that_lives_less_long() {
    let (mut one, mut other) = established(79);
    let text = "for a week".to_owned();
    let long = ContactCommand::Say { text, postage: Lifetime::Week.into() };
    assert!(one.command(long).is_ok());
    one.send().iter().for_each(|record| other.receive(record));
    other.say("for a day");
    let message = begun(&mut other, ContactJob::SendNext);
    assert_eq!(message.ttl, Lifetime::Day.ttl());
    assert!(is_set(&other, ContactTimer::Acknowledge));
    let acknowledgement = begun(&mut other, ContactJob::Acknowledge);
    assert_eq!(acknowledgement.ttl, Lifetime::Week.ttl());
}

#[test]
fn what_was_read_is_reported_in_a_confirmed_session_alone_and_only_if_receipts_are_on() {
    for on in [true, false] {
        let (mut one, mut other) = established(83);
        assert_eq!(other.command(ContactCommand::SetReadReceipts { on }), Ok(Reply::Done));
        one.say("read me");
        settle(&mut one, &mut other);
        assert_eq!(other.command(ContactCommand::MarkRead { number: 0 }), Ok(Reply::Done));
        let receipt = other.begin(ContactJob::Acknowledge);
        assert_eq!(receipt.is_some(), on);
        let epoch = one.conversation.sent.sequence().epoch;
        if let Some(receipt) = receipt {
            let read = Content::Read { epoch, below: 1 };
            assert!(one.peek(&receipt).expect("for it").content == read);
            assert!(other.begin(ContactJob::Acknowledge).is_none(), "reported");
        }
    }
    // In a session that the contact only offered, a receipt waits.
    let (mut one, mut other) = pair(85);
    one.conversation.receipts.set_enabled(true);
    other.conversation.receipts.set_enabled(true);
    one.say("early");
    one.send().iter().for_each(|record| other.receive(record));
    assert_eq!(other.shown, ["early"]);
    other.conversation.received.read_up_to(0);
    assert!(other.conversation.receipts.note_read());
    let acknowledgement = begun(&mut other, ContactJob::Acknowledge);
    assert!(one.peek(&acknowledgement).expect("for it").content == Content::Nothing);
    assert!(other.conversation.receipts.is_due());
    assert!(other.begin(ContactJob::Acknowledge).is_none(), "nothing else is owed");
}

#[test]
fn a_base_to_announce_goes_once_by_itself_or_with_any_envelope() {
    let (mut one, mut other) = established(87);
    let erased = lost(&mut one, "erased");
    lost(&mut one, "kept");
    one.turn(|conversation, turn| conversation.abandon(turn, erased));
    let announcement = begun(&mut one, ContactJob::Acknowledge);
    assert_eq!(other.peek(&announcement).expect("for it").base, 1);
    assert!(one.begin(ContactJob::Acknowledge).is_none());
}

#[test]
fn a_farewell_is_stored_and_queued_as_it_is_and_there_is_none_without_a_session() {
    let (mut one, mut other) = established(89);
    let purpose = EnvelopePurpose::Control(one.conversation.id);
    let before = kept(&one, purpose);
    one.turn(queue_farewells);
    assert_eq!(kept(&one, purpose), before + 1);
    let sent = one.send();
    assert_eq!(sent.len(), 1);
    assert!(other.peek(&sent[0]).expect("for it").content == Content::Close);
    let (mut one, _) = pair(91);
    one.turn(queue_farewells);
    assert!(one.send().is_empty());
}
