//! The engine's whole state, and the one door to it.

pub mod input;
pub mod output;
pub mod record;
