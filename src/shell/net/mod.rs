//! The network: libp2p's events in the engine's terms, the engine's verdicts in libp2p's.
//!
//! [`Net`] belongs to one node and one task. It forwards nothing by itself: every envelope that is
//! not refused by every node alike (`inbound`) is handed up and waits for its verdict. It knows transport addresses and transport keys, and
//! neither identities nor contacts; its events name a neighbour, and the range of addresses it is
//! in, by number alone. It writes no
//! address, no key and no id to the log.

use crate::engine::node::input::Input;
use core::fmt;
use std::collections::{BTreeMap, VecDeque};

use futures::StreamExt as _;
use libp2p::Transport as _;
use libp2p::{Swarm, gossipsub, identity, swarm};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::engine::envelope::wire::MAX_ENVELOPE_SIZE;
use crate::engine::envelope::{Acceptance, EnvelopeId};
use crate::engine::id::{NeighbourId, SyncRequestId, SyncResponseId};
use crate::engine::secret::opaque_debug;
use crate::shell::os::io_words::io_words;

mod address_range;
mod admissions;
mod backlog;
mod behaviour;
mod desk;
mod dialer;
mod door;
mod events;
mod frame;
mod gossip_link;
mod inbound;
mod listeners;
mod muxer;
mod names;
mod opens;
mod peers;
mod quic;
mod request_response;
mod settings;
mod sync_protocol;
mod transport;
mod unread;

pub use libp2p::Multiaddr;
pub use names::NameFault;
#[cfg(feature = "inside")]
pub use request_response::{LONGEST_REQUEST, LONGEST_RESPONSE};
#[cfg(feature = "inside")]
pub use settings::NetworkNameError;
pub use settings::{LanDiscovery, NetLimits, NetSettings, NetTiming, NetworkName, Transport};

use address_range::{Origin, RangeNumbers};
use behaviour::Protocols;
use dialer::{AddressOrigin, Dialer};
use door::DoorTransport;
use listeners::Listeners;
use peers::{BlockList, PeerTable};
use settings::ProtocolNames;
use sync_protocol::PendingExchanges;

/// One node's place in the network. Dropping it closes every connection.
pub struct Net {
    swarm: Swarm<Protocols>,
    listeners: Listeners,
    names: ProtocolNames,
    peers: PeerTable,
    exchanges: PendingExchanges,
    dialer: Dialer,
    blocks: BlockList,
    pace: NetTiming,
    /// Events that `next` hands out before it polls the swarm; each call adds at most a few for a
    /// neighbour.
    ready: VecDeque<NetEvent>,
    ranges: RangeNumbers,
    told_peers: BTreeMap<NeighbourId, Origin>,
    told_names: Option<(String, NameFault)>,
    ticks: Interval,
    last_tick: Instant,
    next_heartbeat: Instant,
}

/// An event of the network.
pub enum NetEvent {
    /// Something that the engine decides on: an envelope ([`Net::report_validation`] it within four
    /// seconds, or it is not passed on: gossipsub keeps it for five heartbeats of one second),
    /// other neighbours, a request to catch up ([`Net::sync_respond`]) or the response to one of
    /// ours.
    ///
    /// Envelopes are what [`envelope::inspect`](crate::engine::envelope::inspect) admits and
    /// [`envelope::untimely`](crate::engine::envelope::untimely) finds nothing against, requests 1 to `LONGEST_REQUEST` and
    /// responses 1 to `LONGEST_RESPONSE`.
    Engine(Input),
    /// Others can reach us here. Without our transport key, so that it is good after a restart.
    Listening(Multiaddr),
    /// An address that we do not listen at, or not for a moment: the reason. One whose socket failed is
    /// tried again.
    ListenFailed(
        #[cfg_attr(
            not(feature = "inside"),
            expect(dead_code, reason = "for tests: it may name an address")
        )]
        String,
    ),
    /// A dial was answered: this address is worth remembering. Without the peer's transport key.
    Reached(Multiaddr),
    /// A dial failed. It is made again later if the address was configured, or has not failed too
    /// often.
    DialFailed {
        /// The address that was dialled.
        #[cfg_attr(
            not(feature = "inside"),
            expect(dead_code, reason = "for tests: no log names it")
        )]
        address: Multiaddr,
        /// The kind of failure.
        kind: DialFailure,
    },
    /// A name in a configured address cannot be looked up, and why; `None` when all can again. It is
    /// retried.
    Names(Option<(String, NameFault)>),
    /// This node closed all connections to a neighbour.
    Disconnected {
        /// The neighbour.
        #[cfg_attr(
            not(feature = "inside"),
            expect(dead_code, reason = "for tests: no log names it")
        )]
        from: NeighbourId,
        /// Its fault or omission.
        why: DisconnectReason,
    },
}

