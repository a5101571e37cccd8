//! Messages as tests of the interface and of front ends need them.

use super::Message;
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::event::{Direction, MessageView};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::{DeliveryLog, MessageState};
use crate::engine::text::UntrustedText;

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
    Message { view, with: "ben".to_owned(), waits_for_price: false }
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
