//! Sessions: the state two people share after a handshake, and the encryption of every message in
//! it.
//!
//! An offer, an answer and a confirmation are an authenticated key exchange; what follows is a
//! double ratchet with encrypted headers. Each message takes one key and one topic, so no two
//! messages show anything in common; a key is forgotten when it was used; and each time the two
//! have heard each other, fresh keys make a copied state worthless. Every step borrows a session
//! and returns the next one: a message that fails to open changes nothing, and a step must be
//! durable before the message it made is sent.
//!
//! A session does not number, repeat or acknowledge messages, and does not know who a contact is:
//! the conversation does, with the numbers in [`Payload`].
//!
//! The layouts and the key schedule are specified in `proto/session.md`. There is one suite, with a
//! KEM always: nothing is negotiated, so there is nothing to be talked down to.

mod chain;
mod cursor;
mod decrypt;
mod key_schedule;
mod message;
mod offer;
mod payload;
mod topic_index;

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::engine::crypto::kem::{KemPublic, KemSecret};
use crate::engine::crypto::keys::{EphemeralSecret, PublicKey};
use crate::engine::crypto::sas::Sas;
use crate::engine::env::{Env, Seconds, UnixSeconds};
use crate::engine::envelope::Topic;
use crate::engine::secret::{Secret, opaque_debug};

use chain::{ChainSlot, ReceivingChain, SendingChain, SkippedKeys, TopicKey, TopicWindow};
use key_schedule::{HandshakeTranscript, InitialSecrets, RootKey, SharedSecrets};
use message::{
    EXTENDED_ROOM, EXTENSION_SIZE, Extension, MessageHeader, MessageParts, PLAIN_ROOM, REVEAL_SIZE,
    seal_nothing,
};

pub use chain::{MAX_SKIPPED, WINDOW};
pub use offer::{Offer, OfferId, ReceivedOffer};
pub use payload::{Ack, Content, MAX_TEXT, Payload};
pub use topic_index::TopicIndex;

/// A session in which nothing was opened for so long is erased: its contact has lost it, or is
/// gone. 30 days, several times the longest life of an envelope. A guess.
pub const IDLE: Seconds = Seconds(30 * 86_400);

/// The id of a session: that of the offer it came from. Never sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(pub [u8; 32]);

impl From<OfferId> for SessionId {
    fn from(offer: OfferId) -> Self {
        Self(offer.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("SessionId")
    }
}

/// Our side of a session, by whose offer it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SessionRole {
    /// We made the offer.
    Initiator,
    /// The contact made the offer.
    Responder,
}

/// The contents of an envelope: a body and the topic it goes under.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBody {
    /// The topic that its recipient watches.
    pub topic: Topic,
    /// The 2,016 bytes of `envelope::wire::BODY_SIZE`.
    pub body: Vec<u8>,
}

impl fmt::Debug for SealedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic: _, body } = self;
        f.debug_struct("SealedBody").field("bytes", &body.len()).finish()
    }
}

/// One session with one contact.
///
/// Chains have numbers. The initiator sends in the even ones and the responder in the odd ones; a
/// side begins its next chain when it opens the first message of the other's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    id: SessionId,
    role: SessionRole,
    created: UnixSeconds,
    /// When a message was last opened in it; until then, when it began here.
    last_received: UnixSeconds,
    window: u32,
    handshake: HandshakeState,
    root: RootKey,
    /// Our ratchet key, for the chain we send in.
    own: EphemeralSecret,
    sending: SendingChain,
    /// The topics of our next chain.
    later: TopicKey,
    /// The chain we read; `None` before our offer is answered.
    receiving: Option<ReceivingChain>,
    /// The topics of their next chain, from its first position.
    next: TopicWindow,
    skipped: SkippedKeys,
    sas: Option<Sas>,
}

