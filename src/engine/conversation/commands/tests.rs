//! The commands of a person to one conversation, and that the store follows each.

use proptest::prelude::*;

use super::*;
use crate::engine::conversation::tests::established;
use crate::engine::env::Millis;
use crate::engine::envelope::Lifetime;
use crate::engine::record::{OutgoingRecord, SessionRecord};

#[test]
fn a_command_prints_its_kind_alone() {
    let say = ContactCommand::Say { text: "secret".to_owned(), postage: Lifetime::Day.into() };
    assert_eq!(format!("{say:?}"), "ContactCommand::Say");
}

#[test]
fn a_message_can_be_cancelled_until_it_leaves_and_its_number_is_given_to_the_next() {
    let (mut one, mut other) = established(31);
    let first = one.say("taken back");
    assert_eq!(one.command(ContactCommand::Cancel(first)), Ok(Reply::Done));
    assert_eq!(one.states.get(&first), Some(&MessageState::Cancelled));
    one.say("sent");
    let sent = one.send();
    sent.iter().for_each(|record| other.receive(record));
    assert_eq!(other.shown, ["sent"]);
    let late = ContactCommand::Cancel(first);
    assert_eq!(one.command(late), Err(CommandError::TooLate), "it is cancelled already");
    assert_eq!(one.command(ContactCommand::Retry(first)), Ok(Reply::Done));
    one.send().iter().for_each(|record| other.receive(record));
    assert_eq!(other.shown, ["sent", "taken back"]);
}

#[test]
fn an_erased_message_that_left_is_abandoned_and_holds_nothing_back() {
    let (mut one, mut other) = established(37);
    let erased = one.say("erased");
    assert_eq!(one.send().len(), 1, "it leaves, and is lost");
    assert_eq!(one.command(ContactCommand::EraseMessage(erased)), Ok(Reply::Done));
    one.say("after");
    one.send().iter().for_each(|record| other.receive(record));
    assert_eq!(other.shown, ["after"]);
    assert!(!one.conversation.holds(erased));
}

#[test]
fn another_key_puts_the_contact_on_hold_and_ends_its_sessions() {
    let (mut one, _) = established(41);
    let key = *one.conversation.card().key;
    assert_eq!(one.command(ContactCommand::Rekey(key)), Ok(Reply::Done));
    assert!(one.conversation.sessions().is_empty());
    assert!(one.conversation.view().trust.is_on_hold());
    one.say("waits");
    assert!(one.send().is_empty());
}

#[test]
fn a_text_that_no_message_carries_is_refused_and_changes_nothing() {
    let (mut one, _) = established(43);
    for text in [" \n", &"x".repeat(MAX_TEXT + 1)] {
        let say = ContactCommand::Say { text: text.to_owned(), postage: Lifetime::Day.into() };
        assert_eq!(one.command(say), Err(CommandError::BadText));
    }
    assert_eq!(one.command(ContactCommand::AcceptUnverified), Err(CommandError::NotOnHold));
    assert!(one.send().is_empty() && one.states.is_empty());
}

#[test]
fn a_key_that_nobody_has_yet_begins_another_epoch_and_what_was_not_acknowledged_comes_first() {
    let (mut one, _) = established(45);
    let lost = one.say("lost");
    one.send();
    let before = one.conversation.sent.sequence().clone();
    let key = *one.conversation.card().key;
    assert_eq!(one.command(ContactCommand::Rekey(key)), Ok(Reply::Done));
    let stored = one.stored.as_ref().expect("stored");
    assert_ne!(stored.sent.epoch, before.epoch);
    assert_eq!(stored.sent.next, 1);
    let number = one.conversation.sent.message(lost).and_then(|message| message.number);
    assert_eq!(number, Some(0));
}

#[test]
fn a_third_failed_comparison_ends_the_sessions_and_the_hold_ends_by_a_decision_alone() {
    let (mut one, other) = established(47);
    let own = other.conversation.handshake.own().public();
    let wrong = || ContactCommand::Verify(Proof::SafetyNumber(SafetyNumber::of(&own, &own)));
    for attempts_left in [2, 1, 0] {
        assert!(!one.conversation.sessions().is_empty());
        let left = one.command(wrong());
        assert_eq!(left, Ok(Reply::Differs { word: None, attempts_left }));
    }
    assert!(one.conversation.sessions().is_empty());
    assert_eq!(one.conversation.state, ContactState::Inactive);
    one.say("waits");
    assert!(one.send().is_empty());
    assert_eq!(one.command(ContactCommand::AcceptUnverified), Ok(Reply::Done));
    assert!(!one.send().is_empty(), "another session is offered");
}

#[test]
fn unpublished_messages_to_a_blocked_contact_fail_and_can_be_retried_after_the_block_alone() {
    let (mut one, _) = established(48);
    let id = one.say("not sent");
    assert_eq!(one.command(ContactCommand::Block), Ok(Reply::Done));
    assert_eq!(one.states[&id], MessageState::Failed);
    assert!(one.conversation.sessions().is_empty());
    assert_eq!(one.command(ContactCommand::Retry(id)), Err(CommandError::Blocked));
    assert_eq!(one.command(ContactCommand::Unblock), Ok(Reply::Done));
    assert!(one.conversation.sessions().is_empty(), "until a person writes");
    assert_eq!(one.command(ContactCommand::Retry(id)), Ok(Reply::Done));
    assert_eq!(one.states[&id], MessageState::Queued);
    assert!(!one.conversation.sessions().is_empty());
}

