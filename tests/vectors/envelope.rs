//! The envelope against a second implementation (`envelope.py`) and against its schema.
#![expect(clippy::expect_used, reason = "a vector that cannot be read is a failed test")]

use core::cmp::Ordering;

use proptest::prelude::*;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value, prost::Message};
use serde::Deserialize;
use sha3::{Digest as _, Sha3_256};

use undertone::engine::env::{Seconds, UnixSeconds};
use undertone::engine::envelope::work::search;
use undertone::engine::envelope::{
    Draft, Envelope, EnvelopeId, Lifetime, Topic, ValidationError, WorkNonce, check, inspect,
};
use undertone::engine::id::OutgoingId;
use undertone::engine::price::{BLOCK, Charge, Floor, Priority, Share, Step};

use crate::hex::{array, bytes};

/// What `envelope.json` says of envelopes and prices; its `message_ids` are for the driver of the
/// network. Numbers of 64 bits and more are strings, as JSON has none.
#[derive(Deserialize)]
struct Vectors {
    source: String,
    carried: Vec<Carried>,
    refused_floor: u8,
    refused: Vec<Refused>,
    in_time: Vec<InTime>,
    targets: Vec<Target>,
    prices: Prices,
}

#[derive(Deserialize)]
struct Carried {
    about: String,
    now: String,
    expiry: String,
    ttl: u32,
    topic: String,
    data: String,
    nonce: String,
    start: String,
    floor: u8,
    step: u8,
    blocks: u8,
    units: u32,
    charge: u32,
    target: String,
    d: String,
    digest: String,
    id: String,
    encoding: String,
}

#[derive(Deserialize)]
struct Refused {
    about: String,
    refusal: String,
    now: String,
    encoding: String,
}

#[derive(Deserialize)]
struct InTime {
    about: String,
    now: String,
    encoding: String,
}

#[derive(Deserialize)]
struct Target {
    blocks: usize,
    units: u32,
    floor: u8,
    step: u8,
    target: String,
}

#[derive(Deserialize)]
struct Prices {
    seed: String,
    cases: u64,
    first: String,
    carried: usize,
    below: usize,
    alike: usize,
    above: usize,
    sha3: String,
}

impl Carried {
    fn draft(&self) -> Draft {
        let lifetime = Lifetime::of(Seconds(self.ttl)).expect("one of the three lives");
        let topic = Topic(array(&self.topic));
        let draft = Draft::new(at(&self.now), lifetime, topic, bytes(&self.data));
        draft.expect("a draft every node carries")
    }

    /// The first 12 bytes of the id, as a number.
    fn d(&self) -> u128 {
        u128::from_str_radix(&self.d, 16).expect("12 bytes")
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("envelope.json")).expect("envelope.json has this shape")
}

fn number(decimal: &str) -> u64 {
    decimal.parse().expect("a decimal number")
}

fn at(decimal: &str) -> UnixSeconds {
    UnixSeconds(number(decimal))
}

fn descriptor() -> MessageDescriptor {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let files = protox::compile(["envelope.proto"], [root]).expect("the schema compiles");
    let pool = DescriptorPool::from_file_descriptor_set(files).expect("the schema is whole");
    pool.get_message_by_name("undertone.v2.Envelope").expect("the schema has an Envelope")
}

#[test]
fn the_second_implementation_writes_the_same_bytes() {
    let vectors = vectors();
    assert!(!vectors.source.is_empty());
    for vector in vectors.carried {
        let data = bytes(&vector.data);
        let envelope = Envelope {
            expiry: at(&vector.expiry),
            ttl: Seconds(vector.ttl),
            topic: Topic(array(&vector.topic)),
            data: &data,
            nonce: WorkNonce(number(&vector.nonce)),
        };
        let encoding = bytes(&vector.encoding);
        assert_eq!(envelope.encode(), encoding, "{}", vector.about);
        assert_eq!(Envelope::decode(&encoding), Ok(envelope), "{}", vector.about);
        let id = EnvelopeId(array(&vector.id));
        assert_eq!(EnvelopeId::of(&encoding), Some(id), "{}", vector.about);
        assert_eq!(id.work(), vector.d(), "{}", vector.about);
    }
}

#[test]
fn the_second_implementation_drafts_the_same_envelope() {
    for vector in vectors().carried {
        let draft = vector.draft();
        assert_eq!(draft.digest(), array(&vector.digest), "{}", vector.about);
        let nonce = WorkNonce(number(&vector.nonce));
        let (id, encoding) = draft.finish(nonce);
        assert_eq!(encoding, bytes(&vector.encoding), "{}", vector.about);
        assert_eq!(id, EnvelopeId(array(&vector.id)), "{}", vector.about);
    }
}

#[test]
fn the_second_implementation_charges_the_same() {
    for vector in vectors().carried {
        let charge = vector.draft().charge();
        assert_eq!(charge.blocks(), vector.blocks, "{}", vector.about);
        assert_eq!(charge.share().units(), vector.units, "{}", vector.about);
        assert_eq!(charge.units(), vector.charge, "{}", vector.about);
    }
}

#[test]
fn the_second_implementation_finds_the_same_nonce() {
    for vector in vectors().carried {
        let start = number(&vector.start);
        let asked = (Floor::new(vector.floor), Step::new(vector.step));
        let job = vector.draft().mining_job(OutgoingId(0), asked, start);
        assert_eq!(job.target.to_string(), vector.target, "{}", vector.about);
        let nonce = WorkNonce(number(&vector.nonce));
        assert_eq!(search(&job, WorkNonce(start), 1 << 20), Some(nonce), "{}", vector.about);
    }
}