/// The progress of the handshake, with the secrets it still needs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum HandshakeState {
    /// We offered, and no answer was opened.
    Offered { kem: KemSecret, reveal: Secret<REVEAL_SIZE> },
    /// We answer, and no confirmation was opened.
    Answering {
        #[serde(with = "extension_bytes")]
        extension: Box<Extension>,
        transcript: HandshakeTranscript,
        commitment: [u8; 32],
    },
    /// We opened the answer, and confirm until the contact's next chain shows that it knows.
    Confirming { reveal: Secret<REVEAL_SIZE> },
    /// Each side has opened a message that only a live other side can have made.
    Established,
}

/// The initiator's input to a new session.
struct InitiatorInput {
    id: SessionId,
    created: UnixSeconds,
    ephemeral: EphemeralSecret,
    kem: KemSecret,
    reveal: Secret<REVEAL_SIZE>,
    initial: InitialSecrets,
}

/// The responder's input to a new session.
struct ResponderInput {
    id: SessionId,
    created: UnixSeconds,
    from: PublicKey,
    ephemeral: PublicKey,
    kem: KemPublic,
    commitment: [u8; 32],
    initial: InitialSecrets,
}

impl Session {
    /// The initiator's side, before anything is answered: it sends in chain 0.
    fn offered(input: InitiatorInput, window: u32) -> Self {
        let InitiatorInput { id, created, ephemeral, kem, reveal, initial } = input;
        let InitialSecrets { root, chain, topics: [outward, inward, later] } = initial;
        Self {
            id,
            role: SessionRole::Initiator,
            created,
            last_received: created,
            window,
            handshake: HandshakeState::Offered { kem, reveal },
            root,
            own: ephemeral,
            sending: SendingChain::new(0, chain, outward, 0),
            later,
            receiving: None,
            next: TopicWindow::new(1, inward, window),
            skipped: SkippedKeys::default(),
            sas: None,
        }
    }

    /// The responder's side: it reads chain 0 and answers in chain 1.
    fn accepted(env: &mut Env<'_>, input: ResponderInput, window: u32) -> Self {
        let ResponderInput { id, created, from, ephemeral, kem, commitment, initial } = input;
        let InitialSecrets { root, chain, topics: [outward, inward, later] } = initial;
        // Two keys. The root before them can be computed for ever by a thief of our identity who
        // has the offer; if the ratchet key, which stays on the device, were the only fresh one,
        // the theft of that device would open what was read and erased (`proto/session.md`,
        // "Answer").
        let (handshake, own) = (EphemeralSecret::draw(env), EphemeralSecret::draw(env));
        let (ciphertext, encapsulated) = kem.encapsulate(env);
        let mut extension = Box::new([0; EXTENSION_SIZE]);
        let handshake_key = handshake.public().to_bytes();
        for (to, from) in extension.iter_mut().zip(handshake_key.iter().chain(ciphertext.iter())) {
            *to = *from;
        }
        let transcript = HandshakeTranscript::new(id, &extension, &own.public());
        let agreed = SharedSecrets {
            ee: handshake.agree(&ephemeral),
            se: handshake.agree(&from),
            kem: encapsulated,
            dd: own.agree(&ephemeral),
        };
        let stepped = root.answer(&agreed, &transcript);
        let topic_window = TopicWindow::new(0, outward, window);
        Self {
            id,
            role: SessionRole::Responder,
            created,
            last_received: env.wall,
            window,
            handshake: HandshakeState::Answering { extension, transcript, commitment },
            root: stepped.root,
            own,
            sending: SendingChain::new(1, stepped.chain, inward, 0),
            later: stepped.topics,
            receiving: Some(ReceivingChain::new(ephemeral, chain, topic_window)),
            next: TopicWindow::new(2, later, window),
            skipped: SkippedKeys::default(),
            sas: None,
        }
    }

    /// Its id, the same on both sides.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Our side of it.
    #[must_use]
    pub fn role(&self) -> SessionRole {
        self.role
    }

    /// When its offer was made, by the initiator's clock.
    #[must_use]
    pub fn created(&self) -> UnixSeconds {
        self.created
    }

