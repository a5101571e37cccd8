//! Another passphrase for a store, whether a node has it open or not.
//!
//! Only the key file is replaced, in one step: at every moment one passphrase opens the store,
//! the old one or the new. The database and its key stay as they are.

use std::path::PathBuf;

use super::files::{self, KeyFileLock};
use super::key::{self, KEY_BYTES, KeyCost};
use super::{KEY_FILE, StoreError, random, read_key_file};
use crate::engine::secret::{Secret, opaque_debug};
use crate::shell::os::passphrase::Passphrase;

/// A change of a store's passphrase, of which the old one was right. Nothing is changed before
/// [`Self::finish`].
pub struct PassphraseChange {
    dir: PathBuf,
    /// The key file as it was when the old passphrase opened it.
    file: Vec<u8>,
    /// The database's key.
    key: Secret<KEY_BYTES>,
}

opaque_debug!(struct PassphraseChange { dir, file, key });

impl PassphraseChange {
    pub(super) fn begin(dir: PathBuf, old: &Passphrase) -> Result<Self, StoreError> {
        let file = read_key_file(&dir)?;
        let key = key::open(&file, old)?;
        Ok(Self { dir, file, key })
    }

    /// Seals the store under `new`, durably. Takes about a second on purpose, and waits some
    /// seconds for another process that does the same.
    ///
    /// The database's own key stays the same: an old copy of the key file still opens the database
    /// with the old passphrase.
    ///
    /// # Errors
    ///
    /// [`StoreError::KeyReplaced`] if the key file is not the one that was opened any more,
    /// [`StoreError::PassphraseInUse`] if another process does not stop changing it. The old
    /// passphrase still opens the store then. It does so after any other error, too, unless it was
    /// the disk that failed in the last step.
    pub fn finish(self, new: &Passphrase) -> Result<(), StoreError> {
        self.finish_at_cost(new, KeyCost::STANDARD)
    }

    /// [`Self::finish`] at another cost per tried passphrase; tests use the least.
    ///
    /// # Errors
    ///
    /// As [`Self::finish`].
    pub fn finish_at_cost(self, new: &Passphrase, cost: KeyCost) -> Result<(), StoreError> {
        // Before the lock, which is then held for the moment that writing takes.
        let sealed = key::seal(&self.key, new, cost, &random()?)?;
        let _lock = KeyFileLock::take(&self.dir)?;
        // Another change would be undone without a word, and its passphrase with it. A store that
        // was made anew in this folder would lose its key.
        if read_key_file(&self.dir)? != self.file {
            return Err(StoreError::KeyReplaced);
        }
        files::replace(&self.dir, KEY_FILE, &sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_passphrase_prints_its_kind_alone() {
        let key = Secret::take(&mut [7; KEY_BYTES]);
        let begun = PassphraseChange { dir: PathBuf::from("/home/ann"), file: vec![7], key };
        assert_eq!(format!("{begun:?}"), "PassphraseChange");
    }
}
