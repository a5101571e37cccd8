//! The user agent: the half of a node that has identities, contacts and conversations.
//!
//! It takes what the carrier let through whenever it comes to it, and the carrier waits for nothing
//! of it. It is driven by commands, by the results of its searches for work, by its own timers, and
//! by [`UserAgent::gather`]: its driver calls that at times that do not depend on what came in, or
//! the time of opening would tell what was opened.

use std::collections::VecDeque;

use crate::engine::carrier::{Carriage, Handover, News, SWEEP_EVERY};
use crate::engine::command::CommandError;
use crate::engine::conversation::HeldBackIn;
use crate::engine::env::{Env, Millis};
use crate::engine::envelope::EnvelopeId;
use crate::engine::event::Event;
use crate::engine::record::Record;
use crate::engine::relay::Source;
use crate::engine::settings::{NodeRole, NodeSettings, SyncMode};
use crate::engine::turn::{Effect, Input, Output, Timer, Turn, Workspace};

use super::messenger::{self, Messenger};
use super::publisher::{self, Publisher};
use super::restore;

/// Envelopes that one turn opens: few, so that commands and timers are not kept waiting.
const GATHERED: usize = 32;

/// How long a node with a neighbour waits to hear a price before it sends. A guess: a session of
/// catching up answers within a second, and a neighbour that does not speak it is not waited for
/// longer.
const FIRST_PRICE: Millis = Millis::from_secs(5);

/// How long a node that has joined keeps back what it publishes. Whoever joins at the same moment is in
/// the flood by then; what is flooded before that, it can only catch up with, and that takes a minute
/// or longer. A guess: many round trips of a slow link. What there is to encrypt and to search for is
/// done meanwhile.
const JOINING: Millis = Millis::from_secs(1);

/// The half of a node that has identities.
#[derive(Debug)]
pub struct UserAgent {
    settings: NodeSettings,
    workspace: Workspace,
    pub(super) messenger: Messenger,
    neighbours: usize,
    reading: PoolReading,
}

/// The envelopes of the pool that are still to be looked at: some came while the roster was not
/// loaded, or while the carrier had no room to hand them over.
#[derive(Debug, Default)]
struct PoolReading {
    ids: VecDeque<EnvelopeId>,
    after: AfterReading,
}

/// What to do at the end of reading the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AfterReading {
    #[default]
    Nothing,
    /// Read it once more: envelopes were left out meanwhile. What is being read is read to its end
    /// first, or a lasting flood would keep it from ever coming there.
    ReadAgain,
}

/// Whether something waits to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing does.
    Done,
    /// More does: gather again.
    MoreWaits,
}

impl UserAgent {
    /// One that has no identity.
    #[must_use]
    pub fn new(settings: NodeSettings) -> Self {
        Self {
            settings,
            workspace: Workspace::default(),
            messenger: Messenger::default(),
            neighbours: 0,
            reading: PoolReading::default(),
        }
    }

    /// Takes back the stored records, in the order in which they were first stored.
    ///
    /// Call once, before the first turn; then carry out the outputs. [`UserAgent::snapshot`] says
    /// what there is.
    pub fn restore(&mut self, env: &mut Env<'_>, records: Vec<Record>) {
        self.step(env, |agent, turn| {
            *agent.messenger = restore::restore(turn, records);
            publisher::schedule_junk(turn);
            turn.timers.set(Timer::Sweep, turn.env.mono);
            restore::resume(agent.messenger, turn);
        });
    }

    /// Drops identities, contacts, sessions and messages from memory ([`super::Node::unload_roster`]).
    pub fn unload_roster(&mut self, env: &mut Env<'_>) {
        self.step(env, |agent, turn| {
            turn.drop_contacts();
            *agent.messenger = Messenger::default();
        });
    }

    /// Takes back what [`UserAgent::unload_roster`] dropped; gathering then reads what came meanwhile.
    pub fn load_roster(
        &mut self,
        env: &mut Env<'_>,
        carriage: &mut dyn Carriage,
        records: Vec<Record>,
    ) {
        self.step(env, |agent, turn| {
            *agent.messenger = restore::restore(turn, records);
            restore::resume(agent.messenger, turn);
            agent.reading.begin(carriage);
        });
    }

