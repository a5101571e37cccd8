//! How two people find each other: offers, requests, answers, and the end of a session.
//!
//! A stranger's offer causes nothing that anyone could see: it waits until a person decides. What a
//! node does answer by itself, it answers to contacts, after a delay drawn for each answer.

use std::collections::BTreeSet;

use crate::engine::env::{Millis, Seconds};
use crate::engine::envelope::Lifetime;
use crate::engine::envelope::wire::MAX_TTL;
use crate::engine::id::{ContactId, IdentityId, RequestId};
use crate::engine::session::{
    Content, Offer, OfferId, ReceivedOffer, Session, SessionId, SessionRole,
};

use super::MAX_REQUESTS;
use super::Node;
use super::publisher::Job;
use crate::engine::event::{ContactView, Event, RequestView, SessionStatus};
use crate::engine::record::{
    ContactRecord, ContactState, EnvelopePurpose, OutgoingRecord, PendingOffer, Record, RecordKey,
    ReplayRecord, RequestRecord, SessionRecord, StoredDirection,
};
use crate::engine::turn::{Timer, Turn};

/// Two would do for both sides starting at once; the rest is room for lost state. protocol.md 2.6.
pub const MAX_SESSIONS: usize = 8;

/// Half a minute before an offer is sent again, doubled each time. A guess.
const OFFER_RETRY: Millis = Millis::from_secs(30);

/// Doubling ends at 2^11 times half a minute, about 17 hours. protocol.md 2.6 says up to a day.
const MAX_DOUBLINGS: u32 = 11;

/// Skipped keys all sessions keep together, some 15 MiB. protocol.md 2.5.
const MAX_SKIPPED_TOTAL: usize = 100_000;

/// A day: how far two clocks may be apart before an offer is taken for a replay. protocol.md 2.3.
const DAY: Seconds = Seconds(86_400);

impl Node {
    /// Offers a session to a contact.
    pub(super) fn start_offer(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let Some(record) = self.roster.contacts.get_mut(&contact) else { return };
        if record.trust.is_on_hold() {
            return;
        }
        let Some(own) = self.roster.identities.get(&record.identity) else { return };
        let window = self.settings.window;
        let (offer, session) = Offer::new(turn.env, &own.identity, &record.key, window);
        record.state = ContactState::Active;
        record.offer = Some(Box::new(PendingOffer { offer, attempts: 0 }));
        turn.put(Record::Contact(record.clone()));
        self.add_session(turn, contact, session);
        turn.settle();
        self.outbox.push(Job::Offer(contact));
        self.emit_contact(turn, contact);
        self.schedule_send(contact);
    }

    /// Offers a session if there is something to say and none to say it in, though neither side
    /// closed one: it was silent too long, or its state was lost. After a backup was restored, which
    /// holds no sessions, one is offered though there is nothing to say: the contact speaks in one
    /// that is lost.
    pub(super) fn offer_if_needed(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let record = self.roster.contacts.get(&contact);
        let open = record
            .is_some_and(|record| record.state == ContactState::Active && record.offer.is_none());
        let waiting = self
            .conversations
            .get(&contact)
            .is_some_and(|talk| !talk.send_queue.is_empty() || !talk.unacked.is_empty());
        let restored = record.is_some_and(|record| record.restored.is_some());
        if open && (waiting || restored) && self.preferred(contact).is_none() {
            self.start_offer(turn, contact);
        }
    }

    /// Seals the pending offer afresh, in place of the envelope that carried it before.
    pub(super) fn begin_offer(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
    ) -> Option<OutgoingRecord> {
        let offer = &self.roster.contacts.get(&contact)?.offer.as_ref()?.offer;
        if !(turn.env.wall.minus(MAX_TTL)..=turn.env.wall.plus(DAY)).contains(&offer.created()) {
            // It waited so long, or our clock was so wrong, that nobody would take it.
            self.start_offer(turn, contact);
            return None;
        }
        let sealed = offer.seal(turn.env);
        let record = self.outgoing(turn, EnvelopePurpose::Offer(contact), sealed);
        self.outbox.forget(turn, |kept| kept.purpose == EnvelopePurpose::Offer(contact));
        turn.put(Record::Outgoing(record.clone()));
        turn.settle();
        Some(record)
    }

