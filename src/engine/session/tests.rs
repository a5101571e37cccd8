//! What two ends of a session see of each other, and what everyone else does not.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::engine::crypto::ecies;
use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::crypto::seeded::{NOW, Seeded};
use crate::engine::env::Seconds;
use crate::engine::envelope::wire::{MAX_TTL, ONE_DAY};

/// Two people after an offer has arrived.
struct Pair {
    seeded: Seeded,
    ours: Session,
    theirs: Session,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut seeded = Seeded::new(seed);
        let a = Identity::generate(&mut seeded.turn());
        let b = Identity::generate(&mut seeded.turn());
        let (offer, ours) = Offer::new(&mut seeded.turn(), &a, &b.public());
        let sealed = offer.seal(&mut seeded.turn());
        let theirs = ReceivedOffer::open(&b, &sealed.body).unwrap().accept();
        Self { seeded, ours, theirs }
    }

    /// We encrypt and keep the step.
    fn say(&mut self, payload: &Payload) -> Sealed {
        let step = self.ours.encrypt(&mut self.seeded.turn(), payload).unwrap();
        self.ours = step.session;
        step.sealed
    }

    /// They open and keep the step.
    fn hear(&mut self, sealed: &Sealed) -> Option<Payload> {
        let (next, payload) = self.theirs.decrypt(NOW, sealed.topic, &sealed.body)?;
        self.theirs = next;
        Some(payload)
    }
}

fn text(number: u64) -> Payload {
    let content = Content::Text(format!("message {number}"));
    Payload { stream: 7, number: Some(number), ack: None, base: 0, content }
}

#[test]
fn a_body_fills_an_envelope_of_2048_bytes() {
    assert_eq!(BODY_SIZE, 2016);
    let mut pair = Pair::new(1);
    assert_eq!(pair.say(&text(0)).body.len(), BODY_SIZE);
    assert_eq!(junk(&mut pair.seeded.turn()).body.len(), BODY_SIZE);
    let a = Identity::generate(&mut pair.seeded.turn());
    let b = Identity::generate(&mut pair.seeded.turn());
    let (offer, _) = Offer::new(&mut pair.seeded.turn(), &a, &b.public());
    assert_eq!(offer.seal(&mut pair.seeded.turn()).body.len(), BODY_SIZE);
}

#[test]
fn both_sides_talk_before_and_after_they_heard_of_each_other() {
    let mut pair = Pair::new(2);
    assert_eq!((pair.ours.role(), pair.theirs.role()), (Role::Initiator, Role::Responder));
    assert_eq!((pair.ours.id(), pair.ours.created()), (pair.theirs.id(), pair.theirs.created()));
    assert!(!pair.ours.confirmed() && !pair.theirs.confirmed());
    for number in 0..3 {
        let sealed = pair.say(&text(number));
        assert_eq!(pair.hear(&sealed), Some(text(number)));
        assert!(pair.theirs.confirmed());
        core::mem::swap(&mut pair.ours, &mut pair.theirs);
    }
    assert!(pair.ours.confirmed());
}

#[test]
fn nobody_reads_their_own_messages() {
    let mut pair = Pair::new(3);
    for _ in 0..2 {
        let sealed = pair.say(&text(0));
        assert!(pair.ours.decrypt(NOW, sealed.topic, &sealed.body).is_none());
        assert!(!pair.ours.topics().any(|topic| topic == sealed.topic));
        core::mem::swap(&mut pair.ours, &mut pair.theirs);
    }
}

#[test]
fn a_message_opens_once() {
    let mut pair = Pair::new(4);
    let sealed = pair.say(&text(0));
    assert!(pair.hear(&sealed).is_some());
    assert!(pair.hear(&sealed).is_none());
    assert!(!pair.theirs.topics().any(|topic| topic == sealed.topic));
}

