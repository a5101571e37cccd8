//! Every screen at every kind of size, as its user sees it.
#![expect(clippy::expect_used, reason = "a test that cannot set itself up must stop")]

mod codes;
mod messages;
mod pages;
mod support;
mod unlock;
mod verifying;
