//! The key file: the database's key, sealed under the passphrase.
//!
//! Argon2id (RFC 9106) turns the passphrase into a key that seals the database's random one with
//! AES-256-GCM (NIST SP 800-38D). Changing the passphrase seals the same database key again. Costs
//! read from a file are bounded before anything is spent on them. A checksum that anyone can
//! compute covers the file, which distinguishes a damaged file from a wrong passphrase.
//!
//! ```text
//! bytes   0..8    "UNDTNKEY"
//!         8..10   version of this layout, little-endian as every number here: 1
//!        10..14   Argon2id memory in KiB
//!        14..18   Argon2id passes
//!        18..22   Argon2id lanes
//!        22..38   Argon2id salt, drawn afresh whenever the file is written
//!        38..70   the database key, encrypted
//!        70..86   its tag; the associated data are bytes 0..38
//!        86..118  SHA-256 of bytes 0..86
//! ```

use aes_gcm::aead::array::Array;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::engine::secret::Secret;
use crate::shell::os::passphrase::Passphrase;

/// The cost of trying one passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl KeyCost {
    /// 64 MiB and 3 passes: the second choice of RFC 9106, section 4, with one lane because one
    /// thread computes it. 0.76 s on one core of the machine this was written on.
    pub const STANDARD: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// The least Argon2 allows, for tests: it protects nothing.
    #[cfg(any(test, feature = "inside"))]
    pub const LEAST: Self =
        Self { memory_kib: Params::MIN_M_COST, passes: Params::MIN_T_COST, lanes: 1 };

    /// The cost that a file demands, if it is within the bounds of this program.
    fn parse(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        // A planted or damaged file must not take the machine's memory, or an hour.
        let bounded = memory_kib <= MAX_MEMORY_KIB && passes <= MAX_PASSES && lanes <= MAX_LANES;
        let cost = Self { memory_kib, passes, lanes };
        (bounded && cost.params().is_ok()).then_some(cost)
    }

    fn params(self) -> Result<Params, KeyError> {
        Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_BYTES))
            .map_err(|_| KeyError::TooCostly)
    }
}

/// Writes a key file. `salt` must be fresh, so that each sealing key is used once.
pub(in crate::shell) fn seal(
    key: &Secret<KEY_BYTES>,
    passphrase: &Passphrase,
    cost: KeyCost,
    salt: &[u8; SALT_BYTES],
) -> Result<Vec<u8>, KeyError> {
    seal_with(key, &passphrase.spelled(), cost, salt)
}

fn seal_with(
    key: &Secret<KEY_BYTES>,
    passphrase: &Passphrase,
    cost: KeyCost,
    salt: &[u8; SALT_BYTES],
) -> Result<Vec<u8>, KeyError> {
    let head = [
        MAGIC.as_slice(),
        &VERSION.to_le_bytes(),
        &cost.memory_kib.to_le_bytes(),
        &cost.passes.to_le_bytes(),
        &cost.lanes.to_le_bytes(),
        salt,
    ]
    .concat();
    let cipher = cipher(passphrase, cost, salt)?;
    let mut sealed = Zeroizing::new(*key.expose());
    let tag = cipher
        .encrypt_inout_detached(&NONCE.into(), &head, InOutBuf::from(sealed.as_mut_slice()))
        .map_err(|_| KeyError::Damaged)?;
    let body = [head.as_slice(), sealed.as_slice(), tag.as_slice()].concat();
    let sum = Sha256::digest(&body);
    Ok([body.as_slice(), sum.as_slice()].concat())
}

/// Reads a key file.
pub(in crate::shell) fn open(
    file: &[u8],
    passphrase: &Passphrase,
) -> Result<Secret<KEY_BYTES>, KeyError> {
    let file = parse(file)?;
    // One try, but for letters that can be written in several ways.
    for spelling in passphrase.spellings() {
        match open_with(&file, &spelling) {
            Err(KeyError::WrongPassphrase) => {}
            opened => return opened,
        }
    }
    Err(KeyError::WrongPassphrase)
}

