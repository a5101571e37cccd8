//! ECIES over secp256k1: a sealed box to a public key, without a sender (`proto/session.md`,
//! "ECIES").
//!
//! `point 64 | nonce 16 | tag 16 | ciphertext`: all of it looks random, the ephemeral key too,
//! which is written as [`ellswift`] does. With that key in its 33 bytes it is the form of the crate
//! `ecies` (and of npm `eciesjs`, PyPI `eciespy`) with both of its compression settings on:
//! AES-256-GCM under HKDF-SHA-256(ephemeral key || shared point), both compressed, without salt or
//! info.
//!
//! It proves nothing about who sealed, binds no context, and a later theft of the recipient's key
//! opens it. Its content must bring its own proof. Anybody can write the point in other bytes, so a
//! box is not recognised by how it looks.

use core::fmt;

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::U16;
use aes_gcm::{AesGcm, KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::engine::env::Env;
use crate::engine::secret::Secret;

use super::ellswift::{self, ENCODED_SIZE};
use super::keys::{EphemeralSecret, Identity, PUBLIC_KEY_SIZE, PublicKey};

/// Bytes by which a sealed box is longer than its content.
pub const OVERHEAD: usize = ENCODED_SIZE + NONCE_SIZE + TAG_SIZE;

/// Seals `plaintext` to the holder of `to`, with a fresh ephemeral key and nonce each time.
///
/// Draws the ephemeral key, the seed of its encoding, and the nonce. Encryption is done here and
/// not by `ecies::symmetric::sym_encrypt`, because that draws its nonce from the operating system,
/// while the engine's entropy is lent to it.
pub fn seal(env: &mut Env<'_>, to: &PublicKey, plaintext: &[u8]) -> Vec<u8> {
    let ephemeral = EphemeralSecret::draw(env);
    let point = ephemeral.public();
    let key = symmetric_key(&point, &ephemeral.shared_point(to));
    let hidden = ellswift::encode(env, &point);
    let nonce = env.draw::<NONCE_SIZE>();

    let (ciphertext, tag) = encrypt(&key, &nonce, plaintext);
    [hidden.as_slice(), &nonce, &tag, &ciphertext].concat()
}

/// Opens a box sealed to `own`; `None` for anything else.
#[must_use]
pub fn open(own: &Identity, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    SealedBox::parse(sealed)?.open(own)
}

/// A sealed box whose point is already found, so that several identities can try it for the
/// price of finding it once.
#[derive(Clone, Copy)]
pub struct SealedBox<'a> {
    point: PublicKey,
    /// Nonce, tag and ciphertext.
    rest: &'a [u8],
}

impl<'a> SealedBox<'a> {
    /// Takes a box apart. `None` only for bytes that are too few: all others could be a box.
    #[must_use]
    pub fn parse(sealed: &'a [u8]) -> Option<Self> {
        let (hidden, rest) = sealed.split_first_chunk::<ENCODED_SIZE>()?;
        if sealed.len() < OVERHEAD {
            return None;
        }
        Some(Self { point: ellswift::decode(hidden), rest })
    }

    /// Opens it if it was sealed to `own`. Boxes to us and to others cost the same.
    #[must_use]
    pub fn open(&self, own: &Identity) -> Option<Zeroizing<Vec<u8>>> {
        let key = symmetric_key(&self.point, &own.shared_point(&self.point));
        ecies::symmetric::sym_decrypt(key.expose(), self.rest).map(Zeroizing::new)
    }
}

impl fmt::Debug for SealedBox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { point: _, rest: _ } = self;
        f.write_str("SealedBox")
    }
}

fn encrypt(
    key: &Secret<32>,
    nonce: &[u8; NONCE_SIZE],
    plaintext: &[u8],
) -> (Vec<u8>, [u8; TAG_SIZE]) {
    let mut ciphertext = plaintext.to_vec();
    #[expect(clippy::expect_used, reason = "fails above 2^36 bytes, which no memory holds")]
    let tag = Cipher::new(key.expose().into())
        .encrypt_inout_detached(nonce.into(), &[], ciphertext.as_mut_slice().into())
        .expect("a plaintext of less than 64 GiB");
    (ciphertext, tag.into())
}

