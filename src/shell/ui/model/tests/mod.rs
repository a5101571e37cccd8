//! Tests of the model: events and keys in, effects and state out.

mod course;
mod directory;
mod drawing;
mod navigation;
mod search;

use crate::engine::envelope::Lifetime;
use crate::engine::record::DeliveryLog;
use crossterm::event::{KeyCode, KeyModifiers};
use data_encoding::HEXLOWER;

use crate::engine::command::{CommandError, Reply};
use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::event::{
    ContactView, Direction, Event, IdentityView, MessageView, SessionStatus,
};
use crate::engine::id::{CommandId, MessageId, RequestId};
use crate::engine::record::{MessageState, Trust};

use super::*;
use crate::shell::api::{ColorSupport, Glyphs, HasMore, InviteCodec, UiMode};

/// The generator of secp256k1 and its double (SEC 2, 2.4.1): keys that are points.
const KEYS: [&str; 2] = [
    "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
];

fn key(index: usize) -> PublicKey {
    let bytes = HEXLOWER.decode(KEYS[index % KEYS.len()].as_bytes()).expect("hexadecimal");
    PublicKey::from_bytes(&bytes.try_into().expect("33 bytes")).expect("a point")
}

fn options() -> UiOptions {
    UiOptions {
        mode: UiMode::Normal,
        glyphs: Glyphs::Unicode,
        color: ColorSupport::On,
        max_text: 1_900,
        clock: || UnixSeconds(1_795_171_620),
        zone: jiff::tz::TimeZone::UTC,
        invites: InviteCodec {
            write: |_| "UNDERTONE1TEST".to_owned(),
            read: |text| {
                if text == "GOOD" { Ok(key(1)) } else { Err("this is not an invite".to_owned()) }
            },
        },
    }
}

const ME: IdentityId = IdentityId(1);
const MIRA: ContactId = ContactId(10);
const ECHO: ContactId = ContactId(11);

fn identity(id: IdentityId, name: &str) -> ClientEvent {
    ClientEvent::Engine(Event::Identity(IdentityView { id, name: name.to_owned(), key: key(0) }))
}

fn contact_view(id: ContactId, petname: &str, link: SessionStatus) -> ContactView {
    ContactView {
        id,
        identity: ME,
        petname: petname.to_owned(),
        key: key(1),
        session: link,
        trust: Trust::Unverified,
        safety_number: SafetyNumber::of(&key(0), &key(1)),
        sas: None,
        missing: 0,
        read_receipts: false,
        restored: None,
    }
}

fn contact(id: ContactId, petname: &str, link: SessionStatus) -> ClientEvent {
    ClientEvent::Engine(Event::Contact(contact_view(id, petname, link)))
}

fn message(id: u64, contact: ContactId, direction: Direction) -> MessageView {
    MessageView {
        id: MessageId(id),
        contact,
        direction,
        number: Some(id),
        text: UntrustedText::new(format!("text {id}")),
        at: UnixSeconds(1_795_171_000 + id),
        missing: 0,
        early: false,
        lifetime: Lifetime::Day,
        delivery: DeliveryLog::default(),
    }
}

fn arrives(id: u64, contact: ContactId) -> ClientEvent {
    ClientEvent::Engine(Event::Message(message(id, contact, Direction::Incoming)))
}

/// Me, with mira open and echo beside.
fn chatting() -> Model {
    let mut model = Model::new(options());
    for event in [
        identity(ME, "nightjar"),
        contact(MIRA, "mira", SessionStatus::Established),
        contact(ECHO, "echo", SessionStatus::Established),
        ClientEvent::History { contact: MIRA, messages: Vec::new(), more: HasMore::No },
    ] {
        model.on_event(event);
    }
    model
}

fn press(model: &mut Model, code: KeyCode) -> Vec<UiEffect> {
    model.on_key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn control(model: &mut Model, letter: char) -> Vec<UiEffect> {
    model.on_key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL))
}

fn write(model: &mut Model, text: &str) {
    for letter in text.chars() {
        press(model, KeyCode::Char(letter));
    }
}

fn asked(effects: &[UiEffect]) -> Vec<(CommandId, &Command)> {
    let command = |effect| {
        if let &UiEffect::Request(ClientRequest::Command(ask, ref command)) = effect {
            return Some((ask, command));
        }
        None
    };
    effects.iter().filter_map(command).collect()
}

fn commands(effects: &[UiEffect]) -> Vec<&Command> {
    asked(effects).into_iter().map(|(_, command)| command).collect()
}

fn first_ask(effects: &[UiEffect]) -> CommandId {
    asked(effects).first().expect("a command was sent").0
}

