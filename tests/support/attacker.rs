//! A neighbour that says envelopes under other names, on a gossip stream it writes byte by byte.
//!
//! Gossipsub's own code publishes to those alone that joined a topic, so no attacker would use it.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::core::upgrade::{OutboundConnectionUpgrade as _, Version};
use libp2p::core::{muxing::StreamMuxerBox, transport::Boxed};
use libp2p::request_response::{Behaviour, Codec, Config, ProtocolSupport};
use libp2p::swarm::{self, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, Transport as _};
use libp2p::{core::transport::MemoryTransport, identity, noise, quic, tcp, yamux};
use sha3::{Digest as _, Keccak256};
use tokio::net::TcpSocket;
use tokio::sync::mpsc::{self, error::TrySendError};
use undertone::engine::envelope::{Envelope, EnvelopeId, Floor, inspect};

/// Longer than any test: neither its stream nor its connection ends by itself.
const EVER: Duration = Duration::from_secs(3_600);

/// Frames that may wait for the stream.
const FRAMES: usize = 16;

/// A bare connection with one gossip stream each way.
pub(crate) struct Attacker {
    swarm: Swarm<Behaviour<Frames>>,
    frames: mpsc::Sender<Vec<u8>>,
    /// What goes out on the stream, until there is one.
    unopened: Option<mpsc::Receiver<Vec<u8>>>,
    /// What came in, if it is kept.
    heard: mpsc::Receiver<Vec<u8>>,
}

impl Attacker {
    /// Dials the node at this address under a fresh key, and joins this topic there.
    pub(crate) fn new(node: &Multiaddr, topic: &str) -> Self {
        Self::joining(node, topic, Ear::Open)
    }

    /// As [`Self::new`], and reads nothing of what the node writes on its gossip stream.
    pub(crate) fn deaf(node: &Multiaddr, topic: &str) -> Self {
        Self::joining(node, topic, Ear::Deaf)
    }

    /// As [`Self::new`], and reads what the node writes for so long, and then nothing more.
    pub(crate) fn tiring(node: &Multiaddr, topic: &str, after: Duration) -> Self {
        Self::joining(node, topic, Ear::Tires(after))
    }

    /// As [`Self::new`], and ends each stream on which the node begins to write gossip.
    pub(crate) fn hanging_up(node: &Multiaddr, topic: &str) -> Self {
        Self::joining(node, topic, Ear::HangsUp)
    }

    /// As [`Self::new`], and keeps what the node writes on its gossip stream for [`Self::hear`].
    pub(crate) fn listening(node: &Multiaddr, topic: &str) -> Self {
        Self::joining(node, topic, Ear::Keeps)
    }

    /// Dials the node at this address under a fresh key, to write on a stream of ping what
    /// [`Self::flow`] says, and read nothing.
    pub(crate) fn pinging(node: &Multiaddr) -> Self {
        Self::with(node, "/ipfs/ping/1.0.0", Ear::Deaf)
    }

    fn joining(node: &Multiaddr, topic: &str, ear: Ear) -> Self {
        let attacker = Self::with(node, "/meshsub/1.1.0", ear);
        attacker.send(&[Part::Join(topic.to_owned())]);
        attacker
    }

    fn with(node: &Multiaddr, protocol: &'static str, ear: Ear) -> Self {
        let (hears, heard) = mpsc::channel(FRAMES);
        let key = identity::Keypair::generate_ed25519();
        let protocols = [(StreamProtocol::new(protocol), ProtocolSupport::Full)];
        let config = Config::default().with_request_timeout(EVER);
        let gossip = Behaviour::with_codec(Frames { ear, hears }, protocols, config);
        let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(EVER);
        let transport = transport(&key);
        let mut swarm = Swarm::new(transport, gossip, key.public().to_peer_id(), config);
        swarm.dial(node.clone()).expect("a dial");
        let (frames, unopened) = mpsc::channel(FRAMES);
        Self { swarm, frames, unopened: Some(unopened), heard }
    }

