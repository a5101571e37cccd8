//! The node of a command: the one that runs in the home folder, else one of its own.

use std::path::PathBuf;

use crate::engine::envelope::Floor;
use crate::engine::settings::{NodeRole, NodeSettings};
use crate::shell::api::{ClientInfo, ClientKind, Hello, Stay};
use crate::shell::cli::args::{GlobalArgs, NetworkArgs, NetworkFlags};
use crate::shell::cli::output;
use crate::shell::client::{Client, Connect, CreateStore, HomeOptions, NodeOptions, StoreOptions};
use crate::shell::failure::Failure;
use crate::shell::net::{LanDiscovery, NetSettings};
use crate::shell::os::data_dir;
use crate::shell::os::passphrase::{self, PassphraseSource, PromptPolicy};

/// The home folder these flags name.
pub(super) fn home(global: &GlobalArgs) -> Result<PathBuf, Failure> {
    // UNDERTONE_HOME was read by the parser of the command line.
    Ok(data_dir::resolve(global.home.as_deref(), |name| std::env::var_os(name))?)
}

/// The source of the passphrase, and whether prompting is allowed.
pub(super) fn source(global: &GlobalArgs) -> (PassphraseSource, PromptPolicy) {
    let ask = if global.no_input { PromptPolicy::Forbidden } else { PromptPolicy::Allowed };
    let source = if let Some(descriptor) = global.passphrase_fd {
        PassphraseSource::Descriptor(descriptor)
    } else if let Some(file) = &global.passphrase_file {
        PassphraseSource::File(file.clone())
    } else if let Some(command) = &global.passphrase_cmd {
        PassphraseSource::Command(command.clone())
    } else {
        PassphraseSource::Prompt
    };
    (source, ask)
}

/// Where these flags keep the state of a node.
pub(super) fn store(global: &GlobalArgs, create: CreateStore) -> Result<StoreOptions, Failure> {
    if global.memory {
        return Ok(StoreOptions::Memory);
    }
    let (source, ask) = source(global);
    let home = HomeOptions::new(home(global)?, create, move |create| {
        Ok(match (&source, create) {
            // Asked twice: nobody could open a store whose passphrase has a slip in it.
            (PassphraseSource::Prompt, CreateStore::Yes) => passphrase::prompt_new(ask)?,
            _ => passphrase::read(&source, ask)?,
        })
    });
    Ok(StoreOptions::Home(home))
}

/// A node with these flags that joins a network.
pub(super) fn online(store: StoreOptions, network: &NetworkArgs, stay: Stay) -> NodeOptions {
    let floor = Floor::new(network.floor);
    let junk = network.junk.map(|rate| rate.0);
    let mut net = NetSettings::new(network.network.clone(), network.floor);
    net.listen.clone_from(&network.listen);
    net.peers.clone_from(&network.peers);
    net.lan = if network.lan { LanDiscovery::On } else { LanDiscovery::Off };
    let (line, highest_step) = (network.line, network.max_work);
    let usual = NodeSettings::new(NodeRole::Messenger, floor);
    NodeOptions {
        store,
        node: NodeSettings { junk, line, highest_step, ..usual },
        net: Some(net),
        stay,
        archive: None,
    }
}

/// Says to a person that the node which runs is in another network than the one they named: what was
/// said of a network must not be ignored in silence.
pub(super) fn say_unused(flags: &NetworkFlags, running: &Hello) {
    if let Some(sentence) = unused(flags, running) {
        output::print_message(&sentence);
    }
}

fn unused(flags: &NetworkFlags, running: &Hello) -> Option<String> {
    let network = flags.network.as_ref().is_some_and(|name| name.to_string() != running.network);
    let floor = flags.floor.is_some_and(|bits| Floor::new(bits).bits() != running.floor);
    let flags = match (network, floor) {
        (false, false) => return None,
        (true, false) => "--network was",
        (false, true) => "--floor was",
        (true, true) => "--network and --floor were",
    };
    Some(format!(
        "the node that runs in this home folder is in the network {:?} with a floor of {} bits; \
         {flags} not used",
        running.network, running.floor,
    ))
}

/// A client for one command that needs no network: of the node that runs, else of one without a
/// network.
pub(super) async fn for_command(
    global: &GlobalArgs,
    create: CreateStore,
) -> Result<Client, Failure> {
    let options = NodeOptions { stay: Stay::Brief, ..NodeOptions::in_memory().offline() };
    let options = NodeOptions { store: store(global, create)?, ..options };
    let who = ClientInfo::new(ClientKind::Command);
    Client::connect(Connect::AttachOrStart(options), who).await.map(|(client, _)| client)
}

/// Closes the client of a command that is done; answers what it was answered. Nothing is printed as
/// done before the node has ended well.
pub(super) async fn finish<T>(client: Client, done: Result<T, Failure>) -> Result<T, Failure> {
    let closed = client.close().await;
    let done = done?;
    closed?;
    Ok(done)
}

/// When a node sends what a command caused.
pub(super) fn when_sent(client: &Client) -> &'static str {
    if client.hello().online { "automatically." } else { "the next time a node runs: undertone" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::api::{API_VERSION, Limits};

    #[test]
    fn a_network_that_was_named_and_is_another_one_is_never_ignored_in_silence() {
        let running = Hello {
            api: API_VERSION,
            version: "1".to_owned(),
            network: "main".to_owned(),
            floor: 21,
            online: true,
            stay: Stay::Long,
            limits: Limits::OURS,
        };
        let said = |network: Option<&str>, floor| {
            let network = network.map(|name| name.parse().unwrap());
            unused(&NetworkFlags { network, floor, ..NetworkFlags::default() }, &running)
        };
        for same in [said(None, None), said(Some("main"), None), said(Some("main"), Some(21))] {
            assert_eq!(same, None);
        }
        for (network, floor, flags) in [
            (Some("other"), None, "; --network was not used"),
            (Some("main"), Some(4), "; --floor was not used"),
            (Some("other"), Some(4), "; --network and --floor were not used"),
        ] {
            let sentence = said(network, floor).unwrap();
            assert!(sentence.contains("\"main\" with a floor of 21 bits"), "{sentence}");
            assert!(sentence.ends_with(flags), "{sentence}");
        }
    }
}
