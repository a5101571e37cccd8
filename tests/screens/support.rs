//! A conversation at a fixed time, and a screen to see it on.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use data_encoding::HEXLOWER;
use jiff::tz::TimeZone;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::{Frame, Terminal};
use undertone::engine::crypto::invite;
use undertone::engine::crypto::keys::PublicKey;
use undertone::engine::crypto::safety_number::SafetyNumber;
use undertone::engine::env::UnixSeconds;
use undertone::engine::envelope::Lifetime;
use undertone::engine::event::{
    ContactView, Direction, IdentityView, MessageView, RequestView, SendRoom, SessionStatus,
};
use undertone::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use undertone::engine::price::ShownWork;
use undertone::engine::record::{DeliveryLog, MessageState, Trust};
use undertone::engine::text::UntrustedText;
use undertone::shell::api::calls::{AnyCall, AnyReply, HistoryPart};
use undertone::shell::api::{
    Contact, CoverStatus, Event, FillStatus, Identity, LineStatus, Message, MinerStatus,
    MiningStatus, NetworkStatus, Persistence, PriceSource, PriceStatus, Request, StatusReport,
    StepsStatus, WaitingStatus,
};
use undertone::shell::failure::Failure;
use undertone::shell::ui::model::{CallId, Model, NodeHost, UiEffect};
use undertone::shell::ui::view::{ViewState, view};
use undertone::shell::ui::{ColorSupport, Glyphs, InviteCodec, UiMode, UiOptions};

/// Fri 20 Nov 2026 10:47:20 UTC.
pub(crate) const NOW: u64 = 1_795_171_640;

/// G, 2G and 3G of secp256k1 (SEC 2, 2.4.1).
const KEYS: [&str; 3] = [
    "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
    "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
];

pub(crate) fn key(index: usize) -> PublicKey {
    let hex = KEYS.get(index).expect("one of three keys");
    let bytes = HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal");
    PublicKey::from_bytes(&bytes.try_into().expect("33 bytes")).expect("a point")
}

pub(crate) fn options(glyphs: Glyphs) -> UiOptions {
    UiOptions {
        mode: UiMode::Normal,
        glyphs,
        color: ColorSupport::On,
        max_text: 1_900,
        clock: || UnixSeconds(NOW),
        zone: TimeZone::UTC,
        invites: InviteCodec {
            write: invite::encode,
            read: |_| Err("this is damaged: a letter is wrong or missing".to_owned()),
        },
    }
}

