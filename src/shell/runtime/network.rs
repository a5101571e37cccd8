//! The network's thread: libp2p and the carrier, and nothing that a person's messages or a disk could
//! hold up.
//!
//! All that neighbours see comes from here. The user agent opens envelopes, waits for its store and
//! draws on other threads; it takes what the carrier lets through when it comes to it, and has this
//! thread publish what it made.

use std::io;
use std::sync::{Arc, PoisonError, mpsc as std_mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::engine::env::Env;
use crate::engine::envelope::{Acceptance, EnvelopeId};
use crate::engine::id::SyncResponseId;
use crate::engine::turn::{Effect, Input, Output};
use crate::shell::net::{Multiaddr, Net, NetError, NetEvent, NetSettings, PublishOutcome};
use crate::shell::os::clock::{Clock, OsEntropy, wall};
use crate::shell::shared_carrier::SharedCarrier;

use super::RuntimeError;
use super::archive_thread::{ArchiveFigures, ArchiveThread, Disk, DiskAnswer, Figures};

/// The network's thread, as the runtime holds it. It ends when this is dropped.
pub(super) struct NetworkThread {
    /// The archive, with which the thread begins.
    begin: Option<oneshot::Sender<Option<ArchiveThread>>>,
    orders: mpsc::Sender<Vec<u8>>,
    reports: mpsc::Receiver<Report>,
    figures: Figures,
    ended: oneshot::Receiver<()>,
}

/// What the runtime learns of the network.
pub(super) enum Report {
    /// A dial was answered at this address.
    Reached(String),
    /// Others can reach us here.
    Listening(String),
    /// Which name of a peer is not known, and why; `None` once all are.
    Names(Option<String>),
}

/// What the thread is made of.
pub(super) struct NetworkParts {
    pub(super) settings: Option<NetSettings>,
    /// Addresses that were reached before.
    pub(super) known: Vec<Multiaddr>,
    pub(super) carrier: SharedCarrier,
    pub(super) clock: Clock,
}

impl NetworkThread {
    /// Joins the network, if there is one. Nothing moves before [`Self::begin`].
    ///
    /// # Errors
    /// When an address cannot be listened on, or there is no thread to be had.
    pub(super) fn start(parts: NetworkParts) -> Result<Self, RuntimeError> {
        let (begin, begun) = oneshot::channel();
        let (orders, ordered) = mpsc::channel(WAITING);
        let (reports_tx, reports) = mpsc::channel(WAITING);
        let (over, ended) = oneshot::channel();
        let (joined_tx, joined) = std_mpsc::sync_channel(1);
        let figures = Figures::default();
        let on_thread = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(joined_tx.send(Err(RuntimeError::Thread(error)))),
            };
            runtime.block_on(async move {
                let NetworkParts { settings, known, carrier, clock } = parts;
                let net = match settings.map(|settings| join(settings, known)).transpose() {
                    Ok(net) => net,
                    Err(error) => return drop(joined_tx.send(Err(error.into()))),
                };
                if joined_tx.send(Ok(())).is_err() {
                    return;
                }
                let Ok(archive) = begun.await else { return };
                let mut driver = NetworkDriver {
                    net,
                    archive,
                    carrier,
                    clock,
                    orders: ordered,
                    reports: reports_tx,
                    lost: Vec::new(),
                    since_tick: 0,
                    given: None,
                };
                driver.serve().await;
                driver.leave().await;
            });
            // After the network is gone, and its addresses are free. Nobody may wait for it.
            if over.send(()).is_err() {
                tracing::trace!("nobody waits for the network to end");
            }
        };
        thread::Builder::new()
            .name("network".to_owned())
            .spawn(on_thread)
            .map_err(RuntimeError::Thread)?;
        // A thread that died says nothing.
        joined.recv().unwrap_or_else(|_| Err(RuntimeError::Thread(io::Error::other(DIED))))?;
        Ok(Self { begin: Some(begin), orders, reports, figures, ended })
    }

    /// Lets the network move, with a disk that has so many envelopes, if there is one.
    ///
    /// # Errors
    /// When there is no thread to be had for the disk.
    pub(super) fn begin(&mut self, disk: Option<impl Disk>, written: usize) -> io::Result<()> {
        let start = |disk| ArchiveThread::start(disk, written, Arc::clone(&self.figures));
        let archive = disk.map(start).transpose()?;
        if let Some(begin) = self.begin.take()
            && begin.send(archive).is_err()
        {
            tracing::error!("{DIED}");
        }
        Ok(())
    }

    /// Has an envelope of ours given to the flood.
    pub(super) fn publish(&self, bytes: Vec<u8>) {
        // No error: it is as one that a neighbour lost.
        if self.orders.try_send(bytes).is_err() {
            tracing::warn!("the network takes no envelope");
        }
    }

    /// The next report; `None` if the thread has ended.
    pub(super) async fn report(&mut self) -> Option<Report> {
        self.reports.recv().await
    }

    /// The archive's figures, as of the last second in which its disk answered.
    pub(super) fn archive(&self) -> Option<ArchiveFigures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the thread, and waits until it has left the network: what was published until now is
    /// given to neighbours first.
    pub(super) async fn end(&mut self) {
        self.begin = None;
        let (closed, _) = mpsc::channel(1);
        self.orders = closed;
        if (&mut self.ended).await.is_err() {
            tracing::error!("{DIED}");
        }
    }
}

