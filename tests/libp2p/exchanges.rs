//! Requests and responses between neighbours, and what those cost who break their rules.

use core::time::Duration;
use undertone::engine::node::input::Input;

use libp2p::gossipsub::{self, IdentTopic};
use libp2p::request_response::{Event, Message};
use libp2p::swarm::SwarmEvent;
use undertone::engine::id::{NeighbourId, SyncRequestId};
use undertone::shell::net::{
    DisconnectReason, LONGEST_REQUEST, LONGEST_RESPONSE, Net, NetEvent, NetSettings, Transport,
};

use crate::rogue::{Kind, Rogue, RogueriesEvent, Say};
use crate::world::{
    TOPIC, Turn, accept, content, drive, drive_among, drive_with, envelope, meet, node, place,
    settings, with_rogue,
};

const ASK: SyncRequestId = SyncRequestId(7);

/// Time enough for a request between two tasks of this process, and soon over.
const BRIEF: Duration = Duration::from_millis(400);

fn hurried() -> NetSettings {
    let mut settings = settings();
    settings.pace.exchange = BRIEF;
    settings
}

/// Two nodes that are neighbours, and the number by which the first knows the second.
async fn pair() -> ([Net; 2], NeighbourId) {
    let (left, right) = (place(), place());
    let mut nets = [node(&left, &[&right]), node(&right, &[])];
    let tag = first_meets(&mut nets).await;
    (nets, tag)
}

/// Until the first node has a neighbour, and the second one too.
async fn first_meets(nets: &mut [Net]) -> NeighbourId {
    let tag = drive(nets, "the two to meet", |index, event, _| match event {
        NetEvent::Engine(Input::Peers(peers)) if index == 0 => peers.first().map(|peer| peer.id),
        _ => None,
    })
    .await;
    meet(nets, &[1, 1]).await;
    tag
}

/// The longest request crosses, and the longest response comes back.
async fn the_longest_cross(nets: &mut [Net], tag: NeighbourId) {
    let (request, response) = (vec![1; LONGEST_REQUEST], vec![2; LONGEST_RESPONSE]);
    nets[0].sync_request(tag, ASK, request.clone());
    let answer = drive(nets, "the answer", |index, event, net| match event {
        NetEvent::Engine(Input::SyncRequest { id: ticket, bytes, .. }) => {
            assert_eq!((index, bytes == request), (1, true));
            net.sync_respond(ticket, response.clone());
            None
        }
        NetEvent::Engine(Input::SyncResponse { id: ask, bytes }) => {
            assert_eq!((index, ask), (0, ASK));
            Some(bytes)
        }
        _ => None,
    })
    .await;
    assert!(answer == Some(response));
}

async fn the_longest_cross_over(listen: &str) {
    let mut first = settings();
    first.transport = Transport::Internet;
    first.listen = vec![listen.parse().expect("an address")];
    let mut nets = vec![Net::new(first).expect("a node")];
    let at = drive(&mut nets, "an address", |_, event, _| match event {
        NetEvent::Listening(address) => Some(address),
        _ => None,
    })
    .await;
    let mut second = settings();
    second.transport = Transport::Internet;
    second.peers = vec![at];
    nets.push(Net::new(second).expect("a node"));
    let tag = first_meets(&mut nets).await;
    the_longest_cross(&mut nets, tag).await;
}

/// The answer to the only request under way.
fn answer(event: NetEvent) -> Option<Option<Vec<u8>>> {
    match event {
        NetEvent::Engine(Input::SyncResponse { id: ask, bytes }) => {
            assert_eq!(ask, ASK);
            Some(bytes)
        }
        _ => None,
    }
}

/// What a rogue was asked or answered.
fn exchanged(turn: Turn) -> Option<Event<Say, Say>> {
    match turn {
        Turn::Rogue(SwarmEvent::Behaviour(RogueriesEvent::Sync(event))) => Some(event),
        _ => None,
    }
}

/// Asks the rogue, which answers with `say`: what the node makes of it.
async fn answered(net: &mut Net, rogue: &mut Rogue, say: Say) -> Option<Vec<u8>> {
    net.sync_request(tag_of(net), ASK, vec![1]);
    drive_with((net, rogue), "an end of it", |turn, _, rogue| {
        if let Turn::Net(event) = turn {
            return answer(event);
        }
        if let Some(Event::Message { message: Message::Request { channel, .. }, .. }) =
            exchanged(turn)
        {
            rogue.exchanges().send_response(channel, say.clone()).expect("in time");
        }
        None
    })
    .await
}

