//! The conversation above the sessions, and what is heard in it: numbers, order, acknowledgements.
//!
//! A message keeps its number across sending again and across sessions, so it is shown once and in
//! its place whatever the network does. Our own side of it is [`super::say`]'s, and [`super::resend`]'s
//! while it is not acknowledged.

use std::collections::{BTreeMap, VecDeque};

use crate::engine::env::{Millis, UnixSeconds};
use crate::engine::envelope::Lifetime;
use crate::engine::id::{ContactId, MessageId};
use crate::engine::secret::opaque_debug;
use crate::engine::session::{Ack, Content, Payload, SessionId};
use crate::engine::text::UntrustedText;

use super::Node;
use super::gaps::GapReport;
use super::inbound::Provenance;
use super::publisher::Job;
use super::stream::Received;
use crate::engine::event::{Direction, Event, MessageView};
use crate::engine::record::MessageState;
use crate::engine::record::{
    DeliveryLog, EnvelopePurpose, MAX_RECEIVE_SEQUENCES, MessageRecord, ReceiveSequence, Record,
    StoredDirection,
};
use crate::engine::turn::{Timer, Turn};

/// How far the newest message may be ahead of the oldest one that was not acknowledged: what the
/// bits of one acknowledgement reach.
pub const ACK_WINDOW: u64 = 64;

/// So many messages heard are acknowledged without the usual delay, lest the sender stand still.
const MAX_RECEIVED_SINCE_ACK: u32 = 32;

/// What a node remembers of one conversation between turns; all of it can be rebuilt from records.
#[derive(Default)]
pub(super) struct Conversation {
    /// Accepted and not encrypted yet, in order.
    pub(super) send_queue: VecDeque<MessageId>,
    /// Encrypted at least once and not acknowledged, by number.
    pub(super) unacked: BTreeMap<u64, MessageId>,
    /// Where and when each of them was last encrypted.
    pub(super) in_flight: BTreeMap<MessageId, Transmission>,
    /// Theirs that wait for the ones before them, by epoch and number.
    pub(super) reorder_buffer: BTreeMap<(u64, u64), MessageId>,
    /// Messages received since our last acknowledgement, duplicates included.
    pub(super) received_since_ack: u32,
    /// The longest life of the envelopes they came in: what acknowledges them lives as long.
    pub(super) ack_lifetime: Option<Lifetime>,
    /// Whether the contact is to hear what was read.
    pub(super) receipt_due: bool,
    /// The lowest number we still hold, if the contact is to hear it soon.
    pub(super) base_to_announce: Option<u64>,
    /// The lowest number that the contact had not received when it was heard last.
    pub(super) peer_acked_up_to: u64,
    /// What is missing of theirs, as it was last pointed out.
    pub(super) reported_gap: Option<GapReport>,
    /// Delivered messages that wait for a read receipt, by number; at most
    /// [`super::marks::MAX_AWAITED_RECEIPTS`].
    pub(super) awaiting_receipt: BTreeMap<u64, MessageId>,
    /// How often their offer was answered since they were last heard.
    pub(super) answers_sent: u32,
    /// The next number when this process began: what has a lower one was said by this state, even if
    /// it is older than what it did.
    pub(super) restored_next: u64,
}

opaque_debug!(struct Conversation {
    send_queue, unacked, in_flight, reorder_buffer, received_since_ack, ack_lifetime, receipt_due,
    base_to_announce, peer_acked_up_to, reported_gap, awaiting_receipt, answers_sent, restored_next,
});

/// The last time a message was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transmission {
    pub(super) session: SessionId,
    pub(super) count: u32,
    pub(super) sent_at: Millis,
}

