//! ML-KEM-768 (FIPS 203): a shared secret that stays secret from a later quantum computer, which
//! breaks the curve.
//!
//! The crate `ml-kem` was never audited. Its shared secrets are therefore only ever hashed together
//! with those of a Diffie-Hellman, and never stand alone: a broken KEM then costs nothing.
//!
//! Seeds, shared secrets and decapsulation keys are wiped. The crate's intermediate values on the
//! stack (the number `m` while it decapsulates, sampled vectors, states of its hashes) are not.

use core::fmt;

use ml_kem::ml_kem_768::{Ciphertext, DecapsulationKey, EncapsulationKey};
use ml_kem::{Decapsulate, KeyExport, SharedKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::engine::env::Env;
use crate::engine::secret::Secret;

/// Bytes of an encapsulation key (FIPS 203, table 3).
pub const PUBLIC_SIZE: usize = 1184;

/// Bytes of a ciphertext (FIPS 203, table 3).
pub const CIPHERTEXT_SIZE: usize = 1088;

/// The secret half of a key: the seed `d | z`, 32 bytes each, from which the rest is computed.
///
/// It lives for one handshake. Neither half is kept expanded, which costs a key generation each
/// time one is asked for, but has one form alone: there is nothing to check when it is loaded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KemSecret(Secret<64>);

impl KemSecret {
    /// Draws a fresh one.
    pub fn draw(env: &mut Env<'_>) -> Self {
        Self(Secret::draw(env))
    }

    /// The key others encapsulate to.
    #[must_use]
    pub fn public(&self) -> KemPublic {
        KemPublic(Box::new(self.key().encapsulation_key().to_bytes().into()))
    }

    /// The secret that was made with `ciphertext` by [`KemPublic::encapsulate`].
    ///
    /// Every ciphertext gives a secret: one that was altered, or made for another key, gives one
    /// that nobody else knows (FIPS 203's implicit rejection).
    #[must_use]
    pub fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_SIZE]) -> Secret<32> {
        let ciphertext: &Ciphertext = ciphertext.into();
        take(self.key().decapsulate(ciphertext))
    }

    fn key(&self) -> DecapsulationKey {
        // `from_seed` takes a copy; this one is ours to wipe.
        let mut seed = (*self.0.expose()).into();
        let key = DecapsulationKey::from_seed(seed);
        seed.zeroize();
        key
    }
}

impl fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("KemSecret")
    }
}

/// The public half of a key, whose numbers are all below the modulus.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublic(Box<[u8; PUBLIC_SIZE]>);

impl KemPublic {
    /// Parses an encapsulation key. `None` for bytes that the modulus check of FIPS 203, section
    /// 7.2, refuses; no check can show whether anybody has the secret half.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; PUBLIC_SIZE]) -> Option<Self> {
        EncapsulationKey::new(bytes.into()).ok().map(|_| Self(Box::new(*bytes)))
    }

    /// The key as FIPS 203 encodes it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; PUBLIC_SIZE] {
        &self.0
    }

    /// Makes a secret, and the ciphertext from which the holder of the secret half alone can
    /// compute it.
    pub fn encapsulate(&self, env: &mut Env<'_>) -> (Box<[u8; CIPHERTEXT_SIZE]>, Secret<32>) {
        // Drawn here and not by the crate, so that entropy stays lent and a run can be replayed
        // from its seed.
        let m = Secret::<32>::draw(env);
        let (ciphertext, shared) = self.key().encapsulate_deterministic(m.expose().into());
        (Box::new(ciphertext.into()), take(shared))
    }

    fn key(&self) -> EncapsulationKey {
        #[expect(clippy::expect_used, reason = "whatever makes a key wrote its bytes from one")]
        EncapsulationKey::new(self.as_bytes().into()).expect("a checked key")
    }
}

impl fmt::Debug for KemPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("KemPublic")
    }
}

impl Serialize for KemPublic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }
}

impl<'de> Deserialize<'de> for KemPublic {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Secret::<PUBLIC_SIZE>::deserialize(deserializer)?;
        // `key` relies on this check, also for a row that was damaged.
        Self::from_bytes(bytes.expose()).ok_or_else(|| serde::de::Error::custom("not a KEM key"))
    }
}

