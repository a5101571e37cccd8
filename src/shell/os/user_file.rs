//! Files that a path of a person's names: opened without waiting for anybody, and looked at once they are
//! open. Another file could take the name of one that was looked at before.
//!
//! Nothing here knows what is in them.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::data_dir::{NotPrivate, refuse_others};
use super::io_words::io_words;

/// Opens, or makes, a file that must be this user's alone, as `how` says.
///
/// # Errors
/// [`PrivateFault`]; nothing was read or written.
pub(in crate::shell) fn open_private(
    path: &Path,
    how: &mut OpenOptions,
) -> Result<File, PrivateFault> {
    // Whoever made a link could have our lines go elsewhere, and a pipe would keep us waiting.
    let opened = how.custom_flags(flags(OFlags::NOFOLLOW | WAITING_FOR_NOBODY)).open(path);
    let file = opened.map_err(|error| match path.symlink_metadata() {
        // What the system answers to a link, a folder or a pipe that nobody reads does not name it.
        Ok(there) if !there.is_file() => PrivateFault::NotAFile(kind(&there)),
        Ok(_) | Err(_) => PrivateFault::Io(error),
    })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(PrivateFault::NotAFile(kind(&metadata)));
    }
    refuse_others(path, &metadata)?;
    Ok(file)
}

/// Opens a file to read it from any place; links are followed.
///
/// # Errors
/// The system's, or that it is no file.
pub(in crate::shell) fn open_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(flags(WAITING_FOR_NOBODY)).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other(format!("it is {}, not a file", kind(&metadata))));
    }
    Ok(file)
}

/// What is read from its beginning to its end. The byte before the rest was read to see whether there is any.
pub(in crate::shell) type ReadableFile = io::Chain<io::Take<io::Cursor<Zeroizing<[u8; 1]>>>, File>;

/// Opens what can be read from its beginning to its end: a file, a pipe, a terminal. `check` sees what was
/// opened before anything is read.
///
/// # Errors
/// The system's, that it is a folder, that nobody writes to a pipe, or what `check` says.
pub(in crate::shell) fn open_to_read<E: From<io::Error>>(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), E>,
) -> Result<ReadableFile, E> {
    let mut file =
        OpenOptions::new().read(true).custom_flags(flags(WAITING_FOR_NOBODY)).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
    }
    check(&metadata)?;
    // It may be one of a passphrase.
    let mut first = Zeroizing::new([0; 1]);
    let mut read = 0;
    if metadata.file_type().is_fifo() {
        read = match file.read(first.as_mut_slice()) {
            // A pipe that somebody has open to write, and that is empty, says that we would wait.
            Ok(0) => return Err(io::Error::other("it is a pipe that nobody writes to").into()),
            Ok(read) => read as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error.into()),
        };
    }
    // Whoever writes may take their time.
    let usual = rustix::fs::fcntl_getfl(&file).map_err(io::Error::from)? - OFlags::NONBLOCK;
    rustix::fs::fcntl_setfl(&file, usual).map_err(io::Error::from)?;
    Ok(io::Cursor::new(first).take(read).chain(file))
}

/// What something is that is not a file.
fn kind(metadata: &Metadata) -> &'static str {
    let found = metadata.file_type();
    if found.is_symlink() {
        "a link"
    } else if found.is_dir() {
        "a folder"
    } else if found.is_fifo() {
        "a pipe"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Opening a pipe waits for its other end, and a terminal may become the one of this process.
const WAITING_FOR_NOBODY: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// The reason that a file of our own was not opened.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFault {
    /// Name another one.
    #[error("it is {0}, not a file")]
    NotAFile(&'static str),
    /// Make it ours alone.
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    /// See the cause.
    #[error("{}", io_words(.0))]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;
    use crate::shell::os::data_dir::FILE_MODE;

    fn append(path: &Path) -> Result<File, PrivateFault> {
        open_private(path, OpenOptions::new().append(true).create(true).mode(FILE_MODE))
    }

    fn pipe(path: &Path) {
        assert!(Command::new("mkfifo").arg("-m600").arg(path).status().unwrap().success());
    }

    fn no_file(path: &Path) -> &'static str {
        match append(path) {
            Err(PrivateFault::NotAFile(kind)) => kind,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whatever_is_not_a_file_is_named_and_nobody_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        pipe(&at("pipe"));
        assert_eq!(no_file(&at("pipe")), "a pipe");
        // With a reader it could be opened.
        let mut waits = OpenOptions::new();
        waits.read(true).custom_flags(flags(OFlags::NONBLOCK));
        let reader = waits.open(at("pipe")).unwrap();
        assert_eq!(no_file(&at("pipe")), "a pipe");
        drop(reader);
        assert_eq!(no_file(dir.path()), "a folder");
        drop(UnixListener::bind(at("socket")).unwrap());
        assert_eq!(no_file(&at("socket")), "a socket");
        assert_eq!(no_file(Path::new("/dev/null")), "a device");
        // A link to a file of our own, and one that would make a file elsewhere.
        fs::write(at("target"), "").unwrap();
        fs::set_permissions(at("target"), Permissions::from_mode(0o600)).unwrap();
        symlink(at("target"), at("link")).unwrap();
        symlink(at("elsewhere"), at("dangling")).unwrap();
        assert_eq!((no_file(&at("link")), no_file(&at("dangling"))), ("a link", "a link"));
        assert!(!at("elsewhere").exists());
    }

    #[test]
    fn a_file_that_others_can_use_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        drop(append(&path).unwrap());
        for mode in [0o666, 0o640, 0o604] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let refused = append(&path);
            let Err(PrivateFault::NotPrivate(NotPrivate::Mode(found))) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!((found.mode, found.needed), (mode, FILE_MODE));
        }
    }

    #[test]
    fn a_file_of_another_user_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        drop(append(&path).unwrap());
        if chown(&path, Some(65_534), None).is_err() {
            return println!("skipped: only root can give a file to another user");
        }
        let refused = append(&path);
        let Err(PrivateFault::NotPrivate(NotPrivate::Owner(of))) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(of.owner, 65_534);
    }

    fn read_all(path: &Path) -> io::Result<String> {
        let mut text = String::new();
        open_to_read::<io::Error>(path, |_| Ok(()))?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_pipe_is_read_to_its_end_if_somebody_writes_and_nobody_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        pipe(&path);
        let nobody = read_all(&path).unwrap_err();
        assert_eq!(nobody.to_string(), "it is a pipe that nobody writes to");
        assert!(open_file(&path).unwrap_err().to_string().contains("a pipe"));
        for before in ["", "all"] {
            // Open at both ends, so that this one is opened without waiting.
            let mut writer = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            writer.write_all(before.as_bytes()).unwrap();
            let mut reader = open_to_read::<io::Error>(&path, |_| Ok(())).unwrap();
            writer.write_all(b" of it").unwrap();
            drop(writer);
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, format!("{before} of it"));
        }
    }

    #[test]
    fn a_file_is_read_and_a_folder_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "text").unwrap();
        assert_eq!(read_all(&path).unwrap(), "text");
        drop(open_file(&path).unwrap());
        for error in [read_all(dir.path()).unwrap_err(), open_file(dir.path()).unwrap_err()] {
            assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        }
    }
}
