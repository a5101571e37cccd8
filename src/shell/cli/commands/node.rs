//! `undertone node`: a node without an interface, and the end of the one that runs.

use std::time::Duration;

use tokio::time::timeout;

use super::listen::{self, ListenArgs};
use super::relay;
use crate::shell::api::calls::NodeStop;
use crate::shell::api::{ClientInfo, ClientKind, Delivery, EventFilter, EventKind, From, Stay};
use crate::shell::cli::args::{GlobalArgs, NetworkArgs, NetworkFlags};
use crate::shell::cli::connect::{self, close, home, online, store};
use crate::shell::cli::line_queue::NodeLines;
use crate::shell::cli::output::{self, OutputFormat};
use crate::shell::client::{Client, Connect, CreateStore};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::exit_code::ExitCode;

/// `undertone node run`
pub(super) async fn run(global: &GlobalArgs, network: &NetworkArgs) -> Result<(), Failure> {
    let options = online(store(global, CreateStore::No)?, network, Stay::Long)?;
    let (client, mut stop) = match connect::reach(global, Connect::Start(options)).await {
        Ok(reached) => reached,
        Err(failure) if failure.code() == Some(FailureCode::InUse) => return Err(in_use()),
        Err(failure) => return without_signal(Err(failure)),
    };
    if global.json {
        let (flags, args) = (NetworkFlags::default(), ListenArgs::default());
        let ended = listen::follow((client, stop), flags, OutputFormat::Json, args).await;
        return without_signal(ended);
    }
    let lines = NodeLines::start()?;
    let ended = relay::report_network(&client, OutputFormat::Text, &mut stop, &lines).await;
    close(client, &mut stop).await?;
    let written = lines.finish().await;
    match ended? {
        Some(why) if why.code() == Some(FailureCode::NodeStopping) => {
            output::print_message("the node was stopped");
            written
        }
        Some(why) => Err(why),
        None => written,
    }
}

/// The end of a node: a signal is the way to end it.
fn without_signal(ended: Result<(), Failure>) -> Result<(), Failure> {
    let was_stopped =
        |failure: &Failure| matches!(failure.exit(), ExitCode::Interrupted | ExitCode::Terminated);
    match ended {
        Err(failure) if was_stopped(&failure) => Ok(()),
        ended => ended,
    }
}

/// `undertone node stop`
pub(super) async fn stop(global: &GlobalArgs) -> Result<(), Failure> {
    if global.memory {
        let text = FailureText {
            what: "no node was stopped",
            why: "a node with --memory has no home folder in which it could be found",
            safe: "nothing was done",
            next: "end its process",
        };
        return Err(Failure::new(FailureCode::Memory, text));
    }
    let who = ClientInfo::new(ClientKind::Command);
    let (client, _) = Client::connect(Connect::Attach(home(global)?), who).await?;
    let mut events = client.events(EventFilter::of(&[EventKind::Network]), From::Now).await?;
    client.call(NodeStop {}).await?;
    // The end of the stream is said once the home folder is free.
    let ended = async { while !matches!(events.next().await, Delivery::Ended(_)) {} };
    if timeout(STOP_WITHIN, ended).await.is_err() {
        return Err(still_there());
    }
    client.close().await?;
    if global.json {
        output::print_result(&serde_json::json!({}))?;
    } else {
        output::print_message("the node was stopped");
    }
    Ok(())
}

fn in_use() -> Failure {
    let text = FailureText {
        what: "no node was started",
        why: "a node or another process uses this home folder already",
        safe: "nothing was done",
        next: "use the node that runs, or end it first: undertone node stop",
    };
    Failure::new(FailureCode::InUse, text)
}

fn still_there() -> Failure {
    let text = FailureText {
        what: "the node has not stopped yet",
        why: "it was asked to, and still holds the home folder; its disk may be slow",
        safe: "everything accepted is saved",
        next: "wait for a moment, then see whether it runs: undertone status",
    };
    Failure::new(FailureCode::NodeSilent, text)
}

/// The time in which a node stops. A guess: it writes nothing but what it has begun.
const STOP_WITHIN: Duration = Duration::from_secs(15);