#[test]
fn a_buffered_message_cannot_be_erased_before_it_is_shown() {
    let (mut one, mut other) = established(50);
    one.say("first");
    one.say("second");
    let sent = one.send();
    other.receive(&sent[1]);
    let buffered = other.messages().next().map(|message| message.id);
    let erase = ContactCommand::EraseMessage(buffered.expect("stored"));
    assert_eq!(other.command(erase), Err(CommandError::TooLate));
    other.receive(&sent[0]);
    assert_eq!(other.shown, ["first", "second"]);
    let erase = ContactCommand::EraseMessage(buffered.expect("stored"));
    assert_eq!(other.command(erase), Ok(Reply::Done));
}

/// What a person does, or what happens meanwhile.
#[derive(Clone, Debug)]
enum Step {
    Rename(u8),
    Block,
    Unblock,
    Say(bool),
    MarkRead(u64),
    SetReadReceipts(bool),
    Erase(prop::sample::Index),
    Cancel(prop::sample::Index),
    Retry(prop::sample::Index),
    CloseSession,
    Verify(bool),
    Rekey,
    AcceptUnverified,
    /// One envelope is encrypted and published, or waits to be.
    Send(bool),
    /// The other side says something, and both exchange what there is.
    Exchange,
    Restart,
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        1 => any::<u8>().prop_map(Step::Rename),
        1 => Just(Step::Block),
        2 => Just(Step::Unblock),
        6 => prop::bool::weighted(0.9).prop_map(Step::Say),
        2 => (0_u64..9).prop_map(Step::MarkRead),
        2 => any::<bool>().prop_map(Step::SetReadReceipts),
        3 => index().prop_map(Step::Erase),
        3 => index().prop_map(Step::Cancel),
        3 => index().prop_map(Step::Retry),
        1 => Just(Step::CloseSession),
        2 => any::<bool>().prop_map(Step::Verify),
        1 => Just(Step::Rekey),
        3 => Just(Step::AcceptUnverified),
        8 => any::<bool>().prop_map(Step::Send),
        3 => Just(Step::Exchange),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_store_follows_every_command_and_a_refused_one_changes_nothing(
        steps in proptest::collection::vec(any_step(), 1..60),
    ) {
        let (mut one, mut other) = established(500);
        let own = one.conversation.handshake.own().public();
        let key = *one.conversation.card().key;
        let mut ids: Vec<MessageId> = vec![MessageId(1)];
        let mut waiting: Vec<OutgoingRecord> = Vec::new();
        for step in steps {
            let pick = |index: prop::sample::Index| ids[index.index(ids.len())];
            let command = match step {
                Step::Rename(name) => {
                    ContactCommand::Rename { petname: format!("name {name}") }
                }
                Step::Block => ContactCommand::Block,
                Step::Unblock => ContactCommand::Unblock,
                Step::Say(fits) => {
                    let text = if fits { "text".to_owned() } else { " ".to_owned() };
                    ContactCommand::Say { text, postage: Lifetime::Day.into() }
                }
                Step::MarkRead(number) => ContactCommand::MarkRead { number },
                Step::SetReadReceipts(on) => ContactCommand::SetReadReceipts { on },
                Step::Erase(index) => ContactCommand::EraseMessage(pick(index)),
                Step::Cancel(index) => ContactCommand::Cancel(pick(index)),
                Step::Retry(index) => ContactCommand::Retry(pick(index)),
                Step::CloseSession => ContactCommand::CloseSession,
                Step::Verify(right) => {
                    let theirs = if right { key } else { own };
                    ContactCommand::Verify(Proof::SafetyNumber(SafetyNumber::of(&own, &theirs)))
                }
                Step::Rekey => ContactCommand::Rekey(key),
                Step::AcceptUnverified => ContactCommand::AcceptUnverified,
                Step::Send(publish) => {
                    // One envelope is on its way at a time.
                    if waiting.is_empty() {
                        waiting.extend(one.begin(ContactJob::SendNext));
                    }
                    if publish {
                        for record in waiting.drain(..) {
                            one.publish(&record);
                            other.receive(&record);
                        }
                    }
                    continue;
                }
                Step::Exchange => {
                    other.say("from the contact");
                    other.wait(Millis(60_000));
                    other.send().iter().for_each(|record| one.receive(record));
                    continue;
                }
                Step::Restart => {
                    one.restart();
                    continue;
                }
            };
            let before = one.image();
            match one.command(command) {
                Ok(Reply::Message(id)) => ids.push(id),
                Ok(_) => {}
                Err(_) => prop_assert!(one.image() == before, "refused, and changed something"),
            }
            // What a restart reads is what the conversation knows.
            let record = one.conversation.record();
            prop_assert!(one.stored.as_ref() == Some(&record));
            for session in one.conversation.sessions().iter() {
                let session = Box::new(session.clone());
                let kept = SessionRecord { contact: one.conversation.id, session };
                prop_assert!(one.store.contains(&Record::Session(kept)));
            }
            let sessions = one.store.iter().filter(|kept| matches!(kept, Record::Session(_)));
            prop_assert_eq!(sessions.count(), one.conversation.sessions().ids().len());
            for id in one.conversation.sent.ids() {
                let held = one.conversation.sent.message(id).expect("held");
                prop_assert!(one.store.contains(&Record::Message(held.clone())));
            }
            for kept in &one.store {
                if let Record::Message(message) = kept {
                    let ours = message.direction.state().is_some();
                    if ours && message.is_open() {
                        prop_assert!(one.conversation.holds(message.id), "it would come back");
                    }
                }
            }
        }
    }
}
