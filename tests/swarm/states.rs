//! What a person is told of their own messages is true, whatever becomes of them.

use std::collections::BTreeMap;

use undertone::engine::command::{Command, CommandError};
use undertone::engine::conversation::{MAX_TRANSMISSIONS, SEND_WINDOW};
use undertone::engine::env::Millis;
use undertone::engine::envelope::{EnvelopeId, Lifetime};
use undertone::engine::id::{ContactId, MessageId};
use undertone::engine::record::{
    ContactState, EnvelopePurpose, MessageState, RETRANSMIT_FOR, Record, StoredDirection,
};
use undertone::sim::StartingDisk;
use undertone::sim::link::Links;

use crate::harness::{Town, seeds};
use crate::mailbox::{Letter, Post};

const DAY: u64 = 86_400;
const YEAR: i64 = 366 * 86_400;

fn becomes(town: &mut Town, who: usize, message: MessageId, state: MessageState, seconds: u64) {
    let node = town.people[who].node;
    let reached = town
        .world
        .run_until(Millis::from_secs(seconds), |world| world.seen(node).states[&message] == state);
    assert!(reached, "still {:?} and not {state:?}", town.state(who, message));
}

/// Cuts somebody off until the envelopes of a message are expired, for every clock: as long as there
/// is a neighbour another is sent before the last one expires.
fn expires(post: &mut Post, who: usize, message: MessageId) {
    let node = post.node(who);
    post.town.world.partition(&[node]);
    becomes(&mut post.town, who, message, MessageState::Unacknowledged, DAY);
    post.pass(Millis::from_secs(300));
}

/// When each envelope with this message left first.
fn attempts(town: &Town, who: usize, message: MessageId) -> Vec<Millis> {
    let mut first: BTreeMap<EnvelopeId, Millis> = BTreeMap::new();
    for sent in town.world.machine(town.people[who].node).sent() {
        if matches!(sent.purpose, EnvelopePurpose::Message(_, id) if id == message) {
            first.entry(sent.id).or_insert(sent.at);
        }
    }
    let mut times: Vec<Millis> = first.into_values().collect();
    times.sort_unstable();
    times
}

#[test]
fn a_message_leaves_a_trail() {
    let (mut post, [a, _]) = Post::introduced(80);
    let message = post.town.say(0, a, "where have you been");
    post.pass(Millis::from_secs(60));
    let delivery = post.town.message(0, message).expect("kept").delivery;
    let left = attempts(&post.town, 0, message);
    let wall = |at: Millis| {
        Some(
            undertone::sim::EPOCH
                .plus(undertone::engine::env::Seconds(u32::try_from(at.0 / 1_000).expect("soon"))),
        )
    };
    assert!(left.len() > 2, "{left:?}");
    assert_eq!(delivery.attempts as usize, left.len());
    assert_eq!(
        (delivery.first_sent, delivery.last_sent),
        (wall(left[0]), wall(left[left.len() - 1]))
    );
    assert_eq!((delivery.delivered, delivery.read), (None, None));
    post.exchange(Millis::from_secs(60));
    let delivery = post.town.message(0, message).expect("kept").delivery;
    assert!(delivery.delivered > delivery.last_sent, "{delivery:?}");
    post.town.assert_sound();
}

#[test]
fn a_message_with_expired_envelopes_becomes_unacknowledged_and_a_late_acknowledgement_counts() {
    let (mut post, [a, _]) = Post::introduced(81);
    post.take(1);
    let message = post.town.say_for(0, a, "are you still there", Lifetime::SixHours);
    post.pass(Millis(1_500));
    let letter = post.take(0).remove(0);
    post.hand(1, &letter.bytes);
    post.pass(Millis::from_secs(7));
    let answer = post.take(1).remove(0);
    expires(&mut post, 0, message);
    let record = post.town.message(0, message).expect("kept");
    assert_eq!(record.direction, StoredDirection::Outgoing(MessageState::Unacknowledged));
    let gone = post.town.world.wall().0 - record.delivery.last_sent.expect("it left").0;
    // Two minutes, its life, up to an hour, and five minutes.
    assert!((22_020..=25_630).contains(&gone), "{gone} s after the last envelope left");
    post.hand(0, &answer.bytes);
    assert_eq!(post.town.state(0, message), MessageState::Delivered);
    post.town.assert_sound();
}

