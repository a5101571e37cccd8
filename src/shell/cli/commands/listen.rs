//! `undertone listen`: incoming events, one per line.

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::control;
use super::{net_settings, node_settings};
use crate::engine::event::{Direction, Event, MessageView};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::{MessageState, Record};
use crate::engine::settings::NodeRole;
use crate::engine::text::UntrustedText;
use crate::shell::api::{ClientEvent, ClientRequest};
use crate::shell::calendar::{Civil, utc, zone_name};
use crate::shell::cli::args::{DurationArg, GlobalArgs, NetworkArgs};
use crate::shell::cli::directory::{Directory, no_contact};
use crate::shell::cli::open_store;
use crate::shell::cli::output::{self, OutputFormat};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::clock;
use crate::shell::os::exit_code::ExitCode;
use crate::shell::os::signals::StopSignals;
use crate::shell::runtime::Runtime;
use crate::shell::store::Store;
use crate::shell::text::contact::session_word;
pub(super) use crate::shell::text::message_state::word as state_word;

/// Arguments of `undertone listen`: the events to print, and the end.
#[derive(Clone)]
pub(super) struct ListenArgs {
    pub(super) from: Vec<String>,
    pub(super) count: Option<u64>,
    pub(super) timeout: Option<DurationArg>,
    pub(super) states: bool,
}

/// `undertone listen ..`
pub(super) async fn run(
    global: &GlobalArgs,
    network: &NetworkArgs,
    args: ListenArgs,
) -> Result<(), Failure> {
    let store = open_store::open(global)?;
    check_names(&store, &args.from)?;
    let mut stop = StopSignals::listen()?;
    let (events, mut incoming) = mpsc::channel(CHANNEL);
    let (requests, asked) = mpsc::channel(CHANNEL);
    let mut runtime =
        Runtime::start(node_settings(network, NodeRole::Messenger), net_settings(network), store)?;
    // The store is locked while this runs, so other commands have to reach it here.
    let socket = control::ControlSocket::for_node(global, &mut runtime, &requests)?;
    runtime.subscriptions().subscribe(events).await;
    let format = if global.json { OutputFormat::Json } else { OutputFormat::Text };
    let mut printer = LinePrinter {
        format,
        directory: Directory::default(),
        left: args.count,
        reader: StdoutReader::There,
        network: Value::Null,
        zone: clock::zone(),
        args,
    };
    // Once, and not among the lines of data, which stay fit for `cut` and `sort`.
    if format == OutputFormat::Text {
        let zone = zone_name(clock::wall(), &printer.zone);
        output::print_message(&format!("times are in {zone}"));
    }
    let end = printer.args.timeout.map(|span| tokio::time::Instant::now() + span.0);
    let reading = async {
        let done = loop {
            tokio::select! {
                event = incoming.recv() => match event {
                    // Why the runtime ended is reported below.
                    None => break Ok(()),
                    Some(event) => if printer.turn(event)? { break Ok(()) },
                },
                exit = stop.received() => break Err(stopped(exit)),
                // A success: listening for so long is what was wanted.
                () = until(end) => break Ok(()),
            }
        };
        // The runtime saves its state and ends.
        if requests.send(ClientRequest::Quit).await.is_err() {
            tracing::debug!("the node stopped first");
        }
        done
    };
    let (done, ended) = tokio::join!(reading, control::run_with_socket(runtime, asked, socket));
    ended?;
    done
}

/// Refuses the name of nobody: its messages would be waited for for ever.
fn check_names(store: &Store, names: &[String]) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    let records = store.load()?;
    let mut known = Vec::new();
    for record in &records {
        if let Record::Contact(contact) = record {
            known.push(&*contact.petname);
        }
    }
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(nobody) => Err(no_contact(nobody, known.into_iter())),
        None => Ok(()),
    }
}

fn stopped(exit: ExitCode) -> Failure {
    let text = FailureText {
        what: "stopped",
        why: "a signal ended it",
        safe: "everything accepted is saved",
        next: "start it again: undertone listen",
    };
    Failure::new(FailureCode::of_signal(exit), text)
}

async fn until(end: Option<tokio::time::Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Prints the wanted events, and counts them.
struct LinePrinter {
    format: OutputFormat,
    directory: Directory,
    left: Option<u64>,
    reader: StdoutReader,
    /// The figures printed last; others change that are not printed.
    network: Value,
    zone: TimeZone,
    args: ListenArgs,
}

/// Whether anybody reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StdoutReader {
    There,
    Gone,
}

impl LinePrinter {
    /// Prints one event, if it is wanted; returns whether it was the last.
    fn turn(&mut self, event: ClientEvent) -> Result<bool, Failure> {
        let enough = self.on_event(event)?;
        // `listen | head -1` ends the node with its reader.
        Ok(enough || self.reader == StdoutReader::Gone)
    }