fn open_with(file: &KeyFile<'_>, passphrase: &Passphrase) -> Result<Secret<KEY_BYTES>, KeyError> {
    let cipher = cipher(passphrase, file.cost, file.salt)?;
    let mut key = Zeroizing::new(*file.sealed);
    cipher
        .decrypt_inout_detached(
            &NONCE.into(),
            file.head,
            InOutBuf::from(key.as_mut_slice()),
            &Array::from(*file.tag),
        )
        .map_err(|_| KeyError::WrongPassphrase)?;
    Ok(Secret::take(&mut key))
}

/// Looks whether a key file is whole, without a passphrase.
pub(super) fn check(file: &[u8]) -> Result<(), KeyError> {
    parse(file).map(|_| ())
}

/// A key file with shape, checksum and cost in order.
struct KeyFile<'a> {
    head: &'a [u8],
    cost: KeyCost,
    salt: &'a [u8; SALT_BYTES],
    sealed: &'a [u8; KEY_BYTES],
    tag: &'a [u8; TAG_BYTES],
}

fn parse(file: &[u8]) -> Result<KeyFile<'_>, KeyError> {
    let rest = file.strip_prefix(MAGIC).ok_or(KeyError::Foreign)?;
    let (version, rest) = rest.split_first_chunk().ok_or(KeyError::Damaged)?;
    // Before the length and the checksum, because another version may have others.
    match u16::from_le_bytes(*version) {
        VERSION => {}
        version if version > VERSION => return Err(KeyError::Newer),
        _ => return Err(KeyError::Damaged),
    }
    // Before the passphrase is tried: afterwards a failing tag can only mean a wrong one. It gives
    // a thief nothing, because the tag alone shows whether a guess is right.
    let body = file.get(..SUMMED_BYTES).ok_or(KeyError::Damaged)?;
    if file.get(SUMMED_BYTES..) != Some(Sha256::digest(body).as_slice()) {
        return Err(KeyError::Damaged);
    }
    let head = body.get(..HEAD_BYTES).ok_or(KeyError::Damaged)?;
    let mut rest = rest;
    let memory_kib = u32::from_le_bytes(*take(&mut rest)?);
    let passes = u32::from_le_bytes(*take(&mut rest)?);
    let lanes = u32::from_le_bytes(*take(&mut rest)?);
    let cost = KeyCost::parse(memory_kib, passes, lanes).ok_or(KeyError::TooCostly)?;
    Ok(KeyFile {
        head,
        cost,
        salt: take(&mut rest)?,
        sealed: take(&mut rest)?,
        tag: take(&mut rest)?,
    })
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], KeyError> {
    let (field, after) = rest.split_first_chunk().ok_or(KeyError::Damaged)?;
    *rest = after;
    Ok(field)
}

/// The cipher under the key the passphrase gives.
fn cipher(
    passphrase: &Passphrase,
    cost: KeyCost,
    salt: &[u8; SALT_BYTES],
) -> Result<Aes256Gcm, KeyError> {
    let params = cost.params()?;
    // Our own blocks, because the ones argon2 makes for itself are not wiped. Reserved first: too
    // little memory is an error that a person can act on, and no abort.
    let mut blocks = Zeroizing::new(Vec::new());
    blocks.try_reserve_exact(params.block_count()).map_err(|_| KeyError::OutOfMemory)?;
    blocks.resize(params.block_count(), Block::default());
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(
            passphrase.expose(),
            salt,
            key.as_mut_slice(),
            blocks.as_mut_slice(),
        )
        .map_err(|_| KeyError::TooCostly)?;
    Ok(Aes256Gcm::new((&*key).into()))
}

