//! Stand-ins for the outside world, for tests and simulations. The program uses none of it.

pub mod rng;
