//! The engine's whole state, and the one door to it.
//!
//! A driver calls [`Node::handle`] with one [`Input`], then takes every [`Output`] with
//! [`Node::poll_output`] and carries them out in order, then calls again. [`Node::deadline`] says
//! when to send [`Input::Tick`] at the latest. Three promises hold across that door:
//!
//! - a [`Output::ReportValidation`] comes before anything else its envelope causes;
//! - a ratchet step is in an [`Output::Commit`] before the envelope it made is in an
//!   [`Output::Publish`], so a crash between any two outputs repeats no key;
//! - what was refused changed nothing but counters and the memory of ids.

mod archive;
pub mod backup;
mod catchup;
mod clock;
mod commands;
mod forgotten;
mod gaps;
mod inbound;
pub mod input;
mod marks;
mod meet;
mod publisher;
mod resend;
mod restore;
mod roster;
mod say;
mod schedule;
mod stream;
mod talk;
mod trust;

use std::collections::{BTreeMap, VecDeque};

use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::id::NeighbourId;
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::{MessageRecord, SessionRecord};
use crate::engine::relay::ValidationStats;
use crate::engine::relay::pool::Pool;
use crate::engine::relay::validation_queue::{self, ValidationQueue};
use crate::engine::session::{SessionId, TopicIndex};
use crate::engine::settings::NodeSettings;
use crate::engine::sync::ClockSkew;
use crate::engine::turn::{Output, Timer, Timers, Turn};

use catchup::CatchUp;
pub use commands::MAX_QUEUED;
pub use gaps::MAX_GAP_REPORTS;
use input::Input;
pub use marks::MAX_AWAITED_RECEIPTS;
pub use meet::MAX_SESSIONS;
use publisher::Outbox;
use roster::Roster;
pub use roster::{MAX_CONTACTS, MAX_IDENTITIES, MAX_NAME, MAX_REPLAYS, MAX_REQUESTS};
pub use schedule::{MAX_TRANSMISSIONS, MIN_BACKOFF_LIMIT, RETRANSMIT_FOR};
pub use talk::ACK_WINDOW;
use talk::Conversation;
pub use trust::MAX_VERIFICATION_ATTEMPTS;

/// One node: a relay, or a messenger with its identities.
#[derive(Debug)]
pub struct Node {
    settings: NodeSettings,
    pool: Pool,
    validation_queue: ValidationQueue<NeighbourId>,
    roster: Roster,
    sessions: BTreeMap<SessionId, SessionRecord>,
    topic_index: TopicIndex,
    /// Messages that are not done with: ours up to their acknowledgement, or their read receipt if one
    /// may come; theirs while they wait for the ones before them.
    open_messages: BTreeMap<MessageId, MessageRecord>,
    conversations: BTreeMap<ContactId, Conversation>,
    outbox: Outbox,
    timers: Timers,
    peers: Vec<NeighbourId>,
    /// When this process took back what it knew; what is older may be of a time it forgot.
    started_at: UnixSeconds,
    catchup: CatchUp,
    validation: ValidationStats,
    outputs: VecDeque<Output>,
}

