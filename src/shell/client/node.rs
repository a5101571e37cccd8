//! A node in the process of its client.

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::options::{ArchiveOptions, NodeOptions, StoreOptions};
use crate::engine::secret::opaque_debug;
use crate::shell::api::{API_VERSION, ClientInfo, Hello, Limits, Stay};
use crate::shell::archive::Archive;
use crate::shell::budget::MachineRoom;
use crate::shell::failure::Failure;
use crate::shell::rpc::endpoint::Endpoint;
use crate::shell::rpc::server;
use crate::shell::runtime::{ArchiveRecovery, NodeSession, Runtime};
use crate::shell::store::Store;

/// A node that runs in this process, with its first client. It ends when this is dropped, as if its
/// process were killed; [`OwnNode::stop`] lets it finish and say farewell.
pub(super) struct OwnNode {
    session: NodeSession,
    stop: watch::Sender<()>,
    /// Its only task, until it was waited for.
    task: tokio::sync::Mutex<JoinSet<Result<(), Failure>>>,
    recovery: Option<Box<ArchiveRecovery>>,
}

opaque_debug!(struct OwnNode { session, stop, task, recovery });

impl OwnNode {
    /// Opens the store and starts a node on it.
    ///
    /// # Errors
    /// When the store cannot be opened, by code `in_use` if another process uses it, and when the
    /// network cannot be joined.
    pub(super) async fn start(
        options: &NodeOptions,
        who: &ClientInfo,
    ) -> Result<(Self, Hello), Failure> {
        if let Some(budget) = options.budget() {
            let archive = options.archive.as_ref();
            let archive = archive.map(|archive| (archive.folder.as_path(), archive.bytes));
            budget.check(MachineRoom::look(archive))?;
            // Not in bytes: a number with so many digits could be anything.
            let mebibytes = budget.memory() >> 20;
            tracing::info!(mebibytes, "the most memory that the node takes once it is full");
        }
        let store = match &options.store {
            StoreOptions::Memory => Store::in_memory()?,
            StoreOptions::Home(home) => {
                let home = home.clone();
                // Argon2 takes a second by design, and a person even longer.
                blocking(move || home.open()).await?
            }
        };
        // Before the network: a relay whose archive fails must not seem to store anything.
        let archive = match options.archive.clone().zip(options.archive_label()) {
            Some((ArchiveOptions { folder, bytes: _, overflow }, label)) => {
                Some(blocking(move || Ok(Archive::open(&folder, label, overflow)?)).await?)
            }
            None => None,
        };
        Self::run(options, who, store, archive)
    }

    /// Starts a node on a store that is open.
    fn run(
        options: &NodeOptions,
        who: &ClientInfo,
        store: Store,
        archive: Option<Archive>,
    ) -> Result<(Self, Hello), Failure> {
        if let Some(home) = options.home() {
            // A node that was killed left it, and nobody is to look for its socket any more.
            Endpoint::forget_stale(home)?;
        }
        let mut runtime = Runtime::start(options.node, options.net.clone(), store)?;
        runtime.mine_on(options.mining_threads);
        let recovery = archive.map(|archive| runtime.attach_archive(archive)).transpose()?;
        let recovery = recovery.map(Box::new);
        let handle = runtime.handle();
        let session = handle.open(who.scope.clone());
        let hello = hello(options);
        let endpoint = match options.home().filter(|_| hello.online) {
            Some(home) => match Endpoint::bind(home) {
                Ok(endpoint) => {
                    if !endpoint.passed_over().is_empty() {
                        tracing::warn!("a folder for the socket is not safe; the next one is used");
                    }
                    Some(endpoint)
                }
                // For one command nobody needs to reach it.
                Err(_) if options.stay == Stay::Brief => None,
                Err(error) => return Err(error.into()),
            },
            None => None,
        };
        let (stop, stopped) = watch::channel(());
        let (ended, over) = watch::channel(None);
        let greeting = hello.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let running = async {
                let result = runtime.run_apart(stopped).await;
                ended.send_replace(Some(Runtime::why_ended(&result)));
                result
            };
            match endpoint {
                Some(endpoint) => {
                    let served = server::serve(endpoint, handle, greeting, over);
                    tokio::join!(running, served).0
                }
                None => running.await,
            }
        });
        let task = tokio::sync::Mutex::new(task);
        Ok((Self { session, stop, task, recovery }, hello))
    }

    pub(super) const fn session(&self) -> &NodeSession {
        &self.session
    }

    pub(super) fn recovery(&self) -> Option<&ArchiveRecovery> {
        self.recovery.as_deref()
    }

    /// Stops the node, and waits until its home folder is free.
    ///
    /// # Errors
    /// Why it ended, if it failed.
    pub(super) async fn stop(&self) -> Result<(), Failure> {
        self.stop.send_replace(());
        match self.task.lock().await.join_next().await {
            Some(ended) => ended.map_err(|error| Failure::from(std::io::Error::other(error)))?,
            // It was waited for before.
            None => Ok(()),
        }
    }
}

/// Does what may take long, on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::from(std::io::Error::other(error)))?
}

fn hello(options: &NodeOptions) -> Hello {
    Hello {
        api: API_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        network: options.net.as_ref().map(|net| net.network.to_string()).unwrap_or_default(),
        floor: options.node.floor.bits(),
        online: options.net.is_some(),
        stay: options.stay,
        limits: Limits::OURS,
        start: options.start(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::api::ClientKind;

    #[tokio::test]
    async fn a_node_shows_nothing_of_itself_and_stops_once_for_all() {
        let who = ClientInfo::new(ClientKind::Bot);
        let options = NodeOptions::in_memory().offline();
        let (node, _) = OwnNode::start(&options, &who).await.unwrap();
        assert_eq!(format!("{node:?}"), "OwnNode");
        node.stop().await.unwrap();
        node.stop().await.unwrap();
    }
}
