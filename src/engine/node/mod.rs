//! A node: a carrier, and a user agent with identities, contacts and conversations.
//!
//! The two halves are driven apart, so that nothing that the network can see depends on what a
//! person can read: the [`Carrier`] by whatever comes from neighbours, the [`UserAgent`] by
//! commands, by its own timers and by what the carrier hands over. The runtime gives each its own
//! thread. A [`Node`] is both in one turn, one after the other, for the simulator and for tests:
//! a driver calls [`Node::handle`] with one [`Input`], then takes every [`Output`] with
//! [`Node::poll_output`] and carries them out in order, then calls again. [`Node::deadline`] says
//! when to send [`Input::Tick`] at the latest. Three promises hold across that door:
//!
//! - every [`ReportValidation`](crate::engine::turn::Effect::ReportValidation) of a turn comes before
//!   anything else that its envelopes cause;
//! - a ratchet step is in an [`Output::Commit`] before the envelope it made is in an
//!   [`Publish`](crate::engine::turn::Effect::Publish), so a crash between any two outputs repeats
//!   no key;
//! - what was refused changed nothing but counters and the memory of ids.

pub mod backup;
mod commands;
pub mod input;
mod messenger;
mod publisher;
mod requests;
mod restore;
mod roster;
mod user_agent;

use crate::engine::carrier::Carrier;
use crate::engine::conversation::{HeldBackIn, HeldBackTotals};
use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::envelope::{EnvelopeId, ValidationError};
use crate::engine::event::Event;
use crate::engine::price::{Line, Room, SaidSteps, Share, Step};
use crate::engine::record::Record;
use crate::engine::relay::ValidationStats;
use crate::engine::relay::pool::{Pool, PoolBounds};
use crate::engine::settings::NodeSettings;
use crate::engine::sync::ClockSkew;
use crate::engine::turn::Output;

pub use commands::MAX_QUEUED;
use input::Input;
pub use requests::MAX_REQUESTS;
pub use roster::{MAX_CONTACTS, MAX_IDENTITIES, MAX_NAME, MAX_REPLAYS};
pub use user_agent::{Progress, UserAgent};

/// One node: a relay, or a messenger with its identities.
#[derive(Debug)]
pub struct Node {
    carrier: Carrier,
    agent: UserAgent,
}

impl Node {
    /// A node that knows nobody.
    #[must_use]
    pub fn new(settings: NodeSettings) -> Self {
        Self { carrier: Carrier::new(settings), agent: UserAgent::new(settings) }
    }

    /// Takes back the stored records, in the order in which they were first stored.
    ///
    /// Call once, before the first turn; then carry out the outputs. [`Node::snapshot`] says what
    /// there is.
    pub fn restore(&mut self, env: &mut Env<'_>, records: Vec<Record>) {
        self.agent.restore(env, records);
    }

    /// Drops identities, contacts, sessions and messages from memory, as a lock does; what the
    /// store keeps is untouched. The carrier and junk go on. [`Node::load_roster`]
    /// takes them back; until then commands find nobody, and what comes for us waits in the pool.
    pub fn unload_roster(&mut self, env: &mut Env<'_>) {
        self.agent.unload_roster(env);
    }

    /// Takes back what [`Node::unload_roster`] dropped, from the store's records, and reads what
    /// came meanwhile: for each envelope in the pool about what one costs that comes in the flood.
    pub fn load_roster(&mut self, env: &mut Env<'_>, records: Vec<Record>) {
        self.agent.load_roster(env, &mut self.carrier, records);
        self.gather(env);
    }

    /// Takes back an envelope that the archive kept while the process was down. It was received
    /// long ago, so it is advertised at once. Call before the first turn, once for each; carry out
    /// the outputs.
    ///
    /// # Errors
    /// Why it is not held: the archive should discard it.
    pub fn readmit(&mut self, env: &mut Env<'_>, bytes: Vec<u8>) -> Result<(), ValidationError> {
        let id = EnvelopeId::of(&bytes).ok_or(ValidationError::Malformed)?;
        self.carrier.readmit(env, (id, bytes))
    }

