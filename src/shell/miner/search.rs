//! One search, and the threads that take part in it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder, Scope};

use tokio::sync::oneshot;

use super::division::Division;
use super::speedometer::{SearchRate, Speedometer};
use super::threads::MiningThreads;
use crate::engine::envelope::{MiningJob, WorkNonce, work};
use crate::engine::id::OutgoingId;
use crate::shell::os::io_words::io_words;
use crate::shell::os::priority::come_last;

/// A search that threads have divided among themselves. Who waits for it holds no lock of it.
#[derive(Debug)]
pub(super) struct DividedSearch {
    job: MiningJob,
    purpose: SearchPurpose,
    /// Whether it is over, or was stopped.
    over: AtomicBool,
    /// How many threads may take part, which can change while it goes on.
    allowed: AtomicUsize,
    /// How many do.
    present: AtomicUsize,
    progress: Mutex<SearchProgress>,
}

/// The place of a thread in a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SearchPart {
    /// It starts the others, and stays to the end.
    First,
    /// It leaves when fewer are allowed.
    Helper,
}

/// When a search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SearchPurpose {
    /// Once the nonce is found.
    Nonce,
    /// Once the rate is known.
    Measurement,
}

/// How far a search is.
#[derive(Debug)]
struct SearchProgress {
    division: Division,
    speed: Speedometer,
}

/// The place for the nonce of one search, until it is told.
type FoundPlace = Mutex<Option<oneshot::Sender<WorkNonce>>>;

/// A chunk that was searched, and its first hit.
type SearchedChunk = (u64, Option<WorkNonce>);

impl DividedSearch {
    /// A search for the nonce of this job.
    pub(super) fn new(job: MiningJob, rate: SearchRate) -> Self {
        Self::with_purpose(job, rate, SearchPurpose::Nonce)
    }

    /// A search that finds nothing, and ends as soon as the rate is known.
    pub(super) fn measurement(rate: SearchRate) -> Self {
        // No digest is below nothing.
        let job = MiningJob { outgoing: OutgoingId(0), digest: [0; 32], target: 0, start: 0 };
        Self::with_purpose(job, rate, SearchPurpose::Measurement)
    }

    fn with_purpose(job: MiningJob, rate: SearchRate, purpose: SearchPurpose) -> Self {
        let progress =
            SearchProgress { division: Division::default(), speed: Speedometer::new(rate) };
        Self {
            job,
            purpose,
            over: AtomicBool::new(false),
            allowed: AtomicUsize::new(1),
            present: AtomicUsize::new(0),
            progress: Mutex::new(progress),
        }
    }

    /// What is searched for.
    pub(super) const fn job(&self) -> &MiningJob {
        &self.job
    }

    /// Has it end. Each of its threads finishes the chunk that it has.
    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Lets so many threads take part from now on, one at least: those that are too many leave after
    /// the chunk that they have, and others are started.
    pub(super) fn allow(&self, threads: usize) {
        self.allowed.store(threads.min(self.useful()).max(1), Ordering::Relaxed);
    }

    /// How many threads take part at this moment.
    pub(super) fn present(&self) -> usize {
        self.present.load(Ordering::Relaxed)
    }

