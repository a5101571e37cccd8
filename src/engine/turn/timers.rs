//! Timers of a node, each set at most once.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::env::Millis;
use crate::engine::id::{ContactId, MessageId};
use crate::engine::session::SessionId;

/// One timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum Timer {
    /// The next junk envelope.
    Junk,
    /// The next sweep of expired envelopes, aged keys and old replays.
    Sweep,
    /// Catching up once more, a while after joining.
    SyncAfterJoin,
    /// Catching up with the neighbours, at the regular time.
    Sync,
    /// Catching up with a neighbour that is new, or has more for us.
    SyncNext,
    /// A session of catching up is slow, or its time is up.
    SyncWait,
    /// Asking the neighbours for the steps of the price.
    Steps,
    /// The end of the wait for the first word of a price.
    FirstPrice,
    /// The end of the wait for others that join at the same moment.
    Joining,
    /// Storing the offers that strangers sent.
    Requests,
    /// A timer of one contact.
    Contact(ContactTimer, ContactId),
}

/// One timer of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum ContactTimer {
    /// The acknowledgement of what the contact sent.
    Acknowledge,
    /// The answer to the contact's offer.
    Answer(SessionId),
    /// The next sending of our offer.
    Offer,
    /// The next sending of an unacknowledged message.
    Retransmit(MessageId),
    /// The expiry of a message's last envelope, or the end of the time it is held.
    Expiry(MessageId),
    /// The next report of a gap in the contact's messages.
    GapReport,
    /// The next look at the price, for what it was too high for.
    Price,
}

/// All timers that are set, ordered by time.
#[derive(Debug, Default)]
pub(in crate::engine) struct Timers {
    when: BTreeMap<Timer, Millis>,
    order: BTreeSet<(Millis, Timer)>,
}

impl Timers {
    /// Sets `timer` to `at`, in place of any earlier setting.
    pub(in crate::engine) fn set(&mut self, timer: Timer, at: Millis) {
        // Each timer is due once: its earlier time must not stay in the order.
        self.clear(timer);
        self.when.insert(timer, at);
        self.order.insert((at, timer));
    }

    /// Sets `timer` to `at`, or leaves it if it is due earlier.
    pub(in crate::engine) fn set_by(&mut self, timer: Timer, at: Millis) {
        if self.when.get(&timer).is_none_or(|&set| set > at) {
            self.set(timer, at);
        }
    }

    /// Clears `timer`.
    pub(in crate::engine) fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.when.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// Clears all timers of contacts.
    pub(super) fn drop_contacts(&mut self) {
        let about_contact = |timer: &Timer| matches!(timer, Timer::Contact(..));
        self.when.retain(|timer, _| !about_contact(timer));
        self.order.retain(|(_, timer)| !about_contact(timer));
    }

    /// Whether `timer` is set.
    pub(in crate::engine) fn is_set(&self, timer: Timer) -> bool {
        self.when.contains_key(&timer)
    }

    /// When `timer` is due, if it is set.
    pub(in crate::engine) fn due(&self, timer: Timer) -> Option<Millis> {
        self.when.get(&timer).copied()
    }

    /// The timers of contacts that are due at one of these times, earliest first.
    pub(in crate::engine) fn of_contacts(
        &self,
        due: impl core::ops::RangeBounds<Millis>,
    ) -> impl Iterator<Item = (ContactId, ContactTimer)> {
        self.order.iter().filter(move |(at, _)| due.contains(at)).filter_map(|(_, timer)| {
            if let Timer::Contact(timer, contact) = *timer { Some((contact, timer)) } else { None }
        })
    }

    /// Takes the next timer that is due.
    pub(in crate::engine) fn pop(&mut self, now: Millis) -> Option<Timer> {
        let &(at, timer) = self.order.first()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }

    /// When the next timer is due.
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
