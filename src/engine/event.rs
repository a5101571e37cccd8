//! Events, and the views of identities, contacts, requests and messages that they carry.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{Half, SasWord, WORDS_PER_HALF};
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::price::{ShownWork, Step};
use crate::engine::record::{
    DeliveryLog, MessageRecord, MessageState, RETRANSMIT_FOR, RequestRecord, Trust,
};
use crate::engine::secret::opaque_debug;
use crate::engine::text::UntrustedText;

/// An event: a change of state that front ends show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An identity was made.
    Identity(IdentityView),
    /// An identity was erased.
    IdentityRemoved(IdentityId),
    /// A contact was added or changed, or its session did.
    Contact(Box<ContactView>),
    /// A contact was removed.
    ContactRemoved(ContactId),
    /// A stranger made an offer. Nothing was sent back.
    Request(RequestView),
    /// A request was accepted, declined or has expired.
    RequestRemoved(RequestId),
    /// A message was accepted from us or arrived from a contact.
    Message(MessageView),
    /// A message of ours changed its state.
    State {
        /// The message.
        message: MessageId,
        /// The conversation's contact.
        contact: ContactId,
        /// Its number, once it has one.
        number: Option<u64>,
        /// Its state.
        state: MessageState,
        /// Whether it is in the flood for less than is asked ([`MessageView::is_not_for_long`]).
        not_for_long: bool,
        /// Its times so far.
        delivery: DeliveryLog,
    },
    /// A contact's early message is theirs without doubt: they confirmed its session.
    Confirmed {
        /// The message.
        message: MessageId,
        /// The conversation's contact.
        contact: ContactId,
    },
}

/// An identity as a front end shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityView {
    /// Its local id.
    pub id: IdentityId,
    /// The local name its owner gave it.
    pub name: String,
    /// Its public key.
    pub key: PublicKey,
}

opaque_debug!(struct IdentityView { id, name, key });

/// A contact as a front end shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct ContactView {
    /// Its local id.
    pub id: ContactId,
    /// Our identity that they belong to.
    pub identity: IdentityId,
    /// Their local name.
    pub petname: String,
    /// Their key.
    pub key: PublicKey,
    /// The progress of the handshake.
    pub session: SessionStatus,
    /// Our trust that the key is theirs.
    pub trust: Trust,
    /// The safety number, which they see too if each has the other's true key.
    pub safety_number: SafetyNumber,
    /// Our half of the words, once there are any.
    pub sas: Option<SasHalf>,
    /// How many of their messages are known to exist and have not arrived. Every acknowledgement
    /// asks for them again.
    pub missing: u64,
    /// Whether read receipts are exchanged with them.
    pub read_receipts: bool,
    /// When this device restored them from a backup; `None` again once a confirmed session brings a
    /// message from them.
    pub restored: Option<UnixSeconds>,
    /// The highest step that is paid for what goes to them, if it is not that of the node's settings.
    /// A message may have one of its own.
    pub highest: Option<Step>,
    /// Whether our next message to them may leave before they answer.
    pub room: SendRoom,
    /// What waits for a lower price.
    pub waiting: Arc<BTreeSet<HeldBack>>,
    /// What may cost what is asked, and waits its turn: it leaves one by one.
    pub in_line: Arc<BTreeSet<HeldBack>>,
    /// When the node looks at the price of these next: the first that may be paid for leaves then.
    pub next_look: Option<UnixSeconds>,
}

opaque_debug!(struct ContactView {
    id, identity, petname, key, session, trust, safety_number, sas, missing, read_receipts, restored,
    highest, room, waiting, in_line, next_look,
});

/// Whether another message to a contact may leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendRoom {
    /// It may, or none is queued.
    #[default]
    Free,
    /// So many are not acknowledged that the queued ones wait until the contact answers.
    Full,
}

