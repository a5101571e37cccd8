//! The command line as types: parsed once, not looked at again.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::{Component, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{
    Arg, ArgGroup, Args, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    ValueEnum,
};
use serde::{Deserialize, Serialize};

use crate::engine::env::Millis;
use crate::engine::envelope::{Floor, Lifetime};
use crate::engine::price::{Step, line};
use crate::engine::relay::pool::PoolBounds;
use crate::engine::secret::opaque_debug;
use crate::engine::settings::DEFAULT_HIGHEST_STEP;
use crate::shell::api::words::{
    LIFETIME_NAMES, LIMIT_NAMES, WORK_NAMES, WorkLimit, lifetime_name, lifetime_named, limit_named,
    work_named,
};
use crate::shell::archive;
use crate::shell::client::GivenOption;
use crate::shell::failure;
use crate::shell::net::{Multiaddr, NetworkName};
use crate::shell::os::data_dir::HOME_VARIABLE;
use crate::shell::text;

/// An anonymous, serverless, end-to-end-encrypted messenger for the terminal.
#[derive(Debug, Parser)]
#[command(
    name = "undertone", version, max_term_width = 100, disable_help_subcommand = true,
    after_long_help = failure::help()
)]
pub struct Cli {
    /// What to do; opens the interface when left out.
    #[command(subcommand)]
    pub action: Option<CliCommand>,
    /// Settings of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// Settings of the interface's node, or of the node that a command runs.
    #[command(flatten)]
    pub network: NetworkFlags,
}

impl Cli {
    /// Parses the words of a command line, of which the first is the program's name.
    ///
    /// # Errors
    /// What to print in place of a command: help, or what is wrong with the words.
    pub fn of_words<W>(words: impl IntoIterator<Item = W>) -> Result<Self, clap::Error>
    where
        W: Into<OsString> + Clone,
    {
        let mut matches = Self::command().try_get_matches_from(words)?;
        let command = matches.subcommand_name().unwrap_or_default().to_owned();
        let was_typed = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        let typed: Vec<&str> =
            ["identity", "memory"].into_iter().filter(|id| was_typed(id)).collect();
        let mut cli = Self::from_arg_matches_mut(&mut matches)
            .map_err(|error| error.format(&mut Self::command()))?;
        cli.pass_network_on(&command)?;
        cli.global.refuse_two_passphrases()?;
        cli.global.take_from(|name| std::env::var_os(name))?;
        cli.global.refuse_tildes()?;
        match cli.without_meaning(&typed) {
            Some(why) => Err(Self::command().error(ErrorKind::ArgumentConflict, why)),
            None => Ok(cli),
        }
    }

    /// What was typed of a command and would change nothing in what it does, with the reason. A
    /// variable of the environment is for all commands, so it need not mean something to each; nor
    /// need what says where a passphrase comes from, and how the output looks.
    fn without_meaning(&self, typed: &[&str]) -> Option<String> {
        if self.global.verbose && self.global.log.is_none() {
            return Some("'--verbose' is about the log, so it needs '--log <FILE>'".to_owned());
        }
        let (name, without) = self
            .action
            .as_ref()
            .map_or((UNNAMED, Without::INTERFACE), |action| (action.name(), action.has_no_use()));
        if let Some(why) = without.identity.filter(|_| typed.contains(&"identity")) {
            return Some(format!("'--identity' cannot be used with '{name}': {why}"));
        }
        if let Some(why) = without.memory.filter(|_| typed.contains(&"memory")) {
            return Some(format!("'--memory' cannot be used with '{name}': {why}"));
        }
        match &self.action {
            Some(CliCommand::Relay { action: RelayAction::Run { network, .. } })
                if network.junk.is_none() =>
            {
                let flag = network.first_about_work()?;
                Some(format!(
                    "'{flag}' cannot be used with '{name}' without '--junk': a relay does work for \
                     nothing else"
                ))
            }
            Some(_) | None => None,
        }
    }

    /// Gives the command what was said of its node before its name. Nothing that was said is
    /// ignored: who names a network must not find themselves in another one.
    fn pass_network_on(&mut self, command: &str) -> Result<(), clap::Error> {
        let Some(action) = &mut self.action else { return Ok(()) };
        // After the name it is the limit of the message, before it that of a node of its own, too.
        if let CliCommand::Send { max_work, network, .. } = action {
            *max_work = network.max_work.take().or(self.network.max_work);
        }
        if let Some(network) = action.network_mut() {
            let before = std::mem::take(&mut self.network);
            *network = before.followed_by(std::mem::take(network));
            return Ok(());
        }
        let Some(flag) = self.network.first_given() else { return Ok(()) };
        let message = format!(
            "the argument '{flag}' cannot be used with 'undertone {command}', which takes no settings \
             of a node"
        );
        Err(Self::command().error(ErrorKind::ArgumentConflict, message))
    }
}

/// Why options that every command takes have no use for one.
#[derive(Clone, Copy, Debug)]
struct Without {
    identity: Option<&'static str>,
    memory: Option<&'static str>,
}

impl Without {
    const NOTHING: Self = Self { identity: None, memory: None };

    const INTERFACE: Self =
        Self { identity: Some("F6 is where you choose whom to speak as"), memory: None };
}

/// The interface, which has no name as a command.
const UNNAMED: &str = "undertone";

const NOBODY: &str = "it acts for no identity";

const ALL: &str = "it is about all identities of the home folder";

const NAMED: &str = "the identity it is about is named without an option";

const BY_ID: &str = "a message is named by its id, whoever wrote it";

const SCRIPT: &str = "it prints a script";

const STORED: &str = "it is about what is stored in the home folder, and that stores nothing";

