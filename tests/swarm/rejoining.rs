//! Somebody comes back at another relay, which is to learn nothing of what left at the one before.

use std::collections::BTreeSet;

use undertone::engine::env::Millis;
use undertone::engine::envelope::{Envelope, Floor};
use undertone::engine::id::{ContactId, MessageId};
use undertone::engine::record::{EnvelopePurpose, MessageState};
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, PublishedEnvelope};

use crate::harness::{FLOOR, Town, seeds, settings};

const MINUTE: Millis = Millis::from_secs(60);

/// What happens to the first neighbour, and to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    /// It ends, and begins anew at the other relay.
    Restart,
    /// It loses its neighbour, and finds another one later.
    LineLost,
}

/// Somebody with five messages that nobody acknowledged and an offer that nobody answered, and two
/// relays that know nothing of each other.
struct Mover {
    town: Town,
    relays: [NodeIndex; 2],
    node: NodeIndex,
    contact: ContactId,
    messages: Vec<MessageId>,
}

impl Mover {
    fn new(seed: u64) -> Self {
        let mut town = Town::new(seed, Links::calm(), 0, 0);
        let relays = [(); 2].map(|()| town.world.add(settings(NodeRole::Relay)));
        // As real nodes do, with junk.
        let usual = NodeSettings::new(NodeRole::Messenger, Floor::new(FLOOR));
        let junk = Some(Millis::from_secs(20));
        let node = town.settle(NodeSettings { junk, ..usual }, relays[0]);
        town.settle(usual, relays[0]);
        town.settle(usual, relays[0]);
        let (contact, _) = town.introduce(0, 1);
        town.world.run_for(MINUTE);
        // From here on the relay takes everything and hands it to nobody.
        for person in [1, 2] {
            town.world.switch_off(town.people[person].node);
        }
        town.add(0, 2);
        let messages = (0..5).map(|n| town.say(0, contact, &format!("message number {n}")));
        let messages = messages.collect();
        let mover = Self { town, relays, node, contact, messages };
        mover.after(MINUTE)
    }

    fn after(mut self, span: Millis) -> Self {
        self.town.world.run_for(span);
        self
    }

    fn sent(&self) -> &[PublishedEnvelope] {
        self.town.world.machine(self.node).sent()
    }

    /// Goes over to the other relay; what had left before.
    fn go(&mut self, how: Move) -> usize {
        self.town.world.switch_off(self.relays[0]);
        // Long enough for everything to be due.
        self.town.world.run_for(Millis(20 * MINUTE.0));
        if how == Move::Restart {
            self.town.world.start_over(self.node);
        }
        let before = self.sent().len();
        self.town.world.join(self.node, self.relays[1]);
        before
    }

    fn messages_since(&self, before: usize) -> Vec<(Millis, MessageId)> {
        let messages = self.sent()[before..].iter().filter_map(|sent| match sent.purpose {
            EnvelopePurpose::Message(_, id) => Some((sent.at, id)),
            EnvelopePurpose::Offer(_) | EnvelopePurpose::Control(_) | EnvelopePurpose::Junk => None,
        });
        messages.collect()
    }

    /// Fails if two relays saw one envelope, one topic or one body.
    fn assert_nothing_shared(&self, before: usize) {
        let seen = |sent: &[PublishedEnvelope]| -> BTreeSet<Vec<u8>> {
            let envelopes = sent.iter().flat_map(|sent| {
                let bytes = self.town.world.audit().envelope(sent.id).expect("it was published");
                let Envelope { topic, data, .. } = Envelope::decode(bytes).expect("an envelope");
                [sent.id.0.to_vec(), topic.0.to_vec(), data.to_vec()]
            });
            envelopes.collect()
        };
        let (first, second) = self.sent().split_at(before);
        assert!(seen(first).is_disjoint(&seen(second)));
    }
}

#[test]
fn two_relays_share_no_envelope_and_a_first_neighbour_gets_no_burst_of_what_left_before() {
    for how in [Move::Restart, Move::LineLost] {
        seeds(8, |seed| {
            let mut mover = Mover::new(seed);
            let before = mover.go(how);
            let joined = mover.town.world.now();
            mover.town.world.run_for(Millis(10 * MINUTE.0));
            mover.assert_nothing_shared(before);
            let again = mover.messages_since(before);
            // All go out again, each at a time of its own.
            let ids: BTreeSet<MessageId> = again.iter().map(|(_, id)| *id).collect();
            assert_eq!(ids.len(), 5, "{how:?}");
            let firsts = ids.iter().map(|id| {
                let first = again.iter().find(|(_, again)| again == id);
                first.expect("it left").0.0 - joined.0
            });
            let firsts: Vec<u64> = firsts.collect();
            let soon = firsts.iter().filter(|&&at| at < 5_000).count();
            assert!(soon <= 2, "{how:?}: {firsts:?}");
            // Nor does anything else leave at the first moment: what was on its way is one.
            let sent = &mover.sent()[before..];
            let at_once = sent.iter().filter(|sent| sent.at.0 < joined.0 + 1_000).count();
            assert!(at_once <= 2, "{how:?}: {at_once}");
            mover.town.assert_sound();
        });
    }
}

#[test]
fn what_a_first_neighbour_took_and_dropped_arrives_by_the_next_one() {
    for how in [Move::Restart, Move::LineLost] {
        let mut mover = Mover::new(70);
        let before = mover.go(how);
        let friend = mover.town.people[1].node;
        mover.town.world.join(friend, mover.relays[1]);
        mover.town.world.switch_on_after(friend, Millis(1_000));
        mover.town.wait(1, "all of it", |town| {
            mover.messages.iter().all(|id| town.state(0, *id) == MessageState::Delivered)
        });
        assert_eq!(mover.town.heard(1).len(), 5, "{how:?}");
        mover.assert_nothing_shared(before);
        mover.town.assert_sound();
    }
}

#[test]
fn what_was_written_without_a_neighbour_leaves_with_the_first_one() {
    let mut mover = Mover::new(71);
    mover.town.world.switch_off(mover.relays[0]);
    let said = mover.town.say(0, mover.contact, "written on the way");
    mover.town.world.start_over(mover.node);
    let before = mover.sent().len();
    mover.town.world.join(mover.node, mover.relays[1]);
    mover.town.world.run_for(Millis::from_secs(10));
    let sent = mover.messages_since(before);
    assert!(sent.iter().any(|(_, id)| *id == said), "{sent:?}");
    mover.assert_nothing_shared(before);
    mover.town.assert_sound();
}

#[test]
fn no_cover_that_was_made_without_a_neighbour_waits_for_the_first_one() {
    seeds(2, |seed| {
        let mut mover = Mover::new(80 + seed);
        let before = mover.go(Move::LineLost);
        mover.town.world.run_for(Millis::from_secs(20));
        let cover = |sent: &&PublishedEnvelope| sent.purpose == EnvelopePurpose::Junk;
        let left = mover.sent()[before..].iter().filter(cover).count();
        // One is made in 20 seconds, and eight would have waited.
        assert!(left <= 5, "{left}");
    });
}
