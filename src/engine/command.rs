//! Commands that a person or a program gives a node, and its replies.

use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{SasWord, WORDS_PER_HALF};
use crate::engine::envelope::Postage;
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::price::Step;
use crate::engine::secret::opaque_debug;

/// A command of a person or a program.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Make an identity. The name is for its owner's eyes only.
    CreateIdentity {
        /// The local name its owner gives it.
        name: String,
    },
    /// Erase an identity with its contacts, sessions and messages.
    DeleteIdentity {
        /// The identity.
        identity: IdentityId,
    },
    /// Add a contact by their key, and offer them a session.
    AddContact {
        /// Our identity that the contact belongs to.
        identity: IdentityId,
        /// Their key, from an invite.
        key: PublicKey,
        /// The contact's local name.
        petname: String,
        /// The highest step to pay for whatever goes to the contact, the offer first; `None`: as the
        /// node's settings say.
        highest: Option<Step>,
    },
    /// Say what may be paid for whatever goes to a contact, from here on.
    LimitContact {
        /// The contact.
        contact: ContactId,
        /// The highest step; `None`: as the node's settings say.
        highest: Option<Step>,
    },
    /// Give a contact another local name.
    RenameContact {
        /// The contact.
        contact: ContactId,
        /// The contact's local name.
        petname: String,
    },
    /// Forget a contact, its sessions and its messages.
    RemoveContact {
        /// The contact.
        contact: ContactId,
    },
    /// Ignore a contact and erase its sessions; messages stay.
    Block {
        /// The contact.
        contact: ContactId,
    },
    /// End the block of a contact.
    Unblock {
        /// The contact.
        contact: ContactId,
    },
    /// Accept a stranger's request: they become a contact, and get an answer.
    AcceptRequest {
        /// The request.
        request: RequestId,
        /// The contact's local name.
        petname: String,
    },
    /// Decline a stranger's request. Nothing is sent to them.
    DeclineRequest {
        /// The request.
        request: RequestId,
    },
    /// Send a text to a contact.
    Say {
        /// The contact.
        contact: ContactId,
        /// The text.
        text: String,
        /// How long its envelopes live, and what each may cost.
        postage: Postage,
    },
    /// Note that a person has read a conversation up to a message: nothing delivered after it
    /// counts.
    MarkRead {
        /// The contact who wrote it.
        contact: ContactId,
        /// Its number in the contact's latest epoch. A number that was not delivered yet stands for
        /// the last one that was.
        number: u64,
    },
    /// Turn read receipts of a contact on or off, in both directions: ours are sent, theirs are
    /// shown. Off unless turned on.
    SetReadReceipts {
        /// The contact.
        contact: ContactId,
        /// On, or off.
        on: bool,
    },
    /// Erase one message on this device. The contact is sent nothing, and keeps what arrived. One
    /// of ours that was not published is withdrawn first; one that was is not sent again.
    EraseMessage {
        /// The message.
        message: MessageId,
    },
    /// Withdraw a message that was not published.
    Cancel {
        /// The message.
        message: MessageId,
    },
    /// Send a message that failed, was cancelled or was not acknowledged once more.
    Retry {
        /// The message.
        message: MessageId,
    },
    /// Close the session: send the contact a farewell and erase the keys.
    CloseSession {
        /// The contact.
        contact: ContactId,
    },
    /// Compare words or digits that a contact read out with those this machine computed. If they
    /// are the same, the contact is verified; if not, sending to them is put on hold.
    Verify {
        /// The contact who read it out.
        contact: ContactId,
        /// The words or digits.
        proof: Proof,
    },
    /// Replace a contact's key: its sessions end, and sending to it is on hold until a person
    /// decides.
    Rekey {
        /// The contact.
        contact: ContactId,
        /// Their other key, from an invite.
        key: PublicKey,
    },
    /// End a hold on sending to a contact without a comparison.
    AcceptUnverified {
        /// The contact.
        contact: ContactId,
    },
}

/// Words or digits that a contact read out, over a channel that their owner trusts already.
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
        LimitContact,
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
    /// Done, with nothing to return.
    Done,
    /// The identity made.
    Identity(IdentityId),
    /// The contact added or let in.
    Contact(ContactId),
    /// The message accepted; it is stored and will not be lost.
    Message(MessageId),
    /// The comparison succeeded: the contact is verified.
    Verified,
    /// The comparison failed: sending to the contact is on hold.
    Differs {
        /// The first word that differs, as people count the six; none if digits were compared.
        word: Option<usize>,
        /// Tries left; at 0 the session has been erased.
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
    #[error("you already have a contact with this key")]
    KnownKey,
    /// A conversation needs another person.
    #[error("this is your own key")]
    OwnKey,
    /// Pick another name.
    #[error("this name is already in use")]
    NameTaken,
    /// Pick a shorter name, of one line, that cannot be taken for a word or mark of the program.
    #[error("this name is empty, too long, reserved, or has characters that cannot be shown")]
    BadName,
    /// Send it in parts.
    #[error("this text is empty or too long for one message")]
    BadText,
    /// Unblock first.
    #[error("this contact is blocked")]
    Blocked,
    /// It has left, or ended, already.
    #[error("it is too late to do this with the message")]
    TooLate,
    /// Wait until some of what is queued has left, or remove something.
    #[error("there are already as many as allowed")]
    Full,
    /// Wait until both sides have heard each other, or compare the digits.
    #[error("there are no words to compare yet; you can compare the 60 digits")]
    NoSas,
    /// There is nothing to decide.
    #[error("sending to this contact is not paused")]
    NotOnHold,
    /// A relay holds no identity.
    #[error("this node is a relay and has no identity")]
    Relay,
}
