//! How sure we are of a contact's key, and what holds when we are not: nothing leaves.
//!
//! While a contact is held, what it sends is received and read, and what is written to it waits.
//! No message, acknowledgement, answer, offer or farewell is begun, and what was begun before is
//! erased unsent. Only a person ends that. Nothing here is told to anybody: trust is about the key,
//! it outlives sessions, and it is this machine's alone.

use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{Half, SasWord, WORDS_PER_HALF};
use crate::engine::env::UnixSeconds;
use crate::engine::id::{ContactId, MessageId};
use crate::engine::session::{Session, SessionRole};

use super::Node;
use super::publisher::Job;
use crate::engine::command::{CommandError, Proof, Reply};
use crate::engine::event::SasHalf;
use crate::engine::record::MessageState;
use crate::engine::record::{
    ContactRecord, ContactState, HoldReason, Record, RecordKey, SendSequence, StoredDirection,
    Trust, VerificationMethod,
};
use crate::engine::turn::{Timer, Turn};

/// Comparisons that may fail before the session is erased: words are misheard, but whoever sits in
/// between gets no more guesses. ux.md 7.6.
pub const MAX_VERIFICATION_ATTEMPTS: u8 = 3;

impl Trust {
    /// Whether nothing may be sent.
    #[must_use]
    pub const fn is_on_hold(self) -> bool {
        match self {
            Self::OnHold { .. } => true,
            Self::Unverified | Self::Verified { .. } => false,
        }
    }

    /// When the key was verified, if it was.
    #[must_use]
    pub const fn verified_at(self) -> Option<UnixSeconds> {
        match self {
            Self::Verified { at, .. } => Some(at),
            Self::Unverified | Self::OnHold { .. } => None,
        }
    }

    /// After a comparison that failed.
    fn mismatched(self, now: UnixSeconds) -> (Self, u8) {
        let (since, before) = match self {
            Self::OnHold { since, attempts, .. } => (since, attempts),
            Self::Unverified | Self::Verified { .. } => (now, 0),
        };
        let attempts = before.saturating_add(1);
        let left = MAX_VERIFICATION_ATTEMPTS.saturating_sub(attempts);
        // The next session begins to count anew.
        let attempts = if left == 0 { 0 } else { attempts };
        (Self::OnHold { since, reason: HoldReason::Mismatch, attempts }, left)
    }

    /// After the key became another one.
    fn rekeyed(self, now: UnixSeconds) -> Self {
        let verified = match self {
            // Changed twice before anybody looked: the last key that was verified still counts.
            Self::OnHold { reason: HoldReason::KeyChanged { verified }, .. } => verified,
            Self::Unverified | Self::Verified { .. } | Self::OnHold { .. } => self.verified_at(),
        };
        Self::OnHold { since: now, reason: HoldReason::KeyChanged { verified }, attempts: 0 }
    }
}

impl Node {
    /// Whether nothing may be sent to a contact.
    pub(super) fn is_on_hold(&self, contact: ContactId) -> bool {
        self.roster.contacts.get(&contact).is_some_and(|record| record.trust.is_on_hold())
    }

    /// Whether a job is for somebody to whom nothing may be sent. What is encrypted already never
    /// is: it is erased when the hold begins.
    pub(super) fn is_job_on_hold(&self, job: Job) -> bool {
        let contact = match job {
            Job::Offer(contact)
            | Job::SendNext(contact)
            | Job::AnswerOffer(contact, _)
            | Job::Acknowledge(contact) => Some(contact),
            Job::Retransmit(message) | Job::RetransmitNow(message) => {
                self.open_messages.get(&message).map(|message| message.contact)
            }
            Job::PublishStored(_) | Job::Junk => None,
        };
        contact.is_some_and(|contact| self.is_on_hold(contact))
    }

    pub(super) fn safety_number(&self, contact: &ContactRecord) -> Option<SafetyNumber> {
        let own = self.roster.identities.get(&contact.identity)?;
        Some(SafetyNumber::of(&own.identity.public(), &contact.key))
    }

