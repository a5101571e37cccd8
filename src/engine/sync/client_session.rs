//! Our session with a neighbour we catch up with: it asks, we compare; it sends, we look.

use super::set::Set;
use super::sketch::{self, CELL, Cell, Hash};
use super::wire::{MAX_SKETCH, Malformed, Query, Request};
use super::{MAX_REQUESTS, MAX_ROUNDS};
use crate::engine::envelope::{Acceptance, ValidationError};
use crate::engine::secret::opaque_debug;

/// Comparisons and cells sent in one session, in bytes: 32,000 ids. A holder can make us list what it lists
/// itself, and no more than this.
pub const MAX_SENT: usize = 1 << 20;

/// Envelopes in one session that we held already, or had no room for. What the flood brings us
/// while a session runs is sent twice: minutes of a busy network. A guess.
pub const MAX_USELESS: u32 = 1_024;

/// Envelopes in one session that were expired or early: the holder's clock may be wrong, or ours.
/// A guess.
pub const MAX_OFF_TIME: u32 = 256;

/// The fewest cells to begin with: for one difference they cost less than ranges of 10,000.
const MIN_CELLS: usize = 32;

/// An id listed by both, in bytes: what comparing by ranges costs at worst for each of the holder's.
const LISTED: usize = 64;

/// A session with one holder.
pub struct Opener {
    had: Set,
    sketching: Option<Sketching>,
    expected: Expected,
    rounds: u32,
    requests: u32,
    sent: usize,
    received: usize,
    useless: u32,
    off_time: u32,
    fetched: u32,
}

opaque_debug!(struct Opener {
    had, sketching, expected, rounds, requests, sent, received, useless, off_time, fetched,
});

/// Cells on their way to a holder.
struct Sketching {
    /// All there can be.
    cells: Vec<Cell>,
    /// So many were sent.
    sent: usize,
    /// So many are sent before the holder's word counts.
    goal: usize,
    /// The query that is answered if cells do not tell.
    query: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// What comes after [`Request::Begin`].
    First,
    Any,
}

/// What became of an envelope we were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// We hold it.
    Fetched,
    /// We do not, for this reason.
    Refused(ValidationError),
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// There is nothing more, or not for us.
    Done,
    /// There may be more, another time.
    More,
    /// The holder broke the rules.
    Blame,
}

impl From<Malformed> for Stop {
    fn from(Malformed: Malformed) -> Self {
        Self::Blame
    }
}

impl Opener {
    /// A session of a node that needs nothing of what is in `had`. Its first request is
    /// [`Request::Begin`].
    #[must_use]
    pub const fn new(had: Set) -> Self {
        Self {
            had,
            sketching: None,
            expected: Expected::First,
            rounds: 0,
            requests: 1,
            sent: 1,
            received: 0,
            useless: 0,
            off_time: 0,
            fetched: 0,
        }
    }

    /// Envelopes fetched in this session.
    #[must_use]
    pub const fn fetched(&self) -> u32 {
        self.fetched
    }

    /// What the session cost both ways, in bytes.
    #[must_use]
    pub const fn cost(&self) -> usize {
        self.sent + self.received
    }

