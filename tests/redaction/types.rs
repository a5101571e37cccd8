//! Snapshots of `{:?}`: one line for each type, and one for each shape that a conversation gave it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use clap::Parser as _;
use insta::assert_snapshot;
use undertone::engine::command::Command;
use undertone::engine::crypto::aead::OneTimeKey;
use undertone::engine::crypto::ecies::{self, SealedBox};
use undertone::engine::crypto::kdf::KdfLabel;
use undertone::engine::crypto::kem::KemSecret;
use undertone::engine::crypto::keys::{EphemeralSecret, Identity};
use undertone::engine::env::{Env, Millis, UnixSeconds};
use undertone::engine::envelope::wire::BODY_SIZE;
use undertone::engine::envelope::{
    Draft, Envelope, EnvelopeId, Floor, Lifetime, Topic, WorkNonce, check,
};
use undertone::engine::id::{ContactId, MessageId, OutgoingId};
use undertone::engine::node::Node;
use undertone::engine::price::{SaidSteps, Step};
use undertone::engine::record::{
    Change, ReceiveSequence, RecordKey, SendSequence, StoredDirection,
};
use undertone::engine::secret::Secret;
use undertone::engine::session::{
    Ack, Content, Offer, Payload, ReceivedOffer, TopicIndex, WINDOW, junk,
};
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::engine::sync::{
    ClientSession, EnvelopeSet, ResponseBody, ServerSession, ServerStep, SketchSalt, Snapshot,
    SyncQuery, SyncResponse,
};
use undertone::engine::text::UntrustedText;
use undertone::engine::turn::{Effect, Output};
use undertone::shell::api::calls::{AnyCall, BackupSealing, ContactRef, Id, MessageRef};
use undertone::shell::api::{
    ArchiveStatus, ClientInfo, ClientKind, CoverStatus, Directory, Event, EventFilter, FillStatus,
    From, LineStatus, MinerStatus, NetworkStatus, PriceSource, PriceStatus, StepsStatus,
    WaitingStatus,
};
use undertone::shell::cli::args::{BackupAction, Cli, CliCommand, NetworkArgs};
use undertone::shell::durable_node::DurableNode;
use undertone::shell::failure::{Failure, FailureCode, FailureText};
use undertone::shell::net::{Net, NetEvent, NetSettings, Transport};
use undertone::shell::os::passphrase::{Passphrase, PassphraseSource};
use undertone::shell::store::Store;
use undertone::shell::ui::UnlockChoice;
use undertone::sim::SeededRng;
use undertone::{Client, Connect, NodeOptions};
use zeroize::Zeroizing;

use crate::conversation::held;

/// A line for each value, under its name here.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, thing: &impl Debug) {
        self.0.push_str(&format!("{name}: {thing:?}\n"));
    }
}

/// A text with `N` for each number, so that what is counted may change.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for letter in text.chars() {
        match (letter.is_ascii_digit(), shape.ends_with('N')) {
            (false, _) => shape.push(letter),
            (true, true) => {}
            (true, false) => shape.push('N'),
        }
    }
    shape
}

fn shapes(shown: &BTreeSet<String>) -> String {
    let shapes: BTreeSet<String> = shown.iter().map(|text| shape(text)).collect();
    shapes.into_iter().map(|line| line + "\n").collect()
}