    /// What we read to a contact, from the session we speak in.
    pub(super) fn own_sas(&self, contact: ContactId) -> Option<SasHalf> {
        let session = &self.sessions.get(&self.preferred(contact)?)?.session;
        let half = own_half(session.role());
        Some(SasHalf { half, words: session.sas()?.half(half) })
    }

    /// Compares what a contact read out.
    pub(super) fn verify(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        proof: &Proof,
    ) -> Result<Reply, CommandError> {
        let record = self.roster.contacts.get(&contact).ok_or(CommandError::NoContact)?;
        let (by, compared) = match proof {
            Proof::SafetyNumber(digits) => {
                let same = self.safety_number(record).as_ref() == Some(digits);
                (
                    VerificationMethod::SafetyNumber,
                    if same { Comparison::Same } else { Comparison::Differs(None) },
                )
            }
            Proof::Sas(words) => (VerificationMethod::Sas, self.compare_sas(contact, words)?),
        };
        match compared {
            Comparison::Same => {
                self.set_trust(turn, contact, Trust::Verified { at: turn.env.wall, by });
                Ok(Reply::Verified)
            }
            Comparison::Differs(word) => {
                let left = self.on_mismatch(turn, contact);
                Ok(Reply::Differs { word, attempts_left: left })
            }
        }
    }

    fn compare_sas(
        &self,
        contact: ContactId,
        entered: &[SasWord; WORDS_PER_HALF],
    ) -> Result<Comparison, CommandError> {
        let shown = self.preferred(contact);
        let (mut shown, others): (Vec<_>, Vec<_>) = self
            .sessions
            .values()
            .filter(|record| record.contact == contact)
            .filter_map(|record| Some((record.session.id(), their_half(&record.session)?)))
            .partition(|&(id, _)| Some(id) == shown);
        shown.extend(others);
        let halves: Vec<_> = shown.into_iter().map(|(_, half)| half).collect();
        compare(&halves, entered).ok_or(CommandError::NoSas)
    }

    /// Holds a contact; answers how many tries are left.
    fn on_mismatch(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) -> u8 {
        let Some(record) = self.roster.contacts.get_mut(&contact) else { return 0 };
        let (trust, left) = record.trust.mismatched(turn.env.wall);
        let state = record.state;
        record.trust = trust;
        self.put_on_hold(turn, contact);
        if left == 0 && state != ContactState::Blocked {
            self.end_sessions(turn, contact, ContactState::Inactive);
        }
        self.put_contact(turn, contact);
        turn.settle();
        self.emit_contact(turn, contact);
        left
    }

    /// Puts another key in a contact's place.
    pub(super) fn rekey(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        key: PublicKey,
    ) -> Result<Reply, CommandError> {
        let record = self.roster.contacts.get(&contact).ok_or(CommandError::NoContact)?;
        let identity = record.identity;
        if record.state == ContactState::Blocked {
            return Err(CommandError::Blocked);
        }
        if self.roster.is_own(&key) {
            return Err(CommandError::OwnKey);
        }
        if self.roster.contact_by_key(identity, &key).is_some() {
            return Err(CommandError::KnownKey);
        }
        self.put_on_hold(turn, contact);
        self.end_sessions(turn, contact, ContactState::Inactive);
        self.start_new_epoch(turn, contact);
        if let Some(record) = self.roster.contacts.get_mut(&contact) {
            record.key = key;
            record.trust = record.trust.rekeyed(turn.env.wall);
        }
        self.put_contact(turn, contact);
        // Whoever holds the other key may have knocked already.
        let knocked = self
            .roster
            .requests
            .values()
            .find(|request| request.identity == identity && request.offer.from() == key)
            .map(|request| (request.id, request.offer.clone()));
        let Some((request, offer)) = knocked else {
            turn.settle();
            self.emit_contact(turn, contact);
            return Ok(Reply::Done);
        };
        self.roster.requests.remove(&request);
        turn.erase(RecordKey::Request(request));
        self.accept_offer(turn, contact, &offer);
        turn.emit(crate::engine::event::Event::RequestRemoved(request));
        turn.settle();
        Ok(Reply::Done)
    }

