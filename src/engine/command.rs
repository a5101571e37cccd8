//! What a person or a program can ask of a node, and what it answers.

use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{SasWord, WORDS_PER_HALF};
use crate::engine::envelope::Lifetime;
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::secret::opaque_debug;

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
        lifetime: Lifetime,
    },
    /// A person has read a conversation up to a message: nothing that was delivered after it counts.
    MarkRead {
        /// The contact who wrote it.
        contact: ContactId,
        /// Its number in the contact's latest epoch. A number that was not delivered yet stands for
        /// the last one that was.
        number: u64,
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
