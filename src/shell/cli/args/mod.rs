//! The command line as types: parsed once, not looked at again.

mod actions;
mod command;
mod global;
mod network;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};

pub use actions::{
    BackupAction, BackupPassphrase, ContactAction, HistoryArgs, IdentityAction, MessageAction,
    NewPassphrase, NodeAction, OnOff, PassphraseAction, RelayAction, RequestAction,
};
pub use command::{CliCommand, WaitFor};
pub use global::{ColorMode, GlobalArgs};
pub use network::{NetworkArgs, NetworkFlags};
pub use values::{DurationArg, LineArg, RateArg, RoomArg};

use self::command::Without;
use crate::shell::failure;

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

/// The interface, which has no name as a command.
const UNNAMED: &str = "undertone";
