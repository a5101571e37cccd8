//! The bounded store of checked envelopes: admit, rank, evict, sweep.
//!
//! Each lifetime has a share of its own ([`crate::engine::price::room`]), so none displaces
//! another. A share that fills asks more than the floor of newcomers, step by step; what it let in
//! stays until its time, unless it is full and something comes that shows 256 times the floor and
//! at least twice the work of each that has to leave. Within a share, priority is a total order
//! that every node has alike. A refusal changes nothing but the memory of ids. The pool does not
//! know who carried an envelope, what is in it or whose it is, and it never waits: all its verbs
//! are O(log n), times the number of envelopes that leave.
//!
//! Room is counted in places: an envelope takes one for each block it is charged. So a newcomer
//! that pushes several out has paid for each of them.
//!
//! The bytes themselves are in the pool, or in an archive outside that it keeps the books of
//! ([`BodyStorage`]).

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::ranking::RankedSet;
use crate::engine::env::{Millis, UnixSeconds};
use crate::engine::envelope::draft::hour_made;
use crate::engine::envelope::{CheckedEnvelope, EnvelopeId, PriorityKey, Topic, ValidationError};
use crate::engine::price::{BLOCK, Floor, Occupancy, Room, Share, Step};

/// The bounds of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolBounds {
    /// Places, of all shares together. A place is [`PLACE`] bytes.
    pub places: usize,
}

impl PoolBounds {
    /// The fewest places with which every share has room for the largest envelope.
    pub const LEAST: Self = Self { places: 256 };

    /// As many places as so many bytes are.
    #[must_use]
    pub const fn of_bytes(bytes: usize) -> Self {
        Self { places: bytes / PLACE }
    }

    /// The bytes that all places take at most.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.places.saturating_mul(PLACE)
    }
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

/// What the books of an envelope take beyond its bytes, for its places in the trees.
///
/// B-tree nodes are between half and entirely full; twice the bare entries is the most they take.
pub const ENTRY_OVERHEAD: usize = 640;

/// The bytes of a place: a block, and its books. An envelope takes one for each of its blocks.
pub const PLACE: usize = BLOCK + ENTRY_OVERHEAD;

/// Ids remembered of envelopes that are not held: for each share those that had no room, and those
/// that the line had no time for.
///
/// A guess: more than the line passes on in the two minutes for which gossipsub remembers by
/// itself; some 10 MB each when full. A full memory forgets the lowest ranked and turns away those
/// that rank below all it holds. So a forgotten envelope is passed on a second time only if it
/// comes again after better ones have expired.
pub const REMEMBERED: usize = 32_768;

/// The bytes that all those ids take when their memories are full, with what comparing takes of
/// them.
pub const REMEMBERED_BYTES: usize = 4 * REMEMBERED * REMEMBERED_EACH;

/// The bytes that one of them takes: two and a half times its bare entries, for B-tree nodes are
/// between half and entirely full, and its place in the set that this node catches up with.
const REMEMBERED_EACH: usize = 5 * RankedSet::<Timestamps>::ENTRY_SIZE / 2 + 40;

/// The result of admitting an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is held, and was never seen before.
    Fresh,
    /// It is held already, or was refused for room or evicted before.
    Duplicate,
    /// Its time ended between its check and this moment.
    Expired,
    /// It shows less than its share asks, or than what would have to leave for it. Its id is
    /// remembered.
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

/// Checked envelopes, and the ids of some that had no room.
#[derive(Clone, Debug)]
pub struct Pool {
    bounds: PoolBounds,
    floor: Floor,
    bodies: BodyStorage,
    shares: [PoolShare; 3],
    topics: BTreeSet<(Topic, EnvelopeId)>,
    /// What the line had no time for.
    unheard: RankedSet<Timestamps>,
    most_remembered: usize,
    /// Envelopes that left since [`Self::take_evicted`] was called last, if there is an archive
    /// that has to discard them.
    evicted: Vec<EnvelopeId>,
}

/// The envelopes of one lifetime.
#[derive(Clone, Debug)]
struct PoolShare {
    books: Occupancy,
    entries: RankedSet<PoolEntry>,
    /// What had no room.
    remembered: RankedSet<Timestamps>,
}

