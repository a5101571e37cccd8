//! Tests of the model: events and keys in, effects and state out.

mod asking;
mod course;
mod directory;
mod drawing;
mod hands;
mod navigation;
mod node;
mod search;

use crossterm::event::{KeyCode, KeyModifiers};
use data_encoding::HEXLOWER;

use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::envelope::Lifetime;
use crate::engine::event::{
    ContactView, Direction, IdentityView, MessageView, RequestView, SendRoom, SessionStatus,
};
use crate::engine::id::{MessageId, RequestId};
use crate::engine::price::ShownWork;
use crate::engine::record::{DeliveryLog, MessageState, Trust};

use super::super::options::{ColorSupport, Glyphs, InviteCodec, UiMode};
use super::*;
use crate::shell::api::calls::{
    Call, ContactAdd, ContactRemove, HistoryPart, IdentityNew, MessageCancel, MessageRetry,
    MessageSend, RequestAccept, RequestDecline,
};
use crate::shell::api::{
    Contact, Identity, Message, MessageChange, Persistence, StatusReport, status,
};
use crate::shell::failure::FailureText;

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

fn identity(id: IdentityId, name: &str) -> Event {
    let view = IdentityView { id, name: name.to_owned(), key: key(0) };
    Event::Identity(Identity { view, is_default: false })
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
        highest: None,
        room: SendRoom::Free,
        waiting: std::sync::Arc::default(),
        in_line: std::sync::Arc::default(),
        next_look: None,
    }
}

fn told(view: ContactView) -> Event {
    Event::Contact(Contact { view, unread: 0 })
}

fn contact(id: ContactId, petname: &str, link: SessionStatus) -> Event {
    told(contact_view(id, petname, link))
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
        highest: None,
        delivery: DeliveryLog::default(),
    }
}

fn heard(view: MessageView) -> Event {
    Event::Message(Message { view, with: "mira".to_owned(), waits_for: None })
}

fn arrives(id: u64, contact: ContactId) -> Event {
    heard(message(id, contact, Direction::Incoming))
}

fn state(id: u64, state: MessageState, delivery: DeliveryLog) -> Event {
    Event::State {
        id: MessageId(id),
        contact: MIRA,
        to: "mira".to_owned(),
        number: Some(1),
        state,
        not_for_long: false,
        delivery,
    }
}

fn read(contact: ContactId, unread: u64) -> Event {
    Event::Read { contact, with: "mira".to_owned(), unread }
}

fn erased(id: u64, contact: ContactId) -> Event {
    let what = MessageChange::Erase;
    Event::Change { what, id: MessageId(id), contact, with: "mira".to_owned() }
}

/// Whether there are older messages before a part of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Older {
    Some,
    None,
}

/// The answer to a call for a part of a history, with older messages before it or without.
fn part(messages: Vec<MessageView>, older: Older) -> AnyReply {
    let older = older == Older::Some;
    let items =
        messages.into_iter().map(|view| Message { view, with: "mira".to_owned(), waits_for: None });
    AnyReply::History(HistoryPart { items: items.collect(), older, newer: false })
}

fn report(clients: usize) -> AnyReply {
    AnyReply::Status(StatusReport {
        network: status::tests::network(),
        online: true,
        persistence: Persistence::Sealed,
        clients,
    })
}

fn refused(code: FailureCode, why: &str) -> Failure {
    Failure::new(code, FailureText { what: "it was not done", why, safe: "", next: "" })
}

/// Me, with mira open and echo beside.
fn chatting() -> Model {
    let mut model = Model::new(options());
    model.on_event(identity(ME, "nightjar"));
    let effects = model.on_event(contact(MIRA, "mira", SessionStatus::Established));
    answer(&mut model, &effects, part(Vec::new(), Older::None));
    model.on_event(contact(ECHO, "echo", SessionStatus::Established));
    model
}

/// Answers the newest call.
fn answer(model: &mut Model, effects: &[UiEffect], reply: AnyReply) -> Vec<UiEffect> {
    model.on_answer(newest(effects), Ok(reply))
}

/// The id of the newest call.
fn newest(effects: &[UiEffect]) -> CallId {
    let id = |effect: &UiEffect| if let UiEffect::Call(id, _) = effect { Some(*id) } else { None };
    effects.iter().rev().find_map(id).expect("a call")
}

/// A call, with its parameters.
fn call(call: impl Call) -> String {
    shown(&call.into_any())
}

fn shown(call: &AnyCall) -> String {
    format!("{} {}", call.method(), serde_json::to_string(call).expect("no paths"))
}

/// The calls among effects.
fn calls(effects: &[UiEffect]) -> Vec<String> {
    let call = |effect: &UiEffect| {
        if let UiEffect::Call(_, call) = effect { Some(shown(call)) } else { None }
    };
    effects.iter().filter_map(call).collect()
}

