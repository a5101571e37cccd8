//! The command line as types: parsed once, not looked at again.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::engine::env::Millis;
use crate::engine::envelope::{Floor, Lifetime};
use crate::engine::secret::opaque_debug;
use crate::shell::net::{Multiaddr, NetworkName};
use crate::shell::ui::text::lifetime;

/// An anonymous, serverless, end-to-end-encrypted messenger for the terminal.
#[derive(Debug, Parser)]
#[command(name = "undertone", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do; opens the interface when left out.
    #[command(subcommand)]
    pub action: Option<CliCommand>,
    /// Settings of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// Settings of the interface's node.
    #[command(flatten)]
    pub network: NetworkArgs,
}

/// Settings of every command.
#[derive(Args, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag, there or not")]
pub struct GlobalArgs {
    /// Folder of everything that is kept [default: ~/.local/share/undertone].
    #[arg(long, global = true, value_name = "DIR", env = "UNDERTONE_HOME", hide_env_values = true)]
    pub home: Option<PathBuf>,
    /// Keep nothing: identities and messages live as long as the process.
    #[arg(long, global = true)]
    pub memory: bool,
    /// Which identity speaks, by its name.
    #[arg(
        short,
        long,
        global = true,
        value_name = "NAME",
        env = "UNDERTONE_IDENTITY",
        hide_env_values = true
    )]
    pub identity: Option<String>,
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Never ask; fail with exit code 12 instead.
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Read the passphrase from this file, which only you may read.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "UNDERTONE_PASSPHRASE_FILE",
        hide_env_values = true
    )]
    pub passphrase_file: Option<PathBuf>,
    /// Read the passphrase from this descriptor.
    #[arg(long, global = true, value_name = "N", conflicts_with = "passphrase_file")]
    pub passphrase_fd: Option<u32>,
    /// Take what this command prints as the passphrase.
    #[arg(
        long, global = true, value_name = "CMD",
        conflicts_with_all = ["passphrase_file", "passphrase_fd"]
    )]
    pub passphrase_cmd: Option<String>,
    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorMode,
    /// Draw with ASCII characters alone.
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Write a log here: counts and kinds, never texts, names, keys or addresses.
    #[arg(long, global = true, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Say what lies behind an error.
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

opaque_debug!(struct GlobalArgs {
    home, memory, identity, json, no_input, passphrase_file, passphrase_fd, passphrase_cmd,
    color, ascii, log, verbose,
});

/// Settings of a node that joins a network.
#[derive(Args, Clone)]
pub struct NetworkArgs {
    /// A neighbour to keep connected, such as /ip4/192.0.2.7/tcp/4141. May be given often.
    #[arg(long = "peer", value_name = "MULTIADDR")]
    pub peers: Vec<Multiaddr>,
    /// Where to wait for others, such as /ip4/0.0.0.0/udp/4141/quic-v1. May be given often.
    #[arg(long = "listen", value_name = "MULTIADDR")]
    pub listen: Vec<Multiaddr>,
    /// Look for others on the local network. Everybody on it learns that Undertone runs here.
    #[arg(long)]
    pub lan: bool,
    /// Which network. Nodes of different networks never meet.
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub network: NetworkName,
    /// The least work that network carries, as bits for 2 KiB living one day.
    #[arg(
        long, value_name = "BITS", default_value_t = Floor::DEFAULT.bits(),
        value_parser = clap::value_parser!(u8).range(0..=i64::from(Floor::MAX_BITS))
    )]
    pub floor: u8,
    /// Send encrypted junk so often on average, such as 2/min, to hide when you speak.
    #[arg(long, value_name = "RATE")]
    pub junk: Option<RateArg>,
}

opaque_debug!(struct NetworkArgs { peers, listen, lan, network, floor, junk });

