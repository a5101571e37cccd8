//! The forms in which the values of the client interface are written: ids and keys as hexadecimal
//! digits, times in UTC as ISO 8601 writes them, states as the stable words that scripts read.
//!
//! Each view has a struct of plain fields here, which serde knows, and is turned into it and back.

use std::collections::BTreeSet;
use std::sync::Arc;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};

use super::words::{
    lifetime_name, lifetime_named, session_named, session_word, state_named, state_word,
};
use super::{Contact, Identity, Message, Request};
use crate::engine::crypto::invite;
use crate::engine::crypto::keys::PublicKey;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{Half, SasWord, WORDS_PER_HALF};
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::event::{
    ContactView, Direction, HeldBack, IdentityView, MessageView, RequestView, SasHalf, SendRoom,
    SessionStatus, WaitsFor,
};
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::price::{ShownWork, Step};
use crate::engine::record::{DeliveryLog, HoldReason, MessageState, Trust, VerificationMethod};
use crate::engine::text::UntrustedText;
use crate::shell::calendar;
use crate::shell::os::clock::wall;

/// A value on the wire is none of the kind that its place asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {0}")]
pub struct WireError(&'static str);

/// An id that is written as 16 hexadecimal digits. Numbers would lose digits in programs that read
/// them as doubles.
pub(super) trait LocalId: Copy {
    /// The id with this number.
    fn of(number: u64) -> Self;
    /// Its number.
    fn number(self) -> u64;
}

macro_rules! local_ids {
    ($($name:ident),+) => {
        $(impl LocalId for $name {
            fn of(number: u64) -> Self {
                Self(number)
            }

            fn number(self) -> u64 {
                self.0
            }
        })+
    };
}

impl LocalId for u64 {
    fn of(number: u64) -> Self {
        number
    }

    fn number(self) -> u64 {
        self
    }
}

local_ids!(IdentityId, ContactId, RequestId, MessageId);

/// The digits of an id.
pub(super) fn digits(id: impl LocalId) -> String {
    format!("{:016x}", id.number())
}

/// The id of 16 digits.
pub(super) fn parse_id<T: LocalId>(text: &str) -> Option<T> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    Some(T::of(u64::from_be_bytes(bytes.try_into().ok()?)))
}

/// For `#[serde(with)]`: an id.
pub(super) mod id {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::{LocalId, digits, parse_id};

    pub(in crate::shell::api) fn serialize<T: LocalId, S: Serializer>(
        id: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&digits(*id))
    }

    pub(in crate::shell::api) fn deserialize<'de, T: LocalId, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(from)?;
        parse_id(&text).ok_or_else(|| D::Error::custom("an id has 16 hexadecimal digits"))
    }
}

