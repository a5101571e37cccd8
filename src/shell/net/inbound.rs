//! What every node refuses alike is refused before gossipsub remembers its id.
//!
//! Gossipsub computes the id of each message and remembers it as seen, in whatever topic it came,
//! and only then hands the message up. Without this module whoever says an envelope's bytes first,
//! under another topic, would cut it off: for ten minutes each honest copy would be a duplicate. An
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
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libp2p::core::{Endpoint, transport::PortUse};
use libp2p::gossipsub::{
    self, DataTransform, Message, MessageId, RawMessage, TopicHash, WhitelistSubscriptionFilter,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use sha3::{Digest as _, Sha3_256};

use crate::engine::envelope::{self, EnvelopeId, Floor};
use crate::engine::secret::opaque_debug;

use super::gossip_link::{FromLink, GossipLink};

/// Gossipsub that takes part in our two topics alone, and refuses what every node refuses.
pub(super) type Gossipsub = gossipsub::Behaviour<InboundCheck, WhitelistSubscriptionFilter>;

/// Gossipsub, and the count of what is refused for each neighbour.
pub(super) struct CheckedGossip {
    gossip: Gossipsub,
    inspector: Arc<Inspector>,
    /// What is not reported yet, by neighbour: one entry each, so no more than there are
    /// connections. The swarm polls between nearly all frames.
    refused: BTreeMap<PeerId, u32>,
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
}

opaque_debug!(
    enum GossipEvent {
        Protocol,
        Refused,
    }
);

impl CheckedGossip {
    /// Puts `gossip`, whose transform and id function are of this `inspector`, under count.
    pub(super) const fn new(gossip: Gossipsub, inspector: Arc<Inspector>) -> Self {
        Self { gossip, inspector, refused: BTreeMap::new() }
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
        Ok(GossipLink::new(inner, Arc::clone(&self.inspector)))
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
        Ok(GossipLink::new(inner, Arc::clone(&self.inspector)))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.gossip.on_swarm_event(event);
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
            FromLink::Envelope { event, id } => {
                self.inspector.lend(Some(id));
                self.gossip.on_connection_handler_event(peer, connection, event);
                self.inspector.lend(None);
            }
            FromLink::Refused(count) => {
                let refused = self.refused.entry(peer).or_default();
                *refused = refused.saturating_add(count);
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
        self.gossip.poll(context).map(|event| event.map_out(GossipEvent::Protocol))
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
    /// The id of the message that gossipsub is handed at this moment. The transform and the id
    /// function are called with shared references, one after the other.
    lent: Mutex<Option<EnvelopeId>>,
}

impl Inspector {
    /// Looks at messages for a network with this topic and floor.
    pub(super) fn new(flood: TopicHash, floor: Floor) -> Self {
        Self { flood, floor, lent: Mutex::default() }
    }

    /// The id of a message that is one that nodes carry; none for any other.
    pub(super) fn inspect(&self, topic: &[u8], data: &[u8]) -> Option<EnvelopeId> {
        // Nothing is carried in any other topic, our own of the signs of life included.
        let in_flood = topic == self.flood.as_str().as_bytes();
        in_flood.then(|| envelope::inspect(data, &self.floor).ok()).flatten()
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

    use super::*;

    use crate::engine::env::UnixSeconds;
    use crate::engine::envelope::wire::MAX_ENVELOPE_SIZE;
    use crate::engine::envelope::{Draft, Lifetime, Topic, WorkNonce};
    use crate::engine::testing::mutate::{Reading, each_case};

    const FLOOD: &str = "/undertone/2/main/8";
    const BEAT: &str = "/undertone/2/main/8/beat";
    const FLOOR: Floor = Floor::new(8);

    fn inspector() -> Inspector {
        Inspector::new(TopicHash::from_raw(FLOOD), FLOOR)
    }

    fn draft(data: &[u8]) -> Draft {
        Draft::new(UnixSeconds(1_700_000_000), Lifetime::Day, Topic([7; 4]), data.to_vec()).unwrap()
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
        inspector.inspect(topic.as_bytes(), data).is_some()
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
        assert_eq!(inspector().inspect(FLOOD.as_bytes(), &bytes), Some(own));
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
        let inspector = Inspector::new(TopicHash::from_raw(flood), FLOOR);
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
}
