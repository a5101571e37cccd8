//! The conversation above the sessions: numbers, order, acknowledgements, sending again.
//!
//! A message keeps its number across sending again and across sessions, so it is shown once and in
//! its place whatever the network does. Nothing is given up: a message is sent again, each time
//! encrypted afresh under another topic, until it is acknowledged or taken back.

use std::collections::{BTreeMap, VecDeque};

use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::session::{Ack, Content, Payload, SessionId};
use crate::engine::text::PeerText;

use super::Node;
use super::outbound::Job;
use super::output::{MessageState, MessageView, Notice, Output, Side};
use super::record::{
    Change, ContactRecord, MAX_PEER_STREAMS, MessageRecord, OutgoingRecord, PeerStream, Purpose,
    Record, RecordSide,
};
use super::timers::Timer;

/// How far the newest message may be ahead of the oldest one that was not acknowledged: what the
/// bits of one acknowledgement reach.
pub const SPAN: u64 = 64;

/// So many messages heard are acknowledged without the usual delay, lest the sender stand still.
const HEARD_AT_MOST: u32 = 32;

/// Doubling ends at 2^6 resend delays, about an hour. A guess.
const MAX_DOUBLINGS: u32 = 6;

/// Sent so often without an acknowledgement, the contact may have lost its state: offer anew.
/// protocol.md 2.5.
const RESENDS_BEFORE_OFFER: u32 = 5;

/// What a node remembers of one conversation between turns; all of it can be rebuilt from records.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Accepted and not encrypted yet, in order.
    pub(super) queued: VecDeque<MessageId>,
    /// Encrypted at least once and not acknowledged, by number.
    pub(super) unacknowledged: BTreeMap<u64, MessageId>,
    /// Where each of them was last encrypted.
    flights: BTreeMap<MessageId, Flight>,
    /// Theirs that wait for the ones before them, by numbering and number.
    pub(super) held: BTreeMap<(u64, u64), MessageId>,
    /// Theirs that were not acknowledged yet; counts repeated ones too.
    heard: u32,
    /// How often their offer was answered since they were last heard.
    pub(super) answers: u32,
}

/// The last time a message was sent.
#[derive(Clone, Copy, Debug)]
struct Flight {
    session: SessionId,
    position: u32,
    times: u32,
    at: Millis,
}

/// What one payload changes and tells, gathered so that it takes effect at once.
#[derive(Debug, Default)]
struct Effects {
    changes: Vec<Change>,
    notices: Vec<Notice>,
}

impl Node {
    /// A payload from a contact, decrypted; the session has moved on.
    pub(super) fn on_payload(&mut self, env: &mut Env<'_>, session: SessionId, payload: Payload) {
        let Some(record) = self.sessions.get(&session) else { return };
        let contact = record.contact;
        let mut effects = Effects::default();
        effects.changes.push(Change::Put(Record::Session(record.clone())));
        self.on_heard(contact, &mut effects);
        if let Some(ack) = &payload.ack {
            self.on_ack(env, contact, ack, &mut effects);
        }
        self.skip_gaps(contact, payload.stream, payload.base, &mut effects);
        match payload.content {
            Content::Text(text) => {
                if let Some(number) = payload.number {
                    let place = Place { contact, stream: payload.stream, number };
                    self.on_text(env, place, text, &mut effects);
                }
            }
            Content::Answer => self.plan_acknowledgement(env, contact),
            Content::Close => self.on_close(contact, session, &mut effects.changes),
            Content::Nothing => {}
            Content::Unknown => {
                // A later version's message: it takes its place in the order, and is passed over.
                if let Some(number) = payload.number {
                    let place = Place { contact, stream: payload.stream, number };
                    self.on_unknown(env, place, &mut effects);
                }
            }
        }
        self.commit(effects.changes);
        self.notice_contact(contact);
        for notice in effects.notices {
            self.notice(notice);
        }
        self.wake(contact);
    }