#[test]
fn another_session_of_the_same_two_opens_nothing() {
    let mut one = Pair::new(5);
    let sealed = one.say(&text(0));
    let other = Pair::new(6);
    assert!(other.theirs.decrypt(NOW, sealed.topic, &sealed.body).is_none());
    // Not even at a topic it watches.
    let watched = other.theirs.topics().next().unwrap();
    assert!(other.theirs.decrypt(NOW, watched, &sealed.body).is_none());
}

#[test]
fn a_sender_stops_where_the_recipient_stops_watching() {
    let mut pair = Pair::new(7);
    let mut last = None;
    for number in 0..u64::from(WINDOW) {
        last = Some(pair.say(&text(number)));
    }
    let refused = pair.ours.encrypt(&mut pair.seeded.turn(), &text(0));
    assert_eq!(refused.unwrap_err(), EncryptError::Exhausted);

    // The last one alone arrives: it still opens, and all the others still can.
    assert_eq!(pair.hear(&last.unwrap()), Some(text(u64::from(WINDOW) - 1)));
    assert_eq!(pair.theirs.topics().count(), 2 * WINDOW as usize - 1);

    pair.ours = pair.ours.heard_of(0);
    let sealed = pair.say(&text(9));
    assert_eq!(pair.hear(&sealed), Some(text(9)));
    let refused = pair.ours.encrypt(&mut pair.seeded.turn(), &text(0));
    assert_eq!(refused.unwrap_err(), EncryptError::Exhausted);
}

#[test]
fn hearing_of_a_position_never_filled_frees_nothing() {
    let mut pair = Pair::new(8);
    pair.say(&text(0));
    let before = pair.ours.clone();
    assert_eq!(pair.ours.heard_of(1), before);
    assert_eq!(pair.ours.heard_of(u32::MAX), before);
    let heard = pair.ours.heard_of(0);
    assert_ne!(heard, before);
    assert_eq!(heard.heard_of(0), heard);
}

#[test]
fn a_side_that_only_acknowledges_never_runs_out_of_window() {
    let mut pair = Pair::new(26);
    let nothing = Payload { stream: 8, ..Payload::nothing() };
    for number in 0..u64::from(WINDOW) + 10 {
        let sealed = pair.say(&text(number));
        assert!(pair.hear(&sealed).is_some());
        core::mem::swap(&mut pair.ours, &mut pair.theirs);
        let sealed = pair.say(&nothing);
        assert!(pair.hear(&sealed).is_some());
        core::mem::swap(&mut pair.ours, &mut pair.theirs);
    }
}

#[test]
fn a_session_knows_whether_it_was_ever_used() {
    let mut pair = Pair::new(27);
    assert!(!pair.ours.has_sent());
    pair.say(&text(0));
    assert!(pair.ours.has_sent() && !pair.theirs.has_sent());
}

#[test]
fn a_text_too_long_uses_nothing_up() {
    let mut pair = Pair::new(9);
    let long = Payload { content: Content::Text("x".repeat(MAX_TEXT + 1)), ..text(0) };
    let before = pair.ours.clone();
    assert_eq!(
        pair.ours.encrypt(&mut pair.seeded.turn(), &long).unwrap_err(),
        EncryptError::TooLong
    );
    assert_eq!(pair.ours, before);
}

#[test]
fn encrypting_again_after_a_rollback_uses_another_key() {
    let mut pair = Pair::new(10);
    let one = pair.ours.encrypt(&mut pair.seeded.turn(), &text(0)).unwrap();
    let two = pair.ours.encrypt(&mut pair.seeded.turn(), &text(1)).unwrap();
    assert_eq!((one.position, one.sealed.topic), (two.position, two.sealed.topic));
    assert_ne!(one.ledger, two.ledger);
    // The recipient takes one of the twins.
    assert!(pair.hear(&two.sealed).is_some());
    assert!(pair.hear(&one.sealed).is_none());
}

