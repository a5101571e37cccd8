//! The rows inside the seal, each a kind, a length and that many bytes, and the checks on them.
//!
//! ```text
//! kind 1 byte | length 4 bytes, little-endian as every number here | that many bytes
//!
//! kind 0  about it: when it was made, 8 bytes, in seconds since 1970;
//!                   whether messages are in it, 1 byte, 0 or 1. The first row, and no other
//! kind 1  a record, as a row of the store holds it
//! kind 2  unread:   a contact's name, 8 bytes; how many of their messages were unread, 8 bytes
//! ```
//!
//! Identities come first, then contacts, then what belongs to them: each row speaks of what came
//! before it.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use zeroize::Zeroizing;

use super::seal::{StreamEnd, StreamOpener, StreamSealer};
use super::{BackupError, BackupSummary};
use crate::engine::env::UnixSeconds;
use crate::engine::id::{ContactId, IdentityId};
use crate::engine::node::backup::History;
use crate::engine::node::{MAX_CONTACTS, MAX_IDENTITIES, MAX_REPLAYS};
use crate::engine::record::Record;
use crate::shell::store::{Imported, MAX_RECORD_BYTES, decode_record, encode_record};

/// Writes rows and counts them.
pub(super) struct BackupWriter<W> {
    sealer: StreamSealer<W>,
    audit: BackupAudit,
}

impl<W: Write> BackupWriter<W> {
    /// Begins with the row about the backup.
    pub(super) fn begin(
        sealer: StreamSealer<W>,
        made: UnixSeconds,
        history: History,
    ) -> Result<Self, BackupError> {
        let mut writer = Self { sealer, audit: BackupAudit::new(made, history) };
        let mut about = made.0.to_le_bytes().to_vec();
        about.push(u8::from(history == History::With));
        writer.row(ABOUT, &about)?;
        Ok(writer)
    }

    /// Adds a row.
    pub(super) fn add(&mut self, row: &Imported) -> Result<(), BackupError> {
        // Checked when it is written too: a backup that cannot be restored is worse than an error
        // now.
        self.audit.count(row)?;
        match row {
            Imported::Record(record) => self.row(RECORD, &encode_record(record)?),
            Imported::Unread(contact, count) => {
                let bytes = [contact.0.to_le_bytes(), count.to_le_bytes()].concat();
                self.row(UNREAD, &bytes)
            }
        }
    }

    /// Ends the file; returns its summary.
    pub(super) fn finish(self) -> Result<(W, BackupSummary), BackupError> {
        Ok((self.sealer.finish()?, self.audit.summary))
    }

    fn row(&mut self, kind: u8, bytes: &[u8]) -> Result<(), BackupError> {
        let length = u32::try_from(bytes.len()).map_err(|_| BackupError::TooLarge)?;
        self.sealer.write(&[kind])?;
        self.sealer.write(&length.to_le_bytes())?;
        self.sealer.write(bytes)
    }
}

/// Reads rows, and refuses those that no [`BackupWriter`] writes.
pub(super) struct BackupReader<R> {
    opener: StreamOpener<R>,
    audit: BackupAudit,
}

impl<R: Read> BackupReader<R> {
    /// Begins with the row about the backup.
    pub(super) fn begin(mut opener: StreamOpener<R>) -> Result<Self, BackupError> {
        let about = row(&mut opener)?.filter(|row| row.kind == ABOUT);
        let about = about.ok_or(BackupError::Damaged)?.bytes;
        let (made, rest) = about.split_first_chunk().ok_or(BackupError::Damaged)?;
        let history = match rest {
            [0] => History::Without,
            [1] => History::With,
            _ => return Err(BackupError::Damaged),
        };
        let made = UnixSeconds(u64::from_le_bytes(*made));
        Ok(Self { opener, audit: BackupAudit::new(made, history) })
    }

