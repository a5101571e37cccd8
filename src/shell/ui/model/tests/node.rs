//! One node after another, and other front ends of the same one.

use super::*;

const WREN: ContactId = ContactId(12);

fn figures() -> Event {
    Event::Network(status::tests::network())
}

/// The node tells its present state anew: these contacts of mine.
fn retold(model: &mut Model, host: NodeHost, contacts: &[(ContactId, &str, u64)]) -> Vec<UiEffect> {
    let mut effects = model.on_node_reached(host);
    effects.extend(model.on_event(identity(ME, "nightjar")));
    for &(id, name, unread) in contacts {
        let view = contact_view(id, name, SessionStatus::Established);
        effects.extend(model.on_event(Event::Contact(Contact { view, unread })));
    }
    effects.extend(model.on_event(figures()));
    effects
}

#[test]
fn what_is_gone_after_events_were_missed_disappears_and_what_is_written_stays() {
    let mut model = chatting();
    model.on_event(identity(IdentityId(2), "heron"));
    let view = RequestView {
        id: RequestId(5),
        identity: ME,
        key: key(1),
        arrived: UnixSeconds(1),
        work: ShownWork::default(),
    };
    model.on_event(Event::Request(Request { view }));
    model.on_event(arrives(1, MIRA));
    write(&mut model, "a draft");
    let effects = retold(&mut model, NodeHost::Own, &[(MIRA, "miranda", 1), (WREN, "wren", 2)]);
    assert!(model.directory.chat(ECHO).is_none());
    assert!(model.directory.identity(IdentityId(2)).is_none());
    assert!(model.strangers().is_empty());
    assert_eq!(model.directory.name_of(MIRA), "miranda");
    assert_eq!(model.directory.unread(WREN), 2);
    assert_eq!(model.navigation.open, Some(MIRA));
    assert_eq!(model.field().expect("a composer").text(), "a draft");
    // What was missed of the open chat is read again; until then it shows what it had.
    assert_eq!(calls(&effects), [call(Status {}), newest_part(MIRA)]);
    assert_eq!(ids(&model, MIRA), [1]);
    let messages = [3, 4].map(|id| message(id, MIRA, Direction::Incoming)).to_vec();
    answer(&mut model, &effects, part(messages, Older::None));
    assert_eq!(ids(&model, MIRA), [3, 4]);
}

#[test]
fn the_contact_of_the_open_chat_that_is_gone_closes_it() {
    let mut model = chatting();
    retold(&mut model, NodeHost::Own, &[(ECHO, "echo", 0)]);
    assert_eq!(model.navigation.open, Some(ECHO), "nobody has pressed a key: the next one opens");
    assert!(model.directory.chat(MIRA).is_none());
}

#[test]
fn nothing_disappears_before_the_node_has_told_all() {
    let mut model = chatting();
    model.on_node_reached(NodeHost::Own);
    model.on_event(identity(ME, "nightjar"));
    assert!(model.directory.chat(MIRA).is_some());
    // It stops in the middle, and the next one tells its state.
    model.on_node_lost();
    retold(&mut model, NodeHost::Another, &[(MIRA, "mira", 0)]);
    assert!(model.directory.chat(MIRA).is_some() && model.directory.chat(ECHO).is_none());
}

#[test]
fn an_answer_from_before_events_were_missed_counts_for_nothing() {
    let mut model = chatting();
    let earlier = go(&mut model, "echo");
    retold(&mut model, NodeHost::Own, &[(MIRA, "mira", 0), (ECHO, "echo", 0)]);
    let theirs = |id| vec![message(id, ECHO, Direction::Incoming)];
    let effects = answer(&mut model, &earlier, part(theirs(1), Older::None));
    assert_eq!((calls(&effects), ids(&model, ECHO)), (vec![newest_part(ECHO)], Vec::new()));
    answer(&mut model, &effects, part(theirs(2), Older::None));
    assert_eq!(ids(&model, ECHO), [2]);
}

#[test]
fn a_node_that_ended_is_said_until_the_next_one_is_reached_and_keys_work_meanwhile() {
    let mut model = chatting();
    model.on_node_lost();
    write(&mut model, "typed meanwhile");
    assert_eq!(model.node.link, NodeLink::Sought);
    retold(&mut model, NodeHost::Another, &[(MIRA, "mira", 0)]);
    assert_eq!(model.node.link, NodeLink::Reached);
    assert_eq!(model.field().expect("a composer").text(), "typed meanwhile");
    model.on_node_gone(&refused(FailureCode::DiskFull, "the disk is full"));
    let Some(Overlay::Fatal(why)) = &model.navigation.overlay else { panic!("it is said") };
    assert_eq!(why, "the disk is full");
    for code in [KeyCode::Char('x'), KeyCode::Enter, KeyCode::Esc] {
        assert!(press(&mut model, code).is_empty(), "a person who types reads why");
        assert!(matches!(model.navigation.overlay, Some(Overlay::Fatal(_))));
    }
    for letter in ['q', 'c'] {
        assert_eq!(others(&control(&mut model, letter)), ["Quit(Fatal)"]);
    }
}