#[test]
fn the_keys_of_lost_messages_are_forgotten_when_nothing_can_arrive_for_them() {
    let mut pair = Pair::new(11);
    let lost = pair.say(&text(0));
    let sealed = pair.say(&text(1));
    assert!(pair.hear(&sealed).is_some());
    let late = NOW.plus(MAX_TTL).plus(ONE_DAY);
    assert_eq!(pair.theirs.age(late.minus(Seconds(1))), None);
    let aged = pair.theirs.age(late).unwrap();
    assert_eq!(aged.topics().count(), WINDOW as usize);
    assert!(aged.decrypt(late, lost.topic, &lost.body).is_none());
    assert!(pair.theirs.decrypt(late, lost.topic, &lost.body).is_some());
    // The next message does the same.
    let sealed = pair.say(&text(2));
    let (next, _) = pair.theirs.decrypt(late, sealed.topic, &sealed.body).unwrap();
    assert_eq!(next.topics().count(), WINDOW as usize);
}

#[test]
fn the_keys_of_lost_messages_are_bounded() {
    let mut pair = Pair::new(12);
    let mut first = None;
    // Each round loses a whole window but its last message.
    for round in 0..3 {
        for number in 0..WINDOW {
            let sealed = pair.say(&text(u64::from(number)));
            first = first.or(Some(sealed.clone()));
            if number == WINDOW - 1 {
                assert!(pair.hear(&sealed).is_some());
            }
        }
        pair.ours = pair.ours.heard_of((round + 1) * WINDOW - 1);
    }
    assert_eq!(pair.theirs.topics().count(), WINDOW as usize + MAX_SKIPPED);
    assert!(pair.hear(&first.unwrap()).is_none(), "the oldest went first");
}

#[test]
fn a_stored_session_goes_on_where_it_was() {
    let mut pair = Pair::new(13);
    let late = pair.say(&text(0));
    let sealed = pair.say(&text(1));
    assert!(pair.hear(&sealed).is_some());
    let config = bincode::config::standard().with_fixed_int_encoding();
    let bytes = bincode::serde::encode_to_vec(&pair.theirs, config).unwrap();
    let (read, used) = bincode::serde::decode_from_slice::<Session, _>(&bytes, config).unwrap();
    assert_eq!((&read, used), (&pair.theirs, bytes.len()));
    // Small, since what can be computed is not stored.
    assert!(bytes.len() < 500, "{}", bytes.len());
    assert_eq!(read.decrypt(NOW, late.topic, &late.body).unwrap().1, text(0));
    let next = pair.say(&text(2));
    assert_eq!(read.decrypt(NOW, next.topic, &next.body).unwrap().1, text(2));
}

#[test]
fn stored_offers_read_back() {
    let (mut seeded, a, b) = people(14);
    let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public());
    let received = ReceivedOffer::open(&b, &offer.seal(&mut seeded.turn()).body).unwrap();
    let config = bincode::config::standard().with_fixed_int_encoding();
    let bytes = bincode::serde::encode_to_vec((&offer, &received), config).unwrap();
    let (read, _) =
        bincode::serde::decode_from_slice::<(Offer, ReceivedOffer), _>(&bytes, config).unwrap();
    assert_eq!(read, (offer, received));
}

#[test]
fn no_holder_of_secrets_prints_them() {
    let (mut seeded, a, b) = people(15);
    let (offer, session) = Offer::new(&mut seeded.turn(), &a, &b.public());
    let received = ReceivedOffer::open(&b, &offer.seal(&mut seeded.turn()).body).unwrap();
    let step = session.encrypt(&mut seeded.turn(), &text(0)).unwrap();
    let mut watch = Watch::new();
    watch.add(&session);
    insta::assert_snapshot!(format!("{offer:?} {:?} {received:?}", offer.id()), @"Offer OfferId ReceivedOffer");
    insta::assert_snapshot!(format!("{session:?}"), @"Session { role: Initiator, confirmed: false, sending: SendingChain { next: 0, heard: 0 }, receiving: ReceivingChain { next: 0, skipped: 0 } }");
    insta::assert_snapshot!(format!("{:?} {:?} {watch:?}", session.id(), step.sealed), @"SessionId Sealed { bytes: 2016 } Watch { topics: 1024 }");
}

