//! What takes the places of a share, by the hour it was made, and what came of late: from these
//! follow the step that is asked of a newcomer and the step that is said to neighbours.
//!
//! Three things keep the price from swinging, all found with the simulator (`tests/town`):
//!
//! - **An hour has its part.** Everything ends at whole hours. Once a share is nearly full, what
//!   leaves at one hour is what comes in during the next, so a rush would come back at the same hour
//!   of every day, and between two of them nothing would be free. So an hour that takes more of a
//!   share than its fair part asks more.
//! - **What is said looks ahead.** A sender hears of room every five minutes in the mean, so what it pays
//!   is as old. A node says what it will ask in a quarter of an hour if envelopes go on coming as
//!   they did in the last five minutes, and so what was sent meanwhile still finds room.
//! - **But by a step or two only.** A burst that stops is not in what was said then, and whoever
//!   heard it pays it for an hour. With an attacker of three shares' work what people pay rose by two
//!   steps in some hours in half of the seeds, and by one at most in twelve of twelve so.

use std::collections::{BTreeMap, VecDeque};

use super::room::{Room, Share};
use super::step::Step;
use crate::engine::env::UnixSeconds;

/// From so many fair parts of a share on (a fraction), what one hour takes raises its step by so
/// much. Two steps at most: a price that a rush of minutes drives up takes hours to fall.
const RUSHES: [((usize, usize), u8); 2] = [((1, 1), 1), ((5, 4), 2)];

/// The minutes over which it is measured what comes.
const MEASURED: u64 = 5;

/// How much later what is said is true, in units of [`MEASURED`]: a quarter of an hour. The second of
/// three neighbours is heard six minutes after a rise at the latest, and the rate itself still grows.
const AHEAD: usize = 3;

/// From this step on what is said looks ahead by one step, below it by two. Two everywhere, or from
/// step 4 on one, and some hours of an attack raise by two steps what people pay; one everywhere, and
/// 1 to 2 % of what was marked as held at five times the demand comes too late (`tests/town`, in small,
/// 3 to 12 seeds each).
const DEAR: Step = Step::new(3);

/// The places of a share.
#[derive(Clone, Debug)]
pub struct Occupancy {
    share: Share,
    places: usize,
    used: usize,
    /// Places by the hour at which what takes them was made: of those that have any.
    hours: BTreeMap<UnixSeconds, usize>,
    /// Places that newcomers took, by the minute since 1970; at most [`MEASURED`].
    newcomers: VecDeque<(u64, usize)>,
}

impl Occupancy {
    /// A share with so many places, all free.
    #[must_use]
    pub const fn new(share: Share, places: usize) -> Self {
        Self { share, places, used: 0, hours: BTreeMap::new(), newcomers: VecDeque::new() }
    }

    /// How full it is.
    #[must_use]
    pub const fn room(&self) -> Room {
        Room { used: self.used, places: self.places }
    }

    /// Takes places for something that was made at this whole hour.
    pub fn take(&mut self, made: UnixSeconds, blocks: u8) {
        let blocks = usize::from(blocks);
        self.used += blocks;
        *self.hours.entry(made).or_default() += blocks;
    }

    /// Notes that what was just taken is news, and not fetched: more of it may come.
    pub fn note_newcomer(&mut self, blocks: u8, now: UnixSeconds) {
        let minute = now.0 / 60;
        self.newcomers.retain(|(at, _)| is_measured(*at, minute));
        match self.newcomers.back_mut().filter(|(at, _)| *at == minute) {
            Some((_, taken)) => *taken += usize::from(blocks),
            None => self.newcomers.push_back((minute, blocks.into())),
        }
    }

    /// Frees the places of something that was made at this whole hour.
    pub fn free(&mut self, made: UnixSeconds, blocks: u8) {
        let blocks = usize::from(blocks);
        self.used = self.used.saturating_sub(blocks);
        if let Some(taken) = self.hours.get_mut(&made) {
            *taken = taken.saturating_sub(blocks);
            if *taken == 0 {
                self.hours.remove(&made);
            }
        }
    }

