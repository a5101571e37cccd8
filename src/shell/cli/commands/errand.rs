//! What is asked about identities, contacts and requests: by the node that runs in this home, else
//! without any network, and then what it causes is sent by the next node.
//!
//! An [`Errand`] is planned and answered the same way in both places; only who carries out the
//! command in between differs.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{control, trust};
use crate::engine::crypto::invite;
use crate::engine::envelope::Floor;
use crate::engine::node::input::{Command, CommandId};
use crate::engine::node::output::{ContactView, IdentityView, Reply, RequestView};
use crate::engine::node::{NodeRole, NodeSettings};
use crate::shell::api::{ClientEvent, ClientRequest};
use crate::shell::calendar::Civil;
use crate::shell::cli::args::{ContactAction, GlobalArgs, IdentityAction, OnOff, RequestAction};
use crate::shell::cli::directory::{
    CHOSEN_IDENTITY, People, hex, node_failed, node_gone, session_words,
};
use crate::shell::cli::error::Failure;
use crate::shell::cli::open_store;
use crate::shell::cli::output;
use crate::shell::durable_node::Desk;
use crate::shell::os::exit_code::ExitCode;
use crate::shell::ui::{self};

/// One thing to ask, and who speaks.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Errand {
    identity: Option<String>,
    about: About,
}

/// What it is about.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum About {
    /// `undertone identity ..`
    Identity(IdentityAction),
    /// `undertone contact ..`
    Contact(ContactAction),
    /// `undertone request ..`
    Request(RequestAction),
}

/// What came of it: for programs, and in words.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) data: Value,
    pub(super) words: String,
}

/// Who sends what an errand causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The node that carried it out.
    ThisNode,
    /// The node that opens this home next.
    NextNode,
}

/// What the engine said to an errand, if it was asked, and who sends what that causes.
#[derive(Clone, Copy, Debug)]
struct Done<'a> {
    reply: Option<&'a Reply>,
    sender: Sender,
}

/// Carries an errand out, wherever that is possible, and prints what came of it.
pub(super) async fn run(global: &GlobalArgs, about: About) -> Result<(), Failure> {
    let about = match about {
        About::Contact(ContactAction::Add { invite, name }) if invite == "-" => {
            let invite = open_store::standard_input(MAX_INVITE)?;
            About::Contact(ContactAction::Add { invite, name })
        }
        About::Contact(ContactAction::Rekey { name, invite }) if invite == "-" => {
            let invite = open_store::standard_input(MAX_INVITE)?;
            About::Contact(ContactAction::Rekey { name, invite })
        }
        About::Contact(ContactAction::AcceptKey { name, yes_accept: false }) => {
            trust::ask_to_accept(global, &name)?;
            About::Contact(ContactAction::AcceptKey { name, yes_accept: true })
        }
        About::Contact(_) | About::Identity(_) | About::Request(_) => about,
    };
    let errand = Errand { identity: global.identity.clone(), about };
    let answer = match errand.ask_running(global).await? {
        Some(answer) => answer,
        None => errand.carry_out(global)?,
    };
    if global.json {
        output::print_result(&answer.data);
    } else {
        output::print_line(&answer.words);
    }
    Ok(())
}

impl Errand {
    /// Asks the node that runs in this home, if one does.
    async fn ask_running(&self, global: &GlobalArgs) -> Result<Option<Answer>, Failure> {
        // What is chosen is a matter between the store and the next node that opens it.
        let chooses = matches!(self.about, About::Identity(IdentityAction::Use { .. }));
        if global.memory || chooses {
            return Ok(None);
        }
        let question = json!({ "do": "errand", "errand": self });
        let answer = control::ask(&open_store::home(global)?, &question).await?;
        let Some(answer) = answer else { return Ok(None) };
        serde_json::from_value(answer).map(Some).map_err(|_| control::version_mismatch())
    }

    /// The errand in a question to this node, if it is one.
    pub(super) fn from_json(question: &Value) -> Option<Self> {
        Self::deserialize(question.get("errand")?).ok()
    }

