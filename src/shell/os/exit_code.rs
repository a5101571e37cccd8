//! The exit codes of the process.

/// The exit codes.
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
    /// Other users can read a file or folder that should be private.
    Unsafe = 11,
    /// A question would have to be asked, and may not be.
    NoInput = 12,
    /// The disk is full, read-only or failing: the last operation was not stored.
    NotStored = 13,
    /// Interrupted.
    Interrupted = 130,
    /// Terminated.
    Terminated = 143,
}

impl ExitCode {
    /// All of them.
    const ALL: [Self; 15] = [
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
        Self::Interrupted,
        Self::Terminated,
    ];

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
        for number in [0, 14, 256, u64::MAX] {
            assert_eq!(ExitCode::of_number(number), ExitCode::Other);
        }
    }
}
