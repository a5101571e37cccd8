//! The engine's whole state, and the one door to it.
//!
//! A driver calls [`Node::handle`] with one [`Input`], then takes every [`Output`] with
//! [`Node::poll_output`] and carries them out in order, then calls again. [`Node::deadline`] says
//! when to send [`Input::Tick`] at the latest. Three promises hold across that door:
//!
//! - a [`ReportValidation`](crate::engine::turn::Effect::ReportValidation) comes before anything
//!   else its envelope causes;
//! - a ratchet step is in an [`Output::Commit`] before the envelope it made is in an
//!   [`Publish`](crate::engine::turn::Effect::Publish), so a crash between any two outputs repeats
//!   no key;
//! - what was refused changed nothing but counters and the memory of ids.
//!
//! A [`Node`] decides nothing: it lends a turn to the relay, to catching up, to the messenger with
//! its conversations, and to the publisher. The first two know no contact.

pub mod backup;
mod commands;
pub mod input;
mod messenger;
mod publisher;
mod requests;
mod restore;
mod roster;

use crate::engine::command::CommandError;
use crate::engine::conversation::HeldBackTotals;
use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::envelope::ValidationError;
use crate::engine::event::Event;
use crate::engine::id::{Neighbour, NeighbourId};
use crate::engine::price::{AskingPrice, Line, Room, SaidSteps, Share, Step};
use crate::engine::record::Record;
use crate::engine::relay::pool::{Pool, PoolBounds};
use crate::engine::relay::{Relay, ValidationStats};
use crate::engine::settings::{NodeRole, NodeSettings, RELAY_POOL, SyncMode};
use crate::engine::sync::{CatchUp, ClockSkew};
use crate::engine::turn::{Effect, Output, Timer, Turn, Workspace};

pub use commands::MAX_QUEUED;
use input::Input;
use messenger::Messenger;
use publisher::Publisher;
pub use requests::MAX_REQUESTS;
pub use roster::{MAX_CONTACTS, MAX_IDENTITIES, MAX_NAME, MAX_REPLAYS};

/// One node: a relay, or a messenger with its identities.
#[derive(Debug)]
pub struct Node {
    settings: NodeSettings,
    workspace: Workspace,
    relay: Relay,
    catch_up: CatchUp,
    messenger: Messenger,
    price: AskingPrice,
    neighbours: Vec<Neighbour>,
}

impl Node {
    /// A node that knows nobody.
    #[must_use]
    pub fn new(settings: NodeSettings) -> Self {
        Self {
            settings,
            workspace: Workspace::default(),
            relay: Relay::new(&settings),
            catch_up: CatchUp::default(),
            messenger: Messenger::default(),
            price: AskingPrice::default(),
            neighbours: Vec::new(),
        }
    }

    /// Takes back the stored records, in the order in which they were first stored.
    ///
    /// Call once, before the first turn; then carry out the outputs. [`Node::snapshot`] says what
    /// there is.
    pub fn restore(&mut self, env: &mut Env<'_>, records: Vec<Record>) {
        self.step(env, |node, turn| {
            *node.messenger = restore::restore(turn, records);
            publisher::schedule_junk(turn);
            turn.timers.set(Timer::Sweep, turn.env.mono);
            restore::resume(node.messenger, turn);
        });
    }

    /// Drops identities, contacts, sessions and messages from memory, as a lock does; what the
    /// store keeps is untouched. Relay, pool, catching up and junk go on. [`Node::load_roster`]
    /// takes them back; until then commands find nobody, and what comes for us waits in the pool.
    pub fn unload_roster(&mut self, env: &mut Env<'_>) {
        self.step(env, |node, turn| {
            turn.drop_contacts();
            *node.messenger = Messenger::default();
        });
    }

    /// Takes back what [`Node::unload_roster`] dropped, from the store's records, and reads what
    /// came meanwhile: for each envelope in the pool about what one costs that comes in the flood.
    pub fn load_roster(&mut self, env: &mut Env<'_>, records: Vec<Record>) {
        self.step(env, |node, turn| {
            *node.messenger = restore::restore(turn, records);
            restore::resume(node.messenger, turn);
            node.messenger.read_pool(turn, node.relay.pool());
            node.finish(turn);
        });
    }

    /// Takes back an envelope that the archive kept while the process was down. It was received
    /// long ago, so it is advertised at once. Call before the first turn, once for each; carry out
    /// the outputs.
    ///
    /// # Errors
    /// Why it is not held: the archive should discard it.
    pub fn readmit(&mut self, env: &mut Env<'_>, bytes: Vec<u8>) -> Result<(), ValidationError> {
        self.step(env, |node, turn| {
            let held = node.relay.readmit(turn, bytes);
            node.relay.flush_evictions(turn);
            held
        })
    }

