//! The schedule of retransmission: when an unacknowledged message is sent again, and for how long.
//! Arithmetic on its delivery log.
//!
//! Each wait is twice the one before, up to the life of its envelopes or [`MIN_BACKOFF_LIMIT`],
//! whichever is longer: while one of them is still carried, another adds little. It is computed
//! from the times of the first and the last sending, which are stored with the message: so no
//! restart begins anew, and a sending that was brought forward makes no later wait longer
//! (`proto/session.md`, "Sending again").
//!
//! A wall clock may jump. Every span that is computed from it lies between nothing and what it
//! would be with a true clock and no time gone, so a jump can neither bring a storm nor stop
//! anything for good. Only a clock that is ahead by more than [`RETRANSMIT_FOR`] ends the sending
//! too early; then the message is marked as not acknowledged, and a person can send it again.

use crate::engine::env::{Millis, UnixSeconds};
use crate::engine::envelope::Lifetime;
use crate::engine::envelope::draft::HEAD_START;
use crate::engine::envelope::wire::GRID;

use crate::engine::record::{
    DeliveryLog, MessageRecord, MessageState, RETRANSMIT_FOR, StoredDirection,
};

/// Automatic sendings of one message, however often a contact or a restart brings them forward.
/// Twice what the schedule alone comes to for the shortest lives.
pub const MAX_TRANSMISSIONS: u32 = 256;

/// Six hours: the longest wait of messages with shorter lives. A guess.
pub const MIN_BACKOFF_LIMIT: Lifetime = Lifetime::SixHours;

/// Ten minutes: a node that comes back has caught up by then, and an acknowledgement that waited
/// for it has arrived. A guess.
const EXPIRY_GRACE: Millis = Millis::from_secs(600);

/// The next step when the last envelope of a message has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// Nothing: no acknowledgement is awaited.
    Nothing,
    /// It becomes unacknowledged, and is sent again until `look_again` at least.
    Unacknowledged {
        /// When to look again.
        look_again: Millis,
    },
    /// It is still being sent.
    LookAgain {
        /// When to look again.
        after: Millis,
    },
    /// It was held for long enough: its number is freed.
    Abandon,
}

/// The schedule of one message of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retransmission<'m> {
    message: &'m MessageRecord,
}

impl<'m> Retransmission<'m> {
    pub(super) const fn of(message: &'m MessageRecord) -> Self {
        Self { message }
    }

    /// How long after its last sending it is sent again. `retransmit_after` is the wait after the
    /// first.
    ///
    /// As long as it has been sent for, and once more `resend`: 1, 2, 4, 8 times that.
    pub(super) fn backoff(self, retransmit_after: Millis) -> Millis {
        let longest =
            Millis::from_secs(self.message.postage.lifetime.max(MIN_BACKOFF_LIMIT).ttl().0.into());
        let span = match (self.message.delivery.first_sent, self.message.delivery.last_sent) {
            // Forwards or backwards: a clock that was set back says as little of the time gone as
            // one that was set ahead, and must not make every wait the shortest.
            (Some(first), Some(last)) => Millis::from_secs(first.0.abs_diff(last.0)),
            (None, _) | (_, None) => Millis(0),
        };
        span.plus(retransmit_after).min(longest)
    }

    /// The rest of a `wait` that began with its last sending.
    pub(super) fn remaining(self, wait: Millis, now: UnixSeconds) -> Millis {
        let gone = self.message.delivery.last_sent.map_or(wait, |last| since(last, now));
        Millis(wait.0.saturating_sub(gone.0))
    }

    /// The rest of the wait for its next sending: none if a person asked for it.
    pub(super) fn left_to_wait(self, retransmit_after: Millis, now: UnixSeconds) -> Millis {
        if self.is_asked_for() {
            return Millis(0);
        }
        self.remaining(self.backoff(retransmit_after), now)
    }

    /// Whether a person asked for the next sending, and did so after the last one.
    pub(super) fn is_asked_for(self) -> bool {
        self.message.direction == StoredDirection::AskedAgain
    }

    /// How long its last envelope can still be carried, at most: the expiry is rounded up.
    pub(super) fn lifetime_left(self, now: UnixSeconds) -> Millis {
        self.remaining(longest_stay(self.message.postage.lifetime), now)
    }

    /// How long it is still held and sent again.
    pub(super) fn retransmit_time_left(self, now: UnixSeconds) -> Millis {
        let whole = Millis::from_secs(RETRANSMIT_FOR.0.into());
        let DeliveryLog { first_sent, last_sent, .. } = self.message.delivery;
        // A first sending that is still to come, or was before there was this program, was dated by a
        // wrong clock. The message would be held for as much longer, or given up at once.
        let began = first_sent.filter(|first| first.is_credible() && *first <= now).or(last_sent);
        let began = began.filter(|began| began.is_credible());
        let gone = began.map_or(Millis(0), |began| since(began, now));
        Millis(whole.0.saturating_sub(gone.0))
    }

