//! Slash commands. Each has a key that does the same.

use crate::engine::event::SessionStatus;

use super::super::keys::{RowAction, UiPage};
use super::super::slash::SlashCommand;
use super::lists::{self, ReadMarksSwitch};
use super::update::{NOTHING_FAILED, NOTHING_WAITS};
use super::{
    ContactsTab, Erasure, Model, Overlay, PendingCall, PromptPurpose, UiEffect, go_to, prompt,
    search, sentence, verify,
};
use crate::shell::api::calls::{Call as _, ContactRename, MessageCancel, MessageRetry};
use crate::shell::api::words::{LIMIT_NAMES, lifetime_named, limit_named};
use crate::shell::text::lifetime;

/// Does what a slash command says.
pub(super) fn obey(
    model: &mut Model,
    slash: SlashCommand,
    argument: Option<String>,
    effects: &mut Vec<UiEffect>,
) {
    match slash {
        SlashCommand::Help => model.show(UiPage::Help),
        SlashCommand::Net => model.show(UiPage::Network),
        SlashCommand::Contacts => show_tab(model, ContactsTab::Contacts),
        SlashCommand::Requests => show_tab(model, ContactsTab::Requests),
        SlashCommand::Invite => model.navigation.show_invite(&model.directory),
        SlashCommand::Next => model.open_next_unread(effects),
        SlashCommand::Quit => model.ask_to_quit(effects),
        SlashCommand::Go => go_by_name(model, argument, effects),
        SlashCommand::Add => add(model, argument),
        SlashCommand::New => {
            let name = argument.unwrap_or_default();
            model.navigation.prompt_with(PromptPurpose::NewIdentity, &name);
        }
        SlashCommand::Id => speak_by_name(model, argument, effects),
        SlashCommand::Accept => accept_first(model, argument),
        // The oldest one, as `/accept`: no name is known yet by which to say another.
        SlashCommand::Decline => match model.directory.first_request(model.navigation.speaking) {
            Some(request) => lists::decline(model, request),
            None => model.say_hint("no contact requests; nothing was declined"),
        },
        SlashCommand::Cancel => {
            let waiting = model.current().and_then(|chat| chat.newest_waiting());
            let call = waiting.map(|message| MessageCancel { message: message.into() }.into_any());
            model.ask_or_say(call, NOTHING_WAITS, effects);
        }
        SlashCommand::Retry => {
            let failed = model.current().and_then(|chat| chat.newest_failed());
            let call = failed.map(|message| MessageRetry { message: message.into() }.into_any());
            model.ask_or_say(call, NOTHING_FAILED, effects);
        }
        SlashCommand::Search => match argument {
            Some(words) => search::search(model, None, words, effects),
            None => model.navigation.prompt_search(),
        },
        SlashCommand::Life => choose_lifetime_by_name(model, argument),
        SlashCommand::Work => choose_work_by_name(model, argument, effects),
        SlashCommand::Why => {
            let newest = model.current().and_then(|chat| Some(chat.messages.last()?.id));
            model.navigation.overlay = newest.map(Overlay::Why);
        }
        SlashCommand::Block
        | SlashCommand::Unblock
        | SlashCommand::Close
        | SlashCommand::Rekey
        | SlashCommand::ReadMarks
        | SlashCommand::Remove
        | SlashCommand::Rename
        | SlashCommand::Verify => {
            obey_about_contact(model, slash, argument, effects);
        }
    }
}

