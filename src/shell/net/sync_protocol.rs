//! Catching up, as far as the network goes: requests that are handed up, and responses matched to
//! their requests.
//!
//! Requests and responses are opaque bytes here. Requests of neighbours outside the flood get no
//! response: only those that take part may catch up.

use crate::engine::node::input::Input;
use std::collections::BTreeMap;

use libp2p::PeerId;
use libp2p::request_response::{InboundRequestId, Message, OutboundRequestId, ResponseChannel};

use crate::engine::id::{SyncRequestId, SyncResponseId};

use super::peers::PeerTable;
use super::request_response::{
    LONGEST_REQUEST, LONGEST_RESPONSE, SyncBehaviour, SyncBehaviourEvent,
};

/// The most requests under way from one node to one neighbour, ours or its. Each is a stream, and a
/// link has few.
pub(super) const ASKS_EACH: usize = 2;

/// The most requests of ours under way to all neighbours. A guess: twice the mesh.
const ASKS: usize = 16;

/// Exchanges under way.
#[derive(Default)]
pub(super) struct PendingExchanges {
    /// Our requests, each with the neighbour it went to.
    asks: BTreeMap<OutboundRequestId, (PeerId, SyncRequestId)>,
    /// Requests that were handed up. Each is a stream, so the bounds on streams hold for them.
    tickets: BTreeMap<SyncResponseId, (InboundRequestId, ResponseChannel<Vec<u8>>)>,
    next_ticket: u64,
}

impl PendingExchanges {
    /// Sends a request of ours; false if it could not be sent. A neighbour that is not connected is
    /// never dialled for it: the dialer alone decides which addresses are dialled.
    pub(super) fn request(
        &mut self,
        behaviour: &mut SyncBehaviour,
        to: PeerId,
        id: SyncRequestId,
        bytes: Vec<u8>,
    ) -> bool {
        // `send_request` itself would dial a peer that is not connected.
        let sent =
            bytes.len() <= LONGEST_REQUEST && behaviour.is_connected(&to) && self.may_ask(to);
        if sent {
            self.asks.insert(behaviour.send_request(&to, bytes), (to, id));
        }
        sent
    }

    /// Sends a response of ours, unless it is too long or its time is up.
    pub(super) fn respond(
        &mut self,
        behaviour: &mut SyncBehaviour,
        id: SyncResponseId,
        bytes: Vec<u8>,
    ) {
        let Some((_, channel)) = self.tickets.remove(&id) else { return };
        // The neighbour would read no further than the bound and drop all of it. Dropping the
        // channel here refuses instead, and costs no upload.
        if bytes.len() > LONGEST_RESPONSE {
            tracing::error!("a response of ours is too long to send");
            return;
        }
        if behaviour.send_response(channel, bytes).is_err() {
            tracing::debug!("a response came too late");
        }
    }

    /// The input for the engine that follows from an event of an exchange, if any.
    pub(super) fn on_event(
        &mut self,
        peers: &PeerTable,
        event: SyncBehaviourEvent,
    ) -> Option<Input> {
        match event {
            SyncBehaviourEvent::Message { peer, message, connection_id: _ } => match message {
                Message::Request { request_id, request, channel } => {
                    // Serving costs an upload, and is for those that carry the flood with us.
                    // Without a ticket the channel is dropped here, and that ends the stream.
                    let Some(from) = peers.insider(&peer) else {
                        tracing::debug!("a peer outside the gossip mesh asked to catch up");
                        return None;
                    };
                    let id = self.admit(request_id, channel);
                    Some(Input::SyncRequest { from, id, bytes: request })
                }
                Message::Response { request_id, response } => {
                    self.finish(request_id, Some(response))
                }
            },
            // Refused, timed out or not supported: all one to the engine, and none an offence.
            SyncBehaviourEvent::OutboundFailure { request_id, .. } => self.finish(request_id, None),
            // The stream is gone. Its ticket goes too, or tickets of neighbours that ask and leave
            // would pile up until the engine answered them.
            SyncBehaviourEvent::InboundFailure { request_id, .. } => {
                self.tickets.retain(|_, (waiting, _)| *waiting != request_id);
                None
            }
            SyncBehaviourEvent::ResponseSent { .. } => None,
        }
    }

    fn may_ask(&self, peer: PeerId) -> bool {
        let of_this_peer = self.asks.values().filter(|(asked, _)| *asked == peer).count();
        self.asks.len() < ASKS && of_this_peer < ASKS_EACH
    }

    fn admit(&mut self, id: InboundRequestId, channel: ResponseChannel<Vec<u8>>) -> SyncResponseId {
        let ticket = SyncResponseId(self.next_ticket);
        self.next_ticket += 1;
        self.tickets.insert(ticket, (id, channel));
        ticket
    }

    fn finish(&mut self, id: OutboundRequestId, bytes: Option<Vec<u8>>) -> Option<Input> {
        let (_, id) = self.asks.remove(&id)?;
        Some(Input::SyncResponse { id, bytes })
    }
}
