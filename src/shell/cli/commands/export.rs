//! `undertone export` and `import`: messages as lines of JSON ([`exported`]), which are not encrypted.
//!
//! Lines are ASCII: other characters are escaped, and read back exactly.

use std::fs::{File, Permissions};
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::de::IgnoredAny;
use serde_json::json;
use serde_json::value::RawValue;
use tempfile::Builder;

use super::contacts::{all, of_identity};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::secret::opaque_debug;
use crate::shell::api::Contact;
use crate::shell::api::calls::{
    Around, ContactShow, History, HistoryPart, IdentityShow, Import, ImportReport, MAX_HISTORY,
};
use crate::shell::cli::args::GlobalArgs;
use crate::shell::cli::connect;
use crate::shell::cli::output::{self, CommandOutput};
use crate::shell::client::{Client, CreateStore};
use crate::shell::exported::{self, ExportedMessage, MAX_LINE, MAX_LINES};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::data_dir::FILE_MODE;
use crate::shell::os::exit_code::ExitCode;
use crate::shell::os::io_words::io_words;
use crate::shell::os::signals::StopFlag;
use crate::shell::os::user_file::open_to_read;

/// Whether an import is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImportMode {
    /// Yes.
    Apply,
    /// It is only looked at.
    DryRun,
}

/// `undertone export ..`: one conversation, or those with everybody the identity knows.
pub(super) async fn export(
    global: &GlobalArgs,
    file: &Path,
    contact: Option<&str>,
) -> Result<(), Failure> {
    let standard = file.as_os_str() == "-";
    // Checked before the passphrase prompt, which would be in vain.
    if !standard && file.symlink_metadata().is_ok() {
        return Err(not_exported(file, &io::ErrorKind::AlreadyExists.into()));
    }
    let client = connect::for_command(global, CreateStore::No).await?;
    let mut ahead = ReadAhead::new(io::stdout(), AHEAD);
    let written = write_to(&client, global.identity.as_deref(), (file, &mut ahead), contact).await;
    let (messages, conversations) = connect::finish(client, written).await?;
    // Standard output has messages on it and nothing else.
    if standard {
        return ahead.finish().map_err(|error| not_exported(file, &error));
    }
    let words = format!("exported {messages} messages of {conversations} chats");
    let data = json!({ "messages": messages, "conversations": conversations });
    CommandOutput::new(&data, words).print(global)?;
    if !global.json {
        output::print_message("The file is not encrypted: anyone who has it can read it.");
    }
    Ok(())
}

/// Writes the chats to the file, or into what is read ahead for standard output; returns how many
/// messages and how many chats those were.
async fn write_to(
    client: &Client,
    identity: Option<&str>,
    (file, ahead): (&Path, &mut dyn Write),
    contact: Option<&str>,
) -> Result<(u64, usize), Failure> {
    let contacts = match contact {
        Some(name) => {
            let contact = of_identity(name, identity);
            vec![client.call(ContactShow { contact }).await?]
        }
        None => {
            let identity = identity.map(str::to_owned);
            let speaker = client.call(IdentityShow { identity }).await?;
            all(client, Some(&speaker.name)).await?
        }
    };
    let count = if file.as_os_str() == "-" {
        // What was printed stays printed, so a signal may end the process at once.
        let never = StopFlag::default();
        write(client, &contacts, ahead, (file, &never)).await?
    } else {
        let stop = StopFlag::listen()?;
        let written =
            async |output: &mut dyn Write| write(client, &contacts, output, (file, &stop)).await;
        to_new_file(file, written).await?
    };
    Ok((count, contacts.len()))
}

/// What was read of a home and not written yet: so the home is free again before a reader who pauses
/// has taken it. Beyond its room it is written at once.
struct ReadAhead<W> {
    output: W,
    waiting: Vec<u8>,
    room: usize,
}

impl<W: Write> ReadAhead<W> {
    const fn new(output: W, room: usize) -> Self {
        Self { output, waiting: Vec::new(), room }
    }

    /// Writes all that waits.
    fn finish(mut self) -> io::Result<()> {
        self.write_waiting()?;
        self.output.flush()
    }