    /// The step asked of something of so many blocks that was made at this whole hour.
    #[must_use]
    pub fn asked(&self, made: UnixSeconds, blocks: u8) -> Step {
        self.asked_after(0, (made, blocks))
    }

    /// The step to say to senders, who will send what is made at the hour `made`: what is asked
    /// once what is expected has come, and little more than what is asked now.
    #[must_use]
    pub fn said(&self, made: UnixSeconds, now: UnixSeconds) -> Step {
        let minute = now.0 / 60;
        let measured = self.newcomers.iter().filter(|(at, _)| is_measured(*at, minute));
        let expected = AHEAD * measured.map(|(_, taken)| taken).sum::<usize>();
        let free = self.places.saturating_sub(self.used);
        let asked = self.asked(made, 1);
        let most = asked.above_by(if asked < DEAR { 2 } else { 1 });
        self.asked_after(expected.min(free), (made, 1)).min(most)
    }

    fn asked_after(&self, expected: usize, (made, blocks): (UnixSeconds, u8)) -> Step {
        let room = Room { used: self.used + expected, places: self.places };
        let asked = room.step(blocks);
        // While there is room for all nobody minds the hour.
        if asked == Step::default() {
            return asked;
        }
        let taken = self.hours.get(&made).copied().unwrap_or(0) + expected;
        let is_from = |(part, of): (usize, usize)| {
            taken.saturating_mul(self.share.hours() * of) >= self.places.saturating_mul(part)
        };
        let rush = RUSHES.iter().rev().find(|(from, _)| is_from(*from));
        asked.above_by(rush.map_or(0, |(_, doublings)| *doublings))
    }
}

