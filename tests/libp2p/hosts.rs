//! Whole nodes in one process: each a host in a task of its own, all told of to one reader.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use undertone::engine::command::{Command, CommandError, Reply};
use undertone::engine::crypto::keys::PublicKey;
use undertone::engine::env::Millis;
use undertone::engine::envelope::Floor;
use undertone::engine::event::Event;
use undertone::engine::id::{CommandId, IdentityId};
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::shell::api::{ClientEvent, ClientRequest, NetworkStatus};
use undertone::shell::net::{Multiaddr, NetSettings, Transport};
use undertone::shell::runtime::{Runtime, RuntimeError};
use undertone::shell::store::Store;
use undertone::sim::Observed;

use crate::world::in_time;

/// 256 tries on average: quick, and nothing meets it by chance.
pub(crate) const LOW_FLOOR: u8 = 8;

/// A node that hurries, in a network with [`LOW_FLOOR`].
pub(crate) fn node_settings(role: NodeRole) -> NodeSettings {
    NodeSettings {
        reply_delay: Millis(300),
        retransmit_after: Millis::from_secs(10),
        ..NodeSettings::new(role, Floor::new(LOW_FLOOR))
    }
}

/// The network of all hosts here.
pub(crate) fn net_settings(listen: Option<&Multiaddr>, peers: &[&Multiaddr]) -> NetSettings {
    let mut settings = NetSettings::new("hosts".parse().expect("a name"), LOW_FLOOR);
    settings.transport = Transport::Memory;
    settings.listen = listen.into_iter().cloned().collect();
    settings.peers = peers.iter().map(|&peer| peer.clone()).collect();
    settings
}

/// One host as it is seen from outside.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// What its person would see.
    pub(crate) seen: Observed,
    /// Its only identity.
    pub(crate) own: Option<(IdentityId, PublicKey)>,
    /// How its network is.
    pub(crate) line: Option<NetworkStatus>,
    replies: BTreeMap<CommandId, Result<Reply, CommandError>>,
}

impl View {
    /// How many neighbours it counts.
    pub(crate) fn peers(&self) -> usize {
        self.line.as_ref().map_or(0, |line| line.peers)
    }

    fn note(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Engine(notice) => self.hear(notice),
            ClientEvent::Replied(ask, reply) => {
                self.replies.insert(ask, reply);
            }
            ClientEvent::Network(line) => self.line = Some(line),
            ClientEvent::Fatal(why) => panic!("a host ended: {why}"),
            ClientEvent::History { .. }
            | ClientEvent::Found { .. }
            | ClientEvent::QueryResult(..)
            | ClientEvent::UnreadCount(..)
            | ClientEvent::Persistence(_) => {}
        }
    }

    fn hear(&mut self, event: Event) {
        match &event {
            Event::Identity(view) => self.own = Some((view.id, view.key)),
            Event::IdentityRemoved(_) => self.own = None,
            _ => {}
        }
        self.seen.observe(event).expect("a node that is right");
    }
}

/// All hosts of one test.
#[derive(Debug)]
pub(crate) struct Company {
    tasks: JoinSet<Result<(), RuntimeError>>,
    requests: Vec<mpsc::Sender<ClientRequest>>,
    told: mpsc::Sender<(usize, ClientEvent)>,
    heard: mpsc::Receiver<(usize, ClientEvent)>,
    asks: u64,
    /// Each host, in the order they entered.
    pub(crate) views: Vec<View>,
}

impl Company {
    pub(crate) fn new() -> Self {
        let (told, heard) = mpsc::channel(4_096);
        let (tasks, requests, views) = (JoinSet::new(), Vec::new(), Vec::new());
        Self { tasks, requests, told, heard, asks: 0, views }
    }

    /// Starts a host; it ends with this company. Answers its place in [`Company::views`].
    pub(crate) async fn subscribe(&mut self, node: NodeSettings, net: NetSettings) -> usize {
        let place = self.views.len();
        let store = Store::in_memory().expect("a store");
        let host = Runtime::start(node, net, store).expect("a host");
        let (requests, asked) = mpsc::channel(64);
        let (events, mut own) = mpsc::channel(1_024);
        host.subscriptions().subscribe(events).await;
        self.tasks.spawn(host.run(asked));
        let told = self.told.clone();
        self.tasks.spawn(async move {
            while let Some(event) = own.recv().await {
                if told.send((place, event)).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
        self.requests.push(requests);
        self.views.push(View::default());
        // Who asks before it was let in would not hear the answer.
        self.until("the greeting", |views| views[place].line.is_some()).await;
        place
    }

    /// A messenger with an identity.
    pub(crate) async fn messenger(&mut self, name: &str, at: &Multiaddr) -> usize {
        let node = node_settings(NodeRole::Messenger);
        let place = self.subscribe(node, net_settings(None, &[at])).await;
        self.ask(place, Command::CreateIdentity { name: name.to_owned() }).await;
        place
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&mut self, place: usize, command: Command) -> Reply {
        self.asks += 1;
        let ask = CommandId(self.asks);
        let request = ClientRequest::Command(ask, command);
        self.requests[place].send(request).await.expect("a host that runs");
        self.until("an answer", |views| views[place].replies.contains_key(&ask)).await;
        let reply = self.views[place].replies.remove(&ask).expect("an answer");
        reply.expect("carried out")
    }

    /// Reads on until `done` says so of what is known.
    pub(crate) async fn until(&mut self, what: &str, mut done: impl FnMut(&[View]) -> bool) {
        in_time(what, async {
            while !done(&self.views) {
                self.hear().await;
            }
        })
        .await;
    }

    /// Takes in the next thing any host tells. Dropping the future loses nothing.
    pub(crate) async fn hear(&mut self) {
        let (place, event) = self.heard.recv().await.expect("this company holds the other end");
        self.views[place].note(event);
    }
}
