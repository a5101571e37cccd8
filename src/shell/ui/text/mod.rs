//! What is shown in words, for the interface and the commands: clocks, contacts, lifetimes, states,
//! trust.

pub(in crate::shell) mod clock_skew;
pub(in crate::shell) mod contact;
pub(in crate::shell) mod lifetime;
pub(in crate::shell) mod message_state;
pub(in crate::shell) mod trust;
