//! One script, played in the simulator and by whole hosts over libp2p: both must end alike.
//!
//! What this proves is the simulator: that its model of the flood is close enough to gossipsub for
//! what is concluded from it.

use std::collections::{BTreeMap, BTreeSet};
use undertone::engine::envelope::Lifetime;

use undertone::engine::command::Command;
use undertone::engine::crypto::keys::PublicKey;
use undertone::engine::env::Millis;
use undertone::engine::event::SessionStatus;
use undertone::engine::id::IdentityId;
use undertone::engine::record::MessageState;
use undertone::engine::settings::NodeRole;
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, Observed};

use crate::hosts::{Company, net_settings, node_settings};
use crate::town::Town;
use crate::world::place;

const RELAYS: usize = 12;
const PEOPLE: usize = 8;

/// One thing somebody does, to whom.
#[derive(Clone, Debug)]
enum Act {
    Add(usize, usize),
    Accept(usize, usize),
    Say(usize, usize, String),
    Close(usize, usize),
    Block(usize, usize),
}

/// Acts that may happen in any order; then everybody waits until nothing is left to happen.
type Scene = Vec<Act>;

fn script() -> Vec<Scene> {
    let say = |from, to, count| {
        (0..count).map(move |number| Act::Say(from, to, format!("{from} to {to}, line {number}")))
    };
    let pairs = [(0, 1), (2, 3), (4, 5), (6, 7), (0, 4), (5, 2)];
    let adds = pairs.iter().map(|&(one, other)| Act::Add(one, other)).collect();
    let accepts = pairs.iter().map(|&(one, other)| Act::Accept(other, one)).collect();
    // Some speak before the other is there to hear it.
    let talk = pairs.iter().flat_map(|&(one, other)| say(one, other, 7).chain(say(other, one, 5)));
    vec![
        adds,
        say(4, 5, 2).chain(say(6, 7, 1)).collect(),
        accepts,
        talk.collect(),
        // Both at once, and somebody who is not answered.
        vec![Act::Add(1, 7), Act::Add(7, 1), Act::Add(3, 6)],
        say(1, 7, 3).chain(say(7, 1, 3)).collect(),
        vec![Act::Close(0, 1), Act::Close(2, 3), Act::Block(5, 4)],
        // The next word opens a session again.
        say(1, 0, 2).collect(),
    ]
}

/// How somebody stands with everybody, by their places in the script.
#[derive(Debug, Default, PartialEq, Eq)]
struct Standing {
    links: BTreeMap<usize, SessionStatus>,
    asked_by: BTreeSet<usize>,
    read: BTreeMap<usize, Vec<String>>,
    /// Messages of theirs by what became of them.
    states: BTreeMap<MessageState, usize>,
}

/// Somebody in either world.
#[derive(Clone, Copy, Debug)]
struct Person {
    identity: IdentityId,
    key: PublicKey,
}

fn who(people: &[Person], key: &PublicKey) -> usize {
    people.iter().position(|person| person.key == *key).expect("somebody in the script")
}

fn standing(people: &[Person], seen: &Observed) -> Standing {
    let mut standing = Standing::default();
    for (key, link) in seen.contacts.values() {
        standing.links.insert(who(people, key), *link);
    }
    for (contact, text) in &seen.texts {
        let (key, _) = seen.contacts.get(contact).expect("a text from a contact");
        standing.read.entry(who(people, key)).or_default().push(text.clone());
    }
    standing.asked_by = seen.requests.iter().map(|request| who(people, &request.key)).collect();
    for state in seen.states.values() {
        *standing.states.entry(*state).or_default() += 1;
    }
    standing
}

