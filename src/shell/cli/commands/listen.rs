//! `undertone listen`: incoming events, one per line.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

use jiff::tz::TimeZone;
use tokio::time::{Instant, sleep};

use crate::engine::event::{Direction, SessionStatus};
use crate::engine::id::{ContactId, MessageId, RequestId};
use crate::shell::api::calls::{
    Around, ContactList, History, Id, MAX_HISTORY, MessageRef, MessageShow,
};
use crate::shell::api::directory::{called, no_such_contact};
use crate::shell::api::words::state_word;
use crate::shell::api::{
    Contact, Delivery, Event, EventFilter, EventKind, From, Hello, Message, MessageChange,
    NetworkStatus, Stay,
};
use crate::shell::calendar::{Civil, zone_name};
use crate::shell::cli::args::{DurationArg, GlobalArgs, NetworkFlags};
use crate::shell::cli::connect::{self, close, online, say_unused, stopped, store};
use crate::shell::cli::line_queue::{LAST_LINES, LineQueue, ReaderGone, abandoned};
use crate::shell::cli::output::{self, OutputFormat};
use crate::shell::client::{Client, Connect, CreateStore};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::clock;
use crate::shell::os::signals::StopSignals;
use crate::shell::text::{message_state, network_words};

/// Arguments of `undertone listen`: the events to print, and the end.
#[derive(Clone, Default)]
pub(super) struct ListenArgs {
    pub(super) from: Vec<String>,
    pub(super) count: Option<u64>,
    pub(super) timeout: Option<DurationArg>,
    pub(super) states: bool,
}

/// `undertone listen ..`
pub(super) async fn run(
    global: &GlobalArgs,
    network: NetworkFlags,
    args: ListenArgs,
) -> Result<(), Failure> {
    let options = online(store(global, CreateStore::No)?, &network.clone().into(), Stay::Long)?;
    let (client, stop) = connect::reach(global, Connect::AttachOrStart(options)).await?;
    let format = if global.json { OutputFormat::Json } else { OutputFormat::Text };
    follow((client, stop), network, format, args).await
}

/// Prints the events of a client until there is enough or it is to stop, and closes it. `network` is what
/// was said of its node.
pub(super) async fn follow(
    (client, mut stop): (Client, StopSignals),
    network: NetworkFlags,
    format: OutputFormat,
    args: ListenArgs,
) -> Result<(), Failure> {
    let end = args.timeout.map(|span| Instant::now() + span.0);
    let queue = LineQueue::start()?;
    let mut printer = EventPrinter::new(client.clone(), network, &queue, format, args);
    let (done, patience) = tokio::select! {
        done = printer.run() => (done, None),
        // `listen | head -1` ends the node with its reader.
        () = queue.reader_gone() => (Ok(()), None),
        exit = stop.received() => (Err(stopped(exit)), Some(LAST_LINES)),
        () = until(end) => (printer.at_time_over(), Some(LAST_LINES)),
    };
    drop(printer);
    let over = async {
        match patience {
            Some(patience) => sleep(patience).await,
            // There is enough, and it is to be taken in time.
            None => until(end).await,
        }
    };
    let result = tokio::select! {
        written = queue.finish() => done.and(written),
        exit = stop.received() => {
            output::abandon();
            Err(stopped(exit))
        }
        () = over => done.and(Err(abandoned())),
    };
    // After the last line: the acknowledgement of a message leaves while its reader has it already.
    close(client, &mut stop).await?;
    result
}

