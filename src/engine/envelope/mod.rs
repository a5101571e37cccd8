//! The envelope: expiry, ttl, topic, data and a work nonce (the five fields of EIP-627).
//!
//! Bytes become an [`Envelope`], an envelope becomes [`Checked`], and what is not becomes a
//! [`Refusal`]. In the other direction a [`Draft`] becomes bytes when its work is found. What the
//! data means is nobody's business here.

pub mod check;
pub mod draft;
pub mod lifetime;
pub mod topic;
pub mod wire;
pub mod work;

pub use check::{Acceptance, Checked, Rank, Refusal, check};
pub use draft::{BadDraft, Draft};
pub use lifetime::Life;
pub use topic::Topic;
pub use wire::{Envelope, EnvelopeId, Malformed};
pub use work::{Floor, Rating, WorkNonce, WorkOrder};
