//! What the process answers when it ends.

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
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
    /// The disk is full, read-only or failing: what was asked last was not stored.
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

    /// The one with this number; [`ExitCode::Other`] if there is none.
    #[must_use]
    pub fn of_number(number: u64) -> Self {
        Self::ALL.into_iter().find(|exit| *exit as u64 == number).unwrap_or(Self::Other)
    }
}
