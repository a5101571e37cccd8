//! The client: how every front end reaches a node, in its own process or in another.

mod node;
mod options;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

pub use options::{
    ArchiveOptions, Connect, CreateStore, GivenOption, HomeOptions, NodeOptions, StoreOptions,
};

use self::node::OwnNode;
use super::api::calls::{AnyCall, AnyReply, Call, NodeStop};
use super::api::{
    ClientInfo, Delivery, Directory, Event, EventFilter, EventKind, From, Hello, Message, Needs,
    Stay,
};
use super::event_log::{EventReader, gone};
use super::failure::{Failure, FailureCode, FailureText};
use super::rpc::link::{self, SocketEvents, SocketLink};
use super::runtime::ArchiveRecovery;
use super::store::StoreError;
use crate::engine::secret::opaque_debug;

/// A connection to a node. Cheap to clone; it ends with the last clone, and so does a node that it
/// started.
///
/// A client that attaches or starts goes on by itself when the node it was attached to stops: what
/// that node had not carried out is asked of the next one. A node that it starts then is in the
/// network of the one before, and goes on with its settings. Streams of events end, and can be asked
/// for again.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

opaque_debug!(struct Client(_));

struct Shared {
    to: Connect,
    who: ClientInfo,
    link: Mutex<Arc<Link>>,
    /// Held while another link is made, so that one is.
    relinking: tokio::sync::Mutex<()>,
    /// Once somebody asked for it: most commands need no picture of everybody.
    directory: OnceLock<FoldedDirectory>,
    /// Whether it was closed, and reaches no other node any more.
    is_closed: AtomicBool,
    /// Where it was connected, so that the directory may be asked for anywhere.
    runtime: Handle,
}

/// The directory of a client, and the task that keeps it, which ends with it.
struct FoldedDirectory {
    published: watch::Receiver<Arc<Directory>>,
    _task: JoinSet<()>,
}

/// The way to a node.
struct Link {
    way: Way,
    hello: Hello,
}

enum Way {
    Here(OwnNode),
    Socket(SocketLink),
}

/// A stream of events.
pub struct Events(EventsWay);

enum EventsWay {
    Here(Box<EventReader>),
    Socket(SocketEvents),
}

opaque_debug!(struct Events(_));

impl Events {
    /// What comes next; after [`Delivery::Ended`] it is that for ever. Dropping the future loses
    /// nothing. A stream that is not read delays nobody: what it misses is said.
    pub async fn next(&mut self) -> Delivery {
        match &mut self.0 {
            EventsWay::Here(reader) => reader.next().await,
            EventsWay::Socket(events) => events.next().await,
        }
    }

    /// The next event, for a program to which what was missed does not matter; none once the stream
    /// is over.
    pub async fn event(&mut self) -> Option<Event> {
        loop {
            match self.next().await {
                Delivery::Event { event, .. } => return Some(*event),
                Delivery::Missed { .. } => {}
                Delivery::Ended(_) => return None,
            }
        }
    }

    /// The next message of a contact, for a program to which nothing else matters; none once the
    /// stream is over.
    pub async fn incoming(&mut self) -> Option<Message> {
        loop {
            if let Event::Message(message) = self.event().await?
                && message.is_incoming()
            {
                return Some(message);
            }
        }
    }
}

impl Client {
    /// Reaches a node. A home folder that another process uses for a moment is waited for.
    ///
    /// # Errors
    /// When there is no node, it cannot be started, it does not answer, or it is another version.
    pub async fn connect(to: Connect, who: ClientInfo) -> Result<(Self, Hello), Failure> {
        Self::connect_within(to, who, Duration::MAX).await
    }