    /// The offer is in the flood: count it, and plan the next time.
    pub(super) fn on_offer_sent(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let Some(record) = self.roster.contacts.get_mut(&contact) else { return };
        let Some(pending) = &mut record.offer else { return };
        let wait = OFFER_RETRY.0 << pending.attempts.min(MAX_DOUBLINGS);
        pending.attempts = pending.attempts.saturating_add(1);
        let record = record.clone();
        turn.put(Record::Contact(record));
        turn.settle();
        let jitter = turn.env.exponential(Millis(wait / 8));
        self.timers.set(Timer::Offer(contact), turn.env.mono.plus(Millis(wait)).plus(jitter));
        self.emit_contact(turn, contact);
    }

    pub(super) fn on_offer_due(&mut self, contact: ContactId) {
        self.outbox.push(Job::Offer(contact));
    }

    /// An offer to one of our identities, opened and verified; it came in an envelope of this life.
    pub(super) fn on_offer(
        &mut self,
        turn: &mut Turn<'_, '_>,
        identity: IdentityId,
        offer: ReceivedOffer,
        life: Lifetime,
    ) {
        let from = offer.from();
        let born = self.roster.identities.get(&identity).map(|record| record.created.minus(DAY));
        let replayed = born.is_none_or(|born| offer.created() < born);
        if replayed || !offer.timely(turn.env.wall) || self.roster.is_own(&from) {
            return;
        }
        let contact = self.roster.contact_by_key(identity, &from);
        let contact = contact.map(|contact| (contact.id, contact.state));
        if self.roster.is_replay(offer.id()) {
            // Sent again, so our answer was lost or is late.
            if let Some((contact, _)) = contact {
                self.extend_ack_lifetime(contact, life);
                self.schedule_answer(turn, contact, session_of(offer.id()));
            }
            return;
        }
        match contact {
            Some((_, ContactState::Blocked)) => {}
            Some((contact, ContactState::Active | ContactState::Inactive)) => {
                self.extend_ack_lifetime(contact, life);
                self.accept_offer(turn, contact, &offer);
                let at = turn.env.mono.plus(turn.env.exponential(self.settings.reply_delay));
                self.timers.set_by(Timer::Answer(contact, session_of(offer.id())), at);
            }
            None => self.add_request(turn, identity, offer),
        }
    }

    /// Keeps a stranger's offer for a person to decide. A later offer of the same key replaces it.
    fn add_request(&mut self, turn: &mut Turn<'_, '_>, identity: IdentityId, offer: ReceivedOffer) {
        let same = self
            .roster
            .requests
            .values()
            .find(|request| request.identity == identity && request.offer.from() == offer.from())
            .map(|request| request.id);
        if same.is_none() && self.roster.requests.len() >= MAX_REQUESTS {
            let oldest = self.roster.requests.values().min_by_key(|request| request.arrived);
            if let Some(id) = oldest.map(|request| request.id) {
                self.roster.requests.remove(&id);
                turn.erase(RecordKey::Request(id));
                turn.emit(Event::RequestRemoved(id));
            }
        }
        self.remember_offer(turn, &offer);
        let id = same.unwrap_or_else(|| RequestId::draw(turn.env));
        let record = RequestRecord { id, identity, offer, arrived: turn.env.wall };
        turn.put(Record::Request(record.clone()));
        turn.settle();
        turn.emit(Event::Request(view_request(&record)));
        self.roster.requests.insert(id, record);
    }

