//! Messages that left and that nobody acknowledged: sent again, and given up.

use super::*;
use crate::engine::command::Reply;
use crate::engine::conversation::ContactCommand;
use crate::engine::conversation::tests::settle;
use crate::engine::record::RETRANSMIT_FOR;

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
