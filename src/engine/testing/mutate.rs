//! Bytes that were changed at random, for everything that reads bytes from outside.
//!
//! A case is determined by its number, so one that fails is found again by the number alone.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::rng::SeededRng;

/// The changed inputs that each reader is given: `CASES` in the environment of the compiler, or
/// 10,000.
const CASES: u64 = match option_env!("CASES") {
    Some(number) => match u64::from_str_radix(number, 10) {
        Ok(number) => number,
        Err(_) => panic!("CASES is no number"),
    },
    None => 10_000,
};

/// [`CASES`]. Not inlined: for another number this is all that is compiled again.
#[inline(never)]
const fn cases() -> u64 {
    CASES
}

/// A changed input is at most so many bytes longer than what it was made of.
const LONGER: usize = 8_192;

/// What a reader did with bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It refused them.
    Refused,
    /// It took them.
    Taken,
    /// It took them, and would write this: a value with one encoding.
    Written(Vec<u8>),
}

impl Reading {
    /// What a reader made of bytes, of which there may be several for one value.
    pub(crate) fn of<T, E>(read: Result<T, E>) -> Self {
        if read.is_ok() { Self::Taken } else { Self::Refused }
    }

    /// The same of a reader that does not say why it refuses.
    pub(crate) fn found<T>(read: Option<T>) -> Self {
        Self::of(read.ok_or(()))
    }

    /// What a reader took, written again.
    pub(crate) fn again<T, W: Into<Vec<u8>>>(read: Option<T>, write: impl FnOnce(T) -> W) -> Self {
        read.map_or(Self::Refused, |value| Self::Written(write(value).into()))
    }
}

/// Gives a reader all `seeds` as they are, which it must take, and [`CASES`] inputs made of them. It
/// may refuse those, and must not panic; what it takes of a value with one encoding must be that.
///
/// # Panics
/// With the number of the case where one of these does not hold.
pub(crate) fn each_case(seeds: &[Vec<u8>], read: impl FnMut(&[u8]) -> Reading) {
    run(cases(), seeds, read);
}

/// The same with a hundredth of the cases, for readers that multiply points, or read files or a
/// database: a hundred cases take them a second.
///
/// # Panics
/// As [`each_case`].
pub(crate) fn each_slow_case(seeds: &[Vec<u8>], read: impl FnMut(&[u8]) -> Reading) {
    run(cases().div_ceil(100), seeds, read);
}

/// The same as [`each_case`] for a reader of text. Bytes that are no text are mended first.
///
/// # Panics
/// As [`each_case`].
pub(crate) fn each_text(seeds: &[&str], read: impl FnMut(&str) -> Reading) {
    each_case(&bytes_of(seeds), as_text(read));
}

/// The same as [`each_slow_case`] for a reader of text.
///
/// # Panics
/// As [`each_case`].
pub(crate) fn each_slow_text(seeds: &[&str], read: impl FnMut(&str) -> Reading) {
    each_slow_case(&bytes_of(seeds), as_text(read));
}

fn run(cases: u64, seeds: &[Vec<u8>], mut read: impl FnMut(&[u8]) -> Reading) {
    assert!(!seeds.is_empty(), "nothing to change");
    for (number, seed) in seeds.iter().enumerate() {
        let reading = read(seed);
        assert!(reading != Reading::Refused, "seed {number} is refused");
        assert!(is_faithful(&reading, seed), "seed {number} has another encoding");
    }
    for case in 0..cases {
        let bytes = changed(seeds, case);
        let reading = catch_unwind(AssertUnwindSafe(|| read(&bytes)));
        assert!(reading.is_ok(), "case {case}: a panic");
        if let Ok(Reading::Written(written)) = reading {
            let differs = written.iter().zip(&bytes).position(|(one, other)| one != other);
            let (long, was) = (written.len(), bytes.len());
            assert!(
                written == bytes,
                "case {case}: another encoding of what was taken, from {differs:?} on, {long} bytes for {was}"
            );
        }
    }
}

fn bytes_of(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A reader of text as one of bytes.
fn as_text(mut read: impl FnMut(&str) -> Reading) -> impl FnMut(&[u8]) -> Reading {
    move |bytes| match str::from_utf8(bytes) {
        Ok(text) => read(text),
        // What it takes is not what these bytes were.
        Err(_) => match read(&String::from_utf8_lossy(bytes)) {
            Reading::Refused => Reading::Refused,
            Reading::Taken | Reading::Written(_) => Reading::Taken,
        },
    }
}

fn is_faithful(reading: &Reading, bytes: &[u8]) -> bool {
    match reading {
        Reading::Refused | Reading::Taken => true,
        Reading::Written(written) => written == bytes,
    }
}

/// The bytes of one case: of a seed that chance picks, changed up to three times; now and then
/// nothing but noise.
fn changed(seeds: &[Vec<u8>], case: u64) -> Vec<u8> {
    let mut change = Change { rng: SeededRng::lane(case, 0), seeds };
    if change.below(32) == 0 {
        let length = change.below(4_096);
        return change.noise(length);
    }
    let mut bytes = change.seed();
    let length = bytes.len();
    for _ in 0..=change.below(3) {
        change.once(&mut bytes);
    }
    bytes.truncate(length + LONGER);
    // Some readers look at nothing of another length.
    if change.below(2) == 0 {
        bytes.resize(length, 0);
    }
    bytes
}

/// Makes one case.
struct Change<'a> {
    rng: SeededRng,
    seeds: &'a [Vec<u8>],
}

