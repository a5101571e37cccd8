//! `undertone request`

use serde_json::json;

use crate::engine::envelope::Lifetime;
use crate::engine::event::WaitsFor;
use crate::shell::api::Request;
use crate::shell::api::calls::{RequestAccept, RequestDecline, RequestList, Status};
use crate::shell::cli::args::{GlobalArgs, RequestAction};
use crate::shell::cli::connect;
use crate::shell::cli::output::CommandOutput;
use crate::shell::client::{Client, CreateStore};
use crate::shell::failure::Failure;
use crate::shell::os::clock;
use crate::shell::text::command;
use crate::shell::text::price::{self, AskedPrice};

/// `undertone request ..`
pub(super) async fn run(global: &GlobalArgs, action: RequestAction) -> Result<(), Failure> {
    let client = connect::for_command(global, CreateStore::No).await?;
    let done = carry_out(&client, global.identity.clone(), action).await;
    let done = connect::what_is_known(&client, done);
    connect::finish(client, done).await?.print(global)
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
            let words = match contact.answers_wait_for() {
                Some(WaitsFor::Price) => {
                    let price = client.call(Status {}).await?.network.price;
                    let asked = AskedPrice::of(price, Lifetime::default(), contact.highest);
                    let typed = command::contact(name, identity.as_deref());
                    format!(
                        "accepted {name}. Your answer waits for a lower price: {}; sent at once: {}",
                        price::looks(contact.next_look, clock::wall()),
                        command::allow(&typed, asked.now())
                    )
                }
                Some(WaitsFor::Turn) => format!(
                    "accepted {name}. Your answer waits its turn: {}",
                    price::one_by_one(contact.next_look, clock::wall())
                ),
                Some(WaitsFor::Acknowledgement) | None => {
                    format!("accepted {name}. Your answer is sent {}", connect::when_sent(client))
                }
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
