//! Who is served when neighbours ask to catch up: only those in the flood, and of these nobody keeps
//! another out.
//!
//! libp2p reads a request before it tells anybody who asks, so places that are taken when a stream
//! opens are free for everybody who can open one: eight links outside the flood, with a byte on each
//! of their streams, were enough to leave a node's neighbours without an answer. A codec is not told
//! the neighbour either. But the handler of each connection is made within one call that names it,
//! with a clone of the behaviour's codec (`handle_established_inbound_connection`,
//! libp2p-request-response 0.30), and each stream gets a clone of that one. [`KnownExchanges`] stands
//! around these calls and says to the [`Desk`] for whom the next clone is.
//!
//! A newcomer always gets a place. If all are taken, a stream loses its own: of the range of
//! addresses, and there of the neighbour, with the most of them, the one that has not made progress
//! for longest ([`crate::engine::shares`]). A refusal is nobody's fault.

use core::future::Future;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libp2p::core::{Endpoint, transport::PortUse};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::engine::shares::{Arrival, Placing, Shares};

use super::address_range::{PATH, RangeNumbers};
use super::door::ended;
use super::request_response::{SyncBehaviour, SyncBehaviourEvent};
use super::sync_protocol::ASKS_EACH;

/// The longest that a stream waits for its neighbour to join the flood: it may overtake the notice
/// of that, which travels on another stream. It has no place meanwhile.
const ENTER: Duration = Duration::from_secs(2);

/// The longest that a request takes to arrive, once it has a place: 64 KiB at 13 KiB a second.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// The ranges in the path of a request: those of the address, then the neighbour.
const ASKER_PATH: usize = PATH + 1;

/// The places of requests that are read and answered.
pub(super) struct Desk {
    /// For whom the handler is that is being made.
    entering: Mutex<Option<Arc<Asker>>>,
    places: Mutex<DeskPlaces>,
}

struct DeskPlaces {
    shares: Shares<u64, Instant, ASKER_PATH>,
    /// By the ends of these, streams learn that they have lost their place.
    turned_out: BTreeMap<u64, oneshot::Sender<()>>,
    next: u64,
}

/// A neighbour that may ask.
pub(super) struct Asker {
    path: [u64; ASKER_PATH],
    in_flood: watch::Sender<bool>,
    requests: Arc<Semaphore>,
}

impl Asker {
    /// A neighbour by its number, at this path.
    fn new([network, street, host]: [u64; PATH], number: u64) -> Self {
        Self {
            path: [network, street, host, number],
            in_flood: watch::Sender::new(false),
            requests: Arc::new(Semaphore::new(ASKS_EACH)),
        }
    }
}

impl Desk {
    /// So many places.
    pub(super) const fn new(most: usize) -> Self {
        let places = DeskPlaces { shares: Shares::new(most), turned_out: BTreeMap::new(), next: 0 };
        Self { entering: Mutex::new(None), places: Mutex::new(places) }
    }

