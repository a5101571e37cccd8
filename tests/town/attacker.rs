//! An attacker: so much work, spent by a plan.

use undertone::engine::env::{Millis, UnixSeconds};
use undertone::engine::price::Step;

use crate::plan::{Attack, Bid, Plan, Timing};
use crate::relay::Relay;

/// When a dump begins: on the fourth day, when pools are as full as they get.
const DUMP: Millis = Millis::from_secs(3 * 86_400);

const HOUR: u64 = 3_600_000;

/// How often the attacker looks at what is asked. A guess: at once, as good as.
const PACE: Millis = Millis(2_000);

/// Somebody with work to spend, and a link to every relay.
pub(crate) struct Attacker {
    attack: Attack,
    begins: Millis,
    /// Tries a millisecond.
    rate: f64,
    spent: f64,
    ends: Millis,
}

impl Attacker {
    pub(crate) fn new(attack: Attack, plan: &Plan) -> Self {
        let all = attack.shares * plan.share_tries();
        let life = u64::from(attack.aim.ttl().0) * 1_000;
        let (begins, span, ends) = match attack.timing {
            Timing::Steadily => (plan.counted_from, life, plan.until()),
            Timing::InOneHour => (DUMP, HOUR, DUMP.plus(Millis(HOUR))),
        };
        Self { attack, begins, rate: all / span as f64, spent: 0.0, ends }
    }

    pub(crate) const fn begins(&self) -> Millis {
        self.begins
    }

    pub(crate) const fn attack(&self) -> Attack {
        self.attack
    }

    /// Whether something is left of what it could work until now.
    pub(crate) fn has_work(&self, now: Millis) -> bool {
        self.spent < (now.min(self.ends).0 - self.begins.0) as f64 * self.rate
    }

    pub(crate) fn spend(&mut self, tries: u64) {
        self.spent += tries as f64;
    }

    /// The step it pays now.
    pub(crate) fn bid(&self, relays: &[Relay], now: (Millis, UnixSeconds)) -> Step {
        match self.attack.bid {
            Bid::Highest => Step::MAX,
            Bid::Asked => {
                let share = self.attack.aim.share();
                let mut asked: Vec<Step> = relays.iter().map(|at| at.asks(share, now)).collect();
                asked.sort_unstable();
                asked[asked.len() / 2]
            }
        }
    }

    /// How long until it works again; never after its end.
    pub(crate) fn next(&self, now: Millis) -> Option<Millis> {
        (now < self.ends).then_some(PACE)
    }
}
