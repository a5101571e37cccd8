//! The send path alone: jobs become envelopes, and published ones schedule what follows.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::engine::command::Reply;
use crate::engine::conversation::tests::{Side, established, pair, settle};
use crate::engine::conversation::{
    ContactCommand, HeldBackIn, HeldBackTotals, add_held_back, tell_held_back,
};
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Postage;
use crate::engine::event::{HeldBack, SendRoom, SessionStatus, WaitsFor};
use crate::engine::price;
use crate::engine::record::{ContactState, HoldReason, RETRANSMIT_FOR, Trust};
use crate::engine::turn::{Aside, Job, Leave, Timer};

/// The envelope of a job that there is a need for.
fn begun(side: &mut Side, job: ContactJob) -> OutgoingRecord {
    side.begin(job).expect("an envelope")
}

/// A message that was published and reached nobody.
fn lost(side: &mut Side, text: &str) -> MessageId {
    let id = side.say(text);
    let record = begun(side, ContactJob::SendNext);
    side.publish(&record);
    id
}

fn lost_up_to(side: &mut Side, text: &str, highest: price::Step) -> MessageId {
    let id = say_up_to(side, text, highest);
    let record = begun(side, ContactJob::SendNext);
    side.publish(&record);
    id
}

fn is_set(side: &Side, timer: ContactTimer) -> bool {
    side.workspace.timers.is_set(Timer::Contact(timer, side.conversation.id))
}

fn waits(side: &Side, job: ContactJob) -> bool {
    side.workspace.outbox.waits(side.conversation.id, job)
}

/// How many stored envelopes are for this.
fn kept(side: &Side, wanted: EnvelopePurpose) -> usize {
    let is_wanted =
        |kept: &&Record| matches!(kept, Record::Outgoing(kept) if kept.purpose == wanted);
    side.store.iter().filter(is_wanted).count()
}

fn number(side: &Side, id: MessageId) -> Option<u64> {
    side.conversation.sent.message(id).and_then(|message| message.number)
}

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
fn no_job_sends_anything_while_the_contact_is_on_hold() {
    let (mut one, mut other) = established(51);
    let sent = lost(&mut one, "sent");
    one.say("queued");
    other.say("to acknowledge");
    other.send().iter().for_each(|record| one.receive(record));
    let hold = Trust::OnHold { since: UnixSeconds(1), reason: HoldReason::Mismatch, attempts: 1 };
    one.conversation.verification.decide(hold);
    one.turn(|conversation, turn| conversation.start_offer(turn));
    let session = one.session();
    for job in [
        ContactJob::Offer,
        ContactJob::SendNext,
        ContactJob::Retransmit(sent),
        ContactJob::RetransmitNow(sent),
        ContactJob::AnswerOffer(session),
        ContactJob::Acknowledge,
    ] {
        assert!(one.begin(job).is_none(), "{job:?}");
    }
    one.turn(queue_farewells);
    one.conversation.verification.decide(Trust::Unverified);
    assert!(one.begin(ContactJob::Acknowledge).is_some(), "it was owed all the time");
}

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

#[test]
fn a_message_beyond_the_reach_of_an_acknowledgement_is_sent_again_once_its_envelope_expired() {
    let (mut one, _) = established(403);
    let sent: Vec<MessageId> = (0..70).map(|_| lost(&mut one, "away")).collect();
    for (at, id) in sent.iter().enumerate() {
        let job = ContactJob::Retransmit(*id);
        let is_needed = need(&one.conversation, &one.settings, job) != Need::None;
        assert_eq!((is_needed, one.begin(job).is_some()), (at <= 64, at <= 64), "{at}");
    }
    let last = sent[69];
    assert!(one.begin(ContactJob::RetransmitNow(last)).is_some(), "a person may ask");
    one.workspace.timers = Default::default();
    one.mono = one.mono.plus(Millis::from_secs(90_000));
    one.turn(|conversation, turn| on_expiry_due(conversation, turn, last));
    assert_eq!(one.states[&last], MessageState::Unacknowledged);
    assert!(is_set(&one, ContactTimer::Retransmit(last)));
    assert!(one.begin(ContactJob::Retransmit(last)).is_some());
}

