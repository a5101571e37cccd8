//! How many threads a search has.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::power::is_on_battery;

/// The most threads that a search may have, from one to as many as there are processors for this
/// process. On battery it has half of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiningThreads(NonZeroUsize);

impl MiningThreads {
    /// So many.
    ///
    /// # Errors
    /// When it is none, or there are not so many processors.
    pub fn new(count: usize) -> Result<Self, Failure> {
        let most = processors();
        let count = NonZeroUsize::new(count).filter(|wanted| *wanted <= most);
        count.map(Self).ok_or_else(|| not_so_many(most))
    }

    /// So many, as far as there are processors for them: of a number that another process had.
    #[must_use]
    pub fn up_to(count: usize) -> Self {
        let count = NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
        Self(count.min(processors()))
    }

    /// As many as there are processors for this process.
    #[must_use]
    pub fn most() -> Self {
        Self(processors())
    }

    /// Their number.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0.get()
    }

    /// How many of them a search has that begins at this moment.
    pub(super) fn at_present(self) -> usize {
        if is_on_battery() { self.get().div_ceil(2) } else { self.get() }
    }
}

impl Default for MiningThreads {
    /// All but one, which is left to whoever uses the machine; one where there is no other.
    fn default() -> Self {
        Self(NonZeroUsize::new(processors().get() - 1).unwrap_or(NonZeroUsize::MIN))
    }
}

/// The processors that this process may use: within its control groups, such as a container's.
fn processors() -> NonZeroUsize {
    available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn not_so_many(most: NonZeroUsize) -> Failure {
    let why = match most.get() {
        1 => "there is one processor for this process, so a search has one thread".to_owned(),
        most => format!(
            "there are {most} processors for this process, so a search can have 1 to {most} threads"
        ),
    };
    let text = FailureText {
        what: "the node was not started",
        why: &why,
        safe: "nothing was done",
        next: &format!(
            "say --mining-threads with a number from 1 to {most}; without it, it is all but one"
        ),
    };
    Failure::new(FailureCode::BadRequest, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_has_one_thread_at_least_and_one_for_each_processor_at_most() {
        let most = MiningThreads::most().get();
        for count in [1, most] {
            assert_eq!(MiningThreads::new(count).unwrap().get(), count);
        }
        let as_far = [(0, 1), (1, 1), (most, most), (usize::MAX, most)];
        for (count, had) in as_far {
            assert_eq!(MiningThreads::up_to(count).get(), had);
        }
        for count in [0, most + 1, usize::MAX] {
            let refused = MiningThreads::new(count).unwrap_err();
            assert_eq!(refused.code(), Some(FailureCode::BadRequest), "{count}");
            let Failure { what, why, safe, next, .. } = &refused;
            assert!(!what.is_empty() && !safe.is_empty() && !why.is_empty(), "{refused}");
            assert!(next.contains(&format!("from 1 to {most};")), "{next}");
        }
    }

    #[test]
    fn one_processor_is_left_to_others_where_there_are_several() {
        let usual = MiningThreads::default();
        assert_eq!(usual.get(), (MiningThreads::most().get() - 1).max(1));
        assert!((1..=usual.get()).contains(&usual.at_present()));
    }
}
