//! The one canonical encoding of an envelope (`proto/README.md`, "Bytes"; `proto/envelope.proto`).
//!
//! An envelope has exactly one encoding, so an id names one envelope and nobody can make a second
//! id for the same one. The decoder refuses all bytes that the encoder would not write. Time and
//! work are left to [`super::check()`].

use core::ops::Range;

use serde::{Deserialize, Serialize};
use sha3::{Digest, Keccak256};

use super::lifetime::Lifetime;
use super::topic::Topic;
use super::work::{self, WorkNonce};
use crate::engine::crypto::keccak::Kernel;
use crate::engine::env::{Seconds, UnixSeconds};

/// The size of every envelope a messenger emits, in bytes: sizes tell nothing.
pub const ENVELOPE_SIZE: usize = 2048;

/// Bytes that the encoding adds to data of 128 to 16,383 bytes.
pub const OVERHEAD: usize = FIELDS + 2;

/// The data of every envelope a messenger emits, in bytes.
pub const BODY_SIZE: usize = ENVELOPE_SIZE - OVERHEAD;

/// The largest envelope a node carries, in bytes. A guess: room for other programs' data, and small
/// enough that a full queue of them fits a small machine.
pub const MAX_ENVELOPE_SIZE: usize = 65_536;

/// The most data an envelope carries, in bytes.
pub const MAX_DATA: usize = MAX_ENVELOPE_SIZE - FIELDS - 3;

/// The longest life: a message still reaches somebody who is away for a week.
pub const MAX_TTL: Seconds = Lifetime::Week.ttl();

/// The life of a message unless its writer chooses another.
pub const ONE_DAY: Seconds = Lifetime::Day.ttl();

/// The grid that expiries are rounded up to: an exact expiry would show the second an envelope was
/// made, and how far its maker's clock is off.
pub const GRID: Seconds = Seconds(3_600);

/// The keys (`field number << 3 | wire type`) of the five fields, in the order written.
const EXPIRY_KEY: u8 = 0x09;
const TTL_KEY: u8 = 0x15;
const TOPIC_KEY: u8 = 0x1a;
const DATA_KEY: u8 = 0x22;
const NONCE_KEY: u8 = 0x29;

/// The nonce field, key and value, in bytes. It comes last: the work is for all that precedes it.
pub(super) const NONCE_FIELD: usize = 9;

/// Everything but the data and the varint of its length: five keys, two fixed64, one fixed32, and
/// the topic with its length.
const FIELDS: usize = 5 + 8 + 4 + 1 + 4 + 8;

/// The name of an envelope: the digest that shows its work, Keccak-256 of H, 24 zero bytes and the
/// nonce (`proto/README.md`, "Id"). Also the gossipsub message id.
///
/// Ids begin with as many zero bits as the work made them: whatever uses a part of one takes its
/// last bytes ([`Self::tail`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EnvelopeId(pub [u8; 32]);