#[test]
fn a_message_is_sent_again_under_its_number_in_place_of_its_envelope_before() {
    let (mut one, mut other) = established(63);
    let id = lost(&mut one, "again");
    for job in [ContactJob::Retransmit(id), ContactJob::RetransmitNow(id)] {
        let record = begun(&mut one, job);
        let payload = other.peek(&record).expect("for it");
        assert_eq!(payload.number, Some(0));
        assert!(payload.content == Content::Text("again".to_owned()));
        assert_eq!(kept(&one, record.purpose), 1);
        one.publish(&record);
    }
}

#[test]
fn the_schedule_sends_a_message_no_more_after_its_time_and_a_person_still_can() {
    let (mut one, _) = established(65);
    let id = lost(&mut one, "old");
    one.mono = one.mono.plus(Millis::from_secs(u64::from(RETRANSMIT_FOR.0) + 1));
    while one.workspace.timers.pop(one.mono).is_some() {}
    assert!(one.begin(ContactJob::Retransmit(id)).is_none());
    assert!(is_set(&one, ContactTimer::Retransmit(id)), "the clock may be wrong");
    assert!(one.begin(ContactJob::RetransmitNow(id)).is_some());
}

#[test]
fn a_message_that_is_delivered_cancelled_or_abandoned_is_not_sent_again() {
    let (mut one, mut other) = established(67);
    for side in [&mut one, &mut other] {
        let on = ContactCommand::SetReadReceipts { on: true };
        assert_eq!(side.command(on), Ok(Reply::Done));
    }
    let delivered = one.say("delivered");
    settle(&mut one, &mut other);
    assert!(one.conversation.sent.message(delivered).is_some(), "its receipt may come");
    let cancelled = one.say("cancelled");
    assert_eq!(one.command(ContactCommand::Cancel(cancelled)), Ok(Reply::Done));
    let abandoned = lost(&mut one, "abandoned");
    one.turn(|conversation, turn| conversation.abandon(turn, abandoned));
    for id in [delivered, cancelled, abandoned, MessageId(1)] {
        assert!(one.begin(ContactJob::RetransmitNow(id)).is_none());
        assert!(!is_set(&one, ContactTimer::Retransmit(id)));
    }
}

#[test]
fn a_message_whose_session_is_gone_keeps_its_number_and_has_another_session_offered() {
    let (mut one, _) = established(69);
    let id = lost(&mut one, "stranded");
    let session = one.session();
    one.turn(|conversation, turn| conversation.handshake.end(turn, session));
    assert!(one.begin(ContactJob::RetransmitNow(id)).is_none());
    assert_eq!(number(&one, id), Some(0));
    assert!(is_set(&one, ContactTimer::Retransmit(id)));
    assert!(one.conversation.handshake.pending().is_some());
}

