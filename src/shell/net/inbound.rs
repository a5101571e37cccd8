//! What every node refuses alike is refused before gossipsub remembers its id.
//!
//! Gossipsub computes the id of each message and remembers it as seen, in whatever topic it came,
//! and only then hands the message up. Without this module whoever says an envelope's bytes first,
//! under another topic, would cut it off: for two minutes each honest copy would be a duplicate. An
//! envelope that the engine rejects would be as bad, because each honest copy after it would count
//! against its carrier. So a foreign topic, and bytes that [`envelope::inspect`] refuses, are
//! refused where they come in, by the connection that brought them ([`super::gossip_link`]), with
//! the help of an [`Inspector`]. What is left to the engine is what nodes may differ about, and that
//! is never held against anybody.
//!
//! **Whose fault it is** the connection knows: it tells how many it refused
//! ([`GossipEvent::Refused`]), in every topic alike, so the tally of `REFUSALS` ([`super::peers`])
//! is exact.
//!
//! **One digest for each copy.** The connection computes an envelope's id, gossipsub asks for it,
//! and the engine needs it again. So the id is lent to gossipsub for as long as it deals with that
//! one message, and the transform lets nothing through while none is lent.

use core::task::{Context, Poll};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libp2p::core::{ConnectedPoint, Endpoint, transport::PortUse};
use libp2p::gossipsub::{
    self, DataTransform, Message, MessageAcceptance, MessageId, PublishError, RawMessage,
    TopicHash, WhitelistSubscriptionFilter,
};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::ConnectionEstablished;
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use sha3::{Digest as _, Sha3_256};
use tokio::time::Instant;

use crate::engine::env::UnixSeconds;
use crate::engine::envelope::{self, EnvelopeId, Floor, ValidationError};
use crate::engine::secret::opaque_debug;

use super::admissions::{Admissions, MOST};
use super::backlog::{CAUGHT_UP, Ledger};
use super::frame::{self, PassingOn};
use super::gossip_link::{FrameDecoder, FromLink, GossipLink};

/// Gossipsub that takes part in our two topics alone, and refuses what every node refuses.
pub(super) type Gossipsub = gossipsub::Behaviour<InboundCheck, WhitelistSubscriptionFilter>;

/// Gossipsub, and the count of what is refused for each neighbour.
pub(super) struct CheckedGossip {
    gossip: Gossipsub,
    inspector: Arc<Inspector>,
    /// What is not reported yet, by neighbour: one entry each, so no more than there are
    /// connections. The swarm polls between nearly all frames.
    refused: BTreeMap<PeerId, u32>,
    /// What came at the wrong time and is not reported yet.
    off_time: OffTime,
    admissions: Admissions,
    /// What waits for each neighbour, for as long as it has a connection.
    ledgers: BTreeMap<PeerId, Arc<Ledger>>,
    /// The decoder of each of them, and one of its connections.
    decoders: BTreeMap<PeerId, (ConnectionId, FrameDecoder)>,
    /// Those of them that are too far behind for the mesh.
    behind: BTreeSet<PeerId>,
    /// Neighbours that gossip cannot reach any more, not reported yet.
    dead: Vec<PeerId>,
    /// What neighbours said last of passing the flood on to us, not reported yet: one entry each.
    passing_on: BTreeMap<PeerId, PassingOn>,
}

/// What [`CheckedGossip`] tells.
pub(super) enum GossipEvent {
    /// What gossipsub tells.
    Protocol(gossipsub::Event),
    /// A neighbour brought so many messages that every node refuses.
    Refused {
        /// The neighbour.
        peer: PeerId,
        /// How many, at least 1.
        count: u32,
    },
    /// Gossip does not reach a neighbour any more, though its connection stands.
    Dead {
        /// The neighbour.
        peer: PeerId,
    },
    /// A neighbour says whether it passes the flood on to us.
    PassingOn {
        /// The neighbour.
        peer: PeerId,
        /// What it says.
        said: PassingOn,
    },
}

opaque_debug!(
    enum GossipEvent {
        Protocol,
        Refused,
        Dead,
        PassingOn,
    }
);