#[test]
fn enter_says_what_was_written_to_the_open_contact() {
    let mut model = chatting();
    write(&mut model, "hello");
    let effects = press(&mut model, KeyCode::Enter);
    let say = Command::Say { contact: MIRA, text: "hello".to_owned(), lifetime: Lifetime::Day };
    assert_eq!(commands(&effects), [&say]);
    assert!(model.field().expect("a composer").is_empty());
}

#[test]
fn what_was_refused_comes_back_to_the_composer() {
    let mut model = chatting();
    write(&mut model, "hello");
    let effects = press(&mut model, KeyCode::Enter);
    model.on_event(ClientEvent::Replied(first_ask(&effects), Err(CommandError::Blocked)));
    assert_eq!(model.field().expect("a composer").text(), "hello");
    assert!(model.status.hint.is_some());
}

#[test]
fn an_enter_that_a_paste_may_have_pressed_submits_no_prompt() {
    let mut model = chatting();
    press(&mut model, KeyCode::F(3));
    press(&mut model, KeyCode::Char('+'));
    model.paste("GOOD");
    model.set_enter(EnterMode::Held);
    press(&mut model, KeyCode::Enter);
    write(&mut model, "evil");
    assert_eq!(commands(&press(&mut model, KeyCode::Enter)), Vec::<&Command>::new());
    assert_eq!(model.field().expect("still the first prompt").text(), "GOODevil");
    let hint = &model.status.hint.as_ref().expect("a hint").0;
    assert!(hint.starts_with("the paste contained an Enter; nothing was done"), "{hint}");
    // Without a prompt, too: the first identity gets its name in one.
    let mut model = Model::new(options());
    write(&mut model, "nightjar");
    model.set_enter(EnterMode::Held);
    assert_eq!(commands(&press(&mut model, KeyCode::Enter)), Vec::<&Command>::new());
    model.set_enter(EnterMode::Sends);
    assert_eq!(commands(&press(&mut model, KeyCode::Enter)).len(), 1);
}

#[test]
fn a_paste_is_one_message_and_its_enter_is_held() {
    let mut model = chatting();
    assert_eq!(model.paste("one\rtwo"), []);
    model.set_enter(EnterMode::Held);
    assert_eq!(commands(&press(&mut model, KeyCode::Enter)), Vec::<&Command>::new());
    assert_eq!(
        model.status.hint.as_ref().expect("a hint").0,
        "the paste contained an Enter; nothing was sent"
    );
    model.set_enter(EnterMode::Sends);
    let effects = press(&mut model, KeyCode::Enter);
    let say =
        Command::Say { contact: MIRA, text: "one\ntwo\n".to_owned(), lifetime: Lifetime::Day };
    assert_eq!(commands(&effects), [&say]);
}

#[test]
fn a_paste_that_does_not_fit_is_refused_whole_and_said() {
    let mut model = chatting();
    model.paste(&"x".repeat(5_000));
    assert!(model.field().expect("a composer").is_empty());
    assert!(
        model.status.hint.as_ref().expect("a hint").0.starts_with("pasted 5000 bytes, 1900 fit")
    );
}

#[test]
fn an_unknown_command_is_kept_and_never_sent() {
    let mut model = chatting();
    write(&mut model, "/sned it");
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    assert_eq!(model.field().expect("a composer").text(), "/sned it");
}

#[test]
fn a_message_in_view_is_read_only_when_a_key_is_pressed() {
    let mut model = chatting();
    model.on_drawn(ScrollPosition::Whole);
    let effects = model.on_event(arrives(1, MIRA));
    assert_eq!(effects, []);
    assert_eq!(model.directory.chats[&MIRA].unread, 1);
    let effects = press(&mut model, KeyCode::Char('x'));
    let read = ClientRequest::Read { contact: MIRA, message: MessageId(1) };
    assert_eq!(effects, [UiEffect::Request(read)]);
    assert_eq!(model.directory.chats[&MIRA].unread, 0);
}

#[test]
fn what_was_counted_and_is_not_shown_yet_is_not_read() {
    let mut model = chatting();
    model.on_drawn(ScrollPosition::Whole);
    model.on_event(ClientEvent::UnreadCount(MIRA, 3));
    assert_eq!(press(&mut model, KeyCode::Char('x')), []);
    assert_eq!(model.directory.chats[&MIRA].unread, 3);
}

#[test]
fn a_reader_of_older_messages_leaves_what_is_new_unread() {
    let mut model = chatting();
    model.on_drawn(ScrollPosition::Middle);
    model.on_event(arrives(1, MIRA));
    press(&mut model, KeyCode::Char('x'));
    assert_eq!(model.directory.chats[&MIRA].unread, 1);
}

