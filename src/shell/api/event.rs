//! Events, and the streams that carry them.

use core::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::status::NetworkStatus;
use super::{Contact, Identity, Message, Request, wire};
use crate::engine::event::SessionStatus;
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::record::{DeliveryLog, MessageState};
use crate::engine::secret::opaque_debug;
use crate::shell::failure::Failure;

/// Something that happened in a node: one line of `undertone listen --json`, of a client's stream,
/// and of the socket.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// An identity was made, or is the default now, or no longer.
    Identity(Identity),
    /// An identity was erased, with its contacts, requests and messages.
    IdentityRemoved {
        /// The identity.
        #[serde(with = "wire::id")]
        id: IdentityId,
    },
    /// A contact was added or changed.
    Contact(Contact),
    /// A contact was removed, with all messages.
    ContactRemoved {
        /// The contact.
        #[serde(with = "wire::id")]
        id: ContactId,
    },
    /// The session with a contact has another state.
    Session {
        /// The contact.
        #[serde(with = "wire::id")]
        contact: ContactId,
        /// Our name for the contact.
        with: String,
        /// The state.
        #[serde(with = "wire::session")]
        session: SessionStatus,
    },
    /// A stranger wants to be a contact. Nothing was sent back.
    Request(Request),
    /// A request was accepted, declined or has expired.
    RequestRemoved {
        /// The request.
        #[serde(with = "wire::id")]
        id: RequestId,
    },
    /// A message was accepted from us, or arrived from a contact.
    Message(Message),
    /// A message of ours has another state.
    State {
        /// The message.
        #[serde(with = "wire::id")]
        id: MessageId,
        /// The contact it is for.
        #[serde(with = "wire::id")]
        contact: ContactId,
        /// Our name for the contact.
        to: String,
        /// Its number, once it has one.
        number: Option<u64>,
        /// The state.
        #[serde(with = "wire::state")]
        state: MessageState,
        /// Whether it is in the network and not for long: it was sent for less than is asked, and is
        /// sent again.
        #[serde(default)]
        not_for_long: bool,
        /// Its times so far.
        #[serde(flatten, with = "wire::delivery")]
        delivery: DeliveryLog,
    },
    /// A message that is there already was changed.
    Change {
        /// The change.
        what: MessageChange,
        /// The message.
        #[serde(with = "wire::id")]
        id: MessageId,
        /// The contact of its conversation.
        #[serde(with = "wire::id")]
        contact: ContactId,
        /// Our name for the contact.
        with: String,
    },
    /// Messages were imported into a conversation: what was read of it before is not all there is.
    Imported {
        /// The contact of the conversation.
        #[serde(with = "wire::id")]
        contact: ContactId,
        /// Our name for the contact.
        with: String,
    },
    /// A person has read messages of a contact, in any front end.
    Read {
        /// The contact.
        #[serde(with = "wire::id")]
        contact: ContactId,
        /// Our name for the contact.
        with: String,
        /// How many are unread still.
        unread: u64,
    },
    /// The figures of the network changed. Sent at most once a second.
    Network(NetworkStatus),
    /// An event that a newer version of the node knows and this program does not.
    #[serde(other)]
    Unknown,
}

opaque_debug!(
    enum Event {
        Identity,
        IdentityRemoved,
        Contact,
        ContactRemoved,
        Session,
        Request,
        RequestRemoved,
        Message,
        State,
        Change,
        Imported,
        Read,
        Network,
        Unknown,
    }
);

/// A change of a message that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageChange {
    /// An early message is the contact's without doubt: they confirmed its session.
    Confirmed,
    /// It was erased on this device.
    Erase,
}

/// A kind of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// [`Event::Identity`] and [`Event::IdentityRemoved`].
    Identity,
    /// [`Event::Contact`] and [`Event::ContactRemoved`].
    Contact,
    /// [`Event::Session`].
    Session,
    /// [`Event::Request`] and [`Event::RequestRemoved`].
    Request,
    /// [`Event::Message`].
    Message,
    /// [`Event::State`].
    State,
    /// [`Event::Change`] and [`Event::Imported`].
    Change,
    /// [`Event::Read`].
    Read,
    /// [`Event::Network`].
    Network,
}

