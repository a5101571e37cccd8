//! The roster: identities, contacts, pending requests, and the replay cache of offers.

use std::collections::BTreeMap;

use crate::engine::crypto::keys::PublicKey;
use crate::engine::env::UnixSeconds;
use crate::engine::id::{ContactId, IdentityId, RequestId};
use crate::engine::session::OfferId;

use crate::engine::command::CommandError;
use crate::engine::record::{
    ContactRecord, IdentityRecord, RecordKey, ReplayRecord, RequestRecord,
};

/// A person has a handful of identities; each costs one multiplication for every envelope that is
/// not for us. A guess.
pub const MAX_IDENTITIES: usize = 16;

/// Every session watches about a thousand topics; a thousand contacts are a million. A guess.
pub const MAX_CONTACTS: usize = 1_024;

/// Requests cost their sender work and us a row; the oldest gives way. A guess.
pub const MAX_REQUESTS: usize = 64;

/// Replays that are remembered. Each cost its sender an envelope's work; the one that expires first
/// gives way. A guess.
pub const MAX_REPLAYS: usize = 65_536;

/// The longest name, in characters: it has to fit a screen.
pub const MAX_NAME: usize = 64;

/// Identities, contacts, pending requests and the replay cache.
#[derive(Debug, Default)]
pub(super) struct Roster {
    pub(super) identities: BTreeMap<IdentityId, IdentityRecord>,
    pub(super) contacts: BTreeMap<ContactId, ContactRecord>,
    pub(super) requests: BTreeMap<RequestId, RequestRecord>,
    replay_cache: BTreeMap<OfferId, UnixSeconds>,
}

impl Roster {
    /// The contact of `identity` with this key.
    pub(super) fn contact_by_key(
        &self,
        identity: IdentityId,
        key: &PublicKey,
    ) -> Option<&ContactRecord> {
        self.contacts.values().find(|contact| contact.identity == identity && contact.key == *key)
    }

    /// Whether the key is one of our own.
    pub(super) fn is_own(&self, key: &PublicKey) -> bool {
        self.identities.values().any(|record| record.identity.public() == *key)
    }

    /// Whether this offer was seen before and may not count again.
    pub(super) fn is_replay(&self, offer: OfferId) -> bool {
        self.replay_cache.contains_key(&offer)
    }

    /// Remembers an offer; answers what to forget in its place.
    pub(super) fn remember_offer(&mut self, record: &ReplayRecord) -> Option<RecordKey> {
        self.replay_cache.insert(record.offer, record.until);
        if self.replay_cache.len() <= MAX_REPLAYS {
            return None;
        }
        let (&first, _) = self.replay_cache.iter().min_by_key(|&(id, &until)| (until, *id))?;
        self.replay_cache.remove(&first);
        Some(RecordKey::Replay(first))
    }

    /// Forgets the offers whose replay cannot arrive any more.
    pub(super) fn expire_replays(&mut self, now: UnixSeconds) -> Vec<RecordKey> {
        let old: Vec<OfferId> = self
            .replay_cache
            .iter()
            .filter(|&(_, &until)| until < now)
            .map(|(&id, _)| id)
            .collect();
        for id in &old {
            self.replay_cache.remove(id);
        }
        old.into_iter().map(RecordKey::Replay).collect()
    }

    /// Whether `petname` may be given to a contact of `identity` (other than `except`).
    pub(super) fn check_petname(
        &self,
        identity: IdentityId,
        petname: &str,
        except: Option<ContactId>,
    ) -> Result<(), CommandError> {
        check_name(petname)?;
        let taken = self.contacts.values().any(|contact| {
            contact.identity == identity && contact.petname == petname && Some(contact.id) != except
        });
        if taken { Err(CommandError::NameTaken) } else { Ok(()) }
    }
}

/// A name is one line of 1 to [`MAX_NAME`] characters that a screen can show, without blank ends.
pub(super) fn check_name(name: &str) -> Result<(), CommandError> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME || !is_shown_as_written(name) {
        return Err(CommandError::BadName);
    }
    Ok(())
}

/// Whether a screen shows the name exactly as it was written.
fn is_shown_as_written(name: &str) -> bool {
    let label = crate::engine::text::UntrustedText::new(name.to_owned()).sanitize_for_label();
    label.text == name
}
