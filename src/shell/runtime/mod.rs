//! The runtime: the two drivers of a node, each on a thread of its own.
//!
//! `network` drives the carrier by what neighbours send; all that they can see of this node comes from
//! there. [`Runtime`] is the other: one task with one `select!` that drives the user agent and the
//! store by what clients ask, by timers, and by what the carrier let through. It looks for that at
//! regular times, so that the time at which it opens an envelope does not follow from when one came,
//! and gives way to the network's thread where there are few processors.
//!
//! Clients ask it through a [`NodeHandle`], one call after the other, and hear from it through its
//! log of events ([`super::event_log`]). It waits for none of them: an answer goes into a place that
//! is kept free for it, an event into the log.

mod archive_thread;
mod dispatch;
mod handle;
mod network;
mod reached;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::api::calls::{AnyCall, AnyReply};
use super::api::{
    self, CoverStatus, Directory, Event, EventKind, FillStatus, LineStatus, MessageChange,
    MinerStatus, MiningStatus, NetworkStatus, Persistence, PriceSource, PriceStatus, StepsStatus,
    WaitingStatus,
};
use super::archive::{
    Archive, ArchiveError, ArchiveLabel, ArchiveScan, Claimant, Disposition, Naming, Unfit,
};
use super::durable_node::DurableNode;
use super::event_log::{EventLog, NodeState};
use super::failure::{Failure, FailureCode, FailureText};
use super::miner::{Miner, MiningThreads};
use super::net::{NetError, NetSettings};
use super::os::clock::{Clock, OsEntropy, wall};
use super::os::priority::give_way;
use super::shared_carrier::SharedCarrier;
use super::store::{Store, StoreError, StoreMode};
use crate::engine::command::{Command, CommandError, Reply};
use crate::engine::conversation::HeldBackTotals;
use crate::engine::env::{Entropy as _, Env, Millis};
use crate::engine::envelope::{EnvelopeId, ValidationError};
use crate::engine::event as engine;
use crate::engine::id::{CommandId, IdentityId};
use crate::engine::node::{Cover, Progress};
use crate::engine::price::{Room, SaidSteps, Step};
use crate::engine::relay::pool::PLACE;
use crate::engine::secret::opaque_debug;
use crate::engine::settings::NodeSettings;
use crate::engine::turn::{Effect, Input, Output};
use crate::shell::os::io_words::io_words;

pub(in crate::shell) use handle::{NodeHandle, NodeSession};

use archive_thread::ArchiveFigures;
use network::{NetworkParts, NetworkThread, Report};
use reached::ReachedAddresses;

/// A node with its store and, if it joins one, its network.
pub(in crate::shell) struct Runtime {
    durable: DurableNode,
    /// Until the network's thread has it.
    archive: Option<Archive>,
    thread: NetworkThread,
    miner: Miner,
    /// Its name; empty without one.
    network: String,
    /// Without our transport key, which is another one after a restart: the addresses stay good.
    listening: Vec<String>,
    names_trouble: Option<String>,
    calls: mpsc::Receiver<NodeCall>,
    log: EventLog,
    /// The identity that speaks where none is named, if one was chosen.
    chosen: Option<String>,
    directory: Directory,
    state: watch::Sender<NodeState>,
    /// Whether the state that was published is an older one.
    is_stale: bool,
    /// The reply to the command of this turn.
    reply: Option<Result<Reply, CommandError>>,
    /// Why it cannot go on, if that was noticed after the reply to a command.
    trouble: Option<RuntimeError>,
    progress: Progress,
    reached: ReachedAddresses,
    commands: u64,
    course: Course,
    handle: NodeHandle,
}

opaque_debug!(struct Runtime {
    durable, archive, thread, miner, network, listening, names_trouble, calls, log, chosen, directory,
    state, is_stale, reply, trouble, progress, reached, commands, course, handle,
});

/// Whether a client asked for the end of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    GoesOn,
    /// It is to end.
    Stops,
    /// It goes on as before, and ends once every reply that contacts wait for has left, or at this
    /// moment.
    Parts(tokio::time::Instant),
}

/// A call, and the place for its answer.
struct NodeCall {
    call: AnyCall,
    answer: oneshot::Sender<Result<AnyReply, Failure>>,
}

/// The reason why a runtime could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The store failed. Nothing was reported that is not durable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network could not be set up.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The ledger of a debug build could not be written.
    #[error("the ledger cannot be written: {}", io_words(.0))]
    Ledger(#[from] std::io::Error),
    /// The archive could not be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// There is no thread to be had for the network, or it ended.
    #[error("the network has no thread: {}", io_words(.0))]
    Thread(std::io::Error),
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Store(error) => error.into(),
            RuntimeError::Net(error) => error.into(),
            RuntimeError::Archive(error) => error.into(),
            RuntimeError::Thread(error) => error.into(),
            RuntimeError::Ledger(error) => {
                let text = FailureText {
                    what: "the record of sent envelopes was not written",
                    why: &io_words(&error),
                    safe: "nothing was sent",
                    next: "check its path",
                };
                Self::new(FailureCode::Ledger, text)
            }
        }
    }
}

