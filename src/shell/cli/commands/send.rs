//! `undertone send`: by the running node, or by a node of its own.

use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use crate::engine::env::UnixSeconds;
use crate::engine::envelope::{Lifetime, Postage};
use crate::engine::event::{Direction, SendRoom, SessionStatus, WaitsFor};
use crate::engine::id::MessageId;
use crate::engine::price::Step;
use crate::engine::record::{HoldReason, MessageState, Trust};
use crate::engine::session::MAX_TEXT;
use crate::engine::sync::ClockSkew;
use crate::shell::api::calls::{
    Call, ContactRef, ContactShow, MAX_WAIT, MessageRef, MessageSend, MessageShow, MessageWait,
    Status,
};
use crate::shell::api::words::state_word;
use crate::shell::api::{
    ClientInfo, ClientKind, Contact, Delivery, Event, EventFilter, EventKind, From, Message,
    NetworkStatus, PriceSource, Stay,
};
use crate::shell::cli::args::{DurationArg, GlobalArgs, NetworkFlags, WaitFor};
use crate::shell::cli::connect::{close, online, say_unused, store};
use crate::shell::cli::input;
use crate::shell::cli::output::{self, OutputFormat};
use crate::shell::client::{Client, Connect, CreateStore};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::miner::{self, MiningThreads};
use crate::shell::os::clock::wall;
use crate::shell::os::exit_code::ExitCode;
use crate::shell::os::signals::StopSignals;
use crate::shell::rpc::link::silent;
use crate::shell::text::command;
use crate::shell::text::lifetime::{self, WorkCost};
use crate::shell::text::price::{self, AskedPrice, UNANSWERED};
use crate::shell::text::{clock_skew, message_state, network_words};

/// Arguments of `undertone send`: recipient, text, postage, and the state to wait for.
#[derive(Clone)]
pub(super) struct SendArgs {
    pub(super) contact: String,
    pub(super) text: Option<String>,
    pub(super) lifetime: Lifetime,
    pub(super) max_work: Option<Step>,
    pub(super) wait: WaitFor,
    /// How long to wait; the usual time, and on while the message only waits its turn, if nothing was
    /// said.
    pub(super) timeout: Option<DurationArg>,
}

/// `undertone send ..`
pub(super) async fn run(
    global: &GlobalArgs,
    network: NetworkFlags,
    args: SendArgs,
) -> Result<(), Failure> {
    let text = match args.text.as_deref() {
        // An argument shows in lists of processes and in the history of a shell.
        None | Some("-") => input::standard_input(MAX_TEXT as u64)?,
        Some(text) => text.to_owned(),
    };
    let begun = Instant::now();
    let limit = args.timeout.map_or(USUAL_WAIT, |given| given.0);
    // Whatever the limit of the wait: what was stored is to be said as stored.
    let accepted_within = limit.max(ACCEPTED_WITHIN);
    let options = online(store(global, CreateStore::No)?, &network.clone().into(), Stay::Brief)?;
    let who = ClientInfo::new(ClientKind::Command);
    let to = Connect::AttachOrStart(options);
    let connected = Client::connect_within(to, who, accepted_within).await;
    let (client, hello) = connected?;
    // The time for which a person typed a passphrase, and Argon2 worked, is no wait.
    let begun = if client.is_own_node() { Instant::now() } else { begun };
    // The message has its own limit, which is acted on.
    let network = NetworkFlags { max_work: None, ..network };
    if !client.is_own_node() {
        say_unused(&network, &hello);
    }
    let contact = ContactRef::Of { name: args.contact.clone(), identity: global.identity.clone() };
    let format = if global.json { OutputFormat::Json } else { OutputFormat::Text };
    let sending = Sending {
        client: &client,
        accepted_by: begun + accepted_within,
        deadline: begun + limit,
        // A limit that a person gave is a limit.
        latest: begun + if args.timeout.is_some() { limit } else { limit + LONGEST_TURN },
        name: command::contact(&args.contact, global.identity.as_deref()),
        format,
        accepted: OnceLock::new(),
    };
    let postage = Postage { lifetime: args.lifetime, highest: args.max_work };
    let mut stop = StopSignals::listen()?;
    let sent = tokio::select! {
        sent = sending.run(contact, text, postage, args.wait) => sent,
        exit = stop.received() => Err(sending.stopped(exit)),
    };
    // Another one may have taken over, from a node of ours as well.
    let last = client.hello();
    if !client.is_own_node() && last != hello {
        say_unused(&network, &last);
    }
    close(client, &mut stop).await?;
    let SendOutcome { data, words } = sent?;
    match format {
        OutputFormat::Json => output::print_result(&data)?,
        OutputFormat::Text => output::print_message(words),
    }
    Ok(())
}

/// What became of a message by the end of the wait: for programs, and in a word.
struct SendOutcome {
    data: Value,
    words: &'static str,
}

/// One message on its way, and the time it has.
struct Sending<'a> {
    client: &'a Client,
    /// The moment at which a node that has not accepted the message is given up.
    accepted_by: Instant,
    /// The end of the wait for its state.
    deadline: Instant,
    /// The end of the wait for one that only waits its turn, or for its work.
    latest: Instant,
    /// The contact, as commands name them.
    name: String,
    format: OutputFormat,
    /// The message, once a node has accepted it.
    accepted: OnceLock<MessageId>,
}

