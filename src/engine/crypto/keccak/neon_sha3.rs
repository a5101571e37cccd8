//! Two lanes: the instructions that Arm's processors have for this permutation (FEAT_SHA3).

use core::arch::aarch64::{
    uint64x2_t, vbcaxq_u64, vcombine_u64, vcreate_u64, vdupq_n_u64, veor3q_u64, veorq_u64,
    vgetq_lane_u64, vrax1q_u64, vtstq_u64, vxarq_u64,
};

type V = uint64x2_t;

/// States that are worked on side by side.
pub(super) const LANES: usize = 2;

#[target_feature(enable = "neon,sha3")]
#[inline]
fn splat(word: u64) -> V {
    vdupq_n_u64(word)
}

#[target_feature(enable = "neon,sha3")]
#[inline]
fn load([a, b]: [u64; LANES]) -> V {
    vcombine_u64(vcreate_u64(a), vcreate_u64(b))
}

#[target_feature(enable = "neon,sha3")]
#[inline]
fn store(a: V) -> [u64; LANES] {
    [vgetq_lane_u64::<0>(a), vgetq_lane_u64::<1>(a)]
}

#[target_feature(enable = "neon,sha3")]
#[inline]
fn xor(a: V, b: V) -> V {
    veorq_u64(a, b)
}

#[target_feature(enable = "neon,sha3")]
#[inline]
fn xor3(a: V, b: V, c: V) -> V {
    veor3q_u64(a, b, c)
}

#[target_feature(enable = "neon,sha3")]
#[inline]
fn xor_turned(a: V, b: V) -> V {
    vrax1q_u64(a, b)
}

#[target_feature(enable = "neon,sha3")]
#[inline]
fn turn<const LEFT: i32, const RIGHT: i32>(a: V) -> V {
    turn_xor::<LEFT, RIGHT>(a, splat(0))
}

#[target_feature(enable = "neon,sha3")]
#[inline]
fn turn_xor<const LEFT: i32, const RIGHT: i32>(a: V, b: V) -> V {
    // It turns to the right.
    vxarq_u64::<RIGHT>(a, b)
}

#[target_feature(enable = "neon,sha3")]
#[inline]
fn take(a: V, b: V, c: V) -> V {
    vbcaxq_u64(a, c, b)
}

#[target_feature(enable = "neon,sha3")]
#[inline]
fn nonces(from: u64) -> V {
    load([from.swap_bytes(), from.wrapping_add(1).swap_bytes()])
}

#[target_feature(enable = "neon,sha3")]
#[inline]
fn zero_lanes(a: V, bits: V) -> u8 {
    let [first, second] = store(vtstq_u64(a, bits));
    u8::from(first == 0) | u8::from(second == 0) << 1
}

super::rounds::rounds!(#[target_feature(enable = "neon,sha3")]);