    /// Whether the other side has proved who it is, and that it is live: no stolen key of ours and
    /// no replay can do that. What is opened before is only as good as the offer.
    #[must_use]
    pub fn confirmed(&self) -> bool {
        match self.handshake {
            HandshakeState::Offered { .. } | HandshakeState::Answering { .. } => false,
            HandshakeState::Confirming { .. } | HandshakeState::Established => true,
        }
    }

    /// Whether nothing was opened in it for [`IDLE`].
    #[must_use]
    pub fn is_idle(&self, now: UnixSeconds) -> bool {
        self.last_received.plus(IDLE) <= now
    }

    /// The words that two people read to each other to be sure that nobody sits between them;
    /// `None` before the exchange is complete here. The initiator committed to its part before the
    /// responder's existed.
    #[must_use]
    pub fn sas(&self) -> Option<&Sas> {
        self.sas.as_ref()
    }

    /// Encrypts a payload at the next position.
    ///
    /// The caller makes the returned session durable before the sealed body goes anywhere: the same
    /// position filled twice would show the same topic twice.
    ///
    /// # Errors
    /// See [`EncryptError`]; nothing was used up.
    pub fn encrypt(
        &self,
        env: &mut Env<'_>,
        payload: &Payload,
    ) -> Result<EncryptedStep, EncryptError> {
        // Every message with room for the answer carries it, so there is no single one to lose. A
        // longer text goes without, and waits in the contact's pool until an answer was opened
        // (`proto/session.md`, "Answer").
        let extended = match &self.handshake {
            HandshakeState::Answering { extension, .. } => {
                payload.encode(EXTENDED_ROOM).map(|payload| (Some(&**extension), payload))
            }
            HandshakeState::Offered { .. }
            | HandshakeState::Confirming { .. }
            | HandshakeState::Established => None,
        };
        let plain = || payload.encode(PLAIN_ROOM).map(|payload| (None, payload));
        let (extension, payload) = extended.or_else(plain).ok_or(EncryptError::TooLong)?;
        // The contact watches no topic beyond the window: a message there would never be opened.
        let (sending, slot) = self.sending.step(self.window).ok_or(EncryptError::Exhausted)?;
        let reveal = match &self.handshake {
            // In every message of chain 2, for the same reason as the answer: any of them completes
            // the exchange. Not earlier, or somebody in the middle could fit an answer to it
            // (`proto/session.md`, "Words").
            HandshakeState::Confirming { reveal } => Some(reveal.clone()),
            HandshakeState::Offered { .. }
            | HandshakeState::Answering { .. }
            | HandshakeState::Established => None,
        };
        let header = MessageHeader {
            position: slot.position,
            before: self.sending.before,
            ratchet: self.own.public(),
            reveal,
            extended: extension.is_some(),
        };
        let parts = MessageParts { extension, payload: &payload };
        let written = message::seal(env, self.id, &slot, &header, &parts);
        let session = Self { sending, ..self.clone() };
        Ok(EncryptedStep { session, sealed: written.sealed, ledger: written.ledger })
    }

