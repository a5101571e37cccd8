//! The cost of one incoming text in a whole node: the envelope is checked, admitted and decrypted, the
//! text is stored and reported.
//!
//! Budget: other contacts and their unacknowledged messages add a fifth at most, because a text
//! concerns one conversation.
//!
//! The node is driven by inputs, outputs and records alone. The records are those that a node commits
//! when it exchanges envelopes with its contacts; the measured node is restored from them.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most outputs and records are of no interest here"
)]

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::vec::IntoIter;

use divan::Bencher;

use undertone::engine::command::{Command, CommandError};
use undertone::engine::crypto::keys::Identity;
use undertone::engine::env::{Env, Millis};
use undertone::engine::envelope::{Draft, Floor, Lifetime, WorkNonce, check};
use undertone::engine::id::{CommandId, Neighbour, NeighbourId};
use undertone::engine::node::Node;
use undertone::engine::node::input::Input;
use undertone::engine::record::{Change, Record};
use undertone::engine::session::{Content, Payload, ReceivedOffer, SealedBody, Session, WINDOW};
use undertone::engine::settings::{NodeRole, NodeSettings, SyncMode};
use undertone::engine::turn::{Effect, Output};

use super::NOW;
use super::open::Counter;
use super::ratios::line;
use super::talk::said;

/// Contacts besides the one who writes.
const OTHERS: usize = 1_000;

/// Unacknowledged messages to each of them. A node sends 64 and then waits.
const OPEN_EACH: usize = 60;

/// Texts ready to arrive at each node: a chain has 1,024 positions.
const TEXTS: u64 = 1_000;

/// The neighbour that carries every envelope.
const NEIGHBOUR: NeighbourId = NeighbourId(7);

/// Prints the ratios of many open messages of other contacts to none, and to no other contacts.
pub(super) fn print() {
    let mut nobody = Scene::new(0, 0);
    let mut none_open = Scene::new(OTHERS, 0);
    let mut all_open = Scene::new(OTHERS, OTHERS * OPEN_EACH);
    let name = "receive a text, 60,000 open messages of 1,000 others / none open";
    line(name, 1.2, || none_open.receive(), || all_open.receive());
    let name = "receive a text, 60,000 open messages of 1,000 others / no others";
    line(name, 1.2, || nobody.receive(), || all_open.receive());
}

/// By the number of messages that a thousand other contacts have not acknowledged.
#[divan::bench(args = [0, OTHERS * OPEN_EACH], sample_size = 4)]
fn receiving_a_text(bencher: Bencher<'_, '_>, open: usize) {
    let Scene { mut messenger, mut texts } = Scene::new(OTHERS, open);
    bencher
        .with_inputs(|| texts.next().expect("as many texts as samples"))
        .bench_local_values(|text| messenger.receive(text));
}

/// A restored node, and the texts of one contact that have not arrived.
struct Scene {
    messenger: Messenger,
    texts: IntoIter<Input>,
}

impl Scene {
    /// A node with `others` contacts besides the writer, which together have not acknowledged `open`
    /// messages.
    fn new(others: usize, open: usize) -> Self {
        let Stored { own, writer, met } = &*STORED;
        let met: Vec<&Record> = met.iter().take(others).flatten().collect();
        let (messages, others): (Vec<&Record>, Vec<&Record>) =
            met.into_iter().partition(|record| matches!(record, Record::Message(_)));
        let messages: Vec<&Record> = messages.into_iter().take(open).collect();
        assert_eq!(messages.len(), open, "that many messages are stored");
        let records = own.iter().chain(others).chain(messages.iter().copied());
        let mut messenger = Messenger::restored(records.cloned().collect(), Counter(21));
        // Whatever is due at the start is not measured.
        messenger.turn(Input::Tick);
        // A restored node that forgot these messages would have nothing to walk over.
        for record in messages {
            if let Record::Message(message) = record {
                messenger.ask(Command::Cancel { message: message.id });
            }
        }
        assert!(messenger.refusals.iter().all(|error| *error == CommandError::TooLate));
        assert_eq!(messenger.refusals.len(), open, "every message is known, and has left");

        let mut writer = writer.clone();
        let mut counter = Counter(22);
        let mut env = Env::new(Millis(0), NOW, &mut counter);
        let text = |number| {
            let payload = Payload { number: Some(number), ..said() };
            carried(step(&mut env, &mut writer, payload))
        };
        // Decrypted in the order of encryption: keys of skipped texts would be copied each time.
        let mut texts = (0..TEXTS).map(text).collect::<Vec<Input>>().into_iter();
        // Rejecting a text would be measured as readily as receiving one.
        let first = texts.next().expect("a text");
        messenger.turn(first);
        messenger.turn(Input::Tick);
        let stored = messenger.committed.iter().filter(|change| is_the_text(change));
        assert_eq!(stored.count(), 1, "the text is stored");
        Self { messenger, texts }
    }

    fn receive(&mut self) {
        let text = self.texts.next().expect("as many texts as turns");
        self.messenger.receive(text);
    }
}

fn is_the_text(change: &Change) -> bool {
    let text = match change {
        Change::Put(Record::Message(message)) => Some(&message.text),
        _ => None,
    };
    text.is_some_and(|text| said().content == Content::Text(text.clone()))
}

/// The records of a node whose contacts confirmed a session and acknowledge nothing.
struct Stored {
    /// Those of its identity and of the writer.
    own: Vec<Record>,
    /// The writer's end of their session.
    writer: Session,
    /// Those of each other contact.
    met: Vec<Vec<Record>>,
}

