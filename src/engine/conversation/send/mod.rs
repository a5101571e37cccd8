//! The send path of one contact: a job becomes an encrypted envelope, and publishing that schedules
//! what follows.
//!
//! The content of an envelope is decided when its turn comes. Each is encrypted once and stored
//! with the session's next state before it can leave; a message that is sent again is encrypted
//! afresh, under its old number.

use crate::engine::env::{Millis, UnixSeconds};
use crate::engine::envelope::Lifetime;
use crate::engine::event::Direction;
use crate::engine::id::{ContactId, MessageId, OutgoingId};
use crate::engine::price::Step;
use crate::engine::price::asking::one_by_one;
use crate::engine::record::{
    EnvelopePurpose, MessageRecord, MessageState, OutgoingRecord, PendingOffer, Record,
};
use crate::engine::session::{Content, Payload, SealedBody, Session, SessionId};
use crate::engine::settings::{NodeSettings, SyncPace};
use crate::engine::turn::{Aside, ContactJob, ContactTimer, Job, Turn};

use super::Conversation;
use super::handshake::{SealedOffer, SendingSession};
use super::reach;
use super::retransmit::{Expiry, Retransmission};
use super::sessions::BELIEVED_AHEAD;

/// Sendings of one message without an acknowledgement, about half an hour with the usual waits,
/// after which the contact may have lost its state: each further one offers another session. A
/// guess.
const TRANSMISSIONS_BEFORE_OFFER: u32 = 5;

/// The wait before an offer is sent again, doubled each time. A guess.
const OFFER_RETRY: Millis = Millis::from_secs(30);

/// Doublings of the wait of an offer or an answer: to about 17 hours for an offer, 34 for an
/// answer.
const MAX_DOUBLINGS: u32 = 11;

/// How long a published envelope may be expected to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Stay {
    /// It showed what was asked: for its whole life.
    Whole,
    /// The price rose above what it may cost while its work was searched for: whoever is short of
    /// room does not hold it.
    NotForLong,
}

/// Turns a job into an encrypted envelope and stores it; `None` when there is no need for it any
/// more.
pub(in crate::engine) fn next_envelope(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    job: ContactJob,
) -> Option<OutgoingRecord> {
    // On hold, nothing may leave for the holder of the key. What was encrypted before the hold
    // began was erased then (`put_on_hold`).
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
            // Queues its own job, for an offer with a fresh date.
            conversation.start_offer(turn);
            return None;
        }
    };
    let contact = conversation.id;
    let purpose = EnvelopePurpose::Offer(contact);
    let record = outgoing(conversation, turn, purpose, body);
    // The envelope before is not needed, if it did not leave.
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
    // Without a session the message waits: whatever begins one queues this job again, and so does
    // the offer of one when it leaves. So does an acknowledgement when the window is full.
    let session = conversation.handshake.sending_session().ready()?;
    let (message, number) = conversation.sent.next()?;
    let (id, text) = (message.id, message.text.clone());
    let payload = payload(conversation, Some(number), Content::Text(text));
    let purpose = EnvelopePurpose::Message(conversation.id, id);
    let Some(record) = encrypt(conversation, turn, session, &payload, purpose) else {
        // The chain is full: the contact has replied to none of 1,024 messages and waits at no
        // further position. Another session has room (`proto/session.md`, "Window").
        offer_unless_pending(conversation, turn);
        return None;
    };
    // Numbered only when it is encrypted, so a full chain leaves no gap in the numbers.
    conversation.sent.number_next(session, turn.env.mono);
    conversation.put(turn);
    if let Some(message) = conversation.sent.message(id) {
        turn.put(Record::Message(message.clone()));
    }
    // An abandoned message that left before stays `Unacknowledged` until it leaves again: `Mining`
    // would say that it never left.
    conversation.advance(turn, id, MessageState::Mining);
    turn.settle();
    // What is queued behind it may have to wait for an answer now, and front ends say so.
    turn.outbox.note_repriced(conversation.id);
    // One message for each job, so that other contacts have their turn between two of this one.
    conversation.schedule_send(turn);
    Some(record)
}

