//! The division of one search among threads, so that the nonce found is the one that a single thread
//! would find: the first in their order from the start.
//!
//! Threads take chunks in order. A hit wins once every chunk before its own was searched in vain; so
//! the nonce tells nothing of how many threads there were, nor of which was how fast.

use std::collections::BTreeSet;

use crate::engine::envelope::WorkNonce;

/// What became of the chunks of a search, which are numbered from its start on.
#[derive(Debug, Default)]
pub(super) struct Division {
    /// The first chunk that nobody has taken.
    next: u64,
    /// Those that were taken and may hold the winner: at most one for each thread.
    open: BTreeSet<u64>,
    /// The earliest hit so far, and its chunk.
    earliest: Option<(u64, WorkNonce)>,
}

impl Division {
    /// A chunk for a thread to search; none once the winner is known.
    ///
    /// After a hit these are the chunks before it that others have not finished: a thread that gets
    /// no processor would else hold up all. Whoever is done first counts.
    pub(super) fn take(&mut self) -> Option<u64> {
        if self.earliest.is_some() {
            return self.open.first().copied();
        }
        let chunk = self.next;
        self.next += 1;
        self.open.insert(chunk);
        Some(chunk)
    }

    /// Notes the first hit of a chunk that was searched, or that it has none.
    pub(super) fn finish(&mut self, chunk: u64, hit: Option<WorkNonce>) {
        self.open.remove(&chunk);
        let Some(nonce) = hit else { return };
        if self.earliest.is_none_or(|(earliest, _)| chunk < earliest) {
            self.earliest = Some((chunk, nonce));
            // What comes after it cannot win any more.
            self.open = self.open.range(..chunk).copied().collect();
        }
    }

    /// The nonce that wins, once that is certain.
    pub(super) fn winner(&self) -> Option<WorkNonce> {
        let (_, nonce) = self.earliest?;
        self.open.is_empty().then_some(nonce)
    }

    /// How many chunks were taken.
    #[cfg(test)]
    pub(super) const fn taken(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Threads of a test, the chunks of which have this many nonces, and the nonces that are hits.
    struct Threads {
        division: Division,
        busy_with: Vec<Option<u64>>,
        size: u64,
        hits: BTreeSet<u64>,
    }

    impl Threads {
        /// Has one thread finish its chunk and take another.
        fn step(&mut self, thread: usize) {
            if let Some(chunk) = self.busy_with[thread] {
                let nonces = chunk * self.size..(chunk + 1) * self.size;
                let hit = self.hits.range(nonces).next();
                self.division.finish(chunk, hit.map(|nonce| WorkNonce(*nonce)));
            }
            self.busy_with[thread] = self.division.take();
        }
    }

    proptest! {
        #[test]
        fn the_first_hit_in_their_order_wins_whoever_is_how_fast(
            mut hits in proptest::collection::btree_set(0_u64..2_000, 1..40),
            size in 1_u64..60,
            threads in 1_usize..12,
            order in proptest::collection::vec(0_usize..12, 1..60),
        ) {
            let first = hits.first().copied();
            // Beyond the first chunks of all: where a thread stands still in the only chunk with a hit,
            // the others go on to the next hit, however far it is.
            hits.insert(2_000);
            let busy_with = vec![None; threads];
            let mut all = Threads { division: Division::default(), busy_with, size, hits };
            // Threads that are not in the order stand still for good, those that had begun too.
            (0..threads).for_each(|thread| all.step(thread));
            for thread in order.iter().cycle().take(20_000).map(|thread| thread % threads) {
                if all.division.winner().is_some() {
                    break;
                }
                all.step(thread);
                prop_assert!(all.division.open.len() <= threads);
            }
            prop_assert_eq!(all.division.winner().map(|nonce| nonce.0), first);
            // What the others find afterwards changes nothing.
            (0..threads).for_each(|thread| all.step(thread));
            prop_assert_eq!(all.division.winner().map(|nonce| nonce.0), first);
            prop_assert_eq!(all.division.take(), None);
        }
    }

    #[test]
    fn a_hit_waits_for_the_chunks_before_it_and_for_no_other() {
        let mut division = Division::default();
        let taken: Vec<u64> = (0..4).filter_map(|_| division.take()).collect();
        assert_eq!(taken, [0, 1, 2, 3]);
        division.finish(2, Some(WorkNonce(20)));
        assert!(division.winner().is_none());
        // The earliest of those that are open: another thread has it, too.
        assert_eq!(division.take(), Some(0));
        division.finish(0, None);
        assert!(division.winner().is_none());
        assert_eq!(division.take(), Some(1));
        division.finish(1, Some(WorkNonce(10)));
        assert!(division.winner() == Some(WorkNonce(10)));
        division.finish(3, Some(WorkNonce(30)));
        division.finish(0, None);
        assert!(division.winner() == Some(WorkNonce(10)));
    }
}
