//! Tests of lifetimes, states and delivery, and of the words for them.

use super::*;
use crate::engine::event::HeldBack;
use crate::engine::price::Step;
use crate::engine::sync::ClockSkew;
use crate::shell::api::calls::ContactSet;
use crate::shell::api::words::WorkLimit;
use crate::shell::api::{NetworkStatus, PriceStatus};

fn said(model: &mut Model) -> MessageSend {
    write(model, "hello");
    let effects = press(model, KeyCode::Enter);
    let said = effects.into_iter().find_map(|effect| {
        let UiEffect::Call(_, AnyCall::MessageSend(send)) = effect else { return None };
        Some(send)
    });
    said.expect("something was said")
}

fn said_life(model: &mut Model) -> Lifetime {
    said(model).life
}

fn obey(model: &mut Model, line: &str) -> String {
    write(model, line);
    press(model, KeyCode::Enter);
    hint(model).to_owned()
}

fn becomes(model: &mut Model, id: u64, to: MessageState, delivery: DeliveryLog) {
    model.on_event(state(id, to, delivery));
}

fn network(clock: Option<ClockSkew>) -> Event {
    Event::Network(NetworkStatus {
        floor_bits: 21,
        rate: 1_000_000,
        clock_minutes: clock.map(|clock| clock.minutes),
        clock_witnesses: clock.map_or(0, |clock| clock.witnesses),
        ..status::tests::network()
    })
}

#[test]
fn a_life_is_kept_for_its_chat_until_another_is_chosen() {
    let mut model = chatting();
    assert_eq!(said_life(&mut model), Lifetime::Day);
    write(&mut model, "/life week");
    press(&mut model, KeyCode::Enter);
    assert_eq!(said_life(&mut model), Lifetime::Week);
    assert_eq!(said_life(&mut model), Lifetime::Week);
    write(&mut model, "/go echo");
    press(&mut model, KeyCode::Enter);
    assert_eq!(said_life(&mut model), Lifetime::Day);
    control(&mut model, 'r');
    control(&mut model, 'r');
    assert_eq!(said_life(&mut model), Lifetime::SixHours);
    write(&mut model, "/life 9d");
    press(&mut model, KeyCode::Enter);
    assert_eq!(said_life(&mut model), Lifetime::SixHours);
}

#[test]
fn choosing_a_life_says_what_it_costs() {
    let mut model = chatting();
    model.on_event(network(None));
    write(&mut model, "/life week");
    press(&mut model, KeyCode::Enter);
    assert_eq!(
        hint(&model),
        "messages to mira: lifetime 7 days; each costs about 8 s of work (8.3 million tries)"
    );
}

#[test]
fn a_limit_of_work_is_that_of_the_contact_until_another_is_chosen() {
    let mut model = chatting();
    // What the node was asked to do about it.
    let limited = |model: &mut Model, line: &str| {
        write(model, line);
        let effects = press(model, KeyCode::Enter);
        effects.into_iter().find_map(|effect| {
            let UiEffect::Call(_, AnyCall::ContactSet(set)) = effect else { return None };
            assert!(set.contact == MIRA.into() && set.read_marks.is_none());
            set.max_work
        })
    };
    assert_eq!(limited(&mut model, "/work"), None, "it was only asked");
    assert_eq!(hint(&model), "here: at most 8 times the usual work");
    let most = Some(WorkLimit::UpTo(Step::MAX));
    assert_eq!(limited(&mut model, "/work 256"), most);
    assert_eq!(hint(&model), "here: at most 256 times the usual work");
    limits(&mut model, Some(Step::MAX), &[]);
    assert_eq!(obey(&mut model, "/work"), "here: at most 256 times the usual work");
    assert_eq!(said(&mut model).max_work, None, "that of the contact counts");
    for none in ["3", "0", "many", "512"] {
        let refused = obey(&mut model, &format!("/work {none}"));
        assert!(refused.contains("1, 2, 4, 8, 16, 32, 64, 128, 256, usual"), "{refused}");
    }
    assert_eq!(limited(&mut model, "/work usual"), Some(WorkLimit::Usual));
    assert_eq!(hint(&model), "here: at most 8 times the usual work");
    write(&mut model, "/go echo");
    press(&mut model, KeyCode::Enter);
    assert_eq!(obey(&mut model, "/work"), "here: at most 8 times the usual work");
}

#[test]
fn choosing_a_limit_of_work_says_what_is_asked_and_whether_messages_wait() {
    let mut model = chatting();
    let price = PriceStatus { day: 4, ..PriceStatus::default() };
    let figures = NetworkStatus { floor_bits: 21, price, ..status::tests::network() };
    model.on_event(Event::Network(figures));
    assert_eq!(
        obey(&mut model, "/work"),
        "here: at most 8 times the usual work; messages wait: a day costs 16 times"
    );
    assert_eq!(
        obey(&mut model, "/work 16"),
        "here: at most 16 times the usual work; a day costs 16 times"
    );
    assert_eq!(
        obey(&mut model, "/work 1"),
        "here: at most the usual work; messages wait: a day costs 16 times"
    );
}

