//! What stands in front of a page: a field, a question, a page to read.

use crate::engine::command::Command;
use crate::engine::id::{ContactId, IdentityId, MessageId};

use super::super::composer::Composer;
use super::super::keys::KeyContext;
use super::go_to::GoToPicker;
use super::prompt::Prompt;
use super::search::Search;
use super::verify::{CompareMethod, Mismatch, Verify};

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

impl Overlay {
    /// What the next key is pressed in.
    pub(super) const fn key_context(&self) -> KeyContext {
        match self {
            Self::Prompt(_) | Self::GoTo(_) => KeyContext::Field,
            Self::Confirm(_) => KeyContext::Asking,
            Self::Leaving => KeyContext::Leaving,
            Self::Verify(Verify { way: CompareMethod::Code, .. }) | Self::Invite(_) => {
                KeyContext::Code
            }
            Self::Verify(_) => KeyContext::Comparing,
            Self::Mismatch(_) => KeyContext::Choosing,
            Self::Search(_) => KeyContext::Found,
            Self::Why(_) | Self::Keys(_) | Self::Fatal(_) => KeyContext::Page,
        }
    }

    /// The field that takes what is typed, if there is one.
    pub(super) fn field(&mut self) -> Option<&mut Composer> {
        match self {
            Self::Prompt(prompt) => Some(&mut prompt.field),
            Self::GoTo(picker) => Some(&mut picker.filter),
            Self::Verify(verify) => verify.field(),
            Self::Confirm(_)
            | Self::Search(_)
            | Self::Mismatch(_)
            | Self::Keys(_)
            | Self::Why(_)
            | Self::Invite(_)
            | Self::Leaving
            | Self::Fatal(_) => None,
        }
    }

    /// A contact is gone, and what was found in its chat with it. Answers whether this is about that
    /// contact and has no meaning any more.
    pub(super) fn forget_contact(&mut self, gone: ContactId) -> bool {
        match self {
            // Whose message it is can be looked up no more.
            Self::Why(_) => true,
            Self::Verify(verify) => verify.contact == gone,
            Self::Mismatch(mismatch) => mismatch.contact == gone,
            Self::Keys(contact) => *contact == gone,
            Self::Search(search) => {
                search.forget_contact(gone);
                search.contact == Some(gone)
            }
            Self::Prompt(_)
            | Self::GoTo(_)
            | Self::Confirm(_)
            | Self::Invite(_)
            | Self::Leaving
            | Self::Fatal(_) => false,
        }
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
