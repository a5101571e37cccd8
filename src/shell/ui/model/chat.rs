//! One chat as the interface holds it: bounded, in order, each message once.

use crate::engine::envelope::Lifetime;
use crate::engine::event::{ContactView, Direction, MessageView, SessionStatus};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::{DeliveryLog, MessageState};

use super::super::composer::{Composer, LineMode};
use super::super::keys::BrowseAction;
use super::label;
use crate::shell::api::HasMore;
use crate::shell::text::lifetime;

/// Most messages of one chat held here; beyond them no older ones are asked for. A guess: an hour
/// of scrolling, some megabytes.
const MAX_MESSAGES: usize = 2_000;

/// Most sent texts the Up key brings back. A guess.
const MAX_RECALLED: usize = 50;

/// The chat with one contact.
pub(in crate::shell::ui) struct Chat {
    pub(in crate::shell::ui) contact: ContactView,
    /// Oldest first.
    pub(in crate::shell::ui) messages: Vec<MessageView>,
    /// How many messages of the contact are unread.
    pub(in crate::shell::ui) unread: usize,
    /// The line above the first unread message.
    pub(in crate::shell::ui) fresh: Option<UnreadMarker>,
    pub(in crate::shell::ui) composer: Composer,
    /// The message that is chosen while browsing.
    pub(in crate::shell::ui) chosen: Option<MessageId>,
    /// The lifetime of the messages that are sent, until another one is chosen.
    pub(in crate::shell::ui) lifetime: Lifetime,
    history: HistoryState,
    sent: Vec<String>,
    /// The index in `sent` of the text in the composer, and the draft it took the place of.
    recalled: Option<(usize, String)>,
}

/// The line above the first unread message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) struct UnreadMarker {
    pub(in crate::shell::ui) first: MessageId,
    pub(in crate::shell::ui) count: usize,
}

/// The part of the history that is here.
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

    /// The name of the contact, sanitized.
    pub(super) fn name(&self) -> String {
        label(&self.contact.petname)
    }

    /// Notes that older messages are asked for. Answers before which message; `None` if there is
    /// nothing to ask for.
    #[expect(clippy::option_option, reason = "whether to ask, and before which message if any")]
    pub(super) fn ask_for_history(&mut self, wanted: HistoryWanted) -> Option<Option<MessageId>> {
        let asks = match (self.history, wanted) {
            (HistoryState::Unasked, _) => true,
            // Beyond the bound, what is fetched would push itself out again and be asked for
            // without end.
            (HistoryState::Some, HistoryWanted::Older) => self.messages.len() < MAX_MESSAGES,
            (HistoryState::Some, HistoryWanted::Any)
            | (HistoryState::Asked | HistoryState::All, _) => false,
        };
        if !asks {
            return None;
        }
        let before = match self.history {
            // Messages that have arrived since are no reason to skip any: the newest part is asked
            // for.
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
        // A message that arrived while the history was read is in both.
        older.retain(|message| !self.holds(message.id));
        older.append(&mut self.messages);
        self.messages = older;
        // A runtime that has more but brings nothing would be asked for ever.
        self.history = match more {
            HasMore::Yes if brought > 0 => HistoryState::Some,
            HasMore::Yes | HasMore::No => HistoryState::All,
        };
        self.bound();
        // The first unread message may lie in this part.
        if self.fresh.is_none() {
            self.mark_unread();
        }
    }

    /// Sets how many messages of the contact are unread, counted from the newest back.
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
            // The line stays above the first unread message while more arrive: there a person goes
            // on reading.
            self.fresh = match self.fresh {
                Some(fresh) if self.unread > 0 => {
                    Some(UnreadMarker { count: fresh.count + 1, ..fresh })
                }
                // All was read before, so the line moves down to this one.
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

    /// Sets the state of a message of ours. A delivered message can only become read.
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
        // A person who saw "delivered" taken back would send the text a second time.
        if settled && *state != to && !state.may_become(to) {
            return;
        }
        *state = to;
        *number = numbered;
        *delivery = passed;
    }

    /// Whether older messages were asked for and have not come.
    pub(super) fn awaits_history(&self) -> bool {
        self.history == HistoryState::Asked
    }

    /// An early message is the contact's without doubt.
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

    /// Nothing is unread any more. The line above what was unread stays until the next message.
    pub(super) const fn read(&mut self) {
        self.unread = 0;
    }

    /// Empties the composer, and remembers its text to be brought back.
    pub(super) fn take_text(&mut self) -> String {
        let text = self.composer.take();
        self.recalled = None;
        self.fresh = None;
        // A text that was sent twice is brought back once.
        if !text.trim().is_empty() && self.sent.last() != Some(&text) {
            if self.sent.len() == MAX_RECALLED {
                self.sent.remove(0);
            }
            self.sent.push(text.clone());
        }
        text
    }

    /// Brings back the text that was sent before the one in the composer; the draft is kept.
    pub(super) fn recall_earlier(&mut self) {
        let (index, draft) = match self.recalled.take() {
            Some((index, draft)) => (index.saturating_sub(1), draft),
            None if self.sent.is_empty() => return,
            None => (self.sent.len() - 1, self.composer.text().to_owned()),
        };
        self.show_recalled(index, draft);
    }

    /// Brings back the text that was sent after the one in the composer, at last the draft.
    pub(super) fn recall_later(&mut self) {
        let Some((index, draft)) = self.recalled.take() else { return };
        // Behind the last sent text stands the draft that was begun before.
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

    /// How many messages of ours wait to leave this machine.
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

    /// Moves the choice among the messages, or ends it. Keys that act on the chosen message change
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

    /// The person goes elsewhere: browsing ends, and so does the line above messages that were
    /// read.
    pub(super) const fn leave(&mut self) {
        self.chosen = None;
        // What was not read stays marked until it was.
        if self.unread == 0 {
            self.fresh = None;
        }
    }

    /// Chooses the lifetime of messages that are sent from here on: this one, or the next in the
    /// row. Answers the choice.
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

    /// Whether sending is on hold until the person decides.
    pub(in crate::shell::ui) const fn is_held(&self) -> bool {
        self.contact.trust.is_on_hold()
    }

    /// Whether a message can leave as soon as its proof of work is found.
    pub(in crate::shell::ui) fn is_ready(&self) -> bool {
        self.contact.session == SessionStatus::Established
    }
}

/// The part of the history that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HistoryWanted {
    /// The newest messages, if none were asked for yet.
    Any,
    /// Older messages than those that are here.
    Older,
}