    /// Whether the schedule may still send it by itself, or a person asked for it.
    pub(super) fn may_retransmit(self, now: UnixSeconds) -> bool {
        let is_within_limits = self.message.delivery.attempts < MAX_TRANSMISSIONS
            && self.retransmit_time_left(now) > Millis(0);
        is_within_limits || self.is_asked_for()
    }

    /// The next step when its expiry timer is due. `asked` says whether it is on its way or a
    /// person wants it sent: then it is not abandoned.
    #[expect(clippy::fn_params_excessive_bools, reason = "one flag, named where it is computed")]
    pub(super) fn expiry(self, now: UnixSeconds, asked: bool) -> Expiry {
        let left = self.retransmit_time_left(now).max(self.lifetime_left(now));
        match self.message.direction {
            StoredDirection::Outgoing(MessageState::Sent) => {
                Expiry::Unacknowledged { look_again: left.max(EXPIRY_GRACE) }
            }
            StoredDirection::Outgoing(MessageState::Unacknowledged)
            | StoredDirection::AskedAgain
                if self.message.number.is_some() =>
            {
                // Never sooner than the grace, or a clock that jumped would have it looked at in a
                // tight loop.
                if left > Millis(0) || asked || self.is_asked_for() {
                    Expiry::LookAgain { after: left.max(EXPIRY_GRACE) }
                } else {
                    Expiry::Abandon
                }
            }
            // Unacknowledged without a number: it was abandoned before.
            StoredDirection::Outgoing(
                MessageState::Unacknowledged
                | MessageState::Queued
                | MessageState::Mining
                | MessageState::Delivered
                | MessageState::Read
                | MessageState::Failed
                | MessageState::Cancelled,
            )
            | StoredDirection::AskedAgain
            | StoredDirection::Delivered
            | StoredDirection::Buffered { .. } => Expiry::Nothing,
        }
    }
}

/// How long an envelope of this lifetime is carried at most after it was made.
fn longest_stay(lifetime: Lifetime) -> Millis {
    let whole = [lifetime.ttl(), HEAD_START, GRID].map(|span| u64::from(span.0));
    Millis::from_secs(whole.iter().sum())
}

