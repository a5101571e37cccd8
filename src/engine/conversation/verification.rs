//! Trust in one contact's key, and the hold on sending while the key is in doubt.
//!
//! While a contact is on hold, what it sends is received and read, and what is written to it waits.
//! No message, acknowledgement, answer, offer or farewell is begun, and what was begun before is
//! erased unsent. Only a person ends that. Trust is never sent to anybody: it is about the key, it
//! outlives sessions, and it is this machine's alone.

use crate::engine::crypto::sas::{Half, SasWord, WORDS_PER_HALF};
use crate::engine::env::UnixSeconds;
use crate::engine::event::SasHalf;
use crate::engine::record::{HoldReason, Trust};
use crate::engine::session::{Session, SessionRole};

use super::sessions::Sessions;

/// Comparisons that may fail before the session is erased. More than one, because words are
/// misheard; few, because each is a guess for somebody in the middle.
pub const MAX_VERIFICATION_ATTEMPTS: u8 = 3;

/// The trust in one contact's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verification {
    trust: Trust,
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Same,
    /// They differ; with the number of the first word that does.
    Differs(Option<usize>),
}

impl Verification {
    pub(super) const fn new(trust: Trust) -> Self {
        Self { trust }
    }

    pub(super) const fn trust(self) -> Trust {
        self.trust
    }

    /// Whether sending is on hold.
    pub(super) const fn is_on_hold(self) -> bool {
        self.trust.is_on_hold()
    }

    /// Takes a person's decision; returns whether that ends a hold.
    pub(super) const fn decide(&mut self, trust: Trust) -> bool {
        let was_on_hold = self.trust.is_on_hold();
        self.trust = trust;
        was_on_hold && !trust.is_on_hold()
    }

    /// Counts a failed comparison and puts the contact on hold; returns how many attempts are left.
    pub(super) fn mismatched(&mut self, now: UnixSeconds) -> u8 {
        let (since, before) = match self.trust {
            Trust::OnHold { since, attempts, .. } => (since, attempts),
            Trust::Unverified | Trust::Verified { .. } => (now, 0),
        };
        let attempts = before.saturating_add(1);
        let left = MAX_VERIFICATION_ATTEMPTS.saturating_sub(attempts);
        // The session is erased with the last attempt, and counting begins anew with the next,
        // whose words are others.
        let attempts = if left == 0 { 0 } else { attempts };
        self.trust = Trust::OnHold { since, reason: HoldReason::Mismatch, attempts };
        left
    }

    /// Puts the contact on hold because its key became another one.
    pub(super) fn rekeyed(&mut self, now: UnixSeconds) {
        let verified = match self.trust {
            // Changed twice before a person looked: the date of the last verified key is kept.
            Trust::OnHold { reason: HoldReason::KeyChanged { verified }, .. } => verified,
            Trust::Unverified | Trust::Verified { .. } | Trust::OnHold { .. } => {
                self.trust.verified_at()
            }
        };
        self.trust =
            Trust::OnHold { since: now, reason: HoldReason::KeyChanged { verified }, attempts: 0 };
    }
}

/// The words we read to the contact, from a session; `None` before its exchange is complete here.
pub(super) fn own_half(session: &Session) -> Option<SasHalf> {
    let half = half_of(session.role());
    Some(SasHalf { half, words: session.sas()?.half(half) })
}

/// Compares words with the contact's halves of all sessions. `None` if there are no words yet.
pub(super) fn compare_sas(
    sessions: &Sessions,
    entered: &[SasWord; WORDS_PER_HALF],
) -> Option<Comparison> {
    let shown = sessions.preferred().map(Session::id);
    let halves = sessions.iter().filter_map(|session| Some((session.id(), their_half(session)?)));
    // The session on the screen comes first: a wrong word is numbered by what the person sees
    // there.
    let (mut shown, others): (Vec<_>, Vec<_>) = halves.partition(|&(id, _)| Some(id) == shown);
    shown.extend(others);
    let halves: Vec<_> = shown.into_iter().map(|(_, half)| half).collect();
    compare(&halves, entered)
}

/// Compares words with halves, the first of which is on the screen. Any of them will do: the two
/// sides may look at different sessions, and each proves the same key. `None` if there are no
/// words.
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

