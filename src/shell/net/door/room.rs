//! The places of established links that others opened: who keeps one, and who gives it back.

use core::cmp::{Ordering, Reverse};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use tokio::time::Instant;

use super::place_times::PlaceTimes;
use crate::engine::shares::{Arrival, PathWeight, Placing, Shares};
use crate::shell::net::address_range::{PATH, STREET};

/// The time for which an envelope that a neighbour brought makes it useful: in it what gossipsub
/// counts of deliveries falls to a tenth (`behaviour`, P2).
const USEFUL_FOR: Duration = Duration::from_secs(600);

/// Of so many places one is kept for whoever is useful. A guess, with [`LONG_ONE_IN`]: a quarter of
/// all goes round whatever happens, so that being first is never a right for ever.
const USEFUL_ONE_IN: usize = 2;

/// Of so many places one is kept for whoever is in the flood for longest: honest neighbours in a
/// quiet network bring nothing for hours.
const LONG_ONE_IN: usize = 4;

/// The time between two newcomers that take the place of a neighbour which is no heavier, from another
/// network. A guess: with 36 places that go round each of them stays for more than a minute.
const TURN: Duration = Duration::from_secs(2);

/// The established links of one kind that others opened.
pub(super) struct LinkRoom {
    most: usize,
    lease: Duration,
    places: Shares<ConnectionId, Instant, PATH>,
    /// How long each network had places lately, each street, and each host.
    had: [PlaceTimes; PATH],
    /// From when on the next newcomer may take the place of one that is no heavier.
    next_turn: Option<Instant>,
    standing: BTreeMap<ConnectionId, LinkRecord>,
}

/// What a link did for its place.
struct LinkRecord {
    peer: PeerId,
    path: [u64; PATH],
    /// Since when its neighbour has been in the flood; none while it is not.
    joined: Option<Instant>,
    /// When its neighbour brought an envelope that was accepted last.
    brought: Option<Instant>,
}

/// The answer to a link that asks for a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// It has one.
    Open,
    /// It has the place of this link, which is to be closed.
    InPlaceOf(ConnectionId, PeerId),
    /// All places are kept, or newly given to neighbours at as heavy addresses as its own, or it is
    /// not the turn of one that is as heavy as they.
    Full,
}

impl LinkRoom {
    /// So many places. Whoever gets one has it for `lease`, except from lighter addresses.
    pub(super) fn new(most: usize, lease: Duration) -> Self {
        Self {
            most,
            lease,
            places: Shares::new(most),
            had: Default::default(),
            next_turn: None,
            standing: BTreeMap::new(),
        }
    }

    /// Gives a link a place if it can.
    ///
    /// Links from as many networks as there are places are equally heavy. Whoever opens one anew as
    /// often as it is closed would win every race for a place that is free to take. So the network
    /// that had places for less time lately is the lighter, and has one at once; and those that had
    /// as much take turns, however often they ask. Within a network it is the same among streets and
    /// hosts, but that there are no turns: one who comes from the network of an attacker has no other
    /// place to take. What counts is time in a place, so nobody makes another one heavy without
    /// standing there.
    pub(super) fn enter(
        &mut self,
        link: ConnectionId,
        peer: PeerId,
        path: [u64; PATH],
        now: Instant,
    ) -> Entry {
        let kept = self.kept(now);
        let arrival = Arrival { guest: link, path, now, lease: now + self.lease };
        let [network, _, _] = path;
        let kept = |link: &ConnectionId| kept.contains(link);
        // A path leads to a range: the last of it, which is in the list for as many.
        let had = |path: &[u64]| {
            let times = path.len().checked_sub(1).and_then(|depth| self.had.get(depth));
            times.zip(path.last()).map_or(0, |(times, range)| times.level(*range, now))
        };
        let is_turn = self.next_turn.is_none_or(|next| now >= next);
        let is_spared = |[of_guest, _, _]: &[u64; PATH], order| {
            if *of_guest == network { order == Ordering::Greater } else { !is_turn }
        };
        let (placing, weight) = self.places.admit_in_turn(arrival, kept, (had, is_spared));
        let gone = match placing {
            Placing::Full => return Entry::Full,
            Placing::Place => None,
            Placing::InPlaceOf(other) => self.take_out(other, now),
        };
        let record = LinkRecord { peer, path, joined: None, brought: None };
        self.standing.insert(link, record);
        self.count(path, now, PlaceTimes::enter);
        let Some((other, LinkRecord { peer, path: [of_other, _, _], .. })) = gone else {
            return Entry::Open;
        };
        if weight == PathWeight::NoLighter && of_other != network {
            self.next_turn = Some(now + TURN);
        }
        Entry::InPlaceOf(other, peer)
    }

