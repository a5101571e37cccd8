//! The commands the engine has not answered.

use std::collections::BTreeMap;

use crate::engine::command::Proof;
use crate::engine::id::{CommandId, ContactId};

use super::prompt::PromptPurpose;

/// Most commands that wait for an answer.
const MAX_PENDING_COMMANDS: usize = 256;

/// The purpose of a command, so that its answer can be understood.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum PendingCommand {
    /// To make an identity.
    Identity,
    /// To add a contact or let one in.
    Contact,
    /// To compare this.
    Verify(ContactId, Proof),
    /// To say this.
    Say(ContactId, String),
    /// To do what was typed in a prompt, which asks again if that is refused.
    Typed(Box<Self>, PromptPurpose, String),
    /// Anything whose answer needs no memory.
    Other,
}

/// The commands that wait for an answer, by the id each was given.
pub(super) struct PendingCommands {
    by_id: BTreeMap<CommandId, PendingCommand>,
    next_id: u64,
}

impl PendingCommands {
    pub(super) const fn new() -> Self {
        Self { by_id: BTreeMap::new(), next_id: 1 }
    }

    /// Keeps a command until it is answered, and gives it an id; none if too many wait.
    pub(super) fn add(&mut self, command: PendingCommand) -> Option<CommandId> {
        // A runtime that answers nothing must not fill the memory with what a person types
        // meanwhile.
        if self.by_id.len() >= MAX_PENDING_COMMANDS {
            return None;
        }
        let id = CommandId(self.next_id);
        self.next_id += 1;
        self.by_id.insert(id, command);
        Some(id)
    }

    /// Forgets the command of an answer, and says what it was for; nothing if it was not ours or
    /// was answered before.
    pub(super) fn take(&mut self, id: CommandId) -> Option<PendingCommand> {
        self.by_id.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_understood_once() {
        let mut pending = PendingCommands::new();
        let say = PendingCommand::Say(ContactId(7), "hello".to_owned());
        let first = pending.add(say.clone()).expect("room");
        let second = pending.add(PendingCommand::Other).expect("room");
        assert_ne!(first, second);
        assert!(pending.take(first) == Some(say));
        assert!(pending.take(first).is_none());
        assert!(pending.take(CommandId(99)).is_none());
    }

    #[test]
    fn a_command_too_many_is_refused_until_one_is_answered() {
        let mut pending = PendingCommands::new();
        let ids: Vec<_> = (0..MAX_PENDING_COMMANDS)
            .map(|_| pending.add(PendingCommand::Other).expect("room"))
            .collect();
        assert_eq!(pending.add(PendingCommand::Other), None);
        assert!(pending.take(ids[3]).is_some());
        let next = pending.add(PendingCommand::Other).expect("room again");
        assert!(!ids.contains(&next), "an id is used once");
    }
}
