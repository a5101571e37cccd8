//! The runtime: one task with one `select!` that feeds the engine its inputs and carries out its
//! effects, with a network.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::api::{
    ArchiveStatus, ClientEvent, ClientRequest, HasMore, MiningStatus, NetworkStatus, Persistence,
};
use super::archive::{Archive, ArchiveError, ArchiveFault, Disposition};
use super::durable_node::{DurableNode, FIRST_INTERNAL_COMMAND};
use super::miner::Miner;
use super::net::{Net, NetError, NetEvent, NetSettings, PublishOutcome};
use super::store::{Store, StoreError, StoreMode};
use crate::engine::command::Command;
use crate::engine::env::Millis;
use crate::engine::envelope::{EnvelopeId, ValidationError};
use crate::engine::id::{CommandId, ContactId, MessageId};
use crate::engine::node::input::Input;
use crate::engine::secret::opaque_debug;
use crate::engine::settings::NodeSettings;
use crate::engine::sync;
use crate::engine::turn::Effect;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::io_words::io_words;

/// A node with its network, its store and its miner.
pub struct Runtime {
    durable: DurableNode,
    archive: Option<Archive>,
    net: Net,
    miner: Miner,
    network: String,
    /// Without our transport key, which is another one after a restart: the addresses stay good.
    listening: Vec<String>,
    seconds: Interval,
    line: Option<NetworkStatus>,
    clients: Vec<mpsc::Sender<ClientEvent>>,
    subscribe_rx: mpsc::Receiver<mpsc::Sender<ClientEvent>>,
    subscribe_tx: mpsc::Sender<mpsc::Sender<ClientEvent>>,
    store_jobs: mpsc::Receiver<StoreJob>,
    store_tx: mpsc::Sender<StoreJob>,
    /// Events the clients have not got yet. Never more than one turn makes, because the next turn
    /// waits for them.
    event_queue: VecDeque<ClientEvent>,
    since_tick: u32,
}

opaque_debug!(struct Runtime {
    durable, archive, net, miner, network, listening, seconds, line, clients, subscribe_rx, subscribe_tx, store_jobs, store_tx,
    event_queue,
    since_tick,
});

/// A handle that subscribes further clients while a runtime runs.
#[derive(Clone, Debug)]
pub struct Subscriptions(mpsc::Sender<mpsc::Sender<ClientEvent>>);

impl Subscriptions {
    /// Sends a snapshot of the present state to `events`, and from then on every event. Nothing is
    /// sent when the runtime has ended.
    pub async fn subscribe(&self, events: mpsc::Sender<ClientEvent>) {
        if self.0.send(events).await.is_err() {
            tracing::debug!("the runtime has ended");
        }
    }
}

/// A handle that runs closures on the store between two turns of the engine.
#[derive(Clone, Debug)]
pub struct StoreHandle(mpsc::Sender<StoreJob>);

/// A closure that is run on the store between two turns of the engine.
type StoreJob = Box<dyn FnOnce(&mut Store) + Send>;

impl StoreHandle {
    /// Runs `job` on the store and returns its result; `None` when the runtime has ended. The node
    /// stands still meanwhile. Records of the engine must not be changed behind its back.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let boxed: StoreJob = Box::new(move |store| {
            if answer.send(job(store)).is_err() {
                tracing::debug!("the requester is gone");
            }
        });
        self.0.send(boxed).await.ok()?;
        answered.await.ok()
    }
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
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Store(error) => error.into(),
            RuntimeError::Net(error) => error.into(),
            RuntimeError::Archive(error) => error.into(),
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchiveRecovery {
    /// Held.
    pub held: u64,
    /// Expired.
    pub expired: u64,
    /// Refused for another reason: better ones fill the size, or the floor is another.
    pub refused: u64,
    /// Damaged, each by itself.
    pub damaged: u64,
    /// How many were saved from the file, if it was damaged.
    pub salvaged: Option<u64>,
}

