//! The network: the links between the nodes, and the envelopes, requests and responses on their
//! way.
//!
//! A request to catch up or its response that is lost, or whose other end has gone, comes back as
//! no response after a while, as a timeout does.

use std::collections::BTreeMap;

use super::NodeIndex;
use super::link::Links;
use super::schedule::{Schedule, SimEvent};
use crate::engine::env::Millis;
use crate::engine::envelope::EnvelopeId;
use crate::engine::id::{SyncRequestId, SyncResponseId};

/// How long a client waits for a response.
const TIMEOUT: Millis = Millis::from_secs(20);

/// Links and a schedule: sending is planning an arrival, or losing it.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) links: Links,
    pub(super) schedule: Schedule,
    /// Requests to catch up that wait for a response.
    pending: BTreeMap<SyncResponseId, PendingResponse>,
}

/// A request to catch up that waits for its response.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingResponse {
    /// The node that made the request.
    pub(super) client: NodeIndex,
    /// Its process at that time: a later one knows nothing of the request.
    pub(super) incarnation: u64,
    /// The client's id of the request.
    pub(super) id: SyncRequestId,
}

/// A request or response on its way.
#[derive(Debug)]
pub(super) enum SyncDelivery {
    /// A request to a server.
    Request { to: NodeIndex, id: SyncResponseId, bytes: Vec<u8> },
    /// A response to the client that waits for it, or none in time.
    Response { id: SyncResponseId, bytes: Option<Vec<u8>> },
}

impl Network {
    pub(super) const fn new(seed: u64, links: Links) -> Self {
        Self { links, schedule: Schedule::new(seed), pending: BTreeMap::new() }
    }

    /// Sends an envelope to every neighbour but one.
    pub(super) fn flood(
        &mut self,
        from: NodeIndex,
        except: Option<NodeIndex>,
        id: EnvelopeId,
        bytes: &[u8],
    ) {
        for to in self.links.neighbours(from) {
            if Some(to) == except {
                continue;
            }
            if let Some(latency) = self.links.carry(self.schedule.chance()) {
                let event = SimEvent::Arrive { to, from, id, bytes: bytes.to_vec() };
                let at = self.schedule.now().plus(latency);
                self.schedule.plan(at, event);
                if let Some(later) = self.links.carry_again(self.schedule.chance()) {
                    let event = SimEvent::ArriveAgain { to, from, id, bytes: bytes.to_vec() };
                    self.schedule.plan(at.plus(later), event);
                }
            }
        }
    }

    /// Sends a request to catch up. No response within [`TIMEOUT`] is a response without bytes.
    pub(super) fn request(&mut self, request: PendingResponse, to: NodeIndex, bytes: Vec<u8>) {
        let id = SyncResponseId(self.schedule.next_number());
        let from = request.client;
        self.pending.insert(id, request);
        let timeout = SyncDelivery::Response { id, bytes: None };
        self.schedule.plan_after(TIMEOUT, SimEvent::Sync(timeout));
        self.send(from, to, SyncDelivery::Request { to, id, bytes });
    }

    /// Sends a response to the client that waits for it, if it still does.
    pub(super) fn respond(&mut self, server: NodeIndex, id: SyncResponseId, bytes: Vec<u8>) {
        if let Some(client) = self.client(id) {
            self.send(server, client, SyncDelivery::Response { id, bytes: Some(bytes) });
        }
    }

    /// The node that waits for this response.
    pub(super) fn client(&self, id: SyncResponseId) -> Option<NodeIndex> {
        self.pending.get(&id).map(|request| request.client)
    }

    /// The request this response is the first to answer.
    pub(super) fn take_pending(&mut self, id: SyncResponseId) -> Option<PendingResponse> {
        self.pending.remove(&id)
    }

    /// Puts a request or response on a link, where it may be lost.
    fn send(&mut self, from: NodeIndex, to: NodeIndex, delivery: SyncDelivery) {
        // Lost with the link: the timeout that is planned responds instead.
        if !self.links.neighbours(from).contains(&to) {
            return;
        }
        if let Some(latency) = self.links.carry(self.schedule.chance()) {
            self.schedule.plan_after(latency, SimEvent::Sync(delivery));
        }
    }
}
