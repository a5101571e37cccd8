//! The table of the errors' codes: the word that programs compare, the exit code, the meaning.

use crate::shell::os::exit_code::{ExitCode, SUCCESS};

/// Makes the codes out of the table: each row is a variant, its word, its exit code, its meaning.
macro_rules! failure_codes {
    ($($name:ident $word:literal $exit:ident $meaning:literal;)+) => {
        /// The code of an error. The meaning of each is [`FailureCode::meaning`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum FailureCode {
            $(#[doc = $meaning] $name,)+
        }

        impl FailureCode {
            /// All of them, by exit code.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word that programs compare: lower case letters and underscores. It stays the
            /// same from version to version.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The exit code of a process that ends with this error.
            #[must_use]
            pub const fn exit(self) -> ExitCode {
                match self { $(Self::$name => ExitCode::$exit,)+ }
            }

            /// The meaning, in a few words for the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)+ }
            }
        }
    };
}

failure_codes! {
    Archive "archive" Other "the archive of a relay could not be opened";
    Backup "backup" Other "a backup could not be read or written, or memory ran out";
    Demo "demo" Other "a step of the demo failed";
    ExportFile "export_file" Other "the file of an export could not be written";
    ImportFile "import_file" Other "the file of an import could not be read";
    Interface "interface" Other "the interface could not be shown in this terminal";
    Io "io" Other "the operating system reported an error";
    Ledger "ledger" Other "a debug build could not write its record of sent envelopes";
    Log "log" Other "the log file could not be opened";
    Network "network" Other "the node could not join the network";
    NodeEnded "node_ended" Other "the node ended; it may have carried out the command";
    NodeStopping "node_stopping" Other "the node is stopping; the command was not carried out";
    NotArchived "not_archived" Other "the archive of a relay stores no envelopes at the moment";
    NotSent "not_sent" Other "the message failed or was cancelled before it was sent";
    Socket "socket" Other "the socket of a node could not be used";
    Store "store" Other "the store could not be used";

    BadId "bad_id" Usage "the id of a message is not valid";
    BadImport "bad_import" Usage "the file is not an export, or too long";
    BadInvite "bad_invite" Usage "the invite is not valid";
    BadPath "bad_path" Usage "the path is not UTF-8 text";
    BadRequest "bad_request" Usage "a request is not valid";
    Input "input" Usage "standard input is not a text";
    Memory "memory" Usage "the command cannot be used with --memory";
    NotAProof "not_a_proof" Usage "these are not three words of the list, nor 60 digits";
    NotConfirmed "not_confirmed" Usage "the confirmation is missing, or names something else";
    TooLong "too_long" Usage "a line is too long";
    UnknownMethod "unknown_method" Usage "there is no such method";
    Usage "usage" Usage "the command line is not valid";
    WhichIdentity "which_identity" Usage "there are several identities, and none was chosen";
    WhichMessage "which_message" Usage "several ids of messages begin with these digits";

    ContactNotFound "contact_not_found" NotFound "no contact has that name";
    CursorGone "cursor_gone" NotFound "the place to go on from is not among the events that are remembered";
    IdentityNotFound "identity_not_found" NotFound "no identity has that name";
    MessageNotFound "message_not_found" NotFound "no message has that id";
    NoFile "no_file" NotFound "the file, or the folder it would lie in, does not exist";
    NoHome "no_home" NotFound "no home folder was named, and HOME does not say one";
    NoIdentity "no_identity" NotFound "the home folder has no identity yet";
    NoNode "no_node" NotFound "no node runs in this home folder";
    NoStore "no_store" NotFound "the home folder has no store yet";
    RequestNotFound "request_not_found" NotFound
        "no contact request has a key that begins so, or several do";

    BackupLocked "backup_locked" Locked "the passphrase of the backup is wrong";
    Locked "locked" Locked "the passphrase is wrong";
    NoPassphrase "no_passphrase" Locked "no passphrase could be read, or it cannot be used";

    NoRelay "no_relay" NoPeers "no peer could be reached; the message is queued";

    AckTimeout "ack_timeout" TimeOver
        "the message has not reached the wanted state in time; it may still";
    ClockWrong "clock_wrong" TimeOver
        "the message left under a wrong clock, so others do not carry it; it is sent again";
    NodeSilent "node_silent" TimeOver "the running node did not answer in time";
    NotAcknowledged "not_acknowledged" TimeOver
        "the message was retried until its end, and never acknowledged";
    NotForLong "not_for_long" TimeOver
        "the message was sent for less work than is asked, so not all nodes hold it; it is sent again";
    TimeOver "time_over" TimeOver "the time limit passed before what was waited for";
    WaitsForAcknowledgement "waits_for_acknowledgement" TimeOver
        "the message waits until earlier ones are acknowledged, and was not sent in time; it may still be";
    WaitsForPrice "waits_for_price" TimeOver
        "the message waits for a lower price, and was not sent in time; it may still be";
    WaitsForTurn "waits_for_turn" TimeOver
        "the message waits its turn behind others to the contact, and was not sent in time; it is soon";

    ArchiveNetwork "archive_network" Refused "the archive of a relay is of another network";
    ArchiveSize "archive_size" Refused
        "the archive of a relay holds more than fits into the size that was given";
    BackupExists "backup_exists" Refused "the file of the backup exists already";
    BackupUnfinished "backup_unfinished" Refused "an unfinished backup lies in the way";
    BadName "bad_name" Refused "the name is in use or not allowed";
    BadText "bad_text" Refused "the text is empty or too long for one message";
    Blocked "blocked" Refused "the contact is blocked";
    ExportExists "export_exists" Refused "the file of the export exists already";
    Full "full" Refused "there are too many messages, contacts or other things already";
    Held "held" Refused "the message is queued until the contact is verified or accepted";
    KnownKey "known_key" Refused "the key is that of a contact, or your own";
    NoRoom "no_room" Refused "the machine has less memory or disk than the size that was given takes";
    NoWords "no_words" Refused "there are no words to compare now; there are 60 digits";
    NodeBusy "node_busy" Refused "too many connections or requests at once";
    NotHeld "not_held" Refused "sending to the contact is not paused";
    ReadMarksOff "read_marks_off" Refused
        "read marks are off for the contact, so none can be waited for";
    Relay "relay" Refused "a relay has no identity and does not carry out the command";
    Scope "scope" Refused "this connection may not do that";
    StoreExists "store_exists" Refused "the home folder has a store already";
    TooLate "too_late" Refused "the state of the message does not allow this";

    Mismatch "mismatch" Mismatch "the words or digits do not match; sending is paused";

    BackupDamaged "backup_damaged" Damaged "the backup is damaged";
    BackupNewer "backup_newer" Damaged "the backup is of a newer version";
    NotABackup "not_a_backup" Damaged "the file is not a backup";
    StoreUnreadable "store_unreadable" Damaged
        "the store is damaged, incomplete, of another program or of a newer version";

    InUse "in_use" InUse "another process uses the home folder";
    NodeVersion "node_version" InUse "the running node is another version";

    UnsafeMode "unsafe_mode" Unsafe
        "others can read the home folder, a file in it, a passphrase file or the log";
    UnsafeOwner "unsafe_owner" Unsafe
        "the home folder, a file in it, a passphrase file or the log is another user's";

    NoInput "no_input" NoInput "a person would have to be asked, and cannot be";

    BackupDiskFull "backup_disk_full" NotStored "the disk of the backup is full or read-only";
    DiskFails "disk_fails" NotStored "the disk of the home folder fails";
    DiskFull "disk_full" NotStored "the disk of the home folder is full";
    ExportDiskFull "export_disk_full" NotStored "the disk of the export is full or read-only";
    HomeMoved "home_moved" NotStored "the home folder was moved, renamed or removed while a node ran in it";
    NotStored "not_stored" NotStored "the message or another record is too long for the store";
    ReadOnly "read_only" NotStored "the disk of the home folder is read-only";

    Output "output" Output "standard output could not be written";

    Interrupted "interrupted" Interrupted "SIGINT ended the command";

    OutputClosed "output_closed" OutputClosed "nobody reads standard output any more";

    Terminated "terminated" Terminated "SIGTERM or SIGHUP ended the command";
}

