//! The town itself: people write, relays hold, and an attacker works.
//!
//! Of catching up between relays it has what brings envelopes that a relay ignored for its line.
//! Left out is what a relay refused for room and may fetch once its share is calm: it could only
//! bring more. And people write at all hours alike.

use std::collections::BTreeMap;
use std::rc::Rc;

use undertone::engine::env::{Env, Millis, Seconds, UnixSeconds};
use undertone::engine::envelope::check::expired;
use undertone::engine::envelope::{
    CheckedEnvelope, Draft, EnvelopeId, Lifetime, Topic, WorkNonce, check_inspected, work,
};
use undertone::engine::id::OutgoingId;
use undertone::engine::price::asking::{LOOK_AGAIN, one_by_one};
use undertone::engine::price::{Share, Step};
use undertone::engine::settings::{DEFAULT_REPLY_DELAY, DEFAULT_RETRANSMIT_AFTER, SyncPace};

use crate::attacker::Attacker;
use crate::chance::Chance;
use crate::event::{Errand, Event, Origin, Parcel, Queue};
use crate::person::{Answer, Claim, Outbox, Pace, Person, State, Word};
use crate::plan::{AWAY, CONTACTS, FLOOR, LIVES, MINING, NEIGHBOURS, Plan};
use crate::relay::{Outcome, Relay};
use crate::report::{Counts, Hour, Report, Rule, Sender, Sent};

/// When the town begins: a whole hour.
const BEGINNING: UnixSeconds = UnixSeconds(498_672 * 3_600);

/// The mean time that the flood takes from a neighbour of the author to another relay. A guess:
/// seconds.
const FLOOD: Millis = Millis(1_500);

/// The time between two sessions of catching up of one relay, from each of which it fetches all it
/// ignored, if its line is calm.
const FETCH: Millis = SyncPace::USUAL.every;

/// The time from an author to its neighbours, at most.
const FIRST_LINK: u64 = 1_000;

/// What envelopes of messages of shorter lives wait at most before they are sent again
/// (`engine::conversation::retransmit`).
const LONGEST_BACKOFF: u64 = 6 * 3_600;

/// A message that is not acknowledged yet.
struct Message {
    from: usize,
    to: usize,
    lifetime: Lifetime,
    /// Its recipient is back then.
    back: Millis,
    first: Option<Millis>,
    sendings: Vec<(usize, EnvelopeId)>,
    progress: Progress,
}

/// Something that is to be sent.
struct Letter {
    from: usize,
    to: usize,
    lifetime: Lifetime,
}

/// Whether a message is about to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It is, or waits for a lower price.
    Outgoing,
    /// It waits for its acknowledgement.
    Sent,
}

/// Everybody, and what happens next.
pub(crate) struct Town {
    plan: Plan,
    now: Millis,
    chance: Chance,
    queue: Queue,
    relays: Vec<Relay>,
    people: Vec<Person>,
    attacker: Option<Attacker>,
    messages: BTreeMap<u32, Message>,
    written: u32,
    /// What each is about to acknowledge to another, by the first and the second.
    acks: BTreeMap<(usize, usize), Vec<u32>>,
    /// Envelopes that are in time.
    numbers: BTreeMap<EnvelopeId, usize>,
    sent: Vec<Sent>,
    counts: Counts,
}

impl Town {
    /// A town at its beginning.
    pub(crate) fn new(plan: Plan) -> Self {
        let mut town = Self {
            plan,
            now: Millis(0),
            chance: Chance::new(plan.seed),
            queue: Queue::default(),
            relays: (0..plan.relays).map(|_| Relay::new(plan.places, plan.line, FLOOR)).collect(),
            people: Vec::new(),
            attacker: plan.attack.map(|attack| Attacker::new(attack, &plan)),
            messages: BTreeMap::new(),
            written: 0,
            acks: BTreeMap::new(),
            numbers: BTreeMap::new(),
            sent: Vec::new(),
            counts: Counts::default(),
        };
        for person in 0..plan.people {
            town.settle(person);
        }
        if let Some(attacker) = &town.attacker {
            town.queue.push(attacker.begins(), Event::Attack);
        }
        town.queue.push(Millis::from_secs(1_800), Event::Note);
        town
    }

