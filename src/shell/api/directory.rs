//! The directory: identities, contacts with their unread counts, and requests, folded from events.
//!
//! This is the one place where events become a picture of who there is. The runtime folds its own
//! events here and publishes the result, a client at a socket folds those that reach it, and every
//! front end reads what either of them holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::calls::ContactRef;
use super::{Contact, Event, Identity, Request};
use crate::engine::event::Direction;
use crate::engine::id::{ContactId, IdentityId, RequestId};
use crate::engine::secret::opaque_debug;
use crate::engine::text::spelled_name;
use crate::shell::failure::{Failure, FailureCode, FailureText};

/// The identities, contacts and requests of a node.
#[derive(Clone, Default)]
pub struct Directory {
    identities: BTreeMap<IdentityId, Arc<Identity>>,
    contacts: BTreeMap<ContactId, Arc<Contact>>,
    /// Oldest first.
    requests: Vec<Arc<Request>>,
}

opaque_debug!(struct Directory { identities, contacts, requests });

/// The change that an event made to the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryChange {
    /// An identity was added or changed.
    Identity(IdentityId),
    /// An identity is gone, with its contacts and requests.
    IdentityRemoved(IdentityId),
    /// A contact of this identity was added or changed.
    Contact(ContactId, IdentityId),
    /// A contact is gone.
    ContactRemoved(ContactId),
    /// A request came, or is gone.
    Requests,
    /// A contact has this many unread messages, and had another count before.
    Unread(ContactId, u64),
    /// None.
    None,
}

