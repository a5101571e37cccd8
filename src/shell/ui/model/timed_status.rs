//! The parts of the picture that change because time passes: the clock, a hint that goes away, and
//! the time that mining has taken.

use crate::engine::env::UnixSeconds;
use crate::engine::id::MessageId;
use crate::engine::record::MessageState;

use super::ClockChange;

/// The time for which a hint stays. A guess: long enough to read two lines.
const HINT_SECONDS: u64 = 8;

/// The time that mining has taken is shown in steps of so many seconds, so that the picture changes
/// no more often. A guess.
pub(in crate::shell::ui) const MINING_STEP_SECONDS: u64 = 5;

/// The present second, and what is shown for a while.
pub(in crate::shell::ui) struct TimedStatus {
    pub(in crate::shell::ui) now: UnixSeconds,
    /// The hint, and until when it is shown.
    pub(in crate::shell::ui) hint: Option<(String, UnixSeconds)>,
    /// The message that is being mined, and since when; `None` if that began before this interface.
    pub(in crate::shell::ui) mining: Option<(MessageId, UnixSeconds)>,
}

impl TimedStatus {
    pub(super) const fn new(now: UnixSeconds) -> Self {
        Self { now, hint: None, mining: None }
    }

    /// Shows a hint for a while, in place of the one before.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.hint = Some((text.into(), UnixSeconds(self.now.0.saturating_add(HINT_SECONDS))));
    }

    /// Notes that mining for a message has begun or ended.
    pub(super) fn note_state(&mut self, message: MessageId, state: MessageState) {
        if state == MessageState::Mining {
            self.mining = Some((message, self.now));
        } else if self.mining.is_some_and(|(mined, _)| mined == message) {
            self.mining = None;
        }
    }

    /// Sets the present second.
    pub(super) fn tick(&mut self, now: UnixSeconds) -> ClockChange {
        let minute = |at: UnixSeconds| at.0 / 60;
        let mining_step = |at: UnixSeconds| {
            self.mining.map(|(_, since)| at.0.saturating_sub(since.0) / MINING_STEP_SECONDS)
        };
        let hint_ends = self.hint.as_ref().is_some_and(|(_, until)| now >= *until);
        // Most seconds change nothing that is shown, and draw nothing.
        let is_visible = hint_ends
            || minute(now) != minute(self.now)
            || mining_step(now) != mining_step(self.now);
        self.now = now;
        if hint_ends {
            self.hint = None;
        }
        if is_visible { ClockChange::Visible } else { ClockChange::Invisible }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_stays_for_its_time_and_a_later_one_for_its_own() {
        let mut status = TimedStatus::new(UnixSeconds(600));
        status.say("first");
        assert_eq!(status.tick(UnixSeconds(605)), ClockChange::Invisible);
        status.say("second");
        assert_eq!(status.tick(UnixSeconds(608)), ClockChange::Invisible);
        assert_eq!(status.hint.as_ref().expect("a hint").0, "second");
        assert_eq!(status.tick(UnixSeconds(605 + HINT_SECONDS)), ClockChange::Visible);
        assert_eq!(status.hint, None);
    }

    #[test]
    fn another_message_that_moves_on_does_not_end_the_search() {
        let mut status = TimedStatus::new(UnixSeconds(600));
        status.note_state(MessageId(1), MessageState::Mining);
        status.note_state(MessageId(2), MessageState::Sent);
        assert_eq!(status.mining, Some((MessageId(1), UnixSeconds(600))));
        status.note_state(MessageId(1), MessageState::Sent);
        assert_eq!(status.mining, None);
    }

    #[test]
    fn a_clock_that_is_put_back_panics_nowhere() {
        let mut status = TimedStatus::new(UnixSeconds(u64::MAX));
        status.say("at the end of time");
        status.note_state(MessageId(1), MessageState::Mining);
        assert_eq!(status.tick(UnixSeconds(0)), ClockChange::Visible);
        assert_eq!(status.now, UnixSeconds(0));
    }
}
