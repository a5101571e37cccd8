//! What a test may look at and do to a node from behind: its disk, and everything it ever published.
//!
//! None of it is seen by the engines, which go on as if nothing had been done but to their disks.

use std::collections::{BTreeMap, BTreeSet};

use super::disk::SimDisk;
use super::{NodeIndex, World, skewed};
use crate::engine::env::{Entropy, Env};
use crate::engine::envelope::{Envelope, EnvelopeId, Topic};
use crate::engine::record::Record;

/// A copy of a node's whole disk at one moment, as of a virtual machine.
#[derive(Clone, Debug)]
pub struct DiskCopy(SimDisk);

impl World {
    /// What a node keeps on its disk.
    pub fn records(&self, node: NodeIndex) -> impl Iterator<Item = &Record> {
        self.nodes.get(node.0).into_iter().flat_map(|sim| sim.disk.records())
    }

    /// Copies a node's whole disk; nothing when there is no such node.
    #[must_use]
    pub fn copy_disk(&self, node: NodeIndex) -> Option<DiskCopy> {
        self.nodes.get(node.0).map(|sim| DiskCopy(sim.disk.clone()))
    }

    /// Ends a node and starts it from a copy of its disk, which may be older than what it did.
    pub fn put_back(&mut self, node: NodeIndex, copy: DiskCopy) {
        if let Some(sim) = self.nodes.get_mut(node.0) {
            sim.disk = copy.0;
        }
        self.start_over(node);
    }

    /// Ends a node and starts it with nothing but who it is and whom it knows, as a backup brings
    /// it back: without sessions, messages, requests and the memory of offers.
    pub fn reset_state(&mut self, node: NodeIndex) {
        if let Some(sim) = self.nodes.get_mut(node.0) {
            let entropy = &mut sim.entropy;
            sim.disk.wipe_to_roster(|| {
                let mut stream = [0; 8];
                entropy.fill(&mut stream);
                u64::from_le_bytes(stream)
            });
        }
        self.start_over(node);
    }

    /// Ends a node and starts it as another device that took it over from a backup: with who it is,
    /// whom it knows, the offers it has seen and what was said, under another numbering, without
    /// sessions and without what was not done with.
    pub fn restore_backup(&mut self, node: NodeIndex) {
        let (now, wall) = (self.now, self.wall());
        if let Some(sim) = self.nodes.get_mut(node.0) {
            let mut env = Env::new(now, skewed(wall, sim.skew), &mut sim.entropy);
            sim.disk.restore_from_backup(&mut env);
        }
        self.start_over(node);
    }

    /// Whether a node has a search for work under way.
    #[must_use]
    pub fn is_mining(&self, node: NodeIndex) -> bool {
        self.nodes.get(node.0).is_some_and(|sim| !sim.mining.is_empty())
    }

    /// Ends a node and starts it without its sessions and what was sealed in them, as a home of an
    /// earlier program is.
    pub fn lose_sessions(&mut self, node: NodeIndex) {
        if let Some(sim) = self.nodes.get_mut(node.0) {
            sim.disk.drop_sessions();
        }
        self.start_over(node);
    }

    /// Ends a node and starts it from its disk.
    pub fn start_over(&mut self, node: NodeIndex) {
        if let Some(sim) = self.nodes.get_mut(node.0) {
            sim.crash_after = None;
        }
        self.start(node);
    }

    /// Has a node drop its people from memory, as a lock does, and go on as a relay.
    pub fn unload_roster(&mut self, node: NodeIndex) {
        let (now, wall) = (self.now, self.wall());
        let Some(sim) = self.nodes.get_mut(node.0) else { return };
        let mut env = Env::new(now, skewed(wall, sim.skew), &mut sim.entropy);
        if let Some(engine) = &mut sim.node {
            engine.unload_roster(&mut env);
        }
        self.drain(node);
    }

    /// Has a node take its people back from its disk.
    pub fn load_roster(&mut self, node: NodeIndex) {
        let (now, wall) = (self.now, self.wall());
        let Some(sim) = self.nodes.get_mut(node.0) else { return };
        let records = sim.disk.open_records();
        let mut env = Env::new(now, skewed(wall, sim.skew), &mut sim.entropy);
        let Some(engine) = &mut sim.node else { return };
        engine.load_roster(&mut env, records);
        for event in engine.snapshot() {
            self.tell(node, event);
        }
        self.drain(node);
    }

    /// How many outputs a node that is to die carries out before; nothing when it has died.
    #[must_use]
    pub fn outputs_left(&self, node: NodeIndex) -> Option<u32> {
        self.nodes.get(node.0).and_then(|sim| sim.crash_after)
    }

    /// An envelope that somebody published.
    #[must_use]
    pub fn envelope(&self, id: EnvelopeId) -> Option<&[u8]> {
        self.envelopes.get(&id).map(Vec::as_slice)
    }

    /// How many topics were used for two bodies or more. One body may have been dated twice.
    #[must_use]
    pub fn topics_met(&self) -> usize {
        let mut bodies: BTreeMap<Topic, BTreeSet<&[u8]>> = BTreeMap::new();
        for bytes in self.envelopes.values() {
            if let Ok(envelope) = Envelope::decode(bytes) {
                bodies.entry(envelope.topic).or_default().insert(envelope.data);
            }
        }
        bodies.values().filter(|bodies| bodies.len() > 1).count()
    }
}
