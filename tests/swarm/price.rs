//! A busy network: what relays ask, senders pay, or they wait.

use core::num::NonZeroU32;

use undertone::engine::command::{Command, Reply};
use undertone::engine::env::Millis;
use undertone::engine::envelope::{EnvelopeId, Floor, Lifetime, Postage};
use undertone::engine::id::{ContactId, MessageId};
use undertone::engine::price::{Charge, Step};
use undertone::engine::record::{EnvelopePurpose, MessageState};
use undertone::engine::settings::{NodeRole, NodeSettings, RELAY_POOL};
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, SeededRng};

use crate::harness::{FLOOR, Town, settings};
use crate::noise::noise;

/// A block a second: 120 in two minutes.
const NARROW: NonZeroU32 = NonZeroU32::MIN;

/// Two people at a relay whose line is narrow, who know each other; and who will flood it.
struct Busy {
    town: Town,
    relay: NodeIndex,
    flooder: NodeIndex,
    contact: ContactId,
    chance: SeededRng,
}

impl Busy {
    fn new(seed: u64) -> Self {
        let mut town = Town::new(seed, Links::calm(), 0, 0);
        let narrow = NodeSettings { pool: RELAY_POOL, line: NARROW, ..settings(NodeRole::Relay) };
        let relay = town.world.add(narrow);
        for _ in 0..2 {
            // As real nodes do: nothing here is told by how soon a lost message is sent again.
            let usual = NodeSettings::new(NodeRole::Messenger, Floor::new(FLOOR));
            town.settle(usual, relay);
        }
        let flooder = town.world.add(settings(NodeRole::Relay));
        let (contact, _) = town.introduce(0, 1);
        Self { town, relay, flooder, contact, chance: SeededRng::lane(seed, u64::MAX) }
    }

    /// Lets minutes pass in which two envelopes a second come that pay this step, and no more.
    fn flood(&mut self, minutes: u64, step: u8) {
        for _ in 0..minutes * 60 {
            for _ in 0..2 {
                let poured = noise(&mut self.chance, self.town.world.wall(), FLOOR + step);
                self.town.world.inject(self.flooder, self.relay, poured);
            }
            self.town.world.run_for(Millis(1_000));
        }
    }

    fn calm(&mut self, minutes: u64) {
        self.town.world.run_for(Millis::from_secs(60 * minutes));
    }

    fn say(&mut self, text: &str, highest: Option<Step>) -> MessageId {
        let postage = Postage { lifetime: Lifetime::Day, highest };
        let say = Command::Say { contact: self.contact, text: text.to_owned(), postage };
        match self.town.world.ask(self.town.people[0].node, say).expect("accepted") {
            Reply::Message(message) => message,
            other => panic!("not a message: {other:?}"),
        }
    }

    /// What the first person pays for a day.
    fn paid(&self) -> Step {
        self.town.world.node(self.town.people[0].node).expect("it is up").status().asked[1]
    }

    /// What the relay's line asks.
    fn asked(&self) -> Step {
        let line = self.town.world.node(self.relay).expect("it is up").status().line;
        line.step(self.town.world.now())
    }

    /// The envelopes that carried messages of the first person, oldest first.
    fn published(&self) -> Vec<EnvelopeId> {
        let sent = self.town.world.machine(self.town.people[0].node).sent();
        let messages =
            sent.iter().filter(|sent| matches!(sent.purpose, EnvelopePurpose::Message(..)));
        messages.map(|sent| sent.id).collect()
    }

    fn state(&self, message: MessageId) -> MessageState {
        self.town.state(0, message)
    }
}

fn target(step: Step) -> u128 {
    Charge::new(2_048, Lifetime::Day.share()).target(Floor::new(FLOOR), step)
}

#[test]
fn on_a_quiet_network_the_floor_is_paid_and_no_more() {
    let mut busy = Busy::new(1);
    busy.calm(30);
    assert_eq!((busy.asked(), busy.paid()), (Step::new(0), Step::new(0)));
    let before = busy.published().len();
    for line in 0..40 {
        busy.say(&format!("line {line}"), None);
        busy.calm(1);
    }
    let ids = busy.published().split_off(before);
    assert!(ids.iter().all(|id| id.work() < target(Step::new(0))));
    // Whoever paid twice as much each time would show it: one in 2^40 times by chance.
    assert!(ids.iter().any(|id| id.work() >= target(Step::new(1))), "{}", ids.len());
    busy.town.assert_sound();
}

#[test]
fn what_the_relays_line_asks_is_paid_at_once_and_by_what_it_asks_nobody_is_kept_from_talking() {
    let mut busy = Busy::new(2);
    busy.flood(12, 1);
    assert!(busy.asked() >= Step::new(1), "{:?}", busy.asked());
    let paid = busy.paid();
    // What was heard, and one more for half an hour: not above what an acknowledgement may cost.
    assert!(paid >= Step::new(2) && paid <= Step::new(3), "{paid:?}");
    let before = busy.published().len();
    let messages: Vec<MessageId> =
        (0..6).map(|line| busy.say(&format!("line {line}"), Some(Step::MAX))).collect();
    busy.flood(2, 1);
    let ids = busy.published().split_off(before);
    assert!(ids.len() >= 6 && ids.iter().all(|id| id.work() < target(Step::new(2))));
    for message in messages {
        assert_eq!(busy.state(message), MessageState::Delivered);
    }
    busy.town.assert_sound();
}

