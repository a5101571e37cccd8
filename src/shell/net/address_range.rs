//! Ranges of addresses, as the engine knows them: numbers that tell nothing of an address.

use core::hash::BuildHasher as _;
use core::net::{Ipv4Addr, Ipv6Addr};
use std::hash::RandomState;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::engine::id::{AddressPath, AddressRange};

/// The ranges in a path of addresses: a network, one part of it, one address.
pub(super) const PATH: usize = 3;

/// In a path, the range that may be one person's: a street (IPv4 /24, IPv6 /64).
pub(super) const STREET: usize = 1;

/// Numbers the ranges that addresses are in, with a key of this process. Clones have the same key.
#[derive(Clone)]
pub(super) struct RangeNumbers(RandomState);

/// Where a neighbour is, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) range: AddressRange,
    pub(super) path: AddressPath,
}

/// What makes addresses one range: what one person can easily have many addresses in.
#[derive(Hash)]
enum Range {
    /// IPv4 by its first 16 bits: the usual size of what one hoster or network has at one place.
    V4([u8; 2]),
    /// IPv6 by its first 32 bits: the least that a registry gives to a network.
    V6([u8; 4]),
    /// A channel within this process: each is its own.
    Memory(u64),
    /// An address of this machine, or of the local network, that nobody elsewhere can have: each is
    /// its own, with its port. Otherwise all nodes on one machine would be one voice.
    Here(String),
    /// Anything else by its first part: a name, which is what was dialled.
    Other(Option<String>),
}

impl RangeNumbers {
    /// Numbers under a fresh key.
    pub(super) fn new() -> Self {
        Self(RandomState::new())
    }

    /// The number of the range that the remote address of a connection is in. Two ranges have one
    /// number with probability 2^-64.
    ///
    /// A connection through a relay has the relay's address: all who come that way are one range.
    fn of(&self, remote: &Multiaddr) -> AddressRange {
        AddressRange(self.0.hash_one(range(remote)))
    }

    /// Both numbers of the remote address of a connection.
    pub(super) fn origin(&self, remote: &Multiaddr) -> Origin {
        Origin { range: self.of(remote), path: AddressPath(self.path(remote)) }
    }

    /// The numbers of the ranges that a remote address is in, the widest first: of IPv4 the first 16
    /// and 24 bits and all of it, of IPv6 the first 32, 64 and all. 24 and 64 bits are what one
    /// person can have without effort; the widest, because those are cheap by the dozen.
    ///
    /// Addresses of this machine and of the local network are taken as they are: behind an onion
    /// service everybody is 127.0.0.1, and nothing tells them apart.
    pub(super) fn path(&self, remote: &Multiaddr) -> [u64; PATH] {
        match remote.iter().next() {
            Some(Protocol::Ip4(address)) => self.path_v4(address),
            Some(Protocol::Ip6(address)) => match address.to_ipv4_mapped() {
                Some(mapped) => self.path_v4(mapped),
                None => {
                    let [a, b, c, d, ..] = address.segments();
                    [
                        self.0.hash_one([a, b]),
                        self.0.hash_one([a, b, c, d]),
                        self.0.hash_one(address),
                    ]
                }
            },
            // A channel within this process, or a name, which is what was dialled.
            other => [self.0.hash_one(other.map(|part| part.to_string())); PATH],
        }
    }

    fn path_v4(&self, address: Ipv4Addr) -> [u64; PATH] {
        let [a, b, c, _] = address.octets();
        [self.0.hash_one([a, b]), self.0.hash_one([a, b, c]), self.0.hash_one(address)]
    }
}

fn range(remote: &Multiaddr) -> Range {
    match remote.iter().next() {
        Some(Protocol::Ip4(address)) if is_here(address) => Range::Here(remote.to_string()),
        Some(Protocol::Ip4(address)) => v4(address),
        Some(Protocol::Ip6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) if is_here(mapped) => Range::Here(remote.to_string()),
            Some(mapped) => v4(mapped),
            None if address.is_loopback() || address.is_unicast_link_local() => {
                Range::Here(remote.to_string())
            }
            None => v6(address),
        },
        Some(Protocol::Memory(channel)) => Range::Memory(channel),
        other => Range::Other(other.map(|part| part.to_string())),
    }
}

const fn is_here(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_private() || address.is_link_local()
}

const fn v4(address: Ipv4Addr) -> Range {
    let [first, second, _, _] = address.octets();
    Range::V4([first, second])
}