impl Sending<'_> {
    /// Sends a text and follows it until it has the wanted state.
    async fn run(
        &self,
        recipient: ContactRef,
        text: String,
        postage: Postage,
        wait: WaitFor,
    ) -> Result<SendOutcome, Failure> {
        let contact = self.call(ContactShow { contact: recipient }).await?;
        // Before anything is sent: the wait would be for a mark that cannot come.
        if wait == WaitFor::Read && !contact.read_receipts {
            return Err(no_read_marks(&self.name));
        }
        let figures = self.call(Status {}).await?.network;
        let Postage { lifetime: life, highest: max_work } = postage;
        let price = AskedPrice::of_message(figures.price, (life, max_work), &contact);
        if self.format == OutputFormat::Text {
            say_price(&figures, (life, price, max_work), &contact, &self.name);
        }
        let send = MessageSend { contact: contact.id.into(), text, life, max_work };
        let sent = self.call(send).await.map_err(|failure| unknown(failure, &self.name))?;
        self.accepted.get_or_init(|| sent.id);
        let progress = SendProgress {
            wait,
            name: self.name.clone(),
            message: sent.id,
            state: MessageState::Queued,
            not_for_long: false,
            hold: match contact.room {
                SendRoom::Full => Some(WaitsFor::Acknowledgement),
                SendRoom::Free => {
                    behind_others(&contact, max_work).filter(|_| !price.is_too_high())
                }
            },
            next_look: contact.next_look,
            postage: (life, max_work),
            price,
            price_from: figures.price_from,
            trust: contact.trust,
            session: contact.session,
            peers: 0,
            names_trouble: None,
            last_sent: None,
            clock: figures.clock(),
        };
        self.warn_of_clock(progress.clock);
        if self.format == OutputFormat::Text && progress.waits_its_turn() {
            output::print_message(&progress.delay_words());
        }
        if self.format == OutputFormat::Text && progress.waits_for_acknowledgement() {
            output::print_message(&format!(
                "the message waits for an acknowledgement: {UNANSWERED}"
            ));
        }
        match progress.reached() {
            Some(done) => Ok(done),
            // It is not sent while a person has not decided about the contact.
            None if sent.on_hold => Err(progress.held()),
            None => {
                let told = (figures.price_from == PriceSource::Peers).then_some(price);
                let id = progress.message;
                tokio::select! {
                    done = self.follow(progress, &contact) => done,
                    never = self.tell_price(id, &contact, told) => match never {},
                }
            }
        }
    }

    /// A signal ends the wait: what is known of the message by then.
    fn stopped(&self, exit: ExitCode) -> Failure {
        let code = FailureCode::of_signal(exit);
        let why = code.meaning();
        let Some(message) = self.accepted.get() else {
            return not_known(code, why, &self.name);
        };
        let text = FailureText {
            what: "the message was not waited for to the end",
            why,
            safe: ACCEPTED,
            next: &show(*message),
        };
        Failure::new(code, text)
    }

    /// Tells a person what the message costs as soon as a peer says it, and that it waits once it is too
    /// dear, until it has left. `told` is what they know; nothing if nobody had said a price, as in a node
    /// that has just started.
    async fn tell_price(
        &self,
        message: MessageId,
        contact: &Contact,
        mut told: Option<AskedPrice>,
    ) -> Infallible {
        let network = EventFilter::of(&[EventKind::Network]);
        // Another node may take over.
        while self.format == OutputFormat::Text
            && let Ok(mut events) = self.client.events(network.clone(), From::Snapshot).await
        {
            loop {
                let event = match events.next().await {
                    Delivery::Event { event, .. } => event,
                    Delivery::Missed { .. } => continue,
                    Delivery::Ended(_) => break,
                };
                let Event::Network(figures) = *event else { continue };
                if figures.price_from == PriceSource::Own {
                    continue;
                }
                let known = self.message_and_contact(message, contact).await;
                let Ok((message, contact)) = known else { continue };
                let postage = (message.lifetime, message.highest);
                let asked = AskedPrice::of_message(figures.price, postage, &contact);
                if is_news(asked, told, message.direction) {
                    say_price(
                        &figures,
                        (message.lifetime, asked, message.highest),
                        &contact,
                        &self.name,
                    );
                }
                told = Some(asked);
            }
        }
        std::future::pending().await
    }

    /// The message and its contact as they are now.
    async fn message_and_contact(
        &self,
        message: MessageId,
        contact: &Contact,
    ) -> Result<(Message, Contact), Failure> {
        let message = self.client.call(MessageShow { message: message.into() }).await?;
        let contact = self.client.call(ContactShow { contact: contact.id.into() }).await?;
        Ok((message, contact))
    }

    /// Waits until the message has the wanted state, has ended without it, or the time is over. What
    /// only waits its turn or for its work is waited for longer, unless a person said how long.
    async fn follow(
        &self,
        mut progress: SendProgress,
        contact: &Contact,
    ) -> Result<SendOutcome, Failure> {
        let mut deadline = self.deadline;
        loop {
            if self.follow_until(deadline, &mut progress).await? {
                return self.done(deadline, progress, contact).await;
            }
            self.look_at_the_end(deadline, &mut progress, contact).await?;
            if let Some(done) = progress.end()? {
                return Ok(done);
            }
            if !progress.leaves_by_itself() || deadline >= self.latest {
                return Err(progress.too_late());
            }
            if self.format == OutputFormat::Text && deadline == self.deadline {
                let words = progress.delay_words();
                let stop = "Ctrl+C stops waiting, and it stays queued";
                output::print_message(&format!("{words}. {stop}"));
            }
            deadline = (Instant::now() + USUAL_WAIT).min(self.latest);
        }
    }

    /// Waits until the message has the wanted state, has ended without it, or this time has come.
    /// Whether one of the first two is so.
    async fn follow_until(
        &self,
        deadline: Instant,
        progress: &mut SendProgress,
    ) -> Result<bool, Failure> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let wait = MessageWait {
                message: MessageRef::from(progress.message),
                state: progress.wanted(),
                timeout_s: left.as_secs().saturating_add(1).min(MAX_WAIT),
            };
            match timeout_at(deadline, self.client.call(wait)).await {
                Err(_) => return Ok(false),
                Ok(Ok(waited)) => {
                    progress.note(&waited.message);
                    if !matches!(progress.end(), Ok(None)) {
                        return Ok(true);
                    }
                }
                // The next node knows the message by its id.
                Ok(Err(failure)) if failure.code() == Some(FailureCode::NodeEnded) => {}
                Ok(Err(failure)) => return Err(progress.accepted(failure)),
            }
        }
    }

    /// Notes the last that is known: what did not happen follows from it.
    async fn look_at_the_end(
        &self,
        deadline: Instant,
        progress: &mut SendProgress,
        contact: &Contact,
    ) -> Result<(), Failure> {
        let message = MessageRef::from(progress.message);
        let asked = async {
            let message = self.client.call(MessageShow { message }).await?;
            let contact = self.client.call(ContactShow { contact: contact.id.into() }).await?;
            let status = self.client.call(Status {}).await?;
            Ok((message, contact, status.network))
        };
        let asked = timeout_at(deadline + LAST_LOOK, asked).await;
        let (message, contact, network) = asked
            .unwrap_or_else(|_| Err(silent("nothing was sent")))
            .map_err(|failure| progress.accepted(failure))?;
        progress.note(&message);
        (progress.session, progress.peers) = (contact.session, network.peers);
        progress.names_trouble.clone_from(&network.names_trouble);
        progress.clock = network.clock();
        progress.postage = (message.lifetime, message.highest);
        progress.note_price(&network, &contact);
        Ok(())
    }

    /// The result of a wait that is over, with the price that is asked and what is allowed by then: a
    /// node of its own knew none when it began, and others' may have changed, as may the limit.
    async fn done(
        &self,
        deadline: Instant,
        mut progress: SendProgress,
        contact: &Contact,
    ) -> Result<SendOutcome, Failure> {
        let asked = async {
            let contact = self.client.call(ContactShow { contact: contact.id.into() }).await?;
            let status = self.client.call(Status {}).await?;
            Ok::<_, Failure>((contact, status.network))
        };
        let is_clock_news = progress.clock.is_none();
        if let Ok(Ok((contact, network))) = timeout_at(deadline + LAST_LOOK, asked).await {
            progress.note_price(&network, &contact);
            progress.clock = network.clock();
        }
        // A peer says its clock at once, and what it may say decides whether "sent" is true.
        if progress.is_only_sent() && progress.clock.is_none() {
            progress.clock = self.clock_heard().await;
        }
        let done = progress.end()?.ok_or_else(|| progress.too_late())?;
        // An error says it itself.
        if is_clock_news {
            self.warn_of_clock(progress.clock);
        }
        Ok(done)
    }

    /// How our clock differs from those of others, as soon as one of them says so.
    async fn clock_heard(&self) -> Option<ClockSkew> {
        let until = Instant::now() + CLOCK_PATIENCE;
        loop {
            let status = timeout_at(until, self.client.call(Status {})).await;
            let clock = status.ok()?.ok()?.network.clock();
            if clock.is_some() || Instant::now() >= until {
                return clock;
            }
            sleep(LOOK_AT_CLOCK).await;
        }
    }

    /// Tells a person that others refuse what this computer dates, or may.
    fn warn_of_clock(&self, clock: Option<ClockSkew>) {
        if let Some(words) =
            clock_skew::warning(clock).filter(|_| self.format == OutputFormat::Text)
        {
            output::print_message(&words);
        }
    }

    /// A call on the way to an accepted message.
    async fn call<C: Call>(&self, call: C) -> Result<C::Reply, Failure> {
        let answer = timeout_at(self.accepted_by, self.client.call(call)).await;
        answer.unwrap_or_else(|_| Err(silent("nothing was sent")))
    }
}

