//! The node's end of the socket: it lets connections in, and answers them.
//!
//! Each connection has a task that reads, one that writes, and one for each request and stream. The
//! node itself waits for none of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use zeroize::Zeroizing;

use super::endpoint::Endpoint;
use super::frames::{
    EVENT, Farewell, FarewellFields, JSONRPC, Line, OutgoingResponse, OutgoingStreamItem, Request,
    RequestId, RpcError, SUBSCRIBE, StreamId, StreamNotification, Subscribe, UNSUBSCRIBE, Welcome,
    WelcomeFields, not_understood, read_line, to_line, too_long,
};
use super::reception::{Callers, Guests, Met, Tenancy, Usage, gave_way};
use crate::shell::api::calls::AnyCall;
use crate::shell::api::{Delivery, Hello, Limits};
use crate::shell::event_log::EventReader;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::runtime::{NodeHandle, NodeSession};

/// Lets clients in until `ended` says why the node is over; then says so to each, and is done once
/// they have heard, or after a moment.
pub(in crate::shell) async fn serve(
    mut endpoint: Endpoint,
    node: NodeHandle,
    hello: Hello,
    mut ended: watch::Receiver<Option<Failure>>,
) {
    let (mut callers, mut guests) = (Callers::default(), Guests::default());
    let (mut connections, mut refusals) = (JoinSet::new(), JoinSet::new());
    let mut looks = interval(LOOK_AGAIN);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ended.changed() => break,
            _ = looks.tick() => endpoint.restore(),
            Some(_) = connections.join_next() => {}
            Some(_) = refusals.join_next() => {}
            met = callers.met(), if !callers.is_empty() => {
                let Some(Met { reader, writer, said }) = met else { continue };
                let placed = said.and_then(|scope| {
                    Ok((scope, guests.admit(Instant::now()).ok_or_else(node_busy)?))
                });
                match placed {
                    Ok((scope, usage)) => {
                        let (hello, ended) = (hello.clone(), ended.clone());
                        let session = node.open(scope);
                        let connection = Connection { session, usage, hello, ended };
                        connections.spawn(connection.serve(reader, writer));
                    }
                    Err(failure) => drop(refusals.spawn(refuse(writer, failure))),
                }
            }
            accepted = endpoint.accept() => match accepted {
                Ok(stream) => callers.take(stream, hello.version.clone()),
                Err(error) => {
                    tracing::warn!("the socket failed: {}", error.kind());
                    // The node goes on without other clients: no conversation ends because of its
                    // socket.
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            },
        }
    }
    // Before the last words: who comes now finds no node, and waits for the next.
    drop((endpoint, callers));
    let heard = async { while connections.join_next().await.is_some() {} };
    if timeout(LAST_WORDS, heard).await.is_err() {
        tracing::debug!("a client did not hear that the node stops");
    }
}

/// Says why a client is not let in. A line fits into what a socket holds: nobody is waited for.
async fn refuse(mut writer: OwnedWriteHalf, error: Failure) {
    let welcome = Welcome { undertone: WelcomeFields::Refused { error } };
    let Some(line) = to_line(&welcome) else { return };
    if !matches!(timeout(LAST_WORDS, writer.write_all(&line)).await, Ok(Ok(()))) {
        tracing::debug!("a client did not hear that it is not let in");
    }
}

/// One connection.
struct Connection {
    session: NodeSession,
    usage: Arc<Usage>,
    hello: Hello,
    ended: watch::Receiver<Option<Failure>>,
}

impl Connection {
    async fn serve(self, reader: BufReader<OwnedReadHalf>, writer: OwnedWriteHalf) {
        let Self { session, usage, hello, ended } = self;
        let (lines, written) = mpsc::channel(LINES_WAITING);
        let welcome = Welcome { undertone: WelcomeFields::Hello(hello) };
        let Some(line) = to_line(&welcome) else { return };
        if lines.send(line).await.is_err() {
            return;
        }
        let tenancy = usage.tenancy();
        // One more holder would be one more thing that the client waits for.
        let reading = Arc::downgrade(&usage);
        let exchange = Exchange {
            session: Arc::new(session),
            usage,
            lines,
            tasks: JoinSet::new(),
            streams: BTreeMap::new(),
            next_stream: 0,
            requests: Arc::new(Semaphore::new(Limits::OURS.requests)),
        };
        // Both end when either does: who does not read is not read from either.
        let written = write(writer, written, &reading);
        let exchanged = async { tokio::join!(exchange.run(reader, ended), written) };
        tokio::select! {
            _ = exchanged => {}
            () = parted(tenancy) => {}
        }
    }
}

/// Waits until a client has given way, and was told so if it reads.
async fn parted(mut tenancy: watch::Receiver<Tenancy>) {
    gives_way(&mut tenancy).await;
    tokio::time::sleep(LAST_WORDS).await;
}