#[test]
fn a_message_sent_for_the_sixth_time_offers_one_other_session() {
    let (mut one, _) = established(71);
    let id = lost(&mut one, "into the void");
    for _ in 1..TRANSMISSIONS_BEFORE_OFFER {
        let record = begun(&mut one, ContactJob::RetransmitNow(id));
        one.publish(&record);
    }
    assert!(one.conversation.handshake.pending().is_none());
    for _ in 0..2 {
        let record = begun(&mut one, ContactJob::RetransmitNow(id));
        one.publish(&record);
        assert_eq!(one.conversation.sessions().ids().len(), 2);
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

#[test]
fn a_published_message_is_logged_and_stored_as_sent_and_control_envelopes_schedule_nothing() {
    let (mut one, mut other) = established(93);
    let id = lost(&mut one, "sent");
    let message = one.conversation.sent.message(id).expect("held");
    assert_eq!((message.delivery.attempts, one.states[&id]), (1, MessageState::Sent));
    assert!(one.store.contains(&Record::Message(message.clone())));
    assert!(is_set(&one, ContactTimer::Retransmit(id)) && is_set(&one, ContactTimer::Expiry(id)));
    one.say("to acknowledge");
    one.send().iter().for_each(|record| other.receive(record));
    let acknowledgement = begun(&mut other, ContactJob::Acknowledge);
    let before = other.workspace.timers.next();
    other.publish(&acknowledgement);
    assert_eq!(other.workspace.timers.next(), before);
}

#[test]
fn a_message_that_may_have_left_counts_as_left_and_is_encrypted_afresh() {
    let (mut one, _) = established(97);
    let sent = lost(&mut one, "sent");
    let maybe = one.say("nobody knows");
    let before = begun(&mut one, ContactJob::SendNext);
    for id in [sent, maybe, MessageId(1)] {
        one.turn(|conversation, turn| count_as_left(conversation, turn, id));
    }
    assert_eq!(one.states[&sent], MessageState::Sent, "it was noted before");
    assert_eq!(one.states[&maybe], MessageState::Unacknowledged);
    let again = begun(&mut one, ContactJob::Retransmit(maybe));
    assert!(again.topic != before.topic && again.body != before.body);
}

#[test]
fn what_waited_for_a_neighbour_and_nobody_asked_for_leaves_at_times_of_its_own() {
    let (mut one, mut other) = established(98);
    let contact = one.conversation.id;
    let ids: Vec<MessageId> = (0..5).map(|n| lost(&mut one, &format!("message {n}"))).collect();
    let [asked, by_itself @ ..] = &*ids else { panic!("five") };
    let mut jobs: Vec<ContactJob> = by_itself.iter().copied().map(ContactJob::Retransmit).collect();
    jobs.push(ContactJob::Acknowledge);
    other.say("to acknowledge");
    other.send().iter().for_each(|record| one.receive(record));
    for job in jobs.iter().copied().chain([ContactJob::RetransmitNow(*asked)]) {
        one.workspace.outbox.push_for(contact, job);
        one.turn(|conversation, turn| spread(conversation, turn, job));
    }
    let waiting = one.workspace.outbox.waiting();
    assert!(jobs.iter().all(|job| !waiting.contains(&(contact, *job))), "{waiting:?}");
    assert!(waiting.contains(&(contact, ContactJob::RetransmitNow(*asked))), "{waiting:?}");
    let due = |timer| one.workspace.timers.due(Timer::Contact(timer, contact)).expect("set");
    let mut times: Vec<Millis> =
        by_itself.iter().map(|id| due(ContactTimer::Retransmit(*id))).collect();
    times.push(due(ContactTimer::Acknowledge));
    assert!(times.iter().all(|at| *at > one.mono), "{times:?}");
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), 5, "none leaves at the time of another: {times:?}");
}

#[test]
fn a_message_is_unacknowledged_when_it_expired_and_abandoned_when_it_was_held_long_enough() {
    let (mut one, _) = established(99);
    let id = lost(&mut one, "nobody answers");
    let later = one.say("later");
    let expire = |side: &mut Side| {
        side.turn(|conversation, turn| on_expiry_due(conversation, turn, id));
    };
    one.mono = one.mono.plus(Millis::from_secs(2 * 86_400));
    expire(&mut one);
    assert_eq!(one.states[&id], MessageState::Unacknowledged);
    expire(&mut one);
    assert_eq!(number(&one, id), Some(0), "held on");
    assert!(is_set(&one, ContactTimer::Expiry(id)));
    one.mono = one.mono.plus(Millis::from_secs(u64::from(RETRANSMIT_FOR.0)));
    let contact = one.conversation.id;
    one.workspace.outbox.push_for(contact, ContactJob::RetransmitNow(id));
    expire(&mut one);
    assert_eq!(number(&one, id), Some(0), "a person asked for it");
    one.workspace.outbox.drop_job(contact, ContactJob::RetransmitNow(id));
    let on_its_way = begun(&mut one, ContactJob::RetransmitNow(id));
    expire(&mut one);
    assert_eq!(number(&one, id), Some(0), "it is on its way");
    one.workspace.outbox.take_kept(contact, on_its_way.id);
    one.workspace.outbox.drop_job(contact, ContactJob::SendNext);
    expire(&mut one);
    assert_eq!((number(&one, id), one.states[&id]), (None, MessageState::Unacknowledged));
    let held = one.conversation.sent.message(id).expect("a person may send it");
    assert!(one.store.contains(&Record::Message(held.clone())));
    assert!(!is_set(&one, ContactTimer::Retransmit(id)));
    assert!(waits(&one, ContactJob::SendNext), "it may have held up the window");
    assert_eq!(number(&one, later), None);
}

