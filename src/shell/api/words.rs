//! The stable words of states, lifetimes and limits of work, by which scripts know them. Words for people are the
//! affair of the front ends.

use crate::engine::envelope::Lifetime;
use crate::engine::event::SessionStatus;
use crate::engine::price::Step;
use crate::engine::record::MessageState;

/// Every state of a message, as help lists them.
pub const MESSAGE_STATES: [MessageState; 8] = [
    MessageState::Queued,
    MessageState::Mining,
    MessageState::Sent,
    MessageState::Delivered,
    MessageState::Read,
    MessageState::Unacknowledged,
    MessageState::Failed,
    MessageState::Cancelled,
];

/// The word of a message's state.
#[must_use]
pub const fn state_word(state: MessageState) -> &'static str {
    match state {
        MessageState::Queued => "queued",
        MessageState::Mining => "mining",
        MessageState::Sent => "sent",
        MessageState::Delivered => "delivered",
        MessageState::Failed => "failed",
        MessageState::Cancelled => "cancelled",
        MessageState::Unacknowledged => "unacknowledged",
        MessageState::Read => "read",
    }
}

/// The state with this word.
#[must_use]
pub fn state_named(word: &str) -> Option<MessageState> {
    MESSAGE_STATES.into_iter().find(|state| state_word(*state) == word)
}

/// Every state of a session.
const SESSIONS: [SessionStatus; 6] = [
    SessionStatus::None,
    SessionStatus::OfferQueued,
    SessionStatus::OfferSent,
    SessionStatus::AwaitingConfirmation,
    SessionStatus::Established,
    SessionStatus::Blocked,
];

/// The words of the state of a session.
#[must_use]
pub const fn session_word(session: SessionStatus) -> &'static str {
    match session {
        SessionStatus::None => "no session",
        SessionStatus::OfferQueued => "the offer has not left yet",
        SessionStatus::OfferSent => "waiting for their answer",
        SessionStatus::AwaitingConfirmation => "answering their offer",
        SessionStatus::Established => "session ready",
        SessionStatus::Blocked => "blocked",
    }
}

/// The state of a session with these words.
#[must_use]
pub fn session_named(words: &str) -> Option<SessionStatus> {
    SESSIONS.into_iter().find(|session| session_word(*session) == words)
}

/// The names by which people choose a lifetime, shortest first.
pub const LIFETIME_NAMES: [&str; 3] = ["6h", "day", "week"];

/// The name of a lifetime.
#[must_use]
pub const fn lifetime_name(lifetime: Lifetime) -> &'static str {
    let [six_hours, day, week] = LIFETIME_NAMES;
    match lifetime {
        Lifetime::SixHours => six_hours,
        Lifetime::Day => day,
        Lifetime::Week => week,
    }
}

/// The lifetime of a name.
#[must_use]
pub fn lifetime_named(name: &str) -> Option<Lifetime> {
    Lifetime::ALL.into_iter().find(|lifetime| lifetime_name(*lifetime) == name)
}

/// The names by which people choose the most work for an envelope, in times of the least that the
/// network carries.
pub const WORK_NAMES: [&str; 9] = ["1", "2", "4", "8", "16", "32", "64", "128", "256"];

/// The most work of a name.
#[must_use]
pub fn work_named(name: &str) -> Option<Step> {
    // By the names alone: `+8` and `08` are numbers, too.
    let known = WORK_NAMES.contains(&name);
    name.parse().ok().filter(|_| known).and_then(Step::of_times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_lifetime_is_found_by_its_word_and_no_two_share_one() {
        for state in MESSAGE_STATES {
            assert_eq!(state_named(state_word(state)), Some(state));
        }
        for session in SESSIONS {
            assert_eq!(session_named(session_word(session)), Some(session));
        }
        for lifetime in Lifetime::ALL {
            assert_eq!(lifetime_named(lifetime_name(lifetime)), Some(lifetime));
        }
        assert_eq!(
            (state_named("Sent"), session_named(""), lifetime_named("10m")),
            (None, None, None)
        );
    }

    #[test]
    fn every_limit_of_work_has_a_name_and_nothing_else_is_one() {
        for (name, step) in WORK_NAMES.into_iter().zip(0..=Step::MAX.get()) {
            assert_eq!(work_named(name), Some(Step::new(step)), "{name}");
        }
        for none in ["", "0", "3", "08", "+8", "-1", "512", "8x", "4294967296", "99999999999"] {
            assert_eq!(work_named(none), None, "{none}");
        }
    }
}
