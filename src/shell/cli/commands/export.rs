//! `undertone export` and `import`: messages as lines of JSON, which are not encrypted.
//!
//! ```text
//! {"v":1,"id":"16 hexadecimal digits","contact":"mira","from":"me" or "them","time":seconds since 1970,
//!  "at":"the same for people, in UTC","state":"delivered" (of mine alone),"number":3,"missing":0,
//!  "early":false,"text":"what was written"}
//! ```
//!
//! Lines are ASCII: other characters are escaped, and read back exactly. Imported messages are
//! history only: none is sent, and none gets a better state than it had.

use std::fs::{File, Permissions};
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::Builder;

use super::listen::state_word;
use super::without_network;
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::event::ContactView;
use crate::engine::id::{ContactId, MessageId};
use crate::engine::node::backup::known_state;
use crate::engine::record::{DeliveryLog, MessageRecord, MessageState, StoredDirection};
use crate::engine::session::{MAX_TEXT, SessionId};
use crate::shell::calendar::utc;
use crate::shell::cli::args::GlobalArgs;
use crate::shell::cli::directory::{CHOSEN_IDENTITY, Directory};
use crate::shell::cli::{open_store, output};
use crate::shell::durable_node::DurableNode;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::data_dir::FILE_MODE;
use crate::shell::os::exit_code::ExitCode;
use crate::shell::os::io_words::io_words;
use crate::shell::os::signals::StopFlag;
use crate::shell::store::{Store, StoreError};

/// Whether an import is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImportMode {
    /// Yes.
    Apply,
    /// It is only looked at.
    DryRun,
}

/// `undertone export ..`: one conversation, or those with everybody the identity knows.
pub(super) fn export(
    global: &GlobalArgs,
    file: &Path,
    contact: Option<&str>,
) -> Result<(), Failure> {
    let standard = file.as_os_str() == "-";
    // Checked before the passphrase prompt, which would be in vain.
    if !standard && file.symlink_metadata().is_ok() {
        return Err(not_exported(file, &io::ErrorKind::AlreadyExists.into()));
    }
    let (mut durable, directory) = without_network(open_store::open(global)?)?;
    let contacts = chosen(global, &mut durable, &directory, contact)?;
    let count = if standard {
        let mut output = BufWriter::new(io::stdout().lock());
        // What was printed stays printed, so a signal may end the process at once.
        let never = StopFlag::default();
        let written = write(&contacts, durable.store(), &mut output, (file, &never))?;
        output.flush().map_err(|error| not_exported(file, &error))?;
        written
    } else {
        let stop = StopFlag::listen()?;
        to_new_file(file, |output| write(&contacts, durable.store(), output, (file, &stop)))?
    };
    // Standard output has messages on it and nothing else.
    if standard {
        return Ok(());
    }
    if global.json {
        output::print_result(&json!({ "messages": count, "conversations": contacts.len() }));
    } else {
        output::print_line(&format!("exported {count} messages of {} chats", contacts.len()));
        output::print_message("The file is not encrypted: anyone who has it can read it.");
    }
    Ok(())
}

/// `undertone import ..`: into one conversation, all lines or none.
pub(super) fn import(
    global: &GlobalArgs,
    file: &Path,
    contact: &str,
    mode: ImportMode,
) -> Result<(), Failure> {
    // Read first: a file with a bad line is refused before a passphrase is asked for.
    let lines = if file.as_os_str() == "-" {
        read(io::stdin().lock(), file)?
    } else {
        read(BufReader::new(File::open(file).map_err(|error| not_read(file, &error))?), file)?
    };
    let (mut durable, directory) = without_network(open_store::open(global)?)?;
    let contacts = chosen(global, &mut durable, &directory, Some(contact))?;
    let Some(to) = contacts.first() else { return Err(StoreError::Missing.into()) };
    let all = of_one_contact(lines, contact)?;
    let found = all.len();
    let records: Vec<MessageRecord> =
        all.into_iter().filter_map(|line| line.into_record(to.id)).collect();
    // So a second import of the same file adds nothing.
    let fresh = durable.store().messages().unknown(records)?;
    let taken = fresh.len();
    if mode == ImportMode::Apply {
        durable.store().import()?.add_history(to.id, fresh)?;
    }
    if global.json {
        let would = mode == ImportMode::DryRun;
        output::print_result(&json!({ "found": found, "taken": taken, "dry_run": would }));
        return Ok(());
    }
    let verb = if mode == ImportMode::Apply { "imported" } else { "would be imported" };
    output::print_line(&format!(
        "found {found} messages, {taken} of them {verb}; the others exist already"
    ));
    Ok(())
}

