//! What a contact says, top to bottom: decrypt, acknowledge, take in, deliver.
//!
//! Nothing is changed by what does not decrypt. What does is stored in one commit with the session's
//! next state, so no message is lost between the two.

use crate::engine::env::Millis;
use crate::engine::envelope::{Lifetime, Topic};
use crate::engine::event::Event;
use crate::engine::id::MessageId;
use crate::engine::record::{
    ContactState, DeliveryLog, EnvelopePurpose, MessageRecord, MessageState, Record,
    StoredDirection,
};
use crate::engine::session::{Ack, Payload, SessionId};
use crate::engine::turn::{ContactJob, ContactTimer, Turn};

use super::Conversation;
use super::contents::{Contents, NumberedContent};
use super::receive_window::Received;

/// Where a payload came from: what its envelope says.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Provenance {
    /// How long the envelope lives.
    pub(in crate::engine) lifetime: Lifetime,
    /// Whether it may predate this process, and be of a time that this state knows nothing of.
    pub(in crate::engine) stale: bool,
}

/// What came of a message that was decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Opened {
    /// Nothing beyond the conversation itself.
    Message,
    /// Its session is confirmed since: what overtook the answer waits in the pool.
    /// [`Conversation::on_established`] follows when that was read.
    Confirmation,
}

/// Where something with a number belongs.
#[derive(Clone, Copy)]
struct MessagePosition {
    epoch: u64,
    number: u64,
    /// The lowest number its sender still holds.
    base: u64,
    /// The session, if it is not confirmed.
    early: Option<SessionId>,
    /// How long what carried it is kept by those who carry it.
    lifetime: Lifetime,
}

impl Conversation {
    /// Decrypts what came at a topic of a session, and does what it says; nothing if it is not a
    /// message of that session.
    pub(in crate::engine) fn receive(
        &mut self,
        turn: &mut Turn<'_, '_>,
        session: SessionId,
        sealed: (Topic, &[u8]),
        from: Provenance,
    ) -> Option<Opened> {
        let confirmed = |conversation: &Self| {
            conversation.sessions().get(session).is_some_and(|session| session.confirmed())
        };
        let before = confirmed(self);
        let payload = self.handshake.decrypt(turn, session, sealed)?;
        self.on_payload(turn, session, payload, from);
        Some(if !before && confirmed(self) { Opened::Confirmation } else { Opened::Message })
    }

    fn on_payload(
        &mut self,
        turn: &mut Turn<'_, '_>,
        session: SessionId,
        payload: Payload,
        Provenance { lifetime, stale }: Provenance,
    ) {
        let confirmed = self.sessions().get(session).is_some_and(|session| session.confirmed());
        let early = (!confirmed).then_some(session);
        self.handshake.store(turn, session);
        if confirmed {
            self.confirm_early_messages(turn, session);
            self.on_peer_active(turn);
        }
        // An envelope of a time that we forgot says nothing of what has its numbers since.
        let believed = if stale { self.sent.restored_next() } else { u64::MAX };
        if let Some(ack) = &payload.ack {
            self.on_ack(turn, ack, believed);
        }
        let Payload { epoch, base, number, content, ack: _ } = payload;
        // In a session that is not confirmed it may not be the contact who says what it still holds.
        if confirmed {
            let missing = self.received.skip_to(epoch, base);
            if missing > 0 {
                self.put(turn);
                let delivered = self.received.deliver_in_order(epoch, missing);
                deliver(turn, delivered);
            }
        }
        match Contents::of(content, number) {
            Contents::Numbered { number, content } => {
                let position = MessagePosition { epoch, number, base, early, lifetime };
                self.on_numbered(turn, position, content);
            }
            Contents::Answer => self.owe_ack(turn, lifetime),
            Contents::Close => self.on_close(turn, session),
            Contents::ReadReceipt { epoch, below } if confirmed => {
                self.on_read_receipt(turn, epoch, below.min(believed));
            }
            Contents::Nothing | Contents::ReadReceipt { .. } => {}
        }
        // How the contact stands is told before what it said: a screen then shows who speaks.
        turn.commit();
        self.emit(turn);
        turn.settle();
        self.update_gap_report(turn);
        self.schedule_send(turn);
    }

