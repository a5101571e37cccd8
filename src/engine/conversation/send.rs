//! What leaves for a contact: a job becomes an encrypted envelope, and what follows when that left.
//!
//! What an envelope says is decided when its turn comes. Each is encrypted once and stored with the
//! session's next state before it can leave; a message that is sent again is encrypted afresh, under
//! its old number.

use crate::engine::env::Millis;
use crate::engine::envelope::Lifetime;
use crate::engine::id::{MessageId, OutgoingId};
use crate::engine::record::{EnvelopePurpose, MessageState, OutgoingRecord, Record};
use crate::engine::session::{Content, Payload, SealedBody, SessionId};
use crate::engine::turn::{ContactJob, ContactTimer, Turn};

use super::Conversation;
use super::handshake::SealedOffer;
use super::retransmit::{EXPIRY_GRACE, Expiry, Retransmission};

/// Sent so often in one session without an acknowledgement, the contact may have lost its state:
/// offer anew (`proto/session.md`, "Sending again").
const TRANSMISSIONS_BEFORE_OFFER: u32 = 5;

/// Half a minute before an offer is sent again, doubled each time. A guess.
const OFFER_RETRY: Millis = Millis::from_secs(30);

/// Doubling ends at 2^11 times half a minute, about 17 hours.
const MAX_DOUBLINGS: u32 = 11;

/// Turns a job into an encrypted envelope, stored; or into nothing when there is no need for it.
pub(in crate::engine) fn next_envelope(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    job: ContactJob,
) -> Option<OutgoingRecord> {
    // Nothing leaves for a contact that is on hold. What was encrypted before was erased then.
    if conversation.verification.is_on_hold() {
        return None;
    }
    match job {
        ContactJob::Offer => offer(conversation, turn),
        ContactJob::SendNext => next_message(conversation, turn),
        ContactJob::Retransmit(id) => retransmit(conversation, turn, id),
        ContactJob::RetransmitNow(id) => retransmit_now(conversation, turn, id),
        ContactJob::AnswerOffer(session) => answer(conversation, turn, session),
        ContactJob::Acknowledge => acknowledgement(conversation, turn),
    }
}

/// Seals the pending offer afresh, in place of the envelope that carried it before.
fn offer(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) -> Option<OutgoingRecord> {
    let body = match conversation.handshake.seal_offer(turn)? {
        SealedOffer::Sealed(body) => body,
        SealedOffer::OutOfDate => {
            conversation.start_offer(turn);
            return None;
        }
    };
    let contact = conversation.id;
    let purpose = EnvelopePurpose::Offer(contact);
    let record = outgoing(conversation, turn, purpose, body);
    turn.forget_outgoing(contact, |kept| kept == purpose);
    turn.put(Record::Outgoing(record.clone()));
    turn.settle();
    Some(record)
}

/// Encrypts the next queued message.
fn next_message(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
) -> Option<OutgoingRecord> {
    let session = conversation.sessions().preferred()?.id();
    let (message, number) = conversation.sent.next()?;
    let (id, text) = (message.id, message.text.clone());
    let payload = payload(conversation, Some(number), Content::Text(text));
    let purpose = EnvelopePurpose::Message(conversation.id, id);
    let Some(record) = encrypt(conversation, turn, session, &payload, purpose) else {
        offer_unless_pending(conversation, turn);
        return None;
    };
    conversation.sent.number_next(session, turn.env.mono);
    conversation.put(turn);
    if let Some(message) = conversation.sent.message(id) {
        turn.put(Record::Message(message.clone()));
    }
    // One that left before and was abandoned stays what it is until it leaves again.
    conversation.advance(turn, id, MessageState::Mining);
    turn.settle();
    conversation.schedule_send(turn);
    Some(record)
}

/// Encrypts a message that was not acknowledged once more, if nobody has to be asked for that.
fn retransmit(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: MessageId,
) -> Option<OutgoingRecord> {
    let message = conversation.sent.message(id)?;
    if !Retransmission::of(message).may_retransmit(turn.env.wall) {
        // The clock may be wrong, or a person may ask.
        let wait = Retransmission::of(message).backoff(turn.settings.retransmit_after);
        turn.wake_after(conversation.id, ContactTimer::Retransmit(id), wait);
        return None;
    }
    retransmit_now(conversation, turn, id)
}

/// Encrypts a message that was not acknowledged once more.
fn retransmit_now(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: MessageId,
) -> Option<OutgoingRecord> {
    let message = conversation.sent.message(id)?;
    if !conversation.sent.state(id)?.awaits_ack() {
        return None;
    }
    let number = message.number?;
    let text = Content::Text(message.text.clone());
    let payload = payload(conversation, Some(number), text);
    let contact = conversation.id;
    let first_wait = turn.settings.retransmit_after;
    let Some(session) = conversation.sessions().preferred().map(|session| session.id()) else {
        // The session was closed, or lost: it goes in the next one.
        turn.wake_after(contact, ContactTimer::Retransmit(id), first_wait);
        conversation.offer_if_needed(turn);
        return None;
    };
    let purpose = EnvelopePurpose::Message(contact, id);
    turn.forget_outgoing(contact, |kept| kept == purpose);
    let record = encrypt(conversation, turn, session, &payload, purpose);
    turn.settle();
    let Some(record) = record else {
        // As many are on their way in this session as the contact waits for.
        turn.wake_after(contact, ContactTimer::Retransmit(id), first_wait);
        offer_unless_pending(conversation, turn);
        return None;
    };
    conversation.sent.encrypted_again(id, session, turn.env.mono);
    Some(record)
}

