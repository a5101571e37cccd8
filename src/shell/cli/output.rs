//! The one place that writes to standard output and standard error.
//!
//! Standard output is data, standard error is talk. JSON is ASCII alone, so that a line can be
//! shown by `cat` whatever it carries.

use std::io::Write as _;

use serde_json::{Value, json};

use super::error::Failure;

/// Writes a line of data. A reader that has gone away is no error: the program ends soon.
pub fn print_line(text: &str) {
    if try_print_line(text).is_err() {
        tracing::debug!("nobody reads standard output");
    }
}

/// Writes a line of data, for programs that go on and have no reason to once nobody reads them.
///
/// # Errors
/// What the system says when nobody reads standard output any more.
pub fn try_print_line(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// Writes a line of talk.
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
        if (' '..='~').contains(&character) {
            line.push(character);
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            line.push_str(&format!("\\u{unit:04x}"));
        }
    }
    line
}

/// Writes the answer of a command, for programs.
pub fn print_result(data: &Value) {
    print_line(&to_ascii(&json!({ "v": 1, "ok": true, "data": data })));
}

/// Writes why a command failed: for programs on standard output, for people on standard error.
pub fn print_failure(failure: &Failure, format: OutputFormat) {
    match format {
        OutputFormat::Text => print_message(failure.render().trim_end()),
        OutputFormat::Json => print_line(&to_ascii(&json!({
            "v": 1,
            "ok": false,
            "error": {
                "code": failure.code,
                "message": failure.what,
                "reason": failure.why,
                "safe": failure.safe,
                "hint": failure.next,
                "exit": failure.exit as u8,
            },
        }))),
    }
}

/// For whom an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// Words.
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
