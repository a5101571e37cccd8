//! Our identities, the chats with their contacts and the requests of strangers, folded from the
//! events of the node. Knows no page, no key, and not where the person is.

use std::collections::BTreeMap;

use crate::engine::event::{
    ContactView, Direction, Event, IdentityView, RequestView, SessionStatus,
};
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::record::MessageState;

use super::chat::Chat;

/// The identities, contacts and requests the node knows, and the messages held here.
pub(in crate::shell::ui) struct ChatDirectory {
    pub(in crate::shell::ui) identities: BTreeMap<IdentityId, IdentityView>,
    pub(in crate::shell::ui) chats: BTreeMap<ContactId, Chat>,
    /// Oldest first.
    requests: Vec<RequestView>,
    /// Most bytes of one message.
    max_text: usize,
}

/// The change that an event made, if more than the directory depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DirectoryChange {
    /// An identity was added or changed.
    Identity(IdentityId),
    /// An identity is gone, with its chats and requests.
    IdentityRemoved(IdentityId),
    /// A contact of this identity was added or changed.
    Contact(ContactId, IdentityId),
    /// A contact is gone, with its chat.
    ContactRemoved(ContactId),
    /// A contact wrote, and nothing of theirs was unread before.
    FirstUnread(ContactId),
    /// A message of ours reached this state.
    MessageState(MessageId, MessageState),
    /// Nothing beyond the directory.
    Other,
}

/// A kind of contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum ContactFilter {
    /// Those whose messages are taken in.
    Listened,
    /// Those that are blocked.
    Blocked,
}

impl ChatDirectory {
    pub(super) const fn new(max_text: usize) -> Self {
        Self { identities: BTreeMap::new(), chats: BTreeMap::new(), requests: Vec::new(), max_text }
    }

    /// Takes an event in.
    pub(super) fn apply(&mut self, event: Event) -> DirectoryChange {
        match event {
            Event::Identity(identity) => {
                let id = identity.id;
                self.identities.insert(id, identity);
                DirectoryChange::Identity(id)
            }
            Event::IdentityRemoved(gone) => {
                self.identities.remove(&gone);
                self.chats.retain(|_, chat| chat.contact.identity != gone);
                self.requests.retain(|request| request.identity != gone);
                DirectoryChange::IdentityRemoved(gone)
            }
            Event::Contact(contact) => self.set_contact(contact),
            Event::ContactRemoved(gone) => {
                self.chats.remove(&gone);
                DirectoryChange::ContactRemoved(gone)
            }
            Event::Request(request) => {
                match self.requests.iter_mut().find(|known| known.id == request.id) {
                    Some(known) => *known = request,
                    None => self.requests.push(request),
                }
                DirectoryChange::Other
            }
            Event::RequestRemoved(gone) => {
                self.requests.retain(|request| request.id != gone);
                DirectoryChange::Other
            }
            Event::Message(message) => {
                let (contact, is_theirs) =
                    (message.contact, message.direction == Direction::Incoming);
                // Its contact was removed meanwhile.
                let Some(chat) = self.chats.get_mut(&contact) else {
                    return DirectoryChange::Other;
                };
                let was_unread = chat.unread;
                chat.add(message);
                if is_theirs && was_unread == 0 {
                    DirectoryChange::FirstUnread(contact)
                } else {
                    DirectoryChange::Other
                }
            }
            Event::State { message, contact, number, state, delivery } => {
                if let Some(chat) = self.chats.get_mut(&contact) {
                    chat.set_state(message, number, (state, delivery));
                }
                DirectoryChange::MessageState(message, state)
            }
            Event::Confirmed { message, contact } => {
                if let Some(chat) = self.chats.get_mut(&contact) {
                    chat.confirm(message);
                }
                DirectoryChange::Other
            }
        }
    }

    fn set_contact(&mut self, contact: ContactView) -> DirectoryChange {
        let change = DirectoryChange::Contact(contact.id, contact.identity);
        match self.chats.get_mut(&contact.id) {
            Some(chat) => chat.contact = contact,
            None => {
                self.chats.insert(contact.id, Chat::new(contact, self.max_text));
            }
        }
        change
    }

    /// The contacts of one kind that an identity has, by name.
    pub(super) fn contacts_of(
        &self,
        identity: Option<IdentityId>,
        kind: ContactFilter,
    ) -> Vec<&Chat> {
        let fits = |chat: &&Chat| {
            // Contacts of two identities never share a list: the screen must not show that both are
            // one person's.
            Some(chat.contact.identity) == identity
                && match kind {
                    ContactFilter::Listened => chat.contact.session != SessionStatus::Blocked,
                    ContactFilter::Blocked => chat.contact.session == SessionStatus::Blocked,
                }
        };
        let mut contacts: Vec<_> = self.chats.values().filter(fits).collect();
        // By name and not by the last message: rows that move are chosen by mistake.
        contacts.sort_by_key(|chat| (chat.contact.petname.to_lowercase(), chat.id()));
        contacts
    }

    /// The requests of strangers to an identity, oldest first.
    pub(super) fn requests_to(&self, identity: Option<IdentityId>) -> Vec<&RequestView> {
        self.requests.iter().filter(|request| Some(request.identity) == identity).collect()
    }

    /// The oldest request to an identity.
    pub(super) fn first_request(&self, identity: Option<IdentityId>) -> Option<RequestId> {
        self.requests_to(identity).first().map(|request| request.id)
    }

    /// The identity of this name.
    pub(super) fn identity_named(&self, name: &str) -> Option<IdentityId> {
        self.identities.values().find(|identity| identity.name == name).map(|found| found.id)
    }

    /// The name of a contact, sanitized; empty if there is no such contact.
    pub(super) fn name_of(&self, contact: ContactId) -> String {
        self.chats.get(&contact).map(Chat::name).unwrap_or_default()
    }

    /// The next contact of an identity with unread messages, from the one after `here` on and
    /// round.
    pub(super) fn next_unread(
        &self,
        identity: Option<IdentityId>,
        here: Option<ContactId>,
    ) -> Option<ContactId> {
        let contacts = self.contacts_of(identity, ContactFilter::Listened);
        let index = contacts.iter().position(|chat| Some(chat.id()) == here);
        // After the open one, so that pressing the key again goes through all of them.
        let after = contacts.iter().cycle().skip(index.map_or(0, |index| index + 1));
        after.take(contacts.len()).find(|chat| chat.unread > 0).map(|chat| chat.id())
    }

    /// The contact of an identity `step` rows from `here`, or the last one in that direction; the
    /// first one if `here` is not among them.
    pub(super) fn neighbour(
        &self,
        identity: Option<IdentityId>,
        here: Option<ContactId>,
        step: isize,
    ) -> Option<ContactId> {
        let contacts = self.contacts_of(identity, ContactFilter::Listened);
        let index = contacts.iter().position(|chat| Some(chat.id()) == here);
        let last = contacts.len().saturating_sub(1);
        let index = index.map_or(0, |index| index.saturating_add_signed(step).min(last));
        contacts.get(index).map(|chat| chat.id())
    }

    /// How many messages to an identity are unread.
    pub(in crate::shell::ui) fn unread_of(&self, identity: IdentityId) -> usize {
        let chats = self.chats.values().filter(|chat| chat.contact.identity == identity);
        chats.map(|chat| chat.unread).sum()
    }

    /// How many of our messages held here have not left this machine.
    pub(super) fn unsent(&self) -> usize {
        self.chats.values().map(Chat::unsent).sum()
    }
}
