//! What the node tells under the hands of a person who types or chooses: it opens nothing, moves no
//! text, and no key acts on somebody whom nobody has marked.

use super::*;
use crate::shell::ui::model::navigation::ListRow;

const CAROL: ContactId = ContactId(12);
const HERON: IdentityId = IdentityId(2);

fn adds(id: ContactId, name: &str) -> Event {
    contact(id, name, SessionStatus::Established)
}

fn request_view(id: u64, work: u64) -> RequestView {
    RequestView {
        id: RequestId(id),
        identity: ME,
        key: key(1),
        arrived: UnixSeconds(1_795_171_000),
        work: ShownWork::of_tries(work),
    }
}

fn asks(id: u64, work: u64) -> Event {
    Event::Request(Request { view: request_view(id, work) })
}

fn written(model: &mut Model) -> String {
    model.field().expect("a field").text().to_owned()
}

fn marked(model: &Model) -> Option<ListRow> {
    model.navigation.marked(&model.directory)
}

/// Mira, whose chat was open, is gone; echo is there.
fn alone() -> Model {
    let mut model = chatting();
    press(&mut model, KeyCode::F(2));
    model.on_event(Event::ContactRemoved { id: MIRA });
    assert_eq!(model.navigation.open, None);
    model
}

#[test]
fn nothing_that_is_told_opens_a_chat_once_a_key_was_pressed() {
    let mut model = alone();
    write(&mut model, "words for no");
    model.on_event(adds(CAROL, "carol"));
    model.on_event(adds(ECHO, "echo"));
    model.on_event(arrives(1, ECHO));
    model.on_event(Event::Imported { contact: ECHO, with: "echo".to_owned() });
    // The directory is told anew, as after a backup was restored.
    model.on_node_reached(NodeHost::Another);
    model.on_event(identity(ME, "nightjar"));
    model.on_event(adds(CAROL, "carol"));
    model.on_event(Event::Network(status::tests::network()));
    write(&mut model, "body");
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), NOTHING);
    assert_eq!(model.navigation.open, None);
    assert_eq!(written(&mut model), "words for nobody");
    assert!(hint(&model).starts_with("no chat is open, nothing was sent"), "{}", hint(&model));
}

#[test]
fn a_paste_is_a_key_too() {
    let mut model = Model::new(options());
    model.on_event(identity(ME, "nightjar"));
    model.paste("for nobody yet");
    model.on_event(adds(MIRA, "mira"));
    assert_eq!(model.navigation.open, None);
    assert_eq!(written(&mut model), "for nobody yet");
}

#[test]
fn before_the_first_key_the_first_chat_opens() {
    let mut model = Model::new(options());
    model.on_event(identity(ME, "nightjar"));
    model.on_event(adds(MIRA, "mira"));
    assert_eq!(model.navigation.open, Some(MIRA));
}

#[test]
fn half_a_command_becomes_text_for_nobody() {
    let mut model = alone();
    write(&mut model, "/go");
    model.on_event(adds(CAROL, "carol"));
    model.on_event(arrives(1, CAROL));
    write(&mut model, " echo");
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(calls(&effects), [newest_part(ECHO)]);
    assert_eq!((model.navigation.open, written(&mut model).as_str()), (Some(ECHO), ""));
    // The other way round: the chat in which it was begun is gone.
    write(&mut model, "/go");
    model.on_event(Event::ContactRemoved { id: ECHO });
    write(&mut model, " carol");
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.navigation.open, Some(CAROL));
    assert_eq!(written(&mut model), "");
}

#[test]
fn what_was_written_to_a_contact_that_is_removed_elsewhere_stays_and_goes_to_nobody() {
    for gone in [Event::ContactRemoved { id: MIRA }, Event::IdentityRemoved { id: ME }] {
        let mut model = chatting();
        model.on_event(identity(HERON, "heron"));
        let zoe = contact_view(ContactId(20), "zoe", SessionStatus::Established);
        model.on_event(told(ContactView { identity: HERON, ..zoe }));
        model.paste("see you\nat");
        model.on_event(gone);
        write(&mut model, " eight");
        assert_eq!(calls(&press(&mut model, KeyCode::Enter)), NOTHING);
        assert_eq!(model.navigation.open, None);
        assert_eq!(written(&mut model), "see you\nat eight");
        // It does not follow its person to the chat that is opened next.
        control(&mut model, 'p');
        press(&mut model, KeyCode::Enter);
        assert!(model.navigation.open.is_some());
        assert_eq!(written(&mut model), "");
    }
}

