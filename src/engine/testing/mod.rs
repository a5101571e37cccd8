//! Stand-ins for the outside world, for tests and simulations. The program uses none of it.

#[cfg(test)]
pub(crate) mod mutate;
pub mod rng;