/// How an envelope comes to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entrance {
    /// It is news: more may come.
    New,
    /// Others held it: what came while this node was away says nothing of what comes next.
    Fetched,
    /// It was held before the process began.
    Again,
}

/// An envelope that is held.
#[derive(Clone, Debug)]
struct PoolEntry {
    timestamps: Timestamps,
    topic: Topic,
    size: u32,
    blocks: u8,
    /// `None` if the bytes are in an archive.
    body: Option<Box<CheckedEnvelope>>,
}

/// The times that catching up goes by: when an envelope was made, and from when on it is
/// advertised.
#[derive(Clone, Copy, Debug)]
struct Timestamps {
    /// Its expiry less its ttl: when it was made, on the grid.
    made: UnixSeconds,
    settled: Millis,
}

impl Pool {
    /// An empty pool of a network with this floor.
    #[must_use]
    pub fn new(bounds: PoolBounds, floor: Floor, bodies: BodyStorage) -> Self {
        Self::with_memory(bounds, (floor, bodies), REMEMBERED)
    }

    fn with_memory(
        bounds: PoolBounds,
        (floor, bodies): (Floor, BodyStorage),
        most_remembered: usize,
    ) -> Self {
        Self {
            bounds,
            floor,
            bodies,
            shares: Share::ALL.map(|share| PoolShare::new(share, share.places(bounds.places))),
            topics: BTreeSet::new(),
            unheard: RankedSet::new(),
            most_remembered,
            evicted: Vec::new(),
        }
    }

    /// Holds an envelope if it shows what its share asks. Expired ones leave first, then, only if
    /// the share is full, as few of the lowest ranked as make room.
    ///
    /// `settled` is the time from which on it is advertised, see [`Self::settled_ids`].
    pub fn admit(
        &mut self,
        checked: CheckedEnvelope,
        now: UnixSeconds,
        settled: Millis,
    ) -> Admission {
        self.hold(checked, now, (settled, Entrance::New))
    }

    /// Holds an envelope that was fetched from a neighbour who held it, by the same rules.
    pub fn admit_fetched(
        &mut self,
        checked: CheckedEnvelope,
        now: UnixSeconds,
        settled: Millis,
    ) -> Admission {
        self.hold(checked, now, (settled, Entrance::Fetched))
    }

    /// Holds an envelope that was held before: it showed what its share asked when it came, so it
    /// needs no more than room. Advertised at once.
    pub fn readmit(&mut self, checked: CheckedEnvelope, now: UnixSeconds) -> Admission {
        self.hold(checked, now, (Millis(0), Entrance::Again))
    }

    fn hold(
        &mut self,
        checked: CheckedEnvelope,
        now: UnixSeconds,
        (settled, entrance): (Millis, Entrance),
    ) -> Admission {
        self.sweep(now);
        // It may have waited in the queue since its check.
        if !checked.in_time(now) {
            return Admission::Expired;
        }
        let rank = checked.priority_key();
        // A remembered one was passed on once. A second time would let it circle in the network
        // until it expires.
        if self.knows(&checked) {
            return Admission::Duplicate;
        }
        let (charge, expiry) = (checked.charge(), checked.expiry());
        let timestamps = Timestamps { made: checked.made(), settled };
        let (floor, most) = (self.floor, self.most_remembered);
        let share = self.share_mut(charge.share());
        let victims = match entrance {
            Entrance::Again if share.books.room().fits(charge.blocks()) => Some(Vec::new()),
            Entrance::Again | Entrance::Fetched | Entrance::New => {
                share.victims(rank, floor, (timestamps.made, charge.blocks()))
            }
        };
        let Some(victims) = victims else {
            // Refused for room, it is passed on all the same, or full pools would cut the flood
            // off. But not if its id cannot be remembered either: it would be passed on each time
            // it comes.
            let remembered = remember(&mut share.remembered, most, rank, (expiry, timestamps));
            return if remembered { Admission::PoolFull } else { Admission::MemoryFull };
        };
        for victim in victims {
            self.evict(charge.share(), victim);
        }
        self.topics.insert((checked.topic(), rank.id));
        // No envelope is larger than 64 KiB.
        let size = u32::try_from(checked.bytes().len()).unwrap_or(u32::MAX);
        let topic = checked.topic();
        let body = match self.bodies {
            BodyStorage::Inline => Some(Box::new(checked)),
            BodyStorage::External => None,
        };
        let share = self.share_mut(charge.share());
        share.books.take(timestamps.made, charge.blocks());
        match entrance {
            Entrance::New => share.books.note_newcomer(charge.blocks(), now),
            Entrance::Fetched | Entrance::Again => {}
        }
        let entry = PoolEntry { timestamps, topic, size, blocks: charge.blocks(), body };
        share.entries.insert(rank, expiry, entry);
        Admission::Fresh
    }

