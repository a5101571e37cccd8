//! Catching up: what two nodes say to each other so that one gets what it missed.

/// Appends an envelope to a response that carries envelopes.
pub fn append_envelope(response: &mut Vec<u8>, envelope: &[u8]) {
    let length = u32::try_from(envelope.len()).unwrap_or(u32::MAX);
    response.extend_from_slice(&length.to_le_bytes());
    response.extend_from_slice(envelope);
}
