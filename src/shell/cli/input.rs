//! Standard input as the text of a command.

use std::io::{self, ErrorKind, Read};

use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::io_words::io_words;

/// Reads standard input without its last line end. More than `most` bytes are read far enough that
/// the engine refuses the text.
pub(super) fn standard_input(most: u64) -> Result<String, Failure> {
    read_text(io::stdin().lock(), most).map_err(|error| {
        let why = if error.kind() == ErrorKind::InvalidData {
            "standard input is not UTF-8 text".to_owned()
        } else {
            format!("standard input was not read: {}", io_words(&error))
        };
        let text = FailureText {
            what: "nothing was sent or changed",
            why: &why,
            safe: "everything saved before is unchanged",
            next: "give it a text on standard input",
        };
        Failure::new(FailureCode::Input, text)
    })
}

fn read_text(input: impl Read, most: u64) -> io::Result<String> {
    // A line end and one byte more than the most: a longer text is refused, and no beginning of it
    // is sent, wherever its lines end.
    let mut bytes = Vec::new();
    input.take(most.saturating_add(2)).read_to_end(&mut bytes)?;
    // `echo` and editors end a text with a newline that is no part of it.
    bytes.pop_if(|last| *last == b'\n');
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    } else {
        // It may be cut inside a character; too long it is all the same.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
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
        assert_eq!(read_text(&b"\xff"[..], 4).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn changed_at_random_an_input_is_a_text_or_refused() {
        each_case(&[b"hi\n".to_vec(), b"".to_vec(), b"f\xc3\xb6r".to_vec()], |bytes| {
            let read = read_text(bytes, 100);
            // Of a longer one as much as shows that it is longer, with what stands for bad bytes.
            assert!(read.as_ref().map_or(true, |text| text.len() <= 3 * 102));
            Reading::of(read)
        });
    }
}
