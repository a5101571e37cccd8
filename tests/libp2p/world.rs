//! Several nodes driven by one task, and a peer that may do what no node of ours would.

use core::future::Future;
use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt as _;
use futures::future::{Either, select, select_all};
use libp2p::core::{transport::MemoryTransport, upgrade::Version};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Swarm, Transport as _, gossipsub, identify, identity, noise, ping, swarm, yamux};
use sha3::{Digest as _, Keccak256};
use undertone::engine::envelope::{Acceptance, EnvelopeId};
use undertone::shell::net::{Carrier, Multiaddr, Net, NetEvent, NetSettings, Pace};

/// No wait is longer. Far above what any takes on a machine with many other things to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The floor in every test but one.
pub(crate) const FLOOR: u8 = 20;

/// The topic that goes with [`settings`].
pub(crate) const TOPIC: &str = "/undertone/1/test/20";

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
    settings.carrier = Carrier::Memory;
    settings.pace = Pace {
        tick: Duration::from_millis(20),
        join: Duration::from_secs(20),
        beat: Duration::from_millis(100),
        silence: Duration::from_secs(2),
        first_retry: Duration::from_millis(20),
        longest_retry: Duration::from_millis(200),
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

/// The id of an envelope.
pub(crate) fn id(bytes: &[u8]) -> EnvelopeId {
    EnvelopeId(Keccak256::digest(bytes).into())
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

/// Accepts an envelope, if that is what the event is; returns its bytes.
pub(crate) fn accept(net: &mut Net, event: NetEvent) -> Option<Vec<u8>> {
    judge(net, event, Acceptance::Accept)
}

/// Judges an envelope, if that is what the event is; returns its bytes.
pub(crate) fn judge(net: &mut Net, event: NetEvent, acceptance: Acceptance) -> Option<Vec<u8>> {
    let NetEvent::Gossip { from, id, bytes } = event else { return None };
    net.judge(from, id, acceptance);
    Some(bytes)
}

/// What a [`Rogue`] speaks: the same protocols as a node, with settings of its own.
#[derive(NetworkBehaviour)]
pub(crate) struct Rogueries {
    pub(crate) gossip: gossipsub::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// A peer made of bare libp2p.
pub(crate) struct Rogue {
    pub(crate) swarm: Swarm<Rogueries>,
}

/// What sets a [`Rogue`] apart.
pub(crate) enum Kind {
    /// Writes frames far above what nodes read.
    Verbose,
    /// Signs what it publishes.
    Signing,
}

impl Rogue {
    pub(crate) fn new(kind: Kind, place: &Multiaddr) -> Self {
        let key = identity::Keypair::generate_ed25519();
        let transport = MemoryTransport::default()
            .upgrade(Version::V1)
            .authenticate(noise::Config::new(&key).expect("noise"))
            .multiplex(yamux::Config::default())
            .boxed();
        let (signing, validation) = match kind {
            Kind::Verbose => {
                (gossipsub::MessageAuthenticity::Anonymous, gossipsub::ValidationMode::Anonymous)
            }
            Kind::Signing => (
                gossipsub::MessageAuthenticity::Signed(key.clone()),
                gossipsub::ValidationMode::None,
            ),
        };
        let config = gossipsub::ConfigBuilder::default()
            .validation_mode(validation)
            .message_id_fn(|message| {
                gossipsub::MessageId::new(Keccak256::digest(&message.data).as_slice())
            })
            .max_transmit_size(8 << 20)
            .build()
            .expect("a configuration");
        let mut gossip = gossipsub::Behaviour::new(signing, config).expect("gossipsub");
        gossip.subscribe(&gossipsub::IdentTopic::new(TOPIC)).expect("a subscription");
        let card = identify::Config::new("rogue".to_owned(), key.public());
        let behaviour = Rogueries {
            gossip,
            identify: identify::Behaviour::new(card),
            ping: ping::Behaviour::default(),
        };
        let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(DEADLINE);
        let mut swarm = Swarm::new(transport, behaviour, key.public().to_peer_id(), config);
        swarm.listen_on(place.clone()).expect("a place to listen");
        Self { swarm }
    }

    /// Publishes; whether anybody was there to take it.
    pub(crate) fn publish(&mut self, bytes: &[u8]) -> bool {
        let topic = gossipsub::IdentTopic::new(TOPIC);
        self.swarm.behaviour_mut().gossip.publish(topic, bytes).is_ok()
    }

    /// Gives a sign of life, as nodes do.
    pub(crate) fn beat(&mut self) {
        let topic = gossipsub::IdentTopic::new(format!("{TOPIC}/beat"));
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.subscribe(&topic).expect("a subscription") {
            gossip.unsubscribe(&topic);
        }
    }
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
    in_time(what, async {
        loop {
            let event = {
                let ours = Box::pin(net.next());
                match select(ours, rogue.swarm.next()).await {
                    Either::Left((event, _)) => Turn::Net(event),
                    Either::Right((event, _)) => Turn::Rogue(event.expect("a swarm never ends")),
                }
            };
            if let Some(value) = done(event, net, rogue) {
                return value;
            }
        }
    })
    .await
}
