//! The marks of messages, for the interface and the commands.

use crate::engine::record::MessageState;

/// A mark, in either set of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell) struct Mark {
    /// One or two columns wide in every width table.
    pub(in crate::shell) unicode: &'static str,
    /// As wide as the other.
    pub(in crate::shell) ascii: &'static str,
}

/// The mark of a message of ours in this state.
pub(in crate::shell) const fn of_message(state: MessageState) -> Mark {
    let (unicode, ascii) = match state {
        MessageState::Queued => ("◌", "."),
        MessageState::Mining => ("◔", "*"),
        MessageState::Sent => ("⇡", ">"),
        MessageState::Delivered => ("✓", "+"),
        MessageState::Failed => ("✗", "x"),
        MessageState::Cancelled => ("⊘", "-"),
        MessageState::Unacknowledged => ("?", "?"),
        MessageState::Read => ("✓✓", "++"),
    };
    Mark { unicode, ascii }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::api::words::MESSAGE_STATES;

    #[test]
    fn no_two_states_share_a_mark_and_ascii_is_ascii() {
        let marks = MESSAGE_STATES.map(of_message);
        for (index, one) in marks.iter().enumerate() {
            assert!(one.ascii.is_ascii(), "{one:?}");
            assert_eq!(one.ascii.chars().count(), one.unicode.chars().count(), "{one:?}");
            for other in &marks[index + 1..] {
                assert!(one.ascii != other.ascii && one.unicode != other.unicode, "{one:?}");
            }
        }
    }
}
