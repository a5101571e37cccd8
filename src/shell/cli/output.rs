//! The one place that writes to standard output and standard error.
//!
//! Standard output is for data, standard error for messages to a person. JSON is ASCII only, so
//! that `cat` can show a line whatever it contains.

use std::io::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::args::GlobalArgs;
use crate::engine::secret::opaque_debug;
use crate::shell::api::Event;
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
pub fn print_result(data: &(impl Serialize + ?Sized)) {
    print_line(&to_ascii(&result_json(data)));
}

fn result_json(data: &(impl Serialize + ?Sized)) -> Value {
    json!({ "v": 1, "ok": true, "data": to_json(data) })
}

/// A value of the client interface as JSON.
#[must_use]
pub fn to_json(value: &(impl Serialize + ?Sized)) -> Value {
    // Only a map whose keys are no texts fails, and no value of ours has one.
    serde_json::to_value(value).unwrap_or_default()
}

/// Makes fields of an object, or of each object of a list, null: what is not known is not said to be
/// as it usually is. Fields that are not there stay away.
pub fn forget(value: &mut Value, fields: &[&str]) {
    if let Some(all) = value.as_array_mut() {
        return all.iter_mut().for_each(|one| forget(one, fields));
    }
    for field in fields {
        if let Some(known) = value.get_mut(field) {
            *known = Value::Null;
        }
    }
}

/// What a node without a network does not know of contacts and messages.
pub const KNOWN_TO_A_NETWORK: [&str; 2] = ["waits_for_price", "waits_for_turn"];

/// An event as `listen --json` and `history --json` print it: a line of its own for programs, which
/// says the version of its format.
#[must_use]
pub fn event_json(event: &Event) -> Value {
    let mut line = to_json(event);
    if let Some(fields) = line.as_object_mut() {
        fields.insert("v".to_owned(), 1.into());
    }
    line
}

/// The result of a command: for programs, and in words.
pub struct CommandOutput {
    data: Value,
    words: String,
}

opaque_debug!(struct CommandOutput { data, words });

impl CommandOutput {
    /// A result.
    #[must_use]
    pub fn new(data: &(impl Serialize + ?Sized), words: String) -> Self {
        Self { data: to_json(data), words }
    }

    /// A list: one value and one line for each item, or else the words for a list without any.
    #[must_use]
    pub fn list<T: Serialize>(all: &[T], line: impl Fn(&T) -> String, none: &str) -> Self {
        let lines: Vec<String> = all.iter().map(line).collect();
        let words = if lines.is_empty() { none.to_owned() } else { lines.join("\n") };
        Self::new(all, words)
    }

    /// The same of a node that has no network.
    #[must_use]
    pub fn without_network(mut self) -> Self {
        forget(&mut self.data, &KNOWN_TO_A_NETWORK);
        self
    }

    /// Prints it, in the format that was asked for.
    pub fn print(&self, global: &GlobalArgs) {
        if global.json {
            print_result(&self.data);
        } else {
            print_line(&self.words);
        }
    }
}

/// Writes the error of a command: as JSON on standard output, or as text on standard error.
pub fn print_failure(failure: &Failure, format: OutputFormat) {
    match format {
        OutputFormat::Text => print_message(failure.render().trim_end()),
        // On standard output, where a program reads the result of a success too.
        OutputFormat::Json => print_line(&to_ascii(&failure_json(failure))),
    }
}

fn failure_json(failure: &Failure) -> Value {
    json!({
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
    })
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
    use crate::shell::api::testing::in_readme;
    use crate::shell::failure::{FailureCode, FailureText};

    #[test]
    fn what_a_node_without_a_network_cannot_know_is_null_and_the_rest_stays() {
        let one = json!({ "name": "ben", "waits_for_price": [] });
        let output = CommandOutput::new(&[&one, &one], String::new()).without_network();
        let unknown = json!({ "name": "ben", "waits_for_price": null });
        assert_eq!(output.data, json!([unknown, unknown]));
        let none = json!({ "removed": "ben" });
        assert_eq!(CommandOutput::new(&none, String::new()).without_network().data, none);
    }

    #[test]
    fn the_readme_lists_every_field_of_an_answer_and_of_an_error() {
        let text = FailureText { what: "what", why: "why", safe: "safe", next: "next" };
        let mut both = failure_json(&Failure::new(FailureCode::Full, text));
        let result = result_json("data");
        both.as_object_mut().unwrap().extend(result.as_object().unwrap().clone());
        both["error"] = failure_json(&Failure::new(FailureCode::Full, text))["error"].clone();
        in_readme("| field of an answer | means |", &both);
    }

    #[test]
    fn a_result_shows_neither_its_data_nor_its_words() {
        let output = CommandOutput::new("harbour", "harbour".to_owned());
        assert_eq!(format!("{output:?}"), "CommandOutput");
    }

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
