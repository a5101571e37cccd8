//! What is done with contacts, and how they are told.

use serde_json::{Value, json};

use super::manage::{CommandOutput, DeliveredBy, Outcome, command_output, list};
use super::trust;
use crate::engine::event::ContactView;
use crate::shell::calendar::Civil;
use crate::shell::cli::args::ContactAction;
use crate::shell::cli::directory::{Directory, hex, session_words};
use crate::shell::cli::error::Failure;
use crate::shell::ui;

pub(super) fn about_contact<'a>(
    action: &ContactAction,
    directory: &'a Directory,
    contact: impl Fn(&str) -> Result<&'a ContactView, Failure>,
    done: Outcome<'_>,
) -> Result<CommandOutput, Failure> {
    Ok(match action {
        ContactAction::Add { name, .. } => {
            let leaves = match done.sender {
                DeliveredBy::ThisNode => "The offer leaves by itself.",
                DeliveredBy::NextNode => "The offer leaves with the next node: undertone",
            };
            command_output(contact_json(contact(name)?), format!("{name} is added. {leaves}"))
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
            list(&directory.contacts, contact_json, line, none)
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
            command_output(contact_json(view), text)
        }
        ContactAction::Verify { name, .. } => {
            trust::outcome(name, done.reply)?;
            command_output(
                contact_json(contact(name)?),
                format!("{name} is verified, on this machine only"),
            )
        }
        ContactAction::Rekey { name, .. } => {
            let next = "sending is held until you verify or accept it";
            command_output(contact_json(contact(name)?), format!("{name} has another key; {next}"))
        }
        ContactAction::AcceptKey { name, .. } => command_output(
            contact_json(contact(name)?),
            format!("{name} is sent to again, not verified"),
        ),
        ContactAction::Rename { name, to } => {
            command_output(json!({ "name": to }), format!("{name} is called {to}"))
        }
        ContactAction::ReadMarks { name, .. } => {
            let view = contact(name)?;
            command_output(
                contact_json(view),
                format!("read marks of {name}: {}", read_receipts(view)),
            )
        }
        ContactAction::Block { name } => {
            command_output(json!({ "blocked": name }), format!("{name} is blocked"))
        }
        ContactAction::Unblock { name } => {
            command_output(json!({ "unblocked": name }), format!("{name} is heard again"))
        }
        ContactAction::Remove { name, .. } => {
            command_output(json!({ "removed": name }), format!("{name} is forgotten"))
        }
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
