//! How a session begins: both sides at once, what is said before the answer, and who is believed.

use undertone::engine::command::Command;
use undertone::engine::conversation::MAX_SESSIONS;
use undertone::engine::env::Millis;
use undertone::engine::event::SessionStatus;
use undertone::engine::record::EnvelopePurpose;
use undertone::engine::session::{Content, Payload};
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::sim::{PublishedEnvelope, SeededRng, StartingDisk};

use crate::harness::{link, seeds, settings};
use crate::mailbox::{Letter, Post};

const MINUTE: Millis = Millis::from_secs(60);

/// Every order of four things.
fn orders() -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for _ in 0..4 {
        let longer = orders.into_iter().flat_map(|order: Vec<usize>| {
            let rest: Vec<usize> = (0..4).filter(|next| !order.contains(next)).collect();
            rest.into_iter().map(move |next| [order.as_slice(), &[next]].concat())
        });
        orders = longer.collect();
    }
    orders
}

/// The offer and the first message of somebody who speaks before anything was answered.
fn opening(post: &mut Post, who: usize) -> [Letter; 2] {
    let letters = post.take(who);
    let first = |wanted: fn(&Letter) -> bool| {
        letters.iter().find(|letter| wanted(letter)).expect("it was published").clone()
    };
    [first(Letter::is_offer), first(Letter::is_message)]
}

#[test]
fn both_sides_that_start_at_once_settle_on_one_session_in_every_order_of_their_envelopes() {
    let orders = orders();
    assert_eq!(orders.len(), 24);
    for (seed, order) in (0..).zip(&orders) {
        let mut post = Post::new(seed);
        let contacts = [post.town.add(0, 1), post.town.add(1, 0)];
        post.town.say(0, contacts[0], "from the first");
        post.town.say(1, contacts[1], "from the second");
        post.pass(Millis::from_secs(5));
        let [from_first, from_second] = [opening(&mut post, 0), opening(&mut post, 1)];
        let [offer, message] = from_first.map(|letter| (1, letter.bytes));
        let [other_offer, other_message] = from_second.map(|letter| (0, letter.bytes));
        let envelopes = [offer, message, other_offer, other_message];
        for &which in order {
            let (to, bytes) = &envelopes[which];
            post.hand(*to, bytes);
            post.pass(Millis(20));
        }
        post.exchange(MINUTE);
        for (who, line) in [(0, "from the second"), (1, "from the first")] {
            assert_eq!(post.town.heard(who), [line], "{order:?}");
            assert_eq!(
                link(&post.town.world, post.node(who), contacts[who]),
                SessionStatus::Established
            );
        }
        // What they say next is said in one session.
        post.town.say(0, contacts[0], "so there you are");
        post.exchange(MINUTE);
        post.town.say(1, contacts[1], "and there are you");
        post.exchange(MINUTE);
        assert_eq!(post.town.heard(1).len() + post.town.heard(0).len(), 4, "{order:?}");
        assert!(post.preferred(0).is_some(), "{order:?}");
        assert_eq!(post.preferred(0), post.preferred(1), "{order:?}");
        post.town.assert_sound();
    }
}

#[test]
fn a_message_sent_with_an_offer_is_shown_before_the_answer_and_trusted_after_the_confirmation() {
    let (mut post, [a, b]) = Post::introduced(40);
    let command = Command::CloseSession { contact: b };
    post.town.world.ask(post.node(1), command).expect("closed");
    post.exchange(MINUTE);
    post.town.say(0, a, "I come back with this");
    post.pass(Millis::from_secs(5));
    let [offer, message] = opening(&mut post, 0);
    post.hand(1, &offer.bytes);
    post.hand(1, &message.bytes);
    assert_eq!(post.town.heard(1), ["I come back with this"]);
    assert_eq!(post.town.world.seen(post.node(1)).early.len(), 1);
    assert_eq!(post.preferred(0), None, "nothing was answered");
    post.exchange(MINUTE);
    assert!(post.town.world.seen(post.node(1)).early.is_empty());
    assert!(post.preferred(1).is_some());
    post.town.assert_sound();
}

#[test]
fn a_message_of_a_stranger_waits_and_is_shown_when_the_stranger_is_accepted() {
    for order in [[0, 1], [1, 0]] {
        let mut post = Post::new(41);
        let a = post.town.add(0, 1);
        post.town.say(0, a, "you do not know me");
        post.pass(Millis::from_secs(5));
        let opening = opening(&mut post, 0);
        for which in order {
            post.hand(1, &opening[which].bytes);
        }
        post.pass(MINUTE);
        assert!(post.town.heard(1).is_empty());
        assert_eq!(post.town.world.seen(post.node(1)).requests.len(), 1);
        assert_eq!(post.published(1), 0);
        post.town.accept(1);
        assert_eq!(post.town.heard(1), ["you do not know me"]);
        assert_eq!(post.town.world.seen(post.node(1)).early.len(), 1);
        post.exchange(MINUTE);
        assert!(post.town.world.seen(post.node(1)).early.is_empty());
        post.town.assert_sound();
    }
}

/// What somebody says who stole `of`'s key and speaks in the other's name. The thief can compute
/// what the other could, up to the offer: both keys that make it are agreed with the stolen one.
fn forge(post: &mut Post, of: usize, line: &str) -> [Vec<u8>; 2] {
    let wall = post.town.world.wall();
    let (offer, session) = post.offer(1 - of, wall);
    let content = Content::Text(line.to_owned());
    let payload = Payload { epoch: 99, number: Some(0), ack: None, base: 0, content };
    let step = session.encrypt(&mut post.turn(wall), &payload).expect("the first message");
    [offer, post.wrap(&step.sealed)]
}

