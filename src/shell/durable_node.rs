//! An engine with its store: turns that are durable before anyone hears of them.
//!
//! Used with a network by [`super::runtime`], and without one by the commands that only read and
//! write what is kept.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use super::api::MessageQuery;
use super::os::clock::{Clock, OsEntropy, wall};
use super::store::{Store, StoreError};
use crate::engine::command::{Command, CommandError, Reply};
use crate::engine::env::{Env, Millis};
use crate::engine::envelope::{Acceptance, EnvelopeId, MiningJob, ValidationError};
use crate::engine::event::{Event, MessageView};
use crate::engine::id::{CommandId, NeighbourId, OutgoingId, SyncRequestId, SyncResponseId};
use crate::engine::node::Node;
use crate::engine::node::input::Input;
use crate::engine::record::MessageRecord;
use crate::engine::secret::opaque_debug;
use crate::engine::settings::NodeSettings;
use crate::engine::turn::Output;

/// An engine, its store and its clock.
pub struct DurableNode {
    node: Node,
    store: Store,
    clock: Clock,
    ledger: Option<File>,
    asks: u64,
}

opaque_debug!(struct DurableNode { node, store, clock, ledger, asks });

/// An output that is left to the caller; what had to be durable before it is.
pub enum Deed {
    /// Tell the carrier's protocol.
    Judge(NeighbourId, EnvelopeId, Acceptance),
    /// Search for work.
    Mine(MiningJob),
    /// Stop searching.
    StopMining(OutgoingId),
    /// Hand to the flood.
    Publish(Vec<u8>),
    /// Ask a neighbour for what we missed.
    SyncRequest(NeighbourId, SyncRequestId, Vec<u8>),
    /// Answer a neighbour that wants to catch up, with these envelopes of the archive appended.
    SyncResponse(SyncResponseId, Vec<u8>, Vec<EnvelopeId>),
    /// Count one against a neighbour.
    Blame(NeighbourId),
    /// Keep an envelope in the archive.
    Archive(EnvelopeId, Vec<u8>),
    /// Discard envelopes from the archive.
    Discard(Vec<EnvelopeId>),
    /// Answer.
    Reply(CommandId, Result<Reply, CommandError>),
    /// Tell.
    Event(Event),
}

opaque_debug!(
    enum Deed {
        Judge,
        Mine,
        StopMining,
        Publish,
        SyncRequest,
        SyncResponse,
        Blame,
        Archive,
        Discard,
        Reply,
        Event,
    }
);

