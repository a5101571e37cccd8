//! Everything that crosses the engine's edge inwards.

use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{SasWord, WORDS_PER_HALF};
use crate::engine::envelope::{EnvelopeId, Lifetime, WorkNonce};
use crate::engine::id::{ContactId, IdentityId, MessageId, OutgoingId, RequestId};
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
    /// A neighbour wants to catch up. Answered by one [`super::output::Output::SyncResponse`] with
    /// the same ticket, in the same turn.
    SyncRequest {
        /// Who asks.
        from: NeighbourId,
        /// Chosen by the driver; named again in the response.
        id: SyncResponseId,
        /// What it asks, as it came.
        bytes: Vec<u8>,
    },
    /// What came of a [`super::output::Output::SyncRequest`].
    SyncResponse {
        /// Which one.
        id: SyncRequestId,
        /// What the neighbour answered, as it came; nothing if it did not answer in time, is gone
        /// or does not speak the protocol.
        bytes: Option<Vec<u8>>,
    },
    /// The archive does not have these envelopes any more, or they are damaged there.
    ArchiveMissing(Vec<EnvelopeId>),
    /// A person or a program asks for something; answered by one [`super::output::Reply`].
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

/// A neighbour, as the driver numbers it. The engine never learns an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeighbourId(pub u64);

/// Names a neighbour's request to catch up, so that the response finds back. The driver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyncResponseId(pub u64);

/// Names our request to catch up, so that the response finds back. The engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyncRequestId(pub u64);

/// Names one question, so that its answer finds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// What a person or a program can ask of a node.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Make an identity. The name is for its owner's eyes only.
    CreateIdentity {
        /// What its owner calls it.
        name: String,
    },
    /// Erase an identity with its contacts, sessions and messages.
    DeleteIdentity {
        /// Which one.
        identity: IdentityId,
    },
    /// Know a person by their key, and offer them a session.
    AddContact {
        /// The identity that knows them.
        identity: IdentityId,
        /// Their key, from an invite.
        key: PublicKey,
        /// What we call them.
        petname: String,
    },
    /// Call a contact something else.
    RenameContact {
        /// Which one.
        contact: ContactId,
        /// What we call them.
        petname: String,
    },
    /// Forget a contact, its sessions and its messages.
    RemoveContact {
        /// Which one.
        contact: ContactId,
    },
    /// Stop listening to a contact and erase its sessions; what was written stays.
    Block {
        /// Which one.
        contact: ContactId,
    },
    /// Listen to a blocked contact again.
    Unblock {
        /// Which one.
        contact: ContactId,
    },
    /// Let a stranger in: they become a contact, and hear of it.
    AcceptRequest {
        /// Which request.
        request: RequestId,
        /// What we call them.
        petname: String,
    },
    /// Forget a stranger's request. They learn nothing.
    DeclineRequest {
        /// Which request.
        request: RequestId,
    },
    /// Say something to a contact.
    Say {
        /// To whom.
        contact: ContactId,
        /// What.
        text: String,
        /// How long what carries it is kept by those who carry it.
        life: Lifetime,
    },
    /// A person has seen everything of a conversation that was shown.
    MarkRead {
        /// Whose conversation.
        contact: ContactId,
    },
    /// Whether a contact is told what was read, and what they tell is shown: off unless turned on.
    SetReadReceipts {
        /// Who.
        contact: ContactId,
        /// Whether.
        on: bool,
    },
    /// Erase one message here. The contact is not told, and keeps what arrived. One of ours that has
    /// not left is taken back first; one that left is not sent again.
    EraseMessage {
        /// Which one.
        message: MessageId,
    },
    /// Take back a message that has not left.
    Cancel {
        /// Which one.
        message: MessageId,
    },
    /// Send a message that failed, was cancelled or was not acknowledged once more.
    Retry {
        /// Which one.
        message: MessageId,
    },
    /// Tell the contact the session is over and erase its keys.
    CloseSession {
        /// With whom.
        contact: ContactId,
    },
    /// Compare what a contact read out with what this machine computed. The same makes them
    /// verified; anything else holds what is sent to them.
    Verify {
        /// Who read it out.
        contact: ContactId,
        /// What.
        proof: Proof,
    },
    /// A contact has another key: its sessions end, and nothing is sent to it until a person
    /// decides.
    Rekey {
        /// Who.
        contact: ContactId,
        /// Their other key, from an invite.
        key: PublicKey,
    },
    /// Send to a contact again although what held it was not cleared up.
    AcceptUnverified {
        /// Who.
        contact: ContactId,
    },
}

/// What a contact read out, over a channel that their owner trusts already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Their half of a session's words, in order.
    Sas([SasWord; WORDS_PER_HALF]),
    /// The safety number they see.
    SafetyNumber(SafetyNumber),
}

opaque_debug!(
    enum Command {
        CreateIdentity,
        DeleteIdentity,
        AddContact,
        RenameContact,
        RemoveContact,
        Block,
        Unblock,
        AcceptRequest,
        DeclineRequest,
        Say,
        MarkRead,
        SetReadReceipts,
        EraseMessage,
        Cancel,
        Retry,
        CloseSession,
        Verify,
        Rekey,
        AcceptUnverified,
    }
);
