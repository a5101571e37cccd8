//! The key schedule: the secrets both sides compute from an offer, from an answer, and at every
//! later step (`proto/session.md`, "Offer", "Answer" and "Steps").
//!
//! Every function takes the secrets it uses up by reference and returns the next ones; wiping those
//! that are done with is their owner's part.

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
    /// The step that begins a chain, with a secret both sides have just agreed on.
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
        // All of them together: who lacks one of the four, or saw another transcript, computes none
        // of the keys.
        let secrets: [&[u8]; 5] =
            [ee.expose(), se.expose(), kem.expose(), dd.expose(), &transcript.0];
        RatchetStep::of(&kdf::derive(self.0.expose(), &secrets, KdfLabel::AnswerKeys))
    }
}

/// The result of a step.
pub(super) struct RatchetStep {
    /// The root that the next step begins with.
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

/// The secrets that both sides of an offer, and nobody else, can compute before it is answered.
pub(super) struct OfferSecrets {
    /// The session's ephemeral key with the responder's identity.
    pub(super) es: Secret<32>,
    /// The two identities.
    pub(super) ss: Secret<32>,
}

impl OfferSecrets {
    /// The key of the offer's MAC.
    pub(super) fn mac_key(&self, to: &PublicKey, from: &PublicKey) -> Secret<32> {
        // Both identities are hashed, in order: the x coordinate that `DH` gives is the same for a
        // key and its negative, and for both directions.
        let salt = kdf::hash(KdfLabel::OfferParties, &[&to.to_bytes(), &from.to_bytes()]);
        kdf::derive(&salt, &[self.es.expose(), self.ss.expose()], KdfLabel::OfferMac)
    }

    /// The initial secrets of the session; `keys` are the two the offer carries, `topics` its
    /// partial topics.
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

/// The secrets that an offer alone gives.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InitialSecrets {
    /// The root that the answer begins with.
    pub(super) root: RootKey,
    /// The message keys of chain 0.
    pub(super) chain: ChainKey,
    /// The topics of chains 0, 1 and 2.
    pub(super) topics: [TopicKey; 3],
}

/// The secrets both sides agree on with the answer.
pub(super) struct SharedSecrets {
    /// The responder's handshake key with the session's ephemeral key.
    pub(super) ee: Secret<32>,
    /// The responder's handshake key with the initiator's identity.
    pub(super) se: Secret<32>,
    /// The KEM's shared secret.
    pub(super) kem: Secret<32>,
    /// The responder's ratchet key with the session's ephemeral key.
    pub(super) dd: Secret<32>,
}

/// A hash over the offer and the answer: all that both sides have seen of each other.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HandshakeTranscript([u8; 32]);

impl HandshakeTranscript {
    /// The transcript of this session, the answer's extension and the responder's ratchet key.
    pub(super) fn new(id: SessionId, extension: &Extension, ratchet: &PublicKey) -> Self {
        Self(kdf::hash(KdfLabel::Reply, &[&id.0, extension, &ratchet.to_bytes()]))
    }

    /// The words that two people read to each other.
    pub(super) fn sas(&self, id: SessionId, reveal: &Secret<REVEAL_SIZE>) -> Sas {
        let mut hash = kdf::hash(KdfLabel::Sas, &[&id.0, &self.0, reveal.expose()]);
        Sas::new(&Secret::take(&mut hash))
    }
}

/// The commitment that binds the initiator to `reveal` and hides it.
pub(super) fn commitment(reveal: &Secret<REVEAL_SIZE>) -> [u8; 32] {
    kdf::hash(KdfLabel::Commitment, &[reveal.expose()])
}