/// The words the contact reads to us, from a session.
fn their_half(session: &Session) -> Option<(Half, [SasWord; WORDS_PER_HALF])> {
    let half = half_of(session.role()).other();
    Some((half, session.sas()?.half(half)))
}

/// The side that offered the session reads the first words.
const fn half_of(role: SessionRole) -> Half {
    match role {
        SessionRole::Initiator => Half::First,
        SessionRole::Responder => Half::Second,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::crypto::sas::Sas;
    use crate::engine::record::VerificationMethod;
    use crate::engine::secret::Secret;
    use crate::engine::testing::rng::SeededRng;

    const NOW: UnixSeconds = UnixSeconds(100_000_000);
    const LATER: UnixSeconds = UnixSeconds(100_086_400);

    fn words(seed: u64, half: Half) -> (Half, [SasWord; WORDS_PER_HALF]) {
        (half, Sas::new(&Secret::draw(&mut SeededRng::new(seed).turn())).half(half))
    }

    #[test]
    fn the_two_sides_read_different_halves() {
        assert_eq!(half_of(SessionRole::Initiator), half_of(SessionRole::Responder).other());
        assert_ne!(half_of(SessionRole::Initiator), half_of(SessionRole::Responder));
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
        let verified = Trust::Verified { at: NOW, by: VerificationMethod::Sas };
        let mut verification = Verification::new(verified);
        for (left, attempts) in [(2, 1), (1, 2), (0, 0), (2, 1)] {
            assert_eq!(verification.mismatched(LATER), left);
            let reason = HoldReason::Mismatch;
            assert_eq!(verification.trust(), Trust::OnHold { since: LATER, reason, attempts });
        }
    }

    #[test]
    fn another_key_is_not_verified_and_remembers_when_the_one_before_it_was() {
        let rekeyed = |trust, times| {
            let mut verification = Verification::new(trust);
            (0..times).for_each(|_| verification.rekeyed(LATER));
            verification.trust()
        };
        let on_hold = |verified| Trust::OnHold {
            since: LATER,
            reason: HoldReason::KeyChanged { verified },
            attempts: 0,
        };
        let verified = Trust::Verified { at: NOW, by: VerificationMethod::SafetyNumber };
        assert_eq!(rekeyed(verified, 1), on_hold(Some(NOW)));
        assert_eq!(rekeyed(verified, 2), on_hold(Some(NOW)));
        assert_eq!(rekeyed(verified, 1).verified_at(), None);
        assert_eq!(rekeyed(Trust::Unverified, 1), on_hold(None));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Mismatch,
        Rekey,
        Decide(Trust),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let verified = Trust::Verified { at: NOW, by: VerificationMethod::Sas };
        prop_oneof![
            3 => Just(Step::Mismatch),
            1 => Just(Step::Rekey),
            1 => Just(Step::Decide(Trust::Unverified)),
            1 => Just(Step::Decide(verified)),
        ]
    }

    proptest! {
        #[test]
        fn only_a_person_ends_a_hold_and_nobody_gets_more_than_three_guesses_at_a_session(
            steps in proptest::collection::vec(any_step(), 1..60),
        ) {
            let mut verification = Verification::new(Trust::Unverified);
            // Guesses at the session there is, and whether anything may be sent.
            let (mut guesses, mut on_hold) = (0_u8, false);
            for step in steps {
                match step {
                    Step::Mismatch => {
                        guesses += 1;
                        on_hold = true;
                        let left = verification.mismatched(LATER);
                        prop_assert_eq!(left, MAX_VERIFICATION_ATTEMPTS - guesses);
                        // With the last guess the session is erased.
                        guesses %= MAX_VERIFICATION_ATTEMPTS;
                    }
                    Step::Rekey => {
                        verification.rekeyed(LATER);
                        (guesses, on_hold) = (0, true);
                    }
                    Step::Decide(trust) => {
                        prop_assert_eq!(verification.decide(trust), on_hold);
                        (guesses, on_hold) = (0, false);
                        prop_assert_eq!(verification.trust(), trust);
                    }
                }
                prop_assert_eq!(verification.is_on_hold(), on_hold);
            }
        }
    }
}
