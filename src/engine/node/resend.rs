//! A message of ours that was not acknowledged: sent again, waited for, and in the end given up.
//!
//! [`super::schedule`] says when. As long as a message is held, its number is: the contact waits for
//! it, and takes whatever comes under it for the same message. Giving it up frees the number, lets
//! the base pass it, and so tells the contact that it will not come. From then on no acknowledgement
//! is believed for it: one that names all below a number does not tell what came from what was
//! skipped.

use super::Node;
use super::publisher::Job;
use super::talk::Transmission;
use crate::engine::command::{CommandError, Reply};
use crate::engine::env::Millis;
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::MessageState;
use crate::engine::record::{
    ContactState, EnvelopePurpose, OutgoingRecord, Record, RecordKey, StoredDirection,
};
use crate::engine::session::{Ack, Content};
use crate::engine::turn::{Timer, Turn};

/// Sent so often in one session without an acknowledgement, the contact may have lost its state:
/// offer anew. protocol.md 2.5.
const RETRANSMITS_BEFORE_OFFER: u32 = 5;

/// Ten minutes: a node that comes back has caught up by then, and an acknowledgement that waited for
/// it has arrived. A guess.
const GRACE: Millis = Millis::from_secs(600);

impl Node {
    pub(super) fn on_retransmit_due(&mut self, message: MessageId) {
        self.outbox.push(Job::Retransmit(message));
    }

    /// Encrypts a message that was not acknowledged once more, under its old number, if nobody has
    /// to be asked for that.
    pub(super) fn begin_retransmit(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: MessageId,
    ) -> Option<OutgoingRecord> {
        let message = self.open_messages.get(&id)?;
        if !message.may_retransmit(turn.env.wall) {
            // The clock may be wrong, or a person may ask.
            let wait = message.backoff(self.settings.retransmit_after);
            self.schedule_retransmit(turn, id, wait);
            return None;
        }
        self.begin_retransmit_now(turn, id)
    }

    /// Encrypts a message that was not acknowledged once more, under its old number.
    pub(super) fn begin_retransmit_now(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: MessageId,
    ) -> Option<OutgoingRecord> {
        let message = self.open_messages.get(&id)?;
        match message.direction {
            StoredDirection::Outgoing(MessageState::Sent | MessageState::Unacknowledged) => {}
            StoredDirection::Outgoing(
                MessageState::Queued
                | MessageState::Mining
                | MessageState::Delivered
                | MessageState::Read
                | MessageState::Failed
                | MessageState::Cancelled,
            )
            | StoredDirection::Delivered
            | StoredDirection::Buffered { .. } => return None,
        }
        let (contact, number) = (message.contact, message.number?);
        let text = Content::Text(message.text.clone());
        let payload = self.payload(contact, Some(number), text)?;
        let Some(session) = self.preferred(contact) else {
            // The session was closed, or lost: it goes in the next one.
            self.schedule_retransmit(turn, id, self.settings.retransmit_after);
            self.offer_if_needed(turn, contact);
            return None;
        };
        self.outbox.forget(turn, |kept| kept.purpose == EnvelopePurpose::Message(contact, id));
        let encrypted =
            self.encrypt(turn, session, &payload, EnvelopePurpose::Message(contact, id));
        let Some(record) = encrypted else {
            turn.settle();
            self.schedule_retransmit(turn, id, self.settings.retransmit_after);
            self.renew(turn, contact);
            return None;
        };
        turn.settle();
        let talk = self.conversations.entry(contact).or_default();
        let count = talk.in_flight.get(&id).map_or(0, |sent| sent.count);
        talk.in_flight.insert(id, Transmission { session, count, sent_at: turn.env.mono });
        Some(record)
    }

    /// The message is in the flood: note it, and plan what follows if nobody answers.
    pub(super) fn on_message_sent(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        id: MessageId,
    ) {
        let Some(message) = self.open_messages.get_mut(&id) else { return };
        message.record_transmission(turn.env.wall);
        let (wait, life) =
            (message.backoff(self.settings.retransmit_after), message.lifetime_left(turn.env.wall));
        self.advance(turn, id, MessageState::Sent);
        turn.settle();
        let mut count = 0;
        if let Some(sent) = self.conversations.entry(contact).or_default().in_flight.get_mut(&id) {
            count = sent.count;
            sent.count = sent.count.saturating_add(1);
            sent.sent_at = turn.env.mono;
        }
        self.schedule_retransmit(turn, id, wait);
        self.timers.set(Timer::Expiry(id), turn.env.mono.plus(life));
        if count >= RETRANSMITS_BEFORE_OFFER {
            self.renew(turn, contact);
        }
    }

    /// Whether a finished envelope of a message, published once more with the first neighbour, is one
    /// that was not counted: the process may have ended before it was.
    pub(super) fn is_uncounted(&self, id: MessageId) -> bool {
        let direction = self.open_messages.get(&id).map(|message| message.direction);
        direction
            .is_some_and(|direction| direction != StoredDirection::Outgoing(MessageState::Sent))
    }

