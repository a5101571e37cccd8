//! The bytes of one message: salt, encrypted header, in chain 1 an extension, encrypted payload
//! (`proto/session.md`, "Messages").
//!
//! This module knows keys and layouts, not the state of a session: whether a header makes sense
//! where it stands is the session's to decide.

use zeroize::Zeroizing;

use crate::engine::crypto::aead::{OneTimeKey, TAG_SIZE};
use crate::engine::crypto::kdf::KdfLabel;
use crate::engine::crypto::kem;
use crate::engine::crypto::keys::{PUBLIC_KEY_SIZE, PublicKey};
use crate::engine::env::Env;
use crate::engine::envelope::Topic;
use crate::engine::envelope::wire::BODY_SIZE;
use crate::engine::secret::Secret;

use super::chain::{ChainPosition, ChainSlot, HeaderKey, MessageKey};
use super::cursor::ByteCursor;
use super::payload::Payload;
use super::{SealedBody, SessionId};

/// The extension that chain 1 carries beside its payloads: the responder's handshake key and the
/// KEM's ciphertext.
pub(super) type Extension = [u8; EXTENSION_SIZE];

/// The header of a message.
pub(super) struct MessageHeader {
    /// Its position in its chain.
    pub(super) position: u32,
    /// How many positions of the sender's chain before this one were filled.
    pub(super) before: u32,
    /// The sender's ratchet key in this chain.
    pub(super) ratchet: PublicKey,
    /// The bytes that the initiator's offer committed to.
    pub(super) reveal: Option<Secret<REVEAL_SIZE>>,
    /// Whether an extension follows.
    pub(super) extended: bool,
}

impl MessageHeader {
    /// The 64 bytes that are encrypted.
    pub(super) fn write(&self) -> Secret<HEADER_SIZE> {
        let Self { position, before, ratchet, reveal, extended } = self;
        let flags = if *extended { FLAG_EXTENSION } else { 0 }
            | if reveal.is_some() { FLAG_REVEAL } else { 0 };
        let mut said = Zeroizing::new(Vec::with_capacity(HEADER_SIZE));
        said.push(flags);
        said.extend_from_slice(&position.to_le_bytes());
        said.extend_from_slice(&before.to_le_bytes());
        said.extend_from_slice(&ratchet.to_bytes());
        if let Some(reveal) = reveal {
            said.extend_from_slice(reveal.expose());
        }
        Secret::make(|header| {
            for (to, from) in header.iter_mut().zip(said.iter()) {
                *to = *from;
            }
        })
    }

    /// Reads what [`Self::write`] wrote; `None` for anything else.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut cursor = ByteCursor::new(bytes);
        let flags = cursor.byte()?;
        // Refused rather than passed over: a message has one meaning for every version that takes
        // it.
        if flags & !(FLAG_EXTENSION | FLAG_REVEAL) != 0 {
            return None;
        }
        let position = u32::from_le_bytes(*cursor.take()?);
        let before = u32::from_le_bytes(*cursor.take()?);
        let ratchet = PublicKey::from_bytes(cursor.take()?)?;
        let reveal = if flags & FLAG_REVEAL != 0 {
            let revealed = cursor.take::<REVEAL_SIZE>()?;
            Some(Secret::make(|reveal| reveal.copy_from_slice(revealed)))
        } else {
            None
        };
        cursor.padding()?;
        Some(Self { position, before, ratchet, reveal, extended: flags & FLAG_EXTENSION != 0 })
    }

    /// Whether it makes sense at a place, in chains of `window` positions: chain 1 alone is
    /// extended, chain 2 alone reveals, and in the first two chains nothing came before.
    pub(super) fn fits(&self, (chain, position): ChainPosition, window: u32) -> bool {
        let most = if chain < 2 { 0 } else { window };
        // The topic fixes the position already; a header with another one was not written for this
        // place.
        self.position == position
            && self.before <= most
            && (chain == 1 || !self.extended)
            && (chain == 2) == self.reveal.is_some()
    }
}

/// An encrypted message.
pub(super) struct EncryptedMessage {
    pub(super) sealed: SealedBody,
    /// Fingerprints of the pairs of key and nonce; see [`OneTimeKey::ledger`].
    pub(super) ledger: Vec<[u8; 16]>,
}

/// The parts of a message behind its header.
pub(super) struct MessageParts<'a> {
    /// The answer; only beside a payload that leaves room for it.
    pub(super) extension: Option<&'a Extension>,
    /// Padded to all of the room that is left.
    pub(super) payload: &'a [u8],
}

/// Seals a message: with [`seal_nothing`] the only place where bodies are made.
pub(super) fn seal(
    env: &mut Env<'_>,
    id: SessionId,
    slot: &ChainSlot,
    header: &MessageHeader,
    parts: &MessageParts<'_>,
) -> EncryptedMessage {
    write(env, id, slot, &header.write(), parts)
}

