//! Events of the node and answers to calls, and what each changes.

use super::chat::{Chat, HistoryWanted};
use super::directory::ChatChange;
use super::{
    CallId, Model, Overlay, PendingCall, Prompt, PromptPurpose, Since, UiEffect, prompt, refusal,
    search, sentence, verify,
};
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
    let chosen = model.current().and_then(|chat| chat.chosen);
    let had_no_identity = model.directory.has_no_identity();
    let changes = model.directory.apply(event);
    if had_no_identity && !model.directory.has_no_identity() {
        keep_welcome(model);
    }
    for gone in model.directory.take_gone() {
        forget(model, gone);
    }
    for change in changes {
        follow(model, change, effects);
    }
    // Rows may have gone, or have changed places.
    model.navigation.follow_mark(&model.directory);
    let now = model.current().and_then(|chat| chat.chosen);
    if chosen.is_some() && now != chosen {
        model.navigation.note_other_mark();
    }
}

/// An identity came from elsewhere while a name was typed for the first one: the name stays in a field
/// of its own, under the hands that type it.
fn keep_welcome(model: &mut Model) {
    let is_ours = model.pending.awaits(&PendingCall::Identity);
    if !is_ours && !model.welcome.field.is_empty() && model.navigation.overlay.is_none() {
        let prompt =
            core::mem::replace(&mut model.welcome, Prompt::new(PromptPurpose::NewIdentity));
        model.navigation.overlay = Some(Overlay::Prompt(prompt));
    }
}

/// A contact is gone. What was being written in the open chat stays under the hands that write it, and
/// goes to nobody.
fn forget(model: &mut Model, gone: Chat) {
    let was_open = model.navigation.open == Some(gone.id());
    model.navigation.forget_contact(gone.id());
    if was_open && !gone.composer.is_empty() {
        let earlier = core::mem::replace(&mut model.scratch, gone.composer);
        model.scratch.put_in_front(earlier.text());
        model.say_hint("the contact was removed; what you wrote was sent to nobody and stays here");
    }
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
            navigation.let_speak(model.directory.first_speaker());
            navigation.forget_identity(gone);
        }
        ChatChange::Contact(contact, identity) => {
            navigation.open_at_the_start(contact, identity);
            if navigation.open == Some(contact) {
                model.ask_for_history(HistoryWanted::Any, effects);
            }
        }
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
        ChatChange::IdentityRemoved(gone) => navigation.forget_identity(gone),
        ChatChange::FirstUnread(_) | ChatChange::Outdated(_) => {}
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
    let since = model.pending.since(id);
    match (about, reply) {
        (PendingCall::Verify(contact, proof), reply) => {
            verify::on_compared(model, (contact, proof), reply);
        }
        // As if nobody else used it: the person asked for the end, and the node says nothing.
        (PendingCall::Quit, Err(_)) => model.on_other_clients(0, effects),
        (about, Ok(reply)) => on_reply(model, (about, since), reply, effects),
        (about, Err(failure)) => on_refusal(model, (about, since), &failure),
    }
}

fn on_reply(
    model: &mut Model,
    (about, since): (PendingCall, Since),
    reply: AnyReply,
    effects: &mut Vec<UiEffect>,
) {
    match (about, reply) {
        (PendingCall::Typed(about, ..), reply) => on_reply(model, (*about, since), reply, effects),
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
            match since {
                Since::Nothing => model.speak_as(Some(id), effects),
                Since::Keys => model.say_hint("the new identity is there; F6 lists it"),
            }
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
            match since {
                Since::Nothing => model.open_chat(id, effects),
                // It would take along what is being typed.
                Since::Keys => {
                    let name = model.directory.name_of(id);
                    model.say_hint(format!("{name} is a contact now; Ctrl+P opens the chat"));
                }
            }
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

fn on_refusal(model: &mut Model, (about, since): (PendingCall, Since), failure: &Failure) {
    match about {
        PendingCall::Typed(_, purpose, text) => {
            let reason = refusal(failure, "nothing was changed");
            prompt::refuse(model, (purpose, &text), reason, since);
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
            search::on_refused(model, (contact, &words), &failure.why, since);
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
