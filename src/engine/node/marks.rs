//! Read receipts: what a person has seen, told to a contact if both turned that on.
//!
//! A mark need not arrive. It goes in the envelopes that carry acknowledgements, in place of nothing,
//! so nobody who carries them can tell that there are any.

use super::Node;
use crate::engine::command::{CommandError, Reply};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::MessageState;
use crate::engine::session::Content;
use crate::engine::turn::{Timer, Turn};

/// Messages that were delivered and wait for a read receipt, in one conversation. The oldest gives way.
/// A guess: more than a person leaves unread and still wonders about.
pub const MAX_AWAITED_RECEIPTS: usize = 256;

impl Node {
    /// A person has seen all that was shown of a conversation.
    pub(super) fn mark_read(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
    ) -> Result<Reply, CommandError> {
        let record = self.roster.contacts.get_mut(&contact).ok_or(CommandError::NoContact)?;
        let on = record.read_receipts;
        let sequence =
            record.received.last_mut().filter(|sequence| sequence.read_up_to < sequence.next);
        let Some(sequence) = sequence else { return Ok(Reply::Done) };
        sequence.read_up_to = sequence.next;
        self.put_contact(turn, contact);
        turn.settle();
        if on && self.confirmed_session(contact).is_some() {
            self.conversations.entry(contact).or_default().receipt_due = true;
            let at = turn.env.mono.plus(turn.env.exponential(self.settings.reply_delay));
            self.timers.set_by(Timer::Acknowledge(contact), at);
        }
        Ok(Reply::Done)
    }

    /// Tells a contact what was read, and shows what they tell; or neither. A mark covers all before
    /// it, so what was read earlier is told too; what was delivered earlier is not shown as read.
    #[expect(clippy::fn_params_excessive_bools, reason = "the command's own, named there")]
    pub(super) fn set_read_receipts(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        on: bool,
    ) -> Result<Reply, CommandError> {
        let record = self.roster.contacts.get_mut(&contact).ok_or(CommandError::NoContact)?;
        if record.read_receipts == on {
            return Ok(Reply::Done);
        }
        record.read_receipts = on;
        self.put_contact(turn, contact);
        turn.settle();
        self.conversations.entry(contact).or_default().receipt_due = false;
        self.forget_awaited_receipts(contact);
        self.emit_contact(turn, contact);
        Ok(Reply::Done)
    }

    /// What an envelope says that has nothing else to say.
    pub(super) fn read_receipt(&self, contact: ContactId) -> Content {
        let record = self.roster.contacts.get(&contact).filter(|record| record.read_receipts);
        match record.and_then(|record| record.received.last()) {
            Some(last) if last.read_up_to > 0 => {
                Content::Read { epoch: last.epoch, below: last.read_up_to }
            }
            Some(_) | None => Content::Nothing,
        }
    }

    /// The contact says what was read of ours.
    pub(super) fn on_read_receipt(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        (epoch, below): (u64, u64),
    ) {
        let known = self.roster.contacts.get(&contact).is_some_and(|record| {
            record.read_receipts && record.sent.epoch == epoch && below <= record.sent.next
        });
        let Some(talk) = self.conversations.get_mut(&contact).filter(|_| known) else { return };
        // What was read was delivered, though the acknowledgement may be late.
        let delivered: Vec<(u64, MessageId)> =
            talk.unacked.range(..below).map(|(&number, &id)| (number, id)).collect();
        for (number, id) in delivered {
            if let Some(talk) = self.conversations.get_mut(&contact) {
                talk.unacked.remove(&number);
                talk.in_flight.remove(&id);
            }
            self.mark_delivered(turn, contact, id);
        }
        let Some(talk) = self.conversations.get_mut(&contact) else { return };
        let later = talk.awaiting_receipt.split_off(&below);
        for id in core::mem::replace(&mut talk.awaiting_receipt, later).into_values() {
            if let Some(message) = self.open_messages.get_mut(&id) {
                message.delivery.read = Some(turn.env.wall);
            }
            self.advance(turn, id, MessageState::Read);
            self.open_messages.remove(&id);
        }
    }

    /// Keeps a delivered message in mind while its read receipt may come; else it is done with.
    pub(super) fn await_receipt(&mut self, contact: ContactId, id: MessageId) {
        let on = self.roster.contacts.get(&contact).is_some_and(|record| record.read_receipts);
        let number = self.open_messages.get(&id).and_then(|message| message.number).filter(|_| on);
        let Some(number) = number else {
            self.open_messages.remove(&id);
            return;
        };
        let talk = self.conversations.entry(contact).or_default();
        talk.awaiting_receipt.insert(number, id);
        if talk.awaiting_receipt.len() > MAX_AWAITED_RECEIPTS {
            let oldest = talk.awaiting_receipt.pop_first();
            oldest.and_then(|(_, id)| self.open_messages.remove(&id));
        }
    }

    /// No read receipt is waited for any more in a conversation: of another epoch none would fit.
    pub(super) fn forget_awaited_receipts(&mut self, contact: ContactId) {
        let Some(talk) = self.conversations.get_mut(&contact) else { return };
        for id in core::mem::take(&mut talk.awaiting_receipt).into_values() {
            self.open_messages.remove(&id);
        }
    }

    pub(super) fn forget_awaited_receipt(&mut self, contact: ContactId, id: MessageId) {
        if let Some(talk) = self.conversations.get_mut(&contact) {
            talk.awaiting_receipt.retain(|_, unread| *unread != id);
        }
    }
}
