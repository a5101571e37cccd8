//! The safety number: the digits that two people compare to be sure of each other's keys
//! (`proto/session.md`, "Identities").
//!
//! Both sides compute the same. Comparing is up to the people, and its consequences are the
//! conversation's; trust is not known here.

use core::fmt;

use sha3::{Digest, Sha3_256};

use super::kdf::KdfLabel;
use super::keys::PublicKey;

/// Decimal digits of a safety number: 199 bits, too many to search for a second pair of keys with
/// the same.
pub const DIGITS: usize = 60;

/// Digits that stand together when a safety number is shown.
const GROUP: usize = 5;

/// A number for two keys, the same whichever of them is one's own.
///
/// `Display` writes 12 groups of 5 digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SafetyNumber([u8; DIGITS]);

impl SafetyNumber {
    /// The number of two keys: SHA3-256 over a label, the smaller and the larger key, as a
    /// big-endian number modulo 10^60.
    #[must_use]
    pub fn of(one: &PublicKey, other: &PublicKey) -> Self {
        let mut hash = Sha3_256::new();
        hash.update(KdfLabel::SafetyNumber.as_bytes());
        // In the order of their bytes, so that both sides hash the same.
        hash.update(one.min(other).to_bytes());
        hash.update(one.max(other).to_bytes());
        Self(modulo_digits(&hash.finalize().into()))
    }

    /// Reads a number that was typed or pasted, with blanks and line ends wherever they are.
    /// `None` unless there are 60 digits and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut letters = text.chars().filter(|letter| !letter.is_whitespace());
        let mut digits = [0; DIGITS];
        for digit in &mut digits {
            *digit = u8::try_from(letters.next()?.to_digit(10)?).ok()?;
        }
        letters.next().is_none().then_some(Self(digits))
    }

    /// The 60 digits without blanks, as a QR code holds them.
    #[must_use]
    pub fn digits(&self) -> String {
        self.0.iter().map(|digit| char::from(b'0' + digit)).collect()
    }
}

impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, digit) in self.0.iter().enumerate() {
            if place > 0 && place % GROUP == 0 {
                f.write_str(" ")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("SafetyNumber")
    }
}

/// The last 60 decimal digits of a big-endian number.
fn modulo_digits(number: &[u8; 32]) -> [u8; DIGITS] {
    let mut digits = [0_u8; DIGITS];
    for byte in number {
        let mut carry = u32::from(*byte);
        for digit in digits.iter_mut().rev() {
            let value = u32::from(*digit) * 256 + carry;
            *digit = u8::try_from(value % 10).unwrap_or_default();
            carry = value / 10;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::crypto::keys::Identity;
    use crate::engine::testing::mutate::{Reading, each_text};
    use crate::engine::testing::rng::SeededRng;

    fn key(seed: u64) -> PublicKey {
        Identity::generate(&mut SeededRng::new(seed).turn()).public()
    }

    #[test]
    fn a_safety_number_is_the_same_from_both_sides_and_for_no_other_pair() {
        let number = SafetyNumber::of(&key(1), &key(2));
        assert_eq!(number, SafetyNumber::of(&key(2), &key(1)));
        assert_ne!(number, SafetyNumber::of(&key(1), &key(3)));
        assert_eq!(number.digits().len(), DIGITS);
        let groups: Vec<String> = number.to_string().split(' ').map(str::to_owned).collect();
        assert_eq!(groups.len(), 12);
        assert!(groups.iter().all(|group| group.len() == 5));
    }

    #[test]
    fn the_digits_are_the_last_sixty_of_the_whole_number() {
        let digits = |number| SafetyNumber(modulo_digits(&number)).digits();
        let mut small = [0; 32];
        small[30..].copy_from_slice(&[1, 2]);
        assert_eq!(digits(small), format!("{:060}", 258));
        let mut all =
            "115792089237316195423570985008687907853269984665640564039457584007913129639935"
                .to_owned();
        assert_eq!(digits([0xff; 32]), all.split_off(18), "2^256 - 1");
    }

    #[test]
    fn a_number_that_is_not_sixty_digits_is_refused() {
        let whole = SafetyNumber::of(&key(1), &key(2)).to_string();
        assert_eq!(SafetyNumber::parse(&format!("{whole}1")), None);
        assert_eq!(SafetyNumber::parse(whole.get(1..).unwrap()), None);
        assert_eq!(SafetyNumber::parse(&whole.replacen(' ', "x", 1)), None);
        assert_eq!(SafetyNumber::parse(""), None);
        assert_eq!(SafetyNumber::parse(&"٣".repeat(DIGITS)), None);
    }

    #[test]
    fn a_safety_number_prints_no_digit() {
        assert_eq!(format!("{:?}", SafetyNumber::of(&key(1), &key(2))), "SafetyNumber");
    }

    proptest! {
        #[test]
        fn a_number_reads_back_however_it_is_broken_up(
            one in any::<u64>(),
            other in any::<u64>(),
            every in 1_usize..20,
            blank in "[ \t\r\n]{1,3}",
        ) {
            let number = SafetyNumber::of(&key(one), &key(other));
            prop_assert_eq!(SafetyNumber::parse(&number.to_string()), Some(number));
            let digits: Vec<char> = number.digits().chars().collect();
            let broken: Vec<String> = digits.chunks(every).map(String::from_iter).collect();
            prop_assert_eq!(SafetyNumber::parse(&broken.join(&blank)), Some(number));
        }

        #[test]
        fn reading_anything_never_panics(text in ".*") {
            if let Some(number) = SafetyNumber::parse(&text) {
                prop_assert_eq!(number.digits(), text.split_whitespace().collect::<String>());
            }
        }
    }

    #[test]
    fn changed_at_random_a_number_is_sixty_digits_or_none() {
        let number = SafetyNumber::of(&key(1), &key(2));
        each_text(&[&number.to_string(), &number.digits()], |text| {
            let read = SafetyNumber::parse(text);
            let same = |read: SafetyNumber| SafetyNumber::parse(&read.to_string()) == Some(read);
            assert!(read.is_none_or(same));
            Reading::found(read)
        });
    }
}