    /// Takes in one input. Every output of the turn before must have been taken.
    pub fn handle(&mut self, env: &mut Env<'_>, input: Input) {
        debug_assert!(
            self.workspace.is_drained(),
            "the outputs of the turn before were not drained"
        );
        self.step(env, |node, turn| {
            node.take_in(turn, input);
            node.finish(turn);
        });
    }

    /// Lets go of every envelope that was readmitted, because all that the archive has comes once
    /// more from its beginning.
    pub fn release_all(&mut self) {
        self.relay.release_all(&self.settings);
    }

    /// The next output to carry out, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.workspace.poll_output()
    }

    /// When to send [`Input::Tick`] at the latest; at once while envelopes wait in the queue.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        if self.relay.is_idle() { self.workspace.timers.next() } else { Some(Millis(0)) }
    }

    /// The present state as events, for a front end that begins to watch.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Event> {
        self.messenger.snapshot()
    }

    /// Figures for a person: totals only, which never tell junk from real envelopes.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let (price_wait, turn_wait) = self.messenger.held_back();
        NodeStatus {
            peers: self.neighbours.len(),
            pool_places: self.relay.pool().used(),
            pool_count: self.relay.pool().count(),
            pool_bounds: self.settings.pool,
            floor_bits: self.settings.floor.bits(),
            room: Share::ALL.map(|share| self.relay.pool().room(share)),
            line: *self.relay.line(),
            asked: self.price.last_paid(),
            mining_tries: self.workspace.outbox.mining_tries(),
            queued: self.messenger.unsent(),
            price_wait,
            turn_wait,
            cover: self.cover(),
            clock: self.catch_up.skew(),
            caught_up: self.catch_up.fetched(),
            validation: self.relay.stats(),
        }
    }

    /// Whether a neighbour there is said within the hour what is asked; else what is paid follows from
    /// this node's own room and line, and from what was heard before.
    #[must_use]
    pub fn hears_price(&self, now: Millis) -> bool {
        self.price.is_known(now)
    }

    /// Whether junk is sent, and at the present price.
    fn cover(&self) -> Cover {
        let asked = self.settings.lifetime.share().of(self.price.last_paid());
        match self.settings.junk {
            None => Cover::Off,
            Some(_) if asked > self.settings.highest_step => Cover::Rests,
            Some(_) => Cover::Runs,
        }
    }

    /// The steps that its own room and line ask of senders, at this time by both clocks.
    #[must_use]
    pub fn steps(&self, now: (Millis, UnixSeconds)) -> SaidSteps {
        self.relay.steps(now)
    }

    /// The pool, read-only.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        self.relay.pool()
    }

    /// The settings it was made with.
    #[must_use]
    pub const fn settings(&self) -> &NodeSettings {
        &self.settings
    }

    /// Lends a turn to the machines, and settles it.
    fn step<R>(
        &mut self,
        env: &mut Env<'_>,
        step: impl FnOnce(&mut Machines<'_>, &mut Turn<'_, '_>) -> R,
    ) -> R {
        let Self { settings, workspace, relay, catch_up, messenger, price, neighbours } = self;
        let mut turn = Turn::new(env, settings, workspace);
        let mut machines = Machines { relay, catch_up, messenger, price, neighbours };
        let result = step(&mut machines, &mut turn);
        turn.settle();
        result
    }
}

/// All machines of a node, for the length of one turn.
struct Machines<'n> {
    relay: &'n mut Relay,
    catch_up: &'n mut CatchUp,
    messenger: &'n mut Messenger,
    price: &'n mut AskingPrice,
    neighbours: &'n mut Vec<Neighbour>,
}

