//! Identities, contacts and requests, without a network: what they cause is sent by the next node.

use serde_json::{Value, json};

use super::keep;
use crate::engine::crypto::invite;
use crate::engine::crypto::keys::PublicKey;
use crate::engine::envelope::Floor;
use crate::engine::node::input::Command;
use crate::engine::node::output::{ContactView, IdentityView, Link, Notice, Reply, RequestView};
use crate::engine::node::{NodeSettings, Role};
use crate::shell::cli::{ContactAction, Everywhere, IdentityAction, RequestAction};
use crate::shell::desk::Desk;
use crate::shell::failure::{Exit, Failure};
use crate::shell::print;
use crate::shell::store::Store;

/// Whom a node knows, as its notices tell it.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) identities: Vec<IdentityView>,
    pub(super) contacts: Vec<ContactView>,
    pub(super) requests: Vec<RequestView>,
}

impl People {
    /// Takes one notice in.
    pub(super) fn note(&mut self, notice: &Notice) {
        match notice {
            Notice::Identity(view) => {
                self.identities.retain(|known| known.id != view.id);
                self.identities.push(view.clone());
            }
            Notice::IdentityGone(id) => self.identities.retain(|known| known.id != *id),
            Notice::Contact(view) => {
                self.contacts.retain(|known| known.id != view.id);
                self.contacts.push(view.clone());
            }
            Notice::ContactGone(id) => self.contacts.retain(|known| known.id != *id),
            Notice::Request(view) => {
                self.requests.retain(|known| known.id != view.id);
                self.requests.push(view.clone());
            }
            Notice::RequestGone(id) => self.requests.retain(|known| known.id != *id),
            Notice::Message(_) | Notice::State { .. } => {}
        }
    }

    /// The identity that speaks: the named one, the chosen one, or the only one.
    pub(super) fn speaker(
        &self,
        named: Option<&str>,
        chosen: Option<&str>,
    ) -> Result<&IdentityView, Failure> {
        if let Some(name) = named.or(chosen) {
            return self.identities.iter().find(|view| view.name == name).ok_or_else(|| {
                let what = format!("there is no identity {name:?}");
                let next = "undertone identity list";
                let parts = [&*what, "", "nothing was done", next];
                Failure::new("identity_not_found", Exit::NotFound, parts)
            });
        }
        match self.identities.as_slice() {
            [only] => Ok(only),
            [] => Err(Failure::new(
                "no_identity",
                Exit::NotFound,
                ["there is no identity yet", "", "nothing was done", "undertone identity new NAME"],
            )),
            _ => Err(Failure::new(
                "which_identity",
                Exit::Usage,
                [
                    "there are several identities",
                    "a message from the wrong one cannot be taken back",
                    "nothing was done",
                    "add -i NAME, or undertone identity use NAME",
                ],
            )),
        }
    }

    /// A contact of an identity, by our name for them.
    pub(super) fn contact(&self, of: &IdentityView, name: &str) -> Result<&ContactView, Failure> {
        let theirs = |view: &&ContactView| view.identity == of.id;
        self.contacts.iter().filter(theirs).find(|view| view.petname == name).ok_or_else(|| {
            let what = format!("there is no contact {name:?}");
            let known: Vec<&str> =
                self.contacts.iter().filter(theirs).map(|view| &*view.petname).take(8).collect();
            let why = if known.is_empty() {
                "nobody is known yet".to_owned()
            } else {
                format!("known: {}", known.join(", "))
            };
            let parts = [&*what, &why, "nothing was done", "undertone contact list"];
            Failure::new("contact_not_found", Exit::NotFound, parts)
        })
    }

    fn request(&self, key: &str) -> Result<&RequestView, Failure> {
        let mut found = self
            .requests
            .iter()
            .filter(|view| key.len() >= 4 && hex(&view.key).starts_with(&key.to_lowercase()));
        match (found.next(), found.next()) {
            (Some(view), None) => Ok(view),
            _ => Err(Failure::new(
                "request_not_found",
                Exit::NotFound,
                [
                    "no single request has a key that begins like that",
                    "at least four letters of it are needed",
                    "nothing was done",
                    "undertone request list",
                ],
            )),
        }
    }
}

/// The name of the setting that holds the chosen identity.
pub(super) const CHOSEN_IDENTITY: &str = "identity";

/// An engine without a network, and whom it knows.
struct Office {
    desk: Desk,
    people: People,
}