/// One contact of the identity that speaks, or all of them.
fn chosen(
    global: &GlobalArgs,
    durable: &mut DurableNode,
    directory: &Directory,
    contact: Option<&str>,
) -> Result<Vec<ContactView>, Failure> {
    let chosen = durable.store().setting(CHOSEN_IDENTITY)?;
    let speaker = directory.speaker(global.identity.as_deref(), chosen.as_deref())?;
    match contact {
        Some(name) => Ok(vec![directory.contact(speaker, name)?.clone()]),
        None => {
            let of_it = directory.contacts.iter().filter(|view| view.identity == speaker.id);
            Ok(of_it.cloned().collect())
        }
    }
}

/// Writes the chats with these contacts until a signal stops it; returns how many messages those
/// were.
fn write(
    contacts: &[ContactView],
    store: &Store,
    output: &mut dyn Write,
    (file, stop): (&Path, &StopFlag),
) -> Result<u64, Failure> {
    let mut count = 0;
    for contact in contacts {
        store.messages().each(Some(contact.id), |message| {
            // A signal that killed the process would leave what is written so far, not encrypted.
            if let Some(exit) = stop.raised() {
                return Err(stopped(exit));
            }
            if let Some(line) = line(&contact.petname, &message) {
                writeln!(output, "{}", output::to_ascii(&line))
                    .map_err(|error| not_exported(file, &error))?;
                count += 1;
            }
            Ok::<(), Failure>(())
        })?;
    }
    Ok(count)
}

/// Creates a file that only its owner can access, with all that `write` writes or not at all: until
/// it is whole it has another name, and is removed if it does not become whole. No existing file is
/// replaced.
fn to_new_file(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<u64, Failure>,
) -> Result<u64, Failure> {
    let failed = |error: io::Error| not_exported(file, &error);
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    // For its owner alone: the messages in it are not encrypted.
    let part = Builder::new()
        .prefix(UNFINISHED)
        .permissions(Permissions::from_mode(FILE_MODE))
        .tempfile_in(folder)
        .map_err(failed)?;
    let mut output = BufWriter::new(part.as_file());
    let count = write(&mut output)?;
    output.flush().map_err(failed)?;
    drop(output);
    // The content is durable before the name is.
    part.as_file().sync_all().map_err(failed)?;
    part.persist_noclobber(file).map_err(|error| failed(error.error))?;
    // The file is whole and has its name; a power cut could take the name back, and no more.
    if File::open(folder).and_then(|folder| folder.sync_all()).is_err() {
        tracing::debug!("the folder of an export could not be synchronised");
    }
    Ok(count)
}

fn stopped(exit: ExitCode) -> Failure {
    let text = FailureText {
        what: "nothing was exported",
        why: "a signal ended it",
        safe: "the part that was written is removed",
        next: "export again",
    };
    Failure::new(FailureCode::of_signal(exit), text)
}

/// The failure to write an export. It names the file: the disk of the home folder may be another.
fn not_exported(file: &Path, error: &io::Error) -> Failure {
    let target =
        if file.as_os_str() == "-" { "standard output".to_owned() } else { format!("{file:?}") };
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the standard library's")]
    let (code, next) = match error.kind() {
        io::ErrorKind::AlreadyExists => (FailureCode::ExportExists, "choose another file"),
        io::ErrorKind::NotFound => (FailureCode::NoFile, "choose a folder that exists"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (FailureCode::ExportDiskFull, "free some space there, or choose another file")
        }
        io::ErrorKind::ReadOnlyFilesystem => (FailureCode::ExportDiskFull, "choose another file"),
        _ => (FailureCode::ExportFile, "choose another file"),
    };
    let text = FailureText {
        what: "nothing was exported",
        why: &format!("{target} was not written: {}", io_words(error)),
        safe: "everything saved before is unchanged",
        next,
    };
    Failure::new(code, text)
}