    /// Writes one frame with all these parts.
    pub(crate) fn send(&self, parts: &[Part]) {
        let body: Vec<u8> = parts.iter().flat_map(Part::encode).collect();
        self.write([varint(body.len()), body].concat());
    }

    /// Writes these frames at once, each as it is.
    pub(crate) fn pour(&self, frames: &[Vec<u8>]) {
        let framed = |frame: &Vec<u8>| [&*varint(frame.len()), frame].concat();
        self.write(frames.iter().flat_map(framed).collect());
    }

    /// Announces a frame of so many bytes, and writes none of them.
    pub(crate) fn begin(&self, length: usize) {
        self.write(varint(length));
    }

    fn write(&self, bytes: Vec<u8>) {
        let sent = self.frames.try_send(bytes);
        // A stream that is gone takes nothing more; that it has gone is told elsewhere.
        assert!(!matches!(sent, Err(TrySendError::Full(_))), "frames wait that nobody writes");
    }

    /// Writes these bytes again and again, as they are, until the node closes the connection.
    pub(crate) async fn flow(&mut self, bytes: Vec<u8>) {
        let frames = self.frames.clone();
        let flow = async { while frames.send(bytes.clone()).await.is_ok() {} };
        // The stream may end first, and then the connection does.
        tokio::select! {
            () = self.parted() => {}
            () = async { flow.await; core::future::pending().await } => {}
        }
    }

    /// Writes the next frame each time, as fast as the node takes them, until it closes the
    /// connection.
    pub(crate) async fn stream(&mut self, each: Duration, mut next: impl FnMut() -> Vec<Part>) {
        let frames = self.frames.clone();
        let stream = async {
            let mut pace = tokio::time::interval(each);
            loop {
                pace.tick().await;
                let body: Vec<u8> = next().iter().flat_map(Part::encode).collect();
                if frames.send([varint(body.len()), body].concat()).await.is_err() {
                    // The stream may end first, and then the connection does.
                    core::future::pending().await
                }
            }
        };
        tokio::select! {
            () = self.parted() => {}
            () = stream => {}
        }
    }

    /// Goes on until the node closes the connection.
    pub(crate) async fn parted(&mut self) {
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => self.open(peer_id),
                SwarmEvent::ConnectionClosed { .. }
                | SwarmEvent::OutgoingConnectionError { .. } => {
                    return;
                }
                _ => {}
            }
        }
    }

    /// Goes on until the node writes something: what that is, as far as it has come.
    pub(crate) async fn hear(&mut self) -> Vec<u8> {
        loop {
            tokio::select! {
                Some(heard) = self.heard.recv() => return heard,
                event = self.swarm.select_next_some() => match event {
                    SwarmEvent::ConnectionEstablished { peer_id, .. } => self.open(peer_id),
                    SwarmEvent::ConnectionClosed { .. } => panic!("parted with"),
                    _ => {}
                }
            }
        }
    }

    fn open(&mut self, node: PeerId) {
        let frames = self.unopened.take().expect("one connection");
        self.swarm.behaviour_mut().send_request(&node, frames);
    }
}

/// Sets a link up by TCP, and opens streams on it which it resets at once, as fast as the node takes them, until
/// the node closes the link. How many were written until then.
pub(crate) async fn open_streams(node: SocketAddr) -> usize {
    let mut opened = 0;
    write_streams(node, &mut opened).await.expect_err("it ends with the link");
    opened
}

async fn write_streams(node: SocketAddr, opened: &mut usize) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    // What is written and not read yet is counted, too.
    socket.set_send_buffer_size(16 << 10)?;
    let mut link = tcp::tokio::TcpStream(socket.connect(node).await?);
    agree(&mut link, "/noise").await?;
    let key = identity::Keypair::generate_ed25519();
    let noise = noise::Config::new(&key).expect("noise");
    let upgraded = noise.upgrade_outbound(link, "/noise").await;
    let (_, mut link) = upgraded.map_err(io::Error::other)?;
    agree(&mut link, "/yamux/1.0.0").await?;
    for first in (1_u32..).step_by(2_000) {
        // A frame of yamux: version, kind, flags, stream and length. A first window (SYN), and an end (RST).
        let frame = |kind: u8, flags: u8, stream: u32| {
            [&[0, kind, 0, flags][..], &stream.to_be_bytes(), &[0; 4]].concat()
        };
        let streams = (first..first + 2_000).step_by(2);
        let both = |stream| [frame(1, 1, stream), frame(0, 8, stream)].concat();
        link.write_all(&streams.flat_map(both).collect::<Vec<u8>>()).await?;
        link.flush().await?;
        *opened += 1_000;
    }
    Ok(())
}

