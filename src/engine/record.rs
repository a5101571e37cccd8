//! What must survive the process: typed records, and changes to them.
//!
//! The engine says what to keep; how it is laid out in bytes is the store's business.

use serde::{Deserialize, Serialize};

use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::env::{Seconds, UnixSeconds};
use crate::engine::envelope::{Lifetime, Topic};
use crate::engine::id::{ContactId, IdentityId, MessageId, OutgoingId, RequestId};
use crate::engine::secret::opaque_debug;
use crate::engine::session::{IDLE, Offer, OfferId, ReceivedOffer, Session, SessionId};

/// One durable change. A list of them takes effect whole or not at all.
#[derive(Clone, Debug)]
pub enum Change {
    /// Write this record, in place of the one with the same key.
    Put(Record),
    /// Erase the record with this key, if there is one.
    Erase(RecordKey),
    /// Erase every message of this conversation.
    EraseMessages(ContactId),
}

/// One thing to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// One of our identities.
    Identity(IdentityRecord),
    /// A person one of them knows.
    Contact(ContactRecord),
    /// One ratchet state.
    Session(SessionRecord),
    /// A stranger's offer that waits.
    Request(RequestRecord),
    /// An offer that was seen, so that its replay is recognised.
    Replay(ReplayRecord),
    /// A message of a conversation.
    Message(MessageRecord),
    /// An envelope of ours that is not done with.
    Outgoing(OutgoingRecord),
}

impl Record {
    /// Under which key it is kept.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        match self {
            Self::Identity(record) => RecordKey::Identity(record.id),
            Self::Contact(record) => RecordKey::Contact(record.id),
            Self::Session(record) => RecordKey::Session(record.session.id()),
            Self::Request(record) => RecordKey::Request(record.id),
            Self::Replay(record) => RecordKey::Replay(record.offer),
            Self::Message(record) => RecordKey::Message(record.id),
            Self::Outgoing(record) => RecordKey::Outgoing(record.id),
        }
    }
}

/// The name of one record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RecordKey {
    /// An [`IdentityRecord`].
    Identity(IdentityId),
    /// A [`ContactRecord`].
    Contact(ContactId),
    /// A [`SessionRecord`].
    Session(SessionId),
    /// A [`RequestRecord`].
    Request(RequestId),
    /// A [`ReplayRecord`].
    Replay(OfferId),
    /// A [`MessageRecord`].
    Message(MessageId),
    /// An [`OutgoingRecord`].
    Outgoing(OutgoingId),
}

impl core::fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Identity(_) => "RecordKey::Identity",
            Self::Contact(_) => "RecordKey::Contact",
            Self::Session(_) => "RecordKey::Session",
            Self::Request(_) => "RecordKey::Request",
            Self::Replay(_) => "RecordKey::Replay",
            Self::Message(_) => "RecordKey::Message",
            Self::Outgoing(_) => "RecordKey::Outgoing",
        })
    }
}

/// One of our identities. Holds a secret key.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct IdentityRecord {
    /// Its local name.
    pub id: IdentityId,
    /// What its owner calls it.
    pub name: String,
    /// The secret key.
    pub identity: Identity,
    /// When it was made. An offer from before that is a replay.
    pub created: UnixSeconds,
}

opaque_debug!(struct IdentityRecord { id, name, identity, created });

/// A person one of our identities knows, and the numbers of the conversation.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ContactRecord {
    /// Its local name.
    pub id: ContactId,
    /// Which of our identities knows them.
    pub identity: IdentityId,
    /// Their key.
    pub key: PublicKey,
    /// What we call them.
    pub petname: String,
    /// Whether we listen to them.
    pub state: ContactState,
    /// The numbers of what we send in this conversation.
    pub sent: SendSequence,
    /// Theirs, as far as they were received; the one heard last stands last. At most
    /// [`MAX_RECEIVE_SEQUENCES`].
    pub received: Vec<ReceiveSequence>,
    /// The offer that waits for an answer, to be sealed afresh until it comes.
    pub offer: Option<Box<PendingOffer>>,
    /// How sure we are that the key is theirs.
    pub trust: Trust,
    /// Whether they are told what was read, and what they tell is shown.
    pub read_receipts: bool,
    /// When this device took them over from a backup, until both have heard each other again.
    pub restored: Option<UnixSeconds>,
}

opaque_debug!(struct ContactRecord {
    id, identity, key, petname, state, sent, received, offer, trust, read_receipts, restored,
});

/// Whether we listen to a contact, and whether we want a session with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContactState {
    /// Yes: a session is made whenever there is none.
    Active,
    /// Closed by either side; opens with the next message or their next offer.
    Inactive,
    /// No.
    Blocked,
}

