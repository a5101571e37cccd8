//! The handshake's first message: one sealed box that gives both sides the initial secrets of a
//! session (`proto/session.md`, "Offer").
//!
//! An offer proves its maker by a MAC under a key that only the two can compute: no signature, so
//! it convinces nobody else. It is not forward secret: a thief of the recipient's key who kept the
//! box reads it, and the messages sent before the answer. All faults of a box look the same from
//! outside.

use core::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::engine::crypto::ecies::{self, SealedBox};
use crate::engine::crypto::kdf::{self, KdfLabel};
use crate::engine::crypto::kem::{self, KemPublic, KemSecret};
use crate::engine::crypto::keys::{EphemeralSecret, Identity, PublicKey};
use crate::engine::env::{Env, UnixSeconds};
use crate::engine::envelope::Topic;
use crate::engine::envelope::wire::{BODY_SIZE, MAX_TTL, ONE_DAY};
use crate::engine::secret::Secret;

use super::cursor::ByteCursor;
use super::key_schedule::{InitialSecrets, OfferSecrets, commitment};
use super::{InitiatorInput, ResponderInput, SealedBody, Session, SessionId};

/// The id of an offer: a hash over all of it and its recipient. Never sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OfferId(pub [u8; 32]);

impl fmt::Debug for OfferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("OfferId")
    }
}

/// An offer of ours: sealed afresh each time it is sent, until it is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    to: PublicKey,
    plaintext: Secret<PLAINTEXT_SIZE>,
    id: OfferId,
    created: UnixSeconds,
}

impl Offer {
    /// Makes an offer to `their`, and the session it offers, in which messages can be sent at once.
    /// Chains have `window` positions: [`super::WINDOW`], but in a simulation of other networks.
    ///
    /// Secrets that only the making needs are wiped.
    pub fn new(
        env: &mut Env<'_>,
        own: &Identity,
        their: &PublicKey,
        window: u32,
    ) -> (Self, Session) {
        let ephemeral = EphemeralSecret::draw(env);
        let (outward, inward) = (Secret::draw(env), Secret::draw(env));
        let topics = Secret::draw(env);
        let reveal = Secret::draw(env);
        let kem = KemSecret::draw(env);
        let terms = OfferTerms {
            from: own.public(),
            ephemeral: ephemeral.public(),
            outward,
            inward,
            topics,
            created: env.wall,
            commitment: commitment(&reveal),
            kem: kem.public(),
        };
        let shared = OfferSecrets { es: ephemeral.agree(their), ss: own.agree(their) };
        let plaintext = terms.write(&shared, their);
        let id = name(their, &plaintext);
        let initial = terms.initial_secrets(&shared, id);
        let created = terms.created;
        let input = InitiatorInput { id: session_of(id), created, ephemeral, kem, reveal, initial };
        (Self { to: *their, plaintext, id, created }, Session::offered(input, window))
    }

    /// Its id, which is also its session's.
    #[must_use]
    pub fn id(&self) -> OfferId {
        self.id
    }

    /// When it was made, by our clock.
    #[must_use]
    pub fn created(&self) -> UnixSeconds {
        self.created
    }

    /// Seals it: a body that nothing links to an earlier sealing, under a random topic.
    pub fn seal(&self, env: &mut Env<'_>) -> SealedBody {
        let mut padded = Zeroizing::new([0; PADDED_SIZE]);
        for (to, from) in padded.iter_mut().zip(self.plaintext.expose()) {
            *to = *from;
        }
        let body = ecies::seal(env, &self.to, padded.as_slice());
        SealedBody { topic: Topic(env.draw()), body }
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to: _, plaintext: _, id: _, created: _ } = self;
        f.write_str("Offer")
    }
}

/// An offer to us, opened and verified: its maker holds the key it names, or stole ours.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedOffer {
    from: PublicKey,
    id: OfferId,
    created: UnixSeconds,
    ephemeral: PublicKey,
    kem: KemPublic,
    commitment: [u8; 32],
    initial: InitialSecrets,
}

impl ReceivedOffer {
    /// Opens a body with one of our identities. `None` when it is no offer to it, not made by the
    /// key it names, or not as this version writes it: nobody learns which.
    #[must_use]
    pub fn open(own: &Identity, body: &[u8]) -> Option<Self> {
        Self::find([((), own)], body).map(|((), offer)| offer)
    }

    /// Opens a body with that of our identities it is for, and returns which. The work that all
    /// have in common is done once: an envelope for nobody here costs one multiplication for each.
    pub fn find<'a, T>(
        identities: impl IntoIterator<Item = (T, &'a Identity)>,
        body: &[u8],
    ) -> Option<(T, Self)> {
        if body.len() != BODY_SIZE {
            return None;
        }
        let sealed = SealedBox::parse(body)?;
        let mut identities = identities.into_iter();
        identities.find_map(|(name, own)| Some((name, Self::read(own, &sealed.open(own)?)?)))
    }

