//! The commands, and which options of every command have no use for one.

use std::path::PathBuf;

use clap::{ArgGroup, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use super::actions::{
    BackupAction, ContactAction, HistoryArgs, IdentityAction, MessageAction, NodeAction,
    PassphraseAction, RelayAction, RequestAction,
};
use super::network::NetworkFlags;
use super::values::{DurationArg, lifetime_parser, parse_count};
use crate::engine::envelope::Lifetime;
use crate::engine::price::Step;
use crate::engine::secret::opaque_debug;
use crate::shell::api::words::lifetime_name;

/// What to do.
#[derive(Subcommand)]
pub enum CliCommand {
    /// Try it out: a private network inside this computer, with an echo contact. Stores nothing.
    Demo {
        /// Run every step of the demo without a terminal, print a line for each, and exit.
        #[arg(long)]
        check: bool,
    },
    /// Run a relay: it forwards encrypted messages for everybody and has no identity.
    Relay {
        /// What to do.
        #[command(subcommand)]
        action: RelayAction,
    },
    /// Run a node without an interface, or stop the one that runs.
    Node {
        /// What to do.
        #[command(subcommand)]
        action: NodeAction,
    },
    /// Manage your identities: the keys that others know you by.
    Identity {
        /// What to do.
        #[command(subcommand)]
        action: IdentityAction,
    },
    /// Manage your contacts.
    Contact {
        /// What to do.
        #[command(subcommand)]
        action: ContactAction,
    },
    /// Manage contact requests from strangers.
    Request {
        /// What to do.
        #[command(subcommand)]
        action: RequestAction,
    },
    /// Send one message.
    #[command(mut_arg("max_work", |arg| arg.help(MESSAGE_MAX_WORK).long_help(MESSAGE_MAX_WORK)))]
    Send {
        /// The recipient: your name for the contact.
        contact: String,
        /// The message; - or nothing reads it from standard input, where no list of processes shows
        /// it.
        text: Option<String>,
        /// How long the network keeps the message before it expires. A longer lifetime needs more
        /// proof of work: a week needs four times as much as a day.
        #[arg(
            long = "life", value_name = "LIFETIME", default_value = lifetime_name(Lifetime::Day),
            value_parser = lifetime_parser()
        )]
        lifetime: Lifetime,
        /// The most proof of work for the message, as it was given to the command or before it.
        #[arg(skip)]
        max_work: Option<Step>,
        /// Return when the message has reached this state.
        #[arg(long, value_name = "STATE", default_value = "sent")]
        wait: WaitFor,
        /// Return after this time in any case, such as 90s or 5m [default: 60s, and up to an hour
        /// more while the message only waits its turn].
        #[arg(long, value_name = "TIME")]
        timeout: Option<DurationArg>,
        /// The node that sends it, unless one runs already.
        #[command(flatten)]
        network: NetworkFlags,
    },
    /// Print incoming messages, one per line.
    Listen {
        /// Only messages from this contact. Can be repeated.
        #[arg(long, value_name = "CONTACT")]
        from: Vec<String>,
        /// Exit after this many messages, once their acknowledgements have left.
        #[arg(
            long, value_name = "N", allow_negative_numbers = true, value_parser = parse_count
        )]
        count: Option<u64>,
        /// Exit after this time, such as 90s or 5m; with exit code 6 if fewer messages came than --count
        /// says.
        #[arg(long, value_name = "TIME")]
        timeout: Option<DurationArg>,
        /// Also print the states of your own messages, such as delivered.
        #[arg(long)]
        states: bool,
        /// The node that listens.
        #[command(flatten)]
        network: NetworkFlags,
    },
    /// Show the messages with a contact, oldest first.
    History(HistoryArgs),
    /// Show, retry, cancel or delete one message, by the first digits of its id.
    Message {
        /// What to do.
        #[command(subcommand)]
        action: MessageAction,
    },
    /// Change the passphrase of the home folder.
    Passphrase {
        /// What to do.
        #[command(subcommand)]
        action: PassphraseAction,
    },
    /// Back up and restore identities, contacts and, if you like, messages in one encrypted file.
    Backup {
        /// What to do.
        #[command(subcommand)]
        action: BackupAction,
    },
    /// Export messages to a file of JSON lines, which is not encrypted.
    #[command(group(ArgGroup::new("chats").args(["contact", "all"]).required(true)))]
    Export {
        /// The file to write; - is standard output. An existing file is not overwritten.
        file: PathBuf,
        /// Export the chat with this contact.
        #[arg(long, value_name = "NAME")]
        contact: Option<String>,
        /// Export the chats with all contacts of the identity.
        #[arg(long)]
        all: bool,
    },
    /// Import messages from a file written by `export`. Nothing is sent.
    Import {
        /// The file to read; - is standard input.
        file: PathBuf,
        /// The contact whose chat they are added to.
        #[arg(long, value_name = "NAME")]
        contact: String,
        /// Check the whole file and count its messages, but import nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show the state of the running node and what the home folder contains.
    Status,
    /// Print a completion script for your shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

opaque_debug!(
    enum CliCommand {
        Demo,
        Relay,
        Node,
        Identity,
        Contact,
        Request,
        Send,
        Listen,
        History,
        Message,
        Passphrase,
        Backup,
        Export,
        Import,
        Status,
        Completions,
    }
);

impl CliCommand {
    /// What it is called by.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Demo { .. } => "undertone demo",
            Self::Relay { .. } => "undertone relay run",
            Self::Node { .. } => "undertone node",
            Self::Identity { .. } => "undertone identity",
            Self::Contact { .. } => "undertone contact",
            Self::Request { .. } => "undertone request",
            Self::Send { .. } => "undertone send",
            Self::Listen { .. } => "undertone listen",
            Self::History(_) => "undertone history",
            Self::Message { .. } => "undertone message",
            Self::Passphrase { .. } => "undertone passphrase",
            Self::Backup { .. } => "undertone backup",
            Self::Export { .. } => "undertone export",
            Self::Import { .. } => "undertone import",
            Self::Status => "undertone status",
            Self::Completions { .. } => "undertone completions",
        }
    }

    /// Why options of every command would change nothing in what it does. Commands that answer by
    /// themselves why they cannot be used with `--memory` are left to that.
    pub(super) const fn has_no_use(&self) -> Without {
        match self {
            Self::Demo { .. } | Self::Relay { .. } | Self::Node { .. } => {
                Without { identity: Some(NOBODY), memory: None }
            }
            Self::Completions { .. } => Without { identity: Some(NOBODY), memory: Some(SCRIPT) },
            Self::Identity { action: IdentityAction::Show { name: None } } => {
                Without { identity: None, memory: Some(STORED) }
            }
            Self::Identity { action: IdentityAction::List } => {
                Without { identity: Some(ALL), memory: Some(STORED) }
            }
            Self::Identity {
                action:
                    IdentityAction::New { .. }
                    | IdentityAction::Show { name: Some(_) }
                    | IdentityAction::Use { .. }
                    | IdentityAction::Delete { .. },
            } => Without { identity: Some(NAMED), memory: Some(STORED) },
            Self::Contact { .. }
            | Self::Request { .. }
            | Self::Send { .. }
            | Self::History(_)
            | Self::Export { .. }
            | Self::Import { .. } => Without { identity: None, memory: Some(STORED) },
            Self::Message { .. } => Without { identity: Some(BY_ID), memory: Some(STORED) },
            Self::Listen { .. } => Without { identity: Some(ALL), memory: None },
            Self::Passphrase { .. } | Self::Backup { .. } => {
                Without { identity: Some(ALL), ..Without::NOTHING }
            }
            Self::Status => Without { identity: Some(ALL), memory: Some(STORED) },
        }
    }

    /// The settings of the node that it runs; `None` if it runs none.
    pub(super) fn network_mut(&mut self) -> Option<&mut NetworkFlags> {
        match self {
            Self::Relay { action: RelayAction::Run { network, .. } }
            | Self::Node { action: NodeAction::Run { network } }
            | Self::Send { network, .. }
            | Self::Listen { network, .. } => Some(network),
            Self::Demo { .. }
            | Self::Node { action: NodeAction::Stop }
            | Self::Identity { .. }
            | Self::Contact { .. }
            | Self::Request { .. }
            | Self::History(_)
            | Self::Message { .. }
            | Self::Passphrase { .. }
            | Self::Backup { .. }
            | Self::Export { .. }
            | Self::Import { .. }
            | Self::Status
            | Self::Completions { .. } => None,
        }
    }
}

