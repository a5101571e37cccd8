//! `undertone send`: by the running node, or by a node of its own.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::control;
use super::{net_settings, node_settings};
use crate::engine::command::{Command, Reply};
use crate::engine::envelope::Lifetime;
use crate::engine::event::{Direction, Event, SessionStatus};
use crate::engine::id::{CommandId, ContactId, MessageId};
use crate::engine::record::{HoldReason, MessageState, Trust};
use crate::engine::session::MAX_TEXT;
use crate::engine::settings::NodeRole;
use crate::shell::api::{ClientEvent, ClientRequest};
use crate::shell::cli::args::{DurationArg, GlobalArgs, MAX_DURATION, NetworkArgs, WaitFor};
use crate::shell::cli::directory::{CHOSEN_IDENTITY, Directory, node_failed, node_gone};
use crate::shell::cli::{open_store, output};
use crate::shell::failure::{Failure, FailureCode, FailureText, shell_word};
use crate::shell::failures::RefusedCommand;
use crate::shell::runtime::Runtime;
use crate::shell::store::StoreError;
use crate::shell::text::lifetime::{self, WorkCost};
use crate::shell::{miner, text};

/// Arguments of `undertone send`: recipient, text, lifetime, and the state to wait for.
#[derive(Clone)]
pub(super) struct SendArgs {
    pub(super) contact: String,
    pub(super) text: Option<String>,
    pub(super) lifetime: Lifetime,
    pub(super) wait: WaitFor,
    pub(super) timeout: DurationArg,
}

/// `undertone send ..`
pub(super) async fn run(
    global: &GlobalArgs,
    network: &NetworkArgs,
    args: SendArgs,
) -> Result<(), Failure> {
    let text = match args.text.as_deref() {
        // An argument shows in lists of processes and in the history of a shell.
        None | Some("-") => open_store::standard_input(MAX_TEXT as u64)?,
        Some(text) => text.to_owned(),
    };
    let request = SendRequest {
        identity: global.identity.clone(),
        contact: args.contact,
        text,
        lifetime: args.lifetime,
        wait: args.wait,
        timeout: args.timeout.0,
    };
    let home = open_store::home(global)?;
    say_price(&home, network, args.lifetime).await?;
    // A running node has the store locked, so it sends the message.
    if let Some(data) = control::ask(&home, &request.to_json()).await? {
        print_state(global, &data);
        return Ok(());
    }
    let store = match open_store::open(global) {
        Err(failure) if failure.code() == Some(FailureCode::InUse) => return Err(busy()),
        opened => opened?,
    };
    let chosen = store.setting(CHOSEN_IDENTITY)?;
    let (events, incoming) = mpsc::channel(CHANNEL);
    let (requests, asked) = mpsc::channel(CHANNEL);
    let runtime =
        Runtime::start(node_settings(network, NodeRole::Messenger), net_settings(network), store)?;
    runtime.subscriptions().subscribe(events).await;
    let (done, ended) =
        tokio::join!(request.deliver(chosen, FIRST_ASK, requests, incoming), runtime.run(asked),);
    ended?;
    print_state(global, &done?);
    Ok(())
}

/// Prints the expected cost before the work begins, to a person who would wait for it.
async fn say_price(home: &Path, network: &NetworkArgs, lifetime: Lifetime) -> Result<(), Failure> {
    if !std::io::stderr().is_terminal() {
        return Ok(());
    }
    let cost = match control::ask(home, &json!({ "do": "status" })).await? {
        // No node runs, so this process searches.
        None => WorkCost::of(lifetime, network.floor, miner::speed()),
        // The running node searches: at its floor, and as fast as it was when it last did.
        Some(node) => {
            let figure = |name: &str| node.get(name).and_then(Value::as_u64).unwrap_or_default();
            let floor = u8::try_from(figure("floor_bits")).unwrap_or(u8::MAX);
            WorkCost::of(lifetime, floor, figure("rate"))
        }
    };
    if cost.seconds().is_none_or(|seconds| seconds > LONG_SECONDS) {
        output::print_message(&format!(
            "lifetime {}: {}",
            lifetime::words(lifetime),
            cost.expectation()
        ));
    }
    Ok(())
}

fn busy() -> Failure {
    StoreError::InUse.into()
}

fn print_state(global: &GlobalArgs, data: &Value) {
    if global.json {
        output::print_result(data);
    } else {
        output::print_message(data.get("state").and_then(Value::as_str).unwrap_or("sent"));
    }
}