/// What a message waits for that comes after others to its contact, unless it takes these along.
fn behind_others(contact: &Contact, own_limit: Option<Step>) -> Option<WaitsFor> {
    let are_any = !contact.waiting.is_empty() || !contact.in_line.is_empty();
    (are_any && own_limit.is_none()).then_some(WaitsFor::Turn)
}

/// Whether a price is to be told of a message in this state: more than the usual is asked, and nobody
/// had said so; or it has risen above what may be paid. What has left costs nothing any more.
fn is_news(asked: AskedPrice, told: Option<AskedPrice>, direction: Direction) -> bool {
    match direction {
        Direction::Outgoing(MessageState::Queued) => {
            told.map_or(!asked.is_usual(), |told| asked.is_too_high() && !told.is_too_high())
        }
        // Its work is searched for, and it leaves for what it may cost at most.
        Direction::Outgoing(MessageState::Mining) => {
            told.is_none() && !asked.is_usual() && !asked.is_too_high()
        }
        Direction::Outgoing(
            MessageState::Sent
            | MessageState::Unacknowledged
            | MessageState::Delivered
            | MessageState::Read
            | MessageState::Failed
            | MessageState::Cancelled,
        )
        | Direction::Incoming => false,
    }
}

/// Says what the message costs before anything is sent: where more than the usual work is asked, and
/// to a person who would wait for the work. At the floor and the price of the node that searches, and
/// as fast as it was when it last did.
fn say_price(
    figures: &NetworkStatus,
    (lifetime, asked, own_limit): (Lifetime, AskedPrice, Option<Step>),
    contact: &Contact,
    name: &str,
) {
    let rate = if figures.rate == 0 {
        // As many as that node has, if it says so.
        miner::speed(MiningThreads::new(figures.miner.threads).unwrap_or_default())
    } else {
        figures.rate
    };
    let cost = WorkCost::of(lifetime, figures.floor_bits, figures.price.of(lifetime), rate);
    if !asked.is_usual() {
        output::print_message(&asked.busy(cost));
    }
    if asked.is_too_high() {
        let most = price::work(asked.most());
        output::print_message(&format!(
            "the message waits for a lower price: at most {most} is allowed. While a node runs, {}; {}",
            price::looks(contact.next_look, wall()),
            way_out(asked, own_limit, name)
        ));
    } else if std::io::stderr().is_terminal()
        && cost.seconds().is_none_or(|seconds| seconds > LONG_SECONDS)
    {
        let (life, expectation) = (lifetime::words(lifetime), cost.expectation());
        output::print_message(&format!("lifetime {life}: {expectation}"));
    }
}

/// How a message leaves at the price that is asked now.
fn way_out(asked: AskedPrice, own_limit: Option<Step>, name: &str) -> String {
    match own_limit {
        // No limit of its contact changes that.
        Some(_) => format!(
            "its own --max-work stays as it is: cancel it and send it with {}, to have it sent at \
             once",
            asked.now().times()
        ),
        None => format!("at this price it is sent at once: {}", command::allow(name, asked.now())),
    }
}

/// What is known of a message when the node that was to accept it did not answer.
fn unknown(failure: Failure, name: &str) -> Failure {
    let Some(code @ (FailureCode::NodeEnded | FailureCode::NodeSilent)) = failure.code() else {
        return failure;
    };
    not_known(code, &failure.what, name)
}

/// Nobody knows whether a node has accepted the message, because of this.
fn not_known(code: FailureCode, why: &str, name: &str) -> Failure {
    let text = FailureText {
        what: "whether the message was accepted is not known",
        why,
        safe: "if it was accepted, it is saved and is sent automatically while a node runs",
        next: &format!(
            "see whether it is there before you send it again: undertone history {name}"
        ),
    };
    Failure::new(code, text)
}

/// The command that shows a message that was accepted.
fn show(message: MessageId) -> String {
    let id = message.short();
    format!("do not send it again; see its state with undertone message show {id}")
}

