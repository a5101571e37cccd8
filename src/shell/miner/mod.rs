//! The search for work, on threads of its own so that nothing waits for it.
//!
//! One search goes on at a time, divided among as many threads as are allowed; further ones wait for
//! its end. The nonce found is the one that a single thread would have found, so it tells nothing of
//! this machine. The threads come last among all that want a processor.

mod division;
mod search;
mod speedometer;
mod threads;

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use self::search::DividedSearch;
use self::speedometer::SearchRate;
pub use self::threads::MiningThreads;
use super::api::MinerStatus;
use super::os::io_words::io_words;
use crate::engine::crypto::keccak::Kernel;
use crate::engine::envelope::{MiningJob, WorkNonce};
use crate::engine::id::OutgoingId;

/// The searches of a node. Dropping it stops them all.
#[derive(Debug, Default)]
pub struct Miner {
    threads: MiningThreads,
    /// The search that goes on.
    current: Option<CurrentSearch>,
    /// Those that come after it, in the order in which they were asked for.
    waiting: VecDeque<MiningJob>,
    measurement: Option<Measurement>,
    rate: SearchRate,
}

/// The search that goes on. Dropping it stops it.
#[derive(Debug)]
struct CurrentSearch {
    search: Arc<DividedSearch>,
    found: oneshot::Receiver<WorkNonce>,
}

impl Drop for CurrentSearch {
    fn drop(&mut self) {
        self.search.stop();
    }
}

/// The measurement that goes on, or went on. Dropping it stops it.
#[derive(Debug)]
struct Measurement(Arc<DividedSearch>);

impl Drop for Measurement {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Miner {
    /// A miner whose searches have so many threads.
    #[must_use]
    pub fn new(threads: MiningThreads) -> Self {
        Self { threads, ..Self::default() }
    }

    /// Begins a search, once those that were asked for before are over.
    pub fn start(&mut self, job: MiningJob) {
        if self.waiting.len() >= MAX_WAITING {
            tracing::error!("too many searches for work wait, and one is given up");
            self.waiting.pop_front();
        }
        self.waiting.push_back(job);
        self.go_on();
    }

    /// Begins the next search, if none goes on; one that does follows whether the machine runs on its
    /// battery. Call it now and then: where there was no thread to be had for a search, there may be
    /// one later.
    pub fn go_on(&mut self) {
        if let Some(current) = &self.current {
            current.search.allow(self.threads.at_present());
            return;
        }
        let Some(job) = self.waiting.pop_front() else { return };
        // It measures for longer.
        self.measurement = None;
        let search = Arc::new(DividedSearch::new(job, self.rate.clone()));
        match search.start(self.threads) {
            Ok(found) => self.current = Some(CurrentSearch { search, found }),
            Err(error) => {
                tracing::warn!("there is no thread for a search: {}", io_words(&error));
                self.waiting.push_front(search.job().clone());
            }
        }
    }

    /// Measures how fast this machine searches, so that costs can be shown before the first search.
    pub fn measure(&mut self) {
        let search = Arc::new(DividedSearch::measurement(self.rate.clone()));
        match search.start(self.threads) {
            // It has no nonce to wait for.
            Ok(_) => self.measurement = Some(Measurement(search)),
            Err(error) => tracing::debug!("the rate is not measured: {}", io_words(&error)),
        }
    }

    /// Ends a search without a result, or takes it from those that wait.
    pub fn stop(&mut self, outgoing: OutgoingId) {
        self.waiting.retain(|job| job.outgoing != outgoing);
        self.current.take_if(|current| current.search.job().outgoing == outgoing);
        self.go_on();
    }

    /// Waits for the next search that succeeds; for ever while there is none.
    pub async fn next(&mut self) -> (OutgoingId, WorkNonce) {
        loop {
            let Some(current) = &mut self.current else { return std::future::pending().await };
            let found = (&mut current.found).await;
            let job = current.search.job().clone();
            self.current = None;
            match found {
                Ok(nonce) => {
                    self.go_on();
                    return (job.outgoing, nonce);
                }
                Err(_) => {
                    tracing::error!("the threads of a search for work ended before it was over");
                    self.waiting.push_front(job);
                }
            }
        }
    }

    /// Tries a second in the last search, or as first measured; 0 before either is known.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.rate.get()
    }

    /// How it searches, for people and programs.
    #[must_use]
    pub fn status(&self) -> MinerStatus {
        let (threads, kernel) = (self.threads.get(), Kernel::chosen().name().to_owned());
        let threads_now = self.current.as_ref().map_or(0, |current| current.search.present());
        MinerStatus { threads, threads_now, kernel, tries_per_second: self.rate() }
    }
}

