//! An index of values under envelope ids, searched by id, by rank and by expiry; each in O(log n).
//!
//! It has no bounds of its own: its owner takes out as much as it puts in.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::env::UnixSeconds;
use crate::engine::envelope::check::expired;
use crate::engine::envelope::{EnvelopeId, Priority, PriorityKey};

/// Values under the id, rank and expiry of an envelope each.
#[derive(Clone, Debug)]
pub(super) struct RankedSet<V> {
    entries: BTreeMap<EnvelopeId, RankedEntry<V>>,
    ranks: BTreeSet<PriorityKey>,
    expiries: BTreeSet<(UnixSeconds, EnvelopeId)>,
}

#[derive(Clone, Debug)]
struct RankedEntry<V> {
    priority: Priority,
    expiry: UnixSeconds,
    value: V,
}

impl<V> RankedSet<V> {
    /// The size of one entry in the three trees, in bytes, without what the value points to.
    pub(super) const ENTRY_SIZE: usize = size_of::<(EnvelopeId, RankedEntry<V>)>()
        + size_of::<PriorityKey>()
        + size_of::<(UnixSeconds, EnvelopeId)>();

    pub(super) const fn new() -> Self {
        Self { entries: BTreeMap::new(), ranks: BTreeSet::new(), expiries: BTreeSet::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn contains(&self, id: &EnvelopeId) -> bool {
        self.entries.contains_key(id)
    }

    pub(super) fn get(&self, id: &EnvelopeId) -> Option<&V> {
        self.entries.get(id).map(|entry| &entry.value)
    }

    pub(super) fn get_mut(&mut self, id: &EnvelopeId) -> Option<&mut V> {
        self.entries.get_mut(id).map(|entry| &mut entry.value)
    }

    /// The lowest rank.
    pub(super) fn lowest(&self) -> Option<PriorityKey> {
        self.ranks.first().copied()
    }

    /// All ranks, lowest first, with their values.
    pub(super) fn by_rank(&self) -> impl DoubleEndedIterator<Item = (PriorityKey, &V)> {
        self.ranks.iter().filter_map(|rank| Some((*rank, self.get(&rank.id)?)))
    }

    /// Puts a value under an id that has none; changes nothing if it has one.
    pub(super) fn insert(&mut self, rank: PriorityKey, expiry: UnixSeconds, value: V) {
        if self.contains(&rank.id) {
            return;
        }
        self.entries.insert(rank.id, RankedEntry { priority: rank.priority, expiry, value });
        self.ranks.insert(rank);
        self.expiries.insert((expiry, rank.id));
    }

    /// Takes out the value under an id, and its expiry.
    pub(super) fn remove(&mut self, id: &EnvelopeId) -> Option<(UnixSeconds, V)> {
        let RankedEntry { priority, expiry, value } = self.entries.remove(id)?;
        self.ranks.remove(&PriorityKey { priority, id: *id });
        self.expiries.remove(&(expiry, *id));
        Some((expiry, value))
    }

    /// The expiry of the value under an id.
    pub(super) fn expiry(&self, id: &EnvelopeId) -> Option<UnixSeconds> {
        self.entries.get(id).map(|entry| entry.expiry)
    }

    /// All values by id, each with its expiry.
    pub(super) fn iter(&self) -> impl Iterator<Item = (EnvelopeId, UnixSeconds, &V)> {
        self.entries.iter().map(|(id, entry)| (*id, entry.expiry, &entry.value))
    }

    /// Takes out one value that has expired, if there is one.
    pub(super) fn remove_expired(&mut self, now: UnixSeconds) -> Option<(EnvelopeId, V)> {
        let (expiry, id) = *self.expiries.first()?;
        if !expired(expiry, now) {
            return None;
        }
        self.remove(&id).map(|(_, value)| (id, value))
    }
}
