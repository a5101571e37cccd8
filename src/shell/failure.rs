//! What went wrong, for a person: what did not happen, why, what is safe, what to do next.

use std::fmt::Write as _;

use super::archive::ArchiveError;
use super::home::HomeError;
use super::host::HostError;
use super::net::NetError;
use super::passphrase::PassphraseError;
use super::store::StoreError;
use crate::engine::crypto::invite::InviteError;
use crate::engine::node::output::CommandError;

/// An error with everything a person needs.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// A stable word to search for.
    pub code: &'static str,
    /// The exit code of the process.
    pub exit: Exit,
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

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Anything that has no code of its own.
    Other = 1,
    /// Wrong usage.
    Usage = 2,
    /// No such contact, identity, request or message.
    NotFound = 3,
    /// Locked, or the wrong passphrase.
    Locked = 4,
    /// No neighbour was reached; what was accepted is queued.
    NoPeers = 5,
    /// Time was over before the state that was asked for.
    TimeOver = 6,
    /// Refused: blocked, taken, too long.
    Refused = 7,
    /// What a contact read out is not what this machine computed.
    Mismatch = 8,
    /// What is kept is damaged, foreign or of a newer version.
    Damaged = 9,
    /// A node runs already in this home.
    InUse = 10,
    /// Others can read what should be yours alone.
    Unsafe = 11,
    /// A question would have to be asked, and may not be.
    NoInput = 12,
    /// Interrupted.
    Interrupted = 130,
    /// Terminated.
    Terminated = 143,
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

    /// A failure made of its four parts.
    #[must_use]
    pub fn new(code: &'static str, exit: Exit, parts: [&str; 4]) -> Self {
        let [what, why, safe, next] = parts.map(str::to_owned);
        Self { code, exit, what, why, safe, next }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (code, exit, what, next) = match &error {
            StoreError::Missing => (
                "no_store",
                Exit::NotFound,
                "nothing is kept in this home",
                "undertone identity new NAME, or name another folder with --home DIR",
            ),
            StoreError::Exists => {
                ("store_exists", Exit::Refused, "no store was made", "undertone   (opens it)")
            }
            StoreError::WrongPassphrase => (
                "locked",
                Exit::Locked,
                "the passphrase is wrong",
                "try again; nobody can recover a forgotten one",
            ),
            StoreError::InUse => (
                "in_use",
                Exit::InUse,
                "this home is in use by another undertone",
                "close that one, or name another folder with --home DIR",
            ),
            StoreError::UnsafeMode(_) => (
                "unsafe_mode",
                Exit::Unsafe,
                "the home folder cannot be used: others can read it",
                "chmod 700 the folder and chmod 600 the files in it",
            ),
            StoreError::Newer
            | StoreError::Foreign
            | StoreError::Damaged
            | StoreError::KeyMissing
            | StoreError::TooCostly => (
                "store_unreadable",
                Exit::Damaged,
                "what is kept cannot be read",
                "use the undertone that wrote it, or name another folder with --home DIR",
            ),
            StoreError::DiskFull | StoreError::ReadOnly | StoreError::TooLarge => (
                "not_stored",
                Exit::Other,
                "nothing more could be kept",
                "make room, or make the folder writable, then again",
            ),
            StoreError::OutOfMemory
            | StoreError::Unsafe
            | StoreError::Sqlite(_)
            | StoreError::Io(_) => ("store", Exit::Other, "the store failed", "undertone status"),
        };
        let why = error.to_string();
        Self::new(code, exit, [what, &why, "what was accepted before is kept", next])
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<PassphraseError> for Failure {
    fn from(error: PassphraseError) -> Self {
        let why = error.to_string();
        let next = match error {
            PassphraseError::UnsafeMode(_) => "chmod 600 the file",
            PassphraseError::NoInput
            | PassphraseError::Empty
            | PassphraseError::TooLong
            | PassphraseError::NotText
            | PassphraseError::Mismatch
            | PassphraseError::Command
            | PassphraseError::Io(_) => "add --passphrase-file FILE, or run it in a terminal",
        };
        let (code, exit) = match error {
            PassphraseError::NoInput => ("no_input", Exit::NoInput),
            PassphraseError::UnsafeMode(_) => ("unsafe_mode", Exit::Unsafe),
            PassphraseError::Empty
            | PassphraseError::TooLong
            | PassphraseError::NotText
            | PassphraseError::Mismatch
            | PassphraseError::Command
            | PassphraseError::Io(_) => ("no_passphrase", Exit::Locked),
        };
        Self::new(code, exit, ["nothing was opened", &why, "nothing was changed", next])
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        let why = error.to_string();
        let safe = "nothing was sent; what is queued stays queued";
        let next = "check --listen and --peer, then again";
        Self::new("network", Exit::Other, ["the network was not joined", &why, safe, next])
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let why = error.to_string();
        let (code, exit, next) = match error.cause() {
            StoreError::InUse => (
                "in_use",
                Exit::InUse,
                "stop the other relay, or name another folder with --home DIR",
            ),
            StoreError::UnsafeMode(_) => {
                ("unsafe_mode", Exit::Unsafe, "chmod 700 the folder and chmod 600 the files in it")
            }
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
            | StoreError::TooLarge
            | StoreError::Unsafe
            | StoreError::Sqlite(_)
            | StoreError::Io(_) => (
                "archive",
                Exit::Other,
                "make room and the folder writable, or name another with --home DIR",
            ),
        };
        let safe = "what it holds is as it was; without --archive a relay needs no disk";
        Self::new(code, exit, ["the archive was not opened", &why, safe, next])
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Store(error) => error.into(),
            HostError::Net(error) => error.into(),
            HostError::Archive(error) => error.into(),
            HostError::Ledger(error) => {
                let parts =
                    ["the ledger was not written", &error.to_string(), "", "check its path"];
                Self::new("ledger", Exit::Other, parts)
            }
        }
    }
}