/// What to do.
#[derive(Subcommand)]
pub enum CliCommand {
    /// A private network inside this computer, with an echo friend. Keeps nothing.
    Demo {
        /// Walk through it without a terminal, print a line for each step, and exit.
        #[arg(long)]
        check: bool,
    },
    /// Relays carry envelopes for everybody, and know nobody.
    Relay {
        /// What to do.
        #[command(subcommand)]
        action: RelayAction,
    },
    /// Your keys.
    Identity {
        /// What to do.
        #[command(subcommand)]
        action: IdentityAction,
    },
    /// The people you know.
    Contact {
        /// What to do.
        #[command(subcommand)]
        action: ContactAction,
    },
    /// Strangers who ask to be let in.
    Request {
        /// What to do.
        #[command(subcommand)]
        action: RequestAction,
    },
    /// Send one message.
    Send {
        /// To whom, by your name for them.
        contact: String,
        /// What; - or nothing reads it from standard input, where no list of processes shows it.
        text: Option<String>,
        /// How long those who carry it keep it. The longer, the more work: a week takes eight times
        /// that of a day.
        #[arg(long = "life", value_name = "LIFE", default_value = lifetime::name(Lifetime::Day), value_parser = lives())]
        lifetime: Lifetime,
        /// Return when the message is this far.
        #[arg(long, value_name = "STATE", default_value = "sent")]
        wait: WaitFor,
        /// Return after this long in any case, such as 90s or 5m.
        #[arg(long, value_name = "TIME", default_value = "60s")]
        timeout: DurationArg,
        /// The node that sends it, unless one runs already.
        #[command(flatten)]
        network: NetworkArgs,
    },
    /// Print what arrives, a line each.
    Listen {
        /// Only from these contacts.
        #[arg(long, value_name = "CONTACT")]
        from: Vec<String>,
        /// Exit after so many messages.
        #[arg(long, value_name = "N")]
        count: Option<u64>,
        /// Exit after this long, such as 90s or 5m.
        #[arg(long, value_name = "TIME")]
        timeout: Option<DurationArg>,
        /// Print what becomes of your own messages, too.
        #[arg(long)]
        states: bool,
        /// The node that listens.
        #[command(flatten)]
        network: NetworkArgs,
    },
    /// What was said with a contact, oldest first.
    History(HistoryArgs),
    /// One message, by the first digits of its id as `history` tells it.
    Message {
        /// What to do.
        #[command(subcommand)]
        action: MessageAction,
    },
    /// A sealed copy of who you are and whom you know, in one file.
    Backup {
        /// What to do.
        #[command(subcommand)]
        action: BackupAction,
    },
    /// Write what was said to a file that anybody can read, a line of JSON each.
    Export {
        /// Where to; - writes to standard output. A file that is there is not written over.
        file: PathBuf,
        /// The conversation with this contact.
        #[arg(long, value_name = "NAME", required_unless_present = "all")]
        contact: Option<String>,
        /// The conversations with everybody the identity knows.
        #[arg(long, conflicts_with = "contact")]
        all: bool,
    },
    /// Take over what `export` wrote. Nothing of it is sent.
    Import {
        /// The file; - reads standard input.
        file: PathBuf,
        /// Whose conversation it belongs to.
        #[arg(long, value_name = "NAME")]
        contact: String,
        /// Look at all of it and take nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// How the running node is, and what is kept.
    Status,
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

opaque_debug!(
    enum CliCommand {
        Demo,
        Relay,
        Identity,
        Contact,
        Request,
        Send,
        Listen,
        History,
        Message,
        Backup,
        Export,
        Import,
        Status,
        Completions,
    }
);

/// What to do as a relay.
#[derive(Debug, Subcommand)]
pub enum RelayAction {
    /// Carry envelopes until SIGTERM.
    Run {
        /// The most the pool holds, such as 64MiB. It is in memory, and gone with the process.
        #[arg(long, value_name = "SIZE", default_value = "64MiB")]
        pool: SizeArg,
        /// Keep envelopes to their expiry on disk instead, in the home folder, up to this size, such
        /// as 10GiB. It survives restarts. Memory then holds an index alone, up to 640 bytes for each
        /// envelope. The file may outgrow the size by a sixteenth and 8 MiB.
        #[arg(long, value_name = "SIZE", conflicts_with_all = ["pool", "memory"])]
        archive: Option<SizeArg>,
        /// The network it serves; it listens on port 4141 unless told otherwise.
        #[command(flatten)]
        network: NetworkArgs,
    },
}

/// What to do with identities.
#[derive(Clone, Subcommand, Serialize, Deserialize)]
pub enum IdentityAction {
    /// Make one.
    New {
        /// What you call it; nobody else sees that.
        name: String,
    },
    /// List them.
    List,
    /// Show one with its invite.
    Show {
        /// Which one, when there are several.
        name: Option<String>,
    },
    /// Make one the default.
    Use {
        /// Which one.
        name: String,
    },
    /// Erase one with its contacts and messages. There is no copy.
    Delete {
        /// Which one.
        name: String,
        /// The name once more.
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
}

opaque_debug!(
    enum IdentityAction {
        New,
        List,
        Show,
        Use,
        Delete,
    }
);

/// What to do with contacts.
#[derive(Clone, Subcommand, Serialize, Deserialize)]
pub enum ContactAction {
    /// Know somebody by their invite, and offer them a session.
    Add {
        /// UNDERTONE1... or 66 hexadecimal digits; - reads it from standard input.
        invite: String,
        /// What you call them; they do not see that.
        #[arg(long)]
        name: String,
    },
    /// List them.
    List,
    /// Show one: fingerprint, trust, and what to compare with them.
    Show {
        /// Which one.
        name: String,
    },
    /// Compare what one reads to you, over a channel you trust already.
    Verify {
        /// Which one.
        name: String,
        /// Their three words; yours are in `contact show`.
        #[arg(
            long, num_args = 3, value_names = ["WORD", "WORD", "WORD"],
            required_unless_present = "digits", conflicts_with = "digits"
        )]
        words: Vec<String>,
        /// Their 60 digits.
        #[arg(long, value_name = "DIGITS")]
        digits: Option<String>,
    },
    /// Put another key in one's place; nothing is sent to them until you verify or accept it.
    Rekey {
        /// Which one.
        name: String,
        /// Their other invite, or 66 hexadecimal digits; - reads it from standard input.
        invite: String,
    },
    /// Send to one again without having verified them. Asks for the word "accept".
    AcceptKey {
        /// Which one.
        name: String,
        /// The word was thought over already; do not ask.
        #[arg(long)]
        yes_accept: bool,
    },
    /// Call one something else.
    Rename {
        /// Which one.
        name: String,
        /// What from now on.
        to: String,
    },
    /// Whether one is told when you have looked at what they wrote, and what they tell is shown.
    ///
    /// Off unless turned on. Both must turn it on.
    ReadMarks {
        /// Which one.
        name: String,
        /// Whether.
        state: OnOff,
    },
    /// Stop listening to one. They are not told.
    Block {
        /// Which one.
        name: String,
    },
    /// Listen to one again.
    Unblock {
        /// Which one.
        name: String,
    },
    /// Forget one with all messages.
    Remove {
        /// Which one.
        name: String,
        /// The name once more.
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
}

opaque_debug!(
    enum ContactAction {
        Add,
        List,
        Show,
        Verify,
        Rekey,
        AcceptKey,
        Rename,
        ReadMarks,
        Block,
        Unblock,
        Remove,
    }
);

/// What to do with requests.
#[derive(Clone, Subcommand, Serialize, Deserialize)]
pub enum RequestAction {
    /// List them.
    List,
    /// Let one in.
    Accept {
        /// The first letters of its key, as listed.
        key: String,
        /// What you call them.
        #[arg(long)]
        name: String,
    },
    /// Forget one. They learn nothing.
    Decline {
        /// The first letters of its key, as listed.
        key: String,
    },
}

opaque_debug!(
    enum RequestAction {
        List,
        Accept,
        Decline,
    }
);

/// What to tell of a conversation.
#[derive(Args, Clone, Serialize, Deserialize)]
pub struct HistoryArgs {
    /// With whom, by your name for them.
    pub contact: String,
    /// The newest so many.
    #[arg(
        long, value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u16).range(1..=MAX_LAST)
    )]
    pub last: u16,
    /// Those before this one.
    #[arg(long, value_name = "ID")]
    pub before: Option<String>,
    /// Those with all of these words; the last may be the beginning of one.
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
}

