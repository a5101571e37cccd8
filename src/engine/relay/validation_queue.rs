//! The bounded queue between the flood and the pool: highest priority first.
//!
//! Under load the best envelopes are forwarded and handed on first, and the worst are dropped. The
//! queue does not ask for the time: an envelope is checked once more when it is taken out
//! ([`CheckedEnvelope::in_time`]). It remembers nothing of what it dropped.

use std::collections::BTreeMap;

use crate::engine::envelope::{CheckedEnvelope, PriorityKey};

/// Envelopes that wait at most, each of at most
/// [`crate::engine::envelope::wire::MAX_ENVELOPE_SIZE`] bytes.
///
/// A guess: of the one size, a megabyte; of the largest, 32. One turn takes far less time than it
/// takes neighbours to send so many.
pub const CAPACITY: usize = 512;

/// The result of queueing an envelope. `T` says who carried it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enqueued<T> {
    /// Queued.
    Queued,
    /// Queued, in place of this one, which had the lowest rank.
    Evicted((CheckedEnvelope, T)),
    /// Refused: all that wait outrank it.
    QueueFull(CheckedEnvelope, T),
    /// The same envelope waits already, for the carrier who was first.
    Duplicate,
}

/// Envelopes that wait, with who carried them.
#[derive(Clone, Debug)]
pub struct ValidationQueue<T> {
    /// A rank contains the id, so one envelope waits once.
    waiting: BTreeMap<PriorityKey, (CheckedEnvelope, T)>,
    capacity: usize,
}

impl<T> ValidationQueue<T> {
    /// An empty queue in which at most `capacity` envelopes wait; [`CAPACITY`] unless tested.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { waiting: BTreeMap::new(), capacity }
    }

    /// Queues an envelope, in place of the lowest ranked if the queue is full of worse. O(log n).
    pub fn push(&mut self, checked: CheckedEnvelope, carrier: T) -> Enqueued<T> {
        let rank = checked.priority_key();
        // Looked for before room: a full queue must not take a duplicate for one more.
        if self.waiting.contains_key(&rank) {
            return Enqueued::Duplicate;
        }
        if self.len() < self.capacity {
            self.waiting.insert(rank, (checked, carrier));
            return Enqueued::Queued;
        }
        // Only a lower rank gives way. So a flood of cheap envelopes cannot push out those with
        // more work.
        let lowest = self.waiting.first_entry().filter(|lowest| *lowest.key() < rank);
        let Some(lowest) = lowest else { return Enqueued::QueueFull(checked, carrier) };
        let displaced = lowest.remove();
        self.waiting.insert(rank, (checked, carrier));
        Enqueued::Evicted(displaced)
    }

    /// Takes out the envelope with the highest rank. O(log n).
    pub fn pop(&mut self) -> Option<(CheckedEnvelope, T)> {
        self.waiting.pop_last().map(|(_, waiting)| waiting)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::env::UnixSeconds;
    use crate::engine::envelope::{Draft, EnvelopeId, Floor, Lifetime, Topic, WorkNonce, check};

    const NOW: UnixSeconds = UnixSeconds(472_222 * 3600);

    /// An envelope of 31 bytes; its priority is left to the luck of its nonce.
    fn checked(nonce: u64) -> CheckedEnvelope {
        let draft = Draft::new(NOW, Lifetime::SixHours, Topic([0; 4]), Vec::new()).unwrap();
        check(draft.finish(WorkNonce(nonce)).1, NOW, &Floor::new(0)).unwrap()
    }

    fn ids(envelopes: impl IntoIterator<Item = CheckedEnvelope>) -> Vec<EnvelopeId> {
        envelopes.into_iter().map(|checked| checked.id()).collect()
    }

    #[test]
    fn the_same_envelope_waits_once_for_the_first_carrier() {
        let mut queue = ValidationQueue::new(2);
        assert_eq!(queue.push(checked(1), "first"), Enqueued::Queued);
        assert_eq!(queue.push(checked(1), "second"), Enqueued::Duplicate);
        assert_eq!(queue.pop(), Some((checked(1), "first")));
        assert_eq!(queue.push(checked(1), "third"), Enqueued::Queued);
    }

    #[test]
    fn a_full_queue_recognises_what_waits_in_it() {
        let mut queue = ValidationQueue::new(1);
        assert_eq!(queue.push(checked(1), 1), Enqueued::Queued);
        assert_eq!(queue.push(checked(1), 2), Enqueued::Duplicate);
    }

    #[test]
    fn a_queue_without_capacity_is_always_full() {
        let mut queue = ValidationQueue::new(0);
        assert_eq!(queue.push(checked(1), ()), Enqueued::QueueFull(checked(1), ()));
        assert!(queue.is_empty());
        assert_eq!(queue.pop(), None);
    }

    #[derive(Clone, Copy, Debug)]
    enum QueueStep {
        Push(u64),
        Pop,
    }

    proptest! {
        #[test]
        fn the_queue_behaves_as_a_sorted_list_does(
            capacity in 0_usize..6,
            steps in proptest::collection::vec(
                prop_oneof![3 => (0_u64..24).prop_map(QueueStep::Push), 1 => Just(QueueStep::Pop)], 0..60),
        ) {
            let mut queue = ValidationQueue::new(capacity);
            let mut model: Vec<CheckedEnvelope> = Vec::new();
            for step in steps {
                match step {
                    QueueStep::Pop => prop_assert_eq!(queue.pop().map(|(found, ())| found), model.pop()),
                    QueueStep::Push(nonce) => {
                        let newcomer = checked(nonce);
                        let pushed = queue.push(newcomer.clone(), ());
                        if model.contains(&newcomer) {
                            prop_assert_eq!(pushed, Enqueued::Duplicate);
                            continue;
                        }
                        model.push(newcomer.clone());
                        model.sort_by_key(CheckedEnvelope::priority_key);
                        let expected = if model.len() <= capacity {
                            Enqueued::Queued
                        } else {
                            let lowest = model.remove(0);
                            if lowest == newcomer {
                                Enqueued::QueueFull(lowest, ())
                            } else {
                                Enqueued::Evicted((lowest, ()))
                            }
                        };
                        prop_assert_eq!(pushed, expected);
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
            }
            let rest = core::iter::from_fn(|| queue.pop()).map(|(checked, ())| checked);
            model.reverse();
            prop_assert_eq!(ids(rest), ids(model));
        }
    }
}
