//! `undertone history` and `message`

use serde_json::json;

use super::contacts::of_identity;
use crate::engine::id::MessageId;
use crate::shell::api::calls::{
    Around, ContactShow, History, HistoryPart, MAX_HISTORY, MessageCancel, MessageDelete,
    MessageRef, MessageRetry, MessageShow, Page, Search, Status,
};
use crate::shell::api::{Contact, Event, Message};
use crate::shell::cli::args::{GlobalArgs, HistoryArgs, MessageAction};
use crate::shell::cli::connect;
use crate::shell::cli::message_format::{self, MessageFormatter};
use crate::shell::cli::output::{self, CommandOutput};
use crate::shell::client::{Client, CreateStore};
use crate::shell::failure::{Failure, shell_word};
use crate::shell::os::clock;
use crate::shell::text::command;
use crate::shell::text::price::PriceHold;

/// `undertone history ..`
pub(super) async fn history(global: &GlobalArgs, args: HistoryArgs) -> Result<(), Failure> {
    let client = connect::for_command(global, CreateStore::No).await?;
    let is_online = client.hello().online;
    let found = find(&client, global.identity.as_deref(), &args).await;
    let ConversationPart { contact, messages, is_cut } = connect::finish(client, found).await?;
    if global.json {
        // A line each, as `listen` prints them.
        for message in messages {
            let mut line = output::event_json(&Event::Message(message));
            if !is_online {
                output::forget(&mut line, &output::KNOWN_TO_A_NETWORK);
            }
            output::print_line(&output::to_ascii(&line))?;
        }
        return Ok(());
    }
    let (ascii, zone, now) = (global.ascii, &clock::zone(), clock::wall());
    let contact = &contact;
    let (price, clock) = (None, None);
    let formatter = |message| MessageFormatter { message, contact, ascii, zone, now, price, clock };
    let shown: Vec<MessageFormatter<'_>> = messages.iter().map(formatter).collect();
    let cut = messages.first().filter(|_| is_cut).map(|oldest| oldest.id);
    output::print_line(&message_format::conversation(&shown, &args, contact, cut))?;
    Ok(())
}

/// A part of a conversation, oldest first.
struct ConversationPart {
    contact: Contact,
    messages: Vec<Message>,
    /// Whether there are older ones.
    is_cut: bool,
}

async fn find(
    client: &Client,
    identity: Option<&str>,
    args: &HistoryArgs,
) -> Result<ConversationPart, Failure> {
    let contact = of_identity(&args.contact, identity);
    let contact = client.call(ContactShow { contact }).await?;
    let before = match &args.before {
        Some(id) => {
            let message = MessageRef(id.clone());
            let found = client.call(MessageShow { message }).await;
            // It is known which conversation the person looks at.
            let found = found.map_err(|mut failure| {
                failure.next = failure.next.replace("NAME", &shell_word(&args.contact));
                failure
            });
            Some(found?.id)
        }
        None => None,
    };
    let most = usize::from(args.last);
    let (mut newest_first, is_cut) = match &args.search {
        Some(words) => search(client, &contact, words, before, most).await?,
        None => newest(client, &contact, before, most).await?,
    };
    newest_first.reverse();
    Ok(ConversationPart { contact, messages: newest_first, is_cut })
}

/// The newest messages of a conversation, or the newest before a place, newest first; and whether
/// there are older ones.
async fn newest(
    client: &Client,
    contact: &Contact,
    before: Option<MessageId>,
    most: usize,
) -> Result<(Vec<Message>, bool), Failure> {
    backwards(before, most, async |place: Option<MessageId>, count| {
        let around = place.map_or(Around::Newest, |place| Around::Message(place.into()));
        let part = History { contact: contact.id.into(), around, before: count, after: 0 };
        let HistoryPart { mut items, older, newer: _ } = client.call(part).await?;
        items.reverse();
        Ok(Page { items, more: older })
    })
    .await
}