    /// Forgets a link that has no place any more.
    fn take_out(&mut self, link: ConnectionId, now: Instant) -> Option<(ConnectionId, LinkRecord)> {
        let record = self.standing.remove(&link)?;
        self.count(record.path, now, PlaceTimes::leave);
        Some((link, record))
    }

    /// Notes for each of its ranges what becomes of a link that comes by this path.
    fn count(&mut self, path: [u64; PATH], now: Instant, note: fn(&mut PlaceTimes, u64, Instant)) {
        for (times, range) in self.had.iter_mut().zip(path) {
            note(times, range, now);
        }
    }

    /// The neighbour takes part in the flood.
    pub(super) fn joined(&mut self, peer: PeerId, now: Instant) {
        for (link, standing) in self.standing.iter_mut().filter(|(_, link)| link.peer == peer) {
            if standing.joined.is_none() {
                standing.joined = Some(now);
                self.places.touch(link, now);
            }
        }
    }

    /// The neighbour takes no part in the flood any more.
    pub(super) fn left(&mut self, peer: PeerId) {
        for standing in self.standing.values_mut().filter(|link| link.peer == peer) {
            standing.joined = None;
        }
    }

    /// The neighbour brought an envelope that was accepted.
    pub(super) fn brought(&mut self, peer: PeerId, now: Instant) {
        for (link, standing) in self.standing.iter_mut().filter(|(_, link)| link.peer == peer) {
            standing.brought = Some(now);
            self.places.touch(link, now);
        }
    }

    /// The link is gone.
    pub(super) fn leave(&mut self, link: ConnectionId, now: Instant) {
        self.places.leave(&link);
        self.take_out(link, now);
    }

    /// The links that give way to nobody.
    fn kept(&self, now: Instant) -> BTreeSet<ConnectionId> {
        let useful = self.standing.iter().filter_map(|(link, standing)| {
            let brought = standing.brought?;
            (now.duration_since(brought) < USEFUL_FOR).then_some((Reverse(brought), *link))
        });
        let mut kept = self.in_turn(useful.collect(), self.most / USEFUL_ONE_IN);
        let long = self.standing.iter().filter_map(|(link, standing)| {
            let joined = standing.joined?;
            (!kept.contains(link)).then_some((joined, *link))
        });
        let long = self.in_turn(long.collect(), self.most / LONG_ONE_IN);
        kept.extend(long);
        kept
    }