/// Seals zeros at a slot of no chain: junk.
pub(super) fn seal_nothing(env: &mut Env<'_>, id: SessionId, slot: &ChainSlot) -> SealedBody {
    let parts = MessageParts { extension: None, payload: &[0; PLAIN_ROOM] };
    write(env, id, slot, &Secret::make(|_| ()), &parts).sealed
}

fn write(
    env: &mut Env<'_>,
    id: SessionId,
    slot: &ChainSlot,
    header: &Secret<HEADER_SIZE>,
    parts: &MessageParts<'_>,
) -> EncryptedMessage {
    // Keys and nonces depend on this salt: even a restored copy of the state, which fills a
    // position twice, repeats no pair.
    let salt = env.draw::<SALT_SIZE>();
    let outer = [id.0.as_slice(), &slot.topic.0].concat();
    let mut ledger = Vec::with_capacity(3);
    let mut body = Vec::with_capacity(BODY_SIZE);
    body.extend_from_slice(&salt);

    let mut part = |secret: &Secret<32>, label, bound: &[u8], plaintext: &[u8]| {
        let key = OneTimeKey::derive(&salt, secret, label);
        ledger.push(key.ledger());
        key.seal(bound, plaintext)
    };
    body.extend(part(slot.header.secret(), KdfLabel::MessageHeader, &outer, header.expose()));
    if let Some(extension) = parts.extension {
        body.extend(part(slot.header.secret(), KdfLabel::MessageExtension, &outer, extension));
    }
    // The payload is bound to all before it, so header and extension of one message fit no other
    // payload.
    let bound = [outer.as_slice(), &body].concat();
    body.extend(part(slot.key.secret(), KdfLabel::MessagePayload, &bound, parts.payload));
    EncryptedMessage { sealed: SealedBody { topic: slot.topic, body }, ledger }
}

/// A message whose header is open.
pub(super) struct OpenedMessage<'a> {
    /// Its header.
    pub(super) header: MessageHeader,
    salt: &'a [u8; SALT_SIZE],
    outer: Vec<u8>,
    extension: Option<&'a [u8]>,
    front: &'a [u8],
    payload: &'a [u8],
}

impl<'a> OpenedMessage<'a> {
    /// Opens the header of a body with the header key of a place, in chains of `window` positions.
    /// `None` also for a header that does not belong at that place.
    pub(super) fn new(
        id: SessionId,
        (place, window): (ChainPosition, u32),
        topic: Topic,
        body: &'a [u8],
        key: &HeaderKey,
    ) -> Option<Self> {
        if body.len() != BODY_SIZE {
            return None;
        }
        let mut cursor = ByteCursor::new(body);
        let salt = cursor.take::<SALT_SIZE>()?;
        let sealed = cursor.take::<{ HEADER_SIZE + TAG_SIZE }>()?;
        let outer = [id.0.as_slice(), &topic.0].concat();
        let key = OneTimeKey::derive(salt, key.secret(), KdfLabel::MessageHeader);
        let header = MessageHeader::read(&key.open(&outer, sealed)?)?;
        if !header.fits(place, window) {
            return None;
        }
        let extension = if header.extended { Some(cursor.slice(SEALED_EXTENSION)?) } else { None };
        let payload = cursor.rest();
        let front = body.get(..body.len().saturating_sub(payload.len()))?;
        Some(Self { header, salt, outer, extension, front, payload })
    }

    /// Opens the extension, with the same header key. `None` also when there is none.
    pub(super) fn extension(&self, key: &HeaderKey) -> Option<Box<Extension>> {
        let key = OneTimeKey::derive(self.salt, key.secret(), KdfLabel::MessageExtension);
        let plaintext = key.open(&self.outer, self.extension?)?;
        <[u8; EXTENSION_SIZE]>::try_from(plaintext.as_slice()).ok().map(Box::new)
    }

    /// Opens and reads the payload.
    pub(super) fn payload(&self, key: &MessageKey) -> Option<Payload> {
        let key = OneTimeKey::derive(self.salt, key.secret(), KdfLabel::MessagePayload);
        let bound = [self.outer.as_slice(), self.front].concat();
        Payload::decode(&key.open(&bound, self.payload)?)
    }
}

/// Bytes the initiator commits to in its offer and reveals with its confirmation.
pub(super) const REVEAL_SIZE: usize = 16;
/// Bytes of a payload that stands alone.
pub(super) const PLAIN_ROOM: usize = BODY_SIZE - SALT_SIZE - HEADER_SIZE - 2 * TAG_SIZE;
/// Bytes of a payload beside the extension.
pub(super) const EXTENDED_ROOM: usize = PLAIN_ROOM - SEALED_EXTENSION;

const SALT_SIZE: usize = 16;
const HEADER_SIZE: usize = 64;
/// The responder's handshake key and the KEM's ciphertext.
pub(super) const EXTENSION_SIZE: usize = PUBLIC_KEY_SIZE + kem::CIPHERTEXT_SIZE;
const SEALED_EXTENSION: usize = EXTENSION_SIZE + TAG_SIZE;

const FLAG_EXTENSION: u8 = 1;
const FLAG_REVEAL: u8 = 2;
