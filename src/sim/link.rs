//! A model of the flood's links and their faults: latency, loss, partition.

use std::collections::BTreeSet;

use super::{NodeIndex, SeededRng};
use crate::engine::env::Millis;

/// Links between neighbours, and how they behave.
///
/// gossipsub sends an accepted envelope once to each mesh neighbour but the one it came from; here
/// every neighbour is in the mesh, as there. Nothing but catching up recovers what a link loses.
#[derive(Debug)]
pub struct Links {
    /// The shortest time an envelope takes.
    pub latency: Millis,
    /// The longest further time, uniform: envelopes overtake each other.
    pub jitter: Millis,
    /// How many of a thousand envelopes a link loses.
    pub loss_per_mille: u16,
    /// How many of a thousand envelopes a link brings twice, the second time after gossipsub forgot
    /// it, so that the engine is asked again.
    pub repeat_per_mille: u16,
    pairs: BTreeSet<(NodeIndex, NodeIndex)>,
    apart: BTreeSet<NodeIndex>,
    down: BTreeSet<NodeIndex>,
}

impl Links {
    /// Links of 10 to 120 ms without loss, as between homes on one continent.
    #[must_use]
    pub const fn calm() -> Self {
        Self {
            latency: Millis(10),
            jitter: Millis(110),
            loss_per_mille: 0,
            repeat_per_mille: 0,
            pairs: BTreeSet::new(),
            apart: BTreeSet::new(),
            down: BTreeSet::new(),
        }
    }

    pub(super) fn join(&mut self, one: NodeIndex, other: NodeIndex) {
        self.pairs.insert((one, other));
        self.pairs.insert((other, one));
    }

    pub(super) fn partition(&mut self, these: &[NodeIndex]) {
        self.apart.extend(these);
    }

    pub(super) fn heal(&mut self) {
        self.apart.clear();
    }

    pub(super) fn switch_off(&mut self, node: NodeIndex) {
        self.down.insert(node);
    }

    pub(super) fn switch_on(&mut self, node: NodeIndex) {
        self.down.remove(&node);
    }

    /// The neighbours a node reaches, in order.
    pub(super) fn neighbours(&self, node: NodeIndex) -> Vec<NodeIndex> {
        if self.down.contains(&node) {
            return Vec::new();
        }
        self.pairs
            .range((node, NodeIndex(0))..=(node, NodeIndex(usize::MAX)))
            .map(|&(_, other)| other)
            .filter(|other| self.apart.contains(other) == self.apart.contains(&node))
            .filter(|other| !self.down.contains(other))
            .collect()
    }

    /// How long the next envelope takes; `None` if it is lost.
    pub(super) fn carry(&self, chance: &mut SeededRng) -> Option<Millis> {
        if chance.below(1_000) < u64::from(self.loss_per_mille) {
            return None;
        }
        Some(self.delay(chance))
    }

    /// How long after that it comes again; `None` if it does not.
    pub(super) fn carry_again(&self, chance: &mut SeededRng) -> Option<Millis> {
        let repeats = self.repeat_per_mille;
        // Without repeats nothing is drawn, so the traces of worlds without them stay as they are.
        let again = repeats > 0 && chance.below(1_000) < u64::from(repeats);
        again.then(|| self.delay(chance))
    }

    fn delay(&self, chance: &mut SeededRng) -> Millis {
        self.latency.plus(Millis(chance.below(self.jitter.0.saturating_add(1))))
    }
}