    fn write_waiting(&mut self) -> io::Result<()> {
        self.output.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}

impl<W: Write> Write for ReadAhead<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waiting.len().saturating_add(bytes.len()) > self.room {
            self.write_waiting()?;
        }
        self.waiting.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// What waits does so until the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `undertone import ..`: into one conversation, all lines or none.
pub(super) async fn import(
    global: &GlobalArgs,
    file: &Path,
    contact: &str,
    mode: ImportMode,
) -> Result<(), Failure> {
    // Read first: a file with a bad line is refused before a passphrase is asked for.
    let lines = if file.as_os_str() == "-" {
        read(io::stdin().lock(), file)?
    } else {
        let opened = open_to_read::<io::Error>(file, |_| Ok(()));
        read(BufReader::new(opened.map_err(|error| not_read(file, &error))?), file)?
    };
    let client = connect::for_command(global, CreateStore::No).await?;
    let named = of_identity(contact, global.identity.as_deref());
    let taken = async {
        let to = client.call(ContactShow { contact: named }).await?.id;
        hand_over(&client, to, &of_one_contact(lines, contact)?, mode).await
    };
    let taken = taken.await;
    let report = connect::finish(client, taken).await?;
    let ImportReport { found, taken, dry_run } = report;
    let verb = if dry_run { "would be imported" } else { "imported" };
    let words = format!("found {found} messages, {taken} of them {verb}; the others exist already");
    CommandOutput::new(&report, words).print(global)
}

/// Hands lines over to the node, which takes all of them with the last, or none.
async fn hand_over(
    client: &Client,
    to: ContactId,
    lines: &[ImportLine],
    mode: ImportMode,
) -> Result<ImportReport, Failure> {
    let dry_run = mode == ImportMode::DryRun;
    let mut rest = lines;
    loop {
        let (batch, left) = first_batch(rest);
        rest = left;
        let (batch, more) = (batch.iter().map(|line| line.text.clone()), !rest.is_empty());
        let import = Import { contact: to.into(), lines: batch.collect(), more, dry_run };
        let report = client.call(import).await?;
        // Another node has none of the lines that the one before was given.
        if report.found != lines.len() - rest.len() {
            return Err(replaced());
        }
        if !more {
            return Ok(report);
        }
    }
}

/// As many of the lines, at least one, as one call carries; and the rest.
fn first_batch(lines: &[ImportLine]) -> (&[ImportLine], &[ImportLine]) {
    let mut room = BATCH_BYTES;
    let fits = |line: &&ImportLine| {
        let fits = room > 0;
        room = room.saturating_sub(line.text.get().len());
        fits
    };
    let count = lines.iter().take_while(fits).count();
    lines.split_at_checked(count).unwrap_or((lines, &[]))
}

/// Writes the chats with these contacts until a signal stops it; returns how many messages those
/// were.
async fn write(
    client: &Client,
    contacts: &[Contact],
    output: &mut dyn Write,
    (file, stop): (&Path, &StopFlag),
) -> Result<u64, Failure> {
    let mut count = 0;
    for contact in contacts {
        let mut pages = ConversationPages::of(contact.id);
        loop {
            let page = pages.next(client).await?;
            for message in &page.items {
                // A signal that killed the process would leave what is written so far, not
                // encrypted.
                if let Some(exit) = stop.raised() {
                    return Err(stopped(exit));
                }
                writeln!(output, "{}", output::to_ascii(&exported::line(message)))
                    .map_err(|error| not_exported(file, &error))?;
                count += 1;
            }
            if !page.newer {
                break;
            }
        }
    }
    Ok(count)
}

/// The pages of a conversation, oldest first.
struct ConversationPages {
    contact: ContactId,
    /// The messages of the page before, the last of which is the place to go on from.
    before: Vec<MessageId>,
}

impl ConversationPages {
    const fn of(contact: ContactId) -> Self {
        Self { contact, before: Vec::new() }
    }

