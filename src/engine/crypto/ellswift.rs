//! Points that look like random bytes: ElligatorSwift, as BIP 324 has it, with the sign of y
//! besides.
//!
//! 64 bytes, `u 32 | t 32`, both big-endian. Every 64 bytes are some point, and those of a point
//! drawn for them alone are uniform, so nothing tells the two apart. (One point written twice has
//! other bytes, but both read as the same point.) Reading:
//!
//! 1. `u` and `t` are taken modulo the field's prime p. y is odd when `t` is.
//! 2. A `u` of 0 becomes 1; then a `t` of 0 becomes 1; then, if `u^3 + t^2 + 7 = 0`, `t` is doubled.
//! 3. x is BIP 324's `XSwiftEC(u, t)`.
//!
//! Writing: 32 drawn bytes, `seed`, give for i = 0, 1, 2, ... `h = H("elligator", seed | i | 0)`
//! and `k = H("elligator", seed | i | 1)`, i in 4 bytes, little-endian. `u = h mod p`; the case is
//! `k[0] & 7`; `t = XSwiftECInv(x, u, case)`. The first i for which `u` is not 0 and `t` exists is
//! taken, with `t` or `p - t`, whichever is odd as y is. Both give one x, and `t` is never 0: that
//! would take a u with `u^3 = -7`, and the curve has no point whose y is 0.
//!
//! All of this works on what is public, the point that is sent and bytes that go out beside it, so
//! its time may depend on them. It must not be used on a secret.

use core::ops::{Add, Mul, Neg, Sub};

use k256::elliptic_curve::ff::PrimeField;
use k256::elliptic_curve::hazmat::FieldArithmetic;

use crate::engine::env::Env;

use super::kdf::{self, KdfLabel};
use super::keys::{PUBLIC_KEY_SIZE, PublicKey};

/// Bytes of a point that looks like random bytes.
pub const ENCODED_SIZE: usize = 64;

/// Writes `point` as 64 bytes that look random, others each time.
pub fn encode(env: &mut Env<'_>, point: &PublicKey) -> [u8; ENCODED_SIZE] {
    let seed = env.draw::<32>();
    let [sign, x @ ..] = point.to_bytes();
    let x = FieldElement::reduced(&x);
    // An attempt succeeds about one time in four, so all of them fail once in 2^1700 seeds. There
    // is an answer for that too, though it is some other point: the box then opens for nobody.
    (0..ATTEMPTS).find_map(|i| attempt(&seed, i, x, sign)).unwrap_or([0; ENCODED_SIZE])
}

/// The point that 64 bytes stand for; all stand for one.
#[must_use]
pub fn decode(bytes: &[u8; ENCODED_SIZE]) -> PublicKey {
    let (u, t) = bytes.split_at(ENCODED_SIZE / 2);
    let (u, t) = (FieldElement::reduced(u), FieldElement::reduced(t));
    let [even, odd] = SIGNS;
    let sign = if t.is_odd() { odd } else { even };
    compressed(sign, forward(u, t))
}

/// One attempt of [`encode`]: `None` for three of four.
fn attempt(seed: &[u8; 32], i: u32, x: FieldElement, sign: u8) -> Option<[u8; ENCODED_SIZE]> {
    let i = i.to_le_bytes();
    let u = FieldElement::reduced(&kdf::hash(KdfLabel::Elligator, &[seed, &i, &[0]]));
    let [case, ..] = kdf::hash(KdfLabel::Elligator, &[seed, &i, &[1]]);
    // A reader takes a `u` of 0 for 1, and would find another point.
    if u == FieldElement::ZERO {
        return None;
    }
    let t = inverse(x, u, case & 7)?;
    let [_, odd] = SIGNS;
    let t = if t.is_odd() == (sign == odd) { t } else { -t };
    let mut bytes = [0; ENCODED_SIZE];
    for (to, from) in bytes.iter_mut().zip(u.to_bytes().into_iter().chain(t.to_bytes())) {
        *to = from;
    }
    Some(bytes)
}

/// BIP 324's `XSwiftEC`: the x that `u` and `t` stand for.
fn forward(u: FieldElement, t: FieldElement) -> FieldElement {
    let u = if u == FieldElement::ZERO { FieldElement::ONE } else { u };
    let t = if t == FieldElement::ZERO { FieldElement::ONE } else { t };
    let t = if right_side(u) + t * t == FieldElement::ZERO { t + t } else { t };

    let big_x = (right_side(u) - t * t).over(t + t);
    let big_y = (big_x + t).over(root_of_minus_3() * u);
    let first = u + FieldElement::of(4) * big_y * big_y;
    if on_curve(first) {
        return first;
    }
    let quotient = big_x.over(big_y);
    let second = (-quotient - u).half();
    if on_curve(second) {
        return second;
    }
    // The right sides of the three multiply to a square, so that one of them is a square itself.
    (quotient - u).half()
}

