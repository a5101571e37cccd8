//! `undertone history` and `message`: by the running node, or from the store if none runs.
//!
//! A [`MessagesRequest`] is answered in the same way; only its [`MessageSource`] differs.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::control;
use super::manage::{CommandOutput, DeliveredBy, command_output, confirmed};
use super::without_network;
use crate::engine::command::{Command, CommandError};
use crate::engine::event::{ContactView, Direction, MessageView};
use crate::engine::id::{CommandId, IdPrefix, MessageId};
use crate::engine::record::MessageState;
use crate::shell::api::{ClientEvent, ClientRequest, Glyphs, HasMore, MessageQuery};
use crate::shell::calendar::{read_zone, write_zone};
use crate::shell::cli::args::{GlobalArgs, HistoryArgs, MessageAction};
use crate::shell::cli::directory::{CHOSEN_IDENTITY, Directory, node_failed, node_gone};
use crate::shell::cli::message_format::{self, MessageFormatter};
use crate::shell::cli::{open_store, output};
use crate::shell::durable_node::DurableNode;
use crate::shell::failure::{Failure, FailureCode, FailureText, shell_word};
use crate::shell::failures::RefusedCommand;
use crate::shell::os::clock;

/// A query about messages, the identity it is for, and how the output is drawn.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct MessagesRequest {
    identity: Option<String>,
    about: MessagesAction,
    /// Whether marks are ASCII.
    ascii: bool,
    /// The time zone of the asking process, if it can be written; else times are in that of the
    /// answering node.
    #[serde(default)]
    zone: Option<String>,
}

/// The subject of a request.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum MessagesAction {
    /// `undertone history ..`
    History(HistoryArgs),
    /// `undertone message ..`
    Message(MessageAction),
}

/// Answers a question about messages, and prints the answer.
pub(super) async fn run(global: &GlobalArgs, about: MessagesAction) -> Result<(), Failure> {
    let identity = global.identity.clone();
    let zone = write_zone(&clock::zone());
    let request = MessagesRequest { identity, about, ascii: global.ascii, zone };
    let answer = match request.ask_running(global).await? {
        Some(answer) => answer,
        None => request.alone(global).await?,
    };
    match (&request.about, global.json, &answer.data) {
        // A line each, as `listen` prints them.
        (MessagesAction::History(_), true, Value::Array(lines)) => {
            lines.iter().for_each(|line| output::print_line(&output::to_ascii(line)));
        }
        (_, true, data) => output::print_result(data),
        (_, false, _) => output::print_line(&answer.words),
    }
    Ok(())
}

impl MessagesRequest {
    /// Asks the running node of this home folder, if there is one.
    async fn ask_running(&self, global: &GlobalArgs) -> Result<Option<CommandOutput>, Failure> {
        if global.memory {
            return Ok(None);
        }
        control::ask_for(global, &json!({ "do": "messages", "inquiry": self })).await
    }

    /// Parses the request from JSON.
    pub(super) fn from_json(question: &Value) -> Option<Self> {
        Self::deserialize(question.get("inquiry")?).ok()
    }

    /// Answers by a runtime whose events arrive on `events`.
    pub(super) async fn by_host(
        self,
        chosen: Option<String>,
        ask: CommandId,
        requests: mpsc::Sender<ClientRequest>,
        mut events: mpsc::Receiver<ClientEvent>,
    ) -> Result<Value, Failure> {
        let directory = Directory::receive(&mut events).await?;
        let source = MessageSource::Running { ask, requests, events };
        let CommandOutput { data, words } =
            self.answer(source, &directory, chosen.as_deref()).await?;
        Ok(json!({ "data": data, "words": words }))
    }

    /// Answers without a network.
    async fn alone(&self, global: &GlobalArgs) -> Result<CommandOutput, Failure> {
        let (mut durable, directory) = without_network(open_store::open(global)?)?;
        let chosen = durable.store().setting(CHOSEN_IDENTITY)?;
        self.answer(MessageSource::Alone(Box::new(durable)), &directory, chosen.as_deref()).await
    }

