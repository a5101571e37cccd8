//! Prompts: fields that ask for one thing, and what follows from the text in them.

use crate::engine::crypto::keys::PublicKey;
use crate::engine::id::{ContactId, IdentityId, RequestId};
use crate::engine::node::MAX_NAME;
use crate::engine::text::spelled_name;

use super::super::composer::{Composer, LineMode};
use super::super::options::InviteCodec;
use super::directory::ChatDirectory;
use super::pending::PendingCall;
use super::{Erasure, Model, Overlay, Since, UiEffect, composing, go_to, search, sentence};
use crate::shell::api::calls::{
    AnyCall, Call as _, ContactAcceptKey, ContactAdd, ContactRekey, ContactRename, IdentityNew,
    RequestAccept,
};

/// Most bytes of a name, in a field; the engine judges what it takes.
pub(super) const MAX_NAME_BYTES: usize = 128;

/// Most bytes of a name that stands already: it may have been given elsewhere. A character of UTF-8
/// has 4 at most (RFC 3629).
const MAX_WHOLE_NAME_BYTES: usize = MAX_NAME * 4;

/// The word that sends a text with lines like commands in it.
const SEND_WORD: &str = "send";

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
    /// The invite or key of a new contact of this identity: another one may speak before it is
    /// answered, and a contact must not get to know that one.
    AddKey(IdentityId),
    /// A name for the new contact of this identity with this key.
    AddName(IdentityId, PublicKey),
    /// A name for the stranger whose request is accepted.
    Accept(RequestId),
    /// Another name for a contact.
    Rename(ContactId),
    /// Another key of a contact.
    Rekey(ContactId),
    /// The word that lets sending go on unverified.
    AcceptUnverified(ContactId),
    /// The name that confirms that this is erased.
    Erase(Erasure),
    /// The word that sends what is written to this contact although a line looks like a command.
    Send(ContactId),
    /// Words to search for in the chat with a contact, or in all chats.
    Search(Option<ContactId>),
}

impl PromptPurpose {
    /// Whether nothing is left to ask once this contact is gone. The node refuses the other calls
    /// about one.
    pub(super) fn is_only_about(self, contact: ContactId) -> bool {
        match self {
            Self::Erase(erasure) => erasure.is_about(contact),
            Self::Send(whom) => whom == contact,
            Self::NewIdentity
            | Self::AddKey(_)
            | Self::AddName(..)
            | Self::Accept(_)
            | Self::Rename(_)
            | Self::Rekey(_)
            | Self::AcceptUnverified(_)
            | Self::Search(_) => false,
        }
    }
}

/// The consequence of the text in a prompt.
pub(super) enum Submission {
    /// Make this call.
    Call(AnyCall, PendingCall),
    /// Show this prompt next.
    Next(PromptPurpose),
    /// Erase by this call, which is not asked for again if it is refused: with the name in it, the
    /// prompt would wait for one key.
    Erase(AnyCall),
    /// Send what is written to this contact.
    Send(ContactId),
    /// Search for these words.
    Search(Option<ContactId>, String),
    /// Nothing: what it is about is gone.
    Nothing,
}

impl Prompt {
    pub(super) const fn new(purpose: PromptPurpose) -> Self {
        let limit = match purpose {
            PromptPurpose::AddKey(_) | PromptPurpose::Rekey(_) => MAX_INVITE_BYTES,
            PromptPurpose::Erase(_) => MAX_WHOLE_NAME_BYTES,
            PromptPurpose::NewIdentity
            | PromptPurpose::AddName(..)
            | PromptPurpose::Accept(_)
            | PromptPurpose::Rename(_)
            | PromptPurpose::AcceptUnverified(_)
            | PromptPurpose::Send(_)
            | PromptPurpose::Search(_) => MAX_NAME_BYTES,
        };
        Self { purpose, field: Composer::new(LineMode::One, limit), error: None }
    }

