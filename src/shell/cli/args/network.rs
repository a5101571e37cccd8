//! Settings of a node that joins a network: as they were given, and with what counts if they were not.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use clap::Args;

use super::values::{LineArg, RateArg, parse_address, parse_threads, work_parser};
use crate::engine::envelope::Floor;
use crate::engine::price::{Step, line};
use crate::engine::secret::opaque_debug;
use crate::engine::settings::DEFAULT_HIGHEST_STEP;
use crate::shell::client::GivenOption;
use crate::shell::net::{Multiaddr, NetworkName};

/// Settings of a node that joins a network, as far as they were given.
#[derive(Args, Clone, Default)]
pub struct NetworkFlags {
    /// Stay connected to this peer, such as /ip4/192.0.2.7/tcp/4141. Can be repeated.
    #[arg(long = "peer", value_name = "MULTIADDR", value_parser = parse_address)]
    pub peers: Vec<Multiaddr>,
    /// Accept connections on this address, such as /ip4/0.0.0.0/udp/4141/quic-v1. Can be repeated.
    #[arg(long = "listen", value_name = "MULTIADDR", value_parser = parse_address)]
    pub listen: Vec<Multiaddr>,
    /// Find peers on the local network. Everybody on it can see that Undertone runs here.
    #[arg(long)]
    pub lan: bool,
    /// Name of the network. Nodes of different networks exchange nothing [default: main].
    #[arg(long, value_name = "NAME")]
    pub network: Option<NetworkName>,
    /// Minimum proof of work of the network, in bits, for 2 KiB with a lifetime of one day
    /// [default: 24].
    #[arg(
        long, value_name = "BITS", allow_negative_numbers = true,
        value_parser = clap::value_parser!(u8).range(0..=i64::from(Floor::MAX_BITS))
    )]
    pub floor: Option<u8>,
    /// Pass on at most this many envelopes of 2 KiB per second, averaged over two minutes; a larger one
    /// counts once for each 2 KiB. When more arrives, only what shows more proof of work is passed on
    /// [default: 16].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub line: Option<LineArg>,
    /// Send encrypted junk at random times, this often on average, such as 2/min, to hide when you
    /// write. While the network asks for more work than --max-work, none is sent.
    #[arg(long, value_name = "RATE")]
    pub junk: Option<RateArg>,
    /// The most proof of work that the node does for an envelope, in times of the usual: for messages
    /// without a limit of their own, acknowledgements, contact requests and junk; before "send" also
    /// the limit of its message. While the network is busy and asks for more, they wait for a lower
    /// price; 256 is the most that is ever asked [default: 8].
    #[arg(
        long, value_name = "TIMES", allow_negative_numbers = true, value_parser = work_parser()
    )]
    pub max_work: Option<Step>,
    /// Compute proof of work on at most this many processors at once, at the lowest priority; on half
    /// of them while the computer runs on its battery [default: all but one].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_threads)]
    pub mining_threads: Option<usize>,
}

opaque_debug!(struct NetworkFlags {
    peers, listen, lan, network, floor, line, junk, max_work, mining_threads,
});

impl NetworkFlags {
    /// These, and those that were given after the name of the command, which win.
    pub(super) fn followed_by(self, after: Self) -> Self {
        Self {
            peers: [self.peers, after.peers].concat(),
            listen: [self.listen, after.listen].concat(),
            lan: self.lan || after.lan,
            network: after.network.or(self.network),
            floor: after.floor.or(self.floor),
            line: after.line.or(self.line),
            junk: after.junk.or(self.junk),
            max_work: after.max_work.or(self.max_work),
            mining_threads: after.mining_threads.or(self.mining_threads),
        }
    }

    /// The first that was given of those that are about the work for what a node itself sends.
    pub(super) fn first_about_work(&self) -> Option<&'static str> {
        let given = [
            ("--max-work", self.max_work.is_some()),
            ("--mining-threads", self.mining_threads.is_some()),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }

    /// The first of them that was given.
    pub(super) fn first_given(&self) -> Option<&'static str> {
        let Self { peers, listen, lan, network, floor, line, junk, max_work, mining_threads } =
            self;
        let given = [
            ("--peer", !peers.is_empty()),
            ("--listen", !listen.is_empty()),
            ("--lan", *lan),
            ("--network", network.is_some()),
            ("--floor", floor.is_some()),
            ("--line", line.is_some()),
            ("--junk", junk.is_some()),
            ("--max-work", max_work.is_some()),
            ("--mining-threads", mining_threads.is_some()),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }
}

/// Settings of a node that joins a network.
#[derive(Clone)]
pub struct NetworkArgs {
    /// Peers to stay connected to.
    pub peers: Vec<Multiaddr>,
    /// Addresses to accept connections on.
    pub listen: Vec<Multiaddr>,
    /// Whether to find peers on the local network.
    pub lan: bool,
    /// Name of the network.
    pub network: NetworkName,
    /// Minimum proof of work of the network, in bits.
    pub floor: u8,
    /// The blocks a second to pass on at most.
    pub line: NonZeroU32,
    /// How often to send junk.
    pub junk: Option<RateArg>,
    /// The most work for an envelope without a limit of its own.
    pub max_work: Step,
    /// The most threads on which to search for work, if they were said.
    pub mining_threads: Option<usize>,
    /// Which of them were given.
    pub given: BTreeSet<GivenOption>,
}

opaque_debug!(struct NetworkArgs {
    peers, listen, lan, network, floor, line, junk, max_work, mining_threads, given,
});

impl From<NetworkFlags> for NetworkArgs {
    fn from(flags: NetworkFlags) -> Self {
        let NetworkFlags {
            peers,
            listen,
            lan,
            network,
            floor,
            line,
            junk,
            max_work,
            mining_threads,
        } = flags;
        let given = [
            (GivenOption::Peer, !peers.is_empty()),
            (GivenOption::Listen, !listen.is_empty()),
            (GivenOption::Lan, lan),
            (GivenOption::Line, line.is_some()),
            (GivenOption::Junk, junk.is_some()),
            (GivenOption::MaxWork, max_work.is_some()),
            (GivenOption::MiningThreads, mining_threads.is_some()),
        ];
        Self {
            given: given
                .into_iter()
                .filter_map(|(option, given)| given.then_some(option))
                .collect(),
            peers,
            listen,
            lan,
            network: network.unwrap_or_default(),
            floor: floor.unwrap_or_else(|| Floor::DEFAULT.bits()),
            line: line.map_or(line::DEFAULT, |LineArg(blocks)| blocks),
            junk,
            max_work: max_work.unwrap_or(DEFAULT_HIGHEST_STEP),
            mining_threads,
        }
    }
}
