//! One chat as the interface holds it: bounded, in order, each message once.

use crate::engine::envelope::Lifetime;
use crate::engine::event::{Direction, MessageView, SessionStatus};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::{DeliveryLog, MessageState};

use super::super::composer::{Composer, LineMode};
use super::super::keys::BrowseAction;
use super::label;
use crate::shell::api::Contact;
use crate::shell::text::lifetime;

/// Most messages of one chat held here; beyond them no older ones are asked for. A guess: an hour
/// of scrolling, some megabytes.
const MAX_MESSAGES: usize = 2_000;

/// Most sent texts the Up key brings back. A guess.
const MAX_RECALLED: usize = 50;

/// Most changes that are kept while a part of the history is read. A guess: more than happen while a
/// node answers.
const MAX_HEARD: usize = 1_000;

/// The messages of the chat with one contact, and what is written to them.
pub(in crate::shell::ui) struct Chat {
    id: ContactId,
    /// Oldest first.
    pub(in crate::shell::ui) messages: Vec<MessageView>,
    /// The line above the first unread message.
    pub(in crate::shell::ui) fresh: Option<UnreadMarker>,
    pub(in crate::shell::ui) composer: Composer,
    /// The message that is chosen while browsing.
    pub(in crate::shell::ui) chosen: Option<MessageId>,
    /// The lifetime of the messages that are sent, until another one is chosen.
    pub(in crate::shell::ui) lifetime: Lifetime,
    history: HistoryState,
    /// How many of the first messages may be out of date, and are read again.
    stale: usize,
    /// The changes of messages that were heard while a part of the history is read: the part may be
    /// older than they are.
    heard: Vec<(MessageId, MessageNews)>,
    /// The message up to which this interface told the node that its person has read.
    read_up_to: Option<MessageId>,
    sent: Vec<String>,
    /// The index in `sent` of the text in the composer, and the draft it took the place of.
    recalled: Option<(usize, String)>,
}

/// A contact, and the chat with them.
#[derive(Clone, Copy)]
pub(in crate::shell::ui) struct ContactChat<'a> {
    pub(in crate::shell::ui) contact: &'a Contact,
    pub(in crate::shell::ui) chat: &'a Chat,
}

impl core::ops::Deref for ContactChat<'_> {
    type Target = Chat;

    fn deref(&self) -> &Chat {
        self.chat
    }
}

impl ContactChat<'_> {
    /// The name of the contact, sanitized.
    pub(super) fn name(&self) -> String {
        label(&self.contact.petname)
    }

    /// Whether sending is on hold until the person decides.
    pub(in crate::shell::ui) fn is_held(&self) -> bool {
        self.contact.trust.is_on_hold()
    }

    /// Whether a message can leave as soon as its proof of work is found.
    pub(in crate::shell::ui) fn is_ready(&self) -> bool {
        self.contact.session == SessionStatus::Established
    }
}

/// The line above the first unread message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) struct UnreadMarker {
    pub(in crate::shell::ui) first: MessageId,
    pub(in crate::shell::ui) count: u64,
}

/// The part of the history that is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HistoryState {
    Unasked,
    Asked,
    /// It was asked for, and the answer will be out of date.
    AskedTooEarly,
    Some,
    All,
    /// It could not be read, and is asked for when the chat is opened again.
    Failed,
}

/// A part of the history that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HistoryRange {
    /// The newest messages.
    Newest,
    /// The messages before this one.
    Before(MessageId),
}

/// A change of a message that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageNews {
    /// A message of ours has this number, this state and these times.
    State(Option<u64>, MessageState, DeliveryLog),
    /// An early message is the contact's without doubt.
    Confirmed,
    /// It was erased on this device.
    Erased,
}

impl Chat {
    pub(super) const fn new(id: ContactId, max_text: usize) -> Self {
        Self {
            id,
            messages: Vec::new(),
            fresh: None,
            composer: Composer::new(LineMode::Many, max_text),
            chosen: None,
            lifetime: Lifetime::Day,
            history: HistoryState::Unasked,
            stale: 0,
            heard: Vec::new(),
            read_up_to: None,
            sent: Vec::new(),
            recalled: None,
        }
    }