#[test]
fn a_message_waits_while_the_price_is_above_its_highest_and_leaves_when_it_has_fallen() {
    let mut busy = Busy::new(3);
    busy.flood(12, 5);
    assert!(busy.paid() > Step::new(3), "{:?}", busy.paid());
    let before = busy.published().len();
    let waiting = busy.say("when it is cheaper", None);
    busy.flood(10, 5);
    assert_eq!(busy.state(waiting), MessageState::Queued);
    assert_eq!(busy.published().len(), before, "nothing was encrypted or sent");
    // Down by a step at each whole hour, and looked at after four hours on average.
    busy.town.wait(2, "it leaves", |town| town.state(0, waiting) == MessageState::Delivered);
    assert!(busy.paid() <= Step::new(3), "{:?}", busy.paid());
    busy.town.assert_sound();
}

#[test]
fn what_a_later_message_may_cost_those_before_it_may_cost_too() {
    let mut busy = Busy::new(4);
    busy.flood(12, 5);
    let first = busy.say("when it is cheaper", None);
    busy.flood(3, 5);
    assert_eq!(busy.state(first), MessageState::Queued);
    let second = busy.say("whatever it costs", Some(Step::MAX));
    busy.flood(3, 5);
    // The other side's acknowledgements may cost what they may usually, and wait.
    for message in [first, second] {
        assert_eq!(busy.state(message), MessageState::Sent);
    }
    assert_eq!(busy.town.heard(1), ["when it is cheaper", "whatever it costs"]);
    busy.town.assert_sound();
}

#[test]
fn a_message_that_waits_for_its_price_can_be_cancelled_and_survives_a_crash() {
    let mut busy = Busy::new(5);
    busy.flood(12, 5);
    let (cancelled, kept) = (busy.say("never mind", None), busy.say("later", None));
    busy.flood(2, 5);
    busy.town.ask(0, Command::Cancel { message: cancelled });
    assert_eq!(busy.state(cancelled), MessageState::Cancelled);
    let node = busy.town.people[0].node;
    busy.town.world.start_over(node);
    busy.town.wait(2, "it leaves", |town| town.state(0, kept) == MessageState::Delivered);
    assert_eq!(busy.town.heard(1), ["later"]);
    busy.town.assert_sound();
}

#[test]
fn a_line_that_is_full_ignores_and_never_rejects_and_is_offered_the_rest_when_it_is_calm() {
    let mut busy = Busy::new(6);
    let before = busy.town.world.node(busy.relay).expect("it is up").pool().count();
    busy.flood(5, 0);
    let verdicts = busy.town.world.machine(busy.relay).verdicts(busy.flooder);
    assert_eq!(verdicts.rejected, 0);
    assert!(verdicts.ignored > 200, "{verdicts:?}");
    // At most the bucket and a block a second.
    assert!(verdicts.accepted <= 120 + 5 * 60, "{verdicts:?}");
    let held = busy.town.world.node(busy.relay).expect("it is up").pool().count();
    assert!(held - before <= 120 + 5 * 60);
    busy.town.assert_sound();
}

#[test]
fn what_nobody_acknowledges_pays_one_step_more_each_time_while_the_line_here_asks_more() {
    let mut town = Town::new(7, Links::calm(), 0, 0);
    let wide = NonZeroU32::new(10_000).unwrap();
    let relay =
        town.world.add(NodeSettings { pool: RELAY_POOL, line: wide, ..settings(NodeRole::Relay) });
    let usual = NodeSettings::new(NodeRole::Messenger, Floor::new(FLOOR));
    town.settle(NodeSettings { line: NARROW, ..usual }, relay);
    town.settle(NodeSettings { line: wide, ..usual }, relay);
    let flooder = town.world.add(settings(NodeRole::Relay));
    let (contact, _) = town.introduce(0, 1);
    let chance = SeededRng::lane(7, u64::MAX);
    let mut busy = Busy { town, relay, flooder, contact, chance };
    // The relay has time for all of it and asks nothing; the sender's own line has not.
    busy.flood(12, 6);
    assert_eq!((busy.asked(), busy.paid()), (Step::new(0), Step::new(0)));
    busy.town.world.switch_off(busy.town.people[1].node);
    let before = busy.published().len();
    for line in 0..3 {
        busy.say(&format!("line {line}"), None);
    }
    busy.flood(25, 6);
    let ids = busy.published().split_off(before);
    // Once, and again after a minute, two, four and eight: three steps are the most that is paid.
    assert!(ids.len() >= 12, "{}", ids.len());
    let last = ids.iter().rev().take(3);
    assert!(last.clone().all(|id| id.work() < target(Step::new(3))));
    busy.town.assert_sound();
}
