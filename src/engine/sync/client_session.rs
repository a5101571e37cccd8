//! The client's side of one sync session: it answers the server's queries with what it knows, and
//! counts the envelopes it is sent (`proto/sync.md`, "Requests").

use super::malformed::MalformedSyncMessage;
use super::set::EnvelopeSet;
use super::sketch::{self, CELL, SketchCell, SketchHash};
use super::wire::{MAX_SKETCH, SyncQuery, SyncRequest};
use super::{MAX_REQUESTS, MAX_ROUNDS};
use crate::engine::envelope::{Acceptance, ValidationError};
use crate::engine::relay::FetchResult;
use crate::engine::secret::opaque_debug;

/// Bytes of comparisons and cells sent in one session: 32,000 ids. A server can make us list what
/// it lists itself, and no more than this.
pub const MAX_SENT: usize = 1 << 20;

/// Envelopes in one session that we held already, or had no room for. An envelope that the flood
/// brings while a session runs comes twice: minutes of a busy network. A guess.
pub const MAX_USELESS: u32 = 1_024;

/// Envelopes in one session that were expired or early: the server's clock may be wrong, or ours.
/// A guess.
pub const MAX_OFF_TIME: u32 = 256;

/// The fewest cells to begin with: for one difference they cost less than ranges of 10,000.
const MIN_CELLS: usize = 32;

/// The fewest cells to begin with when each round takes long: as many as one request has room for.
const MANY_CELLS: usize = MAX_SKETCH / CELL;

/// An id listed by both, in bytes: what comparing by ranges costs at worst for each of the
/// server's.
const LISTED: usize = 64;

/// A session with one server.
pub struct ClientSession {
    known: EnvelopeSet,
    fewest_cells: usize,
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
    known, fewest_cells, transfer, expected, rounds, requests, sent, received, useless, off_time, fetched,
});