    /// The contact speaks in a session, so our offer is answered or not needed.
    fn on_heard(&mut self, contact: ContactId, effects: &mut Effects) {
        self.talks.entry(contact).or_default().answers = 0;
        let Some(record) = self.book.contacts.get_mut(&contact) else { return };
        if record.offer.take().is_none() {
            return;
        }
        effects.changes.push(Change::Put(Record::Contact(record.clone())));
        let (erased, stopped) = self.outbox.forget(|kept| kept.purpose == Purpose::Offer(contact));
        effects.changes.extend(erased);
        self.stop_mining(stopped);
        self.outbox.drop_jobs(|job| *job == Job::Offer(contact));
        self.timers.clear(Timer::Offer(contact));
    }

    /// Marks what the contact has received, and hurries what it lacks.
    fn on_ack(&mut self, env: &mut Env<'_>, contact: ContactId, ack: &Ack, effects: &mut Effects) {
        let ours = self.book.contacts.get(&contact).map(|record| record.ours.stream);
        let Some(talk) = self.talks.get_mut(&contact).filter(|_| ours == Some(ack.stream)) else {
            return;
        };
        let received: Vec<(u64, MessageId)> = talk
            .unacknowledged
            .iter()
            .filter(|&(&number, _)| ack.covers(number))
            .map(|(&number, &id)| (number, id))
            .collect();
        let Some(&(highest, _)) = received.last() else { return };
        let mut flown = Vec::new();
        for &(number, id) in &received {
            talk.unacknowledged.remove(&number);
            flown.extend(talk.flights.remove(&id));
        }
        // Long enough that what is merely late is not taken for lost.
        let in_flight = Millis(self.settings.resend.0 / 4);
        let overtaken: Vec<MessageId> = talk
            .unacknowledged
            .range(..highest)
            .filter(|(_, id)| {
                let flight = talk.flights.get(id);
                flight.is_some_and(|flight| flight.at.plus(in_flight) < env.mono)
            })
            .map(|(_, &id)| id)
            .collect();
        for id in overtaken {
            let at = env.mono.plus(env.exponential(self.settings.reply_delay));
            self.timers.set_by(Timer::Resend(id), at);
        }
        for flight in flown {
            self.heard_of(flight, effects);
        }
        for (_, id) in received {
            self.delivered(contact, id, effects);
        }
    }

    /// The session's window moves on: the contact has this position.
    fn heard_of(&mut self, flight: Flight, effects: &mut Effects) {
        if let Some(record) = self.sessions.get_mut(&flight.session) {
            record.session = record.session.heard_of(flight.position);
            effects.changes.push(Change::Put(Record::Session(record.clone())));
        }
    }

    fn delivered(&mut self, contact: ContactId, id: MessageId, effects: &mut Effects) {
        self.timers.clear(Timer::Resend(id));
        self.outbox.drop_jobs(|job| *job == Job::Resend(id));
        let (erased, stopped) =
            self.outbox.forget(|kept| kept.purpose == Purpose::Message(contact, id));
        effects.changes.extend(erased);
        self.stop_mining(stopped);
        // A crash after publishing can leave the record one state behind the truth.
        self.advance(id, MessageState::Sent, effects);
        self.advance(id, MessageState::Delivered, effects);
        self.open.remove(&id);
    }

    /// Moves a message of ours on, if it may.
    fn advance(&mut self, id: MessageId, to: MessageState, effects: &mut Effects) {
        let Some(message) = self.open.get_mut(&id) else { return };
        let RecordSide::Ours(from) = message.side else { return };
        if !from.may_become(to) {
            return;
        }
        message.side = RecordSide::Ours(to);
        effects.changes.push(Change::Put(Record::Message(message.clone())));
        effects.notices.push(Notice::State { message: id, contact: message.contact, state: to });
    }

