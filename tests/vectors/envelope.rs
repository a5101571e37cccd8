//! The envelope against a second implementation (`envelope.py`) and against its schema.
#![expect(clippy::expect_used, reason = "a vector that cannot be read is a failed test")]

use proptest::prelude::*;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value, prost::Message};
use serde::Deserialize;

use undertone::engine::env::{Seconds, UnixSeconds};
use undertone::engine::envelope::work::{measure, search};
use undertone::engine::envelope::{
    Draft, Envelope, EnvelopeId, Floor, MiningJob, Topic, ValidationError, WorkNonce, check,
};
use undertone::engine::id::OutgoingId;

use crate::hex::{array, bytes};

/// The whole of `envelope.json`. Numbers of 64 bits are strings, as JSON has none.
#[derive(Deserialize)]
struct Vectors {
    source: String,
    now: String,
    carried: Vec<Carried>,
    refused_floor: u8,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Carried {
    about: String,
    expiry: String,
    ttl: u32,
    topic: String,
    data: String,
    nonce: String,
    start: String,
    floor: u8,
    required: u8,
    work: u32,
    digest: String,
    id: String,
    encoding: String,
}

#[derive(Deserialize)]
struct Refused {
    about: String,
    refusal: String,
    encoding: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("envelope.json")).expect("envelope.json has this shape")
}

fn number(decimal: &str) -> u64 {
    decimal.parse().expect("a decimal number")
}

fn descriptor() -> MessageDescriptor {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let files = protox::compile(["envelope.proto"], [root]).expect("the schema compiles");
    let pool = DescriptorPool::from_file_descriptor_set(files).expect("the schema is whole");
    pool.get_message_by_name("undertone.v1.Envelope").expect("the schema has an Envelope")
}

#[test]
fn the_second_implementation_writes_the_same_bytes() {
    let vectors = vectors();
    assert!(!vectors.source.is_empty());
    for vector in vectors.carried {
        let data = bytes(&vector.data);
        let envelope = Envelope {
            expiry: UnixSeconds(number(&vector.expiry)),
            ttl: Seconds(vector.ttl),
            topic: Topic(array(&vector.topic)),
            data: &data,
            nonce: WorkNonce(number(&vector.nonce)),
        };
        let encoding = bytes(&vector.encoding);
        assert_eq!(envelope.encode(), encoding, "{}", vector.about);
        assert_eq!(Envelope::decode(&encoding), Ok(envelope), "{}", vector.about);
        assert_eq!(EnvelopeId::of(&encoding), EnvelopeId(array(&vector.id)), "{}", vector.about);
    }
}

#[test]
fn the_second_implementation_drafts_the_same_envelope() {
    let vectors = vectors();
    let now = UnixSeconds(number(&vectors.now));
    for vector in vectors.carried {
        let topic = Topic(array(&vector.topic));
        let draft = Draft::new(now, Seconds(vector.ttl), topic, bytes(&vector.data));
        let draft = draft.expect("a draft every node carries");
        assert_eq!(draft.digest(), array(&vector.digest), "{}", vector.about);
        assert_eq!(draft.bits(&Floor::new(vector.floor)), vector.required, "{}", vector.about);
        let nonce = WorkNonce(number(&vector.nonce));
        assert_eq!(draft.finish(nonce).1, bytes(&vector.encoding), "{}", vector.about);
    }
}

#[test]
fn the_second_implementation_finds_the_same_nonce() {
    for vector in vectors().carried {
        let start = number(&vector.start);
        let nonce = WorkNonce(number(&vector.nonce));
        let digest = array(&vector.digest);
        let order = MiningJob { outgoing: OutgoingId(0), digest, bits: vector.required, start };
        assert_eq!(measure(&digest, nonce), vector.work, "{}", vector.about);
        assert_eq!(search(&order, WorkNonce(start), 1 << 20), Some(nonce), "{}", vector.about);
    }
}

#[test]
fn what_the_second_implementation_carries_is_carried() {
    let vectors = vectors();
    let now = UnixSeconds(number(&vectors.now));
    for vector in vectors.carried {
        let floor = Floor::new(vector.floor);
        let checked = check(bytes(&vector.encoding), now, &floor).expect(&vector.about);
        assert_eq!(checked.id(), EnvelopeId(array(&vector.id)), "{}", vector.about);
        assert_eq!(checked.priority().bits(), vector.work, "{}", vector.about);
    }
}

/// What the vectors call a reason: the names that both implementations had first.
const fn vector_name(error: ValidationError) -> &'static str {
    match error {
        ValidationError::TooLarge => "TooLarge",
        ValidationError::Malformed => "Malformed",
        ValidationError::InvalidTtl => "BadTtl",
        ValidationError::UnalignedExpiry => "OffGrid",
        ValidationError::Expired => "Expired",
        ValidationError::TooFarInFuture => "Early",
        ValidationError::InsufficientPow => "LittleWork",
        ValidationError::Duplicate => "Duplicate",
        ValidationError::PoolFull => "NoRoom",
        ValidationError::QueueFull => "Crowded",
    }
}

#[test]
fn every_refused_encoding_is_refused_for_its_reason() {
    let vectors = vectors();
    let now = UnixSeconds(number(&vectors.now));
    let floor = Floor::new(vectors.refused_floor);
    for vector in vectors.refused {
        let refused = check(bytes(&vector.encoding), now, &floor).err();
        let named =
            ValidationError::ALL.into_iter().find(|error| vector_name(*error) == vector.refusal);
        assert!(named.is_some(), "{}: no refusal of this name", vector.about);
        assert_eq!(refused, named, "{}", vector.about);
    }
}

#[test]
fn the_schema_has_five_fields_and_no_others() {
    let fields: Vec<_> = descriptor()
        .fields()
        .map(|field| (field.number(), field.name().to_owned(), format!("{:?}", field.kind())))
        .collect();
    let expected = [
        (1, "expiry", "fixed64"),
        (2, "ttl", "fixed32"),
        (3, "topic", "bytes"),
        (4, "data", "bytes"),
        (5, "nonce", "fixed64"),
    ];
    assert_eq!(fields, expected.map(|(n, name, kind)| (n, name.to_owned(), kind.to_owned())));
    assert!(descriptor().fields().all(|field| field.supports_presence()));
}

proptest! {
    #[test]
    fn a_reader_made_from_the_schema_reads_our_bytes_and_writes_them_back(
        expiry: u64, ttl: u32, topic: [u8; 4], nonce: u64, length in 0_usize..20_000, fill: u8,
    ) {
        let data = vec![fill; length];
        let envelope = Envelope {
            expiry: UnixSeconds(expiry), ttl: Seconds(ttl), topic: Topic(topic), data: &data,
            nonce: WorkNonce(nonce),
        };
        let bytes = envelope.encode();
        let message = DynamicMessage::decode(descriptor(), bytes.as_slice()).expect("protobuf");
        let field = |name| message.get_field_by_name(name).map(|value| value.into_owned());
        prop_assert_eq!(field("expiry"), Some(Value::U64(expiry)));
        prop_assert_eq!(field("ttl"), Some(Value::U32(ttl)));
        prop_assert_eq!(field("topic"), Some(Value::Bytes(topic.to_vec().into())));
        prop_assert_eq!(field("nonce"), Some(Value::U64(nonce)));
        prop_assert_eq!(field("data"), Some(Value::Bytes(data.clone().into())));
        prop_assert_eq!(message.unknown_fields().count(), 0);
        // What a generic writer writes is canonical: it needs no code of its own.
        prop_assert_eq!(message.encode_to_vec(), bytes);
    }
}
