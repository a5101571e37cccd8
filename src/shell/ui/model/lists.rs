//! Lists, fields and the picker: what is chosen, and what is asked for then.

use crate::engine::command::Command;
use crate::engine::event::SessionStatus;
use crate::engine::id::{ContactId, IdentityId, RequestId};

use super::super::keys::{ListAction, RowAction, UiPage};
use super::go_to::fits;
use super::navigation::ListRow;
use super::{
    ContactFilter, GoToTarget, Model, Overlay, PendingCommand, Prompt, PromptPurpose, UiEffect,
    label, search, sentence, verify,
};

/// Which way a switch is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadMarksSwitch {
    On,
    Off,
}

impl Model {
    pub(super) fn act_on_list(&mut self, key: ListAction, effects: &mut Vec<UiEffect>) {
        let (navigation, directory) = (&mut self.navigation, &self.directory);
        match key {
            ListAction::Up => navigation.mark_row(navigation.row.saturating_sub(1), directory),
            ListAction::Down => navigation.mark_row(navigation.row + 1, directory),
            ListAction::First => navigation.mark_row(0, directory),
            ListAction::Last => navigation.mark_row(usize::MAX, directory),
            ListAction::NextTab => navigation.next_tab(),
            ListAction::Add => navigation.prompt(PromptPurpose::AddKey),
            ListAction::New => navigation.prompt(PromptPurpose::NewIdentity),
            ListAction::Invite => navigation.show_invite(directory),
            ListAction::Row(action) => match navigation.marked(directory) {
                Some(ListRow::Contact(contact)) => self.act_on_contact(contact, action, effects),
                Some(ListRow::Request(request)) => self.act_on_request(request, action, effects),
                Some(ListRow::Identity(identity)) => {
                    self.act_on_identity(identity, action, effects);
                }
                None => {}
            },
        }
    }

    pub(super) fn act_on_contact(
        &mut self,
        contact: ContactId,
        action: RowAction,
        effects: &mut Vec<UiEffect>,
    ) {
        let Some(chat) = self.directory.chats.get(&contact) else { return };
        let name = chat.name();
        match action {
            RowAction::Open => self.open_chat(contact, effects),
            RowAction::Rename => self.navigation.prompt_with(PromptPurpose::Rename(contact), &name),
            RowAction::Block if chat.contact.session == SessionStatus::Blocked => {
                self.ask(Command::Unblock { contact }, PendingCommand::Other, effects);
            }
            RowAction::Block => self.navigation.confirm(
                format!("block {name} and erase the session?"),
                Command::Block { contact },
            ),
            RowAction::Remove => self.navigation.confirm(
                format!("remove {name} and erase all messages?"),
                Command::RemoveContact { contact },
            ),
            RowAction::Verify => verify::open(self, contact),
            RowAction::Rekey => self.navigation.prompt(PromptPurpose::Rekey(contact)),
            RowAction::ReadMarks if chat.contact.read_receipts => {
                self.turn_read_marks(contact, ReadMarksSwitch::Off, effects);
            }
            RowAction::ReadMarks => self.turn_read_marks(contact, ReadMarksSwitch::On, effects),
            RowAction::Accept | RowAction::Decline => {}
        }
    }

    pub(super) fn act_on_request(
        &mut self,
        request: RequestId,
        action: RowAction,
        effects: &mut Vec<UiEffect>,
    ) {
        match action {
            RowAction::Open | RowAction::Accept => {
                self.navigation.prompt(PromptPurpose::Accept(request))
            }
            RowAction::Decline => {
                self.ask(Command::DeclineRequest { request }, PendingCommand::Other, effects);
            }
            RowAction::Rename
            | RowAction::Block
            | RowAction::Remove
            | RowAction::Verify
            | RowAction::Rekey
            | RowAction::ReadMarks => {}
        }
    }

    fn act_on_identity(
        &mut self,
        identity: IdentityId,
        action: RowAction,
        effects: &mut Vec<UiEffect>,
    ) {
        match action {
            RowAction::Open => self.speak_as(Some(identity), effects),
            RowAction::Remove => {
                let name = self.directory.identities.get(&identity).map(|one| label(&one.name));
                self.navigation.confirm(
                    format!(
                        "erase {} with its key, contacts and messages?",
                        name.unwrap_or_default()
                    ),
                    Command::DeleteIdentity { identity },
                );
            }
            RowAction::Accept
            | RowAction::Decline
            | RowAction::Rename
            | RowAction::Block
            | RowAction::Verify
            | RowAction::Rekey
            | RowAction::ReadMarks => {}
        }
    }

    /// Turning them on tells something of this person, so it is asked about.
    pub(super) fn turn_read_marks(
        &mut self,
        contact: ContactId,
        turn: ReadMarksSwitch,
        effects: &mut Vec<UiEffect>,
    ) {
        let Some(chat) = self.directory.chats.get(&contact) else { return };
        let name = chat.name();
        match turn {
            ReadMarksSwitch::On => self.navigation.confirm(
                format!(
                    "tell {name} when you have looked, and see when they have? Both must turn it on"
                ),
                Command::SetReadReceipts { contact, on: true },
            ),
            ReadMarksSwitch::Off => {
                self.say_hint(format!("read marks with {name} are off"));
                let command = Command::SetReadReceipts { contact, on: false };
                self.ask(command, PendingCommand::Other, effects);
            }
        }
    }