/// Fewer messages came than were waited for, for this reason.
fn too_few(code: FailureCode, (came, wanted): (u64, u64), until: &str, next: &str) -> Failure {
    let text = FailureText {
        what: "fewer messages came than were waited for",
        why: &format!("{came} of {wanted} came before {until}"),
        safe: "those that came are printed and saved, and those that come later are saved",
        next,
    };
    Failure::new(code, text)
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Prints the wanted events, and counts them. Every incoming message is printed once, whatever the
/// stream of events misses and whichever node it comes from: the history has them all, in the order
/// of the events.
struct EventPrinter<'a> {
    client: Client,
    network: NetworkFlags,
    /// The node that was compared with them last.
    hello: Option<Hello>,
    queue: &'a LineQueue,
    format: OutputFormat,
    zone: TimeZone,
    args: ListenArgs,
    /// Messages to print until there are enough.
    left: Option<u64>,
    contacts: BTreeMap<ContactId, PrintedConversation>,
    /// Requests that were printed.
    requests: BTreeSet<RequestId>,
    /// Those of them that the stream before had.
    requests_before: BTreeSet<RequestId>,
    /// Messages that were read in the history after the stream began, which brings them, too.
    ahead: VecDeque<MessageId>,
    /// The figures that were printed last; others change that are of no interest here.
    figures: Option<(usize, Vec<String>, usize)>,
    /// The trouble with names that was told last.
    names_trouble: Option<String>,
}

/// How far a conversation was printed.
#[derive(Default)]
struct PrintedConversation {
    session: Option<SessionStatus>,
    /// Its last messages up to there, oldest first: several, because they may be erased.
    last: VecDeque<MessageId>,
}

impl PrintedConversation {
    fn reached(&mut self, message: MessageId) {
        if self.last.len() >= REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(message);
    }
}

/// Whether there is enough.
type Flow = ControlFlow<()>;

impl<'a> EventPrinter<'a> {
    fn new(
        client: Client,
        network: NetworkFlags,
        queue: &'a LineQueue,
        format: OutputFormat,
        args: ListenArgs,
    ) -> Self {
        Self {
            client,
            network,
            hello: None,
            queue,
            format,
            zone: clock::zone(),
            left: args.count,
            args,
            contacts: BTreeMap::new(),
            requests: BTreeSet::new(),
            requests_before: BTreeSet::new(),
            ahead: VecDeque::new(),
            figures: None,
            names_trouble: None,
        }
    }

