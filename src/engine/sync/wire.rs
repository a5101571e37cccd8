//! The bytes of requests and responses, both ways (`proto/sync.md`, "Requests"). A reader refuses
//! all bytes that the writer would not write, but for steps above 8: they count as 8.

use super::malformed::MalformedSyncMessage;
use super::set::MAX_COMPARISON;
use super::sketch::{CELL, SketchSalt};
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::wire::MAX_ENVELOPE_SIZE;
use crate::engine::price::SaidSteps;

/// The largest request or response, in bytes; a driver reads no more.
pub const MAX_MESSAGE: usize = 320 << 10;

/// The most envelopes in one response, in bytes with their lengths: 127 of the one size. Small
/// enough that a slow line brings it within a driver's patience, and that looking at them all takes
/// a few hundredths of a second.
pub const CHUNK: usize = 256 << 10;

/// The length before each envelope.
pub const LENGTH: usize = 4;

/// The most cells in one request, in bytes: 6,144. Within the 64 KiB a driver reads of a request.
pub const MAX_SKETCH: usize = CELL * (6 << 10);

/// Kind, clock and steps.
const HEADER: usize = 1 + 4 + SaidSteps::BYTES;

/// Salt and count.
const QUERY_HEADER: usize = 12;

/// The largest chunk, and the largest comparison, fit a message; the largest envelope fits a chunk.
const _: () = assert!(
    HEADER + CHUNK <= MAX_MESSAGE
        && HEADER + QUERY_HEADER + MAX_COMPARISON <= MAX_MESSAGE
        && MAX_SKETCH < MAX_MESSAGE
        && LENGTH + MAX_ENVELOPE_SIZE <= CHUNK
);

/// A client's request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SyncRequest<'a> {
    /// Begin a session.
    Begin,
    /// The client's side of a comparison.
    Answer(&'a [u8]),
    /// Send more envelopes, or the next query.
    More,
    /// The next cells of the client's set.
    Sketch(&'a [u8]),
    /// The steps that are asked, and nothing else: any time, in a session or outside.
    Steps,
}

/// A server's response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SyncResponse<'a> {
    /// Minutes since 1970 by the server's clock: too coarse to tell one node from another.
    pub minutes: u32,
    /// The steps of the price that the server says are asked.
    pub steps: SaidSteps,
    /// The kind of response, with its content.
    pub body: ResponseBody<'a>,
}

/// The body of a response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ResponseBody<'a> {
    /// There is nothing more.
    Done,
    /// Compare this.
    Query(SyncQuery<'a>),
    /// Envelopes, each after its length; [`envelopes`] reads them.
    Envelopes(&'a [u8]),
    /// No time: there may be more another time.
    Busy,
    /// The cells are not enough yet.
    MoreCells,
}

/// A query: the server's set, for the client to compare with its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SyncQuery<'a> {
    /// The salt of cells.
    pub salt: SketchSalt,
    /// How many envelopes the server's set has.
    pub count: u32,
    /// The set by ranges.
    pub comparison: &'a [u8],
}

impl<'a> SyncRequest<'a> {
    /// Reads a request.
    ///
    /// # Errors
    /// [`MalformedSyncMessage`] for everything [`Self::encode`] does not write.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, MalformedSyncMessage> {
        match bytes.split_first() {
            Some((0, [])) => Ok(Self::Begin),
            Some((1, answer)) if answer.len() <= MAX_COMPARISON => Ok(Self::Answer(answer)),
            Some((2, [])) => Ok(Self::More),
            Some((3, cells))
                if !cells.is_empty()
                    && cells.len() <= MAX_SKETCH
                    && cells.len().is_multiple_of(CELL) =>
            {
                Ok(Self::Sketch(cells))
            }
            Some((4, [])) => Ok(Self::Steps),
            Some(_) | None => Err(MalformedSyncMessage),
        }
    }

    /// Writes a request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Begin => vec![0],
            Self::Answer(answer) => [&[1], *answer].concat(),
            Self::More => vec![2],
            Self::Sketch(cells) => [&[3], *cells].concat(),
            Self::Steps => vec![4],
        }
    }
}