impl Event {
    /// The kind of this event; none for one that this program does not know.
    #[must_use]
    pub const fn kind(&self) -> Option<EventKind> {
        Some(match self {
            Self::Identity(_) | Self::IdentityRemoved { .. } => EventKind::Identity,
            Self::Contact(_) | Self::ContactRemoved { .. } => EventKind::Contact,
            Self::Session { .. } => EventKind::Session,
            Self::Request(_) | Self::RequestRemoved { .. } => EventKind::Request,
            Self::Message(_) => EventKind::Message,
            Self::State { .. } => EventKind::State,
            Self::Change { .. } | Self::Imported { .. } => EventKind::Change,
            Self::Read { .. } => EventKind::Read,
            Self::Network(_) => EventKind::Network,
            Self::Unknown => return None,
        })
    }
}

/// The events that a stream carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventFilter {
    /// The kinds; all if there is no list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<EventKind>>,
}

impl EventFilter {
    /// All events.
    #[must_use]
    pub const fn all() -> Self {
        Self { kinds: None }
    }

    /// The events of these kinds.
    #[must_use]
    pub fn of(kinds: &[EventKind]) -> Self {
        Self { kinds: Some(kinds.to_vec()) }
    }

    /// Whether an event is one of them.
    #[must_use]
    pub fn takes(&self, event: &Event) -> bool {
        let Some(kinds) = &self.kinds else { return true };
        event.kind().is_some_and(|kind| kinds.contains(&kind))
    }
}

/// Where a stream of events begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// With what happens next.
    Now,
    /// With the present state (one event for each identity, contact and request, and the figures of
    /// the network), and then what happens next.
    Snapshot,
    /// With the oldest event that the node remembers.
    Start,
    /// With the event after this place.
    After(Cursor),
}

/// A place among the events of one node. Opaque: `c1.`, the log, a point, and the position in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The log, drawn anew at each start of a node.
    pub(in crate::shell) log: u64,
    /// Events of the log up to this place.
    pub(in crate::shell) position: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c1.{:016x}.{:x}", self.log, self.position)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (log, position) =
            text.strip_prefix("c1.").and_then(|rest| rest.split_once('.')).ok_or(CursorError)?;
        let number = |digits: &str| {
            // `from_str_radix` would take a sign.
            let sound = digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            sound.then(|| u64::from_str_radix(digits, 16).ok()).flatten().ok_or(CursorError)
        };
        Ok(Self { log: number(log)?, position: number(position)? })
    }
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of a stream of events")]
pub struct CursorError;

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One thing that a stream of events brings. In JSON an object with `event` and perhaps `cursor`, or
/// with `missed`, or with `ended`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "DeliveryWire", try_from = "DeliveryWire")]
pub enum Delivery {
    /// An event, and the place after it. An event of the snapshot has none.
    Event {
        /// The place after it, to go on from; none if it is worth nothing later.
        cursor: Option<Cursor>,
        /// The event.
        event: Box<Event>,
    },
    /// Events were dropped because they were not read in time: read again what depends on them.
    Missed {
        /// The place before the first of them.
        from: Cursor,
        /// The place after the last of them: the stream goes on there.
        to: Cursor,
    },
    /// The stream is over, and why: the node stopped or failed, or the connection to it broke.
    Ended(Box<Failure>),
}

/// A delivery as it is written: one of the three.
#[derive(Serialize, Deserialize)]
struct DeliveryWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<Box<Event>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<Cursor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missed: Option<MissedWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Box<Failure>>,
}

#[derive(Serialize, Deserialize)]
struct MissedWire {
    from: Cursor,
    to: Cursor,
}

impl core::convert::From<Delivery> for DeliveryWire {
    fn from(delivery: Delivery) -> Self {
        let none = Self { event: None, cursor: None, missed: None, ended: None };
        match delivery {
            Delivery::Event { cursor, event } => Self { event: Some(event), cursor, ..none },
            Delivery::Missed { from, to } => Self { missed: Some(MissedWire { from, to }), ..none },
            Delivery::Ended(why) => Self { ended: Some(why), ..none },
        }
    }
}

