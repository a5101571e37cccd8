//! The commands, one module each; [`run`] chooses.

mod backup;
mod contacts;
mod demo;
mod export;
mod identities;
mod listen;
mod messages;
mod node;
mod passphrase;
mod relay;
mod requests;
mod send;
mod status;
mod trust;
mod tui;

use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use clap::CommandFactory as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::args::{Cli, CliCommand, GlobalArgs, NodeAction, PassphraseAction, RelayAction};
use super::connect;
use super::log_file::LogFile;
use super::output::{self, OutputFormat};
use crate::engine::text::UntrustedText;
use crate::shell::archive::ArchiveOverflow;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::data_dir::{FILE_MODE, NotPrivate};
use crate::shell::os::exit_code::ExitCode;
use crate::shell::os::signals;
use crate::shell::os::user_file::{PrivateFault, open_private};

/// The program: carries out the words of a command line, of which the first is its name; returns
/// the exit code.
#[must_use]
pub fn program(words: impl IntoIterator<Item = OsString>) -> u8 {
    match Cli::of_words(words) {
        Ok(cli) => run(cli),
        Err(error) => print_parser_message(&error),
    }
}

/// Carries out the command line; returns the exit code.
fn run(cli: Cli) -> u8 {
    let format = if cli.global.json { OutputFormat::Json } else { OutputFormat::Text };
    let home = connect::home(&cli.global).unwrap_or_default();
    let answer = AnswerForm::of(cli.action.as_ref());
    let (log, done) = match log_to(&cli.global) {
        Ok(log) => {
            let outlived = signals::survive_file_limits().map_err(Failure::from);
            (log, outlived.and_then(|()| carry_out(cli)))
        }
        Err(failure) => (None, Err(failure)),
    };
    if let Some(log) = log {
        log.finish();
    }
    match done {
        Ok(()) => 0,
        // The sender of the signal knows why it ended, and had no answer to expect.
        Err(failure)
            if matches!(failure.exit(), ExitCode::Interrupted | ExitCode::Terminated)
                && answer == AnswerForm::Lines =>
        {
            failure.exit() as u8
        }
        Err(failure) => {
            let failure = failure.with_home(&home);
            output::print_failure(&failure, format);
            failure.exit() as u8
        }
    }
}

/// What a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerForm {
    /// One answer, whatever ends it.
    Whole,
    /// Lines, or a screen, until it is ended.
    Lines,
}

impl AnswerForm {
    fn of(action: Option<&CliCommand>) -> Self {
        match action {
            None
            | Some(
                CliCommand::Demo { .. }
                | CliCommand::Relay { .. }
                | CliCommand::Node { action: NodeAction::Run { .. } }
                | CliCommand::Listen { .. }
                | CliCommand::History(_),
            ) => Self::Lines,
            Some(CliCommand::Export { file, .. }) if file.as_os_str() == "-" => Self::Lines,
            Some(
                CliCommand::Node { action: NodeAction::Stop }
                | CliCommand::Identity { .. }
                | CliCommand::Contact { .. }
                | CliCommand::Request { .. }
                | CliCommand::Send { .. }
                | CliCommand::Message { .. }
                | CliCommand::Passphrase { .. }
                | CliCommand::Backup { .. }
                | CliCommand::Export { .. }
                | CliCommand::Import { .. }
                | CliCommand::Status
                | CliCommand::Completions { .. },
            ) => Self::Whole,
        }
    }
}

