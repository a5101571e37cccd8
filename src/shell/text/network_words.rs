//! What is told of the network.

use crate::engine::text::UntrustedText;

/// That a name of a peer is not known, and why.
#[must_use]
pub(in crate::shell) fn names(trouble: &str) -> String {
    format!("the name of a peer is not known, and is looked up again: {}", shown(trouble))
}

/// The trouble alone, as a line: a name may have been pasted from anywhere.
#[must_use]
pub(in crate::shell) fn shown(trouble: &str) -> String {
    UntrustedText::new(trouble.to_owned()).sanitize_for_line().text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_nothing_to_a_terminal() {
        let told = names("a\u{1b}[2J.test: the name server does not know it");
        assert!(told.ends_with(".test: the name server does not know it"), "{told}");
        assert!(!told.contains('\u{1b}'), "{told}");
    }
}
