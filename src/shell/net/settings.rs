//! The network's settings: its name, the peers to reach, the addresses to listen at.
//!
//! Nothing here is checked again later: a [`NetworkName`] that exists is a good one. Every pace and
//! every limit is a named number with its source; none depends on what peers send.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use crate::engine::env::UnixSeconds;
use crate::engine::secret::opaque_debug;
use crate::shell::os::clock;
use libp2p::{Multiaddr, gossipsub};

/// Everything [`super::Net`] needs to know at its start.
#[derive(Clone)]
pub struct NetSettings {
    /// The network's name: nodes with different names never exchange envelopes.
    pub network: NetworkName,
    /// The least work this network carries, in leading zero bits; part of the gossip topic, so that
    /// nodes which disagree on it never meet and never blame each other.
    pub floor_bits: u8,
    /// The addresses to listen at. Empty: this node cannot be dialled.
    pub listen: Vec<Multiaddr>,
    /// The peers to keep connected: dialled again after every failure. With `/p2p/ID` at the end,
    /// that transport key alone is accepted; as keys are made afresh at each start, that lasts
    /// until the peer restarts.
    pub peers: Vec<Multiaddr>,
    /// Whether to look for others on the local network.
    pub lan: LanDiscovery,
    /// The carrier of the links.
    pub transport: Transport,
    /// The most of the machine's resources that the network takes.
    pub limits: NetLimits,
    /// Intervals and timeouts, and the clock.
    pub pace: NetTiming,
}

opaque_debug!(struct NetSettings { network, floor_bits, listen, peers, lan, transport, limits, pace });

impl NetSettings {
    /// Settings for a network, without peers to reach and addresses to listen at.
    #[must_use]
    pub fn new(network: NetworkName, floor_bits: u8) -> Self {
        Self {
            network,
            floor_bits,
            listen: Vec::new(),
            peers: Vec::new(),
            lan: LanDiscovery::Off,
            transport: Transport::Internet,
            limits: NetLimits::default(),
            pace: NetTiming::default(),
        }
    }
}

/// The name that sets one Undertone network apart from another: 1 to 32 of `a-z`, `0-9` and `-`.
///
/// So small an alphabet, because the name is part of a protocol string that others compare byte by
/// byte and that people type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkName(String);

impl NetworkName {
    /// Bytes in the longest name. A guess: long enough for a domain-like name.
    pub const LONGEST: usize = 32;

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for NetworkName {
    /// The network of everybody who names none.
    fn default() -> Self {
        Self("main".to_owned())
    }
}

impl FromStr for NetworkName {
    type Err = NetworkNameError;

