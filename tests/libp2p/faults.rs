//! Peers that do what no node of ours would.

use libp2p::gossipsub;
use libp2p::identify;
use libp2p::swarm::SwarmEvent;
use undertone::engine::id::NeighbourId;
use undertone::engine::node::input::Input;
use undertone::shell::net::{DisconnectReason, Net, NetEvent};

use crate::attacker::{Attacker, Part};
use crate::rogue::{Kind, Rogue, RogueriesEvent, subscribed};
use crate::world::{
    TOPIC, Turn, accept, drive, drive_with, envelope, node, place, settings, with_rogue,
};

#[tokio::test]
async fn a_dead_gossip_stream_is_noticed_and_opened_again() {
    let at = place();
    let mut alone = settings();
    alone.listen = vec![at.clone()];
    let mut nets = [Net::new(alone).expect("a node")];
    // It gives signs of life, and then its stream brings nothing any more; its link lives.
    let mut dying = Attacker::new(&at, TOPIC);
    dying.send(&[Part::Join(format!("{TOPIC}/beat"))]);
    let silent = drive(&mut nets, "the death to be noticed", |_, event, _| match event {
        NetEvent::Engine(Input::Gossip { .. }) => panic!("the stream is not dead"),
        NetEvent::Disconnected { why, .. } => Some(why),
        _ => None,
    });
    let why = tokio::select! {
        why = silent => why,
        () = dying.parted() => panic!("the node says so first"),
    };
    assert_eq!(why, DisconnectReason::Silent);
    let mut again = Attacker::new(&at, TOPIC);
    again.send(&[Part::Message(TOPIC.to_owned(), envelope(b"alive"))]);
    let heard = drive(&mut nets, "gossip on a fresh stream", |_, event, net| accept(net, event));
    let heard = tokio::select! {
        heard = heard => heard,
        () = again.parted() => panic!("it did nothing"),
    };
    assert_eq!(heard, b"alive");
}

