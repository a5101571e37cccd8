//! What neighbours ask over days, without envelopes; and what somebody pays who hears them.

use undertone::engine::env::{Env, Millis, UnixSeconds};
use undertone::engine::id::{Neighbour, NeighbourId};
use undertone::engine::price::{AskingPrice, Room, SaidSteps, Share, Step};
use undertone::engine::testing::rng::SeededRng;

use crate::plan::{Hearing, NEIGHBOURS};

/// A whole hour since 1970.
const BEGINNING: u64 = 498_672 * 3_600;

/// How often a sender is asked what it pays, in minutes.
pub(crate) const NOTED: u64 = 5;

/// What a share of a day asks in each minute.
#[derive(Clone)]
pub(crate) struct History(Vec<Step>);

impl History {
    /// Always the same.
    pub(crate) fn still(minutes: u64) -> Self {
        Self((0..minutes).map(|_| Step::default()).collect())
    }

    /// A share that is between 0.7 and 0.93 full, so that steps move between 0 and 3: a 24th leaves
    /// five minutes after each whole hour, and what comes is drawn for each hour. `lacks` is what
    /// these relays hold less than others, as a part of the share.
    pub(crate) fn moving(seed: u64, minutes: u64, lacks: f64) -> Self {
        let mut chance = SeededRng::lane(seed, 1);
        let (mut full, mut inflow) = (0.8, 0.0);
        let steps = (0..minutes).map(|minute| {
            if minute % 60 == 0 {
                inflow = chance.below(1_000) as f64 / 1_000.0 / 12.0;
            }
            if minute % 60 == 5 {
                full -= 1.0 / 24.0;
            }
            full = (full + inflow / 60.0).clamp(0.7, 0.93);
            let used = ((full - lacks) * 100_000.0) as usize;
            Room { used, places: 100_000 }.step(1)
        });
        Self(steps.collect())
    }

    /// Steps that stay for three hours each.
    pub(crate) fn stairs(seed: u64, minutes: u64) -> Self {
        let mut chance = SeededRng::lane(seed, 2);
        let mut step = 0;
        let steps = (0..minutes).map(|minute| {
            if minute % 180 == 0 {
                step = chance.below(4) as u8;
            }
            Step::new(step)
        });
        Self(steps.collect())
    }

    pub(crate) fn at(&self, minute: u64) -> Step {
        self.0.get(minute as usize).copied().unwrap_or_default()
    }

    pub(crate) fn minutes(&self) -> u64 {
        self.0.len() as u64
    }

    fn said(&self, minute: u64) -> SaidSteps {
        SaidSteps {
            shares: [Step::default(), self.at(minute), Step::default()],
            ..SaidSteps::default()
        }
    }
}

/// What somebody pays for a day, every [`NOTED`] minutes, who hears three neighbours of one
/// history. The first of them lies if `lie` is something.
pub(crate) fn paid(
    history: &History,
    seed: u64,
    hearing: Hearing,
    lie: Option<SaidSteps>,
) -> Vec<Step> {
    let mut chance = SeededRng::lane(seed, 3);
    let mut price = AskingPrice::default();
    let every = hearing.every().0;
    let mut next = Millis(chance.below(every));
    let mut steps = Vec::new();
    // No newcomer: all three were heard before anything is paid.
    for neighbour in 0..NEIGHBOURS as u64 {
        let said = lie.filter(|_| neighbour == 0).unwrap_or(history.said(0));
        price.hear(Neighbour::alone(NeighbourId(neighbour)), said, Millis(0));
    }
    for noted in 0..history.minutes() / NOTED {
        let minute = Millis::from_secs(noted * NOTED * 60);
        while next < minute {
            let neighbour = chance.below(NEIGHBOURS as u64);
            let honest = history.said(next.0 / 60_000);
            let said = lie.filter(|_| neighbour == 0).unwrap_or(honest);
            price.hear(Neighbour::alone(NeighbourId(neighbour)), said, next);
            price.follow(SaidSteps::default(), &at(next, &mut chance));
            next = next.plus(Millis(every - every / 4 + chance.below(every / 2)));
        }
        price.follow(SaidSteps::default(), &at(minute, &mut chance));
        steps.push(price.pay(Share::Day, minute));
    }
    steps
}

fn at(now: Millis, chance: &mut SeededRng) -> Env<'_> {
    Env::new(now, UnixSeconds(BEGINNING + now.0 / 1_000), chance)
}
