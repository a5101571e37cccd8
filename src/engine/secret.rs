//! Secret bytes: wiped when dropped, compared in constant time, never printed.
//!
//! The type does not protect memory from being swapped or dumped, and cannot wipe copies that
//! callers make.

use core::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::env::Env;

/// Implements `Debug` to print the name of a type, or of a value's variant, and no content.
///
/// Fields and variants are listed, so that adding one is a decision not to show it.
macro_rules! opaque_debug {
    (struct $name:ident { $($field:ident),+ $(,)? }) => {
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let Self { $($field: _),+ } = self;
                f.write_str(stringify!($name))
            }
        }
    };
    (struct $name:ident(_)) => {
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let Self(_) = self;
                f.write_str(stringify!($name))
            }
        }
    };
    (enum $name:ident { $($variant:ident),+ $(,)? }) => {
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant { .. } => {
                        concat!(stringify!($name), "::", stringify!($variant))
                    })+
                })
            }
        }
    };
}

pub(crate) use opaque_debug;

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

    /// A secret written in place by `write`, which is given zeros.
    pub fn make(write: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self(Box::new([0; N]));
        write(&mut secret.0);
        secret
    }

    /// A fresh secret from lent entropy.
    pub fn draw(env: &mut Env<'_>) -> Self {
        Self::make(|bytes| env.fill(bytes))
    }

    /// The bytes themselves. Never copy them to where nothing wipes them.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// The `LEN` bytes that begin at byte `FROM`; that they exist is checked when this is compiled.
    #[must_use]
    pub fn part<const FROM: usize, const LEN: usize>(&self) -> Secret<LEN> {
        const { assert!(FROM + LEN <= N, "the part reaches beyond the secret") };
        Secret::make(|part| {
            for (to, from) in part.iter_mut().zip(self.0.iter().skip(FROM)) {
                *to = *from;
            }
        })
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        deserializer.deserialize_bytes(SecretVisitor)
    }
}

/// Reads a secret without leaving copies: bytes that a format hands over by value are wiped.
struct SecretVisitor<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for SecretVisitor<N> {
    type Value = Secret<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        if bytes.len() != N {
            return Err(E::custom("a secret of the wrong length"));
        }
        Ok(Secret::make(|secret| secret.copy_from_slice(bytes)))
    }

    fn visit_byte_buf<E: Error>(self, mut bytes: Vec<u8>) -> Result<Self::Value, E> {
        let secret = self.visit_bytes(&bytes);
        bytes.zeroize();
        secret
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Self::Value, A::Error> {
        let mut secret = Secret::make(|_| ());
        for to in secret.0.iter_mut() {
            *to = bytes
                .next_element()?
                .ok_or_else(|| A::Error::custom("a secret of the wrong length"))?;
        }
        match bytes.next_element::<u8>()? {
            None => Ok(secret),
            Some(_) => Err(A::Error::custom("a secret of the wrong length")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

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

    #[test]
    fn a_secret_is_wiped_when_it_is_dropped() {
        // What a value leaves in freed memory cannot be read without unsafe code: this holds that
        // dropping wipes, and that wiping leaves zeros.
        const fn wipes_itself<T: ZeroizeOnDrop>() {}
        const { wipes_itself::<Secret<4>>() };
        let mut secret = Secret::take(&mut [7; 4]);
        secret.zeroize();
        assert_eq!(secret.expose(), &[0; 4]);
    }

    #[test]
    fn a_part_is_the_bytes_from_where_it_begins() {
        let secret = Secret::take(&mut [1, 2, 3, 4, 5]);
        assert_eq!(secret.part::<1, 3>().expose(), &[2, 3, 4]);
        assert_eq!(secret.part::<0, 5>(), secret);
    }

    #[test]
    fn a_stored_secret_reads_back_and_one_of_another_length_does_not() {
        let config = bincode::config::standard();
        let secret = Secret::take(&mut [7_u8; 32]);
        let bytes = bincode::serde::encode_to_vec(&secret, config).unwrap();
        let read = |bytes: &[u8]| bincode::serde::decode_from_slice::<Secret<32>, _>(bytes, config);
        assert_eq!(read(&bytes).unwrap(), (secret, bytes.len()));
        let short = bincode::serde::encode_to_vec(Secret::take(&mut [7_u8; 31]), config).unwrap();
        assert!(read(&short).is_err());

        let json = serde_json::to_string(&Secret::take(&mut [1_u8, 2])).unwrap();
        assert_eq!(json, "[1,2]");
        assert_eq!(serde_json::from_str::<Secret<2>>(&json).unwrap().expose(), &[1, 2]);
        assert!(serde_json::from_str::<Secret<3>>(&json).is_err());
        assert!(serde_json::from_str::<Secret<1>>(&json).is_err());
    }

    #[test]
    fn changed_at_random_a_stored_secret_is_refused_or_the_one_that_is_written_so() {
        let config = bincode::config::standard().with_fixed_int_encoding();
        let write = |secret: &Secret<32>| bincode::serde::encode_to_vec(secret, config).unwrap();
        each_case(&[write(&Secret::take(&mut [7; 32]))], |bytes| {
            let read = bincode::serde::decode_from_slice::<Secret<32>, _>(bytes, config).ok();
            let whole = read.filter(|(_, used)| *used == bytes.len());
            Reading::again(whole, |(secret, _)| write(&secret))
        });
        each_case(&[b"[1,2]".to_vec(), b" [ 1 , 255 ] ".to_vec()], |json| {
            Reading::of(serde_json::from_slice::<Secret<2>>(json))
        });
    }
}
