//! A simulated swarm: many engines in virtual time, hours in a second, and the same seed gives the
//! same run.
//!
//! `cargo run --example swarm [SEED]`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]
#![expect(clippy::wildcard_enum_match_arm, reason = "most of what is told is of no interest here")]

use anyhow::Context as _;
use undertone::engine::command::{Command, Reply};
use undertone::engine::env::Millis;
use undertone::engine::envelope::{Floor, Lifetime};
use undertone::engine::event::Event;
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::sim::link::Links;
use undertone::sim::{Trace, World};

pub(crate) fn main() -> anyhow::Result<()> {
    // Anything but a number is no seed; the examples' test passes names of tests.
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let Trace { digest, turns } = run(seed)?;
    println!("seed {seed}: {turns} turns, digest {digest:016x}");
    Ok(())
}

/// A day in a ring of relays that lose every tenth envelope; two people talk, one of them crashes.
pub(crate) fn run(seed: u64) -> anyhow::Result<Trace> {
    let mut links = Links::calm();
    links.loss_per_mille = 100;
    let mut world = World::new(seed, links);
    let relays: Vec<_> = (0..8).map(|_| world.add(node(NodeRole::Relay))).collect();
    for (one, other) in relays.iter().zip(relays.iter().cycle().skip(1)) {
        world.join(*one, *other);
    }
    let [ann, bob] = [0, 4].map(|_| world.add(node(NodeRole::Messenger)));
    for (person, relay) in [ann, bob].iter().zip(relays.iter().step_by(4)) {
        world.join(*person, *relay);
    }
    let anns = world.identity(ann, "ann")?;
    world.identity(bob, "bob")?;
    let key = world.node(bob).and_then(|node| {
        node.snapshot().into_iter().find_map(|notice| match notice {
            Event::Identity(view) => Some(view.key),
            _ => None,
        })
    });
    let key = key.context("bob has an identity")?;
    let add = Command::AddContact { identity: anns, key, petname: "bob".to_owned(), highest: None };
    let Reply::Contact(contact) = world.ask(ann, add)? else { anyhow::bail!("no contact") };
    world.run_until(Millis::from_secs(43_200), |world| !world.seen(bob).requests.is_empty());
    let request = world.seen(bob).requests.first().context("the request never came")?.id;
    world.ask(bob, Command::AcceptRequest { request, petname: "ann".to_owned() })?;
    for number in 0..20 {
        world.ask(
            ann,
            Command::Say { contact, text: format!("line {number}"), postage: Lifetime::Day.into() },
        )?;
    }
    // Bob's machine dies after forty more things it did, and is back after a minute.
    world.machine_mut(bob).crash_after(40, Millis::from_secs(60));
    world.run_for(Millis::from_secs(43_200));
    for (_, text) in &world.seen(bob).texts {
        println!("bob reads: {text}");
    }
    anyhow::ensure!(world.seen(bob).texts.len() == 20, "something was lost");
    anyhow::ensure!(world.audit().violations().is_empty(), "{:?}", world.audit().violations());
    Ok(world.trace())
}

fn node(role: NodeRole) -> NodeSettings {
    NodeSettings::new(role, Floor::new(1))
}