    /// The same, within this time: a node that stands still or does not give its home free is
    /// given up sooner. The time in which a store of our own is opened does not count, because a
    /// person may have to type its passphrase.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_within(
        to: Connect,
        who: ClientInfo,
        limit: Duration,
    ) -> Result<(Self, Hello), Failure> {
        let link = Arc::new(reach(&to, &who, limit, Preference::Either).await?);
        let hello = link.hello.clone();
        let shared = Shared {
            to,
            who,
            link: Mutex::new(link),
            relinking: tokio::sync::Mutex::default(),
            directory: OnceLock::new(),
            is_closed: AtomicBool::new(false),
            runtime: Handle::current(),
        };
        Ok((Self(Arc::new(shared)), hello))
    }

    /// Starts a node that acts by itself, with its client: the short way for a bot.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn start(options: NodeOptions) -> Result<Self, Failure> {
        let who = ClientInfo::new(super::api::ClientKind::Bot);
        Self::connect(Connect::Start(options), who).await.map(|(client, _)| client)
    }

    /// Attaches to the node that runs in the home folder of the options, else starts one that acts
    /// by itself: for a bot beside which a person uses the same home.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn attach_or_start(options: NodeOptions) -> Result<Self, Failure> {
        let who = ClientInfo::new(super::api::ClientKind::Bot);
        Self::connect(Connect::AttachOrStart(options), who).await.map(|(client, _)| client)
    }

    /// Calls a method. Dropping the future abandons the answer, and not what was accepted.
    ///
    /// # Errors
    /// Why it was not carried out. The codes `node_ended` and `node_silent` leave open whether it
    /// was.
    pub async fn call<C: Call>(&self, call: C) -> Result<C::Reply, Failure> {
        C::reply_of(self.call_any(call.into_any()).await?).ok_or_else(gone)
    }

    /// Calls a method that is known at run time alone.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_any(&self, call: AnyCall) -> Result<AnyReply, Failure> {
        let mut looks = 0;
        loop {
            let link = self.link();
            let failure = match link.call(call.clone()).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            // Not carried out, or nothing but a look: the next node can be asked.
            let is_look = matches!(call.needs(), Needs::Nothing | Needs::Read);
            let can_be_asked_again = match failure.code() {
                Some(FailureCode::NodeStopping) => true,
                Some(FailureCode::NodeEnded) => is_look && looks < LOOKS,
                _ => false,
            };
            if !can_be_asked_again {
                return Err(failure);
            }
            looks += 1;
            self.relink(&link, failure).await?;
        }
    }

    /// What happens from `from` on. After the end of a node it is a stream of the next one.
    ///
    /// # Errors
    /// When the stream cannot begin there, or there is no node any more.
    pub async fn events(&self, filter: EventFilter, from: From) -> Result<Events, Failure> {
        loop {
            let link = self.link();
            let failure = match link.events(filter.clone(), from).await {
                Ok(events) => return Ok(events),
                Err(failure) => failure,
            };
            if !matches!(failure.code(), Some(FailureCode::NodeStopping | FailureCode::NodeEnded)) {
                return Err(failure);
            }
            self.relink(&link, failure).await?;
        }
    }

    /// Identities, contacts with their unread counts, and requests: always whole, as of the last
    /// event. Kept from the first call on; empty until they were read for the first time.
    #[must_use]
    pub fn directory(&self) -> watch::Receiver<Arc<Directory>> {
        let folded = self.0.directory.get_or_init(|| {
            let (publish, published) = watch::channel(Arc::default());
            let mut task = JoinSet::new();
            task.spawn_on(fold_directory(Arc::downgrade(&self.0), publish), &self.0.runtime);
            FoldedDirectory { published, _task: task }
        });
        folded.published.clone()
    }

    /// The node that is reached now.
    #[must_use]
    pub fn hello(&self) -> Hello {
        self.link().hello.clone()
    }

    /// Whether the node runs in this process.
    #[must_use]
    pub fn is_own_node(&self) -> bool {
        matches!(self.link().way, Way::Here(_))
    }

    /// What was read back from the archive of a node that this client started.
    #[must_use]
    pub fn archive_recovery(&self) -> Option<ArchiveRecovery> {
        match &self.link().way {
            Way::Here(node) => node.recovery().cloned(),
            Way::Socket(_) => None,
        }
    }

    /// Ends this connection, for all its clones. A node that it started stops, once the replies have
    /// left that contacts wait for, or after some seconds; other clients of it go on with another one.
    /// Dropping this future ends it at once.
    ///
    /// # Errors
    /// Why the node ended, if it failed.
    pub async fn close(self) -> Result<(), Failure> {
        self.0.is_closed.store(true, Ordering::Relaxed);
        match &self.link().way {
            Way::Here(node) => node.stop().await,
            Way::Socket(_) => Ok(()),
        }
    }

    fn link(&self) -> Arc<Link> {
        Arc::clone(&lock(&self.0.link))
    }

    /// Reaches the next node after the one of `old`, which ended because of `why`.
    async fn relink(&self, old: &Arc<Link>, why: Failure) -> Result<(), Failure> {
        let is_over =
            || matches!(self.0.to, Connect::Start(_)) || self.0.is_closed.load(Ordering::Relaxed);
        if is_over() {
            return Err(why);
        }
        let _one = self.0.relinking.lock().await;
        // Another clone was faster.
        if !Arc::ptr_eq(&self.link(), old) {
            return Ok(());
        }
        // The home is free for the next node once the old one is gone.
        if let Way::Here(node) = &old.way {
            node.stop().await?;
        }
        // It may be what stopped the node.
        if is_over() {
            return Err(why);
        }
        let Some(to) = self.0.to.after(&old.hello) else { return Err(why) };
        let link = reach(&to, &self.0.who, Duration::MAX, Preference::Attach).await?;
        *lock(&self.0.link) = Arc::new(link);
        Ok(())
    }
}

