//! Searching, and going to where something was found.

use super::*;
use crate::shell::ui::model::search::SeekStep;

fn found(contact: Option<ContactId>, words: &str, messages: Vec<MessageView>) -> ClientEvent {
    ClientEvent::Found { contact, words: words.to_owned(), messages, more: HasMore::No }
}

fn results(model: &Model) -> Vec<u64> {
    let Some(Overlay::Search(search)) = &model.navigation.overlay else { return Vec::new() };
    search.found.iter().flatten().map(|message| message.id.0).collect()
}

fn searching(words: &str) -> Model {
    let mut model = chatting();
    write(&mut model, &format!("/search {words}"));
    let effects = press(&mut model, KeyCode::Enter);
    let search = ClientRequest::Search { contact: None, words: words.to_owned() };
    assert_eq!(effects, [UiEffect::Request(search)]);
    model
}

#[test]
fn a_search_from_a_chat_stays_in_it() {
    let mut model = chatting();
    control(&mut model, 'f');
    write(&mut model, "ferry");
    let effects = press(&mut model, KeyCode::Enter);
    let search = ClientRequest::Search { contact: Some(MIRA), words: "ferry".to_owned() };
    assert_eq!(effects, [UiEffect::Request(search)]);
}

#[test]
fn an_answer_to_an_older_search_is_passed_over() {
    let mut model = searching("ferry");
    model.on_event(found(None, "train", vec![message(1, MIRA, Direction::Incoming)]));
    model.on_event(found(Some(MIRA), "ferry", vec![message(1, MIRA, Direction::Incoming)]));
    assert_eq!(results(&model), Vec::<u64>::new());
    model.on_event(found(None, "ferry", vec![message(2, MIRA, Direction::Incoming)]));
    assert_eq!(results(&model), [2]);
}

#[test]
fn what_was_written_to_another_identity_is_not_found() {
    let mut model = searching("ferry");
    model.on_event(identity(IdentityId(2), "heron"));
    let zoe = contact_view(ContactId(20), "zoe", SessionStatus::Established);
    model.on_event(ClientEvent::Engine(Event::Contact(ContactView {
        identity: IdentityId(2),
        ..zoe
    })));
    let theirs = |id, contact| message(id, contact, Direction::Incoming);
    let messages = vec![theirs(1, ContactId(20)), theirs(2, ECHO), theirs(3, ContactId(99))];
    model.on_event(found(None, "ferry", messages));
    assert_eq!(results(&model), [2]);
    model.on_event(ClientEvent::Engine(Event::ContactRemoved(ECHO)));
    assert_eq!(results(&model), Vec::<u64>::new());
}

#[test]
fn a_found_message_is_gone_to_through_as_much_of_the_past_as_it_takes() {
    let mut model = searching("ferry");
    let messages =
        vec![message(900, ECHO, Direction::Incoming), message(3, ECHO, Direction::Incoming)];
    model.on_event(found(None, "ferry", messages));
    press(&mut model, KeyCode::Char('n'));
    let history = |before| UiEffect::Request(ClientRequest::History { contact: ECHO, before });
    assert_eq!(press(&mut model, KeyCode::Enter), [history(None)]);
    assert_eq!(model.navigation.open, Some(ECHO));
    let past = |ids: core::ops::Range<u64>| ClientEvent::History {
        contact: ECHO,
        messages: ids.map(|id| message(id, ECHO, Direction::Incoming)).collect(),
        more: HasMore::Yes,
    };
    assert_eq!(model.on_event(past(800..1_000)), [history(Some(MessageId(800)))]);
    assert_eq!(model.on_event(past(400..800)), [history(Some(MessageId(400)))]);
    assert_eq!(model.on_event(past(1..400)), []);
    assert_eq!(model.directory.chats[&ECHO].chosen, Some(MessageId(3)));
}

#[test]
fn a_message_that_is_nowhere_in_the_past_is_given_up() {
    let mut model = searching("ferry");
    model.on_event(found(None, "ferry", vec![message(3, ECHO, Direction::Incoming)]));
    press(&mut model, KeyCode::Enter);
    let mut asked = 1;
    for part in (0..100).rev() {
        let messages = vec![message(100 + part, ECHO, Direction::Incoming)];
        asked += model
            .on_event(ClientEvent::History { contact: ECHO, messages, more: HasMore::Yes })
            .len();
    }
    assert!(asked <= 22, "{asked}");
    assert!(model.status.hint.as_ref().expect("a hint").0.starts_with("this message is too old"));
    assert_eq!(model.directory.chats[&ECHO].chosen, None);
}

#[test]
fn who_types_is_not_taken_to_what_was_found() {
    let mut model = searching("ferry");
    model.on_event(found(None, "ferry", vec![message(3, ECHO, Direction::Incoming)]));
    press(&mut model, KeyCode::Enter);
    write(&mut model, "c");
    let messages = vec![message(3, ECHO, Direction::Incoming)];
    model.on_event(ClientEvent::History { contact: ECHO, messages, more: HasMore::No });
    assert_eq!(model.directory.chats[&ECHO].chosen, None);
    assert_eq!(model.field().expect("a composer").text(), "c");
}

#[test]
fn a_message_is_sought_through_so_many_parts_of_the_past_and_no_more() {
    let mut chat = Chat::new(contact_view(ECHO, "echo", SessionStatus::Established), 1_900);
    let mut seek = HistorySeek::new(ECHO, MessageId(1));
    assert_eq!(seek.step(&mut chat), SeekStep::Asks(None));
    assert_eq!(seek.step(&mut chat), SeekStep::Waits);
    let mut asked = 1;
    let mut oldest = 1_000;
    let end = loop {
        chat.add_history(vec![message(oldest, ECHO, Direction::Incoming)], HasMore::Yes);
        let step = seek.step(&mut chat);
        if step != SeekStep::Asks(Some(MessageId(oldest))) {
            break step;
        }
        (asked, oldest) = (asked + 1, oldest - 1);
        assert!(asked < 100, "it is given up");
    };
    assert_eq!(end, SeekStep::OutOfReach);
    assert!(asked > 1);
    chat.add_history(vec![message(1, ECHO, Direction::Incoming)], HasMore::Yes);
    assert_eq!(seek.step(&mut chat), SeekStep::Arrived);
    assert_eq!(chat.chosen, Some(MessageId(1)));
}
