//! What waits for each neighbour, in bytes.
//!
//! Gossipsub queues a copy of each envelope for every neighbour, counts the queue by frames, and
//! drops what is too old only when somebody takes it out. Nobody can look into that queue. So two
//! numbers are kept for each neighbour: the bytes *handed* to its queue, and how many of them are
//! *settled*. Whenever gossipsub's handler has nothing more to do while the neighbour takes
//! everything, its queue is empty, and all that was handed before is settled. What is between the
//! two is at least what waits of what is published and passed on; every emptying forgives what was
//! counted too much. Nothing else of any size is ever queued: what neighbours ask for (IWANT) is left
//! out where it comes in ([`frame`](super::frame)).
//!
//! Whoever is [`BEHIND`] is handed nothing more from that moment, leaves the mesh at gossipsub's next heartbeat
//! until it has caught up, and keeps its link: others' flood
//! must not cost a slow neighbour its connection. Whoever takes nothing at all is parted with by
//! the rule of its streams ([`muxer`](super::muxer)).

use std::sync::atomic::{AtomicU64, Ordering};

/// More bytes than this wait for a neighbour: nothing is added to them, and it leaves the mesh. Half a minute of the default line.
/// A guess.
const BEHIND: u64 = 1 << 20;

/// No more than this waits: it may come back. What a stream holds anyway ([`super::muxer::WINDOW`]).
pub(super) const CAUGHT_UP: u64 = 256 << 10;

/// What the frame around an envelope takes, and the books of the queue, in bytes. A guess, upwards.
const AROUND: u64 = 256;

/// What was handed to a neighbour, and what of it is settled.
#[derive(Default)]
pub(super) struct Ledger {
    handed: AtomicU64,
    settled: AtomicU64,
}

impl Ledger {
    /// An envelope of so many bytes is put into the neighbour's queue next.
    pub(super) fn hand(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(AROUND);
        self.handed.fetch_add(bytes, Ordering::AcqRel);
    }

    /// All that was handed until now.
    pub(super) fn handed(&self) -> u64 {
        self.handed.load(Ordering::Acquire)
    }

    /// The queue was empty at some moment after so much was handed.
    pub(super) fn settle(&self, handed: u64) {
        self.settled.fetch_max(handed, Ordering::AcqRel);
    }

    /// Whether more waits than a neighbour in the mesh may have wait.
    pub(super) fn is_behind(&self) -> bool {
        self.backlog() > BEHIND
    }

    /// The bytes that wait, at most.
    pub(super) fn backlog(&self) -> u64 {
        // In this order: what is handed in between counts as waiting.
        let settled = self.settled.load(Ordering::Acquire);
        self.handed().saturating_sub(settled)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_backlog_is_never_less_than_the_queue_and_nothing_once_that_is_empty(
            steps in prop::collection::vec((0..4_u8, 0..70_000_usize), 0..100),
        ) {
            let (ledger, mut queue, mut mark) = (Ledger::default(), Vec::new(), 0);
            for (step, bytes) in steps {
                match step {
                    // It was handed, and gossipsub queued it, or dropped it.
                    0 => {
                        ledger.hand(bytes);
                        queue.push(bytes);
                    }
                    1 => ledger.hand(bytes),
                    // A link looks, and takes a part or all: in between more may be handed.
                    2 => mark = ledger.handed(),
                    _ if bytes % 2 == 0 => drop(queue.pop()),
                    _ => {
                        mark = ledger.handed();
                        queue.clear();
                        ledger.settle(mark);
                        prop_assert_eq!(ledger.backlog(), 0);
                    }
                }
                prop_assert!(mark <= ledger.handed());
                let waits: usize = queue.iter().sum();
                prop_assert!(ledger.backlog() >= u64::try_from(waits).unwrap());
            }
        }
    }

    #[test]
    fn what_is_handed_while_a_link_looks_is_not_settled() {
        let ledger = Ledger::default();
        ledger.hand(1_000);
        let mark = ledger.handed();
        ledger.hand(500);
        ledger.settle(mark);
        assert_eq!(ledger.backlog(), 500 + AROUND);
        ledger.settle(0);
        assert_eq!(ledger.backlog(), 500 + AROUND, "a second link that looked before");
    }
}
