//! What comes of offers that are old, repeated or not meant for us: nothing that anybody could see.

use undertone::engine::command::Command;
use undertone::engine::crypto::ellswift;
use undertone::engine::env::{Millis, Seconds, UnixSeconds};
use undertone::engine::envelope::wire::{BODY_SIZE, ENVELOPE_SIZE, MAX_TTL, ONE_DAY};
use undertone::engine::envelope::{Envelope, Topic};
use undertone::engine::session::SealedBody;
use undertone::sim::SeededRng;

use crate::mailbox::Post;

const MINUTE: Seconds = Seconds(60);

/// Three days in which nothing may leave somebody's node.
fn assert_silent(post: &mut Post, who: usize) {
    let before = post.published(who);
    post.pass(Millis::from_secs(3 * 86_400));
    assert_eq!(post.published(who), before);
    post.town.assert_sound();
}

fn requests(post: &mut Post, who: usize) -> usize {
    // They are stored and shown once a second.
    post.pass(Millis::from_secs(1));
    post.town.world.seen(post.node(who)).requests.len()
}

/// The first one's offer as it was published.
fn offer(post: &mut Post) -> Vec<u8> {
    let letters = post.take(0);
    letters.into_iter().find(crate::mailbox::Letter::is_offer).expect("an offer").bytes
}

#[test]
fn a_strangers_offer_a_replay_and_garbage_cause_no_envelope() {
    let mut post = Post::new(60);
    let a = post.town.add(0, 1);
    post.town.say(0, a, "let me in, please");
    post.pass(Millis::from_secs(5));
    let letters = post.take(0);
    let mut chance = SeededRng::lane(60, 7);
    for letter in letters {
        post.hand(1, &letter.bytes);
        let again = post.again(&letter.bytes);
        post.hand(1, &again);
        // The same topic over something that does not open, and an offer that was altered.
        let Envelope { topic, data, .. } = Envelope::decode(&letter.bytes).expect("an envelope");
        let mut body = data.to_vec();
        body[700] ^= 1;
        let altered = post.wrap(&SealedBody { topic, body });
        post.hand(1, &altered);
        let mut body = vec![0; BODY_SIZE];
        chance.fill_bytes(&mut body);
        let noise = post.wrap(&SealedBody { topic: Topic(topic.0), body });
        post.hand(1, &noise);
        let mut garbage = vec![0; ENVELOPE_SIZE];
        chance.fill_bytes(&mut garbage);
        post.hand(1, &garbage);
    }
    assert_eq!(requests(&mut post, 1), 1);
    assert_silent(&mut post, 1);
    assert_eq!(post.published(1), 0);
}

#[test]
fn an_envelope_received_again_causes_no_envelope() {
    let (mut post, [a, b]) = Post::introduced(61);
    post.town.say(0, a, "once is enough");
    post.town.say(1, b, "yes, it is");
    let mut all = Vec::new();
    for _ in 0..60 {
        post.pass(Millis::from_secs(1));
        for from in [0, 1] {
            for letter in post.take(from) {
                post.hand(1 - from, &letter.bytes);
                all.push((1 - from, letter.bytes));
            }
        }
    }
    assert!(all.len() >= 4);
    for (to, bytes) in all {
        let again = post.again(&bytes);
        post.hand(to, &again);
    }
    assert_silent(&mut post, 0);
    assert_silent(&mut post, 1);
    assert_eq!((post.town.heard(0).len(), post.town.heard(1).len()), (1, 1));
}

#[test]
fn an_offer_is_not_taken_again_after_a_farewell_a_restart_or_a_refusal() {
    for refuse in [true, false] {
        let mut post = Post::new(62);
        post.town.add(0, 1);
        post.pass(Millis::from_secs(5));
        let offer = offer(&mut post);
        post.hand(1, &offer);
        assert_eq!(requests(&mut post, 1), 1);
        if refuse {
            let request = post.town.world.seen(post.node(1)).requests[0].id;
            let command = Command::DeclineRequest { request };
            post.town.world.ask(post.node(1), command).expect("declined");
        } else {
            let contact = post.town.accept(1);
            post.exchange(Millis::from_secs(60));
            assert!(post.preferred(1).is_some());
            let command = Command::CloseSession { contact };
            post.town.world.ask(post.node(1), command).expect("closed");
            post.exchange(Millis::from_secs(60));
        }
        let node = post.node(1);
        for restarts in [0, 1] {
            if restarts > 0 {
                post.town.world.start_over(node);
            }
            let again = post.again(&offer);
            post.hand(1, &again);
            assert_eq!((requests(&mut post, 1), post.sessions(1).len()), (0, 0));
            assert_silent(&mut post, 1);
        }
    }
}

#[test]
fn an_offer_with_its_point_encoded_in_other_bytes_is_the_same_offer() {
    let mut post = Post::new(63);
    post.town.add(0, 1);
    post.pass(Millis::from_secs(5));
    let bytes = offer(&mut post);
    let Envelope { topic, data, .. } = Envelope::decode(&bytes).expect("an envelope");
    let (point, rest) = data.split_first_chunk().expect("a letter");
    let wall = post.town.world.wall();
    let other_point = ellswift::encode(&mut post.turn(wall), &ellswift::decode(point));
    let body = [&other_point, rest].concat();
    assert_ne!(body, data);
    let other = post.wrap(&SealedBody { topic, body });
    post.hand(1, &other);
    assert_eq!(requests(&mut post, 1), 1, "it opens");
    let request = post.town.world.seen(post.node(1)).requests[0].id;
    let command = Command::DeclineRequest { request };
    post.town.world.ask(post.node(1), command).expect("declined");
    post.hand(1, &bytes);
    assert_eq!(requests(&mut post, 1), 0, "it was seen");
    assert_silent(&mut post, 1);
}

/// How many requests an offer makes that was made at some time, `days` after the identities were.
fn taken(days: u64, made: impl Fn(UnixSeconds) -> UnixSeconds) -> usize {
    let mut post = Post::new(64);
    post.pass(Millis::from_secs(days * 86_400));
    let (offer, _) = post.offer(0, made(post.town.world.wall()));
    post.hand(1, &offer);
    let requests = requests(&mut post, 1);
    assert_silent(&mut post, 1);
    assert_eq!(post.published(1), 0);
    requests
}

#[test]
fn an_offer_is_taken_from_eight_days_ago_to_a_day_ahead() {
    let earliest = |now: UnixSeconds| now.minus(MAX_TTL).minus(ONE_DAY);
    assert_eq!(taken(20, earliest), 1);
    assert_eq!(taken(20, |now| earliest(now).minus(MINUTE)), 0);
    assert_eq!(taken(20, |now| now.plus(ONE_DAY)), 1);
    assert_eq!(taken(20, |now| now.plus(ONE_DAY).plus(MINUTE)), 0);
}

#[test]
fn an_offer_from_before_there_was_an_identity_is_a_replay() {
    let born = |now: UnixSeconds| now.minus(Seconds(2 * 86_400));
    assert_eq!(taken(2, |now| born(now).minus(ONE_DAY).plus(MINUTE)), 1);
    assert_eq!(taken(2, |now| born(now).minus(ONE_DAY).minus(MINUTE)), 0);
}
