//! Whatever the model holds can be drawn at every size, and nothing hostile is in any cell.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::super::view::{ViewState, view};
use super::*;
use crate::engine::crypto::sas::{Half, SasWord};
use crate::engine::event::{HeldBack, SasHalf, SendRoom};
use crate::engine::price::{ShownWork, Step};
use crate::engine::record::{HoldReason, VerificationMethod};
use crate::shell::api::calls::{Comparison, Page};
use crate::shell::api::{
    CoverStatus, FillStatus, LineStatus, MinerStatus, MiningStatus, NetworkStatus, PriceSource,
    PriceStatus, StepsStatus, WaitingStatus,
};

#[derive(Clone, Debug)]
enum Doing {
    Key(KeyCode, KeyModifiers),
    Paste(String),
    Tell(u8, u64, String),
    Answer(u8, u64, String),
    Node(u8),
    Draw(u16, u16),
}

fn any_doing() -> impl Strategy<Value = Doing> {
    let code = prop_oneof![
        any::<char>().prop_map(KeyCode::Char),
        prop::sample::select("abcdefgijklmnpqruvwxyzRGKN+/".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        prop::sample::select(vec![
            KeyCode::Enter,
            KeyCode::Esc,
            KeyCode::Tab,
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::Backspace,
            KeyCode::Delete,
        ]),
        (1_u8..13).prop_map(KeyCode::F),
    ];
    let modifiers = prop::sample::select(vec![
        KeyModifiers::NONE,
        KeyModifiers::CONTROL,
        KeyModifiers::ALT,
        KeyModifiers::SHIFT,
    ]);
    prop_oneof![
        4 => (code, modifiers).prop_map(|(code, modifiers)| Doing::Key(code, modifiers)),
        1 => any::<String>().prop_map(Doing::Paste),
        4 => (any::<u8>(), 0_u64..8, any::<String>()).prop_map(|(what, id, text)| Doing::Tell(what, id, text)),
        3 => (any::<u8>(), 0_u64..8, any::<String>()).prop_map(|(what, id, text)| Doing::Answer(what, id, text)),
        1 => any::<u8>().prop_map(Doing::Node),
        1 => (1_u16..300, 1_u16..100).prop_map(|(columns, rows)| Doing::Draw(columns, rows)),
    ]
}

fn state(id: u64) -> MessageState {
    match id {
        0 => MessageState::Queued,
        1 => MessageState::Mining,
        2 => MessageState::Sent,
        3 => MessageState::Delivered,
        4 => MessageState::Failed,
        5 => MessageState::Cancelled,
        6 => MessageState::Unacknowledged,
        _ => MessageState::Read,
    }
}

/// How far a session is, out of a number.
const fn link(what: u8) -> SessionStatus {
    match what % 6 {
        0 => SessionStatus::None,
        1 => SessionStatus::OfferQueued,
        2 => SessionStatus::OfferSent,
        3 => SessionStatus::AwaitingConfirmation,
        4 => SessionStatus::Established,
        _ => SessionStatus::Blocked,
    }
}

/// A message, out of a few numbers and some text.
fn any_message(what: u8, id: u64, text: String) -> MessageView {
    let direction = if what > 128 { Direction::Incoming } else { Direction::Outgoing(state(id)) };
    let mut message = message(u64::from(what) * 6 + id, ContactId(10 + id % 3), direction);
    message.text = UntrustedText::new(text);
    message.missing = id / 5;
    message.lifetime = Lifetime::ALL[usize::from(what % 3)];
    message.highest = (what > 60).then(|| Step::new(what % 10));
    message.delivery = delivery(what);
    message.at = UnixSeconds(u64::from(what) * 40_000);
    message
}

/// What is held back, out of a number.
fn held_back(what: u8) -> Arc<BTreeSet<HeldBack>> {
    let all = [
        HeldBack::Request(Lifetime::Day),
        HeldBack::Messages,
        HeldBack::Again(MessageId(u64::from(what))),
        HeldBack::Answers,
    ];
    let chosen = all.into_iter().enumerate().filter(|(bit, _)| what >> bit & 1 == 1);
    Arc::new(chosen.map(|(_, one)| one).collect())
}

/// A contact, out of a few numbers and some text.
fn any_contact(what: u8, id: u64, text: &str) -> Contact {
    let view = contact_view(ContactId(10 + id % 3), text, link(what));
    let view = ContactView {
        trust: trust(what),
        sas: (id < 3).then(own_words),
        missing: id / 3,
        read_receipts: what > 100,
        restored: (id > 4).then_some(UnixSeconds(u64::from(what))),
        highest: (what > 200).then(|| Step::new(what % 10)),
        room: if what % 7 == 3 { SendRoom::Full } else { SendRoom::Free },
        waiting: held_back(what),
        in_line: held_back(what.rotate_left(4)),
        next_look: (what > 30).then(|| UnixSeconds(id.wrapping_mul(u64::from(what)))),
        ..view
    };
    Contact { view, unread: u64::from(what % 4) }
}

/// Any event, out of a few numbers and some text.
fn told(what: u8, id: u64, text: String) -> Event {
    let contact = ContactId(10 + id % 3);
    let of_message = MessageId(u64::from(what) * 6 + id);
    let with = text.clone();
    match what % 20 {
        0 | 1 => identity(IdentityId(1 + id % 2), &text),
        2 | 3 => Event::Contact(any_contact(what, id, &text)),
        4..=7 => heard(any_message(what, id, text)),
        8 => Event::Imported { contact, with },
        9 => {
            let (id, arrived) = (RequestId(id), UnixSeconds(id));
            Event::Request(Request {
                view: RequestView {
                    id,
                    identity: ME,
                    key: key(0),
                    arrived,
                    work: ShownWork::default(),
                },
            })
        }
        10 => Event::RequestRemoved { id: RequestId(id) },
        11 => Event::ContactRemoved { id: contact },
        12 | 13 => Event::Read { contact, with, unread: u64::from(what) },
        14 => Event::IdentityRemoved { id: IdentityId(1 + id % 2) },
        15 => {
            let what = if id > 3 { MessageChange::Erase } else { MessageChange::Confirmed };
            Event::Change { what, id: of_message, contact, with }
        }
        16 => Event::Session { contact, with, session: link(what) },
        17 | 18 => Event::State {
            id: of_message,
            contact,
            to: text,
            number: Some(id),
            state: state(id),
            not_for_long: what > 100,
            delivery: delivery(what),
        },
        _ => Event::Network(network(what, id, text)),
    }
}

/// Any answer to a call, be it an answer to another one.
fn answered(what: u8, id: u64, text: String) -> Result<AnyReply, Failure> {
    Ok(match what % 8 {
        0 => AnyReply::ContactVerify(Comparison::Same),
        1 => {
            let word = (id > 0).then_some(usize::from(what) % 7);
            AnyReply::ContactVerify(Comparison::Differs { word, left: what % 3 })
        }
        2 | 3 => {
            let older = if id > 3 { Older::Some } else { Older::None };
            part(vec![any_message(what, id, text)], older)
        }
        4 => {
            let view = any_message(what, id, text);
            let items = vec![Message { view, with: String::new(), waits_for: None }; 3];
            AnyReply::Search(Page { items, more: true })
        }
        5 => AnyReply::ContactAdd(any_contact(what, id, &text)),
        6 => report(usize::from(what)),
        _ => return Err(refused(FailureCode::NodeEnded, &text)),
    })
}

fn network(what: u8, id: u64, text: String) -> NetworkStatus {
    NetworkStatus {
        ready: what > 0,
        peers: usize::from(what),
        network: text.clone(),
        listening: vec![text],
        names_trouble: None,
        pool_bytes: usize::MAX,
        pool_capacity: usize::from(what) - 17,
        pool_items: 3,
        steps: StepsStatus { six_hours: what, day: 8, week: 0, line: what },
        price: PriceStatus { six_hours: what, day: 8, week: 0, highest: what % 9 },
        price_from: PriceSource::Own,
        fill: FillStatus { six_hours: what, day: 100, week: 0 },
        line: LineStatus { blocks_per_second: u32::MAX, percent_left: what },
        floor_bits: what,
        waiting: WaitingStatus {
            messages: usize::from(what),
            retries: 1,
            requests: usize::MAX,
            answers: 0,
        },
        in_line: WaitingStatus {
            messages: 0,
            retries: usize::MAX,
            requests: 2,
            answers: usize::from(what),
        },
        unanswered: usize::from(what % 3),
        cover_per_minute: Some(f64::NAN),
        cover: if what > 128 { CoverStatus::Rests } else { CoverStatus::Runs },
        mining: Some(MiningStatus { tries: id, hashes_per_second: id }),
        queued: 1,
        rate: id,
        miner: MinerStatus::default(),
        clock_minutes: (id > 3).then_some(i64::from(what) - 128),
        clock_witnesses: 4,
        caught_up: u64::MAX,
        archive: None,
    }
}

fn delivery(what: u8) -> DeliveryLog {
    let at = |least| (what > least).then_some(UnixSeconds(u64::from(what) * 40_001));
    let (first, last, delivered, read) = (at(10), at(20), at(30), at(40));
    DeliveryLog {
        attempts: u32::from(what) / 10,
        first_sent: first,
        last_sent: last,
        delivered,
        read,
    }
}

fn trust(what: u8) -> Trust {
    let at = UnixSeconds(u64::from(what) * 10_000_000);
    match what / 64 {
        0 => Trust::Unverified,
        1 => Trust::Verified { at, by: VerificationMethod::Sas },
        2 => Trust::OnHold { since: at, reason: HoldReason::Mismatch, attempts: 1 },
        _ => {
            let reason = HoldReason::KeyChanged { verified: Some(at) };
            Trust::OnHold { since: at, reason, attempts: 0 }
        }
    }
}

fn own_words() -> SasHalf {
    let words = ["copper", "violin", "bridge"].map(|word| SasWord::parse(word).expect("a word"));
    SasHalf { half: Half::Second, words }
}

fn draw(model: &mut Model, state: &mut ViewState, columns: u16, rows: u16) {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a test terminal");
    terminal.draw(|frame| view(model, state, frame)).expect("drawing in memory");
    let hostile = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
    };
    for cell in terminal.backend().buffer().content() {
        assert!(!cell.symbol().contains(hostile), "{:?}", cell.symbol());
    }
    model.on_drawn(state.scroll_position());
}

