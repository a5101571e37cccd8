//! The passphrase: from a descriptor, a file, a command or a person.
//!
//! It never comes from a flag's value or from the environment, where other processes can see it. It
//! is wiped when dropped and never printed. Whether it is the right one is not known here.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use zeroize::Zeroizing;

use crate::engine::secret::opaque_debug;
use crate::shell::os::data_dir::{NotPrivate, OfAnother, UnsafePermissions, refuse_others};
use crate::shell::os::io_words::io_words;
use crate::shell::os::user_file::open_to_read;

/// The passphrase of a store: 1 to `MAX_PASSPHRASE_BYTES` (1,024) bytes of UTF-8. The same letters open
/// it in whichever way a keyboard or a system writes them; everything else counts as it is.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes text over as it was typed.
    ///
    /// # Errors
    ///
    /// [`PassphraseError::Empty`] or [`PassphraseError::TooLong`].
    pub fn new(text: Zeroizing<String>) -> Result<Self, PassphraseError> {
        if text.is_empty() {
            return Err(PassphraseError::Empty);
        }
        if text.len() > MAX_PASSPHRASE_BYTES {
            return Err(PassphraseError::TooLong);
        }
        Ok(Self(text))
    }

    /// The bytes. Never copy them to a buffer that is not wiped.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// What seals: the passphrase without a byte order mark, with its letters composed.
    pub(in crate::shell) fn spelled(&self) -> Self {
        Self::composed(self.text())
    }

    /// What may have sealed when this passphrase was chosen, the most likely first: the same letters as
    /// one character each, as they are, and as one with marks behind it. Systems differ in what they make of
    /// an `é`, and earlier versions took what came, with the mark that Windows puts before a text.
    pub(in crate::shell) fn spellings(&self) -> Vec<Self> {
        let text = self.text();
        let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize_iter(text.chars());
        let all = [
            self.spelled(),
            Self(kept(text.len(), text.chars())),
            Self(kept(text.len() * MAX_GROWTH, decomposed)),
            self.clone(),
        ];
        let mut different: Vec<Self> = Vec::with_capacity(all.len());
        for one in all {
            if different.iter().all(|known| known.0 != one.0) {
                different.push(one);
            }
        }
        different
    }

    fn composed(text: &str) -> Self {
        let letters = ComposingNormalizerBorrowed::new_nfc().normalize_iter(text.chars());
        Self(kept(text.len() * MAX_GROWTH, letters))
    }

    /// Without the mark that Windows puts before a text, which nobody can type.
    fn text(&self) -> &str {
        self.0.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.0)
    }

    /// The passphrase in the content of a file, a descriptor or a command's output, without its one
    /// trailing line end.
    fn parse(bytes: &[u8]) -> Result<Self, PassphraseError> {
        // One line end and no more: editors and `echo` add one, and everything else may be meant.
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|error| match error.error_len() {
            Some(_) => PassphraseError::NotText,
            None => PassphraseError::CutShort,
        })?;
        if text == BYTE_ORDER_MARK {
            return Err(PassphraseError::Empty);
        }
        Self::new(Zeroizing::new(text.to_owned()))
    }
}

/// Letters in a text that never grows, so that no copy is left behind.
fn kept(bytes: usize, letters: impl Iterator<Item = char>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes));
    text.extend(letters);
    text
}

/// Says that a text is in Unicode, before its first letter.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// How many times as many bytes a normal form may have (Unicode Standard Annex 15, table 9).
const MAX_GROWTH: usize = 3;

impl core::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(_) = self;
        f.write_str("Passphrase")
    }
}

/// The source of a passphrase.
#[derive(Clone, PartialEq, Eq)]
pub enum PassphraseSource {
    /// A file descriptor this process was started with; read to its end.
    Descriptor(u32),
    /// A file that only its owner can read.
    File(PathBuf),
    /// The output of this command, run by `sh -c`. Its standard input is empty.
    Command(String),
    /// The person at the terminal.
    Prompt,
}

opaque_debug!(
    enum PassphraseSource {
        Descriptor,
        File,
        Command,
        Prompt,
    }
);

/// Whether the program may prompt for a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptPolicy {
    /// Yes, at the terminal.
    Allowed,
    /// No: a program is in charge.
    Forbidden,
}

/// Reads the passphrase of an existing store.
///
/// # Errors
///
/// Any [`PassphraseError`] but [`PassphraseError::Mismatch`].
pub fn read(source: &PassphraseSource, ask: PromptPolicy) -> Result<Passphrase, PassphraseError> {
    read_with_prompt("Passphrase: ", source, ask)
}