/// A step of one side, which sends one envelope at a time.
#[derive(Clone, Debug)]
enum Step {
    Say,
    SendNext,
    Retransmit(prop::sample::Index),
    RetransmitNow(prop::sample::Index),
    Acknowledge,
    Offer,
    /// The envelope on its way is published, and arrives or is lost.
    Publish(bool),
    /// The other side sends what it has to send.
    Hear,
    Cancel(prop::sample::Index),
    Restart,
    Wait,
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => Just(Step::Say),
        6 => Just(Step::SendNext),
        2 => index().prop_map(Step::Retransmit),
        3 => index().prop_map(Step::RetransmitNow),
        1 => Just(Step::Acknowledge),
        1 => Just(Step::Offer),
        8 => any::<bool>().prop_map(Step::Publish),
        2 => Just(Step::Hear),
        2 => index().prop_map(Step::Cancel),
        1 => Just(Step::Restart),
        1 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_asked_one_envelope_of_a_message_is_kept_and_each_number_is_used_for_one(
        steps in proptest::collection::vec(any_step(), 1..80),
    ) {
        let (mut one, mut other) = established(200);
        let mut ids: Vec<MessageId> = Vec::new();
        let mut on_its_way: Option<OutgoingRecord> = None;
        // The message of each number that left.
        let mut left: BTreeMap<u64, MessageId> = BTreeMap::new();
        for step in steps {
            let pick = |index: prop::sample::Index| {
                if ids.is_empty() { MessageId(0) } else { ids[index.index(ids.len())] }
            };
            let job = match step {
                Step::SendNext => Some(ContactJob::SendNext),
                Step::Retransmit(index) => Some(ContactJob::Retransmit(pick(index))),
                Step::RetransmitNow(index) => Some(ContactJob::RetransmitNow(pick(index))),
                Step::Acknowledge => Some(ContactJob::Acknowledge),
                Step::Offer => Some(ContactJob::Offer),
                Step::Say => {
                    ids.push(one.say("text"));
                    None
                }
                Step::Publish(arrives) => {
                    if let Some(record) = on_its_way.take() {
                        let withdrawn = !one.store.contains(&Record::Outgoing(record.clone()));
                        let payload = other.peek(&record);
                        one.publish(&record);
                        let left_for = (withdrawn, record.purpose);
                        if let (false, EnvelopePurpose::Message(_, id)) = left_for {
                            let number = payload.and_then(|payload| payload.number);
                            let number = number.expect("a number in the session of both");
                            prop_assert_eq!(*left.entry(number).or_insert(id), id);
                        }
                        if arrives && !withdrawn {
                            other.receive(&record);
                        }
                    }
                    None
                }
                Step::Hear => {
                    other.wait(Millis(60_000));
                    other.send().iter().for_each(|record| one.receive(record));
                    None
                }
                Step::Cancel(index) => {
                    let cancelled = one.command(ContactCommand::Cancel(pick(index)));
                    if cancelled.is_ok() {
                        prop_assert!(!left.values().any(|id| *id == pick(index)));
                    }
                    None
                }
                Step::Restart => {
                    one.restart();
                    None
                }
                Step::Wait => {
                    one.wait(Millis(300_000));
                    None
                }
            };
            if let (Some(job), None) = (job, &on_its_way) {
                on_its_way = one.begin(job);
            }
            for &id in &ids {
                let purpose = EnvelopePurpose::Message(one.conversation.id, id);
                prop_assert!(kept(&one, purpose) <= 1);
            }
            prop_assert!(kept(&one, EnvelopePurpose::Offer(one.conversation.id)) <= 1);
            // No number but that of the envelope on its way was given and did not leave.
            let next = one.conversation.sent.sequence().next;
            prop_assert!(left.keys().copied().eq(0..left.len() as u64));
            prop_assert!((left.len() as u64..=left.len() as u64 + 1).contains(&next));
            prop_assert_eq!(one.stored.as_ref().map(|stored| stored.sent.next), Some(next));
        }
        let mut each: Vec<MessageId> = left.values().copied().collect();
        each.sort_unstable();
        each.dedup();
        prop_assert_eq!(each.len(), left.len(), "no message has two numbers");
    }
}

/// The highest step that may be paid for a job now; `None` if there is no envelope to send.
fn most(side: &Side, job: ContactJob) -> Option<price::Step> {
    match need(&side.conversation, &side.settings, job) {
        Need::Envelope(budget) => Some(budget.highest),
        Need::None | Need::AfterOffer => None,
    }
}

fn say_up_to(side: &mut Side, text: &str, highest: price::Step) -> MessageId {
    let postage = Postage { lifetime: Lifetime::Day, highest: Some(highest) };
    match side.command(ContactCommand::Say { text: text.to_owned(), postage }) {
        Ok(Reply::Message(id)) => id,
        other => panic!("not accepted: {other:?}"),
    }
}

