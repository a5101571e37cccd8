//! The errors of the store, backups, the network and the engine, each as a [`Failure`].

use std::fmt;

use std::path::Path;

use crate::engine::command::CommandError;
use crate::engine::crypto::invite::InviteError;
use crate::shell::archive::{
    ArchiveError, ArchiveLabel, ArchiveObstacle, FileCondition, LabelFault,
};
use crate::shell::backup::BackupError;
use crate::shell::failure::{Failure, FailureCode, FailureText, shell_word};
use crate::shell::net::NetError;
use crate::shell::os::data_dir::DataDirError;
use crate::shell::os::exit_code::ExitCode;
use crate::shell::os::io_words::{io_words, is_out_of_files};
use crate::shell::os::passphrase::PassphraseError;
use crate::shell::store::StoreError;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (code, what, next) = match &error {
            StoreError::Missing => (
                FailureCode::NoStore,
                "the home folder was not opened",
                "create an identity: undertone identity new NAME, or choose another folder: --home DIR",
            ),
            StoreError::Exists => {
                (FailureCode::StoreExists, "no store was created", "open it: undertone")
            }
            StoreError::WrongPassphrase => (
                FailureCode::Locked,
                "the store was not opened",
                "try again; a forgotten passphrase cannot be recovered",
            ),
            StoreError::InUse => (
                FailureCode::InUse,
                "the home folder was not opened",
                "quit the other undertone, or choose another folder: --home DIR",
            ),
            StoreError::PassphraseInUse => passphrase_in_use("wait a moment, then try again"),
            StoreError::KeyReplaced => passphrase_in_use("try again, with the passphrase of now"),
            StoreError::UnsafePermissions(_) => (
                FailureCode::UnsafeMode,
                "the home folder was not opened",
                "run chmod 700 on the folder and chmod 600 on the files in it",
            ),
            StoreError::OfAnother(_) => (FailureCode::UnsafeOwner, NOT_OPENED, AS_ITS_OWNER),
            StoreError::Unseen(_) => (FailureCode::Store, NOT_OPENED, AS_ITS_USER),
            StoreError::PathTooLong { .. } => {
                (FailureCode::Store, NOT_OPENED, "choose a folder with a shorter path: --home DIR")
            }
            StoreError::Newer => unreadable("use the undertone that wrote it, or a newer one"),
            StoreError::Foreign | StoreError::NotAFolder | StoreError::TooCostly => {
                unreadable("choose another folder: --home DIR")
            }
            StoreError::Damaged
            | StoreError::DatabaseMissing
            | StoreError::KeyEmpty
            | StoreError::KeyMissing => unreadable(RESTORE),
            StoreError::DiskFull => of_the_disk(
                FailureCode::DiskFull,
                "free some space on the disk, then start undertone again",
            ),
            StoreError::ReadOnly => of_the_disk(
                FailureCode::ReadOnly,
                "make the disk and the folder writable, then start undertone again",
            ),
            StoreError::Moved => of_the_disk(FailureCode::HomeMoved, PUT_BACK),
            StoreError::DiskFails(_) => of_the_disk(
                FailureCode::DiskFails,
                "check the disk and your quota on it, then start undertone again",
            ),
            StoreError::TooLarge => {
                (FailureCode::NotStored, "nothing was saved", "split it into several messages")
            }
            StoreError::OutOfMemory
            | StoreError::Backwards
            | StoreError::Unsafe
            | StoreError::Sqlite(_)
            | StoreError::Io(_) => (
                FailureCode::Store,
                "the store could not be used",
                "check the disk, then try again",
            ),
        };
        let why = error.to_string();
        let safe = if code.exit() == ExitCode::NotStored { NOT_SENT } else { UNCHANGED };
        Self::new(code, FailureText { what, why: &why, safe, next })
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let why = error.to_string();
        let (code, next) = match error {
            BackupError::Store(StoreError::Exists) => {
                (FailureCode::StoreExists, "choose another folder: --home DIR")
            }
            BackupError::Store(error) => return error.into(),
            BackupError::Exists => (FailureCode::BackupExists, "choose another file"),
            // Another process may be writing it, so it is not deleted here.
            BackupError::Unfinished(_) => {
                (FailureCode::BackupUnfinished, "delete it, unless another undertone is writing it")
            }
            BackupError::Empty => {
                (FailureCode::NoIdentity, "create one: undertone identity new NAME")
            }
            BackupError::WrongPassphrase => {
                let next = "try again; a forgotten passphrase cannot be recovered";
                (FailureCode::BackupLocked, next)
            }
            BackupError::Foreign | BackupError::TooCostly => {
                (FailureCode::NotABackup, "choose a file written by undertone backup create")
            }
            BackupError::Newer => {
                (FailureCode::BackupNewer, "use the undertone that created it, or a newer one")
            }
            BackupError::Damaged => (FailureCode::BackupDamaged, "use another copy of the backup"),
            BackupError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
                (FailureCode::NoFile, "choose an existing file, or a folder that exists")
            }
            BackupError::Io(error) if is_full(&error) => {
                (FailureCode::BackupDiskFull, "free some space there, or choose another file")
            }
            BackupError::OutOfMemory | BackupError::TooLarge | BackupError::Io(_) => {
                (FailureCode::Backup, "free some space or memory, or choose another file")
            }
        };
        Self::new(
            code,
            FailureText {
                what: "no backup was created, restored or checked",
                why: &why,
                safe: "nothing was changed",
                next,
            },
        )
    }
}