impl FailureCode {
    /// The code with this word; `None` for a word that this version does not know.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.word() == word)
    }

    /// The code of a command that a signal ended, by the exit code that the signal asks for.
    #[must_use]
    pub fn of_signal(exit: ExitCode) -> Self {
        if exit == ExitCode::Interrupted { Self::Interrupted } else { Self::Terminated }
    }
}

/// The exit codes with their meanings, and the words of the errors that end with each: a part of
/// `undertone --help`.
#[must_use]
pub fn help() -> String {
    let mut lines = vec![
        "Exit codes, each with the codes of the errors that end with it:".to_owned(),
        format!("{:>5}  {SUCCESS}", 0),
    ];
    for exit in ExitCode::ALL {
        lines.push(format!("{:>5}  {}", exit as u8, exit.meaning()));
        let mut line = INDENT.to_owned();
        for code in FailureCode::ALL.iter().filter(|code| code.exit() == exit) {
            if line.len() + 1 + code.word().len() > HELP_WIDTH {
                lines.push(std::mem::replace(&mut line, INDENT.to_owned()));
            }
            line.push(' ');
            line.push_str(code.word());
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// The beginning of a line of words, which a blank follows.
const INDENT: &str = "      ";

/// The longest line of words in the help, in characters: that of the usual terminal.
const HELP_WIDTH: usize = 79;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_each_word_stands_in_it_once() {
        let order = |code: &FailureCode| (code.exit() as u8, code.word());
        assert!(FailureCode::ALL.is_sorted_by(|one, next| order(one) < order(next)));
        for &code in FailureCode::ALL {
            assert_eq!(FailureCode::of_word(code.word()), Some(code));
        }
    }

    #[test]
    fn a_word_is_one_that_another_process_accepts() {
        for code in FailureCode::ALL {
            let word = code.word();
            assert!(word.len() <= super::super::MAX_WORD, "{word}");
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{word}");
        }
    }

    #[test]
    fn a_signal_decides_how_the_command_ends() {
        for exit in [ExitCode::Interrupted, ExitCode::Terminated] {
            assert_eq!(FailureCode::of_signal(exit).exit(), exit);
        }
    }

    /// Fails unless a table of README.md is this one.
    fn in_readme(head: &str, rows: impl Iterator<Item = String>) {
        let columns = head.matches('|').count() - 1;
        let line = format!("|{}", "---|".repeat(columns));
        let quoted = |word: &str| {
            if word.starts_with("--") { format!("`{word}`") } else { word.to_owned() }
        };
        let rows = rows.map(|row| row.split(' ').map(quoted).collect::<Vec<_>>().join(" "));
        let table = [head.to_owned(), line].into_iter().chain(rows).collect::<Vec<_>>().join("\n");
        assert!(
            include_str!("../../../README.md").contains(&format!("\n\n{table}\n\n")),
            "README.md has another table; paste this one in its place:\n\n{table}\n"
        );
    }

    #[test]
    fn the_readme_lists_every_exit_code() {
        let rows = ExitCode::ALL.map(|exit| format!("| {} | {} |", exit as u8, exit.meaning()));
        let success = format!("| 0 | {SUCCESS} |");
        in_readme("| exit code | means |", std::iter::once(success).chain(rows));
    }

    #[test]
    fn the_readme_lists_every_code_of_an_error() {
        let row = |code: &FailureCode| {
            format!("| `{}` | {} | {} |", code.word(), code.exit() as u8, code.meaning())
        };
        in_readme("| code | exit code | means |", FailureCode::ALL.iter().map(row));
    }

    #[test]
    fn the_help_names_each_code_once_under_its_exit_code() {
        let help = help();
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
        let (mut found, mut exit) = (Vec::new(), None);
        for line in help.lines().skip(1) {
            let words = || line.split_whitespace();
            match words().next().and_then(|word| word.parse::<u8>().ok()) {
                Some(number) => exit = Some(number),
                None => found.extend(words().map(|word| (exit, word))),
            }
        }
        let table = FailureCode::ALL.iter().map(|code| (Some(code.exit() as u8), code.word()));
        assert_eq!(found, table.collect::<Vec<_>>(), "{help}");
    }
}
