//! Our side of a conversation: the next message, the same one again, and acknowledgements.
//!
//! Each is encrypted once, when its turn comes, and stored with the session's next state before it
//! can leave. What is said and heard meanwhile is [`super::talk`]'s.

use super::Node;
use super::outbound::Job;
use super::output::{MessageState, Output};
use super::record::{
    Change, ContactRecord, OutgoingRecord, PeerStream, Purpose, Record, RecordSide,
};
use super::talk::{Effects, Flight, SPAN};
use super::timers::Timer;
use crate::engine::env::{Env, Millis};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::session::{Ack, Content, Payload, SessionId};

/// Doubling ends at 2^6 resend delays, about an hour. A guess.
const MAX_DOUBLINGS: u32 = 6;

/// Sent so often without an acknowledgement, the contact may have lost its state: offer anew.
/// protocol.md 2.5.
const RESENDS_BEFORE_OFFER: u32 = 5;

impl Node {
    pub(super) fn on_acknowledge_due(&mut self, contact: ContactId) {
        self.outbox.push(Job::Acknowledge(contact));
    }

    /// Acknowledges, unless a message did so meanwhile.
    pub(super) fn begin_acknowledge(
        &mut self,
        env: &mut Env<'_>,
        contact: ContactId,
    ) -> Option<OutgoingRecord> {
        if self.talks.get(&contact)?.heard == 0 {
            return None;
        }
        let session = self.preferred(contact)?;
        let payload = self.payload(contact, None, Content::Nothing)?;
        let (record, changes) = self.encrypt(env, session, &payload, Purpose::Control(contact))?;
        self.commit(changes);
        Some(record)
    }

    /// Queues the next message of a conversation, if there is one and a session to send it in.
    pub(super) fn wake(&mut self, contact: ContactId) {
        let waits = self.talks.get(&contact).is_some_and(|talk| !talk.queued.is_empty());
        if waits && self.preferred(contact).is_some() {
            self.outbox.push(Job::Talk(contact));
        }
    }

    /// Encrypts the next queued message.
    pub(super) fn begin_talk(
        &mut self,
        env: &mut Env<'_>,
        contact: ContactId,
    ) -> Option<OutgoingRecord> {
        let session = self.preferred(contact)?;
        let number = self.book.contacts.get(&contact)?.ours.next;
        let talk = self.talks.get(&contact)?;
        let &id = talk.queued.front()?;
        let oldest = talk.unacknowledged.keys().next().copied().unwrap_or(number);
        if number.saturating_sub(oldest) >= SPAN {
            return None;
        }
        let text = self.open.get(&id)?.text.clone();
        let payload = self.payload(contact, Some(number), Content::Text(text))?;
        let encrypted = self.encrypt(env, session, &payload, Purpose::Message(contact, id));
        let Some((record, mut changes)) = encrypted else {
            self.renew(env, contact);
            return None;
        };
        let talk = self.talks.entry(contact).or_default();
        talk.queued.pop_front();
        talk.unacknowledged.insert(number, id);
        talk.flights.insert(id, Flight { session, times: 0, at: env.mono });
        if let Some(contact) = self.book.contacts.get_mut(&contact) {
            contact.ours.next = number.saturating_add(1);
            changes.push(Change::Put(Record::Contact(contact.clone())));
        }
        if let Some(message) = self.open.get_mut(&id) {
            message.number = Some(number);
        }
        let mut effects = Effects { changes, notices: Vec::new() };
        self.advance(id, MessageState::Mining, &mut effects);
        self.commit(effects.changes);
        for notice in effects.notices {
            self.notice(notice);
        }
        self.wake(contact);
        Some(record)
    }

    /// Encrypts a message that was not acknowledged once more, under its old number.
    pub(super) fn begin_resend(
        &mut self,
        env: &mut Env<'_>,
        id: MessageId,
    ) -> Option<OutgoingRecord> {
        let message = self.open.get(&id)?;
        if message.side != RecordSide::Ours(MessageState::Sent) {
            return None;
        }
        let contact = message.contact;
        let payload = self.payload(contact, message.number, Content::Text(message.text.clone()))?;
        let Some(session) = self.preferred(contact) else {
            // The session was closed, or lost: it goes in the next one.
            self.plan_resend(env, id, 0);
            self.recover(env, contact);
            return None;
        };
        let (mut changes, _) =
            self.outbox.forget(|kept| kept.purpose == Purpose::Message(contact, id));
        let encrypted = self.encrypt(env, session, &payload, Purpose::Message(contact, id));
        let Some((record, stored)) = encrypted else {
            self.commit(changes);
            self.plan_resend(env, id, 0);
            self.renew(env, contact);
            return None;
        };
        changes.extend(stored);
        self.commit(changes);
        let talk = self.talks.entry(contact).or_default();
        let times = talk.flights.get(&id).map_or(0, |flight| flight.times);
        talk.flights.insert(id, Flight { session, times, at: env.mono });
        Some(record)
    }