    async fn answer(
        &self,
        mut source: MessageSource,
        directory: &Directory,
        chosen: Option<&str>,
    ) -> Result<CommandOutput, Failure> {
        let glyphs = if self.ascii { Glyphs::Ascii } else { Glyphs::Unicode };
        let zone = &self.zone.as_deref().and_then(read_zone).unwrap_or_else(clock::zone);
        match &self.about {
            MessagesAction::History(args) => {
                let speaker = directory.speaker(self.identity.as_deref(), chosen)?;
                let contact = directory.contact(speaker, &args.contact)?;
                history(&mut source, args, contact, (glyphs, zone)).await
            }
            MessagesAction::Message(action) => {
                let view = source.find(action.id(), "NAME").await?;
                let contact = directory.contacts.iter().find(|known| known.id == view.contact);
                let contact = contact.ok_or_else(|| no_message(action.id(), "NAME"))?;
                let it = MessageFormatter { view: &view, contact, glyphs, zone };
                message(&mut source, action, it).await
            }
        }
    }
}

async fn history(
    source: &mut MessageSource,
    args: &HistoryArgs,
    contact: &ContactView,
    (glyphs, zone): (Glyphs, &TimeZone),
) -> Result<CommandOutput, Failure> {
    let before = match &args.before {
        Some(id) => Some(source.find(id, &shell_word(&args.contact)).await?.id),
        None => None,
    };
    let most = usize::from(args.last);
    // One more than is shown tells whether there are more.
    let (contact_id, limit) = (contact.id, most + 1);
    let mut newest_first = match args.search.clone() {
        Some(words) => {
            source.query(MessageQuery::Words { contact: contact_id, words, before, limit }).await?
        }
        None => {
            let mut page =
                source.query(MessageQuery::Page { contact: contact_id, before, limit }).await?;
            page.reverse();
            page
        }
    };
    let more = if newest_first.len() > most { HasMore::Yes } else { HasMore::No };
    newest_first.truncate(most);
    newest_first.reverse();
    let formatter = |view| MessageFormatter { view, contact, glyphs, zone };
    let shown: Vec<MessageFormatter<'_>> = newest_first.iter().map(formatter).collect();
    let data = shown.iter().map(MessageFormatter::json).collect();
    Ok(CommandOutput {
        data: Value::Array(data),
        words: message_format::conversation(&shown, args, contact, more),
    })
}

async fn message(
    source: &mut MessageSource,
    action: &MessageAction,
    it: MessageFormatter<'_>,
) -> Result<CommandOutput, Failure> {
    let message = it.view.id;
    let id = message.short();
    let (command, what, word, words) = match action {
        MessageAction::Show { .. } => return Ok(command_output(it.json(), it.details())),
        MessageAction::Retry { .. } => {
            let sent = match source.sender() {
                DeliveredBy::ThisNode => "It is sent automatically.",
                DeliveredBy::NextNode => "It is sent the next time a node runs: undertone",
            };
            (
                Command::Retry { message },
                "the message was not retried",
                "queued",
                format!("queued {id} again. {sent}"),
            )
        }
        MessageAction::Cancel { .. } => (
            Command::Cancel { message },
            "the message was not cancelled",
            "cancelled",
            format!("cancelled {id}"),
        ),
        MessageAction::Delete { id: typed, confirm } => {
            let what = "the message on this computer, not the contact's copy";
            confirmed(typed, confirm.as_deref(), what)?;
            (
                Command::EraseMessage { message },
                "the message was not deleted",
                "erased",
                format!("deleted {id} on this computer"),
            )
        }
    };
    match source.ask(command).await? {
        Ok(()) => Ok(command_output(json!({ "id": message.hex(), "done": word }), words)),
        // To the engine, a message that has long been settled may be none. The stored view says
        // more.
        Err(CommandError::TooLate | CommandError::NoMessage) => {
            Err(too_late(what, it.view.direction, message))
        }
        Err(error) => {
            let contact = Some(&*it.contact.petname);
            Err(Failure::refused(error, RefusedCommand { contact, ..RefusedCommand::new(what) }))
        }
    }
}

/// The reason why a message is past what was asked for, by its state.
fn too_late(what: &str, direction: Direction, message: MessageId) -> Failure {
    let why = match direction {
        Direction::Incoming => "you received it, and did not send it",
        Direction::Outgoing(MessageState::Queued | MessageState::Mining) => {
            "it has not left this computer yet, and is sent automatically"
        }
        Direction::Outgoing(MessageState::Sent | MessageState::Unacknowledged) => {
            "it has left this computer, and its acknowledgement may still arrive"
        }
        Direction::Outgoing(MessageState::Delivered | MessageState::Read) => "it was delivered",
        Direction::Outgoing(MessageState::Failed) => {
            "it did not leave this computer, and waits for you to retry it"
        }
        Direction::Outgoing(MessageState::Cancelled) => "it was cancelled before",
    };
    let next = format!("undertone message show {}", message.short());
    Failure::new(
        FailureCode::TooLate,
        FailureText { what, why, safe: "nothing was changed", next: &next },
    )
}

