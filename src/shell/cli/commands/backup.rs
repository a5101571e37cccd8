//! `undertone backup`: created by the running node, or without one if none runs; checked; restored.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::control;
use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::node::backup::History;
use crate::engine::secret::Secret;
use crate::shell::backup::{self, Backup, BackupError, BackupKey, BackupSummary};
use crate::shell::calendar::{Civil, utc, zone_abbreviation};
use crate::shell::cli::args::{BackupAction, BackupPassphrase, GlobalArgs};
use crate::shell::cli::directory::node_gone;
use crate::shell::cli::open_store;
use crate::shell::cli::output;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::clock::{OsEntropy, wall, zone};
use crate::shell::os::passphrase::{
    self, Passphrase, PassphraseError, PassphraseSource, PromptPolicy,
};
use crate::shell::runtime::StoreHandle;
use crate::shell::store::Store;

/// `undertone backup ..`
pub(super) async fn run(global: &GlobalArgs, action: BackupAction) -> Result<(), Failure> {
    if global.memory {
        let why = "--memory stores nothing, so there is nothing to back up or to restore to";
        let text = FailureText {
            what: "no backup was created, restored or checked",
            why,
            safe: "nothing was changed",
            next: "leave out --memory",
        };
        return Err(Failure::new(FailureCode::Memory, text));
    }
    match action {
        BackupAction::Create { file, with_history, sealed_by } => {
            let history = if with_history { History::With } else { History::Without };
            create(global, &file, &sealed_by, history).await
        }
        BackupAction::Restore { file, sealed_by } => restore(global, &file, &sealed_by),
        BackupAction::Check { file, sealed_by } => check(global, &file, &sealed_by),
    }
}

async fn create(
    global: &GlobalArgs,
    file: &Path,
    sealed_by: &BackupPassphrase,
    history: History,
) -> Result<(), Failure> {
    let home = open_store::home(global)?;
    // Checked before the passphrase prompt, which would be in vain.
    if !Store::exists(&home) {
        return Err(Store::absence(&home).into());
    }
    // A link counts even if it leads nowhere: the file would be made where it points.
    if file.symlink_metadata().is_ok() {
        return Err(failed(BackupError::Exists, file));
    }
    let (source, ask) = source(global, sealed_by);
    let passphrase = match source {
        // Asked twice: a slip would show only on the day the backup is needed.
        PassphraseSource::Prompt => passphrase::prompt_new_with(NEW, ask),
        PassphraseSource::Descriptor(_)
        | PassphraseSource::File(_)
        | PassphraseSource::Command(_) => passphrase::read(&source, ask),
    }
    .map_err(no_passphrase)?;
    // A running node may have another working directory.
    let file = std::path::absolute(file)?;
    let request = BackupRequest { file, sealing: BackupKey::draw(&passphrase)?, history };
    let json = match control::ask(&home, &request.to_json()?).await? {
        Some(json) => json,
        None => request.at(&open_store::open(global)?)?,
    };
    if global.json {
        output::print_result(&json);
        return Ok(());
    }
    output::print_line(&format!("backup created: {}", counts(&json)));
    output::print_message(
        "Store it away from this device, and its passphrase away from it. Check it now and then:\n\
         undertone backup check FILE",
    );
    Ok(())
}

fn check(global: &GlobalArgs, file: &Path, sealed_by: &BackupPassphrase) -> Result<(), Failure> {
    let opened = open(global, file, sealed_by)?;
    let summary = opened.check().map_err(|error| failed(error, file))?.summary();
    let json = summary_json(&summary);
    if global.json {
        output::print_result(&json);
    } else {
        let made = local(summary.made);
        output::print_line(&format!("backup is intact: {}, made {made}", counts(&json)));
    }
    Ok(())
}

fn restore(global: &GlobalArgs, file: &Path, sealed_by: &BackupPassphrase) -> Result<(), Failure> {
    // The whole backup is checked before a store is created for it.
    let backup = open(global, file, sealed_by)?.check().map_err(|error| failed(error, file))?;
    let summary = backup.summary();
    let mut store = open_store::open_or_create(global)?;
    let mut entropy = OsEntropy;
    let mut env = Env::new(Millis(0), wall(), &mut entropy);
    backup.restore(&mut env, &mut store).map_err(|error| failed(error, file))?;
    let json = summary_json(&summary);
    if global.json {
        output::print_result(&json);
        return Ok(());
    }
    let made = local(summary.made);
    output::print_line(&format!("restored: {}, made {made}", counts(&json)));
    output::print_message(RESTORED);
    Ok(())
}

