//! The words and marks for clocks, contacts, junk, lifetimes, names, prices, sizes, states and trust, for the interface and the commands.

pub(in crate::shell) mod clock_skew;
pub(in crate::shell) mod command;
pub(in crate::shell) mod contact;
pub(in crate::shell) mod junk;
pub(in crate::shell) mod lifetime;
pub(in crate::shell) mod marks;
pub(in crate::shell) mod message_state;
pub(in crate::shell) mod network_words;
pub(in crate::shell) mod price;
pub(in crate::shell) mod size;
pub(in crate::shell) mod trust;
