//! Redaction: `{:?}` of a value that holds a key, a text, a name or an address shows its kind
//! alone.
//!
//! Three ways, because each misses something: snapshots, to be read by people; a search through
//! everything a conversation touches; and the text of the sources, for what comes later.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that fails should say where")]
#![expect(clippy::indexing_slicing, reason = "tests index what they made")]
#![expect(clippy::string_slice, reason = "cut where a search in the same text ended")]

mod conversation;
#[path = "../support/files.rs"]
mod files;
#[path = "../support/one_node.rs"]
#[expect(dead_code, reason = "whose identity it is does not matter here")]
mod one_node;
mod search;
mod sources;
mod support;
mod types;