    /// Remembers an envelope that the line had no time for: it is not fetched until
    /// [`Self::forget_unheard`]. Returns whether there was room to.
    pub fn remember_unheard(&mut self, checked: &CheckedEnvelope, settled: Millis) -> bool {
        let timestamps = Timestamps { made: checked.made(), settled };
        let (rank, times) = (checked.priority_key(), (checked.expiry(), timestamps));
        remember(&mut self.unheard, self.most_remembered, rank, times)
    }

    /// Settles an envelope at this moment, as far as it had not: a neighbour sent it to catch us up.
    /// Returns whether it is held and had not settled.
    ///
    /// What the line had no time for a moment ago is forgotten: it may be held now, as if it had not
    /// come before.
    pub fn settle(&mut self, checked: &CheckedEnvelope, now: Millis) -> bool {
        let id = checked.id();
        if self.unheard.get(&id).is_some_and(|times| times.settled > now) {
            self.unheard.remove(&id);
        }
        let share = self.share_mut(checked.charge().share());
        if let Some(times) = share.remembered.get_mut(&id) {
            times.settled = times.settled.min(now);
        }
        let Some(entry) = share.entries.get_mut(&id) else { return false };
        let had_settled = entry.timestamps.settled <= now;
        entry.timestamps.settled = entry.timestamps.settled.min(now);
        !had_settled
    }

    /// Forgets what the line had no time for: it may be fetched now.
    pub fn forget_unheard(&mut self) {
        if self.unheard.len() > 0 {
            self.unheard = RankedSet::new();
        }
    }

    /// Lets go of envelopes that the archive does not have, and forgets that they were seen: they
    /// may come again. Returns how many of them were held.
    pub fn mark_missing(&mut self, ids: &[EnvelopeId]) -> usize {
        let mut lost = 0;
        for id in ids {
            for share in Share::ALL {
                if let Some((_, entry)) = self.share_mut(share).entries.remove(id) {
                    self.uncharge(share, id, &entry);
                    lost += 1;
                }
            }
        }
        lost
    }

    /// The envelopes that the archive has to discard: those that left since this was called last.
    pub fn take_evicted(&mut self) -> Vec<EnvelopeId> {
        core::mem::take(&mut self.evicted)
    }

    /// Lets go of all envelopes that are expired, held or remembered, and forgets what had no room
    /// in shares that have some again; returns how many of them were held.
    pub fn sweep(&mut self, now: UnixSeconds) -> usize {
        while self.unheard.remove_expired(now).is_some() {}
        let mut swept = 0;
        for share in Share::ALL {
            while let Some((id, entry)) = self.share_mut(share).entries.remove_expired(now) {
                self.release(share, id, &entry);
                swept += 1;
            }
            let share = self.share_mut(share);
            if share.remembered.len() > 0 && share.books.room().is_calm() {
                share.remembered = RankedSet::new();
            }
            while share.remembered.remove_expired(now).is_some() {}
        }
        swept
    }

    /// How full a share is.
    #[must_use]
    pub fn room(&self, share: Share) -> Room {
        self.share(share).books.room()
    }

    /// The step that a share asks of a message that is made now.
    #[must_use]
    pub fn asked(&self, share: Share, now: UnixSeconds) -> Step {
        self.share(share).books.asked(hour_made(now), 1)
    }

