//! The place of a thread among those that want a processor.

/// Has this thread, and those that it starts, give way to others. Only Linux knows this of a thread
/// alone; elsewhere nothing changes.
pub(in crate::shell) fn give_way() {
    give_way_by(STEPS);
}

/// Has this thread come after all others, as far as the system goes. As above.
pub(in crate::shell) fn come_last() {
    give_way_by(ALL_STEPS);
}

#[cfg(target_os = "linux")]
fn give_way_by(steps: i32) {
    if let Err(error) = rustix::process::nice(steps) {
        tracing::debug!(
            "a thread has the usual priority: {}",
            super::io_words::io_words(&error.into())
        );
    }
}

#[cfg(not(target_os = "linux"))]
const fn give_way_by(_steps: i32) {}

/// How much less of a processor a thread gets that gives way: 10 is about a tenth of the usual share
/// (`sched(7)`). A guess.
const STEPS: i32 = 10;

/// From the usual priority to the lowest there is, about a seventieth of the usual share (`sched(7)`).
/// It stays the lowest, however often it is said.
const ALL_STEPS: i32 = 19;

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_that_comes_last_takes_no_other_along() {
        use super::come_last;

        // The priority of this thread as the system tells it: the 17th word after the name (`proc(5)`).
        fn priority() -> i32 {
            let text = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let (_, words) = text.rsplit_once(')').unwrap();
            words.split_whitespace().nth(16).unwrap().parse().unwrap()
        }

        let before = priority();
        let last = std::thread::spawn(|| {
            come_last();
            let once = priority();
            come_last();
            (once, priority())
        });
        assert_eq!(last.join().unwrap(), (19, 19));
        assert_eq!(priority(), before);
    }
}
