//! What a slash command does. Each has a key that does the same.

use crate::engine::node::input::Command;
use crate::engine::node::output::SessionStatus;

use super::super::keys::{RowAction, UiPage};
use super::super::slash::Slash;
use super::super::text::lifetime::{self, NAMES};
use super::lists::Turn;
use super::{Asked, Effect, Model, Overlay, Picker, Purpose, Tab, label, sentence};

impl Model {
    pub(super) fn obey(
        &mut self,
        slash: Slash,
        argument: Option<String>,
        effects: &mut Vec<Effect>,
    ) {
        match slash {
            Slash::Help => self.show(UiPage::Help),
            Slash::Net => self.show(UiPage::Network),
            Slash::Contacts => self.show_tab(Tab::Contacts),
            Slash::Requests => self.show_tab(Tab::Requests),
            Slash::Invite => self.show_invite(),
            Slash::Next => self.next_unread(effects),
            Slash::Quit => self.ask_to_quit(effects),
            Slash::Go => self.go_by_name(argument, effects),
            Slash::Add => self.add(argument),
            Slash::New => self.prompt_with(Purpose::NewIdentity, &argument.unwrap_or_default()),
            Slash::Id => self.id_by_name(argument, effects),
            Slash::Accept => self.accept_first(argument),
            Slash::Decline => match self.strangers().first().map(|request| request.id) {
                Some(request) => self.act_on_request(request, RowAction::Decline, effects),
                None => self.say_hint("nobody asks; nothing was declined"),
            },
            Slash::Cancel => self.cancel(self.newest_waiting(), effects),
            Slash::Retry => self.retry(self.newest_failed(), effects),
            Slash::Search => match argument {
                Some(words) => self.search(None, words, effects),
                None => self.ask_for_words(),
            },
            Slash::Life => self.life_by_name(argument),
            Slash::Why => {
                let newest = self.current().and_then(|chat| chat.messages.last());
                self.overlay = newest.map(|message| Overlay::Why(message.id));
            }
            Slash::Block
            | Slash::Unblock
            | Slash::Close
            | Slash::Rekey
            | Slash::ReadMarks
            | Slash::Remove
            | Slash::Rename
            | Slash::Verify => {
                self.obey_about_contact(slash, argument, effects);
            }
        }
    }

    fn obey_about_contact(
        &mut self,
        slash: Slash,
        argument: Option<String>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(chat) = self.current() else {
            self.say_hint("no chat is open; nothing was changed");
            return;
        };
        let contact = chat.id();
        let is_blocked = chat.contact.session == SessionStatus::Blocked;
        let name = label(&chat.contact.petname);
        match (slash, argument) {
            (Slash::Close, _) => self.confirm(
                format!("end the session with {name} and erase its keys?"),
                Command::CloseSession { contact },
            ),
            (Slash::Block, _) if is_blocked => self.say_hint("this contact is blocked already"),
            (Slash::Unblock, _) if !is_blocked => self.say_hint("this contact is not blocked"),
            (Slash::Block | Slash::Unblock, _) => {
                self.act_on_contact(contact, RowAction::Block, effects);
            }
            (Slash::Verify, _) => self.open_verify(contact),
            (Slash::Rekey, invite) => {
                self.prompt_with(Purpose::Rekey(contact), &invite.unwrap_or_default());
            }
            (Slash::ReadMarks, argument) => match argument.as_deref() {
                Some("on") => self.turn_read_marks(contact, Turn::On, effects),
                Some("off") => self.turn_read_marks(contact, Turn::Off, effects),
                Some(_) | None => self.say_hint("/readmarks on, or /readmarks off"),
            },
            (Slash::Remove, _) => self.act_on_contact(contact, RowAction::Remove, effects),
            (Slash::Rename, Some(petname)) => {
                let command = Command::RenameContact { contact, petname };
                self.ask(command, Asked::Other, effects);
            }
            (_, _) => self.act_on_contact(contact, RowAction::Rename, effects),
        }
    }

    fn life_by_name(&mut self, name: Option<String>) {
        match name.as_deref().map(lifetime::named) {
            None => self.choose_life(None),
            Some(Some(life)) => self.choose_life(Some(life)),
            Some(None) => {
                self.say_hint(format!("a message lives {}; nothing was changed", NAMES.join(", ")));
            }
        }
    }

    fn show_tab(&mut self, tab: Tab) {
        self.show(UiPage::Contacts);
        self.tab = tab;
    }

    fn go_by_name(&mut self, name: Option<String>, effects: &mut Vec<Effect>) {
        let Some(name) = name else {
            self.overlay = Some(Overlay::GoTo(Picker::new()));
            return;
        };
        match self.targets_for(&name).first().copied() {
            Some(target) => self.go(target, effects),
            None => self.say_hint("there is no such chat or page"),
        }
    }

    fn add(&mut self, invite: Option<String>) {
        let Some(invite) = invite else { return self.prompt(Purpose::AddKey) };
        match (self.options.invites.read)(&invite) {
            Ok(key) => self.prompt(Purpose::AddName(key)),
            Err(why) => self.say_hint(format!("{}; nobody was added", sentence(&why))),
        }
    }

    fn id_by_name(&mut self, name: Option<String>, effects: &mut Vec<Effect>) {
        let Some(name) = name else { return self.show(UiPage::Identities) };
        let found = self.identities.values().find(|identity| identity.name == name);
        match found.map(|identity| identity.id) {
            Some(id) => self.speak_as(Some(id), effects),
            None => self.say_hint("there is no identity of that name"),
        }
    }

    fn accept_first(&mut self, name: Option<String>) {
        match self.strangers().first().map(|request| request.id) {
            Some(request) => {
                self.prompt_with(Purpose::Accept(request), &name.unwrap_or_default());
            }
            None => self.say_hint("nobody asks; nothing was accepted"),
        }
    }
}
