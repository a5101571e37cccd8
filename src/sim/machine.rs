//! One node and the machine it runs on: its process, disk, clock and archive, and its observations.
//!
//! A machine takes one input at a time and hands its outputs out one by one;
//! [`World`](super::World) decides when, and carries out those that concern other machines.

use std::collections::{BTreeMap, BTreeSet};

use super::archive::SimArchive;
use super::audit::Violation;
use super::disk::{DiskCopy, SimDisk};
use super::gossip::{GossipMemory, Verdicts};
use super::observed::Observed;
use super::schedule::wall_at;
use super::{NodeIndex, SeededRng};
use crate::engine::command::{CommandError, Reply};
use crate::engine::env::{Entropy, Env, Millis, UnixSeconds};
use crate::engine::envelope::EnvelopeId;
use crate::engine::event::Event;
use crate::engine::id::{CommandId, OutgoingId};
use crate::engine::node::Node;
use crate::engine::node::input::Input;
use crate::engine::record::{EnvelopePurpose, Record};
use crate::engine::settings::NodeSettings;
use crate::engine::turn::Output;

/// One envelope a node published, with its purpose, which its author alone knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedEnvelope {
    /// When it was published.
    pub at: Millis,
    /// Its id.
    pub id: EnvelopeId,
    /// Its purpose.
    pub purpose: EnvelopePurpose,
}

/// The content of a node's disk when [`World::start_from`](super::World::start_from) starts it.
#[derive(Debug)]
pub enum StartingDisk {
    /// A copy, which may be older than the node's last messages: a rollback.
    Copy(DiskCopy),
    /// Identities and contacts alone, as a backup without history restores them: without sessions,
    /// messages, requests and the replay cache.
    Roster,
    /// A backup with its history, restored on another device: identities, contacts, the replay
    /// cache and messages, in another epoch; no sessions, and nothing on its way.
    Backup,
    /// Everything but sessions and the envelopes sealed in them, as the home of an earlier program.
    WithoutSessions,
    /// The same disk as version 1 would have left it: all that is on its way lives ten minutes, and
    /// what is finished is an envelope of that version.
    OfVersion1,
}

/// A node and its machine.
#[derive(Debug)]
pub struct SimMachine {
    settings: NodeSettings,
    /// The process; none while the machine is down.
    node: Option<Node>,
    /// How often a process was started: a response to an earlier one reaches nobody.
    pub(super) incarnation: u64,
    pub(super) disk: SimDisk,
    entropy: SeededRng,
    /// Seconds the wall clock is ahead of the world's; negative if behind.
    skew: i64,
    pub(super) gossip: GossipMemory,
    pub(super) archive: SimArchive,
    pub(super) seen: Observed,
    commands: u64,
    replies: BTreeMap<CommandId, Result<Reply, CommandError>>,
    /// Searches for work under way.
    pub(super) mining: BTreeSet<OutgoingId>,
    /// When the next tick is planned.
    wake: Option<Millis>,
    crash: Option<PlannedCrash>,
    /// Everything it published in its whole life, in that order.
    sent: Vec<PublishedEnvelope>,
}

/// A crash between two outputs.
#[derive(Clone, Copy, Debug)]
struct PlannedCrash {
    outputs_left: u32,
    downtime: Millis,
}

/// The next step of a machine within a turn.
#[derive(Debug)]
pub(super) enum NextStep {
    /// It has an output to be carried out.
    Output(Output),
    /// It has crashed, and starts again after this time.
    Crash(Millis),
    /// The turn is over.
    Done,
}

/// Access for tests: state to look at, and faults to cause.
impl SimMachine {
    /// The node itself, unless it is down.
    #[must_use]
    pub const fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// The node's observations.
    #[must_use]
    pub const fn seen(&self) -> &Observed {
        &self.seen
    }

    /// The envelopes the node published, oldest first; once more for each time it did.
    #[must_use]
    pub fn sent(&self) -> &[PublishedEnvelope] {
        &self.sent
    }

