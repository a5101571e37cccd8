//! The node of a command: the one that runs in the home folder, else one of its own.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::sleep;

use crate::engine::env::Millis;
use crate::engine::envelope::Floor;
use crate::engine::settings::{NodeRole, NodeSettings};
use crate::shell::api::{ClientInfo, ClientKind, Hello, Stay};
use crate::shell::cli::args::{GlobalArgs, LineArg, NetworkArgs, NetworkFlags, RateArg};
use crate::shell::cli::output::{self, CommandOutput};
use crate::shell::client::{Client, Connect, CreateStore, HomeOptions, NodeOptions, StoreOptions};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::miner::MiningThreads;
use crate::shell::net::{LanDiscovery, Multiaddr, NetSettings};
use crate::shell::os::data_dir;
use crate::shell::os::exit_code::ExitCode;
use crate::shell::os::passphrase::{self, PassphraseSource, PromptPolicy};
use crate::shell::os::signals::StopSignals;

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
///
/// # Errors
/// When it cannot be on this machine.
pub(super) fn online(
    store: StoreOptions,
    network: &NetworkArgs,
    stay: Stay,
) -> Result<NodeOptions, Failure> {
    let floor = Floor::new(network.floor);
    let junk = network.junk.map(|rate| rate.0);
    let mut net = NetSettings::new(network.network.clone(), network.floor);
    net.listen.clone_from(&network.listen);
    net.peers.clone_from(&network.peers);
    net.lan = if network.lan { LanDiscovery::On } else { LanDiscovery::Off };
    let (line, highest_step) = (network.line, network.max_work);
    let usual = NodeSettings::new(NodeRole::Messenger, floor);
    let options = NodeOptions {
        store,
        node: NodeSettings { junk, line, highest_step, ..usual },
        net: Some(net),
        stay,
        archive: None,
        mining_threads: MiningThreads::default(),
        given: network.given.clone(),
    };
    match network.mining_threads {
        Some(count) => options.mining_threads(count),
        None => Ok(options),
    }
}

/// Says to a person that the node which runs was started with something else than they said: what was
/// said of a node must not be ignored in silence.
pub(super) fn say_unused(flags: &NetworkFlags, running: &Hello) {
    if let Some(sentence) = unused(flags, running) {
        output::print_message(&sentence);
    }
}

/// The same for the interface, in one line.
pub(super) fn notice_of_unused(flags: &NetworkFlags, running: &Hello) -> Option<String> {
    let (flags, were, _) = unused_flags(flags, running)?;
    Some(format!("{flags} {were} not used: the node was running already"))
}

fn unused(flags: &NetworkFlags, running: &Hello) -> Option<String> {
    let (unused, were, it) = unused_flags(flags, running)?;
    let node = if NETWORK_FLAGS.into_iter().any(|flag| unused.contains(flag)) {
        format!(
            "the node that runs in this home folder is in the network {:?} with a floor of {} bits",
            running.network, running.floor,
        )
    } else {
        "a node with other settings runs in this home folder".to_owned()
    };
    Some(format!(
        "{node}; {unused} {were} not used; to start one with {it}, stop that one first: undertone node \
         stop"
    ))
}

/// The flags of a network.
const NETWORK_FLAGS: [&str; 2] = ["--network", "--floor"];

