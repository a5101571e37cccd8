//! A network inside this process: three relays, an echo contact, and you. Nothing leaves the
//! computer, nothing is stored.
//!
//! Everything is as in real use (the same engines, libp2p swarms, handshake and work) but for the
//! memory transport, a floor of 2^10 and quicker acknowledgements.

use std::time::Duration;

use tokio::task::JoinSet;

use super::tui;
use crate::engine::env::{Entropy as _, Millis};
use crate::engine::event::SessionStatus;
use crate::engine::record::MessageState;
use crate::shell::api::calls::{
    ContactAdd, ContactClose, IdentityNew, MessageSend, MessageWait, RequestAccept,
};
use crate::shell::api::{ClientInfo, ClientKind, Event, EventFilter, From, Identity, Message};
use crate::shell::cli::args::GlobalArgs;
use crate::shell::cli::output;
use crate::shell::client::{Client, Connect, Events, NodeOptions};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::clock::OsEntropy;
use crate::shell::ui::UiMode;

/// `undertone demo`
pub(super) async fn open(global: &GlobalArgs) -> Result<(), Failure> {
    output::print_message("starting a private network inside this computer ...");
    let mut network = DemoNetwork::start().await?;
    network.visitor.meet(&network.echo).await?;
    output::print_message("Nothing leaves this computer and nothing is stored. Ctrl+Q quits.");
    let shown = tui::show(global, UiMode::Demo, &network.visitor.client).await;
    network.stop().await?;
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
    ))?;
    output::print_line("ok  echo is online, you are \"visitor\"")?;
    let visitor = &mut network.visitor;
    visitor.meet(&network.echo).await?;
    output::print_line("ok  handshake with echo: session ready")?;
    visitor.say_and_wait("hello").await?;
    output::print_line("ok  hello: queued, mined, sent, acknowledged")?;
    visitor.expect("echo: hello").await?;
    output::print_line("ok  echo answered: echo: hello")?;
    for number in 0..BURST {
        visitor.say(&format!("message {number}")).await?;
    }
    for number in 0..BURST {
        visitor.expect(&format!("echo: message {number}")).await?;
    }
    output::print_line(&format!("ok  {BURST} messages sent and echoed, in order, none lost"))?;
    visitor.say("nasty").await?;
    let nasty = visitor.next_text().await?;
    let cleaned = nasty.text.sanitize_for_cell();
    if cleaned.text.chars().any(|c| c.is_control() && c != '\n') || cleaned.changes == 0 {
        return Err(failed("hostile text was not made visible"));
    }
    output::print_line("ok  hostile text made visible")?;
    visitor.client.call(ContactClose { contact: ECHO.into() }).await?;
    visitor.wait_for_session(SessionStatus::None).await?;
    output::print_line("ok  session closed, keys erased")?;
    network.stop().await?;
    output::print_line("ok  nothing was written to disk")?;
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
    relays: Vec<Client>,
    visitor: Visitor,
    echo: Identity,
    echo_client: Client,
    /// Answers on behalf of echo; ends with it.
    answering: JoinSet<()>,
}

impl DemoNetwork {
    /// Starts relays in a row, echo at the far end, the visitor at the near one.
    async fn start() -> Result<Self, Failure> {
        let (mut relays, mut addresses) = (Vec::new(), Vec::new());
        for _ in 0..RELAYS {
            let address = memory_address();
            let relay = node(addresses.last())?.relay().listen(&address)?;
            relays.push(start(relay).await?);
            addresses.push(address);
        }
        let (echo_client, echo) = messenger(addresses.last(), "echo").await?;
        let (client, _) = messenger(addresses.first(), "visitor").await?;
        let mut answering = JoinSet::new();
        let events = echo_client.events(EventFilter::all(), From::Now).await?;
        answering.spawn(run_echo(echo_client.clone(), events));
        let events = client.events(EventFilter::all(), From::Now).await?;
        Ok(Self { relays, visitor: Visitor { client, events }, echo, echo_client, answering })
    }

    async fn stop(mut self) -> Result<(), Failure> {
        self.answering.shutdown().await;
        for client in [self.visitor.client, self.echo_client].into_iter().chain(self.relays) {
            client.close().await?;
        }
        Ok(())
    }
}