impl Node {
    /// A payload from a contact, decrypted; the session has moved on.
    ///
    pub(super) fn on_payload(
        &mut self,
        turn: &mut Turn<'_, '_>,
        session: SessionId,
        payload: Payload,
        Provenance { life, stale }: Provenance,
    ) {
        let Some(record) = self.sessions.get(&session) else { return };
        let contact = record.contact;
        let early = (!record.session.confirmed()).then_some(session);
        turn.put(Record::Session(record.clone()));
        if early.is_none() {
            self.confirm_early_messages(turn, session);
            self.on_peer_active(turn, contact);
        }
        // What is said of a time that we forgot is not about what has its numbers now.
        let talk = self.conversations.get(&contact).filter(|_| stale);
        let believed = talk.map_or(u64::MAX, |talk| talk.restored_next);
        if let Some(ack) = &payload.ack {
            self.on_rollback_detected(turn, contact, ack);
            self.on_ack(turn, contact, ack, believed);
            self.on_peer_stalled(turn, contact, ack);
        }
        if early.is_none() {
            self.skip_gaps(turn, contact, payload.epoch, payload.base);
        }
        let position = |number| {
            let Payload { epoch, base, .. } = payload;
            MessagePosition { contact, epoch, number, base, early, life }
        };
        match payload.content {
            Content::Text(text) => {
                if let Some(number) = payload.number {
                    self.on_text(turn, position(number), text);
                }
            }
            Content::Answer => self.schedule_acknowledgement(turn, contact, life),
            Content::Close => self.on_close(turn, contact, session),
            Content::Read { epoch, below } if early.is_none() => {
                self.on_read_receipt(turn, contact, (epoch, below.min(believed)));
            }
            Content::Nothing | Content::Read { .. } => {}
            Content::Unknown => {
                // A later version's message: it takes its place in the order, and is passed over.
                if let Some(number) = payload.number {
                    self.on_unknown(turn, position(number));
                }
            }
        }
        turn.commit();
        self.emit_contact(turn, contact);
        turn.settle();
        self.update_gap_report(turn, contact);
        self.schedule_send(contact);
    }

    /// The contact speaks in a session, so our offer is answered or not needed.
    fn on_peer_active(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        self.conversations.entry(contact).or_default().answers_sent = 0;
        let Some(record) = self.roster.contacts.get_mut(&contact) else { return };
        let (offered, restored) = (record.offer.take(), record.restored.take());
        if offered.is_none() && restored.is_none() {
            return;
        }
        turn.put(Record::Contact(record.clone()));
        self.outbox.forget(turn, |kept| kept.purpose == EnvelopePurpose::Offer(contact));
        self.outbox.drop_jobs(|job| *job == Job::Offer(contact));
        self.timers.clear(Timer::Offer(contact));
    }

    /// A session is confirmed: what was sent in another one and not acknowledged may have gone to
    /// somebody who lost its keys, so it goes in this one soon.
    pub(super) fn on_established(&mut self, turn: &mut Turn<'_, '_>, session: SessionId) {
        let Some(record) = self.sessions.get(&session) else { return };
        let Some(talk) = self.conversations.get(&record.contact) else { return };
        let elsewhere =
            |id: &&MessageId| talk.in_flight.get(id).is_none_or(|sent| sent.session != session);
        let ids: Vec<MessageId> = talk.unacked.values().filter(elsewhere).copied().collect();
        for id in ids {
            self.expedite(turn, id);
        }
    }

    /// The contact speaks in a confirmed session: what came early in it is theirs without doubt.
    fn confirm_early_messages(&mut self, turn: &mut Turn<'_, '_>, session: SessionId) {
        let early: Vec<MessageId> = self
            .open_messages
            .values()
            .filter(|message| message.early == Some(session))
            .map(|message| message.id)
            .collect();
        for id in early {
            let Some(message) = self.open_messages.get_mut(&id) else { continue };
            message.early = None;
            let contact = message.contact;
            turn.put(Record::Message(message.clone()));
            if message.direction == StoredDirection::Delivered {
                self.open_messages.remove(&id);
            }
            turn.emit(Event::Confirmed { message: id, contact });
        }
    }

    /// Marks what the contact has received, and hurries what it lacks.
    fn on_ack(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId, ack: &Ack, believed: u64) {
        let ours = self.roster.contacts.get(&contact).map(|record| record.sent.epoch);
        let Some(talk) = self.conversations.get_mut(&contact).filter(|_| ours == Some(ack.epoch))
        else {
            return;
        };
        let received: Vec<(u64, MessageId)> = talk
            .unacked
            .iter()
            .filter(|&(&number, _)| number < believed && ack.covers(number))
            .map(|(&number, &id)| (number, id))
            .collect();
        let Some(&(highest, _)) = received.last() else { return };
        for &(number, id) in &received {
            talk.unacked.remove(&number);
            talk.in_flight.remove(&id);
        }
        // Long enough that what is merely late is not taken for lost.
        let in_flight = Millis(self.settings.retransmit_after.0 / 4);
        let overtaken: Vec<MessageId> = talk
            .unacked
            .range(..highest)
            .filter(|(_, id)| {
                let sent = talk.in_flight.get(id);
                sent.is_some_and(|sent| sent.sent_at.plus(in_flight) < turn.env.mono)
            })
            .map(|(_, &id)| id)
            .collect();
        for id in overtaken {
            self.expedite(turn, id);
        }
        for (_, id) in received {
            self.mark_delivered(turn, contact, id);
        }
    }