    /// A finished envelope expired while no neighbour could take it, or while the process was not
    /// running and nobody knows whether it left. The message is said to have left, which is the one
    /// thing that cannot turn out to be false, and is sent again.
    pub(super) fn on_expired_unsent(&mut self, turn: &mut Turn<'_, '_>, id: MessageId) {
        let direction = self.open_messages.get(&id).map(|message| message.direction);
        if direction != Some(StoredDirection::Outgoing(MessageState::Mining)) {
            return;
        }
        self.advance(turn, id, MessageState::Sent);
        self.advance(turn, id, MessageState::Unacknowledged);
        turn.settle();
        self.timers.set(Timer::Expiry(id), turn.env.mono.plus(GRACE));
        self.expedite(turn, id);
    }

    fn schedule_retransmit(&mut self, turn: &mut Turn<'_, '_>, id: MessageId, wait: Millis) {
        let jitter = turn.env.exponential(Millis(wait.0 / 8));
        self.timers.set(Timer::Retransmit(id), turn.env.mono.plus(wait).plus(jitter));
    }

    /// Plans to send a message again soon: what was sent before is known to be lost, or may be.
    pub(super) fn expedite(&mut self, turn: &mut Turn<'_, '_>, id: MessageId) {
        let at = turn.env.mono.plus(turn.env.exponential(self.settings.reply_delay));
        self.timers.set_by(Timer::Retransmit(id), at);
    }

    /// Plans what a restart interrupted, from what is stored of the last sending.
    pub(super) fn resume_message(&mut self, turn: &mut Turn<'_, '_>, id: MessageId) {
        let Some(message) = self.open_messages.get(&id) else { return };
        let wait = message.backoff(self.settings.retransmit_after);
        // Not before the first neighbours have come, or everything that is due goes at once.
        let remaining = message.remaining(wait, turn.env.wall).max(self.settings.retransmit_after);
        let life = message.lifetime_left(turn.env.wall);
        self.schedule_retransmit(turn, id, remaining);
        self.timers.set(Timer::Expiry(id), turn.env.mono.plus(life));
    }

    /// Plans to send the oldest message again soon after a start: the others wait for it, and a node
    /// that never runs for long must come to it. Not sooner than after half its wait, lest a node that
    /// is started often sends it at each start.
    pub(super) fn expedite_oldest(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let oldest = self.conversations.get(&contact).and_then(|talk| talk.unacked.values().next());
        let Some(message) = oldest.and_then(|id| self.open_messages.get(id)) else { return };
        let half = Millis(message.backoff(self.settings.retransmit_after).0 / 2)
            .max(self.settings.retransmit_after);
        let (id, remaining) = (message.id, message.remaining(half, turn.env.wall));
        let soon = turn.env.exponential(self.settings.reply_delay).max(remaining);
        self.timers.set_by(Timer::Retransmit(id), turn.env.mono.plus(soon));
    }

    /// Plans to send everything again that was never acknowledged.
    pub(super) fn resume_retransmits(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let Some(talk) = self.conversations.get(&contact) else { return };
        let ids: Vec<MessageId> = talk.unacked.values().copied().collect();
        for id in ids {
            self.schedule_retransmit(turn, id, self.settings.retransmit_after);
        }
    }

    /// Nobody carries the last envelope of a message any longer, or it was held long enough.
    pub(super) fn on_expiry_due(&mut self, turn: &mut Turn<'_, '_>, id: MessageId) {
        let Some(message) = self.open_messages.get(&id) else { return };
        let StoredDirection::Outgoing(state) = message.direction else { return };
        let contact = message.contact;
        let (life, hold) =
            (message.lifetime_left(turn.env.wall), message.retransmit_time_left(turn.env.wall));
        match state {
            MessageState::Sent => {
                self.advance(turn, id, MessageState::Unacknowledged);
                self.timers.set(Timer::Expiry(id), turn.env.mono.plus(hold.max(life).max(GRACE)));
            }
            MessageState::Unacknowledged if message.number.is_none() => return,
            MessageState::Unacknowledged => {
                let left = hold.max(life);
                let asked = self.outbox.is_unpublished(id)
                    || self.outbox.is_waiting(Job::RetransmitNow(id));
                if left > Millis(0) || asked {
                    self.timers.set(Timer::Expiry(id), turn.env.mono.plus(left.max(GRACE)));
                    return;
                }
                self.abandon(turn, id);
                if let Some(message) = self.open_messages.get(&id) {
                    turn.put(Record::Message(message.clone()));
                }
            }
            MessageState::Queued
            | MessageState::Mining
            | MessageState::Delivered
            | MessageState::Read
            | MessageState::Failed
            | MessageState::Cancelled => return,
        }
        turn.settle();
        self.schedule_send(contact);
    }

    /// Drops everything that would send a message again.
    pub(super) fn stop_sending(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        id: MessageId,
    ) {
        self.timers.clear(Timer::Retransmit(id));
        self.timers.clear(Timer::Expiry(id));
        self.outbox.drop_jobs(
            |job| matches!(*job, Job::Retransmit(of) | Job::RetransmitNow(of) if of == id),
        );
        self.outbox.forget(turn, |kept| kept.purpose == EnvelopePurpose::Message(contact, id));
    }

