//! What may be paid for an envelope, and what becomes of those that left for too little.

use super::{begun, is_set, lost, number, waits};
use crate::engine::command::Reply;
use crate::engine::conversation::send::{Need, need, note_paid, take_back_stay};
use crate::engine::conversation::tests::{Side, established, pair};
use crate::engine::conversation::{
    ContactCommand, Conversation, HeldBackIn, HeldBackTotals, add_held_back, tell_held_back,
};
use crate::engine::env::Millis;
use crate::engine::envelope::{Lifetime, Postage};
use crate::engine::event::HeldBack;
use crate::engine::id::MessageId;
use crate::engine::price;
use crate::engine::record::{MessageState, RETRANSMIT_FOR};
use crate::engine::turn::{Aside, ContactJob, ContactTimer, Job, Leave, Timer};

fn lost_up_to(side: &mut Side, text: &str, highest: price::Step) -> MessageId {
    let id = say_up_to(side, text, highest);
    let record = begun(side, ContactJob::SendNext);
    side.publish(&record);
    id
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