/// An act as its actor puts it, who has seen `seen`.
fn command(people: &[Person], seen: &[&Observed], act: &Act) -> (usize, Command) {
    let contact = |who: usize, whom: usize| {
        let known = seen[who].contacts.iter().find(|(_, (key, _))| *key == people[whom].key);
        *known.expect("a contact").0
    };
    match act {
        Act::Add(who, whom) => {
            let Person { identity, .. } = people[*who];
            let (key, petname) = (people[*whom].key, format!("person {whom}"));
            (*who, Command::AddContact { identity, key, petname, highest: None })
        }
        Act::Accept(who, whom) => {
            let from = people[*whom].key;
            let request = seen[*who].requests.iter().find(|request| request.key == from);
            let request = request.expect("a request").id;
            (*who, Command::AcceptRequest { request, petname: format!("person {whom}") })
        }
        Act::Say(who, whom, text) => (
            *who,
            Command::Say {
                contact: contact(*who, *whom),
                text: text.clone(),
                postage: Lifetime::Day.into(),
            },
        ),
        Act::Close(who, whom) => (*who, Command::CloseSession { contact: contact(*who, *whom) }),
        Act::Block(who, whom) => (*who, Command::Block { contact: contact(*who, *whom) }),
    }
}

/// Which relay somebody is at: not two of one pair at the same.
fn relay_of(person: usize) -> usize {
    (person * 5) % RELAYS
}

/// Plays the script in virtual time; how everybody stands after each scene.
fn simulated(script: &[Scene]) -> Vec<Vec<Standing>> {
    let mut town = Town::of_relays(41, Links::calm(), RELAYS, node_settings(NodeRole::Relay));
    let nodes: Vec<NodeIndex> = (0..PEOPLE)
        .map(|person| town.settle(node_settings(NodeRole::Messenger), NodeIndex(relay_of(person))))
        .collect();
    let known = town.people.iter().map(|person| (person.identity, person.key));
    let people: Vec<Person> = known.map(|(identity, key)| Person { identity, key }).collect();
    let scenes = script.iter().map(|scene| {
        for act in scene {
            let seen: Vec<&Observed> = nodes.iter().map(|node| town.world.seen(*node)).collect();
            let (who, command) = command(&people, &seen, act);
            town.ask(who, command);
        }
        town.world.run_for(Millis::from_secs(300));
        town.assert_sound();
        nodes.iter().map(|node| standing(&people, town.world.seen(*node))).collect()
    });
    scenes.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_ends_the_same_in_the_simulator_and_over_libp2p() {
    let script = script();
    let expected = simulated(&script);
    let mut company = Company::new();
    let places: Vec<_> = (0..RELAYS).map(|_| place()).collect();
    for index in 0..RELAYS {
        let next = &places[(index + 1) % RELAYS];
        company
            .subscribe(node_settings(NodeRole::Relay), net_settings(Some(&places[index]), &[next]))
            .await;
    }
    for person in 0..PEOPLE {
        let name = format!("person {person}");
        assert_eq!(RELAYS + person, company.messenger(&name, &places[relay_of(person)]).await);
    }
    let wanted = |index: usize| if index < RELAYS { 2 } else { 1 };
    company
        .until("all to meet", |views| {
            let mut met = views.iter().enumerate().map(|(at, view)| view.peers() >= wanted(at));
            met.all(|met| met)
        })
        .await;
    let own = company.views.iter().skip(RELAYS).map(|view| view.own.expect("an identity"));
    let people: Vec<Person> = own.map(|(identity, key)| Person { identity, key }).collect();
    for (scene, expected) in script.iter().zip(expected) {
        for act in scene {
            let seen: Vec<&Observed> =
                company.views.iter().skip(RELAYS).map(|view| &view.seen).collect();
            let (who, command) = command(&people, &seen, act);
            company.ask(RELAYS + who, command).await;
        }
        let what = format!("everybody to stand as after {scene:?} simulated: {expected:#?}");
        company
            .until(&what, |views| {
                let mut both = views.iter().skip(RELAYS).zip(&expected);
                both.all(|(view, expected)| standing(&people, &view.seen) == *expected)
            })
            .await;
    }
}