    /// The next page. `newer` says whether there is another one.
    async fn next(&mut self, client: &Client) -> Result<HistoryPart, Failure> {
        loop {
            let place = self.before.last();
            let around = place.map_or(Around::Oldest, |place| Around::Message((*place).into()));
            let contact = self.contact.into();
            let page = History { contact, around, before: 0, after: MAX_HISTORY };
            let page = client.call(page).await?;
            // Nothing lies behind a message that was deleted meanwhile: the place is the one before.
            if page.items.is_empty() && self.before.pop().is_some() {
                continue;
            }
            self.before = page.items.iter().map(|message| message.id).collect();
            return Ok(page);
        }
    }
}

/// Creates a file that only its owner can access, with all that `write` writes or not at all: until
/// it is whole it has another name, and is removed if it does not become whole. No existing file is
/// replaced.
async fn to_new_file(
    file: &Path,
    write: impl AsyncFnOnce(&mut dyn Write) -> Result<u64, Failure>,
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
    let count = write(&mut output).await?;
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
    if file.as_os_str() == "-" {
        return output::not_written(error);
    }
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
        why: &format!("{file:?} was not written: {}", io_words(error)),
        safe: "everything saved before is unchanged",
        next,
    };
    Failure::new(code, text)
}

/// A line of an import that is a message.
struct ImportLine {
    /// As it was read.
    text: Box<RawValue>,
    /// The name of the contact on the device that wrote it.
    contact: String,
}

opaque_debug!(struct ImportLine { text, contact });

impl ImportLine {
    fn parse(text: &[u8]) -> Option<Self> {
        let ExportedMessage { contact, .. } = ExportedMessage::parse(text)?;
        Some(Self { text: serde_json::from_slice(text).ok()?, contact })
    }
}

/// Reads every line, or rejects all of them because of the first invalid one.
fn read(mut input: impl BufRead, file: &Path) -> Result<Vec<ImportLine>, Failure> {
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
        if number == 1 && text.starts_with(BYTE_ORDER_MARK) {
            // Editors of Windows put it before a text.
            text.drain(..BYTE_ORDER_MARK.len());
        }
        if lines.len() >= MAX_LINES {
            let why = format!("it has more than {MAX_LINES} lines");
            return Err(not_imported(&why, "import it in parts"));
        }
        let Some(line) = ImportLine::parse(&text) else {
            if is_cut_short(&text) {
                let why = format!("line {number} is cut short: the file ends in the middle of it");
                return Err(not_imported(&why, "have the file written again, or remove that line"));
            }
            let why = format!("line {number} is not a message in the format of undertone export");
            return Err(not_imported(&why, "fix or remove that line, then try again"));
        };
        lines.push(line);
    }
}

/// Says that a text is in Unicode, before its first letter.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Whether the last line of a file, which has no end, is the beginning of one in JSON.
fn is_cut_short(line: &[u8]) -> bool {
    let is_last = !line.ends_with(b"\n") && line.len() as u64 <= MAX_LINE;
    is_last && serde_json::from_slice::<IgnoredAny>(line).is_err_and(|error| error.is_eof())
}

