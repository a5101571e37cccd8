//! The state of a message in words, for the interface and the commands. Nothing here decides.

use crate::engine::env::UnixSeconds;
use crate::engine::event::MessageView;
use crate::engine::record::MessageState;
use crate::engine::sync::ClockSkew;
use crate::shell::api::words::state_word;
use crate::shell::text::clock_skew;

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
        | MessageState::Read => state_word(state),
    }
}

/// The state of a message of ours at this time in a few words, for people.
pub(in crate::shell) fn words_of(
    message: &MessageView,
    state: MessageState,
    now: UnixSeconds,
) -> &'static str {
    if message.is_not_for_long(now) { NOT_FOR_LONG } else { words(state) }
}

/// Whether a message counts as sent, and others do not carry it, because a clock is wrong.
pub(in crate::shell) fn is_uncarried(
    message: &MessageView,
    state: MessageState,
    (clock, now): (Option<ClockSkew>, UnixSeconds),
) -> bool {
    let sent = message.delivery.last_sent.filter(|_| state == MessageState::Sent);
    sent.is_some_and(|sent| clock_skew::is_uncarried((sent, message.lifetime), clock, now))
}

/// The exact meaning of the state of a message of ours at this time, by what is known of other clocks.
pub(in crate::shell) fn meaning_of(
    message: &MessageView,
    state: MessageState,
    (clock, now): (Option<ClockSkew>, UnixSeconds),
) -> &'static str {
    if is_uncarried(message, state, (clock, now)) {
        return "The clock of this computer is wrong, or was when it was sent: others do not carry it. It \
                is kept here, and is sent again once the clock is right.";
    }
    if message.is_not_for_long(now) {
        return "It was sent while the price rose above what it shows, or while all lines were full: \
                nodes that are short of room or line may not have it. It is sent again.";
    }
    meaning(state)
}

/// Dated so that nobody carries it, in a few words.
pub(in crate::shell) const WRONG_CLOCK: &str = "the clock is wrong: others do not carry it";

/// Published for less than is asked.
pub(in crate::shell) const NOT_FOR_LONG: &str = "in the pool, not for long";

/// The exact meaning of a state.
pub(in crate::shell) const fn meaning(state: MessageState) -> &'static str {
    match state {
        MessageState::Queued => "It is saved here and has not been sent yet.",
        MessageState::Mining => {
            "Its proof of work is being computed. Every try is equally likely to succeed."
        }
        MessageState::Sent => {
            "At least one peer has taken it, and it paid what is asked for its whole lifetime. You \
             can go offline now."
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::api::words::MESSAGE_STATES;

    #[test]
    fn no_two_states_share_a_word() {
        for (index, one) in MESSAGE_STATES.iter().enumerate() {
            assert_ne!(words(*one), NOT_FOR_LONG);
            for other in &MESSAGE_STATES[index + 1..] {
                assert_ne!(words(*one), words(*other));
                assert_ne!(meaning(*one), meaning(*other));
            }
        }
    }
}