opaque_debug!(
    enum NetEvent {
        Engine,
        Listening,
        ListenFailed,
        Reached,
        DialFailed,
        Names,
        Disconnected,
    }
);

/// The reason that a dial failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialFailure {
    /// No answer; the peer may be back later.
    #[error("nothing answers at this address")]
    Unreachable,
    /// The name in the address is not known; it is looked up again.
    #[error("the name in the address was not looked up: {0}")]
    Nameless(NameFault),
    /// An answer under another transport key: the peer restarted, or is another one. Leave
    /// `/p2p/..` away to accept any key.
    #[error("the peer at this address has another transport key")]
    OtherKey,
    /// The address is our own.
    #[error("this is our own address")]
    Ourselves,
    /// An answer of a peer that does not take part in this network. Check the network's name and
    /// floor.
    #[error("the peer at this address is not in this network")]
    OtherNetwork,
    /// A limit or a block of our own forbids it for the moment.
    #[error("a limit or block of this node forbids it")]
    Forbidden,
    /// No transport here knows this kind of address. Correct it.
    #[error("this kind of address is not supported")]
    BadAddress,
}

/// The reason that this node disconnected a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// It passed on too many envelopes that it should have rejected itself. It is blocked.
    Misbehaved,
    /// It gave signs of life on its gossip stream and stopped. It is dialled again if this node
    /// dialled it.
    Silent,
    /// It never joined the flood.
    NeverJoined,
    /// It does not answer pings.
    Unresponsive,
    /// It took next to nothing of what was sent to it. It is dialled again if this node dialled it.
    Stalled,
    /// All places were taken, and it was neither useful nor here for longest. It may come back.
    MadeRoom,
}

/// The outcome of publishing an envelope of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// On its way to at least one neighbour.
    Sent,
    /// It is in the flood already, by us or by others.
    Known,
    /// No neighbour to send it to; nothing was done. Try again when [`Input::Peers`] comes.
    NoPeers,
    /// The send queues of all neighbours are full. Gossipsub announces its id to some of them
    /// later; publishing it again has no effect for two minutes.
    Congested,
    /// Longer than any neighbour would take.
    TooLong,
}

/// The reason that the network could not be joined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The address is taken or is none of this machine: correct it, or end the other program.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The configured address.
        address: Multiaddr,
        /// The system's message.
        reason: String,
    },
    /// Multicast DNS does not work here: do without.
    #[error("cannot find peers on the local network: {0}")]
    Lan(String),
    /// A protocol refused its settings: a fault in this program.
    #[error("a protocol cannot be set up: {0}")]
    Protocol(String),
}

