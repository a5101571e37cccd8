//! The socket by which commands reach the node that runs in the same home.
//!
//! One line of JSON in, one line out. The socket has mode 0600 in a folder of mode 0700: a process
//! that can open it could also read the store.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::backup::BackupRequest;
use super::manage::ManageRequest;
use super::messages::MessagesRequest;
use super::send::SendRequest;
use crate::engine::id::CommandId;
use crate::shell::api::{ClientEvent, ClientRequest, NetworkStatus};
use crate::shell::cli::args::GlobalArgs;
use crate::shell::cli::directory::{CHOSEN_IDENTITY, node_gone};
use crate::shell::cli::{open_store, output};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::exit_code::ExitCode;
use crate::shell::runtime::{Runtime, RuntimeError, StoreHandle, Subscriptions};

/// A socket that waits, and the node behind it.
pub(super) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    subscriptions: Subscriptions,
    store: StoreHandle,
    requests: mpsc::Sender<ClientRequest>,
    chosen: Option<String>,
    served: u64,
    connections: JoinSet<()>,
}

/// Runs a runtime until it ends, and meanwhile answers the commands that connect to its socket, if
/// it has one.
///
/// # Errors
/// The reason why the runtime ended, if nobody asked it to.
pub(super) async fn run_with_socket(
    runtime: Runtime,
    asked: mpsc::Receiver<ClientRequest>,
    socket: Option<ControlSocket>,
) -> Result<(), RuntimeError> {
    let Some(mut socket) = socket else { return runtime.run(asked).await };
    let ended = tokio::select! {
        ended = runtime.run(asked) => ended,
        () = socket.serve() => Ok(()),
    };
    // Commands that still wait have been sent the failure; this lets them read it.
    let answered = async { while socket.connections.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_GRACE, answered).await.is_err() {
        tracing::debug!("a command got no answer before the node stopped");
    }
    ended
}

impl ControlSocket {
    /// The socket in the home folder; none for a node that stores nothing on disk.
    pub(super) fn for_node(
        global: &GlobalArgs,
        runtime: &mut Runtime,
        requests: &mpsc::Sender<ClientRequest>,
    ) -> Result<Option<Self>, Failure> {
        // Without a folder there is no place that other processes could look for a socket in.
        if global.memory {
            return Ok(None);
        }
        let path = open_store::home(global)?.join(FILE);
        // The store is locked by us, so an existing socket was left behind by a node that crashed.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        // The folder keeps others out in the moment before this.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let chosen = runtime.setting(CHOSEN_IDENTITY)?;
        let (subscriptions, store, requests) =
            (runtime.subscriptions(), runtime.store_handle(), requests.clone());
        let connections = JoinSet::new();
        Ok(Some(Self {
            listener,
            path,
            subscriptions,
            store,
            requests,
            chosen,
            served: 0,
            connections,
        }))
    }

    /// Accepts connections, for ever.
    async fn serve(&mut self) {
        loop {
            // A process that connects without end fills these places, and not the memory of the
            // node.
            while self.connections.len() >= MAX_CONNECTIONS {
                self.connections.join_next().await;
            }
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    self.served += 1;
                    let connection = ControlConnection {
                        subscriptions: self.subscriptions.clone(),
                        store: self.store.clone(),
                        requests: self.requests.clone(),
                        chosen: self.chosen.clone(),
                        ask: CommandId(FIRST_ASK + self.served),
                    };
                    self.connections.spawn(connection.handle(stream));
                }
                Err(error) => {
                    tracing::warn!("the control socket failed: {}", error.kind());
                    // The node goes on without commands: no conversation ends because of its
                    // socket.
                    return std::future::pending().await;
                }
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if std::fs::remove_file(&self.path).is_err() {
            tracing::debug!("the control socket was removed already");
        }
    }
}

/// One question and its answer.
struct ControlConnection {
    subscriptions: Subscriptions,
    store: StoreHandle,
    requests: mpsc::Sender<ClientRequest>,
    chosen: Option<String>,
    ask: CommandId,
}

