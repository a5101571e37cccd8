//! The addresses to keep connected, and the time of the next dial to each.
//!
//! The dialer opens no connection and reads no clock: the caller reports each event with its time
//! and asks for the addresses that are due. Configured addresses are never forgotten; learnt ones
//! are dialled while we lack neighbours and forgotten once they fail for long.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol, swarm::ConnectionId};
use tokio::time::Instant;

use super::names::{NameFault, name_in};
use super::settings::NetTiming;

/// The most addresses known at a time; further learnt ones are dropped, so that announcements on
/// the local network cannot fill the memory. A guess.
pub(super) const TARGETS: usize = 256;

/// Neighbours sought among learnt addresses: eight, the degree at which the anonymity of a sender was
/// simulated, of connections that we dialled, because an attacker chooses those that dial us.
const WANTED: usize = 8;

/// Failures in a row after which a learnt address is forgotten: at the default pace about a quarter
/// of an hour.
const PATIENCE: u32 = 10;

/// The longest wait before a name that was not looked up is tried again: the network may be there since,
/// and asking a name server costs little. A guess.
const NAME_RETRY: Duration = Duration::from_secs(20);

/// All addresses to keep connected.
pub(super) struct Dialer {
    targets: BTreeMap<Multiaddr, DialTarget>,
    stood: Duration,
    first_retry: Duration,
    longest_retry: Duration,
}

/// The source of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressOrigin {
    /// A person configured it: kept and dialled for ever.
    Configured,
    /// Learnt: remembered from an earlier run, or announced on the local network.
    Heard,
}

struct DialTarget {
    origin: AddressOrigin,
    state: DialState,
    /// Dials that failed and connections that ended, since the peer last stood in the flood.
    failures: u32,
    /// Why its name was not known when it was last dialled.
    nameless: Option<NameFault>,
}

enum DialState {
    Waiting {
        until: Instant,
    },
    Dialing {
        connection: ConnectionId,
    },
    /// `joined` is when the peer joined the flood, if it did.
    Connected {
        connection: ConnectionId,
        peer: PeerId,
        joined: Option<Instant>,
    },
}

impl Dialer {
    /// A dialer without addresses.
    pub(super) fn new(pace: &NetTiming) -> Self {
        Self {
            targets: BTreeMap::new(),
            stood: pace.stood,
            first_retry: pace.first_retry,
            longest_retry: pace.longest_retry,
        }
    }

    /// Adds an address, due at once. One that is known already stays as it is, except that
    /// configuring it makes it permanent. Beyond [`TARGETS`], a learnt one takes the place of
    /// one that failed, or is dropped.
    pub(super) fn add(&mut self, address: Multiaddr, origin: AddressOrigin, now: Instant) {
        // A known address keeps its wait: announcing it again must not make us dial it again.
        if let Some(known) = self.targets.get_mut(&address) {
            if origin == AddressOrigin::Configured {
                known.origin = AddressOrigin::Configured;
            }
            return;
        }
        if origin == AddressOrigin::Heard && self.targets.len() >= TARGETS && !self.make_room() {
            return;
        }
        let state = DialState::Waiting { until: now };
        self.targets.insert(address, DialTarget { origin, state, failures: 0, nameless: None });
    }

    /// Forgets the learnt address that failed most often, if any did and is not in use: or whoever
    /// announces many first would keep out all that are announced later.
    fn make_room(&mut self) -> bool {
        let failed = self.targets.iter().filter(|(_, target)| {
            target.is_waiting() && target.origin == AddressOrigin::Heard && target.failures > 0
        });
        let worst = failed.max_by_key(|(_, target)| target.failures);
        let Some(worst) = worst.map(|(address, _)| address.clone()) else { return false };
        self.targets.remove(&worst).is_some()
    }

