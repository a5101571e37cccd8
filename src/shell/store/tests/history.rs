//! Conversations in pages, read marks, neighbours and settings.

use super::*;
use crate::engine::id::MessageId;
use crate::engine::record::{MessageRecord, MessageState, Record, StoredDirection};
use crate::shell::store::tests::fixtures::{contact, held, ours, theirs};

#[test]
fn history_comes_in_pages_of_one_conversation_with_the_newest_at_the_end() {
    let mut store = Store::in_memory().unwrap();
    for id in 1..=10 {
        store.commit(&puts(&[theirs(id, 7, "hi"), ours(id + 100, 8, MessageState::Sent)])).unwrap();
    }
    let page = |before: Option<u64>, limit| {
        ids(&store.messages().page(ContactId(7), before.map(MessageId), limit).unwrap())
    };
    assert_eq!(page(None, 3), [8, 9, 10]);
    assert_eq!(page(Some(8), 3), [5, 6, 7]);
    assert_eq!(page(Some(2), 3), [1]);
    assert!(page(Some(1), 3).is_empty());
    assert!(page(Some(999), 3).is_empty());
    assert!(page(None, 0).is_empty());
    assert_eq!(page(None, usize::MAX).len(), 10);
    assert_eq!(store.messages().page(ContactId(9), None, 3).unwrap(), []);
}

#[test]
fn history_is_read_forwards_in_pages_from_its_beginning_and_from_any_message() {
    let mut store = Store::in_memory().unwrap();
    for id in 1..=10 {
        store.commit(&puts(&[theirs(id, 7, "hi"), ours(id + 100, 8, MessageState::Sent)])).unwrap();
    }
    store.commit(&puts(&[held(11, 7)])).unwrap();
    let page = |after: Option<u64>, limit| {
        ids(&store.messages().page_after(ContactId(7), after.map(MessageId), limit).unwrap())
    };
    assert_eq!(page(None, 3), [1, 2, 3]);
    assert_eq!(page(Some(3), 3), [4, 5, 6]);
    assert_eq!(page(Some(9), 3), [10]);
    assert!(page(Some(10), 3).is_empty());
    assert!(page(Some(999), 3).is_empty());
    assert!(page(None, 0).is_empty());
    assert_eq!(page(None, usize::MAX).len(), 10);
}

#[test]
fn a_message_that_changes_keeps_its_place() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[ours(1, 7, MessageState::Queued), theirs(2, 7, "hi")])).unwrap();
    for state in
        [MessageState::Failed, MessageState::Queued, MessageState::Mining, MessageState::Sent]
    {
        store.commit(&puts(&[ours(1, 7, state)])).unwrap();
        assert_eq!(page(&store, 7), [1, 2]);
        let stored = store.messages().get(MessageId(1)).unwrap().unwrap();
        assert_eq!(stored.direction, StoredDirection::Outgoing(state));
    }
}

#[test]
fn a_held_message_is_in_no_page_and_comes_last_when_it_is_shown() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[held(2, 7), theirs(1, 7, "first")])).unwrap();
    assert_eq!(page(&store, 7), [1]);
    assert!(store.messages().get(MessageId(2)).unwrap().is_some());
    store.commit(&puts(&[held(2, 7)])).unwrap();
    store.commit(&puts(&[theirs(2, 7, "waits")])).unwrap();
    assert_eq!(page(&store, 7), [1, 2]);
}

#[test]
fn erasing_a_conversation_erases_all_of_it_and_nothing_else() {
    let mut store = Store::in_memory().unwrap();
    let kept = [contact(7), theirs(4, 8, "other"), held(5, 8)];
    store.commit(&puts(&[theirs(1, 7, "a"), ours(2, 7, MessageState::Sent), held(3, 7)])).unwrap();
    store.commit(&puts(&kept)).unwrap();
    store.commit(&[Change::EraseMessages(ContactId(7))]).unwrap();
    assert!(page(&store, 7).is_empty());
    assert_eq!(store.messages().get(MessageId(3)).unwrap(), None);
    assert_eq!(page(&store, 8), [4]);
    assert_eq!(store.load().unwrap(), [contact(7), held(5, 8)]);
    assert_eq!(unread(&store), [(ContactId(8), 1)]);
}