    /// Carries it out by a host that tells `events` what happens.
    pub(super) async fn by_host(
        self,
        chosen: Option<String>,
        ask: CommandId,
        requests: mpsc::Sender<ClientRequest>,
        mut events: mpsc::Receiver<ClientEvent>,
    ) -> Result<Value, Failure> {
        let mut people = People::told(&mut events).await?;
        let mut replied = None;
        if let Some(command) = self.plan(&people, chosen.as_deref())? {
            if requests.send(ClientRequest::Command(ask, command)).await.is_err() {
                return Err(node_gone());
            }
            loop {
                match events.recv().await {
                    None => return Err(node_gone()),
                    Some(ClientEvent::Fatal(why)) => return Err(node_failed(&why)),
                    Some(ClientEvent::Engine(notice)) => people.note(&notice),
                    Some(ClientEvent::Replied(id, reply)) if id == ask => {
                        replied = Some(reply?);
                        break;
                    }
                    Some(
                        ClientEvent::Replied(..)
                        | ClientEvent::Network(_)
                        | ClientEvent::History { .. }
                        | ClientEvent::Found { .. }
                        | ClientEvent::Looked(..)
                        | ClientEvent::Unread(..)
                        | ClientEvent::Kept(_),
                    ) => {}
                }
            }
        }
        let done = Done { reply: replied.as_ref(), sender: Sender::ThisNode };
        let Answer { data, words } = self.answer(&people, chosen.as_deref(), done)?;
        Ok(json!({ "data": data, "words": words }))
    }

    /// Carries it out without a network.
    fn carry_out(&self, global: &GlobalArgs) -> Result<Answer, Failure> {
        let makes = matches!(self.about, About::Identity(IdentityAction::New { .. }));
        let store =
            if makes { open_store::open_or_create(global)? } else { open_store::open(global)? };
        // Nothing is checked and nothing is mined here, so the floor has no part in it.
        let mut desk = Desk::open(NodeSettings::new(NodeRole::Messenger, Floor::DEFAULT), store)?;
        desk.settle()?;
        let mut people = People::default();
        for notice in desk.node().snapshot() {
            people.note(&notice);
        }
        let chosen = desk.store().setting(CHOSEN_IDENTITY)?;
        let mut replied = None;
        if let Some(command) = self.plan(&people, chosen.as_deref())? {
            let (reply, notices) = desk.ask(command)?;
            for notice in &notices {
                people.note(notice);
            }
            replied = Some(reply?);
        }
        let done = Done { reply: replied.as_ref(), sender: Sender::NextNode };
        let answer = self.answer(&people, chosen.as_deref(), done)?;
        if let About::Identity(IdentityAction::Use { name }) = &self.about {
            desk.store().set_setting(CHOSEN_IDENTITY, name)?;
        }
        Ok(answer)
    }

    /// What the engine is to be told; nothing if the errand only asks.
    fn plan(&self, people: &People, chosen: Option<&str>) -> Result<Option<Command>, Failure> {
        let speaker = || people.speaker(self.identity.as_deref(), chosen);
        let contact = |name: &str| people.contact(speaker()?, name).map(|view| view.id);
        Ok(Some(match &self.about {
            About::Identity(IdentityAction::New { name }) => {
                Command::CreateIdentity { name: name.clone() }
            }
            About::Identity(IdentityAction::Delete { name, confirm }) => {
                let identity = people.speaker(Some(name), None)?.id;
                confirmed(name, confirm.as_deref(), "the identity, its contacts and messages")?;
                Command::DeleteIdentity { identity }
            }
            About::Contact(ContactAction::Add { invite, name }) => {
                let key = invite::decode(invite)?;
                Command::AddContact { identity: speaker()?.id, key, petname: name.clone() }
            }
            About::Contact(ContactAction::Rename { name, to }) => {
                Command::RenameContact { contact: contact(name)?, petname: to.clone() }
            }
            About::Contact(ContactAction::Block { name }) => {
                Command::Block { contact: contact(name)? }
            }
            About::Contact(ContactAction::Unblock { name }) => {
                Command::Unblock { contact: contact(name)? }
            }
            About::Contact(ContactAction::Remove { name, confirm }) => {
                let contact = contact(name)?;
                confirmed(name, confirm.as_deref(), "the contact and all messages")?;
                Command::RemoveContact { contact }
            }
            About::Contact(ContactAction::ReadMarks { name, state }) => {
                Command::SetReadReceipts { contact: contact(name)?, on: *state == OnOff::On }
            }
            About::Contact(ContactAction::Verify { name, words, digits }) => Command::Verify {
                contact: contact(name)?,
                proof: trust::proof(words, digits.as_deref())?,
            },
            About::Contact(ContactAction::Rekey { name, invite }) => {
                Command::Rekey { contact: contact(name)?, key: invite::decode(invite)? }
            }
            About::Contact(ContactAction::AcceptKey { name, yes_accept: _ }) => {
                Command::AcceptUnverified { contact: contact(name)? }
            }
            About::Request(RequestAction::Accept { key, name }) => {
                Command::AcceptRequest { request: people.request(key)?.id, petname: name.clone() }
            }
            About::Request(RequestAction::Decline { key }) => {
                Command::DeclineRequest { request: people.request(key)?.id }
            }
            About::Identity(
                IdentityAction::List | IdentityAction::Show { .. } | IdentityAction::Use { .. },
            )
            | About::Contact(ContactAction::List | ContactAction::Show { .. })
            | About::Request(RequestAction::List) => return Ok(None),
        }))
    }

