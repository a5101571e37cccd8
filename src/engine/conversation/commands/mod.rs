//! Commands about one contact, and their effects.

use crate::engine::command::{CommandError, Proof, Reply};
use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::envelope::Postage;
use crate::engine::event::Event;
use crate::engine::id::MessageId;
use crate::engine::price::Step;
use crate::engine::record::{
    ContactState, EnvelopePurpose, MessageRecord, MessageState, Record, RecordKey, Trust,
    VerificationMethod,
};
use crate::engine::secret::opaque_debug;
use crate::engine::session::MAX_TEXT;
use crate::engine::turn::{ContactJob, ContactTimer, Turn};

use super::Conversation;
use super::retransmit::Retransmission;
use super::send::{
    Also, last_highest, look_again_at_all, on_window_moved, queue_farewells, usual_highest,
};
use super::send_window::Withdrawn;
use super::verification::{self, Comparison};

/// A command about one contact; [`crate::engine::command::Command`] documents each. Checks that
/// involve more than the contact were made before.
pub(in crate::engine) enum ContactCommand {
    /// Give it another local name.
    Rename {
        /// The name.
        petname: String,
    },
    /// Erase its sessions and ignore it. It is told nothing.
    Block,
    /// End the block, and offer it a session.
    Unblock,
    /// Send it a text.
    Say {
        /// The text.
        text: String,
        /// How long its envelopes live.
        postage: Postage,
    },
    /// A person has read everything up to the message with this number of its latest epoch.
    MarkRead {
        /// The message's number.
        number: u64,
    },
    /// Turn read receipts on or off, in both directions.
    SetReadReceipts {
        /// Whether receipts are exchanged.
        on: bool,
    },
    /// Say what may be paid for what goes to it.
    Limit {
        /// The highest step; `None`: as the settings say.
        highest: Option<Step>,
    },
    /// Erase a message here.
    EraseMessage(MessageId),
    /// Withdraw a message that was not published.
    Cancel(MessageId),
    /// Send a message once more.
    Retry(MessageId),
    /// Send it a farewell and erase the sessions.
    CloseSession,
    /// Compare a safety number or words that it read out.
    Verify(Proof),
    /// Replace its key.
    Rekey(PublicKey),
    /// End a hold without a comparison.
    AcceptUnverified,
}

opaque_debug!(
    enum ContactCommand {
        Rename,
        Block,
        Unblock,
        Say,
        MarkRead,
        SetReadReceipts,
        Limit,
        EraseMessage,
        Cancel,
        Retry,
        CloseSession,
        Verify,
        Rekey,
        AcceptUnverified,
    }
);

