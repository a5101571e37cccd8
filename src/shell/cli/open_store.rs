//! Opening what is kept, for a command.

use std::io::Read as _;
use std::path::PathBuf;

use crate::shell::cli::args::Everywhere;
use crate::shell::cli::error::Failure;
use crate::shell::os::data_dir;
use crate::shell::os::passphrase::{self, PassphraseSource, PromptPolicy};
use crate::shell::store::Store;

/// The home folder these flags name.
pub(super) fn home(everywhere: &Everywhere) -> Result<PathBuf, Failure> {
    // The variable was read with the flags.
    Ok(data_dir::resolve(everywhere.home.as_deref(), |name| std::env::var_os(name))?)
}

/// Whether a person may be asked for the passphrase, and where else it is.
pub(super) fn source(everywhere: &Everywhere) -> (PassphraseSource, PromptPolicy) {
    let ask = if everywhere.no_input { PromptPolicy::Forbidden } else { PromptPolicy::Allowed };
    let source = if let Some(descriptor) = everywhere.passphrase_fd {
        PassphraseSource::Descriptor(descriptor)
    } else if let Some(file) = &everywhere.passphrase_file {
        PassphraseSource::File(file.clone())
    } else if let Some(command) = &everywhere.passphrase_cmd {
        PassphraseSource::Command(command.clone())
    } else {
        PassphraseSource::Prompt
    };
    (source, ask)
}

/// Opens the store.
pub(super) fn open(everywhere: &Everywhere) -> Result<Store, Failure> {
    if everywhere.memory {
        return Ok(Store::in_memory()?);
    }
    let home = home(everywhere)?;
    if !Store::exists(&home) {
        return Err(crate::shell::store::StoreError::Missing.into());
    }
    let (source, ask) = source(everywhere);
    Ok(Store::open(&home, &passphrase::read(&source, ask)?)?)
}

/// Opens the store, or makes one.
pub(super) fn open_or_create(everywhere: &Everywhere) -> Result<Store, Failure> {
    let home = home(everywhere)?;
    if everywhere.memory || Store::exists(&home) {
        return open(everywhere);
    }
    let (source, ask) = source(everywhere);
    let passphrase = match source {
        PassphraseSource::Prompt => passphrase::prompt_new(ask)?,
        PassphraseSource::Descriptor(_)
        | PassphraseSource::File(_)
        | PassphraseSource::Command(_) => passphrase::read(&source, ask)?,
    };
    Ok(Store::create(&home, &passphrase)?)
}

/// What stands on standard input, up to `most` bytes, without the last line end.
pub(super) fn standard_input(most: u64) -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().lock().take(most.saturating_add(1)).read_to_string(&mut text)?;
    let shorter = text.strip_suffix('\n').map_or(text.len(), str::len);
    text.truncate(shorter);
    Ok(text)
}
