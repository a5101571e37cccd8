//! Anything may happen in any order; in the end everybody has read what they should have.
//!
//! The reference below knows nothing of sessions, offers, envelopes or time: who said what to whom,
//! what was taken for said, and what the speaker was told did not leave.

use std::collections::BTreeMap;
use undertone::engine::envelope::Lifetime;

use undertone::engine::command::{Command, CommandError, Reply};
use undertone::engine::env::Millis;
use undertone::engine::event::SessionStatus;
use undertone::engine::id::{ContactId, MessageId};
use undertone::engine::record::MessageState;
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, SeededRng};

use crate::harness::{Town, seeds};

const PEOPLE: usize = 3;
const STEPS: usize = 60;

/// Something somebody wanted to say.
#[derive(Debug)]
struct Line {
    text: String,
    /// `None` when their node died before it answered: it may have been said or not.
    said: Option<MessageId>,
    /// Whether its author had it erased, or tried to: it may have been read or not.
    erased: bool,
}

/// Who said what to whom, in order.
#[derive(Debug, Default)]
struct Reference {
    lines: BTreeMap<(usize, usize), Vec<Line>>,
    count: usize,
}

impl Reference {
    /// The next thing to say; no two are alike.
    fn next_text(&mut self, from: usize, to: usize) -> String {
        self.count += 1;
        format!("line {} from {from} to {to}", self.count)
    }

    fn note(&mut self, from: usize, to: usize, line: Line) {
        self.lines.entry((from, to)).or_default().push(line);
    }

    /// Checks what one has read of another, in order, against what was said. `state` tells what the
    /// speaker was told of a message.
    fn check(
        &self,
        (from, to): (usize, usize),
        read: &[String],
        state: impl Fn(MessageId) -> MessageState,
    ) {
        let mut read = read.iter().peekable();
        for line in self.lines.get(&(from, to)).into_iter().flatten() {
            let heard = read.next_if_eq(&&line.text).is_some();
            if line.erased {
                continue;
            }
            match line.said.map(&state) {
                Some(MessageState::Delivered | MessageState::Read) => {
                    assert!(heard, "marked delivered: {line:?}")
                }
                Some(MessageState::Failed) => assert!(!heard, "marked failed: {line:?}"),
                Some(other) => panic!("{other:?} in the end, heard: {heard}: {line:?}"),
                None => {}
            }
        }
        assert_eq!(read.next(), None, "read by {to} of {from}: nobody said that, or not there");
    }
}

/// The town, the reference beside it, and the chance that drives both.
struct Trial {
    town: Town,
    reference: Reference,
    chance: SeededRng,
}

impl Trial {
    fn pick(&mut self, bound: usize) -> usize {
        usize::try_from(self.chance.below(bound as u64)).expect("below a small bound")
    }

    fn node(&self, who: usize) -> NodeIndex {
        self.town.people[who].node
    }

    fn contact(&self, who: usize, whom: usize) -> Option<(ContactId, SessionStatus)> {
        let key = self.town.people[whom].key;
        let contacts = &self.town.world.seen(self.node(who)).contacts;
        contacts.iter().find(|(_, (other, _))| *other == key).map(|(&id, &(_, link))| (id, link))
    }

    /// One thing happens to somebody, and some time passes.
    fn step(&mut self) {
        let who = self.pick(PEOPLE);
        let whom = (who + 1 + self.pick(PEOPLE - 1)) % PEOPLE;
        match self.pick(25) {
            0..=8 => self.say(who, whom),
            9 | 10 => self.add(who, whom),
            11 | 12 => self.accept_all(who),
            13 => self.ask_of(who, whom, |contact| Command::CloseSession { contact }),
            14 => self.ask_of(who, whom, |contact| Command::Block { contact }),
            15 => self.ask_of(who, whom, |contact| Command::Unblock { contact }),
            16 | 17 => {
                let outputs = u32::try_from(self.pick(40)).expect("small");
                let rest = Millis(self.chance.below(20_000));
                self.town.world.machine_mut(self.node(who)).crash_after(outputs, rest);
            }
            18 => self.town.world.partition(&[self.node(who)]),
            19 => self.erase(who, whom),
            20 => self.retry(who),
            21 => self.ask_of(who, whom, |contact| Command::MarkRead { contact, number: u64::MAX }),
            22 => self.ask_of(who, whom, |contact| Command::SetReadReceipts { contact, on: true }),
            // Longer than the shortest life, and than what waits for a second try.
            23 => {
                let silence = Millis(self.chance.below(7_200_000));
                self.town.world.run_for(silence);
            }
            _ => self.town.world.heal(),
        }
        let span = Millis(self.chance.below(15_000));
        self.town.world.run_for(span);
    }

    fn say(&mut self, from: usize, to: usize) {
        let Some((contact, link)) = self.contact(from, to) else { return };
        let down = self.town.world.node(self.node(from)).is_none();
        if link == SessionStatus::Blocked || down {
            return;
        }
        let text = self.reference.next_text(from, to);
        let lifetime = Lifetime::ALL[self.pick(Lifetime::ALL.len())];
        let command = Command::Say { contact, text: text.clone(), postage: lifetime.into() };
        let said = match self.town.world.ask(self.node(from), command) {
            Ok(Reply::Message(id)) => Some(id),
            Ok(other) => panic!("not a message: {other:?}"),
            Err(error) => {
                let died = self.town.world.node(self.node(from)).is_none();
                assert!(died, "refused without reason: {error}");
                None
            }
        };
        self.reference.note(from, to, Line { text, said, erased: false });
    }

