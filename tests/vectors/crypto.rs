//! ECIES against the whole crate `ecies`, both ways: the form sent here differs in the point alone.
#![expect(clippy::expect_used, reason = "a letter that cannot be opened is a failed test")]

use std::sync::Once;

use proptest::prelude::*;

use undertone::engine::crypto::ecies::{OVERHEAD, open, seal};
use undertone::engine::crypto::ellswift;
use undertone::engine::crypto::keys::{Identity, PublicKey};

use crate::entropy::{SeededRng, turn};

/// Compression is one setting for the whole process; every test here wants the same one.
fn compressed() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        ecies::config::update_config(ecies::config::Config {
            is_ephemeral_key_compressed: true,
            is_hkdf_key_compressed: true,
        });
    });
}

/// An identity as the store would write it: 32 bytes.
fn secret_bytes(identity: &Identity) -> Vec<u8> {
    let json = serde_json::to_string(identity).expect("an identity can be stored");
    serde_json::from_str(&json).expect("it is stored as bytes")
}

/// A letter as the crate `ecies` writes it, with the ephemeral key in 33 bytes.
pub(crate) fn to_ecies(sealed: &[u8]) -> Vec<u8> {
    let (point, rest) = sealed.split_first_chunk().expect("long enough");
    [&ellswift::decode(point).to_bytes(), rest].concat()
}

/// A letter of the crate `ecies` as it is sent here: the key is hidden among random bytes.
fn from_ecies(entropy: &mut SeededRng, theirs: &[u8]) -> Vec<u8> {
    let (point, rest) = theirs.split_first_chunk().expect("long enough");
    let point = PublicKey::from_bytes(point).expect("a compressed point");
    [&ellswift::encode(&mut turn(entropy), &point), rest].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_crate_ecies_opens_what_we_seal(seed: u64, words in proptest::collection::vec(any::<u8>(), 0..3000)) {
        compressed();
        let mut entropy = SeededRng::new(seed);
        let ours = Identity::generate(&mut turn(&mut entropy));
        let sealed = seal(&mut turn(&mut entropy), &ours.public(), &words);
        let opened = ecies::decrypt(&secret_bytes(&ours), &to_ecies(&sealed)).expect("one format");
        prop_assert_eq!(opened, words);
    }

    #[test]
    fn we_open_what_the_crate_ecies_seals(seed: u64, words in proptest::collection::vec(any::<u8>(), 0..3000)) {
        compressed();
        let mut entropy = SeededRng::new(seed);
        let ours = Identity::generate(&mut turn(&mut entropy));
        let theirs = ecies::encrypt(&ours.public().to_bytes(), &words).expect("a good key");
        let sealed = from_ecies(&mut entropy, &theirs);
        prop_assert_eq!(sealed.len(), words.len() + OVERHEAD);
        let opened = open(&ours, &sealed).expect("one format");
        prop_assert_eq!(opened.as_slice(), words);
    }
}
