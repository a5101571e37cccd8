//! What a client in the same process holds of a node: it asks, it hears, it waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::{NodeCall, stopping};
use crate::engine::event::Direction;
use crate::engine::record::MessageState;
use crate::engine::secret::opaque_debug;
use crate::shell::api::calls::{
    AnyCall, AnyReply, Call, Import, ImportReport, MAX_WAIT, MessageRef, MessageShow, MessageWait,
    Waited,
};
use crate::shell::api::{Delivery, Event, EventFilter, EventKind, From, Message, Needs, Scope};
use crate::shell::event_log::{EventLog, EventReader, NodeState, gone};
use crate::shell::exported::MAX_LINES;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::clock::wall;

/// A running node, for whoever lets clients in. Cheap to clone.
#[derive(Clone)]
pub(in crate::shell) struct NodeHandle {
    calls: mpsc::Sender<NodeCall>,
    log: EventLog,
    state: watch::Receiver<NodeState>,
    clients: Arc<AtomicUsize>,
}

opaque_debug!(struct NodeHandle { calls, log, state, clients });

impl NodeHandle {
    pub(super) fn new(
        calls: mpsc::Sender<NodeCall>,
        log: EventLog,
        state: watch::Receiver<NodeState>,
    ) -> Self {
        Self { calls, log, state, clients: Arc::default() }
    }

    /// Lets a client in.
    pub(in crate::shell) fn open(&self, scope: Scope) -> NodeSession {
        self.clients.fetch_add(1, Ordering::Relaxed);
        NodeSession { node: self.clone(), scope, import: Mutex::default() }
    }