/// The place where messages are read.
enum MessageSource {
    /// At the runtime of a running node.
    Running {
        ask: CommandId,
        requests: mpsc::Sender<ClientRequest>,
        events: mpsc::Receiver<ClientEvent>,
    },
    /// In a store that nobody else uses.
    Alone(Box<DurableNode>),
}

impl MessageSource {
    const fn sender(&self) -> DeliveredBy {
        match self {
            Self::Running { .. } => DeliveredBy::ThisNode,
            Self::Alone(_) => DeliveredBy::NextNode,
        }
    }

    /// The one message whose id begins like this; an error names the chat to look into.
    async fn find(&mut self, id: &str, chat: &str) -> Result<MessageView, Failure> {
        // Never the first of several: the command may be to delete it.
        let start = IdPrefix::parse(id).ok_or_else(|| bad_id(chat))?;
        let mut found = self.query(MessageQuery::Like(start)).await?.into_iter();
        match (found.next(), found.next()) {
            (Some(view), None) => Ok(view),
            (None, _) => Err(no_message(id, chat)),
            (Some(_), Some(_)) => Err(Failure::new(
                FailureCode::WhichMessage,
                FailureText {
                    what: "no message was chosen",
                    why: "several ids begin with these digits, so more of them are needed",
                    safe: "nothing was changed",
                    next: &format!("undertone history {chat} --json   (shows all 16 digits)"),
                },
            )),
        }
    }

    async fn query(&mut self, query: MessageQuery) -> Result<Vec<MessageView>, Failure> {
        match self {
            Self::Alone(durable) => Ok(durable.query(&query)?),
            Self::Running { ask, requests, events } => {
                send_request(requests, ClientRequest::Query(*ask, query)).await?;
                wait_for_event(events, |event| {
                    let ClientEvent::QueryResult(id, messages) = event else { return None };
                    (id == *ask).then_some(messages)
                })
                .await
            }
        }
    }

    async fn ask(&mut self, command: Command) -> Result<Result<(), CommandError>, Failure> {
        let reply = match self {
            Self::Alone(durable) => durable.ask(command)?.0,
            Self::Running { ask, requests, events } => {
                send_request(requests, ClientRequest::Command(*ask, command)).await?;
                wait_for_event(events, |event| {
                    let ClientEvent::Replied(id, reply) = event else { return None };
                    (id == *ask).then_some(reply)
                })
                .await?
            }
        };
        Ok(reply.map(|_| ()))
    }
}

async fn send_request(
    requests: &mpsc::Sender<ClientRequest>,
    request: ClientRequest,
) -> Result<(), Failure> {
    requests.send(request).await.map_err(|_| node_gone())
}

/// Waits for the event that `pick` wants.
async fn wait_for_event<T>(
    events: &mut mpsc::Receiver<ClientEvent>,
    mut pick: impl FnMut(ClientEvent) -> Option<T>,
) -> Result<T, Failure> {
    loop {
        match events.recv().await {
            None => return Err(node_gone()),
            Some(ClientEvent::Fatal(why)) => return Err(node_failed(&why)),
            Some(event) => {
                if let Some(picked) = pick(event) {
                    return Ok(picked);
                }
            }
        }
    }
}

fn bad_id(chat: &str) -> Failure {
    let what = "no message was chosen";
    let why = "an id is written as its first 4 to 16 hexadecimal digits";
    Failure::new(
        FailureCode::BadId,
        FailureText {
            what,
            why,
            safe: "nothing was changed",
            next: &format!("undertone history {chat}"),
        },
    )
}

fn no_message(id: &str, chat: &str) -> Failure {
    let what = format!("the message {id:?} was not found");
    let why = "it was deleted, or is in another home folder";
    let text = FailureText {
        what: &what,
        why,
        safe: "nothing was changed",
        next: &format!("undertone history {chat}"),
    };
    Failure::new(FailureCode::MessageNotFound, text)
}
