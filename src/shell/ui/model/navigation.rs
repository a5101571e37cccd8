//! The place of the person: the page, the overlay in front of it, the marked row, the open chat.
//! Knows the directory to read and never changes it; makes no calls.

use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};

use super::super::keys::{KeyContext, UiPage};
use super::chat::ContactChat;
use super::directory::{ChatDirectory, ContactFilter};
use super::overlay::{Confirmation, GoneSubject, Overlay, QuestionSight};
use super::prompt::{Prompt, PromptPurpose};
use super::{FollowNewest, ScrollPosition};
use crate::shell::api::calls::AnyCall;

/// The place of the person.
pub(in crate::shell::ui) struct Navigation {
    pub(in crate::shell::ui) page: UiPage,
    /// The overlay in front of the page.
    pub(in crate::shell::ui) overlay: Option<Overlay>,
    pub(in crate::shell::ui) tab: ContactsTab,
    /// The index of the marked row of the list.
    pub(in crate::shell::ui) row: usize,
    /// The marked row itself. Rows come, go and change places by themselves; a key is meant for the
    /// one that its person has marked.
    mark: Option<ListRow>,
    /// Whether what is marked was on the screen, if its person did not mark it.
    mark_sight: QuestionSight,
    /// The identity the person speaks as.
    pub(in crate::shell::ui) speaking: Option<IdentityId>,
    /// The open chat.
    pub(in crate::shell::ui) open: Option<ContactId>,
    following: FollowNewest,
    hands: Hands,
}

/// Whether the person has pressed a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hands {
    /// Not yet.
    Idle,
    /// From the first key on only what the person does opens a chat: one that opened by itself would
    /// get what is being typed.
    OnKeys,
}

/// The lists on the page of contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum ContactsTab {
    Contacts,
    Requests,
    Blocked,
}

/// A row of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListRow {
    Contact(ContactId),
    Request(RequestId),
    Identity(IdentityId),
}

impl ContactsTab {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Contacts => Self::Requests,
            Self::Requests => Self::Blocked,
            Self::Blocked => Self::Contacts,
        }
    }
}

impl Navigation {
    pub(super) const fn new() -> Self {
        Self {
            page: UiPage::Chats,
            overlay: None,
            tab: ContactsTab::Contacts,
            row: 0,
            mark: None,
            mark_sight: QuestionSight::Seen,
            speaking: None,
            open: None,
            following: FollowNewest::Yes,
            hands: Hands::Idle,
        }
    }

    /// The page, the chat or list on it, and the kind of overlay in front of it.
    pub(super) fn place(&self) -> impl PartialEq + use<> {
        let overlay = self.overlay.as_ref().map(core::mem::discriminant);
        (self.page, self.tab, self.open, overlay)
    }

    /// Goes to a page; the first row of a list is marked.
    pub(super) fn show(&mut self, page: UiPage, directory: &ChatDirectory) {
        self.overlay = None;
        self.page = page;
        self.mark_row(0, directory);
    }

    /// Goes to a list of the page of contacts.
    pub(super) fn show_tab(&mut self, tab: ContactsTab, directory: &ChatDirectory) {
        self.tab = tab;
        self.show(UiPage::Contacts, directory);
    }

    /// Notes that the person has pressed a key.
    pub(super) const fn note_hands(&mut self) {
        self.hands = Hands::OnKeys;
    }

    /// Opens the chat of a contact of this identity by itself, if nobody has pressed a key and none
    /// is open.
    pub(super) fn open_at_the_start(&mut self, contact: ContactId, identity: IdentityId) {
        if self.hands == Hands::Idle && self.open.is_none() && self.speaking == Some(identity) {
            self.open = Some(contact);
        }
    }

    /// Another identity speaks because the one that did is gone. Nobody asked for its chats: none
    /// opens, and the page stays.
    pub(super) const fn let_speak(&mut self, identity: Option<IdentityId>) {
        self.speaking = identity;
    }

    /// Closes the overlay, or goes back to the chats if there is none.
    pub(super) fn back(&mut self) {
        if self.overlay.take().is_none() {
            self.page = UiPage::Chats;
        }
    }

    /// Goes to a chat, at its newest message.
    pub(super) fn open_chat(&mut self, contact: ContactId) {
        self.page = UiPage::Chats;
        self.overlay = None;
        self.open = Some(contact);
        self.following = FollowNewest::Yes;
    }

