//! What every node refuses alike is refused here, before gossipsub remembers its id.
//!
//! Gossipsub computes the id of each message and remembers it as seen, in whatever topic it came,
//! and only then hands the message up. Without this module whoever says an envelope's bytes first,
//! under another topic, would cut it off: for ten minutes each honest copy would be a duplicate. An
//! envelope that the engine rejects would be as bad, because each honest copy after it would count
//! against its carrier. So a foreign topic, and bytes that [`envelope::inspect`] refuses, are
//! refused in gossipsub's inbound transform ([`InboundCheck`]), which it calls before it names a
//! message (`handle_received_message`, gossipsub 0.50). What is left to the engine is what nodes
//! may differ about, and that is never held against anybody.
//!
//! **Whose fault it is.** The transform is not told the neighbour, and gossipsub itself counts what
//! is refused in topics with score parameters alone, so in the flood's. Issue 11 therefore proposed
//! to part with a neighbour by its score, and a limit of its own for foreign topics. But gossipsub
//! handles a frame, with all messages in it, within one call of `on_connection_handler_event`, and
//! that call names the neighbour. [`CheckedGossip`] stands around it, counts what the transform
//! refuses during the call, and reports the count with the neighbour
//! ([`GossipEvent::Refused`]): so the tally of `REFUSALS` ([`super::peers`]) is exact, in every
//! topic alike.
//!
//! **One digest for each copy.** The transform has to compute an envelope's id, gossipsub asks for
//! it right afterwards, and the engine needs it again. So [`Inspector`] keeps the bytes it admitted
//! last with their id, which is true of them whoever asks: comparing them costs next to nothing.

use core::mem;
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

