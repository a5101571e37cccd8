//! Every kernel that this processor can run held to the crates `keccak` and `sha3`.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// The state that has absorbed `message`, 56 bytes and a nonce of zero.
fn block(message: &[u8; 56]) -> State1600 {
    let mut block = [0; 25];
    for (word, bytes) in block.iter_mut().zip(message.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    block[8] = 0x01;
    block[16] = 0x80 << 56;
    block
}

/// The first word of the digest, by the definition and the crate `sha3`.
fn first_word(message: &[u8; 56], nonce: u64) -> u64 {
    let digest = Keccak256::digest([message.as_slice(), &nonce.to_be_bytes()].concat());
    u64::from_le_bytes(*digest.first_chunk().unwrap())
}

/// What should be named of `attempts` nonces.
fn by_the_book(message: &[u8; 56], zeros: u64, from: u64, attempts: u64) -> Vec<u64> {
    let nonces = (0..attempts).map(|step| from.wrapping_add(step));
    nonces.filter(|nonce| first_word(message, *nonce) & zeros == 0).collect()
}

fn digests(messages: &[&[u8]]) -> Vec<[u8; 32]> {
    messages.iter().map(|message| Keccak256::digest(message).into()).collect()
}

#[test]
fn the_kernels_have_names_of_their_own_and_the_reference_is_the_last() {
    let kernels = Kernel::all_available();
    let names: BTreeSet<&str> = kernels.iter().map(Kernel::name).collect();
    assert_eq!(names.len(), kernels.len());
    let last_two: Vec<&str> = kernels.iter().rev().take(2).map(Kernel::name).collect();
    assert_eq!(last_two, ["reference", "portable"]);
}

#[test]
fn every_kernel_here_passes_its_test_and_the_first_is_chosen() {
    let kernels = Kernel::all_available();
    // What was not run on this processor is told, so that nobody takes it for tested.
    println!("run: {kernels:?}, chosen: {:?}", Kernel::chosen());
    for kernel in &kernels {
        assert!(self_test::passes(kernel), "{kernel:?}");
    }
    assert_eq!(Kernel::chosen().name(), kernels[0].name());
}

#[test]
fn a_kernel_that_errs_is_not_chosen() {
    let portable = Kernel::all_available().into_iter().rev().nth(1).unwrap();
    let blind = Kernel { name: "blind", scan: |_| None, ..portable };
    let hasty = Kernel {
        name: "hasty",
        scan: |sweep| (sweep.batches > 0).then_some(Sighting { batch: 0, lanes: 1 }),
        ..portable
    };
    let deaf = Kernel {
        name: "deaf",
        hash: |messages, digests| digests.extend(messages.iter().map(|_| [0; 32])),
        ..portable
    };
    let cut = Kernel {
        name: "cut",
        hash: |messages, digests| {
            let shorter: Vec<&[u8]> =
                messages.iter().map(|message| &message[..message.len().min(136)]).collect();
            hash_by_reference(&shorter, digests);
        },
        ..portable
    };
    for broken in [blind, hasty, deaf, cut] {
        assert!(!self_test::passes(&broken), "{broken:?}");
        assert_eq!(Kernel::choose(&[broken, portable]).name(), "portable");
        assert_eq!(Kernel::choose(&[broken]).name(), "reference");
    }
}

#[test]
fn each_lane_of_each_batch_is_named_in_its_turn() {
    let message = [9; 56];
    for kernel in Kernel::all_available() {
        let all = kernel.candidates(&block(&message), 0, u64::MAX - 9, 40);
        let expected: Vec<u64> = (0..40).map(|step| (u64::MAX - 9).wrapping_add(step)).collect();
        assert_eq!(all.collect::<Vec<_>>(), expected, "{kernel:?}");
    }
}

#[test]
fn nothing_is_named_beyond_what_was_asked() {
    let block = block(&[9; 56]);
    for kernel in Kernel::all_available() {
        for attempts in 0..20 {
            let mut named = kernel.candidates(&block, 0, 7, attempts);
            let count = named.by_ref().count();
            assert_eq!(count, usize::try_from(attempts).unwrap(), "{kernel:?}");
            assert_eq!(named.next(), None, "{kernel:?}");
        }
    }
}

#[test]
fn a_search_through_every_nonce_begins_like_any_other() {
    let message = [3; 56];
    for kernel in Kernel::all_available() {
        let named = kernel.candidates(&block(&message), 0xff, u64::MAX, u64::MAX).next();
        let expected = by_the_book(&message, 0xff, u64::MAX, 4_096).first().copied();
        assert!(expected.is_some());
        assert_eq!(named, expected, "{kernel:?}");
    }
}

#[test]
fn every_bit_of_the_first_word_is_looked_at() {
    let message = [5; 56];
    for kernel in Kernel::all_available() {
        for bit in 0..64 {
            let named = kernel.candidates(&block(&message), 1 << bit, 1_000, 24);
            let expected = by_the_book(&message, 1 << bit, 1_000, 24);
            assert_eq!(named.collect::<Vec<_>>(), expected, "{kernel:?}, bit {bit}");
        }
    }
}

#[test]
fn messages_of_every_length_up_to_some_blocks_are_hashed() {
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(500).collect();
    for kernel in Kernel::all_available() {
        for length in 0..=410 {
            let messages: Vec<&[u8]> = (0..9).map(|from| &bytes[from..from + length]).collect();
            assert_eq!(kernel.hash_each(&messages), digests(&messages), "{kernel:?}, {length}");
        }
    }
}

#[test]
fn the_largest_envelope_is_hashed_beside_others() {
    let bytes: Vec<u8> = (0..251).cycle().take(70_000).collect();
    let messages: Vec<&[u8]> = (0..8).map(|from| &bytes[from..from + 65_527]).collect();
    for kernel in Kernel::all_available() {
        assert_eq!(kernel.hash_each(&messages), digests(&messages), "{kernel:?}");
    }
}

#[test]
fn debug_shows_a_kernel_and_nothing_of_what_it_works_on() {
    let shown = format!("{:?}", Kernel::REFERENCE.candidates(&[7; 25], 1, 2, 3));
    assert_eq!(shown, "Candidates { kernel: Kernel(\"reference\"), .. }");
}

proptest! {
    #[test]
    fn every_kernel_names_the_candidates_that_the_reference_names(
        message in prop::array::uniform32(any::<u8>()), rest in prop::array::uniform24(any::<u8>()),
        zeros in prop::sample::select(vec![0, 1, 3 << 62, 0x0f00, 0x1f, 0xffff]), from: u64,
        attempts in 0_u64..150,
    ) {
        let message = *[message.as_slice(), &rest].concat().first_chunk().unwrap();
        let expected = by_the_book(&message, zeros, from, attempts);
        for kernel in Kernel::all_available() {
            let named = kernel.candidates(&block(&message), zeros, from, attempts);
            prop_assert_eq!(named.collect::<Vec<_>>(), &*expected, "{:?}", kernel);
        }
    }

    #[test]
    fn every_kernel_hashes_as_the_reference_does(
        lengths in vec((1_usize..300, 1_usize..12), 0..4), seed: [u8; 16],
    ) {
        let bytes: Vec<u8> = seed.iter().copied().cycle().take(320).collect();
        let messages: Vec<&[u8]> = lengths
            .iter()
            .flat_map(|(length, count)| bytes.windows(*length).take(*count))
            .collect();
        let expected = digests(&messages);
        for kernel in Kernel::all_available() {
            prop_assert_eq!(kernel.hash_each(&messages), &*expected, "{:?}", kernel);
        }
    }
}