/// The reason that a key file gives no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::shell) enum KeyError {
    /// It is not a key file at all.
    #[error("not a key file")]
    Foreign,
    /// A newer version of this program wrote it.
    #[error("a key file of a newer version")]
    Newer,
    /// It is a key file, and its bytes have changed since it was written.
    #[error("a damaged key file")]
    Damaged,
    /// It asks for more memory or time than this program spends.
    #[error("a key file that demands more than this program allows")]
    TooCostly,
    /// This machine has not the memory it asks for.
    #[error("not enough memory to try the passphrase")]
    OutOfMemory,
    /// The file is whole and the passphrase does not open it.
    #[error("a wrong passphrase")]
    WrongPassphrase,
}

/// The length of the database's key: AES-256.
pub(in crate::shell) const KEY_BYTES: usize = 32;

/// RFC 9106, section 3.1: 16 bytes are enough for every use.
pub(in crate::shell) const SALT_BYTES: usize = 16;

/// The length of a whole file.
pub(in crate::shell) const FILE_BYTES: usize = SUMMED_BYTES + 32;

const MAGIC: &[u8; 8] = b"UNDTNKEY";
const VERSION: u16 = 1;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = MAGIC.len() + 2 + 3 * 4 + SALT_BYTES;
const SUMMED_BYTES: usize = HEAD_BYTES + KEY_BYTES + TAG_BYTES;

/// Each sealing key seals once, because its salt is drawn afresh: the AEAD nonce may be constant.
const NONCE: [u8; 12] = [0; 12];

/// 1 GiB: a guess at what any machine that runs this has, and 16 times the standard cost.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;

/// With [`MAX_MEMORY_KIB`] about half a minute on one core, after the measure of
/// [`KeyCost::STANDARD`].
const MAX_PASSES: u32 = 8;