/// Settings of every command.
#[derive(Args, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag, there or not")]
pub struct GlobalArgs {
    /// Home folder: identities, contacts and messages are stored here [env: UNDERTONE_HOME] [default:
    /// ~/.local/share/undertone].
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Store nothing on disk: identities and messages are lost when the process ends.
    #[arg(long, global = true)]
    pub memory: bool,
    /// Name of the identity to use [env: UNDERTONE_IDENTITY].
    #[arg(short, long, global = true, value_name = "NAME")]
    pub identity: Option<String>,
    /// Print results and errors as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Never prompt: exit with code 12 where a prompt would be needed.
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Read the passphrase from this file, which must be your own and which only you may have access to
    /// [env: UNDERTONE_PASSPHRASE_FILE].
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Read the passphrase from this file descriptor.
    #[arg(long, global = true, value_name = "N", conflicts_with = "passphrase_file")]
    pub passphrase_fd: Option<u32>,
    /// Run this command and use its output as the passphrase.
    #[arg(
        long, global = true, value_name = "CMD",
        conflicts_with_all = ["passphrase_file", "passphrase_fd"]
    )]
    pub passphrase_cmd: Option<String>,
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorMode,
    /// Use ASCII characters only.
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Write a log to this file: events and counts, never messages, names, keys or addresses. It is made,
    /// or is a file of your own with mode 0600, and no link.
    #[arg(long, global = true, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Write more detail to the log.
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

opaque_debug!(struct GlobalArgs {
    home, memory, identity, json, no_input, passphrase_file, passphrase_fd, passphrase_cmd,
    color, ascii, log, verbose,
});

impl GlobalArgs {
    /// Takes from the environment what was not typed. Not left to the parser of the command line: whoever
    /// sets variables for others, as `docker compose` and service managers do, sets them to nothing where
    /// there is nothing to say, and a variable that is empty is none.
    fn take_from(
        &mut self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<(), clap::Error> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if self.home.is_none() {
            self.home = variable(HOME_VARIABLE).map(PathBuf::from);
        }
        // What was typed wins, also where it says in another way where the passphrase comes from.
        let said = self.passphrase_fd.is_some() || self.passphrase_cmd.is_some();
        if !said && self.passphrase_file.is_none() {
            self.passphrase_file = variable(FILE_VARIABLE).map(PathBuf::from);
        }
        if let (None, Some(name)) = (&self.identity, variable(IDENTITY_VARIABLE)) {
            let name = name.into_string().map_err(|_| {
                let message = format!("the variable {IDENTITY_VARIABLE} is not UTF-8 text");
                Cli::command().error(ErrorKind::InvalidUtf8, message)
            })?;
            self.identity = Some(name);
        }
        Ok(())
    }

    /// Refuses a path that begins with `~/`: a shell that had read it would have put the folder of the user
    /// there, so a folder of the name `~` would be made, which somebody removes with `rm -r ~`.
    fn refuse_tildes(&self) -> Result<(), clap::Error> {
        let given = [
            ("--home", HOME_VARIABLE, &self.home),
            ("--passphrase-file", FILE_VARIABLE, &self.passphrase_file),
            ("--log", "", &self.log),
        ];
        let is_home = |part: Component<'_>| part == Component::Normal(OsStr::new("~"));
        for (flag, variable, path) in given {
            let Some(path) = path else { continue };
            if path.components().next().is_some_and(is_home) {
                let or = if variable.is_empty() { "" } else { " or " };
                let message = format!(
                    "{path:?} in {flag}{or}{variable} begins with ~, which only a shell replaces by your \
                     folder, at the beginning of a word: write $HOME in its place, or ./~ for a folder of \
                     that name"
                );
                return Err(Cli::command().error(ErrorKind::ValueValidation, message));
            }
        }
        Ok(())
    }

    /// Refuses two sources of the passphrase, of which one would be ignored. The parser compares
    /// only those that stand on the same side of the command's name.
    fn refuse_two_passphrases(&self) -> Result<(), clap::Error> {
        let given = [
            ("--passphrase-file", self.passphrase_file.is_some()),
            ("--passphrase-fd", self.passphrase_fd.is_some()),
            ("--passphrase-cmd", self.passphrase_cmd.is_some()),
        ];
        let mut given = given.into_iter().filter_map(|(flag, given)| given.then_some(flag));
        match (given.next(), given.next()) {
            (Some(one), Some(other)) => {
                let message = format!("the argument '{one}' cannot be used with '{other}'");
                Err(Cli::command().error(ErrorKind::ArgumentConflict, message))
            }
            _ => Ok(()),
        }
    }
}

/// Names the identity to use in the environment.
const IDENTITY_VARIABLE: &str = "UNDERTONE_IDENTITY";

/// Names the file of the passphrase in the environment.
const FILE_VARIABLE: &str = "UNDERTONE_PASSPHRASE_FILE";

/// Settings of a node that joins a network, as far as they were given.
#[derive(Args, Clone, Default)]
pub struct NetworkFlags {
    /// Stay connected to this peer, such as /ip4/192.0.2.7/tcp/4141. Can be repeated.
    #[arg(long = "peer", value_name = "MULTIADDR", value_parser = parse_address)]
    pub peers: Vec<Multiaddr>,
    /// Accept connections on this address, such as /ip4/0.0.0.0/udp/4141/quic-v1. Can be repeated.
    #[arg(long = "listen", value_name = "MULTIADDR", value_parser = parse_address)]
    pub listen: Vec<Multiaddr>,
    /// Find peers on the local network. Everybody on it can see that Undertone runs here.
    #[arg(long)]
    pub lan: bool,
    /// Name of the network. Nodes of different networks exchange nothing [default: main].
    #[arg(long, value_name = "NAME")]
    pub network: Option<NetworkName>,
    /// Minimum proof of work of the network, in bits, for 2 KiB with a lifetime of one day
    /// [default: 24].
    #[arg(
        long, value_name = "BITS", allow_negative_numbers = true,
        value_parser = clap::value_parser!(u8).range(0..=i64::from(Floor::MAX_BITS))
    )]
    pub floor: Option<u8>,
    /// Pass on at most this many envelopes of 2 KiB per second, averaged over two minutes; a larger one
    /// counts once for each 2 KiB. When more arrives, only what shows more proof of work is passed on
    /// [default: 16].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub line: Option<LineArg>,
    /// Send encrypted junk at random times, this often on average, such as 2/min, to hide when you
    /// write. While the network asks for more work than --max-work, none is sent.
    #[arg(long, value_name = "RATE")]
    pub junk: Option<RateArg>,
    /// The most proof of work that the node does for an envelope, in times of the usual: for messages
    /// without a limit of their own, acknowledgements, contact requests and junk; before "send" also
    /// the limit of its message. While the network is busy and asks for more, they wait for a lower
    /// price; 256 is the most that is ever asked [default: 8].
    #[arg(
        long, value_name = "TIMES", allow_negative_numbers = true, value_parser = work_parser()
    )]
    pub max_work: Option<Step>,
    /// Compute proof of work on at most this many processors at once, at the lowest priority; on half
    /// of them while the computer runs on its battery [default: all but one].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_threads)]
    pub mining_threads: Option<usize>,
}

