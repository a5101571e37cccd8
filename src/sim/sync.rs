//! Catching up over the simulated links, and the archive of a simulated relay.
//!
//! A request or a response that is lost, or whose other end has gone, comes back as no response
//! after a while, as a timeout does.

use std::collections::BTreeMap;

use super::{NodeIndex, SimEvent, World};
use crate::engine::env::Millis;
use crate::engine::envelope::EnvelopeId;
use crate::engine::id::{NeighbourId, SyncRequestId, SyncResponseId};
use crate::engine::node::input::Input;
use crate::engine::sync::{MAX_MESSAGE, append_envelope};

/// The patience of an opener.
const TIMEOUT: Millis = Millis::from_secs(20);

/// One request a node made to catch up.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// When.
    pub at: Millis,
    /// Whom.
    pub to: NodeIndex,
    /// What, as it went.
    pub bytes: Vec<u8>,
}

/// What a node sent and got to catch up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncTraffic {
    /// Requests it made.
    pub requests: u64,
    /// Their bytes.
    pub up: u64,
    /// Bytes of the responses it got.
    pub down: u64,
    /// How often it blamed somebody.
    pub blamed: u64,
}

/// What a node has to do with catching up.
#[derive(Debug, Default)]
pub(super) struct CatchingUp {
    asked: Vec<RecordedRequest>,
    traffic: SyncTraffic,
    pub(super) archive: BTreeMap<EnvelopeId, Vec<u8>>,
}

/// Who waits for a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingResponse {
    opener: NodeIndex,
    incarnation: u64,
    ask: SyncRequestId,
}

/// Something on its way.
#[derive(Debug)]
pub(super) enum SyncDelivery {
    Request { to: NodeIndex, ticket: SyncResponseId, bytes: Vec<u8> },
    Response { ticket: SyncResponseId, bytes: Option<Vec<u8>> },
}

impl World {
    /// What a node sent and got to catch up, in its whole life.
    #[must_use]
    pub fn traffic(&self, node: NodeIndex) -> SyncTraffic {
        self.nodes.get(node.0).map(|sim| sim.catching_up.traffic).unwrap_or_default()
    }

    /// The requests a node made to catch up, oldest first.
    #[must_use]
    pub fn asked(&self, node: NodeIndex) -> &[RecordedRequest] {
        self.nodes.get(node.0).map_or(&[], |sim| sim.catching_up.asked.as_slice())
    }

    /// The ids of what a node's archive keeps.
    pub fn archived(&self, node: NodeIndex) -> impl Iterator<Item = EnvelopeId> {
        self.nodes.get(node.0).into_iter().flat_map(|sim| sim.catching_up.archive.keys().copied())
    }

    /// Takes an envelope out of a node's archive, as a failing disk does; the node is not told.
    pub fn lose_archived(&mut self, node: NodeIndex, id: EnvelopeId) {
        if let Some(sim) = self.nodes.get_mut(node.0) {
            sim.catching_up.archive.remove(&id);
        }
    }

    pub(super) fn sync_request(
        &mut self,
        opener: NodeIndex,
        to: NeighbourId,
        ask: SyncRequestId,
        bytes: Vec<u8>,
    ) {
        let at = self.now;
        let Ok(to) = usize::try_from(to.0).map(NodeIndex) else { return };
        let Some(sim) = self.nodes.get_mut(opener.0) else { return };
        let traffic = &mut sim.catching_up.traffic;
        traffic.requests += 1;
        traffic.up += bytes.len() as u64;
        sim.catching_up.asked.push(RecordedRequest { at, to, bytes: bytes.clone() });
        let incarnation = sim.incarnation;
        self.sequence += 1;
        let ticket = SyncResponseId(self.sequence);
        self.tickets.insert(ticket, PendingResponse { opener, incarnation, ask });
        let timeout = SyncDelivery::Response { ticket, bytes: None };
        self.push(at.plus(TIMEOUT), SimEvent::Sync(timeout));
        self.send(opener, to, SyncDelivery::Request { to, ticket, bytes });
    }

    pub(super) fn sync_response(
        &mut self,
        holder: NodeIndex,
        ticket: SyncResponseId,
        mut bytes: Vec<u8>,
        stored: &[EnvelopeId],
    ) {
        let Some(sim) = self.nodes.get(holder.0) else { return };
        let archive = &sim.catching_up.archive;
        let (found, lost): (Vec<EnvelopeId>, Vec<EnvelopeId>) =
            stored.iter().partition(|id| archive.contains_key(*id));
        found.iter().filter_map(|id| archive.get(id)).for_each(|e| append_envelope(&mut bytes, e));
        if bytes.len() > MAX_MESSAGE {
            self.violate(holder, "a response is too long");
        }
        if !lost.is_empty() {
            // The node is told when this turn is over.
            self.push(self.now, SimEvent::Lost(holder, lost));
        }
        let Some(opener) = self.tickets.get(&ticket).map(|ticket| ticket.opener) else { return };
        self.send(holder, opener, SyncDelivery::Response { ticket, bytes: Some(bytes) });
    }

    /// Puts something on a link, where it may be lost.
    fn send(&mut self, from: NodeIndex, to: NodeIndex, delivery: SyncDelivery) {
        if !self.links.neighbours(from).contains(&to) {
            return;
        }
        if let Some(latency) = self.links.carry(&mut self.chance) {
            self.push(self.now.plus(latency), SimEvent::Sync(delivery));
        }
    }

    pub(super) fn deliver_sync(&mut self, delivery: SyncDelivery) {
        match delivery {
            SyncDelivery::Request { to, ticket, bytes } => {
                let Some(opener) = self.tickets.get(&ticket).map(|ticket| ticket.opener) else {
                    return;
                };
                let from = NeighbourId(opener.0 as u64);
                self.turn(to, Input::SyncRequest { from, id: ticket, bytes });
            }
            SyncDelivery::Response { ticket, bytes } => {
                let Some(PendingResponse { opener, incarnation, ask }) =
                    self.tickets.remove(&ticket)
                else {
                    return;
                };
                let Some(sim) = self.nodes.get_mut(opener.0) else { return };
                if sim.incarnation == incarnation {
                    sim.catching_up.traffic.down += bytes.as_ref().map_or(0, Vec::len) as u64;
                    self.turn(opener, Input::SyncResponse { id: ask, bytes });
                }
            }
        }
    }

    pub(super) fn penalize(&mut self, index: NodeIndex, peer: NeighbourId) {
        let known = usize::try_from(peer.0).is_ok_and(|peer| peer < self.nodes.len());
        if let Some(sim) = self.nodes.get_mut(index.0).filter(|_| known) {
            sim.catching_up.traffic.blamed += 1;
        }
    }

    pub(super) fn archive(&mut self, index: NodeIndex, id: EnvelopeId, bytes: Vec<u8>) {
        let Some(sim) = self.nodes.get_mut(index.0) else { return };
        if sim.catching_up.archive.insert(id, bytes).is_some() {
            self.violate(index, "an envelope was archived twice");
        }
    }

    pub(super) fn discard(&mut self, index: NodeIndex, ids: &[EnvelopeId]) {
        if let Some(sim) = self.nodes.get_mut(index.0) {
            ids.iter().for_each(|id| drop(sim.catching_up.archive.remove(id)));
        }
    }
}

impl core::fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { at, to, bytes } = self;
        f.debug_struct("Asked").field("at", at).field("to", to).field("size", &bytes.len()).finish()
    }
}
