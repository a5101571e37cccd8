//! The client's end of the socket.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::endpoint::Located;
use super::frames::{
    Incoming, Introduction, JSONRPC, Line, OutgoingRequest, SUBSCRIBE, StreamId, Subscribe,
    UNSUBSCRIBE, Welcome, WelcomeFields, other_version, read_line, to_line, too_long,
};
use crate::engine::node::{self, MAX_CONTACTS, MAX_IDENTITIES};
use crate::engine::secret::opaque_debug;
use crate::shell::api::calls::{ANSWER_WITHIN, AnyCall, AnyReply};
use crate::shell::api::{API_VERSION, ClientInfo, Cursor, Delivery, EventFilter, From, Hello};
use crate::shell::event_log::gone;
use crate::shell::failure::{Failure, FailureCode, FailureText};

/// A connection to the node of another process.
pub(in crate::shell) struct SocketLink {
    /// Lines that wait to be written.
    lines: mpsc::Sender<Zeroizing<Vec<u8>>>,
    shared: Arc<Mutex<Shared>>,
    /// End with it.
    _tasks: JoinSet<()>,
}

opaque_debug!(struct SocketLink { lines, shared, _tasks });

/// What the task that reads and the callers share.
#[derive(Default)]
struct Shared {
    next_id: u64,
    waiting: BTreeMap<u64, Waiting>,
    streams: BTreeMap<u64, StreamSink>,
    ended: Option<Failure>,
}

/// A request that is not answered.
enum Waiting {
    Call(oneshot::Sender<Result<Box<RawValue>, Failure>>),
    /// The stream begins right behind its answer, so its place is made by who reads.
    Stream(oneshot::Sender<Result<SocketEvents, Failure>>),
}

/// Where the deliveries of a stream go.
struct StreamSink {
    deliveries: mpsc::Sender<Delivery>,
    /// The last place that was handed on.
    place: Option<Cursor>,
    /// Whether later deliveries were dropped, and the place of the last of them.
    missed: Option<Option<Cursor>>,
}

/// A stream of events from another process.
pub(in crate::shell) struct SocketEvents {
    stream: u64,
    deliveries: mpsc::Receiver<Delivery>,
    lines: mpsc::Sender<Zeroizing<Vec<u8>>>,
    shared: Arc<Mutex<Shared>>,
}

opaque_debug!(struct SocketEvents { stream, deliveries, lines, shared });

/// Connects to the node that runs in `home`; none if no node runs there.
///
/// # Errors
/// When it is another version, does not answer within `limit`, or lets nobody in.
pub(in crate::shell) async fn connect(
    home: &Path,
    who: &ClientInfo,
    limit: Duration,
) -> Result<Option<(SocketLink, Hello)>, Failure> {
    let Some(found) = Located::find(home).await? else { return Ok(None) };
    let process = found.pid();
    let met = timeout(limit.min(HELLO_WITHIN), meet(found.into_stream(), who)).await;
    met.unwrap_or_else(|_| {
        let mut failure = silent("nothing was done");
        failure.why = format!("process {process} stands still, or is very busy");
        Err(failure)
    })
}

