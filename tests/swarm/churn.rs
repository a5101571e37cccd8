//! Two hundred nodes that come and go, on links that lose, and for ten minutes in two halves.
//!
//! Fifty messengers in 25 pairs, and 150 relays: most nodes of a network carry what is not for
//! them, and the pairs speak often enough that at any moment something is on its way. Everybody
//! goes on saying things, and the coming, going and losing goes on too, until the end of the run.
//! What is checked: everything said is shown once, in order, not later than [`WITHIN`].
//!
//! A seed costs half a minute of computing, so few are run by default; `UNDERTONE_SEEDS` says how
//! many.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use undertone::engine::command::Command;
use undertone::engine::env::Millis;
use undertone::engine::envelope::{Floor, Lifetime};
use undertone::engine::event::SessionStatus;
use undertone::engine::id::ContactId;
use undertone::engine::record::MessageState;
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, SeededRng};

use crate::harness::{FLOOR, Town, link, seeds, seeds_wished};

/// How many nodes, and how many of them speak.
const NODES: usize = 200;
const PEOPLE: usize = 50;

/// Each node chooses so many neighbours, and is chosen by as many: eight, as gossipsub's mesh has.
const CHOSEN: usize = 4;

/// Of so many nodes that are up one goes down each second: a fifth of all within a minute.
const ONE_OF: u64 = 300;

/// For how long it is down, uniform: a minute on average.
const DOWN: (Millis, Millis) = (Millis::from_secs(5), Millis::from_secs(115));

/// Each link loses so many of a thousand envelopes.
const LOSS_PER_MILLE: u16 = 100;

/// How long the two halves are apart.
const APART: Millis = Millis::from_secs(600);

/// After they are together again people go on for so long.
const AFTERWARDS: Millis = Millis::from_secs(180);

/// Everybody says something so often, on average.
const EVERY: u64 = 120;

/// What was said is shown so long after the halves are together again, or after it was said if that
/// is later, at the latest. The latest of 34 runs was 686 seconds when nobody caught up.
const WITHIN: Millis = Millis::from_secs(1_800);

/// What people do, besides listening.
#[derive(Clone, Copy)]
enum People {
    Speak,
    Listen,
}

/// What people do and see, second by second.
struct Course {
    town: Town,
    chance: SeededRng,
    /// How each calls the one they speak with.
    partner: Vec<ContactId>,
    /// What each has said, and when.
    said: Vec<Vec<(String, Millis)>>,
    /// When what was first shown.
    heard: BTreeMap<String, Millis>,
    /// How much each was shown.
    counted: Vec<usize>,
    up: BTreeMap<NodeIndex, Millis>,
}

impl Course {
    /// The swarm in calm; the pairs have met.
    fn begin(seed: u64) -> Self {
        let mut links = Links::calm();
        links.jitter = Millis(400);
        let mut town = Town::new(seed, links, 0, 0);
        let mut chance = SeededRng::lane(seed, u64::MAX);
        // The real delays, and work that costs nothing.
        let settings = |role| NodeSettings::new(role, Floor::new(FLOOR));
        for _ in 0..PEOPLE {
            town.lodge(settings(NodeRole::Messenger));
        }
        for _ in PEOPLE..NODES {
            town.world.add(settings(NodeRole::Relay));
        }
        for node in 0..NODES {
            let mut chosen = BTreeSet::new();
            while chosen.len() < CHOSEN {
                let other = pick(&mut chance, NODES);
                if other != node && chosen.insert(other) {
                    town.world.join(NodeIndex(node), NodeIndex(other));
                }
            }
        }
        let partner: Vec<ContactId> = (0..PEOPLE).map(|who| town.add(who, other(who))).collect();
        let ready = |town: &Town| {
            let mut all = partner.iter().enumerate();
            all.all(|(who, &contact)| {
                link(&town.world, town.people[who].node, contact) == SessionStatus::Established
            })
        };
        town.wait(1, "all pairs to meet", ready);
        let up = (0..NODES).map(|node| (NodeIndex(node), Millis(0))).collect();
        let said = vec![Vec::new(); PEOPLE];
        let counted = vec![0; PEOPLE];
        Self { town, chance, partner, said, heard: BTreeMap::new(), counted, up }
    }

    /// Goes on for `span`.
    fn go_on(&mut self, span: Millis, people: People) {
        let end = self.town.world.now().plus(span);
        while self.town.world.now() < end {
            self.come_and_go();
            match people {
                People::Speak => self.speak(),
                People::Listen => {}
            }
            self.town.world.run_for(Millis::from_secs(1));
            self.listen();
        }
    }

    /// Some nodes go down, for a while.
    fn come_and_go(&mut self) {
        let now = self.town.world.now();
        for node in (0..NODES).map(NodeIndex) {
            let here = self.up.get(&node).is_some_and(|&since| since <= now);
            if here && self.chance.below(ONE_OF) == 0 {
                let rest = DOWN.0.plus(Millis(self.chance.below(DOWN.1.0 - DOWN.0.0)));
                self.town.world.switch_off(node);
                self.town.world.switch_on_after(node, rest);
                self.up.insert(node, now.plus(rest));
            }
        }
    }