fn lock(link: &Mutex<Arc<Link>>) -> MutexGuard<'_, Arc<Link>> {
    // Nothing in here panics halfway.
    link.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    async fn call(&self, call: AnyCall) -> Result<AnyReply, Failure> {
        match &self.way {
            Way::Here(node) => node.session().call(call).await,
            Way::Socket(link) => link.call(call).await,
        }
    }

    async fn events(&self, filter: EventFilter, from: From) -> Result<Events, Failure> {
        Ok(Events(match &self.way {
            Way::Here(node) => EventsWay::Here(Box::new(node.session().events(filter, from)?)),
            Way::Socket(link) => EventsWay::Socket(link.events(filter, from).await?),
        }))
    }
}

/// Whether a node that runs is preferred for a while to one of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preference {
    /// Whichever is there.
    Either,
    /// One that runs, or is about to: it took over from the one before.
    Attach,
}

/// Reaches a node.
async fn reach(
    to: &Connect,
    who: &ClientInfo,
    limit: Duration,
    preference: Preference,
) -> Result<Link, Failure> {
    match to {
        Connect::Attach(home) => attach_within(home, who, limit, preference).await,
        Connect::Start(options) => wait_for_home(options, who, limit, None).await,
        Connect::AttachOrStart(options) => {
            wait_for_home(options, who, limit, Some(preference)).await
        }
    }
}

