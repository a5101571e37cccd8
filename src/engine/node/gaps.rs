//! What a contact sent and has not arrived: counted, shown, and asked for again.
//!
//! Every acknowledgement says what is missing. While something is, it is said again, so that one lost
//! acknowledgement does not leave the contact in the belief that all is well.

use super::Node;
use super::publisher::Job;
use crate::engine::env::Millis;
use crate::engine::id::ContactId;
use crate::engine::record::{ContactRecord, ReceiveSequence};
use crate::engine::turn::{Timer, Turn};

/// So often a gap is pointed out, in about an hour with the usual waits; and as often after each
/// start. From then on the contact's own schedule does. A guess.
pub const MAX_GAP_REPORTS: u32 = 6;

/// A gap that is pointed out.
#[derive(Clone, Copy)]
pub(super) struct GapReport {
    /// The epoch it is in.
    epoch: u64,
    /// Its first number.
    next: u64,
    /// How often it was pointed out.
    reports: u32,
}

impl ReceiveSequence {
    /// How many numbers below the highest received one are missing.
    pub(super) fn missing(&self) -> u64 {
        let span = u64::from(u64::BITS - self.sack.leading_zeros());
        let received = u64::from(self.sack.count_ones());
        if span == 0 { 0 } else { (span + 1).saturating_sub(received) }
    }
}

impl ContactRecord {
    /// How many of their messages are known to exist and have not arrived.
    pub(super) fn missing(&self) -> u64 {
        self.received.last().map_or(0, ReceiveSequence::missing)
    }
}

impl Node {
    /// Sees whether something is missing, and plans to point it out; or not to any more.
    pub(super) fn update_gap_report(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let Some(record) = self.roster.contacts.get(&contact) else { return };
        let last = record.received.last().filter(|sequence| sequence.missing() > 0);
        let place = last.map(|sequence| (sequence.epoch, sequence.next));
        let Some(talk) = self.conversations.get_mut(&contact) else { return };
        if talk.reported_gap.map(|gap| (gap.epoch, gap.next)) == place {
            return;
        }
        talk.reported_gap = place.map(|(epoch, next)| GapReport { epoch, next, reports: 0 });
        if talk.reported_gap.is_some() {
            self.schedule_gap_report(turn, contact, 0);
        } else {
            self.timers.clear(Timer::GapReport(contact));
        }
    }

    /// Acknowledges what was acknowledged before: the gap is still there.
    pub(super) fn on_gap_report_due(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        let Some(talk) = self.conversations.get_mut(&contact) else { return };
        let Some(gap) = &mut talk.reported_gap else { return };
        gap.reports = gap.reports.saturating_add(1);
        let reports = gap.reports;
        talk.received_since_ack = talk.received_since_ack.max(1);
        self.outbox.push(Job::Acknowledge(contact));
        if reports < MAX_GAP_REPORTS {
            self.schedule_gap_report(turn, contact, reports);
        }
    }

    fn schedule_gap_report(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId, reports: u32) {
        let wait = Millis(
            self.settings.retransmit_after.0.saturating_mul(1 << reports.min(MAX_GAP_REPORTS)),
        );
        let jitter = turn.env.exponential(Millis(wait.0 / 8));
        self.timers.set(Timer::GapReport(contact), turn.env.mono.plus(wait).plus(jitter));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_missing_is_what_was_not_taken_below_the_highest(
            numbers in proptest::collection::btree_set(0_u64..64, 0..64),
        ) {
            let mut sequence = ReceiveSequence::default();
            for &number in &numbers {
                sequence.receive(number);
            }
            let below = numbers.last().map_or(0, |last| last + 1);
            prop_assert_eq!(sequence.missing(), below - numbers.len() as u64);
        }
    }
}
