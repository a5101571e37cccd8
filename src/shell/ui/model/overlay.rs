//! Overlays: a field, a question or a page to read in front of a page.

use crate::engine::id::{ContactId, IdentityId, MessageId};

use super::super::composer::Composer;
use super::super::keys::KeyContext;
use super::go_to::GoToPicker;
use super::prompt::Prompt;
use super::search::Search;
use super::verify::{CompareMethod, Mismatch, Verify};
use crate::shell::api::calls::AnyCall;

/// An overlay in front of a page.
pub(in crate::shell::ui) enum Overlay {
    /// A field with a purpose.
    Prompt(Prompt),
    /// The picker of a chat or a page.
    GoTo(GoToPicker),
    /// A search and its results.
    Search(Search),
    /// A question in the hint line; yes makes its call.
    Confirm(Confirmation),
    /// The details of a message: what happened to it, and when.
    Why(MessageId),
    /// The invite of an identity of ours.
    Invite(IdentityId),
    /// The page on which one compares with a contact.
    Verify(Verify),
    /// The result of a comparison that failed.
    Mismatch(Mismatch),
    /// The keys of both sides, to compare another way.
    Keys(ContactId),
    /// The question whether to leave although messages have not left this machine, or although
    /// other clients use the node.
    Leaving(Leaving),
    /// What stood here was about something that is gone.
    Gone(GoneSubject),
    /// The reason why there is no node any more.
    Fatal(String),
}

/// What is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum GoneSubject {
    Contact,
    Message,
    Identity,
}

impl Overlay {
    /// The context in which the next key is read.
    pub(super) const fn key_context(&self) -> KeyContext {
        match self {
            Self::Prompt(_) | Self::GoTo(_) => KeyContext::Field,
            Self::Confirm(_) => KeyContext::Asking,
            Self::Leaving(_) => KeyContext::Leaving,
            Self::Verify(Verify { way: CompareMethod::Code, .. }) | Self::Invite(_) => {
                KeyContext::Code
            }
            Self::Verify(_) => KeyContext::Comparing,
            Self::Mismatch(_) => KeyContext::Choosing,
            Self::Search(_) => KeyContext::Found,
            Self::Why(_) | Self::Keys(_) | Self::Gone(_) | Self::Fatal(_) => KeyContext::Page,
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
            | Self::Leaving(_)
            | Self::Gone(_)
            | Self::Fatal(_) => None,
        }
    }

    /// Whether it is a question of one key, or a list in which something else is marked now, that its
    /// person may not have seen.
    pub(super) const fn is_unseen_question(&self) -> bool {
        matches!(
            self,
            Self::Confirm(Confirmation { sight: QuestionSight::Unseen, .. })
                | Self::Leaving(Leaving { sight: QuestionSight::Unseen, .. })
                | Self::Mismatch(Mismatch { sight: QuestionSight::Unseen, .. })
                | Self::Search(Search { sight: QuestionSight::Unseen, .. })
        )
    }

    /// Notes that its person can see it.
    pub(super) const fn note_seen(&mut self) {
        match self {
            Self::Confirm(confirm) => confirm.sight = QuestionSight::Seen,
            Self::Leaving(leaving) => leaving.sight = QuestionSight::Seen,
            Self::Mismatch(mismatch) => mismatch.sight = QuestionSight::Seen,
            Self::Search(search) => search.sight = QuestionSight::Seen,
            Self::Prompt(_)
            | Self::GoTo(_)
            | Self::Gone(_)
            | Self::Why(_)
            | Self::Invite(_)
            | Self::Verify(_)
            | Self::Keys(_)
            | Self::Fatal(_) => {}
        }
    }

    /// A contact is gone: removes its messages from the results of a search. Answers whether the
    /// overlay is about that contact and has nothing to say any more.
    pub(super) fn forget_contact(&mut self, gone: ContactId) -> bool {
        match self {
            // It is about a message of the open chat, and which chat that was is not kept.
            Self::Why(_) => true,
            Self::Verify(verify) => verify.contact == gone,
            Self::Mismatch(mismatch) => mismatch.contact == gone,
            Self::Keys(contact) => *contact == gone,
            Self::Search(search) => {
                search.forget_contact(gone);
                search.contact == Some(gone)
            }
            Self::Prompt(prompt) => prompt.purpose.is_only_about(gone),
            // The node refuses a call about a contact that is gone.
            Self::GoTo(_)
            | Self::Confirm(_)
            | Self::Invite(_)
            | Self::Leaving(_)
            | Self::Gone(_)
            | Self::Fatal(_) => false,
        }
    }

    /// A message was erased: it is no result of a search any more. Answers whether the overlay is
    /// about that message and has nothing to say any more.
    pub(super) fn forget_message(&mut self, gone: MessageId) -> bool {
        match self {
            Self::Why(message) => *message == gone,
            Self::Search(search) => {
                search.forget_message(gone);
                false
            }
            Self::Verify(_)
            | Self::Mismatch(_)
            | Self::Keys(_)
            | Self::Prompt(_)
            | Self::GoTo(_)
            | Self::Confirm(_)
            | Self::Invite(_)
            | Self::Leaving(_)
            | Self::Gone(_)
            | Self::Fatal(_) => false,
        }
    }
}

/// The polarity of a QR code: most scanners want it dark on light, and the colours of a terminal
/// are not known.
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

/// A question that waits for yes or no. What yes does can be undone: see `Erasure`.
pub(in crate::shell::ui) struct Confirmation {
    pub(in crate::shell::ui) question: String,
    pub(super) call: AnyCall,
    pub(super) sight: QuestionSight,
}

/// The question before leaving.
pub(in crate::shell::ui) struct Leaving {
    /// How many other clients use the node.
    pub(in crate::shell::ui) others: usize,
    sight: QuestionSight,
}

impl Leaving {
    pub(super) const fn new(others: usize) -> Self {
        Self { others, sight: QuestionSight::Unseen }
    }
}

/// Whether a question of one key was on the screen while no key waited to be read. Before that, keys
/// were typed for what stood there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuestionSight {
    Unseen,
    Seen,
}