    /// Moves a message of ours on and stores that.
    pub(super) fn advance_alone(&mut self, id: MessageId, to: MessageState) {
        let mut effects = Effects::default();
        self.advance(id, to, &mut effects);
        self.commit(effects.changes);
        for notice in effects.notices {
            self.notice(notice);
        }
    }

    /// A text with its number: shown if it is the next, held if others come before it.
    fn on_text(&mut self, env: &mut Env<'_>, place: Place, text: String, effects: &mut Effects) {
        let Some(stream) = self.stream_mut(place, effects) else { return };
        let taken = stream.take(place.number);
        match taken {
            Taken::TooFar => return,
            Taken::Known => return self.plan_acknowledgement(env, place.contact),
            Taken::Next | Taken::Beyond => {}
        }
        let shown = matches!(taken, Taken::Next);
        let side =
            if shown { RecordSide::Shown } else { RecordSide::Held { stream: place.stream } };
        let message = MessageRecord {
            id: MessageId::draw(env),
            contact: place.contact,
            side,
            number: Some(place.number),
            text,
            at: env.wall,
            missing: 0,
        };
        effects.changes.push(Change::Put(Record::Message(message.clone())));
        self.put_contact(place.contact, effects);
        if shown {
            effects.notices.push(Notice::Message(view_message(&message)));
            self.release(place.contact, place.stream, 0, effects);
        } else {
            let talk = self.talks.entry(place.contact).or_default();
            talk.held.insert((place.stream, place.number), message.id);
            self.open.insert(message.id, message);
        }
        self.plan_acknowledgement(env, place.contact);
    }

    fn on_unknown(&mut self, env: &mut Env<'_>, place: Place, effects: &mut Effects) {
        let Some(stream) = self.stream_mut(place, effects) else { return };
        if stream.take(place.number) == Taken::TooFar {
            return;
        }
        self.put_contact(place.contact, effects);
        self.release(place.contact, place.stream, 0, effects);
        self.plan_acknowledgement(env, place.contact);
    }

    /// The numbering a text belongs to. One not seen before starts now, and whatever waited in the
    /// others is shown: their gaps will not be filled.
    fn stream_mut(&mut self, place: Place, effects: &mut Effects) -> Option<&mut PeerStream> {
        let known = self
            .book
            .contacts
            .get(&place.contact)?
            .theirs
            .iter()
            .position(|stream| stream.stream == place.stream);
        if known.is_none() {
            self.release_all(place.contact, effects);
        }
        let theirs = &mut self.book.contacts.get_mut(&place.contact)?.theirs;
        let stream = match known {
            Some(index) => theirs.remove(index),
            None => PeerStream { stream: place.stream, next: 0, beyond: 0 },
        };
        if theirs.len() >= MAX_PEER_STREAMS {
            theirs.remove(0);
        }
        theirs.push(stream);
        theirs.last_mut()
    }

    /// The sender holds nothing below `base` any more: gaps below it will never be filled.
    fn skip_gaps(&mut self, contact: ContactId, stream: u64, base: u64, effects: &mut Effects) {
        let Some(record) = self.book.contacts.get_mut(&contact) else { return };
        let Some(known) = record.theirs.iter_mut().find(|known| known.stream == stream) else {
            return;
        };
        let missing = known.skip_to(base);
        if missing == 0 {
            return;
        }
        self.put_contact(contact, effects);
        self.release(contact, stream, missing, effects);
    }

    /// Shows what waited and waits no longer.
    fn release(&mut self, contact: ContactId, stream: u64, missing: u64, effects: &mut Effects) {
        let Some(record) = self.book.contacts.get(&contact) else { return };
        let Some(known) = record.theirs.iter().find(|known| known.stream == stream) else { return };
        let next = known.next;
        let Some(talk) = self.talks.get_mut(&contact) else { return };
        let free: Vec<(u64, u64)> =
            talk.held.range((stream, 0)..(stream, next)).map(|(&place, _)| place).collect();
        self.show(contact, free, missing, effects);
    }