#[test]
fn what_may_be_paid_for_one_message_may_be_paid_for_all_that_goes_to_its_contact() {
    let (mut one, mut other) = established(171);
    let usual = one.settings.highest_step;
    let first = lost(&mut one, "first");
    other.say("to acknowledge");
    other.send().iter().for_each(|record| one.receive(record));
    let again = ContactJob::Retransmit(first);
    for job in [again, ContactJob::RetransmitNow(first), ContactJob::Acknowledge] {
        assert_eq!(most(&one, job), Some(usual), "{job:?}");
    }
    assert_eq!(most(&one, ContactJob::SendNext), None, "nothing is queued");
    let second = say_up_to(&mut one, "second", price::Step::MAX);
    for job in [again, ContactJob::SendNext, ContactJob::Acknowledge] {
        assert_eq!(most(&one, job), Some(price::Step::MAX), "{job:?}");
    }
    // While it is not acknowledged, too, and no longer.
    let record = begun(&mut one, ContactJob::SendNext);
    one.publish(&record);
    assert_eq!(most(&one, again), Some(price::Step::MAX));
    other.receive(&record);
    other.wait(Millis::from_secs(60));
    other.send().iter().for_each(|record| one.receive(record));
    assert_eq!(one.states[&second], MessageState::Delivered);
    assert_eq!(most(&one, again), Some(usual));
}

#[test]
fn a_message_that_may_cost_less_than_is_usual_pays_more_only_beside_one_that_may() {
    let (mut one, mut other) = established(173);
    let usual = one.settings.highest_step;
    other.say("to acknowledge");
    other.send().iter().for_each(|record| one.receive(record));
    say_up_to(&mut one, "at the floor", price::Step::new(0));
    assert_eq!(most(&one, ContactJob::SendNext), Some(price::Step::new(0)));
    assert_eq!(most(&one, ContactJob::Acknowledge), Some(usual));
    one.say("as usual");
    assert_eq!(most(&one, ContactJob::SendNext), Some(usual));
}

#[test]
fn a_contact_may_have_a_limit_and_what_needs_the_session_of_an_offer_waits_until_it_has_left() {
    let (mut one, _) = pair(175);
    let (usual, dear) = (one.settings.highest_step, price::Step::new(6));
    one.turn(Conversation::start_offer);
    limit(&mut one, Some(dear));
    let id = one.say("hello");
    assert_eq!(most(&one, ContactJob::Offer), Some(dear));
    let next = |side: &Side| need(&side.conversation, &side.settings, ContactJob::SendNext);
    assert_eq!(next(&one), Need::AfterOffer);
    assert!(one.begin(ContactJob::SendNext).is_none());
    assert_eq!(one.states[&id], MessageState::Queued);
    one.restart();
    assert_eq!((most(&one, ContactJob::Offer), next(&one)), (Some(dear), Need::AfterOffer));
    // Set aside as a node does, it goes on when the offer has left.
    let contact = one.conversation.id;
    let job = Job::Contact(contact, ContactJob::SendNext);
    while one.workspace.outbox.pop().is_some() {}
    one.workspace.outbox.set_aside(contact, job, Aside::Offer);
    let offer = begun(&mut one, ContactJob::Offer);
    one.publish(&offer);
    assert_eq!(one.workspace.outbox.pop(), Some(job));
    assert_eq!(most(&one, ContactJob::SendNext), Some(dear));
    assert!(dear > usual);
}

#[test]
fn front_ends_are_told_what_waits_for_a_price_once_and_nothing_that_is_not_needed_any_more() {
    let (mut one, _) = established(177);
    let contact = one.conversation.id;
    let sent = lost(&mut one, "sent");
    one.say("queued");
    let jobs = [ContactJob::SendNext, ContactJob::Retransmit(sent), ContactJob::Acknowledge];
    for job in jobs {
        one.workspace.outbox.set_aside(contact, Job::Contact(contact, job), Aside::Price);
    }
    assert_eq!(one.workspace.outbox.take_repriced().len(), 1);
    one.turn(tell_held_back);
    let view = one.conversation.view();
    // Nothing came that could be acknowledged.
    let told = [HeldBack::Messages, HeldBack::Again(sent)];
    assert!(view.waiting.iter().copied().eq(told), "{:?}", view.waiting);
    let mut all = HeldBackIn::default();
    add_held_back(&one.conversation, &mut all);
    let price = HeldBackTotals { messages: 1, retries: 1, requests: 0, answers: 0 };
    assert_eq!(all, HeldBackIn { price, ..HeldBackIn::default() });
    say_up_to(&mut one, "at any price", price::Step::MAX);
    one.turn(tell_held_back);
    let view = one.conversation.view();
    assert_eq!((view.highest, view.waiting.len()), (None, 0), "all go along");
}

