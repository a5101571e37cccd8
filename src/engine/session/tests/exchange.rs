//! Offer, answer, confirmation: what each end knows when, and what a thief or a replay gets.

use super::*;

#[test]
fn both_sides_send_before_and_after_the_handshake_completes() {
    let mut pair = Pair::new(2);
    let (ours, theirs) = (&pair.ours.session, &pair.theirs.session);
    assert_eq!((ours.role(), theirs.role()), (SessionRole::Initiator, SessionRole::Responder));
    assert_eq!((ours.id(), ours.created()), (theirs.id(), theirs.created()));
    for number in 0..8 {
        pair.exchange(number);
    }
    assert!(pair.ours.session.confirmed() && pair.theirs.session.confirmed());
}

#[test]
fn only_an_answer_confirms_to_the_initiator_and_only_its_confirmation_to_the_responder() {
    let mut pair = Pair::new(31);
    assert!(!pair.ours.session.confirmed() && !pair.theirs.session.confirmed());
    pair.exchange(0);
    assert!(!pair.ours.session.confirmed(), "an early message may be the work of a thief");
    pair.exchange(0);
    assert!(pair.ours.session.confirmed() && !pair.theirs.session.confirmed());
    pair.exchange(1);
    assert!(pair.ours.session.confirmed());
}

#[test]
fn both_know_the_same_words_and_only_after_the_confirmation() {
    let mut pair = Pair::new(32);
    pair.exchange(0);
    assert_eq!((pair.ours.session.sas(), pair.theirs.session.sas()), (None, None));
    pair.exchange(0);
    assert!(pair.ours.session.sas().is_some() && pair.theirs.session.sas().is_none());
    pair.exchange(1);
    let words = pair.ours.session.sas().cloned();
    assert!(words.is_some());
    assert_eq!(words.as_ref(), pair.theirs.session.sas());
    for number in 2..6 {
        pair.exchange(number);
    }
    assert_eq!(words.as_ref(), pair.ours.session.sas());
    let other = Pair::settled(33);
    assert_ne!(words.as_ref(), other.ours.session.sas());
}

#[test]
fn any_message_of_the_answers_chain_completes_the_exchange() {
    let mut pair = Pair::new(35);
    pair.swap();
    let answers: Vec<SealedBody> = (0..5).map(|number| pair.say(&text(number))).collect();
    for which in [3, 0, 4, 1, 2] {
        assert_eq!(pair.hear(&answers[which]), Some(text(which as u64)));
        assert!(pair.theirs.session.confirmed());
    }
}

#[test]
fn a_text_too_long_for_the_answer_opens_after_another_brought_it() {
    let mut pair = Pair::new(36);
    pair.swap();
    let long = pair.say(&long_text());
    let answer = pair.say(&text(1));
    let before = pair.theirs.session.clone();
    assert_eq!(pair.hear(&long), None);
    assert_eq!(pair.theirs.session, before);
    assert_eq!(pair.hear(&answer), Some(text(1)));
    assert_eq!(pair.hear(&long), Some(long_text()));
}

#[test]
fn early_messages_open_after_the_confirmation_too() {
    let mut pair = Pair::new(37);
    let early: Vec<SealedBody> = (0..3).map(|number| pair.say(&text(number))).collect();
    pair.swap();
    pair.exchange(9);
    pair.exchange(3);
    pair.swap();
    for which in [2, 0, 1] {
        assert_eq!(pair.hear(&early[which]), Some(text(which as u64)));
        assert_eq!(pair.hear(&early[which]), None);
    }
}

#[test]
fn a_thief_of_the_responders_key_cannot_confirm_an_offer_in_another_name() {
    // The thief of `b`'s key can compute what `a` could up to the offer, but not `a`'s half of the
    // answer.
    let (mut seeded, a, b) = people(38);
    let c = Identity::generate(&mut seeded.turn());
    let (offer, forged) = Offer::new(&mut seeded.turn(), &a, &b.public(), WINDOW);
    let received = ReceivedOffer::open(&b, &offer.seal(&mut seeded.turn()).body).unwrap();
    let theirs = received.accept(&mut seeded.turn(), WINDOW);
    let step = theirs.encrypt(&mut seeded.turn(), &text(0)).unwrap();
    // Everything the session holds, with any identity but `a`'s.
    for thief in [&b, &c] {
        let read = forged.decrypt(&mut seeded.turn(), thief, step.sealed.topic, &step.sealed.body);
        assert!(read.is_none());
    }
    assert!(!theirs.confirmed());
}

#[test]
fn an_offer_accepted_twice_gives_two_answers_with_nothing_in_common() {
    let (mut seeded, a, b) = people(39);
    let (offer, ours) = Offer::new(&mut seeded.turn(), &a, &b.public(), WINDOW);
    let received = ReceivedOffer::open(&b, &offer.seal(&mut seeded.turn()).body).unwrap();
    let steps = [0, 1].map(|_| {
        let session = received.accept(&mut seeded.turn(), WINDOW);
        session.encrypt(&mut seeded.turn(), &text(0)).unwrap()
    });
    let [one, two] = steps;
    assert!(one.ledger.iter().all(|line| !two.ledger.contains(line)));
    let mut env = seeded.turn();
    let (ours, _) = ours.decrypt(&mut env, &a, one.sealed.topic, &one.sealed.body).unwrap();
    assert!(ours.decrypt(&mut env, &a, two.sealed.topic, &two.sealed.body).is_none());
}

#[test]
fn stealing_both_identities_afterwards_opens_no_answer() {
    // What a thief of both identities has of the past: the offer, and what it alone gives. The
    // answer needs the initiator's ephemeral key and its KEM key as well, which this session
    // forgot.
    let mut pair = Pair::new(40);
    pair.swap();
    let answer = pair.say(&text(0));
    assert!(pair.hear(&answer).is_some());
    let bytes = stored(&pair.theirs.session);
    let mut restored = restored(&bytes);
    assert!(
        restored
            .decrypt(&mut pair.seeded.turn(), &pair.theirs.own, answer.topic, &answer.body)
            .is_none()
    );
    // Not even with the state of the exchange put back: the keys are gone from it.
    restored.handshake = HandshakeState::Offered {
        kem: KemSecret::draw(&mut pair.seeded.turn()),
        reveal: Secret::draw(&mut pair.seeded.turn()),
    };
    assert!(
        restored
            .decrypt(&mut pair.seeded.turn(), &pair.theirs.own, answer.topic, &answer.body)
            .is_none()
    );
}
