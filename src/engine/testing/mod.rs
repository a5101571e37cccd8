//! What tests and simulations put in the place of the outside world. The program uses none of it.

pub mod rng;