/// A message on its way through a runtime.
#[derive(Clone)]
pub(in crate::shell) struct SendRequest {
    identity: Option<String>,
    contact: String,
    text: String,
    lifetime: Lifetime,
    wait: WaitFor,
    timeout: Duration,
}

impl SendRequest {
    /// As a request to a running node.
    fn to_json(&self) -> Value {
        json!({
            "do": "send",
            "identity": self.identity,
            "contact": self.contact,
            "text": self.text,
            "life": lifetime::name(self.lifetime),
            "wait": self.wait,
            "timeout": self.timeout.as_secs(),
        })
    }

    /// The request in a line of JSON, if it is one.
    pub(in crate::shell) fn from_json(request: &Value) -> Option<Self> {
        let text = |name: &str| request.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            identity: text("identity"),
            contact: text("contact")?,
            text: text("text")?,
            lifetime: lifetime::named(&text("life")?)?,
            wait: WaitFor::deserialize(request.get("wait")?).ok()?,
            // Another program may have asked: its number is not one of ours.
            timeout: Duration::from_secs(request.get("timeout")?.as_u64()?).min(MAX_DURATION),
        })
    }

    /// Hands the request to a runtime and follows it until it has the wanted state. Dropping
    /// `requests` at the end ends a runtime that serves nobody else.
    pub(in crate::shell) async fn deliver(
        self,
        chosen: Option<String>,
        ask: CommandId,
        requests: mpsc::Sender<ClientRequest>,
        mut events: mpsc::Receiver<ClientEvent>,
    ) -> Result<Value, Failure> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        let directory = Directory::receive(&mut events).await?;
        let speaker = directory.speaker(self.identity.as_deref(), chosen.as_deref())?;
        let view = directory.contact(speaker, &self.contact)?;
        let (contact, trust, session) = (view.id, view.trust, view.session);
        // Before anything is sent: the wait would be for a mark that cannot come.
        if self.wait == WaitFor::Read && !view.read_receipts {
            return Err(no_read_marks(&self.contact));
        }
        let command = Command::Say { contact, text: self.text.clone(), lifetime: self.lifetime };
        if requests.send(ClientRequest::Command(ask, command)).await.is_err() {
            return Err(node_gone());
        }
        let mut watcher = DeliveryWatcher {
            ask,
            wait: self.wait,
            contact,
            name: self.contact,
            text: self.text,
            trust,
            session,
            message: None,
            state: MessageState::Queued,
            peers: directory.peers,
        };
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    None => return Err(node_gone()),
                    Some(event) => if let Some(done) = watcher.follow(event)? { return Ok(done) },
                },
                // Ends the wait alone: the message stays queued.
                () = tokio::time::sleep_until(deadline) => return Err(watcher.too_late()),
            }
        }
    }
}

/// Follows the state of a message.
struct DeliveryWatcher {
    ask: CommandId,
    wait: WaitFor,
    contact: ContactId,
    /// The contact, as the person called them.
    name: String,
    text: String,
    trust: Trust,
    session: SessionStatus,
    message: Option<MessageId>,
    /// The last state of the message.
    state: MessageState,
    peers: usize,
}

impl DeliveryWatcher {
    fn follow(&mut self, event: ClientEvent) -> Result<Option<Value>, Failure> {
        match event {
            ClientEvent::Replied(ask, reply) if ask == self.ask => {
                let reply = reply.map_err(|error| {
                    Failure::refused(
                        error,
                        RefusedCommand {
                            what: "the message was not sent",
                            contact: Some(&self.name),
                            text: Some(&self.text),
                        },
                    )
                })?;
                if let Reply::Message(id) = reply {
                    self.message = Some(id);
                    let reached = self.reached(MessageState::Queued);
                    // It is not sent while a person has not decided about the contact.
                    return if reached.is_none() && self.trust.is_on_hold() {
                        Err(self.held())
                    } else {
                        Ok(reached)
                    };
                }
            }
            ClientEvent::Engine(Event::State { message, state, .. })
                if Some(message) == self.message =>
            {
                return self.at(state);
            }
            ClientEvent::Engine(Event::Message(view)) if Some(view.id) == self.message => {
                if let Direction::Outgoing(state) = view.direction {
                    return self.at(state);
                }
            }
            ClientEvent::Engine(Event::Contact(view)) if view.id == self.contact => {
                self.session = view.session;
            }
            ClientEvent::Network(line) => self.peers = line.peers,
            ClientEvent::Fatal(why) => return Err(node_failed(&why)),
            ClientEvent::Replied(..)
            | ClientEvent::Engine(_)
            | ClientEvent::History { .. }
            | ClientEvent::Found { .. }
            | ClientEvent::QueryResult(..)
            | ClientEvent::UnreadCount(..)
            | ClientEvent::Persistence(_) => {}
        }
        Ok(None)
    }