    /// Takes in a command, the result of a search for work, or that a time has come. What is the
    /// carrier's changes nothing here. Every output of the turn before must have been taken.
    pub fn handle(&mut self, env: &mut Env<'_>, carriage: &mut dyn Carriage, input: Input) {
        self.assert_drained();
        self.step(env, |agent, turn| {
            match input {
                Input::Mined { outgoing, nonce } => publisher::on_mined(turn, outgoing, nonce),
                Input::Command { id, command } => {
                    // A relay has no identity and stores nothing: there is nobody it could act for.
                    let reply = match turn.settings.role {
                        NodeRole::Relay => Err(CommandError::Relay),
                        NodeRole::Messenger => agent.messenger.carry_out(turn, &*carriage, command),
                    };
                    // The changes are durable before the reply: a command that was answered must
                    // survive a crash.
                    turn.settle();
                    turn.effect(Effect::Reply { id, reply });
                }
                Input::Tick => agent.on_tick(turn, carriage),
                Input::Gossip { .. }
                | Input::OffTime { .. }
                | Input::Peers(_)
                | Input::Resumed
                | Input::SyncRequest { .. }
                | Input::SyncResponse { .. }
                | Input::ArchiveMissing(_) => {}
            }
            agent.finish(turn, carriage);
        });
    }

    /// Takes what the carrier hands over, and opens some of it.
    pub fn gather(&mut self, env: &mut Env<'_>, carriage: &mut dyn Carriage) -> Progress {
        self.step(env, |agent, turn| {
            let progress = agent.take_over(turn, carriage);
            agent.finish(turn, carriage);
            progress
        })
    }

    /// Stores what is kept back to be stored together: this node is about to end. Call once, then
    /// [`UserAgent::part`].
    pub fn store_all(&mut self, env: &mut Env<'_>) {
        self.step(env, |agent, turn| {
            if turn.timers.is_set(Timer::Requests) {
                agent.messenger.roster.store_requests(turn);
            }
        });
    }

    /// Has replies that contacts wait for leave soon, because this node is about to end; whether one
    /// has not left yet, and could. Messages and contact requests are not waited for: people see that
    /// those have not left, and another node sends them. Call it again after each turn, until there is
    /// none or the time for it is over.
    pub fn part(&mut self, env: &mut Env<'_>) -> bool {
        self.step(env, |agent, turn| {
            messenger::hurry(turn);
            // Without a neighbour nothing can leave.
            *agent.neighbours > 0 && messenger::owes(turn)
        })
    }

    /// The next output to carry out, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.workspace.poll_output()
    }

    /// When to send [`Input::Tick`] at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.workspace.timers.next()
    }

    /// The present state as events, for a front end that begins to watch.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Event> {
        self.messenger.snapshot()
    }

    /// Messages of ours that have not left.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.messenger.unsent()
    }

    /// What of ours is held back.
    #[must_use]
    pub fn held_back(&self) -> HeldBackIn {
        self.messenger.held_back()
    }

    /// The tries that the search under way takes on average, if there is one.
    #[must_use]
    pub fn mining_tries(&self) -> Option<u64> {
        self.workspace.outbox.mining_tries()
    }

    fn assert_drained(&self) {
        debug_assert!(
            self.workspace.is_drained(),
            "the outputs of the turn before were not drained"
        );
    }

    /// Lends a turn to the machines, and settles it.
    fn step<R>(
        &mut self,
        env: &mut Env<'_>,
        step: impl FnOnce(&mut AgentMachines<'_>, &mut Turn<'_, '_>) -> R,
    ) -> R {
        let Self { settings, workspace, messenger, neighbours, reading } = self;
        let mut turn = Turn::new(env, settings, workspace);
        let mut machines = AgentMachines { messenger, neighbours, reading };
        let result = step(&mut machines, &mut turn);
        turn.settle();
        result
    }
}

/// All machines of a user agent, for the length of one turn.
struct AgentMachines<'a> {
    messenger: &'a mut Messenger,
    neighbours: &'a mut usize,
    reading: &'a mut PoolReading,
}

