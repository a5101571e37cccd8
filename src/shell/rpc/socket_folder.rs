//! The folder of the sockets of a user's nodes: where it lies, and that it belongs to this user
//! alone.
//!
//! It lies outside of the home folders, because the path of a socket is short: the path of a home
//! has any length. Other users can make files where it may lie, so it is checked before each use.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use crate::engine::secret::opaque_debug;
use crate::shell::os::data_dir::FOLDER_MODE;
use crate::shell::os::io_words::io_words;

/// The places where the folder may lie, and whose it must be.
pub(super) struct SocketFolders {
    /// The user's folder for sockets and the like, as the environment names it.
    pub(super) runtime: Option<PathBuf>,
    /// A folder in which everybody may make files.
    pub(super) temporary: PathBuf,
    /// The number of our user.
    pub(super) user: u32,
}

impl SocketFolders {
    /// The places of this process.
    pub(super) fn of_environment() -> Self {
        Self {
            runtime: std::env::var_os(RUNTIME_VARIABLE).map(PathBuf::from),
            temporary: PathBuf::from(TEMPORARY),
            user: rustix::process::geteuid().as_raw(),
        }
    }

    /// The folders to try for a socket of this name, the best one first.
    pub(super) fn candidates(&self, name: &str) -> Vec<PathBuf> {
        let fits = |folder: &PathBuf| fits(&folder.join(name));
        let runtime = self.runtime.as_deref().filter(|runtime| self.is_runtime_folder(runtime));
        let runtime = runtime.map(|runtime| runtime.join(FOLDER)).filter(fits);
        runtime.into_iter().chain([self.in_temporary()]).collect()
    }

    /// Whether a node of this user may have a socket of this name at `path`, whatever its
    /// environment was. The folder itself is not checked.
    pub(super) fn may_contain(&self, path: &Path, name: &str) -> bool {
        let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
        if !path.is_absolute()
            || !path.components().all(plain)
            || path.as_os_str().len() > MAX_SOCKET_PATH
            || path.file_name() != Some(name.as_ref())
        {
            return false;
        }
        let Some(folder) = path.parent() else { return false };
        // The node may run under another environment, as a service for one, so its runtime folder
        // need not be the one that ours names.
        let in_runtime = folder.file_name() == Some(FOLDER.as_ref())
            && folder.parent().is_some_and(|runtime| self.is_runtime_folder(runtime));
        in_runtime || folder == self.in_temporary()
    }

    /// Makes a folder if it is not there, and refuses one that is not ours alone.
    pub(super) fn prepare(&self, folder: &Path) -> Result<(), FolderFault> {
        match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
            Ok(()) => {}
            // Looked at below: another user may have made it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(FolderFault::io(folder, error)),
        }
        self.check(folder)
    }

    /// Refuses a folder that is not ours alone. Changes nothing.
    pub(super) fn check(&self, folder: &Path) -> Result<(), FolderFault> {
        // Of the link and not of its target: whoever made the link could change where it leads.
        let metadata =
            fs::symlink_metadata(folder).map_err(|error| FolderFault::io(folder, error))?;
        let fault = |kind| Err(FolderFault { folder: folder.to_owned(), kind });
        let mode = metadata.mode() & PERMISSION_BITS;
        if !metadata.is_dir() {
            return fault(FaultKind::NotAFolder);
        }
        if metadata.uid() != self.user {
            return fault(FaultKind::OfAnother(metadata.uid()));
        }
        if mode != FOLDER_MODE {
            return fault(FaultKind::Mode(mode));
        }
        Ok(())
    }

    /// Whether this is a folder as the XDG base directory specification asks for: of this user, and
    /// closed to others. A link is followed, because the user named the folder.
    fn is_runtime_folder(&self, folder: &Path) -> bool {
        folder.is_absolute()
            && fs::metadata(folder).is_ok_and(|metadata| {
                metadata.is_dir()
                    && metadata.uid() == self.user
                    && metadata.mode() & OTHERS_BITS == 0
            })
    }

    /// The folder for users without a runtime folder.
    fn in_temporary(&self) -> PathBuf {
        self.temporary.join(format!("{FOLDER}-{}", self.user))
    }
}

/// Whether the path of a socket is short enough, and a text.
pub(super) fn fits(socket: &Path) -> bool {
    socket.as_os_str().len() <= MAX_SOCKET_PATH && socket.to_str().is_some()
}

