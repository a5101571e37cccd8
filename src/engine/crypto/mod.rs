//! Which primitive for what, each from its specification. Nothing here knows a protocol or a state.
//!
//! | for | primitive | from |
//! |---|---|---|
//! | identities, every Diffie-Hellman | secp256k1 | SEC 2; crate `k256`, constant time |
//! | an offer to a public key | ECIES | SEC 1 in the wire form of the crate `ecies` |
//! | messages | AES-256-GCM | NIST SP 800-38D |
//! | keys from keys | HKDF-SHA-256 | RFC 5869 |
//! | who made an offer | HMAC-SHA-256 | RFC 2104 |
//! | what people compare | SHA3-256 | FIPS 202 |
//!
//! No primitive is written here, and none of these modules draws entropy of its own: it is lent to
//! them by [`crate::engine::env::Env`].

pub mod aead;
pub mod ecies;
pub mod invite;
pub mod kdf;
pub mod keys;
pub mod safety;
#[cfg(test)]
pub(crate) mod seeded;
