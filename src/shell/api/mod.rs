//! The client interface: what a front end may ask of a node, hear from it, and rely on.
//!
//! The terminal interface, the commands, bots, tests and the socket all speak in these types, whether
//! the node runs in their process or not. [`calls`] is the table of methods; [`event`] what happens;
//! [`directory`] folds it into identities, contacts and requests. On a socket each of them is JSON,
//! whose names are final: fields may be added, and none changes its meaning before
//! [`API_VERSION`] has another first number.

pub mod access;
pub mod calls;
pub mod directory;
pub mod event;
pub mod status;
mod wire;
pub mod words;

use core::ops::Deref;

use serde::{Deserialize, Serialize};

pub use access::{
    API_VERSION, ClientInfo, ClientKind, ContactScope, Hello, Limits, Needs, Permission, Scope,
    StartOptions, Stay,
};
pub use directory::Directory;
pub use event::{
    Cursor, CursorError, Delivery, Event, EventFilter, EventKind, From, MessageChange,
};
pub use status::{
    ArchiveStatus, CoverStatus, FillStatus, LineStatus, MinerStatus, MiningStatus, NetworkStatus,
    Persistence, PriceSource, PriceStatus, StatusReport, StepsStatus, WaitingStatus,
};

use crate::engine::crypto::invite;
use crate::engine::event::{
    ContactView, Direction, IdentityView, MessageView, RequestView, WaitsFor,
};
use crate::engine::secret::opaque_debug;
use wire::{ContactWire, IdentityWire, MessageWire, RequestWire};

/// One of our identities. Its fields are those of its view.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "IdentityWire", try_from = "IdentityWire")]
pub struct Identity {
    /// Its id, name and key.
    pub view: IdentityView,
    /// Whether it is the one that speaks where none is named.
    pub is_default: bool,
}

opaque_debug!(struct Identity { view, is_default });

impl Identity {
    /// The text by which others add it as a contact. It contains the public key alone.
    #[must_use]
    pub fn invite(&self) -> String {
        invite::encode(&self.view.key)
    }
}

impl Deref for Identity {
    type Target = IdentityView;

    fn deref(&self) -> &IdentityView {
        &self.view
    }
}

/// A contact of one of our identities. Its fields are those of its view.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "ContactWire", try_from = "ContactWire")]
pub struct Contact {
    /// Its id, name, key, session and trust.
    pub view: ContactView,
    /// How many messages of the contact are unread.
    pub unread: u64,
}

opaque_debug!(struct Contact { view, unread });

impl Deref for Contact {
    type Target = ContactView;

    fn deref(&self) -> &ContactView {
        &self.view
    }
}

/// The request of a stranger. Its fields are those of its view.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "RequestWire", try_from = "RequestWire")]
pub struct Request {
    /// Its id, the identity it is for, and the stranger's key.
    pub view: RequestView,
}

opaque_debug!(struct Request { view });

impl Request {
    /// Its id as methods take it: 16 hexadecimal digits.
    #[must_use]
    pub fn reference(&self) -> String {
        wire::digits(self.view.id)
    }
}

impl Deref for Request {
    type Target = RequestView;

    fn deref(&self) -> &RequestView {
        &self.view
    }
}

/// A message of ours or of a contact. Its fields are those of its view.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "MessageWire", try_from = "MessageWire")]
pub struct Message {
    /// Its id, text, state and times.
    pub view: MessageView,
    /// Our name for the contact of its conversation.
    pub with: String,
    /// What held it back when it was read, if it is ours. That of a contact says at any time what is
    /// held back.
    pub waits_for: Option<WaitsFor>,
}

opaque_debug!(struct Message { view, with, waits_for });

impl Message {
    /// Whether the contact wrote it.
    #[must_use]
    pub fn is_incoming(&self) -> bool {
        self.view.direction == Direction::Incoming
    }

    /// The text as it was written, for programs. It may contain characters that act on a terminal:
    /// what a person is to see comes from the `sanitize_..` methods of its `text`.
    #[must_use]
    pub fn raw_text(&self) -> String {
        self.view.text.clone().into_raw()
    }
}

impl Message {
    /// The message, for a call that is about it.
    #[must_use]
    pub fn reference(&self) -> calls::MessageRef {
        self.id.into()
    }
}

impl Contact {
    /// The contact, for a call that is about it.
    #[must_use]
    pub fn reference(&self) -> calls::ContactRef {
        self.id.into()
    }
}

impl Deref for Message {
    type Target = MessageView;

    fn deref(&self) -> &MessageView {
        &self.view
    }
}

#[cfg(test)]
pub(in crate::shell) mod testing;
#[cfg(test)]
mod tests;
