//! Output of `undertone contact`.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::manage::{CommandOutput, DeliveredBy, Outcome, command_output, list};
use super::trust;
use crate::engine::event::{ContactView, SessionStatus};
use crate::shell::calendar::{Civil, utc};
use crate::shell::cli::args::ContactAction;
use crate::shell::cli::directory::Directory;
use crate::shell::cli::message_format::messages;
use crate::shell::failure::Failure;
use crate::shell::text;
use crate::shell::text::contact::{read_marks, session_word, session_words};

pub(super) fn about_contact<'a>(
    action: &ContactAction,
    directory: &'a Directory,
    contact: impl Fn(&str) -> Result<&'a ContactView, Failure>,
    (done, zone): (Outcome<'_>, &TimeZone),
) -> Result<CommandOutput, Failure> {
    Ok(match action {
        ContactAction::Add { name, .. } => {
            let sent = match done.sender {
                DeliveredBy::ThisNode => "The contact request is sent automatically.",
                DeliveredBy::NextNode => {
                    "The contact request is sent the next time a node runs: undertone"
                }
            };
            command_output(contact_json(contact(name)?), format!("added {name}. {sent}"))
        }
        ContactAction::List => {
            let line = |view: &ContactView| {
                let mark = text::trust::mark(view.trust);
                {
                    let short = view.key.short();
                    let link = session_words(view.session);
                    format!("{short}  {mark} {:<24}  {link}{}", view.petname, troubles(view, zone))
                }
            };
            let none = "no contacts yet; add one: undertone contact add INVITE --name NAME";
            list(&directory.contacts, contact_json, line, none)
        }
        ContactAction::Show { name } => {
            let view = contact(name)?;
            command_output(contact_json(view), details(view, zone))
        }
        ContactAction::Verify { name, .. } => {
            trust::outcome(name, done.reply)?;
            command_output(
                contact_json(contact(name)?),
                format!("verified {name}, on this computer only"),
            )
        }
        ContactAction::Rekey { name, .. } => {
            let next = "sending is paused until you verify or accept it";
            command_output(
                contact_json(contact(name)?),
                format!("replaced the key of {name}; {next}"),
            )
        }
        ContactAction::AcceptKey { name, .. } => command_output(
            contact_json(contact(name)?),
            format!("resumed sending to {name}, not verified"),
        ),
        ContactAction::Rename { name, to } => {
            command_output(json!({ "name": to }), format!("renamed {name} to {to}"))
        }
        ContactAction::ReadMarks { name, .. } => {
            let view = contact(name)?;
            let as_before = done.was.is_some_and(|was| was.read_receipts == view.read_receipts);
            let verb = if as_before { " were already" } else { ":" };
            command_output(
                contact_json(view),
                format!("read marks with {name}{verb} {}", read_marks(view)),
            )
        }
        ContactAction::Block { name } => {
            command_output(json!({ "blocked": name }), block_words(name, done))
        }
        ContactAction::Unblock { name } => {
            command_output(json!({ "unblocked": name }), unblock_words(name, done))
        }
        ContactAction::Remove { name, .. } => {
            command_output(json!({ "removed": name }), format!("removed {name}, with all messages"))
        }
    })
}

fn was_blocked(done: Outcome<'_>) -> bool {
    done.was.is_some_and(|was| was.session == SessionStatus::Blocked)
}

fn block_words(name: &str, done: Outcome<'_>) -> String {
    if was_blocked(done) {
        format!("{name} was already blocked")
    } else {
        format!("blocked {name}")
    }
}

fn unblock_words(name: &str, done: Outcome<'_>) -> String {
    if was_blocked(done) { format!("unblocked {name}") } else { format!("{name} was not blocked") }
}

/// Everything that is known of a contact, for people.
fn details(view: &ContactView, zone: &TimeZone) -> String {
    let compare = trust::to_compare(view);
    format!(
        "{}\n  fingerprint    {}\n  state          {}{}\n  trust          {}\n  \
         read marks     {}\n{compare}",
        view.petname,
        view.key.fingerprint(),
        session_words(view.session),
        troubles(view, zone),
        text::trust::words(view.trust, zone),
        read_marks(view),
    )
}

fn contact_json(view: &ContactView) -> Value {
    json!({
        "name": view.petname,
        "key": view.key.hex(),
        "fingerprint": view.key.fingerprint().to_string(),
        "session": session_word(view.session),
        "trust": trust::to_json(view.trust),
        "safety_number": view.safety_number.to_string(),
        "read_marks": view.read_receipts,
        "missing": view.missing,
        "restored": view.restored.map(utc),
        "words": view.sas.as_ref().map(trust::own_words_json),
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::env::UnixSeconds;
    use crate::engine::record::Trust;
    use crate::shell::cli::message_format::tests::contact;

    #[test]
    fn nothing_is_under_way_with_a_restored_contact_that_is_blocked() {
        let told = |session| {
            let view = ContactView {
                missing: 1,
                restored: Some(UnixSeconds(1_000_000)),
                ..contact(session, Trust::Unverified)
            };
            troubles(&view, &TimeZone::UTC)
        };
        let blocked = told(SessionStatus::Blocked);
        assert!(blocked.contains("restored from a backup on"), "{blocked}");
        assert!(!blocked.contains("session") && !blocked.contains("requested"), "{blocked}");
        assert!(told(SessionStatus::OfferSent).contains("a new session is being set up"));
        assert!(told(SessionStatus::OfferSent).contains("1 message missing, requested again"));
        assert!(told(SessionStatus::None).contains("once you write"));
    }
}
