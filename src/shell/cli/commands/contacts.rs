//! `undertone contact`

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::trust;
use crate::engine::env::UnixSeconds;
use crate::engine::event::{ContactView, HeldBack, SendRoom, SessionStatus};
use crate::engine::price::Step;
use crate::shell::api::calls::{
    Changed, Comparison, ContactAcceptKey, ContactAdd, ContactBlock, ContactList, ContactRef,
    ContactRekey, ContactRemove, ContactRename, ContactSet, ContactShow, ContactUnblock,
    ContactVerify, Id, Status,
};
use crate::shell::api::words::WorkLimit;
use crate::shell::api::{Contact, PriceSource, PriceStatus};
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
    let done = connect::what_is_known(&client, done);
    connect::finish(client, done).await?.print(global)
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
            let mut words = listed(&all, zone, none);
            if !client.hello().online && !all.is_empty() {
                words.push_str(NOTHING_KNOWN);
            }
            CommandOutput::new(&all, words)
        }
        ContactAction::Show { name } => {
            let contact = client.call(ContactShow { contact: the(&name) }).await?;
            let status = client.call(Status {}).await?;
            let price = (status.network.price, status.network.price_from);
            let price = status.online.then_some(price);
            CommandOutput::new(&contact, details(&contact, (zone, clock::wall()), price))
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
            let words = unblocked(&name, &done, connect::when_sent(client));
            CommandOutput::new(&changed_json(&done), words)
        }
        ContactAction::Remove { name, confirm } => {
            client.call(ContactRemove { contact: the(&name), confirm }).await?;
            let words = format!("removed {name}, with all messages");
            CommandOutput::new(&json!({ "removed": name }), words)
        }
    })
}

/// What an unblocking did, and what follows from it.
fn unblocked(name: &str, done: &Changed, when: &str) -> String {
    match (done.changed, done.contact.trust.is_on_hold()) {
        (false, _) => format!("{name} was not blocked"),
        (true, false) => format!("unblocked {name}. A new session is offered {when}"),
        (true, true) => {
            format!("unblocked {name}. Sending is paused until you verify or accept it")
        }
    }
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
            "added {name}. The contact request waits for a lower price: {}; while a node runs, {}. At \
             this price it is sent at once: {}",
            asked.excess(),
            text::price::looks(contact.next_look, clock::wall()),
            text::command::allow(&typed, asked.now()),
        ),
        None => {
            let sent = connect::when_sent(client);
            format!("added {name}. The contact request is sent {sent}")
        }
    };
    let mut fields = output::to_json(contact);
    let price = asked.map(|asked| {
        let mut price = asked.json(asked.hold());
        if status.network.price_from == PriceSource::Own {
            output::forget(&mut price, &["work", "waits", "waits_for_turn"]);
        }
        price
    });
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("price".to_owned(), price.unwrap_or_default());
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
    let status = client.call(Status {}).await?;
    let usual = status.online.then(|| status.network.price.usual_limit());
    let words = limit_words(&done.contact, usual);
    Ok(CommandOutput::new(&changed_json(&done), words))
}

