//! The identities, contacts and requests of a node, found by the names a person types.

use tokio::sync::mpsc;

use crate::engine::event::{ContactView, Event, IdentityView, RequestView};
use crate::shell::api::ClientEvent;
use crate::shell::failure::{Failure, FailureCode, FailureText};

/// The identities, contacts and requests of a node, collected from its events.
#[derive(Default)]
pub(super) struct Directory {
    pub(super) identities: Vec<IdentityView>,
    pub(super) contacts: Vec<ContactView>,
    pub(super) requests: Vec<RequestView>,
    /// The number of peers, once the node has reported it.
    pub(super) peers: usize,
}

impl Directory {
    /// Collects the snapshot that a runtime sends to a new subscriber.
    ///
    /// # Errors
    /// When the runtime ends first.
    pub(super) async fn receive(events: &mut mpsc::Receiver<ClientEvent>) -> Result<Self, Failure> {
        let mut directory = Self::default();
        while let Some(event) = events.recv().await {
            match event {
                ClientEvent::Engine(event) => directory.apply(&event),
                // The network figures are the last part of the snapshot.
                ClientEvent::Network(line) => {
                    directory.peers = line.peers;
                    return Ok(directory);
                }
                ClientEvent::Fatal(why) => return Err(node_failed(&why)),
                // Not needed here, or the answer to another client: each event goes to all of them.
                ClientEvent::Replied(..)
                | ClientEvent::History { .. }
                | ClientEvent::Found { .. }
                | ClientEvent::QueryResult(..)
                | ClientEvent::UnreadCount(..)
                | ClientEvent::Persistence(_) => {}
            }
        }
        Err(node_gone())
    }

    /// Takes in one event.
    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Identity(view) => {
                self.identities.retain(|known| known.id != view.id);
                self.identities.push(view.clone());
            }
            Event::IdentityRemoved(id) => self.identities.retain(|known| known.id != *id),
            Event::Contact(view) => {
                self.contacts.retain(|known| known.id != view.id);
                self.contacts.push(view.clone());
            }
            Event::ContactRemoved(id) => self.contacts.retain(|known| known.id != *id),
            Event::Request(view) => {
                self.requests.retain(|known| known.id != view.id);
                self.requests.push(view.clone());
            }
            Event::RequestRemoved(id) => self.requests.retain(|known| known.id != *id),
            Event::Message(_) | Event::State { .. } | Event::Confirmed { .. } => {}
        }
    }

    /// The identity to use: the named one, the default one, or the only one. A default that was
    /// deleted is none: nobody typed its name.
    pub(super) fn speaker(
        &self,
        named: Option<&str>,
        chosen: Option<&str>,
    ) -> Result<&IdentityView, Failure> {
        let find = |name: &str| self.identities.iter().find(|view| view.name == name);
        // The command line wins over the stored default: it was written for this one command.
        if let Some(name) = named {
            return find(name).ok_or_else(|| {
                let what = format!("the identity {name:?} was not found");
                let next = "undertone identity list";
                let text = FailureText {
                    what: &what,
                    why: "no identity in this home folder has that name",
                    safe: "nothing was changed",
                    next,
                };
                Failure::new(FailureCode::IdentityNotFound, text)
            });
        }
        if let Some(default) = chosen.and_then(find) {
            return Ok(default);
        }
        match self.identities.as_slice() {
            // With one identity there is no wrong one to speak as.
            [only] => Ok(only),
            [] => Err(Failure::new(
                FailureCode::NoIdentity,
                FailureText {
                    what: "no identity was found",
                    why: "the home folder has none yet",
                    safe: "nothing was changed",
                    next: "create one: undertone identity new NAME",
                },
            )),
            _ => Err(Failure::new(
                FailureCode::WhichIdentity,
                FailureText {
                    what: "no identity was chosen",
                    why: "there are several, and a message from the wrong one cannot be taken back",
                    safe: "nothing was changed",
                    next: "add -i NAME, or set a default: undertone identity use NAME",
                },
            )),
        }
    }

    /// A contact of an identity, by our name for them.
    pub(super) fn contact(&self, of: &IdentityView, name: &str) -> Result<&ContactView, Failure> {
        // Of this identity alone: a name that another identity has for somebody must not decide who
        // gets a message from this one.
        let theirs = |view: &&ContactView| view.identity == of.id;
        self.contacts.iter().filter(theirs).find(|view| view.petname == name).ok_or_else(|| {
            no_contact(name, self.contacts.iter().filter(theirs).map(|view| &*view.petname))
        })
    }

    /// The only request whose key begins with these digits.
    pub(super) fn request(&self, key: &str) -> Result<&RequestView, Failure> {
        // At least four digits, and one match alone: a stranger can make a key that begins as
        // another's does, and must not be let in by an ambiguous beginning.
        let mut found = self
            .requests
            .iter()
            .filter(|view| key.len() >= 4 && view.key.hex().starts_with(&key.to_lowercase()));
        match (found.next(), found.next()) {
            (Some(view), None) => Ok(view),
            _ => Err(Failure::new(
                FailureCode::RequestNotFound,
                FailureText {
                    what: "the request was not found",
                    why: "one key must begin with these digits, and at least four are needed",
                    safe: "nothing was changed",
                    next: "undertone request list",
                },
            )),
        }
    }
}

/// None of our contacts has this name.
pub(super) fn no_contact<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let what = format!("the contact {name:?} was not found");
    // A few names are enough to see a slip of the keyboard.
    let known: Vec<&str> = known.take(8).collect();
    let why = if known.is_empty() {
        "you have no contacts yet".to_owned()
    } else {
        format!("your contacts: {}", known.join(", "))
    };
    let text = FailureText {
        what: &what,
        why: &why,
        safe: "nothing was changed",
        next: "undertone contact list",
    };
    Failure::new(FailureCode::ContactNotFound, text)
}

/// The node ended before it answered.
pub(super) fn node_gone() -> Failure {
    node_failed("the node stopped")
}

/// The node could not go on.
pub(super) fn node_failed(why: &str) -> Failure {
    let safe = "everything accepted before is saved";
    let next = "see what was done: undertone";
    Failure::new(
        FailureCode::NodeEnded,
        FailureText { what: "the command was not answered", why, safe, next },
    )
}

/// The name of the setting that holds the chosen identity.
pub(super) const CHOSEN_IDENTITY: &str = "identity";