/// Encrypts an unacknowledged message once more, within the limits of the automatic schedule.
fn retransmit(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: MessageId,
) -> Option<OutgoingRecord> {
    if waits_for_reach(conversation, id) {
        return None;
    }
    let message = conversation.sent.message(id)?;
    // Looked at again later, if the clock says that it is too old, which may be wrong, or if the next
    // messages need what room there is. A person can still ask for a sending.
    let schedule = Retransmission::of(message);
    let is_spared = is_out_of_spare_room(conversation) && !schedule.is_asked_for();
    if is_spared || !schedule.may_retransmit(turn.env.wall) {
        let wait = schedule.backoff(turn.settings.retransmit_after);
        turn.wake_after(conversation.id, ContactTimer::Retransmit(id), wait);
        if is_spared {
            offer_unless_pending(conversation, turn);
        }
        return None;
    }
    retransmit_now(conversation, turn, id)
}

/// Brings forward what left under a wrong clock that was set right since. Nobody carried it, and after some
/// days of that clock its next sending is as far away.
pub(super) fn expedite_misdated(conversation: &Conversation, turn: &mut Turn<'_, '_>) {
    let (contact, now) = (conversation.id, turn.env.wall);
    let is_misdated =
        |at: UnixSeconds| at > now.plus(BELIEVED_AHEAD) || (now.is_credible() && !at.is_credible());
    let is_in_vain =
        |pending: &PendingOffer| pending.attempts > 0 && is_misdated(pending.offer.created());
    if conversation.handshake.pending().is_some_and(is_in_vain) {
        turn.wake_soon(contact, ContactTimer::Offer);
    }
    for id in conversation.sent.unacked() {
        let last = conversation.sent.message(id).and_then(|message| message.delivery.last_sent);
        if last.is_some_and(is_misdated) {
            turn.wake_soon(contact, ContactTimer::Retransmit(id));
        }
    }
}

/// Follows after the oldest unacknowledged message may be another one: there may be room for the next,
/// and more of those that left come within reach of an acknowledgement.
pub(super) fn on_window_moved(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    let preferred = conversation.sessions().preferred().map(Session::id);
    let first = turn.settings.retransmit_after;
    for id in reach::newly_within(&mut conversation.sent) {
        let Some(message) = conversation.sent.message(id) else { continue };
        let left = Retransmission::of(message).left_to_wait(first, turn.env.wall);
        // In another session than the contact reads it never came, so it has waited enough.
        let is_elsewhere = preferred
            .is_some_and(|session| reach::was_sent_elsewhere(&conversation.sent, id, session));
        let left = if is_elsewhere { Millis(0) } else { left };
        // Each at a time of its own: at once they would tell how many wait.
        let wait = left.max(turn.env.exponential(turn.settings.reply_delay));
        turn.wake_by(conversation.id, ContactTimer::Retransmit(id), turn.env.mono.plus(wait));
    }
    conversation.schedule_send(turn);
}

/// Whether a message is carried, and no acknowledgement can name it before an older one came: sending
/// it again would tell nothing. It is when it comes within reach, or when its envelope has expired.
fn waits_for_reach(conversation: &Conversation, id: MessageId) -> bool {
    let sent = &conversation.sent;
    sent.state(id) == Some(MessageState::Sent) && !reach::is_within(sent, id)
}

/// Whether the session's chain has no positions left but those of messages that may still be said: a
/// message that a person writes leaves, however often those before it were repeated.
fn is_out_of_spare_room(conversation: &Conversation) -> bool {
    let session = conversation.handshake.sending_session().ready();
    let session = session.and_then(|session| conversation.sessions().get(session));
    session.is_some_and(|session| {
        // All of them are a quarter of a chain, which simulations of other networks make shorter.
        let spare = reach::room(&conversation.sent).min(u64::from(session.positions() / 4));
        u64::from(session.room()) <= spare
    })
}

