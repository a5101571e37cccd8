//! Who gets a place when many want one.

use core::future::Future;
use core::net::Ipv4Addr;
use core::pin::pin;
use core::time::Duration;

use futures::future::{join_all, select_all};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use undertone::engine::node::input::Input;
use undertone::shell::net::{DisconnectReason, Multiaddr, Net, NetEvent, NetSettings, Transport};

use crate::attacker::{Attacker, open_streams};
use crate::forward::{Forward, has_many_addresses, socket};
use crate::world::{DEADLINE, TOPIC, accept, drive, envelope, in_time, meet, settings};

/// An address that is not the one that everything else here comes from.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 9, 0, 1);

pub(crate) fn internet() -> NetSettings {
    let mut settings = settings();
    settings.transport = Transport::Internet;
    settings
}

/// A node with these settings that listens at a TCP and a QUIC port, and both.
pub(crate) async fn listening(mut settings: NetSettings) -> (Net, Multiaddr, Multiaddr) {
    let at = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"];
    settings.listen = at.map(|text| text.parse().expect("an address")).to_vec();
    let mut nets = [Net::new(settings).expect("a node")];
    let mut found = Vec::new();
    drive(&mut nets, "both addresses", |_, event, _| {
        if let NetEvent::Listening(address) = event {
            found.push(address);
        }
        (found.len() == 2).then_some(())
    })
    .await;
    found.sort_by_key(|address| address.to_string().contains("udp"));
    let quic = found.remove(1);
    let [net] = nets;
    (net, found.remove(0), quic)
}

/// A node that keeps this one.
fn newcomer(at: &Multiaddr) -> Net {
    let mut settings = internet();
    settings.peers = vec![at.clone()];
    Net::new(settings).expect("a node")
}

/// Drives the first node and a newcomer until that has a neighbour.
pub(crate) async fn gets_in(net: &mut Net, at: &Multiaddr) -> Net {
    let mut newcomer = newcomer(at);
    in_time("the newcomer to get in", async {
        while newcomer.peers() == 0 {
            tokio::select! {
                event = net.next() => drop(event),
                event = newcomer.next() => drop(event),
            }
        }
    })
    .await;
    newcomer
}

/// Drives a node for as long as this takes.
pub(crate) async fn beside<T>(net: &mut Net, what: &str, wait: impl Future<Output = T>) -> T {
    in_time(what, async {
        let mut wait = pin!(wait);
        loop {
            tokio::select! {
                done = &mut wait => return done,
                event = net.next() => drop(event),
            }
        }
    })
    .await
}

/// Drives a node until it has so many neighbours: each side counts the other when it passes on to it,
/// one a little later than the other.
pub(crate) async fn counts(net: &mut Net, peers: usize) {
    in_time("a number of neighbours", async {
        while net.peers() != peers {
            drop(net.next().await);
        }
    })
    .await;
}

/// Waits until the other side closes a connection.
async fn end(mut silent: TcpStream) {
    // Its end, or that it was cut off: both are an end.
    silent.read_to_end(&mut Vec::new()).await.ok();
}

#[tokio::test]
async fn whoever_asks_for_protocols_without_end_is_cut_off_after_some_kilobytes() {
    let mut settings = internet();
    // No time that is over helps.
    settings.pace.handshake_in = 2 * DEADLINE;
    let (mut net, tcp, _) = listening(settings).await;
    let talk = async {
        let stream = TcpStream::connect(socket(&tcp)).await.expect("a connection");
        let (mut read, mut write) = stream.into_split();
        let ask = async {
            write.write_all(b"\x13/multistream/1.0.0\n").await.ok();
            while write.write_all(&b"\x03/x\n".repeat(100)).await.is_ok() {}
        };
        let mut heard = Vec::new();
        drop(tokio::join!(ask, read.read_to_end(&mut heard)));
        heard.len()
    };
    let answered = beside(&mut net, "the end of the link", talk).await;
    // A line that is asked for has four bytes, and so has what answers it.
    assert!(answered <= 2 << 10, "{answered}");
}

#[tokio::test]
async fn whoever_opens_streams_without_end_is_parted_with_and_delays_nobody_until_then() {
    let (mut net, tcp, _) = listening(internet()).await;
    let attack = open_streams(socket(&tcp));
    let opened = beside(&mut net, "the end of the link", attack).await;
    // A thousand are taken until then; what else was written lies in buffers of the system: 7,000 in
    // all. Without a pace it was 300,000, until the link ended because it reads nothing.
    assert!(opened < 50_000, "{opened}");
    // While others do it, too.
    let others: JoinSet<_> = (0..4).map(|_| open_streams(socket(&tcp))).collect();
    let friend = gets_in(&mut net, &tcp).await;
    drop((friend, others));
}