fn people(seed: u64) -> (Seeded, Identity, Identity) {
    let mut seeded = Seeded::new(seed);
    let a = Identity::generate(&mut seeded.turn());
    let b = Identity::generate(&mut seeded.turn());
    (seeded, a, b)
}

#[test]
fn an_offer_names_its_maker_and_is_the_same_however_often_it_is_sealed() {
    let (mut seeded, a, b) = people(16);
    let (offer, session) = Offer::new(&mut seeded.turn(), &a, &b.public());
    let (one, two) = (offer.seal(&mut seeded.turn()), offer.seal(&mut seeded.turn()));
    assert_ne!(one.topic, two.topic);
    assert_ne!(one.body[1..33], two.body[1..33]);
    let opened = ReceivedOffer::open(&b, &one.body).unwrap();
    assert_eq!(Some(&opened), ReceivedOffer::open(&b, &two.body).as_ref());
    assert_eq!((opened.from(), opened.id()), (a.public(), offer.id()));
    assert_eq!((opened.created(), SessionId::from(opened.id())), (NOW, session.id()));
}

#[test]
fn only_the_recipient_opens_an_offer() {
    let (mut seeded, a, b) = people(17);
    let c = Identity::generate(&mut seeded.turn());
    let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public());
    let sealed = offer.seal(&mut seeded.turn());
    assert!(ReceivedOffer::open(&c, &sealed.body).is_none());
    assert!(ReceivedOffer::open(&a, &sealed.body).is_none());
}

#[test]
fn an_offer_is_timely_from_a_longest_life_and_a_day_ago_to_a_day_ahead() {
    let (mut seeded, a, b) = people(18);
    let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public());
    let offer = ReceivedOffer::open(&b, &offer.seal(&mut seeded.turn()).body).unwrap();
    let (second, latest) = (Seconds(1), NOW.plus(MAX_TTL).plus(ONE_DAY));
    assert!(offer.timely(latest) && !offer.timely(latest.plus(second)));
    assert!(offer.timely(NOW.minus(ONE_DAY)) && !offer.timely(NOW.minus(ONE_DAY).minus(second)));
}

/// An offer's letter as its recipient finds it, to be forged.
fn letter(sealed: &Sealed, own: &Identity) -> Vec<u8> {
    ecies::open(own, &sealed.body).unwrap().to_vec()
}

fn reseal(seeded: &mut Seeded, to: &PublicKey, letter: &[u8]) -> Vec<u8> {
    ecies::seal(&mut seeded.turn(), to, letter)
}

#[test]
fn an_offer_in_another_name_is_refused() {
    let (mut seeded, a, b) = people(19);
    let c = Identity::generate(&mut seeded.turn());
    let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public());
    let mut forged = letter(&offer.seal(&mut seeded.turn()), &b);
    forged[4..37].copy_from_slice(&c.public().to_bytes());
    let body = reseal(&mut seeded, &b.public(), &forged);
    assert!(ReceivedOffer::open(&b, &body).is_none());
}

#[test]
fn an_offer_passed_on_to_somebody_else_is_refused() {
    let (mut seeded, a, b) = people(20);
    let c = Identity::generate(&mut seeded.turn());
    let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public());
    let letter = letter(&offer.seal(&mut seeded.turn()), &b);
    let body = reseal(&mut seeded, &c.public(), &letter);
    assert!(ReceivedOffer::open(&c, &body).is_none());
}

#[test]
fn an_offer_from_our_own_key_is_refused() {
    let (mut seeded, a, _) = people(21);
    let (offer, _) = Offer::new(&mut seeded.turn(), &a, &a.public());
    assert!(ReceivedOffer::open(&a, &offer.seal(&mut seeded.turn()).body).is_none());
}

