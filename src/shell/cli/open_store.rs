//! Opens the store on behalf of a command.

use std::io::Read as _;
use std::path::PathBuf;

use crate::shell::cli::args::GlobalArgs;
use crate::shell::cli::error::Failure;
use crate::shell::os::data_dir;
use crate::shell::os::passphrase::{self, PassphraseSource, PromptPolicy};
use crate::shell::store::Store;

/// The home folder these flags name.
pub(super) fn home(global: &GlobalArgs) -> Result<PathBuf, Failure> {
    // UNDERTONE_HOME was read by the parser of the command line.
    Ok(data_dir::resolve(global.home.as_deref(), |name| std::env::var_os(name))?)
}

/// The source of the passphrase, and whether prompting is allowed.
pub(super) fn source(global: &GlobalArgs) -> (PassphraseSource, PromptPolicy) {
    let ask = if global.no_input { PromptPolicy::Forbidden } else { PromptPolicy::Allowed };
    let source = if let Some(descriptor) = global.passphrase_fd {
        PassphraseSource::Descriptor(descriptor)
    } else if let Some(file) = &global.passphrase_file {
        PassphraseSource::File(file.clone())
    } else if let Some(command) = &global.passphrase_cmd {
        PassphraseSource::Command(command.clone())
    } else {
        PassphraseSource::Prompt
    };
    (source, ask)
}

/// Opens the store.
pub(super) fn open(global: &GlobalArgs) -> Result<Store, Failure> {
    if global.memory {
        return Ok(Store::in_memory()?);
    }
    let home = home(global)?;
    // Before the passphrase is asked for, which would be in vain.
    if !Store::exists(&home) {
        return Err(crate::shell::store::StoreError::Missing.into());
    }
    let (source, ask) = source(global);
    Ok(Store::open(&home, &passphrase::read(&source, ask)?)?)
}

/// Opens the store, or creates one.
pub(super) fn open_or_create(global: &GlobalArgs) -> Result<Store, Failure> {
    let home = home(global)?;
    if global.memory || Store::exists(&home) {
        return open(global);
    }
    let (source, ask) = source(global);
    let passphrase = match source {
        // Asked twice: nobody could open a store whose passphrase has a slip in it.
        PassphraseSource::Prompt => passphrase::prompt_new(ask)?,
        PassphraseSource::Descriptor(_)
        | PassphraseSource::File(_)
        | PassphraseSource::Command(_) => passphrase::read(&source, ask)?,
    };
    Ok(Store::create(&home, &passphrase)?)
}

/// Reads standard input, up to `most` bytes, without the last line end.
pub(super) fn standard_input(most: u64) -> Result<String, Failure> {
    // One byte more than the most, so that the engine refuses a longer text and does not send its
    // beginning.
    let mut text = String::new();
    std::io::stdin().lock().take(most.saturating_add(1)).read_to_string(&mut text)?;
    // `echo` and editors end a text with a newline that is no part of it.
    let shorter = text.strip_suffix('\n').map_or(text.len(), str::len);
    text.truncate(shorter);
    Ok(text)
}
