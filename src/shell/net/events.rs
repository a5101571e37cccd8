//! The swarm's events, and the work of each tick.
//!
//! Each event goes to the [`PeerTable`](super::peers::PeerTable), the
//! [`Dialer`](super::dialer::Dialer) and the queue of [`Net::next`]. Which neighbour is overdue and
//! which address is due is decided by those two, not here.

use crate::engine::node::input::Input;
use libp2p::{
    Multiaddr, PeerId,
    core::transport::TransportError,
    gossipsub, mdns, ping,
    swarm::{ConnectionId, DialError, SwarmEvent, dial_opts::DialOpts},
};
use tokio::time::Instant;

use crate::engine::envelope::EnvelopeId;
use crate::engine::id::{Neighbour, NeighbourId};

use super::address_range::Origin;
use super::behaviour::ProtocolsEvent;
use super::dialer::{self, AddressOrigin};
use super::door::DoorEvent;
use super::inbound::{GossipEvent, OffTime};
use super::muxer::LinkError;
use super::names::NameFault;
use super::peers::{OverdueReason, REFUSALS};
use super::{DialFailure, DisconnectReason, Net, NetEvent};

impl Net {
    #[expect(clippy::wildcard_enum_match_arm, reason = "libp2p's enum, open to new variants")]
    pub(super) fn on_swarm(&mut self, event: SwarmEvent<ProtocolsEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_protocol(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, endpoint.get_remote_address());
            }
            SwarmEvent::ConnectionClosed {
                peer_id, connection_id, num_established, cause, ..
            } => {
                self.dialer.lost(connection_id, Instant::now(), chance());
                // Both sides may have dialled: with the other connection the neighbour stays.
                if num_established == 0 {
                    self.peers.gone(peer_id);
                    if cause.is_some_and(|cause| LinkError::is_stall(&cause)) {
                        let from = self.peers.tag(peer_id, Instant::now());
                        let why = DisconnectReason::Stalled;
                        self.ready.push_back(NetEvent::Disconnected { from, why });
                    }
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                let (kind, now) = (kind(&error), Instant::now());
                let lost = match kind {
                    DialFailure::Nameless(fault) => {
                        self.dialer.nameless(connection_id, fault, (now, chance()))
                    }
                    DialFailure::Unreachable
                    | DialFailure::OtherKey
                    | DialFailure::Ourselves
                    | DialFailure::OtherNetwork
                    | DialFailure::Forbidden
                    | DialFailure::BadAddress => self.dialer.lost(connection_id, now, chance()),
                };
                if let Some(address) = lost {
                    self.ready.push_back(NetEvent::DialFailed { address, kind });
                    self.tell_names();
                }
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.ready.push_back(NetEvent::Listening(address));
            }
            SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. } => {
                self.listeners.failed(listener_id, Instant::now());
                self.ready.push_back(NetEvent::ListenFailed(error.to_string()));
            }
            // The rest concerns connections that did not come about and addresses we do not use.
            _ => {}
        }
    }

    /// Reports the neighbours in the flood if they differ from those reported last.
    pub(super) fn tell_peers(&mut self) {
        let inside = self.peers.inside();
        if *inside != self.told_peers {
            self.told_peers.clone_from(inside);
            let neighbours =
                inside.iter().map(|(&id, &Origin { range, path })| Neighbour { id, range, path });
            self.ready.push_back(NetEvent::Engine(Input::Peers(neighbours.collect())));
        }
    }

    /// Reports which name cannot be looked up, if that is another one than was reported last.
    fn tell_names(&mut self) {
        let trouble = self.dialer.name_trouble();
        if trouble != self.told_names {
            self.told_names.clone_from(&trouble);
            self.ready.push_back(NetEvent::Names(trouble));
        }
    }

    /// Counts a rejected envelope against its carrier, which is blocked when they are too many.
    pub(super) fn count_invalid(&mut self, from: NeighbourId) {
        // What a neighbour sent before its connections were closed is counted, and parts no second
        // time.
        if let Some(peer) = self.peers.refused(from, Instant::now())
            && self.block(peer)
        {
            self.ready
                .push_back(NetEvent::Disconnected { from, why: DisconnectReason::Misbehaved });
        }
    }

    /// Closes all connections to a neighbour and takes none from its transport key any more, until
    /// a thousand others were blocked after it. Whether it was not blocked before.
    fn block(&mut self, peer: PeerId) -> bool {
        // At once, and not when the connections are closed: nothing more is asked of it.
        self.peers.gone(peer);
        let blocked = &mut self.swarm.behaviour_mut().blocked;
        let new = blocked.block_peer(peer);
        if new && let Some(pardoned) = self.blocks.add(peer) {
            blocked.unblock_peer(pardoned);
        }
        new
    }

    /// The work of a tick: disconnecting overdue neighbours, the sign of life, due dials.
    pub(super) fn on_tick(&mut self, now: Instant) {
        let gap = now.duration_since(self.last_tick);
        self.last_tick = now;
        // This process was stopped or starved: neighbours whose notices wait unread in our sockets
        // must not be taken for silent, or going on would begin without any.
        if gap > self.pace.heartbeat {
            self.peers.forgive(gap);
        }
        let OffTime { expired, early } = self.swarm.behaviour_mut().gossip.take_off_time();
        if expired > 0 || early > 0 {
            let input = Input::OffTime { expired, early };
            self.ready.push_back(NetEvent::Engine(input));
        }
        self.swarm.behaviour_mut().gossip.weigh();
        self.peers.await_no_longer(now, self.pace.greeting);
        if self.peers.take_resumed() {
            self.ready.push_back(NetEvent::Engine(Input::Resumed));
        }
        self.disconnect_overdue(now);
        self.listen_again(now);
        if now >= self.next_heartbeat {
            self.heartbeat(now);
        }
        let connected = |peer: &PeerId| self.swarm.is_connected(peer);
        for address in self.dialer.due(now, chance(), connected) {
            self.dial(address, now);
        }
    }

    /// Listens once more at the addresses whose sockets failed.
    fn listen_again(&mut self, now: Instant) {
        for address in self.listeners.due(now) {
            match self.swarm.listen_on(address.clone()) {
                Ok(listener) => self.listeners.add(listener, address),
                Err(_) => self.listeners.try_later(address, now),
            }
        }
    }

    fn on_connected(&mut self, peer: PeerId, connection: ConnectionId, remote: &Multiaddr) {
        self.peers.connected(peer, self.ranges.origin(remote), Instant::now());
        if let Some(address) = self.dialer.reached(connection, peer) {
            self.ready.push_back(NetEvent::Reached(dialer::without_peer(address)));
            self.tell_names();
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what identify and others tell is not used")]
    fn on_protocol(&mut self, event: ProtocolsEvent) {
        match event {
            ProtocolsEvent::Gossip(event) => self.on_gossip(event),
            ProtocolsEvent::Door(DoorEvent::MadeRoom(peer)) => {
                // The door closes its links; until then nothing more is asked of it.
                self.peers.gone(peer);
                let from = self.peers.tag(peer, Instant::now());
                let why = DisconnectReason::MadeRoom;
                self.ready.push_back(NetEvent::Disconnected { from, why });
            }
            ProtocolsEvent::Sync(event) => {
                let input = self.exchanges.on_event(&self.peers, event);
                self.ready.extend(input.map(NetEvent::Engine));
            }
            ProtocolsEvent::Lan(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    // Any machine on the local network can announce anything: an address that names
                    // another peer than its announcement is dropped.
                    if let Ok(address) = address.with_p2p(peer) {
                        self.dialer.add(address, AddressOrigin::Heard, Instant::now());
                    }
                }
            }
            ProtocolsEvent::Lan(mdns::Event::Expired(gone)) => {
                // Forgotten, so that a laptop which left the network is not dialled for long.
                for (peer, address) in gone {
                    if let Ok(address) = address.with_p2p(peer) {
                        self.dialer.forget(&address);
                    }
                }
            }
            ProtocolsEvent::Ping(ping::Event { peer, result: Err(failure), .. }) => match failure {
                // `proto/network.md` does not demand ping.
                ping::Failure::Unsupported => {}
                // A dead path is found in about a minute; TCP alone would take a quarter of an
                // hour.
                ping::Failure::Timeout | ping::Failure::Other { .. } => {
                    self.disconnect(peer, DisconnectReason::Unresponsive);
                }
            },
            _ => {}
        }
    }

    fn on_gossip(&mut self, event: GossipEvent) {
        let now = Instant::now();
        let event = match event {
            GossipEvent::Protocol(event) => event,
            GossipEvent::Dead { peer } => return self.disconnect(peer, DisconnectReason::Silent),
            GossipEvent::PassingOn { peer, said } => return self.peers.passes_on(peer, said),
            GossipEvent::Refused { peer, count } => {
                let from = self.peers.tag(peer, now);
                for _ in 0..count.min(REFUSALS) {
                    self.count_invalid(from);
                }
                return;
            }
        };
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.on_message(propagation_source, message_id, message);
            }
            gossipsub::Event::Subscribed { peer_id, topic } => {
                if topic == self.names.flood.hash() {
                    self.peers.joined(peer_id, now);
                    self.dialer.joined(&peer_id, now);
                    let protocols = self.swarm.behaviour_mut();
                    protocols.door.joined(peer_id, now);
                    protocols.sync.joined(&peer_id);
                } else {
                    // The filter lets our two topics through alone, so this is the sign of life.
                    self.peers.heartbeat(peer_id, now);
                }
            }
            gossipsub::Event::Unsubscribed { peer_id, topic } => {
                if topic == self.names.flood.hash() {
                    self.peers.left(peer_id, now);
                    let protocols = self.swarm.behaviour_mut();
                    protocols.door.left(peer_id);
                    protocols.sync.left(&peer_id);
                } else {
                    // Leaving that topic is as good a sign as joining it: each beat does one of
                    // both.
                    self.peers.heartbeat(peer_id, now);
                }
            }
            // Without gossipsub it can never join: waiting out `NetTiming::join` gains nothing.
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                self.disconnect(peer_id, DisconnectReason::NeverJoined);
            }
            // No offence, and no measure either: `backlog` knows who takes too little.
            gossipsub::Event::SlowPeer { .. } => tracing::debug!("a peer reads too slowly"),
        }
    }

    fn on_message(
        &mut self,
        source: PeerId,
        message_id: gossipsub::MessageId,
        message: gossipsub::Message,
    ) {
        // Only an envelope in the flood comes through `inbound`, and its gossipsub id is its own.
        let Ok(id) = <[u8; 32]>::try_from(message_id.0.as_slice()) else { return };
        let (from, id) = (self.peers.tag(source, Instant::now()), EnvelopeId(id));
        // The engine validates the envelope; until its verdict gossipsub passes nothing on.
        let input = Input::Gossip { from, id, bytes: message.data };
        self.ready.push_back(NetEvent::Engine(input));
    }

    fn disconnect_overdue(&mut self, now: Instant) {
        for (peer, overdue) in self.peers.overdue(now, &self.pace) {
            let why = match overdue {
                OverdueReason::NeverJoined => DisconnectReason::NeverJoined,
                OverdueReason::Silent => DisconnectReason::Silent,
            };
            self.disconnect(peer, why);
        }
    }

    /// Closes all connections to a neighbour, and reports the reason. Whatever the neighbour does,
    /// they are gone within [`NetTiming::farewell`](super::NetTiming::farewell): the links see to
    /// it (`muxer`), for every close that the swarm is asked for.
    fn disconnect(&mut self, peer: PeerId, why: DisconnectReason) {
        if self.swarm.disconnect_peer_id(peer).is_err() {
            // The neighbour closed its connections first: there is nothing of ours to report.
            return;
        }
        // Closing takes a moment; until then the neighbour must not be found overdue again.
        self.peers.gone(peer);
        // The dial itself succeeded, so only this shows a person that the network's name or floor
        // is another there.
        if why == DisconnectReason::NeverJoined
            && let Some(address) = self.dialer.address_of(&peer).cloned()
        {
            let kind = DialFailure::OtherNetwork;
            self.ready.push_back(NetEvent::DialFailed { address, kind });
        }
        let from = self.peers.tag(peer, Instant::now());
        self.ready.push_back(NetEvent::Disconnected { from, why });
    }

    /// Gives a sign of life: joins the heartbeat topic, or leaves it if it was joined.
    fn heartbeat(&mut self, now: Instant) {
        let topic = &self.names.heartbeat;
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        match gossip.subscribe(topic) {
            Ok(true) => {}
            Ok(false) => {
                gossip.unsubscribe(topic);
            }
            // Neighbours then take us for silent and disconnect; the side that dialled comes back.
            Err(error) => tracing::warn!(%error, "no heartbeat could be published"),
        }
        // A quarter more or less, so that the beats of many nodes do not fall into step.
        let share = 0.75 + 0.5 * f64::from(chance()) / f64::from(u32::MAX);
        self.next_heartbeat = now + self.pace.heartbeat.mul_f64(share);
    }

    fn dial(&mut self, address: Multiaddr, now: Instant) {
        // From a port of its own: dialling from the listening port would show the peer where we
        // listen, and identify hides that on purpose.
        let how = DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build();
        self.dialer.dialing(&address, how.connection_id());
        if let Err(error) = self.swarm.dial(how) {
            self.dialer.failed(&address, now, chance());
            self.ready.push_back(NetEvent::DialFailed { address, kind: kind(&error) });
        }
    }
}

