//! Every screen at every kind of size, as its user sees it.
#![expect(clippy::expect_used, reason = "a test that cannot set itself up must stop")]

mod codes;
mod gate;
mod messages;
mod pages;
mod stage;
mod verifying;