    /// What is told once it is done.
    fn answer(
        &self,
        people: &People,
        chosen: Option<&str>,
        done: Done<'_>,
    ) -> Result<Answer, Failure> {
        let named = self.identity.as_deref();
        match &self.about {
            About::Identity(action) => about_identity(action, people, (named, chosen)),
            About::Contact(action) => {
                let speaker = || people.speaker(named, chosen);
                let contact = |name: &str| people.contact(speaker()?, name);
                about_contact(action, people, contact, done)
            }
            About::Request(action) => Ok(about_request(action, people, done.sender)),
        }
    }
}

fn about_identity(
    action: &IdentityAction,
    people: &People,
    (named, chosen): (Option<&str>, Option<&str>),
) -> Result<Answer, Failure> {
    Ok(match action {
        IdentityAction::New { name } => identity_answer(people.speaker(Some(name), None)?),
        IdentityAction::Show { name } => {
            identity_answer(people.speaker(name.as_deref().or(named), chosen)?)
        }
        IdentityAction::List => {
            let line = |view: &IdentityView| format!("{}  {}", view.key.short(), view.name);
            let all = &people.identities;
            list(all, identity_json, line, "no identity yet; undertone identity new NAME")
        }
        IdentityAction::Use { name } => {
            people.speaker(Some(name), None)?;
            told(json!({ "identity": name }), format!("{name} speaks from now on"))
        }
        IdentityAction::Delete { name, .. } => {
            told(json!({ "deleted": name }), format!("{name} is erased"))
        }
    })
}

fn about_contact<'a>(
    action: &ContactAction,
    people: &'a People,
    contact: impl Fn(&str) -> Result<&'a ContactView, Failure>,
    done: Done<'_>,
) -> Result<Answer, Failure> {
    Ok(match action {
        ContactAction::Add { name, .. } => {
            let leaves = match done.sender {
                Sender::ThisNode => "The offer leaves by itself.",
                Sender::NextNode => "The offer leaves with the next node: undertone",
            };
            told(contact_json(contact(name)?), format!("{name} is added. {leaves}"))
        }
        ContactAction::List => {
            let line = |view: &ContactView| {
                let mark = ui::text::trust::mark(view.trust);
                {
                    let short = view.key.short();
                    let link = session_words(view.session);
                    format!("{short}  {mark} {:<24}  {link}{}", view.petname, troubles(view))
                }
            };
            let none = "nobody yet; undertone contact add INVITE --name NAME";
            list(&people.contacts, contact_json, line, none)
        }
        ContactAction::Show { name } => {
            let view = contact(name)?;
            let text = format!(
                "{}\n  fingerprint  {}\n  state        {}{}\n  trust        {}\n  read marks   {}\n{}",
                view.petname,
                view.key.fingerprint(),
                session_words(view.session),
                troubles(view),
                ui::text::trust::words(view.trust),
                read_receipts(view),
                trust::to_compare(view)
            );
            told(contact_json(view), text)
        }
        ContactAction::Verify { name, .. } => {
            trust::outcome(name, done.reply)?;
            told(contact_json(contact(name)?), format!("{name} is verified, on this machine only"))
        }
        ContactAction::Rekey { name, .. } => {
            let next = "sending is held until you verify or accept it";
            told(contact_json(contact(name)?), format!("{name} has another key; {next}"))
        }
        ContactAction::AcceptKey { name, .. } => {
            told(contact_json(contact(name)?), format!("{name} is sent to again, not verified"))
        }
        ContactAction::Rename { name, to } => {
            told(json!({ "name": to }), format!("{name} is called {to}"))
        }
        ContactAction::ReadMarks { name, .. } => {
            let view = contact(name)?;
            told(contact_json(view), format!("read marks of {name}: {}", read_receipts(view)))
        }
        ContactAction::Block { name } => {
            told(json!({ "blocked": name }), format!("{name} is blocked"))
        }
        ContactAction::Unblock { name } => {
            told(json!({ "unblocked": name }), format!("{name} is heard again"))
        }
        ContactAction::Remove { name, .. } => {
            told(json!({ "removed": name }), format!("{name} is forgotten"))
        }
    })
}

