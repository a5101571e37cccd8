//! Everything that crosses the engine's edge outwards.

use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{Half, SasWord, WORDS_PER_HALF};
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::{Acceptance, EnvelopeId, Lifetime, MiningJob};
use crate::engine::id::{ContactId, IdentityId, MessageId, OutgoingId, RequestId};
use crate::engine::secret::opaque_debug;
use crate::engine::text::UntrustedText;

use super::input::{CommandId, NeighbourId, SyncRequestId, SyncResponseId};
use super::record::{Change, DeliveryLog, Trust};

/// One thing the driver must do, in the order given, before the next turn.
pub enum Output {
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
    /// Make these changes durable, all or none, before the next output is carried out.
    Commit(Vec<Change>),
    /// Search for work. Comes back as [`super::input::Input::Mined`].
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
    /// Ask a neighbour for what we missed. Comes back as [`super::input::Input::SyncResponse`].
    SyncRequest {
        /// Whom.
        to: NeighbourId,
        /// Named again in the response.
        id: SyncRequestId,
        /// The request, in the bytes of [`crate::engine::sync`].
        bytes: Vec<u8>,
    },
    /// The answer to an [`super::input::Input::SyncRequest`].
    SyncResponse {
        /// Which one.
        id: SyncResponseId,
        /// The response, in the bytes of [`crate::engine::sync`].
        bytes: Vec<u8>,
        /// Envelopes to append to it from the archive, each by
        /// [`crate::engine::sync::append_envelope`]; none unless the node has one. What the archive
        /// lacks is left out and reported by [`super::input::Input::ArchiveMissing`].
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
    /// The answer to an [`super::input::Input::Command`].
    Reply {
        /// Which question.
        id: CommandId,
        /// What came of it.
        reply: Result<Reply, CommandError>,
    },
    /// Something a person would care for.
    Event(Event),
    /// In debug builds: the fingerprint of a (key, nonce) pair just used to encrypt. Two equal ones
    /// with different plaintexts would be the end of both.
    AuditNonce([u8; 16]),
}

opaque_debug!(
    enum Output {
        ReportValidation,
        Commit,
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
        AuditNonce,
    }
);

/// A command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing more to say.
    Done,
    /// The identity made.
    Identity(IdentityId),
    /// The contact added or let in.
    Contact(ContactId),
    /// The message accepted; it is stored and will not be lost.
    Message(MessageId),
    /// What was compared is the same: the contact is verified.
    Verified,
    /// What was compared is not the same: nothing is sent to the contact any more.
    Differs {
        /// The first word that is another one, as people count the six; none if numbers were
        /// compared.
        word: Option<usize>,
        /// So many more tries; at 0 the session has been erased.
        attempts_left: u8,
    },
}

/// Why a command was not carried out. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Check the name; `list` shows what there is.
    #[error("there is no such identity")]
    NoIdentity,
    /// Check the name; `list` shows what there is.
    #[error("there is no such contact")]
    NoContact,
    /// It may have been accepted or declined already.
    #[error("there is no such request")]
    NoRequest,
    /// It may have been erased.
    #[error("there is no such message")]
    NoMessage,
    /// Use the contact that is there.
    #[error("this key is a contact already")]
    KnownKey,
    /// A conversation needs another person.
    #[error("this key is your own")]
    OwnKey,
    /// Pick another name.
    #[error("this name is taken")]
    NameTaken,
    /// Pick a shorter name, of one line, that cannot be taken for a word or mark of the program.
    #[error(
        "this name is empty, too long, a word of the program or has characters that cannot be shown"
    )]
    BadName,
    /// Send it in parts.
    #[error("this text is empty or longer than one message carries")]
    BadText,
    /// Unblock first.
    #[error("this contact is blocked")]
    Blocked,
    /// It has left, or ended, already.
    #[error("this message is past the point where that can be done")]
    TooLate,
    /// Wait until some of what is queued has left, or remove something.
    #[error("there are as many of these as a node keeps")]
    Full,
    /// Wait until both sides have heard each other, or compare the digits.
    #[error("there are no words to compare yet; the 60 digits can be compared")]
    NoSas,
    /// There is nothing to decide.
    #[error("nothing is held back from this contact")]
    NotOnHold,
    /// A relay holds no identity.
    #[error("this node is a relay")]
    Relay,
}