/// What may be paid for a contact from now on, in words. `usual` is what the node pays, if one runs.
fn limit_words(view: &ContactView, usual: Option<Step>) -> String {
    let most = match view.highest.or(usual) {
        Some(most) => format!("at most {} from now on", text::price::work(most)),
        None => format!("from now on {UNKNOWN_LIMIT}"),
    };
    format!("{}: {most}, for all that has no limit of its own", view.petname)
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

/// The lines of the list of contacts.
fn listed(all: &[Contact], zone: &TimeZone, none: &str) -> String {
    if all.is_empty() {
        return none.to_owned();
    }
    all.iter().map(|contact| line(contact, zone)).collect::<Vec<_>>().join("\n")
}

/// A contact in a line of the list.
fn line(contact: &Contact, zone: &TimeZone) -> String {
    let (short, mark) = (contact.key.short(), text::trust::mark(contact.trust));
    let (name, session) = (&contact.petname, link_words(contact));
    let (price, troubles) = (price(contact), troubles(contact, zone));
    format!("{short}  {mark} {name:<24}  {session}{price}{troubles}")
}

/// What is held back besides the request, and what may be paid, as a suffix to the session status,
/// which says it of the request.
fn price(view: &ContactView) -> String {
    let mut text = String::new();
    for (held, why) in [(&view.waiting, "waiting for a lower price"), (&view.in_line, "in line")] {
        let has_request = held.iter().any(|what| matches!(what, HeldBack::Request(_)));
        let intro = if has_request { "with it".to_owned() } else { format!("{why}:") };
        let besides = text::contact::besides_request(held);
        text.extend(besides.map(|what| format!(", {intro} {what}")));
    }
    if let Some(highest) = view.highest {
        text.push_str(&format!(", at most {}", text::price::work(highest)));
    }
    text
}

/// Everything that is known of a contact, for people.
fn details(
    view: &ContactView,
    (zone, now): (&TimeZone, UnixSeconds),
    price: Option<(PriceStatus, PriceSource)>,
) -> String {
    let compare = trust::to_compare(view);
    let held = held_back(view, now);
    let most = match (view.highest, price.map(|(price, _)| price.usual_limit())) {
        (Some(own), _) => format!("at most {} for this contact", text::price::work(own)),
        (None, Some(usual)) => format!("at most {}, as usual", text::price::work(usual)),
        (None, None) => UNKNOWN_LIMIT.to_owned(),
    };
    let asked = match price {
        None => "not known, nor what waits for it: no node runs".to_owned(),
        Some((_, PriceSource::Own)) => "not known: no peer has said it within the hour".to_owned(),
        Some((price, PriceSource::Peers)) => {
            // The request, and what most people send.
            let lifetime = view.waiting_request().unwrap_or_default();
            AskedPrice::of(price, lifetime, view.highest).words()
        }
    };
    format!(
        "{}\n  fingerprint    {}\n  state          {}{}{}\n  work           {most}\n  \
         price          {asked}\n  trust          {}\n  read marks     {}\n{compare}",
        view.petname,
        view.key.fingerprint(),
        link_words(view),
        troubles(view, zone),
        held,
        text::trust::words(view.trust, zone),
        read_marks(view),
    )
}

/// What is held back, and when it is looked at next.
fn held_back(view: &ContactView, now: UnixSeconds) -> String {
    let mut text = String::new();
    if let Some(what) = text::contact::held_back(&view.waiting) {
        let looks = text::price::looks(view.next_look, now);
        text.push_str(&format!("\n  too dear       {what}: waiting for a lower price; {looks}"));
    }
    if let Some(what) = text::contact::held_back(&view.in_line) {
        let next = text::price::one_by_one(view.next_look, now);
        text.push_str(&format!("\n  in line        {what}: {next}"));
    }
    if view.room == SendRoom::Full {
        let what = "your next messages: until this contact acknowledges earlier ones";
        text.push_str(&format!("\n  waiting        {what}"));
    }
    text
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
            // Sending is paused, or one would be offered.
            SessionStatus::None => ": a new session is set up once you verify or accept it",
            SessionStatus::OfferQueued
            | SessionStatus::OfferSent
            | SessionStatus::AwaitingConfirmation
            | SessionStatus::Established => ": a new session is being set up",
        };
        text.push_str(&format!(", restored from a backup on {date}{next}"));
    }
    text
}

/// What may be paid where nothing was said of it and no node runs.
const UNKNOWN_LIMIT: &str = "as the node allows that runs next";

/// Under a list of contacts that no node told.
const NOTHING_KNOWN: &str =
    "\n-- no node runs: the price, and what waits for a lower one, are not known --";