/// The other effects.
fn others(effects: &[UiEffect]) -> Vec<String> {
    let others = effects.iter().filter(|effect| !matches!(effect, UiEffect::Call(..)));
    others.map(|effect| format!("{effect:?}")).collect()
}

/// What the hint line says.
fn hint(model: &Model) -> &str {
    &model.status.hint.as_ref().expect("a hint").0
}

fn says(text: &str) -> String {
    call(MessageSend::new(MIRA, text))
}

fn newest_part(contact: ContactId) -> String {
    let around = Around::Newest;
    call(History { contact: contact.into(), around, before: MESSAGES_A_PART, after: 0 })
}

fn part_before(contact: ContactId, message: u64) -> String {
    let around = Around::Message(MessageId(message).into());
    call(History { contact: contact.into(), around, before: MESSAGES_A_PART, after: 0 })
}

const NOTHING: [&str; 0] = [];

/// Goes to the chat of this name.
fn go(model: &mut Model, name: &str) -> Vec<UiEffect> {
    write(model, &format!("/go {name}"));
    press(model, KeyCode::Enter)
}

/// The messages of a chat.
fn ids(model: &Model, contact: ContactId) -> Vec<u64> {
    let chat = model.directory.chat(contact).expect("a chat");
    chat.messages.iter().map(|message| message.id.0).collect()
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

#[test]
fn enter_says_what_was_written_to_the_open_contact() {
    let mut model = chatting();
    write(&mut model, "hello");
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(calls(&effects), [says("hello")]);
    assert!(model.field().expect("a composer").is_empty());
}

#[test]
fn what_was_refused_comes_back_to_the_composer() {
    let mut model = chatting();
    write(&mut model, "hello");
    let effects = press(&mut model, KeyCode::Enter);
    let blocked = refused(FailureCode::Blocked, "this contact is blocked");
    model.on_answer(newest(&effects), Err(blocked));
    assert_eq!(model.field().expect("a composer").text(), "hello");
    assert_eq!(hint(&model), "this contact is blocked; nothing was sent");
}

#[test]
fn a_paste_is_one_message_and_sends_nothing_itself() {
    let mut model = chatting();
    assert!(model.paste("one\rtwo\r").is_empty());
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(calls(&effects), [says("one\ntwo\n")]);
}

#[test]
fn a_paste_that_does_not_fit_is_refused_whole_and_said() {
    let mut model = chatting();
    model.paste(&"x".repeat(5_000));
    assert!(model.field().expect("a composer").is_empty());
    assert!(hint(&model).starts_with("pasted 5000 bytes, 1900 fit"));
}

#[test]
fn an_unknown_command_is_kept_and_never_sent() {
    let mut model = chatting();
    write(&mut model, "/sned it");
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    assert_eq!(model.field().expect("a composer").text(), "/sned it");
}

#[test]
fn a_message_in_view_is_read_only_when_a_key_is_pressed() {
    let mut model = chatting();
    model.on_drawn(ScrollPosition::Whole);
    assert!(model.on_event(arrives(1, MIRA)).is_empty());
    assert_eq!(model.directory.unread(MIRA), 1);
    let effects = press(&mut model, KeyCode::Char('x'));
    let up_to = Read { contact: MIRA.into(), up_to: MessageId(1).into() };
    assert_eq!(calls(&effects), [call(up_to.clone())]);
    assert!(press(&mut model, KeyCode::Char('x')).is_empty(), "it is told once");
    model.on_answer(newest(&effects), Err(refused(FailureCode::NodeSilent, "it stands still")));
    assert_eq!(calls(&press(&mut model, KeyCode::Char('x'))), [call(up_to)]);
    model.on_event(read(MIRA, 0));
    assert_eq!(model.directory.unread(MIRA), 0);
    let line = model.current().expect("mira's chat").fresh;
    assert_eq!(line.map(|line| line.first), Some(MessageId(1)), "it stays until the next message");
}

#[test]
fn what_was_counted_and_is_not_shown_yet_is_not_read() {
    let mut model = chatting();
    model.on_drawn(ScrollPosition::Whole);
    model.on_event(read(MIRA, 3));
    assert!(press(&mut model, KeyCode::Char('x')).is_empty());
    assert_eq!(model.directory.unread(MIRA), 3);
}

#[test]
fn a_reader_of_older_messages_leaves_what_is_new_unread() {
    let mut model = chatting();
    model.on_drawn(ScrollPosition::Middle);
    model.on_event(arrives(1, MIRA));
    assert!(press(&mut model, KeyCode::Char('x')).is_empty());
    assert_eq!(model.directory.unread(MIRA), 1);
}

#[test]
fn the_first_unread_message_elsewhere_rings_once() {
    let mut model = chatting();
    assert_eq!(others(&model.on_event(arrives(1, ECHO))), ["Bell"]);
    assert!(model.on_event(arrives(2, ECHO)).is_empty());
    let fresh = model.directory.chat(ECHO).expect("a chat").fresh;
    assert_eq!(fresh.map(|fresh| (fresh.first, fresh.count)), Some((MessageId(1), 2)));
    control(&mut model, 'n');
    assert_eq!(model.navigation.open, Some(ECHO));
}

#[test]
fn a_delivered_message_stays_delivered() {
    let mut model = chatting();
    let ours = message(1, MIRA, Direction::Outgoing(MessageState::Sent));
    model.on_event(heard(ours));
    for to in [MessageState::Delivered, MessageState::Failed, MessageState::Queued] {
        model.on_event(state(1, to, DeliveryLog::default()));
    }
    assert_eq!(
        model.current().expect("mira's chat").messages[0].direction,
        Direction::Outgoing(MessageState::Delivered)
    );
}

#[test]
fn history_joins_what_has_arrived_meanwhile_without_doubles() {
    let mut model = chatting();
    let effects = go(&mut model, "echo");
    model.on_event(arrives(3, ECHO));
    let messages = (1..=3).map(|id| message(id, ECHO, Direction::Incoming)).collect();
    answer(&mut model, &effects, part(messages, Older::None));
    assert_eq!(ids(&model, ECHO), [1, 2, 3]);
}

#[test]
fn quitting_with_unsent_work_asks_and_can_wait_for_it() {
    let mut model = chatting();
    let ours = message(1, MIRA, Direction::Outgoing(MessageState::Mining));
    model.on_event(heard(ours));
    let effects = control(&mut model, 'q');
    assert_eq!(others(&effects), NOTHING);
    assert!(matches!(model.navigation.overlay, Some(Overlay::Leaving(Leaving { others: 0, .. }))));
    answer(&mut model, &effects, report(3));
    assert!(matches!(model.navigation.overlay, Some(Overlay::Leaving(Leaving { others: 2, .. }))));
    model.on_question_seen();
    assert!(press(&mut model, KeyCode::Char('w')).is_empty());
    let sent = state(1, MessageState::Sent, DeliveryLog::default());
    assert_eq!(others(&model.on_event(sent)), ["Quit(Asked)"]);
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
fn quitting_with_nothing_unsent_asks_the_node_who_else_uses_it_and_ends() {
    let mut model = chatting();
    let effects = control(&mut model, 'q');
    assert_eq!((calls(&effects), others(&effects)), (vec![call(Status {})], Vec::new()));
    assert_eq!(others(&answer(&mut model, &effects, report(1))), ["Quit(Asked)"]);
}

#[test]
fn quitting_a_node_that_others_use_asks_and_says_how_many() {
    let mut model = chatting();
    let effects = control(&mut model, 'q');
    assert!(answer(&mut model, &effects, report(2)).is_empty());
    assert!(matches!(model.navigation.overlay, Some(Overlay::Leaving(Leaving { others: 1, .. }))));
    model.on_question_seen();
    assert_eq!(others(&press(&mut model, KeyCode::Char('q'))), ["Quit(Asked)"]);
}

#[test]
fn an_interface_of_the_node_of_another_process_ends_alone_and_at_once() {
    for twice in ['q', 'c'] {
        let mut model = chatting();
        model.on_event(heard(message(1, MIRA, Direction::Outgoing(MessageState::Mining))));
        model.on_node_reached(NodeHost::Another);
        let first = control(&mut model, twice);
        let effects = if twice == 'q' { first } else { control(&mut model, twice) };
        assert_eq!(others(&effects), ["Quit(Asked)"], "Ctrl+{twice}");
    }
}

#[test]
fn a_node_that_does_not_say_who_uses_it_keeps_nobody() {
    let mut model = chatting();
    let effects = control(&mut model, 'q');
    let silent = refused(FailureCode::NodeSilent, "it stands still");
    assert_eq!(others(&model.on_answer(newest(&effects), Err(silent))), ["Quit(Asked)"]);
    // Nor one that says nothing at all.
    let mut model = chatting();
    control(&mut model, 'q');
    assert!(control(&mut model, 'q').is_empty());
    assert_eq!(others(&control(&mut model, 'q')), ["Quit(Asked)"]);
}

#[test]
fn a_person_who_goes_on_typing_does_not_leave_when_the_answer_comes() {
    let mut model = chatting();
    let effects = control(&mut model, 'q');
    write(&mut model, "x");
    assert!(answer(&mut model, &effects, report(1)).is_empty());
    assert!(model.navigation.overlay.is_none());
}

#[test]
fn ctrl_c_empties_the_line_and_twice_asks_to_leave() {
    let mut model = chatting();
    write(&mut model, "draft");
    control(&mut model, 'c');
    assert!(model.field().expect("a composer").is_empty());
    assert!(model.navigation.overlay.is_none());
    control(&mut model, 'c');
    assert!(matches!(model.navigation.overlay, Some(Overlay::Leaving(Leaving { others: 0, .. }))));
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
    model.on_event(heard(ours));
    press(&mut model, KeyCode::Esc);
    let effects = press(&mut model, KeyCode::Char('c'));
    assert_eq!(calls(&effects), [call(MessageCancel { message: MessageId(7).into() })]);
    let effects = press(&mut model, KeyCode::Char('R'));
    assert_eq!(calls(&effects), [call(MessageRetry { message: MessageId(7).into() })]);
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
    let add = ContactAdd {
        identity: Some("nightjar".to_owned()),
        invite: "UNDERTONE1TEST".to_owned(),
        name: "wren".to_owned(),
        max_work: None,
    };
    assert_eq!(calls(&effects), [call(add)]);
    let wren = ContactId(12);
    let view = contact_view(wren, "wren", SessionStatus::OfferQueued);
    // Before the event that tells of it.
    let asked = answer(
        &mut model,
        &effects,
        AnyReply::ContactAdd(Contact { view: view.clone(), unread: 0 }),
    );
    assert_eq!((model.navigation.page, model.navigation.open), (UiPage::Chats, Some(wren)));
    assert_eq!(calls(&asked), [newest_part(wren)]);
    assert!(model.on_event(told(view)).is_empty());
    assert_eq!(model.current().map(|chat| chat.name()).as_deref(), Some("wren"));
}

#[test]
fn a_request_is_accepted_by_name_or_declined_after_a_question() {
    let mut model = chatting();
    let request = RequestId(5);
    let arrived = UnixSeconds(1_795_171_000);
    let view =
        RequestView { id: request, identity: ME, key: key(1), arrived, work: ShownWork::default() };
    model.on_event(Event::Request(Request { view }));
    let request = "0000000000000005".to_owned();
    write(&mut model, "/accept wren");
    press(&mut model, KeyCode::Enter);
    let effects = press(&mut model, KeyCode::Enter);
    let accept = RequestAccept { request: request.clone(), name: "wren".to_owned() };
    assert_eq!(calls(&effects), [call(accept)]);
    write(&mut model, "/decline");
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    model.on_question_seen();
    let effects = press(&mut model, KeyCode::Char('y'));
    assert_eq!(calls(&effects), [call(RequestDecline { request })]);
}

#[test]
fn removing_a_contact_of_the_list_asks_for_its_name() {
    let mut model = chatting();
    press(&mut model, KeyCode::F(3));
    assert!(press(&mut model, KeyCode::Char('x')).is_empty());
    write(&mut model, "y");
    assert!(press(&mut model, KeyCode::Esc).is_empty());
    press(&mut model, KeyCode::Char('x'));
    write(&mut model, "echo");
    let effects = press(&mut model, KeyCode::Enter);
    let remove = ContactRemove { contact: ECHO.into(), confirm: Some("echo".to_owned()) };
    assert_eq!(calls(&effects), [call(remove)]);
}

#[test]
fn contacts_of_two_identities_never_share_a_list() {
    let mut model = chatting();
    model.on_event(identity(IdentityId(2), "heron"));
    let zoe = contact_view(ContactId(20), "zoe", SessionStatus::Established);
    let other = ContactView { identity: IdentityId(2), ..zoe };
    model.on_event(told(other));
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
    assert_eq!(calls(&effects), [call(IdentityNew { name: "nightjar".to_owned() })]);
    let view = IdentityView { id: ME, name: "nightjar".to_owned(), key: key(0) };
    // Before the event that tells of it.
    answer(&mut model, &effects, AnyReply::IdentityNew(Identity { view, is_default: false }));
    assert!(!model.directory.has_no_identity() && model.navigation.speaking == Some(ME));
}

#[test]
fn older_messages_are_asked_for_once_the_oldest_is_in_view() {
    let mut model = chatting();
    let known = model.on_drawn(ScrollPosition::Oldest);
    assert!(known.is_empty(), "this conversation is known from its beginning");
    let effects = go(&mut model, "echo");
    assert_eq!(calls(&effects), [newest_part(ECHO)]);
    let messages = vec![message(5, ECHO, Direction::Incoming)];
    answer(&mut model, &effects, part(messages, Older::Some));
    assert_eq!(calls(&model.on_drawn(ScrollPosition::Oldest)), [part_before(ECHO, 5)]);
    assert!(model.on_drawn(ScrollPosition::Oldest).is_empty());
}