    fn read(own: &Identity, padded: &[u8]) -> Option<Self> {
        let (plaintext, padding) = padded.split_first_chunk::<PLAINTEXT_SIZE>()?;
        ByteCursor::new(padding).padding()?;
        let terms = OfferTerms::read(plaintext)?;
        // Only a thief of our key makes an offer in our own name; taking it would have us talk to
        // ourselves.
        if terms.from == own.public() {
            return None;
        }
        let shared = OfferSecrets { es: own.agree(&terms.ephemeral), ss: own.agree(&terms.from) };
        let (said, tag) = plaintext.split_last_chunk::<MAC_SIZE>()?;
        // Anybody can seal a box to our key. The MAC shows who did, and is compared in constant
        // time.
        if !kdf::mac_holds(&shared.mac_key(&own.public(), &terms.from), said, tag) {
            return None;
        }
        let plaintext = Secret::make(|bytes| bytes.copy_from_slice(plaintext));
        let id = name(&own.public(), &plaintext);
        let initial = terms.initial_secrets(&shared, id);
        let OfferTerms { from, created, ephemeral, kem, commitment, .. } = terms;
        Some(Self { from, id, created, ephemeral, kem, commitment, initial })
    }

    /// The identity that made it.
    #[must_use]
    pub fn from(&self) -> PublicKey {
        self.from
    }

    /// Its id, by which a replay is recognised; also its session's.
    #[must_use]
    pub fn id(&self) -> OfferId {
        self.id
    }

    /// When it was made, as its maker says.
    #[must_use]
    pub fn created(&self) -> UnixSeconds {
        self.created
    }

    /// Whether an honest offer could arrive now: made no longer ago than the longest life of an
    /// envelope and a day, and no more than a day ahead of our clock.
    #[must_use]
    pub fn timely(&self, now: UnixSeconds) -> bool {
        let earliest = now.minus(MAX_TTL).minus(ONE_DAY);
        (earliest..=now.plus(ONE_DAY)).contains(&self.created)
    }

    /// The session it offers, for the side that answers, with that side's half of the handshake
    /// drawn. Needs no identity, so that an offer can wait for a person while identities are locked
    /// away. Chains have `window` positions.
    ///
    /// Two answers to one offer are two sessions under one id: accept it once.
    #[must_use]
    pub fn accept(&self, env: &mut Env<'_>, window: u32) -> Session {
        let Self { from, id, created, ephemeral, kem, commitment, initial } = self.clone();
        let id = session_of(id);
        let input = ResponderInput { id, created, from, ephemeral, kem, commitment, initial };
        Session::accepted(env, input, window)
    }
}

impl fmt::Debug for ReceivedOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from: _, id: _, created: _, ephemeral: _, kem: _, commitment: _, initial: _ } =
            self;
        f.write_str("ReceivedOffer")
    }
}

/// The fields of an offer.
struct OfferTerms {
    from: PublicKey,
    ephemeral: PublicKey,
    /// From initiator to responder.
    outward: Secret<32>,
    /// From responder to initiator.
    inward: Secret<32>,
    /// Two partial topics, outward and inward.
    topics: Secret<8>,
    created: UnixSeconds,
    commitment: [u8; 32],
    kem: KemPublic,
}

impl OfferTerms {
    fn write(&self, shared: &OfferSecrets, to: &PublicKey) -> Secret<PLAINTEXT_SIZE> {
        let Self { from, ephemeral, outward, inward, topics, created, commitment, kem } = self;
        let mut said = Zeroizing::new(Vec::with_capacity(PLAINTEXT_SIZE));
        said.extend_from_slice(&HEAD);
        said.extend_from_slice(&from.to_bytes());
        said.extend_from_slice(&ephemeral.to_bytes());
        said.extend_from_slice(outward.expose());
        said.extend_from_slice(inward.expose());
        said.extend_from_slice(topics.expose());
        said.extend_from_slice(&created.0.to_le_bytes());
        said.extend_from_slice(commitment);
        said.extend_from_slice(kem.as_bytes());
        let tag = kdf::mac(&shared.mac_key(to, from), &said);
        Secret::make(|plaintext| {
            for (to, from) in plaintext.iter_mut().zip(said.iter().chain(&tag)) {
                *to = *from;
            }
        })
    }

    /// Reads the fields before the MAC, which is not looked at.
    fn read(plaintext: &[u8; PLAINTEXT_SIZE]) -> Option<Self> {
        let mut cursor = ByteCursor::new(plaintext);
        // Another version, suite or flag is not taken: with one suite there is nothing to be talked
        // down to.
        if *cursor.take()? != HEAD {
            return None;
        }
        Some(Self {
            from: PublicKey::from_bytes(cursor.take()?)?,
            ephemeral: PublicKey::from_bytes(cursor.take()?)?,
            outward: secret(cursor.take()?),
            inward: secret(cursor.take()?),
            topics: secret(cursor.take()?),
            created: UnixSeconds(cursor.number()?),
            commitment: *cursor.take()?,
            kem: KemPublic::from_bytes(cursor.take()?)?,
        })
    }

