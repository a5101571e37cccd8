//! Chains: message keys derived from one secret, and topics and header keys derived from another.
//!
//! A step goes forward alone: a chain's present state tells nothing of the positions it passed. Our
//! own chain and theirs are different types, so that neither can do the other's work. Nothing here
//! encrypts, and nothing is changed in place but the copy a caller works on.

use core::fmt;
use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::engine::crypto::kdf::{self, KdfLabel};
use crate::engine::crypto::keys::PublicKey;
use crate::engine::env::{Env, UnixSeconds};
use crate::engine::envelope::Topic;
use crate::engine::envelope::wire::{MAX_TTL, ONE_DAY};
use crate::engine::secret::Secret;

/// Positions of one chain: how many messages a side may send before it has opened a reply, and how
/// many topics of a chain the other side watches.
///
/// A guess: 1,024 messages to somebody who is away, for some 40 KiB in memory for each of two
/// chains, nearly all of it in the topic index, and a millisecond or two whenever a chain begins.
pub const WINDOW: u32 = 1024;

/// Skipped keys one session keeps, the oldest going first: two chains of lost messages.
pub const MAX_SKIPPED: usize = 2 * WINDOW as usize;

/// The key of one message, forgotten once the message is opened.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MessageKey(Secret<32>);

impl MessageKey {
    /// The secret from which key and nonce are derived.
    pub(super) fn secret(&self) -> &Secret<32> {
        &self.0
    }
}

/// The key of one message's header.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeaderKey(Secret<32>);

impl HeaderKey {
    /// The secret from which key and nonce are derived.
    pub(super) fn secret(&self) -> &Secret<32> {
        &self.0
    }
}

/// The chain of message keys at one position.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChainKey(Secret<32>);

impl ChainKey {
    /// The chain that begins with this secret.
    pub(super) fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    fn step(&self) -> (Self, MessageKey) {
        let both = kdf::expand::<64>(&self.0, KdfLabel::ChainStep);
        (Self(both.part::<0, 32>()), MessageKey(both.part::<32, 32>()))
    }

    /// The key of a message so many positions ahead.
    fn ahead(&self, positions: u32) -> MessageKey {
        let (mut chain, mut key) = self.step();
        for _ in 0..positions {
            (chain, key) = chain.step();
        }
        key
    }
}

/// The chain of topics and header keys at one position. Separate from the message keys: a recipient
/// must know topics long before messages, and the keys it keeps for that must open no text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TopicKey(Secret<32>);

impl TopicKey {
    /// The chain that begins with this secret.
    pub(super) fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    fn step(&self) -> (Self, Topic) {
        let both = kdf::expand::<36>(&self.0, KdfLabel::TopicStep);
        (Self(both.part::<0, 32>()), Topic(*both.part::<32, 4>().expose()))
    }

    fn header_key(&self) -> HeaderKey {
        HeaderKey(kdf::expand(&self.0, KdfLabel::HeaderKey))
    }
}

/// One position of a sending chain.
pub(super) struct ChainSlot {
    /// Its place in the chain.
    pub(super) position: u32,
    /// The topic that the recipient watches for it.
    pub(super) topic: Topic,
    /// The key of its header.
    pub(super) header: HeaderKey,
    /// The key of its payload.
    pub(super) key: MessageKey,
}

impl ChainSlot {
    /// A position of no chain: nobody can open a body that is sealed at it.
    pub(super) fn draw(env: &mut Env<'_>) -> Self {
        Self {
            position: 0,
            topic: Topic(env.draw()),
            header: HeaderKey(Secret::draw(env)),
            key: MessageKey(Secret::draw(env)),
        }
    }
}

/// The chain we send in, at its next position.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SendingChain {
    number: u32,
    chain: ChainKey,
    topics: TopicKey,
    next: u32,
    /// How many positions of the sender's chain before this one were filled.
    pub(super) before: u32,
}

impl SendingChain {
    /// The chain with this number, at its first position; `before` positions were filled in the one
    /// we sent in before it.
    pub(super) fn new(number: u32, chain: ChainKey, topics: TopicKey, before: u32) -> Self {
        Self { number, chain, topics, next: 0, before }
    }

