//! Many engines in virtual time from one seed: the engine's second driver.
//!
//! A [`World`] carries out each `Output` as the shell would, over a model of gossipsub that knows
//! latency, loss, partitions and skewed clocks, and over the same links for catching up; it can
//! crash a node between any two outputs. After every turn it checks what must always hold. The same
//! seed gives the same [`World::trace`].
//!
//! | part | owns |
//! |---|---|
//! | `machine` | one node: its process, disk, clock, archive, and what its person sees ([`Observed`]) |
//! | `network` | the links ([`link`]), and what is on its way over them |
//! | `schedule` | virtual time, chance, and the queue of what is yet to happen |
//! | `audit` | what must always hold, over all nodes and their whole lives |
//! | `turn` | how an event reaches a node, and how its outputs are carried out |
//!
//! It does not model what libp2p does below the flood: connections, meshes, back-pressure.

mod archive;
mod audit;
mod disk;
mod gossip;
pub mod link;
mod machine;
mod network;
mod observed;
mod schedule;
mod trace;
mod turn;

pub use audit::{Audit, Violation};
pub use disk::DiskCopy;
pub use gossip::Verdicts;
pub use machine::{PublishedEnvelope, SimMachine, StartingDisk};
pub use observed::Observed;
pub use trace::Trace;

pub use crate::engine::testing::rng::SeededRng;

use sha3::{Digest, Sha3_256};

use crate::engine::command::{Command, CommandError, Reply};
use crate::engine::env::{Millis, UnixSeconds};
use crate::engine::envelope::EnvelopeId;
use crate::engine::id::{IdentityId, Neighbour, NeighbourId};
use crate::engine::node::Node;
use crate::engine::node::input::Input;
use crate::engine::settings::NodeSettings;

use link::Links;
use network::Network;
use schedule::SimEvent;

/// The index of a node in its world, in the order the nodes were added. Only [`World::add`] gives
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeIndex(pub usize);

impl NodeIndex {
    /// Its id as a neighbour.
    const fn neighbour(self) -> NeighbourId {
        NeighbourId(self.0 as u64)
    }

    /// The index of a neighbour.
    fn of(neighbour: NeighbourId) -> Option<Self> {
        usize::try_from(neighbour.0).ok().map(Self)
    }
}

/// A swarm in virtual time.
#[derive(Debug)]
pub struct World {
    seed: u64,
    machines: Vec<SimMachine>,
    network: Network,
    audit: Audit,
    trace: Trace,
}

impl World {
    /// An empty world. `links` says how the network behaves.
    #[must_use]
    pub const fn new(seed: u64, links: Links) -> Self {
        Self {
            seed,
            machines: Vec::new(),
            network: Network::new(seed, links),
            audit: Audit::new(seed),
            trace: Trace::new(),
        }
    }

    /// Adds a node without neighbours.
    pub fn add(&mut self, settings: NodeSettings) -> NodeIndex {
        let index = NodeIndex(self.machines.len());
        let entropy = SeededRng::lane(self.seed, index.0 as u64 + 1);
        self.machines.push(SimMachine::new(settings, entropy));
        self.start(index);
        index
    }

    /// Joins two nodes as neighbours.
    pub fn join(&mut self, one: NodeIndex, other: NodeIndex) {
        self.network.links.join(one, other);
        self.tell_peers(&[one, other]);
    }

    /// Cuts every link between `these` and the rest, until [`World::heal`].
    pub fn partition(&mut self, these: &[NodeIndex]) {
        self.network.links.partition(these);
        self.tell_all_peers();
    }

    /// Ends every partition.
    pub fn heal(&mut self) {
        self.network.links.heal();
        self.tell_all_peers();
    }

    /// Changes how likely a link loses an envelope from here on, in thousandths.
    pub const fn set_loss(&mut self, per_mille: u16) {
        self.network.links.loss_per_mille = per_mille;
    }

    /// Switches a node off: it keeps its disk and nothing else, and its neighbours notice.
    pub fn switch_off(&mut self, node: NodeIndex) {
        self.machine_mut(node).stop();
        let neighbours = self.network.links.neighbours(node);
        self.network.links.switch_off(node);
        self.tell_peers(&neighbours);
    }

    /// Switches a node on again, from its disk, after `downtime`.
    pub fn switch_on_after(&mut self, node: NodeIndex, downtime: Millis) {
        self.network.schedule.plan_after(downtime, SimEvent::SwitchOn(node));
    }

    /// Ends a node and starts it from its disk.
    pub fn start_over(&mut self, node: NodeIndex) {
        self.machine_mut(node).cancel_crash();
        self.start(node);
    }

    /// Ends a node and starts it from its disk with something else on it.
    pub fn start_from(&mut self, node: NodeIndex, disk: StartingDisk) {
        let now = self.now();
        if matches!(disk, StartingDisk::Copy(_)) {
            self.audit.note_put_back();
        }
        self.machine_mut(node).change_disk(now, disk);
        self.start_over(node);
    }

