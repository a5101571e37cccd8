//! Durable state: typed records, and changes to them.
//!
//! The engine says what to keep; its layout in bytes is the store's business.

use serde::{Deserialize, Serialize};

use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::env::{Seconds, UnixSeconds};
use crate::engine::envelope::{Postage, Topic};
use crate::engine::id::{ContactId, IdentityId, MessageId, OutgoingId, RequestId};
use crate::engine::price::{ShownWork, Step};
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

/// One durable record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// One of our identities.
    Identity(IdentityRecord),
    /// A contact of one of them.
    Contact(ContactRecord),
    /// One ratchet state.
    Session(SessionRecord),
    /// A stranger's request.
    Request(RequestRecord),
    /// An offer that was seen, so that its replay is recognised.
    Replay(ReplayRecord),
    /// A message of a conversation.
    Message(MessageRecord),
    /// An envelope of ours that is not done with.
    Outgoing(OutgoingRecord),
}

impl Record {
    /// The key it is kept under.
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

/// The key of one record.
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
    /// Its local id.
    pub id: IdentityId,
    /// The local name its owner gave it.
    pub name: String,
    /// The secret key.
    pub identity: Identity,
    /// When it was made. An offer from before that is a replay.
    pub created: UnixSeconds,
}

opaque_debug!(struct IdentityRecord { id, name, identity, created });

/// A contact, with the numbers of the conversation.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredContact", into = "StoredContact")]
pub struct ContactRecord {
    /// Its local id.
    pub id: ContactId,
    /// Our identity that they belong to.
    pub identity: IdentityId,
    /// Their key.
    pub key: PublicKey,
    /// Their local name.
    pub petname: String,
    /// Active, inactive or blocked.
    pub state: ContactState,
    /// The numbers of our messages in this conversation.
    pub sent: SendSequence,
    /// The numbers of their messages received, by epoch; the epoch used last stands last. At most
    /// [`MAX_RECEIVE_SEQUENCES`].
    pub received: Vec<ReceiveSequence>,
    /// Our offer that waits for an answer; sealed afresh each time it is sent.
    pub offer: Option<Box<PendingOffer>>,
    /// Our trust that the key is theirs.
    pub trust: Trust,
    /// Whether read receipts are exchanged with them.
    pub read_receipts: bool,
    /// When this device restored them from a backup; `None` again once a confirmed session brings a
    /// message from them.
    pub restored: Option<UnixSeconds>,
    /// The highest step to pay for what goes to them; `None`: as the node's settings say.
    pub highest: Option<Step>,
}

opaque_debug!(struct ContactRecord {
    id, identity, key, petname, state, sent, received, offer, trust, read_receipts, restored,
    highest,
});

/// A contact as homes store it.
#[derive(Clone, Serialize, Deserialize)]
struct StoredContact {
    id: ContactId,
    identity: IdentityId,
    key: PublicKey,
    petname: String,
    state: StoredContactState,
    sent: SendSequence,
    received: Vec<ReceiveSequence>,
    offer: Option<Box<PendingOffer>>,
    trust: Trust,
    read_receipts: bool,
    restored: Option<UnixSeconds>,
}

/// The state of a contact as homes store it. The first three are older than prices; the others are
/// those of contacts with a highest step of their own.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum StoredContactState {
    Active,
    Inactive,
    Blocked,
    ActiveUpTo(u8),
    InactiveUpTo(u8),
    BlockedUpTo(u8),
}

impl StoredContactState {
    const fn of(state: ContactState, highest: Option<Step>) -> Self {
        match (state, highest) {
            (ContactState::Active, None) => Self::Active,
            (ContactState::Inactive, None) => Self::Inactive,
            (ContactState::Blocked, None) => Self::Blocked,
            (ContactState::Active, Some(step)) => Self::ActiveUpTo(step.get()),
            (ContactState::Inactive, Some(step)) => Self::InactiveUpTo(step.get()),
            (ContactState::Blocked, Some(step)) => Self::BlockedUpTo(step.get()),
        }
    }

    fn parts(self) -> (ContactState, Option<Step>) {
        let up_to = |step| Some(Step::new(step));
        match self {
            Self::Active => (ContactState::Active, None),
            Self::Inactive => (ContactState::Inactive, None),
            Self::Blocked => (ContactState::Blocked, None),
            Self::ActiveUpTo(step) => (ContactState::Active, up_to(step)),
            Self::InactiveUpTo(step) => (ContactState::Inactive, up_to(step)),
            Self::BlockedUpTo(step) => (ContactState::Blocked, up_to(step)),
        }
    }
}

