//! The bounded store of checked envelopes: admit, rank, evict, sweep.
//!
//! Expired envelopes go first, then the lowest ranked. Priority is a total order that every node
//! shares, so from envelopes of one size the pool holds the best that fit, in whatever order they
//! came. A refusal changes nothing but the memory of ids. The pool does not know who carried an
//! envelope, what is in it or whose it is, and it never waits: all its verbs are O(log n), times
//! the number of envelopes that leave.
//!
//! The bytes themselves are in the pool, or in an archive outside that it keeps the books of
//! ([`BodyStorage`]).

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::ranking::RankedSet;
use crate::engine::env::{Millis, UnixSeconds};
use crate::engine::envelope::{
    CheckedEnvelope, EnvelopeId, Priority, PriorityKey, Topic, ValidationError,
};

/// The bounds of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolBounds {
    /// Bytes of envelopes, with [`ENTRY_OVERHEAD`] for each.
    pub bytes: usize,
    /// Envelopes.
    pub count: usize,
}

/// The place where the bytes of the envelopes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyStorage {
    /// In the pool.
    #[default]
    Inline,
    /// In an archive outside, which keeps and discards at the pool's word. The pool knows ids,
    /// sizes, ranks and times.
    External,
}

/// The charge for an envelope beyond its size, in bytes, for its places in the trees.
///
/// B-tree nodes are between half and entirely full; twice the bare entries is the most they take.
/// The charge also bounds how many small envelopes one large one can push out: fewer than 100.
pub const ENTRY_OVERHEAD: usize = 640;

/// Ids remembered of envelopes that are not held: refused for room, or evicted.
///
/// A guess: at one second of work each, the work of 18 hours; some 20 MB when full. A full memory
/// forgets the lowest ranked and turns away those that rank below all it holds. So a forgotten
/// envelope is passed on a second time only if it comes again after better ones have expired.
pub const REMEMBERED: usize = 65_536;

/// The result of admitting an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is held, and was never seen before.
    Fresh,
    /// It is held already, or was refused for room or evicted before.
    Duplicate,
    /// Its time ended between its check and this moment.
    Expired,
    /// All that would have to leave for it outrank it. Its id is remembered.
    PoolFull,
    /// As [`Self::PoolFull`], and all ids remembered outrank it too: it is forgotten.
    MemoryFull,
}

impl Admission {
    /// Why it is not held, if it is not.
    #[must_use]
    pub const fn error(self) -> Option<ValidationError> {
        match self {
            Self::Fresh => None,
            Self::Duplicate => Some(ValidationError::Duplicate),
            Self::Expired => Some(ValidationError::Expired),
            Self::PoolFull => Some(ValidationError::PoolFull),
            Self::MemoryFull => Some(ValidationError::QueueFull),
        }
    }
}

/// Checked envelopes, the best that fit, and the ids of some that did not.
#[derive(Clone, Debug)]
pub struct Pool {
    bounds: PoolBounds,
    bodies: BodyStorage,
    entries: RankedSet<PoolEntry>,
    topics: BTreeSet<(Topic, EnvelopeId)>,
    /// The charges of all held together.
    bytes: usize,
    remembered: RankedSet<Timestamps>,
    most_remembered: usize,
    /// Envelopes that left since [`Self::take_evicted`] was called last, if there is an archive
    /// that has to discard them.
    evicted: Vec<EnvelopeId>,
}

/// An envelope that is held.
#[derive(Clone, Debug)]
struct PoolEntry {
    timestamps: Timestamps,
    topic: Topic,
    size: u32,
    /// `None` if the bytes are in an archive.
    body: Option<Box<CheckedEnvelope>>,
}

/// The times that catching up goes by: when an envelope was made, and from when on it is
/// advertised.
#[derive(Clone, Copy, Debug)]
struct Timestamps {
    /// Its expiry less its ttl: when it was made, rounded to its quantum.
    made: UnixSeconds,
    settled: Millis,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub const fn new(bounds: PoolBounds, bodies: BodyStorage) -> Self {
        Self::with_memory(bounds, bodies, REMEMBERED)
    }

    const fn with_memory(bounds: PoolBounds, bodies: BodyStorage, most_remembered: usize) -> Self {
        Self {
            bounds,
            bodies,
            entries: RankedSet::new(),
            topics: BTreeSet::new(),
            bytes: 0,
            remembered: RankedSet::new(),
            most_remembered,
            evicted: Vec::new(),
        }
    }