    async fn ask(&self, call: AnyCall) -> Result<AnyReply, Failure> {
        let (answer, answered) = oneshot::channel();
        if self.calls.send(NodeCall { call, answer }).await.is_err() {
            return Err(stopping());
        }
        // Only a runtime that was dropped in the middle leaves a call without an answer.
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// One client of a node.
pub(in crate::shell) struct NodeSession {
    node: NodeHandle,
    scope: Scope,
    import: Mutex<StagedImport>,
}

/// The lines of an import that is not complete.
#[derive(Default)]
struct StagedImport {
    lines: Vec<Box<RawValue>>,
    bytes: usize,
}

opaque_debug!(struct NodeSession { node, scope, import });

/// A call, as far as the task of its client could answer it.
enum TaskCall {
    Answered(Box<AnyReply>),
    ForTheNode(AnyCall),
}

impl Drop for NodeSession {
    fn drop(&mut self) {
        self.node.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

impl NodeSession {
    /// Calls a method. Dropping the future abandons the answer, and not what was accepted.
    ///
    /// # Errors
    /// Why it was not carried out.
    pub(in crate::shell) async fn call(&self, call: AnyCall) -> Result<AnyReply, Failure> {
        if !self.scope.allows(call.needs()) {
            return Err(not_allowed(call.method()));
        }
        let is_status = matches!(call, AnyCall::Status(_));
        let call = match self.in_this_task(call).await? {
            TaskCall::Answered(reply) => return Ok(*reply),
            TaskCall::ForTheNode(call) => call,
        };
        let mut reply = self.node.ask(call).await?;
        if is_status && let AnyReply::Status(report) = &mut reply {
            report.clients = self.node.clients.load(Ordering::Relaxed);
        }
        Ok(reply)
    }

    /// Does what is done in the task of the client, before or in place of the node.
    async fn in_this_task(&self, call: AnyCall) -> Result<TaskCall, Failure> {
        if let AnyCall::MessageWait(wait) = call {
            let waited = AnyReply::MessageWait(self.wait(wait).await?);
            return Ok(TaskCall::Answered(Box::new(waited)));
        }
        let AnyCall::Import(import) = call else { return Ok(TaskCall::ForTheNode(call)) };
        Ok(match self.gather(import)? {
            Ok(whole) => TaskCall::ForTheNode(whole.into_any()),
            Err(report) => TaskCall::Answered(Box::new(AnyReply::Import(report))),
        })
    }

    /// A stream of events.
    ///
    /// # Errors
    /// When it may not be read, or cannot begin there.
    pub(in crate::shell) fn events(
        &self,
        filter: EventFilter,
        from: From,
    ) -> Result<EventReader, Failure> {
        if !self.scope.allows(Needs::Read) {
            return Err(not_allowed("events.subscribe"));
        }
        self.node.log.stream(self.node.state.clone(), filter, from)
    }

    /// Keeps the lines of an import until the last of them is here.
    fn gather(&self, mut import: Import) -> Result<Result<Import, ImportReport>, Failure> {
        let mut staged = self.import.lock().unwrap_or_else(PoisonError::into_inner);
        staged.bytes += import.lines.iter().map(|line| line.get().len()).sum::<usize>();
        staged.lines.append(&mut import.lines);
        if staged.lines.len() > MAX_LINES || staged.bytes > MAX_IMPORT_BYTES {
            *staged = StagedImport::default();
            return Err(import_too_large());
        }
        if import.more {
            let found = staged.lines.len();
            return Ok(Err(ImportReport { found, taken: 0, dry_run: import.dry_run }));
        }
        import.lines = std::mem::take(&mut *staged).lines;
        Ok(Ok(import))
    }

    /// Waits for a state of a message: in this client's task, not in the node's.
    async fn wait(&self, wait: MessageWait) -> Result<Waited, Failure> {
        let until = Instant::now() + Duration::from_secs(wait.timeout_s.min(MAX_WAIT));
        // Before the first look, so that no state passes between it and the first event.
        let mut events = self.node.log.stream(
            self.node.state.clone(),
            EventFilter::of(&[EventKind::State]),
            From::Now,
        )?;
        loop {
            let message = self.message(&wait.message).await?;
            if has_ended(&message, wait.state) {
                return Ok(Waited { time_over: false, message });
            }
            let id = message.id;
            let passed = async {
                loop {
                    match events.next().await {
                        Delivery::Event { event, .. } => {
                            if matches!(*event, Event::State { id: of, .. } if of == id) {
                                return Ok(());
                            }
                        }
                        // One of the missed may have been it.
                        Delivery::Missed { .. } => return Ok(()),
                        Delivery::Ended(why) => return Err(*why),
                    }
                }
            };
            match timeout_at(until, passed).await {
                Ok(passed) => passed?,
                Err(_) => {
                    let message = self.message(&wait.message).await?;
                    let time_over = !has_ended(&message, wait.state);
                    return Ok(Waited { time_over, message });
                }
            }
        }
    }

    async fn message(&self, message: &MessageRef) -> Result<Message, Failure> {
        let show = MessageShow { message: message.clone() };
        let reply = self.node.ask(show.into_any()).await?;
        MessageShow::reply_of(reply).ok_or_else(gone)
    }
}

/// Whether a wait for a state is over: it is reached, or is not reached any more.
fn has_ended(message: &Message, wanted: MessageState) -> bool {
    let Direction::Outgoing(state) = message.direction else { return true };
    let now = wall();
    let rests = match state {
        // Only a person moves these on.
        MessageState::Failed | MessageState::Cancelled => true,
        // Sending again goes on for days, and who waits does not; unless it has begun just now.
        MessageState::Unacknowledged => !message.is_not_for_long(now),
        MessageState::Queued
        | MessageState::Mining
        | MessageState::Sent
        | MessageState::Delivered
        | MessageState::Read => false,
    };
    rests || message.has_reached(wanted, now)
}

fn import_too_large() -> Failure {
    let megabytes = MAX_IMPORT_BYTES >> 20;
    let text = FailureText {
        what: "nothing was imported",
        why: &format!("it has more than {MAX_LINES} lines, or is longer than {megabytes} MiB"),
        safe: "nothing was changed",
        next: "import it in parts",
    };
    Failure::new(FailureCode::BadImport, text)
}

fn not_allowed(method: &str) -> Failure {
    let text = FailureText {
        what: "the request was refused",
        why: &format!("this connection may not call {method}"),
        safe: "nothing was done",
        next: "connect with a scope that allows it",
    };
    Failure::new(FailureCode::Scope, text)
}

/// Bytes of an import that a client may have the node keep until its last line: some 250,000 short
/// messages. A guess; each of the connections may have as many.
const MAX_IMPORT_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::envelope::{Floor, Lifetime};
    use crate::engine::settings::{NodeRole, NodeSettings};
    use crate::shell::api::Permission;
    use crate::shell::api::calls::NodeStop;
    use crate::shell::api::testing::not_for_long;
    use crate::shell::runtime::Runtime;
    use crate::shell::store::Store;

    #[test]
    fn a_wait_for_sent_goes_on_while_a_message_is_not_for_long_in_the_network() {
        let now = wall();
        let expired = not_for_long(now.minus(Lifetime::Day.ttl()));
        for wanted in [MessageState::Sent, MessageState::Delivered, MessageState::Read] {
            assert!(!has_ended(&not_for_long(now), wanted), "it is sent again");
            assert!(has_ended(&expired, wanted), "that goes on for days");
        }
        assert!(has_ended(&not_for_long(now), MessageState::Queued));
    }

    fn node() -> Runtime {
        let settings = NodeSettings::new(NodeRole::Messenger, Floor::new(4));
        Runtime::start(settings, None, Store::in_memory().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_handle_and_a_session_show_nothing_of_the_node() {
        let runtime = node();
        let handle = runtime.handle();
        let session = handle.open(Scope::all());
        assert_eq!(format!("{runtime:?} {handle:?} {session:?}"), "Runtime NodeHandle NodeSession");
    }

    #[tokio::test]
    async fn a_client_without_the_scope_is_refused_before_the_node_is_asked() {
        // Nobody runs the node, so an answer can only come from here.
        let handle = node().handle();
        let session = handle.open(Scope { admin: Permission::No, ..Scope::all() });
        let refused = session.call(NodeStop {}.into_any()).await.unwrap_err();
        assert_eq!(refused.code(), Some(FailureCode::Scope));
        assert!(refused.why.contains("node.stop"), "{}", refused.why);
    }

    #[tokio::test]
    async fn an_import_that_does_not_end_is_refused_before_it_fills_the_memory() {
        let handle = node().handle();
        let session = handle.open(Scope::all());
        let line = RawValue::from_string(format!("\"{}\"", "x".repeat(1 << 20))).unwrap();
        let part = Import { contact: "ben".into(), lines: vec![line], more: true, dry_run: false };
        let mut kept = 0;
        let refused = loop {
            match session.call(part.clone().into_any()).await {
                Ok(_) => kept += 1,
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused.code(), Some(FailureCode::BadImport));
        assert!((60..64).contains(&kept), "{kept} MiB");
        // What was kept is forgotten.
        assert!(session.call(part.into_any()).await.is_ok());
    }
}