impl EnvelopeId {
    /// The id of an envelope; `None` for bytes that are no canonical encoding.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        Envelope::decode(bytes).ok().map(|envelope| Self::of_decoded(bytes, envelope.nonce))
    }

    /// The ids of envelopes that came together, each as [`Self::of`] says. Many at once take a third
    /// or a fifth of the time.
    #[must_use]
    pub fn of_each(envelopes: &[&[u8]]) -> Vec<Option<Self>> {
        let nonces: Vec<Option<WorkNonce>> = envelopes
            .iter()
            .map(|bytes| Envelope::decode(bytes).ok().map(|envelope| envelope.nonce))
            .collect();
        let decoded = envelopes
            .iter()
            .zip(&nonces)
            .filter_map(|(bytes, nonce)| nonce.map(|nonce| (*bytes, nonce)));
        // One for each that was decoded, in their order.
        let mut ids = Self::of_each_decoded(&decoded.collect::<Vec<_>>()).into_iter();
        nonces.iter().map(|nonce| nonce.and_then(|_| ids.next())).collect()
    }

    /// The id of the envelope that was read from `bytes`.
    pub(super) fn of_decoded(bytes: &[u8], nonce: WorkNonce) -> Self {
        Self(work::digest(&Keccak256::digest(prefix(bytes)).into(), nonce))
    }

    /// The ids of the envelopes that were read from each of these bytes. Many at once take a third or
    /// a fifth of the time.
    pub(super) fn of_each_decoded(envelopes: &[(&[u8], WorkNonce)]) -> Vec<Self> {
        let kernel = Kernel::chosen();
        let prefixes: Vec<&[u8]> = envelopes.iter().map(|(bytes, _)| prefix(bytes)).collect();
        let digests = kernel.hash_each(&prefixes);
        let messages = digests.iter().zip(envelopes);
        let messages: Vec<[u8; 64]> =
            messages.map(|(digest, (_, nonce))| work::message(digest, *nonce)).collect();
        let messages: Vec<&[u8]> = messages.iter().map(<[u8; 64]>::as_slice).collect();
        kernel.hash_each(&messages).into_iter().map(Self).collect()
    }

    /// Its first 12 bytes as a number, big-endian: the smaller, the more work it shows.
    #[must_use]
    pub fn work(&self) -> u128 {
        let [front @ .., _, _, _, _] = self.0.first_chunk::<16>().copied().unwrap_or_default();
        front.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
    }

    /// Its last 8 bytes, uniform whatever work it shows.
    #[must_use]
    pub fn tail(&self) -> [u8; 8] {
        self.0.last_chunk().copied().unwrap_or_default()
    }
}

impl core::fmt::Debug for EnvelopeId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("EnvelopeId")
    }
}

/// The five fields of an envelope, read from bytes it borrows. Time and work are not checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The time until which it is carried.
    pub expiry: UnixSeconds,
    /// How long it is to live; with the size it sets the work.
    pub ttl: Seconds,
    /// The topic its recipient watches.
    pub topic: Topic,
    /// Its data: a sealed body, or noise.
    pub data: &'a [u8],
    /// The nonce that shows its work.
    pub nonce: WorkNonce,
}

impl<'a> Envelope<'a> {
    /// Reads an encoding without copying it.
    ///
    /// # Errors
    /// [`MalformedEnvelope`] for everything [`Self::encode`] would not have written: fields out of
    /// order, missing, repeated or unknown, a length written longer than need be, trailing bytes;
    /// and for more than [`MAX_ENVELOPE_SIZE`] bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, MalformedEnvelope> {
        if bytes.len() > MAX_ENVELOPE_SIZE {
            return Err(MalformedEnvelope);
        }
        Self::read(bytes).ok_or(MalformedEnvelope)
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        // All fields, each once and in this order. The freedom of a general Protocol Buffers reader
        // would give one envelope many ids.
        let (expiry, rest) = bytes.strip_prefix(&[EXPIRY_KEY])?.split_first_chunk()?;
        let (ttl, rest) = rest.strip_prefix(&[TTL_KEY])?.split_first_chunk()?;
        let (topic, rest) = rest.strip_prefix(&[TOPIC_KEY, 4])?.split_first_chunk()?;
        let (length, rest) = read_length(rest.strip_prefix(&[DATA_KEY])?)?;
        let (data, rest) = rest.split_at_checked(length)?;
        let nonce = <[u8; 8]>::try_from(rest.strip_prefix(&[NONCE_KEY])?).ok()?;
        Some(Self {
            expiry: UnixSeconds(u64::from_le_bytes(*expiry)),
            ttl: Seconds(u32::from_le_bytes(*ttl)),
            topic: Topic(*topic),
            data,
            nonce: WorkNonce(u64::from_le_bytes(nonce)),
        })
    }

    /// Writes the canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.encode_prefix();
        append_nonce(&mut bytes, self.nonce);
        bytes
    }

    /// Everything before the nonce, which the work is for.
    pub(super) fn encode_prefix(&self) -> Vec<u8> {
        let Self { expiry, ttl, topic, data, nonce: _ } = self;
        let mut bytes = Vec::with_capacity(FIELDS + LONGEST_LENGTH + data.len());
        bytes.push(EXPIRY_KEY);
        bytes.extend(expiry.0.to_le_bytes());
        bytes.push(TTL_KEY);
        bytes.extend(ttl.0.to_le_bytes());
        bytes.extend([TOPIC_KEY, 4]);
        bytes.extend(topic.0);
        bytes.push(DATA_KEY);
        append_length(&mut bytes, data.len());
        bytes.extend_from_slice(data);
        bytes
    }
}

