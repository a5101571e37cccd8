//! A kernel held to the reference, before it is used.

use super::{Kernel, State1600};

/// Nonces that are gone through: some batches of the widest, and a part of one.
const ATTEMPTS: u64 = 8 * 8 + 3;

/// The last of all nonces comes among them.
const FROM: u64 = u64::MAX - 20;

/// What a first word may be asked for: nothing, a bit at either end, several.
const ZEROS: [u64; 4] = [0, 1, 1 << 63, 0x0300];

/// Lengths of messages around the ends of words and blocks, and about the envelope's.
const LENGTHS: [usize; 9] = [0, 1, 8, 135, 136, 137, 271, 272, 2_039];

/// More than the widest kernel has lanes.
const MESSAGES: usize = 11;

/// Whether it names the candidates and makes the digests that the reference does.
pub(super) fn passes(kernel: &Kernel) -> bool {
    finds(*kernel) && hashes(*kernel)
}

fn finds(kernel: Kernel) -> bool {
    let mut block: State1600 = [0; 25];
    for (word, number) in block.iter_mut().zip(1_u64..) {
        *word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    block[super::NONCE_WORD] = 0;
    ZEROS.iter().all(|zeros| {
        let found = |kernel: Kernel| kernel.candidates(&block, *zeros, FROM, ATTEMPTS);
        found(kernel).eq(found(Kernel::REFERENCE))
    })
}

fn hashes(kernel: Kernel) -> bool {
    LENGTHS.iter().all(|length| {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(length + MESSAGES).collect();
        let messages: Vec<&[u8]> =
            (0..MESSAGES).filter_map(|start| bytes.get(start..start + length)).collect();
        kernel.hash_each(&messages) == Kernel::REFERENCE.hash_each(&messages)
    })
}
