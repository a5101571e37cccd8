//! The commands of a person to one conversation, and that the store follows each.

use proptest::prelude::*;

use super::*;
use crate::engine::conversation::tests::{Side, established, pair};
use crate::engine::env::{Millis, UnixSeconds};
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
    assert_eq!(one.states[&id], MessageState::Failed);
    assert_eq!(one.command(ContactCommand::Retry(id)), Ok(Reply::Done));
    assert_eq!(one.states[&id], MessageState::Queued);
}

/// Lets both talk, over a network that loses nothing, until this holds; returns how long that took.
fn exchange(
    (one, other): (&mut Side, &mut Side),
    until: impl Fn(&Side, &Side) -> bool,
) -> Option<Millis> {
    let begun = one.mono;
    for _ in 0..120 {
        if until(one, other) {
            return Some(Millis(one.mono.0 - begun.0));
        }
        one.wait(Millis(500));
        other.wait(Millis(500));
        let (outward, inward) = (one.send(), other.send());
        outward.iter().for_each(|record| other.receive(record));
        inward.iter().for_each(|record| one.receive(record));
    }
    None
}

#[test]
fn what_an_unblocked_contact_says_is_heard_within_seconds_though_nobody_told_it_of_the_block() {
    let mut slow = Vec::new();
    for seed in (401..601).step_by(2) {
        let (mut one, mut other) = established(seed);
        assert_eq!(one.command(ContactCommand::Block), Ok(Reply::Done));
        assert_eq!(one.command(ContactCommand::Unblock), Ok(Reply::Done));
        other.say("after unblocking");
        let took = exchange((&mut one, &mut other), |one, _| !one.shown.is_empty());
        assert_eq!(one.shown, ["after unblocking"], "seed {seed}");
        slow.extend(took.filter(|took| *took > Millis(20_000)).map(|took| (seed, took)));
    }
    // An answer, a confirmation and the message, each after a delay of its own. Twenty-one took as long when
    // each had that of a reply.
    assert!(slow.len() <= 5, "{slow:?}");
}

#[test]
fn what_was_said_while_both_blocked_each_other_is_heard_within_seconds_of_the_last_unblocking() {
    let (mut one, mut other) = established(403);
    for side in [&mut one, &mut other] {
        assert_eq!(side.command(ContactCommand::Block), Ok(Reply::Done));
    }
    assert_eq!(other.command(ContactCommand::Unblock), Ok(Reply::Done));
    other.say("are you there");
    // What leaves for somebody who blocks is lost.
    other.send();
    assert_eq!(one.command(ContactCommand::Unblock), Ok(Reply::Done));
    let took = exchange((&mut one, &mut other), |one, _| !one.shown.is_empty());
    assert!(took.is_some_and(|took| took < Millis(25_000)), "{took:?}");
}

#[test]
fn a_blocked_contact_is_sent_nothing_and_an_unblocked_one_an_offer_as_anybody_gets_it() {
    let (mut one, mut other) = established(405);
    let (mut stranger, _) = pair(407);
    stranger.turn(|conversation, turn| conversation.start_offer(turn));
    let first = stranger.send().remove(0);
    one.say("waits");
    assert_eq!(one.command(ContactCommand::Block), Ok(Reply::Done));
    other.say("unheard");
    other.send().iter().for_each(|record| one.receive(record));
    one.wait(Millis::from_secs(3 * 86_400));
    assert!(one.send().is_empty() && one.shown.is_empty());
    assert_eq!(one.command(ContactCommand::Unblock), Ok(Reply::Done));
    let sent = one.send();
    let like = |record: &OutgoingRecord| (record.purpose, record.body.len(), record.ttl);
    assert_eq!(sent.iter().map(like).collect::<Vec<_>>(), [like(&first)]);
}

