//! Everything that crosses the engine's edge outwards.

use crate::engine::command::{CommandError, Reply};
use crate::engine::envelope::{Acceptance, EnvelopeId, MiningJob};
use crate::engine::event::Event;
use crate::engine::id::{CommandId, NeighbourId, OutgoingId, SyncRequestId, SyncResponseId};
use crate::engine::record::Change;
use crate::engine::secret::opaque_debug;

/// One thing the driver must do, in the order given, before the next turn.
pub enum Output {
    /// Make these changes durable, all or none, before the next output is carried out.
    Commit(Vec<Change>),
    /// In debug builds: the fingerprint of a (key, nonce) pair just used to encrypt. Two equal ones
    /// with different plaintexts would be the end of both.
    AuditNonce([u8; 16]),
    /// Do this.
    Effect(Effect),
}

opaque_debug!(
    enum Output {
        Commit,
        AuditNonce,
        Effect,
    }
);

/// What a node has done outside: both drivers, the runtime and the simulator, match on it.
pub enum Effect {
    /// Tell the carrier's protocol what its envelope deserves. Comes before anything else an
    /// envelope causes.
    ReportValidation {
        /// Who carried it.
        from: NeighbourId,
        /// Which envelope.
        id: EnvelopeId,
        /// Pass it on, drop it, or drop it and count it against the carrier.
        acceptance: Acceptance,
    },
    /// Search for work. Comes back as [`crate::engine::node::input::Input::Mined`].
    StartMining(MiningJob),
    /// Stop searching: the envelope is not wanted any more.
    StopMining(OutgoingId),
    /// Hand an envelope of ours to the flood.
    Publish {
        /// Keccak-256 of `bytes`.
        id: EnvelopeId,
        /// The canonical encoding.
        bytes: Vec<u8>,
    },
    /// Ask a neighbour for what we missed. Comes back as [`crate::engine::node::input::Input::SyncResponse`].
    SyncRequest {
        /// Whom.
        to: NeighbourId,
        /// Named again in the response.
        id: SyncRequestId,
        /// The request, in the bytes of [`crate::engine::sync`].
        bytes: Vec<u8>,
    },
    /// The answer to an [`crate::engine::node::input::Input::SyncRequest`].
    SyncResponse {
        /// Which one.
        id: SyncResponseId,
        /// The response, in the bytes of [`crate::engine::sync`].
        bytes: Vec<u8>,
        /// Envelopes to append to it from the archive, each by
        /// [`crate::engine::sync::append_envelope`]; none unless the node has one. What the archive
        /// lacks is left out and reported by [`crate::engine::node::input::Input::ArchiveMissing`].
        stored: Vec<EnvelopeId>,
    },
    /// A neighbour broke the rules while we caught up with it: count it as a rejected envelope.
    Penalize(NeighbourId),
    /// Keep an envelope in the archive until it is discarded.
    Archive {
        /// Keccak-256 of `bytes`.
        id: EnvelopeId,
        /// The canonical encoding.
        bytes: Vec<u8>,
    },
    /// Discard these envelopes from the archive.
    Discard(Vec<EnvelopeId>),
    /// The answer to an [`crate::engine::node::input::Input::Command`].
    Reply {
        /// Which question.
        id: CommandId,
        /// What came of it.
        reply: Result<Reply, CommandError>,
    },
    /// Something a person would care for.
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
