//! Commits, one change at a time and at random against a model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::engine::id::MessageId;
use crate::engine::record::{MessageState, StoredDirection};
use crate::shell::store::tests::fixtures::{
    self, contact, held, message, ours, outgoing, seen, theirs,
};

#[test]
fn a_record_replaces_the_one_with_its_key_and_erasing_it_leaves_the_others() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[contact(7), contact(8)])).unwrap();
    let Record::Contact(mut renamed) = contact(7) else { panic!("another kind") };
    renamed.petname = "mirko".to_owned();
    let renamed = Record::Contact(renamed);
    store.commit(&puts(std::slice::from_ref(&renamed))).unwrap();
    assert_eq!(store.load().unwrap(), [renamed, contact(8)]);
    store.commit(&[Change::Erase(contact(7).key()), Change::Erase(seen(1).key())]).unwrap();
    assert_eq!(store.load().unwrap(), [contact(8)]);
}

#[test]
fn changes_take_effect_in_their_order() {
    let mut store = Store::in_memory().unwrap();
    let (put, erase) = (Change::Put(contact(7)), Change::Erase(contact(7).key()));
    store.commit(&[put.clone(), erase.clone()]).unwrap();
    assert_eq!(store.load().unwrap(), []);
    store.commit(&[erase, put]).unwrap();
    assert_eq!(store.load().unwrap(), [contact(7)]);
}

#[test]
fn messages_that_are_history_alone_are_not_loaded() {
    let mut store = Store::in_memory().unwrap();
    for (id, state) in (0..).zip(MessageState::ALL) {
        store.commit(&puts(&[ours(id, 7, state)])).unwrap();
    }
    store.commit(&puts(&[theirs(10, 7, "hi"), held(11, 7)])).unwrap();
    let loaded: Vec<RecordKey> = store.load().unwrap().iter().map(Record::key).collect();
    let open = [0, 1, 2, 4, 5, 6, 11].map(|id| RecordKey::Message(MessageId(id)));
    assert_eq!(loaded, open);
}

#[test]
fn when_one_change_cannot_be_made_none_is() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[contact(7)])).unwrap();
    let too_large = theirs(2, 7, &"x".repeat(MAX_RECORD_BYTES));
    let changes =
        [Change::Erase(contact(7).key()), Change::Put(theirs(1, 7, "hi")), Change::Put(too_large)];
    assert!(matches!(store.commit(&changes), Err(StoreError::TooLarge)));
    assert_eq!(store.load().unwrap(), [contact(7)]);
    assert!(page(&store, 7).is_empty());
}

#[test]
fn a_full_disk_is_reported_and_loses_nothing() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store.commit(&puts(&[contact(7), theirs(1, 7, "before")])).unwrap();
    let pages: i64 = store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    store.connection.pragma_update(None, "max_page_count", pages).unwrap();
    let long = theirs(2, 7, &"x".repeat(100_000));
    let changes = [Change::Erase(contact(7).key()), Change::Put(long.clone())];
    assert!(matches!(store.commit(&changes), Err(StoreError::DiskFull)));
    assert_eq!(store.load().unwrap(), [contact(7)]);
    // When there is room again, the same store goes on.
    store.connection.pragma_update(None, "max_page_count", pages + 1000).unwrap();
    store.commit(&[Change::Put(long)]).unwrap();
    drop(store);
    assert_eq!(page(&home.open().unwrap(), 7), [1, 2]);
}

#[test]
fn wherever_in_a_commit_the_disk_runs_full_none_of_it_is_kept_and_all_before_it_is() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let before = [contact(7), outgoing(1), ours(1, 7, MessageState::Sent)];
    store.commit(&puts(&before)).unwrap();
    let mut changes = vec![Change::Erase(outgoing(1).key())];
    changes.extend((2..40).map(|id| Change::Put(theirs(id, 7, &"x".repeat(1_000)))));
    let mut refused = 0;
    for room in 0.. {
        let pages: i64 =
            store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        store.connection.pragma_update(None, "max_page_count", pages + room).unwrap();
        match store.commit(&changes) {
            Ok(()) => break,
            Err(error) => assert!(matches!(error, StoreError::DiskFull), "{room}: {error:?}"),
        }
        refused += 1;
        assert_eq!(store.load().unwrap(), before, "the same store, {room} pages of room");
        drop(store);
        store = home.open().unwrap();
        assert_eq!(store.load().unwrap(), before, "opened again, {room} pages of room");
    }
    assert!(refused >= 10, "the commit took {refused} pages");
    assert_eq!(page(&store, 7).len(), 39);
    assert!(!store.load().unwrap().contains(&before[1]));
}