    /// The consequence of Enter, or why the text is refused.
    pub(super) fn submit(
        &self,
        invites: InviteCodec,
        directory: &ChatDirectory,
    ) -> Result<Submission, String> {
        let text = self.field.text().trim().to_owned();
        if text.is_empty() {
            return Err("type something, or press Esc to go back".to_owned());
        }
        let key = || (invites.read)(&text).map_err(|why| sentence(&why));
        let (call, about) = match self.purpose {
            PromptPurpose::NewIdentity => {
                (IdentityNew { name: text }.into_any(), PendingCall::Identity)
            }
            PromptPurpose::AddKey(whose) => {
                return Ok(Submission::Next(PromptPurpose::AddName(whose, key()?)));
            }
            PromptPurpose::AddName(whose, key) => {
                let Some(identity) = directory.identity(whose) else {
                    return Err("the identity that was to add them is gone".to_owned());
                };
                let identity = Some(identity.name.clone());
                let add = ContactAdd {
                    identity,
                    invite: (invites.write)(&key),
                    name: text,
                    max_work: None,
                };
                (add.into_any(), PendingCall::Contact)
            }
            PromptPurpose::Accept(request) => {
                let Some(request) = directory.request(request) else {
                    return Err("this request is gone; nothing was accepted".to_owned());
                };
                let accept = RequestAccept { request: request.reference(), name: text };
                (accept.into_any(), PendingCall::Contact)
            }
            PromptPurpose::Rekey(contact) => {
                let invite = (invites.write)(&key()?);
                (ContactRekey { contact: contact.into(), invite }.into_any(), PendingCall::Other)
            }
            PromptPurpose::Search(contact) => return Ok(Submission::Search(contact, text)),
            PromptPurpose::Erase(erasure) => return erase(erasure, &text, directory),
            PromptPurpose::Send(contact) if text == SEND_WORD => {
                return Ok(Submission::Send(contact));
            }
            PromptPurpose::Send(_) => {
                return Err("not the word send; nothing was sent".to_owned());
            }
            // A whole word, because a mere Enter is pressed without reading.
            PromptPurpose::AcceptUnverified(contact) if text == "accept" => {
                (ContactAcceptKey { contact: contact.into() }.into_any(), PendingCall::Other)
            }
            PromptPurpose::AcceptUnverified(_) => {
                return Err("that is not the word accept; sending stays paused".to_owned());
            }
            PromptPurpose::Rename(contact) => {
                let rename = ContactRename { contact: contact.into(), name: text };
                (rename.into_any(), PendingCall::Other)
            }
        };
        Ok(Submission::Call(call, about))
    }
}

/// The call that erases this, if the text is its name.
fn erase(erasure: Erasure, text: &str, directory: &ChatDirectory) -> Result<Submission, String> {
    match erasure.name(directory) {
        None => Ok(Submission::Nothing),
        Some(name) if spelled_name(name) == spelled_name(text) => {
            Ok(Submission::Erase(erasure.call(name)))
        }
        Some(_) => Err("that is not the name; nothing was erased".to_owned()),
    }
}

/// Asks for the invite of a new contact of the identity that speaks, or for the name of the one with
/// this key.
pub(super) fn ask_for_contact(model: &mut Model, key: Option<PublicKey>) {
    let Some(whose) = model.navigation.speaking else {
        return model.say_hint("no identity speaks yet; no contact was added. F6 lists them");
    };
    model.navigation.prompt(match key {
        Some(key) => PromptPurpose::AddName(whose, key),
        None => PromptPurpose::AddKey(whose),
    });
}