#[test]
fn the_first_unread_message_elsewhere_rings_once() {
    let mut model = chatting();
    assert_eq!(model.on_event(arrives(1, ECHO)), [UiEffect::Bell]);
    assert_eq!(model.on_event(arrives(2, ECHO)), []);
    assert_eq!(
        model.directory.chats[&ECHO].fresh.map(|fresh| (fresh.first, fresh.count)),
        Some((MessageId(1), 2))
    );
    control(&mut model, 'n');
    assert_eq!(model.navigation.open, Some(ECHO));
}

#[test]
fn a_delivered_message_stays_delivered() {
    let mut model = chatting();
    let ours = message(1, MIRA, Direction::Outgoing(MessageState::Sent));
    model.on_event(ClientEvent::Engine(Event::Message(ours)));
    for state in [MessageState::Delivered, MessageState::Failed, MessageState::Queued] {
        let notice = Event::State {
            message: MessageId(1),
            contact: MIRA,
            number: Some(1),
            state,
            delivery: DeliveryLog::default(),
        };
        model.on_event(ClientEvent::Engine(notice));
    }
    assert_eq!(
        model.directory.chats[&MIRA].messages[0].direction,
        Direction::Outgoing(MessageState::Delivered)
    );
}

#[test]
fn history_joins_what_has_arrived_meanwhile_without_doubles() {
    let mut model = chatting();
    model.on_event(arrives(3, ECHO));
    let messages = (1..=3).map(|id| message(id, ECHO, Direction::Incoming)).collect();
    model.on_event(ClientEvent::History { contact: ECHO, messages, more: HasMore::No });
    let ids: Vec<_> =
        model.directory.chats[&ECHO].messages.iter().map(|message| message.id.0).collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn quitting_with_unsent_work_asks_and_can_wait_for_it() {
    let mut model = chatting();
    let ours = message(1, MIRA, Direction::Outgoing(MessageState::Mining));
    model.on_event(ClientEvent::Engine(Event::Message(ours)));
    assert_eq!(control(&mut model, 'q'), []);
    assert!(matches!(model.navigation.overlay, Some(Overlay::Leaving)));
    assert_eq!(press(&mut model, KeyCode::Char('w')), []);
    let state = MessageState::Sent;
    let sent = Event::State {
        message: MessageId(1),
        contact: MIRA,
        number: Some(1),
        state,
        delivery: DeliveryLog::default(),
    };
    let end = [UiEffect::Request(ClientRequest::Quit), UiEffect::Quit(QuitReason::Asked)];
    assert_eq!(model.on_event(ClientEvent::Engine(sent)), end);
}

#[test]
fn a_second_that_changes_nothing_in_view_is_not_drawn() {
    let mut model = chatting();
    assert_eq!(model.tick(UnixSeconds(1_795_171_621)), ClockChange::Invisible);
    assert_eq!(model.tick(UnixSeconds(1_795_171_680)), ClockChange::Visible);
    control(&mut model, 'n');
    assert_eq!(model.tick(UnixSeconds(1_795_171_681)), ClockChange::Invisible);
    assert_eq!(model.tick(UnixSeconds(1_795_171_688)), ClockChange::Visible);
    assert!(model.status.hint.is_none());
}

#[test]
fn quitting_with_nothing_unsent_tells_the_host_and_ends() {
    let mut model = chatting();
    let end = [UiEffect::Request(ClientRequest::Quit), UiEffect::Quit(QuitReason::Asked)];
    assert_eq!(control(&mut model, 'q'), end);
}

#[test]
fn ctrl_c_empties_the_line_and_twice_asks_to_leave() {
    let mut model = chatting();
    write(&mut model, "draft");
    control(&mut model, 'c');
    assert!(model.field().expect("a composer").is_empty());
    assert!(model.navigation.overlay.is_none());
    control(&mut model, 'c');
    assert!(matches!(model.navigation.overlay, Some(Overlay::Leaving)));
}

#[test]
fn escape_never_discards_what_was_written() {
    let mut model = chatting();
    model.on_event(arrives(1, MIRA));
    write(&mut model, "draft");
    press(&mut model, KeyCode::Esc);
    assert_eq!(model.context(), KeyContext::Browsing);
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::F(3));
    press(&mut model, KeyCode::Esc);
    assert_eq!(model.field().expect("a composer").text(), "draft");
}