impl From<InviteError> for Failure {
    fn from(error: InviteError) -> Self {
        let why = error.to_string();
        let what = "the invite was not taken";
        let next = "ask for the invite once more: undertone identity show";
        Self::new("bad_invite", Exit::Usage, [what, &why, "nothing was sent", next])
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let why = error.to_string();
        let (code, exit, next) = match error {
            CommandError::NoIdentity => {
                ("identity_not_found", Exit::NotFound, "undertone identity list")
            }
            CommandError::NoContact => {
                ("contact_not_found", Exit::NotFound, "undertone contact list")
            }
            CommandError::NoRequest => {
                ("request_not_found", Exit::NotFound, "undertone request list")
            }
            CommandError::NoMessage => ("message_not_found", Exit::NotFound, "undertone"),
            CommandError::KnownKey | CommandError::OwnKey => {
                ("known_key", Exit::Refused, "undertone contact list")
            }
            CommandError::NameTaken | CommandError::BadName => {
                ("bad_name", Exit::Refused, "choose another name")
            }
            CommandError::BadText => ("bad_text", Exit::Refused, "send it in parts"),
            CommandError::Blocked => ("blocked", Exit::Refused, "undertone contact unblock NAME"),
            CommandError::TooLate => ("too_late", Exit::Refused, "undertone"),
            CommandError::Full => ("full", Exit::Refused, "undertone status"),
            CommandError::NoWords => ("no_words", Exit::Refused, "undertone contact show NAME"),
            CommandError::NotHeld => ("not_held", Exit::Refused, "undertone contact show NAME"),
            CommandError::Relay => ("relay", Exit::Refused, "undertone"),
        };
        Self::new(code, exit, ["that was not done", &why, "nothing was changed", next])
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let parts = [
            "that was not done",
            &error.to_string(),
            "what was accepted before is kept",
            "try again",
        ];
        Self::new("io", Exit::Other, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
