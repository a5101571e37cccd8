//! SHA3-256 and Keccak-256 against the answers of NIST and of the Keccak team (`hashes/README.md`).
//!
//! Fingerprints hash keys alone, and ids hash envelopes alone, so both are called in the crate that
//! they call them in.
#![expect(clippy::expect_used, reason = "a vector that cannot be read is a failed test")]

use sha3::{Digest, Keccak256, Sha3_256};

use crate::hex::bytes;

/// The values of all lines `name = value`, in their order.
fn values<'a>(file: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let fields = file.lines().filter_map(|line| line.split_once(" = "));
    fields.filter(move |(found, _)| *found == name).map(|(_, value)| value)
}

/// Holds `hash` to every message of `file`, and says how many there were.
fn answer(file: &str, hash: impl Fn(&[u8]) -> [u8; 32]) -> usize {
    let messages = values(file, "Len").zip(values(file, "Msg")).zip(values(file, "MD"));
    let right = messages.map(|((bits, message), digest)| {
        let bits: usize = bits.parse().expect("a number of bits");
        let mut message = bytes(message);
        // The empty message is written as one byte.
        message.truncate(bits / 8);
        assert_eq!(message.len(), bits / 8);
        assert_eq!(hash(&message).as_slice(), bytes(digest), "the message of {bits} bits");
    });
    right.count()
}

fn sha3_256(message: &[u8]) -> [u8; 32] {
    Sha3_256::digest(message).into()
}

#[test]
fn sha3_256_answers_as_nist_says() {
    assert_eq!(answer(include_str!("hashes/SHA3_256ShortMsg.rsp"), sha3_256), 137);
    assert_eq!(answer(include_str!("hashes/SHA3_256LongMsg.rsp"), sha3_256), 30);
}

#[test]
fn sha3_256_of_itself_a_hundred_thousand_times_is_what_nist_says() {
    let file = include_str!("hashes/SHA3_256Monte.rsp");
    let seed = values(file, "Seed").next().map(bytes).expect("a seed");
    let mut digest: [u8; 32] = seed.try_into().expect("32 bytes");
    let mut rounds = 0;
    for after in values(file, "MD") {
        for _ in 0..1000 {
            digest = sha3_256(&digest);
        }
        assert_eq!(digest.as_slice(), bytes(after), "after round {rounds}");
        rounds += 1;
    }
    assert_eq!(rounds, 100);
}

#[test]
fn keccak_256_of_which_ids_are_made_answers_as_its_makers_say() {
    let file = include_str!("hashes/Keccak_256ShortMsg.txt");
    assert_eq!(answer(file, |message| Keccak256::digest(message).into()), 256);
}
