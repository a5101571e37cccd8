//! What stands in front of a page: a field, a question, a page to read.

use crate::engine::command::Command;
use crate::engine::id::{ContactId, IdentityId, MessageId};

use super::go_to::GoToPicker;
use super::prompt::Prompt;
use super::search::Search;
use super::verify::{Mismatch, Verify};

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
