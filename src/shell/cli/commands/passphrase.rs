//! `undertone passphrase change`: the same with and without a running node, which is not asked.

use serde_json::json;

use crate::shell::cli::args::{GlobalArgs, NewPassphrase};
use crate::shell::cli::{connect, output};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::exit_code::ExitCode;
use crate::shell::os::passphrase::{
    self, Passphrase, PassphraseError, PassphraseSource, PromptPolicy,
};
use crate::shell::store::{Store, StoreError};

/// `undertone passphrase change`
pub(super) fn change(global: &GlobalArgs, new: &NewPassphrase) -> Result<(), Failure> {
    if global.memory {
        let text = FailureText {
            what: NOT_CHANGED,
            why: "--memory stores nothing, so there is no passphrase",
            safe: "nothing was changed",
            next: "leave out --memory",
        };
        return Err(Failure::new(FailureCode::Memory, text));
    }
    let home = connect::home(global)?;
    // Before the passphrase is asked for, which would be in vain.
    if !Store::exists(&home).map_err(not_changed)? {
        return Err(not_changed(Store::absence(&home)));
    }
    let (source, ask) = connect::source(global);
    let old = passphrase::read_with_prompt(OLD_PROMPT, &source, ask).map_err(unchanged)?;
    // Whoever mistyped the old one learns it before they think of a new one.
    let change = Store::change_passphrase(&home, &old).map_err(not_changed)?;
    let new = read_new(new, ask).map_err(no_new_passphrase)?;
    change.finish(&new).map_err(not_changed)?;
    if global.json {
        output::print_result(&json!({ "changed": true }))?;
        return Ok(());
    }
    output::print_line("passphrase changed")?;
    output::print_message(LIMITS);
    if source != PassphraseSource::Prompt {
        output::print_message(SOURCE_IS_OLD);
    }
    Ok(())
}

/// Reads the new passphrase.
fn read_new(new: &NewPassphrase, ask: PromptPolicy) -> Result<Passphrase, PassphraseError> {
    let NewPassphrase { new_passphrase_file, new_passphrase_fd } = new;
    match (new_passphrase_fd, new_passphrase_file) {
        (Some(number), _) => passphrase::read(&PassphraseSource::Descriptor(*number), ask),
        (None, Some(file)) => passphrase::read(&PassphraseSource::File(file.clone()), ask),
        // Asked twice: nobody could open a store whose passphrase has a slip in it.
        (None, None) => passphrase::prompt_new(ask),
    }
}

/// A failure, as one to change the passphrase.
fn unchanged(error: impl Into<Failure>) -> Failure {
    let mut failure = error.into();
    NOT_CHANGED.clone_into(&mut failure.what);
    failure
}

/// The failure of a store whose passphrase was to be changed.
fn not_changed(error: StoreError) -> Failure {
    let mut failure = unchanged(error);
    // The disk may have failed after the new key file had its name, and before that was durable.
    let of_the_disk = matches!(failure.exit(), ExitCode::NotStored | ExitCode::Other);
    let safe = if of_the_disk { EITHER_OPENS } else { "nothing was changed" };
    safe.clone_into(&mut failure.safe);
    failure
}

/// The failure to read the new passphrase. It says which of the two is meant: the old one may come
/// from a file or a descriptor, too.
fn no_new_passphrase(error: PassphraseError) -> Failure {
    let missing = matches!(error, PassphraseError::NoInput);
    let mut failure = unchanged(error);
    if missing {
        "the new passphrase is needed, and prompting is not possible here"
            .clone_into(&mut failure.why);
        "add --new-passphrase-file FILE, or run it in a terminal".clone_into(&mut failure.next);
    } else {
        failure.why = format!("no new passphrase: {}", failure.why);
    }
    failure
}

const NOT_CHANGED: &str = "the passphrase was not changed";

const EITHER_OPENS: &str =
    "everything saved before is unchanged, and one passphrase opens it: try the old one first";

const OLD_PROMPT: &str = "Old passphrase: ";

/// The message after a change.
const LIMITS: &str = "\
A node that runs goes on, and the next start needs the new passphrase.
Only this copy of the home folder has it. Whoever has an older copy of the file `key` and the old
passphrase can still read the store, because its inner key stays the same. A backup opens with the
passphrase that it was created with. If somebody may have such a copy, create a backup, restore it
into another home folder, and delete this one.";

/// The message after a change, where a program gives the passphrase.
const SOURCE_IS_OLD: &str = "The file, descriptor or command that gives the passphrase still gives the old one: change it, too.";