impl<'a> SyncResponse<'a> {
    /// Reads a response. Its envelopes are not looked at.
    ///
    /// # Errors
    /// [`MalformedSyncMessage`] for everything [`Self::encode`] does not write.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, MalformedSyncMessage> {
        let (kind, rest) = bytes.split_first().ok_or(MalformedSyncMessage)?;
        let (minutes, rest) = rest.split_first_chunk().ok_or(MalformedSyncMessage)?;
        let (steps, rest) = rest.split_first_chunk().ok_or(MalformedSyncMessage)?;
        let body = match (kind, rest) {
            (0, []) => ResponseBody::Done,
            (1, query) => {
                ResponseBody::Query(SyncQuery::decode(query).ok_or(MalformedSyncMessage)?)
            }
            (2, envelopes) if envelopes.len() <= CHUNK => ResponseBody::Envelopes(envelopes),
            (3, []) => ResponseBody::Busy,
            (4, []) => ResponseBody::MoreCells,
            _ => return Err(MalformedSyncMessage),
        };
        let (minutes, steps) = (u32::from_le_bytes(*minutes), SaidSteps::decode(*steps));
        Ok(Self { minutes, steps, body })
    }

    /// Writes a response.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, rest): (u8, &[u8]) = match self.body {
            ResponseBody::Done => (0, &[]),
            ResponseBody::Query(query) => (1, query.comparison),
            ResponseBody::Envelopes(envelopes) => (2, envelopes),
            ResponseBody::Busy => (3, &[]),
            ResponseBody::MoreCells => (4, &[]),
        };
        let mut bytes = Vec::with_capacity(HEADER + QUERY_HEADER + rest.len());
        bytes.push(kind);
        bytes.extend(self.minutes.to_le_bytes());
        bytes.extend(self.steps.encode());
        if let ResponseBody::Query(query) = self.body {
            bytes.extend(query.salt.0);
            bytes.extend(query.count.to_le_bytes());
        }
        bytes.extend(rest);
        bytes
    }
}

impl<'a> SyncQuery<'a> {
    fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (salt, rest) = bytes.split_first_chunk()?;
        let (count, comparison) = rest.split_first_chunk()?;
        let (salt, count) = (SketchSalt(*salt), u32::from_le_bytes(*count));
        (comparison.len() <= MAX_COMPARISON).then_some(Self { salt, count, comparison })
    }
}

/// The clock of a response: whole minutes, good until the year 10136. Coarse, so that it tells no
/// node from another.
#[must_use]
pub fn minutes(wall: UnixSeconds) -> u32 {
    u32::try_from(wall.0 / 60).unwrap_or(u32::MAX)
}

/// Reads the envelopes of a response one by one, without copying them; a fault ends them.
pub fn envelopes(mut bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], MalformedSyncMessage>> {
    core::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let first = split_envelope(bytes);
        bytes = first.map_or(&[], |(_, rest)| rest);
        Some(first.map(|(envelope, _)| envelope).ok_or(MalformedSyncMessage))
    })
}

fn split_envelope(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// Appends an envelope to a response that carries envelopes.
pub fn append_envelope(response: &mut Vec<u8>, envelope: &[u8]) {
    let length = u32::try_from(envelope.len()).unwrap_or(u32::MAX);
    response.extend_from_slice(&length.to_le_bytes());
    response.extend_from_slice(envelope);
}

impl core::fmt::Debug for SyncRequest<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Begin => "SyncRequest::Begin",
            Self::Answer(_) => "SyncRequest::Answer",
            Self::More => "SyncRequest::More",
            Self::Sketch(_) => "SyncRequest::Sketch",
            Self::Steps => "SyncRequest::Steps",
        })
    }
}

impl core::fmt::Debug for SyncResponse<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { minutes: _, steps: _, body } = self;
        f.debug_tuple("SyncResponse").field(body).finish()
    }
}

