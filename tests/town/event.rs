//! What happens when.

use core::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;

use undertone::engine::env::Millis;
use undertone::engine::envelope::CheckedEnvelope;
use undertone::engine::price::Step;

/// Milliseconds whose events are kept in order at a time: so few that they stay in a processor's cache.
const SPAN: u64 = 10_000;

/// Something that happens.
pub(crate) enum Event {
    /// Somebody writes a message.
    Write(usize),
    /// Somebody hears what a neighbour asks.
    Hear(usize),
    /// Something is to be sent, for at least this step.
    Attempt(Errand, Step),
    /// Somebody looks whether the price of what is for a contact is low enough now.
    Look(usize, usize),
    /// A message was not acknowledged after so many sendings.
    Resend(u32, usize),
    /// Its work is done.
    Publish(Errand, Rc<Parcel>),
    /// An envelope reaches a relay.
    Arrive(usize, Rc<Parcel>),
    /// A relay that ignored an envelope for its line catches up.
    Fetch(usize, Rc<Parcel>),
    /// The flood brings it to whom it is for.
    Deliver(Errand, (usize, Vec<u32>)),
    /// The recipient of a message is back.
    Return(u32),
    /// The attacker works.
    Attack,
    /// The half of an hour: what is asked is noted down.
    Note,
}

/// What an envelope is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    Message(u32),
    /// What one person acknowledges to another.
    Ack(usize, usize),
}

/// An envelope on its way.
pub(crate) struct Parcel {
    /// Its place in the records.
    pub(crate) number: usize,
    pub(crate) checked: CheckedEnvelope,
    pub(crate) step: Step,
    pub(crate) origin: Origin,
}

/// Who made an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A person.
    Person(usize),
    Attacker,
}

/// Events in order of time, those of one moment in the order they were put in.
///
/// Most are hours away: only those of the span that has begun are kept in order, so that the heap
/// stays small.
#[derive(Default)]
pub(crate) struct Queue {
    /// Of this span since the beginning, and of those before.
    span: u64,
    now: BinaryHeap<Reverse<Entry>>,
    later: BTreeMap<u64, Vec<Reverse<Entry>>>,
    count: u64,
}

struct Entry {
    at: Millis,
    order: u64,
    event: Event,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Millis, event: Event) {
        self.count += 1;
        let (entry, span) = (Reverse(Entry { at, order: self.count, event }), at.0 / SPAN);
        if span > self.span {
            self.later.entry(span).or_default().push(entry);
        } else {
            self.now.push(entry);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<(Millis, Event)> {
        if self.now.is_empty() {
            let (span, entries) = self.later.pop_first()?;
            (self.span, self.now) = (span, entries.into());
        }
        self.now.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}