    /// The message is in the flood: count it, and plan to send it again.
    pub(super) fn on_message_sent(&mut self, env: &mut Env<'_>, contact: ContactId, id: MessageId) {
        self.advance_alone(id, MessageState::Sent);
        let mut times = 0;
        if let Some(flight) = self.talks.entry(contact).or_default().flights.get_mut(&id) {
            times = flight.times;
            flight.times = flight.times.saturating_add(1);
            flight.at = env.mono;
        }
        self.plan_resend(env, id, times);
        if times >= RESENDS_BEFORE_OFFER {
            self.renew(env, contact);
        }
    }

    fn plan_resend(&mut self, env: &mut Env<'_>, id: MessageId, times: u32) {
        let wait = Millis(self.settings.resend.0 << times.min(MAX_DOUBLINGS));
        let jitter = env.exponential(Millis(wait.0 / 8));
        self.timers.set(Timer::Resend(id), env.mono.plus(wait).plus(jitter));
    }

    /// Plans to send everything again that was never acknowledged.
    pub(super) fn resume_resends(&mut self, env: &mut Env<'_>, contact: ContactId) {
        let Some(talk) = self.talks.get(&contact) else { return };
        let ids: Vec<MessageId> = talk.unacknowledged.values().copied().collect();
        for id in ids {
            self.plan_resend(env, id, 0);
        }
    }

    /// Offers another session, unless an offer waits already.
    fn renew(&mut self, env: &mut Env<'_>, contact: ContactId) {
        let pending = self.book.contacts.get(&contact).is_none_or(|record| record.offer.is_some());
        if !pending {
            self.start_offer(env, contact);
        }
    }

    pub(super) fn on_resend_due(&mut self, message: MessageId) {
        self.outbox.push(Job::Resend(message));
    }

    /// What every payload says besides its content: our numbering, and what we have of theirs.
    pub(super) fn payload(
        &self,
        contact: ContactId,
        number: Option<u64>,
        content: Content,
    ) -> Option<Payload> {
        let record = self.book.contacts.get(&contact)?;
        let oldest = self.talks.get(&contact).and_then(|talk| talk.unacknowledged.keys().next());
        Some(Payload {
            stream: record.ours.stream,
            number,
            ack: latest_ack(record),
            base: oldest.copied().or(number).unwrap_or(record.ours.next),
            content,
        })
    }

    /// One step of a session's chain. The caller stores the changes before anything is sent.
    pub(super) fn encrypt(
        &mut self,
        env: &mut Env<'_>,
        session: SessionId,
        payload: &Payload,
        purpose: Purpose,
    ) -> Option<(OutgoingRecord, Vec<Change>)> {
        let step = self.sessions.get(&session)?.session.encrypt(env, payload).ok()?;
        if cfg!(debug_assertions) {
            self.outputs.extend(step.ledger.into_iter().map(Output::Ledger));
        }
        let outgoing = self.outgoing(env, purpose, step.sealed);
        let record = self.sessions.get_mut(&session)?;
        *record.session = step.session;
        let changes = vec![
            Change::Put(Record::Session(record.clone())),
            Change::Put(Record::Outgoing(outgoing.clone())),
        ];
        // Whatever we say acknowledges what we heard.
        if let Some(talk) = self.talks.get_mut(&record.contact) {
            talk.heard = 0;
        }
        self.timers.clear(Timer::Acknowledge(record.contact));
        Some((outgoing, changes))
    }

    /// Takes back a message that is encrypted and was never published: its number is free again.
    pub(super) fn unsend(&mut self, contact: ContactId, id: MessageId) -> Vec<Change> {
        let (mut changes, stopped) =
            self.outbox.forget(|kept| kept.purpose == Purpose::Message(contact, id));
        self.stop_mining(stopped);
        let number = self.open.get_mut(&id).and_then(|message| message.number.take());
        let Some(talk) = self.talks.get_mut(&contact) else { return changes };
        talk.flights.remove(&id);
        let Some(number) = number else {
            talk.queued.retain(|&queued| queued != id);
            return changes;
        };
        talk.unacknowledged.remove(&number);
        if let Some(record) = self.book.contacts.get_mut(&contact) {
            record.ours.next = number;
            changes.push(Change::Put(Record::Contact(record.clone())));
        }
        changes
    }
}

fn latest_ack(contact: &ContactRecord) -> Option<Ack> {
    let PeerStream { stream, next, beyond, read: _ } = *contact.theirs.last()?;
    Some(Ack { stream, next, beyond })
}
