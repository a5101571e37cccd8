//! How many ids gossipsub is made to remember.
//!
//! Gossipsub remembers the id of every message for [`KEPT`], in two places and without a count. So
//! ids are counted before they are lent to it: at most so many in that time, and while half of them
//! are taken no neighbour has more than an eighth. What is over is dropped without a word and
//! without blame: it was paid for, it may be somebody's first word, and catching up brings it.
//!
//! With an id that was accepted gossipsub remembers everybody who brings a copy of it, for as long.
//! Transport keys are free, so one neighbour that comes again and again under new ones, with a
//! recording of the last two minutes, would have it remember any number. A copy means nothing once
//! there is a verdict: from then on it is dropped.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use libp2p::PeerId;
use tokio::time::Instant;

use crate::engine::envelope::EnvelopeId;

/// The time for which gossipsub remembers an id. The scores' memory of deliveries cannot be set to
/// another time (`TIME_CACHE_DURATION` of gossipsub 0.50); the seen-cache is set to the same.
pub(super) const KEPT: Duration = Duration::from_secs(120);

/// Ids in that time, at most: 546 a second, 34 times what the default line carries. About 30 MB in
/// gossipsub's two caches, by calculation.
pub(super) const MOST: usize = 65_536;

/// The ids that gossipsub remembers.
pub(super) struct Admissions {
    most: usize,
    /// In the order they came, the oldest first; each with the neighbour that brought it, if it is not
    /// our own.
    order: VecDeque<(Instant, Option<PeerId>, EnvelopeId)>,
    /// The same.
    ids: BTreeMap<EnvelopeId, Admitted>,
    /// How many each neighbour brought first.
    by_peer: BTreeMap<PeerId, usize>,
}

/// An id that was admitted.
struct Admitted {
    /// The bytes of its envelope.
    size: u32,
    /// Whether there is a verdict on it.
    is_settled: bool,
}

impl Admissions {
    /// None yet, and room for so many.
    pub(super) const fn new(most: usize) -> Self {
        Self { most, order: VecDeque::new(), ids: BTreeMap::new(), by_peer: BTreeMap::new() }
    }

    /// Whether gossipsub may be handed this envelope of so many bytes, brought by this neighbour.
    pub(super) fn admit(
        &mut self,
        peer: PeerId,
        (id, size): (EnvelopeId, usize),
        now: Instant,
    ) -> bool {
        self.forget(now);
        // While there is no verdict the carrier is left out of those whom it is passed on to.
        if let Some(admitted) = self.ids.get(&id) {
            return !admitted.is_settled;
        }
        let of_peer = self.by_peer.get(&peer).copied().unwrap_or_default();
        let is_crowded = self.order.len() >= self.most / 2;
        if self.order.len() >= self.most || (is_crowded && of_peer >= self.most / 8) {
            return false;
        }
        self.order.push_back((now, Some(peer), id));
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.ids.insert(id, Admitted { size, is_settled: false });
        self.by_peer.insert(peer, of_peer + 1);
        true
    }

    /// There is a verdict on an envelope.
    pub(super) fn settle(&mut self, id: &EnvelopeId) {
        if let Some(admitted) = self.ids.get_mut(id) {
            admitted.is_settled = true;
        }
    }

    /// An envelope of our own was published. Work is done for each, so they are few.
    pub(super) fn publish(&mut self, (id, size): (EnvelopeId, usize), now: Instant) {
        self.forget(now);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        if self.ids.insert(id, Admitted { size, is_settled: true }).is_none() {
            self.order.push_back((now, None, id));
        }
    }

    /// How many ids there are whose copies are let through.
    #[cfg(feature = "inside")]
    pub(super) fn unsettled(&self) -> usize {
        self.ids.values().filter(|admitted| !admitted.is_settled).count()
    }

    /// The bytes of an envelope that was admitted in the last [`KEPT`].
    pub(super) fn size(&self, id: &EnvelopeId) -> Option<u32> {
        self.ids.get(id).map(|admitted| admitted.size)
    }