fn symmetric_key(point: &PublicKey, shared: &Secret<PUBLIC_KEY_SIZE>) -> Secret<32> {
    let mut extract = hkdf::HkdfExtract::<Sha256>::new(None);
    extract.input_ikm(&point.to_bytes());
    extract.input_ikm(shared.expose());
    let (mut pseudorandom, hkdf) = extract.finalize();
    zeroize::Zeroize::zeroize(pseudorandom.as_mut_slice());
    Secret::make(|key| {
        #[expect(clippy::expect_used, reason = "RFC 5869 allows 255 times these 32 bytes")]
        hkdf.expand(&[], key).expect("32 bytes");
    })
}

/// AES-256-GCM with the 16-byte nonce that `ecies` uses. GCM hashes such a nonce to 12 bytes; that
/// is harmless here, for every key is used once.
type Cipher = AesGcm<aes_gcm::aes::Aes256, U16>;

const NONCE_SIZE: usize = 16;
const TAG_SIZE: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_slow_case};
    use crate::engine::testing::rng::SeededRng;

    #[test]
    fn the_recipient_opens_a_letter_and_nobody_else_does() {
        let mut seeded = SeededRng::new(1);
        let ours = Identity::generate(&mut seeded.turn());
        let others = Identity::generate(&mut seeded.turn());
        let sealed = seal(&mut seeded.turn(), &ours.public(), b"words");
        assert_eq!(sealed.len(), OVERHEAD + 5);
        assert_eq!(open(&ours, &sealed).unwrap().as_slice(), b"words");
        assert!(open(&others, &sealed).is_none());
    }

    #[test]
    fn two_letters_with_the_same_words_share_no_part() {
        let mut seeded = SeededRng::new(2);
        let ours = Identity::generate(&mut seeded.turn());
        let one = seal(&mut seeded.turn(), &ours.public(), &[0; 64]);
        let two = seal(&mut seeded.turn(), &ours.public(), &[0; 64]);
        // Four bytes in a row agree once in 2^32.
        assert!(one.chunks(4).zip(two.chunks(4)).all(|(one, two)| one != two));
    }

    #[test]
    fn one_letter_is_tried_by_several_identities_and_prints_nothing() {
        let mut seeded = SeededRng::new(5);
        let ours = [(); 3].map(|()| Identity::generate(&mut seeded.turn()));
        let sealed = seal(&mut seeded.turn(), &ours[1].public(), b"words");
        let sealed_box = SealedBox::parse(&sealed).unwrap();
        let opened = ours.each_ref().map(|own| sealed_box.open(own).is_some());
        assert_eq!(opened, [false, true, false]);
        assert_eq!(format!("{sealed_box:?}"), "SealedBox");
    }

    #[test]
    fn only_bytes_that_are_too_few_are_no_letter() {
        let bytes = [0; OVERHEAD];
        assert!(SealedBox::parse(&bytes).is_some());
        assert!((0..OVERHEAD).all(|length| SealedBox::parse(&bytes[..length]).is_none()));
    }

    #[test]
    fn a_letter_whose_point_is_written_in_other_bytes_still_opens() {
        let mut seeded = SeededRng::new(6);
        let ours = Identity::generate(&mut seeded.turn());
        let sealed = seal(&mut seeded.turn(), &ours.public(), b"words");
        let (point, rest) = sealed.split_first_chunk().unwrap();
        let other = ellswift::encode(&mut seeded.turn(), &ellswift::decode(point));
        assert_ne!(&other, point);
        let other = [&other, rest].concat();
        assert_eq!(open(&ours, &other).unwrap().as_slice(), b"words");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_flipped_bit_anywhere_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut seeded = SeededRng::new(3);
            let ours = Identity::generate(&mut seeded.turn());
            let mut sealed = seal(&mut seeded.turn(), &ours.public(), b"words");
            let at = at.index(sealed.len());
            sealed[at] ^= 1_u8 << bit;
            prop_assert!(open(&ours, &sealed).is_none());
        }

        #[test]
        fn opening_anything_never_panics(sealed in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut seeded = SeededRng::new(4);
            let ours = Identity::generate(&mut seeded.turn());
            prop_assert!(open(&ours, &sealed).is_none());
        }
    }

    #[test]
    fn changed_at_random_a_letter_is_opened_whole_or_not_at_all() {
        let mut seeded = SeededRng::new(7);
        let ours = Identity::generate(&mut seeded.turn());
        let letters =
            ["", "words"].map(|words| seal(&mut seeded.turn(), &ours.public(), words.as_bytes()));
        each_slow_case(&letters, |sealed| {
            let opened = open(&ours, sealed);
            assert!(
                opened.as_ref().is_none_or(|opened| matches!(opened.as_slice(), b"" | b"words"))
            );
            Reading::found(opened)
        });
    }
}
