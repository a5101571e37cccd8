//! The short authentication string (SAS) of a session: words that two people read to each other to
//! be sure that nobody sits between them (`proto/session.md`, "Words").
//!
//! Both sides compute the same. Comparing is up to the people, and its consequences are the
//! conversation's; trust is not known here.

use core::fmt;

use bip39::Language;
use serde::{Deserialize, Serialize};

use crate::engine::secret::Secret;

/// Words one side reads out; the other side reads as many.
pub const WORDS_PER_HALF: usize = 3;

/// The short authentication string of one session (RFC 6189): six words, the same on both sides.
///
/// They prove something only because the initiator commits before it knows them
/// (`proto/session.md`, "Words"). They are kept with the session and never printed by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sas(Secret<32>);

impl Sas {
    /// The words of a uniform hash: its first 66 bits, big-endian, are six numbers of 11 bits.
    #[must_use]
    pub fn new(hash: &Secret<32>) -> Self {
        Self(hash.clone())
    }

    /// Three of the six, in order.
    #[must_use]
    pub fn half(&self, half: Half) -> [SasWord; WORDS_PER_HALF] {
        let first = match half {
            Half::First => 0,
            Half::Second => WORDS_PER_HALF,
        };
        core::array::from_fn(|place| self.word(first + place))
    }

    /// The word at a place from 0 to 5.
    fn word(&self, place: usize) -> SasWord {
        let bits = self.0.expose().iter().skip(place * WORD_BITS / 8).take(3);
        let three = bits.fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let word = three >> (24 - WORD_BITS - place * WORD_BITS % 8) & MASK;
        SasWord(u16::try_from(word).unwrap_or_default())
    }
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Sas")
    }
}

/// One half of the six words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Words 1 to 3.
    First,
    /// Words 4 to 6.
    Second,
}

impl Half {
    /// The other three.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// The number of the first of the three, as people count: 1 or 4.
    #[must_use]
    pub const fn first_number(self) -> usize {
        match self {
            Self::First => 1,
            Self::Second => 1 + WORDS_PER_HALF,
        }
    }
}

/// One word of BIP 39's English list. `Display` writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SasWord(u16);

impl SasWord {
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

    /// The one word that begins with the letters typed so far, in any case, however few they are.
    #[must_use]
    pub fn complete(typed: &str) -> Option<Self> {
        let typed = typed.trim().to_ascii_lowercase();
        if typed.is_empty() {
            return None;
        }
        let from = list().partition_point(|word| *word < typed.as_str());
        let mut begun = list().iter().skip(from).take_while(|word| word.starts_with(&typed));
        begun.next()?;
        // Two words begin so: to pick one would be to guess for the person.
        begun.next().is_none().then(|| Self::at(from)).flatten()
    }

    fn at(place: usize) -> Option<Self> {
        u16::try_from(place).ok().map(Self)
    }
}

impl fmt::Display for SasWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(list().get(usize::from(self.0)).copied().unwrap_or_default())
    }
}

impl fmt::Debug for SasWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("SasWord")
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
    use crate::engine::testing::mutate::{Reading, each_text};
    fn words(mut hash: [u8; 32]) -> Sas {
        Sas::new(&Secret::take(&mut hash))
    }

    fn shown(words: &Sas) -> String {
        let halves = [words.half(Half::First), words.half(Half::Second)].concat();
        halves.iter().map(SasWord::to_string).collect::<Vec<_>>().join(" ")
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
            let word = SasWord::at(place);
            assert_eq!(SasWord::parse(text), word);
            assert_eq!(SasWord::parse(&format!(" {} ", text.to_uppercase())), word);
            assert_eq!(SasWord::parse(text.get(..4).unwrap_or(text)), word);
            assert_eq!(word.unwrap().to_string(), *text);
        }
        assert!(list().is_sorted());
    }

    #[test]
    fn letters_that_begin_several_words_or_none_are_no_word() {
        for text in ["", " ", "ac", "acr", "zooo", "saddlex", "violin harbor"] {
            assert_eq!(SasWord::parse(text), None, "{text}");
        }
        assert_eq!(SasWord::complete("wal"), None, "walk, wall, walnut");
        assert_eq!(SasWord::complete("waln").unwrap().to_string(), "walnut");
        assert_eq!(SasWord::complete("z"), None);
        assert_eq!(SasWord::complete("zeb").unwrap().to_string(), "zebra");
        assert_eq!(SasWord::complete(""), None);
    }

    #[test]
    fn nothing_that_is_compared_is_printed() {
        let six = words([7; 32]);
        let printed = format!("{six:?} {:?}", six.half(Half::First));
        assert_eq!(printed, "Sas [SasWord, SasWord, SasWord]");
    }

    #[test]
    fn stored_words_read_back() {
        let six = words([7; 32]);
        let config = bincode::config::standard();
        let bytes = bincode::serde::encode_to_vec(&six, config).unwrap();
        let (read, _) = bincode::serde::decode_from_slice::<Sas, _>(&bytes, config).unwrap();
        assert_eq!(read, six);
    }

    proptest! {
        #[test]
        fn reading_anything_never_panics(text in ".*") {
            if let Some(word) = SasWord::parse(&text) {
                prop_assert!(word.to_string().starts_with(&text.trim().to_ascii_lowercase()));
            }
            let _completed: Option<SasWord> = SasWord::complete(&text);
        }
    }

    #[test]
    fn changed_at_random_a_word_is_one_of_the_list_or_none() {
        each_text(&["walnut", "ABAN", " zoo ", "zebra"], |text| {
            let (word, completed) = (SasWord::parse(text), SasWord::complete(text));
            for word in word.into_iter().chain(completed) {
                assert!(word.to_string().starts_with(&text.trim().to_ascii_lowercase()));
            }
            Reading::found(word)
        });
    }
}
