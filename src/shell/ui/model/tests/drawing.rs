//! Whatever the model holds can be drawn at every size, and nothing hostile is in any cell.

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::super::view::{ViewState, view};
use super::*;
use crate::engine::crypto::sas::{Half, SasWord};
use crate::engine::event::SasHalf;
use crate::engine::record::{HoldReason, VerificationMethod};
use crate::engine::sync::ClockSkew;
use crate::shell::api::{MiningStatus, NetworkStatus, Persistence};

#[derive(Clone, Debug)]
enum Doing {
    Key(KeyCode, KeyModifiers),
    Paste(String),
    Tell(u8, u64, String),
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

/// Any event, out of a few numbers and some text.
fn told(what: u8, id: u64, text: String) -> ClientEvent {
    let contact_id = ContactId(10 + id % 3);
    let link = link(what);
    let state = state(id);
    let direction = if what > 128 { Direction::Incoming } else { Direction::Outgoing(state) };
    let mut message = message(u64::from(what) * 6 + id, contact_id, direction);
    message.text = UntrustedText::new(text.clone());
    message.missing = id / 5;
    message.lifetime = Lifetime::ALL[usize::from(what % 4)];
    message.delivery = delivery(what);
    message.at = UnixSeconds(u64::from(what) * 40_000);
    let request = RequestId(id);
    match what % 20 {
        0 | 1 => identity(IdentityId(1 + id % 2), &text),
        2 | 3 => {
            let view = contact_view(contact_id, &text, link);
            let sas = (id < 3).then(own_words);
            let restored = (id > 4).then_some(UnixSeconds(u64::from(what)));
            let (missing, read_receipts) = (id / 3, what > 100);
            ClientEvent::Engine(Event::Contact(ContactView {
                trust: trust(what),
                sas,
                missing,
                read_receipts,
                restored,
                ..view
            }))
        }
        4..=7 => ClientEvent::Engine(Event::Message(message)),
        8 => ClientEvent::History {
            contact: contact_id,
            messages: vec![message],
            more: HasMore::Yes,
        },
        9 => {
            let arrived = UnixSeconds(id);
            let view = RequestView { id: request, identity: ME, key: key(0), arrived };
            ClientEvent::Engine(Event::Request(view))
        }
        10 => ClientEvent::Engine(Event::RequestRemoved(request)),
        11 => ClientEvent::Engine(Event::ContactRemoved(contact_id)),
        12 => ClientEvent::UnreadCount(contact_id, usize::from(what)),
        13 => ClientEvent::Persistence(Persistence::MemoryOnly),
        14 => ClientEvent::Engine(Event::IdentityRemoved(IdentityId(1 + id % 2))),
        15 => ClientEvent::Replied(CommandId(1 + id), Ok(Reply::Verified)),
        16 => {
            let word = (id > 0).then_some(1 + usize::from(what) % 6);
            ClientEvent::Replied(
                CommandId(1 + id),
                Ok(Reply::Differs { word, attempts_left: what % 3 }),
            )
        }
        17 => {
            let (message, contact) = (MessageId(u64::from(what) * 6 + id), contact_id);
            ClientEvent::Engine(Event::State {
                message,
                contact,
                number: Some(id),
                state,
                delivery: delivery(what),
            })
        }
        18 => {
            let (contact, more) = (Some(contact_id).filter(|_| id > 1), HasMore::Yes);
            ClientEvent::Found { contact, words: text, messages: vec![message; 3], more }
        }
        _ => ClientEvent::Network(network(what, id, text)),
    }
}

fn network(what: u8, id: u64, text: String) -> NetworkStatus {
    NetworkStatus {
        peers: usize::from(what),
        network: text.clone(),
        listening: vec![text],
        pool_bytes: usize::MAX,
        pool_capacity: usize::from(what) - 17,
        pool_items: 3,
        floor_bits: what,
        cover_per_minute: Some(f64::NAN),
        mining: Some(MiningStatus { bits: what, hashes_per_second: id }),
        queued: 1,
        rate: id,
        clock: (id > 3).then_some(ClockSkew { minutes: i64::from(what) - 128, witnesses: 4 }),
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
        model.on_event(ClientEvent::Engine(Event::ContactRemoved(ECHO)));
        let view = contact_view(MIRA, "mira", SessionStatus::Established);
        let held = ContactView { trust: trust(255), sas: Some(own_words()), ..view };
        model.on_event(ClientEvent::Engine(Event::Contact(held)));
        for doing in doings {
            let effects = match doing {
                Doing::Key(code, modifiers) => model.on_key(KeyEvent::new(code, modifiers)),
                Doing::Paste(text) => model.paste(&text),
                Doing::Tell(..) | Doing::Draw(..) => Vec::new(),
            };
            let said = commands(&effects).iter().any(|command| matches!(command, Command::Say { .. }));
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
        for doing in doings {
            let effects = match doing {
                Doing::Key(code, modifiers) => model.on_key(KeyEvent::new(code, modifiers)),
                Doing::Paste(text) => model.paste(&text),
                Doing::Tell(what, id, text) => model.on_event(told(what, id, text)),
                Doing::Draw(columns, rows) => {
                    draw(&mut model, &mut state, columns, rows);
                    Vec::new()
                }
            };
            for effect in effects {
                if let UiEffect::Scroll(scroll) = effect {
                    state.scroll(&model, scroll);
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
