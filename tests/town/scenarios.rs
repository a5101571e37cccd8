//! The scenarios, and the figures they hold.

use undertone::engine::envelope::Lifetime;
use undertone::engine::price::{Share, Step};

use crate::plan::{Attack, Bid, Hearing, Plan, Timing};
use crate::report::{Counts, Report, Rule};
use crate::town::Town;

/// People pay so much in towns that are attacked: 64 times the floor, as in the simulation of the
/// specification.
const PATIENT: Step = Step::new(6);

/// A scenario that was played.
struct Played {
    plan: Plan,
    report: Report,
}

fn play(plan: Plan) -> Played {
    let report = Town::new(plan).run();
    println!("{plan:?}\n{report}");
    Played { plan, report }
}

/// The same, or in small if the environment says `TOWN=small`, and with another seed by `SEED=2`.
fn play_at_length(plan: Plan) -> Played {
    let is_small = std::env::var("TOWN").is_ok_and(|size| size == "small");
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let plan = Plan { seed: seed.unwrap_or(plan.seed), ..plan };
    play(if is_small { plan.small() } else { plan })
}

impl Played {
    /// Fails with everything that was counted.
    #[expect(clippy::fn_params_excessive_bools, reason = "what an assertion takes")]
    fn hold(&self, what: &str, holds: bool) {
        assert!(holds, "seed {}: not so: {what}\n{:?}\n{}", self.plan.seed, self.plan, self.report);
    }

    /// What was marked by a rule, and is or was there until its time.
    fn kept(&self, rule: Rule) -> f64 {
        self.report.honest(&Share::ALL).marked(rule).held()
    }

    fn everything_is_on_step_0_and_nothing_leaves_early(&self) {
        let all = self.report.honest(&Share::ALL);
        self.hold("something was sent", all.sent.len() > 1_000);
        self.hold("all on step 0", all.paid() <= 1.0 && self.report.counts.waited == 0);
        self.hold("all is held until its time", all.held() >= 1.0);
    }

    /// `kept`: of what is marked, at least.
    fn marks_hold_and_few_come_too_late(&self, kept: f64) {
        let all = self.report.honest(&Share::ALL);
        let Counts { wanted, waited, .. } = self.report.counts;
        self.hold("most waits, and says so", waited * 2 > wanted);
        self.hold("few come too late", all.too_late() <= 0.15);
        self.hold("nothing leaves", all.evicted() <= 0.0);
        self.hold("what is marked is there until its time", self.kept(Rule::Shown) >= kept);
        let marked = all.marked(Rule::Shown).sent.len();
        self.hold("little of it is not marked", marked * 100 >= all.sent.len() * 95);
    }

    fn the_price_does_not_swing_once_demand_is_steady(&self) {
        let steady_from = self.report.steady_from;
        let hours = self.report.counts.hours.iter().filter(|hour| hour.at >= steady_from);
        self.hold("there are hours to look at", hours.count() >= 24);
        self.hold("a step an hour at most", self.report.swing(steady_from) <= 1);
    }

    fn the_attacker_changes_little(&self) {
        let (mean, _) = self.report.asked();
        self.hold("what is marked is there until its time", self.kept(Rule::Shown) >= 0.999);
        self.hold("the price is at most 32 times the floor", mean <= 32.0);
        self.hold("few come too late", self.report.honest(&Share::ALL).too_late() <= 0.02);
    }
}

/// Half the demand, people who pay 64 times the floor, and somebody with so much work.
fn attacked(seed: u64, shares: f64, (aim, timing, bid): (Lifetime, Timing, Bid)) -> Plan {
    let attack = Some(Attack { shares, aim, timing, bid });
    Plan { attack, highest: PATIENT, ..Plan::usual(seed).half_demand() }
}

fn steadily(seed: u64, shares: f64) -> Plan {
    attacked(seed, shares, (Lifetime::Day, Timing::Steadily, Bid::Asked))
}

fn dumped(seed: u64, shares: f64, bid: Bid) -> Plan {
    let plan = attacked(seed, shares, (Lifetime::Day, Timing::InOneHour, bid));
    Plan { days: 5, ..plan }
}

// --- short: a sixteenth of the town, a few days ----------------------------------------------------

#[test]
fn at_the_usual_load_a_small_town_stays_on_step_0_and_loses_nothing() {
    let plan = Plan { days: 3, ..Plan::usual(1).small() };
    play(plan).everything_is_on_step_0_and_nothing_leaves_early();
}

