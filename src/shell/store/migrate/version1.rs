//! Rows of store version 1, in the shapes of version 2.
//!
//! Identities, contacts, messages and seen offers are kept; sessions, requests, pending offers and
//! outgoing envelopes belong to a protocol that is not spoken any more and are dropped.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::version2::{ContactV2, MessageV2, ReceiveSequenceV2, RowV2};
use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::env::UnixSeconds;
use crate::engine::id::{ContactId, IdentityId, MessageId};
use crate::engine::record::{
    ContactState, IdentityRecord, ReplayRecord, SendSequence, StoredDirection, Trust,
};
use crate::shell::store::codec::{self, RowError};

/// The row in the shape of version 2, if it is of a kind that is kept.
pub(super) fn read(row: &Zeroizing<Vec<u8>>) -> Result<Option<RowV2>, RowError> {
    // Rows of that version were not sealed: this checksum stands where the tag of a seal stands
    // now.
    let (bytes, sum) = row.split_last_chunk::<SUM_BYTES>().ok_or(RowError::NotARecord)?;
    if !Sha256::digest(bytes).starts_with(sum) {
        return Err(RowError::NotARecord);
    }
    Ok(match codec::decode_start(bytes)? {
        RowV1::Identity(row) => Some(RowV2::Identity(row.into())),
        RowV1::Contact(row) => Some(RowV2::Contact(row.into())),
        RowV1::Seen(row) => Some(RowV2::Seen(row)),
        RowV1::Message(row) => Some(RowV2::Message(row.into())),
        // No peer speaks their protocol any more: contacts begin new sessions.
        RowV1::Session | RowV1::Request | RowV1::Outgoing => None,
    })
}

/// A row of version 1. Of a kind that is dropped the number alone is read.
#[derive(Deserialize)]
enum RowV1 {
    Identity(IdentityV1),
    Contact(ContactV1),
    Session,
    Request,
    Seen(ReplayRecord),
    Message(MessageV1),
    Outgoing,
}

#[derive(Deserialize)]
struct IdentityV1 {
    id: IdentityId,
    name: String,
    identity: Identity,
    created: UnixSeconds,
}

/// A contact as far as it is kept: its last field, the pending offer, is not read.
#[derive(Deserialize)]
struct ContactV1 {
    id: ContactId,
    identity: IdentityId,
    key: PublicKey,
    petname: String,
    state: ContactState,
    sent: SendSequence,
    received: Vec<ReceiveSequenceV2>,
}

#[derive(Deserialize)]
struct MessageV1 {
    id: MessageId,
    contact: ContactId,
    direction: StoredDirection,
    number: Option<u64>,
    text: String,
    at: UnixSeconds,
    missing: u64,
}

impl From<IdentityV1> for IdentityRecord {
    fn from(row: IdentityV1) -> Self {
        let IdentityV1 { id, name, identity, created } = row;
        Self { id, name, identity, created }
    }
}

impl From<ContactV1> for ContactV2 {
    fn from(row: ContactV1) -> Self {
        let ContactV1 { id, identity, key, petname, state, sent, received } = row;
        // That version knew no verification, and its offer is of the former protocol.
        let (offer, trust) = (None, Trust::Unverified);
        Self { id, identity, key, petname, state, sent, received, offer, trust }
    }
}

impl From<MessageV1> for MessageV2 {
    fn from(row: MessageV1) -> Self {
        let MessageV1 { id, contact, direction, number, text, at, missing } = row;
        Self { id, contact, direction, number, text, at, missing, early: None }
    }
}

/// Version 1 ended each row with the start of its SHA-256.
const SUM_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::Record;
    use crate::engine::testing::mutate::{Reading, each_case};
    use crate::shell::store::tests::fixtures::old_rows;

    #[test]
    fn changed_at_random_a_row_of_version_1_is_a_record_or_refused() {
        let rows = old_rows(include_str!("../tests/version1.sql"));
        let read = |bytes: &[u8]| read(&Zeroizing::new(bytes.to_vec()));
        assert!(rows.iter().all(|row| read(row).is_ok()));
        let seeds: Vec<Vec<u8>> =
            rows.iter().map(|row| row[..row.len() - SUM_BYTES].to_vec()).collect();
        each_case(&seeds, |bytes| {
            assert!(read(bytes).is_err(), "without its sum");
            let sum = Sha256::digest(bytes);
            let row = read(&[bytes, &sum[..SUM_BYTES]].concat());
            Reading::of(row.map(|row| row.map(Record::from)))
        });
    }
}