    /// The chain after it filled a position, and that position's keys. `None` when all of the
    /// `window` positions are filled.
    pub(super) fn step(&self, window: u32) -> Option<(Self, ChainSlot)> {
        if self.next >= window {
            return None;
        }
        let (chain, key) = self.chain.step();
        let (topics, topic) = self.topics.step();
        let slot = ChainSlot { position: self.next, topic, header: self.topics.header_key(), key };
        Some((Self { chain, topics, next: self.next.checked_add(1)?, ..*self }, slot))
    }

    /// How many positions were filled.
    pub(super) fn filled(&self) -> u32 {
        self.next
    }
}

impl fmt::Debug for SendingChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, chain: _, topics: _, next, before: _ } = self;
        f.debug_struct("SendingChain").field("number", number).field("next", next).finish()
    }
}

/// The positions of one of their chains that we watch: from the first not passed to the last.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredTopicWindow", into = "StoredTopicWindow")]
pub(super) struct TopicWindow {
    number: u32,
    topics: TopicKey,
    next: u32,
    window: u32,
    /// The topics from `next` to the last position; computed, not stored.
    ahead: VecDeque<Topic>,
}

impl TopicWindow {
    /// All positions of the chain with this number.
    pub(super) fn new(number: u32, topics: TopicKey, window: u32) -> Self {
        StoredTopicWindow { number, topics, next: 0, window }.into()
    }

    /// The chain's number in the session.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// One more than the highest position passed.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Every topic, in order.
    pub(super) fn topics(&self) -> impl Iterator<Item = Topic> {
        self.ahead.iter().copied()
    }

    /// How many positions were passed from this state of a topic window to a later one.
    pub(super) fn passed(&self, later: &Self) -> usize {
        later.next.saturating_sub(self.next) as usize
    }

    /// The positions that have a topic. Mostly none or one; topics are short enough to meet.
    pub(super) fn positions(&self, topic: Topic) -> impl Iterator<Item = u32> {
        let ahead = (self.next..).zip(&self.ahead).filter(move |(_, ahead)| **ahead == topic);
        ahead.map(|(position, _)| position)
    }

    /// The header key at a position that was not passed.
    pub(super) fn header_key(&self, position: u32) -> Option<HeaderKey> {
        let mut topics = self.topics.clone();
        for _ in self.next..self.within(position)? {
            (topics, _) = topics.step();
        }
        Some(topics.header_key())
    }

    fn within(&self, position: u32) -> Option<u32> {
        (self.next..self.window).contains(&position).then_some(position)
    }

    /// Passes one position, and returns its topic and header key.
    fn pass(&mut self) -> Option<(Topic, HeaderKey)> {
        let topic = self.ahead.pop_front()?;
        let header = self.topics.header_key();
        (self.topics, _) = self.topics.step();
        self.next = self.next.checked_add(1)?;
        Some((topic, header))
    }
}

impl fmt::Debug for TopicWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, topics: _, next, window: _, ahead: _ } = self;
        f.debug_struct("TopicWindow").field("number", number).field("next", next).finish()
    }
}

/// A [`TopicWindow`] as the store keeps it: without the topics, which can be computed.
#[derive(Serialize, Deserialize)]
struct StoredTopicWindow {
    number: u32,
    topics: TopicKey,
    next: u32,
    window: u32,
}

impl From<StoredTopicWindow> for TopicWindow {
    fn from(stored: StoredTopicWindow) -> Self {
        let StoredTopicWindow { number, topics, next, window } = stored;
        // A damaged record may name any window: bounded before it costs memory or time.
        let window = window.min(WINDOW);
        let mut last = topics.clone();
        let mut ahead = VecDeque::with_capacity(window.saturating_sub(next) as usize);
        for _ in next..window {
            let (after, topic) = last.step();
            ahead.push_back(topic);
            last = after;
        }
        Self { number, topics, next, window, ahead }
    }
}

impl From<TopicWindow> for StoredTopicWindow {
    fn from(topic_window: TopicWindow) -> Self {
        let TopicWindow { number, topics, next, window, ahead: _ } = topic_window;
        Self { number, topics, next, window }
    }
}

/// The chain we read, with its message keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReceivingChain {
    /// Their ratchet key in it.
    pub(super) ratchet: PublicKey,
    chain: ChainKey,
    topic_window: TopicWindow,
}

