//! One contact is one state machine: everything about a contact, and nothing about anybody else.
//!
//! A `Conversation` knows no other contact, no pool, no neighbour and no envelope but the sealed
//! bodies it makes. It is driven in five ways: `Conversation::receive` takes what a session
//! brought, `ContactCommand::carry_out` does what a person asks, `Conversation::on_timer` handles a
//! timer that is due, `next_envelope` turns a job into an encrypted envelope, and `on_published`
//! notes that one was published. Each gets a `Turn`, and everything that comes of it goes through
//! that.
//!
//! Its rooms are plain: the two windows (`send_window`, `receive_window`), the `sessions`, the
//! `receipts`, the `verification`, the `contents` and the arithmetic of `retransmit` return what
//! happened, and only a conversation turns that into changes, events and timers. The `handshake`
//! owns the sessions and stores each of their steps.
//!
//! A conversation lies above its sessions: a message keeps its number while it is sent again and
//! across sessions, so it is shown once and in its place whatever the network does.

mod commands;
mod contents;
mod handshake;
mod held_back;
mod reach;
mod receipts;
mod receive;
mod receive_window;
mod retransmit;
mod rollback;
mod send;
mod send_window;
mod sessions;
#[cfg(test)]
mod tests;
mod verification;

use std::sync::Arc;

use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::env::{Millis, UnixSeconds};
use crate::engine::envelope::Lifetime;
use crate::engine::event::{ContactView, Event, SessionStatus};
use crate::engine::id::{ContactId, IdentityId, MessageId};
use crate::engine::price::Step;
use crate::engine::record::{
    ContactRecord, ContactState, EnvelopePurpose, MessageRecord, MessageState, Record,
    StoredDirection,
};
use crate::engine::secret::opaque_debug;
use crate::engine::session::{ReceivedOffer, Session, SessionId};
use crate::engine::turn::{ContactJob, ContactTimer, Turn};

pub(in crate::engine) use commands::{ContactCommand, check_text, remove, remove_with_identity};
pub use held_back::{HeldBackIn, HeldBackTotals};
pub(in crate::engine) use held_back::{add_held_back, tell_held_back};
pub use receipts::MAX_AWAITED_RECEIPTS;
pub(in crate::engine) use receive::{Opened, Provenance};
pub use receive_window::MAX_GAP_REPORTS;
pub use retransmit::{MAX_TRANSMISSIONS, MIN_BACKOFF_LIMIT};
pub(in crate::engine) use send::{
    Budget, Need, Stay, count_as_left, highest, need, next_envelope, note_paid, on_published, paid,
    spread, take_back_stay,
};
pub use send_window::SEND_WINDOW;
pub use sessions::MAX_SESSIONS;
pub(in crate::engine) use sessions::{MAX_CLOCK_DIFFERENCE, Sessions};
pub use verification::MAX_VERIFICATION_ATTEMPTS;

use handshake::Handshake;
use receipts::Receipts;
use receive_window::{GapChange, ReceiveWindow};
use retransmit::Retransmission;
use send_window::SendWindow;
use verification::Verification;

/// Everything about one contact. Holds plaintext messages, ratchet keys, and a share of its
/// identity's secret key.
pub(in crate::engine) struct Conversation {
    id: ContactId,
    identity: IdentityId,
    petname: String,
    state: ContactState,
    /// When this device restored the contact from a backup; `None` again once a confirmed session
    /// brings a message from it.
    restored: Option<UnixSeconds>,
    /// The highest step to pay for what goes to the contact, if it is not that of the settings.
    highest: Option<Step>,
    handshake: Handshake,
    sent: SendWindow,
    received: ReceiveWindow,
    receipts: Receipts,
    verification: Verification,
    /// What is held back, as it was told last.
    held_back: held_back::Told,
}

opaque_debug!(struct Conversation {
    id, identity, petname, state, restored, highest, handshake, sent, received, receipts,
    verification, held_back,
});

