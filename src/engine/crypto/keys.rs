//! Identities and public keys: points of secp256k1 and the secrets behind them.
//!
//! Our own keys and theirs are different types, so one cannot stand where the other belongs. A
//! [`PublicKey`] is always a point of the curve and never its neutral element; nothing here signs.

use core::fmt;

use data_encoding::HEXLOWER;
use k256::elliptic_curve::ops::ReduceNonZero;
use k256::elliptic_curve::sec1::ToSec1Point;
use serde::{Deserialize, Serialize};
use sha3::{Digest, Sha3_256};
use zeroize::{Zeroize, Zeroizing};

use crate::engine::env::Env;
use crate::engine::secret::Secret;

use super::kdf::KdfLabel;

/// Bytes of a public key: SEC 1's compressed form, the parity (2 or 3) and x, big-endian.
pub const PUBLIC_KEY_SIZE: usize = 33;

/// One of our identities: a long-lived secret key.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(KeyPair);

impl Identity {
    /// Makes a fresh identity, with no relation to any other.
    pub fn generate(env: &mut Env<'_>) -> Self {
        Self(KeyPair::of(draw_secret(env)))
    }

    /// Its public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.0.public
    }

    /// The secret that only we and the holder of `their` secret can compute: the shared point's x,
    /// big-endian.
    #[must_use]
    pub fn agree(&self, their: &PublicKey) -> Secret<32> {
        self.0.agree(their)
    }

    /// The shared point, compressed, for the one scheme that hashes it whole.
    pub(super) fn shared_point(&self, their: &PublicKey) -> Secret<PUBLIC_KEY_SIZE> {
        self.0.shared_point(their)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Identity")
    }
}

/// For the store alone, which encrypts every page it writes.
impl Serialize for Identity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        KeyPair::deserialize(deserializer).map(Self)
    }
}

/// A secret key of ours that serves one handshake, one sealing or one step of a ratchet, and is
/// wiped when that is done.
#[derive(Clone, PartialEq, Eq)]
pub struct EphemeralSecret(KeyPair);

impl EphemeralSecret {
    /// Draws a fresh one.
    pub fn draw(env: &mut Env<'_>) -> Self {
        Self(KeyPair::of(draw_secret(env)))
    }

    /// Its public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.0.public
    }

    /// The secret that only we and the holder of `their` secret can compute: the shared point's x,
    /// big-endian.
    #[must_use]
    pub fn agree(&self, their: &PublicKey) -> Secret<32> {
        self.0.agree(their)
    }

    /// The shared point, compressed, for the one scheme that hashes it whole.
    pub(super) fn shared_point(&self, their: &PublicKey) -> Secret<PUBLIC_KEY_SIZE> {
        self.0.shared_point(their)
    }
}

impl fmt::Debug for EphemeralSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("EphemeralSecret")
    }
}

/// For the store alone, which encrypts every page it writes.
impl Serialize for EphemeralSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for EphemeralSecret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        KeyPair::deserialize(deserializer).map(Self)
    }
}

/// A secret key, kept with its public key, which costs a multiplication to compute.
#[derive(Clone, PartialEq, Eq)]
struct KeyPair {
    secret: Box<k256::SecretKey>,
    public: PublicKey,
}

impl KeyPair {
    fn of(secret: Box<k256::SecretKey>) -> Self {
        let public = PublicKey::of(secret.public_key());
        Self { secret, public }
    }

    fn agree(&self, their: &PublicKey) -> Secret<32> {
        self.shared_point(their).part::<1, 32>()
    }

    fn shared_point(&self, their: &PublicKey) -> Secret<PUBLIC_KEY_SIZE> {
        multiply(&self.secret, their)
    }
}

impl Serialize for KeyPair {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = Zeroizing::new(self.secret.to_bytes());
        serializer.serialize_bytes(bytes.as_slice())
    }
}

impl<'de> Deserialize<'de> for KeyPair {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Secret::<32>::deserialize(deserializer)?;
        let secret = k256::SecretKey::from_slice(bytes.expose())
            .map_err(|_| serde::de::Error::custom("not a secret key"))?;
        Ok(Self::of(Box::new(secret)))
    }
}

/// Somebody's public key: a point of secp256k1, kept in SEC 1's compressed form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; PUBLIC_KEY_SIZE]);

