//! QUIC: with libp2p's own, and among first datagrams that nobody means.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use futures::StreamExt as _;
use libp2p::swarm::{self, SwarmEvent, dummy};
use libp2p::{Swarm, Transport as _, identity, quic};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use undertone::shell::net::{Net, NetEvent};

use crate::attacker::{Attacker, Part};
use crate::door::{beside, counts, gets_in, internet, listening};
use crate::first_datagrams::{first_datagrams, is_retry};
use crate::forward::{Forward, has_many_addresses, socket};
use crate::world::{DEADLINE, TOPIC, accept, envelope, in_time};

#[tokio::test]
async fn whoever_speaks_libp2ps_own_quic_takes_part() {
    let (mut net, _, quic) = listening(internet()).await;
    let mut other = Attacker::new(&quic, TOPIC);
    other.send(&[Part::Message(TOPIC.to_owned(), envelope(b"over QUIC"))]);
    in_time("the envelope", async {
        loop {
            tokio::select! {
                () = other.parted() => panic!("parted with"),
                event = net.next() => if accept(&mut net, event).is_some() {
                    return;
                },
            }
        }
    })
    .await;
    counts(&mut net, 1).await;
}

#[tokio::test]
async fn libp2ps_own_quic_is_dialled() {
    let key = identity::Keypair::generate_ed25519();
    let transport = quic::tokio::Transport::new(quic::Config::new(&key))
        .map(|(peer, link), _| (peer, libp2p::core::muxing::StreamMuxerBox::new(link)))
        .boxed();
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(DEADLINE);
    let mut other = Swarm::new(transport, dummy::Behaviour, key.public().to_peer_id(), config);
    other.listen_on("/ip4/127.0.0.1/udp/0/quic-v1".parse().expect("an address")).expect("a port");
    let mut settings = internet();
    in_time("a link", async {
        let at = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = other.select_next_some().await {
                break address;
            }
        };
        settings.peers = vec![at.clone()];
        let mut net = Net::new(settings).expect("a node");
        let (mut reached, mut established) = (false, false);
        while !reached || !established {
            tokio::select! {
                event = net.next() => if let NetEvent::Reached(address) = event {
                    assert_eq!(address, at);
                    reached = true;
                },
                event = other.select_next_some() => {
                    established |= matches!(event, SwarmEvent::ConnectionEstablished { .. });
                }
            }
        }
    })
    .await;
}

/// What is answered to a first datagram from a port that nobody else here has, which is sent until
/// there is an answer.
async fn answer(node: SocketAddr, datagram: &[u8]) -> Vec<u8> {
    let port = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let mut answer = [0; 2_048];
    loop {
        port.send_to(datagram, node).await.expect("sent");
        let heard = timeout(Duration::from_millis(100), port.recv(&mut answer)).await;
        if let Ok(heard) = heard {
            return answer[..heard.expect("a datagram")].to_vec();
        }
    }
}

#[tokio::test]
async fn first_datagrams_from_many_ports_are_asked_for_their_address_and_take_no_place() {
    let (mut net, tcp, quic) = listening(internet()).await;
    let to = socket(&quic);
    let mut asked = 0;
    beside(&mut net, "an answer to each", async {
        for datagram in first_datagrams(300).await {
            asked += usize::from(is_retry(&answer(to, &datagram).await));
        }
    })
    .await;
    assert!(asked >= 300 - 2 * 16, "{asked}");
    let mut by_quic = gets_in(&mut net, &quic).await;
    let mut by_tcp = gets_in(&mut net, &tcp).await;
    in_time("both to be there", async {
        while net.peers() < 2 {
            tokio::select! {
                event = net.next() => drop(event),
                event = by_quic.next() => drop(event),
                event = by_tcp.next() => drop(event),
            }
        }
    })
    .await;
    if has_many_addresses() {
        let elsewhere = Forward::quic(Ipv4Addr::new(127, 9, 0, 1), to).await;
        let from_elsewhere = gets_in(&mut net, &elsewhere.at).await;
        drop(from_elsewhere);
    }
}