    /// The addresses to dial at `now`. `connected` holds for peers that are neighbours already,
    /// whichever side dialled; an address that names such a peer is left out.
    ///
    /// Of more learnt addresses than are wanted, those come first at whose hosts the fewest are in use
    /// or failed: else whoever announces two hundred ports that swallow what is dialled has each tried
    /// before anybody else's. Among equals `chance` chooses, which is uniform, or the lowest would always
    /// be first.
    pub(super) fn due(
        &self,
        now: Instant,
        chance: u32,
        connected: impl Fn(&PeerId) -> bool,
    ) -> Vec<Multiaddr> {
        let busy = self.targets.values().filter(|target| !target.is_waiting()).count();
        // Configured addresses count towards the wanted ones and are never held back by them.
        let wanted = WANTED.saturating_sub(busy);
        let (mut due, mut heard) = (Vec::new(), Vec::new());
        let mut tried: BTreeMap<Option<IpAddr>, u32> = BTreeMap::new();
        for (address, target) in &self.targets {
            let at_host = tried.entry(host(address)).or_default();
            let in_use = u32::from(!target.is_waiting());
            *at_host = at_host.saturating_add(target.failures).saturating_add(in_use);
            let DialState::Waiting { until } = target.state else { continue };
            if until > now || peer_in(address).is_some_and(|peer| connected(&peer)) {
                continue;
            }
            match target.origin {
                AddressOrigin::Configured => due.push(address.clone()),
                AddressOrigin::Heard => heard.push((target.failures, address)),
            }
        }
        let first = usize::try_from(chance).unwrap_or(0).checked_rem(heard.len()).unwrap_or(0);
        heard.rotate_left(first);
        // The more often one failed the later: a port that answers is not kept waiting by its host's.
        heard.sort_by_key(|(failures, _)| *failures);
        for _ in 0..wanted.min(heard.len()) {
            let at_host = |address| tried.get(&host(address)).copied().unwrap_or_default();
            let next = heard.iter().enumerate().min_by_key(|(_, (_, address))| at_host(address));
            let Some(next) = next.map(|(at, _)| at) else { break };
            let (_, address) = heard.remove(next);
            let at_host = tried.entry(host(address)).or_default();
            *at_host = at_host.saturating_add(1);
            due.push(address.clone());
        }
        due
    }

    /// A dial to `address` is under way as `connection`.
    pub(super) fn dialing(&mut self, address: &Multiaddr, connection: ConnectionId) {
        if let Some(target) = self.targets.get_mut(address) {
            target.state = DialState::Dialing { connection };
        }
    }

    /// A dial was answered by `peer`. Returns its address if the dial was one of ours.
    pub(super) fn reached(&mut self, connection: ConnectionId, peer: PeerId) -> Option<Multiaddr> {
        let (address, target) = self.by_connection(connection)?;
        target.state = DialState::Connected { connection, peer, joined: None };
        target.nameless = None;
        Some(address)
    }

    /// The peer takes part in the flood.
    pub(super) fn joined(&mut self, peer: &PeerId, now: Instant) {
        for target in self.targets.values_mut() {
            if let DialState::Connected { peer: at, joined, .. } = &mut target.state
                && at == peer
            {
                joined.get_or_insert(now);
            }
        }
    }

    /// The address under which we reached this peer, if we did.
    pub(super) fn address_of(&self, peer: &PeerId) -> Option<&Multiaddr> {
        self.targets.iter().find_map(|(address, target)| match &target.state {
            DialState::Connected { peer: at, .. } if at == peer => Some(address),
            DialState::Connected { .. } | DialState::Waiting { .. } | DialState::Dialing { .. } => {
                None
            }
        })
    }

    /// A dial failed, or its connection ended: try again later, or forget the address. `chance` is
    /// uniform and spreads the retries of many nodes. Returns the address if it was one of ours.
    pub(super) fn lost(
        &mut self,
        connection: ConnectionId,
        now: Instant,
        chance: u32,
    ) -> Option<Multiaddr> {
        let stood = self.stood;
        let (address, target) = self.by_connection(connection)?;
        // Only now, and not when the dial is answered or the peer joins: one that accepts every
        // connection and hangs up would be dialled each second for ever, and so would a relay that
        // more want than it has places for, by those that gave way.
        if let DialState::Connected { joined: Some(joined), .. } = target.state
            && now.duration_since(joined) >= stood
        {
            target.failures = 0;
        }
        self.failed(&address, now, chance);
        Some(address)
    }