impl CheckedGossip {
    /// Puts `gossip`, whose transform and id function are of this `inspector`, under count.
    pub(super) fn new(gossip: Gossipsub, inspector: Arc<Inspector>) -> Self {
        Self {
            gossip,
            inspector,
            refused: BTreeMap::new(),
            off_time: OffTime::default(),
            admissions: Admissions::new(MOST),
            ledgers: BTreeMap::new(),
            decoders: BTreeMap::new(),
            behind: BTreeSet::new(),
            dead: Vec::new(),
            passing_on: BTreeMap::new(),
        }
    }

    /// Gives an envelope of ours to those that others' are passed on to, the mesh: to all neighbours
    /// in the flood but those that are too far behind, in the mesh still or not.
    ///
    /// Gossipsub would add these, and they would get nothing from us but what is our own. With no mesh
    /// at all it still does: whatever this node sends is its own then, and whoever it may send it to
    /// knows.
    ///
    /// # Errors
    /// Gossipsub's.
    pub(super) fn publish_envelope(&mut self, bytes: Vec<u8>) -> Result<(), PublishError> {
        let topic = self.inspector.flood.clone();
        let mut served = self.mesh();
        served.retain(|peer| !self.is_behind(*peer));
        for (peer, ledger) in &self.ledgers {
            if served.is_empty() || served.contains(peer) {
                ledger.hand(bytes.len());
            } else {
                // There is no other way to say who is left out. It lasts for this one call.
                self.gossip.set_application_score(peer, UNPUBLISHED);
            }
        }
        let named = EnvelopeId::of(&bytes).map(|id| (id, bytes.len()));
        let published = self.gossip.publish(topic, bytes);
        self.score();
        // With other errors gossipsub does not remember it.
        if let (Some(named), Ok(_) | Err(PublishError::AllQueuesFull(_))) = (named, &published) {
            self.admissions.publish(named, Instant::now());
        }
        published.map(|_| ())
    }

    /// The engine's verdict on an envelope that a neighbour brought. Whether it came in time.
    pub(super) fn report_verdict(
        &mut self,
        peer: &PeerId,
        id: EnvelopeId,
        verdict: MessageAcceptance,
    ) -> bool {
        if matches!(verdict, MessageAcceptance::Accept) {
            let size = self.admissions.size(&id).unwrap_or_default();
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            for other in self.mesh() {
                let is_left_out = self.is_behind(other) && self.leave_out(other, &id);
                if let Some(ledger) = self.ledgers.get(&other).filter(|_| !is_left_out) {
                    ledger.hand(size);
                }
            }
        }
        self.admissions.settle(&id);
        self.gossip.report_message_validation_result(&MessageId::new(&id.0), peer, verdict)
    }

    fn mesh(&self) -> BTreeSet<PeerId> {
        self.gossip.mesh_peers(&self.inspector.flood).copied().collect()
    }

    /// Whether a neighbour is too far behind. Then it is so until it has left the mesh, which it is told:
    /// it has missed something, and catches up.
    fn is_behind(&mut self, peer: PeerId) -> bool {
        if self.ledgers.get(&peer).is_some_and(|ledger| ledger.is_behind()) {
            self.behind.insert(peer);
        }
        self.behind.contains(&peer)
    }

    /// Has gossipsub not pass an envelope on to a neighbour, as if that had said that it wants no copy.
    /// For it leaves the mesh at a heartbeat, and until then as much would be queued for it as others
    /// bring in a second. Returns whether it is left out: not before it has opened a stream.
    fn leave_out(&mut self, peer: PeerId, id: &EnvelopeId) -> bool {
        let Some((connection, decoder)) = self.decoders.get(&peer) else { return false };
        let Some(event) = decoder.event_of(&frame::unwanted(&id.0)) else { return false };
        self.gossip.on_connection_handler_event(peer, *connection, event);
        true
    }

    /// Has whoever is far behind leave the mesh at gossipsub's next heartbeat, and lets whoever has
    /// caught up come back.
    pub(super) fn weigh(&mut self) {
        let mesh = self.mesh();
        for (peer, ledger) in &self.ledgers {
            if ledger.is_behind() {
                self.behind.insert(*peer);
            } else if ledger.backlog() <= CAUGHT_UP && !mesh.contains(peer) {
                self.behind.remove(peer);
            }
        }
        self.score();
    }

