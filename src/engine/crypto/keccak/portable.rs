//! One lane: a word of the language, on every processor.

type V = u64;

/// States that are worked on side by side.
pub(super) const LANES: usize = 1;

#[inline]
fn splat(word: u64) -> V {
    word
}

#[inline]
fn load([word]: [u64; LANES]) -> V {
    word
}

#[inline]
fn store(a: V) -> [u64; LANES] {
    [a]
}

#[inline]
fn xor(a: V, b: V) -> V {
    a ^ b
}

#[inline]
fn xor3(a: V, b: V, c: V) -> V {
    a ^ b ^ c
}

/// `a` and `b`, the latter turned left by a bit.
#[inline]
fn xor_turned(a: V, b: V) -> V {
    a ^ b.rotate_left(1)
}

/// Turned left by `LEFT` bits. `RIGHT` is what is missing to 64.
#[inline]
fn turn<const LEFT: u32, const RIGHT: u32>(a: V) -> V {
    a.rotate_left(LEFT)
}

/// The sum of both, turned left.
#[inline]
fn turn_xor<const LEFT: u32, const RIGHT: u32>(a: V, b: V) -> V {
    turn::<LEFT, RIGHT>(a ^ b)
}

/// `a`, changed where `b` has no bit and `c` has one.
#[inline]
fn take(a: V, b: V, c: V) -> V {
    a ^ (!b & c)
}

/// The nonces from `from` on, one a lane, as they stand in a block.
#[inline]
fn nonces(from: u64) -> V {
    from.swap_bytes()
}

/// A bit for each lane that is zero where `bits` has ones.
#[inline]
fn zero_lanes(a: V, bits: V) -> u8 {
    u8::from(a & bits == 0)
}

super::rounds::rounds!();

/// The rows of a state after theta, rho and pi of its first round.
pub(super) fn known_rows(a: &[u64; 25]) -> [[u64; 5]; 5] {
    let d = theta(a);
    [first_row(a, &d), second_row(a, &d), third_row(a, &d), fourth_row(a, &d), fifth_row(a, &d)]
}
