//! What is missing is counted, shown and asked for again.

use undertone::engine::conversation::MAX_GAP_REPORTS;
use undertone::engine::env::Millis;
use undertone::engine::id::ContactId;
use undertone::engine::record::MessageState;

use crate::mailbox::Post;

fn missing(post: &Post, contact: ContactId) -> u64 {
    post.town.world.seen(post.node(1)).missing[&contact]
}

#[test]
fn a_gap_is_shown_while_it_is_there() {
    let (mut post, [a, b]) = Post::introduced(100);
    assert_eq!(missing(&post, b), 0);
    let said: Vec<_> =
        (0..5).map(|number| post.town.say(0, a, &format!("line {number}"))).collect();
    let mut kept = Vec::new();
    while post.town.state(0, said[4]) != MessageState::Sent {
        post.pass(Millis(100));
        kept.extend(post.take(0));
    }
    let first = |number: usize| {
        kept.iter().find(|letter| letter.carries(said[number])).expect("it left").bytes.clone()
    };
    for (number, left) in [(4, 4), (1, 3), (0, 2), (3, 1), (2, 0)] {
        post.hand(1, &first(number));
        assert_eq!(missing(&post, b), left, "after line {number}");
    }
    assert_eq!(post.town.heard(1).len(), 5);
    assert!(post.town.messages(1).iter().all(|message| message.missing == 0), "none was given up");
    // Nor is anything missing after a restart, or forgotten to be.
    let node = post.node(1);
    post.town.world.start_over(node);
    assert_eq!(missing(&post, b), 0);
    post.town.assert_sound();
}

#[test]
fn a_gap_is_pointed_out_again_and_again_but_not_for_ever() {
    for restart in [false, true] {
        let (mut post, [a, b]) = Post::introduced(101);
        let lost = post.town.say(0, a, "lost");
        post.town.say(0, a, "found");
        post.pass(Millis::from_secs(4));
        for letter in post.take(0).into_iter().filter(|letter| !letter.carries(lost)) {
            post.hand(1, &letter.bytes);
        }
        assert_eq!(missing(&post, b), 1);
        post.pass(Millis::from_secs(5));
        post.take(1);
        if restart {
            let node = post.node(1);
            post.town.world.start_over(node);
            assert_eq!(missing(&post, b), 1);
        }
        post.pass(Millis::from_secs(86_400));
        let asked = post.take(1);
        assert_eq!(asked.len(), MAX_GAP_REPORTS as usize);

        // One of them is enough: the contact sends at once what it would send much later.
        post.take(0);
        post.hand(0, &asked[asked.len() - 1].bytes);
        post.pass(Millis::from_secs(6));
        let letters = post.take(0);
        assert_eq!(letters.iter().filter(|letter| letter.carries(lost)).count(), 1);
        for letter in letters {
            post.hand(1, &letter.bytes);
        }
        assert_eq!(missing(&post, b), 0);
        assert_eq!(post.town.heard(1), ["lost", "found"]);
        post.exchange(Millis::from_secs(60));
        assert!(post.town.all_delivered(0));
        post.town.assert_sound();
    }
}