opaque_debug!(struct HistoryArgs { contact, last, before, search });

/// What to do with a message.
#[derive(Clone, Subcommand, Serialize, Deserialize)]
pub enum MessageAction {
    /// What became of it, when, and what that means.
    Show {
        /// The first digits of its id, at least four.
        id: String,
    },
    /// Send one again that failed, was cancelled or was not acknowledged.
    Retry {
        /// The first digits of its id.
        id: String,
    },
    /// Take one back that has not left this computer.
    Cancel {
        /// The first digits of its id.
        id: String,
    },
    /// Erase one here. The contact is not told and keeps what arrived.
    Delete {
        /// The first digits of its id.
        id: String,
        /// The same digits once more.
        #[arg(long, value_name = "ID")]
        confirm: Option<String>,
    },
}

impl MessageAction {
    /// Which message, as it was typed.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Show { id }
            | Self::Retry { id }
            | Self::Cancel { id }
            | Self::Delete { id, .. } => id,
        }
    }
}

opaque_debug!(
    enum MessageAction {
        Show,
        Retry,
        Cancel,
        Delete,
    }
);

/// The most messages told at once: what a running node answers is bounded. A guess at more than
/// anybody reads in one go.
const MAX_LAST: i64 = 500;

/// What to do with backups.
#[derive(Clone, Subcommand)]
pub enum BackupAction {
    /// Write one. It never holds the keys of a session.
    Create {
        /// The file; one that is there is not written over.
        file: PathBuf,
        /// Put what was said into it, too.
        #[arg(long)]
        with_history: bool,
        /// Its passphrase.
        #[command(flatten)]
        sealed_by: BackupPassphrase,
    },
    /// Make a home from one. The device it was made on must not be used any more.
    Restore {
        /// The file.
        file: PathBuf,
        /// Its passphrase.
        #[command(flatten)]
        sealed_by: BackupPassphrase,
    },
    /// Read one to its end and say what is in it, in counts.
    Check {
        /// The file.
        file: PathBuf,
        /// Its passphrase.
        #[command(flatten)]
        sealed_by: BackupPassphrase,
    },
}

