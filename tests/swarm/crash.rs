//! A node dies between any two outputs and comes back from what it stored.

use std::collections::{BTreeMap, BTreeSet};

use undertone::engine::command::{Command, Reply};
use undertone::engine::env::Millis;
use undertone::engine::envelope::Lifetime;
use undertone::engine::id::{ContactId, MessageId};
use undertone::engine::record::{
    EnvelopePurpose, MessageRecord, MessageState, Record, StoredDirection,
};
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, PublishedEnvelope};

use crate::harness::{Town, seeds};

#[test]
fn every_accepted_message_survives_a_crash_of_either_side() {
    seeds(100, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 2);
        let (a, b) = town.introduce(0, 1);
        let victim = town.people[usize::from(seed % 2 == 0)].node;
        let mut expected = (Vec::new(), Vec::new());
        for number in 0..12 {
            let (mine, theirs) = (format!("one, line {number}"), format!("two, line {number}"));
            town.say(0, a, &mine);
            town.say(1, b, &theirs);
            expected.0.push(mine);
            expected.1.push(theirs);
        }
        // Dies again and again, each time somewhere else.
        for round in 0..8 {
            let outputs = (seed * 7 + round * 13) % 29;
            town.world
                .machine_mut(victim)
                .crash_after(u32::try_from(outputs).unwrap(), Millis(1_500));
            watch(&mut town, 9);
        }
        town.world.run_for(Millis::from_secs(3_600));
        assert_eq!(town.heard(1), expected.0);
        assert_eq!(town.heard(0), expected.1);
        town.assert_sound();
    });
}

#[test]
fn a_crash_in_the_middle_of_a_handshake_only_delays_it() {
    seeds(60, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 2);
        let victim = town.people[usize::from(seed % 2 == 0)].node;
        let (a, _) = (town.add(0, 1), town.add(1, 0));
        town.world.machine_mut(victim).crash_after(u32::try_from(seed % 20).unwrap(), Millis(800));
        town.world.run_for(Millis::from_secs(60));
        // A fuse that is still lit would burn down while somebody speaks; the next sweep ends it.
        town.world.machine_mut(victim).crash_after(0, Millis(800));
        town.world.run_for(Millis::from_secs(900));
        town.say(0, a, "we met after all");
        town.world.run_for(Millis::from_secs(1_800));
        assert_eq!(town.heard(1), ["we met after all"]);
        town.assert_sound();
    });
}

#[test]
fn a_crash_after_any_output_of_a_handshake_loses_no_early_message() {
    each_output(|town| {
        let contacts = [town.add(0, 1), town.add(1, 0)];
        say_three_each(town, contacts);
    });
}

#[test]
fn a_crash_after_any_output_of_a_conversation_repeats_no_step() {
    each_output(|town| {
        let (a, b) = town.introduce(0, 1);
        say_three_each(town, [a, b]);
    });
}

fn say_three_each(town: &mut Town, contacts: [ContactId; 2]) {
    for number in 0..3 {
        for (who, contact) in contacts.into_iter().enumerate() {
            town.say(who, contact, &format!("person {who} says line {number}"));
        }
    }
}

/// Kills either side after each number of outputs from where `begin` left it, until both live
/// through it all.
fn each_output(begin: impl Fn(&mut Town)) {
    // As many as even a handshake alone takes.
    kill_after_each(40, |outputs, victim| outlives(outputs, victim, &begin));
}

/// Kills either side after each number of outputs, until both outlive all that `lives` has them do;
/// that takes more than `least`.
fn kill_after_each(least: u32, lives: impl Fn(u32, usize) -> bool) {
    for outputs in 0.. {
        if [0, 1].map(|victim| lives(outputs, victim)) == [true; 2] {
            assert!(outputs > least, "only {outputs}");
            return;
        }
    }
}

/// Runs until all is said and done; answers whether the victim did not come to die.
fn outlives(outputs: u32, victim: usize, begin: impl Fn(&mut Town)) -> bool {
    let mut town = Town::new(u64::from(outputs), Links::calm(), 2, 1);
    begin(&mut town);
    let node = town.people[victim].node;
    town.world.machine_mut(node).crash_after(outputs, Millis(1_500));
    watch(&mut town, 1_800);
    for who in [0, 1] {
        let lines: Vec<_> = (0..3).map(|n| format!("person {} says line {n}", 1 - who)).collect();
        assert_eq!(town.heard(who), lines, "person {victim} died after {outputs}");
    }
    town.assert_sound();
    town.world.machine(node).outputs_left().is_some()
}

