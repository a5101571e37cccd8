//! Whom to keep connected, and when to try again.
//!
//! It opens no connection and reads no clock: it is told what happened and when, and says which
//! addresses are due. What a person configured is never forgotten; what was merely heard of is
//! dialled while we lack neighbours and forgotten once it fails for long.

use core::time::Duration;
use std::collections::BTreeMap;

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol, swarm::ConnectionId};
use tokio::time::Instant;

use super::settings::Pace;

/// The most addresses known at a time; further ones are not taken up. A guess.
pub(super) const TARGETS: usize = 256;

/// Neighbours we seek among addresses merely heard of: gossipsub's mesh, all by our own choice.
const WANTED: usize = 8;

/// Failures in a row after which an address merely heard of is forgotten: at the default pace
/// about a quarter of an hour.
const PATIENCE: u32 = 10;

/// All addresses to keep connected.
#[derive(Debug)]
pub(super) struct Dialler {
    targets: BTreeMap<Multiaddr, Target>,
    first_retry: Duration,
    longest_retry: Duration,
}

/// How we came by an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A person asked for it: kept and dialled for ever.
    Configured,
    /// Remembered, or heard of on the local network.
    Heard,
}

#[derive(Debug)]
struct Target {
    origin: Origin,
    state: State,
    /// Dials and connections in a row that came to nothing.
    failures: u32,
}

#[derive(Debug)]
enum State {
    Waiting { until: Instant },
    Dialling { connection: ConnectionId },
    Connected { connection: ConnectionId, peer: PeerId },
}

impl Dialler {
    /// Nobody to reach yet.
    pub(super) fn new(pace: &Pace) -> Self {
        Self {
            targets: BTreeMap::new(),
            first_retry: pace.first_retry,
            longest_retry: pace.longest_retry,
        }
    }

    /// Takes an address up, due at once. One that is known already stays as it is, except that a
    /// person's wish makes it permanent. Beyond [`TARGETS`], only a person's wish is taken up.
    pub(super) fn add(&mut self, address: Multiaddr, origin: Origin, now: Instant) {
        if let Some(known) = self.targets.get_mut(&address) {
            if origin == Origin::Configured {
                known.origin = Origin::Configured;
            }
            return;
        }
        if origin == Origin::Heard && self.targets.len() >= TARGETS {
            return;
        }
        let state = State::Waiting { until: now };
        self.targets.insert(address, Target { origin, state, failures: 0 });
    }

    /// The addresses to dial at `now`. `connected` says whether a peer is a neighbour already, by
    /// whichever side's doing; an address that names such a peer has no need of a dial.
    pub(super) fn due(&self, now: Instant, connected: impl Fn(&PeerId) -> bool) -> Vec<Multiaddr> {
        let busy = self.targets.values().filter(|target| !target.is_waiting()).count();
        let mut wanted = WANTED.saturating_sub(busy);
        let mut due = Vec::new();
        for (address, target) in &self.targets {
            let State::Waiting { until } = target.state else { continue };
            if until > now || peer_in(address).is_some_and(|peer| connected(&peer)) {
                continue;
            }
            if target.origin == Origin::Heard {
                if wanted == 0 {
                    continue;
                }
                wanted -= 1;
            }
            due.push(address.clone());
        }
        due
    }

    /// A dial to `address` is under way as `connection`.
    pub(super) fn dialling(&mut self, address: &Multiaddr, connection: ConnectionId) {
        if let Some(target) = self.targets.get_mut(address) {
            target.state = State::Dialling { connection };
        }
    }

    /// A dial was answered by `peer`. Returns its address if the dial was one of ours.
    pub(super) fn reached(&mut self, connection: ConnectionId, peer: PeerId) -> Option<Multiaddr> {
        let (address, target) = self.by_connection(connection)?;
        target.state = State::Connected { connection, peer };
        Some(address)
    }

    /// The peer takes part in the flood: the address is a good one.
    pub(super) fn joined(&mut self, peer: &PeerId) {
        for target in self.targets.values_mut() {
            if matches!(&target.state, State::Connected { peer: at, .. } if at == peer) {
                target.failures = 0;
            }
        }
    }

    /// The address under which we reached this peer, if we did.
    pub(super) fn address_of(&self, peer: &PeerId) -> Option<&Multiaddr> {
        self.targets.iter().find_map(|(address, target)| match &target.state {
            State::Connected { peer: at, .. } if at == peer => Some(address),
            State::Connected { .. } | State::Waiting { .. } | State::Dialling { .. } => None,
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
        let address = self.by_connection(connection)?.0;
        self.failed(&address, now, chance);
        Some(address)
    }

    /// A dial to this address came to nothing: try again later, or forget the address.
    pub(super) fn failed(&mut self, address: &Multiaddr, now: Instant, chance: u32) {
        let (first, longest) = (self.first_retry, self.longest_retry);
        let Some(target) = self.targets.get_mut(address) else { return };
        let wait = retry_after(target.failures, (first, longest), chance);
        target.failures = target.failures.saturating_add(1);
        target.state = State::Waiting { until: now + wait };
        if target.origin == Origin::Heard && target.failures >= PATIENCE {
            self.targets.remove(address);
        }
    }

    /// Forgets an address merely heard of that is not in use.
    pub(super) fn forget(&mut self, address: &Multiaddr) {
        let idle = |target: &Target| target.is_waiting() && target.origin == Origin::Heard;
        if self.targets.get(address).is_some_and(idle) {
            self.targets.remove(address);
        }
    }

    fn by_connection(&mut self, wanted: ConnectionId) -> Option<(Multiaddr, &mut Target)> {
        self.targets.iter_mut().find_map(|(address, target)| match target.state {
            State::Dialling { connection } | State::Connected { connection, .. }
                if connection == wanted =>
            {
                Some((address.clone(), target))
            }
            State::Dialling { .. } | State::Connected { .. } | State::Waiting { .. } => None,
        })
    }
}

impl Target {
    fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }
}

/// The wait after `failures` earlier ones: doubled each time up to the longest, then shortened by
/// up to a half at random, so that nodes which lost the same relay do not return in one moment.
fn retry_after(failures: u32, (first, longest): (Duration, Duration), chance: u32) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures)).min(longest);
    let half = doubled / 2;
    half + half.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

/// The peer that an address insists on, if any.
pub(super) fn peer_in(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

/// The address without the peer it insists on: transport keys do not outlive a start.
pub(super) fn without_peer(mut address: Multiaddr) -> Multiaddr {
    if peer_in(&address).is_some() {
        address.pop();
    }
    address
}
