//! Subcommands with what each takes, and the part of a chat that `history` shows.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::network::NetworkFlags;
use super::values::{RoomArg, limit_parser, parse_archive, work_parser};
use crate::engine::price::Step;
use crate::engine::secret::opaque_debug;
use crate::shell::api::words::WorkLimit;

/// What to do as a relay.
#[derive(Debug, Subcommand)]
pub enum RelayAction {
    /// Forward messages until stopped by a signal. Listens on port 4141 if --listen is not given.
    ///
    /// Without --pool and --archive it goes on with the archive in the home folder, if there is one
    /// of this network, in the size it has. Else it has room for 293,000 envelopes, which take about
    /// 0.6 GiB: in memory where 2 GiB are free, else in a new archive in the home folder. It says
    /// which, and why.
    Run {
        /// Maximum size of the pool, such as 64MiB. It is in memory, lost when the process ends.
        #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
        pool: Option<RoomArg>,
        /// Store envelopes on disk instead, in the home folder, until they expire, up to this size,
        /// such as 10GiB. They survive restarts. Memory then contains an index only, of up to 640
        /// bytes for each envelope. Beside the file lies a log of up to 8 MiB.
        #[arg(
            long, value_name = "SIZE", allow_negative_numbers = true, conflicts_with = "pool",
            value_parser = parse_archive
        )]
        archive: Option<RoomArg>,
        /// Remove from the archive what does not fit into a smaller size than it had before. Without
        /// this, a relay that would have to remove something is not started.
        #[arg(long, requires = "archive", conflicts_with = "pool")]
        shrink: bool,
        /// The network it serves.
        #[command(flatten)]
        network: NetworkFlags,
    },
}

/// What to do with the node of a home folder.
#[derive(Debug, Subcommand)]
pub enum NodeAction {
    /// Run a node that other commands and interfaces use, until a signal or `node stop` ends it.
    Run {
        /// The network it joins.
        #[command(flatten)]
        network: NetworkFlags,
    },
    /// Stop the node that runs in the home folder. What it accepted is saved, and sent by the next.
    Stop,
}

/// What to do with identities.
#[derive(Subcommand)]
pub enum IdentityAction {
    /// Create an identity.
    New {
        /// Your name for it; nobody else sees it.
        name: String,
    },
    /// List your identities.
    List,
    /// Show an identity with its invite.
    Show {
        /// Its name; needed only if there are several and none is the default.
        name: Option<String>,
    },
    /// Make an identity the default.
    Use {
        /// Its name.
        name: String,
    },
    /// Delete an identity with its contacts and messages. This cannot be undone.
    Delete {
        /// Its name.
        name: String,
        /// The same name again, to confirm.
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
#[derive(Subcommand)]
pub enum ContactAction {
    /// Add a contact by their invite, and send them a contact request.
    Add {
        /// Their invite (UNDERTONE1...) or key (66 hexadecimal digits); - reads standard input.
        invite: String,
        /// Your name for the contact; they do not see it.
        #[arg(long)]
        name: String,
        /// The most proof of work to do for the request, and for whatever goes to the contact after
        /// it, in times of the usual. While the network is busy and asks for more, it waits for a
        /// lower price; 256 is the most that is ever asked [default: that of the node, 8].
        /// `contact max-work` changes it.
        #[arg(
            long, value_name = "TIMES", allow_negative_numbers = true, value_parser = work_parser()
        )]
        max_work: Option<Step>,
    },
    /// List your contacts.
    List,
    /// Show a contact: fingerprint, trust, and what to compare with them.
    Show {
        /// The contact.
        name: String,
    },
    /// Verify a contact: compare what they read to you, over a channel you already trust.
    #[command(group(ArgGroup::new("proof").args(["words", "digits"]).required(true)))]
    Verify {
        /// The contact.
        name: String,
        /// The three words they read to you; yours are in `contact show`.
        #[arg(long, num_args = 3, value_names = ["WORD", "WORD", "WORD"])]
        words: Vec<String>,
        /// The 60 digits of the safety number they read to you.
        #[arg(long, value_name = "DIGITS")]
        digits: Option<String>,
    },
    /// Replace a contact's key. Nothing is sent to them until you verify or accept it.
    Rekey {
        /// The contact.
        name: String,
        /// Their new invite or key; - reads standard input.
        invite: String,
    },
    /// Resume sending to a contact without verifying them. Asks you to type "accept".
    AcceptKey {
        /// The contact.
        name: String,
        /// Accept without asking.
        #[arg(long)]
        yes_accept: bool,
    },
    /// Rename a contact. They do not see it.
    Rename {
        /// The contact.
        name: String,
        /// The new name.
        to: String,
    },
    /// Turn read marks (read receipts) with a contact on or off.
    ///
    /// Once both of you have turned them on, each sees which messages the other has read. They are
    /// off by default.
    ReadMarks {
        /// The contact.
        name: String,
        /// On or off.
        state: OnOff,
    },
    /// Say how much work may be done for whatever goes to a contact, in times of the usual.
    ///
    /// It counts from now on, and what waits for a lower price is sent at once if it may cost enough
    /// now. A message with a --max-work of its own is not concerned.
    MaxWork {
        /// The contact.
        name: String,
        /// 1, 2, 4 .. 256 times the usual work; 256 is the most that is ever asked. `usual` is what
        /// the node allows for everything that has no limit of its own, 8 if not said otherwise.
        #[arg(value_name = "TIMES", allow_negative_numbers = true, value_parser = limit_parser())]
        limit: WorkLimit,
    },
    /// Block a contact and end the session. They are not notified.
    Block {
        /// The contact.
        name: String,
    },
    /// Unblock a contact.
    Unblock {
        /// The contact.
        name: String,
    },
    /// Remove a contact and delete all messages with them. This cannot be undone.
    Remove {
        /// The contact.
        name: String,
        /// The same name again, to confirm.
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
        MaxWork,
        Block,
        Unblock,
        Remove,
    }
);