#[test]
fn keys_and_sessions_show_what_they_are() {
    let mut chance = SeededRng::lane(1, 0);
    let mut env = Env::new(Millis(0), UnixSeconds(1_795_171_640), &mut chance);
    let (ours, theirs) = (Identity::generate(&mut env), Identity::generate(&mut env));
    let kem = KemSecret::draw(&mut env);
    let sealed = ecies::seal(&mut env, &theirs.public(), b"good morning");
    let (offer, session) = Offer::new(&mut env, &ours, &theirs.public(), WINDOW);
    let letter = offer.seal(&mut env);
    let received = ReceivedOffer::open(&theirs, &letter.body).expect("an offer to them");
    let answering = received.accept(&mut env, WINDOW);
    let ack = Ack { epoch: 0x5ac3_1799_e02b_7408, next: 3, sack: 0 };
    let content = Content::Text("good morning".to_owned());
    let said = Payload { ack: Some(ack), number: Some(7), content, ..Payload::nothing() };
    let step = session.encrypt(&mut env, &said).expect("room in the window");
    let mut index = TopicIndex::new();
    index.add(&session, ContactId(1));

    let mut lines = Lines::default();
    lines.add("Secret", &Secret::<32>::draw(&mut env));
    lines.add("Identity", &ours);
    lines.add("PublicKey", &ours.public());
    lines.add("Fingerprint", &ours.public().fingerprint());
    lines.add("EphemeralSecret", &EphemeralSecret::draw(&mut env));
    lines.add("KemSecret", &kem);
    lines.add("KemPublic", &kem.public());
    let key = OneTimeKey::derive(b"salt", &Secret::draw(&mut env), KdfLabel::MessagePayload);
    lines.add("OneTimeKey", &key);
    lines.add("SealedBox", &SealedBox::parse(&sealed));
    lines.add("Offer", &offer);
    lines.add("OfferId", &offer.id());
    lines.add("ReceivedOffer", &received);
    lines.add("Session, HandshakeState, SendingChain", &session);
    lines.add("Session, ReceivingChain, TopicWindow, SkippedKeys", &answering);
    lines.add("SessionId", &session.id());
    lines.add("EncryptedStep", &step);
    lines.add("SealedBody", &step.sealed);
    lines.add("Payload, Content", &said);
    lines.add("Ack", &ack);
    lines.add("TopicIndex", &index);
    lines.add("junk", &junk(&mut env));
    lines.add("Env, Entropy", &env);
    assert_snapshot!("keys", lines.0);
}

#[test]
fn envelopes_and_texts_show_sizes_and_counts() {
    let now = UnixSeconds(472_222 * 3_600);
    let (topic, body) = (Topic([1, 2, 3, 4]), vec![7; BODY_SIZE]);
    let draft = Draft::new(now, Lifetime::Day, topic, body).expect("a draft");
    let asked = (Floor::new(1), Step::default());
    let order = draft.mining_job(OutgoingId(5), asked, 0x5ac3_1799_e02b_7408);
    let (shown, id) = (format!("{draft:?}"), draft.finish(WorkNonce(0x5ac3_1799_e02b_7408)));
    let checked = check(id.1.clone(), now, &Floor::new(0)).expect("an envelope");
    let text = UntrustedText::new("good\u{202e} morning".to_owned());

    let mut lines = Lines::default();
    lines.add("Draft", &format_args!("{shown}"));
    lines.add("MiningJob", &order);
    lines.add("WorkNonce", &WorkNonce(7));
    lines.add("Topic", &Topic([1, 2, 3, 4]));
    lines.add("EnvelopeId", &id.0);
    lines.add("Envelope", &Envelope::decode(&id.1));
    lines.add("CheckedEnvelope", &checked);
    lines.add("PriorityKey", &checked.priority_key());
    lines.add("UntrustedText", &text);
    lines.add("Sanitized", &text.sanitize_for_line());
    lines.add("SanitizedLabel", &text.sanitize_for_label());
    lines.add("SendSequence", &SendSequence { epoch: 0x5ac3_1799_e02b_7408, next: 1 });
    lines.add("ReceiveSequence", &ReceiveSequence::default());
    lines.add("StoredDirection", &StoredDirection::Buffered { epoch: 0x5ac3_1799_e02b_7408 });
    assert_snapshot!("envelopes", lines.0);
}

#[test]
fn what_passes_the_edge_of_a_node_shows_its_kind() {
    let stage = held();
    let mut lines = Lines::default();
    lines.add("Output", &Output::AuditNonce([7; 16]));
    lines.add("Change, RecordKey", &Change::Erase(RecordKey::Message(MessageId(7))));
    lines.add("Node", &Node::new(NodeSettings::new(NodeRole::Relay, Floor::new(4))));
    assert_snapshot!("passed", format!("{}{}", lines.0, shapes(&stage.passed)));
}