#[test]
fn a_text_whose_fate_is_not_known_comes_back_with_that_said() {
    let mut model = chatting();
    write(&mut model, "hello");
    let effects = press(&mut model, KeyCode::Enter);
    model.on_answer(newest(&effects), Err(refused(FailureCode::NodeEnded, "it ended")));
    assert_eq!(model.field().expect("a composer").text(), "hello");
    assert_eq!(hint(&model), "it ended; look whether it was done before you try again");
}

#[test]
fn the_identity_that_speaks_by_default_is_the_one_to_begin_with() {
    let mut model = Model::new(options());
    model.on_node_reached(NodeHost::Own);
    model.on_event(identity(ME, "nightjar"));
    let view = IdentityView { id: IdentityId(2), name: "heron".to_owned(), key: key(0) };
    model.on_event(Event::Identity(Identity { view, is_default: true }));
    model.on_event(figures());
    assert_eq!(model.navigation.speaking, Some(IdentityId(2)));
    // Another front end that changes it takes nobody away from an open chat.
    model.on_event(identity(IdentityId(2), "heron"));
    assert_eq!(model.navigation.speaking, Some(IdentityId(2)));
}

#[test]
fn an_erased_message_disappears_with_what_is_about_it() {
    let mut model = chatting();
    for id in [1, 2, 3] {
        model.on_event(arrives(id, MIRA));
    }
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Char('v'));
    assert!(matches!(model.navigation.overlay, Some(Overlay::Why(MessageId(3)))));
    model.on_event(erased(3, MIRA));
    assert_eq!(ids(&model, MIRA), [1, 2]);
    assert!(matches!(model.navigation.overlay, Some(Overlay::Gone(GoneSubject::Message))));
    press(&mut model, KeyCode::Enter);
    assert!(model.navigation.overlay.is_none());
    assert_eq!(model.current().expect("mira's chat").chosen, Some(MessageId(2)));
    // The line above what is new moves on when its message goes.
    model.on_event(erased(1, MIRA));
    model.on_event(read(MIRA, 1));
    let line = model.current().expect("mira's chat").fresh;
    assert_eq!(line.map(|line| (line.first, line.count)), Some((MessageId(2), 1)));
}

#[test]
fn a_message_that_is_erased_while_its_part_is_read_does_not_come_back() {
    let mut model = chatting();
    let effects = go(&mut model, "echo");
    model.on_event(erased(1, ECHO));
    let messages = [1, 2].map(|id| message(id, ECHO, Direction::Incoming)).to_vec();
    answer(&mut model, &effects, part(messages, Older::None));
    assert_eq!(ids(&model, ECHO), [2]);
}

#[test]
fn a_state_that_is_told_while_its_part_is_read_is_not_taken_back() {
    let mut model = chatting();
    model.on_event(Event::Imported { contact: MIRA, with: "mira".to_owned() });
    let mut model = chatting();
    let ours = message(1, MIRA, Direction::Outgoing(MessageState::Queued));
    let effects = model.on_event(Event::Imported { contact: MIRA, with: "mira".to_owned() });
    model.on_event(state(1, MessageState::Sent, DeliveryLog::default()));
    answer(&mut model, &effects, part(vec![ours], Older::None));
    let now = model.current().expect("mira's chat").chat.messages[0].direction;
    assert_eq!(now, Direction::Outgoing(MessageState::Sent));
}

#[test]
fn imported_messages_are_read_at_once_where_their_chat_is_open_and_later_elsewhere() {
    let mut model = chatting();
    model.on_event(arrives(5, MIRA));
    let imported = |contact| Event::Imported { contact, with: "mira".to_owned() };
    assert!(model.on_event(imported(ECHO)).is_empty());
    let effects = model.on_event(imported(MIRA));
    assert_eq!(calls(&effects), [newest_part(MIRA)]);
    let messages = [4, 5].map(|id| message(id, MIRA, Direction::Incoming)).to_vec();
    answer(&mut model, &effects, part(messages, Older::None));
    assert_eq!(ids(&model, MIRA), [4, 5]);
    assert_eq!(calls(&go(&mut model, "echo")), [newest_part(ECHO)]);
}

#[test]
fn what_is_read_in_another_front_end_is_not_new_here() {
    let mut model = chatting();
    model.on_event(arrives(1, ECHO));
    model.on_event(arrives(2, ECHO));
    assert!(model.directory.chat(ECHO).expect("a chat").fresh.is_some());
    model.on_event(read(ECHO, 1));
    let line = model.directory.chat(ECHO).expect("a chat").fresh;
    assert_eq!(line.map(|line| (line.first, line.count)), Some((MessageId(2), 1)));
    assert!(model.on_event(read(ECHO, 0)).is_empty());
    assert_eq!(model.directory.unread(ECHO), 0);
    assert!(model.directory.chat(ECHO).expect("a chat").fresh.is_none());
}

#[test]
fn a_history_that_cannot_be_read_is_asked_for_again_when_its_chat_is_opened_again() {
    let mut model = chatting();
    let effects = go(&mut model, "echo");
    let silent = refused(FailureCode::NodeSilent, "it stands still");
    assert!(model.on_answer(newest(&effects), Err(silent)).is_empty());
    assert_eq!(hint(&model), "it stands still; the messages were not read");
    assert!(model.on_drawn(ScrollPosition::Whole).is_empty(), "not again and again");
    go(&mut model, "mira");
    assert_eq!(calls(&go(&mut model, "echo")), [newest_part(ECHO)]);
}