    /// The step to say to neighbours for a message of each life, shortest first: what is asked when
    /// they have heard it.
    #[must_use]
    pub fn said(&self, now: UnixSeconds) -> [Step; 3] {
        Share::ALL.map(|share| self.share(share).books.said(hour_made(now), now))
    }

    /// Whether an envelope is held.
    #[must_use]
    pub fn contains(&self, id: &EnvelopeId) -> bool {
        self.shares.iter().any(|share| share.entries.contains(id))
    }

    /// Whether an envelope is held, or remembered as not held.
    #[must_use]
    pub fn knows(&self, checked: &CheckedEnvelope) -> bool {
        let (id, share) = (checked.id(), self.share(checked.charge().share()));
        share.entries.contains(&id) || share.remembered.contains(&id) || self.unheard.contains(&id)
    }

    /// The canonical encoding of an envelope that is held here and not in an archive.
    #[must_use]
    pub fn get(&self, id: &EnvelopeId) -> Option<&[u8]> {
        self.checked(id).map(CheckedEnvelope::bytes)
    }

    /// An envelope that is held here and not in an archive.
    #[must_use]
    pub fn checked(&self, id: &EnvelopeId) -> Option<&CheckedEnvelope> {
        self.entry(id)?.1.body.as_deref()
    }

    /// How large an envelope is, in bytes, if it is held and is not expired without tolerance.
    #[must_use]
    pub fn size(&self, id: &EnvelopeId, now: UnixSeconds) -> Option<usize> {
        let (expiry, entry) = self.entry(id)?;
        if expiry <= now {
            return None;
        }
        usize::try_from(entry.size).ok()
    }

    /// The envelopes to advertise: held, not expired by this clock without tolerance, and settled
    /// by `at`. Each with when it was made.
    pub fn settled_ids(
        &self,
        now: UnixSeconds,
        at: Millis,
    ) -> impl Iterator<Item = (UnixSeconds, EnvelopeId)> {
        self.shares
            .iter()
            .flat_map(|share| share.entries.iter())
            // Without the tolerance: in its last minutes it has expired for a client whose clock is
            // ahead.
            .filter(move |(_, expiry, entry)| *expiry > now && entry.timestamps.settled <= at)
            .map(|(id, _, entry)| (entry.timestamps.made, id))
    }

    /// The envelopes not needed from others: held, expired or not, or remembered as refused for
    /// room or for the line, if settled by `at`. Each with when it was made.
    pub fn known_ids(&self, at: Millis) -> impl Iterator<Item = (UnixSeconds, EnvelopeId)> {
        let held = self.shares.iter().flat_map(|share| share.entries.iter());
        let held = held.map(|(id, _, entry)| (id, entry.timestamps));
        let refused = self.shares.iter().map(|share| &share.remembered).chain([&self.unheard]);
        let refused = refused.flat_map(RankedSet::iter);
        held.chain(refused.map(|(id, _, timestamps)| (id, *timestamps)))
            .filter(move |(_, timestamps)| timestamps.settled <= at)
            .map(|(id, timestamps)| (timestamps.made, id))
    }

    /// All envelopes held here that have this topic, by id. They may be expired by now.
    pub fn by_topic(&self, topic: Topic) -> impl Iterator<Item = &CheckedEnvelope> {
        let first = (topic, EnvelopeId([0; 32]));
        let last = (topic, EnvelopeId([0xff; 32]));
        self.topics.range(first..=last).filter_map(|(_, id)| self.entry(id)?.1.body.as_deref())
    }

    /// All envelopes held here: share by share, lowest rank first. They may be expired by now.
    pub fn by_rank(&self) -> impl DoubleEndedIterator<Item = &CheckedEnvelope> {
        let entries = self.shares.iter().flat_map(|share| share.entries.by_rank());
        entries.filter_map(|(_, entry)| entry.body.as_deref())
    }

    /// The places that are taken.
    #[must_use]
    pub fn used(&self) -> usize {
        self.shares.iter().map(|share| share.books.room().used).sum()
    }