/// The number of a node's only neighbour, which is the first it ever had.
fn tag_of(net: &Net) -> NeighbourId {
    assert_eq!(net.peers(), 1);
    NeighbourId(0)
}

/// Envelopes still go from the first node to the rogue and back.
async fn the_flood_goes_on(nets: &mut [Net], rogue: &mut Rogue) {
    nets[0].publish(envelope(b"to the rogue"));
    assert!(rogue.publish(&envelope(b"from the rogue")));
    let mut heard = [false; 2];
    drive_among((nets, rogue), "envelopes both ways", |index, turn, nets, _| {
        match turn {
            Turn::Net(NetEvent::Disconnected { why, .. }) => panic!("parted: {why:?}"),
            Turn::Net(event) => {
                let heard_it = accept(&mut nets[index], event).is_some();
                heard[0] |= heard_it && index == 0;
            }
            Turn::Rogue(SwarmEvent::Behaviour(RogueriesEvent::Gossip(
                gossipsub::Event::Message { message, .. },
            ))) => heard[1] |= content(&message.data) == b"to the rogue",
            Turn::Rogue(_) => {}
        }
        (heard == [true; 2]).then_some(())
    })
    .await;
}

/// A node with a rogue, and another node that keeps the first.
async fn between_two(limits: impl Fn(&mut NetSettings)) -> ([Net; 2], Rogue) {
    let mut settings = settings();
    limits(&mut settings);
    let (middle, mut rogue) = with_rogue(Kind::Exchanging, settings.clone()).await;
    let at = middle.addresses().remove(0);
    settings.listen = vec![place()];
    settings.peers = vec![at];
    let mut nets = [middle, Net::new(settings).expect("a node")];
    let mut met = [false; 2];
    drive_among((&mut nets, &mut rogue), "all to meet", |_, _, nets, _| {
        met = [nets[0].peers() == 2, nets[1].peers() == 1];
        (met == [true; 2]).then_some(())
    })
    .await;
    (nets, rogue)
}

/// The second node asks the first, which answers whatever it is asked; what came of it.
async fn the_other_is_answered(nets: &mut [Net; 2], rogue: &mut Rogue) -> Option<Vec<u8>> {
    let middle = tag_of(&nets[1]);
    nets[1].sync_request(middle, ASK, vec![1]);
    drive_among((nets, rogue), "an end of it", |index, turn, nets, _| match turn {
        Turn::Net(NetEvent::Engine(Input::SyncRequest { id: ticket, .. })) => {
            nets[index].sync_respond(ticket, vec![2]);
            None
        }
        Turn::Net(event) => answer(event),
        Turn::Rogue(_) => None,
    })
    .await
}

#[tokio::test]
async fn the_longest_request_and_response_cross() {
    let (mut nets, tag) = pair().await;
    the_longest_cross(&mut nets, tag).await;
}

#[tokio::test]
async fn request_and_response_cross_over_tcp() {
    the_longest_cross_over("/ip4/127.0.0.1/tcp/0").await;
}

