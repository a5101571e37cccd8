//! A node as it was before the process ended.
//!
//! Nothing is encrypted again: an envelope that was stored unfinished is mined as it is, one that
//! was finished is published as it is.

use crate::engine::env::Env;
use crate::engine::session::{Session, SessionRole};

use super::Node;
use super::commands::view_identity;
use super::meet::view_request;
use super::publisher::Job;
use crate::engine::event::Event;
use crate::engine::record::MessageState;
use crate::engine::record::{
    EnvelopePurpose, MessageRecord, OutgoingRecord, Record, RecordKey, SessionRecord,
    StoredDirection,
};
use crate::engine::turn::{Timer, Turn};

impl Node {
    /// Takes back what the store kept, in the order it was first stored.
    ///
    /// Call once, before the first turn; then carry out the outputs. [`Node::snapshot`] tells what
    /// there is.
    pub fn restore(&mut self, env: &mut Env<'_>, records: Vec<Record>) {
        self.in_turn(env, |node, turn| node.take_back(turn, records));
    }

    fn take_back(&mut self, turn: &mut Turn<'_, '_>, records: Vec<Record>) {
        self.started_at = turn.env.wall;
        let mut outgoing = Vec::new();
        let mut surplus: Vec<RecordKey> = Vec::new();
        let mut messages = Vec::new();
        for record in records {
            match record {
                Record::Identity(record) => {
                    self.roster.identities.insert(record.id, record);
                }
                Record::Contact(record) => {
                    self.conversations.entry(record.id).or_default().restored_next =
                        record.sent.next;
                    self.roster.contacts.insert(record.id, record);
                }
                Record::Session(record) => self.restore_session(record),
                Record::Request(record) => {
                    self.roster.requests.insert(record.id, record);
                }
                Record::Replay(record) => surplus.extend(self.roster.remember_offer(&record)),
                Record::Message(record) => messages.push(record),
                Record::Outgoing(record) => outgoing.push(record),
            }
        }
        surplus.into_iter().for_each(|key| turn.erase(key));
        turn.settle();
        for record in outgoing {
            self.restore_outgoing(record);
        }
        for record in messages {
            self.restore_message(turn, record);
        }
        self.resume(turn);
    }

    fn restore_session(&mut self, record: SessionRecord) {
        self.topic_index.add(&record.session);
        self.sessions.insert(record.session.id(), record);
    }

    fn restore_outgoing(&mut self, record: OutgoingRecord) {
        match (record.purpose, &record.envelope) {
            // Sealed afresh when its turn comes.
            (EnvelopePurpose::Offer(_) | EnvelopePurpose::Junk, None) => {}
            (_, None) => self.outbox.push_encrypted(record),
            (_, Some(_)) => self.outbox.keep(record),
        }
    }

    fn restore_message(&mut self, turn: &mut Turn<'_, '_>, record: MessageRecord) {
        let (id, contact) = (record.id, record.contact);
        let talk = self.conversations.entry(contact).or_default();
        match (record.direction, record.number) {
            (StoredDirection::Buffered { epoch }, Some(number)) => {
                talk.reorder_buffer.insert((epoch, number), id);
            }
            (StoredDirection::Outgoing(MessageState::Queued), _) => talk.send_queue.push_back(id),
            (
                StoredDirection::Outgoing(
                    MessageState::Mining | MessageState::Sent | MessageState::Unacknowledged,
                ),
                Some(number),
            ) => {
                talk.unacked.insert(number, id);
                self.open_messages.insert(id, record);
                return self.resume_message(turn, id);
            }
            // Given up; a person asked to send it again if it did not leave since.
            (StoredDirection::Outgoing(MessageState::Unacknowledged), None) => {
                if record.delivery.first_sent.is_none() {
                    talk.send_queue.push_back(id);
                }
            }
            (StoredDirection::Outgoing(MessageState::Failed | MessageState::Cancelled), _) => {}
            // Marked until its session is confirmed; for ever, if that is gone.
            (StoredDirection::Delivered, _) if self.is_early(&record) => {}
            (
                // Delivered is done with: no read receipt is waited for over a restart.
                StoredDirection::Outgoing(
                    MessageState::Mining
                    | MessageState::Sent
                    | MessageState::Delivered
                    | MessageState::Read,
                )
                | StoredDirection::Delivered
                | StoredDirection::Buffered { .. },
                _,
            ) => return,
        }
        self.open_messages.insert(id, record);
    }

    fn is_early(&self, message: &MessageRecord) -> bool {
        message.early.is_some_and(|session| self.sessions.contains_key(&session))
    }

    /// Plans what was under way when the process ended.
    fn resume(&mut self, turn: &mut Turn<'_, '_>) {
        self.schedule_junk(turn);
        self.timers.set(Timer::Sweep, turn.env.mono);
        let contacts: Vec<_> =
            self.roster.contacts.values().map(|c| (c.id, c.offer.is_some())).collect();
        for (contact, pending) in contacts {
            if pending {
                self.outbox.push(Job::Offer(contact));
            }
            self.schedule_send(contact);
            self.offer_if_needed(turn, contact);
            self.expedite_oldest(turn, contact);
            self.update_gap_report(turn, contact);
        }
        let unanswered: Vec<_> = self
            .sessions
            .values()
            .filter(|record| is_unanswered(&record.session))
            .map(|record| (record.contact, record.session.id()))
            .collect();
        for (contact, session) in unanswered {
            self.outbox.push(Job::AnswerOffer(contact, session));
        }
    }

    /// Everything a person would care for, as events: for whoever begins to look.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Event> {
        let identities = self.roster.identities.values().map(view_identity).map(Event::Identity);
        let contacts = self.roster.contacts.values().filter_map(|record| self.view_contact(record));
        let requests = self.roster.requests.values().map(view_request).map(Event::Request);
        identities.chain(contacts.map(Event::Contact)).chain(requests).collect()
    }
}

/// Whether a contact's offer was let in, and they have not confirmed our answer.
fn is_unanswered(session: &Session) -> bool {
    session.role() == SessionRole::Responder && !session.confirmed()
}
