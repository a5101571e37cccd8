//! Two lanes: the instructions that every 64-bit processor of Arm's has. A word is turned by a shift
//! and one that puts its bits into the place of others.

use core::arch::aarch64::{
    uint64x2_t, vbicq_u64, vcombine_u64, vcreate_u64, vdupq_n_u64, veorq_u64, vgetq_lane_u64,
    vshlq_n_u64, vsriq_n_u64, vtstq_u64,
};

type V = uint64x2_t;

/// States that are worked on side by side.
pub(super) const LANES: usize = 2;

#[target_feature(enable = "neon")]
#[inline]
fn splat(word: u64) -> V {
    vdupq_n_u64(word)
}

#[target_feature(enable = "neon")]
#[inline]
fn load([a, b]: [u64; LANES]) -> V {
    vcombine_u64(vcreate_u64(a), vcreate_u64(b))
}

#[target_feature(enable = "neon")]
#[inline]
fn store(a: V) -> [u64; LANES] {
    [vgetq_lane_u64::<0>(a), vgetq_lane_u64::<1>(a)]
}

#[target_feature(enable = "neon")]
#[inline]
fn xor(a: V, b: V) -> V {
    veorq_u64(a, b)
}

#[target_feature(enable = "neon")]
#[inline]
fn xor3(a: V, b: V, c: V) -> V {
    xor(xor(a, b), c)
}

#[target_feature(enable = "neon")]
#[inline]
fn xor_turned(a: V, b: V) -> V {
    xor(a, turn::<1, 63>(b))
}

#[target_feature(enable = "neon")]
#[inline]
fn turn<const LEFT: i32, const RIGHT: i32>(a: V) -> V {
    vsriq_n_u64::<RIGHT>(vshlq_n_u64::<LEFT>(a), a)
}

#[target_feature(enable = "neon")]
#[inline]
fn turn_xor<const LEFT: i32, const RIGHT: i32>(a: V, b: V) -> V {
    turn::<LEFT, RIGHT>(xor(a, b))
}

#[target_feature(enable = "neon")]
#[inline]
fn take(a: V, b: V, c: V) -> V {
    xor(a, vbicq_u64(c, b))
}

#[target_feature(enable = "neon")]
#[inline]
fn nonces(from: u64) -> V {
    load([from.swap_bytes(), from.wrapping_add(1).swap_bytes()])
}

#[target_feature(enable = "neon")]
#[inline]
fn zero_lanes(a: V, bits: V) -> u8 {
    let [first, second] = store(vtstq_u64(a, bits));
    u8::from(first == 0) | u8::from(second == 0) << 1
}

super::rounds::rounds!(#[target_feature(enable = "neon")]);