static STORED: LazyLock<Stored> = LazyLock::new(|| {
    let mut messenger = Messenger::restored(Vec::new(), Counter(11));
    messenger.ask(Command::CreateIdentity { name: "ann".to_owned() });
    let identity = messenger.stored();
    let (own, writer) = met(&identity, 0, 0);
    // Each contact is met by a node that has no other, so that the last is met as fast as the first
    // even where a node walks over all open messages.
    let met = (1..=OTHERS as u64).map(|number| met(&identity, number, OPEN_EACH).0).collect();
    Stored { own: identity.into_iter().chain(own).collect(), writer, met }
});

/// The records that a node with this identity commits when a contact confirms a session and is sent
/// `texts` texts; and the contact's end of the session.
fn met(identity: &[Record], number: u64, texts: usize) -> (Vec<Record>, Session) {
    let mut counter = Counter(1_000 + number);
    let them = Identity::generate(&mut Env::new(Millis(0), NOW, &mut counter));
    let mut messenger = Messenger::restored(identity.to_vec(), Counter(2_000_000 + number));
    messenger.turn(Input::Peers(vec![Neighbour::alone(NEIGHBOUR)]));
    // What a node makes leaves a moment after its first neighbour came.
    messenger.now = Millis::from_secs(10);
    messenger.turn(Input::Tick);
    let owner = identity.iter().find_map(|record| match record {
        Record::Identity(record) => Some(record.id),
        _ => None,
    });
    messenger.ask(Command::AddContact {
        identity: owner.expect("an identity"),
        key: them.public(),
        petname: format!("contact {number}"),
        highest: None,
    });
    messenger.turn(Input::Tick);
    let envelope = messenger.published.pop().expect("an offer");
    let envelope = check(envelope, NOW, &Floor::new(0)).expect("an envelope every node carries");
    let offer = ReceivedOffer::open(&them, envelope.envelope().data).expect("an offer to them");
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    let mut session = offer.accept(&mut env, WINDOW);
    let answer = Payload { content: Content::Answer, ..Payload::nothing() };
    messenger.turn(carried(step(&mut env, &mut session, answer)));
    messenger.turn(Input::Tick);

    let contact = messenger.stored().iter().find_map(|record| match record {
        Record::Contact(record) => Some(record.id),
        _ => None,
    });
    let contact = contact.expect("a contact");
    for _ in 0..texts {
        let text = "is anybody there".to_owned();
        messenger.ask(Command::Say { contact, text, postage: Lifetime::Day.into() });
    }
    assert_eq!(messenger.published.len(), texts, "every text was sent");
    (messenger.stored(), session)
}

/// Encrypts at the next position of the chain.
fn step(env: &mut Env<'_>, session: &mut Session, payload: Payload) -> SealedBody {
    let step = session.encrypt(env, &payload).expect("room in the window");
    *session = step.session;
    step.sealed
}

/// The input by which a neighbour hands it over.
fn carried(sealed: SealedBody) -> Input {
    let draft = Draft::new(NOW, Lifetime::Day, sealed.topic, sealed.body);
    let (id, bytes) = draft.expect("a draft every node carries").finish(WorkNonce(0));
    Input::Gossip { from: NEIGHBOUR, id, bytes }
}

/// A node whose clocks stand still unless they are set, and whose searches for work end at once.
struct Messenger {
    node: Node,
    now: Millis,
    counter: Counter,
    published: Vec<Vec<u8>>,
    committed: Vec<Change>,
    /// Why commands were not carried out.
    refusals: Vec<CommandError>,
}

impl Messenger {
    fn restored(records: Vec<Record>, mut counter: Counter) -> Self {
        let settings = NodeSettings::new(NodeRole::Messenger, Floor::new(0));
        // With catching up, a node would wait for a neighbour's price, which nobody says here.
        let mut node = Node::new(NodeSettings { sync: SyncMode::Off, ..settings });
        node.restore(&mut Env::new(Millis(0), NOW, &mut counter), records);
        while node.poll_output().is_some() {}
        let (published, committed, refusals) = (Vec::new(), Vec::new(), Vec::new());
        Self { node, now: Millis(0), counter, published, committed, refusals }
    }

    /// The measured work: two turns, and their outputs dropped.
    fn receive(&mut self, text: Input) {
        for input in [text, Input::Tick] {
            self.handle(input);
            while self.node.poll_output().is_some() {}
        }
    }

    fn ask(&mut self, command: Command) {
        self.turn(Input::Command { id: CommandId(0), command });
    }

    /// One turn, and one for each search for work that it asks for.
    fn turn(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.handle(input);
            while let Some(output) = self.node.poll_output() {
                match output {
                    Output::Commit(changes) => self.committed.extend(changes),
                    Output::Effect(Effect::Publish { bytes, .. }) => self.published.push(bytes),
                    Output::Effect(Effect::StartMining(order)) => {
                        let nonce = WorkNonce(order.start);
                        inputs.push(Input::Mined { outgoing: order.outgoing, nonce });
                    }
                    Output::Effect(Effect::Reply { reply: Err(error), .. }) => {
                        self.refusals.push(error)
                    }
                    _ => {}
                }
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.node.handle(&mut Env::new(self.now, NOW, &mut self.counter), input);
    }

    /// The records in a store after these commits. Envelopes are left out: 60,000 take 250 MB.
    fn stored(&self) -> Vec<Record> {
        let mut stored = BTreeMap::new();
        for change in &self.committed {
            match change {
                Change::Put(Record::Outgoing(_)) | Change::EraseMessages(_) => {}
                Change::Put(record) => drop(stored.insert(record.key(), record)),
                Change::Erase(key) => drop(stored.remove(key)),
            }
        }
        stored.into_values().cloned().collect()
    }
}