    /// Opens the session a contact offered, and reads what arrived ahead of the offer.
    pub(super) fn accept_offer(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        offer: &ReceivedOffer,
    ) {
        let Some(record) = self.roster.contacts.get_mut(&contact) else { return };
        record.state = ContactState::Active;
        turn.put(Record::Contact(record.clone()));
        self.remember_offer(turn, offer);
        let session = offer.accept(turn.env, self.settings.window);
        let id = session.id();
        self.add_session(turn, contact, session);
        turn.settle();
        self.emit_contact(turn, contact);
        self.schedule_send(contact);
        // Its messages may have overtaken the offer.
        self.decrypt_waiting(turn, id);
    }

    fn remember_offer(&mut self, turn: &mut Turn<'_, '_>, offer: &ReceivedOffer) {
        let until = offer.created().plus(MAX_TTL).plus(DAY);
        let record = ReplayRecord { offer: offer.id(), until };
        if let Some(oldest) = self.roster.remember_offer(&record) {
            turn.erase(oldest);
        }
        turn.put(Record::Replay(record));
    }

    fn schedule_answer(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId, session: SessionId) {
        let waits = self
            .sessions
            .get(&session)
            .is_some_and(|record| record.contact == contact && !record.session.confirmed());
        if waits {
            let at = turn.env.mono.plus(turn.env.exponential(self.settings.reply_delay));
            self.timers.set_by(Timer::Answer(contact, session), at);
        }
    }

    pub(super) fn on_answer_due(&mut self, contact: ContactId, session: SessionId) {
        self.outbox.push(Job::AnswerOffer(contact, session));
    }

    /// Answers an offer, again and again until the contact is heard in that session.
    pub(super) fn begin_answer(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        session: SessionId,
    ) -> Option<OutgoingRecord> {
        let offered = &self.sessions.get(&session)?.session;
        if offered.confirmed() || self.has_newer_session(contact, offered) {
            return None;
        }
        let payload = self.payload(contact, None, Content::Answer)?;
        let record = self.encrypt(turn, session, &payload, EnvelopePurpose::Control(contact))?;
        turn.settle();
        let talk = self.conversations.entry(contact).or_default();
        let wait = Millis(self.settings.retransmit_after.0 << talk.answers_sent.min(MAX_DOUBLINGS));
        talk.answers_sent = talk.answers_sent.saturating_add(1);
        let at = turn.env.mono.plus(wait).plus(turn.env.exponential(Millis(wait.0 / 8)));
        self.timers.set(Timer::Answer(contact, session), at);
        self.emit_contact(turn, contact);
        Some(record)
    }

    /// Whether the contact was heard in a session later than this one. They have no use for an answer
    /// in this one then, would not speak in it, and would be answered forever.
    fn has_newer_session(&self, contact: ContactId, session: &Session) -> bool {
        self.sessions.values().any(|record| {
            record.contact == contact
                && record.session.confirmed()
                && age(&record.session) > age(session)
        })
    }

    /// Takes a session in; the least preferred gives way when a contact has too many. Never the one
    /// whose offer waits: it could be answered, and nobody would read the answer.
    fn add_session(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId, session: Session) {
        self.topic_index.add(&session);
        let record = SessionRecord { contact, session: Box::new(session) };
        turn.put(Record::Session(record.clone()));
        let newest = record.session.id();
        self.sessions.insert(newest, record);
        let pending = self.roster.contacts.get(&contact).and_then(|record| record.offer.as_ref());
        let pending = pending.map(|pending| session_of(pending.offer.id()));
        let stays = |id: SessionId| id == newest || Some(id) == pending;
        let mut ours: Vec<(SessionPreference, SessionId)> = self
            .sessions
            .values()
            .filter(|other| other.contact == contact && !stays(other.session.id()))
            .map(|other| (preference(&other.session), other.session.id()))
            .collect();
        ours.sort_unstable();
        let count = self.sessions.values().filter(|other| other.contact == contact).count();
        let excess = count.saturating_sub(MAX_SESSIONS);
        for (_, id) in ours.into_iter().take(excess) {
            self.drop_session(turn, id);
        }
    }