impl Failure {
    /// The failure of a backup, with the name of the file where the file is the reason.
    #[must_use]
    pub fn of_backup(error: BackupError, file: &Path) -> Self {
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
        let mut failure = Self::from(error);
        if of_the_file {
            failure.why = format!("{file:?}: {}", failure.why);
        }
        failure
    }
}

/// Whether a file was not written because its disk takes no more.
fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};

    matches!(error.kind(), QuotaExceeded | ReadOnlyFilesystem | StorageFull)
}

/// The parts of a failure to read the store.
const fn unreadable(next: &'static str) -> (FailureCode, &'static str, &'static str) {
    (FailureCode::StoreUnreadable, "the store was not opened", next)
}

/// The parts of a change of a passphrase that met another.
const fn passphrase_in_use(next: &'static str) -> (FailureCode, &'static str, &'static str) {
    (FailureCode::InUse, "the passphrase was not changed", next)
}

/// The parts of a failure of the disk: the engine is ahead of the store then, so the node ends.
const fn of_the_disk(
    code: FailureCode,
    next: &'static str,
) -> (FailureCode, &'static str, &'static str) {
    (code, "nothing more can be saved, so undertone has stopped", next)
}

impl From<DataDirError> for Failure {
    fn from(error: DataDirError) -> Self {
        match error {
            // Whoever made an identity would be told the same.
            DataDirError::Nowhere => {
                let text = FailureText {
                    what: "no home folder is known",
                    why: &error.to_string(),
                    safe: "nothing was done",
                    next: "name one: --home DIR",
                };
                Self::new(FailureCode::NoHome, text)
            }
            DataDirError::NotAFolder | DataDirError::NotPrivate(_) | DataDirError::Io(_) => {
                StoreError::from(error).into()
            }
        }
    }
}

