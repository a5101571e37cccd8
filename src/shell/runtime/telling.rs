//! What clients are told: the events of a node, its directory, and the figures of its network.

use std::sync::Arc;

use super::Runtime;
use super::archive_thread::ArchiveFigures;
use super::figures::network_status;
use crate::engine::event as engine;
use crate::engine::id::IdentityId;
use crate::shell::api::{self, Event, EventKind, MessageChange, Persistence};
use crate::shell::store::{StoreError, StoreMode};

impl Runtime {
    /// Takes what the store has into the directory.
    pub(super) fn fill_directory(&mut self) -> Result<(), StoreError> {
        let unread = self.durable.store().messages().unread()?;
        for event in self.durable.agent().snapshot() {
            for event in self.translate(event) {
                self.directory.apply(&event);
            }
        }
        self.mark_default();
        for (contact, count) in unread {
            let with = self.directory.name_of(contact).to_owned();
            self.directory.apply(&Event::Read { contact, with, unread: count as u64 });
        }
        self.publish_state();
        Ok(())
    }

    /// Shows clients the state after this turn.
    pub(super) fn publish_state(&mut self) {
        self.is_stale = false;
        let directory = Arc::new(self.directory.clone());
        let position = self.log.position();
        self.state.send_modify(|state| {
            state.directory = directory;
            state.position = position;
        });
    }

    /// Tells clients of an event.
    pub(super) fn emit(&mut self, event: Event) {
        // What was erased is not told any more, either.
        match &event {
            Event::IdentityRemoved { id } => {
                for contact in self.directory.contacts().filter(|one| one.identity == *id) {
                    self.log.erase_contact(contact.id);
                }
            }
            Event::ContactRemoved { id } => self.log.erase_contact(*id),
            Event::Change { what: MessageChange::Erase, id, .. } => self.log.erase_message(*id),
            Event::Change { .. }
            | Event::Identity(_)
            | Event::Contact(_)
            | Event::Session { .. }
            | Event::Request(_)
            | Event::RequestRemoved { .. }
            | Event::Message(_)
            | Event::State { .. }
            | Event::Imported { .. }
            | Event::Read { .. }
            | Event::Network(_)
            | Event::Unknown => {}
        }
        let is_of_identities = event.kind() == Some(EventKind::Identity);
        self.directory.apply(&event);
        self.log.append(event);
        self.is_stale = true;
        if is_of_identities {
            self.mark_default();
        }
    }

    /// The identity that speaks where none is named: the chosen one, else the only one.
    fn default_identity(&self) -> Option<IdentityId> {
        let mut all = self.directory.identities();
        if let Some(chosen) = all.find(|one| Some(&one.name) == self.chosen.as_ref()) {
            return Some(chosen.id);
        }
        let mut all = self.directory.identities();
        all.next().filter(|_| all.next().is_none()).map(|only| only.id)
    }

    /// Marks the identity that speaks where none is named, and no other.
    pub(super) fn mark_default(&mut self) {
        let default = self.default_identity();
        let is_wrong = |one: &&api::Identity| one.is_default != (Some(one.id) == default);
        let wrong = self.directory.identities().find(is_wrong).cloned();
        // The event comes back here, and finds the next.
        if let Some(identity) = wrong {
            let is_default = !identity.is_default;
            self.emit(Event::Identity(api::Identity { is_default, ..identity }));
        }
    }

    /// An event of the engine, as clients hear it.
    pub(super) fn translate(&self, event: engine::Event) -> Vec<Event> {
        let name = |contact| self.directory.name_of(contact).to_owned();
        vec![match event {
            engine::Event::Identity(view) => {
                let is_chosen = |name: &String| self.chosen.as_ref() == Some(name);
                let mut others = self.directory.identities().filter(|one| one.id != view.id);
                // The chosen one, else the only one; another that was it is told of next.
                let is_default = is_chosen(&view.name) || others.next().is_none();
                Event::Identity(api::Identity { view, is_default })
            }
            engine::Event::IdentityRemoved(id) => Event::IdentityRemoved { id },
            engine::Event::Contact(view) => {
                let known = self.directory.contact(view.id);
                let unread = known.map_or(0, |known| known.unread);
                let is_other = known.is_none_or(|known| known.session != view.session);
                let (contact, with, session) = (view.id, view.petname.clone(), view.session);
                let changed = Event::Contact(api::Contact { view: *view, unread });
                if is_other {
                    return vec![changed, Event::Session { contact, with, session }];
                }
                changed
            }
            engine::Event::ContactRemoved(id) => Event::ContactRemoved { id },
            engine::Event::Request(view) => Event::Request(api::Request { view }),
            engine::Event::RequestRemoved(id) => Event::RequestRemoved { id },
            engine::Event::Message(view) => {
                let with = name(view.contact);
                Event::Message(api::Message { view, with, waits_for: None })
            }
            engine::Event::State { message, contact, number, state, not_for_long, delivery } => {
                let (id, to) = (message, name(contact));
                Event::State { id, contact, to, number, state, not_for_long, delivery }
            }
            engine::Event::Confirmed { message, contact } => Event::Change {
                what: MessageChange::Confirmed,
                id: message,
                contact,
                with: name(contact),
            },
        }]
    }

    /// Publishes the figures of the network, when they changed.
    pub(super) fn tell_network(&self) {
        let mut now = network_status(&self.durable, &self.network);
        now.listening.clone_from(&self.listening);
        now.names_trouble.clone_from(&self.names_trouble);
        now.rate = self.miner.rate();
        now.miner = self.miner.status();
        if let Some(mining) = &mut now.mining {
            mining.hashes_per_second = now.rate;
        }
        now.archive = match &self.archive {
            Some(archive) => Some(ArchiveFigures::of(archive, now.pool_items).status()),
            None => self.thread.archive().map(|archive| {
                now.pool_items = now.pool_items.min(archive.written);
                archive.status()
            }),
        };
        self.state.send_if_modified(|state| {
            let changed = *state.network != now;
            if changed {
                state.network = Arc::new(now);
            }
            changed
        });
    }

    pub(super) fn persistence(&mut self) -> Persistence {
        match self.durable.store().kept() {
            StoreMode::Sealed => Persistence::Sealed,
            StoreMode::MemoryOnly => Persistence::MemoryOnly,
        }
    }
}
