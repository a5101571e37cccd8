//! One turn: time and entropy in; changes, events and effects out, in order.
//!
//! A `Turn` is lent to whichever machine has to act: the relay, catching up, a conversation. It is
//! the one place that orders the outputs: the changes of a step become durable in one
//! [`Output::Commit`], an [`Event`] never leaves before the change it reports, and a machine that
//! needs a change to be durable before an effect says so with `Turn::settle`.
//!
//! It decides nothing, and knows no machine.

mod input;
mod outbox;
mod output;
mod timers;

use std::collections::VecDeque;

use crate::engine::env::{Env, Millis};
use crate::engine::event::Event;
use crate::engine::id::ContactId;
use crate::engine::record::{Change, EnvelopePurpose, Record, RecordKey};
use crate::engine::session::TopicIndex;
use crate::engine::settings::NodeSettings;

pub use input::Input;
pub(in crate::engine) use outbox::{Aside, ContactJob, InFlight, Job, Leave, Outbox, PublishStage};
pub use output::{Effect, Output};
pub(in crate::engine) use timers::{ContactTimer, Timer, Timers};

/// The state that all machines of a carrier, or of a user agent, share and keep between turns.
#[derive(Debug, Default)]
pub(in crate::engine) struct Workspace {
    /// The timers of all machines.
    pub(in crate::engine) timers: Timers,
    /// The jobs to send, and the envelopes that are not done with.
    pub(in crate::engine) outbox: Outbox,
    /// The topics that sessions watch.
    pub(in crate::engine) topics: TopicIndex,
    outputs: VecDeque<Output>,
}

impl Workspace {
    /// The next output to carry out, oldest first.
    pub(in crate::engine) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether every output of the turn before was taken.
    pub(in crate::engine) fn is_drained(&self) -> bool {
        self.outputs.is_empty()
    }
}

/// Time, entropy and the shared workspace for one call of a node; gathers its outputs.
#[derive(Debug)]
pub(in crate::engine) struct Turn<'t, 'e> {
    /// Time and entropy.
    pub(in crate::engine) env: &'t mut Env<'e>,
    /// How the node behaves.
    pub(in crate::engine) settings: &'t NodeSettings,
    /// The timers of all machines.
    pub(in crate::engine) timers: &'t mut Timers,
    /// The jobs to send, and the envelopes that are not done with.
    pub(in crate::engine) outbox: &'t mut Outbox,
    /// The topics that sessions watch.
    pub(in crate::engine) topics: &'t mut TopicIndex,
    outputs: &'t mut VecDeque<Output>,
    /// Changes that take effect together with the next [`Turn::commit`].
    changes: Vec<Change>,
    /// Events about them, for when they are durable.
    events: Vec<Event>,
}