    fn from_str(name: &str) -> Result<Self, NetworkNameError> {
        // Lower case alone: two people who type one name in two ways would be in two networks.
        let fits = (1..=Self::LONGEST).contains(&name.len());
        let plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !fits || !plain {
            return Err(NetworkNameError);
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no network name; ask for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network name has 1 to 32 of the characters a-z, 0-9 and -")]
pub struct NetworkNameError;

/// Whether to look for others on the local network, by multicast DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanDiscovery {
    /// Tell the local network nothing.
    Off,
    /// Ask and answer there: every machine on it can see that this program runs here.
    On,
}

/// The carrier of the links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP and QUIC, and names looked up in DNS when an address has one.
    Internet,
    /// Channels within this process; addresses are `/memory/N`.
    Memory,
}

/// The most of the machine's resources that the network takes.
#[derive(Clone, Copy, Debug)]
pub struct NetLimits {
    /// Connections of each kind (TCP, QUIC) that others opened to us.
    pub incoming: usize,
    /// Connections we opened.
    pub outgoing: usize,
    /// Links of each kind (TCP, QUIC) that others began and that do not stand yet.
    pub waiting: usize,
    /// Exchanges of one request and one response at a time on one link, begun by either side.
    pub exchanges_per_link: usize,
    /// Requests of others that are read and answered at a time, on all links together.
    pub exchanges: usize,
}

impl NetLimits {
    /// The most neighbours at a time.
    pub(super) const fn neighbours(&self) -> usize {
        self.incoming.saturating_mul(2).saturating_add(self.outgoing)
    }
}

impl Default for NetLimits {
    fn default() -> Self {
        Self {
            // Of both kinds twelve times eight: a public relay serves more than it needs. A guess;
            // idle they cost 38 MiB.
            incoming: 48,
            // Twice the neighbours that learnt addresses are dialled for. A guess.
            outgoing: 16,
            // At 194 connections a minute (seen in an attack from one address) one from the same
            // address still has 40 s; both kinds and all neighbours stay below the 1,024 files
            // that systems usually allow.
            waiting: 128,
            // Two of each side; with gossip, ping and identify ten of a link's streams.
            exchanges_per_link: 4,
            // Each holds a request and a response, 0.4 MiB at most: 24 MiB. A guess.
            exchanges: 64,
        }
    }
}

/// Intervals and timeouts, which tests alone shorten, and the clock, which they set.
#[derive(Clone, Copy, Debug)]
pub struct NetTiming {
    /// The interval at which overdue neighbours are disconnected and due addresses dialled.
    pub tick: Duration,
    /// The longest that others take to set a link to us up.
    pub handshake_in: Duration,
    /// The longest that we take to set a link up, with looking its name up.
    pub handshake_out: Duration,
    /// The time in which a new neighbour gives its place to nobody whose range of addresses has as
    /// many places already.
    pub lease: Duration,
    /// The longest a neighbour may stay connected without joining the flood.
    pub join: Duration,
    /// How long a neighbour that joined is waited for to say that it passes the flood on to us.
    pub greeting: Duration,
    /// The mean time between two signs of life that we give.
    pub heartbeat: Duration,
    /// The silence of a neighbour that gave signs of life after which its stream counts as dead.
    pub silence: Duration,
    /// The longest that a request and its response take, from the first byte to the last.
    pub exchange: Duration,
    /// The time in which a neighbour that takes next to nothing of what waits for it is parted with.
    pub stall: Duration,
    /// The time for which a neighbour that is far behind is passed nothing on to, at least.
    pub pause: Duration,
    /// The longest that closing a connection takes.
    pub farewell: Duration,
    /// A connection that we dialled and that stood in the flood for so long was a good one: the wait
    /// after it ends begins anew.
    pub stood: Duration,
    /// The wait after the first failed dial; each further failure doubles it.
    pub first_retry: Duration,
    /// The longest wait between two dials.
    pub longest_retry: Duration,
    /// The wall clock, by which envelopes come in time or not.
    pub wall: fn() -> UnixSeconds,
}

impl Default for NetTiming {
    fn default() -> Self {
        Self {
            // Gossipsub's own heartbeat.
            tick: Duration::from_secs(1),
            // Noise over TCP needs four to five round trips: of a second each, as through Tor.
            handshake_in: Duration::from_secs(5),
            // As much again for connecting through Tor. A guess.
            handshake_out: Duration::from_secs(10),
            // Time to join and to begin catching up. Not longer: if a quarter of the places goes
            // round, two newcomers a second get in even from an attacker's own address.
            lease: Duration::from_secs(5),
            // Time for the slowest handshake six times over. A guess.
            join: Duration::from_secs(30),
            // It says so in its next frame, if it ever does. A round trip of the slowest link. A guess.
            greeting: Duration::from_secs(1),
            // 60 bytes to each neighbour each minute: less than ping already costs.
            heartbeat: Duration::from_secs(60),
            // Three beats at their longest (1.25 times the mean), rounded up.
            silence: Duration::from_secs(240),
            // The longest response at 16 KiB a second.
            exchange: Duration::from_secs(20),
            // As long as ping waits for an answer.
            stall: Duration::from_secs(20),
            // Time to take what waits. A guess.
            pause: Duration::from_secs(10),
            // A round trip of the slowest link and what waits in it. A guess.
            farewell: Duration::from_secs(2),
            // A relay that more want than it has places for would be dialled each second by those
            // that gave way. A guess.
            stood: Duration::from_secs(60),
            // A relay that restarts is back within seconds.
            first_retry: Duration::from_secs(1),
            // Often enough to be found the same evening, seldom enough to be no burden. A guess.
            longest_retry: Duration::from_secs(300),
            wall: clock::wall,
        }
    }
}

/// The names of a network's two gossipsub topics and of its own protocol.
#[derive(Clone)]
pub(super) struct ProtocolNames {
    /// Carries the envelopes.
    pub(super) flood: gossipsub::IdentTopic,
    /// Carries nothing: joining and leaving it is the sign of life (see `behaviour`).
    pub(super) heartbeat: gossipsub::IdentTopic,
    /// The protocol by which neighbours catch up with each other.
    pub(super) sync: String,
}

impl ProtocolNames {
    /// The names for a network with this name and floor.
    pub(super) fn new(network: &NetworkName, floor_bits: u8) -> Self {
        // The 2 is the version of everything behind it: envelope, work and id.
        let flood = format!("/undertone/2/{network}/{floor_bits}");
        let heartbeat = gossipsub::IdentTopic::new(format!("{flood}/beat"));
        let sync = format!("{flood}/sync");
        Self { flood: gossipsub::IdentTopic::new(flood), heartbeat, sync }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_text};

    #[test]
    fn topics_and_protocol_name_version_network_and_floor() {
        let name = "main".parse().expect("a good name");
        let names = ProtocolNames::new(&name, 21);
        assert_eq!(names.flood.hash().as_str(), "/undertone/2/main/21");
        assert_eq!(names.heartbeat.hash().as_str(), "/undertone/2/main/21/beat");
        assert_eq!(names.sync, "/undertone/2/main/21/sync");
    }

    proptest::proptest! {
        #[test]
        fn a_network_name_is_short_and_plain_or_refused(text in ".{0,40}") {
            let plain = text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            let good = plain && !text.is_empty() && text.len() <= NetworkName::LONGEST;
            let parsed = text.parse::<NetworkName>();
            proptest::prop_assert_eq!(parsed.is_ok(), good);
            if let Ok(name) = parsed {
                proptest::prop_assert_eq!(name.as_str(), text);
            }
        }

        #[test]
        fn a_plain_name_reads_back(text in "[a-z0-9-]{1,32}") {
            let name: NetworkName = text.parse().expect("a good name");
            proptest::prop_assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn changed_at_random_a_name_is_plain_and_short_or_none() {
        each_text(&["main", "a-1", "0123456789abcdef0123456789abcdef"], |text| {
            let read: Result<NetworkName, _> = text.parse();
            let plain = |name: &NetworkName| name.as_str().bytes().all(|b| b.is_ascii_graphic());
            assert!(read.as_ref().map_or(true, plain));
            Reading::again(read.ok(), |name| name.to_string())
        });
    }
}
