//! The key schedule: what both ends compute from an offer, from an answer, and at every later step.
//!
//! Every function takes the secrets it uses up by reference and gives the next ones; wiping what is
//! done with is its owner's.

use serde::{Deserialize, Serialize};

use crate::engine::crypto::kdf::{self, KdfLabel};
use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::sas::Sas;
use crate::engine::secret::Secret;

use super::SessionId;
use super::chain::{ChainKey, TopicKey};
use super::message::{Extension, REVEAL_SIZE};

/// The root of a session's keys after some step.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RootKey(Secret<32>);

impl RootKey {
    /// The step that begins a chain, with a secret its two ends have just agreed on.
    pub(super) fn step(&self, agreed: &Secret<32>) -> RatchetStep {
        RatchetStep::of(&kdf::derive(self.0.expose(), &[agreed.expose()], KdfLabel::RootStep))
    }

    /// The step that begins chain 1, the responder's first.
    pub(super) fn answer(
        &self,
        agreed: &SharedSecrets,
        transcript: &HandshakeTranscript,
    ) -> RatchetStep {
        let SharedSecrets { ee, se, kem, dd } = agreed;
        let secrets: [&[u8]; 5] =
            [ee.expose(), se.expose(), kem.expose(), dd.expose(), &transcript.0];
        RatchetStep::of(&kdf::derive(self.0.expose(), &secrets, KdfLabel::AnswerKeys))
    }
}

/// What a step gives.
pub(super) struct RatchetStep {
    /// Where the next step begins.
    pub(super) root: RootKey,
    /// The message keys of the chain that begins.
    pub(super) chain: ChainKey,
    /// The topics of its sender's chain after it.
    pub(super) topics: TopicKey,
}

impl RatchetStep {
    fn of(keys: &Secret<96>) -> Self {
        Self {
            root: RootKey(keys.part::<0, 32>()),
            chain: ChainKey::new(keys.part::<32, 32>()),
            topics: TopicKey::new(keys.part::<64, 32>()),
        }
    }
}

/// What the two ends of an offer can compute before it is answered, and nobody else.
pub(super) struct OfferSecrets {
    /// The session's ephemeral key with the responder's identity.
    pub(super) es: Secret<32>,
    /// The two identities.
    pub(super) ss: Secret<32>,
}

impl OfferSecrets {
    /// The key of the offer's MAC.
    pub(super) fn mac_key(&self, to: &PublicKey, from: &PublicKey) -> Secret<32> {
        let salt = kdf::hash(KdfLabel::OfferParties, &[&to.to_bytes(), &from.to_bytes()]);
        kdf::derive(&salt, &[self.es.expose(), self.ss.expose()], KdfLabel::OfferMac)
    }

    /// Where the session begins; `keys` are the two the offer carries, `topics` its partial topics.
    pub(super) fn start(
        &self,
        id: SessionId,
        keys: [&Secret<32>; 2],
        topics: &Secret<8>,
    ) -> InitialSecrets {
        let [outward, inward] = keys;
        let secrets: [&[u8]; 4] =
            [self.es.expose(), self.ss.expose(), outward.expose(), inward.expose()];
        let keys = kdf::derive::<160>(&id.0, &secrets, KdfLabel::OfferKeys);
        let topic_key = |salt: Secret<32>, partial: Secret<4>| {
            TopicKey::new(kdf::derive(salt.expose(), &[partial.expose()], KdfLabel::PartialTopic))
        };
        InitialSecrets {
            root: RootKey(keys.part::<0, 32>()),
            chain: ChainKey::new(keys.part::<32, 32>()),
            topics: [
                topic_key(keys.part::<64, 32>(), topics.part::<0, 4>()),
                topic_key(keys.part::<96, 32>(), topics.part::<4, 4>()),
                topic_key(keys.part::<128, 32>(), topics.part::<0, 4>()),
            ],
        }
    }
}

/// What an offer alone gives.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InitialSecrets {
    /// Where the answer begins.
    pub(super) root: RootKey,
    /// The message keys of chain 0.
    pub(super) chain: ChainKey,
    /// The topics of chains 0, 1 and 2.
    pub(super) topics: [TopicKey; 3],
}

/// What the two ends agree on with the answer.
pub(super) struct SharedSecrets {
    /// The responder's handshake key with the session's ephemeral key.
    pub(super) ee: Secret<32>,
    /// The responder's handshake key with the initiator's identity.
    pub(super) se: Secret<32>,
    /// What was encapsulated.
    pub(super) kem: Secret<32>,
    /// The responder's ratchet key with the session's ephemeral key.
    pub(super) dd: Secret<32>,
}

/// A hash over the offer and the answer: what both ends have seen of each other.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HandshakeTranscript([u8; 32]);

impl HandshakeTranscript {
    /// Of the session with this name, the answer's extension and the responder's ratchet key.
    pub(super) fn new(id: SessionId, extension: &Extension, ratchet: &PublicKey) -> Self {
        Self(kdf::hash(KdfLabel::Reply, &[&id.0, extension, &ratchet.to_bytes()]))
    }

    /// What two people read to each other.
    pub(super) fn sas(&self, id: SessionId, reveal: &Secret<REVEAL_SIZE>) -> Sas {
        let mut hash = kdf::hash(KdfLabel::Sas, &[&id.0, &self.0, reveal.expose()]);
        Sas::new(&Secret::take(&mut hash))
    }
}

/// What binds the initiator to `reveal` without telling it.
pub(super) fn commitment(reveal: &Secret<REVEAL_SIZE>) -> [u8; 32] {
    kdf::hash(KdfLabel::Commitment, &[reveal.expose()])
}