#[test]
fn an_unacknowledged_message_is_sent_again_with_the_next_neighbour_retried_or_not_and_shown_once() {
    for asked in [false, true] {
        let (mut post, [a, _]) = Post::introduced(82);
        let message = post.town.say_for(0, a, "once is enough", Lifetime::SixHours);
        post.pass(Millis(1_500));
        let first = post.take(0).remove(0);
        post.hand(1, &first.bytes);
        expires(&mut post, 0, message);
        let before = attempts(&post.town, 0, message).len();
        post.take(0);
        if asked {
            post.town.ask(0, Command::Retry { message });
        }
        post.town.world.heal();
        becomes(&mut post.town, 0, message, MessageState::Sent, DAY);
        assert_eq!(attempts(&post.town, 0, message).len(), before + 1);
        let again = post.take(0).into_iter().find(|letter| letter.carries(message));
        let again = again.expect("it left again");
        assert_ne!(again.bytes, first.bytes);
        post.hand(1, &again.bytes);
        post.exchange(Millis::from_secs(20));
        assert_eq!(post.town.state(0, message), MessageState::Delivered);
        assert_eq!(post.town.heard(1), ["once is enough"]);
        post.town.assert_sound();
    }
}

#[test]
fn a_message_is_sent_less_and_less_often_and_never_after_thirty_days() {
    for lifetime in Lifetime::ALL {
        let (mut post, [a, _]) = Post::introduced(83);
        let message = post.town.say_for(0, a, "nobody is there", lifetime);
        post.pass(Millis::from_secs(u64::from(RETRANSMIT_FOR.0) + 20 * DAY));
        let left = attempts(&post.town, 0, message);
        let record = post.town.message(0, message).expect("kept");
        assert_eq!(record.delivery.attempts as usize, left.len());
        assert!(
            left.len() > 10 && record.delivery.attempts <= MAX_TRANSMISSIONS,
            "{lifetime:?}: {}",
            left.len()
        );
        let last = left[left.len() - 1].0 - left[0].0;
        assert!(last <= u64::from(RETRANSMIT_FOR.0) * 1_000, "{lifetime:?}");
        // Given up: it says so, and its number is free.
        assert_eq!(post.town.state(0, message), MessageState::Unacknowledged);
        assert_eq!(record.number, None, "{lifetime:?}");
        post.town.assert_sound();
    }
}

#[test]
fn no_restart_begins_the_schedule_anew() {
    seeds(5, |seed| {
        let (mut post, [a, _]) = Post::introduced(seed);
        let message = post.town.say(0, a, "said before all those restarts");
        let node = post.node(0);
        for _ in 0..200 {
            post.pass(Millis::from_secs(3_600));
            post.town.world.start_over(node);
        }
        let left = attempts(&post.town, 0, message);
        let waits: Vec<u64> = left.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(left.len() <= 60, "{}", left.len());
        // Trails count in seconds.
        assert!(waits.iter().all(|&wait| wait > 7_000), "{waits:?}");
        let attempts = post.town.message(0, message).expect("kept").delivery.attempts;
        assert_eq!(attempts as usize, left.len());
        // Quick restarts do not make it quicker.
        for _ in 0..50 {
            post.pass(Millis::from_secs(2));
            post.town.world.start_over(node);
        }
        let quick = self::attempts(&post.town, 0, message).len() - left.len();
        assert!(quick <= 1, "{quick}");
        post.town.assert_sound();
    });
}

#[test]
fn a_clock_that_jumps_brings_neither_a_storm_nor_silence() {
    for jump in [-YEAR * 10, -3_600, 3_600, YEAR * 10] {
        for restarted in [false, true] {
            let mut town = Town::new(84, Links::calm(), 2, 1);
            let (a, _) = town.introduce(0, 1);
            let node = town.people[0].node;
            town.world.set_loss(1_000);
            let messages: Vec<MessageId> =
                (0..10).map(|number| town.say(0, a, &format!("line {number}"))).collect();
            town.world.run_for(Millis::from_secs(600));
            town.world.machine_mut(node).set_skew(jump);
            if restarted {
                town.world.start_over(node);
            }
            let before = town.world.machine(node).sent().len();
            town.world.run_for(Millis::from_secs(300));
            let storm = town.world.machine(node).sent().len() - before;
            assert!(storm <= 60, "{jump}: {storm}");
            town.world.machine_mut(node).set_skew(0);
            if restarted {
                town.world.start_over(node);
            }
            town.world.set_loss(0);
            town.wait(3, "everything", |town| town.all_delivered(0));
            assert_eq!(town.heard(1).len(), 10);
            for message in messages {
                assert_eq!(town.state(0, message), MessageState::Delivered, "{jump}");
            }
            town.assert_sound();
        }
    }
}

