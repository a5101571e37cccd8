//! What a node tells unasked, and how its owner sees identities, contacts, requests and messages.

use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{Half, SasWord, WORDS_PER_HALF};
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::record::{
    DeliveryLog, MessageRecord, MessageState, RETRANSMIT_FOR, RequestRecord, StoredDirection, Trust,
};
use crate::engine::secret::opaque_debug;
use crate::engine::text::UntrustedText;

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
    pub lifetime: Lifetime,
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

impl MessageView {
    /// Until when it is sent again by itself, ever more rarely; nothing if it is not, or not yet.
    #[must_use]
    pub fn retransmits_until(&self) -> Option<UnixSeconds> {
        match self.direction {
            Direction::Outgoing(MessageState::Sent | MessageState::Unacknowledged) => {
                // What was given up has no number any more.
                self.number.and(self.delivery.first_sent).map(|first| first.plus(RETRANSMIT_FOR))
            }
            Direction::Outgoing(
                MessageState::Queued
                | MessageState::Mining
                | MessageState::Delivered
                | MessageState::Read
                | MessageState::Failed
                | MessageState::Cancelled,
            )
            | Direction::Incoming => None,
        }
    }
}

impl MessageRecord {
    /// The message as the owner of the conversation sees it.
    #[must_use]
    pub fn view(&self) -> MessageView {
        MessageView {
            id: self.id,
            contact: self.contact,
            direction: match self.direction {
                StoredDirection::Outgoing(state) => Direction::Outgoing(state),
                StoredDirection::Delivered | StoredDirection::Buffered { .. } => {
                    Direction::Incoming
                }
            },
            number: self.number,
            text: UntrustedText::new(self.text.clone()),
            at: self.at,
            missing: self.missing,
            early: self.early.is_some(),
            lifetime: self.lifetime,
            delivery: self.delivery,
        }
    }
}

impl RequestRecord {
    /// The request as the owner of the identity sees it.
    #[must_use]
    pub fn view(&self) -> RequestView {
        RequestView {
            id: self.id,
            identity: self.identity,
            key: self.offer.from(),
            arrived: self.arrived,
        }
    }
}