    fn on_event(&mut self, event: ClientEvent) -> Result<bool, Failure> {
        match event {
            ClientEvent::Engine(event) => {
                self.directory.apply(&event);
                Ok(self.on_engine_event(event))
            }
            ClientEvent::Network(line) => {
                let line_json = json!({
                    "v": 1, "type": "network", "peers": line.peers,
                    "listening": line.listening, "pool_items": line.pool_items,
                });
                if self.format == OutputFormat::Json && self.network != line_json {
                    self.print(&line_json);
                    self.network = line_json;
                }
                Ok(false)
            }
            ClientEvent::Fatal(why) => {
                let text = FailureText {
                    what: "the node stopped",
                    why: &why,
                    safe: "everything accepted before is saved",
                    next: "start it again: undertone listen",
                };
                Err(Failure::new(FailureCode::NodeEnded, text))
            }
            ClientEvent::Replied(..)
            | ClientEvent::History { .. }
            | ClientEvent::Found { .. }
            | ClientEvent::QueryResult(..)
            | ClientEvent::UnreadCount(..)
            | ClientEvent::Persistence(_) => Ok(false),
        }
    }

    fn on_engine_event(&mut self, event: Event) -> bool {
        match event {
            Event::Message(view) if view.direction == Direction::Incoming => {
                return self.message(&view);
            }
            Event::Message(MessageView {
                id,
                contact,
                direction: Direction::Outgoing(state),
                ..
            }) if self.args.states => {
                self.state((id, contact), state);
            }
            Event::State { message, contact, state, .. } if self.args.states => {
                self.state((message, contact), state);
            }
            Event::Confirmed { message, contact } if self.format == OutputFormat::Json => {
                let from = self.name(contact);
                self.print(&json!({
                    "v": 1, "type": "confirmed", "id": message.hex(), "from": from,
                }));
            }
            Event::Request(view) => {
                let key = view.key.hex();
                let at = utc(view.arrived);
                // The key and nothing else: no word that a stranger chose is printed before a
                // person let them in.
                let line = json!({ "v": 1, "type": "request", "key": key, "at": at });
                self.say(&line, || format!("request: {key} wants to contact you"));
            }
            Event::Contact(view) if self.format == OutputFormat::Json => {
                self.print(&json!({
                    "v": 1, "type": "session", "with": view.petname,
                    "session": session_word(view.session),
                }));
            }
            Event::Message(_)
            | Event::State { .. }
            | Event::Confirmed { .. }
            | Event::Contact(_)
            | Event::Identity(_)
            | Event::IdentityRemoved(_)
            | Event::ContactRemoved(_)
            | Event::RequestRemoved(_) => {}
        }
        false
    }

    fn state(&mut self, (message, contact): (MessageId, ContactId), state: MessageState) {
        let to = self.name(contact);
        let word = state_word(state);
        let line = json!({
            "v": 1, "type": "state", "id": message.hex(), "to": to, "state": word,
        });
        self.say(&line, || format!("state: {word}, message {} to {to}", message.short()));
    }

    fn message(&mut self, view: &MessageView) -> bool {
        let from = self.name(view.contact);
        if !self.args.from.is_empty() && !self.args.from.contains(&from) {
            return false;
        }
        let line = json!({
            "v": 1, "type": "message", "id": view.id.hex(), "from": from,
            "number": view.number, "missing": view.missing, "early": view.early,
            "text": raw(&view.text), "at": utc(view.at),
        });
        // On one line, so that no text can look like a line of its own.
        let at = Civil::at(view.at, &self.zone).sortable();
        self.say(&line, || format!("{at} {from}: {}", view.text.sanitize_for_line().text));
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            return *left == 0;
        }
        false
    }

    fn name(&self, contact: ContactId) -> String {
        let known = self.directory.contacts.iter().find(|view| view.id == contact);
        known.map_or_else(String::new, |view| view.petname.clone())
    }

    fn say(&mut self, line: &Value, words: impl FnOnce() -> String) {
        match self.format {
            OutputFormat::Json => self.print(line),
            OutputFormat::Text => self.write(&words()),
        }
    }

    fn print(&mut self, line: &Value) {
        self.write(&output::to_ascii(line));
    }

    fn write(&mut self, line: &str) {
        if output::try_print_line(line).is_err() {
            self.reader = StdoutReader::Gone;
        }
    }
}

/// JSON contains the exact text: every character beyond ASCII is escaped.
fn raw(text: &UntrustedText) -> String {
    text.clone().into_raw()
}

/// A burst of messages between two lines that somebody reads.
const CHANNEL: usize = 1_024;