    /// The node's verdicts on the envelopes of `carrier`.
    #[must_use]
    pub fn verdicts(&self, carrier: NodeIndex) -> Verdicts {
        self.gossip.verdicts(carrier)
    }

    /// The records on the node's disk.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.disk.records()
    }

    /// Copies the whole disk.
    #[must_use]
    pub fn copy_disk(&self) -> DiskCopy {
        DiskCopy::of(&self.disk)
    }

    /// Whether a search for work is under way.
    #[must_use]
    pub fn is_mining(&self) -> bool {
        !self.mining.is_empty()
    }

    /// How many outputs are carried out before the planned crash; none when no crash is planned, or
    /// it has happened.
    #[must_use]
    pub fn outputs_left(&self) -> Option<u32> {
        self.crash.map(|crash| crash.outputs_left)
    }

    /// The ids of the envelopes in the node's archive.
    pub fn archived(&self) -> impl Iterator<Item = EnvelopeId> {
        self.archive.ids()
    }

    /// Takes an envelope out of the archive, as a failing disk does: the node does not notice.
    pub fn lose_archived(&mut self, id: EnvelopeId) {
        self.archive.discard(&[id]);
    }

    /// Sets the wall clock ahead of (or, negative, behind) the world's.
    pub const fn set_skew(&mut self, seconds: i64) {
        self.skew = seconds;
    }

    /// Has the node crash after it has carried out `outputs` more outputs; it restarts from its
    /// disk `downtime` later.
    pub const fn crash_after(&mut self, outputs: u32, downtime: Millis) {
        self.crash = Some(PlannedCrash { outputs_left: outputs, downtime });
    }
}

/// Steps that the world has a machine take.
impl SimMachine {
    /// A machine that is down, with an empty disk.
    pub(super) fn new(settings: NodeSettings, entropy: SeededRng) -> Self {
        Self {
            settings,
            node: None,
            incarnation: 0,
            disk: SimDisk::default(),
            entropy,
            skew: 0,
            gossip: GossipMemory::default(),
            archive: SimArchive::default(),
            seen: Observed::default(),
            commands: 0,
            replies: BTreeMap::new(),
            mining: BTreeSet::new(),
            wake: None,
            crash: None,
            sent: Vec::new(),
        }
    }

    /// Starts a process from the disk; returns its first events.
    pub(super) fn start(&mut self, now: Millis) -> Vec<Event> {
        let mut node = Node::new(self.settings);
        // A new process: all that lived in memory is gone, in gossipsub as in the engine.
        self.gossip.restart();
        self.mining.clear();
        self.seen.restart(self.disk.shown(), self.disk.states());
        self.wake = None;
        self.incarnation += 1;
        let wall = self.wall(now);
        let mut env = Env::new(now, wall, &mut self.entropy);
        node.restore(&mut env, self.disk.open_records());
        for bytes in self.archive.envelopes() {
            let Some(id) = EnvelopeId::of(&bytes) else { continue };
            // As the runtime does: the archive drops what the engine does not hold any more.
            if node.readmit(&mut env, bytes).is_err() {
                self.archive.discard(&[id]);
            }
        }
        self.node.insert(node).snapshot()
    }

    /// Ends the process; the disk stays.
    pub(super) fn stop(&mut self) {
        self.node = None;
        self.crash = None;
        self.wake = None;
    }

    /// Cancels a planned crash.
    pub(super) const fn cancel_crash(&mut self) {
        self.crash = None;
    }

    /// Changes the disk's content. The process does not notice; it is to be started over.
    pub(super) fn change_disk(&mut self, now: Millis, disk: StartingDisk) {
        match disk {
            StartingDisk::Copy(copy) => self.disk = copy.into_disk(),
            StartingDisk::Roster => {
                let entropy = &mut self.entropy;
                self.disk.wipe_to_roster(|| {
                    let mut epoch = [0; 8];
                    entropy.fill(&mut epoch);
                    u64::from_le_bytes(epoch)
                });
            }
            StartingDisk::Backup => {
                let wall = self.wall(now);
                self.disk.restore_from_backup(&mut Env::new(now, wall, &mut self.entropy));
            }
            StartingDisk::WithoutSessions => self.disk.drop_sessions(),
            StartingDisk::OfVersion1 => self.disk.write_as_version_1(),
        }
    }

