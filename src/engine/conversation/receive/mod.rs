//! The receive path of one contact, top to bottom: decrypt, take the acknowledgement, put the
//! message in order, deliver.
//!
//! A body that does not decrypt changes nothing. Everything that one changes is stored in one
//! commit with the session's next state: its key is wiped in that state, so a crash between the two
//! would lose the message.

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
use super::send::on_window_moved;

/// Where a payload came from: its envelope's lifetime, and whether it may predate this process.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Provenance {
    /// The envelope's lifetime.
    pub(in crate::engine) lifetime: Lifetime,
    /// Whether it may have been made before this process began, in a time that a rollback erased
    /// from our state ([`super::rollback`]).
    pub(in crate::engine) stale: bool,
}

/// The effect of a decrypted message on its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Opened {
    /// None that anybody outside the conversation has to follow.
    Message,
    /// It confirmed the session: messages that overtook the answer wait in the pool and can be
    /// opened. [`Conversation::on_established`] follows when they were read.
    Confirmation,
}

/// The place of a numbered message, and what its envelope and session say about it.
#[derive(Clone, Copy)]
struct MessagePosition {
    epoch: u64,
    number: u64,
    /// The lowest number its sender still holds.
    base: u64,
    /// The session that brought it, if that is not confirmed.
    early: Option<SessionId>,
    /// The lifetime of its envelope.
    lifetime: Lifetime,
}