impl Directory {
    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) -> DirectoryChange {
        match event {
            Event::Identity(identity) => {
                self.identities.insert(identity.id, Arc::new(identity.clone()));
                DirectoryChange::Identity(identity.id)
            }
            Event::IdentityRemoved { id } => {
                self.identities.remove(id);
                self.contacts.retain(|_, contact| contact.identity != *id);
                self.requests.retain(|request| request.identity != *id);
                DirectoryChange::IdentityRemoved(*id)
            }
            Event::Contact(contact) => {
                self.contacts.insert(contact.id, Arc::new(contact.clone()));
                DirectoryChange::Contact(contact.id, contact.identity)
            }
            Event::ContactRemoved { id } => {
                self.contacts.remove(id);
                DirectoryChange::ContactRemoved(*id)
            }
            Event::Request(request) => {
                let request = Arc::new(request.clone());
                // One that shows as much as before keeps its place, or it would go to the end of its
                // equals, under the hand of whoever is about to choose.
                let told = |known: &Request| known.id == request.id && known.work == request.work;
                if let Some(known) = self.requests.iter_mut().find(|known| told(known)) {
                    *known = request;
                } else {
                    self.requests.retain(|known| known.id != request.id);
                    // What costs something tells friends from whoever asks everybody.
                    let place = self.requests.partition_point(|known| known.work >= request.work);
                    self.requests.insert(place, request);
                }
                DirectoryChange::Requests
            }
            Event::RequestRemoved { id } => {
                self.requests.retain(|request| request.id != *id);
                DirectoryChange::Requests
            }
            Event::Message(message) if message.direction == Direction::Incoming => {
                let unread = self.contacts.get(&message.contact).map(|known| known.unread + 1);
                self.set_unread(message.contact, unread)
            }
            Event::Read { contact, unread, .. } => self.set_unread(*contact, Some(*unread)),
            Event::Session { .. }
            | Event::Message(_)
            | Event::State { .. }
            | Event::Change { .. }
            | Event::Imported { .. }
            | Event::Network(_)
            | Event::Unknown => DirectoryChange::None,
        }
    }

    fn set_unread(&mut self, contact: ContactId, unread: Option<u64>) -> DirectoryChange {
        let known = self.contacts.get_mut(&contact);
        match (known, unread) {
            (Some(known), Some(unread)) if known.unread != unread => {
                Arc::make_mut(known).unread = unread;
                DirectoryChange::Unread(contact, unread)
            }
            // Its contact was removed meanwhile.
            _ => DirectoryChange::None,
        }
    }

    /// All identities.
    pub fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.identities.values().map(|identity| &**identity)
    }

    /// An identity.
    #[must_use]
    pub fn identity(&self, id: IdentityId) -> Option<&Identity> {
        self.identities.get(&id).map(|identity| &**identity)
    }

    /// The contacts of all identities.
    pub fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.values().map(|contact| &**contact)
    }

    /// A contact.
    #[must_use]
    pub fn contact(&self, id: ContactId) -> Option<&Contact> {
        self.contacts.get(&id).map(|contact| &**contact)
    }

    /// Our name for a contact; empty if there is no such contact.
    #[must_use]
    pub fn name_of(&self, contact: ContactId) -> &str {
        self.contact(contact).map_or("", |contact| &contact.petname)
    }

    /// The requests of strangers to all identities, those that showed most work first; of equals the
    /// oldest.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().map(|request| &**request)
    }

    /// The present state as events, which make the same directory of an empty one.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        let identities = self.identities().cloned().map(Event::Identity);
        let contacts = self.contacts().cloned().map(Event::Contact);
        identities.chain(contacts).chain(self.requests().cloned().map(Event::Request))
    }

    /// The identity to use: the named one, the default one, or the only one. A default that was
    /// deleted is none: nobody typed its name.
    ///
    /// # Errors
    /// When no identity has the name, and when none is named and it is not clear which.
    pub fn speaker(&self, named: Option<&str>) -> Result<&Identity, Failure> {
        // The name wins over the stored default: it was given for this one command.
        if let Some(name) = named {
            let found = called(name, || self.identities(), |identity| &*identity.name);
            return found.ok_or_else(|| no_such_identity(name));
        }
        if let Some(default) = self.identities().find(|identity| identity.is_default) {
            return Ok(default);
        }
        let mut all = self.identities();
        match (all.next(), all.next()) {
            // With one identity there is no wrong one to speak as.
            (Some(only), None) => Ok(only),
            (None, _) => Err(Failure::new(
                FailureCode::NoIdentity,
                FailureText {
                    what: "no identity was found",
                    why: "the home folder has none yet",
                    safe: UNCHANGED,
                    next: "create one: undertone identity new NAME",
                },
            )),
            (Some(_), Some(_)) => Err(Failure::new(
                FailureCode::WhichIdentity,
                FailureText {
                    what: "no identity was chosen",
                    why: "there are several, and a message from the wrong one cannot be taken back",
                    safe: UNCHANGED,
                    next: "add -i NAME, or set a default: undertone identity use NAME",
                },
            )),
        }
    }

    /// The contact that a client means.
    ///
    /// # Errors
    /// When there is none, or no identity whose contact it could be.
    pub fn find_contact(&self, wanted: &ContactRef) -> Result<&Contact, Failure> {
        match wanted {
            ContactRef::Id { id } => self.contact(*id).ok_or_else(|| {
                no_such_contact("this id", self.contacts().map(|known| &*known.petname))
            }),
            ContactRef::Name(name) => self.contact_named(None, name),
            ContactRef::Of { name, identity } => self.contact_named(identity.as_deref(), name),
        }
    }

    fn contact_named(&self, identity: Option<&str>, name: &str) -> Result<&Contact, Failure> {
        let speaker = self.speaker(identity)?.id;
        // Of this identity alone: a name that another identity has for somebody must not decide who
        // gets a message from this one.
        let theirs = || self.contacts().filter(|known| known.identity == speaker);
        called(name, theirs, |known| &*known.petname).ok_or_else(|| {
            no_such_contact(&format!("{name:?}"), theirs().map(|known| &*known.petname))
        })
    }

    /// The request with this id, or the only one whose key begins with these hexadecimal digits.
    ///
    /// # Errors
    /// When there is none, or several, or fewer than four digits.
    pub fn find_request(&self, digits: &str) -> Result<&Request, Failure> {
        // At least four digits, and one match alone: a stranger can make a key that begins as
        // another's does, and must not be let in by an ambiguous beginning.
        let wanted = digits.to_lowercase();
        // A stranger may have asked two of our identities with one key, but chooses no id.
        if let Some(request) = self.requests().find(|request| request.reference() == wanted) {
            return Ok(request);
        }
        let mut found = self
            .requests()
            .filter(|request| wanted.len() >= 4 && request.key.hex().starts_with(&wanted));
        match (found.next(), found.next()) {
            (Some(request), None) => Ok(request),
            _ => Err(Failure::new(
                FailureCode::RequestNotFound,
                FailureText {
                    what: "the request was not found",
                    why: "one key must begin with these digits, and at least four are needed",
                    safe: UNCHANGED,
                    next: "undertone request list",
                },
            )),
        }
    }

    /// Whether there is a request.
    #[must_use]
    pub fn has_request(&self, id: RequestId) -> bool {
        self.requests().any(|request| request.id == id)
    }
}

