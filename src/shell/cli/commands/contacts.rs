//! `undertone contact`

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::trust;
use crate::engine::event::{ContactView, SessionStatus};
use crate::shell::api::Contact;
use crate::shell::api::calls::{
    Changed, Comparison, ContactAcceptKey, ContactAdd, ContactBlock, ContactList, ContactRef,
    ContactRekey, ContactRemove, ContactRename, ContactSet, ContactShow, ContactUnblock,
    ContactVerify, Id, Status,
};
use crate::shell::api::words::WorkLimit;
use crate::shell::calendar::Civil;
use crate::shell::cli::args::{ContactAction, GlobalArgs, OnOff};
use crate::shell::cli::message_format::messages;
use crate::shell::cli::output::{self, CommandOutput};
use crate::shell::cli::{connect, input};
use crate::shell::client::{Client, CreateStore};
use crate::shell::failure::Failure;
use crate::shell::os::clock;
use crate::shell::text;
use crate::shell::text::contact::{link_words, read_marks};
use crate::shell::text::price::AskedPrice;

/// `undertone contact ..`
pub(super) async fn run(global: &GlobalArgs, action: ContactAction) -> Result<(), Failure> {
    let action = ask_first(global, action)?;
    let client = connect::for_command(global, CreateStore::No).await?;
    let done = carry_out(&client, global.identity.as_deref(), action).await;
    connect::finish(client, done).await?.print(global);
    Ok(())
}

/// Reads what standard input and the person in front of it have to say, before a node waits for it.
fn ask_first(global: &GlobalArgs, action: ContactAction) -> Result<ContactAction, Failure> {
    Ok(match action {
        ContactAction::Add { invite, name, max_work } if invite == "-" => {
            ContactAction::Add { invite: input::standard_input(MAX_INVITE)?, name, max_work }
        }
        ContactAction::Rekey { name, invite } if invite == "-" => {
            ContactAction::Rekey { name, invite: input::standard_input(MAX_INVITE)? }
        }
        ContactAction::AcceptKey { name, yes_accept: false } => {
            trust::ask_to_accept(global, &name)?;
            ContactAction::AcceptKey { name, yes_accept: true }
        }
        ContactAction::Add { .. }
        | ContactAction::Rekey { .. }
        | ContactAction::AcceptKey { .. }
        | ContactAction::List
        | ContactAction::Show { .. }
        | ContactAction::Verify { .. }
        | ContactAction::Rename { .. }
        | ContactAction::ReadMarks { .. }
        | ContactAction::MaxWork { .. }
        | ContactAction::Block { .. }
        | ContactAction::Unblock { .. }
        | ContactAction::Remove { .. } => action,
    })
}