#[test]
fn a_message_under_a_stolen_key_stays_marked_and_never_takes_a_session_over() {
    let (mut post, [a, b]) = Post::introduced(42);
    let session = post.preferred(1);
    for bytes in forge(&mut post, 1, "I am not who you think") {
        post.hand(1, &bytes);
    }
    assert_eq!(post.town.heard(1), ["I am not who you think"]);
    assert_eq!(post.sessions(1).len(), 2);
    assert_eq!(link(&post.town.world, post.node(1), b), SessionStatus::Established);
    assert_eq!(post.preferred(1), session);
    // The conversation goes on as if nothing had been.
    post.town.say(1, b, "what did you mean by that");
    post.exchange(Millis::from_secs(10));
    assert_eq!(post.town.heard(0), ["what did you mean by that"]);
    post.town.say(0, a, "that was not me");
    post.exchange(MINUTE);
    assert_eq!(post.town.heard(1), ["I am not who you think", "that was not me"]);
    assert_eq!(post.preferred(1), session);
    assert_eq!(post.town.world.seen(post.node(1)).early.len(), 1);
    // The forged session goes with its envelopes; what came in it stays marked.
    post.exchange(Millis::from_secs(10 * 86_400));
    assert_eq!(post.sessions(1).len(), 1);
    assert_eq!(post.town.world.seen(post.node(1)).early.len(), 1);
    post.town.assert_sound();
}

#[test]
fn a_forged_offer_only_delays_a_conversation_that_has_no_session() {
    seeds(10, |seed| {
        let (mut post, [_, b]) = Post::introduced(seed);
        let node = post.node(1);
        post.town.world.start_from(node, StartingDisk::Roster);
        for bytes in forge(&mut post, 1, "I am not who you think") {
            post.hand(1, &bytes);
        }
        // What is said goes into the forged session first: nobody can read it there.
        post.town.say(1, b, "are you there at all");
        post.exchange(Millis::from_secs(3_600));
        assert_eq!(post.town.heard(0), ["are you there at all"]);
        assert_eq!(post.town.world.seen(post.node(1)).early.len(), 1);
        assert_eq!(post.preferred(0), post.preferred(1));
        post.town.assert_sound();
    });
}

#[test]
fn many_forged_offers_do_not_displace_our_own_offer() {
    let mut post = Post::new(44);
    let a = post.town.add(0, 1);
    post.pass(Millis::from_secs(5));
    // Whoever stole the first one's key makes offers to him in the second one's name.
    for _ in 0..20 {
        let [offer, _] = forge(&mut post, 0, "let me in");
        post.hand(0, &offer);
    }
    assert_eq!(post.sessions(0).len(), MAX_SESSIONS);
    post.exchange(MINUTE);
    post.town.accept(1);
    post.exchange(MINUTE);
    assert_eq!(link(&post.town.world, post.node(0), a), SessionStatus::Established);
    post.town.say(0, a, "here I am, and it is me");
    post.exchange(MINUTE);
    assert_eq!(post.town.heard(1), ["here I am, and it is me"]);
    post.town.assert_sound();
}

#[test]
fn answers_to_contacts_come_after_a_delay_that_is_drawn_each_time() {
    const MEAN: Millis = Millis::from_secs(60);
    const COUNT: u64 = 40;
    let mut delays: Vec<u64> = Vec::new();
    for seed in 0..COUNT {
        // An answer belongs to a handshake, which is quicker than other replies.
        let settings =
            NodeSettings { reply_delay: Millis(MEAN.0 / 2 * 5), ..settings(NodeRole::Messenger) };
        assert_eq!(settings.handshake_delay(), MEAN);
        let mut post = Post::with(seed, settings);
        // The second one knows the first, whose offers he does not get.
        post.town.add(0, 1);
        post.town.add(1, 0);
        post.pass(Millis(SeededRng::lane(seed, 1).below(5_000) + 5_000));
        let bytes = post.take(0).first().expect("an offer").bytes.clone();
        let before = post.published(1);
        let handed = post.town.world.now();
        post.hand(1, &bytes);
        let answered = |post: &Post| {
            let sent = &post.town.world.machine(post.node(1)).sent()[before..];
            let control =
                |sent: &&PublishedEnvelope| matches!(sent.purpose, EnvelopePurpose::Control(_));
            sent.iter().find(control).map(|sent| sent.at.0 - handed.0)
        };
        while answered(&post).is_none() {
            post.pass(Millis::from_secs(5));
        }
        delays.extend(answered(&post));
    }
    delays.sort_unstable();
    delays.dedup();
    assert_eq!(delays.len() as u64, COUNT, "no two alike");
    let mean = delays.iter().sum::<u64>() / COUNT;
    assert!((MEAN.0 / 2..MEAN.0 * 2).contains(&mean), "{mean}");
    assert!(delays[0] < MEAN.0 / 3 && delays[delays.len() - 1] > MEAN.0 * 3 / 2, "{delays:?}");
}

#[test]
fn an_offer_that_waited_past_its_time_is_made_afresh() {
    let mut post = Post::new(45);
    let a = post.town.add(0, 1);
    post.town.say(0, a, "you were away for long");
    post.pass(Millis::from_secs(20 * 86_400));
    post.take(0);
    post.exchange(Millis::from_secs(3 * 86_400));
    post.town.accept(1);
    post.exchange(Millis::from_secs(86_400));
    assert_eq!(post.town.heard(1), ["you were away for long"]);
    post.town.assert_sound();
}
