//! Who gets a place: half-open links ([`transport`]).

mod transport;

pub(super) use transport::DoorTransport;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// Kinds of links, which are counted apart: a flood of one kind takes no place from the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LinkKind {
    /// TCP, and channels within this process.
    Stream,
    /// QUIC.
    Quic,
}

impl LinkKind {
    /// All of them.
    const ALL: [Self; 2] = [Self::Stream, Self::Quic];

    /// The kind of a link that came in at this address of ours.
    fn of(local: &Multiaddr) -> Self {
        let is_udp = |part: Protocol<'_>| matches!(part, Protocol::Udp(_));
        if local.iter().any(is_udp) { Self::Quic } else { Self::Stream }
    }
}
