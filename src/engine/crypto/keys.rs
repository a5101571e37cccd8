//! Identities and public keys.
use serde::{Deserialize, Serialize};

use crate::engine::secret::Secret;

/// STUB: a secp256k1 secret key, one of ours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity(Secret<32>);

/// A point of secp256k1, SEC1 compressed: somebody's key. STUB: must be validated, and print short.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PublicKey([u8; 33]);

impl PublicKey {
    /// Parses 33 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 33]) -> Option<Self> {
        Some(Self(*bytes))
    }
    /// The 33 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 33] {
        self.0
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        let bytes: [u8; 33] =
            bytes.try_into().map_err(|_| serde::de::Error::custom("a key of the wrong length"))?;
        Self::from_bytes(&bytes).ok_or_else(|| serde::de::Error::custom("not a point"))
    }
}