    /// Erases a session's keys and stops waiting at its topics.
    pub(super) fn drop_session(&mut self, turn: &mut Turn<'_, '_>, id: SessionId) {
        let Some(record) = self.sessions.remove(&id) else { return };
        self.topic_index.remove(&record.session);
        // What came early in it stays marked so.
        self.open_messages.retain(|_, message| {
            message.early != Some(id) || message.direction != StoredDirection::Delivered
        });
        self.timers.clear(Timer::Answer(record.contact, id));
        turn.erase(RecordKey::Session(id));
    }

    /// The session to send on: a confirmed one, else one the contact offered, else our own offer.
    pub(super) fn preferred(&self, contact: ContactId) -> Option<SessionId> {
        self.sessions
            .values()
            .filter(|record| record.contact == contact)
            .map(|record| &record.session)
            .max_by_key(|session| preference(session))
            .map(|session| session.id())
    }

    /// The session to send on, if the contact was heard in it.
    pub(super) fn confirmed_session(&self, contact: ContactId) -> Option<SessionId> {
        let preferred = self.preferred(contact)?;
        let session = &self.sessions.get(&preferred)?.session;
        session.confirmed().then_some(preferred)
    }

    /// Tells the contact the session is over. Keys and topics are erased in the change that stores
    /// the farewell.
    pub(super) fn close_sessions(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let speaks = if self.is_on_hold(contact) { None } else { self.preferred(contact) };
        let farewell = speaks.and_then(|session| {
            let payload = self.payload(contact, None, Content::Close)?;
            self.encrypt(turn, session, &payload, EnvelopePurpose::Control(contact))
        });
        if let Some(record) = farewell {
            self.outbox.push_encrypted(record);
        }
        self.end_sessions(turn, contact, ContactState::Inactive);
        turn.settle();
        self.emit_contact(turn, contact);
    }

    /// The contact told us a session is over: it and every one before it end here too. In one that
    /// is not confirmed it may not be the contact who says so, and that one ends alone.
    pub(super) fn on_close(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        closed: SessionId,
    ) {
        let Some(last) = self.sessions.get(&closed).map(|record| &record.session) else { return };
        let (confirmed, last) = (last.confirmed(), age(last));
        let ended: Vec<SessionId> = self
            .sessions
            .values()
            .filter(|record| record.contact == contact && age(&record.session) <= last)
            .map(|record| record.session.id())
            .filter(|&id| confirmed || id == closed)
            .collect();
        for id in ended {
            // A record put earlier in the same list is erased by what follows it.
            self.drop_session(turn, id);
        }
        let left = self.sessions.values().any(|record| record.contact == contact);
        if let Some(record) = self.roster.contacts.get_mut(&contact).filter(|_| !left) {
            record.state = ContactState::Inactive;
            record.offer = None;
            turn.put(Record::Contact(record.clone()));
        }
    }

    /// Erases all sessions with a contact and what was planned for them.
    pub(super) fn end_sessions(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        state: ContactState,
    ) {
        let ids: Vec<SessionId> = self
            .sessions
            .values()
            .filter(|record| record.contact == contact)
            .map(|record| record.session.id())
            .collect();
        for id in ids {
            self.drop_session(turn, id);
        }
        self.outbox.forget(turn, |kept| kept.purpose == EnvelopePurpose::Offer(contact));
        self.timers.clear(Timer::Offer(contact));
        self.timers.clear(Timer::Acknowledge(contact));
        self.timers.clear(Timer::GapReport(contact));
        if let Some(record) = self.roster.contacts.get_mut(&contact) {
            record.state = state;
            record.offer = None;
            turn.put(Record::Contact(record.clone()));
        }
    }

