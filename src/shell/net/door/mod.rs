//! Who gets a place: half-open links ([`transport`]) and established ones ([`room`]).
//!
//! Transport keys are free, so places that go to whoever comes first and are kept for ever belong
//! to whoever wants to shut a node out: 64 silent neighbours from three addresses were enough. Here
//! nobody is refused for having come later. When all places are taken, a neighbour gives way that is
//! neither useful (it brings envelopes that others had not brought) nor here for longest, by ranges of
//! addresses: the range with the most of them first. What is free proves nothing: beats, pings and
//! having joined.
//!
//! To give way is no punishment: whoever dials again is let in like any newcomer. Only how many places
//! a street had within the last minute is remembered: where all else is equal, whoever had more goes
//! first. It depends on addresses, and on the gate's verdicts, which
//! all nodes give alike; not on anything that was decrypted.
//!
//! Those that we dialled never give way to somebody who came.

mod allowance;
mod place_times;
mod room;
mod transport;

pub(super) use allowance::BoundedSocket;
pub(super) use transport::DoorTransport;

use core::task::{Context, Poll};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use libp2p::core::{Endpoint, transport::PortUse};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, DialFailure, FromSwarm,
    ListenFailure, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

use crate::engine::secret::opaque_debug;

use super::address_range::RangeNumbers;
use super::settings::{NetLimits, NetTiming};
use room::{Entry, LinkRoom};

/// Connections between the same two nodes. Two, because both may dial at the same moment.
const PER_PEER: usize = 2;

/// Kinds of links, which are counted apart: a flood of one kind takes no place from the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LinkKind {
    /// TCP, and channels within this process.
    Stream,
    /// QUIC.
    Quic,
}

impl LinkKind {
    /// All of them.
    const ALL: [Self; 2] = [Self::Stream, Self::Quic];

    /// The kind of a link that came in at this address of ours.
    fn of(local: &Multiaddr) -> Self {
        let is_udp = |part: Protocol<'_>| matches!(part, Protocol::Udp(_));
        if local.iter().any(is_udp) { Self::Quic } else { Self::Stream }
    }
}

/// The established links of one node, and the dials under way.
pub(super) struct Door {
    ranges: RangeNumbers,
    rooms: BTreeMap<LinkKind, LinkRoom>,
    outgoing: usize,
    dialling: BTreeSet<ConnectionId>,
    dialled: BTreeSet<ConnectionId>,
    /// All established links but those that gave way, by neighbour; none without any.
    by_peer: BTreeMap<PeerId, BTreeSet<ConnectionId>>,
    /// At most one for each link.
    to_close: VecDeque<(PeerId, ConnectionId)>,
    parted: VecDeque<PeerId>,
}

/// What a [`Door`] tells.
pub(super) enum DoorEvent {
    /// The last link to this neighbour gave way to another, and is being closed.
    MadeRoom(PeerId),
}

opaque_debug!(
    enum DoorEvent {
        MadeRoom,
    }
);

/// No place for this connection.
#[derive(Debug, thiserror::Error)]
#[error("all places are taken")]
struct NoPlace;

impl Door {
    /// A door without any links.
    pub(super) fn new(ranges: RangeNumbers, limits: &NetLimits, pace: &NetTiming) -> Self {
        let rooms = LinkKind::ALL.map(|kind| (kind, LinkRoom::new(limits.incoming, pace.lease)));
        Self {
            ranges,
            rooms: BTreeMap::from(rooms),
            outgoing: limits.outgoing,
            dialling: BTreeSet::new(),
            dialled: BTreeSet::new(),
            by_peer: BTreeMap::new(),
            to_close: VecDeque::new(),
            parted: VecDeque::new(),
        }
    }

    /// The neighbour takes part in the flood.
    pub(super) fn joined(&mut self, peer: PeerId, now: Instant) {
        self.rooms.values_mut().for_each(|room| room.joined(peer, now));
    }

    /// The neighbour takes no part in the flood any more.
    pub(super) fn left(&mut self, peer: PeerId) {
        self.rooms.values_mut().for_each(|room| room.left(peer));
    }

    /// The neighbour brought an envelope that was accepted.
    pub(super) fn brought(&mut self, peer: PeerId, now: Instant) {
        self.rooms.values_mut().for_each(|room| room.brought(peer, now));
    }

    fn greet(&self, peer: &PeerId) -> Result<(), ConnectionDenied> {
        let links = self.by_peer.get(peer).map_or(0, BTreeSet::len);
        if links < PER_PEER { Ok(()) } else { Err(ConnectionDenied::new(NoPlace)) }
    }