/// Encrypts an unacknowledged message once more, whatever the schedule says.
fn retransmit_now(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: MessageId,
) -> Option<OutgoingRecord> {
    let message = conversation.sent.message(id)?;
    // Acknowledged or taken back since the job was queued.
    if !conversation.sent.state(id)?.awaits_ack() {
        return None;
    }
    // Without a number it was abandoned, and needs another one from the queue.
    let number = message.number?;
    let text = Content::Text(message.text.clone());
    let payload = payload(conversation, Some(number), text);
    let contact = conversation.id;
    let first_wait = turn.settings.retransmit_after;
    let Some(session) = conversation.handshake.sending_session().ready() else {
        // The session was closed or lost: the message goes in the next one.
        turn.wake_after(contact, ContactTimer::Retransmit(id), first_wait);
        conversation.offer_if_needed(turn);
        return None;
    };
    let purpose = EnvelopePurpose::Message(contact, id);
    // The envelope before is not needed, if it did not leave: it would leave beside this one.
    turn.forget_outgoing(contact, |kept| kept == purpose);
    let record = encrypt(conversation, turn, session, &payload, purpose);
    turn.settle();
    let Some(record) = record else {
        // The chain is full, as in `next_message`: the message keeps its number and goes in another
        // session.
        turn.wake_after(contact, ContactTimer::Retransmit(id), first_wait);
        offer_unless_pending(conversation, turn);
        return None;
    };
    // Whatever asked for it, once: a person, the schedule, or a line that asks more than was paid.
    turn.outbox.drop_job(contact, ContactJob::Retransmit(id));
    turn.outbox.drop_job(contact, ContactJob::RetransmitNow(id));
    conversation.sent.encrypted_again(id, session, turn.env.mono);
    Some(record)
}

/// Answers an offer, again after each doubled wait, until its session or a later one is confirmed.
fn answer(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: SessionId,
) -> Option<OutgoingRecord> {
    if !owes_answer(conversation, id) {
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

/// Whether the contact waits for our answer to the offer of this session.
fn owes_answer(conversation: &Conversation, id: SessionId) -> bool {
    let sessions = conversation.sessions();
    // It has opened an answer, or made its way without one.
    let is_answered =
        |session: &Session| session.confirmed() || sessions.has_newer_confirmed(session);
    sessions.get(id).is_some_and(|session| !is_answered(session))
}

/// Acknowledges, reports what was read, or announces the base, unless a message did so meanwhile.
fn acknowledgement(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
) -> Option<OutgoingRecord> {
    let session = conversation.handshake.sending_session().ready()?;
    // Read marks and the base go out in confirmed sessions alone: another one may be a thief's, who
    // is not to learn when this person reads.
    let confirmed = conversation.sessions().confirmed().is_some();
    // A message has carried all of it since the timer was set.
    if !owes_acknowledgement(conversation) {
        return None;
    }
    let content = if confirmed { read_receipt(conversation) } else { Content::Nothing };
    let payload = payload(conversation, None, content);
    let purpose = EnvelopePurpose::Control(conversation.id);
    let due = conversation.receipts.is_due();
    if confirmed {
        // Before it is encrypted, which ends the timer where nothing is due any more.
        conversation.receipts.tell();
    }
    let record = encrypt(conversation, turn, session, &payload, purpose);
    if record.is_none() && due {
        // The chain is full: a later envelope carries the receipt.
        conversation.receipts.note_read();
    }
    turn.settle();
    record
}

/// Whether anything is to be told that an envelope without a message can carry.
fn owes_acknowledgement(conversation: &Conversation) -> bool {
    let confirmed = conversation.sessions().confirmed().is_some();
    let has_more = conversation.receipts.is_due() || conversation.sent.has_base_to_announce();
    conversation.received.owes_ack() || (confirmed && has_more)
}

/// Queues a farewell in every session that the contact may go on with, if anything may be sent:
/// encrypted and stored at once, so that the sessions' keys can be erased in the same commit
/// (`proto/session.md`, "Close"). Without one the contact would say things that nobody can open, for
/// as long as it takes it to offer another session by itself.
pub(super) fn queue_farewells(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    if conversation.verification.is_on_hold() {
        return;
    }
    for session in conversation.handshake.to_be_closed() {
        let payload = payload(conversation, None, Content::Close);
        let purpose = EnvelopePurpose::Control(conversation.id);
        if let Some(record) = encrypt(conversation, turn, session, &payload, purpose) {
            turn.outbox.push_encrypted(conversation.id, record);
        }
    }
}

/// The content of an envelope with nothing else in it: what was read last, if receipts are on. A
/// receipt may be lost, and repeating it costs no bytes.
fn read_receipt(conversation: &Conversation) -> Content {
    match conversation.received.last_read() {
        Some((epoch, below)) if conversation.receipts.enabled() => Content::Read { epoch, below },
        Some(_) | None => Content::Nothing,
    }
}

/// A payload around this content, with what every one carries: our epoch and base, and an
/// acknowledgement.
fn payload(conversation: &Conversation, number: Option<u64>, content: Content) -> Payload {
    Payload {
        epoch: conversation.sent.sequence().epoch,
        number,
        ack: conversation.received.latest_ack(),
        base: conversation.sent.base(number),
        content,
    }
}

/// One step of a session's chain, stored with the envelope it made. The caller settles the turn
/// before anything is sent, so that no crash repeats the key.
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
    // Every payload acknowledges and carries our base, so an envelope for that alone is not needed
    // any more.
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

/// The lifetime of an envelope to the contact: for a message the one its writer chose, for an offer
/// at least that of the messages waiting for it, for an answer or an acknowledgement at least that
/// of the envelopes it answers, so that a sender who went away for that long still finds it
/// (`proto/session.md`, "Lives").
pub(super) fn lifetime_of(
    conversation: &Conversation,
    purpose: EnvelopePurpose,
    default: Lifetime,
) -> Lifetime {
    let needed = match purpose {
        EnvelopePurpose::Junk => None,
        EnvelopePurpose::Message(_, id) => {
            // Not longer for the acknowledgement's sake: if that has to live longer, it is still
            // owed.
            return conversation
                .sent
                .message(id)
                .map_or(default, |message| message.postage.lifetime);
        }
        EnvelopePurpose::Control(_) => conversation.received.ack_lifetime(),
        EnvelopePurpose::Offer(_) => conversation.sent.longest_lifetime(),
    };
    needed.map_or(default, |needed| needed.max(default))
}

/// What an envelope may cost at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Budget {
    /// How long it lives.
    pub(in crate::engine) lifetime: Lifetime,
    /// The highest step to pay.
    pub(in crate::engine) highest: Step,
}

/// What there is to do about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Need {
    /// Nothing any more.
    None,
    /// To wait: the offer of its session has to leave before it.
    AfterOffer,
    /// To send an envelope for no more than this.
    Envelope(Budget),
}

