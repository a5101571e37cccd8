//! Names in addresses: looked up where this system says, and only when an address has one.
//!
//! The system's settings are read at each dial of a name, so a machine without a name server dials
//! numbers all the same, and one whose name server was replaced asks the new one at the next dial. No
//! server is asked but those that the system names, and no name is written to the log.

use core::convert::Infallible;
use core::future::{Ready, ready};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError as ResolverError;
use hickory_resolver::system_conf;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, Transport, dns};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::muxer::causes;
use super::transport::BoxedTransport;

/// Links to addresses that may have names.
pub(super) struct NamedTransport {
    links: Arc<Mutex<BoxedTransport>>,
    resolver: Arc<SystemResolver>,
}

impl NamedTransport {
    /// Links by `links`, which know no names; these are looked up as the system says.
    pub(super) fn new(links: BoxedTransport) -> Self {
        Self::with_settings(links, NameSettings::of_system)
    }

    fn with_settings(
        links: BoxedTransport,
        read: impl Fn() -> Result<NameSettings, NameFault> + Send + Sync + 'static,
    ) -> Self {
        let resolver = SystemResolver { read: Arc::new(read), last: Mutex::new(None) };
        Self { links: Arc::new(Mutex::new(links)), resolver: Arc::new(resolver) }
    }
}

/// A link that is set up.
type Link = (PeerId, StreamMuxerBox);

impl Transport for NamedTransport {
    type Output = Link;
    type Error = io::Error;
    type ListenerUpgrade = <BoxedTransport as Transport>::ListenerUpgrade;
    type Dial = BoxFuture<'static, io::Result<Link>>;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        locked(&self.links).listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        locked(&self.links).remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<io::Error>> {
        if name_in(&address).is_none() {
            return locked(&self.links).dial(address, options).map(|dial| dial.boxed());
        }
        let (links, resolver) = (Arc::clone(&self.links), Arc::clone(&self.resolver));
        let dial = async move {
            let mut last = io::Error::other(NameFault::NotFound);
            for numbers in resolver.look_up(address, options).await.map_err(io::Error::other)? {
                let dial = locked(&links).dial(numbers, options);
                match dial {
                    Ok(dial) => match dial.await {
                        Ok(link) => return Ok(link),
                        Err(error) => last = error,
                    },
                    Err(TransportError::Other(error)) => last = error,
                    Err(TransportError::MultiaddrNotSupported(_)) => {
                        last = io::ErrorKind::Unsupported.into();
                    }
                }
            }
            Err(last)
        };
        Ok(dial.boxed())
    }

    fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut *locked(&self.links)).poll(context)
    }
}

fn locked<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first name in an address; `None` if it has numbers alone.
pub(super) fn name_in(address: &Multiaddr) -> Option<String> {
    address.iter().find_map(|part| {
        if let Protocol::Dns(name)
        | Protocol::Dns4(name)
        | Protocol::Dns6(name)
        | Protocol::Dnsaddr(name) = part
        {
            Some(name.into_owned())
        } else {
            None
        }
    })
}

/// The reason that the name in an address is not known. It is looked up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// The system is not connected, or not set up: it may be soon.
    #[error("this system names no name server (/etc/resolv.conf)")]
    NoServer,
    /// Mend the settings.
    #[error("the system's settings for names cannot be used (/etc/resolv.conf)")]
    Settings,
    /// The server is down, or there is no way to it.
    #[error("the name server does not answer")]
    NoAnswer,
    /// Correct the name.
    #[error("the name server does not know it")]
    NotFound,
}

impl NameFault {
    /// The fault because of which a dial failed, if it was one.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        causes(error).find_map(|cause| cause.downcast_ref::<Self>()).copied()
    }

    /// Whether it says nothing of the name itself.
    pub(super) const fn is_ours(self) -> bool {
        match self {
            Self::NoServer | Self::Settings | Self::NoAnswer => true,
            Self::NotFound => false,
        }
    }

    fn of_answer(error: &ResolverError) -> Self {
        if error.is_no_records_found() { Self::NotFound } else { Self::NoAnswer }
    }
}

/// How names are looked up.
struct NameSettings {
    servers: ResolverConfig,
    options: ResolverOpts,
    /// Another text when anything of it has changed.
    version: String,
}

impl NameSettings {
    /// The system's, as they are at this moment.
    fn of_system() -> Result<Self, NameFault> {
        let (servers, options) = system_conf::read_system_conf().map_err(|error| {
            // A file without a server is read, and said to be an error of no kind.
            let kind =
                if let ResolverError::Io(error) = &error { Some(error.kind()) } else { None };
            match kind {
                Some(io::ErrorKind::NotFound | io::ErrorKind::Other) => NameFault::NoServer,
                _ => NameFault::Settings,
            }
        })?;
        // Names that the machine itself knows are read with the resolver, too.
        let hosts = std::fs::metadata(HOSTS).ok().map(|file| {
            (file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec(), file.ctime_nsec())
        });
        Ok(Self::new(servers, options, &format!("{hosts:?}")))
    }