/// Introduces a client to the node behind a connection.
pub(super) async fn meet(
    stream: UnixStream,
    who: &ClientInfo,
) -> Result<Option<(SocketLink, Hello)>, Failure> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let Some(line) = to_line(&Introduction::of(who)) else {
        return Err(too_long("nothing was asked of the running node"));
    };
    if writer.write_all(&line).await.is_err() {
        // It stopped meanwhile; the next attempt finds out.
        return Ok(None);
    }
    let mut line = Vec::new();
    match read_line(&mut reader, &mut line).await {
        Ok(Line::Whole) => {}
        Ok(Line::End) | Err(_) => return Ok(None),
        Ok(Line::TooLong) => return Err(not_a_node()),
    }
    let welcome: Welcome = serde_json::from_slice(&line).map_err(|_| not_a_node())?;
    let hello = match welcome.undertone {
        WelcomeFields::Hello(hello) if hello.api[0] == API_VERSION[0] => hello,
        WelcomeFields::Hello(hello) => return Err(other_version(&hello.version, &who.name)),
        WelcomeFields::Refused { error } => return Err(error),
    };
    let (lines, mut waiting) = mpsc::channel::<Zeroizing<Vec<u8>>>(LINES_WAITING);
    let shared = Arc::<Mutex<Shared>>::default();
    let mut tasks = JoinSet::new();
    tasks.spawn(read(reader, Arc::clone(&shared), lines.clone()));
    tasks.spawn(async move {
        while let Some(line) = waiting.recv().await {
            // The task that reads notices the end, and says it to all.
            if writer.write_all(&line).await.is_err() {
                return;
            }
        }
    });
    Ok(Some((SocketLink { lines, shared, _tasks: tasks }, hello)))
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Nothing in here panics halfway.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SocketLink {
    /// Calls a method.
    ///
    /// # Errors
    /// Why it was not carried out. The codes `node_ended` and `node_silent` leave open whether it
    /// was; after `node_stopping` it was not.
    pub(in crate::shell) async fn call(&self, call: AnyCall) -> Result<AnyReply, Failure> {
        let limit = call.limit();
        self.call_within(call, limit).await
    }

    /// The same within another time than the method's.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(super) async fn call_within(
        &self,
        call: AnyCall,
        limit: Duration,
    ) -> Result<AnyReply, Failure> {
        let (answer, answered) = oneshot::channel();
        let asked = (call.method(), &call);
        let result = self.ask(asked, Waiting::Call(answer), answered, limit).await?;
        call.read_reply(result.get()).map_err(|_| not_a_node())
    }

    /// A stream of events.
    ///
    /// # Errors
    /// When the node refuses it or does not answer.
    pub(in crate::shell) async fn events(
        &self,
        filter: EventFilter,
        from: From,
    ) -> Result<SocketEvents, Failure> {
        let (answer, answered) = oneshot::channel();
        let asked = (SUBSCRIBE, &Subscribe { filter, from });
        self.ask(asked, Waiting::Stream(answer), answered, ANSWER_WITHIN).await
    }

    async fn ask<T, P: Serialize + Sync>(
        &self,
        (method, params): (&str, &P),
        waiting: Waiting,
        answered: oneshot::Receiver<Result<T, Failure>>,
        limit: Duration,
    ) -> Result<T, Failure> {
        let id = {
            let mut shared = lock(&self.shared);
            if let Some(why) = &shared.ended {
                return Err(not_asked(why));
            }
            shared.next_id += 1;
            let id = shared.next_id;
            shared.waiting.insert(id, waiting);
            id
        };
        let request = OutgoingRequest { jsonrpc: JSONRPC, id, method, params };
        let Some(line) = to_line(&request) else {
            lock(&self.shared).waiting.remove(&id);
            return Err(too_long("the request was not sent"));
        };
        let exchange = async {
            // An error is the end of the connection, and the answer says so.
            if self.lines.send(line).await.is_err() {
                tracing::debug!("the connection to the node has ended");
            }
            answered.await.unwrap_or_else(|_| Err(gone()))
        };
        timeout(limit, exchange).await.unwrap_or_else(|_| {
            lock(&self.shared).waiting.remove(&id);
            Err(silent("whether the command was carried out is not known; what was is saved"))
        })
    }
}

impl SocketEvents {
    /// What comes next. After [`Delivery::Ended`] it is that for ever.
    pub(in crate::shell) async fn next(&mut self) -> Delivery {
        if let Some(missed) = self.missed() {
            return missed;
        }
        match self.deliveries.recv().await {
            Some(delivery) => delivery,
            None => {
                let why = lock(&self.shared).ended.clone();
                Delivery::Ended(Box::new(why.unwrap_or_else(gone)))
            }
        }
    }

    /// What was dropped since, once everything before it was read: no later event may ever come to
    /// say it.
    fn missed(&self) -> Option<Delivery> {
        let mut shared = lock(&self.shared);
        // Under the lock nothing is handed on, so empty stays empty.
        if !self.deliveries.is_empty() {
            return None;
        }
        let sink = shared.streams.get_mut(&self.stream)?;
        let last = sink.missed.take()??;
        let from = sink.place.unwrap_or(last);
        sink.place = Some(last);
        Some(Delivery::Missed { from, to: last })
    }
}

impl Drop for SocketEvents {
    fn drop(&mut self) {
        lock(&self.shared).streams.remove(&self.stream);
        // If it cannot be said now, the node goes on sending what nobody here keeps.
        let params = &StreamId { stream: self.stream };
        let request = OutgoingRequest { jsonrpc: JSONRPC, id: 0, method: UNSUBSCRIBE, params };
        if let Some(line) = to_line(&request)
            && self.lines.try_send(line).is_err()
        {
            tracing::debug!("the end of a stream was not said");
        }
    }
}

/// Reads what the node writes, until there is no more.
async fn read(
    mut reader: BufReader<OwnedReadHalf>,
    shared: Arc<Mutex<Shared>>,
    lines: mpsc::Sender<Zeroizing<Vec<u8>>>,
) {
    let mut line = Vec::new();
    let ended = loop {
        match read_line(&mut reader, &mut line).await {
            Ok(Line::Whole) => {}
            Ok(Line::TooLong) => break not_a_node(),
            Ok(Line::End) | Err(_) => break gone(),
        }
        let incoming: Incoming = match serde_json::from_slice(&line) {
            Ok(incoming) => incoming,
            // A newer node may say more than this version knows.
            Err(_) => continue,
        };
        if let Some(farewell) = incoming.undertone {
            break farewell.ended;
        }
        on_incoming(incoming, &shared, &lines);
    };
    let mut shared = lock(&shared);
    shared.streams.clear();
    for (_, waiting) in std::mem::take(&mut shared.waiting) {
        let unheard = match waiting {
            Waiting::Call(answer) => answer.send(Err(ended.clone())).is_err(),
            Waiting::Stream(answer) => answer.send(Err(ended.clone())).is_err(),
        };
        tracing::trace!(unheard);
    }
    shared.ended = Some(ended);
}

