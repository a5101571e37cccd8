//! The receive path alone: made-up payloads, and envelopes in any order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::engine::command::Reply;
use crate::engine::conversation::ContactCommand;
use crate::engine::conversation::tests::{Side, established, pair, settle};
use crate::engine::env::UnixSeconds;
use crate::engine::event::SessionStatus;
use crate::engine::record::OutgoingRecord;
use crate::engine::session::Content;
use crate::engine::turn::Timer;

const FRESH: Provenance = Provenance { lifetime: Lifetime::Day, stale: false };
const STALE: Provenance = Provenance { lifetime: Lifetime::Day, stale: true };

/// The contact's epoch in tests that make up its payloads.
const EPOCH: u64 = 77;

fn text(number: u64, base: u64) -> Payload {
    let content = Content::Text(format!("text {number}"));
    Payload { epoch: EPOCH, number: Some(number), ack: None, base, content }
}

fn nothing(base: u64) -> Payload {
    Payload { epoch: EPOCH, base, ..Payload::nothing() }
}

fn acknowledging(side: &Side, next: u64, sack: u64) -> Payload {
    let epoch = side.conversation.sent.sequence().epoch;
    Payload { ack: Some(Ack { epoch, next, sack }), ..nothing(0) }
}

/// Takes a payload in as one that the preferred session brought.
fn take(side: &mut Side, payload: Payload, from: Provenance) {
    let session = side.session();
    side.turn(|conversation, turn| conversation.on_payload(turn, session, payload, from));
}

fn is_set(side: &Side, timer: ContactTimer) -> bool {
    side.workspace.timers.is_set(Timer::Contact(timer, side.conversation.id))
}

/// Messages that were published and reached nobody.
fn lost<const N: usize>(side: &mut Side) -> [MessageId; N] {
    core::array::from_fn(|_| {
        let id = side.say("lost");
        let record = side.begin(ContactJob::SendNext).expect("an envelope");
        side.publish(&record);
        id
    })
}

/// One side whose session is only offered by the contact.
fn offered() -> (Side, Side) {
    let (mut one, mut other) = pair(301);
    one.turn(|conversation, turn| conversation.start_offer(turn));
    one.send().iter().for_each(|record| other.receive(record));
    assert_eq!(other.conversation.view().session, SessionStatus::AwaitingConfirmation);
    (one, other)
}

#[test]
fn a_text_is_stored_and_shown_when_it_is_next_and_stored_and_held_back_when_it_is_not() {
    let (mut one, _) = established(303);
    take(&mut one, text(1, 0), FRESH);
    assert!(one.shown.is_empty());
    let stored = |side: &Side| {
        let messages = side.messages().map(|message| message.direction);
        messages.collect::<Vec<_>>()
    };
    assert_eq!(stored(&one), [StoredDirection::Buffered { epoch: EPOCH }]);
    take(&mut one, text(0, 0), FRESH);
    assert_eq!(one.shown, ["text 0", "text 1"]);
    assert_eq!(stored(&one), [StoredDirection::Delivered; 2]);
    assert_eq!(one.stored.as_ref().map(|stored| stored.received[0].next), Some(2));
}

#[test]
fn a_text_that_came_before_is_acknowledged_again_and_not_shown_again() {
    let (mut one, _) = established(305);
    take(&mut one, text(0, 0), FRESH);
    assert!(one.begin(ContactJob::Acknowledge).is_some());
    assert!(!one.conversation.received.owes_ack());
    take(&mut one, text(0, 0), FRESH);
    assert!(one.conversation.received.owes_ack());
    assert_eq!(one.shown, ["text 0"]);
}

#[test]
fn a_number_too_far_ahead_is_neither_stored_nor_acknowledged() {
    let (mut one, _) = established(307);
    take(&mut one, text(0, 0), FRESH);
    assert!(one.begin(ContactJob::Acknowledge).is_some());
    let messages =
        |side: &Side| side.store.iter().filter(|kept| matches!(kept, Record::Message(_))).count();
    take(&mut one, text(258, 0), FRESH);
    assert!(!one.conversation.received.owes_ack());
    assert_eq!((messages(&one), one.conversation.received.missing()), (1, 0));
}

