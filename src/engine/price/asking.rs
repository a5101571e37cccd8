//! The asking price: the step a sender pays, from what its neighbours say they ask.
//!
//! A sender pays the greater of its share's and the line's step, exactly: one that paid anything
//! else could be told apart by its envelopes. One liar among three moves nobody: the middle one
//! counts, and neighbours of one address range are one voice.

use std::collections::{BTreeMap, BTreeSet};

use super::room::Share;
use super::step::{SaidSteps, Step};
use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::id::{AddressRange, Neighbour, NeighbourId};

/// What a neighbour said counts for an hour.
const KEPT: Millis = Millis::from_secs(3_600);

/// Of so many words of a neighbour one says what is asked for room, by chance; what is asked for
/// the line all do.
///
/// A line is full within seconds, a share within hours. If everybody heard of a share at regular
/// times, all would begin and end to pay more for it within the same minutes, and what waited would
/// come in between: in a simulation of five times the demand the price then moves by two or three
/// steps in some hours (`tests/town`).
const ROOM_OF: u64 = 5;

/// One more step for so long after a rise: a price that rises once often rises again, and what is
/// sent meanwhile would be below it.
const RAISED: Millis = Millis::from_secs(1_800);

/// The mean time after which a sender for whom the price is too high looks again: drawn each time,
/// exponential.
///
/// Never at the hour's tick, when prices fall: in a simulation of five times the demand 83 % of
/// what was sent came too late for the room when all rushed in then, 19 to 29 % with a mean of an
/// hour, 11 to 15 % with four.
pub const LOOK_AGAIN: Millis = Millis::from_secs(4 * 3_600);

/// The mean time between two envelopes to one contact of those that waited, while this step is
/// asked: drawn each time, exponential. Five minutes; half a minute at the usual price, for which
/// there is room.
///
/// What waited for hours may wait for minutes more. Sent one after the other they would all come
/// before any of their senders can have heard how full it became: in a simulation of five times the
/// demand 5 % of what was sent came too late for the room or the line, and 0.2 % so (`tests/town`).
#[must_use]
pub fn one_by_one(asked: Step) -> Millis {
    Millis::from_secs(if asked == Step::default() { 30 } else { 300 })
}

/// Voices of which the middle one counts; of fewer, the lowest, so that one liar costs nothing.
const ENOUGH: usize = 3;

/// Neighbours remembered; more than a node has. A guess.
const MAX_VOICES: usize = 32;

/// What neighbours said, and what is paid.
#[derive(Debug, Default)]
pub struct AskingPrice {
    voices: BTreeMap<NeighbourId, Voice>,
    /// The neighbours there are. What others said counts only while none of these said anything.
    present: BTreeSet<NeighbourId>,
    paid: [Paid; 3],
    /// The whole hour of the last look, since 1970.
    hour: u64,
    /// What was paid then.
    last_paid: [Step; 3],
    /// When a neighbour was first heard.
    first_heard: Option<Millis>,
    /// Whether a range of addresses was heard, since the last look, that was not heard before.
    has_new_range: bool,
}

/// What a neighbour said last.
#[derive(Clone, Copy, Debug)]
struct Voice {
    range: AddressRange,
    said: SaidSteps,
    at: Millis,
}

/// What is paid for one life.
#[derive(Clone, Copy, Debug, Default)]
struct Paid {
    step: Step,
    raised_until: Millis,
}

impl AskingPrice {
    /// Notes what a neighbour says. Its latest word counts.
    pub fn hear(&mut self, from: Neighbour, said: SaidSteps, now: Millis) {
        self.first_heard = self.first_heard.or(Some(now));
        if !self.voices.contains_key(&from.id) {
            self.has_new_range |= self.voices.values().all(|voice| voice.range != from.range);
        }
        self.voices.insert(from.id, Voice { range: from.range, said, at: now });
        self.voices.retain(|_, voice| voice.at.plus(KEPT) > now);
        if self.voices.len() > MAX_VOICES {
            let oldest = self.voices.iter().min_by_key(|(_, voice)| voice.at);
            if let Some(oldest) = oldest.map(|(neighbour, _)| *neighbour) {
                self.voices.remove(&oldest);
            }
        }
    }

    /// Notes what a neighbour says again: of its line, and now and then, by chance, of its room.
    pub fn hear_again(&mut self, from: Neighbour, said: SaidSteps, env: &mut Env<'_>) {
        let of_room = env.draw_u64().is_multiple_of(ROOM_OF);
        match self.voices.get_mut(&from.id) {
            Some(voice) if !of_room => {
                voice.said.line = said.line;
                voice.at = env.mono;
            }
            Some(_) | None => self.hear(from, said, env.mono),
        }
    }