#[test]
fn a_chosen_message_can_be_cancelled_and_sent_again() {
    let mut model = chatting();
    let ours = message(7, MIRA, Direction::Outgoing(MessageState::Queued));
    model.on_event(ClientEvent::Engine(Event::Message(ours)));
    press(&mut model, KeyCode::Esc);
    let effects = press(&mut model, KeyCode::Char('c'));
    assert_eq!(commands(&effects), [&Command::Cancel { message: MessageId(7) }]);
    let effects = press(&mut model, KeyCode::Char('R'));
    assert_eq!(commands(&effects), [&Command::Retry { message: MessageId(7) }]);
}

#[test]
fn an_invite_becomes_a_contact_in_two_steps_and_their_chat_opens() {
    let mut model = chatting();
    press(&mut model, KeyCode::F(3));
    press(&mut model, KeyCode::Char('+'));
    model.paste("BAD\n");
    press(&mut model, KeyCode::Enter);
    control(&mut model, 'u');
    model.paste("GOOD\n");
    press(&mut model, KeyCode::Enter);
    write(&mut model, "wren");
    let effects = press(&mut model, KeyCode::Enter);
    let add = Command::AddContact { identity: ME, key: key(1), petname: "wren".to_owned() };
    assert_eq!(commands(&effects), [&add]);
    let wren = ContactId(12);
    model.on_event(contact(wren, "wren", SessionStatus::OfferQueued));
    model.on_event(ClientEvent::Replied(first_ask(&effects), Ok(Reply::Contact(wren))));
    assert_eq!((model.navigation.page, model.navigation.open), (UiPage::Chats, Some(wren)));
}

#[test]
fn a_request_is_accepted_by_name_or_declined_in_silence() {
    let mut model = chatting();
    let request = RequestId(5);
    let arrived = UnixSeconds(1_795_171_000);
    let view = RequestView { id: request, identity: ME, key: key(1), arrived };
    model.on_event(ClientEvent::Engine(Event::Request(view)));
    write(&mut model, "/accept wren");
    press(&mut model, KeyCode::Enter);
    let effects = press(&mut model, KeyCode::Enter);
    let accept = Command::AcceptRequest { request, petname: "wren".to_owned() };
    assert_eq!(commands(&effects), [&accept]);
    write(&mut model, "/decline");
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(commands(&effects), [&Command::DeclineRequest { request }]);
}

#[test]
fn removing_a_contact_asks_first() {
    let mut model = chatting();
    press(&mut model, KeyCode::F(3));
    assert_eq!(press(&mut model, KeyCode::Char('x')), []);
    assert_eq!(press(&mut model, KeyCode::Char('n')), []);
    press(&mut model, KeyCode::Char('x'));
    let effects = press(&mut model, KeyCode::Char('y'));
    assert_eq!(commands(&effects), [&Command::RemoveContact { contact: ECHO }]);
}

#[test]
fn contacts_of_two_identities_never_share_a_list() {
    let mut model = chatting();
    model.on_event(identity(IdentityId(2), "heron"));
    let zoe = contact_view(ContactId(20), "zoe", SessionStatus::Established);
    let other = ContactView { identity: IdentityId(2), ..zoe };
    model.on_event(ClientEvent::Engine(Event::Contact(other)));
    let names = |model: &Model| -> Vec<String> {
        let contacts = model.contacts(ContactFilter::Listened);
        contacts.iter().map(|chat| chat.contact.petname.clone()).collect()
    };
    assert_eq!(names(&model), ["echo", "mira"]);
    assert!(model.targets_for("zoe").is_empty());
    write(&mut model, "/id heron");
    press(&mut model, KeyCode::Enter);
    assert_eq!(names(&model), ["zoe"]);
    assert_eq!(model.navigation.open, Some(ContactId(20)));
}

#[test]
fn the_first_identity_is_asked_for_by_name() {
    let mut model = Model::new(options());
    write(&mut model, "nightjar");
    let effects = press(&mut model, KeyCode::Enter);
    let create = Command::CreateIdentity { name: "nightjar".to_owned() };
    assert_eq!(commands(&effects), [&create]);
}

#[test]
fn older_messages_are_asked_for_once_the_oldest_is_in_view() {
    let mut model = chatting();
    assert_eq!(
        model.on_drawn(ScrollPosition::Oldest),
        [],
        "this conversation is known from its beginning"
    );
    write(&mut model, "/go echo");
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(
        effects,
        [UiEffect::Request(ClientRequest::History { contact: ECHO, before: None })]
    );
    let messages = vec![message(5, ECHO, Direction::Incoming)];
    model.on_event(ClientEvent::History { contact: ECHO, messages, more: HasMore::Yes });
    let ask = ClientRequest::History { contact: ECHO, before: Some(MessageId(5)) };
    assert_eq!(model.on_drawn(ScrollPosition::Oldest), [UiEffect::Request(ask)]);
    assert_eq!(model.on_drawn(ScrollPosition::Oldest), []);
}
