//! A bounded number of places; when all are taken, whoever takes most gives one back.
//!
//! Places that go to whoever comes first and are kept for as long as he likes can all be had by one
//! person, because what a guest is known by (a connection, a transport key) costs nothing. Here each
//! guest comes by a path: the ranges it is in, the widest first (a network's addresses, one street
//! of them, one address). A share counts only when all places are taken, so sixty honest people
//! behind one address are nothing special; then the range with the most guests gives a place back,
//! and in it whoever was of no use for longest.

use core::cmp::Ordering;
use core::fmt;
use std::collections::BTreeMap;

/// A bounded number of places for guests `G`, each of which comes by a path of `L` ranges. Times
/// are `T`, of the caller's clock.
#[derive(Clone)]
pub struct Shares<G, T, const L: usize> {
    most: usize,
    guests: BTreeMap<G, Guest<T, L>>,
}

#[derive(Clone)]
struct Guest<T, const L: usize> {
    path: [u64; L],
    since: T,
    /// When it was of use last; `None` goes before every time.
    used: Option<T>,
    lease: T,
}

/// A guest that asks for a place.
#[derive(Clone, Copy)]
pub struct Arrival<G, T, const L: usize> {
    /// The guest.
    pub guest: G,
    /// The ranges it is in, the widest first.
    pub path: [u64; L],
    /// The moment.
    pub now: T,
    /// Until then it gives its place to nobody who comes by a path with as many guests as its own.
    pub lease: T,
}

/// The answer to an [`Arrival`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing<G> {
    /// It has a place.
    Place,
    /// It has the place of this guest, which has none any more.
    InPlaceOf(G),
    /// It has no place: all are kept, or have a lease.
    Full,
}

/// How a newcomer's path compares with that of the guest which gave its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathWeight {
    /// It is lighter; or nobody had to give way.
    Lighter,
    /// It is as heavy or heavier, or it has no place.
    NoLighter,
}

impl<G, T, const L: usize> fmt::Debug for Shares<G, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shares")
    }
}

impl<G, T, const L: usize> fmt::Debug for Arrival<G, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Arrival")
    }
}