impl From<PassphraseError> for Failure {
    fn from(error: PassphraseError) -> Self {
        let why = error.to_string();
        let next = match error {
            PassphraseError::UnsafePermissions(_) => "run chmod 600 on the file",
            PassphraseError::OfAnother(_) => "choose a file of your own, or chown this one",
            PassphraseError::NoInput => "add --passphrase-file FILE, or run it in a terminal",
            PassphraseError::Empty
            | PassphraseError::TooLong
            | PassphraseError::NotText
            | PassphraseError::CutShort
            | PassphraseError::Mismatch => "try again with another passphrase",
            PassphraseError::File { .. } => "choose another file",
            PassphraseError::Command
            | PassphraseError::NoDescriptor(_)
            | PassphraseError::Io(_) => {
                "check the file, descriptor or command that the passphrase is read from"
            }
        };
        let code = match error {
            // A code of its own: a script learns that it must say where the passphrase is, and not
            // that the passphrase is wrong.
            PassphraseError::NoInput => FailureCode::NoInput,
            PassphraseError::UnsafePermissions(_) => FailureCode::UnsafeMode,
            PassphraseError::OfAnother(_) => FailureCode::UnsafeOwner,
            PassphraseError::Empty
            | PassphraseError::TooLong
            | PassphraseError::NotText
            | PassphraseError::CutShort
            | PassphraseError::Mismatch
            | PassphraseError::Command
            | PassphraseError::File { .. }
            | PassphraseError::NoDescriptor(_)
            | PassphraseError::Io(_) => FailureCode::NoPassphrase,
        };
        Self::new(
            code,
            FailureText {
                what: "nothing was opened or created",
                why: &why,
                safe: "nothing was changed",
                next,
            },
        )
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        let why = error.to_string();
        let safe = "nothing was sent, and what is stored here stays as it was";
        let next = "check --listen and --peer, then try again";
        Self::new(
            FailureCode::Network,
            FailureText { what: "the network was not joined", why: &why, safe, next },
        )
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let (code, why, next) = match &error {
            ArchiveError::Store(error) => archive_store(error),
            ArchiveError::Label(fault) => archive_label(*fault),
            ArchiveError::Obstacle(obstacle) => archive_obstacle(obstacle),
            ArchiveError::OtherNetwork { of, wanted } => (
                FailureCode::ArchiveNetwork,
                format!(
                    "it is the archive of the network {}, and the relay was to serve {}",
                    network_words(of),
                    network_words(wanted),
                ),
                format!(
                    "start it with --network {} --floor {}; for another network choose another \
                     folder: --home DIR, or hold envelopes in memory: --pool SIZE; to give up what the archive holds, remove the folder \
                     \"archive\" in the home folder",
                    of.network,
                    of.floor.bits(),
                ),
            ),
            ArchiveError::BelowFloor { below, all, floor, file: _ } => (
                FailureCode::ArchiveNetwork,
                format!(
                    "it does not say of which network it is, and a floor of {} bits is above the work \
                     of {below} of its {all} envelopes",
                    floor.bits(),
                ),
                "start it with the --network and --floor that it was made with, or choose another \
                 folder: --home DIR"
                    .to_owned(),
            ),
            ArchiveError::Overflows { over, all, wanted, before, file: _ } => {
                let (was, with) = match before {
                    Some(before) => (
                        format!("; it had {} places before", before.places()),
                        format!("--archive {}", size_argument(before.bytes)),
                    ),
                    None => (String::new(), "a larger --archive SIZE".to_owned()),
                };
                let places = wanted.places();
                (
                    FailureCode::ArchiveSize,
                    format!(
                        "{places} places are too few: {over} of its {all} envelopes would have to \
                         go{was}"
                    ),
                    format!(
                        "start it with {with}; --shrink beside --archive removes them on purpose"
                    ),
                )
            }
        };
        let damaged = match error.file() {
            FileCondition::Whole => "",
            FileCondition::Damaged => {
                "; its file is damaged and was left as it is: a start that goes on mends it"
            }
        };
        let safe = format!("nothing was removed from the archive{damaged}");
        let what = "the archive was not opened";
        Self::new(code, FailureText { what, why: &why, safe: &safe, next: &next })
    }
}

fn archive_obstacle(obstacle: &ArchiveObstacle) -> (FailureCode, String, String) {
    let next = "move that out of the way, or choose another folder: --home DIR; or hold envelopes in \
                memory: --pool SIZE";
    (FailureCode::Archive, obstacle.words().to_owned(), next.to_owned())
}

fn archive_label(fault: LabelFault) -> (FailureCode, String, String) {
    let unknown = "so neither its network nor its size is known";
    let (why, next) = match fault {
        LabelFault::Empty => (format!("its file label.json is empty, {unknown}"), RESTORE_LABEL),
        LabelFault::Garbled => {
            (format!("its file label.json makes no sense, {unknown}"), RESTORE_LABEL)
        }
        LabelFault::NotAFile => (
            "what is called label.json in it is not a file, but a folder, a link or the like"
                .to_owned(),
            "move that out of the folder \"archive\" in the home folder, and put the file label.json \
             back; if it is lost",
        ),
        LabelFault::Unreadable => (
            format!("its file label.json cannot be read, {unknown}"),
            "make the file readable for the user that runs the relay, or, if the disk does not give \
             it back, remove it from the folder \"archive\" in the home folder; then",
        ),
    };
    let next = format!(
        "{next} start the relay with the --network, --floor and --archive SIZE of that archive; or \
         hold envelopes in memory: --pool SIZE"
    );
    (FailureCode::Archive, why, next)
}

/// What to do about a label with another content.
const RESTORE_LABEL: &str = "put the file back as it was; if that is lost, remove it from the folder \
    \"archive\" in the home folder, and";

