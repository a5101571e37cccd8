//! Neighbours that mean harm: what they can make a node hold, and that they leave.

use core::time::Duration;

use tokio::time::Instant;
use undertone::engine::env::UnixSeconds;
use undertone::engine::envelope::{Acceptance, Draft, EnvelopeId, Floor, Lifetime, Topic};
use undertone::engine::id::NeighbourId;
use undertone::engine::node::input::Input;
use undertone::shell::net::{DisconnectReason, Multiaddr, Net, NetEvent, PublishOutcome};

use crate::attacker::{Attacker, Part, field};
use crate::world::{
    DEADLINE, FLOOR, MADE, TOPIC, accept, envelope, id, in_time, meet, node, place, settings,
};

#[tokio::test]
async fn whoever_reads_nothing_is_parted_with_and_nobody_else_is() {
    let at = place();
    let mut hub = settings();
    hub.listen = vec![at.clone()];
    let mut nets = [Net::new(hub).expect("a node"), node(&place(), &[&at])];
    meet(&mut nets, &[1, 1]).await;
    let mut deaf = Attacker::deaf(&at, TOPIC);
    tokio::select! {
        () = meet(&mut nets, &[2, 1]) => {}
        () = deaf.parted() => panic!("parted with before it did anything"),
    }
    let [hub, honest] = &mut nets;
    let (mut sent, mut heard, mut parted) = (0_u32, 0, Vec::new());
    in_time("the parting", async {
        while parted.is_empty() || heard < sent {
            // One after the other: an honest neighbour has time to take each.
            if heard == sent {
                let bytes = envelope(&[&sent.to_be_bytes()[..], &[7; 30_000]].concat());
                assert_eq!(hub.publish(bytes), PublishOutcome::Sent);
                sent += 1;
            }
            tokio::select! {
                event = hub.next() => if let NetEvent::Disconnected { why, .. } = event {
                    parted.push(why);
                },
                () = deaf.parted(), if parted.is_empty() => {}
                event = honest.next() => heard += u32::from(accept(honest, event).is_some()),
            }
        }
    })
    .await;
    assert_eq!(parted, [DisconnectReason::Stalled]);
    assert_eq!((hub.peers(), honest.peers()), (1, 1));
}

/// A frame that no program of this network writes parts with its sender; two honest neighbours
/// lose nothing beside it.
async fn part_with(what: &str, frame: Vec<u8>) {
    let at = place();
    let mut hub = settings();
    hub.listen = vec![at.clone()];
    let mut nets = [Net::new(hub).expect("a node"), node(&place(), &[&at]), node(&place(), &[&at])];
    meet(&mut nets, &[2, 1, 1]).await;
    let mut attacker = Attacker::new(&at, TOPIC);
    tokio::select! {
        () = meet(&mut nets, &[3, 1, 1]) => {}
        () = attacker.parted() => panic!("{what}: parted with before it did anything"),
    }
    let [hub, author, reader] = &mut nets;
    attacker.send(&[Part::Raw(frame)]);
    let (mut heard, mut parted, mut ended) = (0_u8, Vec::new(), false);
    for number in 0..8_u8 {
        assert_eq!(author.publish(envelope(&[number])), PublishOutcome::Sent);
    }
    in_time(what, async {
        while !ended || parted.is_empty() || heard < 8 {
            tokio::select! {
                () = attacker.parted(), if !ended => ended = true,
                event = hub.next() => match event {
                    NetEvent::Disconnected { why, .. } => parted.push(why),
                    event => drop(accept(hub, event)),
                },
                event = author.next() => drop(accept(author, event)),
                event = reader.next() => heard += u8::from(accept(reader, event).is_some()),
            }
        }
    })
    .await;
    assert_eq!(parted, [DisconnectReason::Misbehaved], "{what}");
    assert_eq!([hub.peers(), author.peers(), reader.peers()], [2, 1, 1], "{what}");
}

#[tokio::test]
async fn frames_of_many_empty_entries_part_with_their_sender() {
    for number in 1..=6 {
        part_with("control entries", field(3, &field(number, &[]).repeat(100_000))).await;
    }
    part_with("subscriptions", field(1, &[]).repeat(10_000)).await;
    part_with("messages", field(2, &[]).repeat(10_000)).await;
}