    /// The contact speaks in a confirmed session, so our offer is answered or not needed, and a
    /// restored device has been heard.
    fn on_peer_active(&mut self, turn: &mut Turn<'_, '_>) {
        let answered = self.handshake.on_peer_active().is_some();
        let heard = self.restored.take().is_some();
        if !answered && !heard {
            return;
        }
        self.put(turn);
        let contact = self.id;
        turn.forget_outgoing(contact, |purpose| purpose == EnvelopePurpose::Offer(contact));
        turn.outbox.drop_job(contact, ContactJob::Offer);
        turn.clear_timer(contact, ContactTimer::Offer);
    }

    /// A session was confirmed, and what waited for that was read. What was sent in another one and
    /// not acknowledged may have gone to somebody who lost its keys, so it goes in this one soon.
    pub(in crate::engine) fn on_established(&self, turn: &mut Turn<'_, '_>, session: SessionId) {
        if self.sessions().get(session).is_none() {
            return;
        }
        for id in self.sent.sent_elsewhere(session) {
            turn.wake_soon(self.id, ContactTimer::Retransmit(id));
        }
    }

    /// The contact speaks in a confirmed session: what came early in it is theirs without doubt.
    fn confirm_early_messages(&mut self, turn: &mut Turn<'_, '_>, session: SessionId) {
        for message in self.received.confirm(session) {
            let id = message.id;
            turn.put(Record::Message(message));
            turn.emit(Event::Confirmed { message: id, contact: self.id });
        }
    }

    /// Takes an acknowledgement: of numbers from `believed` on it says nothing that is believed.
    fn on_ack(&mut self, turn: &mut Turn<'_, '_>, ack: &Ack, believed: u64) {
        if self.sent.is_behind(ack) {
            self.on_rollback_detected(turn, ack);
        }
        // Long enough that what is merely late is not taken for lost.
        let in_flight = Millis(turn.settings.retransmit_after.0 / 4);
        let acked = self.sent.acknowledge(ack, believed, in_flight, turn.env.mono);
        for id in acked.overtaken {
            turn.wake_soon(self.id, ContactTimer::Retransmit(id));
        }
        for id in acked.received {
            self.mark_delivered(turn, id);
        }
        // The contact is stalled on a number we have abandoned: announce our base again.
        if let Some(base) = self.sent.is_peer_stalled(ack) {
            self.announce_base(turn, base);
        }
    }

    /// The contact has received a message of ours.
    fn mark_delivered(&mut self, turn: &mut Turn<'_, '_>, id: MessageId) {
        self.stop_sending(turn, id);
        let now = turn.env.wall;
        if self.sent.state(id) == Some(MessageState::Mining) {
            // A crash after publishing can leave the record one state behind the truth.
            self.sent.log(id, |message| message.delivery.record_transmission(now));
            self.advance(turn, id, MessageState::Sent);
        }
        self.sent.log(id, |message| message.delivery.delivered = Some(now));
        self.advance(turn, id, MessageState::Delivered);
        let number = self.sent.message(id).and_then(|message| message.number);
        if let Some(done) = self.receipts.await_receipt(id, number) {
            self.sent.remove(done);
        }
    }

    /// The contact says what was read of ours.
    fn on_read_receipt(&mut self, turn: &mut Turn<'_, '_>, epoch: u64, below: u64) {
        if !self.receipts.enabled() {
            return;
        }
        let Some(received) = self.sent.acknowledge_read(epoch, below) else { return };
        // What was read was delivered, though the acknowledgement may be late.
        for id in received {
            self.mark_delivered(turn, id);
        }
        for id in self.receipts.receive(below) {
            let now = turn.env.wall;
            self.sent.log(id, |message| message.delivery.read = Some(now));
            self.advance(turn, id, MessageState::Read);
            self.sent.remove(id);
        }
    }

