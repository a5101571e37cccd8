//! The audit: invariants that are checked over all nodes and their whole lives.
//!
//! It sees what no node can see: every nonce, every envelope, every text. It changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::NodeIndex;
use crate::engine::env::Millis;
use crate::engine::envelope::{Envelope, EnvelopeId, Topic};

/// A violated invariant: the engine is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(pub &'static str);

/// Everything that was ever encrypted or published, and the violations found in it.
#[derive(Debug)]
pub struct Audit {
    seed: u64,
    texts: Vec<Vec<u8>>,
    /// Every (key, nonce) fingerprint of every node's whole life.
    nonces: BTreeSet<[u8; 16]>,
    envelopes: BTreeMap<EnvelopeId, Vec<u8>>,
    /// The topic and body of each envelope that was published.
    sealed: BTreeSet<(Topic, Vec<u8>)>,
    /// Whether a disk was put back: what left since then is unknown to whoever lives from it.
    put_back: bool,
    violations: Vec<String>,
}

impl Audit {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            seed,
            texts: Vec::new(),
            nonces: BTreeSet::new(),
            envelopes: BTreeMap::new(),
            sealed: BTreeSet::new(),
            put_back: false,
            violations: Vec::new(),
        }
    }

    /// The violations, each with the seed that repeats it; empty unless the engine is wrong.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// An envelope that some node published.
    #[must_use]
    pub fn envelope(&self, id: EnvelopeId) -> Option<&[u8]> {
        self.envelopes.get(&id).map(Vec::as_slice)
    }

    /// How many topics were used for two bodies or more.
    #[must_use]
    pub fn reused_topics(&self) -> usize {
        let mut bodies: BTreeMap<Topic, BTreeSet<&[u8]>> = BTreeMap::new();
        for bytes in self.envelopes.values() {
            if let Ok(envelope) = Envelope::decode(bytes) {
                bodies.entry(envelope.topic).or_default().insert(envelope.data);
            }
        }
        bodies.values().filter(|bodies| bodies.len() > 1).count()
    }

    /// Remembers a text that must never be readable on a link.
    pub(super) fn note_text(&mut self, text: &str) {
        // Short texts would be found in random bytes by chance.
        if text.len() >= SHORTEST_TEXT {
            self.texts.push(text.as_bytes().to_vec());
        }
    }

    /// Checks that this key and nonce were not used before.
    pub(super) fn check_nonce(&mut self, pair: [u8; 16]) -> Result<(), Violation> {
        if self.nonces.insert(pair) {
            Ok(())
        } else {
            Err(Violation("a key and nonce were used twice"))
        }
    }

    /// Notes that a node goes on from an older disk.
    pub(super) const fn note_put_back(&mut self) {
        self.put_back = true;
    }

    /// Keeps a published envelope, and checks that nobody published it before, nor its body in
    /// another one, and that no remembered text is readable in it.
    pub(super) fn check_published(
        &mut self,
        id: EnvelopeId,
        bytes: &[u8],
    ) -> Result<(), Violation> {
        if self.envelopes.insert(id, bytes.to_vec()).is_some() {
            return Err(Violation("an envelope was published twice"));
        }
        let Ok(envelope) = Envelope::decode(bytes) else {
            return Err(Violation("what was published is no envelope"));
        };
        let is_new = self.sealed.insert((envelope.topic, envelope.data.to_vec()));
        if !is_new && !self.put_back {
            return Err(Violation("a body was published in two envelopes"));
        }
        if self.texts.iter().rev().take(SEARCHED).any(|text| contains(bytes, text)) {
            return Err(Violation("what was said is readable on a link"));
        }
        Ok(())
    }

    /// Records a violation, with the seed and time that repeat it.
    pub(super) fn record(&mut self, at: Millis, node: NodeIndex, Violation(what): Violation) {
        let line = format!("SEED={} at {} ms, node {}: {what}", self.seed, at.0, node.0);
        self.violations.push(line);
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Texts of fewer bytes are not searched for.
const SHORTEST_TEXT: usize = 8;

/// Texts that each envelope is searched for, the latest ones: a search for all would be most of the
/// simulation.
const SEARCHED: usize = 16;