impl Runtime {
    /// Restores the node and joins the network. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When the store cannot be read or an address cannot be listened on.
    pub fn start(
        node: NodeSettings,
        mut net: NetSettings,
        store: Store,
    ) -> Result<Self, RuntimeError> {
        let mut durable = DurableNode::open(node, store)?;
        durable.settle()?;
        if let Some(path) = std::env::var_os(LEDGER_VARIABLE).filter(|_| cfg!(debug_assertions)) {
            durable.keep_ledger(path.as_ref())?;
        }
        let network = net.network.to_string();
        net.floor_bits = node.floor.bits();
        let mut net = Net::new(net)?;
        for address in durable.store().peers()? {
            if let Ok(address) = address.parse() {
                net.add_peer(address);
            }
        }
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (subscribe_tx, subscribe_rx) = mpsc::channel(CLIENTS_WAITING);
        let mut miner = Miner::default();
        miner.measure();
        let (store_tx, store_jobs) = mpsc::channel(CLIENTS_WAITING);
        Ok(Self {
            durable,
            archive: None,
            net,
            miner,
            network,
            listening: Vec::new(),
            seconds,
            line: None,
            clients: Vec::new(),
            subscribe_rx,
            subscribe_tx,
            store_jobs,
            store_tx,
            event_queue: VecDeque::new(),
            since_tick: 0,
        })
    }