opaque_debug!(struct NetworkFlags {
    peers, listen, lan, network, floor, line, junk, max_work, mining_threads,
});

impl NetworkFlags {
    /// These, and those that were given after the name of the command, which win.
    fn followed_by(self, after: Self) -> Self {
        Self {
            peers: [self.peers, after.peers].concat(),
            listen: [self.listen, after.listen].concat(),
            lan: self.lan || after.lan,
            network: after.network.or(self.network),
            floor: after.floor.or(self.floor),
            line: after.line.or(self.line),
            junk: after.junk.or(self.junk),
            max_work: after.max_work.or(self.max_work),
            mining_threads: after.mining_threads.or(self.mining_threads),
        }
    }

    /// The first that was given of those that are about the work for what a node itself sends.
    fn first_about_work(&self) -> Option<&'static str> {
        let given = [
            ("--max-work", self.max_work.is_some()),
            ("--mining-threads", self.mining_threads.is_some()),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }

    /// The first of them that was given.
    fn first_given(&self) -> Option<&'static str> {
        let Self { peers, listen, lan, network, floor, line, junk, max_work, mining_threads } =
            self;
        let given = [
            ("--peer", !peers.is_empty()),
            ("--listen", !listen.is_empty()),
            ("--lan", *lan),
            ("--network", network.is_some()),
            ("--floor", floor.is_some()),
            ("--line", line.is_some()),
            ("--junk", junk.is_some()),
            ("--max-work", max_work.is_some()),
            ("--mining-threads", mining_threads.is_some()),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }
}

/// Reads an address of a node. The error says how what was meant is written.
fn parse_address(text: &str) -> Result<Multiaddr, AddressError> {
    match text.parse::<Multiaddr>() {
        Ok(address) if !address.is_empty() => Ok(address),
        // Of no parts it is an address too, such as that of a variable that says nothing.
        Ok(_) | Err(_) => Err(AddressError { meant: meant_address(text) }),
    }
}

/// A text is no address of a node.
#[derive(thiserror::Error)]
#[error(
    "expected an address such as /ip4/192.0.2.7/tcp/4141 or /dns/relay.example.org/tcp/4141{}",
    perhaps(.meant.as_deref())
)]
struct AddressError {
    /// The same as an address, if that can be told.
    meant: Option<String>,
}

opaque_debug!(struct AddressError { meant });

fn perhaps(address: Option<&str>) -> String {
    address.map(|address| format!("; perhaps {address}")).unwrap_or_default()
}

/// The address that somebody meant who wrote one as other programs take it: a host, with or without a port.
fn meant_address(text: &str) -> Option<String> {
    let text = text.trim();
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    let (host, port) = if let Some(rest) = after_scheme.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        (host, port.strip_prefix(':').unwrap_or(USUAL_PORT))
    } else if after_scheme.parse::<IpAddr>().is_ok() {
        (after_scheme, USUAL_PORT)
    } else if let Some(written) =
        after_scheme.strip_prefix("/ip4/").or(after_scheme.strip_prefix("/ip6/"))
    {
        let (host, rest) = written.split_once('/')?;
        // A name where numbers are expected: the rest may be right.
        let address = format!("/dns/{host}/{rest}");
        return address.parse::<Multiaddr>().is_ok().then_some(address);
    } else {
        after_scheme.split_once(':').unwrap_or((after_scheme, USUAL_PORT))
    };
    let kind = match host.parse() {
        Ok(IpAddr::V4(_)) => "ip4",
        Ok(IpAddr::V6(_)) => "ip6",
        Err(_) => "dns",
    };
    let is_name =
        host.chars().all(|letter| letter.is_ascii_alphanumeric() || "-.".contains(letter));
    let address = format!("/{kind}/{host}/tcp/{port}");
    let is_one =
        !host.is_empty() && (kind != "dns" || is_name) && address.parse::<Multiaddr>().is_ok();
    is_one.then_some(address)
}

/// The port on which a relay listens if nothing else was said.
const USUAL_PORT: &str = "4141";

/// Settings of a node that joins a network.
#[derive(Clone)]
pub struct NetworkArgs {
    /// Peers to stay connected to.
    pub peers: Vec<Multiaddr>,
    /// Addresses to accept connections on.
    pub listen: Vec<Multiaddr>,
    /// Whether to find peers on the local network.
    pub lan: bool,
    /// Name of the network.
    pub network: NetworkName,
    /// Minimum proof of work of the network, in bits.
    pub floor: u8,
    /// The blocks a second to pass on at most.
    pub line: NonZeroU32,
    /// How often to send junk.
    pub junk: Option<RateArg>,
    /// The most work for an envelope without a limit of its own.
    pub max_work: Step,
    /// The most threads on which to search for work, if they were said.
    pub mining_threads: Option<usize>,
    /// Which of them were given.
    pub given: BTreeSet<GivenOption>,
}

