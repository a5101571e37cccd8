//! A network inside this process: three relays, an echo contact, and you. Nothing leaves the
//! computer, nothing is stored.
//!
//! Everything is as in real use (the same engines, libp2p swarms, handshake and work) but for the
//! memory transport, a floor of 2^10 and quicker acknowledgements.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::tui;
use crate::engine::command::{Command, Reply};
use crate::engine::crypto::keys::PublicKey;
use crate::engine::env::Millis;
use crate::engine::envelope::{Floor, Lifetime};
use crate::engine::event::{Direction, Event, MessageView, SessionStatus};
use crate::engine::id::{CommandId, ContactId, IdentityId};
use crate::engine::record::MessageState;
use crate::engine::settings::{NodeRole, NodeSettings};
use crate::shell::api::{ClientEvent, ClientRequest, UiMode};
use crate::shell::cli::args::GlobalArgs;
use crate::shell::cli::output;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::failures::RefusedCommand;
use crate::shell::net::{Multiaddr, NetSettings, Transport};
use crate::shell::os::clock::OsEntropy;
use crate::shell::runtime::{Runtime, RuntimeError, Subscriptions};
use crate::shell::store::Store;

/// `undertone demo`
pub(super) async fn open(global: &GlobalArgs) -> Result<(), Failure> {
    output::print_message("starting a private network inside this computer ...");
    let mut network = DemoNetwork::start().await?;
    network.visitor.meet(&network.echo_key).await?;
    output::print_message("Nothing leaves this computer and nothing is stored. Ctrl+Q quits.");
    let (events, incoming) = mpsc::channel(CHANNEL);
    network.visitor.subscriptions.subscribe(events).await;
    let requests = network.visitor.requests.clone();
    let shown = tui::show(global, UiMode::Demo, incoming, requests).await;
    network.tasks.shutdown().await;
    shown
}

/// `undertone demo --check`
pub(super) async fn check() -> Result<(), Failure> {
    tokio::time::timeout(CHECK_AT_MOST, walk()).await.unwrap_or_else(|_| {
        Err(failed("it took longer than a minute; this computer may be very busy"))
    })
}

async fn walk() -> Result<(), Failure> {
    let mut network = DemoNetwork::start().await?;
    output::print_line(&format!(
        "ok  {RELAYS} relays running, over libp2p on the memory transport"
    ));
    output::print_line("ok  echo is online, you are \"visitor\"");
    let visitor = &mut network.visitor;
    let echo = visitor.meet(&network.echo_key).await?;
    output::print_line("ok  handshake with echo: session ready");
    visitor.say(echo, "hello").await?;
    output::print_line("ok  hello: queued, mined, sent, acknowledged");
    visitor.expect("echo: hello").await?;
    output::print_line("ok  echo answered: echo: hello");
    for number in 0..BURST {
        visitor.say_only(echo, &format!("message {number}")).await?;
    }
    for number in 0..BURST {
        visitor.expect(&format!("echo: message {number}")).await?;
    }
    output::print_line(&format!("ok  {BURST} messages sent and echoed, in order, none lost"));
    visitor.say_only(echo, "nasty").await?;
    let nasty = visitor.next_text().await?;
    let cleaned = nasty.text.sanitize_for_cell();
    if cleaned.text.chars().any(|c| c.is_control() && c != '\n') || cleaned.changes == 0 {
        return Err(failed("hostile text was not made visible"));
    }
    output::print_line("ok  hostile text made visible");
    visitor.ask(Command::CloseSession { contact: echo }).await?;
    visitor.wait_for_link(SessionStatus::None).await?;
    output::print_line("ok  session closed, keys erased");
    network.tasks.shutdown().await;
    output::print_line("ok  nothing was written to disk");
    Ok(())
}

fn failed(why: &str) -> Failure {
    let what = "the demo did not finish";
    Failure::new(
        FailureCode::Demo,
        FailureText {
            what,
            why,
            safe: "nothing is stored",
            next: "try again: undertone demo --check",
        },
    )
}

/// Everyone in the demonstration.
struct DemoNetwork {
    tasks: JoinSet<Result<(), RuntimeError>>,
    visitor: DemoNode,
    echo_key: PublicKey,
}

