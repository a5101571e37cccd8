//! Undertone.
fn main() {}
