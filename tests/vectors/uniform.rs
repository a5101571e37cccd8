//! Whether a body tells anything to who has no key: statistics over 2,000 of them.
//!
//! Seeds are fixed, so the outcome is; the bounds are such that uniform bytes would break one of
//! them for fewer than one seed in a thousand. That they catch what they are for is tested too.
#![expect(clippy::expect_used, reason = "a message that cannot be made is a failed test")]

use std::collections::BTreeSet;

use undertone::engine::crypto::keys::Identity;
use undertone::engine::env::Entropy;
use undertone::engine::envelope::wire::BODY_SIZE;
use undertone::engine::session::{
    Content, MAX_TEXT, Offer, Payload, ReceivedOffer, SealedBody, Session, WINDOW, junk,
};

use crate::entropy::{SeededRng, turn};
use crate::statistics::{
    BIT_BOUND, POSITION_BOUND, TOTAL_BOUND, at, disagreement, histogram, surprise, worst_bit,
    worst_disagreement, worst_position,
};

const COUNT: usize = 1000;

/// Topic and body, as an envelope shows them.
fn shown(sealed: SealedBody) -> Vec<u8> {
    assert_eq!(sealed.body.len(), BODY_SIZE);
    [sealed.topic.0.as_slice(), &sealed.body].concat()
}

/// Messages of ten sessions, half of them answers: long and short texts, the same text again and
/// again, and no text.
fn messages(seed: u64) -> Vec<Vec<u8>> {
    let mut entropy = SeededRng::new(seed);
    let mut sessions: Vec<Session> = (0..5).flat_map(|_| sessions(&mut entropy)).collect();
    let mut shown_ones = Vec::new();
    for number in 0..COUNT {
        let content = match number % 4 {
            0 => Content::Text("x".repeat(MAX_TEXT)),
            1 => Content::Text("yes".to_owned()),
            2 => Content::Text("a".repeat(number)),
            _ => Content::Nothing,
        };
        let number = Some(number as u64 / 10);
        let payload = Payload { epoch: 1, number, ack: None, base: 0, content };
        let session = sessions.get_mut(shown_ones.len() % 10).expect("ten sessions");
        let step = session.encrypt(&mut turn(&mut entropy), &payload).expect("room in the window");
        *session = step.session;
        shown_ones.push(shown(step.sealed));
    }
    shown_ones
}

/// Both ends of a session: what one says is early, what the other says answers.
fn sessions(entropy: &mut dyn Entropy) -> [Session; 2] {
    let their = Identity::generate(&mut turn(entropy));
    let (offer, session) = offer(entropy, &their);
    let received = ReceivedOffer::open(&their, &offer.seal(&mut turn(entropy)).body);
    [session, received.expect("an offer to them").accept(&mut turn(entropy), WINDOW)]
}

fn offer(entropy: &mut dyn Entropy, their: &Identity) -> (Offer, Session) {
    let own = Identity::generate(&mut turn(entropy));
    Offer::new(&mut turn(entropy), &own, &their.public(), WINDOW)
}

/// Two offers, each sealed again and again.
fn offers(seed: u64) -> Vec<Vec<u8>> {
    let mut entropy = SeededRng::new(seed);
    let their = Identity::generate(&mut turn(&mut entropy));
    let offers = [0, 1].map(|_| offer(&mut entropy, &their).0);
    offers
        .iter()
        .cycle()
        .take(COUNT)
        .map(|offer| shown(offer.seal(&mut turn(&mut entropy))))
        .collect()
}

fn pieces_of_junk(seed: u64) -> Vec<Vec<u8>> {
    let mut entropy = SeededRng::new(seed);
    (0..COUNT).map(|_| shown(junk(&mut turn(&mut entropy)))).collect()
}

#[test]
fn every_byte_of_three_thousand_messages_offers_and_pieces_of_junk_is_uniform() {
    for bodies in [[messages(1), pieces_of_junk(2)].concat(), offers(10)] {
        assert!(worst_bit(&bodies) < BIT_BOUND, "bit: {}", worst_bit(&bodies));
        let worst = worst_position(&bodies);
        assert!(worst < POSITION_BOUND, "position: {worst}");
        let all = surprise(&histogram(bodies.concat().into_iter()));
        assert!(all.abs() < TOTAL_BOUND, "all bytes: {all}");
    }
}

#[test]
fn messages_offers_and_junk_are_alike_at_every_position() {
    let (messages, offers, junk) = (messages(3), offers(11), pieces_of_junk(4));
    for (some, others) in [(&messages, &junk), (&offers, &junk), (&messages, &offers)] {
        let worst = worst_disagreement(some, others);
        assert!(worst < POSITION_BOUND, "position: {worst}");
        let (all, others) = (some.concat().into_iter(), others.concat().into_iter());
        let all = disagreement(&histogram(all), &histogram(others));
        assert!(all.abs() < TOTAL_BOUND, "all bytes: {all}");
    }
}

#[test]
fn no_eight_bytes_come_twice() {
    let mut seen = BTreeSet::new();
    for body in [messages(5), offers(12), pieces_of_junk(6)].concat() {
        let (chunks, _) = body.as_chunks::<8>();
        assert!(chunks.iter().all(|chunk| seen.insert(*chunk)));
    }
}

#[test]
fn a_single_bit_that_is_always_set_would_be_seen() {
    let mut bodies = pieces_of_junk(7);
    for body in &mut bodies {
        *body.last_mut().expect("a body") |= 1;
    }
    assert!(worst_bit(&bodies) > BIT_BOUND);
    assert!(worst_position(&bodies) > POSITION_BOUND);
}

#[test]
fn a_position_whose_bytes_prefer_a_half_would_be_seen() {
    let (mut bodies, others) = (pieces_of_junk(8), pieces_of_junk(9));
    for body in bodies.iter_mut().step_by(2) {
        *body.first_mut().expect("a topic") &= 0x7f;
    }
    assert!(worst_bit(&bodies) > BIT_BOUND);
    let difference = disagreement(&histogram(at(&bodies, 0)), &histogram(at(&others, 0)));
    assert!(difference > TOTAL_BOUND, "{difference}");
}
