//! Messages as lines of JSON, which `undertone export` writes and `undertone import` reads.
//!
//! ```text
//! {"v":1,"id":"16 hexadecimal digits","contact":"mira","from":"me" or "them","time":seconds since 1970,
//!  "at":"the same for people, in UTC","state":"delivered" (of mine alone),"number":3,"missing":0,
//!  "early":false,"text":"what was written"}
//! ```
//!
//! Imported messages are history only: none is sent, and none gets a better state than it had.

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Message;
use super::api::words::{state_named, state_word};
use super::calendar::utc;
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Postage;
use crate::engine::event::Direction;
use crate::engine::id::{ContactId, MessageId};
use crate::engine::node::backup::known_state;
use crate::engine::record::{DeliveryLog, MessageRecord, StoredDirection};
use crate::engine::secret::opaque_debug;
use crate::engine::session::{MAX_TEXT, SessionId};

/// A message as a line of an export.
#[must_use]
pub(in crate::shell) fn line(message: &Message) -> Value {
    let (from, state) = match message.direction {
        Direction::Incoming => ("them", None),
        Direction::Outgoing(state) => ("me", Some(state_word(state))),
    };
    json!({
        "v": 1,
        "id": message.id.hex(),
        "contact": message.with,
        "from": from,
        "time": message.at.0,
        "at": utc(message.at),
        "state": state,
        "number": message.number,
        "missing": message.missing,
        "early": message.early,
        "text": message.text.clone().into_raw(),
    })
}

/// One line of an export. Further fields are ignored.
#[derive(Deserialize)]
pub(in crate::shell) struct ExportedMessage {
    v: u64,
    id: String,
    /// The name of the contact on the device that wrote it.
    pub(in crate::shell) contact: String,
    from: ExportedAuthor,
    time: u64,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    number: Option<u64>,
    #[serde(default)]
    missing: u64,
    #[serde(default)]
    early: bool,
    text: String,
}

opaque_debug!(struct ExportedMessage {
    v, id, contact, from, time, state, number, missing, early, text,
});

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum ExportedAuthor {
    Me,
    Them,
}

impl ExportedMessage {
    /// Reads a line; `None` if it is none of an export.
    pub(in crate::shell) fn parse(text: &[u8]) -> Option<Self> {
        let line: Self = serde_json::from_slice(text).ok()?;
        let has_state = match &line.state {
            Some(word) => {
                state_named(word)?;
                true
            }
            None => false,
        };
        let sound = line.v == 1
            && line.message_id().is_some()
            && line.text.len() <= MAX_TEXT
            // After the year 9999 no date has four digits, and the store counts in 63 bits.
            && line.time < 253_402_300_800
            // Messages of ours have a state, theirs have none.
            && (line.from == ExportedAuthor::Me) == has_state;
        sound.then_some(line)
    }

    fn message_id(&self) -> Option<MessageId> {
        let bytes = HEXLOWER_PERMISSIVE.decode(self.id.as_bytes()).ok()?;
        Some(MessageId(u64::from_be_bytes(bytes.try_into().ok()?)))
    }

    /// The message as it is stored in the conversation with a contact.
    pub(in crate::shell) fn into_record(self, contact: ContactId) -> Option<MessageRecord> {
        let id = self.message_id()?;
        let direction = match &self.state {
            None => StoredDirection::Delivered,
            Some(word) => StoredDirection::Outgoing(known_state(state_named(word)?)),
        };
        Some(MessageRecord {
            id,
            contact,
            direction,
            // The number of our own message belongs to the send window of another store.
            number: self.number.filter(|_| direction == StoredDirection::Delivered),
            text: self.text,
            at: UnixSeconds(self.time),
            missing: self.missing,
            early: self.early.then_some(SessionId([0; 32])),
            postage: Postage::default(),
            delivery: DeliveryLog::default(),
        })
    }
}

