//! Half-open links: the time and the places that they have.
//!
//! A connection that says nothing costs its opener nothing, so none may keep another out. libp2p
//! lets a behaviour refuse the newcomer alone and abort no connection that is still being set up
//! (`Pool::disconnect`, libp2p-swarm 0.48). So the places are counted in the transport, which owns
//! what sets a link up: a newcomer always gets a place, and if all are taken the half-open link that
//! has waited longest, at the address with the most of them, is dropped for it.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::{Multiaddr, PeerId, Transport, core::muxing::StreamMuxerBox};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::engine::shares::{Arrival, Placing, Shares};

use super::LinkKind;
use super::allowance::Allowance;
use crate::shell::net::address_range::{PATH, RangeNumbers};
use crate::shell::net::settings::{NetLimits, NetTiming};
use crate::shell::net::transport::BoxedTransport;

/// A transport whose half-open links have a bounded number of places and a bounded time.
pub(in crate::shell::net) struct DoorTransport {
    inner: BoxedTransport,
    gate: Arc<Gate>,
    handshake_in: Duration,
    handshake_out: Duration,
}

/// A link that is set up: the transport key at its other end, and its streams.
type Link = (PeerId, StreamMuxerBox);

type Upgrade = Pin<Box<dyn Future<Output = io::Result<Link>> + Send>>;

impl DoorTransport {
    /// Puts a door before `inner`.
    pub(in crate::shell::net) fn new(
        inner: BoxedTransport,
        ranges: RangeNumbers,
        limits: &NetLimits,
        pace: &NetTiming,
    ) -> Self {
        let rooms = LinkKind::ALL.map(|kind| (kind, Shares::new(limits.waiting)));
        let waiting = Mutex::new(WaitingRoom {
            rooms: BTreeMap::from(rooms),
            turned_out: BTreeMap::new(),
            next: 0,
        });
        Self {
            inner,
            gate: Arc::new(Gate { ranges, waiting }),
            handshake_in: pace.handshake_in,
            handshake_out: pace.handshake_out,
        }
    }
}

impl Transport for DoorTransport {
    type Output = Link;
    type Error = io::Error;
    type ListenerUpgrade = HalfOpen;
    type Dial = Upgrade;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Upgrade, TransportError<io::Error>> {
        let dial = self.inner.dial(address, options)?;
        let late = |_| Err(io::ErrorKind::TimedOut.into());
        Ok(Box::pin(timeout(self.handshake_out, dial).map(move |done| done.unwrap_or_else(late))))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<HalfOpen, io::Error>> {
        Pin::new(&mut self.inner).poll(context).map(|event| match event {
            TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr } => {
                let kind = LinkKind::of(&local_addr);
                let upgrade = self.gate.enter(kind, &send_back_addr, upgrade, self.handshake_in);
                TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr }
            }
            TransportEvent::NewAddress { listener_id, listen_addr } => {
                TransportEvent::NewAddress { listener_id, listen_addr }
            }
            TransportEvent::AddressExpired { listener_id, listen_addr } => {
                TransportEvent::AddressExpired { listener_id, listen_addr }
            }
            TransportEvent::ListenerClosed { listener_id, reason } => {
                TransportEvent::ListenerClosed { listener_id, reason }
            }
            TransportEvent::ListenerError { listener_id, error } => {
                TransportEvent::ListenerError { listener_id, error }
            }
        })
    }
}

/// The half-open links of one node.
struct Gate {
    ranges: RangeNumbers,
    waiting: Mutex<WaitingRoom>,
}

struct WaitingRoom {
    rooms: BTreeMap<LinkKind, Shares<u64, Instant, PATH>>,
    /// By the ends of these, links learn that they have lost their place.
    turned_out: BTreeMap<u64, oneshot::Sender<()>>,
    next: u64,
}

impl Gate {
    /// Gives a newcomer a place, in place of another if all are taken.
    fn enter(
        self: &Arc<Self>,
        kind: LinkKind,
        remote: &Multiaddr,
        upgrade: Upgrade,
        time: Duration,
    ) -> HalfOpen {
        let now = Instant::now();
        let (turned_out, lost) = oneshot::channel();
        let mut waiting = self.room();
        let number = waiting.next;
        waiting.next += 1;
        // Without a lease: the newest is always let in, or whoever is quickest would keep the rest
        // out.
        let path = self.ranges.path(remote);
        let arrival = Arrival { guest: number, path, now, lease: now };
        let admission = waiting.rooms.get_mut(&kind).map(|room| room.admit(arrival, |_| false));
        waiting.turned_out.insert(number, turned_out);
        if let Some(Placing::InPlaceOf(other)) = admission {
            waiting.turned_out.remove(&other);
        }
        drop(waiting);
        let place = Some(WaitingPlace { gate: Arc::clone(self), kind, number });
        let (late, allowance) = (Box::pin(sleep(time)), Allowance::default());
        HalfOpen { upgrade, allowance, lost, late, place }
    }