opaque_debug!(struct NetworkArgs {
    peers, listen, lan, network, floor, line, junk, max_work, mining_threads, given,
});

impl From<NetworkFlags> for NetworkArgs {
    fn from(flags: NetworkFlags) -> Self {
        let NetworkFlags {
            peers,
            listen,
            lan,
            network,
            floor,
            line,
            junk,
            max_work,
            mining_threads,
        } = flags;
        let given = [
            (GivenOption::Peer, !peers.is_empty()),
            (GivenOption::Listen, !listen.is_empty()),
            (GivenOption::Lan, lan),
            (GivenOption::Line, line.is_some()),
            (GivenOption::Junk, junk.is_some()),
            (GivenOption::MaxWork, max_work.is_some()),
            (GivenOption::MiningThreads, mining_threads.is_some()),
        ];
        Self {
            given: given
                .into_iter()
                .filter_map(|(option, given)| given.then_some(option))
                .collect(),
            peers,
            listen,
            lan,
            network: network.unwrap_or_default(),
            floor: floor.unwrap_or_else(|| Floor::DEFAULT.bits()),
            line: line.map_or(line::DEFAULT, |LineArg(blocks)| blocks),
            junk,
            max_work: max_work.unwrap_or(DEFAULT_HIGHEST_STEP),
            mining_threads,
        }
    }
}

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
    const fn name(&self) -> &'static str {
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
    const fn has_no_use(&self) -> Without {
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
    fn network_mut(&mut self) -> Option<&mut NetworkFlags> {
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

/// What `--max-work` means for one message.
const MESSAGE_MAX_WORK: &str = "The most proof of work to do for the message, in times of the usual; \
    until it is delivered, also for what goes to this contact before it. While the network is busy \
    and asks for more, it waits for a lower price; 256 is the most that is ever asked [default: that \
    of the contact (contact max-work), else that of the node, 8]";

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

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorMode {
    /// Unless NO_COLOR is set.
    Auto,
    /// Even if NO_COLOR is set.
    Always,
    /// No colours.
    Never,
}

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

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// On.
    On,
    /// Off.
    Off,
}

/// A value with one of a few names. Unlike clap's own, it says in a sentence what there is, and
/// suggests none that looks alike: 32 is not meant by 3.
#[derive(Clone, Copy)]
struct NamesParser<T: 'static> {
    names: &'static [&'static str],
    read: fn(&str) -> Result<T, ParseNameError>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for NamesParser<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        self.read.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.names.iter().copied().map(PossibleValue::new)))
    }
}

/// The text is none of the names that there are; the sentence says which.
#[derive(thiserror::Error)]
#[error("{0}")]
struct ParseNameError(String);

opaque_debug!(struct ParseNameError(_));

fn lifetime_parser() -> NamesParser<Lifetime> {
    NamesParser {
        names: &LIFETIME_NAMES,
        read: |name| {
            lifetime_named(name).ok_or_else(|| ParseNameError(text::lifetime::unknown(name)))
        },
    }
}

fn limit_parser() -> NamesParser<WorkLimit> {
    NamesParser {
        names: &LIMIT_NAMES,
        read: |name| {
            let all = LIMIT_NAMES.join(", ");
            limit_named(name).ok_or_else(|| ParseNameError(format!("there are {all}")))
        },
    }
}

fn work_parser() -> NamesParser<Step> {
    NamesParser {
        names: &WORK_NAMES,
        read: |name| {
            let all = WORK_NAMES.join(", ");
            work_named(name).ok_or_else(|| ParseNameError(format!("there are {all}")))
        },
    }
}

/// A time such as `90s`, `5m` or `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationArg(pub Duration);

impl FromStr for DurationArg {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, ParseNumberError> {
        const NONE: ParseNumberError = ParseNumberError::Time;
        let (number, unit) = split(text).ok_or(NONE)?;
        let seconds = match unit {
            "s" | "" => 1,
            "m" | "min" => 60,
            "h" => 3_600,
            _ => return Err(NONE),
        };
        number
            .checked_mul(seconds)
            .map(|all| Self(Duration::from_secs(all)))
            .filter(|Self(span)| *span <= MAX_DURATION)
            .ok_or(NONE)
    }
}

/// The longest a command waits. A guess: beyond the life of any process, and no sum of it and a
/// clock overflows.
pub const MAX_DURATION: Duration = Duration::from_secs(366 * 86_400);

/// A number of bytes such as `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeArg(pub usize);

impl FromStr for SizeArg {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, ParseNumberError> {
        const TOO_LARGE: ParseNumberError = ParseNumberError::SizeTooLarge;
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = text.strip_suffix(unit).filter(|number| !number.is_empty());
        let number = number.ok_or(ParseNumberError::Size)?;
        let shift = match unit {
            "B" | "" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(ParseNumberError::Size),
        };
        let number: u64 = number.parse().map_err(|_| TOO_LARGE)?;
        let bytes = number.checked_mul(1 << shift).ok_or(TOO_LARGE)?;
        usize::try_from(bytes).map(Self).map_err(|_| TOO_LARGE)
    }
}

/// A number of bytes that are room enough for the envelopes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomArg(pub usize);

impl FromStr for RoomArg {
    type Err = ParseRoomError;

    fn from_str(text: &str) -> Result<Self, ParseRoomError> {
        let SizeArg(bytes) = text.parse()?;
        if bytes < PoolBounds::LEAST.bytes() {
            return Err(ParseRoomError::TooSmall { bytes });
        }
        Ok(Self(bytes))
    }
}

/// A number of bytes for which an archive can be made.
fn parse_archive(text: &str) -> Result<RoomArg, ParseRoomError> {
    let room: RoomArg = text.parse()?;
    if room.0 as u64 > archive::MOST_BYTES { Err(ParseRoomError::TooLarge) } else { Ok(room) }
}

