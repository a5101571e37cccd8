//! The half of a node that has identities: it routes the envelopes that the gate let through to
//! conversations.
//!
//! A [`Messenger`] decides nothing about a contact: it finds the conversation that watches a topic,
//! the identity an offer is for, and the conversation a timer or a job is about. It can be dropped
//! and restored from the store while the carrier goes on.

use std::collections::BTreeMap;

use crate::engine::carrier::Carriage;
use crate::engine::conversation::{
    self, Conversation, HeldBackIn, MAX_CLOCK_DIFFERENCE, Need, Opened, Provenance, Stay, Swept,
};
use crate::engine::crypto::keys::PublicKey;
use crate::engine::env::{Millis, Seconds, UnixSeconds};
use crate::engine::envelope::CheckedEnvelope;
use crate::engine::envelope::check::CLOCK_TOLERANCE;
use crate::engine::envelope::draft::HEAD_START;
use crate::engine::envelope::wire::{ENVELOPE_SIZE, GRID};
use crate::engine::event::Event;
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::price::{ShownWork, Step};
use crate::engine::record::{ContactState, EnvelopePurpose, OutgoingRecord, RequestRecord};
use crate::engine::relay::Source;
use crate::engine::session::{ReceivedOffer, SessionId};
use crate::engine::turn::{ContactJob, ContactTimer, Timer, Turn};

use super::requests::STORE_EVERY;
use super::roster::Roster;

/// Skipped keys all sessions keep together, some 15 MiB. A guess.
const MAX_SKIPPED_IN_ALL: usize = 100_000;

/// How long a reply is kept back at most by a node that is about to end: long enough for several not
/// to leave together, short enough for whoever waits for that end. A guess.
const PARTING_DELAY: Millis = Millis::from_secs(2);

/// The roster and every conversation.
#[derive(Debug, Default)]
pub(super) struct Messenger {
    pub(super) roster: Roster,
    pub(super) conversations: BTreeMap<ContactId, Conversation>,
    /// When it was restored from the store, by both clocks: an older envelope may be of a time that
    /// a rollback erased.
    pub(super) started_at: (Millis, UnixSeconds),
}

impl Messenger {
    /// Opens an envelope if it is for us: first the topics of sessions, then one trial for each
    /// identity. Nothing that is visible outside depends on the result.
    pub(super) fn receive(
        &mut self,
        turn: &mut Turn<'_, '_>,
        carriage: &dyn Carriage,
        checked: &CheckedEnvelope,
        source: Source,
    ) {
        // A topic has 4 bytes, so several sessions may watch it, and a match proves nothing until
        // one of them decrypts.
        for (contact, session) in turn.topics.candidates(checked.topic()) {
            if self.decrypt(turn, (contact, session), checked, (carriage, source)) {
                return;
            }
        }
        // Messengers make envelopes of one size. Trial decryption of others would be a way to have
        // us compute for nothing.
        if checked.bytes().len() != ENVELOPE_SIZE {
            return;
        }
        let envelope = checked.envelope();
        if let Some((identity, offer)) = ReceivedOffer::find(self.roster.keys(), envelope.data) {
            self.on_offer(turn, carriage, (identity, offer), checked);
        }
    }

    /// Our messages that were not published, in all conversations.
    pub(super) fn unsent(&self) -> usize {
        self.conversations.values().map(Conversation::unsent).sum()
    }

    /// The present state as events, for a front end that begins to watch.
    pub(super) fn snapshot(&self) -> Vec<Event> {
        let contacts = self.conversations.values().map(|conversation| conversation.view());
        let identities = self.roster.identity_views().map(Event::Identity);
        let requests = self.roster.request_views().map(Event::Request);
        identities.chain(contacts.map(Box::new).map(Event::Contact)).chain(requests).collect()
    }

    /// The conversation that still holds a message.
    pub(super) fn holding(&mut self, message: MessageId) -> Option<&mut Conversation> {
        self.conversations.values_mut().find(|conversation| conversation.holds(message))
    }

    /// The contact of `identity` with this key.
    pub(super) fn contact_by_key(
        &self,
        identity: IdentityId,
        key: &PublicKey,
    ) -> Option<ContactId> {
        let found = self.conversations.iter().find(|(_, conversation)| {
            let card = conversation.card();
            card.identity == identity && card.key == key
        });
        found.map(|(&id, _)| id)
    }

    /// Turns a job into an encrypted envelope; `None` if there is no need for it any more.
    pub(super) fn next_envelope(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        job: ContactJob,
    ) -> Option<OutgoingRecord> {
        let conversation = self.conversations.get_mut(&contact)?;
        conversation::next_envelope(conversation, turn, job)
    }