/// Told unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An identity was made.
    Identity(IdentityView),
    /// An identity was erased.
    IdentityRemoved(IdentityId),
    /// A contact was added or changed, or its session did.
    Contact(ContactView),
    /// A contact was removed.
    ContactRemoved(ContactId),
    /// A stranger asks to be let in. Nothing was sent back.
    Request(RequestView),
    /// A request was accepted, declined or has expired.
    RequestRemoved(RequestId),
    /// A message was accepted from us or arrived from a contact.
    Message(MessageView),
    /// A message of ours moved on.
    State {
        /// Which message.
        message: MessageId,
        /// Whose conversation.
        contact: ContactId,
        /// Its number, once it has one.
        number: Option<u64>,
        /// Where it is.
        state: MessageState,
        /// When it got there, and what came before.
        delivery: DeliveryLog,
    },
    /// A message of a contact that came early is theirs without doubt: they confirmed its session.
    Confirmed {
        /// Which message.
        message: MessageId,
        /// Whose conversation.
        contact: ContactId,
    },
}

/// An identity as its owner sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityView {
    /// Its local name.
    pub id: IdentityId,
    /// What its owner calls it.
    pub name: String,
    /// What others know.
    pub key: PublicKey,
}

opaque_debug!(struct IdentityView { id, name, key });

/// A contact as its owner sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct ContactView {
    /// Its local name.
    pub id: ContactId,
    /// Which of our identities knows them.
    pub identity: IdentityId,
    /// What we call them.
    pub petname: String,
    /// Their key.
    pub key: PublicKey,
    /// How far the handshake is.
    pub session: SessionStatus,
    /// How sure we are that the key is theirs.
    pub trust: Trust,
    /// What they see too if our keys are the ones both believe.
    pub safety_number: SafetyNumber,
    /// Our half of the words, once there are any.
    pub sas: Option<SasHalf>,
    /// So many of their messages are known to exist and have not arrived. They have been asked
    /// again: every acknowledgement says what is missing.
    pub missing: u64,
    /// Whether they are told what was read, and what they tell is shown.
    pub read_receipts: bool,
    /// When this device took them over from a backup, until both have heard each other again.
    pub restored: Option<UnixSeconds>,
}

opaque_debug!(struct ContactView {
    id, identity, petname, key, session, trust, safety_number, sas, missing, read_receipts, restored,
});

/// The half of a session's words that we read out. The contact reads us the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SasHalf {
    /// Which half: the side that offered the session reads the first.
    pub half: Half,
    /// The words.
    pub words: [SasWord; WORDS_PER_HALF],
}

/// How far two people are with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// No session, and none is being made.
    None,
    /// Our offer is being made ready.
    OfferQueued,
    /// Our offer is out; they have not answered.
    OfferSent,
    /// Their offer is accepted; our answer is on its source, or they have not confirmed it.
    AwaitingConfirmation,
    /// Both sides have heard each other.
    Established,
    /// We do not listen to them.
    Blocked,
}

/// A stranger who asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestView {
    /// Its local name.
    pub id: RequestId,
    /// Which of our identities they ask.
    pub identity: IdentityId,
    /// The key they proved to hold.
    pub key: PublicKey,
    /// When it arrived here.
    pub arrived: UnixSeconds,
}