    /// Whether a state is the wanted one, or a later one, or ends the wait with an error.
    fn at(&mut self, state: MessageState) -> Result<Option<Value>, Failure> {
        self.state = state;
        match (self.reached(state), state) {
            // First, because the same state may be a success: a message that was to be sent has
            // been, even if no acknowledgement came for it.
            (Some(done), _) => Ok(Some(done)),
            // Retransmission goes on for days, and a script does not: it gets the code of a time
            // that is over.
            (None, MessageState::Unacknowledged) => Err(self.not_acknowledged()),
            // Only a person moves it on from here.
            (None, MessageState::Failed | MessageState::Cancelled) => Err(self.not_sent(state)),
            (
                None,
                MessageState::Queued
                | MessageState::Mining
                | MessageState::Sent
                | MessageState::Delivered
                | MessageState::Read,
            ) => Ok(None),
        }
    }

    fn reached(&self, state: MessageState) -> Option<Value> {
        let word = super::listen::state_word(state);
        let far_enough = match self.wait {
            WaitFor::Queued => true,
            WaitFor::Sent => matches!(
                state,
                MessageState::Sent
                    | MessageState::Unacknowledged
                    | MessageState::Delivered
                    | MessageState::Read
            ),
            WaitFor::Delivered => matches!(state, MessageState::Delivered | MessageState::Read),
            WaitFor::Read => state == MessageState::Read,
        };
        let id = self.message?;
        far_enough.then(|| json!({ "state": word, "id": id.hex() }))
    }

    fn held(&self) -> Failure {
        // An error is JSON, too, so it names no day of a local calendar.
        let why = if matches!(self.trust, Trust::OnHold { reason: HoldReason::Mismatch, .. }) {
            "NO MATCH when the contact was compared; sending is paused"
        } else {
            "KEY CHANGED, and not verified since; sending is paused"
        };
        let safe = "the message is queued, and is sent once you verify or accept the contact";
        let name = shell_word(&self.name);
        let next =
            &format!("undertone contact verify {name}, or undertone contact accept-key {name}");
        Failure::new(
            FailureCode::Held,
            FailureText { what: "the message was not sent", why, safe, next },
        )
    }

    /// The id of the message for a command.
    fn short_id(&self) -> String {
        self.message.map_or_else(|| "ID".to_owned(), MessageId::short)
    }

    fn not_acknowledged(&self) -> Failure {
        let why = "it was sent and has expired, and no acknowledgement came";
        let safe = "it may have been received; a late acknowledgement still counts";
        let id = self.short_id();
        let next = &format!("undertone message retry {id}; the contact sees it only once");
        Failure::new(
            FailureCode::NotAcknowledged,
            FailureText { what: "the message was not acknowledged", why, safe, next },
        )
    }

    fn not_sent(&self, state: MessageState) -> Failure {
        let why = text::message_state::meaning(state);
        let safe = "nobody has received it; it is saved here";
        let next = &format!("undertone message retry {}", self.short_id());
        Failure::new(
            FailureCode::NotSent,
            FailureText { what: "the message was not sent", why, safe, next },
        )
    }