#[test]
fn a_later_versions_message_takes_its_number_and_is_acknowledged_and_not_shown() {
    let (mut one, _) = established(309);
    take(&mut one, text(1, 0), FRESH);
    take(&mut one, Payload { content: Content::Unknown, ..text(0, 0) }, FRESH);
    assert_eq!(one.shown, ["text 1"]);
    assert!(one.conversation.received.owes_ack());
    assert_eq!(one.stored.as_ref().map(|stored| stored.received[0].next), Some(2));
}

#[test]
fn a_base_above_the_messages_own_number_makes_no_duplicate_of_it() {
    let (mut one, _) = offered();
    let (mut other, _) = established(311);
    for side in [&mut one, &mut other] {
        take(side, text(3, 9), FRESH);
    }
    assert_eq!(one.shown, ["text 3"]);
    assert_eq!(other.shown, ["text 3"]);
}

#[test]
fn numbers_that_will_not_come_are_given_up_in_a_confirmed_session_alone() {
    let (mut one, _) = established(313);
    take(&mut one, text(0, 0), FRESH);
    take(&mut one, text(3, 0), FRESH);
    take(&mut one, nothing(3), FRESH);
    assert_eq!(one.shown, ["text 0", "text 3"]);
    let missing =
        one.messages().find(|message| message.number == Some(3)).map(|message| message.missing);
    assert_eq!(missing, Some(2));
    assert_eq!(one.stored.as_ref().map(|stored| stored.received[0].next), Some(4));
    let (_, mut other) = offered();
    take(&mut other, text(0, 0), FRESH);
    take(&mut other, text(3, 0), FRESH);
    take(&mut other, nothing(3), FRESH);
    assert_eq!(other.shown, ["text 0"], "the offer may be a thief's");
}

#[test]
fn what_comes_before_the_confirmation_is_marked_until_that_session_is_confirmed() {
    let (mut one, mut other) = pair(315);
    one.say("early");
    one.send().iter().for_each(|record| other.receive(record));
    assert_eq!(other.shown, ["early"]);
    let session = other.session();
    let marked = |side: &Side| {
        side.store
            .iter()
            .any(|kept| matches!(kept, Record::Message(message) if message.early == Some(session)))
    };
    assert!(marked(&other));
    settle(&mut one, &mut other);
    assert_eq!(other.conversation.view().session, SessionStatus::Established);
    assert!(!marked(&other));
    take(&mut other, text(0, 0), FRESH);
    assert!(!marked(&other));
}

#[test]
fn one_message_confirms_a_session_and_a_body_that_is_not_of_it_does_nothing() {
    let (mut one, mut other) = offered();
    let session = other.session();
    let answer = other.begin(ContactJob::AnswerOffer(session)).expect("an answer");
    let opened = |side: &mut Side, record: &OutgoingRecord| {
        let sealed = (record.topic, record.body.as_slice());
        side.turn(|conversation, turn| conversation.receive(turn, session, sealed, FRESH))
    };
    let before = one.image();
    let mut changed = answer.clone();
    changed.body[700] ^= 1;
    assert_eq!(opened(&mut one, &changed), None);
    assert!(one.image() == before);
    assert_eq!(opened(&mut one, &answer), Some(Opened::Confirmation));
    assert_eq!(opened(&mut one, &answer), None, "a key opens one message");
    let again = other.begin(ContactJob::AnswerOffer(session)).expect("an answer");
    assert_eq!(opened(&mut one, &again), Some(Opened::Message));
}