#[test]
fn a_database_that_cannot_be_written_is_reported() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store.connection.pragma_update(None, "query_only", 1).unwrap();
    assert!(matches!(store.commit(&puts(&[contact(7)])), Err(StoreError::ReadOnly)));
    assert_eq!(store.load().unwrap(), []);
}

#[test]
fn a_home_that_was_moved_or_removed_while_it_was_used_is_said_to_be_and_takes_nothing() {
    for removed in [false, true] {
        let home = Home::new();
        let mut store = home.open().unwrap();
        store.commit(&puts(&[contact(7)])).unwrap();
        let elsewhere = home.root.path().join("elsewhere");
        if removed {
            fs::remove_dir_all(home.dir()).unwrap();
        } else {
            fs::rename(home.dir(), &elsewhere).unwrap();
        }
        assert!(matches!(store.commit(&puts(&[contact(8)])), Err(StoreError::Moved)));
        assert!(matches!(store.remember_peers(&[]), Err(StoreError::Moved)));
        assert!(matches!(store.set_setting("word", "wren"), Err(StoreError::Moved)));
        assert!(matches!(store.import(), Err(StoreError::Moved)));
        assert!(!home.dir().exists(), "nothing is made in its old place");
        drop(store);
        if !removed {
            let found = Store::open(&elsewhere, &passphrase("right")).unwrap().load().unwrap();
            assert_eq!(found.len(), 1);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(Record),
    Erase(RecordKey),
    EraseMessages(ContactId),
}

fn any_step() -> impl Strategy<Value = Step> {
    // Few ids, so that steps meet.
    let record =
        prop_oneof![
            (0..3_u64).prop_map(contact),
            (0..3_u8).prop_map(seen),
            (0..3_u64).prop_map(outgoing),
            (0..6_u64, fixtures::any_side(), "[a-z]{0,9}")
                .prop_map(|(id, direction, text)| message(id, id % 2, direction, &text)),
        ];
    prop_oneof![
        4 => record.clone().prop_map(Step::Put),
        2 => record.prop_map(|record| Step::Erase(record.key())),
        1 => (0..2_u64).prop_map(|contact| Step::EraseMessages(ContactId(contact))),
    ]
}

#[test]
fn a_message_is_stored_only_in_a_state_that_may_follow_its_last() {
    // Written down once more, apart from the engine: after each state, those it may go to.
    use MessageState::{Cancelled, Delivered, Failed, Mining, Queued, Read, Sent, Unacknowledged};
    let allowed: [(MessageState, &[MessageState]); 8] = [
        (Queued, &[Mining, Cancelled, Failed]),
        (Mining, &[Queued, Sent, Cancelled, Failed]),
        (Sent, &[Delivered, Unacknowledged]),
        (Delivered, &[Read]),
        (Read, &[]),
        (Unacknowledged, &[Delivered, Sent]),
        (Failed, &[Queued]),
        (Cancelled, &[Queued]),
    ];
    for (from, to_these) in allowed {
        for to in MessageState::ALL {
            let mut store = Store::in_memory().unwrap();
            store.commit(&puts(&[ours(1, 7, from)])).unwrap();
            let done = store.commit(&puts(&[contact(7), ours(1, 7, to)]));
            let after = if from == to || to_these.contains(&to) {
                done.unwrap();
                to
            } else {
                assert!(matches!(done, Err(StoreError::Backwards)), "{from:?} to {to:?}");
                assert_eq!(store.load().unwrap().iter().filter(|r| **r == contact(7)).count(), 0);
                from
            };
            let stored = store.messages().get(MessageId(1)).unwrap().unwrap();
            assert_eq!(stored.direction, StoredDirection::Outgoing(after));
        }
    }
}

#[test]
fn a_shown_message_does_not_wait_again_and_its_author_never_changes() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[theirs(1, 7, "hi"), ours(2, 7, MessageState::Sent)])).unwrap();
    for record in [held(1, 7), ours(1, 7, MessageState::Queued), theirs(2, 7, "hi"), held(2, 7)] {
        assert!(matches!(store.commit(&[Change::Put(record)]), Err(StoreError::Backwards)));
    }
    assert_eq!(page(&store, 7), [1, 2]);
}