    /// A link gave way to another.
    fn part(&mut self, link: ConnectionId, peer: PeerId) {
        self.forget(link);
        self.to_close.push_back((peer, link));
        if !self.by_peer.contains_key(&peer) {
            self.parted.push_back(peer);
        }
    }

    fn forget(&mut self, link: ConnectionId) {
        let now = Instant::now();
        self.rooms.values_mut().for_each(|room| room.leave(link, now));
        self.dialling.remove(&link);
        self.dialled.remove(&link);
        // No entry is left for a transport key that has no link.
        self.by_peer.retain(|_, links| {
            links.remove(&link);
            !links.is_empty()
        });
    }
}

/// The link that this event is the end of: it was closed, or never stood. Another protocol may have
/// refused what one let in.
#[expect(clippy::wildcard_enum_match_arm, reason = "libp2p's enum, open to new variants")]
pub(super) const fn ended(event: &FromSwarm<'_>) -> Option<ConnectionId> {
    match event {
        FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
        | FromSwarm::ListenFailure(ListenFailure { connection_id, .. })
        | FromSwarm::DialFailure(DialFailure { connection_id, .. }) => Some(*connection_id),
        _ => None,
    }
}

impl NetworkBehaviour for Door {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = DoorEvent;

    fn handle_established_inbound_connection(
        &mut self,
        link: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.greet(&peer)?;
        let path = self.ranges.path(remote);
        let room = self.rooms.get_mut(&LinkKind::of(local));
        let entry = room.map_or(Entry::Full, |room| room.enter(link, peer, path, Instant::now()));
        match entry {
            Entry::Full => return Err(ConnectionDenied::new(NoPlace)),
            Entry::Open => {}
            Entry::InPlaceOf(other, its_peer) => self.part(other, its_peer),
        }
        self.by_peer.entry(peer).or_default().insert(link);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        link: ConnectionId,
        _: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if self.dialling.len() >= self.outgoing {
            return Err(ConnectionDenied::new(NoPlace));
        }
        self.dialling.insert(link);
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        link: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.dialling.remove(&link);
        self.greet(&peer)?;
        if self.dialled.len() >= self.outgoing {
            return Err(ConnectionDenied::new(NoPlace));
        }
        self.dialled.insert(link);
        self.by_peer.entry(peer).or_default().insert(link);
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let Some(link) = ended(&event) {
            self.forget(link);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<DoorEvent, THandlerInEvent<Self>>> {
        // Filled by the calls above alone, after which the swarm polls again.
        if let Some((peer_id, link)) = self.to_close.pop_front() {
            let connection = CloseConnection::One(link);
            return Poll::Ready(ToSwarm::CloseConnection { peer_id, connection });
        }
        match self.parted.pop_front() {
            Some(peer) => Poll::Ready(ToSwarm::GenerateEvent(DoorEvent::MadeRoom(peer))),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_door_shows_its_kind() {
        let event = DoorEvent::MadeRoom(PeerId::random());
        assert_eq!(format!("{event:?}"), "DoorEvent::MadeRoom");
    }

    #[test]
    fn nothing_is_left_of_links_that_were_refused_or_closed() {
        let ranges = RangeNumbers::new();
        let limits = NetLimits { incoming: 4, outgoing: 2, ..NetLimits::default() };
        let mut door = Door::new(ranges, &limits, &NetTiming::default());
        let (here, there) = ("/ip4/198.51.100.7/tcp/1", "/ip4/203.0.113.9/tcp/2");
        let [here, there]: [Multiaddr; 2] = [here, there].map(|text| text.parse().unwrap());
        let peer = PeerId::random();
        for number in 0..100 {
            let link = ConnectionId::new_unchecked(number);
            let peer = if number % 2 == 0 { peer } else { PeerId::random() };
            let entered = if number % 3 == 0 {
                let role = Endpoint::Dialer;
                let pending = door.handle_pending_outbound_connection(link, None, &[], role);
                pending.and_then(|_| {
                    let port = PortUse::New;
                    door.handle_established_outbound_connection(link, peer, &there, role, port)
                })
            } else {
                door.handle_established_inbound_connection(link, peer, &here, &there)
            };
            assert!(door.by_peer.values().all(|links| links.len() <= PER_PEER));
            assert!(door.dialled.len() <= 2 && door.dialling.is_empty());
            assert!(entered.is_ok() || number > 0);
        }
        (0..100).map(ConnectionId::new_unchecked).for_each(|link| door.forget(link));
        assert!(door.by_peer.is_empty() && door.dialled.is_empty());
    }
}
