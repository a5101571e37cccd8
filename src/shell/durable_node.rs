//! A user agent with its store: the changes of a turn are durable before its effects are handed out.
//!
//! The runtime drives it, with a network or without one. The carrier beside it is driven by the
//! network's thread and waits for none of this.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use data_encoding::HEXLOWER;

use super::os::clock::{Clock, OsEntropy, wall};
use super::os::data_dir::FILE_MODE;
use super::os::user_file::open_private;
use super::shared_carrier::SharedCarrier;
use super::store::{Store, StoreError};
use crate::engine::carrier::Carrier;
use crate::engine::env::{Entropy, Env, Millis};
use crate::engine::node::{NodeStatus, Progress, UserAgent};
use crate::engine::secret::opaque_debug;
use crate::engine::settings::NodeSettings;
use crate::engine::turn::{Effect, Input, Output};

/// A user agent, its store, its clock, and the carrier of its node.
pub struct DurableNode {
    agent: UserAgent,
    carrier: SharedCarrier,
    store: Store,
    clock: Clock,
    ledger: Option<File>,
}

opaque_debug!(struct DurableNode { agent, carrier, store, clock, ledger });

impl DurableNode {
    /// Restores a node from its store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(settings: NodeSettings, store: Store) -> Result<Self, StoreError> {
        let clock = Clock::start();
        let carrier = SharedCarrier::new(Carrier::new(settings));
        let mut agent = UserAgent::new(settings);
        let mut entropy = OsEntropy;
        let mut env = Env::new(clock.mono(), wall(), &mut entropy);
        agent.restore(&mut env, store.load()?);
        Ok(Self { agent, carrier, store, clock, ledger: None })
    }

    /// Appends the fingerprint of every (key, nonce) pair to a file, in hex; debug builds alone
    /// produce any.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn keep_ledger(&mut self, path: &Path) -> std::io::Result<()> {
        let mut how = OpenOptions::new();
        how.create(true).append(true).mode(FILE_MODE);
        self.ledger = Some(open_private(path, &mut how).map_err(std::io::Error::other)?);
        Ok(())
    }

    /// One turn of the user agent. Take every effect with [`DurableNode::next_effect`] before the
    /// next one.
    pub fn turn(&mut self, input: Input) {
        let mut entropy = OsEntropy;
        let mut env = Env::new(self.clock.mono(), wall(), &mut entropy);
        self.agent.handle(&mut env, &mut self.carrier, input);
    }

    /// Takes what the carrier hands over, and opens some of it. Take every effect with
    /// [`DurableNode::next_effect`] before the next turn.
    pub fn gather(&mut self) -> Progress {
        self.gather_by(&mut OsEntropy)
    }

    fn gather_by(&mut self, entropy: &mut dyn Entropy) -> Progress {
        let mut env = Env::new(self.clock.mono(), wall(), entropy);
        self.agent.gather(&mut env, &mut self.carrier)
    }

    /// Stores what is kept back to be stored together, before the end. Take every effect with
    /// [`DurableNode::next_effect`] before the next turn.
    pub fn store_all(&mut self) {
        let mut entropy = OsEntropy;
        let mut env = Env::new(self.clock.mono(), wall(), &mut entropy);
        self.agent.store_all(&mut env);
    }

    /// Has replies leave soon, before the end; whether one has not left yet, and could.
    pub fn part(&mut self) -> bool {
        let mut entropy = OsEntropy;
        let mut env = Env::new(self.clock.mono(), wall(), &mut entropy);
        self.agent.part(&mut env)
    }

    /// The next effect to carry out; the changes before it are durable.
    ///
    /// # Errors
    /// When something could not be made durable. The engine is ahead of the store then: carry out nothing more and end.
    pub fn next_effect(&mut self) -> Result<Option<Effect>, StoreError> {
        while let Some(output) = self.agent.poll_output() {
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
        self.agent.deadline()
    }

    /// The monotonic clock of this node.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The user agent.
    #[must_use]
    pub const fn agent(&self) -> &UserAgent {
        &self.agent
    }

    /// The carrier.
    pub(in crate::shell) const fn carrier(&self) -> &SharedCarrier {
        &self.carrier
    }

    /// The figures of both halves.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        NodeStatus::of(&self.carrier.lock(), &self.agent)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::command::Command;
    use crate::engine::crypto::keys::Identity;
    use crate::engine::envelope::Floor;
    use crate::engine::event::Event;
    use crate::engine::id::{CommandId, NeighbourId};
    use crate::engine::session::testing::offer;
    use crate::engine::settings::NodeRole;
    use crate::engine::testing::rng::SeededRng;

    /// Looks at each draw whether the network could have the carrier.
    struct Watching {
        carrier: SharedCarrier,
        free: Vec<bool>,
    }

    impl Entropy for Watching {
        fn fill(&mut self, bytes: &mut [u8]) {
            self.free.push(self.carrier.is_free());
            bytes.fill(7);
        }
    }

    #[test]
    fn the_network_has_the_carrier_while_an_offer_is_opened() {
        let settings = NodeSettings::new(NodeRole::Messenger, Floor::new(0));
        let mut node = DurableNode::open(settings, Store::in_memory().unwrap()).unwrap();
        let command = Command::CreateIdentity { name: "ann".to_owned() };
        node.turn(Input::Command { id: CommandId(1), command });
        node.settle().unwrap();
        let own = node.agent.snapshot().into_iter().find_map(|event| {
            let Event::Identity(view) = event else { return None };
            Some(view.key)
        });
        let mut seeded = SeededRng::new(1);
        let mut env = Env::new(Millis(0), wall(), &mut seeded);
        let stranger = Identity::generate(&mut env);
        let (id, bytes) = offer(&mut env, &stranger, &own.unwrap(), settings.floor);
        for input in [Input::Gossip { from: NeighbourId(1), id, bytes }, Input::Tick] {
            node.carrier.lock().handle(&mut env, input);
        }
        let mut watching = Watching { carrier: node.carrier.clone(), free: Vec::new() };
        assert_eq!(node.gather_by(&mut watching), Progress::Done);
        // It is given an id of its own once it has opened.
        assert!(!watching.free.is_empty() && watching.free.iter().all(|free| *free));
    }
}