impl<'t, 'e> Turn<'t, 'e> {
    /// Begins a turn. [`Turn::settle`] ends it.
    pub(in crate::engine) fn new(
        env: &'t mut Env<'e>,
        settings: &'t NodeSettings,
        workspace: &'t mut Workspace,
    ) -> Self {
        let Workspace { timers, outbox, topics, outputs } = workspace;
        Self {
            env,
            settings,
            timers,
            outbox,
            topics,
            outputs,
            changes: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Stores a record with the next commit.
    pub(in crate::engine) fn put(&mut self, record: Record) {
        self.changes.push(Change::Put(record));
    }

    /// Erases a record with the next commit.
    pub(in crate::engine) fn erase(&mut self, key: RecordKey) {
        self.changes.push(Change::Erase(key));
    }

    /// Erases every message of a conversation with the next commit.
    pub(in crate::engine) fn erase_messages(&mut self, contact: ContactId) {
        self.changes.push(Change::EraseMessages(contact));
    }

    /// Emits an event: at once, or after the changes that wait, so that nobody sees a state that a
    /// crash could undo.
    pub(in crate::engine) fn emit(&mut self, event: Event) {
        if self.changes.is_empty() {
            self.outputs.push_back(Output::Effect(Effect::Event(event)));
        } else {
            self.events.push(event);
        }
    }

    /// Has the driver carry out an effect. It goes out before the changes that wait: one that needs
    /// them to be durable first is preceded by [`Turn::settle`].
    pub(in crate::engine) fn effect(&mut self, effect: Effect) {
        self.outputs.push_back(Output::Effect(effect));
    }

    /// Notes that a pair of key and nonce was used: the driver checks that none is used twice.
    pub(in crate::engine) fn audit_nonce(&mut self, pair: [u8; 16]) {
        self.outputs.push_back(Output::AuditNonce(pair));
    }

    /// Makes the changes that wait durable, all or none.
    pub(in crate::engine) fn commit(&mut self) {
        if !self.changes.is_empty() {
            self.outputs.push_back(Output::Commit(core::mem::take(&mut self.changes)));
        }
    }

    /// Makes the changes that wait durable, then emits their events.
    pub(in crate::engine) fn settle(&mut self) {
        self.commit();
        self.outputs.extend(self.events.drain(..).map(Effect::Event).map(Output::Effect));
    }

    /// Drops timers, jobs, envelopes and topics of all contacts, as a lock does. The stored records
    /// stay.
    pub(in crate::engine) fn drop_contacts(&mut self) {
        self.timers.drop_contacts();
        *self.topics = TopicIndex::default();
        if let Some(id) = self.outbox.drop_contacts() {
            self.effect(Effect::StopMining(id));
        }
    }

    /// Drops and erases the envelopes to a contact whose purpose is `unwanted`, and stops the
    /// search for one.
    pub(in crate::engine) fn forget_outgoing(
        &mut self,
        contact: ContactId,
        unwanted: impl Fn(EnvelopePurpose) -> bool,
    ) {
        let (forgotten, stopped) = self.outbox.forget(contact, unwanted);
        if let Some(id) = stopped {
            // At once: stopping depends on no change.
            self.effect(Effect::StopMining(id));
        }
        for id in forgotten {
            self.erase(RecordKey::Outgoing(id));
        }
    }
}

impl Turn<'_, '_> {
    /// Sets a conversation's timer to `at`, in place of any earlier setting.
    pub(in crate::engine) fn wake_at(
        &mut self,
        contact: ContactId,
        timer: ContactTimer,
        at: Millis,
    ) {
        self.timers.set(Timer::Contact(timer, contact), at);
    }

    /// Sets a conversation's timer to `at`, or leaves it if it is due earlier.
    pub(in crate::engine) fn wake_by(
        &mut self,
        contact: ContactId,
        timer: ContactTimer,
        at: Millis,
    ) {
        self.timers.set_by(Timer::Contact(timer, contact), at);
    }

    /// Sets a conversation's timer to `wait` and, drawn each time, an eighth more on average, in
    /// place of any earlier setting. Envelopes whose timers begin at one moment, as at a start,
    /// must not leave at one moment: that would show that they belong together.
    pub(in crate::engine) fn wake_after(
        &mut self,
        contact: ContactId,
        timer: ContactTimer,
        wait: Millis,
    ) {
        let jitter = self.env.exponential(Millis(wait.0 / 8));
        self.wake_at(contact, timer, self.env.mono.plus(wait).plus(jitter));
    }

    /// Sets a conversation's timer for an envelope that the node sends by itself, or leaves it if
    /// it is due earlier. The delay is drawn each time, so the time of sending tells little of the
    /// time of arrival.
    pub(in crate::engine) fn wake_soon(&mut self, contact: ContactId, timer: ContactTimer) {
        let delay = self.env.exponential(self.settings.reply_delay);
        self.wake_by(contact, timer, self.env.mono.plus(delay));
    }

    /// Sets a conversation's timer for an envelope of a handshake, or for what waited for its session: as
    /// [`Turn::wake_soon`], and sooner.
    pub(in crate::engine) fn wake_in_handshake(&mut self, contact: ContactId, timer: ContactTimer) {
        let delay = self.env.exponential(self.settings.handshake_delay());
        self.wake_by(contact, timer, self.env.mono.plus(delay));
    }

    /// Clears a conversation's timer.
    pub(in crate::engine) fn clear_timer(&mut self, contact: ContactId, timer: ContactTimer) {
        self.timers.clear(Timer::Contact(timer, contact));
    }
}
