//! Who is connected to whom.

use core::time::Duration;
use undertone::engine::node::input::Input;

use undertone::shell::net::{
    DialFailure, DisconnectReason, Multiaddr, Net, NetError, NetEvent, Transport,
};

use crate::world::{accept, drive, envelope, meet, node, place, settings};

/// Two nodes over sockets, the first listening at `listen` and dialled at what became of it.
async fn talk_over(listen: &str) {
    let mut first = settings();
    first.transport = Transport::Internet;
    first.listen = vec![listen.parse().expect("an address")];
    let mut nets = vec![Net::new(first).expect("a node")];
    let at = drive(&mut nets, "an address", |_, event, _| match event {
        NetEvent::Listening(address) => Some(address),
        _ => None,
    })
    .await;
    assert!(nets[0].addresses()[0].to_string().starts_with(&format!("{at}/p2p/")));
    let mut second = settings();
    second.transport = Transport::Internet;
    second.peers = vec![at.clone()];
    nets.push(Net::new(second).expect("a node"));
    let mut reached = None;
    drive(&mut nets, "the two to meet", |_, event, _| match event {
        NetEvent::Reached(address) => {
            reached = Some(address);
            None
        }
        NetEvent::Engine(Input::Peers(peers)) if peers.len() == 1 => {
            reached.is_some().then_some(())
        }
        _ => None,
    })
    .await;
    assert_eq!(reached, Some(at));
    meet(&mut nets, &[1, 1]).await;
    for (author, content) in [(0, b"there".to_vec()), (1, b"and back".to_vec())] {
        nets[author].publish(envelope(&content));
        let heard = drive(&mut nets, "the envelope", |_, event, net| accept(net, event)).await;
        assert_eq!(heard, content);
    }
}

#[tokio::test]
async fn two_nodes_talk_over_tcp() {
    talk_over("/ip4/127.0.0.1/tcp/0").await;
}

