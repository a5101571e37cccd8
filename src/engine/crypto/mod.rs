//! Cryptographic primitives, each from its specification. Nothing here knows a protocol or a state.
//!
//! | for | primitive | from |
//! |---|---|---|
//! | identities, every Diffie-Hellman | secp256k1 | SEC 2; crate `k256`, constant time |
//! | an offer to a public key | ECIES | SEC 1 as the crate `ecies` has it |
//! | points among random bytes | ElligatorSwift | BIP 324, over `k256`'s field |
//! | messages | AES-256-GCM | NIST SP 800-38D |
//! | keys from keys | HKDF-SHA-256 | RFC 5869 |
//! | who made an offer | HMAC-SHA-256 | RFC 2104 |
//! | against later quantum computers | ML-KEM-768 | FIPS 203; crate `ml-kem`, only beside a Diffie-Hellman |
//! | what people compare | SHA3-256 | FIPS 202 |
//! | envelopes' names and work | Keccak-256 | crate `sha3`; many at once, [`keccak`] |
//!
//! No primitive is written here but ElligatorSwift and the permutation of Keccak, which touch nothing
//! secret; the latter is held to the crate `keccak` when the program runs. None of these modules draws entropy of its own: it is lent to them by [`crate::engine::env::Env`].

pub mod aead;
pub mod ecies;
pub mod ellswift;
pub mod invite;
pub mod kdf;
pub mod keccak;
pub mod kem;
pub mod keys;
pub mod safety_number;
pub mod sas;