/// Cells on their way to a server.
struct SketchTransfer {
    /// All cells that may be sent.
    cells: Vec<SketchCell>,
    /// How many were sent.
    sent: usize,
    /// How many to send before asking the server again.
    goal: usize,
    /// The query to answer by ranges if the cells are not enough.
    query: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExpectedResponse {
    /// The response to [`SyncRequest::Begin`].
    First,
    Any,
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// There is nothing more, or nothing more that we take.
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
    /// A session of a node that needs none of the envelopes in `known`. Its first request is
    /// [`SyncRequest::Begin`].
    #[must_use]
    pub const fn new(known: EnvelopeSet) -> Self {
        Self {
            known,
            fewest_cells: MIN_CELLS,
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

    /// The same with a server that is slow: it sends more at once, so that few rounds are needed.
    #[must_use]
    pub fn with_few_rounds(self) -> Self {
        Self { fewest_cells: MANY_CELLS, ..self }
    }

    /// Envelopes that this session brought and that were not listed as known.
    #[must_use]
    pub const fn fetched(&self) -> u32 {
        self.fetched
    }

    /// The cost of the session, both ways, in bytes.
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

    /// The request that answers a query: by cells, if it is the first and they cost less than
    /// ranges may.
    ///
    /// # Errors
    /// Why the session ends instead.
    pub fn answer(&mut self, query: SyncQuery<'_>) -> Result<Vec<u8>, SessionEnd> {
        if self.is_first() {
            self.transfer = SketchTransfer::plan(&self.known, query, self.fewest_cells)?;
            if self.transfer.is_some() {
                return self.more_cells();
            }
        }
        self.transfer = None;
        self.answer_by_ranges(query.comparison)
    }

    /// The request that follows when the server could not read everything from the cells it has.
    ///
    /// # Errors
    /// Why the session ends instead.
    pub fn more_cells(&mut self) -> Result<Vec<u8>, SessionEnd> {
        // It asks for more of what it never got.
        let mut transfer = self.transfer.take().ok_or(SessionEnd::Violation)?;
        let Some(cells) = transfer.next() else {
            // All cells are sent: more differs than they can tell. The first query is still open.
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
        // Each comparison reads the whole set. An honest server is done long before, or has more
        // another time.
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

    /// Notes the result of one of the envelopes.
    ///
    /// # Errors
    /// Why the session ends.
    pub fn record(&mut self, result: FetchResult) -> Result<(), SessionEnd> {
        match result {
            FetchResult::Fetched | FetchResult::Heard => {
                self.fetched = self.fetched.saturating_add(1);
            }
            FetchResult::Rejected(ValidationError::Expired | ValidationError::TooFarInFuture) => {
                // No blame: one of the two clocks is wrong, and nobody knows which.
                self.off_time += 1;
                if self.off_time > MAX_OFF_TIME {
                    return Err(SessionEnd::Done);
                }
            }
            FetchResult::Rejected(refusal) => {
                // Every honest node refuses such an envelope alike, so an honest server never held
                // it.
                if refusal.acceptance() == Acceptance::Reject {
                    return Err(SessionEnd::Violation);
                }
                // No blame: the flood may have brought it since we compared. But a server that
                // sends on and on what we have only costs us.
                self.useless += 1;
                if self.useless > MAX_USELESS {
                    return Err(SessionEnd::Done);
                }
            }
        }
        Ok(())
    }

    /// The request for the next envelopes, or the next query.
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
        // No blame: a large difference may take several sessions.
        if self.requests > MAX_REQUESTS || self.sent > MAX_SENT {
            return Err(SessionEnd::More);
        }
        self.expected = ExpectedResponse::Any;
        Ok(bytes)
    }
}

impl SketchTransfer {
    /// Cells for the difference that the first query shows, unless ranges cannot cost more than the
    /// first of them.
    fn plan(
        known: &EnvelopeSet,
        query: SyncQuery<'_>,
        fewest: usize,
    ) -> Result<Option<Self>, MalformedSyncMessage> {
        let count = usize::try_from(query.count).map_err(|_| MalformedSyncMessage)?;
        let difference = known.difference(query.comparison, count)?;
        let most = sketch::most_cells(count);
        // 1.35 cells for each of many differences, more for each of few.
        let goal = (difference.least.saturating_mul(7) / 5).max(MIN_CELLS);
        // Too different for cells; or so alike that listing the ids costs no more.
        if goal > most || difference.mixed.saturating_mul(LISTED) <= goal * CELL {
            return Ok(None);
        }
        let goal = goal.max(fewest.min(most));
        let hash = SketchHash::new(query.salt);
        let cells = hash.cells(known.ids().map(|id| hash.short(&id)), most);
        Ok(Some(Self { cells, sent: 0, goal, query: query.comparison.to_vec() }))
    }

    /// The cells to send next: up to the goal, then a quarter more each time.
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

#[cfg(test)]
mod tests {
    use super::super::test_ids::id;
    use super::super::wire::{MAX_MESSAGE, ResponseBody, SyncResponse, append_envelope, envelopes};
    use super::*;
    use crate::engine::env::UnixSeconds;
    use crate::engine::price::SaidSteps;
    use crate::engine::sync::SketchSalt;
    use crate::engine::testing::mutate::{Reading, each_case};

    fn set(numbers: impl Iterator<Item = u64>) -> EnvelopeSet {
        EnvelopeSet::new(numbers.map(|number| (UnixSeconds(number / 40 * 3_600), id(number))))
    }

    /// The request after a response, as a client makes it.
    fn next(session: &mut ClientSession, bytes: &[u8]) -> Result<Vec<u8>, SessionEnd> {
        session.add_received(bytes.len());
        match SyncResponse::decode(bytes)?.body {
            ResponseBody::Done => Err(SessionEnd::Done),
            ResponseBody::Busy => Err(SessionEnd::More),
            ResponseBody::Query(query) => session.answer(query),
            ResponseBody::MoreCells => session.more_cells(),
            ResponseBody::Envelopes(chunk) => {
                session.accept_envelopes()?;
                for envelope in envelopes(chunk) {
                    envelope?;
                    session.record(FetchResult::Fetched)?;
                }
                session.more()
            }
        }
    }

    #[test]
    fn changed_at_random_a_response_is_answered_within_the_limits_or_ends_the_session() {
        let (known, less) = (set(0..200), set(0..190));
        let comparisons = [set(0..210), set(150..600), set(0..3)].map(|set| {
            let count = u32::try_from(set.len()).unwrap();
            (count, set.query().unwrap())
        });
        let mut chunk = Vec::new();
        append_envelope(&mut chunk, &[7; 40]);
        let queries = comparisons.iter().map(|(count, comparison)| {
            let salt = SketchSalt([9; 8]);
            ResponseBody::Query(SyncQuery { salt, count: *count, comparison })
        });
        let bodies = queries.chain([ResponseBody::Envelopes(&chunk), ResponseBody::MoreCells]);
        let written = bodies
            .map(|body| SyncResponse { minutes: 1, steps: SaidSteps::default(), body }.encode());
        let seeds: Vec<Vec<u8>> = written.collect();
        each_case(&seeds, |bytes| {
            let mut session = ClientSession::new(known.clone());
            // It has asked by cells: whatever comes now is a response to that.
            let first = SyncQuery {
                salt: SketchSalt([9; 8]),
                count: 190,
                comparison: &less.query().unwrap(),
            };
            let asked = session.answer(first);
            assert!(asked.is_ok_and(|asked| matches!(asked.as_slice(), [3, ..])));
            for session in [&mut session, &mut ClientSession::new(known.clone())] {
                let request = next(session, bytes);
                assert!(request.is_err() || request.is_ok_and(|bytes| bytes.len() <= MAX_MESSAGE));
                _ = next(session, bytes).is_ok();
            }
            Reading::of(SyncResponse::decode(bytes))
        });
    }
}
