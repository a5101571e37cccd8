//! Who gets a place when many want one.

use core::future::Future;
use core::net::Ipv4Addr;
use core::pin::pin;
use core::time::Duration;

use futures::future::{join_all, select_all};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use undertone::shell::net::{Multiaddr, Net, NetEvent, NetSettings, Transport};

use crate::forward::{Forward, has_many_addresses, socket};
use crate::world::{DEADLINE, accept, drive, envelope, in_time, settings};

/// An address that is not the one that everything else here comes from.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 9, 0, 1);

fn internet() -> NetSettings {
    let mut settings = settings();
    settings.transport = Transport::Internet;
    settings
}

/// A node with these settings that listens at a TCP and a QUIC port, and both.
async fn listening(mut settings: NetSettings) -> (Net, Multiaddr, Multiaddr) {
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
async fn gets_in(net: &mut Net, at: &Multiaddr) -> Net {
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
async fn beside<T>(net: &mut Net, what: &str, wait: impl Future<Output = T>) -> T {
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

/// Waits until the other side closes a connection.
async fn end(mut silent: TcpStream) {
    // Its end, or that it was cut off: both are an end.
    silent.read_to_end(&mut Vec::new()).await.ok();
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
    assert_eq!(net.peers(), 2);
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
