//! `undertone send`: by the running node, or by a node of its own.

mod costs;
mod errors;
mod progress;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use self::costs::{is_news, say_price};
use self::errors::{ACCEPTED, no_read_marks, not_known, show, unknown};
use self::progress::{SendOutcome, SendProgress};
use crate::engine::envelope::{Lifetime, Postage};
use crate::engine::event::{SendRoom, WaitsFor};
use crate::engine::id::MessageId;
use crate::engine::price::Step;
use crate::engine::record::MessageState;
use crate::engine::session::MAX_TEXT;
use crate::engine::sync::ClockSkew;
use crate::shell::api::calls::{
    Call, ContactRef, ContactShow, MAX_WAIT, MessageRef, MessageSend, MessageShow, MessageWait,
    Status,
};
use crate::shell::api::{
    ClientInfo, ClientKind, Contact, Delivery, Event, EventFilter, EventKind, From, Message,
    PriceSource, Stay,
};
use crate::shell::cli::args::{DurationArg, GlobalArgs, NetworkFlags, WaitFor};
use crate::shell::cli::connect::{close, online, say_unused, store};
use crate::shell::cli::input;
use crate::shell::cli::output::{self, OutputFormat};
use crate::shell::client::{Client, Connect, CreateStore};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::exit_code::ExitCode;
use crate::shell::os::signals::StopSignals;
use crate::shell::rpc::link::silent;
use crate::shell::text::price::{AskedPrice, UNANSWERED};
use crate::shell::text::{clock_skew, command};

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
