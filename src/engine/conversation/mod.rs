//! One contact is one state machine: everything about a contact, and nothing about anybody else.
//!
//! A `Conversation` knows no other contact, no pool, no neighbour and no envelope but the sealed
//! bodies it makes. It is driven in five ways: `Conversation::receive` takes what a session
//! brought, `ContactCommand::carry_out` does what a person asks, `Conversation::on_timer` what is
//! due, `next_envelope` turns a job into an encrypted envelope, and `on_published`
//! hears that one left. Each gets a `Turn`, and everything that comes of it goes through that.
//!
//! Its rooms are plain: the two windows (`send_window`, `receive_window`), the `sessions`, the
//! `receipts`, the `verification`, the `contents` and the arithmetic of `retransmit` answer
//! what happened, and only a conversation turns that into changes, events and timers. The
//! `handshake` owns the sessions and stores each of their steps.
//!
//! A conversation lies above its sessions: a message keeps its number while it is sent again and
//! across sessions, so it is shown once and in its place whatever the network does.

mod commands;
mod contents;
mod handshake;
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
use crate::engine::record::{
    ContactRecord, ContactState, EnvelopePurpose, MessageRecord, MessageState, Record,
    StoredDirection,
};
use crate::engine::secret::opaque_debug;
use crate::engine::session::{ReceivedOffer, Session, SessionId};
use crate::engine::turn::{ContactJob, ContactTimer, Turn};

pub(in crate::engine) use commands::{ContactCommand, check_text, remove};
pub use receipts::MAX_AWAITED_RECEIPTS;
pub(in crate::engine) use receive::{Opened, Provenance};
pub use receive_window::MAX_GAP_REPORTS;
pub use retransmit::{MAX_TRANSMISSIONS, MIN_BACKOFF_LIMIT};
pub(in crate::engine) use send::{next_envelope, on_expired_unsent, on_published, on_republished};
pub use send_window::ACK_WINDOW;
pub use sessions::MAX_SESSIONS;
pub(in crate::engine) use sessions::{MAX_CLOCK_DIFFERENCE, Sessions};
pub use verification::MAX_VERIFICATION_ATTEMPTS;

use handshake::Handshake;
use receipts::Receipts;
use receive_window::{GapChange, ReceiveWindow};
use retransmit::Retransmission;
use send_window::SendWindow;
use verification::Verification;

/// Everything about one contact. Holds what was written, ratchet keys, and a share of its identity's
/// secret key.
pub(in crate::engine) struct Conversation {
    id: ContactId,
    identity: IdentityId,
    petname: String,
    state: ContactState,
    /// When this device took the contact over from a backup, until both have heard each other again.
    restored: Option<UnixSeconds>,
    handshake: Handshake,
    sent: SendWindow,
    received: ReceiveWindow,
    receipts: Receipts,
    verification: Verification,
}

opaque_debug!(struct Conversation {
    id, identity, petname, state, restored, handshake, sent, received, receipts, verification,
});

/// What others may know of a contact to find it and to name it.
#[derive(Clone, Copy)]
pub(in crate::engine) struct ContactCard<'c> {
    /// Which of our identities knows it.
    pub(in crate::engine) identity: IdentityId,
    /// Its key.
    pub(in crate::engine) key: &'c PublicKey,
    /// What its owner calls it.
    pub(in crate::engine) petname: &'c str,
    /// Whether it is listened to.
    pub(in crate::engine) state: ContactState,
}

impl Conversation {
    /// The conversation with a contact of the identity `own`, as its record tells of it. Sessions and
    /// messages are restored one by one.
    pub(in crate::engine) fn new(own: Arc<Identity>, record: ContactRecord) -> Self {
        let ContactRecord { id, identity, key, petname, state, restored, offer, .. } = record;
        Self {
            id,
            identity,
            petname,
            state,
            restored,
            handshake: Handshake::new(id, own, key, offer),
            sent: SendWindow::new(record.sent),
            received: ReceiveWindow::new(record.received),
            receipts: Receipts::new(record.read_receipts),
            verification: Verification::new(record.trust),
        }
    }

    /// A session that was stored. Call before the messages are restored.
    pub(in crate::engine) fn restore_session(
        &mut self,
        turn: &mut Turn<'_, '_>,
        session: Box<Session>,
    ) {
        self.handshake.restore(turn, session);
    }

