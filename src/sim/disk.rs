//! The simulated disk: the store's contract, in memory. It is all that survives a crash.

use std::collections::BTreeMap;

use crate::engine::env::{Env, Seconds};
use crate::engine::envelope::Envelope;
use crate::engine::id::{ContactId, MessageId, OutgoingId};
use crate::engine::node::backup::{History, portable, restored};
use crate::engine::record::{
    Change, ContactRecord, EnvelopePurpose, MessageRecord, MessageState, Record, RecordKey,
    SendSequence, StoredDirection,
};

/// Records by key, in the order they were first put.
#[derive(Clone, Debug, Default)]
pub(super) struct SimDisk {
    rows: BTreeMap<RecordKey, (u64, Record)>,
    sequence: u64,
}

/// A copy of a node's whole disk at one moment, as of a virtual machine.
#[derive(Clone, Debug)]
pub struct DiskCopy(SimDisk);

impl DiskCopy {
    pub(super) fn of(disk: &SimDisk) -> Self {
        Self(disk.clone())
    }

    pub(super) fn into_disk(self) -> SimDisk {
        self.0
    }
}

impl SimDisk {
    /// Makes changes durable, all of them.
    pub(super) fn commit(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put(record) => {
                    let key = record.key();
                    // The real store refuses the whole commit here, and its node ends.
                    debug_assert!(self.may_put(&record), "a message goes back to a former state");
                    self.sequence += 1;
                    // A buffered message takes its place in the history when it is shown.
                    let known = self.rows.get(&key).filter(|(_, before)| !is_held(before));
                    let order = known.map_or(self.sequence, |&(order, _)| order);
                    self.rows.insert(key, (order, record));
                }
                Change::Erase(key) => {
                    self.rows.remove(&key);
                }
                Change::EraseMessages(contact) => self.rows.retain(
                    |_, (_, record)| !matches!(record, Record::Message(m) if m.contact == contact),
                ),
            }
        }
    }

    fn may_put(&self, record: &Record) -> bool {
        match (self.rows.get(&record.key()), record) {
            (Some((_, Record::Message(before))), Record::Message(after)) => {
                before.direction.may_become(after.direction)
            }
            _ => true,
        }
    }

    /// All records.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.rows.values().map(|(_, record)| record)
    }

    /// Forgets all but identities and contacts, as a backup without history restores them: in
    /// another epoch, drawn from `epoch`.
    pub(super) fn wipe_to_roster(&mut self, mut epoch: impl FnMut() -> u64) {
        self.rows
            .retain(|_, (_, record)| matches!(record, Record::Identity(_) | Record::Contact(_)));
        for (_, record) in self.rows.values_mut() {
            if let Record::Contact(contact) = record {
                let sent = SendSequence { epoch: epoch(), next: 0 };
                let known = contact.clone();
                *contact = ContactRecord {
                    sent,
                    received: Vec::new(),
                    offer: None,
                    restored: None,
                    ..known
                };
            }
        }
    }

    /// Becomes the disk of another device that restored this one's backup with its history, by the
    /// engine's own rules of what a backup carries and what becomes of it.
    pub(super) fn restore_from_backup(&mut self, env: &mut Env<'_>) {
        let mut rows: Vec<(u64, Record)> = core::mem::take(&mut self.rows).into_values().collect();
        rows.sort_by_key(|(order, _)| *order);
        let records = rows.into_iter().map(|(_, record)| record).collect();
        let carried = portable(records, History::With);
        let taken = carried.into_iter().filter_map(|record| restored(env, record));
        self.commit(taken.map(Change::Put).collect());
    }

    /// Forgets sessions, offers and envelopes; messages stay.
    pub(super) fn drop_sessions(&mut self) {
        self.rows.retain(|_, (_, record)| {
            !matches!(record, Record::Session(_) | Record::Request(_) | Record::Outgoing(_))
        });
        for (_, record) in self.rows.values_mut() {
            if let Record::Contact(contact) = record {
                contact.offer = None;
            }
        }
    }

    /// Becomes a disk of version 1, whose envelopes could live ten minutes.
    pub(super) fn write_as_version_1(&mut self) {
        const TEN_MINUTES: Seconds = Seconds(600);
        for (_, record) in self.rows.values_mut() {
            let Record::Outgoing(outgoing) = record else { continue };
            outgoing.ttl = TEN_MINUTES;
            outgoing.envelope = outgoing.envelope.take().and_then(|bytes| {
                let envelope = Envelope::decode(&bytes).ok()?;
                Some(Envelope { ttl: TEN_MINUTES, ..envelope }.encode())
            });
        }
    }

    /// The contacts' texts that were shown, in that order: a person who comes back reads them here.
    pub(super) fn shown(&self) -> Vec<(ContactId, String)> {
        let messages = self.rows.values().filter_map(|(order, record)| {
            let Record::Message(message) = record else { return None };
            (message.direction == StoredDirection::Delivered).then_some((*order, message))
        });
        let mut rows: Vec<(u64, &MessageRecord)> = messages.collect();
        rows.sort_by_key(|(order, _)| *order);
        rows.into_iter().map(|(_, message)| (message.contact, message.text.clone())).collect()
    }

    /// The state of each message of ours.
    pub(super) fn states(&self) -> BTreeMap<MessageId, MessageState> {
        let states = self.rows.values().filter_map(|(_, record)| {
            let Record::Message(message) = record else { return None };
            Some((message.id, message.direction.state()?))
        });
        states.collect()
    }

    /// The purpose of an envelope, if its author keeps it.
    pub(super) fn purpose(&self, envelope: &[u8]) -> Option<EnvelopePurpose> {
        let outgoing = self.rows.range(RecordKey::Outgoing(OutgoingId(0))..);
        outgoing.map(|(_, (_, record))| record).find_map(|record| {
            let Record::Outgoing(kept) = record else { return None };
            (kept.envelope.as_deref() == Some(envelope)).then_some(kept.purpose)
        })
    }

    /// The records that a node loads at its start: all but the messages that are history.
    pub(super) fn open_records(&self) -> Vec<Record> {
        let mut rows: Vec<&(u64, Record)> =
            self.rows.values().filter(|(_, record)| is_open(record)).collect();
        rows.sort_by_key(|(order, _)| *order);
        rows.into_iter().map(|(_, record)| record.clone()).collect()
    }
}

fn is_held(record: &Record) -> bool {
    matches!(record, Record::Message(m) if matches!(m.direction, StoredDirection::Buffered { .. }))
}

/// Whether a node loads it at its start: everything but messages that are history.
fn is_open(record: &Record) -> bool {
    match record {
        Record::Message(message) => message.is_open(),
        Record::Identity(_)
        | Record::Contact(_)
        | Record::Session(_)
        | Record::Request(_)
        | Record::Replay(_)
        | Record::Outgoing(_) => true,
    }
}