    fn release_all(&mut self, contact: ContactId, effects: &mut Effects) {
        let Some(talk) = self.talks.get(&contact) else { return };
        let all = talk.held.keys().copied().collect();
        self.show(contact, all, 1, effects);
    }

    fn show(
        &mut self,
        contact: ContactId,
        places: Vec<(u64, u64)>,
        missing: u64,
        effects: &mut Effects,
    ) {
        let mut missing = missing;
        for place in places {
            let id = self.talks.get_mut(&contact).and_then(|talk| talk.held.remove(&place));
            let Some(mut message) = id.and_then(|id| self.open.remove(&id)) else { continue };
            message.side = RecordSide::Shown;
            message.missing = core::mem::take(&mut missing);
            effects.notices.push(Notice::Message(view_message(&message)));
            effects.changes.push(Change::Put(Record::Message(message)));
        }
    }

    fn put_contact(&self, contact: ContactId, effects: &mut Effects) {
        if let Some(record) = self.book.contacts.get(&contact) {
            effects.changes.push(Change::Put(Record::Contact(record.clone())));
        }
    }

    /// Something was heard that deserves an acknowledgement: soon, not at once.
    fn plan_acknowledgement(&mut self, env: &mut Env<'_>, contact: ContactId) {
        let talk = self.talks.entry(contact).or_default();
        talk.heard = talk.heard.saturating_add(1);
        let delay = if talk.heard >= HEARD_AT_MOST {
            Millis(0)
        } else {
            env.exponential(self.settings.reply_delay)
        };
        self.timers.set_by(Timer::Acknowledge(contact), env.mono.plus(delay));
    }

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
        let (record, changes, _) =
            self.encrypt(env, session, &payload, Purpose::Control(contact))?;
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
        let Some((record, mut changes, position)) = encrypted else {
            self.renew(env, contact);
            return None;
        };
        let talk = self.talks.entry(contact).or_default();
        talk.queued.pop_front();
        talk.unacknowledged.insert(number, id);
        talk.flights.insert(id, Flight { session, position, times: 0, at: env.mono });
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
            // The session was closed: it goes in the next one.
            self.plan_resend(env, id, 0);
            return None;
        };
        let (mut changes, _) =
            self.outbox.forget(|kept| kept.purpose == Purpose::Message(contact, id));
        let encrypted = self.encrypt(env, session, &payload, Purpose::Message(contact, id));
        let Some((record, stored, position)) = encrypted else {
            self.commit(changes);
            self.plan_resend(env, id, 0);
            self.renew(env, contact);
            return None;
        };
        changes.extend(stored);
        self.commit(changes);
        let talk = self.talks.entry(contact).or_default();
        let times = talk.flights.get(&id).map_or(0, |flight| flight.times);
        talk.flights.insert(id, Flight { session, position, times, at: env.mono });
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
    ) -> Option<(OutgoingRecord, Vec<Change>, u32)> {
        let step = self.sessions.get(&session)?.session.encrypt(env, payload).ok()?;
        if cfg!(debug_assertions) {
            self.outputs.push_back(Output::Ledger(step.ledger));
        }
        let outgoing = self.outgoing(env, purpose, step.sealed);
        let record = self.sessions.get_mut(&session)?;
        record.session = step.session;
        let changes = vec![
            Change::Put(Record::Session(record.clone())),
            Change::Put(Record::Outgoing(outgoing.clone())),
        ];
        // Whatever we say acknowledges what we heard.
        if let Some(talk) = self.talks.get_mut(&record.contact) {
            talk.heard = 0;
        }
        self.timers.clear(Timer::Acknowledge(record.contact));
        Some((outgoing, changes, step.position))
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

/// Where a text belongs.
#[derive(Clone, Copy, Debug)]
struct Place {
    contact: ContactId,
    stream: u64,
    number: u64,
}

fn latest_ack(contact: &ContactRecord) -> Option<Ack> {
    let PeerStream { stream, next, beyond } = *contact.theirs.last()?;
    Some(Ack { stream, next, beyond })
}

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was the next; those that followed it without a gap are passed too.
    Next,
    /// Others before it are missing.
    Beyond,
    /// It was taken before.
    Known,
    /// It is further ahead than an honest sender goes. Nothing changed.
    TooFar,
}

