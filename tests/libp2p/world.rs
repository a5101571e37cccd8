//! Several nodes driven by one task, with a rogue among them where a test wants one.

use core::future::Future;
use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering};
use undertone::engine::node::input::Input;

use futures::StreamExt as _;
use futures::future::{Either, select, select_all};
use libp2p::swarm::SwarmEvent;
use undertone::engine::env::UnixSeconds;
use undertone::engine::envelope::{
    Acceptance, Draft, Envelope, EnvelopeId, Floor, Lifetime, Topic,
};
use undertone::shell::net::{Multiaddr, Net, NetEvent, NetSettings, NetTiming, Transport};

use crate::rogue::{Kind, Rogue, RogueriesEvent, subscribed};

/// No wait is longer. Far above what any takes on a machine with many other things to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The floor where no engine checks: an envelope of a day needs no work at all.
pub(crate) const FLOOR: u8 = 0;

/// The topic that goes with [`settings`].
pub(crate) const TOPIC: &str = "/undertone/2/test/0";

/// When the envelopes here are made, and the time it is.
pub(crate) const MADE: UnixSeconds = UnixSeconds(1_700_000_000);

/// A memory address nobody else in this process has.
pub(crate) fn place() -> Multiaddr {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("/memory/{number}").parse().expect("an address")
}

/// Settings over memory links with everything that waits shortened.
pub(crate) fn settings() -> NetSettings {
    let network = "test".parse().expect("a name");
    let mut settings = NetSettings::new(network, FLOOR);
    settings.transport = Transport::Memory;
    settings.pace = NetTiming {
        tick: Duration::from_millis(20),
        handshake_in: DEADLINE,
        handshake_out: DEADLINE,
        lease: DEADLINE,
        join: Duration::from_secs(20),
        greeting: Duration::from_millis(100),
        heartbeat: Duration::from_millis(100),
        silence: Duration::from_secs(2),
        // For as long as a test waits at all.
        exchange: DEADLINE,
        stall: Duration::from_secs(2),
        pause: Duration::from_secs(1),
        farewell: Duration::from_millis(100),
        stood: Duration::ZERO,
        first_retry: Duration::from_millis(20),
        longest_retry: Duration::from_millis(200),
        wall: || MADE,
    };
    settings
}

/// A node that listens at `place` and keeps `peers`.
pub(crate) fn node(place: &Multiaddr, peers: &[&Multiaddr]) -> Net {
    let mut settings = settings();
    settings.listen = vec![place.clone()];
    settings.peers = peers.iter().map(|&peer| peer.clone()).collect();
    Net::new(settings).expect("a node")
}

/// The envelope with this content that every node here lets through.
pub(crate) fn envelope(content: &[u8]) -> Vec<u8> {
    let draft = Draft::new(MADE, Lifetime::Day, Topic([0; 4]), content.to_vec()).expect("a draft");
    draft.mine(&Floor::new(FLOOR), 0).expect("a nonce").1
}

/// The content of an envelope.
pub(crate) fn content(bytes: &[u8]) -> Vec<u8> {
    Envelope::decode(bytes).expect("an envelope").data.to_vec()
}

/// The id of the envelope with this content.
pub(crate) fn id(content: &[u8]) -> EnvelopeId {
    EnvelopeId::of(&envelope(content)).expect("an envelope")
}

/// Fails when `wait` takes longer than [`DEADLINE`].
pub(crate) async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for: {what}"),
    }
}

/// Drives all nodes until `done` says so of an event; it is told which node and what happened.
pub(crate) async fn drive<T>(
    nets: &mut [Net],
    what: &str,
    mut done: impl FnMut(usize, NetEvent, &mut Net) -> Option<T>,
) -> T {
    in_time(what, async {
        loop {
            let (event, index, _) =
                select_all(nets.iter_mut().map(|net| Box::pin(net.next()))).await;
            if let Some(value) = done(index, event, &mut nets[index]) {
                return value;
            }
        }
    })
    .await
}

/// Drives all nodes until each has as many neighbours in the flood as `wanted` says.
pub(crate) async fn meet(nets: &mut [Net], wanted: &[usize]) {
    let enough = |nets: &[Net]| nets.iter().zip(wanted).all(|(net, &count)| net.peers() >= count);
    in_time("all to meet", async {
        while !enough(nets) {
            select_all(nets.iter_mut().map(|net| Box::pin(net.next()))).await;
        }
    })
    .await;
}

/// Accepts an envelope, if that is what the event is; returns its content.
pub(crate) fn accept(net: &mut Net, event: NetEvent) -> Option<Vec<u8>> {
    report_validation(net, event, Acceptance::Accept)
}

/// Judges an envelope, if that is what the event is; returns its content.
pub(crate) fn report_validation(
    net: &mut Net,
    event: NetEvent,
    acceptance: Acceptance,
) -> Option<Vec<u8>> {
    let NetEvent::Engine(Input::Gossip { from, id, bytes }) = event else { return None };
    net.report_validation(from, id, acceptance);
    Some(content(&bytes))
}

/// What happened to either of the two that [`drive_with`] drives.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum Turn {
    Net(NetEvent),
    Rogue(SwarmEvent<RogueriesEvent>),
}

/// Drives a node and a rogue until `done` says so.
pub(crate) async fn drive_with<T>(
    (net, rogue): (&mut Net, &mut Rogue),
    what: &str,
    mut done: impl FnMut(Turn, &mut Net, &mut Rogue) -> Option<T>,
) -> T {
    let nets = core::slice::from_mut(net);
    drive_among((nets, rogue), what, |_, turn, nets, rogue| done(turn, &mut nets[0], rogue)).await
}

/// Drives several nodes and a rogue until `done` says so; it is told which node something happened
/// to.
pub(crate) async fn drive_among<T>(
    (nets, rogue): (&mut [Net], &mut Rogue),
    what: &str,
    mut done: impl FnMut(usize, Turn, &mut [Net], &mut Rogue) -> Option<T>,
) -> T {
    in_time(what, async {
        loop {
            let all = nets.len();
            let (index, turn) = {
                let ours = select_all(nets.iter_mut().map(|net| Box::pin(net.next())));
                match select(ours, rogue.swarm.next()).await {
                    Either::Left(((event, index, _), _)) => (index, Turn::Net(event)),
                    Either::Right((event, _)) => {
                        (all, Turn::Rogue(event.expect("a swarm never ends")))
                    }
                }
            };
            if let Some(value) = done(index, turn, nets, rogue) {
                return value;
            }
        }
    })
    .await
}

/// A node that keeps a rogue, once the two are neighbours.
pub(crate) async fn with_rogue(kind: Kind, mut settings: NetSettings) -> (Net, Rogue) {
    let there = place();
    let mut rogue = Rogue::new(kind, &there);
    settings.listen = vec![place()];
    settings.peers = vec![there];
    let mut net = Net::new(settings).expect("a node");
    let mut neighbours = [false; 2];
    drive_with((&mut net, &mut rogue), "the two to meet", |event, _, _| {
        match event {
            Turn::Net(NetEvent::Engine(Input::Peers(peers))) if peers.len() == 1 => {
                neighbours[0] = true
            }
            Turn::Rogue(event) if subscribed(&event).is_some() => neighbours[1] = true,
            _ => {}
        }
        neighbours.iter().all(|&met| met).then_some(())
    })
    .await;
    (net, rogue)
}
