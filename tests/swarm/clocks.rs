//! Clocks that were wrong for a while: what was dated by them decides nothing once they are right.

use undertone::engine::command::Command;
use undertone::engine::env::Millis;
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, StartingDisk};

use crate::harness::{Town, seeds};
use crate::mailbox::{Letter, Post};
use crate::one_node::own_identity;

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

fn requests(post: &mut Post, who: usize) -> usize {
    // They are stored and shown once a second.
    post.pass(Millis::from_secs(1));
    post.town.world.seen(post.node(who)).requests.len()
}

/// Two people, the second of whom was made by a clock that is so many seconds ahead, and is set right
/// at once.
fn made_by_a_wrong_clock(seed: u64, ahead: i64) -> Post {
    let mut post = Post::new(seed);
    let node = post.node(1);
    let before = Command::DeleteIdentity { identity: post.town.people[1].identity };
    post.town.world.ask(node, before).expect("deleted");
    post.town.world.machine_mut(node).set_skew(ahead);
    let made = post.town.world.identity(node, "by a wrong clock").expect("an identity");
    post.town.world.machine_mut(node).set_skew(0);
    post.town.people[1].identity = made;
    post.town.people[1].key = own_identity(post.town.world.node(node).expect("it is up")).key;
    post
}

#[test]
fn an_identity_that_was_made_by_a_wrong_clock_is_asked_once_and_at_once_when_the_clock_is_right() {
    for ahead in [3 * DAY, 3 * YEAR, -20 * YEAR] {
        for restarts in [0, 1] {
            let mut post = made_by_a_wrong_clock(67, ahead);
            let node = post.node(1);
            if restarts > 0 {
                post.town.world.start_over(node);
            }
            let wall = post.town.world.wall();
            let (offer, _) = post.offer(0, wall);
            post.hand(1, &offer);
            assert_eq!(requests(&mut post, 1), 1, "{ahead}");
            // The date that is still to come opens nothing to replays.
            let request = post.town.world.seen(node).requests[0].id;
            post.town.world.ask(node, Command::DeclineRequest { request }).expect("declined");
            for _ in 0..3 {
                let again = post.again(&offer);
                post.hand(1, &again);
                assert_eq!(requests(&mut post, 1), 0, "{ahead}");
                post.pass(Millis::from_secs(86_400));
            }
            assert_eq!(post.published(1), 0);
            post.town.assert_sound();
        }
    }
}

#[test]
fn a_clock_that_is_wrong_when_a_node_starts_opens_it_to_no_replay() {
    for ahead in [30 * DAY, 3 * YEAR] {
        for restarts in [0, 1] {
            let mut post = Post::new(68);
            post.town.add(0, 1);
            post.pass(Millis::from_secs(5));
            let offer = post.take(0).into_iter().find(Letter::is_offer).expect("an offer").bytes;
            post.hand(1, &offer);
            assert_eq!(requests(&mut post, 1), 1);
            let node = post.node(1);
            let request = post.town.world.seen(node).requests[0].id;
            post.town.world.ask(node, Command::DeclineRequest { request }).expect("declined");
            post.town.world.machine_mut(node).set_skew(ahead);
            post.town.world.start_over(node);
            post.pass(Millis::from_secs(1_800));
            post.town.world.machine_mut(node).set_skew(0);
            if restarts > 0 {
                post.town.world.start_over(node);
            }
            post.pass(Millis::from_secs(1_800));
            let again = post.again(&offer);
            post.hand(1, &again);
            assert_eq!(requests(&mut post, 1), 0, "{ahead}");
            post.town.assert_sound();
        }
    }
}

#[test]
fn a_session_made_by_clocks_that_were_ahead_keeps_nobody_from_one_made_since() {
    seeds(5, |seed| {
        for ahead in [DAY, 3 * DAY, 3 * YEAR] {
            let mut town = Town::new(seed, Links::calm(), 2, 1);
            let all = [NodeIndex(0), town.people[0].node, town.people[1].node];
            for node in all {
                town.world.machine_mut(node).set_skew(ahead);
            }
            let (a, b) = town.introduce(0, 1);
            town.say(0, a, "by wrong clocks");
            town.wait(1, "the first message", |town| town.all_delivered(0));
            for node in all {
                town.world.machine_mut(node).set_skew(0);
                town.world.start_over(node);
            }
            town.world.start_from(town.people[1].node, StartingDisk::WithoutSessions);
            town.say(1, b, "I lost my sessions");
            // Less than a day, after which the date of the first session had come.
            let told = |town: &Town| town.all_delivered(0) && town.all_delivered(1);
            let in_time = |town: &mut Town| {
                for _ in 0..240 {
                    if told(town) {
                        return true;
                    }
                    town.world.run_for(Millis::from_secs(60));
                }
                false
            };
            assert!(in_time(&mut town), "{ahead}: {:?}", town.heard(0));
            town.say(0, a, "and I answer");
            assert!(in_time(&mut town), "{ahead}: {:?}", town.heard(1));
            assert_eq!(town.heard(0), ["I lost my sessions"]);
            assert_eq!(town.heard(1), ["by wrong clocks", "and I answer"]);
            town.assert_sound();
        }
    });
}

/// Whether it is so within an hour.
fn within_an_hour(town: &mut Town, done: impl Fn(&Town) -> bool) -> bool {
    for _ in 0..60 {
        if done(town) {
            return true;
        }
        town.world.run_for(Millis::from_secs(60));
    }
    done(town)
}

#[test]
fn what_was_asked_and_said_under_a_wrong_clock_goes_out_soon_after_it_is_set_right() {
    const HALF_A_DAY: Millis = Millis::from_secs(43_200);
    seeds(3, |seed| {
        for skew in [3 * DAY, -20 * YEAR] {
            let mut town = Town::new(seed, Links::calm(), 3, 1);
            let (a, _) = town.introduce(0, 1);
            town.say(0, a, "by a right clock");
            town.wait(1, "the first message", |town| town.all_delivered(0));
            let [node, other] = [0, 2].map(|who| town.people[who].node);
            town.world.machine_mut(node).set_skew(skew);
            town.add(0, 2);
            town.say(0, a, "by a wrong one");
            town.world.run_for(HALF_A_DAY);
            assert_eq!(town.heard(1), ["by a right clock"]);
            assert!(town.world.seen(other).requests.is_empty());
            // Nobody starts it over.
            town.world.machine_mut(node).set_skew(0);
            let sent = town.world.machine(node).sent().len();
            let is_asked = |town: &Town| !town.world.seen(other).requests.is_empty();
            assert!(
                within_an_hour(&mut town, |town| is_asked(town) && town.all_delivered(0)),
                "{skew}"
            );
            assert_eq!(town.heard(1), ["by a right clock", "by a wrong one"]);
            let storm = town.world.machine(node).sent().len() - sent;
            assert!(storm < 20, "{storm}");
            town.assert_sound();
        }
    });
}