    /// Enter in a field.
    pub(super) fn submit(&mut self, effects: &mut Vec<UiEffect>) {
        match self.navigation.overlay.take() {
            Some(Overlay::Prompt(prompt)) => self.submit_prompt(prompt, effects),
            Some(Overlay::GoTo(picker)) => {
                let target = self.targets_for(picker.filter.text()).get(picker.index).copied();
                match target {
                    Some(target) => self.go(target, effects),
                    None => self.navigation.overlay = Some(Overlay::GoTo(picker)),
                }
            }
            Some(other) => self.navigation.overlay = Some(other),
            None => {
                let name = self.welcome.field.text().trim().to_owned();
                if !name.is_empty() {
                    self.ask(Command::CreateIdentity { name }, PendingCommand::Identity, effects);
                }
            }
        }
    }

    fn submit_prompt(&mut self, mut prompt: Prompt, effects: &mut Vec<UiEffect>) {
        let text = prompt.field.text().trim().to_owned();
        if text.is_empty() {
            prompt.error = Some("write something, or Esc to go back".to_owned());
            self.navigation.overlay = Some(Overlay::Prompt(prompt));
            return;
        }
        match prompt.purpose {
            PromptPurpose::NewIdentity => {
                self.ask(Command::CreateIdentity { name: text }, PendingCommand::Identity, effects);
            }
            PromptPurpose::AddKey => match (self.options.invites.read)(&text) {
                Ok(key) => self.navigation.prompt(PromptPurpose::AddName(key)),
                Err(why) => {
                    prompt.error = Some(sentence(&why));
                    self.navigation.overlay = Some(Overlay::Prompt(prompt));
                }
            },
            PromptPurpose::AddName(key) => {
                let Some(identity) = self.navigation.speaking else { return };
                let command = Command::AddContact { identity, key, petname: text };
                self.ask(command, PendingCommand::Contact, effects);
            }
            PromptPurpose::Accept(request) => {
                let command = Command::AcceptRequest { request, petname: text };
                self.ask(command, PendingCommand::Contact, effects);
            }
            PromptPurpose::Rekey(contact) => match (self.options.invites.read)(&text) {
                Ok(key) => {
                    self.ask(Command::Rekey { contact, key }, PendingCommand::Other, effects)
                }
                Err(why) => {
                    prompt.error = Some(sentence(&why));
                    self.navigation.overlay = Some(Overlay::Prompt(prompt));
                }
            },
            PromptPurpose::Search(contact) => search::search(self, contact, text, effects),
            PromptPurpose::AcceptUnverified(contact) if text == "accept" => {
                self.ask(Command::AcceptUnverified { contact }, PendingCommand::Other, effects);
            }
            PromptPurpose::AcceptUnverified(_) => {
                prompt.error = Some("that is another word; sending stays held".to_owned());
                self.navigation.overlay = Some(Overlay::Prompt(prompt));
            }
            PromptPurpose::Rename(contact) => {
                let command = Command::RenameContact { contact, petname: text };
                self.ask(command, PendingCommand::Other, effects);
            }
        }
    }

    /// Where the picker can go with what is written in it.
    pub(in crate::shell::ui) fn targets(&self) -> Vec<GoToTarget> {
        let Some(Overlay::GoTo(picker)) = &self.navigation.overlay else { return Vec::new() };
        self.targets_for(picker.filter.text())
    }

    pub(super) fn targets_for(&self, wanted: &str) -> Vec<GoToTarget> {
        const PAGES: [UiPage; 4] =
            [UiPage::Contacts, UiPage::Network, UiPage::Identities, UiPage::Help];
        let chats = self
            .contacts(ContactFilter::Listened)
            .into_iter()
            .map(|chat| GoToTarget::Chat(chat.id()));
        let pages = PAGES.into_iter().map(GoToTarget::Page);
        let mut targets: Vec<_> =
            chats.chain(pages).filter(|target| fits(wanted, &self.target_name(*target))).collect();
        // Letters that stand together mean more than letters that stand anywhere.
        let wanted = wanted.trim().to_lowercase();
        targets.sort_by_key(|target| !self.target_name(*target).to_lowercase().contains(&wanted));
        targets
    }

    /// What the picker calls a target.
    pub(in crate::shell::ui) fn target_name(&self, target: GoToTarget) -> String {
        match target {
            GoToTarget::Chat(id) => self.directory.name_of(id),
            GoToTarget::Page(UiPage::Chats) => "chats".to_owned(),
            GoToTarget::Page(UiPage::Contacts) => "contacts and requests".to_owned(),
            GoToTarget::Page(UiPage::Network) => "network".to_owned(),
            GoToTarget::Page(UiPage::Identities) => "identities".to_owned(),
            GoToTarget::Page(UiPage::Help) => "help".to_owned(),
        }
    }

    pub(super) fn go(&mut self, target: GoToTarget, effects: &mut Vec<UiEffect>) {
        match target {
            GoToTarget::Chat(contact) => self.open_chat(contact, effects),
            GoToTarget::Page(place) => self.show(place),
        }
    }
}
