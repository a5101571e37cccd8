//! Erasures: what cannot be undone. Each is confirmed by the name of what it erases, typed as the
//! command line takes it, and never by one key: a person who goes on typing without a look at the
//! screen answers every question of one key.

use crate::engine::id::{ContactId, IdentityId};

use super::directory::ChatDirectory;
use crate::shell::api::calls::{
    AnyCall, Call as _, ContactBlock, ContactClose, ContactRemove, IdentityDelete,
};

/// What is to be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum Erasure {
    /// A contact, with all messages.
    Contact(ContactId),
    /// The session with a contact, which is ended.
    Session(ContactId),
    /// The session with a contact, who is blocked.
    Block(ContactId),
    /// An identity, with its key, contacts and messages.
    Identity(IdentityId),
}

impl Erasure {
    /// The name that confirms it; none if what was to be erased is gone.
    pub(in crate::shell::ui) fn name(self, directory: &ChatDirectory) -> Option<&str> {
        match self {
            Self::Contact(contact) | Self::Session(contact) | Self::Block(contact) => {
                directory.chat(contact).map(|chat| chat.contact.petname.as_str())
            }
            Self::Identity(identity) => {
                directory.identity(identity).map(|identity| identity.name.as_str())
            }
        }
    }

    /// Whether it erases something of this contact.
    pub(super) fn is_about(self, contact: ContactId) -> bool {
        match self {
            Self::Contact(whose) | Self::Session(whose) | Self::Block(whose) => whose == contact,
            Self::Identity(_) => false,
        }
    }

    /// The call that erases it, confirmed by its name.
    pub(super) fn call(self, name: &str) -> AnyCall {
        let (name, confirm) = (name.to_owned(), Some(name.to_owned()));
        match self {
            Self::Contact(contact) => ContactRemove { contact: contact.into(), confirm }.into_any(),
            Self::Session(contact) => ContactClose { contact: contact.into() }.into_any(),
            Self::Block(contact) => ContactBlock { contact: contact.into() }.into_any(),
            Self::Identity(_) => IdentityDelete { name, confirm }.into_any(),
        }
    }
}
