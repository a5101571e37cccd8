//! QUIC, with the bounds that libp2p's transport has no settings for; on the wire it is the same
//! (`quic-v1`, TLS 1.3 with libp2p's certificates).
//!
//! - **What waits for a peer that acknowledges nothing** is bounded by [`SENT`]. quinn's own bound is
//!   10 MB a link, whatever windows the peer announces.
//! - **A first datagram takes no place** while many come: the address on it is proven first, and
//!   handshakes are counted by streets ([`arrivals`]). A task of each listener's own turns the rest
//!   away, so the task of the node sees none of it.
//! - **Nothing is remembered of who was here**: no tokens and no tickets for the next connection are
//!   given, or kept. A ticket would tell the next relay that somebody was at another one.
//! - **No keys go to a file**, whatever `SSLKEYLOGFILE` in the environment says.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use if_watch::{IfEvent, tokio::IfWatcher};
use libp2p::core::Endpoint as Role;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, Transport, identity, tls};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::rustls::client::Resumption;
use quinn::rustls::pki_types::CertificateDer;
use quinn::rustls::{NoKeyLog, server::NoServerSessionStorage};
use quinn::{Connecting, Endpoint, EndpointConfig, Incoming, VarInt};
use socket2::{Domain, Socket, Type};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, coop};
use tokio::time::Instant;

use super::NetError;
use super::address_range::{RangeNumbers, STREET};

mod arrivals;
mod link;

use arrivals::{AddressProof, Arrivals, HandshakeAnswer};
use link::QuicLink;

/// Streams open at a time on one link that one side opened.
pub(super) const STREAMS: u32 = 16;

/// The bytes a peer may send on all streams of a link before they are read: four full streams. The
/// 64 links that there can be hold 64 MiB then, and one carries 5 MB a second at 200 ms.
const RECEIVED: u32 = 1 << 20;

/// The bytes a peer may send on one stream before they are read, as on TCP.
const STREAM: u32 = 256 << 10;

/// The bytes of all streams of a link that were written and not acknowledged. As much as one stream
/// of TCP has: 1.3 MB a second at 200 ms. Writes of a few bytes take three times as much (by
/// calculation), so all links some 50 MB at most.
const SENT: u32 = 256 << 10;

/// A path is dead after so long without a packet; libp2p's own.
const IDLE: Duration = Duration::from_secs(10);

/// Half of [`IDLE`], as libp2p.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// First datagrams that wait to be looked at, and what follows each of them; quinn's own are 65,536
/// and 10 MB. Further ones are refused: a few milliseconds' worth.
const UNSEEN: usize = 1_024;
const UNSEEN_BYTES: u64 = 16 << 10;

/// Handshakes that wait for the task of the node.
const WAITING: usize = 16;

/// A link that is set up: the transport key at its other end, and its streams.
type Link = (PeerId, StreamMuxerBox);

type Upgrade = BoxFuture<'static, io::Result<Link>>;

type QuicEvent = TransportEvent<Upgrade, io::Error>;

/// QUIC under one transport key.
pub(super) struct QuicTransport {
    endpoint: EndpointConfig,
    server: quinn::ServerConfig,
    client: quinn::ClientConfig,
    ranges: RangeNumbers,
    arrivals: Arc<Mutex<Arrivals>>,
    listeners: Vec<Listener>,
    /// Listeners that ended, to be told.
    ended: VecDeque<ListenerId>,
    /// Whoever waits for the next event.
    waker: Option<Waker>,
}

impl QuicTransport {
    /// QUIC under the transport key `key`, without listeners.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(key: &identity::Keypair, ranges: RangeNumbers) -> Result<Self, NetError> {
        let failed = |error: &dyn core::error::Error| NetError::Protocol(error.to_string());
        let mut server = tls::make_server_config(key).map_err(|error| failed(&error))?;
        server.key_log = Arc::new(NoKeyLog {});
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let server = QuicServerConfig::try_from(server).map_err(|error| failed(&error))?;
        let mut client = tls::make_client_config(key, None).map_err(|error| failed(&error))?;
        client.key_log = Arc::new(NoKeyLog {});
        client.resumption = Resumption::disabled();
        let client = QuicClientConfig::try_from(client).map_err(|error| failed(&error))?;
        let mut endpoint = EndpointConfig::default();
        endpoint.supported_versions(vec![1]);
        Ok(Self {
            endpoint,
            server: server_config(server),
            client: client_config(client),
            ranges,
            arrivals: Arc::default(),
            listeners: Vec::new(),
            ended: VecDeque::new(),
            waker: None,
        })
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn endpoint(
        &self,
        server: Option<quinn::ServerConfig>,
        socket: UdpSocket,
    ) -> io::Result<Endpoint> {
        Endpoint::new(self.endpoint.clone(), server, socket, Arc::new(quinn::TokioRuntime))
    }
}

