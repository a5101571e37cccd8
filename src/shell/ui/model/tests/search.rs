//! Searching, and going to where something was found.

use super::*;
use crate::shell::api::calls::{Page, Search as SearchCall};
use crate::shell::ui::model::search::SeekStep;

fn found(messages: Vec<MessageView>) -> AnyReply {
    let items =
        messages.into_iter().map(|view| Message { view, with: "mira".to_owned(), waits_for: None });
    AnyReply::Search(Page { items: items.collect(), more: false })
}

fn search(contact: Option<ContactId>, words: &str) -> String {
    let contact = contact.map(Into::into);
    call(SearchCall { text: words.to_owned(), contact, before: None, limit: 100 })
}

fn results(model: &Model) -> Vec<u64> {
    let Some(Overlay::Search(search)) = &model.navigation.overlay else { return Vec::new() };
    search.found.iter().flatten().map(|message| message.id.0).collect()
}

fn searching(words: &str) -> (Model, Vec<UiEffect>) {
    let mut model = chatting();
    write(&mut model, &format!("/search {words}"));
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(calls(&effects), [search(None, words)]);
    (model, effects)
}

#[test]
fn a_search_from_a_chat_stays_in_it() {
    let mut model = chatting();
    control(&mut model, 'f');
    write(&mut model, "ferry");
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(calls(&effects), [search(Some(MIRA), "ferry")]);
}

#[test]
fn an_answer_to_an_older_search_is_passed_over() {
    let (mut model, earlier) = searching("ferry");
    control(&mut model, 'f');
    write(&mut model, " train");
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(calls(&effects), [search(None, "ferry train")]);
    answer(&mut model, &earlier, found(vec![message(1, MIRA, Direction::Incoming)]));
    assert_eq!(results(&model), Vec::<u64>::new());
    answer(&mut model, &effects, found(vec![message(2, MIRA, Direction::Incoming)]));
    assert_eq!(results(&model), [2]);
}

#[test]
fn a_search_that_is_refused_is_not_waited_for() {
    let (mut model, effects) = searching("ferry");
    let silent = refused(FailureCode::NodeSilent, "it stands still");
    model.on_answer(newest(&effects), Err(silent));
    assert!(model.navigation.overlay.is_none());
    assert_eq!(hint(&model), "it stands still; nothing was searched");
}

#[test]
fn an_erased_message_is_no_result_any_more() {
    let (mut model, effects) = searching("ferry");
    let theirs = |id| message(id, MIRA, Direction::Incoming);
    answer(&mut model, &effects, found(vec![theirs(2), theirs(1)]));
    model.on_event(erased(2, MIRA));
    assert_eq!(results(&model), [1]);
}

#[test]
fn a_marked_result_stays_marked_and_its_neighbour_is_gone_to_once_it_was_seen() {
    let (mut model, effects) = searching("ferry");
    let theirs = |id, contact| message(id, contact, Direction::Incoming);
    let messages = vec![theirs(3, MIRA), theirs(2, ECHO), theirs(1, MIRA)];
    answer(&mut model, &effects, found(messages));
    press(&mut model, KeyCode::Down);
    model.on_event(erased(3, MIRA));
    let marked = |model: &Model| match &model.navigation.overlay {
        Some(Overlay::Search(search)) => Some(results(model)[search.index]),
        _ => None,
    };
    assert_eq!(marked(&model), Some(2));
    model.on_event(erased(2, ECHO));
    assert_eq!(marked(&model), Some(1));
    press(&mut model, KeyCode::Enter);
    assert_eq!(marked(&model), Some(1), "the key was for the one that is gone");
    model.on_question_seen();
    press(&mut model, KeyCode::Enter);
    assert_eq!((marked(&model), model.navigation.open), (None, Some(MIRA)));
}

#[test]
fn a_search_that_is_refused_late_gives_no_key_to_what_is_behind_it() {
    let (mut model, effects) = searching("ferry");
    press(&mut model, KeyCode::Down);
    let silent = refused(FailureCode::NodeSilent, "it stands still");
    model.on_answer(newest(&effects), Err(silent));
    write(&mut model, "nn");
    press(&mut model, KeyCode::Esc);
    assert_eq!(model.field().expect("a composer").text(), "");
}

#[test]
fn who_pastes_is_not_taken_to_what_was_found() {
    let (mut model, effects) = searching("ferry");
    answer(&mut model, &effects, found(vec![message(2, ECHO, Direction::Incoming)]));
    let effects = press(&mut model, KeyCode::Enter);
    model.paste("a draft");
    let messages = vec![message(2, ECHO, Direction::Incoming)];
    answer(&mut model, &effects, part(messages, Older::None));
    assert_eq!(model.current().expect("echo's chat").chosen, None, "letters would be commands");
}