/// Lets so many seconds pass and looks every second, for as long as much happens, later less often,
/// whether all that is kept and was told is so.
fn watch(town: &mut Town, seconds: u64) {
    let mut past = 0;
    while past < seconds {
        let step = match past {
            0..60 => 1,
            60..1_800 => 20,
            _ => 600,
        };
        town.world.run_for(Millis::from_secs(step));
        past += step;
        assert_true(town);
    }
}

/// No state is better than the truth, on disk or told: what is delivered is there, what is sent was
/// published, and what was told is kept.
fn assert_true(town: &Town) {
    let nodes = [town.people[0].node, town.people[1].node];
    for (mine, theirs) in [(nodes[0], nodes[1]), (nodes[1], nodes[0])] {
        let there: BTreeSet<&str> = messages(town, theirs)
            .filter(|message| message.direction.state().is_none())
            .map(|message| message.text.as_str())
            .collect();
        let published: BTreeSet<MessageId> =
            town.world.machine(mine).sent().iter().filter_map(carried).collect();
        let mut kept = BTreeMap::new();
        for message in messages(town, mine) {
            let Some(state) = message.direction.state() else { continue };
            let text = message.text.as_str();
            assert!(!is_received(state) || there.contains(text), "{state:?} and not there: {text}");
            // Of one whose envelope was finished and not yet handed over when the process ended, nobody
            // knows whether it left.
            let unknown = message.delivery.attempts == 0 && state == MessageState::Unacknowledged;
            let sent = published.contains(&message.id) || unknown;
            assert!(!is_sent(state) || sent, "{state:?} and not published: {text}");
            kept.insert(message.id, state);
        }
        let seen = town.world.seen(mine);
        for (id, &told) in &seen.states {
            let kept = *kept.get(id).expect("what was told is kept");
            assert!(!is_received(told) || is_received(kept), "{told:?} was told, {kept:?} is kept");
            assert!(!is_sent(told) || is_sent(kept), "{told:?} was told, {kept:?} is kept");
        }
        let shown: BTreeSet<&str> = messages(town, mine)
            .filter(|message| message.direction == StoredDirection::Delivered)
            .map(|message| message.text.as_str())
            .collect();
        assert!(
            seen.texts.iter().all(|(_, text)| shown.contains(text.as_str())),
            "shown, not kept"
        );
    }
}

fn messages(town: &Town, node: NodeIndex) -> impl Iterator<Item = &MessageRecord> {
    town.world.machine(node).records().filter_map(|record| match record {
        Record::Message(message) => Some(message),
        _ => None,
    })
}

fn carried(sent: &PublishedEnvelope) -> Option<MessageId> {
    match sent.purpose {
        EnvelopePurpose::Message(_, message) => Some(message),
        EnvelopePurpose::Offer(_) | EnvelopePurpose::Control(_) | EnvelopePurpose::Junk => None,
    }
}

const fn is_received(state: MessageState) -> bool {
    matches!(state, MessageState::Delivered | MessageState::Read)
}

const fn is_sent(state: MessageState) -> bool {
    is_received(state) || matches!(state, MessageState::Sent | MessageState::Unacknowledged)
}

#[test]
fn a_crash_after_any_output_of_a_whole_life_loses_no_message_and_no_state_claims_too_much() {
    kill_after_each(150, |outputs, victim| {
        let mut story = Story::begin(u64::from(outputs));
        let node = story.town.people[victim].node;
        story.town.world.machine_mut(node).crash_after(outputs, Millis(1_500));
        story.tell();
        story.check(&format!("person {victim} died after {outputs}"));
        story.town.world.machine(node).outputs_left().is_some()
    });
}

/// Two people from their offers on, through everything that becomes of messages.
struct Story {
    town: Town,
    contacts: [ContactId; 2],
    /// What each tried to say, in order.
    tried: [Vec<String>; 2],
    /// What was accepted; what is taken back is not.
    accepted: BTreeSet<String>,
    /// What was taken back, and its author heard so.
    taken_back: BTreeSet<String>,
}