#[tokio::test]
async fn silent_connections_keep_nobody_out_and_the_oldest_give_way() {
    let mut settings = internet();
    // No time that is over helps.
    settings.pace.handshake_in = 2 * DEADLINE;
    let (mut net, tcp, quic) = listening(settings).await;
    let to = socket(&tcp);
    let connects = join_all((0..300).map(|_| TcpStream::connect(to)));
    let silent = beside(&mut net, "300 connections", connects).await;
    let by_tcp = gets_in(&mut net, &tcp).await;
    let by_quic = gets_in(&mut net, &quic).await;
    counts(&mut net, 2).await;
    // 128 have a place at a time.
    let mut ends: JoinSet<()> =
        silent.into_iter().map(|made| end(made.expect("a connection"))).collect();
    beside(&mut net, "172 of them to be closed", async {
        for _ in 0..172 {
            ends.join_next().await;
        }
    })
    .await;
    drop((by_tcp, by_quic));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_when_its_time_is_up() {
    let mut settings = internet();
    settings.pace.handshake_in = Duration::from_millis(300);
    let (mut net, tcp, _) = listening(settings).await;
    let silent = TcpStream::connect(socket(&tcp)).await.expect("a connection");
    beside(&mut net, "the end of it", end(silent)).await;
}

#[tokio::test]
async fn forty_behind_one_address_take_part_and_nobody_is_parted_with() {
    if !has_many_addresses() {
        return;
    }
    let (net, tcp, _) = listening(internet()).await;
    let behind = Forward::tcp(ELSEWHERE, socket(&tcp)).await;
    let mut nets = vec![net];
    nets.extend((0..40).map(|_| newcomer(&behind.at)));
    let mut wanted = vec![1; 41];
    wanted[0] = 40;
    let all = |nets: &[Net]| nets.iter().zip(&wanted).all(|(net, &count)| net.peers() == count);
    in_time("all to meet", async {
        while !all(&nets) {
            let (event, _, _) = select_all(nets.iter_mut().map(|net| Box::pin(net.next()))).await;
            if let NetEvent::Disconnected { why, .. } = event {
                panic!("parted: {why:?}");
            }
        }
    })
    .await;
    nets[1].publish(envelope(b"from behind"));
    drive(&mut nets, "the envelope", |index, event, net| {
        if let NetEvent::Disconnected { why, .. } = event {
            panic!("parted: {why:?}");
        }
        accept(net, event).filter(|_| index == 0)
    })
    .await;
}

/// Silent neighbours from three addresses take all TCP places of a node, which has eight.
/// Of those it keeps two for whoever was first: one at the second address, one at the third. So the first
/// has most of the others.
async fn crowded() -> (Net, [Multiaddr; 2], Vec<Forward>, Vec<Attacker>) {
    let mut settings = internet();
    settings.limits.incoming = 8;
    let (mut net, tcp, quic) = listening(settings).await;
    let (mut forwards, mut crowd) = (Vec::new(), Vec::new());
    for host in 1..=3 {
        forwards.push(Forward::tcp(Ipv4Addr::new(127, 8, 0, host), socket(&tcp)).await);
    }
    for (number, host) in [1, 2, 0, 1, 2, 0, 0, 0].into_iter().enumerate() {
        let mut attacker = Attacker::new(&forwards[host].at, TOPIC);
        in_time("it to join", async {
            while net.peers() <= number {
                tokio::select! {
                    event = net.next() => drop(event),
                    () = attacker.parted() => panic!("parted with at once"),
                }
            }
        })
        .await;
        crowd.push(attacker);
    }
    (net, [tcp, quic], forwards, crowd)
}

#[tokio::test]
async fn silent_neighbours_give_way_by_their_addresses_and_quic_has_places_of_its_own() {
    if !has_many_addresses() {
        return;
    }
    let (mut net, [tcp, quic], _forwards, mut crowd) = crowded().await;
    let by_quic = gets_in(&mut net, &quic).await;
    // Nobody gave way for it.
    counts(&mut net, 9).await;
    let mut newcomer = newcomer(&tcp);
    let mut parted = 0;
    in_time("one of the crowd to give way", async {
        let mut gone =
            Box::pin(select_all(crowd.iter_mut().map(|silent| Box::pin(silent.parted()))));
        let mut left = None;
        while newcomer.peers() == 0 || left.is_none() || parted == 0 || net.peers() < 9 {
            tokio::select! {
                event = net.next() => {
                    if let NetEvent::Disconnected { why, .. } = event {
                        assert_eq!(why, DisconnectReason::MadeRoom);
                        parted += 1;
                    }
                }
                event = newcomer.next() => drop(event),
                ((), which, _) = &mut gone, if left.is_none() => left = Some(which),
            }
        }
        assert_eq!(left, Some(2), "the one that was there for longest, of those at the first");
    })
    .await;
    assert_eq!(parted, 1, "told of once");
    drop(by_quic);
}

#[tokio::test]
async fn a_neighbour_that_brought_an_envelope_stays_whoever_comes() {
    if !has_many_addresses() {
        return;
    }
    let mut settings = internet();
    settings.limits.incoming = 4;
    settings.pace.lease = Duration::ZERO;
    let (net, tcp, _) = listening(settings).await;
    let behind = Forward::tcp(ELSEWHERE, socket(&tcp)).await;
    let mut nets = vec![net, newcomer(&behind.at)];
    meet(&mut nets, &[1, 1]).await;
    nets[1].publish(envelope(b"useful"));
    drive(&mut nets, "the envelope", |_, event, net| accept(net, event)).await;
    // From its own address, fifty silent ones, of which three can have a place at a time.
    let mut crowd = JoinSet::new();
    for _ in 0..50 {
        let at = behind.at.clone();
        crowd.spawn(async move { Attacker::new(&at, TOPIC).parted().await });
    }
    in_time("forty-seven of fifty to give way", async {
        let mut gone = 0;
        while gone < 47 {
            let next = select_all(nets.iter_mut().map(|net| Box::pin(net.next())));
            tokio::select! {
                (event, index, _) = next => match event {
                    NetEvent::Engine(Input::Peers(peers)) if index == 1 => {
                        assert!(!peers.is_empty(), "after {gone}");
                    }
                    NetEvent::Disconnected { why, .. } => {
                        assert_eq!((index, why), (0, DisconnectReason::MadeRoom));
                    }
                    _ => {}
                },
                Some(_) = crowd.join_next() => gone += 1,
            }
        }
    })
    .await;
    assert_eq!(nets[1].peers(), 1);
}
