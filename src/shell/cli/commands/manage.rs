//! Commands about identities, contacts and requests. The running node carries them out; if none
//! runs, they are carried out without a network, and the next node sends what they cause.
//!
//! A [`ManageRequest`] is planned and answered the same way in both cases; only the execution of
//! the command in between differs.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::contacts::about_contact;
use super::identities::about_identity;
use super::requests::about_request;
use super::without_network;
use super::{control, trust};
use crate::engine::command::{Command, CommandError, Reply};
use crate::engine::crypto::invite;
use crate::engine::event::ContactView;
use crate::engine::id::CommandId;
use crate::shell::api::{ClientEvent, ClientRequest};
use crate::shell::calendar::{read_zone, write_zone};
use crate::shell::cli::args::{ContactAction, GlobalArgs, IdentityAction, OnOff, RequestAction};
use crate::shell::cli::directory::{CHOSEN_IDENTITY, Directory, node_failed, node_gone};
use crate::shell::cli::{open_store, output};
use crate::shell::failure::{Failure, FailureCode, FailureText, shell_word};
use crate::shell::failures::RefusedCommand;
use crate::shell::os::clock;

/// A command and the identity that it is for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ManageRequest {
    identity: Option<String>,
    about: ManageAction,
    /// The time zone of the asking process, if it can be written; else dates are in that of the
    /// answering node.
    #[serde(default)]
    zone: Option<String>,
}

/// The subject of a request.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum ManageAction {
    /// `undertone identity ..`
    Identity(IdentityAction),
    /// `undertone contact ..`
    Contact(ContactAction),
    /// `undertone request ..`
    Request(RequestAction),
}

/// The result of a command: as data, and in words.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct CommandOutput {
    pub(super) data: Value,
    pub(super) words: String,
}

/// Which node sends the messages that a request causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeliveredBy {
    /// The node that carried it out.
    ThisNode,
    /// The node that opens this home next.
    NextNode,
}

/// The reply of the engine, if it was asked, and which node sends what the request causes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome<'a> {
    pub(super) reply: Option<&'a Reply>,
    /// The contact before it.
    pub(super) was: Option<&'a ContactView>,
    pub(super) sender: DeliveredBy,
}

/// Carries out a request, by the running node or without one, and prints the result.
pub(super) async fn run(global: &GlobalArgs, about: ManageAction) -> Result<(), Failure> {
    // Here and not by the node: standard input, and the person in front of it, are those of this
    // process.
    let about = match about {
        ManageAction::Contact(ContactAction::Add { invite, name }) if invite == "-" => {
            let invite = open_store::standard_input(MAX_INVITE)?;
            ManageAction::Contact(ContactAction::Add { invite, name })
        }
        ManageAction::Contact(ContactAction::Rekey { name, invite }) if invite == "-" => {
            let invite = open_store::standard_input(MAX_INVITE)?;
            ManageAction::Contact(ContactAction::Rekey { name, invite })
        }
        ManageAction::Contact(ContactAction::AcceptKey { name, yes_accept: false }) => {
            trust::ask_to_accept(global, &name)?;
            ManageAction::Contact(ContactAction::AcceptKey { name, yes_accept: true })
        }
        ManageAction::Contact(_) | ManageAction::Identity(_) | ManageAction::Request(_) => about,
    };
    let zone = write_zone(&clock::zone());
    let request = ManageRequest { identity: global.identity.clone(), about, zone };
    let answer = match request.ask_running(global).await? {
        Some(answer) => answer,
        None => request.carry_out(global)?,
    };
    if global.json {
        output::print_result(&answer.data);
    } else {
        output::print_line(&answer.words);
    }
    Ok(())
}

impl ManageRequest {
    /// Asks the running node of this home folder, if there is one.
    async fn ask_running(&self, global: &GlobalArgs) -> Result<Option<CommandOutput>, Failure> {
        // The default identity is a setting of the store, and is read when a node opens it.
        let chooses = matches!(self.about, ManageAction::Identity(IdentityAction::Use { .. }));
        if global.memory || chooses {
            return Ok(None);
        }
        control::ask_for(global, &json!({ "do": "manage", "request": self })).await
    }

    /// Parses the request from JSON.
    pub(super) fn from_json(question: &Value) -> Option<Self> {
        Self::deserialize(question.get("request")?).ok()
    }