    /// What there is to do about a job, and what its envelope may cost.
    pub(super) fn need(&self, turn: &Turn<'_, '_>, contact: ContactId, job: ContactJob) -> Need {
        let conversation = self.conversations.get(&contact);
        conversation
            .map_or(Need::None, |conversation| conversation::need(conversation, turn.settings, job))
    }

    /// The highest step to pay for an envelope with this purpose; `None` if it is for nobody.
    pub(super) fn highest(&self, turn: &Turn<'_, '_>, purpose: EnvelopePurpose) -> Option<Step> {
        let conversation = self.conversations.get(&purpose.contact()?)?;
        Some(conversation::highest(conversation, turn.settings, purpose))
    }

    /// Tells of each contact whose messages may cost something else, or of which something else is
    /// held back.
    pub(super) fn tell_held_back(&mut self, turn: &mut Turn<'_, '_>) {
        for contact in turn.outbox.take_repriced() {
            if let Some(conversation) = self.conversations.get_mut(&contact) {
                conversation::tell_held_back(conversation, turn);
            }
        }
        // What was found to be needless meanwhile is told.
        turn.outbox.take_repriced();
    }

    /// What is held back in all conversations.
    pub(super) fn held_back(&self) -> HeldBackIn {
        let mut all = HeldBackIn::default();
        for conversation in self.conversations.values() {
            conversation::add_held_back(conversation, &mut all);
        }
        all
    }

    /// The step that a message of ours was last published for, in this process.
    pub(super) fn paid(&self, contact: ContactId, message: MessageId) -> Option<Step> {
        conversation::paid(self.conversations.get(&contact)?, message)
    }

    /// Notes the step that a message of ours is published for.
    pub(super) fn note_paid(&mut self, contact: ContactId, message: MessageId, step: Step) {
        if let Some(conversation) = self.conversations.get_mut(&contact) {
            conversation::note_paid(conversation, message, step);
        }
    }

    /// Neighbours say this step of their lines now: takes back what was said of messages that left
    /// for less since they were heard before.
    pub(super) fn on_line_heard(&mut self, turn: &mut Turn<'_, '_>, line: Step) {
        for conversation in self.conversations.values_mut() {
            conversation::take_back_stay(conversation, turn, line);
        }
    }

    /// Notes that an envelope to a contact was published.
    pub(super) fn on_published(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        (purpose, stay): (EnvelopePurpose, Stay),
    ) {
        if let Some(conversation) = self.conversations.get_mut(&contact) {
            conversation::on_published(conversation, turn, purpose, stay);
        }
    }

    /// Gives each job that waits, and that nobody asked for just now, a delay of its own.
    ///
    /// For the moment when they could all leave: whatever was due while no neighbour was there, or
    /// while the process was not running, would tell the first neighbour by its number who came back.
    pub(super) fn spread(&self, turn: &mut Turn<'_, '_>) {
        // Its own timer has the next one made, which is as good.
        turn.outbox.drop_junk();
        for (contact, job) in turn.outbox.waiting() {
            if let Some(conversation) = self.conversations.get(&contact) {
                conversation::spread(conversation, turn, job);
            }
        }
    }

    /// The envelopes of these purposes were stored as finished when the process ended: they left,
    /// or count as if they had.
    pub(super) fn count_as_left(
        &mut self,
        turn: &mut Turn<'_, '_>,
        finished: Vec<EnvelopePurpose>,
    ) {
        for purpose in finished {
            let EnvelopePurpose::Message(contact, message) = purpose else { continue };
            if let Some(conversation) = self.conversations.get_mut(&contact) {
                conversation::count_as_left(conversation, turn, message);
            }
        }
    }

    /// A timer of a contact is due.
    pub(super) fn on_timer(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        timer: ContactTimer,
    ) {
        if let Some(conversation) = self.conversations.get_mut(&contact) {
            return conversation.on_timer(turn, timer);
        }
        // The farewell to one that was removed waits for a lower price.
        if timer == ContactTimer::Price {
            turn.outbox.look_again(contact);
        }
    }

    /// Forgets replays that cannot arrive any more, and ages all sessions.
    pub(super) fn sweep(&mut self, turn: &mut Turn<'_, '_>) {
        self.roster.expire_replays(turn);
        let mut changed = Vec::new();
        for (&contact, conversation) in &mut self.conversations {
            match conversation.sweep(turn) {
                Swept::Unchanged => {}
                Swept::SessionsEnded => changed.push(contact),
            }
        }
        self.bound_skipped(turn);
        // Durable before the contacts are emitted without those sessions.
        turn.settle();
        for contact in changed {
            if let Some(conversation) = self.conversations.get(&contact) {
                conversation.emit(turn);
            }
        }
    }