/// Agrees on a protocol, as multistream-select has it for whoever begins.
async fn agree(link: &mut (impl AsyncRead + AsyncWrite + Unpin), protocol: &str) -> io::Result<()> {
    let line = |text: &str| [&varint(text.len() + 1), text.as_bytes(), b"\n"].concat();
    let said = [line("/multistream/1.0.0"), line(protocol)].concat();
    link.write_all(&said).await?;
    link.flush().await?;
    let mut heard = vec![0; said.len()];
    link.read_exact(&mut heard).await?;
    if heard == said { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Drives the attacker, if there is one, until it is parted with.
pub(crate) async fn ended(attacker: Option<&mut Attacker>) {
    match attacker {
        Some(attacker) => attacker.parted().await,
        None => core::future::pending().await,
    }
}

/// The id of an envelope.
pub(crate) fn named(bytes: &[u8]) -> EnvelopeId {
    EnvelopeId::of(bytes).expect("an envelope")
}

/// Over memory, TCP and libp2p's own QUIC: the address says which.
fn transport(key: &identity::Keypair) -> Boxed<(PeerId, StreamMuxerBox)> {
    let noise = || noise::Config::new(key).expect("noise");
    let memory = MemoryTransport::default()
        .upgrade(Version::V1)
        .authenticate(noise())
        .multiplex(yamux::Config::default())
        .boxed();
    let tcp = tcp::tokio::Transport::default()
        .upgrade(Version::V1)
        .authenticate(noise())
        .multiplex(yamux::Config::default())
        .boxed();
    let quic = quic::tokio::Transport::new(quic::Config::new(key))
        .map(|(peer, link), _| (peer, StreamMuxerBox::new(link)))
        .boxed();
    memory
        .or_transport(tcp)
        .map(|either, _| either.into_inner())
        .or_transport(quic)
        .map(|either, _| either.into_inner())
        .boxed()
}

/// Writes frames for as long as there are any, and reads as its ear does.
#[derive(Clone)]
struct Frames {
    ear: Ear,
    hears: mpsc::Sender<Vec<u8>>,
}

/// What becomes of what the node writes.
#[derive(Clone, Copy)]
enum Ear {
    /// It is read, whatever it is.
    Open,
    /// It is not read.
    Deaf,
    /// The stream is ended.
    HangsUp,
    /// It is read and kept.
    Keeps,
    /// It is read for so long, and then not.
    Tires(Duration),
}

impl Codec for Frames {
    type Protocol = StreamProtocol;
    type Request = mpsc::Receiver<Vec<u8>>;
    type Response = ();

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        match self.ear {
            Ear::Open | Ear::Keeps | Ear::Tires(_) => {}
            Ear::Deaf => core::future::pending().await,
            Ear::HangsUp => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
        let begun = tokio::time::Instant::now();
        let mut some = [0; 4_096];
        loop {
            if matches!(self.ear, Ear::Tires(after) if begun.elapsed() > after) {
                core::future::pending().await
            }
            let read = io.read(&mut some).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if matches!(self.ear, Ear::Keeps) {
                // Nobody listens any more at the end of a test.
                self.hears.send(some[..read].to_vec()).await.ok();
            }
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<()>
    where
        T: AsyncRead + Unpin + Send,
    {
        core::future::pending().await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        mut frames: Self::Request,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        while let Some(frame) = frames.recv().await {
            io.write_all(&frame).await?;
            io.flush().await?;
        }
        Ok(())
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, _: &mut T, (): ()) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Ok(())
    }
}

/// A part of a gossipsub frame.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// The sender joined this topic.
    Join(String),
    /// A message in this topic.
    Message(String, Vec<u8>),
    /// A message in this topic that names an author.
    Authored(String, Vec<u8>),
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
}

impl Part {
    /// The sender says that it passes nothing on in this topic for a minute.
    pub(crate) fn prune(topic: &str) -> Self {
        let body = [&*field(1, topic.as_bytes()), &[3 << 3, 60]].concat();
        Self::Raw(field(3, &field(4, &body)))
    }

    /// The sender says that it passes this topic on.
    pub(crate) fn graft(topic: &str) -> Self {
        Self::Raw(field(3, &field(3, &field(1, topic.as_bytes()))))
    }

    /// The sender announces the envelopes with these ids.
    pub(crate) fn have(topic: &str, ids: &[EnvelopeId]) -> Self {
        let ids: Vec<u8> = ids.iter().flat_map(|id| field(2, &id.0)).collect();
        Self::Raw(field(3, &field(1, &[field(1, topic.as_bytes()), ids].concat())))
    }

    /// The sender asks for the envelope with this id.
    pub(crate) fn want(id: EnvelopeId) -> Self {
        Self::Raw(field(3, &field(2, &field(1, &id.0))))
    }

    /// As a field of gossipsub's `RPC`.
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Raw(bytes) => bytes.clone(),
            Self::Join(topic) => field(1, &[&[0x08, 1], &*field(2, topic.as_bytes())].concat()),
            Self::Message(topic, data) => {
                field(2, &[field(2, data), field(4, topic.as_bytes())].concat())
            }
            Self::Authored(topic, data) => {
                let author = identity::Keypair::generate_ed25519().public().to_peer_id();
                let author = field(1, &author.to_bytes());
                field(2, &[author, field(2, data), field(4, topic.as_bytes())].concat())
            }
        }
    }
}