impl<G: Copy + Ord, T: Copy + Ord, const L: usize> Shares<G, T, L> {
    /// So many places, all free.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { most, guests: BTreeMap::new() }
    }

    /// Gives the guest a place if one is free, or else that of a guest which is not `kept`:
    ///
    /// 1. Each range is as heavy as the number of its guests, the newcomer counted in. Those that
    ///    are kept are not counted: one that is useful makes nobody's range heavy.
    /// 2. The heaviest of the widest ranges gives a place back, in it the heaviest of the next
    ///    ones, and so on.
    /// 3. If that is as heavy a path as the newcomer's own, a guest in it keeps its place until its
    ///    lease is over. If it is heavier, no lease holds.
    /// 4. Of several it is the one of no use so far, or else the one whose use is longest ago; then
    ///    the one that is there for longest.
    ///
    /// A guest that has a place already keeps it.
    pub fn admit(&mut self, arrival: Arrival<G, T, L>, kept: impl Fn(&G) -> bool) -> Placing<G> {
        self.admit_in_turn(arrival, kept, (|_: &[u64]| 0, |_: &[u64; L], _| false)).0
    }

    /// The same, where of paths that are equally heavy that one is the heavier whose widest range
    /// `had` more, and of those in one such range the one whose next range had more, and so on.
    /// Whoever comes by a path that is no lighter than a guest's may have to spare it: that is asked
    /// with how his path compares with that one.
    pub fn admit_in_turn(
        &mut self,
        arrival: Arrival<G, T, L>,
        kept: impl Fn(&G) -> bool,
        (had, is_spared): (impl Fn(&[u64]) -> u32, impl Fn(&[u64; L], Ordering) -> bool),
    ) -> (Placing<G>, PathWeight) {
        let Arrival { guest, path, now, lease } = arrival;
        if self.guests.contains_key(&guest) {
            return (Placing::Place, PathWeight::Lighter);
        }
        let (placing, weight) = if self.guests.len() < self.most {
            (Placing::Place, PathWeight::Lighter)
        } else {
            match self.victim((&path, now), kept, (had, is_spared)) {
                None => return (Placing::Full, PathWeight::NoLighter),
                Some((victim, weight)) => {
                    self.guests.remove(&victim);
                    (Placing::InPlaceOf(victim), weight)
                }
            }
        };
        self.guests.insert(guest, Guest { path, since: now, used: None, lease });
        (placing, weight)
    }

    /// The guest was of use at this moment.
    pub fn touch(&mut self, guest: &G, now: T) {
        if let Some(guest) = self.guests.get_mut(guest) {
            guest.used = guest.used.max(Some(now));
        }
    }

    /// The guest gives its place back; whether it had one.
    pub fn leave(&mut self, guest: &G) -> bool {
        self.guests.remove(guest).is_some()
    }

    /// The ranges that a guest is in, if it has a place.
    #[must_use]
    pub fn path(&self, guest: &G) -> Option<&[u64; L]> {
        self.guests.get(guest).map(|guest| &guest.path)
    }

    /// How many places are taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.guests.len()
    }

    /// Whether no place is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.guests.is_empty()
    }

    fn victim(
        &self,
        (newcomer, now): (&[u64; L], T),
        kept: impl Fn(&G) -> bool,
        (had, is_spared): (impl Fn(&[u64]) -> u32, impl Fn(&[u64; L], Ordering) -> bool),
    ) -> Option<(G, PathWeight)> {
        let open: Vec<_> = self.guests.iter().filter(|(id, _)| !kept(id)).collect();
        let mut weights: BTreeMap<&[u64], usize> = BTreeMap::new();
        let paths = open.iter().map(|(_, guest)| &guest.path).chain([newcomer]);
        for range in paths.flat_map(ranges) {
            *weights.entry(range).or_default() += 1;
        }
        let had_by_all = |path: &[u64; L]| path.get(..1).map_or(0, &had);
        // Compared as texts are: by the widest range, then by the next, and last by what they had.
        let weigh = |path: &[u64; L]| -> (Vec<usize>, u32) {
            let of_ranges = ranges(path).map(|range| weights.get(range).copied().unwrap_or(0));
            (of_ranges.collect(), had_by_all(path))
        };
        let own = weigh(newcomer);
        // By its ranges no path is lighter than the newcomer's: whatever range that one shares with
        // guests is as heavy for them, and a range of its own has a weight of one.
        let heaviest = open.iter().map(|(_, guest)| weigh(&guest.path)).max()?;
        let order = |guest: &Guest<T, L>| {
            let is_beside = guest.path.first() == newcomer.first();
            let inside = |path: &[u64; L]| ranges(path).skip(1).map(&had).collect::<Vec<u32>>();
            let alone = if is_beside {
                inside(newcomer).cmp(&inside(&guest.path))
            } else {
                Ordering::Equal
            };
            own.cmp(&heaviest).then(alone)
        };
        let may_take = |order: Ordering, guest: &Guest<T, L>| {
            order == Ordering::Less || (guest.lease <= now && !is_spared(&guest.path, order))
        };
        let (order, _, _, victim) = open
            .iter()
            .filter(|(_, guest)| weigh(&guest.path) == heaviest)
            .map(|(id, guest)| (order(guest), guest, **id))
            .filter(|(order, guest, _)| may_take(*order, guest))
            .map(|(order, guest, id)| (order, guest.used, guest.since, id))
            .min()?;
        let is_lighter = order == Ordering::Less;
        Some((victim, if is_lighter { PathWeight::Lighter } else { PathWeight::NoLighter }))
    }
}