/// Bytes at which something begins or ends to be allowed.
const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xc0, 0xff, b'\n', b'"'];

/// Pieces of text at which readers of JSON, of numbers and of lines went wrong.
const PIECES: [&str; 16] = [
    "[",
    "{\"",
    "null",
    "-",
    "-0",
    "1e999",
    "18446744073709551616",
    "0.0000000000000000000000000000000000001",
    "\\ud800",
    "\\u0000",
    "\u{0}",
    "\u{202e}",
    "\u{301}\u{301}\u{301}",
    "\r\n",
    " ",
    "/",
];

impl Change<'_> {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).unwrap_or(0)
    }

    fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut noise = vec![0; length];
        self.rng.fill_bytes(&mut noise);
        noise
    }

    fn seed(&mut self) -> Vec<u8> {
        let at = self.below(self.seeds.len());
        self.seeds.get(at).cloned().unwrap_or_default()
    }

    /// A part of so many bytes: where it begins and ends.
    fn part(&mut self, length: usize) -> (usize, usize) {
        let (one, other) = (self.below(length + 1), self.below(length + 1));
        (one.min(other), one.max(other))
    }

    /// Puts `piece` where `part` was; a place is an empty part.
    fn put(bytes: &mut Vec<u8>, (from, to): (usize, usize), piece: impl IntoIterator<Item = u8>) {
        let to = to.min(bytes.len());
        drop(bytes.splice(from.min(to)..to, piece));
    }

    fn once(&mut self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        let at = self.below(length + 1);
        match self.below(12) {
            0 => {
                for _ in 0..=self.below(8) {
                    let (at, bit) = (self.below(length), self.below(8));
                    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
                }
            }
            1 => {
                let edge = self.edge();
                Self::put(bytes, (at, at + 1), [edge]);
            }
            2 => {
                let number = self.number(length);
                let end = at + number.len();
                Self::put(bytes, (at, end), number);
            }
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(..at)),
            5 => {
                let (from, to) = self.part(length);
                let part = bytes.get(from..to).unwrap_or_default().to_vec();
                Self::put(bytes, (at, at), part);
            }
            6 => {
                let part = self.part(length);
                Self::put(bytes, part, []);
            }
            7 => {
                let other = self.seed();
                let (from, _) = self.part(other.len());
                bytes.truncate(at);
                bytes.extend(other.into_iter().skip(from));
            }
            8 => {
                let other = self.seed();
                let (from, to) = self.part(other.len());
                let part = other.get(from..to).unwrap_or_default().to_vec();
                let end = at + part.len();
                Self::put(bytes, (at, end), part);
            }
            9 => {
                let of = self.below(PIECES.len());
                let piece = PIECES.get(of).copied().unwrap_or_default();
                let times = if self.below(4) == 0 { self.below(300) } else { 1 };
                Self::put(bytes, (at, at), piece.repeat(times).into_bytes());
            }
            // A number of variable length that does not end when it should.
            10 => {
                let times = self.below(12);
                Self::put(bytes, (at, at), vec![0xff; times]);
            }
            _ => {
                let more = self.below(64);
                let noise = self.noise(more);
                Self::put(bytes, (at, at), noise);
            }
        }
    }

    fn edge(&mut self) -> u8 {
        let at = self.below(EDGES.len());
        EDGES.get(at).copied().unwrap_or_default()
    }

    /// A number as it may say a length: of 2, 4 or 8 bytes, in either order.
    fn number(&mut self, length: usize) -> Vec<u8> {
        let length = length as u64;
        let numbers =
            [0, 1, length.wrapping_sub(1), length, length + 1, 1 << 31, 1 << 32, u64::MAX];
        let at = self.below(numbers.len());
        let number = numbers.get(at).copied().unwrap_or_default();
        let width = 2 << self.below(3);
        let mut bytes: Vec<u8> = number.to_le_bytes().into_iter().take(width).collect();
        if self.below(2) == 0 {
            bytes.reverse();
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn seeds() -> Vec<Vec<u8>> {
        vec![b"one seed".to_vec(), b"and another one".to_vec()]
    }

    #[test]
    fn a_case_is_the_same_each_time_and_no_other_ones() {
        let cases: BTreeSet<Vec<u8>> = (0..1_000).map(|case| changed(&seeds(), case)).collect();
        assert!(cases.len() > 700, "{}", cases.len());
        assert!((0..1_000).all(|case| cases.contains(&changed(&seeds(), case))));
    }

    #[test]
    fn nothing_at_all_can_be_changed() {
        assert!((0..1_000).any(|case| !changed(&[Vec::new()], case).is_empty()));
    }

    #[test]
    #[should_panic(expected = ": a panic")]
    fn a_reader_that_panics_is_found() {
        each_case(&seeds(), |bytes| {
            assert!(bytes.first() != Some(&0x80), "this byte");
            Reading::Taken
        });
    }

    #[test]
    #[should_panic(expected = "another encoding of what was taken")]
    fn a_reader_that_takes_two_encodings_of_one_value_is_found() {
        each_case(&seeds(), |bytes| Reading::Written(bytes.to_ascii_lowercase()));
    }

    #[test]
    #[should_panic(expected = "seed 0 is refused")]
    fn a_seed_that_is_refused_is_found() {
        each_case(&seeds(), |_| Reading::Refused);
    }
}