/// The text is not a size, or not one for a pool or an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseRoomError {
    /// It is no size.
    #[error("{0}")]
    Size(#[from] ParseNumberError),
    /// A share of it would have no room for the largest envelope.
    #[error(
        "that is {}; the least size is {}, room for {} envelopes of 2 KiB: with less, the part for \
         one of the three lifetimes could not hold the largest envelope. {SIZES}",
        text::size::words(*bytes as u64),
        text::size::words(PoolBounds::LEAST.bytes() as u64),
        PoolBounds::LEAST.places
    )]
    TooSmall {
        /// The size that was given, in bytes.
        bytes: usize,
    },
    /// No file of an archive can be so large.
    #[error("an archive can have {} at most. {SIZES}", text::size::words(archive::MOST_BYTES))]
    TooLarge,
}

/// The units of a size.
const SIZES: &str = "Units are KiB, MiB and GiB, in these letters right after a whole number, such as \
                     64MiB or 1536MiB; a number alone is bytes";

/// Blocks a second, such as `16`: envelopes of 2 KiB, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineArg(pub NonZeroU32);

impl FromStr for LineArg {
    type Err = ParseLineError;

    fn from_str(text: &str) -> Result<Self, ParseLineError> {
        let blocks: u32 = text.parse().map_err(|_| ParseLineError::NoNumber)?;
        NonZeroU32::new(blocks).map(Self).ok_or(ParseLineError::Nothing)
    }
}

/// The text is not a number of blocks a second that a node can pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseLineError {
    /// It is no number, or too large.
    #[error("expected a whole number of envelopes per second, from 1 to {}", u32::MAX)]
    NoNumber,
    /// 0.
    #[error(
        "a node that passes nothing on is of no use to others; the least is 1 envelope per second"
    )]
    Nothing,
}

/// How often something happens on average, such as `2/min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateArg(pub Millis);

impl FromStr for RateArg {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, ParseNumberError> {
        const NONE: ParseNumberError = ParseNumberError::Rate;
        let (number, per) = text.split_once('/').ok_or(NONE)?;
        let number: u64 = number.trim().parse().map_err(|_| NONE)?;
        let unit = match per.trim() {
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return Err(NONE),
        };
        // More than ten a second would flood the network by itself.
        match u64::checked_div(unit, number) {
            Some(mean) if mean >= 100 => Ok(Self(Millis(mean))),
            _ => Err(NONE),
        }
    }
}

/// A number of threads. Whether there can be so many is for the node to say.
fn parse_threads(text: &str) -> Result<usize, &'static str> {
    text.parse().map_err(|_| "expected a whole number of threads")
}

fn parse_count(text: &str) -> Result<u64, &'static str> {
    match text.parse() {
        // It would end before anything could be printed.
        Ok(0) => Err("expected a whole number from 1 on; without --count, --timeout alone ends it"),
        Ok(count) => Ok(count),
        Err(_) => Err("expected a whole number"),
    }
}

/// The text is not a whole number with one of the units of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseNumberError {
    /// It is no time.
    #[error("expected a time such as 90s, 5m or 2h, of 366 days at most")]
    Time,
    /// It is no size.
    #[error("expected a whole number of bytes. {SIZES}")]
    Size,
    /// It is a size, and no memory or disk can have it.
    #[error("expected a size that a machine can have. {SIZES}")]
    SizeTooLarge,
    /// It is no rate.
    #[error("expected a rate such as 2/min or 1/h, of 10/s at most")]
    Rate,
}