/// Makes a module for `#[serde(with)]`: a value that is written as a text.
macro_rules! written_as_text {
    ($(#[$doc:meta])* $name:ident: $type:ty, $write:expr, $read:expr, $what:literal) => {
        $(#[$doc])*
        pub(super) mod $name {
            use serde::de::Error as _;
            use serde::{Deserialize as _, Deserializer, Serializer};

            use super::*;

            pub(in crate::shell::api) fn serialize<S: Serializer>(
                value: &$type,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                to.serialize_str(&$write(*value))
            }

            pub(in crate::shell::api) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<$type, D::Error> {
                let text = String::deserialize(from)?;
                $read(&text).ok_or_else(|| D::Error::custom($what))
            }
        }
    };
}

written_as_text!(
    /// A moment in UTC.
    time: UnixSeconds, calendar::utc, calendar::read_utc, "not a moment in UTC"
);
written_as_text!(
    /// The state of the session with a contact, by its word.
    session: SessionStatus, session_word, session_named, "not the state of a session"
);
written_as_text!(
    /// The state of a message, by its word.
    state: MessageState, state_word, state_named, "not the state of a message"
);
written_as_text!(
    /// A lifetime, by the name that people choose it by.
    lifetime: Lifetime, lifetime_name, lifetime_named, "not a lifetime: 6h, day, week"
);

/// For `#[serde(with)]`: the most work for an envelope in times of the floor, or none.
pub(super) mod max_work {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::engine::price::Step;

    pub(in crate::shell::api) fn serialize<S: Serializer>(
        most: &Option<Step>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match most {
            Some(most) => to.serialize_some(&most.times()),
            None => to.serialize_none(),
        }
    }

    pub(in crate::shell::api) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Step>, D::Error> {
        let times = Option::<u32>::deserialize(from)?;
        let step = |times| Step::of_times(times).ok_or_else(|| D::Error::custom(NOT_A_LIMIT));
        times.map(step).transpose()
    }

    const NOT_A_LIMIT: &str = "max_work is not 1, 2, 4, 8, 16, 32, 64, 128 or 256";
}

/// For `#[serde(with)]`: a measure that is 0 while it is not known, and none then.
pub(super) mod unless_zero {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(in crate::shell::api) fn serialize<S: Serializer>(
        measure: &u64,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        (*measure > 0).then_some(*measure).serialize(to)
    }

    pub(in crate::shell::api) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<u64, D::Error> {
        Option::deserialize(from).map(Option::unwrap_or_default)
    }
}

/// For `#[serde(with)]`: a moment in UTC, or none.
pub(super) mod time_or_none {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::engine::env::UnixSeconds;
    use crate::shell::calendar;

    pub(in crate::shell::api) fn serialize<S: Serializer>(
        at: &Option<UnixSeconds>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.serialize_some(&calendar::utc(*at)),
            None => to.serialize_none(),
        }
    }

    pub(in crate::shell::api) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<UnixSeconds>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let at = calendar::read_utc(&text);
        at.map(Some).ok_or_else(|| D::Error::custom("not a moment in UTC"))
    }
}

/// The times of a message of ours, as fields of the object around them.
#[derive(Serialize, Deserialize)]
pub(super) struct DeliveryWire {
    #[serde(rename = "sendings")]
    attempts: u32,
    #[serde(with = "time_or_none")]
    first_sent: Option<UnixSeconds>,
    #[serde(with = "time_or_none")]
    last_sent: Option<UnixSeconds>,
    #[serde(with = "time_or_none")]
    delivered: Option<UnixSeconds>,
    #[serde(with = "time_or_none")]
    read: Option<UnixSeconds>,
}

impl From<DeliveryLog> for DeliveryWire {
    fn from(log: DeliveryLog) -> Self {
        let DeliveryLog { attempts, first_sent, last_sent, delivered, read } = log;
        Self { attempts, first_sent, last_sent, delivered, read }
    }
}

impl From<DeliveryWire> for DeliveryLog {
    fn from(wire: DeliveryWire) -> Self {
        let DeliveryWire { attempts, first_sent, last_sent, delivered, read } = wire;
        Self { attempts, first_sent, last_sent, delivered, read }
    }
}

/// For `#[serde(with)]` beside `flatten`: the times of a message of ours.
pub(super) mod delivery {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::DeliveryWire;
    use crate::engine::record::DeliveryLog;

    pub(in crate::shell::api) fn serialize<S: Serializer>(
        log: &DeliveryLog,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        DeliveryWire::from(*log).serialize(to)
    }

