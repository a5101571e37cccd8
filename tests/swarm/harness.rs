//! Towns of the size and pace the simulated tests want, and running them from many seeds.

use undertone::engine::env::Millis;
use undertone::engine::envelope::Floor;
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::sim::NodeIndex;
use undertone::sim::link::Links;

pub(crate) use crate::town::{Town, link};

/// Two tries on average: work is real and costs nothing.
pub(crate) const FLOOR: u8 = 1;

/// Settings quick enough for tests: nothing waits longer than a few virtual seconds.
pub(crate) fn settings(role: NodeRole) -> NodeSettings {
    NodeSettings {
        reply_delay: Millis(500),
        retransmit_after: Millis(8_000),
        ..NodeSettings::new(role, Floor::new(FLOOR))
    }
}

impl Town {
    /// `people` messengers, each at one of `relays` relays in a ring.
    pub(crate) fn new(seed: u64, links: Links, people: usize, relays: usize) -> Self {
        let mut town = Self::of_relays(seed, links, relays, settings(NodeRole::Relay));
        for index in 0..people {
            if relays > 0 {
                town.settle(settings(NodeRole::Messenger), NodeIndex(index % relays));
            } else {
                town.lodge(settings(NodeRole::Messenger));
            }
        }
        town
    }

    /// Two messengers whose chains have `window` positions, with a relay between them or none.
    pub(crate) fn pair(seed: u64, links: Links, window: u32, relays: usize) -> Self {
        let mut town = Self::new(seed, links, 0, relays);
        let messenger = NodeSettings { window, ..settings(NodeRole::Messenger) };
        if relays > 0 {
            town.settle(messenger, NodeIndex(0));
        } else {
            town.lodge(messenger);
        }
        // The second is the first one's neighbour when there is no other.
        town.settle(messenger, NodeIndex(0));
        town
    }
}

/// How many seeds a long scenario is run from: `UNDERTONE_SEEDS`, else a few.
pub(crate) fn seeds_wished(few: u64) -> u64 {
    let wished = std::env::var("UNDERTONE_SEEDS").ok();
    wished.and_then(|wished| wished.parse().ok()).unwrap_or(few)
}

/// Runs a scenario from every seed, or from the one in `SEED`; says which one failed.
#[expect(clippy::print_stderr, reason = "whoever reads of the failure needs its seed")]
pub(crate) fn seeds(count: u64, scenario: impl Fn(u64)) {
    if let Some(seed) = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        return scenario(seed);
    }
    for seed in 0..count {
        let run = std::panic::AssertUnwindSafe(|| scenario(seed));
        if let Err(cause) = std::panic::catch_unwind(run) {
            eprintln!("again with: SEED={seed} cargo test --test swarm");
            std::panic::resume_unwind(cause);
        }
    }
}