    /// How many envelopes are held.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shares.iter().map(|share| share.entries.len()).sum()
    }

    /// How much it holds at most.
    #[must_use]
    pub const fn bounds(&self) -> PoolBounds {
        self.bounds
    }

    fn share(&self, share: Share) -> &PoolShare {
        share.of(self.shares.each_ref())
    }

    fn share_mut(&mut self, share: Share) -> &mut PoolShare {
        let [six_hours, day, week] = &mut self.shares;
        match share {
            Share::SixHours => six_hours,
            Share::Day => day,
            Share::Week => week,
        }
    }

    /// An envelope that is held, with its expiry.
    fn entry(&self, id: &EnvelopeId) -> Option<(UnixSeconds, &PoolEntry)> {
        self.shares
            .iter()
            .find_map(|share| Some((share.entries.expiry(id)?, share.entries.get(id)?)))
    }

    fn evict(&mut self, share: Share, victim: PriorityKey) {
        let Some((expiry, entry)) = self.share_mut(share).entries.remove(&victim.id) else {
            return;
        };
        self.release(share, victim.id, &entry);
        let most = self.most_remembered;
        let memory = &mut self.share_mut(share).remembered;
        // A memory full of better ids forgets this one. Should the envelope come again, it meets a
        // share that is full of better ones, and the same memory.
        let _remembered: bool = remember(memory, most, victim, (expiry, entry.timestamps));
    }

    /// Takes an envelope that has left out of the accounts, and has the archive discard it.
    fn release(&mut self, share: Share, id: EnvelopeId, entry: &PoolEntry) {
        self.uncharge(share, &id, entry);
        match self.bodies {
            BodyStorage::Inline => {}
            BodyStorage::External => self.evicted.push(id),
        }
    }

    fn uncharge(&mut self, share: Share, id: &EnvelopeId, entry: &PoolEntry) {
        self.share_mut(share).books.free(entry.timestamps.made, entry.blocks);
        self.topics.remove(&(entry.topic, *id));
    }
}

impl PoolShare {
    const fn new(share: Share, places: usize) -> Self {
        let books = Occupancy::new(share, places);
        Self { books, entries: RankedSet::new(), remembered: RankedSet::new() }
    }

    /// The envelopes that have to leave for a newcomer, lowest first: none unless the share is
    /// full. `None` if it does not show what is asked, or not twice what one of them shows, or if
    /// the empty share would not hold it.
    fn victims(
        &self,
        newcomer: PriorityKey,
        floor: Floor,
        (made, blocks): (UnixSeconds, u8),
    ) -> Option<Vec<PriorityKey>> {
        let (Room { mut used, places }, asked) =
            (self.books.room(), self.books.asked(made, blocks));
        if usize::from(blocks) > places || !floor.admits(newcomer.priority, asked) {
            return None;
        }
        let mut victims = Vec::new();
        let mut ranks = self.entries.by_rank();
        while !(Room { used, places }).fits(blocks) {
            let (victim, entry) = ranks.next()?;
            // So what was let in leaves early for no less than 256 times the floor, and never for
            // something hardly better, as an auction would have it.
            if !newcomer.priority.is_twice(victim.priority) {
                return None;
            }
            used -= usize::from(entry.blocks);
            victims.push(victim);
        }
        Some(victims)
    }
}

/// Remembers an id that is not held; when memory is full, in place of the lowest ranked. Returns
/// whether it did: not if the memory is full of better ones.
fn remember(
    memory: &mut RankedSet<Timestamps>,
    most: usize,
    rank: PriorityKey,
    (expiry, timestamps): (UnixSeconds, Timestamps),
) -> bool {
    while memory.len() >= most {
        match memory.lowest() {
            Some(lowest) if lowest < rank => memory.remove(&lowest.id),
            Some(_) | None => return false,
        };
    }
    memory.insert(rank, expiry, timestamps);
    true
}

/// The trees' share of one entry, twice, and the box of its body fit the books.
const _: () = assert!(
    2 * (RankedSet::<PoolEntry>::ENTRY_SIZE + size_of::<(Topic, EnvelopeId)>())
        + size_of::<CheckedEnvelope>()
        <= ENTRY_OVERHEAD
);