    fn settle(&mut self, person: usize) {
        let mut relays = [0; NEIGHBOURS];
        for at in 0..NEIGHBOURS {
            let others = relays[..at].to_vec();
            relays[at] = loop {
                let drawn = self.below(self.plan.relays);
                if !others.contains(&drawn) {
                    break drawn;
                }
            };
        }
        self.people.push(Person::new(relays));
        // Everybody heard all neighbours once: the town is not new to them.
        for at in 0..NEIGHBOURS {
            self.hear(person, at);
        }
        let first = self.below(self.plan.hearing.every().0 as usize);
        self.queue.push(Millis(first as u64), Event::Hear(person));
        let wait = self.until_next_message();
        self.queue.push(wait, Event::Write(person));
    }

    /// Lets everything happen.
    pub(crate) fn run(mut self) -> Report {
        while let Some((at, event)) = self.queue.pop() {
            if at > self.plan.until() {
                break;
            }
            self.now = at;
            self.handle(event);
        }
        let from = self.plan.counted_from;
        // What was sent last has not been everywhere.
        let last = self.plan.until().0 - 60_000;
        self.sent.retain(|sent| sent.at >= from && sent.at.0 < last);
        self.counts.hours.retain(|hour| hour.at >= from);
        let steady_from = from.plus(Millis::from_secs(3 * 86_400));
        Report { relays: self.plan.relays, steady_from, sent: self.sent, counts: self.counts }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Write(person) => self.write(person),
            Event::Hear(person) => {
                let at = self.below(NEIGHBOURS);
                self.hear(person, at);
                let every = self.plan.hearing.every().0;
                let spread = self.chance.below(every / 2 + 1);
                self.after(Millis(every - every / 4 + spread), Event::Hear(person));
            }
            Event::Attempt(errand, least) => self.attempt(errand, least),
            Event::Look(person, to) => self.look(person, to),
            Event::Resend(message, sendings) => self.resend(message, sendings),
            Event::Publish(errand, parcel) => self.publish(errand, &parcel),
            Event::Arrive(relay, parcel) => self.arrive(relay, &parcel),
            Event::Fetch(relay, parcel) => self.fetch(relay, &parcel),
            Event::Deliver(errand, carried) => self.deliver(errand, carried),
            Event::Return(message) => self.come_back(message),
            Event::Attack => self.attack(),
            Event::Note => self.note(),
        }
    }

    fn after(&mut self, wait: Millis, event: Event) {
        self.queue.push(self.now.plus(wait), event);
    }

    fn wall(&self) -> UnixSeconds {
        UnixSeconds(BEGINNING.0 + self.now.0 / 1_000)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.chance.below(bound as u64) as usize
    }

    fn exponential(&mut self, mean: Millis) -> Millis {
        let wall = self.wall();
        Env::new(self.now, wall, &mut self.chance).exponential(mean)
    }

    fn counts_now(&self) -> bool {
        self.now >= self.plan.counted_from
    }

    // --- what people do ----------------------------------------------------------------------

    fn until_next_message(&mut self) -> Millis {
        let messages =
            if self.now < self.plan.counted_from { self.plan.at_first } else { self.plan.messages };
        self.exponential(Millis((86_400_000.0 / messages) as u64))
    }

    fn write(&mut self, person: usize) {
        let wait = self.until_next_message();
        self.after(wait, Event::Write(person));
        let step = 1 + self.below(CONTACTS as usize / 2);
        let people = self.plan.people;
        let to = match self.chance.below(2) {
            0 => person + step,
            _ => person + people - step,
        };
        let is_away = self.chance.below(1_000) < self.plan.away;
        let mut drawn = self.chance.below(1_000);
        let life = LIVES.into_iter().find(|(_, of)| {
            let found = drawn < *of;
            drawn = drawn.saturating_sub(*of);
            found
        });
        let id = self.written;
        self.written += 1;
        let message = Message {
            from: person,
            to: to % people,
            lifetime: life.map_or(Lifetime::Day, |(life, _)| life),
            back: if is_away { self.now.plus(AWAY) } else { self.now },
            first: None,
            sendings: Vec::new(),
            progress: Progress::Outgoing,
        };
        if is_away {
            self.queue.push(message.back, Event::Return(id));
        }
        self.messages.insert(id, message);
        self.want();
        self.attempt(Errand::Message(id), Step::default());
    }

    fn want(&mut self) {
        self.counts.wanted += u64::from(self.counts_now());
    }

    /// Hears one of the neighbours, and now and then learns what it holds.
    fn hear(&mut self, person: usize, at: usize) {
        let (now, wall) = (self.now, self.wall());
        let somebody = &mut self.people[person];
        let relay = &mut self.relays[somebody.relays[at]];
        let said = relay.say(now, wall);
        let mut env = Env::new(now, wall, &mut self.chance);
        somebody.hear_again(at, said, &mut env);
        if !somebody.catches_up(at, now) {
            return;
        }
        let sent = &self.sent;
        let known = somebody.learn(at, now, |number| {
            let of = &sent[number];
            let asked = said.shares[of.share.index()].max(said.line);
            Word { asks: (asked <= of.paid).into(), holds: relay.pool().contains(&of.id).into() }
        });
        for (claim, word) in known {
            self.know(&claim, word);
        }
    }

    /// Two neighbours have said the same of an envelope.
    fn know(&mut self, claim: &Claim, word: Word) {
        let sent = &mut self.sent[claim.number];
        if word.asks == Answer::Yes {
            sent.marks |= Rule::Asked.bit();
        }
        if word.holds == Answer::Yes {
            sent.marks |= Rule::Held.bit();
            return;
        }
        // Neighbours do not hold it: once more, one step higher, if it is the last that was sent.
        let Errand::Message(id) = claim.errand else { return };
        let again = sent.paid.above();
        let Some(message) = self.messages.get_mut(&id) else { return };
        let is_last = message.sendings.last().is_some_and(|(number, _)| *number == claim.number);
        if is_last && message.progress == Progress::Sent {
            message.progress = Progress::Outgoing;
            self.counts.again += u64::from(self.now >= self.plan.counted_from);
            self.attempt(claim.errand, again);
        }
    }

    // --- how it is sent ----------------------------------------------------------------------

    /// Puts something into its author's queue for a share, and begins with it if nothing is before
    /// it.
    fn attempt(&mut self, errand: Errand, least: Step) {
        let Some(Letter { from, to, .. }) = self.letter(errand) else { return };
        let outbox = self.people[from].outboxes.entry(to).or_default();
        outbox.queue.push_back((errand, least));
        match outbox.state {
            State::Idle => self.look(from, to),
            State::Busy => {}
            State::Waiting => self.tell(from, to),
        }
    }

    /// Sends what is first in a queue if the price is not too high for its author; else all of it
    /// waits, looks again after a random time, and leaves one by one.
    fn look(&mut self, person: usize, to: usize) {
        let (now, wall) = (self.now, self.wall());
        let first = self.people[person].outboxes.entry(to).or_default().queue.front().copied();
        let Some((errand, least)) = first else {
            self.people[person].outboxes.remove(&to);
            return;
        };
        let Some(Letter { lifetime, .. }) = self.letter(errand) else {
            self.outbox(person, to).take_first();
            return self.look(person, to);
        };
        let somebody = &mut self.people[person];
        let env = Env::new(now, wall, &mut self.chance);
        let asked = somebody.price(lifetime.share(), &env);
        // No higher than the author pays at most only because it is sent again.
        let highest = self.plan.highest;
        let step = asked.max(least.min(highest));
        let outbox = self.outbox(person, to);
        if step > highest {
            (outbox.state, outbox.pace) = (State::Waiting, Pace::OneByOne);
            self.tell(person, to);
            let wait = self.exponential(LOOK_AGAIN);
            return self.after(wait, Event::Look(person, to));
        }
        outbox.take_first();
        outbox.state = State::Busy;
        let pace = outbox.pace;
        let number = self.sent.len();
        let (checked, tries) = self.mine(number, lifetime, step);
        self.sent.push(Sent::new(&checked, step, (now, Sender::Person)));
        let parcel = Parcel { number, checked, step, origin: Origin::Person(person) };
        let searched = Millis((MINING.0 * tries) >> FLOOR.bits());
        self.after(searched, Event::Publish(errand, Rc::new(parcel)));
        let pause = match pace {
            Pace::AtOnce => Millis(0),
            Pace::OneByOne => self.exponential(one_by_one(step)),
        };
        self.after(searched.plus(pause), Event::Look(person, to));
    }

    fn outbox(&mut self, person: usize, to: usize) -> &mut Outbox {
        self.people[person].outboxes.entry(to).or_default()
    }

    /// Tells an author what waits, each once.
    fn tell(&mut self, person: usize, to: usize) {
        let counts_now = u64::from(self.counts_now());
        let outbox = self.outbox(person, to);
        let news = outbox.queue.len() - outbox.told;
        outbox.told += news;
        self.counts.waited += counts_now * news as u64;
    }

    /// What is known of something that is to be sent; nothing if it is not to be sent any more.
    fn letter(&self, errand: Errand) -> Option<Letter> {
        match errand {
            Errand::Message(id) => {
                let Message { from, to, lifetime, .. } = *self.messages.get(&id)?;
                Some(Letter { from, to, lifetime })
            }
            Errand::Ack(from, to) => {
                let lifetime = Lifetime::Day;
                self.acks.contains_key(&(from, to)).then_some(Letter { from, to, lifetime })
            }
        }
    }

    /// Searches for real: an envelope without data, so at a floor of two tries.
    pub(crate) fn mine(
        &mut self,
        number: usize,
        lifetime: Lifetime,
        step: Step,
    ) -> (CheckedEnvelope, u64) {
        let wall = self.wall();
        let topic = Topic((number as u32).to_be_bytes());
        let draft = Draft::new(wall, lifetime, topic, Vec::new()).expect("it is short");
        let start = self.chance.below(u64::MAX);
        let job = draft.mining_job(OutgoingId(0), (FLOOR, step), start);
        let nonce = work::search(&job, WorkNonce(start), u64::MAX).expect("found");
        let (id, bytes) = draft.finish(nonce);
        let checked = check_inspected(id, bytes, wall, &FLOOR).expect("it is in order");
        self.numbers.insert(id, number);
        (checked, nonce.0.wrapping_sub(start) + 1)
    }

    fn publish(&mut self, errand: Errand, parcel: &Rc<Parcel>) {
        let Origin::Person(person) = parcel.origin else { return };
        let (now, wall, number) = (self.now, self.wall(), parcel.number);
        let share = parcel.checked.lifetime().share();
        let sent = &mut self.sent[number];
        sent.at = now;
        // As the node's publisher does: what it would pay by now, and not only what it heard.
        let env = Env::new(now, wall, &mut self.chance);
        if self.people[person].price(share, &env) <= parcel.step {
            sent.marks |= Rule::Shown.bit();
        }
        self.people[person].claim(number, errand, now);
        for relay in self.people[person].relays {
            let delay = Millis(50 + self.chance.below(FIRST_LINK));
            self.after(delay, Event::Arrive(relay, Rc::clone(parcel)));
        }
        let carried = match errand {
            Errand::Message(id) => {
                self.schedule_resend(id, (number, parcel.checked.id()));
                vec![id]
            }
            // What comes from now on is acknowledged by the next.
            Errand::Ack(from, to) => self.acks.remove(&(from, to)).unwrap_or_default(),
        };
        let wait = Millis(FIRST_LINK).plus(self.exponential(FLOOD));
        self.after(wait, Event::Deliver(errand, (number, carried)));
    }

    fn schedule_resend(&mut self, id: u32, sending: (usize, EnvelopeId)) {
        let now = self.now;
        let Some(message) = self.messages.get_mut(&id) else { return };
        message.progress = Progress::Sent;
        message.sendings.push(sending);
        let first = *message.first.get_or_insert(now);
        let longest = u64::from(message.lifetime.ttl().0).max(LONGEST_BACKOFF);
        let wait = Millis(now.0 - first.0).plus(DEFAULT_RETRANSMIT_AFTER);
        let wait = wait.min(Millis::from_secs(longest));
        let sendings = message.sendings.len();
        self.after(wait, Event::Resend(id, sendings));
    }

    /// Sends a message again, unless it was acknowledged or is being sent.
    fn resend(&mut self, id: u32, sendings: usize) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        if message.progress == Progress::Outgoing || message.sendings.len() != sendings {
            return;
        }
        message.progress = Progress::Outgoing;
        self.want();
        self.attempt(Errand::Message(id), Step::default());
    }

    /// What was flooded reaches whom it is for, unless they are away or all ignored it.
    fn deliver(&mut self, errand: Errand, (number, messages): (usize, Vec<u32>)) {
        if self.sent[number].passed == 0 {
            return;
        }
        match errand {
            Errand::Ack(..) => {
                for id in messages {
                    self.messages.remove(&id);
                }
            }
            Errand::Message(id) => {
                if self.messages.get(&id).is_some_and(|message| message.back <= self.now) {
                    self.acknowledge(id);
                }
            }
        }
    }

    /// Somebody is back, and catches up: what their neighbours hold reaches them.
    fn come_back(&mut self, id: u32) {
        let Some(message) = self.messages.get(&id) else { return };
        let neighbours = self.people[message.to].relays;
        let mut ids = message.sendings.iter().map(|(_, id)| id);
        let is_held = ids.any(|id| neighbours.iter().any(|at| self.relays[*at].holds(id)));
        if is_held {
            self.acknowledge(id);
        }
    }

    fn acknowledge(&mut self, id: u32) {
        let Some(message) = self.messages.get(&id) else { return };
        let pair = (message.to, message.from);
        if let Some(waiting) = self.acks.get_mut(&pair) {
            return waiting.push(id);
        }
        let wait = self.exponential(DEFAULT_REPLY_DELAY);
        self.acks.insert(pair, vec![id]);
        self.want();
        self.after(wait, Event::Attempt(Errand::Ack(pair.0, pair.1), Step::default()));
    }

    // --- what relays do ----------------------------------------------------------------------

    fn arrive(&mut self, at: usize, parcel: &Rc<Parcel>) {
        let (now, wall) = (self.now, self.wall());
        let outcome = self.relays[at].take(&parcel.checked, now, wall);
        let sent = &mut self.sent[parcel.number];
        match outcome {
            Outcome::Held => sent.held += 1,
            Outcome::NoRoom => sent.no_room += 1,
            Outcome::Ignored => {
                sent.ignored += 1;
                self.after(FETCH, Event::Fetch(at, Rc::clone(parcel)));
            }
            Outcome::Known => return,
        }
        let passes_on = outcome != Outcome::Ignored;
        let sent = &mut self.sent[parcel.number];
        sent.passed += u8::from(passes_on);
        let is_first = passes_on && sent.passed == 1;
        for id in self.relays[at].take_left() {
            self.leave(&id, wall);
        }
        let Origin::Person(person) = parcel.origin else { return };
        // The first neighbour that passes it on gives it to the whole network.
        if is_first {
            for relay in 0..self.relays.len() {
                if !self.people[person].relays.contains(&relay) {
                    let delay = Millis(100).plus(self.exponential(FLOOD));
                    self.after(delay, Event::Arrive(relay, Rc::clone(parcel)));
                }
            }
        }
    }

    /// A relay catches up with what it ignored, as soon as its line is calm and somebody holds it.
    fn fetch(&mut self, at: usize, parcel: &Rc<Parcel>) {
        let (now, wall) = (self.now, self.wall());
        if !parcel.checked.in_time(wall) || self.sent[parcel.number].passed == 0 {
            return;
        }
        let is_held = self.sent[parcel.number].held > 0;
        let outcome =
            if is_held { self.relays[at].fetch(&parcel.checked, now, wall) } else { None };
        let sent = &mut self.sent[parcel.number];
        match outcome {
            Some(Outcome::Held) => (sent.held, sent.ignored) = (sent.held + 1, sent.ignored - 1),
            Some(Outcome::NoRoom) => {
                (sent.no_room, sent.ignored) = (sent.no_room + 1, sent.ignored - 1);
            }
            Some(Outcome::Ignored | Outcome::Known) => {}
            None => self.after(FETCH, Event::Fetch(at, Rc::clone(parcel))),
        }
        for id in self.relays[at].take_left() {
            self.leave(&id, wall);
        }
    }

    /// An envelope left a relay: before its time, or because it was over.
    fn leave(&mut self, id: &EnvelopeId, wall: UnixSeconds) {
        let Some(number) = self.numbers.get(id) else { return };
        let sent = &mut self.sent[*number];
        if !expired(sent.expiry, wall) {
            sent.held -= 1;
            sent.evicted += 1;
        }
    }

    fn attack(&mut self) {
        let Some(mut attacker) = self.attacker.take() else { return };
        let attack = attacker.attack();
        let share = attack.aim.share();
        while attacker.has_work(self.now) {
            let step = attacker.bid(&self.relays, (self.now, self.wall()));
            let number = self.sent.len();
            let (checked, tries) = self.mine(number, attack.aim, step);
            attacker.spend(tries);
            self.sent.push(Sent::new(&checked, step, (self.now, Sender::Attacker)));
            let parcel = Rc::new(Parcel { number, checked, step, origin: Origin::Attacker });
            debug_assert_eq!(parcel.checked.lifetime().share(), share);
            // It is everybody's neighbour.
            for relay in 0..self.relays.len() {
                let delay = Millis(self.chance.below(FIRST_LINK));
                self.after(delay, Event::Arrive(relay, Rc::clone(&parcel)));
            }
        }
        if let Some(wait) = attacker.next(self.now) {
            self.after(wait, Event::Attack);
        }
        self.attacker = Some(attacker);
    }

    /// Notes down what is asked, and forgets what is over.
    fn note(&mut self) {
        self.after(Millis::from_secs(3_600), Event::Note);
        let (now, wall) = (self.now, self.wall());
        let sent = &self.sent;
        self.numbers.retain(|_, number| !expired(sent[*number].expiry, wall.minus(Seconds(600))));
        let middle = |mut steps: Vec<Step>| {
            steps.sort_unstable();
            steps[steps.len() / 2].get()
        };
        let asked = self.people.iter().map(|person| person.asked(Share::Day, now)).collect();
        let env = Env::new(now, wall, &mut self.chance);
        let paid = self.people.iter_mut().map(|person| person.price(Share::Day, &env)).collect();
        let paid = middle(paid);
        let lasting = self.people.iter().map(|person| person.lasting(Share::Day, now)).collect();
        let (asked, lasting) = (middle(asked), middle(lasting));
        self.counts.hours.push(Hour { at: now, asked, paid, lasting });
    }
}