    pub(in crate::shell::ui) const fn id(&self) -> ContactId {
        self.id
    }

    /// The part of the history to ask for now; `None` if there is nothing to ask for.
    pub(super) fn range_to_ask(&self, wanted: HistoryWanted) -> Option<HistoryRange> {
        match (self.history, wanted) {
            // Messages that have arrived since are no reason to skip any: the newest part is asked
            // for.
            (HistoryState::Unasked, _) | (HistoryState::Failed, HistoryWanted::Any) => {
                Some(HistoryRange::Newest)
            }
            // Beyond the bound, what is fetched would push itself out again and be asked for
            // without end.
            (HistoryState::Some, HistoryWanted::Older) if self.messages.len() < MAX_MESSAGES => {
                self.messages.first().map(|first| HistoryRange::Before(first.id))
            }
            (HistoryState::Some | HistoryState::Failed, _)
            | (HistoryState::Asked | HistoryState::AskedTooEarly | HistoryState::All, _) => None,
        }
    }

    /// Notes that a part of the history was asked for.
    pub(super) fn history_asked(&mut self) {
        self.history = HistoryState::Asked;
        self.heard.clear();
    }

    /// Adds a part of the history: in front of what is here, or in place of what was out of date.
    /// `unread` messages of the contact are unread.
    pub(super) fn add_history(
        &mut self,
        range: HistoryRange,
        (mut part, is_more): (Vec<MessageView>, bool),
        unread: u64,
    ) {
        if self.history == HistoryState::AskedTooEarly {
            self.history = HistoryState::Unasked;
            return;
        }
        let brought = part.len();
        if range == HistoryRange::Newest {
            self.messages.drain(..self.stale.min(self.messages.len()));
            self.stale = 0;
        }
        // A message that arrived while the history was read is in both.
        part.retain(|message| !self.holds(message.id));
        part.append(&mut self.messages);
        self.messages = part;
        // A node that has more but brings nothing would be asked for ever.
        self.history = if is_more && brought > 0 { HistoryState::Some } else { HistoryState::All };
        for (id, news) in core::mem::take(&mut self.heard) {
            self.change(id, news);
        }
        self.bound();
        self.keep_choice(self.messages.len());
        // The first unread message may lie in this part.
        if self.fresh.is_none_or(|fresh| !self.holds(fresh.first)) {
            self.mark_unread(unread);
        }
    }

    /// Notes that a part of the history could not be read.
    pub(super) fn history_failed(&mut self) {
        self.history = match self.history {
            HistoryState::AskedTooEarly => HistoryState::Unasked,
            HistoryState::Unasked
            | HistoryState::Asked
            | HistoryState::Some
            | HistoryState::All
            | HistoryState::Failed => HistoryState::Failed,
        };
        self.heard.clear();
    }

    /// Notes that what is here may be out of date. It is shown until it has been read again.
    pub(super) fn outdate(&mut self) {
        self.stale = self.messages.len();
        self.history = match self.history {
            HistoryState::Asked | HistoryState::AskedTooEarly => HistoryState::AskedTooEarly,
            HistoryState::Unasked
            | HistoryState::Some
            | HistoryState::All
            | HistoryState::Failed => HistoryState::Unasked,
        };
        self.heard.clear();
    }

    /// Takes in how many messages of the contact are unread now.
    pub(super) fn set_unread(&mut self, unread: u64) {
        // The line above what this person has just read stays until the next message. What was read
        // elsewhere is not new here.
        let was_read_here = unread == 0 && self.read_up_to == self.newest_of_theirs();
        if !was_read_here {
            self.mark_unread(unread);
        }
    }

    /// Puts the line above the first unread message, counted from the newest back.
    fn mark_unread(&mut self, unread: u64) {
        let count = usize::try_from(unread).unwrap_or(usize::MAX);
        let theirs =
            self.messages.iter().rev().filter(|message| message.direction == Direction::Incoming);
        let first = theirs.take(count).last();
        self.fresh = first.map(|message| UnreadMarker { first: message.id, count: unread });
    }