#[test]
fn a_confirmed_session_answers_the_pending_offer_and_reaches_a_restored_contact() {
    let (mut one, mut other) = established(317);
    let (mut early, _) = offered();
    let (_, mut thief) = offered();
    for side in [&mut one, &mut other, &mut early, &mut thief] {
        side.conversation.restored = Some(UnixSeconds(1));
    }
    one.turn(|conversation, turn| conversation.start_offer(turn));
    let offer = one.begin(ContactJob::Offer).expect("an offer");
    one.publish(&offer);
    one.workspace.outbox.push_for(one.conversation.id, ContactJob::Offer);
    take(&mut one, nothing(0), FRESH);
    assert!(one.conversation.handshake.pending().is_none());
    assert!(!is_set(&one, ContactTimer::Offer));
    assert!(!one.workspace.outbox.waits(one.conversation.id, ContactJob::Offer));
    assert!(
        one.store.iter().all(|kept| !matches!(kept, Record::Outgoing(kept) if kept.id == offer.id))
    );
    take(&mut other, nothing(0), FRESH);
    for side in [&one, &other] {
        let stored = side.stored.as_ref().expect("stored");
        assert!(stored.offer.is_none() && stored.restored.is_none());
    }
    for side in [&mut early, &mut thief] {
        take(side, nothing(0), FRESH);
        assert!(side.conversation.restored.is_some(), "nobody proved anything");
    }
    assert!(early.conversation.handshake.pending().is_some());
}

#[test]
fn an_acknowledgement_delivers_what_it_names_even_in_an_unconfirmed_session() {
    let (mut one, _) = established(319);
    let (mut unconfirmed, _) = pair(320);
    unconfirmed.offer();
    for side in [&mut one, &mut unconfirmed] {
        let [first, second, third] = lost(side);
        let acknowledgement = acknowledging(side, 1, 0b1);
        take(side, acknowledgement, FRESH);
        assert_eq!(side.states[&first], MessageState::Delivered);
        assert_eq!(side.states[&second], MessageState::Sent);
        assert_eq!(side.states[&third], MessageState::Delivered);
        assert!(!is_set(side, ContactTimer::Retransmit(first)));
        assert!(!side.conversation.holds(first), "no receipt may come");
    }
}

#[test]
fn an_acknowledged_message_that_nobody_saw_leave_counts_as_sent() {
    let (mut one, _) = established(321);
    let id = one.say("sent before the process ended");
    one.begin(ContactJob::SendNext).expect("an envelope");
    let acknowledgement = acknowledging(&one, 1, 0);
    take(&mut one, acknowledgement, FRESH);
    assert_eq!(one.states[&id], MessageState::Delivered);
    let attempts =
        one.messages().find(|message| message.id == id).map(|message| message.delivery.attempts);
    assert_eq!(attempts, Some(1));
}

#[test]
fn a_message_overtaken_for_long_is_sent_again_soon_and_one_in_flight_is_not() {
    let (mut one, _) = established(323);
    let [first, _] = lost(&mut one);
    let retransmit_at = |side: &mut Side, wait: u64| {
        side.mono = side.mono.plus(Millis(wait));
        let acknowledgement = acknowledging(side, 0, 0b1);
        take(side, acknowledgement, FRESH);
    };
    let quarter = one.settings.retransmit_after.0 / 4;
    one.settings.reply_delay = Millis(0);
    retransmit_at(&mut one, quarter + 1);
    let due = one.mono;
    one.wait(Millis(0));
    assert!(one.workspace.outbox.waits(one.conversation.id, ContactJob::Retransmit(first)));
    assert_eq!(one.mono, due);
    let (mut one, _) = established(323);
    let [first, _] = lost(&mut one);
    one.settings.reply_delay = Millis(0);
    retransmit_at(&mut one, quarter - 1);
    one.wait(Millis(0));
    assert!(!one.workspace.outbox.waits(one.conversation.id, ContactJob::Retransmit(first)));
}

#[test]
fn what_left_before_a_restart_is_sent_again_soon_once_something_that_left_since_has_come() {
    let (mut one, _) = established(329);
    let [before] = lost(&mut one);
    // Its envelope left under a clock that was days behind, and has expired.
    one.mono = one.mono.plus(Millis::from_secs(3 * 86_400));
    one.restart();
    let [_, other] = lost(&mut one);
    one.settings.reply_delay = Millis(0);
    let waits = |side: &Side| {
        side.workspace.outbox.waits(side.conversation.id, ContactJob::Retransmit(before))
    };
    let nothing_new = acknowledging(&one, 0, 0);
    take(&mut one, nothing_new, FRESH);
    one.wait(Millis(0));
    assert!(!waits(&one), "nobody said that it is missing");
    let acknowledgement = acknowledging(&one, 0, 0b10);
    take(&mut one, acknowledgement, FRESH);
    assert_eq!(one.states[&other], MessageState::Delivered);
    one.wait(Millis(0));
    assert!(waits(&one));
}

