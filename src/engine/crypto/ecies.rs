//! ECIES over secp256k1: a sealed letter to a public key, from nobody in particular.
//!
//! The bytes are those of the crate `ecies` (and of npm `eciesjs`, PyPI `eciespy`) with both of its
//! compression settings on: `ephemeral key 33 | nonce 16 | tag 16 | ciphertext`, AES-256-GCM under
//! HKDF-SHA-256(ephemeral key || shared point), both compressed, without salt or info.
//!
//! It proves nothing about who sealed, binds no context, and what it hides falls to whoever steals
//! the recipient's key later. What such letters carry must bring its own proof.

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::U16;
use aes_gcm::{AesGcm, KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::engine::env::Env;
use crate::engine::secret::Secret;

use super::keys::{Ephemeral, Identity, PUBLIC_KEY_SIZE, PublicKey};

/// Bytes by which a sealed letter is longer than its content.
pub const OVERHEAD: usize = PUBLIC_KEY_SIZE + NONCE_SIZE + TAG_SIZE;

/// Seals `plaintext` to the holder of `to`, with a fresh ephemeral key and nonce each time.
///
/// Encryption is done here and not by `ecies::symmetric::sym_encrypt`, because that draws its nonce
/// from the operating system, while the engine's entropy is lent to it.
pub fn seal(env: &mut Env<'_>, to: &PublicKey, plaintext: &[u8]) -> Vec<u8> {
    let ephemeral = Ephemeral::draw(env);
    let point = ephemeral.public().to_bytes();
    let key = symmetric_key(&point, &ephemeral.shared_point(to));
    let nonce = env.draw::<NONCE_SIZE>();

    let (ciphertext, tag) = encrypt(&key, &nonce, plaintext);
    [point.as_slice(), &nonce, &tag, &ciphertext].concat()
}

/// Opens a letter sealed to `own`; `None` for anything else.
///
/// Bytes that do not begin with a point are refused at once: anyone can see that, so it tells
/// nothing. From there on letters to us and to others cost the same.
#[must_use]
pub fn open(own: &Identity, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (point, rest) = sealed.split_first_chunk::<PUBLIC_KEY_SIZE>()?;
    let ephemeral = PublicKey::from_bytes(point)?;
    let key = symmetric_key(point, &own.shared_point(&ephemeral));
    ecies::symmetric::sym_decrypt(key.expose(), rest).map(Zeroizing::new)
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

fn symmetric_key(point: &[u8; PUBLIC_KEY_SIZE], shared: &Secret<PUBLIC_KEY_SIZE>) -> Secret<32> {
    let mut extract = hkdf::HkdfExtract::<Sha256>::new(None);
    extract.input_ikm(point);
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
    use crate::engine::crypto::seeded::Seeded;

    #[test]
    fn the_recipient_opens_a_letter_and_nobody_else_does() {
        let mut seeded = Seeded::new(1);
        let ours = Identity::generate(&mut seeded.turn());
        let others = Identity::generate(&mut seeded.turn());
        let sealed = seal(&mut seeded.turn(), &ours.public(), b"words");
        assert_eq!(sealed.len(), OVERHEAD + 5);
        assert_eq!(open(&ours, &sealed).unwrap().as_slice(), b"words");
        assert!(open(&others, &sealed).is_none());
    }

    #[test]
    fn two_letters_with_the_same_words_share_no_part() {
        let mut seeded = Seeded::new(2);
        let ours = Identity::generate(&mut seeded.turn());
        let one = seal(&mut seeded.turn(), &ours.public(), &[0; 64]);
        let two = seal(&mut seeded.turn(), &ours.public(), &[0; 64]);
        // The first byte is a sign and may agree; four bytes in a row agree once in 2^32.
        assert!(one[1..].chunks(4).zip(two[1..].chunks(4)).all(|(one, two)| one != two));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_flipped_bit_anywhere_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut seeded = Seeded::new(3);
            let ours = Identity::generate(&mut seeded.turn());
            let mut sealed = seal(&mut seeded.turn(), &ours.public(), b"words");
            let at = at.index(sealed.len());
            sealed[at] ^= 1_u8 << bit;
            prop_assert!(open(&ours, &sealed).is_none());
        }

        #[test]
        fn opening_anything_never_panics(
            mut sealed in proptest::collection::vec(any::<u8>(), 0..200),
            sign in 2..=3_u8,
        ) {
            let ours = Identity::generate(&mut Seeded::new(4).turn());
            prop_assert!(open(&ours, &sealed).is_none());
            if let Some(first) = sealed.first_mut() {
                *first = sign;
            }
            prop_assert!(open(&ours, &sealed).is_none());
        }
    }
}