#[test]
fn a_process_that_ends_after_an_unblock_offers_the_session_when_it_begins_again() {
    let (mut one, mut other) = established(409);
    assert_eq!(one.command(ContactCommand::Block), Ok(Reply::Done));
    assert_eq!(one.command(ContactCommand::Unblock), Ok(Reply::Done));
    one.restart();
    other.say("after unblocking");
    let took = exchange((&mut one, &mut other), |one, _| !one.shown.is_empty());
    assert!(took.is_some(), "heard");
}

#[test]
fn a_contact_unblocked_while_sending_is_on_hold_is_offered_a_session_when_that_ends() {
    let (mut one, other) = established(411);
    let own = other.conversation.handshake.own().public();
    let wrong = Proof::SafetyNumber(SafetyNumber::of(&own, &own));
    assert!(one.command(ContactCommand::Verify(wrong)).is_ok());
    assert_eq!(one.command(ContactCommand::Block), Ok(Reply::Done));
    assert_eq!(one.command(ContactCommand::Unblock), Ok(Reply::Done));
    assert_eq!(one.stored.as_ref().map(|stored| stored.state), Some(ContactState::Active));
    assert!(one.send().is_empty() && one.conversation.sessions().is_empty());
    assert_eq!(one.command(ContactCommand::AcceptUnverified), Ok(Reply::Done));
    assert!(one.conversation.handshake.pending().is_some());
}

#[test]
fn a_close_is_said_in_every_session_that_the_contact_would_go_on_with() {
    let (mut one, mut other) = established(413);
    // A second one, of which the contact knows, and whose answer is lost.
    one.mono = one.mono.plus(Millis(60_000));
    other.mono = one.mono;
    one.offer();
    let offer = one.turn(|conversation, turn| conversation.handshake.seal_offer(turn));
    assert!(offer.is_some(), "it waits for its answer");
    let again = one.begin(ContactJob::Offer).expect("the same again");
    other.receive(&again);
    assert_eq!(other.conversation.sessions().ids().len(), 2);
    assert_eq!(one.command(ContactCommand::CloseSession), Ok(Reply::Done));
    let sent = one.send();
    let farewells =
        sent.iter().filter(|record| matches!(record.purpose, EnvelopePurpose::Control(_)));
    assert_eq!(farewells.count(), 2);
    sent.iter().for_each(|record| other.receive(record));
    assert!(other.conversation.sessions().is_empty());
    other.say("again");
    let took = exchange((&mut one, &mut other), |one, _| !one.shown.is_empty());
    assert!(took.is_some_and(|took| took < Millis(25_000)), "{took:?}");
}

#[test]
fn no_farewell_is_sent_in_the_session_of_an_offer_that_never_left() {
    let (mut one, _) = established(415);
    one.mono = one.mono.plus(Millis(60_000));
    one.turn(|conversation, turn| conversation.start_offer(turn));
    while one.workspace.outbox.pop().is_some() {}
    assert_eq!(one.command(ContactCommand::CloseSession), Ok(Reply::Done));
    assert_eq!(one.send().len(), 1);
}

#[test]
fn a_contact_restored_with_a_closed_session_is_offered_one_unless_a_person_closes_that() {
    let (mut one, _) = established(417);
    assert_eq!(one.command(ContactCommand::CloseSession), Ok(Reply::Done));
    one.conversation.restored = Some(UnixSeconds(1));
    one.turn(|conversation, turn| conversation.put(turn));
    one.restart();
    assert!(one.conversation.handshake.pending().is_some());
    assert_eq!(one.command(ContactCommand::CloseSession), Ok(Reply::Done));
    one.restart();
    assert!(one.conversation.handshake.pending().is_none());
}

#[test]
fn a_session_that_ends_of_age_while_a_message_waits_is_followed_by_an_offer_at_once() {
    let (mut one, _) = established(419);
    one.mono = one.mono.plus(Millis::from_secs(29 * 86_400));
    one.say("waits");
    one.send();
    one.mono = one.mono.plus(Millis::from_secs(3 * 86_400));
    one.turn(|conversation, turn| conversation.sweep(turn));
    assert!(one.conversation.sessions().get(one.session()).is_some());
    assert!(one.conversation.handshake.pending().is_some());
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