#[test]
fn a_message_takes_along_those_before_it_and_none_that_was_written_after_it() {
    let (mut one, _) = established(179);
    let (usual, least) = (one.settings.highest_step, price::Step::new(0));
    let dear = lost_up_to(&mut one, "at any price", price::Step::MAX);
    let cheap = say_up_to(&mut one, "at the floor", least);
    assert_eq!(most(&one, ContactJob::Retransmit(dear)), Some(price::Step::MAX));
    assert_eq!(most(&one, ContactJob::SendNext), Some(least), "its writer said so");
    // Acknowledgements are for all of it.
    one.say("as usual");
    assert_eq!(most(&one, ContactJob::SendNext), Some(usual));
    let contact = one.conversation.id;
    let next = Job::Contact(contact, ContactJob::SendNext);
    while one.workspace.outbox.pop().is_some() {}
    one.workspace.outbox.set_aside(contact, next, Aside::Price);
    // More than the last one, though not more than the first.
    say_up_to(&mut one, "at twice the usual", usual.above());
    assert_eq!(one.workspace.outbox.aside(contact).count(), 0, "it is looked at again");
    assert_eq!(most(&one, ContactJob::SendNext), Some(usual.above()));
    assert!(one.conversation.sent.message(cheap).is_some());
}

#[test]
fn a_limit_of_a_contact_is_for_all_that_goes_to_it_and_frees_what_waits_at_once() {
    let (mut one, mut other) = established(181);
    let (usual, least) = (one.settings.highest_step, price::Step::new(0));
    let sent = lost(&mut one, "sent");
    one.say("queued");
    other.say("to acknowledge");
    other.send().iter().for_each(|record| one.receive(record));
    let contact = one.conversation.id;
    let jobs = [ContactJob::SendNext, ContactJob::Retransmit(sent), ContactJob::Acknowledge];
    let set_aside = |side: &mut Side| {
        while side.workspace.outbox.pop().is_some() {}
        for job in jobs {
            side.workspace.outbox.set_aside(contact, Job::Contact(contact, job), Aside::Price);
        }
        side.turn(tell_held_back);
        assert_eq!(side.conversation.view().waiting.len(), jobs.len());
    };
    set_aside(&mut one);
    limit(&mut one, Some(least));
    assert_eq!(
        one.workspace.outbox.aside(contact).count(),
        jobs.len(),
        "it is no more than before"
    );
    assert!(jobs.iter().all(|job| most(&one, *job) == Some(least)));
    limit(&mut one, Some(price::Step::MAX));
    one.turn(tell_held_back);
    let view = one.conversation.view();
    assert_eq!((view.highest, view.waiting.len()), (Some(price::Step::MAX), 0));
    assert!(jobs.iter().all(|job| most(&one, *job) == Some(price::Step::MAX)));
    // It stays, over a restart and for what is said later, until another is said.
    one.restart();
    one.say("later");
    assert_eq!(most(&one, ContactJob::SendNext), Some(price::Step::MAX));
    limit(&mut one, None);
    assert_eq!(most(&one, ContactJob::SendNext), Some(usual));
    // A message may have one of its own.
    say_up_to(&mut one, "whatever it costs", price::Step::MAX);
    assert_eq!(most(&one, ContactJob::SendNext), Some(price::Step::MAX));
}

fn limit(side: &mut Side, highest: Option<price::Step>) {
    assert_eq!(side.command(ContactCommand::Limit { highest }), Ok(Reply::Done));
}

/// Notes what a message was published for, and that nothing else waits.
fn left_for(side: &mut Side, id: MessageId, step: u8) {
    side.turn(|conversation, _| note_paid(conversation, id, price::Step::new(step)));
    take_jobs(side);
}