impl core::fmt::Debug for Envelope<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { expiry: _, ttl, topic: _, data, nonce: _ } = self;
        f.debug_struct("Envelope").field("ttl", ttl).field("bytes", &data.len()).finish()
    }
}

/// Bytes that are no envelope in its one encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are not the canonical encoding of an envelope")]
pub struct MalformedEnvelope;

/// The place of `length` bytes of data in an encoding of `size` bytes: just before the nonce.
pub(super) const fn data_range(size: usize, length: usize) -> Range<usize> {
    let end = size.saturating_sub(NONCE_FIELD);
    end.saturating_sub(length)..end
}

/// Everything before the nonce of an encoding.
fn prefix(bytes: &[u8]) -> &[u8] {
    bytes.split_at(bytes.len().saturating_sub(NONCE_FIELD)).0
}

pub(super) fn append_nonce(bytes: &mut Vec<u8>, nonce: WorkNonce) {
    bytes.push(NONCE_KEY);
    bytes.extend(nonce.0.to_le_bytes());
}

/// The longest varint written before data, in bytes: 21 bits of length cover [`MAX_DATA`].
const LONGEST_LENGTH: usize = 3;

/// Writes a length as a protobuf varint: 7 bits a byte, lowest first, the top bit on all but the
/// last.
fn append_length(bytes: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or(0);
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// Reads a length, and returns the bytes that follow it. `None` for one that is cut short, longer
/// than any this program writes, or not the shortest way to write its number.
fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0;
    for (index, byte) in bytes.iter().take(LONGEST_LENGTH).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            // A longer way to write the same number would give one envelope a second id.
            let padded = *byte == 0 && index > 0;
            return (!padded).then_some((length, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    /// An encoding of so much data.
    fn encoded(nonce: u64, data: usize) -> Vec<u8> {
        let data = vec![5; data];
        Envelope {
            expiry: UnixSeconds(1_700_006_400),
            ttl: Seconds(86_400),
            topic: Topic([1, 2, 3, 4]),
            data: &data,
            nonce: WorkNonce(nonce),
        }
        .encode()
    }

    #[test]
    fn a_body_and_the_overhead_are_the_one_size() {
        assert_eq!((OVERHEAD, BODY_SIZE), (32, 2016));
        assert_eq!(encoded(0, BODY_SIZE).len(), ENVELOPE_SIZE);
    }

    #[test]
    fn the_most_data_reads_and_one_byte_more_does_not() {
        let largest = encoded(0, MAX_DATA);
        assert_eq!(largest.len(), MAX_ENVELOPE_SIZE);
        assert!(Envelope::decode(&largest).is_ok());
        assert_eq!(Envelope::decode(&encoded(0, MAX_DATA + 1)), Err(MalformedEnvelope));
    }

    #[test]
    fn no_prefix_of_an_envelope_and_nothing_longer_is_one() {
        let bytes = encoded(6, 130);
        for end in 0..bytes.len() {
            assert_eq!(Envelope::decode(&bytes[..end]), Err(MalformedEnvelope), "{end}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Envelope::decode(&longer), Err(MalformedEnvelope));
    }

    #[test]
    fn a_length_has_one_spelling() {
        assert_eq!(read_length(&[0, 9]), Some((0, [9].as_slice())));
        assert_eq!(read_length(&[0x80, 1]), Some((128, [].as_slice())));
        assert_eq!(read_length(&[0x80, 0]), None);
        assert_eq!(read_length(&[0x81, 0x80, 0]), None);
        assert_eq!(read_length(&[0x81, 0x80, 0x80, 1]), None);
        assert_eq!(read_length(&[0x81]), None);
        assert_eq!(read_length(&[]), None);
    }

    #[test]
    fn debug_shows_size_and_life_alone() {
        let bytes = encoded(7, BODY_SIZE);
        let envelope = Envelope::decode(&bytes).unwrap();
        assert_eq!(format!("{envelope:?}"), "Envelope { ttl: Seconds(86400), bytes: 2016 }");
        assert_eq!(format!("{:?}", EnvelopeId::of(&bytes)), "Some(EnvelopeId)");
    }

    #[test]
    fn an_id_is_the_digest_that_shows_the_work_and_other_bytes_have_none() {
        let bytes = encoded(0x0102_0304_0506_0708, 40);
        let prefix: [u8; 32] = Keccak256::digest(&bytes[..bytes.len() - 9]).into();
        let nonce = [1, 2, 3, 4, 5, 6, 7, 8];
        let message = [&prefix[..], &[0; 24], &nonce].concat();
        let id = EnvelopeId(Keccak256::digest(message).into());
        assert_eq!(EnvelopeId::of(&bytes), Some(id));
        assert_eq!(EnvelopeId::of(&bytes[1..]), None);
        // The key of the nonce is under no hash: other bytes there are another encoding, and none.
        let mut other = bytes;
        let key = other.len() - 9;
        other[key] = 0;
        assert_eq!(EnvelopeId::of(&other), None);
    }

    #[test]
    fn the_front_of_an_id_shows_work_and_its_tail_does_not() {
        let id = EnvelopeId(core::array::from_fn(|at| u8::try_from(at).unwrap()));
        assert_eq!(id.work(), 0x0001_0203_0405_0607_0809_0a0b);
        assert_eq!(id.tail(), [24, 25, 26, 27, 28, 29, 30, 31]);
        assert_eq!(EnvelopeId([0xff; 32]).work(), (1 << 96) - 1);
    }

    proptest! {
        #[test]
        fn an_envelope_reads_back_as_it_was_written(
            expiry: u64, ttl: u32, topic: [u8; 4], nonce: u64,
            data in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let envelope = Envelope {
                expiry: UnixSeconds(expiry), ttl: Seconds(ttl), topic: Topic(topic), data: &data,
                nonce: WorkNonce(nonce),
            };
            let bytes = envelope.encode();
            prop_assert_eq!(Envelope::decode(&bytes), Ok(envelope));
            prop_assert_eq!(bytes.get(data_range(bytes.len(), data.len())), Some(data.as_slice()));
        }

        #[test]
        fn bytes_that_read_are_the_bytes_that_would_be_written(
            nonce: u64, size in 0_usize..300, cut in 0_usize..3,
            changes in proptest::collection::vec(any::<(u16, u8)>(), 0..4),
        ) {
            let mut bytes = encoded(nonce, size);
            for (at, byte) in changes {
                let at = usize::from(at) % bytes.len();
                bytes[at] = byte;
            }
            bytes.truncate(bytes.len() - cut);
            if let Ok(envelope) = Envelope::decode(&bytes) {
                prop_assert_eq!(envelope.encode(), bytes);
            }
        }

        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(envelope) = Envelope::decode(&bytes) {
                prop_assert_eq!(envelope.encode(), bytes);
            }
        }

        #[test]
        fn every_length_reads_back(length in 0_usize..1 << 21) {
            let mut bytes = Vec::new();
            append_length(&mut bytes, length);
            prop_assert_eq!(read_length(&bytes), Some((length, [].as_slice())));
        }
    }

    #[test]
    fn changed_at_random_an_envelope_is_refused_or_the_one_that_is_written_so() {
        let seeds = [0, 1, 127, 128, BODY_SIZE, 20_000].map(|data| encoded(7, data));
        each_case(&seeds, |bytes| {
            let read = Envelope::decode(bytes).ok();
            assert_eq!(EnvelopeId::of(bytes).is_some(), read.is_some());
            Reading::again(read, |envelope| envelope.encode())
        });
    }
}
