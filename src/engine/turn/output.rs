//! Outputs: everything that crosses the engine's edge outwards.

use crate::engine::command::{CommandError, Reply};
use crate::engine::envelope::{Acceptance, EnvelopeId, MiningJob};
use crate::engine::event::Event;
use crate::engine::id::{CommandId, NeighbourId, OutgoingId, SyncRequestId, SyncResponseId};
use crate::engine::record::Change;
use crate::engine::secret::opaque_debug;

/// One output: the driver carries each out in the order given, before the next turn.
pub enum Output {
    /// Make these changes durable, all or none, before the next output is carried out.
    Commit(Vec<Change>),
    /// In debug builds: the fingerprint of a (key, nonce) pair just used to encrypt. Two equal ones
    /// with different plaintexts would break both.
    AuditNonce([u8; 16]),
    /// Carry out this effect.
    Effect(Effect),
}

opaque_debug!(
    enum Output {
        Commit,
        AuditNonce,
        Effect,
    }
);

/// An effect outside the engine: both drivers, the runtime and the simulator, match on it.
pub enum Effect {
    /// Give the carrier's protocol the verdict on an envelope. Comes before anything else an
    /// envelope causes.
    ReportValidation {
        /// The carrier.
        from: NeighbourId,
        /// The envelope.
        id: EnvelopeId,
        /// Pass it on, drop it, or drop it and count it against the carrier.
        acceptance: Acceptance,
    },
    /// Search for work. Comes back as [`super::Input::Mined`].
    StartMining(MiningJob),
    /// Stop searching: the envelope is not wanted any more.
    StopMining(OutgoingId),
    /// Hand an envelope of ours to the flood.
    Publish {
        /// The id of the envelope in `bytes`.
        id: EnvelopeId,
        /// The canonical encoding.
        bytes: Vec<u8>,
    },
    /// Send a neighbour a request of catching up. Comes back as
    /// [`super::Input::SyncResponse`].
    SyncRequest {
        /// The server.
        to: NeighbourId,
        /// Named again in the response.
        id: SyncRequestId,
        /// The request, in the bytes of [`crate::engine::sync`].
        bytes: Vec<u8>,
    },
    /// The answer to an [`super::Input::SyncRequest`].
    SyncResponse {
        /// The request's id.
        id: SyncResponseId,
        /// The response, in the bytes of [`crate::engine::sync`].
        bytes: Vec<u8>,
        /// Envelopes to append to it from the archive, each by
        /// [`crate::engine::sync::append_envelope`]; none unless the node has one. An envelope that
        /// the archive lacks is left out and reported by
        /// [`super::Input::ArchiveMissing`].
        stored: Vec<EnvelopeId>,
    },
    /// A neighbour broke the rules while we caught up with it: count it as a rejected envelope.
    Penalize(NeighbourId),
    /// Keep an envelope in the archive until it is discarded.
    Archive {
        /// The id of the envelope in `bytes`.
        id: EnvelopeId,
        /// The canonical encoding.
        bytes: Vec<u8>,
    },
    /// Discard these envelopes from the archive.
    Discard(Vec<EnvelopeId>),
    /// The answer to an [`super::Input::Command`].
    Reply {
        /// The command's id.
        id: CommandId,
        /// The reply.
        reply: Result<Reply, CommandError>,
    },
    /// An event for the front ends.
    Event(Event),
}

opaque_debug!(
    enum Effect {
        ReportValidation,
        StartMining,
        StopMining,
        Publish,
        SyncRequest,
        SyncResponse,
        Penalize,
        Archive,
        Discard,
        Reply,
        Event,
    }
);
