//! The passphrase: from a descriptor, a file, a command or a person.
//!
//! It never comes from a flag's value or from the environment, where other processes can see it. It
//! is wiped when dropped and never printed. Whether it is the right one is not known here.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::engine::secret::opaque_debug;
use crate::shell::os::data_dir::{NotPrivate, OfAnother, UnsafePermissions, refuse_others};
use crate::shell::os::io_words::io_words;
use crate::shell::os::user_file::open_to_read;

/// The passphrase of a store: 1 to `MAX_PASSPHRASE_BYTES` (1,024) bytes of UTF-8, used byte for byte.
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
        Self::new(Zeroizing::new(text.to_owned()))
    }
}

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
    if first.expose() != second.expose() {
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
    let answer = match child.stdout.take() {
        Some(output) => read_from(output),
        None => Err(PassphraseError::Command),
    };
    // Its output is closed by now, so a command that prints more than fits fails by SIGPIPE. The
    // reason of its failure is then the length.
    if !child.wait()?.success() && !matches!(answer, Err(PassphraseError::TooLong)) {
        return Err(PassphraseError::Command);
    }
    answer
}

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