#[test]
fn a_gap_that_is_reported_again_has_what_is_missing_sent_again() {
    let (mut one, _) = established(331);
    let [first, _] = lost(&mut one);
    one.settings.reply_delay = Millis(0);
    let report = acknowledging(&one, 0, 0b1);
    take(&mut one, report.clone(), FRESH);
    one.workspace.timers = Default::default();
    one.mono = one.mono.plus(one.settings.retransmit_after).plus(Millis(1));
    take(&mut one, report, FRESH);
    one.wait(Millis(0));
    assert!(one.workspace.outbox.waits(one.conversation.id, ContactJob::Retransmit(first)));
}

#[test]
fn a_contact_that_waits_for_an_abandoned_number_is_announced_the_base_again() {
    let (mut one, _) = established(325);
    let [first, _] = lost(&mut one);
    one.turn(|conversation, turn| conversation.abandon(turn, first));
    assert!(one.begin(ContactJob::Acknowledge).is_some());
    assert!(!one.conversation.sent.has_base_to_announce());
    let acknowledgement = acknowledging(&one, 0, 0b1);
    take(&mut one, acknowledgement, FRESH);
    assert!(one.conversation.sent.has_base_to_announce());
    assert!(is_set(&one, ContactTimer::Acknowledge));
}

#[test]
fn what_comes_within_reach_of_an_acknowledgement_is_sent_again_when_its_wait_is_over() {
    let (mut one, _) = established(327);
    let ids: [MessageId; 80] = lost(&mut one);
    one.settings.reply_delay = Millis(0);
    one.workspace.timers = Default::default();
    one.mono = one.mono.plus(Millis(200_000));
    let acknowledgement = acknowledging(&one, 5, 0);
    take(&mut one, acknowledgement, FRESH);
    let is_due = |id: &MessageId| is_set(&one, ContactTimer::Retransmit(*id));
    let due: Vec<usize> = (0..80).filter(|at| is_due(&ids[*at])).collect();
    assert!(due.contains(&65) && due.contains(&69) && !due.contains(&70), "{due:?}");
    one.wait(Millis(0));
    assert!(one.workspace.outbox.waits(one.conversation.id, ContactJob::Retransmit(ids[69])));
}

#[test]
fn a_stale_envelope_is_believed_about_the_numbers_that_the_process_began_with_alone() {
    let (mut one, _) = established(327);
    assert!(one.command(ContactCommand::SetReadReceipts { on: true }).is_ok());
    let [before] = lost(&mut one);
    one.restart();
    let [since] = lost(&mut one);
    let acknowledgement = acknowledging(&one, 2, 0);
    take(&mut one, acknowledgement.clone(), STALE);
    assert_eq!(one.states[&before], MessageState::Delivered);
    assert_eq!(one.states[&since], MessageState::Sent);
    let epoch = one.conversation.sent.sequence().epoch;
    let read = Payload { content: Content::Read { epoch, below: 2 }, ..nothing(0) };
    take(&mut one, read.clone(), STALE);
    assert_eq!(one.states[&before], MessageState::Read);
    assert_eq!(one.states[&since], MessageState::Sent);
    take(&mut one, acknowledgement, FRESH);
    assert_eq!(one.states[&since], MessageState::Delivered);
    take(&mut one, read, FRESH);
    assert_eq!(one.states[&since], MessageState::Read);
}

