//! Catching up, as far as the network goes: whose requests are handed up, and which answer belongs
//! to which question.
//!
//! What is asked and answered are bytes nobody here looks into. Requests of those outside the flood
//! get no answer: who catches up, takes part.

use crate::engine::node::input::Input;
use std::collections::BTreeMap;

use libp2p::PeerId;
use libp2p::request_response::{InboundRequestId, Message, OutboundRequestId, ResponseChannel};

use crate::engine::id::{NeighbourId, SyncRequestId, SyncResponseId};

use super::request_response::{LONGEST_REQUEST, LONGEST_RESPONSE, SyncBehaviourEvent};
use super::{Net, NetEvent};

/// Requests of ours under way to one neighbour. Each is a stream, and a link has few.
const ASKS_EACH: usize = 2;

/// Requests of ours under way to all neighbours. A guess: twice the mesh.
const ASKS: usize = 16;

/// Exchanges under way.
#[derive(Default)]
pub(super) struct PendingExchanges {
    /// Our requests, and whom they went to.
    asks: BTreeMap<OutboundRequestId, (PeerId, SyncRequestId)>,
    /// Requests that were handed up. Each is a stream, so there are never more than those.
    tickets: BTreeMap<SyncResponseId, (InboundRequestId, ResponseChannel<Vec<u8>>)>,
    next_ticket: u64,
}

impl PendingExchanges {
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

    fn forget(&mut self, id: InboundRequestId) {
        self.tickets.retain(|_, (waiting, _)| *waiting != id);
    }
}

impl Net {
    /// Asks a neighbour. Exactly one [`Input::SyncResponse`] with this `ask` follows: without an
    /// answer if the neighbour is not in the flood, does not speak the protocol, does not answer in
    /// time, or has too many requests of ours already.
    pub fn sync_request(&mut self, to: NeighbourId, ask: SyncRequestId, bytes: Vec<u8>) {
        let peer = self.peers.named(to).filter(|peer| self.may_ask(peer));
        let Some(peer) = peer.filter(|_| bytes.len() <= LONGEST_REQUEST) else {
            tracing::debug!("a request to catch up was not sent");
            self.ready.push_back(NetEvent::Engine(Input::SyncResponse { id: ask, bytes: None }));
            return;
        };
        let id = self.swarm.behaviour_mut().sync.send_request(&peer, bytes);
        self.exchanges.asks.insert(id, (peer, ask));
    }

    /// Answers a neighbour. Nothing in `bytes`, or more than it would read, refuses; a ticket whose
    /// time is up or whose neighbour left is not missed.
    pub fn sync_respond(&mut self, ticket: SyncResponseId, bytes: Vec<u8>) {
        let Some((_, channel)) = self.exchanges.tickets.remove(&ticket) else { return };
        if bytes.len() > LONGEST_RESPONSE {
            tracing::error!("a response of ours is longer than any");
            return;
        }
        if self.swarm.behaviour_mut().sync.send_response(channel, bytes).is_err() {
            tracing::debug!("a response came too late");
        }
    }

    /// Counts one against a neighbour that broke the rules of an exchange, as if it had handed over
    /// an envelope that is to be rejected.
    pub fn penalize(&mut self, peer: NeighbourId) {
        self.count_invalid(peer);
    }

    pub(super) fn on_exchange(&mut self, event: SyncBehaviourEvent) {
        match event {
            SyncBehaviourEvent::Message { peer, message, connection_id: _ } => match message {
                Message::Request { request_id, request, channel } => {
                    self.on_asked(peer, request, (request_id, channel));
                }
                Message::Response { request_id, response } => {
                    self.on_answered(request_id, Some(response));
                }
            },
            SyncBehaviourEvent::OutboundFailure { request_id, .. } => {
                self.on_answered(request_id, None);
            }
            SyncBehaviourEvent::InboundFailure { request_id, .. } => {
                self.exchanges.forget(request_id)
            }
            SyncBehaviourEvent::ResponseSent { .. } => {}
        }
    }

    fn on_asked(
        &mut self,
        peer: PeerId,
        bytes: Vec<u8>,
        (id, channel): (InboundRequestId, ResponseChannel<Vec<u8>>),
    ) {
        // Without a ticket the channel is dropped here, and that ends the stream.
        let Some(from) = self.peers.insider(&peer) else {
            tracing::debug!("somebody outside the flood wants to catch up");
            return;
        };
        let ticket = self.exchanges.admit(id, channel);
        self.ready.push_back(NetEvent::Engine(Input::SyncRequest { from, id: ticket, bytes }));
    }

    fn on_answered(&mut self, id: OutboundRequestId, bytes: Option<Vec<u8>>) {
        if let Some((_, ask)) = self.exchanges.asks.remove(&id) {
            self.ready.push_back(NetEvent::Engine(Input::SyncResponse { id: ask, bytes }));
        }
    }

    /// Whether a request may go to this neighbour. One that is not connected is never dialled for
    /// it: whom we dial is for the dialer to say.
    fn may_ask(&self, peer: &PeerId) -> bool {
        self.peers.insider(peer).is_some()
            && self.swarm.behaviour().sync.is_connected(peer)
            && self.exchanges.may_ask(*peer)
    }
}