    /// Attaches an archive, and has the engine take over the envelopes in it. Call it once, before
    /// [`Self::run`], on a node whose settings say that there is an archive. Takes time for each
    /// envelope.
    ///
    /// # Errors
    /// When the archive or the store fails.
    pub fn attach_archive(
        &mut self,
        mut archive: Archive,
    ) -> Result<ArchiveRecovery, RuntimeError> {
        let mut taken = ArchiveRecovery::default();
        let mut left = Vec::new();
        let mut failed = None;
        let found = archive.take_over(|_, bytes| {
            let reheld = self.durable.readmit(bytes);
            // After each one, because the outputs of a turn must be taken before the next turn.
            failed = failed.take().or(self.discarded(&mut left).err());
            match reheld {
                Ok(()) => taken.held += 1,
                // A salvaged file hands some rows out twice; it is held already.
                Err(ValidationError::Duplicate) => {}
                Err(ValidationError::Expired) => {
                    taken.expired += 1;
                    return Disposition::Dropped;
                }
                Err(
                    ValidationError::TooLarge
                    | ValidationError::Malformed
                    | ValidationError::InvalidTtl
                    | ValidationError::UnalignedExpiry
                    | ValidationError::TooFarInFuture
                    | ValidationError::InsufficientPow
                    | ValidationError::PoolFull
                    | ValidationError::QueueFull,
                ) => {
                    taken.refused += 1;
                    return Disposition::Dropped;
                }
            }
            Disposition::Held
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        archive.discard(&left);
        // Counted as held before a better one pushed them out.
        let pushed_out = left.len() as u64;
        taken.held = taken.held.saturating_sub(pushed_out);
        taken.refused += pushed_out;
        (taken.damaged, taken.salvaged) = (found.damaged, found.salvaged);
        self.archive = Some(archive);
        Ok(taken)
    }

    /// Takes the effects of an envelope that was handed back: others may have to make room for it.
    fn discarded(&mut self, left: &mut Vec<EnvelopeId>) -> Result<(), StoreError> {
        while let Some(effect) = self.durable.next_effect()? {
            if let Effect::Discard(ids) = effect {
                left.extend(ids);
            }
        }
        Ok(())
    }

    /// A handle that subscribes clients, before or while it runs.
    #[must_use]
    pub fn subscriptions(&self) -> Subscriptions {
        Subscriptions(self.subscribe_tx.clone())
    }

    /// A handle to the store, before or while it runs.
    #[must_use]
    pub fn store_handle(&self) -> StoreHandle {
        StoreHandle(self.store_tx.clone())
    }

    /// A setting from the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn setting(&mut self, name: &'static str) -> Result<Option<String>, RuntimeError> {
        Ok(self.durable.store().setting(name)?)
    }

    /// Runs until [`ClientRequest::Quit`], or until the other end of the requests is dropped.
    ///
    /// # Errors
    /// When the store fails; the last event says so too.
    pub async fn run(
        mut self,
        mut requests: mpsc::Receiver<ClientRequest>,
    ) -> Result<(), RuntimeError> {
        let ended = self.serve(&mut requests).await;
        if let Err(error) = &ended {
            self.event_queue.push_back(ClientEvent::Fatal(error.to_string()));
            self.flush().await;
        }
        ended
    }

    async fn serve(
        &mut self,
        requests: &mut mpsc::Receiver<ClientRequest>,
    ) -> Result<(), RuntimeError> {
        loop {
            // Before the next input: so the queue of events stays as short as one turn makes it,
            // and a slow client slows the node down rather than filling its memory.
            self.flush().await;
            if let Some(lost) = self.lost() {
                self.turn(Input::ArchiveMissing(lost))?;
                continue;
            }
            // A steady stream of envelopes would keep the select from ever coming to the timers,
            // which stand below it.
            if self.since_tick >= EVENTS_A_TICK {
                self.tick()?;
                continue;
            }
            let due = self.durable.deadline().map(|at| self.durable.clock().moment(at));
            tokio::select! {
                biased;
                // Before the requests, so that a client that subscribes and then asks gets the
                // reply.
                Some(client) = self.subscribe_rx.recv() => self.send_snapshot(client).await?,
                request = requests.recv() => match request {
                    None | Some(ClientRequest::Quit) => return Ok(()),
                    Some(request) => self.on_request(request)?,
                },
                Some(work) = self.store_jobs.recv() => work(self.durable.store()),
                (outgoing, nonce) = self.miner.next() => {
                    self.turn(Input::Mined { outgoing, nonce })?;
                }
                event = self.net.next() => self.on_net(event)?,
                () = sleep_until(due) => self.tick()?,
                _ = self.seconds.tick() => self.on_second(),
            }
        }
    }

    /// Sends a client the present state, and subscribes it to events.
    async fn send_snapshot(
        &mut self,
        client: mpsc::Sender<ClientEvent>,
    ) -> Result<(), RuntimeError> {
        let kept = match self.durable.store().kept() {
            StoreMode::Sealed => Persistence::Sealed,
            StoreMode::MemoryOnly => Persistence::MemoryOnly,
        };
        let mut all = vec![ClientEvent::Persistence(kept)];
        all.extend(self.durable.node().snapshot().into_iter().map(ClientEvent::Engine));
        for (contact, count) in self.durable.store().messages().unread()? {
            all.push(ClientEvent::UnreadCount(contact, count));
        }
        all.push(ClientEvent::Network(self.network_status()));
        for event in all {
            // Never subscribed: a client with a gap in its snapshot would show a wrong state.
            if !try_deliver(&client, event).await {
                return Ok(());
            }
        }
        self.clients.push(client);
        Ok(())
    }

    fn tick(&mut self) -> Result<(), RuntimeError> {
        self.since_tick = 0;
        self.turn(Input::Tick)
    }

    fn turn(&mut self, input: Input) -> Result<(), RuntimeError> {
        tracing::trace!(?input);
        self.durable.turn(input);
        self.carry_out()
    }

    fn carry_out(&mut self) -> Result<(), RuntimeError> {
        while let Some(effect) = self.durable.next_effect()? {
            tracing::trace!(?effect);
            match effect {
                Effect::ReportValidation { from, id, acceptance } => {
                    self.net.report_validation(from, id, acceptance);
                }
                Effect::StartMining(job) => self.miner.start(job),
                Effect::StopMining(outgoing) => self.miner.stop(outgoing),
                Effect::Publish { id: _, bytes } => self.publish(bytes),
                Effect::SyncRequest { to, id, bytes } => self.net.sync_request(to, id, bytes),
                Effect::SyncResponse { id, mut bytes, stored } => {
                    self.append_stored(&mut bytes, &stored);
                    self.net.sync_respond(id, bytes);
                }
                Effect::Penalize(neighbour) => self.net.penalize(neighbour),
                Effect::Archive { id, bytes } => {
                    if let Some(archive) = &mut self.archive {
                        archive.keep(id, &bytes);
                    }
                }
                Effect::Discard(ids) => {
                    if let Some(archive) = &mut self.archive {
                        archive.discard(&ids);
                    }
                }
                // Nobody waits for the reply: its only error is a contact that was removed
                // meanwhile.
                Effect::Reply { id: INTERNAL_COMMAND, reply: _ } => {}
                Effect::Reply { id, reply } => {
                    self.event_queue.push_back(ClientEvent::Replied(id, reply));
                }
                Effect::Event(event) => self.event_queue.push_back(ClientEvent::Engine(event)),
            }
        }
        Ok(())
    }

    /// Appends envelopes of the archive to a response. One that is not there is left out, and
    /// reported to the engine before its next turn.
    fn append_stored(&mut self, response: &mut Vec<u8>, stored: &[EnvelopeId]) {
        let Some(archive) = &mut self.archive else { return };
        for id in stored {
            if let Some(envelope) = archive.get(id) {
                sync::append_envelope(response, &envelope);
            }
        }
    }

    /// Envelopes that the archive does not have although the engine counts on it.
    fn lost(&mut self) -> Option<Vec<EnvelopeId>> {
        self.archive.as_mut().map(Archive::take_lost).filter(|lost| !lost.is_empty())
    }

    fn on_second(&mut self) {
        if let Some(archive) = &mut self.archive {
            archive.beat();
        }
        self.tell_network();
    }

    fn publish(&mut self, bytes: Vec<u8>) {
        match self.net.publish(bytes) {
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

    fn on_net(&mut self, event: NetEvent) -> Result<(), RuntimeError> {
        match event {
            NetEvent::Engine(input) => {
                // Counted towards the next forced tick: a busy network must not keep the engine
                // from its timers.
                self.since_tick += 1;
                return self.turn(input);
            }
            NetEvent::Reached(address) => {
                // Remembered only once it was reached, and dialled again after a restart.
                self.durable.store().remember_peer(&address.to_string())?;
            }
            NetEvent::Listening(address) => self.listening.push(address.to_string()),
            NetEvent::ListenFailed(_) => tracing::warn!("a listener has closed"),
            NetEvent::DialFailed { address: _, kind } => tracing::info!("a dial failed: {kind}"),
            NetEvent::Disconnected { from: _, why } => {
                tracing::info!("disconnected from a peer: {why:?}")
            }
        }
        Ok(())
    }

    fn on_request(&mut self, request: ClientRequest) -> Result<(), RuntimeError> {
        match request {
            ClientRequest::Command(ask, command) => self.turn(Input::Command { id: ask, command }),
            ClientRequest::History { contact, before } => self.tell_history(contact, before),
            ClientRequest::Search { contact, words } => self.tell_found(contact, words),
            ClientRequest::Query(ask, query) => {
                let messages = self.durable.query(&query)?;
                self.event_queue.push_back(ClientEvent::QueryResult(ask, messages));
                Ok(())
            }
            ClientRequest::Read { contact, message } => self.mark_read(contact, message),
            ClientRequest::Quit => Ok(()),
        }
    }

    fn tell_history(
        &mut self,
        contact: ContactId,
        before: Option<MessageId>,
    ) -> Result<(), RuntimeError> {
        let records = self.durable.store().messages().page(contact, before, HISTORY_PAGE)?;
        let more = if records.len() == HISTORY_PAGE { HasMore::Yes } else { HasMore::No };
        let messages = records.iter().map(|record| record.view()).collect();
        self.event_queue.push_back(ClientEvent::History { contact, messages, more });
        Ok(())
    }

    fn tell_found(
        &mut self,
        contact: Option<ContactId>,
        words: String,
    ) -> Result<(), RuntimeError> {
        let records = self.durable.store().search(contact, &words, None, HISTORY_PAGE)?;
        let more = if records.len() == HISTORY_PAGE { HasMore::Yes } else { HasMore::No };
        let messages = records.iter().map(|record| record.view()).collect();
        self.event_queue.push_back(ClientEvent::Found { contact, words, messages, more });
        Ok(())
    }

    /// A person has read a conversation up to a message: the store counts what came after it as
    /// unread, and the engine sends a read receipt for the rest, if both sides turned that on.
    fn mark_read(&mut self, contact: ContactId, message: MessageId) -> Result<(), RuntimeError> {
        let Some(number) = self.durable.store().mark_read(contact, message)? else { return Ok(()) };
        let command = Command::MarkRead { contact, number };
        self.turn(Input::Command { id: INTERNAL_COMMAND, command })
    }

    /// Emits the network's status, when it changed.
    fn tell_network(&mut self) {
        let line = self.network_status();
        if self.line.as_ref() != Some(&line) {
            self.line = Some(line.clone());
            self.event_queue.push_back(ClientEvent::Network(line));
        }
    }

    fn network_status(&self) -> NetworkStatus {
        let status = self.durable.node().status();
        let settings = self.durable.node().settings();
        NetworkStatus {
            peers: status.peers,
            network: self.network.clone(),
            listening: self.listening.clone(),
            pool_bytes: status.pool_bytes,
            pool_capacity: status.pool_bounds.bytes,
            pool_items: status.pool_count,
            floor_bits: status.floor_bits,
            cover_per_minute: settings.junk.map(per_minute),
            mining: status
                .mining_bits
                .map(|bits| MiningStatus { bits, hashes_per_second: self.miner.rate() }),
            queued: status.queued,
            rate: self.miner.rate(),
            clock: status.clock,
            caught_up: status.caught_up,
            archive: self.archive.as_ref().map(|archive| ArchiveStatus {
                bytes: archive.bytes(),
                missed: archive.missed(),
                trouble: archive.trouble().map(ArchiveFault::words),
            }),
        }
    }

    /// Sends the queued events to all clients. One that is gone or does not read is unsubscribed.
    async fn flush(&mut self) {
        while let Some(event) = self.event_queue.pop_front() {
            let mut index = 0;
            while let Some(client) = self.clients.get(index) {
                if try_deliver(client, event.clone()).await {
                    index += 1;
                } else {
                    self.clients.remove(index);
                }
            }
        }
    }
}

/// Hands one event to a client, if it takes it in time.
async fn try_deliver(client: &mpsc::Sender<ClientEvent>, event: ClientEvent) -> bool {
    matches!(tokio::time::timeout(PATIENCE, client.send(event)).await, Ok(Ok(())))
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

/// Inputs of the network between two forced ticks; as many envelopes are queued before the highest
/// rated of them are looked at.
const EVENTS_A_TICK: u32 = 64;

/// Messages handed over at once: a few screens.
const HISTORY_PAGE: usize = 100;

/// The time for which a client may leave a full channel unread; then it is not coming back. A
/// guess.
const PATIENCE: Duration = Duration::from_secs(5);

/// Subscriptions that wait at once; further callers wait for their turn.
const CLIENTS_WAITING: usize = 4;

/// The id of the runtime's own commands.
const INTERNAL_COMMAND: CommandId = CommandId(FIRST_INTERNAL_COMMAND);

/// Names a file for the ledger of a debug build.
const LEDGER_VARIABLE: &str = "UNDERTONE_NONCE_LEDGER";