impl From<StoredContact> for ContactRecord {
    fn from(stored: StoredContact) -> Self {
        let StoredContact {
            id,
            identity,
            key,
            petname,
            state,
            sent,
            received,
            offer,
            trust,
            read_receipts,
            restored,
        } = stored;
        let (state, highest) = state.parts();
        Self {
            id,
            identity,
            key,
            petname,
            state,
            sent,
            received,
            offer,
            trust,
            read_receipts,
            restored,
            highest,
        }
    }
}

impl From<ContactRecord> for StoredContact {
    fn from(record: ContactRecord) -> Self {
        let ContactRecord {
            id,
            identity,
            key,
            petname,
            state,
            sent,
            received,
            offer,
            trust,
            read_receipts,
            restored,
            highest,
        } = record;
        let state = StoredContactState::of(state, highest);
        Self {
            id,
            identity,
            key,
            petname,
            state,
            sent,
            received,
            offer,
            trust,
            read_receipts,
            restored,
        }
    }
}

/// Whether we receive from a contact, and whether we keep a session with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContactState {
    /// We do, and offer a session whenever one is needed.
    Active,
    /// We do. Closed by either side; a session begins with the next message or their next offer.
    Inactive,
    /// We ignore them.
    Blocked,
}

/// The owner's trust that a contact's key is the contact's. Never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trust {
    /// Nothing was compared.
    Unverified,
    /// The two of them compared words or digits, which were the same.
    Verified {
        /// When, by the clock of this machine.
        at: UnixSeconds,
        /// The method of comparison.
        by: VerificationMethod,
    },
    /// Sending is on hold until a person decides.
    OnHold {
        /// Since when, by the clock of this machine.
        since: UnixSeconds,
        /// The reason.
        reason: HoldReason,
        /// Comparisons that failed since then and in this session.
        attempts: u8,
    },
}

impl Trust {
    /// Whether sending is on hold.
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

/// The method by which two people compared keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerificationMethod {
    /// The words of a session.
    Sas,
    /// The safety number of their keys.
    SafetyNumber,
}

/// The reason for a hold on sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldReason {
    /// Their key was replaced.
    KeyChanged {
        /// When the key before it was verified, if it was.
        verified: Option<UnixSeconds>,
    },
    /// A comparison failed.
    Mismatch,
}

/// The numbers of our messages to one contact. A new epoch begins after a loss of state.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendSequence {
    /// A random number that names it.
    pub epoch: u64,
    /// The number of the next message.
    pub next: u64,
}

opaque_debug!(struct SendSequence { epoch, next });

/// Epochs of one contact that are remembered. A contact begins another one only after losing its
/// state, and messages of the one before may still arrive; four are a guess with room.
pub const MAX_RECEIVE_SEQUENCES: usize = 4;

/// The numbers received in one epoch of a contact.
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
    /// Sendings so far.
    pub attempts: u32,
}

/// One session with one contact. Holds ratchet keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The contact.
    pub contact: ContactId,
    /// The ratchet.
    pub session: Box<Session>,
}

/// A stranger's offer that waits for a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredRequest", into = "StoredRequest")]
pub struct RequestRecord {
    /// Its local id.
    pub id: RequestId,
    /// Our identity that the offer is for.
    pub identity: IdentityId,
    /// The offer, opened and verified.
    pub offer: ReceivedOffer,
    /// When it arrived.
    pub arrived: UnixSeconds,
    /// The work that its envelope showed; of several, the most.
    pub work: ShownWork,
}

/// A request as homes store it.
#[derive(Clone, Serialize, Deserialize)]
struct StoredRequest {
    id: RequestId,
    identity: IdentityId,
    offer: ReceivedOffer,
    /// When it arrived; above those 48 bits, its work. Homes of earlier builds do not know that.
    arrived: u64,
}

impl From<StoredRequest> for RequestRecord {
    fn from(stored: StoredRequest) -> Self {
        let StoredRequest { id, identity, offer, arrived } = stored;
        let number = u16::try_from(arrived >> ARRIVAL_BITS).unwrap_or(u16::MAX);
        let work = ShownWork::from_number(number);
        let arrived = UnixSeconds(arrived & ((1 << ARRIVAL_BITS) - 1));
        Self { id, identity, offer, arrived, work }
    }
}

