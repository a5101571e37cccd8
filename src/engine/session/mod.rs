//! Sessions: what two people share after a handshake, and every message they send in it.
//!
//! A session is a chain of keys and topics for each direction. Each message takes one key and one
//! topic, so no two messages show anything in common, and a key is forgotten when it
//! was used. Every step borrows a session and returns the next one: a message that fails to open
//! changes nothing, and a step must be durable before what it made is sent.
//!
//! It does not number messages, repeat or acknowledge them, and does not know who a contact is: the
//! conversation does, with the numbers in [`Payload`]. Chains never heal: whoever copies a session's
//! state reads on until the session ends.
//!
//! With every message each side says how far the other's chain has come here, so that windows move
//! on although most messages are never acknowledged one by one.
//!
//! The layouts and the key schedule are specified in `proto/session.md`.

mod chain;
mod offer;
mod payload;
mod reader;
mod watch;

use core::fmt;

use serde::{Deserialize, Serialize};

use zeroize::Zeroizing;

use crate::engine::crypto::aead::{OneTimeKey, TAG_SIZE};
use crate::engine::crypto::kdf::Label;
use crate::engine::crypto::safety::Words;
use crate::engine::env::{Env, UnixSeconds};
use crate::engine::envelope::Topic;
use crate::engine::envelope::wire::BODY_SIZE;

use chain::{Changes, Origin, ReceivingChain, SendingChain, Slot};
use reader::Reader;

pub use chain::{MAX_SKIPPED, WINDOW};
pub use offer::{Offer, OfferId, ReceivedOffer};
pub use payload::{Ack, Content, MAX_TEXT, Payload};
pub use watch::Watch;

/// The name of a session: that of the offer it came from. Never sent.
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

/// Whose offer a session came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Ours.
    Initiator,
    /// Theirs.
    Responder,
}

/// What goes into an envelope.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Where its recipient waits for it.
    pub topic: Topic,
    /// [`BODY_SIZE`] bytes.
    pub body: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic: _, body } = self;
        f.debug_struct("Sealed").field("bytes", &body.len()).finish()
    }
}

/// One direction each way with one contact.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    id: SessionId,
    role: Role,
    created: UnixSeconds,
    confirmed: bool,
    sending: SendingChain,
    receiving: ReceivingChain,
}

impl Session {
    fn new(
        id: SessionId,
        role: Role,
        created: UnixSeconds,
        sending: &Origin,
        receiving: &Origin,
    ) -> Self {
        let (sending, receiving) = (SendingChain::new(sending), ReceivingChain::new(receiving));
        Self { id, role, created, confirmed: false, sending, receiving }
    }

    /// Its name, the same on both sides.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whose offer it came from.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// When its offer was made, by the initiator's clock.
    #[must_use]
    pub fn created(&self) -> UnixSeconds {
        self.created
    }

    /// Whether any message of the other side has been opened in it.
    #[must_use]
    pub fn confirmed(&self) -> bool {
        self.confirmed
    }

    /// What two people read to each other, once the handshake has told it to both.
    #[must_use]
    pub fn words(&self) -> Option<Words> {
        None
    }

    /// Whether anything was ever encrypted in it.
    #[must_use]
    pub fn has_sent(&self) -> bool {
        self.sending.has_sent()
    }

    /// Encrypts a payload at the next position.
    ///
    /// The caller makes the returned session durable before the sealed body goes anywhere: the same
    /// position filled twice would show the same topic twice.
    ///
    /// # Errors
    /// See [`EncryptError`]; nothing was used up.
    pub fn encrypt(&self, env: &mut Env<'_>, payload: &Payload) -> Result<Step, EncryptError> {
        let payload = payload.encode().ok_or(EncryptError::TooLong)?;
        let received = self.receiving.received().to_le_bytes();
        let plaintext = Zeroizing::new([received.as_slice(), &payload].concat());
        let (sending, slot) = self.sending.step().ok_or(EncryptError::Exhausted)?;
        let (sealed, ledger) = seal(env, self.id, &slot, &plaintext);
        let session = Self { sending, ..self.clone() };
        Ok(Step { session, sealed, position: slot.position, ledger })
    }

