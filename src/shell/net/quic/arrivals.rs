//! How many handshakes others may begin.
//!
//! A first datagram costs its sender nothing, not even an address of its own. Answering it makes a
//! connection here that is kept for seconds, whatever becomes of it: quinn remembers an abandoned one
//! for three times what a lost packet takes to be sent again. So handshakes are counted from their
//! beginning, for as long as what comes to nothing may stay ([`KEPT`]), and a street (IPv4 /24, IPv6
//! /64) may have begun as many of them as are free at that moment. One street alone can take half, two
//! a third each, and a street that has begun none finds room beside hundreds.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

/// The time for which a handshake counts: five seconds that it may take (`NetTiming::handshake_in`),
/// and three in which quinn forgets it.
const KEPT: Duration = Duration::from_secs(8);

/// Handshakes begun in that time, at most: 32 a second, and a relay's 48 places filled anew in two.
/// A guess.
const MOST: usize = 256;

/// With more of them begun than this, an address first shows that it receives what is sent to it
/// (Retry, RFC 9000 section 8.1.2): a round trip, that costs nothing here. A guess: as many as come
/// at once where nobody means harm.
const UNPROVEN: usize = 16;

/// The handshakes that others began.
#[derive(Default)]
pub(super) struct Arrivals {
    /// In the order they came, the oldest first; each with its street.
    begun: VecDeque<(Instant, u64)>,
    by_street: BTreeMap<u64, usize>,
}

/// What is known of an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressProof {
    /// It received what was sent to it.
    Proven,
    /// Anybody may have written it on a datagram.
    Claimed,
}

/// The answer to a first datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandshakeAnswer {
    /// A handshake begins.
    Begin,
    /// Its address is to be proven first.
    Prove,
    /// None; whoever is honest sends it again.
    Silence,
}

impl Arrivals {
    /// The answer to a first datagram from this street.
    pub(super) fn answer(
        &mut self,
        street: u64,
        address: AddressProof,
        now: Instant,
    ) -> HandshakeAnswer {
        self.forget(now);
        if address == AddressProof::Claimed && self.begun.len() >= UNPROVEN {
            return HandshakeAnswer::Prove;
        }
        let of_street = self.by_street.get(&street).copied().unwrap_or_default();
        if of_street >= MOST.saturating_sub(self.begun.len()) {
            return HandshakeAnswer::Silence;
        }
        self.begun.push_back((now, street));
        self.by_street.insert(street, of_street + 1);
        HandshakeAnswer::Begin
    }

    fn forget(&mut self, now: Instant) {
        while let Some((since, street)) = self.begun.front().copied() {
            if now.duration_since(since) < KEPT {
                return;
            }
            self.begun.pop_front();
            if let Some(count) = self.by_street.get_mut(&street) {
                *count -= 1;
                if *count == 0 {
                    self.by_street.remove(&street);
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

    fn begin(arrivals: &mut Arrivals, street: u64, now: Instant) -> bool {
        arrivals.answer(street, AddressProof::Proven, now) == HandshakeAnswer::Begin
    }

    #[test]
    fn an_address_is_to_be_proven_as_soon_as_many_have_come() {
        let (now, mut arrivals) = (Instant::now(), Arrivals::default());
        for _ in 0..UNPROVEN {
            assert_eq!(arrivals.answer(1, AddressProof::Claimed, now), HandshakeAnswer::Begin);
        }
        for street in 0..10_000 {
            assert_eq!(arrivals.answer(street, AddressProof::Claimed, now), HandshakeAnswer::Prove);
        }
        assert_eq!(arrivals.begun.len(), UNPROVEN, "and takes nothing before");
        assert!(begin(&mut arrivals, 2, now));
        assert_eq!(arrivals.answer(1, AddressProof::Claimed, now + KEPT), HandshakeAnswer::Begin);
    }

    #[test]
    fn a_street_that_has_begun_none_finds_room_beside_a_hundred_that_begin_all_they_can() {
        let (now, mut arrivals) = (Instant::now(), Arrivals::default());
        for round in 0..MOST {
            for street in 0..100 {
                assert!(begin(&mut arrivals, street, now) || round > 0);
            }
        }
        assert!(arrivals.begun.len() < MOST);
        assert!(begin(&mut arrivals, 100, now));
    }

    #[test]
    fn one_street_alone_has_half() {
        let (now, mut arrivals) = (Instant::now(), Arrivals::default());
        let begun = (0..10 * MOST).filter(|_| begin(&mut arrivals, 1, now)).count();
        assert_eq!(begun, MOST / 2);
        assert_eq!(arrivals.answer(1, AddressProof::Proven, now), HandshakeAnswer::Silence);
        assert!(begin(&mut arrivals, 1, now + KEPT));
    }

    proptest! {
        #[test]
        fn the_books_agree_with_a_list(
            steps in prop::collection::vec((0..4_u64, 0..4_u32, any::<bool>()), 0..2_000),
        ) {
            let (mut now, mut arrivals) = (Instant::now(), Arrivals::default());
            let mut list: Vec<(Instant, u64)> = Vec::new();
            for (street, pause, proven) in steps {
                now += SECOND * pause / 100;
                list.retain(|(since, _)| now.duration_since(*since) < KEPT);
                let of_street = list.iter().filter(|(_, of)| *of == street).count();
                let address = if proven { AddressProof::Proven } else { AddressProof::Claimed };
                let expected = if !proven && list.len() >= UNPROVEN {
                    HandshakeAnswer::Prove
                } else if of_street + list.len() < MOST {
                    list.push((now, street));
                    HandshakeAnswer::Begin
                } else {
                    HandshakeAnswer::Silence
                };
                prop_assert_eq!(arrivals.answer(street, address, now), expected);
                prop_assert_eq!(arrivals.begun.len(), list.len());
                prop_assert_eq!(arrivals.by_street.values().sum::<usize>(), list.len());
                prop_assert!(list.len() <= MOST);
            }
        }
    }
}