impl PublicKey {
    /// Parses SEC 1's compressed form. `None` for bytes that are no point of the curve, and for any
    /// other encoding of one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; PUBLIC_KEY_SIZE]) -> Option<Self> {
        // SEC 1 parsers also take the tag 5 ("compact") at this length: one key, one encoding.
        if !matches!(bytes.first(), Some(2 | 3)) {
            return None;
        }
        k256::PublicKey::from_sec1_bytes(bytes).ok().map(Self::of)
    }

    /// Takes over a compressed form that was computed here, unchecked: it must be that of a point.
    pub(super) fn computed(bytes: [u8; PUBLIC_KEY_SIZE]) -> Self {
        Self(bytes)
    }

    /// SEC 1's compressed form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PUBLIC_KEY_SIZE] {
        self.0
    }

    /// All of its 66 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// The fingerprint that two people compare to be sure of this key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha3_256::new();
        hash.update(KdfLabel::Fingerprint.as_bytes());
        hash.update(self.0);
        Fingerprint(hash.finalize().into())
    }

    /// The fingerprint's first 8 hexadecimal digits: enough to tell keys apart on a screen, never
    /// enough to trust one, because 2^32 attempts find another key with the same.
    #[must_use]
    pub fn short(&self) -> String {
        let Fingerprint([a, b, c, d, ..]) = self.fingerprint();
        HEXLOWER.encode(&[a, b, c, d])
    }

    fn of(point: k256::PublicKey) -> Self {
        Self(compress(point.as_affine()))
    }

    /// The point itself. To find it again costs a tenth of what a multiplication does.
    fn point(&self) -> k256::ProjectivePoint {
        #[expect(clippy::expect_used, reason = "whatever makes a key wrote its bytes from a point")]
        let key = k256::PublicKey::from_sec1_bytes(&self.0).expect("the bytes of a point");
        key.to_projective()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("PublicKey")
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Secret::<PUBLIC_KEY_SIZE>::deserialize(deserializer)?;
        Self::from_bytes(bytes.expose()).ok_or_else(|| serde::de::Error::custom("not a key"))
    }
}

/// SHA3-256 over a label and a public key's 33 bytes.
///
/// `Display` writes 16 groups of 4 hexadecimal digits, for people to read to each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The hash itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.0.chunks(2).enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            HEXLOWER.encode_display(group).fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Fingerprint")
    }
}

/// A scalar between 1 and the group's order, 512 drawn bits reduced: uniform within 2^-256, and
/// without a loop that bad entropy could keep turning.
fn draw_secret(env: &mut Env<'_>) -> Box<k256::SecretKey> {
    let wide = Secret::<64>::draw(env);
    let wide: &k256::WideBytes = wide.expose().into();
    let mut scalar = k256::NonZeroScalar::reduce_nonzero(wide);
    let secret = Box::new(k256::SecretKey::from(&scalar));
    scalar.zeroize();
    secret
}

fn multiply(secret: &k256::SecretKey, key: &PublicKey) -> Secret<PUBLIC_KEY_SIZE> {
    // Each value on the way gives the shared secret away, so all of them are wiped.
    let mut scalar = secret.to_nonzero_scalar();
    let mut point = key.point() * *scalar;
    let mut affine = point.to_affine();
    scalar.zeroize();
    point.zeroize();
    let mut bytes = compress(&affine);
    affine.zeroize();
    Secret::take(&mut bytes)
}