opaque_debug!(
    enum BackupAction {
        Create,
        Restore,
        Check,
    }
);

/// Where the passphrase of a backup comes from; asked for when neither is given.
#[derive(Args, Clone)]
pub struct BackupPassphrase {
    /// Read the backup's passphrase from this file, which only you may read.
    #[arg(long, value_name = "FILE")]
    pub backup_passphrase_file: Option<PathBuf>,
    /// Read the backup's passphrase from this descriptor.
    #[arg(long, value_name = "N", conflicts_with = "backup_passphrase_file")]
    pub backup_passphrase_fd: Option<u32>,
}

opaque_debug!(struct BackupPassphrase { backup_passphrase_file, backup_passphrase_fd });

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorMode {
    /// Unless NO_COLOR is set.
    Auto,
    /// Even then.
    Always,
    /// Not at all.
    Never,
}

/// How far a message has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitFor {
    /// Stored here; it leaves by itself.
    Queued,
    /// At least one neighbour has it.
    Sent,
    /// The contact acknowledged it.
    Delivered,
    /// The contact says a person has seen it; only if both turned read marks on.
    Read,
}

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum OnOff {
    /// It is.
    On,
    /// It is not.
    Off,
}

fn lives() -> impl TypedValueParser<Value = Lifetime> {
    PossibleValuesParser::new(lifetime::NAMES)
        .try_map(|name| lifetime::named(&name).ok_or(ParseNumberError))
}

/// A time such as `90s`, `5m` or `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationArg(pub Duration);

impl FromStr for DurationArg {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, ParseNumberError> {
        let (number, unit) = split(text)?;
        let seconds = match unit {
            "s" | "" => 1,
            "m" | "min" => 60,
            "h" => 3_600,
            _ => return Err(ParseNumberError),
        };
        number
            .checked_mul(seconds)
            .map(|all| Self(Duration::from_secs(all)))
            .ok_or(ParseNumberError)
    }
}

/// A number of bytes such as `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeArg(pub usize);

impl FromStr for SizeArg {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, ParseNumberError> {
        let (number, unit) = split(text)?;
        let shift = match unit {
            "B" | "" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(ParseNumberError),
        };
        let bytes = number.checked_mul(1 << shift).ok_or(ParseNumberError)?;
        usize::try_from(bytes).map(Self).map_err(|_| ParseNumberError)
    }
}

/// How often something happens on average, such as `2/min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateArg(pub Millis);

impl FromStr for RateArg {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, ParseNumberError> {
        let (number, per) = text.split_once('/').ok_or(ParseNumberError)?;
        let number: u64 = number.trim().parse().map_err(|_| ParseNumberError)?;
        let unit = match per.trim() {
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return Err(ParseNumberError),
        };
        // More than ten a second would flood the network by itself.
        match u64::checked_div(unit, number) {
            Some(mean) if mean >= 100 => Ok(Self(Millis(mean))),
            _ => Err(ParseNumberError),
        }
    }
}

/// The text is not a number with one of the units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number with a unit that fits here, or too large")]
pub struct ParseNumberError;

fn split(text: &str) -> Result<(u64, &str), ParseNumberError> {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.strip_suffix(digits).ok_or(ParseNumberError)?;
    Ok((number.parse().map_err(|_| ParseNumberError)?, digits))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_need_their_units() {
        assert_eq!("90s".parse(), Ok(DurationArg(Duration::from_secs(90))));
        assert_eq!("2h".parse(), Ok(DurationArg(Duration::from_secs(7_200))));
        assert_eq!("64MiB".parse(), Ok(SizeArg(64 << 20)));
        assert_eq!("2/min".parse(), Ok(RateArg(Millis(30_000))));
        assert_eq!("0/s".parse::<RateArg>(), Err(ParseNumberError));
        assert_eq!("11/s".parse::<RateArg>(), Err(ParseNumberError));
        assert_eq!("99999999999999999999h".parse::<DurationArg>(), Err(ParseNumberError));
        assert_eq!("5 apples".parse::<SizeArg>(), Err(ParseNumberError));
    }
}
