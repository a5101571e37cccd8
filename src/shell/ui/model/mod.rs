//! The state of the interface: what it knows and where its user is. No terminal, no clock, no
//! channel.
//!
//! Events of the node come in by [`Model::on_event`], answers to calls by [`Model::on_answer`], keys
//! of the person by [`Model::on_key`] and [`Model::paste`]. What is to be done outside comes back as
//! [`UiEffect`]s. Drawing reads a model and never changes it.
//!
//! State with rules of its own lies in plain structs that know no model and answer what happened:
//! `ChatDirectory` holds who the node knows and the chats, `Navigation` where the person is,
//! `PendingCalls` what answers are waited for, `NodeReport` and `TimedStatus` are what the
//! status lines show, and `Prompt`, `Erasure`, `Search`, `HistorySeek` and `Verify` each know one
//! thing that is asked, erased, sought or compared. The functions over a model, a file for each part of the interface
//! (`composing`, `lists`, `slash_actions`, `search`, `verify`, `events`), turn those answers into
//! effects and hints; `update` finds the one for a key.

mod chat;
mod composing;
mod directory;
mod erasure;
mod events;
mod go_to;
mod lists;
mod navigation;
mod node_report;
mod overlay;
mod pending;
mod prompt;
mod search;
mod slash_actions;
mod timed_status;
mod update;
mod verify;

#[cfg(test)]
mod tests;

use crossterm::event::{KeyEvent, KeyModifiers};

use crate::engine::env::UnixSeconds;
use crate::engine::event::{Direction, WaitsFor};
use crate::engine::id::{ContactId, IdentityId};
use crate::engine::secret::opaque_debug;
use crate::engine::text::UntrustedText;

pub(super) use chat::{Chat, ContactChat};
pub(super) use directory::ContactFilter;
pub(super) use erasure::Erasure;
pub(super) use go_to::{GoToPicker, GoToTarget};
pub(super) use navigation::ContactsTab;
pub use node_report::NodeHost;
pub(super) use node_report::NodeLink;
pub(super) use overlay::{GoneSubject, Leaving, Overlay, QrPolarity};
pub use pending::CallId;
pub(super) use prompt::{Prompt, PromptPurpose};
pub(super) use search::Search;
pub(super) use timed_status::MINING_STEP_SECONDS;
pub(super) use verify::{CompareMethod, Mismatch, Remedy, Verify};

use super::composer::{Composer, LineMode};
use super::keys::{self, KeyAction, KeyContext, ScrollAction, UiPage};
use super::options::UiOptions;
use crate::shell::api::calls::{AnyCall, AnyReply, Around, Call as _, History, Read, Status};
use crate::shell::api::{Event, Request};
use crate::shell::failure::{Failure, FailureCode};
use chat::{HistoryRange, HistoryWanted};
use directory::ChatDirectory;
use navigation::Navigation;
use node_report::NodeReport;
use pending::{PendingCall, PendingCalls, Since};
use search::HistorySeek;
use timed_status::TimedStatus;

/// The state of the interface.
pub struct Model {
    pub(super) options: UiOptions,
    pub(super) directory: ChatDirectory,
    pub(super) navigation: Navigation,
    pub(super) node: NodeReport,
    pub(super) status: TimedStatus,
    /// The field for the name of the first identity, shown while there is none.
    pub(super) welcome: Prompt,
    /// The composer while no chat is open: for slash commands, and for what was being written when
    /// the open chat went.
    pub(super) scratch: Composer,
    /// The polarity of QR codes.
    pub(super) qr_polarity: QrPolarity,
    pending: PendingCalls,
    seek: Option<HistorySeek>,
    quit_mode: QuitMode,
    /// When Ctrl+C was pressed the last time.
    interrupted: Option<UnixSeconds>,
}

opaque_debug!(struct Model {
    options, directory, navigation, node, status, welcome, scratch, qr_polarity, pending, seek,
    quit_mode, interrupted,
});

/// An act outside the model.
#[derive(Clone, Debug)]
pub enum UiEffect {
    /// Call a method of the node, and hand the answer to [`Model::on_answer`] under this id.
    Call(CallId, AnyCall),
    /// Scroll the transcript.
    Scroll(ScrollAction),
    /// Draw every cell again.
    Redraw,
    /// Give the terminal back and stop until continued.
    Suspend,
    /// Ring the terminal's bell.
    Bell,
    /// End the interface.
    Quit(QuitReason),
}

