//! The layers of a message against the second implementation (`tests/interop/python`), whose
//! `vectors.py` says what the fields are.

use data_encoding::HEXLOWER;
use serde::Deserialize;

use super::*;
use crate::engine::session::chain::{ChainKey, HeaderKey, MessageKey, TopicKey};
use crate::engine::session::message::OpenedMessage;

#[derive(Deserialize)]
struct MessageVectors {
    chain: ChainVector,
    headers: Cases<HeaderCase>,
    payloads: Cases<PayloadCase>,
    bodies: Vec<BodyCase>,
}

#[derive(Deserialize)]
struct Cases<T> {
    taken: Vec<T>,
    refused: Vec<T>,
}

#[derive(Deserialize)]
struct ChainVector {
    topic_key: String,
    chain_key: String,
    positions: Vec<PositionVector>,
}

#[derive(Deserialize)]
struct PositionVector {
    topic: String,
    header_key: String,
    message_key: String,
}

#[derive(Deserialize)]
struct HeaderCase {
    about: Option<String>,
    chain: u32,
    position: Option<u32>,
    bytes: String,
}

#[derive(Deserialize)]
struct PayloadCase {
    about: Option<String>,
    bytes: String,
    kind: Option<u8>,
}

#[derive(Deserialize)]
struct BodyCase {
    name: String,
    topic: String,
    header_key: String,
    message_key: String,
    salt: String,
    header: String,
    extension: String,
    payload: String,
    body: String,
}

fn vectors() -> MessageVectors {
    serde_json::from_str(include_str!("../../../../tests/vectors/messages.json")).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

fn header_key(hex: &str) -> HeaderKey {
    serde_json::from_value(bytes(hex).into()).unwrap()
}

fn message_key(hex: &str) -> MessageKey {
    serde_json::from_value(bytes(hex).into()).unwrap()
}

fn secret<const N: usize>(hex: &str) -> Secret<N> {
    Secret::make(|secret| secret.copy_from_slice(&bytes(hex)))
}

#[test]
fn chains_go_on_as_in_the_second_implementation() {
    let ChainVector { topic_key, chain_key, positions } = vectors().chain;
    let window = u32::try_from(positions.len()).unwrap();
    let (topics, chain) = (TopicKey::new(secret(&topic_key)), ChainKey::new(secret(&chain_key)));
    let mut sending = SendingChain::new(0, chain, topics.clone(), 0);
    let topic_window = TopicWindow::new(0, topics, window);
    for (position, expected) in positions.iter().enumerate() {
        let (next, slot) = sending.step(window).unwrap();
        sending = next;
        assert_eq!(slot.position as usize, position);
        assert_eq!(slot.topic.0.as_slice(), bytes(&expected.topic));
        assert_eq!(slot.header.secret(), &secret(&expected.header_key));
        assert_eq!(slot.key.secret(), &secret(&expected.message_key));
        assert_eq!(topic_window.topics().nth(position), Some(slot.topic));
        assert!(topic_window.header_key(slot.position).unwrap() == slot.header);
    }
    assert!(sending.step(window).is_none());
}

#[test]
fn the_same_headers_are_taken_and_refused() {
    let Cases { taken, refused } = vectors().headers;
    assert!(taken.len() > 5 && refused.len() > 10);
    for case in taken.iter().chain(&refused) {
        let read = MessageHeader::read(&bytes(&case.bytes));
        let place = (case.chain, case.position.unwrap());
        let fits = read.filter(|header| header.fits(place, WINDOW));
        assert_eq!(fits.is_some(), case.about.is_none(), "{:?}", case.about);
        if let Some(header) = fits {
            assert_eq!(header.write().expose().as_slice(), bytes(&case.bytes));
        }
    }
}

#[test]
fn the_same_payloads_are_taken_and_refused() {
    let Cases { taken, refused } = vectors().payloads;
    assert!(taken.len() > 5 && refused.len() > 10);
    for case in taken.iter().chain(&refused) {
        let written = bytes(&case.bytes);
        let read = Payload::decode(&written);
        assert_eq!(read.is_some(), case.about.is_none(), "{:?}", case.about);
        if let Some(payload) = read.filter(|payload| payload.content != Content::Unknown) {
            assert_eq!(payload.encode(written.len()).unwrap().as_slice(), written);
        }
        let known = case.kind.is_none_or(|kind| kind < 5);
        assert_eq!(
            known,
            Payload::decode(&written).is_none_or(|read| read.content != Content::Unknown)
        );
    }
}

#[test]
fn the_three_parts_of_a_message_open_as_in_the_second_implementation() {
    for case in vectors().bodies {
        let id = SessionId(bytes(&case.name).try_into().unwrap());
        let topic = Topic(bytes(&case.topic).try_into().unwrap());
        let body = bytes(&case.body);
        assert!(case.body.starts_with(&case.salt));
        let header = MessageHeader::read(&bytes(&case.header)).unwrap();
        let chain = match (header.extended, &header.reveal) {
            (true, _) => 1,
            (false, Some(_)) => 2,
            (false, None) if header.before == 0 => 0,
            (false, None) => 3,
        };
        let place = ((chain, header.position), WINDOW);
        let slot = ChainSlot {
            position: header.position,
            topic,
            header: header_key(&case.header_key),
            key: message_key(&case.message_key),
        };
        let opened = OpenedMessage::new(id, place, topic, &body, &slot.header).unwrap();
        let extension = opened.extension(&slot.header).map_or(Vec::new(), |bytes| bytes.to_vec());
        assert_eq!(extension, bytes(&case.extension));
        let payload = opened.payload(&slot.key).unwrap();
        assert_eq!(Some(payload), Payload::decode(&bytes(&case.payload)));
    }
}