    /// Tells gossipsub who is to be in no mesh. Of all, for it may remember a neighbour that has come
    /// back.
    fn score(&mut self) {
        for peer in self.ledgers.keys() {
            let score = if self.behind.contains(peer) { OUT_OF_MESH } else { 0.0 };
            self.gossip.set_application_score(peer, score);
        }
    }

    /// Whether an envelope may wait for a neighbour.
    pub(super) fn has_backlog(&self) -> bool {
        self.ledgers.values().any(|ledger| ledger.backlog() > 0)
    }

    /// Whether envelopes are passed on to a neighbour.
    #[cfg(feature = "inside")]
    pub(super) fn is_in_mesh(&self, peer: &PeerId) -> bool {
        self.gossip.mesh_peers(&self.inspector.flood).any(|of_mesh| of_mesh == peer)
    }

    /// The bytes that wait for a neighbour, at most.
    #[cfg(feature = "inside")]
    pub(super) fn backlog(&self, peer: &PeerId) -> u64 {
        self.ledgers.get(peer).map_or(0, |ledger| ledger.backlog())
    }

    /// How many envelopes there are whose further carriers are remembered.
    #[cfg(feature = "inside")]
    pub(super) fn unsettled(&self) -> usize {
        self.admissions.unsettled()
    }

    fn link(&mut self, whose: (PeerId, ConnectionId), inner: THandler<Gossipsub>) -> GossipLink {
        let (peer, connection) = whose;
        let ledger = Arc::clone(self.ledgers.entry(peer).or_default());
        let fresh = || (connection, FrameDecoder::default());
        let decoder = self.decoders.entry(peer).or_insert_with(fresh).1.clone();
        GossipLink::new(inner, Arc::clone(&self.inspector), ledger, decoder)
    }

    /// What came at the wrong time since this was asked last.
    pub(super) fn take_off_time(&mut self) -> OffTime {
        core::mem::take(&mut self.off_time)
    }
}

/// The part of a neighbour's score that puts it out of the mesh: with the best that a score can be
/// otherwise (`behaviour::scores`, 5) below 0, and alone above what has any other consequence.
pub(super) const OUT_OF_MESH: f64 = -8.0;

/// The part of a neighbour's score at which it is handed nothing of ours: far below gossipsub's
/// threshold for that, whatever else its score is made of.
const UNPUBLISHED: f64 = -1_000.0;

/// Envelopes that came at the wrong time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OffTime {
    /// Past their time.
    pub(super) expired: u64,
    /// Too far in the future.
    pub(super) early: u64,
}

impl OffTime {
    /// Counts one refused for this reason.
    pub(super) const fn count(&mut self, why: ValidationError) {
        if matches!(why, ValidationError::TooFarInFuture) {
            self.early += 1;
        } else {
            self.expired += 1;
        }
    }

    const fn add(&mut self, other: Self) {
        self.expired = self.expired.saturating_add(other.expired);
        self.early = self.early.saturating_add(other.early);
    }
}

impl core::ops::Deref for CheckedGossip {
    type Target = Gossipsub;

    fn deref(&self) -> &Gossipsub {
        &self.gossip
    }
}

impl core::ops::DerefMut for CheckedGossip {
    fn deref_mut(&mut self) -> &mut Gossipsub {
        &mut self.gossip
    }
}