impl Story {
    fn begin(seed: u64) -> Self {
        let mut town = Town::new(seed, Links::calm(), 2, 1);
        let contacts = [town.add(0, 1), town.add(1, 0)];
        let (tried, accepted, taken_back) = Default::default();
        Self { town, contacts, tried, accepted, taken_back }
    }

    fn tell(&mut self) {
        // Early, while offers and answers are on their way.
        self.both_say();
        watch(&mut self.town, 30);
        for who in [0, 1] {
            let contact = self.contacts[who];
            self.ask(who, Command::SetReadReceipts { contact, on: true });
        }
        self.both_say();
        watch(&mut self.town, 20);
        // Nothing gets through: messages are sent again, acknowledgements late.
        self.town.world.set_loss(1_000);
        self.both_say();
        watch(&mut self.town, 20);
        self.town.world.set_loss(0);
        watch(&mut self.town, 30);
        self.take_back_and_say_again();
        for who in [0, 1] {
            let contact = self.contacts[who];
            self.ask(who, Command::MarkRead { contact, number: u64::MAX });
        }
        watch(&mut self.town, 30);
        // One is away, then both, for longer than what is sent lives.
        self.town.world.partition(&[self.town.people[1].node]);
        let last = self.say(0, Lifetime::SixHours);
        watch(&mut self.town, 60);
        self.town.world.partition(&[self.town.people[0].node]);
        watch(&mut self.town, 8 * 3_600);
        self.town.world.heal();
        if let Some(message) = last {
            self.ask(0, Command::Retry { message });
        }
        watch(&mut self.town, 1_800);
    }

    /// With nobody to take anything, one message is taken back, and another once and said again.
    fn take_back_and_say_again(&mut self) {
        let nodes = [0, 1].map(|who| self.town.people[who].node);
        self.town.world.partition(&nodes);
        for who in [0, 1] {
            let gone = self.say(who, Lifetime::Day);
            let again = self.say(who, Lifetime::Day);
            if let Some(message) = gone {
                let text = self.tried[who][self.tried[who].len() - 2].clone();
                self.accepted.remove(&text);
                if self.ask(who, Command::Cancel { message }) {
                    self.taken_back.insert(text);
                }
            }
            if let Some(message) = again {
                let text = self.tried[who].last().expect("it was said").clone();
                if !self.ask(who, Command::Cancel { message })
                    || !self.ask(who, Command::Retry { message })
                {
                    // It is taken back, or not, or said again: whoever died meanwhile was not told.
                    self.accepted.remove(&text);
                }
            }
        }
        watch(&mut self.town, 10);
        self.town.world.heal();
        watch(&mut self.town, 40);
    }

    fn both_say(&mut self) {
        for who in [0, 1] {
            self.say(who, Lifetime::Day);
        }
    }

    /// Says something; its name, if it was accepted.
    fn say(&mut self, who: usize, lifetime: Lifetime) -> Option<MessageId> {
        let text = format!("person {who} says line {}", self.tried[who].len());
        self.tried[who].push(text.clone());
        let command = Command::Say {
            contact: self.contacts[who],
            text: text.clone(),
            postage: lifetime.into(),
        };
        match self.town.world.ask(self.town.people[who].node, command) {
            Ok(Reply::Message(id)) => {
                self.accepted.insert(text);
                Some(id)
            }
            // Whoever is down says nothing, and whoever dies may have said it.
            _ => None,
        }
    }

    fn ask(&mut self, who: usize, command: Command) -> bool {
        self.town.world.ask(self.town.people[who].node, command).is_ok()
    }

    fn check(&self, when: &str) {
        for who in [0, 1] {
            let heard = self.town.heard(1 - who);
            let in_order: Vec<&String> =
                self.tried[who].iter().filter(|text| heard.contains(text)).collect();
            assert_eq!(heard.iter().collect::<Vec<_>>(), in_order, "twice or out of order: {when}");
            for text in &self.tried[who] {
                let there = heard.contains(text);
                assert!(there || !self.accepted.contains(text), "lost: {text}, {when}");
                assert!(!there || !self.taken_back.contains(text), "taken back: {text}, {when}");
            }
        }
        self.town.assert_sound();
    }
}