/// The ranges that a path leads through, each with all that stand around it.
fn ranges<const L: usize>(path: &[u64; L]) -> impl Iterator<Item = &[u64]> {
    (1..=L).filter_map(|depth| path.get(..depth))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    type Place = Shares<u32, u64, 3>;

    /// The path of a host in a street of a network.
    fn path(network: u64, street: u64, host: u64) -> [u64; 3] {
        [network, street, host]
    }

    fn arrive(places: &mut Place, guest: u32, path: [u64; 3], now: u64) -> Placing<u32> {
        places.admit(Arrival { guest, path, now, lease: now }, |_| false)
    }

    #[test]
    fn nobody_gives_way_while_a_place_is_free() {
        let mut places = Place::new(60);
        for guest in 0..60 {
            assert_eq!(arrive(&mut places, guest, path(1, 1, 1), 0), Placing::Place);
        }
        assert_eq!(places.len(), 60);
        assert_eq!(arrive(&mut places, 7, path(2, 2, 2), 0), Placing::Place, "it is there");
        assert_eq!(places.path(&7), Some(&path(1, 1, 1)));
    }

    #[test]
    fn the_heaviest_of_the_widest_ranges_gives_way_and_in_it_the_heaviest_of_the_next() {
        let mut places = Place::new(7);
        let paths = [
            path(1, 1, 1), // three in network 1,
            path(1, 2, 1), // two of them in street 2,
            path(1, 2, 2), // at hosts of their own
            path(2, 1, 1), // two in network 2, in one street, at one host
            path(2, 1, 1),
            path(3, 1, 1),
            path(4, 1, 1),
        ];
        for (guest, path) in (0..).zip(paths) {
            assert_eq!(arrive(&mut places, guest, path, 0), Placing::Place);
        }
        places.touch(&1, 5);
        assert_eq!(arrive(&mut places, 7, path(5, 1, 1), 9), Placing::InPlaceOf(2));
        assert_eq!(arrive(&mut places, 8, path(6, 1, 1), 9), Placing::InPlaceOf(3));
    }

    #[test]
    fn of_equals_it_is_the_one_of_no_use_for_longest() {
        let mut places = Place::new(4);
        for guest in 0..4 {
            arrive(&mut places, guest, path(u64::from(guest), 0, 0), u64::from(guest));
        }
        for (guest, used) in [(0, 40), (2, 30), (3, 35)] {
            places.touch(&guest, used);
        }
        let mut at = |guest: u32, now| arrive(&mut places, guest, path(guest.into(), 0, 0), now);
        assert_eq!(at(4, 50), Placing::InPlaceOf(1), "never of use");
        assert_eq!(at(5, 51), Placing::InPlaceOf(4), "nor this, and it came last");
        assert_eq!(at(6, 52), Placing::InPlaceOf(5));
        places.touch(&6, 60);
        assert_eq!(arrive(&mut places, 7, path(7, 0, 0), 61), Placing::InPlaceOf(2));
    }

    #[test]
    fn a_lease_holds_against_equals_and_not_against_lighter_ranges() {
        let mut places = Place::new(3);
        let mut arrive = |guest, network, now| {
            let path = path(network, 0, 0);
            places.admit(Arrival { guest, path, now, lease: now + 10 }, |_| false)
        };
        for guest in 0..3 {
            assert_eq!(arrive(guest, 1, 0), Placing::Place);
        }
        assert_eq!(arrive(3, 1, 9), Placing::Full);
        assert_eq!(arrive(3, 1, 10), Placing::InPlaceOf(0));
        assert_eq!(arrive(4, 2, 10), Placing::InPlaceOf(1), "three in network 1, one in 2");
        assert_eq!(arrive(5, 1, 11), Placing::InPlaceOf(2), "its lease is over");
        assert_eq!(arrive(6, 1, 12), Placing::Full, "the one in network 2 is no heavier");
    }

    #[test]
    fn whoever_comes_from_the_attackers_own_address_has_a_place_for_as_long_as_there_are_places() {
        let mut places = Place::new(128);
        for guest in 0..1_000 {
            arrive(&mut places, guest, path(1, 1, 1), 0);
        }
        arrive(&mut places, 1_000, path(1, 1, 1), 1);
        for guest in 1_001..1_128 {
            arrive(&mut places, guest, path(1, 1, 1), 2);
            assert!(places.path(&1_000).is_some(), "after {guest}");
        }
        arrive(&mut places, 1_128, path(1, 1, 1), 3);
        assert!(places.path(&1_000).is_none());
    }

    #[test]
    fn of_equally_heavy_ranges_those_that_had_most_give_way_and_whoever_is_no_lighter_takes_turns()
    {
        let mut places = Place::new(3);
        let mut arrive = |guest, network, now, is_turn: bool| {
            let path = path(network, 0, 0);
            // They had as much as the tens of the number of their network.
            let had = |path: &[u64]| u32::try_from(path[0] / 10).unwrap();
            let arrival = Arrival { guest, path, now, lease: now + 10 };
            places.admit_in_turn(arrival, |_| false, (had, |_: &[u64; 3], _| !is_turn)).0
        };
        for (guest, network) in [(0, 1), (1, 2), (2, 21)] {
            assert_eq!(arrive(guest, network, 0, false), Placing::Place);
        }
        let placing = arrive(3, 3, 1, false);
        assert_eq!(placing, Placing::InPlaceOf(2), "its lease holds against nobody lighter");
        assert_eq!(arrive(4, 22, 5, true), Placing::Full, "all leases hold against the heavier");
        assert_eq!(arrive(4, 22, 100, false), Placing::Full, "all leases are over");
        assert_eq!(arrive(4, 4, 100, false), Placing::Full, "it is as light as they");
        assert_eq!(arrive(4, 4, 100, true), Placing::InPlaceOf(0));
        assert_eq!(arrive(5, 22, 100, true), Placing::InPlaceOf(1));
        assert_eq!(arrive(6, 11, 101, false), Placing::InPlaceOf(5));
    }

    #[test]
    fn in_one_range_whoever_had_less_has_a_place_at_once_and_whoever_had_more_may_be_refused() {
        let mut places = Place::new(2);
        let mut arrive = |guest, host, now| {
            let path = path(1, 1, host);
            // The tens of the number of a host.
            let had =
                |path: &[u64]| path.get(2).map_or(3, |host| u32::try_from(host / 10).unwrap());
            let is_spared = |_: &[u64; 3], order| order == Ordering::Greater;
            let arrival = Arrival { guest, path, now, lease: now + 10 };
            places.admit_in_turn(arrival, |_| false, (had, is_spared)).0
        };
        assert_eq!([arrive(0, 51, 0), arrive(1, 52, 0)], [Placing::Place; 2]);
        assert_eq!(arrive(2, 53, 1), Placing::Full, "their leases hold");
        assert_eq!(arrive(2, 41, 1), Placing::InPlaceOf(0));
        assert_eq!(arrive(3, 42, 2), Placing::InPlaceOf(1));
        assert_eq!(arrive(4, 54, 100), Placing::Full, "all leases are over");
        assert_eq!(arrive(4, 43, 100), Placing::InPlaceOf(2));
    }

    #[test]
    fn places_print_no_ranges() {
        let arrival = Arrival { guest: 1, path: path(1, 1, 1), now: 0, lease: 0 };
        let shown = format!("{:?} {arrival:?}", Place::new(1));
        assert_eq!(shown, "Shares Arrival");
    }

    /// Guests come, are of use, and leave.
    #[derive(Clone, Debug)]
    enum Step {
        Arrive([u64; 3], u64),
        Touch(u32),
        Leave(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => ([0..3_u64, 0..3_u64, 0..3_u64], 0..20_u64)
                .prop_map(|(path, lease)| Step::Arrive(path, lease)),
            2 => (0..400_u32).prop_map(Step::Touch),
            1 => (0..400_u32).prop_map(Step::Leave),
        ];
        prop::collection::vec(step, 0..400)
    }

    /// How many of these are in the same network.
    fn in_network<'a>(paths: impl IntoIterator<Item = &'a [u64; 3]>, network: u64) -> usize {
        paths.into_iter().filter(|path| path[0] == network).count()
    }

    proptest! {
        #[test]
        fn places_are_bounded_kept_guests_stay_and_only_the_heaviest_network_gives_way(
            most in 1..12_usize, keep_each in 2..6_u32, steps in steps(),
        ) {
            let kept = |guest: &u32| guest.is_multiple_of(keep_each);
            let mut places = Place::new(most);
            let mut model: BTreeMap<u32, [u64; 3]> = BTreeMap::new();
            for ((guest, now), step) in (0..).zip(0..).zip(steps) {
                match step {
                    Step::Touch(guest) => places.touch(&guest, now),
                    Step::Leave(guest) => {
                        prop_assert_eq!(places.leave(&guest), model.remove(&guest).is_some());
                    }
                    Step::Arrive(path, lease) => {
                        let arrival = Arrival { guest, path, now, lease: now + lease };
                        let full = model.len() == most;
                        match places.admit(arrival, kept) {
                            Placing::Place => prop_assert!(!full),
                            Placing::Full => {
                                prop_assert!(full);
                                continue;
                            }
                            Placing::InPlaceOf(victim) => {
                                prop_assert!(full && !kept(&victim));
                                let gone = model[&victim];
                                let open: Vec<_> =
                                    model.iter().filter(|(id, _)| !kept(id)).map(|(_, at)| at)
                                    .chain([&path]).collect();
                                let most = (0..3).map(|network| in_network(open.iter().copied(), network)).max();
                                prop_assert_eq!(Some(in_network(open, gone[0])), most);
                                model.remove(&victim);
                            }
                        }
                        model.insert(guest, path);
                    }
                }
                prop_assert!(places.len() <= most);
                prop_assert_eq!(places.is_empty(), model.is_empty());
                let there: BTreeSet<u32> = (0..400).filter(|guest| places.path(guest).is_some()).collect();
                prop_assert_eq!(there, model.keys().copied().collect::<BTreeSet<u32>>());
            }
        }

        #[test]
        fn whoever_is_alone_in_a_network_stays_through_all_that_come_from_one_other(
            most in 3..12_usize,
            crowd in prop::collection::vec(([0..1_u64, 0..3_u64, 0..3_u64], 0..20_u64), 0..200),
        ) {
            let mut places = Place::new(most);
            let mut guest = 0;
            for (at, lease) in crowd {
                guest += 1;
                let now = guest.into();
                places.admit(Arrival { guest, path: at, now, lease: now + lease }, |_| false);
                // From the second one of the crowd on, wherever in its course.
                if guest == 2 {
                    arrive(&mut places, 1_000, path(9, 9, 9), now);
                }
                prop_assert!(guest < 2 || places.path(&1_000).is_some());
            }
        }
    }
}
