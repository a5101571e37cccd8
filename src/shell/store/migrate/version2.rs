//! Rows of store version 2, in their current shapes.
//!
//! Everything is kept. Kinds of the same shape today are read as current records; a test with rows
//! of that version checks that their shape is still the same.

use serde::Deserialize;

use crate::engine::crypto::keys::PublicKey;
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::id::{ContactId, IdentityId, MessageId};
use crate::engine::record::{
    ContactRecord, ContactState, DeliveryLog, IdentityRecord, MessageRecord, OutgoingRecord,
    PendingOffer, ReceiveSequence, Record, ReplayRecord, RequestRecord, SendSequence,
    SessionRecord, StoredDirection, Trust,
};
use crate::engine::session::SessionId;
use crate::shell::store::codec::{self, RowError};

/// Reads a row; refuses bytes that are more or less than one.
pub(super) fn read(row: &[u8]) -> Result<RowV2, RowError> {
    codec::decode_whole(row)
}

/// A row of version 2.
#[derive(Deserialize)]
pub(super) enum RowV2 {
    Identity(IdentityRecord),
    Contact(ContactV2),
    Session(SessionRecord),
    Request(RequestRecord),
    Seen(ReplayRecord),
    Message(MessageV2),
    Outgoing(OutgoingRecord),
}

#[derive(Deserialize)]
pub(super) struct ContactV2 {
    pub(super) id: ContactId,
    pub(super) identity: IdentityId,
    pub(super) key: PublicKey,
    pub(super) petname: String,
    pub(super) state: ContactState,
    pub(super) sent: SendSequence,
    pub(super) received: Vec<ReceiveSequenceV2>,
    pub(super) offer: Option<Box<PendingOffer>>,
    pub(super) trust: Trust,
}

#[derive(Deserialize)]
pub(super) struct ReceiveSequenceV2 {
    epoch: u64,
    next: u64,
    sack: u64,
}

#[derive(Deserialize)]
pub(super) struct MessageV2 {
    pub(super) id: MessageId,
    pub(super) contact: ContactId,
    pub(super) direction: StoredDirection,
    pub(super) number: Option<u64>,
    pub(super) text: String,
    pub(super) at: UnixSeconds,
    pub(super) missing: u64,
    pub(super) early: Option<SessionId>,
}

impl From<RowV2> for Record {
    fn from(row: RowV2) -> Self {
        match row {
            RowV2::Identity(row) => Self::Identity(row),
            RowV2::Contact(row) => Self::Contact(row.into()),
            RowV2::Session(row) => Self::Session(row),
            RowV2::Request(row) => Self::Request(row),
            RowV2::Seen(row) => Self::Replay(row),
            RowV2::Message(row) => Self::Message(row.into()),
            RowV2::Outgoing(row) => Self::Outgoing(row),
        }
    }
}

impl From<ContactV2> for ContactRecord {
    fn from(row: ContactV2) -> Self {
        let ContactV2 { id, identity, key, petname, state, sent, received, offer, trust } = row;
        Self {
            id,
            identity,
            key,
            petname,
            state,
            sent,
            received: received.into_iter().map(ReceiveSequence::from).collect(),
            offer,
            trust,
            // Off, because nobody had chosen to send read receipts.
            read_receipts: false,
            // That version did not record a restored backup.
            restored: None,
            // It knew no prices.
            highest: None,
        }
    }
}

impl From<ReceiveSequenceV2> for ReceiveSequence {
    fn from(row: ReceiveSequenceV2) -> Self {
        let ReceiveSequenceV2 { epoch, next, sack } = row;
        // That version did not record how far a person had read.
        Self { epoch, next, sack, read_up_to: 0 }
    }
}

impl From<MessageV2> for MessageRecord {
    fn from(row: MessageV2) -> Self {
        let MessageV2 { id, contact, direction, number, text, at, missing, early } = row;
        // Every envelope lived for a day, and its way was not recorded.
        let (postage, delivery) = (Lifetime::Day.into(), DeliveryLog::default());
        Self { id, contact, direction, number, text, at, missing, early, postage, delivery }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case, each_slow_case};
    use crate::shell::store::tests::fixtures::old_rows;

    fn record(row: &[u8]) -> Reading {
        let record = read(row).map(Record::from);
        assert!(record.as_ref().map_or(true, |record| codec::encode(record).is_ok()));
        Reading::of(record)
    }

    #[test]
    fn changed_at_random_a_row_of_version_2_is_a_record_or_refused() {
        let rows = old_rows(include_str!("../tests/version2.sql"));
        // Sessions compute their topics when they are read.
        let (slow, quick): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| matches!(read(row), Ok(RowV2::Session(_))));
        each_case(&quick, record);
        each_slow_case(&slow, record);
    }
}
