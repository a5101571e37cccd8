//! Errors for people: the effect, the cause, the state of the data, and the next step.

mod codes;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::codes::{FailureCode, help};

use crate::engine::text::UntrustedText;
use crate::shell::os::exit_code::ExitCode;

/// An error with everything a person needs.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    code: ReportedCode,
    /// The effect: what did not happen.
    pub what: String,
    /// The cause.
    pub why: String,
    /// The state of the data: safe, or lost.
    pub safe: String,
    /// The next step: a command to type, or what to do.
    pub next: String,
}

impl core::fmt::Debug for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Its words are for the person who asked: they name people, files and addresses.
        let Self { code: _, what: _, why: _, safe: _, next: _ } = self;
        f.debug_tuple("Failure").field(&self.word()).finish()
    }
}

impl core::fmt::Display for Failure {
    /// What did not happen and why, on one line that does nothing to a terminal.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let shown = |part: &str| UntrustedText::new(part.to_owned()).sanitize_for_line().text;
        write!(f, "{}: {} [{}]", shown(&self.what), shown(&self.why), self.word())
    }
}

impl core::error::Error for Failure {}

impl Failure {
    /// The text on standard error.
    #[must_use]
    pub fn render(&self) -> String {
        // They may come from another process, and name what others wrote.
        let shown = |part: &str| UntrustedText::new(part.to_owned()).sanitize_for_line().text;
        let mut text = format!("error: {} [{}]\n", shown(&self.what), self.word());
        for line in [&self.why, &self.safe] {
            if !line.is_empty() {
                // Writing to a string cannot fail.
                writeln!(text, "   {}", shown(line)).unwrap_or_default();
            }
        }
        writeln!(text, "   next: {}", shown(&self.next)).unwrap_or_default();
        text
    }

    /// The same, naming the home folder if the disk did not take what is stored in it.
    #[must_use]
    pub fn with_home(mut self, home: &Path) -> Self {
        // Another file may lie on another disk.
        if matches!(
            self.code(),
            Some(
                FailureCode::DiskFull
                    | FailureCode::ReadOnly
                    | FailureCode::DiskFails
                    | FailureCode::HomeMoved
            )
        ) {
            // The name of a folder may contain escape sequences.
            let home = UntrustedText::new(home.display().to_string()).sanitize_for_line().text;
            write!(self.why, "; the folder is {home}").unwrap_or_default();
        }
        self
    }

    /// A failure made of its four parts; the exit code follows from the code.
    #[must_use]
    pub fn new(code: FailureCode, text: FailureText<'_>) -> Self {
        Self::with_code(ReportedCode::Known(code), text)
    }

    /// A failure that another process of this program reports. A word that this version does not
    /// know is kept, with the exit code that was told; a text that does not look like a word is
    /// replaced by one. Of each part at most `MAX_PART` bytes are kept.
    #[must_use]
    pub fn remote(word: &str, exit: ExitCode, text: FailureText<'_>) -> Self {
        let FailureText { what, why, safe, next } = text;
        let [what, why, safe, next] = [what, why, safe, next].map(beginning);
        let text = FailureText { what, why, safe, next };
        if let Some(code) = FailureCode::of_word(word) {
            return Self::new(code, text);
        }
        // Scripts branch on this word, and the other process may be of another version.
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let is_word = (1..=MAX_WORD).contains(&word.len()) && word.bytes().all(letters);
        let word = if is_word { word } else { UNREADABLE_WORD };
        Self::with_code(ReportedCode::Unknown { word: word.into(), exit }, text)
    }

    fn with_code(code: ReportedCode, text: FailureText<'_>) -> Self {
        let FailureText { what, why, safe, next } = text;
        Self {
            code,
            what: what.to_owned(),
            why: why.to_owned(),
            safe: safe.to_owned(),
            next: next.to_owned(),
        }
    }

    /// The code; `None` for one of another process that this version does not know.
    #[must_use]
    pub const fn code(&self) -> Option<FailureCode> {
        match self.code {
            ReportedCode::Known(code) => Some(code),
            ReportedCode::Unknown { .. } => None,
        }
    }

    /// The word of the code: lower case letters and underscores.
    #[must_use]
    pub const fn word(&self) -> &str {
        match &self.code {
            ReportedCode::Known(code) => code.word(),
            ReportedCode::Unknown { word, exit: _ } => word,
        }
    }

    /// The exit code of a process that ends with this failure.
    #[must_use]
    pub const fn exit(&self) -> ExitCode {
        match self.code {
            ReportedCode::Known(code) => code.exit(),
            ReportedCode::Unknown { exit, .. } => exit,
        }
    }
}

/// The code of a failure, which another process may have reported.
#[derive(Clone, PartialEq, Eq)]
enum ReportedCode {
    /// A row of the table.
    Known(FailureCode),
    /// A word that is in no row, with the exit code that was told with it.
    Unknown { word: Box<str>, exit: ExitCode },
}

/// The four parts of a [`Failure`], as they are written where it arises.
#[derive(Clone, Copy)]
pub struct FailureText<'a> {
    /// The effect: what did not happen.
    pub what: &'a str,
    /// The cause.
    pub why: &'a str,
    /// The state of the data: safe, or lost.
    pub safe: &'a str,
    /// The next step: a command to type, or what to do.
    pub next: &'a str,
}

impl core::fmt::Debug for FailureText<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // As for `Failure`: the text names people, files and addresses.
        let Self { what: _, why: _, safe: _, next: _ } = self;
        f.write_str("FailureText")
    }
}