#[test]
fn commands_show_their_name_and_not_what_was_typed() {
    let mut lines = Lines::default();
    for typed in [
        "undertone --identity Annabel --home /home/annabel/undertone",
        "undertone --passphrase-cmd pass-show-undertone --peer /ip4/192.0.2.7/tcp/4141",
        "undertone send harbour good-morning",
        "undertone listen --from harbour",
        "undertone relay run --listen /ip4/192.0.2.7/tcp/4141",
        "undertone identity new Annabel",
        "undertone contact add UNDERTONE1XYZ --name harbour",
        "undertone request accept 02c6 --name harbour",
        "undertone history harbour --search good-morning",
        "undertone message show 0123abcd",
        "undertone backup create /home/annabel/backup",
    ] {
        let cli = Cli::try_parse_from(typed.split(' ')).expect("a command line");
        lines.add("Cli, GlobalArgs, NetworkFlags, CliCommand", &cli);
    }
    let typed = ["undertone", "--peer", "/ip4/192.0.2.7/tcp/4141", "--network", "harbour"];
    let flags = Cli::try_parse_from(typed).expect("a command line").network;
    lines.add("NetworkArgs", &NetworkArgs::from(flags));
    let action = |typed: &str| Cli::try_parse_from(typed.split(' ')).expect("a command").action;
    if let Some(CliCommand::Identity { action }) = action("undertone identity new Annabel") {
        lines.add("IdentityAction", &action);
    }
    if let Some(CliCommand::Contact { action }) = action("undertone contact add X --name harbour") {
        lines.add("ContactAction", &action);
    }
    if let Some(CliCommand::Request { action }) =
        action("undertone request accept 02 --name harbour")
    {
        lines.add("RequestAction", &action);
    }
    if let Some(CliCommand::History(args)) = action("undertone history harbour --search morning") {
        lines.add("HistoryArgs", &args);
    }
    if let Some(CliCommand::Message { action }) = action("undertone message show 0123abcd") {
        lines.add("MessageAction", &action);
    }
    let typed =
        "undertone backup check /home/annabel/backup --backup-passphrase-file /home/annabel/p";
    if let Some(CliCommand::Backup { action }) = action(typed) {
        lines.add("BackupAction", &action);
        if let BackupAction::Check { sealed_by, .. } = action {
            lines.add("BackupPassphrase", &sealed_by);
        }
    }
    let typed = "undertone passphrase change --new-passphrase-file /home/annabel/p";
    if let Some(CliCommand::Passphrase { action }) = action(typed) {
        lines.add("PassphraseAction, NewPassphrase", &action);
    }
    lines.add("PassphraseSource", &PassphraseSource::Command("pass show undertone".to_owned()));
    let passphrase = Passphrase::new(Zeroizing::new("correct horse".to_owned()));
    lines.add("Passphrase", &passphrase.expect("a passphrase"));
    lines.add("UnlockChoice", &UnlockChoice::Unlock(Zeroizing::new("correct horse".to_owned())));
    let said = FailureText {
        what: "no contact \"harbour\"",
        why: "why",
        safe: "nothing was done",
        next: "undertone contact list",
    };
    lines.add("Failure", &Failure::new(FailureCode::ContactNotFound, said));
    assert_snapshot!("commands", lines.0);
}