/// Whether the passing of time changed the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChange {
    /// A clock, a hint or a count of seconds is another one.
    Visible,
    /// The picture is the same.
    Invisible,
}

/// The reason why the interface ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuitReason {
    /// Its user asked for it.
    Asked,
    /// There is no node any more.
    Fatal,
}

/// Which part of the open chat the last drawing showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrollPosition {
    /// No chat was drawn.
    Elsewhere,
    /// Its newest message, but not its oldest.
    Newest,
    /// Neither end.
    Middle,
    /// Its oldest message, but not its newest.
    Oldest,
    /// All of it.
    Whole,
}

/// Whether the newest message is in view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FollowNewest {
    Yes,
    No,
}

/// When the interface ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QuitMode {
    /// It does not.
    No,
    /// As soon as it is known that nobody else uses the node, and no message waits.
    WhenKnown,
    /// As soon as no message of ours waits to leave this machine.
    WhenAllHasLeft,
}

impl Model {
    /// An empty model, before the first event of the node.
    #[must_use]
    pub fn new(options: UiOptions) -> Self {
        Self {
            directory: ChatDirectory::new(options.max_text),
            navigation: Navigation::new(),
            node: NodeReport::default(),
            status: TimedStatus::new((options.clock)()),
            welcome: Prompt::new(PromptPurpose::NewIdentity),
            scratch: Composer::new(LineMode::Many, options.max_text),
            qr_polarity: QrPolarity::Dark,
            pending: PendingCalls::new(),
            seek: None,
            quit_mode: QuitMode::No,
            interrupted: None,
            options,
        }
    }

    /// Takes an event of the node in.
    pub fn on_event(&mut self, event: Event) -> Vec<UiEffect> {
        let mut effects = Vec::new();
        events::receive(self, event, &mut effects);
        // The person chose to wait for this, and is not asked again.
        if self.quit_mode == QuitMode::WhenAllHasLeft && self.unsent() == 0 {
            quit(&mut effects);
        }
        effects
    }

    /// Takes the answer to a call in.
    pub fn on_answer(&mut self, id: CallId, reply: Result<AnyReply, Failure>) -> Vec<UiEffect> {
        let mut effects = Vec::new();
        events::on_answer(self, id, reply, &mut effects);
        effects
    }

    /// A node tells its present state from here on, with the figures of the network at the end, and
    /// then what happens next. What is gone in that state disappears; what is written stays.
    pub fn on_node_reached(&mut self, host: NodeHost) -> Vec<UiEffect> {
        let mut effects = Vec::new();
        (self.node.host, self.node.link) = (host, NodeLink::Reached);
        self.directory.expect_all();
        self.ask(Status {}.into_any(), PendingCall::Report, &mut effects);
        effects
    }

    /// The node stopped, and the next one is looked for.
    pub const fn on_node_lost(&mut self) {
        self.node.link = NodeLink::Sought;
    }

    /// There is no node any more: why, for a person to read.
    pub fn on_node_gone(&mut self, why: &Failure) {
        self.node.link = NodeLink::Reached;
        self.navigation.overlay = Some(Overlay::Fatal(why.why.clone()));
    }

    /// Does what a key says.
    pub fn on_key(&mut self, event: KeyEvent) -> Vec<UiEffect> {
        let mut effects = Vec::new();
        self.navigation.note_hands();
        // What was typed before a question was on the screen is no answer to it. A chord is no part
        // of a text, and keeps its meaning.
        if self.navigation.has_unseen_question() && !event.modifiers.contains(KeyModifiers::CONTROL)
        {
            return effects;
        }
        // A person who types stays where they are.
        self.seek = None;
        self.pending.note_key();
        self.read_what_is_shown(&mut effects);
        if let Some(Overlay::Fatal(_)) = self.navigation.overlay {
            // No letter and no Enter ends it: it comes while a person types, and says why only once.
            let leaves = matches!(
                keys::action(KeyContext::Page, event),
                Some(KeyAction::Quit | KeyAction::Interrupt)
            );
            return if leaves { vec![UiEffect::Quit(QuitReason::Fatal)] } else { effects };
        }
        if let Some(action) = keys::action(self.context(), event) {
            // It was pressed for what was marked before.
            if self.navigation.has_unseen_mark()
                && matches!(action, KeyAction::List(_) | KeyAction::Browse(_))
            {
                return effects;
            }
            // A person who goes on does not want to leave any more.
            if self.quit_mode == QuitMode::WhenKnown && action != KeyAction::Quit {
                self.quit_mode = QuitMode::No;
            }
            let (place, hint) = (self.navigation.place(), self.status.hint.take());
            self.update(action, &mut effects);
            // A hint is about the page on which it was said.
            if self.status.hint.is_none() && self.navigation.place() == place {
                self.status.hint = hint;
            }
        }
        effects
    }