/// The first of three never arrives; the others wait for it on the other side.
fn gapped(seed: u64) -> (Post, [ContactId; 2], [MessageId; 3]) {
    let (mut post, contacts) = Post::introduced(seed);
    let lost = post.town.say(0, contacts[0], "this one is lost");
    let rest = ["second", "third"].map(|text| post.town.say(0, contacts[0], text));
    post.exchange_but(Millis::from_secs(30), |letter| letter.carries(lost));
    assert_eq!(post.town.heard(1), [""; 0]);
    for message in rest {
        assert_eq!(post.town.state(0, message), MessageState::Delivered);
    }
    (post, contacts, [lost, rest[0], rest[1]])
}

fn missing(post: &Post, contact: ContactId) -> u64 {
    post.town.world.seen(post.node(1)).missing[&contact]
}

#[test]
fn a_message_given_up_is_shown_as_missing_and_comes_last_when_it_is_retried() {
    let (mut post, [a, b], [lost, ..]) = gapped(85);
    // The conversation goes on, and so does the session.
    let mut lines = vec!["second".to_owned(), "third".to_owned()];
    for day in 0..34 {
        lines.push(format!("day {day}"));
        post.town.say(0, a, &lines[lines.len() - 1]);
        post.exchange_but(Millis::from_secs(30), |letter| letter.carries(lost));
        if day < 30 {
            assert_eq!(missing(&post, b), 1, "day {day}");
            assert_eq!(post.town.heard(1), [""; 0], "day {day}");
        }
        post.pass(Millis::from_secs(DAY - 30));
    }
    post.exchange_but(Millis::from_secs(30), |letter| letter.carries(lost));
    assert_eq!(post.town.heard(1), lines);
    assert_eq!(missing(&post, b), 0);
    let first = post.town.messages(1).into_iter().find(|message| message.text == "second");
    assert_eq!(first.expect("shown").missing, 1, "it will never come");
    assert_eq!(post.town.state(0, lost), MessageState::Unacknowledged);
    // An acknowledgement that covers its old number does not mean it.
    post.exchange(Millis::from_secs(60));
    assert_eq!(post.town.state(0, lost), MessageState::Unacknowledged);

    post.town.ask(0, Command::Retry { message: lost });
    let node = post.node(0);
    post.town.world.start_over(node);
    post.exchange(Millis::from_secs(60));
    assert_eq!(post.town.state(0, lost), MessageState::Delivered);
    lines.push("this one is lost".to_owned());
    assert_eq!(post.town.heard(1), lines);
    post.town.assert_sound();
}

#[test]
fn an_erased_message_keeps_no_later_message_waiting_although_no_new_one_is_written() {
    let (mut post, [_, b], [lost, ..]) = gapped(86);
    assert_eq!(missing(&post, b), 1);
    post.town.ask(0, Command::EraseMessage { message: lost });
    assert_eq!(post.town.message(0, lost), None);
    post.exchange(Millis::from_secs(30));
    assert_eq!(post.town.heard(1), ["second", "third"]);
    assert_eq!(missing(&post, b), 0);
    // None of its envelopes is left to be sent.
    let left = attempts(&post.town, 0, lost).len();
    post.pass(Millis::from_secs(DAY));
    assert_eq!(attempts(&post.town, 0, lost).len(), left);
    post.town.assert_sound();
}

#[test]
fn the_notice_of_an_erased_message_is_sent_again_when_the_first_one_was_lost() {
    let (mut post, _, [lost, ..]) = gapped(87);
    post.town.ask(0, Command::EraseMessage { message: lost });
    // Until the other side asks again.
    post.pass(Millis::from_secs(5));
    let told = post.take(0);
    assert!(told.iter().any(|letter| matches!(letter.purpose, EnvelopePurpose::Control(_))));
    assert_eq!(post.town.heard(1), [""; 0]);
    post.exchange(Millis::from_secs(120));
    assert_eq!(post.town.heard(1), ["second", "third"]);
    post.town.assert_sound();
}

