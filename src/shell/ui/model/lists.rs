//! Lists, fields and the picker: what is chosen, and what is asked for then.

use crate::engine::id::{ContactId, IdentityId, RequestId};
use crate::engine::node::input::Command;
use crate::engine::node::output::SessionStatus;

use super::super::keys::{ListAction, RowAction, UiPage};
use super::overlay::fits;
use super::{
    Asked, Confirm, Effect, Kind, Model, Overlay, Prompt, Purpose, Tab, Target, label, sentence,
};

/// What the marked row of a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum Marked {
    Contact(ContactId),
    Request(RequestId),
    Identity(IdentityId),
    Nothing,
}

/// Which way a switch is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    On,
    Off,
}

impl Model {
    /// What the marked row is.
    pub(in crate::shell::ui) fn marked(&self) -> Marked {
        let row = self.row;
        let marked = match (self.place, self.tab) {
            (UiPage::Identities, _) => {
                self.identities.keys().nth(row).map(|id| Marked::Identity(*id))
            }
            (UiPage::Contacts, Tab::Contacts) => {
                self.contacts(Kind::Listened).get(row).map(|chat| Marked::Contact(chat.id()))
            }
            (UiPage::Contacts, Tab::Blocked) => {
                self.contacts(Kind::Blocked).get(row).map(|chat| Marked::Contact(chat.id()))
            }
            (UiPage::Contacts, Tab::Requests) => {
                self.strangers().get(row).map(|request| Marked::Request(request.id))
            }
            (UiPage::Chats | UiPage::Network | UiPage::Help, _) => None,
        };
        marked.unwrap_or(Marked::Nothing)
    }

    fn rows(&self) -> usize {
        match (self.place, self.tab) {
            (UiPage::Identities, _) => self.identities.len(),
            (UiPage::Contacts, Tab::Contacts) => self.contacts(Kind::Listened).len(),
            (UiPage::Contacts, Tab::Blocked) => self.contacts(Kind::Blocked).len(),
            (UiPage::Contacts, Tab::Requests) => self.strangers().len(),
            (UiPage::Chats | UiPage::Network | UiPage::Help, _) => 0,
        }
    }

    /// Marks a row, or the last one if there are fewer.
    pub(super) fn mark_row(&mut self, row: usize) {
        self.row = row.min(self.rows().saturating_sub(1));
    }

    pub(super) fn act_on_list(&mut self, key: ListAction, effects: &mut Vec<Effect>) {
        match key {
            ListAction::Up => self.mark_row(self.row.saturating_sub(1)),
            ListAction::Down => self.mark_row(self.row + 1),
            ListAction::First => self.mark_row(0),
            ListAction::Last => self.mark_row(usize::MAX),
            ListAction::NextTab if self.place == UiPage::Contacts => {
                self.tab = self.tab.next();
                self.row = 0;
            }
            ListAction::NextTab => {}
            ListAction::Add => self.prompt(Purpose::AddKey),
            ListAction::New => self.prompt(Purpose::NewIdentity),
            ListAction::Invite => self.show_invite(),
            ListAction::Row(action) => match self.marked() {
                Marked::Contact(contact) => self.act_on_contact(contact, action, effects),
                Marked::Request(request) => self.act_on_request(request, action, effects),
                Marked::Identity(identity) => self.act_on_identity(identity, action, effects),
                Marked::Nothing => {}
            },
        }
    }

    pub(super) fn act_on_contact(
        &mut self,
        contact: ContactId,
        action: RowAction,
        effects: &mut Vec<Effect>,
    ) {
        let Some(chat) = self.chats.get(&contact) else { return };
        let name = label(&chat.contact.petname);
        match action {
            RowAction::Open => self.open_chat(contact, effects),
            RowAction::Rename => self.prompt_with(Purpose::Rename(contact), &name),
            RowAction::Block if chat.contact.session == SessionStatus::Blocked => {
                self.ask(Command::Unblock { contact }, Asked::Other, effects);
            }
            RowAction::Block => self.confirm(
                format!("block {name} and erase the session?"),
                Command::Block { contact },
            ),
            RowAction::Remove => self.confirm(
                format!("remove {name} and erase all messages?"),
                Command::RemoveContact { contact },
            ),
            RowAction::Verify => self.open_verify(contact),
            RowAction::Rekey => self.prompt(Purpose::Rekey(contact)),
            RowAction::ReadMarks if chat.contact.read_receipts => {
                self.turn_read_marks(contact, Turn::Off, effects);
            }
            RowAction::ReadMarks => self.turn_read_marks(contact, Turn::On, effects),
            RowAction::Accept | RowAction::Decline => {}
        }
    }