/// Enter in a field.
pub(super) fn submit(model: &mut Model, effects: &mut Vec<UiEffect>) {
    match model.navigation.overlay.take() {
        Some(Overlay::Prompt(mut prompt)) => match consequence(model, &prompt) {
            Ok(Submission::Call(call, about)) => {
                let (purpose, text) = (prompt.purpose, prompt.field.text().to_owned());
                let about = PendingCall::Typed(Box::new(about), purpose, text);
                // If too many calls wait, what was typed is not lost.
                if !model.ask(call, about, effects) {
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
            let targets = picker.targets(&model.directory, model.navigation.speaking);
            match picker.row(&targets).and_then(|row| targets.get(row)).copied() {
                Some(target) => go_to::go(model, target, effects),
                // Nothing fits what was typed, or the one that was marked is gone: the text stays, to
                // be corrected.
                None => model.navigation.overlay = Some(Overlay::GoTo(picker)),
            }
        }
        Some(other) => model.navigation.overlay = Some(other),
        None => {
            // Only the first identity is asked for without an overlay, and its page says what is
            // missing.
            if let Ok(submission) = consequence(model, &model.welcome) {
                follow(model, submission, effects);
            }
        }
    }
}

fn consequence(model: &Model, prompt: &Prompt) -> Result<Submission, String> {
    prompt.submit(model.options.invites, &model.directory)
}

/// What was typed is refused: the prompt is there again with it and with the reason, unless its
/// person has gone on meanwhile: what is typed by now is no answer to it.
pub(super) fn refuse(
    model: &mut Model,
    (purpose, text): (PromptPurpose, &str),
    reason: String,
    since: Since,
) {
    if model.navigation.overlay.is_some() || since == Since::Keys {
        return model.say_hint(reason);
    }
    let mut prompt = Prompt::new(purpose);
    prompt.field.replace(text);
    prompt.error = Some(reason);
    model.navigation.overlay = Some(Overlay::Prompt(prompt));
}

fn follow(model: &mut Model, submission: Submission, effects: &mut Vec<UiEffect>) {
    match submission {
        Submission::Call(call, about) => {
            model.ask(call, about, effects);
        }
        Submission::Erase(call) => {
            model.ask(call, PendingCall::Other, effects);
        }
        Submission::Send(contact) => composing::say_as_written(model, contact, effects),
        Submission::Next(purpose) => model.navigation.prompt(purpose),
        Submission::Search(contact, words) => search::search(model, contact, words, effects),
        Submission::Nothing => model.say_hint("what was asked about is gone; nothing was done"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIRA: ContactId = ContactId(10);

    /// What follows from this text in a field of this purpose.
    fn submit(purpose: PromptPurpose, text: &str) -> Result<Submission, String> {
        let invites = InviteCodec {
            write: |_| String::new(),
            read: |_| Err("this is\u{202e} not an invite".to_owned()),
        };
        let mut prompt = Prompt::new(purpose);
        prompt.field.replace(text);
        prompt.submit(invites, &ChatDirectory::new(100))
    }

    #[test]
    fn blanks_alone_are_nothing_for_every_purpose() {
        for purpose in [
            PromptPurpose::NewIdentity,
            PromptPurpose::AddKey(IdentityId(1)),
            PromptPurpose::Accept(RequestId(1)),
            PromptPurpose::Rename(MIRA),
            PromptPurpose::Rekey(MIRA),
            PromptPurpose::AcceptUnverified(MIRA),
            PromptPurpose::Erase(Erasure::Contact(MIRA)),
            PromptPurpose::Send(MIRA),
            PromptPurpose::Search(None),
        ] {
            assert!(submit(purpose, "  ").is_err(), "{purpose:?}");
        }
    }

    #[test]
    fn only_the_word_itself_lets_sending_go_on_unverified() {
        let purpose = PromptPurpose::AcceptUnverified(MIRA);
        let Ok(Submission::Call(AnyCall::ContactAcceptKey(accept), PendingCall::Other)) =
            submit(purpose, " accept ")
        else {
            panic!("it is the word");
        };
        assert!(accept.contact == MIRA.into());
        for other in ["Accept", "accepted", "yes"] {
            assert!(submit(purpose, other).is_err(), "{other}");
        }
    }

    #[test]
    fn only_the_word_itself_sends_lines_like_commands() {
        assert!(matches!(submit(PromptPurpose::Send(MIRA), " send "), Ok(Submission::Send(MIRA))));
        for other in ["y", "yes", "Send", "send it"] {
            assert!(submit(PromptPurpose::Send(MIRA), other).is_err(), "{other}");
        }
    }

    #[test]
    fn what_is_gone_already_is_not_erased_by_any_name() {
        let gone = submit(PromptPurpose::Erase(Erasure::Contact(MIRA)), "mira");
        assert!(matches!(gone, Ok(Submission::Nothing)));
    }

    #[test]
    fn why_an_invite_is_none_is_said_without_what_could_move_the_screen() {
        let said = submit(PromptPurpose::Rekey(MIRA), "BAD").err().expect("no invite");
        assert!(said.contains("not an invite") && !said.contains('\u{202e}'), "{said:?}");
    }
}