/// The result of reading back the envelopes that an archive kept over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveRecovery {
    /// Held.
    pub held: u64,
    /// Removed: expired.
    pub expired: u64,
    /// Removed for another reason: there is no room, or no node would carry it.
    pub refused: u64,
    /// Removed: damaged, each by itself.
    pub damaged: u64,
    /// Made later than this computer's clock allows: on disk, and not held before the next start.
    pub early: u64,
    /// How many were saved from the file, if it was damaged.
    pub salvaged: Option<u64>,
    /// What had become of the archive.
    pub history: ArchiveHistory,
    /// What it was for until now, if that was something else: another size, or another network of
    /// which it held nothing.
    pub was: Option<ArchiveLabel>,
}

/// What had become of an archive until it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArchiveHistory {
    /// It is of this network, or new.
    #[default]
    Known,
    /// It did not say of which network it is, and was given to this one.
    Unnamed,
    /// The file was of an earlier version of the protocol, and was begun anew.
    Outdated,
}

/// Has the carrier of a node take over the envelopes of an archive.
struct ArchiveReader {
    clock: Clock,
    carrier: SharedCarrier,
    taken: TakenBack,
    /// Those that were held until better ones pushed them out.
    left: Vec<EnvelopeId>,
}

impl Claimant for ArchiveReader {
    fn claim(&mut self, id: EnvelopeId, bytes: Vec<u8>) -> Disposition {
        let mut entropy = OsEntropy;
        let mut env = Env::new(self.clock.mono(), wall(), &mut entropy);
        let mut carrier = self.carrier.lock();
        let readmitted = carrier.readmit(&mut env, (id, bytes));
        // Others may have to make room for it.
        while let Some(output) = carrier.poll_output() {
            if let Output::Effect(Effect::Discard(ids)) = output {
                self.left.extend(ids);
            }
        }
        self.taken.count(readmitted)
    }

    fn begin_again(&mut self) {
        // Not all that came before the damage was found need come again.
        self.carrier.lock().release_all();
        self.taken = TakenBack::default();
        self.left.clear();
    }
}

/// Envelopes of an archive, counted by what became of them.
#[derive(Default)]
struct TakenBack {
    held: u64,
    expired: u64,
    early: u64,
    without_room: u64,
    below_floor: u64,
    invalid: u64,
}

impl TakenBack {
    fn count(&mut self, reheld: Result<(), ValidationError>) -> Disposition {
        let (counter, disposition) = match reheld {
            Ok(()) => (&mut self.held, Disposition::Held),
            // A row for each envelope: there is no other one of it.
            Err(ValidationError::Duplicate) => return Disposition::Held,
            Err(ValidationError::Expired) => (&mut self.expired, Disposition::Dropped),
            // It was in time when it came: the clock went back, as it does on machines that know
            // the time only once they are online.
            Err(ValidationError::TooFarInFuture) => (&mut self.early, Disposition::Left),
            Err(
                ValidationError::PoolFull | ValidationError::LineBusy | ValidationError::QueueFull,
            ) => (&mut self.without_room, Disposition::Dropped),
            Err(ValidationError::InsufficientPow) => (&mut self.below_floor, Disposition::Dropped),
            Err(
                ValidationError::TooLarge
                | ValidationError::Malformed
                | ValidationError::InvalidTtl
                | ValidationError::UnalignedExpiry,
            ) => (&mut self.invalid, Disposition::Dropped),
        };
        *counter += 1;
        disposition
    }

    /// Takes in those that were held until better ones pushed them out.
    const fn push_out(&mut self, count: u64) {
        self.held = self.held.saturating_sub(count);
        self.without_room += count;
    }

    const fn unfit(&self) -> Unfit {
        let Self { held, below_floor, without_room, .. } = *self;
        Unfit { below_floor, without_room, held }
    }

    fn recovery(&self, found: ArchiveScan, naming: Naming) -> ArchiveRecovery {
        let ArchiveScan { damaged, salvaged, outdated } = found;
        let Self { held, expired, early, without_room, below_floor, invalid } = *self;
        let (history, was) = match naming {
            Naming::New => (ArchiveHistory::Unnamed, None),
            Naming::AsBefore => (ArchiveHistory::Known, None),
            Naming::Was(label) => (ArchiveHistory::Known, Some(label)),
        };
        let history = if outdated { ArchiveHistory::Outdated } else { history };
        let refused = without_room + below_floor + invalid;
        ArchiveRecovery { held, expired, refused, damaged, early, salvaged, history, was }
    }
}