/// A message as a line; nothing for one that was never shown.
fn line(contact: &str, message: &MessageRecord) -> Option<Value> {
    let (from, state) = match message.direction {
        StoredDirection::Buffered { .. } => return None,
        StoredDirection::Delivered => ("them", None),
        StoredDirection::Outgoing(state) => ("me", Some(state_word(state))),
    };
    Some(json!({
        "v": 1,
        "id": message.id.hex(),
        "contact": contact,
        "from": from,
        "time": message.at.0,
        "at": utc(message.at),
        "state": state,
        "number": message.number,
        "missing": message.missing,
        "early": message.early.is_some(),
        "text": message.text,
    }))
}

/// One line of an export. Further fields are ignored.
#[derive(Deserialize)]
struct ExportedMessage {
    v: u64,
    id: String,
    contact: String,
    from: ExportedAuthor,
    time: u64,
    #[serde(default)]
    state: Option<ExportedState>,
    #[serde(default)]
    number: Option<u64>,
    #[serde(default)]
    missing: u64,
    #[serde(default)]
    early: bool,
    text: String,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum ExportedAuthor {
    Me,
    Them,
}

/// The words of [`state_word`].
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ExportedState {
    Queued,
    Mining,
    Sent,
    Delivered,
    Failed,
    Cancelled,
    Unacknowledged,
    Read,
}

impl ExportedState {
    const fn known(self) -> MessageState {
        known_state(match self {
            Self::Queued => MessageState::Queued,
            Self::Mining => MessageState::Mining,
            Self::Sent => MessageState::Sent,
            Self::Delivered => MessageState::Delivered,
            Self::Failed => MessageState::Failed,
            Self::Cancelled => MessageState::Cancelled,
            Self::Unacknowledged => MessageState::Unacknowledged,
            Self::Read => MessageState::Read,
        })
    }
}

impl ExportedMessage {
    fn parse(text: &[u8]) -> Option<Self> {
        let line: Self = serde_json::from_slice(text).ok()?;
        let sound = line.v == 1
            && line.message_id().is_some()
            && line.text.len() <= MAX_TEXT
            // After the year 9999 no date has four digits, and the store counts in 63 bits.
            && line.time < 253_402_300_800
            // Messages of ours have a state, theirs have none.
            && (line.from == ExportedAuthor::Me) == line.state.is_some();
        sound.then_some(line)
    }

    fn message_id(&self) -> Option<MessageId> {
        let bytes = HEXLOWER_PERMISSIVE.decode(self.id.as_bytes()).ok()?;
        Some(MessageId(u64::from_be_bytes(bytes.try_into().ok()?)))
    }