/// All bytes that are equal at every position of a set of bodies.
fn constant_positions(bodies: &[Vec<u8>]) -> Vec<usize> {
    (0..BODY_SIZE).filter(|at| bodies.iter().all(|body| body[*at] == bodies[0][*at])).collect()
}

#[test]
fn no_byte_is_the_same_in_every_message_or_every_piece_of_junk() {
    let mut pair = Pair::new(22);
    let messages: Vec<_> = (0..8).map(|_| pair.say(&text(0)).body).collect();
    assert_eq!(constant_positions(&messages), Vec::<usize>::new());
    let junk: Vec<_> = (0..8).map(|_| junk(&mut pair.seeded.turn()).body).collect();
    assert_eq!(constant_positions(&junk), Vec::<usize>::new());
}

#[test]
fn the_watch_knows_whose_a_topic_is_and_forgets_a_session() {
    let mut pair = Pair::new(23);
    let sealed = pair.say(&text(0));
    let mut watch = Watch::default();
    assert!(watch.candidates(sealed.topic).is_empty());
    watch.add(&pair.theirs);
    assert_eq!(watch.candidates(sealed.topic), [pair.theirs.id()]);
    watch.remove(&pair.theirs);
    assert!(pair.theirs.topics().all(|topic| watch.candidates(topic).is_empty()));
}

#[test]
fn two_sessions_may_wait_for_one_topic() {
    let mut pair = Pair::new(28);
    let sealed = pair.say(&text(0));
    let twin = Session { id: SessionId([7; 32]), ..pair.theirs.clone() };
    let mut watch = Watch::new();
    watch.add(&pair.theirs);
    watch.add(&twin);
    let mut both = [pair.theirs.id(), twin.id()];
    both.sort();
    assert_eq!(watch.candidates(sealed.topic), both);
    watch.remove(&pair.theirs);
    assert_eq!(watch.candidates(sealed.topic), [twin.id()]);
}

#[test]
fn the_watch_follows_a_session_until_its_sieve_is_made_afresh() {
    let mut pair = Pair::new(24);
    let mut watch = Watch::new();
    watch.add(&pair.theirs);
    for number in 0..1500 {
        let sealed = pair.say(&text(number));
        assert_eq!(watch.candidates(sealed.topic), [pair.theirs.id()]);
        let before = pair.theirs.clone();
        assert!(pair.hear(&sealed).is_some());
        watch.update(&before, &pair.theirs);
        assert!(watch.candidates(sealed.topic).is_empty());
        pair.ours = pair.ours.heard_of(u32::try_from(number).unwrap());
    }
    assert_eq!(format!("{watch:?}"), "Watch { topics: 1024 }");
    assert!(pair.theirs.topics().all(|topic| watch.candidates(topic).len() == 1));
}