    fn room(&self) -> MutexGuard<'_, WaitingRoom> {
        // Each change is made by one call that cannot fail half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the half-open links. Dropping it gives it back.
struct WaitingPlace {
    gate: Arc<Gate>,
    kind: LinkKind,
    number: u64,
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let mut waiting = self.gate.room();
        if let Some(room) = waiting.rooms.get_mut(&self.kind) {
            room.leave(&self.number);
        }
        waiting.turned_out.remove(&self.number);
    }
}

/// A link that is being set up: it ends when it stands, when its time is up, or when it has lost its
/// place. What ends unfinished closes its socket.
pub(in crate::shell::net) struct HalfOpen {
    upgrade: Upgrade,
    allowance: Allowance,
    lost: oneshot::Receiver<()>,
    late: Pin<Box<Sleep>>,
    /// Given back as soon as it stands: the swarm may keep this a while longer.
    place: Option<WaitingPlace>,
}

impl Future for HalfOpen {
    type Output = io::Result<Link>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<Link>> {
        // Before what sets it up: a peer that always has more to say would use up what Tokio lets one
        // task do at a time, and neither of these would ever be seen to be due.
        let ended = if self.lost.poll_unpin(context).is_ready() {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else if self.late.as_mut().poll(context).is_ready() {
            Err(io::ErrorKind::TimedOut.into())
        } else {
            let Self { upgrade, allowance, .. } = &mut *self;
            let Poll::Ready(done) = allowance.bounds(|| upgrade.as_mut().poll(context)) else {
                return Poll::Pending;
            };
            done
        };
        self.place = None;
        Poll::Ready(ended)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::pending;

    use super::*;

    const EVER: Duration = Duration::from_secs(3_600);

    fn gate(most: usize) -> Arc<Gate> {
        let rooms = LinkKind::ALL.map(|kind| (kind, Shares::new(most)));
        let waiting =
            WaitingRoom { rooms: BTreeMap::from(rooms), turned_out: BTreeMap::new(), next: 0 };
        Arc::new(Gate { ranges: RangeNumbers::new(), waiting: Mutex::new(waiting) })
    }

    fn silent(gate: &Arc<Gate>, kind: LinkKind, remote: &str) -> HalfOpen {
        gate.enter(kind, &remote.parse().expect("an address"), Box::pin(pending()), EVER)
    }

    fn is_open(link: &mut HalfOpen) -> bool {
        // Tokio lets one task do only so much at a time, and here are many links in one.
        tokio::task::unconstrained(link).now_or_never().is_none()
    }

    fn taken(gate: &Gate) -> usize {
        let room = gate.room();
        let places: usize = room.rooms.values().map(Shares::len).sum();
        assert_eq!(places, room.turned_out.len());
        places
    }

    #[tokio::test]
    async fn the_longest_silent_link_of_the_heaviest_address_gives_way_to_each_newcomer() {
        let gate = gate(64);
        let attacker = "/ip4/198.51.100.7/tcp/1";
        let mut honest = silent(&gate, LinkKind::Stream, "/ip4/203.0.113.9/tcp/1");
        let mut crowd: Vec<_> =
            (0..640).map(|_| silent(&gate, LinkKind::Stream, attacker)).collect();
        assert!(is_open(&mut honest));
        let open: Vec<_> = crowd.iter_mut().map(is_open).collect();
        assert!(open[..577].iter().all(|open| !open) && open[577..].iter().all(|open| *open));
        assert_eq!(taken(&gate), 64);
        let mut same = silent(&gate, LinkKind::Stream, attacker);
        assert!(is_open(&mut same) && !is_open(&mut crowd[577]) && is_open(&mut honest));
        drop((crowd, same, honest));
        assert_eq!(taken(&gate), 0);
    }

    #[tokio::test]
    async fn each_kind_of_link_has_places_of_its_own() {
        let gate = gate(2);
        let mut tcp = silent(&gate, LinkKind::Stream, "/ip4/198.51.100.7/tcp/1");
        let quic: Vec<_> = (0..100)
            .map(|port| format!("/ip4/198.51.100.7/udp/{port}/quic-v1"))
            .map(|remote| silent(&gate, LinkKind::Quic, &remote))
            .collect();
        assert!(is_open(&mut tcp));
        assert_eq!(taken(&gate), 3);
        drop(quic);
    }

    #[tokio::test]
    async fn a_link_that_always_has_more_to_say_ends_when_its_time_is_up() {
        let gate = gate(2);
        let (nowhere, time) = (Multiaddr::empty(), Duration::from_millis(1));
        // Uses up all that Tokio lets a task do, each time.
        let babbling = core::future::poll_fn(|context| {
            while Box::pin(tokio::task::consume_budget()).as_mut().poll(context).is_ready() {}
            context.waker().wake_by_ref();
            Poll::Pending
        });
        let link = gate.enter(LinkKind::Stream, &nowhere, Box::pin(babbling), time);
        let error = link.await.expect_err("no link");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_silent_link_ends_when_its_time_is_up() {
        let gate = gate(2);
        let (nowhere, time) = (Multiaddr::empty(), Duration::from_millis(1));
        let link = gate.enter(LinkKind::Stream, &nowhere, Box::pin(pending()), time);
        let error = link.await.expect_err("no link");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(taken(&gate), 0);
    }
}