impl Runtime {
    /// Restores the node, and joins the network if there is one. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When the store cannot be read or an address cannot be listened on.
    pub(in crate::shell) fn start(
        node: NodeSettings,
        net: Option<NetSettings>,
        store: Store,
    ) -> Result<Self, RuntimeError> {
        let mut durable = DurableNode::open(node, store)?;
        durable.settle()?;
        if let Some(path) = std::env::var_os(LEDGER_VARIABLE).filter(|_| cfg!(debug_assertions)) {
            durable.keep_ledger(path.as_ref())?;
        }
        let network = net.as_ref().map(|net| net.network.to_string()).unwrap_or_default();
        let settings = net.map(|net| NetSettings { floor_bits: node.floor.bits(), ..net });
        let known = durable.store().peers()?;
        let thread = NetworkThread::start(NetworkParts {
            settings,
            known: known.iter().filter_map(|address| address.parse().ok()).collect(),
            carrier: durable.carrier().clone(),
            clock: *durable.clock(),
        })?;
        let mut name = [0; 8];
        OsEntropy.fill(&mut name);
        let log = EventLog::new(u64::from_le_bytes(name));
        let figures = Arc::new(network_status(&durable, &network));
        let first = NodeState { directory: Arc::default(), network: figures, position: 0 };
        let (state, published) = watch::channel(first);
        let (calls_tx, calls) = mpsc::channel(CALLS_WAITING);
        let handle = NodeHandle::new(calls_tx, log.clone(), published);
        let chosen = durable.store().setting(CHOSEN_IDENTITY)?;
        let mut runtime = Self {
            durable,
            archive: None,
            thread,
            miner: Miner::default(),
            network,
            listening: Vec::new(),
            names_trouble: None,
            calls,
            log,
            chosen,
            directory: Directory::default(),
            state,
            is_stale: true,
            reply: None,
            trouble: None,
            progress: Progress::Done,
            reached: ReachedAddresses::default(),
            commands: 0,
            course: Course::GoesOn,
            handle,
        };
        runtime.fill_directory()?;
        Ok(runtime)
    }

    /// Attaches an archive, and has the engine take over the envelopes in it. Call it once, before
    /// [`Self::run`], on a node whose settings say that there is an archive. Takes time for each
    /// envelope.
    ///
    /// # Errors
    /// When the archive or the store fails, or envelopes would be removed that are to stay.
    pub(in crate::shell) fn attach_archive(
        &mut self,
        mut archive: Archive,
    ) -> Result<ArchiveRecovery, RuntimeError> {
        let (clock, carrier) = (*self.durable.clock(), self.durable.carrier().clone());
        let (taken, left) = (TakenBack::default(), Vec::new());
        let mut reader = ArchiveReader { clock, carrier, taken, left };
        let found = archive.take_over(&mut reader)?;
        let ArchiveReader { mut taken, left, clock: _, carrier: _ } = reader;
        taken.push_out(left.len() as u64);
        let naming = archive.begin(taken.unfit())?;
        archive.discard(&left);
        archive.shrink();
        self.archive = Some(archive);
        // Who looks before the first second is over is told what is held, too.
        self.tell_network();
        Ok(taken.recovery(found, naming))
    }

    /// Has it search for work on so many threads. Call it before [`Self::run`].
    pub(in crate::shell) fn mine_on(&mut self, threads: MiningThreads) {
        self.miner = Miner::new(threads);
        // Who looks before the first second is over is told, too.
        self.tell_network();
    }

    /// A handle by which clients ask and hear it, before or while it runs.
    pub(in crate::shell) fn handle(&self) -> NodeHandle {
        self.handle.clone()
    }

    /// Takes what the store has into the directory.
    fn fill_directory(&mut self) -> Result<(), StoreError> {
        let unread = self.durable.store().messages().unread()?;
        for event in self.durable.agent().snapshot() {
            for event in self.translate(event) {
                self.directory.apply(&event);
            }
        }
        self.mark_default();
        for (contact, count) in unread {
            let with = self.directory.name_of(contact).to_owned();
            self.directory.apply(&Event::Read { contact, with, unread: count as u64 });
        }
        self.publish_state();
        Ok(())
    }

    /// Runs until a client asks it to stop or `stop` changes, and then for as long as replies take to
    /// leave that contacts wait for, [`PARTING_WITHIN`] at most; or until the sender of `stop` is gone.
    ///
    /// # Errors
    /// When the store fails; the end of every stream of events says so too.
    pub(in crate::shell) async fn run(mut self, stop: watch::Receiver<()>) -> Result<(), Failure> {
        let mut ended = self.serve(stop).await;
        if ended.is_ok() {
            let reached = self.reached.take_all();
            ended = self.remember(&reached).map_err(Failure::from);
        }
        self.thread.end().await;
        let why = Self::why_ended(&ended);
        self.log.end(why.clone());
        self.publish_state();
        // What was asked and not begun is answered: it was not done, and can be asked elsewhere.
        self.calls.close();
        while let Ok(call) = self.calls.try_recv() {
            drop(call.answer.send(Err(why.clone())));
        }
        ended
    }

    /// The same on a thread of its own, which gives way to the network's where there are few
    /// processors.
    ///
    /// # Errors
    /// As for [`Self::run`], and when there is no thread to be had.
    pub(in crate::shell) async fn run_apart(
        self,
        stop: watch::Receiver<()>,
    ) -> Result<(), Failure> {
        let (over, ended) = oneshot::channel();
        let on_thread = move || {
            give_way();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let result = match runtime {
                Ok(runtime) => runtime.block_on(self.run(stop)),
                Err(error) => Err(error.into()),
            };
            // Whoever waited may be gone.
            drop(over.send(result));
        };
        std::thread::Builder::new().name("user agent".to_owned()).spawn(on_thread)?;
        ended.await.unwrap_or_else(|error| Err(std::io::Error::other(error).into()))
    }

    /// What clients hear of the end of a node.
    pub(in crate::shell) fn why_ended(ended: &Result<(), Failure>) -> Failure {
        ended.clone().err().unwrap_or_else(stopping)
    }

