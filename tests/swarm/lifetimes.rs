//! How long envelopes live: a message as long as its writer wants, an answer as long as what it answers.

use undertone::engine::env::Millis;
use undertone::engine::envelope::Lifetime;
use undertone::engine::record::{EnvelopePurpose, MessageState};
use undertone::sim::StartingDisk;

use crate::mailbox::{Letter, Post};

const DAY: u64 = 86_400;

fn acknowledgements(letters: &[Letter]) -> Vec<Lifetime> {
    let controls =
        letters.iter().filter(|letter| matches!(letter.purpose, EnvelopePurpose::Control(_)));
    controls.map(Letter::lifetime).collect()
}

fn messages(letters: &[Letter]) -> Vec<Lifetime> {
    letters.iter().filter(|letter| letter.is_message()).map(Letter::lifetime).collect()
}

/// Says something that lives so long, and hands it over.
fn say_and_hand(post: &mut Post, from: usize, lifetime: Lifetime, text: &str) {
    let contact = post.contact(from);
    let message = post.town.say_for(from, contact, text, lifetime);
    post.pass(Millis(1_500));
    let letters = post.take(from);
    let letter = letters.iter().find(|letter| letter.carries(message)).expect("it left");
    assert_eq!(letter.lifetime(), lifetime);
    post.hand(1 - from, &letter.bytes);
}

#[test]
fn a_message_lives_as_long_as_its_writer_wants_and_its_acknowledgement_at_least_as_long() {
    for (lifetime, answer) in [
        (Lifetime::SixHours, Lifetime::Day),
        (Lifetime::Day, Lifetime::Day),
        (Lifetime::Week, Lifetime::Week),
    ] {
        let (mut post, _) = Post::introduced(70);
        post.take(1);
        say_and_hand(&mut post, 0, lifetime, "how long is this kept");
        post.pass(Millis::from_secs(7));
        assert_eq!(acknowledgements(&post.take(1)), [answer]);
        assert_eq!(post.town.messages(1)[0].postage.lifetime, lifetime, "whoever reads it knows");
        post.town.assert_sound();
    }
}

#[test]
fn an_acknowledgement_of_no_week_long_message_does_not_live_a_week() {
    let (mut post, _) = Post::introduced(71);
    say_and_hand(&mut post, 0, Lifetime::Week, "first");
    post.exchange(Millis::from_secs(7));
    say_and_hand(&mut post, 0, Lifetime::SixHours, "second");
    post.pass(Millis::from_secs(7));
    assert_eq!(acknowledgements(&post.take(1)), [Lifetime::Day]);
}

#[test]
fn a_short_lived_message_does_not_carry_the_only_acknowledgement_of_a_long_lived_one() {
    let (mut post, [_, b]) = Post::introduced(72);
    post.take(1);
    say_and_hand(&mut post, 0, Lifetime::Week, "until next week");
    // It is said before the acknowledgement was due, and would carry it.
    post.town.say_for(1, b, "see you", Lifetime::SixHours);
    post.pass(Millis::from_secs(7));
    let letters = post.take(1);
    assert_eq!(messages(&letters), [Lifetime::SixHours]);
    assert_eq!(acknowledgements(&letters), [Lifetime::Week]);
    // One that lives as long is enough.
    say_and_hand(&mut post, 0, Lifetime::Week, "until then");
    post.town.say_for(1, b, "yes", Lifetime::Week);
    post.pass(Millis::from_secs(7));
    let letters = post.take(1);
    assert!(messages(&letters).contains(&Lifetime::Week));
    assert_eq!(acknowledgements(&letters), []);
}

#[test]
fn an_offer_lives_as_long_as_the_messages_that_wait_for_its_answer() {
    let mut post = Post::new(73);
    let a = post.town.add(0, 1);
    post.pass(Millis::from_secs(5));
    let offers = |letters: &[Letter]| -> Vec<Lifetime> {
        letters.iter().filter(|letter| letter.is_offer()).map(Letter::lifetime).collect()
    };
    assert_eq!(offers(&post.take(0)), [Lifetime::Day]);
    post.town.say_for(0, a, "short", Lifetime::SixHours);
    post.pass(Millis::from_secs(60));
    assert_eq!(offers(&post.take(0)), [Lifetime::Day]);
    post.town.say_for(0, a, "for when you are back", Lifetime::Week);
    post.pass(Millis::from_secs(200));
    let offers = offers(&post.take(0));
    assert!(
        !offers.is_empty() && offers.iter().all(|&lifetime| lifetime == Lifetime::Week),
        "{offers:?}"
    );
}

#[test]
fn a_writer_back_after_days_gets_the_acknowledgement_of_a_message_that_arrived_on_the_sixth() {
    let (mut post, [a, _]) = Post::introduced(74);
    post.take(1);
    let message = post.town.say_for(0, a, "I am off for a while", Lifetime::Week);
    post.pass(Millis(1_500));
    let letter = post.take(0).remove(0);
    let copy = post.town.world.machine(post.node(0)).copy_disk();
    post.pass(Millis::from_secs(6 * DAY));
    post.hand(1, &letter.bytes);
    assert_eq!(post.town.heard(1), ["I am off for a while"]);
    post.pass(Millis::from_secs(10));
    let answers = post.take(1);
    assert_eq!(acknowledgements(&answers), [Lifetime::Week]);
    // Six more days, in which the sender was off.
    post.pass(Millis::from_secs(6 * DAY));
    let node = post.node(0);
    post.town.world.start_from(node, StartingDisk::Copy(copy));
    for answer in answers {
        post.hand(0, &answer.bytes);
    }
    assert_eq!(post.town.state(0, message), MessageState::Delivered);
    post.town.assert_sound();
}
