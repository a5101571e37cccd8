//! Output of `undertone identity`.

use serde_json::{Value, json};

use super::manage::{CommandOutput, command_output, list};
use crate::engine::crypto::invite;
use crate::engine::event::IdentityView;
use crate::shell::cli::args::IdentityAction;
use crate::shell::cli::directory::Directory;
use crate::shell::failure::Failure;

pub(super) fn about_identity(
    action: &IdentityAction,
    directory: &Directory,
    (named, chosen): (Option<&str>, Option<&str>),
) -> Result<CommandOutput, Failure> {
    Ok(match action {
        IdentityAction::New { name } => identity_answer(directory.speaker(Some(name), None)?),
        IdentityAction::Show { name } => {
            identity_answer(directory.speaker(name.as_deref().or(named), chosen)?)
        }
        IdentityAction::List => {
            let default = directory.speaker(None, chosen).ok().map(|view| view.id);
            let line = |view: &IdentityView| {
                let mark = if default == Some(view.id) { "  (default)" } else { "" };
                format!("{}  {}{mark}", view.key.short(), view.name)
            };
            let json = |view: &IdentityView| {
                let mut json = identity_json(view);
                if let Some(fields) = json.as_object_mut() {
                    fields.insert("default".to_owned(), (default == Some(view.id)).into());
                }
                json
            };
            let all = &directory.identities;
            list(all, json, line, "no identities yet; create one: undertone identity new NAME")
        }
        IdentityAction::Use { name } => {
            directory.speaker(Some(name), None)?;
            command_output(
                json!({ "identity": name }),
                format!("{name} is now the default identity"),
            )
        }
        IdentityAction::Delete { name, .. } => command_output(
            json!({ "deleted": name }),
            format!("deleted {name}, with its contacts and messages"),
        ),
    })
}

fn identity_answer(view: &IdentityView) -> CommandOutput {
    let words = format!(
        "{}\n  invite       {}\n  fingerprint  {}\n\
         Give the invite to the people who may write to you. It is not secret.",
        view.name,
        invite::encode(&view.key),
        view.key.fingerprint()
    );
    command_output(identity_json(view), words)
}

fn identity_json(view: &IdentityView) -> Value {
    json!({
        "name": view.name,
        "key": view.key.hex(),
        "invite": invite::encode(&view.key),
        "fingerprint": view.key.fingerprint().to_string(),
    })
}