    /// Frees the number of a message that left and was not acknowledged. Storing the message without
    /// it, or erasing it, is up to the caller.
    fn abandon(&mut self, turn: &mut Turn<'_, '_>, id: MessageId) {
        let Some(message) = self.open_messages.get_mut(&id) else { return };
        let (contact, number) = (message.contact, message.number.take());
        self.stop_sending(turn, contact, id);
        let next = self.roster.contacts.get(&contact).map_or(0, |record| record.sent.next);
        let talk = self.conversations.entry(contact).or_default();
        talk.in_flight.remove(&id);
        let Some(number) = number else { return talk.send_queue.retain(|&queued| queued != id) };
        talk.unacked.remove(&number);
        let base = talk.unacked.keys().next().copied().unwrap_or(next);
        if number < base && number.saturating_add(1) < next {
            self.announce_base(turn, contact, base);
        }
    }

    /// Plans to tell the contact which numbers will never come: it may hold later ones for them.
    fn announce_base(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId, base: u64) {
        self.conversations.entry(contact).or_default().base_to_announce = Some(base);
        let at = turn.env.mono.plus(turn.env.exponential(self.settings.reply_delay));
        self.timers.set_by(Timer::Acknowledge(contact), at);
    }

    /// The contact is stalled on a number that we have abandoned: announces our base again.
    pub(super) fn on_peer_stalled(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        ack: &Ack,
    ) {
        let Some(record) = self.roster.contacts.get(&contact) else { return };
        if record.sent.epoch != ack.epoch {
            return;
        }
        let next = record.sent.next;
        let talk = self.conversations.entry(contact).or_default();
        let base = talk.unacked.keys().next().copied().unwrap_or(next);
        // An acknowledgement that is older than one read before says nothing of what it waits for.
        if ack.next < talk.peer_acked_up_to {
            return;
        }
        talk.peer_acked_up_to = ack.next;
        if ack.sack != 0 && ack.next < base {
            self.announce_base(turn, contact, base);
        }
    }

    /// Sends once more what a person wants to be sent once more.
    pub(super) fn retry(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: MessageId,
    ) -> Result<Reply, CommandError> {
        let message = self.open_messages.get_mut(&id).ok_or(CommandError::NoMessage)?;
        let contact = message.contact;
        let StoredDirection::Outgoing(state) = message.direction else {
            return Err(CommandError::TooLate);
        };
        let contact_state = self.roster.contacts.get(&contact).map(|record| record.state);
        let blocked = contact_state == Some(ContactState::Blocked);
        match state {
            MessageState::Failed | MessageState::Cancelled | MessageState::Unacknowledged
                if blocked =>
            {
                return Err(CommandError::Blocked);
            }
            MessageState::Failed | MessageState::Cancelled => {
                self.advance(turn, id, MessageState::Queued);
                turn.settle();
                self.enqueue(contact, id);
            }
            MessageState::Unacknowledged if message.number.is_some() => {
                self.outbox.push(Job::RetransmitNow(id));
            }
            // Given up: it gets another number, and is held for as long again.
            MessageState::Unacknowledged => {
                message.delivery.first_sent = None;
                let record = message.clone();
                turn.put(Record::Message(record));
                turn.settle();
                if !self
                    .conversations
                    .get(&contact)
                    .is_some_and(|talk| talk.send_queue.contains(&id))
                {
                    self.enqueue(contact, id);
                }
            }
            MessageState::Queued
            | MessageState::Mining
            | MessageState::Sent
            | MessageState::Delivered
            | MessageState::Read => return Err(CommandError::TooLate),
        }
        Ok(Reply::Done)
    }

    /// Erases one message here. Ours that did not leave never does; one that left and was not
    /// acknowledged is given up. A message that waits for others before it is not shown, and stays.
    pub(super) fn erase_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: MessageId,
    ) -> Result<Reply, CommandError> {
        if let Some(message) = self.open_messages.get(&id) {
            let contact = message.contact;
            match message.direction {
                StoredDirection::Buffered { .. } => return Err(CommandError::TooLate),
                StoredDirection::Outgoing(MessageState::Queued | MessageState::Mining)
                    if self.is_withdrawable(id) =>
                {
                    self.withdraw(turn, contact, id);
                }
                StoredDirection::Outgoing(
                    MessageState::Mining | MessageState::Sent | MessageState::Unacknowledged,
                ) => self.abandon(turn, id),
                StoredDirection::Outgoing(MessageState::Delivered) => {
                    self.forget_awaited_receipt(contact, id)
                }
                StoredDirection::Delivered
                | StoredDirection::Outgoing(
                    MessageState::Queued
                    | MessageState::Read
                    | MessageState::Failed
                    | MessageState::Cancelled,
                ) => {}
            }
            self.open_messages.remove(&id);
            self.schedule_send(contact);
        }
        turn.erase(RecordKey::Message(id));
        turn.settle();
        Ok(Reply::Done)
    }
}