/// Far longer than any invite.
const MAX_INVITE: u64 = 1_024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::envelope::Lifetime;
    use crate::engine::id::MessageId;
    use crate::engine::record::Trust;
    use crate::shell::cli::message_format::tests::contact;

    #[test]
    fn a_line_of_the_list_says_all_that_waits_for_a_lower_price_and_the_limit_of_the_contact() {
        let told = |session, waiting: &[HeldBack], highest| {
            let mut contact = contact(session, Trust::Unverified);
            contact.view.waiting = Arc::new(waiting.iter().copied().collect());
            contact.view.highest = highest;
            line(&contact, &TimeZone::UTC)
        };
        let again = HeldBack::Again(MessageId(1));
        let ready = told(SessionStatus::Established, &[again, HeldBack::Answers], None);
        assert!(
            ready.ends_with(
                "  session ready, waiting for a lower price: 1 message to be sent again, \
                 acknowledgements"
            ),
            "{ready}"
        );
        let request = [HeldBack::Request(Lifetime::Day), HeldBack::Messages];
        let request = told(SessionStatus::OfferQueued, &request, Some(Step::new(6)));
        let all = "request waits for a lower price, with it your messages, at most 64 times the \
                   usual work";
        assert!(request.ends_with(all), "{request}");
        let none = told(SessionStatus::Established, &[], None);
        assert!(none.ends_with("  session ready"), "{none}");
        let mut in_line = contact(SessionStatus::Established, Trust::Unverified);
        in_line.view.in_line = Arc::new([HeldBack::Messages].into());
        in_line.view.next_look = Some(UnixSeconds(1_000 + 4 * 60));
        let listed = line(&in_line, &TimeZone::UTC);
        assert!(listed.ends_with("  session ready, in line: your messages"), "{listed}");
        let page = details(&in_line, (&TimeZone::UTC, UnixSeconds(1_000)), None);
        let row = "\n  in line        your messages: what is for this contact leaves one by one, the \
                   next within 4 minutes\n";
        assert!(page.contains(row) && !page.contains("too dear"), "{page}");
    }

    #[test]
    fn what_is_known_of_a_price_is_told_with_a_contact_and_that_nothing_is_without_a_node() {
        let mut contact = contact(SessionStatus::Established, Trust::Unverified);
        let busy = PriceStatus { day: 4, ..PriceStatus::default() };
        let page = |contact: &Contact, price: Option<PriceStatus>| {
            let price = price.map(|price| (price, PriceSource::Peers));
            details(contact, (&TimeZone::UTC, UnixSeconds(1_000)), price)
        };
        let usual = page(&contact, Some(busy));
        assert!(usual.contains("\n  work           at most 8 times the usual work, as usual\n"));
        assert!(usual.contains("\n  price          a day costs 16 times the usual work now\n"));
        contact.view.highest = Some(Step::new(1));
        let limited = "\n  work           at most 2 times the usual work for this contact\n";
        assert!(page(&contact, Some(busy)).contains(limited));
        let alone = page(&contact, None);
        assert!(alone.contains(limited) && alone.contains("not known, nor what waits"), "{alone}");
        let unheard =
            details(&contact, (&TimeZone::UTC, UnixSeconds(1_000)), Some((busy, PriceSource::Own)));
        assert!(unheard.contains("\n  price          not known: no peer has said it"), "{unheard}");
    }

    #[test]
    fn a_limit_that_is_the_nodes_own_is_not_named_while_no_node_runs() {
        let mut contact = contact(SessionStatus::Established, Trust::Unverified);
        let usual = limit_words(&contact, None);
        assert!(usual.contains("from now on as the node allows that runs next, for"), "{usual}");
        let usual = limit_words(&contact, Some(Step::new(4)));
        assert!(usual.contains("at most 16 times the usual work from now on, for"), "{usual}");
        contact.view.highest = Some(Step::new(1));
        let own = limit_words(&contact, None);
        assert!(own.contains("at most 2 times the usual work from now on, for"), "{own}");
    }

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
        assert!(told(SessionStatus::None).contains("once you verify or accept it"));
    }
}