/// The same of the messages with all of these words.
async fn search(
    client: &Client,
    contact: &Contact,
    words: &str,
    before: Option<MessageId>,
    most: usize,
) -> Result<(Vec<Message>, bool), Failure> {
    backwards(before, most, async |place: Option<MessageId>, limit| {
        let (text, contact) = (words.to_owned(), Some(contact.id.into()));
        client.call(Search { text, contact, before: place.map(MessageRef::from), limit }).await
    })
    .await
}

/// Messages before a place, newest first, in as many parts as it takes to have `most`; and whether
/// there are more. `part` brings so many of those before its place.
async fn backwards(
    before: Option<MessageId>,
    most: usize,
    part: impl AsyncFn(Option<MessageId>, usize) -> Result<Page<Message>, Failure>,
) -> Result<(Vec<Message>, bool), Failure> {
    let mut newest_first: Vec<Message> = Vec::new();
    let mut place = before;
    loop {
        let count = most.saturating_sub(newest_first.len()).min(MAX_HISTORY);
        let Page { items, more } = part(place, count).await?;
        let is_last = items.is_empty() || !more;
        newest_first.extend(items);
        if is_last || newest_first.len() >= most {
            return Ok((newest_first, more));
        }
        place = newest_first.last().map(|oldest| oldest.id);
    }
}

/// When a node sends again what a person asked for. After a start, what left before is sent at a time of
/// its own, or it would show who came back.
fn when_sent_again(client: &Client) -> &'static str {
    if client.hello().online {
        "automatically."
    } else {
        "within some minutes of the next start of a node: undertone"
    }
}

/// `undertone message ..`
pub(super) async fn run(global: &GlobalArgs, action: MessageAction) -> Result<(), Failure> {
    let client = connect::for_command(global, CreateStore::No).await?;
    let done = carry_out(&client, global, action).await;
    let done = connect::what_is_known(&client, done);
    connect::finish(client, done).await?.print(global)
}

async fn carry_out(
    client: &Client,
    global: &GlobalArgs,
    action: MessageAction,
) -> Result<CommandOutput, Failure> {
    Ok(match action {
        MessageAction::Show { id } => {
            let message = client.call(MessageShow { message: MessageRef(id) }).await?;
            let contact = client.call(ContactShow { contact: message.contact.into() }).await?;
            // A node without a network has heard of no price.
            let status = client.call(Status {}).await?;
            let shown = MessageFormatter {
                message: &message,
                contact: &contact,
                ascii: global.ascii,
                zone: &clock::zone(),
                now: clock::wall(),
                price: status.online.then_some(status.network.price),
                clock: status.network.clock(),
            };
            CommandOutput::new(&message, shown.details())
        }
        MessageAction::Retry { id } => {
            let message = client.call(MessageRetry { message: MessageRef(id) }).await?;
            let contact = client.call(ContactShow { contact: message.contact.into() }).await?;
            let status = client.call(Status {}).await?;
            let hold = PriceHold::of(status.network.price, &message, &contact);
            let short = message.id.short();
            let words = match hold {
                Some(hold) => {
                    let name = command::contact(&message.with, global.identity.as_deref());
                    let frees = hold.freeing_limit().map(|limit| command::allow(&name, limit));
                    let frees = frees.map(|allow| format!("; sent at once: {allow}"));
                    format!(
                        "queued {short} again. It waits for {}: {}{}",
                        hold.what(),
                        hold.reason(clock::wall()),
                        frees.unwrap_or_default()
                    )
                }
                None => format!("queued {short} again. It is sent {}", when_sent_again(client)),
            };
            CommandOutput::new(&message, words)
        }
        MessageAction::Cancel { id } => {
            let message = client.call(MessageCancel { message: MessageRef(id) }).await?;
            let words = format!("cancelled {}", message.id.short());
            CommandOutput::new(&message, words)
        }
        MessageAction::Delete { id, confirm } => {
            // Its whole id, which nobody can ask for afterwards.
            let message = client.call(MessageShow { message: MessageRef(id.clone()) }).await?;
            client.call(MessageDelete { message: MessageRef(id), confirm }).await?;
            let words = format!("deleted {} on this computer", message.id.short());
            CommandOutput::new(&json!({ "id": message.id.hex(), "done": "erased" }), words)
        }
    })
}
