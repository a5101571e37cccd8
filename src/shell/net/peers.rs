//! The table of neighbours: each one's number, part in the flood, last sign of life and rejected
//! envelopes.
//!
//! The table closes no connection and reads no clock; it lists the neighbours that are overdue.
//! Neighbours that left are remembered for a while, so that a late verdict finds its carrier and
//! coming back does not set the count of rejected envelopes to zero.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use libp2p::PeerId;
use tokio::time::Instant;

use crate::engine::id::NeighbourId;

use super::address_range::Origin;
use super::frame::PassingOn;
use super::settings::NetTiming;

/// Rejected envelopes within [`MEMORY`] at which a neighbour is blocked. An honest node of the same
/// network passes on none; four allow for a fault at its start.
pub(super) const REFUSALS: u32 = 4;

/// The time for which a rejected envelope counts: in it gossipsub's own count falls to a tenth.
pub(super) const MEMORY: Duration = Duration::from_secs(600);

/// Neighbours remembered after they left; the longest gone are forgotten first. A guess: an hour of
/// a connection every few seconds. The bound is there because an attacker makes new transport keys
/// for nothing.
const DEPARTED: usize = 1024;

/// All neighbours, present and lately gone.
pub(super) struct PeerTable {
    by_id: BTreeMap<PeerId, PeerEntry>,
    by_tag: BTreeMap<NeighbourId, PeerId>,
    departed: VecDeque<PeerId>,
    /// Neighbours in the flood at this moment that this node is in the flood of, and where they are.
    inside: BTreeMap<NeighbourId, Origin>,
    /// Whether a neighbour passed nothing on to this node for a while and does again, which is not told
    /// yet.
    has_resumed: bool,
    next_tag: u64,
}

struct PeerEntry {
    tag: NeighbourId,
    liveness: PeerLiveness,
    /// Of its first connection that stands or stood last; none before there was one.
    origin: Option<Origin>,
    /// The latest sign of life on the gossip stream; none if it never gave one.
    heartbeat: Option<Instant>,
    /// What it said last of passing the flood on to us; none if it never said anything.
    passing_on: Option<PassingOn>,
    refusals: u32,
    /// When the oldest of `refusals` was counted.
    refused_since: Instant,
}

/// A neighbour's connection and part in the flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerLiveness {
    Gone,
    Connected { since: Instant },
    Inside { since: Instant },
}

/// The reason that a neighbour is overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OverdueReason {
    /// Connected for long, it has not joined the flood.
    NeverJoined,
    /// It gave signs of life and stopped: its gossip stream is dead.
    Silent,
}

impl PeerTable {
    /// No neighbours yet.
    pub(super) fn new() -> Self {
        Self {
            by_id: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            departed: VecDeque::new(),
            inside: BTreeMap::new(),
            has_resumed: false,
            next_tag: 0,
        }
    }

    /// The neighbours that take part in the flood and pass it on to this node, and where they are.
    ///
    /// From here on nothing of the flood is missed, so not sooner: what is compared with a neighbour
    /// before it passes everything on, or said before it listens, falls in between. Whoever joined
    /// and says neither that it passes on nor that it does not counts after a while
    /// ([`Self::await_no_longer`]).
    pub(super) fn inside(&self) -> &BTreeMap<NeighbourId, Origin> {
        &self.inside
    }

    /// The number of a neighbour that takes part in the flood; none for all others.
    pub(super) fn insider(&self, peer: &PeerId) -> Option<NeighbourId> {
        let known = self.by_id.get(peer)?;
        matches!(known.liveness, PeerLiveness::Inside { .. }).then_some(known.tag)
    }

    /// The number of a neighbour; the same for as long as it is remembered, then never again.
    pub(super) fn tag(&mut self, peer: PeerId, now: Instant) -> NeighbourId {
        self.entry(peer, now).tag
    }

    /// The neighbour with this number, unless it is forgotten.
    pub(super) fn named(&self, tag: NeighbourId) -> Option<PeerId> {
        self.by_tag.get(&tag).copied()
    }

    /// A connection to this neighbour stands, from there.
    pub(super) fn connected(&mut self, peer: PeerId, origin: Origin, now: Instant) {
        let known = self.entry(peer, now);
        // A second connection changes nothing: one neighbour is at one place.
        if known.liveness == PeerLiveness::Gone {
            known.origin = Some(origin);
            known.liveness = PeerLiveness::Connected { since: now };
        }
    }

