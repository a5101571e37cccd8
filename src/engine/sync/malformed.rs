//! The one error of bytes from a neighbour: they are no message of catching up.

/// Bytes that are no request or response, or too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid message of the sync protocol")]
pub struct MalformedSyncMessage;