#[test]
fn what_the_second_implementation_carries_is_carried() {
    for vector in vectors().carried {
        let floor = Floor::new(vector.floor);
        let checked = check(bytes(&vector.encoding), at(&vector.now), &floor).expect(&vector.about);
        assert_eq!(checked.id(), EnvelopeId(array(&vector.id)), "{}", vector.about);
        let product = vector.d() * u128::from(vector.charge);
        assert_eq!(checked.priority().product(), product, "{}", vector.about);
        assert!(floor.admits(checked.priority(), Step::new(vector.step)), "{}", vector.about);
    }
}

/// What the vectors call a reason: the names that both implementations had first.
const fn vector_name(error: ValidationError) -> &'static str {
    match error {
        ValidationError::TooLarge => "TooLarge",
        ValidationError::Malformed => "Malformed",
        ValidationError::InvalidTtl => "BadTtl",
        ValidationError::UnalignedExpiry => "OffGrid",
        ValidationError::InsufficientPow => "LittleWork",
        ValidationError::Expired => "Expired",
        ValidationError::TooFarInFuture => "Early",
        ValidationError::Duplicate => "Duplicate",
        ValidationError::LineBusy => "LineBusy",
        ValidationError::PoolFull => "NoRoom",
        ValidationError::QueueFull => "Crowded",
    }
}

#[test]
fn every_refused_encoding_is_refused_for_its_reason() {
    let vectors = vectors();
    let floor = Floor::new(vectors.refused_floor);
    for vector in vectors.refused {
        let encoding = bytes(&vector.encoding);
        let inspected = inspect(&encoding, &floor).err();
        let refused = check(encoding, at(&vector.now), &floor).err();
        let named =
            ValidationError::ALL.into_iter().find(|error| vector_name(*error) == vector.refusal);
        assert!(named.is_some(), "{}: no refusal of this name", vector.about);
        assert_eq!(refused, named, "{}", vector.about);
        // A clock alone makes the difference between the two.
        let needs_clock =
            matches!(named, Some(ValidationError::Expired | ValidationError::TooFarInFuture));
        assert_eq!(inspected, named.filter(|_| !needs_clock), "{}", vector.about);
    }
}

#[test]
fn an_envelope_is_carried_until_its_last_second_and_from_its_first() {
    let vectors = vectors();
    let floor = Floor::new(vectors.refused_floor);
    for vector in vectors.in_time {
        let refused = check(bytes(&vector.encoding), at(&vector.now), &floor).err();
        assert_eq!(refused, None, "{}", vector.about);
    }
}

#[test]
fn the_second_implementation_has_the_same_targets() {
    for vector in vectors().targets {
        let share = Share::ALL.into_iter().find(|share| share.units() == vector.units);
        let charge = Charge::new(vector.blocks * BLOCK, share.expect("the units of a life"));
        let (floor, step) = (Floor::new(vector.floor), Step::new(vector.step));
        let target = charge.target(floor, step);
        assert_eq!(target.to_string(), vector.target);
        assert!(floor.admits(Priority::new(target - 1, charge), step), "just enough: {target}");
        let whole = target == 1 << 96;
        assert!(
            whole || !floor.admits(Priority::new(target, charge), step),
            "too little: {target}"
        );
    }
}

/// The bytes that a case of `prices` is made of, in the order in which they are used.
struct Drawn(core::array::IntoIter<u8, 32>);

impl Drawn {
    fn new(seed: &str, case: u64) -> Self {
        let hash = Sha3_256::new().chain_update(seed).chain_update(case.to_le_bytes());
        Self(<[u8; 32]>::from(hash.finalize()).into_iter())
    }

    fn byte(&mut self) -> u8 {
        self.0.next().expect("a case uses 32 bytes")
    }

    fn d(&mut self) -> u128 {
        let d = (0..12).fold(0, |number, _| number << 8 | u128::from(self.byte()));
        d >> (self.byte() % 97)
    }

    fn charge(&mut self) -> Charge {
        let blocks = 1 + usize::from(self.byte() % 32);
        let share = match self.byte() % 3 {
            0 => Share::SixHours,
            1 => Share::Day,
            _ => Share::Week,
        };
        Charge::new(blocks * BLOCK, share)
    }
}

/// Bit 0: carried. Bits 1 and 2: how the first ranks beside the second, 0 below, 1 alike, 2 above.
fn price_case(seed: &str, case: u64) -> u8 {
    let mut drawn = Drawn::new(seed, case);
    let first = Priority::new(drawn.d(), drawn.charge());
    let (floor, step) = (Floor::new(drawn.byte() % 49), Step::new(drawn.byte() % 9));
    let second = Priority::new(drawn.d(), drawn.charge());
    let order = match first.cmp(&second) {
        Ordering::Less => 0,
        Ordering::Equal => 1,
        Ordering::Greater => 2,
    };
    u8::from(floor.admits(first, step)) | order << 1
}

#[test]
fn a_million_prices_are_those_of_fractions_in_big_integers() {
    let prices = vectors().prices;
    let results: Vec<u8> = (0..prices.cases).map(|case| price_case(&prices.seed, case)).collect();
    // First what can be looked at, then all of it.
    assert_eq!(results.get(..64), Some(bytes(&prices.first).as_slice()));
    let count = |test: fn(u8) -> bool| results.iter().filter(|result| test(**result)).count();
    assert_eq!(count(|result| result & 1 == 1), prices.carried);
    assert_eq!(count(|result| result >> 1 == 0), prices.below);
    assert_eq!(count(|result| result >> 1 == 1), prices.alike);
    assert_eq!(count(|result| result >> 1 == 2), prices.above);
    assert_eq!(<[u8; 32]>::from(Sha3_256::digest(&results)), array(&prices.sha3));
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
