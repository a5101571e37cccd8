//! A disk that is older than what its node did: whatever is said afterwards is shown once, in order.

use std::collections::BTreeSet;

use undertone::engine::env::Millis;
use undertone::engine::envelope::Life;
use undertone::engine::id::{ContactId, MessageId};
use undertone::engine::node::output::MessageState;
use undertone::sim::{DiskCopy, Seeded};
use undertone::sim::link::Links;


use crate::town::{Town, seeds, seeds_wished};

/// How often the disk is put back in one run.
const TIMES: usize = 3;

/// Two people, of whom one has the disk put back.
struct Course {
    town: Town,
    chance: Seeded,
    contacts: [ContactId; 2],
    twin: usize,
    /// Copies of the disk, the oldest first.
    copies: Vec<DiskCopy>,
    said: usize,
    /// What each said since the disk was put back last.
    since: [Vec<(MessageId, String)>; 2],
}

impl Course {
    fn begin(seed: u64) -> Self {
        let mut town = Town::new(seed, Links::calm(), 2, 2);
        let (a, b) = town.introduce(0, 1);
        let chance = Seeded::new(seed, u64::MAX);
        let twin = usize::from(seed % 2 == 0);
        let (copies, since) = Default::default();
        let mut course = Self { town, chance, contacts: [a, b], twin, copies, said: 0, since };
        course.copy();
        course
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.chance.below(bound)
    }

    fn copy(&mut self) {
        let node = self.town.people[self.twin].node;
        self.copies.push(self.town.world.copy_disk(node).expect("a node of this world"));
    }

    fn say(&mut self, who: usize) {
        let lives = [Life::TenMinutes, Life::Day, Life::Week];
        let life = lives[usize::try_from(self.below(3)).expect("small")];
        let text = format!("person {who} says line {}", self.said);
        self.said += 1;
        let id = self.town.say_for(who, self.contacts[who], &text, life);
        self.since[who].push((id, text));
    }

    /// Somebody says something, is started again, cut off, or copied; and some time passes.
    fn step(&mut self) {
        let who = usize::from(self.below(2) == 0);
        let node = self.town.people[who].node;
        match self.below(16) {
            0..8 => {
                for _ in 0..=self.below(4) {
                    self.say(who);
                }
            }
            8..10 => self.town.world.start_over(node),
            10 => self.town.world.partition(&[node]),
            11..13 => self.town.world.heal(),
            13..15 => self.copy(),
            _ => {
                let loss = [0, 0, 300][usize::try_from(self.below(3)).expect("small")];
                self.town.world.set_loss(loss);
            }
        }
        let spans = [300, 2_000, 20_000, 200_000, 2_000_000];
        let span = spans[usize::try_from(self.below(5)).expect("small")];
        let span = self.below(span);
        self.town.world.run_for(Millis(span));
        self.check_delivered();
    }

    fn put_back(&mut self) {
        let node = self.town.people[self.twin].node;
        let at = usize::try_from(self.below(self.copies.len() as u64)).expect("small");
        // What was copied later is no past of what is said from here on.
        self.copies.truncate(at + 1);
        let copy = self.copies[at].clone();
        self.town.world.put_back(node, copy);
        self.since = Default::default();
    }

    /// Nobody is told that something was received that was not.
    fn check_delivered(&self) {
        for who in [0, 1] {
            let states = &self.town.world.seen(self.town.people[who].node).states;
            let there: BTreeSet<String> =
                self.town.messages(1 - who).into_iter().map(|message| message.text).collect();
            for (id, text) in &self.since[who] {
                let received =
                    matches!(states.get(id), Some(MessageState::Delivered | MessageState::Read));
                assert!(!received || there.contains(text), "not there: {text}");
            }
        }
    }

    fn check_all(&mut self) {
        self.town.world.heal();
        self.town.world.set_loss(0);
        let since = self.since.clone();
        self.town.wait(30, "what was said since", |town| {
            (0..2).all(|who| {
                let states = &town.world.seen(town.people[who].node).states;
                since[who].iter().all(|(id, _)| {
                    matches!(states.get(id), Some(MessageState::Delivered | MessageState::Read))
                })
            })
        });
        for who in [0, 1] {
            let said: Vec<&String> = since[who].iter().map(|(_, text)| text).collect();
            let heard = self.town.heard(1 - who);
            let heard: Vec<&String> = heard.iter().filter(|text| said.contains(text)).collect();
            assert_eq!(heard, said, "person {who}; the twin is {}", self.twin);
        }
        self.check_delivered();
        self.town.assert_sound();
    }
}

#[test]
fn whatever_is_said_after_a_disk_was_put_back_to_any_earlier_state_is_shown_once() {
    seeds(seeds_wished(100), |seed| {
        let mut course = Course::begin(seed);
        for _ in 0..TIMES {
            for _ in 0..8 + course.below(24) {
                course.step();
            }
            course.put_back();
        }
        for _ in 0..8 + course.below(24) {
            course.step();
        }
        course.check_all();
    });
}

#[test]
fn whatever_is_said_over_many_starts_is_shown_once_and_in_order() {
    seeds(seeds_wished(40), |seed| {
        let mut course = Course::begin(seed);
        for _ in 0..60 {
            course.step();
        }
        course.check_all();
        // Everything, from the beginning.
        for who in [0, 1] {
            assert_eq!(course.town.heard(who).len(), course.since[1 - who].len());
        }
    });
}

#[test]
fn what_was_said_in_many_lives_to_somebody_who_is_away_is_shown_once_and_in_order() {
    seeds(seeds_wished(20), |seed| {
        let mut course = Course::begin(seed);
        let (twin, other) = (course.twin, 1 - course.twin);
        let away = course.town.people[other].node;
        course.town.world.switch_off(away);
        for _ in 0..12 {
            for _ in 0..=course.below(2) {
                course.say(twin);
            }
            course.town.world.run_for(Millis::from_secs(60));
            course.town.world.start_over(course.town.people[twin].node);
            course.town.world.run_for(Millis::from_secs(60));
        }
        course.town.world.switch_on_after(away, Millis(1));
        course.check_all();
    });
}