impl ContactCommand {
    /// Carries the command out, or returns why not and changes nothing.
    pub(in crate::engine) fn carry_out(
        self,
        conversation: &mut Conversation,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Reply, CommandError> {
        let done = self.act(conversation, turn);
        if done.is_ok() {
            // Most change what may be paid for what goes to the contact, or what is sent at all.
            turn.outbox.note_repriced(conversation.id);
        }
        done
    }

    fn act(
        self,
        conversation: &mut Conversation,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Reply, CommandError> {
        match self {
            Self::Rename { petname } => {
                conversation.petname = petname;
                conversation.put(turn);
                turn.settle();
                conversation.emit(turn);
            }
            Self::Block => block(conversation, turn),
            Self::Unblock => unblock(conversation, turn),
            Self::Say { text, postage } => return say(conversation, turn, text, postage),
            Self::MarkRead { number } => mark_read(conversation, turn, number),
            Self::SetReadReceipts { on } => {
                if let Some(done) = conversation.receipts.set_enabled(on) {
                    conversation.put(turn);
                    turn.settle();
                    // Held for their receipt alone.
                    done.into_iter().for_each(|id| conversation.sent.remove(id));
                    conversation.emit(turn);
                }
            }
            Self::Limit { highest } => limit(conversation, turn, highest),
            Self::EraseMessage(id) => erase_message(conversation, turn, id)?,
            Self::Cancel(id) => cancel(conversation, turn, id)?,
            Self::Retry(id) => retry(conversation, turn, id)?,
            Self::CloseSession => {
                // Encrypted first: its key goes with the sessions, in the same commit.
                queue_farewells(conversation, turn);
                // A person wants none, so what a backup lacked is not made good either.
                conversation.restored = None;
                end_sessions(conversation, turn, ContactState::Inactive);
                turn.settle();
                conversation.emit(turn);
            }
            Self::Verify(proof) => return verify(conversation, turn, &proof),
            Self::Rekey(key) => rekey(conversation, turn, key),
            Self::AcceptUnverified => {
                if !conversation.verification.is_on_hold() {
                    return Err(CommandError::NotOnHold);
                }
                set_trust(conversation, turn, Trust::Unverified);
            }
        }
        Ok(Reply::Done)
    }
}

/// Erases the contact with everything that belongs to it. From then on its key is a stranger's. It is
/// told that the session is over, unless it is blocked: what it says next is a request.
pub(in crate::engine) fn remove(mut conversation: Conversation, turn: &mut Turn<'_, '_>) {
    let contact = conversation.id;
    turn.forget_outgoing(contact, |purpose| purpose.concerns(contact));
    // The one thing of it that stays, until it has left.
    queue_farewells(&mut conversation, turn);
    erase_all(conversation, turn);
}

/// Erases the contact with everything that belongs to it, as its identity is erased. It is told
/// nothing: nobody is left who could answer, and as many farewells at once as there were contacts
/// would show that.
pub(in crate::engine) fn remove_with_identity(conversation: Conversation, turn: &mut Turn<'_, '_>) {
    let contact = conversation.id;
    turn.forget_outgoing(contact, |purpose| purpose.concerns(contact));
    erase_all(conversation, turn);
}

fn erase_all(mut conversation: Conversation, turn: &mut Turn<'_, '_>) {
    let contact = conversation.id;
    end_sessions(&mut conversation, turn, ContactState::Inactive);
    // Into the queue, where nothing that is for nobody stays.
    turn.outbox.free(contact);
    turn.erase(RecordKey::Contact(contact));
    turn.erase_messages(contact);
    turn.emit(Event::ContactRemoved(contact));
}

/// Says what may be paid for all that goes to the contact from here on. If that is more, whatever
/// waits for a lower price is looked at again.
fn limit(conversation: &mut Conversation, turn: &mut Turn<'_, '_>, highest: Option<Step>) {
    let before = usual_highest(conversation, turn.settings);
    conversation.highest = highest;
    conversation.put(turn);
    turn.settle();
    let most = usual_highest(conversation, turn.settings);
    if most > before {
        // What has expired waits for its next sending: it is not the price that holds it back.
        look_again_at_all(conversation, turn, (most, Also::NotForLong));
    }
    conversation.emit(turn);
}

/// Whether a text may be sent to the contact at all.
pub(in crate::engine) fn check_text(
    conversation: &Conversation,
    text: &str,
) -> Result<(), CommandError> {
    if conversation.state == ContactState::Blocked {
        return Err(CommandError::Blocked);
    }
    if text.trim().is_empty() || text.len() > MAX_TEXT {
        return Err(CommandError::BadText);
    }
    Ok(())
}

fn say(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    text: String,
    postage: Postage,
) -> Result<Reply, CommandError> {
    check_text(conversation, &text)?;
    let id = MessageId::draw(turn.env);
    let message = MessageRecord::outgoing(id, conversation.id, text, postage, turn.env.wall);
    turn.put(Record::Message(message.clone()));
    turn.settle();
    turn.emit(Event::Message(message.view()));
    let before = last_highest(conversation, turn.settings);
    conversation.sent.accept(message);
    take_along(conversation, turn, before);
    conversation.schedule_send(turn);
    reopen(conversation, turn);
    Ok(Reply::Message(id))
}

/// Has what is before the last message go along with it, if that may cost more than is usual, or than
/// `before`, which is what the one before it may cost, and the least of all.
///
/// What waits for a lower price or its turn goes along, and also what left and is in no pool any more,
/// or not for long: it has to arrive before the last one can be shown.
fn take_along(conversation: &mut Conversation, turn: &mut Turn<'_, '_>, before: Step) {
    let most = last_highest(conversation, turn.settings);
    if most > before.min(usual_highest(conversation, turn.settings)) {
        look_again_at_all(conversation, turn, (most, Also::Expired));
    }
}

/// Offers a session if there is none: a person wants something sent. That reopens a conversation
/// that was closed, which no timer does.
fn reopen(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    if conversation.handshake.pending().is_none() && conversation.sessions().is_empty() {
        conversation.start_offer(turn);
    }
}

fn cancel(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: MessageId,
) -> Result<(), CommandError> {
    // Others carry it already: "cancelled" would be a promise that nobody can keep.
    if !is_withdrawable(conversation, turn, id) {
        return Err(CommandError::TooLate);
    }
    withdraw(conversation, turn, id);
    conversation.advance(turn, id, MessageState::Cancelled);
    // One commit: a crash between the freed number and the message that still bears it would give
    // two messages one number.
    turn.settle();
    Ok(())
}

/// Sends a message again because a person asked for it.
fn retry(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: MessageId,
) -> Result<(), CommandError> {
    let state = conversation.sent.state(id).ok_or(CommandError::TooLate)?;
    let before = last_highest(conversation, turn.settings);
    match state {
        MessageState::Failed | MessageState::Cancelled | MessageState::Unacknowledged
            if conversation.state == ContactState::Blocked =>
        {
            return Err(CommandError::Blocked);
        }
        MessageState::Failed | MessageState::Cancelled => {
            conversation.advance(turn, id, MessageState::Queued);
            turn.settle();
            conversation.sent.enqueue(id);
            take_along(conversation, turn, before);
            conversation.schedule_send(turn);
        }
        MessageState::Unacknowledged => {
            let numbered =
                conversation.sent.message(id).is_some_and(|message| message.number.is_some());
            if numbered {
                // It still has its number: the contact takes the sending for a repetition, should
                // it have the message. In the session of an offer it goes after that.
                // Stored before anything else: this process may end, or have no network.
                if let Some(message) = conversation.sent.log(id, MessageRecord::ask_again) {
                    turn.put(Record::Message(message.clone()));
                    turn.settle();
                }
                reopen(conversation, turn);
                turn.outbox.push_for(conversation.id, ContactJob::RetransmitNow(id));
                // A person wants it: it does not wait for its turn among what waited for a price.
                turn.outbox.free(conversation.id);
                return Ok(());
            }
            // Abandoned: it gets another number and its whole time again. That `first_sent` is gone
            // also tells a restart that it waits in the queue.
            let message = conversation.sent.log(id, |message| message.delivery.first_sent = None);
            if let Some(message) = message {
                turn.put(Record::Message(message.clone()));
                turn.settle();
            }
            conversation.sent.enqueue(id);
            take_along(conversation, turn, before);
            conversation.schedule_send(turn);
        }
        MessageState::Queued
        | MessageState::Mining
        | MessageState::Sent
        | MessageState::Delivered
        | MessageState::Read => return Err(CommandError::TooLate),
    }
    reopen(conversation, turn);
    Ok(())
}

/// Erases one message on this device. One of ours that was not published never leaves; one that was
/// published and not acknowledged is abandoned. A buffered message is not shown yet, and stays.
fn erase_message(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: MessageId,
) -> Result<(), CommandError> {
    // Its number is acknowledged: erased unseen, it would be lost and not even count as missing.
    if conversation.received.is_buffered(id) {
        return Err(CommandError::TooLate);
    }
    match conversation.sent.state(id) {
        Some(MessageState::Queued | MessageState::Mining)
            if is_withdrawable(conversation, turn, id) =>
        {
            withdraw(conversation, turn, id);
        }
        Some(MessageState::Mining | MessageState::Sent | MessageState::Unacknowledged) => {
            conversation.abandon(turn, id);
        }
        Some(MessageState::Delivered) => conversation.receipts.forget(id),
        Some(
            MessageState::Queued
            | MessageState::Read
            | MessageState::Failed
            | MessageState::Cancelled,
        )
        | None => {}
    }
    conversation.sent.remove(id);
    conversation.received.remove(id);
    on_window_moved(conversation, turn);
    turn.erase(RecordKey::Message(id));
    turn.settle();
    Ok(())
}

/// Notes that a person has read everything up to a message.
fn mark_read(conversation: &mut Conversation, turn: &mut Turn<'_, '_>, number: u64) {
    if !conversation.received.read_up_to(number) {
        return;
    }
    conversation.put(turn);
    turn.settle();
    // The mark is stored in any case: a receipt covers all before it, so one sent later includes
    // this.
    if conversation.receipts.enabled() && conversation.sessions().confirmed().is_some() {
        conversation.receipts.note_read();
        turn.wake_soon(conversation.id, ContactTimer::Acknowledge);
    }
}

fn block(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    // Unpublished messages fail, so that a person sees it. Published ones keep their numbers and
    // are sent again after unblocking.
    for id in conversation.sent.ids() {
        if is_withdrawable(conversation, turn, id) {
            withdraw(conversation, turn, id);
            conversation.advance(turn, id, MessageState::Failed);
        }
        conversation.sent.dequeue(id);
        turn.clear_timer(conversation.id, ContactTimer::Retransmit(id));
    }
    end_sessions(conversation, turn, ContactState::Blocked);
    // One commit: after a crash the contact is blocked and nothing waits for it, or it is not and
    // everything does.
    turn.settle();
    conversation.emit(turn);
}

fn unblock(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    if conversation.state != ContactState::Blocked {
        return;
    }
    conversation.state = ContactState::Active;
    resume_retransmits(conversation, turn);
    // It was not told that it was blocked, so it may still have the sessions that were erased here,
    // and nobody could open what it says in them. An offer is what it gets of anybody who comes back
    // without a session. One commit: a crash between the two would leave it without one.
    conversation.start_offer(turn);
    // None is made while sending is on hold; the end of that makes it.
    if conversation.verification.is_on_hold() {
        conversation.put(turn);
        turn.settle();
        conversation.emit(turn);
    }
}

/// Compares a safety number or words that the contact read out.
fn verify(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    proof: &Proof,
) -> Result<Reply, CommandError> {
    let (by, compared) = match proof {
        Proof::SafetyNumber(entered) => {
            let own = conversation.handshake.own().public();
            let same = SafetyNumber::of(&own, conversation.handshake.key()) == *entered;
            let compared = if same { Comparison::Same } else { Comparison::Differs(None) };
            (VerificationMethod::SafetyNumber, compared)
        }
        Proof::Sas(words) => {
            let compared = verification::compare_sas(conversation.sessions(), words);
            (VerificationMethod::Sas, compared.ok_or(CommandError::NoSas)?)
        }
    };
    match compared {
        Comparison::Same => {
            let at = turn.env.wall;
            set_trust(conversation, turn, Trust::Verified { at, by });
            Ok(Reply::Verified)
        }
        Comparison::Differs(word) => {
            let attempts_left = on_mismatch(conversation, turn);
            Ok(Reply::Differs { word, attempts_left })
        }
    }
}

/// Puts the contact on hold after a failed comparison; returns how many attempts are left.
fn on_mismatch(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) -> u8 {
    let left = conversation.verification.mismatched(turn.env.wall);
    put_on_hold(conversation, turn);
    // Somebody in the middle must not get more guesses at the same words: the next session has
    // others.
    if left == 0 && conversation.state != ContactState::Blocked {
        end_sessions(conversation, turn, ContactState::Inactive);
    }
    conversation.put(turn);
    turn.settle();
    conversation.emit(turn);
    left
}

/// Replaces the contact's key and puts the contact on hold. The new key's request may be waiting:
/// the caller accepts that in the same commit, or settles the turn and emits the contact.
fn rekey(conversation: &mut Conversation, turn: &mut Turn<'_, '_>, key: PublicKey) {
    put_on_hold(conversation, turn);
    end_sessions(conversation, turn, ContactState::Inactive);
    // The holder of another key has nothing of the epoch before: no receipt for it can come, and an
    // acknowledgement by the old key must not count for what the new one never got.
    for done in conversation.receipts.forget_all() {
        conversation.sent.remove(done);
    }
    let epoch = turn.env.draw_u64();
    conversation.sent.start_epoch(epoch);
    for id in conversation.sent.unacked() {
        if let Some(message) = conversation.sent.message(id) {
            turn.put(Record::Message(message.clone()));
        }
    }
    conversation.handshake.set_key(key);
    conversation.verification.rekeyed(turn.env.wall);
    conversation.put(turn);
}

fn set_trust(conversation: &mut Conversation, turn: &mut Turn<'_, '_>, trust: Trust) {
    let released = conversation.verification.decide(trust);
    conversation.put(turn);
    turn.settle();
    if released {
        release_hold(conversation, turn);
    }
    conversation.emit(turn);
}

/// Erases every envelope to the contact that is not done with. A message that never left goes back
/// to the queue; one that left is encrypted afresh after the hold.
fn put_on_hold(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    let contact = conversation.id;
    for id in conversation.sent.mining() {
        if is_withdrawable(conversation, turn, id) {
            withdraw(conversation, turn, id);
            conversation.advance(turn, id, MessageState::Queued);
            conversation.sent.enqueue_first(id);
        } else {
            // Its envelope was finished when the process ended and may have been published: it
            // counts as sent, and keeps its number.
            let now = turn.env.wall;
            let logged =
                conversation.sent.log(id, |message| message.delivery.record_transmission(now));
            let Some(lifetime) =
                logged.map(|message| Retransmission::of(message).lifetime_left(now))
            else {
                continue;
            };
            let at = turn.env.mono.plus(lifetime);
            turn.wake_at(contact, ContactTimer::Expiry(id), at);
            conversation.advance(turn, id, MessageState::Sent);
        }
    }
    turn.forget_outgoing(contact, |purpose| purpose.concerns(contact));
}

/// Schedules everything that was left out while the contact was on hold.
fn release_hold(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    // The end of a hold does not end a block.
    if conversation.state == ContactState::Blocked {
        return;
    }
    let contact = conversation.id;
    if conversation.handshake.pending().is_some() {
        turn.outbox.push_for(contact, ContactJob::Offer);
    } else if conversation.sessions().is_empty() {
        conversation.start_offer(turn);
    }
    for session in conversation.sessions().unanswered() {
        turn.outbox.push_for(contact, ContactJob::AnswerOffer(session));
    }
    turn.outbox.push_for(contact, ContactJob::Acknowledge);
    resume_retransmits(conversation, turn);
    conversation.schedule_send(turn);
}

/// Schedules another sending of every unacknowledged message.
fn resume_retransmits(conversation: &Conversation, turn: &mut Turn<'_, '_>) {
    let wait = turn.settings.retransmit_after;
    for id in conversation.sent.unacked() {
        turn.wake_after(conversation.id, ContactTimer::Retransmit(id), wait);
    }
}

/// Erases all sessions, the pending offer, and the timers that need a session.
fn end_sessions(conversation: &mut Conversation, turn: &mut Turn<'_, '_>, state: ContactState) {
    let contact = conversation.id;
    let all = conversation.sessions().ids();
    all.iter().for_each(|&session| conversation.handshake.end(turn, session));
    conversation.forget_sessions(turn, &all);
    turn.forget_outgoing(contact, |purpose| purpose == EnvelopePurpose::Offer(contact));
    for timer in [ContactTimer::Offer, ContactTimer::Acknowledge, ContactTimer::GapReport] {
        turn.clear_timer(contact, timer);
    }
    conversation.state = state;
    conversation.handshake.withdraw_offer();
    conversation.put(turn);
}

/// Whether a message was not published and can still be kept from it.
fn is_withdrawable(conversation: &Conversation, turn: &Turn<'_, '_>, id: MessageId) -> bool {
    conversation.sent.state(id).is_some_and(|state| match state {
        MessageState::Queued => true,
        MessageState::Mining => turn.outbox.is_unpublished(conversation.id, id),
        MessageState::Sent
        | MessageState::Unacknowledged
        | MessageState::Delivered
        | MessageState::Read
        | MessageState::Failed
        | MessageState::Cancelled => false,
    })
}

/// Withdraws a message that was never published, with its envelope.
fn withdraw(conversation: &mut Conversation, turn: &mut Turn<'_, '_>, id: MessageId) {
    let contact = conversation.id;
    turn.forget_outgoing(contact, |purpose| purpose == EnvelopePurpose::Message(contact, id));
    match conversation.sent.withdraw(id) {
        Withdrawn::Unnumbered => {}
        // The next number went back by one, and is part of the contact's record.
        Withdrawn::Numbered => conversation.put(turn),
    }
}

#[cfg(test)]
mod tests;