/// A contact nobody has compared anything with.
pub(crate) fn contact(id: ContactId, petname: &str, link: SessionStatus) -> ContactView {
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

/// A model, what its reader sees of it, and a screen.
pub(crate) struct Stage {
    pub(crate) model: Model,
    state: ViewState,
    /// The calls that were not answered, newest last.
    asked: Vec<(CallId, AnyCall)>,
}

pub(crate) const MIRA: ContactId = ContactId(10);
const ME: IdentityId = IdentityId(1);

impl Stage {
    /// Nothing told yet.
    pub(crate) fn empty(options: UiOptions) -> Self {
        Self { model: Model::new(options), state: ViewState::default(), asked: Vec::new() }
    }

    /// Two friends, a stranger, and a conversation.
    pub(crate) fn chatting(options: UiOptions) -> Self {
        let mut stage = Self::empty(options);
        stage.reach(Persistence::Sealed);
        stage.rename_me("nightjar");
        for (id, petname, link, unread) in [
            (MIRA, "mira", SessionStatus::Established, 0),
            (ContactId(11), "田中 (tanaka)", SessionStatus::OfferSent, 3),
            (ContactId(12), "zed", SessionStatus::Blocked, 0),
        ] {
            let view = contact(id, petname, link);
            stage.tell(Event::Contact(Contact { view, unread }));
        }
        stage.hear_stranger(1, key(2), ShownWork::default());
        stage.tell(Event::Network(network()));
        stage.answer_history(conversation());
        stage
    }

    /// A node is reached that keeps its state so. It tells its present state next.
    pub(crate) fn reach(&mut self, persistence: Persistence) {
        let effects = self.model.on_node_reached(NodeHost::Own);
        self.carry_out(effects);
        let (network, online) = (network(), true);
        let report = StatusReport { network, online, persistence, clients: 1 };
        self.answer(Ok(AnyReply::Status(report)));
    }

    pub(crate) fn tell(&mut self, event: Event) {
        let effects = self.model.on_event(event);
        self.carry_out(effects);
    }

    /// Tells of a contact.
    pub(crate) fn tell_contact(&mut self, view: ContactView) {
        self.tell(Event::Contact(Contact { view, unread: 0 }));
    }

    /// Tells of a message.
    pub(crate) fn tell_message(&mut self, view: MessageView) {
        self.tell(Event::Message(Message { view, with: "mira".to_owned(), waits_for: None }));
    }

    /// Answers the newest call that was not answered.
    pub(crate) fn answer(&mut self, reply: Result<AnyReply, Failure>) {
        let (id, _) = self.asked.pop().expect("a call");
        let effects = self.model.on_answer(id, reply);
        self.carry_out(effects);
    }

    /// Answers the newest call, which is for a part of the history, with all there is.
    pub(crate) fn answer_history(&mut self, messages: Vec<MessageView>) {
        let part = HistoryPart { items: told(messages), older: false, newer: false };
        self.answer(Ok(AnyReply::History(part)));
    }

    fn carry_out(&mut self, effects: Vec<UiEffect>) {
        for effect in effects {
            match effect {
                UiEffect::Scroll(scroll) => self.state.scroll(&self.model, scroll),
                UiEffect::Call(id, call) => self.asked.push((id, call)),
                UiEffect::Redraw | UiEffect::Suspend | UiEffect::Bell | UiEffect::Quit(_) => {}
            }
        }
    }

    /// The identity has this name.
    pub(crate) fn rename_me(&mut self, name: &str) {
        let view = IdentityView { id: ME, name: name.to_owned(), key: key(0) };
        self.tell(Event::Identity(Identity { view, is_default: true }));
    }

    /// Something mira wrote arrives.
    pub(crate) fn hear(&mut self, id: u64, text: &str) {
        self.tell_message(message(id, NOW - 60, Direction::Incoming, text));
    }

    pub(crate) fn press(&mut self, code: KeyCode) {
        self.key(KeyEvent::new(code, KeyModifiers::NONE));
    }

    pub(crate) fn control(&mut self, letter: char) {
        self.key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL));
    }

    pub(crate) fn write(&mut self, text: &str) {
        text.chars().for_each(|letter| self.press(KeyCode::Char(letter)));
    }

    /// A stranger with this key, who showed so much work, asks to be let in.
    pub(crate) fn hear_stranger(&mut self, id: u64, key: PublicKey, work: ShownWork) {
        let arrived = UnixSeconds(NOW - 2_000);
        let view = RequestView { id: RequestId(id), identity: ME, key, arrived, work };
        self.tell(Event::Request(Request { view }));
    }

    /// Presses a key; what the node is asked by it, with its parameters.
    pub(crate) fn ask(&mut self, code: KeyCode) -> Option<String> {
        let before = self.asked.len();
        self.press(code);
        let (_, call) = self.asked.get(before)?;
        Some(format!("{} {}", call.method(), serde_json::to_string(call).expect("no paths")))
    }

    fn key(&mut self, event: KeyEvent) {
        let effects = self.model.on_key(event);
        self.carry_out(effects);
    }

    /// The cells of the screen.
    pub(crate) fn cells(&mut self, columns: u16, rows: u16) -> Buffer {
        let (model, state) = (&self.model, &mut self.state);
        cells(columns, rows, |frame| view(model, state, frame)).backend().buffer().clone()
    }

    /// Something is pasted.
    pub(crate) fn paste(&mut self, text: &str) {
        drop(self.model.paste(text));
    }

    /// The text of the screen, and the place of the cursor.
    pub(crate) fn see(&mut self, columns: u16, rows: u16) -> String {
        let (model, state) = (&self.model, &mut self.state);
        let seen = see(columns, rows, |frame| view(model, state, frame));
        drop(self.model.on_drawn(self.state.scroll_position()));
        if self.state.shows_questions() {
            self.model.on_question_seen();
        }
        seen
    }
}