/// Something of ours to a contact that is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeldBack {
    /// The offer of a session, which lives so long. Whatever needs the session waits behind it.
    Request(Lifetime),
    /// The messages that were never encrypted.
    Messages,
    /// A message that was encrypted: most often one that was sent and is to be sent again.
    Again(MessageId),
    /// An answer to their offer, an acknowledgement or a farewell.
    Answers,
}

/// What something that is held back waits for, by the price that was heard last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// A lower price: more is asked than may be paid for it.
    Price,
    /// Its turn: it may be paid for, and what is for its contact leaves one by one.
    Turn,
    /// An acknowledgement of earlier messages: so many have none that no further one leaves.
    Acknowledgement,
}

impl ContactView {
    /// What holds a message of ours to them back; `None` if nothing of this kind does.
    #[must_use]
    pub fn waits_for(&self, message: &MessageView) -> Option<WaitsFor> {
        if self.room == SendRoom::Full && message.is_queued() {
            return Some(WaitsFor::Acknowledgement);
        }
        self.waits(|what| match message.direction {
            Direction::Outgoing(MessageState::Queued) => what == HeldBack::Messages,
            Direction::Outgoing(MessageState::Mining | MessageState::Sent) => {
                what == HeldBack::Again(message.id)
            }
            Direction::Outgoing(MessageState::Unacknowledged) => {
                what == HeldBack::Again(message.id)
                    || (message.is_queued() && what == HeldBack::Messages)
            }
            Direction::Outgoing(
                MessageState::Delivered
                | MessageState::Read
                | MessageState::Failed
                | MessageState::Cancelled,
            )
            | Direction::Incoming => false,
        })
    }

    /// What holds back what goes to them in answer: acknowledgements and answers.
    #[must_use]
    pub fn answers_wait_for(&self) -> Option<WaitsFor> {
        self.waits(|what| what == HeldBack::Answers)
    }

    fn waits(&self, is_it: impl Fn(HeldBack) -> bool) -> Option<WaitsFor> {
        let among = |held: &BTreeSet<HeldBack>| held.iter().any(|what| is_it(*what));
        if among(&self.waiting) {
            return Some(WaitsFor::Price);
        }
        among(&self.in_line).then_some(WaitsFor::Turn)
    }

    /// The lifetime of our request to them, if that waits for a lower price.
    #[must_use]
    pub fn waiting_request(&self) -> Option<Lifetime> {
        self.waiting.iter().find_map(|waiting| match waiting {
            HeldBack::Request(lifetime) => Some(*lifetime),
            HeldBack::Messages | HeldBack::Again(_) | HeldBack::Answers => None,
        })
    }
}

/// The half of a session's words that we read out. The contact reads us the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SasHalf {
    /// The half: the side that offered the session reads the first.
    pub half: Half,
    /// The words.
    pub words: [SasWord; WORDS_PER_HALF],
}

/// The progress of a contact's handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// No session, and none is being made.
    None,
    /// Our offer is being made ready.
    OfferQueued,
    /// Our offer was sent; they have not answered.
    OfferSent,
    /// Their offer is accepted; our answer is on its way, or they have not confirmed it.
    AwaitingConfirmation,
    /// A session is confirmed.
    Established,
    /// Blocked.
    Blocked,
}

/// A stranger's request, as a front end shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestView {
    /// Its local id.
    pub id: RequestId,
    /// Our identity that the offer is for.
    pub identity: IdentityId,
    /// The key its maker proved to hold.
    pub key: PublicKey,
    /// When it arrived here.
    pub arrived: UnixSeconds,
    /// The work that its envelope showed.
    pub work: ShownWork,
}