impl NetworkBehaviour for CheckedGossip {
    type ConnectionHandler = GossipLink;
    type ToSwarm = GossipEvent;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.gossip.handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let inner =
            self.gossip.handle_established_inbound_connection(connection, peer, local, remote)?;
        Ok(self.link((peer, connection), inner))
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.gossip.handle_pending_outbound_connection(connection, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let inner = self
            .gossip
            .handle_established_outbound_connection(connection, peer, address, role, port)?;
        Ok(self.link((peer, connection), inner))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "libp2p's enum, open to new variants")]
    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                let endpoint = &nowhere(event.endpoint);
                let event = ConnectionEstablished { endpoint, ..event };
                self.gossip.on_swarm_event(FromSwarm::ConnectionEstablished(event));
            }
            FromSwarm::ConnectionClosed(event) => {
                if event.remaining_established == 0 {
                    self.ledgers.remove(&event.peer_id);
                    self.decoders.remove(&event.peer_id);
                    self.behind.remove(&event.peer_id);
                }
                let endpoint = &nowhere(event.endpoint);
                let event = ConnectionClosed { endpoint, ..event };
                self.gossip.on_swarm_event(FromSwarm::ConnectionClosed(event));
            }
            // It would keep the new address, and does nothing else with it.
            FromSwarm::AddressChange(_) => {}
            event => self.gossip.on_swarm_event(event),
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {
            FromLink::Protocol(event) => {
                self.gossip.on_connection_handler_event(peer, connection, event);
            }
            FromLink::Envelope { event, id, size } => {
                if self.admissions.admit(peer, (id, size), Instant::now()) {
                    self.inspector.lend(Some(id));
                    self.gossip.on_connection_handler_event(peer, connection, event);
                    self.inspector.lend(None);
                }
            }
            FromLink::Dead => self.dead.push(peer),
            FromLink::PassingOn(said) => drop(self.passing_on.insert(peer, said)),
            FromLink::Left { refused, off_time } => {
                if refused > 0 {
                    let count = self.refused.entry(peer).or_default();
                    *count = count.saturating_add(refused);
                }
                self.off_time.add(off_time);
            }
        }
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ToSwarm<GossipEvent, THandlerInEvent<Self>>> {
        if let Some((peer, count)) = self.refused.pop_first() {
            return Poll::Ready(ToSwarm::GenerateEvent(GossipEvent::Refused { peer, count }));
        }
        if let Some(peer) = self.dead.pop() {
            return Poll::Ready(ToSwarm::GenerateEvent(GossipEvent::Dead { peer }));
        }
        let polled = self.gossip.poll(context);
        // After what gossipsub tells: that somebody joined comes before what it said then.
        if polled.is_pending()
            && let Some((peer, said)) = self.passing_on.pop_first()
        {
            return Poll::Ready(ToSwarm::GenerateEvent(GossipEvent::PassingOn { peer, said }));
        }
        polled.map(|event| event.map_out(GossipEvent::Protocol))
    }
}

/// An endpoint without its addresses. Gossipsub would remember each IP address that ever came, with
/// an empty set for it once it has left, and for ever (`peer_ips`, gossipsub 0.50); it counts nothing by
/// them that is used here (`behaviour`, P6).
fn nowhere(endpoint: &ConnectedPoint) -> ConnectedPoint {
    let nowhere = || Multiaddr::from(Protocol::Memory(0));
    match *endpoint {
        ConnectedPoint::Dialer { address: _, role_override, port_use } => {
            ConnectedPoint::Dialer { address: nowhere(), role_override, port_use }
        }
        ConnectedPoint::Listener { local_addr: _, send_back_addr: _ } => {
            ConnectedPoint::Listener { local_addr: nowhere(), send_back_addr: nowhere() }
        }
    }
}

/// Gossipsub's inbound transform: changes nothing, and lets through what an [`Inspector`] lends the id
/// of.
pub(super) struct InboundCheck(pub(super) Arc<Inspector>);

impl DataTransform for InboundCheck {
    fn inbound_transform(&self, message: RawMessage) -> io::Result<Message> {
        let RawMessage { source, data, sequence_number, topic, .. } = message;
        if self.0.lent().is_some() {
            Ok(Message { source, data, sequence_number, topic })
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        Ok(data)
    }
}

/// Looks at messages before gossipsub does, and gives them their ids.
pub(super) struct Inspector {
    flood: TopicHash,
    floor: Floor,
    wall: fn() -> UnixSeconds,
    /// The id of the message that gossipsub is handed at this moment. The transform and the id
    /// function are called with shared references, one after the other.
    lent: Mutex<Option<EnvelopeId>>,
}

impl Inspector {
    /// Looks at messages for a network with this topic and floor, by this clock.
    pub(super) fn new(flood: TopicHash, floor: Floor, wall: fn() -> UnixSeconds) -> Self {
        Self { flood, floor, wall, lent: Mutex::default() }
    }

    /// The name of the topic of envelopes.
    pub(super) fn flood(&self) -> &[u8] {
        self.flood.as_str().as_bytes()
    }

    /// What is to be done with a message.
    pub(super) fn look(&self, topic: &[u8], data: &[u8]) -> Look {
        // Nothing is carried in any other topic, our own of the signs of life included.
        if topic != self.flood() {
            return Look::Refused;
        }
        let Ok(id) = envelope::inspect(data, &self.floor) else { return Look::Refused };
        // After the work: what our clock says is told only to those who paid for it.
        envelope::untimely(data, (self.wall)()).map_or(Look::Admitted(id), Look::OffTime)
    }

