//! Everything that crosses the engine's edge inwards.

use crate::engine::command::Command;
use crate::engine::envelope::{EnvelopeId, WorkNonce};
use crate::engine::id::{CommandId, NeighbourId, OutgoingId, SyncRequestId, SyncResponseId};
use crate::engine::secret::opaque_debug;

/// One thing that happened outside the engine.
pub enum Input {
    /// A neighbour handed over the bytes of an envelope.
    Gossip {
        /// Who carried it; named again in the verdict.
        from: NeighbourId,
        /// Keccak-256 of `bytes`, as the carrier's protocol computed it.
        id: EnvelopeId,
        /// The envelope as it came.
        bytes: Vec<u8>,
    },
    /// A search for work ended well.
    Mined {
        /// The envelope it was for.
        outgoing: OutgoingId,
        /// The nonce that shows the work.
        nonce: WorkNonce,
    },
    /// These neighbours take part in the flood at this moment.
    Peers(Vec<NeighbourId>),
    /// A neighbour wants to catch up. Answered by one [`crate::engine::turn::Effect::SyncResponse`] with
    /// the same ticket, in the same turn.
    SyncRequest {
        /// Who asks.
        from: NeighbourId,
        /// Chosen by the driver; named again in the response.
        id: SyncResponseId,
        /// What it asks, as it came.
        bytes: Vec<u8>,
    },
    /// What came of a [`crate::engine::turn::Effect::SyncRequest`].
    SyncResponse {
        /// Which one.
        id: SyncRequestId,
        /// What the neighbour answered, as it came; nothing if it did not answer in time, is gone
        /// or does not speak the protocol.
        bytes: Option<Vec<u8>>,
    },
    /// The archive does not have these envelopes any more, or they are damaged there.
    ArchiveMissing(Vec<EnvelopeId>),
    /// A person or a program asks for something; answered by one [`crate::engine::command::Reply`].
    Command {
        /// Chosen by whoever asks; named again in the answer.
        id: CommandId,
        /// What is asked.
        command: Command,
    },
    /// [`super::Node::deadline`] has come.
    Tick,
}

opaque_debug!(
    enum Input {
        Gossip,
        Mined,
        Peers,
        SyncRequest,
        SyncResponse,
        ArchiveMissing,
        Command,
        Tick,
    }
);
