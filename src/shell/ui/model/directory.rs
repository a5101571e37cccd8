//! Who the node knows, folded by [`Directory`], and the chats with its contacts, whose messages are
//! held here. Knows no page, no key, and not where the person is.

use std::collections::BTreeMap;

use crate::engine::event::{MessageView, SessionStatus};
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::record::MessageState;

use super::chat::{Chat, ContactChat, HistoryRange, MessageNews};
use super::label;
use crate::shell::api::directory::{DirectoryChange, called};
use crate::shell::api::{Contact, Directory, Event, Identity, MessageChange, Request};

/// The identities, contacts and requests the node knows, and the messages held here.
pub(in crate::shell::ui) struct ChatDirectory {
    known: Directory,
    chats: BTreeMap<ContactId, Chat>,
    /// The present state of the node as far as it was told, while it is told anew.
    retold: Option<Directory>,
    /// The chats of contacts that are gone, until they are taken.
    gone: Vec<Chat>,
    /// Most bytes of one message.
    max_text: usize,
}

/// The change that an event made, if more than the directory depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChatChange {
    /// An identity was added or changed.
    Identity(IdentityId),
    /// An identity is gone, with its chats and requests.
    IdentityRemoved(IdentityId),
    /// A contact of this identity was added or changed.
    Contact(ContactId, IdentityId),
    /// A contact wrote, and nothing of theirs was unread before.
    FirstUnread(ContactId),
    /// A message of ours reached this state.
    MessageState(MessageId, MessageState),
    /// A message was erased.
    MessageErased(MessageId),
    /// The messages of a chat that are held here may be out of date.
    Outdated(ContactId),
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
    pub(super) fn new(max_text: usize) -> Self {
        Self {
            known: Directory::default(),
            chats: BTreeMap::new(),
            retold: None,
            gone: Vec::new(),
            max_text,
        }
    }

    /// Notes that the present state of the node is told anew from here on. What is known stays until
    /// all of it was told.
    pub(super) fn expect_all(&mut self) {
        self.retold = Some(Directory::default());
    }

    /// Takes an event in.
    pub(super) fn apply(&mut self, event: Event) -> Vec<ChatChange> {
        match (self.retold.take(), event) {
            (None, event) => self.take_in(event).into_iter().collect(),
            // The figures are the end of what is told anew.
            (Some(told), Event::Network(_)) => self.replace(told),
            (Some(mut told), event) => {
                told.apply(&event);
                self.retold = Some(told);
                Vec::new()
            }
        }
    }

    fn take_in(&mut self, event: Event) -> Option<ChatChange> {
        let change = self.known.apply(&event);
        match event {
            Event::Message(message) => {
                // Its contact was removed meanwhile.
                let contact = message.contact;
                let unread = self.known.contact(contact)?.unread;
                self.chats.get_mut(&contact)?.add(message.view, unread);
                let is_first = change == DirectoryChange::Unread(contact, 1);
                return is_first.then_some(ChatChange::FirstUnread(contact));
            }
            Event::State { id, contact, number, state, delivery, .. } => {
                if let Some(chat) = self.chats.get_mut(&contact) {
                    chat.hear(id, MessageNews::State(number, state, delivery));
                }
                return Some(ChatChange::MessageState(id, state));
            }
            Event::Change { what, id, contact, .. } => {
                let (news, change) = match what {
                    MessageChange::Confirmed => (MessageNews::Confirmed, None),
                    MessageChange::Erase => {
                        (MessageNews::Erased, Some(ChatChange::MessageErased(id)))
                    }
                };
                if let Some(chat) = self.chats.get_mut(&contact) {
                    chat.hear(id, news);
                }
                return change;
            }
            Event::Imported { contact, .. } => {
                self.chats.get_mut(&contact)?.outdate();
                return Some(ChatChange::Outdated(contact));
            }
            Event::Read { contact, unread, .. } if change != DirectoryChange::None => {
                self.chats.get_mut(&contact)?.set_unread(unread);
            }
            Event::Identity(_)
            | Event::IdentityRemoved { .. }
            | Event::Contact(_)
            | Event::ContactRemoved { .. }
            | Event::Session { .. }
            | Event::Request(_)
            | Event::RequestRemoved { .. }
            | Event::Read { .. }
            | Event::Network(_)
            | Event::Unknown => {}
        }
        self.follow(change)
    }

    /// Follows a change of the directory with the chats.
    fn follow(&mut self, change: DirectoryChange) -> Option<ChatChange> {
        match change {
            DirectoryChange::Identity(identity) => Some(ChatChange::Identity(identity)),
            DirectoryChange::IdentityRemoved(gone) => {
                self.part_with_gone();
                Some(ChatChange::IdentityRemoved(gone))
            }
            DirectoryChange::Contact(contact, identity) => {
                let max_text = self.max_text;
                self.chats.entry(contact).or_insert_with(|| Chat::new(contact, max_text));
                Some(ChatChange::Contact(contact, identity))
            }
            DirectoryChange::ContactRemoved(_) => {
                self.part_with_gone();
                None
            }
            DirectoryChange::Unread(..) | DirectoryChange::Requests | DirectoryChange::None => None,
        }
    }

    /// Takes the chats of contacts that are gone out of the others.
    fn part_with_gone(&mut self) {
        let is_known = |id: &ContactId| self.known.contact(*id).is_some();
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            core::mem::take(&mut self.chats).into_iter().partition(|(id, _)| is_known(id));
        self.chats = kept;
        self.gone.extend(gone.into_values());
    }

    /// The chats of contacts that are gone since this was asked last.
    pub(super) fn take_gone(&mut self) -> Vec<Chat> {
        core::mem::take(&mut self.gone)
    }

    /// Puts what was told anew in the place of what was known. What is gone in it disappears; of the
    /// chats that are left, what is written stays, and the messages are to be read again.
    fn replace(&mut self, told: Directory) -> Vec<ChatChange> {
        let before = core::mem::replace(&mut self.known, told);
        let mut changes = Vec::new();
        for gone in before.identities().filter(|one| self.known.identity(one.id).is_none()) {
            changes.push(ChatChange::IdentityRemoved(gone.id));
        }
        self.part_with_gone();
        // The one that speaks by default first: it is the one to begin with.
        let mut identities: Vec<&Identity> = self.known.identities().collect();
        identities.sort_by_key(|identity| !identity.is_default);
        changes.extend(identities.into_iter().map(|identity| ChatChange::Identity(identity.id)));
        for contact in self.known.contacts() {
            let max_text = self.max_text;
            let chat =
                self.chats.entry(contact.id).or_insert_with(|| Chat::new(contact.id, max_text));
            chat.outdate();
            let known = before.contact(contact.id);
            if known.is_none_or(|known| known.unread != contact.unread) {
                chat.set_unread(contact.unread);
            }
            if contact.unread > 0 && known.is_some_and(|known| known.unread == 0) {
                changes.push(ChatChange::FirstUnread(contact.id));
            }
            changes.push(ChatChange::Contact(contact.id, contact.identity));
        }
        changes
    }

    /// Our identities, in the order in which they were made.
    pub(in crate::shell::ui) fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.known.identities()
    }

    /// An identity of ours.
    pub(in crate::shell::ui) fn identity(&self, id: IdentityId) -> Option<&Identity> {
        self.known.identity(id)
    }

    /// Whether there is none. While the node tells its state, that is not known.
    pub(in crate::shell::ui) fn has_no_identity(&self) -> bool {
        self.retold.is_none() && self.known.identities().next().is_none()
    }

    /// The identity that speaks where none is named, or the first.
    pub(super) fn first_speaker(&self) -> Option<IdentityId> {
        let speaker = self.known.speaker(None).ok().or_else(|| self.known.identities().next());
        speaker.map(|identity| identity.id)
    }

    /// A contact with the chat.
    pub(in crate::shell::ui) fn chat(&self, id: ContactId) -> Option<ContactChat<'_>> {
        Some(ContactChat { contact: self.known.contact(id)?, chat: self.chats.get(&id)? })
    }

    pub(super) fn chat_mut(&mut self, id: ContactId) -> Option<&mut Chat> {
        self.chats.get_mut(&id)
    }

    fn all_chats(&self) -> impl Iterator<Item = ContactChat<'_>> {
        self.known.contacts().filter_map(|contact| self.chat(contact.id))
    }

    /// A request.
    pub(in crate::shell::ui) fn request(&self, id: RequestId) -> Option<&Request> {
        self.known.requests().find(|request| request.id == id)
    }

    /// Adds a part of the history of a chat.
    pub(super) fn add_history(
        &mut self,
        contact: ContactId,
        range: HistoryRange,
        part: (Vec<MessageView>, bool),
    ) {
        let unread = self.unread(contact);
        if let Some(chat) = self.chats.get_mut(&contact) {
            chat.add_history(range, part, unread);
        }
    }

    /// The person leaves a chat.
    pub(super) fn leave(&mut self, contact: ContactId) {
        let unread = self.unread(contact);
        if let Some(chat) = self.chats.get_mut(&contact) {
            chat.leave(unread);
        }
    }

    /// How many messages of a contact are unread.
    pub(super) fn unread(&self, contact: ContactId) -> u64 {
        self.known.contact(contact).map_or(0, |contact| contact.unread)
    }

    /// The contacts of one kind that an identity has, by name.
    pub(super) fn contacts_of(
        &self,
        identity: Option<IdentityId>,
        kind: ContactFilter,
    ) -> Vec<ContactChat<'_>> {
        let fits = |chat: &ContactChat<'_>| {
            // Contacts of two identities never share a list: the screen must not show that both are
            // one person's.
            Some(chat.contact.identity) == identity
                && match kind {
                    ContactFilter::Listened => chat.contact.session != SessionStatus::Blocked,
                    ContactFilter::Blocked => chat.contact.session == SessionStatus::Blocked,
                }
        };
        let mut contacts: Vec<_> = self.all_chats().filter(fits).collect();
        // By name and not by the last message: rows that move are chosen by mistake.
        contacts.sort_by_key(|chat| (chat.contact.petname.to_lowercase(), chat.id()));
        contacts
    }

    /// The requests of strangers to an identity, those that showed most work first.
    pub(super) fn requests_to(&self, identity: Option<IdentityId>) -> Vec<&Request> {
        self.known.requests().filter(|request| Some(request.identity) == identity).collect()
    }

    /// The first request to an identity.
    pub(super) fn first_request(&self, identity: Option<IdentityId>) -> Option<RequestId> {
        self.requests_to(identity).first().map(|request| request.id)
    }

    /// The identity of this name.
    pub(super) fn identity_named(&self, name: &str) -> Option<IdentityId> {
        called(name, || self.known.identities(), |identity| &*identity.name).map(|found| found.id)
    }

    /// The name of a contact, sanitized; empty if there is no such contact.
    pub(super) fn name_of(&self, contact: ContactId) -> String {
        self.known.contact(contact).map(|contact| label(&contact.petname)).unwrap_or_default()
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
        after.take(contacts.len()).find(|chat| chat.contact.unread > 0).map(|chat| chat.id())
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
    pub(in crate::shell::ui) fn unread_of(&self, identity: IdentityId) -> u64 {
        let contacts = self.known.contacts().filter(|contact| contact.identity == identity);
        contacts.map(|contact| contact.unread).fold(0, u64::saturating_add)
    }

    /// How many of our messages held here have not left this machine.
    pub(super) fn unsent(&self) -> usize {
        self.chats.values().map(Chat::unsent).sum()
    }

    /// Whether this is so of a message that is held here.
    pub(super) fn any_message(&self, is_so: impl Fn(&Contact, &MessageView) -> bool) -> bool {
        self.chats.iter().any(|(id, chat)| {
            let contact = self.known.contact(*id);
            contact.is_some_and(|contact| chat.messages.iter().any(|of| is_so(contact, of)))
        })
    }
}
