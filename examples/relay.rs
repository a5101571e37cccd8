//! A relay as a library: it forwards a conversation that it cannot decrypt.
//!
//! It listens on the memory transport, so that everything here is one process; give it
//! `Transport::Internet` and an address such as `/ip4/0.0.0.0/tcp/4141`, and it serves the world.
//!
//! `cargo run --example relay`
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

const FLOOR: u8 = 8;
const ADDRESS: &str = "/memory/4141";

#[tokio::main]
pub(crate) async fn main() -> anyhow::Result<()> {
    let mut relay = NetSettings::new("example".parse()?, FLOOR);
    relay.transport = Transport::Memory;
    relay.listen.push(ADDRESS.parse()?);
    let mut tasks = JoinSet::new();
    let (relay, mut carried) = start(&mut tasks, NodeRole::Relay, relay).await?;
    let (ann, mut anns) = start(&mut tasks, NodeRole::Messenger, at_the_relay()?).await?;
    let (bob, mut bobs) = start(&mut tasks, NodeRole::Messenger, at_the_relay()?).await?;

    ask(&bob, Command::CreateIdentity { name: "bob".to_owned() }).await?;
    let key = loop {
        if let Event::Identity(view) = notice(&mut bobs).await? {
            break view.key;
        }
    };
    ask(&ann, Command::CreateIdentity { name: "ann".to_owned() }).await?;
    let mut said = false;
    loop {
        tokio::select! {
            told = notice(&mut anns) => match told? {
                Event::Identity(view) => {
                    let (identity, petname) = (view.id, "bob".to_owned());
                    ask(&ann, Command::AddContact { identity, key, petname }).await?;
                }
                Event::Contact(view) if view.session == SessionStatus::Established && !said => {
                    said = true;
                    let text = "hello through the relay".to_owned();
                    ask(&ann, Command::Say { contact: view.id, text, lifetime: Lifetime::Day }).await?;
                }
                _ => {}
            },
            told = notice(&mut bobs) => match told? {
                Event::Request(view) => {
                    let (request, petname) = (view.id, "ann".to_owned());
                    ask(&bob, Command::AcceptRequest { request, petname }).await?;
                }
                Event::Message(view) if view.direction == Direction::Incoming => {
                    println!("bob reads: {}", view.text.sanitize_for_text().text);
                    break;
                }
                _ => {}
            },
        }
    }
    while let Some(event) = carried.recv().await {
        if let ClientEvent::Network(line) = event
            && line.pool_items > 0
        {
            println!("the relay holds {} envelopes, all alike", line.pool_items);
            break;
        }
    }
    drop((relay, ann, bob));
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

fn at_the_relay() -> anyhow::Result<NetSettings> {
    let mut net = NetSettings::new("example".parse()?, FLOOR);
    net.transport = Transport::Memory;
    net.peers.push(ADDRESS.parse()?);
    Ok(net)
}

/// Starts a node that stores nothing; it ends when the sender of its requests is dropped.
async fn start(
    tasks: &mut JoinSet<Result<(), RuntimeError>>,
    role: NodeRole,
    net: NetSettings,
) -> anyhow::Result<(Sender<ClientRequest>, Receiver<ClientEvent>)> {
    let runtime =
        Runtime::start(NodeSettings::new(role, Floor::new(FLOOR)), net, Store::in_memory()?)?;
    let ((requests, asked), (told, events)) = (channel(16), channel(256));
    runtime.subscriptions().subscribe(told).await;
    tasks.spawn(runtime.run(asked));
    Ok((requests, events))
}

async fn ask(node: &Sender<ClientRequest>, command: Command) -> anyhow::Result<()> {
    Ok(node.send(ClientRequest::Command(CommandId(0), command)).await?)
}

async fn notice(events: &mut Receiver<ClientEvent>) -> anyhow::Result<Event> {
    loop {
        if let ClientEvent::Engine(notice) = events.recv().await.context("the node has ended")? {
            return Ok(notice);
        }
    }
}