async fn gives_way(tenancy: &mut watch::Receiver<Tenancy>) {
    if tenancy.wait_for(|tenancy| *tenancy == Tenancy::GivesWay).await.is_err() {
        // Nobody can take the place any more.
        std::future::pending().await
    }
}

/// Writes lines until there are none, the other side is gone, or it does not read.
async fn write(
    mut writer: OwnedWriteHalf,
    mut lines: mpsc::Receiver<Zeroizing<Vec<u8>>>,
    client: &Weak<Usage>,
) {
    while let Some(line) = lines.recv().await {
        match timeout(NOT_READ_FOR, write_line(&mut writer, &line, client)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                tracing::info!("a client that does not read was cut off");
                return;
            }
        }
    }
    if writer.shutdown().await.is_err() {
        tracing::debug!("a client was gone before its connection was closed");
    }
}

/// Writes one line, and notes for how long that takes that the client reads nothing.
async fn write_line(
    writer: &mut OwnedWriteHalf,
    line: &[u8],
    client: &Weak<Usage>,
) -> std::io::Result<()> {
    let mut writing = std::pin::pin!(writer.write_all(line));
    if let Ok(written) = timeout(DEAF_AFTER, writing.as_mut()).await {
        return written;
    }
    if let Some(usage) = client.upgrade() {
        usage.stall();
    }
    let written = writing.await;
    if let Some(usage) = client.upgrade() {
        usage.go_on();
    }
    written
}

/// Why a connection is over.
enum ConnectionEnd {
    /// The client is gone, or does not read.
    Client,
    /// It gave way to another one.
    Place,
    /// The node is over, for this reason.
    Node(Failure),
}

/// The requests and streams of one connection.
struct Exchange {
    session: Arc<NodeSession>,
    /// Held by all that the client waits for or follows.
    usage: Arc<Usage>,
    lines: mpsc::Sender<Zeroizing<Vec<u8>>>,
    tasks: JoinSet<()>,
    streams: BTreeMap<u64, AbortHandle>,
    next_stream: u64,
    requests: Arc<Semaphore>,
}

impl Exchange {
    /// Carries out what is asked until the client ends, does not read, or the node is over.
    async fn run(
        mut self,
        mut reader: BufReader<OwnedReadHalf>,
        mut ended: watch::Receiver<Option<Failure>>,
    ) {
        let mut tenancy = self.usage.tenancy();
        let over = {
            let reading = self.read(&mut reader);
            tokio::select! {
                () = reading => ConnectionEnd::Client,
                _ = ended.changed() => ended.borrow().clone().map_or(ConnectionEnd::Client, ConnectionEnd::Node),
                () = gives_way(&mut tenancy) => ConnectionEnd::Place,
            }
        };
        let ended = match over {
            ConnectionEnd::Client => {
                // Nobody waits for what it asked, which is carried out all the same if the node has
                // begun it.
                return self.tasks.shutdown().await;
            }
            ConnectionEnd::Place => {
                self.tasks.shutdown().await;
                gave_way()
            }
            ConnectionEnd::Node(ended) => {
                // What was asked before is answered still.
                while self.tasks.join_next().await.is_some() {}
                ended
            }
        };
        let farewell = Farewell { undertone: FarewellFields { ended } };
        self.say(&farewell).await;
    }

    async fn read(&mut self, reader: &mut BufReader<OwnedReadHalf>) {
        let mut line = Vec::new();
        let lines = self.lines.clone();
        loop {
            // Tasks that are over free their memory.
            while self.tasks.try_join_next().is_some() {}
            let read = tokio::select! {
                read = read_line(reader, &mut line) => read,
                // Nobody writes to the client any more, so nobody reads from it.
                () = lines.closed() => return,
            };
            match read {
                Ok(Line::Whole) => self.on_line(&line).await,
                Ok(Line::TooLong) => {
                    let failure = too_long("the request was not read, and the connection closed");
                    return self.refuse(&RequestId::None, failure).await;
                }
                Ok(Line::End) | Err(_) => return,
            }
        }
    }