fn about_request(action: &RequestAction, people: &People, sender: Sender) -> Answer {
    match action {
        RequestAction::List => {
            let json =
                |view: &RequestView| json!({ "key": hex(&view.key), "arrived": view.arrived.0 });
            list(&people.requests, json, |view| hex(&view.key), "no requests")
        }
        RequestAction::Accept { name, .. } => {
            let leaves = match sender {
                Sender::ThisNode => "The answer leaves by itself.",
                Sender::NextNode => "The answer leaves with the next node: undertone",
            };
            told(json!({ "accepted": name }), format!("{name} is let in. {leaves}"))
        }
        RequestAction::Decline { key } => told(json!({ "declined": key }), "forgotten".to_owned()),
    }
}

pub(super) const fn told(data: Value, words: String) -> Answer {
    Answer { data, words }
}

/// A list: a value each for programs, a line each for people.
fn list<T>(
    all: &[T],
    json: impl Fn(&T) -> Value,
    line: impl Fn(&T) -> String,
    none: &str,
) -> Answer {
    let lines: Vec<String> = all.iter().map(line).collect();
    let words = if lines.is_empty() { none.to_owned() } else { lines.join("\n") };
    told(Value::Array(all.iter().map(json).collect()), words)
}

fn identity_answer(view: &IdentityView) -> Answer {
    let words = format!(
        "{}\n  invite       {}\n  fingerprint  {}\n\
         Give the invite to whoever may write to you. It is not secret.",
        view.name,
        invite::encode(&view.key),
        view.key.fingerprint()
    );
    told(identity_json(view), words)
}

fn identity_json(view: &IdentityView) -> Value {
    json!({
        "name": view.name,
        "key": hex(&view.key),
        "invite": invite::encode(&view.key),
        "fingerprint": view.key.fingerprint().to_string(),
    })
}

fn contact_json(view: &ContactView) -> Value {
    json!({
        "name": view.petname,
        "key": hex(&view.key),
        "fingerprint": view.key.fingerprint().to_string(),
        "session": session_words(view.session),
        "trust": trust::to_json(view.trust),
        "safety_number": view.safety_number.to_string(),
        "read_marks": view.read_receipts,
        "missing": view.missing,
        "restored": view.restored.map(|at| Civil::at(at).iso()),
        "words": view.sas.as_ref().map(trust::own_words_json),
    })
}

/// What is not as it should be with a contact, to stand behind how far the session is.
fn troubles(view: &ContactView) -> String {
    let mut text = String::new();
    if view.missing > 0 {
        text.push_str(&format!(", {} of theirs missing, asked again", view.missing));
    }
    if let Some(at) = view.restored {
        let date = Civil::at(at).date();
        text.push_str(&format!(", restored from a backup on {date}: a new session is being made"));
    }
    text
}

/// Whether read marks are on, and what that means.
const fn read_receipts(view: &ContactView) -> &'static str {
    if view.read_receipts {
        "on: they are told when you have looked; you see when they have, if they turn it on too"
    } else {
        "off: neither is told when the other has looked"
    }
}

pub(super) fn confirmed(name: &str, confirm: Option<&str>, what: &str) -> Result<(), Failure> {
    if confirm == Some(name) {
        return Ok(());
    }
    let why = format!("this erases {what}; there is no copy");
    let next = format!("add --confirm {name:?}");
    let parts = ["nothing was erased", &why, "everything is as it was", &next];
    Err(Failure::new("not_confirmed", ExitCode::Usage, parts))
}

/// Far longer than any invite.
const MAX_INVITE: u64 = 1_024;