impl Machines<'_> {
    fn take_in(&mut self, turn: &mut Turn<'_, '_>, input: Input) {
        match input {
            Input::Gossip { from, id, bytes } => self.relay.on_gossip(turn, from, id, bytes),
            Input::OffTime { expired, early } => self.relay.count_left_out(expired, early),
            Input::Mined { outgoing, nonce } => publisher::on_mined(turn, outgoing, nonce),
            Input::Peers(peers) => self.on_neighbours(turn, peers),
            Input::SyncRequest { from, id, bytes } => {
                let ours = (self.relay.pool(), self.said_to(turn, from));
                self.catch_up.on_request(turn, ours, (from, id), &bytes);
            }
            Input::SyncResponse { id, bytes } => {
                let ids = ids(self.neighbours);
                let gate = (&mut *self.relay, &mut *self.messenger);
                let said = self.catch_up.on_response(turn, gate, (id, bytes), &ids);
                // Of one that has gone meanwhile it is not known where it was.
                let here = |id| self.neighbours.iter().find(|neighbour| neighbour.id == id);
                if let Some((from, steps)) = said.and_then(|(id, steps)| Some((*here(id)?, steps)))
                {
                    self.price.hear_again(from, steps, turn.env);
                    turn.timers.clear(Timer::FirstPrice);
                    let own = self.relay.steps(turn.env.now());
                    self.price.follow(own, turn.env);
                    let line = self.price.heard(own, turn.env.mono).line;
                    self.messenger.on_line_heard(turn, line);
                    self.publisher().judge_again(turn);
                }
            }
            Input::ArchiveMissing(ids) => self.relay.on_archive_missing(&ids),
            Input::Command { id, command } => {
                // A relay has no identity and stores nothing: there is nobody it could act for.
                let reply = match turn.settings.role {
                    NodeRole::Relay => Err(CommandError::Relay),
                    NodeRole::Messenger => {
                        self.messenger.carry_out(turn, self.relay.pool(), command)
                    }
                };
                // The changes are durable before the reply: a command that was answered must
                // survive a crash.
                turn.settle();
                turn.effect(Effect::Reply { id, reply });
            }
            Input::Tick => self.on_tick(turn),
        }
    }

    /// The neighbours changed.
    fn on_neighbours(&mut self, turn: &mut Turn<'_, '_>, neighbours: Vec<Neighbour>) {
        let before = core::mem::replace(self.neighbours, neighbours);
        let (was, is) = (ids(&before), ids(self.neighbours));
        self.catch_up.keep_serving(turn, self.neighbours);
        self.catch_up.on_neighbours(turn, self.relay.pool(), &was, &is);
        self.price.set_neighbours(is.iter().copied());
        if self.neighbours.is_empty() {
            turn.timers.clear(Timer::FirstPrice);
        } else if before.is_empty() {
            self.messenger.spread(turn);
            // What is sent before a price is known pays the floor, and a busy network ignores it.
            if turn.settings.sync != SyncMode::Off && !self.price.is_known(turn.env.mono) {
                turn.timers.set(Timer::FirstPrice, turn.env.mono.plus(FIRST_PRICE));
            }
        }
    }

    fn on_tick(&mut self, turn: &mut Turn<'_, '_>) {
        self.relay.drain_queue(turn, self.messenger);
        // A node that was never restored has no sweep set yet.
        if !turn.timers.is_set(Timer::Sweep) {
            turn.timers.set(Timer::Sweep, turn.env.mono.plus(SWEEP_EVERY));
        }
        while let Some(timer) = turn.timers.pop(turn.env.mono) {
            let pool = self.relay.pool();
            match timer {
                Timer::Junk => publisher::on_junk_due(turn),
                Timer::Sweep => {
                    self.relay.sweep(turn.env);
                    self.price.follow(self.relay.steps(turn.env.now()), turn.env);
                    self.publisher().judge_again(turn);
                    self.messenger.sweep(turn);
                    turn.timers.set(Timer::Sweep, turn.env.mono.plus(SWEEP_EVERY));
                }
                Timer::SyncAfterJoin => {
                    self.catch_up.on_join_due(turn, pool, &ids(self.neighbours));
                }
                Timer::Sync => self.catch_up.on_due(turn, pool, &ids(self.neighbours)),
                Timer::SyncNext => self.catch_up.on_next_due(turn, pool),
                Timer::Steps => self.catch_up.on_steps_due(turn, &ids(self.neighbours)),
                // Nobody said a price: one's own will do. The end of this turn sends what waits.
                Timer::FirstPrice => {}
                Timer::Requests => self.messenger.roster.store_requests(turn),
                Timer::Contact(timer, contact) => self.messenger.on_timer(turn, contact, timer),
            }
        }
    }

    /// The end of every turn with an input: begins the next envelope of ours, and has the archive
    /// discard what left the pool.
    fn finish(&mut self, turn: &mut Turn<'_, '_>) {
        // Without a neighbour nothing is encrypted: what an envelope says is decided as late as it
        // can be, and no lifetime runs while nobody could carry it.
        if !self.neighbours.is_empty() && !turn.timers.is_set(Timer::FirstPrice) {
            self.publisher().drive(turn);
        }
        self.messenger.tell_held_back(turn);
        self.relay.flush_evictions(turn);
    }

    fn publisher(&mut self) -> Publisher<'_> {
        Publisher { relay: self.relay, messenger: self.messenger, price: self.price }
    }

    /// The steps to say to a neighbour: what is asked here, if there is room for what the network
    /// holds; what was heard, if this node has less and so is full of what others have room for.
    fn said_to(&self, turn: &Turn<'_, '_>, asking: NeighbourId) -> SaidSteps {
        let own = self.relay.steps(turn.env.now());
        if turn.settings.pool.places >= RELAY_POOL.places {
            return own;
        }
        self.price.said_to(asking, own, turn.env.mono)
    }
}