/// Takes all jobs that wait for their turn or are set aside.
fn take_jobs(side: &mut Side) -> Vec<ContactJob> {
    side.workspace.outbox.free(side.conversation.id);
    let jobs = core::iter::from_fn(|| match side.workspace.outbox.pop() {
        Some(Job::Contact(_, job)) => Some(job),
        Some(Job::PublishStored(..) | Job::Junk) | None => None,
    });
    jobs.collect()
}

fn hear_line(side: &mut Side, step: u8) {
    side.turn(|conversation, turn| take_back_stay(conversation, turn, price::Step::new(step)));
}

#[test]
fn what_left_for_less_than_a_line_asks_is_lined_up_once_and_its_count_and_schedule_stay() {
    let (mut one, _) = established(183);
    let contact = one.conversation.id;
    let id = lost(&mut one, "too cheap");
    left_for(&mut one, id, 0);
    let schedule = Timer::Contact(ContactTimer::Retransmit(id), contact);
    let due = one.workspace.timers.due(schedule);
    for _ in 0..3 {
        hear_line(&mut one, 5);
    }
    assert_eq!(one.states[&id], MessageState::Unacknowledged);
    let again = Job::Contact(contact, ContactJob::Retransmit(id));
    assert!(one.workspace.outbox.aside(contact).eq([(again, Aside::Turn)]));
    assert_eq!((one.workspace.timers.due(schedule), due.is_some()), (due, true));
    let delivery = |side: &Side| side.conversation.sent.message(id).expect("held").delivery;
    assert_eq!(delivery(&one).attempts, 1);
    // Front ends are told that it waits its turn, and until when.
    one.turn(tell_held_back);
    let view = one.conversation.view();
    assert!(view.in_line.iter().eq([&HeldBack::Again(id)]) && view.waiting.is_empty());
    assert!(view.next_look.is_some());
    // What is said meanwhile is the next that leaves.
    assert_eq!(one.workspace.outbox.leave(contact), Leave::Alone);
    // It is due by its schedule, too: it leaves once.
    one.wait(Millis::from_secs(3_600));
    let record = begun(&mut one, ContactJob::Retransmit(id));
    one.publish(&record);
    assert_eq!((take_jobs(&mut one), delivery(&one).attempts), (vec![], 2));
    assert_eq!(one.states[&id], MessageState::Sent);
}

#[test]
fn a_message_that_may_cost_more_takes_along_what_left_and_is_not_said_to_stay() {
    let (mut one, _) = established(185);
    let (cheap, dear) = (lost(&mut one, "too cheap"), lost(&mut one, "as dear as can be"));
    let stays = lost(&mut one, "stays");
    for (id, step) in [(cheap, 0), (dear, 8), (stays, 5)] {
        left_for(&mut one, id, step);
    }
    hear_line(&mut one, 5);
    // No more can be paid for it, and it left while lines were full.
    one.turn(|conversation, turn| {
        conversation.advance(turn, dear, MessageState::Unacknowledged);
    });
    let again = ContactJob::Retransmit(cheap);
    assert_eq!(take_jobs(&mut one), [again]);
    for text in ["at any price", "and so this"] {
        say_up_to(&mut one, text, price::Step::MAX);
        assert_eq!(take_jobs(&mut one), [again, ContactJob::SendNext]);
    }
    one.say("as usual");
    assert_eq!(take_jobs(&mut one), [ContactJob::SendNext], "it may cost no more");
    limit(&mut one, Some(price::Step::MAX));
    assert_eq!(take_jobs(&mut one), [again], "and so with all that goes to the contact");
    // In no pool any more: whatever may be paid, it has to come before what is new.
    limit(&mut one, None);
    one.mono = one.mono.plus(Millis::from_secs(3 * 86_400));
    limit(&mut one, Some(price::Step::MAX));
    assert_eq!(take_jobs(&mut one), [], "it is not the price that holds it back");
    limit(&mut one, None);
    say_up_to(&mut one, "come along", price::Step::MAX);
    let all = [again, ContactJob::Retransmit(dear), ContactJob::SendNext];
    assert_eq!(take_jobs(&mut one), all);
    assert_eq!(one.states[&stays], MessageState::Sent);
}