impl AgentMachines<'_> {
    fn take_over(&mut self, turn: &mut Turn<'_, '_>, carriage: &mut dyn Carriage) -> Progress {
        let Handover { news, neighbours, envelopes, waiting } = carriage.hand_over(GATHERED);
        *self.neighbours = neighbours;
        if neighbours == 0 {
            turn.timers.clear(Timer::FirstPrice);
            turn.timers.clear(Timer::Joining);
        } else if news.contains(&News::FirstNeighbour) {
            self.messenger.spread(turn);
            turn.timers.set(Timer::Joining, turn.env.mono.plus(JOINING));
            // What is sent before a price is known pays the floor, and a busy network ignores it.
            if turn.settings.sync != SyncMode::Off && !carriage.is_price_known(turn.env.mono) {
                turn.timers.set(Timer::FirstPrice, turn.env.mono.plus(FIRST_PRICE));
            }
        }
        if news.contains(&News::PriceHeard) {
            turn.timers.clear(Timer::FirstPrice);
            let line = carriage.market(turn.env).heard_line;
            self.messenger.on_line_heard(turn, line);
            self.publisher(carriage).judge_again(turn);
        }
        if news.contains(&News::LeftOut) {
            self.reading.begin(carriage);
        }
        let mut room = GATHERED.saturating_sub(envelopes.len());
        for passed in envelopes {
            self.messenger.receive(turn, carriage, &passed.envelope, passed.source);
        }
        while room > 0
            && let Some(id) = self.reading.next(carriage)
        {
            room -= 1;
            if let Some(envelope) = carriage.envelope(&id) {
                // Of any age, so it is not believed about numbers that this state may have
                // forgotten.
                self.messenger.receive(turn, carriage, &envelope, Source::Sync);
            }
        }
        if waiting > 0 || !self.reading.is_over() { Progress::MoreWaits } else { Progress::Done }
    }

    fn on_tick(&mut self, turn: &mut Turn<'_, '_>, carriage: &mut dyn Carriage) {
        // One that was never restored has no sweep set yet.
        if !turn.timers.is_set(Timer::Sweep) {
            turn.timers.set(Timer::Sweep, turn.env.mono.plus(SWEEP_EVERY));
        }
        while let Some(timer) = turn.timers.pop(turn.env.mono) {
            match timer {
                Timer::Junk => publisher::on_junk_due(turn),
                Timer::Sweep => {
                    self.publisher(carriage).judge_again(turn);
                    self.messenger.sweep(turn);
                    turn.timers.set(Timer::Sweep, turn.env.mono.plus(SWEEP_EVERY));
                }
                // Nobody said a price: one's own will do. The end of this turn sends what waits.
                Timer::FirstPrice | Timer::Joining => {}
                Timer::Requests => self.messenger.roster.store_requests(turn),
                Timer::Contact(timer, contact) => self.messenger.on_timer(turn, contact, timer),
                // Those of the carrier are in its own workspace.
                Timer::SyncAfterJoin
                | Timer::Sync
                | Timer::SyncNext
                | Timer::SyncWait
                | Timer::Steps => {}
            }
        }
    }

    /// The end of every turn: begins the next envelope of ours.
    fn finish(&mut self, turn: &mut Turn<'_, '_>, carriage: &mut dyn Carriage) {
        // Without a neighbour nothing is encrypted: what an envelope says is decided as late as it
        // can be, and no lifetime runs while nobody could carry it.
        if *self.neighbours > 0 && !turn.timers.is_set(Timer::FirstPrice) {
            self.publisher(carriage).drive(turn);
        }
        self.messenger.tell_held_back(turn);
    }

    fn publisher<'p>(&'p mut self, carriage: &'p mut dyn Carriage) -> Publisher<'p> {
        Publisher { messenger: self.messenger, carriage }
    }
}

impl PoolReading {
    /// Reads the pool, after what is being read.
    fn begin(&mut self, carriage: &dyn Carriage) {
        if self.ids.is_empty() {
            self.ids = carriage.held().into();
        } else {
            self.after = AfterReading::ReadAgain;
        }
    }

    /// The next to look at.
    fn next(&mut self, carriage: &dyn Carriage) -> Option<EnvelopeId> {
        if self.ids.is_empty() && core::mem::take(&mut self.after) == AfterReading::ReadAgain {
            self.begin(carriage);
        }
        self.ids.pop_front()
    }

    fn is_over(&self) -> bool {
        self.ids.is_empty() && self.after == AfterReading::Nothing
    }
}
