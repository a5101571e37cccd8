//! `undertone request`

use serde_json::json;

use crate::shell::api::Request;
use crate::shell::api::calls::{RequestAccept, RequestDecline, RequestList};
use crate::shell::cli::args::{GlobalArgs, RequestAction};
use crate::shell::cli::connect;
use crate::shell::cli::output::CommandOutput;
use crate::shell::client::{Client, CreateStore};
use crate::shell::failure::Failure;

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
            let sent = connect::when_sent(client);
            let words = format!("accepted {}. Your answer is sent {sent}", contact.petname);
            CommandOutput::new(&contact, words)
        }
        RequestAction::Decline { key } => {
            client.call(RequestDecline { request: key.clone() }).await?;
            let words = "declined the request".to_owned();
            CommandOutput::new(&json!({ "declined": key }), words)
        }
    })
}
