//! The watch: whose a topic is.

use super::*;

#[test]
fn the_watch_knows_whose_a_topic_is_and_forgets_a_session() {
    let mut pair = Pair::new(23);
    let sealed = pair.say(&text(0));
    let session = &pair.theirs.session;
    let mut watch = Watch::default();
    assert!(watch.candidates(sealed.topic).is_empty());
    watch.add(session);
    assert_eq!(watch.candidates(sealed.topic), [session.id()]);
    watch.remove(session);
    assert!(session.topics().all(|topic| watch.candidates(topic).is_empty()));
}

#[test]
fn two_sessions_may_wait_for_one_topic() {
    let mut pair = Pair::new(28);
    let sealed = pair.say(&text(0));
    let session = &pair.theirs.session;
    let twin = Session { id: SessionId([7; 32]), ..session.clone() };
    let mut watch = Watch::new();
    watch.add(session);
    watch.add(&twin);
    let mut both = [session.id(), twin.id()];
    both.sort();
    let mut found = watch.candidates(sealed.topic);
    found.sort();
    assert_eq!(found, both);
    watch.remove(session);
    assert_eq!(watch.candidates(sealed.topic), [twin.id()]);
}

#[test]
fn the_watch_follows_a_session_until_its_sieve_is_made_afresh() {
    let mut pair = Pair::new(24);
    let mut watch = Watch::new();
    watch.add(&pair.theirs.session);
    let mut waits = [watch, Watch::new()];
    waits[1].add(&pair.ours.session);
    for number in 0..12 {
        let sealed = pair.say(&text(number));
        let [theirs, _] = &mut waits;
        assert_eq!(theirs.candidates(sealed.topic), [pair.theirs.session.id()]);
        let before = pair.theirs.session.clone();
        assert!(pair.hear(&sealed).is_some());
        theirs.update(&before, &pair.theirs.session);
        assert!(theirs.candidates(sealed.topic).is_empty());
        pair.swap();
        waits.reverse();
    }
    let [watch, _] = waits;
    let topics: BTreeSet<Topic> = pair.theirs.session.topics().collect();
    assert_eq!(format!("{watch:?}"), format!("Watch {{ topics: {} }}", topics.len()));
    assert!(topics.into_iter().all(|topic| watch.candidates(topic).len() == 1));
}
