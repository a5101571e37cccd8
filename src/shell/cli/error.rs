//! What went wrong, for a person: what did not happen, why, what is safe, what to do next.

use std::fmt::Write as _;
use std::path::Path;

use crate::engine::command::CommandError;
use crate::engine::crypto::invite::InviteError;
use crate::engine::text::UntrustedText;
use crate::shell::archive::ArchiveError;
use crate::shell::backup::BackupError;
use crate::shell::net::NetError;
use crate::shell::os::data_dir::DataDirError;
use crate::shell::os::exit_code::ExitCode;
use crate::shell::os::passphrase::PassphraseError;
use crate::shell::runtime::RuntimeError;
use crate::shell::store::StoreError;

/// An error with everything a person needs.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// A stable word to search for.
    pub code: Box<str>,
    /// The exit code of the process.
    pub exit: ExitCode,
    /// What did not happen.
    pub what: String,
    /// Why.
    pub why: String,
    /// What is safe, or lost.
    pub safe: String,
    /// What to type next.
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

    /// The same, naming the folder if what it holds could not be written.
    #[must_use]
    pub fn with_home(mut self, home: &Path) -> Self {
        if self.exit == ExitCode::NotStored {
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

    /// A failure that another process of this program reports. A text that does not look like a code
    /// is replaced by one.
    #[must_use]
    pub fn remote(code: &str, exit: ExitCode, text: FailureText<'_>) -> Self {
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
    /// What did not happen.
    pub what: &'a str,
    /// Why.
    pub why: &'a str,
    /// What is safe, or lost.
    pub safe: &'a str,
    /// What to type next.
    pub next: &'a str,
}

impl core::fmt::Debug for FailureText<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // As for `Failure`: the text names people, files and addresses.
        let Self { what: _, why: _, safe: _, next: _ } = self;
        f.write_str("FailureText")
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (code, exit, what, next) = match &error {
            StoreError::Missing => (
                "no_store",
                ExitCode::NotFound,
                "nothing is kept in this home",
                "undertone identity new NAME, or name another folder with --home DIR",
            ),
            StoreError::Exists => {
                ("store_exists", ExitCode::Refused, "no store was made", "undertone   (opens it)")
            }
            StoreError::WrongPassphrase => (
                "locked",
                ExitCode::Locked,
                "the passphrase is wrong",
                "try again; nobody can recover a forgotten one",
            ),
            StoreError::InUse => (
                "in_use",
                ExitCode::InUse,
                "this home is in use by another undertone",
                "close that one, or name another folder with --home DIR",
            ),
            StoreError::UnsafePermissions(_) => (
                "unsafe_mode",
                ExitCode::Unsafe,
                "the home folder cannot be used: others can read it",
                "chmod 700 the folder and chmod 600 the files in it",
            ),
            StoreError::Newer
            | StoreError::Foreign
            | StoreError::Damaged
            | StoreError::KeyMissing
            | StoreError::TooCostly => (
                "store_unreadable",
                ExitCode::Damaged,
                "what is kept cannot be read",
                "use the undertone that wrote it, or name another folder with --home DIR",
            ),
            StoreError::DiskFull => {
                of_the_disk("disk_full", "free some space on that disk, then start it again")
            }
            StoreError::ReadOnly => of_the_disk(
                "read_only",
                "make the disk and the folder writable, then start it again",
            ),
            StoreError::DiskFails(_) => of_the_disk(
                "disk_fails",
                "look after the disk and your quota on it, then start it again",
            ),
            StoreError::TooLarge => {
                ("not_stored", ExitCode::NotStored, "that was not stored", "send it in parts")
            }
            StoreError::OutOfMemory
            | StoreError::Backwards
            | StoreError::Unsafe
            | StoreError::Sqlite(_)
            | StoreError::Io(_) => {
                ("store", ExitCode::Other, "the store failed", "undertone status")
            }
        };
        let why = error.to_string();
        let safe = if exit == ExitCode::NotStored {
            "everything accepted before is kept; what was not accepted never left"
        } else {
            "what was accepted before is kept"
        };
        Self::new(code, exit, FailureText { what, why: &why, safe, next })
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let why = error.to_string();
        let (code, exit, next) = match error {
            BackupError::Store(StoreError::Exists) => {
                ("store_exists", ExitCode::Refused, "name another folder with --home DIR")
            }
            BackupError::Store(error) => return error.into(),
            BackupError::Exists => ("backup_exists", ExitCode::Refused, "name another file"),
            BackupError::Unfinished(_) => {
                ("backup_unfinished", ExitCode::Refused, "remove it, if nobody is writing it")
            }
            BackupError::Empty => {
                ("no_identity", ExitCode::NotFound, "undertone identity new NAME")
            }
            BackupError::WrongPassphrase => {
                ("backup_locked", ExitCode::Locked, "try again; nobody can recover a forgotten one")
            }
            BackupError::Foreign | BackupError::TooCostly => (
                "not_a_backup",
                ExitCode::Damaged,
                "name the file that undertone backup create wrote",
            ),
            BackupError::Newer => (
                "backup_newer",
                ExitCode::Damaged,
                "use the undertone that made it, or a newer one",
            ),
            BackupError::Damaged => ("backup_damaged", ExitCode::Damaged, "use another copy of it"),
            BackupError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
                ("no_file", ExitCode::NotFound, "name a file, in a folder that is there")
            }
            BackupError::OutOfMemory | BackupError::TooLarge | BackupError::Io(_) => {
                ("backup", ExitCode::Other, "make room, or name another file")
            }
        };
        Self::new(
            code,
            exit,
            FailureText { what: "that was not done", why: &why, safe: "nothing was changed", next },
        )
    }
}