    /// Ages skipped keys, and erases sessions that were silent too long, or were superseded so long
    /// ago that nothing of theirs can still arrive; answers whose.
    pub(super) fn age_sessions(&mut self, turn: &mut Turn<'_, '_>) -> BTreeSet<ContactId> {
        let mut old = Vec::new();
        for record in self.sessions.values_mut() {
            if let Some(next) = record.session.age(turn.env.wall) {
                self.topic_index.update(&record.session, &next);
                *record.session = next;
                turn.put(Record::Session(record.clone()));
            }
            let session = &record.session;
            if session.is_idle(turn.env.wall)
                || session.created().plus(MAX_TTL).plus(DAY) < turn.env.wall
            {
                old.push((record.contact, session.id(), session.is_idle(turn.env.wall)));
            }
        }
        let mut left = BTreeSet::new();
        for (contact, id, idle) in old {
            let superseded = self.preferred(contact).is_some_and(|preferred| preferred != id);
            if superseded || idle {
                self.drop_session(turn, id);
                left.insert(contact);
            }
        }
        self.bound_skipped(turn);
        left
    }

    /// Forgets the oldest skipped keys when all sessions together keep too many.
    fn bound_skipped(&mut self, turn: &mut Turn<'_, '_>) {
        let total: usize = self.sessions.values().map(|record| record.session.skipped()).sum();
        let mut excess = total.saturating_sub(MAX_SKIPPED_TOTAL);
        while excess > 0 {
            let by_age = |record: &&mut SessionRecord| record.session.oldest_skipped();
            let holders = self.sessions.values_mut().filter(|record| record.session.skipped() > 0);
            let Some(record) = holders.min_by_key(by_age) else { return };
            let count = excess.min(record.session.skipped());
            let next = record.session.without_oldest(count);
            self.topic_index.update(&record.session, &next);
            *record.session = next;
            turn.put(Record::Session(record.clone()));
            excess -= count;
        }
    }

    /// Tells how a contact stands.
    pub(super) fn emit_contact(&self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let record = self.roster.contacts.get(&contact);
        if let Some(view) = record.and_then(|record| self.view_contact(record)) {
            turn.emit(Event::Contact(view));
        }
    }

    /// The contact as its owner sees it; `None` if its identity is gone, and it goes too.
    pub(super) fn view_contact(&self, record: &ContactRecord) -> Option<ContactView> {
        Some(ContactView {
            missing: record.missing(),
            read_receipts: record.read_receipts,
            restored: record.restored,
            id: record.id,
            identity: record.identity,
            petname: record.petname.clone(),
            key: record.key,
            session: self.session_status(record),
            trust: record.trust,
            safety_number: self.safety_number(record)?,
            sas: self.own_sas(record.id),
        })
    }

    fn session_status(&self, contact: &ContactRecord) -> SessionStatus {
        if contact.state == ContactState::Blocked {
            return SessionStatus::Blocked;
        }
        let usable = self.preferred(contact.id).and_then(|id| self.sessions.get(&id));
        match (usable.map(|record| &record.session), &contact.offer) {
            (Some(session), _) if session.confirmed() => SessionStatus::Established,
            (Some(session), _) if session.role() == SessionRole::Responder => {
                SessionStatus::AwaitingConfirmation
            }
            (_, Some(pending)) if pending.attempts == 0 => SessionStatus::OfferQueued,
            (_, Some(_)) => SessionStatus::OfferSent,
            (_, None) => SessionStatus::None,
        }
    }
}

/// How much a session is preferred: confirmed first, then offered by the contact, then the latest.
/// Both sides know all three, so they prefer the same one without comparing clocks. What somebody
/// offered who stole our key is never confirmed, so a session that is loses nothing to it.
type SessionPreference = (bool, bool, (crate::engine::env::UnixSeconds, SessionId));

fn preference(session: &Session) -> SessionPreference {
    (
        session.confirmed(),
        session.role() == SessionRole::Responder && !session.confirmed(),
        age(session),
    )
}

/// A session has the name of the offer it came from.
pub(super) fn session_of(offer: OfferId) -> SessionId {
    SessionId(offer.0)
}

fn age(session: &Session) -> (crate::engine::env::UnixSeconds, SessionId) {
    (session.created(), session.id())
}

pub(super) fn view_request(record: &RequestRecord) -> RequestView {
    RequestView {
        id: record.id,
        identity: record.identity,
        key: record.offer.from(),
        arrived: record.arrived,
    }
}