    /// Takes a paste in. The paste itself never sends anything.
    pub fn paste(&mut self, pasted: &str) -> Vec<UiEffect> {
        self.navigation.note_hands();
        self.seek = None;
        self.pending.note_key();
        composing::paste(self, pasted);
        Vec::new()
    }

    /// Sets the present second.
    pub fn tick(&mut self, now: UnixSeconds) -> ClockChange {
        self.status.tick(now)
    }

    /// Notes which part of the open chat the last drawing showed, and asks for older messages if
    /// the oldest one is in view.
    pub fn on_drawn(&mut self, scroll_position: ScrollPosition) -> Vec<UiEffect> {
        self.navigation.on_drawn(scroll_position);
        let mut effects = Vec::new();
        // Before its reader scrolls on, so that the way up has no end in between.
        if matches!(scroll_position, ScrollPosition::Oldest | ScrollPosition::Whole) {
            self.ask_for_history(HistoryWanted::Older, &mut effects);
        }
        effects
    }

    /// Notes that the screen shows the question that waits, or what is marked, and that no key is left
    /// that was typed before it did: from here on keys answer it.
    pub fn on_question_seen(&mut self) {
        self.navigation.note_seen();
    }

    /// The context in which the next key is read.
    pub(super) fn context(&self) -> KeyContext {
        self.navigation.key_context(&self.directory)
    }

    /// The field or composer that takes what is typed.
    pub(super) fn field(&mut self) -> Option<&mut Composer> {
        let is_held = self.current().is_some_and(|chat| chat.is_held());
        if let Some(overlay) = &mut self.navigation.overlay {
            return overlay.field();
        }
        // Lists and pages take letters as commands: text that is typed on the wrong page goes
        // nowhere.
        if self.navigation.page != UiPage::Chats {
            return None;
        }
        if self.directory.has_no_identity() {
            return Some(&mut self.welcome.field);
        }
        match self.navigation.open.and_then(|open| self.directory.chat_mut(open)) {
            // The question about a contact on hold takes the composer's place; the draft stays.
            Some(_) if is_held => None,
            Some(chat) => Some(&mut chat.composer),
            None => Some(&mut self.scratch),
        }
    }