    pub(in crate::shell::api) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<DeliveryLog, D::Error> {
        DeliveryWire::deserialize(from).map(DeliveryLog::from)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct IdentityWire {
    #[serde(with = "id")]
    id: IdentityId,
    name: String,
    key: String,
    invite: String,
    fingerprint: String,
    default: bool,
}

impl From<Identity> for IdentityWire {
    fn from(identity: Identity) -> Self {
        let Identity { view: IdentityView { id, name, key }, is_default } = identity;
        Self {
            id,
            name,
            key: key.hex(),
            invite: invite::encode(&key),
            fingerprint: key.fingerprint().to_string(),
            default: is_default,
        }
    }
}

impl TryFrom<IdentityWire> for Identity {
    type Error = WireError;

    fn try_from(wire: IdentityWire) -> Result<Self, WireError> {
        let IdentityWire { id, name, key, invite: _, fingerprint: _, default } = wire;
        Ok(Self { view: IdentityView { id, name, key: public_key(&key)? }, is_default: default })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct ContactWire {
    #[serde(with = "id")]
    id: ContactId,
    #[serde(with = "id")]
    identity: IdentityId,
    name: String,
    key: String,
    fingerprint: String,
    #[serde(with = "session")]
    session: SessionStatus,
    trust: TrustWire,
    safety_number: String,
    read_marks: bool,
    missing: u64,
    unread: u64,
    #[serde(with = "time_or_none")]
    restored: Option<UnixSeconds>,
    words: Option<SasWire>,
    /// If it is not what the node pays usually.
    #[serde(default, with = "max_work")]
    max_work: Option<Step>,
    #[serde(default)]
    waits_for_price: Vec<HeldBackWire>,
    #[serde(default)]
    waits_for_turn: Vec<HeldBackWire>,
    #[serde(default)]
    waits_for_acknowledgement: Vec<HeldBackWire>,
    #[serde(default, with = "time_or_none")]
    next_look: Option<UnixSeconds>,
}

/// What is held back.
#[derive(Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum HeldBackWire {
    Request {
        #[serde(with = "lifetime")]
        life: Lifetime,
    },
    Messages,
    Again {
        #[serde(with = "id")]
        message: MessageId,
    },
    Answers,
}

impl From<HeldBack> for HeldBackWire {
    fn from(held: HeldBack) -> Self {
        match held {
            HeldBack::Request(life) => Self::Request { life },
            HeldBack::Messages => Self::Messages,
            HeldBack::Again(message) => Self::Again { message },
            HeldBack::Answers => Self::Answers,
        }
    }
}

impl From<HeldBackWire> for HeldBack {
    fn from(wire: HeldBackWire) -> Self {
        match wire {
            HeldBackWire::Request { life } => Self::Request(life),
            HeldBackWire::Messages => Self::Messages,
            HeldBackWire::Again { message } => Self::Again(message),
            HeldBackWire::Answers => Self::Answers,
        }
    }
}

impl From<Contact> for ContactWire {
    fn from(contact: Contact) -> Self {
        let Contact { view, unread } = contact;
        Self {
            id: view.id,
            identity: view.identity,
            key: view.key.hex(),
            fingerprint: view.key.fingerprint().to_string(),
            session: view.session,
            trust: view.trust.into(),
            safety_number: view.safety_number.to_string(),
            read_marks: view.read_receipts,
            missing: view.missing,
            unread,
            restored: view.restored,
            words: view.sas.map(SasWire::from),
            max_work: view.highest,
            waits_for_price: view.waiting.iter().copied().map(HeldBackWire::from).collect(),
            waits_for_turn: view.in_line.iter().copied().map(HeldBackWire::from).collect(),
            waits_for_acknowledgement: match view.room {
                SendRoom::Free => Vec::new(),
                SendRoom::Full => vec![HeldBackWire::Messages],
            },
            next_look: view.next_look,
            name: view.petname,
        }
    }
}

impl TryFrom<ContactWire> for Contact {
    type Error = WireError;

    fn try_from(wire: ContactWire) -> Result<Self, WireError> {
        let safety_number =
            SafetyNumber::parse(&wire.safety_number).ok_or(WireError("a safety number"))?;
        let held = |held: Vec<HeldBackWire>| {
            Arc::new(held.into_iter().map(HeldBack::from).collect::<BTreeSet<_>>())
        };
        let view = ContactView {
            id: wire.id,
            identity: wire.identity,
            petname: wire.name,
            key: public_key(&wire.key)?,
            session: wire.session,
            trust: wire.trust.into(),
            safety_number,
            sas: wire.words.map(SasHalf::try_from).transpose()?,
            missing: wire.missing,
            read_receipts: wire.read_marks,
            restored: wire.restored,
            highest: wire.max_work,
            room: if wire.waits_for_acknowledgement.is_empty() {
                SendRoom::Free
            } else {
                SendRoom::Full
            },
            waiting: held(wire.waits_for_price),
            in_line: held(wire.waits_for_turn),
            next_look: wire.next_look,
        };
        Ok(Self { view, unread: wire.unread })
    }
}

/// Our half of the words: the number of its first word as people count the six, and the words.
#[derive(Serialize, Deserialize)]
struct SasWire {
    first: usize,
    read: [String; WORDS_PER_HALF],
}

impl From<SasHalf> for SasWire {
    fn from(own: SasHalf) -> Self {
        Self { first: own.half.first_number(), read: own.words.map(|word| word.to_string()) }
    }
}

impl TryFrom<SasWire> for SasHalf {
    type Error = WireError;

    fn try_from(wire: SasWire) -> Result<Self, WireError> {
        let halves = [Half::First, Half::Second];
        let half = halves.into_iter().find(|half| half.first_number() == wire.first);
        let [one, two, three] = wire.read;
        let word = |text: &str| SasWord::parse(text).ok_or(WireError("a word of the list"));
        Ok(Self {
            half: half.ok_or(WireError("the number of a first word"))?,
            words: [word(&one)?, word(&two)?, word(&three)?],
        })
    }
}

/// Trust in a contact.
#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum TrustWire {
    Unverified,
    Verified {
        #[serde(with = "time")]
        at: UnixSeconds,
        by: MethodWire,
    },
    Held {
        #[serde(with = "time")]
        since: UnixSeconds,
        why: HoldWire,
        #[serde(with = "time_or_none")]
        verified_before: Option<UnixSeconds>,
        tries: u8,
    },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MethodWire {
    Words,
    Digits,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HoldWire {
    KeyChanged,
    Mismatch,
}

impl From<Trust> for TrustWire {
    fn from(trust: Trust) -> Self {
        match trust {
            Trust::Unverified => Self::Unverified,
            Trust::Verified { at, by: VerificationMethod::Sas } => {
                Self::Verified { at, by: MethodWire::Words }
            }
            Trust::Verified { at, by: VerificationMethod::SafetyNumber } => {
                Self::Verified { at, by: MethodWire::Digits }
            }
            Trust::OnHold { since, reason, attempts } => {
                let (why, verified_before) = match reason {
                    HoldReason::KeyChanged { verified } => (HoldWire::KeyChanged, verified),
                    HoldReason::Mismatch => (HoldWire::Mismatch, None),
                };
                Self::Held { since, why, verified_before, tries: attempts }
            }
        }
    }
}

impl From<TrustWire> for Trust {
    fn from(wire: TrustWire) -> Self {
        match wire {
            TrustWire::Unverified => Self::Unverified,
            TrustWire::Verified { at, by } => Self::Verified {
                at,
                by: match by {
                    MethodWire::Words => VerificationMethod::Sas,
                    MethodWire::Digits => VerificationMethod::SafetyNumber,
                },
            },
            TrustWire::Held { since, why, verified_before, tries } => Self::OnHold {
                since,
                reason: match why {
                    HoldWire::KeyChanged => HoldReason::KeyChanged { verified: verified_before },
                    HoldWire::Mismatch => HoldReason::Mismatch,
                },
                attempts: tries,
            },
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct RequestWire {
    #[serde(with = "id")]
    id: RequestId,
    #[serde(with = "id")]
    identity: IdentityId,
    key: String,
    #[serde(with = "time")]
    at: UnixSeconds,
    /// Nodes of earlier builds do not say it.
    #[serde(default)]
    tries: u64,
}

impl From<Request> for RequestWire {
    fn from(request: Request) -> Self {
        let RequestView { id, identity, key, arrived, work } = request.view;
        Self { id, identity, key: key.hex(), at: arrived, tries: work.tries() }
    }
}

impl TryFrom<RequestWire> for Request {
    type Error = WireError;

    fn try_from(wire: RequestWire) -> Result<Self, WireError> {
        let RequestWire { id, identity, key, at, tries } = wire;
        let (key, work) = (public_key(&key)?, ShownWork::of_tries(tries));
        Ok(Self { view: RequestView { id, identity, key, arrived: at, work } })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct MessageWire {
    #[serde(with = "id")]
    id: MessageId,
    #[serde(with = "id")]
    contact: ContactId,
    number: Option<u64>,
    missing: u64,
    early: bool,
    /// The exact text. Who shows it makes it printable.
    text: String,
    #[serde(with = "time")]
    at: UnixSeconds,
    life_seconds: u32,
    #[serde(flatten)]
    side: SideWire,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "side", rename_all = "snake_case")]
enum SideWire {
    Theirs {
        from: String,
    },
    Ours {
        to: String,
        #[serde(with = "state")]
        state: MessageState,
        #[serde(flatten)]
        delivery: DeliveryWire,
        #[serde(with = "time_or_none")]
        sent_again_until: Option<UnixSeconds>,
        /// Of the moment at which it is written: who reads it sees the same by the state and times.
        #[serde(default)]
        not_for_long: bool,
        #[serde(default, with = "max_work")]
        max_work: Option<Step>,
        #[serde(default)]
        waits_for_price: bool,
        #[serde(default)]
        waits_for_turn: bool,
        #[serde(default)]
        waits_for_acknowledgement: bool,
    },
}

impl From<Message> for MessageWire {
    fn from(message: Message) -> Self {
        let Message { view, with, waits_for } = message;
        let sent_again_until = view.retransmits_until();
        let not_for_long = view.is_not_for_long(wall());
        let side = match view.direction {
            Direction::Incoming => SideWire::Theirs { from: with },
            Direction::Outgoing(state) => {
                let (delivery, max_work) = (view.delivery.into(), view.highest);
                SideWire::Ours {
                    to: with,
                    state,
                    delivery,
                    sent_again_until,
                    not_for_long,
                    max_work,
                    waits_for_price: waits_for == Some(WaitsFor::Price),
                    waits_for_turn: waits_for == Some(WaitsFor::Turn),
                    waits_for_acknowledgement: waits_for == Some(WaitsFor::Acknowledgement),
                }
            }
        };
        Self {
            id: view.id,
            contact: view.contact,
            number: view.number,
            missing: view.missing,
            early: view.early,
            text: view.text.into_raw(),
            at: view.at,
            life_seconds: view.lifetime.ttl().0,
            side,
        }
    }
}

impl TryFrom<MessageWire> for Message {
    type Error = WireError;

    fn try_from(wire: MessageWire) -> Result<Self, WireError> {
        let lives = |lifetime: &Lifetime| lifetime.ttl().0 == wire.life_seconds;
        let lifetime = Lifetime::ALL.into_iter().find(lives).ok_or(WireError("a lifetime"))?;
        let (mut highest, mut waits_for) = (None, None);
        let (direction, delivery, with) = match wire.side {
            SideWire::Theirs { from } => (Direction::Incoming, DeliveryLog::default(), from),
            SideWire::Ours {
                to,
                state,
                delivery,
                sent_again_until: _,
                not_for_long: _,
                max_work,
                waits_for_price,
                waits_for_turn,
                waits_for_acknowledgement,
            } => {
                highest = max_work;
                let all = [
                    (waits_for_acknowledgement, WaitsFor::Acknowledgement),
                    (waits_for_price, WaitsFor::Price),
                    (waits_for_turn, WaitsFor::Turn),
                ];
                waits_for = all.into_iter().find_map(|(waits, why)| waits.then_some(why));
                (Direction::Outgoing(state), delivery.into(), to)
            }
        };
        let view = MessageView {
            id: wire.id,
            contact: wire.contact,
            direction,
            number: wire.number,
            text: UntrustedText::new(wire.text),
            at: wire.at,
            missing: wire.missing,
            early: wire.early,
            lifetime,
            highest,
            delivery,
        };
        Ok(Self { view, with, waits_for })
    }
}

fn public_key(digits: &str) -> Result<PublicKey, WireError> {
    let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.and_then(|bytes| PublicKey::from_bytes(&bytes)).ok_or(WireError("a public key"))
}
