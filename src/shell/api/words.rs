//! The stable words of states, lifetimes and limits of work, by which scripts know them. Words for people are the
//! affair of the front ends.

use serde::{Deserialize, Serialize};

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

/// The most work for whatever goes to a contact: a number of times of the floor, or `usual`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "WorkLimitWire", try_from = "WorkLimitWire")]
pub enum WorkLimit {
    /// What the node pays usually.
    Usual,
    /// This.
    UpTo(Step),
}

impl WorkLimit {
    /// Its step; `None` if it is the usual one.
    #[must_use]
    pub const fn step(self) -> Option<Step> {
        match self {
            Self::Usual => None,
            Self::UpTo(step) => Some(step),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WorkLimitWire {
    Times(u32),
    Word(String),
}

impl From<WorkLimit> for WorkLimitWire {
    fn from(limit: WorkLimit) -> Self {
        match limit {
            WorkLimit::Usual => Self::Word(USUAL_WORK.to_owned()),
            WorkLimit::UpTo(step) => Self::Times(step.times()),
        }
    }
}

impl TryFrom<WorkLimitWire> for WorkLimit {
    type Error = &'static str;

    fn try_from(wire: WorkLimitWire) -> Result<Self, Self::Error> {
        let limit = match wire {
            WorkLimitWire::Times(times) => Step::of_times(times).map(Self::UpTo),
            WorkLimitWire::Word(word) => (word == USUAL_WORK).then_some(Self::Usual),
        };
        limit.ok_or("max_work is not 1, 2, 4, 8, 16, 32, 64, 128, 256 or usual")
    }
}

/// The name of the work that a node pays at most where nothing else was said.
pub const USUAL_WORK: &str = "usual";

/// The names by which people choose what may be paid for a contact.
pub const LIMIT_NAMES: [&str; 10] =
    ["1", "2", "4", "8", "16", "32", "64", "128", "256", USUAL_WORK];

/// The limit of a name.
#[must_use]
pub fn limit_named(name: &str) -> Option<WorkLimit> {
    if name == USUAL_WORK {
        return Some(WorkLimit::Usual);
    }
    work_named(name).map(WorkLimit::UpTo)
}

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
    use crate::engine::testing::mutate::{Reading, each_case};

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
    fn the_limit_of_a_contact_is_a_number_or_the_word_for_the_usual_one() {
        for name in LIMIT_NAMES {
            let limit = limit_named(name).unwrap();
            let written = serde_json::to_string(&limit).unwrap();
            assert_eq!(written.trim_matches('"'), name);
            assert_eq!(serde_json::from_str::<WorkLimit>(&written).unwrap(), limit);
        }
        assert_eq!(LIMIT_NAMES[..WORK_NAMES.len()], WORK_NAMES);
        for none in ["3", "0", "-1", "\"8\"", "\"most\"", "null", "1.0"] {
            assert!(serde_json::from_str::<WorkLimit>(none).is_err(), "{none}");
        }
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

    #[test]
    fn changed_at_random_a_limit_of_work_is_one_of_ten_or_none() {
        let seeds = LIMIT_NAMES.map(|name| serde_json::to_vec(&limit_named(name)).unwrap());
        each_case(&seeds, |json| {
            let read = serde_json::from_slice::<WorkLimit>(json);
            let again = |limit: &WorkLimit| serde_json::to_string(limit).unwrap();
            let named = |limit| limit_named(again(limit).trim_matches('"')) == Some(*limit);
            assert!(read.as_ref().map_or(true, named));
            Reading::of(read)
        });
    }
}
