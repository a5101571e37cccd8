//! Two nodes and a wire that loses some envelopes; everything that passes is recorded.

use std::collections::{BTreeSet, VecDeque};

use undertone::engine::command::{Command, Reply};
use undertone::engine::env::{Env, Millis, UnixSeconds};
use undertone::engine::envelope::{Floor, WorkNonce, work};
use undertone::engine::event::Event;
use undertone::engine::id::{CommandId, Neighbour, NeighbourId};
use undertone::engine::node::Node;
use undertone::engine::node::input::Input;
use undertone::engine::record::{Change, Record};
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::engine::turn::{Effect, Output};
use undertone::sim::SeededRng;

use crate::one_node::turn;
use crate::search::Hidden;

/// One envelope of so many is lost, so that keys are kept for what was passed over.
const LOST: usize = 5;

/// Turns after which two nodes that have nothing else to do have said everything.
const TURNS: usize = 600;

/// Two nodes, and everything that came by.
pub(crate) struct Stage {
    nodes: [Node; 2],
    entropy: [SeededRng; 2],
    now: Millis,
    wire: VecDeque<(usize, Input)>,
    published: usize,
    pub(crate) replies: VecDeque<Reply>,
    pub(crate) notices: Vec<Event>,
    /// Everything that went in or came out, as `{:?}` shows it.
    pub(crate) passed: BTreeSet<String>,
    /// The same and the whole nodes, as `{:#?}` shows it.
    pub(crate) shown: String,
    /// The secrets that must not be in any of these.
    pub(crate) hidden: Hidden,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let settings = NodeSettings {
            junk: Some(Millis::from_secs(60)),
            ..NodeSettings::new(NodeRole::Messenger, Floor::new(1))
        };
        let mut stage = Self {
            nodes: [Node::new(settings), Node::new(settings)],
            entropy: [SeededRng::lane(7, 1), SeededRng::lane(7, 2)],
            now: Millis(0),
            wire: VecDeque::new(),
            published: 0,
            replies: VecDeque::new(),
            notices: Vec::new(),
            passed: BTreeSet::new(),
            shown: String::new(),
            hidden: Hidden::default(),
        };
        stage.turn(0, Input::Peers(vec![Neighbour::alone(NeighbourId(1))]));
        stage.turn(1, Input::Peers(vec![Neighbour::alone(NeighbourId(0))]));
        stage
    }

    /// Asks one of the two for something.
    pub(crate) fn ask(&mut self, who: usize, command: Command) -> Reply {
        self.passed.insert(format!("{command:?}"));
        self.turn(who, Input::Command { id: CommandId(1), command });
        self.replies.pop_front().expect("an answer")
    }

    /// Lets time pass, from one thing that happens to the next.
    pub(crate) fn run(&mut self) {
        for _ in 0..TURNS {
            if let Some((who, input)) = self.wire.pop_front() {
                self.turn(who, input);
                continue;
            }
            let due = (0..2).filter_map(|who| Some((self.nodes[who].deadline()?, who))).min();
            let Some((at, who)) = due else { return };
            self.now = self.now.max(at);
            self.turn(who, Input::Tick);
        }
    }

    /// Looks at both nodes whole.
    pub(crate) fn look(&mut self) {
        for node in &self.nodes {
            self.shown.push_str(&format!("{node:?}\n{node:#?}\n"));
        }
    }

    fn turn(&mut self, who: usize, input: Input) {
        self.show(&input);
        let wall = UnixSeconds(1_795_171_640 + self.now.0 / 1_000);
        let mut env = Env::new(self.now, wall, &mut self.entropy[who]);
        for output in turn(&mut self.nodes[who], &mut env, input) {
            match &output {
                Output::Effect(effect) => self.show(effect),
                Output::Commit(_) | Output::AuditNonce(_) => self.show(&output),
            }
            self.carry_out(who, output);
        }
    }

    fn show(&mut self, thing: &impl core::fmt::Debug) {
        self.passed.insert(format!("{thing:?}"));
        self.shown.push_str(&format!("{thing:?}\n{thing:#?}\n"));
    }

    fn carry_out(&mut self, who: usize, output: Output) {
        match output {
            Output::Effect(Effect::ReportValidation { from: _, id, acceptance: _ }) => {
                self.hidden.bytes(&id.0)
            }
            Output::Commit(changes) => changes.into_iter().for_each(|change| self.keep(change)),
            Output::Effect(Effect::StartMining(order)) => {
                self.hidden.bytes(&order.digest);
                self.hidden.bytes(&order.outgoing.0.to_le_bytes());
                self.show(&order);
                let nonce = work::search(&order, WorkNonce(order.start), u64::MAX).expect("work");
                self.wire.push_back((who, Input::Mined { outgoing: order.outgoing, nonce }));
            }
            Output::Effect(Effect::Publish { id, bytes }) => {
                self.hidden.bytes(&bytes);
                self.hidden.bytes(&id.0);
                self.published += 1;
                if !self.published.is_multiple_of(LOST) {
                    let from = NeighbourId(who as u64);
                    self.wire.push_back((1 - who, Input::Gossip { from, id, bytes }));
                }
            }
            Output::Effect(Effect::Reply { id: _, reply }) => {
                self.show(&reply);
                self.replies.push_back(reply.expect("it is done"));
            }
            Output::Effect(Effect::Event(notice)) => {
                self.show(&notice);
                if let Event::Contact(view) = &notice {
                    self.hidden.word(&view.safety_number.to_string());
                    let words = view.sas.map(|words| words.words.map(|word| word.to_string()));
                    words.iter().for_each(|words| self.hidden.word(&words.join(" ")));
                }
                self.notices.push(notice);
            }
            Output::AuditNonce(pair) => self.hidden.bytes(&pair),
            Output::Effect(Effect::StopMining(_))
            | Output::Effect(Effect::SyncRequest { .. })
            | Output::Effect(Effect::SyncResponse { .. })
            | Output::Effect(Effect::Penalize(_))
            | Output::Effect(Effect::Archive { .. })
            | Output::Effect(Effect::Discard(_)) => {}
        }
    }

    fn keep(&mut self, change: Change) {
        self.show(&change);
        let Change::Put(record) = change else { return };
        let config = bincode::config::legacy();
        self.hidden.bytes(&bincode::serde::encode_to_vec(&record, config).expect("an encoding"));
        match &record {
            Record::Identity(kept) => {
                let key = kept.identity.public();
                self.hidden.bytes(key.fingerprint().as_bytes());
                self.hidden.word(&key.short());
                self.hidden.word(&kept.name);
            }
            Record::Contact(kept) => self.hidden.word(&kept.petname),
            Record::Session(kept) => {
                if let Some(words) = kept.session.sas() {
                    let stored = serde_json::to_value(words).expect("bytes");
                    let bytes: Vec<u8> = serde_json::from_value(stored).expect("bytes");
                    self.hidden.bytes(&bytes);
                }
                for topic in kept.session.topics() {
                    self.hidden.bytes(&topic.0);
                }
            }
            Record::Message(kept) => self.hidden.word(&kept.text),
            Record::Request(_) | Record::Replay(_) | Record::Outgoing(_) => {}
        }
    }
}