/// The reason that a folder is not used. Nothing was put into it.
#[derive(thiserror::Error)]
#[error("{folder:?} {kind}")]
pub(in crate::shell) struct FolderFault {
    folder: PathBuf,
    kind: FaultKind,
}

opaque_debug!(struct FolderFault { folder, kind });

impl FolderFault {
    /// The system's answer about a folder, or about a file in it.
    pub(super) fn io(folder: &Path, error: io::Error) -> Self {
        Self { folder: folder.to_owned(), kind: FaultKind::Io(error) }
    }

    /// Whether there is no such folder.
    pub(super) fn is_missing(&self) -> bool {
        matches!(&self.kind, FaultKind::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

#[derive(Debug, thiserror::Error)]
enum FaultKind {
    #[error("is not a folder: remove it")]
    NotAFolder,
    #[error(
        "belongs to another user (number {0}): have it removed, or set {RUNTIME_VARIABLE} to a \
         folder of your own with mode 0700"
    )]
    OfAnother(u32),
    #[error("has mode {0:04o} and needs 0700: run chmod 700 on it")]
    Mode(u32),
    #[error("cannot be used: {}", io_words(.0))]
    Io(io::Error),
}

/// The longest path of a socket, in bytes. `sockaddr_un` has room for 107 on Linux and 103 on macOS
/// and the BSDs, and some systems take a few less.
const MAX_SOCKET_PATH: usize = 100;

/// Names the user's folder for sockets (XDG base directory specification).
const RUNTIME_VARIABLE: &str = "XDG_RUNTIME_DIR";

/// The same for all processes, whatever their environment: a node and a command must agree.
const TEMPORARY: &str = "/tmp";

/// The folder's name in the runtime folder, and the start of it in the temporary one.
const FOLDER: &str = "undertone";

/// Read, write and execute for everybody. A folder may inherit other bits from the one above it.
const PERMISSION_BITS: u32 = 0o777;

/// Read, write and execute for the group and for others.
const OTHERS_BITS: u32 = 0o077;

#[cfg(test)]
pub(super) mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    const NAME: &str = "0123456789abcdef.sock";

    /// A user whose number is no test's.
    const ANOTHER: u32 = 65_534;

    /// Two places below one folder, in place of those of the machine.
    pub(in super::super) fn folders(root: &TempDir) -> SocketFolders {
        let (runtime, temporary) = (root.path().join("r"), root.path().join("t"));
        for folder in [&runtime, &temporary] {
            fs::create_dir(folder).unwrap();
            set_mode(folder, 0o700);
        }
        let user = SocketFolders::of_environment().user;
        SocketFolders { runtime: Some(runtime), temporary, user }
    }

    pub(in super::super) fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// Gives a file to another user, which only root can.
    fn give_away(path: &Path) -> bool {
        if SocketFolders::of_environment().user != 0 {
            println!("skipped: only root can give a folder to another user");
            return false;
        }
        chown(path, Some(ANOTHER), None).unwrap();
        true
    }

    fn fallback(folders: &SocketFolders) -> Vec<PathBuf> {
        vec![folders.temporary.join(format!("undertone-{}", folders.user))]
    }

    #[test]
    fn the_runtime_folder_is_tried_before_the_temporary_one() {
        let root = tempfile::tempdir().unwrap();
        let folders = folders(&root);
        let runtime = root.path().join("r/undertone");
        assert_eq!(folders.candidates(NAME), [vec![runtime], fallback(&folders)].concat());
    }