#[test]
fn unread_counts_the_messages_shown_since_the_conversation_was_read() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[theirs(1, 7, "a"), theirs(2, 8, "b"), held(3, 7)])).unwrap();
    store.commit(&puts(&[ours(4, 7, MessageState::Delivered)])).unwrap();
    assert_eq!(unread(&store), [(ContactId(7), 1), (ContactId(8), 1)]);
    store.mark_read(ContactId(7), MessageId(1)).unwrap();
    store.mark_read(ContactId(9), MessageId(2)).unwrap();
    assert_eq!(unread(&store), [(ContactId(8), 1)]);
    // A message that was held when the rest was read is unread from when it is shown.
    store.commit(&puts(&[theirs(3, 7, "c")])).unwrap();
    assert_eq!(unread(&store), [(ContactId(7), 1), (ContactId(8), 1)]);
    store.commit(&[Change::EraseMessages(ContactId(7))]).unwrap();
    assert_eq!(unread(&store), [(ContactId(8), 1)]);
    // Places are never used twice: a message after an erasure does not count as read.
    store.commit(&puts(&[theirs(5, 7, "d")])).unwrap();
    assert_eq!(unread(&store), [(ContactId(7), 1), (ContactId(8), 1)]);
    store.commit(&[Change::Erase(RecordKey::Contact(ContactId(8)))]).unwrap();
    assert_eq!(unread(&store), [(ContactId(7), 1)]);
}

#[test]
fn messages_after_the_one_that_was_read_stay_unread_and_are_in_no_receipt() {
    let mut store = Store::in_memory().unwrap();
    let numbered = |id, number| {
        let Record::Message(message) = theirs(id, 7, "hi") else { panic!("not a message") };
        Record::Message(MessageRecord { number, ..message })
    };
    let read = |store: &mut Store, id| store.mark_read(ContactId(7), MessageId(id)).unwrap();
    // The second number of an earlier epoch comes between the first two of the latest.
    let shown = [(1, Some(5)), (2, Some(0)), (3, Some(6)), (4, Some(1)), (5, None), (6, Some(2))];
    for (id, number) in shown {
        store.commit(&puts(&[numbered(id, number)])).unwrap();
    }
    assert_eq!(read(&mut store, 1), None, "none of the latest epoch was read");
    assert_eq!(unread(&store), [(ContactId(7), 5)]);
    assert_eq!(read(&mut store, 2), Some(0));
    assert_eq!(read(&mut store, 2), None, "nothing more was read");
    assert_eq!(read(&mut store, 1), None, "reading goes forward alone");
    assert_eq!(read(&mut store, 9), None, "a message that is not there");
    assert_eq!(store.mark_read(ContactId(8), MessageId(4)).unwrap(), None, "not their message");
    assert_eq!(read(&mut store, 3), Some(0), "a number of another epoch");
    assert_eq!(read(&mut store, 4), Some(1));
    assert_eq!(unread(&store), [(ContactId(7), 2)]);
    assert_eq!(read(&mut store, 6), Some(u64::MAX), "all that was shown");
    assert_eq!(unread(&store), []);
}

#[test]
fn neighbours_are_remembered_newest_first_up_to_a_bound() {
    let mut store = Store::in_memory().unwrap();
    for port in 0..MAX_PEERS + 5 {
        store.remember_peers(&[format!("/ip4/192.0.2.1/tcp/{port}")]).unwrap();
    }
    let newest = format!("/ip4/192.0.2.1/tcp/{}", MAX_PEERS + 4);
    assert_eq!(store.peers().unwrap().len(), MAX_PEERS);
    assert_eq!(store.peers().unwrap()[0], newest);
    store.remember_peers(&["/ip4/192.0.2.1/tcp/10".to_owned()]).unwrap();
    assert_eq!(store.peers().unwrap().len(), MAX_PEERS);
    assert_eq!(store.peers().unwrap()[..2], ["/ip4/192.0.2.1/tcp/10", newest.as_str()]);
}

#[test]
fn a_setting_is_the_last_one_set_and_its_length_is_bounded() {
    let mut store = Store::in_memory().unwrap();
    assert_eq!(store.setting("identity").unwrap(), None);
    store.set_setting("identity", "one").unwrap();
    store.set_setting("identity", "two").unwrap();
    let too_long = "x".repeat(MAX_TEXT_BYTES + 1);
    assert!(matches!(store.set_setting("identity", &too_long), Err(StoreError::TooLarge)));
    store.remember_peers(&[too_long]).unwrap();
    assert!(store.peers().unwrap().is_empty(), "left out");
    assert_eq!(store.setting("identity").unwrap().as_deref(), Some("two"));
}

/// What is unread of each contact that wrote; the count of one contact is the same.
fn unread(store: &Store) -> Vec<(ContactId, usize)> {
    let counts = store.messages().unread().unwrap();
    for contact in (0..12).map(ContactId) {
        let of_all = counts.iter().find(|(of, _)| *of == contact).map_or(0, |(_, count)| *count);
        assert_eq!(store.messages().unread_of(contact).unwrap(), of_all as u64);
    }
    counts
}
