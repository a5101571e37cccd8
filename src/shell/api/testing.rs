//! Messages as tests of the interface and of front ends need them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Message;
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::event::{Direction, MessageView};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::{DeliveryLog, MessageState};
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
