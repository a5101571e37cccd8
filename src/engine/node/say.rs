//! Our side of a conversation: the next message, and acknowledgements.
//!
//! Each is encrypted once, when its turn comes, and stored with the session's next state before it
//! can leave. What is sent again is [`super::resend`]'s, what is heard meanwhile [`super::talk`]'s.

use super::Node;
use super::publisher::Job;
use super::talk::{ACK_WINDOW, Transmission};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::MessageState;
use crate::engine::record::{
    ContactRecord, EnvelopePurpose, OutgoingRecord, ReceiveSequence, Record,
};
use crate::engine::session::{Ack, Content, Payload, SessionId};
use crate::engine::turn::Output;
use crate::engine::turn::{Timer, Turn};

impl Node {
    pub(super) fn on_acknowledge_due(&mut self, contact: ContactId) {
        self.outbox.push(Job::Acknowledge(contact));
    }

    /// Acknowledges, or tells what was read or will never come, unless a message did so meanwhile.
    pub(super) fn begin_acknowledge(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
    ) -> Option<OutgoingRecord> {
        let session = self.preferred(contact)?;
        let proven = self.confirmed_session(contact).is_some();
        let talk = self.conversations.get_mut(&contact)?;
        if talk.received_since_ack == 0
            && !(proven && (talk.receipt_due || talk.base_to_announce.is_some()))
        {
            return None;
        }
        talk.receipt_due &= !proven;
        let content = if proven { self.read_receipt(contact) } else { Content::Nothing };
        let payload = self.payload(contact, None, content)?;
        let record = self.encrypt(turn, session, &payload, EnvelopePurpose::Control(contact))?;
        turn.settle();
        Some(record)
    }

    /// Queues the next message of a conversation, if there is one and a session to send it in.
    pub(super) fn schedule_send(&mut self, contact: ContactId) {
        let waits =
            self.conversations.get(&contact).is_some_and(|talk| !talk.send_queue.is_empty());
        if waits && self.preferred(contact).is_some() {
            self.outbox.push(Job::SendNext(contact));
        }
    }

    /// Encrypts the next queued message.
    pub(super) fn begin_next_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
    ) -> Option<OutgoingRecord> {
        let session = self.preferred(contact)?;
        let number = self.roster.contacts.get(&contact)?.sent.next;
        let talk = self.conversations.get(&contact)?;
        let &id = talk.send_queue.front()?;
        let oldest = talk.unacked.keys().next().copied().unwrap_or(number);
        if number.saturating_sub(oldest) >= ACK_WINDOW {
            return None;
        }
        let text = self.open_messages.get(&id)?.text.clone();
        let payload = self.payload(contact, Some(number), Content::Text(text))?;
        let encrypted =
            self.encrypt(turn, session, &payload, EnvelopePurpose::Message(contact, id));
        let Some(record) = encrypted else {
            self.renew(turn, contact);
            return None;
        };
        let talk = self.conversations.entry(contact).or_default();
        talk.send_queue.pop_front();
        talk.unacked.insert(number, id);
        talk.in_flight.insert(id, Transmission { session, count: 0, sent_at: turn.env.mono });
        if let Some(contact) = self.roster.contacts.get_mut(&contact) {
            contact.sent.next = number.saturating_add(1);
            turn.put(Record::Contact(contact.clone()));
        }
        if let Some(message) = self.open_messages.get_mut(&id) {
            message.number = Some(number);
            turn.put(Record::Message(message.clone()));
        }
        // One that left before and was given up stays what it is until it leaves again.
        self.advance(turn, id, MessageState::Mining);
        turn.settle();
        self.schedule_send(contact);
        Some(record)
    }

    /// Offers another session, unless an offer waits already.
    pub(super) fn renew(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let pending =
            self.roster.contacts.get(&contact).is_none_or(|record| record.offer.is_some());
        if !pending {
            self.start_offer(turn, contact);
        }
    }

    /// What every payload says besides its content: our epoch and base, and what we received.
    pub(super) fn payload(
        &self,
        contact: ContactId,
        number: Option<u64>,
        content: Content,
    ) -> Option<Payload> {
        let record = self.roster.contacts.get(&contact)?;
        let oldest = self.conversations.get(&contact).and_then(|talk| talk.unacked.keys().next());
        Some(Payload {
            epoch: record.sent.epoch,
            number,
            ack: latest_ack(record),
            base: oldest.copied().or(number).unwrap_or(record.sent.next),
            content,
        })
    }

    /// One step of a session's chain. The caller stores the changes before anything is sent.
    pub(super) fn encrypt(
        &mut self,
        turn: &mut Turn<'_, '_>,
        session: SessionId,
        payload: &Payload,
        purpose: EnvelopePurpose,
    ) -> Option<OutgoingRecord> {
        let step = self.sessions.get(&session)?.session.encrypt(turn.env, payload).ok()?;
        if cfg!(debug_assertions) {
            step.ledger.into_iter().for_each(|pair| turn.effect(Output::AuditNonce(pair)));
        }
        let outgoing = self.outgoing(turn, purpose, step.sealed);
        let record = self.sessions.get_mut(&session)?;
        *record.session = step.session;
        turn.put(Record::Session(record.clone()));
        turn.put(Record::Outgoing(outgoing.clone()));
        // Whatever we say acknowledges what we heard, if it lives as long as that.
        let contact = record.contact;
        let life = self.lifetime_of(purpose);
        if let Some(talk) = self.conversations.get_mut(&contact) {
            talk.base_to_announce.take_if(|base| *base <= payload.base);
            if talk.ack_lifetime.is_none_or(|owed| owed <= life) {
                (talk.received_since_ack, talk.ack_lifetime) = (0, None);
            }
            if talk.received_since_ack == 0 && !talk.receipt_due {
                self.timers.clear(Timer::Acknowledge(contact));
            }
        }
        Some(outgoing)
    }

    /// Takes back a message that is encrypted and was never published: its number is free again.
    pub(super) fn withdraw(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId, id: MessageId) {
        self.outbox.forget(turn, |kept| kept.purpose == EnvelopePurpose::Message(contact, id));
        let number = self.open_messages.get_mut(&id).and_then(|message| message.number.take());
        let Some(talk) = self.conversations.get_mut(&contact) else { return };
        talk.in_flight.remove(&id);
        let Some(number) = number else {
            talk.send_queue.retain(|&queued| queued != id);
            return;
        };
        talk.unacked.remove(&number);
        if let Some(record) = self.roster.contacts.get_mut(&contact) {
            record.sent.next = number;
            turn.put(Record::Contact(record.clone()));
        }
    }
}

fn latest_ack(contact: &ContactRecord) -> Option<Ack> {
    let ReceiveSequence { epoch, next, sack, read_up_to: _ } = *contact.received.last()?;
    Some(Ack { epoch, next, sack })
}