/// What `--max-work` means for one message.
const MESSAGE_MAX_WORK: &str = "The most proof of work to do for the message, in times of the usual; \
    until it is delivered, also for what goes to this contact before it. While the network is busy \
    and asks for more, it waits for a lower price; 256 is the most that is ever asked [default: that \
    of the contact (contact max-work), else that of the node, 8]";

/// The state to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitFor {
    /// Saved here; it is sent automatically.
    Queued,
    /// At least one peer has taken it, and it shows the work that is asked.
    Sent,
    /// The contact's device has acknowledged it.
    Delivered,
    /// The contact has read it; only if both turned read marks on.
    Read,
}

/// Why options that every command takes have no use for one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Without {
    pub(super) identity: Option<&'static str>,
    pub(super) memory: Option<&'static str>,
}

impl Without {
    const NOTHING: Self = Self { identity: None, memory: None };

    pub(super) const INTERFACE: Self =
        Self { identity: Some("F6 is where you choose whom to speak as"), memory: None };
}

const NOBODY: &str = "it acts for no identity";

const ALL: &str = "it is about all identities of the home folder";

const NAMED: &str = "the identity it is about is named without an option";

const BY_ID: &str = "a message is named by its id, whoever wrote it";

const SCRIPT: &str = "it prints a script";

const STORED: &str = "it is about what is stored in the home folder, and that stores nothing";
