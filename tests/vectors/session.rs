//! Keys, invites, offers and messages against a second implementation (`session.py`): from the same
//! entropy both must write the same bytes, and read each other's.
#![expect(clippy::expect_used, reason = "a vector that cannot be read is a failed test")]

use serde::Deserialize;

use undertone::engine::crypto::invite;
use undertone::engine::crypto::keys::{Identity, PublicKey};
use undertone::engine::env::UnixSeconds;
use undertone::engine::session::{Ack, Content, Offer, Payload, ReceivedOffer, Session};

use crate::entropy::{NOW, Script, turn};

#[derive(Deserialize)]
struct Vectors {
    source: String,
    people: People,
    offer: OfferVector,
    messages: Vec<MessageVector>,
}

#[derive(Deserialize)]
struct People {
    a: Person,
    b: Person,
}

#[derive(Deserialize)]
struct Person {
    secret: String,
    public: String,
    fingerprint: String,
    invite: String,
}

#[derive(Deserialize)]
struct OfferVector {
    entropy: String,
    created: u64,
    id: String,
    topic: String,
    body: String,
}

#[derive(Deserialize)]
struct MessageVector {
    from: String,
    entropy: String,
    topic: String,
    body: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("session.json")).expect("session.json has this shape")
}

fn bytes(hex: &str) -> Vec<u8> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty(), "an odd number of hexadecimal digits");
    let byte = |pair: &[u8; 2]| {
        let digits = core::str::from_utf8(pair).expect("ascii");
        u8::from_str_radix(digits, 16).expect("hexadecimal digits")
    };
    pairs.iter().map(byte).collect()
}

fn script(hex: &str) -> Script {
    Script(bytes(hex).into_iter())
}

fn identity(person: &Person) -> Identity {
    let json = serde_json::to_string(&bytes(&person.secret)).expect("bytes are JSON");
    serde_json::from_str(&json).expect("a secret key")
}

/// Both ends, after the offer of the vectors.
fn sessions(vectors: &Vectors) -> (Session, Session) {
    let (a, b) = (identity(&vectors.people.a), identity(&vectors.people.b));
    let mut entropy = script(&vectors.offer.entropy);
    let (offer, ours) = Offer::new(&mut turn(&mut entropy), &a, &b.public());
    let sealed = offer.seal(&mut turn(&mut entropy));
    assert_eq!(entropy.0.len(), 0, "all entropy of {} is used", vectors.source);
    assert_eq!(sealed.topic.0.as_slice(), bytes(&vectors.offer.topic));
    assert_eq!(sealed.body, bytes(&vectors.offer.body));
    let received = ReceivedOffer::open(&b, &sealed.body).expect("an offer to b");
    assert_eq!(received.from(), a.public());
    assert_eq!(received.id().0.as_slice(), bytes(&vectors.offer.id));
    assert_eq!(received.created(), UnixSeconds(vectors.offer.created));
    (ours, received.accept())
}

/// What the messages of the vectors say.
fn payloads() -> Vec<Payload> {
    let text = |text: &str| Content::Text(text.to_owned());
    let payload = |stream, number, ack: Option<(u64, u64, u64)>, base, content| {
        let ack = ack.map(|(stream, next, beyond)| Ack { stream, next, beyond });
        Payload { stream, number, ack, base, content }
    };
    vec![
        payload(11, Some(0), None, 0, text("Grüße, first")),
        payload(11, Some(1), None, 0, text(&"x".repeat(1850))),
        payload(12, None, Some((11, 2, 0)), 0, Content::Answer),
        payload(12, Some(u64::MAX), Some((11, 2, (1 << 63) + 5)), 7, text("")),
        payload(11, None, Some((12, 0, 1)), 2, Content::Nothing),
        payload(11, None, None, 2, Content::Close),
    ]
}

#[test]
fn keys_fingerprints_and_invites_are_those_of_the_second_implementation() {
    let People { a, b } = vectors().people;
    for person in [a, b] {
        let key: PublicKey = identity(&person).public();
        assert_eq!(key.to_bytes().as_slice(), bytes(&person.public));
        assert_eq!(key.fingerprint().as_bytes().as_slice(), bytes(&person.fingerprint));
        assert_eq!(invite::encode(&key), person.invite);
        assert_eq!(invite::decode(&person.invite), Ok(key));
    }
}

#[test]
fn offers_and_messages_are_those_of_the_second_implementation() {
    let vectors = vectors();
    let (mut a, mut b) = sessions(&vectors);
    assert_eq!(vectors.messages.len(), payloads().len());
    for (vector, payload) in vectors.messages.iter().zip(payloads()) {
        let (sender, recipient) = match vector.from.as_str() {
            "a" => (&mut a, &mut b),
            _ => (&mut b, &mut a),
        };
        let mut entropy = script(&vector.entropy);
        let step = sender.encrypt(&mut turn(&mut entropy), &payload).expect("room in the window");
        assert_eq!(step.sealed.topic.0.as_slice(), bytes(&vector.topic));
        assert_eq!(step.sealed.body, bytes(&vector.body));
        let read = recipient.decrypt(NOW, step.sealed.topic, &step.sealed.body);
        let (next, read) = read.expect("a message for this side");
        assert_eq!(read, payload);
        (*sender, *recipient) = (step.session, next);
    }
}
