//! The kernels that search for work, alone, so that their tests can be built for processors that this
//! machine is not (`./run`). Their text is the program's.

#[path = "../../src/engine/crypto/keccak/mod.rs"]
pub mod keccak;
