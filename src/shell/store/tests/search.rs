//! Search by words: the messages that are found, and those that are not.

use proptest::prelude::*;

use super::*;
use crate::engine::id::{IdPrefix, MessageId};
use crate::engine::record::MessageState;
use crate::shell::store::tests::fixtures::{held, ours, theirs};

/// A store in which something was searched for, so that it keeps an index.
fn searched() -> Store {
    let mut store = Store::in_memory().unwrap();
    store.search(None, "anything", None, 1).unwrap();
    assert!(store.index.is_some());
    store
}

fn found(store: &mut Store, words: &str) -> Vec<u64> {
    ids(&store.search(None, words, None, 100).unwrap())
}

#[test]
fn words_are_found_without_regard_to_case_diacritics_and_order_and_the_last_may_go_on() {
    let mut store = searched();
    let texts = ["Grüße aus Köln", "the quick brown fox", "quick, quick: a fox-hunt", "ΣΊΣΥΦΟΣ 42"];
    for (id, text) in (1..).zip(texts) {
        store.commit(&puts(&[theirs(id, 7, text)])).unwrap();
    }
    for (words, expected) in [
        ("koln", vec![1]),
        ("KÖLN gruß", vec![1]),
        ("quick fox", vec![3, 2]),
        ("fox quick", vec![3, 2]),
        ("qui", vec![3, 2]),
        ("qui fox", vec![]),
        ("fox-hunt", vec![3]),
        ("quick brown hunt", vec![]),
        ("42", vec![4]),
        ("σίσυφοσ", vec![4]),
        ("own", vec![]),
    ] {
        assert_eq!(found(&mut store, words), expected, "{words:?}");
    }
}

#[test]
fn a_typed_query_never_contains_an_operator() {
    let mut store = searched();
    store.commit(&puts(&[theirs(1, 7, "alpha beta"), theirs(2, 7, "alpha OR gamma")])).unwrap();
    for (words, expected) in [
        ("alpha OR beta", vec![]),
        ("alpha OR gamma", vec![2]),
        ("alpha NOT beta", vec![]),
        ("alpha* beta", vec![1]),
        ("text:alpha", vec![]),
        ("\"alpha", vec![2, 1]),
        ("NEAR(alpha beta)", vec![]),
        ("{text} : alpha", vec![]),
        ("-alpha", vec![2, 1]),
        ("alpha \0 beta", vec![1]),
        ("", vec![]),
        ("\"\" * ^", vec![]),
    ] {
        assert_eq!(found(&mut store, words), expected, "{words:?}");
    }
}

#[test]
fn found_messages_come_newest_first_in_pages_of_one_conversation_or_all() {
    let mut store = Store::in_memory().unwrap();
    for id in 1..=10 {
        store.commit(&puts(&[theirs(id, 7 + id % 2, "word")])).unwrap();
    }
    let mut page = |contact: Option<u64>, before: Option<u64>, limit| {
        let (contact, before) = (contact.map(ContactId), before.map(MessageId));
        ids(&store.search(contact, "word", before, limit).unwrap())
    };
    assert_eq!(page(None, None, 3), [10, 9, 8]);
    assert_eq!(page(None, Some(8), 3), [7, 6, 5]);
    assert_eq!(page(Some(7), None, 3), [10, 8, 6]);
    assert_eq!(page(Some(7), Some(6), 3), [4, 2]);
    assert!(page(Some(9), None, 3).is_empty());
    assert!(page(None, Some(99), 3).is_empty());
    assert!(page(None, None, 0).is_empty());
    assert_eq!(page(None, None, usize::MAX).len(), 10);
}