impl Conversation {
    /// Decrypts a body that came under a topic of a session, and does what it says; `None` if it is
    /// not a message of that session.
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
        // A topic has 4 bytes, so this may be a stranger's envelope: failing is ordinary, has one
        // cost, and changes nothing.
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
        // The session's step is the first change of the commit that also stores what the message
        // says.
        self.handshake.store(turn, session);
        // Only a confirmed session proves that the contact speaks: a thief of our key can make an
        // offer in anybody's name (`proto/session.md`, "Which session").
        if confirmed {
            self.confirm_early_messages(turn, session);
            self.on_peer_active(turn);
        }
        // A stale envelope may acknowledge numbers of a time that a rollback erased, and this
        // process has given those to other messages (`proto/session.md`, "A disk that was put
        // back").
        let believed = if stale { self.sent.restored_next() } else { u64::MAX };
        // An acknowledgement counts in an unconfirmed session too: it names our epoch, 64 random
        // bits known only to those who have opened a message of ours.
        if let Some(ack) = &payload.ack {
            self.on_ack(turn, ack, believed);
        }
        let Payload { epoch, base, number, content, ack: _ } = payload;
        // The base makes us give up on missing numbers for good. An unconfirmed session, which may
        // be a thief's, fills no gap in a numbering (`proto/session.md`, "Which session").
        if confirmed {
            let missing = self.received.skip_to(epoch, base);
            // Nothing else will fill the gap, so what is buffered behind it is shown and says how
            // many are missing.
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
            // The acknowledgement is our first message of chain 2, the confirmation: the contact
            // answers again until it comes (`proto/session.md`, "Answer").
            Contents::Answer => {
                self.received.owe_ack(lifetime);
                turn.wake_in_handshake(self.id, ContactTimer::Acknowledge);
            }
            Contents::Close => self.on_close(turn, session),
            // Read marks count in confirmed sessions alone (`proto/session.md`, "Read"), and like
            // acknowledgements only for numbers that are believed.
            Contents::ReadReceipt { epoch, below } if confirmed => {
                self.on_read_receipt(turn, epoch, below.min(believed));
            }
            Contents::Nothing | Contents::ReadReceipt { .. } => {}
        }
        // The contact's event goes before those of its messages, so that a screen knows the
        // session's state when it shows the text. Hence a commit of its own: an event waits for the
        // changes before it.
        turn.commit();
        self.emit(turn);
        turn.settle();
        self.update_gap_report(turn);
        // The acknowledgement may have made room in the send window.
        on_window_moved(self, turn);
        // An acknowledged message does not raise any more what may be paid.
        turn.outbox.note_repriced(self.id);
    }

    /// The contact sent a message in a confirmed session: a pending offer is answered or not needed
    /// any more, and a restored contact has been reached.
    fn on_peer_active(&mut self, turn: &mut Turn<'_, '_>) {
        let answered = self.handshake.on_peer_active().is_some();
        let heard = self.restored.take().is_some();
        // Nearly every message of an established session ends here: nothing changed, so nothing is
        // stored.
        if !answered && !heard {
            return;
        }
        self.put(turn);
        let contact = self.id;
        turn.forget_outgoing(contact, |purpose| purpose == EnvelopePurpose::Offer(contact));
        turn.outbox.drop_job(contact, ContactJob::Offer);
        turn.clear_timer(contact, ContactTimer::Offer);
    }

    /// A session was confirmed. Messages that were last sent in another session and not
    /// acknowledged go in this one soon: a contact that lost its state cannot open those. Comes
    /// after what waited for the confirmation was read, which may acknowledge some of them.
    pub(in crate::engine) fn on_established(&self, turn: &mut Turn<'_, '_>, session: SessionId) {
        // A close among the messages that waited may have erased it.
        if self.sessions().get(session).is_none() {
            return;
        }
        for id in self.sent.sent_elsewhere(session) {
            turn.wake_in_handshake(self.id, ContactTimer::Retransmit(id));
        }
    }

    /// Lifts the mark from what came early in a session that is confirmed now: only the contact can
    /// have written it.
    fn confirm_early_messages(&mut self, turn: &mut Turn<'_, '_>, session: SessionId) {
        for message in self.received.confirm(session) {
            let id = message.id;
            turn.put(Record::Message(message));
            turn.emit(Event::Confirmed { message: id, contact: self.id });
        }
    }

    /// Takes an acknowledgement; numbers from `believed` on are ignored.
    fn on_ack(&mut self, turn: &mut Turn<'_, '_>, ack: &Ack, believed: u64) {
        // First of all: once another epoch has begun, the rest of this acknowledgement names the
        // old one and has no effect.
        if self.sent.is_behind(ack) {
            self.on_rollback_detected(turn, ack);
        }
        // A message sent more recently than this may merely be late, and is not taken for lost.
        let in_flight = Millis(turn.settings.retransmit_after.0 / 4);
        let acked = self.sent.acknowledge(ack, believed, in_flight, turn.env.mono);
        // A later message has arrived, so the earlier one is probably lost: it need not wait for
        // its backoff (`proto/session.md`, "Gaps").
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

    /// The contact has received a message of ours: stops resending it, and marks it delivered.
    fn mark_delivered(&mut self, turn: &mut Turn<'_, '_>, id: MessageId) {
        self.stop_sending(turn, id);
        let now = turn.env.wall;
        if self.sent.state(id) == Some(MessageState::Mining) {
            // The process ended between publishing and storing that: an acknowledged message was
            // sent.
            self.sent.log(id, |message| message.delivery.record_transmission(now));
            self.advance(turn, id, MessageState::Sent);
        }
        self.sent.log(id, |message| message.delivery.delivered = Some(now));
        self.advance(turn, id, MessageState::Delivered);
        let number = self.sent.message(id).and_then(|message| message.number);
        // In memory only while a read receipt may still change it; from then on the store alone has
        // it.
        if let Some(done) = self.receipts.await_receipt(id, number) {
            self.sent.remove(done);
        }
    }

    /// Takes a read receipt: the contact's person has read our messages of `epoch` below `below`.
    fn on_read_receipt(&mut self, turn: &mut Turn<'_, '_>, epoch: u64, below: u64) {
        // A person who sends no receipts is not shown them either (`proto/session.md`, "Read").
        if !self.receipts.enabled() {
            return;
        }
        // Another epoch, or numbers that were never given: no such message can have been read.
        let Some(received) = self.sent.acknowledge_read(epoch, below) else { return };
        // Reading implies delivery, and the acknowledgement may be lost or late.
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

    /// Takes in a numbered message: a text is delivered if it is the next, and buffered if others
    /// before it are missing.
    fn on_numbered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        position: MessagePosition,
        content: NumberedContent,
    ) {
        let MessagePosition { epoch, number, base, early, lifetime } = position;
        // At most `number`: a base above the message's own number would make a duplicate of it.
        let waited = self.received.open_epoch(epoch, base.min(number));
        deliver(turn, waited);
        let received = self.received.receive(number);
        let text = match (received, content) {
            // No honest sender goes so far ahead. Not acknowledged, so a sender that does sends it
            // again later.
            (Received::OutOfWindow, _) => return,
            // Our acknowledgement was lost or is on its way: without another one it would be sent
            // again for 30 days.
            (Received::Duplicate, NumberedContent::Text(_)) => {
                return self.owe_ack(turn, lifetime);
            }
            (Received::InOrder | Received::OutOfOrder, NumberedContent::Text(text)) => Some(text),
            // A later version's kind takes its number and is acknowledged, or it would hold up all
            // that follows (`proto/session.md`, "Messages").
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
                postage: lifetime.into(),
                delivery: DeliveryLog::default(),
            };
            // Stored before it can be shown: its key is wiped, so no other copy of it can be
            // opened.
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

    /// Schedules an acknowledgement: after a random delay, unless so many are owed that the
    /// sender's window would fill.
    fn owe_ack(&mut self, turn: &mut Turn<'_, '_>, lifetime: Lifetime) {
        if self.received.owe_ack(lifetime) {
            let now = turn.env.mono;
            turn.wake_by(self.id, ContactTimer::Acknowledge, now);
        } else {
            turn.wake_soon(self.id, ContactTimer::Acknowledge);
        }
    }

    /// The contact closed a session.
    fn on_close(&mut self, turn: &mut Turn<'_, '_>, closed: SessionId) {
        let ended = self.sessions().ended_by_closing(closed);
        // The session was put earlier in this commit. Changes apply in order, so erasing it wins.
        ended.iter().for_each(|&session| self.handshake.end(turn, session));
        self.forget_sessions(turn, &ended);
        // No session is left, so the pending offer has lost its own: nobody could read the answer
        // to it. Another is offered when a person writes.
        if self.sessions().is_empty() {
            self.state = ContactState::Inactive;
            self.handshake.withdraw_offer();
            self.put(turn);
        }
    }

    /// The contact acknowledges numbers that this state never gave ([`super::rollback`]): another
    /// epoch begins.
    fn on_rollback_detected(&mut self, turn: &mut Turn<'_, '_>, ack: &Ack) {
        let epoch = turn.env.draw_u64();
        let received = self.sent.start_epoch_after_rollback(ack, epoch);
        self.put(turn);
        for id in received {
            self.mark_delivered(turn, id);
        }
        // Receipts name the old epoch, so none of them can come any more.
        for done in self.receipts.forget_all() {
            self.sent.remove(done);
        }
        // Sent again under new numbers: the contact took them for repetitions of messages that we
        // forgot.
        for id in self.sent.unacked() {
            if let Some(message) = self.sent.message(id) {
                turn.put(Record::Message(message.clone()));
            }
            turn.wake_soon(self.id, ContactTimer::Retransmit(id));
        }
    }
}

/// Stores and emits buffered messages that are in order now.
fn deliver(turn: &mut Turn<'_, '_>, messages: Vec<MessageRecord>) {
    for message in messages {
        let view = message.view();
        turn.put(Record::Message(message));
        turn.emit(Event::Message(view));
    }
}

#[cfg(test)]
mod tests;