    /// Has a node drop its roster and conversations from memory, as a lock does, and go on as a
    /// relay.
    pub fn unload_roster(&mut self, node: NodeIndex) {
        let now = self.now();
        self.machine_mut(node).unload_roster(now);
        self.drain(node);
    }

    /// Has a node load its roster and conversations from its disk again.
    pub fn load_roster(&mut self, node: NodeIndex) {
        let now = self.now();
        for event in self.machine_mut(node).load_roster(now) {
            self.show(node, event);
        }
        self.drain(node);
    }

    /// Gives a node an identity; returns its id.
    ///
    /// # Errors
    /// The node's error.
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

    /// Gives a node a command and returns its reply.
    ///
    /// # Errors
    /// The node's error.
    pub fn ask(&mut self, node: NodeIndex, command: Command) -> Result<Reply, CommandError> {
        if let Command::Say { text, .. } = &command {
            self.audit.note_text(text);
        }
        let id = self.machine_mut(node).next_command();
        self.turn(node, Input::Command { id, command });
        // A node that crashes before it replies has not carried it out, as far as the front end
        // knows.
        self.machine_mut(node).take_reply(id).unwrap_or(Err(CommandError::Full))
    }

    /// Puts bytes on a link as if `from` had sent them: for tests of what a hostile neighbour does.
    pub fn inject(&mut self, from: NodeIndex, to: NodeIndex, bytes: Vec<u8>) {
        // As the network names what is no envelope: by another hash (`proto/README.md`, "Id").
        let named = || EnvelopeId(Sha3_256::digest(&bytes).into());
        let id = EnvelopeId::of(&bytes).unwrap_or_else(named);
        self.network.schedule.plan_after(Millis(0), SimEvent::Arrive { to, from, id, bytes });
    }

    /// A node with its machine, for tests to look at.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    #[expect(clippy::expect_used, reason = "an index only comes from `add`")]
    pub fn machine(&self, node: NodeIndex) -> &SimMachine {
        self.machines.get(node.0).expect("a node of this world")
    }

    /// A node with its machine, for tests to cause faults in.
    ///
    /// # Panics
    /// If there is no such node.
    #[expect(clippy::expect_used, reason = "an index only comes from `add`")]
    pub fn machine_mut(&mut self, node: NodeIndex) -> &mut SimMachine {
        self.machines.get_mut(node.0).expect("a node of this world")
    }

    /// The events a node has emitted, as the person in front of it sees them.
    #[must_use]
    pub fn seen(&self, node: NodeIndex) -> &Observed {
        self.machine(node).seen()
    }

    /// The node itself, unless it is down.
    #[must_use]
    pub fn node(&self, node: NodeIndex) -> Option<&Node> {
        self.machine(node).node()
    }

    /// The audit: violated invariants, and everything that was published.
    #[must_use]
    pub const fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Virtual time.
    #[must_use]
    pub const fn now(&self) -> Millis {
        self.network.schedule.now()
    }

    /// The wall clock of a node without skew.
    #[must_use]
    pub const fn wall(&self) -> UnixSeconds {
        self.network.schedule.wall()
    }

    /// The digest of all turns so far.
    #[must_use]
    pub const fn trace(&self) -> Trace {
        self.trace
    }

    /// Lets `span` of virtual time pass.
    pub fn run_for(&mut self, span: Millis) {
        let end = self.now().plus(span);
        while let Some(event) = self.network.schedule.next_until(end) {
            self.happen(event);
        }
        self.network.schedule.advance_to(end);
    }

    /// Lets time pass until `done` holds, at most `span`; returns whether it does.
    pub fn run_until(&mut self, span: Millis, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now().plus(span);
        while self.now() < end {
            if done(self) {
                return true;
            }
            self.run_for(Millis(100).min(Millis(end.0 - self.now().0)));
        }
        done(self)
    }

    fn start(&mut self, index: NodeIndex) {
        let now = self.now();
        for event in self.machine_mut(index).start(now) {
            self.show(index, event);
        }
        self.drain(index);
        self.tell_peers(&[index]);
    }

    fn tell_all_peers(&mut self) {
        let all: Vec<NodeIndex> = (0..self.machines.len()).map(NodeIndex).collect();
        self.tell_peers(&all);
    }

    /// Gives each of these nodes its neighbours.
    fn tell_peers(&mut self, these: &[NodeIndex]) {
        for &index in these {
            let neighbours = self.network.links.neighbours(index);
            let peers =
                neighbours.into_iter().map(NodeIndex::neighbour).map(Neighbour::alone).collect();
            self.turn(index, Input::Peers(peers));
        }
    }
}

/// The world begins on 2026-01-01, 00:00 UTC.
pub const EPOCH: UnixSeconds = UnixSeconds(1_767_225_600);