/// Takes a shared secret over; the crate does not wipe its own.
fn take(mut shared: SharedKey) -> Secret<32> {
    let secret = Secret::make(|bytes| bytes.copy_from_slice(&shared));
    shared.zeroize();
    secret
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case, each_slow_case};
    use crate::engine::testing::rng::SeededRng;

    fn secret(seed: u64) -> KemSecret {
        KemSecret::draw(&mut SeededRng::new(seed).turn())
    }

    #[test]
    fn keys_print_their_kind_and_nothing_else() {
        assert_eq!(format!("{:?}", secret(1)), "KemSecret");
        assert_eq!(format!("{:?}", secret(1).public()), "KemPublic");
    }

    #[test]
    fn everything_follows_from_the_lent_entropy() {
        let made = |seed| secret(1).public().encapsulate(&mut SeededRng::new(seed).turn());
        assert_eq!(secret(1), secret(1));
        assert_eq!(secret(1).public(), secret(1).public());
        assert_ne!(secret(1).public(), secret(2).public());
        assert_eq!(made(3), made(3));
        assert_ne!(made(3).0, made(4).0);
        assert_ne!(made(3).1, made(4).1);
    }

    #[test]
    fn another_key_gives_another_secret_and_no_error() {
        let (ciphertext, shared) = secret(1).public().encapsulate(&mut SeededRng::new(3).turn());
        assert_ne!(secret(2).decapsulate(&ciphertext), shared);
    }

    #[test]
    fn a_number_of_the_modulus_or_more_is_refused() {
        // Two numbers of 12 bits in three bytes, the lower bits first; the modulus is 3329.
        let mut bytes = *secret(1).public().as_bytes();
        bytes[..3].copy_from_slice(&[0x00, 0x0d, 0x00]);
        assert!(KemPublic::from_bytes(&bytes).is_some(), "3328 and 0");
        bytes[..3].copy_from_slice(&[0x01, 0x0d, 0x00]);
        assert_eq!(KemPublic::from_bytes(&bytes), None, "3329 and 0");
        bytes[..3].copy_from_slice(&[0x00, 0x10, 0xd0]);
        assert_eq!(KemPublic::from_bytes(&bytes), None, "0 and 3329");
        assert_eq!(KemPublic::from_bytes(&[0xff; PUBLIC_SIZE]), None);
    }

    #[test]
    fn a_stored_key_that_is_malformed_does_not_load() {
        let config = bincode::config::standard();
        let read = |bytes: &[u8]| bincode::serde::decode_from_slice::<KemPublic, _>(bytes, config);
        let mut bytes = bincode::serde::encode_to_vec(secret(1).public(), config).unwrap();
        assert_eq!(read(&bytes).unwrap(), (secret(1).public(), bytes.len()));
        bytes[10..13].fill(0xff);
        assert!(read(&bytes).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn both_sides_share_a_secret_and_an_altered_ciphertext_gives_another(
            seed in any::<u64>(),
            at in 0..CIPHERTEXT_SIZE,
            flip in 1_u8..,
        ) {
            let mut entropy = SeededRng::new(seed);
            let ours = KemSecret::draw(&mut entropy.turn());
            let (mut ciphertext, shared) = ours.public().encapsulate(&mut entropy.turn());
            prop_assert_eq!(ours.decapsulate(&ciphertext), shared.clone());
            ciphertext[at] ^= flip;
            let rejected = ours.decapsulate(&ciphertext);
            prop_assert_ne!(&rejected, &shared);
            prop_assert_eq!(rejected, ours.decapsulate(&ciphertext));
        }

        #[test]
        fn keys_read_back_as_they_were_written(seed in any::<u64>()) {
            let config = bincode::config::standard().with_fixed_int_encoding();
            let ours = secret(seed);
            let bytes = bincode::serde::encode_to_vec(&ours, config).unwrap();
            prop_assert_eq!(bytes.len(), 8 + 64);
            let (read, used) = bincode::serde::decode_from_slice::<KemSecret, _>(&bytes, config).unwrap();
            prop_assert_eq!((&read, used), (&ours, bytes.len()));
            let public = ours.public();
            prop_assert_eq!(KemPublic::from_bytes(public.as_bytes()), Some(public));
        }

        #[test]
        fn parsing_a_key_never_panics_and_keeps_what_it_takes(
            bytes in proptest::collection::vec(any::<u8>(), PUBLIC_SIZE),
            below in any::<bool>(),
        ) {
            let mut whole: [u8; PUBLIC_SIZE] = bytes.try_into().unwrap();
            if below {
                // Every number below 2^11, and so below the modulus.
                for number in whole[..1152].chunks_mut(3) {
                    number[1] &= 0xf7;
                    number[2] &= 0x7f;
                }
            }
            match KemPublic::from_bytes(&whole) {
                Some(key) => {
                    prop_assert_eq!(key.as_bytes(), &whole);
                    let _encapsulated = key.encapsulate(&mut SeededRng::new(1).turn());
                }
                None => prop_assert!(!below),
            }
        }
    }

    #[test]
    fn changed_at_random_a_key_is_refused_or_written_as_it_came() {
        let seeds = [1, 2].map(|seed| secret(seed).public().as_bytes().to_vec());
        each_case(&seeds, |bytes| {
            let whole = <&[u8; PUBLIC_SIZE]>::try_from(bytes).ok();
            Reading::again(whole.and_then(KemPublic::from_bytes), |key| *key.as_bytes())
        });
    }

    #[test]
    fn changed_at_random_a_ciphertext_still_gives_a_secret() {
        let (ciphertext, _) = secret(1).public().encapsulate(&mut SeededRng::new(3).turn());
        each_slow_case(&[ciphertext.to_vec()], |bytes| {
            let whole = <&[u8; CIPHERTEXT_SIZE]>::try_from(bytes).ok();
            Reading::found(whole.map(|ciphertext| secret(1).decapsulate(ciphertext)))
        });
    }

    #[test]
    fn changed_at_random_a_stored_key_is_refused_or_the_one_that_is_written_so() {
        let config = bincode::config::standard().with_fixed_int_encoding();
        let write = |key: &KemPublic| bincode::serde::encode_to_vec(key, config).unwrap();
        each_slow_case(&[write(&secret(1).public())], |bytes| {
            let read = bincode::serde::decode_from_slice::<KemPublic, _>(bytes, config).ok();
            let whole = read.filter(|(_, used)| *used == bytes.len());
            Reading::again(whole, |(key, _)| write(&key))
        });
    }
}