/// The number that a text begins with, and the rest.
fn split(text: &str) -> Option<(u64, &str)> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.strip_suffix(unit)?;
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::engine::settings::RELAY_POOL;
    use crate::engine::testing::mutate::{Reading, each_slow_text, each_text};

    fn network_of(line: &str) -> Result<NetworkArgs, String> {
        let mut cli = Cli::of_words(line.split(' ')).map_err(|error| error.to_string())?;
        let flags = cli.action.as_mut().and_then(CliCommand::network_mut).cloned();
        Ok(flags.unwrap_or(cli.network).into())
    }

    #[test]
    fn the_long_help_ends_with_the_exit_codes_and_the_codes_of_errors() {
        let help = Cli::of_words(["undertone", "--help"]).unwrap_err().to_string();
        assert!(help.ends_with(&format!("\n\n{}\n", failure::help())), "{help}");
        let short = Cli::of_words(["undertone", "-h"]).unwrap_err().to_string();
        assert!(!short.contains("Exit codes"), "{short}");
    }

    #[test]
    fn settings_of_a_node_count_before_the_command_and_after_it_where_they_win() {
        let [near, far] = ["/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.2/tcp/1"];
        for command in ["listen", "send bob hi", "relay run", "node run"] {
            let line = format!(
                "undertone --network one --floor 28 --line 9 --junk 60/min --lan --peer {near} \
                 --mining-threads 1 {command} --floor 5 --line 7 --peer {far} --mining-threads 2"
            );
            let node = network_of(&line).unwrap();
            assert_eq!(node.network.to_string(), "one", "{command}");
            assert_eq!((node.floor, node.line.get(), node.lan), (5, 7, true), "{command}");
            assert_eq!(node.mining_threads, Some(2), "{command}");
            assert!(node.given.contains(&GivenOption::MiningThreads), "{command}");
            assert_eq!(node.junk, Some(RateArg(Millis(1_000))), "{command}");
            assert_eq!(node.peers, [near.parse().unwrap(), far.parse().unwrap()], "{command}");
        }
        assert_eq!(network_of("undertone --floor 28").unwrap().floor, 28);
    }

    #[test]
    fn settings_of_a_node_are_refused_by_a_command_that_runs_none() {
        let flags = [
            "--network x",
            "--floor 3",
            "--line 3",
            "--junk 1/h",
            "--mining-threads 1",
            "--lan",
            "--peer /ip4/1.2.3.4/tcp/1",
        ];
        for flag in flags.into_iter().chain(["--listen /ip4/1.2.3.4/tcp/1"]) {
            for command in
                ["contact list", "status", "node stop", "demo", "export - --all", "identity list"]
            {
                let message = network_of(&format!("undertone {flag} {command}")).unwrap_err();
                let (name, _) = flag.split_once(' ').unwrap_or((flag, ""));
                let (first, _) = command.split_once(' ').unwrap_or((command, ""));
                let expected = format!("'{name}' cannot be used with 'undertone {first}'");
                assert!(message.contains(&expected), "{message}");
            }
        }
    }

    #[test]
    fn an_option_that_would_change_nothing_in_what_a_command_does_is_refused_with_the_reason() {
        let key = "'--identity' cannot be used with";
        for (line, sentence) in [
            ("undertone relay run --max-work 4", "without '--junk': a relay does work for nothing"),
            ("undertone --max-work 4 relay run", "without '--junk': a relay does work for nothing"),
            ("undertone relay run --mining-threads 1", "'--mining-threads' cannot be used with"),
            ("undertone --verbose status", "'--verbose' is about the log, so it needs '--log"),
            ("undertone status -v", "'--verbose' is about the log, so it needs '--log"),
            ("undertone status --memory", "it is about what is stored in the home folder"),
            ("undertone --memory contact list", "it is about what is stored in the home folder"),
            ("undertone send bob hi --memory", "it is about what is stored in the home folder"),
            ("undertone identity new bob --memory", "it is about what is stored"),
            ("undertone -i bob", "F6 is where you choose whom to speak as"),
            ("undertone listen -i bob", key),
            ("undertone -i bob relay run", key),
            ("undertone node stop -i bob", key),
            ("undertone -i bob message show 1a2b", "named by its id"),
            ("undertone --memory completions bash", "it prints a script"),
            ("undertone backup create f --identity bob", "about all identities of the home folder"),
            ("undertone identity use ann -i bob", "named without an option"),
            ("undertone identity show ann -i bob", "named without an option"),
        ] {
            let message = network_of(line).unwrap_err();
            assert!(message.contains(sentence), "{line}: {message}");
        }
        for line in [
            "undertone relay run --max-work 4 --junk 1/h",
            "undertone --junk 1/h relay run --max-work 4",
            "undertone relay run --mining-threads 1 --junk 1/h",
            "undertone --verbose status --log f",
            "undertone identity show -i bob",
            "undertone contact list -i bob",
            "undertone node run --memory",
            "undertone relay run --memory",
            "undertone demo --memory",
            "undertone --memory",
        ] {
            assert!(network_of(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn two_sources_of_the_passphrase_are_refused_wherever_they_stand() {
        for line in [
            "undertone --passphrase-fd 3 status --passphrase-file f",
            "undertone --passphrase-file f status --passphrase-cmd c",
            "undertone status --passphrase-cmd c --passphrase-fd 3",
        ] {
            assert!(network_of(line).unwrap_err().contains("cannot be used with"), "{line}");
        }
        assert!(network_of("undertone --passphrase-fd 3 status --passphrase-fd 4").is_ok());
    }

    #[test]
    fn what_is_missing_is_named_with_all_that_would_do() {
        for (line, ways) in [
            ("undertone export chat", ["--contact", "--all"]),
            ("undertone contact verify bob", ["--words", "--digits"]),
        ] {
            let message = network_of(line).unwrap_err();
            assert!(ways.iter().all(|way| message.contains(way)), "{message}");
        }
        for line in [
            "undertone export chat --all --contact bob",
            "undertone contact verify bob --words a b c --digits 1",
        ] {
            assert!(network_of(line).unwrap_err().contains("cannot be used with"), "{line}");
        }
        for line in ["undertone export - --all", "undertone contact verify bob --digits 1"] {
            assert!(network_of(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn help_names_the_defaults_that_apply() {
        let node = network_of("undertone listen").unwrap();
        let help = Cli::command().render_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for default in [node.network.to_string(), node.floor.to_string(), node.line.to_string()] {
            assert!(help.contains(&format!("[default: {default}]")), "{help}");
        }
        assert!(help.contains("at most this many envelopes of 2 KiB per second"), "{help}");
        assert!(help.contains("before \"send\" also the limit of its message"), "{help}");
        assert!(help.contains("runs on its battery [default: all but one]"), "{help}");
        let send = Cli::of_words(["undertone", "send", "--help"]).unwrap_err().to_string();
        let send = send.split_whitespace().collect::<Vec<_>>().join(" ");
        let most = DEFAULT_HIGHEST_STEP.times();
        assert!(
            send.contains(&format!(
                "[default: that of the contact (contact max-work), else that of the node, {most}]"
            )),
            "{send}"
        );
        assert!(send.contains("for the message, in times of the usual; until"), "{send}");
        let relay = Cli::of_words(["undertone", "relay", "run", "--help"]).unwrap_err().to_string();
        assert!(relay.contains("293,000 envelopes") && RELAY_POOL.places == 293_000, "{relay}");
    }

    #[test]
    fn a_line_that_carries_nothing_and_room_for_nothing_are_refused_with_a_sentence() {
        for (line, sentence) in [
            ("undertone --line 0", "the least is 1 envelope per second"),
            ("undertone listen --line 0", "the least is 1 envelope per second"),
            ("undertone --line 4294967296", "envelopes per second, from 1 to 4294967295"),
            ("undertone --line fast", "from 1 to 4294967295"),
            ("undertone --line -1", "from 1 to 4294967295"),
            ("undertone relay run --line -16", "from 1 to 4294967295"),
            (
                "undertone relay run --pool 8",
                "that is 8 B; the least size is 672 KiB, room for 256",
            ),
            (
                "undertone relay run --pool 8",
                "right after a whole number, such as 64MiB or 1536MiB",
            ),
            ("undertone relay run --pool 688127", "the least size is 672 KiB"),
            ("undertone relay run --archive 0", "the least size is 672 KiB"),
            ("undertone relay run --pool apples", "Units are KiB, MiB and GiB"),
            ("undertone relay run --pool 8MB", "Units are KiB, MiB and GiB"),
            ("undertone relay run --archive -1", "Units are KiB, MiB and GiB"),
            // Sizes that every machine has, in letters that are not taken.
            ("undertone relay run --pool 64MB", "expected a whole number of bytes. Units are KiB"),
            ("undertone relay run --pool 64mib", "expected a whole number of bytes. Units are KiB"),
            (
                "undertone relay run --pool 1.5GiB",
                "expected a whole number of bytes. Units are KiB",
            ),
            ("undertone relay run --archive 10TiB", "expected a whole number of bytes. Units are"),
            ("undertone relay run --pool GiB", "expected a whole number of bytes. Units are KiB"),
            // And one that none has.
            ("undertone relay run --pool 99999999999GiB", "a size that a machine can have"),
            ("undertone relay run --pool 99999999999999999999", "a size that a machine can have"),
            ("undertone relay run --archive 4096GiB", "an archive can have 4 TiB at most"),
            ("undertone --floor -1", "-1 is not in 0..=48"),
            ("undertone --mining-threads -1", "expected a whole number of threads"),
            ("undertone listen --mining-threads many", "expected a whole number of threads"),
            ("undertone history bob --last -1", "-1 is not in 1..=500"),
            ("undertone listen --count -1", "expected a whole number"),
            ("undertone listen --count 0", "expected a whole number from 1 on"),
            ("undertone listen --timeout soon", "a time such as 90s, 5m or 2h"),
            ("undertone listen --junk 11/s", "a rate such as 2/min or 1/h, of 10/s at most"),
        ] {
            let message = network_of(line).unwrap_err();
            assert!(message.contains(sentence), "{message}");
        }
        for line in [
            "undertone --line 4294967295",
            "undertone relay run --pool 672KiB",
            "undertone relay run --archive 688128B",
            "undertone relay run --archive 4095GiB",
        ] {
            assert!(network_of(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_lifetime_or_a_limit_of_work_that_is_none_is_refused_with_those_there_are() {
        for life in ["10m", "8d", "", "Day"] {
            let line = ["undertone", "send", "bob", "hi", "--life", life];
            let message = Cli::of_words(line).unwrap_err().to_string();
            assert!(message.contains("6h, day, week"), "{message}");
            assert_eq!(message.contains("gone since version 2"), life == "10m", "{message}");
        }
        for times in ["0", "3", "512", "-1", "8x", ""] {
            let most = format!("--max-work={times}");
            let message = Cli::of_words(["undertone", "send", "bob", "hi", &most]).unwrap_err();
            let message = message.to_string();
            assert!(message.contains("there are 1, 2, 4, 8, 16, 32, 64, 128, 256"), "{message}");
            assert!(!message.contains("similar"), "{message}");
        }
        let apart = ["undertone", "send", "bob", "hi", "--max-work", "-1"];
        assert!(Cli::of_words(apart).unwrap_err().to_string().contains("there are 1, 2, 4, 8"));
        let help = Cli::of_words(["undertone", "send", "--help"]).unwrap_err().to_string();
        assert!(help.contains("[possible values: 6h, day, week]"), "{help}");
        let send = Cli::of_words(["undertone", "send", "bob", "--max-work", "256"]).unwrap().action;
        let Some(CliCommand::Send { max_work, .. }) = send else { panic!("it sends") };
        assert_eq!(max_work, Some(Step::MAX));
    }

    #[test]
    fn a_name_that_is_none_is_not_in_what_is_printed_of_its_error() {
        let error = (lifetime_parser().read)("1h").unwrap_err();
        assert_eq!(format!("{error:?}"), "ParseNameError");
    }

    #[test]
    fn a_limit_of_work_after_send_is_that_of_the_message_and_before_it_that_of_its_node_too() {
        let limits = |line: &str| {
            let sends = Cli::of_words(line.split(' ')).unwrap().action;
            let Some(CliCommand::Send { max_work, network, .. }) = sends else { panic!("{line}") };
            (max_work, NetworkArgs::from(network).max_work)
        };
        let [usual, four, all] = [DEFAULT_HIGHEST_STEP, Step::new(2), Step::MAX];
        assert_eq!(limits("undertone send bob hi"), (None, usual));
        assert_eq!(limits("undertone send bob hi --max-work 256"), (Some(all), usual));
        assert_eq!(limits("undertone --max-work 4 send bob hi"), (Some(four), four));
        assert_eq!(limits("undertone --max-work 4 send bob hi --max-work 256"), (Some(all), four));
        let node = Cli::of_words(["undertone", "node", "run", "--max-work", "256"]).unwrap().action;
        let Some(CliCommand::Node { action: NodeAction::Run { network } }) = node else {
            panic!("it runs a node")
        };
        assert_eq!(NetworkArgs::from(network).max_work, all);
        let refused = Cli::of_words(["undertone", "--max-work", "4", "status"]).unwrap_err();
        assert!(refused.to_string().contains("'--max-work' cannot be used"), "{refused}");
    }

    #[test]
    fn a_variable_that_is_empty_is_none_and_what_was_typed_wins() {
        let taken = |line: &str, variables: &[(&str, &str)]| {
            let mut global = Cli::of_words(line.split(' ')).unwrap().global;
            let found = |name: &str| -> Option<OsString> {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            };
            global.take_from(found).unwrap();
            global
        };
        let all = [(HOME_VARIABLE, "/h"), (IDENTITY_VARIABLE, "ann"), (FILE_VARIABLE, "/p")];
        let none = all.map(|(name, _)| (name, ""));
        let named = taken("undertone status", &all);
        assert_eq!(named.home.as_deref(), Some(Path::new("/h")));
        assert_eq!(named.identity.as_deref(), Some("ann"));
        assert_eq!(named.passphrase_file.as_deref(), Some(Path::new("/p")));
        let empty = taken("undertone status", &none);
        assert_eq!((empty.home, empty.identity, empty.passphrase_file), (None, None, None));
        let typed = taken("undertone --home /t contact list -i ben --passphrase-file /f", &all);
        assert_eq!(typed.home.as_deref(), Some(Path::new("/t")));
        assert_eq!(typed.identity.as_deref(), Some("ben"));
        assert_eq!(typed.passphrase_file.as_deref(), Some(Path::new("/f")));
        for other in ["--passphrase-fd 3", "--passphrase-cmd c"] {
            let global = taken(&format!("undertone status {other}"), &all);
            assert_eq!(global.passphrase_file, None, "{other}");
        }
    }

    #[test]
    fn a_path_that_a_shell_should_have_read_is_refused_and_one_of_that_name_is_taken() {
        for line in [
            "--home ~/x status",
            "status --home=~",
            "status --log ~/l",
            "--passphrase-file ~/p status",
        ] {
            let message = network_of(&format!("undertone {line}")).unwrap_err();
            assert!(message.contains("only a shell") && message.contains("$HOME"), "{message}");
        }
        for line in ["--home ./~/x status", "--home /a/~/x status", "--home ~x status"] {
            assert!(network_of(&format!("undertone {line}")).is_ok(), "{line}");
        }
        let mut global = Cli::of_words(["undertone", "status"]).unwrap().global;
        global.take_from(|name| (name == HOME_VARIABLE).then(|| "~/x".into())).unwrap();
        assert!(global.refuse_tildes().unwrap_err().to_string().contains(HOME_VARIABLE));
    }

    #[test]
    fn an_address_as_other_programs_take_it_is_refused_with_how_it_is_written_here() {
        for (written, meant) in [
            ("192.0.2.7:4142", "/ip4/192.0.2.7/tcp/4142"),
            ("192.0.2.7", "/ip4/192.0.2.7/tcp/4141"),
            ("[2001:db8::1]:4142", "/ip6/2001:db8::1/tcp/4142"),
            ("2001:db8::1", "/ip6/2001:db8::1/tcp/4141"),
            ("relay.example.org:4142", "/dns/relay.example.org/tcp/4142"),
            ("relay.example.org", "/dns/relay.example.org/tcp/4141"),
            ("tcp://relay.example.org:4142/", "/dns/relay.example.org/tcp/4142"),
            ("/ip4/relay.example.org/tcp/4142", "/dns/relay.example.org/tcp/4142"),
        ] {
            let message = network_of(&format!("undertone --peer {written}")).unwrap_err();
            assert!(message.contains(&format!("perhaps {meant}")), "{message}");
            assert!(message.contains("such as /ip4/192.0.2.7/tcp/4141"), "{message}");
        }
        for nothing in ["relay:port", "a/b", "192.0.2.7:99999", "", "http://", "[::1", "\u{202e}x"]
        {
            let message = parse_address(nothing).unwrap_err().to_string();
            assert!(!message.contains("perhaps"), "{message}");
        }
        // What was typed is not told again.
        assert_eq!(format!("{:?}", parse_address("192.0.2.7").unwrap_err()), "AddressError");
    }

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
        assert_eq!("0/s".parse::<RateArg>(), Err(ParseNumberError::Rate));
        assert_eq!("11/s".parse::<RateArg>(), Err(ParseNumberError::Rate));
        assert_eq!("99999999999999999999h".parse::<DurationArg>(), Err(ParseNumberError::Time));
        assert_eq!("8784h".parse(), Ok(DurationArg(MAX_DURATION)));
        for too_long in ["8785h", "18446744073709551615", "18446744073709551615s"] {
            assert_eq!(too_long.parse::<DurationArg>(), Err(ParseNumberError::Time), "{too_long}");
        }
        assert_eq!("5 apples".parse::<SizeArg>(), Err(ParseNumberError::Size));
    }

    #[test]
    fn changed_at_random_an_argument_is_a_value_or_refused() {
        each_text(&["90s", "5min", "2h", "7"], |text| {
            let span = text.parse::<DurationArg>();
            assert!(span.is_err() || span.is_ok_and(|DurationArg(span)| span <= MAX_DURATION));
            Reading::of(span)
        });
        each_text(&["64MiB", "7B", "1GiB", "0"], |text| Reading::of(text.parse::<SizeArg>()));
        each_text(&["64MiB", "688128"], |text| Reading::of(text.parse::<RoomArg>()));
        each_text(&["16", "4294967295"], |text| Reading::of(text.parse::<LineArg>()));
        each_text(&["2/min", "10 / s", "1/h"], |text| Reading::of(text.parse::<RateArg>()));
        each_text(&["7", "18446744073709551615"], |text| Reading::of(parse_count(text)));
        each_text(&["2", "18446744073709551615"], |text| Reading::of(parse_threads(text)));
        each_text(&LIFETIME_NAMES, |text| Reading::of((lifetime_parser().read)(text)));
        each_text(&LIMIT_NAMES, |text| Reading::of((limit_parser().read)(text)));
        each_text(&WORK_NAMES, |text| Reading::of((work_parser().read)(text)));
    }

    #[test]
    fn changed_at_random_a_command_line_is_read_or_refused_with_a_sentence() {
        let seeds = [
            "undertone --network one send bob hi --life day --max-work 8",
            "undertone relay run --pool 64MiB --line 16 --floor 8 --listen /ip4/1.2.3.4/tcp/1",
            "undertone listen --timeout 5m --count 3 --junk 2/min --peer /memory/7",
            "undertone contact verify bob --words a b c",
        ];
        each_slow_text(&seeds, |line| {
            let read = Cli::of_words(line.split(' '));
            assert!(read.as_ref().map_or_else(|error| !error.to_string().is_empty(), |_| true));
            Reading::of(read)
        });
    }
}
