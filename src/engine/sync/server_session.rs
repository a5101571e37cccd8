//! The server's side of one sync session: it queries the client, finds what the client lacks, and
//! sends it (`proto/sync.md`, "Requests").

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::malformed::MalformedSyncMessage;
use super::sketch::{self, SketchCell, SketchSalt};
use super::snapshot::Snapshot;
use super::wire::{CHUNK, LENGTH};
use super::{MAX_REQUESTS, MAX_ROUNDS};
use crate::engine::envelope::EnvelopeId;
use crate::engine::secret::opaque_debug;

/// Envelopes sent in one session: of the one size, 16 MiB, the budget of a neighbour for a minute.
/// The next session finds the rest again.
pub const MAX_QUEUED: usize = 8_192;

/// Reading a cell takes as long as looking at so many envelopes, at most: each has some 15 places under
/// it.
const EACH_CELL: usize = 16;

/// A session with one client.
pub struct ServerSession {
    /// The set we compare by: one for all sessions that begin within a while. None once there is
    /// nothing more to compare: a client that takes its time with what it lacks holds no set.
    snapshot: Option<Arc<Snapshot>>,
    /// The cells the client sent.
    cells: Vec<SketchCell>,
    /// Envelopes that the client lacks, still to be sent.
    queue: VecDeque<EnvelopeId>,
    /// The step after the queue.
    next: AfterQueue,
    expected: ExpectedRequest,
    rounds: u32,
    requests: u32,
    /// What was looked at since it was asked for that.
    looked_at: usize,
}

/// The next step of a session.
#[derive(Clone, PartialEq, Eq)]
pub enum ServerStep {
    /// Ask it to compare this.
    Query {
        /// The salt for the client's cells.
        salt: SketchSalt,
        /// How many envelopes our set has.
        count: u32,
        /// Our set by ranges.
        comparison: Vec<u8>,
    },
    /// Ask it for further cells, or its answer.
    MoreCells,
    /// Send it these; at least one, at most a chunk.
    Envelopes(Vec<EnvelopeId>),
    /// There is nothing more for it.
    Done,
    /// It may come back another time.
    Busy,
}

enum AfterQueue {
    Query(Vec<u8>),
    MoreCells,
    Done,
    /// The client lacks more than is sent in one session.
    Busy,
}

opaque_debug!(struct ServerSession { snapshot, cells, queue, next, expected, rounds, requests, looked_at });

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExpectedRequest {
    /// An answer to the first query, or cells.
    First,
    Answer,
    More,
    Nothing,
}

impl ServerSession {
    /// A client begins. The first step is [`Self::step`]'s.
    ///
    /// # Errors
    /// Never; the type is the comparison's.
    pub fn begin(snapshot: Arc<Snapshot>) -> Result<Self, MalformedSyncMessage> {
        let next = match snapshot.set().is_empty() {
            true => AfterQueue::Done,
            false => AfterQueue::Query(snapshot.query()?),
        };
        let (cells, queue, expected) = (Vec::new(), VecDeque::new(), ExpectedRequest::Nothing);
        let (snapshot, rounds, requests, looked_at) = (Some(snapshot), 0, 1, 0);
        Ok(Self { snapshot, cells, queue, next, expected, rounds, requests, looked_at })
    }

    /// Whether it has something to compare with this set still.
    #[must_use]
    pub fn compares_with(&self, set: &Weak<Snapshot>) -> bool {
        self.snapshot.as_ref().is_some_and(|own| core::ptr::eq(Arc::as_ptr(own), set.as_ptr()))
    }

    /// How much the client has made us look at since this was called last: envelopes of our set, once or
    /// twice each.
    pub(super) const fn looked_at(&mut self) -> usize {
        core::mem::replace(&mut self.looked_at, 0)
    }

    fn snapshot(&self) -> Result<&Snapshot, MalformedSyncMessage> {
        // Whoever answers what was not asked has been refused before.
        self.snapshot.as_deref().ok_or(MalformedSyncMessage)
    }

    /// Takes the client's answer to a query.
    ///
    /// # Errors
    /// [`MalformedSyncMessage`] if none was asked or it is no answer.
    pub fn answer(&mut self, answer: &[u8]) -> Result<(), MalformedSyncMessage> {
        self.request(&[ExpectedRequest::First, ExpectedRequest::Answer])?;
        self.cells = Vec::new();
        self.looked_at += self.snapshot()?.set().looked_at(answer)?;
        let (lacking, next) = self.snapshot()?.set().lacking(answer)?;
        self.send(lacking, next.map_or(AfterQueue::Done, AfterQueue::Query));
        Ok(())
    }

