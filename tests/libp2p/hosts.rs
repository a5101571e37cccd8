//! Whole nodes in one process: each a host in a task of its own, all told of to one reader.

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use undertone::calls::{
    AnyCall, AnyReply, Call, ContactAdd, ContactBlock, ContactClose, IdentityNew, MessageSend,
    RequestAccept,
};
use undertone::engine::command::Command;
use undertone::engine::crypto::invite;
use undertone::engine::crypto::keys::PublicKey;
use undertone::engine::env::Millis;
use undertone::engine::envelope::Floor;
use undertone::engine::event::Event as EngineEvent;
use undertone::engine::id::IdentityId;
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::shell::net::{Multiaddr, NetSettings, Transport};
use undertone::sim::Observed;
use undertone::{
    Client, Delivery, Event, EventFilter, From, MessageChange, NetworkStatus, NodeOptions,
};

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
}

impl View {
    /// How many neighbours it counts.
    pub(crate) fn peers(&self) -> usize {
        self.line.as_ref().map_or(0, |line| line.peers)
    }

    fn note(&mut self, event: Event) {
        let event = match event {
            Event::Network(line) => {
                self.line = Some(line);
                return;
            }
            Event::Identity(identity) => {
                self.own = Some((identity.id, identity.key));
                EngineEvent::Identity(identity.view)
            }
            Event::Contact(contact) => EngineEvent::Contact(Box::new(contact.view)),
            Event::ContactRemoved { id } => EngineEvent::ContactRemoved(id),
            Event::Request(request) => EngineEvent::Request(request.view),
            Event::RequestRemoved { id } => EngineEvent::RequestRemoved(id),
            Event::Message(message) => EngineEvent::Message(message.view),
            Event::State {
                id: message, contact, number, state, not_for_long, delivery, ..
            } => EngineEvent::State { message, contact, number, state, not_for_long, delivery },
            Event::Change { what: MessageChange::Confirmed, id: message, contact, .. } => {
                EngineEvent::Confirmed { message, contact }
            }
            _ => return,
        };
        self.seen.observe(event).expect("a node that is right");
    }
}

/// All hosts of one test.
#[derive(Debug)]
pub(crate) struct Company {
    tasks: JoinSet<()>,
    clients: Vec<Client>,
    told: mpsc::Sender<(usize, Event)>,
    heard: mpsc::Receiver<(usize, Event)>,
    /// Each host, in the order they entered.
    pub(crate) views: Vec<View>,
}

impl Company {
    pub(crate) fn new() -> Self {
        let (told, heard) = mpsc::channel(4_096);
        let (tasks, clients, views) = (JoinSet::new(), Vec::new(), Vec::new());
        Self { tasks, clients, told, heard, views }
    }

    /// Starts a host; it ends with this company. Answers its place in [`Company::views`].
    pub(crate) async fn subscribe(&mut self, node: NodeSettings, net: NetSettings) -> usize {
        let place = self.views.len();
        let options = NodeOptions { node, net: Some(net), ..NodeOptions::in_memory() };
        let client = Client::start(options).await.expect("a host");
        let filter = EventFilter::all();
        let mut events = client.events(filter, From::Snapshot).await.expect("its events");
        let told = self.told.clone();
        self.tasks.spawn(async move {
            loop {
                match events.next().await {
                    Delivery::Event { event, .. } => {
                        if told.send((place, *event)).await.is_err() {
                            return;
                        }
                    }
                    Delivery::Missed { .. } => panic!("a host told more than was read"),
                    Delivery::Ended(why) => panic!("a host ended: {why}"),
                }
            }
        });
        self.clients.push(client);
        self.views.push(View::default());
        self.until("the greeting", |views| views[place].line.is_some()).await;
        place
    }

    /// A messenger with an identity.
    pub(crate) async fn messenger(&mut self, name: &str, at: &Multiaddr) -> usize {
        let node = node_settings(NodeRole::Messenger);
        let place = self.subscribe(node, net_settings(None, &[at])).await;
        self.ask(place, Command::CreateIdentity { name: name.to_owned() }).await;
        self.until("the identity", |views| views[place].own.is_some()).await;
        place
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&self, place: usize, command: Command) -> AnyReply {
        let call = self.call(place, command);
        let asked = self.clients[place].call_any(call);
        in_time("an answer", asked).await.expect("carried out")
    }

    /// A command of the engine as the call that carries it out.
    fn call(&self, place: usize, command: Command) -> AnyCall {
        match command {
            Command::CreateIdentity { name } => IdentityNew { name }.into_any(),
            Command::AddContact { identity: _, key, petname, highest: None } => {
                ContactAdd::new(invite::encode(&key), petname).into_any()
            }
            Command::AcceptRequest { request, petname } => {
                let requests = &self.views[place].seen.requests;
                let request = requests.iter().find(|known| known.id == request).cloned();
                let request = request.expect("a request").key.hex();
                RequestAccept { request, name: petname }.into_any()
            }
            Command::Say { contact, text, postage } => {
                MessageSend { life: postage.lifetime, ..MessageSend::new(contact, text) }.into_any()
            }
            Command::CloseSession { contact } => {
                ContactClose { contact: contact.into() }.into_any()
            }
            Command::Block { contact } => ContactBlock { contact: contact.into() }.into_any(),
            other => panic!("no test here asks for {other:?}"),
        }
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
