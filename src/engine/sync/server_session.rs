//! One neighbour that catches up with us: asks what it lacks, then gets it, then is asked again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::sketch::{self, Cell, Salt};
use super::snapshot::Told;
use super::wire::{CHUNK, LENGTH, Malformed};
use super::{MAX_REQUESTS, MAX_ROUNDS};
use crate::engine::envelope::EnvelopeId;
use crate::engine::secret::opaque_debug;

/// Envelopes found in one session to be sent: of the one size, 16 MiB, what a neighbour is sent in
/// a minute. What is found beyond them the next session finds again.
pub const MAX_QUEUED: usize = 8_192;

/// A session with one opener.
pub struct Holder {
    /// What we held when it began: one set for all sessions that begin within a while.
    told: Arc<Told>,
    /// The cells the opener sent.
    cells: Vec<Cell>,
    /// What the opener lacks and is still to be sent.
    queue: VecDeque<EnvelopeId>,
    /// What comes after the queue.
    next: Next,
    expected: Expected,
    rounds: u32,
    requests: u32,
}

/// What to do next for an opener.
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask it to compare this.
    Query {
        /// Under which it would make cells.
        salt: Salt,
        /// How many envelopes our set has.
        count: u32,
        /// Our set by ranges.
        comparison: Vec<u8>,
    },
    /// Ask it for further cells, or its answer.
    Further,
    /// Send it these; at least one, at most a chunk.
    Envelopes(Vec<EnvelopeId>),
    /// Tell it that there is nothing more.
    Done,
    /// Tell it to come back.
    Busy,
}

enum Next {
    Query(Vec<u8>),
    Further,
    Done,
    /// More was found than is sent in one session.
    Busy,
}

opaque_debug!(struct Holder { told, cells, queue, next, expected, rounds, requests });

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// An answer to the first query, or cells.
    First,
    Answer,
    More,
    Nothing,
}

impl Holder {
    /// An opener begins. The first step is [`Self::step`]'s.
    ///
    /// # Errors
    /// Never; the type is the comparison's.
    pub fn begin(told: Arc<Told>) -> Result<Self, Malformed> {
        let set = told.set();
        let next = if set.is_empty() { Next::Done } else { Next::Query(set.query()?) };
        let (cells, queue, expected) = (Vec::new(), VecDeque::new(), Expected::Nothing);
        Ok(Self { told, cells, queue, next, expected, rounds: 0, requests: 1 })
    }

    /// The opener answers a query.
    ///
    /// # Errors
    /// [`Malformed`] if none was asked or it is no answer.
    pub fn answer(&mut self, answer: &[u8]) -> Result<(), Malformed> {
        self.request(&[Expected::First, Expected::Answer])?;
        self.cells = Vec::new();
        let (lacking, next) = self.told.set().lacking(answer)?;
        self.send(lacking, next.map_or(Next::Done, Next::Query));
        Ok(())
    }

    /// The opener sends its next cells.
    ///
    /// # Errors
    /// [`Malformed`] if it has answered a query, or these are no cells, or too many.
    pub fn sketch(&mut self, cells: &[u8]) -> Result<(), Malformed> {
        self.request(&[Expected::First])?;
        self.cells.extend(sketch::read(cells)?);
        if self.cells.len() > sketch::most_cells(self.told.set().len()) {
            return Err(Malformed);
        }
        match self.told.lacking(&self.cells) {
            Some(lacking) => {
                self.cells = Vec::new();
                self.send(lacking, Next::Done);
            }
            None => self.next = Next::Further,
        }
        Ok(())
    }

    /// Sends what was found, and then does `next`.
    fn send(&mut self, lacking: Vec<EnvelopeId>, next: Next) {
        let cut = lacking.len() > MAX_QUEUED;
        self.queue = lacking.into_iter().take(MAX_QUEUED).collect();
        self.next = if cut { Next::Busy } else { next };
    }

    /// The opener wants more.
    ///
    /// # Errors
    /// [`Malformed`] if it was not sent any.
    pub fn more(&mut self) -> Result<(), Malformed> {
        self.request(&[Expected::More])
    }

    fn request(&mut self, among: &[Expected]) -> Result<(), Malformed> {
        if !among.contains(&self.expected) {
            return Err(Malformed);
        }
        self.requests += 1;
        self.expected = Expected::Nothing;
        Ok(())
    }

    /// What to do next. `size` answers how large an envelope is, in bytes, and nothing for those
    /// that are not held any more. After [`Step::Done`] and [`Step::Busy`] the session is over.
    pub fn step(&mut self, size: impl Fn(&EnvelopeId) -> Option<usize>) -> Step {
        if self.requests > MAX_REQUESTS {
            return Step::Busy;
        }
        let chunk = self.chunk(size);
        if !chunk.is_empty() {
            self.expected = Expected::More;
            return Step::Envelopes(chunk);
        }
        match core::mem::replace(&mut self.next, Next::Done) {
            Next::Query(_) | Next::Further if self.rounds == MAX_ROUNDS => Step::Busy,
            Next::Query(comparison) => {
                self.expected = if self.rounds == 0 { Expected::First } else { Expected::Answer };
                self.rounds += 1;
                Step::Query { salt: self.told.salt(), count: self.told.count(), comparison }
            }
            Next::Further => {
                self.expected = Expected::First;
                self.rounds += 1;
                Step::Further
            }
            Next::Done => Step::Done,
            Next::Busy => Step::Busy,
        }
    }

    /// Takes from the queue what fits one response.
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

impl core::fmt::Debug for Step {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Query { .. } => "Step::Query",
            Self::Further => "Step::Further",
            Self::Envelopes(_) => "Step::Envelopes",
            Self::Done => "Step::Done",
            Self::Busy => "Step::Busy",
        })
    }
}