/// Reads the passphrase of a store or backup that exists; the prompt has these words.
///
/// # Errors
///
/// As [`read`].
pub fn read_with_prompt(
    words: &str,
    source: &PassphraseSource,
    ask: PromptPolicy,
) -> Result<Passphrase, PassphraseError> {
    match source {
        PassphraseSource::Descriptor(0) => read_from(io::stdin().lock()),
        // Opening it by name needs no claim that the number is a descriptor of ours.
        PassphraseSource::Descriptor(number) => {
            let path = format!("/dev/fd/{number}");
            match open_to_read::<io::Error>(Path::new(&path), |_| Ok(())) {
                Ok(open) => read_from(open),
                // What is open, and cannot be read, has a reason of its own.
                Err(error) if Path::new(&path).exists() => Err(error.into()),
                Err(_) => Err(PassphraseError::NoDescriptor(*number)),
            }
        }
        PassphraseSource::File(path) => read_from_file(path).map_err(|error| error.of_file(path)),
        PassphraseSource::Command(command) => read_from_command(command),
        PassphraseSource::Prompt => prompt(words, ask),
    }
}

/// Prompts twice for the passphrase of a store that is to be made.
///
/// # Errors
///
/// [`PassphraseError::Mismatch`] if the two differ; otherwise as [`read`] from a prompt.
pub fn prompt_new(ask: PromptPolicy) -> Result<Passphrase, PassphraseError> {
    prompt_new_with("New passphrase: ", ask)
}

/// Prompts twice, in these words, for the passphrase of a store or backup that is to be made.
///
/// # Errors
///
/// As [`prompt_new`].
pub fn prompt_new_with(words: &str, ask: PromptPolicy) -> Result<Passphrase, PassphraseError> {
    twice(words, |words| prompt(words, ask))
}

fn twice(
    words: &str,
    mut prompt: impl FnMut(&str) -> Result<Passphrase, PassphraseError>,
) -> Result<Passphrase, PassphraseError> {
    // A new passphrase with a slip in it would lock its owner out for good.
    let first = prompt(words)?;
    let second = prompt("Repeat the passphrase: ")?;
    if first.spelled().expose() != second.spelled().expose() {
        return Err(PassphraseError::Mismatch);
    }
    Ok(first)
}

fn prompt(words: &str, ask: PromptPolicy) -> Result<Passphrase, PassphraseError> {
    if ask == PromptPolicy::Forbidden {
        return Err(PassphraseError::NoInput);
    }
    // Without a terminal no prompt is possible. Found here, because the prompt below would
    // report it as any other error.
    File::options().read(true).write(true).open(TERMINAL).map_err(|_| PassphraseError::NoInput)?;
    let stars = rpassword::ConfigBuilder::new().password_feedback_mask('*').build();
    let text = rpassword::prompt_password_with_config(words, stars)?;
    Passphrase::new(Zeroizing::new(text))
}

fn read_from(source: impl Read) -> Result<Passphrase, PassphraseError> {
    // With all its room from the start the buffer never moves, and so leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(READ_BYTES + 1));
    // One byte more than fits, so that a longer passphrase is an error and is not cut.
    let limit = u64::try_from(READ_BYTES + 1).unwrap_or(u64::MAX);
    source.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > READ_BYTES {
        return Err(PassphraseError::TooLong);
    }
    Passphrase::parse(&bytes)
}

fn read_from_file(path: &Path) -> Result<Passphrase, PassphraseError> {
    // The open file is checked, and not the path: another file could take its name between. A shell puts a
    // pipe there for the output of a command, `--passphrase-file <(pass show undertone)`.
    read_from(open_to_read::<PassphraseError>(path, |metadata| {
        let kind = metadata.file_type();
        if !kind.is_file() && !kind.is_fifo() {
            return Err(io::Error::other("it is neither a file nor a pipe").into());
        }
        Ok(refuse_others(path, metadata)?)
    })?)
}

fn read_from_command(command: &str) -> Result<Passphrase, PassphraseError> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        // Standard input may be a message that is to be sent; the command must not consume it.
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let printed = child.stdout.take().map(Printed::read).transpose()?;
    // Its output is closed when it is too long, so a command that prints more than fits fails by SIGPIPE.
    // The reason of its failure is then the length.
    let succeeded = child.wait()?.success();
    let answer = match printed {
        Some(printed) => printed.passphrase(),
        None => Err(PassphraseError::Command),
    };
    if !succeeded && !matches!(answer, Err(PassphraseError::TooLong)) {
        return Err(PassphraseError::Command);
    }
    answer
}

