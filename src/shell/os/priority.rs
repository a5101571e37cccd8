//! The place of a thread among those that want a processor.

/// How much less of a processor a thread gets that gives way: 10 is about a tenth of the usual share
/// (`sched(7)`). A guess.
#[cfg(target_os = "linux")]
const STEPS: i32 = 10;

/// Has this thread, and those that it starts, give way to others. Only Linux knows this of a thread
/// alone; elsewhere nothing changes.
pub(in crate::shell) fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(STEPS) {
        tracing::debug!(
            "a thread has the usual priority: {}",
            super::io_words::io_words(&error.into())
        );
    }
}