    /// The next row, checked against all before it; `None` at the end.
    pub(super) fn next_row(&mut self) -> Result<Option<Imported>, BackupError> {
        let Some(BackupRow { kind, bytes }) = row(&mut self.opener)? else { return Ok(None) };
        let brought = match kind {
            RECORD => Imported::Record(decode_record(&bytes)?),
            UNREAD => {
                let (contact, rest) = bytes.split_first_chunk().ok_or(BackupError::Damaged)?;
                let count = rest.try_into().map_err(|_| BackupError::Damaged)?;
                let contact = ContactId(u64::from_le_bytes(*contact));
                Imported::Unread(contact, u64::from_le_bytes(count))
            }
            _ => return Err(BackupError::Damaged),
        };
        self.audit.count(&brought)?;
        Ok(Some(brought))
    }

    /// The summary of the rows read so far.
    pub(super) const fn summary(&self) -> BackupSummary {
        self.audit.summary
    }
}

/// A row as it stands in the file.
struct BackupRow {
    kind: u8,
    bytes: Zeroizing<Vec<u8>>,
}

/// The next row, its length bounded before it is read; `None` at the end of the file.
fn row<R: Read>(opener: &mut StreamOpener<R>) -> Result<Option<BackupRow>, BackupError> {
    let mut kind = [0];
    if opener.read(&mut kind)? == StreamEnd::Reached {
        return Ok(None);
    }
    let mut length = [0; 4];
    whole(opener, &mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    // Before the memory is taken: the length is authenticated, but its writer may have known the
    // passphrase.
    if length > MAX_RECORD_BYTES {
        return Err(BackupError::Damaged);
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    whole(opener, &mut bytes)?;
    let [kind] = kind;
    Ok(Some(BackupRow { kind, bytes }))
}

/// Fills `bytes`; the end before is damage.
fn whole<R: Read>(opener: &mut StreamOpener<R>, bytes: &mut [u8]) -> Result<(), BackupError> {
    if bytes.is_empty() {
        return Ok(());
    }
    match opener.read(bytes)? {
        StreamEnd::NotReached => Ok(()),
        StreamEnd::Reached => Err(BackupError::Damaged),
    }
}

/// Counts rows, and refuses those that no sound node has.
struct BackupAudit {
    summary: BackupSummary,
    identities: BTreeSet<IdentityId>,
    contacts: BTreeSet<ContactId>,
}

impl BackupAudit {
    const fn new(made: UnixSeconds, history: History) -> Self {
        let summary =
            BackupSummary { made, history, identities: 0, contacts: 0, offers: 0, messages: 0 };
        Self { summary, identities: BTreeSet::new(), contacts: BTreeSet::new() }
    }

    fn count(&mut self, row: &Imported) -> Result<(), BackupError> {
        let BackupSummary { history, identities, contacts, offers, messages, made: _ } =
            &mut self.summary;
        // Bounds and order of a sound node: each row names only what came before it, so no restored
        // record points into the void.
        let fine = match row {
            Imported::Record(Record::Identity(record)) => {
                *identities += 1;
                self.identities.insert(record.id) && *identities <= MAX_IDENTITIES
            }
            Imported::Record(Record::Contact(record)) => {
                *contacts += 1;
                let known = self.identities.contains(&record.identity);
                known && self.contacts.insert(record.id) && *contacts <= MAX_CONTACTS
            }
            Imported::Record(Record::Replay(_)) => {
                *offers += 1;
                *offers <= MAX_REPLAYS
            }
            Imported::Record(Record::Message(record)) => {
                *messages += 1;
                *history == History::With && self.contacts.contains(&record.contact)
            }
            Imported::Unread(contact, _) => {
                *history == History::With && self.contacts.contains(contact)
            }
            // A session in a backup would be a copy that two devices go on with, and show topics
            // twice.
            Imported::Record(Record::Session(_) | Record::Request(_) | Record::Outgoing(_)) => {
                false
            }
        };
        if fine { Ok(()) } else { Err(BackupError::Damaged) }
    }
}

const ABOUT: u8 = 0;
const RECORD: u8 = 1;
const UNREAD: u8 = 2;
