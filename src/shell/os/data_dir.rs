//! The home folder of a node: its path, and permissions that keep others out.
//!
//! This module decides paths and looks at owners and permission bits. It reads no file, and it never changes
//! the mode of a folder or file that was there before: a mode that is too wide is an error.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::shell::os::io_words::io_words;

/// Finds the home folder: the flag, else `UNDERTONE_HOME`, else `$XDG_DATA_HOME/undertone`, else
/// `~/.local/share/undertone`.
///
/// `variable` looks up an environment variable. Empty variables count as unset, and a relative
/// `XDG_DATA_HOME` or `HOME` is ignored, as the XDG base directory specification asks: it would be
/// another folder in each folder that the program is started in. Nothing is created.
///
/// # Errors
///
/// [`DataDirError::Nowhere`] if none of them is set.
pub fn resolve(
    flag: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, DataDirError> {
    if let Some(dir) = flag {
        return Ok(dir.to_owned());
    }
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = path(HOME_VARIABLE) {
        return Ok(dir);
    }
    if let Some(data) = path("XDG_DATA_HOME").filter(|data| data.is_absolute()) {
        return Ok(data.join(FOLDER));
    }
    let user = path("HOME").filter(|user| user.is_absolute()).ok_or(DataDirError::Nowhere)?;
    Ok(user.join(".local/share").join(FOLDER))
}

/// Makes the home folder with mode 0700 if it is not there, and refuses one of others, or that they can use.
///
/// Missing folders above it are made too, with the usual mode.
///
/// # Errors
///
/// [`DataDirError::NotPrivate`] if it exists with a wider mode or is another user's,
/// [`DataDirError::NotAFolder`] if it is something else, [`DataDirError::Io`] if it cannot be made.
pub fn prepare(dir: &Path) -> Result<(), DataDirError> {
    // Only the home folder itself has to be private; the folders above are the user's.
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(dir) {
        Ok(()) => {}
        // Looked at below: it may be open to others, or no folder at all.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    check(dir)
}

/// Refuses a home folder of others, or that they can use. Changes nothing.
///
/// # Errors
///
/// As [`prepare`]; a missing folder is a [`DataDirError::Io`] of kind `NotFound`.
pub fn check(dir: &Path) -> Result<(), DataDirError> {
    let metadata = fs::metadata(dir)?;
    if !metadata.is_dir() {
        return Err(DataDirError::NotAFolder);
    }
    refuse_others(dir, &metadata)?;
    Ok(())
}

/// Refuses a file or folder that another user owns, or whose mode lets the group or others in.
///
/// # Errors
///
/// [`NotPrivate`], which names the owner, or the mode found and the mode needed.
pub fn refuse_others(path: &Path, metadata: &Metadata) -> Result<(), NotPrivate> {
    // First: an owner can change the mode. For root as well, whose files would lie in the home of a user
    // who cannot open them afterwards.
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return Err(OfAnother { path: path.to_owned(), owner, user }.into());
    }
    Ok(refuse_shared(path, metadata)?)
}

fn refuse_shared(path: &Path, metadata: &Metadata) -> Result<(), UnsafePermissions> {
    let mode = metadata.permissions().mode() & PERMISSION_BITS;
    // Refused and not narrowed: others may have read it by now, and a person should know.
    if mode & OTHERS_BITS == 0 {
        return Ok(());
    }
    let needed = if metadata.is_dir() { FOLDER_MODE } else { FILE_MODE };
    Err(UnsafePermissions { path: path.to_owned(), mode, needed })
}

/// A file or folder is not this user's alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPrivate {
    /// Narrow its mode first.
    #[error(transparent)]
    Mode(#[from] UnsafePermissions),
    /// Run the program as its owner.
    #[error(transparent)]
    Owner(#[from] OfAnother),
}

/// A file or folder belongs to another user, who can change it at any time. Nothing was read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path:?} belongs to another user: it is that of user number {owner}, and you are number {user}"
)]
pub struct OfAnother {
    /// The file or folder.
    pub path: PathBuf,
    /// The number of its owner.
    pub owner: u32,
    /// The number of the user who runs this process.
    pub user: u32,
}

