//! Events of the node and answers to calls, and what each changes.

use super::chat::HistoryWanted;
use super::directory::ChatChange;
use super::{CallId, Model, PendingCall, UiEffect, prompt, refusal, search, sentence, verify};
use crate::engine::event::MessageView;
use crate::shell::api::calls::{AnyReply, Page};
use crate::shell::api::{Event, Message};
use crate::shell::failure::Failure;
use crate::shell::text::clock_skew;

/// Takes an event in.
pub(super) fn receive(model: &mut Model, event: Event, effects: &mut Vec<UiEffect>) {
    if let Event::Network(network) = &event {
        // A clock that others doubt is said once, when that begins.
        if let Some(clock) = model.node.set_network(network.clone()) {
            model.say_hint(clock_skew::words(clock));
        }
    }
    for change in model.directory.apply(event) {
        follow(model, change, effects);
    }
    // Rows may have gone.
    model.navigation.mark_row(model.navigation.row, &model.directory);
}

/// Follows a change of the directory with what depends on it: the navigation, the status, the bell.
fn follow(model: &mut Model, change: ChatChange, effects: &mut Vec<UiEffect>) {
    let navigation = &mut model.navigation;
    match change {
        ChatChange::Identity(identity) => {
            navigation.speaking.get_or_insert(identity);
        }
        // Without an identity that speaks no chat could be opened.
        ChatChange::IdentityRemoved(gone) if navigation.speaking == Some(gone) => {
            model.speak_as(model.directory.first_speaker(), effects);
        }
        ChatChange::Contact(contact, identity) => {
            // A first contact opens by itself; a later one takes nobody away from an open chat.
            if navigation.open.is_none() && navigation.speaking == Some(identity) {
                navigation.open = Some(contact);
            }
            if navigation.open == Some(contact) {
                model.ask_for_history(HistoryWanted::Any, effects);
            }
        }
        ChatChange::ContactRemoved(gone) => navigation.forget_contact(gone),
        // What is in view needs no bell.
        ChatChange::FirstUnread(contact) if !navigation.shows_newest_of(contact) => {
            effects.push(UiEffect::Bell);
        }
        ChatChange::MessageState(message, state) => model.status.note_state(message, state),
        ChatChange::MessageErased(message) => navigation.forget_message(message),
        // The others are read again when they are opened.
        ChatChange::Outdated(contact) if navigation.open == Some(contact) => {
            model.ask_for_history(HistoryWanted::Any, effects);
        }
        ChatChange::IdentityRemoved(_) | ChatChange::FirstUnread(_) | ChatChange::Outdated(_) => {}
    }
}

/// Does what the answer to a call asks for.
pub(super) fn on_answer(
    model: &mut Model,
    id: CallId,
    reply: Result<AnyReply, Failure>,
    effects: &mut Vec<UiEffect>,
) {
    let Some(about) = model.pending.take(id) else { return };
    match (about, reply) {
        (PendingCall::Verify(contact, proof), reply) => {
            verify::on_compared(model, (contact, proof), reply);
        }
        // As if nobody else used it: the person asked for the end, and the node says nothing.
        (PendingCall::Quit, Err(_)) => model.on_other_clients(0, effects),
        (about, Ok(reply)) => on_reply(model, about, reply, effects),
        (about, Err(failure)) => on_refusal(model, about, &failure),
    }
}

fn on_reply(model: &mut Model, about: PendingCall, reply: AnyReply, effects: &mut Vec<UiEffect>) {
    match (about, reply) {
        (PendingCall::Typed(about, ..), reply) => on_reply(model, *about, reply, effects),
        (PendingCall::Report, AnyReply::Status(report)) => {
            model.node.persistence = Some(report.persistence);
        }
        (PendingCall::Quit, AnyReply::Status(report)) => {
            model.on_other_clients(report.clients.saturating_sub(1), effects);
        }
        (PendingCall::Identity, AnyReply::IdentityNew(identity)) => {
            // Only now: a refused name stays in its field.
            model.welcome.field.take();
            let id = identity.id;
            if model.directory.identity(id).is_none() {
                receive(model, Event::Identity(identity), effects);
            }
            model.speak_as(Some(id), effects);
        }
        (
            PendingCall::Contact,
            AnyReply::ContactAdd(contact) | AnyReply::RequestAccept(contact),
        ) => {
            let id = contact.id;
            // The event that tells of it may come after the answer.
            if model.directory.chat(id).is_none() {
                receive(model, Event::Contact(contact), effects);
            }
            model.open_chat(id, effects);
        }
        (PendingCall::History(contact, range), AnyReply::History(part)) => {
            model.directory.add_history(contact, range, (views(part.items), part.older));
            // If it was out of date, it is asked for again.
            if model.navigation.open == Some(contact) {
                model.ask_for_history(HistoryWanted::Any, effects);
            }
            search::go_on_seeking(model, effects);
        }
        (PendingCall::Search(contact, words), AnyReply::Search(page)) => {
            let found = Page { items: views(page.items), more: page.more };
            search::on_found(model, contact, &words, found);
        }
        (_, _) => {}
    }
}

fn views(messages: Vec<Message>) -> Vec<MessageView> {
    messages.into_iter().map(|message| message.view).collect()
}

fn on_refusal(model: &mut Model, about: PendingCall, failure: &Failure) {
    match about {
        PendingCall::Typed(_, purpose, text) => {
            prompt::refuse(model, purpose, &text, refusal(failure, "nothing was changed"));
        }
        PendingCall::Say(contact, text) => {
            let composer = model.directory.chat_mut(contact).map(|chat| &mut chat.composer);
            // A draft that was begun meanwhile is not overwritten.
            if let Some(composer) = composer.filter(|composer| composer.is_empty()) {
                composer.replace(&text);
            }
            model.say_hint(refusal(failure, "nothing was sent"));
        }
        PendingCall::History(contact, _) => {
            if let Some(chat) = model.directory.chat_mut(contact) {
                chat.history_failed();
            }
            model.say_hint(format!("{}; the messages were not read", sentence(&failure.why)));
        }
        PendingCall::Search(contact, words) => {
            search::on_refused(model, contact, &words, &failure.why);
        }
        // The next key says it again.
        PendingCall::Read(contact) => {
            if let Some(chat) = model.directory.chat_mut(contact) {
                chat.set_read_up_to(None);
            }
        }
        PendingCall::Report | PendingCall::Quit => {}
        PendingCall::Identity
        | PendingCall::Contact
        | PendingCall::Verify(..)
        | PendingCall::Other => model.say_hint(refusal(failure, "nothing was changed")),
    }
}