    /// Carries it out by a runtime whose events arrive on `events`.
    pub(super) async fn by_host(
        self,
        chosen: Option<String>,
        ask: CommandId,
        requests: mpsc::Sender<ClientRequest>,
        mut events: mpsc::Receiver<ClientEvent>,
    ) -> Result<Value, Failure> {
        let mut directory = Directory::receive(&mut events).await?;
        let was = self.subject(&directory, chosen.as_deref());
        let mut replied = None;
        if let Some(command) = self.plan(&directory, chosen.as_deref())? {
            if requests.send(ClientRequest::Command(ask, command)).await.is_err() {
                return Err(node_gone());
            }
            loop {
                match events.recv().await {
                    None => return Err(node_gone()),
                    Some(ClientEvent::Fatal(why)) => return Err(node_failed(&why)),
                    Some(ClientEvent::Engine(event)) => directory.apply(&event),
                    Some(ClientEvent::Replied(id, reply)) if id == ask => {
                        replied = Some(reply.map_err(|error| self.refused(error))?);
                        break;
                    }
                    Some(
                        ClientEvent::Replied(..)
                        | ClientEvent::Network(_)
                        | ClientEvent::History { .. }
                        | ClientEvent::Found { .. }
                        | ClientEvent::QueryResult(..)
                        | ClientEvent::UnreadCount(..)
                        | ClientEvent::Persistence(_),
                    ) => {}
                }
            }
        }
        let done =
            Outcome { reply: replied.as_ref(), was: was.as_ref(), sender: DeliveredBy::ThisNode };
        let CommandOutput { data, words } = self.answer(&directory, chosen.as_deref(), done)?;
        Ok(json!({ "data": data, "words": words }))
    }

    /// Carries it out without a network.
    fn carry_out(&self, global: &GlobalArgs) -> Result<CommandOutput, Failure> {
        // Only a first identity makes a store: a mistyped folder must not become an empty home.
        let makes = matches!(self.about, ManageAction::Identity(IdentityAction::New { .. }));
        let store =
            if makes { open_store::open_or_create(global)? } else { open_store::open(global)? };
        let (mut durable, mut directory) = without_network(store)?;
        let chosen = durable.store().setting(CHOSEN_IDENTITY)?;
        let was = self.subject(&directory, chosen.as_deref());
        let mut replied = None;
        if let Some(command) = self.plan(&directory, chosen.as_deref())? {
            let (reply, new_events) = durable.ask(command)?;
            for event in &new_events {
                directory.apply(event);
            }
            replied = Some(reply.map_err(|error| self.refused(error))?);
        }
        let done =
            Outcome { reply: replied.as_ref(), was: was.as_ref(), sender: DeliveredBy::NextNode };
        let answer = self.answer(&directory, chosen.as_deref(), done)?;
        // After the answer, which is an error for an identity that does not exist.
        if let ManageAction::Identity(IdentityAction::Use { name }) = &self.about {
            durable.store().set_setting(CHOSEN_IDENTITY, name)?;
        }
        Ok(answer)
    }

    /// The command for the engine; `None` if the request only reads.
    fn plan(
        &self,
        directory: &Directory,
        chosen: Option<&str>,
    ) -> Result<Option<Command>, Failure> {
        let speaker = || directory.speaker(self.identity.as_deref(), chosen);
        let contact = |name: &str| directory.contact(speaker()?, name).map(|view| view.id);
        Ok(Some(match &self.about {
            ManageAction::Identity(IdentityAction::New { name }) => {
                Command::CreateIdentity { name: name.clone() }
            }
            ManageAction::Identity(IdentityAction::Delete { name, confirm }) => {
                let identity = directory.speaker(Some(name), None)?.id;
                // Typed once more, because a deleted key cannot be recovered.
                confirmed(name, confirm.as_deref(), "the identity, its contacts and messages")?;
                Command::DeleteIdentity { identity }
            }
            ManageAction::Contact(ContactAction::Add { invite, name }) => {
                let key = invite::decode(invite)?;
                Command::AddContact { identity: speaker()?.id, key, petname: name.clone() }
            }
            ManageAction::Contact(ContactAction::Rename { name, to }) => {
                Command::RenameContact { contact: contact(name)?, petname: to.clone() }
            }
            ManageAction::Contact(ContactAction::Block { name }) => {
                Command::Block { contact: contact(name)? }
            }
            ManageAction::Contact(ContactAction::Unblock { name }) => {
                Command::Unblock { contact: contact(name)? }
            }
            ManageAction::Contact(ContactAction::Remove { name, confirm }) => {
                let contact = contact(name)?;
                confirmed(name, confirm.as_deref(), "the contact and all messages with them")?;
                Command::RemoveContact { contact }
            }
            ManageAction::Contact(ContactAction::ReadMarks { name, state }) => {
                Command::SetReadReceipts { contact: contact(name)?, on: *state == OnOff::On }
            }
            ManageAction::Contact(ContactAction::Verify { name, words, digits }) => {
                Command::Verify {
                    contact: contact(name)?,
                    proof: trust::proof(words, digits.as_deref())?,
                }
            }
            ManageAction::Contact(ContactAction::Rekey { name, invite }) => {
                Command::Rekey { contact: contact(name)?, key: invite::decode(invite)? }
            }
            ManageAction::Contact(ContactAction::AcceptKey { name, yes_accept: _ }) => {
                Command::AcceptUnverified { contact: contact(name)? }
            }
            ManageAction::Request(RequestAction::Accept { key, name }) => Command::AcceptRequest {
                request: directory.request(key)?.id,
                petname: name.clone(),
            },
            ManageAction::Request(RequestAction::Decline { key }) => {
                Command::DeclineRequest { request: directory.request(key)?.id }
            }
            ManageAction::Identity(
                IdentityAction::List | IdentityAction::Show { .. } | IdentityAction::Use { .. },
            )
            | ManageAction::Contact(ContactAction::List | ContactAction::Show { .. })
            | ManageAction::Request(RequestAction::List) => return Ok(None),
        }))
    }

