//! Records and keys as the bytes of a row: the one place that knows bincode.
//!
//! The layout is bincode 2 with integers of fixed width, little-endian, and variants numbered as
//! they stand in their enum, so that a new variant goes to the end. Golden bytes in the tests hold
//! it. Nothing here touches the database, and nothing here notices damage: rows are sealed.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::enc::write::SizeWriter;
use bincode::serde::{decode_from_slice, encode_into_slice, encode_into_writer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::engine::record::{Record, RecordKey};

/// The bytes of a record. Wiped when dropped: a record may hold keys.
pub(in crate::shell) fn encode(record: &Record) -> Result<Zeroizing<Vec<u8>>, RowError> {
    let size = size(record)?;
    // Refused at writing: a row over the bound could be written and never be read again.
    if size > MAX_RECORD_BYTES {
        return Err(RowError::TooLarge);
    }
    let mut row = Zeroizing::new(vec![0; size]);
    encode_into_slice(record, &mut row, LAYOUT).map_err(|_| RowError::NotEncodable)?;
    Ok(row)
}

/// The bytes of a key; they sort by kind first, in the order of [`RecordKey`]'s variants.
pub(super) fn encode_key(key: &RecordKey) -> Result<Vec<u8>, RowError> {
    let mut bytes = vec![0; size(key)?];
    encode_into_slice(key, &mut bytes, LAYOUT).map_err(|_| RowError::NotEncodable)?;
    Ok(bytes)
}

/// Reads a record back. Refuses bytes that are more or less than one record.
pub(in crate::shell) fn decode(row: &[u8]) -> Result<Record, RowError> {
    decode_whole(row)
}

/// The same for rows of former versions.
pub(super) fn decode_whole<T: DeserializeOwned>(row: &[u8]) -> Result<T, RowError> {
    let (record, used) = decode_from_slice(row, LAYOUT).map_err(|_| RowError::NotARecord)?;
    // bincode itself is content with a prefix, and bytes left over mean another version or damage.
    if used != row.len() {
        return Err(RowError::NotARecord);
    }
    Ok(record)
}

/// Reads the start of a row and leaves the rest, for rows of former versions.
pub(super) fn decode_start<T: DeserializeOwned>(row: &[u8]) -> Result<T, RowError> {
    // Version 1 ends a contact with a field that is not kept: its shape need not be known.
    decode_from_slice(row, LAYOUT).map(|(start, _)| start).map_err(|_| RowError::NotARecord)
}

/// Measures before anything is written, so that no buffer grows and leaves a copy of a secret
/// behind.
fn size(value: &impl Serialize) -> Result<usize, RowError> {
    let mut size = SizeWriter::default();
    encode_into_writer(value, &mut size, LAYOUT).map_err(|_| RowError::NotEncodable)?;
    Ok(size.bytes_written)
}

/// The reason that a row is no record, or a record no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::shell) enum RowError {
    /// The row was not written by [`encode`]: the store is damaged.
    #[error("a stored record cannot be read")]
    NotARecord,
    /// A bound of the engine is missing or wrong.
    #[error("a record is larger than the store allows")]
    TooLarge,
    /// A field has a shape that cannot be written down.
    #[error("a record cannot be encoded")]
    NotEncodable,
}

/// The largest record. A guess at several times the largest session: 2,048 skipped keys of 76 bytes
/// are 152 KiB.
pub(in crate::shell) const MAX_RECORD_BYTES: usize = 1 << 20;

