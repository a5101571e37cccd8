//! Searching what was written, and going to where it was found.

use crate::engine::event::MessageView;
use crate::engine::id::{ContactId, MessageId};

use super::super::keys::ChooseAction;
use super::chat::{Chat, HistoryWanted};
use super::{Model, Overlay, UiEffect};
use crate::shell::api::{ClientRequest, HasMore};

/// Most results that are held. A guess: who has read so many searches for more words.
const MAX_RESULTS: usize = 500;

/// Most parts of the past that are asked for to reach one message. With a hundred messages each
/// that is as many as a conversation holds here.
const MAX_PARTS: usize = 20;

/// What is searched for, and what was found.
pub(in crate::shell::ui) struct Search {
    /// In whose conversation; in all of them if nobody's.
    pub(in crate::shell::ui) contact: Option<ContactId>,
    pub(in crate::shell::ui) words: String,
    /// Newest first; nothing until the runtime has answered.
    pub(in crate::shell::ui) found: Option<Vec<MessageView>>,
    pub(in crate::shell::ui) more: HasMore,
    pub(in crate::shell::ui) index: usize,
}

impl Search {
    pub(super) const fn new(contact: Option<ContactId>, words: String) -> Self {
        Self { contact, words, found: None, more: HasMore::No, index: 0 }
    }

    /// Shows what was found, and marks the row that was marked, or the last one if there are fewer.
    fn set_results(&mut self, mut messages: Vec<MessageView>, more: HasMore) {
        messages.truncate(MAX_RESULTS);
        self.found = Some(messages);
        self.more = more;
        self.mark(self.index);
    }

    fn results(&self) -> &[MessageView] {
        self.found.as_deref().unwrap_or_default()
    }

    /// Marks a row, or the last one if there are fewer.
    fn mark(&mut self, index: usize) {
        self.index = index.min(self.results().len().saturating_sub(1));
    }

    /// The chat and the message of the marked row.
    fn marked(&self) -> Option<(ContactId, MessageId)> {
        self.results().get(self.index).map(|message| (message.contact, message.id))
    }

    /// A contact is gone: what was found with them, too.
    pub(super) fn forget_contact(&mut self, gone: ContactId) {
        if let Some(found) = &mut self.found {
            found.retain(|message| message.contact != gone);
            self.mark(self.index);
        }
    }
}

/// A message that is looked for in the past of the chat that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HistorySeek {
    contact: ContactId,
    message: MessageId,
    /// So many parts of the past may still be asked for.
    parts: usize,
}

/// How far a message that is looked for is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeekStep {
    /// It is here, and chosen.
    Arrived,
    /// A part of the past was asked for and has not come.
    Waits,
    /// The part of the past before this message is to be asked for; the newest part if there is none.
    Asks(Option<MessageId>),
    /// It is not in what can be asked for.
    OutOfReach,
}

impl HistorySeek {
    pub(super) const fn new(contact: ContactId, message: MessageId) -> Self {
        Self { contact, message, parts: MAX_PARTS }
    }

    /// Chooses the message if the chat holds it, and goes one part further back if not.
    pub(super) fn step(&mut self, chat: &mut Chat) -> SeekStep {
        if chat.holds(self.message) {
            chat.chosen = Some(self.message);
            return SeekStep::Arrived;
        }
        if chat.awaits_history() {
            return SeekStep::Waits;
        }
        let Some(parts) = self.parts.checked_sub(1) else { return SeekStep::OutOfReach };
        let Some(before) = chat.ask_for_history(HistoryWanted::Older) else {
            return SeekStep::OutOfReach;
        };
        self.parts = parts;
        SeekStep::Asks(before)
    }
}

/// Searches for words in a chat, or in all of them.
pub(super) fn search(
    model: &mut Model,
    contact: Option<ContactId>,
    words: String,
    effects: &mut Vec<UiEffect>,
) {
    effects.push(UiEffect::Request(ClientRequest::Search { contact, words: words.clone() }));
    model.navigation.overlay = Some(Overlay::Search(Search::new(contact, words)));
}

/// The runtime has found something. What answers an older question is passed over, and so is what
/// belongs to another identity than the one that speaks.
pub(super) fn on_found(
    model: &mut Model,
    contact: Option<ContactId>,
    words: &str,
    (mut messages, more): (Vec<MessageView>, HasMore),
) {
    let Some(Overlay::Search(search)) = &mut model.navigation.overlay else { return };
    if search.contact != contact || search.words != words {
        return;
    }
    messages.retain(|message| {
        let chat = model.directory.chats.get(&message.contact);
        chat.is_some_and(|chat| Some(chat.contact.identity) == model.navigation.speaking)
    });
    search.set_results(messages, more);
}

/// Keys in the list of what was found.
pub(super) fn choose(model: &mut Model, key: ChooseAction, effects: &mut Vec<UiEffect>) {
    let Some(Overlay::Search(search)) = &mut model.navigation.overlay else { return };
    match key {
        ChooseAction::Up => search.mark(search.index.saturating_sub(1)),
        ChooseAction::Down => search.mark(search.index + 1),
        ChooseAction::Take => {
            if let Some((contact, message)) = search.marked() {
                jump(model, contact, message, effects);
            }
        }
    }
}

/// Opens a chat at a message, as soon as that is here.
fn jump(model: &mut Model, contact: ContactId, message: MessageId, effects: &mut Vec<UiEffect>) {
    if !model.directory.chats.contains_key(&contact) {
        model.say_hint("this contact was removed meanwhile");
        return;
    }
    model.open_chat(contact, effects);
    model.seek = Some(HistorySeek::new(contact, message));
    go_on_seeking(model, effects);
}

/// Chooses the message that is looked for if it is here, and asks for more of the past if not.
pub(super) fn go_on_seeking(model: &mut Model, effects: &mut Vec<UiEffect>) {
    let Some(mut seek) = model.seek.take() else { return };
    let contact = seek.contact;
    // Another chat was opened meanwhile: the person is not taken back.
    let Some(chat) = model.current_mut().filter(|chat| chat.id() == contact) else { return };
    match seek.step(chat) {
        SeekStep::Arrived => {}
        SeekStep::Waits => model.seek = Some(seek),
        SeekStep::Asks(before) => {
            effects.push(UiEffect::Request(ClientRequest::History { contact, before }));
            model.seek = Some(seek);
        }
        SeekStep::OutOfReach => {
            model.say_hint("this message is older than what can be scrolled to, or was erased");
        }
    }
}