/// The lines of one chat: those that name the contact, or all if they name only one.
fn of_one_contact(mut lines: Vec<ImportLine>, contact: &str) -> Result<Vec<ImportLine>, Failure> {
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

/// Another node took over between two parts of an import.
fn replaced() -> Failure {
    let text = FailureText {
        what: "the import was interrupted",
        why: "another node took over in the middle of it",
        safe: "a part of the messages may have been imported",
        next: "import the file again: messages that exist already are left out",
    };
    Failure::new(FailureCode::NodeEnded, text)
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

/// Bytes of an export to standard output that are read ahead of whoever reads that: some 250,000 short
/// messages, as many as an import may bring. A guess.
const AHEAD: usize = 64 << 20;

/// Bytes of lines in one call. A line holds a MiB, and one line of an export 64 KiB of them.
const BATCH_BYTES: usize = 400 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::crypto::invite;
    use crate::engine::crypto::keys::Identity;
    use crate::engine::session::MAX_TEXT;
    use crate::engine::testing::mutate::{Reading, each_case};
    use crate::engine::testing::rng::SeededRng;
    use crate::shell::api::calls::{
        ContactAdd, IdentityNew, MessageDelete, MessageRef, MessageSend,
    };
    use crate::shell::client::NodeOptions;

    #[test]
    fn a_line_of_an_import_shows_nothing_of_it() {
        let text = RawValue::from_string("{}".to_owned()).unwrap();
        let line = ImportLine { text, contact: "harbour".to_owned() };
        assert_eq!(format!("{line:?}"), "ImportLine");
    }

    /// A node with a contact to whom so many messages are queued.
    async fn with_messages(count: usize) -> (Client, Contact) {
        let client = Client::start(NodeOptions::in_memory().offline()).await.unwrap();
        client.call(IdentityNew { name: "ann".to_owned() }).await.unwrap();
        let other = Identity::generate(&mut SeededRng::new(1).turn()).public();
        let added = ContactAdd::new(invite::encode(&other), "mira");
        let contact = client.call(added).await.unwrap();
        for number in 0..count {
            let text = format!("not encrypted {number}");
            client.call(MessageSend::new(contact.id, text)).await.unwrap();
        }
        (client, contact)
    }

    #[test]
    fn what_is_read_ahead_is_written_in_order_at_the_end_or_when_there_is_no_room_for_more() {
        let mut written = Vec::new();
        let mut ahead = ReadAhead::new(&mut written, 8);
        for line in ["one\n", "two\n"] {
            ahead.write_all(line.as_bytes()).unwrap();
            ahead.flush().unwrap();
            assert!(ahead.output.is_empty(), "the home may be let go");
        }
        ahead.write_all(b"three\n").unwrap();
        assert_eq!(ahead.output.as_slice(), b"one\ntwo\n");
        ahead.write_all(b"longer than the room\n").unwrap();
        ahead.finish().unwrap();
        assert_eq!(written, b"one\ntwo\nthree\nlonger than the room\n");
    }

    #[tokio::test]
    async fn a_signal_ends_an_export_and_nothing_of_it_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat");
        let (client, mira) = with_messages(1).await;
        let mira = [mira];
        let export = async |stop: &StopFlag| {
            let written =
                async |output: &mut dyn Write| write(&client, &mira, output, (&file, stop)).await;
            to_new_file(&file, written).await
        };
        let stopped = export(&StopFlag::terminated()).await.unwrap_err();
        assert_eq!(stopped.code(), Some(FailureCode::Terminated));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(export(&StopFlag::default()).await, Ok(1));
    }

    #[tokio::test]
    async fn all_pages_of_a_conversation_are_exported_in_order() {
        let (client, mira) = with_messages(MAX_HISTORY + 3).await;
        let mut written = Vec::new();
        let never = StopFlag::default();
        let count = write(&client, &[mira], &mut written, (Path::new("-"), &never)).await;
        assert_eq!(count, Ok(MAX_HISTORY as u64 + 3));
        let text = String::from_utf8(written).unwrap();
        for (number, line) in text.lines().enumerate() {
            assert!(line.contains(&format!("not encrypted {number}\"")), "{line}");
        }
    }

    #[tokio::test]
    async fn an_export_goes_on_behind_a_message_that_is_deleted_meanwhile() {
        let (client, mira) = with_messages(MAX_HISTORY + 2).await;
        let mut pages = ConversationPages::of(mira.id);
        let first = pages.next(&client).await.unwrap();
        assert_eq!((first.items.len(), first.newer), (MAX_HISTORY, true));
        for message in first.items.iter().rev().take(2) {
            let id = message.id.hex();
            let (message, confirm) = (MessageRef(id.clone()), Some(id));
            client.call(MessageDelete { message, confirm }).await.unwrap();
        }
        let second = pages.next(&client).await.unwrap();
        assert_eq!((second.items.len(), second.newer), (2, false));
    }

    #[tokio::test]
    async fn lines_of_many_calls_are_imported_together_and_once() {
        let (client, mira) = with_messages(0).await;
        let text = "x".repeat(1_000);
        let lines: Vec<ImportLine> = (1..=600)
            .map(|id| {
                let line = json!({
                    "v": 1, "id": format!("{id:016x}"), "contact": "a", "from": "them", "time": id,
                    "text": text,
                });
                ImportLine::parse(line.to_string().as_bytes()).unwrap()
            })
            .collect();
        let (first, rest) = first_batch(&lines);
        assert!(!first.is_empty() && !rest.is_empty());
        for (mode, taken) in
            [(ImportMode::DryRun, 600), (ImportMode::Apply, 600), (ImportMode::Apply, 0)]
        {
            let dry_run = mode == ImportMode::DryRun;
            let report = hand_over(&client, mira.id, &lines, mode).await;
            assert_eq!(report, Ok(ImportReport { found: 600, taken, dry_run }));
        }
        let none = hand_over(&client, mira.id, &[], ImportMode::Apply).await;
        assert_eq!(none, Ok(ImportReport { found: 0, taken: 0, dry_run: false }));
    }

    proptest::proptest! {
    #[test]
        fn reading_anything_never_panics(bytes: Vec<u8>) {
            let read = read(bytes.as_slice(), Path::new("-"));
            proptest::prop_assert!(bytes.is_empty() || read.is_err());
        }
    }

    #[tokio::test]
    async fn a_file_is_exported_whole_for_its_owner_alone_and_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat");
        let failed = |error: io::Error| not_exported(&file, &error);
        let written = to_new_file(&file, async |output: &mut dyn Write| {
            output.write_all(b"one").map_err(failed)?;
            Ok(1)
        })
        .await;
        assert_eq!(written, Ok(1));
        assert_eq!(std::fs::read(&file).unwrap(), b"one");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, FILE_MODE);

        // It appears after all checks, while the export is written.
        let late = folder.path().join("late");
        let refused = to_new_file(&late, async |_: &mut dyn Write| {
            std::fs::write(&late, b"theirs").map_err(failed)?;
            Ok(0)
        })
        .await;
        assert_eq!(refused.unwrap_err().code(), Some(FailureCode::ExportExists));
        assert_eq!(std::fs::read(&late).unwrap(), b"theirs");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn an_export_that_fails_leaves_no_file_and_names_the_one_it_was_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat");
        let failure = to_new_file(&file, async |output: &mut dyn Write| {
            output.write_all(&[b'x'; 100_000]).map_err(|error| not_exported(&file, &error))?;
            Err(not_exported(&file, &io::ErrorKind::StorageFull.into()))
        })
        .await;
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
    fn lines_of_windows_are_read_and_a_file_that_ends_inside_a_line_is_told_as_that() {
        let good =
            r#"{"v":1,"id":"0000000000000001","contact":"a","from":"them","time":1,"text":"x"}"#;
        assert_eq!(why(&format!("{good}\r\n{good}\r\n")), "");
        assert_eq!(why(&format!("\u{feff}{good}\r\n{good}\r\n")), "");
        assert!(why(&format!("{good}\r\n\u{feff}{good}\r\n")).starts_with("line 2 "));
        for end in [1, 30, good.len() - 1] {
            let told = why(&format!("{good}\n{}", good.get(..end).unwrap()));
            assert_eq!(told, "line 2 is cut short: the file ends in the middle of it");
        }
        assert!(why("{}").starts_with("line 1 is not a message"));
        // A letter may be the place where it ends.
        let cut =
            read(&b"{\"text\":\"caf\xc3"[..], Path::new("-")).err().map(|failure| failure.why);
        assert_eq!(cut.as_deref(), Some("line 1 is cut short: the file ends in the middle of it"));
    }

    #[test]
    fn of_several_conversations_the_named_one_is_taken() {
        let of = |contact: &str| {
            let text = serde_json::value::to_raw_value(&1).unwrap();
            ImportLine { text, contact: contact.to_owned() }
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

    #[test]
    fn changed_at_random_an_export_is_read_whole_or_its_first_bad_line_is_named() {
        let line = |id: &str, contact: &str| {
            format!(
                "{{\"v\":1,\"id\":\"{id}\",\"contact\":\"{contact}\",\"from\":\"them\",\
                 \"time\":1,\"text\":\"x\"}}\n"
            )
        };
        let [one, other] = [line("0000000000000001", "a"), line("00000000000000ff", "b")];
        let seeds = [one.clone(), [one, other].concat()].map(String::into_bytes);
        each_case(&seeds, |bytes| {
            let lines = read(bytes, Path::new("-"));
            if let Err(failure) = &lines {
                assert!(failure.why.starts_with("line "), "{}", failure.why);
            }
            Reading::of(lines.map(|lines| of_one_contact(lines, "a").is_ok()))
        });
    }
}