impl PeerStream {
    /// Notes that `number` was received.
    pub(super) fn take(&mut self, number: u64) -> Taken {
        let Some(ahead) = number.checked_sub(self.next) else { return Taken::Known };
        if ahead == 0 {
            self.advance();
            return Taken::Next;
        }
        if ahead > SPAN {
            return Taken::TooFar;
        }
        let bit = 1_u64 << (ahead - 1);
        if self.beyond & bit != 0 {
            return Taken::Known;
        }
        self.beyond |= bit;
        Taken::Beyond
    }

    /// Gives up on what is missing below `base`; answers how many those are.
    pub(super) fn skip_to(&mut self, base: u64) -> u64 {
        let mut missing = 0_u64;
        while self.next < base {
            if self.beyond == 0 {
                missing = missing.saturating_add(base - self.next);
                self.next = base;
                break;
            }
            missing = missing.saturating_add(1);
            self.advance();
        }
        missing
    }

    fn advance(&mut self) {
        loop {
            self.next = self.next.saturating_add(1);
            let following = self.beyond & 1 != 0;
            self.beyond >>= 1;
            if !following {
                return;
            }
        }
    }
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
            side: match self.side {
                RecordSide::Ours(state) => Side::Ours(state),
                RecordSide::Shown | RecordSide::Held { .. } => Side::Theirs,
            },
            number: self.number,
            text: PeerText::new(self.text.clone()),
            at: self.at,
            missing: self.missing,
        }
    }
}

/// A message of ours that was just accepted.
pub(super) fn accepted(
    id: MessageId,
    contact: ContactId,
    text: String,
    at: UnixSeconds,
) -> MessageRecord {
    MessageRecord {
        id,
        contact,
        side: RecordSide::Ours(MessageState::Queued),
        number: None,
        text,
        at,
        missing: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_stream_agrees_with_a_plain_set_of_numbers(
            steps in proptest::collection::vec((0_u64..150, proptest::bool::weighted(0.05)), 1..300),
        ) {
            let mut stream = PeerStream::default();
            let mut have = BTreeSet::new();
            for (number, skip) in steps {
                if skip {
                    let missing = (0..number).filter(|n| !have.contains(n)).count() as u64;
                    prop_assert_eq!(stream.skip_to(number), missing);
                    have.extend(0..number);
                } else {
                    let next = (0..).find(|n| !have.contains(n)).unwrap();
                    let expected = if have.contains(&number) {
                        Taken::Known
                    } else if number == next {
                        Taken::Next
                    } else if number > next + SPAN {
                        Taken::TooFar
                    } else {
                        Taken::Beyond
                    };
                    prop_assert_eq!(stream.take(number), expected);
                    if expected != Taken::TooFar {
                        have.insert(number);
                    }
                }
                let next = (0..).find(|n| !have.contains(n)).unwrap();
                prop_assert_eq!(stream.next, next);
                for k in 0..64 {
                    prop_assert_eq!(stream.beyond >> k & 1 == 1, have.contains(&(next + 1 + k)));
                }
            }
        }
    }

    #[test]
    fn a_hostile_base_takes_no_time() {
        let mut stream = PeerStream { stream: 1, next: 0, beyond: 0b101 };
        assert_eq!(stream.skip_to(u64::MAX), u64::MAX - 2);
        assert_eq!(stream.next, u64::MAX);
    }
}