impl ControlConnection {
    async fn handle(self, mut stream: UnixStream) {
        let (reader, mut writer) = stream.split();
        let mut line = String::new();
        // Bounded in bytes and in time: a process that connects and says nothing would otherwise
        // keep its place for ever.
        let mut reader = BufReader::new(reader.take(MAX_LINE));
        let read = tokio::time::timeout(READ_TIMEOUT, reader.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(_))) {
            return;
        }
        let answer = match serde_json::from_str(&line) {
            Ok(question) => self.answer(&question).await,
            Err(_) => Err(version_mismatch()),
        };
        let answer = match answer {
            Ok(data) => json!({ "ok": true, "data": data }),
            Err(failure) => failure_json(&failure),
        };
        let line = output::to_ascii(&answer) + "\n";
        if writer.write_all(line.as_bytes()).await.is_err() {
            tracing::debug!("the command that asked is gone");
        }
    }

    async fn answer(self, question: &Value) -> Result<Value, Failure> {
        let (events, mut incoming) = mpsc::channel(CHANNEL);
        // A branch that asks the engine subscribes first: a reply in between would be missed.
        match question.get("do").and_then(Value::as_str) {
            Some("status") => {
                self.subscriptions.subscribe(events).await;
                while let Some(event) = incoming.recv().await {
                    if let ClientEvent::Network(line) = event {
                        return Ok(network_status_json(&line));
                    }
                }
                Err(version_mismatch())
            }
            Some("send") => {
                let request = SendRequest::from_json(question).ok_or_else(version_mismatch)?;
                self.subscriptions.subscribe(events).await;
                request.deliver(self.chosen, self.ask, self.requests, incoming).await
            }
            Some("manage") => {
                let request = ManageRequest::from_json(question).ok_or_else(version_mismatch)?;
                self.subscriptions.subscribe(events).await;
                request.by_host(self.chosen, self.ask, self.requests, incoming).await
            }
            Some("messages") => {
                let request = MessagesRequest::from_json(question).ok_or_else(version_mismatch)?;
                self.subscriptions.subscribe(events).await;
                request.by_host(self.chosen, self.ask, self.requests, incoming).await
            }
            Some("backup") => {
                let request = BackupRequest::from_json(question).ok_or_else(version_mismatch)?;
                // Without events: it reads the store between two turns, and the engine has no part
                // in it.
                request.carry_out(&self.store).await
            }
            Some(_) | None => Err(version_mismatch()),
        }
    }
}

/// Asks the running node of `home`; `None` if no node runs.
pub(super) async fn ask(home: &Path, question: &Value) -> Result<Option<Value>, Failure> {
    // Whatever the reason: if a node runs nevertheless, it holds the store, and opening that says
    // so.
    let Ok(mut stream) = UnixStream::connect(home.join(FILE)).await else { return Ok(None) };
    let line = output::to_ascii(question) + "\n";
    stream.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_ANSWER)).read_line(&mut answer).await?;
    // The node ended in between, and whether it did what was asked is not known.
    if answer.is_empty() {
        return Err(node_gone());
    }
    let answer: Value = serde_json::from_str(&answer).map_err(|_| version_mismatch())?;
    match answer.get("data") {
        Some(data) => Ok(Some(data.clone())),
        None => Err(failure_from_json(&answer)),
    }
}

/// Asks the running node of the home folder for an answer of one type; `None` if no node runs.
pub(super) async fn ask_for<T: DeserializeOwned>(
    global: &GlobalArgs,
    question: &Value,
) -> Result<Option<T>, Failure> {
    let Some(answer) = ask(&open_store::home(global)?, question).await? else { return Ok(None) };
    serde_json::from_value(answer).map(Some).map_err(|_| version_mismatch())
}

/// The figures of a node, for programs.
fn network_status_json(line: &NetworkStatus) -> Value {
    json!({
        "ready": line.peers > 0,
        "network": line.network,
        "peers": line.peers,
        "listening": line.listening,
        "pool_bytes": line.pool_bytes,
        "pool_capacity": line.pool_capacity,
        "pool_items": line.pool_items,
        "floor_bits": line.floor_bits,
        "cover_per_minute": line.cover_per_minute,
        "queued": line.queued,
        "rate": line.rate,
        "clock_minutes": line.clock.map(|clock| clock.minutes),
        "clock_witnesses": line.clock.map_or(0, |clock| clock.witnesses),
        "caught_up": line.caught_up,
    })
}

fn failure_json(failure: &Failure) -> Value {
    json!({ "ok": false, "parts": [
        failure.word(), failure.what, failure.why, failure.safe, failure.next,
    ], "exit": failure.exit() as u8 })
}

/// A failure of the node, as the command that asked reports it.
fn failure_from_json(answer: &Value) -> Failure {
    let part = |index: usize| {
        let parts = answer.get("parts").and_then(|parts| parts.get(index));
        parts.and_then(Value::as_str).unwrap_or_default()
    };
    let exit = ExitCode::of_number(answer.get("exit").and_then(Value::as_u64).unwrap_or_default());
    Failure::remote(
        part(0),
        exit,
        FailureText { what: part(1), why: part(2), safe: part(3), next: part(4) },
    )
}

/// The running node and this command speak different versions of the control protocol.
pub(super) fn version_mismatch() -> Failure {
    let what = "the running node did not understand the command";
    let why = "it may be another version of undertone";
    let next = "stop that node and start it again";
    Failure::new(
        FailureCode::NodeVersion,
        FailureText { what, why, safe: "nothing was changed", next },
    )
}

/// The socket's name in the home folder.
const FILE: &str = "node.sock";

/// Commands served at once; the next waits.
const MAX_CONNECTIONS: usize = 8;

/// The longest line: a message of the longest text, every byte of it escaped.
const MAX_LINE: u64 = 64 << 10;

/// The longest answer: as many of the longest messages as are shown at once, both as data and as
/// text, with every byte escaped, are 11 MiB.
const MAX_ANSWER: u64 = 16 << 20;

/// The time for the last answers once the runtime has ended. A guess: they are written to a
/// socket that somebody reads, or are not.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// The time in which a command must have sent its request.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Above the command ids of the interface, which count from 0.
const FIRST_ASK: u64 = 1 << 40;

/// A burst of events.
const CHANNEL: usize = 256;