    /// A dial to this address failed: try again later, or forget the address.
    pub(super) fn failed(&mut self, address: &Multiaddr, now: Instant, chance: u32) {
        let (first, longest) = (self.first_retry, self.longest_retry);
        let Some(target) = self.targets.get_mut(address) else { return };
        let wait = retry_after(target.failures, (first, longest), chance);
        target.failures = target.failures.saturating_add(1);
        target.state = DialState::Waiting { until: now + wait };
        target.nameless = None;
        // A person's relay may be down for a week; a learnt address that fails for long makes room.
        if target.origin == AddressOrigin::Heard && target.failures >= PATIENCE {
            self.targets.remove(address);
        }
    }

    /// The name in the address of a dial was not known: it is looked up again soon. Returns the address
    /// if the dial was one of ours.
    pub(super) fn nameless(
        &mut self,
        connection: ConnectionId,
        fault: NameFault,
        (now, chance): (Instant, u32),
    ) -> Option<Multiaddr> {
        let bounds = (self.first_retry, self.longest_retry.min(NAME_RETRY));
        let (address, target) = self.by_connection(connection)?;
        let wait = retry_after(target.failures, bounds, chance);
        target.state = DialState::Waiting { until: now + wait };
        target.nameless = Some(fault);
        target.failures = target.failures.saturating_add(1);
        // A network that is away for an hour must not make us forget every address with a name.
        if fault.is_ours() {
            target.failures = target.failures.min(PATIENCE - 1);
        } else if target.origin == AddressOrigin::Heard && target.failures >= PATIENCE {
            self.targets.remove(&address);
        }
        Some(address)
    }

    /// A name in a configured address that is not known, and why.
    pub(super) fn name_trouble(&self) -> Option<(String, NameFault)> {
        // What others announced is no trouble of the person's.
        let configured = |target: &&DialTarget| target.origin == AddressOrigin::Configured;
        let mut all = self.targets.iter().filter(|(_, target)| configured(target));
        all.find_map(|(address, target)| Some((name_in(address)?, target.nameless?)))
    }

    /// Forgets a learnt address that is not in use.
    pub(super) fn forget(&mut self, address: &Multiaddr) {
        // An announcement that expired must end neither a working connection nor a person's choice.
        let idle =
            |target: &DialTarget| target.is_waiting() && target.origin == AddressOrigin::Heard;
        if self.targets.get(address).is_some_and(idle) {
            self.targets.remove(address);
        }
    }

    fn by_connection(&mut self, wanted: ConnectionId) -> Option<(Multiaddr, &mut DialTarget)> {
        self.targets.iter_mut().find_map(|(address, target)| match target.state {
            DialState::Dialing { connection } | DialState::Connected { connection, .. }
                if connection == wanted =>
            {
                Some((address.clone(), target))
            }
            DialState::Dialing { .. } | DialState::Connected { .. } | DialState::Waiting { .. } => {
                None
            }
        })
    }
}

impl DialTarget {
    fn is_waiting(&self) -> bool {
        matches!(self.state, DialState::Waiting { .. })
    }
}

/// The wait after `failures` earlier ones: doubled each time up to the longest, then shortened by
/// up to a half at random, so that nodes which lost the same relay do not return in one moment.
fn retry_after(failures: u32, (first, longest): (Duration, Duration), chance: u32) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures)).min(longest);
    let half = doubled / 2;
    half + half.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

/// The host of an address; all that have none, or name it, are one.
fn host(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(host)) => Some(host.into()),
        Some(Protocol::Ip6(host)) => Some(host.into()),
        _ => None,
    }
}