const LAYOUT: Configuration<LittleEndian, Fixint, Limit<MAX_RECORD_BYTES>> =
    bincode::config::standard().with_fixed_int_encoding().with_limit::<MAX_RECORD_BYTES>();

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::engine::price::Step;
    use crate::engine::record::ContactState;
    use crate::engine::testing::mutate::{Reading, each_case, each_slow_case};
    use crate::shell::store::tests::fixtures::{self, unhex};

    /// Every record kind, with the bytes it must have for as long as stores exist.
    fn golden() -> Vec<(Record, &'static str)> {
        vec![
            (
                fixtures::contact(7),
                "01000000 0700000000000000 0100000000000000
                 2100000000000000 0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798
                 0400000000000000 6d697261 00000000
                 0300000000000000 0400000000000000
                 0100000000000000 0500000000000000 0600000000000000 0700000000000000
                 0200000000000000 00 00000000 00 00",
            ),
            (
                fixtures::doubted(7),
                "01000000 0700000000000000 0100000000000000
                 2100000000000000 0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798
                 0400000000000000 6d697261 00000000
                 0300000000000000 0400000000000000
                 0100000000000000 0500000000000000 0600000000000000 0700000000000000
                 0200000000000000 00 02000000 00e1f50500000000 00000000 01 8000000000000000 02
                 00 00",
            ),
            (
                fixtures::seen(9),
                "04000000 0909090909090909090909090909090909090909090909090909090909090909
                 8000000000000000",
            ),
            (
                fixtures::theirs(3, 7, "hi"),
                "05000000 0300000000000000 0700000000000000 01000000
                 01 0300000000000000 0200000000000000 6869 00e1f50500000000 0000000000000000 00
                 02000000 00000000 00 00 00 00",
            ),
            (
                fixtures::asked_again(4, 7),
                "05000000 0400000000000000 0700000000000000 03000000
                 01 0400000000000000 0400000000000000 73616964 00e1f50500000000 0000000000000000 00
                 02000000 00000000 00 00 00 00",
            ),
            (
                fixtures::outgoing(5),
                "06000000 0500000000000000 01000000 0700000000000000 0500000000000000
                 01020304 0300000000000000 aabbcc 80510100 01 0200000000000000 ddee",
            ),
        ]
    }

    #[test]
    fn the_limit_of_a_contact_is_stored_with_its_state() {
        let [_, usual, _, _] = fixtures::handshake();
        let row = encode(&usual).unwrap();
        let states = [ContactState::Active, ContactState::Inactive, ContactState::Blocked];
        for (step, state) in (0..=Step::MAX.get()).zip(states.into_iter().cycle()) {
            let Record::Contact(mut limited) = usual.clone() else { panic!("not a contact") };
            (limited.highest, limited.state) = (Some(Step::new(step)), state);
            let limited = Record::Contact(limited);
            let longer = encode(&limited).unwrap();
            assert_eq!(decode(&longer).unwrap(), limited);
            // The step follows the state; without one the row is what earlier builds wrote.
            assert_eq!(longer.len(), row.len() + 1);
        }
        assert_eq!(decode(&row).unwrap(), usual);
    }

    #[test]
    fn rows_are_the_golden_bytes_and_read_back_equal() {
        for (record, bytes) in golden() {
            let row = encode(&record).unwrap();
            assert_eq!(HEXLOWER.encode(&row), HEXLOWER.encode(&unhex(bytes)), "{record:?}");
            assert_eq!(decode(&unhex(bytes)).unwrap(), record);
        }
    }

    #[test]
    fn an_identity_row_is_the_golden_bytes() {
        let bytes = unhex(fixtures::IDENTITY_ROW);
        let Record::Identity(identity) = decode(&bytes).unwrap() else { panic!("another kind") };
        assert_eq!((identity.id.0, identity.name.as_str()), (1, "nightjar"));
        assert_eq!(*encode(&Record::Identity(identity)).unwrap(), bytes);
    }

    #[test]
    fn rows_of_sessions_offers_and_requests_keep_their_bytes() {
        // Too long to read: the sum stands for the bytes. A change of it is a new store version.
        let sums = fixtures::handshake().map(|record| {
            let row = encode(&record).unwrap();
            assert_eq!(decode(&row).unwrap(), record);
            HEXLOWER.encode(&Sha256::digest(&row)[..8])
        });
        assert_eq!(sums, HANDSHAKE_SUMS, "left is what the rows are, right what they were");
    }

    /// A session of the initiator, the contact with the offer, a session of the responder, a
    /// request.
    const HANDSHAKE_SUMS: [&str; 4] =
        ["7bc0327a3b9f0480", "3c0d8a954acda41b", "c6efaf47b17e2605", "d1f6df1ec2455a1c"];

    #[test]
    fn keys_sort_by_their_kind_first() {
        let keys = [
            fixtures::contact(u64::MAX).key(),
            fixtures::seen(0).key(),
            fixtures::theirs(0, 0, "").key(),
            fixtures::outgoing(0).key(),
        ];
        let bytes: Vec<_> = keys.iter().map(|key| encode_key(key).unwrap()).collect();
        assert!(bytes.is_sorted());
    }

    #[test]
    fn a_byte_more_or_less_is_no_record() {
        for (_, bytes) in golden() {
            let bytes = unhex(bytes);
            for end in 0..bytes.len() {
                assert_eq!(decode(&bytes[..end]), Err(RowError::NotARecord));
            }
            assert_eq!(decode(&[&bytes[..], &[0]].concat()), Err(RowError::NotARecord));
        }
    }

    #[test]
    fn a_length_beyond_all_memory_is_refused() {
        let mut bytes = encode(&fixtures::theirs(3, 7, "hi")).unwrap().to_vec();
        bytes[32..40].copy_from_slice(&(1_u64 << 60).to_le_bytes());
        assert_eq!(decode(&bytes), Err(RowError::NotARecord));
    }

    #[test]
    fn a_record_over_the_bound_is_refused_and_one_at_the_bound_is_kept() {
        let around = encode(&fixtures::theirs(1, 1, "")).unwrap().len();
        let largest = fixtures::theirs(1, 1, &"x".repeat(MAX_RECORD_BYTES - around));
        assert_eq!(decode(&encode(&largest).unwrap()).unwrap(), largest);
        let larger = fixtures::theirs(1, 1, &"x".repeat(MAX_RECORD_BYTES - around + 1));
        assert_eq!(encode(&larger).unwrap_err(), RowError::TooLarge);
    }

    proptest! {
        #[test]
        fn decoding_never_panics_and_accepts_only_bytes_that_encoding_gives(
            kind in 0_u8..8,
            rest: Vec<u8>,
        ) {
            let row = [&[kind, 0, 0, 0], rest.as_slice()].concat();
            if let Ok(record) = decode(&row) {
                prop_assert_eq!(&*encode(&record).unwrap(), &row);
            }
        }

        #[test]
        fn a_record_read_from_changed_bytes_encodes_to_those_bytes(
            which in 0_usize..5,
            place: prop::sample::Index,
            change in 1_u8..,
        ) {
            let mut bytes = unhex(golden()[which].1);
            let place = place.index(bytes.len());
            bytes[place] ^= change;
            if let Ok(record) = decode(&bytes) {
                prop_assert_eq!(&*encode(&record).unwrap(), &bytes);
            }
        }

        #[test]
        fn messages_read_back_equal(record in fixtures::any_message()) {
            let record = Record::Message(record);
            prop_assert_eq!(decode(&encode(&record).unwrap()).unwrap(), record);
        }

        #[test]
        fn outgoing_envelopes_read_back_equal(record in fixtures::any_outgoing()) {
            let record = Record::Outgoing(record);
            prop_assert_eq!(decode(&encode(&record).unwrap()).unwrap(), record);
        }
    }

    /// What a row is that was changed. Where a field has a bound (ten minutes became six hours, a
    /// step above 8 counts as 8, a window is no longer than any may be, work is rounded down) another
    /// value is the bound.
    fn read(row: &[u8]) -> Reading {
        let Ok(record) = decode(row) else { return Reading::Refused };
        let written = encode(&record).unwrap().to_vec();
        match record {
            Record::Message(_) | Record::Contact(_) | Record::Session(_) | Record::Request(_) => {
                assert!(written.len() == row.len() && decode(&written) == Ok(record));
                Reading::Taken
            }
            Record::Identity(_) | Record::Replay(_) | Record::Outgoing(_) => {
                Reading::Written(written)
            }
        }
    }

    #[test]
    fn changed_at_random_a_row_is_refused_or_the_record_that_is_written_so() {
        let mut seeds: Vec<Vec<u8>> = golden().iter().map(|(_, bytes)| unhex(bytes)).collect();
        seeds.push(unhex(fixtures::IDENTITY_ROW));
        each_case(&seeds, read);
    }

    /// Sessions compute their topics when they are read.
    #[test]
    fn changed_at_random_a_row_of_a_handshake_is_refused_or_the_record_that_is_written_so() {
        let rows = fixtures::handshake().map(|record| encode(&record).unwrap().to_vec());
        each_slow_case(&rows, read);
    }
}