/// The message after a restore.
const RESTORED: &str = "\
A backup contains no sessions. New sessions with your contacts are set up automatically when a node
runs with this home folder: undertone. Messages of yours that were not acknowledged when the backup
was made are marked; they may have arrived, and you can send them again.
Do not use the old device with these identities any more. If both run, each has sessions of its own,
and what your contacts write reaches sometimes one of them, sometimes the other.";

/// Opens a backup for a person or program that has its passphrase.
fn open(global: &GlobalArgs, file: &Path, sealed_by: &BackupPassphrase) -> Result<Backup, Failure> {
    // Checked before the passphrase prompt.
    if let Err(error) = std::fs::metadata(file) {
        return Err(failed(error.into(), file));
    }
    let (source, ask) = source(global, sealed_by);
    let passphrase: Passphrase =
        passphrase::read_with_prompt(KNOWN, &source, ask).map_err(no_passphrase)?;
    Backup::open(file, &passphrase).map_err(|error| failed(error, file))
}

/// The failure of a backup, with the name of the file where the file is the reason.
fn failed(error: BackupError, file: &Path) -> Failure {
    let of_the_file = match &error {
        BackupError::Exists
        | BackupError::Foreign
        | BackupError::Newer
        | BackupError::Damaged
        | BackupError::TooCostly
        | BackupError::TooLarge
        | BackupError::Io(_) => true,
        // The first names the file itself.
        BackupError::Unfinished(_)
        | BackupError::Empty
        | BackupError::OutOfMemory
        | BackupError::WrongPassphrase
        | BackupError::Store(_) => false,
    };
    let mut failure = Failure::from(error);
    if of_the_file {
        failure.why = format!("{file:?}: {}", failure.why);
    }
    failure
}

/// The source of a backup's passphrase, and whether a person may be asked for it.
fn source(global: &GlobalArgs, sealed_by: &BackupPassphrase) -> (PassphraseSource, PromptPolicy) {
    let BackupPassphrase { backup_passphrase_file, backup_passphrase_fd } = sealed_by;
    let source = match (backup_passphrase_fd, backup_passphrase_file) {
        (Some(descriptor), _) => PassphraseSource::Descriptor(*descriptor),
        (None, Some(file)) => PassphraseSource::File(file.clone()),
        (None, None) => PassphraseSource::Prompt,
    };
    (source, open_store::source(global).1)
}

/// The failure to read a backup's passphrase. The flag that is missing is the backup's own: the one
/// of the home folder may be there.
fn no_passphrase(error: PassphraseError) -> Failure {
    let missing = matches!(error, PassphraseError::NoInput);
    let mut failure = Failure::from(error);
    if missing {
        "the passphrase of the backup is needed, and prompting is not possible here"
            .clone_into(&mut failure.why);
        "add --backup-passphrase-file FILE, or run it in a terminal".clone_into(&mut failure.next);
    }
    failure
}

/// A request to write a backup, for the process that has the store open. It contains not the
/// passphrase, but the key derived from it, which opens this one file.
pub(super) struct BackupRequest {
    file: PathBuf,
    sealing: BackupKey,
    history: History,
}

impl BackupRequest {
    /// The request as JSON, for the running node.
    fn to_json(&self) -> Result<Value, Failure> {
        let (head, key) = self.sealing.parts();
        let file = self.file.to_str().ok_or_else(|| {
            let why = "the path is not UTF-8 text";
            let text = FailureText {
                what: "no backup was created",
                why,
                safe: "nothing was changed",
                next: "choose another file",
            };
            Failure::new(FailureCode::BadPath, text)
        })?;
        Ok(json!({
            "do": "backup", "file": file, "head": HEXLOWER.encode(head), "key": HEXLOWER.encode(key.expose()),
            "history": self.history == History::With,
        }))
    }