    fn initial_secrets(&self, shared: &OfferSecrets, id: OfferId) -> InitialSecrets {
        shared.start(session_of(id), [&self.outward, &self.inward], &self.topics)
    }
}

fn name(to: &PublicKey, plaintext: &Secret<PLAINTEXT_SIZE>) -> OfferId {
    OfferId(kdf::hash(KdfLabel::OfferId, &[&to.to_bytes(), plaintext.expose()]))
}

/// A session has the id of the offer it came from.
fn session_of(offer: OfferId) -> SessionId {
    offer.into()
}

fn secret<const N: usize>(bytes: &[u8; N]) -> Secret<N> {
    Secret::make(|secret| secret.copy_from_slice(bytes))
}

/// Version 1, suite 2 (secp256k1 and ML-KEM-768), no flags (u16).
const HEAD: [u8; 4] = [1, 2, 0, 0];
const MAC_SIZE: usize = 32;
/// Head 4, identity 33, ephemeral key 33, two keys of 32, two partial topics of 4, created 8,
/// commitment 32, KEM key, MAC.
const PLAINTEXT_SIZE: usize = 4 + 33 + 33 + 32 + 32 + 4 + 4 + 8 + 32 + kem::PUBLIC_SIZE + MAC_SIZE;
const PADDED_SIZE: usize = BODY_SIZE - ecies::OVERHEAD;

#[cfg(test)]
mod tests {
    use super::super::{Payload, WINDOW};
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case, each_slow_case};
    use crate::engine::testing::rng::SeededRng;

    /// Chance, an identity, and an offer to it.
    fn offered() -> (SeededRng, Identity, Offer) {
        let mut seeded = SeededRng::new(1);
        let [a, b] = [(); 2].map(|()| Identity::generate(&mut seeded.turn()));
        let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public(), WINDOW);
        (seeded, b, offer)
    }

    /// Terms as their maker writes them, with the proof that the two alone can compute.
    fn proved(own: &Identity, terms: &OfferTerms) -> Secret<PLAINTEXT_SIZE> {
        let shared = OfferSecrets { es: own.agree(&terms.ephemeral), ss: own.agree(&terms.from) };
        terms.write(&shared, &own.public())
    }

    #[test]
    fn changed_at_random_a_sealed_offer_is_the_same_or_none() {
        let (mut seeded, own, offer) = offered();
        each_slow_case(&[offer.seal(&mut seeded.turn()).body], |body| {
            let read = ReceivedOffer::open(&own, body);
            assert!(read.as_ref().is_none_or(|read| read.id() == offer.id()));
            Reading::found(read)
        });
    }

    #[test]
    fn changed_at_random_terms_are_refused_or_those_that_are_written_so() {
        let (_, own, offer) = offered();
        let shared = OfferSecrets { es: own.agree(&own.public()), ss: own.agree(&own.public()) };
        each_case(&[offer.plaintext.expose().to_vec()], |bytes| {
            let whole = <&[u8; PLAINTEXT_SIZE]>::try_from(bytes).ok();
            Reading::again(whole.and_then(OfferTerms::read), |terms| {
                let written = terms.write(&shared, &own.public());
                let (said, _) = written.expose().split_last_chunk::<MAC_SIZE>().unwrap();
                // The proof is not read there.
                [said, &bytes[said.len()..]].concat()
            })
        });
    }

    #[test]
    fn changed_at_random_an_offer_without_a_new_proof_is_refused() {
        let (_, own, offer) = offered();
        let mut padded = offer.plaintext.expose().to_vec();
        padded.resize(PADDED_SIZE, 0);
        each_slow_case(&[padded.clone()], |changed| {
            Reading::again(ReceivedOffer::read(&own, changed), |_| {
                // Padding of another length never comes out of a body, and changes nothing.
                let mut same = padded.clone();
                same.resize(changed.len(), 0);
                same
            })
        });
    }

    /// What a stranger can send who makes offers as they like.
    #[test]
    fn changed_at_random_an_offer_with_its_proof_is_opened_and_can_be_answered() {
        let (mut seeded, own, offer) = offered();
        let mut padded = offer.plaintext.expose().to_vec();
        padded.resize(PADDED_SIZE, 0);
        each_slow_case(&[padded], |changed| {
            let mut changed = changed.to_vec();
            if let Some(plaintext) = changed.first_chunk_mut::<PLAINTEXT_SIZE>()
                && let Some(terms) = OfferTerms::read(plaintext)
            {
                plaintext.copy_from_slice(proved(&own, &terms).expose());
            }
            let Some(read) = ReceivedOffer::read(&own, &changed) else { return Reading::Refused };
            _ = read.timely(seeded.turn().wall);
            let session = read.accept(&mut seeded.turn(), 4);
            assert!(session.encrypt(&mut seeded.turn(), &Payload::nothing()).is_ok());
            Reading::Taken
        });
    }
}
