//! Chains: from one secret to a row of message keys and topics, one of each for every position.
//!
//! A step goes forward alone: whoever holds a chain finds nothing of what it passed. Our own chain
//! and theirs are different types, so that neither can do the other's work. Nothing here encrypts,
//! and nothing is changed in place: a step gives the next chain, and the caller decides.

use core::fmt;
use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::engine::crypto::kdf::{self, Label};
use crate::engine::env::{Env, UnixSeconds};
use crate::engine::envelope::Topic;
use crate::engine::envelope::wire::{MAX_TTL, ONE_DAY};
use crate::engine::secret::Secret;

/// Positions a recipient watches ahead of the last one received, and therefore positions a sender
/// may fill without hearing that any of the recent ones arrived.
///
/// A guess: 1,024 messages to somebody who is away, for some 70 KiB in memory, nearly all of it in
/// the watch, and a millisecond or two when a session is loaded.
pub const WINDOW: u32 = 1024;

/// Skipped keys one session keeps, the lowest positions going first: two windows of lost messages.
pub const MAX_SKIPPED: usize = 2 * WINDOW as usize;

/// The key of one message. Whoever has opened the message must forget it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MessageKey(Secret<32>);

impl MessageKey {
    /// The secret from which key and nonce are derived.
    pub(super) fn secret(&self) -> &Secret<32> {
        &self.0
    }
}

/// The chain of message keys at one position.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ChainKey(Secret<32>);

impl ChainKey {
    fn step(&self) -> (Self, MessageKey) {
        let both = kdf::expand::<64>(&self.0, Label::ChainStep);
        (Self(both.part::<0, 32>()), MessageKey(both.part::<32, 32>()))
    }
}

/// The chain of topics at one position. Apart from the keys: a recipient must know topics long
/// before the messages, and what it keeps for them must open nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TopicKey(Secret<32>);

impl TopicKey {
    fn step(&self) -> (Self, Topic) {
        let both = kdf::expand::<36>(&self.0, Label::TopicStep);
        (Self(both.part::<0, 32>()), Topic(*both.part::<32, 4>().expose()))
    }
}

/// The secrets one direction begins with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    chain: ChainKey,
    topics: TopicKey,
}

impl Origin {
    /// The direction whose message keys come from `chain` and whose topics come from `topics`.
    pub(super) fn new(chain: Secret<32>, topics: Secret<32>) -> Self {
        Self { chain: ChainKey(chain), topics: TopicKey(topics) }
    }
}

/// What we send: the next position, and how far the other side is known to have come.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SendingChain {
    chain: ChainKey,
    topics: TopicKey,
    next: u32,
    /// One more than the highest position that is known to have arrived.
    heard: u32,
}

impl SendingChain {
    /// Our direction, at its first position.
    pub(super) fn new(origin: &Origin) -> Self {
        let Origin { chain, topics } = origin.clone();
        Self { chain, topics, next: 0, heard: 0 }
    }

    /// The next chain, and what is needed at this position. `None` when the recipient may not be
    /// watching it.
    pub(super) fn step(&self) -> Option<(Self, Slot)> {
        if self.next.saturating_sub(self.heard) >= WINDOW {
            return None;
        }
        let (chain, key) = self.chain.step();
        let (topics, topic) = self.topics.step();
        let next = Self { chain, topics, next: self.next.checked_add(1)?, heard: self.heard };
        Some((next, Slot { position: self.next, topic, key }))
    }

    /// The chain once some position before `end` is known to have arrived, and it is the highest.
    /// Who says so of positions never filled says nothing.
    pub(super) fn heard_before(&self, end: u32) -> Self {
        let mut chain = self.clone();
        if end <= self.next {
            chain.heard = self.heard.max(end);
        }
        chain
    }

    /// Whether any position was filled.
    pub(super) fn has_sent(&self) -> bool {
        self.next > 0
    }
}

impl fmt::Debug for SendingChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain: _, topics: _, next, heard } = self;
        f.debug_struct("SendingChain").field("next", next).field("heard", heard).finish()
    }
}

/// One position of a sending chain.
pub(super) struct Slot {
    /// Which one.
    pub(super) position: u32,
    /// Where the recipient waits.
    pub(super) topic: Topic,
    /// What the recipient opens it with.
    pub(super) key: MessageKey,
}

impl Slot {
    /// A position of no chain: what is sealed at it, nobody can open.
    pub(super) fn draw(env: &mut Env<'_>) -> Self {
        Self { position: 0, topic: Topic(env.draw()), key: MessageKey(Secret::draw(env)) }
    }
}

/// What they send: the window of positions to watch, and the keys of those that were passed over.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredChain", into = "StoredChain")]
pub(super) struct ReceivingChain {
    chain: ChainKey,
    topics: TopicKey,
    /// One more than the highest position received: where the window begins.
    next: u32,
    skipped: SkippedKeys,
    /// The topics of the window, in order; computed, not stored.
    window: VecDeque<Topic>,
    /// The topic chain at the window's end.
    end: TopicKey,
}

impl ReceivingChain {
    /// Their direction, at its first position.
    pub(super) fn new(origin: &Origin) -> Self {
        let Origin { chain, topics } = origin.clone();
        StoredChain { chain, topics, next: 0, skipped: SkippedKeys::default() }.into()
    }

    /// One more than the highest position received.
    pub(super) fn received(&self) -> u32 {
        self.next
    }

