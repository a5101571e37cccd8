//! Messages as tests of the interface and of front ends need them.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Contact, Identity, Message, Request};
use crate::engine::crypto::keys::Identity as IdentityKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{Half, SasWord};
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::event::{
    ContactView, Direction, HeldBack, IdentityView, MessageView, RequestView, SasHalf, SendRoom,
    SessionStatus,
};
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::price::{ShownWork, Step};
use crate::engine::record::{DeliveryLog, MessageState, Trust, VerificationMethod};
use crate::engine::testing::rng::SeededRng;
use crate::engine::text::UntrustedText;

/// Fails unless the table of README.md with this first row lists the fields of an object, and no
/// others; the fields of an object in it stand in its row.
pub(in crate::shell) fn in_readme(head: &str, object: &Value) {
    let readme = include_str!("../../../README.md");
    let start = format!("\n{head}\n|---|---|\n");
    let table = readme.split_once(&start).expect(head).1;
    let table = table.split("\n\n").next().unwrap_or_default();
    let quoted = |cell: &str| {
        let words = cell.split('`').skip(1).step_by(2);
        words.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let rows: Vec<_> = table
        .lines()
        .map(|row| row.trim_matches('|').split_once('|').expect(row))
        .map(|(fields, means)| (quoted(fields), quoted(means)))
        .collect();
    let listed: BTreeSet<String> = rows.iter().flat_map(|(fields, _)| fields.clone()).collect();
    let object = object.as_object().expect("an object");
    assert_eq!(listed, object.keys().cloned().collect(), "{head}");
    for (field, value) in object {
        let inner = value.as_array().and_then(|all| all.first()).unwrap_or(value);
        let row = rows.iter().find(|(fields, _)| fields.contains(field)).expect(field);
        for name in inner.as_object().into_iter().flat_map(Map::keys) {
            assert!(row.1.contains(name), "{head}: {field} has {name}");
        }
    }
}

/// An identity, a contact and a request of one key.
pub(in crate::shell) fn people() -> (Identity, Contact, Request) {
    let key = IdentityKey::generate(&mut SeededRng::new(1).turn()).public();
    let view = IdentityView { id: IdentityId(1), name: "ann".to_owned(), key };
    let identity = Identity { view, is_default: true };
    let words = [SasWord::parse("walnut").expect("a word"); 3];
    let view = ContactView {
        id: ContactId(1),
        identity: IdentityId(1),
        petname: "ben".to_owned(),
        key,
        session: SessionStatus::Established,
        trust: Trust::Verified { at: UnixSeconds(1), by: VerificationMethod::Sas },
        safety_number: SafetyNumber::of(&key, &key),
        sas: Some(SasHalf { half: Half::First, words }),
        missing: 0,
        read_receipts: true,
        restored: Some(UnixSeconds(1)),
        highest: Some(Step::MAX),
        room: SendRoom::Full,
        waiting: Arc::new(BTreeSet::from([
            HeldBack::Again(MessageId(1)),
            HeldBack::Request(Lifetime::Day),
        ])),
        in_line: Arc::new(BTreeSet::from([HeldBack::Messages])),
        next_look: Some(UnixSeconds(1)),
    };
    let contact = Contact { view, unread: 2 };
    let arrived = UnixSeconds(1);
    let view = RequestView {
        id: RequestId(1),
        identity: IdentityId(1),
        key,
        arrived,
        work: ShownWork::default(),
    };
    (identity, contact, Request { view })
}

/// A message of ours to ben in this state, that was sent as this log says and lives a day.
pub(in crate::shell) fn ours(state: MessageState, delivery: DeliveryLog) -> Message {
    let view = MessageView {
        id: MessageId(1),
        contact: ContactId(1),
        direction: Direction::Outgoing(state),
        number: Some(0),
        text: UntrustedText::new("hello".to_owned()),
        at: UnixSeconds(1_000),
        missing: 0,
        early: false,
        lifetime: Lifetime::Day,
        highest: None,
        delivery,
    };
    Message { view, with: "ben".to_owned(), waits_for: None }
}

/// One that left once, at this moment, for less than was asked.
pub(in crate::shell) fn not_for_long(sent: UnixSeconds) -> Message {
    let delivery = DeliveryLog {
        attempts: 1,
        first_sent: Some(sent),
        last_sent: Some(sent),
        ..DeliveryLog::default()
    };
    ours(MessageState::Unacknowledged, delivery)
}