impl ReceivingChain {
    /// The chain whose topics are `topic_window`'s, from the position `topic_window` stands at.
    pub(super) fn new(ratchet: PublicKey, chain: ChainKey, topic_window: TopicWindow) -> Self {
        Self { ratchet, chain, topic_window }
    }

    /// The positions of it that we watch.
    pub(super) fn topic_window(&self) -> &TopicWindow {
        &self.topic_window
    }

    /// The message key at a position that was not passed.
    pub(super) fn key(&self, position: u32) -> Option<MessageKey> {
        let position = self.topic_window.within(position)?;
        Some(self.chain.ahead(position - self.topic_window.next))
    }

    /// Passes every position before `end`, and keeps the keys of those in `skipped`.
    pub(super) fn pass_to(&mut self, end: u32, now: UnixSeconds, skipped: &mut SkippedKeys) {
        while self.topic_window.next < end {
            let place = (self.topic_window.number, self.topic_window.next);
            let Some((topic, header, key)) = self.pass() else { return };
            skipped.keep(place, SkippedKey { topic, header, key, since: now });
        }
    }

    /// Passes one position and forgets its key.
    pub(super) fn pass(&mut self) -> Option<(Topic, HeaderKey, MessageKey)> {
        let (topic, header) = self.topic_window.pass()?;
        let (chain, key) = self.chain.step();
        self.chain = chain;
        Some((topic, header, key))
    }
}

impl fmt::Debug for ReceivingChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ratchet: _, chain: _, topic_window } = self;
        f.debug_tuple("ReceivingChain").field(topic_window).finish()
    }
}

/// A chain's number and a position in it.
pub(super) type ChainPosition = (u32, u32);

/// Skipped keys: those of positions that were passed over, for messages that are late.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SkippedKeys(BTreeMap<ChainPosition, SkippedKey>);

impl SkippedKeys {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Every place with its topic.
    pub(super) fn topics(&self) -> impl Iterator<Item = (ChainPosition, Topic)> {
        self.0.iter().map(|(place, skipped)| (*place, skipped.topic))
    }

    /// Whether the key of this place is kept.
    pub(super) fn holds(&self, place: ChainPosition) -> bool {
        self.0.contains_key(&place)
    }

    /// The keys of header and message at a place.
    pub(super) fn get(&self, place: ChainPosition) -> Option<(&HeaderKey, &MessageKey)> {
        self.0.get(&place).map(|skipped| (&skipped.header, &skipped.key))
    }

    /// All keys but this one.
    pub(super) fn without(&self, place: ChainPosition) -> Self {
        let mut rest = self.clone();
        rest.0.remove(&place);
        rest
    }

    /// All keys but the oldest `count`.
    pub(super) fn without_oldest(&self, count: usize) -> Self {
        Self(self.0.iter().skip(count).map(|(place, key)| (*place, key.clone())).collect())
    }

    /// When the oldest key was passed over.
    pub(super) fn oldest(&self) -> Option<UnixSeconds> {
        // Chains and positions are passed in order, so the lowest place is the oldest.
        self.0.first_key_value().map(|(_, skipped)| skipped.since)
    }

    /// The keys whose messages can still arrive; `None` if that is all of them.
    pub(super) fn aged(&self, now: UnixSeconds) -> Option<Self> {
        if !self.0.values().any(|skipped| skipped.is_past(now)) {
            return None;
        }
        let mut rest = self.clone();
        rest.0.retain(|_, skipped| !skipped.is_past(now));
        Some(rest)
    }

    fn keep(&mut self, place: ChainPosition, skipped: SkippedKey) {
        self.0.insert(place, skipped);
        // A contact can make us skip as much as it likes; the oldest messages are the least likely
        // to come.
        if self.0.len() > MAX_SKIPPED {
            self.0.pop_first();
        }
    }
}

impl fmt::Debug for SkippedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(keys) = self;
        write!(f, "SkippedKeys({})", keys.len())
    }
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SkippedKey {
    topic: Topic,
    header: HeaderKey,
    key: MessageKey,
    since: UnixSeconds,
}

impl SkippedKey {
    /// Whether the message cannot come any more: it was sent before the one that passed it over,
    /// so no envelope with it lives longer than the longest life; a day is for clocks that differ.
    fn is_past(&self, now: UnixSeconds) -> bool {
        self.since.plus(MAX_TTL).plus(ONE_DAY) <= now
    }
}