/// Prints what the parser of the command line returned in place of a command, which is help or a
/// usage error; returns the exit code.
fn print_parser_message(message: &clap::Error) -> u8 {
    // The words it quotes may have been pasted from anywhere.
    let text = UntrustedText::new(message.to_string()).sanitize_for_text().text;
    if !message.use_stderr() {
        return output::print_line(text.trim_end()).map_or_else(
            |failure| {
                output::print_failure(&failure, OutputFormat::Text);
                failure.exit() as u8
            },
            |()| 0,
        );
    }
    // Nothing was parsed, so whether a program asks is seen by the bare word.
    if std::env::args_os().any(|word| word == "--json") {
        let text = FailureText {
            what: &first_paragraph(&text),
            why: "the command line is not valid",
            safe: "nothing was done",
            next: "undertone --help",
        };
        output::print_failure(&Failure::new(FailureCode::Usage, text), OutputFormat::Json);
    } else {
        output::print_message(text.trim_end());
    }
    ExitCode::Usage as u8
}

/// What is wrong with the command line, in one line: the names that are missing and the values that
/// are possible stand in the lines that follow the first.
fn first_paragraph(message: &str) -> String {
    let lines = message.trim_start_matches("error: ").lines().map(str::trim);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn carry_out(cli: Cli) -> Result<(), Failure> {
    let Cli { action, global, network } = cli;
    let Some(action) = action else {
        return on_runtime(tui::open(&global, network));
    };
    match action {
        CliCommand::Demo { check: true } => on_runtime(demo::check()),
        CliCommand::Demo { check: false } => on_runtime(demo::open(&global)),
        CliCommand::Relay { action: RelayAction::Run { pool, archive, shrink, network } } => {
            let overflow = if shrink { ArchiveOverflow::Removed } else { ArchiveOverflow::Refused };
            let storage = match (pool, archive) {
                (None, None) => relay::RelayStorage::Usual,
                (_, Some(size)) => relay::RelayStorage::Archive(size, overflow),
                (Some(size), None) => relay::RelayStorage::Memory(size),
            };
            on_runtime(relay::run(&global, &network.into(), storage))
        }
        CliCommand::Node { action: NodeAction::Run { network } } => {
            on_runtime(node::run(&global, &network.into()))
        }
        CliCommand::Node { action: NodeAction::Stop } => on_runtime(node::stop(&global)),
        CliCommand::Identity { action } => on_runtime(identities::run(&global, action)),
        CliCommand::Contact { action } => on_runtime(contacts::run(&global, action)),
        CliCommand::Request { action } => on_runtime(requests::run(&global, action)),
        CliCommand::Send { contact, text, lifetime, max_work, wait, timeout, network } => {
            let args = send::SendArgs { contact, text, lifetime, max_work, wait, timeout };
            on_runtime(send::run(&global, network, args))
        }
        CliCommand::Listen { from, count, timeout, states, network } => {
            let args = listen::ListenArgs { from, count, timeout, states };
            on_runtime(listen::run(&global, network, args))
        }
        CliCommand::History(args) => on_runtime(messages::history(&global, args)),
        CliCommand::Message { action } => on_runtime(messages::run(&global, action)),
        CliCommand::Passphrase { action: PassphraseAction::Change { new } } => {
            passphrase::change(&global, &new)
        }
        CliCommand::Backup { action } => on_runtime(backup::run(&global, action)),
        CliCommand::Export { file, contact, all: _ } => {
            on_runtime(export::export(&global, &file, contact.as_deref()))
        }
        CliCommand::Import { file, contact, dry_run } => {
            let mode = if dry_run { export::ImportMode::DryRun } else { export::ImportMode::Apply };
            on_runtime(export::import(&global, &file, &contact, mode))
        }
        CliCommand::Status => on_runtime(status::run(&global)),
        CliCommand::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "undertone", &mut script);
            output::print_line(String::from_utf8_lossy(&script).trim_end())
        }
    }
}

fn on_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    look_for_threads(workers + BESIDES)?;
    look_for_files()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let done = runtime.block_on(work);
    // What is done on a thread that may wait ends by itself; who waits for ever is left behind.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    done
}