    /// These are the neighbours from now on. One that is gone may have said what nobody asks any more:
    /// a relay that was restarted is another neighbour, and its last word would count for an hour.
    pub fn set_neighbours(&mut self, present: impl IntoIterator<Item = NeighbourId>) {
        self.present = present.into_iter().collect();
    }

    /// Whether any neighbour there is said a price within the hour.
    #[must_use]
    pub fn is_known(&self, now: Millis) -> bool {
        let said = |id| self.voices.get(id).is_some_and(|voice| voice.at.plus(KEPT) > now);
        self.present.iter().any(said)
    }

    /// What is asked, by what was heard within the hour; `own` if nothing was.
    #[must_use]
    pub fn heard(&self, own: SaidSteps, now: Millis) -> SaidSteps {
        self.heard_without(None, now).unwrap_or(own)
    }

    /// What a node without room for what the network holds says to a neighbour: what it heard from
    /// others, and no less for the line than its own asks, which what it passes on has to pay. Its
    /// own steps if nobody measured anything.
    ///
    /// What the neighbour said itself would come back to it as news; and what goes round among more
    /// of them is told by its hops.
    #[must_use]
    pub fn said_to(&self, asking: NeighbourId, own: SaidSteps, now: Millis) -> SaidSteps {
        let heard = self.heard_without(Some(asking), now);
        match heard.map(|heard| SaidSteps { hops: heard.hops.saturating_add(1), ..heard }) {
            Some(said) if said.are_measured() => {
                SaidSteps { line: said.line.max(own.line), ..said }
            }
            Some(_) | None => SaidSteps { hops: SaidSteps::NOWHERE, ..own },
        }
    }

    /// What neighbours but this one said: the middle of those who know of a measurement, else of
    /// the others.
    fn heard_without(&self, asking: Option<NeighbourId>, now: Millis) -> Option<SaidSteps> {
        let measured = self.ranges(asking, SaidSteps::are_measured, now);
        let mut ranges =
            if measured.is_empty() { self.ranges(asking, |_| true, now) } else { measured };
        let hops = ranges.iter().map(|(_, said)| said.hops).min()?;
        let at = if ranges.len() >= ENOUGH { (ranges.len() - 1) / 2 } else { 0 };
        let mut middle = |step: fn(&SaidSteps) -> Step| {
            ranges.sort_unstable_by_key(|(_, said)| step(said));
            ranges.get(at).map(|(_, said)| step(said)).unwrap_or_default()
        };
        Some(SaidSteps {
            shares: [
                middle(|said| said.shares[0]),
                middle(|said| said.shares[1]),
                middle(|said| said.shares[2]),
            ],
            line: middle(|said| said.line),
            hops,
        })
    }

    /// What neighbours but one said within the hour and counts, by address range: one range is one
    /// voice, and whoever has many addresses there gains nothing.
    ///
    /// A list, as there are at most [`MAX_VOICES`], and the price is looked at each minute.
    fn ranges(
        &self,
        asking: Option<NeighbourId>,
        counts: fn(SaidSteps) -> bool,
        now: Millis,
    ) -> Vec<(AddressRange, SaidSteps)> {
        let mut ranges: Vec<(AddressRange, SaidSteps)> = Vec::with_capacity(self.voices.len());
        let only_present = self.is_known(now);
        for (neighbour, voice) in &self.voices {
            let is_fresh = voice.at.plus(KEPT) > now;
            let is_there = !only_present || self.present.contains(neighbour);
            if Some(*neighbour) != asking && is_fresh && is_there && counts(voice.said) {
                match ranges.iter_mut().find(|(range, _)| *range == voice.range) {
                    Some((_, said)) => *said = said.lower(voice.said),
                    None => ranges.push((voice.range, voice.said)),
                }
            }
        }
        ranges
    }