/// A file or folder that must be private is open to other users. Nothing was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("others can access {path:?}: its mode is {mode:04o}, and must be {needed:04o}")]
pub struct UnsafePermissions {
    /// The file or folder.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// The permission bits it should have: `chmod` to these.
    pub needed: u32,
}

/// The reason that there is no home folder.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Name one with `--home`.
    #[error(
        "neither --home nor UNDERTONE_HOME names it, and HOME is not set, or is no absolute path"
    )]
    Nowhere,
    /// Name another one.
    #[error("the home folder is not a folder")]
    NotAFolder,
    /// Make it private first.
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    /// See the cause.
    #[error("the home folder cannot be used: {}", io_words(.0))]
    Io(#[from] io::Error),
}

/// Names the home folder in the environment.
pub const HOME_VARIABLE: &str = "UNDERTONE_HOME";

/// The mode of every folder made here.
pub const FOLDER_MODE: u32 = 0o700;

/// The mode of every file made in the home folder.
pub const FILE_MODE: u32 = 0o600;

/// The folder's name under the user's data folder.
const FOLDER: &str = "undertone";

/// The bits `chmod` sets; the rest of a mode says what kind of file it is.
const PERMISSION_BITS: u32 = 0o7777;

/// Read, write and execute for the group and for others.
const OTHERS_BITS: u32 = 0o077;

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    fn resolve_in(flag: Option<&str>, variables: &[(&str, &str)]) -> Result<PathBuf, DataDirError> {
        resolve(flag.map(Path::new), |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_flag_goes_before_our_variable_before_xdg_before_home() {
        let all = [("UNDERTONE_HOME", "/u"), ("XDG_DATA_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(resolve_in(Some("/f"), &all).unwrap(), Path::new("/f"));
        assert_eq!(resolve_in(None, &all).unwrap(), Path::new("/u"));
        assert_eq!(resolve_in(None, &all[1..]).unwrap(), Path::new("/x/undertone"));
        assert_eq!(resolve_in(None, &all[2..]).unwrap(), Path::new("/h/.local/share/undertone"));
        assert!(matches!(resolve_in(None, &[]), Err(DataDirError::Nowhere)));
    }

    #[test]
    fn an_empty_variable_counts_as_unset_and_a_relative_folder_of_the_user_is_ignored() {
        for home in ["", "relative", "./h", "~"] {
            let found = resolve_in(None, &[("HOME", home)]);
            assert!(matches!(found, Err(DataDirError::Nowhere)), "{home}");
        }
        let found = resolve_in(
            None,
            &[("UNDERTONE_HOME", ""), ("XDG_DATA_HOME", "relative"), ("HOME", "/h")],
        );
        assert_eq!(found.unwrap(), Path::new("/h/.local/share/undertone"));
    }

    #[test]
    fn a_folder_is_made_for_its_owner_alone_and_found_again() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b/home");
        prepare(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & PERMISSION_BITS, 0o700);
        prepare(&dir).unwrap();
    }

    #[test]
    fn a_folder_others_can_use_is_refused_with_both_modes_and_left_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        let error = prepare(root.path()).unwrap_err();
        let DataDirError::NotPrivate(NotPrivate::Mode(found)) = &error else { panic!("{error}") };
        assert_eq!((found.mode, found.needed), (0o755, 0o700));
        assert!(error.to_string().contains("its mode is 0755, and must be 0700"));
        assert_eq!(fs::metadata(root.path()).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn a_folder_of_another_user_is_refused_whatever_its_mode() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("home");
        prepare(&dir).unwrap();
        if std::os::unix::fs::chown(&dir, Some(65_534), None).is_err() {
            return println!("skipped: only root can give a folder to another user");
        }
        let error = prepare(&dir).unwrap_err();
        let DataDirError::NotPrivate(NotPrivate::Owner(found)) = &error else { panic!("{error}") };
        assert_eq!((found.owner, found.user), (65_534, 0));
        assert!(error.to_string().contains("that of user number 65534, and you are number 0"));
    }

    #[test]
    fn a_file_is_no_home() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(prepare(file.path()), Err(DataDirError::NotAFolder)));
    }
}