/// The parts of a failure of the disk: the engine is ahead of the store then, so the node ends.
const fn of_the_disk(
    code: &'static str,
    next: &'static str,
) -> (&'static str, ExitCode, &'static str, &'static str) {
    (code, ExitCode::NotStored, "nothing more can be stored, so undertone has stopped", next)
}

impl From<DataDirError> for Failure {
    fn from(error: DataDirError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<PassphraseError> for Failure {
    fn from(error: PassphraseError) -> Self {
        let why = error.to_string();
        let next = match error {
            PassphraseError::UnsafePermissions(_) => "chmod 600 the file",
            PassphraseError::NoInput
            | PassphraseError::Empty
            | PassphraseError::TooLong
            | PassphraseError::NotText
            | PassphraseError::Mismatch
            | PassphraseError::Command
            | PassphraseError::Io(_) => "add --passphrase-file FILE, or run it in a terminal",
        };
        let (code, exit) = match error {
            PassphraseError::NoInput => ("no_input", ExitCode::NoInput),
            PassphraseError::UnsafePermissions(_) => ("unsafe_mode", ExitCode::Unsafe),
            PassphraseError::Empty
            | PassphraseError::TooLong
            | PassphraseError::NotText
            | PassphraseError::Mismatch
            | PassphraseError::Command
            | PassphraseError::Io(_) => ("no_passphrase", ExitCode::Locked),
        };
        Self::new(
            code,
            exit,
            FailureText {
                what: "nothing was opened",
                why: &why,
                safe: "nothing was changed",
                next,
            },
        )
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        let why = error.to_string();
        let safe = "nothing was sent; what is queued stays queued";
        let next = "check --listen and --peer, then again";
        Self::new(
            "network",
            ExitCode::Other,
            FailureText { what: "the network was not joined", why: &why, safe, next },
        )
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let why = error.to_string();
        let (code, exit, next) = match error.cause() {
            StoreError::InUse => (
                "in_use",
                ExitCode::InUse,
                "stop the other relay, or name another folder with --home DIR",
            ),
            StoreError::UnsafePermissions(_) => (
                "unsafe_mode",
                ExitCode::Unsafe,
                "chmod 700 the folder and chmod 600 the files in it",
            ),
            StoreError::Missing
            | StoreError::Exists
            | StoreError::KeyMissing
            | StoreError::WrongPassphrase
            | StoreError::Foreign
            | StoreError::Newer
            | StoreError::Damaged
            | StoreError::TooCostly
            | StoreError::OutOfMemory
            | StoreError::DiskFull
            | StoreError::ReadOnly
            | StoreError::DiskFails(_)
            | StoreError::TooLarge
            | StoreError::Backwards
            | StoreError::Unsafe
            | StoreError::Sqlite(_)
            | StoreError::Io(_) => (
                "archive",
                ExitCode::Other,
                "make room and the folder writable, or name another with --home DIR",
            ),
        };
        let safe = "what it holds is as it was; without --archive a relay needs no disk";
        Self::new(
            code,
            exit,
            FailureText { what: "the archive was not opened", why: &why, safe, next },
        )
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Store(error) => error.into(),
            RuntimeError::Net(error) => error.into(),
            RuntimeError::Archive(error) => error.into(),
            RuntimeError::Ledger(error) => {
                let text = FailureText {
                    what: "the ledger was not written",
                    why: &error.to_string(),
                    safe: "",
                    next: "check its path",
                };
                Self::new("ledger", ExitCode::Other, text)
            }
        }
    }
}

impl From<InviteError> for Failure {
    fn from(error: InviteError) -> Self {
        let why = error.to_string();
        let what = "the invite was not taken";
        let next = "ask for the invite once more: undertone identity show";
        Self::new(
            "bad_invite",
            ExitCode::Usage,
            FailureText { what, why: &why, safe: "nothing was sent", next },
        )
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let why = error.to_string();
        let (code, exit, next) = match error {
            CommandError::NoIdentity => {
                ("identity_not_found", ExitCode::NotFound, "undertone identity list")
            }
            CommandError::NoContact => {
                ("contact_not_found", ExitCode::NotFound, "undertone contact list")
            }
            CommandError::NoRequest => {
                ("request_not_found", ExitCode::NotFound, "undertone request list")
            }
            CommandError::NoMessage => ("message_not_found", ExitCode::NotFound, "undertone"),
            CommandError::KnownKey | CommandError::OwnKey => {
                ("known_key", ExitCode::Refused, "undertone contact list")
            }
            CommandError::NameTaken | CommandError::BadName => {
                ("bad_name", ExitCode::Refused, "choose another name")
            }
            CommandError::BadText => ("bad_text", ExitCode::Refused, "send it in parts"),
            CommandError::Blocked => {
                ("blocked", ExitCode::Refused, "undertone contact unblock NAME")
            }
            CommandError::TooLate => ("too_late", ExitCode::Refused, "undertone"),
            CommandError::Full => ("full", ExitCode::Refused, "undertone status"),
            CommandError::NoSas => ("no_words", ExitCode::Refused, "undertone contact show NAME"),
            CommandError::NotOnHold => {
                ("not_held", ExitCode::Refused, "undertone contact show NAME")
            }
            CommandError::Relay => ("relay", ExitCode::Refused, "undertone"),
        };
        Self::new(
            code,
            exit,
            FailureText { what: "that was not done", why: &why, safe: "nothing was changed", next },
        )
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let store = StoreError::from(error);
        // A disk that is full or read-only is that to whatever writes to it.
        let StoreError::Io(error) = store else { return store.into() };
        let text = FailureText {
            what: "that was not done",
            why: &error.to_string(),
            safe: "what was accepted before is kept",
            next: "try again",
        };
        Self::new("io", ExitCode::Other, text)
    }
}

/// The longest code. A guess at more than any has.
const MAX_CODE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_told_by_another_process_is_the_one_it_had() {
        for failure in [Failure::from(CommandError::Full), Failure::from(StoreError::Missing)] {
            let Failure { code, exit: _, what, why, safe, next } = &failure;
            let text = FailureText { what, why, safe, next };
            let exit = ExitCode::of_number(failure.exit as u64);
            assert_eq!(Failure::remote(code, exit, text), failure);
        }
        let empty = FailureText { what: "", why: "", safe: "", next: "" };
        for code in ["", "Not A Code", "\u{1b}[31m", &"x".repeat(MAX_CODE + 1)] {
            assert_eq!(*Failure::remote(code, ExitCode::Other, empty).code, *"node");
        }
        assert_eq!(ExitCode::of_number(11), ExitCode::Unsafe);
        assert_eq!(ExitCode::of_number(0), ExitCode::Other);
    }

    #[test]
    fn a_full_disk_says_which_and_that_what_was_accepted_is_safe() {
        let failure =
            Failure::from(StoreError::DiskFull).with_home(Path::new("/home/ann/\u{1b}[2J"));
        let text = failure.render();
        assert!(
            text.contains("stopped [disk_full]") && text.contains("is full; the folder is /home")
        );
        assert!(text.contains("everything accepted before is kept") && !text.contains('\u{1b}'));
        let elsewhere = Failure::from(CommandError::Blocked).with_home(Path::new("/home/ann"));
        assert!(!elsewhere.render().contains("/home"));
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Failure::from(full).exit, ExitCode::NotStored);
    }

    #[test]
    fn an_error_says_what_why_what_is_safe_and_what_next() {
        let text = Failure::from(CommandError::Blocked).render();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "error: that was not done [blocked]",
                "   this contact is blocked",
                "   nothing was changed",
                "   next: undertone contact unblock NAME",
            ]
        );
    }
}
