//! `undertone request`

use serde_json::json;

use crate::engine::event::WaitingForPrice;
use crate::shell::api::Request;
use crate::shell::api::calls::{RequestAccept, RequestDecline, RequestList};
use crate::shell::cli::args::{GlobalArgs, RequestAction};
use crate::shell::cli::connect;
use crate::shell::cli::output::CommandOutput;
use crate::shell::client::{Client, CreateStore};
use crate::shell::failure::Failure;
use crate::shell::text::command;

/// `undertone request ..`
pub(super) async fn run(global: &GlobalArgs, action: RequestAction) -> Result<(), Failure> {
    let client = connect::for_command(global, CreateStore::No).await?;
    let done = carry_out(&client, global.identity.clone(), action).await;
    connect::finish(client, done).await?.print(global);
    Ok(())
}

async fn carry_out(
    client: &Client,
    identity: Option<String>,
    action: RequestAction,
) -> Result<CommandOutput, Failure> {
    Ok(match action {
        RequestAction::List => {
            let all = client.call(RequestList { identity }).await?.items;
            CommandOutput::list(&all, |request: &Request| request.key.hex(), "no contact requests")
        }
        RequestAction::Accept { key, name } => {
            let contact = client.call(RequestAccept { request: key, name }).await?;
            let name = &contact.petname;
            let words = if contact.waiting.contains(&WaitingForPrice::Answers) {
                format!(
                    "accepted {name}. Your answer waits for a lower price; at any price it is sent at \
                     once: undertone contact max-work {} 256",
                    command::contact(name, identity.as_deref())
                )
            } else {
                format!("accepted {name}. Your answer is sent {}", connect::when_sent(client))
            };
            CommandOutput::new(&contact, words)
        }
        RequestAction::Decline { key } => {
            client.call(RequestDecline { request: key.clone() }).await?;
            let words = "declined the request".to_owned();
            CommandOutput::new(&json!({ "declined": key }), words)
        }
    })
}
