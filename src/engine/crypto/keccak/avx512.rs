//! Eight lanes: the instructions of AVX-512. They turn words, and have any function of three bits.

use core::arch::x86_64::{
    __m512i, _mm256_extract_epi64, _mm512_castsi512_si256, _mm512_extracti64x4_epi64,
    _mm512_rol_epi64, _mm512_set1_epi64, _mm512_setr_epi64, _mm512_ternarylogic_epi64,
    _mm512_testn_epi64_mask, _mm512_xor_si512,
};
use core::array;

type V = __m512i;

/// States that are worked on side by side.
pub(super) const LANES: usize = 8;

/// The truth table of the sum of three bits.
const SUM: i32 = 0x96;

/// The truth table of chi: the first bit, changed where the second is no one and the third is.
const CHI: i32 = 0xd2;

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn splat(word: u64) -> V {
    _mm512_set1_epi64(word.cast_signed())
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn load(words: [u64; LANES]) -> V {
    let [a, b, c, d, e, f, g, h] = words.map(u64::cast_signed);
    _mm512_setr_epi64(a, b, c, d, e, f, g, h)
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn store(a: V) -> [u64; LANES] {
    let (low, high) = (_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64::<1>(a));
    let words = [
        _mm256_extract_epi64::<0>(low),
        _mm256_extract_epi64::<1>(low),
        _mm256_extract_epi64::<2>(low),
        _mm256_extract_epi64::<3>(low),
        _mm256_extract_epi64::<0>(high),
        _mm256_extract_epi64::<1>(high),
        _mm256_extract_epi64::<2>(high),
        _mm256_extract_epi64::<3>(high),
    ];
    words.map(i64::cast_unsigned)
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn xor(a: V, b: V) -> V {
    _mm512_xor_si512(a, b)
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn xor3(a: V, b: V, c: V) -> V {
    _mm512_ternarylogic_epi64::<SUM>(a, b, c)
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn xor_turned(a: V, b: V) -> V {
    xor(a, _mm512_rol_epi64::<1>(b))
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn turn<const LEFT: i32, const RIGHT: i32>(a: V) -> V {
    _mm512_rol_epi64::<LEFT>(a)
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn turn_xor<const LEFT: i32, const RIGHT: i32>(a: V, b: V) -> V {
    turn::<LEFT, RIGHT>(xor(a, b))
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn take(a: V, b: V, c: V) -> V {
    _mm512_ternarylogic_epi64::<CHI>(a, b, c)
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn nonces(from: u64) -> V {
    let mut next = from;
    load(array::from_fn(|_| {
        let nonce = next;
        next = next.wrapping_add(1);
        nonce.swap_bytes()
    }))
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn zero_lanes(a: V, bits: V) -> u8 {
    _mm512_testn_epi64_mask(a, bits)
}

super::rounds::rounds!(#[target_feature(enable = "avx512f,avx512bw")]);