#[tokio::test]
async fn a_quiet_neighbour_that_gives_signs_of_life_is_kept() {
    let (mut net, mut rogue) = with_rogue(Kind::Verbose, settings()).await;
    let mut beats = 0;
    drive_with((&mut net, &mut rogue), "sixty signs of life", |event, _, rogue| {
        match event {
            Turn::Rogue(event) if subscribed(&event).is_some() => {
                beats += 1;
                rogue.heartbeat();
            }
            Turn::Net(NetEvent::Disconnected { why, .. }) => panic!("parted: {why:?}"),
            _ => {}
        }
        // Three times as long as a silent one would be borne.
        (beats > 60).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_neighbour_that_never_gave_a_sign_of_life_is_kept_when_silent() {
    let (mut net, mut rogue) = with_rogue(Kind::Verbose, settings()).await;
    let mut beats = 0;
    drive_with((&mut net, &mut rogue), "sixty signs of life", |event, _, _| {
        match event {
            Turn::Rogue(event) if subscribed(&event).is_some() => beats += 1,
            Turn::Net(NetEvent::Disconnected { why, .. }) => panic!("parted: {why:?}"),
            _ => {}
        }
        (beats > 60).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_signed_envelope_is_never_handed_up_and_its_sender_is_disconnected() {
    let (mut net, mut rogue) = with_rogue(Kind::Signing, settings()).await;
    for number in 0..8_u8 {
        assert!(rogue.publish(&envelope(&[number; 64])));
    }
    drive_with((&mut net, &mut rogue), "the parting", |event, _, _| match event {
        Turn::Net(NetEvent::Engine(Input::Gossip { .. })) => panic!("handed up"),
        Turn::Net(NetEvent::Disconnected { why, .. }) => {
            assert_eq!(why, DisconnectReason::Misbehaved);
            Some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_neighbour_is_parted_with_once_however_much_it_is_refused() {
    let (mut net, mut rogue) = with_rogue(Kind::Verbose, settings()).await;
    for _ in 0..20 {
        net.penalize(NeighbourId(0));
    }
    for number in 0..20_u8 {
        assert!(rogue.publish(&[number; 64]));
    }
    let mut parted = Vec::new();
    drive_with((&mut net, &mut rogue), "the end of the connection", |event, _, _| {
        match event {
            Turn::Net(NetEvent::Disconnected { why, .. }) => parted.push(why),
            Turn::Rogue(SwarmEvent::ConnectionClosed { .. }) => return Some(()),
            _ => {}
        }
        None
    })
    .await;
    assert_eq!(parted, [DisconnectReason::Misbehaved]);
}

#[tokio::test]
async fn an_envelope_longer_than_the_limit_is_never_handed_up() {
    let (mut net, mut rogue) = with_rogue(Kind::Verbose, settings()).await;
    for number in 0..4_u8 {
        assert!(rogue.publish(&vec![number; 100_000]));
    }
    drive_with((&mut net, &mut rogue), "the block", |event, _, _| match event {
        Turn::Net(NetEvent::Engine(Input::Gossip { .. })) => panic!("handed up"),
        Turn::Net(NetEvent::Disconnected { why, .. }) => {
            assert_eq!(why, DisconnectReason::Misbehaved);
            Some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_message_in_the_topic_of_the_signs_of_life_is_rejected() {
    let (mut net, mut rogue) = with_rogue(Kind::Verbose, settings()).await;
    let mut number = 0_u8;
    drive_with((&mut net, &mut rogue), "the block", |event, _, rogue| match event {
        Turn::Rogue(event) => {
            let topic = subscribed(&event)?.clone();
            if topic.as_str().ends_with("/beat") {
                number += 1;
                // Whether it arrives depends on whether the node is in the topic at the moment.
                let published =
                    rogue.swarm.behaviour_mut().gossip.publish(topic, envelope(&[number; 64]));
                drop(published);
            }
            None
        }
        Turn::Net(NetEvent::Engine(Input::Gossip { .. })) => panic!("handed up"),
        Turn::Net(NetEvent::Disconnected { why, .. }) => {
            assert_eq!(why, DisconnectReason::Misbehaved);
            Some(())
        }
        Turn::Net(_) => None,
    })
    .await;
}

#[tokio::test]
async fn a_published_envelope_names_no_author() {
    let (mut net, mut rogue) = with_rogue(Kind::Verbose, settings()).await;
    net.publish(envelope(&[9; 2016]));
    drive_with((&mut net, &mut rogue), "the envelope", |event, _, _| match event {
        Turn::Rogue(SwarmEvent::Behaviour(RogueriesEvent::Gossip(gossipsub::Event::Message {
            message,
            ..
        }))) => {
            assert_eq!((message.source, message.sequence_number), (None, None));
            Some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn identify_shows_neither_the_program_nor_an_address() {
    let there = place();
    let mut rogue = Rogue::new(Kind::Verbose, &there);
    let mut net = node(&place(), &[&there]);
    let mut card = drive_with((&mut net, &mut rogue), "the card", |event, _, _| match event {
        Turn::Rogue(SwarmEvent::Behaviour(RogueriesEvent::Identify(
            identify::Event::Received { info, .. },
        ))) => Some(info),
        _ => None,
    })
    .await;
    assert_eq!(
        (card.agent_version.as_str(), card.protocol_version.as_str()),
        ("libp2p", "/libp2p/1")
    );
    assert!(card.listen_addrs.is_empty(), "{:?}", card.listen_addrs);
    let ours = card.protocols.iter().map(AsRef::as_ref).filter(|name| name.contains("undertone"));
    // The name of the network is in the topics as well, which every neighbour is told.
    assert_eq!(ours.collect::<Vec<&str>>(), ["/undertone/2/test/0/sync"]);
    card.protocols.clear();
    let told = format!("{card:?}").to_lowercase();
    assert!(!told.contains("undertone") && !told.contains("rust"), "{told}");
}