    fn new(servers: ResolverConfig, mut options: ResolverOpts, hosts: &str) -> Self {
        let version = format!("{servers:?} {options:?} {hosts}");
        options.negative_max_ttl = Some(UNKNOWN_FOR);
        Self { servers, options, version }
    }
}

/// The resolver of the settings that were read last.
struct SystemResolver {
    read: Arc<dyn Fn() -> Result<NameSettings, NameFault> + Send + Sync>,
    last: Mutex<Option<(String, dns::tokio::Transport<Destinations>)>>,
}

impl SystemResolver {
    /// The addresses that an address with a name stands for.
    async fn look_up(
        &self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Vec<Multiaddr>, NameFault> {
        // On a thread of its own: a disk must not hold up the network. Not more often than a name is
        // dialled, which the dialer bounds.
        let read = Arc::clone(&self.read);
        let settings = spawn_blocking(move || read()).await.unwrap_or(Err(NameFault::Settings))?;
        let looking = {
            let mut last = locked(&self.last);
            let NameSettings { servers, options: how, version } = settings;
            let fresh =
                || (version.clone(), dns::tokio::Transport::custom(Destinations, servers, how));
            if last.as_ref().is_some_and(|(before, _)| *before != version) {
                tracing::info!("the system's settings for names have changed");
                *last = None;
            }
            last.get_or_insert_with(fresh).1.dial(address, options)
        };
        let Ok(looking) = looking else { return Err(NameFault::NotFound) };
        match timeout(LOOK_UP_WITHIN, looking).await {
            Ok(Ok((never, _))) => match never {},
            Ok(Err(ended)) => found(ended),
            Err(_) => Err(NameFault::NoAnswer),
        }
    }
}

/// The addresses that a lookup came upon, or why it came upon none.
fn found(ended: dns::Error<Destination>) -> Result<Vec<Multiaddr>, NameFault> {
    let (mut all, mut fault) = (Vec::new(), None);
    let mut rest = vec![ended];
    while let Some(error) = rest.pop() {
        match error {
            dns::Error::Transport(Destination(address)) => all.push(address),
            dns::Error::ResolveError(error) => fault = Some(NameFault::of_answer(&error)),
            dns::Error::MultiaddrNotSupported(_) | dns::Error::TooManyLookups => {}
            // In the order in which they were found.
            dns::Error::Dial(errors) => rest.extend(errors.into_iter().rev()),
        }
    }
    if all.is_empty() { Err(fault.unwrap_or(NameFault::NotFound)) } else { Ok(all) }
}

/// A transport that sets up no link: whatever is dialled is where a lookup led. libp2p looks up and dials in
/// one step, and how long each may take, and which of them failed, is to be told apart.
#[derive(Debug)]
struct Destinations;

/// Where a lookup led, in the place of an error.
#[derive(thiserror::Error)]
#[error("an address")]
struct Destination(Multiaddr);

crate::engine::secret::opaque_debug!(struct Destination(_));

impl Transport for Destinations {
    type Output = (Infallible, ());
    type Error = Destination;
    type ListenerUpgrade = Ready<Result<Self::Output, Destination>>;
    type Dial = Ready<Result<Self::Output, Destination>>;

    fn listen_on(
        &mut self,
        _: ListenerId,
        to: Multiaddr,
    ) -> Result<(), TransportError<Destination>> {
        Err(TransportError::MultiaddrNotSupported(to))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        _: DialOpts,
    ) -> Result<Self::Dial, TransportError<Destination>> {
        Ok(ready(Err(Destination(address))))
    }

    fn poll(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Destination>> {
        Poll::Pending
    }
}

/// The time for a lookup, of the ten seconds that a link has: what the resolver of most systems gives one
/// server, and a little for a second one.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(6);

/// How long a name that a server does not know is not asked for again; servers say up to a day. A guess:
/// a person who has just entered the name waits for it.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// The names that the machine itself knows.
const HOSTS: &str = "/etc/hosts";

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr, SocketAddr};

    use hickory_resolver::config::NameServerConfig;
    use libp2p::core::Endpoint;
    use libp2p::core::transport::{MemoryTransport, PortUse};
    use libp2p::core::upgrade::Version;
    use libp2p::{identity, noise};
    use tokio::net::UdpSocket;
    use tokio::task::JoinSet;

    use super::*;
    use crate::shell::net::muxer::Yamux;

    /// A transport over memory under settings that the test can change. Names lead to numbers, which it
    /// does not know: that a dial fails so shows that the name was looked up.
    struct Stage {
        transport: NamedTransport,
        settings: Arc<Mutex<Result<SocketAddr, NameFault>>>,
    }