    /// Forgets the oldest skipped keys when all sessions together keep too many.
    fn bound_skipped(&mut self, turn: &mut Turn<'_, '_>) {
        let kept =
            self.conversations.values().map(|conversation| conversation.sessions().skipped());
        let mut excess = kept.sum::<usize>().saturating_sub(MAX_SKIPPED_IN_ALL);
        while excess > 0 {
            let keeping = self.conversations.values_mut().filter_map(|conversation| {
                let (oldest, session) = conversation.sessions().oldest_skipped()?;
                Some(((oldest, session.id()), conversation))
            });
            let Some((_, conversation)) = keeping.min_by_key(|(oldest, _)| *oldest) else { return };
            excess -= conversation.forget_oldest_skipped(turn, excess);
        }
    }

    /// Opens a message of a session, and the messages that waited for it; returns whether it was
    /// one.
    fn decrypt(
        &mut self,
        turn: &mut Turn<'_, '_>,
        (contact, session): (ContactId, SessionId),
        checked: &CheckedEnvelope,
        (carriage, source): (&dyn Carriage, Source),
    ) -> bool {
        // Gossip counts as fresh. A neighbour that floods old acknowledgements again on purpose is
        // the case left open in `proto/threats.md`, "Weaker than it may sound".
        let stale = source == Source::Sync && self.may_predate(turn.env.now(), checked);
        let Some(conversation) = self.conversations.get_mut(&contact) else { return false };
        let envelope = checked.envelope();
        let from = Provenance { lifetime: checked.lifetime(), stale };
        let sealed = (checked.topic(), envelope.data);
        match conversation.receive(turn, session, sealed, from) {
            None => return false,
            Some(Opened::Message) => {}
            Some(Opened::Confirmation) => {
                // Messages of the answer's chain may have overtaken the answer, or been too long to
                // carry it.
                self.decrypt_waiting(turn, carriage, (contact, session));
                if let Some(conversation) = self.conversations.get(&contact) {
                    conversation.on_established(turn, session);
                }
            }
        }
        true
    }

    /// Opens the messages of a session that came before they could be: they are in the pool, found
    /// by topic.
    pub(super) fn decrypt_waiting(
        &mut self,
        turn: &mut Turn<'_, '_>,
        carriage: &dyn Carriage,
        (contact, session): (ContactId, SessionId),
    ) {
        let Some(conversation) = self.conversations.get(&contact) else { return };
        let Some(state) = conversation.sessions().get(session) else { return };
        let waiting: Vec<CheckedEnvelope> =
            state.topics().flat_map(|topic| carriage.by_topic(topic)).collect();
        for checked in waiting {
            self.decrypt(turn, (contact, session), &checked, (carriage, Source::Sync));
        }
    }

    /// Whether an envelope may have been made before this process began, by a clock within the
    /// tolerance of ours (`proto/session.md`, "A disk that was put back").
    fn may_predate(&self, now: (Millis, UnixSeconds), checked: &CheckedEnvelope) -> bool {
        let earliest = checked.made().minus(GRID).minus(HEAD_START);
        earliest <= self.started_by(now).plus(CLOCK_TOLERANCE)
    }

    /// When this process began, by the clock of now: one that was ahead then, and was set back since,
    /// would have everything taken for older than it for as long as it was ahead. One that was
    /// behind is not made good for: the time that a machine sleeps looks the same.
    fn started_by(&self, (mono, wall): (Millis, UnixSeconds)) -> UnixSeconds {
        let (began, read) = self.started_at;
        let seconds = mono.0.saturating_sub(began.0) / 1_000;
        let runs = Seconds(u32::try_from(seconds).unwrap_or(u32::MAX));
        read.min(wall.minus(runs))
    }

    /// Handles an offer to one of our identities, opened and verified, with the envelope in which it
    /// came.
    ///
    /// A stranger's offer causes nothing that anyone could see: it waits until a person decides.
    /// The only offers a node answers by itself are those of contacts, after a delay drawn for each
    /// answer.
    fn on_offer(
        &mut self,
        turn: &mut Turn<'_, '_>,
        carriage: &dyn Carriage,
        (identity, offer): (IdentityId, ReceivedOffer),
        checked: &CheckedEnvelope,
    ) {
        let lifetime = checked.lifetime();
        let from = offer.from();
        let now = turn.env.wall;
        let Some(made) = self.roster.created(identity) else { return };
        // A clock that was ahead when the identity was made says nothing of when that was. While
        // its date is still to come, it refuses nobody.
        let predates_us = made <= now && offer.created() < made.minus(MAX_CLOCK_DIFFERENCE);
        // Nobody can have made an offer to an identity that did not exist, and one outside the time
        // that is remembered may be a replay (`proto/session.md`, "Offer").
        if predates_us || !offer.timely(now) || self.roster.is_own(&from) {
            return;
        }
        let session = SessionId::from(offer.id());
        let contact = self.contact_by_key(identity, &from);
        let is_replay = self.roster.is_replay(offer.id());
        let Some(contact) = contact else {
            // A request that a person declined must not come back with the next copy of its offer.
            let work = ShownWork::of(checked.priority(), checked.charge());
            if !is_replay {
                self.add_request(turn, (identity, offer), work);
            }
            return;
        };
        let Some(conversation) = self.conversations.get_mut(&contact) else { return };
        if is_replay {
            // The contact sends the same offer, sealed afresh, until it opens an answer: ours was
            // lost or is late.
            conversation.owe_answer(lifetime);
            conversation.schedule_answer(turn, session);
            return;
        }
        match conversation.card().state {
            // Not even remembered: once unblocked, the contact's next sending of it counts.
            ContactState::Blocked => {}
            ContactState::Active | ContactState::Inactive => {
                conversation.owe_answer(lifetime);
                self.accept_offer(turn, carriage, contact, &offer);
                turn.wake_in_handshake(contact, ContactTimer::Answer(session));
            }
        }
    }

