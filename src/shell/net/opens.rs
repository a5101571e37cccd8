//! How fast a peer may open streams on one link.
//!
//! A stream that is opened and reset at once is two frames of 12 bytes, and here a negotiation that begins
//! and fails: one link that did nothing else took the one task of all links for itself, at 3 MB a second.
//! So each link has a pace. Whoever opens more waits: nothing more is read from the link for a few
//! milliseconds, and others have their turn. Whoever goes on above the pace of an honest peer is parted
//! with. Around TCP this is beneath the streams, in [`super::muxer::Yamux`], where the frames are read; for QUIC,
//! which reads by itself and has a bound for streams that nobody took, it is where they are taken.

use core::future::Future as _;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// The streams that a peer opened on one link.
pub(super) struct OpenedStreams {
    /// Above it the peer waits.
    taken: OpeningPace,
    /// Above it the peer is parted with.
    borne: OpeningPace,
    /// The end of the wait under way.
    pause: Option<Pin<Box<Sleep>>>,
}

impl OpenedStreams {
    /// A link on which none was opened yet.
    pub(super) const fn none() -> Self {
        Self { taken: OpeningPace::new(TAKEN), borne: OpeningPace::new(BORNE), pause: None }
    }

    /// Ready once another stream may be taken.
    pub(super) fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.pause.is_none() {
            let wait = self.taken.wait(Instant::now());
            if wait.is_zero() {
                return Poll::Ready(());
            }
            self.pause = Some(Box::pin(sleep(wait)));
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        Poll::Ready(())
    }

    /// Counts one that was opened. Whether that is borne.
    pub(super) fn add(&mut self) -> bool {
        let now = Instant::now();
        let is_borne = self.borne.wait(now).is_zero();
        self.taken.add(now);
        self.borne.add(now);
        is_borne
    }
}

/// So many at once, and one more in each such time.
#[derive(Clone, Copy)]
struct OpeningRate {
    at_once: u32,
    each: Duration,
}

/// Taken without a wait: more than the protocols of a link need to begin with; and 256 in a second, each of
/// which takes some ten microseconds here. A guess.
const TAKEN: OpeningRate = OpeningRate { at_once: 64, each: Duration::from_millis(4) };

/// Borne: twice the requests of one catching up, [`MAX_REQUESTS`](crate::engine::sync::MAX_REQUESTS), and 32 in a
/// second, while an honest peer begins again after 20 seconds at the soonest. A guess.
const BORNE: OpeningRate = OpeningRate { at_once: 512, each: Duration::from_millis(31) };

/// What came, as the time until which it is allowed for.
struct OpeningPace {
    rate: OpeningRate,
    until: Option<Instant>,
}

impl OpeningPace {
    const fn new(rate: OpeningRate) -> Self {
        Self { rate, until: None }
    }

    /// How long another one has to wait.
    fn wait(&self, now: Instant) -> Duration {
        let ahead = self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let OpeningRate { at_once, each } = self.rate;
        (ahead + each).saturating_sub(each * at_once)
    }

    fn add(&mut self, now: Instant) {
        let begun = self.until.map_or(now, |until| until.max(now));
        self.until = Some(begun + self.rate.each);
    }
}

#[cfg(test)]
mod tests {
    use core::future::poll_fn;

    use super::*;
    use crate::engine::sync::MAX_REQUESTS;

    #[test]
    fn so_many_are_allowed_at_once_and_one_more_in_each_time() {
        let mut pace = OpeningPace::new(TAKEN);
        let now = Instant::now();
        for number in 0..TAKEN.at_once {
            assert!(pace.wait(now).is_zero(), "{number}");
            pace.add(now);
        }
        assert_eq!(pace.wait(now), TAKEN.each);
        assert_eq!(pace.wait(now + TAKEN.each / 2), TAKEN.each / 2);
        let later = now + 3 * TAKEN.each;
        for _ in 0..3 {
            assert!(pace.wait(later).is_zero());
            pace.add(later);
        }
        assert!(!pace.wait(later).is_zero());
        assert!(pace.wait(later + TAKEN.each * TAKEN.at_once).is_zero(), "a pause makes it good");
    }

    #[tokio::test]
    async fn one_whole_catching_up_at_once_is_borne_and_streams_without_end_are_not() {
        let mut streams = OpenedStreams::none();
        for _ in 0..MAX_REQUESTS + TAKEN.at_once {
            assert!(streams.add());
        }
        let mut more = 0;
        while streams.add() {
            more += 1;
        }
        assert!(more < 2 * BORNE.at_once, "{more}");
        poll_fn(|context| streams.poll_room(context)).await;
    }
}
