//! A peer made of bare libp2p, that may do what no node of ours would.

use core::future::pending;
use core::time::Duration;
use std::io;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::core::{transport::MemoryTransport, upgrade::Version};
use libp2p::request_response::{self, Codec, ProtocolSupport};
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{StreamProtocol, Swarm, Transport as _};
use libp2p::{gossipsub, identify, identity, noise, ping, swarm, yamux};
use sha3::{Digest as _, Keccak256};
use undertone::shell::net::Multiaddr;

use crate::world::{DEADLINE, TOPIC};

/// What a [`Rogue`] speaks: the same protocols as a node, with settings of its own.
#[derive(NetworkBehaviour)]
pub(crate) struct Rogueries {
    pub(crate) gossip: gossipsub::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(crate) sync: Toggle<request_response::Behaviour<Tricks>>,
}

/// A peer made of bare libp2p.
pub(crate) struct Rogue {
    pub(crate) swarm: Swarm<Rogueries>,
}

/// What sets a [`Rogue`] apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Writes frames far above what nodes read, and knows no exchanges.
    Verbose,
    /// Signs what it publishes.
    Signing,
    /// Asks and answers in its own [`Say`].
    Exchanging,
}

/// What a [`Rogue`] writes on a stream of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// What a node would write.
    Bytes(Vec<u8>),
    /// Nothing, and the stream stays open.
    Nothing,
    /// A byte at a time.
    Trickle,
    /// More and more.
    Endless,
    /// What a node would write; the answer is never read.
    Deaf(Vec<u8>),
}

/// Reads without bounds and writes what it is told to.
#[derive(Clone, Default)]
pub(crate) struct Tricks {
    deaf: bool,
}

impl Tricks {
    async fn write(&mut self, io: &mut (impl AsyncWrite + Unpin), say: Say) -> io::Result<()> {
        match say {
            Say::Bytes(bytes) => io.write_all(&bytes).await,
            Say::Deaf(bytes) => {
                self.deaf = true;
                io.write_all(&bytes).await
            }
            Say::Nothing => pending().await,
            Say::Trickle => {
                let mut beats = tokio::time::interval(Duration::from_millis(10));
                loop {
                    beats.tick().await;
                    io.write_all(&[7]).await?;
                    io.flush().await?;
                }
            }
            Say::Endless => loop {
                io.write_all(&[7; 4096]).await?;
            },
        }
    }

    async fn read(&self, io: &mut (impl AsyncRead + Unpin)) -> io::Result<Say> {
        if self.deaf {
            pending::<()>().await;
        }
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        Ok(Say::Bytes(bytes))
    }
}

impl Codec for Tricks {
    type Protocol = StreamProtocol;
    type Request = Say;
    type Response = Say;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Say>
    where
        T: AsyncRead + Unpin + Send,
    {
        self.read(io).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Say>
    where
        T: AsyncRead + Unpin + Send,
    {
        self.read(io).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, say: Say) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        self.write(io, say).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        say: Say,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        self.write(io, say).await
    }
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
            Kind::Verbose | Kind::Exchanging => {
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
            sync: Toggle::from((kind == Kind::Exchanging).then(exchanges)),
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
    pub(crate) fn heartbeat(&mut self) {
        let topic = gossipsub::IdentTopic::new(format!("{TOPIC}/beat"));
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.subscribe(&topic).expect("a subscription") {
            gossip.unsubscribe(&topic);
        }
    }

    /// Asks the only neighbour it has.
    pub(crate) fn ask(&mut self, say: Say) -> request_response::OutboundRequestId {
        let peer = *self.swarm.connected_peers().next().expect("a neighbour");
        self.exchanges().send_request(&peer, say)
    }

    /// Its side of all exchanges.
    pub(crate) fn exchanges(&mut self) -> &mut request_response::Behaviour<Tricks> {
        self.swarm.behaviour_mut().sync.as_mut().expect("one that knows exchanges")
    }
}

fn exchanges() -> request_response::Behaviour<Tricks> {
    let protocol = StreamProtocol::try_from_owned(format!("{TOPIC}/sync")).expect("a name");
    let config = request_response::Config::default().with_request_timeout(DEADLINE);
    request_response::Behaviour::new([(protocol, ProtocolSupport::Full)], config)
}

/// What happened on a rogue's gossip stream: somebody joined or left this topic.
pub(crate) fn subscribed(event: &SwarmEvent<RogueriesEvent>) -> Option<&gossipsub::TopicHash> {
    match event {
        SwarmEvent::Behaviour(RogueriesEvent::Gossip(
            gossipsub::Event::Subscribed { topic, .. }
            | gossipsub::Event::Unsubscribed { topic, .. },
        )) => Some(topic),
        _ => None,
    }
}