/// A failure in JSON, as the `data` of an error in JSON-RPC. What is missing is empty, because the
/// other process may be of another version; what is more is ignored.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct FailureJson<'a> {
    code: Cow<'a, str>,
    exit: u64,
    what: Cow<'a, str>,
    why: Cow<'a, str>,
    safe: Cow<'a, str>,
    next: Cow<'a, str>,
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { code: _, what, why, safe, next } = self;
        let json = FailureJson {
            code: self.word().into(),
            exit: self.exit() as u64,
            what: what.into(),
            why: why.into(),
            safe: safe.into(),
            next: next.into(),
        };
        json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let FailureJson { code, exit, what, why, safe, next } =
            FailureJson::deserialize(deserializer)?;
        let text = FailureText { what: &what, why: &why, safe: &safe, next: &next };
        Ok(Self::remote(&code, ExitCode::of_number(exit), text))
    }
}

/// At most [`MAX_PART`] bytes of a text, which are whole characters.
fn beginning(text: &str) -> &str {
    let mut end = text.len().min(MAX_PART);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A word of a command for a shell: quoted unless it consists of harmless characters, and without
/// characters that cannot be shown.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let word = UntrustedText::new(word.to_owned()).sanitize_for_line().text;
    let harmless = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
    if !word.is_empty() && word.chars().all(harmless) {
        return word;
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What stands for a word that cannot be shown. No code has this word.
const UNREADABLE_WORD: &str = "node";

/// The longest word of a code, in bytes. A guess: more than any of ours has.
const MAX_WORD: usize = 32;

/// The longest part of a failure that another process reports, in bytes: twice the longest path of
/// Linux, which a part may quote.
pub const MAX_PART: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    const TEXT: FailureText<'_> = FailureText { what: "a", why: "b", safe: "c", next: "d" };

    #[test]
    fn a_failure_told_by_another_process_is_the_one_it_had() {
        for &code in FailureCode::ALL {
            let told = Failure::remote(code.word(), code.exit(), TEXT);
            assert_eq!(told, Failure::new(code, TEXT));
            assert_eq!((told.code(), told.exit()), (Some(code), code.exit()));
        }
    }

    #[test]
    fn a_failure_is_the_data_of_an_error_of_json_rpc_and_reads_back() {
        let failure = Failure::new(FailureCode::Blocked, TEXT);
        let json = serde_json::to_value(&failure).unwrap();
        let expected = json!({
            "code": "blocked", "exit": 7, "what": "a", "why": "b", "safe": "c", "next": "d",
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Failure>(json).unwrap(), failure);
    }

    #[test]
    fn json_of_another_version_is_a_failure_too() {
        let failure: Failure =
            serde_json::from_value(json!({ "code": "moon", "exit": 15, "what": "a", "new": [] }))
                .unwrap();
        assert_eq!((failure.word(), failure.exit()), ("moon", ExitCode::Other));
        let Failure { code: _, what, why, safe, next } = &failure;
        assert_eq!([&**what, why, safe, next], ["a", "", "", ""]);
        let nothing: Failure = serde_json::from_value(json!({})).unwrap();
        assert_eq!(nothing.word(), UNREADABLE_WORD);
        for wrong in [json!("blocked"), json!({ "exit": -1 }), json!({ "why": 1 })] {
            assert!(serde_json::from_value::<Failure>(wrong).is_err());
        }
    }

    #[test]
    fn a_part_that_another_process_reports_is_cut_between_characters() {
        let long = format!("a{}", "\u{20ac}".repeat(MAX_PART));
        let json = json!({ "what": long, "why": long, "safe": long, "next": long });
        let failure: Failure = serde_json::from_value(json).unwrap();
        let Failure { code: _, what, why, safe, next } = &failure;
        for part in [what, why, safe, next] {
            assert!((MAX_PART - 2..=MAX_PART).contains(&part.len()) && long.starts_with(part));
        }
    }

    #[test]
    fn each_part_is_one_line_that_does_nothing_to_a_terminal() {
        let hostile = "a\u{1b}[2J\nerror: b\u{202e}";
        let text = FailureText { what: hostile, why: hostile, safe: hostile, next: hostile };
        let shown = Failure::remote("blocked", ExitCode::Refused, text).render();
        assert_eq!(shown.lines().count(), 4, "{shown:?}");
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
        let short = Failure::remote("blocked", ExitCode::Refused, text).to_string();
        assert!(!short.contains(['\u{1b}', '\n', '\u{202e}']) && short.ends_with(" [blocked]"));
    }

    #[test]
    fn a_code_of_another_version_keeps_its_word_and_the_exit_code_that_was_told() {
        let told = |word: &str| {
            let failure = Failure::remote(word, ExitCode::Refused, TEXT);
            assert_eq!((failure.code(), failure.exit()), (None, ExitCode::Refused));
            failure.word().to_owned()
        };
        assert_eq!(told("not_known_yet"), "not_known_yet");
        for word in ["", "Not A Code", "\u{1b}[31m", &"x".repeat(MAX_WORD + 1)] {
            assert_eq!(told(word), UNREADABLE_WORD);
        }
        assert_eq!(FailureCode::of_word(UNREADABLE_WORD), None);
    }

    #[test]
    fn changed_at_random_what_another_process_tells_is_a_failure_of_four_lines_or_none() {
        let failures = FailureCode::ALL.iter().map(|code| Failure::new(*code, TEXT));
        let seeds: Vec<Vec<u8>> =
            failures.map(|failure| serde_json::to_vec(&failure).unwrap()).collect();
        each_case(&seeds, |json| {
            let read = serde_json::from_slice::<Failure>(json);
            if let Ok(failure) = &read {
                let shown = failure.render();
                assert!(!shown.chars().any(|letter| letter.is_control() && letter != '\n'));
                assert!(failure.why.len() <= MAX_PART);
            }
            Reading::of(read)
        });
    }
}
