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

#[cfg(test)]
mod tests {
    use super::super::{HandshakeState, Offer, ReceivedOffer, Session};
    use super::*;
    use crate::engine::crypto::keys::{EphemeralSecret, Identity};
    use crate::engine::testing::mutate::{Reading, each_case, each_slow_case};
    use crate::engine::testing::rng::SeededRng;

    #[test]
    fn changed_at_random_a_header_is_refused_or_the_one_that_is_written_so() {
        let mut seeded = SeededRng::new(1);
        let ratchet = EphemeralSecret::draw(&mut seeded.turn()).public();
        let revealed = Secret::draw(&mut seeded.turn());
        let write = |header: &MessageHeader| header.write().expose().to_vec();
        let seeds = [(None, false), (Some(revealed), false), (None, true)].map(|of| {
            let (reveal, extended) = of;
            write(&MessageHeader { position: 3, before: 2, ratchet, reveal, extended })
        });
        each_case(&seeds, |bytes| {
            // Nothing of another length is ever opened.
            let whole = <&[u8; HEADER_SIZE]>::try_from(bytes).ok();
            let read = whole.and_then(|bytes| MessageHeader::read(bytes));
            let fits = |header: &MessageHeader| (0..4).any(|chain| header.fits((chain, 3), 4));
            _ = read.as_ref().is_some_and(fits);
            Reading::again(read, |header| write(&header))
        });
    }

    /// One side of a session.
    struct Side {
        own: Identity,
        session: Session,
    }

    /// The two sides of a session whose offer has arrived, the one that made it first.
    fn sides(seeded: &mut SeededRng) -> [Side; 2] {
        let [a, b] = [(); 2].map(|()| Identity::generate(&mut seeded.turn()));
        // Short chains: their topics are computed anew for every message that opens.
        let (offer, session) = Offer::new(&mut seeded.turn(), &a, &b.public(), 4);
        let received = ReceivedOffer::open(&b, &offer.seal(&mut seeded.turn()).body).unwrap();
        let accepted = received.accept(&mut seeded.turn(), 4);
        [Side { own: a, session }, Side { own: b, session: accepted }]
    }

    /// Lets `each` look at one who speaks and one who listens: before the answer, at it, at its
    /// confirmation and after that.
    fn each_stage(mut each: impl FnMut(&mut SeededRng, &Side, &Side)) {
        let mut seeded = SeededRng::new(2);
        let [mut speaker, mut listener] = sides(&mut seeded);
        for _ in 0..5 {
            each(&mut seeded, &speaker, &listener);
            let step = speaker.session.encrypt(&mut seeded.turn(), &Payload::nothing()).unwrap();
            speaker.session = step.session;
            let Side { own, session } = &listener;
            let SealedBody { topic, body } = &step.sealed;
            listener.session = session.decrypt(&mut seeded.turn(), own, *topic, body).unwrap().0;
            core::mem::swap(&mut speaker, &mut listener);
        }
    }

    #[test]
    fn changed_at_random_a_message_opens_only_as_it_was() {
        each_stage(|seeded, speaker, listener| {
            let step = speaker.session.encrypt(&mut seeded.turn(), &Payload::nothing()).unwrap();
            let SealedBody { topic, body: sealed } = step.sealed;
            let Side { own, session } = listener;
            each_slow_case(core::slice::from_ref(&sealed), |body| {
                let opened = session.decrypt(&mut seeded.turn(), own, topic, body);
                Reading::again(opened, |_| sealed.clone())
            });
        });
    }

    /// What a contact can send who has the keys: header, extension and payload of any bytes.
    #[test]
    fn changed_at_random_what_the_true_keys_seal_is_read_or_refused() {
        each_stage(|seeded, speaker, listener| {
            let (_, slot) = speaker.session.sending.step(speaker.session.window).unwrap();
            let (extension, reveal) = match &speaker.session.handshake {
                HandshakeState::Answering { extension, .. } => (extension.to_vec(), None),
                HandshakeState::Confirming { reveal } => (Vec::new(), Some(reveal.clone())),
                HandshakeState::Offered { .. } | HandshakeState::Established => (Vec::new(), None),
            };
            let header = MessageHeader {
                position: slot.position,
                before: speaker.session.sending.before,
                ratchet: speaker.session.own.public(),
                reveal,
                extended: !extension.is_empty(),
            };
            let payload = Payload::nothing().encode(120).unwrap();
            let seed = [header.write().expose(), extension.as_slice(), &payload].concat();
            let Side { own, session } = listener;
            each_slow_case(&[seed], |bytes| {
                let mut bytes = bytes.to_vec();
                bytes.resize(HEADER_SIZE + PLAIN_ROOM, 0);
                let (front, rest) = bytes.split_first_chunk::<HEADER_SIZE>().unwrap();
                let front = Secret::make(|header| header.copy_from_slice(front));
                let (extension, rest) = match extension.len() {
                    0 => (None, rest),
                    _ => rest.split_first_chunk().map(|(one, rest)| (Some(one), rest)).unwrap(),
                };
                let room = if extension.is_some() { EXTENDED_ROOM } else { PLAIN_ROOM };
                let parts = MessageParts { extension, payload: rest.get(..room).unwrap() };
                let id = speaker.session.id;
                let sealed = write(&mut seeded.turn(), id, &slot, &front, &parts).sealed;
                let opened = session.decrypt(&mut seeded.turn(), own, sealed.topic, &sealed.body);
                if let Some((next, payload)) = &opened {
                    // Whatever was said, the next thing can be said.
                    assert!(next.encrypt(&mut seeded.turn(), &Payload::nothing()).is_ok());
                    assert!(!format!("{payload:?}").is_empty());
                }
                Reading::found(opened)
            });
        });
    }
}