/// How sure the owner of a node is that a contact's key is the contact's. Never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trust {
    /// Nothing was compared.
    Unverified,
    /// The two of them compared, and it was the same.
    Verified {
        /// When, by the clock of this machine.
        at: UnixSeconds,
        /// What they compared.
        by: VerificationMethod,
    },
    /// Nothing is sent to them until a person decides.
    OnHold {
        /// Since when, by the clock of this machine.
        since: UnixSeconds,
        /// What happened.
        reason: HoldReason,
        /// Comparisons that failed since then and in this session.
        attempts: u8,
    },
}

impl Trust {
    /// Whether nothing may be sent.
    #[must_use]
    pub const fn is_on_hold(self) -> bool {
        match self {
            Self::OnHold { .. } => true,
            Self::Unverified | Self::Verified { .. } => false,
        }
    }

    /// When the key was verified, if it was.
    #[must_use]
    pub const fn verified_at(self) -> Option<UnixSeconds> {
        match self {
            Self::Verified { at, .. } => Some(at),
            Self::Unverified | Self::OnHold { .. } => None,
        }
    }
}

/// What two people compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerificationMethod {
    /// The words of a session.
    Sas,
    /// The safety number of their keys.
    SafetyNumber,
}

/// Why nothing is sent to a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldReason {
    /// Their key is another one than before.
    KeyChanged {
        /// When the key before it was verified, if it was.
        verified: Option<UnixSeconds>,
    },
    /// What they read out is not what this machine computed.
    Mismatch,
}

/// The numbers of what we send to one contact. A new epoch begins after a loss of state.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendSequence {
    /// A random number that names it.
    pub epoch: u64,
    /// The number of the next message.
    pub next: u64,
}

opaque_debug!(struct SendSequence { epoch, next });

/// How many epochs of one contact are remembered. A contact starts another one only after losing
/// its state, and the remains of the one before may still arrive; four are a guess with room.
pub const MAX_RECEIVE_SEQUENCES: usize = 4;

/// What has been received of one epoch of a contact.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveSequence {
    /// The random number that names it, chosen by the contact.
    pub epoch: u64,
    /// The lowest number not received yet.
    pub next: u64,
    /// Bit k: `next + 1 + k` was received.
    pub sack: u64,
    /// All below this number were seen by a person.
    pub read_up_to: u64,
}

opaque_debug!(struct ReceiveSequence { epoch, next, sack, read_up_to });

/// An offer of ours that was not answered yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingOffer {
    /// The offer; sealed anew each time it is sent.
    pub offer: Offer,
    /// How often it was sent.
    pub attempts: u32,
}

/// One session with one contact. Holds ratchet keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// With whom.
    pub contact: ContactId,
    /// The ratchet.
    pub session: Box<Session>,
}

/// A stranger's offer that waits for a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Its local name.
    pub id: RequestId,
    /// Which of our identities they ask.
    pub identity: IdentityId,
    /// The offer, opened and verified.
    pub offer: ReceivedOffer,
    /// When it arrived.
    pub arrived: UnixSeconds,
}

/// An offer that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayRecord {
    /// Which one.
    pub offer: OfferId,
    /// Until when a replay could still arrive.
    pub until: UnixSeconds,
}

/// How long a message that was not acknowledged is sent again by itself, from the first time it
/// left. A guess: as long as a session in which nothing is heard.
pub const RETRANSMIT_FOR: Seconds = IDLE;

/// A message of a conversation. Holds what was written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRecord {
    /// Its local name.
    pub id: MessageId,
    /// Whose conversation.
    pub contact: ContactId,
    /// Theirs or ours.
    pub direction: StoredDirection,
    /// Its number among the messages of its sender in this conversation; ours gets it when it is
    /// encrypted.
    pub number: Option<u64>,
    /// What was written, as it was written.
    pub text: String,
    /// When it was accepted or arrived.
    pub at: UnixSeconds,
    /// How many messages before this one are missing and no longer waited for.
    pub missing: u64,
    /// The session it came in, while that is not confirmed: until then somebody who stole our key
    /// could have written it.
    pub early: Option<SessionId>,
    /// How long what carries it is kept by those who carry it.
    pub lifetime: Lifetime,
    /// What became of it, and when; empty for theirs.
    pub delivery: DeliveryLog,
}

/// What became of a message of ours, and when, by the clock of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryLog {
    /// Envelopes that carried it into the flood, each encrypted afresh.
    pub attempts: u32,
    /// When the first of them left.
    pub first_sent: Option<UnixSeconds>,
    /// When the last of them left.
    pub last_sent: Option<UnixSeconds>,
    /// When the acknowledgement arrived.
    pub delivered: Option<UnixSeconds>,
    /// When the contact's read receipt arrived.
    pub read: Option<UnixSeconds>,
}

impl MessageRecord {
    /// A message of ours that was just accepted.
    pub(in crate::engine) fn outgoing(
        id: MessageId,
        contact: ContactId,
        text: String,
        lifetime: Lifetime,
        at: UnixSeconds,
    ) -> Self {
        Self {
            id,
            contact,
            direction: StoredDirection::Outgoing(MessageState::Queued),
            number: None,
            text,
            at,
            missing: 0,
            early: None,
            lifetime,
            delivery: DeliveryLog::default(),
        }
    }