    /// Changes the speaking identity; no chat is open then.
    pub(super) fn speak_as(&mut self, identity: Option<IdentityId>) {
        self.page = UiPage::Chats;
        self.overlay = None;
        self.speaking = identity;
        self.open = None;
    }

    /// Asks for something in an empty field.
    pub(super) fn prompt(&mut self, purpose: PromptPurpose) {
        self.overlay = Some(Overlay::Prompt(Prompt::new(purpose)));
    }

    /// Asks for something in a field that has this text in it.
    pub(super) fn prompt_with(&mut self, purpose: PromptPurpose, text: &str) {
        let mut prompt = Prompt::new(purpose);
        prompt.field.replace(text);
        self.overlay = Some(Overlay::Prompt(prompt));
    }

    /// Asks for the words to search for: in the open chat, or in all chats from another page. The
    /// words of a search that is shown are asked for again.
    pub(super) fn prompt_search(&mut self) {
        let (contact, words) = match &self.overlay {
            // With the words in it: a search is mostly tried again with one word more.
            Some(Overlay::Search(search)) => (search.contact, search.words.clone()),
            Some(_) | None if self.page == UiPage::Chats => (self.open, String::new()),
            Some(_) | None => (None, String::new()),
        };
        self.prompt_with(PromptPurpose::Search(contact), &words);
    }

    /// Asks whether to make a call, which can be undone.
    pub(super) fn confirm(&mut self, question: String, call: AnyCall) {
        let sight = QuestionSight::Unseen;
        self.overlay = Some(Overlay::Confirm(Confirmation { question, call, sight }));
    }

    /// Whether a question of one key waits that its person may not have seen.
    pub(in crate::shell::ui) fn has_unseen_question(&self) -> bool {
        self.overlay.as_ref().is_some_and(Overlay::is_unseen_question)
    }

    /// Whether something is marked, with nothing in front of it, that its person did not mark and may
    /// not have seen.
    pub(in crate::shell::ui) fn has_unseen_mark(&self) -> bool {
        self.overlay.is_none() && self.mark_sight == QuestionSight::Unseen
    }

    /// Notes that what waits in front, or what is marked, is on the screen.
    pub(super) const fn note_seen(&mut self) {
        match &mut self.overlay {
            Some(overlay) => overlay.note_seen(),
            None => self.mark_sight = QuestionSight::Seen,
        }
    }

    /// Something else is marked than the person has marked: keys act on it once it was seen.
    pub(super) const fn note_other_mark(&mut self) {
        self.mark_sight = QuestionSight::Unseen;
    }

    /// Shows the invite of the marked identity, or of the speaking one.
    pub(super) fn show_invite(&mut self, directory: &ChatDirectory) {
        let identity = match self.marked(directory) {
            // On the page of identities the marked one is meant, not the one that speaks.
            Some(ListRow::Identity(identity)) => Some(identity),
            Some(ListRow::Contact(_) | ListRow::Request(_)) | None => self.speaking,
        };
        self.overlay = identity.map(Overlay::Invite);
    }

    /// Marks the first target of the picker, after the text in it has changed.
    pub(super) fn mark_first_target(&mut self, directory: &ChatDirectory) {
        if let Some(Overlay::GoTo(picker)) = &mut self.overlay {
            picker.mark_first(directory, self.speaking);
        }
    }

    /// Goes to the next list of the page of contacts.
    pub(super) fn next_tab(&mut self, directory: &ChatDirectory) {
        if self.page == UiPage::Contacts {
            self.tab = self.tab.next();
            self.mark_row(0, directory);
        }
    }

    /// The rows of the list that is shown; none on a page without a list.
    fn rows(&self, directory: &ChatDirectory) -> Vec<ListRow> {
        let contacts = |kind| {
            let chats = directory.contacts_of(self.speaking, kind).into_iter();
            chats.map(|chat| ListRow::Contact(chat.id())).collect()
        };
        match (self.page, self.tab) {
            (UiPage::Identities, _) => {
                directory.identities().map(|one| ListRow::Identity(one.id)).collect()
            }
            (UiPage::Contacts, ContactsTab::Contacts) => contacts(ContactFilter::Listened),
            (UiPage::Contacts, ContactsTab::Blocked) => contacts(ContactFilter::Blocked),
            (UiPage::Contacts, ContactsTab::Requests) => {
                let requests = directory.requests_to(self.speaking).into_iter();
                requests.map(|request| ListRow::Request(request.id)).collect()
            }
            (UiPage::Chats | UiPage::Network | UiPage::Help, _) => Vec::new(),
        }
    }