proptest! {
    #[test]
    fn no_key_and_no_paste_says_anything_to_a_contact_that_is_held(
        doings in prop::collection::vec(any_doing(), 1..80),
    ) {
        let mut model = chatting();
        write(&mut model, "a draft");
        model.on_event(Event::ContactRemoved { id: ECHO });
        let view = contact_view(MIRA, "mira", SessionStatus::Established);
        let held = ContactView { trust: trust(255), sas: Some(own_words()), ..view };
        model.on_event(super::told(held));
        for doing in doings {
            let effects = match doing {
                Doing::Key(code, modifiers) => model.on_key(KeyEvent::new(code, modifiers)),
                Doing::Paste(text) => model.paste(&text),
                Doing::Tell(..) | Doing::Answer(..) | Doing::Node(_) | Doing::Draw(..) => Vec::new(),
            };
            let said = effects.iter().any(|effect| {
                matches!(effect, UiEffect::Call(_, AnyCall::MessageSend(_)))
            });
            prop_assert!(!said);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_told_and_typed_every_size_can_be_drawn(
        doings in prop::collection::vec(any_doing(), 1..80),
        columns in 1_u16..300,
        rows in 1_u16..100,
    ) {
        let mut model = Model::new(options());
        let mut state = ViewState::default();
        let mut asked = Vec::new();
        for doing in doings {
            let effects = match doing {
                Doing::Key(code, modifiers) => model.on_key(KeyEvent::new(code, modifiers)),
                Doing::Paste(text) => model.paste(&text),
                Doing::Tell(what, id, text) => model.on_event(told(what, id, text)),
                Doing::Answer(what, id, text) => match asked.pop() {
                    Some(call) => model.on_answer(call, answered(what, id, text)),
                    None => Vec::new(),
                },
                Doing::Node(what) => match what % 4 {
                    0 => model.on_node_reached(NodeHost::Own),
                    1 => model.on_node_reached(NodeHost::Another),
                    2 => {
                        model.on_node_lost();
                        Vec::new()
                    }
                    _ => model.on_event(Event::Network(network(17, 1, String::new()))),
                },
                Doing::Draw(columns, rows) => {
                    draw(&mut model, &mut state, columns, rows);
                    Vec::new()
                }
            };
            for effect in effects {
                match effect {
                    UiEffect::Scroll(scroll) => state.scroll(&model, scroll),
                    UiEffect::Call(id, _) => asked.push(id),
                    UiEffect::Redraw
                    | UiEffect::Suspend
                    | UiEffect::Bell
                    | UiEffect::Quit(_) => {}
                }
            }
        }
        draw(&mut model, &mut state, columns, rows);
        draw(&mut model, &mut state, 60, 20);
    }
}

#[test]
fn a_held_position_stays_while_messages_arrive() {
    let mut model = chatting();
    let mut state = ViewState::default();
    for id in 0..40 {
        model.on_event(arrives(id, MIRA));
    }
    draw(&mut model, &mut state, 80, 24);
    state.scroll(&model, ScrollAction::Up);
    let top = |model: &mut Model, state: &mut ViewState| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a test terminal");
        terminal.draw(|frame| view(model, state, frame)).expect("drawing in memory");
        let buffer = terminal.backend().buffer();
        (25..79).map(|x| buffer[(x, 2)].symbol()).collect::<String>()
    };
    let before = top(&mut model, &mut state);
    for id in 40..60 {
        model.on_event(arrives(id, MIRA));
    }
    assert_eq!(top(&mut model, &mut state), before);
    assert_eq!(state.scroll_position(), ScrollPosition::Middle);
    for _ in 0..20 {
        state.scroll(&model, ScrollAction::Up);
    }
    top(&mut model, &mut state);
    assert_eq!(state.scroll_position(), ScrollPosition::Oldest);
    for _ in 0..20 {
        state.scroll(&model, ScrollAction::Down);
    }
    top(&mut model, &mut state);
    assert_eq!(state.scroll_position(), ScrollPosition::Newest);
}