    /// Opens a body that arrived under one of our [`Self::topics`]; `now` dates the keys of
    /// messages that it overtook.
    ///
    /// `None`, without a reason, when it is not for this session, was opened before, or was altered:
    /// then nothing has changed. The caller makes the returned session durable before it acts on the payload.
    #[must_use]
    pub fn decrypt(&self, now: UnixSeconds, topic: Topic, body: &[u8]) -> Option<(Self, Payload)> {
        if body.len() != BODY_SIZE {
            return None;
        }
        let (salt, sealed) = body.split_first_chunk::<SALT_SIZE>()?;
        let bound = bound(self.id, topic, salt);
        let (position, (received, payload)) =
            self.receiving.positions(topic).find_map(|position| {
                let key = self.receiving.key(position)?;
                let key = OneTimeKey::derive(salt, key.secret(), Label::Payload);
                let plaintext = key.open(&bound, sealed)?;
                Some((position, read(&plaintext)?))
            })?;
        let receiving = self.receiving.without(position, now);
        let receiving = receiving.aged(now).unwrap_or(receiving);
        let sending = self.sending.heard_before(received);
        let (id, role, created) = (self.id, self.role, self.created);
        Some((Self { id, role, created, confirmed: true, sending, receiving }, payload))
    }

    /// The session once what we sent at `position` is known to have arrived, from whatever source;
    /// messages of the session itself are heeded when they are opened.
    #[must_use]
    pub fn heard_of(&self, position: u32) -> Self {
        let sending = self.sending.heard_before(position.saturating_add(1));
        Self { sending, ..self.clone() }
    }

    /// The session without keys of messages that cannot arrive any more; `None` if it holds none.
    #[must_use]
    pub fn age(&self, now: UnixSeconds) -> Option<Self> {
        let receiving = self.receiving.aged(now)?;
        Some(Self { receiving, ..self.clone() })
    }

    /// The topics at which it waits for messages; one may come twice.
    pub fn topics(&self) -> impl Iterator<Item = Topic> {
        self.receiving.topics()
    }

    fn changes(&self, after: &Self) -> Changes {
        self.receiving.changes(&after.receiving)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id: _, role, created: _, confirmed, sending, receiving } = self;
        f.debug_struct("Session")
            .field("role", role)
            .field("confirmed", confirmed)
            .field("sending", sending)
            .field("receiving", receiving)
            .finish()
    }
}

/// One message encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The session after it, to be stored first.
    pub session: Session,
    /// The message, to be sent then.
    pub sealed: Sealed,
    /// Its position among all that was ever sent in this session.
    pub position: u32,
    /// The name of its key and nonce; see [`OneTimeKey::ledger`].
    pub ledger: [u8; 16],
}

/// Why nothing was encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// As many messages are on their way as the recipient watches for: wait until one is known to
    /// have arrived, or make a new offer.
    #[error("too many messages are on their way in this session")]
    Exhausted,
    /// Send it in parts.
    #[error("the text is longer than one message carries")]
    TooLong,
}

/// A body that means nothing to anybody: the sealing of a message, under keys that are forgotten
/// at once. Without those keys it cannot be told from one.
pub fn junk(env: &mut Env<'_>) -> Sealed {
    let slot = Slot::draw(env);
    let id = SessionId(env.draw());
    seal(env, id, &slot, &[0; PLAINTEXT_SIZE]).0
}

/// The one place where messages are sealed: `salt 16 | ciphertext | tag 16`.
fn seal(env: &mut Env<'_>, id: SessionId, slot: &Slot, plaintext: &[u8]) -> (Sealed, [u8; 16]) {
    let salt = env.draw::<SALT_SIZE>();
    let key = OneTimeKey::derive(&salt, slot.key.secret(), Label::Payload);
    let ledger = key.ledger();
    let mut body = key.seal(&bound(id, slot.topic, &salt), plaintext);
    body.splice(..0, salt);
    (Sealed { topic: slot.topic, body }, ledger)
}

/// Reads `positions received u32 | payload`.
fn read(plaintext: &[u8]) -> Option<(u32, Payload)> {
    let mut reader = Reader::new(plaintext);
    let received = u32::from_le_bytes(*reader.take()?);
    Some((received, Payload::decode(reader.rest())?))
}

/// What a message is bound to without carrying it: session, topic and salt.
fn bound(id: SessionId, topic: Topic, salt: &[u8; SALT_SIZE]) -> Vec<u8> {
    [id.0.as_slice(), &topic.0, salt].concat()
}

const SALT_SIZE: usize = 16;
const PLAINTEXT_SIZE: usize = BODY_SIZE - SALT_SIZE - TAG_SIZE;

#[cfg(test)]
mod tests;
