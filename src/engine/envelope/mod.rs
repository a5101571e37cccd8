//! The envelope: expiry, ttl, topic, data and a work nonce (the five fields of EIP-627).

pub mod check;
pub mod topic;
pub mod wire;
pub mod work;

pub use check::{Acceptance, Checked, Refusal, check};
pub use topic::Topic;
pub use wire::{Draft, Envelope, EnvelopeId};
pub use work::{Floor, Rating, WorkNonce, WorkOrder};
