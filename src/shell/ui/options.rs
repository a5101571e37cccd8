//! The options of the interface, and how it ends.

use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use crate::engine::crypto::keys::PublicKey;
use crate::engine::env::UnixSeconds;
use crate::shell::os::io_words::io_words;

/// The look and behaviour of the interface; fixed for its life.
#[derive(Clone, Debug)]
pub struct UiOptions {
    /// Real use, or a demonstration that says so on every screen.
    pub mode: UiMode,
    /// The characters of marks and lines.
    pub glyphs: Glyphs,
    /// Whether colours may be used. Nothing depends on them.
    pub color: ColorSupport,
    /// Most bytes of one message.
    pub max_text: usize,
    /// Reads the wall clock.
    pub clock: fn() -> UnixSeconds,
    /// The time zone in which times are shown.
    pub zone: TimeZone,
    /// The form in which people hand keys on.
    pub invites: InviteCodec,
}

/// The form in which people hand keys on.
#[derive(Clone, Copy, Debug)]
pub struct InviteCodec {
    /// A key as an invite.
    pub write: fn(&PublicKey) -> String,
    /// The key in an invite, or the reason why there is none, for a person to read.
    pub read: fn(&str) -> Result<PublicKey, String>,
}

/// Real use or demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UiMode {
    /// Real use.
    Normal,
    /// Nothing leaves this computer and nothing is kept.
    Demo,
}

/// The characters of marks and lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Marks one column wide in every width table.
    Unicode,
    /// ASCII alone. Text of people is not affected.
    Ascii,
}

/// Whether colours may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorSupport {
    /// The 16 colours of the terminal.
    On,
    /// Bold, dim and reverse alone.
    Off,
}

/// The reason why the interface ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UiExit {
    /// Its user quit.
    Asked,
    /// SIGINT or SIGQUIT.
    Interrupted,
    /// SIGTERM, or SIGHUP because the terminal is gone.
    Terminated,
    /// There is no node any more; a person has read why.
    Fatal,
}

/// The reason why the interface could not go on. Nothing was lost: the node keeps what was
/// accepted.
#[derive(Debug, thiserror::Error)]
pub enum UiError {
    /// There is no terminal, or it is gone.
    #[error("the terminal cannot be used: {}", io_words(.0))]
    Terminal(#[from] std::io::Error),
}

/// The question of the unlock screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlockMode {
    /// Nothing is kept yet.
    FirstRun,
    /// A sealed store waits for its passphrase.
    Locked,
}

/// The choice of a person at the unlock screen.
#[derive(Clone, PartialEq, Eq)]
pub enum UnlockChoice {
    /// Make a store sealed by this passphrase.
    Create(Zeroizing<String>),
    /// Keep nothing.
    Memory,
    /// Open the store with this passphrase.
    Unlock(Zeroizing<String>),
}

impl core::fmt::Debug for UnlockChoice {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Create(_) => "Create",
            Self::Memory => "Memory",
            Self::Unlock(_) => "Unlock",
        })
    }
}

/// The end of the unlock screen.
#[derive(Debug)]
pub enum UnlockOutcome<T> {
    /// What was asked for is open.
    Opened(T),
    /// Its user left, or a signal came.
    Left(UiExit),
}
