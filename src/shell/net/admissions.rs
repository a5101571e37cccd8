//! How many ids gossipsub is made to remember.
//!
//! Gossipsub remembers the id of every message for [`KEPT`], in two places and without a count. So
//! ids are counted before they are lent to it: at most so many in that time, and while half of them
//! are taken no neighbour has more than an eighth. What is over is dropped without a word and
//! without blame: it was paid for, it may be somebody's first word, and catching up brings it.

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
    /// In the order they came, the oldest first.
    order: VecDeque<(Instant, PeerId, EnvelopeId)>,
    /// The same, each with the bytes of its envelope.
    sizes: BTreeMap<EnvelopeId, u32>,
    /// How many each neighbour brought first.
    by_peer: BTreeMap<PeerId, usize>,
}

impl Admissions {
    /// None yet, and room for so many.
    pub(super) const fn new(most: usize) -> Self {
        Self { most, order: VecDeque::new(), sizes: BTreeMap::new(), by_peer: BTreeMap::new() }
    }

    /// Whether gossipsub may be handed this envelope of so many bytes, brought by this neighbour.
    pub(super) fn admit(
        &mut self,
        peer: PeerId,
        (id, size): (EnvelopeId, usize),
        now: Instant,
    ) -> bool {
        self.forget(now);
        // Remembered already, so it costs no memory.
        if self.sizes.contains_key(&id) {
            return true;
        }
        let of_peer = self.by_peer.get(&peer).copied().unwrap_or_default();
        let is_crowded = self.order.len() >= self.most / 2;
        if self.order.len() >= self.most || (is_crowded && of_peer >= self.most / 8) {
            return false;
        }
        self.order.push_back((now, peer, id));
        self.sizes.insert(id, u32::try_from(size).unwrap_or(u32::MAX));
        self.by_peer.insert(peer, of_peer + 1);
        true
    }

    /// The bytes of an envelope that was admitted in the last [`KEPT`].
    pub(super) fn size(&self, id: &EnvelopeId) -> Option<u32> {
        self.sizes.get(id).copied()
    }

    fn forget(&mut self, now: Instant) {
        while let Some((since, peer, id)) = self.order.front().copied() {
            if now.duration_since(since) < KEPT {
                return;
            }
            self.order.pop_front();
            self.sizes.remove(&id);
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
        assert!(admissions.admit(loud[0], (id(0), 1), now), "one that is known costs nothing");
        let quiet = PeerId::random();
        for one_more in 1..=8 {
            assert!(admissions.admit(quiet, (id(number + one_more), 1), now));
        }
        assert!(admissions.admit(loud[0], (id(number), 1), now + KEPT), "and two minutes later");
        assert_eq!(admissions.order.len(), 1);
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
                prop_assert_eq!(admissions.sizes.len(), list.len());
                prop_assert_eq!(admissions.by_peer.values().sum::<usize>(), list.len());
                let size = admissions.size(&id(number));
                prop_assert_eq!(size.is_some(), admitted);
            }
        }
    }
}