impl core::fmt::Debug for SyncQuery<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { salt: _, count, comparison: _ } = self;
        f.debug_struct("SyncQuery").field("count", count).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for ResponseBody<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Done => "ResponseBody::Done",
            Self::Query(_) => "ResponseBody::Query",
            Self::Envelopes(_) => "ResponseBody::Envelopes",
            Self::Busy => "ResponseBody::Busy",
            Self::MoreCells => "ResponseBody::MoreCells",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::price::Step;
    use crate::engine::testing::mutate::{Reading, each_case};

    fn said(body: ResponseBody<'_>) -> SyncResponse<'_> {
        SyncResponse { minutes: 0, steps: SaidSteps::default(), body }
    }

    #[test]
    fn the_opening_request_is_one_constant_byte() {
        assert_eq!(SyncRequest::Begin.encode(), [0]);
        assert_eq!(SyncRequest::More.encode(), [2]);
        assert_eq!(SyncRequest::Steps.encode(), [4]);
    }

    #[test]
    fn a_response_is_its_kind_its_minute_its_steps_and_the_rest() {
        let wall = UnixSeconds(60 * 0x0102_0304 + 59);
        let query = SyncQuery { salt: SketchSalt([8; 8]), count: 7, comparison: &[9] };
        let (minutes, steps) = (minutes(wall), SaidSteps::decode([0x12, 0x38, 3]));
        let response = SyncResponse { minutes, steps, body: ResponseBody::Query(query) };
        let salt_and_count = [8, 8, 8, 8, 8, 8, 8, 8, 7, 0, 0, 0];
        let header = [1, 4, 3, 2, 1, 0x12, 0x38, 3];
        assert_eq!(response.encode(), [&header[..], &salt_and_count, &[9]].concat());
    }

    #[test]
    fn a_clock_far_ahead_is_said_as_the_last_minute_there_is() {
        assert_eq!(minutes(UnixSeconds(u64::MAX)), u32::MAX);
    }

    #[test]
    fn all_bytes_of_steps_are_read_and_those_above_eight_count_as_eight() {
        for said in 0..=u16::MAX {
            let [front, back] = said.to_be_bytes();
            let bytes = [0, 1, 0, 0, 0, front, back, back];
            let SyncResponse { minutes, steps, body } = SyncResponse::decode(&bytes).unwrap();
            assert!((minutes, body) == (1, ResponseBody::Done));
            let most = [front >> 4, front & 15, back >> 4, back & 15].map(Step::new);
            let [six_hours, day, week, line] = most;
            let expected = SaidSteps { shares: [six_hours, day, week], line, hops: back };
            assert_eq!(steps, expected, "{said:04x}");
        }
        assert_eq!(SyncResponse::decode(&[0, 1, 0, 0, 0, 0, 0]), Err(MalformedSyncMessage), "cut");
    }

    #[test]
    fn messages_that_are_too_long_are_refused() {
        let long = vec![1; MAX_COMPARISON + 2];
        assert_eq!(SyncRequest::decode(&long), Err(MalformedSyncMessage));
        assert_eq!(SyncRequest::decode(&vec![3; 1 + MAX_SKETCH + CELL]), Err(MalformedSyncMessage));
        let body = ResponseBody::Envelopes(&[0; CHUNK + 1]);
        assert_eq!(SyncResponse::decode(&said(body).encode()), Err(MalformedSyncMessage));
        assert_eq!(SyncRequest::decode(&[0, 0]), Err(MalformedSyncMessage));
        assert_eq!(SyncRequest::decode(&[]), Err(MalformedSyncMessage));
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_what_is_read_is_what_was_written(
            bytes in proptest::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..300),
        ) {
            if let Ok(request) = SyncRequest::decode(&bytes) {
                prop_assert_eq!(request.encode(), bytes.clone());
            }
            if let Ok(response) = SyncResponse::decode(&bytes) {
                let mut written = bytes.clone();
                written[5..8].copy_from_slice(&response.steps.encode());
                prop_assert_eq!(response.encode(), written);
            }
            let mut again = Vec::new();
            let read: Result<Vec<&[u8]>, MalformedSyncMessage> = envelopes(&bytes).collect();
            if let Ok(read) = read {
                read.iter().for_each(|envelope| append_envelope(&mut again, envelope));
                prop_assert_eq!(again, bytes);
            }
        }

        #[test]
        fn envelopes_read_back_as_they_were_appended(
            written in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..9),
        ) {
            let mut bytes = Vec::new();
            written.iter().for_each(|envelope| append_envelope(&mut bytes, envelope));
            let read: Result<Vec<&[u8]>, MalformedSyncMessage> = envelopes(&bytes).collect();
            prop_assert_eq!(read, Ok(written.iter().map(Vec::as_slice).collect()));
        }
    }

    #[test]
    fn changed_at_random_a_request_is_refused_or_the_one_that_is_written_so() {
        let requests = [
            SyncRequest::Begin,
            SyncRequest::Answer(&[0x61, 0, 0]),
            SyncRequest::More,
            SyncRequest::Sketch(&[7; 3 * CELL]),
            SyncRequest::Steps,
        ];
        each_case(&requests.map(|request| request.encode()), |bytes| {
            Reading::again(SyncRequest::decode(bytes).ok(), |request| request.encode())
        });
    }

    #[test]
    fn changed_at_random_a_response_is_refused_or_the_one_that_is_written_so() {
        let mut chunk = Vec::new();
        for envelope in [&[7_u8; 40][..], &[], &[8; 200]] {
            append_envelope(&mut chunk, envelope);
        }
        let query = SyncQuery { salt: SketchSalt([8; 8]), count: 7, comparison: &[0x61, 0, 0] };
        let bodies = [
            ResponseBody::Done,
            ResponseBody::Query(query),
            ResponseBody::Envelopes(&chunk),
            ResponseBody::Busy,
            ResponseBody::MoreCells,
        ];
        each_case(&bodies.map(|body| said(body).encode()), |bytes| {
            Reading::again(SyncResponse::decode(bytes).ok(), |response| {
                let mut written = response.encode();
                // Steps above 8 count as 8.
                written[5..HEADER].copy_from_slice(&bytes[5..HEADER]);
                written
            })
        });
        each_case(&[chunk], |bytes| {
            let read: Result<Vec<&[u8]>, MalformedSyncMessage> = envelopes(bytes).collect();
            Reading::again(read.ok(), |read| {
                let mut again = Vec::new();
                read.iter().for_each(|envelope| append_envelope(&mut again, envelope));
                again
            })
        });
    }
}