#[test]
fn a_node_in_its_shell_shows_no_address_and_no_text() {
    let address = || "/ip4/192.0.2.7/tcp/4141".parse().expect("an address");
    let mut settings = NetSettings::new("harbour".parse().expect("a name"), 4);
    settings.transport = Transport::Memory;
    settings.peers = vec![address()];
    let node = NodeSettings::new(NodeRole::Messenger, Floor::new(4));
    let line = quiet_network();
    let say = Command::Say {
        contact: ContactId(7),
        text: "good morning".to_owned(),
        postage: Lifetime::Day.into(),
    };

    let mut lines = Lines::default();
    let (minutes, envelope) = (0, [7; 40]);
    let set = || EnvelopeSet::new([(UnixSeconds(7), EnvelopeId([7; 32]))]);
    let snapshot = Arc::new(Snapshot::new(set(), SketchSalt([7; 8])));
    lines.add("Snapshot, EnvelopeSet", &snapshot);
    lines.add("ServerSession", &ServerSession::begin(snapshot).expect("a query"));
    lines.add("ServerStep", &ServerStep::Envelopes(vec![EnvelopeId([7; 32])]));
    lines.add("ClientSession", &ClientSession::new(set()));
    lines
        .add("SyncQuery", &SyncQuery { salt: SketchSalt([7; 8]), count: 1, comparison: &envelope });
    lines.add(
        "SyncResponse, ResponseBody",
        &SyncResponse {
            minutes,
            steps: SaidSteps::default(),
            body: ResponseBody::Envelopes(&envelope),
        },
    );
    lines.add("NetSettings", &settings);
    lines.add("NetEvent", &NetEvent::Listening(address()));
    lines.add("NetworkStatus", &line);
    lines.add("Event", &Event::Network(line));
    let with = "harbour".to_owned();
    lines.add("Event", &Event::Read { contact: ContactId(7), with, unread: 1 });
    let send = r#"{"contact":"harbour","text":"good morning"}"#;
    lines.add("AnyCall", &AnyCall::parse("message.send", send).expect("a call"));
    lines.add("ClientInfo", &ClientInfo::new(ClientKind::Bot));
    lines.add("Directory", &Directory::default());
    lines.add("ContactRef", &ContactRef::from("harbour"));
    lines.add("MessageRef", &MessageRef("abcd".to_owned()));
    lines.add("Id", &Id(7));
    let sealing = BackupSealing { head: "07".to_owned(), key: "07".repeat(32) };
    lines.add("BackupSealing", &sealing);
    let trouble = Some("harbour".to_owned());
    lines.add("ArchiveStatus", &ArchiveStatus { bytes: 7, missed: 0, trouble });
    let kernel = "harbour".to_owned();
    lines.add(
        "MinerStatus",
        &MinerStatus { threads: 7, threads_now: 7, kernel, tries_per_second: 7 },
    );
    lines.add("Command", &say);
    let publish = Effect::Publish { id: EnvelopeId([7; 32]), bytes: vec![1, 2, 3, 4] };
    lines.add("Effect", &publish);
    add_running(&mut lines, node, settings);
    assert_snapshot!("shell", lines.0);
}

/// The state of a network in which nothing happens.
fn quiet_network() -> NetworkStatus {
    NetworkStatus {
        ready: true,
        peers: 1,
        network: "harbour".to_owned(),
        listening: vec!["/ip4/192.0.2.7/tcp/4141".to_owned()],
        names_trouble: None,
        pool_bytes: 0,
        pool_capacity: 0,
        pool_items: 0,
        steps: StepsStatus::default(),
        price: PriceStatus::default(),
        price_from: PriceSource::Peers,
        fill: FillStatus::default(),
        line: LineStatus::default(),
        floor_bits: 4,
        waiting: WaitingStatus::default(),
        in_line: WaitingStatus::default(),
        unanswered: 0,
        cover_per_minute: None,
        cover: CoverStatus::Off,
        mining: None,
        queued: 0,
        rate: 0,
        miner: MinerStatus::default(),
        clock_minutes: None,
        clock_witnesses: 0,
        caught_up: 0,
        archive: None,
    }
}

/// Types that hold a store, a network or both.
fn add_running(lines: &mut Lines, node: NodeSettings, settings: NetSettings) {
    let memory = || Store::in_memory().expect("a store");
    let mut store = memory();
    lines.add("Store", &store);
    lines.add("MessageTable", &store.messages());
    lines.add("Import", &store.import().expect("an import"));
    lines.add("DurableNode", &DurableNode::open(node, memory()).expect("a node"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        lines.add("Net", &Net::new(settings.clone()).expect("a network"));
        let net = Some(settings);
        let options = NodeOptions { node, net, ..NodeOptions::in_memory() };
        lines.add("Connect", &Connect::Start(options.clone()));
        lines.add("NodeOptions", &options);
        let client = Client::start(options).await.expect("a client");
        lines.add("Client", &client);
        lines.add("Hello", &client.hello());
        lines.add("StartOptions", &client.hello().start);
        let events = client.events(EventFilter::all(), From::Now).await;
        lines.add("Events", &events.expect("a stream"));
    });
}