/// What a command prints, read by a thread: the command may leave an agent behind that keeps the output
/// open for as long as it lives, as those of password managers do.
struct Printed {
    /// At most a byte more than fits.
    bytes: Arc<Mutex<Zeroizing<Vec<u8>>>>,
    over: mpsc::Receiver<io::Result<()>>,
}

impl Printed {
    fn read(mut output: impl Read + Send + 'static) -> io::Result<Self> {
        // With all its room from the start the buffer never moves, and so leaves no copy behind.
        let bytes = Arc::new(Mutex::new(Zeroizing::new(Vec::with_capacity(READ_BYTES + 1))));
        let (sender, over) = mpsc::sync_channel(1);
        let read = Arc::clone(&bytes);
        thread::Builder::new().spawn(move || {
            let ended = loop {
                let mut byte = Zeroizing::new([0; 1]);
                match output.read_exact(byte.as_mut_slice()) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break Ok(()),
                    Err(error) => break Err(error),
                }
                let mut read = lock(&read);
                read.extend_from_slice(byte.as_slice());
                if read.len() > READ_BYTES {
                    break Ok(());
                }
            };
            drop(output);
            if sender.send(ended).is_err() {
                tracing::debug!("the output of a passphrase command ended late");
            }
        })?;
        Ok(Self { bytes, over })
    }

    /// The passphrase that was printed by a command that has ended: all it printed is in the pipe.
    fn passphrase(self) -> Result<Passphrase, PassphraseError> {
        if let Ok(ended) = self.over.recv_timeout(AFTER_END) {
            ended?;
        }
        let bytes = lock(&self.bytes);
        if bytes.len() > READ_BYTES {
            return Err(PassphraseError::TooLong);
        }
        Passphrase::parse(&bytes)
    }
}

fn lock(bytes: &Mutex<Zeroizing<Vec<u8>>>) -> MutexGuard<'_, Zeroizing<Vec<u8>>> {
    // Nothing in here panics halfway.
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time in which what a command printed is read after its end. A guess: it lies in a pipe.
const AFTER_END: Duration = Duration::from_secs(1);