fn on_incoming(
    incoming: Incoming,
    shared: &Arc<Mutex<Shared>>,
    lines: &mpsc::Sender<Zeroizing<Vec<u8>>>,
) {
    let Incoming { id, result, error, params, undertone: _ } = incoming;
    let mut here = lock(shared);
    if let Some(item) = params {
        if let Some(sink) = here.streams.get_mut(&item.stream) {
            sink.hand_on(item.delivery);
        }
        return;
    }
    let Some(waiting) = id.and_then(|id| here.waiting.remove(&id)) else { return };
    let answer = match (result, error) {
        (_, Some(error)) => Err(error.data),
        (Some(result), None) => Ok(result),
        (None, None) => Err(not_a_node()),
    };
    let unheard = match waiting {
        Waiting::Call(to) => to.send(answer).is_err(),
        Waiting::Stream(to) => {
            let stream = answer.and_then(|result| {
                serde_json::from_str::<StreamId>(result.get()).map_err(|_| not_a_node())
            });
            let events = stream.map(|StreamId { stream }| {
                let (sink, deliveries) = mpsc::channel(DELIVERIES_WAITING);
                let sink = StreamSink { deliveries: sink, place: None, missed: None };
                here.streams.insert(stream, sink);
                let (lines, shared) = (lines.clone(), Arc::clone(shared));
                SocketEvents { stream, deliveries, lines, shared }
            });
            drop(here);
            to.send(events).is_err()
        }
    };
    tracing::trace!(unheard);
}

impl StreamSink {
    /// Hands a delivery on, or notes that it was dropped because what came before was not read: the
    /// answers to other requests come by the same connection, and wait for no stream.
    fn hand_on(&mut self, delivery: Delivery) {
        let to = match &delivery {
            Delivery::Event { cursor, .. } => *cursor,
            Delivery::Missed { to, .. } => Some(*to),
            Delivery::Ended(_) => None,
        };
        if let Some(last) = self.missed {
            if let Some((from, last)) = self.place.or(last).zip(last)
                && self.deliveries.try_send(Delivery::Missed { from, to: last }).is_err()
            {
                self.missed = Some(to.or(Some(last)));
                return;
            }
            self.place = last.or(self.place);
            self.missed = None;
        }
        match self.deliveries.try_send(delivery) {
            Ok(()) => self.place = to.or(self.place),
            Err(TrySendError::Full(_)) => self.missed = Some(to),
            Err(TrySendError::Closed(_)) => {}
        }
    }
}

/// The node was over before it was asked: so the next one can be.
fn not_asked(why: &Failure) -> Failure {
    let text = FailureText {
        what: "the command was not carried out",
        why: &why.why,
        safe: "everything accepted before is saved",
        next: "try again in a moment",
    };
    match why.code() {
        // What answers is no node of this version, and is not over.
        Some(FailureCode::NodeVersion) => why.clone(),
        _ => Failure::new(FailureCode::NodeStopping, text),
    }
}

/// The node does not answer. `safe` says what is known of what was asked.
pub(in crate::shell) fn silent(safe: &str) -> Failure {
    let text = FailureText {
        what: "the running node did not answer in time",
        why: "it stands still, or is very busy",
        safe,
        next: "see whether it runs: it may have been stopped, or its disk may hang",
    };
    Failure::new(FailureCode::NodeSilent, text)
}

/// What answers is no node of this version.
fn not_a_node() -> Failure {
    let text = FailureText {
        what: "the answer of the running node was not understood",
        why: "it may be another version of undertone",
        safe: "whether the command was carried out is not known; what was is saved",
        next: "quit the undertone that runs in this home folder, then start it again",
    };
    Failure::new(FailureCode::NodeVersion, text)
}

/// The time in which a node lets a client in. A guess: it does little else for it.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// Requests that wait to be written.
const LINES_WAITING: usize = 64;

/// Deliveries of one stream that wait for their reader: those of the longest snapshot, which have no
/// place that could be said to be missed, and as many again.
const DELIVERIES_WAITING: usize = 2 * (MAX_CONTACTS + MAX_IDENTITIES + node::MAX_REQUESTS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_shows_nothing_of_what_goes_over_it() {
        let (lines, _waiting) = mpsc::channel(1);
        let shared = Arc::<Mutex<Shared>>::default();
        let (_sink, deliveries) = mpsc::channel(1);
        let events = SocketEvents {
            stream: 1,
            deliveries,
            lines: lines.clone(),
            shared: Arc::clone(&shared),
        };
        assert_eq!(format!("{events:?}"), "SocketEvents");
        let link = SocketLink { lines, shared, _tasks: JoinSet::new() };
        assert_eq!(format!("{link:?}"), "SocketLink");
    }
}