/// Tries a second of so many threads, measured for some milliseconds.
#[must_use]
pub fn speed(threads: MiningThreads) -> u64 {
    let rate = SearchRate::default();
    let search = DividedSearch::measurement(rate.clone());
    std::thread::scope(|scope| {
        let (sender, _) = oneshot::channel();
        // On a thread of its own: this one does not come last.
        let run = || search.run(threads, sender);
        let thread = std::thread::Builder::new().spawn_scoped(scope, run);
        if let Err(error) = thread {
            tracing::debug!("the rate is not measured: {}", io_words(&error));
        }
    });
    rate.get()
}

/// Searches that wait at most. The engine asks for one at a time, so none of them is ever given up.
const MAX_WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::engine::envelope::work;

    fn job(number: u64, target: u128) -> MiningJob {
        MiningJob { outgoing: OutgoingId(number), digest: [7; 32], target, start: number << 32 }
    }

    /// No digest is below nothing.
    fn hopeless(number: u64) -> MiningJob {
        job(number, 0)
    }

    async fn in_time<T>(wait: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(60), wait).await.expect("in time")
    }

    #[tokio::test]
    async fn searches_are_done_in_a_row_and_each_finds_the_first_nonce() {
        let mut miner = Miner::new(MiningThreads::most());
        let jobs: Vec<MiningJob> = (1..6).map(|number| job(number, 1 << 82)).collect();
        jobs.iter().for_each(|job| miner.start(job.clone()));
        for job in jobs {
            let first = work::search(&job, WorkNonce(job.start), u64::MAX);
            let (outgoing, nonce) = in_time(miner.next()).await;
            assert!(outgoing == job.outgoing && Some(nonce) == first);
        }
        assert!(miner.current.is_none() && miner.waiting.is_empty());
    }

    #[tokio::test]
    async fn a_search_that_is_stopped_makes_way_for_the_next_and_one_that_waits_never_begins() {
        let mut miner = Miner::default();
        for job in [hopeless(1), hopeless(2), job(3, 1 << 84), hopeless(4)] {
            miner.start(job);
        }
        miner.stop(OutgoingId(2));
        miner.stop(OutgoingId(1));
        assert_eq!(in_time(miner.next()).await.0, OutgoingId(3));
        miner.stop(OutgoingId(4));
        miner.stop(OutgoingId(5));
        assert!(miner.current.is_none() && miner.waiting.is_empty());
        miner.start(job(6, 1 << 84));
        assert_eq!(in_time(miner.next()).await.0, OutgoingId(6));
    }

    #[tokio::test]
    async fn a_search_with_the_name_of_one_that_was_stopped_has_its_own_nonce() {
        let mut miner = Miner::default();
        let again = MiningJob { digest: [8; 32], ..job(1, 1 << 84) };
        for _ in 0..20 {
            miner.start(job(1, 1 << 84));
            miner.stop(OutgoingId(1));
            miner.start(again.clone());
            let (_, nonce) = in_time(miner.next()).await;
            assert!(Some(nonce) == work::search(&again, WorkNonce(again.start), u64::MAX));
        }
    }

    #[tokio::test]
    async fn the_threads_of_a_miner_that_is_gone_end() {
        let mut miner = Miner::default();
        miner.start(hopeless(1));
        miner.measure();
        let current = Arc::downgrade(&miner.current.as_ref().expect("it goes on").search);
        let measured = Arc::downgrade(&miner.measurement.as_ref().expect("it goes on").0);
        drop(miner);
        let ended = async {
            while current.strong_count() + measured.strong_count() > 0 {
                tokio::task::yield_now().await;
            }
        };
        in_time(ended).await;
    }

    #[tokio::test]
    async fn a_search_whose_threads_died_begins_again() {
        let mut miner = Miner::default();
        miner.start(hopeless(1));
        let current = miner.current.as_mut().expect("it goes on");
        // As when a thread ends by a fault: nobody is left who could tell the nonce.
        current.found = oneshot::channel().1;
        let none = timeout(Duration::from_millis(1), miner.next()).await;
        assert!(none.is_err() && miner.current.is_none() && miner.waiting.len() == 1);
        miner.go_on();
        assert!(miner.current.is_some() && miner.waiting.is_empty());
    }

    #[tokio::test]
    async fn the_speed_is_known_before_the_first_search_and_followed_by_those_after_it() {
        let mut miner = Miner::default();
        assert_eq!((miner.rate(), miner.status().tries_per_second), (0, 0));
        miner.measure();
        in_time(async {
            while miner.rate() == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let measured = miner.rate();
        assert_eq!(miner.status().tries_per_second, measured);
        // By what it counts, and not by what was known before.
        miner.start(hopeless(1));
        in_time(async {
            while miner.rate() == measured {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(speed(MiningThreads::default()) > 0);
    }
}