    /// How many more messages its sending chain has positions for.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.window.saturating_sub(self.sending.filled())
    }

    /// The positions of each of its chains.
    #[must_use]
    pub fn positions(&self) -> u32 {
        self.window
    }

    /// How many skipped keys it keeps.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped.len()
    }

    /// When the oldest skipped key was passed over.
    #[must_use]
    pub fn oldest_skipped(&self) -> Option<UnixSeconds> {
        self.skipped.oldest()
    }

    /// The session without its oldest `count` skipped keys.
    #[must_use]
    pub fn without_oldest(&self, count: usize) -> Self {
        Self { skipped: self.skipped.without_oldest(count), ..self.clone() }
    }

    /// The session without the skipped keys whose messages cannot arrive any more; `None` if it
    /// holds no such key.
    #[must_use]
    pub fn age(&self, now: UnixSeconds) -> Option<Self> {
        Some(Self { skipped: self.skipped.aged(now)?, ..self.clone() })
    }

    /// The topics it watches; the same one may come twice.
    pub fn topics(&self) -> impl Iterator<Item = Topic> {
        let skipped = self.skipped.topics().map(|(_, topic)| topic);
        self.topic_windows().flat_map(TopicWindow::topics).chain(skipped)
    }

    /// The changes of a topic index that follow from this session to `after`, a later state of it.
    fn changes(&self, after: &Self) -> TopicChanges {
        let mut changes = TopicChanges::default();
        for topic_window in self.topic_windows() {
            let later = after.topic_windows().find(|later| later.number() == topic_window.number());
            // A chain that is not watched any more takes all its remaining topics with it.
            let passed = later.map_or(usize::MAX, |later| topic_window.passed(later));
            changes.removed.extend(topic_window.topics().take(passed));
        }
        for topic_window in after.topic_windows() {
            if !self.topic_windows().any(|earlier| earlier.number() == topic_window.number()) {
                changes.added.extend(topic_window.topics());
            }
        }
        let gone = self.skipped.topics().filter(|(place, _)| !after.skipped.holds(*place));
        changes.removed.extend(gone.map(|(_, topic)| topic));
        let come = after.skipped.topics().filter(|(place, _)| !self.skipped.holds(*place));
        changes.added.extend(come.map(|(_, topic)| topic));
        changes
    }

    /// The topic windows of the chain it reads and of the next one.
    fn topic_windows(&self) -> impl Iterator<Item = &TopicWindow> {
        self.receiving.iter().map(ReceivingChain::topic_window).chain([&self.next])
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id: _,
            role,
            created: _,
            last_received: _,
            window: _,
            handshake,
            root: _,
            own: _,
            sending,
            later: _,
            receiving,
            next: _,
            skipped,
            sas: _,
        } = self;
        f.debug_struct("Session")
            .field("role", role)
            .field("handshake", handshake)
            .field("sending", sending)
            .field("receiving", receiving)
            .field("skipped", skipped)
            .finish()
    }
}

impl fmt::Debug for HandshakeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offered { kem: _, reveal: _ } => "Offered",
            Self::Answering { extension: _, transcript: _, commitment: _ } => "Answering",
            Self::Confirming { reveal: _ } => "Confirming",
            Self::Established => "Established",
        })
    }
}

/// The changes of a topic index that follow one step.
#[derive(Default)]
struct TopicChanges {
    /// Topics to watch, once for each position that has come.
    added: Vec<Topic>,
    /// Topics to stop watching, once for each position that has gone.
    removed: Vec<Topic>,
}

/// One encrypted message, with the session after it.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedStep {
    /// The session after it, to be stored first.
    pub session: Session,
    /// The message, to be sent when that is durable.
    pub sealed: SealedBody,
    /// Fingerprints of its pairs of key and nonce; see
    /// [`OneTimeKey::ledger`](crate::engine::crypto::aead::OneTimeKey::ledger).
    pub ledger: Vec<[u8; 16]>,
}

opaque_debug!(struct EncryptedStep { session, sealed, ledger });

/// Why nothing was encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// The chain is full: the recipient watches no further topic of it. Wait until a message of the
    /// other side is opened, or make a new offer.
    #[error("too many messages are on their way in this session")]
    Exhausted,
    /// Send it in parts.
    #[error("the text is too long for one message")]
    TooLong,
}

/// A junk body: sealed like a message, under keys that are wiped at once. Without those keys nobody
/// can tell it from one (`proto/session.md`, "Junk").
pub fn junk(env: &mut Env<'_>) -> SealedBody {
    let slot = ChainSlot::draw(env);
    let id = SessionId(env.draw());
    seal_nothing(env, id, &slot)
}

/// Stores the answer's extension as bytes, which serde knows for short arrays alone.
mod extension_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{EXTENSION_SIZE, Extension};
    use crate::engine::secret::Secret;

    pub(super) fn serialize<S: Serializer>(
        extension: &Extension,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        extension.as_slice().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Box<Extension>, D::Error> {
        let bytes = Secret::<EXTENSION_SIZE>::deserialize(deserializer)?;
        Ok(Box::new(*bytes.expose()))
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
