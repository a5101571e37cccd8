//! Inputs: what both halves of a node take in.

pub use crate::engine::turn::Input;