    /// The last connection to this neighbour is gone.
    pub(super) fn gone(&mut self, peer: PeerId) {
        let Some(known) = self.by_id.get_mut(&peer) else { return };
        self.inside.remove(&known.tag);
        known.liveness = PeerLiveness::Gone;
        known.passing_on = None;
        // A later connection has another gossip stream: the old beat would make it overdue at once.
        // The refusals stay, or hanging up would clear them.
        known.heartbeat = None;
        self.depart(peer);
    }

    /// The neighbour joined the flood.
    pub(super) fn joined(&mut self, peer: PeerId, now: Instant) {
        let Some(known) = self.by_id.get_mut(&peer) else { return };
        // Not after it has gone: gossipsub's event may come late, when we have disconnected it.
        if let PeerLiveness::Connected { .. } = known.liveness {
            known.liveness = PeerLiveness::Inside { since: now };
            // On two connections it may have said so before.
            if known.passing_on == Some(PassingOn::Begun) {
                self.inside.extend(known.origin.map(|origin| (known.tag, origin)));
            }
        }
    }

    /// The neighbour says whether it passes the flood on to this node.
    pub(super) fn passes_on(&mut self, peer: PeerId, said: PassingOn) {
        let Some(known) = self.by_id.get_mut(&peer) else { return };
        if known.liveness == PeerLiveness::Gone {
            return;
        }
        let before = known.passing_on.replace(said);
        let PeerLiveness::Inside { .. } = known.liveness else { return };
        match said {
            PassingOn::Begun => {
                self.inside.extend(known.origin.map(|origin| (known.tag, origin)));
                self.has_resumed |= before == Some(PassingOn::Ended);
            }
            // It stays a neighbour: it takes what we pass on, and we catch up with it.
            PassingOn::Ended => {}
        }
    }

    /// Counts those in the flood that joined so long ago and have not said that they pass on: there are
    /// programs that do and do not say it, if our own word for it reached them first.
    pub(super) fn await_no_longer(&mut self, now: Instant, wait: Duration) {
        for known in self.by_id.values() {
            if let PeerLiveness::Inside { since } = known.liveness
                && now.duration_since(since) >= wait
            {
                self.inside.extend(known.origin.map(|origin| (known.tag, origin)));
            }
        }
    }

    /// Whether a neighbour passed nothing on to this node for a while, and does again, since this was
    /// asked last: what it did not pass on is missed.
    pub(super) fn take_resumed(&mut self) -> bool {
        core::mem::take(&mut self.has_resumed)
    }

    /// The neighbour left the flood and is still connected.
    pub(super) fn left(&mut self, peer: PeerId, now: Instant) {
        let Some(known) = self.by_id.get_mut(&peer) else { return };
        // It may join again, and gets the same time for it as a new connection.
        if let PeerLiveness::Inside { .. } = known.liveness {
            known.liveness = PeerLiveness::Connected { since: now };
            known.passing_on = None;
            self.inside.remove(&known.tag);
        }
    }

    /// The neighbour gave a sign of life on its gossip stream.
    pub(super) fn heartbeat(&mut self, peer: PeerId, now: Instant) {
        let Some(known) = self.by_id.get_mut(&peer) else { return };
        if known.liveness != PeerLiveness::Gone {
            known.heartbeat = Some(now);
        }
    }

    /// Counts a rejected envelope against its carrier. Returns the carrier if it is to be blocked.
    pub(super) fn refused(&mut self, tag: NeighbourId, now: Instant) -> Option<PeerId> {
        let id = self.named(tag)?;
        let peer = self.by_id.get_mut(&id)?;
        // A new period, so that rare faults of a long-lived neighbour never add up to a block.
        if peer.refusals == 0 || now.duration_since(peer.refused_since) >= MEMORY {
            peer.refusals = 0;
            peer.refused_since = now;
        }
        peer.refusals = peer.refusals.saturating_add(1);
        (peer.refusals >= REFUSALS).then_some(id)
    }