#[tokio::test]
async fn an_id_of_any_length_parts_with_its_sender() {
    let id = field(1, &vec![7; 240_000]);
    part_with("not wanted", field(3, &field(5, &id))).await;
    part_with("wanted", field(3, &field(2, &id))).await;
}

#[tokio::test]
async fn a_frame_longer_than_any_parts_with_its_sender_before_it_has_come() {
    // Two million bytes are announced; Undertone takes 262,144.
    let at = place();
    let mut alone = settings();
    alone.listen = vec![at.clone()];
    let mut net = Net::new(alone).expect("a node");
    let mut attacker = Attacker::new(&at, TOPIC);
    attacker.begin(2 << 20);
    let mut parted = Vec::new();
    in_time("the parting", async {
        loop {
            tokio::select! {
                () = attacker.parted() => return,
                event = net.next() => if let NetEvent::Disconnected { why, .. } = event {
                    parted.push(why);
                },
            }
        }
    })
    .await;
    assert_eq!(parted, [DisconnectReason::Misbehaved]);
}

/// Frames that break no bound keep their sender waiting: after all of them it brings an envelope.
async fn slow_down(what: &str, frames: &[Vec<u8>]) {
    let at = place();
    let mut alone = settings();
    alone.listen = vec![at.clone()];
    let mut nets = [Net::new(alone).expect("a node")];
    let mut attacker = Attacker::new(&at, TOPIC);
    tokio::select! {
        () = meet(&mut nets, &[1]) => {}
        () = attacker.parted() => panic!("{what}: parted with before it did anything"),
    }
    let [net] = &mut nets;
    let began = Instant::now();
    attacker.pour(frames);
    attacker.send(&[Part::Message(TOPIC.to_owned(), envelope(b"after all"))]);
    in_time(what, async {
        loop {
            tokio::select! {
                () = attacker.parted() => panic!("{what}: they break no bound"),
                event = net.next() => if accept(net, event).is_some() {
                    return;
                },
            }
        }
    })
    .await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{what}: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_neighbour_is_read_at_a_bounded_rate() {
    // 16,384 units at once, and 4,096 a second: a second passes before the last one.
    let ids = field(3, &field(5, &field(1, &[7; 32]).repeat(7_000)));
    let units = ids.len().div_ceil(1_024) + 7_000 / 16;
    slow_down("ids not wanted", &vec![ids; (16_384 + 4_096) / units + 1]).await;
}

/// Messages with so many different envelopes made at this time.
fn made_at(time: u64, count: u32) -> Vec<Part> {
    let envelope = |number: u32| {
        let content = number.to_be_bytes().to_vec();
        let draft = Draft::new(UnixSeconds(time), Lifetime::Day, Topic([0; 4]), content);
        draft.expect("a draft").mine(&Floor::new(FLOOR), 0).expect("a nonce").1
    };
    (0..count).map(|number| Part::Message(TOPIC.to_owned(), envelope(number))).collect()
}

#[tokio::test]
async fn envelopes_at_the_wrong_time_leave_nothing_and_blame_nobody() {
    const DAYS: u64 = 2 * 86_400;
    let at = place();
    let mut alone = settings();
    alone.listen = vec![at.clone()];
    let mut net = Net::new(alone).expect("a node");
    let mut attacker = Attacker::new(&at, TOPIC);
    for time in [MADE.0 - DAYS, MADE.0 + DAYS] {
        for frame in made_at(time, 2_000).chunks(500) {
            attacker.send(frame);
        }
    }
    attacker.send(&made_at(MADE.0, 1));
    let (mut good, mut left_out) = (0, (0, 0));
    in_time("all to be dealt with", async {
        while good == 0 || left_out != (2_000, 2_000) {
            tokio::select! {
                () = attacker.parted() => panic!("parted with"),
                event = net.next() => match event {
                    NetEvent::Engine(Input::OffTime { expired, early }) => {
                        left_out = (left_out.0 + expired, left_out.1 + early);
                    }
                    NetEvent::Disconnected { why, .. } => panic!("blamed: {why:?}"),
                    event => good += u32::from(accept(&mut net, event).is_some()),
                },
            }
        }
    })
    .await;
    assert_eq!(good, 1);
}

/// A hub with an honest neighbour and then this one.
async fn between(attacker: impl FnOnce(&Multiaddr) -> Attacker) -> (Net, Net, Attacker) {
    let at = place();
    let mut hub = settings();
    hub.listen = vec![at.clone()];
    // Whoever takes nothing is not parted with for that here.
    hub.pace.stall = 2 * DEADLINE;
    let mut nets = [Net::new(hub).expect("a node"), node(&place(), &[&at])];
    meet(&mut nets, &[1, 1]).await;
    let mut attacker = attacker(&at);
    tokio::select! {
        () = meet(&mut nets, &[2, 1]) => {}
        () = attacker.parted() => panic!("parted with before it did anything"),
    }
    let [hub, honest] = nets;
    (hub, honest, attacker)
}

/// Whether this was heard.
fn holds(heard: &[u8], what: &[u8]) -> bool {
    heard.windows(what.len()).any(|at| at == what)
}

const HONEST: NeighbourId = NeighbourId(0);
const ATTACKER: NeighbourId = NeighbourId(1);

#[tokio::test]
async fn whoever_is_far_behind_leaves_the_mesh_and_keeps_its_link() {
    let (mut hub, mut honest, mut deaf) = between(|at| Attacker::deaf(at, TOPIC)).await;
    assert!(hub.is_in_mesh(ATTACKER) && hub.is_in_mesh(HONEST));
    let (mut sent, mut heard) = (0_u32, 0);
    in_time("it to leave the mesh", async {
        while hub.is_in_mesh(ATTACKER) {
            // One after the other: an honest neighbour has time to take each.
            if heard == sent {
                let bytes = envelope(&[&sent.to_be_bytes()[..], &[7; 30_000]].concat());
                assert_eq!(hub.publish(bytes), PublishOutcome::Sent);
                sent += 1;
            }
            tokio::select! {
                event = hub.next() => if let NetEvent::Disconnected { why, .. } = event {
                    panic!("parted with: {why:?}");
                },
                () = deaf.parted() => panic!("parted with"),
                event = honest.next() => heard += u32::from(accept(&mut honest, event).is_some()),
            }
            assert!(hub.is_in_mesh(HONEST), "an honest neighbour is put out of the mesh");
        }
    })
    .await;
    assert_eq!((hub.peers(), honest.peers()), (2, 1));
}

#[tokio::test]
async fn no_more_than_a_megabyte_waits_for_a_deaf_neighbour_however_fast_others_bring() {
    const BROUGHT: u32 = 80;
    const LONG: usize = 60_000;
    let (mut hub, mut honest, mut deaf) = between(|at| Attacker::deaf(at, TOPIC)).await;
    let (mut sent, mut passed, mut most) = (0, 0, 0);
    in_time("all of it", async {
        while passed < BROUGHT {
            if sent < BROUGHT {
                let bytes = envelope(&[&sent.to_be_bytes()[..], &[7; LONG]].concat());
                assert_eq!(honest.publish(bytes), PublishOutcome::Sent);
                sent += 1;
            }
            tokio::select! {
                event = hub.next() => passed += u32::from(accept(&mut hub, event).is_some()),
                event = honest.next() => drop(accept(&mut honest, event)),
                () = deaf.parted() => panic!("parted with"),
            }
            most = most.max(hub.backlog(ATTACKER));
        }
    })
    .await;
    // One envelope beyond it, with what is around that.
    let bound = (1 << 20) + LONG as u64 + 1_000;
    assert!(most > 1 << 20 && most <= bound, "{most}");
}

#[tokio::test]
async fn no_more_than_256_envelopes_wait_for_a_neighbour() {
    let (at, there) = (place(), place());
    let mut nets = [node(&at, &[&there]), node(&there, &[])];
    meet(&mut nets, &[1, 1]).await;
    // Nothing is driven meanwhile, so nothing is taken out.
    let said = |number: u16| envelope(&number.to_be_bytes());
    for number in 0..256 {
        assert_eq!(nets[0].publish(said(number)), PublishOutcome::Sent, "{number}");
    }
    assert_eq!(nets[0].publish(said(256)), PublishOutcome::Congested);
}

/// Goes on until the attacker has heard this; what it heard since the beginning.
async fn hear_until(
    (hub, honest, attacker): (&mut Net, &mut Net, &mut Attacker),
    what: &[u8],
    heard: &mut Vec<u8>,
) {
    in_time("what the attacker waits for", async {
        let mut from = 0;
        while !holds(&heard[from..], what) {
            from = heard.len().saturating_sub(what.len());
            tokio::select! {
                more = attacker.hear() => heard.extend(more),
                event = honest.next() => drop(accept(honest, event)),
                event = hub.next() => drop(accept(hub, event)),
            }
        }
    })
    .await;
}

/// Goes on until the hub has taken an envelope, and what the attacker wrote before it.
async fn be_read(
    (hub, honest, attacker): (&mut Net, &mut Net, &mut Attacker),
    heard: &mut Vec<u8>,
) {
    in_time("it to be read", async {
        loop {
            tokio::select! {
                more = attacker.hear() => heard.extend(more),
                event = honest.next() => drop(accept(honest, event)),
                event = hub.next() => if accept(hub, event).is_some() {
                    return;
                },
            }
        }
    })
    .await;
}

#[tokio::test]
async fn whoever_announces_envelopes_is_asked_for_none_of_them_seen_or_not() {
    let (mut hub, mut honest, mut asker) = between(|at| Attacker::listening(at, TOPIC)).await;
    let seen: Vec<Vec<u8>> = (0..20_u8).map(|number| vec![number; 500]).collect();
    let unseen: Vec<Vec<u8>> = (20..40_u8).map(|number| vec![number; 500]).collect();
    let mut heard = Vec::new();
    for content in &seen {
        assert_eq!(honest.publish(envelope(content)), PublishOutcome::Sent);
        hear_until((&mut hub, &mut honest, &mut asker), content, &mut heard).await;
    }
    heard.clear();
    let ids: Vec<EnvelopeId> = seen.iter().chain(&unseen).map(|content| id(content)).collect();
    asker.send(&[Part::have(TOPIC, &ids)]);
    // What would be asked for is asked for at once, and on the same stream before what follows.
    asker.send(&[Part::Message(TOPIC.to_owned(), envelope(b"announced"))]);
    be_read((&mut hub, &mut honest, &mut asker), &mut heard).await;
    assert_eq!(honest.publish(envelope(&[99; 500])), PublishOutcome::Sent);
    hear_until((&mut hub, &mut honest, &mut asker), &[99; 500], &mut heard).await;
    assert!(!ids.iter().any(|id| holds(&heard, &id.0)), "it says what it has seen");
}

#[tokio::test]
async fn whoever_asks_for_an_envelope_gets_no_copy_more() {
    let (mut hub, mut honest, mut asker) = between(|at| Attacker::listening(at, TOPIC)).await;
    let [first, second] = [[1; 500], [2; 500]];
    let mut heard = Vec::new();
    assert_eq!(honest.publish(envelope(&first)), PublishOutcome::Sent);
    hear_until((&mut hub, &mut honest, &mut asker), &first, &mut heard).await;
    (0..3).for_each(|_| asker.send(&[Part::want(id(&first))]));
    asker.send(&[Part::Message(TOPIC.to_owned(), envelope(b"asked"))]);
    be_read((&mut hub, &mut honest, &mut asker), &mut heard).await;
    assert_eq!(honest.publish(envelope(&second)), PublishOutcome::Sent);
    hear_until((&mut hub, &mut honest, &mut asker), &second, &mut heard).await;
    assert_eq!(heard.windows(500).filter(|at| *at == first).count(), 1);
}

#[tokio::test]
async fn whoever_says_that_it_passes_nothing_on_is_passed_on_to_all_the_same() {
    let (mut hub, mut honest, mut pruning) = between(|at| Attacker::listening(at, TOPIC)).await;
    let mut heard = Vec::new();
    for number in 0..5 {
        pruning.send(&[Part::prune(TOPIC)]);
        pruning.send(&[Part::Message(TOPIC.to_owned(), envelope(&[9, number]))]);
        be_read((&mut hub, &mut honest, &mut pruning), &mut heard).await;
        assert!(hub.is_in_mesh(ATTACKER));
        assert_eq!(honest.publish(envelope(&[number; 500])), PublishOutcome::Sent);
        hear_until((&mut hub, &mut honest, &mut pruning), &[number; 500], &mut heard).await;
    }
}

/// Has a node publish long envelopes until its only neighbour, which reads nothing, is out of its mesh.
async fn leave_behind(hub: &mut Net) {
    let mut sent = 0_u32;
    in_time("it to leave the mesh", async {
        while hub.is_in_mesh(HONEST) {
            // More than wait before it is out, and fewer than may wait at all.
            if sent < 200 {
                let content = [&sent.to_be_bytes()[..], &[7; 30_000]].concat();
                assert_eq!(hub.publish(envelope(&content)), PublishOutcome::Sent);
                sent += 1;
            }
            tokio::select! {
                event = hub.next() => assert!(!matches!(event, NetEvent::Disconnected { .. })),
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_neighbour_that_is_behind_is_neither_handed_nor_told_what_a_node_publishes() {
    let (mut hub, mut honest, mut behind) = between(|at| Attacker::listening(at, TOPIC)).await;
    let (mut sent, mut taken) = (0_u32, 0);
    in_time("it to leave the mesh", async {
        while hub.is_in_mesh(ATTACKER) || taken < sent {
            // One after the other: an honest neighbour has time to take each.
            if taken == sent {
                let bytes = envelope(&[&sent.to_be_bytes()[..], &[7; 30_000]].concat());
                assert_eq!(hub.publish(bytes), PublishOutcome::Sent);
                sent += 1;
            }
            tokio::select! {
                event = hub.next() => drop(accept(&mut hub, event)),
                event = honest.next() => taken += u32::from(accept(&mut honest, event).is_some()),
            }
        }
    })
    .await;
    assert!(hub.is_in_mesh(HONEST));
    let [outside, inside] = [[1; 500], [2; 500]];
    assert_eq!(hub.publish(envelope(&outside)), PublishOutcome::Sent);
    let mut heard = Vec::new();
    in_time("it to come back", async {
        while !hub.is_in_mesh(ATTACKER) {
            tokio::select! {
                more = behind.hear() => heard.extend(more),
                event = hub.next() => drop(accept(&mut hub, event)),
                event = honest.next() => drop(accept(&mut honest, event)),
            }
        }
    })
    .await;
    assert_eq!(hub.publish(envelope(&inside)), PublishOutcome::Sent);
    hear_until((&mut hub, &mut honest, &mut behind), &inside, &mut heard).await;
    assert!(!holds(&heard, &outside) && !holds(&heard, &id(&outside).0));
}

#[tokio::test]
async fn a_node_whose_only_neighbour_is_behind_publishes_all_the_same() {
    let at = place();
    let mut alone = settings();
    alone.listen = vec![at.clone()];
    alone.pace.stall = 2 * DEADLINE;
    let mut nets = [Net::new(alone).expect("a node")];
    let mut behind = Attacker::listening(&at, TOPIC);
    tokio::select! {
        () = meet(&mut nets, &[1]) => {}
        () = behind.parted() => panic!("parted with before it did anything"),
    }
    let [net] = &mut nets;
    leave_behind(net).await;
    assert_eq!(net.publish(envelope(&[1; 500])), PublishOutcome::Sent);
    let (mut heard, mut from) = (Vec::new(), 0);
    in_time("the envelope", async {
        while !holds(&heard[from..], &[1; 500]) {
            from = heard.len().saturating_sub(500);
            tokio::select! {
                more = behind.hear() => heard.extend(more),
                event = net.next() => drop(accept(net, event)),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_that_was_behind_is_told_when_it_is_passed_on_to_again() {
    let at = place();
    let mut hub = settings();
    hub.listen = vec![at.clone()];
    hub.pace.stall = 2 * DEADLINE;
    // The other one is not driven for a while, and gives no sign of life.
    hub.pace.silence = 2 * DEADLINE;
    let mut nets = [Net::new(hub).expect("a node"), node(&place(), &[&at])];
    meet(&mut nets, &[1, 1]).await;
    let [hub, slow] = &mut nets;
    leave_behind(hub).await;
    in_time("the node to be told", async {
        loop {
            tokio::select! {
                event = hub.next() => drop(accept(hub, event)),
                event = slow.next() => match event {
                    NetEvent::Engine(Input::Resumed) => return,
                    NetEvent::Engine(Input::Peers(_)) => panic!("it is a neighbour all the time"),
                    event => drop(accept(slow, event)),
                }
            }
        }
    })
    .await;
    assert!(hub.is_in_mesh(HONEST));
}

#[tokio::test]
async fn whoever_ends_every_stream_of_gossip_is_parted_with() {
    let (mut hub, mut honest, mut attacker) = between(|at| Attacker::hanging_up(at, TOPIC)).await;
    let said = |number: u32| envelope(&number.to_be_bytes());
    let (mut number, mut parted) = (0, Vec::new());
    attacker.send(&[Part::Message(TOPIC.to_owned(), said(number))]);
    in_time("the parting", async {
        while parted.is_empty() {
            tokio::select! {
                event = hub.next() => match event {
                    NetEvent::Disconnected { why, .. } => parted.push(why),
                    // Each of its own makes the hub write one to it, on a stream that it ends.
                    event => if accept(&mut hub, event).is_some() {
                        number += 2;
                        hub.publish(said(number + 1));
                        attacker.send(&[Part::Message(TOPIC.to_owned(), said(number))]);
                    },
                },
                event = honest.next() => drop(accept(&mut honest, event)),
                () = attacker.parted() => {}
            }
        }
    })
    .await;
    assert_eq!(parted, [DisconnectReason::Silent]);
    assert_eq!((hub.peers(), honest.peers()), (1, 1));
}

#[tokio::test]
async fn nobody_who_brings_a_copy_of_what_a_node_published_itself_is_remembered() {
    let (mut hub, mut honest, mut attacker) = between(|at| Attacker::new(at, TOPIC)).await;
    assert_eq!(hub.publish(envelope(b"its own")), PublishOutcome::Sent);
    let message = |data: &[u8]| Part::Message(TOPIC.to_owned(), envelope(data));
    attacker.send(&[message(b"its own"), message(b"after it")]);
    in_time("what follows the copy", async {
        loop {
            tokio::select! {
                () = attacker.parted() => panic!("parted with"),
                event = honest.next() => drop(event),
                event = hub.next() => if let Some(heard) = accept(&mut hub, event) {
                    assert_eq!(heard, b"after it");
                    return;
                },
            }
        }
    })
    .await;
    assert_eq!(hub.unsettled(), 0);
}

#[tokio::test]
async fn once_there_is_a_verdict_nobody_who_brings_a_copy_is_remembered() {
    let (mut hub, mut honest, mut attacker) = between(|at| Attacker::new(at, TOPIC)).await;
    assert_eq!(honest.publish(envelope(b"one")), PublishOutcome::Sent);
    assert_eq!(honest.unsettled(), 0, "it is its own");
    let copies = [Part::Message(TOPIC.to_owned(), envelope(b"one")), made_at(MADE.0, 1).remove(0)];
    let mut seen = 0;
    in_time("both to be dealt with", async {
        while seen < 2 {
            tokio::select! {
                () = attacker.parted() => panic!("parted with"),
                event = honest.next() => drop(accept(&mut honest, event)),
                event = hub.next() => {
                    let NetEvent::Engine(Input::Gossip { from, id, .. }) = event else { continue };
                    assert_eq!(hub.unsettled(), 1);
                    let acceptance =
                        if seen == 0 { Acceptance::Accept } else { Acceptance::Ignore };
                    hub.report_validation(from, id, acceptance);
                    assert_eq!(hub.unsettled(), 0);
                    if seen == 0 {
                        attacker.send(&copies);
                    }
                    seen += 1;
                }
            }
        }
    })
    .await;
    assert_eq!(hub.unsettled(), 0);
}
