//! Lists, fields and the picker: what is chosen, and what is asked for then.

use crate::engine::command::Command;
use crate::engine::event::SessionStatus;
use crate::engine::id::{ContactId, IdentityId, RequestId};

use super::super::keys::{ListAction, RowAction};
use super::navigation::ListRow;
use super::{Model, PendingCommand, PromptPurpose, UiEffect, label, verify};

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
}