/// The flags that a node which runs does not act on, as words of a sentence, with its verb and its
/// pronoun; `None` if it does what they say.
fn unused_flags(
    flags: &NetworkFlags,
    running: &Hello,
) -> Option<(String, &'static str, &'static str)> {
    let NetworkFlags { peers, listen, lan, network, floor, line, junk, max_work, mining_threads } =
        flags;
    let start = &running.start;
    let lacks = |used: &[String], given: &[Multiaddr]| {
        given.iter().any(|address| !used.contains(&address.to_string()))
    };
    let [of_network, of_floor] = NETWORK_FLAGS;
    let unused = [
        (of_network, network.as_ref().is_some_and(|name| name.as_str() != running.network)),
        (of_floor, floor.is_some_and(|bits| Floor::new(bits).bits() != running.floor)),
        ("--peer", lacks(&start.peers, peers)),
        ("--listen", lacks(&start.listen, listen)),
        ("--lan", *lan && !start.lan),
        ("--line", line.is_some_and(|LineArg(blocks)| blocks != start.line)),
        ("--junk", junk.is_some_and(|RateArg(Millis(mean))| Some(mean) != start.junk_ms)),
        ("--max-work", max_work.is_some_and(|step| step.times() != start.max_work)),
        ("--mining-threads", mining_threads.is_some() && *mining_threads != start.mining_threads),
    ];
    let unused: Vec<&str> =
        unused.into_iter().filter_map(|(flag, unused)| unused.then_some(flag)).collect();
    let (last, before) = unused.split_last()?;
    Some(if before.is_empty() {
        ((*last).to_owned(), "was", "it")
    } else {
        (format!("{} and {last}", before.join(", ")), "were", "them")
    })
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

/// Reaches a node, unless a signal ends it before. The first process of a container is sent only those signals
/// that it listens for, so it listens from here on; but where a person is asked for a passphrase, a signal ends
/// the process with the prompt as usual.
pub(super) async fn reach(
    global: &GlobalArgs,
    to: Connect,
) -> Result<(Client, StopSignals), Failure> {
    let who = ClientInfo::new(ClientKind::Command);
    let asks =
        !global.memory && source(global) == (PassphraseSource::Prompt, PromptPolicy::Allowed);
    if asks {
        let (client, _) = Client::connect(to, who).await?;
        return Ok((client, StopSignals::listen()?));
    }
    let mut stop = StopSignals::listen()?;
    tokio::select! {
        reached = Client::connect(to, who) => Ok((reached?.0, stop)),
        exit = stop.received() => Err(stopped(exit)),
    }
}

/// A signal ended a command that prints lines.
pub(super) fn stopped(exit: ExitCode) -> Failure {
    let text = FailureText {
        what: "stopped",
        why: "a signal ended it",
        safe: "everything accepted is saved",
        next: "start it again: undertone listen",
    };
    Failure::new(FailureCode::of_signal(exit), text)
}

/// Closes the client of a command that stays until it is ended. A node of its own lets the replies leave
/// first that contacts wait for, for some seconds at most, and that is said if it takes long. A signal
/// ends it at once, and changes nothing in what the command did.
pub(super) async fn close(client: Client, stop: &mut StopSignals) -> Result<(), Failure> {
    let said = async {
        sleep(SAID_AFTER).await;
        output::print_message(
            "a reply that a contact waits for leaves first, which takes some seconds; Ctrl+C does not \
             wait for it",
        );
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        closed = client.close() => closed,
        _ = stop.received() => {
            tracing::info!("a signal ended the wait for replies that were to leave");
            Ok(())
        }
        never = said => match never {},
    }
}

/// Closes the client of a command that is done; answers what it was answered. Nothing is printed as
/// done before the node has ended well.
pub(super) async fn finish<T>(client: Client, done: Result<T, Failure>) -> Result<T, Failure> {
    let closed = client.close().await;
    let done = done?;
    closed?;
    Ok(done)
}

/// The result of a command as far as the node that carried it out could know it.
pub(super) fn what_is_known(
    client: &Client,
    done: Result<CommandOutput, Failure>,
) -> Result<CommandOutput, Failure> {
    if client.hello().online { done } else { done.map(CommandOutput::without_network) }
}

/// When a node sends what a command caused.
pub(super) fn when_sent(client: &Client) -> &'static str {
    if client.hello().online { "automatically." } else { "the next time a node runs: undertone" }
}

/// The time after which it is said what the end of a node waits for. A guess: most replies take no
/// longer.
const SAID_AFTER: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::api::{API_VERSION, Limits, StartOptions};
    use crate::shell::cli::args::Cli;

    fn running() -> Hello {
        Hello {
            api: API_VERSION,
            version: "1".to_owned(),
            network: "main".to_owned(),
            floor: 21,
            online: true,
            stay: Stay::Long,
            limits: Limits::OURS,
            start: StartOptions::default(),
        }
    }

    #[test]
    fn a_network_that_was_named_and_is_another_one_is_never_ignored_in_silence() {
        let said = |network: Option<&str>, floor| {
            let network = network.map(|name| name.parse().unwrap());
            unused(&NetworkFlags { network, floor, ..NetworkFlags::default() }, &running())
        };
        for same in [said(None, None), said(Some("main"), None), said(Some("main"), Some(21))] {
            assert_eq!(same, None);
        }
        for (network, floor, flags) in [
            (Some("other"), None, "; --network was not used; to start one with it,"),
            (Some("main"), Some(4), "; --floor was not used; to start one with it,"),
            (
                Some("other"),
                Some(4),
                "; --network and --floor were not used; to start one with them,",
            ),
        ] {
            let sentence = said(network, floor).unwrap();
            assert!(sentence.contains("\"main\" with a floor of 21 bits"), "{sentence}");
            assert!(sentence.contains(flags), "{sentence}");
            assert!(sentence.ends_with("stop that one first: undertone node stop"), "{sentence}");
        }
    }

    #[test]
    fn what_was_said_of_a_node_that_runs_with_something_else_is_never_ignored_in_silence() {
        let flags =
            |words: &str| Cli::of_words(format!("undertone {words}").split(' ')).unwrap().network;
        let all = "--peer /ip4/192.0.2.7/tcp/4141 --listen /ip4/0.0.0.0/tcp/4141 --lan --line 3 --junk \
                   2/min --max-work 64 --mining-threads 1";
        let given = flags(all);
        assert_eq!(
            unused(&given, &running()).unwrap(),
            "a node with other settings runs in this home folder; --peer, --listen, --lan, --line, \
             --junk, --max-work and --mining-threads were not used; to start one with them, stop \
             that one first: undertone node stop"
        );
        assert_eq!(
            notice_of_unused(&flags("--line 3"), &running()).unwrap(),
            "--line was not used: the node was running already"
        );
        // One that was started so does what they say.
        let node = online(StoreOptions::Memory, &given.clone().into(), Stay::Long).unwrap();
        let like = Hello { start: node.start(), ..running() };
        assert_eq!(unused(&given, &like), None);
        assert_eq!(unused(&flags("--line 16 --max-work 8"), &running()), None, "the usual");
        let other = flags("--junk 3/min");
        assert!(unused(&other, &like).unwrap().contains("; --junk was not used;"));
    }
}
