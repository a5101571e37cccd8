//! Many engines in virtual time from one seed: the engine's second driver.
//!
//! A [`World`] owns one queue, one clock and one seed. It carries out each `Output` as the shell
//! would, over a model of gossipsub ([`link`]) that knows latency, loss, partitions and skewed
//! clocks, and over the same links for catching up; it can crash a node between any two outputs.
//! After every turn it checks what must always hold. The same seed gives the same [`World::trace`].
//!
//! It does not model what libp2p does below the flood: connections, meshes, back-pressure.

mod disk;
mod inspect;
pub mod link;
mod sync;
mod turn;

use std::collections::{BTreeMap, BTreeSet};

pub use inspect::DiskCopy;
use link::Links;
pub use sync::{RecordedRequest, SyncTraffic};

pub use crate::engine::testing::rng::SeededRng;

use crate::engine::command::{Command, CommandError, Reply};
use crate::engine::crypto::keys::PublicKey;
use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::envelope::{EnvelopeId, WorkNonce};
use crate::engine::event::{RequestView, SessionStatus};
use crate::engine::id::{
    CommandId, ContactId, IdentityId, MessageId, NeighbourId, OutgoingId, SyncResponseId,
};
use crate::engine::node::Node;
use crate::engine::node::input::Input;
use crate::engine::record::{EnvelopePurpose, MessageState};
use crate::engine::settings::NodeSettings;

use disk::SimDisk;
use sync::{CatchingUp, PendingResponse, SyncDelivery};

/// Names one node of a world: its place in the order they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeIndex(pub usize);

/// A swarm in virtual time.
#[derive(Debug)]
pub struct World {
    seed: u64,
    now: Millis,
    chance: SeededRng,
    links: Links,
    nodes: Vec<SimNode>,
    queue: BTreeMap<(Millis, u64), SimEvent>,
    sequence: u64,
    trace: Trace,
    plaintexts: Vec<Vec<u8>>,
    /// Every (key, nonce) fingerprint of every node's whole life.
    ledger: BTreeSet<[u8; 16]>,
    /// Requests to catch up that wait for a response.
    tickets: BTreeMap<SyncResponseId, PendingResponse>,
    /// Everything that was ever published.
    envelopes: BTreeMap<EnvelopeId, Vec<u8>>,
    violations: Vec<String>,
}

/// What a node has been told, as the person in front of it would see it.
#[derive(Debug, Default)]
pub struct Observed {
    /// Texts from contacts in the order they were shown.
    pub texts: Vec<(ContactId, String)>,
    /// The last known state of each message of ours.
    pub states: BTreeMap<MessageId, MessageState>,
    /// Messages that came early and whose session is not confirmed.
    pub early: BTreeSet<MessageId>,
    /// How each contact stands.
    pub contacts: BTreeMap<ContactId, (PublicKey, SessionStatus)>,
    /// How many messages of each contact are missing.
    pub missing: BTreeMap<ContactId, u64>,
    /// The contacts that were taken over from a backup and not heard since.
    pub restored: BTreeSet<ContactId>,
    /// Requests that wait.
    pub requests: Vec<RequestView>,
    /// Every id this node has ever shown, to notice a message shown twice.
    shown: BTreeSet<MessageId>,
}

/// One envelope a node gave to the flood, with what nobody but its author knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedEnvelope {
    /// When.
    pub at: Millis,
    /// Which.
    pub id: EnvelopeId,
    /// What it carries.
    pub purpose: EnvelopePurpose,
}

/// What a node said of the envelopes one neighbour brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// So many were passed on.
    pub accepted: u64,
    /// So many were dropped without blame.
    pub ignored: u64,
    /// So many were dropped and counted against who brought them.
    pub rejected: u64,
}

#[derive(Debug)]
struct SimNode {
    settings: NodeSettings,
    node: Option<Node>,
    disk: SimDisk,
    entropy: SeededRng,
    /// Seconds this node's wall clock is ahead of the world's; negative if behind.
    skew: i64,
    /// gossipsub's own memory of ids, which lives as long as the process.
    duplicate_cache: BTreeSet<EnvelopeId>,
    under_validation: BTreeMap<EnvelopeId, Vec<u8>>,
    seen: Observed,
    replies: BTreeMap<CommandId, Result<Reply, CommandError>>,
    asks: u64,
    /// Carry out so many more outputs, then die.
    crash_after: Option<u32>,
    wake: Option<Millis>,
    mining: BTreeSet<OutgoingId>,
    /// Everything it published in its whole life, in that order.
    sent: Vec<PublishedEnvelope>,
    verdicts: BTreeMap<NodeIndex, Verdicts>,
    /// How often it was started: what was sent to it before reaches nobody.
    incarnation: u64,
    catching_up: CatchingUp,
}