    fn into_record(self, contact: ContactId) -> Option<MessageRecord> {
        let id = self.message_id()?;
        let direction = match self.state {
            None => StoredDirection::Delivered,
            Some(state) => StoredDirection::Outgoing(state.known()),
        };
        Some(MessageRecord {
            id,
            contact,
            direction,
            // The number of our own message belongs to the send window of another store.
            number: self.number.filter(|_| direction == StoredDirection::Delivered),
            text: self.text,
            at: UnixSeconds(self.time),
            missing: self.missing,
            early: self.early.then_some(SessionId([0; 32])),
            lifetime: Lifetime::default(),
            delivery: DeliveryLog::default(),
        })
    }
}

/// Reads every line, or rejects all of them because of the first invalid one.
fn read(mut input: impl BufRead, file: &Path) -> Result<Vec<ExportedMessage>, Failure> {
    let mut lines = Vec::new();
    let mut text = Vec::new();
    loop {
        text.clear();
        // A file without line ends must not fill the memory. A line that is cut here does not
        // parse.
        let mut bounded = (&mut input).take(MAX_LINE + 1);
        bounded.read_until(b'\n', &mut text).map_err(|error| not_read(file, &error))?;
        if text.is_empty() {
            return Ok(lines);
        }
        let number = lines.len() + 1;
        if lines.len() >= MAX_LINES {
            let why = format!("it has more than {MAX_LINES} lines");
            return Err(not_imported(&why, "import it in parts"));
        }
        let Some(line) = ExportedMessage::parse(&text) else {
            let why = format!("line {number} is not a message in the format of undertone export");
            return Err(not_imported(&why, "fix or remove that line, then try again"));
        };
        lines.push(line);
    }
}

/// The lines of one chat: those that name the contact, or all if they name only one.
fn of_one_contact(
    mut lines: Vec<ExportedMessage>,
    contact: &str,
) -> Result<Vec<ExportedMessage>, Failure> {
    let first = lines.first().map(|line| line.contact.clone());
    // On the device that wrote the file, the contact may have had another name.
    if lines.iter().all(|line| Some(&line.contact) == first.as_ref()) {
        return Ok(lines);
    }
    lines.retain(|line| line.contact == contact);
    if lines.is_empty() {
        let why = "it contains several chats, and none with a contact of that name";
        return Err(not_imported(
            why,
            "export that chat alone: undertone export FILE --contact NAME",
        ));
    }
    Ok(lines)
}

fn not_imported(why: &str, next: &str) -> Failure {
    let text = FailureText { what: "nothing was imported", why, safe: "nothing was changed", next };
    Failure::new(FailureCode::BadImport, text)
}

fn not_read(file: &Path, error: &io::Error) -> Failure {
    let source =
        if file.as_os_str() == "-" { "standard input".to_owned() } else { format!("{file:?}") };
    let why = format!("{source} was not read: {}", io_words(error));
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let code = if is_missing { FailureCode::NoFile } else { FailureCode::ImportFile };
    let text = FailureText {
        what: "nothing was imported",
        why: &why,
        safe: "nothing was changed",
        next: "choose another file",
    };
    Failure::new(code, text)
}

/// How the name of an export begins until it is whole. Not hidden: after `kill -9` or a power cut a
/// person has to find it.
const UNFINISHED: &str = "unfinished-undertone-export-";

/// The longest line: a message of the longest text, every byte of it escaped, with room.
const MAX_LINE: u64 = 64 << 10;

/// The most lines of one import, which are held at once: a guess at several years of talk.
const MAX_LINES: usize = 100_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::crypto::keys::Identity;
    use crate::engine::crypto::safety_number::SafetyNumber;
    use crate::engine::event::SessionStatus;
    use crate::engine::id::IdentityId;
    use crate::engine::record::{Change, Record, Trust};
    use crate::engine::testing::rng::SeededRng;

    fn any_message() -> impl Strategy<Value = MessageRecord> {
        let direction = prop_oneof![
            Just(StoredDirection::Delivered),
            Just(StoredDirection::Outgoing(MessageState::Delivered)),
            Just(StoredDirection::Outgoing(MessageState::Read)),
            Just(StoredDirection::Outgoing(MessageState::Failed)),
        ];
        (any::<(u64, u32, Option<u64>, u64, bool)>(), direction, "\\PC{0,200}").prop_map(
            |((id, at, number, missing, early), direction, text)| MessageRecord {
                id: MessageId(id),
                contact: ContactId(1),
                direction,
                number: number.filter(|_| direction == StoredDirection::Delivered),
                text,
                at: UnixSeconds(u64::from(at)),
                missing,
                early: early.then_some(SessionId([0; 32])),
                lifetime: Lifetime::default(),
                delivery: DeliveryLog::default(),
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_exported_reads_back(message in any_message()) {
            let text = output::to_ascii(&line("mira", &message).unwrap());
            let read = read(text.as_bytes(), Path::new("-")).map_err(|failure| failure.why).unwrap();
            let records: Vec<MessageRecord> =
                read.into_iter().filter_map(|line| line.into_record(ContactId(1))).collect();
            prop_assert_eq!(records, [message]);
        }

        #[test]
        fn reading_anything_never_panics(bytes: Vec<u8>) {
            prop_assert!(bytes.is_empty() || read(bytes.as_slice(), Path::new("-")).is_err());
        }
    }

    #[test]
    fn a_signal_ends_an_export_and_nothing_of_it_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat");
        let mut store = Store::in_memory().unwrap();
        let message = MessageRecord {
            id: MessageId(1),
            contact: ContactId(1),
            direction: StoredDirection::Delivered,
            number: Some(0),
            text: "not encrypted".to_owned(),
            at: UnixSeconds(1),
            missing: 0,
            early: None,
            lifetime: Lifetime::Day,
            delivery: DeliveryLog::default(),
        };
        store.commit(&[Change::Put(Record::Message(message))]).unwrap();
        let mira = [contact_view()];
        let export = |stop: &StopFlag| {
            to_new_file(&file, |output| write(&mira, &store, output, (&file, stop)))
        };
        let stopped = export(&StopFlag::terminated()).unwrap_err();
        assert_eq!(stopped.code(), Some(FailureCode::Terminated));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(export(&StopFlag::default()), Ok(1));
    }

    fn contact_view() -> ContactView {
        let key = Identity::generate(&mut SeededRng::new(1).turn()).public();
        ContactView {
            id: ContactId(1),
            identity: IdentityId(1),
            petname: "mira".to_owned(),
            key,
            session: SessionStatus::None,
            trust: Trust::Unverified,
            safety_number: SafetyNumber::of(&key, &key),
            sas: None,
            missing: 0,
            read_receipts: false,
            restored: None,
        }
    }

    #[test]
    fn a_file_is_exported_whole_for_its_owner_alone_and_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat");
        let failed = |error: io::Error| not_exported(&file, &error);
        let written = to_new_file(&file, |output| {
            output.write_all(b"one").map_err(failed)?;
            Ok(1)
        });
        assert_eq!(written, Ok(1));
        assert_eq!(std::fs::read(&file).unwrap(), b"one");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, FILE_MODE);