    /// So many links, the lowest first, and in turn from each street: one person's cannot have all.
    fn in_turn<K: Ord>(
        &self,
        mut links: Vec<(K, ConnectionId)>,
        count: usize,
    ) -> BTreeSet<ConnectionId> {
        links.sort();
        let mut of_street: BTreeMap<Option<u64>, usize> = BTreeMap::new();
        let mut turns: Vec<_> = links
            .into_iter()
            .map(|(_, link)| {
                let street = self.places.path(&link).and_then(|path| path.get(STREET).copied());
                let taken = of_street.entry(street).or_default();
                *taken += 1;
                (*taken, link)
            })
            .collect();
        // Stable: within one turn the order stays.
        turns.sort_by_key(|(turn, _)| *turn);
        turns.into_iter().take(count).map(|(_, link)| link).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 48;
    const LEASE: Duration = Duration::from_secs(5);
    const SECOND: Duration = Duration::from_secs(1);

    /// A room, its clock, and links that come in.
    struct Scene {
        room: LinkRoom,
        now: Instant,
        next: usize,
    }

    impl Scene {
        fn new() -> Self {
            Self { room: LinkRoom::new(MOST, LEASE), now: Instant::now(), next: 0 }
        }

        /// A host by its number; sixteen are in one street and each street is in its own network.
        fn path(host: u64) -> [u64; PATH] {
            [host / 16, host / 16, host]
        }

        /// A link from this host; it has joined if it got in. Who had to go for it.
        fn link(&mut self, host: u64) -> (ConnectionId, Entry) {
            let link = ConnectionId::new_unchecked(self.next);
            self.next += 1;
            let peer = PeerId::random();
            let entry = self.room.enter(link, peer, Self::path(host), self.now);
            self.room.joined(peer, self.now);
            assert!(self.room.places.len() <= MOST);
            assert_eq!(self.room.places.len(), self.room.standing.len());
            (link, entry)
        }

        fn brings(&mut self, link: ConnectionId) {
            let peer = self.room.standing[&link].peer;
            self.room.brought(peer, self.now);
        }

        fn is_in(&self, link: ConnectionId) -> bool {
            self.room.standing.contains_key(&link)
        }
    }

    /// Three hosts, each in a network of its own.
    const THREE: [u64; 3] = [16, 32, 48];

    #[test]
    fn silent_neighbours_give_way_to_a_newcomer_who_stays_through_all_that_come_after() {
        let mut scene = Scene::new();
        for number in 0..MOST {
            assert!(scene.link(THREE[number % 3]).1 == Entry::Open);
        }
        // At once, for theirs are the heaviest addresses: no lease holds.
        let (newcomer, entry) = scene.link(0);
        assert!(matches!(entry, Entry::InPlaceOf(..)));
        for number in 0..1_000 {
            scene.now += SECOND / 10;
            scene.link(THREE[number % 3]);
            assert!(scene.is_in(newcomer));
        }
    }

    #[test]
    fn a_newcomer_gets_in_from_the_address_of_all_others_and_has_time_to_catch_up() {
        let mut scene = Scene::new();
        for _ in 0..MOST {
            scene.link(16);
        }
        assert!(scene.link(16).1 == Entry::Full, "all came this moment");
        scene.now += LEASE;
        let (newcomer, entry) = scene.link(16);
        assert!(matches!(entry, Entry::InPlaceOf(..)));
        // At 194 a minute.
        let mut stayed = Duration::ZERO;
        while scene.is_in(newcomer) {
            scene.now += SECOND * 60 / 194;
            stayed += SECOND * 60 / 194;
            assert!(scene.link(16).1 != Entry::Full, "nobody is refused");
        }
        assert!(stayed > LEASE * 2, "{stayed:?}");
    }

    #[test]
    fn who_brings_envelopes_and_who_is_here_for_longest_stays_whoever_comes() {
        for hosts in [1, 3, 480] {
            let mut scene = Scene::new();
            // At the same address as the first of those who come.
            let (long, _) = scene.link(16);
            scene.now += SECOND;
            let (useful, _) = scene.link(16);
            for number in 0..10_000 {
                scene.now += SECOND / 10;
                if number % 1_000 == 0 {
                    scene.brings(useful);
                }
                scene.link(16 + number % hosts);
                assert!(scene.is_in(long) && scene.is_in(useful), "{hosts} hosts, {number}");
            }
        }
    }

    #[test]
    fn many_behind_one_address_all_stay_while_there_is_room() {
        let mut scene = Scene::new();
        for host in (0..40).map(|_| 16).chain((0..8).map(|network| 32 * network)) {
            assert!(scene.link(host).1 == Entry::Open);
        }
    }

    #[test]
    fn one_street_cannot_have_all_places_that_are_kept() {
        let mut scene = Scene::new();
        let honest: Vec<_> = (0..6).map(|_| scene.link(0).0).collect();
        let hostile: Vec<_> = (0..MOST - 6).map(|_| scene.link(16).0).collect();
        for &link in &honest {
            scene.brings(link);
        }
        scene.now += SECOND;
        for &link in &hostile {
            scene.brings(link);
        }
        let kept = scene.room.kept(scene.now);
        assert_eq!(kept.len(), MOST / USEFUL_ONE_IN + MOST / LONG_ONE_IN);
        assert!(honest.iter().all(|link| kept.contains(link)));
    }

    /// Links that are opened again half a second after each was closed, from so many networks.
    struct Restless {
        /// When each is opened next; nothing while it stands.
        next: Vec<(Option<Instant>, Option<ConnectionId>)>,
        opened: usize,
    }

    impl Restless {
        fn new(networks: usize, scene: &Scene) -> Self {
            Self { next: vec![(Some(scene.now), None); networks], opened: 0 }
        }

        fn step(&mut self, scene: &mut Scene) {
            for (host, (next, link)) in (10..).step_by(16).zip(&mut self.next) {
                if link.is_some_and(|link| !scene.is_in(link)) {
                    (*next, *link) = (Some(scene.now + SECOND / 2), None);
                }
                if next.is_some_and(|next| next <= scene.now) {
                    self.opened += 1;
                    *link = Some(scene.link(160_000 + host).0);
                    // One that was refused comes again.
                    *next = None;
                }
            }
        }
    }

    /// A person's node, which looks for a link each two seconds while it has none.
    #[derive(Default)]
    struct Person {
        link: Option<ConnectionId>,
        looked: Option<Instant>,
        /// Tenths of a second with a link, and all.
        there: u32,
        all: u32,
    }

    impl Person {
        fn step(&mut self, host: u64, scene: &mut Scene) {
            self.link = self.link.filter(|link| scene.is_in(*link));
            let is_due = self.looked.is_none_or(|looked| scene.now >= looked + 2 * SECOND);
            if self.link.is_none() && is_due {
                self.looked = Some(scene.now);
                let (link, entry) = scene.link(host);
                self.link = (entry != Entry::Full).then_some(link);
            }
            self.there += u32::from(self.link.is_some());
            self.all += 1;
        }
    }

    /// Sixty links from as many networks, each opened anew as soon as it was closed, kept a newcomer out.
    #[test]
    fn people_have_their_share_beside_sixty_networks_that_come_again_and_again() {
        let mut scene = Scene::new();
        let mut restless = Restless::new(60, &scene);
        let mut people: Vec<Person> = (0..5).map(|_| Person::default()).collect();
        for tick in 0..6_000 {
            scene.now += SECOND / 10;
            restless.step(&mut scene);
            for (host, person) in (0..).step_by(16).zip(&mut people).take(tick / 600) {
                person.step(host, &mut scene);
            }
        }
        for Person { there, all, .. } in people {
            // The share of each is 48 of 65, less the two seconds before it looks again.
            assert!(there * 100 >= all * 60, "{there} of {all}");
        }
        // All places are had by turns: those without one are refused most of the time.
        assert!(restless.opened > 5_000, "{}", restless.opened);
    }

    /// A few links from the street of an honest one, each closed at once by whoever opened it, kept that
    /// one out for a minute.
    #[test]
    fn links_that_come_and_go_from_the_street_of_another_keep_no_newcomer_out() {
        let mut scene = Scene::new();
        let (mut restless, mut person) = (Restless::new(60, &scene), Person::default());
        for tick in 0..1_200 {
            scene.now += SECOND / 10;
            restless.step(&mut scene);
            // Eight in four seconds, and then no more.
            if (560..600).contains(&tick) && tick % 5 == 0 {
                let ((link, _), now) = (scene.link(1), scene.now);
                scene.room.leave(link, now);
            }
            if tick >= 600 {
                person.step(0, &mut scene);
            }
        }
        assert!(person.there * 100 >= person.all * 60, "{} of {}", person.there, person.all);
    }

    /// They take the place of one that stands there: their network has one. It has its turn again as soon
    /// as others have had theirs.
    #[test]
    fn links_that_come_and_go_from_the_street_of_another_have_it_parted_with_and_not_for_long() {
        let mut scene = Scene::new();
        let (mut restless, mut person) = (Restless::new(60, &scene), Person::default());
        let mut back = None;
        for tick in 0..1_400 {
            scene.now += SECOND / 10;
            restless.step(&mut scene);
            if (800..840).contains(&tick) && tick % 5 == 0 {
                let ((link, _), now) = (scene.link(1), scene.now);
                scene.room.leave(link, now);
            }
            person.step(0, &mut scene);
            if tick >= 840 && person.link.is_some() {
                back.get_or_insert(tick - 840);
            }
        }
        assert!(back.is_some_and(|tenths| tenths < 400), "{back:?}");
    }

    #[test]
    fn whoever_starts_again_and_again_gets_in_beside_those_who_stay() {
        let mut scene = Scene::new();
        for number in 0..MOST as u64 {
            scene.link(16 * number + 160);
        }
        scene.now += SECOND * 60;
        for start in 0..10 {
            let (link, entry) = scene.link(0);
            assert!(entry != Entry::Full, "{start}");
            scene.now += SECOND * 5;
            let now = scene.now;
            scene.room.leave(link, now);
            // Somebody else takes the place at once.
            scene.next += 1;
            let other = 16 * scene.next as u64 + 16_000;
            assert!(scene.link(other).1 == Entry::Open);
        }
    }

    #[test]
    fn who_did_not_join_goes_first() {
        let mut scene = Scene::new();
        let idle = scene.link(16).0;
        scene.room.left(scene.room.standing[&idle].peer);
        let silent = ConnectionId::new_unchecked(1_000);
        scene.room.enter(silent, PeerId::random(), Scene::path(16), scene.now);
        for _ in 2..MOST {
            scene.link(16);
        }
        scene.now += LEASE;
        assert!(matches!(scene.link(16).1, Entry::InPlaceOf(link, _) if link == silent));
        assert!(matches!(scene.link(16).1, Entry::InPlaceOf(link, _) if link == idle));
    }

    proptest! {
        #[test]
        fn a_quarter_of_the_places_goes_round_whatever_happens(
            steps in prop::collection::vec((0..4_u8, 0..200_u64), 0..400),
        ) {
            let mut scene = Scene::new();
            for (step, number) in steps {
                let link = scene.room.standing.keys().nth(usize::try_from(number).unwrap() % MOST).copied();
                match (step, link) {
                    (0, Some(link)) => scene.room.leave(link, scene.now),
                    (1, Some(link)) => scene.brings(link),
                    (2, _) => scene.now += SECOND * u32::try_from(number).unwrap(),
                    _ => drop(scene.link(number)),
                }
                prop_assert!(scene.room.kept(scene.now).len() <= MOST * 3 / 4);
            }
            scene.now += LEASE;
            prop_assert!(scene.link(1_000).1 != Entry::Full);
        }
    }
}
