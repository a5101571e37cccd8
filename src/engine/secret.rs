//! Bytes that must not be seen: wiped when dropped, compared in constant time, never printed.

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes on the heap, so that moving the value leaves no copy behind.
///
/// `Clone` exists for one use: a ratchet step works on a copy, which replaces the original only
/// when the step succeeded. Both copies are wiped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over; the caller's array is wiped.
    pub fn take(bytes: &mut [u8; N]) -> Self {
        let secret = Self(Box::new(*bytes));
        bytes.zeroize();
        secret
    }

    /// Looks at the bytes. Never copy them to where nothing wipes them.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// A fresh secret from lent entropy.
    pub fn draw(env: &mut super::env::Env<'_>) -> Self {
        let mut secret = Self(Box::new([0; N]));
        env.fill(secret.0.as_mut_slice());
        secret
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> core::fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Secret<{N}>")
    }
}

/// For the store alone, which encrypts every page it writes.
impl<const N: usize> Serialize for Secret<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_slice())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Secret<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = Vec::<u8>::deserialize(deserializer)?;
        let parsed = <[u8; N]>::try_from(bytes.as_slice());
        bytes.zeroize();
        let mut array =
            parsed.map_err(|_| serde::de::Error::custom("a secret of the wrong length"))?;
        Ok(Self::take(&mut array))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_its_length_and_nothing_else() {
        assert_eq!(format!("{:?}", Secret::take(&mut [7_u8; 32])), "Secret<32>");
    }

    #[test]
    fn taking_a_secret_wipes_where_it_came_from() {
        let mut bytes = [7_u8; 32];
        let _secret = Secret::take(&mut bytes);
        assert_eq!(bytes, [0; 32]);
    }
}
