//! Errors for people: the effect, the cause, the state of the data, and the next step.

use std::fmt::Write as _;
use std::path::Path;

use crate::engine::text::UntrustedText;
use crate::shell::os::exit_code::ExitCode;

/// An error with everything a person needs.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// A stable word to search for.
    pub code: Box<str>,
    /// The exit code of the process.
    pub exit: ExitCode,
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
        let Self { code, exit: _, what: _, why: _, safe: _, next: _ } = self;
        f.debug_tuple("Failure").field(code).finish()
    }
}

impl Failure {
    /// The text on standard error.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!("error: {} [{}]\n", self.what, self.code);
        for line in [&self.why, &self.safe] {
            if !line.is_empty() {
                // Writing to a string cannot fail.
                writeln!(text, "   {line}").unwrap_or_default();
            }
        }
        writeln!(text, "   next: {}", self.next).unwrap_or_default();
        text
    }

    /// The same, naming the home folder if the disk did not take what is stored in it.
    #[must_use]
    pub fn with_home(mut self, home: &Path) -> Self {
        // Another file may lie on another disk.
        if matches!(&*self.code, "disk_full" | "read_only" | "disk_fails") {
            // The name of a folder may contain escape sequences.
            let home = UntrustedText::new(home.display().to_string()).sanitize_for_line().text;
            write!(self.why, "; the folder is {home}").unwrap_or_default();
        }
        self
    }

    /// A failure made of its four parts.
    #[must_use]
    pub fn new(code: &'static str, exit: ExitCode, text: FailureText<'_>) -> Self {
        Self::with_code(code, exit, text)
    }

    /// A failure that another process of this program reports. A text that does not look like a
    /// code is replaced by one.
    #[must_use]
    pub fn remote(code: &str, exit: ExitCode, text: FailureText<'_>) -> Self {
        // Scripts branch on this word, and the other process may be of another version.
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let is_code = (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(letters);
        Self::with_code(if is_code { code } else { "node" }, exit, text)
    }

    fn with_code(code: &str, exit: ExitCode, text: FailureText<'_>) -> Self {
        let FailureText { what, why, safe, next } = text;
        Self {
            code: code.into(),
            exit,
            what: what.to_owned(),
            why: why.to_owned(),
            safe: safe.to_owned(),
            next: next.to_owned(),
        }
    }
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

/// The longest code. A guess: more than any of ours has.
const MAX_CODE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: FailureText<'_> = FailureText { what: "a", why: "b", safe: "c", next: "d" };

    #[test]
    fn a_failure_told_by_another_process_is_the_one_it_had() {
        for (code, exit) in [("full", ExitCode::Refused), ("no_store", ExitCode::NotFound)] {
            let failure = Failure::new(code, exit, TEXT);
            let Failure { code, exit: _, what, why, safe, next } = &failure;
            let text = FailureText { what, why, safe, next };
            let exit = ExitCode::of_number(failure.exit as u64);
            assert_eq!(Failure::remote(code, exit, text), failure);
        }
        for code in ["", "Not A Code", "\u{1b}[31m", &"x".repeat(MAX_CODE + 1)] {
            assert_eq!(*Failure::remote(code, ExitCode::Other, TEXT).code, *"node");
        }
        assert_eq!(ExitCode::of_number(11), ExitCode::Unsafe);
        assert_eq!(ExitCode::of_number(0), ExitCode::Other);
    }
}