    /// Begins it on threads of its own, and answers where its nonce will be; nothing comes there if
    /// it is stopped.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start(
        self: &Arc<Self>,
        threads: MiningThreads,
    ) -> io::Result<oneshot::Receiver<WorkNonce>> {
        let (sender, found) = oneshot::channel();
        let search = Arc::clone(self);
        // It ends soon after it was stopped, and nobody waits for that.
        let on_thread = move || search.run(threads, sender);
        Builder::new().name(NAME.to_owned()).spawn(on_thread)?;
        Ok(found)
    }

    /// Searches on this thread, and on others that it starts.
    pub(super) fn run(&self, threads: MiningThreads, found: oneshot::Sender<WorkNonce>) {
        // Before anything else, so that those it starts come last, too.
        come_last();
        self.run_on(threads.at_present(), found);
    }

    /// Searches on so many threads, of which this is one.
    fn run_on(&self, threads: usize, found: oneshot::Sender<WorkNonce>) {
        self.allow(threads);
        self.present.store(1, Ordering::Relaxed);
        let found = FoundPlace::new(Some(found));
        thread::scope(|scope| {
            self.take_part(SearchPart::First, &found, || self.add_helpers(scope, &found));
        });
        self.present.store(0, Ordering::Relaxed);
    }

    /// Starts threads until there are as many as may take part.
    fn add_helpers<'s>(&'s self, scope: &'s Scope<'s, '_>, found: &'s FoundPlace) {
        while self.present() < self.allowed.load(Ordering::Relaxed) {
            self.present.fetch_add(1, Ordering::Relaxed);
            let part = || self.take_part(SearchPart::Helper, found, || ());
            let helper = Builder::new().name(NAME.to_owned()).spawn_scoped(scope, part);
            // With fewer it takes longer, and finds the same.
            if let Err(error) = helper {
                tracing::debug!("a search has fewer threads: {}", io_words(&error));
                self.present.fetch_sub(1, Ordering::Relaxed);
                self.allow(self.present());
            }
        }
    }

    /// How many threads are of use to it: one for each chunk that it takes on average.
    fn useful(&self) -> usize {
        usize::try_from(self.job.tries().div_ceil(CHUNK)).unwrap_or(usize::MAX)
    }

    /// Searches one chunk after the other until the search is over, or goes on without this thread;
    /// before each, `look` is called.
    fn take_part(&self, part: SearchPart, found: &FoundPlace, look: impl Fn()) {
        let mut searched = None;
        loop {
            look();
            let Some(chunk) = self.next(part, searched, found) else { return };
            let from = WorkNonce(self.job.start).plus(chunk.wrapping_mul(CHUNK));
            searched = Some((chunk, work::search(&self.job, from, CHUNK)));
        }
    }

    /// Whether a helper is one too many, which then counts no more.
    fn leaves(&self) -> bool {
        let allowed = self.allowed.load(Ordering::Relaxed);
        let fewer = |present: usize| (present > allowed).then(|| present.saturating_sub(1));
        self.present.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok()
    }

    /// Notes what a chunk came to, and answers the next to search; none when the search is over, or
    /// this thread leaves it.
    fn next(
        &self,
        part: SearchPart,
        searched: Option<SearchedChunk>,
        found: &FoundPlace,
    ) -> Option<u64> {
        if self.over.load(Ordering::Relaxed) {
            return None;
        }
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let SearchProgress { division, speed } = &mut *progress;
        if let Some((chunk, hit)) = searched {
            division.finish(chunk, hit);
            speed.count(CHUNK);
        }
        let winner = division.winner();
        let is_measured = self.purpose == SearchPurpose::Measurement && speed.knows_rate();
        if winner.is_none() && !is_measured {
            let stays = part == SearchPart::First || !self.leaves();
            return if stays { division.take() } else { None };
        }
        speed.finish();
        drop(progress);
        self.stop();
        let place = found.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((place, nonce)) = place.zip(winner)
            && place.send(nonce).is_err()
        {
            tracing::trace!("nobody waits for what a search found any more");
        }
        None
    }
}

/// What its threads are called in lists of threads.
const NAME: &str = "search";

