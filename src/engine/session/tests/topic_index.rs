//! The index: whose a topic is.

use super::*;
use crate::engine::id::ContactId;

const OWNER: ContactId = ContactId(5);

#[test]
fn the_topic_index_finds_the_session_of_a_topic_and_forgets_a_session() {
    let mut pair = Pair::new(23);
    let sealed = pair.say(&text(0));
    let session = &pair.theirs.session;
    let mut index = TopicIndex::default();
    assert!(index.candidates(sealed.topic).is_empty());
    index.add(session, OWNER);
    assert_eq!(index.candidates(sealed.topic), [(OWNER, session.id())]);
    index.remove(session);
    assert!(session.topics().all(|topic| index.candidates(topic).is_empty()));
}

#[test]
fn two_sessions_may_watch_one_topic() {
    let mut pair = Pair::new(28);
    let sealed = pair.say(&text(0));
    let session = &pair.theirs.session;
    let twin = Session { id: SessionId([7; 32]), ..session.clone() };
    let mut index = TopicIndex::new();
    index.add(session, OWNER);
    index.add(&twin, OWNER);
    let mut both = [(OWNER, session.id()), (OWNER, twin.id())];
    both.sort();
    let mut found = index.candidates(sealed.topic);
    found.sort();
    assert_eq!(found, both);
    index.remove(session);
    assert_eq!(index.candidates(sealed.topic), [(OWNER, twin.id())]);
}

#[test]
fn the_topic_index_follows_a_session_until_its_filter_is_rebuilt() {
    let mut pair = Pair::new(24);
    let mut index = TopicIndex::new();
    index.add(&pair.theirs.session, OWNER);
    let mut waits = [index, TopicIndex::new()];
    waits[1].add(&pair.ours.session, OWNER);
    for number in 0..12 {
        let sealed = pair.say(&text(number));
        let [theirs, _] = &mut waits;
        assert_eq!(theirs.candidates(sealed.topic), [(OWNER, pair.theirs.session.id())]);
        let before = pair.theirs.session.clone();
        assert!(pair.hear(&sealed).is_some());
        theirs.update(&before, &pair.theirs.session);
        assert!(theirs.candidates(sealed.topic).is_empty());
        pair.swap();
        waits.reverse();
    }
    let [index, _] = waits;
    let topics: BTreeSet<Topic> = pair.theirs.session.topics().collect();
    assert_eq!(format!("{index:?}"), format!("TopicIndex {{ topics: {} }}", topics.len()));
    assert!(topics.into_iter().all(|topic| index.candidates(topic).len() == 1));
}
