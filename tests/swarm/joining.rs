//! Nodes that join at about the same moment.

use undertone::engine::command::Command;
use undertone::engine::crypto::keys::Identity;
use undertone::engine::env::{Env, Millis};
use undertone::engine::envelope::WorkNonce;
use undertone::engine::id::{CommandId, Neighbour};
use undertone::engine::node::input::Input;
use undertone::engine::price::SaidSteps;
use undertone::engine::settings::NodeRole;
use undertone::engine::sync::{ResponseBody, SyncResponse};
use undertone::engine::turn::{Effect, Output};
use undertone::sim::SeededRng;
use undertone::sim::link::Links;

use crate::duplex::{Alone, OTHER, START, roomy};
use crate::harness::{Town, seeds};
use crate::one_node::own_identity;

const MINUTES: Millis = Millis::from_secs(300);

#[test]
fn what_is_said_at_joining_reaches_whoever_joins_at_the_same_moment_within_two_seconds() {
    seeds(40, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 1);
        let (contact, _) = town.introduce(0, 1);
        town.world.run_for(MINUTES);
        let (speaker, listener) = (town.people[0].node, town.people[1].node);
        town.world.switch_off(listener);
        town.world.partition(&[speaker]);
        town.say(0, contact, "at joining");
        town.world.run_for(Millis::from_secs(2));
        let late = Millis(seed * 800 / 40);
        town.world.heal();
        town.world.switch_on_after(listener, late);
        let heard = town.world.run_until(late.plus(Millis::from_secs(2)), |world| {
            world.seen(listener).texts.iter().any(|(_, text)| text == "at joining")
        });
        assert!(heard, "{late:?} later");
    });
}

/// A messenger with an identity and without neighbours.
fn alone() -> Alone {
    let mut node = Alone::new(roomy(NodeRole::Messenger));
    let name = "author".to_owned();
    let (id, command) = (CommandId(1), Command::CreateIdentity { name });
    node.turn(Millis(0), Input::Command { id, command });
    node
}

/// Has it offer a session to somebody.
fn add_contact(node: &mut Alone, now: Millis) {
    let identity = own_identity(&node.node).id;
    let mut chance = SeededRng::lane(3, 3);
    let key = {
        let mut env = Env::new(now, START, &mut chance);
        Identity::generate(&mut env).public()
    };
    let petname = "bob".to_owned();
    let command = Command::AddContact { identity, key, petname, highest: None };
    node.turn(now, Input::Command { id: CommandId(2), command });
}

#[test]
fn the_work_is_done_at_joining_and_what_it_is_for_leaves_a_second_later() {
    let mut node = alone();
    let joined = Millis(10_000);
    let ask = |outputs: &[Output]| {
        outputs.iter().find_map(|output| match output {
            Output::Effect(Effect::SyncRequest { id, .. }) => Some(*id),
            _ => None,
        })
    };
    let published = |outputs: &[Output]| {
        outputs.iter().any(|output| matches!(output, Output::Effect(Effect::Publish { .. })))
    };
    let outputs = node.turn(joined, Input::Peers(vec![Neighbour::alone(OTHER)]));
    // What waited before that would leave after a delay of its own.
    add_contact(&mut node, joined.plus(Millis(20)));
    // The price is said, so the search begins.
    let done = SyncResponse { minutes: 1, steps: SaidSteps::default(), body: ResponseBody::Done };
    let (id, bytes) = (ask(&outputs).expect("it catches up"), Some(done.encode()));
    let outputs = node.turn(joined.plus(Millis(50)), Input::SyncResponse { id, bytes });
    let outgoing = outputs.iter().find_map(|output| match output {
        Output::Effect(Effect::StartMining(job)) => Some(job.outgoing),
        _ => None,
    });
    let outgoing = outgoing.expect("an offer to mine");
    let nonce = WorkNonce(0);
    let outputs = node.turn(joined.plus(Millis(100)), Input::Mined { outgoing, nonce });
    assert!(!published(&outputs));
    assert!(!published(&node.turn(joined.plus(Millis(999)), Input::Tick)));
    assert_eq!(
        node.node.deadline().filter(|at| *at <= joined.plus(Millis(1_000))),
        Some(joined.plus(Millis(1_000)))
    );
    assert!(published(&node.turn(joined.plus(Millis(1_000)), Input::Tick)));
}

#[test]
fn a_search_that_begins_anew_begins_elsewhere() {
    let mut node = alone();
    let joined = Millis(10_000);
    let outputs = node.turn(joined, Input::Peers(vec![Neighbour::alone(OTHER)]));
    add_contact(&mut node, joined.plus(Millis(20)));
    let ask = outputs.iter().find_map(|output| match output {
        Output::Effect(Effect::SyncRequest { id, .. }) => Some(*id),
        _ => None,
    });
    let done = SyncResponse { minutes: 1, steps: SaidSteps::default(), body: ResponseBody::Done };
    let (id, bytes) = (ask.expect("it catches up"), Some(done.encode()));
    let outputs = node.turn(joined.plus(Millis(50)), Input::SyncResponse { id, bytes });
    let job = |outputs: &[Output]| {
        outputs.iter().find_map(|output| match output {
            Output::Effect(Effect::StartMining(job)) => Some(job.clone()),
            _ => None,
        })
    };
    let first = job(&outputs).expect("an offer to mine");
    // It took so long that the envelope is over: dated and searched for again.
    let found = Input::Mined { outgoing: first.outgoing, nonce: WorkNonce(first.start) };
    let outputs = node.turn(joined.plus(Millis::from_secs(172_800)), found);
    let again = job(&outputs).expect("the same offer");
    assert_eq!(again.outgoing, first.outgoing);
    assert!(again.start != first.start && again.digest != first.digest);
}