    /// Sends to a held contact again, verified or not: a person decided.
    pub(super) fn accept_unverified(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
    ) -> Result<Reply, CommandError> {
        let record = self.roster.contacts.get(&contact).ok_or(CommandError::NoContact)?;
        if !record.trust.is_on_hold() {
            return Err(CommandError::NotOnHold);
        }
        self.set_trust(turn, contact, Trust::Unverified);
        Ok(Reply::Done)
    }

    fn set_trust(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId, trust: Trust) {
        let Some(record) = self.roster.contacts.get_mut(&contact) else { return };
        let held = record.trust.is_on_hold();
        record.trust = trust;
        let record = record.clone();
        turn.put(Record::Contact(record));
        turn.settle();
        if held {
            self.release_hold(turn, contact);
        }
        self.emit_contact(turn, contact);
    }

    /// Erases every envelope to a contact that is not done with. What never left waits again, what
    /// left is to be sent afresh.
    fn put_on_hold(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let mining: Vec<MessageId> = self
            .open_messages
            .values()
            .filter(|message| {
                message.contact == contact
                    && message.direction == StoredDirection::Outgoing(MessageState::Mining)
            })
            .map(|message| message.id)
            .collect();
        for id in mining {
            if self.is_withdrawable(id) {
                self.withdraw(turn, contact, id);
                self.advance(turn, id, MessageState::Queued);
                self.conversations.entry(contact).or_default().send_queue.push_front(id);
            } else {
                // It was finished when the process ended, and may have been published.
                let Some(message) = self.open_messages.get_mut(&id) else { continue };
                message.record_transmission(turn.env.wall);
                let life = message.lifetime_left(turn.env.wall);
                self.timers.set(Timer::Expiry(id), turn.env.mono.plus(life));
                self.advance(turn, id, MessageState::Sent);
            }
        }
        self.outbox.forget(turn, |kept| kept.purpose.concerns(contact));
    }

    /// Plans what was left out while a contact was held.
    fn release_hold(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let Some(record) = self.roster.contacts.get(&contact) else { return };
        if record.state == ContactState::Blocked {
            return;
        }
        if record.offer.is_some() {
            self.outbox.push(Job::Offer(contact));
        } else if self.preferred(contact).is_none() {
            self.start_offer(turn, contact);
        }
        let unanswered = self.sessions.values().map(|record| (record.contact, &record.session));
        for (_, session) in unanswered.filter(|&(with, session)| {
            with == contact && session.role() == SessionRole::Responder && !session.confirmed()
        }) {
            self.outbox.push(Job::AnswerOffer(contact, session.id()));
        }
        self.outbox.push(Job::Acknowledge(contact));
        self.resume_retransmits(turn, contact);
        self.schedule_send(contact);
    }

    /// Begins another epoch: the holder of another key knows nothing of the one before. What was
    /// never acknowledged comes first in it.
    fn start_new_epoch(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        self.forget_awaited_receipts(contact);
        let talk = self.conversations.entry(contact).or_default();
        talk.in_flight.clear();
        (talk.base_to_announce, talk.peer_acked_up_to) = (None, 0);
        let unacknowledged = core::mem::take(&mut talk.unacked);
        let mut next = 0;
        for id in unacknowledged.into_values() {
            let Some(message) = self.open_messages.get_mut(&id) else { continue };
            message.number = Some(next);
            turn.put(Record::Message(message.clone()));
            talk.unacked.insert(next, id);
            next += 1;
        }
        if let Some(record) = self.roster.contacts.get_mut(&contact) {
            record.sent = SendSequence { epoch: turn.env.draw_u64(), next };
        }
    }
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Same,
    /// With the number of the first word that is another one.
    Differs(Option<usize>),
}

