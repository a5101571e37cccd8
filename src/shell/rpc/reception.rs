//! Who has a place at the socket. Nobody has one for good because he came first.
//!
//! A connection that says nothing gives way to a newer one, the one that is silent for longest
//! first. A client that was let in keeps its place while it waits for an answer or follows a stream,
//! and for some seconds after; then it gives way, too, if all places are taken. So does one that reads
//! nothing, whatever it waits for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::frames::{Introduction, Line, other_version, read_line, too_long};
use crate::engine::secret::opaque_debug;
use crate::engine::shares::{Arrival, Placing, Shares};
use crate::shell::api::{API_VERSION, Limits, Scope};
use crate::shell::failure::{Failure, FailureCode, FailureText};

/// Connections that have not said who they are.
pub(super) struct Callers {
    places: Shares<u64, Instant, 0>,
    next: u64,
    tasks: JoinSet<(u64, Option<Met>)>,
    handles: BTreeMap<u64, AbortHandle>,
}

opaque_debug!(struct Callers { places, next, tasks, handles });

/// A connection whose first line was read.
pub(super) struct Met {
    pub(super) reader: BufReader<OwnedReadHalf>,
    pub(super) writer: OwnedWriteHalf,
    /// What the client may do, or why it is not let in.
    pub(super) said: Result<Scope, Failure>,
}

impl Default for Callers {
    fn default() -> Self {
        let (places, tasks) = (Shares::new(MAX_CALLERS), JoinSet::new());
        Self { places, next: 0, tasks, handles: BTreeMap::new() }
    }
}

impl Callers {
    /// Waits for the first line of a connection, to a node of this version.
    pub(super) fn take(&mut self, stream: UnixStream, version: String) {
        let (guest, now) = (self.next, Instant::now());
        self.next += 1;
        match self.places.admit(Arrival { guest, path: [], now, lease: now }, |_| false) {
            Placing::Place | Placing::Full => {}
            Placing::InPlaceOf(silent) => {
                if let Some(handle) = self.handles.remove(&silent) {
                    handle.abort();
                }
            }
        }
        let task = async move {
            let met = timeout(HELLO_WITHIN, meet(stream, &version)).await;
            (guest, met.ok().flatten())
        };
        self.handles.insert(guest, self.tasks.spawn(task));
    }

    /// Waits until one has said something: what that was. None if it is gone, or if there is nobody.
    pub(super) async fn met(&mut self) -> Option<Met> {
        // One that gave way has no place any more.
        let (guest, met) = self.tasks.join_next().await?.ok()?;
        self.places.leave(&guest);
        self.handles.remove(&guest);
        met
    }

    /// Whether there is nobody to wait for.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

/// Reads the first line of a client. None for one that says nothing, or is gone.
async fn meet(stream: UnixStream, version: &str) -> Option<Met> {
    let (reader, writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    let said = match read_line(&mut reader, &mut line).await {
        Ok(Line::Whole) => introduced(&line, version),
        Ok(Line::TooLong) => Err(too_long("the client was not let in")),
        Ok(Line::End) | Err(_) => return None,
    };
    Some(Met { reader, writer, said })
}

fn introduced(line: &[u8], version: &str) -> Result<Scope, Failure> {
    let said: Introduction =
        serde_json::from_slice(line).map_err(|error| no_introduction(&error.to_string()))?;
    let [major, _] = said.undertone.api;
    if major != API_VERSION[0] {
        return Err(other_version(version, &said.undertone.client));
    }
    Ok(said.undertone.scope)
}

/// The clients that were let in.
pub(super) struct Guests {
    places: Shares<u64, Instant, 0>,
    next: u64,
    inside: BTreeMap<u64, Arc<Usage>>,
}

opaque_debug!(struct Guests { places, next, inside });

impl Default for Guests {
    fn default() -> Self {
        let places = Shares::new(Limits::OURS.connections);
        Self { places, next: 0, inside: BTreeMap::new() }
    }
}

impl Guests {
    /// A place for a client that comes now; none if all others are busy.
    pub(super) fn admit(&mut self, now: Instant) -> Option<Arc<Usage>> {
        let Self { places, next, inside } = self;
        inside.retain(|guest, usage| {
            let is_here = Arc::strong_count(usage) > 1;
            if is_here {
                places.touch(guest, usage.last());
            } else {
                places.leave(guest);
            }
            is_here
        });
        let kept = |guest: &u64| inside.get(guest).is_some_and(|usage| usage.is_kept(now));
        let guest = *next;
        match places.admit(Arrival { guest, path: [], now, lease: now }, kept) {
            Placing::Full => return None,
            Placing::Place => {}
            Placing::InPlaceOf(idle) => {
                if let Some(idle) = inside.remove(&idle) {
                    idle.tenancy.send_replace(Tenancy::GivesWay);
                }
            }
        }
        *next += 1;
        let usage = Arc::new(Usage::new(now));
        inside.insert(guest, Arc::clone(&usage));
        Some(usage)
    }
}

/// How a connection is used. Whatever it waits for or follows holds this, too: so it is seen to be
/// busy, and when the last holder is gone the place is free.
pub(super) struct Usage {
    last: Mutex<Instant>,
    /// Whether it takes nothing of what is written to it.
    is_deaf: AtomicBool,
    tenancy: watch::Sender<Tenancy>,
}

opaque_debug!(struct Usage { last, is_deaf, tenancy });

/// Whether a client keeps its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tenancy {
    /// It does.
    Stays,
    /// Another one has it.
    GivesWay,
}

impl Usage {
    fn new(now: Instant) -> Self {
        let (last, tenancy) = (Mutex::new(now), watch::Sender::new(Tenancy::Stays));
        Self { last, is_deaf: AtomicBool::new(false), tenancy }
    }