    /// Holds an envelope if better ones leave room for it. Expired ones leave first, then as few of
    /// the lowest ranked as make room, each of them ranked below the newcomer.
    ///
    /// `settled` is the time from which on it is advertised, see [`Self::settled_ids`].
    pub fn admit(
        &mut self,
        checked: CheckedEnvelope,
        now: UnixSeconds,
        settled: Millis,
    ) -> Admission {
        self.sweep(now);
        // It may have waited in the queue since its check.
        if !checked.in_time(now) {
            return Admission::Expired;
        }
        let rank = checked.priority_key();
        // A remembered one was passed on once. A second time would let it circle in the network
        // until it expires.
        if self.entries.contains(&rank.id) || self.remembered.contains(&rank.id) {
            return Admission::Duplicate;
        }
        let charged = charge(checked.bytes().len());
        let expiry = checked.expiry();
        let timestamps = Timestamps { made: checked.made(), settled };
        let Some(victims) = self.victims(rank, charged) else {
            // Refused for room, it is passed on all the same, or full pools would cut the flood
            // off. But not if its id cannot be remembered either: it would be passed on each time
            // it comes.
            let remembered = self.remember(rank, expiry, timestamps);
            return if remembered { Admission::PoolFull } else { Admission::MemoryFull };
        };
        for victim in victims {
            self.evict(victim);
        }
        self.bytes += charged;
        self.topics.insert((checked.topic(), rank.id));
        // No envelope is larger than 64 KiB.
        let size = u32::try_from(checked.bytes().len()).unwrap_or(u32::MAX);
        let topic = checked.topic();
        let body = match self.bodies {
            BodyStorage::Inline => Some(Box::new(checked)),
            BodyStorage::External => None,
        };
        self.entries.insert(rank, expiry, PoolEntry { timestamps, topic, size, body });
        Admission::Fresh
    }

    /// Lets go of envelopes that the archive does not have, and forgets that they were seen: they
    /// may come again. Returns how many of them were held.
    pub fn mark_missing(&mut self, ids: &[EnvelopeId]) -> usize {
        let mut lost = 0;
        for id in ids {
            if let Some((_, entry)) = self.entries.remove(id) {
                self.uncharge(id, &entry);
                lost += 1;
            }
        }
        lost
    }

    /// The envelopes that the archive has to discard: those that left since this was called last.
    pub fn take_evicted(&mut self) -> Vec<EnvelopeId> {
        core::mem::take(&mut self.evicted)
    }

    /// Lets go of all envelopes that are expired, held or remembered; returns how many of them were
    /// held.
    pub fn sweep(&mut self, now: UnixSeconds) -> usize {
        while self.remembered.remove_expired(now).is_some() {}
        let mut swept = 0;
        while let Some((id, entry)) = self.entries.remove_expired(now) {
            self.release(id, &entry);
            swept += 1;
        }
        swept
    }

    /// Whether an envelope is held.
    #[must_use]
    pub fn contains(&self, id: &EnvelopeId) -> bool {
        self.entries.contains(id)
    }

    /// The canonical encoding of an envelope that is held here and not in an archive.
    #[must_use]
    pub fn get(&self, id: &EnvelopeId) -> Option<&[u8]> {
        self.entries.get(id)?.body.as_deref().map(CheckedEnvelope::bytes)
    }

    /// How large an envelope is, in bytes, if it is held and is not expired without tolerance.
    #[must_use]
    pub fn size(&self, id: &EnvelopeId, now: UnixSeconds) -> Option<usize> {
        if self.entries.expiry(id)? <= now {
            return None;
        }
        usize::try_from(self.entries.get(id)?.size).ok()
    }

    /// The envelopes to advertise: held, not expired by this clock without tolerance, and settled
    /// by `at`. Each with when it was made; by id.
    pub fn settled_ids(
        &self,
        now: UnixSeconds,
        at: Millis,
    ) -> impl Iterator<Item = (UnixSeconds, EnvelopeId)> {
        self.entries
            .iter()
            // Without the tolerance: in its last minutes it has expired for a client whose clock is
            // ahead.
            .filter(move |(_, expiry, entry)| *expiry > now && entry.timestamps.settled <= at)
            .map(|(id, _, entry)| (entry.timestamps.made, id))
    }

