//! How long one side of a session waits for the other: by what the other does, and never for longer.

use crate::engine::env::Millis;

/// What each envelope that went from one side to the other adds: 2 KiB in so long is 10 KiB a second,
/// below every line that is of use.
const EACH: Millis = Millis(200);

/// And no more than this together, or a side that did much could then keep its place doing nothing.
pub(super) const MOST: Millis = Millis::from_secs(60);

/// The time that the other side may still let us wait, in all: with one message in each minute it would
/// keep its place for hours otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionPatience {
    left: Millis,
    since: Millis,
}

impl SessionPatience {
    /// So much, at most [`MOST`], from now on.
    pub(super) const fn new(left: Millis, now: Millis) -> Self {
        Self { left, since: now }
    }

    /// When it ends.
    pub(super) const fn ends(&self) -> Millis {
        self.since.plus(self.left)
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self, now: Millis) -> bool {
        self.ends() <= now
    }

    /// The other side has done what was waited for.
    pub(super) fn answered(&mut self, now: Millis) {
        let waited = now.0.saturating_sub(self.since.0);
        *self = Self { left: Millis(self.left.0.saturating_sub(waited)), since: now };
    }

    /// So many envelopes went from one side to the other.
    pub(super) fn earn(&mut self, envelopes: u64) {
        let earned = EACH.0.saturating_mul(envelopes);
        self.left = Millis(self.left.0.saturating_add(earned).min(MOST.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_uses_it_up_however_often_the_other_side_answers() {
        let mut patience = SessionPatience::new(Millis(20_000), Millis(5_000));
        patience.answered(Millis(14_000));
        assert!(!patience.is_over(Millis(24_999)) && patience.is_over(Millis(25_000)));
        patience.answered(Millis(20_000));
        assert_eq!(patience.ends(), Millis(25_000));
    }

    #[test]
    fn envelopes_earn_some_and_never_more_than_the_most() {
        let mut patience = SessionPatience::new(Millis(20_000), Millis(0));
        patience.answered(Millis(10_000));
        patience.earn(10);
        assert_eq!(patience.ends(), Millis(22_000));
        patience.earn(1_000_000);
        assert_eq!(patience.ends(), Millis(10_000).plus(MOST));
    }
}
