//! Decryption: finding a message's place, checking that it makes sense there, and computing the
//! session after it.
//!
//! Everything happens on copies. What is refused, for whatever reason, gives nothing and changes
//! nothing, and nobody outside can tell the reasons apart.

use crate::engine::crypto::kem::CIPHERTEXT_SIZE;
use crate::engine::crypto::keys::{EphemeralSecret, Identity, PUBLIC_KEY_SIZE, PublicKey};
use crate::engine::crypto::sas::Sas;
use crate::engine::env::{Env, UnixSeconds};
use crate::engine::envelope::Topic;

use super::chain::{
    ChainPosition, HeaderKey, ReceivingChain, SendingChain, SkippedKeys, TopicWindow,
};
use super::key_schedule::{HandshakeTranscript, RatchetStep, SharedSecrets, commitment};
use super::message::{Extension, MessageHeader, OpenedMessage};
use super::payload::Payload;
use super::{HandshakeState, Session};

impl Session {
    /// Opens a body that arrived under one of our [`Self::topics`]; `own` is the identity the
    /// session belongs to, and `env` dates the keys of messages that it overtook and gives our next
    /// ratchet key.
    ///
    /// `None`, without a reason, when it is not for this session, was opened before, was altered,
    /// or needs an answer that has not come: then nothing has changed. The caller makes the
    /// returned session durable before it acts on the payload.
    #[must_use]
    pub fn decrypt(
        &self,
        env: &mut Env<'_>,
        own: &Identity,
        topic: Topic,
        body: &[u8],
    ) -> Option<(Self, Payload)> {
        // Every place with this topic is tried, because topics of 4 bytes may meet. The order is
        // that of `proto/session.md`, "Opening".
        let opened = self
            .open_late(topic, body)
            .or_else(|| self.open_current(env.wall, topic, body))
            .or_else(|| self.open_next(env, own, topic, body));
        let (session, payload) = opened?;
        let aged = session.age(env.wall).unwrap_or(session);
        Some((Self { last_received: env.wall, ..aged }, payload))
    }

    /// Opens a message whose position was passed over.
    fn open_late(&self, topic: Topic, body: &[u8]) -> Option<(Self, Payload)> {
        let places = self.skipped.topics().filter(|(_, skipped)| *skipped == topic);
        let (place, payload) = places.map(|(place, _)| place).find_map(|place| {
            let (header, key) = self.skipped.get(place)?;
            let opened = self.open_at(place, topic, body, header)?;
            Some((place, opened.payload(key)?))
        })?;
        // The key goes with the message: a replay finds none.
        Some((Self { skipped: self.skipped.without(place), ..self.clone() }, payload))
    }

    /// Opens a message of the chain we read.
    fn open_current(&self, now: UnixSeconds, topic: Topic, body: &[u8]) -> Option<(Self, Payload)> {
        let receiving = self.receiving.as_ref()?;
        let topic_window = receiving.topic_window();
        let (position, payload) = topic_window.positions(topic).find_map(|position| {
            let place = (topic_window.number(), position);
            let opened = self.open_at(place, topic, body, &topic_window.header_key(position)?)?;
            // One ratchet key for all of a chain: another would make the next root depend on which
            // message came.
            if opened.header.ratchet != receiving.ratchet {
                return None;
            }
            Some((position, opened.payload(&receiving.key(position)?)?))
        })?;
        // Only now, after the payload opened: before that, a forged position would have us skip
        // keys.
        let (mut receiving, mut skipped) = (receiving.clone(), self.skipped.clone());
        receiving.pass_to(position, now, &mut skipped);
        receiving.pass()?;
        Some((Self { receiving: Some(receiving), skipped, ..self.clone() }, payload))
    }

    /// Opens the first message of their next chain, which begins ours.
    fn open_next(
        &self,
        env: &mut Env<'_>,
        own: &Identity,
        topic: Topic,
        body: &[u8],
    ) -> Option<(Self, Payload)> {
        self.next.positions(topic).find_map(|position| {
            let key = self.next.header_key(position)?;
            let place = (self.next.number(), position);
            let opened = self.open_at(place, topic, body, &key)?;
            let ChainStart { stepped, handshake, sas } = self.start_chain(own, &opened, &key)?;
            let MessageHeader { before, ratchet, .. } = opened.header;
            let receiving = ReceivingChain::new(ratchet, stepped.chain, self.next.clone());
            // The payload proves the message key, and with it the new root. Nothing is kept of a
            // chain whose message fails here.
            let payload = opened.payload(&receiving.key(position)?)?;
            let (receiving, skipped) = self.pass_over(env.wall, receiving, before, position)?;

            // Our next chain begins at once, with a fresh key: from the contact's reply to it on, a
            // copy of today's state is worthless (`proto/session.md`, "Steps").
            let fresh = EphemeralSecret::draw(env);
            let ours = stepped.root.step(&fresh.agree(&ratchet));
            let number = self.next.number().checked_add(1)?;
            let filled = self.sending.filled();
            let session = Self {
                handshake,
                root: ours.root,
                own: fresh,
                sending: SendingChain::new(number, ours.chain, self.later.clone(), filled),
                later: ours.topics,
                receiving: Some(receiving),
                next: TopicWindow::new(number.checked_add(1)?, stepped.topics, self.window),
                skipped,
                sas,
                ..self.clone()
            };
            Some((session, payload))
        })
    }