    impl Stage {
        fn new(first: Result<SocketAddr, NameFault>) -> Self {
            let key = identity::Keypair::generate_ed25519();
            let links = MemoryTransport::default()
                .upgrade(Version::V1)
                .authenticate(noise::Config::new(&key).unwrap())
                .multiplex(Yamux { streams: 1 })
                .boxed();
            let settings = Arc::new(Mutex::new(first));
            let read = Arc::clone(&settings);
            let read = move || {
                (*locked(&read)).map(|server| {
                    let mut config = NameServerConfig::udp(server.ip());
                    config.connections.iter_mut().for_each(|by| by.port = server.port());
                    let servers = ResolverConfig::from_parts(None, vec![], vec![config]);
                    NameSettings::new(servers, ResolverOpts::default(), "")
                })
            };
            Self { transport: NamedTransport::with_settings(links, read), settings }
        }

        /// Dials; the error is none of a name if the name was found.
        async fn dial(&mut self, address: &str) -> Option<NameFault> {
            let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
            let error = match self.transport.dial(address.parse().unwrap(), options) {
                Ok(dial) => dial.await.map(drop).expect_err("nobody is there"),
                Err(TransportError::Other(error)) => error,
                Err(TransportError::MultiaddrNotSupported(_)) => io::ErrorKind::Unsupported.into(),
            };
            NameFault::of(&io::Error::other(error))
        }
    }

    /// A name server that knows `relay.test` alone; its address.
    async fn name_server(tasks: &mut JoinSet<()>) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = socket.local_addr().unwrap();
        tasks.spawn(async move {
            let mut query = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut query).await.unwrap();
                socket.send_to(&answer(&query[..length]), from).await.unwrap();
            }
        });
        at
    }

    /// An answer to a query (RFC 1035, section 4): 192.0.2.7 for an A record of `relay.test`, no record
    /// for its other ones, and no such name for others.
    fn answer(query: &[u8]) -> Vec<u8> {
        let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
        let is_known = query[12..end].starts_with(b"\x05relay\x04test\0");
        let has_record = is_known && query[end - 3] == 1;
        let mut answer = query[..end].to_vec();
        (answer[2], answer[3]) = (0x81, if is_known { 0x80 } else { 0x83 });
        answer[4..12].copy_from_slice(&[0, 1, 0, u8::from(has_record), 0, 0, 0, 0]);
        if has_record {
            answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07");
        }
        answer
    }

    #[tokio::test]
    async fn an_address_of_numbers_is_dialled_without_a_name_server() {
        let mut stage = Stage::new(Err(NameFault::NoServer));
        assert_eq!(stage.dial("/memory/77001").await, None);
        assert_eq!(stage.dial("/dns/relay.test/tcp/1").await, Some(NameFault::NoServer));
    }

    #[tokio::test]
    async fn settings_that_change_are_those_of_the_next_dial() {
        let mut tasks = JoinSet::new();
        let server = name_server(&mut tasks).await;
        let mut stage = Stage::new(Err(NameFault::NoServer));
        assert_eq!(stage.dial("/dns4/relay.test/tcp/1").await, Some(NameFault::NoServer));
        *locked(&stage.settings) = Ok(server);
        assert_eq!(stage.dial("/dns4/relay.test/tcp/1").await, None);
        // The one server gives way to another, which is asked although the first knew the name.
        let deaf = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 1);
        *locked(&stage.settings) = Ok(deaf);
        assert_eq!(stage.dial("/dns4/relay.test/tcp/1").await, Some(NameFault::NoAnswer));
        *locked(&stage.settings) = Ok(server);
        assert_eq!(stage.dial("/dns4/relay.test/tcp/1").await, None);
    }

    #[tokio::test]
    async fn a_name_that_nobody_has_is_told_from_a_server_that_does_not_answer() {
        let mut tasks = JoinSet::new();
        let mut stage = Stage::new(Ok(name_server(&mut tasks).await));
        assert_eq!(stage.dial("/dns/other.test/tcp/1").await, Some(NameFault::NotFound));
        assert_eq!(stage.dial("/dns/relay.test/udp/1/quic-v1").await, None);
    }

    #[test]
    fn where_a_lookup_led_is_in_no_log() {
        let address = "/ip4/192.0.2.7/tcp/1".parse().unwrap();
        assert_eq!(format!("{:?}", Destination(address)), "Destination");
    }

    #[test]
    fn the_settings_of_this_system_are_read_or_refused_with_a_reason() {
        match NameSettings::of_system() {
            Ok(settings) => {
                let again = NameSettings::of_system().map(|again| again.version);
                assert_eq!(again, Ok(settings.version), "they have not changed");
            }
            Err(fault) => assert!(fault.is_ours()),
        }
    }
}
