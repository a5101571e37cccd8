//! Tests of what two ends of a session see of each other, and what everyone else does not.

mod exchange;
mod network;
mod offers;
mod ratchet;
mod topic_index;
mod vectors;

use std::collections::BTreeSet;

use super::*;
use crate::engine::crypto::ecies;
use crate::engine::crypto::keys::Identity;
use crate::engine::env::Seconds;
use crate::engine::envelope::wire::{BODY_SIZE, MAX_TTL, ONE_DAY};
use crate::engine::testing::rng::{NOW, SeededRng};

use offers::people;

/// One end.
struct Endpoint {
    own: Identity,
    session: Session,
}

/// Two people after an offer has arrived: `ours` is the one who speaks next.
struct Pair {
    seeded: SeededRng,
    ours: Endpoint,
    theirs: Endpoint,
}

impl Pair {
    /// The initiator speaks first.
    fn new(seed: u64) -> Self {
        Self::narrow(seed, WINDOW)
    }

    fn narrow(seed: u64, window: u32) -> Self {
        let (mut seeded, a, b) = people(seed);
        let (offer, ours) = Offer::new(&mut seeded.turn(), &a, &b.public(), window);
        let sealed = offer.seal(&mut seeded.turn());
        let received = ReceivedOffer::open(&b, &sealed.body).unwrap();
        let theirs = received.accept(&mut seeded.turn(), window);
        let (ours, theirs) =
            (Endpoint { own: a, session: ours }, Endpoint { own: b, session: theirs });
        Self { seeded, ours, theirs }
    }

    /// After offer, answer and confirmation; the initiator speaks.
    fn settled(seed: u64) -> Self {
        let mut pair = Self::new(seed);
        pair.swap();
        for number in 0..2 {
            pair.exchange(number);
        }
        pair.swap();
        pair
    }

    /// The speaker's message arrives, and the other one speaks next.
    fn exchange(&mut self, number: u64) {
        let sealed = self.say(&text(number));
        assert_eq!(self.hear(&sealed), Some(text(number)));
        self.swap();
    }

    fn swap(&mut self) {
        core::mem::swap(&mut self.ours, &mut self.theirs);
    }

    /// We encrypt and keep the step.
    fn say(&mut self, payload: &Payload) -> SealedBody {
        let step = self.ours.session.encrypt(&mut self.seeded.turn(), payload).unwrap();
        self.ours.session = step.session;
        step.sealed
    }

    /// They open and keep the step.
    fn hear(&mut self, sealed: &SealedBody) -> Option<Payload> {
        let (next, payload) = self.try_hear(sealed)?;
        self.theirs.session = next;
        Some(payload)
    }

    fn try_hear(&mut self, sealed: &SealedBody) -> Option<(Session, Payload)> {
        self.hear_at(NOW, sealed)
    }

    fn hear_at(&mut self, now: UnixSeconds, sealed: &SealedBody) -> Option<(Session, Payload)> {
        let Endpoint { own, session } = &self.theirs;
        let mut env = self.seeded.turn();
        env.wall = now;
        session.decrypt(&mut env, own, sealed.topic, &sealed.body)
    }
}

fn text(number: u64) -> Payload {
    let content = Content::Text(format!("message {number}"));
    Payload { epoch: 7, number: Some(number), ack: None, base: 0, content }
}

/// As long as a text can be: too long to stand beside the answer.
fn long_text() -> Payload {
    Payload { content: Content::Text("x".repeat(MAX_TEXT)), ..text(0) }
}

fn stored(session: &Session) -> Vec<u8> {
    let config = bincode::config::standard().with_fixed_int_encoding();
    bincode::serde::encode_to_vec(session, config).unwrap()
}

fn restored(bytes: &[u8]) -> Session {
    let config = bincode::config::standard().with_fixed_int_encoding();
    let (read, used) = bincode::serde::decode_from_slice::<Session, _>(bytes, config).unwrap();
    assert_eq!(used, bytes.len());
    read
}

#[test]
fn a_body_fills_an_envelope_of_2048_bytes() {
    assert_eq!(BODY_SIZE, 2016);
    let mut pair = Pair::new(1);
    assert_eq!(pair.say(&text(0)).body.len(), BODY_SIZE);
    pair.swap();
    assert_eq!(pair.say(&text(0)).body.len(), BODY_SIZE);
    assert_eq!(pair.say(&long_text()).body.len(), BODY_SIZE);
    assert_eq!(junk(&mut pair.seeded.turn()).body.len(), BODY_SIZE);
    let (offer, _) =
        Offer::new(&mut pair.seeded.turn(), &pair.ours.own, &pair.theirs.own.public(), WINDOW);
    assert_eq!(offer.seal(&mut pair.seeded.turn()).body.len(), BODY_SIZE);
}