#[test]
fn a_message_that_was_erased_begins_anew() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&puts(&[ours(1, 7, MessageState::Read)])).unwrap();
    let anew = [
        Change::Erase(RecordKey::Message(MessageId(1))),
        Change::Put(ours(1, 7, MessageState::Queued)),
    ];
    store.commit(&anew).unwrap();
    assert_eq!(store.load().unwrap(), [ours(1, 7, MessageState::Queued)]);
}

/// The expected content of the store: records by key, and messages in the order of their places.
#[derive(Clone, Default)]
struct Model {
    records: BTreeMap<RecordKey, Record>,
    messages: Vec<MessageRecord>,
}

impl Model {
    /// The changes of all steps, or nothing if one of them is refused.
    fn after(&self, steps: &[Step]) -> Option<Self> {
        let mut after = self.clone();
        for step in steps {
            after.apply(step)?;
        }
        Some(after)
    }

    /// Nothing if a message may not go to its new state.
    fn apply(&mut self, step: &Step) -> Option<()> {
        match step {
            Step::Put(Record::Message(message)) => {
                let known = self.messages.iter().position(|known| known.id == message.id);
                let direction =
                    known.map_or(message.direction, |place| self.messages[place].direction);
                if !direction.may_become(message.direction) {
                    return None;
                }
                match known {
                    Some(place) if !is_held(self.messages[place].direction) => {
                        self.messages[place] = message.clone();
                        return Some(());
                    }
                    Some(place) => drop(self.messages.remove(place)),
                    None => {}
                }
                self.messages.push(message.clone());
            }
            Step::Put(record) => drop(self.records.insert(record.key(), record.clone())),
            Step::Erase(RecordKey::Message(id)) => {
                self.messages.retain(|message| message.id != *id)
            }
            Step::Erase(key) => drop(self.records.remove(key)),
            Step::EraseMessages(contact) => {
                self.messages.retain(|message| message.contact != *contact);
            }
        }
        Some(())
    }

    fn load(&self) -> Vec<Record> {
        let open = |message: &&MessageRecord| match message.direction {
            StoredDirection::Buffered { epoch: _ } | StoredDirection::AskedAgain => true,
            StoredDirection::Delivered => false,
            StoredDirection::Outgoing(state) => {
                !matches!(state, MessageState::Delivered | MessageState::Read)
            }
        };
        let messages = self.messages.iter().filter(open).cloned().map(Record::Message);
        self.records.values().cloned().chain(messages).collect()
    }

    fn history(&self, contact: u64) -> Vec<MessageRecord> {
        let shown = |message: &&MessageRecord| {
            message.contact == ContactId(contact) && !is_held(message.direction)
        };
        self.messages.iter().filter(shown).cloned().collect()
    }
}

proptest! {
    #[test]
    fn a_store_holds_the_same_records_as_a_plain_list_of_its_changes(
        batches in prop::collection::vec(prop::collection::vec(any_step(), 0..6), 0..8),
    ) {
        let mut store = Store::in_memory().unwrap();
        let mut model = Model::default();
        for batch in batches {
            let after = model.after(&batch);
            let changes: Vec<Change> = batch
                .into_iter()
                .map(|step| match step {
                    Step::Put(record) => Change::Put(record),
                    Step::Erase(key) => Change::Erase(key),
                    Step::EraseMessages(contact) => Change::EraseMessages(contact),
                })
                .collect();
            match (store.commit(&changes), after) {
                (Ok(()), Some(after)) => model = after,
                (Err(StoreError::Backwards), None) => {}
                (done, after) => panic!("{done:?}, allowed: {}", after.is_some()),
            }
            prop_assert_eq!(store.load().unwrap(), model.load());
            for contact in 0..2 {
                let page = store.messages().page(ContactId(contact), None, 100).unwrap();
                prop_assert_eq!(&page, &model.history(contact));
                let forwards = store.messages().page_after(ContactId(contact), None, 100);
                prop_assert_eq!(forwards.unwrap(), page);
            }
        }
    }
}

fn is_held(direction: StoredDirection) -> bool {
    matches!(direction, StoredDirection::Buffered { .. })
}
