//! A small town in the simulator: people at their messengers, around relays.

use undertone::engine::command::{Command, Reply};
use undertone::engine::crypto::keys::PublicKey;
use undertone::engine::env::Millis;
use undertone::engine::envelope::Lifetime;
use undertone::engine::event::SessionStatus;
use undertone::engine::id::{ContactId, IdentityId, MessageId};
use undertone::engine::record::{MessageRecord, MessageState, Record};
use undertone::engine::settings::NodeSettings;
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, World};

use crate::one_node::own_identity;

/// Requests are stored and shown after a second.
const SOON: Millis = Millis::from_secs(2);

/// Messengers, relays, and who they are.
pub(crate) struct Town {
    pub(crate) world: World,
    pub(crate) people: Vec<Person>,
}

/// Somebody at a messenger.
#[derive(Clone, Copy)]
pub(crate) struct Person {
    pub(crate) node: NodeIndex,
    pub(crate) identity: IdentityId,
    pub(crate) key: PublicKey,
}

impl Town {
    /// Relays in a ring, and no people.
    pub(crate) fn of_relays(
        seed: u64,
        links: Links,
        relays: usize,
        settings: NodeSettings,
    ) -> Self {
        let mut world = World::new(seed, links);
        let ring: Vec<NodeIndex> = (0..relays).map(|_| world.add(settings)).collect();
        for (index, &relay) in ring.iter().enumerate() {
            let next = ring[(index + 1) % ring.len()];
            if next != relay {
                world.join(relay, next);
            }
        }
        Self { world, people: Vec::new() }
    }

    /// A further messenger at `relay`, with somebody at it.
    pub(crate) fn settle(&mut self, settings: NodeSettings, relay: NodeIndex) -> NodeIndex {
        let node = self.world.add(settings);
        self.world.join(node, relay);
        self.populate(node);
        node
    }

    /// A further messenger without neighbours, with somebody at it.
    pub(crate) fn lodge(&mut self, settings: NodeSettings) -> NodeIndex {
        let node = self.world.add(settings);
        self.populate(node);
        node
    }

    fn populate(&mut self, node: NodeIndex) {
        let name = format!("person {}", self.people.len());
        let identity = self.world.identity(node, &name).expect("an identity");
        let key = own_identity(self.world.node(node).expect("it is up")).key;
        self.people.push(Person { node, identity, key });
    }

    /// One adds the other as a contact.
    pub(crate) fn add(&mut self, one: usize, other: usize) -> ContactId {
        let (adder, key) = (self.people[one], self.people[other].key);
        let command = Command::AddContact {
            identity: adder.identity,
            key,
            petname: format!("person {other}"),
            highest: None,
        };
        match self.world.ask(adder.node, command).expect("a contact") {
            Reply::Contact(contact) => contact,
            other => panic!("not a contact: {other:?}"),
        }
    }

    /// Accepts the only request somebody has.
    pub(crate) fn accept(&mut self, who: usize) -> ContactId {
        let node = self.people[who].node;
        let shown = self.world.run_until(SOON, |world| !world.seen(node).requests.is_empty());
        assert!(shown, "no request");
        let request = self.world.seen(node).requests[0].id;
        let command = Command::AcceptRequest { request, petname: "guest".to_owned() };
        match self.world.ask(node, command).expect("accepted") {
            Reply::Contact(contact) => contact,
            other => panic!("not a contact: {other:?}"),
        }
    }

    /// Two people who have heard each other; how each calls the other.
    pub(crate) fn introduce(&mut self, one: usize, other: usize) -> (ContactId, ContactId) {
        let first = self.add(one, other);
        let asked = self.people[other].node;
        assert!(
            self.world.run_until(Millis::from_secs(43_200), |w| !w.seen(asked).requests.is_empty()),
            "the request never came"
        );
        let second = self.accept(other);
        let asker = self.people[one].node;
        assert!(
            self.world.run_until(Millis::from_secs(43_200), |w| link(w, asker, first)
                == SessionStatus::Established),
            "the answer never came"
        );
        (first, second)
    }

    /// Says something.
    pub(crate) fn say(&mut self, who: usize, contact: ContactId, text: &str) -> MessageId {
        self.say_for(who, contact, text, Lifetime::Day)
    }

    /// Says something in envelopes of this life.
    pub(crate) fn say_for(
        &mut self,
        who: usize,
        contact: ContactId,
        text: &str,
        lifetime: Lifetime,
    ) -> MessageId {
        let command = Command::Say { contact, text: text.to_owned(), postage: lifetime.into() };
        match self.world.ask(self.people[who].node, command).expect("accepted") {
            Reply::Message(message) => message,
            other => panic!("not a message: {other:?}"),
        }
    }

    /// What somebody was told of a message of theirs last.
    pub(crate) fn state(&self, who: usize, message: MessageId) -> MessageState {
        self.world.seen(self.people[who].node).states[&message]
    }

    /// A message on somebody's disk.
    pub(crate) fn message(&self, who: usize, message: MessageId) -> Option<MessageRecord> {
        self.messages(who).into_iter().find(|record| record.id == message)
    }

    /// The messages on somebody's disk.
    pub(crate) fn messages(&self, who: usize) -> Vec<MessageRecord> {
        let records = self.world.machine(self.people[who].node).records();
        let messages = records.filter_map(|record| match record {
            Record::Message(message) => Some(message.clone()),
            _ => None,
        });
        messages.collect()
    }

    /// Asks somebody's node for something that it does.
    pub(crate) fn ask(&mut self, who: usize, command: Command) {
        self.world.ask(self.people[who].node, command).expect("done");
    }

    /// Lets time pass until `done`, at most `days`; fails when they did not suffice.
    pub(crate) fn wait(&mut self, days: u64, what: &str, done: impl Fn(&Self) -> bool) {
        const STEP: Millis = Millis::from_secs(120);
        for _ in 0..days * 86_400_000 / STEP.0 {
            if done(self) {
                return;
            }
            self.world.run_for(STEP);
        }
        assert!(done(self), "not in {days} days: {what}");
    }

    /// Whether everything somebody said was acknowledged.
    pub(crate) fn all_delivered(&self, who: usize) -> bool {
        let states = &self.world.seen(self.people[who].node).states;
        states.values().all(|&state| matches!(state, MessageState::Delivered | MessageState::Read))
    }

    /// What somebody was shown of a contact.
    pub(crate) fn heard(&self, who: usize) -> Vec<String> {
        let seen = self.world.seen(self.people[who].node);
        seen.texts.iter().map(|(_, text)| text.clone()).collect()
    }

    /// Fails with everything that did not hold.
    pub(crate) fn assert_sound(&self) {
        assert!(
            self.world.audit().violations().is_empty(),
            "{}",
            self.world.audit().violations().join("\n")
        );
    }
}

/// How somebody stands with a contact.
pub(crate) fn link(world: &World, node: NodeIndex, contact: ContactId) -> SessionStatus {
    world.seen(node).contacts.get(&contact).map_or(SessionStatus::None, |&(_, link)| link)
}