fn archive_store(error: &StoreError) -> (FailureCode, String, String) {
    let why = error.to_string();
    let (code, why, next) = match error {
        StoreError::InUse => (
            FailureCode::InUse,
            "another process uses the archive in this home folder".to_owned(),
            "stop the other relay, or choose another folder: --home DIR",
        ),
        StoreError::UnsafePermissions(_) => (
            FailureCode::UnsafeMode,
            why,
            "run chmod 700 on the folder and chmod 600 on the files in it",
        ),
        StoreError::OfAnother(_) => (
            FailureCode::UnsafeOwner,
            why,
            "run the relay as that user, or choose another folder: --home DIR",
        ),
        StoreError::PathTooLong { .. } => {
            (FailureCode::Archive, why, "choose another folder, with a shorter path: --home DIR")
        }
        StoreError::Newer => (
            FailureCode::Archive,
            "the archive was written by a newer version of this program".to_owned(),
            "use the undertone that wrote it, or a newer one, or choose another folder: --home DIR",
        ),
        StoreError::Missing
        | StoreError::Exists
        | StoreError::PassphraseInUse
        | StoreError::KeyReplaced
        | StoreError::KeyMissing
        | StoreError::DatabaseMissing
        | StoreError::KeyEmpty
        | StoreError::NotAFolder
        | StoreError::WrongPassphrase
        | StoreError::Foreign
        | StoreError::Damaged
        | StoreError::TooCostly
        | StoreError::OutOfMemory
        | StoreError::DiskFull
        | StoreError::ReadOnly
        | StoreError::Moved
        | StoreError::DiskFails(_)
        | StoreError::TooLarge
        | StoreError::Backwards
        | StoreError::Unsafe
        | StoreError::Unseen(_)
        | StoreError::Sqlite(_)
        | StoreError::Io(_) => (
            FailureCode::Archive,
            why,
            "free some space and make the folder writable, or choose another: --home DIR",
        ),
    };
    (code, why, format!("{next}; or hold envelopes in memory: --pool SIZE"))
}

/// A network, for a person.
fn network_words(label: &ArchiveLabel) -> String {
    format!("{} with a floor of {} bits", label.network, label.floor.bits())
}

/// A size as it can be typed.
fn size_argument(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.into_iter().find(|(shift, _)| bytes.trailing_zeros() >= *shift);
    whole.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

impl From<InviteError> for Failure {
    fn from(error: InviteError) -> Self {
        let why = error.to_string();
        let what = "the invite was not accepted";
        let next = "ask for the invite again; they see it with undertone identity show";
        Self::new(
            FailureCode::BadInvite,
            FailureText { what, why: &why, safe: "nothing was sent", next },
        )
    }
}

/// What a command was for, where the engine refuses it.
#[derive(Clone, Copy)]
pub struct RefusedCommand<'a> {
    /// What did not happen.
    pub what: &'a str,
    /// The name by which the person called the contact, if there is one.
    pub contact: Option<&'a str>,
    /// The text that was to be sent, if there is one.
    pub text: Option<&'a str>,
}

impl fmt::Debug for RefusedCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what: _, contact: _, text: _ } = self;
        f.write_str("RefusedCommand")
    }
}

impl<'a> RefusedCommand<'a> {
    /// A command that is for no contact and sends no text.
    #[must_use]
    pub const fn new(what: &'a str) -> Self {
        Self { what, contact: None, text: None }
    }
}

