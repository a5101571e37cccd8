//! The calls that the node has not answered.

use std::collections::BTreeMap;

use crate::engine::id::ContactId;

use super::chat::HistoryRange;
use super::prompt::PromptPurpose;
use super::verify::TypedProof;

/// Most calls that wait for an answer. A guess: a person cannot ask faster than a node answers.
const MAX_PENDING_CALLS: usize = 256;

/// The id of a call, by which its answer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(u64);

/// The purpose of a call, so that its answer can be understood.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum PendingCall {
    /// To learn how the node runs.
    Report,
    /// To learn who else uses the node, because the person wants to quit.
    Quit,
    /// To make an identity.
    Identity,
    /// To add a contact or let one in.
    Contact,
    /// To compare this.
    Verify(ContactId, TypedProof),
    /// To say this.
    Say(ContactId, String),
    /// To read this part of the history of a chat.
    History(ContactId, HistoryRange),
    /// To find these words in the chat with a contact, or in all chats.
    Search(Option<ContactId>, String),
    /// To say that a person has read the messages of a contact.
    Read(ContactId),
    /// To do what was typed in a prompt, which asks again if that is refused.
    Typed(Box<Self>, PromptPurpose, String),
    /// Anything whose answer needs no memory.
    Other,
}

/// The calls that wait for an answer, by the id each was given.
pub(super) struct PendingCalls {
    by_id: BTreeMap<CallId, PendingCall>,
    next_id: u64,
    /// The first id of those that were given since the last key.
    since_last_key: u64,
}

/// What the person did since a call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// Nothing: whoever asked waits for the answer.
    Nothing,
    /// Something else: an answer that went to another place would take along what is being typed.
    Keys,
}

impl PendingCalls {
    pub(super) const fn new() -> Self {
        Self { by_id: BTreeMap::new(), next_id: 1, since_last_key: 1 }
    }

    /// Notes that the person presses a key or pastes.
    pub(super) const fn note_key(&mut self) {
        self.since_last_key = self.next_id;
    }

    /// What the person did since this call was made.
    pub(super) const fn since(&self, id: CallId) -> Since {
        if id.0 >= self.since_last_key { Since::Nothing } else { Since::Keys }
    }

    /// Whether a call for this waits.
    pub(super) fn awaits(&self, call: &PendingCall) -> bool {
        self.by_id.values().any(|waiting| waiting == call)
    }

    /// Keeps a call until it is answered, and gives it an id; none if too many wait.
    pub(super) fn add(&mut self, call: PendingCall) -> Option<CallId> {
        // A node that answers nothing must not fill the memory with what a person types meanwhile.
        if self.by_id.len() >= MAX_PENDING_CALLS {
            return None;
        }
        let id = CallId(self.next_id);
        self.next_id += 1;
        self.by_id.insert(id, call);
        Some(id)
    }

    /// Forgets the call of an answer, and says what it was for; nothing if it was answered before.
    pub(super) fn take(&mut self, id: CallId) -> Option<PendingCall> {
        self.by_id.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_understood_once() {
        let mut pending = PendingCalls::new();
        let say = PendingCall::Say(ContactId(7), "hello".to_owned());
        let first = pending.add(say.clone()).expect("room");
        let second = pending.add(PendingCall::Other).expect("room");
        assert_ne!(first, second);
        assert!(pending.take(first) == Some(say));
        assert!(pending.take(first).is_none());
        assert!(pending.take(CallId(99)).is_none());
    }

    #[test]
    fn a_call_too_many_is_refused_until_one_is_answered() {
        let mut pending = PendingCalls::new();
        let ids: Vec<_> = (0..MAX_PENDING_CALLS)
            .map(|_| pending.add(PendingCall::Other).expect("room"))
            .collect();
        assert_eq!(pending.add(PendingCall::Other), None);
        assert!(pending.take(ids[3]).is_some());
        let next = pending.add(PendingCall::Other).expect("room again");
        assert!(!ids.contains(&next), "an id is used once");
    }
}
