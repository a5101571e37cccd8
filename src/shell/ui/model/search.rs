//! Searching what was written, and going to where it was found.

use crate::engine::event::MessageView;
use crate::engine::id::{ContactId, MessageId};

use super::super::keys::ChooseAction;
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
    /// A contact is gone: what was found with them, too.
    pub(super) fn forget_contact(&mut self, gone: ContactId) {
        if let Some(found) = &mut self.found {
            found.retain(|message| message.contact != gone);
            self.index = self.index.min(found.len().saturating_sub(1));
        }
    }
}

/// A message that is looked for in the past of the open conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HistorySeek {
    contact: ContactId,
    message: MessageId,
    parts: usize,
}

impl Model {
    pub(super) fn search(
        &mut self,
        contact: Option<ContactId>,
        words: String,
        effects: &mut Vec<UiEffect>,
    ) {
        effects.push(UiEffect::Request(ClientRequest::Search { contact, words: words.clone() }));
        let search = Search { contact, words, found: None, more: HasMore::No, index: 0 };
        self.navigation.overlay = Some(Overlay::Search(search));
    }

    /// The runtime has found something. What answers an older question is passed over, and so is what
    /// belongs to another identity than the one that speaks.
    pub(super) fn found(
        &mut self,
        contact: Option<ContactId>,
        words: &str,
        (mut messages, more): (Vec<MessageView>, HasMore),
    ) {
        let Some(Overlay::Search(search)) = &mut self.navigation.overlay else { return };
        if search.contact != contact || search.words != words {
            return;
        }
        messages.retain(|message| {
            let chat = self.directory.chats.get(&message.contact);
            chat.is_some_and(|chat| Some(chat.contact.identity) == self.navigation.speaking)
        });
        messages.truncate(MAX_RESULTS);
        search.index = search.index.min(messages.len().saturating_sub(1));
        search.found = Some(messages);
        search.more = more;
    }

    pub(super) fn choose_found(&mut self, key: ChooseAction, effects: &mut Vec<UiEffect>) {
        let Some(Overlay::Search(search)) = &mut self.navigation.overlay else { return };
        let found = search.found.as_deref().unwrap_or_default();
        match key {
            ChooseAction::Up => search.index = search.index.saturating_sub(1),
            ChooseAction::Down => {
                search.index = (search.index + 1).min(found.len().saturating_sub(1))
            }
            ChooseAction::Take => {
                let target = found.get(search.index).map(|message| (message.contact, message.id));
                if let Some((contact, message)) = target {
                    self.jump(contact, message, effects);
                }
            }
        }
    }

    /// Opens a conversation at a message, as soon as that is here.
    fn jump(&mut self, contact: ContactId, message: MessageId, effects: &mut Vec<UiEffect>) {
        if !self.directory.chats.contains_key(&contact) {
            self.say_hint("this contact was removed meanwhile");
            return;
        }
        self.open_chat(contact, effects);
        self.seek = Some(HistorySeek { contact, message, parts: MAX_PARTS });
        self.go_on_seeking(effects);
    }

    /// Chooses the message that is looked for if it is here, and asks for more of the past if not.
    pub(super) fn go_on_seeking(&mut self, effects: &mut Vec<UiEffect>) {
        let Some(mut seek) = self.seek.take() else { return };
        let Some(chat) = self.current_mut().filter(|chat| chat.id() == seek.contact) else {
            return;
        };
        if chat.holds(seek.message) {
            chat.chosen = Some(seek.message);
            return;
        }
        if chat.awaits_past() {
            self.seek = Some(seek);
            return;
        }
        let asked = effects.len();
        if seek.parts > 0 {
            self.ask_for_past(super::chat::HistoryWanted::Older, effects);
        }
        if effects.len() == asked {
            self.say_hint("this message is older than what can be scrolled to, or was erased");
            return;
        }
        seek.parts -= 1;
        self.seek = Some(seek);
    }
}
