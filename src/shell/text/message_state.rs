//! The state of a message in words, for the interface and the commands. Nothing here decides.

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
        MessageState::Unacknowledged => "not acknowledged",
        MessageState::Queued
        | MessageState::Mining
        | MessageState::Sent
        | MessageState::Delivered
        | MessageState::Failed
        | MessageState::Cancelled
        | MessageState::Read => word(state),
    }
}

/// The exact meaning of a state.
pub(in crate::shell) const fn meaning(state: MessageState) -> &'static str {
    match state {
        MessageState::Queued => "It is saved here and has not been sent yet.",
        MessageState::Mining => {
            "Its proof of work is being computed. Every try is equally likely to succeed."
        }
        MessageState::Sent => {
            "At least one peer has taken it and passes it on. You can go offline now."
        }
        MessageState::Delivered => "The contact's device acknowledged it.",
        MessageState::Failed => "It did not leave this computer, and is not sent automatically.",
        MessageState::Cancelled => "You cancelled it before it was sent.",
        MessageState::Unacknowledged => {
            "It was sent and has expired without an acknowledgement. It may have been read."
        }
        MessageState::Read => "The contact's device reported that it was read.",
    }
}

/// Every state, as help lists them.
pub(in crate::shell) const ALL: [MessageState; 8] = [
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
