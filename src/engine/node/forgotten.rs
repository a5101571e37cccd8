//! Detects a rollback of our state: a disk that was put back, the snapshot of a machine, a clone.
//!
//! Nobody notices that from inside, and keys are safe without it, for each depends on a salt. But a
//! text would get a number that another text had, be taken for its repetition, and be acknowledged
//! without having been shown. The contact's acknowledgements give it away: they name numbers that
//! were never given. It goes unnoticed while we say more than we forgot before we hear of it.
//!
//! Acknowledgements of the time that was forgotten may still be carried, and who catches up gets them.
//! So what was fetched and may be older than this process is believed of the numbers it began with
//! alone, and of none that were given since (`inbound::Provenance`). If it was true all the same, the message
//! is sent once more than it had to be.

use crate::engine::id::{ContactId, MessageId};
use crate::engine::session::Ack;

use super::Node;
use crate::engine::record::{Record, SendSequence};
use crate::engine::turn::Turn;

impl Node {
    /// Begins another epoch if the contact acknowledges what we do not know of. What this state
    /// had said before is taken for acknowledged, as far as it is; the rest is said again.
    pub(super) fn on_rollback_detected(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        ack: &Ack,
    ) {
        let Some(record) = self.roster.contacts.get_mut(&contact) else { return };
        if record.sent.epoch != ack.epoch || end(ack) <= record.sent.next {
            return;
        }
        let talk = self.conversations.entry(contact).or_default();
        let before = core::mem::take(&mut talk.restored_next);
        let (received, rest): (Vec<_>, Vec<_>) = core::mem::take(&mut talk.unacked)
            .into_iter()
            .partition(|&(number, _)| number < before && ack.covers(number));
        for (_, id) in &received {
            talk.in_flight.remove(id);
        }
        (talk.base_to_announce, talk.peer_acked_up_to) = (None, 0);
        talk.unacked = (0..).zip(rest.into_iter().map(|(_, id)| id)).collect();
        let next = talk.unacked.len() as u64;
        record.sent = SendSequence { epoch: turn.env.draw_u64(), next };
        turn.put(Record::Contact(record.clone()));
        let again: Vec<(u64, MessageId)> =
            talk.unacked.iter().map(|(&number, &id)| (number, id)).collect();
        for (_, id) in received {
            self.mark_delivered(turn, contact, id);
        }
        self.forget_awaited_receipts(contact);
        for (number, id) in again {
            let Some(message) = self.open_messages.get_mut(&id) else { continue };
            message.number = Some(number);
            turn.put(Record::Message(message.clone()));
            self.expedite(turn, id);
        }
    }
}

/// One more than the highest number that is acknowledged.
fn end(ack: &Ack) -> u64 {
    let beyond = u64::from(u64::BITS - ack.sack.leading_zeros());
    if beyond == 0 { ack.next } else { ack.next.saturating_add(beyond).saturating_add(1) }
}
