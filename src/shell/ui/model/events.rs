//! What the runtime tells, and what becomes of it.

use crate::engine::command::{CommandError, Reply};
use crate::engine::id::CommandId;

use super::super::text::clock_skew;
use super::chat::HistoryWanted;
use super::directory::DirectoryChange;
use super::{Model, Overlay, PendingCommand, QuitMode, UiEffect, quit, search, verify};
use crate::shell::api::ClientEvent;

impl Model {
    /// The runtime has told something.
    pub fn on_event(&mut self, event: ClientEvent) -> Vec<UiEffect> {
        let mut effects = Vec::new();
        match event {
            ClientEvent::Engine(event) => {
                let change = self.directory.apply(event);
                self.follow(change, &mut effects);
            }
            ClientEvent::Replied(ask, reply) => self.replied(ask, reply, &mut effects),
            ClientEvent::History { contact, messages, more } => {
                if let Some(chat) = self.directory.chats.get_mut(&contact) {
                    chat.add_past(messages, more);
                }
                search::go_on_seeking(self, &mut effects);
            }
            ClientEvent::Found { contact, words, messages, more } => {
                search::on_found(self, contact, &words, (messages, more));
            }
            ClientEvent::Network(network) => {
                // A clock that others doubt is said once, when that begins.
                if let Some(clock) = self.node.set_network(network) {
                    self.say_hint(clock_skew::words(clock));
                }
            }
            ClientEvent::UnreadCount(contact, unread) => {
                if let Some(chat) = self.directory.chats.get_mut(&contact) {
                    chat.set_unread(unread);
                }
            }
            ClientEvent::Persistence(persistence) => self.node.persistence = Some(persistence),
            // Asked for by others: the runtime tells everybody.
            ClientEvent::QueryResult(..) => {}
            ClientEvent::Fatal(why) => self.navigation.overlay = Some(Overlay::Fatal(why)),
        }
        if self.leaving == QuitMode::WhenAllHasLeft && self.unsent() == 0 {
            quit(&mut effects);
        }
        effects
    }

    /// What a change of the directory means for where the person is and what the person is shown.
    fn follow(&mut self, change: DirectoryChange, effects: &mut Vec<UiEffect>) {
        match change {
            DirectoryChange::Identity(identity) => {
                self.navigation.speaking.get_or_insert(identity);
            }
            DirectoryChange::IdentityRemoved(gone) if self.navigation.speaking == Some(gone) => {
                self.speak_as(self.directory.identities.keys().next().copied(), effects);
            }
            DirectoryChange::Contact(contact, identity) => {
                if self.navigation.open.is_none() && self.navigation.speaking == Some(identity) {
                    self.navigation.open = Some(contact);
                }
                if self.navigation.open == Some(contact) {
                    self.ask_for_past(HistoryWanted::Any, effects);
                }
            }
            DirectoryChange::ContactRemoved(gone) => self.navigation.forget_contact(gone),
            DirectoryChange::FirstUnread(contact) if !self.navigation.shows_newest_of(contact) => {
                effects.push(UiEffect::Bell);
            }
            DirectoryChange::MessageState(message, state) => self.status.note_state(message, state),
            DirectoryChange::IdentityRemoved(_)
            | DirectoryChange::FirstUnread(_)
            | DirectoryChange::Other => {}
        }
        // Rows may have gone.
        self.navigation.mark_row(self.navigation.row, &self.directory);
    }

    fn replied(
        &mut self,
        ask: CommandId,
        reply: Result<Reply, CommandError>,
        effects: &mut Vec<UiEffect>,
    ) {
        let Some(about) = self.pending.take(ask) else { return };
        match (about, reply) {
            (PendingCommand::Identity, Ok(Reply::Identity(id))) => {
                self.welcome.field.take();
                self.speak_as(Some(id), effects);
            }
            (PendingCommand::Contact, Ok(Reply::Contact(id))) => self.open_chat(id, effects),
            (PendingCommand::Verify(contact, proof), reply) => {
                verify::on_compared(self, (contact, proof), reply);
            }
            (_, Ok(_)) => {}
            (PendingCommand::Say(contact, text), Err(error)) => {
                let composer =
                    self.directory.chats.get_mut(&contact).map(|chat| &mut chat.composer);
                if let Some(composer) = composer.filter(|composer| composer.is_empty()) {
                    composer.replace(&text);
                }
                self.say_hint(format!("{error}; nothing was sent"));
            }
            (_, Err(error)) => self.say_hint(format!("{error}; nothing was changed")),
        }
    }
}
