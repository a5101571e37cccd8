//! The bad networks of the session protocol: all is delivered, in order, exactly once.
//!
//! Every network is tried with small windows, whose chains run out all the time, and with the real one.

use std::collections::BTreeSet;

use undertone::engine::env::Millis;
use undertone::engine::id::ContactId;
use undertone::engine::record::{MessageState, Record, StoredDirection};
use undertone::engine::session::WINDOW;
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, SeededRng, StartingDisk};

use crate::harness::{Town, seeds};

/// Seeds of each network: five of them make two hundred.
const SEEDS: u64 = 40;

/// What each of the two says.
const LINES: usize = 60;

/// Offers are sent again after up to a day, and made afresh after a week: bad luck is slow.
const DAYS: u64 = 30;

/// Two people in a bad network, and who calls the other what.
struct Talk {
    town: Town,
    chance: SeededRng,
    contacts: [ContactId; 2],
    said: [Vec<String>; 2],
}

impl Talk {
    /// One adds the other and speaks at once; they meet in the network as it is.
    fn begin(seed: u64, links: Links) -> Self {
        let mut town = pair(seed, links);
        let first = town.add(0, 1);
        town.say(0, first, &line(0, 0));
        let asked = town.people[1].node;
        town.wait(DAYS, "the request", |town| !town.world.seen(asked).requests.is_empty());
        let second = town.accept(1);
        let said = [vec![line(0, 0)], Vec::new()];
        Self { town, chance: SeededRng::lane(seed, u64::MAX), contacts: [first, second], said }
    }

    /// Both add each other before either has heard of it, and speak at once.
    fn begin_both(seed: u64, links: Links) -> Self {
        let mut town = pair(seed, links);
        let contacts = [town.add(0, 1), town.add(1, 0)];
        let chance = SeededRng::lane(seed, u64::MAX);
        Self { town, chance, contacts, said: [Vec::new(), Vec::new()] }
    }

    fn node(&self, who: usize) -> NodeIndex {
        self.town.people[who].node
    }

    /// Goes on until both have said so many lines: one after the other, or several in a row.
    fn go_on(&mut self, lines: usize) {
        while self.said.iter().any(|said| said.len() < lines) {
            let who = usize::from(self.chance.below(2) == 0);
            let row = 1 + self.chance.below(4);
            for _ in 0..row {
                if self.said[who].len() < lines {
                    self.say(who);
                }
            }
            let pause = Millis(self.chance.below(4_000));
            self.town.world.run_for(pause);
        }
    }

    fn say(&mut self, who: usize) {
        let line = line(who, self.said[who].len());
        self.town.say(who, self.contacts[who], &line);
        self.said[who].push(line);
    }

    /// The network stays as bad as it is until everything has arrived.
    fn finish(&mut self) {
        self.town.wait(DAYS, "everything", |town| town.all_delivered(0) && town.all_delivered(1));
        self.town.assert_sound();
    }

    fn finish_complete(&mut self) {
        self.finish();
        // Topics are short: of a thousand two meet in one of 8,000 conversations.
        assert_eq!(self.town.world.audit().reused_topics(), 0, "a topic was used twice");
        assert_eq!(self.town.heard(1), self.said[0]);
        assert_eq!(self.town.heard(0), self.said[1]);
    }

    /// What somebody has received of the other, shown or not.
    fn received(&self, who: usize) -> Vec<String> {
        let messages =
            self.town.world.machine(self.node(who)).records().filter_map(|record| match record {
                Record::Message(message) => match message.direction {
                    StoredDirection::Delivered | StoredDirection::Buffered { .. } => {
                        Some(message.text.clone())
                    }
                    StoredDirection::Outgoing(_) | StoredDirection::AskedAgain => None,
                },
                _ => None,
            });
        messages.collect()
    }
}

/// Two people, next to each other or with a relay between, with windows of all sizes. A relay's two
/// links together are as bad as the one.
fn pair(seed: u64, mut links: Links) -> Town {
    let window = match seed % 10 {
        0 => WINDOW,
        1..=4 => 64,
        _ => 8,
    };
    let relays = usize::from(seed % 2 == 1);
    if relays > 0 {
        // What passes one link is the root of what passes both: at 400 of a thousand, 632.
        let passes = u32::from(1_000 - links.loss_per_mille) * 1_000;
        links.loss_per_mille = 1_000 - u16::try_from(passes.isqrt()).expect("at most a thousand");
    }
    Town::pair(seed, links, window, relays)
}