    /// The gossipsub id of a message (`proto/network.md`, "Messages"): the envelope's id for an
    /// envelope in the flood, [`other_id`] for anything else.
    pub(super) fn message_id(&self, message: &Message) -> MessageId {
        let Message { source: _, data, sequence_number: _, topic } = message;
        // None is lent for an envelope of our own.
        let envelope =
            (*topic == self.flood).then(|| self.lent().or_else(|| EnvelopeId::of(data))).flatten();
        MessageId::new(&envelope.map_or_else(|| other_id(topic, data), |id| id.0))
    }

    /// Lends an id, until none is lent again.
    fn lend(&self, id: Option<EnvelopeId>) {
        *self.guard() = id;
    }

    fn lent(&self) -> Option<EnvelopeId> {
        *self.guard()
    }

    fn guard(&self) -> MutexGuard<'_, Option<EnvelopeId>> {
        // Written in one step, so whoever panicked holding it left it good.
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be done with a message.
#[derive(Clone, Copy)]
pub(super) enum Look {
    /// It is an envelope in the flood with this id, in time: gossipsub gets it.
    Admitted(EnvelopeId),
    /// It is one, at the wrong time. It is left out and not remembered, and nobody is blamed: work
    /// does not go stale, so expired envelopes cost whoever recorded them nothing.
    OffTime(ValidationError),
    /// No node carries it.
    Refused,
}

opaque_debug!(
    enum Look {
        Admitted,
        OffTime,
        Refused,
    }
);

/// The id of a message that is no envelope in the flood: SHA3-256(length of the topic | topic |
/// length of the data | its first 64 bytes), lengths as u32, little-endian.
///
/// Another function than that of envelopes: what an envelope's work is hashed from (`H | 24 zeros |
/// nonce`) is itself 64 bytes that anybody can send, and would take the envelope's name.
fn other_id(topic: &TopicHash, data: &[u8]) -> [u8; 32] {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let topic = topic.as_str().as_bytes();
    Sha3_256::new()
        .chain_update(length(topic))
        .chain_update(topic)
        .chain_update(length(data))
        .chain_update(data.get(..64).unwrap_or(data))
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use libp2p::core::Endpoint;
    use libp2p::core::transport::PortUse;

    use super::*;

    use crate::engine::env::UnixSeconds;
    use crate::engine::envelope::wire::MAX_ENVELOPE_SIZE;
    use crate::engine::envelope::{Draft, Lifetime, Topic, WorkNonce};
    use crate::engine::testing::mutate::{Reading, each_case};

    const FLOOD: &str = "/undertone/2/main/8";
    const BEAT: &str = "/undertone/2/main/8/beat";
    const FLOOR: Floor = Floor::new(8);
    const NOW: u64 = 1_700_000_000;

    fn inspector() -> Inspector {
        Inspector::new(TopicHash::from_raw(FLOOD), FLOOR, || UnixSeconds(NOW))
    }

    fn draft(data: &[u8]) -> Draft {
        Draft::new(UnixSeconds(NOW), Lifetime::Day, Topic([7; 4]), data.to_vec()).unwrap()
    }

    fn envelope(data: &[u8]) -> Vec<u8> {
        draft(data).mine(&FLOOR, 0).unwrap().1
    }

    fn message(topic: &str, data: &[u8]) -> Message {
        let (topic, data) = (TopicHash::from_raw(topic), data.to_vec());
        Message { source: None, data, sequence_number: None, topic }
    }

    fn id(topic: &str, data: &[u8]) -> Vec<u8> {
        inspector().message_id(&message(topic, data)).0
    }

    fn admits(inspector: &Inspector, topic: &str, data: &[u8]) -> bool {
        matches!(inspector.look(topic.as_bytes(), data), Look::Admitted(_))
    }

    /// H, 24 zeros and the nonce of an envelope: what its id is the Keccak-256 of.
    fn work_block(data: &[u8]) -> Vec<u8> {
        let nonce = envelope::Envelope::decode(&envelope(data)).unwrap().nonce.0;
        [draft(data).digest().as_slice(), &[0; 24], &nonce.to_be_bytes()].concat()
    }

    #[test]
    fn an_envelope_in_the_flood_is_named_by_its_own_id() {
        let bytes = envelope(b"an envelope");
        let own = EnvelopeId::of(&bytes).unwrap();
        assert_eq!(id(FLOOD, &bytes), own.0);
        let look = inspector().look(FLOOD.as_bytes(), &bytes);
        assert!(matches!(look, Look::Admitted(id) if id == own), "{look:?}");
    }

    #[test]
    fn nothing_but_an_envelope_in_the_flood_gets_its_name() {
        let bytes = envelope(b"an envelope");
        let own = EnvelopeId::of(&bytes).unwrap().0;
        let block = work_block(b"an envelope");
        assert_eq!(block.len(), 64);
        assert_eq!(sha3::Keccak256::digest(&block).as_slice(), own, "it is the envelope's block");
        let longer = [bytes.as_slice(), &[0]].concat();
        for other in ["", "x", BEAT, "/undertone/1/main/8", "/undertone/2/main/9"] {
            for data in [&bytes, &block, &longer, &Vec::new()] {
                assert_ne!(id(other, data), own, "{other:?}, {} bytes", data.len());
            }
        }
        for data in [&block, &longer, &Vec::new()] {
            assert_ne!(id(FLOOD, data), own, "in the flood, {} bytes", data.len());
        }
        // Nor in another topic while the envelope's id is lent.
        let inspector = inspector();
        inspector.lend(Some(EnvelopeId(own)));
        assert_ne!(inspector.message_id(&message(BEAT, &bytes)).0, own);
    }

    #[test]
    fn messages_are_named_as_the_vectors_say() {
        let vectors = include_str!("../../../tests/vectors/envelope.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let flood = vectors["flood_topic"].as_str().unwrap();
        let inspector = Inspector::new(TopicHash::from_raw(flood), FLOOR, || UnixSeconds(NOW));
        let messages = vectors["message_ids"].as_array().unwrap();
        assert!(messages.len() > 10, "{}", messages.len());
        for vector in messages {
            let text = |field: &str| vector[field].as_str().unwrap();
            let data = HEXLOWER.decode(text("data").as_bytes()).unwrap();
            let id = inspector.message_id(&message(text("topic"), &data)).0;
            assert_eq!(HEXLOWER.encode(&id), text("id"), "{}", text("about"));
        }
    }

    #[test]
    fn other_messages_are_named_by_topic_length_and_first_64_bytes() {
        let data: Vec<u8> = (0..65).collect();
        let other_end = [&data[..64], &[0]].concat();
        assert_eq!(id("x", &data), id("x", &other_end));
        assert_ne!(id("x", &data), id("x", &data[..64]), "the length counts");
        assert_ne!(id("xa", b"b"), id("x", b"ab"), "and where the topic ends");
    }

    #[test]
    fn what_every_node_refuses_is_refused() {
        let bytes = envelope(b"an envelope");
        let finished = |nonce| draft(b"an envelope").finish(WorkNonce(nonce)).1;
        let mut unpaid = (0..).map(finished);
        let spoiled = unpaid.find(|bytes| envelope::inspect(bytes, &FLOOR).is_err()).unwrap();
        let bad = [
            (FLOOD, Vec::new()),
            (FLOOD, work_block(b"an envelope")),
            (FLOOD, [bytes.as_slice(), &[0]].concat()),
            (FLOOD, spoiled),
            (FLOOD, vec![0; MAX_ENVELOPE_SIZE + 1]),
            (BEAT, bytes.clone()),
            (BEAT, Vec::new()),
            ("", bytes.clone()),
            ("/undertone/1/main/8", bytes.clone()),
            ("/undertone/2/main/9", bytes.clone()),
        ];
        let inspector = inspector();
        for (topic, data) in bad {
            assert!(!admits(&inspector, topic, &data), "{topic}, {} bytes", data.len());
            assert!(admits(&inspector, FLOOD, &bytes), "and what follows it is let through");
        }
    }

    #[test]
    fn what_comes_at_the_wrong_time_is_told_from_what_is_refused_once_its_work_is_shown() {
        let at = |now| {
            let flood = TopicHash::from_raw(FLOOD);
            match now {
                Now::Before => Inspector::new(flood, FLOOR, || UnixSeconds(NOW - 90_000)),
                Now::After => Inspector::new(flood, FLOOR, || UnixSeconds(NOW + 180_000)),
            }
        };
        let bytes = envelope(b"an envelope");
        let spoiled = [bytes.as_slice(), &[0]].concat();
        for (now, error) in
            [(Now::Before, ValidationError::TooFarInFuture), (Now::After, ValidationError::Expired)]
        {
            let look = at(now).look(FLOOD.as_bytes(), &bytes);
            assert!(matches!(look, Look::OffTime(why) if why == error), "{look:?}");
            let look = at(now).look(FLOOD.as_bytes(), &spoiled);
            assert!(matches!(look, Look::Refused), "{look:?}");
            let look = at(now).look(BEAT.as_bytes(), &bytes);
            assert!(matches!(look, Look::Refused), "{look:?}");
        }
    }

    #[derive(Clone, Copy)]
    enum Now {
        Before,
        After,
    }

    #[test]
    fn an_id_that_is_lent_is_not_computed_again() {
        let (inspector, bytes) = (inspector(), envelope(b"an envelope"));
        // An id that no digest would give: whoever answers with it has computed none.
        let marked = EnvelopeId([9; 32]);
        inspector.lend(Some(marked));
        assert_eq!(inspector.message_id(&message(FLOOD, &bytes)).0, marked.0);
        inspector.lend(None);
        assert_eq!(
            inspector.message_id(&message(FLOOD, &bytes)).0,
            EnvelopeId::of(&bytes).unwrap().0
        );
    }

    #[test]
    fn debug_of_an_event_shows_neither_neighbour_nor_message() {
        let refused = GossipEvent::Refused { peer: PeerId::random(), count: 3 };
        assert_eq!(format!("{refused:?}"), "GossipEvent::Refused");
        assert_eq!(format!("{:?}", Look::Refused), "Look::Refused");
    }

    #[test]
    fn the_transform_hands_on_what_an_id_is_lent_for_unchanged_and_nothing_else() {
        let bytes = envelope(b"an envelope");
        let check = InboundCheck(Arc::new(inspector()));
        let raw = |topic: &str| RawMessage {
            source: None,
            data: bytes.clone(),
            sequence_number: None,
            topic: TopicHash::from_raw(topic),
            signature: None,
            key: None,
            validated: false,
        };
        assert!(check.inbound_transform(raw(FLOOD)).is_err());
        check.0.lend(EnvelopeId::of(&bytes));
        assert_eq!(check.inbound_transform(raw(FLOOD)).unwrap(), message(FLOOD, &bytes));
        let sent = check.outbound_transform(&TopicHash::from_raw(FLOOD), bytes.clone());
        assert_eq!(sent.unwrap(), bytes);
    }

    #[test]
    fn changed_at_random_a_message_is_named_by_its_id_if_it_is_admitted_and_by_no_envelopes_if_not()
    {
        let inspector = inspector();
        let seeds = [&b""[..], b"an envelope", &[7; 300]].map(envelope);
        each_case(&seeds, |data| {
            let admitted = admits(&inspector, FLOOD, data);
            assert!(!admits(&inspector, BEAT, data));
            let (id, own) = (inspector.message_id(&message(FLOOD, data)).0, EnvelopeId::of(data));
            let other = inspector.message_id(&message(BEAT, data)).0;
            assert!(own.is_none_or(|own| own.0.as_slice() == id && own.0.as_slice() != other));
            assert!(own.is_some() || !admitted);
            if admitted { Reading::Taken } else { Reading::Refused }
        });
    }

    #[test]
    fn gossipsub_is_told_no_address_of_a_neighbour() {
        let address = || "/ip4/192.0.2.7/tcp/4001".parse::<Multiaddr>().unwrap();
        let endpoints = [
            ConnectedPoint::Dialer {
                address: address(),
                role_override: Endpoint::Dialer,
                port_use: PortUse::New,
            },
            ConnectedPoint::Listener { local_addr: address(), send_back_addr: address() },
        ];
        for endpoint in endpoints {
            let told = nowhere(&endpoint);
            assert_eq!(told.is_dialer(), endpoint.is_dialer());
            assert!(!format!("{told:?}").contains("192.0.2.7"), "{told:?}");
        }
    }
}