    /// Notes the size of a response.
    pub const fn receive(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes);
    }

    /// Whether this response is the one to the first request.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.expected == Expected::First
    }

    /// The request that answers a query: by cells, if it is the first and they cost less than ranges
    /// may.
    ///
    /// # Errors
    /// Why the session ends instead.
    pub fn answer(&mut self, query: Query<'_>) -> Result<Vec<u8>, Stop> {
        if self.is_first() {
            self.sketching = Sketching::plan(&self.had, query)?;
            if self.sketching.is_some() {
                return self.further();
            }
        }
        self.sketching = None;
        self.answer_by_ranges(query.comparison)
    }

    /// The request for which a holder could not read all from the cells it has.
    ///
    /// # Errors
    /// Why the session ends instead.
    pub fn further(&mut self) -> Result<Vec<u8>, Stop> {
        let mut sketching = self.sketching.take().ok_or(Stop::Blame)?;
        let Some(cells) = sketching.next() else {
            return self.answer_by_ranges(&sketching.query);
        };
        self.sketching = Some(sketching);
        self.round()?;
        self.request(Request::Sketch(&cells))
    }

    fn answer_by_ranges(&mut self, query: &[u8]) -> Result<Vec<u8>, Stop> {
        self.round()?;
        let answer = self.had.answer(query)?;
        self.request(Request::Answer(&answer))
    }

    const fn round(&mut self) -> Result<(), Stop> {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS { Err(Stop::More) } else { Ok(()) }
    }

    /// Notes that envelopes were sent.
    ///
    /// # Errors
    /// [`Stop::Blame`] if the holder cannot know yet what we lack.
    pub fn take(&mut self) -> Result<(), Stop> {
        match self.expected {
            Expected::First => Err(Stop::Blame),
            Expected::Any => Ok(()),
        }
    }

    /// Notes what became of one of the envelopes.
    ///
    /// # Errors
    /// Why the session ends.
    pub fn count(&mut self, missed: Missed) -> Result<(), Stop> {
        match missed {
            Missed::Fetched => self.fetched = self.fetched.saturating_add(1),
            Missed::Refused(ValidationError::Expired | ValidationError::TooFarInFuture) => {
                self.off_time += 1;
                if self.off_time > MAX_OFF_TIME {
                    return Err(Stop::Done);
                }
            }
            Missed::Refused(refusal) => {
                if refusal.acceptance() == Acceptance::Reject {
                    return Err(Stop::Blame);
                }
                self.useless += 1;
                if self.useless > MAX_USELESS {
                    return Err(Stop::Done);
                }
            }
        }
        Ok(())
    }

    /// The request for what comes next.
    ///
    /// # Errors
    /// Why the session ends instead.
    pub fn more(&mut self) -> Result<Vec<u8>, Stop> {
        self.sketching = None;
        self.request(Request::More)
    }

    fn request(&mut self, request: Request<'_>) -> Result<Vec<u8>, Stop> {
        let bytes = request.encode();
        self.requests += 1;
        self.sent = self.sent.saturating_add(bytes.len());
        if self.requests > MAX_REQUESTS || self.sent > MAX_SENT {
            return Err(Stop::More);
        }
        self.expected = Expected::Any;
        Ok(bytes)
    }
}

impl Sketching {
    /// Cells for what two sets seem to differ in, unless ranges cannot cost more than the first of
    /// them.
    fn plan(had: &Set, query: Query<'_>) -> Result<Option<Self>, Malformed> {
        let count = usize::try_from(query.count).map_err(|_| Malformed)?;
        let gap = had.gap(query.comparison, count)?;
        let most = sketch::most_cells(count);
        // 1.35 for each of many, more for each of few.
        let goal = (gap.least.saturating_mul(7) / 5).max(MIN_CELLS);
        if goal > most || gap.mixed.saturating_mul(LISTED) <= goal * CELL {
            return Ok(None);
        }
        let hash = Hash::new(query.salt);
        let cells = hash.cells(had.ids().map(|id| hash.short(&id)), most);
        Ok(Some(Self { cells, sent: 0, goal, query: query.comparison.to_vec() }))
    }

    /// What to send next: until the goal, then a quarter more each time.
    fn next(&mut self) -> Option<Vec<u8>> {
        if self.sent == self.goal {
            self.goal = (self.goal + (self.goal / 4).max(MIN_CELLS / 2)).min(self.cells.len());
        }
        let end = self.goal.min(self.sent + MAX_SKETCH / CELL);
        let cells = self.cells.get(self.sent..end).filter(|cells| !cells.is_empty())?;
        self.sent = end;
        Some(sketch::write(cells))
    }
}