/// Does what a slash command says about the contact whose chat is open.
fn obey_about_contact(
    model: &mut Model,
    slash: SlashCommand,
    argument: Option<String>,
    effects: &mut Vec<UiEffect>,
) {
    // Said, because a command that did nothing would seem to have blocked or removed somebody.
    let Some(chat) = model.current() else {
        model.say_hint("no chat is open; nothing was changed");
        return;
    };
    let contact = chat.id();
    let is_blocked = chat.contact.session == SessionStatus::Blocked;
    match (slash, argument) {
        (SlashCommand::Close, _) => {
            model.navigation.prompt(PromptPurpose::Erase(Erasure::Session(contact)));
        }
        // One function turns it on and off, so the command must not turn it the wrong way.
        (SlashCommand::Block, _) if is_blocked => model.say_hint("this contact is already blocked"),
        (SlashCommand::Unblock, _) if !is_blocked => model.say_hint("this contact is not blocked"),
        (SlashCommand::Block | SlashCommand::Unblock, _) => {
            lists::act_on_contact(model, contact, RowAction::Block, effects);
        }
        (SlashCommand::Verify, _) => verify::open(model, contact),
        (SlashCommand::Rekey, invite) => {
            let invite = invite.unwrap_or_default();
            model.navigation.prompt_with(PromptPurpose::Rekey(contact), &invite);
        }
        (SlashCommand::ReadMarks, argument) => match argument.as_deref() {
            Some("on") => lists::turn_read_marks(model, contact, ReadMarksSwitch::On, effects),
            Some("off") => lists::turn_read_marks(model, contact, ReadMarksSwitch::Off, effects),
            Some(_) | None => model.say_hint("/readmarks on, or /readmarks off"),
        },
        // By the functions of the keys, so that a command asks the same question before it
        // destroys.
        (SlashCommand::Remove, _) => {
            lists::act_on_contact(model, contact, RowAction::Remove, effects);
        }
        (SlashCommand::Rename, Some(name)) => {
            let call = ContactRename { contact: contact.into(), name };
            model.ask(call.into_any(), PendingCall::Other, effects);
        }
        (_, _) => lists::act_on_contact(model, contact, RowAction::Rename, effects),
    }
}

fn choose_lifetime_by_name(model: &mut Model, name: Option<String>) {
    match name.as_deref().map(lifetime_named) {
        None => model.choose_lifetime(None),
        Some(Some(lifetime)) => model.choose_lifetime(Some(lifetime)),
        Some(None) => {
            let why = lifetime::unknown(name.as_deref().unwrap_or_default());
            model.say_hint(format!("{why}; nothing was changed"));
        }
    }
}

fn choose_work_by_name(model: &mut Model, name: Option<String>, effects: &mut Vec<UiEffect>) {
    match name.as_deref().map(limit_named) {
        None => model.choose_limit(None, effects),
        Some(Some(limit)) => model.choose_limit(Some(limit), effects),
        Some(None) => model.say_hint(format!(
            "choose {} (times usual); nothing was changed",
            LIMIT_NAMES.join(", ")
        )),
    }
}

fn show_tab(model: &mut Model, tab: ContactsTab) {
    model.leave_chat();
    model.navigation.show_tab(tab, &model.directory);
}

fn go_by_name(model: &mut Model, name: Option<String>, effects: &mut Vec<UiEffect>) {
    let Some(name) = name else {
        return go_to::show(model);
    };
    match model.targets_for(&name).first().copied() {
        Some(target) => go_to::go(model, target, effects),
        None => model.say_hint("there is no such chat or page"),
    }
}

fn add(model: &mut Model, invite: Option<String>) {
    let Some(invite) = invite else { return prompt::ask_for_contact(model, None) };
    match (model.options.invites.read)(&invite) {
        Ok(key) => prompt::ask_for_contact(model, Some(key)),
        Err(why) => model.say_hint(format!("{}; no contact was added", sentence(&why))),
    }
}

fn speak_by_name(model: &mut Model, name: Option<String>, effects: &mut Vec<UiEffect>) {
    let Some(name) = name else { return model.show(UiPage::Identities) };
    match model.directory.identity_named(&name) {
        Some(identity) => model.speak_as(Some(identity), effects),
        None => model.say_hint("there is no identity with that name"),
    }
}

fn accept_first(model: &mut Model, name: Option<String>) {
    match model.directory.first_request(model.navigation.speaking) {
        Some(request) => {
            let name = name.unwrap_or_default();
            // The field asks even if the name is here: accepting is the first thing that is sent to
            // a stranger.
            model.navigation.prompt_with(PromptPurpose::Accept(request), &name);
        }
        None => model.say_hint("no contact requests; nothing was accepted"),
    }
}
