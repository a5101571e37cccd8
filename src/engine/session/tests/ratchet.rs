//! Chains and steps: windows, late messages, copies of a state.

use super::*;

#[test]
fn a_message_opens_once() {
    let mut pair = Pair::new(4);
    for number in 0..5 {
        let sealed = pair.say(&text(number));
        assert!(pair.hear(&sealed).is_some());
        assert!(pair.hear(&sealed).is_none());
        assert!(!pair.theirs.session.topics().any(|topic| topic == sealed.topic));
        pair.swap();
    }
}

#[test]
fn a_sender_stops_where_the_recipient_stops_watching() {
    let mut pair = Pair::settled(7);
    let mut last = None;
    for number in 0..u64::from(WINDOW) {
        last = Some(pair.say(&text(number)));
        if number == 0 {
            // The chain the initiator confirmed in goes on.
            continue;
        }
        if pair.ours.session.sending.filled() == WINDOW {
            break;
        }
    }
    let refused = pair.ours.session.encrypt(&mut pair.seeded.turn(), &text(0));
    assert_eq!(refused.unwrap_err(), EncryptError::Exhausted);

    // The last one alone arrives: it opens, and all the others still can.
    assert!(pair.hear(&last.unwrap()).is_some());
    assert_eq!(pair.theirs.session.skipped(), WINDOW as usize - 2);

    // With the next word of the other side a fresh chain begins.
    pair.swap();
    pair.exchange(9);
    assert!(pair.ours.session.encrypt(&mut pair.seeded.turn(), &text(0)).is_ok());
}

#[test]
fn a_side_that_only_acknowledges_never_runs_out_of_window() {
    let mut pair = Pair::narrow(26, 8);
    for number in 0..100 {
        pair.exchange(number);
    }
}

#[test]
fn messages_open_in_any_order_across_steps() {
    let mut pair = Pair::settled(41);
    let mut late = Vec::new();
    for round in 0..4 {
        late.push((round, pair.say(&text(round))));
        late.push((round + 100, pair.say(&text(round + 100))));
        pair.exchange(round + 50);
        pair.exchange(0);
    }
    for (number, sealed) in late.iter().rev() {
        assert_eq!(pair.hear(sealed), Some(text(*number)));
    }
    assert_eq!(pair.theirs.session.skipped(), 0);
}

#[test]
fn a_rolled_back_twin_uses_other_keys_and_only_the_first_of_the_two_opens() {
    let mut pair = Pair::settled(10);
    let one = pair.ours.session.encrypt(&mut pair.seeded.turn(), &text(0)).unwrap();
    let two = pair.ours.session.encrypt(&mut pair.seeded.turn(), &text(1)).unwrap();
    assert_eq!(one.sealed.topic, two.sealed.topic);
    assert!(one.ledger.iter().all(|line| !two.ledger.contains(line)));
    assert!(pair.hear(&two.sealed).is_some());
    assert!(pair.hear(&one.sealed).is_none());
    // Twins that step draw different ratchet keys.
    pair.swap();
    let sealed = pair.say(&text(2));
    let (left, _) = pair.try_hear(&sealed).unwrap();
    let (right, _) = pair.try_hear(&sealed).unwrap();
    assert_ne!(left.own.public(), right.own.public());
}

#[test]
fn a_copied_state_is_worthless_once_the_one_it_was_taken_from_has_stepped_and_was_heard() {
    let mut pair = Pair::settled(42);
    let thief = pair.theirs.session.clone();
    let read = |pair: &mut Pair, sealed: &SealedBody| {
        thief.decrypt(&mut pair.seeded.turn(), &pair.theirs.own, sealed.topic, &sealed.body)
    };
    let sealed = pair.say(&text(0));
    assert!(read(&mut pair, &sealed).is_some(), "the thief reads what the copied keys are for");
    assert!(pair.hear(&sealed).is_some());
    pair.swap();
    for number in 1..4 {
        pair.exchange(number);
    }
    let sealed = pair.say(&text(4));
    assert!(read(&mut pair, &sealed).is_none());
    assert!(pair.hear(&sealed).is_some());
}

#[test]
fn the_keys_of_lost_messages_are_forgotten_when_nothing_can_arrive_for_them() {
    let mut pair = Pair::settled(11);
    let lost = pair.say(&text(0));
    let sealed = pair.say(&text(1));
    assert!(pair.hear(&sealed).is_some());
    assert_eq!(pair.theirs.session.skipped(), 1);
    let late = NOW.plus(MAX_TTL).plus(ONE_DAY);
    assert_eq!(pair.theirs.session.age(late.minus(Seconds(1))), None);
    let aged = pair.theirs.session.age(late).unwrap();
    assert_eq!(aged.skipped(), 0);
    assert!(pair.hear_at(late, &lost).is_some());
    // The next message does the same.
    let sealed = pair.say(&text(2));
    let (next, _) = pair.hear_at(late, &sealed).unwrap();
    assert_eq!(next.skipped(), 0);
    pair.theirs.session = next;
    assert!(pair.hear_at(late, &lost).is_none());
}

#[test]
fn the_keys_of_lost_messages_are_bounded_and_the_oldest_go_first() {
    let mut pair = Pair::settled(12);
    let mut first = None;
    // Each round loses a whole chain but its last message.
    for _ in 0..3 {
        let mut last = None;
        while let Ok(step) = pair.ours.session.encrypt(&mut pair.seeded.turn(), &text(0)) {
            pair.ours.session = step.session;
            first = first.or(Some(step.sealed.clone()));
            last = Some(step.sealed);
        }
        assert!(pair.hear(&last.unwrap()).is_some());
        pair.swap();
        pair.exchange(0);
    }
    assert_eq!(pair.theirs.session.skipped(), MAX_SKIPPED);
    assert!(pair.hear(&first.unwrap()).is_none());
    let rest = pair.theirs.session.without_oldest(MAX_SKIPPED - 1);
    assert_eq!(rest.skipped(), 1);
}

#[test]
fn a_header_that_claims_more_than_a_chain_holds_is_refused() {
    let mut pair = Pair::narrow(43, 8);
    pair.exchange(0);
    pair.exchange(0);
    pair.exchange(0);
    // Whoever holds the keys can write any header; these would make the recipient keep endless
    // keys.
    for before in [9, u32::MAX] {
        let mut liar = pair.ours.session.clone();
        liar.sending.before = before;
        let step = liar.encrypt(&mut pair.seeded.turn(), &text(0)).unwrap();
        assert!(pair.try_hear(&step.sealed).is_none());
    }
    pair.exchange(1);
}

#[test]
fn a_stored_session_goes_on_where_it_was() {
    let mut pair = Pair::settled(13);
    let late = pair.say(&text(0));
    let sealed = pair.say(&text(1));
    assert!(pair.hear(&sealed).is_some());
    let bytes = stored(&pair.theirs.session);
    // Small, since what can be computed is not stored.
    assert!(bytes.len() < 1000, "{}", bytes.len());
    let read = restored(&bytes);
    assert_eq!(read, pair.theirs.session);
    pair.theirs.session = read;
    assert_eq!(pair.hear(&late), Some(text(0)));
    pair.exchange(2);
    pair.exchange(3);
}
