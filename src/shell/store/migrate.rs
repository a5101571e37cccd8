//! Rows of store version 1, brought to the current form.
//!
//! Their shapes are written down here, as far as they are still needed, so that records may change
//! without taking old homes with them. Identities, contacts, messages and seen offers are kept;
//! sessions, requests, pending offers and outgoing envelopes belong to a protocol that nobody
//! speaks any more and are dropped. Nothing here is used by a database that is of the current
//! version.

use rusqlite::{Transaction, params};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::rows::{self, RowError};
use super::sealed::RowKey;
use super::{StoreError, seal};
use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Life;
use crate::engine::id::{ContactId, IdentityId, MessageId};
use crate::engine::node::record::{
    ContactRecord, IdentityRecord, MessageRecord, OwnStream, PeerStream, Record, RecordSide,
    SeenRecord, Standing, Trail, Trust,
};

/// Seals every row that is kept and drops the others.
pub(super) fn seal_rows(transaction: &Transaction<'_>, key: &RowKey) -> Result<(), StoreError> {
    seal_records(transaction, key)?;
    seal_messages(transaction, key)
}

fn seal_records(transaction: &Transaction<'_>, key: &RowKey) -> Result<(), StoreError> {
    let mut names = transaction.prepare("SELECT key FROM record")?;
    let names: Vec<Vec<u8>> =
        names.query_map([], |row| row.get(0))?.collect::<Result<_, rusqlite::Error>>()?;
    for name in names {
        let query = "SELECT value FROM record WHERE key = ?1";
        let row = transaction.query_row(query, [&name], |row| row.get(0).map(Zeroizing::new))?;
        let Some(record) = current(&row)? else {
            transaction.execute("DELETE FROM record WHERE key = ?1", [&name])?;
            continue;
        };
        let sealed = seal(transaction, key, &record)?;
        transaction.execute(
            "UPDATE record SET salt = ?2, value = ?3 WHERE key = ?1",
            params![name, sealed.slot, sealed.value],
        )?;
    }
    Ok(())
}

fn seal_messages(transaction: &Transaction<'_>, key: &RowKey) -> Result<(), StoreError> {
    let mut places = transaction.prepare("SELECT place FROM message")?;
    let places: Vec<i64> =
        places.query_map([], |row| row.get(0))?.collect::<Result<_, rusqlite::Error>>()?;
    for place in places {
        let query = "SELECT value FROM message WHERE place = ?1";
        let row = transaction.query_row(query, [place], |row| row.get(0).map(Zeroizing::new))?;
        let record = current(&row)?.ok_or(StoreError::Damaged)?;
        let sealed = seal(transaction, key, &record)?;
        transaction.execute(
            "UPDATE message SET salt = ?2, value = ?3 WHERE place = ?1",
            params![place, sealed.slot, sealed.value],
        )?;
    }
    Ok(())
}

/// What a row of version 1 says in the shapes of today, if it is of a kind that is kept.
fn current(row: &Zeroizing<Vec<u8>>) -> Result<Option<Record>, RowError> {
    let (bytes, sum) = row.split_last_chunk::<SUM_BYTES>().ok_or(RowError::NotARecord)?;
    if !Sha256::digest(bytes).starts_with(sum) {
        return Err(RowError::NotARecord);
    }
    Ok(match rows::decode_start(bytes)? {
        RowV1::Identity(row) => Some(Record::Identity(row.into())),
        RowV1::Contact(row) => Some(Record::Contact(row.into())),
        RowV1::Seen(row) => Some(Record::Seen(row)),
        RowV1::Message(row) => Some(Record::Message(row.into())),
        RowV1::Session | RowV1::Request | RowV1::Outgoing => None,
    })
}

/// A row of version 1. A kind that is dropped is told by its number alone.
#[derive(Deserialize)]
enum RowV1 {
    Identity(IdentityV1),
    Contact(ContactV1),
    Session,
    Request,
    Seen(SeenRecord),
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
    standing: Standing,
    ours: OwnStream,
    theirs: Vec<PeerStream>,
}

#[derive(Deserialize)]
struct MessageV1 {
    id: MessageId,
    contact: ContactId,
    side: RecordSide,
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

impl From<ContactV1> for ContactRecord {
    fn from(row: ContactV1) -> Self {
        let ContactV1 { id, identity, key, petname, standing, ours, theirs } = row;
        Self {
            id,
            identity,
            key,
            petname,
            standing,
            ours,
            theirs,
            offer: None,
            trust: Trust::Unverified,
            read_marks: false,
            restored: None,
        }
    }
}

impl From<MessageV1> for MessageRecord {
    fn from(row: MessageV1) -> Self {
        let MessageV1 { id, contact, side, number, text, at, missing } = row;
        let (life, trail) = (Life::Day, Trail::default());
        Self { id, contact, side, number, text, at, missing, early: None, life, trail }
    }
}

/// Version 1 ended each row with the start of its SHA-256.
const SUM_BYTES: usize = 8;
