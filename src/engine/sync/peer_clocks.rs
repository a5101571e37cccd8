//! Clock comparison: the difference between our clock and those of neighbours, by the responses of
//! servers.
//!
//! A figure for a person and nothing else: neighbours could lie together, so no clock is set by it.

use std::collections::BTreeMap;

use super::ClockSkew;
use crate::engine::env::{Env, Millis};
use crate::engine::id::NeighbourId;
use crate::engine::sync::wire::minutes;

/// A report counts for 6 hours: a clock that is wrong is set right within a day.
const KEPT: Millis = Millis::from_secs(6 * 3600);

/// Reports kept; more than a node has neighbours. A guess.
const MAX_REPORTS: usize = 32;

/// The last report of each neighbour.
#[derive(Debug, Default)]
pub(super) struct PeerClocks {
    reports: BTreeMap<NeighbourId, ClockReport>,
}

#[derive(Clone, Copy, Debug)]
struct ClockReport {
    at: Millis,
    /// Whole minutes our clock was ahead of theirs.
    ahead: i64,
}

impl PeerClocks {
    /// Takes a neighbour's report of its clock, in minutes since 1970, in place of its last.
    pub(super) fn report(&mut self, env: &Env<'_>, from: NeighbourId, theirs: u32) {
        let ahead = i64::from(minutes(env.wall)) - i64::from(theirs);
        self.reports.insert(from, ClockReport { at: env.mono, ahead });
        self.reports.retain(|_, report| report.at.plus(KEPT) > env.mono);
        if self.reports.len() > MAX_REPORTS {
            let oldest =
                self.reports.iter().min_by_key(|(_, report)| report.at).map(|(peer, _)| *peer);
            oldest.and_then(|peer| self.reports.remove(&peer));
        }
    }

    /// The median of the reports, and of two middle ones the smaller error; `None` without a
    /// report. Of two that differ, either may be the one that is wrong: how many there are is part
    /// of the result.
    pub(super) fn skew(&self) -> Option<ClockSkew> {
        let mut ahead: Vec<i64> = self.reports.values().map(|report| report.ahead).collect();
        ahead.sort_unstable();
        let witnesses = ahead.len();
        let middle = [witnesses.saturating_sub(1) / 2, witnesses / 2];
        let minutes =
            middle.iter().filter_map(|&at| ahead.get(at)).min_by_key(|report| report.abs());
        Some(ClockSkew { minutes: *minutes?, witnesses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::env::UnixSeconds;
    use crate::engine::testing::rng::SeededRng;

    fn heard(at: u64, witnesses: &mut PeerClocks, peer: u64, theirs: u32) {
        let mut entropy = SeededRng::new(1);
        let env = Env::new(Millis(at), UnixSeconds(6_000_000), &mut entropy);
        witnesses.report(&env, NeighbourId(peer), theirs);
    }

    fn minutes_of(witnesses: &PeerClocks) -> Option<i64> {
        witnesses.skew().map(|skew| skew.minutes)
    }

    #[test]
    fn a_neighbour_is_one_witness_however_often_it_speaks() {
        let mut witnesses = PeerClocks::default();
        assert_eq!(witnesses.skew(), None);
        heard(0, &mut witnesses, 1, 98_000);
        heard(1, &mut witnesses, 1, 99_000);
        assert_eq!(witnesses.skew(), Some(ClockSkew { minutes: 1_000, witnesses: 1 }));
    }

    #[test]
    fn a_minority_that_lies_does_not_move_the_middle() {
        let mut witnesses = PeerClocks::default();
        for (peer, theirs) in [(1, 100_000), (2, 99_999), (3, 100_001), (4, 0), (5, u32::MAX)] {
            heard(0, &mut witnesses, peer, theirs);
        }
        assert_eq!(witnesses.skew(), Some(ClockSkew { minutes: 0, witnesses: 5 }));
        let mut two = PeerClocks::default();
        heard(0, &mut two, 1, 100_000);
        heard(0, &mut two, 2, 1);
        assert_eq!(minutes_of(&two), Some(0));
    }

    #[test]
    fn a_clock_that_is_an_hour_ahead_of_all_others_shows() {
        let mut witnesses = PeerClocks::default();
        (0..4).for_each(|peer| heard(0, &mut witnesses, peer, 99_940));
        assert_eq!(witnesses.skew(), Some(ClockSkew { minutes: 60, witnesses: 4 }));
    }

    #[test]
    fn reports_that_are_old_or_too_many_are_forgotten() {
        let mut witnesses = PeerClocks::default();
        (0..1_000).for_each(|peer| heard(peer, &mut witnesses, peer, 100_000));
        assert_eq!(witnesses.reports.len(), MAX_REPORTS);
        heard(KEPT.0 + 1_000, &mut witnesses, 7_000, 100_000);
        assert_eq!(witnesses.reports.len(), 1);
    }
}
