//! One conversation as the interface holds it: bounded, in order, each message once.

use crate::engine::envelope::Lifetime;
use crate::engine::event::{ContactView, Direction, MessageView, SessionStatus};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::{DeliveryLog, MessageState};

use super::super::composer::{Composer, LineMode};
use super::super::keys::BrowseAction;
use super::super::text::lifetime;
use super::label;
use crate::shell::api::HasMore;

/// Most messages of one conversation held here; older ones are asked for again. A guess: an hour
/// of scrolling, some megabytes.
const MAX_MESSAGES: usize = 2_000;

/// Most sent texts the Up key brings back. A guess.
const MAX_RECALLED: usize = 50;

/// A conversation with one contact.
pub(in crate::shell::ui) struct Chat {
    pub(in crate::shell::ui) contact: ContactView,
    /// Oldest first.
    pub(in crate::shell::ui) messages: Vec<MessageView>,
    /// How many of theirs were not read.
    pub(in crate::shell::ui) unread: usize,
    /// Where the line above what is new stands.
    pub(in crate::shell::ui) fresh: Option<UnreadMarker>,
    pub(in crate::shell::ui) composer: Composer,
    /// The message chosen in browsing.
    pub(in crate::shell::ui) chosen: Option<MessageId>,
    /// How long what is sent lives, until another is chosen.
    pub(in crate::shell::ui) lifetime: Lifetime,
    history: HistoryState,
    sent: Vec<String>,
    /// Which of `sent` stands in the composer, and what stood there before.
    recalled: Option<(usize, String)>,
}

/// The line above what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) struct UnreadMarker {
    pub(in crate::shell::ui) first: MessageId,
    pub(in crate::shell::ui) count: usize,
}

/// How much of the past is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HistoryState {
    Unasked,
    Asked,
    Some,
    All,
}

impl Chat {
    pub(super) const fn new(contact: ContactView, max_text: usize) -> Self {
        Self {
            contact,
            messages: Vec::new(),
            unread: 0,
            fresh: None,
            composer: Composer::new(LineMode::Many, max_text),
            chosen: None,
            lifetime: Lifetime::Day,
            history: HistoryState::Unasked,
            sent: Vec::new(),
            recalled: None,
        }
    }

    pub(in crate::shell::ui) const fn id(&self) -> ContactId {
        self.contact.id
    }

    /// What the contact is called, as it may be shown.
    pub(super) fn name(&self) -> String {
        label(&self.contact.petname)
    }

    /// Before which message to ask for older ones; `None` if there is nothing to ask for.
    #[expect(clippy::option_option, reason = "whether to ask, and before which message if any")]
    pub(super) fn ask_for_history(&mut self, wanted: HistoryWanted) -> Option<Option<MessageId>> {
        let asks = match (self.history, wanted) {
            (HistoryState::Unasked, _) => true,
            (HistoryState::Some, HistoryWanted::Older) => self.messages.len() < MAX_MESSAGES,
            (HistoryState::Some, HistoryWanted::Any)
            | (HistoryState::Asked | HistoryState::All, _) => false,
        };
        if !asks {
            return None;
        }
        let before = match self.history {
            HistoryState::Unasked => None,
            HistoryState::Asked | HistoryState::Some | HistoryState::All => {
                self.messages.first().map(|first| first.id)
            }
        };
        self.history = HistoryState::Asked;
        Some(before)
    }

    /// Adds older messages in front of what is here.
    pub(super) fn add_history(&mut self, mut older: Vec<MessageView>, more: HasMore) {
        let brought = older.len();
        older.retain(|message| !self.holds(message.id));
        older.append(&mut self.messages);
        self.messages = older;
        // A runtime that has more but brings nothing would be asked for ever.
        self.history = match more {
            HasMore::Yes if brought > 0 => HistoryState::Some,
            HasMore::Yes | HasMore::No => HistoryState::All,
        };
        self.bound();
        if self.fresh.is_none() {
            self.mark_unread();
        }
    }