fn line(who: usize, number: usize) -> String {
    format!("person {who} says line {number}")
}

/// Links that lose and repeat so many of a thousand envelopes and take up to `jitter` for one.
fn links(loss_per_mille: u16, repeat_per_mille: u16, jitter: Millis) -> Links {
    let mut links = Links::calm();
    (links.loss_per_mille, links.repeat_per_mille) = (loss_per_mille, repeat_per_mille);
    links.jitter = jitter;
    links
}

/// A little of everything.
fn bad() -> Links {
    links(200, 200, Millis(30_000))
}

#[test]
fn everything_arrives_once_and_in_order_where_sixty_of_a_hundred_envelopes_are_lost() {
    seeds(SEEDS, |seed| {
        let mut talk = Talk::begin(seed, links(600, 0, Millis(110)));
        talk.go_on(LINES);
        talk.finish_complete();
    });
}

#[test]
fn everything_arrives_once_and_in_order_where_thirty_of_a_hundred_envelopes_come_twice() {
    seeds(SEEDS, |seed| {
        let mut talk = Talk::begin(seed, links(0, 300, Millis(10_000)));
        talk.go_on(LINES);
        talk.finish_complete();
    });
}

#[test]
fn everything_arrives_once_and_in_order_where_envelopes_take_far_longer_than_a_line() {
    seeds(SEEDS, |seed| {
        let mut talk = Talk::begin(seed, links(0, 0, Millis(120_000)));
        talk.go_on(LINES);
        talk.finish_complete();
    });
}

#[test]
fn everything_arrives_once_and_in_order_when_both_start_at_once_in_a_bad_network() {
    seeds(SEEDS, |seed| {
        let mut talk = Talk::begin_both(seed, bad());
        talk.go_on(LINES);
        talk.finish_complete();
    });
}

#[test]
fn every_unreceived_message_arrives_although_one_side_loses_its_state_in_mid_conversation() {
    seeds(SEEDS, |seed| {
        let links = if seed % 3 == 0 { Links::calm() } else { bad() };
        let mut talk = Talk::begin(seed, links);
        talk.go_on(LINES / 2);
        let victim = usize::from(seed % 4 < 2);
        let survivor = 1 - victim;
        let (received, heard) = (talk.received(victim), talk.town.heard(survivor));
        let acknowledged = acknowledged(&talk, survivor);
        let node = talk.node(victim);
        talk.town.world.start_from(node, StartingDisk::Roster);
        let before = [talk.said[0].len(), talk.said[1].len()];
        talk.go_on(LINES);
        talk.finish();
        // What comes after something that was acknowledged before the loss waits for the next word.
        talk.go_on(LINES + 1);
        talk.finish();

        // The victim reads what it had not, and whatever was said since; the survivor said nothing in vain.
        let read = talk.town.heard(victim);
        assert_in_order(&read, &talk.said[survivor]);
        assert!(read.ends_with(&talk.said[survivor][before[survivor]..]));
        for line in &talk.said[survivor] {
            assert!(received.contains(line) || read.contains(line), "lost: {line}");
        }
        assert!(acknowledged <= received.len());
        // The survivor reads on. What the victim had not got rid of was lost with its state, or is late.
        let read = talk.town.heard(survivor);
        assert!(read.starts_with(&heard));
        assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), read.len(), "twice");
        let (early, late) = talk.said[victim].split_at(before[victim]);
        let since: Vec<String> = read.into_iter().filter(|line| !early.contains(line)).collect();
        assert_eq!(since, late);
    });
}

fn acknowledged(talk: &Talk, who: usize) -> usize {
    let states = &talk.town.world.seen(talk.node(who)).states;
    states.values().filter(|&&state| state == MessageState::Delivered).count()
}

/// Fails unless `read` are lines of `said`, each at most once and in their order.
fn assert_in_order(read: &[String], said: &[String]) {
    let mut rest = said.iter();
    for line in read {
        assert!(rest.any(|said| said == line), "out of order, or twice: {line}");
    }
}