#[derive(Debug)]
enum SimEvent {
    Sync(SyncDelivery),
    Lost(NodeIndex, Vec<EnvelopeId>),
    Arrive { to: NodeIndex, from: NodeIndex, id: EnvelopeId, bytes: Vec<u8> },
    ArriveAgain { to: NodeIndex, from: NodeIndex, id: EnvelopeId, bytes: Vec<u8> },
    Mined { at: NodeIndex, outgoing: OutgoingId, nonce: WorkNonce },
    Wake(NodeIndex),
    Restart(NodeIndex),
    SwitchOn(NodeIndex),
}

/// A running digest of everything that happened, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Depends on every event, its time and its place.
    pub digest: u64,
    /// Turns so far, over all nodes.
    pub turns: u64,
}

impl World {
    /// An empty world. `links` says how the network behaves.
    #[must_use]
    pub fn new(seed: u64, links: Links) -> Self {
        Self {
            seed,
            now: Millis(0),
            chance: SeededRng::lane(seed, 0),
            links,
            nodes: Vec::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            trace: Trace { digest: 0xcbf2_9ce4_8422_2325, turns: 0 },
            plaintexts: Vec::new(),
            ledger: BTreeSet::new(),
            tickets: BTreeMap::new(),
            envelopes: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    /// Adds a node without neighbours.
    pub fn add(&mut self, settings: NodeSettings) -> NodeIndex {
        let index = NodeIndex(self.nodes.len());
        self.nodes.push(SimNode {
            settings,
            node: None,
            disk: SimDisk::default(),
            entropy: SeededRng::lane(self.seed, index.0 as u64 + 1),
            skew: 0,
            duplicate_cache: BTreeSet::new(),
            under_validation: BTreeMap::new(),
            seen: Observed::default(),
            replies: BTreeMap::new(),
            asks: 0,
            crash_after: None,
            wake: None,
            mining: BTreeSet::new(),
            sent: Vec::new(),
            verdicts: BTreeMap::new(),
            incarnation: 0,
            catching_up: CatchingUp::default(),
        });
        self.start(index);
        index
    }

    /// Joins two nodes as neighbours.
    pub fn join(&mut self, one: NodeIndex, other: NodeIndex) {
        self.links.join(one, other);
        self.tell_peers(one);
        self.tell_peers(other);
    }

    /// Cuts every link between `these` and the rest, until [`World::heal`].
    pub fn partition(&mut self, these: &[NodeIndex]) {
        self.links.partition(these);
        self.tell_all_peers();
    }

    /// Ends every partition.
    pub fn heal(&mut self) {
        self.links.heal();
        self.tell_all_peers();
    }

    /// Changes how likely a link loses an envelope from here on, in thousandths.
    pub fn set_loss(&mut self, per_mille: u16) {
        self.links.loss_per_mille = per_mille;
    }

    /// Sets a node's wall clock ahead of (or, negative, behind) the world's.
    pub fn skew(&mut self, node: NodeIndex, seconds: i64) {
        if let Some(sim) = self.nodes.get_mut(node.0) {
            sim.skew = seconds;
        }
    }

    /// Kills a node after it has carried out `outputs` more outputs; it restarts from its disk
    /// `downtime` later.
    pub fn crash_after(&mut self, node: NodeIndex, outputs: u32, downtime: Millis) {
        if let Some(sim) = self.nodes.get_mut(node.0) {
            sim.crash_after = Some(outputs);
        }
        self.links.downtime.insert(node, downtime);
    }

    /// Switches a node off: it keeps its disk and nothing else, and its neighbours are told.
    pub fn switch_off(&mut self, node: NodeIndex) {
        let Some(sim) = self.nodes.get_mut(node.0) else { return };
        sim.node = None;
        sim.crash_after = None;
        sim.wake = None;
        let parted = self.links.neighbours(node);
        self.links.switch_off(node);
        self.tell_those(&parted);
    }

    /// Switches a node on again, from its disk, after `downtime`.
    pub fn switch_on_after(&mut self, node: NodeIndex, downtime: Millis) {
        self.push(self.now.plus(downtime), SimEvent::SwitchOn(node));
    }

    /// Gives a node an identity; answers its local name and its key.
    ///
    /// # Errors
    /// What the node says when it cannot.
    pub fn identity(&mut self, node: NodeIndex, name: &str) -> Result<IdentityId, CommandError> {
        match self.ask(node, Command::CreateIdentity { name: name.to_owned() })? {
            Reply::Identity(id) => Ok(id),
            Reply::Done
            | Reply::Contact(_)
            | Reply::Message(_)
            | Reply::Verified
            | Reply::Differs { .. } => Err(CommandError::NoIdentity),
        }
    }

    /// Asks a node for something and answers what it says.
    ///
    /// # Errors
    /// What the node says when it does not do it.
    pub fn ask(&mut self, node: NodeIndex, command: Command) -> Result<Reply, CommandError> {
        if let Command::Say { text, .. } = &command {
            // Short texts would be found in random bytes.
            if text.len() >= 8 {
                self.plaintexts.push(text.clone().into_bytes());
            }
        }
        let Some(sim) = self.nodes.get_mut(node.0) else { return Err(CommandError::NoIdentity) };
        sim.asks += 1;
        let ask = CommandId(sim.asks);
        self.turn(node, Input::Command { id: ask, command });
        let answer = self.nodes.get_mut(node.0).and_then(|sim| sim.replies.remove(&ask));
        // A node that dies before it answers has not done it, as far as the asker knows.
        answer.unwrap_or(Err(CommandError::Full))
    }

    /// What a node has been told.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    #[expect(clippy::expect_used, reason = "an index only comes from `add`")]
    pub fn seen(&self, node: NodeIndex) -> &Observed {
        &self.nodes.get(node.0).expect("a node of this world").seen
    }

    /// The node itself, unless it is down.
    #[must_use]
    pub fn node(&self, node: NodeIndex) -> Option<&Node> {
        self.nodes.get(node.0).and_then(|sim| sim.node.as_ref())
    }

    /// What a node published, oldest first; once more for each time it did.
    #[must_use]
    pub fn sent(&self, node: NodeIndex) -> &[PublishedEnvelope] {
        self.nodes.get(node.0).map_or(&[], |sim| sim.sent.as_slice())
    }

    /// What a node said of what `carrier` brought.
    #[must_use]
    pub fn verdicts(&self, node: NodeIndex, carrier: NodeIndex) -> Verdicts {
        let sim = self.nodes.get(node.0);
        sim.and_then(|sim| sim.verdicts.get(&carrier)).copied().unwrap_or_default()
    }

    /// Puts bytes on a link as if `from` had sent them: for tests of what a hostile neighbour does.
    pub fn inject(&mut self, from: NodeIndex, to: NodeIndex, bytes: Vec<u8>) {
        let id = EnvelopeId::of(&bytes);
        self.push(self.now, SimEvent::Arrive { to, from, id, bytes });
    }

    /// Virtual time.
    #[must_use]
    pub const fn now(&self) -> Millis {
        self.now
    }

    /// The wall clock of a node without skew.
    #[must_use]
    pub const fn wall(&self) -> UnixSeconds {
        UnixSeconds(EPOCH.0 + self.now.0 / 1000)
    }

    /// What happened so far, as a digest.
    #[must_use]
    pub const fn trace(&self) -> Trace {
        self.trace
    }

    /// What did not hold that must always hold, in words; empty unless the engine is wrong.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Lets `span` of virtual time pass.
    pub fn run_for(&mut self, span: Millis) {
        let end = self.now.plus(span);
        while let Some((&(at, sequence), _)) = self.queue.first_key_value() {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            if let Some(event) = self.queue.remove(&(at, sequence)) {
                self.carry(event);
            }
        }
        self.now = end;
    }

    /// Lets time pass until `done` holds, at most `span`; answers whether it does.
    pub fn run_until(&mut self, span: Millis, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.plus(span);
        while self.now < end {
            if done(self) {
                return true;
            }
            self.run_for(Millis(100).min(Millis(end.0 - self.now.0)));
        }
        done(self)
    }

    fn carry(&mut self, event: SimEvent) {
        match event {
            SimEvent::Sync(delivery) => self.deliver_sync(delivery),
            SimEvent::Lost(node, ids) => self.turn(node, Input::ArchiveMissing(ids)),
            SimEvent::Arrive { to, from, id, bytes } => self.arrive(to, from, id, bytes),
            SimEvent::ArriveAgain { to, from, id, bytes } => self.arrive_again(to, from, id, bytes),
            SimEvent::Mined { at, outgoing, nonce } => {
                let wanted =
                    self.nodes.get_mut(at.0).is_some_and(|sim| sim.mining.remove(&outgoing));
                if wanted {
                    self.turn(at, Input::Mined { outgoing, nonce });
                }
            }
            SimEvent::Wake(node) => {
                let due = self.nodes.get_mut(node.0).is_some_and(|sim| {
                    sim.wake.take_if(|at| *at <= self.now).is_some() && sim.node.is_some()
                });
                if due {
                    self.turn(node, Input::Tick);
                }
            }
            SimEvent::Restart(node) => self.start(node),
            SimEvent::SwitchOn(node) => {
                self.links.switch_on(node);
                self.start(node);
                let met = self.links.neighbours(node);
                self.tell_those(&met);
            }
        }
    }

    /// gossipsub drops what it has heard, then asks the engine.
    fn arrive(&mut self, to: NodeIndex, from: NodeIndex, id: EnvelopeId, bytes: Vec<u8>) {
        let Some(sim) = self.nodes.get_mut(to.0) else { return };
        if sim.node.is_none() || !sim.duplicate_cache.insert(id) {
            return;
        }
        self.arrive_again(to, from, id, bytes);
    }

    /// gossipsub has forgotten it; only what is being judged does it not hand on twice.
    fn arrive_again(&mut self, to: NodeIndex, from: NodeIndex, id: EnvelopeId, bytes: Vec<u8>) {
        let Some(sim) = self.nodes.get_mut(to.0) else { return };
        if sim.node.is_none() || sim.under_validation.contains_key(&id) {
            return;
        }
        sim.under_validation.insert(id, bytes.clone());
        self.turn(to, Input::Gossip { from: NeighbourId(from.0 as u64), id, bytes });
    }

    fn start(&mut self, index: NodeIndex) {
        let now = self.now;
        let wall = self.wall();
        let Some(sim) = self.nodes.get_mut(index.0) else { return };
        let mut node = Node::new(sim.settings);
        let wall = skewed(wall, sim.skew);
        sim.duplicate_cache.clear();
        sim.under_validation.clear();
        sim.mining.clear();
        sim.seen.requests.clear();
        sim.seen.texts = sim.disk.shown();
        sim.seen.states = sim.disk.states();
        sim.wake = None;
        sim.incarnation += 1;
        let records = sim.disk.open_records();
        let mut env = Env::new(now, wall, &mut sim.entropy);
        node.restore(&mut env, records);
        let kept: Vec<Vec<u8>> = sim.catching_up.archive.values().cloned().collect();
        for bytes in kept {
            let id = EnvelopeId::of(&bytes);
            if node.readmit(&mut env, bytes).is_err() {
                sim.catching_up.archive.remove(&id);
            }
        }
        let snapshot = node.snapshot();
        sim.node = Some(node);
        for notice in snapshot {
            self.tell(index, notice);
        }
        self.drain(index);
        self.tell_peers(index);
    }

    fn tell_all_peers(&mut self) {
        for index in 0..self.nodes.len() {
            self.tell_peers(NodeIndex(index));
        }
    }

    fn tell_those(&mut self, these: &[NodeIndex]) {
        for &index in these {
            self.tell_peers(index);
        }
    }

    fn tell_peers(&mut self, index: NodeIndex) {
        let tag = |peer: NodeIndex| NeighbourId(peer.0 as u64);
        let peers = self.links.neighbours(index).into_iter().map(tag).collect();
        self.turn(index, Input::Peers(peers));
    }

    fn push(&mut self, at: Millis, event: SimEvent) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), event);
    }
}

/// The world begins on 2026-01-01, 00:00 UTC.
pub const EPOCH: UnixSeconds = UnixSeconds(1_767_225_600);

fn skewed(wall: UnixSeconds, skew: i64) -> UnixSeconds {
    UnixSeconds(wall.0.saturating_add_signed(skew))
}
