//! Settings of every command: the home folder, the identity, the passphrase, the output and the log.

use std::ffi::{OsStr, OsString};
use std::path::{Component, PathBuf};

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, ValueEnum};

use super::Cli;
use crate::engine::secret::opaque_debug;
use crate::shell::os::data_dir::HOME_VARIABLE;

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
    pub(super) fn take_from(
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
    pub(super) fn refuse_tildes(&self) -> Result<(), clap::Error> {
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
    pub(super) fn refuse_two_passphrases(&self) -> Result<(), clap::Error> {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::shell::cli::args::tests::network_of;

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
}
