//! Two lanes: the instructions that every 64-bit processor of Intel's and AMD's has.

use core::arch::x86_64::{
    __m128i, _mm_add_epi64, _mm_and_si128, _mm_andnot_si128, _mm_cvtsi128_si64, _mm_or_si128,
    _mm_set_epi64x, _mm_set1_epi64x, _mm_slli_epi64, _mm_srli_epi64, _mm_unpackhi_epi64,
    _mm_xor_si128,
};

type V = __m128i;

/// States that are worked on side by side.
pub(super) const LANES: usize = 2;

#[target_feature(enable = "sse2")]
#[inline]
fn splat(word: u64) -> V {
    _mm_set1_epi64x(word.cast_signed())
}

#[target_feature(enable = "sse2")]
#[inline]
fn load([a, b]: [u64; LANES]) -> V {
    _mm_set_epi64x(b.cast_signed(), a.cast_signed())
}

#[target_feature(enable = "sse2")]
#[inline]
fn store(a: V) -> [u64; LANES] {
    let words = [_mm_cvtsi128_si64(a), _mm_cvtsi128_si64(_mm_unpackhi_epi64(a, a))];
    words.map(i64::cast_unsigned)
}

#[target_feature(enable = "sse2")]
#[inline]
fn xor(a: V, b: V) -> V {
    _mm_xor_si128(a, b)
}

#[target_feature(enable = "sse2")]
#[inline]
fn xor3(a: V, b: V, c: V) -> V {
    xor(xor(a, b), c)
}

#[target_feature(enable = "sse2")]
#[inline]
fn xor_turned(a: V, b: V) -> V {
    // Adding is done by more of the processor's units than shifting.
    xor(a, _mm_or_si128(_mm_add_epi64(b, b), _mm_srli_epi64::<63>(b)))
}

#[target_feature(enable = "sse2")]
#[inline]
fn turn<const LEFT: i32, const RIGHT: i32>(a: V) -> V {
    _mm_or_si128(_mm_slli_epi64::<LEFT>(a), _mm_srli_epi64::<RIGHT>(a))
}

#[target_feature(enable = "sse2")]
#[inline]
fn turn_xor<const LEFT: i32, const RIGHT: i32>(a: V, b: V) -> V {
    turn::<LEFT, RIGHT>(xor(a, b))
}

#[target_feature(enable = "sse2")]
#[inline]
fn take(a: V, b: V, c: V) -> V {
    xor(a, _mm_andnot_si128(b, c))
}

#[target_feature(enable = "sse2")]
#[inline]
fn nonces(from: u64) -> V {
    load([from.swap_bytes(), from.wrapping_add(1).swap_bytes()])
}

#[target_feature(enable = "sse2")]
#[inline]
fn zero_lanes(a: V, bits: V) -> u8 {
    let [first, second] = store(_mm_and_si128(a, bits));
    u8::from(first == 0) | u8::from(second == 0) << 1
}

super::rounds::rounds!(#[target_feature(enable = "sse2")]);