    pub(super) fn act_on_request(
        &mut self,
        request: RequestId,
        action: RowAction,
        effects: &mut Vec<Effect>,
    ) {
        match action {
            RowAction::Open | RowAction::Accept => self.prompt(Purpose::Accept(request)),
            RowAction::Decline => {
                self.ask(Command::DeclineRequest { request }, Asked::Other, effects);
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
        effects: &mut Vec<Effect>,
    ) {
        match action {
            RowAction::Open => self.speak_as(Some(identity), effects),
            RowAction::Remove => {
                let name = self.identities.get(&identity).map(|one| label(&one.name));
                self.confirm(
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
        turn: Turn,
        effects: &mut Vec<Effect>,
    ) {
        let Some(chat) = self.chats.get(&contact) else { return };
        let name = label(&chat.contact.petname);
        match turn {
            Turn::On => self.confirm(
                format!(
                    "tell {name} when you have looked, and see when they have? Both must turn it on"
                ),
                Command::SetReadReceipts { contact, on: true },
            ),
            Turn::Off => {
                self.say_hint(format!("read marks with {name} are off"));
                let command = Command::SetReadReceipts { contact, on: false };
                self.ask(command, Asked::Other, effects);
            }
        }
    }

    pub(super) fn show_invite(&mut self) {
        let identity = match self.marked() {
            Marked::Identity(identity) => Some(identity),
            Marked::Contact(_) | Marked::Request(_) | Marked::Nothing => self.speaking,
        };
        self.overlay = identity.map(Overlay::Invite);
    }

    pub(super) fn confirm(&mut self, question: String, command: Command) {
        self.overlay = Some(Overlay::Confirm(Confirm { question, command }));
    }

    pub(super) fn prompt_with(&mut self, purpose: Purpose, text: &str) {
        let mut prompt = Prompt::new(purpose);
        prompt.field.replace(text);
        self.overlay = Some(Overlay::Prompt(prompt));
    }

    /// Enter in a field.
    pub(super) fn submit(&mut self, effects: &mut Vec<Effect>) {
        match self.overlay.take() {
            Some(Overlay::Prompt(prompt)) => self.submit_prompt(prompt, effects),
            Some(Overlay::GoTo(picker)) => {
                let target = self.targets_for(picker.filter.text()).get(picker.index).copied();
                match target {
                    Some(target) => self.go(target, effects),
                    None => self.overlay = Some(Overlay::GoTo(picker)),
                }
            }
            Some(other) => self.overlay = Some(other),
            None => {
                let name = self.welcome.field.text().trim().to_owned();
                if !name.is_empty() {
                    self.ask(Command::CreateIdentity { name }, Asked::Identity, effects);
                }
            }
        }
    }

    fn submit_prompt(&mut self, mut prompt: Prompt, effects: &mut Vec<Effect>) {
        let text = prompt.field.text().trim().to_owned();
        if text.is_empty() {
            prompt.error = Some("write something, or Esc to go back".to_owned());
            self.overlay = Some(Overlay::Prompt(prompt));
            return;
        }
        match prompt.purpose {
            Purpose::NewIdentity => {
                self.ask(Command::CreateIdentity { name: text }, Asked::Identity, effects);
            }
            Purpose::AddKey => match (self.options.invites.read)(&text) {
                Ok(key) => self.prompt(Purpose::AddName(key)),
                Err(why) => {
                    prompt.error = Some(sentence(&why));
                    self.overlay = Some(Overlay::Prompt(prompt));
                }
            },
            Purpose::AddName(key) => {
                let Some(identity) = self.speaking else { return };
                let command = Command::AddContact { identity, key, petname: text };
                self.ask(command, Asked::Contact, effects);
            }
            Purpose::Accept(request) => {
                let command = Command::AcceptRequest { request, petname: text };
                self.ask(command, Asked::Contact, effects);
            }
            Purpose::Rekey(contact) => match (self.options.invites.read)(&text) {
                Ok(key) => self.ask(Command::Rekey { contact, key }, Asked::Other, effects),
                Err(why) => {
                    prompt.error = Some(sentence(&why));
                    self.overlay = Some(Overlay::Prompt(prompt));
                }
            },
            Purpose::Search(contact) => self.search(contact, text, effects),
            Purpose::AcceptUnverified(contact) if text == "accept" => {
                self.ask(Command::AcceptUnverified { contact }, Asked::Other, effects);
            }
            Purpose::AcceptUnverified(_) => {
                prompt.error = Some("that is another word; sending stays held".to_owned());
                self.overlay = Some(Overlay::Prompt(prompt));
            }
            Purpose::Rename(contact) => {
                let command = Command::RenameContact { contact, petname: text };
                self.ask(command, Asked::Other, effects);
            }
        }
    }

    /// Where the picker can go with what is written in it.
    pub(in crate::shell::ui) fn targets(&self) -> Vec<Target> {
        let Some(Overlay::GoTo(picker)) = &self.overlay else { return Vec::new() };
        self.targets_for(picker.filter.text())
    }

    pub(super) fn targets_for(&self, wanted: &str) -> Vec<Target> {
        const PAGES: [UiPage; 4] =
            [UiPage::Contacts, UiPage::Network, UiPage::Identities, UiPage::Help];
        let chats = self.contacts(Kind::Listened).into_iter().map(|chat| Target::Chat(chat.id()));
        let pages = PAGES.into_iter().map(Target::Page);
        let mut targets: Vec<_> =
            chats.chain(pages).filter(|target| fits(wanted, &self.target_name(*target))).collect();
        // Letters that stand together mean more than letters that stand anywhere.
        let wanted = wanted.trim().to_lowercase();
        targets.sort_by_key(|target| !self.target_name(*target).to_lowercase().contains(&wanted));
        targets
    }

    /// What the picker calls a target.
    pub(in crate::shell::ui) fn target_name(&self, target: Target) -> String {
        match target {
            Target::Chat(id) => {
                self.chats.get(&id).map(|chat| label(&chat.contact.petname)).unwrap_or_default()
            }
            Target::Page(UiPage::Chats) => "chats".to_owned(),
            Target::Page(UiPage::Contacts) => "contacts and requests".to_owned(),
            Target::Page(UiPage::Network) => "network".to_owned(),
            Target::Page(UiPage::Identities) => "identities".to_owned(),
            Target::Page(UiPage::Help) => "help".to_owned(),
        }
    }

    pub(super) fn go(&mut self, target: Target, effects: &mut Vec<Effect>) {
        match target {
            Target::Chat(contact) => self.open_chat(contact, effects),
            Target::Page(place) => self.show(place),
        }
    }
}
