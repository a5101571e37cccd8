//! Four lanes: the instructions of AVX2. They cannot turn a word, except by whole bytes.

use core::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_andnot_si256, _mm256_castsi256_pd,
    _mm256_cmpeq_epi64, _mm256_extract_epi64, _mm256_movemask_pd, _mm256_or_si256,
    _mm256_set1_epi64x, _mm256_setr_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi64, _mm256_srli_epi64, _mm256_xor_si256,
};

type V = __m256i;

/// States that are worked on side by side.
pub(super) const LANES: usize = 4;

#[target_feature(enable = "avx2")]
#[inline]
fn splat(word: u64) -> V {
    _mm256_set1_epi64x(word.cast_signed())
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(words: [u64; LANES]) -> V {
    let [a, b, c, d] = words.map(u64::cast_signed);
    _mm256_setr_epi64x(a, b, c, d)
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(a: V) -> [u64; LANES] {
    let words = [
        _mm256_extract_epi64::<0>(a),
        _mm256_extract_epi64::<1>(a),
        _mm256_extract_epi64::<2>(a),
        _mm256_extract_epi64::<3>(a),
    ];
    words.map(i64::cast_unsigned)
}

#[target_feature(enable = "avx2")]
#[inline]
fn xor(a: V, b: V) -> V {
    _mm256_xor_si256(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn xor3(a: V, b: V, c: V) -> V {
    xor(xor(a, b), c)
}

#[target_feature(enable = "avx2")]
#[inline]
fn xor_turned(a: V, b: V) -> V {
    // Adding is done by more of the processor's units than shifting.
    let turned = _mm256_or_si256(_mm256_add_epi64(b, b), _mm256_srli_epi64::<63>(b));
    xor(a, turned)
}

#[target_feature(enable = "avx2")]
#[inline]
fn turn<const LEFT: i32, const RIGHT: i32>(a: V) -> V {
    match LEFT {
        8 => _mm256_shuffle_epi8(a, bytes(LEFT_BY_ONE)),
        56 => _mm256_shuffle_epi8(a, bytes(RIGHT_BY_ONE)),
        _ => _mm256_or_si256(_mm256_slli_epi64::<LEFT>(a), _mm256_srli_epi64::<RIGHT>(a)),
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn turn_xor<const LEFT: i32, const RIGHT: i32>(a: V, b: V) -> V {
    turn::<LEFT, RIGHT>(xor(a, b))
}

#[target_feature(enable = "avx2")]
#[inline]
fn take(a: V, b: V, c: V) -> V {
    xor(a, _mm256_andnot_si256(b, c))
}

#[target_feature(enable = "avx2")]
#[inline]
fn nonces(from: u64) -> V {
    let nonces = _mm256_add_epi64(splat(from), load([0, 1, 2, 3]));
    _mm256_shuffle_epi8(nonces, bytes(REVERSED))
}

#[target_feature(enable = "avx2")]
#[inline]
fn zero_lanes(a: V, bits: V) -> u8 {
    let zero = _mm256_cmpeq_epi64(_mm256_and_si256(a, bits), _mm256_setzero_si256());
    let [lanes, ..] = _mm256_movemask_pd(_mm256_castsi256_pd(zero)).to_le_bytes();
    lanes
}

/// Which byte of a half each byte is taken from, for both words of the half.
type ByteOrder = [u64; 2];

const LEFT_BY_ONE: ByteOrder = [0x0605_0403_0201_0007, 0x0e0d_0c0b_0a09_080f];
const RIGHT_BY_ONE: ByteOrder = [0x0007_0605_0403_0201, 0x080f_0e0d_0c0b_0a09];
const REVERSED: ByteOrder = [0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f];

#[target_feature(enable = "avx2")]
#[inline]
fn bytes([low, high]: ByteOrder) -> V {
    load([low, high, low, high])
}

super::rounds::rounds!(#[target_feature(enable = "avx2")]);