impl Failure {
    /// A command that the engine refused.
    #[must_use]
    pub fn refused(error: CommandError, command: RefusedCommand<'_>) -> Self {
        let RefusedCommand { what, contact, text } = command;
        let name = contact.map_or_else(|| "NAME".to_owned(), shell_word);
        let is_empty = text.is_some_and(|text| text.trim().is_empty());
        let why = match (error, text) {
            (CommandError::BadText, Some(_)) if is_empty => "the text is empty".to_owned(),
            (CommandError::BadText, Some(_)) => "the text is too long for one message".to_owned(),
            (error, _) => error.to_string(),
        };
        let history = format!("undertone history {name}");
        let unblock = format!("undertone contact unblock {name}");
        let digits = format!("undertone contact verify {name} --digits DIGITS");
        let show = format!("undertone contact show {name}");
        let (code, next) = match error {
            CommandError::NoIdentity => (FailureCode::IdentityNotFound, "undertone identity list"),
            CommandError::NoContact => (FailureCode::ContactNotFound, "undertone contact list"),
            CommandError::NoRequest => (FailureCode::RequestNotFound, "undertone request list"),
            CommandError::NoMessage => (FailureCode::MessageNotFound, &*history),
            CommandError::KnownKey | CommandError::OwnKey => {
                (FailureCode::KnownKey, "undertone contact list")
            }
            CommandError::NameTaken | CommandError::BadName => {
                (FailureCode::BadName, "choose another name")
            }
            CommandError::BadText if is_empty => {
                (FailureCode::BadText, "write a text of at least one character")
            }
            CommandError::BadText => (FailureCode::BadText, "split it into several messages"),
            CommandError::Blocked => (FailureCode::Blocked, &*unblock),
            CommandError::TooLate => (FailureCode::TooLate, "undertone message show ID"),
            CommandError::Full => {
                (FailureCode::Full, "wait until queued messages are sent, or remove something")
            }
            CommandError::NoSas => (FailureCode::NoWords, &*digits),
            CommandError::NotOnHold => (FailureCode::NotHeld, &*show),
            CommandError::Relay => (FailureCode::Relay, "use a node with an identity: undertone"),
        };
        Self::new(code, FailureText { what, why: &why, safe: "nothing was changed", next })
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // Whose disk or device it was is known where it happened, and not here.
        let text = FailureText {
            what: "the operation failed",
            why: &io_words(&error),
            safe: "everything saved before is unchanged",
            next: if is_out_of_files(&error) {
                "raise the limit, then try again: ulimit -n 1024"
            } else {
                "try again"
            },
        };
        Self::new(FailureCode::Io, text)
    }
}

/// What is safe when the disk takes no more. True of every message, because nothing leaves this
/// computer before it is stored.
const NOT_SENT: &str = "everything accepted before is saved; what was not accepted was not sent";

const NOT_OPENED: &str = "the home folder was not opened";

/// What helps where another user owns the home folder, or a file in it.
const AS_ITS_OWNER: &str = "run undertone as that user, or choose another folder: --home DIR; if it is to be \
    yours, chown it and all that is in it";

/// What helps where the home folder was moved while it was used.
const PUT_BACK: &str = "put the folder back, or start undertone with where it lies now: --home DIR";

/// What helps where the home folder cannot be looked at.
const AS_ITS_USER: &str =
    "run undertone as the user whose home folder it is, or choose another: --home DIR";

/// What is safe in every other case.
const UNCHANGED: &str = "everything saved before is unchanged";

