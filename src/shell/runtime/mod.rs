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
mod error;
mod figures;
mod handle;
mod network;
mod reached;
mod recovery;
mod telling;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::api::Directory;
use super::api::calls::{AnyCall, AnyReply};
use super::archive::Archive;
use super::durable_node::DurableNode;
use super::event_log::{EventLog, NodeState};
use super::failure::{Failure, FailureCode, FailureText};
use super::miner::{Miner, MiningThreads};
use super::net::NetSettings;
use super::os::clock::OsEntropy;
use super::os::priority::give_way;
use super::store::Store;
use crate::engine::command::{Command, CommandError, Reply};
use crate::engine::env::Entropy as _;
use crate::engine::id::CommandId;
use crate::engine::node::Progress;
use crate::engine::secret::opaque_debug;
use crate::engine::settings::NodeSettings;
use crate::engine::turn::{Effect, Input};

pub use error::RuntimeError;
pub(in crate::shell) use handle::{NodeHandle, NodeSession};
pub use recovery::{ArchiveHistory, ArchiveRecovery};

use figures::network_status;
use network::{NetworkParts, NetworkThread, Report};
use reached::ReachedAddresses;
use recovery::{ArchiveReader, TakenBack};

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
