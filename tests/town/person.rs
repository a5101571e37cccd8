//! A person at a messenger: the node's own asking price, and what is known of what was sent.

use std::collections::{BTreeMap, VecDeque};

use undertone::engine::env::{Env, Millis};
use undertone::engine::id::{Neighbour, NeighbourId};
use undertone::engine::price::{AskingPrice, SaidSteps, Share, Step};
use undertone::engine::settings::SyncPace;

use crate::event::Errand;
use crate::plan::NEIGHBOURS;

/// The time after which an envelope is offered by those who hold it (`engine::relay`).
const SETTLE_TIME: Millis = Millis::from_secs(60);

/// Somebody who sends.
pub(crate) struct Person {
    price: AskingPrice,
    pub(crate) relays: [usize; NEIGHBOURS],
    /// When it last caught up with each.
    caught_up: [Millis; NEIGHBOURS],
    claims: Vec<Claim>,
    /// For each contact.
    pub(crate) outboxes: BTreeMap<usize, Outbox>,
}

/// What is to be sent to one contact.
#[derive(Default)]
pub(crate) struct Outbox {
    /// Each with the least that is paid for it.
    pub(crate) queue: VecDeque<(Errand, Step)>,
    /// Of so many at the front the author was told that they wait.
    pub(crate) told: usize,
    pub(crate) state: State,
    pub(crate) pace: Pace,
}

impl Outbox {
    /// Takes out what is first.
    pub(crate) fn take_first(&mut self) {
        self.queue.pop_front();
        self.told = self.told.saturating_sub(1);
    }
}

/// How what is in an outbox leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pace {
    /// One after the other.
    #[default]
    AtOnce,
    /// With a pause after each: it waited for a lower price.
    OneByOne,
}

/// What an outbox does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// It is empty.
    #[default]
    Idle,
    /// It searches for work.
    Busy,
    /// The price is too high.
    Waiting,
}

/// An envelope of which its author does not know yet whether neighbours hold it.
pub(crate) struct Claim {
    /// The envelope, and what it is for.
    pub(crate) number: usize,
    pub(crate) errand: Errand,
    published: Millis,
    /// What each neighbour said since it had lasting.
    words: [Option<Word>; NEIGHBOURS],
}

/// What catching up with a neighbour tells of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Whether the neighbour asks no more than the envelope shows.
    pub(crate) asks: Answer,
    /// Whether the neighbour holds it.
    pub(crate) holds: Answer,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
}

impl From<bool> for Answer {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl Person {
    pub(crate) fn new(relays: [usize; NEIGHBOURS]) -> Self {
        Self {
            price: AskingPrice::default(),
            relays,
            caught_up: [Millis(0); NEIGHBOURS],
            claims: Vec::new(),
            outboxes: BTreeMap::new(),
        }
    }

    /// Hears what one of its neighbours says.
    pub(crate) fn hear_again(&mut self, at: usize, said: SaidSteps, env: &mut Env<'_>) {
        self.price.hear_again(self.neighbour(at), said, env);
        self.price.follow(SaidSteps::default(), env);
    }

    /// A neighbour: each relay is in an address range of its own.
    fn neighbour(&self, at: usize) -> Neighbour {
        Neighbour::alone(NeighbourId(self.relays[at] as u64))
    }

    /// Whether it is time to catch up with a neighbour once more, and learn what that holds.
    pub(crate) fn catches_up(&mut self, at: usize, now: Millis) -> bool {
        let is_due = self.caught_up[at].plus(SyncPace::USUAL.every) <= now;
        if is_due {
            self.caught_up[at] = now;
        }
        is_due
    }

    /// What it pays at this moment.
    pub(crate) fn price(&mut self, share: Share, env: &Env<'_>) -> Step {
        self.price.follow(SaidSteps::default(), env);
        self.price.pay(share, env.mono)
    }

    /// What it pays by the last look, once the half hour is over in which it pays one step more.
    pub(crate) fn lasting(&self, share: Share, now: Millis) -> Step {
        self.price.pay(share, now.plus(Millis::from_secs(1_800)))
    }

    /// What it believes to be asked at this moment.
    pub(crate) fn asked(&self, share: Share, now: Millis) -> Step {
        let heard = self.price.heard(SaidSteps::default(), now);
        heard.shares[share.index()].max(heard.line)
    }

    /// Wants to know what becomes of an envelope that goes out now.
    pub(crate) fn claim(&mut self, number: usize, errand: Errand, now: Millis) {
        self.claims.push(Claim { number, errand, published: now, words: [None; NEIGHBOURS] });
    }

    /// Learns what a neighbour says of all envelopes that have lasting; returns those of which two
    /// neighbours say the same, or three have spoken, with what most say.
    pub(crate) fn learn(
        &mut self,
        neighbour: usize,
        now: Millis,
        ask: impl Fn(usize) -> Word,
    ) -> Vec<(Claim, Word)> {
        let mut known = Vec::new();
        for mut claim in core::mem::take(&mut self.claims) {
            if claim.published.plus(SETTLE_TIME) <= now {
                claim.words[neighbour] = Some(ask(claim.number));
            }
            let words = claim.words.iter().flatten();
            let said = words.clone().count();
            let asks = most(words.clone().map(|word| word.asks), said);
            let holds = most(words.map(|word| word.holds), said);
            match (asks, holds) {
                (Some(asks), Some(holds)) => known.push((claim, Word { asks, holds })),
                _ => self.claims.push(claim),
            }
        }
        known
    }
}

/// What at least two say.
fn most(answers: impl Iterator<Item = Answer>, said: usize) -> Option<Answer> {
    let yes = answers.filter(|answer| *answer == Answer::Yes).count();
    match (yes, said - yes) {
        (2.., _) => Some(Answer::Yes),
        (_, 2..) => Some(Answer::No),
        _ => None,
    }
}
