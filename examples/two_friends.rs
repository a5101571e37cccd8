//! Two friends over the engine alone: no network, no clock, no files. This program hands each
//! published envelope to the other side.
//!
//! `cargo run --example two_friends`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]
#![expect(clippy::wildcard_enum_match_arm, reason = "most of what is told is of no interest here")]

use std::collections::VecDeque;

use undertone::engine::command::Command;
use undertone::engine::env::{Env, Millis, UnixSeconds};
use undertone::engine::envelope::{Floor, Lifetime, WorkNonce, work};
use undertone::engine::event::{Direction, Event, SessionStatus};
use undertone::engine::id::{CommandId, Neighbour, NeighbourId};
use undertone::engine::node::Node;
use undertone::engine::node::input::Input;
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::engine::turn::{Effect, Output};
use undertone::sim::SeededRng;

pub(crate) fn main() -> anyhow::Result<()> {
    let settings = NodeSettings::new(NodeRole::Messenger, Floor::new(4));
    let (mut ann, mut bob) = (Node::new(settings), Node::new(settings));
    let mut entropy = SeededRng::lane(1, 0);
    let ask = |command| Input::Command { id: CommandId(0), command };
    let mut inputs = VecDeque::new();
    for name in ["ann", "bob"] {
        inputs.push_back((name, Input::Peers(vec![Neighbour::alone(NeighbourId(0))])));
        inputs.push_back((name, ask(Command::CreateIdentity { name: name.to_owned() })));
    }
    let (mut keys, mut heard) = (Vec::new(), Vec::new());
    for second in 0..120 {
        while let Some((name, input)) = inputs.pop_front() {
            let (node, other) = if name == "ann" { (&mut ann, "bob") } else { (&mut bob, "ann") };
            let wall = UnixSeconds(1_767_225_600 + second);
            node.handle(&mut Env::new(Millis::from_secs(second), wall, &mut entropy), input);
            // Before the next turn: the outputs of one turn are carried out in their order.
            while let Some(output) = node.poll_output() {
                match output {
                    Output::Effect(Effect::StartMining(order)) => {
                        let found = work::search(&order, WorkNonce(order.start), u64::MAX);
                        let outgoing = order.outgoing;
                        inputs.extend(found.map(|nonce| (name, Input::Mined { outgoing, nonce })));
                    }
                    Output::Effect(Effect::Publish { id, bytes }) => {
                        println!("{name} publishes {} bytes", bytes.len());
                        inputs
                            .push_back((other, Input::Gossip { from: NeighbourId(0), id, bytes }));
                        inputs.push_back((other, Input::Tick));
                    }
                    Output::Effect(Effect::Event(Event::Identity(view))) => {
                        keys.push((view.id, view.key))
                    }
                    Output::Effect(Effect::Event(Event::Request(view))) => {
                        println!("{name} is asked by a stranger, and lets them in");
                        let (request, petname) = (view.id, other.to_owned());
                        inputs.push_back((name, ask(Command::AcceptRequest { request, petname })));
                    }
                    Output::Effect(Effect::Event(Event::Contact(view)))
                        if view.session == SessionStatus::Established =>
                    {
                        println!("{name} has a session with {other}");
                        if heard.iter().all(|(speaker, _)| *speaker != name) {
                            let (contact, text) = (view.id, format!("this is {name}"));
                            heard.push((name, text.clone()));
                            inputs.push_back((
                                name,
                                ask(Command::Say { contact, text, postage: Lifetime::Day.into() }),
                            ));
                        }
                    }
                    Output::Effect(Effect::Event(Event::Message(view)))
                        if view.direction == Direction::Incoming =>
                    {
                        println!("{name} reads: {}", view.text.sanitize_for_text().text);
                    }
                    // Nothing is stored here, there is no network to report a verdict to, and
                    // states are not shown.
                    _ => {}
                }
            }
        }
        if let (0, [(ann, _), (_, bob)]) = (second, keys.as_slice()) {
            // Bob's key came with an invite. He knows nothing of Ann until her offer arrives.
            let (identity, key, petname) = (*ann, *bob, "bob".to_owned());
            inputs.push_back((
                "ann",
                ask(Command::AddContact { identity, key, petname, highest: None }),
            ));
        }
        inputs.extend([("ann", Input::Tick), ("bob", Input::Tick)]);
    }
    anyhow::ensure!(heard.len() == 2, "they did not meet");
    Ok(())
}
