//! The engine decides: what to carry, what to keep, what to say. It does nothing itself.
//!
//! Nothing below this module knows a socket, a file, a clock or a random generator. Time and
//! entropy are lent to it for one turn at a time ([`env::Env`]); everything it wants done comes
//! back as [`node::output::Output`]. Layers, lowest first; a module may name itself and what stands before
//! it, never what stands beside it:
//!
//! ```text
//! env secret text id testing  <  crypto  <  envelope  <  session | relay | sync  <  node
//! ```

pub mod crypto;
pub mod env;
pub mod envelope;
pub mod id;
pub mod node;
pub mod relay;
pub mod secret;
pub mod session;
pub mod sync;
pub mod testing;
pub mod text;