/// The peer that an address names at its end, if any.
pub(super) fn peer_in(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

/// The address without the peer at its end: a transport key is gone after a restart.
pub(super) fn without_peer(mut address: Multiaddr) -> Multiaddr {
    if peer_in(&address).is_some() {
        address.pop();
    }
    address
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case, each_text};

    const PACE: NetTiming = NetTiming {
        tick: Duration::from_millis(1),
        handshake_in: Duration::from_secs(1),
        handshake_out: Duration::from_secs(1),
        lease: Duration::from_secs(1),
        join: Duration::from_secs(1),
        greeting: Duration::from_secs(1),
        heartbeat: Duration::from_secs(1),
        silence: Duration::from_secs(1),
        exchange: Duration::from_secs(1),
        stall: Duration::from_secs(1),
        pause: Duration::from_secs(1),
        farewell: Duration::from_secs(1),
        stood: Duration::from_secs(30),
        first_retry: Duration::from_secs(1),
        longest_retry: Duration::from_secs(60),
        wall: crate::shell::os::clock::wall,
    };

    fn address(number: u64) -> Multiaddr {
        Multiaddr::from(Protocol::Memory(number))
    }

    fn connection(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    fn nobody(_: &PeerId) -> bool {
        false
    }

    /// A dialer with one address, and that address.
    fn one(origin: AddressOrigin, now: Instant) -> (Dialer, Multiaddr) {
        let mut dialer = Dialer::new(&PACE);
        dialer.add(address(1), origin, now);
        (dialer, address(1))
    }

    /// Dials `address` and loses the connection, as the peer hangs up at once.
    fn dial_in_vain(dialer: &mut Dialer, address: &Multiaddr, now: Instant) {
        dialer.dialing(address, connection(1));
        dialer.reached(connection(1), PeerId::random());
        dialer.lost(connection(1), now, u32::MAX);
    }

    #[test]
    fn an_address_is_due_at_once_and_not_while_in_use() {
        let now = Instant::now();
        let (mut dialer, at) = one(AddressOrigin::Configured, now);
        assert_eq!(dialer.due(now, 0, nobody), core::slice::from_ref(&at));
        dialer.dialing(&at, connection(1));
        assert!(dialer.due(now, 0, nobody).is_empty());
        assert_eq!(dialer.reached(connection(1), PeerId::random()), Some(at));
        assert!(dialer.due(now, 0, nobody).is_empty());
    }

    #[test]
    fn a_peer_that_accepts_and_hangs_up_is_dialled_less_and_less_often() {
        let now = Instant::now();
        let (mut dialer, at) = one(AddressOrigin::Configured, now);
        let mut at_moment = now;
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            dial_in_vain(&mut dialer, &at, at_moment);
            let due = at_moment + Duration::from_secs(wait);
            assert!(dialer.due(due - Duration::from_millis(1), 0, nobody).is_empty());
            assert_eq!(dialer.due(due, 0, nobody), core::slice::from_ref(&at));
            at_moment = due;
        }
    }

    fn with_name() -> Multiaddr {
        "/dns/relay.test/tcp/1".parse().unwrap()
    }

    #[test]
    fn a_name_that_is_not_known_is_told_and_looked_up_again_within_seconds() {
        let now = Instant::now();
        let mut dialer = Dialer::new(&PACE);
        dialer.add(with_name(), AddressOrigin::Configured, now);
        let mut at_moment = now;
        for _ in 0..50 {
            dialer.dialing(&with_name(), connection(1));
            dialer.nameless(connection(1), NameFault::NoServer, (at_moment, u32::MAX));
            let trouble = Some(("relay.test".to_owned(), NameFault::NoServer));
            assert_eq!(dialer.name_trouble(), trouble);
            at_moment += NAME_RETRY;
            assert_eq!(dialer.due(at_moment, 0, nobody), [with_name()]);
        }
        dialer.dialing(&with_name(), connection(1));
        dialer.lost(connection(1), at_moment, 0);
        assert_eq!(dialer.name_trouble(), None, "the name was known");
    }

    #[test]
    fn a_learnt_name_is_forgotten_once_nobody_knows_it_and_not_for_want_of_a_network() {
        let now = Instant::now();
        let mut dialer = Dialer::new(&PACE);
        dialer.add(with_name(), AddressOrigin::Heard, now);
        let mut fails = |fault| {
            for _ in 0..PATIENCE {
                dialer.dialing(&with_name(), connection(1));
                dialer.nameless(connection(1), fault, (now, 0));
            }
            (dialer.targets.len(), dialer.name_trouble())
        };
        assert_eq!(fails(NameFault::NoAnswer), (1, None), "what others announced troubles nobody");
        assert_eq!(fails(NameFault::NotFound), (0, None));
    }

    #[test]
    fn a_peer_that_took_part_is_dialled_again_soon() {
        let now = Instant::now();
        let (mut dialer, at) = one(AddressOrigin::Configured, now);
        for _ in 0..20 {
            dial_in_vain(&mut dialer, &at, now);
        }
        let peer = PeerId::random();
        dialer.dialing(&at, connection(2));
        dialer.reached(connection(2), peer);
        dialer.joined(&peer, now);
        let later = now + PACE.stood;
        dialer.lost(connection(2), later, u32::MAX);
        assert_eq!(dialer.due(later + PACE.first_retry, 0, nobody), [at]);
    }

    #[test]
    fn a_peer_that_lets_nobody_stay_is_dialled_less_and_less_often() {
        let now = Instant::now();
        let (mut dialer, at) = one(AddressOrigin::Configured, now);
        let mut at_moment = now;
        for wait in [1, 2, 4, 8] {
            let peer = PeerId::random();
            dialer.dialing(&at, connection(1));
            dialer.reached(connection(1), peer);
            dialer.joined(&peer, at_moment);
            let lost = at_moment + PACE.stood - Duration::from_millis(1);
            dialer.lost(connection(1), lost, u32::MAX);
            let due = lost + Duration::from_secs(wait);
            assert!(dialer.due(due - Duration::from_millis(1), 0, nobody).is_empty());
            at_moment = due;
        }
    }

    #[test]
    fn learnt_addresses_that_failed_make_room_and_each_one_has_its_chance() {
        let now = Instant::now();
        let mut dialer = Dialer::new(&PACE);
        for number in 0..1_000 {
            dialer.add(address(number), AddressOrigin::Heard, now);
        }
        let late = address(5_000);
        dialer.add(late.clone(), AddressOrigin::Heard, now);
        assert!(!dialer.targets.contains_key(&late), "nothing says that the others are worse");
        dial_in_vain(&mut dialer, &address(7), now);
        dialer.add(late.clone(), AddressOrigin::Heard, now);
        assert!(dialer.targets.contains_key(&late) && !dialer.targets.contains_key(&address(7)));
        assert_eq!(dialer.targets.len(), TARGETS);
        let chosen: std::collections::BTreeSet<_> =
            (0..256).flat_map(|chance| dialer.due(now, chance, nobody)).collect();
        assert_eq!(chosen.len(), TARGETS);
    }

    #[test]
    fn a_learnt_address_is_forgotten_once_it_fails_for_long() {
        let now = Instant::now();
        for (origin, left) in [(AddressOrigin::Heard, 0), (AddressOrigin::Configured, 1)] {
            let (mut dialer, at) = one(origin, now);
            for _ in 0..PATIENCE {
                dial_in_vain(&mut dialer, &at, now);
            }
            assert_eq!(dialer.targets.len(), left);
        }
    }

    #[test]
    fn a_learnt_address_is_dialled_only_while_neighbours_are_lacking() {
        let now = Instant::now();
        let mut dialer = Dialer::new(&PACE);
        for number in 0..100 {
            dialer.add(address(number), AddressOrigin::Heard, now);
        }
        let due = dialer.due(now, 0, nobody);
        assert_eq!(due.len(), WANTED);
        for (number, at) in due.iter().enumerate() {
            dialer.dialing(at, connection(number));
        }
        assert!(dialer.due(now, 0, nobody).is_empty());
        dialer.add(address(1000), AddressOrigin::Configured, now);
        assert_eq!(dialer.due(now, 0, nobody), [address(1000)], "a wish is no matter of need");
    }

    fn port(host: &str, port: usize) -> Multiaddr {
        format!("/ip4/{host}/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn of_a_host_with_many_ports_that_swallow_what_is_dialled_others_are_dialled_first() {
        for seed in 0..20 {
            let mut now = Instant::now();
            let mut dialer = Dialer::new(&PACE);
            for number in 1..TARGETS - 1 {
                dialer.add(port("192.0.2.1", number), AddressOrigin::Heard, now);
            }
            let (honest, dials) = (port("198.51.100.1", 1), &mut 0);
            // All that are dialled swallow it, and ten seconds later it has failed.
            let mut pass = |dialer: &mut Dialer, now: &mut Instant| {
                let chance = u32::try_from(seed * 1_000 + *dials).unwrap();
                let due = dialer.due(*now, chance, nobody);
                let before = *dials;
                for at in &due {
                    dialer.dialing(at, connection(*dials));
                    *dials += 1;
                }
                *now += Duration::from_secs(10);
                (before..*dials).for_each(|dial| drop(dialer.lost(connection(dial), *now, 0)));
                due
            };
            assert_eq!(pass(&mut dialer, &mut now).len(), WANTED);
            dialer.add(honest.clone(), AddressOrigin::Heard, now);
            assert!(pass(&mut dialer, &mut now).contains(&honest), "at once");
            // It was down; each time that it is due again it is among the next.
            for _ in 0..5 {
                let DialState::Waiting { until } = dialer.targets[&honest].state else { panic!() };
                now = now.max(until);
                assert!(pass(&mut dialer, &mut now).contains(&honest), "again and again");
            }
        }
    }

    /// Seven that are in use, and how they are told to a dialer.
    fn in_use(dialer: &mut Dialer, now: Instant, addresses: [Multiaddr; WANTED - 1]) {
        for (number, at) in addresses.iter().enumerate() {
            dialer.add(at.clone(), AddressOrigin::Heard, now);
            dialer.dialing(at, connection(number));
        }
    }

    #[test]
    fn the_one_place_that_is_left_is_for_a_host_of_which_nothing_is_being_dialled() {
        let now = Instant::now();
        for chance in 0..300 {
            let mut dialer = Dialer::new(&PACE);
            in_use(&mut dialer, now, core::array::from_fn(|number| port("192.0.2.1", 1 + number)));
            for number in WANTED..TARGETS - 1 {
                dialer.add(port("192.0.2.1", number), AddressOrigin::Heard, now);
            }
            let honest = port("198.51.100.1", 1);
            dialer.add(honest.clone(), AddressOrigin::Heard, now);
            assert_eq!(dialer.due(now, chance, nobody), [honest]);
        }
    }

    #[test]
    fn what_failed_at_a_host_counts_against_all_its_ports() {
        let mut now = Instant::now();
        let mut dialer = Dialer::new(&PACE);
        let neighbour = |number| port(&format!("203.0.113.{number}"), 1);
        in_use(&mut dialer, now, core::array::from_fn(neighbour));
        let honest = port("198.51.100.1", 1);
        dialer.add(honest.clone(), AddressOrigin::Heard, now);
        // It was down once.
        dialer.failed(&honest, now, u32::MAX);
        for number in 1..200 {
            dialer.add(port("192.0.2.1", number), AddressOrigin::Heard, now);
        }
        // One at a time swallows what is dialled, and two have by the time that it is due again.
        for _ in 0..2 {
            let due = dialer.due(now, 0, nobody);
            assert!(due.len() == 1 && due[0] != honest);
            dialer.failed(&due[0], now, u32::MAX);
        }
        now += PACE.first_retry;
        assert_eq!(dialer.due(now, 0, nobody), [honest]);
    }

    #[test]
    fn among_many_ports_of_one_host_the_one_that_answers_is_found() {
        let mut now = Instant::now();
        let mut dialer = Dialer::new(&PACE);
        for number in 0..64 {
            dialer.add(port("192.0.2.1", 1 + number), AddressOrigin::Heard, now);
        }
        let (mut found, mut dials) = (std::collections::BTreeSet::new(), 0);
        for _ in 0..64 / WANTED {
            let before = dials;
            for at in dialer.due(now, 7, nobody) {
                dialer.dialing(&at, connection(dials));
                dials += 1;
                found.insert(at);
            }
            now += Duration::from_secs(10);
            (before..dials).for_each(|dial| drop(dialer.lost(connection(dial), now, 0)));
        }
        assert_eq!(found.len(), 64, "none is tried twice before all were once");
    }

    #[test]
    fn the_address_of_a_neighbour_that_dialled_us_is_not_dialled() {
        let now = Instant::now();
        let peer = PeerId::random();
        let mut dialer = Dialer::new(&PACE);
        dialer.add(address(1).with(Protocol::P2p(peer)), AddressOrigin::Configured, now);
        assert!(dialer.due(now, 0, |other| *other == peer).is_empty());
        assert_eq!(dialer.due(now, 0, nobody).len(), 1);
    }

    #[test]
    fn an_address_expires_unless_it_is_configured_or_in_use() {
        let now = Instant::now();
        let (mut heard, at) = one(AddressOrigin::Heard, now);
        heard.dialing(&at, connection(1));
        heard.forget(&at);
        assert_eq!(heard.targets.len(), 1);
        heard.lost(connection(1), now, 0);
        heard.forget(&at);
        assert_eq!(heard.targets.len(), 0);
        let (mut wished, at) = one(AddressOrigin::Configured, now);
        wished.forget(&at);
        assert_eq!(wished.targets.len(), 1);
    }

    #[test]
    fn the_transport_key_at_the_end_of_an_address_is_removed() {
        let peer = PeerId::random();
        let with = address(1).with(Protocol::P2p(peer));
        assert_eq!(peer_in(&with), Some(peer));
        assert_eq!(without_peer(with), address(1));
        assert_eq!(without_peer(address(1)), address(1));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u64, bool),
        DialAll,
        Reach(usize),
        Lose(usize),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..400_u64, any::<bool>()).prop_map(|(number, wish)| Step::Add(number, wish)),
            Just(Step::DialAll),
            (0..200_usize).prop_map(Step::Reach),
            (0..200_usize).prop_map(Step::Lose),
            (0..100_u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn a_wait_is_between_half_of_its_bound_and_all_of_it(
            failures in any::<u32>(),
            chance in any::<u32>(),
        ) {
            let (first, longest) = (Duration::from_secs(1), Duration::from_secs(300));
            let wait = retry_after(failures, (first, longest), chance);
            let bound = if failures < 8 { first * 2_u32.pow(failures) } else { longest };
            prop_assert!(wait >= bound / 2 && wait <= bound.max(first));
        }

        #[test]
        fn after_any_events_configured_addresses_are_kept_and_bounds_hold(
            steps in prop::collection::vec(step(), 0..400),
        ) {
            let mut now = Instant::now();
            let mut dialer = Dialer::new(&PACE);
            let mut wishes = std::collections::BTreeSet::new();
            let mut dials = 0;
            for step in steps {
                match step {
                    Step::Add(number, wish) => {
                        let origin = if wish { AddressOrigin::Configured } else { AddressOrigin::Heard };
                        if wish {
                            wishes.insert(address(number));
                        }
                        dialer.add(address(number), origin, now);
                    }
                    Step::DialAll => {
                        for at in dialer.due(now, 0, nobody) {
                            prop_assert!(dialer.targets[&at].is_waiting());
                            dialer.dialing(&at, connection(dials));
                            dials += 1;
                        }
                        prop_assert!(dialer.due(now, 0, nobody).is_empty());
                    }
                    Step::Reach(number) => {
                        dialer.reached(connection(number), PeerId::random());
                    }
                    Step::Lose(number) => {
                        dialer.lost(connection(number), now, 0);
                    }
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                }
                prop_assert!(wishes.iter().all(|wish| dialer.targets.contains_key(wish)));
                prop_assert!(dialer.targets.len() <= TARGETS.max(wishes.len()) + wishes.len());
            }
            // However it went, no wish waits longer than the longest retry.
            let due = dialer.due(now + PACE.longest_retry, 0, nobody);
            for wish in wishes {
                prop_assert!(due.contains(&wish) || !dialer.targets[&wish].is_waiting());
            }
        }
    }

    #[test]
    fn changed_at_random_an_address_is_dialled_or_is_none() {
        let peer = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
        let seeds = [
            "/ip4/192.0.2.1/tcp/4001".to_owned(),
            format!("/ip6/2001:db8::1/udp/4001/quic-v1/p2p/{peer}"),
            format!("/dns/example.org/tcp/4001/p2p/{peer}"),
            "/memory/7".to_owned(),
        ];
        let now = Instant::now();
        let dial = |address: Multiaddr| {
            let named = peer_in(&address);
            let bare = without_peer(address.clone());
            assert_eq!(named.is_none(), bare == address);
            let mut dialer = Dialer::new(&PACE);
            dialer.add(address.clone(), AddressOrigin::Heard, now);
            assert_eq!(dialer.due(now, 0, nobody), [address]);
        };
        each_text(&seeds.each_ref().map(String::as_str), |text| {
            Reading::of(text.parse().map(dial))
        });
        let bytes = seeds.map(|seed| seed.parse::<Multiaddr>().unwrap().to_vec());
        each_case(&bytes, |bytes| Reading::of(Multiaddr::try_from(bytes.to_vec()).map(dial)));
    }
}