    /// The watched positions of a topic. Mostly none or one; topics are short enough to meet.
    pub(super) fn positions(&self, topic: Topic) -> impl Iterator<Item = u32> {
        let skipped = self.skipped.0.iter().filter(move |(_, skipped)| skipped.topic == topic);
        let ahead = (self.next..).zip(&self.window).filter(move |(_, ahead)| **ahead == topic);
        skipped.map(|(position, _)| *position).chain(ahead.map(|(position, _)| position))
    }

    /// Every watched topic, once for each position that has it.
    pub(super) fn topics(&self) -> impl Iterator<Item = Topic> {
        self.skipped.0.values().map(|skipped| skipped.topic).chain(self.window.iter().copied())
    }

    /// The key at a watched position.
    pub(super) fn key(&self, position: u32) -> Option<MessageKey> {
        if let Some(skipped) = self.skipped.0.get(&position) {
            return Some(skipped.key.clone());
        }
        let ahead = usize::try_from(position.checked_sub(self.next)?).ok()?;
        if ahead >= self.window.len() {
            return None;
        }
        let (mut chain, mut key) = self.chain.step();
        for _ in 0..ahead {
            (chain, key) = chain.step();
        }
        Some(key)
    }

    /// The chain once the message at a watched position was opened, `now`: its key is gone, and the
    /// keys of those passed over are kept.
    pub(super) fn without(&self, position: u32, now: UnixSeconds) -> Self {
        let mut chain = self.clone();
        if chain.skipped.0.remove(&position).is_some() {
            return chain;
        }
        while chain.next <= position {
            let passed = chain.next;
            let Some((topic, key)) = chain.advance() else { break };
            if passed < position {
                chain.skipped.keep(passed, Skipped { topic, key, since: now });
            }
        }
        chain
    }

    /// The chain without the skipped keys that nothing can arrive for any more; `None` if there is
    /// no such key.
    pub(super) fn aged(&self, now: UnixSeconds) -> Option<Self> {
        if !self.skipped.0.values().any(|skipped| skipped.is_past(now)) {
            return None;
        }
        let mut chain = self.clone();
        chain.skipped.0.retain(|_, skipped| !skipped.is_past(now));
        Some(chain)
    }

    /// What a watcher must do to follow from this chain to `after`, a later state of it.
    pub(super) fn changes(&self, after: &Self) -> Changes {
        let passed = (self.next..after.next).zip(&self.window);
        let passed = passed.filter(|(position, _)| !after.skipped.0.contains_key(position));
        let dropped = self.skipped.0.iter().filter(|(at, _)| !after.skipped.0.contains_key(at));
        let stay = self.window.len().saturating_sub(after.next.saturating_sub(self.next) as usize);
        Changes {
            ended: passed
                .map(|(_, topic)| *topic)
                .chain(dropped.map(|(_, skipped)| skipped.topic))
                .collect(),
            begun: after.window.iter().skip(stay).copied().collect(),
        }
    }

    /// Moves the window on by one, and gives what stood at its beginning.
    fn advance(&mut self) -> Option<(Topic, MessageKey)> {
        let next = self.next.checked_add(1)?;
        let topic = self.window.pop_front()?;
        let (chain, key) = self.chain.step();
        let (topics, _) = self.topics.step();
        let (end, last) = self.end.step();
        self.window.push_back(last);
        (self.chain, self.topics, self.end, self.next) = (chain, topics, end, next);
        Some((topic, key))
    }
}

impl fmt::Debug for ReceivingChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain: _, topics: _, next, skipped, window: _, end: _ } = self;
        f.debug_struct("ReceivingChain")
            .field("next", next)
            .field("skipped", &skipped.0.len())
            .finish()
    }
}

/// What a watcher must do to follow one step.
pub(super) struct Changes {
    /// Topics to stop watching, once for each position that has gone.
    pub(super) ended: Vec<Topic>,
    /// Topics to watch, once for each position that has come.
    pub(super) begun: Vec<Topic>,
}

/// Keys of positions that were passed over, for messages that are late.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SkippedKeys(BTreeMap<u32, Skipped>);

impl SkippedKeys {
    fn keep(&mut self, position: u32, skipped: Skipped) {
        self.0.insert(position, skipped);
        if self.0.len() > MAX_SKIPPED {
            self.0.pop_first();
        }
    }
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Skipped {
    topic: Topic,
    key: MessageKey,
    since: UnixSeconds,
}

impl Skipped {
    /// Whether the message cannot come any more: it was sent before the one that passed it over,
    /// so no envelope with it lives longer than the longest life; a day is for clocks that differ.
    fn is_past(&self, now: UnixSeconds) -> bool {
        self.since.plus(MAX_TTL).plus(ONE_DAY) <= now
    }
}

/// A [`ReceivingChain`] as the store keeps it: without what can be computed.
#[derive(Serialize, Deserialize)]
struct StoredChain {
    chain: ChainKey,
    topics: TopicKey,
    next: u32,
    skipped: SkippedKeys,
}

impl From<StoredChain> for ReceivingChain {
    fn from(stored: StoredChain) -> Self {
        let StoredChain { chain, topics, next, skipped } = stored;
        let mut end = topics.clone();
        let mut window = VecDeque::with_capacity(WINDOW as usize);
        for _ in 0..WINDOW {
            let (after, topic) = end.step();
            window.push_back(topic);
            end = after;
        }
        Self { chain, topics, next, skipped, window, end }
    }
}

impl From<ReceivingChain> for StoredChain {
    fn from(chain: ReceivingChain) -> Self {
        let ReceivingChain { chain, topics, next, skipped, window: _, end: _ } = chain;
        Self { chain, topics, next, skipped }
    }
}
