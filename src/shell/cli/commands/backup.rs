//! `undertone backup`: created by a node; checked, and restored into a home that has no node yet.

use std::path::Path;

use data_encoding::HEXLOWER;
use tokio::time::{Instant, sleep};

use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::node::backup::History;
use crate::shell::api::calls::{BackupCreate, BackupReport, BackupSealing};
use crate::shell::backup::{Backup, BackupError, BackupKey};
use crate::shell::calendar::{Civil, zone_abbreviation};
use crate::shell::cli::args::{BackupAction, BackupPassphrase, GlobalArgs};
use crate::shell::cli::{connect, output};
use crate::shell::client::{CreateStore, HOME_WITHIN, LOOK_AGAIN};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::clock::{OsEntropy, wall, zone};
use crate::shell::os::passphrase::{
    self, Passphrase, PassphraseError, PassphraseSource, PromptPolicy,
};
use crate::shell::os::user_file::open_file;
use crate::shell::rpc::endpoint::Located;
use crate::shell::store::{Store, StoreError};

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
        BackupAction::Restore { file, sealed_by } => restore(global, &file, &sealed_by).await,
        BackupAction::Check { file, sealed_by } => check(global, &file, &sealed_by),
    }
}

async fn create(
    global: &GlobalArgs,
    file: &Path,
    sealed_by: &BackupPassphrase,
    history: History,
) -> Result<(), Failure> {
    let home = connect::home(global)?;
    // Checked before the passphrase prompt, which would be in vain.
    if !Store::exists(&home)? {
        return Err(Store::absence(&home).into());
    }
    // A link counts even if it leads nowhere: the file would be made where it points.
    if file.symlink_metadata().is_ok() {
        return Err(Failure::of_backup(BackupError::Exists, file));
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
    // The passphrase stays here: the node gets the key that opens this one file.
    let sealing = {
        let drawn = BackupKey::draw(&passphrase)?;
        let (head, key) = drawn.parts();
        BackupSealing { head: HEXLOWER.encode(head), key: HEXLOWER.encode(key.expose()) }
    };
    // A running node may have another working directory.
    let file = std::path::absolute(file)
        .map_err(|error| Failure::of_backup(BackupError::from(error), file))?;
    if file.to_str().is_none() {
        return Err(bad_path());
    }
    let client = connect::for_command(global, CreateStore::No).await?;
    let made = client.call(BackupCreate { file, sealing, history: history == History::With }).await;
    let report = connect::finish(client, made).await?;
    if global.json {
        output::print_result(&report)?;
        return Ok(());
    }
    output::print_line(&format!("backup created: {}", counts(&report)))?;
    output::print_message(
        "Store it away from this device, and its passphrase away from it. Check it now and then:\n\
         undertone backup check FILE",
    );
    Ok(())
}

fn check(global: &GlobalArgs, file: &Path, sealed_by: &BackupPassphrase) -> Result<(), Failure> {
    let opened = open(global, file, sealed_by)?;
    let summary = opened.check().map_err(|error| Failure::of_backup(error, file))?.summary();
    let report = summary.report();
    if global.json {
        output::print_result(&report)?;
    } else {
        let made = local(summary.made);
        output::print_line(&format!("backup is intact: {}, made {made}", counts(&report)))?;
    }
    Ok(())
}

async fn restore(
    global: &GlobalArgs,
    file: &Path,
    sealed_by: &BackupPassphrase,
) -> Result<(), Failure> {
    // The whole backup is checked before a store is created for it.
    let backup =
        open(global, file, sealed_by)?.check().map_err(|error| Failure::of_backup(error, file))?;
    let summary = backup.summary();
    let mut store = open_or_create(global).await?;
    let mut entropy = OsEntropy;
    let mut env = Env::new(Millis(0), wall(), &mut entropy);
    backup.restore(&mut env, &mut store).map_err(|error| Failure::of_backup(error, file))?;
    let report = summary.report();
    if global.json {
        output::print_result(&report)?;
        return Ok(());
    }
    let made = local(summary.made);
    output::print_line(&format!("restored: {}, made {made}", counts(&report)))?;
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
    if let Err(error) = open_file(file) {
        return Err(Failure::of_backup(error.into(), file));
    }
    let (source, ask) = source(global, sealed_by);
    let passphrase: Passphrase =
        passphrase::read_with_prompt(KNOWN, &source, ask).map_err(no_passphrase)?;
    Backup::open(file, &passphrase).map_err(|error| Failure::of_backup(error, file))
}

/// Opens the store that a backup is restored into, or makes one.
async fn open_or_create(global: &GlobalArgs) -> Result<Store, Failure> {
    let home = connect::home(global)?;
    let (source, ask) = connect::source(global);
    if Store::exists(&home)? {
        let passphrase = passphrase::read(&source, ask)?;
        return Ok(when_free(&home, || Store::open(&home, &passphrase)).await?);
    }
    let passphrase = match source {
        // Asked twice: nobody could open a store whose passphrase has a slip in it.
        PassphraseSource::Prompt => passphrase::prompt_new(ask)?,
        PassphraseSource::Descriptor(_)
        | PassphraseSource::File(_)
        | PassphraseSource::Command(_) => passphrase::read(&source, ask)?,
    };
    Ok(when_free(&home, || Store::create(&home, &passphrase)).await?)
}

/// Waits a while for a home folder that another command has at this moment. One in which a node runs
/// does not become free soon.
async fn when_free(
    home: &Path,
    take: impl Fn() -> Result<Store, StoreError>,
) -> Result<Store, StoreError> {
    let begun = Instant::now();
    loop {
        let taken = take();
        let is_used = matches!(taken, Err(StoreError::InUse)) && begun.elapsed() < HOME_WITHIN;
        if !is_used || matches!(Located::find(home).await, Ok(Some(_))) {
            return taken;
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// The source of a backup's passphrase, and whether a person may be asked for it.
fn source(global: &GlobalArgs, sealed_by: &BackupPassphrase) -> (PassphraseSource, PromptPolicy) {
    let BackupPassphrase { backup_passphrase_file, backup_passphrase_fd } = sealed_by;
    let source = match (backup_passphrase_fd, backup_passphrase_file) {
        (Some(descriptor), _) => PassphraseSource::Descriptor(*descriptor),
        (None, Some(file)) => PassphraseSource::File(file.clone()),
        (None, None) => PassphraseSource::Prompt,
    };
    (source, connect::source(global).1)
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

fn bad_path() -> Failure {
    let text = FailureText {
        what: "no backup was created",
        why: "the path is not UTF-8 text",
        safe: "nothing was changed",
        next: "choose another file",
    };
    Failure::new(FailureCode::BadPath, text)
}

/// What a backup contains, in words.
fn counts(report: &BackupReport) -> String {
    let count = |count: u64, one: &str, many: &str| {
        format!("{count} {}", if count == 1 { one } else { many })
    };
    let identities = count(report.identities as u64, "identity", "identities");
    let contacts = count(report.contacts as u64, "contact", "contacts");
    if report.history {
        let messages = count(report.messages, "message", "messages");
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

const NEW: &str = "New passphrase for the backup: ";
const KNOWN: &str = "Passphrase of the backup: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind_is_not_said_to_be_several() {
        let report = |count: u64, history| BackupReport {
            made: UnixSeconds(0),
            history,
            identities: 1,
            contacts: 2,
            messages: count,
        };
        assert_eq!(counts(&report(0, false)), "1 identity, 2 contacts, no messages");
        assert_eq!(counts(&report(1, true)), "1 identity, 2 contacts, 1 message");
        assert_eq!(counts(&report(0, true)), "1 identity, 2 contacts, 0 messages");
    }
}