fn kind(error: &DialError) -> DialFailure {
    match error {
        // The swarm removes our own listen addresses from a dial before it is made.
        DialError::LocalPeerId { .. } | DialError::NoAddresses => DialFailure::Ourselves,
        DialError::WrongPeerId { .. } => DialFailure::OtherKey,
        // The door and blocked transport keys deny a dial.
        DialError::Denied { .. } | DialError::DialPeerConditionFalse(_) => DialFailure::Forbidden,
        DialError::Aborted => DialFailure::Unreachable,
        DialError::Transport(errors) => {
            let unknown = |error: &TransportError<_>| match error {
                TransportError::MultiaddrNotSupported(_) => true,
                TransportError::Other(_) => false,
            };
            // One address that a transport knew makes it a matter of reaching the peer: what a
            // person should correct is an address that none of them knows.
            if errors.iter().all(|(_, error)| unknown(error)) {
                return DialFailure::BadAddress;
            }
            let fault = errors.iter().find_map(|(_, error)| match error {
                TransportError::Other(error) => NameFault::of(error),
                TransportError::MultiaddrNotSupported(_) => None,
            });
            fault.map_or(DialFailure::Unreachable, DialFailure::Nameless)
        }
    }
}

/// A uniform number that spreads the retries and beats of many nodes. No secret depends on it, so a
/// failing generator is no reason to stop: the middle does.
fn chance() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}
