//! Fields that ask for one thing.

use crate::engine::crypto::keys::PublicKey;
use crate::engine::id::{ContactId, RequestId};

use super::super::composer::{Composer, LineMode};

/// Most bytes of a name, in a field; the engine judges what it takes.
pub(super) const MAX_NAME_BYTES: usize = 128;

/// Most bytes of an invite, in a field. The longest one has 114 characters.
const MAX_INVITE_BYTES: usize = 512;

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
