//! A town of people at relays for a week, in simulated time: what is asked, what waits, and what is
//! there until its time. And what liars and observers make of prices.
//!
//! What is not marked as ignored is short, and part of every run of the tests. The rest are one
//! scenario each, of some minutes: `cargo test --release --test town -- --ignored --nocapture
//! --test-threads 1` and the name of one, or all.
#![expect(clippy::expect_used, reason = "a test that fails should say where")]
#![expect(clippy::indexing_slicing, reason = "tests index what they made")]
#![expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are small")]
#![expect(clippy::print_stdout, reason = "the long runs are read by people")]

mod attacker;
mod chance;
mod event;
mod history;
mod liars;
mod naming;
mod person;
mod plan;
mod relay;
mod report;
mod scenarios;
mod town;