/// BIP 324's `XSwiftECInv`: the `t` for which `XSwiftEC(u, t)` is `x`, if the case (0 to 7) has
/// one.
fn inverse(x: FieldElement, u: FieldElement, case: u8) -> Option<FieldElement> {
    let (v, s) = if case & 2 == 0 { from_a_quotient(x, u) } else { from_first(x, u, case) }?;
    let w = s.root()?;
    let c = root_of_minus_3();
    let c = if case & 1 == 0 { -c } else { c };
    let t = w * (u * (FieldElement::ONE + c).half() + v);
    Some(if matches!(case & 5, 0 | 5) { -t } else { t })
}

/// v and s of [`inverse`] where `x` is the second or third of the values that [`forward`] tries.
fn from_a_quotient(x: FieldElement, u: FieldElement) -> Option<(FieldElement, FieldElement)> {
    if on_curve(-x - u) {
        return None;
    }
    // Not 0: x would be u times a cube root of 1, and -x - u as well, which would be on the curve.
    let divisor = u * u + u * x + x * x;
    Some((x, -right_side(u).over(divisor)))
}

/// v and s of [`inverse`] where `x` is the first of the values that [`forward`] tries.
fn from_first(x: FieldElement, u: FieldElement, case: u8) -> Option<(FieldElement, FieldElement)> {
    let s = x - u;
    if s == FieldElement::ZERO {
        return None;
    }
    let square = -s * (FieldElement::of(4) * right_side(u) + FieldElement::of(3) * u * u * s);
    let r = square.root()?;
    if case & 1 == 1 && r == FieldElement::ZERO {
        return None;
    }
    Some(((r.over(s) - u).half(), s))
}

/// `x^3 + 7`, of which y is a square root.
fn right_side(x: FieldElement) -> FieldElement {
    x * x * x + FieldElement::of(7)
}

fn on_curve(x: FieldElement) -> bool {
    right_side(x).root().is_some()
}

/// BIP 324's constant c: of the two roots of -3 the one that is a square.
fn root_of_minus_3() -> FieldElement {
    FieldElement::reduced(&[
        0x0a, 0x2d, 0x2b, 0xa9, 0x35, 0x07, 0xf1, 0xdf, 0x23, 0x37, 0x70, 0xc2, 0xa7, 0x97, 0x96,
        0x2c, 0xc6, 0x1f, 0x6d, 0x15, 0xda, 0x14, 0xec, 0xd4, 0x7d, 0x8d, 0x27, 0xae, 0x1c, 0xd5,
        0xf8, 0x52,
    ])
}

/// The point with this x, which has one, and this sign.
fn compressed(sign: u8, x: FieldElement) -> PublicKey {
    let mut bytes = [sign; PUBLIC_KEY_SIZE];
    for (to, from) in bytes.iter_mut().skip(1).zip(x.to_bytes()) {
        *to = from;
    }
    PublicKey::computed(bytes)
}

/// A number modulo p, always reduced: `k256` puts that off, and compares rightly only what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FieldElement(LazyElement);

impl FieldElement {
    const ZERO: Self = Self(LazyElement::ZERO);
    const ONE: Self = Self(LazyElement::ONE);

    fn of(small: u64) -> Self {
        Self(LazyElement::from_u64(small))
    }

    /// Reads big-endian bytes, a multiple of 8 of them, modulo p.
    fn reduced(bytes: &[u8]) -> Self {
        let base = Self::of(u64::MAX) + Self::ONE;
        let (limbs, _) = bytes.as_chunks::<8>();
        limbs.iter().fold(Self::ZERO, |sum, limb| sum * base + Self::of(u64::from_be_bytes(*limb)))
    }

    fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes().into()
    }

    fn is_odd(self) -> bool {
        self.0.is_odd().into()
    }

    fn half(self) -> Self {
        self * Self(LazyElement::TWO_INV)
    }

    /// The quotient. Nothing here divides by 0; it would give 0.
    fn over(self, divisor: Self) -> Self {
        let inverse = divisor.0.invert_vartime().unwrap_or(LazyElement::ZERO);
        self * Self(inverse)
    }

    /// The root that is a square itself, if there is a root.
    fn root(self) -> Option<Self> {
        Option::from(self.0.sqrt()).map(|root: LazyElement| Self(root.normalize()))
    }
}

