//! Observations: what a person in front of a node sees, gathered from its events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::audit::Violation;
use crate::engine::crypto::keys::PublicKey;
use crate::engine::event::{Direction, Event, HeldBack, MessageView, RequestView, SessionStatus};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::MessageState;

/// The events a node has emitted, as the person in front of it would see them.
#[derive(Debug, Default)]
pub struct Observed {
    /// Texts from contacts in the order they were shown.
    pub texts: Vec<(ContactId, String)>,
    /// The last known state of each message of ours.
    pub states: BTreeMap<MessageId, MessageState>,
    /// Messages that came early and whose session is not confirmed.
    pub early: BTreeSet<MessageId>,
    /// Each contact's key and the status of its session.
    pub contacts: BTreeMap<ContactId, (PublicKey, SessionStatus)>,
    /// How many messages of each contact are missing.
    pub missing: BTreeMap<ContactId, u64>,
    /// The contacts that were restored from a backup and sent nothing since.
    pub restored: BTreeSet<ContactId>,
    /// What of ours to each contact waits for a lower price.
    pub waiting: BTreeMap<ContactId, Arc<BTreeSet<HeldBack>>>,
    /// What of ours to each contact waits its turn.
    pub in_line: BTreeMap<ContactId, Arc<BTreeSet<HeldBack>>>,
    /// Requests that wait.
    pub requests: Vec<RequestView>,
    /// Every id this node has ever shown, to notice a message shown twice.
    shown: BTreeSet<MessageId>,
}

impl Observed {
    /// Takes in an event.
    ///
    /// # Errors
    /// A violation, if the event may not follow those before it. It is taken in all the same.
    pub fn observe(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Identity(_) | Event::IdentityRemoved(_) => {}
            Event::Contact(view) => {
                self.missing.insert(view.id, view.missing);
                if view.restored.is_some() {
                    self.restored.insert(view.id);
                } else {
                    self.restored.remove(&view.id);
                }
                self.contacts.insert(view.id, (view.key, view.session));
                self.waiting.insert(view.id, view.waiting);
                self.in_line.insert(view.id, view.in_line);
            }
            Event::ContactRemoved(id) => {
                self.contacts.remove(&id);
                self.waiting.remove(&id);
                self.in_line.remove(&id);
            }
            Event::Request(view) => {
                self.requests.retain(|request| request.id != view.id);
                self.requests.push(view);
            }
            Event::RequestRemoved(id) => self.requests.retain(|request| request.id != id),
            Event::State { message, state, .. } => return self.observe_state(message, state),
            Event::Confirmed { message, .. } => {
                self.early.remove(&message);
            }
            Event::Message(view) => return self.observe_message(view),
        }
        Ok(())
    }

    /// Begins anew with what a process reads back from its store: perhaps less than was on the
    /// screen before a crash.
    pub(super) fn restart(
        &mut self,
        texts: Vec<(ContactId, String)>,
        states: BTreeMap<MessageId, MessageState>,
    ) {
        self.requests.clear();
        self.waiting.clear();
        self.in_line.clear();
        self.texts = texts;
        self.states = states;
    }

    fn observe_state(&mut self, message: MessageId, state: MessageState) -> Result<(), Violation> {
        let before = self.states.insert(message, state);
        // The engine's own table decides, for every event in every run.
        if before.is_some_and(|before| before != state && !before.may_become(state)) {
            return Err(Violation("a message moved to a state it may not move to"));
        }
        Ok(())
    }

    fn observe_message(&mut self, view: MessageView) -> Result<(), Violation> {
        match view.direction {
            Direction::Outgoing(state) => {
                self.states.insert(view.id, state);
            }
            Direction::Incoming => {
                if view.early {
                    self.early.insert(view.id);
                }
                self.texts.push((view.contact, view.text.into_raw()));
                // A message has one id through resending, restarts and sessions.
                if !self.shown.insert(view.id) {
                    return Err(Violation("a message was shown twice"));
                }
            }
        }
        Ok(())
    }
}