/// A message as the owner of the conversation sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    /// Its local name.
    pub id: MessageId,
    /// Whose conversation.
    pub contact: ContactId,
    /// Theirs or ours, and how far it is.
    pub direction: Direction,
    /// Its number among the messages of its sender in this conversation, from 0; ours gets it when
    /// it is encrypted.
    pub number: Option<u64>,
    /// What was written, uncleaned: it passes a sink's cleaner before anyone sees it.
    pub text: UntrustedText,
    /// When it was written here or arrived here.
    pub at: UnixSeconds,
    /// How many of the sender's messages before this one are missing and no longer waited for.
    pub missing: u64,
    /// Whether it came with an offer, before the contact proved to be there: whoever stole our key
    /// could have written it.
    pub early: bool,
    /// How long what carries it is kept by those who carry it.
    pub life: Lifetime,
    /// What became of it, and when; empty for theirs.
    pub delivery: DeliveryLog,
}

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// We did.
    Outgoing(MessageState),
    /// The contact did.
    Incoming,
}

/// The life of a message of ours.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum MessageState {
    /// Stored here, sealed to nobody yet.
    Queued,
    /// Its work is being searched for.
    Mining,
    /// At least one neighbour took it.
    Sent,
    /// The contact acknowledged it.
    Delivered,
    /// It did not leave this machine and will not by itself.
    Failed,
    /// Taken back before it left.
    Cancelled,
    /// It left, nobody carries it any longer, and no answer came. It may have been received.
    Unacknowledged,
    /// The contact says that a person has seen it. Only if both turned that on.
    Read,
}

impl MessageState {
    /// All of them, in the order of their records.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Mining,
        Self::Sent,
        Self::Delivered,
        Self::Failed,
        Self::Cancelled,
        Self::Unacknowledged,
        Self::Read,
    ];

    /// Whether a message may move from this state to `to`: the only authority on it.
    ///
    /// A mark never gets worse after it says delivered, and failed is only ever said of what did
    /// not leave this machine.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        match self {
            Self::Queued => matches!(to, Self::Mining | Self::Failed | Self::Cancelled),
            Self::Mining => {
                matches!(to, Self::Queued | Self::Sent | Self::Failed | Self::Cancelled)
            }
            Self::Sent => matches!(to, Self::Delivered | Self::Unacknowledged),
            // A late answer counts, and it may be sent again.
            Self::Unacknowledged => matches!(to, Self::Sent | Self::Delivered),
            Self::Delivered => matches!(to, Self::Read),
            Self::Read => false,
            Self::Failed | Self::Cancelled => matches!(to, Self::Queued),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MessageState::{self, *};

    const ALL: [MessageState; 8] =
        [Queued, Mining, Sent, Unacknowledged, Delivered, Read, Failed, Cancelled];

    #[test]
    fn a_message_moves_as_the_table_says_and_in_no_other_way() {
        // ux.md 7.8, row by row. A late read receipt moves by delivered.
        let table: [(MessageState, &[MessageState]); 8] = [
            (Queued, &[Mining, Failed, Cancelled]),
            (Mining, &[Queued, Sent, Failed, Cancelled]),
            (Sent, &[Unacknowledged, Delivered]),
            (Unacknowledged, &[Sent, Delivered]),
            (Delivered, &[Read]),
            (Read, &[]),
            (Failed, &[Queued]),
            (Cancelled, &[Queued]),
        ];
        assert_eq!(table.map(|(from, _)| from), ALL);
        for (from, allowed) in table {
            let moves: Vec<MessageState> =
                ALL.into_iter().filter(|to| from.may_become(*to)).collect();
            assert_eq!(moves, allowed, "from {from:?}");
        }
    }

    /// Everything a state may come to, step by step.
    fn reached(from: MessageState) -> Vec<MessageState> {
        let mut reached = vec![from];
        while let Some(next) = ALL
            .into_iter()
            .find(|to| !reached.contains(to) && reached.iter().any(|from| from.may_become(*to)))
        {
            reached.push(next);
        }
        reached
    }

    #[test]
    fn what_left_is_never_said_to_have_stayed_and_what_was_delivered_never_gets_worse() {
        for left in [Sent, Unacknowledged, Delivered, Read] {
            for stayed in [Queued, Mining, Failed, Cancelled] {
                assert!(!reached(left).contains(&stayed), "{left:?} came to {stayed:?}");
            }
        }
        assert_eq!(reached(Delivered), [Delivered, Read]);
    }
}