    /// The open chat.
    pub(super) fn current(&self) -> Option<ContactChat<'_>> {
        self.navigation.current(&self.directory)
    }

    fn current_mut(&mut self) -> Option<&mut Chat> {
        self.directory.chat_mut(self.navigation.open?)
    }

    /// The contacts of one kind that the speaking identity has, by name.
    pub(super) fn contacts(&self, kind: ContactFilter) -> Vec<ContactChat<'_>> {
        self.directory.contacts_of(self.navigation.speaking, kind)
    }

    /// The requests of strangers to the speaking identity, oldest first.
    pub(super) fn strangers(&self) -> Vec<&Request> {
        self.directory.requests_to(self.navigation.speaking)
    }

    /// The chats and pages that the speaking identity can go to by this name.
    fn targets_for(&self, wanted: &str) -> Vec<GoToTarget> {
        go_to::targets(&self.directory, self.navigation.speaking, wanted)
    }

    /// How many messages of ours have not left this machine.
    pub(super) fn unsent(&self) -> usize {
        // Messages from before this interface began are in the node's count alone.
        self.directory.unsent().max(self.node.queued())
    }

    /// Whether a message of ours that has not left waits for this.
    pub(super) fn is_held_back(&self, why: WaitsFor) -> bool {
        let is_unsent =
            |direction| matches!(direction, Direction::Outgoing(state) if state.is_unsent());
        self.directory.any_message(|contact, message| {
            is_unsent(message.direction) && contact.waits_for(message) == Some(why)
        })
    }

    pub(in crate::shell::ui) fn say_hint(&mut self, text: impl Into<String>) {
        self.status.say(text);
    }

    /// Calls a method of the node. Answers whether that was possible.
    fn ask(&mut self, call: AnyCall, about: PendingCall, effects: &mut Vec<UiEffect>) -> bool {
        // An id that nobody remembers would leave its answer without a meaning.
        let Some(id) = self.pending.add(about) else {
            self.say_hint("the node is busy; nothing was done, try again in a moment");
            return false;
        };
        effects.push(UiEffect::Call(id, call));
        true
    }

    fn ask_for_history(&mut self, wanted: HistoryWanted, effects: &mut Vec<UiEffect>) {
        if let Some(chat) = self.current()
            && let Some(range) = chat.range_to_ask(wanted)
        {
            let contact = chat.id();
            self.ask_for_range(contact, range, effects);
        }
    }

    fn ask_for_range(
        &mut self,
        contact: ContactId,
        range: HistoryRange,
        effects: &mut Vec<UiEffect>,
    ) {
        let around = match range {
            HistoryRange::Newest => Around::Newest,
            HistoryRange::Before(message) => Around::Message(message.into()),
        };
        let call = History { contact: contact.into(), around, before: MESSAGES_A_PART, after: 0 };
        if self.ask(call.into_any(), PendingCall::History(contact, range), effects)
            && let Some(chat) = self.directory.chat_mut(contact)
        {
            chat.history_asked();
        }
    }

    /// Marks the messages in view as read: a key was pressed, so a person is there.
    fn read_what_is_shown(&mut self, effects: &mut Vec<UiEffect>) {
        if !self.navigation.can_read_newest() {
            return;
        }
        let Some(chat) = self.current().filter(|chat| chat.contact.unread > 0) else { return };
        // What the node has counted may not be here yet: only what was shown was seen.
        let Some(message) = chat.to_be_read() else { return };
        let contact = chat.id();
        let call = Read { contact: contact.into(), up_to: message.into() };
        if self.ask(call.into_any(), PendingCall::Read(contact), effects)
            && let Some(chat) = self.directory.chat_mut(contact)
        {
            chat.set_read_up_to(Some(message));
        }
    }

    /// Goes to a page.
    fn show(&mut self, page: UiPage) {
        self.leave_chat();
        self.navigation.show(page, &self.directory);
    }

    /// Opens a chat, and asks for its history if none of it is here.
    fn open_chat(&mut self, contact: ContactId, effects: &mut Vec<UiEffect>) {
        self.leave_chat();
        self.status.hint = None;
        self.navigation.open_chat(contact);
        // In a chat a person always speaks as the identity that this contact knows, so no message
        // goes out from another.
        if let Some(identity) = self.current().map(|chat| chat.contact.identity) {
            self.navigation.speaking = Some(identity);
        }
        self.ask_for_history(HistoryWanted::Any, effects);
    }

    /// Changes the speaking identity, because the person says so; its first chat opens.
    fn speak_as(&mut self, identity: Option<IdentityId>, effects: &mut Vec<UiEffect>) {
        self.leave_chat();
        self.status.hint = None;
        self.navigation.speak_as(identity);
        let first = self.contacts(ContactFilter::Listened).first().map(|chat| chat.id());
        if let Some(first) = first {
            self.open_chat(first, effects);
        }
    }

    fn leave_chat(&mut self) {
        if let Some(open) = self.navigation.open {
            self.directory.leave(open);
        }
    }
}

/// Ends the interface.
fn quit(effects: &mut Vec<UiEffect>) {
    effects.push(UiEffect::Quit(QuitReason::Asked));
}

/// Why a call was not carried out, and that nothing was done, unless that is not known.
fn refusal(failure: &Failure, nothing: &str) -> String {
    let why = sentence(&failure.why);
    match failure.code() {
        Some(FailureCode::NodeEnded | FailureCode::NodeSilent) => {
            format!("{why}; look whether it was done before you try again")
        }
        Some(_) | None => format!("{why}; {nothing}"),
    }
}

/// Messages in a part of the history that is asked for.
const MESSAGES_A_PART: usize = 100;

/// A sentence of another module, sanitized.
pub(super) fn sentence(text: &str) -> String {
    UntrustedText::new(text.to_owned()).sanitize_for_line().text
}

/// A name, sanitized.
pub(super) fn label(name: &str) -> String {
    UntrustedText::new(name.to_owned()).sanitize_for_label().text
}
