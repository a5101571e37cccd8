//! What an envelope must prove before we carry it.

/// What the carrier's protocol is told: gossipsub's three answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Pass it on.
    Accept,
    /// Drop it; nobody is to blame.
    Ignore,
    /// Drop it; the carrier should have known.
    Reject,
}

/// STUB
#[derive(Clone, Copy, Debug)]
pub struct Checked;
/// STUB
#[derive(Clone, Copy, Debug)]
pub struct Refusal;
/// STUB
pub fn check() {}
