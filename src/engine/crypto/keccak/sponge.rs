//! Messages as blocks of words, and words as digests (FIPS 202, section 4; Keccak-256 pads with a
//! single bit where SHA-3 has three).

use core::array;

/// Bytes that are absorbed before each permutation.
const RATE: usize = 136;

/// The same in words.
const WORDS: usize = RATE / 8;

/// Messages of one length, one a lane.
type Messages<'a, const LANES: usize> = [&'a [u8]; LANES];

/// How many blocks each of them is: the padding takes a byte at least.
pub(super) fn blocks<const LANES: usize>(messages: &Messages<'_, LANES>) -> usize {
    messages.first().map_or(0, |message| message.len() / RATE + 1)
}

/// The words of block `at` of each: those of the first place, one a lane, then the next.
pub(super) fn words_of_block<const LANES: usize>(
    messages: &Messages<'_, LANES>,
    at: usize,
) -> [[u64; LANES]; WORDS] {
    let mut words = [[0; LANES]; WORDS];
    for (lane, message) in messages.iter().enumerate() {
        let rest = message.get(at * RATE..).unwrap_or_default();
        let block = rest.first_chunk().copied().unwrap_or_else(|| last_block(rest));
        for (lanes, bytes) in words.iter_mut().zip(block.as_chunks().0) {
            if let Some(word) = lanes.get_mut(lane) {
                *word = u64::from_le_bytes(*bytes);
            }
        }
    }
    words
}

/// The end of a message and its padding: a 1 bit after it, and one at the end of the block.
fn last_block(rest: &[u8]) -> [u8; RATE] {
    let mut block = [0; RATE];
    for (byte, of_message) in block.iter_mut().zip(rest) {
        *byte = *of_message;
    }
    if let Some(after) = block.get_mut(rest.len()) {
        *after = 0x01;
    }
    block[RATE - 1] |= 0x80;
    block
}

/// The digests that the first words of a state are, one a lane.
pub(super) fn digests<const LANES: usize>(words: &[[u64; LANES]; 4]) -> [[u8; 32]; LANES] {
    array::from_fn(|lane| {
        let mut digest = [0; 32];
        for (bytes, lanes) in digest.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = lanes.get(lane).copied().unwrap_or_default().to_le_bytes();
        }
        digest
    })
}