/// What is known of an accepted message.
struct SendProgress {
    wait: WaitFor,
    /// The contact, as commands name them.
    name: String,
    message: MessageId,
    /// The last state of the message.
    state: MessageState,
    /// Whether it was sent for less than is asked, so that not all nodes hold it.
    not_for_long: bool,
    /// What holds it back, as the node says.
    hold: Option<WaitsFor>,
    /// When the node looks at the price of what is held back next.
    next_look: Option<UnixSeconds>,
    /// What was said of it when it was accepted.
    postage: (Lifetime, Option<Step>),
    /// What it costs, and may cost.
    price: AskedPrice,
    /// Whether anybody said so.
    price_from: PriceSource,
    trust: Trust,
    session: SessionStatus,
    /// The node's neighbours.
    peers: usize,
    /// A name of a peer that is not known, and why.
    names_trouble: Option<String>,
    /// When it left last, by our clock.
    last_sent: Option<UnixSeconds>,
    /// How that differs from the clocks of others, if one of them said so.
    clock: Option<ClockSkew>,
}

impl SendProgress {
    const fn wanted(&self) -> MessageState {
        match self.wait {
            WaitFor::Queued => MessageState::Queued,
            WaitFor::Sent => MessageState::Sent,
            WaitFor::Delivered => MessageState::Delivered,
            WaitFor::Read => MessageState::Read,
        }
    }

    fn note(&mut self, message: &Message) {
        if let Direction::Outgoing(state) = message.direction {
            self.state = state;
            self.not_for_long = message.is_not_for_long(wall());
            self.hold = message.waits_for;
            self.last_sent = message.delivery.last_sent;
        }
    }

    /// Whether it left, and no more is known of it.
    fn is_only_sent(&self) -> bool {
        self.state == MessageState::Sent && self.wait != WaitFor::Queued
    }

    /// Whether it left, and others do not carry it, because the clock is wrong.
    fn is_uncarried(&self) -> bool {
        let sent = self.last_sent.filter(|_| self.is_only_sent());
        sent.is_some_and(|sent| {
            clock_skew::is_uncarried((sent, self.postage.0), self.clock, wall())
        })
    }

    /// Notes what is asked and what is allowed, both as they are now: either may have changed.
    fn note_price(&mut self, network: &NetworkStatus, contact: &Contact) {
        self.price = AskedPrice::of_message(network.price, self.postage, contact);
        self.price_from = network.price_from;
        self.next_look = contact.next_look;
    }

