//! A busy network: what relays ask, senders pay, or they wait.

use core::num::NonZeroU32;

use undertone::engine::command::{Command, Reply};
use undertone::engine::conversation::HeldBackTotals;
use undertone::engine::env::Millis;
use undertone::engine::envelope::{EnvelopeId, Floor, Lifetime, Postage};
use undertone::engine::event::HeldBack;
use undertone::engine::id::{ContactId, MessageId};
use undertone::engine::node::Cover;
use undertone::engine::price::{Charge, Step};
use undertone::engine::record::{EnvelopePurpose, MessageState};
use undertone::engine::relay::pool::PoolBounds;
use undertone::engine::settings::{NodeRole, NodeSettings, RELAY_POOL};
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, SeededRng};

use crate::harness::{FLOOR, Town, settings};
use crate::noise::noise;
use crate::town::Person;

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
        // As real nodes do: nothing here is told by how soon a lost message is sent again.
        Self::with(seed, NodeSettings::new(NodeRole::Messenger, Floor::new(FLOOR)))
    }

    /// The same with people whose nodes have these settings.
    fn with(seed: u64, people: NodeSettings) -> Self {
        Self::at(seed, RELAY_POOL, people)
    }

    /// The same at a relay of this size.
    fn at(seed: u64, pool: PoolBounds, people: NodeSettings) -> Self {
        let mut town = Town::new(seed, Links::calm(), 0, 0);
        let narrow = NodeSettings { pool, line: NARROW, ..settings(NodeRole::Relay) };
        let relay = town.world.add(narrow);
        for _ in 0..2 {
            town.settle(people, relay);
        }
        let flooder = town.world.add(settings(NodeRole::Relay));
        let (contact, _) = town.introduce(0, 1);
        Self { town, relay, flooder, contact, chance: SeededRng::lane(seed, u64::MAX) }
    }

    /// The same with nobody at the other end, and messages that are sent again after so long.
    fn patient(seed: u64, retransmit_after: Millis) -> Self {
        let usual = NodeSettings::new(NodeRole::Messenger, Floor::new(FLOOR));
        let mut busy = Self::with(seed, NodeSettings { retransmit_after, ..usual });
        busy.town.world.switch_off(busy.town.people[1].node);
        busy
    }

    /// Fills the line until it asks this step, before anybody can have heard of it.
    fn fill_line(&mut self, step: Step) {
        while self.asked() < step {
            let poured = noise(&mut self.chance, self.town.world.wall(), FLOOR + 8);
            self.town.world.inject(self.flooder, self.relay, poured);
            self.town.world.run_for(Millis(1));
        }
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
fn behind_one_small_relay_what_its_line_asks_is_heard_and_paid_though_nobody_measures_the_network()
{
    let usual = NodeSettings::new(NodeRole::Messenger, Floor::new(FLOOR));
    let mut busy = Busy::at(6, PoolBounds { places: 3_000 }, usual);
    busy.flood(12, 1);
    assert!(busy.asked() >= Step::new(1), "{:?}", busy.asked());
    assert!(busy.paid() >= Step::new(1), "{:?}", busy.paid());
    // Nobody holds anybody to it: it is forgotten when it is over.
    busy.calm(5 * 60);
    assert_eq!((busy.asked(), busy.paid()), (Step::new(0), Step::new(0)));
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
fn what_waited_leaves_minutes_apart_and_at_once_with_a_message_that_may_cost_more() {
    let mut busy = Busy::new(5);
    busy.flood(12, 5);
    let waiting: Vec<MessageId> =
        (0..6).map(|line| busy.say(&format!("line {line}"), None)).collect();
    let have_left =
        |busy: &Busy| waiting.iter().filter(|id| busy.state(**id) != MessageState::Queued).count();
    // Cheaper, and not as cheap as usual.
    while have_left(&busy) == 0 {
        busy.flood(2, 1);
    }
    assert!(have_left(&busy) < 6 && busy.paid() > Step::default(), "not all at once");
    while have_left(&busy) < 3 {
        busy.flood(2, 1);
    }
    if have_left(&busy) < 6 {
        busy.say("at once", Some(Step::MAX));
        busy.flood(1, 1);
    }
    assert_eq!(have_left(&busy), 6);
    busy.town.assert_sound();
}

#[test]
fn at_the_usual_price_what_waited_leaves_within_minutes_and_what_comes_next_with_it() {
    let mut busy = Busy::new(7);
    busy.flood(12, 5);
    let postage = Some(Step::new(1));
    let waiting: Vec<MessageId> =
        (0..4).map(|line| busy.say(&format!("line {line}"), postage)).collect();
    while busy.paid() > Step::default() {
        busy.calm(10);
        assert!(busy.town.world.now() < Millis::from_secs(24 * 3_600), "it never falls");
    }
    let last = busy.say("and now this", None);
    busy.calm(8);
    for message in waiting.into_iter().chain([last]) {
        assert_eq!(busy.state(message), MessageState::Delivered);
    }
    assert_eq!(totals(&busy, 0), NONE);
    busy.town.assert_sound();
}

#[test]
fn what_waited_before_a_restart_leaves_minutes_apart_too() {
    let mut busy = Busy::new(11);
    busy.flood(12, 1);
    let node = busy.town.people[0].node;
    busy.town.world.partition(&[node]);
    let waiting: Vec<MessageId> =
        (0..6).map(|line| busy.say(&format!("line {line}"), None)).collect();
    busy.town.world.start_over(node);
    busy.town.world.heal();
    busy.flood(1, 1);
    assert!(busy.paid() > Step::default() && busy.paid() <= Step::new(3), "{:?}", busy.paid());
    let left = waiting.iter().filter(|id| busy.state(**id) != MessageState::Queued).count();
    assert!((1..4).contains(&left), "{left} of 6 within a minute");
    // The rest may be paid for, and waits its turn alone: so it is told.
    let seen = busy.town.world.seen(node);
    assert!(seen.in_line[&busy.contact].iter().eq([&HeldBack::Messages]));
    assert!(seen.waiting[&busy.contact].is_empty());
    let status = busy.town.world.node(node).expect("it is up").status();
    let in_line = HeldBackTotals { messages: 6 - left, ..NONE };
    assert_eq!((status.price_wait, status.turn_wait), (NONE, in_line));
    busy.town.assert_sound();
}

#[test]
fn a_message_that_left_for_too_little_when_a_flood_began_is_not_said_to_stay_and_is_sent_again() {
    let mut busy = Busy::patient(12, Millis::from_secs(1_800));
    let before = busy.published().len();
    let early = busy.say("long before", None);
    busy.calm(4);
    busy.fill_line(Step::MAX);
    let message = busy.say("I can go now", Some(Step::MAX));
    busy.town.world.run_for(Millis(2_000));
    assert_eq!((busy.paid(), busy.state(message)), (Step::new(0), MessageState::Sent));
    busy.flood(1, 8);
    busy.town.world.run_for(Millis(20_000));
    assert!(busy.paid() > Step::new(4), "{:?}", busy.paid());
    assert_eq!(busy.state(message), MessageState::Unacknowledged, "nobody may have it");
    assert_eq!(busy.state(early), MessageState::Sent, "it was there before");
    // It is sent again for what is asked then, soon, though its schedule would wait for half an hour.
    busy.flood(2, 8);
    let ids = busy.published().split_off(before);
    assert!(ids.len() == 3 && ids.last().is_some_and(|id| id.work() < target(Step::new(5))));
    busy.town.assert_sound();
}

#[test]
fn what_left_for_too_little_goes_along_with_a_message_that_may_cost_more() {
    let mut busy = Busy::patient(16, Millis::from_secs(3_600));
    busy.fill_line(Step::new(6));
    let cheap = busy.say("too cheap", None);
    busy.town.world.run_for(Millis(2_000));
    assert_eq!((busy.paid(), busy.state(cheap)), (Step::new(0), MessageState::Sent));
    busy.flood(4, 6);
    // More is asked than may be paid for it: it waits for that, and not for an hour alone.
    assert_eq!(busy.state(cheap), MessageState::Unacknowledged);
    assert_eq!(waiting(&busy, 0, busy.contact), [HeldBack::Again(cheap)]);
    let before = busy.published().len();
    busy.say("at any price", Some(Step::MAX));
    busy.flood(2, 6);
    let ids = busy.published().split_off(before);
    assert!(ids.len() == 2 && ids.iter().all(|id| id.work() < target(Step::new(4))), "{ids:?}");
    busy.town.assert_sound();
}

#[test]
fn what_left_for_too_little_is_not_published_again_by_restarts_while_as_much_is_asked() {
    let mut busy = Busy::patient(16, Millis::from_secs(3_600));
    busy.fill_line(Step::new(6));
    let cheap = busy.say("too cheap", None);
    busy.flood(4, 6);
    assert_eq!(busy.state(cheap), MessageState::Unacknowledged);
    let before = busy.published().len();
    let node = busy.town.people[0].node;
    for _ in 0..3 {
        busy.town.world.start_over(node);
        busy.flood(2, 6);
        assert!(busy.paid() > Step::new(3), "{:?}", busy.paid());
        assert_eq!(busy.published().len(), before);
    }
    assert_eq!(busy.state(cheap), MessageState::Unacknowledged);
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

/// What of one's own to a contact somebody was told to wait for a lower price.
fn waiting(busy: &Busy, who: usize, contact: ContactId) -> Vec<HeldBack> {
    let seen = busy.town.world.seen(busy.town.people[who].node);
    seen.waiting.get(&contact).map(|waiting| waiting.iter().copied().collect()).unwrap_or_default()
}

fn totals(busy: &Busy, who: usize) -> HeldBackTotals {
    let node = busy.town.world.node(busy.town.people[who].node).expect("it is up");
    node.status().price_wait
}

const NONE: HeldBackTotals = HeldBackTotals { messages: 0, retries: 0, requests: 0, answers: 0 };

#[test]
fn nothing_leaves_before_the_request_that_it_needs_and_both_go_along_with_a_message_that_may_cost_more()
 {
    let mut busy = Busy::new(8);
    let usual = NodeSettings::new(NodeRole::Messenger, Floor::new(FLOOR));
    busy.town.settle(usual, busy.relay);
    busy.flood(12, 5);
    let stranger = busy.town.add(0, 2);
    busy.flood(1, 5);
    assert_eq!(waiting(&busy, 0, stranger), [HeldBack::Request(Lifetime::Day)]);
    assert_eq!(totals(&busy, 0), HeldBackTotals { requests: 1, ..NONE });
    busy.contact = stranger;
    let first = busy.say("hello, stranger", None);
    busy.flood(2, 5);
    assert_eq!(busy.state(first), MessageState::Queued);
    assert_eq!(waiting(&busy, 0, stranger), [HeldBack::Request(Lifetime::Day), HeldBack::Messages]);
    assert_eq!(totals(&busy, 0), HeldBackTotals { messages: 1, requests: 1, ..NONE });
    let begun = busy.town.world.machine(busy.town.people[0].node).sent().len();
    let second = busy.say("at any price", Some(Step::MAX));
    busy.flood(3, 5);
    let sent = &busy.town.world.machine(busy.town.people[0].node).sent()[begun..];
    let purposes: Vec<EnvelopePurpose> = sent.iter().map(|sent| sent.purpose).collect();
    assert_eq!(purposes[0], EnvelopePurpose::Offer(stranger), "{purposes:?}");
    for message in [first, second] {
        assert_eq!(busy.state(message), MessageState::Sent);
    }
    assert_eq!((waiting(&busy, 0, stranger), totals(&busy, 0)), (vec![], NONE));
    // It can be read as soon as it is accepted, though no answer leaves for hours.
    busy.town.accept(2);
    busy.flood(1, 5);
    assert_eq!(busy.town.heard(2), ["hello, stranger", "at any price"]);
    assert_eq!(totals(&busy, 2), HeldBackTotals { answers: 1, ..NONE });
    busy.town.assert_sound();
}

#[test]
fn a_request_may_have_a_limit_of_its_own_which_survives_a_crash() {
    let mut busy = Busy::new(9);
    let usual = NodeSettings::new(NodeRole::Messenger, Floor::new(FLOOR));
    busy.town.settle(usual, busy.relay);
    busy.flood(12, 5);
    let node = busy.town.people[0].node;
    // Not reached by anybody, so that it leaves after the crash alone.
    busy.town.world.partition(&[node]);
    busy.flood(1, 5);
    let Person { identity, .. } = busy.town.people[0];
    let key = busy.town.people[2].key;
    let add = Command::AddContact {
        identity,
        key,
        petname: "stranger".to_owned(),
        highest: Some(Step::MAX),
    };
    busy.town.ask(0, add);
    busy.town.world.start_over(node);
    busy.town.world.heal();
    busy.flood(4, 5);
    assert!(busy.paid() > Step::new(3), "{:?}", busy.paid());
    let asked = &busy.town.world.seen(busy.town.people[2].node).requests;
    assert_eq!(asked.len(), 1);
    busy.town.assert_sound();
}

#[test]
fn what_is_sent_again_waits_for_a_lower_price_says_so_and_goes_along_with_the_next_message() {
    let mut busy = Busy::new(10);
    let listener = busy.town.people[1].node;
    busy.town.world.switch_off(listener);
    let lost = busy.say("lost", None);
    busy.calm(1);
    assert_eq!(busy.state(lost), MessageState::Sent);
    busy.flood(20, 5);
    assert_eq!(waiting(&busy, 0, busy.contact), [HeldBack::Again(lost)]);
    assert_eq!(totals(&busy, 0), HeldBackTotals { retries: 1, ..NONE });
    let before = busy.published().len();
    busy.say("at any price", Some(Step::MAX));
    busy.flood(2, 5);
    assert!(busy.published().len() >= before + 2, "{}", busy.published().len() - before);
    assert_eq!((waiting(&busy, 0, busy.contact), totals(&busy, 0)), (vec![], NONE));
    busy.town.assert_sound();
}

#[test]
fn an_acknowledgement_may_cost_what_a_message_to_the_same_contact_may() {
    let mut busy = Busy::new(11);
    busy.flood(12, 5);
    let said = busy.say("whatever it costs", Some(Step::MAX));
    busy.flood(3, 5);
    assert_eq!(busy.town.heard(1), ["whatever it costs"]);
    assert_eq!(busy.state(said), MessageState::Sent, "the acknowledgement waits");
    assert_eq!(totals(&busy, 1), HeldBackTotals { answers: 1, ..NONE });
    let back = busy.town.world.seen(busy.town.people[1].node).contacts.keys().next().copied();
    let back = back.expect("a contact");
    assert_eq!(waiting(&busy, 1, back), [HeldBack::Answers]);
    let postage = Postage { lifetime: Lifetime::Day, highest: Some(Step::MAX) };
    busy.town.ask(1, Command::Say { contact: back, text: "so do I".to_owned(), postage });
    busy.flood(3, 5);
    assert_eq!(busy.state(said), MessageState::Delivered);
    assert_eq!(totals(&busy, 1), NONE);
    busy.town.assert_sound();
}

#[test]
fn a_node_that_may_pay_more_for_all_it_sends_chats_on_while_the_network_is_busy() {
    let dear = NodeSettings {
        highest_step: Step::MAX,
        ..NodeSettings::new(NodeRole::Messenger, Floor::new(FLOOR))
    };
    let mut busy = Busy::with(12, dear);
    busy.flood(12, 5);
    let said = busy.say("as usual", None);
    busy.flood(3, 5);
    assert!(busy.paid() > Step::new(3), "{:?}", busy.paid());
    assert_eq!(busy.state(said), MessageState::Delivered);
    let limited = busy.say("not at any price", Some(Step::new(1)));
    busy.flood(2, 5);
    assert_eq!(busy.state(limited), MessageState::Queued, "its own limit counts");
    busy.town.assert_sound();
}

#[test]
fn junk_rests_while_more_is_asked_than_is_paid_for_it_and_the_node_says_so() {
    let mut busy = Busy::new(13);
    let junk = Some(Millis::from_secs(10));
    let usual = NodeSettings::new(NodeRole::Messenger, Floor::new(FLOOR));
    let node = busy.town.settle(NodeSettings { junk, ..usual }, busy.relay);
    let cover = |busy: &Busy| busy.town.world.node(node).expect("it is up").status().cover;
    let sent = |busy: &Busy| busy.town.world.machine(node).sent().len();
    busy.calm(3);
    assert!(cover(&busy) == Cover::Runs && sent(&busy) > 5);
    busy.flood(12, 5);
    assert_eq!(cover(&busy), Cover::Rests);
    let before = sent(&busy);
    busy.flood(5, 5);
    assert_eq!(sent(&busy), before);
    busy.town.assert_sound();
}

#[test]
fn what_waited_for_its_price_does_not_leave_for_less_after_a_crash() {
    let mut busy = Busy::new(14);
    busy.flood(12, 5);
    let waits = busy.say("when it is cheaper", None);
    busy.flood(1, 5);
    let before = busy.published().len();
    let node = busy.town.people[0].node;
    for _ in 0..3 {
        busy.town.world.start_over(node);
        busy.flood(3, 5);
        assert!(busy.paid() > Step::new(3), "{:?}", busy.paid());
        assert_eq!((busy.state(waits), busy.published().len()), (MessageState::Queued, before));
    }
    // One that may cost enough pays what is asked from the first second on.
    busy.say("whatever it costs", Some(Step::MAX));
    busy.town.world.start_over(node);
    busy.flood(3, 5);
    let asked = busy.asked();
    let ids = busy.published().split_off(before);
    assert!(ids.len() >= 2 && ids.iter().all(|id| id.work() < target(asked)), "{}", ids.len());
    assert_eq!(busy.state(waits), MessageState::Sent);
    busy.town.assert_sound();
}

#[test]
fn what_was_finished_and_never_left_pays_what_is_asked_by_the_time_it_leaves() {
    let mut busy = Busy::new(15);
    let node = busy.town.people[0].node;
    let before = busy.published().len();
    // Its work is searched for, and ends without a neighbour.
    let said = busy.say("cut off", Some(Step::MAX));
    busy.town.world.partition(&[node]);
    busy.calm(1);
    assert_eq!(busy.state(said), MessageState::Mining);
    busy.town.world.switch_off(node);
    busy.flood(12, 5);
    busy.town.world.switch_on_after(node, Millis(1_000));
    busy.town.world.heal();
    busy.flood(2, 5);
    let ids = busy.published().split_off(before);
    assert!(!ids.is_empty() && ids.iter().all(|id| id.work() < target(Step::new(4))));
    assert_eq!(busy.state(said), MessageState::Sent);
    busy.town.assert_sound();
}