/// The time from `then` to `now`; nothing if the clock says that `then` is still to come.
const fn since(then: UnixSeconds, now: UnixSeconds) -> Millis {
    Millis::from_secs(now.0.saturating_sub(then.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::env::Seconds;
    use crate::engine::id::{ContactId, MessageId};
    use crate::engine::settings::DEFAULT_RETRANSMIT_AFTER;

    fn message(lifetime: Lifetime, delivery: DeliveryLog) -> MessageRecord {
        let record = MessageRecord::outgoing(
            MessageId(1),
            ContactId(2),
            "text".to_owned(),
            lifetime.into(),
            UnixSeconds(3),
        );
        MessageRecord { delivery, ..record }
    }

    /// How often it is sent in all when nothing hurries it and nobody answers.
    fn attempts(lifetime: Lifetime) -> u32 {
        let mut message = message(lifetime, DeliveryLog::default());
        let start = UnixSeconds(1_800_000_000);
        let mut now = start;
        while Retransmission::of(&message).may_retransmit(now) {
            message.delivery.record_transmission(now);
            let wait = u32::try_from(
                Retransmission::of(&message).backoff(DEFAULT_RETRANSMIT_AFTER).0.div_ceil(1_000),
            )
            .unwrap();
            now = now.plus(Seconds(wait));
        }
        assert!(now >= start.plus(RETRANSMIT_FOR), "{lifetime:?} ends with the time it is held");
        message.delivery.attempts
    }

    #[test]
    fn the_schedule_sends_a_message_as_often_as_the_specification_says() {
        // session.md, "Sending again", names these.
        assert_eq!(Lifetime::ALL.map(attempts), [128, 40, 17]);
        assert!(
            Lifetime::ALL.into_iter().all(|lifetime| attempts(lifetime) * 2 <= MAX_TRANSMISSIONS)
        );
    }

    #[test]
    fn every_wait_is_twice_the_one_before_up_to_the_life_or_six_hours() {
        let doubling = |longest: u64| (0..20).map(move |n: u32| (60_u64 << n).min(longest));
        for (lifetime, longest) in Lifetime::ALL.into_iter().zip([21_600, 86_400, 604_800]) {
            let mut message = message(lifetime, DeliveryLog::default());
            let mut now = UnixSeconds(77);
            for expected in doubling(longest) {
                message.delivery.record_transmission(now);
                let wait = Retransmission::of(&message).backoff(DEFAULT_RETRANSMIT_AFTER).0 / 1_000;
                assert_eq!(
                    wait, expected,
                    "{lifetime:?} after {} sendings",
                    message.delivery.attempts
                );
                now = now.plus(Seconds(u32::try_from(wait).unwrap()));
            }
        }
    }

    #[test]
    fn a_sending_brought_forward_makes_no_later_wait_longer() {
        let mut message = message(Lifetime::Day, DeliveryLog::default());
        for second in 0..50 {
            message.delivery.record_transmission(UnixSeconds(1_000 + second));
        }
        assert_eq!(
            Retransmission::of(&message).backoff(DEFAULT_RETRANSMIT_AFTER),
            Millis(60_000 + 49_000)
        );
    }

    #[test]
    fn the_last_envelope_is_waited_for_to_the_end_of_its_rounded_life() {
        let delivery =
            DeliveryLog { last_sent: Some(UnixSeconds(1_000)), ..DeliveryLog::default() };
        let left = |now| {
            Retransmission::of(&message(Lifetime::Day, delivery)).lifetime_left(UnixSeconds(now)).0
                / 1_000
        };
        let whole = 86_400 + 120 + 3_600;
        assert_eq!([left(1_000), left(1_001), left(1_000 + whole)], [whole, whole - 1, 0]);
        assert_eq!(
            Retransmission::of(&message(Lifetime::Day, DeliveryLog::default()))
                .lifetime_left(UnixSeconds(1)),
            Millis(0)
        );
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_make_every_wait_the_shortest() {
        let year = 31_536_000;
        let delivery = DeliveryLog {
            first_sent: Some(UnixSeconds(2 * year)),
            last_sent: Some(UnixSeconds(year)),
            ..DeliveryLog::default()
        };
        assert_eq!(
            Retransmission::of(&message(Lifetime::Day, delivery)).backoff(DEFAULT_RETRANSMIT_AFTER),
            Millis::from_secs(86_400)
        );
    }

    #[test]
    fn a_first_sending_that_a_wrong_clock_dated_has_a_message_held_as_long_as_another() {
        let (now, day) = (1_800_000_000, 86_400);
        let later = now + 3 * 365 * day;
        let left = |[first, last]: [u64; 2], now: u64| {
            let [first_sent, last_sent] = [first, last].map(|at| Some(UnixSeconds(at)));
            let delivery =
                DeliveryLog { attempts: 2, first_sent, last_sent, ..DeliveryLog::default() };
            let message = message(Lifetime::Day, delivery);
            Retransmission::of(&message).retransmit_time_left(UnixSeconds(now)).0 / 1_000
        };
        let whole = u64::from(RETRANSMIT_FOR.0);
        let ahead = [later, now];
        assert_eq!(left(ahead, now), whole);
        assert_eq!(left(ahead, now + day), whole - day, "by the last sending");
        assert_eq!(left(ahead, now + whole), 0);
        assert_eq!(left(ahead, 1), whole, "the clock is behind both");
        assert_eq!(left(ahead, later + day), whole - day, "its date has come");
        // Under a clock of 1970, and under one that was set right since.
        assert_eq!(left([60, 120], now), whole);
        assert_eq!(left([60, now], now + day), whole - day);
    }

    proptest! {
        #[test]
        fn no_clock_makes_a_span_longer_than_it_is_or_panics(
            now in any::<u64>(),
            first in any::<Option<u64>>(),
            last in any::<Option<u64>>(),
            attempts in any::<u32>(),
            retransmit_after in any::<u64>(),
            lifetime in prop::sample::select(Lifetime::ALL.to_vec()),
        ) {
            let delivery = DeliveryLog {
                attempts,
                first_sent: first.map(UnixSeconds),
                last_sent: last.map(UnixSeconds),
                ..DeliveryLog::default()
            };
            let (message, now) = (message(lifetime, delivery), UnixSeconds(now));
            let wait = Retransmission::of(&message).backoff(Millis(retransmit_after));
            prop_assert!(wait <= Millis::from_secs(604_800));
            prop_assert!(Retransmission::of(&message).remaining(wait, now) <= wait);
            let whole = u64::from(lifetime.ttl().0) + 120 + 3_600;
            prop_assert!(Retransmission::of(&message).lifetime_left(now) <= Millis::from_secs(whole));
            prop_assert!(Retransmission::of(&message).retransmit_time_left(now) <= Millis::from_secs(RETRANSMIT_FOR.0.into()));
        }
    }
}