/// Looks whether the system gives this process so many threads, all at once. The runtime takes that for
/// granted: where it is not so, it would end with a report that tells a person nothing.
fn look_for_threads(count: usize) -> io::Result<()> {
    let before = threads_of_this_process();
    let mut threads = Vec::with_capacity(count);
    for _ in 0..count {
        let (hold, held) = mpsc::sync_channel::<()>(1);
        let started = thread::Builder::new().spawn(move || held.recv().is_ok());
        let thread = started.map_err(|_| io::Error::other(NO_THREADS))?;
        threads.push((hold, thread));
    }
    for (hold, thread) in threads {
        drop(hold);
        thread.join().map_err(|_| io::Error::other(NO_THREADS))?;
    }
    // The system counts a thread for a moment longer than anybody can wait for it, and what wants its place
    // then would not get it.
    for _ in 0..LOOKS {
        if threads_of_this_process() <= before {
            break;
        }
        thread::yield_now();
    }
    Ok(())
}

/// Looks whether this process may open the files that every command needs, all at once. The runtime takes that for
/// granted, too.
fn look_for_files() -> io::Result<()> {
    let mut open = Vec::with_capacity(FILES);
    for _ in 0..FILES {
        open.push(std::fs::File::open("/dev/null")?);
    }
    Ok(())
}

/// As far as the system tells; none where it does not.
fn threads_of_this_process() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// How often it is looked whether threads that ended are gone: they are within microseconds, and a look takes
/// some ten. A guess.
const LOOKS: u32 = 1_000;

const NO_THREADS: &str =
    "the system gives this process no more threads: see ulimit -u, or the limit of the container";

/// Files beside the three that every process has: with fewer a command was seen to fail in the middle.
const FILES: usize = 20;

/// Threads beside those that work: what a node with a log and a search for work was seen to have, and three for
/// what may wait. Most commands start a node of their own.
const BESIDES: usize = 10;

/// Logs to a file when one is named, and nowhere else.
fn log_to(global: &GlobalArgs) -> Result<Option<LogFile>, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let Some(path) = &global.log else { return Ok(None) };
    let mut how = std::fs::OpenOptions::new();
    // For the owner alone: the lines name nobody, but their times show when somebody wrote.
    how.create(true).append(true).mode(FILE_MODE);
    let file = open_private(path, &mut how).map_err(|fault| no_log(path, &fault))?;
    let log = LogFile::start(file)?;
    let most = if global.verbose { LevelFilter::TRACE } else { LevelFilter::INFO };
    // libp2p's own lines name addresses and keys; ours are written not to. What is let through is
    // said here alone: no flag and no variable of the environment adds to it.
    let ours = Targets::new().with_target("undertone", most);
    tracing_subscriber::fmt()
        .with_max_level(most)
        .with_ansi(false)
        // A line that cannot be written is lost: to say so would be to draw over the interface.
        .log_internal_errors(false)
        .with_writer(std::sync::Mutex::new(log.clone()))
        .finish()
        .with(ours)
        .try_init()
        .unwrap_or_default();
    Ok(Some(log))
}

fn no_log(path: &Path, fault: &PrivateFault) -> Failure {
    let (code, why, next) = match fault {
        // These two name the file themselves.
        PrivateFault::NotPrivate(found @ NotPrivate::Mode(_)) => (
            FailureCode::UnsafeMode,
            found.to_string(),
            "run chmod 600 on it, or choose another file: --log FILE",
        ),
        PrivateFault::NotPrivate(found @ NotPrivate::Owner(_)) => (
            FailureCode::UnsafeOwner,
            found.to_string(),
            "choose a file of your own, or a new one: --log FILE",
        ),
        PrivateFault::NotAFile(_) | PrivateFault::Io(_) => (
            FailureCode::Log,
            format!("{path:?} was not opened: {fault}"),
            "choose another file: --log FILE",
        ),
    };
    let text = FailureText {
        what: "nothing was done, because no log could be written",
        why: &why,
        safe: "nothing was done, and the file is as it was",
        next,
    };
    Failure::new(code, text)
}