#[test]
fn a_message_that_a_person_sends_again_is_not_sent_a_second_time_because_it_waited() {
    let (mut one, _) = established(187);
    let contact = one.conversation.id;
    let id = lost(&mut one, "again");
    left_for(&mut one, id, 0);
    hear_line(&mut one, 5);
    assert_eq!(one.command(ContactCommand::Retry(id)), Ok(Reply::Done));
    assert!(waits(&one, ContactJob::RetransmitNow(id)) && waits(&one, ContactJob::Retransmit(id)));
    let record = begun(&mut one, ContactJob::RetransmitNow(id));
    one.publish(&record);
    assert_eq!((take_jobs(&mut one), one.workspace.outbox.aside(contact).count()), (vec![], 0));
}

/// When the next sending of a message is due, after a restart.
fn due_after_restart(side: &mut Side, id: MessageId) -> Millis {
    side.restart();
    let timer = Timer::Contact(ContactTimer::Retransmit(id), side.conversation.id);
    let due = side.workspace.timers.due(timer).expect("a next sending");
    Millis(due.0 - side.mono.0)
}

/// Has a message leave again after hours, so that it waits for as many, and for less than is asked.
fn wait_for_hours(side: &mut Side, id: MessageId) {
    side.wait(Millis::from_secs(10 * 3_600));
    let again = begun(side, ContactJob::RetransmitNow(id));
    side.publish(&again);
    left_for(side, id, 0);
    hear_line(side, 5);
    take_jobs(side);
}

#[test]
fn what_a_person_wants_sent_again_is_sent_within_minutes_of_a_restart_and_what_nobody_wants_later()
{
    let (soon, later) = (Millis::from_secs(900), Millis::from_secs(3_600));
    let (mut one, _) = established(191);
    let [first, id] = ["first", "again"].map(|text| lost(&mut one, text));
    for left in [first, id] {
        wait_for_hours(&mut one, left);
    }
    assert!(due_after_restart(&mut one, id) > later, "nobody has asked for it");
    assert_eq!(one.command(ContactCommand::Retry(id)), Ok(Reply::Done));
    assert_eq!(one.conversation.sent.state(id), Some(MessageState::Unacknowledged));
    for _ in 0..3 {
        assert!(due_after_restart(&mut one, id) < soon, "a restart does not forget it");
    }
    let again = begun(&mut one, ContactJob::Retransmit(id));
    one.publish(&again);
    assert!(due_after_restart(&mut one, id) > later, "it has been sent again");

    // A higher limit wants all that left for less and is not said to stay.
    one.turn(|conversation, turn| {
        conversation.advance(turn, id, MessageState::Unacknowledged);
    });
    limit(&mut one, Some(price::Step::MAX));
    assert!(due_after_restart(&mut one, id) < soon, "more may be paid for it");
}

#[test]
fn what_a_person_wants_sent_again_is_sent_after_a_restart_however_old_it_is() {
    let (mut one, _) = established(193);
    let [wanted, unwanted] = ["wanted", "not wanted"].map(|text| lost(&mut one, text));
    one.wait(Millis::from_secs(2 * 86_400));
    assert_eq!(one.command(ContactCommand::Retry(wanted)), Ok(Reply::Done));
    one.mono = one.mono.plus(Millis::from_secs(u64::from(RETRANSMIT_FOR.0)));
    one.restart();
    one.wait(Millis::from_secs(3_600));
    assert_eq!((number(&one, wanted), number(&one, unwanted)), (Some(0), None));
    let again = begun(&mut one, ContactJob::Retransmit(wanted));
    one.publish(&again);
    assert_eq!(one.states[&wanted], MessageState::Sent);
}

#[test]
fn an_acknowledgement_that_left_too_cheap_is_made_again_whenever_its_message_comes_again() {
    let (mut one, mut other) = established(189);
    let id = lost(&mut one, "hello");
    let sent = begun(&mut one, ContactJob::RetransmitNow(id));
    one.publish(&sent);
    other.receive(&sent);
    begun(&mut other, ContactJob::Acknowledge);
    for _ in 0..3 {
        assert!(other.begin(ContactJob::Acknowledge).is_none(), "it was made, and is lost");
        let again = begun(&mut one, ContactJob::Retransmit(id));
        one.publish(&again);
        other.receive(&again);
        assert!(is_set(&other, ContactTimer::Acknowledge));
        begun(&mut other, ContactJob::Acknowledge);
    }
    let again = begun(&mut one, ContactJob::Retransmit(id));
    other.receive(&again);
    let last = begun(&mut other, ContactJob::Acknowledge);
    one.receive(&last);
    assert_eq!(one.states[&id], MessageState::Delivered);
}
