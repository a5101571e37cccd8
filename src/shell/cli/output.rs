//! The one place that writes to standard output and standard error.
//!
//! Standard output is for data, standard error for messages to a person. JSON is ASCII only, so
//! that `cat` can show a line whatever it contains.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::shell::failure::Failure;

/// Writes a line of data. A closed pipe is no error: the program ends soon.
pub fn print_line(text: &str) {
    if try_print_line(text).is_err() {
        tracing::debug!("nobody reads standard output");
    }
}

/// Writes a line of data, for commands that stop when nobody reads them any more.
///
/// # Errors
/// The error of the system when standard output is closed.
pub fn try_print_line(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// Writes a message to a person.
pub fn print_message(text: &str) {
    let mut out = std::io::stderr().lock();
    if writeln!(out, "{text}").is_err() {
        tracing::debug!("nobody reads standard error");
    }
}

/// A value as one line of ASCII: everything else, and DEL, as `\uXXXX`.
#[must_use]
pub fn to_ascii(value: &Value) -> String {
    let mut line = String::new();
    for character in value.to_string().chars() {
        // serde_json escapes only what is below a blank. DEL, the controls of C1 and marks of
        // direction would act on a terminal.
        if (' '..='~').contains(&character) {
            line.push(character);
            continue;
        }
        // JSON writes what is beyond U+FFFF as two escaped units of UTF-16 (RFC 8259, section 7).
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            line.push_str(&format!("\\u{unit:04x}"));
        }
    }
    line
}

/// Writes the result of a command as JSON.
pub fn print_result(data: &Value) {
    print_line(&to_ascii(&json!({ "v": 1, "ok": true, "data": data })));
}

/// Writes the error of a command: as JSON on standard output, or as text on standard error.
pub fn print_failure(failure: &Failure, format: OutputFormat) {
    match format {
        OutputFormat::Text => print_message(failure.render().trim_end()),
        // On standard output, where a program reads the result of a success too.
        OutputFormat::Json => print_line(&to_ascii(&json!({
            "v": 1,
            "ok": false,
            "error": {
                "code": failure.word(),
                "message": failure.what,
                "reason": failure.why,
                "safe": failure.safe,
                "hint": failure.next,
                "exit": failure.exit() as u8,
            },
        }))),
    }
}

/// The format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// Text.
    Text,
    /// JSON.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn json_is_ascii_and_reads_back(text in ".*") {
            let line = to_ascii(&json!({ "text": text }));
            proptest::prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            let back: Value = serde_json::from_str(&line).unwrap();
            proptest::prop_assert_eq!(back["text"].as_str(), Some(text.as_str()));
        }
    }
}