/// Attaches to the node that runs; if it is to be the one after another, once that is there.
async fn attach_within(
    home: &Path,
    who: &ClientInfo,
    limit: Duration,
    preference: Preference,
) -> Result<Link, Failure> {
    let begun = Instant::now();
    loop {
        let is_over = |within: Duration| begun.elapsed() >= within.min(limit);
        match attach(home, who, limit).await {
            Ok(Some(link)) => return Ok(link),
            Ok(None) if preference == Preference::Either || is_over(HOME_WITHIN) => {
                return Err(no_node());
            }
            Ok(None) => {}
            // Another client may leave in a moment.
            Err(error) if is_busy(&error) && !is_over(PLACE_WITHIN) => {}
            Err(error) => return Err(error),
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn attach(home: &Path, who: &ClientInfo, limit: Duration) -> Result<Option<Link>, Failure> {
    let found = link::connect(home, who, limit).await?;
    Ok(found.map(|(link, hello)| Link { way: Way::Socket(link), hello }))
}

/// Starts a node, or attaches to one that runs if that is asked for. A home folder that another
/// process holds is tried again for a while: that may be a command, or a node that starts.
async fn wait_for_home(
    options: &NodeOptions,
    who: &ClientInfo,
    limit: Duration,
    attaches: Option<Preference>,
) -> Result<Link, Failure> {
    let begun = Instant::now();
    let mut has_asked = false;
    loop {
        let is_over = begun.elapsed() >= HOME_WITHIN.min(limit);
        let found = match options.home() {
            Some(home) => attach(home, who, limit.saturating_sub(begun.elapsed())).await,
            None => Ok(None),
        };
        let (found, unclear) = match found {
            Ok(found) => (found, None),
            // Another client may leave in a moment.
            Err(error) if is_busy(&error) && !is_over => {
                sleep(LOOK_AGAIN).await;
                continue;
            }
            // What lies in the home is not what a node wrote: if none runs, the next one removes it.
            Err(error) if error.code() == Some(FailureCode::Socket) => (None, Some(error)),
            Err(error) => return Err(error),
        };
        if let Some(link) = found {
            if suits(&link.hello, options) {
                // Whoever asked for a node of its own does not get one soon.
                return if attaches.is_some() { Ok(link) } else { Err(StoreError::InUse.into()) };
            }
            // It runs for one command, and that command goes on with the node that takes over.
            if !has_asked {
                has_asked = true;
                let stopped = link.call(NodeStop {}.into_any()).await;
                tracing::debug!(gives_way = stopped.is_ok());
            }
            if is_over {
                return Err(StoreError::InUse.into());
            }
        } else if attaches != Some(Preference::Attach) || begun.elapsed() >= TAKEOVER_WITHIN {
            has_asked = false;
            match OwnNode::start(options, who).await {
                Err(error) if error.code() == Some(FailureCode::InUse) => {
                    if is_over {
                        return Err(unclear.unwrap_or(error));
                    }
                }
                Err(error) => return Err(error),
                Ok((node, hello)) => return Ok(Link { way: Way::Here(node), hello }),
            }
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Whether a node has no place for one more client now.
fn is_busy(failure: &Failure) -> bool {
    failure.code() == Some(FailureCode::NodeBusy)
}

/// Whether a node that runs does what the one of these options would.
fn suits(running: &Hello, options: &NodeOptions) -> bool {
    let stays = options.stay == Stay::Brief || running.stay == Stay::Long;
    stays && (running.online || options.net.is_none())
}

fn no_node() -> Failure {
    let text = FailureText {
        what: "no node was reached",
        why: "no node runs in this home folder",
        safe: "nothing was done",
        next: "start one: undertone",
    };
    Failure::new(FailureCode::NoNode, text)
}

/// Keeps the directory of a client, as long as there is one.
async fn fold_directory(client: Weak<Shared>, published: watch::Sender<Arc<Directory>>) {
    let kinds = EventFilter::of(&[
        EventKind::Identity,
        EventKind::Contact,
        EventKind::Request,
        EventKind::Message,
        EventKind::Read,
        EventKind::Network,
    ]);
    loop {
        let events = match client.upgrade() {
            Some(shared) => Client(shared).events(kinds.clone(), From::Snapshot).await,
            None => return,
        };
        // There is no node any more; the last directory stays.
        let Ok(mut events) = events else { return };
        let mut directory = Directory::default();
        let mut is_whole = false;
        loop {
            match events.next().await {
                Delivery::Event { event, .. } => {
                    // The figures are the end of the snapshot.
                    is_whole |= event.kind() == Some(EventKind::Network);
                    directory.apply(&event);
                }
                Delivery::Missed { .. } | Delivery::Ended(_) => break,
            }
            if is_whole {
                published.send_replace(Arc::new(directory.clone()));
            }
        }
    }
}

/// The time for which a home folder that another process holds is tried again: longer than a
/// command or the start of a node takes. A guess.
pub(in crate::shell) const HOME_WITHIN: Duration = Duration::from_secs(15);

/// The time for which a client without a node of its own waits for a place at a busy one. A guess.
const PLACE_WITHIN: Duration = Duration::from_secs(5);

/// The time in which the node that took over from another is looked for, before one is started.
const TAKEOVER_WITHIN: Duration = Duration::from_secs(2);

/// How often a look is repeated at the next node because one died: what it looks at may be why.
const LOOKS: u32 = 3;

/// The pause between two looks.
pub(in crate::shell) const LOOK_AGAIN: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests;