/// The text that a drawing leaves on a screen of this size, with the place of the cursor under it.
pub(crate) fn see(columns: u16, rows: u16, draw: impl FnOnce(&mut Frame<'_>)) -> String {
    let mut terminal = cells(columns, rows, draw);
    let cursor = terminal.get_cursor_position().expect("a cursor");
    let text = dump(terminal.backend().buffer());
    format!("{text}cursor {},{}\n", cursor.x, cursor.y)
}

fn cells(columns: u16, rows: u16, draw: impl FnOnce(&mut Frame<'_>)) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a test terminal");
    terminal.draw(draw).expect("drawing in memory");
    terminal
}

fn dump(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut row = String::new();
        let mut hidden = 0;
        for x in 0..buffer.area.width {
            let Some(cell) = buffer.cell((x, y)) else { continue };
            if hidden > 0 {
                hidden -= 1;
                continue;
            }
            row.push_str(cell.symbol());
            hidden = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

pub(crate) fn network() -> NetworkStatus {
    NetworkStatus {
        ready: true,
        peers: 6,
        network: "main".to_owned(),
        listening: vec!["/ip4/127.0.0.1/tcp/4001".to_owned()],
        names_trouble: None,
        pool_bytes: 13_100_000,
        pool_capacity: 32_000_000,
        pool_items: 2_204,
        steps: StepsStatus::default(),
        price: PriceStatus::default(),
        price_from: PriceSource::Peers,
        fill: FillStatus { six_hours: 3, day: 52, week: 11 },
        line: LineStatus { blocks_per_second: 16, percent_left: 97 },
        floor_bits: 18,
        waiting: WaitingStatus::default(),
        in_line: WaitingStatus::default(),
        unanswered: 0,
        cover_per_minute: Some(2.0),
        cover: CoverStatus::Runs,
        mining: Some(MiningStatus { tries: 1 << 18, hashes_per_second: 71_000 }),
        queued: 2,
        rate: 71_000,
        miner: MinerStatus::default(),
        clock_minutes: None,
        clock_witnesses: 0,
        caught_up: 0,
        archive: None,
    }
}

/// Messages with mira.
pub(crate) fn told(messages: Vec<MessageView>) -> Vec<Message> {
    let with = || "mira".to_owned();
    messages.into_iter().map(|view| Message { view, with: with(), waits_for: None }).collect()
}

pub(crate) fn message(id: u64, at: u64, direction: Direction, text: &str) -> MessageView {
    MessageView {
        id: MessageId(id),
        contact: MIRA,
        direction,
        number: Some(id),
        text: UntrustedText::new(text.to_owned()),
        at: UnixSeconds(at),
        missing: 0,
        early: false,
        lifetime: Lifetime::Day,
        highest: None,
        delivery: DeliveryLog::default(),
    }
}

fn conversation() -> Vec<MessageView> {
    let ours = Direction::Outgoing;
    let said = [
        (90_000, Direction::Incoming, "did the relay on your side come back?"),
        (89_000, ours(MessageState::Delivered), "yes, since 08:10. 3 of 5 up now"),
        (
            3_000,
            Direction::Incoming,
            "good. here is the plan, it is long:\n1) both of us rotate the \
             invite\n2) you keep the old one open until Friday, and nobody tells the others",
        ),
        (2_900, ours(MessageState::Delivered), "ok. rotating now"),
        (2_000, ours(MessageState::Failed), "can you check wren?"),
        (1_000, ours(MessageState::Cancelled), "never mind"),
        (600, ours(MessageState::Sent), "here. sorry, was on the train"),
        (90, ours(MessageState::Mining), "give me five minutes 👍"),
        (10, ours(MessageState::Queued), "second thing"),
    ];
    let numbered = said.into_iter().zip(100..);
    numbered.map(|((ago, direction, text), id)| message(id, NOW - ago, direction, text)).collect()
}