/// What there is to do about a job, and what its envelope may cost.
pub(in crate::engine) fn need(
    conversation: &Conversation,
    settings: &NodeSettings,
    job: ContactJob,
) -> Need {
    let Some(purpose) = purpose_of(conversation, job) else { return Need::None };
    let waits_for_session = match job {
        ContactJob::Offer | ContactJob::AnswerOffer(_) => false,
        ContactJob::Retransmit(_)
        | ContactJob::RetransmitNow(_)
        | ContactJob::SendNext
        | ContactJob::Acknowledge => true,
    };
    match conversation.handshake.sending_session() {
        SendingSession::AfterOffer if waits_for_session => return Need::AfterOffer,
        SendingSession::None | SendingSession::AfterOffer | SendingSession::Ready(_) => {}
    }
    let lifetime = lifetime_of(conversation, purpose, settings.lifetime);
    Need::Envelope(Budget { lifetime, highest: highest(conversation, settings, purpose) })
}

/// The purpose of the envelope that a job makes; `None` if there is no need for it any more.
fn purpose_of(conversation: &Conversation, job: ContactJob) -> Option<EnvelopePurpose> {
    if conversation.verification.is_on_hold() {
        return None;
    }
    let contact = conversation.id;
    match job {
        ContactJob::Offer => {
            conversation.handshake.pending().map(|_| EnvelopePurpose::Offer(contact))
        }
        ContactJob::AnswerOffer(session) => {
            owes_answer(conversation, session).then_some(EnvelopePurpose::Control(contact))
        }
        ContactJob::Retransmit(id) | ContactJob::RetransmitNow(id) => {
            let message = conversation.sent.message(id)?;
            let awaits_ack = conversation.sent.state(id)?.awaits_ack() && message.number.is_some();
            let is_early = job == ContactJob::Retransmit(id) && waits_for_reach(conversation, id);
            (awaits_ack && !is_early).then_some(EnvelopePurpose::Message(contact, id))
        }
        ContactJob::SendNext => {
            // Without a session, whatever begins one queues the job again.
            let (message, _) = conversation.sent.next()?;
            let is_open = !conversation.sessions().is_empty();
            is_open.then_some(EnvelopePurpose::Message(contact, message.id))
        }
        ContactJob::Acknowledge => {
            owes_acknowledgement(conversation).then_some(EnvelopePurpose::Control(contact))
        }
    }
}