#[tokio::test]
async fn two_nodes_talk_over_quic() {
    talk_over("/ip4/127.0.0.1/udp/0/quic-v1").await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_at_the_start() {
    let mut first = settings();
    first.transport = Transport::Internet;
    first.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
    let mut nets = [Net::new(first.clone()).expect("a node")];
    let taken = drive(&mut nets, "an address", |_, event, _| match event {
        NetEvent::Listening(address) => Some(address),
        _ => None,
    })
    .await;
    first.listen = vec![taken.clone()];
    match Net::new(first) {
        Err(NetError::Listen { address, .. }) => assert_eq!(address, taken),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_port_serves_both_kinds_of_address() {
    // Whatever port is free at the moment; should somebody be quicker, the next one will do.
    let started = (0..10).find_map(|_| {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = probe.local_addr().expect("its address").port();
        drop(probe);
        let mut both = settings();
        both.transport = Transport::Internet;
        both.listen = ["/ip4/0.0.0.0/tcp/PORT", "/ip6/::/tcp/PORT"]
            .map(|text| text.replace("PORT", &port.to_string()).parse().expect("an address"))
            .to_vec();
        Net::new(both).ok()
    });
    let mut nets = [started.expect("a node")];
    drive(&mut nets, "an address", |_, event, _| {
        matches!(event, NetEvent::Listening(_)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_was_away_is_found_again() {
    let (left, right) = (place(), place());
    // Dialled before it is there.
    let mut nets = vec![node(&left, &[&right])];
    drive(&mut nets, "a dial in vain", |_, event, _| match event {
        NetEvent::DialFailed { address, kind } => {
            assert_eq!((address, kind), (right.clone(), DialFailure::Unreachable));
            Some(())
        }
        _ => None,
    })
    .await;
    for _ in 0..3 {
        nets.push(node(&right, &[]));
        meet(&mut nets, &[1, 1]).await;
        nets.truncate(1);
        drive(&mut nets, "its loss to be noticed", |_, event, _| {
            matches!(event, NetEvent::Engine(Input::Peers(peers)) if peers.is_empty()).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_stay_connected() {
    let (left, right) = (place(), place());
    let mut nets = [node(&left, &[&right]), node(&right, &[&left])];
    meet(&mut nets, &[1, 1]).await;
    let mut author = 0;
    nets[author].publish(envelope(&[0]));
    drive(&mut nets, "twenty envelopes to and fro", |index, event, net| {
        if let NetEvent::Disconnected { why, .. } = event {
            panic!("parted: {why:?}");
        }
        let content = accept(net, event)?;
        author = index;
        net.publish(envelope(&[content[0] + 1]));
        (content[0] == 20).then_some(())
    })
    .await;
    assert_eq!([nets[0].peers(), nets[1].peers()], [1, 1], "one neighbour, however many links");
}

#[tokio::test]
async fn a_node_of_another_network_is_disconnected() {
    let (left, right) = (place(), place());
    let mut other = settings();
    other.floor_bits += 1;
    other.listen = vec![right.clone()];
    let mut ours = settings();
    ours.peers = vec![right.clone()];
    ours.listen = vec![left];
    ours.pace.join = Duration::from_millis(300);
    let mut nets = [Net::new(ours).expect("a node"), Net::new(other).expect("a node")];
    let mut told = false;
    drive(&mut nets, "the parting", |index, event, _| match event {
        NetEvent::DialFailed { address, kind } if index == 0 => {
            assert_eq!((&address, kind), (&right, DialFailure::OtherNetwork));
            told = true;
            None
        }
        NetEvent::Disconnected { why, .. } if index == 0 => {
            assert_eq!(why, DisconnectReason::NeverJoined);
            told.then_some(())
        }
        NetEvent::Engine(Input::Peers(_)) => panic!("counted as a neighbour"),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn an_address_of_our_own_is_recognised() {
    let here = place();
    let mut nets = [node(&here, &[])];
    drive(&mut nets, "an address", |_, event, _| {
        matches!(event, NetEvent::Listening(_)).then_some(())
    })
    .await;
    nets[0].add_peer(here);
    drive(&mut nets, "the dial to fail", |_, event, _| match event {
        NetEvent::DialFailed { kind, .. } => {
            assert_eq!(kind, DialFailure::Ourselves);
            Some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn an_address_with_a_key_is_good_for_that_key_alone() {
    let (left, right) = (place(), place());
    let mut nets = vec![node(&right, &[])];
    drive(&mut nets, "an address", |_, event, _| {
        matches!(event, NetEvent::Listening(_)).then_some(())
    })
    .await;
    let with_key = nets[0].addresses().remove(0);
    nets.push(node(&left, &[&with_key]));
    meet(&mut nets, &[1, 1]).await;
    // The same place after a restart: another key.
    nets.remove(0);
    drive(&mut nets, "the loss", |_, event, _| {
        matches!(event, NetEvent::Engine(Input::Peers(peers)) if peers.is_empty()).then_some(())
    })
    .await;
    nets.push(node(&right, &[]));
    drive(&mut nets, "the refusal", |_, event, _| match event {
        NetEvent::DialFailed { address, kind: DialFailure::OtherKey } => {
            assert_eq!(address, with_key);
            Some(())
        }
        NetEvent::Engine(Input::Peers(peers)) if peers.len() == 1 => panic!("accepted another key"),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn an_address_that_no_transport_can_dial_is_reported_as_bad() {
    let odd: Multiaddr = "/dns4/relay.invalid/udp/1".parse().expect("an address");
    let mut nets = [node(&place(), &[&odd])];
    drive(&mut nets, "the dial to fail", |_, event, _| match event {
        NetEvent::DialFailed { address, kind } => {
            assert_eq!((&address, kind), (&odd, DialFailure::BadAddress));
            Some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn no_more_connections_are_taken_than_the_limit_says() {
    let middle = place();
    let mut crowded = settings();
    crowded.listen = vec![middle.clone()];
    crowded.limits.incoming = 3;
    let mut nets = vec![Net::new(crowded).expect("a node")];
    nets.extend((0..8).map(|_| node(&place(), &[&middle])));
    let mut failures = 0;
    drive(&mut nets, "those left outside to notice", |index, event, net| {
        assert!(index > 0 || net.peers() <= 3);
        match event {
            // Reached, turned away, and with nobody: told again at each try.
            NetEvent::Reached(_) if index > 0 => failures += 1,
            _ => {}
        }
        (failures > 40).then_some(())
    })
    .await;
    assert_eq!(nets[0].peers(), 3);
}
