//! What the swarm reports, event by event, and what falls due with time.
//!
//! Each event is carried over into [`PeerTable`](super::peers::PeerTable), the
//! [`Dialer`](super::dialer::Dialer) and what [`Net::next`] hands out; nothing is decided here that
//! those two decide.

use crate::engine::node::input::Input;
use libp2p::{
    Multiaddr, PeerId,
    core::transport::TransportError,
    gossipsub, mdns, ping,
    swarm::{ConnectionId, DialError, SwarmEvent, dial_opts::DialOpts},
};
use tokio::time::Instant;

use crate::engine::envelope::EnvelopeId;
use crate::engine::id::NeighbourId;

use super::behaviour::{GRAYLIST, ProtocolsEvent};
use super::dialer::{self, AddressOrigin};
use super::peers::OverdueReason;
use super::{DialFailure, DisconnectReason, Net, NetEvent};

impl Net {
    #[expect(clippy::wildcard_enum_match_arm, reason = "libp2p's enum, open to new variants")]
    pub(super) fn on_swarm(&mut self, event: SwarmEvent<ProtocolsEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_protocol(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                self.on_connected(peer_id, connection_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                self.dialer.lost(connection_id, Instant::now(), chance());
                if num_established == 0 {
                    self.peers.gone(peer_id);
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                let lost = self.dialer.lost(connection_id, Instant::now(), chance());
                if let Some(address) = lost {
                    self.ready.push_back(NetEvent::DialFailed { address, kind: kind(&error) });
                }
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.ready.push_back(NetEvent::Listening(address));
            }
            SwarmEvent::ListenerClosed { reason: Err(error), .. } => {
                self.ready.push_back(NetEvent::ListenFailed(error.to_string()));
            }
            // The rest concerns connections that did not come about and addresses we do not use.
            _ => {}
        }
    }

    /// Reports the neighbours in the flood if they are others than were reported last.
    pub(super) fn tell_peers(&mut self) {
        let inside = self.peers.inside();
        if *inside != self.told_peers {
            self.told_peers.clone_from(inside);
            self.ready.push_back(NetEvent::Engine(Input::Peers(inside.iter().copied().collect())));
        }
    }

    /// Counts a refused envelope; one too many, and its carrier is blocked.
    pub(super) fn count_invalid(&mut self, from: NeighbourId) {
        if self.peers.refused(from, Instant::now()).is_some() {
            self.block(from);
            self.ready
                .push_back(NetEvent::Disconnected { from, why: DisconnectReason::Misbehaved });
        }
    }

    /// What falls due with time: dials, signs of life, and neighbours whose time is up.
    pub(super) fn on_tick(&mut self, now: Instant) {
        let gap = now.duration_since(self.last_tick);
        self.last_tick = now;
        if gap > self.pace.heartbeat {
            self.peers.forgive(gap);
        }
        self.disconnect_overdue(now);
        self.disconnect_outscored();
        if now >= self.next_heartbeat {
            self.heartbeat(now);
        }
        let connected = |peer: &PeerId| self.swarm.is_connected(peer);
        for address in self.dialer.due(now, connected) {
            self.dial(address, now);
        }
    }

    fn on_connected(&mut self, peer: PeerId, connection: ConnectionId) {
        self.peers.connected(peer, Instant::now());
        if let Some(address) = self.dialer.reached(connection, peer) {
            self.ready.push_back(NetEvent::Reached(dialer::without_peer(address)));
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what identify and others tell is not used")]
    fn on_protocol(&mut self, event: ProtocolsEvent) {
        match event {
            ProtocolsEvent::Gossip(event) => self.on_gossip(event),
            ProtocolsEvent::Sync(event) => {
                let input = self.exchanges.on_event(&self.peers, event);
                self.ready.extend(input.map(NetEvent::Engine));
            }
            ProtocolsEvent::Lan(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    // An address that names somebody else is not worth a dial.
                    if let Ok(address) = address.with_p2p(peer) {
                        self.dialer.add(address, AddressOrigin::Heard, Instant::now());
                    }
                }
            }
            ProtocolsEvent::Lan(mdns::Event::Expired(gone)) => {
                for (peer, address) in gone {
                    if let Ok(address) = address.with_p2p(peer) {
                        self.dialer.forget(&address);
                    }
                }
            }
            ProtocolsEvent::Ping(ping::Event { peer, result: Err(failure), .. }) => match failure {
                ping::Failure::Unsupported => {}
                ping::Failure::Timeout | ping::Failure::Other { .. } => {
                    self.disconnect(peer, DisconnectReason::Unresponsive);
                }
            },
            _ => {}
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        let now = Instant::now();
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.on_message(propagation_source, message_id, message);
            }
            gossipsub::Event::Subscribed { peer_id, topic } => {
                if topic == self.names.flood.hash() {
                    self.peers.joined(peer_id);
                    self.dialer.joined(&peer_id);
                } else {
                    self.peers.heartbeat(peer_id, now);
                }
            }
            gossipsub::Event::Unsubscribed { peer_id, topic } => {
                if topic == self.names.flood.hash() {
                    self.peers.left(peer_id, now);
                } else {
                    self.peers.heartbeat(peer_id, now);
                }
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                self.disconnect(peer_id, DisconnectReason::NeverJoined);
            }
            gossipsub::Event::SlowPeer { .. } => tracing::debug!("a peer reads too slowly"),
        }
    }

    fn on_message(
        &mut self,
        source: PeerId,
        message_id: gossipsub::MessageId,
        message: gossipsub::Message,
    ) {
        let from = self.peers.tag(source, Instant::now());
        // Our id function gives 32 bytes; anything else is not a message of this network.
        let id = <[u8; 32]>::try_from(message_id.0.as_slice()).map(EnvelopeId);
        let fits = message.topic == self.names.flood.hash() && message.data.len() <= self.largest;
        match id {
            Ok(id) if fits => {
                self.ready.push_back(NetEvent::Engine(Input::Gossip {
                    from,
                    id,
                    bytes: message.data,
                }));
            }
            Ok(_) | Err(_) => {
                self.swarm.behaviour_mut().gossip.report_message_validation_result(
                    &message_id,
                    &source,
                    gossipsub::MessageAcceptance::Reject,
                );
                self.count_invalid(from);
            }
        }
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

    fn disconnect_outscored(&mut self) {
        for peer in self.peers.present() {
            let score = self.swarm.behaviour().gossip.peer_score(&peer);
            if score.is_some_and(|score| score < GRAYLIST) {
                self.disconnect(peer, DisconnectReason::Outscored);
            }
        }
    }

    /// Closes all connections to a neighbour, and says so.
    fn disconnect(&mut self, peer: PeerId, why: DisconnectReason) {
        if self.swarm.disconnect_peer_id(peer).is_err() {
            // It was quicker.
            return;
        }
        self.peers.gone(peer);
        if why == DisconnectReason::NeverJoined
            && let Some(address) = self.dialer.address_of(&peer).cloned()
        {
            let kind = DialFailure::OtherNetwork;
            self.ready.push_back(NetEvent::DialFailed { address, kind });
        }
        let from = self.peers.tag(peer, Instant::now());
        self.ready.push_back(NetEvent::Disconnected { from, why });
    }

    /// Joins or leaves the topic of the signs of life, whichever was not the case.
    fn heartbeat(&mut self, now: Instant) {
        let topic = &self.names.heartbeat;
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        match gossip.subscribe(topic) {
            Ok(true) => {}
            Ok(false) => {
                gossip.unsubscribe(topic);
            }
            Err(error) => tracing::warn!(%error, "no heartbeat could be published"),
        }
        // A quarter more or less, so that beats of many nodes do not fall into step.
        let share = 0.75 + 0.5 * f64::from(chance()) / f64::from(u32::MAX);
        self.next_heartbeat = now + self.pace.heartbeat.mul_f64(share);
    }

    fn dial(&mut self, address: Multiaddr, now: Instant) {
        // From a port of its own: where we listen is not told to those we dial.
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
        // The swarm takes our own addresses out of a dial before it is made.
        DialError::LocalPeerId { .. } | DialError::NoAddresses => DialFailure::Ourselves,
        DialError::WrongPeerId { .. } => DialFailure::OtherKey,
        DialError::Denied { .. } | DialError::DialPeerConditionFalse(_) => DialFailure::Forbidden,
        DialError::Aborted => DialFailure::Unreachable,
        DialError::Transport(errors) => {
            let unknown = |error: &TransportError<_>| match error {
                TransportError::MultiaddrNotSupported(_) => true,
                TransportError::Other(_) => false,
            };
            if errors.iter().all(|(_, error)| unknown(error)) {
                DialFailure::BadAddress
            } else {
                DialFailure::Unreachable
            }
        }
    }
}

/// A uniform number, to spread what many nodes do. Without entropy there is nothing to spread, and
/// the middle does; no secret depends on it.
fn chance() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}
