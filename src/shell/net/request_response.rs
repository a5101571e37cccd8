//! One request and one response on a stream of their own: their frames and their bounds.
//!
//! A frame is everything up to the end of its writer's half of the stream. Neither side ever holds
//! more of it than its bound. A peer that reads or writes slowly holds one stream for a bounded
//! time, and delays no other.

use std::io;
use std::sync::Arc;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{StreamProtocol, request_response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::NetError;
use super::settings::{NetLimits, NetTiming, ProtocolNames};

/// The longest request, in bytes: room for fingerprints of every hour of a week, several times
/// over. A guess.
pub const LONGEST_REQUEST: usize = 64 << 10;

/// The longest response, in bytes: five times the longest envelope of the network, so that a round
/// trip fetches several. A guess.
pub const LONGEST_RESPONSE: usize = 320 << 10;

/// libp2p's request and response with our frames.
pub(super) type SyncBehaviour = request_response::Behaviour<FrameCodec>;

/// The events of [`SyncBehaviour`].
pub(super) type SyncBehaviourEvent = request_response::Event<Vec<u8>, Vec<u8>>;

/// Sends and answers requests under the name of this network.
pub(super) fn sync_behaviour(
    names: &ProtocolNames,
    limits: &NetLimits,
    pace: &NetTiming,
) -> Result<SyncBehaviour, NetError> {
    let protocol = StreamProtocol::try_from_owned(names.sync.clone())
        .map_err(|error| NetError::Protocol(error.to_string()))?;
    let config = request_response::Config::default()
        .with_request_timeout(pace.exchange)
        .with_max_concurrent_streams(limits.exchanges_per_link);
    let protocols = [(protocol, request_response::ProtocolSupport::Full)];
    Ok(SyncBehaviour::with_codec(FrameCodec::new(limits.exchanges), protocols, config))
}

/// Reads and writes frames. There is a clone for each stream, which holds a place among the
/// requests answered at a time for as long as it lasts.
pub(super) struct FrameCodec {
    places: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl FrameCodec {
    /// At most `answered` requests are read or answered at a time, on all links together.
    fn new(answered: usize) -> Self {
        let places = answered.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), held: None }
    }
}

impl Clone for FrameCodec {
    fn clone(&self) -> Self {
        // The place belongs to the stream that took it, so a clone begins without one.
        Self { places: Arc::clone(&self.places), held: None }
    }
}

impl request_response::Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        // A request that finds all places taken fails at once: a queue would let silent streams
        // keep honest neighbours waiting until their own time is up.
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(io::Error::other)?;
        self.held = Some(place);
        read(io, LONGEST_REQUEST).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        // No place: our own requests are bounded where they are sent, and must not be kept from
        // being answered by those of others.
        read(io, LONGEST_RESPONSE).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&request).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&response).await
    }
}

/// Reads a frame of 1 to `longest` bytes. A longer one is not read to its end, and a stream that
/// ends at once carried no frame: the request was refused.
async fn read(io: &mut (impl AsyncRead + Unpin + Send), longest: usize) -> io::Result<Vec<u8>> {
    let mut frame = Vec::new();
    // One byte more than fits tells a frame that is too long from one of exactly `longest`.
    let one_more = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
    io.take(one_more).read_to_end(&mut frame).await?;
    if frame.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if frame.len() > longest {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::{Cursor, repeat};
    use libp2p::request_response::Codec as _;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    static PROTOCOL: StreamProtocol = StreamProtocol::new("/sync");

    #[test]
    fn reading_an_endless_frame_stops_at_its_bound() {
        let error = block_on(read(&mut repeat(7), LONGEST_RESPONSE)).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_place_is_held_from_the_request_to_the_end_of_its_stream() {
        let frames = FrameCodec::new(2);
        let mut streams = [frames.clone(), frames.clone(), frames.clone()];
        let mut asked = |stream: usize| {
            block_on(streams[stream].read_request(&PROTOCOL, &mut Cursor::new([1]))).is_ok()
        };
        assert_eq!([asked(0), asked(1), asked(2)], [true, true, false]);
        let [_, second, mut third] = streams;
        drop(second);
        assert!(block_on(third.read_request(&PROTOCOL, &mut Cursor::new([1]))).is_ok());
    }

    #[test]
    fn a_request_of_ours_takes_no_place_from_requests_of_others() {
        let mut frames = FrameCodec::new(0);
        assert!(block_on(frames.read_response(&PROTOCOL, &mut Cursor::new([1]))).is_ok());
        assert!(block_on(frames.read_request(&PROTOCOL, &mut Cursor::new([1]))).is_err());
    }

    proptest! {
        #[test]
        fn a_frame_within_its_bound_reads_back_and_any_other_is_refused(
            frame in prop::collection::vec(any::<u8>(), 0..64), longest in 1..64_usize,
        ) {
            let mut written = Cursor::new(Vec::new());
            let mut frames = FrameCodec::new(1);
            let write = frames.write_response(&PROTOCOL, &mut written, frame.clone());
            prop_assert!(block_on(write).is_ok());
            let read = block_on(read(&mut Cursor::new(written.into_inner()), longest));
            let good = !frame.is_empty() && frame.len() <= longest;
            prop_assert_eq!(read.ok(), good.then_some(frame));
        }
    }

    #[test]
    fn changed_at_random_a_frame_is_what_it_was_or_too_long_or_none() {
        each_case(&[vec![1], vec![7; 40], vec![8; 64]], |bytes| {
            let frame = block_on(read(&mut Cursor::new(bytes), 64)).ok();
            assert_eq!(frame.is_some(), (1..=64).contains(&bytes.len()));
            Reading::again(frame, |frame| frame)
        });
    }
}