/// A guess: more lanes than this come with no machine's default.
const MAX_LANES: u32 = 16;

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    const SALT: [u8; SALT_BYTES] = [9; SALT_BYTES];

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
    }

    fn key() -> Secret<KEY_BYTES> {
        Secret::take(&mut [7; KEY_BYTES])
    }

    fn sealed() -> Vec<u8> {
        seal(&key(), &passphrase("right"), KeyCost::LEAST, &SALT).unwrap()
    }

    /// Gives a file the checksum of its content, as an attacker who planted it would.
    fn summed(mut file: Vec<u8>) -> Vec<u8> {
        file.truncate(SUMMED_BYTES);
        let sum = Sha256::digest(&file);
        file.extend_from_slice(&sum);
        file
    }

    #[test]
    fn a_key_file_opens_with_its_own_passphrase_alone() {
        assert_eq!(open(&sealed(), &passphrase("right")), Ok(key()));
        for wrong in ["wrong", "Right", "right ", "r"] {
            assert_eq!(open(&sealed(), &passphrase(wrong)), Err(KeyError::WrongPassphrase));
        }
    }

    #[test]
    fn a_key_file_opens_however_the_letters_of_its_passphrase_are_written() {
        let written = ["caf\u{e9} 1", "cafe\u{301} 1"];
        for made in written {
            let file = seal(&key(), &passphrase(made), KeyCost::LEAST, &SALT).unwrap();
            // Earlier versions took what came.
            let old = seal_with(&key(), &passphrase(made), KeyCost::LEAST, &SALT).unwrap();
            for typed in written {
                assert_eq!(open(&file, &passphrase(typed)), Ok(key()), "{made} {typed}");
                assert_eq!(open(&old, &passphrase(typed)), Ok(key()), "{made} {typed}");
            }
            for wrong in ["cafe 1", "caf\u{e9}1"] {
                assert_eq!(open(&file, &passphrase(wrong)), Err(KeyError::WrongPassphrase));
            }
        }
        // A file of Windows begins with a mark that nobody can type.
        let marked = passphrase("\u{feff}right");
        let file = seal(&key(), &marked, KeyCost::LEAST, &SALT).unwrap();
        assert_eq!(file, sealed());
        assert_eq!(open(&file, &marked), Ok(key()));
        let old = seal_with(&key(), &marked, KeyCost::LEAST, &SALT).unwrap();
        assert_eq!(open(&old, &marked), Ok(key()));
    }

    #[test]
    fn a_key_file_has_the_bytes_that_another_implementation_computes() {
        // Python's cryptography 48.0.0 (Argon2id, AESGCM) and hashlib, after the layout above.
        let golden = "\
            554e44544e4b455901000800000001000000010000000909090909090909090909090909 \
             0909ab34ca1d829246aadccb0463b60696e4e13a311395d074516dc80d0560b8791448f9 \
             11ff6ca17375ea35fd7ad688c68468cefaa593cb05ca1529cb17daac70420c56f292e260 \
             a362f5d6a73600914519";
        assert_eq!(HEXLOWER.encode(&sealed()), golden.replace(' ', ""));
    }

    #[test]
    fn the_key_is_not_in_the_file() {
        assert!(!sealed().windows(8).any(|window| window == [7; 8]));
    }

    #[test]
    fn a_file_that_is_not_ours_is_foreign() {
        for bytes in [&b""[..], b"UNDTN", b"SQLite format 3\0", &[0; FILE_BYTES]] {
            assert_eq!(open(bytes, &passphrase("right")), Err(KeyError::Foreign));
        }
    }

    #[test]
    fn a_key_file_of_a_newer_version_is_recognised_whatever_follows_its_number() {
        let newer = [MAGIC.as_slice(), &2_u16.to_le_bytes(), b"unknown"].concat();
        assert_eq!(open(&newer, &passphrase("right")), Err(KeyError::Newer));
    }

    #[test]
    fn a_shorter_or_longer_file_is_damaged() {
        let mut file = sealed();
        for end in MAGIC.len()..file.len() {
            assert_eq!(open(&file[..end], &passphrase("right")), Err(KeyError::Damaged));
        }
        file.push(0);
        assert_eq!(open(&file, &passphrase("right")), Err(KeyError::Damaged));
    }

    #[test]
    fn a_file_that_asks_for_a_hundred_gibibytes_is_refused_before_they_are_spent() {
        for (place, value) in [
            (10, 100 * 1024 * 1024_u32),
            (10, u32::MAX),
            (10, MAX_MEMORY_KIB + 1),
            (10, 0),
            (14, u32::MAX),
            (14, MAX_PASSES + 1),
            (14, 0),
            (18, u32::MAX),
            (18, MAX_LANES + 1),
            (18, 0),
        ] {
            let mut file = sealed();
            file[place..place + 4].copy_from_slice(&value.to_le_bytes());
            assert_eq!(open(&summed(file), &passphrase("right")), Err(KeyError::TooCostly));
        }
    }

    #[test]
    fn the_head_of_the_file_is_sealed_with_the_key() {
        let mut file = sealed();
        // The salt is as good as the other one, but not the one the key was sealed with.
        file[22] ^= 1;
        assert_eq!(open(&summed(file), &passphrase("right")), Err(KeyError::WrongPassphrase));
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_never_taken_for_a_wrong_passphrase(
            place in 0..FILE_BYTES,
            change in 1_u8..,
        ) {
            let mut file = sealed();
            file[place] ^= change;
            let error = open(&file, &passphrase("right")).unwrap_err();
            prop_assert!(matches!(error, KeyError::Foreign | KeyError::Newer | KeyError::Damaged));
        }

        #[test]
        fn reading_never_panics(rest: Vec<u8>) {
            let file = [MAGIC.as_slice(), &VERSION.to_le_bytes(), &rest].concat();
            prop_assert!(open(&file, &passphrase("right")).is_err());
        }
    }

    #[test]
    fn changed_at_random_a_key_file_is_whole_within_its_bounds_or_refused() {
        each_case(&[sealed()], |file| {
            assert!(parse(file).is_err() || file == sealed());
            // As somebody plants it who knows how its checksum is made.
            let planted = summed(file.to_vec());
            let read = parse(&planted);
            let bounded = |file: &KeyFile<'_>| file.cost.memory_kib <= MAX_MEMORY_KIB;
            assert!(read.as_ref().map_or(true, bounded));
            Reading::of(read)
        });
    }
}
