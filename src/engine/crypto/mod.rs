//! Primitives.
pub mod keys;
