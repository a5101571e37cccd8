//! The transports: how bytes travel, which transport key is at the other end, and many streams over
//! one link.
//!
//! Every link is encrypted and both ends prove their transport keys; there is no way to build one
//! without. How long setting a link up may take is the door's affair ([`super::door`]).

use core::net::{IpAddr, Ipv6Addr};
use std::io;
use std::net::TcpListener;

use libp2p::{
    Multiaddr, PeerId, Transport as _,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, MemoryTransport, OrTransport, upgrade::Version},
    },
    identity,
    multiaddr::Protocol,
    noise, tcp,
};

use super::NetError;
use super::address_range::RangeNumbers;
use super::door::BoundedSocket;
use super::muxer::{Metered, Patience, Yamux};
use super::names::NamedTransport;
use super::quic::QuicTransport;
use super::settings::{NetSettings, Transport};

/// A transport that needs nothing more than to be given to a swarm.
pub(super) type BoxedTransport = Boxed<(PeerId, StreamMuxerBox)>;

/// Streams open at a time on one link: yamux counts those of both sides together and ends a link
/// that has more. Gossip, ping and identify need two each, exchanges four
/// (`NetLimits::exchanges_per_link`); every stream may hold `muxer::WINDOW` bytes of a peer's.
const STREAMS: usize = 16;

const YAMUX: Yamux = Yamux { streams: STREAMS };

/// The transport that the settings name, under the transport key `key`, each link under the rules of
/// [`muxer`](super::muxer).
///
/// # Errors
/// When noise or QUIC cannot be set up.
pub(super) fn build_transport(
    settings: &NetSettings,
    key: &identity::Keypair,
    ranges: RangeNumbers,
) -> Result<BoxedTransport, NetError> {
    let patience = Patience::from(&settings.pace);
    let links = match settings.transport {
        Transport::Internet => internet(key, ranges)?,
        Transport::Memory => MemoryTransport::default()
            .upgrade(Version::V1)
            .authenticate(noise(key)?)
            .multiplex(YAMUX)
            .boxed(),
    };
    Ok(links.map(move |(peer, link), _| (peer, Metered::around(link, patience))).boxed())
}

/// TCP and QUIC, the latter with its own encryption, and names through the system's resolver.
fn internet(key: &identity::Keypair, ranges: RangeNumbers) -> Result<BoxedTransport, NetError> {
    // Nagle's algorithm would hold small frames back for an acknowledgement.
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(|socket, _| BoundedSocket(socket))
        .upgrade(Version::V1)
        .authenticate(noise(key)?)
        .multiplex(YAMUX)
        .boxed();
    let quic = QuicTransport::new(key, ranges)?.boxed();
    // Around both, and not in each: names are looked up once, and only if an address has one.
    let both = OrTransport::new(quic, tcp).map(|either, _| either.into_inner()).boxed();
    Ok(NamedTransport::new(both).boxed())
}

/// Checks that no program listens on a TCP address yet. The transport itself would share a taken
/// port with the other program, and each would then get some of the connections.
///
/// # Errors
/// The system's error for the address.
pub(super) fn is_free(address: &Multiaddr) -> io::Result<()> {
    // Not an error of the address: listening at it is skipped on such a machine.
    if is_any_ipv6(address) && !has_ipv6() {
        return Ok(());
    }
    let mut parts = address.iter();
    let place: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    // QUIC binds its UDP port for itself alone, and says so when it is taken.
    let Some(Protocol::Tcp(port)) = parts.next() else { return Ok(()) };
    TcpListener::bind((place, port)).map(drop)
}

/// Whether an address stands for all IPv6 addresses of the machine. A machine without any has
/// nothing to listen at then, and that is no error.
pub(super) fn is_any_ipv6(address: &Multiaddr) -> bool {
    matches!(address.iter().next(), Some(Protocol::Ip6(ip)) if ip.is_unspecified())
}

/// Whether this machine has IPv6 at all.
pub(super) fn has_ipv6() -> bool {
    // The loopback address is there wherever the system's IPv6 is on, whatever the network offers.
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn noise(key: &identity::Keypair) -> Result<noise::Config, NetError> {
    noise::Config::new(key).map_err(|error| NetError::Protocol(error.to_string()))
}