    pub(super) fn mark_delivered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        id: MessageId,
    ) {
        self.stop_sending(turn, contact, id);
        if let Some(message) = self.open_messages.get_mut(&id)
            && message.direction == StoredDirection::Outgoing(MessageState::Mining)
        {
            // A crash after publishing can leave the record one state behind the truth.
            message.record_transmission(turn.env.wall);
            self.advance(turn, id, MessageState::Sent);
        }
        if let Some(message) = self.open_messages.get_mut(&id) {
            message.delivery.delivered = Some(turn.env.wall);
        }
        self.advance(turn, id, MessageState::Delivered);
        self.await_receipt(contact, id);
    }

    /// Moves a message of ours on, if it may; stays where it is to tell of its delivery.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_, '_>, id: MessageId, to: MessageState) {
        let Some(message) = self.open_messages.get_mut(&id) else { return };
        let StoredDirection::Outgoing(from) = message.direction else { return };
        if from != to && !from.may_become(to) {
            return;
        }
        message.direction = StoredDirection::Outgoing(to);
        turn.put(Record::Message(message.clone()));
        turn.emit(Event::State {
            message: id,
            contact: message.contact,
            number: message.number,
            state: to,
            delivery: message.delivery,
        });
    }

    /// A text with its number: shown if it is the next, held if others come before it.
    fn on_text(&mut self, turn: &mut Turn<'_, '_>, position: MessagePosition, text: String) {
        let Some(sequence) = self.receive_sequence_mut(turn, position) else { return };
        let received = sequence.receive(position.number);
        match received {
            Received::OutOfWindow => return,
            Received::Duplicate => {
                return self.schedule_acknowledgement(turn, position.contact, position.life);
            }
            Received::InOrder | Received::OutOfOrder => {}
        }
        let shown = matches!(received, Received::InOrder);
        let direction = if shown {
            StoredDirection::Delivered
        } else {
            StoredDirection::Buffered { epoch: position.epoch }
        };
        let message = MessageRecord {
            id: MessageId::draw(turn.env),
            contact: position.contact,
            direction,
            number: Some(position.number),
            text,
            at: turn.env.wall,
            missing: 0,
            early: position.early,
            life: position.life,
            delivery: DeliveryLog::default(),
        };
        turn.put(Record::Message(message.clone()));
        self.put_contact(turn, position.contact);
        if shown {
            turn.emit(Event::Message(view_message(&message)));
            if message.early.is_some() {
                self.open_messages.insert(message.id, message);
            }
            self.deliver_in_order(turn, position.contact, position.epoch, 0);
        } else {
            let talk = self.conversations.entry(position.contact).or_default();
            talk.reorder_buffer.insert((position.epoch, position.number), message.id);
            self.open_messages.insert(message.id, message);
        }
        self.schedule_acknowledgement(turn, position.contact, position.life);
    }

    fn on_unknown(&mut self, turn: &mut Turn<'_, '_>, position: MessagePosition) {
        let Some(sequence) = self.receive_sequence_mut(turn, position) else { return };
        if sequence.receive(position.number) == Received::OutOfWindow {
            return;
        }
        self.put_contact(turn, position.contact);
        self.deliver_in_order(turn, position.contact, position.epoch, 0);
        self.schedule_acknowledgement(turn, position.contact, position.life);
    }

    /// The epoch a text belongs to. One not seen before starts now, at what its sender still
    /// holds: the rest was acknowledged before we lost our state. Whatever waited in the others is
    /// shown: their gaps will not be filled.
    fn receive_sequence_mut(
        &mut self,
        turn: &mut Turn<'_, '_>,
        position: MessagePosition,
    ) -> Option<&mut ReceiveSequence> {
        let known = self
            .roster
            .contacts
            .get(&position.contact)?
            .received
            .iter()
            .position(|sequence| sequence.epoch == position.epoch);
        if known.is_none() {
            self.deliver_buffered(turn, position.contact);
        }
        let received = &mut self.roster.contacts.get_mut(&position.contact)?.received;
        let sequence = match known {
            Some(index) => received.remove(index),
            None => {
                let next = position.base.min(position.number);
                ReceiveSequence { epoch: position.epoch, next, sack: 0, read_up_to: 0 }
            }
        };
        if received.len() >= MAX_RECEIVE_SEQUENCES {
            received.remove(0);
        }
        received.push(sequence);
        received.last_mut()
    }

    /// The sender holds nothing below `base` any more: gaps below it will never be filled.
    fn skip_gaps(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId, epoch: u64, base: u64) {
        let Some(record) = self.roster.contacts.get_mut(&contact) else { return };
        let Some(known) = record.received.iter_mut().find(|known| known.epoch == epoch) else {
            return;
        };
        let missing = known.skip_to(base);
        if missing == 0 {
            return;
        }
        self.put_contact(turn, contact);
        self.deliver_in_order(turn, contact, epoch, missing);
    }

    /// Shows what waited and waits no longer.
    fn deliver_in_order(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        epoch: u64,
        missing: u64,
    ) {
        let Some(record) = self.roster.contacts.get(&contact) else { return };
        let Some(known) = record.received.iter().find(|known| known.epoch == epoch) else { return };
        let next = known.next;
        let Some(talk) = self.conversations.get_mut(&contact) else { return };
        let free: Vec<(u64, u64)> =
            talk.reorder_buffer.range((epoch, 0)..(epoch, next)).map(|(&place, _)| place).collect();
        self.deliver(turn, contact, free, missing);
    }

    fn deliver_buffered(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let Some(talk) = self.conversations.get(&contact) else { return };
        let all = talk.reorder_buffer.keys().copied().collect();
        self.deliver(turn, contact, all, 1);
    }

    fn deliver(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        places: Vec<(u64, u64)>,
        missing: u64,
    ) {
        let mut missing = missing;
        for place in places {
            let id = self
                .conversations
                .get_mut(&contact)
                .and_then(|talk| talk.reorder_buffer.remove(&place));
            let Some(mut message) = id.and_then(|id| self.open_messages.remove(&id)) else {
                continue;
            };
            message.direction = StoredDirection::Delivered;
            message.missing = core::mem::take(&mut missing);
            turn.emit(Event::Message(view_message(&message)));
            turn.put(Record::Message(message.clone()));
            if message.early.is_some() {
                self.open_messages.insert(message.id, message);
            }
        }
    }

    pub(super) fn put_contact(&self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        if let Some(record) = self.roster.contacts.get(&contact) {
            turn.put(Record::Contact(record.clone()));
        }
    }

    /// Notes that the next acknowledgement or answer answers an envelope of this life.
    pub(super) fn extend_ack_lifetime(&mut self, contact: ContactId, life: Lifetime) {
        let talk = self.conversations.entry(contact).or_default();
        talk.ack_lifetime = talk.ack_lifetime.max(Some(life));
    }

    /// Something was heard that deserves an acknowledgement: soon, not at once.
    fn schedule_acknowledgement(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        life: Lifetime,
    ) {
        self.extend_ack_lifetime(contact, life);
        let talk = self.conversations.entry(contact).or_default();
        talk.received_since_ack = talk.received_since_ack.saturating_add(1);
        let delay = if talk.received_since_ack >= MAX_RECEIVED_SINCE_ACK {
            Millis(0)
        } else {
            turn.env.exponential(self.settings.reply_delay)
        };
        self.timers.set_by(Timer::Acknowledge(contact), turn.env.mono.plus(delay));
    }
}