    /// Takes the client's next cells.
    ///
    /// # Errors
    /// [`MalformedSyncMessage`] if it has answered a query, or these are no cells, or too many.
    pub fn sketch(&mut self, cells: &[u8]) -> Result<(), MalformedSyncMessage> {
        self.request(&[ExpectedRequest::First])?;
        self.cells.extend(sketch::read(cells)?);
        // More cost the client more bytes than listing its ids, so an honest one answers by ranges.
        if self.cells.len() > sketch::most_cells(self.snapshot()?.set().len()) {
            return Err(MalformedSyncMessage);
        }
        self.looked_at += self.cells.len() * EACH_CELL;
        match self.snapshot()?.lacking(&self.cells) {
            Some(lacking) => {
                self.cells = Vec::new();
                self.send(lacking, AfterQueue::Done);
            }
            // Nothing read so far is used: parts of a sketch that does not come out may be wrong.
            None => self.next = AfterQueue::MoreCells,
        }
        Ok(())
    }

    /// Queues these envelopes for sending, and `next` after them.
    fn send(&mut self, lacking: Vec<EnvelopeId>, next: AfterQueue) {
        let cut = lacking.len() > MAX_QUEUED;
        self.queue = lacking.into_iter().take(MAX_QUEUED).collect();
        self.next = if cut { AfterQueue::Busy } else { next };
        match self.next {
            AfterQueue::Query(_) | AfterQueue::MoreCells => {}
            AfterQueue::Done | AfterQueue::Busy => self.snapshot = None,
        }
    }

    /// Takes the client's request for more envelopes.
    ///
    /// # Errors
    /// [`MalformedSyncMessage`] if it was not sent any.
    pub fn more(&mut self) -> Result<(), MalformedSyncMessage> {
        self.request(&[ExpectedRequest::More])
    }

    fn request(&mut self, among: &[ExpectedRequest]) -> Result<(), MalformedSyncMessage> {
        // The order of requests is part of the protocol: a client that breaks it cannot make us
        // compare out of turn.
        if !among.contains(&self.expected) {
            return Err(MalformedSyncMessage);
        }
        self.requests += 1;
        self.expected = ExpectedRequest::Nothing;
        Ok(())
    }

    /// The next step. `size` gives the size of an envelope in bytes, and `None` for those not held
    /// any more. After [`ServerStep::Done`] and [`ServerStep::Busy`] the session is over.
    pub fn step(&mut self, size: impl Fn(&EnvelopeId) -> Option<usize>) -> ServerStep {
        // An honest client counts alike and ends the session itself.
        if self.requests > MAX_REQUESTS {
            return ServerStep::Busy;
        }
        let chunk = self.chunk(size);
        if !chunk.is_empty() {
            self.expected = ExpectedRequest::More;
            return ServerStep::Envelopes(chunk);
        }
        match core::mem::replace(&mut self.next, AfterQueue::Done) {
            AfterQueue::Query(_) | AfterQueue::MoreCells if self.rounds == MAX_ROUNDS => {
                ServerStep::Busy
            }
            AfterQueue::Query(comparison) => {
                let Some(snapshot) = &self.snapshot else { return ServerStep::Done };
                self.expected =
                    if self.rounds == 0 { ExpectedRequest::First } else { ExpectedRequest::Answer };
                self.rounds += 1;
                ServerStep::Query { salt: snapshot.salt(), count: snapshot.count(), comparison }
            }
            AfterQueue::MoreCells => {
                self.expected = ExpectedRequest::First;
                self.rounds += 1;
                ServerStep::MoreCells
            }
            AfterQueue::Done => ServerStep::Done,
            AfterQueue::Busy => ServerStep::Busy,
        }
    }

    /// Takes as many envelopes from the queue as fit one response. Those that expired or were
    /// evicted since the comparison are left out.
    fn chunk(&mut self, size: impl Fn(&EnvelopeId) -> Option<usize>) -> Vec<EnvelopeId> {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while let Some(id) = self.queue.front() {
            if let Some(size) = size(id) {
                bytes += LENGTH + size;
                if bytes > CHUNK {
                    break;
                }
                chunk.push(*id);
            }
            self.queue.pop_front();
        }
        chunk
    }
}

impl core::fmt::Debug for ServerStep {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Query { .. } => "ServerStep::Query",
            Self::MoreCells => "ServerStep::MoreCells",
            Self::Envelopes(_) => "ServerStep::Envelopes",
            Self::Done => "ServerStep::Done",
            Self::Busy => "ServerStep::Busy",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_ids::id;
    use super::super::wire::{SyncQuery, SyncRequest};
    use super::super::{ClientSession, EnvelopeSet};
    use super::*;
    use crate::engine::env::UnixSeconds;
    use crate::engine::testing::mutate::{Reading, each_case};