    /// Keeps a stranger's offer for a person to decide, if it has a place; stored and shown with what
    /// else comes in a second.
    fn add_request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        (identity, offer): (IdentityId, ReceivedOffer),
        work: ShownWork,
    ) {
        let (id, arrived) = (RequestId::draw(turn.env), turn.env.wall);
        let record = RequestRecord { id, identity, offer, arrived, work };
        if self.roster.requests.arrive(record) && !turn.timers.is_set(Timer::Requests) {
            turn.timers.set(Timer::Requests, turn.env.mono.plus(STORE_EVERY));
        }
    }

    /// Begins the session a contact offered, and opens what arrived ahead of the offer.
    pub(super) fn accept_offer(
        &mut self,
        turn: &mut Turn<'_, '_>,
        carriage: &dyn Carriage,
        contact: ContactId,
        offer: &ReceivedOffer,
    ) {
        // In the commit that begins the session: accepted twice, one offer would be two sessions
        // under one id.
        self.roster.remember_offer(turn, offer);
        let Some(conversation) = self.conversations.get_mut(&contact) else { return };
        let session = conversation.accept_offer(turn, offer);
        self.decrypt_waiting(turn, carriage, (contact, session));
    }
}

/// Has what is owed to contacts leave soon, because this node is about to end: each at a time that
/// is drawn for it, so that they do not leave at one moment. What was drawn stays.
pub(super) fn hurry(turn: &mut Turn<'_, '_>) {
    let now = turn.env.mono;
    // What is due later is no reply that waits, but one that is to be repeated.
    let late = now.plus(PARTING_DELAY)..now.plus(turn.settings.retransmit_after);
    let owed: Vec<(ContactId, ContactTimer)> =
        turn.timers.of_contacts(late).filter(|(_, timer)| is_reply(*timer)).collect();
    let longest = PARTING_DELAY.min(turn.settings.reply_delay).0.max(1);
    for (contact, timer) in owed {
        let delay = Millis(turn.env.draw_u64() % longest);
        turn.wake_by(contact, timer, now.plus(delay));
    }
}

/// Whether a reply to a contact leaves soon, or has begun to.
pub(super) fn owes(turn: &Turn<'_, '_>) -> bool {
    let soon = ..turn.env.mono.plus(PARTING_DELAY);
    turn.outbox.owes() || turn.timers.of_contacts(soon).any(|(_, timer)| is_reply(timer))
}

/// Whether a timer is that of a reply: nothing shows a person that it has not left, and nothing stored
/// says that all of it is owed.
const fn is_reply(timer: ContactTimer) -> bool {
    match timer {
        ContactTimer::Acknowledge | ContactTimer::Answer(_) => true,
        ContactTimer::Offer
        | ContactTimer::Retransmit(_)
        | ContactTimer::Expiry(_)
        | ContactTimer::GapReport
        | ContactTimer::Price => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_767_225_600);

    #[test]
    fn a_process_that_began_under_a_clock_that_was_ahead_began_when_it_did() {
        let minute = Millis::from_secs(60);
        let began =
            |read: UnixSeconds| Messenger { started_at: (minute, read), ..Messenger::default() };
        let (later, by_now) = (Millis(10 * minute.0), NOW.plus(Seconds(540)));
        assert_eq!(began(NOW).started_by((later, by_now)), NOW);
        let ahead = NOW.plus(Seconds(3 * 86_400));
        assert_eq!(began(ahead).started_by((minute, ahead)), ahead);
        assert_eq!(began(ahead).started_by((later, by_now)), NOW, "it was set back");
        // A machine that slept, or a clock that was behind: the same to us.
        let slept = NOW.plus(Seconds(86_400));
        assert_eq!(began(NOW).started_by((later, slept)), NOW);
    }
}