/// The part of a contact that the messenger searches by.
#[derive(Clone, Copy)]
pub(in crate::engine) struct ContactCard<'c> {
    /// Our identity that it belongs to.
    pub(in crate::engine) identity: IdentityId,
    /// The contact's key.
    pub(in crate::engine) key: &'c PublicKey,
    /// The local name its owner gave it.
    pub(in crate::engine) petname: &'c str,
    /// Active, inactive or blocked.
    pub(in crate::engine) state: ContactState,
}

impl Conversation {
    /// Builds the conversation from its stored record, under our identity `own`. Sessions and
    /// messages are restored one by one afterwards.
    pub(in crate::engine) fn new(own: Arc<Identity>, record: ContactRecord) -> Self {
        let ContactRecord { id, identity, key, petname, state, restored, highest, offer, .. } =
            record;
        Self {
            id,
            identity,
            petname,
            state,
            restored,
            highest,
            handshake: Handshake::new(id, own, key, offer),
            sent: SendWindow::new(record.sent),
            received: ReceiveWindow::new(record.received),
            receipts: Receipts::new(record.read_receipts),
            verification: Verification::new(record.trust),
            held_back: held_back::Told::default(),
        }
    }

    /// Takes back a stored session. Call before the messages are restored: one that came early
    /// stays open to confirmation only if its session is there.
    pub(in crate::engine) fn restore_session(
        &mut self,
        turn: &mut Turn<'_, '_>,
        session: Box<Session>,
    ) {
        self.handshake.restore(turn, session);
    }

