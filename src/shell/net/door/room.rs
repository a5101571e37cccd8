//! The places of established links that others opened: who keeps one, and who gives it back.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use tokio::time::Instant;

use crate::engine::shares::{Arrival, Placing, Shares};
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

/// The time for which it is known that a street had a place.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// Places in that time that are remembered at most. A guess: some hundred kilobytes. Beyond it the oldest
/// are forgotten, and most of them of whoever had most.
const MOST_REMEMBERED: usize = 4_096;

/// The [`unrest`](PlacesHad::unrest) that is borne of a newcomer though nobody has as much: it had two or
/// three places in that time, as a program has that was started again.
const BORNE: u32 = 1;

/// The established links of one kind that others opened.
pub(super) struct LinkRoom {
    most: usize,
    lease: Duration,
    places: Shares<ConnectionId, Instant, PATH>,
    had: PlacesHad,
    standing: BTreeMap<ConnectionId, LinkRecord>,
}

/// How many places each street had lately.
///
/// Links from as many networks as there are places are equally heavy. Whoever opens one anew as often
/// as it is closed would win every race for a place that is free to take; so who had places lately gives
/// way to who had fewer, and never the other way. Who was refused had none, however often.
#[derive(Default)]
struct PlacesHad {
    recent: VecDeque<(Instant, u64)>,
    of_street: BTreeMap<u64, usize>,
}

impl PlacesHad {
    /// This street is to have one more.
    fn add(&mut self, street: u64, now: Instant) {
        while let Some((at, street)) = self.recent.front().copied() {
            if self.recent.len() < MOST_REMEMBERED && now.duration_since(at) < REMEMBERED_FOR {
                break;
            }
            self.recent.pop_front();
            self.count_down(street);
        }
        self.recent.push_back((now, street));
        *self.of_street.entry(street).or_default() += 1;
    }

    /// The last one that was to have a place had none.
    fn take_back(&mut self) {
        if let Some((_, street)) = self.recent.pop_back() {
            self.count_down(street);
        }
    }

    fn count_down(&mut self, street: u64) {
        if let Some(count) = self.of_street.get_mut(&street) {
            *count -= 1;
            if *count == 0 {
                self.of_street.remove(&street);
            }
        }
    }

    /// 0 for a street that had one place or none, and one more for each doubling.
    fn unrest(&self, street: u64) -> u32 {
        let count = self.of_street.get(&street).copied().unwrap_or_default();
        count.checked_ilog2().unwrap_or_default()
    }
}

/// What a link did for its place.
struct LinkRecord {
    peer: PeerId,
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
    /// All places are kept, or newly given to neighbours at as heavy addresses as its own, or its
    /// street had more of them lately than theirs.
    Full,
}

impl LinkRoom {
    /// So many places. Whoever gets one has it for `lease`, except from lighter addresses.
    pub(super) const fn new(most: usize, lease: Duration) -> Self {
        Self {
            most,
            lease,
            places: Shares::new(most),
            had: PlacesHad { recent: VecDeque::new(), of_street: BTreeMap::new() },
            standing: BTreeMap::new(),
        }
    }

    /// Gives a link a place if it can.
    pub(super) fn enter(
        &mut self,
        link: ConnectionId,
        peer: PeerId,
        path: [u64; PATH],
        now: Instant,
    ) -> Entry {
        let kept = self.kept(now);
        let arrival = Arrival { guest: link, path, now, lease: now + self.lease };
        let [_, street, _] = path;
        // Counted in, so that it is as heavy as others from its street.
        self.had.add(street, now);
        let (had, kept) = (&self.had, |link: &ConnectionId| kept.contains(link));
        let unrest = |[_, street, _]: &[u64; PATH]| had.unrest(*street);
        let entry = match self.places.admit_calm(arrival, kept, (unrest, BORNE)) {
            Placing::Full => {
                self.had.take_back();
                return Entry::Full;
            }
            Placing::Place => Entry::Open,
            Placing::InPlaceOf(other) => match self.standing.remove(&other) {
                Some(standing) => Entry::InPlaceOf(other, standing.peer),
                None => Entry::Open,
            },
        };
        self.standing.insert(link, LinkRecord { peer, joined: None, brought: None });
        entry
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
    pub(super) fn leave(&mut self, link: ConnectionId) {
        self.places.leave(&link);
        self.standing.remove(&link);
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

    /// Sixty links from as many networks, each opened anew as soon as it was closed, kept a newcomer out.
    #[test]
    fn links_from_sixty_networks_that_come_again_and_again_keep_no_newcomer_out() {
        let mut scene = Scene::new();
        let networks = |host: u64| 16 * (host % 60) + 160;
        let mut newcomers = Vec::new();
        for tick in 0..2_000_u64 {
            // Each network twice a second, as the outsider did.
            scene.now += SECOND / 120;
            scene.link(networks(tick));
            // From when the first places are free to take, a person comes each two seconds.
            if tick > 600 && tick % 240 == 0 {
                let (link, entry) = scene.link(16 * (tick / 240) + 16_000);
                assert!(entry != Entry::Full, "{tick}");
                newcomers.push(link);
            }
            assert!(newcomers.iter().all(|link| scene.is_in(*link)), "{tick}");
        }
        assert!(newcomers.len() > 5);
    }

    #[test]
    fn whoever_starts_again_twice_in_a_minute_gets_in_beside_those_who_stay() {
        let mut scene = Scene::new();
        for number in 0..MOST as u64 {
            scene.link(16 * number + 160);
        }
        scene.now += LEASE;
        for _ in 0..3 {
            let (link, entry) = scene.link(0);
            assert!(entry != Entry::Full);
            scene.room.leave(link);
            // Somebody else takes the place at once.
            scene.next += 1;
            let other = 16 * scene.next as u64 + 16_000;
            assert!(scene.link(other).1 == Entry::Open);
        }
        assert!(scene.link(0).1 == Entry::Full, "a fourth time");
        scene.now += REMEMBERED_FOR;
        assert!(scene.link(0).1 != Entry::Full);
    }

    #[test]
    fn a_street_that_had_one_place_is_calm_and_what_is_remembered_is_bounded() {
        let (mut had, mut now) = (PlacesHad::default(), Instant::now());
        for unrest in [0, 1, 1, 2, 2, 2, 2, 3] {
            had.add(7, now);
            assert_eq!(had.unrest(7), unrest);
        }
        had.take_back();
        assert_eq!((had.unrest(7), had.unrest(8)), (2, 0));
        now += REMEMBERED_FOR;
        had.add(8, now);
        assert_eq!((had.unrest(7), had.of_street.len()), (0, 1));
        (0..2 * MOST_REMEMBERED as u64).for_each(|street| had.add(street, now));
        assert_eq!(had.recent.len(), MOST_REMEMBERED);
        assert_eq!(had.of_street.len(), MOST_REMEMBERED);
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
                    (0, Some(link)) => scene.room.leave(link),
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
