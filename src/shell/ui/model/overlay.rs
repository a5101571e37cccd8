//! What stands in front of a page: a field, a question, a page to read.

use crate::engine::command::Command;
use crate::engine::crypto::keys::PublicKey;
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};

use super::super::composer::{Composer, LineMode};
use super::super::keys::UiPage;
use super::search::Search;
use super::verify::{Mismatch, Verify};

/// Most bytes of a name, in a field; the engine judges what it takes.
pub(super) const MAX_NAME_BYTES: usize = 128;

/// Most bytes of an invite, in a field. The longest one has 114 characters.
const MAX_INVITE_BYTES: usize = 512;

/// What stands in front.
pub(in crate::shell::ui) enum Overlay {
    /// A field with a purpose.
    Prompt(Prompt),
    /// Where to go.
    GoTo(GoToPicker),
    /// Words, and where they stand.
    Search(Search),
    /// A question in the hint line; yes sends the command.
    Confirm(Confirmation),
    /// What happened to a message.
    Why(MessageId),
    /// An identity's own invite.
    Invite(IdentityId),
    /// Comparing with a contact.
    Verify(Verify),
    /// A comparison failed.
    Mismatch(Mismatch),
    /// The keys of both sides, to compare another way.
    Keys(ContactId),
    /// Something has not left; leave all the same?
    Leaving,
    /// The engine has stopped; why.
    Fatal(String),
}

/// A field with a purpose.
pub(in crate::shell::ui) struct Prompt {
    pub(in crate::shell::ui) purpose: PromptPurpose,
    pub(in crate::shell::ui) field: Composer,
    /// What was wrong with the last try.
    pub(in crate::shell::ui) error: Option<String>,
}

/// What a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum PromptPurpose {
    /// A name for an identity.
    NewIdentity,
    /// The invite or key of somebody.
    AddKey,
    /// What to call whose key this is.
    AddName(PublicKey),
    /// What to call the stranger who asks.
    Accept(RequestId),
    /// What to call a contact.
    Rename(ContactId),
    /// Another key of a contact.
    Rekey(ContactId),
    /// The word that lets sending go on unverified.
    AcceptUnverified(ContactId),
    /// Words to search for in a conversation, or in all of them.
    Search(Option<ContactId>),
}

impl Prompt {
    pub(super) const fn new(purpose: PromptPurpose) -> Self {
        let limit = match purpose {
            PromptPurpose::AddKey | PromptPurpose::Rekey(_) => MAX_INVITE_BYTES,
            PromptPurpose::NewIdentity
            | PromptPurpose::AddName(_)
            | PromptPurpose::Accept(_)
            | PromptPurpose::Rename(_)
            | PromptPurpose::AcceptUnverified(_)
            | PromptPurpose::Search(_) => MAX_NAME_BYTES,
        };
        Self { purpose, field: Composer::new(LineMode::One, limit), error: None }
    }
}

/// How a code is drawn: most readers want it dark on light, and what a terminal shows is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum QrPolarity {
    /// Dark on light; without colours, for a dark terminal.
    Dark,
    /// The other way round.
    Light,
}

impl QrPolarity {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Dark => Self::Light,
            Self::Light => Self::Dark,
        }
    }
}

/// A question that waits for yes or no.
pub(in crate::shell::ui) struct Confirmation {
    pub(in crate::shell::ui) question: String,
    pub(super) command: Command,
}

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

/// The lists on the page of contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum ContactsTab {
    Contacts,
    Requests,
    Blocked,
}

impl ContactsTab {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Contacts => Self::Requests,
            Self::Requests => Self::Blocked,
            Self::Blocked => Self::Contacts,
        }
    }
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