    /// Whether a node takes it back at its start: it is not done with. The rest is history.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.direction.is_open(self.early.is_some())
    }
}

impl DeliveryLog {
    /// Notes that an envelope with the message left.
    pub(in crate::engine) fn record_transmission(&mut self, now: UnixSeconds) {
        self.attempts = self.attempts.saturating_add(1);
        self.first_sent.get_or_insert(now);
        self.last_sent = Some(now);
    }
}

impl core::fmt::Debug for MessageRecord {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            id: _,
            contact: _,
            direction,
            number: _,
            text,
            at: _,
            missing: _,
            early: _,
            lifetime: _,
            delivery: _,
        } = self;
        f.debug_struct("MessageRecord")
            .field("direction", direction)
            .field("bytes", &text.len())
            .finish()
    }
}

/// Who wrote a stored message, and what is left to do with it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredDirection {
    /// We did.
    Outgoing(MessageState),
    /// The contact did, and it was shown.
    Delivered,
    /// The contact did, and it waits for the messages before it.
    Buffered {
        /// The epoch it belongs to.
        epoch: u64,
    },
}

impl StoredDirection {
    /// Whether a message that is so is not done with: ours until it is delivered, one that waits for
    /// others before it, and one that came `early` until its session is confirmed.
    #[must_use]
    #[expect(clippy::fn_params_excessive_bools, reason = "one flag, named where it is stored")]
    pub const fn is_open(self, early: bool) -> bool {
        match self {
            Self::Buffered { .. } => true,
            Self::Outgoing(state) => !state.is_final(),
            Self::Delivered => early,
        }
    }

    /// Whether a stored message may be replaced by one that is so. [`MessageState::may_become`]
    /// decides about ours, which may also stay as they are; theirs are shown once.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        match (self, to) {
            (Self::Outgoing(from), Self::Outgoing(to)) => from == to || from.may_become(to),
            (Self::Buffered { .. }, Self::Buffered { .. } | Self::Delivered)
            | (Self::Delivered, Self::Delivered) => true,
            (Self::Outgoing(_), Self::Delivered | Self::Buffered { .. })
            | (Self::Delivered | Self::Buffered { .. }, Self::Outgoing(_))
            | (Self::Delivered, Self::Buffered { .. }) => false,
        }
    }
}

impl core::fmt::Debug for StoredDirection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Outgoing(state) => write!(f, "Outgoing({state:?})"),
            Self::Delivered => f.write_str("Delivered"),
            Self::Buffered { epoch: _ } => f.write_str("Buffered"),
        }
    }
}

/// An envelope of ours that is not done with: encrypted once, never again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingRecord {
    /// Its local name.
    pub id: OutgoingId,
    /// What it carries.
    pub purpose: EnvelopePurpose,
    /// Where its recipient waits for it.
    pub topic: Topic,
    /// The sealed body.
    pub body: Vec<u8>,
    /// How long it is to live.
    pub ttl: Seconds,
    /// The canonical encoding, once its work is done.
    pub envelope: Option<Vec<u8>>,
}

impl core::fmt::Debug for OutgoingRecord {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { id: _, purpose: _, topic: _, body, ttl: _, envelope } = self;
        f.debug_struct("OutgoingRecord")
            .field("bytes", &body.len())
            .field("mined", &envelope.is_some())
            .finish()
    }
}

/// What an envelope of ours carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvelopePurpose {
    /// An offer to this contact.
    Offer(ContactId),
    /// A message to this contact.
    Message(ContactId, MessageId),
    /// An answer, an acknowledgement or a farewell to this contact.
    Control(ContactId),
    /// Nothing, for nobody.
    Junk,
}

impl EnvelopePurpose {
    /// Whether an envelope has to do with a contact.
    pub(in crate::engine) fn concerns(self, contact: ContactId) -> bool {
        match self {
            Self::Offer(other) | Self::Control(other) | Self::Message(other, _) => other == contact,
            Self::Junk => false,
        }
    }
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

    /// Whether it has not left this machine and is on its way to.
    #[must_use]
    pub const fn is_unsent(self) -> bool {
        matches!(self, Self::Queued | Self::Mining)
    }

    /// Whether it left and is sent again until it is acknowledged.
    #[must_use]
    pub const fn awaits_ack(self) -> bool {
        matches!(self, Self::Sent | Self::Unacknowledged)
    }

    /// Whether it goes on by itself until it is delivered.
    #[must_use]
    pub const fn awaits_delivery(self) -> bool {
        self.is_unsent() || self.awaits_ack()
    }

    /// Whether the node is done with it after a restart: a failed one may still be sent again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Read)
    }

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
        // A late read receipt moves by delivered.
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