    /// The envelopes not needed from others: held, expired or not, or remembered as refused for
    /// room, if settled by `at`. Each with when it was made.
    pub fn known_ids(&self, at: Millis) -> impl Iterator<Item = (UnixSeconds, EnvelopeId)> {
        let held = self.entries.iter().map(|(id, _, entry)| (id, entry.timestamps));
        let remembered = self.remembered.iter().map(|(id, _, timestamps)| (id, *timestamps));
        held.chain(remembered)
            .filter(move |(_, timestamps)| timestamps.settled <= at)
            .map(|(id, timestamps)| (timestamps.made, id))
    }

    /// All envelopes held here that have this topic, by id. They may be expired by now.
    pub fn by_topic(&self, topic: Topic) -> impl Iterator<Item = &CheckedEnvelope> {
        let first = (topic, EnvelopeId([0; 32]));
        let last = (topic, EnvelopeId([0xff; 32]));
        self.topics.range(first..=last).filter_map(|(_, id)| self.entries.get(id)?.body.as_deref())
    }

    /// All envelopes held here, lowest rank first. They may be expired by now.
    pub fn by_rank(&self) -> impl DoubleEndedIterator<Item = &CheckedEnvelope> {
        self.entries.by_rank().filter_map(|(_, entry)| entry.body.as_deref())
    }

    /// The priority of the lowest ranked envelope held.
    #[must_use]
    pub fn lowest(&self) -> Option<Priority> {
        self.entries.lowest().map(|rank| rank.priority)
    }

    /// The charges of all envelopes held, in bytes: their sizes, and [`ENTRY_OVERHEAD`] for each.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many envelopes are held.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// How much it holds at most.
    #[must_use]
    pub const fn bounds(&self) -> PoolBounds {
        self.bounds
    }

    /// The envelopes that would have to leave for a newcomer, lowest first. `None` if one of them
    /// outranks it, or if an empty pool would not hold it.
    fn victims(&self, newcomer: PriorityKey, charge: usize) -> Option<Vec<PriorityKey>> {
        if charge > self.bounds.bytes || self.bounds.count == 0 {
            return None;
        }
        let mut bytes = self.bytes.saturating_add(charge);
        let mut count = self.count() + 1;
        let mut victims = Vec::new();
        let mut ranks = self.entries.by_rank();
        while bytes > self.bounds.bytes || count > self.bounds.count {
            let (victim, entry) = ranks.next()?;
            // Only lower ranks leave: so all pools of one size hold the same envelopes, in whatever
            // order they came.
            if victim > newcomer {
                return None;
            }
            bytes -= entry.charge();
            count -= 1;
            victims.push(victim);
        }
        Some(victims)
    }

    fn evict(&mut self, victim: PriorityKey) {
        let Some((expiry, entry)) = self.entries.remove(&victim.id) else { return };
        self.release(victim.id, &entry);
        // A memory full of better ids forgets this one. Should the envelope come again, it meets a
        // pool that is full of better ones, and the same memory.
        let _remembered: bool = self.remember(victim, expiry, entry.timestamps);
    }

    /// Takes an envelope that has left out of the accounts, and has the archive discard it.
    fn release(&mut self, id: EnvelopeId, entry: &PoolEntry) {
        self.uncharge(&id, entry);
        match self.bodies {
            BodyStorage::Inline => {}
            BodyStorage::External => self.evicted.push(id),
        }
    }

    fn uncharge(&mut self, id: &EnvelopeId, entry: &PoolEntry) {
        self.bytes -= entry.charge();
        self.topics.remove(&(entry.topic, *id));
    }

    /// Remembers an id that is not held; when memory is full, in place of the lowest ranked.
    /// Returns whether it did: not if the memory is full of better ones.
    fn remember(&mut self, rank: PriorityKey, expiry: UnixSeconds, timestamps: Timestamps) -> bool {
        while self.remembered.len() >= self.most_remembered {
            match self.remembered.lowest() {
                Some(lowest) if lowest < rank => self.remembered.remove(&lowest.id),
                Some(_) | None => return false,
            };
        }
        self.remembered.insert(rank, expiry, timestamps);
        true
    }
}

impl PoolEntry {
    fn charge(&self) -> usize {
        charge(usize::try_from(self.size).unwrap_or(usize::MAX))
    }
}

/// The charge of an envelope of so many bytes.
const fn charge(size: usize) -> usize {
    size.saturating_add(ENTRY_OVERHEAD)
}

/// The trees' share of one entry, twice, and the box of its body fit the charge.
const _: () = assert!(
    2 * (RankedSet::<PoolEntry>::ENTRY_SIZE + size_of::<(Topic, EnvelopeId)>())
        + size_of::<CheckedEnvelope>()
        <= ENTRY_OVERHEAD
);
