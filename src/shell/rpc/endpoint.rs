//! Where the socket of a node lies, and how it is found.
//!
//! A node listens on a socket outside of its home folder ([`socket_folder`](super::socket_folder)
//! says where and why), in the home where no such folder can be used and its path is short, and names it in the file `node.json` in the home. The file is there only
//! while the socket answers: it is written when the socket listens, and removed before the socket
//! closes. A node that crashed leaves both; the next one removes them under the lock of the home.
//!
//! Both sides compare the user of the other with their own, so neither a socket nor a file that
//! somebody else put there is trusted.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::net::{UnixListener, UnixStream};

use super::socket_folder::{FolderFault, SocketFolders, fits};
use crate::engine::secret::opaque_debug;
use crate::shell::api::API_VERSION;
use crate::shell::os::data_dir::FILE_MODE;
use crate::shell::os::io_words::io_words;
use crate::shell::store::StoreError;
use crate::shell::store::files::{self, FilePresence};

/// The socket of a node, which listens, and the file in its home folder that names it. Both are
/// removed when this is dropped; the folder of the socket stays.
pub(in crate::shell) struct Endpoint {
    listener: UnixListener,
    socket: PathBuf,
    /// Device and number of the socket's file: another node may have taken its name.
    file: (u64, u64),
    home: PathBuf,
    /// The content of `node.json`.
    note: Vec<u8>,
    user: u32,
    passed_over: Vec<FolderFault>,
}

opaque_debug!(struct Endpoint { listener, socket, file, home, note, user, passed_over });

impl Endpoint {
    /// Makes the socket of the node in `home`, then the file that names it. To be called in a
    /// Tokio runtime by the process that holds the lock of `home`: a socket of that name is taken
    /// for one that a dead node left.
    ///
    /// # Errors
    ///
    /// [`EndpointError::NoFolder`] if no folder can be used, with the reason for each;
    /// [`EndpointError::Home`] if the home folder takes no file. There is neither socket nor file
    /// then.
    pub(in crate::shell) fn bind(home: &Path) -> Result<Self, EndpointError> {
        Self::bind_in(home, &SocketFolders::of_environment())
    }

    pub(super) fn bind_in(home: &Path, folders: &SocketFolders) -> Result<Self, EndpointError> {
        let home = home.canonicalize().map_err(StoreError::from)?;
        let mut passed_over = Vec::new();
        let Some(Bound { listener, socket, file }) = bind(&home, folders, &mut passed_over) else {
            return Err(EndpointError::NoFolder(passed_over));
        };
        let note = NodeNote::of_this_process(&socket).to_bytes();
        let user = folders.user;
        let endpoint = Self { listener, socket, file, home, note, user, passed_over };
        // On an error the socket is removed with the endpoint.
        files::replace(&endpoint.home, NOTE_FILE, &endpoint.note)?;
        Ok(endpoint)
    }

    /// Makes the socket again if its file is gone. A user's folder for sockets is removed with their last
    /// login, and a node in a terminal multiplexer outlives that.
    pub(in crate::shell) fn restore(&mut self) {
        self.restore_in(&SocketFolders::of_environment());
    }

    fn restore_in(&mut self, folders: &SocketFolders) {
        let is_gone =
            identity(&self.socket).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        // Without our file in the home there is another node there, or the home was moved.
        if !is_gone || !self.note_is_ours() {
            return;
        }
        let mut passed_over = Vec::new();
        let Some(Bound { listener, socket, file }) = bind(&self.home, folders, &mut passed_over)
        else {
            return tracing::debug!("there is no folder for the socket of the node any more");
        };
        let note = NodeNote::of_this_process(&socket).to_bytes();
        if let Err(error) = files::replace(&self.home, NOTE_FILE, &note) {
            tracing::debug!(%error, "the home folder takes no file that names the socket");
            // The next look finds the old one gone still.
            if fs::remove_file(&socket).is_err() {
                tracing::debug!("a socket that nothing names was left behind");
            }
            return;
        }
        (self.listener, self.socket, self.file) = (listener, socket, file);
        (self.note, self.passed_over) = (note, passed_over);
        tracing::info!("the socket of the node was gone, and is there again");
    }

    fn note_is_ours(&self) -> bool {
        let note = files::read_start(&self.home.join(NOTE_FILE), MAX_NOTE_BYTES);
        note.is_ok_and(|bytes| bytes == self.note)
    }