#[test]
fn a_message_erased_before_it_was_sent_is_never_sent() {
    for (delay, state) in [(None, MessageState::Queued), (Some(10), MessageState::Mining)] {
        let (mut post, [a, _]) = Post::introduced(88);
        let before = post.town.say(0, a, "before it");
        post.exchange(Millis::from_secs(10));
        let message = match delay {
            // Behind another one that is being mined.
            None => {
                post.town.say(0, a, "in front of it");
                post.town.say(0, a, "never mind")
            }
            Some(_) => post.town.say(0, a, "never mind"),
        };
        let told = post.town.state(0, message);
        assert_eq!(told, state);
        post.town.ask(0, Command::EraseMessage { message });
        post.town.say(0, a, "after it");
        post.exchange(Millis::from_secs(60));
        assert_eq!(attempts(&post.town, 0, message), []);
        assert_eq!(post.town.message(0, message), None);
        assert_eq!(post.town.state(0, before), MessageState::Delivered);
        let heard = post.town.heard(1);
        assert!(
            heard.ends_with(&["after it".to_owned()]) && !heard.contains(&"never mind".to_owned())
        );
        assert!(post.town.messages(1).iter().all(|message| message.missing == 0), "no gap is left");
        post.town.assert_sound();
    }
}

#[test]
fn a_message_of_a_contact_can_be_erased_once_it_is_shown() {
    let (mut post, _, [lost, ..]) = gapped(89);
    let held = post.town.messages(1).remove(0).id;
    let node = post.node(1);
    let refused = post.town.world.ask(node, Command::EraseMessage { message: held });
    assert_eq!(refused, Err(CommandError::TooLate));
    post.town.ask(0, Command::EraseMessage { message: lost });
    post.exchange(Millis::from_secs(30));
    post.town.ask(1, Command::EraseMessage { message: held });
    assert_eq!(post.town.message(1, held), None);
    post.town.world.start_over(node);
    assert_eq!(post.town.heard(1).len(), 1);
}

#[test]
fn a_full_window_of_unacknowledged_messages_does_not_end_the_conversation() {
    let (mut post, [a, _]) = Post::introduced(90);
    let count = usize::try_from(SEND_WINDOW).expect("small") + 6;
    let said: Vec<MessageId> =
        (0..count).map(|number| post.town.say(0, a, &format!("line {number}"))).collect();
    post.pass(Millis::from_secs(900));
    let waiting = |post: &Post| {
        let queued = |id: &&MessageId| post.town.state(0, **id) == MessageState::Queued;
        said.iter().filter(queued).count()
    };
    assert_eq!(waiting(&post), 6);
    post.town.ask(0, Command::EraseMessage { message: said[0] });
    post.pass(Millis::from_secs(20));
    assert_eq!(
        said[1..].iter().filter(|id| post.town.state(0, **id) == MessageState::Queued).count(),
        5
    );
}

#[test]
fn cancelling_a_message_while_it_is_mined_stops_the_search_and_sends_no_envelope() {
    let mut town = Town::new(91, Links::calm(), 2, 1);
    let (a, _) = town.introduce(0, 1);
    town.world.run_for(Millis::from_secs(600));
    let node = town.people[0].node;
    let before = town.world.machine(node).sent().len();
    let message = town.say(0, a, "on second thoughts");
    assert_eq!(town.state(0, message), MessageState::Mining);
    assert!(town.world.machine(node).is_mining());
    town.ask(0, Command::Cancel { message });
    assert!(!town.world.machine(node).is_mining(), "the miner was told to stop");
    assert_eq!(town.state(0, message), MessageState::Cancelled);
    town.world.run_for(Millis::from_secs(DAY));
    assert_eq!(town.world.machine(node).sent().len(), before);
    assert_eq!(town.heard(1), [""; 0]);
    let record = town.message(0, message).expect("kept");
    assert_eq!((record.number, record.delivery.attempts), (None, 0));
    town.ask(0, Command::Retry { message });
    town.wait(1, "the retry", |town| town.all_delivered(0));
    assert_eq!(town.heard(1), ["on second thoughts"]);
    town.assert_sound();
}

