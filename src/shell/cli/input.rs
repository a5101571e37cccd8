//! Standard input as the text of a command.

use std::io::{self, BufRead, Read};

use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::io_words::io_words;

/// Reads standard input without its last line end. Lines that end as those of Windows do end as usual
/// then. More than `most` bytes are read far enough that the engine refuses the text.
pub(super) fn standard_input(most: u64) -> Result<String, Failure> {
    Ok(read_text(io::stdin().lock(), most)?)
}

/// Reads one line without its end; at most `most` bytes of it.
pub(super) fn line(input: impl BufRead, most: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    input.take(most).read_until(b'\n', &mut bytes).map_err(InputFault::Io)?;
    bytes.pop_if(|last| *last == b'\n');
    bytes.pop_if(|last| *last == b'\r');
    Ok(bytes)
}

fn read_text(input: impl Read, most: u64) -> Result<String, InputFault> {
    // If every character were a line end of two bytes, with the last one, a byte order mark, and one byte
    // more than the most: a longer text is refused, and no beginning of it is sent, wherever its lines end.
    let limit = most.saturating_mul(2).saturating_add(7);
    let mut bytes = Vec::new();
    input.take(limit).read_to_end(&mut bytes).map_err(InputFault::Io)?;
    let is_cut = u64::try_from(bytes.len()).is_ok_and(|length| length >= limit);
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // It may be cut inside a character; too long it is all the same.
        Err(error) if is_cut => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        Err(error) => {
            let (error, byte) = (error.utf8_error(), error.utf8_error().valid_up_to() + 1);
            return Err(match error.error_len() {
                Some(_) => InputFault::NotText { byte },
                None => InputFault::CutShort,
            });
        }
    };
    // Editors of Windows put it before a text in UTF-8; it is no part of the text.
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    let mut text = text.replace("\r\n", "\n");
    // `echo` and editors end a text with a newline that is no part of it.
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// Says that a text is in Unicode, before its first letter.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The reason that standard input is no text. All that came is refused.
#[derive(Debug, thiserror::Error)]
enum InputFault {
    /// Write it in UTF-8.
    #[error("standard input is not UTF-8 text: its byte {byte} is not one of a letter")]
    NotText {
        /// Counted from 1.
        byte: usize,
    },
    /// Look for the bytes that are missing.
    #[error("standard input ends in the middle of a letter: bytes are missing at its end")]
    CutShort,
    /// See the cause.
    #[error("standard input was not read: {}", io_words(.0))]
    Io(io::Error),
}

impl From<InputFault> for Failure {
    fn from(fault: InputFault) -> Self {
        let next = match fault {
            InputFault::NotText { .. } => "give it a text in UTF-8 on standard input",
            InputFault::CutShort => "give it the whole text on standard input",
            InputFault::Io(_) => "give it a text on standard input",
        };
        let text = FailureText {
            what: "nothing was sent or changed",
            why: &fault.to_string(),
            safe: "everything saved before is unchanged",
            next,
        };
        Self::new(FailureCode::Input, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    #[test]
    fn a_text_that_is_too_long_is_refused_whole_wherever_its_lines_end() {
        let read = |text: &str| read_text(text.as_bytes(), 4);
        assert_eq!(read("four\n").unwrap(), "four");
        assert_eq!(read("for\n\n").unwrap(), "for\n");
        assert_eq!(read("f\u{f6}r").unwrap(), "f\u{f6}r");
        for longer in
            ["fours", "four\n\n", "four\nmore", "fours\nmore", "fou\u{f6}r", "four\n\u{f6}"]
        {
            assert!(read(longer).unwrap().len() > 4, "{longer:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_named_with_their_place_and_a_cut_letter_as_one() {
        let fault = |bytes: &[u8]| read_text(bytes, 100).unwrap_err();
        assert!(matches!(fault(b"\xff"), InputFault::NotText { byte: 1 }));
        assert!(matches!(fault(b"one\n\xc3(\n"), InputFault::NotText { byte: 5 }));
        for cut in [&b"caf\xc3"[..], b"\xe2\x82", b"one\r\n\xf0\x9f\x98"] {
            assert!(matches!(fault(cut), InputFault::CutShort));
        }
        let told = Failure::from(fault(b"caf\xc3"));
        assert_eq!(
            told.why,
            "standard input ends in the middle of a letter: bytes are missing at its end"
        );
        // With its line end the letter is not the last.
        assert!(matches!(fault(b"caf\xc3\n"), InputFault::NotText { byte: 4 }));
    }

    #[test]
    fn the_mark_that_windows_puts_before_a_text_is_no_part_of_it() {
        let read = |text: &str| read_text(text.as_bytes(), 8).unwrap();
        assert_eq!(read("\u{feff}hello\r\n"), "hello");
        assert_eq!(read("\u{feff}"), "");
        // Anywhere else, and a second one, it is what somebody wrote.
        assert_eq!(read("\u{feff}\u{feff}a"), "\u{feff}a");
        assert_eq!(read("a\u{feff}"), "a\u{feff}");
        assert_eq!(read(&format!("\u{feff}{}", "\r\n".repeat(9))), "\n".repeat(8));
        assert!(read(&format!("\u{feff}{}", "x".repeat(9))).len() > 8);
    }

    #[test]
    fn lines_that_end_as_those_of_windows_do_end_as_usual_and_other_bytes_stay() {
        let read = |text: &str| read_text(text.as_bytes(), 8).unwrap();
        assert_eq!(read("one\r\ntwo\r\n"), "one\ntwo");
        assert_eq!(read("one\r\n\r\n"), "one\n");
        assert_eq!(read("one\rtwo"), "one\rtwo");
        assert_eq!(read("\r\n"), "");
        // Each line end counts once, and so does the text of them alone that is just not too long.
        assert_eq!(read(&"\r\n".repeat(9)), "\n".repeat(8));
        assert!(read(&"\r\n".repeat(10)).len() > 8);
        assert!(read(&"\r\n".repeat(100)).len() > 8);
        for line_of in [&b"accept\r\n"[..], b"accept\n", b"accept", b"accept\nmore"] {
            assert_eq!(line(line_of, 100).unwrap(), b"accept");
        }
    }

    #[test]
    fn changed_at_random_an_input_is_a_text_or_refused() {
        each_case(&[b"hi\n".to_vec(), b"".to_vec(), b"f\xc3\xb6r".to_vec()], |bytes| {
            let read = read_text(bytes, 100);
            // Of a longer one as much as shows that it is longer, with what stands for bad bytes.
            assert!(read.as_ref().map_or(true, |text| text.len() <= 3 * 207));
            Reading::of(read)
        });
    }
}