/// Compares words with the contact's halves of all sessions, the one that is shown first. Any will
/// do: the two sides may look at different sessions, and each proves the same key. `None` if there
/// are no words.
fn compare(
    halves: &[(Half, [SasWord; WORDS_PER_HALF])],
    entered: &[SasWord; WORDS_PER_HALF],
) -> Option<Comparison> {
    let (half, shown) = halves.first()?;
    if halves.iter().any(|(_, words)| words == entered) {
        return Some(Comparison::Same);
    }
    let wrong = shown.iter().zip(entered).position(|(ours, entered)| ours != entered);
    Some(Comparison::Differs(wrong.map(|place| half.first_number() + place)))
}

/// What the contact reads out of a session.
fn their_half(session: &Session) -> Option<(Half, [SasWord; WORDS_PER_HALF])> {
    let half = own_half(session.role()).other();
    Some((half, session.sas()?.half(half)))
}

/// The side that offered the session reads the first words.
const fn own_half(role: SessionRole) -> Half {
    match role {
        SessionRole::Initiator => Half::First,
        SessionRole::Responder => Half::Second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::crypto::sas::Sas;
    use crate::engine::secret::Secret;
    use crate::engine::testing::rng::SeededRng;

    const NOW: UnixSeconds = UnixSeconds(100_000_000);
    const LATER: UnixSeconds = UnixSeconds(100_086_400);

    fn words(seed: u64, half: Half) -> (Half, [SasWord; WORDS_PER_HALF]) {
        (half, Sas::new(&Secret::draw(&mut SeededRng::new(seed).turn())).half(half))
    }

    #[test]
    fn one_side_reads_what_the_other_is_told() {
        assert_eq!(own_half(SessionRole::Initiator), own_half(SessionRole::Responder).other());
        assert_ne!(own_half(SessionRole::Initiator), own_half(SessionRole::Responder));
    }

    #[test]
    fn the_words_of_any_session_will_do_and_no_others() {
        let shown = words(1, Half::Second);
        let other = words(2, Half::First);
        assert_eq!(compare(&[shown, other], &shown.1), Some(Comparison::Same));
        assert_eq!(compare(&[shown, other], &other.1), Some(Comparison::Same));
        assert_eq!(compare(&[shown], &other.1), Some(Comparison::Differs(Some(4))));
        assert_eq!(compare(&[], &shown.1), None);
        let own = words(1, Half::First);
        assert_ne!(compare(&[shown], &own.1), Some(Comparison::Same), "one's own half read back");
    }

    #[test]
    fn the_first_wrong_word_is_named_as_people_count_the_six() {
        let (_, other) = words(3, Half::First);
        for (half, first) in [(Half::First, 1), (Half::Second, 4)] {
            for place in 0..WORDS_PER_HALF {
                let (_, mut entered) = words(1, half);
                entered[place] = other[place];
                let compared = compare(&[words(1, half)], &entered);
                assert_eq!(compared, Some(Comparison::Differs(Some(first + place))));
            }
        }
    }

    #[test]
    fn three_comparisons_may_fail_and_then_counting_begins_anew() {
        let mut trust = Trust::Verified { at: NOW, by: VerificationMethod::Sas };
        for (left, attempts) in [(2, 1), (1, 2), (0, 0), (2, 1)] {
            let (next, entered) = trust.mismatched(LATER);
            assert_eq!(entered, left);
            assert_eq!(
                next,
                Trust::OnHold { since: LATER, reason: HoldReason::Mismatch, attempts }
            );
            trust = next;
        }
    }

    #[test]
    fn another_key_is_not_verified_and_remembers_when_the_one_before_it_was() {
        let verified = Trust::Verified { at: NOW, by: VerificationMethod::SafetyNumber };
        let once = verified.rekeyed(LATER);
        let reason = HoldReason::KeyChanged { verified: Some(NOW) };
        assert_eq!(once, Trust::OnHold { since: LATER, reason, attempts: 0 });
        assert_eq!(once.rekeyed(LATER), once);
        assert_eq!(once.verified_at(), None);
        let reason = HoldReason::KeyChanged { verified: None };
        let never = Trust::Unverified.rekeyed(LATER);
        assert_eq!(never, Trust::OnHold { since: LATER, reason, attempts: 0 });
    }
}