async fn carry_out(
    client: &Client,
    identity: Option<&str>,
    action: ContactAction,
) -> Result<CommandOutput, Failure> {
    let zone = &clock::zone();
    let the = |name: &str| of_identity(name, identity);
    Ok(match action {
        ContactAction::Add { invite, name, max_work } => {
            let (shown, identity) = (identity, identity.map(str::to_owned));
            let contact = client.call(ContactAdd { identity, invite, name, max_work }).await?;
            added(client, &contact, text::command::contact(&contact.petname, shown)).await?
        }
        ContactAction::List => {
            let all = all(client, identity).await?;
            let none = "no contacts yet; add one: undertone contact add INVITE --name NAME";
            CommandOutput::list(&all, |contact| line(contact, zone), none)
        }
        ContactAction::Show { name } => {
            let contact = client.call(ContactShow { contact: the(&name) }).await?;
            CommandOutput::new(&contact, details(&contact, zone))
        }
        ContactAction::Verify { name, words, digits } => {
            verify(client, the(&name), &name, (words, digits)).await?
        }
        ContactAction::Rekey { name, invite } => {
            let contact = client.call(ContactRekey { contact: the(&name), invite }).await?;
            let next = "sending is paused until you verify or accept it";
            CommandOutput::new(&contact, format!("replaced the key of {name}; {next}"))
        }
        ContactAction::AcceptKey { name, yes_accept: _ } => {
            let contact = client.call(ContactAcceptKey { contact: the(&name) }).await?;
            CommandOutput::new(&contact, format!("resumed sending to {name}, not verified"))
        }
        ContactAction::Rename { name, to } => {
            let contact = client.call(ContactRename { contact: the(&name), name: to }).await?;
            let words = format!("renamed {name} to {}", contact.petname);
            CommandOutput::new(&contact, words)
        }
        ContactAction::ReadMarks { name, state } => {
            let on = Some(state == OnOff::On);
            let set = ContactSet { contact: the(&name), read_marks: on, max_work: None };
            let done = client.call(set).await?;
            let verb = if done.changed { ":" } else { " were already" };
            let words = format!("read marks with {name}{verb} {}", read_marks(&done.contact));
            CommandOutput::new(&changed_json(&done), words)
        }
        ContactAction::MaxWork { name, limit } => limit_contact(client, the(&name), limit).await?,
        ContactAction::Block { name } => {
            let done = client.call(ContactBlock { contact: the(&name) }).await?;
            let (was, is) = (format!("{name} was already blocked"), format!("blocked {name}"));
            CommandOutput::new(&changed_json(&done), if done.changed { is } else { was })
        }
        ContactAction::Unblock { name } => {
            let done = client.call(ContactUnblock { contact: the(&name) }).await?;
            let (was, is) = (format!("{name} was not blocked"), format!("unblocked {name}"));
            CommandOutput::new(&changed_json(&done), if done.changed { is } else { was })
        }
        ContactAction::Remove { name, confirm } => {
            client.call(ContactRemove { contact: the(&name), confirm }).await?;
            let words = format!("removed {name}, with all messages");
            CommandOutput::new(&json!({ "removed": name }), words)
        }
    })
}

/// A contact by the name that was typed, of the identity that was named.
pub(super) fn of_identity(name: &str, identity: Option<&str>) -> ContactRef {
    ContactRef::Of { name: name.to_owned(), identity: identity.map(str::to_owned) }
}

/// All contacts of an identity; of all identities if none is named.
pub(super) async fn all(client: &Client, identity: Option<&str>) -> Result<Vec<Contact>, Failure> {
    let mut all: Vec<Contact> = Vec::new();
    loop {
        let after = all.last().map(|contact| Id::from(contact.id));
        let identity = identity.map(str::to_owned);
        let page = client.call(ContactList { identity, after }).await?;
        let is_last = !page.more || page.items.is_empty();
        all.extend(page.items);
        if is_last {
            return Ok(all);
        }
    }
}

/// What is said of a contact that was added: whether the request is sent or waits for a lower price.
async fn added(
    client: &Client,
    contact: &Contact,
    typed: String,
) -> Result<CommandOutput, Failure> {
    let status = client.call(Status {}).await?;
    let name = &contact.petname;
    // A node without a network has heard of no price.
    let asked = AskedPrice::of_request(status.network.price, contact).filter(|_| status.online);
    let words = match asked.filter(|asked| asked.is_too_high()) {
        Some(asked) => format!(
            "added {name}. The contact request waits for a lower price: {}. A node that runs looks \
             again every few hours; at this price it is sent at once: undertone contact max-work \
             {typed} {}",
            asked.excess(),
            asked.now().times(),
        ),
        None => {
            let sent = connect::when_sent(client);
            format!("added {name}. The contact request is sent {sent}")
        }
    };
    let mut fields = output::to_json(contact);
    if let (Some(fields), Some(asked)) = (fields.as_object_mut(), asked) {
        fields.insert("price".to_owned(), asked.json(asked.hold()));
    }
    Ok(CommandOutput::new(&fields, words))
}

/// Says what may be paid for a contact from now on.
async fn limit_contact(
    client: &Client,
    contact: ContactRef,
    limit: WorkLimit,
) -> Result<CommandOutput, Failure> {
    let set = ContactSet { contact, read_marks: None, max_work: Some(limit) };
    let done = client.call(set).await?;
    let usual = client.call(Status {}).await?.network.price.usual_limit();
    let most = text::price::work(done.contact.highest.unwrap_or(usual));
    let name = &done.contact.petname;
    let words = format!("{name}: at most {most} from now on, for all that has no limit of its own");
    Ok(CommandOutput::new(&changed_json(&done), words))
}