/// The highest step that may be paid for an envelope to the contact. What may be paid for a message,
/// if its writer said it, and for all that goes to the contact otherwise; and what may be paid for a
/// message behind it, which it would hold up: a later message takes along those before it, the
/// request and the acknowledgements. None takes along one that was written after it.
pub(in crate::engine) fn highest(
    conversation: &Conversation,
    settings: &NodeSettings,
    purpose: EnvelopePurpose,
) -> Step {
    let usual = usual_highest(conversation, settings);
    let all = unfinished(conversation);
    let most = |step: Step, message: &MessageRecord| step.max(said_highest(message, usual));
    match purpose {
        EnvelopePurpose::Message(_, id) => {
            let own = conversation.sent.message(id).map_or(usual, |own| said_highest(own, usual));
            all.skip_while(|message| message.id != id).fold(own, most)
        }
        EnvelopePurpose::Offer(_) | EnvelopePurpose::Control(_) | EnvelopePurpose::Junk => {
            all.fold(usual, most)
        }
    }
}

/// The highest step of the last message to the contact that is not done with, or the usual one if
/// all are.
pub(super) fn last_highest(conversation: &Conversation, settings: &NodeSettings) -> Step {
    let usual = usual_highest(conversation, settings);
    unfinished(conversation).next_back().map_or(usual, |last| said_highest(last, usual))
}

/// The highest step of whatever to the contact has none of its own.
pub(super) fn usual_highest(conversation: &Conversation, settings: &NodeSettings) -> Step {
    conversation.highest.unwrap_or(settings.highest_step)
}

/// The highest step that the writer of a message said for it, or the usual one.
fn said_highest(message: &MessageRecord, usual: Step) -> Step {
    message.postage.highest.unwrap_or(usual)
}

/// The messages that are queued or not acknowledged, in their order.
fn unfinished(conversation: &Conversation) -> impl DoubleEndedIterator<Item = &MessageRecord> {
    let sent = &conversation.sent;
    let all = sent.unacked.values().chain(sent.queue.iter());
    all.filter_map(|id| sent.message(*id))
}

/// The step that a message of ours was last published for, in this process.
pub(in crate::engine) fn paid(conversation: &Conversation, id: MessageId) -> Option<Step> {
    conversation.sent.in_flight.get(&id)?.paid
}

/// Notes the step that a message of ours is published for.
pub(in crate::engine) fn note_paid(conversation: &mut Conversation, id: MessageId, step: Step) {
    if let Some(transmission) = conversation.sent.in_flight.get_mut(&id) {
        transmission.paid = Some(step);
    }
}

/// How late it is heard that a line asks more: two rounds of asking neighbours, as one may go
/// unanswered.
const HEARD_LATE: Millis = Millis(2 * SyncPace::USUAL.steps.0);

