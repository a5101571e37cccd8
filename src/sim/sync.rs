//! Catching up in the simulator: a node's archive, and what it sent and got.
//!
//! A request or a response that is lost, or whose other end has gone, comes back as no response
//! after a while, as a timeout does.

use std::collections::BTreeMap;

use super::NodeIndex;
use super::audit::Violation;
use crate::engine::env::Millis;
use crate::engine::envelope::EnvelopeId;
use crate::engine::id::{SyncRequestId, SyncResponseId};
use crate::engine::sync::append_envelope;

/// How long a client waits.
pub(super) const TIMEOUT: Millis = Millis::from_secs(20);

/// One request a node made to catch up.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// When it was made.
    pub at: Millis,
    /// Which node was asked.
    pub to: NodeIndex,
    /// The request as it was sent.
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
    /// How often it blamed a neighbour.
    pub blamed: u64,
}

/// A node's archive and its traffic to catch up.
#[derive(Debug, Default)]
pub(super) struct CatchingUp {
    requests: Vec<RecordedRequest>,
    traffic: SyncTraffic,
    archive: BTreeMap<EnvelopeId, Vec<u8>>,
}

/// A request that waits for its response.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingResponse {
    /// Which node asked.
    pub(super) client: NodeIndex,
    /// Which of its processes: a later one knows nothing of the request.
    pub(super) incarnation: u64,
    /// What the client calls it.
    pub(super) id: SyncRequestId,
}

/// Something on its way.
#[derive(Debug)]
pub(super) enum SyncDelivery {
    /// A request to a server.
    Request { to: NodeIndex, id: SyncResponseId, bytes: Vec<u8> },
    /// A response to the client that waits for it, or none in time.
    Response { id: SyncResponseId, bytes: Option<Vec<u8>> },
}

impl CatchingUp {
    pub(super) const fn traffic(&self) -> SyncTraffic {
        self.traffic
    }

    pub(super) fn requests(&self) -> &[RecordedRequest] {
        &self.requests
    }

    pub(super) fn archive(&self) -> &BTreeMap<EnvelopeId, Vec<u8>> {
        &self.archive
    }

    /// Counts a request that is sent.
    pub(super) fn note_request(&mut self, at: Millis, to: NodeIndex, bytes: &[u8]) {
        self.traffic.requests += 1;
        self.traffic.up += bytes.len() as u64;
        self.requests.push(RecordedRequest { at, to, bytes: bytes.to_vec() });
    }

    /// Counts a response that came, or none.
    pub(super) fn note_response(&mut self, bytes: Option<&[u8]>) {
        self.traffic.down += bytes.map_or(0, <[u8]>::len) as u64;
    }

    /// Counts that a neighbour was blamed.
    pub(super) const fn note_blame(&mut self) {
        self.traffic.blamed += 1;
    }

    /// Appends the archived envelopes to a response; the ids of those that are not there.
    pub(super) fn append_archived(
        &self,
        response: &mut Vec<u8>,
        stored: &[EnvelopeId],
    ) -> Vec<EnvelopeId> {
        let mut missing = Vec::new();
        for id in stored {
            match self.archive.get(id) {
                Some(envelope) => append_envelope(response, envelope),
                None => missing.push(*id),
            }
        }
        missing
    }

    /// Puts an envelope into the archive.
    pub(super) fn keep(&mut self, id: EnvelopeId, bytes: Vec<u8>) -> Result<(), Violation> {
        if self.archive.insert(id, bytes).is_some() {
            return Err(Violation("an envelope was archived twice"));
        }
        Ok(())
    }

    /// Takes envelopes out of the archive.
    pub(super) fn discard(&mut self, ids: &[EnvelopeId]) {
        for id in ids {
            self.archive.remove(id);
        }
    }
}

impl core::fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { at, to, bytes } = self;
        f.debug_struct("RecordedRequest")
            .field("at", at)
            .field("to", to)
            .field("size", &bytes.len())
            .finish()
    }
}
