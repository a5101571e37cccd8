//! The search for work, on a thread of its own so that nothing waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinSet;

use super::clock::Clock;
use crate::engine::envelope::{WorkNonce, WorkOrder, work};
use crate::engine::id::OutgoingId;

/// Searches that are going on. Dropping it stops them all.
#[derive(Debug, Default)]
pub struct Miner {
    searches: JoinSet<Option<(OutgoingId, WorkNonce)>>,
    stops: BTreeMap<OutgoingId, Arc<AtomicBool>>,
    rate: Arc<AtomicU64>,
}

impl Miner {
    /// Begins a search.
    pub fn start(&mut self, order: WorkOrder) {
        let stop = Arc::new(AtomicBool::new(false));
        self.stops.insert(order.outgoing, Arc::clone(&stop));
        let rate = Arc::clone(&self.rate);
        self.searches.spawn_blocking(move || search(&order, &stop, &rate));
    }

    /// Ends a search without result.
    pub fn stop(&mut self, outgoing: OutgoingId) {
        if let Some(stop) = self.stops.remove(&outgoing) {
            stop.store(true, Ordering::Relaxed);
        }
    }

    /// Waits for the next search that ends well; for ever while there is none.
    pub async fn next(&mut self) -> (OutgoingId, WorkNonce) {
        loop {
            match self.searches.join_next().await {
                None => std::future::pending().await,
                Some(Ok(Some((outgoing, nonce)))) if self.stops.remove(&outgoing).is_some() => {
                    return (outgoing, nonce);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => tracing::error!("a search for work failed: {error}"),
            }
        }
    }

    /// Tries a second in the last search; 0 before the first chunk of one is done.
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

fn search(
    order: &WorkOrder,
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

/// A search looks up this often: about 20 ms at three million tries a second.
const CHUNK: u64 = 1 << 16;
