//! The carrier: what a node does for the network, and all that the network can see of it.
//!
//! Verdicts, pool, line, price and catching up are here, and nothing of it depends on what could be
//! decrypted: a [`Carrier`] knows no identity, no contact and no session, and waits for nobody who
//! does. What it lets through it puts into a queue, from which the user agent
//! ([`crate::engine::node::UserAgent`]) takes it whenever it comes to it, on another thread where
//! there is one. The other way there are only the questions and orders of a [`Carriage`], each of
//! which takes microseconds.

mod carriage;

use std::collections::BTreeSet;

use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::envelope::{CheckedEnvelope, EnvelopeId, Topic, ValidationError};
use crate::engine::id::{Neighbour, NeighbourId};
use crate::engine::price::{AskingPrice, Line, SaidSteps, Share, Step};
use crate::engine::relay::pool::Pool;
use crate::engine::relay::{Overflow, Relay, ValidationStats};
use crate::engine::settings::{NodeSettings, RELAY_POOL};
use crate::engine::sync::{CatchUp, ClockSkew};
use crate::engine::turn::{Input, Output, Timer, Turn, Workspace};

pub use carriage::{Carriage, Handover, Market, News};

/// Ten minutes: everything expires at whole hours, so sweeping more often finds little.
pub(in crate::engine) const SWEEP_EVERY: Millis = Millis::from_secs(600);

/// The half of a node that carries envelopes.
#[derive(Debug)]
pub struct Carrier {
    settings: NodeSettings,
    workspace: Workspace,
    relay: Relay,
    catch_up: CatchUp,
    price: AskingPrice,
    neighbours: Vec<Neighbour>,
    news: BTreeSet<News>,
}

impl Carrier {
    /// A carrier that knows nobody.
    #[must_use]
    pub fn new(settings: NodeSettings) -> Self {
        Self {
            settings,
            workspace: Workspace::default(),
            relay: Relay::new(&settings),
            catch_up: CatchUp::default(),
            price: AskingPrice::default(),
            neighbours: Vec::new(),
            news: BTreeSet::new(),
        }
    }

    /// Takes back an envelope that the archive kept while the process was down, with the id that it
    /// computed of the very same bytes. It was received long ago, so it is advertised at once.
    ///
    /// # Errors
    /// Why it is not held: the archive should discard it.
    pub fn readmit(
        &mut self,
        env: &mut Env<'_>,
        named: (EnvelopeId, Vec<u8>),
    ) -> Result<(), ValidationError> {
        self.step(env, |carrier, turn| {
            let held = carrier.relay.readmit(turn, named);
            carrier.relay.flush_evictions(turn);
            held
        })
    }

    /// Lets go of every envelope that was readmitted, because all that the archive has comes once
    /// more from its beginning.
    pub fn release_all(&mut self) {
        self.relay.release_all(&self.settings);
    }

    /// Takes in one input. Those of the user agent change nothing here.
    pub fn handle(&mut self, env: &mut Env<'_>, input: Input) {
        self.step(env, |carrier, turn| {
            carrier.take_in(turn, input);
            carrier.relay.flush_evictions(turn);
        });
    }

    /// The next output to carry out, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.workspace.poll_output()
    }

    /// When to send [`Input::Tick`] at the latest; at once while envelopes wait for their
    /// verdicts.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        if self.relay.is_idle() { self.workspace.timers.next() } else { Some(Millis(0)) }
    }

    /// Whether a neighbour there is said within the hour what is asked; else what is paid follows from
    /// this node's own room and line, and from what was heard before.
    #[must_use]
    pub fn hears_price(&self, now: Millis) -> bool {
        self.price.is_known(now)
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

    /// The line.
    #[must_use]
    pub const fn line(&self) -> &Line {
        self.relay.line()
    }

    /// The settings it was made with.
    #[must_use]
    pub const fn settings(&self) -> &NodeSettings {
        &self.settings
    }

    /// Neighbours that take part in the flood.
    #[must_use]
    pub const fn peers(&self) -> usize {
        self.neighbours.len()
    }

    /// The verdicts given.
    #[must_use]
    pub const fn stats(&self) -> ValidationStats {
        self.relay.stats()
    }

    /// The step that a sender pays for each life, shortest first, as of the last look.
    #[must_use]
    pub const fn last_paid(&self) -> [Step; 3] {
        self.price.last_paid()
    }

    /// The difference between this machine's clock and those of its neighbours, if any reported.
    #[must_use]
    pub fn skew(&self) -> Option<ClockSkew> {
        self.catch_up.skew()
    }

    /// Envelopes fetched by catching up, since the start.
    #[must_use]
    pub const fn fetched(&self) -> u64 {
        self.catch_up.fetched()
    }

    /// Lends a turn to the machines.
    fn step<R>(
        &mut self,
        env: &mut Env<'_>,
        step: impl FnOnce(&mut CarrierMachines<'_>, &mut Turn<'_, '_>) -> R,
    ) -> R {
        let Self { settings, workspace, relay, catch_up, price, neighbours, news } = self;
        let mut turn = Turn::new(env, settings, workspace);
        let mut machines = CarrierMachines { relay, catch_up, price, neighbours, news };
        step(&mut machines, &mut turn)
    }
}

impl Carriage for Carrier {
    fn hand_over(&mut self, most: usize) -> Handover {
        let inbox = self.relay.inbox();
        let envelopes = inbox.take(most);
        let waiting = inbox.len();
        if inbox.take_overflow() == Overflow::LeftOut {
            self.news.insert(News::LeftOut);
        }
        let news = core::mem::take(&mut self.news);
        Handover { news, neighbours: self.neighbours.len(), envelopes, waiting }
    }

    fn market(&mut self, env: &Env<'_>) -> Market {
        let own = self.relay.steps(env.now());
        self.price.follow(own, env);
        Market {
            paid: Share::ALL.map(|share| self.price.pay(share, env.mono)),
            own_line: own.line,
            heard_line: self.price.heard(own, env.mono).line,
        }
    }

    fn is_price_known(&self, now: Millis) -> bool {
        self.price.is_known(now)
    }

    fn admit_own(&mut self, env: &mut Env<'_>, envelope: CheckedEnvelope) {
        self.step(env, |carrier, turn| {
            carrier.relay.admit_own(turn, envelope);
            carrier.relay.count_published();
            carrier.relay.flush_evictions(turn);
        });
    }

    fn by_topic(&self, topic: Topic) -> Vec<CheckedEnvelope> {
        self.relay.pool().by_topic(topic).cloned().collect()
    }

    fn held(&self) -> Vec<EnvelopeId> {
        self.relay.pool().by_rank().map(CheckedEnvelope::id).collect()
    }

    fn envelope(&self, id: &EnvelopeId) -> Option<CheckedEnvelope> {
        self.relay.pool().checked(id).cloned()
    }
}

/// All machines of a carrier, for the length of one turn.
struct CarrierMachines<'c> {
    relay: &'c mut Relay,
    catch_up: &'c mut CatchUp,
    price: &'c mut AskingPrice,
    neighbours: &'c mut Vec<Neighbour>,
    news: &'c mut BTreeSet<News>,
}