#[test]
fn a_crash_while_a_message_is_cancelled_or_its_contact_blocked_gives_no_number_to_two_messages() {
    for block in [false, true] {
        for outputs in 0.. {
            let mut town = Town::new(91, Links::calm(), 2, 1);
            let (contact, _) = town.introduce(0, 1);
            town.world.run_for(Millis::from_secs(600));
            let node = town.people[0].node;
            let message = town.say(0, contact, "on second thoughts");
            assert_eq!(town.state(0, message), MessageState::Mining);
            town.world.machine_mut(node).crash_after(outputs, Millis::from_secs(1));
            let command =
                if block { Command::Block { contact } } else { Command::Cancel { message } };
            let outlived = town.world.ask(node, command).is_ok();
            town.world.run_for(Millis::from_secs(5));
            if block {
                town.ask(0, Command::Unblock { contact });
            }
            let later = ["second", "third", "fourth"].map(|text| town.say(0, contact, text));
            town.world.run_for(Millis::from_secs(DAY));
            let at = format!("block {block}, died after {outputs} outputs");
            let state = town.state(0, message);
            let mut expected = vec!["second", "third", "fourth"];
            match state {
                MessageState::Delivered => expected.insert(0, "on second thoughts"),
                MessageState::Cancelled | MessageState::Failed => {}
                _ => panic!("{state:?} for good: {at}"),
            }
            assert_eq!(town.heard(1), expected, "{at}");
            let mut numbers: Vec<u64> = later
                .into_iter()
                .chain([message])
                .filter_map(|message| town.message(0, message).expect("kept").number)
                .collect();
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), count, "{at}");
            town.assert_sound();
            if outlived {
                assert!(outputs > 1, "the command makes outputs to die after");
                break;
            }
        }
    }
}

#[test]
fn a_message_retried_after_an_unblock_is_sent_although_no_new_one_is_written() {
    let mut town = Town::new(92, Links::calm(), 2, 1);
    let (contact, _) = town.introduce(0, 1);
    town.world.run_for(Millis::from_secs(600));
    let failed = town.say(0, contact, "failed when its contact was blocked");
    town.ask(0, Command::Block { contact });
    assert_eq!(town.state(0, failed), MessageState::Failed);
    town.ask(0, Command::Unblock { contact });
    town.ask(0, Command::Retry { message: failed });
    town.wait(1, "the retry", |town| town.all_delivered(0));
    assert_eq!(town.heard(1), ["failed when its contact was blocked"]);
    town.assert_sound();
}

#[test]
fn an_expired_message_retried_after_a_close_is_sent_although_no_new_one_is_written() {
    let mut town = Town::new(93, Links::calm(), 2, 1);
    let (contact, _) = town.introduce(0, 1);
    town.world.run_for(Millis::from_secs(600));
    town.world.partition(&[town.people[1].node]);
    let message = town.say_for(0, contact, "expired before the close", Lifetime::SixHours);
    town.world.run_for(Millis::from_secs(60));
    town.world.partition(&[town.people[0].node]);
    town.wait(1, "its expiry", |town| town.state(0, message) == MessageState::Unacknowledged);
    town.ask(0, Command::CloseSession { contact });
    town.world.heal();
    town.world.run_for(Millis::from_secs(DAY));
    assert_eq!(town.heard(1), [""; 0], "closed by a person, so nothing offers a session");
    town.ask(0, Command::Retry { message });
    town.wait(1, "the retry", |town| town.all_delivered(0));
    assert_eq!(town.heard(1), ["expired before the close"]);
    town.assert_sound();
}

#[test]
fn a_crash_while_a_contact_is_blocked_leaves_it_blocked_and_all_failed_or_neither() {
    for outputs in 0.. {
        let mut town = Town::new(94, Links::calm(), 2, 1);
        let (contact, _) = town.introduce(0, 1);
        town.world.run_for(Millis::from_secs(600));
        let node = town.people[0].node;
        town.world.partition(&[node]);
        let said: Vec<MessageId> =
            (0..5).map(|line| town.say(0, contact, &format!("line {line}"))).collect();
        town.world.machine_mut(node).crash_after(outputs, Millis::from_secs(1));
        let outlived = town.world.ask(node, Command::Block { contact }).is_ok();
        town.world.run_for(Millis::from_secs(5));
        let blocked = town.world.machine(node).records().any(|record| {
            matches!(record, Record::Contact(stored) if stored.state == ContactState::Blocked)
        });
        let failed = said.iter().filter(|id| town.state(0, **id) == MessageState::Failed).count();
        let expected = if blocked { said.len() } else { 0 };
        assert_eq!(failed, expected, "died after {outputs} outputs, blocked: {blocked}");
        town.assert_sound();
        if outlived {
            assert!(blocked && outputs > 1);
            return;
        }
    }
}