impl Node {
    /// A node that knows nobody.
    #[must_use]
    pub fn new(settings: NodeSettings) -> Self {
        Self {
            settings,
            pool: Pool::new(settings.pool, settings.body_storage()),
            validation_queue: ValidationQueue::new(validation_queue::CAPACITY),
            roster: Roster::default(),
            sessions: BTreeMap::new(),
            topic_index: TopicIndex::default(),
            open_messages: BTreeMap::new(),
            conversations: BTreeMap::new(),
            outbox: Outbox::default(),
            timers: Timers::default(),
            peers: Vec::new(),
            started_at: UnixSeconds(0),
            catchup: CatchUp::default(),
            validation: ValidationStats::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input in. Every output of the turn before must have been taken.
    pub fn handle(&mut self, env: &mut Env<'_>, input: Input) {
        debug_assert!(self.outputs.is_empty(), "the outputs of the turn before were not drained");
        self.in_turn(env, |node, turn| node.take_in_turn(turn, input));
    }

    /// Does something with a turn of its own, settled at the end.
    fn in_turn<R>(
        &mut self,
        env: &mut Env<'_>,
        step: impl FnOnce(&mut Self, &mut Turn<'_, '_>) -> R,
    ) -> R {
        let mut outputs = core::mem::take(&mut self.outputs);
        let mut turn = Turn::new(env, &mut outputs);
        let result = step(self, &mut turn);
        turn.settle();
        self.outputs = outputs;
        result
    }

    fn take_in_turn(&mut self, turn: &mut Turn<'_, '_>, input: Input) {
        match input {
            Input::Gossip { from, id, bytes } => self.on_gossip(turn, from, id, bytes),
            Input::Mined { outgoing, nonce } => self.on_mined(turn, outgoing, nonce),
            Input::Peers(peers) => self.on_peers(turn, peers),
            Input::SyncRequest { from, id, bytes } => {
                self.on_sync_request(turn, from, id, &bytes);
            }
            Input::SyncResponse { id, bytes } => self.on_sync_response(turn, id, bytes),
            Input::ArchiveMissing(ids) => self.on_archive_missing(&ids),
            Input::Command { id, command } => self.on_command(turn, id, command),
            Input::Tick => self.on_tick(turn),
        }
        self.drive_publisher(turn);
        self.flush_evictions(turn);
    }

    /// The next thing to carry out, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to send [`Input::Tick`] at the latest; at once while envelopes wait to be looked at.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        if self.validation_queue.is_empty() { self.timers.next() } else { Some(Millis(0)) }
    }

    /// Figures for a person: totals only, real and junk never told apart.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        NodeStatus {
            peers: self.peers.len(),
            pool_bytes: self.pool.bytes(),
            pool_count: self.pool.count(),
            pool_bounds: self.settings.pool,
            floor_bits: self.settings.floor.bits(),
            mining_bits: self.outbox.mining_bits(),
            queued: self.queued_messages(),
            clock: self.catchup.skew(),
            caught_up: self.catchup.fetched(),
            validation: self.validation,
        }
    }

    /// The pool, to look at.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The settings it was made with.
    #[must_use]
    pub const fn settings(&self) -> &NodeSettings {
        &self.settings
    }

    fn on_tick(&mut self, turn: &mut Turn<'_, '_>) {
        self.drain_queue(turn);
        if !self.timers.is_set(Timer::Sweep) {
            self.timers.set(Timer::Sweep, turn.env.mono.plus(SWEEP_EVERY));
        }
        while let Some(timer) = self.timers.pop(turn.env.mono) {
            match timer {
                Timer::Junk => self.on_junk_due(turn),
                Timer::Sweep => self.on_sweep(turn),
                Timer::SyncAfterJoin => self.on_sync_after_join_due(turn),
                Timer::Sync => self.on_sync_due(turn),
                Timer::SyncNext => self.on_sync_next_due(turn),
                Timer::Acknowledge(contact) => self.on_acknowledge_due(contact),
                Timer::Answer(contact, session) => self.on_answer_due(contact, session),
                Timer::Offer(contact) => self.on_offer_due(contact),
                Timer::Retransmit(message) => self.on_retransmit_due(message),
                Timer::Expiry(message) => self.on_expiry_due(turn, message),
                Timer::GapReport(contact) => self.on_gap_report_due(turn, contact),
            }
        }
    }

    fn on_sweep(&mut self, turn: &mut Turn<'_, '_>) {
        self.pool.sweep(turn.env.wall);
        self.roster.expire_replays(turn.env.wall).into_iter().for_each(|key| turn.erase(key));
        let left = self.age_sessions(turn);
        turn.settle();
        for contact in left {
            self.emit_contact(turn, contact);
        }
        self.timers.set(Timer::Sweep, turn.env.mono.plus(SWEEP_EVERY));
    }
}

/// Totals of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Neighbours that take part in the flood.
    pub peers: usize,
    /// Bytes the pool counts.
    pub pool_bytes: usize,
    /// Envelopes in the pool.
    pub pool_count: usize,
    /// How much it may hold.
    pub pool_bounds: crate::engine::relay::pool::PoolBounds,
    /// The network's floor.
    pub floor_bits: u8,
    /// What is being searched for, if anything is.
    pub mining_bits: Option<u8>,
    /// Messages of ours that have not left.
    pub queued: usize,
    /// How this machine's clock compares with those of its neighbours, if any said.
    pub clock: Option<ClockSkew>,
    /// Envelopes fetched by catching up, since the start.
    pub caught_up: u64,
    /// What became of the envelopes that came.
    pub validation: ValidationStats,
}
/// What one turn of [`Node::drain_queue`] looks at: small, so that commands and timers are not kept
/// waiting.
const VALIDATION_BATCH: usize = 32;

/// Ten minutes: expiry is rounded to a coarse quantum, so sweeping more often finds little.
const SWEEP_EVERY: Millis = Millis::from_secs(600);