    /// The result, if the state is the wanted one or a later one; an error, if it ends the wait.
    fn end(&self) -> Result<Option<SendOutcome>, Failure> {
        match (self.reached(), self.state) {
            // First, because the same state may be a success: a message that was to be sent has
            // been, even if no acknowledgement came for it.
            (Some(done), _) => Ok(Some(done)),
            // Its envelope is new, and the next one follows soon.
            (None, MessageState::Unacknowledged) if self.not_for_long => Ok(None),
            // Retransmission goes on for days, and a script does not: it gets the code of a time
            // that is over.
            (None, MessageState::Unacknowledged) => Err(self.not_acknowledged()),
            // Nobody has it, whatever the wait: an hour more would not bring it anywhere.
            (None, MessageState::Sent) if self.wait == WaitFor::Sent && self.is_uncarried() => {
                Err(self.clock_wrong())
            }
            // Only a person moves it on from here.
            (None, MessageState::Failed | MessageState::Cancelled) => Err(self.not_sent()),
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

    fn reached(&self) -> Option<SendOutcome> {
        let word = state_word(self.state);
        // What is not for long in the network has left, and nobody may rely on it; nor on what others do
        // not carry.
        let is_promised = self.wait != WaitFor::Sent || !(self.not_for_long || self.is_uncarried());
        let is_there = is_promised && self.state.has_reached(self.wanted());
        is_there.then(|| SendOutcome {
            data: json!({
                "state": word,
                "id": self.message.hex(),
                "price": self.price_json(),
                "waits_for_acknowledgement": self.waits_for_acknowledgement(),
                "clock_minutes": self.clock.map(|clock| clock.minutes),
            }),
            words: word,
        })
    }

    /// What it costs and may cost, for programs. What nobody said is null, and so is whether a message
    /// that has not left waits for it.
    fn price_json(&self) -> Value {
        let hold = self.price_hold();
        let mut price = self.price.json(hold);
        if self.price_from == PriceSource::Own {
            output::forget(&mut price, &["work"]);
            if hold.is_none() && self.state == MessageState::Queued {
                output::forget(&mut price, &["waits", "waits_for_turn"]);
            }
        }
        price
    }

    /// What holds it back: so the node says, or it has not looked yet and will find. The price may have
    /// fallen since the node said that it is too high.
    fn price_hold(&self) -> Option<WaitsFor> {
        let is_next = self.state == MessageState::Queued && price::is_under_way(self.session);
        match self.hold {
            None if is_next => self.price.hold(),
            Some(WaitsFor::Price) if self.price_from == PriceSource::Peers => {
                self.price.hold().or(Some(WaitsFor::Turn))
            }
            Some(WaitsFor::Price | WaitsFor::Turn | WaitsFor::Acknowledgement) | None => self.hold,
        }
    }

    fn waits_for_price(&self) -> bool {
        self.price_hold() == Some(WaitsFor::Price)
    }

    fn waits_for_acknowledgement(&self) -> bool {
        self.hold == Some(WaitsFor::Acknowledgement)
    }

    fn waits_its_turn(&self) -> bool {
        self.price_hold() == Some(WaitsFor::Turn)
    }

    /// Whether it only waits its turn to reach the pool: nobody knows how long what is there waits for
    /// its contact.
    fn leaves_in_turn(&self) -> bool {
        let is_too_cheap = self.not_for_long && self.wait == WaitFor::Sent;
        self.waits_its_turn() && (is_too_cheap || !self.has_left())
    }

    /// Whether it needs nothing but time to reach the pool.
    fn leaves_by_itself(&self) -> bool {
        self.leaves_in_turn() || (self.state == MessageState::Mining && self.peers > 0)
    }

    /// What it waits for that leaves by itself.
    fn delay_words(&self) -> String {
        if self.state == MessageState::Mining {
            return "the proof of work takes longer than a minute".to_owned();
        }
        let next = price::one_by_one(self.next_look, wall());
        format!("the message waits its turn: {next}")
    }

    fn held(&self) -> Failure {
        // An error is JSON, too, so it names no day of a local calendar.
        let why = if matches!(self.trust, Trust::OnHold { reason: HoldReason::Mismatch, .. }) {
            "NO MATCH when the contact was compared; sending is paused"
        } else {
            "KEY CHANGED, and not verified since; sending is paused"
        };
        let safe = "the message is queued, and is sent once you verify or accept the contact";
        let name = &self.name;
        let next =
            &format!("undertone contact verify {name}, or undertone contact accept-key {name}");
        let text = FailureText { what: "the message was not sent", why, safe, next };
        Failure::new(FailureCode::Held, text)
    }

    /// The node was lost after it had accepted the message.
    fn accepted(&self, failure: Failure) -> Failure {
        let Some(code @ (FailureCode::NodeEnded | FailureCode::NodeSilent)) = failure.code() else {
            return failure;
        };
        let text = FailureText {
            what: "what became of the message is not known",
            why: &failure.what,
            safe: ACCEPTED,
            next: &self.show(),
        };
        Failure::new(code, text)
    }

    /// The command that shows the message.
    fn show(&self) -> String {
        show(self.message)
    }

    fn not_acknowledged(&self) -> Failure {
        let why = "it was sent and has expired, and no acknowledgement came";
        let safe = &format!(
            "it may have been received; a late acknowledgement still counts; {}",
            self.is_sent_again()
        );
        let id = self.message.short();
        let next = &format!("undertone message retry {id}; the contact sees it only once");
        let text = FailureText { what: "the message was not acknowledged", why, safe, next };
        Failure::new(FailureCode::NotAcknowledged, text)
    }

    fn not_sent(&self) -> Failure {
        let why = message_state::meaning(self.state);
        let safe = "nobody has received it; it is saved here";
        let next = &format!("undertone message retry {}", self.message.short());
        let text = FailureText { what: "the message was not sent", why, safe, next };
        Failure::new(FailureCode::NotSent, text)
    }

    /// Whether it is in the network, or was.
    const fn has_left(&self) -> bool {
        match self.state {
            MessageState::Queued
            | MessageState::Mining
            | MessageState::Failed
            | MessageState::Cancelled => false,
            MessageState::Sent
            | MessageState::Unacknowledged
            | MessageState::Delivered
            | MessageState::Read => true,
        }
    }

    /// The time is over, and this kept the message from being sent; `None` if it is none of these.
    fn kept_back(&self) -> Option<Failure> {
        if self.has_left() {
            return None;
        }
        // The fault is on this side then, and no longer wait would mend it.
        if self.peers == 0 {
            let names = self.names_trouble.as_deref().map(network_words::names);
            let why = names.as_deref().unwrap_or(NOBODY_OF_IT);
            let text = FailureText {
                what: "no peer could be reached",
                why,
                safe: QUEUED,
                next: "add --peer MULTIADDR of a node with the same --network and --floor",
            };
            return Some(Failure::new(FailureCode::NoRelay, text));
        }
        Some(match self.price_hold()? {
            WaitsFor::Price => self.too_dear(),
            WaitsFor::Turn => self.in_line(),
            WaitsFor::Acknowledgement => self.behind_unanswered(),
        })
    }

    /// The time is over: what did not happen follows from the state that the message has.
    fn too_late(&self) -> Failure {
        if let Some(failure) = self.kept_back() {
            return failure;
        }
        if self.not_for_long && self.wait == WaitFor::Sent {
            return self.not_for_long();
        }
        if self.is_uncarried() {
            return self.clock_wrong();
        }
        let what = match self.wait {
            _ if !self.has_left() => "the message was not sent in time",
            WaitFor::Read => "the message was not read in time",
            WaitFor::Queued | WaitFor::Sent | WaitFor::Delivered => {
                "the message was not acknowledged in time"
            }
        };
        let again = self.waits_again();
        let saved = self.is_sent_again();
        let answers = self.price.answers_wait().map(|why| format!("; {why}")).unwrap_or_default();
        let unanswered = format!("it was sent, and no acknowledgement has arrived yet{answers}");
        let (why, safe) = match self.state {
            MessageState::Mining => ("its proof of work is still being computed", QUEUED),
            MessageState::Delivered | MessageState::Read => (
                "it was delivered; the contact has not read it yet, or does not send read marks",
                "the contact's device has the message",
            ),
            MessageState::Unacknowledged if self.not_for_long => (NOT_HELD, saved.as_str()),
            MessageState::Sent | MessageState::Unacknowledged if self.waits_for_price() => (
                "it was sent, no acknowledgement has arrived yet, and a further copy waits for a \
                 lower price",
                again.as_str(),
            ),
            MessageState::Sent | MessageState::Unacknowledged => (
                unanswered.as_str(),
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
        let show = self.show();
        let next = match self.state {
            MessageState::Mining => {
                format!("have a node go on with it: undertone node run; {show}")
            }
            MessageState::Queued
            | MessageState::Sent
            | MessageState::Unacknowledged
            | MessageState::Delivered
            | MessageState::Read
            | MessageState::Failed
            | MessageState::Cancelled => show,
        };
        let text = FailureText { what, why, safe, next: &next };
        Failure::new(FailureCode::AckTimeout, text)
    }
}

impl SendProgress {
    /// The time is over, and more is asked than may be paid.
    fn too_dear(&self) -> Failure {
        let text = FailureText {
            what: "the message was not sent in time: it waits for a lower price",
            why: &self.price.excess(),
            safe: &format!(
                "the message is queued here; while a node runs, {}, and it leaves when it may",
                price::looks(self.next_look, wall())
            ),
            next: &format!(
                "wait; or {}; or cancel it: undertone message cancel {}",
                self.way_out(),
                self.message.short()
            ),
        };
        Failure::new(FailureCode::WaitsForPrice, text)
    }

    /// When a further copy that waits for a lower price is looked at, and how it leaves sooner.
    fn waits_again(&self) -> String {
        let looks = price::looks(self.next_look, wall());
        format!("while a node runs, {looks}; {}", self.way_out())
    }

    /// What becomes of a message that has left, and may not be held.
    fn is_sent_again(&self) -> String {
        if self.waits_for_price() {
            format!(
                "it is saved here, and its next copy waits for a lower price: {}",
                self.waits_again()
            )
        } else if self.waits_its_turn() {
            let next = price::one_by_one(self.next_look, wall());
            format!("it is saved here, and its next copy waits its turn: {next}")
        } else {
            "it is saved here, and is sent again while a node runs".to_owned()
        }
    }

    fn way_out(&self) -> String {
        way_out(self.price, self.postage.1, &self.name)
    }

    /// The time is over, and others to the contact leave before it.
    fn in_line(&self) -> Failure {
        let text = FailureText {
            what: "the message was not sent in time: it waits its turn",
            why: &price::one_by_one(self.next_look, wall()),
            safe: "the message is queued here, its price is allowed, and it is sent automatically \
                   while a node runs",
            next: &self.show(),
        };
        Failure::new(FailureCode::WaitsForTurn, text)
    }

    /// The time is over, and too many before it are not acknowledged.
    fn behind_unanswered(&self) -> Failure {
        let text = FailureText {
            what: "the message was not sent in time: it waits for an acknowledgement",
            why: UNANSWERED,
            safe: QUEUED,
            next: &format!(
                "wait until the contact is back; or cancel it: undertone message cancel {}",
                self.message.short()
            ),
        };
        Failure::new(FailureCode::WaitsForAcknowledgement, text)
    }

    /// The time is over, and the message is in the network without having paid what is asked.
    fn not_for_long(&self) -> Failure {
        let text = FailureText {
            what: "the message is in the network, but not for long",
            why: NOT_HELD,
            safe: &format!("{}; it may have arrived all the same", self.is_sent_again()),
            next: &self.show(),
        };
        Failure::new(FailureCode::NotForLong, text)
    }

    /// It left under a clock by which others refuse it.
    fn clock_wrong(&self) -> Failure {
        let why = self.clock.map(clock_skew::words);
        let text = FailureText {
            what: "the message left, and others do not carry it: the clock is wrong",
            why: why.as_deref().unwrap_or("it is dated at a time that is still to come"),
            safe: "it is saved here, and is sent again while a node runs, once the clock is right",
            next: "set the clock of this computer; do not send the message again",
        };
        Failure::new(FailureCode::ClockWrong, text)
    }
}

/// A node of another network, or with another floor, has nothing to say to one of this.
const NOBODY_OF_IT: &str = "no peer of this network answered, or no --peer was given";

/// Why a message may be lost although it has left.
const NOT_HELD: &str = "it left for less work than is asked by now, or peers ask for the most there is: \
                        nodes that are short of room or of their line do not hold it";

/// What becomes of a message of which no more is known than that it was accepted.
const ACCEPTED: &str = "it was accepted, is saved, and is sent automatically while a node runs";

/// What becomes of a message that has not been sent.
const QUEUED: &str = "the message is queued here, and is sent automatically while a node runs";

fn no_read_marks(name: &str) -> Failure {
    let why = "read marks are off for this contact, so none would arrive";
    let next = &format!("undertone contact read-marks {name} on, or use --wait delivered");
    let text = FailureText { what: "nothing was sent", why, safe: "nothing was changed", next };
    Failure::new(FailureCode::ReadMarksOff, text)
}

/// Work that takes more seconds than this is announced before it begins. A guess: less is no wait.
const LONG_SECONDS: u64 = 2;

/// How long a message is waited for if nothing was said.
const USUAL_WAIT: Duration = Duration::from_secs(60);

/// How much longer one is waited for that only waits its turn, or for its work. A guess: time for a
/// dozen before it.
const LONGEST_TURN: Duration = Duration::from_secs(3_600);

/// The least time in which a node may accept a message. A guess: a node that runs answers within
/// milliseconds, a busy disk takes longer.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(3);

/// The time for a last look at the message once the time is over. A guess: a node that runs answers
/// within milliseconds.
const LAST_LOOK: Duration = Duration::from_millis(700);

/// How long the clock of a peer is waited for once a message has left: a peer that took it says its own with its
/// first answer. A guess.
const CLOCK_PATIENCE: Duration = Duration::from_secs(2);

/// The time between two looks for it.
const LOOK_AT_CLOCK: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::api::PriceStatus;

    fn progress(wait: WaitFor, state: MessageState, peers: usize) -> SendProgress {
        SendProgress {
            wait,
            name: "ben".to_owned(),
            message: MessageId(0x1a2b_3c4d_5e6f_7081),
            state,
            not_for_long: false,
            hold: None,
            next_look: None,
            postage: (Lifetime::Day, None),
            price: AskedPrice::of(PriceStatus::default(), Lifetime::Day, None),
            price_from: PriceSource::Peers,
            trust: Trust::Unverified,
            session: SessionStatus::Established,
            peers,
            names_trouble: None,
            last_sent: None,
            clock: None,
        }
    }

    #[test]
    fn what_left_under_a_wrong_clock_is_not_called_sent_and_may_arrive_all_the_same() {
        let left = |wait, minutes| SendProgress {
            last_sent: Some(wall()),
            clock: Some(ClockSkew { minutes, witnesses: 1 }),
            ..progress(wait, MessageState::Sent, 1)
        };
        for minutes in [-3 * 1_440, 120, 3 * 1_440] {
            let failure = left(WaitFor::Sent, minutes).end().err().unwrap();
            assert_eq!(failure.code(), Some(FailureCode::ClockWrong));
            assert_eq!(failure.exit() as u8, 6);
            assert!(failure.why.contains("your clock is") && failure.safe.contains("sent again"));
            // It is waited for: whoever meets us later may take it by their own clock.
            let waits = left(WaitFor::Delivered, minutes);
            assert!(waits.end().unwrap().is_none());
            assert_eq!(waits.too_late().code(), Some(FailureCode::ClockWrong));
            let arrived = SendProgress { state: MessageState::Delivered, ..waits };
            assert_eq!(arrived.end().unwrap().unwrap().words, "delivered");
            // For `--wait queued` it is no failure, and is told.
            let queued = left(WaitFor::Queued, minutes).reached().unwrap();
            assert_eq!(queued.data["clock_minutes"], json!(minutes));
        }
        for minutes in [0, 4, -4] {
            assert_eq!(left(WaitFor::Sent, minutes).end().unwrap().unwrap().words, "sent");
        }
        assert!(
            progress(WaitFor::Sent, MessageState::Sent, 1).reached().unwrap().data["clock_minutes"]
                .is_null()
        );
    }

    #[test]
    fn a_wait_that_ends_says_what_the_state_of_the_message_lacks() {
        let queued = progress(WaitFor::Sent, MessageState::Queued, 1).too_late();
        assert_eq!(queued.what, "the message was not sent in time");
        assert!(!queued.why.contains("acknowledgement") && queued.safe.contains("queued here"));
        let mining = progress(WaitFor::Delivered, MessageState::Mining, 1).too_late();
        assert!(mining.why.contains("proof of work") && mining.safe.contains("queued here"));
        assert!(mining.next.contains("undertone node run;"), "{}", mining.next);
        assert!(mining.next.ends_with("undertone message show 1a2b3c4d"), "{}", mining.next);
        // With and without peers: what has left does not need one any more.
        for peers in [0, 1] {
            let sent = progress(WaitFor::Delivered, MessageState::Sent, peers).too_late();
            assert_eq!(sent.what, "the message was not acknowledged in time");
            assert!(sent.why.starts_with("it was sent") && !sent.safe.contains("queued"));
            assert!(sent.next.ends_with("undertone message show 1a2b3c4d"), "{}", sent.next);
            let delivered = progress(WaitFor::Read, MessageState::Delivered, peers).too_late();
            assert_eq!(delivered.what, "the message was not read in time");
            assert!(delivered.why.starts_with("it was delivered"));
            assert_eq!(sent.code(), Some(FailureCode::AckTimeout));
        }
        let alone = progress(WaitFor::Sent, MessageState::Mining, 0).too_late();
        assert_eq!(alone.code(), Some(FailureCode::NoRelay));
    }

    /// A message whose work took two minutes was given up after one, and its node with it.
    #[test]
    fn what_waits_for_its_work_alone_is_waited_for_while_there_is_a_peer() {
        let leaves = |state, peers| progress(WaitFor::Sent, state, peers).leaves_by_itself();
        assert!(leaves(MessageState::Mining, 1) && !leaves(MessageState::Mining, 0));
        assert!(!leaves(MessageState::Queued, 1) && !leaves(MessageState::Sent, 1));
    }

    #[test]
    fn a_wait_that_ends_without_a_session_says_so() {
        for session in [SessionStatus::OfferSent, SessionStatus::Established] {
            let queued = progress(WaitFor::Sent, MessageState::Queued, 1);
            let why = SendProgress { session, ..queued }.too_late().why;
            assert_eq!(why.contains("no session"), session == SessionStatus::OfferSent);
        }
    }

    #[test]
    fn a_wait_for_a_lower_price_ends_with_why_and_how_to_send_all_the_same() {
        let busy = PriceStatus { day: 4, ..PriceStatus::default() };
        assert_eq!(busy.usual_limit(), Step::new(3));
        let queued = |highest| SendProgress {
            price: AskedPrice::of(busy, Lifetime::Day, highest),
            ..progress(WaitFor::Sent, MessageState::Queued, 3)
        };
        let waits = queued(None);
        let failure = waits.too_late();
        assert_eq!(failure.code(), Some(FailureCode::WaitsForPrice));
        assert_eq!(failure.exit() as u8, 6);
        assert_eq!(
            failure.why,
            "a day costs 16 times the usual work now, at most 8 times is allowed"
        );
        assert!(failure.next.contains("cancel 1a2b3c4d"), "{}", failure.next);
        // The least that has it sent, and none where no limit of the contact does.
        assert!(failure.next.contains(": undertone contact max-work ben 16;"), "{}", failure.next);
        let own = SendProgress { postage: (Lifetime::Day, Some(Step::new(3))), ..queued(None) }
            .too_late();
        assert!(own.next.contains("send it with 16") && !own.next.contains("contact max-work"));
        // For `--wait queued` it is no failure, and is told.
        let data = SendProgress { wait: WaitFor::Queued, ..waits }.reached().unwrap().data;
        assert_eq!(
            data["price"],
            json!({ "work": 16, "max_work": 8, "waits": true, "waits_for_turn": false })
        );
        // What was sent, and is too dear to be sent again, says that it was sent, and waits.
        let again = SendProgress {
            hold: Some(WaitsFor::Price),
            price: AskedPrice::of(busy, Lifetime::Day, None),
            ..progress(WaitFor::Delivered, MessageState::Sent, 1)
        };
        let again = again.too_late();
        assert_eq!(again.code(), Some(FailureCode::AckTimeout));
        assert!(
            again.why.contains("waits for a lower price")
                && again.safe.contains("contact max-work ben 16")
        );
        // The contact may not pay as much for the acknowledgement.
        let unheard = SendProgress {
            price: AskedPrice::of(busy, Lifetime::Day, Some(Step::MAX)),
            ..progress(WaitFor::Delivered, MessageState::Sent, 1)
        };
        let why = unheard.too_late().why;
        assert!(why.contains("the acknowledgement waits for a lower price, too"), "{why}");
        // The price has fallen since the node said that it is too high.
        let fallen = SendProgress { hold: Some(WaitsFor::Price), ..queued(Some(Step::new(4))) };
        assert_eq!(fallen.too_late().code(), Some(FailureCode::WaitsForTurn));
        // What may be paid, and what waits for something else, does not wait for the price.
        let paid = queued(Some(Step::new(4)));
        assert_eq!(paid.too_late().code(), Some(FailureCode::AckTimeout));
        let session = SendProgress { session: SessionStatus::None, ..queued(None) };
        assert!(session.too_late().why.contains("no session"));
    }

    #[test]
    fn a_price_that_nobody_had_said_is_told_once_it_is_and_again_only_if_it_rises_above_the_limit()
    {
        let of = |day| {
            let price = PriceStatus { day, ..PriceStatus::default() };
            AskedPrice::of(price, Lifetime::Day, None)
        };
        let (usual, paid, dear) = (of(0), of(2), of(4));
        let news = |asked, told, state| is_news(asked, told, Direction::Outgoing(state));
        for (asked, told, queued, mining) in [
            (usual, None, false, false),
            (paid, None, true, true),
            (dear, None, true, false),
            (dear, Some(paid), true, false),
            (dear, Some(dear), false, false),
            (paid, Some(usual), false, false),
            (paid, Some(dear), false, false),
        ] {
            assert_eq!(news(asked, told, MessageState::Queued), queued, "{asked:?}, {told:?}");
            assert_eq!(news(asked, told, MessageState::Mining), mining, "{asked:?}, {told:?}");
            assert!(!news(asked, told, MessageState::Sent), "{asked:?}, {told:?}");
        }
    }

    #[test]
    fn what_only_waits_its_turn_is_not_called_too_dear_and_no_limit_is_offered_for_it() {
        let waits = SendProgress {
            hold: Some(WaitsFor::Turn),
            next_look: Some(UnixSeconds(wall().0 + 170)),
            price: AskedPrice::of(
                PriceStatus { day: 1, ..PriceStatus::default() },
                Lifetime::Day,
                None,
            ),
            ..progress(WaitFor::Sent, MessageState::Queued, 3)
        };
        assert!(
            waits.waits_its_turn() && !waits.waits_for_price() && waits.end().unwrap().is_none()
        );
        let failure = waits.too_late();
        assert_eq!(failure.code(), Some(FailureCode::WaitsForTurn));
        assert_eq!(failure.exit() as u8, 6);
        assert!(failure.why.ends_with("leaves one by one, the next within 3 minutes"));
        assert!(!failure.next.contains("max-work") && !failure.what.contains("price"));
        let data = SendProgress { wait: WaitFor::Queued, ..waits }.reached().unwrap().data;
        assert_eq!(
            data["price"],
            json!({ "work": 2, "max_work": 8, "waits": false, "waits_for_turn": true })
        );
    }

    #[test]
    fn what_waits_for_an_acknowledgement_says_so_and_is_no_success_before_it_left() {
        let waits = |wait| SendProgress {
            hold: Some(WaitsFor::Acknowledgement),
            ..progress(wait, MessageState::Queued, 3)
        };
        let failure = waits(WaitFor::Sent).too_late();
        assert_eq!(failure.code(), Some(FailureCode::WaitsForAcknowledgement));
        assert_eq!(failure.exit() as u8, 6);
        assert!(failure.what.ends_with("waits for an acknowledgement"), "{}", failure.what);
        assert!(failure.why.starts_with("too many earlier messages") && failure.safe == QUEUED);
        let data = waits(WaitFor::Queued).reached().unwrap().data;
        assert_eq!(data["waits_for_acknowledgement"], json!(true));
        assert_eq!(data["price"]["waits_for_turn"], json!(false));
        // What left before waits for its own.
        let left = SendProgress { state: MessageState::Sent, ..waits(WaitFor::Delivered) };
        assert_eq!(left.too_late().code(), Some(FailureCode::AckTimeout));
    }

    #[test]
    fn what_nobody_said_of_a_price_is_null_and_not_the_usual() {
        let told = |state, price_from, hold| {
            let all = progress(WaitFor::Queued, state, 0);
            SendProgress { price_from, hold, ..all }.reached().unwrap().data["price"].clone()
        };
        let (queued, sent) = (MessageState::Queued, MessageState::Sent);
        for (state, from, hold, work, waits, turn) in [
            (queued, PriceSource::Own, None, Value::Null, Value::Null, Value::Null),
            (
                queued,
                PriceSource::Own,
                Some(WaitsFor::Price),
                Value::Null,
                json!(true),
                json!(false),
            ),
            (sent, PriceSource::Own, None, Value::Null, json!(false), json!(false)),
            (queued, PriceSource::Peers, None, json!(1), json!(false), json!(false)),
        ] {
            let expected =
                json!({ "work": work, "max_work": 8, "waits": waits, "waits_for_turn": turn });
            assert_eq!(told(state, from, hold), expected, "{state:?} {from:?} {hold:?}");
        }
    }

    #[test]
    fn what_is_not_held_for_long_is_no_success_and_is_waited_for() {
        let of = |wait| SendProgress {
            not_for_long: true,
            ..progress(wait, MessageState::Unacknowledged, 1)
        };
        for wait in [WaitFor::Sent, WaitFor::Delivered, WaitFor::Read] {
            assert!(of(wait).end().unwrap().is_none(), "it is sent again");
            assert!(of(wait).too_late().why.contains("nodes that are short of room"));
        }
        let failure = of(WaitFor::Sent).too_late();
        assert_eq!(failure.code(), Some(FailureCode::NotForLong));
        assert_eq!(failure.exit() as u8, 6);
        assert!(failure.next.ends_with("message show 1a2b3c4d"), "{}", failure.next);
        assert_eq!(of(WaitFor::Delivered).too_late().code(), Some(FailureCode::AckTimeout));
        // What has waited for nothing is told as it is.
        assert_eq!(of(WaitFor::Queued).end().unwrap().unwrap().words, "unacknowledged");
        let expired = progress(WaitFor::Delivered, MessageState::Unacknowledged, 1).end();
        assert_eq!(expired.err().and_then(|f| f.code()), Some(FailureCode::NotAcknowledged));
    }

    #[test]
    fn what_left_and_waits_for_a_lower_price_or_its_turn_to_be_sent_again_says_so_at_the_end() {
        let busy = PriceStatus { day: 4, ..PriceStatus::default() };
        let of = |wait, not_for_long, hold| SendProgress {
            not_for_long,
            hold,
            price: AskedPrice::of(busy, Lifetime::Day, None),
            ..progress(wait, MessageState::Unacknowledged, 1)
        };
        let ends = |hold| {
            [
                of(WaitFor::Sent, true, hold).too_late(),
                of(WaitFor::Delivered, true, hold).too_late(),
                of(WaitFor::Read, true, hold).too_late(),
                of(WaitFor::Delivered, false, hold).end().err().expect("it has expired"),
            ]
        };
        for end in ends(Some(WaitsFor::Price)) {
            let way_out = "undertone contact max-work ben 16";
            assert!(end.safe.contains("waits for a lower price: while a node runs, the price is"));
            assert!(end.safe.contains(way_out), "{}", end.safe);
        }
        for end in ends(Some(WaitsFor::Turn)) {
            assert!(end.safe.contains("waits its turn") && !end.safe.contains("max-work"));
        }
        for end in ends(None) {
            assert!(end.safe.contains("is sent again while a node runs"), "{}", end.safe);
        }
    }

    #[test]
    fn a_node_that_is_lost_leaves_open_whether_it_took_the_message_and_says_how_to_see_it() {
        for code in [FailureCode::NodeEnded, FailureCode::NodeSilent] {
            let lost =
                || Failure::new(code, FailureText { what: "a", why: "b", safe: "c", next: "d" });
            let before = unknown(lost(), "'ben smith'");
            assert_eq!(before.code(), Some(code));
            assert!(before.next.ends_with("undertone history 'ben smith'"), "{}", before.next);
            let after = progress(WaitFor::Sent, MessageState::Queued, 1).accepted(lost());
            assert_eq!(after.code(), Some(code));
            assert!(after.safe.contains("was accepted") && after.next.contains("show 1a2b3c4d"));
        }
    }
}
