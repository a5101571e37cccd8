//! Commands about one contact, and their effects.

use crate::engine::command::{CommandError, Proof, Reply};
use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::envelope::Lifetime;
use crate::engine::event::Event;
use crate::engine::id::MessageId;
use crate::engine::record::{
    ContactState, EnvelopePurpose, MessageRecord, MessageState, Record, RecordKey, Trust,
    VerificationMethod,
};
use crate::engine::secret::opaque_debug;
use crate::engine::session::MAX_TEXT;
use crate::engine::turn::{ContactJob, ContactTimer, Turn};

use super::Conversation;
use super::retransmit::Retransmission;
use super::send::queue_farewell;
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
    /// Erase its sessions and ignore it.
    Block,
    /// End the block.
    Unblock,
    /// Send it a text.
    Say {
        /// The text.
        text: String,
        /// How long its envelopes live.
        lifetime: Lifetime,
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
        match self {
            Self::Rename { petname } => {
                conversation.petname = petname;
                conversation.put(turn);
                turn.settle();
                conversation.emit(turn);
            }
            Self::Block => block(conversation, turn),
            Self::Unblock => unblock(conversation, turn),
            Self::Say { text, lifetime } => return say(conversation, turn, text, lifetime),
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
            Self::EraseMessage(id) => erase_message(conversation, turn, id)?,
            Self::Cancel(id) => cancel(conversation, turn, id)?,
            Self::Retry(id) => retry(conversation, turn, id)?,
            Self::CloseSession => {
                // Encrypted first: its key goes with the sessions, in the same commit.
                queue_farewell(conversation, turn);
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

/// Erases the contact with everything that belongs to it. From then on its key is a stranger's.
pub(in crate::engine) fn remove(mut conversation: Conversation, turn: &mut Turn<'_, '_>) {
    let contact = conversation.id;
    end_sessions(&mut conversation, turn, ContactState::Inactive);
    turn.forget_outgoing(contact, |purpose| purpose.concerns(contact));
    turn.erase(RecordKey::Contact(contact));
    turn.erase_messages(contact);
    turn.emit(Event::ContactRemoved(contact));
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
    lifetime: Lifetime,
) -> Result<Reply, CommandError> {
    check_text(conversation, &text)?;
    let id = MessageId::draw(turn.env);
    let message = MessageRecord::outgoing(id, conversation.id, text, lifetime, turn.env.wall);
    turn.put(Record::Message(message.clone()));
    turn.settle();
    turn.emit(Event::Message(message.view()));
    conversation.sent.accept(message);
    conversation.schedule_send(turn);
    reopen(conversation, turn);
    Ok(Reply::Message(id))
}

/// Offers a session if there is none: a person wants something sent. That reopens a conversation
/// that was closed, or blocked and unblocked, which no timer does.
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
            conversation.schedule_send(turn);
        }
        MessageState::Unacknowledged => {
            let numbered =
                conversation.sent.message(id).is_some_and(|message| message.number.is_some());
            if numbered {
                // It still has its number: the contact takes the sending for a repetition, should
                // it have the message.
                turn.outbox.push_for(conversation.id, ContactJob::RetransmitNow(id));
                reopen(conversation, turn);
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
    conversation.schedule_send(turn);
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
            // One commit, as in `cancel`.
            turn.settle();
        }
        conversation.sent.dequeue(id);
        turn.clear_timer(conversation.id, ContactTimer::Retransmit(id));
    }
    end_sessions(conversation, turn, ContactState::Blocked);
    turn.settle();
    conversation.emit(turn);
}

fn unblock(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    if conversation.state == ContactState::Blocked {
        // No session is offered until a person writes.
        conversation.state = ContactState::Inactive;
        resume_retransmits(conversation, turn);
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::conversation::tests::established;
    use crate::engine::env::Millis;
    use crate::engine::record::{OutgoingRecord, SessionRecord, StoredDirection};

    #[test]
    fn a_command_prints_its_kind_alone() {
        let say = ContactCommand::Say { text: "secret".to_owned(), lifetime: Lifetime::Day };
        assert_eq!(format!("{say:?}"), "ContactCommand::Say");
    }

    #[test]
    fn a_message_can_be_cancelled_until_it_leaves_and_its_number_is_given_to_the_next() {
        let (mut one, mut other) = established(31);
        let first = one.say("taken back");
        assert_eq!(one.command(ContactCommand::Cancel(first)), Ok(Reply::Done));
        assert_eq!(one.states.get(&first), Some(&MessageState::Cancelled));
        one.say("sent");
        let sent = one.send();
        sent.iter().for_each(|record| other.receive(record));
        assert_eq!(other.shown, ["sent"]);
        let late = ContactCommand::Cancel(first);
        assert_eq!(one.command(late), Err(CommandError::TooLate), "it is cancelled already");
        assert_eq!(one.command(ContactCommand::Retry(first)), Ok(Reply::Done));
        one.send().iter().for_each(|record| other.receive(record));
        assert_eq!(other.shown, ["sent", "taken back"]);
    }

    #[test]
    fn an_erased_message_that_left_is_abandoned_and_holds_nothing_back() {
        let (mut one, mut other) = established(37);
        let erased = one.say("erased");
        assert_eq!(one.send().len(), 1, "it leaves, and is lost");
        assert_eq!(one.command(ContactCommand::EraseMessage(erased)), Ok(Reply::Done));
        one.say("after");
        one.send().iter().for_each(|record| other.receive(record));
        assert_eq!(other.shown, ["after"]);
        assert!(!one.conversation.holds(erased));
    }

    #[test]
    fn another_key_puts_the_contact_on_hold_and_ends_its_sessions() {
        let (mut one, _) = established(41);
        let key = *one.conversation.card().key;
        assert_eq!(one.command(ContactCommand::Rekey(key)), Ok(Reply::Done));
        assert!(one.conversation.sessions().is_empty());
        assert!(one.conversation.view().trust.is_on_hold());
        one.say("waits");
        assert!(one.send().is_empty());
    }

    #[test]
    fn a_text_that_no_message_carries_is_refused_and_changes_nothing() {
        let (mut one, _) = established(43);
        for text in [" \n", &"x".repeat(MAX_TEXT + 1)] {
            let say = ContactCommand::Say { text: text.to_owned(), lifetime: Lifetime::Day };
            assert_eq!(one.command(say), Err(CommandError::BadText));
        }
        assert_eq!(one.command(ContactCommand::AcceptUnverified), Err(CommandError::NotOnHold));
        assert!(one.send().is_empty() && one.states.is_empty());
    }

    #[test]
    fn a_key_that_nobody_has_yet_begins_another_epoch_and_what_was_not_acknowledged_comes_first() {
        let (mut one, _) = established(45);
        let lost = one.say("lost");
        one.send();
        let before = one.conversation.sent.sequence().clone();
        let key = *one.conversation.card().key;
        assert_eq!(one.command(ContactCommand::Rekey(key)), Ok(Reply::Done));
        let stored = one.stored.as_ref().expect("stored");
        assert_ne!(stored.sent.epoch, before.epoch);
        assert_eq!(stored.sent.next, 1);
        let number = one.conversation.sent.message(lost).and_then(|message| message.number);
        assert_eq!(number, Some(0));
    }

    #[test]
    fn a_third_failed_comparison_ends_the_sessions_and_the_hold_ends_by_a_decision_alone() {
        let (mut one, other) = established(47);
        let own = other.conversation.handshake.own().public();
        let wrong = || ContactCommand::Verify(Proof::SafetyNumber(SafetyNumber::of(&own, &own)));
        for attempts_left in [2, 1, 0] {
            assert!(!one.conversation.sessions().is_empty());
            let left = one.command(wrong());
            assert_eq!(left, Ok(Reply::Differs { word: None, attempts_left }));
        }
        assert!(one.conversation.sessions().is_empty());
        assert_eq!(one.conversation.state, ContactState::Inactive);
        one.say("waits");
        assert!(one.send().is_empty());
        assert_eq!(one.command(ContactCommand::AcceptUnverified), Ok(Reply::Done));
        assert!(!one.send().is_empty(), "another session is offered");
    }

    #[test]
    fn unpublished_messages_to_a_blocked_contact_fail_and_can_be_retried_after_the_block_alone() {
        let (mut one, _) = established(48);
        let id = one.say("not sent");
        assert_eq!(one.command(ContactCommand::Block), Ok(Reply::Done));
        assert_eq!(one.states[&id], MessageState::Failed);
        assert!(one.conversation.sessions().is_empty());
        assert_eq!(one.command(ContactCommand::Retry(id)), Err(CommandError::Blocked));
        assert_eq!(one.command(ContactCommand::Unblock), Ok(Reply::Done));
        assert!(one.conversation.sessions().is_empty(), "until a person writes");
        assert_eq!(one.command(ContactCommand::Retry(id)), Ok(Reply::Done));
        assert_eq!(one.states[&id], MessageState::Queued);
        assert!(!one.conversation.sessions().is_empty());
    }

    #[test]
    fn a_buffered_message_cannot_be_erased_before_it_is_shown() {
        let (mut one, mut other) = established(50);
        one.say("first");
        one.say("second");
        let sent = one.send();
        other.receive(&sent[1]);
        let buffered = other.messages().next().map(|message| message.id);
        let erase = ContactCommand::EraseMessage(buffered.expect("stored"));
        assert_eq!(other.command(erase), Err(CommandError::TooLate));
        other.receive(&sent[0]);
        assert_eq!(other.shown, ["first", "second"]);
        let erase = ContactCommand::EraseMessage(buffered.expect("stored"));
        assert_eq!(other.command(erase), Ok(Reply::Done));
    }

    /// What a person does, or what happens meanwhile.
    #[derive(Clone, Debug)]
    enum Step {
        Rename(u8),
        Block,
        Unblock,
        Say(bool),
        MarkRead(u64),
        SetReadReceipts(bool),
        Erase(prop::sample::Index),
        Cancel(prop::sample::Index),
        Retry(prop::sample::Index),
        CloseSession,
        Verify(bool),
        Rekey,
        AcceptUnverified,
        /// One envelope is encrypted and published, or waits to be.
        Send(bool),
        /// The other side says something, and both exchange what there is.
        Exchange,
        Restart,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let index = any::<prop::sample::Index>;
        prop_oneof![
            1 => any::<u8>().prop_map(Step::Rename),
            1 => Just(Step::Block),
            2 => Just(Step::Unblock),
            6 => prop::bool::weighted(0.9).prop_map(Step::Say),
            2 => (0_u64..9).prop_map(Step::MarkRead),
            2 => any::<bool>().prop_map(Step::SetReadReceipts),
            3 => index().prop_map(Step::Erase),
            3 => index().prop_map(Step::Cancel),
            3 => index().prop_map(Step::Retry),
            1 => Just(Step::CloseSession),
            2 => any::<bool>().prop_map(Step::Verify),
            1 => Just(Step::Rekey),
            3 => Just(Step::AcceptUnverified),
            8 => any::<bool>().prop_map(Step::Send),
            3 => Just(Step::Exchange),
            1 => Just(Step::Restart),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_store_follows_every_command_and_a_refused_one_changes_nothing(
            steps in proptest::collection::vec(any_step(), 1..60),
        ) {
            let (mut one, mut other) = established(500);
            let own = one.conversation.handshake.own().public();
            let key = *one.conversation.card().key;
            let mut ids: Vec<MessageId> = vec![MessageId(1)];
            let mut waiting: Vec<OutgoingRecord> = Vec::new();
            for step in steps {
                let pick = |index: prop::sample::Index| ids[index.index(ids.len())];
                let command = match step {
                    Step::Rename(name) => {
                        ContactCommand::Rename { petname: format!("name {name}") }
                    }
                    Step::Block => ContactCommand::Block,
                    Step::Unblock => ContactCommand::Unblock,
                    Step::Say(fits) => {
                        let text = if fits { "text".to_owned() } else { " ".to_owned() };
                        ContactCommand::Say { text, lifetime: Lifetime::Day }
                    }
                    Step::MarkRead(number) => ContactCommand::MarkRead { number },
                    Step::SetReadReceipts(on) => ContactCommand::SetReadReceipts { on },
                    Step::Erase(index) => ContactCommand::EraseMessage(pick(index)),
                    Step::Cancel(index) => ContactCommand::Cancel(pick(index)),
                    Step::Retry(index) => ContactCommand::Retry(pick(index)),
                    Step::CloseSession => ContactCommand::CloseSession,
                    Step::Verify(right) => {
                        let theirs = if right { key } else { own };
                        ContactCommand::Verify(Proof::SafetyNumber(SafetyNumber::of(&own, &theirs)))
                    }
                    Step::Rekey => ContactCommand::Rekey(key),
                    Step::AcceptUnverified => ContactCommand::AcceptUnverified,
                    Step::Send(publish) => {
                        // One envelope is on its way at a time.
                        if waiting.is_empty() {
                            waiting.extend(one.begin(ContactJob::SendNext));
                        }
                        if publish {
                            for record in waiting.drain(..) {
                                one.publish(&record);
                                other.receive(&record);
                            }
                        }
                        continue;
                    }
                    Step::Exchange => {
                        other.say("from the contact");
                        other.wait(Millis(60_000));
                        other.send().iter().for_each(|record| one.receive(record));
                        continue;
                    }
                    Step::Restart => {
                        one.restart();
                        continue;
                    }
                };
                let before = one.image();
                match one.command(command) {
                    Ok(Reply::Message(id)) => ids.push(id),
                    Ok(_) => {}
                    Err(_) => prop_assert!(one.image() == before, "refused, and changed something"),
                }
                // What a restart reads is what the conversation knows.
                let record = one.conversation.record();
                prop_assert!(one.stored.as_ref() == Some(&record));
                for session in one.conversation.sessions().iter() {
                    let session = Box::new(session.clone());
                    let kept = SessionRecord { contact: one.conversation.id, session };
                    prop_assert!(one.store.contains(&Record::Session(kept)));
                }
                let sessions = one.store.iter().filter(|kept| matches!(kept, Record::Session(_)));
                prop_assert_eq!(sessions.count(), one.conversation.sessions().ids().len());
                for id in one.conversation.sent.ids() {
                    let held = one.conversation.sent.message(id).expect("held");
                    prop_assert!(one.store.contains(&Record::Message(held.clone())));
                }
                for kept in &one.store {
                    if let Record::Message(message) = kept {
                        let ours = matches!(message.direction, StoredDirection::Outgoing(_));
                        if ours && message.is_open() {
                            prop_assert!(one.conversation.holds(message.id), "it would come back");
                        }
                    }
                }
            }
        }
    }
}