/// Joins the network of these settings, and the peers that were reached before.
fn join(settings: NetSettings, known: Vec<Multiaddr>) -> Result<Net, NetError> {
    let mut net = Net::new(settings)?;
    known.into_iter().for_each(|address| net.add_peer(address));
    Ok(net)
}

/// All that runs on the thread.
struct NetworkDriver {
    net: Option<Net>,
    archive: Option<ArchiveThread>,
    carrier: SharedCarrier,
    clock: Clock,
    orders: mpsc::Receiver<Vec<u8>>,
    reports: mpsc::Sender<Report>,
    /// Envelopes that the archive does not have although the engine counts on it.
    lost: Vec<EnvelopeId>,
    since_tick: u32,
    /// When an envelope was given to neighbours last.
    given: Option<Instant>,
}

impl NetworkDriver {
    async fn serve(&mut self) {
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // It sets the carrier's timers.
        self.tick();
        loop {
            self.report_lost();
            // A steady stream of envelopes would keep the select from ever coming to the timers,
            // which stand below it.
            if self.since_tick >= EVENTS_A_TICK {
                self.tick();
                continue;
            }
            let due = self.carrier.lock().deadline().map(|at| self.clock.moment(at));
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(bytes) => self.publish(bytes),
                    None => return,
                },
                answer = next_answer(&mut self.archive) => self.on_answer(answer),
                event = next_event(&mut self.net) => self.on_net(event),
                () = super::sleep_until(due) => self.tick(),
                _ = seconds.tick() => self.on_second(),
            }
        }
    }

    /// Lets what was given to neighbours leave before their links are cut: it waits in queues of ours,
    /// and a link that is cut takes along what the system has not sent.
    async fn leave(&mut self) {
        let (Some(net), Some(given)) = (&mut self.net, self.given) else { return };
        let left = async {
            while net.has_backlog() || given.elapsed() < LINGER {
                tokio::select! {
                    // What comes now is for nobody any more.
                    _ = net.next() => {}
                    () = sleep(LOOK_EVERY) => {}
                }
            }
        };
        if timeout(LEAVES_WITHIN, left).await.is_err() {
            tracing::debug!("a slow peer did not take all that it was given");
        }
    }

    fn tick(&mut self) {
        self.since_tick = 0;
        self.turn(Input::Tick);
    }

    /// Takes a turn; how many envelopes are held then, for each of which the archive has its order.
    fn turn(&mut self, input: Input) -> usize {
        tracing::trace!(?input);
        let mut entropy = OsEntropy;
        let mut env = Env::new(self.clock.mono(), wall(), &mut entropy);
        let (outputs, held): (Vec<Output>, usize) = {
            let mut carrier = self.carrier.lock();
            carrier.handle(&mut env, input);
            let outputs = core::iter::from_fn(|| carrier.poll_output()).collect();
            (outputs, carrier.pool().count())
        };
        for output in outputs {
            match output {
                Output::Effect(effect) => self.carry_out(effect),
                // A carrier stores nothing and encrypts nothing.
                Output::Commit(_) | Output::AuditNonce(_) => {}
            }
        }
        held
    }

    fn carry_out(&mut self, effect: Effect) {
        tracing::trace!(?effect);
        match effect {
            Effect::ReportValidation { from, id, acceptance } => {
                if acceptance == Acceptance::Accept {
                    self.given = Some(Instant::now());
                }
                if let Some(net) = &mut self.net {
                    net.report_validation(from, id, acceptance);
                }
            }
            Effect::SyncRequest { to, id, bytes } => {
                if let Some(net) = &mut self.net {
                    net.sync_request(to, id, bytes);
                }
            }
            Effect::SyncResponse { id, bytes, stored } => self.respond(id, bytes, stored),
            Effect::Penalize(neighbour) => {
                if let Some(net) = &mut self.net {
                    net.penalize(neighbour);
                }
            }
            Effect::Archive { id, bytes } => {
                if let Some(archive) = &mut self.archive
                    && !archive.keep(id, bytes)
                {
                    self.lost.push(id);
                }
            }
            Effect::Discard(ids) => {
                if let Some(archive) = &mut self.archive {
                    archive.discard(ids);
                }
            }
            // Those of a user agent.
            Effect::StartMining(_)
            | Effect::StopMining(_)
            | Effect::Publish { .. }
            | Effect::Reply { .. }
            | Effect::Event(_) => {}
        }
    }

    /// Responds with what the engine says, and envelopes of the archive. One that is not there is
    /// left out, and so are all if the disk is too slow.
    fn respond(&mut self, id: SyncResponseId, mut response: Vec<u8>, stored: Vec<EnvelopeId>) {
        if let Some(archive) = self.archive.as_ref().filter(|_| !stored.is_empty()) {
            match archive.finish(id, response, stored) {
                Ok(()) => return,
                Err(without) => response = without,
            }
        }
        self.sync_respond(id, response);
    }

    fn sync_respond(&mut self, id: SyncResponseId, response: Vec<u8>) {
        if let Some(net) = &mut self.net {
            net.sync_respond(id, response);
        }
    }

    fn on_answer(&mut self, answer: DiskAnswer) {
        match answer {
            DiskAnswer::Response(id, response) => self.sync_respond(id, response),
            DiskAnswer::Lost(ids) => self.lost.extend(ids),
        }
    }

    /// Reports the lost to the engine, before its next turn.
    fn report_lost(&mut self) {
        while !self.lost.is_empty() {
            let lost = std::mem::take(&mut self.lost);
            self.turn(Input::ArchiveMissing(lost));
        }
    }

    fn on_second(&mut self) {
        if self.archive.is_none() {
            return;
        }
        let held = self.turn(Input::Tick);
        if let Some(archive) = &mut self.archive {
            archive.beat(held.saturating_sub(self.lost.len()));
        }
    }

    fn publish(&mut self, bytes: Vec<u8>) {
        let Some(net) = &mut self.net else { return };
        self.given = Some(Instant::now());
        match net.publish(bytes) {
            PublishOutcome::Sent | PublishOutcome::Known => {}
            // No error: the engine sends the message again until it is acknowledged, and the
            // network reports its neighbours itself.
            PublishOutcome::NoPeers => tracing::debug!("no peer to publish an envelope to"),
            PublishOutcome::Congested => tracing::warn!("the send queues of all peers are full"),
            PublishOutcome::TooLong => {
                tracing::error!("an envelope of ours is too long to publish")
            }
        }
    }

    fn on_net(&mut self, event: NetEvent) {
        match event {
            NetEvent::Engine(input) => {
                // Counted towards the next forced tick: a busy network must not keep the engine
                // from its timers.
                self.since_tick += 1;
                self.turn(input);
            }
            NetEvent::Reached(address) => self.report(Report::Reached(address.to_string())),
            NetEvent::Listening(address) => self.report(Report::Listening(address.to_string())),
            NetEvent::Names(trouble) => {
                let words = trouble.map(|(name, fault)| format!("{name}: {fault}"));
                self.report(Report::Names(words));
            }
            NetEvent::ListenFailed(_) => tracing::warn!("a listener has closed"),
            NetEvent::DialFailed { address: _, kind } => tracing::info!("a dial failed: {kind}"),
            NetEvent::Disconnected { from: _, why } => {
                tracing::info!("disconnected from a peer: {why:?}")
            }
        }
    }

    fn report(&self, report: Report) {
        // The network does not wait: an address that was reached is reached again.
        if self.reports.try_send(report).is_err() {
            tracing::debug!("a report of the network found no room");
        }
    }
}

async fn next_answer(archive: &mut Option<ArchiveThread>) -> DiskAnswer {
    match archive {
        Some(archive) => archive.answer().await,
        None => std::future::pending().await,
    }
}

async fn next_event(net: &mut Option<Net>) -> NetEvent {
    match net {
        Some(net) => net.next().await,
        None => std::future::pending().await,
    }
}

/// Inputs of the network between two forced ticks; as many envelopes are queued before the highest
/// rated of them are looked at.
const EVENTS_A_TICK: u32 = 64;

/// How long the links stay at the end of a node after an envelope was given to them last: a round trip
/// of a slow one, after which the system has sent it. A guess.
const LINGER: Duration = Duration::from_millis(300);

/// How long they stay at most. A guess: whoever has not taken an envelope by then is far behind, and
/// fetches it from others.
const LEAVES_WITHIN: Duration = Duration::from_secs(2);

/// The time between two looks at what waits for neighbours.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Orders, and reports, that wait at most. A guess: a person writes a few messages a minute.
const WAITING: usize = 64;

const DIED: &str = "the network's thread ended, which is a fault of this program";
