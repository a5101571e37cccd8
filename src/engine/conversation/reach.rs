//! How many more messages a send window takes, and how far an acknowledgement reaches into it.
//!
//! An acknowledgement says less than the window holds: [`Ack::REACH`] numbers beyond the first that
//! did not come. What is further ahead cannot be acknowledged yet, so sending it again would tell us
//! nothing: it waits until the oldest message is acknowledged or given up, or until its envelope has
//! expired. The window therefore costs its length in first sendings, and no more in repetitions
//! than one of [`Ack::REACH`].

use crate::engine::id::MessageId;
use crate::engine::session::{Ack, SessionId};

use super::send_window::{SEND_WINDOW, SendWindow};

/// How many more messages may be under way before the oldest is acknowledged. The oldest decides,
/// even if all after it were acknowledged: the recipient keeps no more out of order.
pub(super) fn room(window: &SendWindow) -> u64 {
    let next = window.sequence.next;
    let oldest = window.unacked.keys().next().copied().unwrap_or(next);
    SEND_WINDOW.saturating_sub(next.saturating_sub(oldest))
}

/// Whether an acknowledgement could name this message before an older one is acknowledged.
pub(super) fn is_within(window: &SendWindow, id: MessageId) -> bool {
    let number = window.message(id).and_then(|message| message.number);
    number.is_some_and(|number| number < end(window))
}

/// The messages that came within reach since this was asked last.
pub(super) fn newly_within(window: &mut SendWindow) -> Vec<MessageId> {
    let end = end(window);
    let before = core::mem::replace(&mut window.reached, end);
    window.unacked.range(before.min(end)..end).map(|(_, &id)| id).collect()
}

/// Whether a message was last sent in another session than this one, in this process.
pub(super) fn was_sent_elsewhere(window: &SendWindow, id: MessageId, session: SessionId) -> bool {
    window.in_flight.get(&id).is_some_and(|transmission| transmission.session != session)
}

/// One more than the highest number that an acknowledgement can name, as it names all from the
/// oldest message on.
fn end(window: &SendWindow) -> u64 {
    window.base(None).saturating_add(Ack::REACH + 1)
}