fn ids(neighbours: &[Neighbour]) -> Vec<NeighbourId> {
    neighbours.iter().map(|neighbour| neighbour.id).collect()
}

/// Whether a node sends junk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// It was not told to.
    Off,
    /// It does.
    Runs,
    /// It was told to, and more is asked than may be paid for junk: none is sent.
    Rests,
}

/// Totals of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Neighbours that take part in the flood.
    pub peers: usize,
    /// Places of the pool that are taken.
    pub pool_places: usize,
    /// Envelopes in the pool.
    pub pool_count: usize,
    /// How much it may hold.
    pub pool_bounds: PoolBounds,
    /// The network's floor.
    pub floor_bits: u8,
    /// How full the share of each life is, shortest life first.
    pub room: [Room; 3],
    /// The line.
    pub line: Line,
    /// The step that a sender pays for each life, shortest first, as of the last look at what
    /// neighbours say.
    pub asked: [Step; 3],
    /// The tries that the search under way takes on average, if there is one.
    pub mining_tries: Option<u64>,
    /// Messages of ours that have not left.
    pub queued: usize,
    /// What of ours waits for a lower price.
    pub price_wait: HeldBackTotals,
    /// What of ours may be paid for, and waits its turn.
    pub turn_wait: HeldBackTotals,
    /// Whether junk is sent.
    pub cover: Cover,
    /// The difference between this machine's clock and those of its neighbours, if any reported.
    pub clock: Option<ClockSkew>,
    /// Envelopes fetched by catching up, since the start.
    pub caught_up: u64,
    /// The verdicts given.
    pub validation: ValidationStats,
}

/// How long a node with a neighbour waits to hear a price before it sends. A guess: a session of
/// catching up answers within a second, and a neighbour that does not speak it is not waited for
/// longer.
const FIRST_PRICE: Millis = Millis::from_secs(5);

/// Ten minutes: everything expires at whole hours, so sweeping more often finds little.
const SWEEP_EVERY: Millis = Millis::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::envelope::{Draft, Floor, Lifetime, Topic, inspect};
    use crate::engine::id::{SyncRequestId, SyncResponseId};
    use crate::engine::sync::{ResponseBody, SyncRequest, SyncResponse, append_envelope};
    use crate::engine::testing::mutate::{Reading, each_slow_case};
    use crate::engine::testing::rng::{NOW, SeededRng};

    /// Has a node take in an input; what it asks neighbours then.
    fn take_in(node: &mut Node, seeded: &mut SeededRng, input: Input) -> Vec<SyncRequestId> {
        node.handle(&mut seeded.turn(), input);
        let outputs = core::iter::from_fn(|| node.poll_output());
        let asked = outputs.filter_map(|output| match output {
            Output::Effect(Effect::SyncRequest { id, .. }) => Some(id),
            Output::Commit(_) | Output::AuditNonce(_) | Output::Effect(_) => None,
        });
        asked.collect()
    }

    #[test]
    fn changed_at_random_what_a_neighbour_sends_is_taken_or_refused_and_the_node_goes_on() {
        let settings = NodeSettings::new(NodeRole::Messenger, Floor::new(0));
        let draft = Draft::new(NOW, Lifetime::Day, Topic([7; 4]), vec![7; 100]).unwrap();
        let envelope = draft.mine(&settings.floor, 0).unwrap().1;
        let mut chunk = Vec::new();
        append_envelope(&mut chunk, &envelope);
        let said = |body| SyncResponse { minutes: 1, steps: SaidSteps::default(), body }.encode();
        let seeds = [
            envelope,
            SyncRequest::Begin.encode(),
            SyncRequest::Steps.encode(),
            SyncRequest::Answer(&[0x61, 0, 0, 0]).encode(),
            said(ResponseBody::Done),
            said(ResponseBody::Envelopes(&chunk)),
        ];
        let from = NeighbourId(1);
        each_slow_case(&seeds, |bytes| {
            let (mut node, mut seeded) = (Node::new(settings), SeededRng::new(1));
            let mut take = |input| take_in(&mut node, &mut seeded, input);
            let asked = take(Input::Peers(vec![Neighbour::alone(from)]));
            assert!(!asked.is_empty(), "it catches up at joining");
            for id in asked {
                drop(take(Input::SyncResponse { id, bytes: Some(bytes.to_vec()) }));
            }
            for bytes in [SyncRequest::Begin.encode(), bytes.to_vec()] {
                drop(take(Input::SyncRequest { from, id: SyncResponseId(1), bytes }));
            }
            if let Ok(id) = inspect(bytes, &settings.floor) {
                drop(take(Input::Gossip { from, id, bytes: bytes.to_vec() }));
            }
            drop(take(Input::Tick));
            Reading::Taken
        });
    }
}