async fn verify(
    client: &Client,
    contact: ContactRef,
    name: &str,
    (words, digits): (Vec<String>, Option<String>),
) -> Result<CommandOutput, Failure> {
    // One of the two is there, as the command line demands.
    let words = digits.is_none().then_some(words);
    let compared = client.call(ContactVerify { contact: contact.clone(), words, digits }).await?;
    if let Comparison::Differs { word, left } = compared {
        return Err(trust::mismatch(name, word, left));
    }
    let contact = client.call(ContactShow { contact }).await?;
    Ok(CommandOutput::new(&contact, format!("verified {name}, on this computer only")))
}

/// A contact after a switch, and whether it was otherwise before.
fn changed_json(done: &Changed) -> Value {
    let mut fields = output::to_json(&done.contact);
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("changed".to_owned(), done.changed.into());
    }
    fields
}

/// A contact in a line of the list.
fn line(contact: &Contact, zone: &TimeZone) -> String {
    let (short, mark) = (contact.key.short(), text::trust::mark(contact.trust));
    let (name, session) = (&contact.petname, link_words(contact));
    format!("{short}  {mark} {name:<24}  {session}{}", troubles(contact, zone))
}

/// Everything that is known of a contact, for people.
fn details(view: &ContactView, zone: &TimeZone) -> String {
    let compare = trust::to_compare(view);
    let waiting = text::contact::waiting(view);
    let waiting =
        waiting.map(|what| format!("\n  too dear       {what}: waiting for a lower price"));
    format!(
        "{}\n  fingerprint    {}\n  state          {}{}{}\n  trust          {}\n  \
         read marks     {}\n{compare}",
        view.petname,
        view.key.fingerprint(),
        link_words(view),
        troubles(view, zone),
        waiting.unwrap_or_default(),
        text::trust::words(view.trust, zone),
        read_marks(view),
    )
}

/// Missing messages and a pending restore, as a suffix to the session status.
fn troubles(view: &ContactView, zone: &TimeZone) -> String {
    let mut text = String::new();
    if view.missing > 0 {
        let again = if view.session == SessionStatus::Blocked { "" } else { ", requested again" };
        text.push_str(&format!(", {} missing{again}", messages(view.missing)));
    }
    if let Some(at) = view.restored {
        let date = Civil::at(at, zone).date();
        let next = match view.session {
            // Nothing is offered to a contact that is blocked.
            SessionStatus::Blocked => "",
            // Unblocked since, or closed: the next message of either side begins one.
            SessionStatus::None => ": a new session is set up once you write",
            SessionStatus::OfferQueued
            | SessionStatus::OfferSent
            | SessionStatus::AwaitingConfirmation
            | SessionStatus::Established => ": a new session is being set up",
        };
        text.push_str(&format!(", restored from a backup on {date}{next}"));
    }
    text
}

/// Far longer than any invite.
const MAX_INVITE: u64 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::env::UnixSeconds;
    use crate::engine::record::Trust;
    use crate::shell::cli::message_format::tests::contact;

    #[test]
    fn nothing_is_under_way_with_a_restored_contact_that_is_blocked() {
        let told = |session| {
            let mut contact = contact(session, Trust::Unverified);
            contact.view.missing = 1;
            contact.view.restored = Some(UnixSeconds(1_000_000));
            troubles(&contact, &TimeZone::UTC)
        };
        let blocked = told(SessionStatus::Blocked);
        assert!(blocked.contains("restored from a backup on"), "{blocked}");
        assert!(!blocked.contains("session") && !blocked.contains("requested"), "{blocked}");
        assert!(told(SessionStatus::OfferSent).contains("a new session is being set up"));
        assert!(told(SessionStatus::OfferSent).contains("1 message missing, requested again"));
        assert!(told(SessionStatus::None).contains("once you write"));
    }
}
