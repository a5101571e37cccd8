//! Prompts: fields that ask for one thing, and what follows from the text in them.

use crate::engine::command::Command;
use crate::engine::crypto::keys::PublicKey;
use crate::engine::id::{ContactId, IdentityId, RequestId};

use super::super::composer::{Composer, LineMode};
use super::pending::PendingCommand;
use super::{Model, Overlay, UiEffect, go_to, search, sentence};
use crate::shell::api::InviteCodec;

/// Most bytes of a name, in a field; the engine judges what it takes.
pub(super) const MAX_NAME_BYTES: usize = 128;

/// Most bytes of an invite, in a field. The longest one has 114 characters.
const MAX_INVITE_BYTES: usize = 512;

/// A field with a purpose.
pub(in crate::shell::ui) struct Prompt {
    pub(in crate::shell::ui) purpose: PromptPurpose,
    pub(in crate::shell::ui) field: Composer,
    /// The reason why the last text was refused.
    pub(in crate::shell::ui) error: Option<String>,
}

/// The purpose of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum PromptPurpose {
    /// A name for an identity.
    NewIdentity,
    /// The invite or key of a new contact.
    AddKey,
    /// A name for the new contact with this key.
    AddName(PublicKey),
    /// A name for the stranger whose request is accepted.
    Accept(RequestId),
    /// Another name for a contact.
    Rename(ContactId),
    /// Another key of a contact.
    Rekey(ContactId),
    /// The word that lets sending go on unverified.
    AcceptUnverified(ContactId),
    /// Words to search for in the chat with a contact, or in all chats.
    Search(Option<ContactId>),
}

/// The consequence of the text in a prompt.
#[derive(PartialEq, Eq)]
pub(super) enum Submission {
    /// Send this command.
    Command(Command, PendingCommand),
    /// Show this prompt next.
    Next(PromptPurpose),
    /// Search for these words.
    Search(Option<ContactId>, String),
    /// Nothing: no identity speaks any more that could add a contact.
    Nothing,
}

impl Prompt {
    pub(super) const fn new(purpose: PromptPurpose) -> Self {
        let limit = match purpose {
            PromptPurpose::AddKey | PromptPurpose::Rekey(_) => MAX_INVITE_BYTES,
            PromptPurpose::NewIdentity
            | PromptPurpose::AddName(_)
            | PromptPurpose::Accept(_)
            | PromptPurpose::Rename(_)
            | PromptPurpose::AcceptUnverified(_)
            | PromptPurpose::Search(_) => MAX_NAME_BYTES,
        };
        Self { purpose, field: Composer::new(LineMode::One, limit), error: None }
    }

    /// The consequence of Enter while `speaking` is the speaking identity, or why the text is
    /// refused.
    pub(super) fn submit(
        &self,
        invites: InviteCodec,
        speaking: Option<IdentityId>,
    ) -> Result<Submission, String> {
        let text = self.field.text().trim().to_owned();
        if text.is_empty() {
            return Err("type something, or press Esc to go back".to_owned());
        }
        let key = || (invites.read)(&text).map_err(|why| sentence(&why));
        let (command, about) = match self.purpose {
            PromptPurpose::NewIdentity => {
                (Command::CreateIdentity { name: text }, PendingCommand::Identity)
            }
            PromptPurpose::AddKey => return Ok(Submission::Next(PromptPurpose::AddName(key()?))),
            PromptPurpose::AddName(key) => {
                let Some(identity) = speaking else { return Ok(Submission::Nothing) };
                (Command::AddContact { identity, key, petname: text }, PendingCommand::Contact)
            }
            PromptPurpose::Accept(request) => {
                (Command::AcceptRequest { request, petname: text }, PendingCommand::Contact)
            }
            PromptPurpose::Rekey(contact) => {
                (Command::Rekey { contact, key: key()? }, PendingCommand::Other)
            }
            PromptPurpose::Search(contact) => return Ok(Submission::Search(contact, text)),
            // A whole word, because a mere Enter is pressed without reading.
            PromptPurpose::AcceptUnverified(contact) if text == "accept" => {
                (Command::AcceptUnverified { contact }, PendingCommand::Other)
            }
            PromptPurpose::AcceptUnverified(_) => {
                return Err("that is not the word accept; sending stays paused".to_owned());
            }
            PromptPurpose::Rename(contact) => {
                (Command::RenameContact { contact, petname: text }, PendingCommand::Other)
            }
        };
        Ok(Submission::Command(command, about))
    }
}