    fn forget(&mut self, now: Instant) {
        while let Some((since, peer, id)) = self.order.front().copied() {
            if now.duration_since(since) < KEPT {
                return;
            }
            self.order.pop_front();
            self.ids.remove(&id);
            let Some(peer) = peer else { continue };
            if let Some(count) = self.by_peer.get_mut(&peer) {
                *count -= 1;
                if *count == 0 {
                    self.by_peer.remove(&peer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn id(number: usize) -> EnvelopeId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        EnvelopeId(id)
    }

    #[test]
    fn many_new_ids_from_four_neighbours_leave_room_for_a_fifth() {
        let (now, mut admissions) = (Instant::now(), Admissions::new(64));
        let loud: Vec<_> = (0..4).map(|_| PeerId::random()).collect();
        let mut number = 0;
        for _ in 0..100 {
            for peer in &loud {
                admissions.admit(*peer, (id(number), 1), now);
                number += 1;
            }
        }
        assert_eq!(admissions.order.len(), 32);
        assert!(!admissions.admit(loud[0], (id(number), 1), now));
        assert!(admissions.admit(loud[0], (id(0), 1), now), "one that has no verdict yet");
        let quiet = PeerId::random();
        for one_more in 1..=8 {
            assert!(admissions.admit(quiet, (id(number + one_more), 1), now));
        }
        assert!(admissions.admit(loud[0], (id(number), 1), now + KEPT), "and two minutes later");
        assert_eq!(admissions.order.len(), 1);
    }

    #[test]
    fn copies_are_let_through_until_there_is_a_verdict() {
        let (now, mut admissions) = (Instant::now(), Admissions::new(64));
        let one = |admissions: &mut Admissions, number, now| {
            admissions.admit(PeerId::random(), (id(number), 1), now)
        };
        assert!(one(&mut admissions, 0, now) && one(&mut admissions, 0, now));
        admissions.settle(&id(0));
        admissions.publish((id(1), 1), now);
        for number in [0, 1] {
            assert!(!one(&mut admissions, number, now));
            assert_eq!(admissions.size(&id(number)), Some(1));
        }
        assert!(one(&mut admissions, 0, now + KEPT) && one(&mut admissions, 1, now + KEPT));
        assert_eq!((admissions.order.len(), admissions.by_peer.len()), (2, 2));
    }

    #[test]
    fn an_envelope_of_our_own_that_was_brought_before_has_one_place() {
        let (now, mut admissions) = (Instant::now(), Admissions::new(64));
        assert!(admissions.admit(PeerId::random(), (id(0), 1), now));
        admissions.publish((id(0), 1), now);
        assert_eq!((admissions.order.len(), admissions.ids.len()), (1, 1));
        assert!(!admissions.admit(PeerId::random(), (id(0), 1), now));
    }

    proptest! {
        #[test]
        fn the_books_agree_with_a_list(
            steps in prop::collection::vec((0..4_usize, 0..200_usize, 0..9_u32), 0..300),
        ) {
            let peers: Vec<_> = (0..4).map(|_| PeerId::random()).collect();
            let (mut now, mut admissions) = (Instant::now(), Admissions::new(64));
            let mut list: Vec<(Instant, usize, usize)> = Vec::new();
            for (peer, number, pause) in steps {
                now += SECOND * pause;
                list.retain(|(since, ..)| now.duration_since(*since) < KEPT);
                let known = list.iter().any(|(_, _, listed)| *listed == number);
                let of_peer = list.iter().filter(|(_, of, _)| *of == peer).count();
                let room = list.len() < 32 || (list.len() < 64 && of_peer < 8);
                let admitted = admissions.admit(peers[peer], (id(number), number), now);
                prop_assert_eq!(admitted, known || room);
                if admitted && !known {
                    list.push((now, peer, number));
                }
                prop_assert_eq!(admissions.order.len(), list.len());
                prop_assert_eq!(admissions.ids.len(), list.len());
                prop_assert_eq!(admissions.by_peer.values().sum::<usize>(), list.len());
                let size = admissions.size(&id(number));
                prop_assert_eq!(size.is_some(), admitted);
            }
        }
    }
}