fn links() -> Arc<quinn::TransportConfig> {
    let mut links = quinn::TransportConfig::default();
    links
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM))
        .receive_window(VarInt::from_u32(RECEIVED))
        .send_window(u64::from(SENT))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(IDLE.try_into().ok())
        .allow_spin(false);
    Arc::new(links)
}

fn server_config(tls: QuicServerConfig) -> quinn::ServerConfig {
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls));
    let mut tokens = quinn::ValidationTokenConfig::default();
    tokens.sent(0).log(Arc::new(quinn::NoneTokenLog));
    server
        .transport_config(links())
        .validation_token_config(tokens)
        // The door counts a link by the address it came from.
        .migration(false)
        .max_incoming(UNSEEN)
        .incoming_buffer_size(UNSEEN_BYTES)
        .incoming_buffer_size_total(UNSEEN_BYTES * 64);
    server
}

fn client_config(tls: QuicClientConfig) -> quinn::ClientConfig {
    let mut client = quinn::ClientConfig::new(Arc::new(tls));
    client.transport_config(links()).token_store(Arc::new(quinn::NoneTokenStore));
    client
}

impl Transport for QuicTransport {
    type Output = Link;
    type Error = io::Error;
    type ListenerUpgrade = Upgrade;
    type Dial = Upgrade;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        let at = socket_address(&address)
            .ok_or_else(|| TransportError::MultiaddrNotSupported(address.clone()))?;
        let socket = bound(at).map_err(TransportError::Other)?;
        let listener = self.endpoint(Some(self.server.clone()), socket).and_then(|endpoint| {
            Listener::new(id, endpoint, (Arc::clone(&self.arrivals), self.ranges.clone()))
        });
        self.listeners.push(listener.map_err(TransportError::Other)?);
        self.wake();
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let before = self.listeners.len();
        self.listeners.retain(|listener| listener.id != id);
        let was_there = self.listeners.len() < before;
        if was_there {
            self.ended.push_back(id);
            self.wake();
        }
        was_there
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Upgrade, TransportError<io::Error>> {
        let there = socket_address(&address)
            .filter(|there| there.port() != 0 && !there.ip().is_unspecified())
            // Nobody here dials to be dialled.
            .filter(|_| options.role == Role::Dialer)
            .ok_or_else(|| TransportError::MultiaddrNotSupported(address.clone()))?;
        let any: IpAddr = match there {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // From a port of its own, whatever the options say: `Net::dial` asks for nothing else.
        let socket = UdpSocket::bind((any, 0)).map_err(TransportError::Other)?;
        let endpoint = self.endpoint(None, socket).map_err(TransportError::Other)?;
        let client = self.client.clone();
        Ok(async move {
            // TLS wants a name. libp2p's certificates have none; all write this one.
            let connecting = endpoint.connect_with(client, there, "l").map_err(io::Error::other)?;
            set_up(connecting).await
        }
        .boxed())
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<QuicEvent> {
        if let Some(listener_id) = self.ended.pop_front() {
            return Poll::Ready(TransportEvent::ListenerClosed { listener_id, reason: Ok(()) });
        }
        for listener in &mut self.listeners {
            let Poll::Ready(event) = listener.poll(context) else { continue };
            if let TransportEvent::ListenerClosed { listener_id, .. } = event {
                self.listeners.retain(|listener| listener.id != listener_id);
            }
            return Poll::Ready(event);
        }
        self.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// One address that is listened at.
struct Listener {
    id: ListenerId,
    at: SocketAddr,
    /// Where others can reach it, if that is not told yet and is one address.
    untold: Option<SocketAddr>,
    /// The addresses of this machine, if it listens at all of them.
    watcher: Option<IfWatcher>,
    handshakes: mpsc::Receiver<(SocketAddr, Connecting)>,
    /// Takes handshakes from the endpoint; it ends with the listener.
    _task: JoinSet<()>,
}

impl Listener {
    fn new(id: ListenerId, endpoint: Endpoint, book: ArrivalBook) -> io::Result<Self> {
        let at = endpoint.local_addr()?;
        let watcher = at.ip().is_unspecified().then(IfWatcher::new).transpose()?;
        let (begin, handshakes) = mpsc::channel(WAITING);
        let mut task = JoinSet::new();
        task.spawn(receive(endpoint, book, begin));
        let untold = watcher.is_none().then_some(at);
        Ok(Self { id, at, untold, watcher, handshakes, _task: task })
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<QuicEvent> {
        let listener_id = self.id;
        if let Some(at) = self.untold.take() {
            let listen_addr = multiaddr(at);
            return Poll::Ready(TransportEvent::NewAddress { listener_id, listen_addr });
        }
        if let Poll::Ready(event) = self.poll_addresses(context) {
            return Poll::Ready(event);
        }
        match self.handshakes.poll_recv(context) {
            Poll::Ready(Some((remote, connecting))) => Poll::Ready(TransportEvent::Incoming {
                listener_id,
                upgrade: set_up(connecting).boxed(),
                local_addr: multiaddr(self.at),
                send_back_addr: multiaddr(remote),
            }),
            // Its socket failed, and with it quinn's task.
            Poll::Ready(None) => Poll::Ready(TransportEvent::ListenerClosed {
                listener_id,
                reason: Err(io::ErrorKind::BrokenPipe.into()),
            }),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_addresses(&mut self, context: &mut Context<'_>) -> Poll<QuicEvent> {
        let listener_id = self.id;
        let Some(watcher) = &mut self.watcher else { return Poll::Pending };
        loop {
            let Poll::Ready(event) = watcher.poll_if_event(context) else { return Poll::Pending };
            let (is_up, ip) = match event {
                Ok(IfEvent::Up(net)) => (true, net.addr()),
                Ok(IfEvent::Down(net)) => (false, net.addr()),
                Err(error) => {
                    // It is over for good, and would say so each time it was asked.
                    self.watcher = None;
                    return Poll::Ready(TransportEvent::ListenerError { listener_id, error });
                }
            };
            if ip.is_ipv4() != self.at.is_ipv4() {
                continue;
            }
            let listen_addr = multiaddr(SocketAddr::new(ip, self.at.port()));
            return Poll::Ready(if is_up {
                TransportEvent::NewAddress { listener_id, listen_addr }
            } else {
                TransportEvent::AddressExpired { listener_id, listen_addr }
            });
        }
    }
}

/// What first datagrams are counted by.
type ArrivalBook = (Arc<Mutex<Arrivals>>, RangeNumbers);

/// Answers first datagrams for as long as there is an endpoint, and hands on the handshakes that begin.
async fn receive(
    endpoint: Endpoint,
    (arrivals, ranges): ArrivalBook,
    begin: mpsc::Sender<(SocketAddr, Connecting)>,
) {
    while let Some(incoming) = endpoint.accept().await {
        let remote = incoming.remote_address();
        let street = ranges.path(&multiaddr(remote)).get(STREET).copied().unwrap_or_default();
        let address = if incoming.remote_address_validated() {
            AddressProof::Proven
        } else {
            AddressProof::Claimed
        };
        let answer = {
            // Each change is made by one call that cannot fail half-way.
            let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            arrivals.answer(street, address, Instant::now())
        };
        if let Some(connecting) = carry_out(answer, incoming)
            && begin.send((remote, connecting)).await.is_err()
        {
            return;
        }
        // A flood of them never has this task wait.
        coop::consume_budget().await;
    }
}

fn carry_out(answer: HandshakeAnswer, incoming: Incoming) -> Option<Connecting> {
    match answer {
        HandshakeAnswer::Begin => incoming.accept().ok(),
        HandshakeAnswer::Prove => {
            if incoming.retry().is_err() {
                tracing::debug!("an address that is not proven cannot be asked to prove itself");
            }
            None
        }
        HandshakeAnswer::Silence => {
            incoming.ignore();
            None
        }
    }
}

async fn set_up(connecting: Connecting) -> io::Result<Link> {
    let connection = connecting.await?;
    let peer = peer(&connection).ok_or(io::ErrorKind::InvalidData)?;
    Ok((peer, StreamMuxerBox::new(QuicLink::new(connection))))
}

/// The transport key at the other end, which TLS has checked.
fn peer(connection: &quinn::Connection) -> Option<PeerId> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast_ref::<Vec<CertificateDer<'static>>>()?;
    tls::certificate::parse(chain.first()?).ok().map(|certificate| certificate.peer_id())
}

/// A socket at an address. One for all IPv6 addresses is for them alone: another one listens at all IPv4
/// addresses with the same port.
fn bound(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, None)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&at.into())?;
    Ok(socket.into())
}

/// The socket address in `/ip4/A/udp/P/quic-v1`, with a transport key after it or not.
fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return None,
    };
    let Protocol::Udp(port) = parts.next()? else { return None };
    let Protocol::QuicV1 = parts.next()? else { return None };
    let mut rest = parts.filter(|part| !matches!(part, Protocol::P2p(_)));
    rest.next().is_none().then(|| SocketAddr::new(ip, port))
}

fn multiaddr(at: SocketAddr) -> Multiaddr {
    Multiaddr::from(at.ip()).with(Protocol::Udp(at.port())).with(Protocol::QuicV1)
}

#[cfg(test)]
mod tests {
    use core::future::poll_fn;

    use futures::AsyncWriteExt as _;
    use libp2p::core::muxing::StreamMuxerExt as _;
    use libp2p::core::transport::PortUse;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_text};

    fn transport() -> QuicTransport {
        let key = identity::Keypair::generate_ed25519();
        QuicTransport::new(&key, RangeNumbers::new()).unwrap()
    }

    async fn event(transport: &mut QuicTransport) -> QuicEvent {
        poll_fn(|context| Pin::new(&mut *transport).poll(context)).await
    }

    /// One that listens, and where.
    async fn listening(at: &str) -> (QuicTransport, ListenerId, Multiaddr) {
        let (mut transport, id) = (transport(), ListenerId::next());
        transport.listen_on(id, at.parse().unwrap()).unwrap();
        let TransportEvent::NewAddress { listen_addr, .. } = event(&mut transport).await else {
            panic!("it listens nowhere")
        };
        (transport, id, listen_addr)
    }

    async fn accepted(transport: &mut QuicTransport) -> Link {
        let TransportEvent::Incoming { upgrade, .. } = event(transport).await else {
            panic!("nobody came")
        };
        upgrade.await.unwrap()
    }

    #[tokio::test]
    async fn what_waits_for_a_peer_that_acknowledges_nothing_is_bounded() {
        let (mut near, _, at) = listening("/ip4/127.0.0.1/udp/0/quic-v1").await;
        // Announces windows without end, and never comes to acknowledge anything.
        let far = tokio::runtime::Runtime::new().unwrap();
        let mut client = transport();
        let mut endless = quinn::TransportConfig::default();
        endless.stream_receive_window(VarInt::MAX).receive_window(VarInt::MAX);
        client.client.transport_config(Arc::new(endless));
        let dialled = far.spawn(async move {
            let how = DialOpts { role: Role::Dialer, port_use: PortUse::New };
            client.dial(at, how).unwrap().await.unwrap()
        });
        let (_, mut link) = accepted(&mut near).await;
        let kept = dialled.await.unwrap();
        far.shutdown_background();
        let mut stream = poll_fn(|context| link.poll_outbound_unpin(context)).await.unwrap();
        let mut written = 0;
        // quinn's task sends what it can before it waits for the peer.
        while let Some(more) = stream.write(&[7; 8 << 10]).now_or_never() {
            written += more.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(written, usize::try_from(SENT).unwrap());
        drop(kept);
    }

    #[tokio::test]
    async fn what_a_peer_opens_and_sends_is_bounded_until_it_is_read() {
        let (mut near, _, at) = listening("/ip4/127.0.0.1/udp/0/quic-v1").await;
        let mut client = transport();
        let mut endless = quinn::TransportConfig::default();
        endless.send_window(u64::MAX);
        client.client.transport_config(Arc::new(endless));
        let how = DialOpts { role: Role::Dialer, port_use: PortUse::New };
        let dialled = client.dial(at, how).unwrap();
        // The windows of whoever listens are known to whoever dialled as soon as the link stands.
        let (kept, dialled) = tokio::join!(accepted(&mut near), dialled);
        let (_, mut link) = dialled.unwrap();
        let mut streams = Vec::new();
        while let Some(stream) = poll_fn(|context| link.poll_outbound_unpin(context)).now_or_never()
        {
            streams.push(stream.unwrap());
        }
        assert_eq!(streams.len(), usize::try_from(STREAMS).unwrap());
        let mut written = Vec::new();
        for stream in &mut streams {
            let mut of_stream = 0;
            while let Some(more) = stream.write(&[7; 8 << 10]).now_or_never() {
                of_stream += more.unwrap();
            }
            written.push(of_stream);
        }
        assert_eq!(written[0], usize::try_from(STREAM).unwrap());
        assert_eq!(written.iter().sum::<usize>(), usize::try_from(RECEIVED).unwrap());
        drop(kept);
    }

    #[tokio::test]
    async fn a_listener_whose_socket_failed_says_so_once() {
        let (mut transport, id, _) = listening("/ip4/127.0.0.1/udp/0/quic-v1").await;
        // As the end of its task does.
        transport.listeners[0].handshakes.close();
        let ended = event(&mut transport).await;
        assert!(
            matches!(&ended, TransportEvent::ListenerClosed { listener_id, reason: Err(_) } if *listener_id == id),
        );
        assert!(event(&mut transport).now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_listener_that_is_removed_ends_and_its_port_is_free() {
        let (mut transport, id, at) = listening("/ip4/127.0.0.1/udp/0/quic-v1").await;
        let again = transport.listen_on(ListenerId::next(), at.clone());
        assert!(matches!(again, Err(TransportError::Other(_))), "taken");
        assert!(transport.remove_listener(id) && !transport.remove_listener(id));
        let ended = event(&mut transport).await;
        assert!(
            matches!(&ended, TransportEvent::ListenerClosed { listener_id, reason: Ok(()) } if *listener_id == id),
            "{ended:?}"
        );
        // The endpoint's task ends by itself, soon.
        while transport.listen_on(ListenerId::next(), at.clone()).is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn all_addresses_of_the_machine_are_told_with_one_port_for_both_kinds() {
        let (mut transport, _, at) = listening("/ip4/0.0.0.0/udp/0/quic-v1").await;
        let at = socket_address(&at).unwrap();
        assert!(!at.ip().is_unspecified() && at.port() != 0);
        if crate::shell::net::transport::has_ipv6() {
            let six = multiaddr((Ipv6Addr::UNSPECIFIED, at.port()).into());
            transport.listen_on(ListenerId::next(), six).unwrap();
        }
    }

    #[tokio::test]
    async fn nobody_is_dialled_where_nobody_can_be_and_nobody_who_would_dial_us() {
        let dial = |at: &str, role| {
            let how = DialOpts { role, port_use: PortUse::New };
            transport().dial(at.parse().unwrap(), how).is_ok()
        };
        assert!(dial("/ip4/127.0.0.1/udp/1/quic-v1", Role::Dialer));
        assert!(!dial("/ip4/127.0.0.1/udp/1/quic-v1", Role::Listener));
        assert!(!dial("/ip4/127.0.0.1/udp/0/quic-v1", Role::Dialer));
        assert!(!dial("/ip6/::/udp/1/quic-v1", Role::Dialer));
        assert!(!dial("/ip4/127.0.0.1/tcp/1", Role::Dialer));
    }

    proptest! {
        #[test]
        fn a_socket_address_reads_back(six in any::<bool>(), ip in any::<u128>(), port in any::<u16>()) {
            let v4 = Ipv4Addr::from_bits(u32::try_from(ip & 0xffff_ffff).unwrap());
            let ip: IpAddr = if six { Ipv6Addr::from_bits(ip).into() } else { v4.into() };
            let at = SocketAddr::new(ip, port);
            prop_assert_eq!(socket_address(&multiaddr(at)), Some(at));
            let peer = multiaddr(at).with(Protocol::P2p(PeerId::random()));
            prop_assert_eq!(socket_address(&peer), Some(at));
        }
    }

    #[test]
    fn changed_at_random_an_address_is_one_of_quic_or_none() {
        let peer = "12D3KooW9xk7Zp1gejwfwNpfm6L9zH5NL4Bx5rm94LRYJJHJuARZ";
        let seeds = [
            "/ip4/198.51.100.7/udp/4141/quic-v1".to_owned(),
            format!("/ip6/2001:db8::1/udp/1/quic-v1/p2p/{peer}"),
        ];
        each_text(&seeds.each_ref().map(String::as_str), |text| {
            let read = text.parse().ok().and_then(|address| socket_address(&address));
            let again = read.map(|at| socket_address(&multiaddr(at)));
            assert!(again.is_none_or(|again| again == read));
            Reading::found(read)
        });
    }
}
