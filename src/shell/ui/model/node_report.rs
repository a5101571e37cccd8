//! The node as it is reached and as it reports itself, and what follows from it for a person.

use crate::engine::envelope::Lifetime;
use crate::engine::event::{ContactView, MessageView};
use crate::engine::price::Step;
use crate::engine::settings::DEFAULT_HIGHEST_STEP;
use crate::engine::sync::ClockSkew;

use crate::shell::api::{NetworkStatus, Persistence};
use crate::shell::text::clock_skew::SkewDoubt;
use crate::shell::text::lifetime::WorkCost;
use crate::shell::text::price::{AskedPrice, PriceHold};

/// The process in which the node of an interface runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeHost {
    /// That of the interface: the node ends with it.
    #[default]
    Own,
    /// Another one: the node goes on without the interface.
    Another,
}

/// Whether there is a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::shell::ui) enum NodeLink {
    #[default]
    Reached,
    /// It stopped, and the next one is looked for.
    Sought,
}

/// How the node is reached, and its last report, which is empty until it has sent one.
#[derive(Default)]
pub(in crate::shell::ui) struct NodeReport {
    pub(super) host: NodeHost,
    pub(in crate::shell::ui) link: NodeLink,
    pub(in crate::shell::ui) network: Option<NetworkStatus>,
    pub(in crate::shell::ui) persistence: Option<Persistence>,
}

impl NodeReport {
    /// Takes the figures of the network in. Answers how our clock differs from others if that
    /// became a reason for doubt, or a stronger one.
    pub(super) fn set_network(&mut self, network: NetworkStatus) -> Option<ClockSkew> {
        let doubt = |network: &NetworkStatus| SkewDoubt::of(network.clock());
        let before = self.network.as_ref().map_or(SkewDoubt::None, doubt);
        // Once, and again only when it gets worse: a warning that stays is not read.
        let newly_doubted = network.clock().filter(|_| doubt(&network) > before);
        self.network = Some(network);
        newly_doubted
    }

    /// How many envelopes of ours wait to leave this machine.
    pub(super) fn queued(&self) -> usize {
        self.network.as_ref().map_or(0, |network| network.queued)
    }

    /// The work that a message of this lifetime takes at the present price; `None` until the figures
    /// of the network are known.
    pub(in crate::shell::ui) fn cost(&self, lifetime: Lifetime) -> Option<WorkCost> {
        let network = self.network.as_ref()?;
        let step = network.price.of(lifetime);
        Some(WorkCost::of(lifetime, network.floor_bits, step, network.rate))
    }

    /// The present price of the next message of this lifetime, for somebody who pays at most this
    /// step, or the usual one; `None` until the figures of the network are known.
    pub(in crate::shell::ui) fn asked(
        &self,
        lifetime: Lifetime,
        highest: Option<Step>,
    ) -> Option<AskedPrice> {
        Some(AskedPrice::of(self.network.as_ref()?.price, lifetime, highest))
    }

    /// The most that the node pays for what nobody limited otherwise.
    pub(super) fn usual_limit(&self) -> Step {
        self.network.as_ref().map_or(DEFAULT_HIGHEST_STEP, |network| network.price.usual_limit())
    }

    /// What holds a message of ours to this contact back, if its price or its turn does.
    pub(in crate::shell::ui) fn holding_back(
        &self,
        message: &MessageView,
        contact: &ContactView,
    ) -> Option<PriceHold> {
        PriceHold::of(self.network.as_ref()?.price, message, contact)
    }

    /// The fate of messages that have not left this machine when the person leaves, in a few words.
    pub(in crate::shell::ui) const fn fate_of_unsent(&self) -> &'static str {
        match self.persistence {
            Some(Persistence::MemoryOnly) => "quit; they are lost, nothing is saved",
            Some(Persistence::Sealed) | None => "quit; they are sent next time",
        }
    }
}
