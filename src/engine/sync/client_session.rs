//! Our session with a neighbour we catch up with: it asks, we compare; it sends, we look.

use super::malformed::MalformedSyncMessage;
use super::set::EnvelopeSet;
use super::sketch::{self, CELL, SketchCell, SketchHash};
use super::wire::{MAX_SKETCH, SyncQuery, SyncRequest};
use super::{MAX_REQUESTS, MAX_ROUNDS};
use crate::engine::envelope::{Acceptance, ValidationError};
use crate::engine::secret::opaque_debug;

/// Comparisons and cells sent in one session, in bytes: 32,000 ids. A server can make us list what
/// it lists itself, and no more than this.
pub const MAX_SENT: usize = 1 << 20;

/// Envelopes in one session that we held already, or had no room for. What the flood brings us
/// while a session runs is sent twice: minutes of a busy network. A guess.
pub const MAX_USELESS: u32 = 1_024;

/// Envelopes in one session that were expired or early: the server's clock may be wrong, or ours.
/// A guess.
pub const MAX_OFF_TIME: u32 = 256;

/// The fewest cells to begin with: for one difference they cost less than ranges of 10,000.
const MIN_CELLS: usize = 32;

/// An id listed by both, in bytes: what comparing by ranges costs at worst for each of the server's.
const LISTED: usize = 64;

/// A session with one server.
pub struct ClientSession {
    known: EnvelopeSet,
    transfer: Option<SketchTransfer>,
    expected: ExpectedResponse,
    rounds: u32,
    requests: u32,
    sent: usize,
    received: usize,
    useless: u32,
    off_time: u32,
    fetched: u32,
}

opaque_debug!(struct ClientSession {
    known, transfer, expected, rounds, requests, sent, received, useless, off_time, fetched,
});

/// Cells on their way to a server.
struct SketchTransfer {
    /// All there can be.
    cells: Vec<SketchCell>,
    /// So many were sent.
    sent: usize,
    /// So many are sent before the server's word counts.
    goal: usize,
    /// The query that is answered if cells do not tell.
    query: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExpectedResponse {
    /// What comes after [`SyncRequest::Begin`].
    First,
    Any,
}

/// What became of an envelope we were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchResult {
    /// We hold it.
    Fetched,
    /// We do not, for this reason.
    Rejected(ValidationError),
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// There is nothing more, or not for us.
    Done,
    /// There may be more, another time.
    More,
    /// The server broke the rules.
    Violation,
}

impl From<MalformedSyncMessage> for SessionEnd {
    fn from(MalformedSyncMessage: MalformedSyncMessage) -> Self {
        Self::Violation
    }
}

impl ClientSession {
    /// A session of a node that needs nothing of what is in `known`. Its first request is
    /// [`SyncRequest::Begin`].
    #[must_use]
    pub const fn new(known: EnvelopeSet) -> Self {
        Self {
            known,
            transfer: None,
            expected: ExpectedResponse::First,
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
    pub const fn add_received(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes);
    }

    /// Whether this response is the one to the first request.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.expected == ExpectedResponse::First
    }

    /// The request that answers a query: by cells, if it is the first and they cost less than ranges
    /// may.
    ///
    /// # Errors
    /// Why the session ends instead.
    pub fn answer(&mut self, query: SyncQuery<'_>) -> Result<Vec<u8>, SessionEnd> {
        if self.is_first() {
            self.transfer = SketchTransfer::plan(&self.known, query)?;
            if self.transfer.is_some() {
                return self.more_cells();
            }
        }
        self.transfer = None;
        self.answer_by_ranges(query.comparison)
    }

    /// The request for which a server could not read all from the cells it has.
    ///
    /// # Errors
    /// Why the session ends instead.
    pub fn more_cells(&mut self) -> Result<Vec<u8>, SessionEnd> {
        let mut transfer = self.transfer.take().ok_or(SessionEnd::Violation)?;
        let Some(cells) = transfer.next() else {
            return self.answer_by_ranges(&transfer.query);
        };
        self.transfer = Some(transfer);
        self.round()?;
        self.request(SyncRequest::Sketch(&cells))
    }

    fn answer_by_ranges(&mut self, query: &[u8]) -> Result<Vec<u8>, SessionEnd> {
        self.round()?;
        let answer = self.known.answer(query)?;
        self.request(SyncRequest::Answer(&answer))
    }

    const fn round(&mut self) -> Result<(), SessionEnd> {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS { Err(SessionEnd::More) } else { Ok(()) }
    }

    /// Notes that envelopes were sent.
    ///
    /// # Errors
    /// [`SessionEnd::Violation`] if the server cannot know yet what we lack.
    pub fn accept_envelopes(&mut self) -> Result<(), SessionEnd> {
        match self.expected {
            ExpectedResponse::First => Err(SessionEnd::Violation),
            ExpectedResponse::Any => Ok(()),
        }
    }

    /// Notes what became of one of the envelopes.
    ///
    /// # Errors
    /// Why the session ends.
    pub fn record(&mut self, result: FetchResult) -> Result<(), SessionEnd> {
        match result {
            FetchResult::Fetched => self.fetched = self.fetched.saturating_add(1),
            FetchResult::Rejected(ValidationError::Expired | ValidationError::TooFarInFuture) => {
                self.off_time += 1;
                if self.off_time > MAX_OFF_TIME {
                    return Err(SessionEnd::Done);
                }
            }
            FetchResult::Rejected(refusal) => {
                if refusal.acceptance() == Acceptance::Reject {
                    return Err(SessionEnd::Violation);
                }
                self.useless += 1;
                if self.useless > MAX_USELESS {
                    return Err(SessionEnd::Done);
                }
            }
        }
        Ok(())
    }

    /// The request for what comes next.
    ///
    /// # Errors
    /// Why the session ends instead.
    pub fn more(&mut self) -> Result<Vec<u8>, SessionEnd> {
        self.transfer = None;
        self.request(SyncRequest::More)
    }

    fn request(&mut self, request: SyncRequest<'_>) -> Result<Vec<u8>, SessionEnd> {
        let bytes = request.encode();
        self.requests += 1;
        self.sent = self.sent.saturating_add(bytes.len());
        if self.requests > MAX_REQUESTS || self.sent > MAX_SENT {
            return Err(SessionEnd::More);
        }
        self.expected = ExpectedResponse::Any;
        Ok(bytes)
    }
}

impl SketchTransfer {
    /// Cells for what two sets seem to differ in, unless ranges cannot cost more than the first of
    /// them.
    fn plan(
        known: &EnvelopeSet,
        query: SyncQuery<'_>,
    ) -> Result<Option<Self>, MalformedSyncMessage> {
        let count = usize::try_from(query.count).map_err(|_| MalformedSyncMessage)?;
        let difference = known.difference(query.comparison, count)?;
        let most = sketch::most_cells(count);
        // 1.35 for each of many, more for each of few.
        let goal = (difference.least.saturating_mul(7) / 5).max(MIN_CELLS);
        if goal > most || difference.mixed.saturating_mul(LISTED) <= goal * CELL {
            return Ok(None);
        }
        let hash = SketchHash::new(query.salt);
        let cells = hash.cells(known.ids().map(|id| hash.short(&id)), most);
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