#[test]
fn a_limit_that_is_high_enough_says_that_what_waits_is_sent_and_no_other_does() {
    let mut model = chatting();
    limits(&mut model, None, &[HeldBack::Answers]);
    let price = PriceStatus { day: 4, ..PriceStatus::default() };
    let figures = NetworkStatus { floor_bits: 21, price, ..status::tests::network() };
    model.on_event(Event::Network(figures));
    assert_eq!(
        obey(&mut model, "/work 16"),
        "here: at most 16 times the usual work; what waits is sent"
    );
    assert!(obey(&mut model, "/work 8").contains("messages wait"), "{}", hint(&model));
    assert!(obey(&mut model, "/work").contains("messages wait"), "{}", hint(&model));
}

/// The node tells of another limit of the contact, and of what waits.
fn limits(model: &mut Model, highest: Option<Step>, waiting: &[HeldBack]) {
    let mut contact = model.directory.chat(MIRA).expect("a chat").contact.clone();
    contact.view.highest = highest;
    contact.view.waiting = std::sync::Arc::new(waiting.iter().copied().collect());
    model.on_event(Event::Contact(contact));
}

#[test]
fn what_is_said_of_a_limit_of_work_fits_one_row() {
    let mut model = chatting();
    let price = PriceStatus { six_hours: 8, ..PriceStatus::default() };
    let figures = NetworkStatus { floor_bits: 21, price, ..status::tests::network() };
    model.on_event(Event::Network(figures));
    obey(&mut model, "/life 6h");
    let longest = obey(&mut model, "/work 128");
    assert!(longest.contains("wait: 6 hours cost 256 times") && longest.len() <= 78, "{longest}");
}

#[test]
fn a_delivered_message_becomes_read_and_nothing_after_that() {
    let mut model = chatting();
    let ours = message(1, MIRA, Direction::Outgoing(MessageState::Sent));
    model.on_event(heard(ours));
    let read = DeliveryLog { attempts: 2, read: Some(UnixSeconds(7)), ..DeliveryLog::default() };
    becomes(&mut model, 1, MessageState::Delivered, DeliveryLog::default());
    becomes(&mut model, 1, MessageState::Read, read);
    for worse in [MessageState::Delivered, MessageState::Unacknowledged, MessageState::Sent] {
        becomes(&mut model, 1, worse, DeliveryLog::default());
    }
    let message = &model.current().expect("mira's chat").chat.messages[0];
    assert_eq!(
        (message.direction, message.delivery),
        (Direction::Outgoing(MessageState::Read), read)
    );
}

#[test]
fn the_last_message_without_an_answer_is_sent_again_by_its_command() {
    let mut model = chatting();
    let ours = message(1, MIRA, Direction::Outgoing(MessageState::Unacknowledged));
    model.on_event(heard(ours));
    write(&mut model, "/retry");
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(calls(&effects), [call(MessageRetry { message: MessageId(1).into() })]);
}

#[test]
fn the_time_of_a_search_changes_the_picture_in_steps_and_only_while_it_lasts() {
    let mut model = chatting();
    let now = model.status.now.0;
    let ours = message(1, MIRA, Direction::Outgoing(MessageState::Queued));
    model.on_event(heard(ours));
    assert_eq!(model.tick(UnixSeconds(now + 5)), ClockChange::Invisible);
    becomes(&mut model, 1, MessageState::Mining, DeliveryLog::default());
    assert_eq!(model.tick(UnixSeconds(now + 9)), ClockChange::Invisible);
    assert_eq!(model.tick(UnixSeconds(now + 10)), ClockChange::Visible);
    becomes(&mut model, 1, MessageState::Sent, DeliveryLog::default());
    assert_eq!(model.tick(UnixSeconds(now + 15)), ClockChange::Invisible);
}

#[test]
fn read_marks_are_turned_on_after_a_question_and_off_at_once() {
    let mut model = chatting();
    write(&mut model, "/readmarks on");
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    let set = |on| call(ContactSet { contact: MIRA.into(), read_marks: Some(on), max_work: None });
    model.on_question_seen();
    assert_eq!(calls(&press(&mut model, KeyCode::Char('y'))), [set(true)]);
    let view = contact_view(MIRA, "mira", SessionStatus::Established);
    model.on_event(told(ContactView { read_receipts: true, ..view }));
    press(&mut model, KeyCode::F(3));
    press(&mut model, KeyCode::Down);
    assert_eq!(calls(&press(&mut model, KeyCode::Char('m'))), [set(false)]);
}

#[test]
fn a_clock_that_others_doubt_is_said_once_when_that_begins_and_when_it_gets_worse() {
    let mut model = chatting();
    let mut said = |minutes| {
        model.status.hint = None;
        model.on_event(network(Some(ClockSkew { minutes, witnesses: 4 })));
        model.status.hint.is_some()
    };
    let heard: Vec<bool> = [0, 2, 3, 3, -6, -7, 0, 5].into_iter().map(&mut said).collect();
    assert_eq!(heard, [false, false, true, false, true, false, false, true]);
}
