//! What every node does for all others: checked envelopes wait, are held while they fit, and go.
//!
//! [`validation_queue`] stands between the flood and [`pool`]; `ranking` orders what the pool holds.
//! Nothing here knows an identity, a contact or a session.

pub mod pool;
mod ranking;
pub mod validation_queue;