    /// Parses the request from JSON.
    pub(super) fn from_json(question: &Value) -> Option<Self> {
        let text = |name: &str| question.get(name).and_then(Value::as_str);
        let head = text("head").filter(|digits| digits.len() <= MAX_HEAD_DIGITS)?;
        let head = HEXLOWER.decode(head.as_bytes()).ok()?;
        let sealing = BackupKey::from_parts(head, decode_key(text("key")?)?);
        let with = question.get("history")?.as_bool()?;
        let history = if with { History::With } else { History::Without };
        let file = PathBuf::from(text("file")?);
        // A relative path would be taken below the folder that the node was started in.
        file.is_absolute().then_some(Self { file, sealing, history })
    }

    /// Writes the backup between two turns of the node.
    pub(super) async fn carry_out(self, store: &StoreHandle) -> Result<Value, Failure> {
        store.run(move |store| self.at(store)).await.ok_or_else(node_gone)?
    }

    fn at(self, store: &Store) -> Result<Value, Failure> {
        let summary = backup::create(store, &self.file, self.sealing, wall(), self.history)
            .map_err(|error| failed(error, &self.file))?;
        Ok(summary_json(&summary))
    }
}

/// The summary of a backup, for programs.
fn summary_json(summary: &BackupSummary) -> Value {
    json!({
        "made": utc(summary.made),
        "history": summary.history == History::With,
        "identities": summary.identities,
        "contacts": summary.contacts,
        "messages": summary.messages,
    })
}

/// The same for people.
fn counts(json: &Value) -> String {
    let count = |field: &str, one: &str, many: &str| {
        let count = json.get(field).and_then(Value::as_u64).unwrap_or_default();
        format!("{count} {}", if count == 1 { one } else { many })
    };
    let identities = count("identities", "identity", "identities");
    let contacts = count("contacts", "contact", "contacts");
    if json.get("history").is_some_and(|history| history == true) {
        let messages = count("messages", "message", "messages");
        format!("{identities}, {contacts}, {messages}")
    } else {
        format!("{identities}, {contacts}, no messages")
    }
}

/// A moment for people, with its zone.
fn local(at: UnixSeconds) -> String {
    let zone = zone();
    format!("{} {}", Civil::at(at, &zone).sortable(), zone_abbreviation(at, &zone))
}

/// Reads a key's digits into memory that is wiped; no copy of it is anywhere else.
fn decode_key(digits: &str) -> Option<Secret<32>> {
    let mut is_key = false;
    let key = Secret::make(|bytes| {
        is_key = digits.len() == HEXLOWER.encode_len(bytes.len())
            && HEXLOWER.decode_mut(digits.as_bytes(), bytes).is_ok();
    });
    is_key.then_some(key)
}

/// Twice the length of the head, with room.
const MAX_HEAD_DIGITS: usize = 1_024;

const NEW: &str = "New passphrase for the backup: ";
const KNOWN: &str = "Passphrase of the backup: ";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_order_reads_back_as_what_was_asked(
            head in proptest::collection::vec(any::<u8>(), 0..200),
            key: [u8; 32],
            with: bool,
        ) {
            let history = if with { History::With } else { History::Without };
            let sealing = BackupKey::from_parts(head.clone(), Secret::take(&mut key.clone()));
            let file = PathBuf::from("/tmp/backup");
            let asked = BackupRequest { file: file.clone(), sealing, history }.to_json().unwrap();
            let read = BackupRequest::from_json(&asked).unwrap();
            prop_assert_eq!((read.file, read.history), (file, history));
            prop_assert_eq!(read.sealing.parts().0, head.as_slice());
            prop_assert_eq!(read.sealing.parts().1.expose(), &key);
        }

        #[test]
        fn what_is_no_order_is_refused(head: String, key: String) {
            let question = json!({ "file": "/x", "head": head, "key": key, "history": true });
            prop_assert!(BackupRequest::from_json(&question).is_none());
        }
    }

    #[test]
    fn a_path_that_depends_on_where_one_is_is_refused() {
        let key = "00".repeat(32);
        let question = json!({ "file": "x", "head": "", "key": key, "history": true });
        assert!(BackupRequest::from_json(&question).is_none());
    }
}