    async fn on_line(&mut self, line: &[u8]) {
        self.usage.touch();
        let request: Request<'_> = match serde_json::from_slice(line) {
            Ok(request) => request,
            Err(error) => {
                let (id, error) = (&RequestId::None, Some(RpcError::of_line(&error)));
                return self
                    .say(&OutgoingResponse { jsonrpc: JSONRPC, id, result: None, error })
                    .await;
            }
        };
        let Request { jsonrpc, id, method, params } = request;
        let foreign = jsonrpc.is_some_and(|version| version != JSONRPC);
        let is_short = !matches!(&id, RequestId::Text(text) if text.len() > MAX_ID);
        if foreign || !is_short {
            let why = "the version of JSON-RPC is not 2.0, or the id is too long";
            return self.refuse(&RequestId::None, not_understood(why)).await;
        }
        let params = params.map_or("{}", RawValue::get);
        match method.as_str() {
            SUBSCRIBE => self.subscribe(&id, params).await,
            UNSUBSCRIBE => self.unsubscribe(&id, params).await,
            method => match AnyCall::parse(method, params) {
                Ok(call) => self.call(id, call).await,
                Err(failure) => self.refuse(&id, failure).await,
            },
        }
    }

    async fn call(&mut self, id: RequestId, call: AnyCall) {
        let Ok(permit) = Arc::clone(&self.requests).try_acquire_owned() else {
            return self.refuse(&id, too_many_requests()).await;
        };
        let (session, lines) = (Arc::clone(&self.session), self.lines.clone());
        let usage = Arc::clone(&self.usage);
        self.tasks.spawn(async move {
            let answered = session.call(call).await;
            let result = answered.and_then(|reply| {
                reply.to_raw().map_err(|error| not_understood(&error.to_string()))
            });
            answer(&lines, &id, result, permit).await;
            usage.touch();
        });
    }

    async fn subscribe(&mut self, id: &RequestId, params: &str) {
        self.streams.retain(|_, stream| !stream.is_finished());
        let asked = serde_json::from_str::<Subscribe>(params)
            .map_err(|error| not_understood(&format!("{SUBSCRIBE}: {error}")));
        let asked = match asked {
            Ok(_) if self.streams.len() >= Limits::OURS.streams => Err(too_many_requests()),
            asked => asked,
        };
        let reader = asked.and_then(|Subscribe { filter, from }| self.session.events(filter, from));
        let reader = match reader {
            Ok(reader) => reader,
            Err(failure) => return self.refuse(id, failure).await,
        };
        let stream = self.next_stream;
        self.next_stream += 1;
        // Before the first event: the client knows the stream by this answer.
        self.confirm(id, &StreamId { stream }).await;
        let (lines, usage) = (self.lines.clone(), Arc::clone(&self.usage));
        let task = self.tasks.spawn(async move {
            follow(reader, stream, lines).await;
            usage.touch();
        });
        self.streams.insert(stream, task);
    }

    async fn unsubscribe(&mut self, id: &RequestId, params: &str) {
        match serde_json::from_str::<StreamId>(params) {
            Ok(StreamId { stream }) => {
                if let Some(task) = self.streams.remove(&stream) {
                    task.abort();
                }
                self.confirm(id, &StreamId { stream }).await;
            }
            Err(error) => {
                let failure = not_understood(&format!("{UNSUBSCRIBE}: {error}"));
                self.refuse(id, failure).await;
            }
        }
    }

    async fn confirm(&self, id: &RequestId, result: &StreamId) {
        let result = serde_json::value::to_raw_value(result).ok();
        self.say(&OutgoingResponse { jsonrpc: JSONRPC, id, result, error: None }).await;
    }

    async fn refuse(&self, id: &RequestId, failure: Failure) {
        let error = Some(RpcError::of(failure));
        self.say(&OutgoingResponse { jsonrpc: JSONRPC, id, result: None, error }).await;
    }

    async fn say(&self, value: &impl serde::Serialize) {
        let Some(line) = to_line(value) else { return };
        if self.lines.send(line).await.is_err() {
            tracing::debug!("a client was gone before its answer");
        }
    }
}

/// Writes an answer, and makes room for the next request once it is on its way.
async fn answer(
    lines: &mpsc::Sender<Zeroizing<Vec<u8>>>,
    id: &RequestId,
    result: Result<Box<RawValue>, Failure>,
    permit: OwnedSemaphorePermit,
) {
    let (result, error) = match result {
        Ok(result) => (Some(result), None),
        Err(failure) => (None, Some(RpcError::of(failure))),
    };
    let line = to_line(&OutgoingResponse { jsonrpc: JSONRPC, id, result, error });
    let line = line.or_else(|| {
        let error = Some(RpcError::of(too_long("the answer was not sent")));
        to_line(&OutgoingResponse { jsonrpc: JSONRPC, id, result: None, error })
    });
    if let Some(line) = line
        && lines.send(line).await.is_err()
    {
        tracing::debug!("a client was gone before its answer");
    }
    drop(permit);
}

/// Hands the deliveries of a stream on until it ends or the client is gone.
async fn follow(mut reader: EventReader, stream: u64, lines: mpsc::Sender<Zeroizing<Vec<u8>>>) {
    loop {
        let delivery = reader.next().await;
        let params = OutgoingStreamItem { stream, delivery: &delivery };
        let line = to_line(&StreamNotification { jsonrpc: JSONRPC, method: EVENT, params });
        let Some(line) = line else { continue };
        if lines.send(line).await.is_err() || matches!(delivery, Delivery::Ended(_)) {
            return;
        }
    }
}