impl Office {
    fn open(store: Store) -> Result<Self, Failure> {
        // Nothing is checked and nothing is mined here, so the floor has no part in it.
        let mut desk = Desk::open(NodeSettings::new(Role::Messenger, Floor::DEFAULT), store)?;
        let mut people = People::default();
        desk.settle()?;
        for notice in desk.node().everything() {
            people.note(&notice);
        }
        Ok(Self { desk, people })
    }

    fn speaker(&mut self, everywhere: &Everywhere) -> Result<IdentityView, Failure> {
        let chosen = self.desk.store().setting(CHOSEN_IDENTITY)?;
        self.people.speaker(everywhere.identity.as_deref(), chosen.as_deref()).cloned()
    }

    fn contact(&mut self, everywhere: &Everywhere, name: &str) -> Result<ContactView, Failure> {
        let speaker = self.speaker(everywhere)?;
        self.people.contact(&speaker, name).cloned()
    }

    fn ask(&mut self, command: Command) -> Result<Reply, Failure> {
        let (answer, notices) = self.desk.ask(command)?;
        for notice in &notices {
            self.people.note(notice);
        }
        Ok(answer?)
    }
}

/// `undertone identity ..`
pub(super) fn identity(everywhere: &Everywhere, action: IdentityAction) -> Result<(), Failure> {
    let store = match &action {
        IdentityAction::New { .. } => keep::open_or_create(everywhere)?,
        IdentityAction::List
        | IdentityAction::Show { .. }
        | IdentityAction::Use { .. }
        | IdentityAction::Delete { .. } => keep::open(everywhere)?,
    };
    let mut office = Office::open(store)?;
    match action {
        IdentityAction::New { name } => {
            office.ask(Command::CreateIdentity { name: name.clone() })?;
            let view = office.people.speaker(Some(&name), None)?;
            tell(everywhere, &identity_json(view), || identity_words(view));
        }
        IdentityAction::List => {
            let all = &office.people.identities;
            let data = Value::Array(all.iter().map(identity_json).collect());
            tell(everywhere, &data, || {
                if all.is_empty() {
                    return "no identity yet; undertone identity new NAME".to_owned();
                }
                let lines: Vec<String> =
                    all.iter().map(|view| format!("{}  {}", view.key.short(), view.name)).collect();
                lines.join("\n")
            });
        }
        IdentityAction::Show { name } => {
            let named = name.or_else(|| everywhere.identity.clone());
            let chosen = office.desk.store().setting(CHOSEN_IDENTITY)?;
            let view = office.people.speaker(named.as_deref(), chosen.as_deref())?;
            tell(everywhere, &identity_json(view), || identity_words(view));
        }
        IdentityAction::Use { name } => {
            office.people.speaker(Some(&name), None)?;
            office.desk.store().set_setting(CHOSEN_IDENTITY, &name)?;
            tell(everywhere, &json!({ "identity": name }), || format!("{name} speaks from now on"));
        }
        IdentityAction::Delete { name, confirm } => {
            let identity = office.people.speaker(Some(&name), None)?.id;
            confirmed(&name, confirm.as_deref(), "the identity, its contacts and messages")?;
            office.ask(Command::DeleteIdentity { identity })?;
            tell(everywhere, &json!({ "deleted": name }), || format!("{name} is erased"));
        }
    }
    Ok(())
}