impl DemoNetwork {
    /// Starts relays in a row, echo at the far end, the visitor at the near one.
    async fn start() -> Result<Self, Failure> {
        let mut tasks = JoinSet::new();
        let mut relays: Vec<Multiaddr> = Vec::new();
        for _ in 0..RELAYS {
            let address = memory_address()?;
            let mut net = net(relays.last());
            net.listen.push(address.clone());
            let runtime = Runtime::start(node(NodeRole::Relay), net, Store::in_memory()?)?;
            let (requests, asked) = mpsc::channel::<ClientRequest>(1);
            tasks.spawn(async move {
                // A relay is asked nothing; holding the sender keeps it running.
                let _requests = requests;
                runtime.run(asked).await
            });
            relays.push(address);
        }
        let mut echo = DemoNode::start(&mut tasks, relays.last(), "echo").await?;
        let visitor = DemoNode::start(&mut tasks, relays.first(), "visitor").await?;
        let echo_key = echo.key;
        tasks.spawn(async move {
            echo.run_echo().await;
            Ok(())
        });
        Ok(Self { tasks, visitor, echo_key })
    }
}

/// A messenger with an identity, driven by this program.
struct DemoNode {
    requests: mpsc::Sender<ClientRequest>,
    events: mpsc::Receiver<ClientEvent>,
    subscriptions: Subscriptions,
    identity: IdentityId,
    key: PublicKey,
    /// The session status of its only contact.
    link: SessionStatus,
    asks: u64,
}

impl DemoNode {
    /// Starts a messenger at a relay and gives it an identity.
    async fn start(
        tasks: &mut JoinSet<Result<(), RuntimeError>>,
        relay: Option<&Multiaddr>,
        name: &str,
    ) -> Result<Self, Failure> {
        let runtime = Runtime::start(node(NodeRole::Messenger), net(relay), Store::in_memory()?)?;
        let (requests, asked) = mpsc::channel(CHANNEL);
        let (sender, mut events) = mpsc::channel(CHANNEL);
        let subscriptions = runtime.subscriptions();
        subscriptions.subscribe(sender).await;
        tasks.spawn(runtime.run(asked));
        let command = Command::CreateIdentity { name: name.to_owned() };
        if requests.send(ClientRequest::Command(CommandId(FIRST_ASK), command)).await.is_err() {
            return Err(failed("a node stopped"));
        }
        loop {
            match events.recv().await {
                Some(ClientEvent::Engine(Event::Identity(view))) => {
                    let (identity, key) = (view.id, view.key);
                    let (link, asks) = (SessionStatus::None, FIRST_ASK);
                    return Ok(Self { requests, events, subscriptions, identity, key, link, asks });
                }
                Some(ClientEvent::Fatal(why)) => return Err(failed(&why)),
                Some(_) => {}
                None => return Err(failed("a node stopped")),
            }
        }
    }

    /// Adds echo and waits until the session is established.
    async fn meet(&mut self, key: &PublicKey) -> Result<ContactId, Failure> {
        let command =
            Command::AddContact { identity: self.identity, key: *key, petname: "echo".to_owned() };
        let Reply::Contact(echo) = self.ask(command).await? else {
            return Err(failed("echo was not added"));
        };
        self.wait_for_link(SessionStatus::Established).await?;
        Ok(echo)
    }

    async fn wait_for_link(&mut self, wanted: SessionStatus) -> Result<(), Failure> {
        while self.link != wanted {
            self.event().await?;
        }
        Ok(())
    }

    async fn ask(&mut self, command: Command) -> Result<Reply, Failure> {
        self.asks += 1;
        let ask = CommandId(self.asks);
        if self.requests.send(ClientRequest::Command(ask, command)).await.is_err() {
            return Err(failed("a node stopped"));
        }
        loop {
            if let ClientEvent::Replied(answered, reply) = self.event().await?
                && answered == ask
            {
                return reply.map_err(|error| {
                    Failure::refused(error, RefusedCommand::new("the demo did not go on"))
                });
            }
        }
    }

    /// Sends a text without waiting for anything.
    async fn say_only(&mut self, contact: ContactId, text: &str) -> Result<(), Failure> {
        self.asks += 1;
        let command = Command::Say { contact, text: text.to_owned(), lifetime: Lifetime::Day };
        let said = self.requests.send(ClientRequest::Command(CommandId(self.asks), command)).await;
        said.map_err(|_| failed("a node stopped"))
    }