    /// The client has taken nothing for a while: until it does it is not busy, whatever it waits for.
    pub(super) fn stall(&self) {
        self.is_deaf.store(true, Ordering::Relaxed);
    }

    /// The client takes what is written to it again.
    pub(super) fn go_on(&self) {
        self.is_deaf.store(false, Ordering::Relaxed);
    }

    /// The client asked for something just now, or was answered.
    pub(super) fn touch(&self) {
        // Nothing panics while it holds this.
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// By which the end of its tenancy is heard.
    pub(super) fn tenancy(&self) -> watch::Receiver<Tenancy> {
        self.tenancy.subscribe()
    }

    fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_kept(self: &Arc<Self>, now: Instant) -> bool {
        if self.is_deaf.load(Ordering::Relaxed) {
            return false;
        }
        // The list of guests holds it, and the connection itself.
        Arc::strong_count(self) > 2 || now.saturating_duration_since(self.last()) < IDLE_FOR
    }
}

/// What a client hears that gives way.
pub(super) fn gave_way() -> Failure {
    let text = FailureText {
        what: "the connection was closed",
        why: "it asked for nothing for a while, and another client needed its place",
        safe: "everything accepted before is saved",
        next: "connect again",
    };
    Failure::new(FailureCode::NodeBusy, text)
}

/// The first line was none of a client.
fn no_introduction(why: &str) -> Failure {
    let text = FailureText {
        what: "the client was not let in",
        why: &format!("the first line: {why}"),
        safe: "nothing was done",
        next: r#"begin with {"undertone":{"api":[1,0],"client":"NAME"}}"#,
    };
    Failure::new(FailureCode::BadRequest, text)
}

/// Connections that have not said who they are. A guess: a client says so in its first millisecond,
/// and is beside many then only if somebody makes connections for nothing.
const MAX_CALLERS: usize = 128;

/// The time in which a client must have said who it is. A guess.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// A client that asks for nothing and follows nothing for so long may give way. A guess: commands ask
/// at once, and end with the answer.
const IDLE_FOR: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn the_oldest_that_say_nothing_are_closed_as_soon_as_others_come() {
        let (mut callers, mut clients) = (Callers::default(), Vec::new());
        for _ in 0..3 * MAX_CALLERS {
            let (client, node) = UnixStream::pair().unwrap();
            callers.take(node, "1.2.3".to_owned());
            clients.push(client);
        }
        // A task that was ended has its turn for that.
        for _ in 0..3 * MAX_CALLERS {
            tokio::task::yield_now().await;
        }
        let ended = core::iter::from_fn(|| callers.tasks.try_join_next()).count();
        assert_eq!((ended, callers.tasks.len()), (2 * MAX_CALLERS, MAX_CALLERS));
        // With its task the node's end of a connection is gone.
        let mut said = Vec::new();
        assert_eq!(clients[0].read_to_end(&mut said).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn one_that_does_not_say_who_it_is_is_closed_before_long() {
        let (mut callers, (mut client, node)) = (Callers::default(), UnixStream::pair().unwrap());
        callers.take(node, "1.2.3".to_owned());
        let met = timeout(2 * HELLO_WITHIN, callers.met()).await;
        assert!(met.is_ok_and(|met| met.is_none()) && callers.is_empty());
        assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }

    #[test]
    fn who_reads_nothing_gives_way_although_it_waits_for_more_and_keeps_its_place_if_it_reads_again()
     {
        let (mut guests, began) = (Guests::default(), Instant::now());
        let inside: Vec<Arc<Usage>> =
            (0..Limits::OURS.connections).map(|_| guests.admit(began).unwrap()).collect();
        let busy: Vec<Arc<Usage>> = inside.iter().map(Arc::clone).collect();
        let gave_way = |usage: &Arc<Usage>| *usage.tenancy().borrow() == Tenancy::GivesWay;
        assert!(guests.admit(began).is_none());
        inside[3].stall();
        inside[3].go_on();
        assert!(guests.admit(began).is_none());
        inside[4].stall();
        assert!(guests.admit(began).is_some());
        assert_eq!(busy.iter().filter(|usage| gave_way(usage)).count(), 1);
        assert!(gave_way(&inside[4]));
    }

    #[test]
    fn who_asks_for_nothing_gives_way_and_who_waits_or_follows_does_not() {
        let mut guests = Guests::default();
        assert_eq!(format!("{guests:?} {:?}", Callers::default()), "Guests Callers");
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut inside: Vec<Arc<Usage>> =
            (0..Limits::OURS.connections).map(|_| guests.admit(began).unwrap()).collect();
        assert!(guests.admit(at(9)).is_none(), "nobody is idle for long enough");
        let busy = Arc::clone(&inside[0]);
        let newest = guests.admit(at(20)).unwrap();
        assert_eq!(format!("{newest:?}"), "Usage");
        let gave_way = |usage: &Arc<Usage>| *usage.tenancy().borrow() == Tenancy::GivesWay;
        assert!(!gave_way(&inside[0]) && gave_way(&inside[1]), "the first that is not busy");
        assert_eq!(inside.iter().filter(|usage| gave_way(usage)).count(), 1);
        drop(busy);
        assert!(!gave_way(&newest));
        drop(guests.admit(at(21)));
        assert!(gave_way(&inside[0]));
        // A place of one that left is free, and nobody has to go for it.
        inside.pop();
        let before = inside.iter().filter(|usage| gave_way(usage)).count();
        assert!(guests.admit(at(22)).is_some());
        assert_eq!(inside.iter().filter(|usage| gave_way(usage)).count(), before);
    }
}
