//! Bytes as vectors write them. A digit that is none fails the test that reads it.
#![expect(clippy::expect_used, reason = "a vector that cannot be read is a failed test")]

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty(), "an odd number of hexadecimal digits");
    let byte = |pair: &[u8; 2]| {
        let digits = core::str::from_utf8(pair).expect("ascii");
        u8::from_str_radix(digits, 16).expect("hexadecimal digits")
    };
    pairs.iter().map(byte).collect()
}

pub(crate) fn array<const N: usize>(hex: &str) -> [u8; N] {
    bytes(hex).try_into().expect("as many bytes as the field has")
}
