//! What two people compare to be sure nobody sits between them: a number for their two keys, and
//! words for one session.
//!
//! Both are computed alike on both sides. Comparing is up to the people and to what the node makes
//! of it; nothing here knows who is trusted.

use core::fmt;

use bip39::Language;
use serde::{Deserialize, Serialize};
use sha3::{Digest, Sha3_256};

use crate::engine::secret::Secret;

use super::kdf::Label;
use super::keys::PublicKey;

/// Decimal digits of a safety number: 199 bits, beyond what anybody can search for a second pair of
/// keys with the same.
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
        hash.update(Label::SafetyNumber.as_bytes());
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

/// Words one side reads out; the other side reads as many.
pub const HALF: usize = 3;

/// Six words for one session, the same on both sides.
///
/// They mean something only because the handshake commits before it knows them: `proto/session.md`
/// says how. They are kept with the session and never printed by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words(Secret<32>);

impl Words {
    /// The words of a uniform hash: its first 66 bits, big-endian, are six numbers of 11 bits.
    #[must_use]
    pub fn new(hash: &Secret<32>) -> Self {
        Self(hash.clone())
    }

    /// Three of the six, in order.
    #[must_use]
    pub fn half(&self, half: Half) -> [Word; HALF] {
        let first = match half {
            Half::First => 0,
            Half::Second => HALF,
        };
        core::array::from_fn(|place| self.word(first + place))
    }

    /// The word at a place from 0 to 5.
    fn word(&self, place: usize) -> Word {
        let bits = self.0.expose().iter().skip(place * WORD_BITS / 8).take(3);
        let three = bits.fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let word = three >> (24 - WORD_BITS - place * WORD_BITS % 8) & MASK;
        Word(u16::try_from(word).unwrap_or_default())
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Words")
    }
}

/// Which three of six words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Words 1 to 3.
    First,
    /// Words 4 to 6.
    Second,
}

impl Half {
    /// The three that are left.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// What people call the first of the three: 1 or 4.
    #[must_use]
    pub const fn first_number(self) -> usize {
        match self {
            Self::First => 1,
            Self::Second => 1 + HALF,
        }
    }
}

/// One word of BIP 39's English list. `Display` writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Word(u16);

impl Word {
    /// Reads a word in any case: whole, or its first letters if they are four or more, which in
    /// this list begin no other.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if let Ok(place) = list().binary_search(&text.as_str()) {
            return Self::at(place);
        }
        (text.len() >= ENOUGH_LETTERS).then(|| Self::complete(&text)).flatten()
    }

    /// The one word that begins with what was typed, in any case, however little that is.
    #[must_use]
    pub fn complete(typed: &str) -> Option<Self> {
        let typed = typed.trim().to_ascii_lowercase();
        if typed.is_empty() {
            return None;
        }
        let from = list().partition_point(|word| *word < typed.as_str());
        let mut begun = list().iter().skip(from).take_while(|word| word.starts_with(&typed));
        begun.next()?;
        begun.next().is_none().then(|| Self::at(from)).flatten()
    }

    fn at(place: usize) -> Option<Self> {
        u16::try_from(place).ok().map(Self)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(list().get(usize::from(self.0)).copied().unwrap_or_default())
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Word")
    }
}

/// In alphabetical order, as BIP 39 wants it.
fn list() -> &'static [&'static str; 2_048] {
    Language::English.word_list()
}

/// 2^11 = 2,048 words.
const WORD_BITS: usize = 11;
const MASK: u32 = 0x7ff;

/// BIP 39: "it's enough to type the first four letters to unambiguously identify the word".
const ENOUGH_LETTERS: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::crypto::keys::Identity;
    use crate::engine::crypto::seeded::Seeded;

    fn key(seed: u64) -> PublicKey {
        Identity::generate(&mut Seeded::new(seed).turn()).public()
    }

    fn words(mut hash: [u8; 32]) -> Words {
        Words::new(&Secret::take(&mut hash))
    }

    fn shown(words: &Words) -> String {
        let halves = [words.half(Half::First), words.half(Half::Second)].concat();
        halves.iter().map(Word::to_string).collect::<Vec<_>>().join(" ")
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
    fn six_words_are_the_first_66_bits() {
        assert_eq!(shown(&words([0; 32])), "abandon abandon abandon abandon abandon abandon");
        assert_eq!(shown(&words([0xff; 32])), "zoo zoo zoo zoo zoo zoo");
        // The bits 00000000001 00000000010 00000000011 ... are places 1 to 6 of the list.
        let mut hash = [0; 32];
        let bits = (1..=6_u128).fold(0, |bits, word| bits << 11 | word) << (128 - 66);
        hash[..16].copy_from_slice(&bits.to_be_bytes());
        assert_eq!(shown(&words(hash)), "ability able about above absent absorb");
    }

    #[test]
    fn bits_after_the_66th_change_no_word() {
        let mut hash = [0x5a; 32];
        let before = shown(&words(hash));
        hash[8] ^= 0x3f;
        hash[9..].fill(0);
        assert_eq!(shown(&words(hash)), before);
        hash[8] ^= 0x40;
        assert_ne!(shown(&words(hash)), before);
    }

    #[test]
    fn every_word_is_read_whole_and_by_its_first_four_letters() {
        for (place, text) in list().iter().enumerate() {
            let word = Word::at(place);
            assert_eq!(Word::parse(text), word);
            assert_eq!(Word::parse(&format!(" {} ", text.to_uppercase())), word);
            assert_eq!(Word::parse(text.get(..4).unwrap_or(text)), word);
            assert_eq!(word.unwrap().to_string(), *text);
        }
        assert!(list().is_sorted());
    }

    #[test]
    fn what_begins_several_words_or_none_is_no_word() {
        for text in ["", " ", "ac", "acr", "zooo", "saddlex", "violin harbor"] {
            assert_eq!(Word::parse(text), None, "{text}");
        }
        assert_eq!(Word::complete("wal"), None, "walk, wall, walnut");
        assert_eq!(Word::complete("waln").unwrap().to_string(), "walnut");
        assert_eq!(Word::complete("z"), None);
        assert_eq!(Word::complete("zeb").unwrap().to_string(), "zebra");
        assert_eq!(Word::complete(""), None);
    }

    #[test]
    fn nothing_that_is_compared_is_printed() {
        let number = SafetyNumber::of(&key(1), &key(2));
        let six = words([7; 32]);
        let printed = format!("{number:?} {six:?} {:?}", six.half(Half::First));
        assert_eq!(printed, "SafetyNumber Words [Word, Word, Word]");
    }

    #[test]
    fn stored_words_read_back() {
        let six = words([7; 32]);
        let config = bincode::config::standard();
        let bytes = bincode::serde::encode_to_vec(&six, config).unwrap();
        let (read, _) = bincode::serde::decode_from_slice::<Words, _>(&bytes, config).unwrap();
        assert_eq!(read, six);
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
            if let Some(word) = Word::parse(&text) {
                prop_assert!(word.to_string().starts_with(&text.trim().to_ascii_lowercase()));
            }
            let _completed: Option<Word> = Word::complete(&text);
        }
    }
}
