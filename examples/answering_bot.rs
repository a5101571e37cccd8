//! A bot that accepts every contact request and answers every message. A visitor in the same
//! process talks to it.
//!
//! `cargo run --example answering_bot`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]
#![expect(clippy::wildcard_enum_match_arm, reason = "most of what is told is of no interest here")]

use anyhow::Context as _;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use undertone::engine::command::Command;
use undertone::engine::envelope::{Floor, Lifetime};
use undertone::engine::event::{Direction, Event, SessionStatus};
use undertone::engine::id::CommandId;
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::shell::api::{ClientEvent, ClientRequest};
use undertone::shell::net::{NetSettings, Transport};
use undertone::shell::runtime::{Runtime, RuntimeError};
use undertone::shell::store::Store;

#[tokio::main]
pub(crate) async fn main() -> anyhow::Result<()> {
    let mut bot = Somebody::start("bot").await?;
    let mut visitor = Somebody::start("visitor").await?;
    let (Event::Identity(bots), Event::Identity(own)) = (bot.hear().await?, visitor.hear().await?)
    else {
        anyhow::bail!("an identity is what a node tells of first");
    };
    let add = Command::AddContact { identity: own.id, key: bots.key, petname: "bot".to_owned() };
    visitor.ask(add).await?;
    let mut asked = false;
    loop {
        tokio::select! {
            told = bot.hear() => match told? {
                // The whole bot.
                Event::Request(view) => {
                    let petname = view.key.short();
                    bot.ask(Command::AcceptRequest { request: view.id, petname }).await?;
                }
                Event::Message(view) if view.direction == Direction::Incoming => {
                    let text = answer(&view.text.into_raw());
                    bot.ask(Command::Say { contact: view.contact, text, lifetime: Lifetime::Day }).await?;
                }
                _ => {}
            },
            told = visitor.hear() => match told? {
                Event::Contact(view) if view.session == SessionStatus::Established && !asked => {
                    asked = true;
                    let text = "what is six times seven".to_owned();
                    visitor.ask(Command::Say { contact: view.id, text, lifetime: Lifetime::Day }).await?;
                }
                Event::Message(view) if view.direction == Direction::Incoming => {
                    println!("the bot says: {}", view.text.sanitize_for_text().text);
                    return Ok(());
                }
                _ => {}
            },
        }
    }
}

fn answer(text: &str) -> String {
    format!("{} words; I will think about it", text.split_whitespace().count())
}

/// A node with an identity, the sender of requests to it and the receiver of its events.
struct Somebody {
    requests: Sender<ClientRequest>,
    events: Receiver<ClientEvent>,
    /// Ends with its owner.
    _task: JoinSet<Result<(), RuntimeError>>,
}

impl Somebody {
    /// A messenger that stores nothing; the one with the name `bot` listens, so that it can be
    /// dialled.
    async fn start(name: &str) -> anyhow::Result<Self> {
        let mut net = NetSettings::new("example".parse()?, FLOOR);
        net.transport = Transport::Memory;
        let place = if name == "bot" { &mut net.listen } else { &mut net.peers };
        place.push("/memory/4242".parse()?);
        let node = NodeSettings::new(NodeRole::Messenger, Floor::new(FLOOR));
        let runtime = Runtime::start(node, net, Store::in_memory()?)?;
        let ((requests, asked), (told, events)) = (channel(16), channel(256));
        runtime.subscriptions().subscribe(told).await;
        let mut task = JoinSet::new();
        task.spawn(runtime.run(asked));
        let somebody = Self { requests, events, _task: task };
        somebody.ask(Command::CreateIdentity { name: name.to_owned() }).await?;
        Ok(somebody)
    }

    async fn ask(&self, command: Command) -> anyhow::Result<()> {
        Ok(self.requests.send(ClientRequest::Command(CommandId(0), command)).await?)
    }

    async fn hear(&mut self) -> anyhow::Result<Event> {
        loop {
            if let ClientEvent::Engine(notice) =
                self.events.recv().await.context("the node ended")?
            {
                return Ok(notice);
            }
        }
    }
}

/// 256 tries on average: quick.
const FLOOR: u8 = 8;
