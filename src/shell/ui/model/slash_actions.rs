//! What a slash command does. Each has a key that does the same.

use crate::engine::command::Command;
use crate::engine::event::SessionStatus;

use super::super::keys::{RowAction, UiPage};
use super::super::slash::SlashCommand;
use super::super::text::lifetime::{self, NAMES};
use super::lists::ReadMarksSwitch;
use super::update::{NOTHING_FAILED, NOTHING_WAITS};
use super::{
    Chat, ContactsTab, GoToPicker, Model, Overlay, PendingCommand, PromptPurpose, UiEffect, go_to,
    search, sentence, verify,
};

impl Model {
    pub(super) fn obey(
        &mut self,
        slash: SlashCommand,
        argument: Option<String>,
        effects: &mut Vec<UiEffect>,
    ) {
        match slash {
            SlashCommand::Help => self.show(UiPage::Help),
            SlashCommand::Net => self.show(UiPage::Network),
            SlashCommand::Contacts => self.show_tab(ContactsTab::Contacts),
            SlashCommand::Requests => self.show_tab(ContactsTab::Requests),
            SlashCommand::Invite => self.navigation.show_invite(&self.directory),
            SlashCommand::Next => self.open_next_unread(effects),
            SlashCommand::Quit => self.ask_to_quit(effects),
            SlashCommand::Go => self.go_by_name(argument, effects),
            SlashCommand::Add => self.add(argument),
            SlashCommand::New => self
                .navigation
                .prompt_with(PromptPurpose::NewIdentity, &argument.unwrap_or_default()),
            SlashCommand::Id => self.id_by_name(argument, effects),
            SlashCommand::Accept => self.accept_first(argument),
            SlashCommand::Decline => match self.directory.first_request(self.navigation.speaking) {
                Some(request) => self.act_on_request(request, RowAction::Decline, effects),
                None => self.say_hint("nobody asks; nothing was declined"),
            },
            SlashCommand::Cancel => {
                let waiting = self.current().and_then(Chat::newest_waiting);
                let command = waiting.map(|message| Command::Cancel { message });
                self.ask_or_say(command, NOTHING_WAITS, effects);
            }
            SlashCommand::Retry => {
                let failed = self.current().and_then(Chat::newest_failed);
                let command = failed.map(|message| Command::Retry { message });
                self.ask_or_say(command, NOTHING_FAILED, effects);
            }
            SlashCommand::Search => match argument {
                Some(words) => search::search(self, None, words, effects),
                None => self.navigation.prompt_search(),
            },
            SlashCommand::Life => self.life_by_name(argument),
            SlashCommand::Why => {
                let newest = self.current().and_then(|chat| chat.messages.last());
                self.navigation.overlay = newest.map(|message| Overlay::Why(message.id));
            }
            SlashCommand::Block
            | SlashCommand::Unblock
            | SlashCommand::Close
            | SlashCommand::Rekey
            | SlashCommand::ReadMarks
            | SlashCommand::Remove
            | SlashCommand::Rename
            | SlashCommand::Verify => {
                self.obey_about_contact(slash, argument, effects);
            }
        }
    }

    fn obey_about_contact(
        &mut self,
        slash: SlashCommand,
        argument: Option<String>,
        effects: &mut Vec<UiEffect>,
    ) {
        let Some(chat) = self.current() else {
            self.say_hint("no chat is open; nothing was changed");
            return;
        };
        let contact = chat.id();
        let is_blocked = chat.contact.session == SessionStatus::Blocked;
        let name = chat.name();
        match (slash, argument) {
            (SlashCommand::Close, _) => self.navigation.confirm(
                format!("end the session with {name} and erase its keys?"),
                Command::CloseSession { contact },
            ),
            (SlashCommand::Block, _) if is_blocked => {
                self.say_hint("this contact is blocked already")
            }
            (SlashCommand::Unblock, _) if !is_blocked => {
                self.say_hint("this contact is not blocked")
            }
            (SlashCommand::Block | SlashCommand::Unblock, _) => {
                self.act_on_contact(contact, RowAction::Block, effects);
            }
            (SlashCommand::Verify, _) => verify::open(self, contact),
            (SlashCommand::Rekey, invite) => {
                self.navigation
                    .prompt_with(PromptPurpose::Rekey(contact), &invite.unwrap_or_default());
            }
            (SlashCommand::ReadMarks, argument) => match argument.as_deref() {
                Some("on") => self.turn_read_marks(contact, ReadMarksSwitch::On, effects),
                Some("off") => self.turn_read_marks(contact, ReadMarksSwitch::Off, effects),
                Some(_) | None => self.say_hint("/readmarks on, or /readmarks off"),
            },
            (SlashCommand::Remove, _) => self.act_on_contact(contact, RowAction::Remove, effects),
            (SlashCommand::Rename, Some(petname)) => {
                let command = Command::RenameContact { contact, petname };
                self.ask(command, PendingCommand::Other, effects);
            }
            (_, _) => self.act_on_contact(contact, RowAction::Rename, effects),
        }
    }

    fn life_by_name(&mut self, name: Option<String>) {
        match name.as_deref().map(lifetime::named) {
            None => self.choose_lifetime(None),
            Some(Some(lifetime)) => self.choose_lifetime(Some(lifetime)),
            Some(None) => {
                self.say_hint(format!("a message lives {}; nothing was changed", NAMES.join(", ")));
            }
        }
    }

    fn show_tab(&mut self, tab: ContactsTab) {
        self.show(UiPage::Contacts);
        self.navigation.tab = tab;
    }

    fn go_by_name(&mut self, name: Option<String>, effects: &mut Vec<UiEffect>) {
        let Some(name) = name else {
            self.navigation.overlay = Some(Overlay::GoTo(GoToPicker::new()));
            return;
        };
        match self.targets_for(&name).first().copied() {
            Some(target) => go_to::go(self, target, effects),
            None => self.say_hint("there is no such chat or page"),
        }
    }

    fn add(&mut self, invite: Option<String>) {
        let Some(invite) = invite else { return self.navigation.prompt(PromptPurpose::AddKey) };
        match (self.options.invites.read)(&invite) {
            Ok(key) => self.navigation.prompt(PromptPurpose::AddName(key)),
            Err(why) => self.say_hint(format!("{}; nobody was added", sentence(&why))),
        }
    }

    fn id_by_name(&mut self, name: Option<String>, effects: &mut Vec<UiEffect>) {
        let Some(name) = name else { return self.show(UiPage::Identities) };
        match self.directory.identity_named(&name) {
            Some(identity) => self.speak_as(Some(identity), effects),
            None => self.say_hint("there is no identity of that name"),
        }
    }

    fn accept_first(&mut self, name: Option<String>) {
        match self.directory.first_request(self.navigation.speaking) {
            Some(request) => {
                self.navigation
                    .prompt_with(PromptPurpose::Accept(request), &name.unwrap_or_default());
            }
            None => self.say_hint("nobody asks; nothing was accepted"),
        }
    }
}