#[test]
fn an_erased_message_is_not_found_any_more() {
    for mut store in [Store::in_memory().unwrap(), searched()] {
        store.commit(&puts(&[theirs(1, 7, "secret"), theirs(2, 7, "secret")])).unwrap();
        store.commit(&puts(&[theirs(3, 8, "secret"), theirs(4, 9, "secret")])).unwrap();
        store.commit(&[Change::Erase(RecordKey::Message(MessageId(1)))]).unwrap();
        assert_eq!(found(&mut store, "secret"), [4, 3, 2]);
        store.commit(&[Change::EraseMessages(ContactId(7))]).unwrap();
        assert_eq!(found(&mut store, "secret"), [4, 3]);
        let at_once = [Change::Put(theirs(5, 9, "secret")), Change::EraseMessages(ContactId(9))];
        store.commit(&at_once).unwrap();
        assert_eq!(found(&mut store, "secret"), [3]);
    }
}

#[test]
fn a_message_is_found_from_when_it_is_shown_and_at_its_place() {
    let mut store = searched();
    store.commit(&puts(&[held(2, 7), theirs(1, 7, "waits no more")])).unwrap();
    assert_eq!(found(&mut store, "waits"), [1]);
    store.commit(&puts(&[theirs(2, 7, "waits"), ours(3, 7, MessageState::Queued)])).unwrap();
    store.commit(&puts(&[ours(3, 7, MessageState::Mining)])).unwrap();
    assert_eq!(found(&mut store, "waits"), [2, 1]);
    assert_eq!(found(&mut store, "said"), [3]);
}

#[test]
fn a_commit_that_is_refused_is_not_found() {
    let mut store = searched();
    store.commit(&puts(&[ours(1, 7, MessageState::Delivered)])).unwrap();
    let refused = puts(&[theirs(2, 7, "word"), ours(1, 7, MessageState::Sent)]);
    assert!(matches!(store.commit(&refused), Err(StoreError::Backwards)));
    assert!(found(&mut store, "word").is_empty());
}

#[test]
fn neither_query_nor_index_reaches_a_disk() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store.commit(&puts(&[theirs(1, 7, "word")])).unwrap();
    let files = || {
        let mut names: Vec<_> =
            fs::read_dir(home.dir()).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        (names, fs::read(home.file("store.db")).unwrap())
    };
    let before = files();
    assert_eq!(found(&mut store, "word"), [1]);
    assert_eq!(files(), before);
    let index = store.index.as_ref().unwrap();
    assert_eq!(index.0.path(), Some(""));
}

#[test]
fn messages_are_found_by_the_beginning_of_their_ids() {
    let mut store = Store::in_memory().unwrap();
    let all = [0xfedc_ba98_0000_0001, 0xfedc_ba98_0000_0002, 0x0123_0000_0000_0003];
    store.commit(&puts(&all.map(|id| theirs(id, 7, "hi")))).unwrap();
    store.commit(&puts(&[held(0x7777_0000_0000_0000, 7)])).unwrap();
    let like = |digits: &str| {
        let mut found =
            ids(&store.messages().with_prefix(IdPrefix::parse(digits).unwrap()).unwrap());
        found.sort_unstable();
        found
    };
    assert_eq!(like("0123"), [all[2]]);
    assert_eq!(like("FEDCBA98"), [all[0], all[1]]);
    assert_eq!(like("fedcba9800000002"), [all[1]]);
    assert!(like("fedcba9900").is_empty());
    assert!(like("7777").is_empty(), "it waits and was not shown");
}

proptest! {
    #[test]
    fn any_query_is_answered_without_an_error(words: String, text: String) {
        let mut store = searched();
        store.commit(&puts(&[theirs(1, 7, &text)])).unwrap();
        prop_assert!(store.search(None, &words, None, 10).is_ok());
        let open = ["\"", &words, "* OR"].concat();
        prop_assert!(store.search(None, &open, None, 10).is_ok());
    }

    #[test]
    fn every_word_of_letters_is_found_by_itself_and_by_its_beginning(
        words in prop::collection::vec("[a-zäöü]{1,12}", 1..6),
        which: prop::sample::Index,
        cut: prop::sample::Index,
    ) {
        let mut store = searched();
        store.commit(&puts(&[theirs(1, 7, &words.join(" "))])).unwrap();
        let word: Vec<char> = which.get(&words).chars().collect();
        let start: String = word[..=cut.index(word.len())].iter().collect();
        prop_assert_eq!(found(&mut store, &start), [1]);
    }
}