        // It appears after all checks, while the export is written.
        let late = folder.path().join("late");
        let refused = to_new_file(&late, |_| {
            std::fs::write(&late, b"theirs").map_err(failed)?;
            Ok(0)
        });
        assert_eq!(refused.unwrap_err().code(), Some(FailureCode::ExportExists));
        assert_eq!(std::fs::read(&late).unwrap(), b"theirs");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_export_that_fails_leaves_no_file_and_names_the_one_it_was_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat");
        let failure = to_new_file(&file, |output| {
            output.write_all(&[b'x'; 100_000]).map_err(|error| not_exported(&file, &error))?;
            Err(not_exported(&file, &io::ErrorKind::StorageFull.into()))
        });
        let failure = failure.unwrap_err().with_home(Path::new("/home/ann/undertone"));
        let text = failure.render();
        assert!(text.contains(&format!("{file:?} was not written: the disk is full")), "{text}");
        assert!(!text.contains("/home/ann"), "{text}");
        assert_eq!(failure.code(), Some(FailureCode::ExportDiskFull));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    fn why(text: &str) -> String {
        read(text.as_bytes(), Path::new("-")).err().map(|failure| failure.why).unwrap_or_default()
    }

    #[test]
    fn the_first_line_that_is_none_is_named() {
        let good =
            r#"{"v":1,"id":"0000000000000001","contact":"a","from":"them","time":1,"text":"x"}"#;
        assert_eq!(why(good), "");
        for bad in [
            "{}",
            "",
            &good.replace("\"v\":1", "\"v\":2"),
            &good.replace("0000000000000001", "1"),
            &good.replace("0000000000000001", "+000000000000001x"),
            &good.replace("them", "me"),
            &good.replace("\"time\":1", "\"time\":18446744073709551615"),
            &good.replace('x', &"x".repeat(MAX_TEXT + 1)),
            &"x".repeat(100_000),
        ] {
            let text = format!("{good}\n{bad}\n{good}");
            assert!(why(&text).starts_with("line 2 "), "{bad}: {}", why(&text));
        }
    }

    #[test]
    fn no_state_that_is_imported_goes_on_by_itself() {
        for state in ["queued", "mining", "sent"] {
            let state: ExportedState = serde_json::from_value(json!(state)).unwrap();
            let known = state.known();
            assert!(matches!(known, MessageState::Failed | MessageState::Unacknowledged));
        }
    }

    #[test]
    fn of_several_conversations_the_named_one_is_taken() {
        let of = |contact: &str| ExportedMessage {
            v: 1,
            id: String::new(),
            contact: contact.to_owned(),
            from: ExportedAuthor::Them,
            time: 0,
            state: None,
            number: None,
            missing: 0,
            early: false,
            text: String::new(),
        };
        let count = |names: &[&str], contact| {
            of_one_contact(names.iter().map(|name| of(name)).collect(), contact)
                .map(|l| l.len())
                .ok()
        };
        assert_eq!(count(&["a", "a"], "renamed"), Some(2));
        assert_eq!(count(&["a", "b", "a"], "a"), Some(2));
        assert_eq!(count(&["a", "b"], "c"), None);
        assert_eq!(count(&[], "a"), Some(0));
    }
}