use super::peers::REFUSALS;

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
    type ConnectionHandler = THandler<Gossipsub>;
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
        self.gossip.handle_established_inbound_connection(connection, peer, local, remote)
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
        self.gossip.handle_established_outbound_connection(connection, peer, address, role, port)
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
        // Messages with an author, a number or a signature are refused before the transform.
        let signed = match &event {
            FromHandler::Message { rpc: _, invalid_messages } => invalid_messages.len(),
            FromHandler::PeerKind(_) | FromHandler::MessageDropped(_) => 0,
        };
        self.inspector.begin_frame();
        self.gossip.on_connection_handler_event(peer, connection, event);
        let signed = u32::try_from(signed).unwrap_or(u32::MAX);
        let count = self.inspector.refused_in_frame().saturating_add(signed);
        if count > 0 {
            let refused = self.refused.entry(peer).or_default();
            *refused = refused.saturating_add(count);
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

/// What a connection tells gossipsub: its type has no public name.
type FromHandler = THandlerOutEvent<Gossipsub>;

/// Gossipsub's inbound transform: changes nothing, and refuses what every node refuses.
pub(super) struct InboundCheck(pub(super) Arc<Inspector>);

impl DataTransform for InboundCheck {
    fn inbound_transform(&self, message: RawMessage) -> io::Result<Message> {
        let RawMessage { source, data, sequence_number, topic, .. } = message;
        if self.0.admits(&topic, &data) {
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
    // The transform and the id function are called with shared references, one after the other.
    notes: Mutex<Notes>,
}

/// What an [`Inspector`] remembers.
#[derive(Default)]
struct Notes {
    /// The id of `bytes`; none before the first envelope.
    id: Option<EnvelopeId>,
    /// The envelope that was admitted last. Kept to be written over, so that a copy costs no
    /// allocation; at most [`envelope::wire::MAX_ENVELOPE_SIZE`] bytes.
    bytes: Vec<u8>,
    /// Messages refused since the frame under way began.
    refused: u32,
}

impl Notes {
    /// The id of `data`, if it is what was admitted last.
    fn id_of(&self, data: &[u8]) -> Option<EnvelopeId> {
        self.id.filter(|_| self.bytes == data)
    }

    /// Whether a message is one that nodes carry. Remembers its id if it is.
    fn admit(&mut self, data: &[u8], floor: &Floor) -> bool {
        if self.id_of(data).is_some() {
            return true;
        }
        let Ok(id) = envelope::inspect(data, floor) else { return false };
        self.bytes.clear();
        self.bytes.extend_from_slice(data);
        self.id = Some(id);
        true
    }
}

impl Inspector {
    /// Looks at messages for a network with this topic and floor.
    pub(super) fn new(flood: TopicHash, floor: Floor) -> Self {
        Self { flood, floor, notes: Mutex::default() }
    }

    /// The gossipsub id of a message (`proto/network.md`, "Messages"): the envelope's id for an
    /// envelope in the flood, [`other_id`] for anything else.
    pub(super) fn message_id(&self, message: &Message) -> MessageId {
        let Message { source: _, data, sequence_number: _, topic } = message;
        let envelope = (*topic == self.flood)
            .then(|| self.notes().id_of(data).or_else(|| EnvelopeId::of(data)))
            .flatten();
        MessageId::new(&envelope.map_or_else(|| other_id(topic, data), |id| id.0))
    }

    fn begin_frame(&self) {
        self.notes().refused = 0;
    }

    fn refused_in_frame(&self) -> u32 {
        mem::take(&mut self.notes().refused)
    }

    /// Whether a message that came in is handed on to gossipsub. Counts it if it is not.
    fn admits(&self, topic: &TopicHash, data: &[u8]) -> bool {
        let mut notes = self.notes();
        // Its neighbour is parted with for these alone, so the rest of the frame costs nothing.
        // None of it is remembered: others may bring the same.
        let admitted = notes.refused < REFUSALS
            // Nothing is carried in any other topic, our own of the signs of life included.
            && *topic == self.flood
            && notes.admit(data, &self.floor);
        if !admitted {
            notes.refused = notes.refused.saturating_add(1);
        }
        admitted
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        // Notes are true at every moment, so whoever panicked holding them left them good.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
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
        inspector.admits(&TopicHash::from_raw(topic), data)
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
        let inspector = inspector();
        assert!(admits(&inspector, FLOOD, &bytes));
        assert_eq!(inspector.message_id(&message(FLOOD, &bytes)).0, own.0, "the one lent, too");
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
        // Nor after the envelope was looked at, when its id lies ready.
        let inspector = inspector();
        assert!(admits(&inspector, FLOOD, &bytes));
        assert_ne!(inspector.message_id(&message(BEAT, &bytes)).0, own);
        assert_ne!(inspector.message_id(&message(FLOOD, &longer)).0, own);
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
    fn what_every_node_refuses_is_refused_and_counted() {
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
            inspector.begin_frame();
            assert!(!admits(&inspector, topic, &data), "{topic}, {} bytes", data.len());
            assert!(admits(&inspector, FLOOD, &bytes), "and what follows it is let through");
            assert_eq!((inspector.refused_in_frame(), inspector.refused_in_frame()), (1, 0));
        }
    }

    #[test]
    fn the_rest_of_a_frame_is_refused_unseen_once_its_neighbour_is_to_be_parted_with() {
        let (inspector, bytes) = (inspector(), envelope(b"an envelope"));
        inspector.begin_frame();
        for _ in 0..REFUSALS {
            assert!(admits(&inspector, FLOOD, &bytes));
            assert!(!admits(&inspector, "x", b""));
        }
        assert!(!admits(&inspector, FLOOD, &bytes));
        assert_eq!(inspector.refused_in_frame(), REFUSALS + 1);
        inspector.begin_frame();
        assert!(admits(&inspector, FLOOD, &bytes), "another neighbour may bring it");
    }

    #[test]
    fn one_copy_costs_one_digest_and_another_right_after_it_none() {
        let (inspector, bytes) = (inspector(), envelope(b"an envelope"));
        assert!(admits(&inspector, FLOOD, &bytes));
        // An id that no digest would give: whoever answers with it has computed none.
        let marked = EnvelopeId([9; 32]);
        inspector.notes().id = Some(marked);
        assert_eq!(inspector.message_id(&message(FLOOD, &bytes)).0, marked.0);
        assert!(admits(&inspector, FLOOD, &bytes));
        assert_eq!(inspector.message_id(&message(FLOOD, &bytes)).0, marked.0);
        let other = envelope(b"another");
        assert_eq!(
            inspector.message_id(&message(FLOOD, &other)).0,
            EnvelopeId::of(&other).unwrap().0,
            "computed, because another was looked at last"
        );
    }

    #[test]
    fn debug_of_an_event_shows_neither_neighbour_nor_message() {
        let refused = GossipEvent::Refused { peer: PeerId::random(), count: 3 };
        assert_eq!(format!("{refused:?}"), "GossipEvent::Refused");
    }

    #[test]
    fn the_transform_hands_on_what_it_admits_unchanged() {
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
        assert_eq!(check.inbound_transform(raw(FLOOD)).unwrap(), message(FLOOD, &bytes));
        assert!(check.inbound_transform(raw(BEAT)).is_err());
        let sent = check.outbound_transform(&TopicHash::from_raw(FLOOD), bytes.clone());
        assert_eq!(sent.unwrap(), bytes);
    }

    #[test]
    fn changed_at_random_a_message_is_named_by_its_id_if_it_is_admitted_and_by_no_envelopes_if_not()
    {
        let inspector = inspector();
        let seeds = [&b""[..], b"an envelope", &[7; 300]].map(envelope);
        each_case(&seeds, |data| {
            inspector.begin_frame();
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
