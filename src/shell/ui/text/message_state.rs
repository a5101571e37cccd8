//! How far a message is, in words, for the interface and the commands. Nothing here decides.

use crate::engine::record::MessageState;

/// A state in one stable word, for programs.
pub(in crate::shell) const fn word(state: MessageState) -> &'static str {
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

/// A state in one or two words, for people.
pub(in crate::shell) const fn words(state: MessageState) -> &'static str {
    match state {
        MessageState::Sent => "in the pool",
        MessageState::Unacknowledged => "not acknowledged",
        MessageState::Queued
        | MessageState::Mining
        | MessageState::Delivered
        | MessageState::Failed
        | MessageState::Cancelled
        | MessageState::Read => word(state),
    }
}

/// What a state means exactly.
pub(in crate::shell) const fn meaning(state: MessageState) -> &'static str {
    match state {
        MessageState::Queued => "It is stored here and has not started to leave.",
        MessageState::Mining => {
            "Its stamp is being computed. There is no progress to show: each try is as likely to \
             succeed as the last."
        }
        MessageState::Sent => {
            "At least one neighbour took it, and they pass it on. You may switch off now."
        }
        MessageState::Delivered => "The contact's device acknowledged it.",
        MessageState::Failed => "It did not leave this computer and will not by itself.",
        MessageState::Cancelled => "You stopped it before it left.",
        MessageState::Unacknowledged => {
            "It left, its time in the pool is over, and no answer came. It may have been read."
        }
        MessageState::Read => "The contact's device says that it was shown to a person.",
    }
}

/// Every state, as help lists them.
pub(in crate::shell::ui) const ALL: [MessageState; 8] = [
    MessageState::Queued,
    MessageState::Mining,
    MessageState::Sent,
    MessageState::Delivered,
    MessageState::Read,
    MessageState::Unacknowledged,
    MessageState::Failed,
    MessageState::Cancelled,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_states_share_a_word() {
        for (index, one) in ALL.iter().enumerate() {
            for other in &ALL[index + 1..] {
                assert_ne!(word(*one), word(*other));
                assert_ne!(words(*one), words(*other));
                assert_ne!(meaning(*one), meaning(*other));
            }
        }
    }
}