/// Where a text belongs.
#[derive(Clone, Copy)]
struct MessagePosition {
    contact: ContactId,
    epoch: u64,
    number: u64,
    /// The lowest number its sender still holds.
    base: u64,
    /// The session, if it is not confirmed.
    early: Option<SessionId>,
    /// How long what carried it is kept by those who carry it.
    life: Lifetime,
}

pub(super) fn view_message(record: &MessageRecord) -> MessageView {
    record.view()
}

impl MessageRecord {
    /// The message as its owner sees it.
    #[must_use]
    pub fn view(&self) -> MessageView {
        MessageView {
            id: self.id,
            contact: self.contact,
            direction: match self.direction {
                StoredDirection::Outgoing(state) => Direction::Outgoing(state),
                StoredDirection::Delivered | StoredDirection::Buffered { .. } => {
                    Direction::Incoming
                }
            },
            number: self.number,
            text: UntrustedText::new(self.text.clone()),
            at: self.at,
            missing: self.missing,
            early: self.early.is_some(),
            life: self.life,
            delivery: self.delivery,
        }
    }
}

/// A message of ours that was just accepted.
pub(super) fn new_outgoing(
    id: MessageId,
    contact: ContactId,
    text: String,
    at: UnixSeconds,
) -> MessageRecord {
    MessageRecord {
        id,
        contact,
        direction: StoredDirection::Outgoing(MessageState::Queued),
        number: None,
        text,
        at,
        missing: 0,
        early: None,
        life: Lifetime::Day,
        delivery: DeliveryLog::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", Conversation::default()), "Conversation");
    }
}