impl Add for FieldElement {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self((self.0 + other.0).normalize())
    }
}

impl Sub for FieldElement {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self((self.0 - other.0).normalize())
    }
}

impl Mul for FieldElement {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self((self.0 * other.0).normalize())
    }
}

impl Neg for FieldElement {
    type Output = Self;

    fn neg(self) -> Self {
        Self((-self.0).normalize())
    }
}

/// `k256` allows lazy arithmetic on these; [`FieldElement`] is the careful way.
type LazyElement = <k256::Secp256k1 as FieldArithmetic>::FieldElement;

/// First bytes of SEC 1's compressed form: of an even y, of an odd one.
const SIGNS: [u8; 2] = [2, 3];

/// More attempts at writing a point than are ever made.
const ATTEMPTS: u32 = 1 << 12;

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::crypto::keys::EphemeralSecret;
    use crate::engine::testing::mutate::{Reading, each_case};
    use crate::engine::testing::rng::SeededRng;

    fn number(hex: &str) -> FieldElement {
        assert_eq!(hex.len(), 64);
        FieldElement::reduced(&HEXLOWER.decode(hex.as_bytes()).unwrap())
    }

    #[test]
    fn the_inverse_gives_what_bip_324_says_in_all_8_cases() {
        let mut found = 0;
        let lines = include_str!("../../../tests/vectors/bip324/inverse.csv").lines().skip(1);
        for (row, line) in lines.enumerate() {
            let fields: Vec<&str> = line.split(',').collect();
            let (u, x) = (number(fields[0]), number(fields[1]));
            assert_eq!(fields.len(), 2 + 8);
            for (case, field) in (0..8).zip(&fields[2..]) {
                let expected = (!field.is_empty()).then(|| number(field));
                assert_eq!(inverse(x, u, case), expected, "row {row}, case {case}");
                if let Some(t) = expected {
                    assert_eq!(forward(u, t), x, "row {row}, case {case}");
                    assert_eq!(forward(u, -t), x, "row {row}, case {case}");
                }
                found += 1;
            }
        }
        assert_eq!(found, 32 * 8);
    }

    #[test]
    fn the_constant_is_a_root_of_minus_3_and_a_square() {
        let c = root_of_minus_3();
        assert_eq!(c * c, -FieldElement::of(3));
        assert!(c.root().is_some());
    }

    #[test]
    fn bytes_are_read_modulo_p() {
        let p = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";
        assert_eq!(number(p), FieldElement::ZERO);
        assert_eq!(number(&"f".repeat(64)), FieldElement::of(0x1_0000_03d0));
        assert_eq!(number(&p.replace("2f", "2e")), -FieldElement::ONE);
    }

    #[test]
    fn one_attempt_in_four_succeeds() {
        let point = EphemeralSecret::draw(&mut SeededRng::new(1).turn()).public();
        let [sign, x @ ..] = point.to_bytes();
        let x = FieldElement::reduced(&x);
        let found: Vec<_> = (0..1000).filter_map(|i| attempt(&[7; 32], i, x, sign)).collect();
        // 250 expected, with a deviation of 14.
        assert!((180..320).contains(&found.len()), "{}", found.len());
        assert!(found.iter().all(|bytes| decode(bytes) == point));
    }

    proptest! {
        #[test]
        fn every_64_bytes_are_a_point(u: [u8; 32], t: [u8; 32]) {
            let bytes: Vec<u8> = [u, t].concat();
            let key = decode(bytes.as_slice().try_into().unwrap());
            prop_assert_eq!(PublicKey::from_bytes(&key.to_bytes()), Some(key));
        }

        #[test]
        fn a_point_reads_back_as_it_was_written(seed: u64) {
            let mut seeded = SeededRng::new(seed);
            let point = EphemeralSecret::draw(&mut seeded.turn()).public();
            let one = encode(&mut seeded.turn(), &point);
            let two = encode(&mut seeded.turn(), &point);
            prop_assert_eq!((decode(&one), decode(&two)), (point, point));
            prop_assert_ne!(one, two);
        }
    }

    #[test]
    fn changed_at_random_64_bytes_are_still_a_point() {
        let mut seeded = SeededRng::new(1);
        let point = EphemeralSecret::draw(&mut seeded.turn()).public();
        let written = encode(&mut seeded.turn(), &point).to_vec();
        each_case(&[written, vec![0; ENCODED_SIZE], vec![0xff; ENCODED_SIZE]], |bytes| {
            let point = bytes.first_chunk().map(decode);
            assert!(point.is_none_or(|key| PublicKey::from_bytes(&key.to_bytes()) == Some(key)));
            Reading::found(point)
        });
    }
}