    fn set(numbers: impl Iterator<Item = u64>) -> EnvelopeSet {
        EnvelopeSet::new(numbers.map(|number| (UnixSeconds(number / 40 * 3_600), id(number))))
    }

    /// Goes on until it waits for something else than to be asked for more; how much it sent.
    fn run(session: &mut ServerSession) -> usize {
        let mut sent = 0;
        while let ServerStep::Envelopes(chunk) = session.step(|_| Some(2_048)) {
            assert!(!chunk.is_empty() && chunk.len() * (LENGTH + 2_048) <= CHUNK);
            sent += chunk.len();
            session.more().unwrap();
        }
        sent
    }

    #[test]
    fn a_session_with_nothing_more_to_compare_holds_no_set_while_it_sends() {
        let snapshot = Arc::new(Snapshot::new(set(0..400), SketchSalt([9; 8])));
        let mut session = ServerSession::begin(Arc::clone(&snapshot)).unwrap();
        let ServerStep::Query { salt, count, comparison } = session.step(|_| Some(2_048)) else {
            panic!("a query");
        };
        assert!(session.compares_with(&Arc::downgrade(&snapshot)));
        let query = SyncQuery { salt, count, comparison: &comparison };
        let answer = ClientSession::new(set(0..390)).answer(query).unwrap();
        let Ok(SyncRequest::Sketch(cells)) = SyncRequest::decode(&answer) else { panic!("cells") };
        session.sketch(cells).unwrap();
        assert_eq!(Arc::strong_count(&snapshot), 1);
        assert_eq!(run(&mut session), 10);
    }

    #[test]
    fn what_an_answer_makes_us_look_at_is_counted_also_if_it_is_wrong() {
        let snapshot = Arc::new(Snapshot::new(set(0..400), SketchSalt([9; 8])));
        let looked_at = |answer: &[u8]| {
            let mut session = ServerSession::begin(Arc::clone(&snapshot)).unwrap();
            session.step(|_| Some(2_048));
            _ = session.answer(answer).is_ok();
            session.looked_at()
        };
        // The whole as one range, with a fingerprint that is wrong; and nothing at all.
        let wrong = [&[0x61, 0, 0, 1][..], &[7; 16]].concat();
        assert_eq!(looked_at(&wrong), 1 + 400);
        assert_eq!(looked_at(&[0x61]), 0);
        let own = snapshot.set().answer(&snapshot.query().unwrap()).unwrap();
        assert!(looked_at(&own) < 2, "nobody pays for what is alike");
        let none = set(0..0).answer(&snapshot.query().unwrap()).unwrap();
        assert!((400..500).contains(&looked_at(&none)), "{}", looked_at(&none));
    }

    #[test]
    fn changed_at_random_an_answer_gets_what_is_there_once_or_nothing() {
        let snapshot = Arc::new(Snapshot::new(set(0..400), SketchSalt([9; 8])));
        let begun = || {
            let mut session = ServerSession::begin(Arc::clone(&snapshot)).unwrap();
            let step = session.step(|_| Some(2_048));
            (session, step)
        };
        let (_, ServerStep::Query { salt, count, comparison }) = begun() else { panic!("a query") };
        let query = SyncQuery { salt, count, comparison: &comparison };
        // One that lacks little sends cells, one that lacks much answers by ranges.
        let seeds = [(0..390), (0..20), (0..0)]
            .map(|held| ClientSession::new(set(held)).answer(query).unwrap());
        let kinds = seeds.each_ref().map(|seed| matches!(seed.as_slice(), [3, ..]));
        assert_eq!(kinds, [true, false, false]);
        each_case(&seeds, |bytes| {
            let (mut session, _) = begun();
            let mut ask = || match SyncRequest::decode(bytes) {
                Ok(SyncRequest::Answer(answer)) => {
                    session.answer(answer).map(|()| run(&mut session))
                }
                Ok(SyncRequest::Sketch(cells)) => session.sketch(cells).map(|()| run(&mut session)),
                Ok(SyncRequest::More) => session.more().map(|()| 0),
                Ok(SyncRequest::Begin | SyncRequest::Steps) | Err(_) => Err(MalformedSyncMessage),
            };
            let first = ask();
            assert!(first.is_err() || first.is_ok_and(|sent| sent <= 400));
            // A second one is an answer to the next query, or out of turn.
            _ = ask().is_ok();
            Reading::of(first)
        });
    }
}