#[test]
fn what_was_written_to_another_identity_is_not_found() {
    let (mut model, effects) = searching("ferry");
    model.on_event(identity(IdentityId(2), "heron"));
    let zoe = contact_view(ContactId(20), "zoe", SessionStatus::Established);
    model.on_event(told(ContactView { identity: IdentityId(2), ..zoe }));
    let theirs = |id, contact| message(id, contact, Direction::Incoming);
    let messages = vec![theirs(1, ContactId(20)), theirs(2, ECHO), theirs(3, ContactId(99))];
    answer(&mut model, &effects, found(messages));
    assert_eq!(results(&model), [2]);
    model.on_event(Event::ContactRemoved { id: ECHO });
    assert_eq!(results(&model), Vec::<u64>::new());
}

#[test]
fn a_found_message_is_gone_to_through_as_much_of_the_past_as_it_takes() {
    let (mut model, effects) = searching("ferry");
    let messages =
        vec![message(900, ECHO, Direction::Incoming), message(3, ECHO, Direction::Incoming)];
    answer(&mut model, &effects, found(messages));
    press(&mut model, KeyCode::Char('n'));
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(calls(&effects), [newest_part(ECHO)]);
    assert_eq!(model.navigation.open, Some(ECHO));
    let past = |ids: core::ops::Range<u64>| {
        part(ids.map(|id| message(id, ECHO, Direction::Incoming)).collect(), Older::Some)
    };
    let effects = answer(&mut model, &effects, past(800..1_000));
    assert_eq!(calls(&effects), [part_before(ECHO, 800)]);
    let effects = answer(&mut model, &effects, past(400..800));
    assert_eq!(calls(&effects), [part_before(ECHO, 400)]);
    assert!(answer(&mut model, &effects, past(1..400)).is_empty());
    assert_eq!(model.current().expect("echo's chat").chosen, Some(MessageId(3)));
}

#[test]
fn a_message_that_is_nowhere_in_the_past_is_given_up() {
    let (mut model, effects) = searching("ferry");
    answer(&mut model, &effects, found(vec![message(3, ECHO, Direction::Incoming)]));
    let mut effects = press(&mut model, KeyCode::Enter);
    let mut asked = 0;
    while !effects.is_empty() {
        asked += 1;
        assert!(asked <= 22, "it is given up");
        let messages = vec![message(1_000 - asked, ECHO, Direction::Incoming)];
        effects = answer(&mut model, &effects, part(messages, Older::Some));
    }
    assert!(asked > 1);
    assert!(hint(&model).starts_with("this message is too old"));
    assert_eq!(model.current().expect("echo's chat").chosen, None);
}

#[test]
fn who_types_is_not_taken_to_what_was_found() {
    let (mut model, effects) = searching("ferry");
    answer(&mut model, &effects, found(vec![message(3, ECHO, Direction::Incoming)]));
    let effects = press(&mut model, KeyCode::Enter);
    write(&mut model, "c");
    let messages = vec![message(3, ECHO, Direction::Incoming)];
    answer(&mut model, &effects, part(messages, Older::None));
    assert_eq!(model.current().expect("echo's chat").chosen, None);
    assert_eq!(model.field().expect("a composer").text(), "c");
}

#[test]
fn a_message_is_sought_through_so_many_parts_of_the_past_and_no_more() {
    let mut chat = Chat::new(ECHO, 1_900);
    let mut seek = HistorySeek::new(ECHO, MessageId(1));
    let mut range = HistoryRange::Newest;
    assert_eq!(seek.step(&mut chat), SeekStep::Asks(range));
    chat.history_asked();
    assert_eq!(seek.step(&mut chat), SeekStep::Waits);
    let mut asked = 1;
    let mut oldest = 1_000;
    let theirs = |id| vec![message(id, ECHO, Direction::Incoming)];
    let end = loop {
        chat.add_history(range, (theirs(oldest), true), 0);
        let step = seek.step(&mut chat);
        range = HistoryRange::Before(MessageId(oldest));
        if step != SeekStep::Asks(range) {
            break step;
        }
        chat.history_asked();
        (asked, oldest) = (asked + 1, oldest - 1);
        assert!(asked < 100, "it is given up");
    };
    assert_eq!(end, SeekStep::OutOfReach);
    assert!(asked > 1);
    chat.add_history(range, (theirs(1), true), 0);
    assert_eq!(seek.step(&mut chat), SeekStep::Arrived);
    assert_eq!(chat.chosen, Some(MessageId(1)));
}