/// Nobody is told any longer that a message is in the pool for its life, if `line` is well above
/// what it left for and may have been asked already: neighbours passed it on only as far as their
/// lines had something left. A line that asks one step more than was heard is as usual.
///
/// It is lined up to be sent again for what is asked now, after half a minute on average, and one
/// after the other as what waited for a lower price: all at once would show how many of the last
/// envelopes were messages without an acknowledgement. Its schedule goes on as it was, and what
/// comes first sends it.
///
/// What else left for too little is not taken back: each has its own way to come again. An offer
/// and an answer are sent again after doubled waits until they are answered; and a message is sent
/// again until it is acknowledged, and each time it comes it is acknowledged anew, for what is asked
/// then. A read mark or a farewell that is lost so is not sent again, as with any other loss.
pub(in crate::engine) fn take_back_stay(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    line: Step,
) {
    let too_cheap = conversation.sent.in_flight.iter().filter(|(_, transmission)| {
        transmission.paid.is_some_and(|paid| paid.above() < line)
            && transmission.sent_at.plus(HEARD_LATE) > turn.env.mono
    });
    let said_to_stay = |id: &MessageId| conversation.sent.state(*id) == Some(MessageState::Sent);
    let taken_back: Vec<MessageId> = too_cheap.map(|(id, _)| *id).filter(said_to_stay).collect();
    for &id in &taken_back {
        conversation.advance(turn, id, MessageState::Unacknowledged);
    }
    // Heard every minute of each neighbour, and seldom anything follows from it.
    if taken_back.is_empty() {
        return;
    }
    turn.settle();
    let contact = conversation.id;
    for id in taken_back {
        if !is_to_be_sent(contact, turn, id) {
            let again = Job::Contact(contact, ContactJob::Retransmit(id));
            turn.outbox.set_aside(contact, again, Aside::Turn);
        }
    }
    turn.outbox.line_up(contact);
    let wait = turn.env.exponential(one_by_one(Step::default()));
    turn.wake_by(contact, ContactTimer::Price, turn.env.mono.plus(wait));
}

/// More may be paid for what goes to the contact, or a person wants it: whatever was held back is
/// looked at again, and so is `also` what left, is not said to stay, and waits for its next sending.
/// Not what has paid `most` already: another copy of it would be held by nobody else.
///
/// That these are wanted is stored: this process may end before they leave, or have no network.
pub(super) fn look_again_at_all(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    (most, also): (Step, Also),
) {
    let (contact, now) = (conversation.id, turn.env.wall);
    turn.outbox.free(contact);
    let wanted = |message: &&MessageRecord| {
        let view = message.view();
        if view.is_not_for_long(now) {
            return paid(conversation, message.id).is_none_or(|paid| paid < most);
        }
        also == Also::Expired && view.direction == Direction::Outgoing(MessageState::Unacknowledged)
    };
    let unacked = conversation.sent.unacked.values();
    let all = unacked.filter_map(|id| conversation.sent.message(*id));
    let wanted: Vec<MessageId> = all.filter(wanted).map(|message| message.id).collect();
    for &id in &wanted {
        if let Some(message) = conversation.sent.log(id, MessageRecord::ask_again) {
            turn.put(Record::Message(message.clone()));
        }
    }
    turn.settle();
    for id in wanted {
        if !is_to_be_sent(contact, turn, id) {
            turn.outbox.push_for(contact, ContactJob::Retransmit(id));
        }
    }
}

/// What goes along that left and is not said to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Also {
    /// What is in the pool, not for long.
    NotForLong,
    /// That, and what has expired there.
    Expired,
}

/// Whether a message is on its way, or waits for its turn or for a lower price.
fn is_to_be_sent(contact: ContactId, turn: &Turn<'_, '_>, id: MessageId) -> bool {
    let waits = |job| turn.outbox.waits(contact, job);
    waits(ContactJob::Retransmit(id))
        || waits(ContactJob::RetransmitNow(id))
        || turn.outbox.is_unpublished(contact, id)
}

/// Offers another session, unless an offer waits already.
fn offer_unless_pending(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    if conversation.handshake.pending().is_none() {
        conversation.start_offer(turn);
    }
}

/// Notes that an envelope to the contact was published, and schedules the next sending in case
/// nobody answers.
pub(in crate::engine) fn on_published(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    purpose: EnvelopePurpose,
    stay: Stay,
) {
    match purpose {
        EnvelopePurpose::Offer(_) => offer_published(conversation, turn),
        EnvelopePurpose::Message(_, id) => message_published(conversation, turn, id, stay),
        // Nothing acknowledges an acknowledgement: a lost one is made good by the next message that
        // comes twice.
        EnvelopePurpose::Control(_) | EnvelopePurpose::Junk => {}
    }
}

