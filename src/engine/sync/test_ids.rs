//! Ids for tests: as the network's are, without its work.

use sha3::{Digest, Keccak256};

use crate::engine::envelope::EnvelopeId;

/// An id that depends on a number: spread as digests are, behind the 24 zero bits that a day
/// message shows at a floor of 24.
pub(super) fn id(number: u64) -> EnvelopeId {
    let mut id: [u8; 32] = Keccak256::digest(number.to_le_bytes()).into();
    let [zeros @ .., _] = id.first_chunk_mut::<4>().unwrap();
    zeros.fill(0);
    EnvelopeId(id)
}