/// Whether what came in one minute counts in another: not what a clock that was set back says is
/// still to come.
const fn is_measured(at: u64, minute: u64) -> bool {
    at <= minute && minute < at.saturating_add(MEASURED)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600;
    const NOW: UnixSeconds = UnixSeconds(472_222 * HOUR);

    /// A share of a day with 2,500 places, a hundred of which are an hour's fair part.
    fn day() -> Occupancy {
        Occupancy::new(Share::Day, 2_500)
    }

    fn hour(hours: u64) -> UnixSeconds {
        UnixSeconds(NOW.0 - hours * HOUR)
    }

    /// Takes so many places of each of the hours before.
    fn taken_evenly(hours: u64, each: usize) -> Occupancy {
        let mut day = day();
        for made in (1..=hours).map(hour) {
            (0..each).for_each(|_| day.take(made, 1));
        }
        day
    }

    #[test]
    fn an_hour_that_takes_more_than_its_fair_part_of_a_share_three_quarters_full_asks_more() {
        // Three quarters are 1,875.
        let mut day = taken_evenly(19, 99);
        let mut steps = Vec::new();
        for _ in 0..160 {
            steps.push(day.asked(NOW, 1).get());
            day.take(NOW, 1);
        }
        assert_eq!([0, 99, 100, 124].map(|at: usize| steps[at]), [1, 1, 2, 2]);
        // 13/16 are 2,032.
        assert_eq!([125, 150, 151].map(|at: usize| steps[at]), [3, 3, 4]);
        assert_eq!(day.asked(hour(5), 1), Step::new(2), "another hour pays for its own");
    }

    #[test]
    fn below_three_quarters_no_hour_asks_anything_however_much_it_takes() {
        let mut day = day();
        (0..1_874).for_each(|_| day.take(NOW, 1));
        assert_eq!(day.asked(NOW, 1), Step::default());
        day.take(NOW, 1);
        assert_eq!(day.asked(NOW, 1), Step::new(3));
    }

    #[test]
    fn what_is_said_counts_what_came_in_five_minutes_three_times_more() {
        let mut day = taken_evenly(19, 97);
        // 1,843: three quarters less 32.
        for minute in 0..4_u64 {
            (0..4).for_each(|_| {
                day.note_newcomer(1, UnixSeconds(NOW.0 + 60 * minute));
                day.take(NOW, 1);
            });
        }
        let said = |minutes: u64| day.said(NOW, UnixSeconds(NOW.0 + 60 * minutes)).get();
        assert_eq!(day.asked(NOW, 1), Step::default());
        // 1,859 and three times 16; 12 once the first minute has passed out of sight, and so on.
        assert_eq!([3, 4, 5, 6, 7, 8].map(said), [1, 1, 1, 1, 0, 0]);
        assert_eq!(day.said(NOW, UnixSeconds(0)), Step::default(), "a clock that was set back");
    }

    #[test]
    fn what_is_said_is_two_steps_above_what_is_asked_at_most_and_one_from_the_third_on() {
        // 1,870, which is below the first step, and an hour that is about to take all there is.
        let mut cheap = taken_evenly(22, 85);
        cheap.note_newcomer(200, NOW);
        assert_eq!([cheap.asked(NOW, 1), cheap.said(NOW, NOW)], [0, 2].map(Step::new));

        // 2,400 and 33 at a time: the last three steps pass within minutes.
        let mut day = taken_evenly(24, 100);
        (0..33).for_each(|_| {
            day.take(NOW, 1);
            day.note_newcomer(1, NOW);
        });
        assert_eq!([day.asked(NOW, 1), day.said(NOW, NOW)], [5, 6].map(Step::new));
        let calm = taken_evenly(25, 80);
        assert_eq!(calm.said(NOW, NOW), calm.asked(NOW, 1));
        let mut full = taken_evenly(25, 100);
        assert_eq!([full.said(NOW, NOW), full.asked(NOW, 1)], [Step::MAX; 2]);
        full.free(hour(1), 1);
        assert_eq!(full.asked(NOW, 1), Step::new(6));
    }

    #[derive(Clone, Debug)]
    enum Move {
        Take(u64, u8),
        Free(usize),
        Look(u64),
    }

    fn any_move() -> impl Strategy<Value = Move> {
        prop_oneof![
            4 => (0_u64..30, 1_u8..=32).prop_map(|(hour, blocks)| Move::Take(hour, blocks)),
            2 => any::<usize>().prop_map(Move::Free),
            1 => (0_u64..20).prop_map(Move::Look),
        ]
    }

    proptest! {
        #[test]
        fn the_books_are_those_of_what_is_held_and_what_is_said_is_never_less_than_what_is_asked(
            moves in prop::collection::vec(any_move(), 1..300), places in 1_usize..4_000,
        ) {
            let mut book = Occupancy::new(Share::Week, places);
            let mut held: Vec<(UnixSeconds, u8)> = Vec::new();
            for step in moves {
                match step {
                    Move::Take(hours, blocks) if book.room().fits(blocks) => {
                        book.take(hour(hours), blocks);
                        book.note_newcomer(blocks, NOW);
                        held.push((hour(hours), blocks));
                    }
                    Move::Free(at) if !held.is_empty() => {
                        let (made, blocks) = held.swap_remove(at % held.len());
                        book.free(made, blocks);
                    }
                    Move::Look(minutes) => {
                        let now = UnixSeconds(NOW.0 + 60 * minutes);
                        prop_assert!(book.said(NOW, now) >= book.asked(NOW, 1));
                        prop_assert!(book.asked(NOW, 1) >= book.room().step(1));
                    }
                    Move::Take(..) | Move::Free(_) => {}
                }
                let used: usize = held.iter().map(|(_, blocks)| usize::from(*blocks)).sum();
                prop_assert_eq!(book.room(), Room { used, places });
                prop_assert_eq!(book.hours.values().sum::<usize>(), used);
                prop_assert!(book.hours.values().all(|taken| *taken > 0));
                prop_assert!(book.newcomers.len() as u64 <= MEASURED);
            }
        }
    }
}