#[test]
fn no_state_is_better_than_the_truth_after_a_restart() {
    let (mut post, [a, _]) = Post::introduced(92);
    let mined = post.town.say(0, a, "mined");
    let node = post.node(0);
    post.town.world.start_over(node);
    assert_eq!(post.town.state(0, mined), MessageState::Mining);
    post.exchange(Millis::from_secs(60));
    let sent = post.town.say_for(0, a, "sent", Lifetime::SixHours);
    post.pass(Millis::from_secs(5));
    post.town.world.start_over(node);
    assert_eq!(post.town.state(0, sent), MessageState::Sent);
    expires(&mut post, 0, sent);
    post.town.world.start_over(node);
    assert_eq!(post.town.state(0, sent), MessageState::Unacknowledged);
    post.town.world.heal();
    // It was off while the last envelope expired, and knows at once.
    let copy = {
        becomes(&mut post.town, 0, sent, MessageState::Sent, DAY);
        post.town.world.machine(node).copy_disk()
    };
    post.pass(Millis::from_secs(DAY));
    post.town.world.start_from(node, StartingDisk::Copy(copy));
    assert_eq!(post.town.state(0, sent), MessageState::Sent);
    post.pass(Millis(1));
    assert_eq!(post.town.state(0, sent), MessageState::Unacknowledged);
    post.exchange(Millis::from_secs(600));
    assert!(post.town.all_delivered(0));
    post.town.assert_sound();
}

#[test]
fn strangers_and_blocked_contacts_get_no_acknowledgement() {
    let controls = |letters: &[Letter]| {
        letters
            .iter()
            .filter(|letter| matches!(letter.purpose, EnvelopePurpose::Control(_)))
            .count()
    };
    // A stranger.
    let mut post = Post::new(93);
    let a = post.town.add(0, 1);
    post.town.say(0, a, "let me in");
    post.exchange(Millis::from_secs(300));
    assert_eq!(post.published(1), 0);
    // A contact, blocked while what it said is to be acknowledged.
    let (mut post, [a, b]) = Post::introduced(94);
    post.take(1);
    post.town.say(0, a, "hello");
    post.pass(Millis(1_500));
    let letter = post.take(0).remove(0);
    post.hand(1, &letter.bytes);
    assert_eq!(post.town.heard(1), ["hello"]);
    post.town.ask(1, Command::Block { contact: b });
    post.pass(Millis::from_secs(600));
    assert_eq!(controls(&post.take(1)), 0);
}

#[test]
fn a_message_that_may_have_left_before_a_crash_is_sent_again_after_it_expired() {
    let mut found = 0;
    for outputs in 0..12 {
        let (mut post, [a, _]) = Post::introduced(95);
        let node = post.node(0);
        let message = post.town.say_for(0, a, "out of time", Lifetime::SixHours);
        post.town.world.machine_mut(node).crash_after(outputs, Millis::from_secs(DAY));
        post.pass(Millis::from_secs(3_600));
        let down = post.town.world.node(node).is_none();
        let mining = post.town.message(0, message).expect("kept").direction
            == StoredDirection::Outgoing(MessageState::Mining);
        found += usize::from(down && mining && !attempts(&post.town, 0, message).is_empty());
        post.pass(Millis::from_secs(DAY));
        for _ in 0..72 {
            if post.town.state(0, message) == MessageState::Delivered {
                break;
            }
            post.exchange(Millis::from_secs(600));
        }
        assert_eq!(post.town.state(0, message), MessageState::Delivered, "{outputs}");
        assert_eq!(post.town.heard(1), ["out of time"]);
        post.town.assert_sound();
    }
    assert!(found > 0, "no crash came between the publishing and its note");
}