impl From<RequestRecord> for StoredRequest {
    fn from(record: RequestRecord) -> Self {
        let RequestRecord { id, identity, offer, arrived, work } = record;
        let arrived = arrived.0.min((1 << ARRIVAL_BITS) - 1);
        let arrived = u64::from(work.to_number()) << ARRIVAL_BITS | arrived;
        Self { id, identity, offer, arrived }
    }
}

/// Bits of a time of arrival: enough for nine million years.
const ARRIVAL_BITS: u32 = 48;

/// An offer that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayRecord {
    /// The offer.
    pub offer: OfferId,
    /// The time until which a replay could still arrive.
    pub until: UnixSeconds,
}

/// How long an unacknowledged message is sent again by itself, from its first sending on. A guess:
/// as long as an idle session is kept.
pub const RETRANSMIT_FOR: Seconds = IDLE;

/// A message of a conversation. Holds plaintext.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRecord {
    /// Its local id.
    pub id: MessageId,
    /// The conversation's contact.
    pub contact: ContactId,
    /// Incoming or outgoing, with its state.
    pub direction: StoredDirection,
    /// Its number among the messages of its sender in this conversation; ours gets it when it is
    /// encrypted.
    pub number: Option<u64>,
    /// The text, as it was written.
    pub text: String,
    /// When it was accepted or arrived.
    pub at: UnixSeconds,
    /// How many messages before this one are missing and given up.
    pub missing: u64,
    /// The session it came in, while that is not confirmed: until then a thief of our key could
    /// have written it.
    pub early: Option<SessionId>,
    /// How long its envelopes live, and what each may cost.
    pub postage: Postage,
    /// The times of its delivery; empty for incoming ones.
    pub delivery: DeliveryLog,
}

/// The delivery log of a message of ours, by the clock of this machine.
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
    /// A message of ours that was just written.
    pub(in crate::engine) fn outgoing(
        id: MessageId,
        contact: ContactId,
        text: String,
        postage: Postage,
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
            postage,
            delivery: DeliveryLog::default(),
        }
    }

    /// Notes that a person wants it sent again, if it left and was not acknowledged. The next sending
    /// makes it as any other.
    pub(in crate::engine) fn ask_again(&mut self) {
        if self.direction == StoredDirection::Outgoing(MessageState::Unacknowledged) {
            self.direction = StoredDirection::AskedAgain;
        }
    }

    /// Whether a node loads it at its start: it is not done with. The rest is history.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.direction.is_open(self.early.is_some())
    }
}

impl DeliveryLog {
    /// Notes that an envelope with the message was published.
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
            postage: _,
            delivery: _,
        } = self;
        f.debug_struct("MessageRecord")
            .field("direction", direction)
            .field("bytes", &text.len())
            .finish()
    }
}

/// The direction of a stored message, and its state.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredDirection {
    /// We wrote it.
    Outgoing(MessageState),
    /// The contact wrote it, and it was shown.
    Delivered,
    /// The contact wrote it, and it waits for the messages before it.
    Buffered {
        /// The epoch it belongs to.
        epoch: u64,
    },
    /// We wrote it, it left and nobody acknowledged it, and a person wants it sent again, which has
    /// not happened yet: a restart does not forget that.
    AskedAgain,
}

impl StoredDirection {
    /// Whether such a message is not done with: ours until it is delivered, a buffered one, and one
    /// that came `early` until its session is confirmed.
    #[must_use]
    #[expect(clippy::fn_params_excessive_bools, reason = "one flag, named where it is stored")]
    pub const fn is_open(self, early: bool) -> bool {
        match self {
            Self::Buffered { .. } | Self::AskedAgain => true,
            Self::Outgoing(state) => !state.is_final(),
            Self::Delivered => early,
        }
    }

    /// Whether a stored message may be replaced by one of that direction.
    /// [`MessageState::may_become`] decides about ours, which may also stay as they are; theirs are
    /// shown once.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        match (self.state(), to.state()) {
            (Some(from), Some(to)) => from == to || from.may_become(to),
            (Some(_), None) | (None, Some(_)) => false,
            (None, None) => self != Self::Delivered || to == Self::Delivered,
        }
    }

    /// The state of a message of ours.
    #[must_use]
    pub const fn state(self) -> Option<MessageState> {
        match self {
            Self::Outgoing(state) => Some(state),
            Self::AskedAgain => Some(MessageState::Unacknowledged),
            Self::Delivered | Self::Buffered { .. } => None,
        }
    }
}

