//! Bytes as vectors write them. A digit that is none fails the test that reads it.
#![expect(clippy::expect_used, reason = "a vector that cannot be read is a failed test")]

use data_encoding::HEXLOWER_PERMISSIVE;

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).expect("hexadecimal digits")
}

pub(crate) fn array<const N: usize>(hex: &str) -> [u8; N] {
    bytes(hex).try_into().expect("as many bytes as the field has")
}
