//! The picker: a list of chats and pages that shrinks as one types.

use crate::engine::id::ContactId;

use super::super::composer::{Composer, LineMode};
use super::super::keys::UiPage;
use super::prompt::MAX_NAME_BYTES;

/// A list that shrinks as one types.
pub(in crate::shell::ui) struct GoToPicker {
    pub(in crate::shell::ui) filter: Composer,
    pub(in crate::shell::ui) index: usize,
}

impl GoToPicker {
    pub(super) const fn new() -> Self {
        Self { filter: Composer::new(LineMode::One, MAX_NAME_BYTES), index: 0 }
    }
}

/// Where one can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum GoToTarget {
    /// A conversation.
    Chat(ContactId),
    /// A page.
    Page(UiPage),
}

/// Whether the letters of `wanted` stand in `name`, in their order.
pub(super) fn fits(wanted: &str, name: &str) -> bool {
    let mut letters = name.chars().flat_map(char::to_lowercase);
    wanted
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .flat_map(char::to_lowercase)
        .all(|wanted| letters.any(|letter| letter == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_order_find_a_name() {
        assert!(fits("", "mira"));
        assert!(fits("MR", "mira"));
        assert!(fits("t nk", "田中 (tanaka)"));
        assert!(!fits("rm", "mira"));
    }
}