    /// Follows what is asked: up at once, and down by one step at a whole hour, when everybody
    /// does. Call whenever something was heard, and before paying.
    ///
    /// A newcomer believes no price for longer than it hears it: the first neighbour that answers
    /// may be one that has long been cut off. And what is asked only rises where no voice has been
    /// added: of two the lower one counts, and a third that says what the other says is no rise.
    pub fn follow(&mut self, own: SaidSteps, env: &Env<'_>) {
        let hour = whole_hour(env.wall);
        // A clock that was ahead and was set back: nothing would come down until the hour that it showed.
        // Back over the last hour alone is no more than a correction, and the hour counts once.
        if hour.saturating_add(1) < self.hour {
            self.hour = hour;
        }
        // Whoever looks for the first time has no price to come down from.
        let hours = if self.hour == 0 { 0 } else { hour.saturating_sub(self.hour) };
        self.hour = self.hour.max(hour);
        let asked = self.heard(own, env.mono);
        let is_newcomer = self.is_newcomer(env.mono);
        let is_of_new_range = core::mem::take(&mut self.has_new_range);
        let raised_until = if is_of_new_range { Millis(0) } else { env.mono.plus(RAISED) };
        for (paid, share) in self.paid.iter_mut().zip(asked.shares) {
            let asked = share.max(asked.line);
            if is_newcomer {
                *paid = Paid { step: asked, raised_until: Millis(0) };
            } else if asked > paid.step {
                *paid = Paid { step: asked, raised_until };
            } else {
                let fewer = u8::try_from(hours).unwrap_or(u8::MAX);
                paid.step = paid.step.below(fewer).max(asked);
            }
        }
        self.last_paid = Share::ALL.map(|share| self.pay(share, env.mono));
    }

    /// Whether so few neighbours were heard for so short a time that the next may say otherwise.
    fn is_newcomer(&self, now: Millis) -> bool {
        let is_new = self.first_heard.is_some_and(|first| first.plus(KEPT) > now);
        is_new && self.ranges(None, |_| true, now).len() < ENOUGH
    }

    /// The step to pay for each life, shortest first, as of the last look.
    #[must_use]
    pub const fn last_paid(&self) -> [Step; 3] {
        self.last_paid
    }

    /// The step to pay for something in this share, by the last look.
    #[must_use]
    pub fn pay(&self, share: Share, now: Millis) -> Step {
        let paid = share.of(self.paid);
        if paid.raised_until > now { paid.step.above() } else { paid.step }
    }
}

