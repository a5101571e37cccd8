//! When the interface draws: at most so often for what happens, and at once for a key.

use core::time::Duration;

use tokio::time::Instant;

/// At most 30 drawings a second: more are not seen.
pub(super) const FRAME: Duration = Duration::from_millis(33);

/// The drawings for keys, which do not wait for the frame that follows one for something else: a node
/// that searches for work tells its figures each second, and a key just after that was drawn 33 ms
/// late.
#[derive(Debug, Default)]
pub(super) struct KeyDrawings {
    /// When the next may be at once; a key that comes sooner waits for its frame. So a long paste is
    /// not drawn letter by letter.
    next: Option<Instant>,
}

impl KeyDrawings {
    /// Whether a key at this time is drawn at once.
    pub(super) fn is_at_once(&mut self, now: Instant) -> bool {
        let is_due = self.next.is_none_or(|next| now >= next);
        if is_due {
            self.next = Some(now + FRAME);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_drawn_at_once_unless_another_was_within_a_frame() {
        let (mut drawings, begun) = (KeyDrawings::default(), Instant::now());
        let mut at = |ms| drawings.is_at_once(begun + Duration::from_millis(ms));
        assert!(at(0), "whatever else was drawn just before");
        assert!(!at(1) && !at(32), "they wait for the frame");
        assert!(at(33) && !at(34) && at(80));
    }
}