    /// A message that was stored. Call in the order in which they were.
    pub(in crate::engine) fn restore_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        message: MessageRecord,
    ) {
        match message.direction {
            StoredDirection::Outgoing(_) => {
                let now = turn.env.wall;
                let first = turn.settings.retransmit_after;
                let id = message.id;
                let retransmission = Retransmission::of(&message);
                let lifetime = retransmission.lifetime_left(now);
                // Not before the first neighbours have come, or everything that is due goes at once.
                let wait = retransmission.remaining(retransmission.backoff(first), now).max(first);
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

    /// Plans what was under way when the process ended. Call when everything is restored.
    pub(in crate::engine) fn resume(&mut self, turn: &mut Turn<'_, '_>) {
        if self.handshake.pending().is_some() {
            turn.outbox.push_for(self.id, ContactJob::Offer);
        }
        self.schedule_send(turn);
        self.offer_if_needed(turn);
        // The others wait for the oldest, and a node that never runs for long must come to it. Not
        // before half its wait is over, or a node that is started often sends it at each start.
        if let Some(message) = self.sent.oldest_unacked() {
            let first = turn.settings.retransmit_after;
            let half = Millis(Retransmission::of(message).backoff(first).0 / 2).max(first);
            let (id, remaining) =
                (message.id, Retransmission::of(message).remaining(half, turn.env.wall));
            let soon = turn.env.exponential(turn.settings.reply_delay).max(remaining);
            let at = turn.env.mono.plus(soon);
            turn.wake_by(self.id, ContactTimer::Retransmit(id), at);
        }
        self.update_gap_report(turn);
    }

    /// What is stored of the contact itself.
    fn record(&self) -> ContactRecord {
        ContactRecord {
            id: self.id,
            identity: self.identity,
            key: *self.handshake.key(),
            petname: self.petname.clone(),
            state: self.state,
            sent: self.sent.sequence().clone(),
            received: self.received.sequences().to_vec(),
            offer: self.handshake.pending().cloned().map(Box::new),
            trust: self.verification.trust(),
            read_receipts: self.receipts.enabled(),
            restored: self.restored,
        }
    }

    /// The contact as its owner sees it.
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
        }
    }

    /// What others may know of the contact.
    pub(in crate::engine) fn card(&self) -> ContactCard<'_> {
        ContactCard {
            identity: self.identity,
            key: self.handshake.key(),
            petname: &self.petname,
            state: self.state,
        }
    }

    /// Its sessions, to look at.
    pub(in crate::engine) const fn sessions(&self) -> &Sessions {
        self.handshake.sessions()
    }

    /// Messages of ours that have not left.
    pub(in crate::engine) const fn unsent(&self) -> usize {
        self.sent.unsent()
    }

    /// Whether a message belongs here and is not done with.
    pub(in crate::engine) fn holds(&self, message: MessageId) -> bool {
        self.sent.message(message).is_some() || self.received.holds(message)
    }

    /// Something that was planned is due.
    pub(in crate::engine) fn on_timer(&mut self, turn: &mut Turn<'_, '_>, timer: ContactTimer) {
        let job = match timer {
            ContactTimer::Acknowledge => ContactJob::Acknowledge,
            ContactTimer::Answer(session) => ContactJob::AnswerOffer(session),
            ContactTimer::Offer => ContactJob::Offer,
            ContactTimer::Retransmit(message) => ContactJob::Retransmit(message),
            ContactTimer::Expiry(message) => return send::on_expiry_due(self, turn, message),
            // Acknowledges what was acknowledged before: the gap is still there, and one lost
            // acknowledgement must not leave the contact in the belief that all is well.
            ContactTimer::GapReport => {
                let Some(reports) = self.received.report_gap() else { return };
                if reports < MAX_GAP_REPORTS {
                    turn.outbox.push_for(self.id, ContactJob::Acknowledge);
                    return self.schedule_gap_report(turn, reports);
                }
                ContactJob::Acknowledge
            }
        };
        turn.outbox.push_for(self.id, job);
    }

    /// Ages skipped keys, and erases sessions of which nothing can still arrive.
    pub(in crate::engine) fn sweep(&mut self, turn: &mut Turn<'_, '_>) -> Swept {
        let ended = self.handshake.age(turn);
        if ended.is_empty() {
            return Swept::Unchanged;
        }
        self.forget_sessions(turn, &ended);
        Swept::SessionsEnded
    }

    /// Forgets the oldest keys of messages that were passed over, at most `most` and all of one
    /// session; answers how many.
    pub(in crate::engine) fn forget_oldest_skipped(
        &mut self,
        turn: &mut Turn<'_, '_>,
        most: usize,
    ) -> usize {
        self.handshake.forget_oldest_skipped(turn, most)
    }

    /// Offers a session to the contact.
    pub(in crate::engine) fn start_offer(&mut self, turn: &mut Turn<'_, '_>) {
        if self.verification.is_on_hold() {
            return;
        }
        self.state = ContactState::Active;
        let gone = self.handshake.offer(turn);
        self.put(turn);
        self.forget_sessions(turn, &gone);
        turn.settle();
        turn.outbox.push_for(self.id, ContactJob::Offer);
        self.emit(turn);
        self.schedule_send(turn);
    }

    /// Offers a session if there is something to say and none to say it in, though neither side
    /// closed one: it was silent too long, or its state was lost. After a backup was restored, which
    /// holds no sessions, one is offered though there is nothing to say: the contact speaks in one
    /// that is lost.
    fn offer_if_needed(&mut self, turn: &mut Turn<'_, '_>) {
        let open = self.state == ContactState::Active && self.handshake.pending().is_none();
        let wanted = self.sent.has_unfinished() || self.restored.is_some();
        if open && wanted && self.sessions().is_empty() {
            self.start_offer(turn);
        }
    }

    /// Begins the session the contact offered; answers its name. What arrived ahead of the offer waits
    /// in the pool: whoever routes envelopes here reads it after this.
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
        self.schedule_send(turn);
        id
    }

    /// The contact's offer came, in an envelope of this lifetime: the answer lives as long.
    pub(in crate::engine) fn owe_answer(&mut self, lifetime: Lifetime) {
        self.received.extend_ack_lifetime(lifetime);
    }

    /// Plans to answer an offer, unless the contact was heard in its session: after a delay, for what
    /// a node does by itself must not be a reflex.
    pub(in crate::engine) fn schedule_answer(&self, turn: &mut Turn<'_, '_>, session: SessionId) {
        if self.sessions().get(session).is_some_and(|session| !session.confirmed()) {
            turn.wake_soon(self.id, ContactTimer::Answer(session));
        }
    }

    /// Sessions are gone: what came early in them stays marked so, and nobody waits for answers.
    fn forget_sessions(&mut self, turn: &mut Turn<'_, '_>, gone: &[SessionId]) {
        for &session in gone {
            self.received.forget_session(session);
            turn.clear_timer(self.id, ContactTimer::Answer(session));
        }
    }
    /// Tells how the contact stands.
    pub(in crate::engine) fn emit(&self, turn: &mut Turn<'_, '_>) {
        turn.emit(Event::Contact(self.view()));
    }

    /// Stores what is known of the contact itself.
    fn put(&self, turn: &mut Turn<'_, '_>) {
        turn.put(Record::Contact(self.record()));
    }

    /// Moves a message of ours on, if it may, and tells of it.
    fn advance(&mut self, turn: &mut Turn<'_, '_>, id: MessageId, to: MessageState) {
        let Some(message) = self.sent.advance(id, to) else { return };
        turn.put(Record::Message(message.clone()));
        turn.emit(Event::State {
            message: id,
            contact: self.id,
            number: message.number,
            state: to,
            delivery: message.delivery,
        });
    }

    /// Has the next message sent, if there is one and a session to send it in.
    fn schedule_send(&self, turn: &mut Turn<'_, '_>) {
        if self.sent.has_queued() && !self.sessions().is_empty() {
            turn.outbox.push_for(self.id, ContactJob::SendNext);
        }
    }
    /// Gives up a message that left and was not acknowledged. Storing the message without its number,
    /// or erasing it, is up to the caller.
    fn abandon(&mut self, turn: &mut Turn<'_, '_>, id: MessageId) {
        self.stop_sending(turn, id);
        if let Some(base) = self.sent.abandon(id) {
            self.announce_base(turn, base);
        }
    }

    /// Plans to tell the contact which numbers will never come: it may hold later ones for them.
    fn announce_base(&mut self, turn: &mut Turn<'_, '_>, base: u64) {
        self.sent.announce_base(base);
        turn.wake_soon(self.id, ContactTimer::Acknowledge);
    }

    /// Drops everything that would send a message again.
    fn stop_sending(&self, turn: &mut Turn<'_, '_>, id: MessageId) {
        let contact = self.id;
        turn.clear_timer(contact, ContactTimer::Retransmit(id));
        turn.clear_timer(contact, ContactTimer::Expiry(id));
        turn.outbox.drop_job(contact, ContactJob::Retransmit(id));
        turn.outbox.drop_job(contact, ContactJob::RetransmitNow(id));
        turn.forget_outgoing(contact, |purpose| purpose == EnvelopePurpose::Message(contact, id));
    }

    /// Sees whether something else is missing than before, and plans to point it out, or not to.
    fn update_gap_report(&mut self, turn: &mut Turn<'_, '_>) {
        match self.received.update_gap_report() {
            GapChange::Unchanged => {}
            GapChange::Opened => self.schedule_gap_report(turn, 0),
            GapChange::Closed => turn.clear_timer(self.id, ContactTimer::GapReport),
        }
    }

    fn schedule_gap_report(&self, turn: &mut Turn<'_, '_>, reports: u32) {
        let doublings = 1 << reports.min(MAX_GAP_REPORTS);
        let wait = Millis(turn.settings.retransmit_after.0.saturating_mul(doublings));
        turn.wake_after(self.id, ContactTimer::GapReport, wait);
    }
}

/// What came of sweeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Swept {
    /// Nothing that anybody sees.
    Unchanged,
    /// A session ended.
    SessionsEnded,
}