const fn whole_hour(wall: UnixSeconds) -> u64 {
    wall.0 / 3_600
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::rng::SeededRng;

    const HOUR: Millis = Millis(3_600_000);
    const SILENT: SaidSteps = SaidSteps { shares: [Step::new(0); 3], line: Step::new(0), hops: 0 };

    fn day(doublings: u8) -> SaidSteps {
        SaidSteps { shares: [Step::new(0), Step::new(doublings), Step::new(0)], ..SILENT }
    }

    fn neighbour(number: u64) -> Neighbour {
        Neighbour::alone(NeighbourId(number))
    }

    /// A price that looks at `seconds` after a whole hour.
    fn follow(price: &mut AskingPrice, own: SaidSteps, seconds: u64) -> Step {
        let mut entropy = SeededRng::new(1);
        let now = Millis::from_secs(seconds);
        let env = Env::new(now, UnixSeconds(472_222 * 3_600 + seconds), &mut entropy);
        price.follow(own, &env);
        price.pay(Share::Day, now)
    }

    #[test]
    fn a_rise_is_followed_at_once_with_one_more_for_half_an_hour() {
        let mut price = AskingPrice::default();
        assert_eq!(follow(&mut price, SILENT, 10), Step::new(0));
        assert_eq!(follow(&mut price, day(3), 20), Step::new(4));
        assert_eq!(follow(&mut price, day(3), 20 + 1_799), Step::new(4));
        assert_eq!(follow(&mut price, day(3), 20 + 1_800), Step::new(3));
        assert_eq!(price.pay(Share::Week, Millis(0)), Step::new(0));
    }

    #[test]
    fn a_fall_is_followed_by_one_step_at_each_whole_hour() {
        let mut price = AskingPrice::default();
        follow(&mut price, day(8), 10);
        assert_eq!(follow(&mut price, SILENT, 3_599), Step::new(8));
        assert_eq!(follow(&mut price, SILENT, 3_600), Step::new(7));
        assert_eq!(follow(&mut price, SILENT, 3_700), Step::new(7));
        assert_eq!(follow(&mut price, day(6), 2 * 3_600), Step::new(6));
        assert_eq!(follow(&mut price, day(6), 5 * 3_600), Step::new(6));
    }

    #[test]
    fn a_price_goes_on_coming_down_when_a_clock_that_was_days_ahead_is_set_back() {
        let mut price = AskingPrice::default();
        let mut look = |hours: u64, own: SaidSteps| {
            let mut entropy = SeededRng::new(1);
            let wall = UnixSeconds((472_222 + hours) * 3_600);
            price.follow(own, &Env::new(Millis(0), wall, &mut entropy));
            price.pay(Share::Day, HOUR).get()
        };
        assert_eq!(look(72, day(8)), 8);
        assert_eq!([look(0, SILENT), look(1, SILENT), look(2, SILENT)], [8, 7, 6]);
        // A correction back over the hour has it counted once.
        assert_eq!([look(1, SILENT), look(2, SILENT), look(3, SILENT)], [6, 6, 5]);
    }

    #[test]
    fn the_greater_of_share_and_line_is_paid() {
        let mut price = AskingPrice::default();
        let said = SaidSteps { line: Step::new(5), ..day(2) };
        follow(&mut price, said, 0);
        let later = RAISED;
        assert_eq!(Share::ALL.map(|share| price.pay(share, later)), [Step::new(5); 3]);
    }

    #[test]
    fn of_two_voices_the_lower_counts_and_without_any_ones_own() {
        let mut price = AskingPrice::default();
        assert_eq!(price.heard(day(4), Millis(0)), day(4));
        price.hear(neighbour(1), day(8), Millis(0));
        assert_eq!(price.heard(day(4), Millis(0)), day(8));
        price.hear(neighbour(2), day(1), Millis(0));
        assert_eq!(price.heard(day(4), Millis(0)), day(1));
        assert_eq!(price.heard(day(4), HOUR), day(4), "an hour later they do not count");
    }

    /// So many hops away.
    fn far(hops: u8, said: SaidSteps) -> SaidSteps {
        SaidSteps { hops, ..said }
    }

    #[test]
    fn nobody_hears_its_own_words_from_a_neighbour_without_room() {
        let mut price = AskingPrice::default();
        price.hear(neighbour(1), day(5), Millis(0));
        let to = |asking| price.said_to(NeighbourId(asking), day(2), Millis(0));
        assert_eq!((to(1), to(2)), (far(SaidSteps::NOWHERE, day(2)), far(1, day(5))));
    }

    #[test]
    fn three_without_room_who_hear_one_another_forget_a_price_that_nobody_asks_any_more() {
        let mut prices: [AskingPrice; 3] = Default::default();
        // A relay said something once, and is gone.
        prices[0].hear(neighbour(9), day(6), Millis(0));
        let own = day(1);
        let mut rounds = 0;
        loop {
            let now = HOUR.plus(Millis(rounds * 300_000));
            // Heard by the others just before it is forgotten.
            let at = if rounds == 0 { Millis(HOUR.0 - 1) } else { now };
            for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 2), (2, 1), (1, 0)] {
                let said = prices[from].said_to(NeighbourId(to as u64), own, at);
                prices[to].hear(neighbour(from as u64), said, at);
            }
            if prices.iter().all(|price| price.heard(own, now).shares == own.shares) {
                break;
            }
            rounds += 1;
            assert!(rounds <= u64::from(SaidSteps::NOWHERE), "{prices:?}");
        }
        assert!(rounds > 1);
    }

    #[test]
    fn who_knows_of_no_measurement_counts_only_while_nobody_does() {
        let mut price = AskingPrice::default();
        price.hear(neighbour(1), far(SaidSteps::NOWHERE, day(1)), Millis(0));
        price.hear(neighbour(2), far(255, day(2)), Millis(0));
        assert_eq!(price.heard(day(4), Millis(0)).shares, day(1).shares);
        price.hear(neighbour(3), far(7, day(6)), Millis(0));
        assert_eq!(price.heard(day(4), Millis(0)), far(7, day(6)));
        let told = price.said_to(NeighbourId(9), day(4), Millis(0));
        assert_eq!(told, far(SaidSteps::NOWHERE, day(4)), "eight hops are nowhere");
    }

    #[test]
    fn a_small_node_asks_no_less_for_its_line_than_it_needs() {
        let mut price = AskingPrice::default();
        price.hear(neighbour(1), SaidSteps { line: Step::new(2), ..day(3) }, Millis(0));
        let to = |line| {
            let own = SaidSteps { line: Step::new(line), ..day(8) };
            price.said_to(NeighbourId(2), own, Millis(0))
        };
        assert_eq!([to(1).line, to(5).line], [2, 5].map(Step::new));
        assert_eq!(to(5).shares, day(3).shares);
    }

    #[test]
    fn who_is_gone_counts_only_while_nobody_who_is_there_said_anything() {
        let mut price = AskingPrice::default();
        price.set_neighbours([NeighbourId(1)]);
        price.hear(neighbour(1), day(1), Millis(0));
        // It was restarted, and asks more.
        price.set_neighbours([NeighbourId(2)]);
        assert!(!price.is_known(Millis(1)));
        assert_eq!(price.heard(SILENT, Millis(1)), day(1));
        price.hear(neighbour(2), day(5), Millis(1));
        assert!(price.is_known(Millis(1)));
        assert_eq!(price.heard(SILENT, Millis(1)), day(5));
        price.set_neighbours([]);
        assert_eq!(price.heard(SILENT, Millis(1)), day(1), "the lower of what was said");
    }

    #[test]
    fn a_newcomer_believes_the_first_neighbour_only_until_it_hears_others() {
        let mut price = AskingPrice::default();
        price.hear(neighbour(1), day(8), Millis(0));
        assert_eq!(follow(&mut price, SILENT, 10), Step::new(8));
        price.hear(neighbour(2), day(3), Millis(0));
        assert_eq!(follow(&mut price, SILENT, 20), Step::new(3), "the lowest, and at once");
        price.hear(neighbour(3), day(4), Millis(0));
        assert_eq!(follow(&mut price, SILENT, 30), Step::new(4), "three: the middle one");
        price.hear(neighbour(1), day(1), Millis(0));
        assert_eq!(follow(&mut price, SILENT, 1_900), Step::new(4), "it falls at the hour");
        assert_eq!(follow(&mut price, SILENT, 3_599), Step::new(4));
        price.hear(neighbour(2), day(6), Millis(0));
        price.hear(neighbour(1), day(6), Millis(0));
        assert_eq!(follow(&mut price, SILENT, 3_599), Step::new(7), "a rise, and one more");
    }

    /// Whoever heard the liar and one other first paid one step more than all others for half an
    /// hour, and could be told by it.
    #[test]
    fn a_liar_that_says_nothing_is_asked_makes_nobody_pay_more_whoever_is_heard_first() {
        for order in [[0, 2, 2], [2, 0, 2], [2, 2, 0]] {
            for later in [10, 2 * 3_600] {
                let mut price = AskingPrice::default();
                follow(&mut price, SILENT, 0);
                for (number, said) in (1..).zip(order) {
                    let at = Millis::from_secs(if number == 3 { later } else { number });
                    price.voices.values_mut().for_each(|voice| voice.at = at);
                    price.hear(neighbour(number), day(said), at);
                    follow(&mut price, SILENT, at.0 / 1_000);
                }
                assert_eq!(follow(&mut price, SILENT, later), Step::new(2), "{order:?}, {later}");
            }
        }
    }

    #[test]
    fn voices_are_bounded_and_many_of_one_range_are_one() {
        let mut price = AskingPrice::default();
        for number in 0..1_000 {
            price.hear(neighbour(number), day(1), Millis(number));
        }
        assert_eq!(price.voices.len(), MAX_VOICES);
        let mut price = AskingPrice::default();
        price.hear(neighbour(1), day(2), Millis(0));
        price.hear(neighbour(2), day(3), Millis(0));
        for number in 100..120 {
            let range = AddressRange(1);
            price.hear(Neighbour { range, ..neighbour(number) }, day(8), Millis(0));
        }
        assert_eq!(price.heard(SILENT, Millis(0)), day(2), "two ranges, the lower one");
    }

    proptest! {
        #[test]
        fn one_liar_among_three_or_more_moves_nobody_further_than_an_honest_voice(
            honest in prop::collection::vec((0_u8..=8, 0_u8..=8), 2..8), lie in any::<[u8; 3]>(),
        ) {
            let mut price = AskingPrice::default();
            for (number, (share, line)) in (0..).zip(&honest) {
                let said = SaidSteps { line: Step::new(*line), ..day(*share) };
                price.hear(neighbour(number), said, Millis(0));
            }
            price.hear(neighbour(u64::MAX), SaidSteps::decode(lie), Millis(0));
            let heard = price.heard(SILENT, Millis(0));
            let shares = || honest.iter().map(|(share, _)| Step::new(*share));
            let lines = || honest.iter().map(|(_, line)| Step::new(*line));
            prop_assert!(shares().min() <= Some(heard.shares[1]));
            prop_assert!(Some(heard.shares[1]) <= shares().max());
            prop_assert!(lines().min() <= Some(heard.line) && Some(heard.line) <= lines().max());
        }
    }
}