    /// The contact that a switch is for, which may have been switched already.
    fn subject(&self, directory: &Directory, chosen: Option<&str>) -> Option<ContactView> {
        let ManageAction::Contact(
            ContactAction::Block { name }
            | ContactAction::Unblock { name }
            | ContactAction::ReadMarks { name, .. },
        ) = &self.about
        else {
            return None;
        };
        let speaker = directory.speaker(self.identity.as_deref(), chosen).ok()?;
        directory.contact(speaker, name).ok().cloned()
    }

    /// What did not happen, and why the engine refused it.
    fn refused(&self, error: CommandError) -> Failure {
        let (what, contact) = match &self.about {
            ManageAction::Identity(IdentityAction::New { .. }) => {
                ("the identity was not created", None)
            }
            ManageAction::Identity(IdentityAction::Delete { .. }) => {
                ("the identity was not deleted", None)
            }
            ManageAction::Contact(ContactAction::Add { .. }) => ("the contact was not added", None),
            ManageAction::Contact(ContactAction::Rename { name, .. }) => {
                ("the contact was not renamed", Some(name))
            }
            ManageAction::Contact(ContactAction::Block { name }) => {
                ("the contact was not blocked", Some(name))
            }
            ManageAction::Contact(ContactAction::Unblock { name }) => {
                ("the contact was not unblocked", Some(name))
            }
            ManageAction::Contact(ContactAction::Remove { name, .. }) => {
                ("the contact was not removed", Some(name))
            }
            ManageAction::Contact(ContactAction::ReadMarks { name, .. }) => {
                ("read marks were not changed", Some(name))
            }
            ManageAction::Contact(ContactAction::Verify { name, .. }) => {
                ("the contact was not verified", Some(name))
            }
            ManageAction::Contact(ContactAction::Rekey { name, .. }) => {
                ("the key was not replaced", Some(name))
            }
            ManageAction::Contact(ContactAction::AcceptKey { name, .. }) => {
                ("sending was not resumed", Some(name))
            }
            ManageAction::Request(RequestAction::Accept { .. }) => {
                ("the request was not accepted", None)
            }
            ManageAction::Request(RequestAction::Decline { .. }) => {
                ("the request was not declined", None)
            }
            ManageAction::Identity(
                IdentityAction::List | IdentityAction::Show { .. } | IdentityAction::Use { .. },
            )
            | ManageAction::Contact(ContactAction::List | ContactAction::Show { .. })
            | ManageAction::Request(RequestAction::List) => ("nothing was shown", None),
        };
        let command =
            RefusedCommand { contact: contact.map(String::as_str), ..RefusedCommand::new(what) };
        Failure::refused(error, command)
    }

    /// The output once it is done.
    fn answer(
        &self,
        directory: &Directory,
        chosen: Option<&str>,
        done: Outcome<'_>,
    ) -> Result<CommandOutput, Failure> {
        let named = self.identity.as_deref();
        match &self.about {
            ManageAction::Identity(action) => about_identity(action, directory, (named, chosen)),
            ManageAction::Contact(action) => {
                let speaker = || directory.speaker(named, chosen);
                let contact = |name: &str| directory.contact(speaker()?, name);
                let zone = self.zone.as_deref().and_then(read_zone).unwrap_or_else(clock::zone);
                about_contact(action, directory, contact, (done, &zone))
            }
            ManageAction::Request(action) => Ok(about_request(action, directory, done.sender)),
        }
    }
}

pub(super) const fn command_output(data: Value, words: String) -> CommandOutput {
    CommandOutput { data, words }
}

/// A list: one JSON value and one line for each item.
pub(super) fn list<T>(
    all: &[T],
    json: impl Fn(&T) -> Value,
    line: impl Fn(&T) -> String,
    none: &str,
) -> CommandOutput {
    let lines: Vec<String> = all.iter().map(line).collect();
    let words = if lines.is_empty() { none.to_owned() } else { lines.join("\n") };
    command_output(Value::Array(all.iter().map(json).collect()), words)
}

pub(super) fn confirmed(name: &str, confirm: Option<&str>, what: &str) -> Result<(), Failure> {
    if confirm == Some(name) {
        return Ok(());
    }
    let why = format!("this permanently deletes {what}");
    let next = format!("add --confirm {}", shell_word(name));
    let text = FailureText {
        what: "nothing was deleted",
        why: &why,
        safe: "nothing was changed",
        next: &next,
    };
    Err(Failure::new(FailureCode::NotConfirmed, text))
}

/// Far longer than any invite.
const MAX_INVITE: u64 = 1_024;