#[test]
fn nobody_reads_their_own_messages() {
    let mut pair = Pair::new(3);
    for _ in 0..4 {
        let sealed = pair.say(&text(0));
        pair.swap();
        assert!(pair.try_hear(&sealed).is_none());
        assert!(!pair.theirs.session.topics().any(|topic| topic == sealed.topic));
        pair.swap();
        assert!(pair.hear(&sealed).is_some());
        pair.swap();
    }
}

#[test]
fn another_session_of_the_same_two_opens_nothing() {
    let mut one = Pair::new(5);
    let sealed = one.say(&text(0));
    let mut other = Pair::new(6);
    assert!(other.try_hear(&sealed).is_none());
    // Not even at a topic it watches.
    let topic = other.theirs.session.topics().next().unwrap();
    assert!(other.try_hear(&SealedBody { topic, ..sealed }).is_none());
}

#[test]
fn a_text_too_long_uses_nothing_up() {
    let mut pair = Pair::new(9);
    let long = Payload { content: Content::Text("x".repeat(MAX_TEXT + 1)), ..text(0) };
    let before = pair.ours.session.clone();
    let refused = pair.ours.session.encrypt(&mut pair.seeded.turn(), &long);
    assert_eq!(refused.unwrap_err(), EncryptError::TooLong);
    assert_eq!(pair.ours.session, before);
}

#[test]
fn a_session_without_messages_is_idle_after_thirty_days() {
    let mut pair = Pair::settled(34);
    let second = Seconds(1);
    assert!(!pair.theirs.session.is_idle(NOW.plus(IDLE).minus(second)));
    assert!(pair.theirs.session.is_idle(NOW.plus(IDLE)));
    let sealed = pair.say(&text(0));
    let (heard, _) = pair.hear_at(NOW.plus(IDLE), &sealed).unwrap();
    assert!(!heard.is_idle(NOW.plus(IDLE)));
    // Speaking into silence does not count.
    assert!(pair.ours.session.is_idle(NOW.plus(IDLE)));
}

#[test]
fn no_holder_of_secrets_prints_them() {
    let (mut seeded, a, b) = people(15);
    let (offer, session) = Offer::new(&mut seeded.turn(), &a, &b.public(), WINDOW);
    let received = ReceivedOffer::open(&b, &offer.seal(&mut seeded.turn()).body).unwrap();
    let answering = received.accept(&mut seeded.turn(), WINDOW);
    let step = session.encrypt(&mut seeded.turn(), &text(0)).unwrap();
    let mut index = TopicIndex::new();
    index.add(&session, crate::engine::id::ContactId(1));
    insta::assert_snapshot!(format!("{offer:?} {:?} {received:?}", offer.id()), @"Offer OfferId ReceivedOffer");
    insta::assert_snapshot!(format!("{session:?}"), @"Session { role: Initiator, handshake: Offered, sending: SendingChain { number: 0, next: 0 }, receiving: None, skipped: SkippedKeys(0) }");
    insta::assert_snapshot!(format!("{answering:?}"), @"Session { role: Responder, handshake: Answering, sending: SendingChain { number: 1, next: 0 }, receiving: Some(ReceivingChain(TopicWindow { number: 0, next: 0 })), skipped: SkippedKeys(0) }");
    insta::assert_snapshot!(format!("{:?} {:?} {index:?}", session.id(), step.sealed), @"SessionId SealedBody { bytes: 2016 } TopicIndex { topics: 1024 }");
}

/// All bytes that are equal at every position of a set of bodies.
fn constant_positions(bodies: &[Vec<u8>]) -> Vec<usize> {
    (0..BODY_SIZE).filter(|at| bodies.iter().all(|body| body[*at] == bodies[0][*at])).collect()
}

#[test]
fn no_byte_is_the_same_in_all_bodies_of_one_kind() {
    let mut pair = Pair::new(22);
    let (offer, _) =
        Offer::new(&mut pair.seeded.turn(), &pair.ours.own, &pair.theirs.own.public(), WINDOW);
    let offers: Vec<_> = (0..8).map(|_| offer.seal(&mut pair.seeded.turn()).body).collect();
    let early: Vec<_> = (0..8).map(|_| pair.say(&text(0)).body).collect();
    pair.swap();
    let answers: Vec<_> = (0..8).map(|_| pair.say(&text(0)).body).collect();
    let junk: Vec<_> = (0..8).map(|_| junk(&mut pair.seeded.turn()).body).collect();
    for bodies in [offers, early, answers, junk] {
        assert_eq!(constant_positions(&bodies), Vec::<usize>::new());
    }
}