    /// Says how many of theirs were not read; counted from the newest back.
    pub(super) fn set_unread(&mut self, unread: usize) {
        self.unread = unread;
        self.mark_unread();
    }

    fn mark_unread(&mut self) {
        let theirs =
            self.messages.iter().rev().filter(|message| message.direction == Direction::Incoming);
        let first = theirs.take(self.unread).last();
        self.fresh = first.map(|message| UnreadMarker { first: message.id, count: self.unread });
    }

    /// Adds a message at the end, or replaces the one with its id.
    pub(super) fn add(&mut self, message: MessageView) {
        if let Some(known) = self.messages.iter_mut().rev().find(|known| known.id == message.id) {
            *known = message;
            return;
        }
        if message.direction == Direction::Incoming {
            self.fresh = match self.fresh {
                Some(fresh) if self.unread > 0 => {
                    Some(UnreadMarker { count: fresh.count + 1, ..fresh })
                }
                Some(_) | None => Some(UnreadMarker { first: message.id, count: 1 }),
            };
            self.unread += 1;
        }
        self.messages.push(message);
        self.bound();
    }

    fn bound(&mut self) {
        let excess = self.messages.len().saturating_sub(MAX_MESSAGES);
        if excess == 0 {
            return;
        }
        self.messages.drain(..excess);
        self.history = HistoryState::Some;
        if self.chosen.is_some_and(|chosen| !self.holds(chosen)) {
            self.chosen = None;
        }
    }

    /// Moves a message on. What was delivered only ever becomes read.
    pub(super) fn set_state(
        &mut self,
        id: MessageId,
        numbered: Option<u64>,
        (to, passed): (MessageState, DeliveryLog),
    ) {
        let message = self.messages.iter_mut().rev().find(|message| message.id == id);
        let Some(MessageView { direction: Direction::Outgoing(state), number, delivery, .. }) =
            message
        else {
            return;
        };
        let settled = matches!(state, MessageState::Delivered | MessageState::Read);
        if settled && *state != to && !state.may_become(to) {
            return;
        }
        *state = to;
        *number = numbered;
        *delivery = passed;
    }

    /// Whether the runtime was asked for messages and has not answered.
    pub(super) fn awaits_history(&self) -> bool {
        self.history == HistoryState::Asked
    }

    /// What came early is theirs without doubt.
    pub(super) fn confirm(&mut self, id: MessageId) {
        let message = self.messages.iter_mut().rev().find(|message| message.id == id);
        if let Some(message) = message {
            message.early = false;
        }
    }

    /// The newest message the contact wrote.
    pub(super) fn newest_of_theirs(&self) -> Option<MessageId> {
        let mut newest_first = self.messages.iter().rev();
        newest_first
            .find(|message| message.direction == Direction::Incoming)
            .map(|message| message.id)
    }

    /// All was seen: nothing is unread. The line above what was new stays until the next word.
    pub(super) const fn read(&mut self) {
        self.unread = 0;
    }

    /// Takes what is in the composer to be said.
    pub(super) fn take_text(&mut self) -> String {
        let text = self.composer.take();
        self.recalled = None;
        self.fresh = None;
        if !text.trim().is_empty() && self.sent.last() != Some(&text) {
            if self.sent.len() == MAX_RECALLED {
                self.sent.remove(0);
            }
            self.sent.push(text.clone());
        }
        text
    }

    /// Brings back what was sent before; the draft is kept.
    pub(super) fn recall_earlier(&mut self) {
        let (index, draft) = match self.recalled.take() {
            Some((index, draft)) => (index.saturating_sub(1), draft),
            None if self.sent.is_empty() => return,
            None => (self.sent.len() - 1, self.composer.text().to_owned()),
        };
        self.show_recalled(index, draft);
    }

    /// Goes towards the draft again.
    pub(super) fn recall_later(&mut self) {
        let Some((index, draft)) = self.recalled.take() else { return };
        if index + 1 >= self.sent.len() {
            self.composer.replace(&draft);
            return;
        }
        self.show_recalled(index + 1, draft);
    }