/// Tries between two looks at whether a search is over: 2 ms at two million tries a second.
const CHUNK: u64 = 1 << 12;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn job(digest: [u8; 32], target: u128, start: u64) -> MiningJob {
        MiningJob { outgoing: OutgoingId(1), digest, target, start }
    }

    /// The nonce that so many threads find.
    fn found_by(threads: usize, job: &MiningJob) -> Option<WorkNonce> {
        let (sender, mut found) = oneshot::channel();
        DividedSearch::new(job.clone(), SearchRate::default()).run_on(threads, sender);
        found.try_recv().ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// So the distance from the start to the nonce has one distribution, whatever the number of
        /// threads, and the nonce tells nothing of it.
        #[test]
        fn any_number_of_threads_finds_the_nonce_that_one_finds(
            digest: [u8; 32], near_the_end in 0_u64..40_000, start: u64, bits in 81_u32..90,
        ) {
            for start in [start, u64::MAX - near_the_end] {
                let job = job(digest, 1 << bits, start);
                let single = work::search(&job, WorkNonce(start), u64::MAX);
                prop_assert!(single.is_some());
                for threads in [1, 2, 3, 8] {
                    prop_assert_eq!(found_by(threads, &job), single, "{} threads", threads);
                }
            }
        }
    }

    /// The mean distance from the start is that of the target, and no nonce before the found one
    /// would have done: what is left of a search is its start, and chance.
    #[test]
    fn the_distance_from_the_start_is_that_of_a_fair_search() {
        const SEARCHES: u64 = 400;
        let mut sum = 0_u128;
        let mut first_half = 0;
        for number in 0..SEARCHES {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            let start = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let job = job(digest, 1 << 86, start);
            let nonce = found_by(3, &job).expect("it is found");
            let distance = nonce.0.wrapping_sub(start);
            sum += u128::from(distance);
            // The median of a geometric distribution of mean 1,024.
            first_half += u64::from(distance < 710);
        }
        let mean = sum / u128::from(SEARCHES);
        // Its deviation is 1,024 / 20, and that of the count 10: five of each.
        assert!((768..1_280).contains(&mean), "{mean}");
        assert!((150..=250).contains(&first_half), "{first_half}");
    }

    #[test]
    fn after_a_stop_each_thread_begins_one_chunk_at_most() {
        let job = job([7; 32], 0, 0);
        let search = Arc::new(DividedSearch::new(job, SearchRate::default()));
        let taken = |search: &DividedSearch| search.progress.lock().unwrap().division.taken();
        for threads in [1_usize, 3] {
            let begun = Arc::clone(&search);
            begun.over.store(false, Ordering::Relaxed);
            let before = taken(&search);
            let (sender, mut found) = oneshot::channel();
            let running = thread::spawn(move || begun.run_on(threads, sender));
            while taken(&search) < before + 20 {
                thread::yield_now();
            }
            search.stop();
            let at_the_stop = taken(&search);
            running.join().unwrap();
            assert!(taken(&search) <= at_the_stop + threads as u64);
            assert!(found.try_recv().is_err(), "nothing was found");
        }
    }

    #[test]
    fn a_search_has_no_more_threads_than_it_takes_chunks() {
        let threads = |allowed, target| {
            let search = DividedSearch::new(job([7; 32], target, 0), SearchRate::default());
            search.allow(allowed);
            search.allowed.load(Ordering::Relaxed)
        };
        assert_eq!(threads(8, 1 << 96), 1);
        assert_eq!(threads(8, 1 << 84), 1, "one chunk on average");
        assert_eq!(threads(8, 1), 8);
        assert_eq!(threads(8, 1 << 83), 2);
        assert_eq!(threads(0, 1), 1);
    }

    #[test]
    fn threads_leave_a_search_that_goes_on_when_fewer_are_allowed_and_come_back() {
        let search = Arc::new(DividedSearch::new(job([7; 32], 0, 0), SearchRate::default()));
        let begun = Arc::clone(&search);
        let (sender, _found) = oneshot::channel();
        let running = thread::spawn(move || begun.run_on(4, sender));
        for threads in [4, 2, 3, 1, 0, 4] {
            search.allow(threads);
            while search.present() != threads.max(1) {
                thread::yield_now();
            }
            // It goes on with as many: chunks are finished, and no thread has more than one.
            let taken = |search: &DividedSearch| search.progress.lock().unwrap().division.taken();
            let before = taken(&search);
            while taken(&search) < before + 20 {
                thread::yield_now();
            }
            assert_eq!(search.present(), threads.max(1));
        }
        search.stop();
        running.join().unwrap();
        assert_eq!(search.present(), 0);
    }

    #[test]
    fn a_measurement_ends_once_the_rate_is_known() {
        let rate = SearchRate::default();
        let (sender, mut found) = oneshot::channel();
        DividedSearch::measurement(rate.clone()).run(MiningThreads::default(), sender);
        assert!(rate.get() > 0);
        assert!(found.try_recv().is_err());
    }
}