#[test]
fn a_read_receipt_counts_if_receipts_are_on_in_a_confirmed_session_of_this_epoch() {
    let read = |side: &Side, below| {
        let epoch = side.conversation.sent.sequence().epoch;
        Payload { content: Content::Read { epoch, below }, ..nothing(0) }
    };
    let (mut one, _) = established(329);
    let [id, later] = lost(&mut one);
    let off = read(&one, 1);
    take(&mut one, off, FRESH);
    assert_eq!(one.states[&id], MessageState::Sent);
    assert_eq!(one.command(ContactCommand::SetReadReceipts { on: true }), Ok(Reply::Done));
    let beyond = read(&one, 3);
    take(&mut one, beyond, FRESH);
    assert_eq!(one.states[&id], MessageState::Sent, "of numbers that were never given");
    let elsewhere = Payload { content: Content::Read { epoch: EPOCH, below: 1 }, ..nothing(0) };
    take(&mut one, elsewhere, FRESH);
    assert_eq!(one.states[&id], MessageState::Sent, "of another epoch");
    let on = read(&one, 1);
    take(&mut one, on, FRESH);
    assert_eq!(one.states[&id], MessageState::Read);
    assert_eq!(one.states[&later], MessageState::Sent);
    assert!(!one.conversation.holds(id));
    let (mut unconfirmed, _) = pair(330);
    unconfirmed.offer();
    unconfirmed.conversation.receipts.set_enabled(true);
    let [id] = lost(&mut unconfirmed);
    let early = read(&unconfirmed, 1);
    take(&mut unconfirmed, early, FRESH);
    assert_eq!(unconfirmed.states[&id], MessageState::Sent);
}

#[test]
fn an_answer_is_acknowledged_and_an_empty_payload_is_not() {
    let (mut one, _) = established(331);
    take(&mut one, nothing(0), FRESH);
    assert!(!one.conversation.received.owes_ack());
    take(&mut one, Payload { content: Content::Answer, ..nothing(0) }, FRESH);
    assert!(one.conversation.received.owes_ack() && is_set(&one, ContactTimer::Acknowledge));
}

#[test]
fn an_acknowledgement_goes_at_once_after_half_of_what_one_can_name() {
    let (mut one, _) = established(333);
    one.settings.reply_delay = Millis::from_secs(3_600);
    while one.workspace.outbox.pop().is_some() {}
    for number in 0..31 {
        take(&mut one, text(number, 0), FRESH);
    }
    one.workspace.timers.set(
        Timer::Contact(ContactTimer::Acknowledge, one.conversation.id),
        one.mono.plus(Millis(1)),
    );
    one.wait(Millis(0));
    assert!(!one.workspace.outbox.waits(one.conversation.id, ContactJob::Acknowledge));
    take(&mut one, text(31, 0), FRESH);
    one.wait(Millis(0));
    assert!(one.workspace.outbox.waits(one.conversation.id, ContactJob::Acknowledge));
}

#[test]
fn a_close_of_the_last_session_withdraws_the_offer_and_one_of_an_earlier_session_does_not() {
    let close = || Payload { content: Content::Close, ..nothing(0) };
    let (mut one, _) = established(335);
    let first = one.session();
    one.mono = one.mono.plus(Millis(60_000));
    one.turn(|conversation, turn| conversation.start_offer(turn));
    let on_close = |side: &mut Side| {
        side.turn(|conversation, turn| conversation.on_close(turn, first));
    };
    on_close(&mut one);
    assert!(one.conversation.sessions().get(first).is_none());
    assert_eq!(one.conversation.state, ContactState::Active);
    assert!(one.conversation.handshake.pending().is_some());
    assert_eq!(one.conversation.sessions().ids().len(), 1, "its own session may be answered");
    let (mut one, _) = established(337);
    take(&mut one, close(), FRESH);
    assert!(one.conversation.sessions().is_empty());
    let stored = one.stored.as_ref().expect("stored");
    assert_eq!(stored.state, ContactState::Inactive);
    assert!(one.store.iter().all(|kept| !matches!(kept, Record::Session(_))));
}