/// What helps where a file of the store is missing or damaged: trying again cannot.
const RESTORE: &str = "restore a backup: undertone --home OTHERDIR backup restore FILE";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn refused(error: CommandError) -> Failure {
        Failure::refused(error, RefusedCommand { contact: Some("ben"), ..SENDING })
    }

    const SENDING: RefusedCommand<'_> = RefusedCommand::new("the message was not sent");

    #[test]
    fn a_refused_archive_says_what_would_go_and_how_it_stays() {
        let label = |bytes| ArchiveLabel {
            network: "main".parse().unwrap(),
            floor: crate::engine::envelope::Floor::new(21),
            bytes,
        };
        let overflows = |before| {
            let wanted = label(688_128);
            Failure::from(ArchiveError::Overflows {
                over: 344,
                all: 600,
                wanted,
                before,
                file: FileCondition::Whole,
            })
        };
        let known = overflows(Some(label(10 << 30)));
        assert_eq!(
            known.why,
            "256 places are too few: 344 of its 600 envelopes would have to go; it had 3994575 \
             places before"
        );
        assert!(
            known.next.starts_with("start it with --archive 10GiB; --shrink"),
            "{}",
            known.next
        );
        let damaged = Failure::from(ArchiveError::Overflows {
            over: 1,
            all: 257,
            wanted: label(688_128),
            before: None,
            file: FileCondition::Damaged,
        });
        assert_eq!(
            damaged.safe,
            "nothing was removed from the archive; its file is damaged and was left as it is: a \
             start that goes on mends it"
        );
        let unknown = overflows(None);
        assert!(unknown.why.ends_with("would have to go"), "{}", unknown.why);
        assert!(unknown.next.contains("a larger --archive SIZE"), "{}", unknown.next);
        assert_eq!(size_argument(64 << 20), "64MiB");
        assert_eq!(size_argument(3 << 10), "3KiB");
        assert_eq!(size_argument(688_129), "688129");

        let of = label(1 << 20);
        let wanted = ArchiveLabel { network: "other".parse().unwrap(), ..of.clone() };
        let other = Failure::from(ArchiveError::OtherNetwork { of, wanted });
        assert_eq!(
            other.why,
            "it is the archive of the network main with a floor of 21 bits, and the relay was to \
             serve other with a floor of 21 bits"
        );
        assert!(other.next.starts_with("start it with --network main --floor 21;"));
        let used = Failure::from(ArchiveError::from(StoreError::InUse));
        assert_eq!(used.code(), Some(FailureCode::InUse));
        assert_eq!(used.why, "another process uses the archive in this home folder");
        for failure in [known, unknown, other, used] {
            assert_eq!(failure.safe, "nothing was removed from the archive");
        }
    }

    #[test]
    fn whatever_lies_in_the_place_of_a_label_has_advice_of_its_own() {
        for (fault, why, next) in [
            (LabelFault::Empty, "is empty", "put the file back"),
            (LabelFault::Garbled, "makes no sense", "put the file back"),
            (
                LabelFault::NotAFile,
                "is not a file, but a folder, a link",
                "move that out of the folder",
            ),
            (LabelFault::Unreadable, "cannot be read", "make the file readable"),
        ] {
            let label = Failure::from(ArchiveError::Label(fault));
            assert_eq!(label.code(), Some(FailureCode::Archive));
            assert!(label.why.contains(why) && label.why.contains("label.json"), "{}", label.why);
            assert!(label.next.starts_with(next), "{}", label.next);
            assert!(label.next.contains("--network, --floor and --archive SIZE"), "{}", label.next);
        }
    }

    #[test]
    fn a_refused_command_prints_neither_a_name_nor_a_text() {
        let refused = RefusedCommand { text: Some("secret"), contact: Some("ben"), ..SENDING };
        assert_eq!(format!("{refused:?}"), "RefusedCommand");
    }

    #[test]
    fn a_text_is_refused_as_empty_or_as_too_long() {
        let of = |text| {
            let sending = RefusedCommand { text: Some(text), ..SENDING };
            Failure::refused(CommandError::BadText, sending)
        };
        let (empty, long) = (of(" \n"), of("far too long"));
        assert_eq!([empty.code(), long.code()], [Some(FailureCode::BadText); 2]);
        assert_eq!(
            (&*empty.why, &*long.why),
            ("the text is empty", "the text is too long for one message",)
        );
        assert!(!empty.next.contains("split") && long.next.contains("split"));
    }

    #[test]
    fn a_hostile_name_is_one_word_of_the_next_command() {
        for (name, word) in [
            ("ben", "ben"),
            ("ben smith", "'ben smith'"),
            ("$(rm -rf x)", "'$(rm -rf x)'"),
            ("a'; b", "'a'\\''; b'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(name), word);
            let blocked = RefusedCommand { contact: Some(name), ..SENDING };
            let next = Failure::refused(CommandError::Blocked, blocked).next;
            assert_eq!(next, format!("undertone contact unblock {word}"));
        }
        assert!(!shell_word("\u{1b}[2J\n").contains(['\u{1b}', '\n']));
    }

    #[test]
    fn a_full_disk_says_which_and_that_what_was_accepted_is_safe() {
        let failure =
            Failure::from(StoreError::DiskFull).with_home(Path::new("/home/ann/\u{1b}[2J"));
        let text = failure.render();
        assert!(
            text.contains("stopped [disk_full]") && text.contains("is full; the folder is /home")
        );
        assert!(text.contains("everything accepted before is saved") && !text.contains('\u{1b}'));
        let elsewhere = refused(CommandError::Blocked).with_home(Path::new("/home/ann"));
        assert!(!elsewhere.render().contains("/home"));
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let full = Failure::from(full).with_home(Path::new("/home/ann"));
        assert!(!full.render().contains("/home"), "whose disk it was is not known");
    }

    #[test]
    fn an_error_says_what_why_what_is_safe_and_what_next() {
        let text = refused(CommandError::Blocked).render();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "error: the message was not sent [blocked]",
                "   this contact is blocked",
                "   nothing was changed",
                "   next: undertone contact unblock ben",
            ]
        );
    }
}