    /// The neighbours that are overdue at `now`.
    pub(super) fn overdue(&self, now: Instant, pace: &NetTiming) -> Vec<(PeerId, OverdueReason)> {
        let verdict = |peer: &PeerEntry| match (peer.liveness, peer.heartbeat) {
            (PeerLiveness::Gone, _) => None,
            // A connection outside the flood is of no use to us and takes another's place.
            (PeerLiveness::Connected { since }, _) if now.duration_since(since) > pace.join => {
                Some(OverdueReason::NeverJoined)
            }
            // Inside or not, its gossip stream is dead: it could not join either.
            (_, Some(heartbeat)) if now.duration_since(heartbeat) > pace.silence => {
                Some(OverdueReason::Silent)
            }
            // Programs that never give a sign of life are allowed: silence proves nothing of them.
            (PeerLiveness::Connected { .. } | PeerLiveness::Inside { .. }, _) => None,
        };
        self.by_id.iter().filter_map(|(id, peer)| Some((*id, verdict(peer)?))).collect()
    }

    /// Moves every deadline by `pause`, in which this node stood still: the notices of neighbours
    /// from that time are not read yet.
    pub(super) fn forgive(&mut self, pause: Duration) {
        for peer in self.by_id.values_mut() {
            if let PeerLiveness::Connected { since } = &mut peer.liveness {
                *since += pause;
            }
            if let Some(heartbeat) = &mut peer.heartbeat {
                *heartbeat += pause;
            }
        }
    }

    fn entry(&mut self, peer: PeerId, now: Instant) -> &mut PeerEntry {
        // A new entry is gone until it connects: queued at once, so that one which never does is
        // forgotten too.
        if !self.by_id.contains_key(&peer) {
            self.depart(peer);
        }
        self.by_id.entry(peer).or_insert_with(|| {
            let tag = NeighbourId(self.next_tag);
            // Never used again: a late verdict must not meet another neighbour.
            self.next_tag += 1;
            self.by_tag.insert(tag, peer);
            PeerEntry {
                tag,
                liveness: PeerLiveness::Gone,
                origin: None,
                heartbeat: None,
                passing_on: None,
                refusals: 0,
                refused_since: now,
            }
        })
    }

    /// Queues a neighbour to be forgotten, if it is gone when its turn comes.
    fn depart(&mut self, peer: PeerId) {
        self.departed.push_back(peer);
        if self.departed.len() <= DEPARTED {
            return;
        }
        let Some(oldest) = self.departed.pop_front() else { return };
        // A neighbour that is back stays, and is queued again when it leaves.
        let is_gone = |peer: &PeerEntry| peer.liveness == PeerLiveness::Gone;
        if self.by_id.get(&oldest).is_some_and(is_gone)
            && let Some(forgotten) = self.by_id.remove(&oldest)
        {
            self.by_tag.remove(&forgotten.tag);
        }
    }
}

/// The neighbours blocked last: a list with a bound.
#[derive(Default)]
pub(super) struct BlockList(VecDeque<PeerId>);

/// Neighbours blocked at a time. Keys are free, so a longer memory would only cost; a guess.
const BLOCKED: usize = 1024;