async fn start(options: NodeOptions) -> Result<Client, Failure> {
    let who = ClientInfo::new(ClientKind::Command);
    Client::connect(Connect::Start(options), who).await.map(|(client, _)| client)
}

/// Starts a messenger at a relay and gives it an identity.
async fn messenger(relay: Option<&String>, name: &str) -> Result<(Client, Identity), Failure> {
    let client = start(node(relay)?).await?;
    let identity = client.call(IdentityNew::new(name)).await?;
    Ok((client, identity))
}

/// The messenger that this program, or the person in front of it, speaks as.
struct Visitor {
    client: Client,
    events: Events,
}

impl Visitor {
    /// Adds echo and waits until the session is established.
    async fn meet(&mut self, echo: &Identity) -> Result<(), Failure> {
        self.client.call(ContactAdd::new(echo.invite(), ECHO)).await?;
        self.wait_for_session(SessionStatus::Established).await
    }

    async fn wait_for_session(&mut self, wanted: SessionStatus) -> Result<(), Failure> {
        loop {
            if let Event::Session { session, .. } = self.event().await?
                && session == wanted
            {
                return Ok(());
            }
        }
    }

    /// Sends a text without waiting for anything.
    async fn say(&self, text: &str) -> Result<(), Failure> {
        self.client.call(MessageSend::new(ECHO, text)).await.map(drop)
    }

    /// Sends a text and waits until it is acknowledged.
    async fn say_and_wait(&self, text: &str) -> Result<(), Failure> {
        let message = self.client.call(MessageSend::new(ECHO, text)).await?.id.into();
        let (state, timeout_s) = (MessageState::Delivered, CHECK_AT_MOST.as_secs());
        self.client.call(MessageWait { message, state, timeout_s }).await.map(drop)
    }

    async fn expect(&mut self, text: &str) -> Result<(), Failure> {
        let message = self.next_text().await?;
        if message.raw_text() == text {
            return Ok(());
        }
        Err(failed("echo answered with another text, or in another order"))
    }

    async fn next_text(&mut self) -> Result<Message, Failure> {
        self.events.incoming().await.ok_or_else(|| failed("a node stopped"))
    }

    async fn event(&mut self) -> Result<Event, Failure> {
        self.events.event().await.ok_or_else(|| failed("a node stopped"))
    }
}

/// Runs echo: accepts every contact request and sends every text back.
async fn run_echo(client: Client, mut events: Events) {
    let mut guests = 0_u32;
    while let Some(event) = events.event().await {
        let answered = if let Event::Request(request) = &event {
            guests += 1;
            let accept = RequestAccept::new(request, format!("guest {guests}"));
            client.call(accept).await.map(drop)
        } else if let Event::Message(message) = &event
            && message.is_incoming()
        {
            let answer = echo(&message.raw_text());
            client.call(MessageSend::new(message.contact, answer)).await.map(drop)
        } else {
            Ok(())
        };
        if answered.is_err() {
            return;
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

/// A node at this relay.
fn node(relay: Option<&String>) -> Result<NodeOptions, Failure> {
    let mut options = NodeOptions::in_memory().network("demo")?.floor(DEMO_FLOOR);
    (options.node.reply_delay, options.node.retransmit_after) =
        (Millis(300), Millis::from_secs(10));
    match relay {
        Some(address) => options.peer(address),
        None => Ok(options),
    }
}

/// An address nobody else in this process has, as far as 63 random bits go.
fn memory_address() -> String {
    let mut bytes = [0; 8];
    OsEntropy.fill(&mut bytes);
    let number = u64::from_le_bytes(bytes) >> 1 | 1;
    format!("/memory/{number}")
}

/// The visitor's name for echo.
const ECHO: &str = "echo";

/// Enough for a row in which nobody is next to everybody.
const RELAYS: usize = 3;

/// Messages sent at once by the check.
const BURST: usize = 20;

/// A thousand tries: the marks of a message can be watched, nobody waits.
const DEMO_FLOOR: u8 = 10;

/// The check is done in seconds; this names a hang.
const CHECK_AT_MOST: Duration = Duration::from_secs(60);