/// A length-delimited field of Protocol Buffers.
pub(crate) fn field(number: u8, body: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2], &*varint(body.len()), body].concat()
}

fn varint(mut rest: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest & 0x7f).expect("7 bits") | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).expect("7 bits"));
    bytes
}

/// All that an attacker may say in place of an envelope so that it seems to be known: every node
/// refuses each of them. With what each is, for people.
pub(crate) fn disguises(flood: &str, bytes: &[u8], floor: &Floor) -> Vec<(String, Part)> {
    let beat = format!("{flood}/beat");
    let topics = [("the flood", flood), ("the topic of the signs of life", &*beat), ("x", "x")];
    let mut all =
        vec![("an author to it".to_owned(), Part::Authored(flood.to_owned(), bytes.to_vec()))];
    for (name, topic) in topics {
        let mut say = |what: &str, data: Vec<u8>| {
            all.push((format!("{what} in {name}"), Part::Message(topic.to_owned(), data)));
        };
        if topic == flood {
            say("a byte more", [bytes, &[0]].concat());
            say("another nonce", altered(bytes, bytes.len() - 1, floor));
            say("other data", altered(bytes, bytes.len() - 20, floor));
        } else {
            say("its own bytes", bytes.to_vec());
        }
        say("the 64 bytes that its id is the hash of", work_block(bytes));
        say("no bytes", Vec::new());
    }
    all
}

/// An envelope with another byte at this place, whose work is spoiled by that.
fn altered(bytes: &[u8], at: usize, floor: &Floor) -> Vec<u8> {
    let other = |change: u8| {
        let mut other = bytes.to_vec();
        other[at] ^= change;
        other
    };
    let mut others = (1..=u8::MAX).map(other);
    others.find(|other| inspect(other, floor).is_err()).expect("some change spoils it")
}

/// H, 24 zeros and the nonce of an envelope.
fn work_block(bytes: &[u8]) -> Vec<u8> {
    let nonce = Envelope::decode(bytes).expect("an envelope").nonce.0;
    let digest = Keccak256::digest(&bytes[..bytes.len() - 9]);
    [digest.as_slice(), &[0; 24], &nonce.to_be_bytes()].concat()
}