impl CarrierMachines<'_> {
    fn take_in(&mut self, turn: &mut Turn<'_, '_>, input: Input) {
        match input {
            Input::Gossip { from, id, bytes } => self.relay.on_gossip(turn, from, id, bytes),
            Input::OffTime { expired, early } => self.relay.count_left_out(expired, early),
            Input::Peers(peers) => self.on_neighbours(turn, peers),
            Input::Resumed => CatchUp::on_resumed(turn),
            Input::SyncRequest { from, id, bytes } => {
                let ours = (self.relay.pool(), self.said_to(turn, from));
                self.catch_up.on_request(turn, ours, (from, id), &bytes);
            }
            Input::SyncResponse { id, bytes } => {
                let said = self.catch_up.on_response(turn, self.relay, (id, bytes));
                // Of one that has gone meanwhile it is not known where it was.
                let here = |id| self.neighbours.iter().find(|neighbour| neighbour.id == id);
                if let Some((from, steps)) = said.and_then(|(id, steps)| Some((*here(id)?, steps)))
                {
                    self.price.hear_again(from, steps, turn.env);
                    let own = self.relay.steps(turn.env.now());
                    self.price.follow(own, turn.env);
                    self.news.insert(News::PriceHeard);
                }
            }
            Input::ArchiveMissing(ids) => self.relay.on_archive_missing(&ids),
            Input::Tick => self.on_tick(turn),
            Input::Mined { .. } | Input::Command { .. } => {}
        }
    }

    /// The neighbours changed.
    fn on_neighbours(&mut self, turn: &mut Turn<'_, '_>, neighbours: Vec<Neighbour>) {
        let before = core::mem::replace(self.neighbours, neighbours);
        let (was, is) = (ids(&before), ids(self.neighbours));
        self.catch_up.keep_serving(turn, self.neighbours);
        self.catch_up.on_neighbours(turn, self.relay.pool(), &was, self.neighbours);
        self.price.set_neighbours(is.iter().copied());
        if before.is_empty() && !self.neighbours.is_empty() {
            self.news.insert(News::FirstNeighbour);
        }
    }

    fn on_tick(&mut self, turn: &mut Turn<'_, '_>) {
        self.relay.drain_queue(turn);
        if !turn.timers.is_set(Timer::Sweep) {
            turn.timers.set(Timer::Sweep, turn.env.mono.plus(SWEEP_EVERY));
        }
        while let Some(timer) = turn.timers.pop(turn.env.mono) {
            let pool = self.relay.pool();
            match timer {
                Timer::Sweep => {
                    self.relay.sweep(turn.env);
                    self.price.follow(self.relay.steps(turn.env.now()), turn.env);
                    turn.timers.set(Timer::Sweep, turn.env.mono.plus(SWEEP_EVERY));
                }
                Timer::SyncAfterJoin => self.catch_up.on_join_due(turn, pool, self.neighbours),
                Timer::Sync => self.catch_up.on_due(turn, pool, self.neighbours),
                Timer::SyncNext => self.catch_up.on_next_due(turn, pool),
                Timer::SyncWait => self.catch_up.on_wait_due(turn, pool),
                Timer::Steps => self.catch_up.on_steps_due(turn, self.neighbours),
                // Those of the user agent are in its own workspace.
                Timer::Junk
                | Timer::FirstPrice
                | Timer::Joining
                | Timer::Requests
                | Timer::Contact(..) => {}
            }
        }
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
