//! Keys in the lists of contacts, requests and identities.

use crate::engine::event::SessionStatus;
use crate::engine::id::{ContactId, IdentityId, RequestId};

use super::super::keys::{ListAction, RowAction};
use super::navigation::ListRow;
use super::{Erasure, Model, PendingCall, PromptPurpose, UiEffect, prompt, verify};
use crate::shell::api::calls::{Call as _, ContactSet, ContactUnblock, RequestDecline};

/// Which way a switch is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadMarksSwitch {
    On,
    Off,
}

pub(super) fn act(model: &mut Model, key: ListAction, effects: &mut Vec<UiEffect>) {
    let (navigation, directory) = (&mut model.navigation, &model.directory);
    match key {
        ListAction::Up => navigation.mark_row(navigation.row.saturating_sub(1), directory),
        ListAction::Down => navigation.mark_row(navigation.row + 1, directory),
        ListAction::First => navigation.mark_row(0, directory),
        ListAction::Last => navigation.mark_row(usize::MAX, directory),
        ListAction::NextTab => navigation.next_tab(directory),
        ListAction::Add => prompt::ask_for_contact(model, None),
        ListAction::New => navigation.prompt(PromptPurpose::NewIdentity),
        ListAction::Invite => navigation.show_invite(directory),
        ListAction::Row(action) => match navigation.marked(directory) {
            Some(ListRow::Contact(contact)) => act_on_contact(model, contact, action, effects),
            Some(ListRow::Request(request)) => act_on_request(model, request, action),
            Some(ListRow::Identity(identity)) => act_on_identity(model, identity, action, effects),
            None => {}
        },
    }
}

pub(super) fn act_on_contact(
    model: &mut Model,
    contact: ContactId,
    action: RowAction,
    effects: &mut Vec<UiEffect>,
) {
    let Some(chat) = model.directory.chat(contact) else { return };
    let (name, navigation) = (chat.name(), &mut model.navigation);
    match action {
        RowAction::Open => model.open_chat(contact, effects),
        RowAction::Rename => navigation.prompt_with(PromptPurpose::Rename(contact), &name),
        // Without a question: unblocking loses nothing. Blocking erases the session.
        RowAction::Block if chat.contact.session == SessionStatus::Blocked => {
            let call = ContactUnblock { contact: contact.into() };
            model.ask(call.into_any(), PendingCall::Other, effects);
        }
        RowAction::Block => navigation.prompt(PromptPurpose::Erase(Erasure::Block(contact))),
        RowAction::Remove => navigation.prompt(PromptPurpose::Erase(Erasure::Contact(contact))),
        RowAction::Verify => verify::open(model, contact),
        RowAction::Rekey => navigation.prompt(PromptPurpose::Rekey(contact)),
        RowAction::ReadMarks if chat.contact.read_receipts => {
            turn_read_marks(model, contact, ReadMarksSwitch::Off, effects);
        }
        RowAction::ReadMarks => turn_read_marks(model, contact, ReadMarksSwitch::On, effects),
        RowAction::Accept | RowAction::Decline => {}
    }
}

fn act_on_request(model: &mut Model, request: RequestId, action: RowAction) {
    match action {
        // Enter does not accept, it asks for a name: accepting shows the stranger that somebody is
        // here.
        RowAction::Open | RowAction::Accept => {
            model.navigation.prompt(PromptPurpose::Accept(request));
        }
        RowAction::Decline => decline(model, request),
        RowAction::Rename
        | RowAction::Block
        | RowAction::Remove
        | RowAction::Verify
        | RowAction::Rekey
        | RowAction::ReadMarks => {}
    }
}

/// Declines a request, after a question: another one may have come to stand in the marked row just
/// now. One key is enough: the stranger, who is sent nothing as before, can ask again.
pub(super) fn decline(model: &mut Model, request: RequestId) {
    let Some(request) = model.directory.request(request) else { return };
    let key: String = request.key.hex().chars().take(KEY_DIGITS).collect();
    let call = RequestDecline { request: request.reference() };
    model.navigation.confirm(format!("decline the request of {key}..?"), call.into_any());
}

/// Digits of a stranger's key that tell requests apart, as the list shows them.
const KEY_DIGITS: usize = 8;

fn act_on_identity(
    model: &mut Model,
    identity: IdentityId,
    action: RowAction,
    effects: &mut Vec<UiEffect>,
) {
    match action {
        RowAction::Open => model.speak_as(Some(identity), effects),
        RowAction::Remove => {
            model.navigation.prompt(PromptPurpose::Erase(Erasure::Identity(identity)));
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

/// Turns read receipts on or off. Turning them on tells the contact when this person reads, so it
/// is asked about.
pub(super) fn turn_read_marks(
    model: &mut Model,
    contact: ContactId,
    turn: ReadMarksSwitch,
    effects: &mut Vec<UiEffect>,
) {
    let Some(chat) = model.directory.chat(contact) else { return };
    let name = chat.name();
    let set = |on| {
        let read_marks = Some(on);
        ContactSet { contact: contact.into(), read_marks, max_work: None }.into_any()
    };
    match turn {
        ReadMarksSwitch::On => model.navigation.confirm(
            format!("send read marks to {name}, and see theirs if they turn them on too?"),
            set(true),
        ),
        ReadMarksSwitch::Off => {
            model.say_hint(format!("read marks with {name} are off"));
            model.ask(set(false), PendingCall::Other, effects);
        }
    }
}