#[test]
fn what_was_written_before_to_nobody_stays_in_front_of_what_comes_to_stand_there() {
    let mut model = alone();
    write(&mut model, "first");
    control(&mut model, 'p');
    write(&mut model, "echo");
    press(&mut model, KeyCode::Enter);
    write(&mut model, "second");
    model.on_event(Event::ContactRemoved { id: ECHO });
    write(&mut model, "!");
    assert_eq!(written(&mut model), "first\nsecond!");
}

#[test]
fn an_identity_that_is_deleted_elsewhere_opens_no_chat_and_leaves_a_field_open() {
    let mut model = chatting();
    model.on_event(identity(HERON, "heron"));
    let zoe = contact_view(ContactId(20), "zoe", SessionStatus::Established);
    model.on_event(told(ContactView { identity: HERON, ..zoe }));
    write(&mut model, "/add GOOD");
    press(&mut model, KeyCode::Enter);
    write(&mut model, "wr");
    model.on_event(Event::IdentityRemoved { id: ME });
    write(&mut model, "en");
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), NOTHING, "heron was not asked to add");
    let Some(Overlay::Prompt(prompt)) = &model.navigation.overlay else { panic!("it stays") };
    assert_eq!(prompt.field.text(), "wren");
    assert!(prompt.error.as_deref().is_some_and(|why| why.contains("identity")));
    press(&mut model, KeyCode::Esc);
    assert_eq!((model.navigation.open, model.navigation.speaking), (None, Some(HERON)));
}

#[test]
fn a_name_for_a_first_identity_stays_in_its_field_when_one_is_made_elsewhere() {
    let mut model = Model::new(options());
    write(&mut model, "night");
    model.on_event(identity(HERON, "heron"));
    let zoe = contact_view(ContactId(20), "zoe", SessionStatus::Established);
    model.on_event(told(ContactView { identity: HERON, ..zoe }));
    write(&mut model, "jar");
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(calls(&effects), [call(IdentityNew { name: "nightjar".to_owned() })]);
}

#[test]
fn a_field_about_somebody_who_is_gone_hands_no_letter_to_the_list_behind_it() {
    let mut model = chatting();
    press(&mut model, KeyCode::F(3));
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('x'));
    write(&mut model, "mi");
    model.on_event(Event::ContactRemoved { id: MIRA });
    model.on_question_seen();
    // "r" would rename echo, and the rest would be the name.
    write(&mut model, "ra");
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), NOTHING);
    assert!(model.navigation.overlay.is_none());
    assert_eq!(model.directory.name_of(ECHO), "echo");
}

#[test]
fn an_answer_takes_nobody_away_who_has_gone_on_typing() {
    for goes_on in [false, true] {
        let mut model = chatting();
        write(&mut model, "/add GOOD");
        press(&mut model, KeyCode::Enter);
        write(&mut model, "carol");
        let effects = press(&mut model, KeyCode::Enter);
        if goes_on {
            write(&mut model, "for mira");
        }
        let view = contact_view(CAROL, "carol", SessionStatus::OfferQueued);
        answer(&mut model, &effects, AnyReply::ContactAdd(Contact { view, unread: 0 }));
        if goes_on {
            assert_eq!(model.navigation.open, Some(MIRA));
            assert_eq!(written(&mut model), "for mira");
            assert_eq!(hint(&model), "carol is a contact now; Ctrl+P opens the chat");
        } else {
            assert_eq!(model.navigation.open, Some(CAROL));
        }
    }
}

#[test]
fn a_refusal_puts_no_field_under_the_hands_of_who_has_gone_on_typing() {
    let mut model = chatting();
    write(&mut model, "/rename");
    press(&mut model, KeyCode::Enter);
    let effects = press(&mut model, KeyCode::Enter);
    write(&mut model, "for mira");
    let taken = refused(FailureCode::NodeSilent, "the name is taken");
    model.on_answer(newest(&effects), Err(taken));
    write(&mut model, "!");
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), [says("for mira!")]);
}

#[test]
fn a_mark_stays_with_its_stranger_while_others_show_more_work() {
    let mut model = chatting();
    model.on_event(asks(1, 1));
    write(&mut model, "/requests");
    press(&mut model, KeyCode::Enter);
    assert_eq!(marked(&model), Some(ListRow::Request(RequestId(1))));
    model.on_event(asks(2, 900));
    model.on_event(asks(3, 800));
    model.on_event(asks(4, 1));
    assert_eq!((model.navigation.row, marked(&model)), (2, Some(ListRow::Request(RequestId(1)))));
    press(&mut model, KeyCode::Char('d'));
    model.on_question_seen();
    let effects = press(&mut model, KeyCode::Char('y'));
    let request = request_view(1, 1);
    let request = Request { view: request }.reference();
    assert_eq!(calls(&effects), [call(RequestDecline { request })]);
    press(&mut model, KeyCode::Enter);
    let Some(Overlay::Prompt(prompt)) = &model.navigation.overlay else { panic!("a name") };
    assert_eq!(prompt.purpose, PromptPurpose::Accept(RequestId(1)));
}