#[test]
fn what_was_sent_in_another_session_goes_in_the_confirmed_one_soon_unless_that_is_gone() {
    let (mut one, _) = established(339);
    let [id] = lost(&mut one);
    let session = one.session();
    one.settings.reply_delay = Millis(0);
    let other = SessionId([9; 32]);
    let soon = |side: &mut Side, session| {
        side.turn(|conversation, turn| conversation.on_established(turn, session));
        side.wait(Millis(0));
        side.workspace.outbox.waits(side.conversation.id, ContactJob::Retransmit(id))
    };
    assert!(!soon(&mut one, session), "it was sent in this one");
    assert!(!soon(&mut one, other), "gone");
    one.conversation.sent.encrypted_again(id, other, Millis(0));
    assert!(soon(&mut one, session));
}

#[test]
fn an_acknowledgement_of_numbers_never_given_begins_an_epoch_without_receipts_and_sends_again() {
    let (mut one, _) = established(341);
    assert_eq!(one.command(ContactCommand::SetReadReceipts { on: true }), Ok(Reply::Done));
    let [delivered] = lost(&mut one);
    let acknowledgement = acknowledging(&one, 1, 0);
    take(&mut one, acknowledgement, FRESH);
    assert!(one.conversation.holds(delivered), "its receipt may come");
    let [again, more] = lost(&mut one);
    let before = one.conversation.sent.sequence().epoch;
    let ahead = acknowledging(&one, 9, 0);
    take(&mut one, ahead, FRESH);
    let stored = one.stored.as_ref().expect("stored").sent.clone();
    assert_ne!(stored.epoch, before);
    assert_eq!(stored.next, 2);
    assert!(!one.conversation.holds(delivered));
    for (id, number) in [(again, 0), (more, 1)] {
        let message = one.conversation.sent.message(id).expect("held");
        assert_eq!((message.number, one.states[&id]), (Some(number), MessageState::Sent));
        assert!(one.store.contains(&Record::Message(message.clone())));
        assert!(is_set(&one, ContactTimer::Retransmit(id)));
    }
}

/// The fate of one envelope.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Changed(prop::sample::Index),
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Arrives),
        1 => any::<prop::sample::Index>().prop_map(Fate::Changed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn texts_are_shown_once_and_in_order_however_they_come_and_what_is_refused_changes_nothing(
        texts in 1_usize..12,
        arrivals in
            proptest::collection::vec((any::<prop::sample::Index>(), any_fate()), 0..60),
        restarts in proptest::collection::btree_set(0_usize..60, 0..3),
    ) {
        let (mut one, mut other) = established(400);
        // Each text in two envelopes, as a sender without an answer makes them.
        let mut sent: Vec<(usize, OutgoingRecord)> = Vec::new();
        for number in 0..texts {
            let id = one.say(&format!("text {number}"));
            for job in [ContactJob::SendNext, ContactJob::RetransmitNow(id)] {
                let record = one.begin(job).expect("an envelope");
                one.publish(&record);
                sent.push((number, record));
            }
        }
        let mut opened: BTreeSet<usize> = BTreeSet::new();
        let mut came: BTreeSet<usize> = BTreeSet::new();
        for (step, (index, fate)) in arrivals.into_iter().enumerate() {
            if restarts.contains(&step) {
                other.restart();
            }
            let index = index.index(sent.len());
            let (number, record) = &sent[index];
            let mut record = record.clone();
            let refused = match fate {
                Fate::Arrives => !opened.insert(index),
                Fate::Changed(place) => {
                    let place = place.index(record.body.len());
                    record.body[place] ^= 1;
                    true
                }
            };
            let before = other.image();
            other.receive(&record);
            if refused {
                prop_assert!(other.image() == before, "refused, and changed something");
            } else {
                came.insert(*number);
            }
            let expected: Vec<String> = (0..texts)
                .take_while(|number| came.contains(number))
                .map(|number| format!("text {number}"))
                .collect();
            prop_assert_eq!(&other.shown, &expected);
            let next = other.stored.as_ref().and_then(|stored| stored.received.last());
            let next = next.map_or(0, |sequence| sequence.next);
            prop_assert!(came.is_empty() || next == expected.len() as u64);
        }
    }
}
