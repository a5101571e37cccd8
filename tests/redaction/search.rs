//! A search for known bytes and words in text, in whatever form they could have been written.
//!
//! It is handed the bytes and words that must not be shown, and judges nothing else in a text.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER_PERMISSIVE;

/// Bytes in a row that are no chance: a topic has four.
const TELLING: usize = 4;

/// Integers from here on are names, not counts or moments.
const NAMES_FROM: u64 = 1 << 40;

/// The secrets, names and texts that must not be shown.
#[derive(Default)]
pub(crate) struct Hidden {
    /// Every [`TELLING`] bytes in a row of every secret, name and encoding.
    bytes: BTreeSet<[u8; TELLING]>,
    /// Names and texts.
    words: BTreeSet<String>,
}

impl Hidden {
    /// Hides bytes: a key, a topic, a whole record as it is stored.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for window in bytes.windows(TELLING) {
            let window: [u8; TELLING] = window.try_into().expect("a window");
            // Zeros and other padding are in everything.
            if window.iter().collect::<BTreeSet<_>>().len() > 2 {
                self.bytes.insert(window);
            }
        }
    }

    /// Hides a name or a text.
    pub(crate) fn word(&mut self, word: &str) {
        assert!(word.len() > TELLING, "{word} would be found by chance");
        self.words.insert(word.to_owned());
    }

    /// The number of byte strings and words that are searched for.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.words.len()
    }

    /// Those of them that are in a text, as the text has them.
    pub(crate) fn found_in(&self, text: &str) -> BTreeSet<String> {
        let words = self.words.iter().filter(|word| text.contains(word.as_str())).cloned();
        let written = hexadecimal(text).into_iter().chain(lists(text)).chain(integers(text));
        let bytes = written
            .filter(|(_, bytes)| bytes.windows(TELLING).any(|window| self.bytes.contains(window)));
        words.chain(bytes.map(|(shown, _)| shown)).collect()
    }
}

/// A piece of text, and the bytes it could stand for.
type Piece = (String, Vec<u8>);

/// Hexadecimal digits in a row, in letters of either kind, with or without blanks or colons between
/// the bytes; from either digit on.
fn hexadecimal(text: &str) -> Vec<Piece> {
    let joined: String = text.chars().filter(|letter| !matches!(letter, ':' | ' ')).collect();
    let mut pieces = Vec::new();
    for text in [text, &joined] {
        for run in text.split(|letter: char| !letter.is_ascii_hexdigit()) {
            // A number in decimals is read below; a key has letters or is long.
            let decimal = run.bytes().all(|digit| digit.is_ascii_digit()) && run.len() < 16;
            if run.len() < 2 * TELLING || decimal {
                continue;
            }
            for start in [run, &run[1..]] {
                let digits = &start.as_bytes()[..start.len() & !1];
                let bytes = HEXLOWER_PERMISSIVE.decode(digits).expect("pairs of digits");
                pieces.push((run.to_owned(), bytes));
            }
        }
    }
    pieces
}

/// Numbers below 256 in a row with nothing but commas and white space between them, as `{:?}` and
/// `{:#?}` write bytes.
fn lists(text: &str) -> Vec<Piece> {
    let runs = text
        .split(|letter: char| !letter.is_ascii_digit() && !letter.is_whitespace() && letter != ',');
    let mut pieces = Vec::new();
    for run in runs {
        let numbers: Option<Vec<u8>> = run
            .split(|letter: char| !letter.is_ascii_digit())
            .filter(|number| !number.is_empty())
            .map(|number| number.parse().ok())
            .collect();
        pieces.extend(numbers.map(|bytes| (run.trim().to_owned(), bytes)));
    }
    pieces
}

/// Integers as large as a name of 64 bits nearly always is, either end first.
fn integers(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for run in text.split(|letter: char| !letter.is_ascii_digit()) {
        if let Ok(number) = run.parse::<u64>()
            && number >= NAMES_FROM
        {
            pieces.push((run.to_owned(), number.to_le_bytes().to_vec()));
            pieces.push((run.to_owned(), number.to_be_bytes().to_vec()));
        }
    }
    pieces
}

#[test]
fn the_search_finds_bytes_however_they_are_written_and_words() {
    let secret = [0x5a, 0xc3, 0x17, 0x99, 0xe0, 0x2b, 0x74, 0x08];
    let mut hidden = Hidden::default();
    hidden.bytes(&secret);
    hidden.word("sailing at noon");
    let name = u64::from_le_bytes(secret);
    let part = &secret[2..6];
    for text in [
        format!("Key({secret:?})"),
        format!("Key({secret:#?})"),
        format!("Topic {{ bytes: {part:?} }}"),
        "key=5ac31799e02b7408".to_owned(),
        "key=f5AC31799E02B7408".to_owned(),
        "5a:c3:17:99".to_owned(),
        "5ac3 1799 e02b".to_owned(),
        format!("Id({name})"),
        format!("Id({})", u64::from_be_bytes(secret)),
        "they said \"sailing at noon\"".to_owned(),
    ] {
        assert!(!hidden.found_in(&text).is_empty(), "not found in {text}");
    }
    let harmless = "Session { role: Initiator, sending: SendingChain { number: 0, next: 1024 } } \
        Seconds(1795171640) 1, 2, 3, 4 deadbeefdead";
    assert_eq!(hidden.found_in(harmless), BTreeSet::new());
}
