//! A disk that is older than what its node did: whatever is said afterwards is shown once. And the
//! same without: whatever is said over many starts is shown once, in order.

use std::collections::BTreeSet;

use undertone::engine::env::Millis;
use undertone::engine::envelope::Life;
use undertone::engine::id::{ContactId, MessageId};
use undertone::engine::node::output::MessageState;
use undertone::sim::link::Links;
use undertone::sim::{DiskCopy, Seeded};

use crate::town::{Town, seeds, seeds_wished};

/// How often the disk is put back in one run.
const TIMES: usize = 3;

/// Two people, of whom one has the disk put back.
struct Course {
    town: Town,
    chance: Seeded,
    contacts: [ContactId; 2],
    twin: usize,
    /// Copies of the disk at any time, also from times that were lost later.
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

    /// All that was said since is acknowledged; answers what that is.
    fn check_all(&mut self) -> [Vec<String>; 2] {
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
        self.check_delivered();
        self.town.assert_sound();
        since.map(|said| said.into_iter().map(|(_, text)| text).collect())
    }

    /// What was shown to somebody of these texts.
    fn heard(&self, who: usize, said: &[String]) -> Vec<String> {
        self.town.heard(who).into_iter().filter(|text| said.contains(text)).collect()
    }

    /// All that was said since was shown once, in order.
    fn check_order(&mut self) {
        let since = self.check_all();
        for who in [0, 1] {
            assert_eq!(self.heard(1 - who, &since[who]), since[who], "person {who} said");
        }
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
        let since = course.check_all();
        for who in [0, 1] {
            // In which order, the contact may not know: what it was told in the lost time may have the
            // numbers it would have to wait for.
            let mut heard = course.heard(1 - who, &since[who]);
            let mut said = since[who].clone();
            heard.sort();
            said.sort();
            assert_eq!(heard, said, "person {who} said; the twin is {}", course.twin);
        }
    });
}

#[test]
fn whatever_is_said_over_many_starts_is_shown_once_and_in_order() {
    seeds(seeds_wished(40), |seed| {
        let mut course = Course::begin(seed);
        for _ in 0..60 {
            course.step();
        }
        course.check_order();
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
        course.check_order();
    });
}
