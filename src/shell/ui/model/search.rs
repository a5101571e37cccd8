//! Searching messages, and going to one that was found.

use crate::engine::event::MessageView;
use crate::engine::id::{ContactId, MessageId};

use super::super::keys::ChooseAction;
use super::chat::{Chat, HistoryRange, HistoryWanted};
use super::overlay::QuestionSight;
use super::{Model, Overlay, PendingCall, Since, UiEffect, sentence};
use crate::shell::api::calls::{Call as _, Page, Search as SearchCall};

/// Most results that are held. A guess: a person who has read so many adds a word.
const MAX_RESULTS: usize = 500;

/// Results of one call.
const RESULTS_A_CALL: usize = 100;

/// Most parts of the history that are asked for to reach one message. With a hundred messages each
/// that is as many as a chat holds here.
const MAX_PARTS: usize = 20;

/// A search and its results.
pub(in crate::shell::ui) struct Search {
    /// The contact whose chat is searched; all chats if there is none.
    pub(in crate::shell::ui) contact: Option<ContactId>,
    pub(in crate::shell::ui) words: String,
    /// The results, newest first; `None` until the node has answered.
    pub(in crate::shell::ui) found: Option<Vec<MessageView>>,
    /// Whether there are older ones.
    pub(in crate::shell::ui) more: bool,
    pub(in crate::shell::ui) index: usize,
    pub(super) sight: QuestionSight,
}

impl Search {
    pub(super) const fn new(contact: Option<ContactId>, words: String) -> Self {
        let sight = QuestionSight::Seen;
        Self { contact, words, found: None, more: false, index: 0, sight }
    }

    /// Takes the results in. The row that was marked stays marked, or the last one if there are
    /// fewer.
    fn set_results(&mut self, found: Page<MessageView>) {
        let Page { mut items, more } = found;
        items.truncate(MAX_RESULTS);
        self.found = Some(items);
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

    /// Removes a message that was erased from the results.
    pub(super) fn forget_message(&mut self, gone: MessageId) {
        self.keep(|message| message.id != gone);
    }

    /// Removes the results in the chat of a contact that is gone.
    pub(super) fn forget_contact(&mut self, gone: ContactId) {
        self.keep(|message| message.contact != gone);
    }

    /// Keeps the results of which this is so. The marked one stays marked; if it is gone, the next
    /// one is, and keys act on that once it was seen.
    fn keep(&mut self, is_kept: impl Fn(&MessageView) -> bool) {
        let marked = self.marked();
        if let Some(found) = &mut self.found {
            found.retain(|message| is_kept(message));
        }
        let place = self.results().iter().position(|one| Some((one.contact, one.id)) == marked);
        if place.is_none() && marked.is_some() {
            self.sight = QuestionSight::Unseen;
        }
        self.mark(place.unwrap_or(self.index));
    }
}

/// The way back through the history of the open chat to one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HistorySeek {
    contact: ContactId,
    message: MessageId,
    /// How many parts of the history may still be asked for.
    parts: usize,
}

/// The next step on the way to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeekStep {
    /// Nothing: the message is here, and chosen.
    Arrived,
    /// A part of the history that was asked for and has not come.
    Waits,
    /// This part of the history.
    Asks(HistoryRange),
    /// Nothing: the message is not in the part of the history that may be asked for.
    OutOfReach,
}

impl HistorySeek {
    pub(super) const fn new(contact: ContactId, message: MessageId) -> Self {
        Self { contact, message, parts: MAX_PARTS }
    }

    /// Chooses the message if the chat holds it, and goes one part further back if not. The part
    /// is to be asked for.
    pub(super) fn step(&mut self, chat: &mut Chat) -> SeekStep {
        if chat.holds(self.message) {
            chat.chosen = Some(self.message);
            return SeekStep::Arrived;
        }
        // Asking again before the part has come would bring the same part twice.
        if chat.awaits_history() {
            return SeekStep::Waits;
        }
        let Some(parts) = self.parts.checked_sub(1) else { return SeekStep::OutOfReach };
        let Some(range) = chat.range_to_ask(HistoryWanted::Older) else {
            return SeekStep::OutOfReach;
        };
        self.parts = parts;
        SeekStep::Asks(range)
    }
}

/// Searches for words in a chat, or in all of them.
pub(super) fn search(
    model: &mut Model,
    contact: Option<ContactId>,
    words: String,
    effects: &mut Vec<UiEffect>,
) {
    let call = SearchCall {
        text: words.clone(),
        contact: contact.map(Into::into),
        before: None,
        limit: RESULTS_A_CALL,
    };
    let about = PendingCall::Search(contact, words.clone());
    if model.ask(call.into_any(), about, effects) {
        model.navigation.overlay = Some(Overlay::Search(Search::new(contact, words)));
    }
}

/// Takes the results of a search in. Results of an older search are ignored, and so are messages of
/// another identity than the speaking one.
pub(super) fn on_found(
    model: &mut Model,
    contact: Option<ContactId>,
    words: &str,
    mut found: Page<MessageView>,
) {
    let Some(Overlay::Search(search)) = &mut model.navigation.overlay else { return };
    // The answer to an earlier search came late.
    if search.contact != contact || search.words != words {
        return;
    }
    // The node searches the store of all identities. One list of two of them would show that
    // both are one person's.
    found.items.retain(|message| {
        let chat = model.directory.chat(message.contact);
        chat.is_some_and(|chat| Some(chat.contact.identity) == model.navigation.speaking)
    });
    search.set_results(found);
}

/// A search was not carried out: there are no results to wait for. Its list goes, unless keys were
/// pressed in it meanwhile: the next ones would be for what is behind.
pub(super) fn on_refused(
    model: &mut Model,
    (contact, words): (Option<ContactId>, &str),
    why: &str,
    since: Since,
) {
    model.say_hint(format!("{}; nothing was searched", sentence(why)));
    if let Some(Overlay::Search(search)) = &mut model.navigation.overlay
        && search.contact == contact
        && search.words == words
    {
        match since {
            Since::Nothing => model.navigation.overlay = None,
            Since::Keys => search.set_results(Page { items: Vec::new(), more: false }),
        }
    }
}

/// Keys in the list of results.
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

/// Opens a chat, and goes to a message in it as soon as the message is here.
fn jump(model: &mut Model, contact: ContactId, message: MessageId, effects: &mut Vec<UiEffect>) {
    if model.directory.chat(contact).is_none() {
        model.say_hint("this contact was removed in the meantime");
        return;
    }
    model.open_chat(contact, effects);
    model.seek = Some(HistorySeek::new(contact, message));
    go_on_seeking(model, effects);
}

/// Takes the next step on the way to a message.
pub(super) fn go_on_seeking(model: &mut Model, effects: &mut Vec<UiEffect>) {
    let Some(mut seek) = model.seek.take() else { return };
    let contact = seek.contact;
    // Another chat was opened meanwhile: the person is not taken back.
    let Some(chat) = model.current_mut().filter(|chat| chat.id() == contact) else { return };
    match seek.step(chat) {
        SeekStep::Arrived => {}
        SeekStep::Waits => model.seek = Some(seek),
        SeekStep::Asks(range) => {
            model.seek = Some(seek);
            model.ask_for_range(contact, range, effects);
        }
        SeekStep::OutOfReach => {
            model.say_hint("this message is too old to scroll to, or was deleted");
        }
    }
}