    /// The folders that came before the one of the socket and could not be used, with the reasons:
    /// another user may have made one, and whoever runs the node should hear of it.
    pub(in crate::shell) fn passed_over(&self) -> &[FolderFault] {
        &self.passed_over
    }

    /// Waits for the next connection of a process of our user. Connections of others are closed.
    /// Dropping the future loses no connection.
    ///
    /// # Errors
    ///
    /// The system takes no connection now, because too many files are open for one. The socket goes
    /// on listening.
    pub(in crate::shell) async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            if is_of(&stream, self.user) {
                return Ok(stream);
            }
            tracing::warn!("a connection of another user to the node's socket was closed");
        }
    }

    /// Removes the file that a dead node left in `home`. To be called by the process that holds the
    /// lock of `home`, as soon as it does.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be removed.
    pub(in crate::shell) fn forget_stale(home: &Path) -> Result<(), StoreError> {
        files::remove_leftover(&home.join(NOTE_FILE))?;
        files::remove_leftover(&home.join(socket_name(&home.canonicalize()?)))
    }

    /// Whether the files are still the ones that this endpoint made, each in its turn.
    fn owned_files(&self) -> [Option<PathBuf>; 2] {
        let socket = identity(&self.socket).is_ok_and(|file| file == self.file);
        // First the file, so that nobody finds a socket in it that is gone.
        [
            self.note_is_ours().then(|| self.home.join(NOTE_FILE)),
            socket.then(|| self.socket.clone()),
        ]
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // The home may have been moved away and another one put in its place, with a node of its own.
        for path in self.owned_files().into_iter().flatten() {
            if let Err(error) = fs::remove_file(path) {
                tracing::debug!(kind = ?error.kind(), "a file of the node's socket was left behind");
            }
        }
    }
}

/// A node that runs in a home folder, with a connection to it.
pub(in crate::shell) struct Located {
    stream: UnixStream,
    note: NodeNote,
}

opaque_debug!(struct Located { stream, note });

impl Located {
    /// Finds the node that runs in `home` and connects to it; `None` if none runs there. The caller
    /// limits the time.
    ///
    /// # Errors
    ///
    /// The file that names the socket, its folder or the process behind it is not what a node of
    /// ours makes. Nothing was sent.
    pub(in crate::shell) async fn find(home: &Path) -> Result<Option<Self>, LocateError> {
        Self::find_in(home, &SocketFolders::of_environment()).await
    }

    pub(super) async fn find_in(
        home: &Path,
        folders: &SocketFolders,
    ) -> Result<Option<Self>, LocateError> {
        let home = match if_there(home.canonicalize()) {
            Ok(Some(home)) => home,
            Ok(None) => return Ok(None),
            // What cannot be looked at is not said to be free.
            Err(error) => return Err(StoreError::Unseen(error).into()),
        };
        // Whoever opens the store there says what is wrong.
        if !home.is_dir() {
            return Ok(None);
        }
        let Some(note) = NodeNote::read(&home)? else { return Ok(None) };
        let socket = Path::new(&note.socket);
        let name = socket_name(&home);
        if !is_in_home(socket, &home, &name) && !folders.may_contain(socket, &name) {
            // The folder of a login that is over is none of ours any more, and holds no socket either: the
            // node makes another one.
            let is_gone = |folder: &Path| {
                let there = folder.symlink_metadata();
                there.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
            };
            let is_none = socket.parent().is_some_and(is_gone);
            return if is_none { Ok(None) } else { Err(LocateError::Elsewhere) };
        }
        match folders.check(socket.parent().unwrap_or(socket)) {
            Err(fault) if fault.is_missing() => return Ok(None),
            checked => checked?,
        }
        let connected = match UnixStream::connect(socket).await {
            // A socket takes no more connections than the system holds for it: nobody lets them in.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(LocateError::StandsStill);
            }
            connected => if_there(connected)?,
        };
        let Some(stream) = connected else { return Ok(None) };
        if !is_of(&stream, folders.user) {
            return Err(LocateError::Stranger);
        }
        Ok(Some(Self { stream, note }))
    }

    /// The number of the node's process.
    pub(in crate::shell) const fn pid(&self) -> u32 {
        self.note.pid
    }

    /// The connection.
    pub(in crate::shell) fn into_stream(self) -> UnixStream {
        self.stream
    }
}

