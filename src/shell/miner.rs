//! The search for work, on a thread of its own so that nothing waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinSet;

use super::os::clock::Clock;
use crate::engine::env::Millis;
use crate::engine::envelope::{MiningJob, WorkNonce, work};
use crate::engine::id::OutgoingId;

/// The searches under way. Dropping it stops them all.
#[derive(Debug, Default)]
pub struct Miner {
    searches: JoinSet<Option<(OutgoingId, WorkNonce)>>,
    stops: BTreeMap<OutgoingId, Arc<AtomicBool>>,
    rate: Arc<AtomicU64>,
}

impl Miner {
    /// Begins a search.
    pub fn start(&mut self, order: MiningJob) {
        let stop = Arc::new(AtomicBool::new(false));
        self.stops.insert(order.outgoing, Arc::clone(&stop));
        let rate = Arc::clone(&self.rate);
        self.searches.spawn_blocking(move || search(&order, &stop, &rate));
    }

    /// Measures how fast this machine searches, so that costs can be shown before the first search.
    pub fn measure(&mut self) {
        let rate = Arc::clone(&self.rate);
        self.searches.spawn_blocking(move || {
            let measured = speed();
            // A search that began meanwhile has measured for longer.
            if rate.compare_exchange(0, measured, Ordering::Relaxed, Ordering::Relaxed).is_err() {
                tracing::trace!("the hash rate was measured already");
            }
            None
        });
    }

    /// Ends a search without a result.
    pub fn stop(&mut self, outgoing: OutgoingId) {
        if let Some(stop) = self.stops.remove(&outgoing) {
            stop.store(true, Ordering::Relaxed);
        }
    }

    /// Waits for the next search that succeeds; for ever while there is none.
    pub async fn next(&mut self) -> (OutgoingId, WorkNonce) {
        loop {
            match self.searches.join_next().await {
                None => std::future::pending().await,
                // A search that was stopped may have found its nonce first: the engine has dropped
                // that envelope.
                Some(Ok(Some((outgoing, nonce)))) if self.stops.remove(&outgoing).is_some() => {
                    return (outgoing, nonce);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => tracing::error!("a search for work failed: {error}"),
            }
        }
    }

    /// Tries a second in the last search, or as first measured; 0 before either is known.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.rate.load(Ordering::Relaxed)
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        for stop in self.stops.values() {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Tries a second on this thread, measured for some milliseconds.
#[must_use]
pub fn speed() -> u64 {
    // No digest is below nothing: the search goes through every attempt.
    let order = MiningJob { outgoing: OutgoingId(0), digest: [0; 32], target: 0, start: 0 };
    let clock = Clock::start();
    let mut tried = 0_u64;
    loop {
        if work::search(&order, WorkNonce(tried), MEASURED).is_some() {
            return 0;
        }
        tried = tried.saturating_add(MEASURED);
        let taken = clock.mono();
        if taken >= MEASURING {
            return tried.saturating_mul(1_000).checked_div(taken.0).unwrap_or(0);
        }
    }
}

fn search(
    order: &MiningJob,
    stop: &AtomicBool,
    rate: &AtomicU64,
) -> Option<(OutgoingId, WorkNonce)> {
    let clock = Clock::start();
    let mut from = WorkNonce(order.start);
    let mut tried = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        if let Some(nonce) = work::search(order, from, CHUNK) {
            return Some((order.outgoing, nonce));
        }
        from = from.plus(CHUNK);
        tried = tried.saturating_add(CHUNK);
        if let Some(per_second) = tried.saturating_mul(1_000).checked_div(clock.mono().0) {
            rate.store(per_second, Ordering::Relaxed);
        }
    }
    None
}

/// How long the speed is measured. A guess: long enough for a clock of milliseconds, and nobody
/// notices it.
const MEASURING: Millis = Millis(10);

/// Attempts between two looks at the clock while measuring: about a millisecond.
const MEASURED: u64 = 1 << 12;

/// Attempts between two looks at the stop flag: 3 ms at 21 million attempts a second, 19 at 3.5.
const CHUNK: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_speed_is_known_before_the_first_search() {
        let mut miner = Miner::default();
        assert_eq!(miner.rate(), 0);
        miner.measure();
        assert!(matches!(miner.searches.join_next().await, Some(Ok(None))));
        assert!(miner.rate() > 0);
    }

    #[test]
    fn the_speed_is_that_of_attempts_that_are_made() {
        // No core makes a billion of them a second; leaving them out is faster than that.
        assert!((1..1_000_000_000).contains(&speed()));
    }
}
