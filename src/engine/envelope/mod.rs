//! The envelope: expiry, ttl, topic, data and a work nonce (the five fields of EIP-627).
//!
//! Bytes become an [`Envelope`], an envelope becomes a [`CheckedEnvelope`] or is refused with a
//! [`ValidationError`]. In the other direction a [`Draft`] becomes bytes when its work is found.
//! The meaning of the data is not known here.

pub mod check;
pub mod draft;
pub mod lifetime;
pub mod postage;
pub mod topic;
pub mod wire;
pub mod work;

pub use check::{
    Acceptance, CheckedEnvelope, PriorityKey, ValidationError, check, check_inspected, inspect,
    inspect_each, untimely,
};
pub use draft::{Draft, DraftError};
pub use lifetime::Lifetime;
pub use postage::Postage;
pub use topic::Topic;
pub use wire::{Envelope, EnvelopeId, MalformedEnvelope};
pub use work::{MiningJob, WorkNonce};

pub use crate::engine::price::{Floor, Priority};