    /// Adds a message at the end, or replaces the one with its id. `unread` messages of the contact
    /// are unread, this one included.
    pub(super) fn add(&mut self, message: MessageView, unread: u64) {
        if let Some(known) = self.messages.iter_mut().rev().find(|known| known.id == message.id) {
            *known = message;
            return;
        }
        if message.direction == Direction::Incoming {
            // The line stays above the first unread message while more arrive: there a person goes
            // on reading.
            self.fresh = match self.fresh {
                Some(fresh) if unread > 1 => Some(UnreadMarker { count: fresh.count + 1, ..fresh }),
                // All was read before, so the line moves down to this one.
                Some(_) | None => Some(UnreadMarker { first: message.id, count: 1 }),
            };
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
        self.stale = self.stale.saturating_sub(excess);
        if self.history == HistoryState::All {
            self.history = HistoryState::Some;
        }
        self.keep_choice(0);
    }

    /// If the chosen message is gone, chooses the one in its place, or the last: a person who browses
    /// goes on browsing, and no key that was meant for a message is one for the composer.
    fn keep_choice(&mut self, place: usize) {
        if self.chosen.is_some_and(|chosen| !self.holds(chosen)) {
            let next = self.messages.get(place).or_else(|| self.messages.last());
            self.chosen = next.map(|message| message.id);
        }
    }

    /// Takes in a change of a message.
    pub(super) fn hear(&mut self, id: MessageId, news: MessageNews) {
        if self.history == HistoryState::Asked {
            if self.heard.len() < MAX_HEARD {
                self.heard.push((id, news));
            } else {
                // Not all of them can be done again, so the part is asked for again.
                self.outdate();
            }
        }
        self.change(id, news);
    }

    fn change(&mut self, id: MessageId, news: MessageNews) {
        let Some(index) = self.messages.iter().rposition(|message| message.id == id) else {
            return;
        };
        match news {
            MessageNews::State(number, state, delivery) => {
                if let Some(message) = self.messages.get_mut(index) {
                    set_state(message, number, (state, delivery));
                }
            }
            MessageNews::Confirmed => {
                if let Some(message) = self.messages.get_mut(index) {
                    message.early = false;
                }
            }
            MessageNews::Erased => {
                self.messages.remove(index);
                if index < self.stale {
                    self.stale -= 1;
                }
                self.keep_choice(index);
                // Where the line goes follows from the count, which is told next.
                self.fresh = self.fresh.filter(|fresh| fresh.first != id);
            }
        }
    }

    /// Whether a part of the history was asked for and has not come.
    pub(super) const fn awaits_history(&self) -> bool {
        matches!(self.history, HistoryState::Asked | HistoryState::AskedTooEarly)
    }

    /// The newest message the contact wrote.
    pub(super) fn newest_of_theirs(&self) -> Option<MessageId> {
        let mut newest_first = self.messages.iter().rev();
        newest_first
            .find(|message| message.direction == Direction::Incoming)
            .map(|message| message.id)
    }

    /// The message up to which a person who sees the newest one has read, if the node was not told.
    pub(super) fn to_be_read(&self) -> Option<MessageId> {
        self.newest_of_theirs().filter(|newest| self.read_up_to != Some(*newest))
    }

    /// Notes the message up to which the node was told that a person has read; none if it did not
    /// take it.
    pub(super) const fn set_read_up_to(&mut self, message: Option<MessageId>) {
        self.read_up_to = message;
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
    /// read, if none of the `unread` ones is left.
    pub(super) const fn leave(&mut self, unread: u64) {
        self.chosen = None;
        // What was not read stays marked until it was.
        if unread == 0 {
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
}

/// Sets the state of a message of ours. A delivered message can only become read.
fn set_state(
    message: &mut MessageView,
    numbered: Option<u64>,
    (to, passed): (MessageState, DeliveryLog),
) {
    let MessageView { direction: Direction::Outgoing(state), number, delivery, .. } = message
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

/// The part of the history that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HistoryWanted {
    /// The newest messages, if none were asked for yet.
    Any,
    /// Older messages than those that are here.
    Older,
}