impl Net {
    /// Joins the network under a fresh transport key. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the system lacks what a protocol needs.
    pub fn new(settings: NetSettings) -> Result<Self, NetError> {
        let key = identity::Keypair::generate_ed25519();
        let names = ProtocolNames::new(&settings.network, settings.floor_bits);
        let ranges = RangeNumbers::new();
        let protocols = Protocols::new(&key, &names, ranges.clone(), &settings)?;
        let links = transport::build_transport(&settings, &key, ranges.clone())?;
        let links = DoorTransport::new(links, ranges.clone(), &settings.limits, &settings.pace);
        let config = swarm::Config::with_tokio_executor()
            // A peer that does not join is disconnected by `disconnect_overdue`, which says why.
            // The swarm's own timeout comes later, and never for a neighbour in the flood:
            // gossipsub's open streams keep its connection alive.
            .with_idle_connection_timeout(settings.pace.join.saturating_mul(2));
        let now = Instant::now();
        let mut dialer = Dialer::new(&settings.pace);
        for address in settings.peers {
            dialer.add(address, AddressOrigin::Configured, now);
        }
        let mut ticks = tokio::time::interval(settings.pace.tick);
        // After a pause the missed ticks do not all come at once: each would dial and disconnect.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut net = Self {
            swarm: Swarm::new(links.boxed(), protocols, key.public().to_peer_id(), config),
            listeners: Listeners::default(),
            names,
            peers: PeerTable::new(),
            exchanges: PendingExchanges::default(),
            dialer,
            blocks: BlockList::default(),
            pace: settings.pace,
            ready: VecDeque::new(),
            ranges,
            told_peers: BTreeMap::new(),
            told_names: None,
            ticks,
            last_tick: now,
            next_heartbeat: now,
        };
        net.listen(settings.listen)?;
        Ok(net)
    }

    /// The next event. The network moves only while this is polled; dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> NetEvent {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm(event),
                now = self.ticks.tick() => self.on_tick(now),
            }
            // After every event, because many of them change the neighbours: comparing at one place
            // misses none and reports a change once.
            self.tell_peers();
        }
    }

    /// Gives an envelope of ours to the flood.
    pub fn publish(&mut self, bytes: Vec<u8>) -> PublishOutcome {
        // Checked here, because gossipsub's own limit is far above it (`frame::FRAME`), and
        // neighbours would count the envelope against us.
        if bytes.len() > MAX_ENVELOPE_SIZE {
            return PublishOutcome::TooLong;
        }
        match self.swarm.behaviour_mut().gossip.publish_envelope(bytes) {
            Ok(()) => PublishOutcome::Sent,
            Err(gossipsub::PublishError::Duplicate) => PublishOutcome::Known,
            // This leaves no trace in gossipsub: publishing again works.
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => PublishOutcome::NoPeers,
            // The id is in gossipsub's cache by now: publishing again answers `Duplicate`.
            Err(gossipsub::PublishError::AllQueuesFull(_)) => PublishOutcome::Congested,
            // None of these can happen: the length is checked above, and nothing is signed or
            // transformed. The outcome that ends an envelope for good is the safe one.
            Err(
                gossipsub::PublishError::MessageTooLarge
                | gossipsub::PublishError::SigningError(_)
                | gossipsub::PublishError::TransformFailed(_),
            ) => PublishOutcome::TooLong,
        }
    }

    /// Whether an envelope may wait here for a neighbour: it was given to all, and one has not taken it.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.swarm.behaviour().gossip.has_backlog()
    }

    /// The engine's verdict on an envelope. Accepted ones are passed on; each rejected one counts
    /// against its carrier, which is blocked when they are too many.
    pub fn report_validation(&mut self, from: NeighbourId, id: EnvelopeId, acceptance: Acceptance) {
        // Forgotten, a thousand others having left since: without its `PeerId` gossipsub takes no
        // verdict.
        let Some(peer) = self.peers.named(from) else { return };
        let verdict = match acceptance {
            Acceptance::Accept => gossipsub::MessageAcceptance::Accept,
            Acceptance::Ignore => gossipsub::MessageAcceptance::Ignore,
            Acceptance::Reject => gossipsub::MessageAcceptance::Reject,
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.report_verdict(&peer, id, verdict) {
            tracing::debug!("a validation result came too late");
        }
        match acceptance {
            // Work was paid for it and nobody had brought it before: what every node sees alike.
            Acceptance::Accept => self.swarm.behaviour_mut().door.brought(peer, Instant::now()),
            Acceptance::Ignore => {}
            // Gossipsub's score alone would only ignore such a carrier: it never disconnects one.
            Acceptance::Reject => self.count_invalid(from),
        }
    }

    /// Sends a request to a neighbour. Exactly one [`Input::SyncResponse`] with this `id` follows:
    /// without bytes if the neighbour is not in the flood, does not speak the protocol, does not
    /// answer in time, or has too many requests of ours already.
    pub fn sync_request(&mut self, to: NeighbourId, id: SyncRequestId, bytes: Vec<u8>) {
        // A neighbour outside the flood is about to be disconnected, or not of this network.
        let peer = self.peers.named(to).filter(|peer| self.peers.insider(peer).is_some());
        let behaviour = &mut self.swarm.behaviour_mut().sync;
        if !peer.is_some_and(|peer| self.exchanges.request(behaviour, peer, id, bytes)) {
            tracing::debug!("a request to catch up was not sent");
            // Answered at once: the engine waits for exactly one response to each request.
            self.ready.push_back(NetEvent::Engine(Input::SyncResponse { id, bytes: None }));
        }
    }

    /// Sends the response to a neighbour's request. Empty `bytes`, or more than it would read,
    /// refuse; nothing is sent if the time of the request is up or the neighbour has left.
    pub fn sync_respond(&mut self, id: SyncResponseId, bytes: Vec<u8>) {
        self.exchanges.respond(&mut self.swarm.behaviour_mut().sync, id, bytes);
    }

    /// Counts a breach of an exchange's rules against a neighbour, like a rejected envelope.
    pub fn penalize(&mut self, peer: NeighbourId) {
        self.count_invalid(peer);
    }

    /// Adds an address that was learnt, to be dialled while neighbours are lacking.
    pub fn add_peer(&mut self, address: Multiaddr) {
        self.dialer.add(address, AddressOrigin::Heard, Instant::now());
    }

    /// The addresses at which others can reach us, each with our transport key at the end.
    #[cfg(feature = "inside")]
    #[must_use]
    pub fn addresses(&self) -> Vec<Multiaddr> {
        let us = libp2p::multiaddr::Protocol::P2p(*self.swarm.local_peer_id());
        self.swarm.listeners().map(|address| address.clone().with(us.clone())).collect()
    }

    /// Gossipsub's score of a neighbour; none if it is not connected.
    #[cfg(feature = "inside")]
    #[must_use]
    pub fn score(&self, peer: NeighbourId) -> Option<f64> {
        self.swarm.behaviour().gossip.peer_score(&self.peers.named(peer)?)
    }

    /// Whether a neighbour is in the mesh: envelopes are passed on to it.
    #[cfg(feature = "inside")]
    #[must_use]
    pub fn is_in_mesh(&self, peer: NeighbourId) -> bool {
        let mesh = |peer| self.swarm.behaviour().gossip.is_in_mesh(&peer);
        self.peers.named(peer).is_some_and(mesh)
    }

    /// The bytes that wait for a neighbour, at most.
    #[cfg(feature = "inside")]
    #[must_use]
    pub fn backlog(&self, peer: NeighbourId) -> u64 {
        let backlog = |peer| self.swarm.behaviour().gossip.backlog(&peer);
        self.peers.named(peer).map_or(0, backlog)
    }

    /// How many envelopes there are for which whoever brings a copy is remembered: those without a
    /// verdict.
    #[cfg(feature = "inside")]
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.swarm.behaviour().gossip.unsettled()
    }

    /// How many neighbours take part in the flood.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.peers.inside().len()
    }

    fn listen(&mut self, addresses: Vec<Multiaddr>) -> Result<(), NetError> {
        let failed = |address: &Multiaddr, reason| {
            let address = address.clone();
            NetError::Listen { address, reason }
        };
        // All are checked before any is bound: `::` would find our own `0.0.0.0` in its way.
        for address in &addresses {
            transport::is_free(address).map_err(|error| failed(address, io_words(&error)))?;
        }
        for address in addresses {
            // `::` is among the default addresses, so a machine without IPv6 has to start all the
            // same. An IPv6 address of a person's own choice fails below.
            if transport::is_any_ipv6(&address) && !transport::has_ipv6() {
                let why = "this machine has no IPv6".to_owned();
                self.ready.push_back(NetEvent::ListenFailed(why));
                continue;
            }
            let listener = self.swarm.listen_on(address.clone());
            let listener = listener.map_err(|error| failed(&address, reason(&error)))?;
            self.listeners.add(listener, address);
        }
        Ok(())
    }
}

/// The innermost cause with a text: libp2p's wrappers around it may print nothing.
fn reason(error: &(dyn core::error::Error + 'static)) -> String {
    core::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .filter(|text| !text.is_empty())
        .last()
        .unwrap_or_default()
}

impl Drop for Net {
    /// Ends the listeners: a memory address stays taken otherwise.
    fn drop(&mut self) {
        for listener in self.listeners.take() {
            self.swarm.remove_listener(listener);
        }
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").field("peers", &self.peers()).finish_non_exhaustive()
    }
}