    /// Opens the header of a message at one of our places.
    fn open_at<'a>(
        &self,
        place: ChainPosition,
        topic: Topic,
        body: &'a [u8],
        key: &HeaderKey,
    ) -> Option<OpenedMessage<'a>> {
        OpenedMessage::new(self.id, (place, self.window), topic, body, key)
    }

    /// Computes the start of their next chain, from the secrets that the handshake still needs.
    fn start_chain(
        &self,
        own: &Identity,
        opened: &OpenedMessage<'_>,
        key: &HeaderKey,
    ) -> Option<ChainStart> {
        match &self.handshake {
            HandshakeState::Offered { kem, reveal } => {
                // An answer without its extension cannot be opened yet. It stays in the pool, and
                // is tried again after one with the extension.
                let extension = opened.extension(key)?;
                let ratchet = &opened.header.ratchet;
                let transcript = HandshakeTranscript::new(self.id, &extension, ratchet);
                let (handshake, ciphertext) = parts(&extension)?;
                let agreed = SharedSecrets {
                    ee: self.own.agree(&handshake),
                    se: own.agree(&handshake),
                    kem: kem.decapsulate(ciphertext),
                    dd: self.own.agree(ratchet),
                };
                Some(ChainStart {
                    stepped: self.root.answer(&agreed, &transcript),
                    handshake: HandshakeState::Confirming { reveal: reveal.clone() },
                    sas: Some(transcript.sas(self.id, reveal)),
                })
            }
            HandshakeState::Answering { extension: _, transcript, commitment: committed } => {
                // The initiator committed to `reveal` in its offer. Another value would let
                // somebody in the middle choose words that match (`proto/session.md`, "Words").
                let reveal = opened.header.reveal.as_ref()?;
                if commitment(reveal) != *committed {
                    return None;
                }
                Some(ChainStart {
                    stepped: self.step(opened),
                    handshake: HandshakeState::Established,
                    sas: Some(transcript.sas(self.id, reveal)),
                })
            }
            HandshakeState::Confirming { reveal: _ } | HandshakeState::Established => {
                Some(ChainStart {
                    stepped: self.step(opened),
                    handshake: HandshakeState::Established,
                    sas: self.sas.clone(),
                })
            }
        }
    }

    fn step(&self, opened: &OpenedMessage<'_>) -> RatchetStep {
        self.root.step(&self.own.agree(&opened.header.ratchet))
    }

    /// Leaves the chain that was read, in which `before` positions were filled, for `receiving`,
    /// and takes its message at `position`. The keys of messages that have not come are kept.
    fn pass_over(
        &self,
        now: UnixSeconds,
        mut receiving: ReceivingChain,
        before: u32,
        position: u32,
    ) -> Option<(ReceivingChain, SkippedKeys)> {
        let mut skipped = self.skipped.clone();
        if let Some(mut left) = self.receiving.clone() {
            // The sender would have filled fewer positions than we have opened (`proto/session.md`,
            // "Messages").
            if before < left.topic_window().next() {
                return None;
            }
            left.pass_to(before, now, &mut skipped);
        }
        receiving.pass_to(position, now, &mut skipped);
        receiving.pass()?;
        Some((receiving, skipped))
    }
}

/// The start of a chain, from its first message.
struct ChainStart {
    stepped: RatchetStep,
    handshake: HandshakeState,
    sas: Option<Sas>,
}

/// The responder's handshake key and the KEM's ciphertext.
fn parts(extension: &Extension) -> Option<(PublicKey, &[u8; CIPHERTEXT_SIZE])> {
    let (handshake, ciphertext) = extension.split_first_chunk::<PUBLIC_KEY_SIZE>()?;
    Some((PublicKey::from_bytes(handshake)?, ciphertext.try_into().ok()?))
}