impl BlockList {
    /// Adds a blocked neighbour. Returns the oldest, if its block ends to make room.
    pub(super) fn add(&mut self, peer: PeerId) -> Option<PeerId> {
        self.0.push_back(peer);
        if self.0.len() > BLOCKED { self.0.pop_front() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::id::{AddressPath, AddressRange};

    const SECOND: Duration = Duration::from_secs(1);
    const HERE: Origin = Origin { range: AddressRange(1), path: AddressPath([1; 3]) };
    const THERE: Origin = Origin { range: AddressRange(2), path: AddressPath([2; 3]) };

    /// Neighbours with one that is in the flood, and that one.
    fn one(now: Instant) -> (PeerTable, PeerId) {
        let mut peers = PeerTable::new();
        let peer = PeerId::random();
        peers.connected(peer, HERE, now);
        peers.joined(peer, now);
        peers.passes_on(peer, PassingOn::Begun);
        (peers, peer)
    }

    #[test]
    fn a_neighbour_outside_the_flood_becomes_overdue_and_one_inside_does_not() {
        let (now, pace) = (Instant::now(), NetTiming::default());
        let (mut peers, inside) = one(now);
        let outside = PeerId::random();
        peers.connected(outside, HERE, now);
        assert!(peers.overdue(now + pace.join, &pace).is_empty());
        let late = now + pace.join + SECOND;
        assert_eq!(peers.overdue(late, &pace), [(outside, OverdueReason::NeverJoined)]);
        peers.left(inside, late);
        assert_eq!(peers.overdue(late, &pace).len(), 1, "the time starts when it leaves");
        assert_eq!(peers.overdue(late + pace.join + SECOND, &pace).len(), 2);
    }

    #[test]
    fn only_a_neighbour_that_gave_signs_of_life_can_become_silent() {
        let (now, pace) = (Instant::now(), NetTiming::default());
        let (mut peers, peer) = one(now);
        let late = now + pace.silence * 10;
        assert!(peers.overdue(late, &pace).is_empty());
        peers.heartbeat(peer, now);
        assert_eq!(peers.overdue(late, &pace), [(peer, OverdueReason::Silent)]);
        peers.heartbeat(peer, late);
        assert!(peers.overdue(late + pace.silence, &pace).is_empty());
    }

    #[test]
    fn a_neighbour_that_comes_back_keeps_its_number_and_not_its_last_sign_of_life() {
        let (now, pace) = (Instant::now(), NetTiming::default());
        let (mut peers, peer) = one(now);
        let tag = peers.tag(peer, now);
        peers.heartbeat(peer, now);
        peers.gone(peer);
        assert!(peers.inside().is_empty() && peers.insider(&peer).is_none());
        assert_eq!(peers.named(tag), Some(peer), "a late verdict finds its carrier");
        let late = now + pace.silence * 2;
        peers.connected(peer, HERE, late);
        assert!(peers.overdue(late, &pace).is_empty());
        assert_eq!(peers.tag(peer, late), tag);
    }

    #[test]
    fn a_neighbour_is_in_the_range_of_its_first_connection_until_it_comes_back() {
        let now = Instant::now();
        let (mut peers, peer) = one(now);
        let (tag, there) = (peers.tag(peer, now), THERE);
        peers.connected(peer, there, now);
        assert_eq!(peers.inside(), &BTreeMap::from([(tag, HERE)]));
        peers.gone(peer);
        peers.connected(peer, there, now);
        assert!(peers.inside().is_empty());
        peers.passes_on(peer, PassingOn::Begun);
        peers.joined(peer, now);
        assert_eq!(peers.inside(), &BTreeMap::from([(tag, there)]));
    }

    #[test]
    fn a_neighbour_counts_once_it_passes_on_to_us_or_was_waited_for() {
        let now = Instant::now();
        let (mut peers, peer, quiet) = (PeerTable::new(), PeerId::random(), PeerId::random());
        for peer in [peer, quiet] {
            peers.connected(peer, HERE, now);
            peers.joined(peer, now);
        }
        peers.await_no_longer(now, SECOND);
        assert!(peers.inside().is_empty());
        assert!(peers.insider(&peer).is_some(), "it is served all the same");
        peers.passes_on(peer, PassingOn::Begun);
        assert_eq!(peers.inside().len(), 1);
        peers.await_no_longer(now + SECOND, SECOND);
        assert_eq!(peers.inside().len(), 2);
        peers.left(quiet, now + SECOND);
        peers.await_no_longer(now + 2 * SECOND, SECOND);
        assert_eq!(peers.inside().len(), 1);
    }

    #[test]
    fn a_neighbour_that_passes_on_again_is_told_once_and_stays_a_neighbour_meanwhile() {
        let now = Instant::now();
        let (mut peers, peer) = one(now);
        peers.passes_on(peer, PassingOn::Begun);
        assert!(!peers.take_resumed());
        peers.passes_on(peer, PassingOn::Ended);
        assert_eq!(peers.inside().len(), 1);
        assert!(!peers.take_resumed());
        peers.passes_on(peer, PassingOn::Begun);
        assert!(peers.take_resumed() && !peers.take_resumed());
        // What was said on a connection that is gone says nothing of the next.
        peers.passes_on(peer, PassingOn::Ended);
        peers.gone(peer);
        peers.connected(peer, HERE, now);
        peers.joined(peer, now);
        peers.passes_on(peer, PassingOn::Begun);
        assert!(!peers.take_resumed());
    }

    #[test]
    fn no_neighbour_becomes_silent_because_this_node_stood_still() {
        let (now, pace) = (Instant::now(), NetTiming::default());
        let (mut peers, peer) = one(now);
        peers.heartbeat(peer, now);
        peers.connected(PeerId::random(), HERE, now);
        let pause = pace.silence * 3;
        peers.forgive(pause);
        assert!(peers.overdue(now + pause + SECOND, &pace).is_empty());
    }

    #[test]
    fn rejected_envelopes_add_up_within_their_time_even_across_connections() {
        let now = Instant::now();
        let (mut peers, peer) = one(now);
        let tag = peers.tag(peer, now);
        for _ in 1..REFUSALS {
            assert_eq!(peers.refused(tag, now), None);
        }
        peers.gone(peer);
        peers.connected(peer, HERE, now);
        assert_eq!(peers.refused(tag, now), Some(peer));
    }

    #[test]
    fn rejected_envelopes_are_forgotten_after_their_time() {
        let now = Instant::now();
        let (mut peers, peer) = one(now);
        let tag = peers.tag(peer, now);
        for _ in 1..REFUSALS {
            assert_eq!(peers.refused(tag, now), None);
        }
        assert_eq!(peers.refused(tag, now + MEMORY), None);
    }

    #[test]
    fn the_memory_of_departed_neighbours_is_bounded() {
        let now = Instant::now();
        let (mut peers, stays) = one(now);
        let stays_tag = peers.tag(stays, now);
        let first = PeerId::random();
        peers.connected(first, HERE, now);
        let first_tag = peers.tag(first, now);
        peers.gone(first);
        for _ in 0..3 * DEPARTED {
            let peer = PeerId::random();
            peers.connected(peer, HERE, now);
            peers.gone(peer);
        }
        assert!(peers.by_id.len() <= DEPARTED + 1);
        assert_eq!(peers.named(first_tag), None);
        assert_eq!(peers.named(stays_tag), Some(stays), "whoever is here is remembered");
    }

    #[test]
    fn the_list_of_blocked_neighbours_is_bounded() {
        let mut blocks = BlockList::default();
        let first = PeerId::random();
        assert_eq!(blocks.add(first), None);
        for _ in 1..BLOCKED {
            assert_eq!(blocks.add(PeerId::random()), None);
        }
        assert_eq!(blocks.add(PeerId::random()), Some(first));
    }

    proptest! {
        #[test]
        fn after_any_events_the_list_holds_the_neighbours_inside_and_numbers_are_unique(
            steps in prop::collection::vec((0..10_u8, 0..6_usize), 0..200),
        ) {
            let now = Instant::now();
            let ids: Vec<_> = (0..6).map(|_| PeerId::random()).collect();
            let mut peers = PeerTable::new();
            for (step, which) in steps {
                let peer = ids[which];
                match step {
                    0 => peers.connected(peer, HERE, now),
                    1 => peers.gone(peer),
                    2 => peers.joined(peer, now),
                    3 => peers.left(peer, now),
                    4 => peers.heartbeat(peer, now),
                    5 => drop(peers.tag(peer, now)),
                    6 => peers.passes_on(peer, PassingOn::Begun),
                    7 => peers.passes_on(peer, PassingOn::Ended),
                    8 => peers.await_no_longer(now, Duration::ZERO),
                    _ => {
                        let tag = peers.tag(peer, now);
                        peers.refused(tag, now);
                    }
                }
                let insider = |id| Some((peers.insider(id)?, HERE));
                let inside: BTreeMap<_, _> = peers.by_id.keys().filter_map(insider).collect();
                prop_assert!(peers.inside().iter().all(|told| inside.get(told.0) == Some(told.1)));
                for known in peers.by_id.values().filter(|known| inside.contains_key(&known.tag)) {
                    let told = peers.inside().contains_key(&known.tag);
                    prop_assert!(told || known.passing_on != Some(PassingOn::Begun));
                }
                prop_assert_eq!(peers.by_id.len(), peers.by_tag.len());
                for (id, peer) in &peers.by_id {
                    prop_assert_eq!(peers.named(peer.tag), Some(*id));
                }
                let beating = peers.by_id.values().filter(|peer| peer.heartbeat.is_some());
                prop_assert!(beating.clone().all(|peer| peer.liveness != PeerLiveness::Gone));
            }
        }
    }
}
