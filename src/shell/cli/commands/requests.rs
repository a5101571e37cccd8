//! Output of `undertone request`.

use serde_json::json;

use super::manage::{CommandOutput, DeliveredBy, command_output, list};
use crate::engine::event::RequestView;
use crate::shell::cli::args::RequestAction;
use crate::shell::cli::directory::Directory;

pub(super) fn about_request(
    action: &RequestAction,
    directory: &Directory,
    sender: DeliveredBy,
) -> CommandOutput {
    match action {
        RequestAction::List => {
            let json =
                |view: &RequestView| json!({ "key": view.key.hex(), "arrived": view.arrived.0 });
            list(&directory.requests, json, |view| view.key.hex(), "no contact requests")
        }
        RequestAction::Accept { name, .. } => {
            let sent = match sender {
                DeliveredBy::ThisNode => "Your answer is sent automatically.",
                DeliveredBy::NextNode => "Your answer is sent the next time a node runs: undertone",
            };
            command_output(json!({ "accepted": name }), format!("accepted {name}. {sent}"))
        }
        RequestAction::Decline { key } => {
            command_output(json!({ "declined": key }), "declined the request".to_owned())
        }
    }
}