    /// The marked row.
    pub(super) fn marked(&self, directory: &ChatDirectory) -> Option<ListRow> {
        // Of the list that is shown: another page may have had one, too.
        self.mark.filter(|mark| self.rows(directory).contains(mark))
    }

    /// Marks a row, or the last one if there are fewer, because the person says so.
    pub(super) fn mark_row(&mut self, row: usize, directory: &ChatDirectory) {
        let rows = self.rows(directory);
        self.row = row.min(rows.len().saturating_sub(1));
        self.mark = rows.get(self.row).copied();
        self.mark_sight = QuestionSight::Seen;
    }

    /// Follows the marked row to its place, after rows may have come, gone or changed places. If it
    /// is gone, the one in its place is marked.
    pub(super) fn follow_mark(&mut self, directory: &ChatDirectory) {
        let rows = self.rows(directory);
        if let Some(place) = rows.iter().position(|row| Some(*row) == self.mark) {
            self.row = place;
            return;
        }
        self.row = self.row.min(rows.len().saturating_sub(1));
        self.mark = rows.get(self.row).copied();
        if self.mark.is_some() {
            self.note_other_mark();
        }
    }

    /// Notes which part of the open chat the last drawing showed.
    pub(super) const fn on_drawn(&mut self, scroll_position: ScrollPosition) {
        self.following = match scroll_position {
            ScrollPosition::Newest | ScrollPosition::Whole => FollowNewest::Yes,
            ScrollPosition::Elsewhere | ScrollPosition::Middle | ScrollPosition::Oldest => {
                FollowNewest::No
            }
        };
    }

    /// Whether the newest message of the open chat is on the page.
    fn shows_newest(&self) -> bool {
        self.page == UiPage::Chats && self.following == FollowNewest::Yes
    }

    /// Whether the newest message of this chat is on the page.
    pub(super) fn shows_newest_of(&self, contact: ContactId) -> bool {
        self.open == Some(contact) && self.shows_newest()
    }

    /// Whether the newest message of the open chat is in view: on the page, and no overlay hides
    /// it.
    pub(super) fn can_read_newest(&self) -> bool {
        self.shows_newest() && self.overlay.is_none()
    }

    /// A contact is gone: closes its chat. An overlay about it says so, and is the person's to close:
    /// keys that were meant for it would act on what is behind.
    pub(super) fn forget_contact(&mut self, gone: ContactId) {
        if self.open == Some(gone) {
            self.open = None;
        }
        if self.overlay.as_mut().is_some_and(|overlay| overlay.forget_contact(gone)) {
            self.overlay = Some(Overlay::Gone(GoneSubject::Contact));
        }
    }

    /// A message was erased: an overlay about it says so.
    pub(super) fn forget_message(&mut self, gone: MessageId) {
        if self.overlay.as_mut().is_some_and(|overlay| overlay.forget_message(gone)) {
            self.overlay = Some(Overlay::Gone(GoneSubject::Message));
        }
    }

    /// An identity of ours is gone: an overlay that shows its invite says so.
    pub(super) fn forget_identity(&mut self, gone: IdentityId) {
        if matches!(self.overlay, Some(Overlay::Invite(whose)) if whose == gone) {
            self.overlay = Some(Overlay::Gone(GoneSubject::Identity));
        }
    }

    /// The context in which the next key is read.
    pub(super) fn key_context(&self, directory: &ChatDirectory) -> KeyContext {
        if let Some(overlay) = &self.overlay {
            return overlay.key_context();
        }
        match self.page {
            UiPage::Chats if directory.has_no_identity() => KeyContext::Field,
            UiPage::Chats => match self.current(directory) {
                // Before the hold: messages can be looked at while sending is paused.
                Some(chat) if chat.chosen.is_some() => KeyContext::Browsing,
                Some(chat) if chat.is_held() => KeyContext::Held,
                Some(_) | None => KeyContext::Typing,
            },
            UiPage::Contacts | UiPage::Identities => KeyContext::List,
            UiPage::Network | UiPage::Help => KeyContext::Page,
        }
    }

    /// The open chat.
    pub(super) fn current<'d>(&self, directory: &'d ChatDirectory) -> Option<ContactChat<'d>> {
        directory.chat(self.open?)
    }
}
