//! The edge between the carrier and the user agent.

use std::collections::BTreeSet;

use crate::engine::env::{Env, Millis};
use crate::engine::envelope::{CheckedEnvelope, EnvelopeId, Topic};
use crate::engine::price::Step;
use crate::engine::relay::Passed;

/// The carrier as the user agent sees it: in the same turn, or behind a lock that nobody holds for
/// long.
pub trait Carriage {
    /// Takes what has happened since this was asked last, with at most so many envelopes.
    fn hand_over(&mut self, most: usize) -> Handover;

    /// What is asked of senders now.
    fn market(&mut self, env: &Env<'_>) -> Market;

    /// Whether a neighbour there is said within the hour what is asked.
    fn is_price_known(&self, now: Millis) -> bool;

    /// Holds an envelope of ours like any other, before it is published.
    fn admit_own(&mut self, env: &mut Env<'_>, envelope: CheckedEnvelope);

    /// The envelopes in the pool with this topic.
    fn by_topic(&self, topic: Topic) -> Vec<CheckedEnvelope>;

    /// The ids of the envelopes in the pool.
    fn held(&self) -> Vec<EnvelopeId>;

    /// An envelope in the pool.
    fn envelope(&self, id: &EnvelopeId) -> Option<CheckedEnvelope>;
}

/// What has happened since the user agent asked last.
#[derive(Debug)]
pub struct Handover {
    /// What is new.
    pub(in crate::engine) news: BTreeSet<News>,
    /// How many neighbours there are.
    pub(in crate::engine) neighbours: usize,
    /// Envelopes that the gate let through, oldest first.
    pub(in crate::engine) envelopes: Vec<Passed>,
    /// How many more wait.
    pub(in crate::engine) waiting: usize,
}

/// Something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// A neighbour came when there was none.
    FirstNeighbour,
    /// A neighbour said what it asks.
    PriceHeard,
    /// There was no room for all envelopes: the others are in the pool, if they are anywhere.
    LeftOut,
}

/// What is asked of senders at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Market {
    /// The step to pay for each life, shortest first.
    pub paid: [Step; 3],
    /// What this node's own line asks.
    pub own_line: Step,
    /// What neighbours' lines ask, by what was heard.
    pub heard_line: Step,
}
