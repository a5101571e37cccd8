//! What a search for work makes of the whole machine: how fast it is on so many threads, how soon it
//! ends, and how late others are while it goes on.
//!
//! Times of the clock, so a machine that does something else as well spoils them. Nothing fails here;
//! whoever reads decides.

use std::fs;
use std::thread::yield_now;
use std::time::{Duration, Instant};

use undertone::engine::envelope::MiningJob;
use undertone::engine::id::OutgoingId;
use undertone::shell::miner::{Miner, MiningThreads, speed};

/// Where Linux shows the threads of a process.
const THREADS: &str = "/proc/self/task";

/// Measurements of each kind, of which the best or the distribution counts.
const TURNS: usize = 20;

/// What a timer waits for.
const SPAN: Duration = Duration::from_millis(2);

/// The time between two looks at whether threads have ended.
const LOOK: Duration = Duration::from_micros(100);

/// Timers of one distribution.
const TIMERS: usize = 1_500;

/// Prints a line for each.
pub(super) fn print() {
    let most = MiningThreads::most();
    let best = |threads| (0..TURNS).map(|_| speed(threads)).max().unwrap_or(0);
    let [one, all] = [MiningThreads::new(1).unwrap_or_default(), most].map(best);
    println!("tries a second on one thread: {:.2} million", millions(one));
    let times = millions(all) / millions(one.max(1));
    println!(
        "tries a second on all of {} threads: {:.2} million, {times:.2} times one (budget {0})",
        most.get(),
        millions(all)
    );
    print_ends(most);
    println!("a timer of 2 ms is late by, without a search: {}", lateness());
    let mut miner = Miner::new(most);
    miner.start(hopeless());
    println!("and while all threads search (at p99 16 ms are allowed): {}", lateness());
}

/// How long the threads of a search go on after it was stopped.
fn print_ends(threads: MiningThreads) {
    // Only Linux shows them.
    if fs::read_dir(THREADS).is_err() {
        return;
    }
    let mut ends: Vec<Duration> = (0..TURNS)
        .map(|_| {
            let mut miner = Miner::new(threads);
            miner.start(hopeless());
            while searching() == 0 {
                yield_now();
            }
            // Under way on all of them.
            (0..10).for_each(|_| pause(SPAN));
            let stopped = now();
            miner.stop(OutgoingId(0));
            // Who looks all the time takes the processor from the threads that are to end.
            while searching() > 0 {
                pause(LOOK);
            }
            stopped.elapsed()
        })
        .collect();
    println!("a search that is stopped goes on for (budget 5 ms): {}", distribution(&mut ends));
}

/// No digest is below nothing.
const fn hopeless() -> MiningJob {
    MiningJob { outgoing: OutgoingId(0), digest: [7; 32], target: 0, start: 0 }
}

/// How many threads of this process search.
fn searching() -> usize {
    let tasks = fs::read_dir(THREADS).into_iter().flatten().flatten();
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
    tasks.filter_map(name).filter(|name| name.trim() == "search").count()
}

/// By how much timers are late.
fn lateness() -> String {
    let mut late: Vec<Duration> = (0..TIMERS)
        .map(|_| {
            let begun = now();
            pause(SPAN);
            begun.elapsed().saturating_sub(SPAN)
        })
        .collect();
    distribution(&mut late)
}

fn distribution(all: &mut [Duration]) -> String {
    all.sort_unstable();
    let at = |percent: usize| {
        let place = (all.len() * percent / 100).min(all.len().saturating_sub(1));
        all.get(place).map_or(0.0, |span| span.as_secs_f64() * 1e3)
    };
    format!("p50 {:.2}, p90 {:.2}, p99 {:.2}, most {:.2} ms", at(50), at(90), at(99), at(100))
}

#[expect(clippy::disallowed_methods, reason = "what is measured is how late it ends")]
fn pause(span: Duration) {
    std::thread::sleep(span);
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn millions(rate: u64) -> f64 {
    rate as f64 / 1e6
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}