    /// Something with a number: a text is delivered if it is the next, and buffered if others come
    /// before it.
    fn on_numbered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        position: MessagePosition,
        content: NumberedContent,
    ) {
        let MessagePosition { epoch, number, base, early, lifetime } = position;
        let waited = self.received.open_epoch(epoch, base.min(number));
        deliver(turn, waited);
        let received = self.received.receive(number);
        let text = match (received, content) {
            (Received::OutOfWindow, _) => return,
            // Its acknowledgement was lost, or is on its way.
            (Received::Duplicate, NumberedContent::Text(_)) => {
                return self.owe_ack(turn, lifetime);
            }
            (Received::InOrder | Received::OutOfOrder, NumberedContent::Text(text)) => Some(text),
            (_, NumberedContent::NotUnderstood) => None,
        };
        if let Some(text) = text {
            let direction = match received {
                Received::InOrder => StoredDirection::Delivered,
                Received::OutOfOrder | Received::Duplicate | Received::OutOfWindow => {
                    StoredDirection::Buffered { epoch }
                }
            };
            let message = MessageRecord {
                id: MessageId::draw(turn.env),
                contact: self.id,
                direction,
                number: Some(number),
                text,
                at: turn.env.wall,
                missing: 0,
                early,
                lifetime,
                delivery: DeliveryLog::default(),
            };
            turn.put(Record::Message(message.clone()));
            if direction == StoredDirection::Delivered {
                turn.emit(Event::Message(message.view()));
                self.received.delivered(message);
            } else {
                self.received.buffer(epoch, number, message);
            }
        }
        self.put(turn);
        let delivered = self.received.deliver_in_order(epoch, 0);
        deliver(turn, delivered);
        self.owe_ack(turn, lifetime);
    }

    /// Something was heard that deserves an acknowledgement: soon, not at once.
    fn owe_ack(&mut self, turn: &mut Turn<'_, '_>, lifetime: Lifetime) {
        if self.received.owe_ack(lifetime) {
            let now = turn.env.mono;
            turn.wake_by(self.id, ContactTimer::Acknowledge, now);
        } else {
            turn.wake_soon(self.id, ContactTimer::Acknowledge);
        }
    }

    /// The contact told us that a session is over.
    fn on_close(&mut self, turn: &mut Turn<'_, '_>, closed: SessionId) {
        let ended = self.sessions().ended_by_closing(closed);
        // A session that was put earlier in this commit is erased by what follows it.
        ended.iter().for_each(|&session| self.handshake.end(turn, session));
        self.forget_sessions(turn, &ended);
        if self.sessions().is_empty() {
            self.state = ContactState::Inactive;
            self.handshake.withdraw_offer();
            self.put(turn);
        }
    }

    /// The contact acknowledges what this state never sent ([`super::rollback`]): another epoch begins.
    fn on_rollback_detected(&mut self, turn: &mut Turn<'_, '_>, ack: &Ack) {
        let epoch = turn.env.draw_u64();
        let received = self.sent.start_epoch_after_rollback(ack, epoch);
        self.put(turn);
        for id in received {
            self.mark_delivered(turn, id);
        }
        for done in self.receipts.forget_all() {
            self.sent.remove(done);
        }
        for id in self.sent.unacked() {
            if let Some(message) = self.sent.message(id) {
                turn.put(Record::Message(message.clone()));
            }
            turn.wake_soon(self.id, ContactTimer::Retransmit(id));
        }
    }
}

/// Stores and tells of messages that waited and wait no longer.
fn deliver(turn: &mut Turn<'_, '_>, messages: Vec<MessageRecord>) {
    for message in messages {
        let view = message.view();
        turn.put(Record::Message(message));
        turn.emit(Event::Message(view));
    }
}