    /// Takes in one input. Every output of the turn before must have been taken.
    pub fn handle(&mut self, env: &mut Env<'_>, input: Input) {
        match input {
            Input::Mined { .. } | Input::Command { .. } => {
                self.agent.handle(env, &mut self.carrier, input);
            }
            Input::Tick => {
                self.carrier.handle(env, input);
                self.agent.handle(env, &mut self.carrier, Input::Tick);
                self.gather(env);
            }
            Input::Gossip { .. }
            | Input::OffTime { .. }
            | Input::Peers(_)
            | Input::Resumed
            | Input::SyncRequest { .. }
            | Input::SyncResponse { .. }
            | Input::ArchiveMissing(_) => {
                self.carrier.handle(env, input);
                self.gather(env);
            }
        }
    }

    /// Lets go of every envelope that was readmitted, because all that the archive has comes once
    /// more from its beginning.
    pub fn release_all(&mut self) {
        self.carrier.release_all();
    }

    /// Hands the user agent all that waits for it.
    fn gather(&mut self, env: &mut Env<'_>) {
        while self.agent.gather(env, &mut self.carrier) == Progress::MoreWaits {}
    }

    /// Stores what is kept back to be stored together, before the end: [`UserAgent::store_all`].
    pub fn store_all(&mut self, env: &mut Env<'_>) {
        self.agent.store_all(env);
    }

    /// Has replies leave soon, before the end: [`UserAgent::part`].
    pub fn part(&mut self, env: &mut Env<'_>) -> bool {
        self.agent.part(env)
    }

    /// The next output to carry out: those of the carrier, then those of the user agent, each in
    /// their order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.carrier.poll_output().or_else(|| self.agent.poll_output())
    }

    /// When to send [`Input::Tick`] at the latest; at once while envelopes wait in the queue.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        [self.carrier.deadline(), self.agent.deadline()].into_iter().flatten().min()
    }

    /// The present state as events, for a front end that begins to watch.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Event> {
        self.agent.snapshot()
    }

    /// Figures for a person: totals only, which never tell junk from real envelopes.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        NodeStatus::of(&self.carrier, &self.agent)
    }

    /// The steps that its own room and line ask of senders, at this time by both clocks.
    #[must_use]
    pub fn steps(&self, now: (Millis, UnixSeconds)) -> SaidSteps {
        self.carrier.steps(now)
    }

    /// The pool, read-only.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        self.carrier.pool()
    }

    /// The settings it was made with.
    #[must_use]
    pub const fn settings(&self) -> &NodeSettings {
        self.carrier.settings()
    }
}

/// Whether a node sends junk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// It was not told to.
    Off,
    /// It does.
    Runs,
    /// It was told to, and more is asked than may be paid for junk: none is sent.
    Rests,
}

/// Totals of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Neighbours that take part in the flood.
    pub peers: usize,
    /// Places of the pool that are taken.
    pub pool_places: usize,
    /// Envelopes in the pool.
    pub pool_count: usize,
    /// How much it may hold.
    pub pool_bounds: PoolBounds,
    /// The network's floor.
    pub floor_bits: u8,
    /// How full the share of each life is, shortest life first.
    pub room: [Room; 3],
    /// The line.
    pub line: Line,
    /// The step that a sender pays for each life, shortest first, as of the last look at what
    /// neighbours say.
    pub asked: [Step; 3],
    /// The tries that the search under way takes on average, if there is one.
    pub mining_tries: Option<u64>,
    /// Messages of ours that have not left.
    pub queued: usize,
    /// What of ours waits for a lower price.
    pub price_wait: HeldBackTotals,
    /// What of ours may be paid for, and waits its turn.
    pub turn_wait: HeldBackTotals,
    /// Messages of ours that have not left, and wait until earlier ones are acknowledged.
    pub acknowledgement_wait: usize,
    /// Whether junk is sent.
    pub cover: Cover,
    /// The difference between this machine's clock and those of its neighbours, if any reported.
    pub clock: Option<ClockSkew>,
    /// Envelopes fetched by catching up, since the start.
    pub caught_up: u64,
    /// The verdicts given.
    pub validation: ValidationStats,
}