    async fn serve(&mut self, mut stop: watch::Receiver<()>) -> Result<(), Failure> {
        if self.is_online() {
            self.miner.measure();
        }
        let held = self.durable.carrier().lock().pool().count();
        self.thread.begin(self.archive.take(), held)?;
        let mut seconds = interval(Duration::from_secs(1));
        let mut gatherings = interval(GATHER_EVERY);
        for times in [&mut seconds, &mut gatherings] {
            times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        while self.goes_on()? {
            if self.is_stale {
                self.publish_state();
            }
            let due = self.durable.deadline().map(|at| self.durable.clock().moment(at));
            tokio::select! {
                biased;
                asked = stop.changed() => match asked {
                    Ok(()) if self.course == Course::GoesOn => self.course = Course::Stops,
                    Ok(()) => {}
                    // Nobody waits for its end: it ends as if it were killed.
                    Err(_) => return Ok(()),
                },
                Some(call) = self.calls.recv() => self.on_call(call)?,
                (outgoing, nonce) = self.miner.next() => {
                    self.turn(Input::Mined { outgoing, nonce })?;
                }
                report = self.thread.report() => self.on_report(report)?,
                () = sleep_until(due) => self.turn(Input::Tick)?,
                // What could not be opened in one turn.
                () = std::future::ready(()), if self.progress == Progress::MoreWaits => self.gather()?,
                _ = gatherings.tick() => self.gather()?,
                _ = seconds.tick() => self.on_second()?,
            }
        }
        Ok(())
    }

    /// Whether it is not to end yet.
    fn goes_on(&mut self) -> Result<bool, RuntimeError> {
        let until = match self.course {
            Course::GoesOn => return Ok(true),
            Course::Stops => {
                self.durable.store_all();
                self.carry_out()?;
                tokio::time::Instant::now() + PARTING_WITHIN
            }
            Course::Parts(until) => until,
        };
        self.course = Course::Parts(until);
        let owes = self.durable.part();
        self.carry_out()?;
        if owes && tokio::time::Instant::now() >= until {
            tracing::info!("a reply to a contact did not leave before the end of this node");
            return Ok(false);
        }
        Ok(owes)
    }

    /// Whether it joined a network.
    const fn is_online(&self) -> bool {
        !self.network.is_empty()
    }

    /// Answers a call. A failure of the store is told its caller too, and ends the node.
    fn on_call(&mut self, call: NodeCall) -> Result<(), Failure> {
        let NodeCall { call, answer } = call;
        let answered = dispatch::answer(self, call);
        // Before the answer: what the caller reads next has what the answer tells of.
        self.publish_state();
        let (answered, ended) = match answered {
            Ok(answered) => (answered, self.trouble.take().map_or(Ok(()), |why| Err(why.into()))),
            Err(error) => {
                let why = Failure::from(error);
                (Err(why.clone()), Err(why))
            }
        };
        if answer.send(answered).is_err() {
            tracing::debug!("nobody waits for an answer any more");
        }
        ended
    }

    /// Carries out a command of the engine.
    fn command(&mut self, command: Command) -> Result<Result<Reply, CommandError>, RuntimeError> {
        if let Some(why) = self.trouble.take() {
            return Err(why);
        }
        self.commands += 1;
        let turned = self.turn(Input::Command { id: CommandId(self.commands), command });
        match (self.reply.take(), turned) {
            (Some(reply), turned) => {
                // What the command changed is durable. What failed came after it: the message that
                // was accepted was encrypted, say. Told that it failed, its caller would repeat it.
                self.trouble = turned.err();
                Ok(reply)
            }
            // A command commits once before its reply, so nothing of this one was stored.
            (None, Err(why)) => Err(why),
            // Never: each command gets one reply in its turn.
            (None, Ok(())) => Ok(Err(CommandError::Full)),
        }
    }

    /// Shows clients the state after this turn.
    fn publish_state(&mut self) {
        self.is_stale = false;
        let directory = Arc::new(self.directory.clone());
        let position = self.log.position();
        self.state.send_modify(|state| {
            state.directory = directory;
            state.position = position;
        });
    }

    /// Tells clients of an event.
    fn emit(&mut self, event: Event) {
        // What was erased is not told any more, either.
        match &event {
            Event::IdentityRemoved { id } => {
                for contact in self.directory.contacts().filter(|one| one.identity == *id) {
                    self.log.erase_contact(contact.id);
                }
            }
            Event::ContactRemoved { id } => self.log.erase_contact(*id),
            Event::Change { what: MessageChange::Erase, id, .. } => self.log.erase_message(*id),
            Event::Change { .. }
            | Event::Identity(_)
            | Event::Contact(_)
            | Event::Session { .. }
            | Event::Request(_)
            | Event::RequestRemoved { .. }
            | Event::Message(_)
            | Event::State { .. }
            | Event::Imported { .. }
            | Event::Read { .. }
            | Event::Network(_)
            | Event::Unknown => {}
        }
        let is_of_identities = event.kind() == Some(EventKind::Identity);
        self.directory.apply(&event);
        self.log.append(event);
        self.is_stale = true;
        if is_of_identities {
            self.mark_default();
        }
    }

    /// The identity that speaks where none is named: the chosen one, else the only one.
    fn default_identity(&self) -> Option<IdentityId> {
        let mut all = self.directory.identities();
        if let Some(chosen) = all.find(|one| Some(&one.name) == self.chosen.as_ref()) {
            return Some(chosen.id);
        }
        let mut all = self.directory.identities();
        all.next().filter(|_| all.next().is_none()).map(|only| only.id)
    }

    /// Marks the identity that speaks where none is named, and no other.
    fn mark_default(&mut self) {
        let default = self.default_identity();
        let is_wrong = |one: &&api::Identity| one.is_default != (Some(one.id) == default);
        let wrong = self.directory.identities().find(is_wrong).cloned();
        // The event comes back here, and finds the next.
        if let Some(identity) = wrong {
            let is_default = !identity.is_default;
            self.emit(Event::Identity(api::Identity { is_default, ..identity }));
        }
    }

    /// An event of the engine, as clients hear it.
    fn translate(&self, event: engine::Event) -> Vec<Event> {
        let name = |contact| self.directory.name_of(contact).to_owned();
        vec![match event {
            engine::Event::Identity(view) => {
                let is_chosen = |name: &String| self.chosen.as_ref() == Some(name);
                let mut others = self.directory.identities().filter(|one| one.id != view.id);
                // The chosen one, else the only one; another that was it is told of next.
                let is_default = is_chosen(&view.name) || others.next().is_none();
                Event::Identity(api::Identity { view, is_default })
            }
            engine::Event::IdentityRemoved(id) => Event::IdentityRemoved { id },
            engine::Event::Contact(view) => {
                let known = self.directory.contact(view.id);
                let unread = known.map_or(0, |known| known.unread);
                let is_other = known.is_none_or(|known| known.session != view.session);
                let (contact, with, session) = (view.id, view.petname.clone(), view.session);
                let changed = Event::Contact(api::Contact { view: *view, unread });
                if is_other {
                    return vec![changed, Event::Session { contact, with, session }];
                }
                changed
            }
            engine::Event::ContactRemoved(id) => Event::ContactRemoved { id },
            engine::Event::Request(view) => Event::Request(api::Request { view }),
            engine::Event::RequestRemoved(id) => Event::RequestRemoved { id },
            engine::Event::Message(view) => {
                let with = name(view.contact);
                Event::Message(api::Message { view, with, waits_for: None })
            }
            engine::Event::State { message, contact, number, state, not_for_long, delivery } => {
                let (id, to) = (message, name(contact));
                Event::State { id, contact, to, number, state, not_for_long, delivery }
            }
            engine::Event::Confirmed { message, contact } => Event::Change {
                what: MessageChange::Confirmed,
                id: message,
                contact,
                with: name(contact),
            },
        }]
    }

    fn turn(&mut self, input: Input) -> Result<(), RuntimeError> {
        tracing::trace!(?input);
        self.durable.turn(input);
        self.carry_out()
    }

    fn gather(&mut self) -> Result<(), RuntimeError> {
        self.progress = self.durable.gather();
        self.carry_out()
    }

    fn carry_out(&mut self) -> Result<(), RuntimeError> {
        while let Some(effect) = self.durable.next_effect()? {
            tracing::trace!(?effect);
            match effect {
                Effect::StartMining(job) => self.miner.start(job),
                Effect::StopMining(outgoing) => self.miner.stop(outgoing),
                Effect::Publish { id: _, bytes } => self.thread.publish(bytes),
                Effect::Reply { id: _, reply } => self.reply = Some(reply),
                Effect::Event(event) => {
                    for event in self.translate(event) {
                        self.emit(event);
                    }
                }
                // Those of the carrier.
                Effect::ReportValidation { .. }
                | Effect::SyncRequest { .. }
                | Effect::SyncResponse { .. }
                | Effect::Penalize(_)
                | Effect::Archive { .. }
                | Effect::Discard(_) => {}
            }
        }
        Ok(())
    }

    fn on_second(&mut self) -> Result<(), RuntimeError> {
        let reached = self.reached.take_due();
        self.remember(&reached)?;
        self.miner.go_on();
        self.tell_network();
        Ok(())
    }

    fn remember(&mut self, reached: &[String]) -> Result<(), RuntimeError> {
        if !reached.is_empty() {
            self.durable.store().remember_peers(reached)?;
        }
        Ok(())
    }

    fn on_report(&mut self, report: Option<Report>) -> Result<(), RuntimeError> {
        match report {
            // Remembered only once it was reached, and dialled again after a restart.
            Some(Report::Reached(address)) => self.reached.add(address),
            Some(Report::Listening(address)) => self.listening.push(address),
            Some(Report::Names(trouble)) => self.names_trouble = trouble,
            None => return Err(RuntimeError::Thread(std::io::Error::other("it ended"))),
        }
        Ok(())
    }

    /// Publishes the figures of the network, when they changed.
    fn tell_network(&self) {
        let mut now = network_status(&self.durable, &self.network);
        now.listening.clone_from(&self.listening);
        now.names_trouble.clone_from(&self.names_trouble);
        now.rate = self.miner.rate();
        now.miner = self.miner.status();
        if let Some(mining) = &mut now.mining {
            mining.hashes_per_second = now.rate;
        }
        now.archive = match &self.archive {
            Some(archive) => Some(ArchiveFigures::of(archive, now.pool_items).status()),
            None => self.thread.archive().map(|archive| {
                now.pool_items = now.pool_items.min(archive.written);
                archive.status()
            }),
        };
        self.state.send_if_modified(|state| {
            let changed = *state.network != now;
            if changed {
                state.network = Arc::new(now);
            }
            changed
        });
    }

    fn persistence(&mut self) -> Persistence {
        match self.durable.store().kept() {
            StoreMode::Sealed => Persistence::Sealed,
            StoreMode::MemoryOnly => Persistence::MemoryOnly,
        }
    }
}

fn held_back(totals: HeldBackTotals) -> WaitingStatus {
    let HeldBackTotals { messages, retries, requests, answers } = totals;
    WaitingStatus { messages, retries, requests, answers }
}

/// The figures that the engine has.
fn network_status(durable: &DurableNode, network: &str) -> NetworkStatus {
    let (status, now) = (durable.status(), durable.clock().mono());
    let carrier = durable.carrier().lock();
    let settings = *carrier.settings();
    let SaidSteps { shares, line, hops: _ } = carrier.steps((now, wall()));
    let is_heard = carrier.hears_price(now);
    drop(carrier);
    let [six_hours, day, week] = shares.map(Step::get);
    let steps = StepsStatus { six_hours, day, week, line: line.get() };
    let [six_hours, day, week] = status.asked.map(Step::get);
    let price = PriceStatus { six_hours, day, week, highest: settings.highest_step.get() };
    let [six_hours, day, week] = status.room.map(Room::percent_used);
    let fill = FillStatus { six_hours, day, week };
    let line = LineStatus {
        blocks_per_second: status.line.rate().get(),
        percent_left: status.line.percent_left(now),
    };
    NetworkStatus {
        ready: status.peers > 0,
        peers: status.peers,
        network: network.to_owned(),
        listening: Vec::new(),
        names_trouble: None,
        pool_bytes: status.pool_places.saturating_mul(PLACE),
        pool_capacity: status.pool_bounds.bytes(),
        pool_items: status.pool_count,
        steps,
        price,
        price_from: if is_heard { PriceSource::Peers } else { PriceSource::Own },
        fill,
        line,
        floor_bits: status.floor_bits,
        waiting: held_back(status.price_wait),
        in_line: held_back(status.turn_wait),
        unanswered: status.acknowledgement_wait,
        cover_per_minute: settings.junk.map(per_minute),
        cover: match status.cover {
            Cover::Off => CoverStatus::Off,
            Cover::Runs => CoverStatus::Runs,
            Cover::Rests => CoverStatus::Rests,
        },
        mining: status.mining_tries.map(|tries| MiningStatus { tries, hashes_per_second: 0 }),
        queued: status.queued,
        rate: 0,
        miner: MinerStatus::default(),
        clock_minutes: status.clock.map(|clock| clock.minutes),
        clock_witnesses: status.clock.map_or(0, |clock| clock.witnesses),
        caught_up: status.caught_up,
        archive: None,
    }
}

/// The node stops because somebody asked it to.
fn stopping() -> Failure {
    let text = FailureText {
        what: "the command was not carried out",
        why: "the node of this home folder is stopping",
        safe: "everything accepted before is saved",
        next: "try again in a moment",
    };
    Failure::new(FailureCode::NodeStopping, text)
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
fn per_minute(mean: Millis) -> f64 {
    60_000.0 / mean.0.max(1) as f64
}

/// The time between two looks for envelopes to open: regular, whatever came. A quarter of a second is
/// soon enough for a person.
const GATHER_EVERY: Duration = Duration::from_millis(250);

/// The time for the replies that contacts wait for when a node is to end. A guess: with the usual work
/// some four of them, or one for which four times as much is asked. Nothing is lost by those that do
/// not leave: the contacts send again, and are answered when a node runs.
const PARTING_WITHIN: Duration = Duration::from_secs(8);

/// Calls that wait for the node at once; further callers wait for their turn.
const CALLS_WAITING: usize = 64;

/// The name of the setting that holds the chosen identity.
const CHOSEN_IDENTITY: &str = "identity";

/// Names a file for the ledger of a debug build.
const LEDGER_VARIABLE: &str = "UNDERTONE_NONCE_LEDGER";

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::archive_thread::Disk;
    use super::*;
    use crate::engine::crypto::invite;
    use crate::engine::crypto::keys::Identity;
    use crate::engine::env::{Seconds, UnixSeconds};
    use crate::engine::envelope::{Envelope, EnvelopeId, Floor, Topic, WorkNonce, inspect};
    use crate::engine::id::{Neighbour, NeighbourId};
    use crate::engine::relay::pool::BodyStorage;
    use crate::engine::session::testing::offer;
    use crate::engine::settings::{NodeRole, SyncMode};
    use crate::engine::testing::rng::SeededRng;
    use crate::shell::api::ArchiveStatus;
    use crate::shell::api::calls::{Call as _, ContactAdd, ContactRef, ContactRekey, IdentityNew};
    use crate::shell::archive::ArchiveOverflow;
    use crate::shell::net::{Multiaddr, Net, NetEvent, NetworkName, Transport};

    const FLOOR: Floor = Floor::new(4);

    #[tokio::test]
    async fn a_runtime_shows_nothing_of_itself() {
        let settings = NodeSettings::new(NodeRole::Messenger, FLOOR);
        let runtime = Runtime::start(settings, None, Store::in_memory().unwrap()).unwrap();
        assert_eq!(format!("{runtime:?}"), "Runtime");
    }

    /// Asks a node; what it answers, and whether it goes on.
    fn ask(node: &mut Runtime, call: AnyCall) -> (Result<AnyReply, Failure>, Result<(), Failure>) {
        let (answer, mut answered) = oneshot::channel();
        let ended = node.on_call(NodeCall { call, answer });
        (answered.try_recv().unwrap(), ended)
    }

    /// A message was called refused for want of room when only its envelope was not stored.
    #[tokio::test]
    async fn what_is_said_of_a_command_during_which_the_disk_ran_full_is_what_the_store_has() {
        let [ben, stranger] =
            [7, 8].map(|seed| Identity::generate(&mut SeededRng::new(seed).turn()));
        let (name, invite) = ("ben".to_owned(), invite::encode(&ben.public()));
        let add = ContactAdd { identity: None, invite, name: name.clone(), max_work: None };
        // Their request waits, and is accepted with the key.
        let invite = invite::encode(&stranger.public());
        let rekey = ContactRekey { contact: ContactRef::Name(name), invite };
        let [add, rekey] = [add.into_any(), rekey.into_any()];
        let (mut kept, mut refused) = (0, 0);
        for (first, call) in [(None, &add), (Some(&add), &rekey)] {
            for room in 0.. {
                let mut node = asked_by(&stranger);
                if let Some(first) = first {
                    ask(&mut node, first.clone()).0.unwrap();
                }
                let before = node.durable.store().load().unwrap();
                node.durable.store().refuse_records_after(room);
                let (answer, ended) = ask(&mut node, call.clone());
                let after = node.durable.store().load().unwrap();
                let Err(why) = ended else {
                    answer.unwrap();
                    break;
                };
                assert_eq!(why.code(), Some(FailureCode::Store), "{room}");
                match answer {
                    Ok(_) => {
                        assert_ne!(after, before, "{room}: accepted, and not stored");
                        kept += 1;
                    }
                    Err(_) => {
                        assert_eq!(after, before, "{room}: refused, and a part was stored");
                        refused += 1;
                    }
                }
            }
        }
        assert!(kept > 0 && refused > 0, "{kept} {refused}");
    }

    /// A node beside a neighbour, with an identity that a stranger made an offer. What it has to
    /// send is encrypted at once.
    fn asked_by(stranger: &Identity) -> Runtime {
        // Without a catching up, nothing waits for its end.
        let usual = NodeSettings::new(NodeRole::Messenger, FLOOR);
        let settings = NodeSettings { sync: SyncMode::Off, ..usual };
        let mut node = Runtime::start(settings, None, Store::in_memory().unwrap()).unwrap();
        let new = IdentityNew { name: "ann".to_owned() };
        ask(&mut node, new.into_any()).0.unwrap();
        let key = node.directory.identities().next().unwrap().key;
        let mut entropy = OsEntropy;
        let mut env = Env::new(node.durable.clock().mono(), wall(), &mut entropy);
        let (id, bytes) = offer(&mut env, stranger, &key, FLOOR);
        let from = NeighbourId(1);
        let inputs = [
            Input::Peers(vec![Neighbour::alone(from)]),
            Input::Gossip { from, id, bytes },
            Input::Tick,
        ];
        for input in inputs {
            node.durable.carrier().lock().handle(&mut env, input);
        }
        node.gather().unwrap();
        node
    }

    /// An envelope that lives a day and ends so many hours after the one before the last.
    fn ending_in(hours: u64) -> (EnvelopeId, Vec<u8>) {
        let expiry = UnixSeconds((wall().0 / 3_600 - 2 + hours) * 3_600);
        let (ttl, topic) = (Seconds(86_400), Topic([1, 2, 3, 4]));
        let encoded = |nonce| {
            Envelope { expiry, ttl, topic, data: b"data", nonce: WorkNonce(nonce) }.encode()
        };
        let paid = (0..).map(encoded).find(|bytes| inspect(bytes, &FLOOR).is_ok()).unwrap();
        (EnvelopeId::of(&paid).unwrap(), paid)
    }

    fn relay(net: Option<NetSettings>) -> Runtime {
        let settings = NodeSettings {
            bodies: BodyStorage::External,
            ..NodeSettings::new(NodeRole::Relay, FLOOR)
        };
        Runtime::start(settings, net, Store::in_memory().unwrap()).unwrap()
    }

    fn open_archive(home: &Path) -> Archive {
        let label = ArchiveLabel { network: NetworkName::default(), floor: FLOOR, bytes: 1 << 20 };
        Archive::open(home, label, ArchiveOverflow::Refused).unwrap()
    }

    /// In a network of its own, at a place in memory.
    fn at(place: &Multiaddr) -> NetSettings {
        let mut settings = NetSettings::new("stopped".parse().unwrap(), FLOOR.bits());
        settings.transport = Transport::Memory;
        settings.peers = vec![place.clone()];
        settings
    }

    /// Where a node of a test listens, in a network that is all there.
    fn listening(place: &Multiaddr) -> Option<NetSettings> {
        Some(NetSettings { listen: vec![place.clone()], peers: Vec::new(), ..at(place) })
    }

    /// Waits until an envelope that one neighbour of a node publishes has come to another.
    async fn is_passed_on_at(place: &Multiaddr) {
        let (mut one, mut two) = (Net::new(at(place)).unwrap(), Net::new(at(place)).unwrap());
        let (id, bytes) = ending_in(14);
        let mut attempts = interval(Duration::from_millis(100));
        let passed_on = async {
            loop {
                tokio::select! {
                    event = two.next() => {
                        if let NetEvent::Engine(Input::Gossip { id: heard, .. }) = event {
                            return heard;
                        }
                    }
                    event = one.next() => drop(event),
                    // It has an effect once a neighbour takes it.
                    _ = attempts.tick() => {
                        one.publish(bytes.clone());
                    }
                }
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(60), passed_on).await;
        assert_eq!(heard.expect("it was passed on"), id);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_messenger_whose_user_agent_is_stopped_for_good_passes_the_flood_on() {
        let place: Multiaddr = "/memory/700077".parse().unwrap();
        let settings = NodeSettings::new(NodeRole::Messenger, FLOOR);
        let store = Store::in_memory().unwrap();
        let mut messenger = Runtime::start(settings, listening(&place), store).unwrap();
        // The network moves; opening, the store and the clients never do.
        messenger.thread.begin(None::<Archive>, 0).unwrap();
        is_passed_on_at(&place).await;
    }

    /// A message was said to be sent, and its node ended before a peer had it.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_published_just_before_the_end_of_a_node_is_with_its_neighbour() {
        let place: Multiaddr = "/memory/700079".parse().unwrap();
        let settings = NodeSettings::new(NodeRole::Messenger, FLOOR);
        let store = Store::in_memory().unwrap();
        let mut messenger = Runtime::start(settings, listening(&place), store).unwrap();
        messenger.thread.begin(None::<Archive>, 0).unwrap();
        let mut neighbour = Net::new(at(&place)).unwrap();
        let mut looks = interval(Duration::from_millis(50));
        let met = async {
            while messenger.durable.carrier().lock().peers() == 0 || neighbour.peers() == 0 {
                tokio::select! {
                    event = neighbour.next() => drop(event),
                    _ = looks.tick() => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), met).await.expect("they met");
        let (id, bytes) = ending_in(14);
        messenger.thread.publish(bytes);
        let heard = async {
            loop {
                let NetEvent::Engine(input) = neighbour.next().await else { continue };
                if let Input::Gossip { id: heard, .. } = input {
                    return Some(heard);
                }
                // The other has left.
                if matches!(&input, Input::Peers(peers) if peers.is_empty()) {
                    return None;
                }
            }
        };
        let both = async { tokio::join!(heard, messenger.thread.end()) };
        let both = tokio::time::timeout(Duration::from_secs(60), both).await;
        assert_eq!(both.expect("it ends").0, Some(id));
    }

    /// A disk that does not answer any more.
    struct Stopped(std::sync::mpsc::Receiver<()>);

    impl Disk for Stopped {
        fn keep(&mut self, _: EnvelopeId, _: &[u8]) {
            // Until the end of the test.
            self.0.recv().ok();
        }

        fn discard(&mut self, _: &[EnvelopeId]) {}

        fn get(&mut self, _: &EnvelopeId) -> Option<Vec<u8>> {
            None
        }

        fn take_lost(&mut self) -> Vec<EnvelopeId> {
            Vec::new()
        }

        fn beat(&mut self) {}

        fn status(&self) -> ArchiveStatus {
            ArchiveStatus { bytes: 0, missed: 0, trouble: None }
        }
    }

    /// A relay told of 75 envelopes, was killed, and had 74 at its next start.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_relay_whose_disk_stands_still_passes_the_flood_on_and_tells_of_nothing_unwritten() {
        let place: Multiaddr = "/memory/700078".parse().unwrap();
        let mut relay = relay(listening(&place));
        let (goes_on, stands_still) = std::sync::mpsc::channel();
        relay.thread.begin(Some(Stopped(stands_still)), 0).unwrap();
        is_passed_on_at(&place).await;
        assert_eq!(relay.durable.carrier().lock().pool().count(), 1);
        relay.tell_network();
        assert_eq!(relay.state.borrow().network.pool_items, 0);
        drop(goes_on);
    }

    #[tokio::test]
    async fn an_archive_is_told_of_at_once_and_keeps_what_a_wrong_clock_takes_for_the_future() {
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), Permissions::from_mode(0o700)).unwrap();
        let open = || open_archive(home.path());
        // Expired, in time, and made a day from now.
        let envelopes = [0, 14, 62].map(ending_in);
        let mut archive = open();
        archive.begin(Unfit::default()).unwrap();
        envelopes.iter().for_each(|(id, bytes)| archive.keep(*id, bytes));
        drop(archive);
        let early = ArchiveRecovery { held: 1, early: 1, ..ArchiveRecovery::default() };
        for expired in [1, 0] {
            let mut relay = relay(None);
            let recovery = relay.attach_archive(open()).unwrap();
            assert_eq!(recovery.expired, expired);
            assert_eq!(recovery, ArchiveRecovery { expired, ..early.clone() });
            assert_eq!(relay.state.borrow().network.pool_items, 1);
            if let Some(archive) = &mut relay.archive {
                archive.beat();
                assert!(archive.get(&envelopes[2].0).as_ref() == Some(&envelopes[2].1));
            }
        }
    }
}
