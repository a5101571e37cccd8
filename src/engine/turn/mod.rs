//! One turn: time and entropy in; changes, events and everything else a driver does out, in order.
//!
//! Whatever a step changes is gathered here and becomes durable in one [`Output::Commit`], before
//! anybody hears of it. Nothing else puts outputs in order.

mod output;
mod timers;

use std::collections::VecDeque;

use crate::engine::env::Env;
use crate::engine::id::ContactId;

pub use output::Output;
pub(in crate::engine) use timers::{Timer, Timers};

use crate::engine::event::Event;
use crate::engine::record::{Change, Record, RecordKey};

/// What one call of [`super::Node::handle`] is given and gives back.
#[derive(Debug)]
pub(in crate::engine) struct Turn<'t, 'e> {
    /// Time and entropy.
    pub(in crate::engine) env: &'t mut Env<'e>,
    outputs: &'t mut VecDeque<Output>,
    /// Changes that take effect together with the next [`Turn::commit`].
    changes: Vec<Change>,
    /// What is said of them, once they are durable.
    events: Vec<Event>,
}

impl<'t, 'e> Turn<'t, 'e> {
    /// A turn that appends to `outputs`.
    pub(in crate::engine) fn new(env: &'t mut Env<'e>, outputs: &'t mut VecDeque<Output>) -> Self {
        Self { env, outputs, changes: Vec::new(), events: Vec::new() }
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

    /// Tells of something: at once, or after the changes that wait, so that nobody hears of what a
    /// crash could undo.
    pub(in crate::engine) fn emit(&mut self, event: Event) {
        if self.changes.is_empty() {
            self.outputs.push_back(Output::Event(event));
        } else {
            self.events.push(event);
        }
    }

    /// Has the driver do something. It goes out before the changes that wait: what needs them to be
    /// durable first is preceded by [`Turn::settle`].
    pub(in crate::engine) fn effect(&mut self, effect: Output) {
        self.outputs.push_back(effect);
    }

    /// Makes the changes that wait durable, all or none.
    pub(in crate::engine) fn commit(&mut self) {
        if !self.changes.is_empty() {
            self.outputs.push_back(Output::Commit(core::mem::take(&mut self.changes)));
        }
    }

    /// Makes the changes that wait durable, then tells of them.
    pub(in crate::engine) fn settle(&mut self) {
        self.commit();
        self.outputs.extend(self.events.drain(..).map(Output::Event));
    }
}