impl TryFrom<DeliveryWire> for Delivery {
    type Error = &'static str;

    fn try_from(wire: DeliveryWire) -> Result<Self, &'static str> {
        match wire {
            DeliveryWire { event: Some(event), cursor, .. } => Ok(Self::Event { cursor, event }),
            DeliveryWire { missed: Some(MissedWire { from, to }), .. } => {
                Ok(Self::Missed { from, to })
            }
            DeliveryWire { ended: Some(why), .. } => Ok(Self::Ended(why)),
            DeliveryWire { event: None, missed: None, ended: None, .. } => {
                Err("neither an event nor what was missed nor an end")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case, each_text};
    use crate::shell::api::Directory;
    use crate::shell::api::status::tests::network;
    use crate::shell::api::testing::{not_for_long, people};
    use crate::shell::failure::{FailureCode, FailureText};

    proptest! {
        #[test]
        fn a_cursor_reads_back_and_other_text_is_none(log: u64, position: u64, text: String) {
            let cursor = Cursor { log, position };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            prop_assert!(text.parse::<Cursor>().is_err() || text.starts_with("c1."));
        }
    }

    #[test]
    fn an_event_of_a_newer_version_is_one_nobody_knows() {
        let event: Event = serde_json::from_str(r#"{"type":"dance","with":"ben"}"#).unwrap();
        assert!(matches!(event, Event::Unknown));
        assert!(!EventFilter::of(&[EventKind::Message]).takes(&event));
        assert!(EventFilter::all().takes(&event));
    }

    #[test]
    fn changed_at_random_a_cursor_is_a_place_or_none() {
        each_text(&["c1.0000000000000001.1e", "c1.ffffffffffffffff.0"], |text| {
            let read = text.parse::<Cursor>();
            assert!(read.is_err() || read.is_ok_and(|at| at.to_string().parse() == Ok(at)));
            Reading::of(read)
        });
    }

    #[test]
    fn changed_at_random_a_delivery_of_every_kind_is_read_back_or_refused() {
        let (identity, contact, request) = people();
        let (id, with) = (ContactId(1), "ben".to_owned());
        let message = not_for_long(crate::engine::testing::rng::NOW);
        let events = [
            Event::Identity(identity),
            Event::IdentityRemoved { id: IdentityId(1) },
            Event::Contact(contact),
            Event::ContactRemoved { id },
            Event::Session { contact: id, with: with.clone(), session: SessionStatus::Blocked },
            Event::Request(request),
            Event::RequestRemoved { id: RequestId(1) },
            Event::State {
                id: MessageId(1),
                contact: id,
                to: with.clone(),
                number: Some(3),
                state: MessageState::Read,
                not_for_long: true,
                delivery: message.view.delivery,
            },
            Event::Message(message),
            Event::Change {
                what: MessageChange::Erase,
                id: MessageId(1),
                contact: id,
                with: with.clone(),
            },
            Event::Imported { contact: id, with: with.clone() },
            Event::Read { contact: id, with, unread: 1 },
            Event::Network(network()),
        ];
        let (from, to) = (Cursor { log: 1, position: 2 }, Cursor { log: 1, position: 30 });
        let why = FailureText { what: "a", why: "b", safe: "c", next: "d" };
        let ended = Delivery::Ended(Box::new(Failure::new(FailureCode::Blocked, why)));
        let told = events.map(|event| Delivery::Event { cursor: Some(to), event: Box::new(event) });
        let seeds: Vec<Vec<u8>> = told
            .iter()
            .chain([&Delivery::Missed { from, to }, &ended])
            .map(|delivery| serde_json::to_vec(delivery).unwrap())
            .collect();
        let mut directory = Directory::default();
        each_case(&seeds, |line| {
            let read = serde_json::from_slice::<Delivery>(line);
            if let Ok(Delivery::Event { event, .. }) = &read {
                directory.apply(event);
                let kind = event.kind();
                let written = serde_json::to_vec(event).unwrap();
                let again = serde_json::from_slice::<Event>(&written).unwrap();
                assert_eq!(again.kind(), kind);
            }
            Reading::of(read)
        });
    }
}