    /// For whom the handler is that is being made, if one is.
    pub(super) fn entering(&self) -> Option<Arc<Asker>> {
        self.entering.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn enter(&self, asker: Option<Arc<Asker>>) {
        *self.entering.lock().unwrap_or_else(PoisonError::into_inner) = asker;
    }

    /// A place for a request of this neighbour.
    ///
    /// # Errors
    /// When it is not in the flood and does not join soon, or has as many requests under way as it
    /// may.
    pub(super) async fn place(self: &Arc<Self>, asker: &Asker) -> io::Result<DeskPlace> {
        let mut in_flood = asker.in_flood.subscribe();
        let joined = timeout(ENTER, in_flood.wait_for(|joined| *joined)).await;
        joined.map_err(io::Error::other)?.map_err(io::Error::other)?;
        let permit = Arc::clone(&asker.requests).try_acquire_owned().map_err(io::Error::other)?;
        let (turned_out, lost) = oneshot::channel();
        let now = Instant::now();
        let mut places = self.places();
        let number = places.next;
        places.next += 1;
        let arrival = Arrival { guest: number, path: asker.path, now, lease: now };
        match places.shares.admit(arrival, |_| false) {
            Placing::Place => {}
            Placing::InPlaceOf(other) => drop(places.turned_out.remove(&other)),
            // Only where there are no places at all: none is kept, and no lease lasts.
            Placing::Full => return Err(io::ErrorKind::QuotaExceeded.into()),
        }
        places.turned_out.insert(number, turned_out);
        drop(places);
        Ok(DeskPlace { desk: Arc::clone(self), number, lost, _permit: permit })
    }

    fn places(&self) -> MutexGuard<'_, DeskPlaces> {
        // Each change is made by one call that cannot fail half-way.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the requests. Dropping it gives it back.
pub(super) struct DeskPlace {
    desk: Arc<Desk>,
    number: u64,
    lost: oneshot::Receiver<()>,
    _permit: OwnedSemaphorePermit,
}

impl DeskPlace {
    /// Reads a request.
    ///
    /// # Errors
    /// Those of `read`, and when its time is up or the place is lost.
    pub(super) async fn read<T>(
        &mut self,
        read: impl Future<Output = io::Result<T>> + Send,
    ) -> io::Result<T> {
        let in_time = async { timeout(READ_WITHIN, read).await.map_err(io::Error::other)? };
        self.hold(in_time).await
    }

    /// Does a part of the work, after which it has made progress.
    ///
    /// # Errors
    /// Those of `work`, and when the place is lost.
    pub(super) async fn hold<T>(
        &mut self,
        work: impl Future<Output = io::Result<T>> + Send,
    ) -> io::Result<T> {
        let done = tokio::select! {
            biased;
            _ = &mut self.lost => return Err(io::ErrorKind::ConnectionAborted.into()),
            done = work => done?,
        };
        self.desk.places().shares.touch(&self.number, Instant::now());
        Ok(done)
    }
}

impl Drop for DeskPlace {
    fn drop(&mut self) {
        let mut places = self.desk.places();
        places.shares.leave(&self.number);
        places.turned_out.remove(&self.number);
    }
}

/// libp2p's request and response, whose streams know their neighbour.
pub(super) struct KnownExchanges {
    inner: SyncBehaviour,
    desk: Arc<Desk>,
    ranges: RangeNumbers,
    /// Neighbours with a connection, each with these.
    askers: BTreeMap<PeerId, (Arc<Asker>, BTreeSet<ConnectionId>)>,
    next: u64,
}

impl KnownExchanges {
    /// Puts `inner`, whose codec asks this desk, behind it.
    pub(super) const fn new(inner: SyncBehaviour, desk: Arc<Desk>, ranges: RangeNumbers) -> Self {
        Self { inner, desk, ranges, askers: BTreeMap::new(), next: 0 }
    }

    /// The neighbour takes part in the flood.
    pub(super) fn joined(&self, peer: &PeerId) {
        if let Some((asker, _)) = self.askers.get(peer) {
            asker.in_flood.send_replace(true);
        }
    }

    /// The neighbour takes no part in the flood any more.
    pub(super) fn left(&self, peer: &PeerId) {
        if let Some((asker, _)) = self.askers.get(peer) {
            asker.in_flood.send_replace(false);
        }
    }

    /// Makes the handler of a connection for its neighbour.
    fn known<T>(
        &mut self,
        (link, peer): (ConnectionId, PeerId),
        remote: &Multiaddr,
        make: impl FnOnce(&mut SyncBehaviour) -> Result<T, ConnectionDenied>,
    ) -> Result<T, ConnectionDenied> {
        let (next, ranges) = (&mut self.next, &self.ranges);
        let (asker, links) = self.askers.entry(peer).or_insert_with(|| {
            *next += 1;
            (Arc::new(Asker::new(ranges.path(remote), *next)), BTreeSet::new())
        });
        links.insert(link);
        self.desk.enter(Some(Arc::clone(asker)));
        let made = make(&mut self.inner);
        self.desk.enter(None);
        made
    }

    fn forget(&mut self, link: ConnectionId) {
        self.askers.retain(|_, (_, links)| {
            links.remove(&link);
            !links.is_empty()
        });
    }
}

impl core::ops::Deref for KnownExchanges {
    type Target = SyncBehaviour;

    fn deref(&self) -> &SyncBehaviour {
        &self.inner
    }
}

impl core::ops::DerefMut for KnownExchanges {
    fn deref_mut(&mut self) -> &mut SyncBehaviour {
        &mut self.inner
    }
}

impl NetworkBehaviour for KnownExchanges {
    type ConnectionHandler = THandler<SyncBehaviour>;
    type ToSwarm = SyncBehaviourEvent;

    fn handle_pending_inbound_connection(
        &mut self,
        link: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(link, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        link: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.known((link, peer), remote, |inner| {
            inner.handle_established_inbound_connection(link, peer, local, remote)
        })
    }

    fn handle_pending_outbound_connection(
        &mut self,
        link: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(link, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        link: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.known((link, peer), address, |inner| {
            inner.handle_established_outbound_connection(link, peer, address, role, port)
        })
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let Some(link) = ended(&event) {
            self.forget(link);
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        link: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.inner.on_connection_handler_event(peer, link, event);
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ToSwarm<SyncBehaviourEvent, THandlerInEvent<Self>>> {
        self.inner.poll(context)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// A neighbour in the flood, alone at its address.
    pub(in crate::shell::net) fn asker(number: u64) -> Arc<Asker> {
        let asker = Asker::new([number; PATH], number);
        asker.in_flood.send_replace(true);
        Arc::new(asker)
    }

    fn placed(desk: &Arc<Desk>, asker: &Asker) -> Option<DeskPlace> {
        desk.place(asker).now_or_never().and_then(Result::ok)
    }

    fn has_place(place: &mut DeskPlace) -> bool {
        place.hold(async { Ok(()) }).now_or_never().is_some_and(|held| held.is_ok())
    }

    #[tokio::test]
    async fn a_stream_outside_the_flood_takes_no_place_and_one_that_joins_gets_one() {
        let desk = Arc::new(Desk::new(1));
        let outside = Asker::new([1; PATH], 1);
        let mut waiting = Box::pin(desk.place(&outside));
        assert!(waiting.as_mut().now_or_never().is_none());
        let inside = asker(2);
        let mut place = placed(&desk, &inside).expect("a place");
        assert!(has_place(&mut place) && waiting.as_mut().now_or_never().is_none());
        drop(place);
        outside.in_flood.send_replace(true);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test]
    async fn each_neighbour_has_as_many_requests_under_way_as_it_may() {
        let desk = Arc::new(Desk::new(10));
        let asker = asker(1);
        let mut places: Vec<_> = (0..ASKS_EACH + 1).map(|_| placed(&desk, &asker)).collect();
        assert!(places.pop().expect("the last").is_none() && places.iter().all(Option::is_some));
        places.pop();
        assert!(placed(&desk, &asker).is_some());
    }

    #[tokio::test]
    async fn the_neighbour_with_most_streams_gives_way_and_then_whoever_made_no_progress() {
        let desk = Arc::new(Desk::new(3));
        let (hog, other, newcomer) = (asker(1), asker(2), asker(3));
        let mut hogs = [placed(&desk, &hog), placed(&desk, &hog)].map(|place| place.expect("one"));
        let mut others = placed(&desk, &other).expect("a place");
        let mut new = placed(&desk, &newcomer).expect("a place");
        assert_eq!(hogs.each_mut().map(has_place), [false, true]);
        assert!(has_place(&mut others));
        // Of equals the one whose last progress is longest ago: the newcomer has made none.
        let _last = placed(&desk, &asker(4)).expect("a place");
        assert!(!has_place(&mut new) && has_place(&mut hogs[1]) && has_place(&mut others));
        drop((hogs, others, new));
        assert_eq!(desk.places().shares.len(), 1);
        assert_eq!(desk.places().turned_out.len(), 1);
    }
}