/// The longest line: a message of the longest text, every byte of it escaped, with room.
pub(in crate::shell) const MAX_LINE: u64 = 64 << 10;

/// The most lines of one import, which are held at once: a guess at several years of talk.
pub(in crate::shell) const MAX_LINES: usize = 100_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::record::MessageState;
    use crate::engine::testing::mutate::{Reading, each_case};
    use crate::shell::api::words::MESSAGE_STATES;

    fn any_message() -> impl Strategy<Value = MessageRecord> {
        let direction = prop_oneof![
            Just(StoredDirection::Delivered),
            Just(StoredDirection::Outgoing(MessageState::Delivered)),
            Just(StoredDirection::Outgoing(MessageState::Read)),
            Just(StoredDirection::Outgoing(MessageState::Failed)),
        ];
        (any::<(u64, u32, Option<u64>, u64, bool)>(), direction, "\\PC{0,200}").prop_map(
            |((id, at, number, missing, early), direction, text)| MessageRecord {
                id: MessageId(id),
                contact: ContactId(1),
                direction,
                number: number.filter(|_| direction == StoredDirection::Delivered),
                text,
                at: UnixSeconds(u64::from(at)),
                missing,
                early: early.then_some(SessionId([0; 32])),
                postage: Postage::default(),
                delivery: DeliveryLog::default(),
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_exported_reads_back(record in any_message()) {
            let message = Message {
                view: record.view(),
                with: "mira".to_owned(),
                waits_for: None,
            };
            let read = ExportedMessage::parse(line(&message).to_string().as_bytes()).unwrap();
            prop_assert_eq!(&read.contact, "mira");
            prop_assert_eq!(read.into_record(ContactId(1)), Some(record));
        }

        #[test]
        fn parsing_anything_never_panics(bytes: Vec<u8>) {
            prop_assert!(ExportedMessage::parse(&bytes).is_none());
        }
    }

    #[test]
    fn a_line_shows_no_text_and_no_name() {
        let line = json!({
            "v": 1, "id": "0000000000000001", "contact": "harbour", "from": "them", "time": 1,
            "text": "x",
        });
        let line = ExportedMessage::parse(line.to_string().as_bytes()).unwrap();
        assert_eq!(format!("{line:?}"), "ExportedMessage");
    }

    #[test]
    fn no_state_that_is_imported_goes_on_by_itself() {
        for state in MESSAGE_STATES {
            let line = json!({
                "v": 1, "id": "0000000000000001", "contact": "a", "from": "me", "time": 1,
                "state": state_word(state), "text": "x",
            });
            let line = ExportedMessage::parse(line.to_string().as_bytes()).unwrap();
            let Some(StoredDirection::Outgoing(known)) =
                line.into_record(ContactId(1)).map(|record| record.direction)
            else {
                panic!("a message of ours");
            };
            assert_eq!(known_state(known), known);
            assert!(!matches!(
                known,
                MessageState::Queued | MessageState::Mining | MessageState::Sent
            ));
        }
    }

    #[test]
    fn changed_at_random_a_line_is_a_message_or_none() {
        let theirs = json!({
            "v": 1, "id": "0000000000000001", "contact": "a", "from": "them", "time": 1,
            "number": 3, "missing": 1, "early": true, "text": "x\n\u{1f600}",
        });
        let ours = MESSAGE_STATES.map(|state| {
            json!({
                "v": 1, "id": "00000000000000ff", "contact": "a", "from": "me", "time": 1,
                "state": state_word(state), "text": "x",
            })
        });
        let seeds: Vec<Vec<u8>> =
            ours.iter().chain([&theirs]).map(|line| line.to_string().into_bytes()).collect();
        each_case(&seeds, |text| {
            let line = ExportedMessage::parse(text);
            let Some(line) = line else { return Reading::Refused };
            let record = line.into_record(ContactId(1)).expect("a line that reads is a message");
            assert!(record.text.len() <= MAX_TEXT);
            Reading::Taken
        });
    }
}