    /// Whoever has something to say, and a node that is up, says it.
    fn speak(&mut self) {
        let now = self.town.world.now();
        for who in 0..PEOPLE {
            let node = self.town.people[who].node;
            if self.chance.below(EVERY) != 0 || self.town.world.node(node).is_none() {
                continue;
            }
            let text = format!("person {who} says line {}", self.said[who].len());
            let contact = self.partner[who];
            let command =
                Command::Say { contact, text: text.clone(), postage: Lifetime::Day.into() };
            self.town.world.ask(node, command).expect("accepted");
            self.said[who].push((text, now));
        }
    }

    /// Notes when what was shown.
    fn listen(&mut self) {
        let now = self.town.world.now();
        for (person, counted) in self.town.people.iter().zip(&mut self.counted) {
            let texts = &self.town.world.seen(person.node).texts;
            for (_, text) in texts.iter().skip(*counted) {
                self.heard.entry(text.clone()).or_insert(now);
            }
            *counted = texts.len().max(*counted);
        }
    }

    fn all_heard(&self) -> bool {
        self.said.iter().map(Vec::len).sum::<usize>() == self.heard.len()
    }

    fn all_delivered(&self) -> bool {
        (0..PEOPLE).all(|who| {
            let states = self.town.world.seen(self.town.people[who].node).states.values();
            states
                .copied()
                .all(|state| matches!(state, MessageState::Delivered | MessageState::Read))
        })
    }

    /// Everything was shown once, in order; how long after `healed` each.
    fn check(&self, seed: u64, healed: Millis) -> Vec<Millis> {
        let at = self.town.world.now();
        let mut lateness = Vec::new();
        for who in 0..PEOPLE {
            let said: Vec<&String> = self.said[who].iter().map(|(text, _)| text).collect();
            let heard = self.town.heard(other(who));
            let (told, of) = (heard.len(), said.len());
            assert!(
                heard.iter().eq(said),
                "SEED={seed} at {} s: person {} heard {told} of {of}: {heard:?}",
                at.0 / 1_000,
                other(who),
            );
            lateness.extend(self.said[who].iter().map(|(text, said)| {
                Millis(self.heard[text].0.saturating_sub(healed.max(*said).0))
            }));
        }
        self.town.assert_sound();
        lateness
    }
}

/// Two and two speak with each other.
const fn other(who: usize) -> usize {
    who ^ 1
}

fn pick(chance: &mut SeededRng, among: usize) -> usize {
    usize::try_from(chance.below(among as u64)).expect("a small number")
}

/// Runs one seed; how late what was said was shown, and when all was acknowledged.
fn run(seed: u64) -> (Vec<Millis>, Millis) {
    let mut course = Course::begin(seed);
    course.town.world.set_loss(LOSS_PER_MILLE);
    // The halves part at another moment of everybody's plans in each seed.
    let before = Millis::from_secs(180 + course.chance.below(180));
    course.go_on(before, People::Speak);
    let mut all: Vec<NodeIndex> = (0..NODES).map(NodeIndex).collect();
    let half: Vec<NodeIndex> =
        (0..NODES / 2).map(|_| all.swap_remove(pick(&mut course.chance, all.len()))).collect();
    course.town.world.partition(&half);
    course.go_on(APART, People::Speak);
    course.town.world.heal();
    let healed = course.town.world.now();
    course.go_on(AFTERWARDS, People::Speak);
    let end = course.town.world.now().plus(WITHIN);
    while !(course.all_heard() && course.all_delivered()) && course.town.world.now() < end {
        course.go_on(Millis::from_secs(10), People::Listen);
    }
    let lateness = course.check(seed, healed);
    let latest = lateness.iter().max().copied().unwrap_or_default();
    let at = course.town.world.now();
    assert!(latest <= WITHIN, "SEED={seed} at {} s: {} s late", at.0 / 1_000, latest.0 / 1_000);
    assert!(course.all_delivered(), "SEED={seed} at {} s: not acknowledged", at.0 / 1_000);
    (lateness, Millis(at.0 - healed.0))
}

#[test]
fn in_a_swarm_with_churn_and_a_partition_every_message_is_shown_once_and_in_time() {
    let all = RefCell::new(Vec::new());
    seeds(seeds_wished(2), |seed| {
        let (lateness, acknowledged) = run(seed);
        assert!(lateness.len() > 150, "hardly anything was said: {}", lateness.len());
        let line = figures(&lateness);
        eprintln!("SEED={seed} {line}, all acknowledged after {} s", acknowledged.0 / 1_000);
        all.borrow_mut().extend(lateness);
    });
    eprintln!("all seeds {}", figures(&all.borrow()));
}

fn figures(lateness: &[Millis]) -> String {
    let mut sorted = lateness.to_vec();
    sorted.sort();
    let at = |per_mille: usize| {
        let index = (sorted.len() * per_mille / 1_000).min(sorted.len().saturating_sub(1));
        sorted.get(index).map_or(0, |late| late.0 / 1_000)
    };
    let (half, most, all) = (at(500), at(990), at(1_000));
    format!(
        "{} messages: half within {half} s, 99 % within {most} s, all within {all} s",
        sorted.len()
    )
}