/// A message as a front end shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    /// Its local id.
    pub id: MessageId,
    /// The conversation's contact.
    pub contact: ContactId,
    /// Incoming, or outgoing with its state.
    pub direction: Direction,
    /// Its number among the messages of its sender in this conversation, from 0; ours gets it when
    /// it is encrypted.
    pub number: Option<u64>,
    /// The text as it came: it passes the sanitizer of a sink before anyone sees it.
    pub text: UntrustedText,
    /// When it was written here or arrived here.
    pub at: UnixSeconds,
    /// How many of the sender's messages before this one are missing and given up.
    pub missing: u64,
    /// Whether it came in an unconfirmed session: a thief of our key could have written it.
    pub early: bool,
    /// How long its envelopes live.
    pub lifetime: Lifetime,
    /// The highest step that is paid for each of them, if the writer said one.
    pub highest: Option<Step>,
    /// The times of its delivery; empty for incoming ones.
    pub delivery: DeliveryLog,
}

/// The direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// We wrote it.
    Outgoing(MessageState),
    /// The contact wrote it.
    Incoming,
}

impl MessageView {
    /// Whether it waits in the queue: it was never sent, or was given up and is to be sent as another
    /// one.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        match self.direction {
            Direction::Outgoing(MessageState::Queued) => true,
            Direction::Outgoing(MessageState::Unacknowledged) => {
                self.number.is_none() && self.delivery.first_sent.is_none()
            }
            Direction::Outgoing(
                MessageState::Mining
                | MessageState::Sent
                | MessageState::Delivered
                | MessageState::Read
                | MessageState::Failed
                | MessageState::Cancelled,
            )
            | Direction::Incoming => false,
        }
    }

    /// The time until which it is sent again by itself, ever more rarely; `None` if it is not, or
    /// not yet.
    #[must_use]
    pub fn retransmits_until(&self) -> Option<UnixSeconds> {
        match self.direction {
            Direction::Outgoing(MessageState::Sent | MessageState::Unacknowledged) => {
                let DeliveryLog { first_sent, last_sent, .. } = self.delivery;
                // As the schedule has it: under a clock of 1970 nothing begins.
                let first = first_sent.filter(|first| first.is_credible());
                // An abandoned message has no number any more.
                let began = self.number.and(first.or(last_sent).or(first_sent));
                began.map(|began| began.plus(RETRANSMIT_FOR))
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

    /// Whether its last envelope, which no acknowledgement has come for, is in the flood and was not
    /// promised its whole life: the price rose above what it may cost while its work was searched
    /// for. It is sent again by itself.
    #[must_use]
    pub fn is_not_for_long(&self, now: UnixSeconds) -> bool {
        let lives = |sent: UnixSeconds| sent.plus(self.lifetime.ttl()) > now;
        self.direction == Direction::Outgoing(MessageState::Unacknowledged)
            && self.delivery.delivered.is_none()
            && self.retransmits_until().is_some()
            && self.delivery.last_sent.is_some_and(lives)
    }

    /// Whether a message of ours has come as far as `wanted`, on its way to be read. What is in the
    /// flood and not for long counts as sent only once it was sent again for what is asked.
    #[must_use]
    pub fn has_reached(&self, wanted: MessageState, now: UnixSeconds) -> bool {
        match self.direction {
            Direction::Incoming => false,
            Direction::Outgoing(state) => {
                let is_promised = wanted != MessageState::Sent || !self.is_not_for_long(now);
                state.has_reached(wanted) && is_promised
            }
        }
    }
}

impl MessageRecord {
    /// The message as a front end shows it.
    #[must_use]
    pub fn view(&self) -> MessageView {
        MessageView {
            id: self.id,
            contact: self.contact,
            direction: self.direction.state().map_or(Direction::Incoming, Direction::Outgoing),
            number: self.number,
            text: UntrustedText::new(self.text.clone()),
            at: self.at,
            missing: self.missing,
            early: self.early.is_some(),
            lifetime: self.postage.lifetime,
            highest: self.postage.highest,
            delivery: self.delivery,
        }
    }
}

impl RequestRecord {
    /// The request as a front end shows it.
    #[must_use]
    pub fn view(&self) -> RequestView {
        RequestView {
            id: self.id,
            identity: self.identity,
            key: self.offer.from(),
            arrived: self.arrived,
            work: self.work,
        }
    }
}
