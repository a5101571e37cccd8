//! `undertone identity`

use serde_json::json;

use crate::engine::crypto::invite;
use crate::shell::api::Identity;
use crate::shell::api::calls::{
    IdentityDelete, IdentityList, IdentityNew, IdentityShow, IdentityUse,
};
use crate::shell::cli::args::{GlobalArgs, IdentityAction};
use crate::shell::cli::connect;
use crate::shell::cli::output::CommandOutput;
use crate::shell::client::{Client, CreateStore};
use crate::shell::failure::Failure;

/// `undertone identity ..`
pub(super) async fn run(global: &GlobalArgs, action: IdentityAction) -> Result<(), Failure> {
    // Only a first identity makes a store: a mistyped folder must not become an empty home.
    let makes = matches!(action, IdentityAction::New { .. });
    let create = if makes { CreateStore::Yes } else { CreateStore::No };
    let client = connect::for_command(global, create).await?;
    let done = carry_out(&client, global.identity.as_deref(), action).await;
    connect::finish(client, done).await?.print(global)
}

async fn carry_out(
    client: &Client,
    named: Option<&str>,
    action: IdentityAction,
) -> Result<CommandOutput, Failure> {
    Ok(match action {
        IdentityAction::New { name } => shown(&client.call(IdentityNew { name }).await?),
        IdentityAction::Show { name } => {
            let identity = name.or_else(|| named.map(str::to_owned));
            shown(&client.call(IdentityShow { identity }).await?)
        }
        IdentityAction::List => {
            let all = client.call(IdentityList {}).await?.items;
            let line = |identity: &Identity| {
                let mark = if identity.is_default { "  (default)" } else { "" };
                format!("{}  {}{mark}", identity.key.short(), identity.name)
            };
            let none = "no identities yet; create one: undertone identity new NAME";
            CommandOutput::list(&all, line, none)
        }
        IdentityAction::Use { name } => {
            let chosen = client.call(IdentityUse { name }).await?;
            let words = format!("{} is now the default identity", chosen.name);
            CommandOutput::new(&chosen, words)
        }
        IdentityAction::Delete { name, confirm } => {
            client.call(IdentityDelete { name: name.clone(), confirm }).await?;
            let words = format!("deleted {name}, with its contacts and messages");
            CommandOutput::new(&json!({ "deleted": name }), words)
        }
    })
}

fn shown(identity: &Identity) -> CommandOutput {
    let words = format!(
        "{}\n  invite       {}\n  fingerprint  {}\n\
         Give the invite to the people who may write to you. It is not secret.",
        identity.name,
        invite::encode(&identity.key),
        identity.key.fingerprint()
    );
    CommandOutput::new(identity, words)
}