/// A point that is not the neutral element, so that its compressed form always has 33 bytes.
fn compress(point: &k256::AffinePoint) -> [u8; PUBLIC_KEY_SIZE] {
    let mut point = point.to_sec1_point(true);
    let mut bytes = [0; PUBLIC_KEY_SIZE];
    for (to, from) in bytes.iter_mut().zip(point.as_bytes()) {
        *to = *from;
    }
    point.zeroize();
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case, each_slow_case};
    use crate::engine::testing::rng::SeededRng;

    fn identity(seed: u64) -> Identity {
        Identity::generate(&mut SeededRng::new(seed).turn())
    }

    #[test]
    fn keys_print_their_kind_and_nothing_else() {
        let ours = identity(1);
        assert_eq!(format!("{ours:?}"), "Identity");
        assert_eq!(format!("{:?}", ours.public()), "PublicKey");
        assert_eq!(format!("{:?}", ours.public().fingerprint()), "Fingerprint");
        assert_eq!(
            format!("{:?}", EphemeralSecret::draw(&mut SeededRng::new(1).turn())),
            "EphemeralSecret"
        );
    }

    #[test]
    fn both_sides_agree_and_a_third_does_not() {
        let (a, b, c) = (identity(1), identity(2), identity(3));
        assert_eq!(a.agree(&b.public()), b.agree(&a.public()));
        assert_ne!(a.agree(&b.public()), a.agree(&c.public()));
        let passing = EphemeralSecret::draw(&mut SeededRng::new(4).turn());
        assert_eq!(passing.agree(&a.public()), a.agree(&passing.public()));
    }

    #[test]
    fn entropy_without_entropy_still_gives_a_key() {
        struct Broken;
        impl crate::engine::env::Entropy for Broken {
            fn fill(&mut self, bytes: &mut [u8]) {
                bytes.fill(0);
            }
        }
        let mut broken = Broken;
        let now = crate::engine::testing::rng::NOW;
        let mut env = Env::new(crate::engine::env::Millis(0), now, &mut broken);
        let _key = Identity::generate(&mut env);
    }

    #[test]
    fn the_generator_has_the_coordinates_sec_2_says() {
        let mut one = [0; 32];
        one[31] = 1;
        let one = serde_json::to_string(&Secret::take(&mut one)).unwrap();
        let ours: Identity = serde_json::from_str(&one).unwrap();
        let hex = ours.public().hex();
        assert_eq!(hex, "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    }

    #[test]
    fn a_key_that_is_no_point_or_not_compressed_is_refused() {
        let mut bytes = identity(1).public().to_bytes();
        for tag in (0..=255).filter(|tag| !matches!(tag, 2 | 3)) {
            bytes[0] = tag;
            assert_eq!(PublicKey::from_bytes(&bytes), None, "tag {tag}");
        }
        let mut none = [0; 33];
        none[0] = 2;
        none[32] = 5;
        assert_eq!(PublicKey::from_bytes(&none), None, "5^3 + 7 has no root");
    }

    #[test]
    fn secret_keys_outside_the_group_do_not_load() {
        let load = |mut bytes: [u8; 32]| {
            let text = serde_json::to_string(&Secret::take(&mut bytes)).unwrap();
            serde_json::from_str::<Identity>(&text)
        };
        assert!(load([0; 32]).is_err());
        assert!(load([0xff; 32]).is_err());
        assert!(load([1; 32]).is_ok());
    }

    #[test]
    fn a_fingerprint_is_16_groups_of_4_digits_and_its_first_8_are_short() {
        let shown = identity(1).public().fingerprint().to_string();
        assert_eq!(shown.split(' ').count(), 16);
        assert!(shown.split(' ').all(|group| group.len() == 4));
        assert!(shown.replace(' ', "").starts_with(&identity(1).public().short()));
        assert_eq!(identity(1).public().short().len(), 8);
    }

    proptest! {
        #[test]
        fn keys_read_back_as_they_were_written(seed in any::<u64>()) {
            let ours = identity(seed);
            prop_assert_eq!(PublicKey::from_bytes(&ours.public().to_bytes()), Some(ours.public()));
            let config = bincode::config::standard().with_fixed_int_encoding();
            let bytes = bincode::serde::encode_to_vec(&ours, config).unwrap();
            prop_assert_eq!(bytes.len(), 8 + 32);
            let (read, used) = bincode::serde::decode_from_slice::<Identity, _>(&bytes, config).unwrap();
            prop_assert_eq!((read, used), (ours.clone(), bytes.len()));
            let bytes = bincode::serde::encode_to_vec(ours.public(), config).unwrap();
            let (read, _) = bincode::serde::decode_from_slice::<PublicKey, _>(&bytes, config).unwrap();
            prop_assert_eq!(read, ours.public());
        }

        #[test]
        fn parsing_a_key_never_panics(bytes in proptest::array::uniform32(any::<u8>()), tag in 0..8_u8) {
            let mut whole = [tag; 33];
            whole[1..].copy_from_slice(&bytes);
            if let Some(key) = PublicKey::from_bytes(&whole) {
                prop_assert_eq!(key.to_bytes(), whole);
            }
        }
    }

    #[test]
    fn changed_at_random_a_key_is_refused_or_written_as_it_came() {
        let seeds = [1, 2, 3].map(|seed| identity(seed).public().to_bytes().to_vec());
        each_case(&seeds, |bytes| {
            let whole = <&[u8; PUBLIC_KEY_SIZE]>::try_from(bytes).ok();
            Reading::again(whole.and_then(PublicKey::from_bytes), |key| key.to_bytes())
        });
    }

    #[test]
    fn changed_at_random_a_stored_key_pair_is_refused_or_the_one_that_is_written_so() {
        let config = bincode::config::standard().with_fixed_int_encoding();
        let write = |pair: &(Identity, EphemeralSecret, PublicKey)| {
            bincode::serde::encode_to_vec(pair, config).unwrap()
        };
        let passing = EphemeralSecret::draw(&mut SeededRng::new(4).turn());
        let seeds = [write(&(identity(1), passing, identity(2).public()))];
        each_slow_case(&seeds, |bytes| {
            let read = bincode::serde::decode_from_slice(bytes, config).ok();
            let whole = read.filter(|(_, used)| *used == bytes.len());
            Reading::again(whole, |(pair, _)| write(&pair))
        });
    }
}