#[test]
fn no_key_acts_on_the_neighbour_of_a_row_that_went_before_it_was_seen() {
    let mut model = chatting();
    for (id, work) in [(1, 30), (2, 20), (3, 10)] {
        model.on_event(asks(id, work));
    }
    write(&mut model, "/requests");
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Down);
    model.on_event(Event::RequestRemoved { id: RequestId(2) });
    assert_eq!(marked(&model), Some(ListRow::Request(RequestId(3))));
    for key in [KeyCode::Char('a'), KeyCode::Char('d'), KeyCode::Enter] {
        press(&mut model, key);
        assert!(model.navigation.overlay.is_none());
    }
    model.on_question_seen();
    press(&mut model, KeyCode::Char('a'));
    let Some(Overlay::Prompt(prompt)) = &model.navigation.overlay else { panic!("a name") };
    assert_eq!(prompt.purpose, PromptPurpose::Accept(RequestId(3)));
    // It goes too while its question is open: what is typed accepts nobody else.
    model.on_event(Event::RequestRemoved { id: RequestId(3) });
    write(&mut model, "carol");
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), NOTHING);
}

#[test]
fn the_first_row_of_an_empty_list_is_no_answer_to_a_key_before_it_was_seen() {
    let mut model = chatting();
    write(&mut model, "/requests");
    press(&mut model, KeyCode::Enter);
    model.on_event(asks(1, 1));
    press(&mut model, KeyCode::Char('a'));
    assert!(model.navigation.overlay.is_none());
    model.on_question_seen();
    press(&mut model, KeyCode::Char('a'));
    assert!(model.navigation.overlay.is_some());
}

#[test]
fn a_mark_stays_with_its_contact_its_blocked_one_and_its_identity() {
    let mut model = chatting();
    press(&mut model, KeyCode::F(3));
    assert_eq!(marked(&model), Some(ListRow::Contact(ECHO)));
    model.on_event(adds(CAROL, "carol"));
    assert_eq!((model.navigation.row, marked(&model)), (1, Some(ListRow::Contact(ECHO))));
    model.on_event(adds(ECHO, "zacharias"));
    assert_eq!((model.navigation.row, marked(&model)), (2, Some(ListRow::Contact(ECHO))));
    model.on_event(contact(ECHO, "echo", SessionStatus::Blocked));
    model.on_event(contact(MIRA, "mira", SessionStatus::Blocked));
    model.on_question_seen();
    press(&mut model, KeyCode::Tab);
    press(&mut model, KeyCode::Tab);
    assert_eq!(marked(&model), Some(ListRow::Contact(ECHO)));
    model.on_event(contact(CAROL, "carol", SessionStatus::Blocked));
    assert_eq!((model.navigation.row, marked(&model)), (1, Some(ListRow::Contact(ECHO))));
    model.on_event(identity(HERON, "heron"));
    press(&mut model, KeyCode::F(6));
    press(&mut model, KeyCode::Down);
    model.on_event(Event::IdentityRemoved { id: ME });
    assert_eq!((model.navigation.row, marked(&model)), (0, Some(ListRow::Identity(HERON))));
}

#[test]
fn the_picker_goes_to_the_chat_that_was_marked_or_nowhere() {
    let mut model = chatting();
    control(&mut model, 'p');
    press(&mut model, KeyCode::Down);
    model.on_event(adds(CAROL, "carol"));
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.navigation.open, Some(MIRA));
    control(&mut model, 'p');
    write(&mut model, "o");
    model.on_event(adds(ContactId(13), "bob"));
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.navigation.open, Some(CAROL));
    control(&mut model, 'p');
    model.on_event(Event::ContactRemoved { id: ContactId(13) });
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.navigation.open, Some(CAROL), "bob was marked, and is gone");
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.navigation.open, Some(ECHO));
}

#[test]
fn a_chosen_message_that_is_erased_hands_no_key_to_its_neighbour_or_to_the_draft() {
    let mut model = chatting();
    for id in [1, 2] {
        model.on_event(heard(message(id, MIRA, Direction::Outgoing(MessageState::Failed))));
    }
    write(&mut model, "a draft");
    press(&mut model, KeyCode::Esc);
    model.on_event(erased(2, MIRA));
    assert_eq!(calls(&press(&mut model, KeyCode::Char('R'))), NOTHING);
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), NOTHING, "the draft is not sent");
    model.on_question_seen();
    let retry = call(MessageRetry { message: MessageId(1).into() });
    assert_eq!(calls(&press(&mut model, KeyCode::Char('R'))), [retry]);
}