/// What `node.json` says. Fields of later versions are ignored.
#[derive(Deserialize)]
struct NodeNote {
    socket: String,
    pid: u32,
    api: [u16; 2],
    version: String,
}

impl NodeNote {
    fn of_this_process(socket: &Path) -> Self {
        Self {
            // Only folders whose path is text are used.
            socket: socket.to_string_lossy().into_owned(),
            pid: std::process::id(),
            api: API_VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let Self { socket, pid, api, version } = self;
        let note = serde_json::json!({
            "socket": socket, "pid": pid, "api": api, "version": version,
        });
        format!("{note}\n").into_bytes()
    }

    /// Reads the file in `home`; `None` if there is none.
    fn read(home: &Path) -> Result<Option<Self>, LocateError> {
        let path = home.join(NOTE_FILE);
        // A pipe in its place would make us wait.
        match files::presence(&path) {
            Ok(FilePresence::Missing) => return Ok(None),
            Ok(FilePresence::Present) => {}
            Err(StoreError::Io(error)) => return Err(StoreError::Unseen(error).into()),
            Err(error) => return Err(error.into()),
        }
        // One byte more, so that a longer file is refused.
        match files::read_start(&path, MAX_NOTE_BYTES + 1) {
            Ok(bytes) => Self::parse(&bytes).map(Some).ok_or(LocateError::NotANote),
            // The node ended in this moment.
            Err(StoreError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_NOTE_BYTES);
        if fits { serde_json::from_slice(bytes).ok() } else { None }
    }
}

/// The reason that a node has no socket.
#[derive(thiserror::Error)]
pub(in crate::shell) enum EndpointError {
    /// Mend one of the folders.
    #[error("there is no folder for the node's socket: {}", list(.0))]
    NoFolder(Vec<FolderFault>),
    /// See the cause.
    #[error(transparent)]
    Home(#[from] StoreError),
}

opaque_debug!(
    enum EndpointError {
        NoFolder,
        Home,
    }
);

/// The reason that it is not known whether a node runs.
#[derive(thiserror::Error)]
pub(in crate::shell) enum LocateError {
    /// Remove the file, if no node runs.
    #[error("the file node.json in the home folder is not one that a node writes")]
    NotANote,
    /// Remove the file, if no node runs.
    #[error("the file node.json in the home folder names a socket that is not one of a node there")]
    Elsewhere,
    /// Mend the folder.
    #[error("the folder of the node's socket is not safe: {0}")]
    Folder(#[from] FolderFault),
    /// Find out who runs it.
    #[error("the node's socket is one of another user")]
    Stranger,
    /// See whether the node runs.
    #[error("the node has let nobody in for long")]
    StandsStill,
    /// See the cause.
    #[error(transparent)]
    Home(#[from] StoreError),
    /// See the cause.
    #[error("the node's socket cannot be used: {}", io_words(.0))]
    Io(#[from] io::Error),
}

opaque_debug!(
    enum LocateError {
        NotANote,
        Elsewhere,
        Folder,
        Stranger,
        StandsStill,
        Home,
        Io,
    }
);

/// The faults in one line.
fn list(faults: &[FolderFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Whether this is the socket that a node in this home has there, which a socket's path has room for.
fn is_in_home(socket: &Path, home: &Path, name: &str) -> bool {
    socket == home.join(name) && fits(socket)
}

/// The name of the socket of the node in a home folder with this real path: one for each home, and
/// of one length however deep it lies.
fn socket_name(home: &Path) -> String {
    let digest = Sha256::digest(home.as_os_str().as_bytes());
    let digits: String = HEXLOWER.encode(&digest).chars().take(ID_DIGITS).collect();
    format!("{digits}.sock")
}

/// A socket that listens.
struct Bound {
    listener: UnixListener,
    socket: PathBuf,
    file: (u64, u64),
}

/// Listens on the socket of a home in the first folder that can be used; adds those that cannot.
fn bind(home: &Path, folders: &SocketFolders, passed_over: &mut Vec<FolderFault>) -> Option<Bound> {
    let name = socket_name(home);
    // The home is the last: a service may have no other folder that it can write to.
    let at_home = Some(home.to_owned()).filter(|home| is_in_home(&home.join(&name), home, &name));
    for folder in folders.candidates(&name).into_iter().chain(at_home) {
        let socket = folder.join(&name);
        let bound = folders
            .prepare(&folder)
            .and_then(|()| listen(&socket).map_err(|error| FolderFault::io(&folder, error)));
        match bound {
            Ok((listener, file)) => return Some(Bound { listener, socket, file }),
            Err(fault) => passed_over.push(fault),
        }
    }
    None
}

/// Listens on a socket for its owner alone; with device and number of its file.
fn listen(socket: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    // Left by a node that crashed: the caller holds the lock of the home folder.
    if let Err(error) = fs::remove_file(socket)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let listener = UnixListener::bind(socket)?;
    // The folder keeps others out in the moment before this.
    fs::set_permissions(socket, Permissions::from_mode(FILE_MODE))?;
    Ok((listener, identity(socket)?))
}

/// Device and number of a file, by which it is told from another one of its name.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Whether the process at the other end is one of this user, as the system knows it.
fn is_of(stream: &UnixStream, user: u32) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == user)
}

/// `None` if there is nothing there, or nobody who answers.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotADirectory,
        NotConnected, NotFound,
    };

    // The last four: the node ended in this moment.
    let is_absent = |kind| {
        matches!(kind, ConnectionRefused | NotADirectory | NotFound)
            || matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
    };
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absent(error.kind()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Names the socket and the process of the node that runs in the home folder.
const NOTE_FILE: &str = "node.json";

/// More than the longest path of a socket and the rest need, with room for fields to come.
const MAX_NOTE_BYTES: u64 = 4 << 10;

/// 64 bits: two homes of one user share a name by chance in one case of 2^64.
const ID_DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener as BlockingListener;

    use proptest::prelude::*;
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::socket_folder::tests::{folders, set_mode};
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};
    use crate::shell::failure::{Failure, FailureCode};

    /// A home, and folders for sockets, for a test alone.
    struct Stage {
        root: TempDir,
        folders: SocketFolders,
    }

    impl Stage {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let stage = Self { folders: folders(&root), root };
            stage.new_home("home");
            stage
        }

        fn new_home(&self, name: &str) -> PathBuf {
            let home = self.root.path().join(name);
            fs::create_dir_all(&home).unwrap();
            set_mode(&home, 0o700);
            home
        }

        fn home(&self) -> PathBuf {
            self.root.path().join("home")
        }

        fn bind(&self) -> Endpoint {
            Endpoint::bind_in(&self.home(), &self.folders).unwrap()
        }

        async fn find(&self) -> Result<Option<Located>, LocateError> {
            Located::find_in(&self.home(), &self.folders).await
        }

        async fn is_found(&self) -> bool {
            self.find().await.unwrap().is_some()
        }

        /// Puts a file in the place of `node.json`.
        fn write_note(&self, bytes: &[u8]) {
            let path = self.home().join(NOTE_FILE);
            fs::write(&path, bytes).unwrap();
            set_mode(&path, 0o600);
        }

        /// A file that names this socket.
        fn name_socket(&self, socket: &Path) {
            self.write_note(&NodeNote::of_this_process(socket).to_bytes());
        }

        /// The socket that a node here has.
        fn socket(&self) -> PathBuf {
            let name = socket_name(&self.home().canonicalize().unwrap());
            self.root.path().join("r/undertone").join(name)
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[tokio::test]
    async fn a_node_is_found_while_it_runs_and_says_what_it_is() {
        let stage = Stage::new();
        assert!(!stage.is_found().await);
        let endpoint = stage.bind();
        assert!(endpoint.passed_over().is_empty());
        let (node, found) = tokio::join!(endpoint.accept(), stage.find());
        let (mut node, found) = (node.unwrap(), found.unwrap().unwrap());
        assert_eq!(found.pid(), std::process::id());
        let mut word = [0; 5];
        found.into_stream().write_all(b"hello").await.unwrap();
        node.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"hello");

        let note = fs::read_to_string(stage.home().join(NOTE_FILE)).unwrap();
        let note: serde_json::Value = serde_json::from_str(&note).unwrap();
        assert_eq!(note["socket"], stage.socket().to_str().unwrap());
        assert_eq!(note["api"], serde_json::json!([1, 0]));
        let modes = [stage.socket(), stage.home().join(NOTE_FILE)].map(|path| mode(&path));
        assert_eq!(modes, [0o600, 0o600]);
    }

    #[tokio::test]
    async fn a_node_is_found_in_the_environment_of_this_process() {
        let stage = Stage::new();
        let endpoint = Endpoint::bind(&stage.home()).unwrap();
        assert!(Located::find(&stage.home()).await.unwrap().is_some());
        drop(endpoint);
        assert!(Located::find(&stage.home()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_node_that_ends_removes_its_files_and_leaves_the_folder() {
        let stage = Stage::new();
        let endpoint = stage.bind();
        drop(endpoint);
        assert!(!stage.is_found().await);
        assert_eq!(fs::read_dir(stage.home()).unwrap().count(), 0);
        assert_eq!(fs::read_dir(stage.socket().parent().unwrap()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_home_however_deep_has_a_socket_with_a_short_path() {
        let stage = Stage::new();
        let deep = stage.new_home(&["a-long-name-of-a-folder"; 20].join("/"));
        let endpoint = Endpoint::bind_in(&deep, &stage.folders).unwrap();
        assert!(endpoint.socket.as_os_str().len() <= 100);
        assert!(Located::find_in(&deep, &stage.folders).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn two_homes_have_two_sockets_and_one_home_has_one_by_whatever_path() {
        let stage = Stage::new();
        let (other, link) = (stage.new_home("other"), stage.root.path().join("link"));
        symlink(stage.home(), &link).unwrap();
        let (one, two) = (stage.bind(), Endpoint::bind_in(&other, &stage.folders).unwrap());
        assert_ne!(one.socket, two.socket);
        assert!(Located::find_in(&link, &stage.folders).await.unwrap().is_some());
        drop(one);
        assert!(Located::find_in(&link, &stage.folders).await.unwrap().is_none());
        assert!(Located::find_in(&other, &stage.folders).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn what_a_dead_node_left_means_that_none_runs_and_is_in_nobodys_way() {
        let stage = Stage::new();
        drop(stage.bind());
        // As a crash leaves them: a socket that nobody listens on, and the file that names it.
        drop(BlockingListener::bind(stage.socket()).unwrap());
        stage.name_socket(&stage.socket());
        assert!(stage.socket().exists() && !stage.is_found().await);
        Endpoint::forget_stale(&stage.home()).unwrap();
        assert!(!stage.home().join(NOTE_FILE).exists());
        Endpoint::forget_stale(&stage.home()).unwrap();

        stage.name_socket(&stage.socket());
        let endpoint = stage.bind();
        assert!(stage.is_found().await);
        drop(endpoint);
        assert!(!stage.socket().exists());
    }

    #[tokio::test]
    async fn a_folder_or_socket_that_is_gone_means_that_no_node_runs() {
        let stage = Stage::new();
        stage.name_socket(&stage.socket());
        assert!(!stage.socket().parent().unwrap().exists() && !stage.is_found().await);
        drop(stage.bind());
        stage.name_socket(&stage.socket());
        assert!(stage.socket().parent().unwrap().exists() && !stage.is_found().await);
        let nowhere = stage.root.path().join("nowhere");
        assert!(Located::find_in(&nowhere, &stage.folders).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_socket_whose_folder_was_removed_is_made_again_and_found() {
        let stage = Stage::new();
        let mut endpoint = stage.bind();
        endpoint.restore_in(&stage.folders);
        assert_eq!(endpoint.socket, stage.socket());
        // As at the end of the last login: the folder is there again with the next.
        let runtime = stage.root.path().join("r");
        fs::remove_dir_all(&runtime).unwrap();
        assert!(!stage.is_found().await);
        endpoint.restore_in(&stage.folders);
        assert!(endpoint.socket.starts_with(stage.root.path().join("t")));
        let (accepted, found) = tokio::join!(endpoint.accept(), stage.find());
        assert!(accepted.is_ok() && found.unwrap().is_some());
        fs::create_dir(&runtime).unwrap();
        set_mode(&runtime, 0o700);
        fs::remove_file(&endpoint.socket).unwrap();
        endpoint.restore_in(&stage.folders);
        assert_eq!(endpoint.socket, stage.socket());
        assert!(stage.is_found().await);
        drop(endpoint);
        assert!(!stage.socket().exists() && !stage.home().join(NOTE_FILE).exists());
    }

    #[tokio::test]
    async fn a_socket_is_not_made_again_where_another_took_its_place_or_the_home_is_gone() {
        let stage = Stage::new();
        let mut endpoint = stage.bind();
        fs::remove_file(stage.socket()).unwrap();
        let theirs = BlockingListener::bind(stage.socket()).unwrap();
        let there = identity(&stage.socket()).unwrap();
        endpoint.restore_in(&stage.folders);
        assert_eq!(identity(&stage.socket()).unwrap(), there);
        drop(theirs);
        fs::remove_file(stage.socket()).unwrap();
        fs::rename(stage.home(), stage.root.path().join("moved")).unwrap();
        stage.new_home("home");
        endpoint.restore_in(&stage.folders);
        assert!(!stage.socket().exists() && !stage.home().join(NOTE_FILE).exists());
    }

    #[tokio::test]
    async fn a_folder_that_is_not_ours_alone_is_passed_over_and_named() {
        let stage = Stage::new();
        let folder = stage.root.path().join("r/undertone");
        symlink(stage.root.path(), &folder).unwrap();
        let endpoint = stage.bind();
        assert!(endpoint.socket.starts_with(stage.root.path().join("t")));
        let said = list(endpoint.passed_over());
        assert!(said.contains("r/undertone") && said.contains("is not a folder"), "{said}");
        assert!(stage.is_found().await);
    }

    #[tokio::test]
    async fn without_a_folder_of_ours_there_is_no_socket_and_the_error_names_each_of_them() {
        let stage = Stage::new();
        let of_user = format!("t/undertone-{}", stage.folders.user);
        for folder in ["r/undertone", &of_user] {
            fs::create_dir(stage.root.path().join(folder)).unwrap();
            set_mode(&stage.root.path().join(folder), 0o755);
        }
        // The path of the home itself is too long for a socket.
        let deep = stage.new_home(&["a-long-name-of-a-folder"; 20].join("/"));
        let error = Endpoint::bind_in(&deep, &stage.folders).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("r/undertone") && said.contains(&of_user), "{said}");
        assert!(said.contains("chmod 700"), "{said}");
        assert_eq!(fs::read_dir(deep).unwrap().count(), 0);
        // Elsewhere it is the place where a socket lies that can lie nowhere else.
        let endpoint = stage.bind();
        assert_eq!(endpoint.socket.parent(), Some(&*stage.home().canonicalize().unwrap()));
        assert_eq!(endpoint.passed_over().len(), 2);
        assert!(stage.is_found().await);
        let left = endpoint.socket.clone();
        drop(endpoint);
        drop(BlockingListener::bind(&left).unwrap());
        Endpoint::forget_stale(&stage.home()).unwrap();
        assert_eq!(fs::read_dir(stage.home()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_folder_that_was_opened_to_others_is_not_connected_to() {
        let stage = Stage::new();
        let _endpoint = stage.bind();
        set_mode(stage.socket().parent().unwrap(), 0o755);
        assert!(matches!(stage.find().await, Err(LocateError::Folder(_))));
    }

    #[tokio::test]
    async fn a_home_that_takes_no_file_leaves_no_socket() {
        let stage = Stage::new();
        // Something that is not ours to remove is in its way.
        fs::create_dir_all(stage.home().join("node.json.new/full")).unwrap();
        let refused = Endpoint::bind_in(&stage.home(), &stage.folders);
        assert!(matches!(refused, Err(EndpointError::Home(_))));
        assert!(!stage.socket().exists());
    }

    #[tokio::test]
    async fn a_socket_outside_of_our_folders_or_of_another_home_is_refused() {
        let stage = Stage::new();
        let outside = stage.root.path().join("outside.sock");
        let _listening = BlockingListener::bind(&outside).unwrap();
        stage.name_socket(&outside);
        assert!(matches!(stage.find().await, Err(LocateError::Elsewhere)));

        // A copy of a home must not lead to the node of the original.
        let endpoint = stage.bind();
        let copy = stage.new_home("copy");
        fs::copy(stage.home().join(NOTE_FILE), copy.join(NOTE_FILE)).unwrap();
        let found = Located::find_in(&copy, &stage.folders).await;
        assert!(matches!(found, Err(LocateError::Elsewhere)));
        drop(endpoint);
    }

    #[tokio::test]
    async fn a_node_that_lets_nobody_in_stands_still_and_is_not_waited_for() {
        let stage = Stage::new();
        drop(stage.bind());
        let listening = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        let listening = listening.unwrap();
        listening.bind(&socket2::SockAddr::unix(stage.socket()).unwrap()).unwrap();
        listening.listen(0).unwrap();
        stage.name_socket(&stage.socket());
        let mut waiting = Vec::new();
        let refused = loop {
            match stage.find().await {
                Ok(found) => waiting.push(found.expect("it listens")),
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, LocateError::StandsStill) && !waiting.is_empty());
        assert_eq!(Failure::from(refused).code(), Some(FailureCode::NodeSilent));
    }

    #[tokio::test]
    async fn a_process_of_another_user_is_not_served_and_not_asked() {
        let stage = Stage::new();
        let mut endpoint = stage.bind();
        // As if we were somebody else: tests have one user.
        endpoint.user = stage.folders.user + 1;
        let mut client = stage.find().await.unwrap().unwrap().into_stream();
        assert!(!is_of(&client, endpoint.user) && is_of(&client, stage.folders.user));
        let mut byte = [0];
        tokio::select! {
            _ = endpoint.accept() => panic!("a stranger is served"),
            read = client.read(&mut byte) => assert_eq!(read.unwrap(), 0),
        }
    }

    #[tokio::test]
    async fn a_node_whose_home_was_replaced_leaves_the_files_of_the_next_one() {
        let stage = Stage::new();
        let first = stage.bind();
        fs::rename(stage.home(), stage.root.path().join("moved")).unwrap();
        stage.new_home("home");
        let second = stage.bind();
        // Both processes are this one, so their files are the same but for this.
        let mut told = NodeNote::of_this_process(&second.socket);
        told.pid += 1;
        stage.write_note(&told.to_bytes());
        drop(first);
        assert!(stage.is_found().await);
    }

    #[tokio::test]
    async fn a_file_that_no_node_wrote_is_refused() {
        let stage = Stage::new();
        let long = format!("{{\"socket\":\"{}\"}}", "x".repeat(5_000));
        for bytes in [
            &b""[..],
            b"{}",
            b"[]",
            b"\xff\x00",
            b"{\"socket\":1,\"pid\":1,\"api\":[1,0],\"version\":\"\"}",
            b"{\"socket\":\"/\",\"pid\":-1,\"api\":[1,0],\"version\":\"\"}",
            b"{\"socket\":\"/\",\"pid\":1,\"api\":[1],\"version\":\"\"}",
            long.as_bytes(),
        ] {
            stage.write_note(bytes);
            assert!(matches!(stage.find().await, Err(LocateError::NotANote)));
        }
        set_mode(&stage.home().join(NOTE_FILE), 0o644);
        assert!(matches!(stage.find().await, Err(LocateError::Home(_))));
        fs::remove_file(stage.home().join(NOTE_FILE)).unwrap();
        symlink("/dev/zero", stage.home().join(NOTE_FILE)).unwrap();
        assert!(matches!(stage.find().await, Err(LocateError::Home(_))));
    }

    #[tokio::test]
    async fn what_holds_a_path_prints_its_kind_alone() {
        let stage = Stage::new();
        let endpoint = stage.bind();
        let found = stage.find().await.unwrap().unwrap();
        assert_eq!(format!("{endpoint:?} {found:?}"), "Endpoint Located");
        let (bound, found) = (EndpointError::NoFolder(Vec::new()), LocateError::Stranger);
        assert_eq!(format!("{bound:?} {found:?}"), "EndpointError::NoFolder LocateError::Stranger");
    }

    #[test]
    fn fields_of_later_versions_are_ignored() {
        let later = br#"{"socket":"/s","pid":7,"api":[2,1],"version":"9","more":{"x":[1]}}"#;
        let note = NodeNote::parse(later).unwrap();
        assert_eq!((note.socket.as_str(), note.pid, note.api), ("/s", 7, [2, 1]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_file_of_a_node_or_refused(
            bytes: Vec<u8>, socket in ".*", pid: u32, api: [u16; 2], version in ".*",
        ) {
            prop_assert!(NodeNote::parse(&bytes).is_none());
            let told = NodeNote { socket, pid, api, version }.to_bytes();
            let note = NodeNote::parse(&told).unwrap();
            prop_assert_eq!(note.to_bytes(), told);
        }
    }

    #[test]
    fn changed_at_random_a_note_names_a_socket_or_is_none() {
        let notes = ["/tmp/undertone-1000/x", ""]
            .map(|socket| NodeNote::of_this_process(Path::new(socket)).to_bytes());
        each_case(&notes, |bytes| Reading::found(NodeNote::parse(bytes)));
    }
}
