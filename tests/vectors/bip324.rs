//! ElligatorSwift against BIP 324's vectors and libsecp256k1, and its bytes against chance.

use proptest::prelude::*;
use secp256k1::ellswift::ElligatorSwift;

use undertone::engine::crypto::ellswift::{ENCODED_SIZE, decode, encode};
use undertone::engine::crypto::keys::{EphemeralSecret, PublicKey};
use undertone::engine::env::Entropy;

use crate::entropy::{SeededRng, turn};
use crate::hex::bytes;
use crate::statistics::{
    BIT_BOUND, POSITION_BOUND, TOTAL_BOUND, histogram, surprise, worst_bit, worst_position,
};

fn point(entropy: &mut dyn Entropy) -> PublicKey {
    EphemeralSecret::draw(&mut turn(entropy)).public()
}

/// What libsecp256k1 reads in the same bytes.
fn theirs(encoded: [u8; ENCODED_SIZE]) -> [u8; 33] {
    secp256k1::PublicKey::from_ellswift(ElligatorSwift::from_byte_array(encoded)).serialize()
}

#[test]
fn decoding_gives_the_points_of_bip_324_with_the_signs_of_libsecp256k1() {
    let rows: Vec<&str> = include_str!("bip324/decode.csv").lines().skip(1).collect();
    assert_eq!(rows.len(), 76);
    for row in rows {
        let mut fields = row.split(',');
        let mut field = || fields.next().expect("three fields");
        let (encoded, x, odd) = (bytes(field()), bytes(field()), field());
        let sign = if odd == "1" { 3 } else { 2 };
        let encoded: [u8; ENCODED_SIZE] = encoded.try_into().expect("64 bytes");
        let expected = [&[sign], x.as_slice()].concat();
        assert_eq!(decode(&encoded).to_bytes().as_slice(), expected, "{row}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn libsecp256k1_reads_what_we_write(seed: u64) {
        let mut entropy = SeededRng::new(seed);
        let point = point(&mut entropy);
        let encoded = encode(&mut turn(&mut entropy), &point);
        prop_assert_eq!(theirs(encoded), point.to_bytes());
    }

    #[test]
    fn we_read_what_libsecp256k1_writes(seed: u64, random: [u8; 32]) {
        let point = point(&mut SeededRng::new(seed)).to_bytes();
        let key = secp256k1::PublicKey::from_slice(&point).expect("a point");
        let encoded = ElligatorSwift::from_pubkey_with_rnd(key, random).to_byte_array();
        prop_assert_eq!(decode(&encoded).to_bytes(), point);
    }

    #[test]
    fn both_read_one_point_in_any_64_bytes(u: [u8; 32], t: [u8; 32]) {
        let encoded: [u8; ENCODED_SIZE] = [u, t].concat().try_into().expect("64 bytes");
        prop_assert_eq!(decode(&encoded).to_bytes(), theirs(encoded));
    }
}

#[test]
fn every_byte_of_two_thousand_encodings_is_uniform() {
    let mut entropy = SeededRng::new(1);
    let mut encodings = Vec::new();
    for _ in 0..2000 {
        let point = point(&mut entropy);
        encodings.push(encode(&mut turn(&mut entropy), &point).to_vec());
    }
    assert!(worst_bit(&encodings) < BIT_BOUND, "bit: {}", worst_bit(&encodings));
    let position = worst_position(&encodings);
    assert!(position < POSITION_BOUND, "position: {position}");
    let all = surprise(&histogram(encodings.concat().into_iter()));
    assert!(all.abs() < TOTAL_BOUND, "all bytes: {all}");
}

#[test]
fn one_point_written_often_looks_random_but_for_its_sign() {
    let mut entropy = SeededRng::new(2);
    let point = point(&mut entropy);
    let mut encodings: Vec<Vec<u8>> =
        (0..2000).map(|_| encode(&mut turn(&mut entropy), &point).to_vec()).collect();
    let [sign, ..] = point.to_bytes();
    for (encoded, coin) in encodings.iter_mut().zip([0, 1].into_iter().cycle()) {
        let last = encoded.last_mut().expect("64 bytes");
        assert_eq!(*last & 1, sign & 1);
        *last ^= coin;
    }
    assert!(worst_bit(&encodings) < BIT_BOUND, "bit: {}", worst_bit(&encodings));
    let position = worst_position(&encodings);
    assert!(position < POSITION_BOUND, "position: {position}");
}