/// Answers an offer, again and again until the contact is heard in that session.
fn answer(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: SessionId,
) -> Option<OutgoingRecord> {
    let session = conversation.sessions().get(id)?;
    if session.confirmed() || conversation.sessions().has_newer_confirmed(session) {
        return None;
    }
    let payload = payload(conversation, None, Content::Answer);
    let purpose = EnvelopePurpose::Control(conversation.id);
    let record = encrypt(conversation, turn, id, &payload, purpose)?;
    turn.settle();
    let before = conversation.handshake.answer_sent();
    let wait = Millis(turn.settings.retransmit_after.0 << before.min(MAX_DOUBLINGS));
    turn.wake_after(conversation.id, ContactTimer::Answer(id), wait);
    conversation.emit(turn);
    Some(record)
}

/// Acknowledges, or tells what was read or will never come, unless a message did so meanwhile.
fn acknowledgement(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
) -> Option<OutgoingRecord> {
    let session = conversation.sessions().preferred()?.id();
    // What was read, and the base, are told to whom was heard, and to nobody who may be another.
    let confirmed = conversation.sessions().confirmed().is_some();
    let has_more = conversation.receipts.is_due() || conversation.sent.has_base_to_announce();
    let needed = conversation.received.owes_ack() || (confirmed && has_more);
    if !needed {
        return None;
    }
    let mut content = Content::Nothing;
    if confirmed {
        conversation.receipts.tell();
        content = read_receipt(conversation);
    }
    let payload = payload(conversation, None, content);
    let purpose = EnvelopePurpose::Control(conversation.id);
    let record = encrypt(conversation, turn, session, &payload, purpose)?;
    turn.settle();
    Some(record)
}

/// Tells the contact that the session is over, if anything may be sent and there is one: encrypted,
/// stored and queued, so that the keys can be erased in the same commit.
pub(super) fn queue_farewell(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    if conversation.verification.is_on_hold() {
        return;
    }
    let preferred = conversation.sessions().preferred().map(|session| session.id());
    let Some(session) = preferred else { return };
    let payload = payload(conversation, None, Content::Close);
    let purpose = EnvelopePurpose::Control(conversation.id);
    if let Some(record) = encrypt(conversation, turn, session, &payload, purpose) {
        turn.outbox.push_encrypted(conversation.id, record);
    }
}

/// What an envelope says that has nothing else to say.
fn read_receipt(conversation: &Conversation) -> Content {
    match conversation.received.last_read() {
        Some((epoch, below)) if conversation.receipts.enabled() => Content::Read { epoch, below },
        Some(_) | None => Content::Nothing,
    }
}

/// What every payload says besides its content: our epoch and base, and what we have of theirs.
fn payload(conversation: &Conversation, number: Option<u64>, content: Content) -> Payload {
    Payload {
        epoch: conversation.sent.sequence().epoch,
        number,
        ack: conversation.received.latest_ack(),
        base: conversation.sent.base(number),
        content,
    }
}

/// One step of a session's chain, stored with the envelope it made. The caller settles the turn before
/// anything is sent.
fn encrypt(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    session: SessionId,
    payload: &Payload,
    purpose: EnvelopePurpose,
) -> Option<OutgoingRecord> {
    let body = conversation.handshake.encrypt(turn, session, payload)?;
    let outgoing = outgoing(conversation, turn, purpose, body);
    turn.put(Record::Outgoing(outgoing.clone()));
    // Whatever we say acknowledges what we heard and tells our base.
    let lifetime = lifetime_of(conversation, purpose, turn.settings.lifetime);
    conversation.sent.base_announced(payload.base);
    conversation.received.ack_sent(lifetime);
    if !conversation.received.owes_ack() && !conversation.receipts.is_due() {
        turn.clear_timer(conversation.id, ContactTimer::Acknowledge);
    }
    Some(outgoing)
}

/// A record for a sealed body; storing it is up to the caller.
fn outgoing(
    conversation: &Conversation,
    turn: &mut Turn<'_, '_>,
    purpose: EnvelopePurpose,
    sealed: SealedBody,
) -> OutgoingRecord {
    OutgoingRecord {
        id: OutgoingId::draw(turn.env),
        purpose,
        topic: sealed.topic,
        body: sealed.body,
        ttl: lifetime_of(conversation, purpose, turn.settings.lifetime).ttl(),
        envelope: None,
    }
}