/// One thing the network does to a direction.
#[derive(Clone, Debug)]
enum Trouble {
    /// Another message is sent.
    Send,
    /// One of the messages so far arrives, perhaps again.
    Deliver(prop::sample::Index),
    /// One arrives with a bit turned.
    Damage(prop::sample::Index, prop::sample::Index, u8),
    /// One arrives under another one's topic.
    Misplace(prop::sample::Index, prop::sample::Index),
    /// The recipient restarts from what it stored.
    Restart,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => Just(Trouble::Send),
        4 => index().prop_map(Trouble::Deliver),
        1 => (index(), index(), 0..8_u8).prop_map(|(a, b, bit)| Trouble::Damage(a, b, bit)),
        1 => (index(), index()).prop_map(|(a, b)| Trouble::Misplace(a, b)),
        1 => Just(Trouble::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_network_does_each_message_opens_exactly_once_and_the_watch_agrees(
        seed in any::<u64>(),
        troubles in proptest::collection::vec(trouble(), 1..60),
    ) {
        let mut pair = Pair::new(seed);
        let mut watch = Watch::new();
        watch.add(&pair.theirs);
        let mut sent: Vec<Sealed> = Vec::new();
        let mut opened = BTreeSet::new();
        for trouble in troubles {
            let before = pair.theirs.clone();
            match trouble {
                Trouble::Send => {
                    let number = sent.len() as u64;
                    let sealed = pair.say(&text(number));
                    sent.push(sealed);
                }
                Trouble::Deliver(which) if !sent.is_empty() => {
                    let which = which.index(sent.len());
                    let heard = pair.hear(&sent[which]);
                    let expected = opened.insert(which).then(|| text(which as u64));
                    prop_assert_eq!(heard, expected);
                }
                Trouble::Damage(which, at, bit) if !sent.is_empty() => {
                    let mut damaged = sent[which.index(sent.len())].clone();
                    damaged.body[at.index(BODY_SIZE)] ^= 1_u8 << bit;
                    prop_assert_eq!(pair.hear(&damaged), None);
                    prop_assert_eq!(&pair.theirs, &before);
                }
                Trouble::Misplace(one, two) if !sent.is_empty() => {
                    let (one, two) = (&sent[one.index(sent.len())], &sent[two.index(sent.len())]);
                    prop_assume!(one.topic != two.topic);
                    let misplaced = Sealed { topic: one.topic, body: two.body.clone() };
                    prop_assert_eq!(pair.hear(&misplaced), None);
                    prop_assert_eq!(&pair.theirs, &before);
                }
                Trouble::Restart => {
                    let bytes = serde_json::to_vec(&pair.theirs).unwrap();
                    let read: Session = serde_json::from_slice(&bytes).unwrap();
                    prop_assert_eq!(&read, &pair.theirs);
                    pair.theirs = read;
                }
                Trouble::Deliver(_) | Trouble::Damage(..) | Trouble::Misplace(..) => {}
            }
            watch.update(&before, &pair.theirs);
        }
        // The watch, which was only told of changes, knows what a watch from nothing knows.
        let topics: BTreeSet<Topic> = pair.theirs.topics().collect();
        for &topic in &topics {
            prop_assert_eq!(watch.candidates(topic), vec![pair.theirs.id()]);
        }
        prop_assert_eq!(format!("{watch:?}"), format!("Watch {{ topics: {} }}", topics.len()));
        for (which, sealed) in sent.iter().enumerate() {
            let waits = topics.contains(&sealed.topic);
            prop_assert_eq!(waits, !opened.contains(&which), "message {}", which);
        }
        watch.remove(&pair.theirs);
        prop_assert_eq!(format!("{watch:?}"), "Watch { topics: 0 }");
    }

    #[test]
    fn opening_anything_never_panics_and_changes_nothing(
        seed in any::<u64>(),
        body in proptest::collection::vec(any::<u8>(), 0..100),
        length in prop_oneof![Just(BODY_SIZE), 0..BODY_SIZE + 2],
    ) {
        let pair = Pair::new(seed);
        let mut body = body;
        body.resize(length, 3);
        let topic = pair.theirs.topics().next().unwrap();
        prop_assert!(pair.theirs.decrypt(NOW, topic, &body).is_none());
        let own = Identity::generate(&mut Seeded::new(seed).turn());
        prop_assert!(ReceivedOffer::open(&own, &body).is_none());
    }

    #[test]
    fn any_other_byte_in_an_offers_letter_is_refused(
        at in any::<prop::sample::Index>(),
        turn in 1_u8..,
    ) {
        let (mut seeded, a, b) = people(25);
        let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public());
        let mut letter = letter(&offer.seal(&mut seeded.turn()), &b);
        let whole = reseal(&mut seeded, &b.public(), &letter);
        prop_assert!(ReceivedOffer::open(&b, &whole).is_some());
        // Half of the cases in the fields, half in the padding, which is much longer.
        let at = if turn % 2 == 0 { at.index(182) } else { at.index(letter.len()) };
        letter[at] ^= turn;
        let body = reseal(&mut seeded, &b.public(), &letter);
        prop_assert!(ReceivedOffer::open(&b, &body).is_none());
    }
}