    /// Gives the node one input; returns whether there is a node that took it.
    pub(super) fn handle(&mut self, now: Millis, input: Input) -> bool {
        let wall = self.wall(now);
        let Some(node) = &mut self.node else { return false };
        node.handle(&mut Env::new(now, wall, &mut self.entropy), input);
        true
    }

    /// Has the node drop its roster and conversations from memory.
    pub(super) fn unload_roster(&mut self, now: Millis) {
        let wall = self.wall(now);
        if let Some(node) = &mut self.node {
            node.unload_roster(&mut Env::new(now, wall, &mut self.entropy));
        }
    }

    /// Has the node load its roster and conversations from the disk; returns its first events.
    pub(super) fn load_roster(&mut self, now: Millis) -> Vec<Event> {
        let wall = self.wall(now);
        let Some(node) = &mut self.node else { return Vec::new() };
        let mut env = Env::new(now, wall, &mut self.entropy);
        node.load_roster(&mut env, self.disk.open_records());
        node.snapshot()
    }

    /// The next step before the turn is over.
    pub(super) fn next_step(&mut self) -> NextStep {
        // Looked at before each output, so a crash can fall between any two.
        if let Some(PlannedCrash { outputs_left: 0, downtime }) = self.crash {
            self.stop();
            return NextStep::Crash(downtime);
        }
        let Some(output) = self.node.as_mut().and_then(Node::poll_output) else {
            return NextStep::Done;
        };
        if let Some(crash) = &mut self.crash {
            crash.outputs_left -= 1;
        }
        NextStep::Output(output)
    }

    /// When a tick has to be planned, if none is planned that is early enough.
    pub(super) fn plan_wake(&mut self, now: Millis) -> Option<Millis> {
        let at = self.node.as_ref().and_then(Node::deadline)?.max(now);
        if self.wake.is_some_and(|planned| planned <= at) {
            return None;
        }
        self.wake = Some(at);
        Some(at)
    }

    /// Whether the tick that was planned for this moment is still wanted.
    pub(super) fn take_wake(&mut self, now: Millis) -> bool {
        self.wake.take_if(|at| *at <= now).is_some() && self.node.is_some()
    }

    /// The id of the next command.
    pub(super) const fn next_command(&mut self) -> CommandId {
        self.commands += 1;
        CommandId(self.commands)
    }

    /// Keeps a reply of the node.
    pub(super) fn keep_reply(&mut self, id: CommandId, reply: Result<Reply, CommandError>) {
        self.replies.insert(id, reply);
    }

    /// Takes the node's reply, if there is one.
    pub(super) fn take_reply(&mut self, id: CommandId) -> Option<Result<Reply, CommandError>> {
        self.replies.remove(&id)
    }

    /// Notes that an envelope is published.
    pub(super) fn note_published(&mut self, at: Millis, id: EnvelopeId, bytes: &[u8]) {
        self.gossip.is_new(id);
        // An envelope that is not on the disk yet was published before it was durable: it counts as
        // junk, and tests of purposes fail.
        let purpose = self.disk.purpose(bytes).unwrap_or(EnvelopePurpose::Junk);
        self.sent.push(PublishedEnvelope { at, id, purpose });
    }

    /// Checks the invariants after every turn.
    pub(super) fn check_pool(&self) -> Result<(), Violation> {
        let Some(node) = &self.node else { return Ok(()) };
        let status = node.status();
        if status.pool_places > status.pool_bounds.places {
            Err(Violation("the pool is over its bound"))
        } else {
            Ok(())
        }
    }

    fn wall(&self, now: Millis) -> UnixSeconds {
        UnixSeconds(wall_at(now).0.saturating_add_signed(self.skew))
    }
}
