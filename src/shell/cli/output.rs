//! The one place that writes to standard output and standard error.
//!
//! Standard output is for data, standard error for messages to a person. JSON is ASCII only, so
//! that `cat` can show a line whatever it contains.

use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::args::GlobalArgs;
use crate::engine::secret::opaque_debug;
use crate::shell::api::Event;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::exit_code::ExitCode;
use crate::shell::os::io_words::io_words;

/// Writes a line of data.
///
/// # Errors
/// [`not_written`], when the device is full, nobody reads any more, or the like.
pub fn print_line(text: &str) -> Result<(), Failure> {
    try_print_line(text).map_err(|error| not_written(&error))
}

/// The same, for a thread that only writes.
///
/// # Errors
/// The error of the system.
pub fn try_print_line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// The failure to write to standard output. It is told apart from one of the home folder: its disk may be
/// well, and what a command did in it stays done.
#[must_use]
pub fn not_written(error: &io::Error) -> Failure {
    let is_closed = error.kind() == io::ErrorKind::BrokenPipe;
    let code = if is_closed { FailureCode::OutputClosed } else { FailureCode::Output };
    let text = FailureText {
        what: "the output was not written, or not all of it",
        why: &format!("standard output was not written: {}", io_words(error)),
        safe: "what the command did is done and saved; only its output is lost",
        next: "free some space where the output goes, or have it go elsewhere; see what is there before \
               you repeat a command that changes something",
    };
    Failure::new(code, text)
}

/// Whether an output is left with a line that nobody takes: whoever is to read has paused. Process-wide,
/// as the outputs are.
static ABANDONED: AtomicBool = AtomicBool::new(false);

/// Notes that a thread writes a line that nobody takes. From here on nothing waits for the outputs: the
/// process could not end.
pub fn abandon() {
    ABANDONED.store(true, Ordering::Relaxed);
}

/// A message to a person, and where it is said that it was written.
struct WaitingMessage {
    text: String,
    written: SyncSender<()>,
}

/// Writes a message to a person. A thread does it, for which a moment is waited: so messages come in
/// order with whatever else is written, and a reader who pauses holds up neither a node nor the signal
/// that ends it.
pub fn print_message(text: &str) {
    let Some(messages) = messages() else { return write_message(text) };
    let (written, heard) = sync_channel(1);
    let waiting = WaitingMessage { text: text.to_owned(), written };
    // Where so many wait, nobody reads.
    if messages.try_send(waiting).is_err() || heard.recv_timeout(MESSAGE_WITHIN).is_err() {
        abandon();
        tracing::debug!("standard error was not written in time");
    }
}

/// The thread that writes messages; none where the system has none to give.
fn messages() -> Option<&'static SyncSender<WaitingMessage>> {
    static MESSAGES: OnceLock<Option<SyncSender<WaitingMessage>>> = OnceLock::new();
    let start = || {
        let (messages, waiting) = sync_channel::<WaitingMessage>(MESSAGES_WAITING);
        let write = move || {
            while let Ok(WaitingMessage { text, written }) = waiting.recv() {
                write_message(&text);
                // Whoever waited may have gone on.
                written.send(()).ok();
            }
        };
        let thread = std::thread::Builder::new().name("messages".to_owned()).spawn(write);
        thread.is_ok().then_some(messages)
    };
    MESSAGES.get_or_init(start).as_ref()
}

fn write_message(text: &str) {
    let mut out = io::stderr().lock();
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
///
/// # Errors
/// As [`print_line`].
pub fn print_result(data: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
    print_line(&to_ascii(&result_json(data)))
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
    ///
    /// # Errors
    /// As [`print_line`].
    pub fn print(&self, global: &GlobalArgs) -> Result<(), Failure> {
        if global.json { print_result(&self.data) } else { print_line(&self.words) }
    }
}

/// Writes the error of a command: as JSON on standard output, or as text on standard error. A closed pipe is
/// left without a word, as by other programs: whoever closed it knows. One that is not read is waited for, unless
/// that was in vain before.
pub fn print_failure(failure: &Failure, format: OutputFormat) {
    if failure.exit() == ExitCode::OutputClosed {
        return;
    }
    let is_abandoned = ABANDONED.load(Ordering::Relaxed);
    let told = match format {
        // On standard output, where a program reads the result of a success too.
        OutputFormat::Json if failure.exit() != ExitCode::Output && !is_abandoned => {
            print_line(&to_ascii(&failure_json(failure))).is_ok()
        }
        OutputFormat::Json | OutputFormat::Text => false,
    };
    if told {
        return;
    }
    let rendered = failure.render();
    if is_abandoned {
        print_message(rendered.trim_end());
    } else {
        write_message(rendered.trim_end());
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

/// The time in which a message is written, or its reader has paused. A guess: whoever reads takes it at
/// once.
const MESSAGE_WITHIN: Duration = Duration::from_millis(500);

/// Messages that wait for a reader who has paused. A guess: more are said by no command in a minute.
const MESSAGES_WAITING: usize = 64;

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
    fn output_that_was_not_written_is_no_fault_of_the_home_folder() {
        let full = not_written(&io::ErrorKind::StorageFull.into());
        assert_eq!((full.code(), full.exit() as u8), (Some(FailureCode::Output), 14));
        assert_eq!(full.why, "standard output was not written: the disk is full");
        let told = full.with_home(std::path::Path::new("/home/ann")).render();
        assert!(!told.contains("/home/ann"), "{told}");
        let closed = not_written(&io::ErrorKind::BrokenPipe.into());
        assert_eq!((closed.code(), closed.exit() as u8), (Some(FailureCode::OutputClosed), 141));
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
