//! Topics: Whisper's 4 bytes, by which a recipient finds an envelope.

use serde::{Deserialize, Serialize};

/// Four bytes that mean something to the recipient alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Topic(pub [u8; 4]);

impl core::fmt::Debug for Topic {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Topic")
    }
}