#[test]
fn at_five_times_the_load_a_small_town_keeps_what_it_marked_the_rest_waits_and_the_price_is_calm() {
    let played = play(Plan { days: 5, ..Plan::usual(1).small().crowded(5) });
    played.marks_hold_and_few_come_too_late(0.99);
    played.the_price_does_not_swing_once_demand_is_steady();
}

#[test]
fn in_a_small_town_the_work_of_three_shares_raises_the_price_by_a_step_an_hour_at_most() {
    for seed in 1..=3 {
        let played = play(steadily(seed, 3.0).small());
        played.the_attacker_changes_little();
        played.the_price_does_not_swing_once_demand_is_steady();
    }
}

#[test]
fn in_a_small_town_the_work_of_a_whole_share_makes_the_price_rise_and_nothing_leave() {
    let played = play(Plan { days: 5, ..steadily(1, 1.0).small() });
    played.the_attacker_changes_little();
    played.hold("the price rises", played.report.asked().0 > 1.5);
    played.the_price_does_not_swing_once_demand_is_steady();
    played.hold("nothing leaves", played.report.honest(&Share::ALL).evicted() <= 0.0);
}

// --- long ---------------------------------------------------------------------------------------

#[test]
#[ignore = "4 minutes"]
fn at_the_usual_load_all_are_on_step_0_and_nothing_leaves_early() {
    play_at_length(Plan::usual(1)).everything_is_on_step_0_and_nothing_leaves_early();
}

#[test]
#[ignore = "9 minutes"]
fn at_five_times_the_load_what_was_marked_is_kept_and_the_rest_waits() {
    let played = play_at_length(Plan { days: 8, ..Plan::usual(1).crowded(5) });
    played.marks_hold_and_few_come_too_late(0.99);
    played.the_price_does_not_swing_once_demand_is_steady();
}

#[test]
#[ignore = "9 minutes"]
fn at_five_times_the_load_heard_from_one_neighbour_at_a_time_fewer_marks_hold() {
    // Two of three neighbours are heard some 12 minutes late, and so are rises.
    play_at_length(Plan { days: 7, hearing: Hearing::Seldom, ..Plan::usual(1).crowded(5) })
        .marks_hold_and_few_come_too_late(0.93);
}

#[test]
#[ignore = "4 minutes"]
fn the_work_of_one_share_for_each_day() {
    let played = play_at_length(steadily(1, 1.0));
    played.the_attacker_changes_little();
    played.the_price_does_not_swing_once_demand_is_steady();
}

#[test]
#[ignore = "5 minutes"]
fn the_work_of_three_shares_for_each_day() {
    let played = play_at_length(steadily(1, 3.0));
    played.the_attacker_changes_little();
    played.the_price_does_not_swing_once_demand_is_steady();
}

#[test]
#[ignore = "5 minutes"]
fn the_work_of_seven_shares_for_each_day() {
    let played = play_at_length(steadily(1, 7.6));
    played.hold("nearly nothing leaves", played.kept(Rule::Shown) >= 0.995);
}

#[test]
#[ignore = "6 minutes"]
fn the_work_of_thirty_shares_for_each_day() {
    let played = play_at_length(steadily(1, 30.0));
    played.hold("nearly nothing leaves", played.kept(Rule::Shown) >= 0.99);
}

#[test]
#[ignore = "6 minutes"]
fn the_work_of_three_shares_for_each_six_hours_touches_no_other_life() {
    let played =
        play_at_length(attacked(1, 3.0, (Lifetime::SixHours, Timing::Steadily, Bid::Asked)));
    let others = played.report.honest(&[Share::Day, Share::Week]);
    // They pay for the line alone, while the flood is cheap.
    played.hold("others pay hardly more than the floor", others.paid() <= 2.0);
    played.hold("others lose nothing", others.marked(Rule::Held).held() >= 0.999);
}

#[test]
#[ignore = "2 minutes each"]
fn a_dump_of_one_hour() {
    for (shares, kept) in [(1.0, 0.999), (8.0, 0.98), (30.0, 0.93)] {
        let played = play_at_length(dumped(1, shares, Bid::Asked));
        let marked = played.kept(Rule::Shown);
        played.hold(
            &format!("what was marked is kept, but for {shares} shares' work"),
            marked >= kept,
        );
    }
}

#[test]
#[ignore = "2 minutes each"]
fn a_dump_that_shows_256_times_the_floor_displaces_nothing_while_there_is_room() {
    for shares in [8.0, 30.0] {
        let played = play_at_length(dumped(1, shares, Bid::Highest));
        played.hold("nothing leaves", played.report.honest(&Share::ALL).evicted() <= 0.0);
    }
}
