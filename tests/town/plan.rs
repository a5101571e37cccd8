//! What a scenario is made of, and where its numbers come from.

use core::num::NonZeroU32;

use undertone::engine::env::Millis;
use undertone::engine::envelope::{Floor, Lifetime};
use undertone::engine::price::{Share, Step, line};
use undertone::engine::settings::{DEFAULT_HIGHEST_STEP, RELAY_POOL, SyncPace};

/// The floor of a town: a message that lives a day takes two tries, so that one of six hours can
/// cost less (at a floor of 0 it would take one, as a day does).
pub(crate) const FLOOR: Floor = Floor::new(1);

/// The time that a message of a day takes to mine on the floor: what 2^21 tries took at 1.85 million
/// a second, when that was the floor. One core with AVX2 takes 1.4 s for 2^24 (`Floor::DEFAULT`); the
/// figures of the towns are kept comparable.
pub(crate) const MINING: Millis = Millis(1_134);

/// The people of the town, at 20 relays of the default room.
pub(crate) const PEOPLE: usize = 1_000;
const RELAYS: usize = 20;

/// How much smaller a small town is: the line of its relays is one block a second.
const SMALLER: usize = line::DEFAULT.get() as usize;

/// What a relay of the small town passes on, in blocks a second: four times a sixteenth. Chance is
/// four times as large among a sixteenth of the people, and a line is measured over two minutes: one
/// of a block a second would ask more every few hours for nothing but that.
const SMALL_LINE: NonZeroU32 = NonZeroU32::new(4).unwrap();

/// Neighbours of each person: enough that the middle one counts.
pub(crate) const NEIGHBOURS: usize = 3;

/// Contacts of each person. A guess.
pub(crate) const CONTACTS: u64 = 8;

/// How long somebody is away who is away: 9 sendings of a message to them.
pub(crate) const AWAY: Millis = Millis::from_secs(8 * 3_600);

/// Of a thousand messages, how many live six hours, a day and a week. A guess. Acknowledgements
/// live a day, as a node's own envelopes do.
pub(crate) const LIVES: [(Lifetime, u64); 3] =
    [(Lifetime::SixHours, 120), (Lifetime::Day, 850), (Lifetime::Week, 30)];

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) people: usize,
    pub(crate) relays: usize,
    /// Places of each relay.
    pub(crate) places: usize,
    /// Blocks a second of each relay.
    pub(crate) line: NonZeroU32,
    pub(crate) days: u64,
    /// What happens before is not counted: pools fill.
    pub(crate) counted_from: Millis,
    /// Messages of each person a day.
    pub(crate) messages: f64,
    /// The same while nothing is counted.
    pub(crate) at_first: f64,
    /// Of a thousand messages, how many go to somebody who is away.
    pub(crate) away: u64,
    /// The highest step a person pays.
    pub(crate) highest: Step,
    pub(crate) attack: Option<Attack>,
    /// How often a person hears what neighbours ask.
    pub(crate) hearing: Hearing,
}

/// How often a person hears what neighbours ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// One neighbour, drawn by chance, about every five minutes: for contrast, and why a node asks
    /// each of them.
    Seldom,
    /// Each neighbour, about every minute.
    AsNodesDo,
}

impl Hearing {
    /// The mean time from one neighbour to the next.
    pub(crate) const fn every(self) -> Millis {
        match self {
            Self::Seldom => SyncPace::USUAL.every,
            Self::AsNodesDo => Millis(SyncPace::USUAL.steps.0 / NEIGHBOURS as u64),
        }
    }
}

/// The work of an attacker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attack {
    /// In units of a whole day share at the floor, for each life if `span` is the life.
    pub(crate) shares: f64,
    pub(crate) aim: Lifetime,
    pub(crate) timing: Timing,
    pub(crate) bid: Bid,
}

/// When an attacker's work comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    /// Evenly, so much in each life it aims at.
    Steadily,
    /// All in one hour, on the third day.
    InOneHour,
}

/// What an attacker pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bid {
    /// What most relays ask at the moment, which it sees at once.
    Asked,
    /// 256 times the floor for each: what others leave for.
    Highest,
}

impl Plan {
    /// The load that the default room is made for: 60 messages a day, their acknowledgements, and
    /// so many resends (75 of a thousand messages are sent nine times) that it is 1.3 times that.
    pub(crate) const fn usual(seed: u64) -> Self {
        Self {
            seed,
            people: PEOPLE,
            relays: RELAYS,
            places: RELAY_POOL.places,
            line: line::DEFAULT,
            days: 8,
            counted_from: Millis::from_secs(86_400),
            messages: 60.0,
            at_first: 60.0,
            away: 75,
            highest: DEFAULT_HIGHEST_STEP,
            attack: None,
            hearing: Hearing::AsNodesDo,
        }
    }

    /// The same in small: a sixteenth of the people and the room, at five relays.
    pub(crate) const fn small(self) -> Self {
        let (people, places) = (self.people / SMALLER, self.places / SMALLER);
        Self { people, places, line: SMALL_LINE, relays: 5, ..self }
    }

    /// So many times the people. On the first day all of them together write what the usual ones
    /// do: a town does not begin with empty relays and a crowd in front of them.
    pub(crate) const fn crowded(self, times: usize) -> Self {
        Self { people: self.people * times, at_first: self.at_first / times as f64, ..self }
    }

    /// So much load that half of the day share is taken.
    pub(crate) fn half_demand(self) -> Self {
        // At the usual load two thirds are: 141,600 a day for 24.6 hours, of 219,750 places.
        Self { messages: self.messages * 0.75, at_first: self.at_first * 0.75, ..self }
    }

    pub(crate) const fn until(&self) -> Millis {
        Millis::from_secs(self.days * 86_400)
    }

    /// Tries of one whole day share at the floor.
    pub(crate) fn share_tries(&self) -> f64 {
        Share::Day.places(self.places) as f64 * (1_u64 << FLOOR.bits()) as f64
    }
}