/// None of our identities has this name.
fn no_such_identity(name: &str) -> Failure {
    let text = FailureText {
        what: &format!("the identity {name:?} was not found"),
        why: "no identity in this home folder has that name",
        safe: UNCHANGED,
        next: "undertone identity list",
    };
    Failure::new(FailureCode::IdentityNotFound, text)
}

/// None of our contacts is meant; `wanted` says which one was, as it stands in a sentence.
pub(in crate::shell) fn no_such_contact<'a>(
    wanted: &str,
    known: impl Iterator<Item = &'a str>,
) -> Failure {
    // A few names are enough to see a slip of the keyboard.
    let known: Vec<&str> = known.take(NAMES_SHOWN).collect();
    let why = if known.is_empty() {
        "you have no contacts yet".to_owned()
    } else {
        format!("your contacts: {}", known.join(", "))
    };
    let text = FailureText {
        what: &format!("the contact {wanted} was not found"),
        why: &why,
        safe: UNCHANGED,
        next: "undertone contact list",
    };
    Failure::new(FailureCode::ContactNotFound, text)
}

const UNCHANGED: &str = "nothing was changed";

/// Names in an error about a contact that is not there.
const NAMES_SHOWN: usize = 8;

/// The one of these with this name, in whichever way it is spelled. Two that an earlier version made may
/// look the same: the one that is spelled as the name is meant.
pub fn called<'a, T: 'a, I: Iterator<Item = &'a T>>(
    name: &str,
    all: impl Fn() -> I,
    name_of: impl Fn(&T) -> &str,
) -> Option<&'a T> {
    let spelled = spelled_name(name);
    all()
        .find(|one| name_of(one) == name)
        .or_else(|| all().find(|one| spelled_name(name_of(one)) == spelled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::crypto::keys::PublicKey;
    use crate::engine::env::UnixSeconds;
    use crate::engine::event::RequestView;
    use crate::engine::price::ShownWork;

    #[test]
    fn a_stranger_who_asked_two_identities_with_one_key_is_found_by_the_id_of_a_request() {
        // The generator of secp256k1 (SEC 2, 2.4.1).
        let hex = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        let key = PublicKey::from_bytes(&bytes.try_into().unwrap()).unwrap();
        let mut directory = Directory::default();
        for (id, identity) in [(7, 1), (8, 2)] {
            let (id, identity) = (RequestId(id), IdentityId(identity));
            let view = RequestView {
                id,
                identity,
                key,
                arrived: UnixSeconds(1),
                work: ShownWork::default(),
            };
            directory.apply(&Event::Request(Request { view }));
        }
        assert!(directory.find_request(&key.hex()).is_err());
        let found = directory.find_request("0000000000000008").unwrap();
        assert_eq!(found.identity, IdentityId(2));
        assert!(directory.find_request("0008").is_err());
    }

    #[test]
    fn a_name_is_found_in_whichever_way_it_is_spelled_and_as_it_is_spelled_first() {
        let names = ["Jose\u{301}", "Jos\u{e9}", "Anna \u{2764}"];
        let found = |name: &str| {
            called(name, || names.iter(), |known| known)
                .map(|known| known.escape_unicode().to_string())
        };
        let escaped = |name: &str| Some(name.escape_unicode().to_string());
        assert_eq!(found("Jos\u{e9}"), escaped("Jos\u{e9}"));
        assert_eq!(found("Jose\u{301}"), escaped("Jose\u{301}"));
        assert_eq!(found("Anna \u{2764}\u{fe0f}"), escaped("Anna \u{2764}"));
        assert_eq!(found("Jose"), None);
    }
}
