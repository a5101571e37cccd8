//! The program's only clocks, its time zone, and its only random generator.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

use crate::engine::env::{Entropy, Millis, UnixSeconds};

/// Reads the time; monotonic readings count from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts at 0.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Milliseconds since the start.
    #[must_use]
    pub fn mono(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The instant of a monotonic reading, to sleep until.
    #[must_use]
    pub fn moment(&self, at: Millis) -> tokio::time::Instant {
        // A deadline in a hundred years is as good as none, and adding more to an `Instant` could
        // overflow, which panics.
        let span = Duration::from_millis(at.0.min(FAR.0));
        tokio::time::Instant::from_std(self.start + span)
    }
}

/// The time of this machine's wall clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn wall() -> UnixSeconds {
    // A clock before 1970 reads as 0: a wrong clock is not an error here, the engine looks for one.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixSeconds(since.as_secs())
}

/// The time zone in which people at this machine read times: of `TZ`, else of the system. UTC if
/// there is none, or none that can be read; every screen with times names the zone as well.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the time zone")]
pub fn zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// A hundred years.
const FAR: Millis = Millis::from_secs(3_155_760_000);

/// The operating system's random generator.
#[derive(Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[expect(clippy::expect_used, reason = "without entropy no key may be made: stop at once")]
    fn fill(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives no entropy");
    }
}