impl DurableNode {
    /// Restores a node from its store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(settings: NodeSettings, store: Store) -> Result<Self, StoreError> {
        let clock = Clock::start();
        let mut node = Node::new(settings);
        let mut entropy = OsEntropy;
        let mut env = Env::new(clock.mono(), wall(), &mut entropy);
        node.restore(&mut env, store.load()?);
        Ok(Self { node, store, clock, ledger: None, asks: FIRST_INTERNAL_COMMAND })
    }

    /// Appends the fingerprint of every (key, nonce) pair to a file, in hex; debug builds alone
    /// produce any.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn keep_ledger(&mut self, path: &Path) -> std::io::Result<()> {
        self.ledger = Some(OpenOptions::new().create(true).append(true).open(path)?);
        Ok(())
    }

    /// One turn of the engine. Take every deed with [`DurableNode::next_effect`] before the next one.
    pub fn turn(&mut self, input: Input) {
        let mut entropy = OsEntropy;
        let mut env = Env::new(self.clock.mono(), wall(), &mut entropy);
        self.node.handle(&mut env, input);
    }

    /// The next thing to carry out.
    ///
    /// # Errors
    /// When something could not be made durable. The engine is ahead of the store then: carry out
    /// nothing more and end.
    pub fn next_effect(&mut self) -> Result<Option<Deed>, StoreError> {
        while let Some(output) = self.node.poll_output() {
            return Ok(Some(match output {
                Output::Commit(changes) => {
                    self.store.commit(&changes)?;
                    continue;
                }
                Output::AuditNonce(pair) => {
                    self.note(pair)?;
                    continue;
                }
                Output::ReportValidation { from, id, acceptance } => {
                    Deed::Judge(from, id, acceptance)
                }
                Output::StartMining(order) => Deed::Mine(order),
                Output::StopMining(outgoing) => Deed::StopMining(outgoing),
                Output::Publish { id: _, bytes } => Deed::Publish(bytes),
                Output::SyncRequest { to, id: ask, bytes } => Deed::SyncRequest(to, ask, bytes),
                Output::SyncResponse { id: ticket, bytes, stored } => {
                    Deed::SyncResponse(ticket, bytes, stored)
                }
                Output::Penalize(peer) => Deed::Blame(peer),
                Output::Archive { id, bytes } => Deed::Archive(id, bytes),
                Output::Discard(ids) => Deed::Discard(ids),
                Output::Reply { id: ask, reply } => Deed::Reply(ask, reply),
                Output::Event(notice) => Deed::Event(notice),
            }));
        }
        Ok(None)
    }

    /// Asks the engine and waits for its answer; without a network, so every deed but notices and
    /// the answer comes to nothing and is taken up again at the next start.
    ///
    /// # Errors
    /// When something could not be made durable.
    pub fn ask(
        &mut self,
        command: Command,
    ) -> Result<(Result<Reply, CommandError>, Vec<Event>), StoreError> {
        self.asks += 1;
        self.turn(Input::Command { id: CommandId(self.asks), command });
        let mut answer = Err(CommandError::Full);
        let mut notices = Vec::new();
        while let Some(effect) = self.next_effect()? {
            match effect {
                Deed::Reply(_, reply) => answer = reply,
                Deed::Event(notice) => notices.push(notice),
                Deed::Judge(..)
                | Deed::Mine(_)
                | Deed::StopMining(_)
                | Deed::Publish(_)
                | Deed::SyncRequest(..)
                | Deed::SyncResponse(..)
                | Deed::Blame(_)
                | Deed::Archive(..)
                | Deed::Discard(_) => {}
            }
        }
        Ok((answer, notices))
    }

    /// Hands the engine an envelope that the archive kept over a restart. Take every deed with
    /// [`DurableNode::next_effect`] before the next turn.
    ///
    /// # Errors
    /// Why the engine does not hold it.
    pub fn readmit(&mut self, bytes: Vec<u8>) -> Result<(), ValidationError> {
        let mut entropy = OsEntropy;
        let mut env = Env::new(self.clock.mono(), wall(), &mut entropy);
        self.node.readmit(&mut env, bytes)
    }

    /// Makes durable what the restoration changed. Call once, before the first turn.
    ///
    /// # Errors
    /// When something could not be made durable.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        while self.next_effect()?.is_some() {}
        Ok(())
    }

    /// Reads messages from the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn query(&mut self, query: &MessageQuery) -> Result<Vec<MessageView>, StoreError> {
        let store = &mut self.store;
        let found = match *query {
            MessageQuery::Page { contact, before, limit } => {
                store.history(contact, before, limit)?
            }
            MessageQuery::Words { contact, ref words, before, limit } => {
                store.search(Some(contact), words, before, limit)?
            }
            MessageQuery::Like(start) => store.messages_like(start)?,
        };
        Ok(found.iter().map(MessageRecord::view).collect())
    }

    /// When [`Input::Tick`] is due, and whether it is.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.node.deadline()
    }

    /// Monotonic time as this desk counts it.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The engine.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// The store, for what the engine has no part in: history, read marks, remembered peers.
    #[must_use]
    pub const fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    fn note(&mut self, pair: [u8; 16]) -> Result<(), StoreError> {
        let Some(file) = &mut self.ledger else { return Ok(()) };
        let line: String = pair.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(file.write_all(format!("{line}\n").as_bytes())?)
    }
}

/// Far above what an interface counts to, so that the two never meet.
pub(super) const FIRST_INTERNAL_COMMAND: u64 = 1 << 62;
