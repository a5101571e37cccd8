//! An engine with its store: the changes of a turn are durable before its effects are handed out.
//!
//! Used with a network by [`super::runtime`], and without one by the commands that only read and
//! write the store.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use data_encoding::HEXLOWER;

use super::api::MessageQuery;
use super::os::clock::{Clock, OsEntropy, wall};
use super::store::{Store, StoreError};
use crate::engine::command::{Command, CommandError, Reply};
use crate::engine::env::{Env, Millis};
use crate::engine::envelope::ValidationError;
use crate::engine::event::{Event, MessageView};
use crate::engine::id::CommandId;
use crate::engine::node::Node;
use crate::engine::node::input::Input;
use crate::engine::record::MessageRecord;
use crate::engine::secret::opaque_debug;
use crate::engine::settings::NodeSettings;
use crate::engine::turn::{Effect, Output};

/// An engine, its store and its clock.
pub struct DurableNode {
    node: Node,
    store: Store,
    clock: Clock,
    ledger: Option<File>,
    asks: u64,
}

opaque_debug!(struct DurableNode { node, store, clock, ledger, asks });

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

    /// One turn of the engine. Take every effect with [`DurableNode::next_effect`] before the next
    /// one.
    pub fn turn(&mut self, input: Input) {
        let mut entropy = OsEntropy;
        let mut env = Env::new(self.clock.mono(), wall(), &mut entropy);
        self.node.handle(&mut env, input);
    }

    /// The next effect to carry out; the changes before it are durable.
    ///
    /// # Errors
    /// When something could not be made durable. The engine is ahead of the store then: carry out nothing more and end.
    pub fn next_effect(&mut self) -> Result<Option<Effect>, StoreError> {
        while let Some(output) = self.node.poll_output() {
            match output {
                // The one place where "stored before sent" holds: no effect is handed out before
                // the commits in front of it.
                Output::Commit(changes) => self.store.commit(&changes)?,
                Output::AuditNonce(pair) => self.note(pair)?,
                Output::Effect(effect) => return Ok(Some(effect)),
            }
        }
        Ok(None)
    }

    /// Gives the engine a command and returns its reply. Without a network: every effect but events
    /// and the reply is dropped, and taken up again at the next start.
    ///
    /// # Errors
    /// When something could not be made durable.
    pub fn ask(
        &mut self,
        command: Command,
    ) -> Result<(Result<Reply, CommandError>, Vec<Event>), StoreError> {
        self.asks += 1;
        self.turn(Input::Command { id: CommandId(self.asks), command });
        // Never returned: each command gets one reply.
        let mut answer = Err(CommandError::Full);
        let mut events = Vec::new();
        while let Some(effect) = self.next_effect()? {
            match effect {
                Effect::Reply { id: _, reply } => answer = reply,
                Effect::Event(event) => events.push(event),
                // There is no network to carry these out. Whatever must be sent is stored, and goes
                // at the next start.
                Effect::ReportValidation { .. }
                | Effect::StartMining(_)
                | Effect::StopMining(_)
                | Effect::Publish { .. }
                | Effect::SyncRequest { .. }
                | Effect::SyncResponse { .. }
                | Effect::Penalize(_)
                | Effect::Archive { .. }
                | Effect::Discard(_) => {}
            }
        }
        Ok((answer, events))
    }

    /// Hands the engine an envelope that the archive kept over a restart. Take every effect with
    /// [`DurableNode::next_effect`] before the next turn.
    ///
    /// # Errors
    /// Why the engine does not hold it.
    pub fn readmit(&mut self, bytes: Vec<u8>) -> Result<(), ValidationError> {
        let mut entropy = OsEntropy;
        let mut env = Env::new(self.clock.mono(), wall(), &mut entropy);
        self.node.readmit(&mut env, bytes)
    }

    /// Makes the changes of restoring durable. Call once, before the first turn.
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
                store.messages().page(contact, before, limit)?
            }
            MessageQuery::Words { contact, ref words, before, limit } => {
                store.search(Some(contact), words, before, limit)?
            }
            MessageQuery::Like(start) => store.messages().with_prefix(start)?,
        };
        Ok(found.iter().map(MessageRecord::view).collect())
    }

    /// When [`Input::Tick`] is due, if it is.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.node.deadline()
    }

    /// The monotonic clock of this node.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The engine.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// The store, for data the engine has no part in: history, read marks, remembered peers.
    #[must_use]
    pub const fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    fn note(&mut self, pair: [u8; 16]) -> Result<(), StoreError> {
        let Some(file) = &mut self.ledger else { return Ok(()) };
        Ok(file.write_all(format!("{}\n", HEXLOWER.encode(&pair)).as_bytes())?)
    }
}

/// The first id of commands that no client made: far above all that a client counts to, so that the
/// two never meet.
pub(super) const FIRST_INTERNAL_COMMAND: u64 = 1 << 62;