    fn show_recalled(&mut self, index: usize, draft: String) {
        if let Some(text) = self.sent.get(index) {
            self.composer.replace(text);
        }
        self.recalled = Some((index, draft));
    }

    pub(in crate::shell::ui) fn holds(&self, id: MessageId) -> bool {
        self.messages.iter().any(|message| message.id == id)
    }

    pub(in crate::shell::ui) fn message(&self, id: MessageId) -> Option<&MessageView> {
        self.messages.iter().find(|message| message.id == id)
    }

    /// The newest message of ours in one of these states.
    fn newest_ours(&self, wanted: fn(MessageState) -> bool) -> Option<MessageId> {
        let ours = |message: &&MessageView| match message.direction {
            Direction::Outgoing(state) => wanted(state),
            Direction::Incoming => false,
        };
        self.messages.iter().rev().find(ours).map(|message| message.id)
    }

    /// The newest message of ours that has not left this machine and can be cancelled.
    pub(super) fn newest_waiting(&self) -> Option<MessageId> {
        self.newest_ours(|state| matches!(state, MessageState::Queued | MessageState::Mining))
    }

    /// The newest message of ours that did not arrive and can be sent again.
    pub(super) fn newest_failed(&self) -> Option<MessageId> {
        self.newest_ours(|state| {
            matches!(
                state,
                MessageState::Failed | MessageState::Cancelled | MessageState::Unacknowledged
            )
        })
    }

    /// How many messages of ours are still on this machine and want to leave.
    pub(in crate::shell::ui) fn unsent(&self) -> usize {
        let waits = |message: &&MessageView| {
            matches!(
                message.direction,
                Direction::Outgoing(MessageState::Queued | MessageState::Mining)
            )
        };
        self.messages.iter().filter(waits).count()
    }

    /// Chooses the newest message, to start browsing; none if there is none.
    pub(super) fn choose_newest(&mut self) {
        self.chosen = self.messages.last().map(|message| message.id);
    }

    /// Moves the choice among the messages, or ends it. What is done with the chosen message changes
    /// nothing here.
    pub(super) fn browse(&mut self, key: BrowseAction) {
        match key {
            BrowseAction::Up => self.choose(-1),
            BrowseAction::Down => self.choose(1),
            BrowseAction::Oldest => self.chosen = self.messages.first().map(|message| message.id),
            BrowseAction::Newest => self.choose_newest(),
            BrowseAction::Type => self.chosen = None,
            BrowseAction::Why | BrowseAction::Cancel | BrowseAction::Retry => {}
        }
    }

    /// The person goes elsewhere: what was new is not new any more, if it was read.
    pub(super) const fn leave(&mut self) {
        self.chosen = None;
        if self.unread == 0 {
            self.fresh = None;
        }
    }

    /// Chooses how long what is sent lives from here on: so long, or the next in the row. Answers the
    /// choice.
    pub(super) fn choose_lifetime(&mut self, lifetime: Option<Lifetime>) -> Lifetime {
        self.lifetime = lifetime.unwrap_or_else(|| lifetime::after(self.lifetime));
        self.lifetime
    }

    /// Chooses the message `step` away from the chosen one, or stays at the end.
    fn choose(&mut self, step: isize) {
        let index = self.messages.iter().position(|message| Some(message.id) == self.chosen);
        let Some(index) = index else { return self.choose_newest() };
        let last = self.messages.len().saturating_sub(1);
        let index = index.saturating_add_signed(step).min(last);
        self.chosen = self.messages.get(index).map(|message| message.id);
    }

    /// Whether nothing may be sent until a person decides.
    pub(in crate::shell::ui) const fn is_held(&self) -> bool {
        self.contact.trust.is_on_hold()
    }

    /// Whether what is written can leave as soon as its work is done.
    pub(in crate::shell::ui) fn is_ready(&self) -> bool {
        self.contact.session == SessionStatus::Established
    }
}

/// How much of the past is wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HistoryWanted {
    /// Anything, if nothing is here.
    Any,
    /// What came before.
    Older,
}