/// A message was in an envelope that was stored as finished when the process ended, and nobody noted
/// that it left. It may have: so it is marked as sent, which cannot turn out to be false as "not
/// sent" could, and is sent again as any other that nobody acknowledged.
pub(in crate::engine) fn count_as_left(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: MessageId,
) {
    if conversation.sent.state(id) == Some(MessageState::Mining) {
        conversation.advance(turn, id, MessageState::Sent);
        conversation.advance(turn, id, MessageState::Unacknowledged);
    }
}

/// Gives a job that waits a delay of its own, unless somebody asked for it or it is for what never
/// left.
pub(in crate::engine) fn spread(
    conversation: &Conversation,
    turn: &mut Turn<'_, '_>,
    job: ContactJob,
) {
    let later = turn.settings.retransmit_after;
    let (timer, mean) = match job {
        ContactJob::Acknowledge => (ContactTimer::Acknowledge, turn.settings.reply_delay),
        ContactJob::AnswerOffer(session) => {
            (ContactTimer::Answer(session), turn.settings.handshake_delay())
        }
        ContactJob::Offer => match conversation.handshake.pending() {
            Some(pending) if pending.attempts > 0 => (ContactTimer::Offer, later),
            // Somebody waits for it to leave for the first time.
            Some(_) | None => (ContactTimer::Offer, turn.settings.handshake_delay()),
        },
        ContactJob::Retransmit(id) => (ContactTimer::Retransmit(id), later),
        ContactJob::RetransmitNow(_) | ContactJob::SendNext => return,
    };
    turn.outbox.drop_job(conversation.id, job);
    let wait = turn.env.exponential(mean);
    turn.wake_at(conversation.id, timer, turn.env.mono.plus(wait));
}

fn offer_published(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    let Some(before) = conversation.handshake.offer_sent() else { return };
    conversation.put(turn);
    turn.settle();
    let wait = Millis(OFFER_RETRY.0 << before.min(MAX_DOUBLINGS));
    turn.wake_after(conversation.id, ContactTimer::Offer, wait);
    conversation.emit(turn);
    // What waited for it to leave.
    turn.outbox.resume(conversation.id);
    conversation.schedule_send(turn);
}

fn message_published(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: MessageId,
    stay: Stay,
) {
    let now = turn.env.wall;
    let message = conversation.sent.log(id, |message| message.delivery.record_transmission(now));
    let Some(message) = message else { return };
    let wait = Retransmission::of(message).backoff(turn.settings.retransmit_after);
    let lifetime = Retransmission::of(message).lifetime_left(now);
    conversation.advance(turn, id, MessageState::Sent);
    match stay {
        Stay::Whole => {}
        // Nobody may be told that it is in the pool for its whole life. Stored in the same commit,
        // so that no restart says so either.
        Stay::NotForLong => conversation.advance(turn, id, MessageState::Unacknowledged),
    }
    turn.settle();
    let before = conversation.sent.transmitted(id, turn.env.mono);
    turn.wake_after(conversation.id, ContactTimer::Retransmit(id), wait);
    turn.wake_at(conversation.id, ContactTimer::Expiry(id), turn.env.mono.plus(lifetime));
    // A contact that lost its state has no key for this session: only another one reaches it.
    if before >= TRANSMISSIONS_BEFORE_OFFER {
        offer_unless_pending(conversation, turn);
    }
}

/// The last envelope of a message has expired everywhere, or the message was held for long enough.
pub(super) fn on_expiry_due(
    conversation: &mut Conversation,
    turn: &mut Turn<'_, '_>,
    id: MessageId,
) {
    let contact = conversation.id;
    let Some(message) = conversation.sent.message(id) else { return };
    // A message that is on its way, or that a person asked to send again, is not abandoned.
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
            // Nobody carries it any more. Within reach it has its schedule.
            if !reach::is_within(&conversation.sent, id) {
                let wait = turn.env.exponential(turn.settings.retransmit_after);
                turn.wake_by(contact, ContactTimer::Retransmit(id), turn.env.mono.plus(wait));
            }
        }
        Expiry::Abandon => {
            conversation.abandon(turn, id);
            if let Some(message) = conversation.sent.message(id) {
                turn.put(Record::Message(message.clone()));
            }
        }
    }
    turn.settle();
    // An abandoned number may have held up the window.
    on_window_moved(conversation, turn);
}

#[cfg(test)]
mod tests;