impl NodeStatus {
    /// The figures of both halves of a node.
    #[must_use]
    pub fn of(carrier: &Carrier, agent: &UserAgent) -> Self {
        let HeldBackIn { price, turn, acknowledgement } = agent.held_back();
        let (settings, pool) = (carrier.settings(), carrier.pool());
        Self {
            peers: carrier.peers(),
            pool_places: pool.used(),
            pool_count: pool.count(),
            pool_bounds: settings.pool,
            floor_bits: settings.floor.bits(),
            room: Share::ALL.map(|share| pool.room(share)),
            line: *carrier.line(),
            asked: carrier.last_paid(),
            mining_tries: agent.mining_tries(),
            queued: agent.unsent(),
            price_wait: price,
            turn_wait: turn,
            acknowledgement_wait: acknowledgement,
            cover: Cover::of(carrier),
            clock: carrier.skew(),
            caught_up: carrier.fetched(),
            validation: carrier.stats(),
        }
    }
}

impl Cover {
    /// Whether junk is sent, and at the present price.
    fn of(carrier: &Carrier) -> Self {
        let settings = carrier.settings();
        let asked = settings.lifetime.share().of(carrier.last_paid());
        match settings.junk {
            None => Self::Off,
            Some(_) if asked > settings.highest_step => Self::Rests,
            Some(_) => Self::Runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::command::Command;
    use crate::engine::crypto::keys::{Identity, PublicKey};
    use crate::engine::envelope::work::search;
    use crate::engine::envelope::{Acceptance, Draft, Floor, Lifetime, Topic, WorkNonce, inspect};
    use crate::engine::event::IdentityView;
    use crate::engine::id::{
        CommandId, IdentityId, Neighbour, NeighbourId, SyncRequestId, SyncResponseId,
    };
    use crate::engine::relay::pool::BodyStorage;
    use crate::engine::session::testing;
    use crate::engine::settings::{NodeRole, SyncMode};
    use crate::engine::sync::{ResponseBody, SyncRequest, SyncResponse, append_envelope};
    use crate::engine::testing::mutate::{Reading, each_slow_case};
    use crate::engine::testing::rng::{NOW, SeededRng};
    use crate::engine::turn::Effect;

    /// Has a node take in an input; what it asks neighbours then.
    fn take_in(node: &mut Node, seeded: &mut SeededRng, input: Input) -> Vec<SyncRequestId> {
        node.handle(&mut seeded.turn(), input);
        let outputs = core::iter::from_fn(|| node.poll_output());
        let asked = outputs.filter_map(|output| match output {
            Output::Effect(Effect::SyncRequest { id, .. }) => Some(id),
            Output::Commit(_) | Output::AuditNonce(_) | Output::Effect(_) => None,
        });
        asked.collect()
    }

    /// Settings under which nothing is refused for want of room in the line.
    fn wide() -> NodeSettings {
        let line = core::num::NonZeroU32::new(1_000_000).unwrap();
        NodeSettings { line, ..NodeSettings::new(NodeRole::Messenger, Floor::new(0)) }
    }

    /// The command that makes an identity.
    fn create_identity() -> Input {
        let command = Command::CreateIdentity { name: "ann".to_owned() };
        Input::Command { id: CommandId(1), command }
    }

    fn own(events: Vec<Event>) -> IdentityView {
        let own = events.into_iter().find_map(|event| {
            let Event::Identity(view) = event else { return None };
            Some(view)
        });
        own.unwrap()
    }

    /// Adds contacts to an identity; the identities they are.
    fn add_eight_contacts(
        node: &mut Node,
        seeded: &mut SeededRng,
        identity: IdentityId,
    ) -> Vec<Identity> {
        let contacts: Vec<Identity> =
            (0..8).map(|_| Identity::generate(&mut seeded.turn())).collect();
        for (contact, number) in contacts.iter().zip(2..) {
            let (key, petname) = (contact.public(), format!("contact {number}"));
            let command = Command::AddContact { identity, key, petname, highest: None };
            let id = CommandId(number);
            drop(take_in(node, seeded, Input::Command { id, command }));
        }
        contacts
    }

    fn wrap(topic: Topic, body: Vec<u8>) -> Vec<u8> {
        let draft = Draft::new(NOW, Lifetime::Day, topic, body).unwrap();
        draft.mine(&Floor::new(0), 0).unwrap().1
    }

    /// An offer to the holder of this key.
    fn offer(seeded: &mut SeededRng, from: &Identity, to: &PublicKey) -> Vec<u8> {
        testing::offer(&mut seeded.turn(), from, to, Floor::new(0)).1
    }

    fn gossip(bytes: Vec<u8>) -> Input {
        let id = inspect(&bytes, &Floor::new(0)).unwrap();
        Input::Gossip { from: NeighbourId(1), id, bytes }
    }

    #[test]
    fn a_turn_gives_all_its_verdicts_before_anything_is_opened() {
        let (mut node, mut seeded) = (Node::new(wide()), SeededRng::new(3));
        drop(take_in(&mut node, &mut seeded, create_identity()));
        let me = own(node.snapshot());
        // Contacts, whose offers are stored at once.
        let contacts = add_eight_contacts(&mut node, &mut seeded, me.id);
        drop(take_in(&mut node, &mut seeded, Input::Peers(vec![Neighbour::alone(NeighbourId(1))])));
        for contact in &contacts {
            let bytes = offer(&mut seeded, contact, &me.key);
            drop(take_in(&mut node, &mut seeded, gossip(bytes)));
        }
        node.handle(&mut seeded.turn(), Input::Tick);
        let outputs: Vec<Output> = core::iter::from_fn(|| node.poll_output()).collect();
        let is_verdict =
            |output: &Output| matches!(output, Output::Effect(Effect::ReportValidation { .. }));
        let commits = outputs.iter().filter(|output| matches!(output, Output::Commit(_))).count();
        assert!(commits >= 8, "each was opened: {commits}");
        let verdicts = outputs.iter().take_while(|output| is_verdict(output)).count();
        assert_eq!(verdicts, 8, "verdicts come first");
    }

    /// Has a node do all that is due at this moment; how many envelopes it publishes.
    fn let_leave(node: &mut Node, seeded: &mut SeededRng, at: Millis) -> usize {
        let (mut published, mut inputs) = (0, vec![Input::Tick]);
        while let Some(input) = inputs.pop() {
            node.handle(&mut Env::new(at, NOW, seeded), input);
            while let Some(output) = node.poll_output() {
                match output {
                    Output::Effect(Effect::StartMining(job)) => {
                        let nonce = search(&job, WorkNonce(0), u64::MAX).unwrap();
                        inputs.push(Input::Mined { outgoing: job.outgoing, nonce });
                    }
                    Output::Effect(Effect::Publish { .. }) => published += 1,
                    Output::Commit(_) | Output::AuditNonce(_) | Output::Effect(_) => {}
                }
            }
        }
        published
    }

    #[test]
    fn before_its_end_replies_of_a_node_leave_within_two_seconds_and_nothing_else_is_waited_for() {
        let settings = NodeSettings {
            sync: SyncMode::Off,
            reply_delay: Millis::from_secs(60),
            retransmit_after: Millis::from_secs(600),
            ..wide()
        };
        let (mut node, mut seeded) = (Node::new(settings), SeededRng::new(7));
        drop(take_in(&mut node, &mut seeded, create_identity()));
        let me = own(node.snapshot());
        let contacts = add_eight_contacts(&mut node, &mut seeded, me.id);
        let offers: Vec<Vec<u8>> =
            contacts.iter().map(|contact| offer(&mut seeded, contact, &me.key)).collect();
        for bytes in offers {
            for input in [gossip(bytes), Input::Tick] {
                drop(take_in(&mut node, &mut seeded, input));
            }
        }
        assert!(!node.part(&mut seeded.turn()), "without a neighbour nothing can leave");
        let peers = Input::Peers(vec![Neighbour::alone(NeighbourId(1))]);
        drop(take_in(&mut node, &mut seeded, peers));
        assert!(node.part(&mut seeded.turn()), "each of them waits for an answer");
        let at = Millis::from_secs(2);
        assert!(let_leave(&mut node, &mut seeded, at) >= 8);
        assert!(!node.part(&mut Env::new(at, NOW, &mut seeded)), "they are answered");
        let contact = node.snapshot().into_iter().find_map(|event| {
            let Event::Contact(view) = event else { return None };
            Some(view.id)
        });
        let say = Command::Say {
            contact: contact.unwrap(),
            text: "hello".to_owned(),
            postage: Lifetime::Day.into(),
        };
        node.handle(
            &mut Env::new(at, NOW, &mut seeded),
            Input::Command { id: CommandId(20), command: say },
        );
        while node.poll_output().is_some() {}
        assert!(
            !node.part(&mut Env::new(at, NOW, &mut seeded)),
            "a message is sent by the next node"
        );
    }

    #[test]
    fn before_its_end_a_node_stores_what_strangers_asked_in_the_last_second() {
        let (mut node, mut seeded) = (Node::new(wide()), SeededRng::new(8));
        drop(take_in(&mut node, &mut seeded, create_identity()));
        let me = own(node.snapshot());
        let stranger = Identity::generate(&mut seeded.turn());
        let bytes = offer(&mut seeded, &stranger, &me.key);
        for input in [gossip(bytes), Input::Tick] {
            drop(take_in(&mut node, &mut seeded, input));
        }
        let requests = |node: &Node| {
            let events = node.snapshot();
            events.iter().filter(|event| matches!(event, Event::Request(_))).count()
        };
        assert_eq!(requests(&node), 0, "it is stored with others, once a second");
        node.store_all(&mut seeded.turn());
        let commits = core::iter::from_fn(|| node.poll_output());
        assert_eq!(commits.filter(|output| matches!(output, Output::Commit(_))).count(), 1);
        assert_eq!(requests(&node), 1);
    }

    #[test]
    fn a_relay_gives_all_its_verdicts_before_its_disk_is_asked_for_anything() {
        let bodies = BodyStorage::External;
        let settings = NodeSettings { role: NodeRole::Relay, bodies, ..wide() };
        let (mut node, mut seeded) = (Node::new(settings), SeededRng::new(5));
        for number in 0..8 {
            let bytes = wrap(Topic([7; 4]), vec![number; 100]);
            drop(take_in(&mut node, &mut seeded, gossip(bytes)));
        }
        node.handle(&mut seeded.turn(), Input::Tick);
        let outputs = core::iter::from_fn(|| node.poll_output());
        let mut kinds = outputs.filter_map(|output| match output {
            Output::Effect(Effect::ReportValidation { .. }) => Some("verdict"),
            Output::Effect(Effect::Archive { .. }) => Some("disk"),
            Output::Commit(_) | Output::AuditNonce(_) | Output::Effect(_) => None,
        });
        assert!(kinds.by_ref().take(8).all(|kind| kind == "verdict"), "verdicts come first");
        assert_eq!(kinds.filter(|kind| *kind == "disk").count(), 8);
    }

    #[test]
    fn a_carrier_waits_for_nobody_and_what_it_had_no_room_to_hand_over_is_found_in_the_pool() {
        let (mut carrier, mut agent) = (Carrier::new(wide()), UserAgent::new(wide()));
        let mut seeded = SeededRng::new(4);
        agent.handle(&mut seeded.turn(), &mut carrier, create_identity());
        while agent.poll_output().is_some() {}
        let key = own(agent.snapshot()).key;
        let stranger = Identity::generate(&mut seeded.turn());
        // More than wait at most, and nobody takes any. The last is for us.
        let others =
            (0..5_000_u64).map(|number| wrap(Topic([7; 4]), number.to_le_bytes().to_vec()));
        let all: Vec<Vec<u8>> = others.chain([offer(&mut seeded, &stranger, &key)]).collect();
        let mut accepted = 0;
        for bytes in all {
            for input in [gossip(bytes), Input::Tick] {
                carrier.handle(&mut seeded.turn(), input);
                accepted += core::iter::from_fn(|| carrier.poll_output())
                    .filter(|output| {
                        let accept = Acceptance::Accept;
                        matches!(output, Output::Effect(Effect::ReportValidation { acceptance, .. })
                            if *acceptance == accept)
                    })
                    .count();
            }
        }
        assert_eq!(accepted, 5_001);
        // By and by, with commands in between.
        let mut turns = 1;
        while agent.gather(&mut seeded.turn(), &mut carrier) == Progress::MoreWaits {
            while agent.poll_output().is_some() {}
            turns += 1;
        }
        while agent.poll_output().is_some() {}
        assert!(turns > 100, "{turns}");
        // What strangers ask is stored once a second.
        let mut later = Env::new(Millis(1_000), NOW, &mut seeded);
        agent.handle(&mut later, &mut carrier, Input::Tick);
        while agent.poll_output().is_some() {}
        let is_request = |event: &Event| matches!(event, Event::Request(_));
        assert_eq!(agent.snapshot().iter().filter(|event| is_request(event)).count(), 1);
    }

    #[test]
    fn changed_at_random_what_a_neighbour_sends_is_taken_or_refused_and_the_node_goes_on() {
        let settings = NodeSettings::new(NodeRole::Messenger, Floor::new(0));
        let draft = Draft::new(NOW, Lifetime::Day, Topic([7; 4]), vec![7; 100]).unwrap();
        let envelope = draft.mine(&settings.floor, 0).unwrap().1;
        let mut chunk = Vec::new();
        append_envelope(&mut chunk, &envelope);
        let said = |body| SyncResponse { minutes: 1, steps: SaidSteps::default(), body }.encode();
        let seeds = [
            envelope,
            SyncRequest::Begin.encode(),
            SyncRequest::Steps.encode(),
            SyncRequest::Answer(&[0x61, 0, 0, 0]).encode(),
            said(ResponseBody::Done),
            said(ResponseBody::Envelopes(&chunk)),
        ];
        let from = NeighbourId(1);
        each_slow_case(&seeds, |bytes| {
            let (mut node, mut seeded) = (Node::new(settings), SeededRng::new(1));
            let mut take = |input| take_in(&mut node, &mut seeded, input);
            let asked = take(Input::Peers(vec![Neighbour::alone(from)]));
            assert!(!asked.is_empty(), "it catches up at joining");
            for id in asked {
                drop(take(Input::SyncResponse { id, bytes: Some(bytes.to_vec()) }));
            }
            for bytes in [SyncRequest::Begin.encode(), bytes.to_vec()] {
                drop(take(Input::SyncRequest { from, id: SyncResponseId(1), bytes }));
            }
            if let Ok(id) = inspect(bytes, &settings.floor) {
                drop(take(Input::Gossip { from, id, bytes: bytes.to_vec() }));
            }
            drop(take(Input::Tick));
            Reading::Taken
        });
    }
}