fn node_busy() -> Failure {
    let text = FailureText {
        what: "the client was not let in",
        why: "as many clients as a node serves are connected and busy",
        safe: "nothing was done",
        next: "close one of them, then try again",
    };
    Failure::new(FailureCode::NodeBusy, text)
}

fn too_many_requests() -> Failure {
    let text = FailureText {
        what: "the request was not carried out",
        why: "as many requests or streams as one connection may have are open",
        safe: "nothing was done",
        next: "wait for an answer, or end a stream",
    };
    Failure::new(FailureCode::NodeBusy, text)
}

/// A client that takes a line no sooner gives way to others that need its place. A guess: whoever reads
/// at all takes it at once.
const DEAF_AFTER: Duration = Duration::from_secs(5);

/// A client that takes nothing for so long is not coming back. A guess: an interface that was
/// suspended for a while is let go on, and until then its place is one of 32.
const NOT_READ_FOR: Duration = Duration::from_secs(600);

/// The time for the last answers once the node is over. A guess: they are written to a socket that
/// somebody reads, or are not.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often it is seen to that the socket is there: a command that finds it gone waits longer than that for
/// the home folder.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The pause after the socket failed, which it may do again at once: no more descriptors, say.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Lines that wait for one client to read.
const LINES_WAITING: usize = 64;

/// The longest id of a request that is a text, in bytes; and what is repeated of a client's name.
const MAX_ID: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::AsyncBufReadExt as _;
    use tokio::net::UnixStream;

    use super::*;
    use crate::engine::envelope::Floor;
    use crate::engine::settings::{NodeRole, NodeSettings};
    use crate::shell::api::{API_VERSION, Scope, StartOptions, Stay};
    use crate::shell::runtime::Runtime;
    use crate::shell::store::Store;

    /// Far above what anything here takes; it names a hang.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn hello() -> Hello {
        Hello {
            api: API_VERSION,
            version: "1.2.3".to_owned(),
            network: String::new(),
            floor: 4,
            online: false,
            stay: Stay::Long,
            limits: Limits::OURS,
            start: StartOptions::default(),
        }
    }

    /// The next line; none if the connection is closed.
    async fn hear(client: &mut BufReader<UnixStream>) -> Option<Value> {
        let mut line = String::new();
        let read = timeout(PATIENCE, client.read_line(&mut line)).await;
        let read = read.expect("it says nothing").unwrap();
        (read > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    async fn say(client: &mut BufReader<UnixStream>, method: &str, params: &Value) {
        let line = format!("{}\n", json!({ "id": 1, "method": method, "params": params }));
        client.get_mut().write_all(line.as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn who_gives_way_is_told_so_and_who_waits_or_follows_keeps_its_place() {
        let settings = NodeSettings::new(NodeRole::Messenger, Floor::new(4));
        // It is never run, so it answers nothing.
        let runtime = Runtime::start(settings, None, Store::in_memory().unwrap()).unwrap();
        let (node, (_runs, ended)) = (runtime.handle(), watch::channel(None));
        let (mut guests, began) = (Guests::default(), Instant::now());
        let (mut connections, mut clients, mut usages) = (JoinSet::new(), Vec::new(), Vec::new());
        for _ in 0..Limits::OURS.connections {
            let (client, near) = UnixStream::pair().unwrap();
            let usage = guests.admit(began).unwrap();
            usages.push(Arc::downgrade(&usage));
            let (session, hello, ended) = (node.open(Scope::all()), hello(), ended.clone());
            let (reader, writer) = near.into_split();
            let connection = Connection { session, usage, hello, ended };
            connections.spawn(connection.serve(BufReader::new(reader), writer));
            clients.push(BufReader::new(client));
        }
        for client in &mut clients {
            assert!(hear(client).await.unwrap()["undertone"]["api"].is_array());
        }
        say(&mut clients[0], "identity.new", &json!({ "name": "ann" })).await;
        say(&mut clients[1], SUBSCRIBE, &json!({ "from": "now" })).await;
        assert!(hear(&mut clients[1]).await.unwrap()["result"]["stream"].is_u64());
        // The list of guests and the connection hold each; whatever is under way does, too.
        let under_way = async {
            while usages[..2].iter().any(|usage| usage.strong_count() < 3) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, under_way).await.expect("it would give way");
        assert!(guests.admit(Instant::now() + Duration::from_secs(60)).is_some());
        let told = hear(&mut clients[2]).await.expect("a farewell");
        assert_eq!(told["undertone"]["ended"]["code"], "node_busy", "{told}");
        assert_eq!(hear(&mut clients[2]).await, None);
    }
}