/// Enter in a field.
pub(super) fn submit(model: &mut Model, effects: &mut Vec<UiEffect>) {
    let (invites, speaking) = (model.options.invites, model.navigation.speaking);
    match model.navigation.overlay.take() {
        Some(Overlay::Prompt(mut prompt)) => match prompt.submit(invites, speaking) {
            Ok(Submission::Command(command, about)) => {
                let (purpose, text) = (prompt.purpose, prompt.field.text().to_owned());
                let about = PendingCommand::Typed(Box::new(about), purpose, text);
                let asked = effects.len();
                model.ask(command, about, effects);
                // Too many commands wait: what was typed is not lost.
                if effects.len() == asked {
                    model.navigation.overlay = Some(Overlay::Prompt(prompt));
                }
            }
            Ok(submission) => follow(model, submission, effects),
            Err(error) => {
                prompt.error = Some(error);
                model.navigation.overlay = Some(Overlay::Prompt(prompt));
            }
        },
        Some(Overlay::GoTo(picker)) => {
            match picker.targets(&model.directory, speaking).get(picker.index).copied() {
                Some(target) => go_to::go(model, target, effects),
                // Nothing fits what was typed: the text stays, to be corrected.
                None => model.navigation.overlay = Some(Overlay::GoTo(picker)),
            }
        }
        Some(other) => model.navigation.overlay = Some(other),
        None => {
            // Only the first identity is asked for without an overlay, and its page says what is
            // missing.
            if let Ok(submission) = model.welcome.submit(invites, speaking) {
                follow(model, submission, effects);
            }
        }
    }
}

/// Whether Enter in the field that is open does more than move or search.
pub(super) fn is_consequential(model: &Model) -> bool {
    match &model.navigation.overlay {
        Some(Overlay::Prompt(prompt)) => !matches!(prompt.purpose, PromptPurpose::Search(_)),
        Some(_) => false,
        // The name of the first identity.
        None => true,
    }
}

/// What was typed is refused: the prompt is there again with it and with the reason, unless something
/// else is asked meanwhile.
pub(super) fn refuse(model: &mut Model, purpose: PromptPurpose, text: &str, reason: String) {
    if model.navigation.overlay.is_some() {
        return model.say_hint(reason);
    }
    let mut prompt = Prompt::new(purpose);
    prompt.field.replace(text);
    prompt.error = Some(reason);
    model.navigation.overlay = Some(Overlay::Prompt(prompt));
}

fn follow(model: &mut Model, submission: Submission, effects: &mut Vec<UiEffect>) {
    match submission {
        Submission::Command(command, about) => model.ask(command, about, effects),
        Submission::Next(purpose) => model.navigation.prompt(purpose),
        Submission::Search(contact, words) => search::search(model, contact, words, effects),
        Submission::Nothing => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: IdentityId = IdentityId(1);
    const MIRA: ContactId = ContactId(10);

    /// What follows from this text in a field of this purpose.
    fn submit(purpose: PromptPurpose, text: &str) -> Result<Submission, String> {
        let invites = InviteCodec {
            write: |_| String::new(),
            read: |_| Err("this is\u{202e} not an invite".to_owned()),
        };
        let mut prompt = Prompt::new(purpose);
        prompt.field.replace(text);
        prompt.submit(invites, Some(ME))
    }

    #[test]
    fn blanks_alone_are_nothing_for_every_purpose() {
        for purpose in [
            PromptPurpose::NewIdentity,
            PromptPurpose::AddKey,
            PromptPurpose::Accept(RequestId(1)),
            PromptPurpose::Rename(MIRA),
            PromptPurpose::Rekey(MIRA),
            PromptPurpose::AcceptUnverified(MIRA),
            PromptPurpose::Search(None),
        ] {
            assert!(submit(purpose, "  ").is_err(), "{purpose:?}");
        }
    }

    #[test]
    fn only_the_word_itself_lets_sending_go_on_unverified() {
        let purpose = PromptPurpose::AcceptUnverified(MIRA);
        let command = Command::AcceptUnverified { contact: MIRA };
        let accepted = Submission::Command(command, PendingCommand::Other);
        assert!(submit(purpose, " accept ") == Ok(accepted));
        for other in ["Accept", "accepted", "yes"] {
            assert!(submit(purpose, other).is_err(), "{other}");
        }
    }

    #[test]
    fn why_an_invite_is_none_is_said_without_what_could_move_the_screen() {
        let said = submit(PromptPurpose::Rekey(MIRA), "BAD").err().expect("no invite");
        assert!(said.contains("not an invite") && !said.contains('\u{202e}'), "{said:?}");
    }
}