/// What to do with requests.
#[derive(Subcommand)]
pub enum RequestAction {
    /// List contact requests.
    List,
    /// Accept a request.
    Accept {
        /// The first digits of the key, at least four.
        key: String,
        /// Your name for the new contact; they do not see it.
        #[arg(long)]
        name: String,
    },
    /// Decline a request. The sender is not notified.
    Decline {
        /// The first digits of the key, at least four.
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

/// Which part of a chat to show.
#[derive(Args, Clone)]
pub struct HistoryArgs {
    /// Your name for the contact.
    pub contact: String,
    /// Show this many of the newest messages.
    #[arg(
        long, value_name = "N", default_value_t = 50, allow_negative_numbers = true,
        value_parser = clap::value_parser!(u16).range(1..=MAX_LAST)
    )]
    pub last: u16,
    /// Show messages older than this one.
    #[arg(long, value_name = "ID")]
    pub before: Option<String>,
    /// Show messages with all of these words; the last one may be incomplete.
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
}

opaque_debug!(struct HistoryArgs { contact, last, before, search });

/// What to do with a message.
#[derive(Subcommand)]
pub enum MessageAction {
    /// Show the state of a message, its times, and what happens next.
    Show {
        /// The first digits of its id, at least four.
        id: String,
    },
    /// Send a message again that failed, was cancelled or was not acknowledged.
    Retry {
        /// The first digits of its id, at least four.
        id: String,
    },
    /// Cancel a message that has not left this computer.
    Cancel {
        /// The first digits of its id, at least four.
        id: String,
    },
    /// Delete a message on this computer. The contact keeps their copy and is not notified.
    Delete {
        /// The first digits of its id, at least four.
        id: String,
        /// The same digits again, to confirm.
        #[arg(long, value_name = "ID")]
        confirm: Option<String>,
    },
}

opaque_debug!(
    enum MessageAction {
        Show,
        Retry,
        Cancel,
        Delete,
    }
);

/// The most messages shown at once. A guess at more than anybody reads in one go.
const MAX_LAST: i64 = 500;

/// What to do with the passphrase.
#[derive(Clone, Debug, Subcommand)]
pub enum PassphraseAction {
    /// Change it, whether a node runs or not: the node goes on, and the next start needs the new
    /// one.
    ///
    /// The old passphrase is asked for or read as for every other command. An old copy of the home
    /// folder still opens with the old passphrase, and a backup with its own.
    Change {
        /// The new passphrase.
        #[command(flatten)]
        new: NewPassphrase,
    },
}

/// Where a new passphrase comes from; asked for twice when neither is given.
#[derive(Args, Clone)]
pub struct NewPassphrase {
    /// Read the new passphrase from this file, which only you may have access to.
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
    /// Read the new passphrase from this file descriptor.
    #[arg(long, value_name = "N", conflicts_with = "new_passphrase_file")]
    pub new_passphrase_fd: Option<u32>,
}

opaque_debug!(struct NewPassphrase { new_passphrase_file, new_passphrase_fd });

/// What to do with backups.
#[derive(Clone, Subcommand)]
pub enum BackupAction {
    /// Create a backup. It never contains session keys.
    Create {
        /// The backup file; an existing file is not overwritten.
        file: PathBuf,
        /// Include messages.
        #[arg(long)]
        with_history: bool,
        /// Its passphrase.
        #[command(flatten)]
        sealed_by: BackupPassphrase,
    },
    /// Restore a backup into a new home folder. Do not use the old device any more.
    Restore {
        /// The backup file.
        file: PathBuf,
        /// Its passphrase.
        #[command(flatten)]
        sealed_by: BackupPassphrase,
    },
    /// Read a whole backup, check that it is intact, and count what it contains.
    Check {
        /// The backup file.
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
    /// Read the backup's passphrase from this file, which only you may have access to.
    #[arg(long, value_name = "FILE")]
    pub backup_passphrase_file: Option<PathBuf>,
    /// Read the backup's passphrase from this file descriptor.
    #[arg(long, value_name = "N", conflicts_with = "backup_passphrase_file")]
    pub backup_passphrase_fd: Option<u32>,
}

opaque_debug!(struct BackupPassphrase { backup_passphrase_file, backup_passphrase_fd });

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// On.
    On,
    /// Off.
    Off,
}
