//! Inputs: everything that crosses the engine's edge inwards.

use crate::engine::command::Command;
use crate::engine::envelope::{EnvelopeId, WorkNonce};
use crate::engine::id::{
    CommandId, Neighbour, NeighbourId, OutgoingId, SyncRequestId, SyncResponseId,
};
use crate::engine::secret::opaque_debug;

/// One thing that happened outside the engine.
pub enum Input {
    /// A neighbour handed over the bytes of an envelope.
    Gossip {
        /// The carrier; named again in the verdict.
        from: NeighbourId,
        /// What [`inspect`](crate::engine::envelope::inspect) returned for `bytes`: it is not
        /// computed again.
        id: EnvelopeId,
        /// The envelope as it came.
        bytes: Vec<u8>,
    },
    /// The driver left so many envelopes out, which came too late or too soon: they had paid for
    /// an answer, and get none.
    OffTime {
        /// Past their time.
        expired: u64,
        /// Too far in the future.
        early: u64,
    },
    /// A search for work ended well.
    Mined {
        /// The envelope it was for.
        outgoing: OutgoingId,
        /// The nonce that shows the work.
        nonce: WorkNonce,
    },
    /// These neighbours take part in the flood at this moment.
    Peers(Vec<Neighbour>),
    /// A neighbour that passed nothing on to this node for a while does again: this node took too little
    /// of what was sent to it, and missed something.
    Resumed,
    /// A neighbour wants to catch up. Answered by one [`super::Effect::SyncResponse`]
    /// with the same id, in the same turn.
    SyncRequest {
        /// The client.
        from: NeighbourId,
        /// Chosen by the driver; named again in the response.
        id: SyncResponseId,
        /// The request as it came.
        bytes: Vec<u8>,
    },
    /// The result of a [`super::Effect::SyncRequest`].
    SyncResponse {
        /// The request's id.
        id: SyncRequestId,
        /// The response as it came; `None` if the neighbour did not answer in time, is gone or does
        /// not speak the protocol.
        bytes: Option<Vec<u8>>,
    },
    /// The archive does not have these envelopes any more, or they are damaged there.
    ArchiveMissing(Vec<EnvelopeId>),
    /// A person's or a program's command; answered by one [`crate::engine::command::Reply`].
    Command {
        /// Chosen by the front end; named again in the reply.
        id: CommandId,
        /// The command.
        command: Command,
    },
    /// The deadline that was said last has come.
    Tick,
}

opaque_debug!(
    enum Input {
        Gossip,
        OffTime,
        Mined,
        Peers,
        Resumed,
        SyncRequest,
        SyncResponse,
        ArchiveMissing,
        Command,
        Tick,
    }
);