impl core::fmt::Debug for StoredDirection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Outgoing(state) => write!(f, "Outgoing({state:?})"),
            Self::Delivered => f.write_str("Delivered"),
            Self::Buffered { epoch: _ } => f.write_str("Buffered"),
            Self::AskedAgain => f.write_str("AskedAgain"),
        }
    }
}

/// An envelope of ours that is not done with: encrypted once, never again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingRecord {
    /// Its local id.
    pub id: OutgoingId,
    /// Its purpose.
    pub purpose: EnvelopePurpose,
    /// The topic its recipient watches.
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

/// The purpose of an envelope of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvelopePurpose {
    /// An offer to this contact.
    Offer(ContactId),
    /// A message to this contact.
    Message(ContactId, MessageId),
    /// An answer, an acknowledgement or a farewell to this contact.
    Control(ContactId),
    /// Junk.
    Junk,
}

impl EnvelopePurpose {
    /// The contact that an envelope is for.
    pub(in crate::engine) const fn contact(self) -> Option<ContactId> {
        match self {
            Self::Offer(contact) | Self::Control(contact) | Self::Message(contact, _) => {
                Some(contact)
            }
            Self::Junk => None,
        }
    }

    /// Whether an envelope is for this contact.
    pub(in crate::engine) fn concerns(self, contact: ContactId) -> bool {
        self.contact() == Some(contact)
    }
}

/// The state of a message of ours.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum MessageState {
    /// Stored, not encrypted yet.
    Queued,
    /// Encrypted; its work is being searched for.
    Mining,
    /// At least one neighbour took it.
    Sent,
    /// The contact acknowledged it.
    Delivered,
    /// It did not leave this machine and will not by itself.
    Failed,
    /// Withdrawn before it left.
    Cancelled,
    /// Published, expired everywhere and not acknowledged. It may have been received.
    Unacknowledged,
    /// The contact sent a read receipt for it. Only if both turned that on.
    Read,
}

impl MessageState {
    /// All states, in the order of their stored numbers.
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

    /// Whether it was not published and is on its way to be.
    #[must_use]
    pub const fn is_unsent(self) -> bool {
        matches!(self, Self::Queued | Self::Mining)
    }

    /// Whether it was published and is sent again until it is acknowledged.
    #[must_use]
    pub const fn awaits_ack(self) -> bool {
        matches!(self, Self::Sent | Self::Unacknowledged)
    }

    /// Whether it is sent, for the first time or again, until it is delivered.
    #[must_use]
    pub const fn awaits_delivery(self) -> bool {
        self.is_unsent() || self.awaits_ack()
    }

    /// Whether the node is done with it after a restart. A failed one is not: it may still be sent.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Read)
    }

    /// Whether a message in this state has come as far as `wanted`, on its way to be read.
    #[must_use]
    pub const fn has_reached(self, wanted: Self) -> bool {
        match wanted {
            Self::Queued => true,
            Self::Mining => !matches!(self, Self::Queued),
            Self::Sent => self.awaits_ack() || self.is_final(),
            Self::Delivered => self.is_final(),
            Self::Read => matches!(self, Self::Read),
            Self::Unacknowledged => matches!(self, Self::Unacknowledged),
            Self::Failed => matches!(self, Self::Failed),
            Self::Cancelled => matches!(self, Self::Cancelled),
        }
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
            // Never back to a state that says it stayed here: others may have it.
            Self::Sent => matches!(to, Self::Delivered | Self::Unacknowledged),
            // A late acknowledgement counts, and it may be sent again.
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
    fn what_a_message_has_reached_is_every_step_before_it_on_its_way() {
        let reached =
            |wanted: MessageState| ALL.into_iter().filter(move |at| at.has_reached(wanted));
        let reached = |wanted| reached(wanted).collect::<Vec<_>>();
        assert_eq!(reached(Queued), ALL);
        assert_eq!(reached(Mining), ALL[1..]);
        assert_eq!(reached(Sent), [Sent, Unacknowledged, Delivered, Read]);
        assert_eq!(reached(Delivered), [Delivered, Read]);
        for last in [Read, Unacknowledged, Failed, Cancelled] {
            assert_eq!(reached(last), [last]);
        }
    }

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
    fn a_sent_message_never_counts_as_unsent_and_a_delivered_one_never_gets_worse() {
        for left in [Sent, Unacknowledged, Delivered, Read] {
            for stayed in [Queued, Mining, Failed, Cancelled] {
                assert!(!reached(left).contains(&stayed), "{left:?} came to {stayed:?}");
            }
        }
        assert_eq!(reached(Delivered), [Delivered, Read]);
    }
}