    /// Takes back a stored message. Call in the order in which they were stored, which is the order
    /// of the send queue.
    pub(in crate::engine) fn restore_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        message: MessageRecord,
    ) {
        match message.direction {
            StoredDirection::Outgoing(_) | StoredDirection::AskedAgain => {
                let now = turn.env.wall;
                let first = turn.settings.retransmit_after;
                let id = message.id;
                let retransmission = Retransmission::of(&message);
                let lifetime = retransmission.lifetime_left(now);
                // At least one first wait, for catching up may bring its acknowledgement; and as much
                // more on average, or everything overdue would leave in one burst.
                let least = first.plus(turn.env.exponential(first));
                let wait = retransmission.left_to_wait(first, now).max(least);
                if self.sent.restore(message) {
                    turn.wake_after(self.id, ContactTimer::Retransmit(id), wait);
                    let at = turn.env.mono.plus(lifetime);
                    turn.wake_at(self.id, ContactTimer::Expiry(id), at);
                }
            }
            StoredDirection::Delivered | StoredDirection::Buffered { .. } => {
                let sessions = self.handshake.sessions();
                self.received.restore(message, |session| sessions.get(session).is_some());
            }
        }
    }

    /// Schedules what was under way when the process ended. Call when everything is restored.
    pub(in crate::engine) fn resume(&mut self, turn: &mut Turn<'_, '_>) {
        // Timers are not stored. An offer goes once at each start, and its doubling goes on from
        // the stored count of attempts.
        if self.handshake.pending().is_some() {
            turn.outbox.push_for(self.id, ContactJob::Offer);
        }
        self.schedule_send(turn);
        if self.sent.has_queued() {
            turn.outbox.line_up(self.id);
        }
        self.offer_if_needed(turn);
        // The window is held up by its oldest message, and a node that never runs long enough for a
        // whole backoff would never send it again. Not before half its wait is over, though, or a
        // node that is started often sends it at each start (`proto/session.md`, "Sending again").
        if let Some(message) = self.sent.oldest_unacked() {
            let first = turn.settings.retransmit_after;
            let half = Millis(Retransmission::of(message).backoff(first).0 / 2).max(first);
            let (id, remaining) =
                (message.id, Retransmission::of(message).remaining(half, turn.env.wall));
            // Each contact's at a time of its own: at once they would tell how many wait.
            let soon = turn.env.exponential(first).max(remaining);
            let at = turn.env.mono.plus(soon);
            turn.wake_by(self.id, ContactTimer::Retransmit(id), at);
        }
        // These have their timers already.
        reach::newly_within(&mut self.sent);
        self.update_gap_report(turn);
        turn.outbox.note_repriced(self.id);
    }

    /// The contact's own record: everything about it but its sessions and messages.
    fn record(&self) -> ContactRecord {
        ContactRecord {
            id: self.id,
            identity: self.identity,
            key: *self.handshake.key(),
            petname: self.petname.clone(),
            state: self.state,
            sent: self.sent.sequence().clone(),
            received: self.received.sequences(),
            offer: self.handshake.pending().cloned().map(Box::new),
            trust: self.verification.trust(),
            read_receipts: self.receipts.enabled(),
            restored: self.restored,
            highest: self.highest,
        }
    }

    /// The contact as a front end shows it.
    pub(in crate::engine) fn view(&self) -> ContactView {
        let session = match self.state {
            ContactState::Blocked => SessionStatus::Blocked,
            ContactState::Active | ContactState::Inactive => self.handshake.status(),
        };
        let key = *self.handshake.key();
        ContactView {
            id: self.id,
            identity: self.identity,
            petname: self.petname.clone(),
            key,
            session,
            trust: self.verification.trust(),
            safety_number: SafetyNumber::of(&self.handshake.own().public(), &key),
            sas: self.handshake.sessions().preferred().and_then(verification::own_half),
            missing: self.received.missing(),
            read_receipts: self.receipts.enabled(),
            restored: self.restored,
            highest: self.highest,
            room: held_back::room(self),
            waiting: Arc::clone(&self.held_back.waiting),
            in_line: Arc::clone(&self.held_back.in_line),
            next_look: self.held_back.look.map(|(_, wall)| wall),
        }
    }

    /// The part of the contact that the messenger searches by.
    pub(in crate::engine) fn card(&self) -> ContactCard<'_> {
        ContactCard {
            identity: self.identity,
            key: self.handshake.key(),
            petname: &self.petname,
            state: self.state,
        }
    }

    /// Its sessions, read-only.
    pub(in crate::engine) const fn sessions(&self) -> &Sessions {
        self.handshake.sessions()
    }

    /// How many of our messages were never published.
    pub(in crate::engine) const fn unsent(&self) -> usize {
        self.sent.unsent()
    }

    /// Whether this conversation still holds the message in memory.
    pub(in crate::engine) fn holds(&self, message: MessageId) -> bool {
        self.sent.message(message).is_some() || self.received.holds(message)
    }

    /// A timer of this contact is due. Most become a job: what is sent is decided when its turn in
    /// the outbox comes, not when it becomes due.
    pub(in crate::engine) fn on_timer(&mut self, turn: &mut Turn<'_, '_>, timer: ContactTimer) {
        turn.outbox.note_repriced(self.id);
        let job = match timer {
            ContactTimer::Acknowledge => ContactJob::Acknowledge,
            ContactTimer::Answer(session) => ContactJob::AnswerOffer(session),
            ContactTimer::Offer => ContactJob::Offer,
            ContactTimer::Retransmit(message) => ContactJob::Retransmit(message),
            // Each looks at the price when its turn comes.
            ContactTimer::Price => return turn.outbox.look_again(self.id),
            // Sends nothing, so there is no turn in the outbox to wait for.
            ContactTimer::Expiry(message) => return send::on_expiry_due(self, turn, message),
            // Acknowledges although nothing new came: the contact learns of the gap from
            // acknowledgements alone, and the last one may be lost (`proto/session.md`, "Gaps").
            ContactTimer::GapReport => {
                let Some(reports) = self.received.report_gap() else { return };
                // After the last report the contact's own schedule has to do: a contact that is
                // gone must not cost envelopes for ever.
                if reports < MAX_GAP_REPORTS {
                    turn.outbox.push_for(self.id, ContactJob::Acknowledge);
                    return self.schedule_gap_report(turn, reports);
                }
                ContactJob::Acknowledge
            }
        };
        turn.outbox.push_for(self.id, job);
    }

    /// Ages skipped keys, and erases the sessions of which nothing can still arrive.
    pub(in crate::engine) fn sweep(&mut self, turn: &mut Turn<'_, '_>) -> Swept {
        send::expedite_misdated(self, turn);
        let ended = self.handshake.age(turn);
        if ended.is_empty() {
            return Swept::Unchanged;
        }
        self.forget_sessions(turn, &ended);
        // Not at the next sending of what waits, which may be a day away: until then the contact
        // could not be read either, should it still have the session.
        self.offer_if_needed(turn);
        Swept::SessionsEnded
    }

    /// Forgets the oldest skipped keys, at most `most` and all of one session; returns how many.
    pub(in crate::engine) fn forget_oldest_skipped(
        &mut self,
        turn: &mut Turn<'_, '_>,
        most: usize,
    ) -> usize {
        self.handshake.forget_oldest_skipped(turn, most)
    }

    /// Offers a session to the contact.
    pub(in crate::engine) fn start_offer(&mut self, turn: &mut Turn<'_, '_>) {
        // An offer is an envelope for the holder of the key, and on hold nothing leaves
        // (`verification`).
        if self.verification.is_on_hold() {
            return;
        }
        self.state = ContactState::Active;
        // The offer and its session are durable before the job that seals it: an answer to a
        // session that a crash erased could not be opened.
        let gone = self.handshake.offer(turn);
        self.put(turn);
        self.forget_sessions(turn, &gone);
        turn.settle();
        turn.outbox.push_for(self.id, ContactJob::Offer);
        self.emit(turn);
        self.schedule_send(turn);
    }

    /// Offers a session if messages wait and no session is left, though neither side closed one: it
    /// was silent too long, or its state was lost. A contact restored from a backup is offered one
    /// even if nothing waits: a backup holds no sessions, so what the contact sends cannot be
    /// opened.
    fn offer_if_needed(&mut self, turn: &mut Turn<'_, '_>) {
        let wanted = match self.state {
            ContactState::Active => self.sent.has_unfinished() || self.restored.is_some(),
            // A conversation that a person closed stays closed until a person writes. One that came
            // from a backup may have been opened since on the device that was copied.
            ContactState::Inactive => self.restored.is_some(),
            ContactState::Blocked => false,
        };
        // A pending offer already stands for a session.
        if wanted && self.handshake.pending().is_none() && self.sessions().is_empty() {
            self.start_offer(turn);
        }
    }

    /// Begins the session the contact offered; returns its id. What overtook the offer waits in the
    /// pool: the caller reads it next.
    pub(in crate::engine) fn accept_offer(
        &mut self,
        turn: &mut Turn<'_, '_>,
        offer: &ReceivedOffer,
    ) -> SessionId {
        self.state = ContactState::Active;
        self.put(turn);
        let (id, gone) = self.handshake.accept(turn, offer);
        self.forget_sessions(turn, &gone);
        turn.settle();
        self.emit(turn);
        // What waited for our own offer to leave goes in this session.
        turn.outbox.resume(self.id);
        self.schedule_send(turn);
        id
    }

    /// Makes the answer live at least as long as the envelope that brought the offer: the contact
    /// may be away that long.
    pub(in crate::engine) fn owe_answer(&mut self, lifetime: Lifetime) {
        self.received.extend_ack_lifetime(lifetime);
    }

    /// Schedules the answer to an offer, unless its session is confirmed. After a random delay: an
    /// answer at once would show an observer that the offer was for this node.
    pub(in crate::engine) fn schedule_answer(&self, turn: &mut Turn<'_, '_>, session: SessionId) {
        if self.sessions().get(session).is_some_and(|session| !session.confirmed()) {
            turn.wake_in_handshake(self.id, ContactTimer::Answer(session));
        }
    }

    /// Cleans up after erased sessions: messages that came early in them stay marked for good, and
    /// their offers are not answered.
    fn forget_sessions(&mut self, turn: &mut Turn<'_, '_>, gone: &[SessionId]) {
        for &session in gone {
            self.received.forget_session(session);
            turn.clear_timer(self.id, ContactTimer::Answer(session));
        }
    }
    /// Emits the contact as it is.
    pub(in crate::engine) fn emit(&self, turn: &mut Turn<'_, '_>) {
        turn.emit(Event::Contact(Box::new(self.view())));
    }

    /// Stores the contact's own record with the next commit.
    fn put(&self, turn: &mut Turn<'_, '_>) {
        turn.put(Record::Contact(self.record()));
    }

    /// Moves a message of ours to another state, if that transition is allowed, then stores it and
    /// emits the change.
    fn advance(&mut self, turn: &mut Turn<'_, '_>, id: MessageId, to: MessageState) {
        let Some(message) = self.sent.advance(id, to) else { return };
        turn.put(Record::Message(message.clone()));
        turn.emit(Event::State {
            message: id,
            contact: self.id,
            number: message.number,
            state: to,
            not_for_long: message.view().is_not_for_long(turn.env.wall),
            delivery: message.delivery,
        });
    }

    /// Queues the next message for sending, if there is one and a session to send it in.
    fn schedule_send(&self, turn: &mut Turn<'_, '_>) {
        // Without a session there is nothing to encrypt with; whatever begins one calls this again.
        if self.sent.has_queued() && !self.sessions().is_empty() {
            turn.outbox.push_for(self.id, ContactJob::SendNext);
        }
    }
    /// Abandons a message that was published and not acknowledged. Storing the message without its
    /// number, or erasing it, is up to the caller.
    fn abandon(&mut self, turn: &mut Turn<'_, '_>, id: MessageId) {
        self.stop_sending(turn, id);
        // The contact may hold later messages back for this number, and nothing else would tell it
        // that the number will not come.
        if let Some(base) = self.sent.abandon(id) {
            self.announce_base(turn, base);
        }
    }

    /// Schedules an envelope that carries our base, so that the contact stops waiting for the
    /// numbers below it.
    fn announce_base(&mut self, turn: &mut Turn<'_, '_>, base: u64) {
        self.sent.announce_base(base);
        turn.wake_soon(self.id, ContactTimer::Acknowledge);
    }

    /// Drops every timer, job and kept envelope that would send a message again.
    fn stop_sending(&self, turn: &mut Turn<'_, '_>, id: MessageId) {
        let contact = self.id;
        turn.clear_timer(contact, ContactTimer::Retransmit(id));
        turn.clear_timer(contact, ContactTimer::Expiry(id));
        turn.outbox.drop_job(contact, ContactJob::Retransmit(id));
        turn.outbox.drop_job(contact, ContactJob::RetransmitNow(id));
        turn.forget_outgoing(contact, |purpose| purpose == EnvelopePurpose::Message(contact, id));
    }

    /// Starts or stops the gap report after what is missing may have changed.
    fn update_gap_report(&mut self, turn: &mut Turn<'_, '_>) {
        match self.received.update_gap_report() {
            // The schedule that runs keeps its doubled wait; every payload would restart it
            // otherwise.
            GapChange::Unchanged => {}
            GapChange::Opened => self.schedule_gap_report(turn, 0),
            GapChange::Closed => turn.clear_timer(self.id, ContactTimer::GapReport),
        }
    }

    fn schedule_gap_report(&self, turn: &mut Turn<'_, '_>, reports: u32) {
        // After a minute, then each wait twice the one before (`proto/session.md`, "Gaps").
        let doublings = 1 << reports.min(MAX_GAP_REPORTS);
        let wait = Millis(turn.settings.retransmit_after.0.saturating_mul(doublings));
        turn.wake_after(self.id, ContactTimer::GapReport, wait);
    }
}

/// The result of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Swept {
    /// No session ended: the contact looks as it did.
    Unchanged,
    /// A session ended.
    SessionsEnded,
}