    /// Sends a text and waits until it is acknowledged.
    async fn say(&mut self, contact: ContactId, text: &str) -> Result<(), Failure> {
        self.say_only(contact, text).await?;
        loop {
            if let Event::State { state: MessageState::Delivered, .. } = self.engine_event().await?
            {
                return Ok(());
            }
        }
    }

    async fn expect(&mut self, text: &str) -> Result<(), Failure> {
        let view = self.next_text().await?;
        if view.text.clone().into_raw() == text {
            return Ok(());
        }
        Err(failed("echo answered with another text, or in another order"))
    }

    async fn next_text(&mut self) -> Result<MessageView, Failure> {
        loop {
            if let Event::Message(view) = self.engine_event().await?
                && view.direction == Direction::Incoming
            {
                return Ok(view);
            }
        }
    }

    async fn engine_event(&mut self) -> Result<Event, Failure> {
        loop {
            if let ClientEvent::Engine(event) = self.event().await? {
                return Ok(event);
            }
        }
    }

    async fn event(&mut self) -> Result<ClientEvent, Failure> {
        match self.events.recv().await {
            Some(ClientEvent::Fatal(why)) => Err(failed(&why)),
            Some(event) => {
                if let ClientEvent::Engine(Event::Contact(view)) = &event {
                    self.link = view.session;
                }
                Ok(event)
            }
            None => Err(failed("a node stopped")),
        }
    }

    /// Runs echo: accepts every contact request and sends every text back.
    async fn run_echo(&mut self) {
        let mut guests = 0_u32;
        loop {
            let command = match self.engine_event().await {
                Err(_) => return,
                Ok(Event::Request(view)) => {
                    guests += 1;
                    let petname = format!("guest {guests}");
                    Command::AcceptRequest { request: view.id, petname }
                }
                Ok(Event::Message(view)) if view.direction == Direction::Incoming => {
                    let text = echo(&view.text.into_raw());
                    Command::Say { contact: view.contact, text, lifetime: Lifetime::Day }
                }
                Ok(_) => continue,
            };
            self.asks += 1;
            if self
                .requests
                .send(ClientRequest::Command(CommandId(self.asks), command))
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

/// The answer of echo to a text.
fn echo(text: &str) -> String {
    match text.trim() {
        "help" => "I send back what you write. I also know the words: nasty, help".to_owned(),
        "nasty" => format!(
            "\u{1b}]0;gotcha\u{7}title, \u{1b}[31mcolour, good\rEVIL, \u{202e}backwards\u{202c}, \
             z\u{200b}ero width, {}",
            "e\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}".repeat(20)
        ),
        _ => {
            let mut answer = format!("echo: {text}");
            let mut end = answer.len().min(crate::engine::session::MAX_TEXT);
            while !answer.is_char_boundary(end) {
                end -= 1;
            }
            answer.truncate(end);
            answer
        }
    }
}

fn node(role: NodeRole) -> NodeSettings {
    NodeSettings {
        reply_delay: Millis(300),
        retransmit_after: Millis::from_secs(10),
        ..NodeSettings::new(role, Floor::new(DEMO_FLOOR))
    }
}

fn net(peer: Option<&Multiaddr>) -> NetSettings {
    let name = "demo".parse();
    #[expect(clippy::expect_used, reason = "the name is fixed and well formed")]
    let mut settings = NetSettings::new(name.expect("a good name"), DEMO_FLOOR);
    settings.transport = Transport::Memory;
    settings.peers.extend(peer.cloned());
    settings
}

/// An address nobody else in this process has, as far as 63 random bits go.
fn memory_address() -> Result<Multiaddr, Failure> {
    use crate::engine::env::Entropy as _;

    let mut bytes = [0; 8];
    OsEntropy.fill(&mut bytes);
    let number = u64::from_le_bytes(bytes) >> 1 | 1;
    format!("/memory/{number}").parse().map_err(|_| failed("no address could be created"))
}

/// Enough for a row in which nobody is next to everybody.
const RELAYS: usize = 3;

/// Messages sent at once by the check.
const BURST: usize = 20;

/// A thousand tries: the marks of a message can be watched, nobody waits.
const DEMO_FLOOR: u8 = 10;

/// The check is done in seconds; this names a hang.
const CHECK_AT_MOST: Duration = Duration::from_secs(60);

/// Events of a burst of messages.
const CHANNEL: usize = 1_024;

/// Far above the command ids of the interface: both use the same runtime.
const FIRST_ASK: u64 = 1 << 50;