    /// Prints until there is enough.
    async fn run(&mut self) -> Result<(), Failure> {
        self.begin().await?;
        // Once, and not among the lines of data, which stay fit for `cut` and `sort`.
        if self.format == OutputFormat::Text {
            let zone = zone_name(clock::wall(), &self.zone);
            output::print_message(&format!("times are in {zone}"));
        }
        loop {
            match self.one_stream().await {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(()),
                // It was killed while it was asked, and the next one is.
                Err(failure) if failure.code() == Some(FailureCode::NodeEnded) => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// How many messages came, and how many were waited for; none if no number was said.
    fn counts(&self) -> Option<(u64, u64)> {
        let (wanted, left) = self.args.count.zip(self.left)?;
        Some((wanted.saturating_sub(left), wanted))
    }

    /// The result when the time is over before there is enough. Without a number, listening for so long
    /// is what was wanted.
    fn at_time_over(&self) -> Result<(), Failure> {
        let next = "wait for longer: --timeout TIME";
        let too_few =
            |counts| Err(too_few(FailureCode::TimeOver, counts, "the time was over", next));
        self.counts().map_or(Ok(()), too_few)
    }

    /// Notes how far each conversation is, so that only what comes now is printed. Refuses the name
    /// of nobody: its messages would be waited for for ever.
    async fn begin(&mut self) -> Result<(), Failure> {
        let mut names = BTreeSet::new();
        let mut after = None;
        loop {
            let page = self.client.call(ContactList { identity: None, after }).await?;
            after = page.items.last().map(|contact| Id::from(contact.id));
            for contact in page.items {
                names.insert(contact.petname.clone());
                self.contacts.insert(contact.id, PrintedConversation::default());
                self.skip_history(contact.id).await?;
            }
            if !page.more {
                break;
            }
        }
        for name in &mut self.args.from {
            let Some(known) = called(name, || names.iter(), |known| known) else {
                return Err(no_such_contact(
                    &format!("{name:?}"),
                    names.iter().map(String::as_str),
                ));
            };
            name.clone_from(known);
        }
        Ok(())
    }

    /// Counts what a conversation has as printed.
    async fn skip_history(&mut self, contact: ContactId) -> Result<(), Failure> {
        let newest = self.history(contact, Around::Newest, REMEMBERED, 0).await?;
        let Some(printed) = self.contacts.get_mut(&contact) else { return Ok(()) };
        printed.last = newest.0.iter().map(|message| message.id).collect();
        Ok(())
    }

    /// A part of a conversation, and whether there is more after it; empty if the contact was
    /// removed.
    async fn history(
        &self,
        contact: ContactId,
        around: Around,
        before: usize,
        after: usize,
    ) -> Result<(Vec<Message>, bool), Failure> {
        let call = History { contact: contact.into(), around, before, after };
        match self.client.call(call).await {
            Ok(part) => Ok((part.items, part.newer)),
            Err(failure) if failure.code() == Some(FailureCode::ContactNotFound) => {
                Ok((Vec::new(), false))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Prints the events of one stream, until there is enough or it does not go on: it missed
    /// something, or its node is over.
    async fn one_stream(&mut self) -> Result<Flow, Failure> {
        // Most of what was missed is read before the stream begins, which then repeats little.
        self.ahead.clear();
        if self.catch_up().await?.is_break() {
            return Ok(Flow::Break(()));
        }
        self.ahead.clear();
        let kinds = EventFilter::of(&[
            EventKind::Contact,
            EventKind::Session,
            EventKind::Request,
            EventKind::Message,
            EventKind::State,
            EventKind::Change,
            EventKind::Network,
        ]);
        let mut events = self.client.events(kinds, From::Snapshot).await?;
        let is_own = self.client.is_own_node();
        let hello = self.client.hello();
        if !is_own && self.hello.as_ref() != Some(&hello) {
            say_unused(&self.network, &hello);
        }
        self.hello = Some(hello);
        self.requests_before = std::mem::take(&mut self.requests);
        if self.catch_up().await?.is_break() {
            return Ok(Flow::Break(()));
        }
        loop {
            match events.next().await {
                Delivery::Event { cursor, event } => {
                    let flow = match (*event, cursor) {
                        (Event::Contact(contact), None) => self.known_contact(&contact).await,
                        (event, _) => self.on_event(event).await?,
                    };
                    if flow.is_break() {
                        return Ok(flow);
                    }
                }
                Delivery::Missed { .. } => return Ok(Flow::Continue(())),
                // Somebody ended the node of this process: `undertone node stop`.
                Delivery::Ended(why) if is_own && why.code() == Some(FailureCode::NodeStopping) => {
                    let until = "the node was stopped";
                    if let Some(counts) = self.counts() {
                        let next = "start it again: undertone listen";
                        return Err(too_few(FailureCode::NodeStopping, counts, until, next));
                    }
                    output::print_message(until);
                    return Ok(Flow::Break(()));
                }
                Delivery::Ended(why) if is_own => return Err(*why),
                Delivery::Ended(_) => return Ok(Flow::Continue(())),
            }
        }
    }

    /// Prints the incoming messages that came after those that were printed.
    async fn catch_up(&mut self) -> Result<Flow, Failure> {
        let contacts: Vec<ContactId> = self.contacts.keys().copied().collect();
        for contact in contacts {
            if self.catch_up_with(contact).await?.is_break() {
                return Ok(Flow::Break(()));
            }
        }
        Ok(Flow::Continue(()))
    }

    async fn catch_up_with(&mut self, contact: ContactId) -> Result<Flow, Failure> {
        loop {
            let printed = self.contacts.get(&contact).and_then(|printed| printed.last.back());
            let last = printed.copied();
            let around = last.map_or(Around::Oldest, |last| Around::Message(last.into()));
            let (messages, more) = self.history(contact, around, 0, MAX_HISTORY).await?;
            if let (true, Some(last)) = (messages.is_empty(), last)
                && self.was_erased(last).await?
            {
                self.forget(contact, last).await?;
                continue;
            }
            for message in messages {
                self.remember_ahead(message.id);
                if let Some(printed) = self.contacts.get_mut(&contact) {
                    printed.reached(message.id);
                }
                if message.is_incoming() && self.incoming(message).await.is_break() {
                    return Ok(Flow::Break(()));
                }
            }
            if !more {
                return Ok(Flow::Continue(()));
            }
        }
    }

    async fn was_erased(&self, message: MessageId) -> Result<bool, Failure> {
        match self.client.call(MessageShow { message: MessageRef::from(message) }).await {
            Ok(_) => Ok(false),
            Err(failure) if failure.code() == Some(FailureCode::MessageNotFound) => Ok(true),
            Err(failure) => Err(failure),
        }
    }

    /// A message that was erased is no place to go on from.
    async fn forget(&mut self, contact: ContactId, message: MessageId) -> Result<(), Failure> {
        let Some(printed) = self.contacts.get_mut(&contact) else { return Ok(()) };
        let had_any = !printed.last.is_empty();
        printed.last.retain(|id| *id != message);
        // Without any place left, to print nothing twice is all that can be done.
        if had_any && printed.last.is_empty() {
            self.skip_history(contact).await?;
        }
        Ok(())
    }

    fn remember_ahead(&mut self, message: MessageId) {
        if self.ahead.len() >= MAX_AHEAD {
            self.ahead.pop_front();
        }
        self.ahead.push_back(message);
    }

    async fn on_event(&mut self, event: Event) -> Result<Flow, Failure> {
        match event {
            Event::Contact(contact) => {
                self.contacts.entry(contact.id).or_default();
                Ok(Flow::Continue(()))
            }
            Event::ContactRemoved { id } => {
                self.contacts.remove(&id);
                Ok(Flow::Continue(()))
            }
            Event::RequestRemoved { id } => {
                self.requests.remove(&id);
                self.requests_before.remove(&id);
                Ok(Flow::Continue(()))
            }
            Event::Session { contact, session, .. } => {
                self.contacts.entry(contact).or_default().session = Some(session);
                Ok(self.json(&event).await)
            }
            Event::Request(request) => {
                self.requests.insert(request.id);
                if self.requests_before.contains(&request.id) {
                    return Ok(Flow::Continue(()));
                }
                // The key and nothing else: no word that a stranger chose is printed before a
                // person let them in.
                let words = format!("request: {} wants to contact you", request.key.hex());
                Ok(self.say(&Event::Request(request), || words).await)
            }
            Event::Message(message) => Ok(self.on_message(message).await),
            Event::State { .. } => Ok(self.on_state(&event).await),
            Event::Change { what, id, contact, .. } => {
                if what == MessageChange::Erase {
                    self.forget(contact, id).await?;
                }
                Ok(self.json(&event).await)
            }
            Event::Imported { contact, .. } => {
                // They are older than all that is there, unless nothing is.
                if self.contacts.get(&contact).is_some_and(|printed| printed.last.is_empty()) {
                    self.skip_history(contact).await?;
                }
                Ok(Flow::Continue(()))
            }
            Event::Network(figures) => Ok(self.on_figures(figures).await),
            Event::Identity(_)
            | Event::IdentityRemoved { .. }
            | Event::Read { .. }
            | Event::Unknown => Ok(Flow::Continue(())),
        }
    }

    /// A contact as the beginning of a stream tells of it: printed if the session is another one
    /// than was printed.
    async fn known_contact(&mut self, contact: &Contact) -> Flow {
        let printed = self.contacts.entry(contact.id).or_default();
        if printed.session == Some(contact.session) {
            return Flow::Continue(());
        }
        printed.session = Some(contact.session);
        let (with, session) = (contact.petname.clone(), contact.session);
        self.json(&Event::Session { contact: contact.id, with, session }).await
    }

    async fn on_message(&mut self, message: Message) -> Flow {
        let ahead = self.ahead.iter().position(|id| *id == message.id);
        match ahead {
            Some(place) => drop(self.ahead.remove(place)),
            None => self.contacts.entry(message.contact).or_default().reached(message.id),
        }
        let Direction::Outgoing(state) = message.direction else {
            return if ahead.is_some() { Flow::Continue(()) } else { self.incoming(message).await };
        };
        let (id, contact) = (message.id, message.contact);
        let (number, delivery) = (message.number, message.delivery);
        let (not_for_long, to) = (message.is_not_for_long(clock::wall()), message.with);
        let state = Event::State { id, contact, to, number, state, not_for_long, delivery };
        self.on_state(&state).await
    }

    async fn incoming(&mut self, message: Message) -> Flow {
        if !self.args.from.is_empty() && !self.args.from.contains(&message.with) {
            return Flow::Continue(());
        }
        // On one line, so that no text can look like a line of its own.
        let at = Civil::at(message.at, &self.zone).sortable();
        let words = format!("{at} {}: {}", message.with, message.text.sanitize_for_line().text);
        let flow = self.say(&Event::Message(message), || words).await;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return Flow::Break(());
            }
        }
        flow
    }

    async fn on_state(&self, event: &Event) -> Flow {
        let Event::State { id, to, state, not_for_long, .. } = event else {
            return Flow::Continue(());
        };
        if !self.args.states {
            return Flow::Continue(());
        }
        let word = if *not_for_long { message_state::NOT_FOR_LONG } else { state_word(*state) };
        let id = id.short();
        self.say(event, || format!("state: {word}, message {id} to {to}")).await
    }

    async fn on_figures(&mut self, now: NetworkStatus) -> Flow {
        let figures = Some((now.peers, now.listening.clone(), now.pool_items));
        let same_names = self.names_trouble == now.names_trouble;
        if !same_names {
            self.names_trouble.clone_from(&now.names_trouble);
            if let (Some(trouble), OutputFormat::Text) = (&now.names_trouble, self.format) {
                output::print_message(&network_words::names(trouble));
            }
        }
        if self.figures == figures && same_names {
            return Flow::Continue(());
        }
        self.figures = figures;
        self.json(&Event::Network(now)).await
    }

    /// Prints an event that people do not need.
    async fn json(&self, event: &Event) -> Flow {
        match self.format {
            OutputFormat::Json => self.write(output::to_ascii(&output::event_json(event))).await,
            OutputFormat::Text => Flow::Continue(()),
        }
    }

    async fn say(&self, event: &Event, words: impl FnOnce() -> String) -> Flow {
        match self.format {
            OutputFormat::Json => self.json(event).await,
            OutputFormat::Text => self.write(words()).await,
        }
    }

    async fn write(&self, line: String) -> Flow {
        match self.queue.push(line).await {
            Ok(()) => Flow::Continue(()),
            Err(ReaderGone) => Flow::Break(()),
        }
    }
}

/// The last messages of a conversation that are remembered. A guess: a person erases one or two.
const REMEMBERED: usize = 8;

/// Messages that are remembered because the stream brings them, too: as many as a node remembers
/// events. More of them, and the stream misses them.
const MAX_AHEAD: usize = 8_192;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::engine::env::Millis;
    use crate::shell::api::calls::{
        ContactAdd, IdentityNew, IdentityUse, MessageSend, RequestAccept,
    };
    use crate::shell::client::NodeOptions;

    /// Far above what anything here takes on a busy machine; it names a hang.
    const PATIENCE: Duration = Duration::from_secs(100);

    async fn in_time<T>(what: impl Future<Output = T>) -> T {
        timeout(PATIENCE, what).await.expect("it hangs")
    }

    /// A node with a contact who writes to it.
    struct Pair {
        node: Client,
        contact: Client,
    }

    impl Pair {
        async fn meet(address: &str) -> Self {
            let mut here = NodeOptions::in_memory().network("listen").unwrap().floor(4);
            here.node.reply_delay = Millis(50);
            let node = Client::start(here.clone().listen(address).unwrap()).await.unwrap();
            let contact = Client::start(here.peer(address).unwrap()).await.unwrap();
            let own = in_time(node.call(IdentityNew::new("ann"))).await.unwrap();
            in_time(contact.call(IdentityNew::new("ben"))).await.unwrap();
            let kinds = EventFilter::of(&[EventKind::Request]);
            let mut requests = in_time(node.events(kinds, From::Snapshot)).await.unwrap();
            in_time(contact.call(ContactAdd::new(own.invite(), "ann"))).await.unwrap();
            let Some(Event::Request(request)) = in_time(requests.event()).await else {
                panic!("no other event was asked for");
            };
            in_time(node.call(RequestAccept::new(&request, "ben"))).await.unwrap();
            Self { node, contact }
        }

        /// Has a text written, and waits until it is in the history of the node.
        async fn hears(&self, text: &str) {
            let kinds = EventFilter::of(&[EventKind::Message]);
            let mut messages = in_time(self.node.events(kinds, From::Now)).await.unwrap();
            in_time(self.contact.call(MessageSend::new("ann", text))).await.unwrap();
            let heard = in_time(messages.incoming()).await.expect("a node that runs");
            assert_eq!(heard.raw_text(), text);
        }

        /// Has more happen than a node remembers.
        async fn overflow(&self) {
            in_time(self.node.call(IdentityNew::new("other"))).await.unwrap();
            for name in ["ann", "other"].into_iter().cycle().take(MAX_AHEAD / 2 + 100) {
                in_time(self.node.call(IdentityUse { name: name.to_owned() })).await.unwrap();
            }
        }
    }

    /// The text of the next message that is printed.
    async fn next_text(lines: &mut mpsc::Receiver<String>) -> String {
        loop {
            let line = in_time(lines.recv()).await.expect("it goes on printing");
            let line: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(line["v"], 1);
            if line["type"] == "message" {
                return line["text"].as_str().unwrap().to_owned();
            }
        }
    }

    #[tokio::test]
    async fn the_end_of_the_time_is_a_success_unless_fewer_messages_came_than_were_to_come() {
        let client = Client::start(NodeOptions::in_memory().offline()).await.unwrap();
        let (queue, _lines) = LineQueue::of_test();
        let at_time_over = |count, left| {
            let args = ListenArgs { count, ..ListenArgs::default() };
            let flags = NetworkFlags::default();
            let printer =
                EventPrinter::new(client.clone(), flags, &queue, OutputFormat::Text, args);
            EventPrinter { left, ..printer }.at_time_over()
        };
        assert_eq!(at_time_over(None, None), Ok(()));
        let few = at_time_over(Some(3), Some(2)).unwrap_err();
        assert_eq!((few.code(), few.exit() as u8), (Some(FailureCode::TimeOver), 6));
        assert_eq!(few.why, "1 of 3 came before the time was over");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reader_who_pauses_gets_each_message_once_and_the_node_does_not_wait() {
        let pair = Pair::meet("/memory/7714").await;
        pair.hears("before it listens").await;
        let (queue, mut lines) = LineQueue::of_test();
        let (format, args) = (OutputFormat::Json, ListenArgs::default());
        let flags = NetworkFlags::default();
        let mut printer = EventPrinter::new(pair.node.clone(), flags, &queue, format, args);
        let reading = async {
            // It has begun once it prints something.
            assert!(in_time(lines.recv()).await.is_some());
            pair.hears("one").await;
            assert_eq!(next_text(&mut lines).await, "one");
            // Nobody reads.
            for text in ["two", "three", "four"] {
                pair.hears(text).await;
            }
            pair.overflow().await;
            pair.hears("five").await;
            for text in ["two", "three", "four", "five"] {
                assert_eq!(next_text(&mut lines).await, text);
            }
            pair.hears("six").await;
            assert_eq!(next_text(&mut lines).await, "six");
            drop(lines);
            pair.hears("seven").await;
        };
        // It ends because nobody can read any more.
        let (ended, ()) = tokio::join!(printer.run(), reading);
        ended.unwrap();
        assert_eq!(printer.contacts.len(), 1);
    }
}
