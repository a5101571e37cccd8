//! What a node wants to be woken for, each thing at most once.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::env::Millis;
use crate::engine::id::{ContactId, MessageId};
use crate::engine::session::SessionId;

/// One reason to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum Timer {
    /// The next junk envelope.
    Junk,
    /// Expired envelopes, aged keys and old replays go.
    Sweep,
    /// A while after joining, neighbours are caught up with once more.
    SyncAfterJoin,
    /// The next neighbour is caught up with.
    Sync,
    /// A neighbour that is new, or has more for us, is caught up with.
    SyncNext,
    /// Something about one contact.
    Contact(ContactTimer, ContactId),
}

/// One reason to wake a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum ContactTimer {
    /// What the contact sent is acknowledged.
    Acknowledge,
    /// An offer of the contact is answered.
    Answer(SessionId),
    /// An offer without an answer is sent again.
    Offer,
    /// A message without an acknowledgement is sent again.
    Retransmit(MessageId),
    /// The last envelope of a message has expired, or the message was sent for long enough.
    Expiry(MessageId),
    /// What is missing of the contact's messages is pointed out again.
    GapReport,
}

/// The set of reasons, ordered by time.
#[derive(Debug, Default)]
pub(in crate::engine) struct Timers {
    when: BTreeMap<Timer, Millis>,
    order: BTreeSet<(Millis, Timer)>,
}

impl Timers {
    /// Wakes for `timer` at `at`, in place of any earlier wish for it.
    pub(in crate::engine) fn set(&mut self, timer: Timer, at: Millis) {
        self.clear(timer);
        self.when.insert(timer, at);
        self.order.insert((at, timer));
    }

    /// Wakes for `timer` at `at` or when it was going to anyway, whichever is sooner.
    pub(in crate::engine) fn set_by(&mut self, timer: Timer, at: Millis) {
        if self.when.get(&timer).is_none_or(|&set| set > at) {
            self.set(timer, at);
        }
    }

    /// Does not wake for `timer`.
    pub(in crate::engine) fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.when.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// Forgets every reason that is about a contact.
    pub(super) fn drop_contacts(&mut self) {
        let about_contact = |timer: &Timer| matches!(timer, Timer::Contact(..));
        self.when.retain(|timer, _| !about_contact(timer));
        self.order.retain(|(_, timer)| !about_contact(timer));
    }

    /// Whether `timer` is set.
    pub(in crate::engine) fn is_set(&self, timer: Timer) -> bool {
        self.when.contains_key(&timer)
    }

    /// Takes the next reason that is due.
    pub(in crate::engine) fn pop(&mut self, now: Millis) -> Option<Timer> {
        let &(at, timer) = self.order.first()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }

    /// When the next reason is due.
    pub(in crate::engine) fn next(&self) -> Option<Millis> {
        self.order.first().map(|&(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_timer_again_moves_it() {
        let mut timers = Timers::default();
        timers.set(Timer::Junk, Millis(5));
        timers.set(Timer::Junk, Millis(9));
        assert_eq!(timers.pop(Millis(8)), None);
        assert_eq!(timers.pop(Millis(9)), Some(Timer::Junk));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn the_earliest_reason_comes_first_and_set_by_never_delays() {
        let mut timers = Timers::default();
        timers.set(Timer::Sweep, Millis(7));
        timers.set(Timer::Junk, Millis(3));
        timers.set_by(Timer::Junk, Millis(6));
        assert_eq!(timers.pop(Millis(10)), Some(Timer::Junk));
        assert_eq!(timers.pop(Millis(10)), Some(Timer::Sweep));
    }
}
