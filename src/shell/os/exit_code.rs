//! The exit codes of the process.

/// The meaning of exit code 0.
pub const SUCCESS: &str = "done, as far as --wait asked for";

/// The exit codes of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Any error without a code of its own.
    Other = 1,
    /// Wrong usage.
    Usage = 2,
    /// No such contact, identity, request or message.
    NotFound = 3,
    /// Locked, or the wrong passphrase.
    Locked = 4,
    /// No neighbour was reached; accepted messages are queued.
    NoPeers = 5,
    /// The time limit passed before the requested state was reached.
    TimeOver = 6,
    /// Refused: blocked, taken, too long.
    Refused = 7,
    /// The safety number or the words that a contact read out do not match.
    Mismatch = 8,
    /// The stored data is damaged, foreign or of a newer version.
    Damaged = 9,
    /// A node runs already in this home.
    InUse = 10,
    /// Other users own, or can read, a file or folder that should be private.
    Unsafe = 11,
    /// A question would have to be asked, and may not be.
    NoInput = 12,
    /// The disk is full, read-only or failing: the last operation was not stored.
    NotStored = 13,
    /// Standard output could not be written.
    Output = 14,
    /// Interrupted.
    Interrupted = 130,
    /// Nobody reads standard output any more. The number is that of a process that SIGPIPE ended.
    OutputClosed = 141,
    /// Terminated.
    Terminated = 143,
}

impl ExitCode {
    /// All of them, by number.
    pub const ALL: [Self; 17] = [
        Self::Other,
        Self::Usage,
        Self::NotFound,
        Self::Locked,
        Self::NoPeers,
        Self::TimeOver,
        Self::Refused,
        Self::Mismatch,
        Self::Damaged,
        Self::InUse,
        Self::Unsafe,
        Self::NoInput,
        Self::NotStored,
        Self::Output,
        Self::Interrupted,
        Self::OutputClosed,
        Self::Terminated,
    ];

    /// The meaning, in words for the documentation.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Other => "anything not listed here",
            Self::Usage => "wrong usage, or a request that is not valid",
            Self::NotFound => {
                "no such contact, identity, request, message, file, home folder or running node"
            }
            Self::Locked => "wrong passphrase, or none given",
            Self::NoPeers => "no peer could be reached; the message is queued, not lost",
            Self::TimeOver => {
                "timeout before the state, or the messages, that were asked for; they may still come"
            }
            Self::Refused => {
                "refused: blocked, sending paused, name in use, text too long, file exists"
            }
            Self::Mismatch => "the words or digits do not match",
            Self::Damaged => {
                "the store or backup is damaged, incomplete, of another program or of a newer version"
            }
            Self::InUse => {
                "another process uses this home folder or changes its passphrase, or is another version"
            }
            Self::Unsafe => {
                "others own, or can read, the home folder, a passphrase file or the log"
            }
            Self::NoInput => "a prompt is needed, but not possible",
            Self::NotStored => {
                "the disk is full, read-only or failing; everything accepted before is saved"
            }
            Self::Output => "standard output could not be written; what the command did is done",
            Self::OutputClosed => "nobody reads standard output any more; nothing is said of it",
            Self::Interrupted => "interrupted; everything accepted is saved",
            Self::Terminated => "terminated; everything accepted is saved",
        }
    }

    /// The code with this number; [`ExitCode::Other`] if there is none.
    #[must_use]
    pub fn of_number(number: u64) -> Self {
        // A number comes from another process, a newer version for one.
        Self::ALL.into_iter().find(|exit| *exit as u64 == number).unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_code_that_has_it_or_none_of_its_own() {
        for exit in ExitCode::ALL {
            assert_eq!(ExitCode::of_number(exit as u64), exit);
        }
        for number in [0, 15, 256, u64::MAX] {
            assert_eq!(ExitCode::of_number(number), ExitCode::Other);
        }
    }
}
