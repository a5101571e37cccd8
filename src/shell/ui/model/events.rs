//! Events of the runtime, and what each changes.

use crate::engine::command::{CommandError, Reply};
use crate::engine::id::CommandId;

use super::chat::HistoryWanted;
use super::directory::DirectoryChange;
use super::{Model, Overlay, PendingCommand, UiEffect, prompt, search, verify};
use crate::shell::api::ClientEvent;
use crate::shell::text::clock_skew;

/// Takes an event in.
pub(super) fn receive(model: &mut Model, event: ClientEvent, effects: &mut Vec<UiEffect>) {
    match event {
        ClientEvent::Engine(event) => {
            let change = model.directory.apply(event);
            follow(model, change, effects);
            // Rows may have gone.
            model.navigation.mark_row(model.navigation.row, &model.directory);
        }
        ClientEvent::Replied(id, reply) => on_reply(model, id, reply, effects),
        ClientEvent::History { contact, messages, more } => {
            if let Some(chat) = model.directory.chats.get_mut(&contact) {
                chat.add_history(messages, more);
            }
            search::go_on_seeking(model, effects);
        }
        ClientEvent::Found { contact, words, messages, more } => {
            search::on_found(model, contact, &words, (messages, more));
        }
        ClientEvent::Network(network) => {
            // A clock that others doubt is said once, when that begins.
            if let Some(clock) = model.node.set_network(network) {
                model.say_hint(clock_skew::words(clock));
            }
        }
        ClientEvent::UnreadCount(contact, unread) => {
            if let Some(chat) = model.directory.chats.get_mut(&contact) {
                chat.set_unread(unread);
            }
        }
        ClientEvent::Persistence(persistence) => model.node.persistence = Some(persistence),
        // Answers a query of another client: the runtime sends them to all.
        ClientEvent::QueryResult(..) => {}
        ClientEvent::Fatal(why) => model.navigation.overlay = Some(Overlay::Fatal(why)),
    }
}

/// Follows a change of the directory with what depends on it: the navigation, the status, the bell.
fn follow(model: &mut Model, change: DirectoryChange, effects: &mut Vec<UiEffect>) {
    let navigation = &mut model.navigation;
    match change {
        DirectoryChange::Identity(identity) => {
            navigation.speaking.get_or_insert(identity);
        }
        // Without an identity that speaks no chat could be opened.
        DirectoryChange::IdentityRemoved(gone) if navigation.speaking == Some(gone) => {
            model.speak_as(model.directory.identities.keys().next().copied(), effects);
        }
        DirectoryChange::Contact(contact, identity) => {
            // A first contact opens by itself; a later one takes nobody away from an open chat.
            if navigation.open.is_none() && navigation.speaking == Some(identity) {
                navigation.open = Some(contact);
            }
            if navigation.open == Some(contact) {
                model.ask_for_history(HistoryWanted::Any, effects);
            }
        }
        DirectoryChange::ContactRemoved(gone) => navigation.forget_contact(gone),
        // What is in view needs no bell.
        DirectoryChange::FirstUnread(contact) if !navigation.shows_newest_of(contact) => {
            effects.push(UiEffect::Bell);
        }
        DirectoryChange::MessageState(message, state) => model.status.note_state(message, state),
        DirectoryChange::IdentityRemoved(_)
        | DirectoryChange::FirstUnread(_)
        | DirectoryChange::Other => {}
    }
}

/// Does what the answer to a command asks for.
fn on_reply(
    model: &mut Model,
    id: CommandId,
    reply: Result<Reply, CommandError>,
    effects: &mut Vec<UiEffect>,
) {
    // The runtime sends replies to all clients, and this one may be another's.
    let Some(about) = model.pending.take(id) else { return };
    let (about, reply) = match (about, reply) {
        (PendingCommand::Typed(_, purpose, text), Err(error)) => {
            let reason = format!("{error}; nothing was changed");
            return prompt::refuse(model, purpose, &text, reason);
        }
        (PendingCommand::Typed(about, ..), reply) => (*about, reply),
        other => other,
    };
    match (about, reply) {
        (PendingCommand::Identity, Ok(Reply::Identity(id))) => {
            // Only now: a refused name stays in its field.
            model.welcome.field.take();
            model.speak_as(Some(id), effects);
        }
        (PendingCommand::Contact, Ok(Reply::Contact(id))) => model.open_chat(id, effects),
        (PendingCommand::Verify(contact, proof), reply) => {
            verify::on_compared(model, (contact, proof), reply);
        }
        (_, Ok(_)) => {}
        (PendingCommand::Say(contact, text), Err(error)) => {
            let composer = model.directory.chats.get_mut(&contact).map(|chat| &mut chat.composer);
            // A draft that was begun meanwhile is not overwritten.
            if let Some(composer) = composer.filter(|composer| composer.is_empty()) {
                composer.replace(&text);
            }
            model.say_hint(format!("{error}; nothing was sent"));
        }
        (_, Err(error)) => model.say_hint(format!("{error}; nothing was changed")),
    }
}