const fn v6(address: Ipv6Addr) -> Range {
    let [first, second, third, fourth, ..] = address.octets();
    Range::V6([first, second, third, fourth])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &RangeNumbers, address: &str) -> AddressRange {
        numbers.of(&address.parse().unwrap())
    }

    #[test]
    fn addresses_that_one_person_may_have_are_one_range() {
        let numbers = RangeNumbers::new();
        let one = |addresses: &[&str]| {
            let mut ranges: Vec<_> = addresses.iter().map(|text| of(&numbers, text)).collect();
            ranges.dedup();
            assert_eq!(ranges.len(), 1, "{addresses:?}");
            ranges[0]
        };
        let ranges = [
            one(&[
                "/ip4/198.51.100.7/tcp/1",
                "/ip4/198.51.0.0/udp/2/quic-v1",
                "/ip6/::ffff:198.51.3.4/tcp/3",
            ]),
            one(&["/ip4/198.52.100.7/tcp/1"]),
            one(&["/ip6/2001:db8::1/tcp/1", "/ip6/2001:db8:ffff::2/udp/9/quic-v1"]),
            one(&["/ip6/2001:db9::1/tcp/1"]),
            one(&["/memory/7"]),
            one(&["/memory/8"]),
            one(&["/ip4/127.0.0.1/tcp/1"]),
            one(&["/ip4/127.0.0.1/tcp/2"]),
            one(&["/ip4/192.168.1.2/tcp/1"]),
            one(&["/ip4/192.168.1.3/tcp/1"]),
            one(&["/ip6/::1/tcp/1"]),
            one(&["/ip6/::1/tcp/2"]),
            one(&["/dns/relay.example/tcp/1", "/dns/relay.example/tcp/2"]),
            one(&["/dns/other.example/tcp/1"]),
        ];
        for (at, range) in ranges.iter().enumerate() {
            assert!(!ranges[..at].contains(range), "{at}");
        }
    }

    #[test]
    fn a_path_leads_from_a_network_to_an_address_whatever_the_port() {
        let numbers = RangeNumbers::new();
        let path = |text: &str| numbers.path(&text.parse().unwrap());
        let shared = |one: &str, other: &str| {
            let (one, other) = (path(one), path(other));
            (0..PATH).filter(|&depth| one[depth] == other[depth]).collect::<Vec<_>>()
        };
        let v4 = "/ip4/198.51.100.7/tcp/1";
        assert_eq!(shared(v4, "/ip4/198.51.100.7/udp/9/quic-v1"), [0, 1, 2]);
        assert_eq!(shared(v4, "/ip6/::ffff:198.51.100.7/tcp/2"), [0, 1, 2]);
        assert_eq!(shared(v4, "/ip4/198.51.100.8/tcp/1"), [0, 1]);
        assert_eq!(shared(v4, "/ip4/198.51.101.7/tcp/1"), [0]);
        assert!(shared(v4, "/ip4/198.52.100.7/tcp/1").is_empty());
        let v6 = "/ip6/2001:db8:1:2::3/tcp/1";
        assert_eq!(shared(v6, "/ip6/2001:db8:1:2::3/tcp/2"), [0, 1, 2]);
        assert_eq!(shared(v6, "/ip6/2001:db8:1:2:9::3/tcp/1"), [0, 1]);
        assert_eq!(shared(v6, "/ip6/2001:db8:1:3::3/tcp/1"), [0]);
        assert!(shared(v6, "/ip6/2001:db9:1:2::3/tcp/1").is_empty());
        assert_eq!(shared("/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"), [0, 1, 2]);
        assert_eq!(shared("/memory/1", "/memory/1"), [0, 1, 2]);
        assert!(shared("/memory/1", "/memory/2").is_empty());
        assert_ne!(path(v4), RangeNumbers::new().path(&v4.parse().unwrap()));
    }

    #[test]
    fn whoever_comes_through_a_relay_is_where_the_relay_is() {
        let numbers = RangeNumbers::new();
        let relayed = "/ip4/198.51.100.7/tcp/1/p2p-circuit";
        assert_eq!(of(&numbers, relayed), of(&numbers, "/ip4/198.51.1.1/tcp/5"));
    }

    #[test]
    fn the_numbers_of_two_processes_have_nothing_in_common() {
        let [here, there] = [RangeNumbers::new(), RangeNumbers::new()];
        let address = "/ip4/198.51.100.7/tcp/1";
        assert_eq!(of(&here, address), of(&here, address));
        assert_ne!(of(&here, address), of(&there, address));
    }

    #[test]
    fn an_address_of_nothing_is_in_some_range() {
        let numbers = RangeNumbers::new();
        assert_eq!(numbers.of(&Multiaddr::empty()), numbers.of(&Multiaddr::empty()));
    }
}