/// `undertone contact ..`
pub(super) fn contact(everywhere: &Everywhere, action: ContactAction) -> Result<(), Failure> {
    let mut office = Office::open(keep::open(everywhere)?)?;
    match action {
        ContactAction::Add { invite, name } => {
            let invite = match invite.as_str() {
                "-" => keep::standard_input(MAX_INVITE)?,
                _ => invite,
            };
            let key = invite::decode(&invite)?;
            let identity = office.speaker(everywhere)?.id;
            office.ask(Command::AddContact { identity, key, petname: name.clone() })?;
            let view = office.contact(everywhere, &name)?;
            tell(everywhere, &contact_json(&view), || {
                format!("{name} is added. The offer leaves with the next node: undertone")
            });
        }
        ContactAction::List => {
            let all = &office.people.contacts;
            let data = Value::Array(all.iter().map(contact_json).collect());
            tell(everywhere, &data, || {
                if all.is_empty() {
                    return "nobody yet; undertone contact add INVITE --name NAME".to_owned();
                }
                let line = |view: &ContactView| {
                    format!("{}  {:<24}  {}", view.key.short(), view.petname, words(view.link))
                };
                all.iter().map(line).collect::<Vec<String>>().join("\n")
            });
        }
        ContactAction::Show { name } => {
            let view = office.contact(everywhere, &name)?;
            tell(everywhere, &contact_json(&view), || {
                format!(
                    "{}\n  fingerprint  {}\n  session      {}",
                    view.petname,
                    view.key.fingerprint(),
                    words(view.link)
                )
            });
        }
        ContactAction::Rename { name, to } => {
            let contact = office.contact(everywhere, &name)?.id;
            office.ask(Command::RenameContact { contact, petname: to.clone() })?;
            tell(everywhere, &json!({ "name": to }), || format!("{name} is called {to}"));
        }
        ContactAction::Block { name } => {
            let contact = office.contact(everywhere, &name)?.id;
            office.ask(Command::Block { contact })?;
            tell(everywhere, &json!({ "blocked": name }), || format!("{name} is blocked"));
        }
        ContactAction::Unblock { name } => {
            let contact = office.contact(everywhere, &name)?.id;
            office.ask(Command::Unblock { contact })?;
            tell(everywhere, &json!({ "unblocked": name }), || format!("{name} is heard again"));
        }
        ContactAction::Remove { name, confirm } => {
            let contact = office.contact(everywhere, &name)?.id;
            confirmed(&name, confirm.as_deref(), "the contact and all messages")?;
            office.ask(Command::RemoveContact { contact })?;
            tell(everywhere, &json!({ "removed": name }), || format!("{name} is forgotten"));
        }
    }
    Ok(())
}

/// `undertone request ..`
pub(super) fn request(everywhere: &Everywhere, action: RequestAction) -> Result<(), Failure> {
    let mut office = Office::open(keep::open(everywhere)?)?;
    match action {
        RequestAction::List => {
            let all = &office.people.requests;
            let data =
                all.iter().map(|view| json!({ "key": hex(&view.key), "arrived": view.arrived.0 }));
            tell(everywhere, &Value::Array(data.collect()), || {
                if all.is_empty() {
                    return "no requests".to_owned();
                }
                let line = |view: &RequestView| format!("{}", hex(&view.key));
                all.iter().map(line).collect::<Vec<String>>().join("\n")
            });
        }
        RequestAction::Accept { key, name } => {
            let request = office.people.request(&key)?.id;
            office.ask(Command::AcceptRequest { request, petname: name.clone() })?;
            tell(everywhere, &json!({ "accepted": name }), || {
                format!("{name} is let in. The answer leaves with the next node: undertone")
            });
        }
        RequestAction::Decline { key } => {
            let request = office.people.request(&key)?.id;
            office.ask(Command::DeclineRequest { request })?;
            tell(everywhere, &json!({ "declined": key }), || "forgotten".to_owned());
        }
    }
    Ok(())
}

/// How far two people are with each other, in words.
pub(super) const fn words(link: Link) -> &'static str {
    match link {
        Link::Closed => "no session",
        Link::Offering => "the offer has not left yet",
        Link::Offered => "waiting for their answer",
        Link::Answering => "answering their offer",
        Link::Ready => "session ready",
        Link::Blocked => "blocked",
    }
}

fn tell(everywhere: &Everywhere, data: &Value, words: impl FnOnce() -> String) {
    if everywhere.json {
        print::answer(data);
    } else {
        print::line(&words());
    }
}

fn identity_json(view: &IdentityView) -> Value {
    json!({
        "name": view.name,
        "key": hex(&view.key),
        "invite": invite::encode(&view.key),
        "fingerprint": view.key.fingerprint().to_string(),
    })
}

fn identity_words(view: &IdentityView) -> String {
    format!(
        "{}\n  invite       {}\n  fingerprint  {}\n\
         Give the invite to whoever may write to you. It is not secret.",
        view.name,
        invite::encode(&view.key),
        view.key.fingerprint()
    )
}

fn contact_json(view: &ContactView) -> Value {
    json!({
        "name": view.petname,
        "key": hex(&view.key),
        "fingerprint": view.key.fingerprint().to_string(),
        "session": words(view.link),
    })
}

fn hex(key: &PublicKey) -> String {
    key.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn confirmed(name: &str, confirm: Option<&str>, what: &str) -> Result<(), Failure> {
    if confirm == Some(name) {
        return Ok(());
    }
    let why = format!("this erases {what}; there is no copy");
    let next = format!("add --confirm {name:?}");
    let parts = ["nothing was erased", &why, "everything is as it was", &next];
    Err(Failure::new("not_confirmed", Exit::Usage, parts))
}

/// Far longer than any invite.
const MAX_INVITE: u64 = 1_024;