    /// Erases something that was said, whatever became of it.
    fn erase(&mut self, from: usize, to: usize) {
        let count = self.reference.lines.get(&(from, to)).map_or(0, Vec::len);
        if count == 0 {
            return;
        }
        let chosen = self.pick(count);
        let down = self.town.world.node(self.node(from)).is_none();
        let line = &mut self.reference.lines.get_mut(&(from, to)).expect("counted")[chosen];
        let Some(message) = line.said.filter(|_| !down && !line.erased) else { return };
        line.erased = true;
        self.ask(from, Command::EraseMessage { message });
    }

    /// Has everything sent again that was not acknowledged.
    fn retry(&mut self, who: usize) {
        let states = self.town.world.seen(self.node(who)).states.clone();
        for (message, state) in states {
            let down = self.town.world.node(self.node(who)).is_none();
            let gone = || self.town.message(who, message).is_none();
            if state != MessageState::Unacknowledged || down || gone() {
                continue;
            }
            let answer = self.town.world.ask(self.node(who), Command::Retry { message });
            let down = self.town.world.node(self.node(who)).is_none();
            let refused = Err(CommandError::Blocked);
            assert!(answer == Ok(Reply::Done) || answer == refused || down, "{answer:?}");
        }
    }

    fn add(&mut self, who: usize, whom: usize) {
        if self.contact(who, whom).is_some() {
            return;
        }
        let (identity, key) = (self.town.people[who].identity, self.town.people[whom].key);
        let petname = format!("person {whom}");
        self.ask(who, Command::AddContact { identity, key, petname, highest: None });
    }

    fn accept_all(&mut self, who: usize) {
        for request in self.town.world.seen(self.node(who)).requests.clone() {
            let key = request.key;
            let whom = self.town.people.iter().position(|person| person.key == key);
            let petname = format!("person {}", whom.expect("one of us"));
            self.ask(who, Command::AcceptRequest { request: request.id, petname });
        }
    }

    fn ask_of(&mut self, who: usize, whom: usize, command: impl Fn(ContactId) -> Command) {
        if let Some((contact, _)) = self.contact(who, whom) {
            self.ask(who, command(contact));
        }
    }

    /// Asks; whoever is down, or dies of it, does not answer, and that is all it may mean.
    fn ask(&mut self, who: usize, command: Command) {
        let answer = self.town.world.ask(self.node(who), command.clone());
        let down = self.town.world.node(self.node(who)).is_none();
        assert!(answer.is_ok() || down, "{command:?}: {answer:?}");
    }

    /// No more trouble: everybody is up, hears everybody, lets everybody in and says farewell.
    fn make_peace(&mut self) {
        self.town.world.heal();
        for who in 0..PEOPLE {
            // A fuse that is still lit would burn down in the middle of this.
            self.town.world.machine_mut(self.node(who)).crash_after(0, Millis(10));
        }
        self.town.world.run_for(Millis::from_secs(3_600));
        let pairs = (0..PEOPLE).flat_map(|who| (0..PEOPLE).map(move |whom| (who, whom)));
        let pairs: Vec<_> = pairs.filter(|(who, whom)| who != whom).collect();
        for &(who, whom) in &pairs {
            self.ask_of(who, whom, |contact| Command::Unblock { contact });
        }
        self.let_everybody_in();
        for (who, whom) in pairs {
            self.say(who, whom);
        }
        // A farewell may be the first word in a long time, and ask to be let in.
        self.let_everybody_in();
    }

    /// A request may arrive late, and an answer to it later.
    fn let_everybody_in(&mut self) {
        for _ in 0..3 {
            self.town.world.run_for(Millis::from_secs(7_200));
            for who in 0..PEOPLE {
                self.accept_all(who);
            }
        }
        self.town.world.run_for(Millis::from_secs(7_200));
    }

    fn check(&self) {
        self.town.assert_sound();
        for from in 0..PEOPLE {
            let seen = self.town.world.seen(self.node(from));
            let state = |id| *seen.states.get(&id).expect("a message that was said");
            for to in (0..PEOPLE).filter(|&to| to != from) {
                let contact = self.contact(to, from).map(|(id, _)| id);
                let texts = &self.town.world.seen(self.node(to)).texts;
                let of = texts.iter().filter(|(other, _)| Some(*other) == contact);
                let read: Vec<String> = of.map(|(_, text)| text.clone()).collect();
                self.reference.check((from, to), &read, state);
            }
        }
    }
}

#[test]
fn every_message_is_read_after_any_sequence_of_events() {
    seeds(60, |seed| {
        let mut links = Links::calm();
        links.loss_per_mille = if seed % 2 == 0 { 0 } else { 150 };
        let town = Town::new(seed, links, PEOPLE, 2);
        let (reference, chance) = (Reference::default(), SeededRng::lane(seed, u64::MAX));
        let mut trial = Trial { town, reference, chance };
        for who in 0..PEOPLE {
            trial.add(who, (who + 1) % PEOPLE);
        }
        for _ in 0..STEPS {
            trial.step();
        }
        trial.town.world.set_loss(0);
        trial.make_peace();
        trial.check();
    });
}