#[tokio::test]
async fn request_and_response_cross_over_quic() {
    the_longest_cross_over("/ip4/127.0.0.1/udp/0/quic-v1").await;
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_are_answered_as_soon_as_they_meet() {
    let (left, right) = (place(), place());
    let mut nets = [node(&left, &[&right]), node(&right, &[&left])];
    let mut answers = [false; 2];
    drive(&mut nets, "both answers", |index, event, net| {
        match event {
            NetEvent::Engine(Input::Peers(peers)) if !answers[index] => {
                for peer in peers {
                    net.sync_request(peer.id, ASK, vec![1]);
                }
            }
            NetEvent::Engine(Input::SyncRequest { id: ticket, .. }) => {
                net.sync_respond(ticket, vec![2])
            }
            event => {
                if let Some(bytes) = answer(event) {
                    assert_eq!(bytes, Some(vec![2]));
                    answers[index] = true;
                }
            }
        }
        (answers == [true; 2]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_request_beyond_a_bound_or_to_an_unknown_neighbour_ends_at_once_without_a_response() {
    let (mut nets, tag) = pair().await;
    let stranger = NeighbourId(tag.0 + 1_000);
    let asks = [(stranger, 1), (tag, LONGEST_REQUEST + 1), (tag, 1), (tag, 1), (tag, 1)];
    for (number, (to, length)) in (0..).zip(asks) {
        nets[0].sync_request(to, SyncRequestId(number), vec![1; length]);
    }
    let mut ends = Vec::new();
    drive(&mut nets, "an end of each", |_, event, net| {
        match event {
            NetEvent::Engine(Input::SyncRequest { id: ticket, .. }) => {
                net.sync_respond(ticket, vec![2])
            }
            NetEvent::Engine(Input::SyncResponse { id: ask, bytes }) => {
                ends.push((ask.0, bytes.is_some()))
            }
            _ => {}
        }
        (ends.len() == asks.len()).then_some(())
    })
    .await;
    assert_eq!(ends[..3], [(0, false), (1, false), (4, false)], "those that were not sent");
    ends.sort_unstable();
    assert_eq!(ends[2..4], [(2, true), (3, true)]);
}

#[tokio::test]
async fn a_refusal_ends_a_request_without_a_response() {
    let (mut nets, tag) = pair().await;
    for refusal in [0, LONGEST_RESPONSE + 1] {
        nets[0].sync_request(tag, ASK, vec![1]);
        let end = drive(&mut nets, "the refusal", |_, event, net| match event {
            NetEvent::Engine(Input::SyncRequest { id: ticket, .. }) => {
                net.sync_respond(ticket, vec![2; refusal]);
                None
            }
            event => answer(event),
        });
        assert_eq!(end.await, None);
    }
}

#[tokio::test]
async fn a_request_ends_when_its_neighbour_leaves_before_answering() {
    let (nets, tag) = pair().await;
    let [mut left, mut right] = nets;
    left.sync_request(tag, ASK, vec![1]);
    let mut both = [left, right];
    drive(&mut both, "the request", |_, event, _| {
        matches!(event, NetEvent::Engine(Input::SyncRequest { .. })).then_some(())
    })
    .await;
    [left, right] = both;
    drop(right);
    assert_eq!(drive(&mut [left], "an end of it", |_, event, _| answer(event)).await, None);
}

#[tokio::test]
async fn a_response_to_a_neighbour_that_left_is_dropped() {
    let (mut nets, tag) = pair().await;
    nets[0].sync_request(tag, ASK, vec![1]);
    let ticket = drive(&mut nets, "the request", |_, event, _| match event {
        NetEvent::Engine(Input::SyncRequest { id: ticket, .. }) => Some(ticket),
        _ => None,
    })
    .await;
    let [left, mut right] = nets;
    drop(left);
    // Whether it was noticed already or not.
    right.sync_respond(ticket, vec![2]);
    let mut right = [right];
    drive(&mut right, "the loss", |_, event, _| {
        matches!(event, NetEvent::Engine(Input::Peers(peers)) if peers.is_empty()).then_some(())
    })
    .await;
    right[0].sync_respond(ticket, vec![2]);
}

#[tokio::test]
async fn a_request_ends_without_a_response_when_its_neighbour_is_blocked() {
    let (mut net, mut rogue) = with_rogue(Kind::Exchanging, settings()).await;
    let tag = tag_of(&net);
    net.sync_request(tag, ASK, vec![1]);
    for _ in 0..4 {
        net.penalize(tag);
    }
    let (mut parted, mut silent) = (false, false);
    drive_with((&mut net, &mut rogue), "the block", |turn, _, _| {
        match turn {
            Turn::Net(NetEvent::Disconnected { why, .. }) => {
                parted = why == DisconnectReason::Misbehaved
            }
            Turn::Net(event) => silent |= answer(event) == Some(None),
            Turn::Rogue(_) => {}
        }
        (parted && silent).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_neighbour_without_the_exchange_protocol_is_kept() {
    let (mut net, mut rogue) = with_rogue(Kind::Verbose, settings()).await;
    assert_eq!(answered(&mut net, &mut rogue, Say::Nothing).await, None);
    the_flood_goes_on(core::slice::from_mut(&mut net), &mut rogue).await;
}

#[tokio::test]
async fn reading_an_endless_response_stops_at_its_bound() {
    let (mut net, mut rogue) = with_rogue(Kind::Exchanging, settings()).await;
    assert_eq!(answered(&mut net, &mut rogue, Say::Endless).await, None);
    let longest = vec![2; LONGEST_RESPONSE];
    let one_more = vec![2; LONGEST_RESPONSE + 1];
    assert_eq!(answered(&mut net, &mut rogue, Say::Bytes(one_more)).await, None);
    assert!(answered(&mut net, &mut rogue, Say::Bytes(longest.clone())).await == Some(longest));
    the_flood_goes_on(core::slice::from_mut(&mut net), &mut rogue).await;
}

#[tokio::test]
async fn a_response_that_takes_too_long_is_dropped() {
    for slowness in [Say::Nothing, Say::Trickle] {
        let (mut net, mut rogue) = with_rogue(Kind::Exchanging, hurried()).await;
        assert_eq!(answered(&mut net, &mut rogue, slowness).await, None);
        the_flood_goes_on(core::slice::from_mut(&mut net), &mut rogue).await;
    }
}

#[tokio::test]
async fn a_request_beyond_its_bound_is_never_handed_up() {
    let (mut net, mut rogue) = with_rogue(Kind::Exchanging, settings()).await;
    let requests = [Say::Bytes(vec![1; LONGEST_REQUEST + 1]), Say::Endless, Say::Bytes(Vec::new())];
    for request in requests {
        let asked = rogue.ask(request);
        drive_with((&mut net, &mut rogue), "the refusal", |turn, _, _| match turn {
            Turn::Net(NetEvent::Engine(Input::SyncRequest { .. })) => panic!("handed up"),
            turn => match exchanged(turn)? {
                Event::Message { message: Message::Response { response, .. }, .. } => {
                    assert_eq!(response, Say::Bytes(Vec::new()), "the stream ends");
                    Some(())
                }
                Event::OutboundFailure { request_id, .. } => {
                    assert_eq!(request_id, asked);
                    Some(())
                }
                _ => None,
            },
        })
        .await;
    }
    the_flood_goes_on(core::slice::from_mut(&mut net), &mut rogue).await;
}

#[tokio::test]
async fn a_neighbour_outside_the_flood_is_not_answered() {
    let (mut net, mut rogue) = with_rogue(Kind::Exchanging, settings()).await;
    rogue.swarm.behaviour_mut().gossip.unsubscribe(&IdentTopic::new(TOPIC));
    drive_with((&mut net, &mut rogue), "it to be seen outside", |turn, _, _| {
        matches!(turn, Turn::Net(NetEvent::Engine(Input::Peers(peers))) if peers.is_empty())
            .then_some(())
    })
    .await;
    rogue.ask(Say::Bytes(vec![1]));
    drive_with((&mut net, &mut rogue), "the end of the stream", |turn, _, _| match turn {
        Turn::Net(NetEvent::Engine(Input::SyncRequest { .. })) => panic!("handed up"),
        turn => match exchanged(turn)? {
            Event::OutboundFailure { .. } => Some(()),
            Event::Message { message: Message::Response { response, .. }, .. } => {
                assert_eq!(response, Say::Bytes(Vec::new()), "the stream ends");
                Some(())
            }
            _ => None,
        },
    })
    .await;
    net.sync_request(NeighbourId(0), ASK, vec![1]);
    let end = drive_with((&mut net, &mut rogue), "no request of ours", |turn, _, _| match turn {
        Turn::Net(event) => answer(event),
        turn @ Turn::Rogue(_) => match exchanged(turn) {
            Some(Event::Message { .. }) => panic!("asked"),
            _ => None,
        },
    });
    assert_eq!(end.await, None);
}

/// The rogue opens streams and says this on them, until one more is refused.
async fn open(count: usize, say: Say, nets: &mut [Net; 2], rogue: &mut Rogue) {
    for _ in 0..count {
        rogue.ask(say.clone());
    }
    // Streams are opened in turn: when this one was refused, the others are open or refused.
    let last = rogue.ask(Say::Bytes(vec![1]));
    drive_among((nets, rogue), "one too many", |_, turn, _, _| match turn {
        Turn::Net(NetEvent::Engine(Input::SyncRequest { .. })) => panic!("handed up"),
        turn => match exchanged(turn)? {
            Event::OutboundFailure { request_id, .. }
            | Event::Message { message: Message::Response { request_id, .. }, .. } => {
                (request_id == last).then_some(())
            }
            _ => None,
        },
    })
    .await;
}

#[tokio::test]
async fn silent_streams_take_no_place_from_other_neighbours() {
    let (mut nets, mut rogue) = between_two(|_| {}).await;
    open(8, Say::Nothing, &mut nets, &mut rogue).await;
    assert_eq!(the_other_is_answered(&mut nets, &mut rogue).await, Some(vec![2]));
    the_flood_goes_on(&mut nets, &mut rogue).await;
}

#[tokio::test]
async fn other_neighbours_are_answered_however_many_streams_one_opens() {
    let (mut nets, mut rogue) = between_two(|_| {}).await;
    // Whether its own link bears it depends on how many arrive at once.
    open(200, Say::Nothing, &mut nets, &mut rogue).await;
    assert_eq!(the_other_is_answered(&mut nets, &mut rogue).await, Some(vec![2]));
    nets[0].publish(envelope(b"to the other"));
    drive_among((&mut nets, &mut rogue), "an envelope", |index, turn, nets, _| match turn {
        Turn::Net(event) => accept(&mut nets[index], event).filter(|_| index == 1),
        Turn::Rogue(_) => None,
    })
    .await;
}

#[tokio::test]
async fn a_neighbour_that_keeps_all_places_loses_one_to_a_newcomer() {
    let (mut nets, mut rogue) = between_two(|settings| settings.limits.exchanges = 1).await;
    occupy(&mut nets, &mut rogue).await;
    assert_eq!(the_other_is_answered(&mut nets, &mut rogue).await, Some(vec![2]));
    the_flood_goes_on(&mut nets, &mut rogue).await;
}

#[tokio::test]
async fn streams_that_end_never_take_no_place_from_another_neighbour() {
    for say in [Say::Nothing, Say::Trickle] {
        let (mut nets, mut rogue) = between_two(|settings| settings.limits.exchanges = 2).await;
        open(3, say, &mut nets, &mut rogue).await;
        assert_eq!(the_other_is_answered(&mut nets, &mut rogue).await, Some(vec![2]));
    }
}

#[tokio::test]
async fn streams_of_those_outside_the_flood_take_no_place_at_all() {
    let (mut nets, mut rogue) = between_two(|settings| settings.limits.exchanges = 1).await;
    rogue.swarm.behaviour_mut().gossip.unsubscribe(&IdentTopic::new(TOPIC));
    drive_among((&mut nets, &mut rogue), "it to be seen outside", |_, _, nets, _| {
        (nets[0].peers() == 1).then_some(())
    })
    .await;
    // The only place is the other's, whose request waits for its answer meanwhile.
    let middle = tag_of(&nets[1]);
    nets[1].sync_request(middle, ASK, vec![1]);
    let asked = drive_among((&mut nets, &mut rogue), "its request", |_, turn, _, _| match turn {
        Turn::Net(NetEvent::Engine(Input::SyncRequest { id: ticket, .. })) => Some(ticket),
        _ => None,
    });
    let ticket = asked.await;
    open(3, Say::Nothing, &mut nets, &mut rogue).await;
    nets[0].sync_respond(ticket, vec![2]);
    let end = drive_among((&mut nets, &mut rogue), "its answer", |_, turn, _, _| match turn {
        Turn::Net(event) => answer(event),
        Turn::Rogue(_) => None,
    });
    assert_eq!(end.await, Some(vec![2]));
}

/// The rogue asks, is answered, and does not read.
async fn occupy(nets: &mut [Net; 2], rogue: &mut Rogue) {
    rogue.ask(Say::Deaf(vec![1]));
    drive_among((nets, rogue), "its request", |index, turn, nets, _| match turn {
        Turn::Net(NetEvent::Engine(Input::SyncRequest { id: ticket, .. })) => {
            nets[index].sync_respond(ticket, vec![2; LONGEST_RESPONSE]);
            Some(())
        }
        _ => None,
    })
    .await;
}
