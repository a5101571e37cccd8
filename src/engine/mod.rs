//! The engine decides what to carry, what to keep and what to send. It does nothing itself.
//!
//! Nothing below this module knows a socket, a file, a clock or a random generator. Time and
//! entropy are lent to it for one turn at a time ([`env::Env`]); everything it wants done comes
//! back as [`turn::Output`]. Layers, lowest first; a module may name itself and what stands before
//! it, never what stands beside it:
//!
//! ```text
//! env  <  testing  <  id | secret | shares | text  <  crypto | price  <  envelope
//!     <  relay::pool | session  <  record | settings  <  command | event  <  turn  <  relay  <  sync
//!     <  carrier  <  conversation  <  node
//! ```

pub mod carrier;
pub mod command;
pub mod conversation;
pub mod crypto;
pub mod env;
pub mod envelope;
pub mod event;
pub mod id;
pub mod node;
pub mod price;
pub mod record;
pub mod relay;
pub mod secret;
pub mod session;
pub mod settings;
pub mod shares;
pub mod sync;
pub mod testing;
pub mod text;
pub mod turn;