    #[test]
    fn a_runtime_folder_that_is_unset_relative_missing_or_no_folder_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let mut folders = folders(&root);
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        for runtime in
            [None, Some("".into()), Some("r".into()), Some(root.path().join("x")), Some(file)]
        {
            folders.runtime = runtime;
            assert_eq!(folders.candidates(NAME), fallback(&folders), "{:?}", folders.runtime);
        }
    }

    #[test]
    fn a_runtime_folder_that_is_open_to_others_or_of_another_user_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let folders = folders(&root);
        let runtime = root.path().join("r");
        for mode in [0o750, 0o701, 0o1777] {
            set_mode(&runtime, mode);
            assert_eq!(folders.candidates(NAME), fallback(&folders), "{mode:o}");
        }
        set_mode(&runtime, 0o700);
        if give_away(&runtime) {
            assert_eq!(folders.candidates(NAME), fallback(&folders));
        }
    }

    #[test]
    fn a_runtime_folder_too_deep_for_a_socket_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let mut folders = folders(&root);
        let room = MAX_SOCKET_PATH - root.path().as_os_str().len() - "//undertone/".len();
        for (length, count) in [(room - NAME.len(), 2), (room - NAME.len() + 1, 1)] {
            let runtime = root.path().join("d".repeat(length));
            fs::create_dir(&runtime).unwrap();
            set_mode(&runtime, 0o700);
            folders.runtime = Some(runtime);
            assert_eq!(folders.candidates(NAME).len(), count, "{length}");
        }
    }

    #[test]
    fn a_folder_is_made_for_its_owner_alone_and_found_again() {
        let root = tempfile::tempdir().unwrap();
        let folders = folders(&root);
        let folder = root.path().join("r/undertone");
        folders.prepare(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        folders.prepare(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_others_could_use_or_replace_is_refused_in_words_and_left_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let folders = folders(&root);
        let refused = |name: &str| {
            let fault = folders.prepare(&root.path().join(name)).unwrap_err();
            assert_eq!(format!("{fault:?}"), "FolderFault");
            let said = fault.to_string();
            assert!(said.contains(name), "{said}");
            said
        };
        fs::create_dir(root.path().join("wide")).unwrap();
        for mode in [0o755, 0o710, 0o500] {
            set_mode(&root.path().join("wide"), mode);
            let said = refused("wide");
            assert!(said.contains(&format!("mode {mode:04o} and needs 0700")), "{said}");
            assert_eq!(fs::metadata(root.path().join("wide")).unwrap().mode() & 0o777, mode);
        }
        symlink(root.path().join("r"), root.path().join("link")).unwrap();
        assert!(refused("link").contains("is not a folder"));
        symlink(root.path().join("nowhere"), root.path().join("lost")).unwrap();
        assert!(refused("lost").contains("is not a folder"));
        assert!(!root.path().join("nowhere").exists());
        fs::write(root.path().join("file"), "").unwrap();
        assert!(refused("file").contains("is not a folder"));
        assert!(refused("no/folder").contains("there is no such file or folder"));

        let squatted = root.path().join("squatted");
        fs::create_dir(&squatted).unwrap();
        set_mode(&squatted, 0o700);
        if give_away(&squatted) {
            let said = refused("squatted");
            assert!(said.contains("belongs to another user") && said.contains("XDG_RUNTIME_DIR"));
        }
    }

    #[test]
    fn a_folder_that_inherited_its_group_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let folders = folders(&root);
        set_mode(&root.path().join("r"), 0o2700);
        folders.check(&root.path().join("r")).unwrap();
    }

    #[test]
    fn a_socket_is_expected_in_the_two_folders_alone_and_under_its_name_alone() {
        let root = tempfile::tempdir().unwrap();
        let mut folders = folders(&root);
        let temporary = format!("t/undertone-{}", folders.user);
        fs::create_dir(root.path().join("open")).unwrap();
        set_mode(&root.path().join("open"), 0o755);
        let may = |folders: &SocketFolders, folder: &str, name: &str| {
            folders.may_contain(&root.path().join(folder).join(name), NAME)
        };
        assert!(may(&folders, "r/undertone", NAME) && may(&folders, &temporary, NAME));
        for (folder, name) in [
            ("r/undertone", "fedcba9876543210.sock"),
            ("r", NAME),
            ("r/other", NAME),
            ("t/undertone-1234567", NAME),
            ("open/undertone", NAME),
            ("nowhere/undertone", NAME),
            ("r/x/../undertone", NAME),
        ] {
            assert!(!may(&folders, folder, name), "{folder}/{name}");
        }
        assert!(!folders.may_contain(&Path::new("undertone").join(NAME), NAME));
        // A service has no such variable, or another one.
        folders.runtime = None;
        assert!(may(&folders, "r/undertone", NAME));
    }

    proptest! {
        #[test]
        fn no_other_path_is_one_of_ours(path in ".*", name in ".*") {
            let folders = SocketFolders::of_environment();
            prop_assert!(!folders.may_contain(Path::new(&path), &name));
        }
    }
}