/// How long an envelope to the contact is to live: a message's as long as its writer wanted, an offer's
/// at least as long as what waits for it, an answer's or an acknowledgement's at least as long as what
/// it answers, so that whoever sent that and went away still finds it.
fn lifetime_of(
    conversation: &Conversation,
    purpose: EnvelopePurpose,
    default: Lifetime,
) -> Lifetime {
    let needed = match purpose {
        EnvelopePurpose::Junk => None,
        EnvelopePurpose::Message(_, id) => {
            return conversation.sent.message(id).map_or(default, |message| message.lifetime);
        }
        EnvelopePurpose::Control(_) => conversation.received.ack_lifetime(),
        EnvelopePurpose::Offer(_) => conversation.sent.longest_lifetime(),
    };
    needed.map_or(default, |needed| needed.max(default))
}

/// Offers another session, unless an offer waits already.
fn offer_unless_pending(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    if conversation.handshake.pending().is_none() {
        conversation.start_offer(turn);
    }
}

/// An envelope to the contact is in the flood: notes it, and plans what follows if nobody answers.
pub(in crate::engine) fn on_published(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    purpose: EnvelopePurpose,
) {
    match purpose {
        EnvelopePurpose::Offer(_) => offer_published(conversation, turn),
        EnvelopePurpose::Message(_, id) => message_published(conversation, turn, id),
        EnvelopePurpose::Control(_) | EnvelopePurpose::Junk => {}
    }
}

/// A finished envelope was published once more with the first neighbour. It counts if the process may
/// have ended before it was counted.
pub(in crate::engine) fn on_republished(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    message: MessageId,
) {
    let counted = conversation.sent.state(message).is_none_or(|state| state == MessageState::Sent);
    if !counted {
        message_published(conversation, turn, message);
    }
}

/// A finished envelope expired while no neighbour could take it, or while the process was not running
/// and nobody knows whether it left. The message is said to have left, which is the one thing that
/// cannot turn out to be false, and is sent again.
pub(in crate::engine) fn on_expired_unsent(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: MessageId,
) {
    if conversation.sent.state(id) != Some(MessageState::Mining) {
        return;
    }
    conversation.advance(turn, id, MessageState::Sent);
    conversation.advance(turn, id, MessageState::Unacknowledged);
    turn.settle();
    let at = turn.env.mono.plus(EXPIRY_GRACE);
    turn.wake_at(conversation.id, ContactTimer::Expiry(id), at);
    turn.wake_soon(conversation.id, ContactTimer::Retransmit(id));
}

fn offer_published(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    let Some(before) = conversation.handshake.offer_sent() else { return };
    conversation.put(turn);
    turn.settle();
    let wait = Millis(OFFER_RETRY.0 << before.min(MAX_DOUBLINGS));
    turn.wake_after(conversation.id, ContactTimer::Offer, wait);
    conversation.emit(turn);
}

fn message_published(conversation: &mut Conversation, turn: &mut Turn<'_, '_>, id: MessageId) {
    let now = turn.env.wall;
    let message = conversation.sent.log(id, |message| message.delivery.record_transmission(now));
    let Some(message) = message else { return };
    let wait = Retransmission::of(message).backoff(turn.settings.retransmit_after);
    let lifetime = Retransmission::of(message).lifetime_left(now);
    conversation.advance(turn, id, MessageState::Sent);
    turn.settle();
    let before = conversation.sent.transmitted(id, turn.env.mono);
    turn.wake_after(conversation.id, ContactTimer::Retransmit(id), wait);
    turn.wake_at(conversation.id, ContactTimer::Expiry(id), turn.env.mono.plus(lifetime));
    if before >= TRANSMISSIONS_BEFORE_OFFER {
        offer_unless_pending(conversation, turn);
    }
}

/// Nobody carries the last envelope of a message any longer, or it was sent for long enough.
pub(super) fn on_expiry_due(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: MessageId,
) {
    let contact = conversation.id;
    let Some(message) = conversation.sent.message(id) else { return };
    // What is being sent at this moment, or was asked for, is not given up.
    let asked = turn.outbox.is_unpublished(contact, id)
        || turn.outbox.waits(contact, ContactJob::RetransmitNow(id));
    match Retransmission::of(message).expiry(turn.env.wall, asked) {
        Expiry::Nothing => return,
        Expiry::LookAgain { after } => {
            turn.wake_at(contact, ContactTimer::Expiry(id), turn.env.mono.plus(after));
            return;
        }
        Expiry::Unacknowledged { look_again } => {
            conversation.advance(turn, id, MessageState::Unacknowledged);
            turn.wake_at(contact, ContactTimer::Expiry(id), turn.env.mono.plus(look_again));
        }
        Expiry::Abandon => {
            conversation.abandon(turn, id);
            if let Some(message) = conversation.sent.message(id) {
                turn.put(Record::Message(message.clone()));
            }
        }
    }
    turn.settle();
    conversation.schedule_send(turn);
}