    /// The time is over: what did not happen follows from the state that the message has.
    fn too_late(&self) -> Failure {
        let has_left = match self.state {
            MessageState::Queued
            | MessageState::Mining
            | MessageState::Failed
            | MessageState::Cancelled => false,
            MessageState::Sent
            | MessageState::Unacknowledged
            | MessageState::Delivered
            | MessageState::Read => true,
        };
        // The fault is on this side then, and no longer wait would mend it.
        if !has_left && self.peers == 0 {
            let text = FailureText {
                what: "no peer could be reached",
                why: "no peer answered, or no --peer was given",
                safe: QUEUED,
                next: "add --peer MULTIADDR",
            };
            return Failure::new(FailureCode::NoRelay, text);
        }
        let what = match self.wait {
            _ if !has_left => "the message was not sent in time",
            WaitFor::Read => "the message was not read in time",
            WaitFor::Queued | WaitFor::Sent | WaitFor::Delivered => {
                "the message was not acknowledged in time"
            }
        };
        let (why, safe) = match self.state {
            MessageState::Mining => ("its proof of work is still being computed", QUEUED),
            MessageState::Delivered | MessageState::Read => (
                "it was delivered; the contact has not read it yet, or does not send read marks",
                "the contact's device has the message",
            ),
            MessageState::Sent | MessageState::Unacknowledged => (
                "it was sent, and no acknowledgement has arrived yet",
                "it is retried automatically while a node runs, until it is acknowledged",
            ),
            MessageState::Queued | MessageState::Failed | MessageState::Cancelled => {
                let why = match self.session {
                    SessionStatus::Established => "it waits for its turn to be sent",
                    SessionStatus::None
                    | SessionStatus::OfferQueued
                    | SessionStatus::OfferSent
                    | SessionStatus::AwaitingConfirmation
                    | SessionStatus::Blocked => "there is no session with the contact yet",
                };
                (why, QUEUED)
            }
        };
        let see = match self.message {
            Some(id) => format!("undertone message show {}", id.short()),
            None => "undertone contact list".to_owned(),
        };
        let next = format!("do not send it again; see its state with {see}");
        Failure::new(FailureCode::AckTimeout, FailureText { what, why, safe, next: &next })
    }
}

/// What becomes of a message that has not been sent.
const QUEUED: &str = "the message is queued here, and is sent automatically while a node runs";

fn no_read_marks(name: &str) -> Failure {
    let name = shell_word(name);
    let why = "read marks are off for this contact, so none would arrive";
    let next = &format!("undertone contact read-marks {name} on, or use --wait delivered");
    let text = FailureText { what: "nothing was sent", why, safe: "nothing was changed", next };
    Failure::new(FailureCode::ReadMarksOff, text)
}

/// Work that takes more seconds than this is announced before it begins. A guess: less is no wait.
const LONG_SECONDS: u64 = 2;

/// The asks of a runtime that serves one request.
const FIRST_ASK: CommandId = CommandId(1);

/// A screen or two of events.
const CHANNEL: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(wait: WaitFor, state: MessageState, peers: usize) -> DeliveryWatcher {
        DeliveryWatcher {
            ask: FIRST_ASK,
            wait,
            contact: ContactId(1),
            name: "ben".to_owned(),
            text: "hello".to_owned(),
            trust: Trust::Unverified,
            session: SessionStatus::Established,
            message: Some(MessageId(0x1a2b_3c4d_5e6f_7081)),
            state,
            peers,
        }
    }

    #[test]
    fn a_wait_that_ends_says_what_the_state_of_the_message_lacks() {
        let queued = watcher(WaitFor::Sent, MessageState::Queued, 1).too_late();
        assert_eq!(queued.what, "the message was not sent in time");
        assert!(!queued.why.contains("acknowledgement") && queued.safe.contains("queued here"));
        let mining = watcher(WaitFor::Delivered, MessageState::Mining, 1).too_late();
        assert!(mining.why.contains("proof of work") && mining.safe.contains("queued here"));
        // With and without peers: what has left does not need one any more.
        for peers in [0, 1] {
            let sent = watcher(WaitFor::Delivered, MessageState::Sent, peers).too_late();
            assert_eq!(sent.what, "the message was not acknowledged in time");
            assert!(sent.why.starts_with("it was sent") && !sent.safe.contains("queued"));
            assert!(sent.next.ends_with("undertone message show 1a2b3c4d"), "{}", sent.next);
            let delivered = watcher(WaitFor::Read, MessageState::Delivered, peers).too_late();
            assert_eq!(delivered.what, "the message was not read in time");
            assert!(delivered.why.starts_with("it was delivered"));
            assert_eq!(sent.code(), Some(FailureCode::AckTimeout));
        }
        let alone = watcher(WaitFor::Sent, MessageState::Mining, 0).too_late();
        assert_eq!(alone.code(), Some(FailureCode::NoRelay));
    }

    #[test]
    fn a_wait_that_ends_without_a_session_says_so() {
        for session in [SessionStatus::OfferSent, SessionStatus::Established] {
            let queued = watcher(WaitFor::Sent, MessageState::Queued, 1);
            let why = DeliveryWatcher { session, ..queued }.too_late().why;
            assert_eq!(why.contains("no session"), session == SessionStatus::OfferSent);
        }
    }
}
