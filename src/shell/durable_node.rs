//! An engine with its store: the changes of a turn are durable before its effects are handed out.
//!
//! The runtime drives it, with a network or without one.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use data_encoding::HEXLOWER;

use super::os::clock::{Clock, OsEntropy, wall};
use super::store::{Store, StoreError};
use crate::engine::env::{Env, Millis};
use crate::engine::envelope::ValidationError;
use crate::engine::node::Node;
use crate::engine::node::input::Input;
use crate::engine::secret::opaque_debug;
use crate::engine::settings::NodeSettings;
use crate::engine::turn::{Effect, Output};

/// An engine, its store and its clock.
pub struct DurableNode {
    node: Node,
    store: Store,
    clock: Clock,
    ledger: Option<File>,
}

opaque_debug!(struct DurableNode { node, store, clock, ledger });

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
        Ok(Self { node, store, clock, ledger: None })
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

    /// Has the engine let go of every envelope: the archive is read once more from its beginning.
    pub fn release_all(&mut self) {
        self.node.release_all();
    }

    /// Makes the changes of restoring durable. Call once, before the first turn.
    ///
    /// # Errors
    /// When something could not be made durable.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        while self.next_effect()?.is_some() {}
        Ok(())
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