/// The reason that there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Give a file, a descriptor or a command, or run in a terminal.
    #[error("a passphrase is needed, and prompting is not possible here")]
    NoInput,
    /// Choose one with at least one character.
    #[error("the passphrase is empty")]
    Empty,
    /// Choose a shorter one.
    #[error("the passphrase is longer than {MAX_PASSPHRASE_BYTES} bytes")]
    TooLong,
    /// Write it in UTF-8.
    #[error("the passphrase is not UTF-8 text")]
    NotText,
    /// Look for the bytes that are missing.
    #[error("the passphrase ends in the middle of a letter: bytes are missing at its end")]
    CutShort,
    /// Ask again.
    #[error("the two passphrases do not match")]
    Mismatch,
    /// Mend the command.
    #[error("the passphrase command failed")]
    Command,
    /// Narrow the file's mode first.
    #[error(transparent)]
    UnsafePermissions(#[from] UnsafePermissions),
    /// Name a file of your own.
    #[error(transparent)]
    OfAnother(#[from] OfAnother),
    /// See the cause.
    #[error("the passphrase file {path:?} cannot be read: {}", io_words(.cause))]
    File {
        /// The file.
        path: PathBuf,
        /// The answer of the system.
        cause: io::Error,
    },
    /// Start the process with it, or name another one.
    #[error("the file descriptor {0} is not open")]
    NoDescriptor(u32),
    /// See the cause.
    #[error("the passphrase cannot be read: {}", io_words(.0))]
    Io(#[from] io::Error),
}

impl From<NotPrivate> for PassphraseError {
    fn from(found: NotPrivate) -> Self {
        match found {
            NotPrivate::Mode(found) => Self::UnsafePermissions(found),
            NotPrivate::Owner(found) => Self::OfAnother(found),
        }
    }
}

impl PassphraseError {
    /// The same, naming the file if it was not read.
    fn of_file(self, path: &Path) -> Self {
        if let Self::Io(cause) = self {
            return Self::File { path: path.to_owned(), cause };
        }
        self
    }
}

/// The longest passphrase. A guess at more than anybody types or generates.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;

/// The longest passphrase with its line end, of one byte or two.
const READ_BYTES: usize = MAX_PASSPHRASE_BYTES + 2;

/// The terminal this process belongs to, whatever its standard streams are.
const TERMINAL: &str = "/dev/tty";

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    fn from_command(command: &str) -> Result<Passphrase, PassphraseError> {
        read(&PassphraseSource::Command(command.to_owned()), PromptPolicy::Forbidden)
    }

    fn file_with(bytes: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        file
    }

    fn from_file(path: &Path) -> Result<Passphrase, PassphraseError> {
        read(&PassphraseSource::File(path.to_owned()), PromptPolicy::Forbidden)
    }

    #[test]
    fn a_passphrase_prints_its_name_and_nothing_else() {
        let passphrase = Passphrase::new(Zeroizing::new("hunter2".to_owned())).unwrap();
        assert_eq!(format!("{passphrase:?}"), "Passphrase");
        assert_eq!(format!("{passphrase:#?}"), "Passphrase");
    }

    #[test]
    fn one_line_end_is_taken_off_and_everything_else_is_kept() {
        for (bytes, kept) in [
            (&b"a b"[..], &b"a b"[..]),
            (b"a b\n", b"a b"),
            (b"a b\r\n", b"a b"),
            (b"a b\n\n", b"a b\n"),
            (b" a\tb \n", b" a\tb "),
        ] {
            let file = file_with(bytes, 0o600);
            assert_eq!(from_file(file.path()).unwrap().expose(), kept);
        }
    }

    #[test]
    fn a_passphrase_file_others_can_read_is_refused() {
        for mode in [0o640, 0o604, 0o620] {
            let file = file_with(b"secret\n", mode);
            let error = from_file(file.path()).unwrap_err();
            let PassphraseError::UnsafePermissions(found) = error else { panic!("{error}") };
            assert_eq!((found.mode, found.needed), (mode, 0o600));
        }
    }

    #[test]
    fn a_missing_file_and_a_missing_descriptor_are_errors() {
        let missing = from_file(Path::new("/does/not/exist")).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "the passphrase file \"/does/not/exist\" cannot be read: there is no such file or folder"
        );
        let source = PassphraseSource::Descriptor(9999);
        let missing = read(&source, PromptPolicy::Forbidden);
        assert!(matches!(missing, Err(PassphraseError::NoDescriptor(9999))));
    }

    #[test]
    fn a_folder_in_place_of_a_passphrase_file_is_told_as_one_whatever_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o700, 0o755] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            let told = from_file(folder.path()).unwrap_err().to_string();
            assert!(told.ends_with("it is a folder, not a file"), "{told}");
        }
    }

    #[test]
    fn a_passphrase_file_of_another_user_is_refused() {
        let file = file_with(b"secret\n", 0o600);
        if std::os::unix::fs::chown(file.path(), Some(65_534), None).is_err() {
            return println!("skipped: only root can give a file to another user");
        }
        let error = from_file(file.path()).unwrap_err();
        let PassphraseError::OfAnother(found) = error else { panic!("{error}") };
        assert_eq!(found.owner, 65_534);
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_told_as_one_and_a_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg("-m600").arg(&pipe).status().unwrap().success());
        let told = from_file(&pipe).unwrap_err().to_string();
        assert!(told.ends_with("it is a pipe that nobody writes to"), "{told}");
        let (file, link) = (file_with(b"secret\n", 0o600), folder.path().join("link"));
        std::os::unix::fs::symlink(file.path(), &link).unwrap();
        assert_eq!(from_file(&link).unwrap().expose(), b"secret");
    }

    #[test]
    fn a_descriptor_is_read_to_its_end() {
        let file = file_with(b"from a descriptor\n", 0o600);
        let open = File::open(file.path()).unwrap();
        let number = u32::try_from(open.as_raw_fd()).unwrap();
        let found = read(&PassphraseSource::Descriptor(number), PromptPolicy::Forbidden).unwrap();
        assert_eq!(found.expose(), b"from a descriptor");
    }

    #[test]
    fn a_command_answers_by_its_output_and_fails_by_its_status() {
        assert_eq!(from_command("echo 'from a command'").unwrap().expose(), b"from a command");
        assert!(matches!(from_command("echo half; exit 3"), Err(PassphraseError::Command)));
        assert!(matches!(from_command("true"), Err(PassphraseError::Empty)));
        assert!(matches!(from_command("printf '\\377'"), Err(PassphraseError::NotText)));
        assert!(matches!(from_command("printf 'caf\\303'"), Err(PassphraseError::CutShort)));
    }

    #[test]
    fn a_command_that_leaves_an_agent_behind_is_not_waited_for_longer_than_its_own_end() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // An agent that lives, with the output of the command open, until somebody writes to the pipe.
        let agent = format!("echo 'of a manager'; cat {} & exit", pipe.display());
        let (sender, read) = mpsc::sync_channel(1);
        thread::spawn(move || sender.send(from_command(&agent)));
        let read = read.recv_timeout(Duration::from_secs(60));
        drop(File::options().write(true).open(&pipe).unwrap());
        assert_eq!(read.expect("it waits for the agent").unwrap().expose(), b"of a manager");
    }

    fn spelled(text: &str) -> Vec<String> {
        let passphrase = Passphrase::new(Zeroizing::new(text.to_owned())).unwrap();
        let all = passphrase.spellings();
        all.iter().map(|one| String::from_utf8(one.expose().to_vec()).unwrap()).collect()
    }

    #[test]
    fn the_same_letters_are_one_passphrase_however_they_are_written() {
        assert_eq!(spelled("a b C"), ["a b C"]);
        assert_eq!(spelled("caf\u{e9}"), ["caf\u{e9}", "cafe\u{301}"]);
        assert_eq!(spelled("cafe\u{301}"), ["caf\u{e9}", "cafe\u{301}"]);
        // Composed in part.
        let mixed = "\u{e9}e\u{301}";
        assert_eq!(spelled(mixed), ["\u{e9}\u{e9}", mixed, "e\u{301}e\u{301}"]);
        assert_eq!(spelled("\u{feff}abc"), ["abc", "\u{feff}abc"]);
        // Blanks and letters that merely look alike are not taken for each other.
        assert_eq!(spelled(" \u{fb01} "), [" \u{fb01} "]);
        let longest = "\u{390}".repeat(MAX_PASSPHRASE_BYTES / 2);
        assert!(spelled(&longest).iter().any(|one| one.len() > longest.len()));
    }

    #[test]
    fn a_file_with_nothing_but_the_mark_of_windows_has_no_passphrase() {
        let file = file_with(b"\xef\xbb\xbf\r\n", 0o600);
        assert!(matches!(from_file(file.path()), Err(PassphraseError::Empty)));
    }

    #[test]
    fn a_command_gets_no_input_and_an_endless_one_is_cut_off() {
        assert_eq!(from_command("cat; echo alone").unwrap().expose(), b"alone");
        assert!(matches!(from_command("yes"), Err(PassphraseError::TooLong)));
    }

    #[test]
    fn the_longest_passphrase_is_taken_and_one_byte_more_is_not() {
        let longest = "x".repeat(MAX_PASSPHRASE_BYTES);
        let fits = file_with(format!("{longest}\r\n").as_bytes(), 0o600);
        assert_eq!(from_file(fits.path()).unwrap().expose(), longest.as_bytes());
        for too_long in [format!("{longest}x"), format!("{longest}x\n"), longest.repeat(100)] {
            let file = file_with(too_long.as_bytes(), 0o600);
            assert!(matches!(from_file(file.path()), Err(PassphraseError::TooLong)));
        }
    }

    #[test]
    fn no_prompt_appears_when_prompting_is_forbidden() {
        let read = read(&PassphraseSource::Prompt, PromptPolicy::Forbidden);
        assert!(matches!(read, Err(PassphraseError::NoInput)));
        assert!(matches!(prompt_new(PromptPolicy::Forbidden), Err(PassphraseError::NoInput)));
    }

    #[test]
    fn a_new_passphrase_must_be_typed_the_same_way_twice() {
        let typed = |words: &'static [&'static str]| {
            let mut words = words.iter();
            twice("", move |_| Passphrase::new(Zeroizing::new((*words.next().unwrap()).to_owned())))
        };
        assert_eq!(typed(&["a", "a"]).unwrap().expose(), b"a");
        assert!(matches!(typed(&["a", "b"]), Err(PassphraseError::Mismatch)));
        assert!(matches!(typed(&["", "b"]), Err(PassphraseError::Empty)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_passphrase_or_an_error(bytes: Vec<u8>) {
            if let Ok(passphrase) = Passphrase::parse(&bytes) {
                prop_assert!(bytes.starts_with(passphrase.expose()));
                prop_assert!(bytes.len() - passphrase.expose().len() <= 2);
            }
        }
    }

    #[test]
    fn changed_at_random_a_passphrase_is_a_text_of_some_length_or_none() {
        each_case(&[b"words\n".to_vec(), b"\xc3\xa9 x\r\n".to_vec(), b" ".to_vec()], |bytes| {
            let read = read_from(bytes);
            let fits =
                |read: &Passphrase| (1..=MAX_PASSPHRASE_BYTES).contains(&read.expose().len());
            assert!(read.as_ref().map_or(true, fits));
            Reading::of(read)
        });
    }
}
